//! Runs of the load generator.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use super::process;
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
        let url = gateway.composed();
        let count = STREAMS.to_string();
        let mut command = Program::with_many_files(&self.binary)
            .args(["listen", &url, "--streams", &count])
            .into_command();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start the load generator")?;
        let mut line = String::new();
        if let Some(out) = child.stdout.as_mut() {
            BufReader::new(out).read_line(&mut line)?;
        }
        if line.trim() != "ready" {
            let output = child.wait_with_output()?;
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        // The allocator gives back what opening took for a moment only.
        std::thread::sleep(std::time::Duration::from_secs(2));
        let after = process::memory(gateway.id())?;
        drop(child.stdin.take());
        child.wait()?;
        let added = after.resident.saturating_sub(before.resident);
        let added = u32::try_from(added).context("streams that take more than 4 TiB")?;
        let each_kib = f64::from(added) / f64::from(STREAMS);
        Ok(Streams { count: STREAMS, before, after, each_kib })
    }
}
