//! Thousands of calls that wait for their clients at once: what each holds, whether all are done in
//! the end, and what is left behind.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use super::load::{Era, Loader, SETTLE, each_kib};
use super::process::{self, Memory};
use super::report::at_most;
use super::stage::{MixedGateway, TOOL, Tally, Upstream};

/// As many as the gateway allows unless it is told otherwise.
const CALLS: u32 = 10_000;
/// So many fill the pool of connections to a server.
const WARM_UP_CALLS: u32 = 256;
/// What one holds, in KiB.
const EACH_KIB_MAX: f64 = 64.0;
/// What may stay for each when all are done, in KiB: an allocator keeps some of what it had.
const LEFT_KIB_MAX: f64 = 6.4;
/// How long the gateway may take to let go of everything.
const CLEAR_MAX: Duration = Duration::from_secs(10);

/// How long it may take until its memory is back with the system.
const BACK_MAX: Duration = Duration::from_secs(20);

/// What was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Parked {
    count: u32,
    before: Memory,
    waiting: Memory,
    after: Memory,
    each_kib: f64,
    left_kib: f64,
    clients: Clients,
    server: Tally,
}

/// What the load generator reports.
#[derive(Debug, Serialize, Deserialize)]
struct Clients {
    succeeded: u32,
    parking_s: f64,
    answering_s: f64,
    p50_us: f64,
    p99_us: f64,
}

/// Parks the calls, answers them, and looks at what is left.
pub(crate) fn measure(
    loader: &Loader,
    upstream: &Upstream,
    gateway: &MixedGateway,
) -> Result<Parked> {
    let url = gateway.url(Era::Legacy);
    let park = |first: u32, calls: u32| {
        let (first, calls) = (first.to_string(), calls.to_string());
        let which = ["--tool", TOOL, "--first", &first, "--calls", &calls];
        loader.hold(&[["park", &url].as_slice(), &which].concat(), "parked")
    };
    // The session, the threads' arenas and the pool's connections are there before and after.
    park(0, WARM_UP_CALLS)?.go_on()?;
    std::thread::sleep(SETTLE);
    let (before, earlier) = (process::memory(gateway.id())?, upstream.tally()?);

    let held = park(WARM_UP_CALLS, CALLS)?;
    let shown = gateway.status()?["parked"].as_u64();
    if shown != Some(u64::from(CALLS)) {
        bail!("the gateway shows {shown:?} parked calls instead of {CALLS}");
    }
    std::thread::sleep(SETTLE);
    let waiting = process::memory(gateway.id())?;
    let clients: Clients =
        serde_json::from_str(&held.go_on()?).context("the load generator's report")?;
    wait_until_clear(gateway)?;
    let after = wait_for_memory(gateway, before)?;
    let server = upstream.tally()?.since(&earlier);
    Ok(Parked {
        count: CALLS,
        before,
        waiting,
        after,
        each_kib: each_kib(before, waiting, CALLS)?,
        left_kib: each_kib(before, after, CALLS)?,
        clients,
        server,
    })
}

/// The memory once it is back where it was, or where it stays.
fn wait_for_memory(gateway: &MixedGateway, before: Memory) -> Result<Memory> {
    let deadline = Instant::now() + BACK_MAX;
    loop {
        std::thread::sleep(SETTLE);
        let after = process::memory(gateway.id())?;
        if each_kib(before, after, CALLS)? <= LEFT_KIB_MAX || Instant::now() > deadline {
            return Ok(after);
        }
    }
}

/// Waits until the gateway shows no call, parked or running.
fn wait_until_clear(gateway: &MixedGateway) -> Result<()> {
    let deadline = Instant::now() + CLEAR_MAX;
    loop {
        let status = gateway.status()?;
        if status["parked"] == 0 && status["calls"] == 0 {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("all is answered, and {} calls are parked", status["parked"]);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Parked {
    pub(super) const HEADING: [&str; 6] =
        ["parked calls", "before MB", "parked MB", "after MB", "parked in s", "answered in s"];

    pub(super) fn row(&self) -> Vec<String> {
        let megabytes = |memory: Memory| super::report::megabytes(memory.resident);
        vec![
            self.count.to_string(),
            megabytes(self.before),
            megabytes(self.waiting),
            megabytes(self.after),
            format!("{:.1}", self.clients.parking_s),
            format!("{:.1}", self.clients.answering_s),
        ]
    }

    pub(super) fn verdicts(&self) -> Vec<Vec<String>> {
        let count = self.count;
        let Tally { calls, made, executed, repeated } = self.server;
        let all_once =
            [self.clients.succeeded, calls, made, executed] == [count; 4] && repeated == 0;
        vec![
            at_most(&format!("{count} parked calls, KiB each"), self.each_kib, EACH_KIB_MAX, 1),
            at_most(
                &format!("{count} answered calls, KiB left of each"),
                self.left_kib,
                LEFT_KIB_MAX,
                1,
            ),
            vec![
                format!("{count} answered calls, executed exactly once"),
                executed.to_string(),
                format!("= {count}"),
                if all_once { "reached" } else { "MISSED" }.to_owned(),
            ],
        ]
    }
}
