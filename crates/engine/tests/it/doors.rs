//! Who comes in, and what of a request goes further: hosts, origins, and headers.

use serde_json::json;
use testkit::{HttpRequest, McpServer, initialize, modern};

use crate::harness::{ERAS, Harness, ONE, assert_fault, assert_said};

#[tokio::test]
async fn only_known_hosts_and_origins_come_in() {
    let server = McpServer::modern().start().await;
    let harness = Harness::before(&server).await;
    let call = modern(ONE, 1, "tools/call", json!({"name": "echo"}));
    let requests = [
        call.clone(),
        initialize(ONE, "2025-11-25", &json!({})),
        HttpRequest::new("GET", ONE).header("Mcp-Session-Id", "x"),
        HttpRequest::new("DELETE", ONE).header("Mcp-Session-Id", "x"),
        HttpRequest::get_events(&format!("{ONE}/sse")),
        HttpRequest::post(&format!("{ONE}/sse/messages?session_id=x"), "{}"),
    ];
    for request in requests {
        for foreign in [
            request.clone().set("Host", "evil.example.com"),
            request.clone().set("Host", "localhost.evil.example.com"),
            request.clone().header("Origin", "https://evil.example.com"),
            request.clone().header("Origin", "null"),
            request.clone().header("Origin", "http://localhost.evil.example.com"),
            request.clone().header("Origin", "file://"),
        ] {
            assert_fault(&harness.send(&foreign).await, 403, -32600, "forbidden-origin");
        }
    }
    assert_eq!(server.http().requests().len(), 0, "nothing of it reached the server");
    for own in [
        call.clone().set("Host", "127.0.0.1:8080"),
        call.clone().set("Host", "[::1]:8080"),
        call.clone().header("Origin", "http://localhost:6274"),
    ] {
        assert_said(&harness.send(&own).await, "echo: ");
    }
}

#[tokio::test]
async fn two_hosts_or_two_origins_are_none() {
    let server = McpServer::modern().start().await;
    let harness = Harness::before(&server).await;
    let call = modern(ONE, 1, "tools/call", json!({"name": "echo"}));
    let two = call
        .clone()
        .header("Origin", "http://localhost")
        .header("Origin", "https://evil.example.com");
    assert_fault(&harness.send(&two).await, 403, -32600, "forbidden-origin");
    let two = call.header("Host", "evil.example.com");
    let status = harness.send(&two).await.status;
    assert!(matches!(status, 400 | 403), "{status}");
    assert_eq!(server.count("tools/call"), 0);
}

#[tokio::test]
async fn pages_of_the_operator_come_in_and_may_read() {
    let server = McpServer::modern().start().await;
    let harness = Harness::start(json!({
        "listen": {"address": "127.0.0.1:0", "allowed_hosts": ["mcp.example.com"],
                   "allowed_origins": ["https://app.example.com"]},
        "servers": {"s": {"url": server.url()}},
    }))
    .await;
    let call = modern(ONE, 1, "tools/call", json!({"name": "echo"}))
        .set("Host", "mcp.example.com")
        .header("Origin", "https://app.example.com");
    let answer = harness.send(&call).await;
    assert_said(&answer, "echo: ");
    assert_eq!(answer.headers.get("access-control-allow-origin"), Some("https://app.example.com"));
    assert_eq!(answer.headers.get("access-control-allow-credentials"), None);
    let preflight = HttpRequest::new("OPTIONS", ONE)
        .header("Origin", "https://app.example.com")
        .header("Access-Control-Request-Method", "POST");
    assert_eq!(harness.send(&preflight).await.status, 204);
    let foreign = preflight.set("Origin", "https://evil.example.com");
    let answer = harness.send(&foreign).await;
    assert_eq!(answer.status, 403);
    assert!(!answer.headers.has("access-control-allow-origin"));
}

/// What a client may say of itself or of the way it came, and no server may hear.
const PRIVATE: [(&str, &str); 16] = [
    ("Authorization", "Bearer client-secret"),
    ("Cookie", "session=client-secret"),
    ("Proxy-Authorization", "Basic client-secret"),
    ("Proxy-Connection", "keep-alive"),
    ("X-Forwarded-For", "203.0.113.9"),
    ("X-Forwarded-Host", "client-secret.example.com"),
    ("X-Forwarded-Proto", "https"),
    ("Forwarded", "for=203.0.113.9"),
    ("X-Real-IP", "203.0.113.9"),
    ("TE", "trailers"),
    ("Keep-Alive", "timeout=5"),
    ("Connection", "keep-alive, X-Named"),
    ("X-Named", "client-secret"),
    ("X-Api-Key", "client-secret"),
    ("Origin", "http://localhost:1"),
    ("Referer", "http://localhost/client-secret"),
];

#[tokio::test]
async fn what_clients_carry_stays_at_the_gate() {
    for server_era in ERAS {
        let server = McpServer::of(server_era).start().await;
        let harness = Harness::start(json!({"servers": {"s": {
            "url": server.url(),
            "headers": {"X-Configured": "by the operator"},
            "credentials": {"bearer": "of-the-gate"},
        }}}))
        .await;
        for client in ERAS {
            let client = harness.client(client, ONE).await;
            let mut request = client.request(1, "tools/call", json!({"name": "echo"}));
            for (name, value) in PRIVATE {
                request = request.header(name, value);
            }
            assert_said(&harness.send(&request).await, "echo: ");
        }
        let received = server.http().requests();
        assert_eq!(server.count("tools/call"), 2);
        for request in received {
            // What the operator configured does arrive.
            assert_eq!(request.headers.get("x-configured"), Some("by the operator"));
            assert_eq!(request.headers.get("authorization"), Some("Bearer of-the-gate"));
            let host = server.http().address().to_string();
            assert_eq!(request.headers.get("host"), Some(host.as_str()));
            for (name, value) in &request.headers.0 {
                assert!(!value.contains("client-secret"), "{name}: {value}");
                assert!(!value.contains("203.0.113.9"), "{name}: {value}");
                assert!(!["te", "keep-alive", "connection", "origin"].contains(&&**name), "{name}");
            }
        }
    }
}

#[tokio::test]
async fn session_ids_of_clients_and_servers_never_cross() {
    let server = McpServer::legacy().start().await;
    let harness = Harness::before(&server).await;
    let session = harness.session(ONE).await;
    assert_said(&session.send(1, "tools/call", json!({"name": "echo"})).await, "echo: ");
    let call = server.wait_for("tools/call", 1).await;
    let theirs = call.headers.get("mcp-session-id").expect("a session of the server");
    assert!(theirs.starts_with("session-") && !session.id.contains(theirs));
    for request in server.http().requests() {
        assert_ne!(request.headers.get("mcp-session-id"), Some(session.id.as_str()));
    }
    // A modern client may send one by mistake; it means nothing.
    let request = modern(ONE, 1, "tools/call", json!({"name": "echo"}));
    let answer = harness.send(&request.header("Mcp-Session-Id", &session.id)).await;
    assert_said(&answer, "echo: ");
    assert!(!answer.headers.has("mcp-session-id"));
}

/// Heads on which two readers could disagree, with a second request hidden behind them.
#[tokio::test]
async fn heads_that_can_be_read_in_two_ways_are_refused() {
    let server = McpServer::modern().start().await;
    let harness = Harness::before(&server).await;
    let hidden = String::from_utf8(modern(ONE, 1, "tools/call", json!({"name": "echo"})).bytes());
    let hidden = hidden.unwrap();
    let length = hidden.len();
    let start =
        format!("POST {ONE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n");
    let heads = [
        "Content-Length: 5\r\nContent-Length: 6\r\n\r\n".to_owned(),
        "Content-Length: 5, 6\r\n\r\n".to_owned(),
        "Content-Length: +5\r\n\r\n".to_owned(),
        "Content-Length: -5\r\n\r\n".to_owned(),
        "Content-Length: 0x5\r\n\r\n".to_owned(),
        format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n".to_owned(),
        "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n".to_owned(),
        "Transfer-Encoding: chunked\r\n\r\nz\r\n\r\n".to_owned(),
        "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n\r\n".to_owned(),
        "X-Folded: a\r\n b\r\nContent-Length: 0\r\n\r\n".to_owned(),
        "X-Bare\r\n\r\n".to_owned(),
        "X Space: a\r\n\r\n".to_owned(),
        "X-Null: a\0b\r\n\r\n".to_owned(),
    ];
    for head in heads {
        let mut connection = harness.connect().await;
        let _ = connection.try_write(format!("{start}{head}{hidden}")).await;
        if let Ok(answer) = connection.try_answer().await {
            assert!(matches!(answer.status, 400 | 413 | 415 | 501), "{head:?}: {}", answer.status);
        }
        // Whatever follows on this connection is nobody's request.
        connection.closed().await;
        assert_eq!(server.count("tools/call"), 0, "{head:?}");
    }
    // A request that is well formed is answered, and so is the one behind it.
    let mut connection = harness.connect().await;
    connection.write(format!("{hidden}{hidden}")).await;
    assert_said(&connection.answer().await, "echo: ");
    assert_said(&connection.answer().await, "echo: ");
}

#[tokio::test]
async fn nothing_but_http_is_spoken_on_the_gates_port() {
    let server = McpServer::modern().start().await;
    let harness = Harness::before(&server).await;
    for text in [
        "SSH-2.0-x\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00",
        "GET / HTTP/9.9\r\n\r\n",
        "\r\n\r\n\r\n\0",
    ] {
        let mut connection = harness.connect().await;
        connection.write(text).await;
        if let Ok(answer) = connection.try_answer().await {
            assert!(answer.status >= 400, "{text:?}: {}", answer.status);
        }
    }
    let upgrade = modern(ONE, 1, "tools/call", json!({"name": "echo"}))
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket");
    let status = harness.send(&upgrade).await.status;
    assert_ne!(status, 101);
}
