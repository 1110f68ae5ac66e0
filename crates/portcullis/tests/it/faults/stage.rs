//! A gate before one server, `s`, and the numbers that it shows of itself.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::Connection;

use crate::harness::{Gate, PATIENCE};

/// The endpoint of the server alone.
pub(super) const ENDPOINT: &str = "/servers/s/mcp";

/// How much more memory may be resident after the third round than after the second, in KiB. The
/// allocator takes some rounds until it has pages for every order in which things come and go.
const MARGIN: u64 = 4 * 1024;
/// The same for each call of a round, where there are many: a fifth of what a parked call takes.
const MARGIN_EACH: u64 = 8;

/// What a gate holds for its clients and its server. At rest all of it is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Numbers {
    pub(super) parked: u64,
    pub(super) running: u64,
    pub(super) at_server: u64,
    pub(super) streams: u64,
    pub(super) sessions: u64,
    pub(super) conversations: u64,
    pub(super) children: u64,
}

/// A gate whose sessions and conversations end after a second without use.
pub(super) struct Stage {
    pub(super) gate: Gate,
    pub(super) address: SocketAddr,
    /// Open file descriptors before anybody came.
    descriptors: u64,
    _home: TempDir,
}

impl Stage {
    /// Starts a gate with these limits before a server, given by its entry in the configuration.
    pub(super) async fn before(mut server: Value, mut limits: Value) -> Self {
        allow_many_files();
        server["idle_timeout"] = json!("1s");
        limits["session_idle"] = json!("1s");
        let configuration =
            json!({"servers": {"s": server}, "limits": limits, "log": {"level": "error"}});
        let home = tempfile::tempdir().expect("a directory can be made");
        let file = home.path().join("gate.json");
        std::fs::write(&file, configuration.to_string()).expect("the file can be written");
        let gate = Gate::start(home.path(), &["gate.json"]);
        let url = gate.url("");
        let address = url.strip_prefix("http://").and_then(|address| address.parse().ok());
        let address = address.expect("it listens on an address of the loopback");
        let mut stage = Self { gate, address, descriptors: 0, _home: home };
        stage.is_at_rest("at the start").await;
        stage.descriptors = stage.descriptors();
        stage
    }

    /// The numbers of this moment.
    pub(super) fn numbers(&self) -> Numbers {
        let page = self.gate.admin("/metrics");
        Numbers {
            parked: value(&page, r#"portcullis_calls_parked{server="s"}"#),
            running: value(&page, "portcullis_calls_running"),
            at_server: value(&page, r#"portcullis_server_calls_running{server="s"}"#),
            streams: value(&page, "portcullis_streams"),
            sessions: value(&page, "portcullis_sessions"),
            conversations: value(&page, r#"portcullis_server_conversations{server="s"}"#),
            children: value(&page, "process_children"),
        }
    }

    /// Waits until so many calls have ended like this.
    pub(super) async fn has_counted(&self, outcome: &str, number: usize) {
        let labels =
            format!(r#"endpoint="{ENDPOINT}",server="s",method="tools/call",outcome="{outcome}""#);
        let metric = format!("portcullis_calls_total{{{labels}}}");
        let number = Some(number.to_string());
        self.looks(&metric, || self.gate.metric(&metric), |count| *count == number).await;
    }

    /// Resident memory, in KiB.
    pub(super) fn memory(&self) -> u64 {
        value(&self.gate.admin("/metrics"), "process_resident_memory_bytes") / 1024
    }

    /// Open file descriptors.
    pub(super) fn descriptors(&self) -> u64 {
        value(&self.gate.admin("/metrics"), "process_open_fds")
    }

    /// Waits until the numbers are as wanted, and returns them.
    pub(super) async fn shows(&self, what: &str, is_wanted: impl Fn(&Numbers) -> bool) -> Numbers {
        self.looks(what, || self.numbers(), is_wanted).await
    }

    /// Lets the same happen three times, with `calls` calls each time. Afterwards nothing is left of
    /// any call and any client, and the third time took no more memory than [`MARGIN`] allows: the
    /// allocator keeps what the first ones needed at once.
    pub(super) async fn three_times(&self, calls: usize, mut happens: impl AsyncFnMut(usize)) {
        let mut resident = Vec::new();
        for round in 0..3 {
            happens(round).await;
            let what = format!("nothing left of round {round} but conversations");
            self.shows(&what, |numbers| {
                Numbers { conversations: 0, children: 0, ..*numbers } == Numbers::default()
            })
            .await;
            resident.push(self.memory());
        }
        self.is_at_rest("after all rounds").await;
        eprintln!("resident KiB after each round: {resident:?}");
        let most = resident[1] + MARGIN.max(MARGIN_EACH * calls as u64);
        assert!(resident[2] <= most, "KiB after each round: {resident:?}, at most {most}");
    }

    /// Waits until nothing is left of any call and any client, and conversations have ended.
    pub(super) async fn is_at_rest(&self, when: &str) {
        self.shows(&format!("rest {when}"), |numbers| *numbers == Numbers::default()).await;
    }

    /// Waits until the gate has noticed that `number` of its `open` connections are broken.
    pub(super) async fn has_lost(&self, number: usize, open: u64) {
        let most = open - number as u64;
        let what = format!("at most {most} open file descriptors of {open}");
        self.looks(&what, || self.descriptors(), |&open| open <= most).await;
    }

    /// Waits until every connection is closed, once the server is gone.
    pub(super) async fn is_closed(&self) {
        let most = self.descriptors;
        let what = format!("at most {most} open file descriptors, as at the start");
        self.looks(&what, || self.descriptors(), |&open| open <= most).await;
    }

    async fn looks<T: std::fmt::Debug>(
        &self,
        what: &str,
        look: impl Fn() -> T,
        is_wanted: impl Fn(&T) -> bool,
    ) -> T {
        let start = Instant::now();
        loop {
            let seen = look();
            if is_wanted(&seen) {
                return seen;
            }
            assert!(start.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}: {seen:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A connection of a client.
    pub(super) async fn connect(&self) -> Connection {
        Connection::open(self.address).await
    }
}

fn value(page: &str, name: &str) -> u64 {
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let number = line.unwrap_or_else(|| panic!("no {name} in:\n{page}"));
    number.parse().unwrap_or_else(|error| panic!("{name} {number}: {error}"))
}

/// A thousand parked calls are a thousand connections to the server. The gate inherits the bound.
fn allow_many_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Where it cannot be raised, the test says what was missing.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}
