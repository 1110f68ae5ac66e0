//! Writing JSON: strings, and objects member by member.

use bytes::Bytes;

use super::Object;
use super::scan::{Span, Stretch, plain_word};

/// Appends `text` as a JSON string literal.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len() + text.len() / 8 + 2);
    out.push(b'"');
    let (words, rest) = text.as_bytes().as_chunks::<8>();
    for word in words {
        if plain_word(u64::from_le_bytes(*word)) {
            out.extend_from_slice(word);
        } else {
            write_escaped(out, *word);
        }
    }
    for &byte in rest {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 => write_control(out, byte),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// Appends eight bytes with whatever has to be escaped among them. What comes in such a word is
/// mostly the quotes of JSON within JSON, so that no step depends on where they stand.
#[inline]
fn write_escaped(out: &mut Vec<u8>, word: [u8; 8]) {
    if word.iter().any(|byte| *byte < 0x20) {
        for byte in word {
            match byte {
                b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
                0..0x20 => write_control(out, byte),
                _ => out.push(byte),
            }
        }
        return;
    }
    let (mut escaped, mut length) = ([0; 16], 0);
    for byte in word {
        escaped[length & 15] = b'\\';
        length += usize::from((byte == b'"') | (byte == b'\\'));
        escaped[length & 15] = byte;
        length += 1;
    }
    let end = out.len() + length;
    out.extend_from_slice(&escaped);
    out.truncate(end);
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
