//! Values against JSON Schema: what does not fit, in words for whoever must mend it.
//!
//! Nothing is fetched, and patterns run on an engine whose time is linear in the text. A pattern that
//! this engine cannot run is not checked.

use std::fmt::Write as _;

use jsonschema::error::ValidationErrorKind;
use jsonschema::paths::LocationSegment;
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::Value;
use wire::Json;

mod certain;
#[cfg(test)]
mod tests;

use certain::Certain;

/// A schema that values are compared with (JSON Schema 2020-12).
#[derive(Debug)]
pub struct Schema {
    validator: Validator,
    /// The same as far as it can be read without a tree of the value; asked first.
    certain: Certain,
    /// The members of the outermost object, to say which name was meant.
    members: Vec<String>,
}

/// Why a schema cannot be used for checking.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(String);

/// One thing that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where: `address.lines[0]`; empty for the value as a whole.
    pub at: String,
    /// What is wrong, and what would be right.
    pub problem: String,
}

/// The size of a compiled pattern in bytes. Those of real documents take some kilobytes; one that
/// takes more is not checked.
const PATTERN_BYTES_MAX: usize = 1 << 20;
/// Longest list of what is possible that is shown, in bytes.
const SHOWN_BYTES_MAX: usize = 400;

impl Schema {
    /// Compiles a schema. Parts with a pattern that cannot be run are left out.
    ///
    /// # Errors
    /// [`Unusable`] where it is no valid schema, or refers to something outside.
    pub fn compile(schema: &[u8]) -> Result<Self, Unusable> {
        let mut schema: Value =
            serde_json::from_slice(schema).map_err(|error| Unusable(error.to_string()))?;
        let built = build(&schema).or_else(|_| {
            drop_patterns(&mut schema);
            build(&schema)
        });
        let validator = built.map_err(|error| Unusable(error.masked().to_string()))?;
        let members = schema["properties"].as_object();
        let members = members.map(|members| members.keys().cloned().collect()).unwrap_or_default();
        let certain = Certain::read(&schema, |pattern| {
            build(&serde_json::json!({ "pattern": pattern })).ok()
        });
        Ok(Self { validator, certain, members })
    }

    /// Whether the value fits.
    pub fn allows(&self, value: &Json) -> bool {
        self.certain.allows(value)
            || parse(value).is_some_and(|value| self.validator.is_valid(&value))
    }

    /// What does not fit, at most `most` things.
    pub fn violations(&self, value: &Json, most: usize) -> Vec<Violation> {
        if self.certain.allows(value) {
            return Vec::new();
        }
        let Some(value) = parse(value) else {
            let problem = "is nested too deeply".to_owned();
            return vec![Violation { at: String::new(), problem }];
        };
        if self.validator.is_valid(&value) {
            return Vec::new();
        }
        let errors = self.validator.iter_errors(&value);
        errors.flat_map(|error| self.violations_of(&error)).take(most).collect()
    }

    fn violations_of(&self, error: &ValidationError<'_>) -> Vec<Violation> {
        let at = path(error);
        let of = |at: String, problem: String| Violation { at, problem };
        match error.kind() {
            ValidationErrorKind::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                vec![of(member(&at, name), "is required and missing".to_owned())]
            }
            ValidationErrorKind::AdditionalProperties { unexpected }
            | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
                let known = if at.is_empty() { self.members.as_slice() } else { &[] };
                let unexpected = unexpected.iter();
                unexpected.map(|name| of(member(&at, name), unknown(name, known))).collect()
            }
            _ => vec![of(at, problem(error))],
        }
    }
}

fn build(schema: &Value) -> Result<Validator, ValidationError<'static>> {
    let patterns =
        PatternOptions::regex().size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_BYTES_MAX);
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .with_pattern_options(patterns)
        .offline()
        .build(schema)
}

/// The value as a tree, as deep as `serde_json` allows.
fn parse(value: &Json) -> Option<Value> {
    let read = |text: &str| serde_json::from_str(text).ok();
    read(value.as_str()).or_else(|| read(&within_floats(value.as_str())))
}

/// JSON text with the largest float in place of numbers beyond all floats, which no tree holds: it is
/// on the same side of every bound.
fn within_floats(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c == '"' || c == '-' || c.is_ascii_digit()) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let len = if rest.starts_with('"') { string_len(rest) } else { number_len(rest) };
        let (token, behind) = rest.split_at(len);
        match token.parse::<f64>() {
            Ok(number) if number.is_infinite() => {
                out.push_str(if number > 0.0 { "" } else { "-" });
                out.push_str("1.7976931348623157e308");
            }
            _ => out.push_str(token),
        }
        rest = behind;
    }
    out.push_str(rest);
    out
}

/// How long the string is with its quotes that a JSON text begins with.
fn string_len(text: &str) -> usize {
    let mut is_escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    });
    end.map_or(text.len(), |end| end + 2)
}

/// How long the number is that a JSON text begins with.
fn number_len(text: &str) -> usize {
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E');
    text.find(|c| !is_part(c)).unwrap_or(text.len())
}

/// Removes what has a pattern that cannot be run. Values that are no schemas stay as they are.
fn drop_patterns(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(drop_patterns),
        Value::Object(members) => {
            if members.get("pattern").and_then(Value::as_str).is_some_and(|it| !runs(it)) {
                members.remove("pattern");
            }
            if let Some(Value::Object(patterns)) = members.get_mut("patternProperties") {
                let whole = patterns.len();
                patterns.retain(|pattern, _| runs(pattern));
                if patterns.len() < whole {
                    // What it matched would now be unexpected.
                    members.remove("additionalProperties");
                    members.remove("unevaluatedProperties");
                }
            }
            for (key, member) in members {
                if !matches!(key.as_str(), "const" | "enum" | "default" | "examples") {
                    drop_patterns(member);
                }
            }
        }
        _ => {}
    }
}

fn runs(pattern: &str) -> bool {
    build(&serde_json::json!({"pattern": pattern})).is_ok()
}

/// `a.b[0]`.
fn path(error: &ValidationError<'_>) -> String {
    let mut path = String::new();
    for segment in error.instance_path().segments() {
        match segment {
            LocationSegment::Property(name) => path = member(&path, &name),
            LocationSegment::Index(at) => {
                let _ = write!(path, "[{at}]");
            }
        }
    }
    path
}

fn member(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn unknown(name: &str, known: &[String]) -> String {
    let near = known.iter().find(|known| {
        let plain = |text: &str| text.to_ascii_lowercase().replace(['_', '-', '.'], "");
        plain(known) == plain(name)
    });
    match near {
        Some(near) => format!("is not known; did you mean `{near}`?"),
        None if known.is_empty() => "is not known; leave it out".to_owned(),
        None => format!("is not known; known are {}", list(known)),
    }
}

fn list(names: &[String]) -> String {
    let mut text = String::new();
    for (at, name) in names.iter().enumerate() {
        if text.len() > SHOWN_BYTES_MAX {
            let _ = write!(text, " and {} more", names.len() - at);
            break;
        }
        let separator = if at > 0 { ", " } else { "" };
        let _ = write!(text, "{separator}`{name}`");
    }
    text
}

/// What is wrong, without the value itself: it may be long, and it may be a secret.
fn problem(error: &ValidationError<'_>) -> String {
    let text = match error.kind() {
        ValidationErrorKind::Type { kind } => match kind {
            jsonschema::error::TypeKind::Single(kind) => {
                format!("must be of type {kind}, and is {}", kind_of(error.instance()))
            }
            jsonschema::error::TypeKind::Multiple(kinds) => {
                let kinds: Vec<_> = kinds.iter().map(|kind| kind.to_string()).collect();
                let kinds = kinds.join(" or ");
                format!("must be of type {kinds}, and is {}", kind_of(error.instance()))
            }
        },
        ValidationErrorKind::Enum { options } => format!("must be one of {options}"),
        ValidationErrorKind::Constant { expected_value } => format!("must be {expected_value}"),
        ValidationErrorKind::Pattern { pattern } => {
            format!("must match the pattern `{pattern}`")
        }
        ValidationErrorKind::FalseSchema => "must not be there; leave it out".to_owned(),
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            match nearest(context) {
                Some(nearest) => format!(
                    "fits none of the alternatives; of the nearest, {} {}",
                    or_it(&path(nearest)),
                    problem_of_branch(nearest)
                ),
                None => "fits none of the alternatives".to_owned(),
            }
        }
        ValidationErrorKind::OneOfMultipleValid { .. } => {
            "fits several alternatives, and must fit exactly one".to_owned()
        }
        kind => bound(kind).unwrap_or_else(|| {
            // In the words of the validator.
            format!("does not fit: {}", error.masked_with("the value"))
        }),
    };
    cut(text)
}

/// A bound that is not kept, as what would be right.
fn bound(kind: &ValidationErrorKind) -> Option<String> {
    use ValidationErrorKind as Kind;
    let text = match kind {
        Kind::Minimum { limit } => format!("must be at least {limit}"),
        Kind::Maximum { limit } => format!("must be at most {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("must be greater than {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("must be less than {limit}"),
        Kind::MultipleOf { multiple_of } => format!("must be a multiple of {multiple_of}"),
        Kind::MinLength { limit: 1 } => "must not be empty".to_owned(),
        Kind::MinLength { limit } => format!("must have at least {}", counted(*limit, "character")),
        Kind::MaxLength { limit } => format!("must have at most {}", counted(*limit, "character")),
        Kind::MinItems { limit } => format!("must have at least {}", counted(*limit, "element")),
        Kind::MaxItems { limit } => format!("must have at most {}", counted(*limit, "element")),
        Kind::MinProperties { limit } => {
            format!("must have at least {}", counted(*limit, "member"))
        }
        Kind::MaxProperties { limit } => format!("must have at most {}", counted(*limit, "member")),
        Kind::UniqueItems => "must not have the same element twice".to_owned(),
        Kind::Contains => "has no element, or not as many, as it must have".to_owned(),
        Kind::Not { schema } => format!("must not fit {schema}"),
        _ => return None,
    };
    Some(text)
}

fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// The first error of the alternative that has the fewest.
fn nearest<'e>(
    context: &'e [Vec<ValidationError<'static>>],
) -> Option<&'e ValidationError<'static>> {
    context.iter().filter(|errors| !errors.is_empty()).min_by_key(|errors| errors.len())?.first()
}

/// Alternatives within alternatives are not told.
fn problem_of_branch(error: &ValidationError<'_>) -> String {
    match error.kind() {
        ValidationErrorKind::Required { property } => format!("lacks {property}"),
        ValidationErrorKind::AnyOf { .. } | ValidationErrorKind::OneOfNotValid { .. } => {
            "fits none of its own alternatives".to_owned()
        }
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            format!("must not have {}", list(unexpected))
        }
        _ => problem(error),
    }
}

fn or_it(path: &str) -> String {
    if path.is_empty() { "it".to_owned() } else { format!("`{path}`") }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn cut(mut text: String) -> String {
    if text.len() > SHOWN_BYTES_MAX {
        let end = (0..=SHOWN_BYTES_MAX).rev().find(|&at| text.is_char_boundary(at));
        text.truncate(end.unwrap_or_default());
        text.push('…');
    }
    text
}
