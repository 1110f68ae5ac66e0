//! Towards clients: what era a request belongs to, decided by its body, and what the era asks for.
//!
//! Only this room knows that sessions exist.

mod convert;
mod feed;
mod legacy;
mod line;
mod log;
mod modern;
mod plain;
mod relay;
mod session;
mod stdio;

use std::sync::Arc;

use http::header::ACCEPT;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use hyper::body::Incoming;
use wire::{Era, Message, Object, Version, meta};

pub(crate) use line::{Lines, sse_open, sse_post};
pub(crate) use plain::serve as serve_plain;
pub(crate) use session::{Sessions, end_idle_sessions};
pub use stdio::serve as serve_stdio;

use crate::edge::{EdgeBody, read_body, refuse};
use crate::fault::{self, Fault, Reason};
use crate::gate::Gate;
use crate::headers;
use crate::plan::{Endpoint, Snapshot};

/// One HTTP request at an endpoint.
pub(crate) struct Visit {
    pub(crate) gate: Arc<Gate>,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) head: Box<Parts>,
}

impl Visit {
    fn header(&self, name: &HeaderName) -> Option<&str> {
        self.head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
    }

    /// The headers that the configuration lets some server have.
    fn forwarded(&self) -> Vec<(HeaderName, HeaderValue)> {
        let named = self.snapshot.forwarded.iter();
        let values = named.flat_map(|name| {
            let values = self.head.headers.get_all(name).iter();
            values.map(|value| (name.clone(), value.clone()))
        });
        values.collect()
    }

    fn limits(&self) -> wire::Limits {
        client_limits(&self.snapshot.limits)
    }

    /// Whether the client takes an event stream. Who says nothing takes everything.
    fn accepts_stream(&self) -> bool {
        self.header(&ACCEPT).is_none_or(|accept| {
            accept.contains("text/event-stream")
                || accept.contains("*/*")
                || accept.contains("text/*")
        })
    }
}

/// Bounds of what clients may send.
fn client_limits(limits: &config::Limits) -> wire::Limits {
    wire::Limits {
        bytes: limits.body_bytes.len(),
        depth: limits.json_depth,
        nodes: limits.json_nodes,
        key_bytes: limits.json_key_bytes.len(),
    }
}

/// A POST: reads the message, finds its era, and hands it over.
pub(crate) async fn post(visit: Visit, body: Incoming) -> Response<EdgeBody> {
    let text = match read_body(&visit.head, body, &visit.snapshot.limits).await {
        Ok(text) => text,
        Err(fault) => return refuse(&fault),
    };
    post_text(visit, text).await
}

/// A POST whose body has been read.
async fn post_text(visit: Visit, text: bytes::Bytes) -> Response<EdgeBody> {
    let message = match fault::decode(&text, &visit.limits()) {
        Ok(message) => message,
        Err(_) if legacy::may_be_batch(&visit, &text) => return legacy::batch(visit, &text).await,
        Err(fault) => return refused(&fault, &text, &visit),
    };
    match classify(&message, visit.header(&headers::PROTOCOL_VERSION)) {
        Ok(Era::Modern) => modern::post(visit, message).await,
        Ok(Era::Legacy) => legacy::post(visit, message).await,
        Err(fault) => answer_fault(&fault, message.id(), Era::Modern),
    }
}

pub(crate) async fn get(visit: &Visit) -> Response<EdgeBody> {
    legacy::get(visit).await
}

pub(crate) fn delete(visit: &Visit) -> Response<EdgeBody> {
    legacy::delete(visit)
}

/// The era a message belongs to: the body decides, the header only may not contradict it
/// (protocol versions, §detection).
fn classify(message: &Message, header_version: Option<&str>) -> Result<Era, Fault> {
    let nothing = Object::empty();
    let meta = match message {
        Message::Request(request) => &request.meta,
        Message::Notification(notification) => &notification.meta,
        Message::Response(_) => &nothing,
    };
    if meta.has(meta::PROTOCOL_VERSION) {
        return Ok(Era::Modern);
    }
    let header_is_modern = header_version.is_some_and(|name| {
        Version::parse(name).is_some_and(|version| version.era() == Era::Modern)
    });
    match message {
        _ if !header_is_modern => match header_version {
            // A version that nobody knows is no legacy version either.
            Some(name) if Version::parse(name).is_none() => Err(Fault::unsupported_version(name)),
            _ => Ok(Era::Legacy),
        },
        Message::Request(request) if &*request.method == wire::method::name::INITIALIZE => {
            Err(Fault::new(
                Reason::HeaderMismatch,
                "Header mismatch: `initialize` belongs to versions before 2026-07-28, but \
                 MCP-Protocol-Version names a later one",
            ))
        }
        Message::Response(_) => Err(Fault::new(
            Reason::Malformed,
            "Invalid request: since 2026-07-28 clients send no responses",
        )),
        _ => Err(Fault::new(
            Reason::InvalidParams,
            format!(
                "Invalid params: `_meta` lacks `{}` and `{}`",
                meta::PROTOCOL_VERSION,
                meta::CLIENT_CAPABILITIES
            ),
        )
        .with_status(StatusCode::BAD_REQUEST)),
    }
}

/// An answer to a text that is no message.
fn refused(fault: &Fault, text: &[u8], visit: &Visit) -> Response<EdgeBody> {
    let id = match Message::decode(&bytes::Bytes::copy_from_slice(text), &visit.limits()) {
        Err(refusal) => refusal.id().cloned(),
        Ok(_) => None,
    };
    answer_fault(fault, id.as_ref(), Era::Legacy)
}

/// An answer that is only an error.
fn answer_fault(fault: &Fault, id: Option<&wire::Id>, era: Era) -> Response<EdgeBody> {
    let correlation = crate::call::Correlation::fresh();
    tracing::info!(correlation = correlation.as_str(), fault = %fault, "refused");
    let error = fault.to_error(era, correlation.as_str());
    let body = wire::message::encode_error(id, &error);
    let mut response = crate::edge::json(fault.status(era), body);
    crate::edge::stamp(&mut response, &correlation);
    response
}
