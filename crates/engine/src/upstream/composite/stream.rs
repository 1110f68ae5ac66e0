//! A call of a composite tool on its way: which steps have ended, and then the answer.

use std::fmt;

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use wire::method::name;
use wire::{Json, Notification, Object, Outcome, meta};

use crate::call::Event;
use crate::upstream::ServerError;

/// A step that has ended.
#[derive(Debug)]
pub(crate) struct Told {
    /// Its name.
    pub(crate) step: String,
    /// How many have ended.
    pub(crate) ended: usize,
    /// How many there are.
    pub(crate) total: usize,
}

/// The running calls of one tool. Dropping it cancels them at their servers.
pub(crate) struct CompositeStream {
    run: BoxFuture<'static, Result<Outcome, ServerError>>,
    told: mpsc::Receiver<Told>,
    token: Json,
    /// How it ended, while there is something to be said before that.
    outcome: Option<Result<Outcome, ServerError>>,
}

impl CompositeStream {
    /// A stream of the progress that `run` tells under `token`, and of its outcome.
    pub(crate) fn new(
        run: BoxFuture<'static, Result<Outcome, ServerError>>,
        told: mpsc::Receiver<Told>,
        token: Json,
    ) -> Self {
        Self { run, told, token, outcome: None }
    }

    pub(crate) async fn next(&mut self) -> Result<Event, ServerError> {
        loop {
            // What was told before the end is said before it.
            if let Ok(told) = self.told.try_recv() {
                return Ok(Event::Notification(self.progress(&told)));
            }
            if let Some(outcome) = self.outcome.take() {
                return outcome.map(Event::Done);
            }
            tokio::select! {
                Some(told) = self.told.recv() => {
                    return Ok(Event::Notification(self.progress(&told)));
                }
                outcome = &mut self.run => self.outcome = Some(outcome),
            }
        }
    }

    fn progress(&self, told: &Told) -> Notification {
        let params = format!(
            "{{\"{}\":{},\"progress\":{},\"total\":{},\"message\":{}}}",
            meta::PROGRESS_TOKEN,
            self.token.as_str(),
            told.ended,
            told.total,
            Json::string(&told.step).as_str()
        );
        let params = Json::trusted(params).object().expect("written as an object");
        Notification { method: name::PROGRESS.into(), params, meta: Object::empty() }
    }
}

impl fmt::Debug for CompositeStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompositeStream").finish_non_exhaustive()
    }
}
