//! The way of a plain HTTP request to the API behind its endpoint: the limits, the operation that it is
//! for, and the answer as it comes.
//!
//! Nothing is held here: both bodies pass through as fast as the slower side takes them.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, stream};
use http::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue, LOCATION};
use http::{Method, StatusCode, request, response};
use http_body::Body as _;
use openapi::route::Found;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{Admitted, Ticket};
use crate::edge::Upload;
use crate::fault::{Fault, Reason};
use crate::fleet::Held;
use crate::gate::Gate;
use crate::http::{Body, Outgoing};
use crate::plan::{Endpoint, Serves, Snapshot};
use crate::upstream::{Choice, ServerError, Veil};

/// The body of a plain request.
pub(crate) struct PlainBody {
    /// What has been read of it.
    first: Bytes,
    rest: Upload,
    length: Option<u64>,
}

impl PlainBody {
    pub(crate) fn of(rest: Upload) -> Self {
        let length = rest.length();
        Self { first: Bytes::new(), rest, length }
    }

    /// A body of `length` bytes of which `first` has been read.
    pub(crate) fn begun(first: Bytes, rest: Upload, length: Option<u64>) -> Self {
        Self { first, rest, length }
    }
}

/// Why a plain request got no answer of the API.
pub(crate) struct PlainRefusal {
    pub(crate) fault: Fault,
    /// The methods that the path has.
    pub(crate) allow: Option<String>,
}

impl From<Fault> for PlainRefusal {
    fn from(fault: Fault) -> Self {
        Self { fault, allow: None }
    }
}

/// An answer whose head is here, with all that lives as long as it.
pub(crate) struct Passed {
    head: response::Parts,
    body: Body,
    /// Takes credentials out of a text.
    veil: Option<Veil>,
    server: Arc<str>,
    /// How long the API may be silent.
    silence_max: Duration,
    /// The call is in flight as long as its answer is read.
    _choice: Choice,
    _held: Held,
    _admitted: Admitted,
}

/// Takes a plain request through the gate, until the head of the answer.
pub(crate) async fn plain(
    gate: &Arc<Gate>,
    snapshot: &Snapshot,
    endpoint: &Endpoint,
    head: &request::Parts,
    body: PlainBody,
    ticket: &mut Ticket,
) -> Result<Passed, PlainRefusal> {
    let Serves::One(server) = &endpoint.serves else { return Err(nothing_here().into()) };
    let admitted = Admitted::enter(gate, snapshot)?;
    let failed = |error: ServerError| error.to_fault(&server.name);
    let patience = server.wanted.timeout.get();
    let entered = timeout(patience, server.enter_api()).await;
    let (api, held) = entered.unwrap_or(Err(ServerError::Timeout)).map_err(failed)?;

    let below = head.uri.path().strip_prefix(&*endpoint.path).unwrap_or_default();
    let below = if below.is_empty() { "/" } else { below };
    let query = head.uri.query().unwrap_or_default();
    let found = match api.find(head.method.as_str(), below, query) {
        // Whatever can be read has a head (RFC 9110, section 9.3.2).
        Found::OtherMethods(_) if head.method == Method::HEAD => api.find("GET", below, query),
        found => found,
    };
    let (name, path) = match found {
        Found::Operation { tool, path } => (tool, path),
        Found::OtherMethods(methods) => return Err(other_methods(&methods)),
        Found::Elsewhere => return Err(leads_elsewhere().into()),
        Found::Nothing => return Err(nothing_here().into()),
    };
    let Some(tool) = api.tool(name) else { return Err(nothing_here().into()) };
    ticket.is_for(name);
    ticket.asked(server);

    let pace = Arc::new(Pace::default());
    let outgoing = outgoing(body, &pace);
    let sent = tokio::select! {
        sent = api.relay(tool, &path, head, outgoing) => sent,
        () = pace.overdue(patience) => Err(ServerError::Timeout),
    };
    // What the client did wrong looks like a failure of the connection.
    let (answer, choice) = sent.map_err(|error| pace.fault().unwrap_or_else(|| failed(error)))?;
    let (mut answered, body) = answer.into_parts();
    let moved = moved(&answered.headers, choice.prefix(), &endpoint.path);
    answered.headers = passed_back(&answered.headers);
    if let Some(moved) = moved {
        answered.headers.insert(LOCATION, moved);
    }
    let veil = api.veil(&mut answered.headers);
    Ok(Passed {
        head: answered,
        body,
        veil,
        server: Arc::clone(&server.name),
        silence_max: snapshot.limits.call_deadline_max.get(),
        _choice: choice,
        _held: held,
        _admitted: admitted,
    })
}

fn nothing_here() -> Fault {
    Fault::new(
        Reason::UnknownName,
        "the API has no such operation here; its OpenAPI document, and the operator, say which it has",
    )
}

fn leads_elsewhere() -> Fault {
    Fault::new(
        Reason::InvalidParams,
        "a segment of the path would be read as `.` or `..`, or has a line break in it; leave it out",
    )
}

fn other_methods(methods: &[&str]) -> PlainRefusal {
    let mut methods = methods.to_vec();
    if let Some(at) = methods.iter().position(|method| *method == "GET")
        && !methods.contains(&"HEAD")
    {
        methods.insert(at + 1, "HEAD");
    }
    let allow = methods.join(", ");
    let message = format!("this path takes {allow}");
    let fault = Fault::new(Reason::UnknownMethod, message);
    PlainRefusal { fault: fault.with_status(StatusCode::METHOD_NOT_ALLOWED), allow: Some(allow) }
}

// === the request's body ===

/// Whose turn it is while a request is sent, and what the client did wrong.
struct Pace(Mutex<(Turn, Option<Fault>)>);

#[derive(Clone, Copy)]
enum Turn {
    /// The client's: more of the body is awaited.
    Client,
    /// The API's, since then.
    Api(Instant),
}

impl Default for Pace {
    fn default() -> Self {
        Self(Mutex::new((Turn::Api(Instant::now()), None)))
    }
}

impl Pace {
    fn with<T>(&self, change: impl FnOnce(&mut (Turn, Option<Fault>)) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Completes once the API has had the turn for too long.
    async fn overdue(&self, patience: Duration) {
        loop {
            match self.with(|pace| pace.0) {
                Turn::Client => sleep(patience).await,
                Turn::Api(since) if since.elapsed() >= patience => return,
                Turn::Api(since) => sleep_until(since + patience).await,
            }
        }
    }

    fn fault(&self) -> Option<Fault> {
        self.with(|pace| pace.1.take())
    }
}

/// The body as the API gets it.
fn outgoing(body: PlainBody, pace: &Arc<Pace>) -> Outgoing {
    let PlainBody { first, rest, length } = body;
    if rest.is_over() {
        return Outgoing::from(first);
    }
    let first = Some(first).filter(|first| !first.is_empty());
    let state = (first, rest, Arc::clone(pace));
    let pieces = stream::unfold(state, |(first, mut rest, pace)| async move {
        if let Some(first) = first {
            return Some((Ok(first), (None, rest, pace)));
        }
        pace.with(|pace| pace.0 = Turn::Client);
        let piece = rest.next().await;
        pace.with(|pace| pace.0 = Turn::Api(Instant::now()));
        let piece = piece?.map_err(|fault| {
            pace.with(|pace| pace.1 = Some(fault));
            io::Error::other("the client's body ended early")
        });
        Some((piece, (None, rest, pace)))
    });
    Outgoing::Pieces { pieces: Box::pin(pieces), length }
}

// === the answer ===

/// The headers of an answer that go on: not those of the API's own hop, nor what only the gate may
/// tell a browser about this address.
fn passed_back(headers: &HeaderMap) -> HeaderMap {
    const NEVER: [&str; 14] = [
        "alt-svc",
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-connection",
        "set-cookie",
        "strict-transport-security",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
        "www-authenticate",
        "x-correlation-id",
    ];
    let of_hop: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::try_from(name.trim()).ok())
        .collect();
    let goes_on = |name: &HeaderName| {
        let text = name.as_str();
        let is_gates = text.starts_with("mcp-") || text.starts_with("access-control-");
        !is_gates && !NEVER.contains(&text) && !of_hop.contains(name)
    };
    let passed = headers.iter().filter(|(name, _)| goes_on(name));
    passed.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// `Location` as it is here, where it leads to a place of the API.
fn moved(headers: &HeaderMap, prefix: &str, endpoint: &str) -> Option<HeaderValue> {
    let location = headers.get(LOCATION)?.to_str().ok()?;
    let path = prefix.find("://").map_or("", |at| {
        let after = &prefix[at + 3..];
        after.find('/').map_or("", |at| &after[at..])
    });
    let below = match location.strip_prefix(prefix) {
        Some(below) => below,
        // Relative to the host, as most APIs write it.
        None if location.starts_with('/') && !location.starts_with("//") => {
            location.strip_prefix(path)?
        }
        None => return None,
    };
    let is_whole = below.is_empty() || below.starts_with(['/', '?', '#']);
    HeaderValue::from_str(&format!("{endpoint}{below}")).ok().filter(|_| is_whole)
}

impl Passed {
    /// The head, and the body as it comes. The record is kept once the last piece has.
    pub(crate) fn into_parts(
        self,
        mut ticket: Ticket,
    ) -> (response::Parts, impl Stream<Item = io::Result<Bytes>> + Send + use<>) {
        let status = self.head.status;
        let head = {
            let (mut head, ()) = http::Response::new(()).into_parts();
            head.status = status;
            head.headers.clone_from(&self.head.headers);
            head
        };
        // hyper does not ask for the end of a body whose length it knows.
        let rest = if self.body.is_end_stream() {
            ticket.relayed(status);
            None
        } else {
            Some((self, ticket))
        };
        let pieces = stream::unfold(rest, |rest| async move {
            let (mut passed, mut ticket) = rest?;
            loop {
                let error = match timeout(passed.silence_max, passed.body.chunk()).await {
                    Ok(Some(Ok(piece))) => {
                        let is_last = passed.body.is_end_stream();
                        let piece = match &mut passed.veil {
                            Some(veil) => veil.pass(piece, is_last),
                            None => piece,
                        };
                        if is_last {
                            ticket.relayed(passed.head.status);
                            return Some((Ok(piece), None));
                        }
                        if piece.is_empty() {
                            continue;
                        }
                        return Some((Ok(piece), Some((passed, ticket))));
                    }
                    Ok(None) => {
                        ticket.relayed(passed.head.status);
                        let rest = passed.veil.as_mut().map(Veil::rest).unwrap_or_default();
                        return (!rest.is_empty()).then_some((Ok(rest), None));
                    }
                    Ok(Some(Err(error))) => ServerError::Http(error),
                    Err(_) => ServerError::Timeout,
                };
                ticket.faulted(&error.to_fault(&passed.server));
                return Some((Err(io::Error::other("the answer ended early")), None));
            }
        });
        (head, pieces)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_of_the_api_is_one_of_the_endpoint() {
        for (location, here) in [
            ("https://api.example/v1/pets/7", Some("/billing/pets/7")),
            ("/v1/pets/7?x=1", Some("/billing/pets/7?x=1")),
            ("/v10/pets", None),
            ("/login", None),
            ("//api.example/v1/pets", None),
            ("https://api.example.evil/v1/pets", None),
            ("https://other.example/", None),
            ("7", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(LOCATION, HeaderValue::from_static(location));
            let moved = moved(&headers, "https://api.example/v1", "/billing");
            assert_eq!(moved.as_ref().and_then(|it| it.to_str().ok()), here, "{location}");
        }
    }

    #[test]
    fn only_what_is_the_apis_goes_on() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("content-type", "text/plain"),
            ("x-rate", "7"),
            ("x-hop", "1"),
            ("connection", "close, X-Hop"),
            ("set-cookie", "a=b"),
            ("mcp-session-id", "1"),
            ("access-control-allow-origin", "*"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let passed = passed_back(&headers);
        let mut names: Vec<_> = passed.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-type", "x-rate"]);
    }
}
