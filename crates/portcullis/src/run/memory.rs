//! Gives memory back to the system after a crowd has left.
//!
//! The system's allocator keeps what was freed below something that lives: after ten thousand calls
//! that waited for their clients, hundreds of megabytes stay resident of which ten are in use.

use std::sync::Arc;
use std::time::Duration;

use engine::{Gate, Overview};

/// How often the crowd is counted.
const COUNT_EVERY: Duration = Duration::from_secs(5);
/// Smaller crowds leave little behind.
const CROWD: usize = 500;

/// Watches the crowd for as long as the gate lives.
pub(super) async fn give_back(gate: Arc<Gate>) {
    let mut most = 0;
    loop {
        tokio::time::sleep(COUNT_EVERY).await;
        let now = crowd(&gate.overview());
        most = most.max(now);
        if most >= CROWD && now <= most / 10 {
            // It walks through all free memory: not on a thread that serves.
            let trimmed = tokio::task::spawn_blocking(trim).await.unwrap_or(false);
            tracing::debug!(most, now, trimmed, "memory given back after a crowd");
            most = now;
        }
    }
}

/// Everything that holds memory for a client.
fn crowd(overview: &Overview) -> usize {
    overview.calls + overview.streams + overview.sessions + overview.parked
}

/// Returns free pages to the system; whether there were any.
#[cfg(all(target_os = "linux", target_env = "gnu", not(feature = "mimalloc")))]
fn trim() -> bool {
    #[expect(unsafe_code, reason = "no safe crate wraps malloc_trim, which takes no pointers")]
    // SAFETY: malloc_trim takes a number of bytes, may be called at any time from any thread, and
    // touches only memory that the allocator itself holds as free.
    let trimmed = unsafe { libc::malloc_trim(0) };
    trimmed == 1
}

/// Other allocators give memory back by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu", not(feature = "mimalloc"))))]
fn trim() -> bool {
    false
}

#[cfg(all(test, target_os = "linux", target_env = "gnu", not(feature = "mimalloc")))]
mod tests {
    use super::*;

    fn resident_pages() -> usize {
        let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux has it");
        let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse().ok());
        pages.expect("its second field is a number")
    }

    #[test]
    fn what_lies_below_something_that_lives_is_given_back() {
        let blocks: Vec<Vec<u8>> = (0..20_000).map(|_| vec![1; 4_000]).collect();
        let pin = vec![1_u8; 4_000];
        let full = resident_pages();
        drop(blocks);
        trim();
        let after = resident_pages();
        assert!(after + 10_000 < full, "{full} pages before, {after} after");
        assert_eq!(pin.len(), 4_000);
    }
}
