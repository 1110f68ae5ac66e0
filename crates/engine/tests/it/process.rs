//! Servers that are processes: what they print besides messages, how they end, how many there are.

use std::path::Path;

use serde_json::{Value, json};
use wire::Era;

use crate::harness::{ERAS, Harness, ONE, assert_said, assert_tool_fault};

/// Not a test of anything: the process that plays a server, when it is told to.
#[test]
fn plays_a_server() {
    testkit::stdio::play_if_told();
}

/// The configuration of a process of `era` that follows `script`.
pub(crate) fn process(era: Era, mut script: Value) -> Value {
    script["era"] = json!(era.as_str());
    let program = std::env::current_exe().expect("this binary has a path");
    json!({
        "command": program,
        "args": ["--exact", "process::plays_a_server", "--quiet", "--nocapture"],
        "env": {testkit::stdio::SCRIPT: script.to_string()},
        "restart": {"initial": "10ms", "max": "20ms"},
    })
}

async fn gate(server: Value) -> Harness {
    Harness::start(json!({"servers": {"s": server}})).await
}

pub(crate) fn journal(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

#[tokio::test]
async fn every_client_calls_a_process_of_every_era() {
    for server in ERAS {
        let harness = gate(process(server, json!({}))).await;
        for client in ERAS {
            let client = harness.client(client, ONE).await;
            let answer = client.call("echo").await;
            let text = answer.json()["result"]["content"][0]["text"].clone();
            assert!(text.as_str().unwrap().starts_with("process "), "{}", answer.text());
        }
    }
}

#[tokio::test]
async fn what_is_no_message_is_skipped_and_the_second_answer_ignored() {
    let once = r#"{"jsonrpc":"2.0","id":$ID,"result":{"resultType":"complete","content":[{"type":"text","text":"first"}]}}"#;
    let steps = json!([
        "Listening on stdio",
        "{\"jsonrpc\":",
        r#"{"jsonrpc":"2.0","id":99999,"result":{"content":[]}}"#,
        "!stderr a line for the log",
        once,
        once.replace("first", "second"),
    ]);
    for era in ERAS {
        let harness = gate(process(era, json!({"on": {"tools/call": steps}}))).await;
        let client = harness.client(era, ONE).await;
        assert_said(&client.call("echo").await, "first");
        // The second answer of the first call is not the answer of the second call.
        assert_said(&client.call("echo").await, "first");
    }
}

#[tokio::test]
async fn a_process_that_ends_fails_its_call_once_and_is_started_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal");
    let script = json!({"on": {"tools/call": ["!exit"]}, "journal": path});
    let harness = gate(process(Era::Modern, script)).await;
    for client in ERAS {
        let client = harness.client(client, ONE).await;
        let before = journal(&path).matches("tools/call").count();
        let answer = client.call("echo").await;
        let era = if client.session.is_some() { Era::Legacy } else { Era::Modern };
        let text = assert_tool_fault(&answer, era, "server-failed");
        assert!(text.contains("not sent again"), "{text}");
        assert_eq!(journal(&path).matches("tools/call").count(), before + 1);
    }
}

#[tokio::test]
async fn a_program_that_does_not_exist_is_told_with_what_to_do() {
    let harness = gate(json!({"command": "no-such-program-anywhere"})).await;
    let client = harness.client(Era::Modern, ONE).await;
    let text = assert_tool_fault(&client.call("echo").await, Era::Modern, "server-failed");
    assert!(text.contains("portcullis doctor"), "{text}");
}

#[tokio::test]
async fn processes_are_bounded_at_their_limit() {
    let mut server = process(Era::Legacy, json!({}));
    server["processes"] = json!(2);
    let harness = gate(server).await;
    let (first, second) = (harness.session(ONE).await, harness.session(ONE).await);
    let params = json!({"name": "echo"});
    let one = first.send(1, "tools/call", params.clone()).await;
    let two = second.send(1, "tools/call", params.clone()).await;
    assert_ne!(one.json()["result"], two.json()["result"], "each session has its own process");
    let third = testkit::initialize(ONE, "2025-11-25", &json!({}));
    let answer = harness.send(&third).await;
    crate::harness::assert_fault(&answer, 503, 1003, "overloaded");
    assert!(answer.text().contains("`processes`"), "{}", answer.text());
    // One ends, and its place is free.
    let deleted = testkit::HttpRequest::new("DELETE", ONE).header("Mcp-Session-Id", &first.id);
    assert_eq!(harness.send(&deleted).await.status, 204);
    testkit::until("a place", || harness.gate.overview().servers[0].conversations < 2).await;
    assert_eq!(harness.send(&third).await.status, 200);
}

#[tokio::test]
async fn the_environment_is_clean_but_for_what_is_configured() {
    // The test's own process has the variables of cargo; the server must not.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some(), "positive control");
    let script = json!({});
    let mut server = process(Era::Modern, script);
    server["command"] = json!("sh");
    server["args"] = json!(["-c", "env >&2; env > \"$OUT\"; exec cat"]);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("environment");
    server["env"] = json!({"OUT": path, "CONFIGURED": "yes"});
    server["timeout"] = json!("200ms");
    let harness = gate(server).await;
    let _ = harness.modern(ONE, "tools/call", json!({"name": "echo"})).await;
    testkit::until("the environment", || journal(&path).contains("CONFIGURED=yes")).await;
    let environment = journal(&path);
    assert!(environment.contains("PATH="), "{environment}");
    assert!(!environment.contains("CARGO_"), "{environment}");
}

#[tokio::test]
async fn a_call_that_is_given_up_is_cancelled_at_the_process() {
    for era in ERAS {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let script = json!({"on": {"tools/call": []}, "journal": path});
        let harness = gate(process(era, script)).await;
        let session = harness.session(ONE).await;
        for (number, legacy) in [(1, false), (2, true)] {
            let params = json!({"name": "echo"});
            let request = if legacy {
                session.request("own id", "tools/call", params)
            } else {
                testkit::modern(ONE, "own id", "tools/call", params)
            };
            let mut connection = harness.connect().await;
            connection.write(request.bytes()).await;
            let calls = || journal(&path).matches("\"tools/call\"").count();
            testkit::until("the call", || calls() == number).await;
            if legacy {
                session.notify("notifications/cancelled", json!({"requestId": "own id"})).await;
            } else {
                drop(connection);
            }
            let cancelled = || journal(&path).matches("notifications/cancelled").count();
            testkit::until("the cancellation", || cancelled() == number).await;
        }
        let lines = journal(&path);
        let messages: Vec<Value> =
            lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        for cancelled in messages.iter().filter(|one| one["method"] == "notifications/cancelled") {
            let id = &cancelled["params"]["requestId"];
            assert!(id.is_u64(), "the gate's own id on the pipe: {cancelled}");
            let is_call = |one: &&Value| one["method"] == "tools/call" && one["id"] == *id;
            assert_eq!(messages.iter().filter(is_call).count(), 1, "{lines}");
        }
    }
}

#[tokio::test]
async fn progress_on_a_pipe_finds_its_call() {
    for era in ERAS {
        // The process tells of progress under whatever token came: it is the number of the request.
        let steps = json!([
            r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":$ID,"progress":1}}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":987654,"progress":2}}"#,
            r#"{"jsonrpc":"2.0","id":$ID,"result":{"resultType":"complete","content":[{"type":"text","text":"done"}]}}"#,
        ]);
        let mut server = process(era, json!({"on": {"tools/call": steps}}));
        server["session"] = json!("shared");
        let harness = gate(server).await;
        for client in ERAS {
            let client = harness.client(client, ONE).await;
            let params = json!({"name": "echo", "_meta": {"progressToken": "own"}});
            let answer = client.send("tools/call", params).await;
            assert_said(&answer, "done");
            let messages = answer.messages();
            assert_eq!(messages.len(), 2, "another's progress is not told: {}", answer.text());
            assert_eq!(messages[0]["params"]["progressToken"], "own");
        }
    }
}

#[tokio::test]
async fn a_process_that_nobody_needs_is_stopped_and_started_again() {
    let mut server = process(Era::Legacy, json!({}));
    server["idle_timeout"] = json!("1s");
    let harness = gate(server).await;
    let client = harness.client(Era::Modern, ONE).await;
    let first = client.call("echo").await.json()["result"].clone();
    assert_eq!(harness.gate.overview().servers[0].conversations, 1);
    testkit::until("the idle process to end", || {
        harness.gate.overview().servers[0].conversations == 0
    })
    .await;
    let second = client.call("echo").await.json()["result"].clone();
    assert!(second["isError"].is_null(), "{second}");
    assert_ne!(first, second, "another process");
}

#[tokio::test]
async fn a_line_longer_than_the_limit_ends_the_process_and_its_calls() {
    let long = format!(
        r#"{{"jsonrpc":"2.0","id":$ID,"result":{{"content":[],"x":"{}"}}}}"#,
        "x".repeat(5000)
    );
    for era in ERAS {
        let server = process(era, json!({"on": {"tools/call": [long]}}));
        let harness = Harness::start(json!({
            "servers": {"s": server}, "limits": {"response_bytes": "4KiB", "frame_bytes": "1KiB"},
        }))
        .await;
        let client = harness.client(Era::Modern, ONE).await;
        assert_tool_fault(&client.call("echo").await, Era::Modern, "server-failed");
    }
}
