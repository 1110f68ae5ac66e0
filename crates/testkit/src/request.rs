//! Requests as clients of both eras write them, and as no client should.

use std::fmt::Write as _;
use std::net::SocketAddr;

use serde_json::{Value, json};
use wire::Version;

use crate::client::{Answer, Connection, EventStream, send};

/// One HTTP request; what is not changed is as a good client writes it.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    verb: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl HttpRequest {
    /// A request without a body.
    pub fn new(verb: &str, target: &str) -> Self {
        let host = ("Host".to_owned(), "localhost".to_owned());
        Self { verb: verb.into(), target: target.into(), headers: vec![host], body: Vec::new() }
    }

    /// A POST of a JSON text.
    pub fn post(target: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", target)
            .header("Content-Type", "application/json")
            .header("Accept", "application/json, text/event-stream")
            .body(body)
    }

    /// A GET of an event stream.
    pub fn get_events(target: &str) -> Self {
        Self::new("GET", target).header("Accept", "text/event-stream")
    }

    /// The same with one header more.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The same with this header in place of those of the same name.
    pub fn set(self, name: &str, value: &str) -> Self {
        self.without(name).header(name, value)
    }

    /// The same without the headers of this name.
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self
    }

    /// The same with another body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The same with another method in the first line.
    pub fn verb(mut self, verb: &str) -> Self {
        self.verb = verb.into();
        self
    }

    /// The head alone; the length of the body is announced unless a header already says how it comes.
    pub fn head(&self) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.verb, self.target);
        for (name, value) in &self.headers {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        let is_framed = self.headers.iter().any(|(name, _)| {
            ["content-length", "transfer-encoding"].contains(&name.to_ascii_lowercase().as_str())
        });
        if !is_framed && (!self.body.is_empty() || self.verb == "POST") {
            let _ = write!(text, "Content-Length: {}\r\n", self.body.len());
        }
        text.push_str("\r\n");
        text.into_bytes()
    }

    /// The whole request.
    pub fn bytes(&self) -> Vec<u8> {
        [self.head(), self.body.clone()].concat()
    }
}

/// A request of 2026-07-28: `_meta` is filled in unless `params` has one, and the headers say what the
/// body says.
pub fn modern(target: &str, id: impl Into<Value>, method: &str, params: Value) -> HttpRequest {
    let mut params = if params.is_null() { json!({}) } else { params };
    let meta = &mut params["_meta"];
    if meta.is_null() {
        *meta = json!({});
    }
    let version = Version::LATEST.as_str();
    for (key, value) in [
        (wire::meta::PROTOCOL_VERSION, json!(version)),
        (wire::meta::CLIENT_CAPABILITIES, json!({})),
        (wire::meta::CLIENT_INFO, json!({"name": "scripted", "version": "1"})),
    ] {
        if meta[key].is_null() {
            meta[key] = value;
        }
    }
    let name = match method {
        "tools/call" | "prompts/get" => params["name"].as_str(),
        "resources/read" => params["uri"].as_str(),
        "tasks/get" | "tasks/cancel" | "tasks/update" => params["taskId"].as_str(),
        _ => None,
    };
    let name = name.map(|name| wire::header::encode_value(name).into_owned());
    let body = json!({"jsonrpc": "2.0", "id": id.into(), "method": method, "params": params});
    let request = HttpRequest::post(target, body.to_string())
        .header("MCP-Protocol-Version", version)
        .header("Mcp-Method", method);
    match name {
        Some(name) => request.header("Mcp-Name", &name),
        None => request,
    }
}

/// A request of a legacy session.
pub fn legacy(
    target: &str,
    session: &str,
    id: impl Into<Value>,
    method: &str,
    params: Value,
) -> HttpRequest {
    let params = if params.is_null() { json!({}) } else { params };
    let body = json!({"jsonrpc": "2.0", "id": id.into(), "method": method, "params": params});
    HttpRequest::post(target, body.to_string()).header("Mcp-Session-Id", session)
}

/// The first request of a legacy client.
pub fn initialize(target: &str, version: &str, capabilities: &Value) -> HttpRequest {
    let params = json!({
        "protocolVersion": version,
        "capabilities": capabilities,
        "clientInfo": {"name": "scripted", "version": "1"},
    });
    let body = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
    HttpRequest::post(target, body.to_string())
}

/// A legacy session with the gate.
#[derive(Clone, Debug)]
pub struct Session {
    address: SocketAddr,
    target: String,
    /// The id that the gate gave out.
    pub id: String,
    /// The result of `initialize`.
    pub hello: Value,
}

impl Session {
    /// Begins a session of 2025-11-25 without any capability.
    pub async fn open(address: SocketAddr, target: &str) -> Self {
        Self::with(address, target, "2025-11-25", &json!({})).await
    }

    /// Begins a session.
    pub async fn with(
        address: SocketAddr,
        target: &str,
        version: &str,
        capabilities: &Value,
    ) -> Self {
        let answer = send(address, &initialize(target, version, capabilities)).await;
        assert_eq!(answer.status, 200, "initialize: {}", answer.text());
        let id = answer.headers.get("mcp-session-id").expect("a session has an id").to_owned();
        let session =
            Self { address, target: target.into(), id, hello: answer.json()["result"].clone() };
        let accepted = session.notify("notifications/initialized", Value::Null).await;
        assert_eq!(accepted.status, 202);
        session
    }

    /// A request of this session.
    pub fn request(&self, id: impl Into<Value>, method: &str, params: Value) -> HttpRequest {
        legacy(&self.target, &self.id, id, method, params)
    }

    /// Sends a request on a connection of its own.
    pub async fn send(&self, id: impl Into<Value>, method: &str, params: Value) -> Answer {
        send(self.address, &self.request(id, method, params)).await
    }

    /// Sends a request whose answer is read event by event.
    pub async fn stream(&self, id: impl Into<Value>, method: &str, params: Value) -> EventStream {
        let connection = Connection::open(self.address).await;
        connection.stream(&self.request(id, method, params)).await
    }

    /// Sends a notification.
    pub async fn notify(&self, method: &str, params: Value) -> Answer {
        let mut body = json!({"jsonrpc": "2.0", "method": method});
        if !params.is_null() {
            body["params"] = params;
        }
        self.post(&body).await
    }

    /// Posts any message.
    pub async fn post(&self, message: &Value) -> Answer {
        let request = HttpRequest::post(&self.target, message.to_string());
        send(self.address, &request.header("Mcp-Session-Id", &self.id)).await
    }

    /// Opens the standalone stream.
    pub async fn listen(&self) -> EventStream {
        self.resume(None).await
    }

    /// Opens the standalone stream, or the one of an event id after that event.
    pub async fn resume(&self, last_event_id: Option<&str>) -> EventStream {
        let mut request = HttpRequest::get_events(&self.target).header("Mcp-Session-Id", &self.id);
        if let Some(id) = last_event_id {
            request = request.header("Last-Event-ID", id);
        }
        Connection::open(self.address).await.stream(&request).await
    }
}

/// A client of 2024-11-05: one stream on which everything comes, and a POST for each message.
#[derive(Debug)]
pub struct Oldest {
    address: SocketAddr,
    /// Where messages are posted.
    target: String,
    stream: EventStream,
    /// The result of `initialize`.
    pub hello: Value,
}

impl Oldest {
    /// Opens the stream at `target` and begins a session that declares these capabilities.
    pub async fn open(address: SocketAddr, target: &str, capabilities: &Value) -> Self {
        let connection = Connection::open(address).await;
        let mut stream = connection.stream(&HttpRequest::get_events(target)).await;
        let first = stream.next_event().await.expect("an address to post to");
        let target = String::from_utf8(first.data.to_vec()).expect("an address is text");
        let mut client = Self { address, target, stream, hello: Value::Null };
        let initialize = initialize(&client.target, "2024-11-05", capabilities);
        assert_eq!(send(address, &initialize).await.status, 202);
        client.hello = client.stream.next_of("").await["result"].clone();
        client.post(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
        client
    }

    /// Posts any message.
    pub async fn post(&self, message: &Value) {
        let request = HttpRequest::post(&self.target, message.to_string());
        assert_eq!(send(self.address, &request).await.status, 202);
    }

    /// Sends a request, whose answer comes on the stream.
    pub async fn ask(&self, id: u64, method: &str, params: Value) {
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.post(&request).await;
    }

    /// The next message on the stream.
    pub async fn next(&mut self) -> Value {
        self.stream.next().await
    }

    /// Sends a request and waits for its answer; what else comes is passed over.
    pub async fn send(&mut self, id: u64, method: &str, params: Value) -> Value {
        self.ask(id, method, params).await;
        self.stream.next_of("").await
    }
}
