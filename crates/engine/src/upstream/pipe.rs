//! One pair of streams that all calls share: stdio of any version, and HTTP+SSE of 2024-11-05.
//!
//! Requests get fresh ids and, where they carry one, a fresh progress token, so that any number of
//! clients can share the pipe. Transports push what they read into [`Pipe::receive`] and take what is
//! to be written from the queue.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use wire::json::Edit;
use wire::message::{Notification, Request, Response};
use wire::method::name;
use wire::shape::task;
use wire::{Era, Id, Json, Message, Method, Object, Outcome, message, meta, shape};

use super::Bounds;
use super::error::ServerError;
use super::events::decode;
use super::hello::Hello;
use super::legacy_http::{cancelled, legacy_request, with_token};
use super::reply::ReplyStream;
use super::unbound::{Owner, Unbound, answer_of, answered};
use crate::call::{Body, Call, Event, Question, Reply};

/// A conversation over one pair of streams.
pub struct Pipe {
    hello: OnceLock<Arc<Hello>>,
    /// What is to be written, one message each.
    out: mpsc::Sender<Bytes>,
    /// Requests whose answer is outstanding, by the number that is their id here.
    pending: Mutex<HashMap<u64, Pending>>,
    next_id: AtomicU64,
    unbound: Unbound,
    bounds: Bounds,
    /// Cancelled when either side has ended.
    over: CancellationToken,
    /// Why, for the calls that were waiting.
    ending: OnceLock<String>,
}

struct Pending {
    events: mpsc::Sender<Event>,
    /// The client's own progress token.
    token: Option<Json>,
    /// The client's id, which its subscriptions are named by.
    client_id: Id,
    /// Whether its client can be asked something in the middle of it.
    may_be_asked: bool,
    /// Whether it is asked already, or is a task that says so when it asks: others are meant first.
    is_aside: bool,
    /// The task whose result it waits for.
    task: Option<String>,
    /// Whether its client wants log messages.
    logs: bool,
}

/// Messages of one call that may wait for a slow client before the call is cut.
const EVENTS_QUEUED: usize = 256;
/// Messages that may wait to be written.
pub(super) const WRITES_QUEUED: usize = 64;

impl Pipe {
    /// A pipe whose transport writes what `out` receives.
    pub(super) fn new(out: mpsc::Sender<Bytes>, unbound: Unbound, bounds: Bounds) -> Arc<Self> {
        Arc::new(Self {
            hello: OnceLock::new(),
            out,
            pending: Mutex::default(),
            next_id: AtomicU64::new(1),
            unbound,
            bounds,
            over: CancellationToken::new(),
            ending: OnceLock::new(),
        })
    }

    pub(super) fn hello(&self) -> &Arc<Hello> {
        self.hello.get().expect("a pipe in use has been greeted")
    }

    pub(crate) fn greeted(&self, hello: Hello) {
        let _ = self.hello.set(Arc::new(hello));
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.is_cancelled()
    }

    /// Cancelled when the pipe has ended; the transport stops then.
    pub(super) fn over(&self) -> &CancellationToken {
        &self.over
    }

    pub(crate) fn close(&self) {
        self.end("the gate closed it");
    }

    /// Ends the pipe: every waiting call learns why.
    pub(super) fn end(&self, why: &str) {
        let _ = self.ending.set(why.to_owned());
        self.over.cancel();
        self.pending.lock().expect("no panic while holding the table").clear();
    }

    fn ended(&self) -> ServerError {
        ServerError::Closed(self.ending.get().cloned().unwrap_or_else(|| "it ended".into()))
    }

    async fn write(&self, text: Vec<u8>) -> Result<(), ServerError> {
        tokio::select! {
            sent = self.out.send(text.into()) => sent.map_err(|_| self.ended()),
            () = self.over.cancelled() => Err(self.ended()),
        }
    }

    /// Takes the answer to request `number`, and what comes before it, from now on.
    fn register(
        &self,
        number: u64,
        pending: impl FnOnce(mpsc::Sender<Event>) -> Pending,
    ) -> mpsc::Receiver<Event> {
        let (events, receiver) = mpsc::channel(EVENTS_QUEUED);
        let pending = pending(events);
        self.pending.lock().expect("no panic while holding the table").insert(number, pending);
        receiver
    }

    /// Sends a request of the gate itself and waits for its answer, however long it takes.
    pub(crate) async fn ask(&self, method: &str, params: &[u8]) -> Result<Outcome, ServerError> {
        let number = self.next_id.fetch_add(1, Ordering::Relaxed);
        let id = Id::from(number);
        let mut receiver = self.register(number, |events| Pending {
            events,
            token: None,
            client_id: id.clone(),
            may_be_asked: false,
            is_aside: false,
            task: None,
            logs: false,
        });
        self.write(message::encode_request(&id, method, params)).await?;
        loop {
            match receiver.recv().await {
                Some(Event::Done(outcome)) => return Ok(outcome),
                Some(_) => {}
                None => return Err(self.ended()),
            }
        }
    }

    pub(super) async fn call(self: &Arc<Self>, call: &Call) -> Result<Reply, ServerError> {
        let number = self.next_id.fetch_add(1, Ordering::Relaxed);
        let id = Id::from(number);
        let (text, token) = self.request(call, &id, number);
        let receiver = self.register(number, |events| Pending {
            events,
            token,
            client_id: call.id.clone(),
            may_be_asked: call.method.may_ask() || call.method == Method::TasksResult,
            is_aside: call.as_task || call.method == Method::TasksResult,
            task: call.awaited_task(),
            logs: call.caller.log_level.is_some() || call.caller.era() == Era::Legacy,
        });
        let guard = CancelOnDrop { pipe: Arc::clone(self), number };
        let mut stream = PipeStream { receiver, guard };
        if self.is_over() {
            // Not a byte was written: another conversation may take it.
            return Err(ServerError::SessionGone);
        }
        self.write(text).await?;
        let body = match stream.next().await? {
            Event::Done(outcome) => Body::Done(outcome),
            first => Body::Stream(ReplyStream::pipe(first, stream)),
        };
        let streamed = matches!(body, Body::Stream(_));
        Ok(Reply { hello: Arc::clone(self.hello()), streamed, body })
    }

    fn request(&self, call: &Call, id: &Id, number: u64) -> (Vec<u8>, Option<Json>) {
        if self.hello().version.era() == Era::Legacy {
            return legacy_request(call, id, number, &Owner::Shared);
        }
        let token = call.meta.get(meta::PROGRESS_TOKEN);
        let fresh = id.to_json();
        let token_edit = Edit::set(meta::PROGRESS_TOKEN, fresh.as_bytes());
        let edits = if token.is_some() { &[token_edit][..] } else { &[] };
        let meta = call.meta.with(edits);
        let params = if call.caller.era() == Era::Modern {
            let meta = meta.to_json(&[]);
            call.params.to_json(&[Edit::set("_meta", meta.as_bytes())])
        } else {
            shape::params_to_modern(
                &call.params,
                &meta,
                shape::PerRequest {
                    capabilities: call.caller.capabilities.as_bytes(),
                    info: call.caller.info.as_ref().map(Json::as_bytes),
                    log_level: call.caller.log_level.as_ref().map(Json::as_bytes),
                },
            )
        };
        (message::encode_request(id, &call.method_name, params.as_bytes()), token)
    }

    pub(super) async fn notify(
        &self,
        method: &str,
        params: Option<&Json>,
    ) -> Result<(), ServerError> {
        self.write(message::encode_notification(method, params.map(Json::as_bytes))).await
    }

    /// Takes one message that the transport read. Text that is no message is logged and skipped:
    /// many servers print on their standard output before they speak MCP.
    pub(super) fn receive(self: &Arc<Self>, text: &Bytes) {
        match decode(text, &self.bounds) {
            Ok(Message::Response(response)) => self.answered(response),
            Ok(Message::Notification(notification)) => self.notified(notification),
            Ok(Message::Request(request)) => self.asked(request),
            Err(error) => {
                let server = &self.unbound.server;
                tracing::warn!(%server, error = error.chain(), "skipped a line that is no message");
            }
        }
    }

    fn answered(&self, response: Response) {
        let Some(number) = response.id.as_ref().and_then(Id::as_u64) else {
            if let Err(error) = response.outcome {
                tracing::warn!(server = %self.unbound.server, error = error.message, "server error");
            }
            return;
        };
        let mut table = self.pending.lock().expect("no panic while holding the table");
        // An answer to a call that was given up, or the second one to the same call.
        let Some(pending) = table.remove(&number) else { return };
        drop(table);
        let outcome = response.outcome.map(|result| pending.own_subscription(number, result));
        let _ = pending.events.try_send(Event::Done(outcome));
    }

    fn notified(&self, notification: Notification) {
        let Some(notification) = self.bind(notification) else { return };
        self.unbound.notification(&notification);
    }

    /// Hands a notification to the call it belongs to; returns it if it belongs to none.
    fn bind(&self, notification: Notification) -> Option<Notification> {
        let mut table = self.pending.lock().expect("no panic while holding the table");
        let number = |json: Option<Json>| json.and_then(|json| json.as_u64());
        let subscription = number(notification.meta.get(meta::SUBSCRIPTION_ID));
        let progress = (&*notification.method == name::PROGRESS)
            .then(|| number(notification.params.get(meta::PROGRESS_TOKEN)))
            .flatten();
        let sole = (&*notification.method == name::LOG_MESSAGE)
            .then(|| sole(&table, |pending| pending.logs))
            .flatten();
        let number = subscription.or(progress).or(sole);
        let Some((number, pending)) =
            number.and_then(|number| table.get(&number).map(|pending| (number, pending)))
        else {
            // Progress of a call that is over says nothing to anybody.
            return (progress.is_none() && subscription.is_none()).then_some(notification);
        };
        let mut notification = notification;
        if let Some(token) = &pending.token {
            notification = with_token(notification, token);
        }
        if subscription.is_some() {
            notification.params = pending.own_subscription(number, notification.params);
        }
        if pending.events.try_send(Event::Notification(notification)).is_err() {
            // The client reads slower than the server writes: cut this call, not the others.
            table.remove(&number);
        }
        None
    }

    fn asked(self: &Arc<Self>, request: Request) {
        let Request { id, method, params, .. } = request;
        let method_name = method.as_str().to_owned();
        let receiver = match self.unbound.screen(&method, &params) {
            Ok(()) => self.ask_client(method, params),
            Err(error) => answered(Err(error)),
        };
        let pipe = Arc::clone(self);
        tokio::spawn(async move {
            let outcome = tokio::select! {
                outcome = answer_of(&method_name, receiver) => outcome,
                () = pipe.over.cancelled() => return,
            };
            let _ = pipe.write(message::encode_outcome(&id, &outcome)).await;
        });
    }

    /// A question on a pipe names no call: it is the only call's in flight that can be meant, else the
    /// owner's.
    fn ask_client(&self, method: message::Text, params: Object) -> oneshot::Receiver<Outcome> {
        let table = self.pending.lock().expect("no panic while holding the table");
        let of_task = task::related(&params).and_then(|id| {
            let meant = table.iter().find(|(_, pending)| pending.task.as_ref() == Some(&id));
            meant.map(|(number, _)| *number)
        });
        let meant = of_task
            .or_else(|| sole(&table, |pending| pending.may_be_asked && !pending.is_aside))
            .or_else(|| sole(&table, |pending| pending.may_be_asked));
        if &*method != name::PING
            && let Some(pending) = meant.and_then(|number| table.get(&number))
        {
            let (answer, receiver) = oneshot::channel();
            let _ = pending.events.try_send(Event::Question(Question { method, params, answer }));
            return receiver;
        }
        drop(table);
        self.unbound.question(method, params)
    }
}

/// The only request of its kind, if there is exactly one.
fn sole(table: &HashMap<u64, Pending>, kind: fn(&Pending) -> bool) -> Option<u64> {
    let mut fit = table.iter().filter(|(_, pending)| kind(pending));
    match (fit.next(), fit.next()) {
        (Some((number, _)), None) => Some(*number),
        _ => None,
    }
}

impl Pending {
    /// Names a subscription by the client's id instead of the one on the pipe.
    fn own_subscription(&self, number: u64, params: Object) -> Object {
        let Some(inner) = params.object("_meta") else { return params };
        if inner.get(meta::SUBSCRIPTION_ID).and_then(|id| id.as_u64()) != Some(number) {
            return params;
        }
        let inner = inner.to_json(&[Edit::set(meta::SUBSCRIPTION_ID, self.client_id.as_bytes())]);
        params.with(&[Edit::set("_meta", inner.as_bytes())])
    }
}

/// The stream of one call on a pipe.
pub(super) struct PipeStream {
    receiver: mpsc::Receiver<Event>,
    guard: CancelOnDrop,
}

impl std::fmt::Debug for PipeStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PipeStream").field("number", &self.guard.number).finish_non_exhaustive()
    }
}

impl PipeStream {
    /// The call waits for its client, or no longer does.
    pub(super) fn waits_for_client(&mut self, waits: bool) {
        let pipe = &self.guard.pipe;
        let mut table = pipe.pending.lock().expect("no panic while holding the table");
        if let Some(pending) = table.get_mut(&self.guard.number) {
            pending.is_aside = waits || pending.task.is_some();
        }
    }

    /// Progress is told under this token from now on, if the request carried one.
    pub(super) fn set_token(&mut self, token: Option<Json>) {
        let pipe = &self.guard.pipe;
        let mut table = pipe.pending.lock().expect("no panic while holding the table");
        if let Some(pending) = table.get_mut(&self.guard.number)
            && pending.token.is_some()
            && token.is_some()
        {
            pending.token = token;
        }
    }

    pub(super) async fn next(&mut self) -> Result<Event, ServerError> {
        match self.receiver.recv().await {
            Some(event) => Ok(event),
            None if self.guard.pipe.is_over() => Err(self.guard.pipe.ended()),
            None => Err(ServerError::Busy("the client reads too slowly; the call was cut".into())),
        }
    }
}

/// Tells the server when a call is given up.
struct CancelOnDrop {
    pipe: Arc<Pipe>,
    number: u64,
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        let mut table = self.pipe.pending.lock().expect("no panic while holding the table");
        let unanswered = table.remove(&self.number).is_some();
        drop(table);
        if !unanswered || self.pipe.is_over() {
            return;
        }
        let id = Id::from(self.number);
        let text = message::encode_notification(name::CANCELLED, Some(cancelled(&id).as_bytes()));
        // Where even the queue to the server is full, the server does not read; it will not miss this.
        let _ = self.pipe.out.try_send(text.into());
    }
}
