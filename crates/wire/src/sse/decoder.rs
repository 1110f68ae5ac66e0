//! From chunks to events: lines first, then fields, then events.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use memchr::{memchr, memchr2};

use super::{Event, TooLarge};
use crate::message::Text;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Decodes one stream: [`feed`](Self::feed) it each chunk, then take events with
/// [`next_event`](Self::next_event) until there is none.
#[derive(Debug)]
pub struct Decoder {
    event_bytes_max: usize,
    /// What of the fed chunks is not read yet.
    unread: Bytes,
    /// The start of a line whose end has not come yet.
    partial: BytesMut,
    /// The last line ended with CR at the very end of a chunk: an LF that follows belongs to it.
    skip_lf: bool,
    /// No line was read yet: a byte order mark may come first.
    at_start: bool,
    /// An event was too large; nothing can be read any more.
    failed: bool,
    block: Block,
    last_event_id: Box<str>,
    retry: Option<Duration>,
}

/// The fields since the last blank line.
#[derive(Debug, Default)]
struct Block {
    /// Bytes of the block's lines so far, line ends and comments not counted.
    bytes: usize,
    id: Option<Text>,
    event: Option<Text>,
    data: Data,
    retry: Option<Duration>,
}

/// The data lines of a block. Most events have exactly one, which is never copied.
#[derive(Debug, Default)]
enum Data {
    #[default]
    None,
    Line(Bytes),
    Joined(BytesMut),
}

impl Data {
    fn push(self, line: Bytes) -> Self {
        let mut joined = match self {
            Self::None => return Self::Line(line),
            Self::Line(first) => BytesMut::from(&*first),
            Self::Joined(joined) => joined,
        };
        joined.extend_from_slice(b"\n");
        joined.extend_from_slice(&line);
        Self::Joined(joined)
    }
}

impl Decoder {
    /// A decoder for a new stream. `event_bytes_max` bounds the lines of one event together, field
    /// names included and line ends not, and each comment.
    pub fn new(event_bytes_max: usize) -> Self {
        Self {
            event_bytes_max,
            unread: Bytes::new(),
            partial: BytesMut::new(),
            skip_lf: false,
            at_start: true,
            failed: false,
            block: Block::default(),
            last_event_id: "".into(),
            retry: None,
        }
    }

    /// Adds the next chunk of the stream. Cheap when all events of earlier chunks were taken.
    pub fn feed(&mut self, chunk: Bytes) {
        if self.failed {
            return;
        }
        self.unread =
            if self.unread.is_empty() { chunk } else { [&*self.unread, &*chunk].concat().into() };
    }

    /// The next complete event, or `None` until more chunks are fed. An event that the stream ends
    /// in the middle of is never delivered.
    pub fn next_event(&mut self) -> Result<Option<Event>, TooLarge> {
        if self.failed {
            return Err(self.too_large());
        }
        while let Some(line) = self.next_line()? {
            if line.is_empty() {
                if let Some(event) = self.end_block() {
                    return Ok(Some(event));
                }
            } else {
                self.field(&line)?;
            }
        }
        Ok(None)
    }

    /// The id to resume the stream after, as of the last complete event; `None` if there is none.
    pub fn last_event_id(&self) -> Option<&str> {
        Some(&*self.last_event_id).filter(|id| !id.is_empty())
    }

    /// How long to wait before a reconnection, as the stream last said.
    pub fn retry(&self) -> Option<Duration> {
        self.retry
    }

    fn too_large(&mut self) -> TooLarge {
        self.failed = true;
        self.unread = Bytes::new();
        self.partial = BytesMut::new();
        self.block = Block::default();
        TooLarge { event_bytes_max: self.event_bytes_max }
    }

    /// The next complete line without its end.
    fn next_line(&mut self) -> Result<Option<Bytes>, TooLarge> {
        if self.skip_lf && !self.unread.is_empty() {
            self.skip_lf = false;
            if self.unread[0] == b'\n' {
                let _lf = self.unread.split_to(1);
            }
        }
        let room = self.event_bytes_max - self.block.bytes;
        let Some(end) = memchr2(b'\r', b'\n', &self.unread) else {
            // A byte order mark in front of the first line is not part of it.
            let start = self.partial.iter().chain(&self.unread).take(BYTE_ORDER_MARK.len());
            let marked = self.at_start && start.eq(BYTE_ORDER_MARK);
            let mark = if marked { BYTE_ORDER_MARK.len() } else { 0 };
            if self.partial.len() + self.unread.len() > room.saturating_add(mark) {
                return Err(self.too_large());
            }
            self.partial.extend_from_slice(&self.unread);
            self.unread = Bytes::new();
            return Ok(None);
        };
        let mut line = self.unread.split_to(end);
        let ended_by_cr = self.unread[0] == b'\r';
        let _end = self.unread.split_to(1);
        if ended_by_cr {
            match self.unread.first() {
                Some(b'\n') => drop(self.unread.split_to(1)),
                Some(_) => {}
                None => self.skip_lf = true,
            }
        }
        if !self.partial.is_empty() {
            self.partial.extend_from_slice(&line);
            line = self.partial.split().freeze();
        }
        if self.at_start {
            self.at_start = false;
            if line.starts_with(BYTE_ORDER_MARK) {
                let _mark = line.split_to(BYTE_ORDER_MARK.len());
            }
        }
        if line.len() > room {
            return Err(self.too_large());
        }
        Ok(Some(line))
    }

    /// Takes one line that is not blank into the block.
    fn field(&mut self, line: &Bytes) -> Result<(), TooLarge> {
        let colon = memchr(b':', line).unwrap_or(line.len());
        if colon == 0 {
            return Ok(()); // a comment
        }
        self.block.bytes += line.len();
        if self.block.bytes > self.event_bytes_max {
            return Err(self.too_large());
        }
        let value = match &line[colon..] {
            [b':', b' ', ..] => line.slice(colon + 2..),
            [b':', ..] => line.slice(colon + 1..),
            _ => Bytes::new(),
        };
        match &line[..colon] {
            b"data" => self.block.data = std::mem::take(&mut self.block.data).push(value),
            b"event" => self.block.event = Some(Text::lossy(value)),
            b"id" if !value.contains(&0) => self.block.id = Some(Text::lossy(value)),
            b"retry" => self.block.retry = milliseconds(&value).or(self.block.retry),
            _ => {} // unknown fields are ignored
        }
        Ok(())
    }

    /// Ends the block: its id and retry time take effect; it is an event if it has data.
    fn end_block(&mut self) -> Option<Event> {
        let Block { id, event, data, retry, bytes: _ } = std::mem::take(&mut self.block);
        if let Some(id) = &id
            && **id != *self.last_event_id
        {
            self.last_event_id = id.as_str().into();
        }
        self.retry = retry.or(self.retry);
        let data = match data {
            Data::None => return None,
            Data::Line(line) => line,
            Data::Joined(joined) => joined.freeze(),
        };
        Some(Event { id, event, data, retry })
    }
}

/// A duration in milliseconds, written in ASCII digits alone.
fn milliseconds(value: &[u8]) -> Option<Duration> {
    let digits = std::str::from_utf8(value).ok()?;
    let plain = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    plain.then(|| digits.parse().ok().map(Duration::from_millis)).flatten()
}
