//! Files in arguments: base64 or a `data:` URI (RFC 2397) becomes bytes with a name and a type.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;

use super::Refusal;

/// A file that an argument holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct File {
    /// What is in it.
    pub(super) bytes: Bytes,
    /// Its media type, if the URI says one.
    pub(super) media_type: Option<String>,
    /// Its name, if the URI says one (`data:image/png;name=a.png;base64,…`).
    pub(super) name: Option<String>,
}

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);

impl File {
    /// Reads what an argument says.
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        let Some(uri) =
            text.get(..5).filter(|it| it.eq_ignore_ascii_case("data:")).map(|_| &text[5..])
        else {
            return Ok(Self { bytes: decode(text)?, media_type: None, name: None });
        };
        let Some((head, data)) = uri.split_once(',') else {
            let problem = "it is a `data:` URI without a comma before its data";
            return Err(Refusal::new(problem, "write `data:TYPE;base64,DATA`"));
        };
        let mut parameters = head.split(';').map(str::trim);
        let media_type = parameters.next().filter(|it| !it.is_empty());
        let mut file =
            Self { bytes: Bytes::new(), media_type: media_type.map(str::to_owned), name: None };
        let mut is_base64 = false;
        for parameter in parameters {
            match parameter.split_once('=') {
                Some(("name" | "filename" | "fileName", value)) => {
                    let decoded = percent_encoding::percent_decode_str(value);
                    let name = decoded.decode_utf8_lossy();
                    file.name = Some(name.trim_matches('"').to_owned()).filter(|it| !it.is_empty());
                }
                Some(_) => {
                    if let Some(media_type) = &mut file.media_type {
                        media_type.push(';');
                        media_type.push_str(parameter);
                    }
                }
                None => is_base64 |= parameter.eq_ignore_ascii_case("base64"),
            }
        }
        if file.media_type.as_deref().is_some_and(|it| !is_media_type(it)) {
            let problem = "its `data:` URI says no usable media type";
            return Err(Refusal::new(
                problem,
                "write `data:TYPE;base64,DATA`, with a type such as `image/png`",
            ));
        }
        let decoded: Vec<u8> = percent_encoding::percent_decode_str(data).collect();
        file.bytes = if is_base64 { decode_bytes(decoded)? } else { decoded.into() };
        Ok(file)
    }
}

fn decode(text: &str) -> Result<Bytes, Refusal> {
    decode_bytes(text.as_bytes().to_vec())
}

fn decode_bytes(mut text: Vec<u8>) -> Result<Bytes, Refusal> {
    text.retain(|byte| !byte.is_ascii_whitespace());
    for byte in &mut text {
        // The alphabet for URLs, also mixed with the usual one: what is meant is clear.
        match byte {
            b'-' => *byte = b'+',
            b'_' => *byte = b'/',
            _ => {}
        }
    }
    STANDARD.decode(&text).map(Bytes::from).map_err(|_| {
        let fix = "give the file's bytes as base64, or as a `data:` URI; a text may be written \
                   `data:text/plain,TEXT` with percent-encoding";
        Refusal::new("it is no base64", fix)
    })
}

/// Whether this can be sent as a media type: `type/subtype` with parameters, without line breaks.
pub(super) fn is_media_type(text: &str) -> bool {
    let essence = text.split(';').next().unwrap_or_default().trim();
    let is_safe = text.bytes().all(|byte| (b' '..0x7f).contains(&byte));
    is_safe
        && essence.split_once('/').is_some_and(|(kind, sub)| !kind.is_empty() && !sub.is_empty())
}

/// The usual ending of files of a media type; servers often look at it.
pub(super) fn extension(media_type: &str) -> &'static str {
    match media_type.split(';').next().unwrap_or_default().trim() {
        "image/png" => ".png",
        "image/jpeg" => ".jpg",
        "image/gif" => ".gif",
        "image/webp" => ".webp",
        "image/svg+xml" => ".svg",
        "audio/mpeg" => ".mp3",
        "audio/wav" | "audio/x-wav" => ".wav",
        "audio/ogg" => ".ogg",
        "video/mp4" => ".mp4",
        "application/pdf" => ".pdf",
        "application/zip" => ".zip",
        "application/gzip" => ".gz",
        "application/json" => ".json",
        "application/xml" | "text/xml" => ".xml",
        "application/yaml" | "application/x-yaml" => ".yaml",
        "text/csv" => ".csv",
        "text/html" => ".html",
        "text/markdown" => ".md",
        "text/plain" => ".txt",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (Vec<u8>, Option<String>, Option<String>) {
        let file = File::parse(text).expect("a file");
        (file.bytes.to_vec(), file.media_type, file.name)
    }

    #[test]
    fn base64_of_any_alphabet() {
        for text in ["+/8=", "-_8=", "-_8", "+_8", "+/\n8 ="] {
            assert_eq!(file(text).0, b"\xfb\xff", "{text}");
        }
        assert_eq!(file("").0, b"");
        assert!(File::parse("no base64!").is_err());
    }

    #[test]
    fn data_uris_say_type_and_name() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            file("data:image/png;name=a%20b.png;base64,iVBORw=="),
            (b"\x89PNG".to_vec(), some("image/png"), some("a b.png"))
        );
        assert_eq!(
            file("data:text/plain;charset=utf-8,a%20b"),
            (b"a b".to_vec(), some("text/plain;charset=utf-8"), None)
        );
        assert_eq!(file("DATA:,x"), (b"x".to_vec(), None, None));
        assert!(File::parse("data:text/plain").is_err());
        assert!(File::parse("data:text\r\nX:y,a").is_err());
    }
}
