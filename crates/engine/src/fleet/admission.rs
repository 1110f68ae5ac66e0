//! How many calls a server gets at once, and how many may wait for their turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::upstream::ServerError;

/// The bulkhead of one server: a slow server holds up its own callers only.
#[derive(Debug)]
pub(super) struct Admission {
    places: Arc<Semaphore>,
    concurrency: usize,
    waiting: AtomicUsize,
    queue: usize,
    queue_timeout: Duration,
}

/// One of the server's concurrent calls; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
}

impl Admission {
    pub(super) fn new(concurrency: usize, queue: usize, queue_timeout: Duration) -> Self {
        Self {
            places: Arc::new(Semaphore::new(concurrency)),
            concurrency,
            waiting: AtomicUsize::new(0),
            queue,
            queue_timeout,
        }
    }

    /// Takes a place, at once or after waiting in the bounded queue.
    pub(super) async fn enter(&self) -> Result<Place, ServerError> {
        if let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(Place { _permit: permit });
        }
        let _turn = Waiting::join(&self.waiting, self.queue).ok_or_else(|| {
            ServerError::Busy(format!(
                "{} calls are running and {} are waiting; try again later",
                self.concurrency, self.queue
            ))
        })?;
        match tokio::time::timeout(self.queue_timeout, Arc::clone(&self.places).acquire_owned())
            .await
        {
            Ok(Ok(permit)) => Ok(Place { _permit: permit }),
            Ok(Err(_)) => Err(ServerError::Busy("it is being removed".into())),
            Err(_) => Err(ServerError::Busy(format!(
                "{} calls are running and none ended within {} s; try again later",
                self.concurrency,
                self.queue_timeout.as_secs_f32()
            ))),
        }
    }

    /// How many calls are running.
    pub(super) fn running(&self) -> usize {
        self.concurrency.saturating_sub(self.places.available_permits())
    }
}

/// One caller in the queue.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn join(waiting: &'a AtomicUsize, most: usize) -> Option<Self> {
        if waiting.fetch_add(1, Ordering::Relaxed) < most {
            return Some(Self(waiting));
        }
        waiting.fetch_sub(1, Ordering::Relaxed);
        None
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_queue_holds_at_its_limit_and_refuses_one_more() {
        let admission = Arc::new(Admission::new(1, 1, Duration::from_secs(5)));
        let first = admission.enter().await.unwrap();
        let queued = tokio::spawn({
            let admission = Arc::clone(&admission);
            async move { admission.enter().await }
        });
        while admission.waiting.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(admission.enter().await, Err(ServerError::Busy(_))));
        drop(first);
        let second = queued.await.unwrap().unwrap();
        assert_eq!(admission.running(), 1);
        assert!(
            matches!(admission.enter().await, Err(ServerError::Busy(_))),
            "the wait is bounded"
        );
        drop(second);
        assert_eq!(admission.running(), 0);
    }
}
