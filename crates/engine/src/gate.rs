//! The gate as a whole: what all calls share.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use config::Config;
use store::Recorder;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::dialect::{Lines, Sessions};
use crate::fleet::{Condition, EraKnown, Fleet};
use crate::interaction::Lot;
use crate::plan::{Settings, Snapshot};
use crate::seal::Sealer;
use crate::upstream::{AddressState, Change, News};

/// Everything that calls share: the snapshot, the fleet, sessions and the record.
pub struct Gate {
    snapshot: ArcSwap<Snapshot>,
    fleet: Fleet,
    guardian: Vec<OsString>,
    pub(crate) sealer: Arc<Sealer>,
    pub(crate) sessions: Sessions,
    pub(crate) lines: Lines,
    /// Calls that wait for modern clients to answer what their servers asked.
    pub(crate) lot: Arc<Lot>,
    pub(crate) recorder: Recorder,
    /// Calls in flight, of anonymous callers together.
    pub(crate) calls: AtomicUsize,
    /// Open streams, of anonymous callers together.
    pub(crate) streams: AtomicUsize,
    /// Set when no new work is taken.
    pub(crate) draining: CancellationToken,
    /// Set when everything has ended; the threads of the edge end with it.
    pub(crate) ended: CancellationToken,
    /// What must end before the process may.
    pub(crate) work: TaskTracker,
}

impl Gate {
    /// Makes a gate for a checked configuration. `guardian` is the command that stdio servers run
    /// under; it takes theirs as its last arguments.
    pub fn new(
        config: &Config,
        quarantined: BTreeMap<String, String>,
        guardian: Vec<OsString>,
        sealer: Sealer,
        recorder: Recorder,
    ) -> Arc<Self> {
        let fleet = Fleet::default();
        let settings = Settings::new(&config.limits, guardian.clone());
        let snapshot = Snapshot::compile(config, quarantined, &settings, &fleet);
        let gate = Arc::new(Self {
            snapshot: ArcSwap::from_pointee(snapshot),
            fleet,
            guardian,
            sealer: Arc::new(sealer),
            sessions: Sessions::default(),
            lines: Lines::default(),
            lot: Arc::default(),
            recorder,
            calls: AtomicUsize::new(0),
            streams: AtomicUsize::new(0),
            draining: CancellationToken::new(),
            ended: CancellationToken::new(),
            work: TaskTracker::new(),
        });
        tokio::spawn(crate::dialect::end_idle_sessions(Arc::downgrade(&gate)));
        gate
    }

    /// Swaps in another checked configuration. Calls in flight keep the one they began with; servers
    /// that did not change keep their conversations; clients hear that lists may have changed.
    pub fn reload(&self, config: &Config, quarantined: BTreeMap<String, String>) {
        let settings = Settings::new(&config.limits, self.guardian.clone());
        let snapshot = Snapshot::compile(config, quarantined, &settings, &self.fleet);
        self.snapshot.store(Arc::new(snapshot));
        for change in [Change::Tools, Change::Prompts, Change::Resources] {
            self.fleet.news().tell(&"".into(), change);
        }
    }

    /// The configuration in force.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// What changes at any server.
    pub(crate) fn news(&self) -> &News {
        self.fleet.news()
    }

    pub(crate) fn current(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// Stops taking work, lets running calls finish for as long as the configuration allows, and ends
    /// every conversation and process.
    pub async fn drain(&self) {
        let patience = self.snapshot().limits.drain_timeout.get();
        self.draining.cancel();
        self.work.close();
        if tokio::time::timeout(patience, self.work.wait()).await.is_err() {
            tracing::warn!(
                seconds = patience.as_secs(),
                "calls were still running at the end of the drain"
            );
        }
        self.lot.end_all().await;
        self.sessions.end_all();
        self.fleet.shut_down().await;
        self.ended.cancel();
    }

    /// Whether the gate is on its way down.
    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// The visible state.
    pub fn overview(&self) -> Overview {
        let snapshot = self.snapshot();
        let parked = self.lot.by_server();
        let servers = snapshot
            .servers
            .values()
            .map(|server| {
                let status = server.status();
                let listing = server.definitions.last_good();
                ServerOverview {
                    name: server.name.to_string(),
                    title: server.wanted.title.clone(),
                    description: server.wanted.description.clone(),
                    condition: status.condition,
                    era: status.era,
                    problem: status.problem,
                    running: status.running,
                    conversations: status.conversations,
                    addresses: status.addresses,
                    parked: parked.get(&server.name).copied().unwrap_or_default(),
                    tools: listing.as_ref().map(|listing| listing.tools.len()),
                    resources: listing.as_ref().map(|listing| listing.resources.len()),
                    prompts: listing.as_ref().map(|listing| listing.prompts.len()),
                }
            })
            .collect();
        let mut endpoints: Vec<String> = snapshot.endpoints.keys().cloned().collect();
        endpoints.sort();
        Overview {
            servers,
            endpoints,
            quarantined: snapshot.quarantined.clone(),
            sessions: self.sessions.count(),
            parked: self.lot.count(),
            calls: self.calls.load(Ordering::Relaxed),
            streams: self.streams.load(Ordering::Relaxed),
            records_dropped: self.recorder.dropped(),
        }
    }
}

/// The visible state of the gate.
#[derive(Clone, Debug)]
pub struct Overview {
    /// Each server.
    pub servers: Vec<ServerOverview>,
    /// The paths of all endpoints.
    pub endpoints: Vec<String>,
    /// Servers that cannot be served here, with the reason.
    pub quarantined: BTreeMap<String, String>,
    /// Legacy sessions of clients.
    pub sessions: usize,
    /// Calls that wait for modern clients to answer what their servers asked.
    pub parked: usize,
    /// Calls in flight.
    pub calls: usize,
    /// Open streams.
    pub streams: usize,
    /// Records that were lost because their reader was too slow.
    pub records_dropped: u64,
}

/// The visible state of one server.
#[derive(Clone, Debug)]
pub struct ServerOverview {
    /// The name in the configuration.
    pub name: String,
    /// What people call it, as configured.
    pub title: Option<String>,
    /// What it is for, as configured.
    pub description: Option<String>,
    /// Whether it can be used.
    pub condition: Condition,
    /// Its era, as far as it is known.
    pub era: Option<EraKnown>,
    /// Why it cannot be used.
    pub problem: Option<String>,
    /// Calls running now.
    pub running: usize,
    /// Sessions or processes.
    pub conversations: usize,
    /// Where the requests to an API go; empty for others.
    pub addresses: Vec<AddressState>,
    /// Calls that wait for their clients to answer what it asked.
    pub parked: usize,
    /// How many tools it offered last, once they were read.
    pub tools: Option<usize>,
    /// How many resources it offered last, once they were read.
    pub resources: Option<usize>,
    /// How many prompts it offered last, once they were read.
    pub prompts: Option<usize>,
}
