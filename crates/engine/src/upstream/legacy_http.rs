//! A session over Streamable HTTP of 2025-03-26 … 2025-11-25 (transports, §Streamable HTTP).

mod stream;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method as Verb, Response, StatusCode};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use wire::capability::ClientAbilities;
use wire::method::name;
use wire::shape::question;
use wire::{Era, Id, Json, Message, Method, Notification, Outcome, Request, Version, message};

pub(super) use stream::SessionStream;

use super::ear::{self, Ears, First, Hears};
use super::error::ServerError;
use super::events::{Events, decode};
use super::hello::Hello;
use super::modern_http::{ContentType, content_type, of_status};
use super::reply::ReplyStream;
use super::unbound::{Unbound, answer_of, answered};
use super::{HttpTarget, Owner};
use crate::call::{Body as ReplyBody, Call, Event, Question, Reply};
use crate::headers;
use crate::http::Body;

/// What the gate says when it opens a session.
#[derive(Clone, Debug)]
pub(crate) struct Introduction {
    /// The version to ask for.
    pub(crate) version: Version,
    /// The `ClientCapabilities` to declare.
    pub(crate) capabilities: Json,
    /// Who the gate says it is: the client's name where the session is the client's own.
    pub(crate) info: Json,
}

impl Introduction {
    /// The parameters of `initialize`.
    pub(crate) fn params(&self) -> String {
        format!(
            "{{\"protocolVersion\":\"{}\",\"capabilities\":{},\"clientInfo\":{}}}",
            self.version,
            self.capabilities.as_str(),
            self.info.as_str()
        )
    }

    /// Reads the answer to `initialize`.
    pub(crate) fn hello(outcome: Outcome) -> Result<Hello, ServerError> {
        let result = outcome.map_err(|error| {
            ServerError::Protocol(format!("initialize failed: {} ({})", error.message, error.code))
        })?;
        let named = result.text("protocolVersion").unwrap_or_default();
        let version = Version::parse(&named).filter(|version| version.era() == Era::Legacy);
        let Some(version) = version else {
            return Err(ServerError::Protocol(format!(
                "initialize was answered with protocol version {named:?}, which the gate does not speak"
            )));
        };
        Ok(Hello::new(version, result))
    }
}

/// A session with a legacy server.
pub struct HttpSession {
    target: HttpTarget,
    hello: OnceLock<Arc<Hello>>,
    /// The headers of every request, made once the session is known.
    head: OnceLock<HeaderMap>,
    unbound: Unbound,
    next_id: AtomicU64,
    /// The calls that hear what is said beside their streams.
    ears: Arc<Ears>,
    over: CancellationToken,
    /// Cancelled when an answer to what was asked beside a call could not be given: which call asked is
    /// not known for certain.
    deaf: CancellationToken,
}

/// How long a server is given to open the standalone stream before the first call is made.
const LISTENING_WAIT: Duration = Duration::from_millis(250);
/// How long to wait before resuming where the server does not say.
const RESUME_AFTER: Duration = Duration::from_secs(1);
/// Longest wait before resuming, whatever the server says.
const RESUME_AFTER_MAX: Duration = Duration::from_secs(30);

impl HttpSession {
    /// Opens a session: `initialize`, then `notifications/initialized`, then the standalone stream.
    pub(crate) async fn open(
        target: HttpTarget,
        introduction: &Introduction,
        unbound: Unbound,
    ) -> Result<Arc<Self>, ServerError> {
        let session = Arc::new(Self {
            target,
            hello: OnceLock::new(),
            head: OnceLock::new(),
            unbound,
            next_id: AtomicU64::new(1),
            ears: Arc::default(),
            over: CancellationToken::new(),
            deaf: CancellationToken::new(),
        });
        let id = Id::from(0);
        let text = message::encode_request(&id, name::INITIALIZE, introduction.params().as_bytes());
        let response = session.post(text.into()).await?;
        let session_id = response.headers().get(headers::SESSION_ID).cloned();
        if response.status() == StatusCode::NOT_FOUND {
            return Err(of_status(response.status()));
        }
        let (mut event, mut stream) = session.read(response, id).await?;
        let outcome = loop {
            match (event, &mut stream) {
                (Event::Done(outcome), _) => break outcome,
                (_, Some(stream)) => event = stream.next().await?,
                (_, None) => return Err(ServerError::Protocol("no answer to initialize".into())),
            }
        };
        drop(stream);
        session.begin(Introduction::hello(outcome)?, session_id)?;
        session.notify(name::INITIALIZED, None).await?;
        let (opened, listening) = oneshot::channel();
        tokio::spawn(listen(Arc::clone(&session), opened));
        // Servers do not keep what they say before anybody listens. One that leaves the request
        // unanswered until it has something to say is not waited for.
        let _ = tokio::time::timeout(LISTENING_WAIT, listening).await;
        Ok(session)
    }

    fn begin(&self, hello: Hello, session_id: Option<HeaderValue>) -> Result<(), ServerError> {
        let mut head = self.first_head();
        if let Some(id) = session_id {
            head.insert(headers::SESSION_ID, id);
        }
        if hello.version >= Version::V2025_06_18 {
            head.insert(
                headers::PROTOCOL_VERSION,
                HeaderValue::from_static(hello.version.as_str()),
            );
        }
        let unset = self.head.set(head).is_ok() && self.hello.set(Arc::new(hello)).is_ok();
        if unset {
            Ok(())
        } else {
            Err(ServerError::Protocol("initialize was answered twice".into()))
        }
    }

    fn first_head(&self) -> HeaderMap {
        let mut head = self.target.headers.clone();
        head.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        head.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        head
    }

    pub(super) fn hello(&self) -> &Arc<Hello> {
        self.hello.get().expect("an open session has been greeted")
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.is_cancelled()
    }

    pub(super) async fn ended(&self) {
        self.over.cancelled().await;
    }

    async fn post(&self, text: Bytes) -> Result<Response<Body>, ServerError> {
        let mut request = http::Request::new(text);
        *request.method_mut() = Verb::POST;
        *request.uri_mut() = self.target.uri.clone();
        *request.headers_mut() = self.head.get().cloned().unwrap_or_else(|| self.first_head());
        Ok(self.target.client.send(request).await?)
    }

    /// A GET for an event stream, from after `last_event_id` on.
    async fn get(&self, last_event_id: Option<&str>) -> Result<Response<Body>, ServerError> {
        let mut request = http::Request::new(Bytes::new());
        *request.uri_mut() = self.target.uri.clone();
        let headers = request.headers_mut();
        *headers = self.head.get().cloned().unwrap_or_default();
        headers.remove(CONTENT_TYPE);
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        if let Some(id) = last_event_id {
            let id = HeaderValue::from_str(id)
                .map_err(|_| ServerError::Protocol("an event id that fits no header".into()))?;
            headers.insert(headers::LAST_EVENT_ID, id);
        }
        Ok(self.target.client.send(request).await?)
    }

    pub(super) async fn call(self: &Arc<Self>, call: &Call) -> Result<Reply, ServerError> {
        let hears = Hears {
            questions: self.unbound.abilities != ClientAbilities::NONE
                && (call.method.may_ask() || call.method == Method::TasksResult),
            logs: call.caller.log_level.is_some(),
        };
        if matches!(self.unbound.owner, Owner::Client(_)) || !(hears.questions || hears.logs) {
            return self.call_unheard(call).await;
        }
        let open = self.ears.open(hears, call.awaited_task());
        let (session, call) = (Arc::clone(self), call.clone());
        let answering = Box::pin(async move { session.call_unheard(&call).await });
        Ok(match ear::first(open, answering).await? {
            First::Reply(reply) => reply,
            First::Aside(event, eared) => {
                let body = ReplyBody::Stream(ReplyStream::eared(Some(event), *eared));
                Reply { hello: Arc::clone(self.hello()), streamed: true, body }
            }
        })
    }

    /// Makes a call that hears only what is on its own stream.
    async fn call_unheard(self: &Arc<Self>, call: &Call) -> Result<Reply, ServerError> {
        let number = self.next_id.fetch_add(1, Ordering::Relaxed);
        let id = Id::from(number);
        let (text, token) = legacy_request(call, &id, number, &self.unbound.owner);
        let mut guard = CancelOnDrop { session: Arc::clone(self), id: id.clone(), armed: true };
        let response = self.post(text.into()).await;
        let read = match response {
            Ok(response) => self.read(response, id).await,
            Err(error) => Err(error),
        };
        match read {
            Err(error) => {
                guard.armed = !error.never_arrived();
                if matches!(error, ServerError::SessionGone) {
                    self.over.cancel();
                }
                Err(error)
            }
            Ok((Event::Done(outcome), rest)) => {
                guard.armed = false;
                let (hello, streamed) = (Arc::clone(self.hello()), rest.is_some());
                if let Some(stream) = rest {
                    stream.events.finish();
                }
                Ok(Reply { hello, streamed, body: ReplyBody::Done(outcome) })
            }
            Ok((first, Some(mut stream))) => {
                stream.token = token;
                stream.guard = Some(guard);
                let first = stream.restore(first);
                let stream = ReplyStream::session(first, stream);
                let hello = Arc::clone(self.hello());
                Ok(Reply { hello, streamed: true, body: ReplyBody::Stream(stream) })
            }
            Ok((_, None)) => Err(ServerError::Protocol("no answer".into())),
        }
    }

    /// Reads the first message of an answer to request `id`.
    async fn read(
        self: &Arc<Self>,
        response: Response<Body>,
        id: Id,
    ) -> Result<(Event, Option<SessionStream>), ServerError> {
        let (head, body) = response.into_parts();
        if head.status == StatusCode::NOT_FOUND && self.head.get().is_some() {
            return Err(ServerError::SessionGone);
        }
        match content_type(&head.headers) {
            ContentType::Json => {
                let text = body.collect_limited(self.target.bounds.message.bytes).await?;
                match decode(&text, &self.target.bounds) {
                    Ok(Message::Response(response))
                        if response.id.as_ref() == Some(&id) || !head.status.is_success() =>
                    {
                        Ok((Event::Done(response.outcome), None))
                    }
                    Err(error) if head.status.is_success() => Err(error),
                    Ok(_) if head.status.is_success() => {
                        Err(ServerError::Protocol("the answer has another id".into()))
                    }
                    _ => Err(of_status(head.status)),
                }
            }
            ContentType::EventStream if head.status.is_success() => {
                let mut stream = SessionStream {
                    events: Events::new(body, self.target.bounds),
                    session: Arc::clone(self),
                    id,
                    resumes: 0,
                    paused: None,
                    last_event_id: None,
                    token: None,
                    deaf: self.deaf.child_token(),
                    guard: None,
                };
                let first = stream.next().await?;
                Ok((first, Some(stream)))
            }
            _ => Err(of_status(head.status)),
        }
    }

    pub(super) async fn notify(
        &self,
        method: &str,
        params: Option<&Json>,
    ) -> Result<(), ServerError> {
        let text = message::encode_notification(method, params.map(Json::as_bytes));
        self.deliver(text).await
    }

    /// Posts a message that has no answer.
    async fn deliver(&self, text: Vec<u8>) -> Result<(), ServerError> {
        let response = self.post(text.into()).await?;
        let status = response.status();
        // An empty body lets the connection be used again.
        let _ = response.into_body().collect_limited(self.target.bounds.message.bytes).await;
        match status {
            status if status.is_success() => Ok(()),
            StatusCode::NOT_FOUND => Err(ServerError::SessionGone),
            status => Err(of_status(status)),
        }
    }

    /// Answers a request of the server once somebody has. `asker` is cancelled if the answer cannot be
    /// taken any more: what asked waits in vain.
    fn answer_later(
        self: &Arc<Self>,
        id: Id,
        method: String,
        receiver: oneshot::Receiver<Outcome>,
        asker: CancellationToken,
    ) {
        let session = Arc::clone(self);
        tokio::spawn(async move {
            let outcome = tokio::select! {
                outcome = answer_of(&method, receiver) => outcome,
                // Nobody takes the answer any more.
                () = session.over.cancelled() => return asker.cancel(),
            };
            // Boxed, because answers are waited for much longer than delivered.
            let delivered = Box::pin(session.deliver(message::encode_outcome(&id, &outcome)));
            if let Err(error) = delivered.await {
                let server = &session.unbound.server;
                tracing::warn!(%server, method, error = error.chain(), "an answer could not be delivered");
                if matches!(error, ServerError::SessionGone) {
                    session.over.cancel();
                    asker.cancel();
                }
            }
        });
    }

    /// Takes a notification that came on the standalone stream.
    fn said_aside(&self, notification: &Notification) {
        if &*notification.method == name::LOG_MESSAGE {
            self.ears.logged_aside();
            let offered =
                self.ears.offer(|hears| hears.logs, Event::Notification(notification.clone()));
            if offered {
                return;
            }
        }
        self.unbound.notification(notification);
    }

    /// Takes a question that came on the standalone stream: the only call's that can be meant, else
    /// the owner's.
    fn asked_aside(self: &Arc<Self>, request: Request) {
        let Request { id, method, params, .. } = request;
        let method_name = method.as_str().to_owned();
        if let Err(error) = self.unbound.screen(&method, &params) {
            return self.answer_later(id, method_name, answered(Err(error)), self.deaf.clone());
        }
        let shared = matches!(self.unbound.owner, Owner::Shared);
        let receiver = if shared && question::needs(&method, &params).is_some() {
            self.unbound.asks_aside.store(true, Ordering::Relaxed);
            let (answer, receiver) = oneshot::channel();
            let question = Event::Question(Question { method, params, answer });
            // Dropped where no call can be meant: the server is told that nobody answers.
            let _ = self.ears.offer(|hears| hears.questions, question);
            receiver
        } else {
            self.unbound.question(method, params)
        };
        self.answer_later(id, method_name, receiver, self.deaf.clone());
    }

    pub(super) async fn close(&self) {
        if self.over.is_cancelled() {
            return;
        }
        self.over.cancel();
        let Some(head) = self.head.get() else { return };
        if !head.contains_key(headers::SESSION_ID) {
            return;
        }
        let mut request = http::Request::new(Bytes::new());
        *request.method_mut() = Verb::DELETE;
        *request.uri_mut() = self.target.uri.clone();
        *request.headers_mut() = head.clone();
        // The server may not support it (405), or be gone: either way the session is over here.
        let _ =
            tokio::time::timeout(Duration::from_secs(5), self.target.client.send(request)).await;
    }
}

/// Writes the request for a shared or single-owner legacy conversation. Where several clients share
/// it, the progress token is replaced by the request's number, and the original is returned.
pub(super) fn legacy_request(
    call: &Call,
    id: &Id,
    number: u64,
    owner: &Owner,
) -> (Vec<u8>, Option<Json>) {
    let original = call.meta.get(wire::meta::PROGRESS_TOKEN);
    let shared = matches!(owner, Owner::Shared);
    let fresh = (shared && original.is_some()).then(|| Id::from(number).to_json());
    let params = match (call.caller.era(), &fresh) {
        (Era::Legacy, None) => {
            return (message::encode_params_request(id, &call.method_name, &call.params), None);
        }
        (Era::Legacy, Some(token)) => {
            let edit = wire::json::Edit::set(wire::meta::PROGRESS_TOKEN, token.as_bytes());
            let meta = call.meta.to_json(&[edit]);
            call.params.to_json(&[wire::json::Edit::set("_meta", meta.as_bytes())])
        }
        (Era::Modern, token) => {
            wire::shape::params_to_legacy(&call.params, &call.meta, token.as_ref(), call.as_task)
        }
    };
    let text = message::encode_request(id, &call.method_name, params.as_bytes());
    (text, fresh.and(original))
}

/// The standalone stream: what belongs to no call.
async fn listen(session: Arc<HttpSession>, opened: oneshot::Sender<()>) {
    let mut opened = Some(opened);
    let mut last_event_id: Option<String> = None;
    let mut wait = RESUME_AFTER;
    let mut heard = false;
    loop {
        let stream = tokio::select! {
            response = session.get(last_event_id.as_deref()) => response,
            () = session.over.cancelled() => return,
        };
        drop(opened.take());
        match stream {
            Ok(response)
                if response.status().is_success()
                    && content_type(response.headers()) == ContentType::EventStream =>
            {
                let mut events = Events::new(response.into_body(), session.target.bounds);
                tokio::select! {
                    () = relay(&session, &mut events) => {}
                    () = session.over.cancelled() => return,
                }
                heard = true;
                last_event_id = events.last_event_id().map(str::to_owned).or(last_event_id);
                wait = events.retry().unwrap_or(RESUME_AFTER);
            }
            // There was a stream and now there is no session: the server forgot it.
            Ok(response) if heard && response.status() == StatusCode::NOT_FOUND => {
                return session.over.cancel();
            }
            // 405 and its kin: the server offers no such stream.
            Ok(response) if response.status().is_client_error() => return,
            Ok(_) | Err(_) => wait = (wait * 2).min(RESUME_AFTER_MAX),
        }
        tokio::select! {
            () = tokio::time::sleep(wait.min(RESUME_AFTER_MAX)) => {}
            () = session.over.cancelled() => return,
        }
    }
}

async fn relay(session: &Arc<HttpSession>, events: &mut Events) {
    loop {
        match events.next_message().await {
            Ok(Some(Message::Notification(notification))) => {
                session.said_aside(&notification);
            }
            Ok(Some(Message::Request(request))) => session.asked_aside(request),
            Ok(Some(Message::Response(_))) => {}
            Ok(None) => return,
            Err(error) => {
                let server = &session.unbound.server;
                tracing::debug!(%server, error = error.chain(), "the standalone stream broke");
                return;
            }
        }
    }
}

/// A progress notification with the client's own token.
pub(super) fn with_token(mut notification: Notification, token: &Json) -> Notification {
    if &*notification.method == name::PROGRESS {
        let edit = wire::json::Edit::set(wire::meta::PROGRESS_TOKEN, token.as_bytes());
        notification.params = notification.params.with(&[edit]);
    }
    notification
}

/// Tells the server when a call is given up.
struct CancelOnDrop {
    session: Arc<HttpSession>,
    id: Id,
    armed: bool,
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if !self.armed || self.session.is_over() {
            return;
        }
        let (session, id) = (Arc::clone(&self.session), self.id.clone());
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            let _ = session.notify(name::CANCELLED, Some(&cancelled(&id))).await;
        });
    }
}

/// The parameters of `notifications/cancelled`.
pub(super) fn cancelled(id: &Id) -> Json {
    let id = String::from_utf8_lossy(id.as_bytes()).into_owned();
    Json::trusted(format!("{{\"requestId\":{id},\"reason\":\"no longer needed\"}}"))
}
