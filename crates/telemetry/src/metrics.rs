//! The Prometheus page: counters that records of calls move, and gauges that are read when somebody
//! looks.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use store::{CallOutcome, CallRecord};

use crate::process;

/// The media type of the page.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Most combinations of labels that calls may make; further ones are counted under [`OTHER`]. Two
/// hundred servers with ten methods and two outcomes fit; a page of that size has about 8 MiB.
const SERIES_MAX: usize = 4_096;
/// Stands for every value beyond the known ones.
const OTHER: &str = "other";
/// Upper bounds of the histogram in seconds: those of the OpenTelemetry conventions for MCP, and
/// finer ones below, where the gate's own part is.
const DURATION_BUCKETS: [f64; 17] = [
    0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0,
    300.0,
];
/// How often a call asks; `limits.interaction_rounds` is ten by default and a hundred at most.
const ROUNDS_BUCKETS: [f64; 7] = [1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0];
/// Upper bounds in seconds of the time that answers take: from a client that answers by itself to
/// somebody who was away for a while. `limits.answer_wait` is ten minutes by default.
const WAITED_BUCKETS: [f64; 11] =
    [0.01, 0.1, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0, 3_600.0];

/// Every number about this process.
pub struct Metrics {
    registry: Registry,
    calls: Family<CallLabels, Counter>,
    durations: Family<RouteLabels, Histogram, fn() -> Histogram>,
    rounds: Family<RouteLabels, Histogram, fn() -> Histogram>,
    waited: Family<RouteLabels, Histogram, fn() -> Histogram>,
    /// The counters of each combination of labels, found by what a record carries.
    known: Mutex<HashMap<CallKey, Handles>>,
    is_known_method: fn(&str) -> bool,
    reloads: Family<ReloadLabels, Counter>,
    reload_failed: AtomicBool,
    reloaded_at: AtomicU64,
    version: &'static str,
    started_at: u64,
}

/// What the gauges show: the state of the gate at this moment.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Each server.
    pub servers: Vec<ServerState>,
    /// How many servers cannot be served here.
    pub quarantined: usize,
    /// Legacy sessions of clients.
    pub sessions: usize,
    /// Calls in flight.
    pub calls: usize,
    /// Open streams.
    pub streams: usize,
    /// Records that were lost because their reader was too slow.
    pub records_dropped: u64,
}

/// The state of one server.
#[derive(Clone, Debug)]
pub struct ServerState {
    /// The name in the configuration.
    pub name: String,
    /// `idle`, `up`, `down` or `broken`.
    pub condition: &'static str,
    /// Whether the last attempt to reach it succeeded; absent before the first.
    pub is_up: Option<bool>,
    /// What is spoken with it, once that is known.
    pub era: Option<EraState>,
    /// Calls running now.
    pub running: usize,
    /// Calls that wait for the answers of their clients.
    pub parked: usize,
    /// Sessions or processes.
    pub conversations: usize,
    /// How many tools, resources and prompts it offered last, once they were read.
    pub offers: [Option<usize>; 3],
    /// Addresses, if there are several, and whether requests go there: not to one that cannot be
    /// reached.
    pub addresses: Vec<(String, bool)>,
}

/// What is spoken with a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EraState {
    /// `modern`, `legacy` or `sse`.
    pub era: &'static str,
    /// The version agreed on; `unknown` before there was a conversation.
    pub version: &'static str,
    /// Whether the configuration says so, and no probe.
    pub is_pinned: bool,
}

type CallKey = (Arc<str>, Option<Arc<str>>, Option<Cow<'static, str>>, &'static str);

#[derive(Clone)]
struct Handles {
    calls: Counter,
    durations: Histogram,
    /// For what only calls have that asked their clients.
    route: Arc<RouteLabels>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    endpoint: String,
    server: String,
    method: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    endpoint: String,
    server: String,
    method: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReloadLabels {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServerLabels {
    server: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConditionLabels {
    server: String,
    condition: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EraLabels {
    server: String,
    era: &'static str,
    version: &'static str,
    pinned: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfferLabels {
    server: String,
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AddressLabels {
    server: String,
    address: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
}

// === impl Metrics ===

impl Metrics {
    /// Numbers of a process that begins now. `version` is the program's; methods that
    /// `is_known_method` does not know share one label, so that no client can invent labels.
    pub fn new(version: &'static str, is_known_method: fn(&str) -> bool) -> Self {
        let mut registry = Registry::with_prefix("portcullis");
        let calls = Family::<CallLabels, Counter>::default();
        registry.register("calls", "Calls that ended, by how they ended", calls.clone());
        let histogram: fn() -> Histogram = || Histogram::new(DURATION_BUCKETS);
        let durations = Family::new_with_constructor(histogram);
        registry.register_with_unit(
            "call_duration",
            "Time from the complete request to the last byte of the answer",
            Unit::Seconds,
            durations.clone(),
        );
        let histogram: fn() -> Histogram = || Histogram::new(ROUNDS_BUCKETS);
        let rounds = Family::new_with_constructor(histogram);
        registry.register(
            "call_rounds",
            "How often a call had asked its client when it ended; only calls that asked",
            rounds.clone(),
        );
        let histogram: fn() -> Histogram = || Histogram::new(WAITED_BUCKETS);
        let waited = Family::new_with_constructor(histogram);
        registry.register_with_unit(
            "call_waited",
            "The part of a call's duration in which it waited for its client's answers",
            Unit::Seconds,
            waited.clone(),
        );
        let reloads = Family::<ReloadLabels, Counter>::default();
        for result in ["success", "failure"] {
            drop(reloads.get_or_create_owned(&ReloadLabels { result }));
        }
        registry.register(
            "config_reloads",
            "Attempts to put another configuration in force",
            reloads.clone(),
        );
        Self {
            registry,
            calls,
            durations,
            rounds,
            waited,
            known: Mutex::default(),
            is_known_method,
            reloads,
            reload_failed: AtomicBool::new(false),
            reloaded_at: AtomicU64::new(unix_now()),
            version,
            started_at: unix_now(),
        }
    }

    /// Counts a call that ended.
    pub fn count(&self, record: &CallRecord) {
        let outcome = record.outcome.label();
        let known_method = (self.is_known_method)(&record.method);
        let method = known_method.then(|| record.method.clone());
        let key = (Arc::clone(&record.endpoint), record.server.clone(), method, outcome);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let handles = if let Some(handles) = known.get(&key) {
            handles.clone()
        } else if known.len() < SERIES_MAX {
            let method = key.2.as_deref().unwrap_or(OTHER);
            let server = key.1.as_deref().unwrap_or_default();
            let handles = self.handles(&key.0, server, method, outcome);
            known.insert(key, handles.clone());
            handles
        } else {
            self.handles(OTHER, OTHER, OTHER, outcome)
        };
        drop(known);
        handles.calls.inc();
        handles.durations.observe(record.duration.as_secs_f64());
        // A call that goes on with another one tells its rounds when that ends.
        if record.rounds > 0 && record.outcome != CallOutcome::Asked {
            self.rounds.get_or_create_owned(&handles.route).observe(f64::from(record.rounds));
        }
        if !record.waited.is_zero() {
            self.waited.get_or_create_owned(&handles.route).observe(record.waited.as_secs_f64());
        }
    }

    /// Notes that another configuration was put in force, or that it was refused.
    pub fn reloaded(&self, succeeded: bool) {
        let result = if succeeded { "success" } else { "failure" };
        self.reloads.get_or_create(&ReloadLabels { result }).inc();
        self.reload_failed.store(!succeeded, Ordering::Relaxed);
        if succeeded {
            self.reloaded_at.store(unix_now(), Ordering::Relaxed);
        }
    }

    /// Whether the last attempt to put another configuration in force failed.
    pub fn last_reload_failed(&self) -> bool {
        self.reload_failed.load(Ordering::Relaxed)
    }

    /// The page, of media type [`CONTENT_TYPE`].
    pub fn render(&self, state: &State) -> String {
        let mut page = String::with_capacity(16 << 10);
        let mut gauges = Registry::with_prefix("portcullis");
        self.register_own(&mut gauges);
        register_state(&mut gauges, state);
        register_servers(&mut gauges, &state.servers);
        let mut process = Registry::with_prefix("process");
        register_process(&mut process, self.started_at);
        for registry in [&self.registry, &gauges, &process] {
            text::encode_registry(&mut page, registry).expect("writing to a string does not fail");
        }
        text::encode_eof(&mut page).expect("writing to a string does not fail");
        page
    }

    fn handles(
        &self,
        endpoint: &str,
        server: &str,
        method: &str,
        outcome: &'static str,
    ) -> Handles {
        let (endpoint, server, method) =
            (endpoint.to_owned(), server.to_owned(), method.to_owned());
        let route = RouteLabels {
            endpoint: endpoint.clone(),
            server: server.clone(),
            method: method.clone(),
        };
        Handles {
            calls: self.calls.get_or_create_owned(&CallLabels {
                endpoint,
                server,
                method,
                outcome,
            }),
            durations: self.durations.get_or_create_owned(&route),
            route: Arc::new(route),
        }
    }

    fn register_own(&self, gauges: &mut Registry) {
        let build = Family::<BuildLabels, Gauge>::default();
        build.get_or_create(&BuildLabels { version: self.version }).set(1);
        gauges.register("build_info", "The version that runs", build);
        gauges.register(
            "config_reload_failed",
            "1 while the configuration in the file is refused and an earlier one is in force",
            ConstGauge::new(i64::from(self.last_reload_failed())),
        );
        gauges.register(
            "config_last_success_timestamp_seconds",
            "When the configuration in force was read",
            ConstGauge::new(signed(self.reloaded_at.load(Ordering::Relaxed))),
        );
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

// === impl EraLabels ===

impl EraLabels {
    fn of(server: &str, spoken: EraState) -> Self {
        Self {
            server: server.to_owned(),
            era: spoken.era,
            version: spoken.version,
            pinned: if spoken.is_pinned { "true" } else { "false" },
        }
    }
}

// === gauges ===

fn register_state(gauges: &mut Registry, state: &State) {
    for (name, help, value) in [
        ("calls_running", "Calls in flight", state.calls),
        ("streams", "Streams that clients hold open", state.streams),
        ("sessions", "Legacy sessions of clients", state.sessions),
        (
            "servers_quarantined",
            "Servers that are set aside because of a problem in the configuration",
            state.quarantined,
        ),
    ] {
        gauges.register(name, help, ConstGauge::new(signed(value as u64)));
    }
    gauges.register(
        "records_dropped",
        "Records of calls that were lost because they came faster than they are read",
        ConstCounter::new(state.records_dropped),
    );
}

fn register_servers(gauges: &mut Registry, servers: &[ServerState]) {
    let up = Family::<ServerLabels, Gauge>::default();
    let condition = Family::<ConditionLabels, Gauge>::default();
    let era = Family::<EraLabels, Gauge>::default();
    let running = Family::<ServerLabels, Gauge>::default();
    let parked = Family::<ServerLabels, Gauge>::default();
    let conversations = Family::<ServerLabels, Gauge>::default();
    let offers = Family::<OfferLabels, Gauge>::default();
    let addresses = Family::<AddressLabels, Gauge>::default();
    for state in servers {
        let labels = ServerLabels { server: state.name.clone() };
        if let Some(is_up) = state.is_up {
            up.get_or_create(&labels).set(i64::from(is_up));
        }
        let server = state.name.clone();
        condition.get_or_create(&ConditionLabels { server, condition: state.condition }).set(1);
        if let Some(spoken) = state.era {
            era.get_or_create(&EraLabels::of(&state.name, spoken)).set(1);
        }
        running.get_or_create(&labels).set(signed(state.running as u64));
        parked.get_or_create(&labels).set(signed(state.parked as u64));
        conversations.get_or_create(&labels).set(signed(state.conversations as u64));
        for (kind, count) in ["tools", "resources", "prompts"].into_iter().zip(state.offers) {
            if let Some(count) = count {
                let server = state.name.clone();
                offers.get_or_create(&OfferLabels { server, kind }).set(signed(count as u64));
            }
        }
        for (address, is_used) in &state.addresses {
            let (server, address) = (state.name.clone(), address.clone());
            addresses.get_or_create(&AddressLabels { server, address }).set(i64::from(*is_used));
        }
    }
    gauges.register(
        "server_up",
        "1 if the last attempt to reach the server succeeded; absent before the first",
        up,
    );
    gauges.register("server_condition", "The condition that a server is in", condition);
    gauges.register("server_era", "The protocol that is spoken with a server", era);
    gauges.register("server_calls_running", "Calls in flight at a server", running);
    gauges.register("calls_parked", "Calls that wait for the answers of their clients", parked);
    gauges.register("server_conversations", "Sessions or processes of a server", conversations);
    gauges.register("server_offers", "Definitions that a server offered last", offers);
    gauges.register(
        "server_address_up",
        "Of an API with several addresses: 0 while one is left out since it cannot be reached",
        addresses,
    );
}

fn register_process(gauges: &mut Registry, started_at: u64) {
    let occupied = process::occupied();
    let values = [
        (
            "children",
            "Processes that the gate started and that have not ended, a guardian for each",
            occupied.children,
        ),
        ("resident_memory_bytes", "Memory that is resident", occupied.resident_bytes),
        ("open_fds", "Open file descriptors", occupied.open_fds),
        ("max_fds", "How many file descriptors may be open", occupied.fds_max),
        ("start_time_seconds", "When the process began", Some(started_at)),
    ];
    for (name, help, value) in values {
        if let Some(value) = value {
            gauges.register(name, help, ConstGauge::new(signed(value)));
        }
    }
}

/// Gauges are signed; no count of ours comes near the difference.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
