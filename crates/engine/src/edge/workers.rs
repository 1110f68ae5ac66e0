//! One thread a core, each with its own event loop: a connection stays on its thread, and so does the
//! connection to the server that its calls take. Nothing on the way of a call wakes another thread.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

/// The threads that serve connections.
pub(super) struct Workers {
    handles: Vec<Handle>,
    next: AtomicUsize,
}

impl Workers {
    /// Starts a thread for each core. They run until `ended`.
    pub(super) fn start(ended: &CancellationToken) -> std::io::Result<Self> {
        let count = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let mut handles = Vec::with_capacity(count);
        for number in 1..=count {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            handles.push(runtime.handle().clone());
            let ended = ended.clone();
            thread::Builder::new().name(format!("edge-{number}")).spawn(move || {
                crate::http::enter_lane(number);
                runtime.block_on(ended.cancelled());
            })?;
        }
        Ok(Self { handles, next: AtomicUsize::new(0) })
    }

    /// The thread whose turn it is.
    pub(super) fn next(&self) -> &Handle {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        &self.handles[turn % self.handles.len()]
    }
}
