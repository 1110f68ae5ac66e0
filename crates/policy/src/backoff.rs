//! How long to wait before the next attempt.

use std::time::Duration;

/// Exponential back-off between attempts to start or reach a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The wait after the first failure.
    pub initial: Duration,
    /// The longest wait.
    pub max: Duration,
}

impl Backoff {
    /// The wait after `failures` failures in a row; zero after none.
    ///
    /// `jitter` in `0.0..1.0` shortens the wait by up to a quarter, so that many gates do not knock
    /// at the same moment.
    pub fn wait(&self, failures: u32, jitter: f64) -> Duration {
        let Some(doublings) = failures.checked_sub(1) else { return Duration::ZERO };
        let factor = 2_u32.saturating_pow(doublings.min(20));
        let full = self.initial.saturating_mul(factor).min(self.max);
        full.mul_f64(1.0 - 0.25 * jitter.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let backoff = Backoff { initial: Duration::from_millis(500), max: Duration::from_secs(30) };
        let waits: Vec<_> =
            (0..9).map(|failures| backoff.wait(failures, 0.0).as_millis()).collect();
        assert_eq!(waits, [0, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
        assert_eq!(backoff.wait(1, 1.0), Duration::from_millis(375));
        assert_eq!(backoff.wait(u32::MAX, 0.0), Duration::from_secs(30));
    }
}
