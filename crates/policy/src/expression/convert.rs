//! JSON values as those of CEL, and back.

use std::collections::HashMap;
use std::sync::Arc;

use cel::objects::{Key, Map, OptionalValue};
use cel::{ExecutionError, Value};
use wire::Json;

use super::Failure;

/// A JSON value. Whole numbers that have room in 64 bits are whole numbers, all others fractions.
pub(super) fn from_json(json: &Json) -> Result<Value, Failure> {
    let value: serde_json::Value =
        serde_json::from_slice(json.as_bytes()).map_err(|error| Failure(problem_of(&error)))?;
    Ok(from_tree(value))
}

/// Why valid JSON is no value for expressions.
fn problem_of(error: &serde_json::Error) -> String {
    let what = if error.to_string().contains("out of range") {
        "a number is larger than expressions can reckon with (1e308)"
    } else {
        "a value is nested too deeply"
    };
    what.to_owned()
}

fn from_tree(value: serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Bool(value),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => Value::Int(whole),
            (None, Some(whole)) => Value::UInt(whole),
            (None, None) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(text) => Value::String(Arc::new(text)),
        serde_json::Value::Array(items) => {
            Value::List(Arc::new(items.into_iter().map(from_tree).collect()))
        }
        serde_json::Value::Object(members) => {
            let members = members.into_iter();
            let map: HashMap<Key, Value> = members
                .map(|(key, value)| (Key::String(Arc::new(key)), from_tree(value)))
                .collect();
            Value::Map(Map { map: Arc::new(map) })
        }
    }
}

/// How many elements the longest list or object in a value has.
pub(super) fn longest(value: &Value) -> u64 {
    match value {
        Value::List(items) => items.iter().map(longest).fold(items.len() as u64, u64::max),
        Value::Map(map) => map.map.values().map(longest).fold(map.map.len() as u64, u64::max),
        _ => 0,
    }
}

/// A value as JSON, at most `bytes_max` long. Members of objects that were computed have no order of
/// their own, and are sorted.
pub(super) fn to_json(value: &Value, bytes_max: usize) -> Result<Json, Failure> {
    let mut out = Vec::new();
    write(value, &mut out, bytes_max)?;
    Ok(Json::trusted(out))
}

fn write(value: &Value, out: &mut Vec<u8>, bytes_max: usize) -> Result<(), Failure> {
    match value {
        Value::List(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write(item, out, bytes_max)?;
            }
            out.push(b']');
        }
        Value::Map(map) => {
            let mut members: Vec<_> =
                map.map.iter().map(|(key, value)| (key.to_string(), value)).collect();
            members.sort_by(|one, other| one.0.cmp(&other.0));
            out.push(b'{');
            for (at, (key, value)) in members.into_iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                wire::json::write_string(out, &key);
                out.push(b':');
                write(value, out, bytes_max)?;
            }
            out.push(b'}');
        }
        Value::Opaque(_) if optional(value).is_some() => {
            let inner = optional(value).and_then(OptionalValue::value).unwrap_or(&Value::Null);
            write(inner, out, bytes_max)?;
        }
        Value::String(text) => wire::json::write_string(out, text),
        Value::Float(number) if !number.is_finite() => {
            return Err(Failure(format!("`{number}` is no JSON number")));
        }
        other => {
            let tree = other
                .json()
                .map_err(|_| Failure(format!("{} cannot be written as JSON", kind(other))))?;
            out.extend_from_slice(tree.to_string().as_bytes());
        }
    }
    if out.len() > bytes_max {
        return Err(Failure(format!("its value is longer than {bytes_max} bytes")));
    }
    Ok(())
}

fn optional(value: &Value) -> Option<&OptionalValue> {
    <&OptionalValue>::try_from(value).ok()
}

/// Whether it is an optional value that is not there.
pub(super) fn is_absent(value: &Value) -> bool {
    optional(value).is_some_and(|optional| optional.value().is_none())
}

/// What a value is, in the words of a reader.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::List(_) => "a list",
        Value::Map(_) | Value::Struct(_) => "an object",
        Value::Int(_) | Value::UInt(_) | Value::Float(_) => "a number",
        Value::String(_) => "a text",
        Value::Bytes(_) => "bytes",
        Value::Bool(_) => "a boolean",
        Value::Duration(_) => "a duration",
        Value::Timestamp(_) => "a time",
        Value::Opaque(_) => "an optional value",
        Value::Function(..) => "a function",
        Value::Null => "null",
    }
}

/// Why an expression has no value, without the values themselves: they may be long, or secret.
pub(super) fn told(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => format!("there is no member `{key}`"),
        ExecutionError::NoSuchOverload(overload) => {
            let types = overload.argument_types().join("` and `");
            format!("`{}` does not take `{types}`", plain(overload.function()))
        }
        ExecutionError::UndeclaredReference(name) => format!("nothing here is called `{name}`"),
        ExecutionError::IndexOutOfBounds(_) => "a list is shorter than its index".to_owned(),
        ExecutionError::UnsupportedIndex(of, by) => {
            format!("{} has no place for {} as index", kind(of), kind(by))
        }
        ExecutionError::ValuesNotComparable(one, other) => {
            format!("{} and {} cannot be compared", kind(one), kind(other))
        }
        ExecutionError::UnsupportedBinaryOperator(operator, one, other) => {
            format!("`{operator}` does not take {} and {}", kind(one), kind(other))
        }
        ExecutionError::UnexpectedType { got, want } => {
            format!("{want} is needed, and this is {got}")
        }
        ExecutionError::UnsupportedTargetType { target } => {
            format!("a function does not take {}", kind(target))
        }
        ExecutionError::NotSupportedAsMethod { method, target } => {
            format!("`{method}` does not take {}", kind(target))
        }
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "this divides by zero".to_owned()
        }
        ExecutionError::Overflow(..) => "a number becomes too large".to_owned(),
        ExecutionError::FunctionError { function, message } => {
            format!("`{}`: {message}", plain(function))
        }
        ExecutionError::InvalidArgumentCount { expected, actual } => {
            format!("a function takes {expected} arguments and was given {actual}")
        }
        ExecutionError::DuplicateKey(_) => "an object has the same member twice".to_owned(),
        _ => "it cannot be computed".to_owned(),
    }
}

/// An operator as people write it: `_+_` is `+`.
fn plain(function: &str) -> &str {
    match function.trim_matches('_') {
        "" => function,
        "@in" => "in",
        "[_]" => "[…]",
        name => name,
    }
}
