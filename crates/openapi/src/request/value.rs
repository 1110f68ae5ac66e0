//! Arguments as styles see them: nothing, one text, a list, or members.

use std::borrow::Cow;
use std::fmt::Write;

use wire::json::{Json, Kind};

/// A value by what a style distinguishes.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// `null`.
    Nothing,
    /// A string, number or boolean as text; numbers keep their digits.
    Scalar(String),
    /// The elements of a list.
    List(Vec<Json>),
    /// The members of an object.
    Members(Vec<(String, Json)>),
}

impl Value {
    pub(super) fn of(json: &Json) -> Self {
        match json.kind() {
            Kind::Null => Self::Nothing,
            Kind::Array => Self::List(json.elements().unwrap_or_default()),
            Kind::Object => Self::Members(members(json)),
            Kind::String | Kind::Number | Kind::Bool => {
                Self::Scalar(text(json).unwrap_or_default())
            }
        }
    }
}

/// The members of an object in order; none of anything else.
pub(super) fn members(json: &Json) -> Vec<(String, Json)> {
    let object = json.object();
    object
        .iter()
        .flat_map(|object| object.members().map(|(key, value)| (key.into_owned(), value)))
        .collect()
}

/// A value as one text: strings as they are, whole numbers as digits alone, lists and objects as JSON
/// without white space. `null` has none (RFC 6570 §2.3).
pub(super) fn text(json: &Json) -> Option<String> {
    match json.kind() {
        Kind::Null => None,
        Kind::String => json.text().map(Cow::into_owned),
        Kind::Number => Some(number(json.as_str()).into_owned()),
        Kind::Bool => Some(json.as_str().to_owned()),
        Kind::Array | Kind::Object => Some(compact(json.as_str())),
    }
}

/// Most digits that an exponent is written out to.
const DIGITS_MAX: usize = 40;

/// A number as servers read it outside of JSON: `5.0` and `5e0`, as some clients write a whole number,
/// are `5`. All others keep their digits.
fn number(written: &str) -> Cow<'_, str> {
    let (mantissa, exponent) = written.split_once(['e', 'E']).unwrap_or((written, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    let is_plain = whole.len() == written.len();
    let Some(exponent) = exponent.parse::<usize>().ok().filter(|it| *it <= DIGITS_MAX) else {
        return Cow::Borrowed(written);
    };
    let Some(zeros) = exponent.checked_sub(fraction.len()).filter(|_| !is_plain) else {
        return Cow::Borrowed(written);
    };
    let sign = if whole.starts_with('-') { "-" } else { "" };
    let digits = format!("{}{fraction}{}", whole.trim_start_matches('-'), "0".repeat(zeros));
    match digits.trim_start_matches('0') {
        "" => Cow::Borrowed("0"),
        digits => Cow::Owned(format!("{sign}{digits}")),
    }
}

/// JSON text without the white space between its tokens.
pub(super) fn compact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut in_string, mut is_escaped) = (false, false);
    for character in text.chars() {
        if in_string {
            in_string = is_escaped || character != '"';
            is_escaped = !is_escaped && character == '\\';
        } else if character.is_ascii_whitespace() {
            continue;
        } else {
            in_string = character == '"';
        }
        out.push(character);
    }
    out
}

/// JSON text in ASCII: other characters, which stand in strings and keys only, as `\u` escapes.
pub(super) fn ascii(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if character.is_ascii() {
            out.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            write!(out, "\\u{unit:04x}").expect("a String takes everything");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_digits() {
        for number in ["12345678901234567890123", "1.10", "-0", "1e400"] {
            assert_eq!(text(&Json::trusted(number.to_owned())).as_deref(), Some(number));
        }
    }

    #[test]
    fn whole_numbers_are_digits() {
        let pairs = [
            ("5.0", "5"),
            ("-5.00", "-5"),
            ("1e2", "100"),
            ("1.5E+1", "15"),
            ("0.0", "0"),
            ("-0.0", "0"),
            ("0.5e1", "5"),
            ("1.5", "1.5"),
            ("15e-1", "15e-1"),
            ("1.25e1", "1.25e1"),
            ("10", "10"),
        ];
        for (written, sent) in pairs {
            assert_eq!(text(&Json::trusted(written)).as_deref(), Some(sent), "{written}");
        }
    }

    #[test]
    fn white_space_in_strings_stays() {
        let written = r#"{ "a b" : [ 1 , "x \" y\\" , { } ] }"#;
        assert_eq!(compact(written), r#"{"a b":[1,"x \" y\\",{}]}"#);
        assert_eq!(ascii("\"é😀\""), "\"\\u00e9\\ud83d\\ude00\"");
    }
}
