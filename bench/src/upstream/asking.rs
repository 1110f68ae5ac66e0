//! Calls that ask their client before they do anything, and the tally of what was done for whom.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

/// What was asked and done, by the echo that tells calls apart.
#[derive(Debug, Default)]
pub(super) struct Asking {
    calls: Mutex<HashMap<String, Asked>>,
}

/// What became of one echo.
#[derive(Debug, Default)]
struct Asked {
    made: u32,
    executed: u32,
    waiting: Option<oneshot::Sender<bool>>,
}

/// How often calls that ask were made and executed.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Different calls.
    pub calls: usize,
    /// Requests that made them.
    pub made: u32,
    /// How often one of them was executed.
    pub executed: u32,
    /// Calls that were executed more than once.
    pub repeated: usize,
}

impl Asking {
    fn calls(&self) -> MutexGuard<'_, HashMap<String, Asked>> {
        // A tally has no state between two counts that a panic could leave behind.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call was made; resolves with whether the client accepted, or never when it was made again.
    pub(super) fn ask(&self, echo: &str) -> oneshot::Receiver<bool> {
        let (waiting, answered) = oneshot::channel();
        let mut calls = self.calls();
        let asked = calls.entry(echo.to_owned()).or_default();
        asked.made += 1;
        asked.waiting = Some(waiting);
        answered
    }

    /// The client answered; one that answers twice is heard once.
    pub(super) fn answer(&self, echo: &str, accepted: bool) {
        let waiting = self.calls().get_mut(echo).and_then(|asked| asked.waiting.take());
        if let Some(waiting) = waiting {
            // A call whose stream was closed needs no answer.
            let _ = waiting.send(accepted);
        }
    }

    /// Does what the call is for: its one effect is that it is counted.
    pub(super) fn execute(&self, echo: &str) {
        self.calls().entry(echo.to_owned()).or_default().executed += 1;
    }

    pub(super) fn tally(&self) -> Tally {
        let calls = self.calls();
        let mut tally = Tally { calls: calls.len(), ..Tally::default() };
        for asked in calls.values() {
            tally.made += asked.made;
            tally.executed += asked.executed;
            tally.repeated += usize::from(asked.executed > 1);
        }
        tally
    }
}
