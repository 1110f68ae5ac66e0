//! Notes, over Streamable HTTP.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

use super::{initialize, legacy, modern};

/// For everything a test waits for.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server process that listens on a port of its own.
struct Listening {
    child: Child,
    address: String,
    /// Kept open, so that the process can go on writing.
    _stderr: BufReader<std::process::ChildStderr>,
}

/// An answer: status, headers, and the body as JSON or null.
type Answer = (StatusCode, http::HeaderMap, Value);

impl Listening {
    fn start(options: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(["example", "notes", "--listen", "127.0.0.1:0"])
            .args(options)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("stderr is a pipe"));
        let mut line = String::new();
        stderr.read_line(&mut line).expect("the server says where it listens");
        let (_, url) = line.trim().split_once("http://").unwrap_or_else(|| panic!("{line:?}"));
        let address = url.strip_suffix("/mcp").expect("the URL has the path").to_owned();
        Self { child, address, _stderr: stderr }
    }

    async fn exchange(
        &self,
        request: Request<Full<bytes::Bytes>>,
    ) -> http::Response<hyper::body::Incoming> {
        let stream = tokio::net::TcpStream::connect(&self.address).await.expect("it listens");
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("a handshake");
        tokio::spawn(connection);
        let answer = tokio::time::timeout(PATIENCE, sender.send_request(request)).await;
        answer.expect("an answer in time").expect("an answer")
    }

    async fn ask(&self, request: http::request::Builder, body: String) -> Answer {
        let request = request.body(Full::from(body)).expect("a request");
        let (head, body) = self.exchange(request).await.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        (head.status, head.headers, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    fn post(&self) -> http::request::Builder {
        Request::post("/mcp")
            .header("Host", &self.address)
            .header("Content-Type", "application/json")
            .header("Accept", "application/json, text/event-stream")
    }

    /// A modern POST with the headers that belong to it.
    fn modern_post(&self, message: &Value) -> http::request::Builder {
        let params = &message["params"];
        let name = params["name"].as_str().or_else(|| params["uri"].as_str());
        let post = self
            .post()
            .header("MCP-Protocol-Version", "2026-07-28")
            .header("Mcp-Method", message["method"].as_str().expect("a method"));
        match name {
            Some(name) => post.header("Mcp-Name", name),
            None => post,
        }
    }

    async fn modern(&self, method: &str, params: Value) -> Value {
        let message = modern(1, method, params);
        let (status, _, answer) = self.ask(self.modern_post(&message), message.to_string()).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    async fn call(&self, tool: &str, arguments: Value) -> Value {
        let answer =
            self.modern("tools/call", json!({ "name": tool, "arguments": arguments })).await;
        assert_eq!(answer["result"]["isError"], false, "{answer}");
        answer["result"]["structuredContent"].clone()
    }

    fn terminate(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The messages of an event stream.
struct Events {
    body: hyper::body::Incoming,
    decoder: wire::sse::Decoder,
}

impl Events {
    fn of(response: http::Response<hyper::body::Incoming>) -> Self {
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body(), decoder: wire::sse::Decoder::new(1 << 20) }
    }

    /// The next message; `None` at the end of the stream.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(event) = self.decoder.next_event().expect("a small event") {
                return Some(serde_json::from_slice(&event.data).expect("a message"));
            }
            let frame = tokio::time::timeout(PATIENCE, self.body.frame()).await;
            let frame = frame.expect("a message in time")?.expect("a whole stream");
            self.decoder.feed(frame.into_data().expect("no trailers"));
        }
    }
}

#[tokio::test]
async fn notes_are_added_found_changed_and_deleted() {
    let server = Listening::start(&[]);
    let first =
        server.call("add_note", json!({ "text": "# Milk\nbuy some", "tags": ["home"] })).await;
    assert_eq!((&first["id"], &first["title"]), (&json!(1), &json!("Milk")));
    server.call("add_note", json!({ "text": "call Bo", "title": "Work" })).await;
    let all = server.call("list_notes", json!({})).await;
    assert_eq!((&all["total"], &all["notes"][0]["title"]), (&json!(2), &json!("Work")));
    let found = server.call("search_notes", json!({ "query": "MILK some" })).await;
    assert_eq!(found["notes"], json!([first]));
    let changed = server.call("update_note", json!({ "id": 1, "tags": [] })).await;
    assert_eq!((&changed["text"], &changed["tags"]), (&first["text"], &json!([])));
    let read = server.modern("resources/read", json!({ "uri": "note://1" })).await;
    assert_eq!(read["result"]["contents"][0]["text"], "# Milk\nbuy some");
    server.call("delete_note", json!({ "id": 1 })).await;
    let gone = server.modern("resources/read", json!({ "uri": "note://1" })).await;
    assert_eq!(gone["error"]["code"], -32602);
    let tools = server.modern("tools/list", json!({})).await;
    let delete = &tools["result"]["tools"][4];
    assert_eq!(
        (&delete["name"], &delete["annotations"]["destructiveHint"]),
        (&json!("delete_note"), &json!(true))
    );
}

#[tokio::test]
async fn a_modern_client_hears_what_it_asked_for_and_the_end() {
    let mut server = Listening::start(&[]);
    server.call("add_note", json!({ "text": "one" })).await;
    server.call("add_note", json!({ "text": "two" })).await;
    let filter = json!({
        "toolsListChanged": true,
        "resourcesListChanged": true,
        "resourceSubscriptions": ["note://1"],
    });
    let mut message = modern(1, "subscriptions/listen", json!({ "notifications": filter }));
    message["id"] = "L1".into();
    let request =
        server.modern_post(&message).body(Full::from(message.to_string())).expect("a request");
    let mut events = Events::of(server.exchange(request).await);
    let tag = json!({ "io.modelcontextprotocol/subscriptionId": "L1" });

    let acknowledged = events.next().await.expect("an acknowledgement");
    assert_eq!(acknowledged["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(
        acknowledged["params"]["notifications"],
        json!({ "resourcesListChanged": true, "resourceSubscriptions": ["note://1"] })
    );
    server.call("update_note", json!({ "id": 2, "text": "not asked for" })).await;
    server.call("update_note", json!({ "id": 1, "text": "asked for" })).await;
    let updated = events.next().await.expect("news");
    assert_eq!(updated["method"], "notifications/resources/updated");
    assert_eq!(updated["params"], json!({ "uri": "note://1", "_meta": tag }));
    server.call("delete_note", json!({ "id": 2 })).await;
    let changed = events.next().await.expect("news");
    assert_eq!(changed["method"], "notifications/resources/list_changed");

    server.terminate();
    let ended = events.next().await.expect("a result");
    assert_eq!(ended["id"], "L1");
    assert_eq!(ended["result"], json!({ "resultType": "complete", "_meta": tag }));
    assert_eq!(events.next().await, None);
    assert!(server.child.wait().expect("it ends").success());
}

#[tokio::test]
async fn a_legacy_session_starts_hears_and_ends() {
    let server = Listening::start(&[]);
    let (status, headers, answer) =
        server.ask(server.post(), initialize("2025-11-25").to_string()).await;
    assert_eq!(
        (status, &answer["result"]["protocolVersion"]),
        (StatusCode::OK, &json!("2025-11-25"))
    );
    let session = headers["mcp-session-id"].to_str().expect("text").to_owned();
    let post = || server.post().header("Mcp-Session-Id", &session);
    let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let (status, ..) = server.ask(post(), initialized.to_string()).await;
    assert_eq!(status, StatusCode::ACCEPTED);

    let get = Request::get("/mcp")
        .header("Host", &server.address)
        .header("Accept", "text/event-stream")
        .header("Mcp-Session-Id", &session);
    let mut events =
        Events::of(server.exchange(get.body(Full::default()).expect("a request")).await);
    server.call("add_note", json!({ "text": "one" })).await;
    let changed = events.next().await.expect("news");
    assert_eq!(
        changed,
        json!({ "jsonrpc": "2.0", "method": "notifications/resources/list_changed" })
    );

    let subscribe =
        |uri: &str| legacy(2, "resources/subscribe", &json!({ "uri": uri })).to_string();
    let (_, _, answer) = server.ask(post(), subscribe("note://9")).await;
    assert_eq!(answer["error"]["code"], -32002);
    let (_, _, answer) = server.ask(post(), subscribe("note://1")).await;
    assert_eq!(answer["result"], json!({}));
    server.call("update_note", json!({ "id": 1, "text": "new" })).await;
    let updated = events.next().await.expect("news");
    assert_eq!(updated["params"], json!({ "uri": "note://1" }));

    let delete =
        Request::delete("/mcp").header("Host", &server.address).header("Mcp-Session-Id", &session);
    let (status, ..) = server.ask(delete, String::new()).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(events.next().await, None);
    let (status, ..) = server.ask(post(), legacy(3, "ping", &json!({})).to_string()).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn only_2025_03_26_has_batches() {
    let server = Listening::start(&[]);
    let batch = json!([
        legacy(1, "ping", &json!({})),
        { "jsonrpc": "2.0", "method": "notifications/initialized" },
        { "jsonrpc": "2.0", "id": 2 },
        legacy(3, "no/such", &json!({})),
    ]);
    for (version, allowed) in [("2025-03-26", true), ("2025-06-18", false)] {
        let (_, headers, _) = server.ask(server.post(), initialize(version).to_string()).await;
        let post = server.post().header("Mcp-Session-Id", &headers["mcp-session-id"]);
        let (status, _, answer) = server.ask(post, batch.to_string()).await;
        if allowed {
            let codes: Vec<_> = answer
                .as_array()
                .expect("a batch")
                .iter()
                .map(|one| &one["error"]["code"])
                .collect();
            assert_eq!(codes, [&json!(null), &json!(-32600), &json!(-32601)]);
        } else {
            assert_eq!(
                (status, &answer["error"]["code"]),
                (StatusCode::BAD_REQUEST, &json!(-32600))
            );
        }
    }
}

#[tokio::test]
async fn headers_that_disagree_with_the_body_are_refused() {
    let server = Listening::start(&[]);
    let list = modern(1, "tools/list", json!({})).to_string();
    let call = modern(2, "tools/call", json!({ "name": "list_notes" })).to_string();
    let version = |name: &str| server.post().header("MCP-Protocol-Version", name);
    let now = || version("2026-07-28");
    let mut future = modern(3, "tools/list", json!({}));
    future["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2099-01-01".into();
    let bare = legacy(4, "tools/list", &json!({})).to_string();
    let bad = StatusCode::BAD_REQUEST;
    for (post, body, status, code) in [
        (now(), &list, bad, -32020),
        (server.post().header("Mcp-Method", "tools/list"), &list, bad, -32020),
        (now().header("Mcp-Method", "tools/call"), &list, bad, -32020),
        (version("2025-11-25").header("Mcp-Method", "tools/list"), &list, bad, -32020),
        (now().header("Mcp-Method", "tools/call"), &call, bad, -32020),
        (
            now().header("Mcp-Method", "tools/call").header("Mcp-Name", "add_note"),
            &call,
            bad,
            -32020,
        ),
        (version("2099-01-01"), &future.to_string(), bad, -32022),
        (now(), &bare, bad, -32602),
        (now(), &initialize("2025-11-25").to_string(), bad, -32020),
        (now(), &modern(5, "initialize", json!({})).to_string(), StatusCode::NOT_FOUND, -32601),
        (
            now(),
            &modern(6, "logging/setLevel", json!({})).to_string(),
            StatusCode::NOT_FOUND,
            -32601,
        ),
        (server.post(), &bare, bad, -32600),
        (server.post().header("Mcp-Session-Id", "unknown"), &bare, StatusCode::NOT_FOUND, -32001),
        (server.post(), &"{".to_owned(), bad, -32700),
    ] {
        let described = format!("{post:?} {body}");
        let (found, _, answer) = server.ask(post, body.clone()).await;
        assert_eq!(
            (found, &answer["error"]["code"]),
            (status, &json!(code)),
            "{described} {answer}"
        );
    }
    let encoded =
        now().header("Mcp-Method", "tools/call").header("Mcp-Name", "=?base64?bGlzdF9ub3Rlcw==?=");
    assert_eq!(server.ask(encoded, call).await.0, StatusCode::OK);
}

#[tokio::test]
async fn web_pages_and_wrong_requests_are_kept_out() {
    let server = Listening::start(&[]);
    let list = modern(1, "tools/list", json!({}));
    let foreign = Request::post("/mcp").header("Host", "evil.example");
    assert_eq!(server.ask(foreign, list.to_string()).await.0, StatusCode::FORBIDDEN);
    for (origin, status) in [
        ("http://evil.example", StatusCode::FORBIDDEN),
        ("null", StatusCode::FORBIDDEN),
        ("http://203.0.113.5", StatusCode::FORBIDDEN),
        ("http://localhost:6274", StatusCode::OK),
    ] {
        let post = server.modern_post(&list).header("Origin", origin);
        assert_eq!(server.ask(post, list.to_string()).await.0, status, "{origin}");
    }
    let elsewhere = Request::post("/elsewhere").header("Host", &server.address);
    assert_eq!(server.ask(elsewhere, String::new()).await.0, StatusCode::NOT_FOUND);
    for verb in [Request::get("/mcp"), Request::delete("/mcp"), Request::put("/mcp")] {
        let (status, headers, _) =
            server.ask(verb.header("Host", &server.address), String::new()).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(headers["allow"], "POST, GET, DELETE");
    }
    let large = format!("{list}{}", " ".repeat(4 << 20));
    assert_eq!(server.ask(server.post(), large).await.0, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn notes_in_a_file_survive_a_kill() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let file = directory.path().join("notes.jsonl");
    let options = ["--file", file.to_str().expect("the path is text")];
    let server = Listening::start(&options);
    server.call("add_note", json!({ "text": "kept" })).await;
    drop(server);
    let server = Listening::start(&options);
    let all = server.call("list_notes", json!({})).await;
    assert_eq!(all["notes"][0]["text"], "kept");
}
