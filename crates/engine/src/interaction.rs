//! Questions of servers in the middle of calls, where client and server are of different eras.
//!
//! Two faces of one thing. A legacy server asks on the stream of its call and waits: [`park`] keeps
//! the call in the [`lot`] while a modern client is told `input_required`, until the client's next
//! call brings the answers. A modern server answers `input_required` and forgets: [`drive`] asks a
//! legacy client on the stream of its call, and calls the server again with the answers. Both have
//! the same bounds, and neither ever makes a call twice that the server may have executed.

mod drive;
mod lot;
mod pages;
mod park;
mod screen;
pub(crate) mod task;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use wire::Era;

pub(crate) use drive::Driving;
pub(crate) use lot::Lot;
pub(crate) use pages::{pages_of, unvisited_pages};
pub(crate) use park::{Parking, Resumed, resume};
pub(crate) use screen::{Unfit, questions_of, screen};
pub(crate) use task::Following;

use crate::call::{Call, Reply};
use crate::fault::Fault;
use crate::upstream::ServerError;

/// The bounds of what one call may ask.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// How often.
    pub(crate) rounds: u32,
    /// How long each question waits for its answer.
    pub(crate) wait: Duration,
    /// How many calls may wait for modern clients at once.
    pub(crate) parked: usize,
}

impl Bounds {
    pub(crate) fn of(limits: &config::Limits) -> Self {
        Self {
            rounds: u32::try_from(limits.interaction_rounds).unwrap_or(u32::MAX),
            wait: limits.answer_wait.get(),
            parked: limits.parked_calls,
        }
    }
}

/// A server as interactions see it: something that is called again.
pub(crate) trait Callee: Send + Sync {
    /// The name in the configuration.
    fn name(&self) -> &Arc<str>;
    /// How long it may take until its first message.
    fn timeout(&self) -> Duration;
    /// Whether it may ask for secrets in forms.
    fn secret_forms(&self) -> config::SecretForms;
    /// Makes a call.
    fn call<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Result<Reply, ServerError>>;
}

/// Where a call's interaction takes place.
#[derive(Clone)]
pub(crate) struct Scene {
    pub(crate) lot: Arc<Lot>,
    pub(crate) callee: Arc<dyn Callee>,
    pub(crate) bounds: Bounds,
}

/// Makes the questions of a reply answerable for the client of `call`, which has been asked `rounds`
/// times before. Where the eras agree nothing changes.
pub(crate) fn bridge(scene: Scene, call: &Call, reply: Reply, rounds: u32) -> Result<Reply, Fault> {
    match (call.caller.era(), reply.era()) {
        (Era::Modern, Era::Legacy) => park::bridge(scene, call, reply, rounds),
        (Era::Legacy, Era::Modern) => drive::bridge(scene, call, reply),
        _ => Ok(reply),
    }
}
