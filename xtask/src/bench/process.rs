//! What processes cost, as the kernel counts it: `/proc`.

use std::fs;

use anyhow::{Context as _, Result, bail};
use serde::Serialize;

/// The unit of CPU times in `/proc/PID/stat`: `USER_HZ` is 100 on every Linux that we run on.
const MICROSECONDS_PER_TICK: u64 = 10_000;

/// Memory of one process, in KiB.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Memory {
    /// Resident, shared pages counted whole.
    pub(crate) resident: u64,
    /// Resident, shared pages counted in part.
    pub(crate) proportional: u64,
}

/// User and system time of a process and all that it started, in microseconds.
pub(crate) fn cpu_us(root: u32) -> Result<u64> {
    let mut ticks = 0;
    for process in tree(root) {
        let stat = fs::read_to_string(format!("/proc/{process}/stat"));
        match stat {
            Ok(stat) => ticks += cpu_ticks(&stat).with_context(|| format!("process {process}"))?,
            Err(_) if process != root => {} // ended between listing and reading
            Err(error) => bail!("process {process} is gone: {error}"),
        }
    }
    Ok(ticks * MICROSECONDS_PER_TICK)
}

/// The memory of one process; what it started is not counted.
pub(crate) fn memory(process: u32) -> Result<Memory> {
    let file = format!("/proc/{process}/smaps_rollup");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))?;
    let member = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB")?.parse().ok())
            .with_context(|| format!("{file} has no {name}"))
    };
    Ok(Memory { resident: member("Rss:")?, proportional: member("Pss:")? })
}

/// The most memory that a process ever had resident, in KiB.
pub(crate) fn peak(process: u32) -> Result<u64> {
    let file = format!("/proc/{process}/status");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))?;
    text.lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok())
        .with_context(|| format!("{file} has no VmHWM"))
}

/// A process and all its descendants.
fn tree(root: u32) -> Vec<u32> {
    let mut all = vec![root];
    let mut next = 0;
    while let Some(&process) = all.get(next) {
        next += 1;
        let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else { continue };
        for thread in threads.flatten() {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            all.extend(children.split_whitespace().filter_map(|id| id.parse::<u32>().ok()));
        }
    }
    all
}

/// The sum of user and system time in a line of `/proc/PID/stat`.
fn cpu_ticks(stat: &str) -> Result<u64> {
    // The name, in parentheses, may contain anything, even spaces and parentheses.
    let (_, fields) = stat.rsplit_once(')').context("stat has no name")?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut next = || fields.next().and_then(|field| field.parse::<u64>().ok());
    match (next(), next()) {
        (Some(user), Some(system)) => Ok(user + system),
        _ => bail!("stat has no times"),
    }
}

#[cfg(test)]
mod tests {
    use super::{cpu_ticks, peak, tree};

    #[test]
    fn times_are_found_behind_any_name() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 10 0 0 0 120 30 5 6 20 0 1 0 99";
        assert_eq!(cpu_ticks(stat).unwrap(), 150);
        assert!(cpu_ticks("42 (a) S").is_err());
    }

    #[test]
    fn a_process_has_a_peak() {
        assert!(peak(std::process::id()).unwrap() > 0);
    }

    #[test]
    fn a_tree_contains_its_root() {
        assert_eq!(tree(std::process::id())[0], std::process::id());
    }
}
