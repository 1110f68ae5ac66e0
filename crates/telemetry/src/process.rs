//! What the operating system says of this process.

use std::fs;

/// What this process occupies. Absent where the system does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Occupied {
    /// Memory that is resident, in bytes.
    pub(crate) resident_bytes: Option<u64>,
    /// Open file descriptors.
    pub(crate) open_fds: Option<u64>,
    /// How many file descriptors may be open.
    pub(crate) fds_max: Option<u64>,
    /// Processes that this one started and that have not ended, or whose end nobody noticed.
    pub(crate) children: Option<u64>,
}

/// Reads `/proc/self`, which is there on Linux.
pub(crate) fn occupied() -> Occupied {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let descriptors = fs::read_dir("/proc/self/fd").ok();
    Occupied {
        resident_bytes: resident_bytes(&status),
        // Reading the directory takes a descriptor, which is in the list.
        open_fds: descriptors.map(|list| (list.count() as u64).saturating_sub(1)),
        fds_max: fds_max(&limits),
        children: children(),
    }
}

/// Every process names its parent. The shorter list that a thread has of the processes it started is
/// missing in some kernels, and a process that has just ended is missing in the list.
fn children() -> Option<u64> {
    let own = std::process::id();
    let processes = fs::read_dir("/proc").ok()?.flatten().filter(|entry| {
        entry.file_name().as_encoded_bytes().first().is_some_and(u8::is_ascii_digit)
    });
    let mut parents = processes.filter_map(|process| {
        // It may end while the others are counted.
        parent(&fs::read_to_string(process.path().join("stat")).ok()?)
    });
    let first = parents.next()?;
    let others = parents.filter(|parent| *parent == own).count() as u64;
    Some(others + u64::from(first == own))
}

/// The parent is the second field behind the name, which is in brackets and may contain any.
fn parent(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

fn fds_max(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_proc_are_read() {
        assert_eq!(resident_bytes("Name:\tx\nVmRSS:\t   12 kB\n"), Some(12_288));
        assert_eq!(resident_bytes("Name:\tx\n"), None);
        assert_eq!(fds_max("Max open files            1024        4096    files\n"), Some(1024));
        assert_eq!(fds_max("Max open files            unlimited   4096    files\n"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn linux_says_all_of_it() {
        let occupied = occupied();
        assert!(occupied.resident_bytes.is_some_and(|bytes| bytes > 100_000));
        assert!(occupied.open_fds.is_some_and(|count| count >= 3));
    }

    /// Other tests of this binary start no processes.
    #[test]
    #[cfg(target_os = "linux")]
    fn children_are_counted_until_they_are_waited_for() {
        let before = children().expect("there is /proc");
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep runs");
        assert_eq!(children(), Some(before + 1));
        child.kill().expect("it runs");
        child.wait().expect("it ended");
        assert_eq!(children(), Some(before));
    }

    #[test]
    fn a_parent_is_found_behind_any_name() {
        assert_eq!(parent("12 (a) b (c)) S 7 12 12 0"), Some(7));
        assert_eq!(parent("12 (a"), None);
    }
}
