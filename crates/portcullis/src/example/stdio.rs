//! The stdio transport: one message a line, both eras, requests side by side.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::sync::{Semaphore, broadcast, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wire::message::{self, Refusal};
use wire::method::name;
use wire::{Id, Limits, Message, Method, Notification, Request, RpcError, Version, code, meta};

use super::server::{self, Change, Listen, Server};

/// Most requests at work at once; the next line waits. More would only queue up for the same disk.
const CONCURRENT_MAX: usize = 64;
/// Most open `subscriptions/listen` requests.
const LISTENS_MAX: usize = 64;
/// Most lines waiting for a client that does not read.
const WAITING_LINES_MAX: usize = 64;

/// Serves stdin and stdout until stdin ends and everything asked until then is answered.
pub(super) async fn serve<S: Server>(server: Arc<S>) -> io::Result<()> {
    let (lines, outbox) = mpsc::channel(WAITING_LINES_MAX);
    let writer = tokio::spawn(write_lines(outbox));
    let mut connection = Connection {
        server,
        lines,
        negotiated: None,
        in_flight: InFlight::default(),
        tasks: TaskTracker::new(),
        room: Arc::new(Semaphore::new(CONCURRENT_MAX)),
        listens: Arc::new(Semaphore::new(LISTENS_MAX)),
        ending: CancellationToken::new(),
    };
    let mut stdin = BufReader::new(tokio::io::stdin());
    loop {
        let line = tokio::select! {
            line = next_line(&mut stdin) => line?,
            // Stdout is closed: nobody would hear an answer.
            () = connection.lines.closed() => None,
        };
        let Some(line) = line else { break };
        match line {
            Line::Text(text) if text.trim_ascii().is_empty() => {}
            Line::Text(text) => connection.take(&text).await,
            Line::TooLong => {
                let message = format!("a line has more than {} bytes", Limits::CLIENT.bytes);
                let error = RpcError::new(code::PARSE_ERROR, format!("Parse error: {message}"));
                connection.send(message::encode_error(None, &error)).await;
            }
        }
    }
    connection.ending.cancel();
    connection.tasks.close();
    connection.tasks.wait().await;
    drop(connection);
    writer.await.map_err(io::Error::other)?
}

/// Requests that are being answered, by id.
type InFlight = Arc<Mutex<HashMap<Id, CancellationToken>>>;

struct Connection<S> {
    server: Arc<S>,
    lines: mpsc::Sender<Vec<u8>>,
    /// The legacy version, once `initialize` has been answered.
    negotiated: Option<Version>,
    in_flight: InFlight,
    tasks: TaskTracker,
    room: Arc<Semaphore>,
    listens: Arc<Semaphore>,
    /// Stdin has ended.
    ending: CancellationToken,
}

impl<S: Server> Connection<S> {
    /// Takes one line: a message, or in 2025-03-26 a batch of them.
    async fn take(&mut self, text: &Bytes) {
        if self.negotiated == Some(Version::V2025_03_26) {
            match message::split_batch(text, &Limits::CLIENT, 20) {
                Ok(None) => {}
                Ok(Some(members)) => {
                    for member in members {
                        self.take_one(&member).await;
                    }
                    return;
                }
                Err(refusal) => return self.refuse(&refusal).await,
            }
        }
        self.take_one(text).await;
    }

    async fn take_one(&mut self, text: &Bytes) {
        match Message::decode(text, &Limits::CLIENT) {
            Ok(Message::Request(request)) => self.take_request(request).await,
            Ok(Message::Notification(notification)) => self.take_notification(&notification),
            // This server asks nothing, so no answer is expected.
            Ok(Message::Response(_)) => {}
            Err(refusal) => self.refuse(&refusal).await,
        }
    }

    async fn refuse(&self, refusal: &Refusal) {
        self.send(message::encode_error(refusal.id(), &refusal.to_error())).await;
    }

    async fn take_request(&mut self, request: Request) {
        match self.version_of(&request) {
            Ok(version) => self.begin(version, request).await,
            Err(error) => self.send(message::encode_error(Some(&request.id), &error)).await,
        }
    }

    /// The version a request is made in. The first `initialize` settles the legacy one.
    fn version_of(&mut self, request: &Request) -> Result<Version, RpcError> {
        if server::is_modern(&request.meta)? {
            return Ok(Version::LATEST);
        }
        match (Method::parse(&request.method), self.negotiated) {
            (Method::Initialize, _) => {
                let asked = request.params.text("protocolVersion").unwrap_or_default();
                let version = Version::negotiate_legacy(&asked);
                self.negotiated = Some(version);
                Ok(version)
            }
            (_, Some(version)) => Ok(version),
            (Method::Ping, None) => Ok(Version::LATEST_LEGACY),
            (_, None) => Err(RpcError::new(
                code::INVALID_PARAMS,
                format!(
                    "send `initialize` first, or put `{}` and `{}` into `params._meta`",
                    meta::PROTOCOL_VERSION,
                    meta::CLIENT_CAPABILITIES
                ),
            )),
        }
    }

    /// Starts to answer a request; waits while too many are at work.
    async fn begin(&self, version: Version, request: Request) {
        let room = Arc::clone(&self.room).acquire_owned().await;
        let room = room.expect("the semaphore is never closed");
        let cancelled = CancellationToken::new();
        let id = request.id.clone();
        if !self.register(&id, &cancelled) {
            let message = "Invalid request: a request with this `id` is still being answered";
            let error = RpcError::new(code::INVALID_REQUEST, message);
            return self.send(message::encode_error(Some(&id), &error)).await;
        }
        if Method::parse(&request.method) == Method::Listen && Method::Listen.exists_in(version) {
            // An open listen does no work, so it must not keep requests out.
            drop(room);
            return self.listen(&request, cancelled).await;
        }
        let (in_flight, lines) = (Arc::clone(&self.in_flight), self.lines.clone());
        let server = Arc::clone(&self.server);
        self.tasks.spawn(async move {
            let token = cancelled.clone();
            // Tools read disks, so they work on threads that may block.
            let work = tokio::task::spawn_blocking(move || {
                server::answer(&*server, version, &request, &token)
            });
            let outcome = work.await.unwrap_or_else(|_| {
                Err(RpcError::new(code::INTERNAL_ERROR, "Internal error: the work was cut off"))
            });
            lock(&in_flight).remove(&id);
            if !cancelled.is_cancelled() {
                let _ = lines.send(message::encode_outcome(&id, &outcome)).await;
            }
            drop(room);
        });
    }

    async fn listen(&self, request: &Request, cancelled: CancellationToken) {
        let id = request.id.clone();
        let Ok(room) = Arc::clone(&self.listens).try_acquire_owned() else {
            lock(&self.in_flight).remove(&id);
            let message = format!("at most {LISTENS_MAX} subscriptions can be open; end one first");
            let error = RpcError::new(code::INTERNAL_ERROR, message);
            return self.send(message::encode_error(Some(&id), &error)).await;
        };
        let listen = Listen::read(&*self.server, request);
        let changes = self.server.changes();
        let (in_flight, lines) = (Arc::clone(&self.in_flight), self.lines.clone());
        let ending = self.ending.clone();
        self.tasks.spawn(async move {
            listen_until(&listen, changes, &lines, &cancelled, &ending).await;
            lock(&in_flight).remove(&id);
            drop(room);
        });
    }

    /// Notes that `id` is being answered; false where it is already.
    fn register(&self, id: &Id, cancelled: &CancellationToken) -> bool {
        match lock(&self.in_flight).entry(id.clone()) {
            Entry::Occupied(_) => false,
            Entry::Vacant(place) => {
                place.insert(cancelled.clone());
                true
            }
        }
    }

    fn take_notification(&self, notification: &Notification) {
        if &*notification.method != name::CANCELLED {
            return;
        }
        let id = notification.params.get("requestId").and_then(|id| Id::from_json(&id));
        if let Some(token) = id.and_then(|id| lock(&self.in_flight).get(&id).cloned()) {
            token.cancel();
        }
    }

    async fn send(&self, line: Vec<u8>) {
        // Nobody reads any more only when stdout is closed; then the writer reports it.
        let _ = self.lines.send(line).await;
    }
}

/// Answers a listen request until the client cancels it or the connection ends.
async fn listen_until(
    listen: &Listen,
    mut changes: Option<broadcast::Receiver<Change>>,
    lines: &mpsc::Sender<Vec<u8>>,
    cancelled: &CancellationToken,
    ending: &CancellationToken,
) {
    let _ = lines.send(listen.acknowledgement()).await;
    loop {
        let messages = tokio::select! {
            // In this order: a listen that was cancelled before the end has no result.
            biased;
            () = cancelled.cancelled() => return,
            () = ending.cancelled() => break,
            messages = listen.next(&mut changes) => messages,
        };
        for message in messages {
            let _ = lines.send(message).await;
        }
    }
    let _ = lines.send(listen.end()).await;
}

fn lock(in_flight: &InFlight) -> std::sync::MutexGuard<'_, HashMap<Id, CancellationToken>> {
    in_flight.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes each message as a line, and everything that waits in one go.
async fn write_lines(mut outbox: mpsc::Receiver<Vec<u8>>) -> io::Result<()> {
    let mut stdout = tokio::io::stdout();
    while let Some(mut lines) = outbox.recv().await {
        lines.push(b'\n');
        while let Ok(line) = outbox.try_recv() {
            lines.extend_from_slice(&line);
            lines.push(b'\n');
        }
        stdout.write_all(&lines).await?;
        stdout.flush().await?;
    }
    Ok(())
}

/// What was read up to a line end.
enum Line {
    Text(Bytes),
    /// Longer than any message may be; it was skipped.
    TooLong,
}

/// Reads the next line without its end; `None` when the input has ended.
async fn next_line(input: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Line>> {
    let mut line = Vec::new();
    let mut too_long = false;
    loop {
        let chunk = input.fill_buf().await?;
        if chunk.is_empty() {
            let nothing = line.is_empty() && !too_long;
            return Ok((!nothing).then(|| finish_line(line, too_long)));
        }
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let part = &chunk[..end.unwrap_or(chunk.len())];
        too_long |= line.len() + part.len() > Limits::CLIENT.bytes;
        if too_long {
            line = Vec::new();
        } else {
            line.extend_from_slice(part);
        }
        let taken = end.map_or(chunk.len(), |end| end + 1);
        input.consume(taken);
        if end.is_some() {
            return Ok(Some(finish_line(line, too_long)));
        }
    }
}

fn finish_line(line: Vec<u8>, too_long: bool) -> Line {
    if too_long { Line::TooLong } else { Line::Text(line.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_that_is_too_long_spoils_only_itself() {
        let mut input = vec![b'x'; Limits::CLIENT.bytes + 1];
        input.extend_from_slice(b"\n{}\nlast");
        let mut input = &input[..];
        assert!(matches!(next_line(&mut input).await, Ok(Some(Line::TooLong))));
        for expected in ["{}", "last"] {
            let Ok(Some(Line::Text(text))) = next_line(&mut input).await else { panic!("a line") };
            assert_eq!(text, expected);
        }
        assert!(matches!(next_line(&mut input).await, Ok(None)));
    }
}
