//! The reasons why a text is refused.

use std::fmt;

/// What was wrong with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The text is longer than the limit.
    TooLong,
    /// The bytes are not UTF-8.
    NotUtf8,
    /// The text starts with a byte order mark.
    ByteOrderMark,
    /// A token that JSON does not allow there.
    Syntax,
    /// The text ends in the middle of a value.
    Incomplete,
    /// Bytes follow the value.
    TrailingBytes,
    /// An unescaped control character in a string.
    ControlCharacter,
    /// An escape sequence that JSON does not have.
    Escape,
    /// A number that JSON does not allow.
    Number,
    /// The same key twice in one object.
    DuplicateKey,
    /// A key that differs only in case from a member the gate reads.
    CaseVariant,
    /// A key that contains NUL or a lone surrogate.
    ForbiddenKey,
    /// A key longer than the limit.
    KeyTooLong,
    /// Nesting deeper than the limit.
    TooDeep,
    /// More values than the limit.
    TooManyValues,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the text is longer than the limit",
            Self::NotUtf8 => "the text is not UTF-8",
            Self::ByteOrderMark => "the text starts with a byte order mark",
            Self::Syntax => "unexpected token",
            Self::Incomplete => "the text ends in the middle of a value",
            Self::TrailingBytes => "unexpected bytes after the value",
            Self::ControlCharacter => "unescaped control character in a string",
            Self::Escape => "invalid escape sequence",
            Self::Number => "invalid number",
            Self::DuplicateKey => "duplicate key",
            Self::CaseVariant => "key differs only in case from a protocol member",
            Self::ForbiddenKey => "key contains NUL or a lone surrogate",
            Self::KeyTooLong => "key is longer than the limit",
            Self::TooDeep => "nesting is deeper than the limit",
            Self::TooManyValues => "more values than the limit",
        })
    }
}
