//! Clients that share one pair of streams with the gate: HTTP+SSE of 2024-11-05, and stdio of any
//! version. Messages come in one by one; whatever goes out takes the same way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, RwLock, Weak};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Response, StatusCode};
use hyper::body::Incoming;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wire::method::name;
use wire::{Era, Id, Message, Method, Request, Version, message, meta};

use super::log::StreamLog;
use super::modern::{self, Listening, event_stream};
use super::relay::{self, Sent, Step};
use super::session::Session;
use super::{Visit, answer_fault, client_limits, legacy};
use crate::call::{Call, Correlation};
use crate::edge::{self, EdgeBody, read_body};
use crate::exchange::{StreamPlace, authenticate};
use crate::fault::{self, Fault, Reason};
use crate::gate::Gate;
use crate::plan::Endpoint;

/// Where messages to the client go.
pub(super) enum Out {
    /// The event stream of an HTTP+SSE client.
    Events(Arc<StreamLog>),
    /// Lines to a process.
    Lines(mpsc::Sender<Bytes>),
}

/// One client's pair of streams.
pub(super) struct Line {
    gate: Arc<Gate>,
    endpoint: Arc<Endpoint>,
    out: Out,
    /// The legacy session, once the client has sent `initialize`.
    session: OnceLock<Arc<Session>>,
    /// Modern requests in flight, which the client can cancel.
    in_flight: Mutex<HashMap<Id, CancellationToken>>,
    over: CancellationToken,
    /// What is still to be answered.
    answering: TaskTracker,
    /// Whether 2026-07-28 is spoken here: it has no HTTP+SSE.
    modern: bool,
}

impl Line {
    pub(super) fn new(
        gate: Arc<Gate>,
        endpoint: Arc<Endpoint>,
        out: Out,
        modern: bool,
    ) -> Arc<Self> {
        let (session, in_flight) = (OnceLock::new(), Mutex::default());
        let (over, answering) = (CancellationToken::new(), TaskTracker::new());
        Arc::new(Self { gate, endpoint, out, session, in_flight, over, answering, modern })
    }

    /// Completes once the gate drains and every request has its answer.
    pub(super) async fn drained(&self) {
        self.gate.draining.cancelled().await;
        self.answering.close();
        self.answering.wait().await;
    }

    pub(super) fn over(&self) -> &CancellationToken {
        &self.over
    }

    /// Takes one message of the client; what it causes happens in the background.
    pub(super) fn receive(self: &Arc<Self>, text: &Bytes) {
        let limits = client_limits(&self.gate.current().limits);
        if text.trim_ascii_start().starts_with(b"[") && self.has_batches() {
            self.receive_batch(text, &limits);
        } else {
            self.receive_one(text, &limits);
        }
    }

    fn receive_one(self: &Arc<Self>, text: &Bytes, limits: &wire::Limits) {
        let message = match fault::decode(text, limits) {
            Ok(message) => message,
            Err(fault) => {
                let correlation = Correlation::fresh();
                let error = fault.to_error(Era::Legacy, correlation.as_str());
                let id =
                    Message::decode(text, limits).err().and_then(|refusal| refusal.id().cloned());
                self.send_soon(message::encode_error(id.as_ref(), &error));
                return;
            }
        };
        match message {
            Message::Request(request) => {
                let line = Arc::clone(self);
                let answer = self.answering.track_future(async move { line.answer(request).await });
                self.gate.work.spawn(answer);
            }
            Message::Notification(notification) => {
                if &*notification.method == name::CANCELLED
                    && let Some(id) =
                        notification.params.get("requestId").as_ref().and_then(Id::from_json)
                    && let Some(token) = self.in_flight().get(&id)
                {
                    token.cancel();
                }
                if let Some(session) = self.session.get().cloned() {
                    tokio::spawn(async move { legacy::notified(&session, &notification).await });
                }
            }
            Message::Response(response) => {
                if let Some(session) = self.session.get() {
                    session.answer(response.id.as_ref(), response.outcome);
                }
            }
        }
    }

    /// Only 2025-03-26 has batches.
    fn has_batches(&self) -> bool {
        self.session.get().is_some_and(|session| session.version() == Version::V2025_03_26)
    }

    /// Takes each member of a batch alone; each is answered as soon as its answer is there.
    fn receive_batch(self: &Arc<Self>, text: &Bytes, limits: &wire::Limits) {
        let most = self.gate.current().limits.batch;
        match message::split_batch(text, limits, most) {
            Ok(members) => {
                for member in members.iter().flatten() {
                    self.receive_one(member, limits);
                }
            }
            Err(refusal) => {
                let error =
                    Fault::refused(&refusal).to_error(Era::Legacy, Correlation::fresh().as_str());
                self.send_soon(message::encode_error(None, &error));
            }
        }
    }

    fn in_flight(&self) -> std::sync::MutexGuard<'_, HashMap<Id, CancellationToken>> {
        self.in_flight.lock().expect("no panic while holding the calls")
    }

    async fn send(&self, text: Vec<u8>) {
        match &self.out {
            Out::Events(log) => {
                let patience = self.gate.current().limits.stall_timeout.get();
                log.send_plain("message", &text, patience).await;
            }
            Out::Lines(lines) => {
                let _ = lines.send(text.into()).await;
            }
        }
    }

    fn send_soon(self: &Arc<Self>, text: Vec<u8>) {
        let line = Arc::clone(self);
        tokio::spawn(async move { line.send(text).await });
    }

    async fn answer(self: Arc<Self>, request: Request) {
        let id = request.id.clone();
        let claims_modern = request.meta.has(meta::PROTOCOL_VERSION);
        let outcome = if claims_modern && self.modern {
            self.answer_modern(request).await
        } else if claims_modern {
            Err(Fault::new(
                Reason::UnknownMethod,
                "Method not found: HTTP+SSE ends with 2024-11-05; use the endpoint without `/sse`",
            ))
        } else {
            self.answer_legacy(request).await
        };
        if let Err(fault) = outcome {
            let correlation = Correlation::fresh();
            tracing::info!(correlation = correlation.as_str(), %fault, "refused");
            let era = if claims_modern { Era::Modern } else { Era::Legacy };
            let error = fault.to_error(era, correlation.as_str());
            self.send(message::encode_error(Some(&id), &error)).await;
        }
    }

    async fn answer_modern(self: &Arc<Self>, request: Request) -> Result<(), Fault> {
        let call = modern::call_of(request, authenticate::process(), Correlation::fresh())?;
        let token = self.over.child_token();
        let id = call.id.clone();
        self.in_flight().insert(id.clone(), token.clone());
        let done = if call.method == Method::Listen && modern::is_kept_here(&self.endpoint, &call) {
            self.listen(&call, &token).await
        } else {
            self.exchange(call, &token, None).await;
            Ok(())
        };
        self.in_flight().remove(&id);
        done
    }

    async fn listen(&self, call: &Call, token: &CancellationToken) -> Result<(), Fault> {
        let mut listening = Listening::begin(&self.gate, &self.endpoint, call).await?;
        loop {
            tokio::select! {
                // First what is ready: a drain ends the stream with its completion.
                biased;
                next = listening.next() => match next {
                    Some(text) => self.send(text).await,
                    None => return Ok(()),
                },
                () = token.cancelled() => return Ok(()),
            }
        }
    }

    async fn answer_legacy(self: &Arc<Self>, request: Request) -> Result<(), Fault> {
        if &*request.method == name::INITIALIZE {
            return self.initialize(&request).await;
        }
        let Some(session) = self.session.get().cloned() else {
            return Err(Fault::new(Reason::Malformed, "Invalid request: begin with `initialize`"));
        };
        let call = legacy::call_of(&session, request);
        if let Some(outcome) = legacy::at_once(&session, &call) {
            self.send(message::encode_outcome(&call.id, &outcome)).await;
            return Ok(());
        }
        let in_flight = session.begin(&call.id);
        self.exchange(call, &in_flight.token, Some(&session)).await;
        Ok(())
    }

    async fn initialize(self: &Arc<Self>, request: &Request) -> Result<(), Fault> {
        let principal = authenticate::process();
        let introduced = legacy::introduced(request)?;
        let limits = self.gate.snapshot().limits.clone();
        let replay = (limits.replay_events, limits.replay_bytes.len());
        let endpoint = Arc::clone(&self.endpoint);
        let session =
            Session::new(String::new(), introduced, endpoint, principal, &self.gate.sealer, replay);
        if self.session.set(Arc::clone(&session)).is_err() {
            return Err(Fault::new(Reason::Malformed, "Invalid request: initialized already"));
        }
        let result = legacy::greet(&self.gate.snapshot(), &session).await?;
        self.send(message::encode_result(&request.id, &result, &[])).await;
        legacy::spawn_feed(&self.gate, &session);
        tokio::spawn(pass_on(Arc::downgrade(self), session));
        Ok(())
    }

    /// Takes a call through the gate and sends everything that comes of it.
    async fn exchange(
        self: &Arc<Self>,
        call: Box<Call>,
        token: &CancellationToken,
        session: Option<&Arc<Session>>,
    ) {
        let (gate, snapshot) = (Arc::clone(&self.gate), self.gate.snapshot());
        let exchange: BoxFuture<'_, _> =
            Box::pin(relay::exchange(gate, snapshot, Arc::clone(&self.endpoint), call));
        let exchanged = tokio::select! {
            exchanged = exchange => exchanged,
            // A cancelled request gets no answer.
            () = token.cancelled() => return,
        };
        let mut relay = match exchanged.send() {
            Sent::Whole { parts, .. } => return self.send(parts.concat()).await,
            Sent::Stream(relay) => relay,
        };
        let mut asking = session.map(Session::asking);
        loop {
            let step = tokio::select! {
                step = relay.next() => step,
                () = token.cancelled() => {
                    let _ = relay.fail(&relay::cancelled());
                    return;
                }
            };
            match (step, &mut asking) {
                (Step::Message(text), _) => self.send(text).await,
                (Step::End(text), _) => return self.send(text).await,
                (Step::Ask(question), Some(asking)) => {
                    let asker = relay.asker().map(str::to_owned);
                    let text = asking.question(question, asker.as_deref());
                    self.send(text).await;
                }
                (Step::Ask(_) | Step::Pause(_), _) => {}
            }
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.over.cancel();
        if let Some(session) = self.session.get() {
            session.end();
        }
    }
}

/// Sends what belongs to no call: it waits in the session's standalone stream. A client so slow that
/// some of it is already forgotten is cut, rather than left without knowing.
async fn pass_on(line: Weak<Line>, session: Arc<Session>) {
    let messages = session.standalone.messages();
    futures_util::pin_mut!(messages);
    while let Some(text) = futures_util::StreamExt::next(&mut messages).await {
        let Some(line) = line.upgrade() else { return };
        line.send(text.to_vec()).await;
    }
    if let Some(line) = line.upgrade() {
        line.over.cancel();
    }
}

// === HTTP+SSE ===

/// The lines of HTTP+SSE clients by the token in their POST address.
#[derive(Default)]
pub(crate) struct Lines(RwLock<HashMap<String, Weak<Line>>>);

impl Lines {
    fn open(&self, token: &str, line: &Arc<Line>) {
        let mut lines = self.0.write().expect("no panic while holding the lines");
        lines.insert(token.to_owned(), Arc::downgrade(line));
    }

    fn find(&self, token: &str) -> Option<Arc<Line>> {
        self.0.read().expect("no panic while holding the lines").get(token)?.upgrade()
    }

    fn close(&self, token: &str) {
        self.0.write().expect("no panic while holding the lines").remove(token);
    }
}

/// GET of the event stream: its first event says where to post.
pub(crate) fn sse_open(visit: &Visit) -> Response<EdgeBody> {
    let place = match StreamPlace::enter(&visit.gate, &visit.snapshot) {
        Ok(place) => place,
        Err(fault) => return answer_fault(&fault, None, Era::Legacy),
    };
    let limits = &visit.snapshot.limits;
    let log = StreamLog::new(0, usize::MAX, limits.send_queue_bytes.len());
    let mut token = [0; 24];
    if aws_lc_rs::rand::fill(&mut token).is_err() {
        return edge::refuse(&edge::internal_fault());
    }
    let token = BASE64.encode(token);
    let address = format!("{}/sse/messages?session_id={token}", visit.endpoint.path);
    log.push_plain("endpoint", address.as_bytes());
    let line = Line::new(
        Arc::clone(&visit.gate),
        Arc::clone(&visit.endpoint),
        Out::Events(Arc::clone(&log)),
        false,
    );
    visit.gate.lines.open(&token, &line);
    let events = log.read(0, limits.keep_alive.get());
    let over = line.over().clone();
    // The line lives as long as its event stream: the client's going away ends both.
    let held = Held { line, token, _place: place };
    let until = async move {
        let drained = async {
            held.line.drained().await;
            // The stream ends after its last message.
            log.finish();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = over.cancelled() => {}
            () = drained => {}
        }
        drop(held);
    };
    event_stream(futures_util::StreamExt::take_until(events, until))
}

struct Held {
    line: Arc<Line>,
    token: String,
    _place: StreamPlace,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.line.gate.lines.close(&self.token);
        // Calls hold the line, too: they shall not outlive the client.
        self.line.over.cancel();
        if let Some(session) = self.line.session.get() {
            session.end();
        }
    }
}

/// POST of one message; its answer comes on the event stream.
pub(crate) async fn sse_post(visit: Visit, body: Incoming) -> Response<EdgeBody> {
    let query = visit.head.uri.query().unwrap_or_default();
    let token = query.split('&').find_map(|pair| pair.strip_prefix("session_id="));
    let line = token.and_then(|token| visit.gate.lines.find(token));
    let Some(line) = line.filter(|line| line.endpoint.path == visit.endpoint.path) else {
        let fault =
            Fault::new(Reason::UnknownSession, "Session not found; open the event stream again");
        return answer_fault(&fault, None, Era::Legacy);
    };
    match read_body(&visit.head, body, &visit.snapshot.limits).await {
        Ok(text) => {
            line.receive(&text);
            edge::text(StatusCode::ACCEPTED, "accepted\n")
        }
        Err(fault) => edge::refuse(&fault),
    }
}
