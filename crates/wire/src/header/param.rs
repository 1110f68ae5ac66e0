//! `x-mcp-header`: the annotation in a tool's input schema that mirrors an argument into a header.

use std::collections::HashSet;
use std::fmt;

use super::{BadHeader, PARAM_PREFIX, decode_value};
use crate::json::{Json, Kind, Object};

mod schema;

pub use schema::params_of_schema;

/// Largest magnitude of a mirrored integer: what a double holds exactly.
const INTEGER_MAX: i64 = (1 << 53) - 1;

/// One argument that is mirrored into a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderParam {
    /// The annotation as written: the header's name without its prefix.
    pub header: String,
    /// The names of the properties that lead to the argument, outermost first; never empty.
    pub path: Vec<String>,
    /// The type that the schema gives the argument.
    pub kind: ParamKind,
}

/// The types that can be mirrored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamKind {
    /// Text, sent as it is.
    String,
    /// An integer within ±(2^53−1), sent in decimal digits.
    Integer,
    /// Sent as `true` or `false`.
    Boolean,
}

/// An annotation that breaks a rule. Clients over HTTP must not offer the tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where in the schema the annotation stands, as a JSON pointer to the schema that has it.
    pub pointer: String,
    /// The rule it breaks.
    pub rule: &'static str,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`x-mcp-header` at `{}` of the input schema: {}", self.pointer, self.rule)
    }
}

impl std::error::Error for Violation {}

/// An argument that cannot be mirrored because it is not of the type that its schema names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsuitable {
    /// The argument, by the names of its properties joined by dots.
    pub argument: String,
    /// What it must be.
    pub expected: &'static str,
}

impl fmt::Display for Unsuitable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "argument `{}` must be {}", self.argument, self.expected)
    }
}

impl std::error::Error for Unsuitable {}

/// Why a header does not mirror its argument: JSON-RPC -32020, HTTP 400 (but for
/// [`Argument`](Self::Argument), which is a wrong argument).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// The argument is there, the header is not.
    Missing,
    /// The header is there, the argument is not.
    Unexpected,
    /// Both are there and differ.
    Different,
    /// The header cannot be read.
    Unreadable(BadHeader),
    /// The argument has the wrong type.
    Argument(Unsuitable),
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("the header is missing, but the body has the argument"),
            Self::Unexpected => f.write_str("the header is there, but the body lacks the argument"),
            Self::Different => f.write_str("the header differs from the argument in the body"),
            Self::Unreadable(bad) => bad.fmt(f),
            Self::Argument(unsuitable) => unsuitable.fmt(f),
        }
    }
}

impl std::error::Error for Mismatch {}

impl HeaderParam {
    /// The whole name of the header, in lower case as HTTP libraries want it.
    pub fn header_name(&self) -> String {
        format!("{PARAM_PREFIX}{}", self.header.to_ascii_lowercase())
    }

    /// The text to mirror, still to be encoded by [`encode_value`](super::encode_value); `None` if
    /// the argument is absent or null, and the header is to be left out.
    pub fn value_in(&self, arguments: &Object) -> Result<Option<String>, Unsuitable> {
        let Some(argument) = self.argument(arguments) else { return Ok(None) };
        let value = match (self.kind, argument.kind()) {
            (_, Kind::Null) => return Ok(None),
            (ParamKind::String, Kind::String) => argument.text().map(String::from),
            (ParamKind::Boolean, Kind::Bool) => Some(argument.as_str().to_owned()),
            (ParamKind::Integer, Kind::Number) => integer(argument.as_str()).map(|n| n.to_string()),
            _ => None,
        };
        value.map(Some).ok_or_else(|| Unsuitable {
            argument: self.path.join("."),
            expected: match self.kind {
                ParamKind::String => "a string",
                ParamKind::Integer => "an integer within ±(2^53−1)",
                ParamKind::Boolean => "a boolean",
            },
        })
    }

    /// Compares a received header (`None` if it is absent) with the arguments in the body. Integers
    /// are compared as numbers.
    pub fn check(&self, header: Option<&[u8]>, arguments: &Object) -> Result<(), Mismatch> {
        let expected = self.value_in(arguments).map_err(Mismatch::Argument)?;
        let (header, expected) = match (header, expected) {
            (None, None) => return Ok(()),
            (None, Some(_)) => return Err(Mismatch::Missing),
            (Some(_), None) => return Err(Mismatch::Unexpected),
            (Some(header), Some(expected)) => (header, expected),
        };
        let header = decode_value(header).map_err(Mismatch::Unreadable)?;
        let same = match self.kind {
            ParamKind::Integer => integer(&header) == integer(&expected),
            ParamKind::String | ParamKind::Boolean => header == expected,
        };
        if same { Ok(()) } else { Err(Mismatch::Different) }
    }

    fn argument(&self, arguments: &Object) -> Option<Json> {
        let (last, parents) = self.path.split_last()?;
        let mut parents = parents.iter();
        match parents.next() {
            None => arguments.get(last),
            Some(first) => {
                let outer = arguments.object(first)?;
                parents.try_fold(outer, |object, name| object.object(name))?.get(last)
            }
        }
    }
}

/// The value of a JSON number if it is an integer within ±(2^53−1), in whatever notation.
fn integer(number: &str) -> Option<i64> {
    let (negative, unsigned) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    // The digits without the zeros around them, and how many places the point stands to their right.
    let digits = [whole, fraction].concat();
    let significant = digits.trim_end_matches('0');
    let cut = i64::try_from(digits.len() - significant.len()).ok()?;
    let shift = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?.checked_add(cut)?;
    let significant = significant.trim_start_matches('0');
    if significant.is_empty() {
        return Some(0);
    }
    // 2^53 has 16 digits: anything longer is out of range, and nothing here can overflow.
    let shift = u32::try_from(shift).ok().filter(|&shift| shift < 16)?;
    if significant.len() > 16 {
        return None;
    }
    let value = significant.parse::<i64>().ok()?.checked_mul(10_i64.pow(shift))?;
    let value = if negative { -value } else { value };
    (-INTEGER_MAX..=INTEGER_MAX).contains(&value).then_some(value)
}
