//! Latencies, each kept, so that quantiles are exact.

use std::time::Duration;

/// The latencies of one run.
///
/// Four bytes a request: a minute at 100,000 requests a second is 24 MB.
#[derive(Debug, Default)]
pub struct Latencies {
    nanoseconds: Vec<u32>,
}

impl Latencies {
    /// Adds one; more than four seconds count as four.
    pub fn add(&mut self, latency: Duration) {
        self.nanoseconds.push(u32::try_from(latency.as_nanos()).unwrap_or(u32::MAX));
    }

    /// Adds all of another run.
    pub fn append(&mut self, mut other: Self) {
        self.nanoseconds.append(&mut other.nanoseconds);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.nanoseconds.len()
    }

    /// The given quantiles (0 to 1) in microseconds, 0 when there are no latencies.
    pub fn quantiles_us<const N: usize>(&mut self, quantiles: [f64; N]) -> [f64; N] {
        self.nanoseconds.sort_unstable();
        quantiles.map(|quantile| self.sorted_quantile_us(quantile))
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index into at most some millions of latencies"
    )]
    fn sorted_quantile_us(&self, quantile: f64) -> f64 {
        let Some(last) = self.nanoseconds.len().checked_sub(1) else { return 0.0 };
        let at = (quantile.clamp(0.0, 1.0) * last as f64).round() as usize;
        f64::from(self.nanoseconds[at]) / 1_000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_exact() {
        let mut latencies = Latencies::default();
        assert!(latencies.quantiles_us([0.5])[0].abs() < 1e-9);
        for micros in (1..=101).rev() {
            latencies.add(Duration::from_micros(micros));
        }
        let [least, median, most] = latencies.quantiles_us([0.0, 0.5, 1.0]);
        assert!((least - 1.0).abs() < 1e-9 && (median - 51.0).abs() < 1e-9);
        assert!((most - 101.0).abs() < 1e-9);
        latencies.add(Duration::from_secs(100));
        assert_eq!(latencies.count(), 102);
    }
}
