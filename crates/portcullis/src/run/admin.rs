//! The admin listener: numbers, state and health for operators, on loopback.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use config::Admin;
use engine::fleet::{Condition, EraKnown};
use engine::upstream::AddressState;
use engine::{Gate, Overview, ServerOverview};
use http::header::{CONTENT_TYPE, HOST, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use telemetry::metrics::{self, EraState, Metrics, ServerState, State};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::{HEAD_WAIT, is_default};

/// Most connections at once; further ones wait to be accepted. Operators and their scrapers are few.
const CONNECTIONS_MAX: usize = 32;

/// A bound admin listener.
pub(super) struct AdminListener {
    tcp: TcpListener,
    pub(super) address: SocketAddr,
}

impl AdminListener {
    /// Binds the address that the configuration names. Where nobody chose it and something else has
    /// it, the gate goes on without: numbers are no reason not to serve.
    pub(super) async fn bind(admin: Option<&Admin>) -> anyhow::Result<Option<Self>> {
        let Some(admin) = admin else { return Ok(None) };
        match TcpListener::bind(admin.listen).await {
            Ok(tcp) => {
                let address = tcp.local_addr()?;
                Ok(Some(Self { tcp, address }))
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_default(admin) => {
                tracing::warn!(
                    address = %admin.listen,
                    "another program has the port of the admin listener; going on without /metrics"
                );
                Ok(None)
            }
            Err(error) => Err(error).with_context(|| {
                let address = admin.listen;
                format!(
                    "the admin listener cannot use {address}; choose another or write `admin: off`"
                )
            }),
        }
    }

    /// Serves for as long as the process runs, the drain included.
    pub(super) async fn serve(self, gate: Arc<Gate>, metrics: Arc<Metrics>) {
        let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let place = Arc::clone(&room).acquire_owned().await;
            let place = place.expect("the semaphore is never closed");
            let Ok((stream, _)) = self.tcp.accept().await else {
                // Out of file descriptors, most likely: give others time to end.
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                continue;
            };
            let (gate, metrics) = (Arc::clone(&gate), Arc::clone(&metrics));
            tokio::spawn(async move {
                converse(stream, gate, metrics).await;
                drop(place);
            });
        }
    }
}

async fn converse(stream: TcpStream, gate: Arc<Gate>, metrics: Arc<Metrics>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answer(&request, &gate, &metrics);
        async move { Ok::<_, Infallible>(answer) }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_WAIT);
    // A broken connection is the operator's business.
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}

fn answer(request: &Request<Incoming>, gate: &Gate, metrics: &Metrics) -> Response<Full<Bytes>> {
    if !is_local(request) {
        return plain(StatusCode::FORBIDDEN, "only loopback names lead here\n");
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "only GET is served here\n");
    }
    match request.uri().path() {
        "/healthz" => plain(StatusCode::OK, "ok\n"),
        "/readyz" if gate.is_draining() => plain(StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        "/readyz" => plain(StatusCode::OK, "ready\n"),
        "/metrics" => {
            let page = metrics.render(&state(&gate.overview()));
            respond(StatusCode::OK, metrics::CONTENT_TYPE, page)
        }
        "/status" => {
            let status = status(&gate.overview(), gate.is_draining(), metrics.last_reload_failed());
            respond(StatusCode::OK, "application/json", format!("{status:#}\n"))
        }
        _ => plain(StatusCode::NOT_FOUND, "here are /metrics, /status, /healthz and /readyz\n"),
    }
}

/// Pages in a browser reach loopback under names of their own (DNS rebinding); they get nothing.
fn is_local(request: &Request<Incoming>) -> bool {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let Ok(authority) = host.parse::<http::uri::Authority>() else { return false };
    let name = authority.host().trim_matches(['[', ']']);
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    respond(status, "text/plain; charset=utf-8", text)
}

fn respond(
    status: StatusCode,
    media_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

// === what is shown ===

/// The state as the metrics show it.
fn state(overview: &Overview) -> State {
    State {
        servers: overview.servers.iter().map(server_state).collect(),
        quarantined: overview.quarantined.len(),
        sessions: overview.sessions,
        calls: overview.calls,
        streams: overview.streams,
        records_dropped: overview.records_dropped,
    }
}

fn server_state(server: &ServerOverview) -> ServerState {
    ServerState {
        name: server.name.clone(),
        condition: condition(server.condition),
        is_up: match server.condition {
            Condition::Idle => None,
            Condition::Up => Some(true),
            Condition::Down | Condition::Broken => Some(false),
        },
        era: server.era.as_ref().map(|era| EraState {
            era: era.name,
            version: era.version.map_or("unknown", wire::Version::as_str),
            is_pinned: era.pinned,
        }),
        running: server.running,
        parked: server.parked,
        conversations: server.conversations,
        offers: [server.tools, server.resources, server.prompts],
        addresses: match server.addresses.as_slice() {
            [_] => Vec::new(),
            several => several.iter().map(|it| (it.address.clone(), !it.is_left_out)).collect(),
        },
    }
}

/// The state as a document.
fn status(overview: &Overview, draining: bool, reload_failed: bool) -> serde_json::Value {
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "draining": draining,
        "configReloadFailed": reload_failed,
        "endpoints": overview.endpoints,
        "servers": overview.servers.iter().map(server_status).collect::<Vec<_>>(),
        "quarantined": overview.quarantined,
        "sessions": overview.sessions,
        "calls": overview.calls,
        "parked": overview.parked,
        "streams": overview.streams,
        "recordsDropped": overview.records_dropped,
    })
}

fn server_status(server: &ServerOverview) -> serde_json::Value {
    json!({
        "name": server.name,
        "title": server.title,
        "description": server.description,
        "condition": condition(server.condition),
        "era": server.era.as_ref().map(era),
        "problem": server.problem,
        "running": server.running,
        "parked": server.parked,
        "conversations": server.conversations,
        "addresses": server.addresses.iter().map(address).collect::<Vec<_>>(),
        "tools": server.tools,
        "resources": server.resources,
        "prompts": server.prompts,
    })
}

/// An address of an API, and whether requests go to others because it cannot be reached.
fn address(state: &AddressState) -> serde_json::Value {
    json!({ "address": state.address, "calls": state.calls, "leftOut": state.is_left_out })
}

/// What is spoken with a server, and how that is known.
pub(crate) fn era(known: &EraKnown) -> serde_json::Value {
    // Nobody needs fractions of the second, and years beyond those of a timestamp do not come.
    let since = jiff::Timestamp::try_from(known.since).ok();
    let since = since.and_then(|since| since.round(jiff::Unit::Second).ok());
    json!({
        "name": known.name,
        "version": known.version.map(wire::Version::as_str),
        "pinned": known.pinned,
        "why": known.why,
        "since": since.map(|since| since.to_string()),
    })
}

/// The word for a condition.
pub(crate) const fn condition(condition: Condition) -> &'static str {
    match condition {
        Condition::Idle => "idle",
        Condition::Up => "up",
        Condition::Down => "down",
        Condition::Broken => "broken",
    }
}
