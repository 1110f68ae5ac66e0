//! A modern client and the tasks of a 2025-11-25 server.
//!
//! A client that declares the tasks extension gets the server's task as one of the extension; whoever
//! does not is answered when the task is done. A task asks on the stream of `tasks/result`: that call
//! is parked in the lot, under a name that the task's id gives, and `tasks/get` shows what it asked.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep_until, timeout};
use wire::json::Edit;
use wire::method::name;
use wire::shape::task;
use wire::{Era, Id, Json, Method, Notification, Object, Outcome, RpcError, Version, code, meta};

use super::lot::Name;
use super::park::{self, Parked};
use super::{Callee, Scene};
use crate::call::{Body, Call, Event, Reply};
use crate::fault::{Fault, Reason};
use crate::fleet::Server;
use crate::upstream::{Hello, ReplyStream, ServerError, TaskSupport};

/// How long a task that says it needs input is given to say which.
const ASK_WAIT: Duration = Duration::from_secs(1);
/// How often a task is asked for where its server does not say, and bounds of what it says.
const POLL: Duration = Duration::from_secs(1);
const POLL_MIN: Duration = Duration::from_millis(100);
const POLL_MAX: Duration = Duration::from_secs(30);

/// How the tasks of a server concern a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Not at all.
    Plain,
    /// The tool is called as a task; whether the client knows tasks.
    AsTask { declared: bool },
    /// The call is about a task.
    OfTask,
}

/// How the tasks of `server` concern `call`.
pub(crate) fn way(server: &Arc<Server>, call: &Call, is_composed: bool) -> Way {
    if !server.has_legacy_tasks() {
        return Way::Plain;
    }
    if call.caller.era() == Era::Legacy {
        // On its server's own endpoint the client deals with tasks itself.
        let required = is_composed
            && call.method == Method::ToolsCall
            && call.caller.version == Version::V2025_11_25
            && call
                .params
                .text("name")
                .is_some_and(|name| server.tools().task(&name) == TaskSupport::Required);
        return if required { Way::AsTask { declared: false } } else { Way::Plain };
    }
    server.renew_tools();
    match call.method {
        Method::TasksGet | Method::TasksUpdate | Method::TasksCancel => Way::OfTask,
        Method::ToolsCall => {
            let support = call.params.text("name").map(|name| server.tools().task(&name));
            let declared = call.caller.knows_tasks();
            match support.unwrap_or_default() {
                TaskSupport::Required => Way::AsTask { declared },
                TaskSupport::Optional if declared => Way::AsTask { declared },
                TaskSupport::Optional | TaskSupport::Forbidden => Way::Plain,
            }
        }
        _ => Way::Plain,
    }
}

/// Tells a modern server that the gate knows tasks, for a client of an era that does not: the gate
/// follows the task to its end.
pub(crate) fn declare(server: &Server, call: &mut Call) {
    if call.caller.era() == Era::Legacy
        && call.method == Method::ToolsCall
        && server.has_modern_tasks()
        && let Some(capabilities) = call.caller.capabilities.object()
    {
        call.caller.capabilities = task::declaring(&capabilities);
    }
}

/// Calls a tool as a task.
pub(crate) async fn begin(scene: Scene, call: &Call, declared: bool) -> Result<Reply, Fault> {
    let mut as_task = Box::new(call.clone());
    as_task.as_task = true;
    let callee = &scene.callee;
    let called = timeout(callee.timeout(), callee.call(&as_task)).await;
    let called = called.unwrap_or(Err(ServerError::Timeout));
    let reply = called.map_err(|error| error.to_fault(callee.name()))?;
    let created = Created { scene: scene.clone(), call: Box::new(call.clone()), declared };
    park::bridge_created(scene, call, reply, created)
}

/// What is made of a task once a server has created it.
pub(super) struct Created {
    scene: Scene,
    call: Box<Call>,
    /// Whether the client knows tasks.
    declared: bool,
}

impl std::fmt::Debug for Created {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Created").field("declared", &self.declared).finish_non_exhaustive()
    }
}

impl Created {
    /// The server's answer as the client takes it: the task itself, or what will come of it.
    pub(super) fn body(self, outcome: Outcome) -> Body {
        let created = outcome.as_ref().ok().and_then(|result| result.object("task"));
        let Some(created) = created else { return Body::Done(outcome) };
        if self.declared {
            let flat = task::to_extension(&created, &[Edit::set("resultType", b"\"task\"")]);
            return Body::Done(Ok(flat));
        }
        let Self { scene, call, .. } = self;
        let Some(id) = created.text("taskId").map(std::borrow::Cow::into_owned) else {
            let error = RpcError::new(code::INTERNAL_ERROR, "the server made a task without an id");
            return Body::Done(Err(error));
        };
        let state = State::Waiting { until: Instant::now() + interval(&created) };
        let following =
            Following { scene, call, id, told: None, steps: 0, heard_of: Instant::now(), state };
        Body::Stream(ReplyStream::following(following))
    }
}

/// Answers `tasks/get`, `tasks/update` and `tasks/cancel`.
pub(crate) async fn serve(scene: Scene, call: &Call) -> Result<Reply, Fault> {
    let id = call.params.text("taskId").map(std::borrow::Cow::into_owned);
    let id = id.ok_or_else(|| Fault::new(Reason::InvalidParams, "`taskId` must be a string"))?;
    let desk =
        Desk { name: name_of(scene.callee.name(), call.caller.principal.id(), &id), id, scene };
    let (hello, outcome) = match call.method {
        Method::TasksUpdate => desk.update(call).await?,
        Method::TasksCancel => desk.cancel(call).await?,
        _ => desk.get(call).await?,
    };
    Ok(Reply { hello, streamed: false, body: Body::Done(outcome) })
}

/// One task, as its client asks for it.
struct Desk {
    scene: Scene,
    id: String,
    name: Name,
}

pub(super) type Answered = (Arc<Hello>, Outcome);

impl Desk {
    async fn get(&self, call: &Call) -> Result<Answered, Fault> {
        let (hello, outcome) = self.ask(call, Method::TasksGet).await?;
        let Ok(found) = outcome else { return Ok((hello, outcome)) };
        match found.text("status").as_deref() {
            Some("input_required") => Ok((hello, Ok(self.asked(call, &found).await?))),
            Some("completed" | "failed") => {
                let mut taken = self.take().await;
                let outcome = match taken.parked.take().and_then(|mut parked| parked.ended()) {
                    Some(outcome) => outcome,
                    None => self.ask(call, Method::TasksResult).await?.1,
                };
                Ok((hello, Ok(finished(&found, &outcome))))
            }
            _ => Ok((hello, Ok(task::to_extension(&found, &[])))),
        }
    }

    /// A task that needs input, with what it asks.
    async fn asked(&self, call: &Call, found: &Object) -> Result<Object, Fault> {
        let mut taken = self.take().await;
        if taken.parked.is_none() {
            taken.parked = Some(self.open(call).await?);
        }
        let Some(parked) = &mut taken.parked else {
            return Ok(task::to_extension(found, &[]));
        };
        // Where it has asked nothing yet, it is about to.
        let _ = timeout(ASK_WAIT, parked.asks()).await;
        if let Some(outcome) = parked.ended() {
            taken.parked = None;
            return Ok(finished(found, &outcome));
        }
        let requests = parked.requests();
        Ok(if requests.as_bytes() == b"{}" {
            // Everything that it asked is answered: it has not come to say so.
            task::to_extension(found, &[Edit::set("status", b"\"working\"")])
        } else {
            task::to_extension(found, &[Edit::set("inputRequests", requests.as_bytes())])
        })
    }

    /// Takes answers to what the task asked. Those to anything else are ignored.
    async fn update(&self, call: &Call) -> Result<Answered, Fault> {
        let answers = park::answers_of(call)?;
        let (hello, outcome) = self.ask(call, Method::TasksGet).await?;
        if outcome.is_err() {
            return Ok((hello, outcome));
        }
        let mut taken = self.take().await;
        if let Some(parked) = &mut taken.parked {
            park::check(&parked.questions(), &answers)?;
            parked.answer(&answers, hello.version);
        }
        Ok((hello, Ok(Object::empty())))
    }

    async fn cancel(&self, call: &Call) -> Result<Answered, Fault> {
        let (hello, outcome) = self.ask(call, Method::TasksCancel).await?;
        if outcome.is_ok() {
            // What it asked is nobody's question any more.
            self.take().await.parked = None;
            return Ok((hello, Ok(Object::empty())));
        }
        // A task that is over cannot be cancelled in 2025-11-25; the extension takes it as done.
        let (hello, found) = self.ask(call, Method::TasksGet).await?;
        Ok((hello, if found.is_ok() { Ok(Object::empty()) } else { outcome }))
    }

    async fn ask(&self, call: &Call, method: Method) -> Result<Answered, Fault> {
        called(&self.scene, &about(call, method, &self.id)).await
    }

    /// Opens the stream on which the task asks.
    async fn open(&self, call: &Call) -> Result<Parked, Fault> {
        let bounds = &self.scene.bounds;
        if self.scene.lot.count() >= bounds.parked {
            return Err(park::full(bounds.parked));
        }
        let result = about(call, Method::TasksResult, &self.id);
        let (callee, server) = (&self.scene.callee, self.scene.callee.name());
        let reply = timeout(callee.timeout(), callee.call(&result)).await;
        let Reply { hello, body, .. } =
            reply.unwrap_or(Err(ServerError::Timeout)).map_err(|error| error.to_fault(server))?;
        Ok(Parked::of(body, hello))
    }

    /// Takes what is parked under the task's name; it goes back when the caller is done with it, or
    /// gives up. One caller at a time.
    async fn take(&self) -> Taken<'_> {
        let turn = self.scene.lot.turn_at(&self.name).await;
        let parked = self.scene.lot.take_named(&self.name).await;
        Taken { desk: self, parked, _turn: turn }
    }
}

/// A task's parked call, out of the lot for a moment.
struct Taken<'d> {
    desk: &'d Desk,
    parked: Option<Parked>,
    _turn: tokio::sync::OwnedMutexGuard<()>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let Some(parked) = self.parked.take() else { return };
        let scene = &self.desk.scene;
        let until = Instant::now() + scene.bounds.wait;
        // It had a place before, or has been promised one.
        let kept =
            scene.lot.park_as(self.desk.name, scene.callee.name(), parked, until, usize::MAX);
        if kept.is_err() {
            tracing::warn!(server = %scene.callee.name(), "what a task asked was given up");
        }
    }
}

/// A task in the end, with what came of it. A tool that failed has completed; only a call that could
/// not be carried out has failed.
fn finished(found: &Object, outcome: &Outcome) -> Object {
    let (status, member, value) = match outcome {
        Ok(result) => (&b"\"completed\""[..], "result", unrelated(result)),
        Err(error) => (&b"\"failed\""[..], "error", error.to_json()),
    };
    task::to_extension(found, &[Edit::set("status", status), Edit::set(member, value.as_bytes())])
}

/// A result without the note of 2025-11-25 that it is a task's.
fn unrelated(result: &Object) -> Json {
    let Some(own) = result.object("_meta").filter(|own| own.has(meta::RELATED_TASK)) else {
        return result.to_json(&[]);
    };
    let own = own.to_json(&[Edit::remove(meta::RELATED_TASK)]);
    result.to_json(&[if own.as_bytes() == b"{}" {
        Edit::remove("_meta")
    } else {
        Edit::set("_meta", own.as_bytes())
    }])
}

/// A call about the task, in the name of the client.
pub(super) fn about(call: &Call, method: Method, id: &str) -> Box<Call> {
    let mut about = Box::new(call.clone());
    about.id = Id::text(&format!("{}-task", call.correlation));
    about.method = method;
    about.method_name = method.name().expect("a method of this era").into();
    about.meta = call.meta.with(&[Edit::remove(meta::PROGRESS_TOKEN)]);
    let (id, meta) = (Json::string(id), about.meta.to_json(&[]));
    about.params = Object::empty()
        .with(&[Edit::set("taskId", id.as_bytes()), Edit::set("_meta", meta.as_bytes())]);
    about
}

/// Makes a call and waits for its answer; what comes before is of no interest.
pub(super) async fn called(scene: &Scene, call: &Call) -> Result<Answered, Fault> {
    let callee = &scene.callee;
    let calling = async {
        let Reply { hello, body, .. } = callee.call(call).await?;
        match body {
            Body::Done(outcome) => Ok((hello, outcome)),
            Body::Stream(mut stream) => loop {
                if let Event::Done(outcome) = stream.next().await? {
                    return Ok((hello, outcome));
                }
            },
        }
    };
    let called = timeout(callee.timeout(), calling).await;
    called.unwrap_or(Err(ServerError::Timeout)).map_err(|error| error.to_fault(callee.name()))
}

/// How long to leave a task alone, as its server wishes.
pub(super) fn interval(task: &Object) -> Duration {
    let wished = ["pollInterval", "pollIntervalMs"].iter().find_map(|key| task.get(key)?.as_u64());
    wished.map_or(POLL, Duration::from_millis).clamp(POLL_MIN, POLL_MAX)
}

/// The place of a task in the lot: the same for the same task of the same principal.
fn name_of(server: &str, principal: &str, id: &str) -> Name {
    let text = format!("{server}\u{1f}{principal}\u{1f}{id}");
    let hash = digest(&SHA256, text.as_bytes());
    hash.as_ref()[..16].try_into().expect("SHA-256 gives 32 bytes")
}

/// The reply of a call that the gate made as a task, for a client that does not know tasks.
pub(crate) struct Following {
    scene: Scene,
    call: Box<Call>,
    id: String,
    /// The status message that the client was told last.
    told: Option<String>,
    steps: u64,
    /// When the server last said something of it.
    heard_of: Instant,
    state: State,
}

enum State {
    Waiting {
        until: Instant,
    },
    /// The task is asked for how it does.
    Looking(BoxFuture<'static, Result<Outcome, Fault>>),
    /// The task's result is awaited; on its stream it asks.
    Opening(BoxFuture<'static, Result<Reply, ServerError>>),
    Reading(ReplyStream),
    Over,
}

impl std::fmt::Debug for Following {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Following").finish_non_exhaustive()
    }
}

impl Following {
    pub(crate) fn next(&mut self) -> BoxFuture<'_, Result<Event, ServerError>> {
        Box::pin(self.step())
    }

    async fn step(&mut self) -> Result<Event, ServerError> {
        loop {
            match &mut self.state {
                State::Waiting { until } => {
                    sleep_until(*until).await;
                    let (scene, about) =
                        (self.scene.clone(), about(&self.call, Method::TasksGet, &self.id));
                    self.state = State::Looking(Box::pin(async move {
                        called(&scene, &about).await.map(|(_hello, outcome)| outcome)
                    }));
                }
                State::Looking(looking) => {
                    match looking.await {
                        Ok(outcome) => {
                            self.heard_of = Instant::now();
                            if let Some(progress) = self.looked(outcome) {
                                return Ok(progress);
                            }
                        }
                        // A look that failed says nothing of the task, for a while.
                        Err(_) if self.heard_of.elapsed() < self.scene.callee.timeout() * 2 => {
                            self.state = State::Waiting { until: Instant::now() + POLL };
                        }
                        Err(fault) => return Err(ServerError::ended_by(fault)),
                    }
                }
                State::Opening(opening) => match opening.await?.body {
                    Body::Done(outcome) => return Ok(self.done(outcome)),
                    Body::Stream(stream) => self.state = State::Reading(stream),
                },
                State::Reading(stream) => match stream.next().await? {
                    Event::Done(outcome) => return Ok(self.done(outcome)),
                    event => return Ok(event),
                },
                State::Over => {
                    return Err(ServerError::Closed("the answer has come already".into()));
                }
            }
        }
    }

    fn done(&mut self, outcome: Outcome) -> Event {
        self.state = State::Over;
        Event::Done(outcome)
    }

    /// Takes what the task says of itself; returns what the client is told of it.
    fn looked(&mut self, outcome: Outcome) -> Option<Event> {
        let found = match outcome {
            Ok(found) => found,
            Err(error) => return Some(self.done(Err(error))),
        };
        if found.text("status").as_deref() == Some("working") {
            self.state = State::Waiting { until: Instant::now() + interval(&found) };
        } else {
            let (callee, about) =
                (Arc::clone(&self.scene.callee), about(&self.call, Method::TasksResult, &self.id));
            self.state = State::Opening(Box::pin(async move { callee.call(&about).await }));
        }
        progress(&self.call, &found, &mut self.told, &mut self.steps)
    }
}

impl Following {
    pub(crate) fn waits_for_client(&mut self, waits: bool) {
        if let State::Reading(stream) = &mut self.state {
            stream.waits_for_client(waits);
        }
    }

    /// Progress is told under this token from now on.
    pub(crate) fn set_token(&mut self, token: Option<&Json>) {
        let edit = match token {
            Some(token) => Edit::set(meta::PROGRESS_TOKEN, token.as_bytes()),
            None => Edit::remove(meta::PROGRESS_TOKEN),
        };
        self.call.meta = self.call.meta.with(&[edit]);
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        if !matches!(self.state, State::Over) {
            cancel(&self.scene.callee, about(&self.call, Method::TasksCancel, &self.id));
        }
    }
}

/// Gives a task up that nobody waits for any more.
pub(super) fn cancel(callee: &Arc<dyn Callee>, about: Box<Call>) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    let callee = Arc::clone(callee);
    runtime.spawn(async move {
        if let Ok(Err(error)) = timeout(callee.timeout(), callee.call(&about)).await {
            let server = callee.name();
            tracing::debug!(%server, error = error.chain(), "a task was not cancelled");
        }
    });
}

/// Progress out of a task's status message, for a client that wants to hear of any.
pub(super) fn progress(
    call: &Call,
    task: &Object,
    told: &mut Option<String>,
    steps: &mut u64,
) -> Option<Event> {
    let token = call.meta.get(meta::PROGRESS_TOKEN)?;
    let message = task.text("statusMessage")?.into_owned();
    if told.as_ref() == Some(&message) {
        return None;
    }
    *steps += 1;
    let (step, text) = (steps.to_string(), Json::string(&message));
    *told = Some(message);
    let params = Object::empty().with(&[
        Edit::set(meta::PROGRESS_TOKEN, token.as_bytes()),
        Edit::set("progress", step.as_bytes()),
        Edit::set("message", text.as_bytes()),
    ]);
    let method = name::PROGRESS.into();
    Some(Event::Notification(Notification { method, params, meta: Object::empty() }))
}
