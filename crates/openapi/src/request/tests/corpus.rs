//! Calls of the tools of real documents, of which the environment variable `PORTCULLIS_CORPUS` names
//! the folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::*;
use crate::api;
use crate::tool::Options;

struct Files(PathBuf);

impl Loader for Files {
    fn load(&mut self, url: &Url, _: &Url) -> Result<String, String> {
        let path = url.to_file_path().map_err(|()| format!("{url} is no file"))?;
        if !path.starts_with(&self.0) {
            return Err(format!("{url} is outside of the folder"));
        }
        fs::read_to_string(path).map_err(|error| error.to_string())
    }
}

/// A text with everything in it that has a meaning somewhere.
const HARD: &str = "a b&c=d/e?f+g%h";

#[test]
fn tools_of_real_documents_can_be_called() {
    let Some(folder) = std::env::var_os("PORTCULLIS_CORPUS") else {
        println!("SKIPPED: PORTCULLIS_CORPUS does not name the folder of the corpus");
        return;
    };
    let folder = PathBuf::from(folder).join("documents");
    let (mut calls, mut refused) = (0, 0);
    let mut why: BTreeMap<String, usize> = BTreeMap::new();
    for entry in fs::read_dir(&folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let url = Url::from_file_path(&path).expect("a path");
        let mut files = Files(folder.clone());
        let loaded = api::load(&text, &url, "document", &mut files, &[], &Options::default());
        for api::Offered { tool, plan, .. } in loaded.expect("it loads").tools {
            let definition: Value = serde_json::from_slice(&tool.definition).expect("valid JSON");
            let schema = &definition["inputSchema"];
            for all in [false, true] {
                let Some(arguments) = sample(schema, schema, all, 0) else { continue };
                let text = arguments.to_string();
                calls += 1;
                match plan.build(&tool, &object(&text), "BOUNDARY") {
                    Ok(built) => check(&tool, &built, &arguments),
                    Err(error) => {
                        refused += 1;
                        *why.entry(error.problem).or_default() += 1;
                    }
                }
            }
        }
    }
    println!("{calls} calls, {refused} of them refused");
    for (problem, count) in &why {
        println!("{count} {problem}");
    }
    assert!(calls > 0 && refused * 100 < calls, "more than 1 % of the calls are refused");
}

/// Whether texts are where they belong.
fn check(tool: &Tool, built: &Built, arguments: &Value) {
    let name = &tool.name;
    let url = Url::parse(&format!("http://host{}", built.path_and_query));
    let url = url.unwrap_or_else(|error| panic!("{name}: {error}: {}", built.path_and_query));
    let segments = tool.operation.target().0.matches('/').count();
    assert_eq!(url.path().matches('/').count(), segments, "{name}: {url}");
    for argument in &tool.arguments {
        let Some(value) = arguments.get(&argument.name).and_then(Value::as_str) else { continue };
        let Some(parameter) = parameter_of(tool, argument) else { continue };
        if parameter.content.is_some() || parameter.allow_reserved {
            continue;
        }
        let is_there = match parameter.location {
            Location::Query => {
                url.query_pairs().any(|(key, text)| key == parameter.name && text == value)
            }
            Location::Path => {
                let path = percent_encoding::percent_decode_str(url.path()).decode_utf8_lossy();
                path.contains(value)
            }
            Location::Header => {
                let is_framing = FRAMING.iter().any(|it| parameter.name.eq_ignore_ascii_case(it));
                let stated = built.content_type.as_deref();
                is_framing || header(built, &parameter.name).or(stated).is_some()
            }
            _ => true,
        };
        assert!(is_there, "{name}: {} is not in {url}", argument.name);
    }
}

/// A value that fits a schema more or less; `None` where that is too hard.
fn sample(schema: &Value, root: &Value, all: bool, depth: usize) -> Option<Value> {
    if depth > 12 {
        return None;
    }
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        return sample(root.pointer(reference.strip_prefix('#')?)?, root, all, depth + 1);
    }
    if let Some(value) = schema.get("const").or_else(|| schema.get("enum")?.get(0)) {
        return Some(value.clone());
    }
    for key in ["oneOf", "anyOf", "allOf"] {
        if let Some(first) = schema.get(key).and_then(|it| it.get(0)) {
            return sample(first, root, all, depth + 1);
        }
    }
    let kind = schema.get("type");
    let kind = kind.and_then(|it| it.as_str().or_else(|| it.get(0)?.as_str()));
    Some(match kind {
        Some("object") => {
            let mut members = Map::new();
            let required = schema.get("required").and_then(Value::as_array);
            let is_required =
                |key: &String| required.is_some_and(|it| it.iter().any(|it| it == key));
            for (key, property) in schema.get("properties").and_then(Value::as_object)? {
                if is_required(key) || (all && depth < 3) {
                    match sample(property, root, all, depth + 1) {
                        Some(value) => drop(members.insert(key.clone(), value)),
                        None if is_required(key) => return None,
                        None => {}
                    }
                }
            }
            Value::Object(members)
        }
        Some("array") => match schema.get("items") {
            Some(items) => json!([sample(items, root, all, depth + 1)?]),
            None => json!([1]),
        },
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
        Some("boolean") => json!(true),
        Some("null") => Value::Null,
        _ if schema.get("contentEncoding").is_some() => json!("aGk="),
        _ => json!(HARD),
    })
}
