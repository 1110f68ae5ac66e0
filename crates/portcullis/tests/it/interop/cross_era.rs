//! Where client and server are of different eras: what passes, and the clear end of what cannot yet.

use serde_json::{Value, json};

use super::client::{Client, PYTHON_AUTO, PYTHON_LEGACY, V1, V1_SSE, V2_LEGACY, V2_MODERN};
use super::parts::Parts;
use super::script::{Step, call, check, commits, script, step};
use super::server::{Listening, gate, started};

/// Answers are at hand: it is not the client that refuses.
fn answers() -> Value {
    json!({
        "elicitation/create": { "action": "accept", "content": { "answer": "never heard" } },
        "sampling/createMessage": {
            "role": "assistant", "model": "none", "content": { "type": "text", "text": "never heard" },
        },
        "roots/list": { "roots": [] },
    })
}

/// Calls that ask something end in an error that says why, and nothing was done twice.
fn unanswerable(why: &str) -> Vec<Step> {
    let ends = |step: Step| step.gives("/isError", true).mentions(why);
    vec![
        ends(call("ask", json!({ "question": "Anyone?" }))),
        ends(call("sample", json!({ "prompt": "Anything?" }))),
        ends(call("roots", json!({}))),
        // Those calls have not completed, not even once, and the next one is as good as ever.
        call("echo", json!({ "message": "still here" })).says("still here"),
        call("commits", json!({})).gives("/structuredContent", json!({})),
    ]
}

fn play(parts: &Parts, url: &str, client: Client, steps: &[Step]) {
    let report = client.run(parts, url, &script(steps, &answers()));
    check(&format!("{client:?}"), steps, &report);
    assert_eq!(report["requests"], json!([]), "{client:?} is never asked");
}

#[test]
fn a_legacy_server_cannot_ask_modern_clients() {
    let Some(parts) = Parts::find() else { return };
    let home = tempfile::tempdir().expect("a directory can be made");
    let server = Listening::legacy(&parts);
    let servers = json!({
        "http": { "url": server.url },
        "sse": { "url": server.sse() },
        "stdio": started(&parts.legacy_stdio()),
    });
    let gate = gate(home.path(), &json!({ "servers": servers }));
    for (name, client) in
        [("http", V2_MODERN), ("http", PYTHON_AUTO), ("sse", V2_MODERN), ("stdio", V2_MODERN)]
    {
        let url = gate.url(&format!("/servers/{name}/mcp"));
        play(&parts, &url, client, &unanswerable("cannot be answered here"));
    }
}

#[test]
fn a_modern_server_cannot_ask_legacy_clients() {
    let Some(parts) = Parts::find() else { return };
    let home = tempfile::tempdir().expect("a directory can be made");
    let server = Listening::modern(&parts);
    let servers = json!({
        "http": { "url": server.url },
        "stdio": started(&parts.modern_stdio()),
    });
    let gate = gate(home.path(), &json!({ "servers": servers }));
    for (name, client) in [
        ("http", V1),
        ("http", V1_SSE),
        ("http", V2_LEGACY),
        ("http", PYTHON_LEGACY),
        ("stdio", V1),
    ] {
        let url = gate.url(&format!("/servers/{name}/mcp"));
        play(&parts, &url, client, &unanswerable("use a client of the server's version"));
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
