//! What was measured, as tables and as JSON, and which targets it reaches.

use std::fmt::Write as _;
use std::fs;

use serde::Serialize;

use super::api::{Calls, Large, Many};
use super::bridged::Bridged;
use super::load::{Era, Measured};
use super::parked::Parked;
use super::process::Memory;
use super::scenario::Shape;
use crate::table::table;

/// The targets, all for the dist profile.
mod target {
    /// CPU of a small call at 32 connections, as a multiple of nginx's.
    pub(super) const SMALL_CPU_MAX: f64 = 1.5;
    /// Throughput of a small call at 32 connections, as a multiple of nginx's.
    pub(super) const SMALL_THROUGHPUT_MIN: f64 = 0.8;
    /// CPU of a streamed or large call at 32 connections, as a multiple of nginx's.
    pub(super) const LARGE_CPU_MAX: f64 = 2.0;
    /// What the gateway adds to the median of a small call at one connection, in microseconds.
    pub(super) const ADDED_P50_US_MAX: f64 = 60.0;
    /// Resident memory of an idle gateway, in KiB: 20 MB.
    pub(super) const IDLE_KIB_MAX: u64 = 20_000_000 / 1024;
    /// Memory of an idle listen stream, in KiB.
    pub(super) const STREAM_KIB_MAX: f64 = 40.0;
    /// From exec to the first answer, in milliseconds.
    pub(super) const START_MS_MAX: f64 = 100.0;
    /// CPU of a list of all tools, as a multiple of a file from nginx.
    pub(super) const LIST_CPU_MAX: f64 = 2.0;
}

/// All figures of one run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: String,
    pub(crate) calls: Vec<Case>,
    pub(crate) bridged: Vec<Bridged>,
    pub(crate) parked: Option<Parked>,
    pub(crate) api: Vec<Calls>,
    pub(crate) document: Option<Large>,
    pub(crate) many: Option<Many>,
    pub(crate) list: Option<ListCase>,
    pub(crate) idle: Option<Memory>,
    pub(crate) streams: Option<Streams>,
    pub(crate) start_ms: Option<f64>,
    pub(crate) failures: Vec<String>,
}

/// One shape of call in one era: rounds of direct, nginx, one server, composed.
#[derive(Debug, Serialize)]
pub(crate) struct Case {
    pub(crate) era: Era,
    pub(crate) shape: Shape,
    pub(crate) rounds: Vec<[Measured; 4]>,
}

/// The list of all tools: rounds of nginx with a file, gateway with the list.
#[derive(Debug, Serialize)]
pub(crate) struct ListCase {
    pub(crate) bytes: usize,
    pub(crate) rounds: Vec<[Measured; 2]>,
}

/// Idle listen streams.
#[derive(Debug, Serialize)]
pub(crate) struct Streams {
    pub(crate) count: u32,
    pub(crate) before: Memory,
    pub(crate) after: Memory,
    pub(crate) each_kib: f64,
}

const DIRECT: usize = 0;
const NGINX: usize = 1;
/// The gateway's two endpoints, with their names.
const GATEWAY: [(usize, &str); 2] = [(2, "server"), (3, "composed")];

impl Report {
    pub(crate) fn new() -> Self {
        Self {
            machine: machine(),
            calls: Vec::new(),
            bridged: Vec::new(),
            parked: None,
            api: Vec::new(),
            document: None,
            many: None,
            list: None,
            idle: None,
            streams: None,
            start_ms: None,
            failures: Vec::new(),
        }
    }

    /// Notes that something could not be measured.
    pub(crate) fn fail(&mut self, what: &str, error: &anyhow::Error) {
        self.failures.push(format!("{what}: {error:#}"));
    }

    /// Everything for people.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("\n{}\n", self.machine);
        if !self.calls.is_empty() {
            self.figure(&mut text, "calls a second", |measured| measured.throughput, 0);
            self.figure(&mut text, "CPU µs a call", |measured| measured.cpu_us, 1);
            self.figure(&mut text, "p50 µs", |measured| measured.p50_us, 0);
            self.figure(&mut text, "p99 µs", |measured| measured.p99_us, 0);
        }
        let bridged: Vec<_> = self.bridged.iter().flat_map(Bridged::rows).collect();
        section(&mut text, &Bridged::HEADING, &bridged);
        let parked: Vec<_> = self.parked.iter().map(Parked::row).collect();
        section(&mut text, &Parked::HEADING, &parked);
        let api: Vec<_> = self.api.iter().flat_map(Calls::rows).collect();
        section(&mut text, &Calls::HEADING, &api);
        section(&mut text, &["targets", "measured", "target", ""], &self.verdicts());
        for failure in &self.failures {
            let _ = writeln!(text, "FAILED {failure}");
        }
        text
    }

    /// A table of one figure: every side, and the gateway's endpoints beside nginx.
    fn figure(&self, text: &mut String, name: &str, of: fn(&Measured) -> f64, digits: usize) {
        let heading = [name, "direct", "nginx", "server", "composed", "server ×", "composed ×"];
        let rows: Vec<_> = self.calls.iter().map(|case| case.row(of, digits)).collect();
        section(text, &heading, &rows);
    }

    fn verdicts(&self) -> Vec<Vec<String>> {
        let mut rows = Vec::new();
        for case in &self.calls {
            for (side, endpoint) in GATEWAY {
                case.verdicts(side, endpoint, &mut rows);
            }
        }
        rows.extend(self.bridged.iter().flat_map(Bridged::verdicts));
        rows.extend(self.parked.iter().flat_map(Parked::verdicts));
        rows.extend(self.api.iter().map(Calls::verdict));
        rows.extend(self.document.iter().flat_map(Large::verdicts));
        rows.extend(self.many.iter().flat_map(Many::verdicts));
        rows.extend(self.list.iter().map(|list| list.verdict(500)));
        if let Some(idle) = self.idle {
            rows.push(memory("idle memory, resident MB", idle.resident, target::IDLE_KIB_MAX));
        }
        if let Some(streams) = &self.streams {
            let what = format!("{} idle streams, KiB each", streams.count);
            rows.push(at_most(&what, streams.each_kib, target::STREAM_KIB_MAX, 1));
        }
        if let Some(start) = self.start_ms {
            rows.push(at_most("exec to first answer, ms", start, target::START_MS_MAX, 1));
        }
        rows
    }
}

impl ListCase {
    pub(super) fn verdict(&self, tools: usize) -> Vec<String> {
        let cpu = median(self.rounds.iter().map(|[file, list]| list.cpu_us / file.cpu_us));
        let what = format!("list of {tools} tools ({} KiB), CPU × file", self.bytes / 1024);
        at_most(&what, cpu, target::LIST_CPU_MAX, 2)
    }
}

impl Case {
    /// One row: every side's median, and the gateway's median ratios to nginx.
    fn row(&self, figure: fn(&Measured) -> f64, digits: usize) -> Vec<String> {
        let mut row = vec![format!("{} {}", self.era.name(), self.shape.name())];
        for side in [DIRECT, NGINX, GATEWAY[0].0, GATEWAY[1].0] {
            let value = median(self.rounds.iter().map(|round| figure(&round[side])));
            // Nothing stands between a direct call and its server, so nothing costs CPU there.
            row.push(if value > 0.0 { format!("{value:.digits$}") } else { "–".to_owned() });
        }
        for (side, _) in GATEWAY {
            row.push(format!("{:.2}", self.ratio(side, figure)));
        }
        row
    }

    fn ratio(&self, side: usize, figure: fn(&Measured) -> f64) -> f64 {
        median(self.rounds.iter().map(|round| figure(&round[side]) / figure(&round[NGINX])))
    }

    fn verdicts(&self, side: usize, endpoint: &str, rows: &mut Vec<Vec<String>>) {
        let name = format!("{} {endpoint} {}", self.era.name(), self.shape.name());
        let cpu = self.ratio(side, |m| m.cpu_us);
        match self.shape.connections {
            1 if self.shape.is_small() => {
                let added = median(
                    self.rounds.iter().map(|round| round[side].p50_us - round[DIRECT].p50_us),
                );
                let what = format!("{name}, added p50 µs");
                rows.push(at_most(&what, added, target::ADDED_P50_US_MAX, 0));
            }
            32 if self.shape.is_small() => {
                rows.push(at_most(&format!("{name}, CPU × nginx"), cpu, target::SMALL_CPU_MAX, 2));
                let throughput = self.ratio(side, |m| m.throughput);
                let what = format!("{name}, throughput × nginx");
                rows.push(at_least(&what, throughput, target::SMALL_THROUGHPUT_MIN, 2));
            }
            32 => {
                rows.push(at_most(&format!("{name}, CPU × nginx"), cpu, target::LARGE_CPU_MAX, 2));
            }
            _ => {}
        }
    }
}

fn section(text: &mut String, heading: &[&str], rows: &[Vec<String>]) {
    if !rows.is_empty() {
        let _ = write!(text, "\n{}", table(heading, rows));
    }
}

pub(super) fn at_most(what: &str, value: f64, limit: f64, digits: usize) -> Vec<String> {
    verdict(what, value, limit, digits, '≤', value <= limit)
}

/// Memory in KiB, shown in megabytes.
pub(super) fn memory(what: &str, kib: u64, limit: u64) -> Vec<String> {
    let verdict = if kib <= limit { "reached" } else { "MISSED" };
    let limit = format!("≤ {}", megabytes(limit));
    vec![what.to_owned(), megabytes(kib), limit, verdict.to_owned()]
}

fn at_least(what: &str, value: f64, limit: f64, digits: usize) -> Vec<String> {
    verdict(what, value, limit, digits, '≥', value >= limit)
}

fn verdict(
    what: &str,
    value: f64,
    limit: f64,
    digits: usize,
    sign: char,
    reached: bool,
) -> Vec<String> {
    vec![
        what.to_owned(),
        format!("{value:.digits$}"),
        format!("{sign} {limit}"),
        if reached { "reached" } else { "MISSED" }.to_owned(),
    ]
}

/// The middle value; of an even number the upper one of the two in the middle.
pub(super) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

pub(super) fn megabytes(kib: u64) -> String {
    let bytes = kib * 1024;
    format!("{}.{}", bytes / 1_000_000, bytes % 1_000_000 / 100_000)
}

/// Processor, cores and kernel: figures mean nothing without them.
fn machine() -> String {
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("unknown processor", |(_, name)| name.trim());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!("{model}, {cores} cores, Linux {}", kernel.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(throughput: f64, cpu_us: f64, p50_us: f64) -> Measured {
        Measured { requests: 1, throughput, p50_us, p99_us: p50_us, cpu_us }
    }

    fn case(connections: u32, gateway_cpu: f64) -> Case {
        let round = [
            measured(200.0, 0.0, 10.0),
            measured(100.0, 10.0, 20.0),
            measured(90.0, gateway_cpu, 40.0),
            measured(70.0, gateway_cpu, 100.0),
        ];
        let shape = Shape { is_stream: false, size: 1024, connections };
        Case { era: Era::Modern, shape, rounds: vec![round] }
    }

    #[test]
    fn targets_are_judged_by_ratios() {
        let mut report = Report::new();
        report.calls = vec![case(32, 14.0), case(1, 14.0)];
        report.idle = Some(Memory { resident: 30_000, proportional: 1 });
        let verdicts: Vec<String> =
            report.verdicts().into_iter().map(|mut row| row.remove(3)).collect();
        let expected = ["reached", "reached", "reached", "MISSED", "reached", "MISSED", "MISSED"];
        assert_eq!(verdicts, expected);
        assert!(report.text().contains("modern JSON 1 KiB ×32"));
    }
}
