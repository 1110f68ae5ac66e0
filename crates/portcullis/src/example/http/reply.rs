//! The few kinds of HTTP answers: one JSON message, a stream of messages, or nothing.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use hyper::body::Frame;
use tokio::sync::mpsc;
use wire::header as mcp;
use wire::{Id, RpcError, message, sse};

pub(super) type Reply = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// Most messages that wait for a client that reads slowly; one more and its stream is cut.
const WAITING_MESSAGES_MAX: usize = 64;
/// How often a quiet stream says that it lives: below the idle limits of usual proxies.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A status alone.
pub(super) fn empty(status: StatusCode) -> Reply {
    let mut reply = Response::new(Empty::new().boxed_unsync());
    *reply.status_mut() = status;
    reply
}

/// 405 with the verbs there are.
pub(super) fn no_such_verb() -> Reply {
    let mut reply = empty(StatusCode::METHOD_NOT_ALLOWED);
    reply.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST, GET, DELETE"));
    reply
}

/// One message.
pub(super) fn json(status: StatusCode, message: Vec<u8>) -> Reply {
    let mut reply = Response::new(Full::from(message).boxed_unsync());
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(mcp::JSON_TYPE));
    reply
}

/// One error message.
pub(super) fn error(status: StatusCode, id: Option<&Id>, error: &RpcError) -> Reply {
    json(status, message::encode_error(id, error))
}

/// The sending end of a stream.
pub(super) struct Stream {
    events: mpsc::Sender<Bytes>,
}

/// A stream of messages that is open as long as its [`Stream`] lives.
pub(super) fn stream() -> (Stream, Reply) {
    let (events, inbox) = mpsc::channel(WAITING_MESSAGES_MAX);
    let frames = futures_util::stream::unfold(inbox, async |mut inbox: mpsc::Receiver<Bytes>| {
        let event = inbox.recv().await?;
        Some((Ok(Frame::data(event)), inbox))
    });
    let mut reply = Response::new(StreamBody::new(frames).boxed_unsync());
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(mcp::EVENT_STREAM_TYPE));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(mcp::ACCEL_BUFFERING, HeaderValue::from_static(mcp::NO_BUFFERING));
    (Stream { events }, reply)
}

impl Stream {
    /// Sends a message; false where the client is gone or reads too slowly.
    pub(super) fn send(&self, message: &[u8]) -> bool {
        let mut event = Vec::with_capacity(message.len() + 32);
        sse::write_event(&mut event, Some("message"), None, message);
        self.events.try_send(event.into()).is_ok()
    }

    /// Waits until the client is gone, and keeps the stream alive meanwhile.
    pub(super) async fn closed(&self) {
        loop {
            tokio::select! {
                () = self.events.closed() => return,
                () = tokio::time::sleep(KEEP_ALIVE) => {
                    let mut comment = Vec::new();
                    sse::write_comment(&mut comment, "keep-alive");
                    if self.events.try_send(comment.into()).is_err() {
                        return;
                    }
                }
            }
        }
    }
}
