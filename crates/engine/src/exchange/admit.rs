//! Bounds on what callers hold at once: calls in flight, and open streams.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::fault::{Fault, Reason};
use crate::gate::Gate;
use crate::plan::Snapshot;

/// A call in flight; counted until dropped.
#[derive(Debug)]
pub(crate) struct Admitted {
    _counted: Counted,
}

/// An open stream; counted until dropped.
#[derive(Debug)]
pub(crate) struct StreamPlace {
    _counted: Counted,
}

struct Counted {
    gate: Arc<Gate>,
    counter: fn(&Gate) -> &AtomicUsize,
}

impl Admitted {
    pub(crate) fn enter(gate: &Arc<Gate>, snapshot: &Snapshot) -> Result<Self, Fault> {
        if gate.is_draining() {
            return Err(Fault::new(
                Reason::ShuttingDown,
                "the gate is going down; connect again and repeat the request",
            ));
        }
        let most = snapshot.limits.calls_anonymous;
        let counted = Counted::enter(gate, |gate| &gate.calls, most);
        counted.map(|counted| Self { _counted: counted }).ok_or_else(|| {
            Fault::new(Reason::Overloaded, format!("{most} calls are running; try again later"))
        })
    }
}

impl StreamPlace {
    pub(crate) fn enter(gate: &Arc<Gate>, snapshot: &Snapshot) -> Result<Self, Fault> {
        let most = snapshot.limits.streams_anonymous;
        let counted = Counted::enter(gate, |gate| &gate.streams, most);
        counted.map(|counted| Self { _counted: counted }).ok_or_else(|| {
            Fault::new(
                Reason::Overloaded,
                format!("{most} streams are open; close some, or try again later"),
            )
        })
    }
}

impl Counted {
    fn enter(gate: &Arc<Gate>, counter: fn(&Gate) -> &AtomicUsize, most: usize) -> Option<Self> {
        let counted = Self { gate: Arc::clone(gate), counter };
        let before = counter(gate).fetch_add(1, Ordering::Relaxed);
        // Dropping takes the place back.
        (before < most).then_some(counted)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.counter)(&self.gate).fetch_sub(1, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Counted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Counted")
    }
}
