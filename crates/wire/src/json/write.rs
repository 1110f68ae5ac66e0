//! Writing JSON: strings, and objects member by member.

use bytes::Bytes;

use super::Object;
use super::scan::{Span, Stretch, special_bytes};

/// Appends `text` as a JSON string literal.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len() + text.len() / 8 + 2);
    out.push(b'"');
    let bytes = text.as_bytes();
    let rest = if bytes.len() < LONG { bytes } else { write_words(out, bytes) };
    for &byte in rest {
        match byte {
            b'"' | b'\\' | ..b' ' => write_escaped(out, byte),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// Shorter texts are written byte by byte.
const LONG: usize = 16;
/// So much is written before it is appended: appending costs more than writing some words.
const PAGE: usize = 256;

/// Appends a text eight bytes at a time and returns what is left. Long texts are mostly JSON in JSON:
/// every few bytes there is a quote.
fn write_words<'t>(out: &mut Vec<u8>, text: &'t [u8]) -> &'t [u8] {
    let (mut page, mut length) = ([0; PAGE], 0);
    let (words, rest) = text.as_chunks::<8>();
    for word in words {
        // All eight may be escaped.
        if length + 24 > PAGE {
            out.extend_from_slice(&page[..length]);
            length = 0;
        }
        let mut word = u64::from_le_bytes(*word);
        let (mut special, mut left) = (special_bytes(word), 8);
        while special != 0 {
            // Written as a whole; from the byte that is special on it is overwritten.
            let plain = special.trailing_zeros() / 8;
            page[length..length + 8].copy_from_slice(&word.to_le_bytes());
            length += plain as usize;
            let byte = (word >> (8 * plain)).to_le_bytes()[0];
            if byte >= b' ' {
                page[length..length + 2].copy_from_slice(&[b'\\', byte]);
                length += 2;
            } else {
                out.extend_from_slice(&page[..length]);
                length = 0;
                write_control(out, byte);
            }
            word = word >> (8 * plain) >> 8;
            special = special >> (8 * plain) >> 8;
            left -= plain as usize + 1;
        }
        page[length..length + 8].copy_from_slice(&word.to_le_bytes());
        length += left;
    }
    out.extend_from_slice(&page[..length]);
    rest
}

#[inline]
fn write_escaped(out: &mut Vec<u8>, byte: u8) {
    if byte >= b' ' {
        out.extend_from_slice(&[b'\\', byte]);
    } else {
        write_control(out, byte);
    }
}

#[cold]
fn write_control(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        _ => {
            let digit = |of: u8| HEX[usize::from(of & 15)];
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte)]);
        }
    }
}

/// An object that is written member by member. It need not be read again: where each member stands
/// is known.
#[derive(Debug, Default)]
pub struct ObjectWriter {
    out: Vec<u8>,
    members: Vec<Span>,
}

impl ObjectWriter {
    /// An object without members yet, with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { out: Vec::with_capacity(bytes), members: Vec::with_capacity(6) }
    }

    /// Appends a member, whose key is new; `write` appends the text of its value.
    pub fn member(&mut self, key: &str, write: impl FnOnce(&mut Vec<u8>)) {
        self.out.push(if self.members.is_empty() { b'{' } else { b',' });
        let key = |out: &mut Vec<u8>| write_string(out, key);
        self.members.push(write_member(&mut self.out, key, write));
    }

    /// The object.
    pub fn finish(mut self) -> Object {
        self.out.extend_from_slice(if self.members.is_empty() { b"{}" } else { b"}" });
        Object::from_spans(Bytes::from(self.out), self.members)
    }
}

/// Appends `"key":value` and says where both stand.
pub(super) fn write_member(
    out: &mut Vec<u8>,
    write_key: impl FnOnce(&mut Vec<u8>),
    write_value: impl FnOnce(&mut Vec<u8>),
) -> Span {
    let start = out.len() + 1;
    write_key(out);
    let end = out.len() - 1;
    let key = Stretch::written(start..end, out[start..end].contains(&b'\\'));
    out.push(b':');
    let start = out.len();
    write_value(out);
    let escaped = out.get(start) == Some(&b'"') && out[start..].contains(&b'\\');
    Span { key, value: Stretch::written(start..out.len(), escaped), changed: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Json;

    #[test]
    fn strings_are_escaped_wherever_it_is_needed() {
        for special in ["\"", "\\", "\n", "\r", "\t", "\0", "\u{1f}", "é", "😀", "\u{7f}"] {
            for before in 0..20 {
                for after in 0..10 {
                    let text = format!("{}{special}{}", "a".repeat(before), "\"b".repeat(after));
                    let json = Json::string(&text);
                    let read: String = serde_json::from_slice(json.as_bytes()).unwrap();
                    assert_eq!(read, text);
                    assert_eq!(json.as_str(), serde_json::to_string(&text).unwrap());
                }
            }
        }
    }

    #[test]
    fn objects_are_what_was_written() {
        assert_eq!(ObjectWriter::default().finish().to_json(&[]).as_str(), "{}");
        let mut writer = ObjectWriter::with_capacity(8);
        writer.member("a", |out| out.extend_from_slice(b"[1]"));
        writer.member("b\"", |out| write_string(out, "c\\d"));
        let object = writer.finish();
        assert_eq!(object.raw("a"), Some(&b"[1]"[..]));
        assert_eq!(object.text("b\"").as_deref(), Some("c\\d"));
        assert_eq!(object.to_json(&[]).as_str(), r#"{"a":[1],"b\"":"c\\d"}"#);
    }
}
