//! The body of an answer as it was before it was compressed.

use std::fmt;

use bytes::Bytes;
use http::Response;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use tokio::task::consume_budget;

use super::body::Body;
use super::coding::{Coding, Decoder};
use super::error::ClientError;

/// The body of an answer, decoded while it is read. As with [`Body`], nothing arrives unless it is
/// asked for; one that is not compressed costs nothing.
pub struct Decoded {
    body: Body,
    decoder: Option<Box<Decoder>>,
}

impl Decoded {
    /// An answer whose body is decoded, and whose head no longer says that it was compressed.
    ///
    /// # Errors
    /// [`ClientError::Encoding`] for a coding that is not read.
    pub fn of(mut answer: Response<Body>) -> Result<Response<Self>, ClientError> {
        let coding = Coding::of(answer.headers())?;
        if coding.is_some() {
            answer.headers_mut().remove(CONTENT_ENCODING);
            answer.headers_mut().remove(CONTENT_LENGTH);
        }
        let decoder = coding.map(|coding| Box::new(Decoder::new(coding)));
        Ok(answer.map(|body| Self { body, decoder }))
    }

    /// The next piece of the body; `None` at its end.
    ///
    /// Cancel safe: a piece is either returned or still to come.
    pub async fn chunk(&mut self) -> Option<Result<Bytes, ClientError>> {
        let Some(decoder) = &mut self.decoder else { return self.body.chunk().await };
        loop {
            // A little of a body may decode to very much, without any wait for the network.
            consume_budget().await;
            if let Some(piece) = decoder.piece().transpose() {
                return Some(piece);
            }
            match self.body.chunk().await {
                Some(Ok(chunk)) => decoder.feed(chunk),
                Some(Err(error)) => return Some(Err(error)),
                None => return decoder.end().err().map(Err),
            }
        }
    }

    /// The beginning of the body, at most `limit` bytes, and whether it goes on. What goes on is
    /// neither read nor decoded, and the connection is closed.
    ///
    /// # Errors
    /// Whatever ends the connection early, and [`ClientError::Undecodable`].
    pub async fn collect_at_most(mut self, limit: usize) -> Result<(Bytes, bool), ClientError> {
        if self.decoder.is_none() {
            return self.body.collect_at_most(limit).await;
        }
        let mut whole: Vec<u8> = Vec::new();
        while let Some(piece) = self.chunk().await.transpose()? {
            let room = limit - whole.len();
            let kept = &piece[..piece.len().min(room)];
            if whole.len() + kept.len() > whole.capacity() {
                // As a vector grows, but never beyond what is kept at most.
                let capacity = (whole.len() * 2).clamp(whole.len() + kept.len(), limit);
                whole.reserve_exact(capacity - whole.len());
            }
            whole.extend_from_slice(kept);
            if kept.len() < piece.len() {
                return Ok((whole.into(), true));
            }
        }
        Ok((whole.into(), false))
    }
}

impl fmt::Debug for Decoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_compressed = self.decoder.is_some();
        f.debug_struct("Decoded")
            .field("body", &self.body)
            .field("compressed", &is_compressed)
            .finish()
    }
}
