//! The strict JSON reader: one pass that refuses what peers could read differently, and keeps
//! everything it accepts verbatim.
//!
//! Refused beyond RFC 8259: duplicate keys (after decoding escapes) in any object, keys that contain
//! NUL or a lone surrogate, keys that differ only in case from a member the gate reads, nesting, node
//! and key-length limits, a byte order mark, and anything that is not UTF-8. Numbers, member order,
//! unknown members and escapes in string values are never touched.

mod object;
mod reason;
mod scan;
pub(crate) mod schema;
mod walk;
mod write;

pub use object::{Edit, Members, Object};
pub use reason::Reason;
pub(crate) use scan::{Part, Scan, Stretch, message as message_scan};
pub use walk::{StringEnd, Walk};
pub use write::{ObjectWriter, write_string};

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

/// Bounds of one parsed text. Each is a property of the hop, set from the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest accepted text in bytes.
    pub bytes: usize,
    /// Deepest accepted nesting of arrays and objects; the outermost container counts as 1.
    pub depth: usize,
    /// Most values (scalars, arrays and objects) in one text.
    pub nodes: usize,
    /// Longest accepted object key in bytes, as written.
    pub key_bytes: usize,
}

impl Limits {
    /// What a client may send: 4 MiB, depth 64, 100,000 values, keys of 1 KiB.
    pub const CLIENT: Self = Self { bytes: 4 << 20, depth: 64, nodes: 100_000, key_bytes: 1 << 10 };
    /// What a server may answer: 16 MiB and, since lists of 2,000 definitions are legitimate,
    /// two million values.
    pub const SERVER: Self =
        Self { bytes: 16 << 20, depth: 64, nodes: 2_000_000, key_bytes: 1 << 10 };
}

/// Why a text was refused, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// What is wrong.
    pub reason: Reason,
    /// Byte offset of the offending token in the text.
    pub offset: usize,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.reason, self.offset)
    }
}

impl std::error::Error for Malformed {}

/// The kind of a JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `"…"`
    String,
    /// Any number.
    Number,
    /// `true` or `false`
    Bool,
    /// `null`
    Null,
}

/// One valid JSON value: a slice of the buffer it came in.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Json(Bytes);

impl Json {
    /// Parses a complete text strictly.
    pub fn parse(text: Bytes, limits: &Limits) -> Result<Self, Malformed> {
        scan::check(&text, limits)?;
        Ok(Self(trim(text)))
    }

    /// As [`Json::parse`], with the members if it is an object: they need not be looked for again.
    pub fn parse_with_members(
        text: Bytes,
        limits: &Limits,
    ) -> Result<(Self, Option<Object>), Malformed> {
        let members = scan::members_checked(&text, limits)?;
        let object = members.map(|members| Object::from_spans(text.clone(), members));
        Ok((Self(trim(text)), object))
    }

    /// Wraps bytes that are known to be one valid JSON value, because this program wrote them or
    /// because they are a slice of a text that was parsed.
    pub fn trusted(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    /// Makes a JSON string.
    pub fn string(text: &str) -> Self {
        let mut out = Vec::with_capacity(text.len() + 2);
        write_string(&mut out, text);
        Self(out.into())
    }

    /// The value as it was written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The value as it was written, as a shareable buffer.
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// The value as it was written, as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a Json is valid UTF-8")
    }

    /// What kind of value this is.
    pub fn kind(&self) -> Kind {
        kind_of(&self.0)
    }

    /// The decoded text if this is a string. Lone surrogates become U+FFFD.
    pub fn text(&self) -> Option<Cow<'_, str>> {
        text_of(&self.0)
    }

    /// The members if this is an object.
    pub fn object(&self) -> Option<Object> {
        Object::of_valid(&self.0)
    }

    /// The elements if this is an array.
    pub fn elements(&self) -> Option<Vec<Json>> {
        if self.kind() != Kind::Array {
            return None;
        }
        Some(scan::elements(&self.0).into_iter().map(|range| Self(self.0.slice(range))).collect())
    }

    /// The value if this is an unsigned integer that fits.
    pub fn as_u64(&self) -> Option<u64> {
        self.as_str().parse().ok()
    }

    /// The value if this is a boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match &*self.0 {
            b"true" => Some(true),
            b"false" => Some(false),
            _ => None,
        }
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<&serde_json::Value> for Json {
    fn from(value: &serde_json::Value) -> Self {
        Self(value.to_string().into())
    }
}

/// The kind of the value that starts with the first byte of `raw`.
pub(crate) fn kind_of(raw: &[u8]) -> Kind {
    match raw.first() {
        Some(b'{') => Kind::Object,
        Some(b'[') => Kind::Array,
        Some(b'"') => Kind::String,
        Some(b't' | b'f') => Kind::Bool,
        Some(b'n') => Kind::Null,
        _ => Kind::Number,
    }
}

/// Decodes a valid JSON string literal, quotes included.
pub fn text_of(raw: &[u8]) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    Some(scan::decode(inner))
}

/// The text without the insignificant white space around it.
fn trim(mut text: Bytes) -> Bytes {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    let end = text.iter().rposition(|byte| !blank(byte)).map_or(0, |at| at + 1);
    text.truncate(end);
    let start = text.iter().position(|byte| !blank(byte)).unwrap_or(0);
    text.split_off(start)
}

#[cfg(test)]
mod tests;
