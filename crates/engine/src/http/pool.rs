//! Connections between two calls: a stack, so that the warmest is used and the rest can age out.

use std::cell::Cell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::Uri;
use hyper::client::conn::http1::{Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::dial::Stream;
use super::origin::Origin;
use super::outgoing::Outgoing;

/// How long a connection that its server closed may hold its socket before the sweep finds it.
const SWEEP_INTERVAL_MAX: Duration = Duration::from_secs(5);

/// One connection with both of its ends: the sender, and the protocol state that must be polled.
pub(super) struct Wire {
    pub(super) origin: Arc<Origin>,
    pub(super) sender: SendRequest<Outgoing>,
    pub(super) connection: Connection<TokioIo<Stream>, Outgoing>,
}

impl Wire {
    /// Moves bytes in both directions; ready when the connection has ended.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // The error also reaches whoever waits for the answer or its body, and is reported there.
        Pin::new(&mut self.connection).poll(cx).map(drop)
    }

    /// Whether the last poll left the connection between two exchanges.
    pub(super) fn is_idle(&self) -> bool {
        self.sender.is_ready()
    }

    /// Whether the server still holds its end. Nobody waits on an idle connection, so nobody is woken.
    fn is_alive(&mut self) -> bool {
        self.poll(&mut Context::from_waker(Waker::noop())).is_pending() && self.is_idle()
    }
}

/// The idle connections of one client.
pub(super) struct Pool {
    idle_timeout: Duration,
    idle_max: usize,
    state: Mutex<State>,
}

struct State {
    /// Oldest first.
    idle: VecDeque<Idle>,
    /// Whether a sweep is under way; there is at most one.
    sweeping: bool,
}

struct Idle {
    wire: Box<Wire>,
    since: Instant,
    /// Where its socket is waited for.
    lane: usize,
}

thread_local! {
    /// The event loop of this thread: connections are used again on the loop that made them, so that
    /// no other thread has to be woken. Threads that share a loop share lane 0.
    static LANE: Cell<usize> = const { Cell::new(0) };
}

/// Marks this thread as having an event loop of its own.
pub(crate) fn enter_lane(number: usize) {
    LANE.set(number);
}

impl Pool {
    pub(super) fn new(idle_timeout: Duration, idle_max: usize) -> Arc<Self> {
        let state = Mutex::new(State { idle: VecDeque::new(), sweeping: false });
        Arc::new(Self { idle_timeout, idle_max, state })
    }

    /// The most recently used connection that serves the URI.
    ///
    /// It may have been closed by now; hyper looks for that before it takes the request.
    pub(super) fn take(&self, uri: &Uri) -> Option<Box<Wire>> {
        let idle = {
            let mut state = self.lock();
            let lane = LANE.get();
            let fits = |idle: &Idle| idle.lane == lane && idle.wire.origin.serves(uri);
            let index = state.idle.iter().rposition(fits)?;
            state.idle.remove(index)?
        };
        (idle.since.elapsed() < self.idle_timeout).then_some(idle.wire)
    }

    /// Keeps an idle connection for the next call, or closes it when the pool is full.
    pub(super) fn put(self: &Arc<Self>, wire: Box<Wire>) {
        debug_assert!(wire.is_idle(), "only idle connections can be used again");
        let idle = Idle { wire, since: Instant::now(), lane: LANE.get() };
        let start_sweep = {
            let mut state = self.lock();
            if state.idle.len() >= self.idle_max {
                drop(state); // a close is I/O, and that is not done under the lock
                return;
            }
            state.idle.push_back(idle);
            !std::mem::replace(&mut state.sweeping, true)
        };
        if start_sweep {
            self.start_sweep();
        }
    }

    /// The sweep ends when the pool is empty, and when the client is gone.
    fn start_sweep(self: &Arc<Self>) {
        let pause = (self.idle_timeout / 4).clamp(Duration::from_millis(10), SWEEP_INTERVAL_MAX);
        let pool = Arc::downgrade(self);
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(async move {
                loop {
                    tokio::time::sleep(pause).await;
                    if !sweep(&pool).await {
                        return;
                    }
                }
            })),
            Err(_) => self.lock().sweeping = false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock, and a stack of connections has no half-made state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many connections wait for a call.
    #[cfg(test)]
    pub(super) fn idle_count(&self) -> usize {
        self.lock().idle.len()
    }
}

/// Closes what is too old or already closed by the server, oldest first; says whether to go on.
///
/// One connection at a time leaves the pool to be looked at, so that calls always find the others.
async fn sweep(pool: &Weak<Pool>) -> bool {
    let mut index = 0;
    loop {
        let Some(pool) = pool.upgrade() else { return false };
        let Some(mut idle) = pool.lock().idle.remove(index) else { break };
        if idle.since.elapsed() < pool.idle_timeout && idle.wire.is_alive() {
            let mut state = pool.lock();
            let index_now = index.min(state.idle.len());
            state.idle.insert(index_now, idle);
            index += 1;
        }
        drop(pool);
        // Tokio lets one task poll only so many sockets in a row.
        tokio::task::yield_now().await;
    }
    let Some(pool) = pool.upgrade() else { return false };
    let mut state = pool.lock();
    state.sweeping = !state.idle.is_empty();
    state.sweeping
}
