//! 2025-03-26 … 2025-11-25 towards clients: sessions over Streamable HTTP (transports, §Streamable
//! HTTP).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, join_all};
use http::header::HeaderValue;
use http::{Response, StatusCode};
use tokio::time::Instant;
use wire::json::Edit;
use wire::method::name;
use wire::shape::older;
use wire::{
    Era, Id, Json, Message, Method, Notification, Object, Outcome, Request, RpcError, Version,
    code, message,
};

use super::feed::{Feed, Heard};
use super::log::StreamLog;
use super::modern::{event_stream, one_event};
use super::relay::{self, Exchanged, Relay, Sent, Step};
use super::session::{InFlight, Introduced, Session};
use super::{Visit, answer_fault};
use crate::call::{Call, Correlation};
use crate::edge::{self, EdgeBody};
use crate::exchange::{StreamPlace, authenticate};
use crate::fault::{Fault, Reason};
use crate::gate::Gate;
use crate::headers;
use crate::plan::{Serves, Snapshot};
use crate::upstream::Change;

/// What a client waits before it asks for a broken stream again.
const RETRY: Duration = Duration::from_secs(1);

/// Answers one legacy message.
pub(super) async fn post(visit: Visit, message: Message) -> Response<EdgeBody> {
    if let Message::Request(request) = &message
        && &*request.method == name::INITIALIZE
    {
        return initialize(visit, request).await;
    }
    let session = match session_of(&visit) {
        Ok(session) => session,
        Err(fault) => return answer_fault(&fault, message.id(), Era::Legacy),
    };
    match message {
        Message::Request(request) => answer(visit, session, request).await,
        Message::Notification(notification) => {
            notified(&session, &notification).await;
            edge::empty(StatusCode::ACCEPTED)
        }
        Message::Response(response) => {
            session.answer(response.id.as_ref(), response.outcome);
            edge::empty(StatusCode::ACCEPTED)
        }
    }
}

/// The session that a request names.
fn session_of(visit: &Visit) -> Result<Arc<Session>, Fault> {
    let Some(id) = visit.header(&headers::SESSION_ID) else {
        return Err(Fault::new(
            Reason::Malformed,
            "Invalid request: Mcp-Session-Id is missing; begin with `initialize`, or name the \
             protocol version in `_meta` if this is a 2026-07-28 client",
        ));
    };
    let principal = authenticate::http(&visit.head);
    visit.gate.sessions.find(id, &visit.endpoint, &principal).ok_or_else(|| {
        Fault::new(Reason::UnknownSession, "Session not found; begin a new one with `initialize`")
    })
}

async fn initialize(visit: Visit, request: &Request) -> Response<EdgeBody> {
    let principal = authenticate::http(&visit.head);
    let begun = introduced(request).and_then(|introduced| {
        visit.gate.sessions.begin(&visit.gate, &visit.endpoint, principal, introduced)
    });
    let session = match begun {
        Ok(session) => session,
        Err(fault) => return answer_fault(&fault, Some(&request.id), Era::Legacy),
    };
    match greet(&visit.snapshot, &session).await {
        Ok(result) => {
            spawn_feed(&visit.gate, &session);
            let text = message::encode_result(&request.id, &result, &[]);
            let mut response = edge::json(StatusCode::OK, text);
            if let Ok(id) = HeaderValue::from_str(&session.id) {
                response.headers_mut().insert(headers::SESSION_ID, id);
            }
            let correlation = Correlation::fresh();
            let (endpoint, version) = (&*session.endpoint.path, session.version());
            tracing::info!(correlation = correlation.as_str(), endpoint, %version, "session began");
            edge::stamp(&mut response, &correlation);
            response
        }
        Err(fault) => {
            visit.gate.sessions.end(&session);
            answer_fault(&fault, Some(&request.id), Era::Legacy)
        }
    }
}

/// Reads what a client says in `initialize`.
pub(super) fn introduced(request: &Request) -> Result<Introduced, Fault> {
    let invalid =
        |what: &str| Err(Fault::new(Reason::InvalidParams, format!("Invalid params: {what}")));
    let Some(asked) = request.params.text("protocolVersion") else {
        return invalid("`protocolVersion` must be a string");
    };
    let Some(capabilities) = request.params.object("capabilities") else {
        return invalid("`capabilities` must be an object");
    };
    let info = request.params.get("clientInfo");
    if info.as_ref().is_some_and(|info| info.kind() != wire::json::Kind::Object) {
        return invalid("`clientInfo` must be an object");
    }
    let version = Version::negotiate_legacy(&asked);
    Ok(Introduced { version, capabilities: capabilities.to_json(&[]), info })
}

/// The answer to `initialize`: the server's own description, or the endpoint's.
pub(super) async fn greet(snapshot: &Snapshot, session: &Arc<Session>) -> Result<Object, Fault> {
    let caller = session.caller();
    let version = format!("\"{}\"", session.version());
    let version = Edit::set("protocolVersion", version.as_bytes());
    let composed = match &session.endpoint.serves {
        Serves::Composed(composed) => composed,
        Serves::One(server) => {
            let reached =
                tokio::time::timeout(server.wanted.timeout.get(), server.peer(&caller)).await;
            let reached = reached.unwrap_or(Err(crate::upstream::ServerError::Timeout));
            let peer = reached.map_err(|error| error.to_fault(&server.name))?;
            let hello = peer.hello();
            if hello.version == session.version() {
                return Ok(hello.result.clone());
            }
            let capabilities = older::capabilities(&hello.capabilities, session.version());
            let info = hello.info.clone().unwrap_or_else(crate::identity);
            let info = older::implementation(&info, session.version());
            return Ok(described(version, &capabilities, &info, hello.instructions.as_deref()));
        }
    };
    let wait = snapshot.limits.cold_list_wait.get();
    let view = composed.views.current(caller.abilities(), wait).await;
    let info = older::implementation(&composed.identity(), session.version());
    let capabilities = view.capabilities.object().unwrap_or_else(Object::empty);
    let capabilities = older::capabilities(&capabilities, session.version());
    Ok(described(version, &capabilities, &info, view.instructions.as_deref()))
}

fn described(
    version: Edit<'_>,
    capabilities: &Json,
    info: &Json,
    instructions: Option<&str>,
) -> Object {
    let instructions = instructions.map(Json::string);
    let mut edits = vec![
        version,
        Edit::set("capabilities", capabilities.as_bytes()),
        Edit::set("serverInfo", info.as_bytes()),
    ];
    if let Some(instructions) = &instructions {
        edits.push(Edit::set("instructions", instructions.as_bytes()));
    }
    Object::empty().with(&edits)
}

/// Tells the client what changes at servers whose conversation is not its own.
pub(super) fn spawn_feed(gate: &Arc<Gate>, session: &Arc<Session>) {
    let own = match &session.endpoint.serves {
        // The server tells the client itself, on the client's own conversation.
        Serves::One(server) => server
            .own_peer(crate::call::Conversation::key(&**session))
            .is_some_and(|peer| peer.era() == Era::Legacy),
        Serves::Composed(_) => false,
    };
    if own {
        session.hears.cancel();
        return;
    }
    let mut feed = Feed::of(gate, &session.endpoint, true);
    let (weak, over) = (session.weak(), session.over().clone());
    let hears = session.hears.clone();
    tokio::spawn(async move {
        feed.settled().await;
        hears.cancel();
        loop {
            let changed = tokio::select! {
                changed = feed.next() => changed,
                () = over.cancelled() => return,
            };
            let Some(session) = weak.upgrade() else { return };
            for change in &changed {
                tell(&session, change);
            }
        }
    });
}

fn tell(session: &Session, heard: &Heard) {
    match &heard.change {
        Change::Tools => session.tell(name::TOOLS_CHANGED, None),
        Change::Prompts => session.tell(name::PROMPTS_CHANGED, None),
        Change::Resources => session.tell(name::RESOURCES_CHANGED, None),
        Change::Resource(_) => {
            for shown in session.known(heard) {
                let uri = Json::string(&shown);
                let params = Object::empty().to_json(&[Edit::set("uri", uri.as_bytes())]);
                session.tell(name::RESOURCE_UPDATED, Some(params.as_bytes()));
            }
        }
    }
}

/// Takes a notification of the client.
pub(super) async fn notified(session: &Session, notification: &Notification) {
    match &*notification.method {
        // The server's conversation has been told by the gate.
        name::INITIALIZED => {}
        name::CANCELLED => {
            if let Some(id) = notification.params.get("requestId").as_ref().and_then(Id::from_json)
            {
                session.cancel(&id);
            }
        }
        method => {
            let params =
                (!notification.params.is_empty()).then(|| notification.params.to_json(&[]));
            for server in super::feed::servers_of(&session.endpoint) {
                let Some(peer) = server.own_peer(crate::call::Conversation::key(session)) else {
                    continue;
                };
                if peer.era() == Era::Legacy {
                    let _ = peer.notify(method, params.as_ref()).await;
                }
            }
        }
    }
}

/// The call that a legacy request makes.
pub(super) fn call_of(session: &Arc<Session>, request: Request) -> Box<Call> {
    let Request { id, method: method_name, params, meta } = request;
    Box::new(Call {
        id,
        method: Method::parse(&method_name),
        method_name,
        params,
        meta,
        param_headers: Vec::new(),
        forwarded: Vec::new(),
        caller: session.caller(),
        resumes: None,
        as_task: false,
        deadline: Instant::now(),
        correlation: Correlation::fresh(),
    })
}

/// What the gate answers itself, without any server.
pub(super) fn at_once(session: &Session, call: &Call) -> Option<Outcome> {
    match call.method {
        Method::Ping => Some(Ok(Object::empty())),
        Method::SetLevel => {
            let level = call.params.get("level");
            match level.filter(|level| level.text().is_some()) {
                Some(level) => {
                    session.set_level(level);
                    None
                }
                None => Some(Err(RpcError::new(code::INVALID_PARAMS, "`level` must be a string"))),
            }
        }
        _ => relay::known(call.method, call)
            .err()
            .map(|fault| Err(fault.to_error(Era::Legacy, call.correlation.as_str()))),
    }
}

async fn answer(visit: Visit, session: Arc<Session>, request: Request) -> Response<EdgeBody> {
    let mut call = call_of(&session, request);
    call.forwarded = visit.forwarded();
    let (correlation, id) = (call.correlation, call.id.clone());
    let mut response = match at_once(&session, &call) {
        Some(outcome) => edge::json(StatusCode::OK, message::encode_outcome(&id, &outcome)),
        None => converse(visit, session, call).await,
    };
    edge::stamp(&mut response, &correlation);
    response
}

/// Takes a call through the gate. The client's going away does not cancel it (only
/// `notifications/cancelled` does), and the answer chooses JSON or an event stream lazily.
async fn converse(visit: Visit, session: Arc<Session>, call: Box<Call>) -> Response<EdgeBody> {
    let accepts_stream = visit.accepts_stream();
    let keep_alive = visit.snapshot.limits.keep_alive.get();
    let Visit { gate, snapshot, endpoint, .. } = visit;
    let in_flight = session.begin(&call.id);
    let exchange: BoxFuture<'static, Exchanged> =
        Box::pin(relay::exchange(Arc::clone(&gate), snapshot, endpoint, call));
    let mut running = Running { gate, parts: Some((exchange, in_flight)) };
    let (exchanged, in_flight) = match running.first(keep_alive, accepts_stream).await {
        First::Exchanged(exchanged, in_flight) => (*exchanged, in_flight),
        First::Cancelled => return edge::empty(StatusCode::ACCEPTED),
        First::Slow => return running.continue_on_stream(&session, keep_alive),
    };
    if !accepts_stream {
        return edge::json(StatusCode::OK, exchanged.outcome().await);
    }
    match exchanged.send() {
        Sent::Whole { parts, streamed: true, .. } => one_event(parts),
        Sent::Whole { parts, .. } => {
            let mut response = edge::json(StatusCode::OK, Bytes::new());
            *response.body_mut() = EdgeBody::parts(parts);
            response
        }
        Sent::Stream(relay) => {
            let stream = session.open_stream();
            let body = event_stream(stream.read(0, keep_alive));
            running.gate.work.spawn(produce(*relay, session, stream, in_flight));
            body
        }
    }
}

/// A call under way; it is finished in the background if the request that made it is dropped.
struct Running {
    gate: Arc<Gate>,
    parts: Option<(BoxFuture<'static, Exchanged>, InFlight)>,
}

enum First {
    Exchanged(Box<Exchanged>, InFlight),
    /// The client cancelled it.
    Cancelled,
    /// Nothing has come for a while, and the client takes a stream.
    Slow,
}

impl Running {
    async fn first(&mut self, keep_alive: Duration, accepts_stream: bool) -> First {
        let Some((exchange, in_flight)) = &mut self.parts else { return First::Cancelled };
        let exchanged = tokio::select! {
            exchanged = exchange => exchanged,
            () = in_flight.token.cancelled() => {
                self.parts = None;
                return First::Cancelled;
            }
            () = tokio::time::sleep(keep_alive), if accepts_stream => return First::Slow,
        };
        match self.parts.take() {
            Some((_, in_flight)) => First::Exchanged(Box::new(exchanged), in_flight),
            None => First::Cancelled,
        }
    }

    /// Answers with a stream at once, and lets the call go on behind it.
    fn continue_on_stream(
        mut self,
        session: &Arc<Session>,
        keep_alive: Duration,
    ) -> Response<EdgeBody> {
        let stream = session.open_stream();
        prime(session, &stream, RETRY);
        if let Some((exchange, in_flight)) = self.parts.take() {
            let (session, stream) = (Arc::clone(session), Arc::clone(&stream));
            self.gate.work.spawn(async move {
                let exchanged = tokio::select! {
                    exchanged = exchange => exchanged,
                    () = in_flight.token.cancelled() => return stream.finish(),
                };
                match exchanged.send() {
                    Sent::Whole { parts, .. } => {
                        stream.push(&parts.concat());
                        stream.finish();
                    }
                    Sent::Stream(relay) => produce(*relay, session, stream, in_flight).await,
                }
            });
        }
        event_stream(stream.read(0, keep_alive))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some((exchange, in_flight)) = self.parts.take() else { return };
        self.gate.work.spawn(async move {
            tokio::select! {
                exchanged = exchange => drop(exchanged.outcome().await),
                () = in_flight.token.cancelled() => {}
            }
        });
    }
}

/// Clients of 2025-11-25 can resume a stream from its very start.
fn prime(session: &Session, stream: &StreamLog, retry: Duration) {
    if session.version() >= Version::V2025_11_25 && stream.end() == 0 {
        stream.prime(retry);
    }
}

/// Writes a reply into its stream, to the end, whether or not anybody reads it now.
async fn produce(
    mut relay: Relay,
    session: Arc<Session>,
    stream: Arc<StreamLog>,
    in_flight: InFlight,
) {
    let mut asking = session.asking();
    loop {
        let step = tokio::select! {
            step = relay.next() => step,
            () = in_flight.token.cancelled() => {
                // A cancelled request gets no answer; dropping the relay tells the server.
                let _ = relay.fail(&relay::cancelled());
                return stream.finish();
            }
        };
        if let Step::Pause(wait) = &step {
            prime(&session, &stream, *wait);
            if session.version() >= Version::V2025_11_25 {
                stream.pause();
            }
            continue;
        }
        prime(&session, &stream, RETRY);
        let is_last = matches!(step, Step::End(_));
        let text = match step {
            Step::Message(text) | Step::End(text) => text,
            Step::Ask(question) => {
                let asker = relay.asker().map(str::to_owned);
                asking.question(question, asker.as_deref())
            }
            Step::Pause(_) => continue,
        };
        tokio::select! {
            () = stream.send(&text, relay.patience()) => {}
            () = in_flight.token.cancelled() => return stream.finish(),
        }
        if is_last {
            return stream.finish();
        }
    }
}

/// GET: the standalone stream, or the rest of a broken one.
pub(super) async fn get(visit: &Visit) -> Response<EdgeBody> {
    let Ok(session) = session_of(visit) else {
        return match visit.header(&headers::SESSION_ID) {
            Some(_) => unknown_session(),
            None => edge::not_allowed("POST"),
        };
    };
    let place = match StreamPlace::enter(&visit.gate, &visit.snapshot) {
        Ok(place) => place,
        Err(fault) => return answer_fault(&fault, None, Era::Legacy),
    };
    session.hears.cancelled().await;
    let resumed = visit.header(&headers::LAST_EVENT_ID).and_then(|id| session.resume(id));
    let (stream, from) = resumed.unwrap_or_else(|| {
        // What was said before anybody listened is still worth hearing.
        let from = if session.opened_stream.swap(true, Ordering::Relaxed) {
            session.standalone.end()
        } else {
            0
        };
        (Arc::clone(&session.standalone), from)
    });
    let events = stream.read(from, visit.snapshot.limits.keep_alive.get());
    let draining = visit.gate.draining.clone();
    let held = async move {
        draining.cancelled().await;
        drop(place);
    };
    event_stream(futures_util::StreamExt::take_until(events, held))
}

pub(super) fn delete(visit: &Visit) -> Response<EdgeBody> {
    match session_of(visit) {
        Ok(session) => {
            visit.gate.sessions.end(&session);
            edge::empty(StatusCode::NO_CONTENT)
        }
        Err(_) if visit.header(&headers::SESSION_ID).is_some() => unknown_session(),
        Err(_) => edge::not_allowed("POST"),
    }
}

fn unknown_session() -> Response<EdgeBody> {
    let fault =
        Fault::new(Reason::UnknownSession, "Session not found; begin a new one with `initialize`");
    answer_fault(&fault, None, Era::Legacy)
}

// === batches, 2025-03-26 only ===

/// Whether the text is an array and its session speaks the one version that has them.
pub(super) fn may_be_batch(visit: &Visit, text: &[u8]) -> bool {
    text.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[')
        && session_of(visit).is_ok_and(|session| session.version() == Version::V2025_03_26)
}

/// Answers each member alone; a bad one spoils no other.
pub(super) async fn batch(visit: Visit, text: &Bytes) -> Response<EdgeBody> {
    let limits = visit.limits();
    let most = visit.snapshot.limits.batch;
    let members = match message::split_batch(text, &limits, most) {
        Ok(Some(members)) => members,
        Ok(None) => return edge::empty(StatusCode::BAD_REQUEST),
        Err(refusal) => return answer_fault(&Fault::refused(&refusal), None, Era::Legacy),
    };
    let session = match session_of(&visit) {
        Ok(session) => session,
        Err(fault) => return answer_fault(&fault, None, Era::Legacy),
    };
    let answers = members.iter().map(|member| member_answer(&visit, &session, member, &limits));
    let answers: Vec<Vec<u8>> = join_all(answers).await.into_iter().flatten().collect();
    if answers.is_empty() {
        return edge::empty(StatusCode::ACCEPTED);
    }
    edge::json(StatusCode::OK, [b"[", answers.join(&b","[..]).as_slice(), b"]"].concat())
}

async fn member_answer(
    visit: &Visit,
    session: &Arc<Session>,
    member: &Bytes,
    limits: &wire::Limits,
) -> Option<Vec<u8>> {
    let message = match Message::decode(member, limits) {
        Ok(message) => message,
        Err(refusal) => return Some(message::encode_error(refusal.id(), &refusal.to_error())),
    };
    match message {
        Message::Request(request) if &*request.method == name::INITIALIZE => {
            let error = RpcError::new(code::INVALID_REQUEST, "`initialize` must not be in a batch");
            Some(message::encode_error(Some(&request.id), &error))
        }
        Message::Request(request) => {
            let mut call = call_of(session, request);
            call.forwarded = visit.forwarded();
            if let Some(outcome) = at_once(session, &call) {
                return Some(message::encode_outcome(&call.id, &outcome));
            }
            let in_flight = session.begin(&call.id);
            let exchange = relay::exchange(
                Arc::clone(&visit.gate),
                Arc::clone(&visit.snapshot),
                Arc::clone(&visit.endpoint),
                call,
            );
            tokio::select! {
                outcome = async { exchange.await.outcome().await } => Some(outcome),
                () = in_flight.token.cancelled() => None,
            }
        }
        Message::Notification(notification) => {
            notified(session, &notification).await;
            None
        }
        Message::Response(response) => {
            session.answer(response.id.as_ref(), response.outcome);
            None
        }
    }
}
