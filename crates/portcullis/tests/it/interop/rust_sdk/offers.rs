//! What the server of the Rust SDK lists: the tools, resources and prompts of `tests/README.md`.

use serde_json::{Map, Value, json};

pub(super) const NOTE_URI: &str = "memo://note";
const TONES: [&str; 3] = ["friendly", "formal", "funny"];

/// The tools that a version has, `grown` of them made since the start.
pub(super) fn tools(version: &str, grown: usize) -> Vec<Value> {
    let text = || json!({ "type": "string" });
    let number = || json!({ "type": "number" });
    let kinds = || json!({ "type": "array", "items": { "type": "string" } });
    let mut tools = vec![
        tool("echo", "Returns its message", json!({ "message": text() }), &["message"]),
        tool("count", "Counts, aloud", json!({ "to": number() }), &[]),
        tool("add", "Adds two numbers", json!({ "a": number(), "b": number() }), &["a", "b"]),
        tool("structured", "Returns an object", json!({}), &[]),
        tool("rich", "Returns content of every kind", json!({}), &[]),
        tool("fail", "Always fails", json!({}), &[]),
        tool("slow", "Reports each step", json!({ "steps": number(), "ms": number() }), &[]),
        tool("log", "Logs at three levels", json!({ "message": text() }), &["message"]),
        tool("sample", "Asks the client's model", json!({ "prompt": text() }), &["prompt"]),
        tool("roots", "Returns the roots of the client", json!({}), &[]),
        tool("ask_two", "Asks several questions at once", json!({ "kinds": kinds() }), &[]),
        tool("ask_twice", "Asks several questions in turn", json!({ "kinds": kinds() }), &[]),
        tool("long_task", "May become a task", json!({ "polls": number(), "kinds": kinds() }), &[]),
        tool("touch", "Replaces the note", json!({ "text": text() }), &["text"]),
        tool("grow", "Adds one more tool", json!({}), &[]),
        tool("announce", "Says that a list has changed", json!({ "list": text() }), &["list"]),
        tool("commits", "Counts what has completed", json!({}), &[]),
        tool("requests", "Counts what has been called", json!({}), &[]),
    ];
    if version >= "2025-06-18" {
        tools.push(tool("ask", "Asks the user", json!({ "question": text() }), &["question"]));
        let sum = json!({ "type": "object", "properties": { "sum": number() } });
        publish(&mut tools, "add", sum);
        publish(&mut tools, "structured", json!({ "type": "object" }));
    }
    if version >= "2025-11-25" {
        tools.push(tool("ask_url", "Asks for a visit", json!({ "url": text() }), &[]));
    }
    if version == "2025-11-25" {
        let visit = json!({ "url": text() });
        tools.push(tool("ask_url_first", "Wants a visit before it is called", visit, &[]));
    }
    if version >= "2026-07-28" {
        tools.push(tool("structured_list", "Returns a list", json!({}), &[]));
        publish(&mut tools, "structured_list", json!({ "type": "array", "items": number() }));
    }
    let more = |at| tool(&format!("grown_{at}"), "Was not there before", json!({}), &[]);
    tools.extend((1..=grown).map(more));
    tools
}

fn tool(name: &str, description: &str, properties: Value, required: &[&str]) -> Value {
    let Value::Object(mut properties) = properties else { unreachable!("an object was written") };
    properties.insert("key".into(), json!({ "type": "string" }));
    let mut schema = Map::new();
    schema.insert("type".into(), json!("object"));
    schema.insert("properties".into(), properties.into());
    if !required.is_empty() {
        schema.insert("required".into(), json!(required));
    }
    json!({ "name": name, "description": description, "inputSchema": schema })
}

fn publish(tools: &mut [Value], name: &str, schema: Value) {
    let tool = tools.iter_mut().find(|tool| tool["name"] == name).expect("it was listed");
    tool["outputSchema"] = schema;
}

/// One block of each kind that a version has.
pub(super) fn every_kind(version: &str) -> Vec<Value> {
    let pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII=";
    let silence = "UklGRigAAABXQVZFZm10IBAAAAABAAEARKwAAESsAAABAAgAZGF0YQQAAACAgICA";
    let item = json!({
        "uri": "memo://item/1", "mimeType": "application/json", "text": r#"{"id":"1"}"#,
    });
    let mut content = vec![
        json!({ "type": "text", "text": "every kind" }),
        json!({ "type": "image", "mimeType": "image/png", "data": pixel }),
    ];
    if version >= "2025-03-26" {
        content.push(json!({ "type": "audio", "mimeType": "audio/wav", "data": silence }));
    }
    if version >= "2025-06-18" {
        content.push(json!({ "type": "resource_link", "uri": NOTE_URI, "name": "note" }));
    }
    content.push(json!({ "type": "resource", "resource": item }));
    content
}

pub(super) fn resources() -> Vec<Value> {
    vec![
        json!({ "uri": NOTE_URI, "name": "note", "mimeType": "text/plain" }),
        json!({ "uri": "memo://blob", "name": "blob", "mimeType": "application/octet-stream" }),
    ]
}

pub(super) fn templates() -> Vec<Value> {
    vec![json!({
        "uriTemplate": "memo://item/{id}", "name": "item", "mimeType": "application/json",
    })]
}

/// The content of a resource, if there is one.
pub(super) fn content_of(uri: &str, note: &str) -> Option<Value> {
    match uri {
        NOTE_URI => Some(json!({ "uri": uri, "mimeType": "text/plain", "text": note })),
        "memo://blob" => {
            Some(json!({ "uri": uri, "mimeType": "application/octet-stream", "blob": "AAECAw==" }))
        }
        _ => {
            let id = uri.strip_prefix("memo://item/")?;
            let text = json!({ "id": id }).to_string();
            Some(json!({ "uri": uri, "mimeType": "application/json", "text": text }))
        }
    }
}

pub(super) fn prompts() -> Vec<Value> {
    let argument = |name: &str| json!({ "name": name, "required": true });
    vec![
        json!({ "name": "plain", "description": "A prompt without arguments" }),
        json!({
            "name": "greet", "title": "Greet", "description": "A greeting for somebody",
            "arguments": [argument("name"), argument("tone")],
        }),
    ]
}

/// The text of a prompt, if there is one.
pub(super) fn prompt(name: &str, arguments: &Value) -> Option<String> {
    let argument = |name: &str| arguments[name].as_str().unwrap_or_default().to_owned();
    match name {
        "plain" => Some("Say something.".to_owned()),
        "greet" => Some(format!("Greet {} in a {} tone.", argument("name"), argument("tone"))),
        _ => None,
    }
}

/// What an argument may become that begins as typed.
pub(super) fn completions(argument: &str, typed: &str) -> Vec<&'static str> {
    let values: &[&str] = match argument {
        "tone" => &TONES,
        "id" => &["1", "10", "11", "2"],
        _ => &[],
    };
    values.iter().copied().filter(|value| value.starts_with(typed)).collect()
}
