//! Any text as a header value: plain where it can be, else between the markers of a sentinel.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const SENTINEL_START: &str = "=?base64?";
const SENTINEL_END: &str = "?=";

/// Why a header value cannot be read: JSON-RPC -32020, HTTP 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadHeader {
    /// The value holds bytes that must be encoded: control characters or non-ASCII.
    Characters,
    /// Between the markers is no base64 of the standard alphabet with padding.
    Base64,
    /// The encoded bytes are not UTF-8.
    NotUtf8,
}

impl fmt::Display for BadHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Characters => {
                "the value has control or non-ASCII characters; send it as `=?base64?…?=`"
            }
            Self::Base64 => "the value between `=?base64?` and `?=` is not valid base64",
            Self::NotUtf8 => "the base64 value is not UTF-8",
        })
    }
}

impl std::error::Error for BadHeader {}

/// Writes any text so that it survives as a header value.
pub fn encode_value(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let blank = |byte: Option<&u8>| byte == Some(&b' ');
    let like_sentinel = text.starts_with(SENTINEL_START) && text.ends_with(SENTINEL_END);
    let plain = bytes.iter().all(|byte| matches!(byte, 0x20..=0x7e))
        && !blank(bytes.first())
        && !blank(bytes.last())
        && !like_sentinel;
    if plain {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{SENTINEL_START}{}{SENTINEL_END}", STANDARD.encode(text)))
}

/// Reads what [`encode_value`] wrote; white space around it does not count. A value that lacks either
/// marker is literal.
pub fn decode_value(value: &[u8]) -> Result<Cow<'_, str>, BadHeader> {
    let literal = |byte: &u8| matches!(byte, b'\t' | 0x20..=0x7e);
    if !value.iter().all(literal) {
        return Err(BadHeader::Characters);
    }
    let value = std::str::from_utf8(value).map_err(|_| BadHeader::Characters)?;
    let value = value.trim_matches([' ', '\t']);
    let inner =
        value.strip_prefix(SENTINEL_START).and_then(|inner| inner.strip_suffix(SENTINEL_END));
    let Some(inner) = inner else { return Ok(Cow::Borrowed(value)) };
    let bytes = STANDARD.decode(inner).map_err(|_| BadHeader::Base64)?;
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| BadHeader::NotUtf8)
}
