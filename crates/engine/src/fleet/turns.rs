//! Whose turn it is on conversations where a question does not say which call it belongs to.
//!
//! On one pipe every call of a client that can be asked has the pipe for itself. A call that holds it
//! for long, because its client is being asked, blocks no other: whoever has waited for a while gets
//! a further conversation, within a bound.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Semaphore;

/// The conversations, called lanes, of clients that can be asked the same.
#[derive(Debug)]
pub(super) struct Turns {
    lanes: Mutex<Lanes>,
    free: Semaphore,
}

#[derive(Debug)]
struct Lanes {
    /// Nobody's turn, and a conversation to be had: one for each permit.
    free: Vec<u32>,
    /// Numbers that were given back because no conversation could be begun.
    unopened: Vec<u32>,
    /// How many numbers were given out.
    numbers: u32,
    /// Calls whose turn it is and that wait for their clients.
    waiting: u32,
}

impl Lanes {
    fn open(&self) -> u32 {
        self.numbers - u32::try_from(self.unopened.len()).unwrap_or(self.numbers)
    }
}

impl Default for Turns {
    fn default() -> Self {
        let lanes = Lanes { free: vec![0], unopened: Vec::new(), numbers: 1, waiting: 0 };
        Self { lanes: Mutex::new(lanes), free: Semaphore::new(1) }
    }
}

/// The turn on one lane; passed on when dropped.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Arc<Turns>,
    lane: u32,
    waits: bool,
    /// Whether there is a conversation to pass on.
    is_open: bool,
}

/// How often whoever waits looks whether all others wait for their clients.
const LOOK: Duration = Duration::from_millis(500);

impl Turns {
    /// Waits for a turn on any lane. After `patience` another one is opened, if there are fewer than
    /// `most`; where there are not, the wait goes on, unless all lanes wait for their clients.
    pub(super) async fn take(self: &Arc<Self>, most: u32, patience: Duration) -> Option<Turn> {
        let mut patience = patience;
        loop {
            if let Ok(Ok(permit)) = tokio::time::timeout(patience, self.free.acquire()).await {
                permit.forget();
                let lane = self.lanes().free.pop().expect("a lane is free for each permit");
                return Some(self.turn(lane));
            }
            let mut lanes = self.lanes();
            if lanes.open() < most {
                let lane = lanes.unopened.pop().unwrap_or_else(|| {
                    lanes.numbers += 1;
                    lanes.numbers - 1
                });
                drop(lanes);
                return Some(self.turn(lane));
            }
            if lanes.waiting >= lanes.open() {
                return None;
            }
            patience = LOOK;
        }
    }

    fn turn(self: &Arc<Self>, lane: u32) -> Turn {
        Turn { turns: Arc::clone(self), lane, waits: false, is_open: true }
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().expect("no panic while holding the lanes")
    }
}

impl Turn {
    pub(super) fn lane(&self) -> u32 {
        self.lane
    }

    /// The call waits for its client, or no longer does.
    pub(super) fn waits_for_client(&mut self, waits: bool) {
        if self.waits != waits {
            self.waits = waits;
            let mut lanes = self.turns.lanes();
            lanes.waiting = if waits { lanes.waiting + 1 } else { lanes.waiting - 1 };
        }
    }

    /// No conversation could be begun on this lane: nobody shall be given it as one.
    pub(super) fn has_none(mut self) {
        self.is_open = self.lane == 0;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.waits_for_client(false);
        if !self.is_open {
            self.turns.lanes().unopened.push(self.lane);
            return;
        }
        self.turns.lanes().free.push(self.lane);
        self.turns.free.add_permits(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(2);

    #[tokio::test(start_paused = true)]
    async fn one_waits_for_another_and_then_no_longer() {
        let turns = Arc::new(Turns::default());
        let first = turns.take(2, PATIENCE).await.unwrap();
        let waiting = tokio::spawn({
            let turns = Arc::clone(&turns);
            async move { turns.take(2, PATIENCE).await.unwrap() }
        });
        tokio::time::sleep(Duration::from_millis(1_900)).await;
        assert!(!waiting.is_finished(), "its turn has not come");
        drop(first);
        let second = waiting.await.unwrap();
        assert_eq!(second.lane(), 0, "the lane is used again");
        let began = tokio::time::Instant::now();
        let third = turns.take(2, PATIENCE).await.unwrap();
        assert_eq!((third.lane(), began.elapsed()), (1, PATIENCE));
    }

    #[tokio::test(start_paused = true)]
    async fn only_calls_that_wait_for_their_clients_end_the_wait() {
        let turns = Arc::new(Turns::default());
        let mut first = turns.take(2, PATIENCE).await.unwrap();
        let mut second = turns.take(2, PATIENCE).await.unwrap();
        first.waits_for_client(true);
        let minute = Duration::from_mins(1);
        assert!(
            tokio::time::timeout(minute, turns.take(2, PATIENCE)).await.is_err(),
            "the second works, and will end"
        );
        second.waits_for_client(true);
        assert!(turns.take(2, PATIENCE).await.is_none(), "nobody knows when these end");
        drop(second);
        assert_eq!(turns.take(2, PATIENCE).await.unwrap().lane(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lane_without_a_conversation_is_nobodys() {
        let turns = Arc::new(Turns::default());
        let first = turns.take(2, PATIENCE).await.unwrap();
        turns.take(2, PATIENCE).await.unwrap().has_none();
        let again = turns.take(2, PATIENCE).await.unwrap();
        assert_eq!(again.lane(), 1, "tried anew, after the wait");
        again.has_none();
        drop(first);
        let began = tokio::time::Instant::now();
        assert_eq!(turns.take(2, PATIENCE).await.unwrap().lane(), 0);
        assert!(began.elapsed().is_zero());
    }
}
