//! The stream of a reply, whatever transport it comes over.

use super::error::ServerError;
use super::legacy_http::SessionStream;
use super::modern_http::ModernStream;
use super::pipe::PipeStream;
use crate::call::Event;

/// What comes before the answer, and then the answer. Dropping it cancels the call at the server.
#[derive(Debug)]
pub struct ReplyStream {
    first: Option<Event>,
    source: Source,
    /// Held while the call lasts: what it occupies at the server.
    held: Option<crate::fleet::Held>,
}

#[derive(Debug)]
enum Source {
    Modern(Box<ModernStream>),
    Session(Box<SessionStream>),
    Pipe(PipeStream),
    /// The answer has come.
    Over,
}

impl Source {
    /// The answer has come: what is left of a connection is read, so that it can be used again.
    fn finish(&mut self) {
        match std::mem::replace(self, Self::Over) {
            Self::Modern(stream) => stream.finish(),
            Self::Session(stream) => stream.finish(),
            Self::Pipe(_) | Self::Over => {}
        }
    }
}

impl ReplyStream {
    pub(super) fn modern(first: Event, stream: ModernStream) -> Self {
        Self { first: Some(first), source: Source::Modern(Box::new(stream)), held: None }
    }

    pub(super) fn session(first: Event, stream: SessionStream) -> Self {
        Self { first: Some(first), source: Source::Session(Box::new(stream)), held: None }
    }

    pub(super) fn pipe(first: Event, stream: PipeStream) -> Self {
        Self { first: Some(first), source: Source::Pipe(stream), held: None }
    }

    /// Keeps what the call occupies until the stream ends.
    pub(crate) fn holding(mut self, held: crate::fleet::Held) -> Self {
        self.held = Some(held);
        self
    }

    /// The next message. After [`Event::Done`] there is none.
    pub async fn next(&mut self) -> Result<Event, ServerError> {
        if let Some(first) = self.first.take() {
            return Ok(first);
        }
        let event = match &mut self.source {
            Source::Modern(stream) => stream.next().await,
            Source::Session(stream) => stream.next().await,
            Source::Pipe(stream) => stream.next().await,
            Source::Over => Err(ServerError::Closed("the answer has come already".into())),
        };
        if matches!(event, Ok(Event::Done(_))) {
            self.source.finish();
        }
        if !matches!(event, Ok(Event::Notification(_) | Event::Question(_) | Event::Paused(_))) {
            self.held = None;
        }
        event
    }
}
