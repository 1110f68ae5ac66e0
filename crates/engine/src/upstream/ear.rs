//! Calls that hear what their server says beside their stream.
//!
//! Many servers ask, and write log lines, on the standalone stream of a session instead of the stream
//! of the call that made them. Where exactly one call is under way that can be meant, it is meant.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use wire::Json;

use super::error::ServerError;
use super::reply::ReplyStream;
use crate::call::{Body, Event, Reply};

/// Messages that may wait for a slow client.
const HEARD_QUEUED: usize = 64;

/// The calls of one session that listen.
#[derive(Debug, Default)]
pub(super) struct Ears {
    open: Mutex<HashMap<u64, Ear>>,
    next: AtomicU64,
}

#[derive(Debug)]
struct Ear {
    hears: Hears,
    events: mpsc::Sender<Event>,
}

/// What a call can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hears {
    pub(super) questions: bool,
    pub(super) logs: bool,
}

/// The registration of one call.
#[derive(Debug)]
pub(super) struct Open {
    ears: Arc<Ears>,
    number: u64,
    events: mpsc::Receiver<Event>,
}

impl Ears {
    pub(super) fn open(self: &Arc<Self>, hears: Hears) -> Open {
        let (sender, events) = mpsc::channel(HEARD_QUEUED);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.table().insert(number, Ear { hears, events: sender });
        Open { ears: Arc::clone(self), number, events }
    }

    fn table(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Ear>> {
        self.open.lock().expect("no panic while holding the ears")
    }

    /// Gives an event to the only call that can take it; gives it back if there is none, or several.
    pub(super) fn offer(&self, takes: fn(Hears) -> bool, event: Event) -> Result<(), Event> {
        let table = self.table();
        let mut fit = table.values().filter(|ear| takes(ear.hears));
        let (Some(ear), None) = (fit.next(), fit.next()) else { return Err(event) };
        ear.events.try_send(event).map_err(mpsc::error::TrySendError::into_inner)
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
}

enum Answering {
    /// The server has not answered yet.
    Awaited(BoxFuture<'static, Result<Reply, ServerError>>),
    Stream(Box<ReplyStream>),
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
    Aside(Event, Eared),
}

/// Waits for the first message of a call.
pub(super) async fn first(
    mut open: Open,
    mut answering: BoxFuture<'static, Result<Reply, ServerError>>,
) -> Result<First, ServerError> {
    let reply = tokio::select! {
        biased;
        reply = &mut answering => reply?,
        Some(event) = open.events.recv() => {
            let eared = Eared { open, answering: Answering::Awaited(answering) };
            return Ok(First::Aside(event, eared));
        }
    };
    let Body::Stream(stream) = reply.body else { return Ok(First::Reply(reply)) };
    let eared = Eared { open, answering: Answering::Stream(Box::new(stream)) };
    Ok(First::Reply(Reply { body: Body::Stream(ReplyStream::eared(None, eared)), ..reply }))
}

impl Eared {
    pub(super) async fn next(&mut self) -> Result<Event, ServerError> {
        loop {
            let heard = self.open.events.recv();
            match &mut self.answering {
                Answering::Awaited(answering) => {
                    let reply = tokio::select! {
                        biased;
                        Some(event) = heard => return Ok(event),
                        reply = answering => reply,
                    };
                    self.answering = Answering::Over;
                    match reply?.body {
                        Body::Done(outcome) => return Ok(Event::Done(outcome)),
                        Body::Stream(stream) => {
                            self.answering = Answering::Stream(Box::new(stream));
                        }
                    }
                }
                Answering::Stream(stream) => {
                    return tokio::select! {
                        biased;
                        Some(event) = heard => Ok(event),
                        event = stream.next() => event,
                    };
                }
                Answering::Over => {
                    return Err(ServerError::Closed("the answer has come already".into()));
                }
            }
        }
    }

    pub(super) fn give_up_place(&mut self) {
        if let Answering::Stream(stream) = &mut self.answering {
            stream.give_up_place();
        }
    }

    pub(super) fn set_token(&mut self, token: Option<Json>) {
        if let Answering::Stream(stream) = &mut self.answering {
            stream.set_token(token);
        }
    }
}
