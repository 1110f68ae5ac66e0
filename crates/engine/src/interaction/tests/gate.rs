//! What is around the engine in the gate, for simulations: it sends calls as `exchange::dispatch`
//! does and passes replies on as `dialect::relay` does. With a flaw it does so wrongly, to show that
//! each rule can be seen to be broken.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::{Instant, sleep_until, timeout_at};
use wire::json::Edit;
use wire::{Era, Json, Object, Outcome};

use super::ledger::{Ledger, Rule, Tally};
use super::server::{Server, object};
use crate::call::{Body, Call, Event, Question, Reply};
use crate::fault::{Fault, Reason};
use crate::interaction::{self, Bounds, Callee, Lot, Resumed, Scene, bridge, resume};
use crate::upstream::{ReplyStream, ServerError};

/// The longest that any call may take, without the time in which people are asked.
const DEADLINE_MAX: Duration = Duration::from_mins(10);

/// What a gate could do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    RepeatsOnResume,
    RepeatsWhatExpired,
    RepeatsOnFailure,
    AnswersTwice,
    LosesAnswers,
    KeepsStreams,
    LeavesTasks,
    MakesUpSuccess,
    MakesUpFailure,
    ResumesTwice,
    MixesAnswers,
    ParksForEver,
    AsksNothing,
    AsksWithoutEnd,
    ParksWithoutEnd,
    ForgetsDeclines,
    RefusesSome,
}

/// How a request ends for its client.
#[derive(Clone, Debug)]
pub(super) enum End {
    Success,
    /// The tool failed.
    Failure,
    /// The client is to come back with answers, from this moment on.
    Asked(Object, Instant),
    /// An error of the server.
    Error,
    Fault(Reason),
    /// The client gave it up.
    GivenUp,
}

impl End {
    fn of(outcome: &Outcome) -> Self {
        match outcome {
            Err(_) => Self::Error,
            Ok(result) if result.text("resultType").as_deref() == Some("input_required") => {
                Self::Asked(result.clone(), Instant::now())
            }
            Ok(result) if result.has("isError") => Self::Failure,
            Ok(_) => Self::Success,
        }
    }

    pub(super) fn tally(&self) -> Tally {
        match self {
            Self::Success => Tally::Success,
            Self::Failure => Tally::Failure,
            Self::Asked(..) => Tally::Asked,
            Self::Error => Tally::Error,
            Self::Fault(reason) => (*reason).into(),
            Self::GivenUp => Tally::GivenUp,
        }
    }

    pub(super) fn is_fault(&self, reason: Reason) -> bool {
        matches!(self, Self::Fault(this) if *this == reason)
    }
}

pub(super) struct Gate {
    pub(super) server: Server,
    pub(super) lot: Arc<Lot>,
    pub(super) bounds: Bounds,
    pub(super) ledger: Ledger,
    pub(super) flaw: Option<Flaw>,
}

impl Gate {
    fn is(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    fn scene(&self) -> Scene {
        let mut bounds = self.bounds;
        if self.is(Flaw::ParksForEver) {
            bounds.wait *= 100_000;
        }
        if self.is(Flaw::AsksWithoutEnd) {
            bounds.rounds += 1_000;
        }
        if self.is(Flaw::ParksWithoutEnd) {
            bounds.parked += 1_000;
        }
        Scene { lot: Arc::clone(&self.lot), callee: Arc::new(self.server.clone()), bounds }
    }

    /// As `exchange::dispatch::send`.
    async fn send(&self, call: &Call) -> Result<Reply, Fault> {
        if self.is(Flaw::RefusesSome) && call.id.as_u64().is_some_and(|id| id % 5 == 4) {
            return Err(Fault::new(Reason::Overloaded, "no"));
        }
        let mut rounds = 0;
        if let Some(name) = &call.resumes
            && !self.is(Flaw::RepeatsOnResume)
        {
            if self.is(Flaw::ResumesTwice) {
                drop(resume(self.scene(), call, name).await);
            }
            match resume(self.scene(), call, name).await {
                Ok(Resumed::Reply(reply)) => return Ok(reply),
                Ok(Resumed::Again(asked)) => rounds = asked,
                Err(fault)
                    if self.is(Flaw::ForgetsDeclines)
                        && fault.reason == Reason::InteractionRefused => {}
                Err(fault)
                    if self.is(Flaw::RepeatsWhatExpired)
                        && fault.reason == Reason::InteractionExpired => {}
                Err(fault) => return Err(fault),
            }
        }
        let mut sent = timeout_at(call.deadline, self.server.call(call)).await;
        if self.is(Flaw::RepeatsOnFailure) && !matches!(sent, Ok(Ok(_))) {
            sent = Ok(self.server.call(call).await);
        }
        let reply = sent.unwrap_or(Err(ServerError::Timeout));
        let reply = reply.map_err(|error| error.to_fault(self.server.name()))?;
        if reply.era() == call.caller.era() || !call.method.may_ask() {
            return Ok(reply);
        }
        bridge(self.scene(), call, reply, rounds)
    }

    /// Takes one request of a client to its end, and writes that into the ledger.
    pub(super) async fn request(
        &self,
        number: usize,
        request: usize,
        mut call: Call,
        ask: &mut (dyn FnMut(Question) + Send),
    ) -> End {
        if self.is(Flaw::LeavesTasks) {
            tokio::spawn(std::future::pending::<()>());
        }
        if self.is(Flaw::MixesAnswers) {
            mix_answers(&mut call);
        }
        let mut end = match self.send(&call).await {
            Err(fault) => End::Fault(fault.reason),
            Ok(Reply { body: Body::Done(outcome), .. }) => End::of(&outcome),
            Ok(Reply { body: Body::Stream(stream), .. }) => {
                self.relay(number, &call, stream, ask).await
            }
        };
        match self.flaw {
            Some(Flaw::LosesAnswers) if request % 4 == 3 => return end,
            Some(Flaw::MakesUpSuccess) if end.is_fault(Reason::InteractionExpired) => {
                end = End::Success;
            }
            Some(Flaw::MakesUpFailure) if end.is_fault(Reason::InteractionExpired) => {
                end = End::Failure;
            }
            Some(Flaw::AsksNothing) => {
                if let End::Asked(result, _) = &mut end {
                    *result = result.with(&[Edit::remove("inputRequests")]);
                }
            }
            _ => {}
        }
        if self.lot.count() > self.bounds.parked {
            self.ledger.broke(number, Rule::LotIsBounded, "more calls are parked than may be");
        }
        // The first call, and one more for each round.
        let most = usize::try_from(self.bounds.rounds).expect("a few") + 1;
        if call.caller.era() == Era::Legacy && self.ledger.arrivals(number) > most {
            self.ledger.broke(number, Rule::RoundsAreBounded, "called again too often");
        }
        if let End::Asked(result, _) = &end
            && self.server.era() == Era::Legacy
            && result.object("inputRequests").is_none_or(|requests| requests.is_empty())
        {
            self.ledger.broke(number, Rule::SomethingAsked, "a client is asked nothing");
        }
        let what = match &end {
            // States are random names: they would make each trace another.
            End::Asked(result, _) => {
                let asked = interaction::questions_of(result).unwrap_or_default();
                let keys: Vec<_> = asked.iter().map(|(key, ..)| key.as_str()).collect();
                format!("asked {keys:?}")
            }
            end => format!("{end:?}"),
        };
        self.ledger.ended(number, request, end.tally(), &what);
        if self.is(Flaw::AnswersTwice) {
            self.ledger.ended(number, request, end.tally(), &what);
        }
        end
    }

    /// As `dialect::relay`.
    async fn relay(
        &self,
        number: usize,
        call: &Call,
        mut stream: ReplyStream,
        ask: &mut (dyn FnMut(Question) + Send),
    ) -> End {
        let silence = self.server.timeout();
        let drives = call.caller.era() == Era::Legacy && self.server.era() == Era::Modern;
        let mut latest = Instant::now() + DEADLINE_MAX;
        let mut deadline = Instant::now() + silence;
        loop {
            let until = if drives { latest } else { deadline.min(latest) };
            let event = tokio::select! {
                biased;
                event = stream.next() => event,
                () = sleep_until(until) => Err(ServerError::Timeout),
            };
            deadline = Instant::now() + silence;
            let end = match event {
                Ok(Event::Notification(_) | Event::Paused(_)) => continue,
                Ok(Event::Question(question)) => {
                    latest = latest.max(deadline + self.bounds.wait);
                    deadline = latest;
                    ask(question);
                    continue;
                }
                Ok(Event::Done(outcome)) => End::of(&outcome),
                Err(error) => End::Fault(error.to_fault(self.server.name()).reason),
            };
            if let Some(Ok(Event::Done(_))) = stream.next().now_or_never() {
                self.ledger.broke(number, Rule::AnsweredOnce, "the reply ends a second time");
            }
            if self.is(Flaw::KeepsStreams) {
                std::mem::forget(stream);
            }
            return end;
        }
    }
}

/// Gives each answer the mark of no question.
fn mix_answers(call: &mut Call) {
    let Some(answers) = call.params.object("inputResponses") else { return };
    let mixed: Vec<_> = answers
        .members()
        .filter_map(|(key, answer)| {
            let answer = answer.object()?;
            let meta = object("{\"mark\":\"mixed\"}".to_owned()).to_json(&[]);
            Some((key.into_owned(), answer.to_json(&[Edit::set("_meta", meta.as_bytes())])))
        })
        .collect();
    let edits: Vec<_> =
        mixed.iter().map(|(key, answer)| Edit::set(key, answer.as_bytes())).collect();
    let mixed: Json = answers.to_json(&edits);
    call.params = call.params.with(&[Edit::set("inputResponses", mixed.as_bytes())]);
}
