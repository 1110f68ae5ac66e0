//! The stream of a reply, whatever transport it comes over.

use std::time::Duration;

use wire::Json;

use super::api::ApiStream;
use super::composite::CompositeStream;
use super::ear::Eared;
use super::error::ServerError;
use super::legacy_http::SessionStream;
use super::modern_http::ModernStream;
use super::pipe::PipeStream;
use crate::call::Event;
use crate::interaction::{Driving, Following, Parking};

/// What comes before the answer, and then the answer. Dropping it cancels the call at the server.
#[derive(Debug)]
pub struct ReplyStream {
    first: Option<Box<Event>>,
    source: Source,
    /// How often the client was asked, once the answer has come.
    rounds: (u32, Duration),
    /// Held while the call lasts: what it occupies at the server.
    held: Option<Box<crate::fleet::Held>>,
}

#[derive(Debug)]
enum Source {
    Modern(Box<ModernStream>),
    Session(Box<SessionStream>),
    Pipe(PipeStream),
    /// An API's answer that comes value by value.
    Api(Box<ApiStream>),
    /// The steps of a tool that is made of calls.
    Composite(Box<CompositeStream>),
    /// A call whose questions may come beside its stream.
    Eared(Box<Eared>),
    /// A legacy server's call whose client is asked by parking it.
    Parking(Box<Parking>),
    /// A modern server's call whose client is asked on the way.
    Driving(Box<Driving>),
    /// A call that the gate made as a task.
    Following(Box<Following>),
    /// The answer has come.
    Over,
}

impl Source {
    /// The answer has come: what is left of a connection is read, so that it can be used again.
    fn finish(&mut self) {
        match std::mem::replace(self, Self::Over) {
            Self::Modern(stream) => stream.finish(),
            Self::Session(stream) => stream.finish(),
            Self::Pipe(_)
            | Self::Api(_)
            | Self::Composite(_)
            | Self::Eared(_)
            | Self::Parking(_)
            | Self::Driving(_)
            | Self::Following(_)
            | Self::Over => {}
        }
    }
}

impl ReplyStream {
    fn of(first: Option<Event>, source: Source) -> Self {
        Self { first: first.map(Box::new), source, rounds: (0, Duration::ZERO), held: None }
    }

    pub(super) fn modern(first: Event, stream: ModernStream) -> Self {
        Self::of(Some(first), Source::Modern(Box::new(stream)))
    }

    pub(super) fn session(first: Event, stream: SessionStream) -> Self {
        Self::of(Some(first), Source::Session(Box::new(stream)))
    }

    pub(super) fn pipe(first: Event, stream: PipeStream) -> Self {
        Self::of(Some(first), Source::Pipe(stream))
    }

    pub(super) fn api(stream: ApiStream) -> Self {
        Self::of(None, Source::Api(Box::new(stream)))
    }

    pub(crate) fn composite(stream: CompositeStream) -> Self {
        Self::of(None, Source::Composite(Box::new(stream)))
    }

    pub(super) fn eared(first: Option<Event>, eared: Eared) -> Self {
        Self::of(first, Source::Eared(Box::new(eared)))
    }

    pub(crate) fn parking(parking: Parking) -> Self {
        Self::of(None, Source::Parking(Box::new(parking)))
    }

    pub(crate) fn driving(driving: Driving) -> Self {
        Self::of(None, Source::Driving(Box::new(driving)))
    }

    pub(crate) fn following(following: Following) -> Self {
        Self::of(None, Source::Following(Box::new(following)))
    }

    /// A stream that has nothing more to say.
    pub(crate) fn over() -> Self {
        Self::of(None, Source::Over)
    }

    /// The call waits for its client, which takes no place among the server's calls; or it goes on.
    pub(crate) fn waits_for_client(&mut self, waits: bool) {
        if let Some(held) = &mut self.held {
            held.waits_for_client(waits);
        }
        match &mut self.source {
            Source::Pipe(stream) => stream.waits_for_client(waits),
            Source::Eared(eared) => eared.waits_for_client(waits),
            Source::Parking(parking) => parking.stream_mut().waits_for_client(waits),
            Source::Following(following) => following.waits_for_client(waits),
            _ => {}
        }
    }

    /// Progress is told under this token from now on, where the gate chose the one towards the server.
    pub(crate) fn set_token(&mut self, token: Option<Json>) {
        match &mut self.source {
            Source::Session(stream) => stream.set_token(token),
            Source::Pipe(stream) => stream.set_token(token),
            Source::Eared(eared) => eared.set_token(token),
            Source::Parking(parking) => parking.stream_mut().set_token(token),
            Source::Following(following) => following.set_token(token.as_ref()),
            Source::Modern(_)
            | Source::Api(_)
            | Source::Composite(_)
            | Source::Driving(_)
            | Source::Over => {}
        }
    }

    /// Whether the stream itself ends calls that take too long.
    pub(crate) fn keeps_time(&self) -> bool {
        match &self.source {
            Source::Composite(_) | Source::Driving(_) | Source::Following(_) => true,
            Source::Parking(parking) => parking.stream().keeps_time(),
            _ => false,
        }
    }

    /// How often the client was asked in this call, and how long its answers took.
    pub(crate) fn rounds(&self) -> (u32, Duration) {
        self.rounds
    }

    /// Keeps what the call occupies until the stream ends.
    pub(crate) fn holding(mut self, held: crate::fleet::Held) -> Self {
        self.held = Some(Box::new(held));
        self
    }

    /// The next message. After [`Event::Done`] there is none.
    pub async fn next(&mut self) -> Result<Event, ServerError> {
        if let Some(first) = self.first.take() {
            return Ok(*first);
        }
        let event = match &mut self.source {
            Source::Modern(stream) => stream.next().await,
            Source::Session(stream) => stream.next().await,
            Source::Pipe(stream) => stream.next().await,
            Source::Api(stream) => Box::pin(stream.next()).await,
            Source::Composite(stream) => Box::pin(stream.next()).await,
            Source::Eared(eared) => Box::pin(eared.next()).await,
            Source::Parking(parking) => Box::pin(parking.next()).await,
            Source::Driving(driving) => Box::pin(driving.next()).await,
            Source::Following(following) => following.next().await,
            Source::Over => Err(ServerError::Closed("the answer has come already".into())),
        };
        if matches!(event, Ok(Event::Done(_))) {
            self.rounds = match &self.source {
                Source::Parking(parking) => (parking.rounds(), Duration::ZERO),
                Source::Driving(driving) => driving.rounds(),
                _ => self.rounds,
            };
            self.source.finish();
        }
        if !matches!(event, Ok(Event::Notification(_) | Event::Question(_) | Event::Paused(_))) {
            self.held = None;
        }
        event
    }
}
