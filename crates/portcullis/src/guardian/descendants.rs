//! Finding and signalling everything that the server started.

use std::fmt;

use rustix::process::{Pid, Signal};

/// The processes below the guardian at one moment.
pub(super) struct Descendants(Vec<Pid>);

impl Descendants {
    /// Sends `signal` to each. A process that ended meanwhile is no failure.
    #[cfg(target_os = "linux")]
    pub(super) fn signal(&self, signal: Signal) {
        for pid in &self.0 {
            let _ = rustix::process::kill_process(*pid, signal);
        }
    }

    /// Sends `signal` to the server's process group.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn signal(&self, signal: Signal) {
        for pid in &self.0 {
            let _ = rustix::process::kill_process_group(*pid, signal);
        }
    }

    /// Looks for all processes below the guardian: children of the server, and orphans that the
    /// guardian adopted. `/proc/PID/task/TID/children` would be shorter, but not every kernel has it.
    #[cfg(target_os = "linux")]
    pub(super) fn find(_server: Pid) -> Self {
        let pairs = parents();
        let mut found = Vec::new();
        let mut front = vec![rustix::process::getpid().as_raw_nonzero().get()];
        while let Some(parent) = front.pop() {
            for (pid, _) in pairs.iter().filter(|(_, its_parent)| *its_parent == parent) {
                if let Some(known) = Pid::from_raw(*pid)
                    && !found.contains(&known)
                {
                    found.push(known);
                    front.push(*pid);
                }
            }
        }
        Self(found)
    }

    /// The process group that the server leads.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn find(server: Pid) -> Self {
        Self(vec![server])
    }
}

impl fmt::Display for Descendants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, pid) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{}", pid.as_raw_nonzero())?;
        }
        Ok(())
    }
}

/// Makes this process the parent of every descendant whose own parent ends.
#[cfg(target_os = "linux")]
pub(super) fn adopt_orphans() -> rustix::io::Result<()> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
}

/// There is no adoption on this system.
#[cfg(not(target_os = "linux"))]
pub(super) fn adopt_orphans() -> rustix::io::Result<()> {
    Ok(())
}

/// Every process and its parent, as far as `/proc` shows them.
#[cfg(target_os = "linux")]
fn parents() -> Vec<(i32, i32)> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read(entry.path().join("stat")).ok()?;
            Some((pid, parent_in(&stat)?))
        })
        .collect()
}

/// The parent's id in a line of `/proc/PID/stat`: `pid (name) state parent …`. The name may hold
/// anything, brackets and bytes that are no text included, so the last bracket counts.
#[cfg(target_os = "linux")]
fn parent_in(stat: &[u8]) -> Option<i32> {
    let end_of_name = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(&stat[end_of_name + 1..]).ok()?;
    rest.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::parent_in;

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_hide_the_parent() {
        assert_eq!(parent_in(b"7 (sh) S 3 7 7 0"), Some(3));
        assert_eq!(parent_in(b"7 (a) S 9 (\xff) R 4 7"), Some(4));
        assert_eq!(parent_in(b"7 (cut"), None);
        assert_eq!(parent_in(b""), None);
    }
}
