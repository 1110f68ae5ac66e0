//! Bodies of answers: whole, in shared parts, or a stream that is pulled.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use http_body::{Body, Frame, SizeHint};

/// The body of an answer.
pub(crate) enum EdgeBody {
    /// All of it, in one piece.
    Full(Bytes),
    /// All of it, in pieces that are shared with others.
    Parts(VecDeque<Bytes>),
    /// Pieces as they come. Dropped when the client goes.
    Stream(Pin<Box<dyn Stream<Item = Bytes> + Send>>),
    /// Pieces of an answer that is passed on. An error ends the connection, so that no client takes a
    /// part for the whole.
    Relayed(Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>),
}

impl EdgeBody {
    pub(crate) fn full(bytes: impl Into<Bytes>) -> Self {
        Self::Full(bytes.into())
    }

    pub(crate) fn parts(parts: impl IntoIterator<Item = Bytes>) -> Self {
        Self::Parts(parts.into_iter().filter(|part| !part.is_empty()).collect())
    }

    pub(crate) fn stream(stream: impl Stream<Item = Bytes> + Send + 'static) -> Self {
        Self::Stream(Box::pin(stream))
    }

    pub(crate) fn relayed(stream: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Self {
        Self::Relayed(Box::pin(stream))
    }
}

impl Body for EdgeBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let next = match &mut *self {
            Self::Full(bytes) => Some(std::mem::take(bytes)).filter(|bytes| !bytes.is_empty()),
            Self::Parts(parts) => parts.pop_front(),
            Self::Stream(stream) => match stream.as_mut().poll_next(cx) {
                Poll::Ready(next) => next,
                Poll::Pending => return Poll::Pending,
            },
            Self::Relayed(stream) => {
                let next = stream.as_mut().poll_next(cx);
                return next.map(|next| next.map(|piece| piece.map(Frame::data)));
            }
        };
        Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(bytes) => bytes.is_empty(),
            Self::Parts(parts) => parts.is_empty(),
            Self::Stream(_) | Self::Relayed(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        let exact = |length: usize| SizeHint::with_exact(length as u64);
        match self {
            Self::Full(bytes) => exact(bytes.len()),
            Self::Parts(parts) => exact(parts.iter().map(Bytes::len).sum()),
            Self::Stream(_) | Self::Relayed(_) => SizeHint::default(),
        }
    }
}
