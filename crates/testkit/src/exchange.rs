//! One request of a scripted server and everything that can be done in answer to it.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::oneshot;

use crate::http::Socket;
use crate::server::Received;
use crate::within;

/// A request that waits for its answer. Dropped after a whole answer, the connection is used again;
/// dropped before, it is closed.
pub struct Exchange {
    request: Received,
    socket: Option<Socket>,
    back: Option<oneshot::Sender<Socket>>,
    whole: bool,
}

impl Exchange {
    pub(crate) fn new(request: Received, socket: Socket, back: oneshot::Sender<Socket>) -> Self {
        Self { request, socket: Some(socket), back: Some(back), whole: false }
    }

    /// What was asked.
    pub fn request(&self) -> &Received {
        &self.request
    }

    /// The JSON-RPC id of the request.
    pub fn id(&self) -> Value {
        self.request.json()["id"].clone()
    }

    /// The legacy session of the request; empty if it has none.
    pub fn session(&self) -> String {
        self.request.headers.get("mcp-session-id").unwrap_or_default().to_owned()
    }

    /// The parameters of the request.
    pub fn params(&self) -> Value {
        self.request.json()["params"].clone()
    }

    fn socket(&mut self) -> &mut Socket {
        self.socket.as_mut().expect("an exchange has its connection until it ends")
    }

    /// Writes exactly these bytes. A client that is gone is no error here.
    pub async fn raw(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.socket().stream.write_all(bytes.as_ref()).await;
    }

    /// Writes bytes until the client no longer takes them, at most `most`; returns how many it took.
    pub async fn raw_while_taken(&mut self, bytes: &[u8], most: usize) -> usize {
        let mut taken = 0;
        while taken < most {
            match self.socket().stream.write(bytes).await {
                Ok(written) => taken += written,
                Err(_) => break,
            }
        }
        taken
    }

    /// A whole answer with these headers and a `Content-Length`.
    pub async fn respond(&mut self, status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) {
        let body = body.as_ref();
        let mut head = format!("HTTP/1.1 {status} Scripted\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head.push_str("\r\n");
        self.raw([head.as_bytes(), body].concat()).await;
        self.whole = true;
    }

    /// A whole answer in JSON.
    pub async fn json(&mut self, status: u16, body: &Value) {
        self.respond(status, &[("Content-Type", "application/json")], body.to_string()).await;
    }

    /// The result of the request.
    pub async fn result(&mut self, result: Value) {
        let answer = self.answer(result);
        self.json(200, &answer).await;
    }

    /// The text of an answer with this result.
    pub fn answer(&self, result: Value) -> Value {
        json!({"jsonrpc": "2.0", "id": self.id(), "result": result})
    }

    /// A JSON-RPC error with this HTTP status.
    pub async fn error(&mut self, status: u16, code: i64, message: &str) {
        let error = json!({"code": code, "message": message});
        let answer = json!({"jsonrpc": "2.0", "id": self.id(), "error": error});
        self.json(status, &answer).await;
    }

    /// The head of an event stream; events follow in chunks.
    pub async fn begin_events(&mut self, headers: &[(&str, &str)]) {
        let mut head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                        Transfer-Encoding: chunked\r\n"
            .to_owned();
        for (name, value) in headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head.push_str("\r\n");
        self.raw(head).await;
    }

    /// One chunk of a body.
    pub async fn chunk(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        let chunk = [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
        self.raw(chunk).await;
    }

    /// One message as an event.
    pub async fn event(&mut self, message: &Value) {
        self.chunk(format!("event: message\ndata: {message}\n\n")).await;
    }

    /// One message as an event with an id to resume from.
    pub async fn event_with_id(&mut self, id: &str, message: &Value) {
        self.chunk(format!("id: {id}\nevent: message\ndata: {message}\n\n")).await;
    }

    /// A notification as an event.
    pub async fn notify(&mut self, method: &str, params: Value) {
        self.event(&json!({"jsonrpc": "2.0", "method": method, "params": params})).await;
    }

    /// The end of a body in chunks.
    pub async fn end(&mut self) {
        self.raw("0\r\n\r\n").await;
        self.whole = true;
    }

    /// The result as the last event of a stream.
    pub async fn last_event(&mut self, result: Value) {
        let answer = self.answer(result);
        self.event(&answer).await;
        self.end().await;
    }

    /// Closes the connection although the answer is whole and the connection could be used again.
    pub fn close(mut self) {
        self.whole = false;
    }

    /// Resets the connection, as a crashed host does.
    pub fn abort(mut self) {
        self.whole = false;
        if let Some(socket) = self.socket.take() {
            let _ = socket.stream.set_zero_linger();
        }
    }

    /// Waits until the client has closed the connection.
    pub async fn closed(&mut self) {
        within("the client to close the connection", async {
            while self.socket().fill().await.unwrap_or(false) {}
        })
        .await;
        self.whole = false;
    }

    /// Whether the client closes the connection within this time.
    pub async fn closes_within(&mut self, time: Duration) -> bool {
        let closed = async { while self.socket().fill().await.unwrap_or(false) {} };
        tokio::time::timeout(time, closed).await.is_ok()
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let (true, Some(socket), Some(back)) = (self.whole, self.socket.take(), self.back.take())
        {
            // The server may have ended.
            let _ = back.send(socket);
        }
    }
}
