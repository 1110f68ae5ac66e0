//! A server of either era that answers like any other, except where a test says otherwise.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use wire::Era;

use crate::exchange::Exchange;
use crate::server::{Received, ScriptedServer};

/// What a test does with requests of one method.
pub type Handler = Arc<dyn Fn(Exchange) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// What a server will be.
pub struct McpServerBuilder {
    state: State,
    address: SocketAddr,
}

struct State {
    era: Era,
    name: String,
    capabilities: Value,
    /// The elements of each list, by its method.
    lists: Mutex<BTreeMap<String, Vec<Value>>>,
    handlers: BTreeMap<String, Handler>,
    version: String,
    news: News,
    sessions: Mutex<HashSet<String>>,
    next_session: AtomicUsize,
}

/// What a server says on its standalone streams. Handlers keep a clone.
#[derive(Clone, Debug)]
pub struct News {
    /// The session that is told, or all of them, and the message.
    messages: broadcast::Sender<(Option<String>, Value)>,
    /// The sessions of all streams that listen; a stream without session has an empty one.
    listeners: Arc<Mutex<Vec<String>>>,
}

impl Default for News {
    fn default() -> Self {
        Self { messages: broadcast::channel(1024).0, listeners: Arc::default() }
    }
}

impl News {
    /// Sends a message to the streams of one session, or to all.
    pub fn send(&self, session: Option<&str>, message: Value) {
        let _ = self.messages.send((session.map(str::to_owned), message));
    }

    /// Ends the streams of one session, or all: a client has to open them again.
    pub fn end_streams(&self, session: Option<&str>) {
        self.send(session, Value::Null);
    }

    /// Waits until a stream of this session listens.
    pub async fn heard_in(&self, session: &str) {
        crate::until("a listener in the session", || {
            self.listening().iter().any(|listener| listener == session)
        })
        .await;
    }

    fn listening(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.listeners.lock().expect("no panic while holding the listeners")
    }
}

/// A tool that is answered with its own name and arguments.
pub fn echo_tool(name: &str) -> Value {
    json!({"name": name, "description": "Says what it is told", "inputSchema": {"type": "object"}})
}

/// A server that runs; it ends when dropped.
pub struct McpServer {
    http: ScriptedServer,
    state: Arc<State>,
}

impl McpServer {
    /// A server of 2026-07-28 with one tool, `echo`.
    pub fn modern() -> McpServerBuilder {
        McpServerBuilder::new(Era::Modern)
    }

    /// A server of 2025-11-25 with sessions and one tool, `echo`.
    pub fn legacy() -> McpServerBuilder {
        McpServerBuilder::new(Era::Legacy)
    }

    /// A server of `era` with one tool, `echo`.
    pub fn of(era: Era) -> McpServerBuilder {
        McpServerBuilder::new(era)
    }

    /// Its MCP address.
    pub fn url(&self) -> String {
        self.http.url("/mcp")
    }

    /// The server below, with everything that it received.
    pub fn http(&self) -> &ScriptedServer {
        &self.http
    }

    /// How many requests with this method came so far.
    pub fn count(&self, method: &str) -> usize {
        self.http.count(method)
    }

    /// Waits until `number` requests with this method have come, and returns the last of them.
    pub async fn wait_for(&self, method: &str, number: usize) -> Received {
        self.http.wait_for(method, number).await
    }

    /// Replaces the elements of a list, without telling anybody.
    pub fn set_list(&self, method: &str, elements: Vec<Value>) {
        let mut lists = self.state.lists.lock().expect("no panic while holding the lists");
        lists.insert(method.into(), elements);
    }

    /// Tells every listener.
    pub fn notify(&self, method: &str, params: Value) {
        self.state.news.send(None, json!({"method": method, "params": params}));
    }

    /// Tells the listeners of one session of a legacy server.
    pub fn notify_session(&self, session: &str, method: &str, params: Value) {
        self.state.news.send(Some(session), json!({"method": method, "params": params}));
    }

    /// Asks every listener of a legacy server.
    pub fn ask(&self, id: &str, method: &str, params: Value) {
        self.state.news.send(None, json!({"id": id, "method": method, "params": params}));
    }

    /// Waits until at least `number` streams listen.
    pub async fn heard_by(&self, number: usize) {
        crate::until("listeners", || self.state.news.listening().len() >= number).await;
    }

    /// What it says on its standalone streams.
    pub fn news(&self) -> &News {
        &self.state.news
    }

    /// Forgets one session.
    pub fn forget_session(&self, session: &str) {
        self.state.sessions.lock().expect("no panic while holding the sessions").remove(session);
    }

    /// Forgets every session, as a restart does.
    pub fn forget_sessions(&self) {
        self.state.sessions.lock().expect("no panic while holding the sessions").clear();
    }
}

impl McpServerBuilder {
    fn new(era: Era) -> Self {
        let lists = BTreeMap::from([("tools/list".to_owned(), vec![echo_tool("echo")])]);
        let state = State {
            era,
            name: "scripted".into(),
            capabilities: json!({"tools": {"listChanged": true}}),
            lists: Mutex::new(lists),
            handlers: BTreeMap::new(),
            version: "2025-11-25".into(),
            news: News::default(),
            sessions: Mutex::default(),
            next_session: AtomicUsize::new(1),
        };
        Self { state, address: SocketAddr::from(([127, 0, 0, 1], 0)) }
    }

    /// What it says it can do.
    pub fn capabilities(mut self, capabilities: Value) -> Self {
        self.state.capabilities = capabilities;
        self
    }

    /// The version that a legacy server agrees on, whatever it is asked for.
    pub fn version(mut self, version: &str) -> Self {
        self.state.version = version.into();
        self
    }

    /// What it will say on its standalone streams, for handlers that say something there.
    pub fn news(&self) -> News {
        self.state.news.clone()
    }

    /// Its tools.
    pub fn tools(self, tools: Vec<Value>) -> Self {
        self.list("tools/list", tools)
    }

    /// The elements of any list, by its method; the capability is declared as well.
    pub fn list(mut self, method: &str, elements: Vec<Value>) -> Self {
        let kind = method.split('/').next().unwrap_or_default().to_owned();
        if self.state.capabilities[&kind].is_null() {
            self.state.capabilities[&kind] = json!({"listChanged": true});
            if kind == "resources" {
                self.state.capabilities[&kind]["subscribe"] = json!(true);
            }
        }
        let lists = self.state.lists.get_mut().expect("no panic while holding the lists");
        lists.insert(method.into(), elements);
        self
    }

    /// What to do with requests of this method instead of answering them.
    pub fn on<F, R>(mut self, method: &str, handler: F) -> Self
    where
        F: Fn(Exchange) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let handler: Handler = Arc::new(move |exchange| Box::pin(handler(exchange)));
        self.state.handlers.insert(method.into(), handler);
        self
    }

    /// Listens there instead of on a free port.
    pub fn at(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Starts it.
    pub async fn start(self) -> McpServer {
        let state = Arc::new(self.state);
        let for_script = Arc::clone(&state);
        let script = move |exchange| answer(Arc::clone(&for_script), exchange);
        let http = ScriptedServer::on(self.address, script).await;
        McpServer { http, state }
    }
}

async fn answer(state: Arc<State>, mut exchange: Exchange) {
    let (verb, method) = (exchange.request().verb.clone(), exchange.request().method());
    let key = if verb == "POST" { &method } else { &verb };
    if let Some(handler) = state.handlers.get(key) {
        return handler(exchange).await;
    }
    if state.era == Era::Legacy && method != "initialize" && method != "server/discover" {
        let known = exchange.request().headers.get("mcp-session-id").is_some_and(|id| {
            state.sessions.lock().expect("no panic while holding the sessions").contains(id)
        });
        if !known {
            return exchange.error(404, -32001, "Session not found").await;
        }
    }
    match (state.era, verb.as_str(), method.as_str()) {
        (Era::Modern, "POST", "server/discover") => exchange.result(state.discovered()).await,
        (Era::Modern, "POST", "subscriptions/listen") | (Era::Legacy, "GET", _) => {
            listen(&state, exchange).await;
        }
        (Era::Legacy, "POST", "server/discover") => {
            exchange.error(400, -32000, "Bad Request: Server not initialized").await;
        }
        (Era::Legacy, "POST", "initialize") => initialize(&state, exchange).await,
        (Era::Legacy, "DELETE", _) => exchange.respond(204, &[], "").await,
        // Notifications, and answers to what this server asked.
        (_, "POST", method) if exchange.id().is_null() || method.is_empty() => {
            exchange.respond(202, &[], "").await;
        }
        (_, "POST", method) => {
            let result = state.result(method, &exchange.params());
            match result {
                Some(result) => exchange.result(result).await,
                None => exchange.error(200, -32601, "Method not found").await,
            }
        }
        _ => exchange.respond(405, &[], "").await,
    }
}

async fn initialize(state: &State, mut exchange: Exchange) {
    let number = state.next_session.fetch_add(1, Ordering::SeqCst);
    let id = format!("session-{number}");
    state.sessions.lock().expect("no panic while holding the sessions").insert(id.clone());
    let result = json!({
        "protocolVersion": state.version,
        "capabilities": state.capabilities,
        "serverInfo": {"name": state.name, "version": "1"},
    });
    let answer = exchange.answer(result).to_string();
    let headers = [("Content-Type", "application/json"), ("Mcp-Session-Id", &id)];
    exchange.respond(200, &headers, answer).await;
}

/// Passes news on until the client goes.
async fn listen(state: &State, mut exchange: Exchange) {
    let mut messages = state.news.messages.subscribe();
    let session = exchange.session();
    let subscription = (state.era == Era::Modern).then(|| exchange.id());
    let tagged = |mut message: Value| {
        message["jsonrpc"] = json!("2.0");
        if message["params"].is_null() {
            message["params"] = json!({});
        }
        if let Some(id) = &subscription {
            message["params"]["_meta"] = json!({wire::meta::SUBSCRIPTION_ID: id});
        }
        message
    };
    exchange.begin_events(&[]).await;
    if subscription.is_some() {
        let honoured = exchange.params()["notifications"].clone();
        let method = wire::method::name::ACKNOWLEDGED;
        let first = json!({"method": method, "params": {"notifications": honoured}});
        exchange.event(&tagged(first)).await;
    }
    let _counted = Counted::enter(&state.news, &session);
    loop {
        tokio::select! {
            message = messages.recv() => match message {
                Ok((Some(told), _)) if told != session => {}
                Ok((_, Value::Null)) | Err(RecvError::Closed) => return,
                Ok((_, message)) => exchange.event(&tagged(message)).await,
                // A listener that is slower than the test hears what is left.
                Err(RecvError::Lagged(_)) => {}
            },
            gone = exchange.closes_within(std::time::Duration::from_hours(1)) => {
                if gone { return }
            }
        }
    }
}

struct Counted<'a>(&'a News, &'a str);

impl<'a> Counted<'a> {
    fn enter(news: &'a News, session: &'a str) -> Self {
        news.listening().push(session.to_owned());
        Self(news, session)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let mut listening = self.0.listening();
        if let Some(at) = listening.iter().position(|listener| listener == self.1) {
            listening.remove(at);
        }
    }
}

impl State {
    fn discovered(&self) -> Value {
        json!({
            "resultType": "complete",
            "supportedVersions": [wire::Version::LATEST.as_str()],
            "capabilities": self.capabilities,
            "ttlMs": 0,
            "cacheScope": "private",
            "_meta": {wire::meta::SERVER_INFO: {"name": self.name, "version": "1"}},
        })
    }

    fn result(&self, method: &str, params: &Value) -> Option<Value> {
        let mut result = match method {
            "tools/call" => {
                let said = params["arguments"]["say"].as_str().unwrap_or_default();
                let name = params["name"].as_str().unwrap_or_default();
                json!({"content": [{"type": "text", "text": format!("{name}: {said}")}]})
            }
            "resources/read" => {
                let uri = &params["uri"];
                json!({"contents": [{"uri": uri, "text": format!("the text of {}", self.name)}]})
            }
            "prompts/get" => json!({"messages": [{"role": "user", "content":
                {"type": "text", "text": params["name"]}}]}),
            "completion/complete" => json!({"completion": {"values": ["a", "b"]}}),
            "ping" | "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe"
                if self.era == Era::Legacy =>
            {
                json!({})
            }
            method => self.list_of(method)?,
        };
        if self.era == Era::Modern {
            result["resultType"] = json!("complete");
        }
        Some(result)
    }

    fn list_of(&self, method: &str) -> Option<Value> {
        let member = match method {
            "resources/templates/list" => "resourceTemplates",
            _ => method.strip_suffix("/list")?,
        };
        let lists = self.lists.lock().expect("no panic while holding the lists");
        let elements = lists.get(method).cloned().unwrap_or_default();
        Some(match self.era {
            Era::Modern => json!({member: elements, "ttlMs": 0, "cacheScope": "private"}),
            Era::Legacy => json!({member: elements}),
        })
    }
}
