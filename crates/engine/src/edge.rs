//! The edge: connections, sizes and times, Host and Origin, and which endpoint a request is for.

mod body;
mod doors;
mod guard;
mod intake;
mod listener;
mod workers;

use std::sync::Arc;

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_REQUEST_HEADERS, ALLOW, CONTENT_TYPE,
    HeaderValue, ORIGIN, VARY,
};
use http::{Method as Verb, Request, Response, StatusCode};
use hyper::body::Incoming;
use wire::Era;

pub(crate) use body::EdgeBody;
pub(crate) use doors::Doors;
pub(crate) use intake::{Upload, read_body};
pub use listener::{Listener, TlsFiles};

use crate::dialect;
use crate::fault::{Fault, Reason};
use crate::gate::Gate;
use crate::headers;
use crate::plan::{Endpoint, Snapshot};

/// Answers one HTTP request.
pub(crate) async fn answer(gate: Arc<Gate>, request: Request<Incoming>) -> Response<EdgeBody> {
    let snapshot = gate.snapshot();
    if let Some(response) = health(&gate, &request) {
        return response;
    }
    let (head, body) = request.into_parts();
    let head = Box::new(head);
    if let Err(fault) = snapshot.doors.check(&head) {
        return refuse(&fault);
    }
    let origin = head.headers.get(ORIGIN).cloned();
    let mut response = if head.method == Verb::OPTIONS && origin.is_some() {
        match find(&snapshot, head.uri.path()) {
            Some((_, Door::Plain)) => preflight_of_plain(&head),
            _ => preflight(),
        }
    } else {
        route(&gate, snapshot, head, body).await
    };
    if let Some(origin) = origin {
        allow_origin(&mut response, origin);
    }
    response
}

/// The parts of an endpoint's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    /// Streamable HTTP, on the endpoint's own path.
    Streamable,
    /// The event stream of HTTP+SSE.
    Sse,
    /// Where clients of HTTP+SSE post.
    SseMessages,
    /// The plain API: on the endpoint's own path, where MCP is, too, and below.
    Plain,
}

async fn route(
    gate: &Arc<Gate>,
    snapshot: Arc<Snapshot>,
    head: Box<http::request::Parts>,
    body: Incoming,
) -> Response<EdgeBody> {
    let Some((endpoint, door)) = find(&snapshot, head.uri.path()) else {
        return text(
            StatusCode::NOT_FOUND,
            "no endpoint has this path; see the configuration for those that exist\n",
        );
    };
    let visit = dialect::Visit { gate: Arc::clone(gate), snapshot, endpoint, head };
    match (door, visit.head.method.clone()) {
        (Door::Plain, _) => dialect::serve_plain(visit, body).await,
        (Door::Streamable, Verb::POST) => dialect::post(visit, body).await,
        (Door::Streamable, Verb::GET) => dialect::get(&visit).await,
        (Door::Streamable, Verb::DELETE) => dialect::delete(&visit),
        (Door::Sse, Verb::GET) => dialect::sse_open(&visit),
        (Door::SseMessages, Verb::POST) => dialect::sse_post(visit, body).await,
        (Door::Streamable, _) => not_allowed("GET, POST, DELETE"),
        (Door::Sse, _) => not_allowed("GET"),
        (Door::SseMessages, _) => not_allowed("POST"),
    }
}

fn find(snapshot: &Snapshot, path: &str) -> Option<(Arc<Endpoint>, Door)> {
    let endpoint = |path: &str| snapshot.endpoints.get(path).cloned();
    if let Some(endpoint) = endpoint(path) {
        let door = if endpoint.is_plain { Door::Plain } else { Door::Streamable };
        return Some((endpoint, door));
    }
    for (ending, door) in [("/sse", Door::Sse), ("/sse/messages", Door::SseMessages)] {
        // Below an endpoint with a plain API everything is the API's.
        let found = path.strip_suffix(ending).and_then(endpoint);
        if let Some(endpoint) = found.filter(|endpoint| !endpoint.is_plain) {
            return Some((endpoint, door));
        }
    }
    let ends = path.match_indices('/').map(|(at, _)| at).skip(1).take(snapshot.plain_depth);
    let above = ends.filter_map(|end| endpoint(&path[..end])).filter(|found| found.is_plain);
    above.last().map(|endpoint| (endpoint, Door::Plain))
}

/// `/healthz`: the process lives. `/readyz`: it takes work, whatever its servers do.
fn health(gate: &Gate, request: &Request<Incoming>) -> Option<Response<EdgeBody>> {
    match request.uri().path() {
        "/healthz" => Some(text(StatusCode::OK, "ok\n")),
        "/readyz" if gate.is_draining() => {
            Some(text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"))
        }
        "/readyz" => Some(text(StatusCode::OK, "ready\n")),
        _ => None,
    }
}

/// An answer to a request that is refused before its body is read.
pub(crate) fn refuse(fault: &Fault) -> Response<EdgeBody> {
    let correlation = crate::call::Correlation::fresh();
    tracing::info!(correlation = correlation.as_str(), fault = %fault, "refused");
    let error = fault.to_error(Era::Modern, correlation.as_str());
    let status = match fault.status(Era::Modern) {
        StatusCode::OK => StatusCode::BAD_REQUEST,
        status => status,
    };
    let mut response = json(status, wire::message::encode_error(None, &error));
    stamp(&mut response, &correlation);
    response
}

/// Names the call in the response, so that a user's report leads to the log line. A name that is there
/// already stays: the error in the body has the same.
pub(crate) fn stamp(response: &mut Response<EdgeBody>, correlation: &crate::call::Correlation) {
    let value = HeaderValue::from_str(correlation.as_str()).expect("hexadecimal digits");
    response.headers_mut().entry(headers::CORRELATION_ID).or_insert(value);
}

pub(crate) fn json(status: StatusCode, body: impl Into<bytes::Bytes>) -> Response<EdgeBody> {
    let mut response = Response::new(EdgeBody::full(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

pub(crate) fn text(status: StatusCode, body: &'static str) -> Response<EdgeBody> {
    let mut response = Response::new(EdgeBody::full(body));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

pub(crate) fn empty(status: StatusCode) -> Response<EdgeBody> {
    let mut response = Response::new(EdgeBody::full(""));
    *response.status_mut() = status;
    response
}

pub(crate) fn not_allowed(allow: &'static str) -> Response<EdgeBody> {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed here\n");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    response
}

fn preflight() -> Response<EdgeBody> {
    let mut response = empty(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    headers.insert(
        ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, POST, DELETE, OPTIONS"),
    );
    headers.insert(
        ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static(
            "Accept, Authorization, Content-Type, Last-Event-ID, Mcp-Method, Mcp-Name, \
             Mcp-Protocol-Version, Mcp-Session-Id",
        ),
    );
    response
}

/// A plain API takes whatever its document has; headers that are not for it go no further.
fn preflight_of_plain(head: &http::request::Parts) -> Response<EdgeBody> {
    let mut response = preflight();
    let headers = response.headers_mut();
    headers.insert(
        ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, QUERY, OPTIONS"),
    );
    if let Some(asked) = head.headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
    }
    response
}

/// Browsers may read the answer: the origin has passed the doors.
fn allow_origin(response: &mut Response<EdgeBody>, origin: HeaderValue) {
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.append(VARY, HeaderValue::from_static("Origin"));
    headers.insert(
        ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("Mcp-Session-Id, WWW-Authenticate, X-Correlation-Id"),
    );
}

/// An answer where the gate itself failed.
pub(crate) fn internal_fault() -> Fault {
    Fault::new(Reason::Internal, "the gate failed; the log says more under this correlation id")
}
