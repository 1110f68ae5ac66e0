//! What is in a file: text as text, anything else as base64, never more than is sensible at once.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// Most bytes that `read_file` returns at once: as base64 and in JSON still below 1.5 MiB.
pub(super) const PART_BYTES_MAX: u64 = 1 << 20;
/// Most bytes of a resource: it cannot be read in parts, and answers should stay below 16 MiB.
const WHOLE_BYTES_MAX: u64 = 4 << 20;
/// How much of a file decides whether it is text.
const PROBE_BYTES: usize = 8_192;

/// A file's content or a part of it.
pub(super) struct Content {
    pub(super) mime_type: &'static str,
    /// Bytes of the whole file.
    pub(super) size: u64,
    /// Where this part starts.
    pub(super) offset: u64,
    /// Where the next part starts, if there is one.
    pub(super) next_offset: Option<u64>,
    /// The text, where it is text.
    pub(super) text: Option<String>,
    bytes: Vec<u8>,
}

impl Content {
    /// Reads a whole file of at most 4 MiB.
    pub(super) fn whole(path: &Path) -> Result<Self, String> {
        let content = Self::part(path, 0, WHOLE_BYTES_MAX)?;
        match content.next_offset {
            None => Ok(content),
            Some(_) => Err(format!(
                "the file has {} bytes, more than {WHOLE_BYTES_MAX}; read it in parts with the tool \
                 read_file",
                content.size
            )),
        }
    }

    /// Reads at most `limit` bytes from `offset` on. A part of a text never cuts a character.
    pub(super) fn part(path: &Path, offset: u64, limit: u64) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("cannot read the file: {error}");
        let metadata = std::fs::metadata(path).map_err(failed)?;
        if !metadata.is_file() {
            return Err("this is no regular file; list_directory shows directories".to_owned());
        }
        let size = metadata.len();
        if offset > size {
            return Err(format!("argument `offset` is {offset}, but the file has {size} bytes"));
        }
        let mut file = File::open(path).map_err(failed)?;
        let is_text = is_text(&mut file).map_err(failed)?;
        file.seek(SeekFrom::Start(offset)).map_err(failed)?;
        let mut bytes = Vec::new();
        file.take(limit).read_to_end(&mut bytes).map_err(failed)?;
        let text = if is_text { whole_characters(&mut bytes, size - offset) } else { None };
        let end = offset + bytes.len() as u64;
        Ok(Self {
            mime_type: mime_type(path, text.is_some()),
            size,
            offset,
            next_offset: (end < size && !bytes.is_empty()).then_some(end),
            text,
            bytes,
        })
    }

    /// The content as a string: the text, or base64.
    pub(super) fn into_string(self) -> String {
        self.text.unwrap_or_else(|| STANDARD.encode(self.bytes))
    }

    /// The content as the contents of a resource.
    pub(super) fn resource(&self, uri: &str) -> Value {
        let (member, content) = match &self.text {
            Some(text) => ("text", text.clone()),
            None => ("blob", STANDARD.encode(&self.bytes)),
        };
        json!({ "uri": uri, "mimeType": self.mime_type, member: content })
    }
}

/// Whether the file starts like text: UTF-8 without NUL.
pub(super) fn is_text(file: &mut File) -> std::io::Result<bool> {
    let mut probe = Vec::with_capacity(PROBE_BYTES);
    file.take(PROBE_BYTES as u64).read_to_end(&mut probe)?;
    let valid = match std::str::from_utf8(&probe) {
        Ok(_) => true,
        // The probe may end within a character.
        Err(error) => error.error_len().is_none(),
    };
    Ok(valid && !probe.contains(&0))
}

/// Cuts `bytes` after the last whole character and returns them as text; `None` where they are not
/// UTF-8, as from an offset within a character. `rest` is how many bytes the file has from here on.
fn whole_characters(bytes: &mut Vec<u8>, rest: u64) -> Option<String> {
    let cut = match std::str::from_utf8(bytes) {
        Ok(_) => bytes.len(),
        Err(error) if error.error_len().is_none() && (bytes.len() as u64) < rest => {
            error.valid_up_to()
        }
        Err(_) => return None,
    };
    bytes.truncate(cut);
    String::from_utf8(bytes.clone()).ok()
}

/// The media type of a file that was looked into.
fn mime_type(path: &Path, is_text: bool) -> &'static str {
    let otherwise = if is_text { "text/plain" } else { "application/octet-stream" };
    // A binary file does not become text by its name, nor a text an image.
    mime_by_name(path).filter(|known| is_textual(known) == is_text).unwrap_or(otherwise)
}

fn is_textual(mime_type: &str) -> bool {
    let textual = ["application/json", "application/yaml", "application/toml", "application/xml"];
    mime_type.starts_with("text/") || mime_type == "image/svg+xml" || textual.contains(&mime_type)
}

/// The media type that a file's extension tells, as far as hosts treat types differently.
pub(super) fn mime_by_name(path: &Path) -> Option<&'static str> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    Some(match extension.as_str() {
        "txt" | "log" | "rs" | "py" | "c" | "h" | "cc" | "cpp" | "go" | "java" | "kt" | "rb"
        | "sh" | "sql" | "ts" | "tsx" | "ini" | "conf" | "lock" | "proto" => "text/plain",
        "md" | "markdown" => "text/markdown",
        "html" | "htm" => "text/html",
        "css" => "text/css",
        "csv" => "text/csv",
        "js" | "mjs" => "text/javascript",
        "json" => "application/json",
        "yaml" | "yml" => "application/yaml",
        "toml" => "application/toml",
        "xml" => "application/xml",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        "gz" => "application/gzip",
        "wav" => "audio/wav",
        "mp3" => "audio/mpeg",
        _ => return None,
    })
}
