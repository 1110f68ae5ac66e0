//! Simulated servers of both eras: they ask, wait, die and answer as chance has it, and count what
//! they execute.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use wire::method::name;
use wire::{Era, Json, Notification, Object, Outcome, RpcError, Version, code};

use super::chance::Chance;
use super::ledger::{Ledger, Rule};
use crate::call::{Body, Call, Event, Question, Reply};
use crate::interaction::{Bounds, Callee, Driving, Lot, Scene};
use crate::upstream::{Hello, ServerError};

/// How long a server that hears nobody stays at its work.
const STUBBORN_WORK: Duration = Duration::from_hours(2);

/// What a server asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Form,
    Page,
    Model,
    Roots,
    /// What no version knows.
    Unknown,
    /// A form for a secret.
    Secret,
}

/// One thing that a legacy server does on the way, and a modern one from call to call.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Work(Duration),
    Progress,
    /// Asks all this at once, and waits for all answers.
    Ask(Vec<Kind>),
    /// Asks the first, and the second later, whether or not the first has been answered.
    AskMeanwhile(Kind, Duration, Kind),
    /// A modern server wants to be called again, and asks nothing.
    Later,
    /// A modern server wants to be called again, and says nothing else.
    Malformed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Executes the call, and says so.
    Succeed,
    /// Says that the tool failed.
    Fail,
    /// Answers with an error of the protocol.
    Refuse,
    /// Never answers.
    Hang,
    /// Ends, with all calls that it has.
    Die,
}

/// What a server does with one call.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    pub(super) ending: Ending,
    /// How often it first wants pages to be visited (-32042).
    pub(super) visits: u32,
    /// How long it waits for answers before it goes on without, and whether it then executes.
    pub(super) patience: Option<(Duration, bool)>,
    /// Whether it stops when the call is cancelled.
    pub(super) heeds: bool,
    /// Whether an answer that comes first comes in a stream.
    pub(super) streams: bool,
}

impl Plan {
    /// A plan without malice: it succeeds with whoever answers.
    pub(super) fn calm(era: Era, chance: &mut Chance) -> Self {
        let mut plan = Self::wild(era, chance);
        plan.steps.retain(|step| match step {
            Step::Ask(kinds) => kinds.iter().all(|kind| kind.can_be_asked()),
            Step::AskMeanwhile(one, _, two) => one.can_be_asked() && two.can_be_asked(),
            Step::Malformed => false,
            _ => true,
        });
        plan.steps.truncate(4);
        Self { ending: Ending::Succeed, patience: None, visits: plan.visits.min(1), ..plan }
    }

    pub(super) fn wild(era: Era, chance: &mut Chance) -> Self {
        let steps = (0..chance.between(0, 5)).map(|_| Step::of(era, chance)).collect();
        let ending = match chance.between(0, 15) {
            0 => Ending::Fail,
            1 => Ending::Refuse,
            2 => Ending::Hang,
            3 => Ending::Die,
            _ => Ending::Succeed,
        };
        let visits = if chance.one_in(5) { chance.between(1, 3) } else { 0 };
        Self {
            steps,
            ending,
            visits: u32::try_from(visits).expect("a few"),
            patience: chance.one_in(4).then(|| (chance.millis(1, 90_000), chance.one_in(2))),
            heeds: !chance.one_in(4),
            streams: chance.one_in(2),
        }
    }
}

impl Step {
    fn of(era: Era, chance: &mut Chance) -> Self {
        match (chance.between(0, 9), era) {
            (0, _) => Self::Work(chance.millis(0, 40)),
            (1, _) => Self::Work(chance.millis(0, 12_000)),
            (2, _) => Self::Progress,
            (3 | 4, Era::Legacy) => {
                let later = [0, 1, 9, 10, 11, 500, 20_000, 60_000];
                let later = Duration::from_millis(chance.pick(&later));
                Self::AskMeanwhile(Kind::of(era, chance), later, Kind::of(era, chance))
            }
            (3, Era::Modern) => Self::Later,
            (4, Era::Modern) if chance.one_in(4) => Self::Malformed,
            _ => Self::Ask((0..chance.between(1, 3)).map(|_| Kind::of(era, chance)).collect()),
        }
    }
}

impl Kind {
    fn of(era: Era, chance: &mut Chance) -> Self {
        match chance.between(0, 24) {
            0 => Self::Unknown,
            // What legacy servers ask is screened before it comes to the engine.
            1 if era == Era::Modern => Self::Secret,
            2..=6 => Self::Page,
            7..=11 => Self::Model,
            12..=15 => Self::Roots,
            _ => Self::Form,
        }
    }

    fn can_be_asked(self) -> bool {
        !matches!(self, Self::Unknown | Self::Secret)
    }

    fn method(self) -> &'static str {
        match self {
            Self::Form | Self::Page | Self::Secret => name::ELICIT,
            Self::Model => name::CREATE_MESSAGE,
            Self::Roots => name::ROOTS_LIST,
            Self::Unknown => "example/unknown",
        }
    }

    /// The parameters; `mark` tells the question from all others, and its answer repeats it.
    fn params(self, mark: &str) -> Object {
        let meta = format!("\"_meta\":{{\"mark\":\"{mark}\"}}");
        let form = |field: &str| {
            format!(
                "{{\"mode\":\"form\",\"message\":\"?\",\"requestedSchema\":{{\"type\":\"object\",\
                 \"properties\":{{\"{field}\":{{\"type\":\"string\"}}}},\
                 \"required\":[\"{field}\"]}},{meta}}}"
            )
        };
        object(match self {
            Self::Form => form("mark"),
            Self::Secret => form("password"),
            Self::Page => page(mark, &meta),
            Self::Model => format!("{{\"messages\":[],\"maxTokens\":1,{meta}}}"),
            Self::Roots | Self::Unknown => format!("{{{meta}}}"),
        })
    }
}

fn page(mark: &str, meta: &str) -> String {
    format!(
        "{{\"mode\":\"url\",\"message\":\"?\",\"url\":\"https://pages.example/{mark}\",\
         \"elicitationId\":\"{mark}\",{meta}}}"
    )
}

pub(super) fn object(text: String) -> Object {
    Json::trusted(text).object().expect("written as an object")
}

/// A server, as the engine calls it.
#[derive(Clone)]
pub(super) struct Server(Arc<Inner>);

struct Inner {
    name: Arc<str>,
    hello: Arc<Hello>,
    timeout: Duration,
    /// What it does with each call.
    plans: Vec<Plan>,
    ledger: Ledger,
    chance: Mutex<Chance>,
    /// Cancelled when it dies; it is back at once, and remembers no call.
    life: Mutex<CancellationToken>,
}

impl Server {
    pub(super) fn new(
        version: Version,
        timeout: Duration,
        plans: Vec<Plan>,
        ledger: Ledger,
        chance: Chance,
    ) -> Self {
        Self(Arc::new(Inner {
            name: "simulated".into(),
            hello: Arc::new(Hello::new(version, Object::empty())),
            timeout,
            plans,
            ledger,
            chance: Mutex::new(chance),
            life: Mutex::default(),
        }))
    }

    pub(super) fn era(&self) -> Era {
        self.0.hello.version.era()
    }

    pub(super) fn die(&self) {
        self.0.ledger.dies();
        let mut life = self.0.life.lock().expect("no panic while holding the life");
        std::mem::take(&mut *life).cancel();
    }

    fn chance(&self) -> Chance {
        self.0.chance.lock().expect("no panic while holding the chance").fork()
    }

    async fn take(&self, call: &Call) -> Result<Reply, ServerError> {
        let mut chance = self.chance();
        chance.dawdle().await;
        let number = number_of(call);
        let arrival = self.0.ledger.arrived(number);
        let plan = &self.0.plans[number];
        let (said, heard) = mpsc::channel(256);
        let work = Work {
            server: self.clone(),
            call: number,
            plan: plan.clone(),
            said: said.clone(),
            chance: chance.fork(),
        };
        let life = self.0.life.lock().expect("no panic while holding the life").clone();
        tokio::spawn(work.run(call.clone(), life));
        drop(said);
        let mut line = Line { heard, arrival, ledger: self.0.ledger.clone() };
        let first = line.next().await.ok_or_else(|| ServerError::Closed("it died".into()))?;
        let (streamed, body) = match first {
            Event::Done(outcome) if !plan.streams => (false, Body::Done(outcome)),
            first => {
                let said = stream::iter([first]).chain(line).boxed();
                (true, Body::Stream(Driving::simulated(self.line_scene(), call, said)))
            }
        };
        Ok(Reply { hello: Arc::clone(&self.0.hello), streamed, body })
    }

    /// What a reply's source has to have, and never looks at.
    fn line_scene(&self) -> Scene {
        let bounds = Bounds { rounds: 0, wait: Duration::ZERO, parked: 0 };
        Scene { lot: Arc::new(Lot::default()), callee: Arc::new(self.clone()), bounds }
    }
}

impl Callee for Server {
    fn name(&self) -> &Arc<str> {
        &self.0.name
    }

    fn timeout(&self) -> Duration {
        self.0.timeout
    }

    fn secret_forms(&self) -> config::SecretForms {
        config::SecretForms::Refuse
    }

    fn call<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Result<Reply, ServerError>> {
        Box::pin(self.take(call))
    }
}

/// Which of the simulation's calls this is.
fn number_of(call: &Call) -> usize {
    let number = call.params.object("arguments").and_then(|arguments| arguments.get("call"));
    let number = number.and_then(|number| number.as_u64()).expect("each call has a number");
    usize::try_from(number).expect("a small number")
}

/// The gate's end of one call: dropping it cancels the call.
struct Line {
    heard: mpsc::Receiver<Event>,
    arrival: usize,
    ledger: Ledger,
}

impl Stream for Line {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let event = std::task::ready!(self.heard.poll_recv(cx));
        if let Some(Event::Done(_)) = &event {
            self.ledger.answered(self.arrival);
        }
        Poll::Ready(event)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.ledger.released(self.arrival);
    }
}

/// The server's end of one call.
struct Work {
    server: Server,
    call: usize,
    plan: Plan,
    said: mpsc::Sender<Event>,
    chance: Chance,
}

impl Work {
    async fn run(mut self, call: Call, life: CancellationToken) {
        let (said, heeds) = (self.said.clone(), self.plan.heeds);
        let cancelled = async {
            if heeds {
                said.closed().await;
            } else {
                sleep(STUBBORN_WORK).await;
            }
        };
        tokio::select! {
            biased;
            () = life.cancelled() => {}
            () = cancelled => {}
            () = self.work(&call) => {}
        }
    }

    async fn work(&mut self, call: &Call) {
        let worked = match self.server.era() {
            Era::Legacy => self.all_steps().await,
            Era::Modern => self.one_round(call).await,
        };
        let outcome = match worked {
            Ok(()) => self.end().await,
            Err(outcome) => Some(outcome),
        };
        self.chance.dawdle().await;
        match outcome {
            // Whoever takes it no longer has given the call up.
            Some(outcome) => self.say(Event::Done(outcome)).await,
            None => self.server.die(),
        }
    }

    async fn end(&mut self) -> Option<Outcome> {
        match self.plan.ending {
            Ending::Succeed => Some(Ok(self.execute())),
            Ending::Fail => Some(Ok(failed())),
            Ending::Refuse => Some(Err(RpcError::new(code::INTERNAL_ERROR, "refused"))),
            Ending::Hang => {
                self.note("the server hangs");
                sleep(STUBBORN_WORK).await;
                Some(Ok(failed()))
            }
            Ending::Die => None,
        }
    }

    fn execute(&self) -> Object {
        self.server.0.ledger.executed(self.call);
        object("{\"resultType\":\"complete\",\"content\":[]}".to_owned())
    }

    /// A legacy server does everything in one call.
    async fn all_steps(&mut self) -> Result<(), Outcome> {
        if self.wants_visit() {
            return Err(self.visit_first());
        }
        for step in self.plan.steps.clone() {
            self.chance.dawdle().await;
            match step {
                Step::Work(time) => sleep(time).await,
                Step::Progress => self.progress().await,
                Step::Ask(kinds) => {
                    let mut waiting = Vec::new();
                    for kind in kinds {
                        waiting.push(self.ask(kind).await);
                    }
                    self.answers(waiting).await?;
                }
                Step::AskMeanwhile(one, later, two) => {
                    let one = self.ask(one).await;
                    sleep(later).await;
                    let two = self.ask(two).await;
                    self.answers(vec![one, two]).await?;
                }
                Step::Later | Step::Malformed => {}
            }
        }
        Ok(())
    }

    fn wants_visit(&self) -> bool {
        self.server.0.ledger.sent_away(self.call) < self.plan.visits
    }

    fn visit_first(&mut self) -> Outcome {
        self.server.0.ledger.sends_away(self.call);
        let pages: Vec<_> =
            (0..self.chance.between(1, 2)).map(|_| page(&self.mark(), "\"_meta\":{}")).collect();
        let mut error = RpcError::new(code::URL_ELICITATION_REQUIRED, "visit first");
        error.data = Some(Json::trusted(format!("{{\"elicitations\":[{}]}}", pages.join(","))));
        Err(error)
    }

    async fn ask(&mut self, kind: Kind) -> (String, oneshot::Receiver<Outcome>) {
        let mark = self.mark();
        self.note(&format!("the server asks ({kind:?}, {mark})"));
        let (answer, waiting) = oneshot::channel();
        let (method, params) = (kind.method().into(), kind.params(&mark));
        self.say(Event::Question(Question { method, params, answer })).await;
        (mark, waiting)
    }

    /// Waits for all answers.
    async fn answers(
        &mut self,
        waiting: Vec<(String, oneshot::Receiver<Outcome>)>,
    ) -> Result<(), Outcome> {
        let all = async {
            for (mark, waiting) in waiting {
                let accepted = match waiting.await {
                    Ok(Ok(answer)) => self.accepted(&mark, &answer),
                    Ok(Err(_)) | Err(_) => false,
                };
                if !accepted {
                    return Err(Ok(failed()));
                }
            }
            Ok(())
        };
        let Some((patience, executes)) = self.plan.patience else { return all.await };
        tokio::time::timeout(patience, all).await.unwrap_or_else(|_tired| {
            self.note("the server goes on without the answers");
            Err(Ok(if executes { self.execute() } else { failed() }))
        })
    }

    /// Whether this is an answer to go on with. It must be one to the question.
    fn accepted(&self, mark: &str, answer: &Object) -> bool {
        if answer.text("action").is_some_and(|action| action != "accept") {
            return false;
        }
        let repeated =
            answer.object("_meta").and_then(|meta| Some(meta.text("mark")?.into_owned()));
        if repeated.as_deref() != Some(mark) {
            let how = format!("question {mark} was answered with {}", answer.to_json(&[]).as_str());
            self.server.0.ledger.broke(self.call, Rule::OwnAnswers, &how);
        }
        true
    }

    /// A modern server does what its state says, and forgets.
    async fn one_round(&mut self, call: &Call) -> Result<(), Outcome> {
        let state = call.params.text("requestState").map(std::borrow::Cow::into_owned);
        let (at, marks) = match state.as_deref().map(read_state) {
            None => (0, Vec::new()),
            Some(Some(state)) => state,
            Some(None) => {
                self.server.0.ledger.broke(self.call, Rule::OwnAnswers, "a foreign state");
                return Err(Ok(failed()));
            }
        };
        let answers = call.params.object("inputResponses").unwrap_or_else(Object::empty);
        for (number, mark) in marks.iter().enumerate() {
            match answers.object(&format!("key {number}")) {
                Some(answer) if self.accepted(mark, &answer) => {}
                _ => return Err(Ok(failed())),
            }
        }
        for at in at..self.plan.steps.len() {
            self.chance.dawdle().await;
            match self.plan.steps[at].clone() {
                Step::Work(time) => sleep(time).await,
                Step::Progress => self.progress().await,
                Step::Ask(kinds) => return Err(Ok(self.want(at + 1, &kinds))),
                Step::AskMeanwhile(one, _, two) => {
                    return Err(Ok(self.want(at + 1, &[one, two])));
                }
                Step::Later => return Err(Ok(self.want(at + 1, &[]))),
                Step::Malformed => {
                    let malformed = "{\"resultType\":\"input_required\"}".to_owned();
                    return Err(Ok(object(malformed)));
                }
            }
        }
        Ok(())
    }

    /// Wants to be called again, and goes on with step `next`.
    fn want(&mut self, next: usize, kinds: &[Kind]) -> Object {
        self.note(&format!("the server answers that it needs input ({kinds:?})"));
        self.server.0.ledger.wanted_again(self.call);
        let marks: Vec<_> = kinds.iter().map(|_| self.mark()).collect();
        let requests: Vec<_> = kinds
            .iter()
            .zip(&marks)
            .enumerate()
            .map(|(number, (kind, mark))| {
                let params =
                    kind.params(mark).to_json(&[wire::json::Edit::remove("elicitationId")]);
                let (method, params) = (kind.method(), params.as_str());
                format!("\"key {number}\":{{\"method\":\"{method}\",\"params\":{params}}}")
            })
            .collect();
        let requests = if requests.is_empty() {
            String::new()
        } else {
            format!("\"inputRequests\":{{{}}},", requests.join(","))
        };
        object(format!(
            "{{\"resultType\":\"input_required\",{requests}\"requestState\":\"{OWN_STATE}{next};{}\"}}",
            marks.join(",")
        ))
    }

    async fn progress(&self) {
        let params = object("{\"progress\":1}".to_owned());
        let (method, meta) = (name::PROGRESS.into(), Object::empty());
        self.say(Event::Notification(Notification { method, params, meta })).await;
    }

    /// Says something; that nobody listens any more is no reason to stop.
    async fn say(&self, event: Event) {
        let _ = self.said.send(event).await;
    }

    fn mark(&mut self) -> String {
        format!("{:08x}", self.chance.between(0, u64::from(u32::MAX)))
    }

    fn note(&self, what: &str) {
        self.server.0.ledger.note(self.call, what);
    }
}

/// How the states of modern servers begin. Names of parked calls never do.
pub(super) const OWN_STATE: &str = "own;";

/// The next step, and the marks of what was asked.
fn read_state(state: &str) -> Option<(usize, Vec<String>)> {
    let (next, marks) = state.strip_prefix(OWN_STATE)?.split_once(';')?;
    let marks = marks.split(',').filter(|mark| !mark.is_empty()).map(str::to_owned);
    Some((next.parse().ok()?, marks.collect()))
}

fn failed() -> Object {
    object("{\"resultType\":\"complete\",\"content\":[],\"isError\":true}".to_owned())
}
