//! A gate made from a configuration text, served on a free port of the loopback.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use config::Config;
use portcullis_engine::Gate;
use portcullis_engine::edge::{Listener, TlsFiles};
use portcullis_engine::seal::Sealer;
use serde_json::{Value, json};
use store::{CallRecord, Recorder};
use testkit::{
    Answer, Connection, EventStream, HttpRequest, McpServer, Session, echo_tool, legacy, modern,
};
use tokio::sync::{Semaphore, mpsc};
use wire::Era;

/// The composed endpoint that exists by default.
pub(crate) const COMPOSED: &str = "/mcp";
/// The endpoint of the one server that most tests have.
pub(crate) const ONE: &str = "/servers/s/mcp";
/// Both eras.
pub(crate) const ERAS: [Era; 2] = [Era::Modern, Era::Legacy];

/// A gate that serves until dropped.
pub(crate) struct Harness {
    pub(crate) gate: Arc<Gate>,
    pub(crate) address: SocketAddr,
    pub(crate) records: mpsc::Receiver<CallRecord>,
}

/// Reads a configuration that must be sound.
pub(crate) fn config_of(config: &Value) -> Config {
    let loaded = config::read(&config.to_string(), Path::new("test.json"));
    match loaded.config {
        Some(config) => config,
        None => panic!("the configuration is refused: {:#?}", loaded.diagnostics),
    }
}

impl Harness {
    /// Starts a gate. Limits that the configuration does not set are the default ones, but for the
    /// drain, which waits for nobody.
    pub(crate) async fn start(config: Value) -> Self {
        Self::start_with_tls(config, None).await
    }

    /// As [`start`](Self::start), with these files for its listener.
    pub(crate) async fn start_with_tls(mut config: Value, tls: Option<TlsFiles<'_>>) -> Self {
        if config["limits"]["drain_timeout"].is_null() {
            config["limits"]["drain_timeout"] = json!("0ms");
        }
        let (recorder, records) = Recorder::new();
        let sealer = Sealer::ephemeral();
        let config = config_of(&config);
        let gate = Gate::new(&config, BTreeMap::new(), Vec::new(), sealer, recorder);
        let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0)), tls).await;
        let listener = listener.expect("the loopback has a free port");
        let address = listener.address().expect("a bound socket has an address");
        tokio::spawn(listener.serve(Arc::clone(&gate)));
        Self { gate, address, records }
    }

    /// Starts a gate before one server, `s`.
    pub(crate) async fn before(server: &McpServer) -> Self {
        Self::start(json!({"servers": {"s": {"url": server.url()}}})).await
    }

    /// Starts a gate before one server, `s`, with these limits.
    pub(crate) async fn limited(server: &McpServer, limits: Value) -> Self {
        Self::start(json!({"servers": {"s": {"url": server.url()}}, "limits": limits})).await
    }

    /// Sends a request on a connection of its own.
    pub(crate) async fn send(&self, request: &HttpRequest) -> Answer {
        testkit::send(self.address, request).await
    }

    /// Opens a connection.
    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(self.address).await
    }

    /// Sends a request whose answer is read event by event.
    pub(crate) async fn stream(&self, request: &HttpRequest) -> EventStream {
        self.connect().await.stream(request).await
    }

    /// Sends a request of a modern client.
    pub(crate) async fn modern(&self, target: &str, method: &str, params: Value) -> Answer {
        self.send(&modern(target, 1, method, params)).await
    }

    /// Begins a legacy session.
    pub(crate) async fn session(&self, target: &str) -> Session {
        Session::open(self.address, target).await
    }

    /// A client of `era` at `target`.
    pub(crate) async fn client(&self, era: Era, target: &str) -> Client {
        let session = match era {
            Era::Modern => None,
            Era::Legacy => Some(self.session(target).await),
        };
        Client { address: self.address, target: target.into(), session }
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        // The threads of the edge end with the gate. Nobody waits for them here.
        let gate = Arc::clone(&self.gate);
        let ending = std::thread::Builder::new().spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            if let Ok(runtime) = runtime {
                runtime.block_on(gate.drain());
            }
        });
        drop(ending);
    }
}

/// A client of either era at one endpoint.
pub(crate) struct Client {
    address: SocketAddr,
    target: String,
    pub(crate) session: Option<Session>,
}

impl Client {
    /// A request as this client writes it.
    pub(crate) fn request(&self, id: u64, method: &str, params: Value) -> HttpRequest {
        match &self.session {
            None => modern(&self.target, id, method, params),
            Some(session) => legacy(&self.target, &session.id, id, method, params),
        }
    }

    /// Sends a request and reads its whole answer.
    pub(crate) async fn send(&self, method: &str, params: Value) -> Answer {
        testkit::send(self.address, &self.request(1, method, params)).await
    }

    /// Calls the tool `name`.
    pub(crate) async fn call(&self, name: &str) -> Answer {
        self.send("tools/call", json!({"name": name, "arguments": {"say": "hi"}})).await
    }

    /// Sends a request whose answer is read event by event.
    pub(crate) async fn stream(&self, id: u64, method: &str, params: Value) -> EventStream {
        let connection = Connection::open(self.address).await;
        connection.stream(&self.request(id, method, params)).await
    }
}

/// Asserts that an answer is an error of the gate: with this status, code and reason, with a
/// correlation id that header and data share, and with a message that says something.
#[track_caller]
pub(crate) fn assert_fault(answer: &Answer, status: u16, code: i64, reason: &str) {
    let body = answer.json();
    assert_eq!(answer.status, status, "{}", answer.text());
    let error = &body["error"];
    assert_eq!(error["code"], code, "{body}");
    assert_eq!(error["data"]["reason"], reason, "{body}");
    let correlation = error["data"]["correlationId"].as_str().expect("data.correlationId");
    assert_eq!(correlation.len(), 16, "{correlation}");
    assert_eq!(answer.headers.get("x-correlation-id"), Some(correlation), "{:?}", answer.headers);
    let message = error["message"].as_str().unwrap_or_default();
    assert!(message.len() > 15 && message.contains(' '), "says too little: {message:?}");
}

/// Asserts that a tool call ended in a failure that the model is told: a result with `isError`.
#[track_caller]
pub(crate) fn assert_tool_fault(answer: &Answer, era: Era, reason: &str) -> String {
    let body = answer.json();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let result = &body["result"];
    assert_eq!(result["isError"], true, "{body}");
    assert_eq!(result["_meta"]["io.portcullis/fault"]["reason"], reason, "{body}");
    let correlation = &result["_meta"]["io.portcullis/fault"]["correlationId"];
    assert_eq!(answer.headers.get("x-correlation-id"), correlation.as_str(), "{body}");
    assert_eq!(result["resultType"].as_str(), (era == Era::Modern).then_some("complete"), "{body}");
    result["content"][0]["text"].as_str().expect("a text for the model").to_owned()
}

/// Asserts that a tool call was answered by its server.
#[track_caller]
pub(crate) fn assert_said(answer: &Answer, text: &str) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let body = answer.json();
    assert_eq!(body["result"]["content"][0]["text"], text, "{body}");
}

/// A server whose tool `held` answers once it is let go, as often as permits are added, and whose other
/// tools answer at once.
pub(crate) async fn holding_server(era: Era) -> (McpServer, Arc<Semaphore>) {
    let released = Arc::new(Semaphore::new(0));
    let permits = Arc::clone(&released);
    let server = McpServer::of(era)
        .tools(vec![echo_tool("echo"), echo_tool("held")])
        .on("tools/call", move |mut exchange| {
            let permits = Arc::clone(&permits);
            async move {
                if exchange.params()["name"] == "held" {
                    let permit = permits.acquire().await.expect("the semaphore stays open");
                    permit.forget();
                }
                let result = said(era, exchange.params()["name"].as_str().unwrap_or_default());
                exchange.result(result).await;
            }
        })
        .start()
        .await;
    (server, released)
}

/// The result of a tool call in the shape of `era`.
pub(crate) fn said(era: Era, text: &str) -> Value {
    let mut result = json!({"content": [{"type": "text", "text": text}]});
    if era == Era::Modern {
        result["resultType"] = json!("complete");
    }
    result
}
