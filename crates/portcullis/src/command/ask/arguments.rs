//! Arguments of tools from `key=value` words: text, unless the tool's schema wants something else.

use anyhow::{Context as _, bail};
use serde_json::{Map, Value};
use wire::Object;

/// Splits a word at its first `=`.
pub(super) fn parse_pair(word: &str) -> Result<(String, String), String> {
    match word.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("`{word}` is no argument; write key=value, or use --args with JSON")),
    }
}

/// The arguments as JSON, each of the type that the input schema names for it.
pub(super) fn typed(pairs: &[(String, String)], schema: &Object) -> anyhow::Result<Value> {
    let schema: Value = serde_json::from_slice(schema.to_json(&[]).as_bytes())?;
    let mut arguments = Map::new();
    for (key, text) in pairs {
        let value = of_type(text, &schema["properties"][key]["type"])
            .with_context(|| format!("the argument `{key}`"))?;
        if arguments.insert(key.clone(), value).is_some() {
            bail!("the argument `{key}` is given twice");
        }
    }
    Ok(Value::Object(arguments))
}

fn of_type(text: &str, wanted: &Value) -> anyhow::Result<Value> {
    let types: Vec<&str> = match wanted {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if types.is_empty() || types.contains(&"string") {
        return Ok(Value::String(text.to_owned()));
    }
    let fits = |value: &Value| {
        let kind = kind(value);
        types.contains(&kind) || (kind == "integer" && types.contains(&"number"))
    };
    let value = serde_json::from_str(text).ok().filter(fits);
    value.with_context(|| format!("expected {}, found {text:?}", types.join(" or ")))
}

/// The word of JSON Schema for a value's type.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() || number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn typed_text(pairs: &[&str]) -> anyhow::Result<String> {
        let schema = r#"{"properties":{"n":{"type":"integer"},"x":{"type":"number"},
            "s":{"type":"string"},"l":{"type":["array","null"]},"b":{"type":"boolean"}}}"#;
        let schema = Object::of_valid(&Bytes::from_static(schema.as_bytes())).unwrap();
        let pairs: Vec<_> = pairs.iter().map(|pair| parse_pair(pair).unwrap()).collect();
        typed(&pairs, &schema).map(|value| value.to_string())
    }

    #[test]
    fn arguments_have_the_types_of_the_schema() {
        let written = typed_text(&["n=5", "x=5", "s=5", "l=[1]", "b=true", "unknown=1"]).unwrap();
        assert_eq!(written, r#"{"b":true,"l":[1],"n":5,"s":"5","unknown":"1","x":5}"#);
        for (wrong, said) in [("n=x", "expected integer, found \"x\""), ("b=1", "expected boolean")]
        {
            let error = format!("{:#}", typed_text(&[wrong]).unwrap_err());
            assert!(error.contains(said), "{error}");
        }
        assert!(typed_text(&["n=1", "n=2"]).is_err());
        assert!(parse_pair("word").is_err());
    }
}
