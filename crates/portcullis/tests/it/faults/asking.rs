//! A legacy server over HTTP whose calls ask, and its ledger of what came of them.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Exchange, McpServer, echo_tool};
use tokio::sync::{oneshot, watch};

/// What has happened in the calls of the tool `ask`. Each call has a key of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Calls that arrived.
    pub(super) received: u32,
    /// Questions that a person answered.
    pub(super) answered: u32,
    /// Calls that did their deed.
    pub(super) executed: u32,
    /// Calls that ended without it: declined, or cancelled by the gate.
    pub(super) given_up: u32,
}

/// A call that was made and answered as if nothing else had happened.
pub(super) const ONCE: Counts = Counts { received: 1, answered: 1, executed: 1, given_up: 0 };
/// A call that asked, and of which nothing came.
pub(super) const NEVER: Counts = Counts { received: 1, answered: 0, executed: 0, given_up: 1 };

/// The server. It ends when dropped, with every connection.
pub(super) struct Asking {
    server: McpServer,
    address: SocketAddr,
    ledger: Arc<Ledger>,
}

#[derive(Default)]
struct Ledger {
    calls: Mutex<HashMap<String, Counts>>,
    waiting: Mutex<HashMap<String, oneshot::Sender<Value>>>,
    /// How often it was told to break off every call that asks.
    broken: watch::Sender<u32>,
}

/// The sessions that were begun since the server started: others it does not know.
#[derive(Default)]
struct Sessions(Mutex<HashSet<String>>);

impl Sessions {
    fn begin(&self, session: String) {
        self.0.lock().expect("no panic while holding the sessions").insert(session);
    }

    fn has(&self, session: &str) -> bool {
        self.0.lock().expect("no panic while holding the sessions").contains(session)
    }
}

impl Ledger {
    fn calls(&self) -> MutexGuard<'_, HashMap<String, Counts>> {
        self.calls.lock().expect("no panic while holding the ledger")
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<String, oneshot::Sender<Value>>> {
        self.waiting.lock().expect("no panic while holding the ledger")
    }

    fn note(&self, key: &str, change: impl FnOnce(&mut Counts)) {
        change(self.calls().entry(key.to_owned()).or_default());
    }

    fn take_answer(&self, message: &Value) {
        let id = message["id"].as_str().unwrap_or_default();
        if let Some(waiting) = self.waiting().remove(id) {
            let _ = waiting.send(message["result"].clone());
        }
    }
}

impl Asking {
    pub(super) async fn start() -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0)), Arc::default()).await
    }

    /// Ends it with every connection, as a crash does, and says how to start it again where it was.
    pub(super) fn crash(self) -> Crashed {
        Crashed { address: self.address, ledger: self.ledger }
    }

    async fn at(address: SocketAddr, ledger: Arc<Ledger>) -> Self {
        let sessions = Arc::new(Sessions::default());
        let (beginning, taking, calling) = (
            Arc::clone(&sessions),
            (Arc::clone(&sessions), Arc::clone(&ledger)),
            (sessions, Arc::clone(&ledger)),
        );
        let server = McpServer::legacy()
            .tools(vec![echo_tool("ask"), echo_tool("echo")])
            .on("notifications/initialized", move |mut exchange| {
                beginning.begin(exchange.session());
                async move { exchange.respond(202, &[], "").await }
            })
            .on("", move |mut exchange| {
                let (sessions, ledger) = taking.clone();
                async move {
                    if !sessions.has(&exchange.session()) {
                        return exchange.error(404, -32001, "Session not found").await;
                    }
                    ledger.take_answer(&exchange.request().json());
                    exchange.respond(202, &[], "").await;
                }
            })
            .on("tools/call", move |mut exchange| {
                let (sessions, ledger) = calling.clone();
                async move {
                    if !sessions.has(&exchange.session()) {
                        return exchange.error(404, -32001, "Session not found").await;
                    }
                    called(exchange, ledger).await;
                }
            })
            .at(address)
            .start()
            .await;
        let address = server.http().address();
        Self { server, address, ledger }
    }

    /// Its entry in a configuration.
    pub(super) fn entry(&self) -> Value {
        json!({"url": self.server.url(), "era": "legacy"})
    }

    /// What came of the call with this key.
    pub(super) fn counts(&self, key: &str) -> Counts {
        self.ledger.calls().get(key).copied().unwrap_or_default()
    }

    /// Waits until `number` calls have come so far.
    pub(super) async fn shows(&self, what: &str, number: usize, has: impl Fn(&Counts) -> bool) {
        testkit::until(what, || {
            self.ledger.calls().values().filter(|counts| has(counts)).count() >= number
        })
        .await;
    }

    /// Waits until `number` messages with this method have come so far.
    pub(super) async fn has_heard(&self, method: &str, number: usize) {
        testkit::until(method, || self.server.count(method) >= number).await;
    }

    /// Breaks off every call that waits for an answer, by its connection.
    pub(super) fn break_off(&self) {
        self.ledger.broken.send_modify(|times| *times += 1);
    }
}

/// A server that has crashed.
pub(super) struct Crashed {
    address: SocketAddr,
    ledger: Arc<Ledger>,
}

impl Crashed {
    /// Starts it again. It knows none of its sessions, but the ledger goes on.
    pub(super) async fn starts_again(self) -> Asking {
        Asking::at(self.address, self.ledger).await
    }
}

async fn called(mut exchange: Exchange, ledger: Arc<Ledger>) {
    let params = exchange.params();
    if params["name"] != "ask" {
        return exchange.result(said("echo")).await;
    }
    let arguments = &params["arguments"];
    let key = arguments["key"].as_str().unwrap_or_default();
    ledger.note(key, |counts| counts.received += 1);
    let mut broken = ledger.broken.subscribe();
    let (answer, answered) = oneshot::channel();
    let id = format!("question-{key}");
    ledger.waiting().insert(id.clone(), answer);
    exchange.begin_events(&[]).await;
    let schema = json!({"type": "object", "properties": {"answer": {"type": "string"}}});
    let question = json!({"jsonrpc": "2.0", "id": id, "method": "elicitation/create",
        "params": {"message": "Well?", "requestedSchema": schema}});
    exchange.event(&question).await;
    let answer = tokio::select! {
        answer = answered => answer.unwrap_or_default(),
        _ = exchange.closes_within(Duration::from_hours(1)) => Value::Null,
        _ = broken.changed() => {
            ledger.note(key, |counts| counts.given_up += 1);
            return exchange.abort();
        }
    };
    if answer["action"] != "accept" {
        ledger.note(key, |counts| counts.given_up += 1);
        return exchange.last_event(said("nothing was done")).await;
    }
    ledger.note(key, |counts| counts.answered += 1);
    if arguments["hold"] == true && exchange.closes_within(Duration::from_hours(1)).await {
        return ledger.note(key, |counts| counts.given_up += 1);
    }
    ledger.note(key, |counts| counts.executed += 1);
    exchange.last_event(said(key)).await;
}

fn said(text: &str) -> Value {
    json!({"content": [{"type": "text", "text": text}]})
}
