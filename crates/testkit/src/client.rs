//! A client that sends exactly the bytes it is given, and shows exactly what comes back.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use wire::sse::{Decoder, Event};

use crate::http::{Head, Headers, Socket};
use crate::request::HttpRequest;
use crate::within;

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// All headers.
    pub headers: Headers,
    /// The whole body.
    pub body: Bytes,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The JSON-RPC answer: the body, or the last event of a stream.
    pub fn json(&self) -> Value {
        if self.headers.get("content-type").is_some_and(|kind| kind.contains("event-stream")) {
            return self.messages().pop().unwrap_or(Value::Null);
        }
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The messages of an event stream.
    pub fn messages(&self) -> Vec<Value> {
        let mut decoder = Decoder::new(usize::MAX);
        decoder.feed(self.body.clone());
        let mut messages = Vec::new();
        while let Ok(Some(event)) = decoder.next_event() {
            messages.extend(serde_json::from_slice(&event.data).ok());
        }
        messages
    }

    /// The code of the JSON-RPC error; 0 if there is none.
    pub fn code(&self) -> i64 {
        self.json()["error"]["code"].as_i64().unwrap_or_default()
    }
}

/// A connection to the gate.
#[derive(Debug)]
pub struct Connection {
    socket: Socket,
}

impl Connection {
    /// Connects.
    pub async fn open(address: SocketAddr) -> Self {
        let connected = within("a connection", TcpStream::connect(address)).await;
        let stream = connected.expect("the gate listens");
        let _ = stream.set_nodelay(true);
        Self { socket: Socket::new(stream) }
    }

    /// Sends exactly these bytes.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_write(bytes).await.expect("the gate takes what is sent");
    }

    /// Sends these bytes, or says why they are not taken.
    pub async fn try_write(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.socket.stream.write_all(bytes.as_ref()).await
    }

    /// Sends a request and reads its whole answer.
    pub async fn send(&mut self, request: &HttpRequest) -> Answer {
        self.write(request.bytes()).await;
        self.answer().await
    }

    /// Reads a whole answer.
    pub async fn answer(&mut self) -> Answer {
        self.try_answer().await.expect("a whole answer")
    }

    /// Reads a whole answer, or says why there is none.
    pub async fn try_answer(&mut self) -> io::Result<Answer> {
        within("an answer", async {
            let head = self.socket.head().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
            let status = status(&head);
            let body = if matches!(status, 204 | 304) {
                bytes::BytesMut::new()
            } else {
                self.socket.body(&head, true).await?
            };
            Ok(Answer { status, headers: head.headers, body: body.freeze() })
        })
        .await
    }

    /// Sends a request and reads the head of its answer, whose events follow.
    pub async fn stream(mut self, request: &HttpRequest) -> EventStream {
        self.write(request.bytes()).await;
        self.into_stream().await
    }

    /// Reads the head of an answer whose events follow.
    pub async fn into_stream(mut self) -> EventStream {
        let head = within("the head of a stream", self.socket.head()).await;
        let head = head.expect("a whole head").expect("an answer");
        EventStream {
            status: status(&head),
            headers: head.headers.clone(),
            head,
            socket: self.socket,
            decoder: Decoder::new(usize::MAX),
            ready: VecDeque::new(),
        }
    }

    /// Waits until these bytes have come.
    pub async fn reads(&mut self, bytes: &[u8]) {
        within("bytes of an answer", async {
            while !self.socket.buffer.windows(bytes.len()).any(|window| window == bytes) {
                assert!(self.socket.fill().await.expect("a connection"), "the answer ended before");
            }
        })
        .await;
    }

    /// Waits until the gate has closed the connection; what it still sent is passed over.
    pub async fn closed(&mut self) {
        within("the gate to close the connection", async {
            while self.socket.fill().await.unwrap_or(false) {
                self.socket.buffer.clear();
            }
        })
        .await;
    }
}

fn status(head: &Head) -> u16 {
    head.first.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
}

/// Sends one request on a connection of its own.
pub async fn send(address: SocketAddr, request: &HttpRequest) -> Answer {
    Connection::open(address).await.send(request).await
}

/// An event stream under way. Dropping it closes the connection.
#[derive(Debug)]
pub struct EventStream {
    /// The HTTP status.
    pub status: u16,
    /// All headers.
    pub headers: Headers,
    head: Head,
    socket: Socket,
    decoder: Decoder,
    ready: VecDeque<Event>,
}

impl EventStream {
    /// The next event, priming ones included; `None` at the end of the stream.
    pub async fn next_event(&mut self) -> Option<Event> {
        within("an event", async {
            loop {
                if let Some(event) = self.ready.pop_front() {
                    return Some(event);
                }
                while let Ok(Some(event)) = self.decoder.next_event() {
                    self.ready.push_back(event);
                }
                if self.ready.is_empty() {
                    let chunk = self.read().await?;
                    self.decoder.feed(chunk);
                }
            }
        })
        .await
    }

    async fn read(&mut self) -> Option<Bytes> {
        if self.head.is_chunked() {
            return self.socket.chunk().await.ok().flatten().map(bytes::BytesMut::freeze);
        }
        // An answer that was complete at once has a length.
        let body = self.socket.body(&self.head, true).await.ok()?;
        self.head.headers.0.retain(|(name, _)| name != "content-length");
        if body.is_empty() {
            return None;
        }
        let is_json = self.headers.get("content-type").is_some_and(|kind| kind.contains("json"));
        // One message, where there was nothing to stream.
        let before: &[u8] = if is_json { b"data: " } else { b"" };
        let after: &[u8] = if is_json { b"\n\n" } else { b"" };
        Some([before, &body, after].concat().into())
    }

    /// The next message; panics at the end of the stream.
    pub async fn next(&mut self) -> Value {
        loop {
            let event = self.next_event().await.expect("a message before the end of the stream");
            if !event.data.is_empty() {
                return serde_json::from_slice(&event.data).expect("a message is JSON");
            }
        }
    }

    /// The next message with this method, or the next answer if `method` is empty; others are passed
    /// over.
    pub async fn next_of(&mut self, method: &str) -> Value {
        loop {
            let message = self.next().await;
            if message["method"].as_str().unwrap_or_default() == method {
                return message;
            }
        }
    }

    /// Whether nothing comes within this time.
    pub async fn is_silent_for(&mut self, time: std::time::Duration) -> bool {
        tokio::time::timeout(time, self.next()).await.is_err()
    }

    /// Waits for the end of the stream; panics at another message.
    pub async fn ended(&mut self) {
        while let Some(event) = self.next_event().await {
            assert!(event.data.is_empty(), "after the end: {:?}", event.data);
        }
    }
}
