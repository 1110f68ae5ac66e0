//! What an answer holds: its content type says it, or the bytes where that is missing or wrong.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use wire::json::{Json, write_string};

use super::{Answer, Context, Interpreted, Limits, stream, text_block};
use crate::tool::{MediaKind, recognized};

/// What an answer holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// JSON, and whether the content type says so.
    Json {
        is_stated: bool,
    },
    /// Many values one after the other.
    Stream,
    Xml,
    /// A page for people where none was expected.
    Html,
    Text,
    /// Anything else, of this media type.
    File(String),
}

impl Kind {
    /// What an answer holds; `declared` are the media types that the document says for its status.
    pub(super) fn of(answer: &Answer, declared: &[String]) -> Self {
        let stated = answer.header("content-type").map(essence).unwrap_or_default();
        let start = beginning(&answer.body);
        let is_page = is_page(start);
        let is_declared = |media_type: &str| declared.iter().any(|it| it == media_type);
        let is_json_declared = || declared.iter().any(|it| MediaKind::of(it) == MediaKind::Json);
        // A lone text or number is JSON only where JSON was promised.
        let is_json_text =
            || (is_json(start) || is_json_declared()) && !is_page && is_json_text(answer);
        match stated.as_str() {
            "text/html" | "application/xhtml+xml" if is_page || !is_json(start) => {
                return if is_declared(&stated) { Self::Text } else { Self::Html };
            }
            _ if stream::is_stream(&stated) => return Self::Stream,
            "application/soap+xml" => return Self::Xml,
            "" | "application/octet-stream" | "binary/octet-stream" | "application/unknown" => {
                return if is_json_text() {
                    Self::Json { is_stated: false }
                } else {
                    Self::guess(answer, start, &stated)
                };
            }
            _ => {}
        }
        let family = stated.split('/').next().unwrap_or_default();
        match MediaKind::of(&stated) {
            MediaKind::Json | MediaKind::Xml if is_page => Self::Html,
            MediaKind::Json => Self::Json { is_stated: true },
            MediaKind::Xml => Self::Xml,
            MediaKind::Text | MediaKind::Form if !is_declared(&stated) && is_json_text() => {
                Self::Json { is_stated: false }
            }
            MediaKind::Text | MediaKind::Form | MediaKind::Lines => Self::Text,
            _ if matches!(family, "image" | "audio" | "video") => Self::File(stated),
            _ if is_json_text() => Self::Json { is_stated: false },
            _ => Self::File(stated),
        }
    }

    /// What bytes of no known type hold.
    fn guess(answer: &Answer, start: &[u8], stated: &str) -> Self {
        if is_page(start) {
            return Self::Html;
        }
        let media_type = match recognized(&answer.body) {
            Some(media_type) => media_type,
            None if stated.is_empty() && is_text(&answer.body) => return Self::Text,
            None => "application/octet-stream",
        };
        Self::File(media_type.to_owned())
    }
}

/// A media type in lower case, without parameters.
pub(super) fn essence(media_type: &str) -> String {
    media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The bytes after white space and a byte order mark.
fn beginning(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start()
}

fn is_page(start: &[u8]) -> bool {
    let has = |tag: &[u8]| start.get(..tag.len()).is_some_and(|it| it.eq_ignore_ascii_case(tag));
    has(b"<!doctype html") || has(b"<html")
}

fn is_json(start: &[u8]) -> bool {
    matches!(start.first(), Some(b'{' | b'['))
}

/// Whether the body is JSON as a whole.
fn is_json_text(answer: &Answer) -> bool {
    !answer.is_partial
        && Json::parse(super::text::decode_bytes(answer), &wire::Limits::SERVER).is_ok()
}

fn is_text(body: &[u8]) -> bool {
    let is_control =
        |byte: &u8| byte.is_ascii_control() && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x1b);
    std::str::from_utf8(body).is_ok() && !body.iter().any(is_control)
}

/// A file as its block: an image, a recording, or else an embedded resource.
pub(super) fn file(
    answer: &Answer,
    media_type: &str,
    call: &Context<'_>,
    limits: &Limits,
) -> Interpreted {
    let size = answer.body.len();
    if answer.is_partial || size > limits.file_bytes_max {
        let more = if answer.is_partial { "more than " } else { "" };
        let text = format!(
            "The answer is a file (`{media_type}`, {more}{size} bytes), which is longer than what is \
             passed on ({} bytes).",
            limits.file_bytes_max
        );
        let mut result = Interpreted::text(&text);
        result.note("the file was left out because of its size");
        return result;
    }
    let family = media_type.split('/').next().unwrap_or_default();
    let mut out = Vec::with_capacity(size / 3 * 4 + 256);
    match family {
        "image" | "audio" if media_type != "image/svg+xml" => {
            out.extend_from_slice(format!("{{\"type\":\"{family}\",\"data\":\"").as_bytes());
            push_base64(&mut out, &answer.body);
            out.extend_from_slice(b"\",\"mimeType\":");
            write_string(&mut out, media_type);
            out.push(b'}');
        }
        _ => {
            out.extend_from_slice(b"{\"type\":\"resource\",\"resource\":{\"uri\":");
            write_string(&mut out, &uri(answer, call));
            out.extend_from_slice(b",\"mimeType\":");
            write_string(&mut out, media_type);
            if media_type == "image/svg+xml" {
                out.extend_from_slice(b",\"text\":");
                write_string(&mut out, &super::text::decode(answer));
            } else {
                out.extend_from_slice(b",\"blob\":\"");
                push_base64(&mut out, &answer.body);
                out.push(b'"');
            }
            out.extend_from_slice(b"}}");
        }
    }
    let about = match file_name(answer) {
        Some(name) => format!("The answer is the file `{name}` (`{media_type}`, {size} bytes)."),
        None => format!("The answer is a file (`{media_type}`, {size} bytes)."),
    };
    let content = vec![Json::trusted(out), text_block(&about)];
    Interpreted { content, ..Interpreted::default() }
}

fn push_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    let length = base64::encoded_len(bytes.len(), true).unwrap_or_default();
    out.resize(start + length, 0);
    STANDARD.encode_slice(bytes, &mut out[start..]).expect("the room was measured");
}

/// The URI of an embedded file; its name is the last part, where the API says one.
fn uri(answer: &Answer, call: &Context<'_>) -> String {
    match file_name(answer) {
        Some(name) => {
            let name =
                percent_encoding::utf8_percent_encode(&name, percent_encoding::NON_ALPHANUMERIC);
            format!("{}/{}", call.uri.trim_end_matches('/'), name.to_string().replace("%2E", "."))
        }
        None => call.uri.to_owned(),
    }
}

/// The file's name as `Content-Disposition` says it (RFC 6266), without folders.
fn file_name(answer: &Answer) -> Option<String> {
    let header = answer.header("content-disposition")?;
    let value = |wanted: &str| {
        header.split(';').find_map(|parameter| {
            let (key, value) = parameter.split_once('=')?;
            key.trim()
                .eq_ignore_ascii_case(wanted)
                .then(|| value.trim().trim_matches('"').to_owned())
        })
    };
    let extended = value("filename*").and_then(|it| {
        let encoded = it.rsplit('\'').next()?;
        Some(percent_encoding::percent_decode_str(encoded).decode_utf8().ok()?.into_owned())
    });
    let name = extended.or_else(|| value("filename"))?;
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = name.chars().filter(|it| !it.is_control()).take(200).collect();
    Some(name).filter(|it| !it.is_empty())
}
