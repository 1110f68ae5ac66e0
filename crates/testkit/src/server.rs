//! An HTTP server that does exactly what a test's script says, byte by byte if need be.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::{AbortHandle, JoinSet};

use crate::exchange::Exchange;
use crate::http::{Headers, Socket};
use crate::within;

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    /// `POST`, `GET`, …
    pub verb: String,
    /// The target as written in the first line.
    pub target: String,
    /// All headers.
    pub headers: Headers,
    /// The whole body.
    pub body: Vec<u8>,
    /// Which connection it came on, counted from 1.
    pub connection: usize,
}

impl Received {
    /// The body as JSON; `null` if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The JSON-RPC method; empty if there is none.
    pub fn method(&self) -> String {
        self.json()["method"].as_str().unwrap_or_default().to_owned()
    }
}

#[derive(Default)]
struct Journal {
    connections: AtomicUsize,
    requests: Mutex<Vec<Received>>,
    arrived: Notify,
}

/// A server that follows a script; it ends when dropped.
pub struct ScriptedServer {
    address: SocketAddr,
    journal: Arc<Journal>,
    accepting: AbortHandle,
}

impl ScriptedServer {
    /// Listens on a free port and runs `script` for each request.
    pub async fn start<F, R>(script: F) -> Self
    where
        F: Fn(Exchange) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        Self::on(SocketAddr::from(([127, 0, 0, 1], 0)), script).await
    }

    /// As [`start`](Self::start) at a chosen address, for a server that comes back after it was away.
    pub async fn on<F, R>(address: SocketAddr, script: F) -> Self
    where
        F: Fn(Exchange) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        // A server that was dropped a moment ago may still hold the address.
        let listener = within("a free address", async {
            loop {
                match TcpListener::bind(address).await {
                    Ok(listener) => return listener,
                    Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        })
        .await;
        let address = listener.local_addr().expect("a bound socket has an address");
        let journal = Arc::<Journal>::default();
        let accepting = tokio::spawn(accept(listener, Arc::clone(&journal), Arc::new(script)));
        Self { address, journal, accepting: accepting.abort_handle() }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of `path` on it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How many connections were made to it.
    pub fn connections(&self) -> usize {
        self.journal.connections.load(Ordering::SeqCst)
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Received> {
        self.journal.requests.lock().expect("no panic while holding the journal").clone()
    }

    /// The requests with this JSON-RPC method so far.
    pub fn requests_of(&self, method: &str) -> Vec<Received> {
        self.requests().into_iter().filter(|request| request.method() == method).collect()
    }

    /// How many requests with this JSON-RPC method came so far.
    pub fn count(&self, method: &str) -> usize {
        self.requests_of(method).len()
    }

    /// Waits until `number` requests with this method have come, and returns the last of them.
    pub async fn wait_for(&self, method: &str, number: usize) -> Received {
        let what = format!("request {number} of {method}");
        self.wait_where(&what, number, |request| request.method() == method).await
    }

    /// Waits until `number` requests have come that `is_wanted`, and returns the last of them.
    pub async fn wait_where(
        &self,
        what: &str,
        number: usize,
        is_wanted: impl Fn(&Received) -> bool,
    ) -> Received {
        within(what, async {
            loop {
                let arrived = self.journal.arrived.notified();
                tokio::pin!(arrived);
                arrived.as_mut().enable();
                if let Some(found) = self.requests().into_iter().filter(&is_wanted).nth(number - 1)
                {
                    return found;
                }
                arrived.await;
            }
        })
        .await
    }

    /// Waits for the answer to the question `id` that this server asked.
    pub async fn answer_to(&self, id: &str) -> Value {
        let is_wanted = |request: &Received| {
            let message = request.json();
            message["id"] == id && message["method"].is_null()
        };
        self.wait_where(&format!("the answer to {id}"), 1, is_wanted).await.json()
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept<F, R>(listener: TcpListener, journal: Arc<Journal>, script: Arc<F>)
where
    F: Fn(Exchange) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    // Dropped with this task: no connection outlives its server.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let number = journal.connections.fetch_add(1, Ordering::SeqCst) + 1;
        connections.spawn(serve(stream, number, Arc::clone(&journal), Arc::clone(&script)));
    }
}

async fn serve<F, R>(stream: TcpStream, connection: usize, journal: Arc<Journal>, script: Arc<F>)
where
    F: Fn(Exchange) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let _ = stream.set_nodelay(true);
    let mut socket = Socket::new(stream);
    loop {
        let Ok(Some(head)) = socket.head().await else { return };
        let Ok(body) = socket.body(&head, false).await else { return };
        let mut words = head.first.split(' ').map(str::to_owned);
        let request = Received {
            verb: words.next().unwrap_or_default(),
            target: words.next().unwrap_or_default(),
            headers: head.headers,
            body: body.to_vec(),
            connection,
        };
        journal.requests.lock().expect("no panic while holding the journal").push(request.clone());
        journal.arrived.notify_waiters();
        let (back, returned) = oneshot::channel();
        script(Exchange::new(request, socket, back)).await;
        // A script that answered in full gives the connection back.
        let Ok(kept) = returned.await else { return };
        socket = kept;
    }
}
