//! Requests that no good client sends: each gets the specification's error and spoils no other call.

use serde_json::{Value, json};
use testkit::{Connection, HttpRequest, McpServer, initialize, legacy, modern};
use wire::{Era, Version};

use crate::harness::{COMPOSED, ERAS, Harness, ONE, assert_fault, assert_said, holding_server};

/// Makes a call, runs `meanwhile` while it is in flight, and asserts that it was not disturbed.
async fn beside_a_call(
    harness: &Harness,
    release: &tokio::sync::Semaphore,
    meanwhile: impl Future,
) {
    let mut other = harness.connect().await;
    other.write(modern(ONE, 7, "tools/call", json!({"name": "held"})).bytes()).await;
    testkit::until("the other call", || harness.gate.overview().calls > 0).await;
    meanwhile.await;
    release.add_permits(1);
    assert_said(&other.answer().await, "held");
}

#[tokio::test]
async fn text_that_is_no_message_is_refused_in_both_eras() {
    let (server, release) = holding_server(Era::Modern).await;
    let harness = Harness::before(&server).await;
    let session = harness.session(ONE).await;
    let deep = format!("{}1{}", "[".repeat(80), "]".repeat(80));
    let (parse, invalid) = (-32700, -32600);
    let texts: Vec<(Vec<u8>, i64)> = vec![
        (b"".to_vec(), parse),
        (b"{".to_vec(), parse),
        (b"nonsense".to_vec(), parse),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}x".to_vec(), parse),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"method\":\"ping\"}".to_vec(), parse),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"a\",\"name\":\"b\"}}".to_vec(), parse),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"arguments\":{\"x\":1,\"x\":2}}}".to_vec(), parse),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/\xff\"}".to_vec(), parse),
        (format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"params\":{{\"a\":{deep}}}}}").into_bytes(), parse),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":5}".to_vec(), invalid),
        (b"{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"ping\"}".to_vec(), invalid),
        (b"{\"id\":1,\"method\":\"ping\"}".to_vec(), invalid),
        (b"{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"ping\"}".to_vec(), invalid),
        (b"{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"ping\"}".to_vec(), invalid),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"ping\"}".to_vec(), invalid),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":[]}".to_vec(), -32602),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":\"x\"}".to_vec(), -32602),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1}".to_vec(), invalid),
        (b"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]".to_vec(), invalid),
        (b"[]".to_vec(), invalid),
    ];
    let meanwhile = async {
        for (text, code) in texts {
            let clean = HttpRequest::post(ONE, text.clone());
            for request in [
                clean.clone().header("MCP-Protocol-Version", Version::LATEST.as_str()),
                clean.header("Mcp-Session-Id", &session.id),
            ] {
                let answer = harness.send(&request).await;
                let shown = String::from_utf8_lossy(&text);
                assert_eq!(answer.code(), code, "{shown}: {}", answer.text());
                assert_fault(&answer, 400, code, "malformed");
            }
        }
    };
    beside_a_call(&harness, &release, meanwhile).await;
    let reached: Vec<String> =
        server.http().requests().iter().map(testkit::Received::method).collect();
    let own = ["server/discover", "subscriptions/listen", "tools/list", "tools/call"];
    assert!(reached.iter().all(|method| own.contains(&&**method)), "{reached:?}");
    assert_eq!(server.count("tools/call"), 1, "nothing of it reached the server");
}

#[tokio::test]
async fn the_error_names_the_request_as_far_as_it_was_read() {
    let server = McpServer::modern().start().await;
    let harness = Harness::before(&server).await;
    for id in [json!("x"), json!(12_345_678_901_234_567_890_u64), json!(-3)] {
        let body = json!({"jsonrpc": "2.0", "id": id, "method": "ping", "params": 5});
        let answer = harness.send(&HttpRequest::post(ONE, body.to_string())).await;
        assert_eq!(answer.json()["id"], id, "{}", answer.text());
    }
}

#[tokio::test]
async fn a_method_that_does_not_exist() {
    let server = McpServer::modern().start().await;
    let harness = Harness::before(&server).await;
    for endpoint in [COMPOSED, ONE] {
        for method in ["ping", "initialize", "resources/subscribe", "logging/setLevel"] {
            let answer = harness.modern(endpoint, method, json!({})).await;
            assert_fault(&answer, 404, -32601, "unknown-method");
        }
        let answer = harness.modern(endpoint, "no/such", json!({})).await;
        assert_eq!((answer.status, answer.code()), (404, -32601), "{}", answer.text());
        let session = harness.session(endpoint).await;
        for method in ["server/discover", "subscriptions/listen"] {
            let answer = session.send(1, method, json!({})).await;
            assert_fault(&answer, 200, -32601, "unknown-method");
        }
        let answer = session.send(1, "no/such", json!({})).await;
        assert_eq!((answer.status, answer.code()), (200, -32601), "{}", answer.text());
    }
}

#[tokio::test]
async fn a_name_that_does_not_exist() {
    let server = McpServer::modern()
        .list("resources/list", vec![json!({"uri": "file:///a", "name": "a"})])
        .list("prompts/list", vec![json!({"name": "p"})])
        .on("resources/read", |mut exchange| async move {
            exchange.error(200, -32602, "no such resource").await;
        })
        .start()
        .await;
    let harness = Harness::before(&server).await;
    for era in ERAS {
        let client = harness.client(era, COMPOSED).await;
        let calls = server.count("tools/call");
        // Known to the server, but not by this name here.
        for name in ["echo", "s__none", "x__echo", "s__echo_"] {
            assert_fault(&client.call(name).await, 200, -32602, "unknown-name");
        }
        assert_eq!(server.count("tools/call"), calls);
        let prompt = client.send("prompts/get", json!({"name": "s__none"})).await;
        assert_fault(&prompt, 200, -32602, "unknown-name");
        let read = client.send("resources/read", json!({"uri": "file:///none"})).await;
        let code = if era == Era::Modern { -32602 } else { -32002 };
        assert_fault(&read, 200, code, "unknown-name");
        assert_said(&client.call("s__echo").await, "echo: hi");
    }
}

#[tokio::test]
async fn parameters_of_the_wrong_type() {
    let server = McpServer::modern().start().await;
    let harness = Harness::before(&server).await;
    for era in ERAS {
        let client = harness.client(era, COMPOSED).await;
        for (method, params) in [
            ("tools/call", json!({"name": 5})),
            ("tools/call", json!({"arguments": {}})),
            ("prompts/get", json!({"name": null})),
            ("resources/read", json!({"uri": []})),
            ("completion/complete", json!({"ref": "x"})),
            ("completion/complete", json!({"ref": {"type": "ref/none"}})),
        ] {
            assert_fault(&client.send(method, params).await, 200, -32602, "invalid-params");
        }
    }
    let session = harness.session(COMPOSED).await;
    let level = session.send(1, "logging/setLevel", json!({"level": 5})).await;
    assert_eq!((level.status, level.code()), (200, -32602));
}

#[tokio::test]
async fn initialize_that_says_too_little() {
    let server = McpServer::modern().start().await;
    let harness = Harness::before(&server).await;
    let good = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {}});
    for (key, value) in [
        ("protocolVersion", Value::Null),
        ("protocolVersion", json!(5)),
        ("capabilities", Value::Null),
        ("capabilities", json!([])),
        ("clientInfo", json!("me")),
    ] {
        let mut params = good.clone();
        params[key] = value;
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
        let answer = harness.send(&HttpRequest::post(ONE, body.to_string())).await;
        assert_fault(&answer, 200, -32602, "invalid-params");
        assert!(answer.text().contains(key), "{}", answer.text());
    }
    assert_eq!(harness.gate.overview().sessions, 0);
}

#[tokio::test]
async fn a_legacy_client_of_another_version_is_offered_one_that_is_spoken() {
    let server = McpServer::modern().start().await;
    let harness = Harness::before(&server).await;
    for (asked, answered) in [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("1999-01-01", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
    ] {
        let answer = harness.send(&initialize(ONE, asked, &json!({}))).await;
        assert_eq!(answer.json()["result"]["protocolVersion"], answered, "{asked}");
    }
}

#[tokio::test]
async fn a_session_that_is_not_known_here() {
    let server = McpServer::modern().start().await;
    let harness = Harness::limited(&server, json!({"session_idle": "1s"})).await;
    let session = harness.session(ONE).await;
    assert_said(&session.send(1, "tools/call", json!({"name": "echo"})).await, "echo: ");
    let tampered = {
        let mut id = session.id.clone().into_bytes();
        id[20] = if id[20] == b'A' { b'B' } else { b'A' };
        String::from_utf8(id).unwrap()
    };
    for (endpoint, id) in [(ONE, "garbage"), (ONE, ""), (ONE, &*tampered), (COMPOSED, &*session.id)]
    {
        let list = harness.send(&legacy(endpoint, id, 1, "tools/list", json!({}))).await;
        assert_fault(&list, 404, -32001, "unknown-session");
        for verb in ["GET", "DELETE"] {
            let request = HttpRequest::new(verb, endpoint).header("Mcp-Session-Id", id);
            assert_fault(&harness.send(&request).await, 404, -32001, "unknown-session");
        }
    }
    let without = legacy(ONE, "", 1, "tools/list", json!({})).without("Mcp-Session-Id");
    let answer = harness.send(&without).await;
    assert_fault(&answer, 400, -32600, "malformed");
    assert!(answer.text().contains("`initialize`"), "{}", answer.text());
    // Ended by its client, and ended by silence.
    let deleted = harness.session(ONE).await;
    let delete = HttpRequest::new("DELETE", ONE).header("Mcp-Session-Id", &deleted.id);
    assert_eq!(harness.send(&delete).await.status, 204);
    assert_fault(&deleted.send(1, "tools/list", json!({})).await, 404, -32001, "unknown-session");
    testkit::until("the sessions to expire", || harness.gate.overview().sessions == 0).await;
    assert_fault(&session.send(1, "tools/list", json!({})).await, 404, -32001, "unknown-session");
}

#[tokio::test]
async fn headers_that_do_not_say_what_the_body_says() {
    let server = McpServer::modern().start().await;
    let harness = Harness::before(&server).await;
    assert_said(&harness.modern(ONE, "tools/call", json!({"name": "echo"})).await, "echo: ");
    let calls = server.count("tools/call");
    let good = modern(ONE, 1, "tools/call", json!({"name": "echo"}));
    for request in [
        good.clone().without("Mcp-Method"),
        good.clone().without("Mcp-Name"),
        good.clone().without("MCP-Protocol-Version"),
        good.clone().set("Mcp-Method", "tools/list"),
        good.clone().set("Mcp-Method", "TOOLS/CALL"),
        good.clone().set("Mcp-Name", "other"),
        good.clone().set("Mcp-Name", "Echo"),
        good.clone().set("Mcp-Name", "=?base64?b3RoZXI=?="),
        good.clone().set("Mcp-Name", "=?base64?ZWNobw?="),
        good.clone().set("Mcp-Name", "=?base64?!!!!?="),
        good.clone().set("MCP-Protocol-Version", "2025-11-25"),
        good.clone().header("Mcp-Name", "echo"),
        good.clone().header("Mcp-Method", "tools/call"),
        good.clone().header("MCP-Protocol-Version", "2026-07-28"),
    ] {
        let answer = harness.send(&request).await;
        assert_fault(&answer, 400, -32020, "header-mismatch");
        assert_eq!(answer.json()["id"], 1);
    }
    assert_eq!(server.count("tools/call"), calls, "nothing of it reached the server");
    let spaced = good.clone().set("Mcp-Name", "  echo  ").set("mcp-method", "tools/call");
    assert_said(&harness.send(&spaced).await, "echo: ");
    let encoded = good.set("Mcp-Name", "=?base64?ZWNobw==?=");
    assert_said(&harness.send(&encoded).await, "echo: ");
}

#[tokio::test]
async fn initialize_under_a_modern_header_is_a_mismatch() {
    let server = McpServer::modern().start().await;
    let harness = Harness::before(&server).await;
    let request = initialize(ONE, "2025-11-25", &json!({}));
    let answer = harness.send(&request.header("MCP-Protocol-Version", "2026-07-28")).await;
    assert_fault(&answer, 400, -32020, "header-mismatch");
}

#[tokio::test]
async fn arguments_that_are_mirrored_must_be_mirrored() {
    let schema = json!({"type": "object", "properties": {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "count": {"type": "integer", "x-mcp-header": "Count"},
    }});
    let tool = json!({"name": "query", "inputSchema": schema});
    let server = McpServer::modern().tools(vec![tool]).start().await;
    let harness = Harness::before(&server).await;
    assert_eq!(harness.modern(ONE, "tools/list", json!({})).await.status, 200);
    let arguments = json!({"name": "query", "arguments": {"region": "us", "count": 42}});
    let good = modern(ONE, 1, "tools/call", arguments)
        .header("Mcp-Param-Region", "us")
        .header("Mcp-Param-Count", "42.0")
        .header("Mcp-Param-Unknown", "kept");
    assert_eq!(harness.send(&good).await.status, 200);
    let sent = server.wait_for("tools/call", 1).await;
    assert_eq!(sent.headers.get("mcp-param-region"), Some("us"));
    assert_eq!(sent.headers.get("mcp-param-count"), Some("42"), "made anew from the body");
    assert_eq!(sent.headers.get("mcp-param-unknown"), Some("kept"));
    for request in [
        good.clone().without("Mcp-Param-Region"),
        good.clone().set("Mcp-Param-Region", "eu"),
        good.clone().set("Mcp-Param-Count", "43"),
        good.clone().set("Mcp-Param-Region", "=?base64?dXM?="),
    ] {
        assert_fault(&harness.send(&request).await, 400, -32020, "header-mismatch");
    }
    assert_eq!(server.count("tools/call"), 1);
    // A legacy client knows nothing of mirroring; the gate does it for the client.
    let session = harness.session(ONE).await;
    let params = json!({"name": "query", "arguments": {"region": "é", "count": 1}});
    assert_eq!(session.send(1, "tools/call", params).await.status, 200);
    let sent = server.wait_for("tools/call", 2).await;
    assert_eq!(sent.headers.get("mcp-param-region"), Some("=?base64?w6k=?="));
}

#[tokio::test]
async fn versions_that_are_not_spoken() {
    let server = McpServer::modern().start().await;
    let harness = Harness::before(&server).await;
    let session = harness.session(ONE).await;
    for version in ["1900-01-01", "2027-01-01", "2025-11-25", "x", ""] {
        let meta = json!({wire::meta::PROTOCOL_VERSION: version});
        let request = modern(ONE, "v", "tools/list", json!({"_meta": meta}))
            .set("MCP-Protocol-Version", version);
        let answer = harness.send(&request).await;
        assert_fault(&answer, 400, -32022, "unsupported-version");
        let data = answer.json()["error"]["data"].clone();
        assert_eq!(data["requested"], version);
        assert_eq!(data["supported"][0], Version::LATEST.as_str());
        assert_eq!(answer.json()["id"], "v");
    }
    let odd =
        session.request(1, "tools/list", json!({})).header("MCP-Protocol-Version", "1900-01-01");
    assert_eq!(harness.send(&odd).await.status, 400);
    let own =
        session.request(1, "tools/list", json!({})).header("MCP-Protocol-Version", "2025-11-25");
    assert_eq!(harness.send(&own).await.status, 200);
}

#[tokio::test]
async fn capabilities_that_were_not_declared() {
    let server = McpServer::modern().start().await;
    let harness = Harness::before(&server).await;
    let answer = harness.modern(ONE, "tasks/get", json!({"taskId": "t"})).await;
    assert_fault(&answer, 400, -32021, "missing-capability");
    let required = &answer.json()["error"]["data"]["requiredCapabilities"]["extensions"];
    assert!(required["io.modelcontextprotocol/tasks"].is_object(), "{}", answer.text());
    // What the request must say at all.
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {
        "_meta": {wire::meta::PROTOCOL_VERSION: "2026-07-28"}}});
    let request = HttpRequest::post(ONE, body.to_string())
        .header("MCP-Protocol-Version", "2026-07-28")
        .header("Mcp-Method", "tools/list");
    let answer = harness.send(&request).await;
    assert_fault(&answer, 400, -32602, "invalid-params");
    assert!(answer.text().contains(wire::meta::CLIENT_CAPABILITIES), "{}", answer.text());
    // A modern header and a body that claims nothing.
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}});
    let answer = harness.send(&request.body(body.to_string())).await;
    assert_fault(&answer, 400, -32602, "invalid-params");
    assert!(answer.text().contains(wire::meta::PROTOCOL_VERSION), "{}", answer.text());
}

#[tokio::test]
async fn bodies_that_are_no_plain_json() {
    let server = McpServer::modern().start().await;
    let harness = Harness::before(&server).await;
    let session = harness.session(ONE).await;
    for good in
        [modern(ONE, 1, "tools/list", json!({})), session.request(1, "tools/list", json!({}))]
    {
        for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""] {
            let answer = harness.send(&good.clone().set("Content-Type", kind)).await;
            assert_fault(&answer, 415, -32600, "malformed");
        }
        let answer = harness.send(&good.clone().without("Content-Type")).await;
        assert_fault(&answer, 415, -32600, "malformed");
        for coding in ["gzip", "br", "deflate", "gzip, identity"] {
            let answer = harness.send(&good.clone().header("Content-Encoding", coding)).await;
            assert_fault(&answer, 415, -32600, "malformed");
        }
        for kind in ["application/json; charset=utf-8", "Application/JSON"] {
            let answer = harness.send(&good.clone().set("Content-Type", kind)).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        let plain = good.clone().header("Content-Encoding", "identity");
        assert_eq!(harness.send(&plain).await.status, 200);
    }
}

#[tokio::test]
async fn verbs_and_paths_that_are_not_there() {
    let server = McpServer::modern().start().await;
    let harness = Harness::before(&server).await;
    for verb in ["GET", "DELETE", "PUT", "PATCH"] {
        let request = HttpRequest::new(verb, ONE).header("Content-Length", "0");
        let answer = harness.send(&request).await;
        assert_eq!(answer.status, 405, "{verb}");
        assert!(answer.headers.has("allow"), "{verb}");
    }
    for path in
        ["/", "/mcp/", "/mcp/x", "/servers/none/mcp", "/servers/s%2fmcp", "/servers/s/mcp/x"]
    {
        let answer = harness.send(&modern(path, 1, "tools/list", json!({}))).await;
        assert_eq!(answer.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_modern_client_sends_no_answers() {
    let server = McpServer::modern().start().await;
    let harness = Harness::before(&server).await;
    let body = json!({"jsonrpc": "2.0", "id": 1, "result": {}});
    let request =
        HttpRequest::post(ONE, body.to_string()).header("MCP-Protocol-Version", "2026-07-28");
    assert_fault(&harness.send(&request).await, 400, -32600, "malformed");
    // An answer to nothing in a session is taken and forgotten.
    let session = harness.session(ONE).await;
    assert_eq!(session.post(&body).await.status, 202);
    assert_eq!(
        session.post(&json!({"jsonrpc": "2.0", "id": "gate-9", "result": {}})).await.status,
        202
    );
}

#[tokio::test]
async fn a_client_that_is_gone_before_its_body_leaves_nothing() {
    let server = McpServer::modern().start().await;
    let harness = Harness::before(&server).await;
    let request = modern(ONE, 1, "tools/call", json!({"name": "echo"}));
    let bytes = request.bytes();
    for cut in [1, 40, bytes.len() / 2, bytes.len() - 1] {
        let mut connection = Connection::open(harness.address).await;
        connection.write(&bytes[..cut]).await;
    }
    assert_said(&harness.send(&request).await, "echo: ");
    assert_eq!(server.count("tools/call"), 1);
    testkit::until("no call in flight", || harness.gate.overview().calls == 0).await;
}
