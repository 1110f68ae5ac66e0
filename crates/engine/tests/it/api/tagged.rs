//! Tags of operations and servers decide what composed endpoints show.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{McpServer, ScriptedServer};

use crate::harness::{COMPOSED, Client, ERAS, Harness, assert_fault, config_of};

/// A document with an operation for each name and its tags.
fn document(operations: &[(&str, &[&str])]) -> Value {
    let path = |(name, tags): &(&str, &[&str])| {
        let operation = json!({"operationId": name, "tags": tags, "responses": {}});
        (format!("/{name}"), json!({"get": operation}))
    };
    let paths: serde_json::Map<_, _> = operations.iter().map(path).collect();
    json!({"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": paths})
}

const OPERATIONS: &[(&str, &[&str])] =
    &[("getInvoice", &["invoices"]), ("getPet", &["pets"]), ("plain", &[])];

fn names(answer: &Value) -> Vec<&str> {
    let tools = answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("{answer}"));
    tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect()
}

async fn until_names(client: &Client, wanted: &[&str]) {
    let seen = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            let answer = client.send("tools/list", json!({})).await.json();
            if names(&answer) == wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    seen.await.unwrap_or_else(|_| panic!("never {wanted:?}"));
}

struct Gate {
    harness: Harness,
    folder: TempDir,
    servers: Value,
    _api: ScriptedServer,
    notes: McpServer,
}

/// A gate before an API and an MCP server that has a tool, a resource and a prompt, and says tags of
/// itself that nobody believes.
async fn gate(tags_of_notes: Value, endpoints: Value) -> Gate {
    let api = ScriptedServer::start(|mut exchange| async move {
        exchange.respond(200, &[("Content-Type", "application/json")], "{}").await;
    })
    .await;
    let mut liar = testkit::echo_tool("echo");
    liar["_meta"] = json!({"tags": ["invoices"], "io.portcullis/tags": ["invoices"]});
    let notes = McpServer::modern()
        .tools(vec![liar])
        .list("resources/list", vec![json!({"uri": "note://1", "name": "1"})])
        .list("prompts/list", vec![json!({"name": "sum"})])
        .start()
        .await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("api.json");
    std::fs::write(&file, document(OPERATIONS).to_string()).unwrap();
    let servers = json!({
        "a": {"openapi": file, "url": api.url(""), "tools": {
            "override": {"plain": {"tags": ["extra"]}},
            "define": {"byHand": {"path": "/x", "tags": ["invoices", "drafts"]}},
        }},
        "n": {"url": notes.url(), "tags": tags_of_notes},
    });
    let config = json!({"servers": servers, "endpoints": endpoints});
    let harness = Harness::start(config).await;
    Gate { harness, folder, servers, _api: api, notes }
}

#[tokio::test]
async fn tags_choose_tools_of_operations() {
    let endpoints = json!({
        "/invoices": {"tags": ["invoices"]},
        "/some": {"servers": [{"a": {"tags": ["pets", "ext*"], "tools": ["get*", "plain"]}}, "n"]},
        "/both": {"tags": ["invoices"], "servers": [{"a": {"tags": ["drafts"]}}]},
        "/none": {"tags": ["nobody"]},
        COMPOSED: {"servers": "*"},
    });
    let gate = gate(json!([]), endpoints).await;
    for era in ERAS {
        for (endpoint, wanted) in [
            ("/invoices", &["a__getInvoice", "a__byHand"][..]),
            ("/some", &["a__getPet", "a__plain", "n__echo"]),
            ("/both", &["a__byHand"]),
            ("/none", &[]),
            (COMPOSED, &["a__getInvoice", "a__getPet", "a__plain", "a__byHand", "n__echo"]),
        ] {
            let client = gate.harness.client(era, endpoint).await;
            let listed = client.send("tools/list", json!({})).await.json();
            assert_eq!(names(&listed), wanted, "{endpoint}");
            for name in ["a__getInvoice", "a__getPet", "a__plain", "a__byHand", "n__echo"] {
                let answer = client.send("tools/call", json!({"name": name})).await;
                if wanted.contains(&name) {
                    assert_eq!(answer.json()["error"], Value::Null, "{endpoint} {name}");
                } else {
                    assert!(!answer.json()["error"].is_null(), "{endpoint} {name} is hidden");
                }
            }
        }
        // Of a server that carries no such tag, nothing else is there either.
        let client = gate.harness.client(era, "/invoices").await;
        for (list, member) in [("resources/list", "resources"), ("prompts/list", "prompts")] {
            let answer = client.send(list, json!({})).await.json();
            assert_eq!(answer["result"][member], json!([]), "{answer}");
        }
        let reads = gate.notes.count("resources/read");
        let read = client.send("resources/read", json!({"uri": "note://1"})).await;
        assert!(!read.json()["error"].is_null(), "{}", read.text());
        let reference = json!({"ref": {"type": "ref/prompt", "name": "n__sum"},
            "argument": {"name": "x", "value": ""}});
        let completed = client.send("completion/complete", reference).await;
        assert!(!completed.json()["error"].is_null(), "{}", completed.text());
        assert_eq!(gate.notes.count("resources/read"), reads);
    }
}

#[tokio::test]
async fn a_tag_of_a_server_is_on_everything_of_it() {
    let endpoints = json!({"/finance": {"tags": ["finance", "pets"]}});
    let gate = gate(json!(["finance"]), endpoints).await;
    for era in ERAS {
        let client = gate.harness.client(era, "/finance").await;
        let listed = client.send("tools/list", json!({})).await.json();
        assert_eq!(names(&listed), ["a__getPet", "n__echo"]);
        let resources = client.send("resources/list", json!({})).await.json();
        assert_eq!(resources["result"]["resources"][0]["uri"], "note://1", "{resources}");
        let prompts = client.send("prompts/list", json!({})).await.json();
        assert_eq!(prompts["result"]["prompts"][0]["name"], "n__sum", "{prompts}");
    }
    // Without the tag nothing of it is left, and the server is the same one.
    let config = |tags: Value| {
        let mut servers = gate.servers.clone();
        servers["n"]["tags"] = tags;
        config_of(&json!({"servers": servers, "endpoints": {"/finance": {"tags": ["finance"]}}}))
    };
    let session = gate.harness.session("/finance").await;
    let mut stream = session.listen().await;
    gate.harness.gate.reload(&config(json!(["other"])), BTreeMap::new());
    stream.next_of("notifications/tools/list_changed").await;
    let client = gate.harness.client(wire::Era::Modern, "/finance").await;
    until_names(&client, &[]).await;
    let call = client.send("tools/call", json!({"name": "n__echo"})).await;
    assert_fault(&call, 200, -32602, "unknown-name");
    let before = gate.notes.count("server/discover");
    gate.harness.gate.reload(&config(json!(["finance"])), BTreeMap::new());
    until_names(&client, &["n__echo"]).await;
    assert_eq!(gate.notes.count("server/discover"), before, "the server was kept");
}

#[tokio::test]
async fn tags_of_a_document_change_while_it_runs() {
    let gate = gate(json!([]), json!({"/invoices": {"tags": ["invoices"]}})).await;
    let client = gate.harness.client(wire::Era::Modern, "/invoices").await;
    until_names(&client, &["a__getInvoice", "a__byHand"]).await;
    let session = gate.harness.session("/invoices").await;
    let mut stream = session.listen().await;
    let file = gate.folder.path().join("api.json");
    let swapped: &[(&str, &[&str])] =
        &[("getInvoice", &["pets"]), ("getPet", &["invoices"]), ("plain", &[])];
    std::fs::write(&file, document(swapped).to_string()).unwrap();
    stream.next_of("notifications/tools/list_changed").await;
    // Nobody has listed since: a call finds what has the tag now, and nothing else.
    let call = client.send("tools/call", json!({"name": "a__getInvoice"})).await;
    assert_fault(&call, 200, -32602, "unknown-name");
    let call = client.send("tools/call", json!({"name": "a__getPet"})).await;
    assert_eq!(call.json()["error"], Value::Null, "{}", call.text());
    until_names(&client, &["a__getPet", "a__byHand"]).await;
}
