//! The record of a call, and the bounded queue by which it leaves the way of the call.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

/// What happened in one call. Each call leaves exactly one record, whatever happened.
#[derive(Clone, Debug)]
pub struct CallRecord {
    /// Names the call in logs, response headers and error data.
    pub correlation: [u8; 16],
    /// The call that this one is part of: a step of a tool that is made of several calls.
    pub parent: Option<[u8; 16]>,
    /// The endpoint's path.
    pub endpoint: Arc<str>,
    /// The server that was asked, where one was.
    pub server: Option<Arc<str>>,
    /// The method as written.
    pub method: Cow<'static, str>,
    /// The tool, prompt or resource as the client named it, where the method has one.
    pub name: Option<Box<str>>,
    /// The protocol version of the client's hop.
    pub client_version: &'static str,
    /// The era of the server's hop, where one was asked.
    pub server_era: Option<&'static str>,
    /// How it ended.
    pub outcome: CallOutcome,
    /// From the complete request to the last byte of the answer.
    pub duration: Duration,
    /// How often the client was asked something, with all the calls that this one continues.
    pub rounds: u32,
    /// How much of `duration` was spent waiting for the client's answers; zero where the client
    /// answers with a call of its own.
    pub waited: Duration,
    /// What only the operator may know about a failure.
    pub detail: Option<Box<str>>,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallOutcome {
    /// The server answered with a result.
    Success,
    /// The client was asked for input, and continues the call with another one.
    Asked,
    /// The server answered with a tool error (`isError`) or a protocol error.
    ServerError,
    /// The gate ended it; the label names the reason.
    Fault(&'static str),
}

impl CallOutcome {
    /// The label in metrics and logs.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Asked => "asked",
            Self::ServerError => "server-error",
            Self::Fault(slug) => slug,
        }
    }
}

/// Takes records off the way of a call. Never waits: where the reader is slower than the traffic, the
/// record is dropped and counted.
#[derive(Clone, Debug)]
pub struct Recorder {
    queue: mpsc::Sender<CallRecord>,
    dropped: Arc<AtomicU64>,
}

/// Records that may wait for the reader: about 4 MiB.
const RECORDS_QUEUED: usize = 16_384;

impl Recorder {
    /// A recorder, and the queue that its reader drains.
    pub fn new() -> (Self, mpsc::Receiver<CallRecord>) {
        let (queue, reader) = mpsc::channel(RECORDS_QUEUED);
        (Self { queue, dropped: Arc::default() }, reader)
    }

    /// Keeps the record of a finished call.
    pub fn record(&self, record: CallRecord) {
        if self.queue.try_send(record).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many records were dropped because the reader was too slow.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_drops_and_counts() {
        let (recorder, _reader) = Recorder::new();
        let record = CallRecord {
            correlation: [b'0'; 16],
            parent: None,
            endpoint: "/mcp".into(),
            server: None,
            method: "tools/call".into(),
            name: None,
            client_version: "2026-07-28",
            server_era: None,
            outcome: CallOutcome::Success,
            duration: Duration::ZERO,
            rounds: 0,
            waited: Duration::ZERO,
            detail: None,
        };
        for _ in 0..=RECORDS_QUEUED {
            recorder.record(record.clone());
        }
        assert_eq!(recorder.dropped(), 1);
    }
}
