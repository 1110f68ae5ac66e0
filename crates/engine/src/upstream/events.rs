//! Messages out of an SSE body.

use bytes::Bytes;
use wire::Message;
use wire::sse::{Decoder, Event};

use super::Bounds;
use super::error::ServerError;
use crate::http::Body;

/// What an event's fields may take beside the message, which has a bound of its own.
const FRAMING: usize = 1 << 10;
/// How long the end of a stream may take after its last message.
const FINISH_WAIT: std::time::Duration = std::time::Duration::from_secs(1);

/// The events of one SSE answer.
#[derive(Debug)]
pub(super) struct Events {
    body: Body,
    decoder: Decoder,
    bounds: Bounds,
}

impl Events {
    pub(super) fn new(body: Body, bounds: Bounds) -> Self {
        Self { body, decoder: Decoder::new(bounds.message.bytes + FRAMING), bounds }
    }

    /// The next event, or `None` at the end of the stream.
    pub(super) async fn next_event(&mut self) -> Result<Option<Event>, ServerError> {
        loop {
            let next = self.decoder.next_event();
            if let Some(event) = next.map_err(|error| ServerError::Protocol(error.to_string()))? {
                return Ok(Some(event));
            }
            match self.body.chunk().await {
                Some(chunk) => self.decoder.feed(chunk?),
                None => return Ok(None),
            }
        }
    }

    /// The next message, skipping priming events and other types; `None` at the end of the stream.
    pub(super) async fn next_message(&mut self) -> Result<Option<Message>, ServerError> {
        while let Some(event) = self.next_event().await? {
            if event.is_message() && !event.data.is_empty() {
                let message = decode(&event.data, &self.bounds)?;
                // An answer may be as long as a buffered one; what comes before it may not.
                if event.data.len() > self.bounds.frame_bytes
                    && !matches!(message, Message::Response(_))
                {
                    return Err(ServerError::Protocol(format!(
                        "it streamed a message longer than {} bytes",
                        self.bounds.frame_bytes
                    )));
                }
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    /// Lets go of a stream whose last message has come: reads what is left of it, so that the connection
    /// can be used again. Usually that is the end, which is already here.
    pub(super) fn finish(mut self) {
        use futures_util::FutureExt as _;
        if !matches!(self.body.chunk().now_or_never(), Some(None | Some(Err(_)))) {
            let rest = async move { while let Some(Ok(_)) = self.body.chunk().await {} };
            tokio::spawn(tokio::time::timeout(FINISH_WAIT, rest));
        }
    }

    /// Where to resume after this stream broke.
    pub(super) fn last_event_id(&self) -> Option<&str> {
        self.decoder.last_event_id()
    }

    /// How long the server wants to be left alone before that.
    pub(super) fn retry(&self) -> Option<std::time::Duration> {
        self.decoder.retry()
    }
}

/// Reads a server's message strictly.
pub(super) fn decode(text: &Bytes, bounds: &Bounds) -> Result<Message, ServerError> {
    Message::decode(text, &bounds.message)
        .map_err(|refusal| ServerError::Protocol(refusal.to_string()))
}
