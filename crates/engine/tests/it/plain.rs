//! One-to-one: MCP and the plain API on the same path.

use std::net::SocketAddr;

use serde_json::{Value, json};
use store::{CallOutcome, CallRecord};
use tempfile::TempDir;
use testkit::{Answer, Connection, HttpRequest, ScriptedServer, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{ERAS, Harness};

const PATH: &str = "/billing";

fn document() -> Value {
    let text = |name: &str, location: &str| {
        json!({"name": name, "in": location, "required": location == "path",
            "schema": {"type": "string"}})
    };
    let bytes = json!({"content": {"application/octet-stream": {}}});
    let answers = json!({"200": {"description": "fine"}});
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Billing", "version": "1"},
        "security": [{"key": [], "pair": []}],
        "paths": {
            "/": {"post": {"operationId": "evaluate", "responses": answers,
                "requestBody": {"content": {"application/json": {}}}}},
            "/invoices": {
                "get": {"operationId": "list", "responses": answers,
                    "parameters": [text("state", "query")]},
                "post": {"operationId": "create", "responses": answers,
                    "requestBody": {"content": {"application/json": {}}}},
            },
            "/invoices/{id}": {"get": {"operationId": "read", "responses": answers,
                "parameters": [text("id", "path"), text("X-Tenant", "header"), text("lang", "cookie")]}},
            "/invoices/all": {"get": {"operationId": "secretAll", "responses": answers}},
            "/files/{name}": {"put": {"operationId": "upload", "responses": answers,
                "requestBody": bytes, "parameters": [text("name", "path")]}},
            "/events": {"get": {"operationId": "events", "responses": answers}},
        },
        "components": {"securitySchemes": {
            "key": {"type": "apiKey", "in": "header", "name": "X-Key"},
            "pair": {"type": "apiKey", "in": "query", "name": "api_key"},
        }},
    })
}

/// A gate before an API at `address`, and the folder of its document.
async fn gate(address: SocketAddr, more: Value, limits: Value) -> (Harness, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("billing.json");
    std::fs::write(&file, document().to_string()).unwrap();
    let mut server = json!({
        "openapi": file,
        "url": format!("http://{address}/v1"),
        "credentials": {"schemes": {"key": {"value": "key-canary"}, "pair": {"value": "pair-canary"}}},
        "tools": {"exclude": ["secret*"]},
        "forward_headers": ["X-Trace"],
    });
    for (key, value) in more.as_object().unwrap() {
        server[key] = value.clone();
    }
    let config = json!({
        "servers": {"billing": server},
        "endpoints": {PATH: {"server": "billing", "http": true}},
        "limits": limits,
    });
    (Harness::start(config).await, folder)
}

async fn before(api: &ScriptedServer) -> (Harness, TempDir) {
    gate(api.address(), json!({}), json!({})).await
}

/// An API that says what was asked of it.
async fn echo() -> ScriptedServer {
    ScriptedServer::start(|mut exchange| async move {
        let request = exchange.request().clone();
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let said = json!({"verb": request.verb, "target": request.target, "body": body});
        exchange.json(200, &said).await;
    })
    .await
}

async fn record(harness: &mut Harness) -> CallRecord {
    within("a record", harness.records.recv()).await.unwrap()
}

#[track_caller]
fn assert_problem(answer: &Answer, status: u16, reason: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.headers.get("content-type"), Some("application/problem+json"));
    let body = answer.json();
    assert_eq!((&body["status"], &body["reason"]), (&json!(status), &json!(reason)), "{body}");
    assert_eq!(answer.headers.get("x-correlation-id"), body["correlationId"].as_str(), "{body}");
    assert!(body["detail"].as_str().unwrap().len() > 15, "{body}");
}

#[tokio::test]
async fn a_plain_request_goes_to_its_operation() {
    let api = ScriptedServer::start(|mut exchange| async move {
        let headers = [
            ("Content-Type", "text/plain"),
            ("X-Rate", "9"),
            ("Set-Cookie", "a=b"),
            ("Location", "/v1/invoices/8"),
        ];
        exchange.respond(201, &headers, "made").await;
    })
    .await;
    let (mut harness, _folder) = before(&api).await;
    let request = HttpRequest::new("GET", "/billing/invoices/a%2Fb?state=x%20y&api_key=mine")
        .header("Authorization", "Bearer client-canary")
        .header("Cookie", "client-canary=1; lang=en; language=client-canary")
        .header("X-Key", "client-canary")
        .header("X-Other", "client-canary")
        .header("Mcp-Name", "client-canary")
        .header("X-Trace", "t-1")
        .header("X-Tenant", "acme")
        .header("Accept", "text/plain");
    let answer = harness.send(&request).await;
    assert_eq!((answer.status, answer.text().as_str()), (201, "made"));
    assert_eq!(answer.headers.get("x-rate"), Some("9"));
    assert_eq!(answer.headers.get("content-type"), Some("text/plain"));
    assert_eq!(answer.headers.get("set-cookie"), None);
    assert_eq!(answer.headers.get("location"), Some("/billing/invoices/8"));

    let got = api.requests().remove(0);
    assert_eq!(got.verb, "GET");
    assert_eq!(got.target, "/v1/invoices/a%2Fb?state=x%20y&api_key=pair-canary");
    for (name, value) in [
        ("x-key", Some("key-canary")),
        ("x-trace", Some("t-1")),
        ("x-tenant", Some("acme")),
        ("accept", Some("text/plain")),
        ("authorization", None),
        ("cookie", Some("lang=en")),
        ("x-other", None),
        ("mcp-name", None),
    ] {
        assert_eq!(got.headers.get(name), value, "{name}");
    }
    assert!(!format!("{:?}", got.headers).contains("client-canary"), "{:?}", got.headers);

    let record = record(&mut harness).await;
    assert_eq!((&*record.method, record.name.as_deref()), ("GET", Some("read")));
    assert_eq!((record.outcome, record.server.as_deref()), (CallOutcome::Success, Some("billing")));
    assert_eq!((&*record.endpoint, record.client_version), (PATH, "http"));
    let correlation = std::str::from_utf8(&record.correlation).unwrap();
    assert_eq!(answer.headers.get("x-correlation-id"), Some(correlation));
}

#[tokio::test]
async fn bodies_of_any_kind_go_through() {
    let api = echo().await;
    let (harness, _folder) = before(&api).await;
    for (verb, path, kind, body) in [
        ("POST", "/invoices", "application/json", r#"{"amount": 10.10}"#),
        ("POST", "/invoices", "text/csv", "a,b"),
        ("PUT", "/files/x.bin", "application/octet-stream", "\u{0}\u{1}"),
        ("POST", "/", "application/json", r#"{"jsonrpc": "2.0", "id": 1, "method": "ping"}"#),
    ] {
        let request = HttpRequest::new(verb, &format!("{PATH}{path}"))
            .header("Content-Type", kind)
            .header("Content-Encoding", "x-own");
        let answer = harness.send(&request.body(body)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["body"], body);
        let got = api.requests().pop().unwrap();
        let path = if path.is_empty() { "/" } else { path };
        assert_eq!(got.target, format!("/v1{path}?api_key=pair-canary"));
        assert_eq!(got.headers.get("content-type"), Some(kind));
        assert_eq!(got.headers.get("content-encoding"), Some("x-own"));
        assert_eq!(got.headers.get("content-length"), Some(body.len().to_string().as_str()));
    }
}

#[tokio::test]
async fn what_is_compressed_stays_so() {
    const BODY: &[u8] = b"\x1f\x8b not gzip at all";
    let api = ScriptedServer::start(|mut exchange| async move {
        exchange
            .respond(200, &[("Content-Encoding", "br"), ("Vary", "Accept-Encoding")], BODY)
            .await;
    })
    .await;
    let (harness, _folder) = before(&api).await;
    let request = HttpRequest::new("GET", "/billing/invoices");
    for (accepted, sent) in [(Some("br;q=1, gzip"), "br;q=1, gzip"), (None, "identity")] {
        let asked = accepted.map(|accepted| request.clone().header("Accept-Encoding", accepted));
        let answer = harness.send(&asked.unwrap_or_else(|| request.clone())).await;
        assert_eq!((answer.status, &*answer.body), (200, BODY));
        assert_eq!(answer.headers.get("content-encoding"), Some("br"));
        assert_eq!(answer.headers.get("vary"), Some("Accept-Encoding"));
        let got = api.requests().pop().unwrap();
        assert_eq!(got.headers.get("accept-encoding"), Some(sent));
    }
}

#[tokio::test]
async fn what_is_no_mcp_goes_through_on_the_same_path() {
    let api = echo().await;
    let limits = json!({"body_bytes": "1KiB"});
    let (harness, _folder) = gate(api.address(), json!({}), limits).await;
    let long = format!(r#"{{"jsonrpc": "2.0", "text": "{}"}}"#, "x".repeat(5000));
    for body in [
        r#"{"jsonrpc": "2.0", "id": 1, "method": "eth_call"}"#,
        r#"  ["tools/list"]"#,
        r#"{"method": "tools/list"}"#,
        "{",
        "",
        &long,
    ] {
        for framing in ["Content-Length", "Transfer-Encoding"] {
            let mut client = harness.connect().await;
            let request = HttpRequest::new("POST", PATH).header("Content-Type", "application/json");
            if framing == "Content-Length" {
                client.write(request.body(body).bytes()).await;
            } else {
                client.write(request.header(framing, "chunked").head()).await;
                for piece in body.as_bytes().chunks(700) {
                    client.write(format!("{:x}\r\n", piece.len())).await;
                    client.write([piece, b"\r\n"].concat()).await;
                }
                client.write("0\r\n\r\n").await;
            }
            let answer = client.answer().await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(answer.json()["body"], body, "{framing}");
            // What the API says again of its credentials goes no further.
            assert_eq!(answer.json()["target"], "/v1/?api_key=***********");
            assert_eq!(api.requests().pop().unwrap().target, "/v1/?api_key=pair-canary");
        }
    }
}

#[tokio::test]
async fn mcp_is_on_the_same_path() {
    let api = echo().await;
    let (harness, _folder) = before(&api).await;
    for era in ERAS {
        let client = harness.client(era, PATH).await;
        let listed = client.send("tools/list", json!({})).await.json();
        let tools = listed["result"]["tools"].as_array().unwrap();
        let mut names: Vec<_> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
        names.sort_unstable();
        assert_eq!(names, ["create", "evaluate", "events", "list", "read", "upload"]);
        let call = json!({"name": "read", "arguments": {"id": "7"}});
        let called = client.send("tools/call", call).await.json();
        let said = called["result"]["content"][0]["text"].as_str().unwrap();
        assert!(said.contains("/v1/invoices/7?"), "{called}");
    }
    let session = harness.session(PATH).await;
    drop(session.listen().await);
    let ending = HttpRequest::new("DELETE", PATH).header("Mcp-Session-Id", &session.id);
    assert_eq!(harness.send(&ending).await.status, 204);
    assert!(api.requests().iter().all(|request| request.verb == "GET"), "only tools were called");
}

#[tokio::test]
async fn what_is_not_offered_is_not_there() {
    let api = echo().await;
    let (mut harness, _folder) = before(&api).await;
    for (verb, path, status, reason) in [
        ("GET", "/nothing", 404, "unknown-name"),
        ("GET", "/invoices/", 404, "unknown-name"),
        ("GET", "/invoices/all", 404, "unknown-name"),
        ("GET", "/invoices/a%6cl", 404, "unknown-name"),
        ("GET", "/sse", 404, "unknown-name"),
        ("GET", "/invoices/../invoices", 404, "unknown-name"),
        ("GET", "/invoices/..", 400, "invalid-params"),
        ("GET", "/invoices/%2e%2e%2fadmin", 400, "invalid-params"),
        ("GET", "/invoices/..%5Cadmin", 400, "invalid-params"),
        ("DELETE", "/invoices", 405, "unknown-method"),
        ("OPTIONS", "/invoices", 405, "unknown-method"),
        ("TRACE", "/invoices", 405, "unknown-method"),
        ("GET", "", 405, "unknown-method"),
    ] {
        let answer = harness.send(&HttpRequest::new(verb, &format!("{PATH}{path}"))).await;
        assert_problem(&answer, status, reason);
        let allow = match (status, path) {
            (405, "") => Some("POST"),
            (405, _) => Some("GET, HEAD, POST"),
            _ => None,
        };
        assert_eq!(answer.headers.get("allow"), allow, "{verb} {path}");
        let record = record(&mut harness).await;
        assert_eq!(record.outcome, CallOutcome::Fault(reason), "{verb} {path}");
        assert_eq!(record.name, None);
    }
    assert!(api.requests().is_empty(), "nothing reached the API");
    let other = harness.send(&HttpRequest::new("GET", "/billing2/invoices")).await;
    assert_eq!((other.status, other.headers.get("allow")), (404, None));
}

#[tokio::test]
async fn answers_with_errors_are_the_apis() {
    let api = ScriptedServer::start(|mut exchange| async move {
        let challenge = [("WWW-Authenticate", "Bearer"), ("Content-Type", "text/html")];
        exchange.respond(401, &challenge, "<p>no</p>").await;
    })
    .await;
    let (mut harness, _folder) = before(&api).await;
    let answer = harness.send(&HttpRequest::new("GET", "/billing/invoices")).await;
    assert_eq!((answer.status, answer.text().as_str()), (401, "<p>no</p>"));
    assert_eq!(answer.headers.get("www-authenticate"), None, "the client has nothing to show");
    assert_eq!(record(&mut harness).await.outcome, CallOutcome::ServerError);
}

/// The next connection to an API that is written byte by byte.
async fn accept(listener: &TcpListener) -> TcpStream {
    within("a connection to the API", listener.accept()).await.unwrap().0
}

/// Reads until `end` has come; everything that came.
async fn read_until(stream: &mut TcpStream, end: &[u8]) -> Vec<u8> {
    within("bytes at the API", async {
        let mut seen = Vec::new();
        while !seen.windows(end.len()).any(|window| window == end) {
            assert!(
                stream.read_buf(&mut seen).await.unwrap() > 0,
                "the gate closed the connection"
            );
        }
        seen
    })
    .await
}

#[tokio::test]
async fn both_directions_stream() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let limits = json!({"body_bytes": "1KiB"});
    let (mut harness, _folder) = gate(listener.local_addr().unwrap(), json!({}), limits).await;
    let mut client = harness.connect().await;
    let head = HttpRequest::new("PUT", "/billing/files/x")
        .header("Content-Type", "application/octet-stream")
        .header("Transfer-Encoding", "chunked");
    client.write(head.head()).await;
    client.write("5\r\nfirst\r\n").await;
    let mut api = accept(&listener).await;
    let seen = read_until(&mut api, b"first").await;
    assert!(seen.starts_with(b"PUT /v1/files/x?"), "{}", String::from_utf8_lossy(&seen));
    // The answer begins before the request ends.
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n";
    api.write_all(head.as_bytes()).await.unwrap();
    api.write_all(b"3\r\none\r\n").await.unwrap();
    client.reads(b"one").await;
    // More than the gate would hold of a message.
    let piece = "x".repeat(4096);
    client.write(format!("1000\r\n{piece}\r\n6\r\nsecond\r\n0\r\n\r\n")).await;
    read_until(&mut api, b"second\r\n0\r\n\r\n").await;
    api.write_all(b"3\r\ntwo\r\n0\r\n\r\n").await.unwrap();
    client.reads(b"two").await;
    let record = record(&mut harness).await;
    assert_eq!((record.outcome, record.name.as_deref()), (CallOutcome::Success, Some("upload")));
}

#[tokio::test]
async fn events_come_as_they_are_sent_and_end_with_their_client() {
    let api = ScriptedServer::start(|mut exchange| async move {
        exchange.begin_events(&[]).await;
        exchange.event(&json!({"n": 1})).await;
        exchange.event(&json!({"n": 2})).await;
        exchange.closed().await;
    })
    .await;
    let (mut harness, _folder) = before(&api).await;
    let request = HttpRequest::get_events("/billing/events");
    let mut stream = harness.stream(&request).await;
    assert_eq!(stream.status, 200);
    assert_eq!(stream.headers.get("content-type"), Some("text/event-stream"));
    for number in 1..=2 {
        let event = stream.next_event().await.unwrap();
        assert!(format!("{event:?}").contains(&number.to_string()), "{event:?}");
    }
    assert!(harness.records.try_recv().is_err(), "it goes on");
    drop(stream);
    let record = record(&mut harness).await;
    assert_eq!(record.outcome, CallOutcome::Fault("cancelled"));
}

#[tokio::test]
async fn failures_of_the_api_are_told() {
    let api = ScriptedServer::start(|mut exchange| async move {
        match exchange.request().target.split('?').next().unwrap() {
            "/v1/invoices" => exchange.closed().await,
            "/v1/events" => {
                exchange.raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart").await;
                exchange.abort();
            }
            _ => exchange.abort(),
        }
    })
    .await;
    let (mut harness, _folder) = gate(api.address(), json!({"timeout": "200ms"}), json!({})).await;
    let answer = harness.send(&HttpRequest::new("GET", "/billing/invoices")).await;
    assert_problem(&answer, 504, "deadline-exceeded");
    assert_eq!(record(&mut harness).await.outcome, CallOutcome::Fault("deadline-exceeded"));
    let answer = harness.send(&HttpRequest::new("GET", "/billing/invoices/7")).await;
    assert_problem(&answer, 502, "server-failed");
    assert_eq!(record(&mut harness).await.outcome, CallOutcome::Fault("server-failed"));
    // What was cut off must not look whole.
    let mut client = harness.connect().await;
    client.write(HttpRequest::new("GET", "/billing/events").bytes()).await;
    assert!(client.try_answer().await.is_err());
    assert_eq!(record(&mut harness).await.outcome, CallOutcome::Fault("server-failed"));
    drop(api);
    let answer = harness.send(&HttpRequest::new("GET", "/billing/invoices")).await;
    assert_problem(&answer, 502, "server-failed");
}

#[tokio::test]
async fn limits_hold_for_plain_requests() {
    let api = ScriptedServer::start(|mut exchange| async move {
        exchange.begin_events(&[]).await;
        exchange.closed().await;
    })
    .await;
    let limits = json!({"calls_anonymous": 1, "body_grace": "100ms", "body_rate_min": "1MiB/s"});
    let (mut harness, _folder) = gate(api.address(), json!({}), limits).await;
    let stream = harness.stream(&HttpRequest::new("GET", "/billing/events")).await;
    let answer = harness.send(&HttpRequest::new("GET", "/billing/invoices")).await;
    assert_problem(&answer, 503, "overloaded");
    assert!(answer.headers.has("retry-after"));
    assert_eq!(record(&mut harness).await.outcome, CallOutcome::Fault("overloaded"));
    drop(stream);
    assert_eq!(record(&mut harness).await.outcome, CallOutcome::Fault("cancelled"));

    let mut slow = Connection::open(harness.address).await;
    let head = HttpRequest::new("PUT", "/billing/files/x").header("Content-Length", "100");
    slow.write(head.head()).await;
    slow.write("a").await;
    assert_problem(&slow.answer().await, 408, "too-slow");
    assert_eq!(record(&mut harness).await.outcome, CallOutcome::Fault("too-slow"));
}

#[tokio::test]
async fn pages_of_allowed_origins_may_use_every_method() {
    let api = echo().await;
    let (harness, _folder) = before(&api).await;
    let asking = HttpRequest::new("OPTIONS", "/billing/files/x")
        .header("Origin", "http://localhost:3000")
        .header("Access-Control-Request-Method", "PUT")
        .header("Access-Control-Request-Headers", "x-trace");
    let answer = harness.send(&asking).await;
    assert_eq!(answer.status, 204);
    assert!(answer.headers.get("access-control-allow-methods").unwrap().contains("PUT"));
    assert_eq!(answer.headers.get("access-control-allow-headers"), Some("x-trace"));
    let strange =
        HttpRequest::new("GET", "/billing/invoices").header("Origin", "https://evil.example");
    assert_eq!(harness.send(&strange).await.status, 403);
    assert!(api.requests().is_empty());
}

#[tokio::test]
async fn what_can_be_read_has_a_head() {
    let api = ScriptedServer::start(|mut exchange| async move {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1234\r\n\r\n";
        exchange.raw(head).await;
    })
    .await;
    let (mut harness, _folder) = before(&api).await;
    let mut client = harness.connect().await;
    client.write(HttpRequest::new("HEAD", "/billing/invoices/7?x=1").bytes()).await;
    client.reads(b"\r\n\r\n").await;
    assert_eq!(api.requests()[0].verb, "HEAD");
    assert!(api.requests()[0].target.starts_with("/v1/invoices/7?"), "{:?}", api.requests());
    let record = record(&mut harness).await;
    assert_eq!((&*record.method, record.name.as_deref()), ("HEAD", Some("read")));
    assert_eq!(record.outcome, CallOutcome::Success);
}

#[tokio::test]
async fn a_slow_reader_holds_the_api_back() {
    // 64 MiB that nobody takes: only what sockets and one piece hold may leave the API.
    let sent = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(usize::MAX));
    let seen = std::sync::Arc::clone(&sent);
    let api = ScriptedServer::start(move |mut exchange| {
        let seen = std::sync::Arc::clone(&seen);
        async move {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\
                        Content-Length: 67108864\r\n\r\n";
            exchange.raw(head).await;
            let (piece, mut taken) = (vec![b'x'; 1 << 16], 0);
            let stalled = std::time::Duration::from_millis(500);
            while taken < 64 << 20
                && tokio::time::timeout(stalled, exchange.raw(&piece)).await.is_ok()
            {
                taken += piece.len();
            }
            seen.store(taken, std::sync::atomic::Ordering::SeqCst);
            exchange.closed().await;
        }
    })
    .await;
    let (harness, _folder) = before(&api).await;
    let mut client = harness.connect().await;
    client.write(HttpRequest::new("GET", "/billing/events").bytes()).await;
    testkit::until("the API to be held back", || {
        sent.load(std::sync::atomic::Ordering::SeqCst) != usize::MAX
    })
    .await;
    let taken = sent.load(std::sync::atomic::Ordering::SeqCst);
    assert!(taken < 32 << 20, "{taken} bytes left the API although nobody read them");
}
