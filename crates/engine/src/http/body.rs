//! The body of an answer, which drives its connection and returns it to the pool at the end.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;

use super::error::ClientError;
use super::pool::{Pool, Wire};

/// How much is allocated ahead on the server's word; a longer body grows as it arrives.
const COLLECT_AHEAD_BYTES_MAX: u64 = 1 << 20;

/// The body of an answer.
///
/// Nothing arrives unless it is polled. Read to its end, it returns its connection to the pool; dropped
/// before, it closes the connection, which tells the server that nobody waits any more.
pub struct Body {
    incoming: Incoming,
    /// Absent once the connection has ended or gone back to the pool; what is left is in `incoming`.
    wire: Option<Box<Wire>>,
    pool: Arc<Pool>,
}

impl Body {
    /// `wire` has just been polled and delivered the head of this body.
    pub(super) fn new(incoming: Incoming, wire: Option<Box<Wire>>, pool: &Arc<Pool>) -> Self {
        let mut body = Self { incoming, wire, pool: Arc::clone(pool) };
        // A short answer arrives whole with its head: its connection is free before it is read.
        body.release_idle();
        body
    }

    /// The next piece of the body; `None` at its end. Trailers are passed over.
    ///
    /// Cancel safe: a piece is either returned or still to come.
    pub async fn chunk(&mut self) -> Option<Result<Bytes, ClientError>> {
        loop {
            match poll_fn(|cx| Pin::new(&mut *self).poll_frame(cx)).await? {
                Ok(frame) => {
                    if let Ok(chunk) = frame.into_data() {
                        return Some(Ok(chunk));
                    }
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// The whole body, if it has at most `limit` bytes. A body in one piece is not copied.
    ///
    /// # Errors
    /// [`ClientError::TooLarge`] as soon as the announced or received length exceeds `limit`, and whatever
    /// ends the connection early.
    pub async fn collect_limited(mut self, limit: usize) -> Result<Bytes, ClientError> {
        let announced = self.incoming.size_hint().exact();
        if announced.is_some_and(|length| length > limit as u64) {
            return Err(ClientError::TooLarge { limit });
        }
        let Some(first) = self.chunk().await.transpose()? else { return Ok(Bytes::new()) };
        if first.len() > limit {
            return Err(ClientError::TooLarge { limit });
        }
        if announced == Some(first.len() as u64) {
            return Ok(first);
        }
        let Some(second) = self.chunk().await.transpose()? else { return Ok(first) };

        let ahead = announced.unwrap_or(0).min(COLLECT_AHEAD_BYTES_MAX);
        let mut whole = BytesMut::with_capacity(usize::try_from(ahead).unwrap_or(0));
        whole.extend_from_slice(&first);
        drop(first);
        let mut next = Some(second);
        while let Some(chunk) = next {
            if chunk.len() > limit - whole.len() {
                return Err(ClientError::TooLarge { limit });
            }
            whole.extend_from_slice(&chunk);
            drop(chunk); // so that the connection can read into the same buffer again
            next = self.chunk().await.transpose()?;
        }
        Ok(whole.freeze())
    }

    /// The beginning of the body, at most `limit` bytes, and whether it goes on. What goes on is not
    /// read, and the connection is closed. A body in one piece is not copied.
    ///
    /// # Errors
    /// Whatever ends the connection early.
    pub async fn collect_at_most(mut self, limit: usize) -> Result<(Bytes, bool), ClientError> {
        let announced = self.incoming.size_hint().exact();
        let Some(first) = self.chunk().await.transpose()? else { return Ok((Bytes::new(), false)) };
        if first.len() > limit {
            return Ok((first.slice(..limit), true));
        }
        if announced == Some(first.len() as u64) {
            return Ok((first, false));
        }
        let ahead = announced.unwrap_or(0).min(COLLECT_AHEAD_BYTES_MAX);
        let mut whole = BytesMut::with_capacity(usize::try_from(ahead).unwrap_or(0));
        whole.extend_from_slice(&first);
        drop(first);
        while let Some(chunk) = self.chunk().await.transpose()? {
            let room = limit - whole.len();
            if chunk.len() > room {
                whole.extend_from_slice(&chunk[..room]);
                return Ok((whole.freeze(), true));
            }
            whole.extend_from_slice(&chunk);
        }
        Ok((whole.freeze(), false))
    }

    fn poll_incoming(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ClientError>>> {
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(cx));
        if frame.as_ref().is_none_or(Result::is_err) {
            // At the end a connection that is not idle has no further use.
            self.wire = None;
        }
        Poll::Ready(frame.map(|frame| frame.map_err(ClientError::of_connection)))
    }

    fn release_idle(&mut self) {
        if let Some(wire) = self.wire.take_if(|wire| wire.is_idle()) {
            self.pool.put(wire);
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = ClientError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ClientError>>> {
        // What has already been read comes first; only then the socket is asked for more.
        if let Poll::Ready(frame) = self.poll_incoming(cx) {
            return Poll::Ready(frame);
        }
        if let Some(wire) = &mut self.wire {
            match wire.poll(cx) {
                // Dropping it tells `incoming` that nothing more comes.
                Poll::Ready(()) => self.wire = None,
                Poll::Pending => self.release_idle(),
            }
        }
        self.poll_incoming(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("connected", &self.wire.is_some()).finish_non_exhaustive()
    }
}
