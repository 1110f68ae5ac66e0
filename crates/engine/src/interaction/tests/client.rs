//! Simulated clients of both eras: they come back early, late, twice, with nonsense, or not at all.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use wire::method::name;
use wire::{Era, Id, Json, Method, Object, RpcError, Version, code};

use super::chance::Chance;
use super::gate::{End, Gate};
use super::ledger::{Rule, Tally};
use super::server::{OWN_STATE, object};
use crate::call::{Call, Caller, Correlation, Principal, Question};
use crate::fault::Reason;
use crate::interaction::{self, Callee as _};

/// Longer than any request may take.
const FOR_EVER: Duration = Duration::from_hours(12);
/// How often one client comes back.
const RETURNS_MAX: usize = 24;

/// A client that makes one call.
pub(super) struct Client {
    pub(super) gate: Arc<Gate>,
    /// The number of its call.
    pub(super) call: usize,
    pub(super) version: Version,
    /// Whether it can be asked anything.
    pub(super) able: bool,
    /// Whether it means well and is quick.
    pub(super) calm: bool,
    pub(super) chance: Chance,
}

/// What a client was asked.
struct Asked {
    state: Option<String>,
    questions: Vec<(String, String, Object)>,
    at: Instant,
}

/// How a client comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Return {
    Rightly,
    Never,
    SeveralAtOnce,
    WithNonsense,
    WithoutSome,
    WithMore,
    Declining,
    WithAnOldState,
    WithAMadeUpState,
    AndGoesAway,
}

impl Return {
    /// Whether everything is answered with yes.
    fn agrees(self) -> bool {
        matches!(self, Self::Rightly | Self::WithMore | Self::SeveralAtOnce | Self::AndGoesAway)
    }
}

impl Asked {
    /// Whether pages are to be visited before the server takes the call: its own questions have a
    /// mark, which their answers repeat.
    fn is_to_visit(&self) -> bool {
        self.questions.iter().all(|(_, _, params)| mark_of(params).is_empty())
    }
}

impl Client {
    pub(super) async fn run(mut self) {
        if !self.chance.one_in(3) {
            sleep(self.chance.millis(0, 30)).await;
        }
        self.chance.dawdle().await;
        let end = if self.gives_up() {
            self.give_up(None, "calls and goes away", None).await
        } else {
            self.request(None, "calls", None).await
        };
        let end = match self.version.era() {
            Era::Legacy => end,
            Era::Modern => self.come_back(end).await,
        };
        if self.calm && !matches!(end, End::Success) {
            let how = format!("it ended with {:?}", end.tally());
            self.gate.ledger.broke(self.call, Rule::CalmSucceeds, &how);
        }
    }

    fn gives_up(&mut self) -> bool {
        !self.calm && self.chance.one_in(12)
    }

    /// Comes back for as long as it is asked.
    async fn come_back(&mut self, first: End) -> End {
        let mut end = first;
        let mut old_states: Vec<String> = Vec::new();
        let mut was_odd = false;
        let mut rounds = 0;
        for _ in 0..RETURNS_MAX {
            let End::Asked(result, at) = &end else { return end };
            let asked = Asked {
                state: result.text("requestState").map(std::borrow::Cow::into_owned),
                questions: interaction::questions_of(result).unwrap_or_default(),
                at: *at,
            };
            if asked.state.is_none() {
                return end;
            }
            // A modern server's own states are no matter of the engine.
            let own = asked.state.as_ref().is_some_and(|state| state.starts_with(OWN_STATE));
            if !own && !was_odd {
                rounds += 1;
                if rounds > self.gate.bounds.rounds {
                    let how = format!("asked for the {rounds}th time");
                    self.gate.ledger.broke(self.call, Rule::RoundsAreBounded, &how);
                }
            }
            let wait = self.gate.bounds.wait;
            sleep(self.pause(wait, was_odd || own)).await;
            self.chance.dawdle().await;
            let way = if self.calm || own { Return::Rightly } else { self.way() };
            if way.agrees() && asked.is_to_visit() && asked.at.elapsed() <= wait {
                self.gate.ledger.agrees_to_visit(self.call);
            }
            was_odd = matches!(
                way,
                Return::WithNonsense | Return::WithAnOldState | Return::WithAMadeUpState
            );
            end = match way {
                Return::Never => return End::GivenUp,
                Return::Rightly => self.sole_return(&asked, &Self::right(&asked), way).await,
                Return::WithMore => {
                    let mut answers = Self::right(&asked);
                    for number in 1..=9 {
                        let key = format!("q{number}");
                        if answers.iter().all(|(known, _)| *known != key) {
                            answers.push((key, right_answer(name::ROOTS_LIST, "never asked")));
                        }
                    }
                    self.sole_return(&asked, &answers, way).await
                }
                Return::WithoutSome => {
                    let mut answers = Self::right(&asked);
                    let kept = self.chance.between(0, answers.len().saturating_sub(1) as u64);
                    answers.truncate(usize::try_from(kept).expect("a few"));
                    self.sole_return(&asked, &answers, way).await
                }
                Return::Declining => {
                    let decline = "{\"action\":\"decline\"}".to_owned();
                    let answers = Self::right(&asked).into_iter().zip(&asked.questions);
                    let answers: Vec<_> = answers
                        .map(|((key, answer), (_, method, _))| match method.as_str() {
                            name::ELICIT => (key, decline.clone()),
                            _ => (key, answer),
                        })
                        .collect();
                    self.sole_return(&asked, &answers, way).await
                }
                Return::SeveralAtOnce => self.several(&asked).await,
                Return::WithNonsense => {
                    self.nonsense(&asked).await;
                    end
                }
                Return::WithAnOldState | Return::WithAMadeUpState => {
                    let made_up = format!("{:032x}", self.chance.between(0, u64::MAX - 1));
                    let state = match way {
                        Return::WithAnOldState => old_states.last().cloned().unwrap_or(made_up),
                        _ => made_up,
                    };
                    self.foreign(&asked, state).await;
                    end
                }
                Return::AndGoesAway => {
                    let answers = Self::right(&asked);
                    let what = format!("{way:?}");
                    let gone = self.give_up(asked.state.clone(), &what, Some(&answers)).await;
                    if self.chance.one_in(2) {
                        return gone;
                    }
                    // Whether the first still found the call is a matter of chance.
                    self.request(asked.state.clone(), "comes back after all", Some(&answers)).await
                }
            };
            if !was_odd {
                old_states.extend(asked.state);
            }
        }
        end
    }

    fn way(&mut self) -> Return {
        self.chance.pick(&[
            Return::Rightly,
            Return::Rightly,
            Return::Rightly,
            Return::Rightly,
            Return::Rightly,
            Return::SeveralAtOnce,
            Return::SeveralAtOnce,
            Return::WithNonsense,
            Return::WithoutSome,
            Return::WithMore,
            Return::Declining,
            Return::WithAnOldState,
            Return::WithAMadeUpState,
            Return::AndGoesAway,
            Return::Never,
        ])
    }

    /// How long it takes: often no time at all, and often just as long as it may, or a little longer.
    fn pause(&mut self, wait: Duration, soon: bool) -> Duration {
        if self.calm || soon {
            return self.chance.millis(0, 1_000).min(wait / 2);
        }
        let tick = Duration::from_millis(1);
        let most = u64::try_from(wait.as_millis()).expect("minutes");
        match self.chance.between(0, 9) {
            0 | 1 => Duration::ZERO,
            2 | 3 => self.chance.millis(1, 20),
            4 => wait.saturating_sub(tick),
            5 => wait,
            6 => wait + tick,
            7 => self.chance.millis(most, most * 3),
            _ => self.chance.millis(0, most),
        }
    }

    /// Comes back alone: in time it is heard, and too late it is told so.
    async fn sole_return(&self, asked: &Asked, answers: &[(String, String)], way: Return) -> End {
        let (elapsed, wait) = (asked.at.elapsed(), self.gate.bounds.wait);
        let what = format!("comes back after {} ms ({way:?})", elapsed.as_millis());
        let end = self.request(asked.state.clone(), &what, Some(answers)).await;
        if asked.state.as_ref().is_some_and(|state| state.starts_with(OWN_STATE)) {
            return end;
        }
        let expired = end.is_fault(Reason::InteractionExpired);
        if elapsed < wait && expired && !self.gate.ledger.has_died() {
            self.gate.ledger.broke(self.call, Rule::StillThere, "it was in time, and not heard");
        }
        if elapsed > wait && !expired {
            self.gate.ledger.broke(self.call, Rule::ToldWhy, "it was too late, and not told so");
        }
        end
    }

    /// Comes back several times at once with one state: at most one goes on, and in time exactly one.
    async fn several(&mut self, asked: &Asked) -> End {
        let (elapsed, wait) = (asked.at.elapsed(), self.gate.bounds.wait);
        let answers = Self::right(asked);
        let times = self.chance.between(2, 4);
        let mut chances: Vec<_> = (0..times).map(|_| self.chance.fork()).collect();
        let this = &*self;
        let returns = chances.iter_mut().map(|chance| async {
            if chance.one_in(3) {
                sleep(chance.millis(0, 15)).await;
            }
            chance.dawdle().await;
            this.request(asked.state.clone(), "comes back, among several", Some(&answers)).await
        });
        let ends = futures_util::future::join_all(returns).await;
        let mut heard = ends.into_iter().filter(|end| !end.is_fault(Reason::InteractionExpired));
        let first = heard.next();
        if heard.next().is_some() {
            self.gate.ledger.broke(self.call, Rule::ContinuedOnce, "two went on with one call");
        }
        if first.is_none()
            && elapsed + Duration::from_millis(15) < wait
            && !self.gate.ledger.has_died()
        {
            self.gate.ledger.broke(self.call, Rule::StillThere, "in time, and none was heard");
        }
        first.unwrap_or(End::Fault(Reason::InteractionExpired))
    }

    /// Answers in a wrong shape are refused, and the call stays where it is.
    async fn nonsense(&mut self, asked: &Asked) {
        let (elapsed, wait) = (asked.at.elapsed(), self.gate.bounds.wait);
        let mut answers = Self::right(asked);
        let Some(last) = answers.last_mut() else { return };
        let wrong = ["7", "\"accept\"", "{\"action\":\"maybe\",\"role\":1,\"roots\":2}", "[]"];
        self.chance.pick(&wrong).clone_into(&mut last.1);
        let end =
            self.request(asked.state.clone(), "comes back with nonsense", Some(&answers)).await;
        let told = match &end {
            End::Fault(Reason::InvalidParams) => elapsed <= wait,
            End::Fault(Reason::InteractionExpired) => elapsed >= wait,
            _ => false,
        };
        if !told {
            let how = format!("nonsense ended with {:?}", end.tally());
            self.gate.ledger.broke(self.call, Rule::ToldWhy, &how);
        }
    }

    /// A state that names no parked call, or one that went on already, finds nothing.
    async fn foreign(&self, asked: &Asked, state: String) {
        let answers = Self::right(asked);
        let end =
            self.request(Some(state), "comes back with a foreign state", Some(&answers)).await;
        if !end.is_fault(Reason::InteractionExpired) {
            let how = format!("a foreign state ended with {:?}", end.tally());
            self.gate.ledger.broke(self.call, Rule::ToldWhy, &how);
        }
    }

    /// Answers that fit.
    fn right(asked: &Asked) -> Vec<(String, String)> {
        let answer = |(key, method, params): &(String, String, Object)| {
            (key.clone(), right_answer(method, &mark_of(params)))
        };
        asked.questions.iter().map(answer).collect()
    }

    /// Makes a request and waits for its end.
    async fn request(
        &self,
        state: Option<String>,
        what: &str,
        answers: Option<&[(String, String)]>,
    ) -> End {
        let request = self.gate.ledger.requested(self.call, what);
        let call = self.to_call(request, state, answers);
        let mut chance = self.chance.clone();
        let mut ask = |question| self.asked_live(question, chance.fork());
        let end = timeout(FOR_EVER, self.gate.request(self.call, request, call, &mut ask)).await;
        // The ledger knows that it had no end.
        end.unwrap_or(End::GivenUp)
    }

    /// Makes a request and drops it on the way, if it has not ended by then.
    async fn give_up(
        &mut self,
        state: Option<String>,
        what: &str,
        answers: Option<&[(String, String)]>,
    ) -> End {
        let patience = match self.chance.between(0, 3) {
            0 => Duration::ZERO,
            1 => self.chance.millis(0, 12),
            _ => self.chance.millis(0, 30_000),
        };
        let request = self.gate.ledger.requested(self.call, what);
        let call = self.to_call(request, state, answers);
        let mut chance = self.chance.fork();
        let mut dawdling = chance.fork();
        let mut ask = |question| self.asked_live(question, chance.fork());
        tokio::select! {
            biased;
            end = self.gate.request(self.call, request, call, &mut ask) => end,
            () = async { sleep(patience).await; dawdling.dawdle().await } => {
                self.gate.ledger.ended(self.call, request, Tally::GivenUp, "the client goes away");
                End::GivenUp
            }
        }
    }

    fn to_call(
        &self,
        request: usize,
        state: Option<String>,
        answers: Option<&[(String, String)]>,
    ) -> Call {
        let mut members = vec![
            "\"name\":\"act\"".to_owned(),
            format!("\"arguments\":{{\"call\":{}}}", self.call),
        ];
        if let Some(answers) = answers {
            let answers: Vec<_> =
                answers.iter().map(|(key, answer)| format!("\"{key}\":{answer}")).collect();
            members.push(format!("\"inputResponses\":{{{}}}", answers.join(",")));
        }
        // As `exchange::opaque` tells them apart.
        let (own, parked) = match state {
            Some(state) if state.starts_with(OWN_STATE) => (Some(state), None),
            state => (None, state),
        };
        if let Some(own) = own {
            members.push(format!("\"requestState\":\"{own}\""));
        }
        let capabilities = if self.able {
            "{\"elicitation\":{\"form\":{},\"url\":{}},\"sampling\":{},\"roots\":{}}"
        } else {
            "{}"
        };
        Call {
            id: Id::from(request as u64),
            method: Method::ToolsCall,
            method_name: "tools/call".into(),
            params: object(format!("{{{}}}", members.join(","))),
            meta: Object::empty(),
            param_headers: Vec::new(),
            forwarded: Vec::new(),
            caller: Caller {
                version: self.version,
                principal: Principal::anonymous(),
                capabilities: Json::trusted(capabilities.to_owned()),
                info: None,
                log_level: None,
                conversation: None,
            },
            resumes: parked,
            as_task: false,
            deadline: Instant::now() + self.gate.server.timeout(),
            correlation: Correlation::fresh(),
        }
    }

    /// A legacy client is asked on the stream of its call, and answers by another way.
    fn asked_live(&self, question: Question, mut chance: Chance) {
        let Question { method, params, answer } = question;
        let right = Ok(object(right_answer(&method, &mark_of(&params))));
        let wait = self.gate.bounds.wait;
        let most = u64::try_from(wait.as_millis()).expect("minutes");
        let (pause, outcome) = match chance.between(0, 11) {
            _ if self.calm => (chance.millis(0, 500), Some(right)),
            0 => (chance.millis(0, 100), None),
            1 => (chance.millis(0, 100), Some(Ok(object("{\"action\":\"maybe\"}".to_owned())))),
            2 => (chance.millis(0, 100), Some(Err(RpcError::new(code::INTERNAL_ERROR, "no")))),
            3 => (chance.millis(most, 2 * most), Some(right)),
            4 => (wait, Some(right)),
            5 => (2 * wait, None),
            6 => (chance.millis(0, 50), Some(Ok(object("{\"action\":\"decline\"}".to_owned())))),
            _ => (chance.millis(0, most / 2), Some(right)),
        };
        tokio::spawn(async move {
            sleep(pause).await;
            chance.dawdle().await;
            if let Some(outcome) = outcome {
                // Late answers find nobody.
                let _ = answer.send(outcome);
            }
        });
    }
}

/// What the question says, for its answer to repeat.
fn mark_of(params: &Object) -> String {
    let meta = params.object("_meta");
    meta.and_then(|meta| Some(meta.text("mark")?.into_owned())).unwrap_or_default()
}

fn right_answer(method: &str, mark: &str) -> String {
    let meta = format!("\"_meta\":{{\"mark\":\"{mark}\"}}");
    match method {
        name::ELICIT => {
            format!("{{\"action\":\"accept\",\"content\":{{\"mark\":\"{mark}\"}},{meta}}}")
        }
        name::CREATE_MESSAGE => format!(
            "{{\"role\":\"assistant\",\"model\":\"m\",\
             \"content\":{{\"type\":\"text\",\"text\":\"\"}},{meta}}}"
        ),
        _ => format!("{{\"roots\":[],{meta}}}"),
    }
}
