//! Several servers of both eras behind one endpoint, over HTTP, HTTP+SSE and stdio.

use serde_json::{Value, json};

use super::client::{
    Client, LEGACY, MODERN, PYTHON_STDIO, V1, V1_STDIO, V2_AUTO, V2_MODERN, V2_STDIO,
};
use super::parts::Parts;
use super::script::{Step, call, check, script, step};
use super::server::{Listening, gate, started};

/// A legacy server, a modern one, a reference server that is started, and one that is not there.
fn servers(parts: &Parts, legacy: &Listening, modern: &Listening) -> Value {
    json!({
        "old": { "url": legacy.url },
        "new": { "url": modern.url },
        "time": started(&parts.time()),
        "gone": { "command": "/no/such/program" },
    })
}

/// What every client finds on the composed endpoint.
fn finds_all() -> Vec<Step> {
    let complete = |prompt: &str| {
        step(json!({
            "op": "completion/complete",
            "ref": { "type": "ref/prompt", "name": prompt },
            "argument": { "name": "tone", "value": "fu" },
        }))
        .gives("/completion/values", json!(["funny"]))
    };
    let greet = |name: &str| {
        step(json!({
            "op": "prompts/get", "name": name, "arguments": { "name": "Ada", "tone": "funny" },
        }))
        .gives("/messages/0/content/text", "Greet Ada in a funny tone.")
    };
    let zone = json!({ "timezone": "Etc/UTC" });
    vec![
        step(json!({ "op": "initialize" })).gives("/serverInfo/name", "portcullis"),
        step(json!({ "op": "tools/list" })).lists(
            "tools",
            "name",
            &["old__echo", "old__slow", "new__echo", "new__region", "time__get_current_time"],
        ),
        step(json!({ "op": "prompts/list" })).lists("prompts", "name", &["old__greet", "new__greet"]),
        call("old__echo", json!({ "message": "from afar" })).says("from afar"),
        call("new__add", json!({ "a": 1, "b": 2 })).gives("/structuredContent/sum", 3),
        call("new__region", json!({ "region": "eu west" })).says("eu west"),
        call("time__get_current_time", zone).mentions("Etc/UTC"),
        call("old__fail", json!({})).gives("/isError", true),
        call("echo", json!({ "message": "whose?" })).fails("echo"),
        step(json!({
            "op": "tools/call", "name": "old__slow", "arguments": { "steps": 2, "ms": 50 }, "progress": true,
        }))
        .says("2 steps")
        .reports("/progress/0/message", "step 1"),
        greet("old__greet"),
        greet("new__greet"),
        complete("old__greet"),
        complete("new__greet"),
        // Both servers have the same URIs, so neither keeps them.
        step(json!({ "op": "resources/list" })).lists(
            "resources",
            "uri",
            &["portcullis://old/memo://note", "portcullis://new/memo://note"],
        ),
        step(json!({ "op": "resources/templates/list" })).lists(
            "resourceTemplates",
            "uriTemplate",
            &["portcullis://old/memo://item/{id}", "portcullis://new/memo://item/{id}"],
        ),
        step(json!({ "op": "resources/read", "uri": "portcullis://old/memo://note" }))
            .gives("/contents/0/uri", "portcullis://old/memo://note")
            .gives("/contents/0/text", "the first note"),
        step(json!({ "op": "resources/read", "uri": "portcullis://new/memo://item/7" }))
            .gives("/contents/0/text", r#"{"id":"7"}"#),
        step(json!({
            "op": "completion/complete",
            "ref": { "type": "ref/resource", "uri": "portcullis://new/memo://item/{id}" },
            "argument": { "name": "id", "value": "1" },
        }))
        .gives("/completion/values", json!(["1", "10", "11"])),
    ]
}

#[test]
fn every_client_finds_all_servers() {
    let Some(parts) = Parts::find() else { return };
    let home = tempfile::tempdir().expect("a directory can be made");
    let (legacy, modern) = (Listening::legacy(&parts), Listening::modern(&parts));
    let gate = gate(home.path(), &json!({ "servers": servers(&parts, &legacy, &modern) }));
    for client in LEGACY.into_iter().chain(MODERN).chain([V2_AUTO]) {
        let steps = finds_all();
        let report = client.run(&parts, &gate.url("/mcp"), &script(&steps, &json!({})));
        check(&format!("{client:?}"), &steps, &report);
    }
}

/// Hosts start `portcullis stdio` as they start any server.
#[test]
fn hosts_find_all_servers_over_stdio() {
    let Some(parts) = Parts::find() else { return };
    let home = tempfile::tempdir().expect("a directory can be made");
    let (legacy, modern) = (Listening::legacy(&parts), Listening::modern(&parts));
    let configuration = json!({
        "servers": servers(&parts, &legacy, &modern),
        "endpoints": { "/mcp": { "servers": "*" }, "/old": { "server": "old" } },
        "log": { "level": "warn" },
    });
    std::fs::write(home.path().join("gate.json"), configuration.to_string()).expect("written");
    for client in [V1_STDIO, V2_STDIO, PYTHON_STDIO] {
        let steps = finds_all();
        let report = client.run_host(&parts, home.path(), "/mcp", &script(&steps, &json!({})));
        check(&format!("{client:?}"), &steps, &report);
    }
    // One server as it is, with a question on the way.
    let answer = json!({ "action": "accept", "content": { "answer": "forty-two" } });
    let steps = [
        step(json!({ "op": "initialize" })).gives("/serverInfo/name", "legacy-server"),
        call("ask", json!({ "question": "The answer?" })).mentions("forty-two"),
    ];
    let script = script(&steps, &json!({ "elicitation/create": answer }));
    let report = V1_STDIO.run_host(&parts, home.path(), "/old", &script);
    check("a host at one server", &steps, &report);
}

/// A question says who asks, since the client only knows the gate.
#[test]
fn questions_name_the_server_that_asks() {
    let Some(parts) = Parts::find() else { return };
    let home = tempfile::tempdir().expect("a directory can be made");
    let (legacy, modern) = (Listening::legacy(&parts), Listening::modern(&parts));
    let gate = gate(home.path(), &json!({ "servers": servers(&parts, &legacy, &modern) }));
    let answer = json!({ "action": "accept", "content": { "answer": "forty-two" } });
    for (client, tool, server) in [(V1, "old__ask", "old"), (V2_MODERN, "new__ask", "new")] {
        let steps = [call(tool, json!({ "question": "The answer?" })).mentions("forty-two")];
        let script = script(&steps, &json!({ "elicitation/create": answer }));
        let report = client.run(&parts, &gate.url("/mcp"), &script);
        check(&format!("{client:?}"), &steps, &report);
        assert_eq!(report["requests"][0]["params"]["message"], format!("[{server}] The answer?"));
    }
}

/// Changes of every server come to whoever listens to the endpoint.
#[test]
fn changes_of_all_servers_are_heard() {
    let Some(parts) = Parts::find() else { return };
    let home = tempfile::tempdir().expect("a directory can be made");
    let (legacy, modern) = (Listening::legacy(&parts), Listening::modern(&parts));
    let gate = gate(home.path(), &json!({ "servers": servers(&parts, &legacy, &modern) }));
    let listens = |client: Client, grown: usize| {
        let filter = json!({ "toolsListChanged": true, "promptsListChanged": true });
        let mut steps = vec![
            step(json!({ "op": "tools/list" })),
            step(json!({ "op": "listen", "notifications": filter })),
        ];
        for server in ["old", "new"] {
            let tool = format!("{server}__grown_{grown}");
            steps.extend([
                call(&format!("{server}__grow"), json!({})).says(&format!("grown_{grown}")),
                step(json!({ "op": "wait", "notification": "notifications/tools/list_changed" })),
                step(json!({ "op": "tools/list" })).lists("tools", "name", &[&tool]),
                call(&tool, json!({})).says(&format!("grown_{grown}")),
            ]);
        }
        let report = client.run(&parts, &gate.url("/mcp"), &script(&steps, &json!({})));
        check(&format!("{client:?}"), &steps, &report);
    };
    listens(V1, 1);
    listens(V2_MODERN, 2);
}
