//! Calls that hear what their server says beside their stream.
//!
//! Many servers ask, and write log lines, on the standalone stream of a session instead of the stream
//! of the call that made them. Where exactly one call is under way that can be meant, it is meant.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use wire::shape::task;
use wire::{Json, Outcome};

use super::error::ServerError;
use super::reply::ReplyStream;
use crate::call::{Body, Event, Reply};

/// Messages that may wait for a slow client.
const HEARD_QUEUED: usize = 64;

/// How much later than the answer a line may come that was written before it.
const GRACE: Duration = Duration::from_millis(10);

/// The calls of one session that listen.
#[derive(Debug, Default)]
pub(super) struct Ears {
    open: Mutex<HashMap<u64, Ear>>,
    next: AtomicU64,
    /// Set once a log line came beside the stream of its call.
    logs_aside: AtomicBool,
}

#[derive(Debug)]
struct Ear {
    hears: Hears,
    /// Whether its client is asked already, or it is a task's: others are meant first.
    is_aside: bool,
    /// The task whose result it waits for.
    task: Option<String>,
    heard: Arc<Heard>,
}

/// What was said for one call and not read yet. Nearly all calls hear nothing, so an empty one takes
/// next to no memory, which a channel with room for its messages would.
#[derive(Debug, Default)]
struct Heard {
    events: Mutex<VecDeque<Event>>,
    arrived: Notify,
}

impl Heard {
    fn events(&self) -> std::sync::MutexGuard<'_, VecDeque<Event>> {
        self.events.lock().expect("no panic while holding what was heard")
    }

    /// Refuses the event if too many wait already.
    fn put(&self, event: Event) -> bool {
        {
            let mut events = self.events();
            if events.len() >= HEARD_QUEUED {
                return false;
            }
            events.push_back(event);
        }
        self.arrived.notify_one();
        true
    }

    /// The next event. Cancel safe: an event is either returned or still to come.
    async fn next(&self) -> Event {
        loop {
            let next = self.events().pop_front();
            if let Some(event) = next {
                return event;
            }
            self.arrived.notified().await;
        }
    }
}

/// What a call can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hears {
    pub(super) questions: bool,
    pub(super) logs: bool,
}

/// The only one, if there is exactly one.
fn sole<'e>(mut fit: impl Iterator<Item = &'e Ear>) -> Option<&'e Ear> {
    match (fit.next(), fit.next()) {
        (Some(ear), None) => Some(ear),
        _ => None,
    }
}

/// The registration of one call.
#[derive(Debug)]
pub(super) struct Open {
    ears: Arc<Ears>,
    number: u64,
    hears: Hears,
    heard: Arc<Heard>,
}

impl Ears {
    pub(super) fn open(self: &Arc<Self>, hears: Hears, task: Option<String>) -> Open {
        let heard = Arc::<Heard>::default();
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let ear = Ear { hears, is_aside: task.is_some(), task, heard: Arc::clone(&heard) };
        self.table().insert(number, ear);
        Open { ears: Arc::clone(self), number, hears, heard }
    }

    fn table(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Ear>> {
        self.open.lock().expect("no panic while holding the ears")
    }

    /// A log line came beside every call's stream.
    pub(super) fn logged_aside(&self) {
        self.logs_aside.store(true, Ordering::Relaxed);
    }

    /// Gives an event to the only call that can take it; drops it if there is none, or several.
    pub(super) fn offer(&self, takes: fn(Hears) -> bool, event: Event) -> bool {
        let table = self.table();
        let of_task = match &event {
            Event::Question(question) => task::related(&question.params),
            _ => None,
        };
        let named =
            of_task.and_then(|id| table.values().find(|ear| ear.task.as_ref() == Some(&id)));
        let meant = named
            .or_else(|| sole(table.values().filter(|ear| takes(ear.hears) && !ear.is_aside)))
            .or_else(|| sole(table.values().filter(|ear| takes(ear.hears))));
        meant.is_some_and(|ear| ear.heard.put(event))
    }

    /// The call waits for its client, or no longer does.
    fn waits_for_client(&self, number: u64, waits: bool) {
        if let Some(ear) = self.table().get_mut(&number) {
            ear.is_aside = waits || ear.task.is_some();
        }
    }
}

impl Open {
    /// How long to wait after the answer for lines that were written before it and come another way.
    fn grace(&self) -> Option<Duration> {
        (self.hears.logs && self.ears.logs_aside.load(Ordering::Relaxed)).then_some(GRACE)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.ears.table().remove(&self.number);
    }
}

/// The reply of a call that also hears what is said beside its stream.
pub(super) struct Eared {
    open: Open,
    answering: Answering,
    /// The client's own progress token, where it changed before there was a stream.
    token: Option<Json>,
}

enum Answering {
    /// The server has not answered yet.
    Awaited(BoxFuture<'static, Result<Reply, ServerError>>),
    Stream(Box<ReplyStream>),
    /// The answer is here; what was said before it may come until then.
    Answered {
        outcome: Option<Outcome>,
        until: Instant,
    },
    Over,
}

impl std::fmt::Debug for Eared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Eared").field("number", &self.open.number).finish_non_exhaustive()
    }
}

/// The first message of a call: its reply, or something that is said before.
pub(super) enum First {
    Reply(Reply),
    /// The event, and what is still to come.
    Aside(Event, Box<Eared>),
}

/// Waits for the first message of a call.
pub(super) async fn first(
    open: Open,
    mut answering: BoxFuture<'static, Result<Reply, ServerError>>,
) -> Result<First, ServerError> {
    let reply = tokio::select! {
        biased;
        event = open.heard.next() => {
            let eared = Eared { open, answering: Answering::Awaited(answering), token: None };
            return Ok(First::Aside(event, Box::new(eared)));
        }
        reply = &mut answering => reply?,
    };
    let stream = match (reply.body, open.grace()) {
        (Body::Stream(stream), _) => stream,
        (Body::Done(outcome), None) => {
            return Ok(First::Reply(Reply { body: Body::Done(outcome), ..reply }));
        }
        (Body::Done(outcome), Some(grace)) => {
            let until = Instant::now() + grace;
            let answering = Answering::Answered { outcome: Some(outcome), until };
            let stream = ReplyStream::eared(None, Eared { open, answering, token: None });
            return Ok(First::Reply(Reply { body: Body::Stream(stream), ..reply }));
        }
    };
    let eared = Eared { open, answering: Answering::Stream(Box::new(stream)), token: None };
    Ok(First::Reply(Reply { body: Body::Stream(ReplyStream::eared(None, eared)), ..reply }))
}

impl Eared {
    pub(super) async fn next(&mut self) -> Result<Event, ServerError> {
        loop {
            let heard = self.open.heard.next();
            match &mut self.answering {
                Answering::Awaited(answering) => {
                    let reply = tokio::select! {
                        biased;
                        event = heard => return Ok(event),
                        reply = answering => reply,
                    };
                    self.answering = Answering::Over;
                    match reply?.body {
                        Body::Done(outcome) => self.answered(outcome),
                        Body::Stream(mut stream) => {
                            if let Some(token) = self.token.take() {
                                stream.set_token(Some(token));
                            }
                            self.answering = Answering::Stream(Box::new(stream));
                        }
                    }
                }
                Answering::Stream(stream) => {
                    let event = tokio::select! {
                        biased;
                        event = heard => return Ok(event),
                        event = stream.next() => event?,
                    };
                    match event {
                        Event::Done(outcome) => self.answered(outcome),
                        event => return Ok(event),
                    }
                }
                Answering::Answered { outcome, until } => {
                    if let Ok(event) = timeout_at(*until, heard).await {
                        return Ok(event);
                    }
                    let outcome = outcome.take();
                    self.answering = Answering::Over;
                    if let Some(outcome) = outcome {
                        return Ok(Event::Done(outcome));
                    }
                }
                Answering::Over => {
                    return Err(ServerError::Closed("the answer has come already".into()));
                }
            }
        }
    }

    fn answered(&mut self, outcome: Outcome) {
        let until = Instant::now() + self.open.grace().unwrap_or_default();
        self.answering = Answering::Answered { outcome: Some(outcome), until };
    }

    pub(super) fn waits_for_client(&mut self, waits: bool) {
        self.open.ears.waits_for_client(self.open.number, waits);
        if let Answering::Stream(stream) = &mut self.answering {
            stream.waits_for_client(waits);
        }
    }

    pub(super) fn set_token(&mut self, token: Option<Json>) {
        match &mut self.answering {
            Answering::Stream(stream) => stream.set_token(token),
            // For the stream that is still to come.
            Answering::Awaited(_) => self.token = token,
            Answering::Answered { .. } | Answering::Over => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> Event {
        Event::Paused(Duration::ZERO)
    }

    #[tokio::test]
    async fn only_a_call_that_can_be_meant_hears() {
        let ears = Arc::<Ears>::default();
        let asked = |hears: Hears| hears.questions;
        assert!(!ears.offer(asked, line()), "nobody listens");
        let first = ears.open(Hears { questions: true, logs: false }, None);
        let logs = ears.open(Hears { questions: false, logs: true }, None);
        assert!(ears.offer(asked, line()));
        let second = ears.open(Hears { questions: true, logs: true }, None);
        assert!(!ears.offer(asked, line()), "two could be meant");
        drop(first);
        assert!(ears.offer(asked, line()), "one is left");
        second.heard.next().await;
        assert!(logs.heard.events().is_empty());
    }

    #[tokio::test]
    async fn a_call_that_does_not_listen_bounds_what_waits_for_it() {
        let ears = Arc::<Ears>::default();
        let open = ears.open(Hears { questions: false, logs: true }, None);
        let offer = || ears.offer(|hears| hears.logs, line());
        assert!((0..HEARD_QUEUED).all(|_| offer()));
        assert!(!offer());
        for _ in 0..HEARD_QUEUED {
            open.heard.next().await;
        }
        // Whoever waits is woken.
        let (_, offered) = tokio::join!(open.heard.next(), async { offer() });
        assert!(offered);
    }
}
