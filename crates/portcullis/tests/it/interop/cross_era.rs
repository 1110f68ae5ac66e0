//! Where client and server are of different eras: real clients are asked by real servers of the other.

use serde_json::{Value, json};

use super::client::{Client, PYTHON_AUTO, PYTHON_LEGACY, V1, V1_SSE, V2_LEGACY, V2_MODERN};
use super::parts::Parts;
use super::script::{Step, call, check, commits, script, step};
use super::server::{Listening, gate, started};

/// What the people and models behind every client say.
fn answers() -> Value {
    json!({
        "elicitation/create": { "action": "accept", "content": { "answer": "heard" } },
        "sampling/createMessage": {
            "role": "assistant", "model": "none", "content": { "type": "text", "text": "heard" },
        },
        "roots/list": { "roots": [{ "uri": "file:///heard" }] },
    })
}

/// Calls that ask something get their answers, and nothing is done twice.
fn answered(key: &str) -> Vec<Step> {
    let once = |tool: &str| {
        let count = format!("/structuredContent/{tool}:{key}");
        call("commits", json!({})).gives(&count, 1)
    };
    vec![
        call("ask", json!({ "question": "Anyone?", "key": key })).mentions("heard"),
        call("sample", json!({ "prompt": "Anything?", "key": key })).mentions("heard"),
        call("roots", json!({ "key": key })).mentions("file:///heard"),
        once("ask"),
        once("sample"),
        once("roots"),
    ]
}

fn play(parts: &Parts, url: &str, client: Client, steps: &[Step]) {
    let report = client.run(parts, url, &script(steps, &answers()));
    check(&format!("{client:?}"), steps, &report);
}

#[test]
fn a_legacy_server_asks_modern_clients() {
    let Some(parts) = Parts::find() else { return };
    let home = tempfile::tempdir().expect("a directory can be made");
    let server = Listening::legacy(&parts);
    let servers = json!({
        "http": { "url": server.url },
        "sse": { "url": server.sse() },
        "stdio": started(&parts.legacy_stdio()),
    });
    let gate = gate(home.path(), &json!({ "servers": servers }));
    let clients =
        [("http", V2_MODERN), ("http", PYTHON_AUTO), ("sse", V2_MODERN), ("stdio", V2_MODERN)];
    for (number, (name, client)) in clients.into_iter().enumerate() {
        let url = gate.url(&format!("/servers/{name}/mcp"));
        play(&parts, &url, client, &answered(&number.to_string()));
    }
}

#[test]
fn a_modern_server_asks_legacy_clients() {
    let Some(parts) = Parts::find() else { return };
    let home = tempfile::tempdir().expect("a directory can be made");
    let server = Listening::modern(&parts);
    let servers = json!({
        "http": { "url": server.url },
        "stdio": started(&parts.modern_stdio()),
    });
    let gate = gate(home.path(), &json!({ "servers": servers }));
    let clients = [
        ("http", V1),
        ("http", V1_SSE),
        ("http", V2_LEGACY),
        ("http", PYTHON_LEGACY),
        ("stdio", V1),
    ];
    for (number, (name, client)) in clients.into_iter().enumerate() {
        let url = gate.url(&format!("/servers/{name}/mcp"));
        play(&parts, &url, client, &answered(&number.to_string()));
    }
}

/// Changes reach clients of the other era as well: nobody has to be asked for that.
#[test]
fn changes_cross_eras() {
    let Some(parts) = Parts::find() else { return };
    let home = tempfile::tempdir().expect("a directory can be made");
    let (legacy, modern) = (Listening::legacy(&parts), Listening::modern(&parts));
    let servers = json!({ "legacy": { "url": legacy.url }, "modern": { "url": modern.url } });
    let gate = gate(home.path(), &json!({ "servers": servers }));
    for (name, client) in [("legacy", V2_MODERN), ("modern", V1), ("modern", V2_LEGACY)] {
        let filter = json!({ "toolsListChanged": true, "resourceSubscriptions": ["memo://note"] });
        let steps = [
            step(json!({ "op": "listen", "notifications": filter })),
            call("announce", json!({ "list": "tools" })).says("tools"),
            step(json!({ "op": "wait", "notification": "notifications/tools/list_changed" })),
            call("touch", json!({ "text": "changed" })).says("touched"),
            step(json!({
                "op": "wait", "notification": "notifications/resources/updated",
                "match": { "uri": "memo://note" },
            })),
        ];
        play(&parts, &gate.url(&format!("/servers/{name}/mcp")), client, &steps);
    }
}

/// A call that is given up crosses eras as a cancellation, and has one effect at most.
#[test]
fn a_closed_connection_is_no_second_call() {
    let Some(parts) = Parts::find() else { return };
    let home = tempfile::tempdir().expect("a directory can be made");
    let server = Listening::legacy(&parts);
    let gate = gate(home.path(), &json!({ "servers": { "legacy": { "url": server.url } } }));
    let slow = json!({ "op": "tools/call", "name": "slow", "arguments": { "steps": 4, "ms": 50 } });
    let steps = [
        step(json!({ "op": "parallel", "steps": [slow, slow, slow] }))
            .gives("/2/result/content/0/text", "4 steps"),
        commits("commits", &json!({ "slow": 3 })),
    ];
    play(&parts, &gate.url("/servers/legacy/mcp"), V2_MODERN, &steps);
}
