//! Whose turn it is on conversations where a question does not say which call it belongs to.
//!
//! On one pipe every call of a client that can be asked has the pipe for itself. A call that holds it
//! for long, because its client is being asked, blocks no other: whoever has waited for a while gets
//! a further conversation, within a bound.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Semaphore;

/// How long a call waits for its turn before it gets a conversation of its own.
const PATIENCE: Duration = Duration::from_secs(2);

/// The conversations, called lanes, of clients that can be asked the same.
#[derive(Debug)]
pub(super) struct Turns {
    free: Mutex<Vec<u32>>,
    turns: Semaphore,
    lanes: AtomicU32,
}

impl Default for Turns {
    fn default() -> Self {
        Self { free: Mutex::new(vec![0]), turns: Semaphore::new(1), lanes: AtomicU32::new(1) }
    }
}

/// The turn on one lane; passed on when dropped.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Arc<Turns>,
    lane: u32,
}

impl Turn {
    pub(super) fn lane(&self) -> u32 {
        self.lane
    }
}

impl Turns {
    /// Waits for a turn on any lane; opens another one after a while, if there are fewer than `most`.
    pub(super) async fn take(self: &Arc<Self>, most: u32) -> Option<Turn> {
        if let Ok(Ok(permit)) = tokio::time::timeout(PATIENCE, self.turns.acquire()).await {
            permit.forget();
            let lane = self.free().pop().expect("a lane is free for each permit");
            return Some(Turn { turns: Arc::clone(self), lane });
        }
        let opened = self.lanes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |lanes| {
            (lanes < most).then_some(lanes + 1)
        });
        opened.ok().map(|lane| Turn { turns: Arc::clone(self), lane })
    }

    fn free(&self) -> std::sync::MutexGuard<'_, Vec<u32>> {
        self.free.lock().expect("no panic while holding the lanes")
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.free().push(self.lane);
        self.turns.turns.add_permits(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_waits_for_another_and_then_no_longer() {
        let turns = Arc::new(Turns::default());
        let first = turns.take(2).await.unwrap();
        let waiting = tokio::spawn({
            let turns = Arc::clone(&turns);
            async move { turns.take(2).await.unwrap() }
        });
        tokio::time::sleep(Duration::from_millis(1_900)).await;
        assert!(!waiting.is_finished(), "its turn has not come");
        drop(first);
        let second = waiting.await.unwrap();
        assert_eq!(second.lane(), 0, "the lane is used again");
        let began = tokio::time::Instant::now();
        let third = turns.take(2).await.unwrap();
        assert_eq!((third.lane(), began.elapsed()), (1, PATIENCE));
        assert!(turns.take(2).await.is_none(), "no more than two");
        drop(second);
        assert_eq!(turns.take(2).await.unwrap().lane(), 0);
    }
}
