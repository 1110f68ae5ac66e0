//! Chance that can be repeated: everything random in a simulation comes from its seed.

use std::time::Duration;

/// A source of numbers (splitmix64): small, and good enough for any seed, zero included.
#[derive(Clone, Debug)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn of(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A source of its own for one actor: what one does changes nothing for the others.
    pub(super) fn fork(&mut self) -> Self {
        Self(self.next())
    }

    /// A number from `least` to `most`, both included.
    pub(super) fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.next() % (most - least + 1)
    }

    /// True once in `times`.
    pub(super) fn one_in(&mut self, times: u64) -> bool {
        self.between(1, times) == 1
    }

    pub(super) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        let last = choices.len() as u64 - 1;
        let at = usize::try_from(self.between(0, last)).expect("less than the number of choices");
        choices[at]
    }

    pub(super) fn millis(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.between(least, most))
    }

    /// Lets the others go first, a few times or not at all: what is due at the same moment happens
    /// in every order.
    pub(super) async fn dawdle(&mut self) {
        for _ in 0..self.between(0, 4) {
            tokio::task::yield_now().await;
        }
    }
}
