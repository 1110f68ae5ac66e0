//! The Streamable HTTP transport in both eras, for one example server on one path.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method as Verb, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wire::header as mcp;
use wire::message;
use wire::{Era, Limits, Message, Method, Outcome, Request, RpcError, Version, code, meta};

use super::server::{self, Server};

mod legacy;
mod modern;
mod reply;

use reply::{Reply, error, json};

/// The only path.
const PATH: &str = "/mcp";
/// Most connections at once; further ones wait to be accepted.
const CONNECTIONS_MAX: usize = 1_024;
/// Most open streams: listen requests and GET streams together.
const STREAMS_MAX: usize = 512;
/// How long a client may take to send its request head.
const HEAD_TIME_MAX: Duration = Duration::from_secs(10);
/// How long a client may take to send a body.
const BODY_TIME_MAX: Duration = Duration::from_secs(30);
/// How long requests may go on after the server was asked to end.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(5);

/// Serves on `listen` until SIGTERM or Ctrl-C, then ends streams in order and lets requests finish.
pub(super) async fn serve<S: Server>(server: Arc<S>, listen: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    let stopping = CancellationToken::new();
    let service = Arc::new(Service {
        server,
        sessions: legacy::Sessions::default(),
        streams: Arc::new(Semaphore::new(STREAMS_MAX)),
        tasks: TaskTracker::new(),
        stopping: stopping.clone(),
    });
    eprintln!("{} serves http://{}{PATH}", S::ABOUT.name, listener.local_addr()?);
    let connections = accept(&listener, &service, asked_to_end()?).await;
    drop(listener);
    stopping.cancel();
    service.tasks.close();
    let _ = tokio::time::timeout(DRAIN_TIME_MAX, async {
        connections.shutdown().await;
        service.tasks.wait().await;
    })
    .await;
    Ok(())
}

/// Waits for SIGTERM or Ctrl-C.
fn asked_to_end() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Accepts connections until `end`, and returns those that are still open.
async fn accept<S: Server>(
    listener: &TcpListener,
    service: &Arc<Service<S>>,
    end: impl Future<Output = ()>,
) -> GracefulShutdown {
    let open = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    tokio::pin!(end);
    loop {
        let permit = Arc::clone(&room).acquire_owned().await;
        let permit = permit.expect("the semaphore is never closed");
        let connection = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut end => return open,
        };
        let Ok((stream, _)) = connection else {
            // Out of file descriptors, most likely: give connections time to close.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let connection = open.watch(converse(stream, service));
        service.tasks.spawn(async move {
            // A broken connection is the client's business.
            let _ = connection.await;
            drop(permit);
        });
    }
}

/// One connection as a future.
fn converse<S: Server>(
    stream: TcpStream,
    service: &Arc<Service<S>>,
) -> impl hyper_util::server::graceful::GracefulConnection<Error: Send> + Send + 'static {
    // Answers are single writes, so there is nothing to wait for.
    let _ = stream.set_nodelay(true);
    let service = Arc::clone(service);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIME_MAX);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(100);
    let answer = service_fn(move |request| {
        let service = Arc::clone(&service);
        async move { Ok::<_, Infallible>(service.respond(request).await) }
    });
    builder.serve_connection(TokioIo::new(stream), answer).into_owned()
}

/// What all connections share.
struct Service<S> {
    server: Arc<S>,
    sessions: legacy::Sessions,
    streams: Arc<Semaphore>,
    tasks: TaskTracker,
    /// The process has been asked to end.
    stopping: CancellationToken,
}

impl<S: Server> Service<S> {
    async fn respond(&self, request: http::Request<Incoming>) -> Reply {
        if let Err(message) = check_sender(&request) {
            let refused = RpcError::new(code::INVALID_REQUEST, message);
            return error(StatusCode::FORBIDDEN, None, &refused);
        }
        if request.uri().path() != PATH {
            return reply::empty(StatusCode::NOT_FOUND);
        }
        let (head, body) = request.into_parts();
        match head.method {
            Verb::POST => match collect(body).await {
                Ok(text) => self.take(&head.headers, &text).await,
                Err(status) => reply::empty(status),
            },
            Verb::GET => self.open_stream(&head.headers),
            Verb::DELETE => self.end_session(&head.headers),
            _ => reply::no_such_verb(),
        }
    }

    /// Takes a body: one message, or in a session of 2025-03-26 a batch.
    async fn take(&self, headers: &HeaderMap, text: &bytes::Bytes) -> Reply {
        match self.split(headers, text) {
            Ok(Some(members)) => return self.take_batch(headers, members).await,
            Ok(None) => {}
            Err(refused) => return *refused,
        }
        let message = match Message::decode(text, &Limits::CLIENT) {
            Ok(message) => message,
            Err(refusal) => {
                return error(StatusCode::BAD_REQUEST, refusal.id(), &refusal.to_error());
            }
        };
        let names_modern = named_version(headers).is_some_and(|name| {
            Version::parse(name).is_none_or(|version| version.era() == Era::Modern)
        });
        match message {
            Message::Request(request) => self.take_request(headers, request, names_modern).await,
            Message::Notification(_) if names_modern => reply::empty(StatusCode::ACCEPTED),
            Message::Notification(_) | Message::Response(_) => match self.session(headers, None) {
                Ok(_) => reply::empty(StatusCode::ACCEPTED),
                Err(refused) => *refused,
            },
        }
    }

    /// Decides the era of a request: the body first, the headers second.
    async fn take_request(
        &self,
        headers: &HeaderMap,
        request: Request,
        names_modern: bool,
    ) -> Reply {
        let refuse =
            |refused: &RpcError| error(StatusCode::BAD_REQUEST, Some(&request.id), refused);
        match server::is_modern(&request.meta) {
            Ok(true) => return self.answer_modern(headers, request).await,
            Ok(false) => {}
            Err(refused) => return refuse(&refused),
        }
        let is_initialize = Method::parse(&request.method) == Method::Initialize;
        if names_modern && is_initialize {
            let message =
                "Header mismatch: MCP-Protocol-Version names a version without `initialize`";
            return refuse(&RpcError::new(code::HEADER_MISMATCH, message));
        }
        if names_modern {
            let message = format!(
                "MCP-Protocol-Version names a version whose requests need `{}` and `{}` in \
                 `params._meta`",
                meta::PROTOCOL_VERSION,
                meta::CLIENT_CAPABILITIES
            );
            return refuse(&RpcError::new(code::INVALID_PARAMS, message));
        }
        if is_initialize {
            self.initialize(request).await
        } else {
            self.answer_legacy(headers, request).await
        }
    }

    /// Answers on a thread that may block. When the client goes away the work is told.
    async fn answer(&self, version: Version, request: Request) -> Outcome {
        let cancelled = CancellationToken::new();
        let guard = cancelled.clone().drop_guard();
        let server = Arc::clone(&self.server);
        let work = tokio::task::spawn_blocking(move || {
            server::answer(&*server, version, &request, &cancelled)
        });
        let outcome = work.await;
        guard.disarm();
        outcome.unwrap_or_else(|_| {
            Err(RpcError::new(code::INTERNAL_ERROR, "Internal error: the work was cut off"))
        })
    }
}

/// The version that the headers name.
fn named_version(headers: &HeaderMap) -> Option<&str> {
    headers.get(mcp::PROTOCOL_VERSION)?.to_str().ok()
}

/// Reads a body of bounded size in bounded time.
async fn collect(body: Incoming) -> Result<bytes::Bytes, StatusCode> {
    let body = Limited::new(body, Limits::CLIENT.bytes).collect();
    match tokio::time::timeout(BODY_TIME_MAX, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            Err(StatusCode::PAYLOAD_TOO_LARGE)
        }
        Ok(Err(_)) => Err(StatusCode::BAD_REQUEST),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
    }
}

/// Keeps web pages out: a page that had its own name resolve to this address sends that name as
/// `Host`, and any page sends its `Origin`.
fn check_sender(request: &http::Request<Incoming>) -> Result<(), String> {
    let host = request
        .uri()
        .authority()
        .map(http::uri::Authority::as_str)
        .or_else(|| request.headers().get(header::HOST)?.to_str().ok())
        .unwrap_or_default();
    let named = url::Url::parse(&format!("http://{host}/")).ok();
    if !named.as_ref().is_some_and(|url| is_address(url, |_| true)) {
        return Err(format!("Host `{host}` is not served here: use an IP address or localhost"));
    }
    let Some(origin) = request.headers().get(header::ORIGIN) else { return Ok(()) };
    let page = origin.to_str().ok().and_then(|origin| url::Url::parse(origin).ok());
    if page.is_some_and(|page| is_address(&page, IpAddr::is_loopback)) {
        return Ok(());
    }
    Err("Origin is not allowed: only pages of this machine may call".to_owned())
}

/// Whether the URL's host is `localhost` or an accepted address.
fn is_address(url: &url::Url, accept: impl Fn(&IpAddr) -> bool) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => accept(&address.into()),
        Some(url::Host::Ipv6(address)) => accept(&address.into()),
        None => false,
    }
}

/// The reply to a request that was carried out, well or not.
fn outcome(request_id: &wire::Id, outcome: &Outcome) -> Reply {
    json(StatusCode::OK, message::encode_outcome(request_id, outcome))
}
