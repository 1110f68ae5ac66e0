//! A modern client and a legacy server: the server's call is parked while the client is asked.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use wire::capability::ClientAbilities;
use wire::json::Edit;
use wire::message::Text;
use wire::method::name;
use wire::shape::question;
use wire::{Era, Json, Object, Outcome, RpcError, code, meta};

use super::lot::Question as Shown;
use super::pages::{pages_of, unvisited};
use super::task::Created;
use super::{Scene, screen};
use crate::call::{Body, Call, Event, Question, Reply};
use crate::fault::{Fault, Reason};
use crate::upstream::{Hello, ReplyStream, ServerError};

/// Questions that a server asks at once are asked together: how long to wait for another.
const GATHER: Duration = Duration::from_millis(10);
/// Most questions that are outstanding in one call.
pub(super) const ASKED_MAX: usize = 16;

/// A reply of a legacy server on its way to a modern client: a question ends it, and parks the call.
pub(crate) struct Parking {
    scene: Scene,
    hello: Arc<Hello>,
    stream: ReplyStream,
    asked: Vec<Asked>,
    /// When to stop waiting for further questions.
    gathering: Option<Instant>,
    rounds: u32,
    next_key: u32,
    /// Whether progress is told under a token that the client no longer knows.
    stale_token: bool,
    /// Whether nothing has come since the client came back.
    is_resumed: bool,
    abilities: ClientAbilities,
    /// Set where the call is made as a task.
    created: Option<Box<Created>>,
    /// Whether the client can be asked on the way: a legacy one.
    asks_live: bool,
}

/// A question without an answer yet.
#[derive(Debug)]
struct Asked {
    key: String,
    method: Text,
    params: Object,
    /// Whether the client knows of it.
    shown: bool,
    /// Where the answer goes; nowhere for a page that must be visited before the call is made again.
    answer: Option<oneshot::Sender<Outcome>>,
}

/// A call in the lot.
#[derive(Debug)]
pub(super) struct Parked {
    waits: Waits,
    asked: Vec<Asked>,
    rounds: u32,
    next_key: u32,
}

/// What waits for the client.
#[derive(Debug)]
enum Waits {
    /// The server's call, with what has come of it in the meantime.
    Call {
        stream: Box<ReplyStream>,
        hello: Arc<Hello>,
        ended: Option<Result<Outcome, ServerError>>,
        /// Set where the call is made as a task.
        created: Option<Box<Created>>,
    },
    /// Nothing: the server refused the call until pages have been visited (-32042, 2025-11-25).
    Visit { hello: Arc<Hello> },
}

/// What came of a client's coming back.
pub(crate) enum Resumed {
    /// The parked call goes on.
    Reply(Reply),
    /// The call is to be made anew, after the client was asked so many times.
    Again(u32),
}

pub(super) fn bridge(scene: Scene, call: &Call, reply: Reply, rounds: u32) -> Result<Reply, Fault> {
    if !call.method.may_ask() {
        return Ok(reply);
    }
    let Reply { hello, streamed, body } = reply;
    let body = match body {
        Body::Done(Err(error)) if error.code == code::URL_ELICITATION_REQUIRED => {
            Body::Done(Ok(visit(&scene, &hello, call.caller.abilities(), &error, rounds)?))
        }
        Body::Done(outcome) => Body::Done(plain(outcome)),
        Body::Stream(stream) => {
            let parking = Parking::new(scene, call, Arc::clone(&hello), stream, rounds);
            Body::Stream(ReplyStream::parking(parking))
        }
    };
    Ok(Reply { hello, streamed, body })
}

/// An outcome without members by which only the gate may ask: a legacy server has no such results.
fn plain(outcome: Outcome) -> Outcome {
    let asking = ["resultType", "inputRequests", "requestState"];
    let result = outcome?;
    if asking.iter().any(|key| result.has(key)) {
        return Ok(result.with(&asking.map(Edit::remove)));
    }
    Ok(result)
}

/// The same for a call that is made as a task.
pub(super) fn bridge_created(
    scene: Scene,
    call: &Call,
    reply: Reply,
    created: Created,
) -> Result<Reply, Fault> {
    let Reply { hello, streamed, body } = reply;
    let (stream, created) = match body {
        Body::Done(outcome) => match created.body(outcome) {
            Body::Stream(following) => (following, None),
            Body::Done(Err(error))
                if error.code == code::URL_ELICITATION_REQUIRED
                    && call.caller.era() == Era::Modern =>
            {
                let body = Body::Done(Err(error));
                return bridge(scene, call, Reply { hello, streamed, body }, 0);
            }
            body @ Body::Done(_) => return Ok(Reply { hello, streamed, body }),
        },
        Body::Stream(stream) => (stream, Some(Box::new(created))),
    };
    let mut parking = Parking::new(scene, call, Arc::clone(&hello), stream, 0);
    parking.created = created;
    Ok(Reply { hello, streamed: true, body: Body::Stream(ReplyStream::parking(parking)) })
}

impl Parking {
    fn new(scene: Scene, call: &Call, hello: Arc<Hello>, stream: ReplyStream, rounds: u32) -> Self {
        Self {
            scene,
            hello,
            stream,
            asked: Vec::new(),
            gathering: None,
            rounds,
            next_key: 1,
            stale_token: false,
            is_resumed: false,
            abilities: call.caller.abilities(),
            created: None,
            asks_live: call.caller.era() == Era::Legacy,
        }
    }

    /// How often the client has been asked.
    pub(crate) fn rounds(&self) -> u32 {
        self.rounds
    }

    /// The stream of the server's call.
    pub(crate) fn stream(&self) -> &ReplyStream {
        &self.stream
    }

    /// The same, to change it.
    pub(crate) fn stream_mut(&mut self) -> &mut ReplyStream {
        &mut self.stream
    }

    pub(crate) async fn next(&mut self) -> Result<Event, ServerError> {
        loop {
            let event = match self.gathering {
                None => self.stream.next().await,
                Some(until) => match timeout_at(until, self.stream.next()).await {
                    Ok(event) => event,
                    Err(_no_more) => return self.park(),
                },
            };
            if let Err(error) = &event
                && self.is_resumed
                && !matches!(error, ServerError::Ended(_))
            {
                // It ended while it waited, or with it: nobody can say what became of the answers.
                let fault = gone(self.scene.callee.name()).with_detail(error.chain());
                return Err(ServerError::ended_by(fault));
            }
            self.is_resumed = false;
            match event? {
                Event::Question(question) if !self.asks_live => self.ask(question),
                Event::Notification(notification)
                    if self.stale_token && &*notification.method == name::PROGRESS => {}
                Event::Done(Err(error)) if error.code == code::URL_ELICITATION_REQUIRED => {
                    let asked =
                        visit(&self.scene, &self.hello, self.abilities, &error, self.rounds);
                    self.rounds += 1;
                    return asked
                        .map(|result| Event::Done(Ok(result)))
                        .map_err(ServerError::ended_by);
                }
                Event::Done(outcome) if self.created.is_some() => {
                    let Some(created) = self.created.take() else {
                        return Ok(Event::Done(outcome));
                    };
                    match created.body(outcome) {
                        Body::Done(outcome) => return Ok(Event::Done(outcome)),
                        Body::Stream(following) => self.stream = following,
                    }
                }
                Event::Done(outcome) => return Ok(Event::Done(plain(outcome))),
                other => return Ok(other),
            }
        }
    }

    fn ask(&mut self, Question { method, params, answer }: Question) {
        let unfit =
            screen(&method, &params, self.abilities, self.scene.callee.secret_forms()).err();
        if unfit.is_some() || self.asked.len() >= ASKED_MAX {
            // Dropping it tells the server that nobody answers; the client has nothing to come back for.
            tracing::debug!(server = %self.scene.callee.name(), method = &*method, "not asked");
            return;
        }
        self.gathering.get_or_insert_with(|| Instant::now() + GATHER);
        let key = format!("q{}", self.next_key);
        self.next_key += 1;
        self.asked.push(Asked { key, method, params, shown: false, answer: Some(answer) });
    }

    /// Parks the call with everything that it asked.
    fn park(&mut self) -> Result<Event, ServerError> {
        self.gathering = None;
        let mut stream = std::mem::replace(&mut self.stream, ReplyStream::over());
        stream.waits_for_client(true);
        let parked = Parked {
            waits: Waits::Call {
                stream: Box::new(stream),
                hello: Arc::clone(&self.hello),
                ended: None,
                created: self.created.take(),
            },
            asked: std::mem::take(&mut self.asked),
            rounds: self.rounds,
            next_key: self.next_key,
        };
        self.rounds += 1;
        let asked = ask_client(&self.scene, parked);
        asked.map(|result| Event::Done(Ok(result))).map_err(ServerError::ended_by)
    }
}

impl std::fmt::Debug for Parking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parking").field("rounds", &self.rounds).finish_non_exhaustive()
    }
}

/// Parks a call and makes the result that asks the client. Where that cannot be, the call ends: what
/// is dropped here is cancelled at the server.
fn ask_client(scene: &Scene, mut parked: Parked) -> Result<Object, Fault> {
    let (bounds, server) = (&scene.bounds, scene.callee.name());
    parked.rounds += 1;
    if parked.rounds > bounds.rounds {
        return Err(too_many_rounds(server, bounds.rounds));
    }
    let requests = parked.requests();
    let until = Instant::now() + bounds.wait;
    let parked = scene.lot.park(server, parked, until, bounds.parked);
    let name = parked.map_err(|_full| full(bounds.parked))?;
    let state = Json::string(&name);
    let result = format!(
        "{{\"resultType\":\"input_required\",\"inputRequests\":{},\"requestState\":{}}}",
        requests.as_str(),
        state.as_str()
    );
    Ok(Json::trusted(result).object().expect("written as an object"))
}

/// The end of a call for which there is no place in the lot.
pub(super) fn full(most: usize) -> Fault {
    Fault::new(
        Reason::Overloaded,
        format!(
            "{most} calls wait for their clients' answers already; the call was cancelled, try \
             again later"
        ),
    )
}

pub(super) fn too_many_rounds(server: &str, most: u32) -> Fault {
    Fault::new(
        Reason::InteractionRefused,
        format!(
            "server `{server}` asked more than {most} times in one call; the call was cancelled, \
             or the operator raises `limits.interaction_rounds`"
        ),
    )
}

/// Asks the client to visit the pages without which the server refuses the call (-32042). The server
/// has not executed it, and wants it again afterwards.
fn visit(
    scene: &Scene,
    hello: &Arc<Hello>,
    abilities: ClientAbilities,
    error: &RpcError,
    rounds: u32,
) -> Result<Object, Fault> {
    let server = scene.callee.name();
    let pages = pages_of(error);
    if pages.is_empty() {
        return Err(Fault::new(
            Reason::ServerFailed,
            format!("server `{server}` wants a page to be visited first and does not say which"),
        ));
    }
    for page in &pages {
        screen(name::ELICIT, page, abilities, scene.callee.secret_forms())
            .map_err(|unfit| unvisited(&unfit, server, &pages))?;
    }
    let numbered = pages.into_iter().zip(1_u32..);
    let asked: Vec<_> = numbered
        .map(|(params, number)| Asked {
            key: format!("q{number}"),
            method: name::ELICIT.into(),
            params,
            shown: false,
            answer: None,
        })
        .collect();
    let next_key = u32::try_from(asked.len()).unwrap_or(u32::MAX).saturating_add(1);
    let waits = Waits::Visit { hello: Arc::clone(hello) };
    ask_client(scene, Parked { waits, asked, rounds, next_key })
}

/// A client comes back to the parked call `name`, with answers.
pub(crate) async fn resume(scene: Scene, call: &Call, name: &str) -> Result<Resumed, Fault> {
    let server = scene.callee.name();
    let answers = answers_of(call)?;
    // Nothing is taken before every answer is known to fit: a client may correct itself.
    check(&scene.lot.asked(name).ok_or_else(|| gone(server))?, &answers)?;
    let parked = scene.lot.take(name).await.ok_or_else(|| gone(server))?;
    parked.go_on(scene, call, &answers)
}

/// The `inputResponses` of a call.
pub(super) fn answers_of(call: &Call) -> Result<Object, Fault> {
    let Some(answers) = call.params.get("inputResponses") else { return Ok(Object::empty()) };
    answers
        .object()
        .ok_or_else(|| Fault::new(Reason::InvalidParams, "`inputResponses` must be an object"))
}

/// Whether the answers that are there fit what was asked.
pub(super) fn check(asked: &[Shown], answers: &Object) -> Result<(), Fault> {
    for asked in asked {
        let Some(answer) = answers.get(&asked.key) else { continue };
        question::check_answer(&asked.method, &asked.params, &answer).map_err(|why| {
            Fault::new(
                Reason::InvalidParams,
                format!("`inputResponses.{}`: {why}; correct it and repeat the call", asked.key),
            )
        })?;
    }
    Ok(())
}

/// What a client hears that comes back too late, or for the second time.
fn gone(server: &str) -> Fault {
    Fault::new(
        Reason::InteractionExpired,
        format!(
            "the call that server `{server}` asked in is no longer waiting: it was continued \
             already, nobody answered in time, or it ended; it was not made again, begin anew \
             without `requestState` if that is what you want"
        ),
    )
}

impl Parked {
    /// A call whose client comes back to it by other means than a retry.
    pub(super) fn of(body: Body, hello: Arc<Hello>) -> Self {
        let (stream, ended) = match body {
            Body::Done(outcome) => (ReplyStream::over(), Some(Ok(outcome))),
            Body::Stream(mut stream) => {
                stream.waits_for_client(true);
                (stream, None)
            }
        };
        let waits = Waits::Call { stream: Box::new(stream), hello, ended, created: None };
        Self { waits, asked: Vec::new(), rounds: 0, next_key: 1 }
    }

    /// What came of the call, once it has ended.
    pub(super) fn ended(&mut self) -> Option<Outcome> {
        match &mut self.waits {
            Waits::Call { ended, .. } => match ended.take()? {
                Ok(outcome) => Some(outcome),
                Err(error) => {
                    Some(Err(RpcError::new(code::gate::SERVER_UNAVAILABLE, error.to_string())))
                }
            },
            Waits::Visit { .. } => None,
        }
    }

    /// Completes when something is asked, or the call has ended.
    pub(super) async fn asks(&mut self) {
        while self.asked.is_empty() && !self.has_ended() {
            self.live().await;
        }
    }

    fn has_ended(&self) -> bool {
        matches!(&self.waits, Waits::Call { ended: Some(_), .. })
    }

    /// Sends the answers that are there.
    pub(super) fn answer(&mut self, answers: &Object, version: wire::Version) {
        for asked in self.asked.iter_mut().filter(|asked| asked.shown) {
            if let Some(answer) = answers.object(&asked.key)
                && let Some(waiting) = asked.answer.take()
            {
                let answer = question::answer_for(&asked.method, &answer, version);
                // The server may have given the question up in the meantime.
                let _ = waiting.send(Ok(answer));
            }
        }
        self.asked.retain(|asked| asked.answer.is_some());
    }

    pub(super) fn questions(&self) -> Arc<[Shown]> {
        let shown = |asked: &Asked| Shown {
            key: asked.key.clone(),
            method: asked.method.clone(),
            params: asked.params.clone(),
        };
        self.asked.iter().map(shown).collect()
    }

    /// The `inputRequests` of everything that is still asked.
    pub(super) fn requests(&mut self) -> Json {
        self.asked.iter_mut().for_each(|asked| asked.shown = true);
        let requests: Vec<_> = self
            .asked
            .iter()
            .map(|asked| {
                let request = question::to_input_request(&asked.method, &asked.params);
                format!("\"{}\":{}", asked.key, request.as_str())
            })
            .collect();
        Json::trusted(format!("{{{}}}", requests.join(",")))
    }

    /// Keeps the call alive: takes what the server says while the client is away. Never completes once
    /// the server has ended it.
    pub(super) async fn live(&mut self) {
        let Waits::Call { stream, ended, .. } = &mut self.waits else {
            return std::future::pending().await;
        };
        if ended.is_some() {
            return std::future::pending().await;
        }
        match stream.next().await {
            // Nobody is there to hear of it, and what it says is soon outdated.
            Ok(Event::Notification(_) | Event::Paused(_)) => {}
            Ok(Event::Question(Question { method, params, answer })) => {
                let known = question::needs(&method, &params).is_some();
                if known && self.asked.len() < ASKED_MAX {
                    let key = format!("q{}", self.next_key);
                    self.next_key += 1;
                    let answer = Some(answer);
                    self.asked.push(Asked { key, method, params, shown: false, answer });
                }
            }
            Ok(Event::Done(outcome)) => *ended = Some(Ok(outcome)),
            Err(error) => *ended = Some(Err(error)),
        }
        if ended.is_some() {
            // What it occupied at the server is free again.
            **stream = ReplyStream::over();
        }
    }

    /// Nobody came: the questions are answered as far as that can be, and the call is cancelled.
    pub(super) fn expire(self) {
        for asked in self.asked {
            let Some(answer) = asked.answer else { continue };
            let _ = answer.send(if &*asked.method == name::ELICIT {
                let cancelled = Json::trusted("{\"action\":\"cancel\"}".to_owned());
                Ok(cancelled.object().expect("written as an object"))
            } else {
                Err(RpcError::new(code::gate::INTERACTION_EXPIRED, "nobody answered in time"))
            });
        }
    }

    /// Goes on with the client's answers, which are known to fit.
    fn go_on(mut self, scene: Scene, call: &Call, answers: &Object) -> Result<Resumed, Fault> {
        match &self.waits {
            Waits::Visit { hello } => {
                let hello = Arc::clone(hello);
                return self.visited(&scene, hello, answers);
            }
            Waits::Call { hello, ended: None, .. } => {
                let version = hello.version;
                self.answer(answers, version);
            }
            Waits::Call { .. } => {}
        }
        let Self { waits, asked, rounds, next_key } = self;
        let Waits::Call { stream, hello, ended, created } = waits else {
            return Err(gone(scene.callee.name()));
        };
        let reply = |body| Reply { hello: Arc::clone(&hello), streamed: true, body };
        let (stream, created) = match (ended, created) {
            (Some(Err(error)), _) => {
                return Err(gone(scene.callee.name()).with_detail(error.chain()));
            }
            (Some(Ok(outcome)), Some(created)) => match created.body(outcome) {
                Body::Stream(following) => (following, None),
                body @ Body::Done(_) => return Ok(Resumed::Reply(reply(body))),
            },
            (Some(Ok(outcome)), None) => return Ok(Resumed::Reply(reply(Body::Done(outcome)))),
            (None, created) => (*stream, created),
        };
        let mut parking = Parking::new(scene, call, Arc::clone(&hello), stream, rounds);
        (parking.next_key, parking.created) = (next_key, created);
        let token = call.meta.get(meta::PROGRESS_TOKEN);
        (parking.stale_token, parking.is_resumed) = (token.is_none(), true);
        parking.stream.set_token(token);
        parking.stream.waits_for_client(false);
        if !asked.is_empty() {
            // What has no answer is asked again, at once.
            parking.gathering = Some(Instant::now() + GATHER);
            parking.asked = asked;
        }
        Ok(Resumed::Reply(reply(Body::Stream(ReplyStream::parking(parking)))))
    }

    /// The client comes back from the pages that it was to visit.
    fn visited(
        mut self,
        scene: &Scene,
        hello: Arc<Hello>,
        answers: &Object,
    ) -> Result<Resumed, Fault> {
        let action = |asked: &Asked| {
            let answer = answers.object(&asked.key)?;
            answer.text("action").map(std::borrow::Cow::into_owned)
        };
        let refused =
            self.asked.iter().find(|asked| action(asked).is_some_and(|said| said != "accept"));
        if let Some(page) = refused {
            return Err(Fault::new(
                Reason::InteractionRefused,
                format!(
                    "server `{}` takes this call only after {} has been visited, which was declined",
                    scene.callee.name(),
                    page.params.text("url").unwrap_or_default()
                ),
            ));
        }
        self.asked.retain(|asked| action(asked).is_none());
        if self.asked.is_empty() {
            return Ok(Resumed::Again(self.rounds));
        }
        let body = Body::Done(Ok(ask_client(scene, self)?));
        Ok(Resumed::Reply(Reply { hello, streamed: false, body }))
    }
}
