//! Runs of the load generator.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use super::process::{self, Memory};
use super::report::Streams;
use super::stage::Gateway;
use crate::program::Program;

/// How many streams are held open.
const STREAMS: u32 = 10_000;

/// The era of the client, and of the servers behind the gateway with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Era {
    Modern,
    Legacy,
}

impl Era {
    pub(crate) const ALL: [Self; 2] = [Self::Modern, Self::Legacy];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Modern => "modern",
            Self::Legacy => "legacy",
        }
    }
}

/// What the load generator reports of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) requests: u32,
    pub(crate) throughput: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// CPU of the side under test, for one request; a direct run has none.
    #[serde(default)]
    pub(crate) cpu_us: f64,
}

/// The load generator.
pub(crate) struct Loader {
    binary: PathBuf,
}

impl Loader {
    pub(crate) fn new(binary: PathBuf) -> Self {
        Self { binary }
    }

    /// Runs the load generator and counts the CPU of `process` and its children meanwhile.
    pub(crate) fn run(&self, process: Option<u32>, arguments: &[String]) -> Result<Measured> {
        let cpu = || process.map_or(Ok(0), process::cpu_us);
        let before = cpu()?;
        let output = Program::new(&self.binary).args(arguments).output()?;
        let used = cpu()?.saturating_sub(before);
        let mut measured: Measured =
            serde_json::from_str(&output).context("the load generator's report")?;
        if measured.requests == 0 {
            bail!("no request was answered");
        }
        let used = u32::try_from(used).context("a measurement took more than an hour of CPU")?;
        measured.cpu_us = f64::from(used) / f64::from(measured.requests);
        Ok(measured)
    }

    /// The body of one answer to `tools/list`.
    pub(crate) fn show(&self, url: &str, era: Era) -> Result<String> {
        Program::new(&self.binary).args(["show", url, "--era", era.name()]).output()
    }

    /// Opens idle listen streams and tells what they add to the gateway's memory.
    pub(crate) fn hold_streams(&self, gateway: &Gateway) -> Result<Streams> {
        let before = process::memory(gateway.id())?;
        let count = STREAMS.to_string();
        let held = self.hold(&["listen", &gateway.composed(), "--streams", &count], "ready")?;
        // The allocator gives back what opening took for a moment only.
        std::thread::sleep(SETTLE);
        let after = process::memory(gateway.id())?;
        held.end()?;
        let each_kib = each_kib(before, after, STREAMS)?;
        Ok(Streams { count: STREAMS, before, after, each_kib })
    }

    /// Starts a load generator that holds something open, and waits until it says so.
    pub(crate) fn hold(&self, arguments: &[&str], said: &str) -> Result<Held> {
        let mut child = Program::with_many_files(&self.binary)
            .args(arguments)
            .into_command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start the load generator")?;
        let out = child.stdout.take().context("the load generator has no output")?;
        let mut held = Held { child, out: BufReader::new(out) };
        if held.line()?.trim() == said { Ok(held) } else { Err(held.failure()?) }
    }
}

/// How long a gateway is left alone before its memory is read.
pub(super) const SETTLE: Duration = Duration::from_secs(2);

/// What each of `count` things added to the memory of a process, in KiB.
pub(super) fn each_kib(before: Memory, after: Memory, count: u32) -> Result<f64> {
    let added = after.resident.saturating_sub(before.resident);
    let added = u32::try_from(added).context("more than 4 TiB")?;
    Ok(f64::from(added) / f64::from(count))
}

/// A load generator that holds something open.
pub(crate) struct Held {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Held {
    /// Lets go of what is held and waits for the end.
    fn end(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        self.child.wait()?;
        Ok(())
    }

    /// Tells it to go on, and waits for what it reports.
    pub(crate) fn go_on(mut self) -> Result<String> {
        let mut input = self.child.stdin.take().context("the load generator has no input")?;
        input.write_all(b"\n").context("the load generator is gone")?;
        let report = self.line()?;
        if report.is_empty() { Err(self.failure()?) } else { Ok(report) }
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.out.read_line(&mut line)?;
        Ok(line)
    }

    /// What it said of its failure.
    fn failure(mut self) -> Result<anyhow::Error> {
        drop(self.child.stdin.take());
        let output = self.child.wait_with_output()?;
        Ok(anyhow!("{}", String::from_utf8_lossy(&output.stderr).trim()))
    }
}
