//! Blocks of content and structured results for older clients.

use memchr::memmem;

use super::{Changes, Output, elements_with, older_annotations};
use crate::json::{Edit, Json, Kind, Object};
use crate::shape::text_block;
use crate::version::Version;

/// Longest name of an unknown kind that is repeated, in characters.
const KIND_MAX: usize = 64;

/// The result of a tool's call, or a `tool_result` of sampling, which has the same members.
pub(super) fn called(result: &Object, version: Version, output: Output) -> Option<Object> {
    let mut changes = Changes::default();
    let content = result.get("content");
    let converted = content.as_ref().and_then(|content| blocks(content, version));
    let fallback = result.get("structuredContent").and_then(|value| {
        let content = content.as_ref();
        if version < Version::V2025_06_18 {
            changes.remove(result, "structuredContent");
            return (!texts(content).any(|text| carries(&text, &value))).then_some(value);
        }
        if value.kind() == Kind::Object && output != Output::Wrapped {
            return None;
        }
        let wrapped = [b"{\"result\":", value.as_bytes(), b"}"].concat();
        changes.set("structuredContent", Json::trusted(wrapped));
        texts(content).next().is_none().then_some(value)
    });
    let converted = match fallback {
        None => converted,
        Some(value) => Some(with_text(converted.or(content).as_ref(), value.as_str())),
    };
    changes.maybe("content", converted);
    changes.apply(result)
}

/// The messages of a prompt.
pub(super) fn messages(messages: &Json, version: Version) -> Option<Json> {
    elements_with(messages, |message| {
        let message = message.object()?;
        let mut changes = Changes::default();
        changes.maybe("content", block(&message.get("content")?, version));
        Some(changes.apply(&message)?.to_json(&[]))
    })
}

fn blocks(content: &Json, version: Version) -> Option<Json> {
    elements_with(content, |element| block(element, version))
}

/// A block as one that the version has; `None` if it is one.
fn block(block: &Json, version: Version) -> Option<Json> {
    // Most blocks are texts, which every version has, and may be long: only annotations can be too new.
    if block.as_bytes().starts_with(b"{\"type\":\"text\",")
        && memmem::find(block.as_bytes(), b"annotations").is_none()
    {
        return None;
    }
    let Some(object) = block.object() else { return Some(unknown(None)) };
    let mut changes = Changes::default();
    let kind = object.text("type");
    match kind.as_deref() {
        Some("audio") if version >= Version::V2025_03_26 => {}
        Some("audio") => return Some(in_place_of(&object, version, &audio(&object))),
        Some("resource_link") if version < Version::V2025_06_18 => {
            return Some(in_place_of(&object, version, &link(&object)));
        }
        Some("resource_link") if version < Version::V2025_11_25 => changes.remove(&object, "icons"),
        Some("text" | "image" | "resource" | "resource_link") => {}
        kind => return Some(unknown(kind)),
    }
    changes.maybe("annotations", older_annotations(&object, version));
    Some(changes.apply(&object)?.to_json(&[]))
}

fn audio(audio: &Object) -> String {
    let mime = audio.text("mimeType").unwrap_or_else(|| "of an unknown type".into());
    let base64 = audio.text("data").unwrap_or_default();
    let bytes = base64.trim_end_matches('=').len() * 3 / 4;
    format!("[audio: {mime}, {bytes} bytes]")
}

fn link(link: &Object) -> String {
    let name = link.text("title").or_else(|| link.text("name")).unwrap_or_default();
    let uri = link.text("uri").unwrap_or_default();
    let mut text = format!("[resource: {name}] {uri}");
    if let Some(description) = link.text("description") {
        text.push('\n');
        text.push_str(&description);
    }
    text
}

fn unknown(kind: Option<&str>) -> Json {
    match kind {
        Some(kind) => {
            let kind: String = kind.chars().take(KIND_MAX).collect();
            text_block(&format!("[content of the kind `{kind}`]"))
        }
        None => text_block("[content of an unknown kind]"),
    }
}

/// A text in place of a block, for the same audience.
fn in_place_of(block: &Object, version: Version, text: &str) -> Json {
    let annotations = older_annotations(block, version).or_else(|| block.get("annotations"));
    let text = text_block(text);
    match annotations {
        None => text,
        Some(annotations) => text
            .object()
            .expect("a text block is an object")
            .to_json(&[Edit::set("annotations", annotations.as_bytes())]),
    }
}

/// The content with a text block more.
fn with_text(content: Option<&Json>, text: &str) -> Json {
    let mut out = vec![b'['];
    for block in content.and_then(Json::elements).unwrap_or_default() {
        out.extend_from_slice(block.as_bytes());
        out.push(b',');
    }
    out.extend_from_slice(text_block(text).as_bytes());
    out.push(b']');
    Json::trusted(out)
}

/// The texts of the text blocks.
fn texts(content: Option<&Json>) -> impl Iterator<Item = String> {
    let blocks = content.and_then(Json::elements).unwrap_or_default();
    blocks.into_iter().filter_map(|block| {
        let block = block.object()?;
        let text = block.text("text")?;
        (block.text("type").as_deref() == Some("text")).then(|| text.into_owned())
    })
}

/// Whether a text says what the structured value says: as JSON, however it is laid out, or as the
/// only member `result` that servers put around values that are no object.
fn carries(text: &str, value: &Json) -> bool {
    let says = |value: &Json| {
        value.text().is_some_and(|value| value == text)
            || significant(text.as_bytes()).eq(significant(value.as_bytes()))
    };
    let result = || value.object().filter(|object| object.len() == 1)?.get("result");
    says(value) || result().is_some_and(|result| says(&result))
}

/// The bytes of a JSON text without the white space between its tokens.
fn significant(text: &[u8]) -> impl Iterator<Item = u8> {
    let (mut in_string, mut escaped) = (false, false);
    text.iter().copied().filter(move |&byte| {
        let blank = !in_string && matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        in_string ^= byte == b'"' && !escaped;
        escaped = in_string && byte == b'\\' && !escaped;
        !blank
    })
}
