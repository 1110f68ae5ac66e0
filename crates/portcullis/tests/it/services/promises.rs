//! Answers that are not what the document promises, before the clients that check what they get: each
//! says what the API has done, and none is thrown away.

use serde_json::{Value, json};
use testkit::ScriptedServer;

use super::service::{gate, path};
use crate::interop::client::{Client, PYTHON_AUTO, PYTHON_LEGACY, V1, V2_LEGACY, V2_MODERN};
use crate::interop::parts::Parts;
use crate::interop::rust_sdk::player;
use crate::interop::script::{Step, call, check, script, step};

const STRICT: [Client; 5] = [V1, V2_LEGACY, V2_MODERN, PYTHON_LEGACY, PYTHON_AUTO];

/// `answer` promises an object, `list` what older clients are promised wrapped.
fn document() -> Value {
    let item = json!({"type": "object", "required": ["name"], "properties": {
        "name": {"type": "string", "pattern": "^(?!x)"},
        "at": {"type": "string", "format": "date-time"},
        "price": {"type": "number", "multipleOf": 0.01}}});
    let kind =
        json!([{"name": "kind", "in": "path", "required": true, "schema": {"type": "string"}}]);
    let operation = |name: &str, schema: Value| {
        json!({"post": {"operationId": name, "parameters": kind, "responses": {"200": {
            "description": "It", "content": {"application/json": {"schema": schema}}}}}})
    };
    json!({
        "openapi": "3.1.0", "info": {"title": "Promises", "version": "1"},
        "paths": {
            "/answer/{kind}": operation("answer", item.clone()),
            "/list/{kind}": operation("list", json!({"type": "array", "items": item})),
        },
    })
}

async fn api() -> ScriptedServer {
    ScriptedServer::start(|mut exchange| async move {
        let target = exchange.request().target.clone();
        let kind = target.rsplit('/').next().unwrap_or_default();
        let json = ("Content-Type", "application/json");
        // A time without its zone, and what is no multiple in binary: clients judge them differently.
        let good = r#"{"name":"xylo","at":"2026-01-02 03:04:05","price":19.99}"#;
        let (status, headers, body) = match kind {
            "good" if target.starts_with("/list") => (200, vec![json], format!("[{good}]")),
            "good" => (200, vec![json], good.to_owned()),
            "created" => (201, vec![json], r#"{"name":"Ann"}"#.to_owned()),
            "wrong" => (200, vec![json], r#"{"name":7}"#.to_owned()),
            "null" => (200, vec![json], "null".to_owned()),
            "broken" => (200, vec![json], r#"{"name":"#.to_owned()),
            "page" => (200, vec![("Content-Type", "text/html")], "<p>Sign in</p>".to_owned()),
            "image" => (200, vec![("Content-Type", "image/png")], "PNG".to_owned()),
            "long" => (200, vec![json], format!(r#"{{"name":"{}"}}"#, "long ".repeat(50_000))),
            "empty" => (204, vec![], String::new()),
            "events" => {
                (200, vec![("Content-Type", "text/event-stream")], "data: 7\n\n".to_owned())
            }
            _ => (500, vec![json], r#"{"message":"it broke"}"#.to_owned()),
        };
        exchange.respond(status, &headers, body).await;
    })
    .await
}

fn steps() -> Vec<Step> {
    let done = |tool: &str, kind: &str| call(tool, json!({ "kind": kind }));
    let mut steps =
        vec![step(json!({ "op": "tools/list" })).lists("tools", "name", &["answer", "list"])];
    steps.push(done("answer", "good").gives("/structuredContent/price", 19.99));
    steps.push(done("list", "good").mentions("2026-01-02"));
    steps.push(done("answer", "created").gives("/structuredContent/name", "Ann"));
    for kind in ["wrong", "null", "broken", "page", "image", "long", "empty", "events"] {
        for tool in ["answer", "list"] {
            let said =
                done(tool, kind).gives("/isError", true).gives("/structuredContent", Value::Null);
            steps.push(said.mentions("The API carried the request out"));
        }
    }
    steps.push(done("answer", "failed").gives("/isError", true).mentions("it broke"));
    steps
}

#[test]
fn no_client_throws_an_answer_away() {
    let Some(parts) = Parts::find() else { return };
    let home = tempfile::tempdir().expect("a directory can be made");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("a runtime can be made");
    let api = runtime.block_on(api());
    std::fs::write(home.path().join("api.json"), document().to_string()).expect("a file");
    let gate = gate(home.path(), &json!({ "s": { "openapi": "api.json", "url": api.url("") } }));
    let (url, steps) = (gate.url(&path("s")), steps());
    let script = script(&steps, &json!({}));
    for client in STRICT {
        check(&format!("{client:?}"), &steps, &client.run(&parts, &url, &script));
    }
    for version in ["2025-06-18", "2025-11-25", "2026-07-28"] {
        let report = runtime.block_on(player::play(&url, version, &script));
        check(&format!("Rust SDK, {version}"), &steps, &report);
    }
    // Each call came once, whatever became of it.
    assert_eq!(api.requests().len(), (steps.len() - 1) * 8);
    let log = gate.log();
    for tool in ["answer", "list"] {
        let named = format!("\"tool\":\"{tool}\"");
        let told = |line: &&str| line.contains("output: off") && line.contains(&named);
        assert_eq!(log.lines().filter(told).count(), 1, "{log}");
    }
    assert!(!log.contains("Sign in"), "{log}");
}
