//! What is opaque is sealed: useless to anybody else, anywhere else, and for anything else.

use serde_json::{Value, json};
use testkit::{McpServer, echo_tool};
use wire::Era;

use crate::harness::{
    COMPOSED, Client, ERAS, Harness, ONE, assert_fault, assert_said, assert_tool_fault, said,
};

/// A server whose lists have two pages.
async fn paged(era: Era) -> McpServer {
    let pages = |member: &'static str, key: &'static str| {
        move |mut exchange: testkit::Exchange| async move {
            let mut result = if exchange.params()["cursor"] == "cursor of the server" {
                json!({member: [{key: "second", "name": "second", "inputSchema": {"type": "object"}}]})
            } else {
                json!({member: [{key: "first", "name": "first", "inputSchema": {"type": "object"}}],
                    "nextCursor": "cursor of the server"})
            };
            if era == Era::Modern {
                for (key, value) in [
                    ("resultType", json!("complete")),
                    ("ttlMs", json!(0)),
                    ("cacheScope", json!("private")),
                ] {
                    result[key] = value;
                }
            }
            exchange.result(result).await;
        }
    };
    McpServer::of(era)
        .capabilities(json!({"tools": {}, "prompts": {}}))
        .on("tools/list", pages("tools", "name"))
        .on("prompts/list", pages("prompts", "name"))
        .start()
        .await
}

/// Variants of a token that are not the token.
fn spoiled(token: &str) -> Vec<Value> {
    let mut flipped = token.as_bytes().to_vec();
    let middle = flipped.len() / 2;
    flipped[middle] = if flipped[middle] == b'A' { b'B' } else { b'A' };
    vec![
        json!("garbage"),
        json!(""),
        json!("cursor of the server"),
        json!(String::from_utf8(flipped).unwrap()),
        json!(token[1..]),
        json!(format!("{token}A")),
        json!("A".repeat(100_000)),
    ]
}

async fn next_cursor(client: &Client) -> String {
    let page = client.send("tools/list", json!({})).await.json();
    page["result"]["nextCursor"].as_str().expect("a second page").to_owned()
}

#[tokio::test]
async fn a_cursor_opens_where_it_was_given_out() {
    for server_era in ERAS {
        let server = paged(server_era).await;
        let harness = Harness::start(json!({"servers": {
            "s": {"url": server.url()}, "t": {"url": server.url()},
        }}))
        .await;
        for era in ERAS {
            let client = harness.client(era, ONE).await;
            let cursor = next_cursor(&client).await;
            assert_ne!(cursor, "cursor of the server");
            let second = client.send("tools/list", json!({"cursor": cursor})).await.json();
            assert_eq!(second["result"]["tools"][0]["name"], "second", "{second}");
            assert_eq!(second["result"]["nextCursor"], Value::Null);
            let asked = server.http().requests_of("tools/list");
            assert!(
                asked.iter().any(|ask| ask.json()["params"]["cursor"] == "cursor of the server")
            );
            assert!(asked.iter().all(|ask| ask.json()["params"]["cursor"] != cursor.as_str()));

            let before = server.http().requests().len();
            for bad in spoiled(&cursor) {
                let answer = client.send("tools/list", json!({"cursor": bad})).await;
                assert_fault(&answer, 200, -32602, "invalid-params");
                assert!(answer.text().contains("begin again"), "{}", answer.text());
            }
            let number = client.send("tools/list", json!({"cursor": 5})).await;
            assert_fault(&number, 200, -32602, "invalid-params");
            let of_prompts = client.send("prompts/list", json!({"cursor": cursor})).await;
            assert_fault(&of_prompts, 200, -32602, "invalid-params");
            assert_eq!(server.http().requests().len(), before, "the server is not asked");
            let elsewhere = harness.client(era, "/servers/t/mcp").await;
            let answer = elsewhere.send("tools/list", json!({"cursor": cursor})).await;
            assert_fault(&answer, 200, -32602, "invalid-params");
        }
    }
}

#[tokio::test]
async fn a_cursor_of_a_composed_list() {
    let server = McpServer::modern()
        .tools((0..5).map(|number| echo_tool(&format!("tool{number}"))).collect())
        .start()
        .await;
    let harness = Harness::start(json!({
        "servers": {"s": {"url": server.url()}},
        "endpoints": {"/mcp": {"servers": "*"}, "/other": {"servers": "*"}},
        "limits": {"page_items": 2},
    }))
    .await;
    for era in ERAS {
        let client = harness.client(era, COMPOSED).await;
        let mut names: Vec<String> = Vec::new();
        let mut params = json!({});
        let mut cursors = Vec::new();
        loop {
            let page = client.send("tools/list", params.clone()).await.json();
            let tools = page["result"]["tools"].as_array().expect("a page").clone();
            assert!(tools.len() <= 2, "page_items");
            names.extend(tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()));
            match page["result"]["nextCursor"].as_str() {
                Some(cursor) => params = json!({"cursor": cursor}),
                None => break,
            }
            cursors.push(params["cursor"].as_str().unwrap().to_owned());
        }
        assert_eq!(names, ["s__tool0", "s__tool1", "s__tool2", "s__tool3", "s__tool4"]);
        assert_eq!(cursors.len(), 2, "two full pages and the rest");
        let cursor = &cursors[0];
        for bad in spoiled(cursor) {
            let answer = client.send("tools/list", json!({"cursor": bad})).await;
            assert_fault(&answer, 200, -32602, "invalid-params");
        }
        for (endpoint, method) in
            [("/other", "tools/list"), (COMPOSED, "prompts/list"), (ONE, "tools/list")]
        {
            let elsewhere = harness.client(era, endpoint).await;
            let answer = elsewhere.send(method, json!({"cursor": cursor})).await;
            assert_fault(&answer, 200, -32602, "invalid-params");
        }
    }
}

/// A server that asks for input, with a state of the length that the call says.
async fn stateful() -> McpServer {
    McpServer::modern()
        .tools(vec![echo_tool("echo"), echo_tool("other")])
        .on("tools/call", |mut exchange| async move {
            let params = exchange.params();
            if params["requestState"].is_null() {
                let length = params["arguments"]["length"].as_u64().unwrap_or(10);
                let state = "s".repeat(usize::try_from(length).unwrap());
                exchange
                    .result(json!({"resultType": "input_required", "requestState": state}))
                    .await;
            } else {
                let text = params["requestState"].as_str().unwrap().len().to_string();
                exchange.result(said(Era::Modern, &text)).await;
            }
        })
        .start()
        .await
}

async fn state_of(client: &Client, params: &Value) -> String {
    let asked = client.send("tools/call", params.clone()).await.json();
    asked["result"]["requestState"].as_str().expect("a state").to_owned()
}

#[tokio::test]
async fn a_request_state_opens_for_the_request_it_was_given_out_for() {
    let server = stateful().await;
    let harness = Harness::start(json!({"servers": {
        "s": {"url": server.url()}, "t": {"url": server.url()},
    }}))
    .await;
    let client = harness.client(Era::Modern, ONE).await;
    let params = json!({"name": "echo", "arguments": {"length": 10}});
    let state = state_of(&client, &params).await;
    assert!(!state.contains("ssss"), "sealed: {state}");
    let with = |params: &Value, state: &Value| {
        let mut params = params.clone();
        params["requestState"] = state.clone();
        params
    };
    let good = client.send("tools/call", with(&params, &json!(state))).await;
    assert_eq!(good.json()["result"]["content"][0]["text"], "10", "{}", good.text());
    let before = server.count("tools/call");
    for bad in spoiled(&state) {
        let answer = client.send("tools/call", with(&params, &bad)).await;
        assert_fault(&answer, 200, -32602, "invalid-params");
    }
    for other in [
        json!({"name": "other", "arguments": {"length": 10}}),
        json!({"name": "echo", "arguments": {"length": 11}}),
        json!({"name": "echo"}),
    ] {
        let answer = client.send("tools/call", with(&other, &json!(state))).await;
        assert_fault(&answer, 200, -32602, "invalid-params");
    }
    for (endpoint, name) in [("/servers/t/mcp", "echo"), (COMPOSED, "s__echo")] {
        let elsewhere = harness.client(Era::Modern, endpoint).await;
        let params = json!({"name": name, "arguments": {"length": 10}});
        let answer = elsewhere.send("tools/call", with(&params, &json!(state))).await;
        assert_fault(&answer, 200, -32602, "invalid-params");
    }
    assert_eq!(server.count("tools/call"), before, "the server is not asked");
    // A cursor is no state either.
    let number = client.send("tools/call", with(&params, &json!(5))).await;
    assert_fault(&number, 200, -32602, "invalid-params");
}

#[tokio::test]
async fn how_long_a_request_state_is_and_lives() {
    let server = stateful().await;
    let limits = json!({"request_state_bytes": 256, "request_state_life": "1s"});
    let harness = Harness::limited(&server, limits).await;
    let client = harness.client(Era::Modern, ONE).await;
    // The limit is the server's own state, whatever sealing adds.
    let mut params = json!({"name": "echo", "arguments": {"length": 256}});
    let state = state_of(&client, &params).await;
    params["requestState"] = json!(state);
    assert_said(&client.send("tools/call", params.clone()).await, "256");
    for length in [257, 5000] {
        let before = server.count("tools/call");
        let params = json!({"name": "echo", "arguments": {"length": length}});
        let answer = client.send("tools/call", params).await;
        let text = assert_tool_fault(&answer, Era::Modern, "server-failed");
        assert!(text.contains("256") && text.contains("request_state_bytes"), "{text}");
        assert_eq!(server.count("tools/call"), before + 1);
    }
    // What is longer than any sealed state, counted with padding, is not even looked at.
    let before = server.count("tools/call");
    for (length, why) in [(state.len(), "given out here"), (state.len() + 2, "longer than")] {
        params["requestState"] = json!("A".repeat(length));
        let answer = client.send("tools/call", params.clone()).await;
        assert_fault(&answer, 200, -32602, "invalid-params");
        assert!(answer.text().contains(why), "{length}: {}", answer.text());
    }
    assert_eq!(server.count("tools/call"), before, "the server is not asked");
    let mut params = json!({"name": "echo", "arguments": {"length": 20}});
    params["requestState"] = json!(state_of(&client, &params).await);
    testkit::within("the state to expire", async {
        loop {
            let answer = client.send("tools/call", params.clone()).await;
            if answer.code() == -32602 {
                assert_fault(&answer, 200, -32602, "invalid-params");
                assert!(answer.text().contains("expired"), "{}", answer.text());
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_task_has_one_handle_which_opens_at_its_own_endpoint() {
    let server = McpServer::modern()
        .on("tools/call", |mut exchange| async move {
            let task =
                json!({"resultType": "task", "taskId": "task of the server", "status": "working"});
            exchange.result(task).await;
        })
        .on("tasks/get", |mut exchange| async move {
            let id = exchange.params()["taskId"].clone();
            exchange
                .result(json!({"resultType": "complete", "taskId": id, "status": "working"}))
                .await;
        })
        .start()
        .await;
    let harness = Harness::start(json!({"servers": {
        "s": {"url": server.url()}, "t": {"url": server.url()},
    }}))
    .await;
    let meta = json!({wire::meta::CLIENT_CAPABILITIES:
        {"extensions": {"io.modelcontextprotocol/tasks": {}}}});
    let client = harness.client(Era::Modern, ONE).await;
    let params = json!({"name": "echo", "_meta": meta});
    let first = client.send("tools/call", params.clone()).await.json();
    let id = first["result"]["taskId"].as_str().expect("a task").to_owned();
    assert_ne!(id, "task of the server");
    let again = client.send("tools/call", params).await.json();
    assert_eq!(again["result"]["taskId"], id.as_str(), "clients compare them");
    let get = |id: &str| json!({"taskId": id, "_meta": meta});
    let got = client.send("tasks/get", get(&id)).await.json();
    assert_eq!(got["result"]["taskId"], id.as_str(), "{got}");
    let asked = server.wait_for("tasks/get", 1).await;
    assert_eq!(asked.json()["params"]["taskId"], "task of the server");
    assert_eq!(asked.headers.get("mcp-name"), Some("task of the server"));
    for foreign in ["task of the server", "garbage"] {
        let answer = client.send("tasks/get", get(foreign)).await;
        assert_fault(&answer, 200, -32602, "invalid-params");
    }
    let elsewhere = harness.client(Era::Modern, "/servers/t/mcp").await;
    assert_fault(&elsewhere.send("tasks/get", get(&id)).await, 200, -32602, "invalid-params");
    assert_eq!(server.count("tasks/get"), 1);
}
