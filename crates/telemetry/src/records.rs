//! Follows the records of calls: a line in the log for each, and the numbers of the metrics.

use std::str;
use std::sync::Arc;
use std::time::Duration;

use store::{CallOutcome, CallRecord};
use tokio::sync::mpsc::Receiver;

use crate::metrics::Metrics;

/// How long records gather before they are looked at. While calls come in faster than this, recording
/// one wakes nobody; at 100,000 calls a second 2,000 records gather, an eighth of what the queue holds.
const PAUSE: Duration = Duration::from_millis(20);
/// Most records taken at once.
const BATCH: usize = 1_024;

/// Follows the records until `end` completes or their source is gone; what had been recorded by then
/// is still written. Runs beside the calls and never on the way of one.
pub async fn follow(
    mut records: Receiver<CallRecord>,
    metrics: Arc<Metrics>,
    end: impl Future<Output = ()>,
) {
    let mut end = std::pin::pin!(end);
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let count = tokio::select! {
            count = records.recv_many(&mut batch, BATCH) => count,
            () = &mut end => break,
        };
        if count == 0 {
            return;
        }
        take(&mut batch, &metrics);
        if count < BATCH {
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = &mut end => break,
            }
        }
    }
    records.close();
    while records.recv_many(&mut batch, BATCH).await > 0 {
        take(&mut batch, &metrics);
    }
}

fn take(batch: &mut Vec<CallRecord>, metrics: &Metrics) {
    for record in batch.drain(..) {
        metrics.count(&record);
        log(&record);
    }
}

/// The access log: a line for each call under the target `portcullis::call`.
fn log(record: &CallRecord) {
    /// Both severities write the same fields, and `tracing` wants its level at compile time.
    macro_rules! write_call {
        ($level:ident, $record:ident) => {
            tracing::$level!(
                target: "portcullis::call",
                correlation = str::from_utf8(&$record.correlation).unwrap_or_default(),
                parent = $record.parent.as_ref().and_then(|parent| str::from_utf8(parent).ok()),
                endpoint = &*$record.endpoint,
                server = $record.server.as_deref(),
                method = &*$record.method,
                name = $record.name.as_deref(),
                client_version = $record.client_version,
                server_era = $record.server_era,
                outcome = $record.outcome.label(),
                duration_ms = millis($record.duration),
                rounds = ($record.rounds > 0).then_some($record.rounds),
                waited_ms = (!$record.waited.is_zero()).then(|| millis($record.waited)),
                detail = $record.detail.as_deref(),
                "call"
            )
        };
    }
    if needs_somebody(record.outcome) {
        write_call!(warn, record);
    } else {
        write_call!(info, record);
    }
}

/// Failures of servers and of the gate are the operator's matter; those of clients are not.
fn needs_somebody(outcome: CallOutcome) -> bool {
    match outcome {
        CallOutcome::Success | CallOutcome::Asked | CallOutcome::ServerError => false,
        CallOutcome::Fault(slug) => {
            matches!(slug, "server-failed" | "deadline-exceeded" | "overloaded" | "internal")
        }
    }
}

/// With microseconds, because the gate's own part is below a millisecond.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
