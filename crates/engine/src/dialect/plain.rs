//! An endpoint that serves an API as it is on the same path as MCP: which of the two a request is for,
//! and the plain answer.

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Method as Verb, Response};
use hyper::body::Incoming;
use wire::method::NOTIFICATIONS;
use wire::{Json, Method};

use super::Visit;
use crate::call::Correlation;
use crate::edge::{self, EdgeBody, Upload};
use crate::exchange::{self, PlainBody, PlainRefusal, Ticket, authenticate};
use crate::fault::{Fault, Reason};
use crate::headers;

/// Answers a request on or below the path of an endpoint with a plain API.
pub(crate) async fn serve(visit: Visit, body: Incoming) -> Response<EdgeBody> {
    if visit.head.uri.path() != &*visit.endpoint.path {
        let upload = Upload::new(body, &visit.snapshot.limits);
        return pass(visit, PlainBody::of(upload)).await;
    }
    match (meant(&visit), visit.head.method.clone()) {
        (Meant::Mcp, Verb::POST) => super::post(visit, body).await,
        (Meant::Mcp, Verb::GET) => super::get(&visit).await,
        (Meant::Mcp, Verb::DELETE) => super::delete(&visit),
        (Meant::Unclear, Verb::POST) => {
            let upload = Upload::new(body, &visit.snapshot.limits);
            match read_envelope(&visit, upload).await {
                Ok(Posted::Mcp(text)) => super::post_text(visit, text).await,
                Ok(Posted::Plain(body)) => pass(visit, body).await,
                Err(fault) => {
                    let correlation = Correlation::fresh();
                    let mut ticket =
                        Ticket::of_plain(&visit.gate, &visit.endpoint, &Verb::POST, correlation);
                    ticket.faulted(&fault);
                    problem(&PlainRefusal::from(fault), correlation)
                }
            }
        }
        _ => {
            let upload = Upload::new(body, &visit.snapshot.limits);
            pass(visit, PlainBody::of(upload)).await
        }
    }
}

/// What the head of a request on the endpoint's own path says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meant {
    Mcp,
    Plain,
    /// The body has to be looked at.
    Unclear,
}

fn meant(visit: &Visit) -> Meant {
    let has = |name: HeaderName| visit.head.headers.contains_key(name);
    let speaks_mcp = has(headers::PROTOCOL_VERSION) || has(headers::SESSION_ID);
    let names = |name, what: &str| visit.header(name).is_some_and(|value| value.contains(what));
    match visit.head.method {
        Verb::POST | Verb::GET | Verb::DELETE if speaks_mcp => Meant::Mcp,
        Verb::GET if names(&ACCEPT, "text/event-stream") => Meant::Mcp,
        Verb::POST if names(&CONTENT_TYPE, "json") && !has(CONTENT_ENCODING) => {
            let length =
                visit.header(&CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
            let most = visit.snapshot.limits.body_bytes.len() as u64;
            if length.is_some_and(|length| length > most) { Meant::Plain } else { Meant::Unclear }
        }
        _ => Meant::Plain,
    }
}

/// What a POST turned out to be.
enum Posted {
    Mcp(Bytes),
    Plain(PlainBody),
}

/// Reads a body for as long as it may be an MCP message, and not further.
async fn read_envelope(visit: &Visit, mut upload: Upload) -> Result<Posted, Fault> {
    let length = upload.length();
    let most = visit.snapshot.limits.body_bytes.len();
    let mut text = BytesMut::new();
    while let Some(piece) = upload.next().await {
        text.extend_from_slice(&piece?);
        let first = text.iter().find(|byte| !byte.is_ascii_whitespace());
        if text.len() > most || first.is_some_and(|first| !matches!(first, b'{' | b'[')) {
            return Ok(Posted::Plain(PlainBody::begun(text.freeze(), upload, length)));
        }
    }
    let text = text.freeze();
    if is_message(&text, &visit.limits()) {
        return Ok(Posted::Mcp(text));
    }
    Ok(Posted::Plain(PlainBody::begun(text, upload, length)))
}

/// Whether a text is a JSON-RPC message, or a batch of them, with a method of MCP.
fn is_message(text: &Bytes, limits: &wire::Limits) -> bool {
    let Ok(json) = Json::parse(text.clone(), limits) else { return false };
    match json.elements() {
        Some(batch) => !batch.is_empty() && batch.iter().all(is_envelope),
        None => is_envelope(&json),
    }
}

fn is_envelope(json: &Json) -> bool {
    let Some(message) = json.object() else { return false };
    let Some(method) = message.text("method") else { return false };
    let is_known = Method::parse(&method) != Method::Other
        || NOTIFICATIONS.iter().any(|(name, ..)| *name == method);
    is_known && message.text("jsonrpc").as_deref() == Some("2.0")
}

/// Takes a plain request through the gate.
async fn pass(visit: Visit, body: PlainBody) -> Response<EdgeBody> {
    let correlation = Correlation::fresh();
    let _principal = authenticate::http(&visit.head);
    let Visit { gate, snapshot, endpoint, head } = visit;
    let mut ticket = Ticket::of_plain(&gate, &endpoint, &head.method, correlation);
    let passed = exchange::plain(&gate, &snapshot, &endpoint, &head, body, &mut ticket).await;
    let mut response = match passed {
        Ok(passed) => {
            let (head, pieces) = passed.into_parts(ticket);
            Response::from_parts(head, EdgeBody::relayed(pieces))
        }
        Err(refusal) => {
            ticket.faulted(&refusal.fault);
            problem(&refusal, correlation)
        }
    };
    edge::stamp(&mut response, &correlation);
    response
}

/// An answer of the gate's own (RFC 9457).
fn problem(refusal: &PlainRefusal, correlation: Correlation) -> Response<EdgeBody> {
    let fault = &refusal.fault;
    tracing::info!(correlation = correlation.as_str(), fault = %fault, "refused");
    let body = fault.to_problem(correlation.as_str());
    let mut response = edge::json(fault.plain_status(), body.bytes().clone());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if let Some(allow) = refusal.allow.as_deref().and_then(|it| HeaderValue::from_str(it).ok()) {
        headers.insert(ALLOW, allow);
    }
    if matches!(fault.reason, Reason::Overloaded) {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    edge::stamp(&mut response, &correlation);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_messages_of_mcp_are_taken_for_such() {
        for (text, is_mcp) in [
            (r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#, true),
            (r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, true),
            (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, true),
            (r#"{"jsonrpc":"2.0","id":1,"method":"eth_call"}"#, false),
            (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, false),
            (r#"{"method":"ping"}"#, false),
            (r#"{"name":"tools/list"}"#, false),
            ("[]", false),
            ("[1]", false),
            ("{", false),
            ("", false),
        ] {
            let text_bytes = Bytes::from_static(text.as_bytes());
            assert_eq!(is_message(&text_bytes, &wire::Limits::SERVER), is_mcp, "{text}");
        }
    }
}
