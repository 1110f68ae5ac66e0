//! The events of one stream to a legacy client: written once, read by whoever is connected, kept for
//! a while so that a client that lost its connection can go on (2025-11-25 transports, §resumability).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::Notify;
use wire::sse;

/// A stream's events, numbered from 0.
#[derive(Debug)]
pub(super) struct StreamLog {
    /// The stream's own number in its session.
    number: u64,
    events_max: usize,
    bytes_max: usize,
    state: Mutex<State>,
    /// Something was appended, or the stream has ended.
    changed: Notify,
    /// Something was read, or nobody reads any more.
    moved: Notify,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<(u64, Bytes)>,
    bytes: usize,
    next: u64,
    /// The event that the reader takes next, and the bytes from there on.
    taken: u64,
    unread_bytes: usize,
    done: bool,
    /// Counts readers: the latest one reads, earlier ones end.
    reader: u64,
    reading: bool,
    /// The connection is to be closed once its reader has all; the stream goes on.
    pauses: u64,
}

impl StreamLog {
    pub(super) fn new(number: u64, events_max: usize, bytes_max: usize) -> Arc<Self> {
        let state = Mutex::default();
        let (changed, moved) = (Notify::new(), Notify::new());
        Arc::new(Self { number, events_max, bytes_max, state, changed, moved })
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no panic while holding a log")
    }

    /// Appends a message at once; a reader that is far behind is cut.
    pub(super) fn push(&self, message: &[u8]) {
        self.append(true, |out, id| sse::write_event(out, Some("message"), Some(id), message));
    }

    /// Appends a message once whoever reads has taken enough that nothing unread is forgotten; a reader
    /// that takes nothing within `patience` is cut.
    pub(super) async fn send(&self, message: &[u8], patience: Duration) {
        let write = |out: &mut _, id: &_| sse::write_event(out, Some("message"), Some(id), message);
        self.append_in_turn(patience, write).await;
    }

    /// Appends an event that only carries an id, so that the stream can be resumed from its start.
    pub(super) fn prime(&self, retry: Duration) {
        self.append(true, |out, id| {
            let retry = retry.as_millis();
            out.extend_from_slice(format!("id: {id}\nretry: {retry}\ndata: \n\n").as_bytes());
        });
    }

    /// Appends an event without an id at once, as HTTP+SSE has them.
    pub(super) fn push_plain(&self, event: &str, data: &[u8]) {
        self.append(true, |out, _id| sse::write_event(out, Some(event), None, data));
    }

    /// As [`send`](Self::send), without an id.
    pub(super) async fn send_plain(&self, event: &str, data: &[u8], patience: Duration) {
        let write = |out: &mut _, _id: &_| sse::write_event(out, Some(event), None, data);
        self.append_in_turn(patience, write).await;
    }

    async fn append_in_turn(&self, patience: Duration, write: impl Fn(&mut Vec<u8>, &str)) {
        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            if self.append(false, &write) {
                return;
            }
            if tokio::time::timeout(patience, moved).await.is_err() {
                self.append(true, &write);
                return;
            }
        }
    }

    /// Appends what `write` writes; without `at_once` only if it has room, and says so.
    fn append(&self, at_once: bool, write: impl FnOnce(&mut Vec<u8>, &str)) -> bool {
        let mut state = self.state();
        if state.done {
            return true;
        }
        let sequence = state.next;
        let mut out = Vec::new();
        write(&mut out, &format!("{}-{sequence}", self.number));
        if !at_once && !self.has_room(&state, out.len()) {
            return false;
        }
        state.next += 1;
        state.bytes += out.len();
        state.unread_bytes += out.len();
        state.events.push_back((sequence, out.into()));
        while state.events.len() > self.events_max.max(1)
            || (state.bytes > self.bytes_max && state.events.len() > 1)
        {
            let Some((_, oldest)) = state.events.pop_front() else { break };
            state.bytes -= oldest.len();
        }
        drop(state);
        self.changed.notify_waiters();
        true
    }

    /// Whether an event of `length` bytes would push out nothing that is still to be read.
    fn has_room(&self, state: &State, length: usize) -> bool {
        let unread = usize::try_from(state.next.saturating_sub(state.taken)).unwrap_or(usize::MAX);
        !state.reading
            || unread == 0
            || (unread < self.events_max && state.unread_bytes + length <= self.bytes_max)
    }

    /// The last event has been appended.
    pub(super) fn finish(&self) {
        self.state().done = true;
        self.changed.notify_waiters();
        self.moved.notify_waiters();
    }

    /// Closes the connection after what has been appended; the stream goes on for whoever resumes it.
    pub(super) fn pause(&self) {
        self.state().pauses += 1;
        self.changed.notify_waiters();
    }

    /// Whether somebody is connected to the stream.
    pub(super) fn is_read(&self) -> bool {
        self.state().reading
    }

    pub(super) fn is_done(&self) -> bool {
        self.state().done
    }

    /// The number of the event that comes next.
    pub(super) fn end(&self) -> u64 {
        self.state().next
    }

    /// The number of the first event that is still kept.
    pub(super) fn oldest(&self) -> u64 {
        let state = self.state();
        state.events.front().map_or(state.next, |(sequence, _)| *sequence)
    }

    /// Reads from event `from` on, until the stream ends, pauses, or is read by somebody else. Where
    /// events are already forgotten, the reader is cut: it would miss some.
    pub(super) fn read(
        self: &Arc<Self>,
        from: u64,
        keep_alive: Duration,
    ) -> impl Stream<Item = Bytes> + Send + use<> {
        let (reader, pauses) = {
            let mut state = self.state();
            state.reader += 1;
            state.reading = true;
            state.taken = from;
            let unread = state.events.iter().filter(|(sequence, _)| *sequence >= from);
            state.unread_bytes = unread.map(|(_, bytes)| bytes.len()).sum();
            (state.reader, state.pauses)
        };
        // The reader that was there before learns that it has been replaced.
        self.changed.notify_waiters();
        let reading = Reading { log: Arc::clone(self), reader, pauses, next: from };
        futures_util::stream::unfold(reading, move |mut reading| async move {
            let bytes = reading.next(keep_alive).await?;
            Some((bytes, reading))
        })
    }
}

impl StreamLog {
    /// The messages from the start on, without the framing of events, for clients on other streams.
    pub(super) fn messages(self: &Arc<Self>) -> impl Stream<Item = Bytes> + Send + use<> {
        let events = self.read(0, Duration::from_hours(24));
        futures_util::StreamExt::filter_map(events, |event| async move {
            let mut decoder = sse::Decoder::new(usize::MAX);
            decoder.feed(event);
            let event = decoder.next_event().ok().flatten()?;
            (!event.data.is_empty()).then_some(event.data)
        })
    }
}

/// One connection that reads a log.
struct Reading {
    log: Arc<StreamLog>,
    reader: u64,
    pauses: u64,
    next: u64,
}

enum Step {
    Event(Bytes),
    End,
    Wait,
}

impl Reading {
    async fn next(&mut self, keep_alive: Duration) -> Option<Bytes> {
        loop {
            let log = Arc::clone(&self.log);
            let changed = log.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            match self.step() {
                Step::Event(bytes) => return Some(bytes),
                Step::End => return None,
                Step::Wait => {}
            }
            if tokio::time::timeout(keep_alive, changed).await.is_err() {
                return Some(Bytes::from_static(b":\n\n"));
            }
        }
    }

    fn step(&mut self) -> Step {
        let mut state = self.log.state();
        if state.reader != self.reader {
            return Step::End;
        }
        let oldest = state.events.front().map_or(state.next, |(sequence, _)| *sequence);
        if self.next < oldest {
            return Step::End;
        }
        let at = usize::try_from(self.next - oldest).unwrap_or(usize::MAX);
        if let Some((_, bytes)) = state.events.get(at) {
            let bytes = bytes.clone();
            self.next += 1;
            state.taken = self.next;
            state.unread_bytes = state.unread_bytes.saturating_sub(bytes.len());
            drop(state);
            self.log.moved.notify_waiters();
            return Step::Event(bytes);
        }
        if state.done || state.pauses != self.pauses { Step::End } else { Step::Wait }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let mut state = self.log.state();
        if state.reader == self.reader {
            state.reading = false;
        }
        drop(state);
        self.log.moved.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;

    use super::*;

    const KEEP_ALIVE: Duration = Duration::from_secs(15);

    async fn text(stream: impl Stream<Item = Bytes>) -> String {
        let parts: Vec<Bytes> = stream.collect().await;
        String::from_utf8(parts.concat()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_connection_goes_on_where_it_broke() {
        let log = StreamLog::new(3, 8, 1 << 20);
        log.push(b"{\"a\":1}");
        log.push(b"{\"b\":2}");
        log.finish();
        let whole = text(log.read(0, KEEP_ALIVE)).await;
        assert!(whole.contains("id: 3-0\n") && whole.contains("id: 3-1\n"), "{whole}");
        let rest = text(log.read(1, KEEP_ALIVE)).await;
        assert!(!rest.contains("3-0") && rest.contains("{\"b\":2}"), "{rest}");
    }

    #[tokio::test(start_paused = true)]
    async fn forgotten_events_cut_the_reader_instead_of_leaving_a_gap() {
        let log = StreamLog::new(0, 2, 1 << 20);
        (0..3).for_each(|_| log.push(b"{}"));
        log.finish();
        assert_eq!(text(log.read(0, KEEP_ALIVE)).await, "");
        assert!(text(log.read(1, KEEP_ALIVE)).await.contains("0-2"));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_unread_is_forgotten_while_somebody_reads() {
        let log = StreamLog::new(0, 2, 1 << 20);
        let mut reader = Box::pin(log.read(0, KEEP_ALIVE));
        let sending = tokio::spawn({
            let log = Arc::clone(&log);
            async move {
                for number in 0..10 {
                    log.send(number.to_string().as_bytes(), KEEP_ALIVE).await;
                }
            }
        });
        for number in 0..10 {
            let event = reader.next().await.unwrap();
            assert!(event.ends_with(format!("data: {number}\n\n").as_bytes()), "{event:?}");
        }
        sending.await.unwrap();
        // Nobody waits for ever for a reader that stands still, nor for one that has gone.
        (0..2).for_each(|_| log.push(b"{}"));
        log.send(b"{}", KEEP_ALIVE).await;
        drop(reader);
        log.send(b"{}", KEEP_ALIVE).await;
        assert_eq!(log.end(), 14);
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_reader_takes_over_and_silence_is_filled() {
        let log = StreamLog::new(0, 8, 1 << 20);
        let mut first = Box::pin(log.read(0, KEEP_ALIVE));
        assert_eq!(first.next().await.unwrap(), ":\n\n");
        let mut second = Box::pin(log.read(0, KEEP_ALIVE));
        assert!(first.next().await.is_none());
        log.push(b"{}");
        assert!(second.next().await.is_some());
        assert!(log.is_read());
        drop(second);
        assert!(!log.is_read());
    }
}
