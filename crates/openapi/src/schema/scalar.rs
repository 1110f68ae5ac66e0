//! Types, numbers and other single values of schemas, as they are meant.

use wire::json::{Json, Kind as JsonKind};

use super::{Keywords, Library};
use crate::model::{At, Dialect};
use crate::report::Severity;
use crate::tree::{Kind, Value};

/// The types that a schema allows; none means all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Types {
    list: Vec<&'static str>,
    /// Whether it is `file` of 2.0: a text that stands for bytes.
    pub(super) is_file: bool,
}

/// Reads `type`, and reports what it cannot mean.
pub(super) fn types(library: &mut Library<'_>, at: At) -> Types {
    let mut types = Types::default();
    let Some(value) = library.value(at).get("type") else { return types };
    let at_type = At { node: value.id(), ..at };
    let written: Vec<Value<'_>> = match value.kind() {
        Kind::Array => value.elements().collect(),
        _ => vec![value],
    };
    for one in written {
        let Some(name) = one.scalar() else { continue };
        types.is_file |= name.eq_ignore_ascii_case("file");
        let Some(known) = type_of(name) else {
            let message = format!("`{name}` is no type; it is left out");
            library.find(Severity::Warning, "type-unknown", at_type, message);
            return Types::default();
        };
        if known != name && name != "file" {
            let message = format!("the type `{name}` was read as `{known}`");
            library.find(Severity::Note, "keyword-corrected", at_type, message);
        }
        if !types.list.contains(&known) {
            types.list.push(known);
        }
    }
    let is_older = matches!(library.dialect(at), Dialect::Swagger20 | Dialect::OpenApi30);
    if is_older && types.list == ["array"] && library.value(at).get("items").is_none() {
        let message = "a list without `items`: anything may be in it";
        library.find(Severity::Note, "items-missing", at, message);
    }
    types
}

/// The type that a word means; many are written that no version of OpenAPI knows.
fn type_of(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    Some(match name.as_str() {
        "string" | "file" | "str" | "text" | "date" | "datetime" | "date-time" | "uuid" | "uri"
        | "url" | "enum" => "string",
        "integer" | "int" | "int32" | "int64" | "long" => "integer",
        "number" | "float" | "double" | "decimal" => "number",
        "boolean" | "bool" => "boolean",
        "array" | "list" => "array",
        "object" | "map" | "dict" | "hash" => "object",
        "null" => "null",
        _ => return None,
    })
}

impl Types {
    /// The value of `type`.
    pub(super) fn json(&self) -> Option<String> {
        match self.list.as_slice() {
            [] => None,
            [one] => Some(quoted(one)),
            several => Some(list(several)),
        }
    }

    /// Whether `null` is named.
    pub(super) fn has_null(&self) -> bool {
        self.list.contains(&"null")
    }

    /// Whether a text is possible, and of texts, numbers and the like nothing else.
    pub(super) fn is_text(&self) -> bool {
        self.list.is_empty() || self.only() == Some("string")
    }

    /// Those that a schema of the library allows.
    pub(crate) fn of(schema: &Keywords) -> Self {
        let written = schema.json("type").unwrap_or_default();
        let names = ["string", "integer", "number", "boolean", "array", "object", "null"];
        let is_there = |name: &&str| written.contains(&quoted(name));
        Self { list: names.into_iter().filter(is_there).collect(), is_file: false }
    }

    /// An example as JSON; `None` if it is of another type, and would only mislead. Objects and lists
    /// are often written as a text.
    pub(crate) fn example(&self, value: Value<'_>) -> Option<String> {
        let (text, _) = self.fitted(value);
        if self.allows(kind_of(&text)) {
            return Some(text);
        }
        let inner = value.as_str()?;
        let parsed = Json::parse(inner.to_owned().into(), &wire::json::Limits::CLIENT).ok()?;
        self.allows(parsed.kind()).then(|| parsed.as_str().to_owned())
    }

    /// Whether the type of a value, read as it is meant, is none of these.
    pub(super) fn excludes(&self, value: Value<'_>) -> bool {
        !self.allows(kind_of(&self.fitted(value).0))
    }

    fn allows(&self, kind: JsonKind) -> bool {
        let names: &[&str] = match kind {
            JsonKind::Object => &["object"],
            JsonKind::Array => &["array"],
            JsonKind::String => &["string"],
            JsonKind::Number => &["number", "integer"],
            JsonKind::Bool => &["boolean"],
            JsonKind::Null => &["null"],
        };
        self.list.is_empty() || self.list.iter().any(|name| names.contains(name))
    }

    /// The only type besides `null`.
    pub(super) fn only(&self) -> Option<&'static str> {
        let mut others = self.list.iter().filter(|name| **name != "null");
        others.next().copied().filter(|_| others.next().is_none())
    }

    /// A value as JSON, as the type it must have where it is clear what is meant: YAML makes numbers
    /// and booleans of texts that look like them. Also whether it was changed.
    pub(super) fn fitted(&self, value: Value<'_>) -> (String, bool) {
        let text = value.scalar().unwrap_or_default();
        let fitted = match (self.only(), value.kind()) {
            (Some("string"), Kind::Number | Kind::Bool) => value.written().map(quoted),
            (Some("integer" | "number"), Kind::String) => {
                Some(text.trim().to_owned()).filter(|text| is_number(text))
            }
            (Some("boolean"), Kind::String | Kind::Number) => match text {
                "true" | "1" => Some("true".to_owned()),
                "false" | "0" => Some("false".to_owned()),
                _ => None,
            },
            _ => None,
        };
        if let Some(fitted) = fitted {
            return (fitted, true);
        }
        let mut text = Vec::new();
        value.write_json(&mut text);
        (String::from_utf8(text).expect("JSON text is UTF-8"), false)
    }
}

fn kind_of(json: &str) -> JsonKind {
    Json::trusted(json.to_owned()).kind()
}

/// A text as JSON.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    wire::json::write_string(&mut out, text);
    String::from_utf8(out).expect("JSON text is UTF-8")
}

/// Texts as a JSON list.
pub(crate) fn list(texts: &[&str]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    format!("[{}]", texts.join(","))
}

/// The beginning of a text, and an ellipsis where something follows.
pub(crate) fn cut(text: &str, len_max: usize) -> String {
    if text.len() <= len_max {
        return text.to_owned();
    }
    let mut end = len_max.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", text[..end].trim_end())
}

/// Whether a text is a number as JSON writes it.
pub(super) fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|text| digits(text.strip_prefix(['+', '-']).unwrap_or(text)))
}

/// A whole number from 0 as JSON, also if it is written as `2.0` or `1e3`.
pub(super) fn count(text: &str) -> Option<String> {
    let text = text.trim();
    if !is_number(text) || text.starts_with('-') && text != "-0" {
        return None;
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(text.to_owned());
    }
    let number: f64 = text.parse().ok()?;
    (number.fract() == 0.0 && number.abs() < 9e15).then(|| format!("{}", number.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (text, is) in [
            ("0", true),
            ("-1.5e+3", true),
            ("123456789012345678901234567890", true),
            ("01", false),
            ("1.", false),
            (".5", false),
            ("", false),
            ("1e", false),
            ("NaN", false),
        ] {
            assert_eq!(is_number(text), is, "{text}");
        }
        for (text, is) in [
            ("7", Some("7")),
            ("2.0", Some("2")),
            ("1e3", Some("1000")),
            ("1.5", None),
            ("-1", None),
        ] {
            assert_eq!(count(text).as_deref(), is, "{text}");
        }
    }

    #[test]
    fn cuts_stand_between_characters() {
        assert_eq!(cut("äöüäöü", 8), "äö…");
        assert_eq!(cut("short", 8), "short");
    }
}
