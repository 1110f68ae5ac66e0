//! The codec of server-sent events: chunks of bytes to events, and events to bytes. No I/O.
//!
//! The decoder follows the event stream format of the HTML standard: lines end with CR, LF or CRLF,
//! a blank line ends an event, and an event without any `data` field is not delivered. What differs is what
//! a gate needs: sizes are bounded, and the bytes of `data` are handed on as they came.

mod decoder;
mod encoder;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

pub use decoder::Decoder;
pub use encoder::{write_comment, write_event, write_retry};

use crate::message::Text;

/// One event of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The id that this event set; empty if it unset the id. [`Decoder::last_event_id`] knows the
    /// one that is in effect.
    pub id: Option<Text>,
    /// The type of the event; absent and empty both mean `message`.
    pub event: Option<Text>,
    /// The data, its lines joined by LF. Empty for the priming events that only carry an id. A slice
    /// of the chunk it came in where it is one line of one chunk.
    pub data: Bytes,
    /// How long to wait before a reconnection, if this event says so.
    pub retry: Option<Duration>,
}

impl Event {
    /// Whether the event has the default type, which carries all messages of Streamable HTTP.
    pub fn is_message(&self) -> bool {
        self.event.as_deref().is_none_or(|event| event.is_empty() || event == "message")
    }
}

/// An event exceeds the size that the decoder was made for. The stream cannot be read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge {
    /// The limit in bytes.
    pub event_bytes_max: usize,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an event of the stream is larger than {} bytes", self.event_bytes_max)
    }
}

impl std::error::Error for TooLarge {}

#[cfg(test)]
mod tests;
