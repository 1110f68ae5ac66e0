//! What only peers of one era can do with each other: questions, log levels, changes.

use serde_json::{Value, json};

use super::client::{Client, PYTHON_AUTO, PYTHON_LEGACY, V1, V1_SSE, V2_LEGACY, V2_MODERN};
use super::parts::Parts;
use super::script::{Step, call, check, commits, script, step};
use super::server::{Listening, gate, pinned, started};

/// How every client answers.
fn answers() -> Value {
    json!({
        "elicitation/create": { "action": "accept", "content": { "answer": "forty-two" } },
        "sampling/createMessage": {
            "role": "assistant", "model": "none", "content": { "type": "text", "text": "a poem" },
        },
        "roots/list": { "roots": [{ "uri": "file:///somewhere", "name": "somewhere" }] },
    })
}

/// A server of the tests behind a gate of its own.
struct Stage {
    parts: Parts,
    home: tempfile::TempDir,
    gate: crate::harness::Gate,
    _server: Option<Listening>,
}

impl Stage {
    fn new(parts: Parts, entry: &Value, server: Option<Listening>) -> Self {
        let home = tempfile::tempdir().expect("a directory can be made");
        let gate = gate(home.path(), &json!({ "servers": { "stage": entry } }));
        Self { parts, home, gate, _server: server }
    }

    /// Runs the steps and returns the whole report.
    fn play(&self, client: Client, steps: &[Step]) -> Value {
        let script = script(steps, &answers());
        let report = client.run(&self.parts, &self.gate.url("/servers/stage/mcp"), &script);
        check(&format!("{client:?} in {}", self.home.path().display()), steps, &report);
        report
    }
}

/// The methods of the requests that came from the server.
fn asked(report: &Value) -> Vec<&str> {
    let requests = report["requests"].as_array().expect("requests are a list");
    requests.iter().map(|request| request["method"].as_str().expect("a method")).collect()
}

/// Questions in the middle of a call; `times` is how often the process has asked by then.
fn questions(times: u64, python: bool) -> Vec<Step> {
    let mut steps =
        vec![call("ask", json!({ "question": "What is the answer?" })).mentions("forty-two")];
    if !python {
        steps.push(call("sample", json!({ "prompt": "A poem, please" })).mentions("a poem"));
        steps.push(call("roots", json!({})).mentions("file:///somewhere"));
    }
    let mut counted = json!({ "ask": times });
    if !python {
        counted["sample"] = json!(times);
        counted["roots"] = json!(times);
    }
    steps.push(commits("commits", &counted));
    steps
}

const ALL_QUESTIONS: [&str; 3] = ["elicitation/create", "sampling/createMessage", "roots/list"];

#[test]
fn a_legacy_server_asks_legacy_clients() {
    let Some(parts) = Parts::find() else { return };
    let server = Listening::legacy(&parts);
    let entry = json!({ "url": server.url });
    let stage = Stage::new(parts, &entry, Some(server));
    for (before, client) in (0..).zip([V1, V1_SSE, V2_LEGACY, PYTHON_LEGACY]) {
        let report = stage.play(client, &questions(before + 1, false));
        assert_eq!(asked(&report), ALL_QUESTIONS, "{client:?}");
        let params = &report["requests"][0]["params"];
        assert_eq!(params["message"], "What is the answer?", "{client:?}");
        assert_eq!(params["requestedSchema"]["required"], json!(["answer"]), "{client:?}");
    }
}

#[test]
fn a_legacy_server_asks_over_sse_and_stdio() {
    let Some(parts) = Parts::find() else { return };
    let server = Listening::legacy(&parts);
    let entry = json!({ "url": server.sse() });
    let over_sse = Stage::new(Parts::find().expect("as before"), &entry, Some(server));
    let entry = started(&parts.legacy_stdio());
    let over_stdio = Stage::new(parts, &entry, None);
    for stage in [over_sse, over_stdio] {
        let report = stage.play(V1, &questions(1, false));
        assert_eq!(asked(&report), ALL_QUESTIONS);
    }
}

#[test]
fn a_legacy_server_asks_without_a_call() {
    let Some(parts) = Parts::find() else { return };
    let server = Listening::legacy(&parts);
    let entry = json!({ "url": server.url });
    let stage = Stage::new(parts, &entry, Some(server));
    let steps = [
        step(json!({ "op": "listen", "notifications": {} })),
        call("ask_later", json!({ "question": "And now?" })).says("the question comes"),
        commits("commits", &json!({ "ask_later:accept": 1 })),
    ];
    let report = stage.play(V1, &steps);
    assert_eq!(asked(&report), ["elicitation/create"]);
}

#[test]
fn a_modern_server_asks_modern_clients() {
    let Some(parts) = Parts::find() else { return };
    let server = Listening::modern(&parts);
    let entry = json!({ "url": server.url });
    let stage = Stage::new(parts, &entry, Some(server));
    for (before, client) in (0..).zip([V2_MODERN, PYTHON_AUTO]) {
        let report = stage.play(client, &questions(before + 1, false));
        assert_eq!(asked(&report), ALL_QUESTIONS, "{client:?}");
    }
}

#[test]
fn a_modern_server_asks_over_stdio() {
    let Some(parts) = Parts::find() else { return };
    let entry = started(&parts.modern_stdio());
    let stage = Stage::new(parts, &entry, None);
    let report = stage.play(V2_MODERN, &questions(1, false));
    assert_eq!(asked(&report), ALL_QUESTIONS);
}

#[test]
fn a_python_server_asks_in_both_eras() {
    let Some(parts) = Parts::find() else { return };
    let server = Listening::python(&parts);
    let entry = json!({ "url": server.url });
    let modern = Stage::new(Parts::find().expect("as before"), &entry, Some(server));
    modern.play(V2_MODERN, &questions(1, true));
    modern.play(PYTHON_AUTO, &questions(2, true));
    let entry = pinned(started(&parts.python_stdio()), "legacy");
    let legacy = Stage::new(parts, &entry, None);
    legacy.play(V1, &questions(1, true));
    legacy.play(PYTHON_LEGACY, &questions(1, true));
}

// === log levels ===

/// The levels of the log messages in a report.
fn logged(report: &Value) -> Vec<&str> {
    let notifications = report["notifications"].as_array().expect("notifications are a list");
    notifications
        .iter()
        .filter(|each| each["method"] == "notifications/message")
        .map(|each| each["params"]["level"].as_str().expect("a level"))
        .collect()
}

#[test]
fn a_session_sets_its_log_level() {
    let Some(parts) = Parts::find() else { return };
    let server = Listening::legacy(&parts);
    let entry = json!({ "url": server.url });
    let stage = Stage::new(parts, &entry, Some(server));
    let steps = [
        step(json!({ "op": "listen", "notifications": {} })),
        step(json!({ "op": "logging/setLevel", "level": "error" })),
        call("log", json!({ "message": "once" })).says("logged"),
        step(json!({ "op": "logging/setLevel", "level": "info" })),
        call("log", json!({ "message": "twice" })).says("logged"),
        step(
            json!({ "op": "wait", "notification": "notifications/message", "match": { "level": "info" } }),
        ),
        step(json!({
            "op": "wait", "notification": "notifications/message",
            "match": { "level": "error", "data": "twice" },
        })),
    ];
    for client in [V1, V2_LEGACY] {
        assert_eq!(logged(&stage.play(client, &steps)), ["error", "info", "error"], "{client:?}");
    }
}

#[test]
fn a_modern_call_names_its_log_level() {
    let Some(parts) = Parts::find() else { return };
    let server = Listening::modern(&parts);
    let entry = json!({ "url": server.url });
    let stage = Stage::new(parts, &entry, Some(server));
    let level = json!({ "io.modelcontextprotocol/logLevel": "info" });
    let steps = [
        call("log", json!({ "message": "unheard" })).says("logged"),
        step(json!({
            "op": "tools/call", "name": "log", "arguments": { "message": "heard" }, "_meta": level,
        }))
        .says("logged"),
        step(
            json!({ "op": "wait", "notification": "notifications/message", "match": { "level": "error" } }),
        ),
    ];
    assert_eq!(logged(&stage.play(V2_MODERN, &steps)), ["info", "error"]);
}

// === changes ===

/// Subscribes, changes and hears of it; `grown` is how many tools have been added before.
fn changes(grown: u64) -> Vec<Step> {
    let changed = |list: &str| {
        step(json!({ "op": "wait", "notification": format!("notifications/{list}/list_changed") }))
    };
    let filter = json!({
        "toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true,
        "resourceSubscriptions": ["memo://note"],
    });
    vec![
        step(json!({ "op": "listen", "notifications": filter })),
        call("touch", json!({ "text": format!("note {grown}") })).says("touched"),
        step(json!({
            "op": "wait", "notification": "notifications/resources/updated", "match": { "uri": "memo://note" },
        })),
        step(json!({ "op": "resources/read", "uri": "memo://note" }))
            .gives("/contents/0/text", format!("note {grown}")),
        call("grow", json!({})).says(&format!("grown_{}", grown + 1)),
        changed("tools"),
        step(json!({ "op": "tools/list" })).lists(
            "tools",
            "name",
            &[&format!("grown_{}", grown + 1)],
        ),
        call(&format!("grown_{}", grown + 1), json!({})).says(&format!("grown_{}", grown + 1)),
        call("announce", json!({ "list": "prompts" })).says("prompts"),
        changed("prompts"),
        call("announce", json!({ "list": "resources" })).says("resources"),
        changed("resources"),
    ]
}

#[test]
fn legacy_clients_hear_of_changes_of_a_legacy_server() {
    let Some(parts) = Parts::find() else { return };
    let server = Listening::legacy(&parts);
    let entry = json!({ "url": server.url });
    let stage = Stage::new(parts, &entry, Some(server));
    for (grown, client) in (0..).zip([V1, V1_SSE, V2_LEGACY]) {
        stage.play(client, &changes(grown));
    }
}

#[test]
fn legacy_clients_hear_of_changes_of_a_legacy_process() {
    let Some(parts) = Parts::find() else { return };
    let entry = started(&parts.legacy_stdio());
    let stage = Stage::new(parts, &entry, None);
    stage.play(V1, &changes(0));
}

#[test]
fn modern_clients_hear_of_changes_of_a_modern_server() {
    let Some(parts) = Parts::find() else { return };
    let server = Listening::modern(&parts);
    let entry = json!({ "url": server.url });
    let stage = Stage::new(parts, &entry, Some(server));
    for (grown, client) in (0..).zip([V2_MODERN, PYTHON_AUTO]) {
        stage.play(client, &changes(grown));
    }
}

#[test]
fn modern_clients_hear_of_changes_of_a_modern_process() {
    let Some(parts) = Parts::find() else { return };
    let entry = started(&parts.modern_stdio());
    let stage = Stage::new(parts, &entry, None);
    stage.play(V2_MODERN, &changes(0));
}
