//! Tools that are made of calls of servers of both eras, as every SDK's client sees them.

use serde_json::{Value, json};

use super::client::{LEGACY, MODERN, V2_AUTO};
use super::parts::Parts;
use super::script::{call, check, script, step};
use super::server::{Listening, gate};

/// Tools that join, choose, repeat and fail.
fn tools() -> Value {
    let number = json!({ "type": "integer", "required": true });
    json!({
        "sum": {
            "description": "Adds two numbers at one server and says the sum at the other.",
            "arguments": { "a": number, "b": number, "loud": { "type": "boolean", "default": false } },
            "steps": [
                { "name": "added", "call": "new/add", "with": { "a": "= args.a", "b": "= args.b" } },
                { "parallel": [
                    { "name": "said", "call": "old/echo", "with": { "message": "= 'the sum is ' + string(added.sum)" } },
                    { "name": "shouted", "call": "old/echo", "with": { "message": "SUM" },
                      "when": "args.loud", "otherwise": "quiet" },
                ] },
            ],
            "result": { "sum": "= added.sum", "said": "= said", "shouted": "= shouted" },
            "output": {
                "type": "object",
                "properties": { "sum": { "type": "integer" }, "said": { "type": "string" } },
                "required": ["sum", "said"],
            },
        },
        "all": {
            "arguments": { "words": "array" },
            "steps": [{ "name": "echoes", "call": "new/echo", "each": "args.words", "with": { "message": "= item" } }],
        },
        "broken": {
            "steps": [
                { "name": "one", "call": "old/fail", "on_error": "continue" },
                { "name": "two", "call": "old/fail", "when": "has(errors.one)" },
            ],
        },
    })
}

#[test]
fn every_client_calls_several_servers_at_once() {
    let Some(parts) = Parts::find() else { return };
    let home = tempfile::tempdir().expect("a directory can be made");
    let (legacy, modern) = (Listening::legacy(&parts), Listening::modern(&parts));
    let servers = json!({
        "old": { "url": legacy.url },
        "new": { "url": modern.url },
        "both": { "compose": tools() },
    });
    let gate = gate(home.path(), &json!({ "servers": servers }));
    for (endpoint, prefix) in [("/servers/both/mcp", ""), ("/mcp", "both__")] {
        for client in LEGACY.into_iter().chain(MODERN).chain([V2_AUTO]) {
            let named = |tool: &str| format!("{prefix}{tool}");
            let steps = [
                step(json!({ "op": "tools/list" })).lists(
                    "tools",
                    "name",
                    &[&named("sum"), &named("all")],
                ),
                call(&named("sum"), json!({ "a": 40, "b": 2 }))
                    .gives("/structuredContent/sum", 42)
                    .gives("/structuredContent/said", "the sum is 42")
                    .gives("/structuredContent/shouted", "quiet"),
                step(json!({
                    "op": "tools/call", "name": named("sum"), "progress": true,
                    "arguments": { "a": 1, "b": 2, "loud": true },
                }))
                .gives("/structuredContent/shouted", "SUM")
                .reports("/progress/0/message", "added"),
                call(&named("all"), json!({ "words": ["a", "b"] })).says(r#"["a","b"]"#),
                call(&named("broken"), json!({})).gives("/isError", true).mentions("`old/fail`"),
                call(&named("sum"), json!({ "a": "one", "b": 2 }))
                    .gives("/isError", true)
                    .mentions("`a` must be of type integer"),
            ];
            let report = client.run(&parts, &gate.url(endpoint), &script(&steps, &json!({})));
            check(&format!("{client:?} at {endpoint}"), &steps, &report);
        }
    }
}
