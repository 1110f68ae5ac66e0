//! A legacy client and a modern server: what the server asks in a result is asked on the stream of
//! the call, and the server is called again with the answers.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout_at};
use wire::json::Edit;
use wire::message::Text;
use wire::method::name;
use wire::shape::question;
use wire::{Id, Json, Method, Notification, Object, Outcome, RpcError, Version, code};

use super::park::too_many_rounds;
use super::screen::{Unfit, questions_of};
use super::{Scene, screen, task};
use crate::call::{Body, Call, Event, Question, Reply};
use crate::fault::{Fault, Reason};
use crate::upstream::{ReplyStream, ServerError};

/// A server that wants to be called again without asking anything is given this long, and twice as
/// long each time: it waits for somebody outside.
const PACE: Duration = Duration::from_millis(250);
/// The longest of these pauses.
const PACE_MAX: Duration = Duration::from_secs(10);

/// A reply of a modern server on its way to a legacy client: it is called again until it is done.
pub(crate) struct Driving {
    scene: Scene,
    /// The call as the client made it.
    call: Box<Call>,
    state: State,
    ready: VecDeque<Event>,
    rounds: u32,
    waited: Duration,
    /// What the server made of the call, if it made a task of it.
    task: Option<Task>,
    /// The pages that the client has agreed to visit, with the ids under which it knows them.
    pages: Vec<Page>,
}

struct Page {
    url: String,
    id: String,
    accepted: bool,
}

/// A task that the gate follows to its end, since the client does not know tasks.
struct Task {
    id: String,
    interval: Duration,
    /// What it asked and was answered: it may take a while to notice.
    answered: HashSet<String>,
    told: Option<String>,
    steps: u64,
}

enum State {
    /// The server answers.
    Reading { stream: ReplyStream, until: Instant },
    /// The client answers.
    Asking { questions: Vec<Asked>, state: Option<Json>, since: Instant },
    /// The server is left alone for a while.
    Pausing { until: Instant, answers: Vec<(String, Json)>, state: Option<Json> },
    /// The server is being called again.
    Calling(BoxFuture<'static, Result<Reply, ServerError>>),
    /// A simulated server says something.
    #[cfg(test)]
    Simulated(futures_util::stream::BoxStream<'static, Event>),
    /// The server's task is left alone until it is looked at again.
    Waiting { until: Instant },
    /// The task is looked at, or told the client's answers.
    Looking(BoxFuture<'static, Result<Outcome, Fault>>),
    /// The answer has come.
    Over,
}

/// A question under way to the client.
struct Asked {
    key: String,
    method: Text,
    params: Object,
    answer: Answer,
}

enum Answer {
    Awaited(oneshot::Receiver<Outcome>),
    Here(Json),
}

pub(super) fn bridge(scene: Scene, call: &Call, reply: Reply) -> Result<Reply, Fault> {
    if !call.method.may_ask() {
        return Ok(reply);
    }
    let Reply { hello, streamed, body } = reply;
    let scene_timeout = scene.callee.timeout();
    let driving = |state| Driving::new(scene, call, state);
    let (streamed, body) = match body {
        Body::Done(Ok(result)) if asks(&result) || is_task(&result) => {
            let mut driving = driving(State::Over);
            driving.takes(&result)?;
            (true, Body::Stream(ReplyStream::driving(driving)))
        }
        Body::Done(outcome) => (streamed, Body::Done(outcome)),
        Body::Stream(stream) => {
            let until = Instant::now() + scene_timeout;
            let driving = driving(State::Reading { stream, until });
            (streamed, Body::Stream(ReplyStream::driving(driving)))
        }
    };
    Ok(Reply { hello, streamed, body })
}

/// Whether a result wants input first.
fn asks(result: &Object) -> bool {
    result.text("resultType").as_deref() == Some("input_required")
}

/// Whether a result is a task that goes on without the call.
fn is_task(result: &Object) -> bool {
    result.text("resultType").as_deref() == Some("task")
}

impl Driving {
    fn new(scene: Scene, call: &Call, state: State) -> Self {
        Self {
            scene,
            call: Box::new(call.clone()),
            state,
            ready: VecDeque::new(),
            rounds: 0,
            waited: Duration::ZERO,
            task: None,
            pages: Vec::new(),
        }
    }

    /// The reply of a simulated server, which has died where `said` ends before the answer.
    #[cfg(test)]
    pub(super) fn simulated(
        scene: Scene,
        call: &Call,
        said: futures_util::stream::BoxStream<'static, Event>,
    ) -> ReplyStream {
        ReplyStream::driving(Self::new(scene, call, State::Simulated(said)))
    }

    /// How often the client was asked, and how long it took to answer.
    pub(crate) fn rounds(&self) -> (u32, Duration) {
        (self.rounds, self.waited)
    }

    pub(crate) async fn next(&mut self) -> Result<Event, ServerError> {
        let event = self.advance().await;
        if event.is_err() {
            // What has ended stays so, and is cancelled at the server at once.
            self.end();
        }
        event
    }

    /// Ends it, and with it the task that the server made of the call.
    fn end(&mut self) {
        self.ready.clear();
        let is_over = matches!(std::mem::replace(&mut self.state, State::Over), State::Over);
        if let Some(task) = self.task.take().filter(|_| !is_over) {
            let about = task::about(&self.call, Method::TasksCancel, &task.id);
            task::cancel(&self.scene.callee, about);
        }
    }

    async fn advance(&mut self) -> Result<Event, ServerError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(event);
            }
            match &mut self.state {
                State::Reading { stream, until } => {
                    let event = timeout_at(*until, stream.next()).await;
                    match event.unwrap_or(Err(ServerError::Timeout))? {
                        Event::Done(outcome) => self.answered(outcome)?,
                        event => {
                            // Whoever says something is alive.
                            *until = Instant::now() + self.scene.callee.timeout();
                            return Ok(event);
                        }
                    }
                }
                State::Calling(calling) => match calling.await?.body {
                    Body::Done(outcome) => self.answered(outcome)?,
                    Body::Stream(stream) => {
                        let until = Instant::now() + self.scene.callee.timeout();
                        self.state = State::Reading { stream, until };
                    }
                },
                State::Asking { .. } => self.hear_answers().await?,
                State::Pausing { until, .. } => {
                    sleep_until(*until).await;
                    let over = std::mem::replace(&mut self.state, State::Over);
                    if let State::Pausing { answers, state, .. } = over {
                        self.call_again(&answers, state.as_ref());
                    }
                }
                #[cfg(test)]
                State::Simulated(said) => {
                    let died = || ServerError::Closed("the server died".into());
                    return futures_util::StreamExt::next(said).await.ok_or_else(died);
                }
                State::Waiting { until } => {
                    sleep_until(*until).await;
                    self.look(Method::TasksGet, &[]);
                }
                State::Looking(looking) => {
                    let outcome = looking.await.map_err(ServerError::ended_by)?;
                    self.looked(outcome)?;
                }
                State::Over => {
                    return Err(ServerError::Closed("the answer has come already".into()));
                }
            }
        }
    }

    /// Takes an answer of the server: the last one, or a question.
    fn answered(&mut self, outcome: Outcome) -> Result<(), ServerError> {
        self.state = State::Over;
        match outcome {
            Ok(result) if asks(&result) || is_task(&result) => {
                self.takes(&result).map_err(ServerError::ended_by)
            }
            outcome => {
                self.complete_pages();
                self.ready.push_back(Event::Done(outcome));
                Ok(())
            }
        }
    }

    /// Takes a result that is not the last one.
    fn takes(&mut self, result: &Object) -> Result<(), Fault> {
        if !is_task(result) {
            return self.asked(result);
        }
        let id = result.text("taskId").map(std::borrow::Cow::into_owned);
        let id = id.ok_or_else(|| {
            let server = self.scene.callee.name();
            Fault::new(Reason::ServerFailed, format!("server `{server}` made a task without an id"))
        })?;
        let interval = task::interval(result);
        let answered = HashSet::new();
        self.task = Some(Task { id, interval, answered, told: None, steps: 0 });
        self.wait_for_task(result);
        Ok(())
    }

    /// Tells the client how the task does, and leaves it alone for a while.
    fn wait_for_task(&mut self, found: &Object) {
        let Some(task) = &mut self.task else { return };
        let progress = task::progress(&self.call, found, &mut task.told, &mut task.steps);
        self.ready.extend(progress);
        self.state = State::Waiting { until: Instant::now() + task.interval };
    }

    /// Calls a method of the task.
    fn look(&mut self, method: Method, members: &[Edit<'_>]) {
        let Some(task) = &self.task else { return };
        let (scene, mut about) = (self.scene.clone(), task::about(&self.call, method, &task.id));
        about.params = about.params.with(members);
        self.state = State::Looking(Box::pin(async move {
            task::called(&scene, &about).await.map(|(_hello, outcome)| outcome)
        }));
    }

    /// Takes what the server says of the task.
    fn looked(&mut self, outcome: Outcome) -> Result<(), ServerError> {
        let found = match outcome {
            Ok(found) => found,
            Err(error) => return self.answered(Err(error)),
        };
        let server = self.scene.callee.name();
        match found.text("status").as_deref() {
            Some("completed") => match found.object("result") {
                Some(result) => self.answered(Ok(result)),
                None => Err(ServerError::Protocol("a completed task without a result".into())),
            },
            Some("failed") => match found.object("error").as_ref().and_then(RpcError::of) {
                Some(error) => self.answered(Err(error)),
                None => Err(ServerError::Protocol("a failed task without an error".into())),
            },
            Some("cancelled") => Err(ServerError::ended_by(Fault::new(
                Reason::ServerFailed,
                format!("server `{server}` cancelled the task that it made of the call"),
            ))),
            Some("input_required") => self.ask_for_task(&found).map_err(ServerError::ended_by),
            // `working`, and the answer to `tasks/update`, which says nothing.
            _ => {
                self.wait_for_task(&found);
                Ok(())
            }
        }
    }

    /// The task wants input: asks the client what it has not been asked yet.
    fn ask_for_task(&mut self, found: &Object) -> Result<(), Fault> {
        let requests = questions_of(found).unwrap_or_default();
        let open: Vec<_> = match &self.task {
            Some(task) => {
                requests.into_iter().filter(|(key, ..)| !task.answered.contains(key)).collect()
            }
            None => Vec::new(),
        };
        if open.is_empty() {
            self.wait_for_task(found);
            return Ok(());
        }
        self.rounds += 1;
        if self.rounds > self.scene.bounds.rounds {
            return Err(too_many_rounds(self.scene.callee.name(), self.scene.bounds.rounds));
        }
        let questions = open
            .into_iter()
            .map(|(key, method, params)| self.ask(key, &method, params))
            .collect::<Result<Vec<_>, _>>()?;
        self.state = State::Asking { questions, state: None, since: Instant::now() };
        Ok(())
    }

    /// The server wants input: asks the client, or waits where there is nothing to ask.
    fn asked(&mut self, result: &Object) -> Result<(), Fault> {
        let server = Arc::clone(self.scene.callee.name());
        self.rounds += 1;
        if self.rounds > self.scene.bounds.rounds {
            return Err(too_many_rounds(&server, self.scene.bounds.rounds));
        }
        let state = result.get("requestState").filter(|state| state.text().is_some());
        let malformed = || {
            let what = format!("server `{server}` asks for input without saying for which");
            Fault::new(Reason::ServerFailed, what)
        };
        let requests = questions_of(result).ok_or_else(malformed)?;
        if requests.is_empty() && state.is_none() {
            return Err(malformed());
        }
        let questions = requests
            .into_iter()
            .map(|(key, method, params)| self.ask(key, &method, params))
            .collect::<Result<Vec<_>, _>>()?;
        let given: Option<Vec<_>> = questions
            .iter()
            .map(|asked| match &asked.answer {
                Answer::Here(answer) => Some((asked.key.clone(), answer.clone())),
                Answer::Awaited(_) => None,
            })
            .collect();
        self.state = match given {
            // Nothing new to ask: the server waits for something else.
            Some(answers) => {
                let pace = PACE * 2_u32.saturating_pow(self.rounds.saturating_sub(1).min(16));
                State::Pausing { until: Instant::now() + pace.min(PACE_MAX), answers, state }
            }
            None => State::Asking { questions, state, since: Instant::now() },
        };
        Ok(())
    }

    /// Asks one question, in the words of the client's version.
    fn ask(&mut self, key: String, method: &str, params: Object) -> Result<Asked, Fault> {
        let callee = &self.scene.callee;
        let caller = &self.call.caller;
        screen(method, &params, caller.abilities(), callee.secret_forms())
            .map_err(|unfit: Unfit| unfit.to_fault(callee.name()))?;
        let url = (params.text("mode").as_deref() == Some("url"))
            .then(|| params.text("url").map(std::borrow::Cow::into_owned))
            .flatten();
        let mut id = None;
        if let Some(url) = url {
            if self.pages.iter().any(|page| page.url == url && page.accepted) {
                // The person is on it already: consent is asked for once.
                let answer = Answer::Here(Json::trusted("{\"action\":\"accept\"}".to_owned()));
                return Ok(Asked { key, method: method.into(), params, answer });
            }
            let page_id = format!("{}-{}", self.call.correlation, self.pages.len() + 1);
            self.pages.push(Page { url, id: page_id.clone(), accepted: false });
            id = Some(page_id);
        }
        let shown =
            question::to_legacy(method, &params, caller.version, id.as_deref()).map_err(|why| {
                Fault::new(
                    Reason::InteractionUnavailable,
                    format!(
                        "server `{}` asks something that this client's version {} cannot show: {why}",
                        callee.name(),
                        caller.version
                    ),
                )
            })?;
        let (answer, awaited) = oneshot::channel();
        let method: Text = method.into();
        self.ready.push_back(Event::Question(Question {
            method: method.clone(),
            params: shown,
            answer,
        }));
        Ok(Asked { key, method, params, answer: Answer::Awaited(awaited) })
    }

    /// Waits for the client's answers to all questions of this round.
    async fn hear_answers(&mut self) -> Result<(), ServerError> {
        let State::Asking { questions, since, .. } = &mut self.state else { return Ok(()) };
        let server = self.scene.callee.name();
        let until = *since + self.scene.bounds.wait;
        for asked in questions.iter_mut() {
            let Answer::Awaited(awaited) = &mut asked.answer else { continue };
            let answered = timeout_at(until, awaited).await.map_err(|_late| {
                ServerError::ended_by(Fault::new(
                    Reason::InteractionExpired,
                    format!(
                        "nobody answered what server `{server}` asked (`{}`) within {} s; the \
                         call was given up",
                        &*asked.method,
                        self.scene.bounds.wait.as_secs()
                    ),
                ))
            })?;
            let outcome = answered.unwrap_or_else(|_unheard| {
                let why = "it has no stream open on which it could be asked";
                Err(RpcError::new(code::METHOD_NOT_FOUND, why))
            });
            let answer = read_answer(server, asked, outcome).map_err(ServerError::ended_by)?;
            asked.answer = Answer::Here(answer);
        }
        self.waited += since.elapsed();
        let over = std::mem::replace(&mut self.state, State::Over);
        let State::Asking { questions, state, .. } = over else { return Ok(()) };
        let mut answers = Vec::with_capacity(questions.len());
        for asked in questions {
            let Answer::Here(answer) = asked.answer else { continue };
            self.note_consent(&asked.params, &answer);
            answers.push((asked.key, answer));
        }
        self.call_again(&answers, state.as_ref());
        Ok(())
    }

    fn note_consent(&mut self, params: &Object, answer: &Json) {
        let accepted = answer
            .object()
            .is_some_and(|answer| answer.text("action").as_deref() == Some("accept"));
        if let Some(url) = params.text("url") {
            for page in self.pages.iter_mut().filter(|page| page.url == *url) {
                page.accepted = accepted;
            }
        }
    }

    /// Calls the server again: the same call under a new id, with the answers and the server's state.
    fn call_again(&mut self, answers: &[(String, Json)], state: Option<&Json>) {
        let mut call = self.call.clone();
        call.id = Id::text(&format!("{}-{}", call.correlation, self.rounds));
        let members: Vec<_> =
            answers.iter().map(|(key, answer)| Edit::set(key, answer.as_bytes())).collect();
        let responses = Object::empty().to_json(&members);
        if let Some(task) = &mut self.task {
            task.answered.extend(answers.iter().map(|(key, _)| key.clone()));
            let answers = [Edit::set("inputResponses", responses.as_bytes())];
            return self.look(Method::TasksUpdate, &answers);
        }
        let mut edits = Vec::with_capacity(2);
        if !members.is_empty() {
            edits.push(Edit::set("inputResponses", responses.as_bytes()));
        }
        if let Some(state) = state {
            edits.push(Edit::set("requestState", state.as_bytes()));
        }
        call.params = call.params.with(&edits);
        let callee = Arc::clone(&self.scene.callee);
        self.state = State::Calling(Box::pin(async move {
            let called = tokio::time::timeout(callee.timeout(), callee.call(&call)).await;
            called.unwrap_or(Err(ServerError::Timeout))
        }));
    }

    /// Tells a client of 2025-11-25 that the pages which it visited have done their work.
    fn complete_pages(&mut self) {
        if self.call.caller.version < Version::V2025_11_25 {
            return;
        }
        for page in self.pages.drain(..).filter(|page| page.accepted) {
            let id = Json::string(&page.id);
            let params = Object::empty().with(&[Edit::set("elicitationId", id.as_bytes())]);
            let notification = Notification {
                method: name::ELICITATION_COMPLETE.into(),
                params,
                meta: Object::empty(),
            };
            self.ready.push_back(Event::Notification(notification));
        }
    }
}

impl Drop for Driving {
    fn drop(&mut self) {
        self.end();
    }
}

/// The client's answer as a modern server takes it.
fn read_answer(server: &str, asked: &Asked, outcome: Outcome) -> Result<Json, Fault> {
    let result = outcome.map_err(|error| {
        Fault::new(
            Reason::InteractionRefused,
            format!(
                "the client did not answer what server `{server}` asked (`{}`): {} ({}); the call \
                 was given up",
                &*asked.method, error.message, error.code
            ),
        )
    })?;
    let answer = question::answer_for(&asked.method, &result, Version::LATEST).to_json(&[]);
    question::check_answer(&asked.method, &asked.params, &answer).map_err(|why| {
        Fault::new(
            Reason::InteractionRefused,
            format!(
                "the client's answer to what server `{server}` asked (`{}`) does not fit: {why}; \
                 the call was given up",
                &*asked.method
            ),
        )
    })?;
    Ok(answer)
}

impl std::fmt::Debug for Driving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driving").field("rounds", &self.rounds).finish_non_exhaustive()
    }
}
