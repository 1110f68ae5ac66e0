//! The client of one server: takes a connection or makes one, and exchanges a request for an answer.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use tokio::time::{Instant, timeout_at};

use super::body::Body;
use super::coding::{self, Coding};
use super::dial::Dialer;
use super::error::{ClientError, Phase};
use super::origin::Origin;
use super::outgoing::Outgoing;
use super::pool::{Pool, Wire};
use super::proxy::{Proxies, ProxyChoice};
use super::reach::Reach;
use super::tls::{Tls, TlsOptions};

/// How a server is reached.
#[derive(Clone, Debug)]
pub struct Options {
    /// The time for name resolution, TCP, proxy and TLS handshake together.
    pub connect_timeout: Duration,
    /// Whom to trust, and how to identify ourselves.
    pub tls: TlsOptions,
    /// The way to the server.
    pub proxy: ProxyChoice,
    /// Which addresses it may lead to.
    pub reach: Reach,
    /// How long an unused connection is kept, unless the server closes it before.
    pub idle_timeout: Duration,
    /// How many unused connections are kept.
    pub idle_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            tls: TlsOptions::default(),
            proxy: ProxyChoice::Environment,
            reach: Reach::Anywhere,
            idle_timeout: Duration::from_mins(1),
            idle_max: 256,
        }
    }
}

/// An HTTP/1.1 client with its own connections; clones share them.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    dialer: Dialer,
    proxies: Proxies,
    pool: Arc<Pool>,
}

/// How long an exchange is waited for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Patience {
    /// When the connection must be there. It is no later than the head, nor than the connect timeout.
    pub connected_by: Option<Instant>,
    /// When the head of the answer must be there.
    pub head_by: Option<Instant>,
}

/// A request that got no usable answer.
#[derive(Debug)]
pub struct Unanswered {
    /// Why.
    pub error: ClientError,
    /// Its body, where certainly nothing of the request was sent.
    pub body: Option<Outgoing>,
}

/// How an answer may be compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// Not at all: it cannot be larger than the bytes received.
    Plain,
    /// In the ways that [`Decoded`](super::Decoded) undoes.
    Decoded,
    /// As the request says itself; it is passed on, and not read here.
    AsAsked,
}

/// A failed exchange.
enum Failure {
    /// Not a byte was written: the request is back and can be sent on another connection.
    Unsent(Box<Request<Outgoing>>),
    /// The request was, or may have been, on its way.
    Lost(ClientError),
}

impl Patience {
    fn connected_by(&self) -> Option<Instant> {
        match (self.connected_by, self.head_by) {
            (Some(connected), Some(head)) => Some(connected.min(head)),
            (connected, head) => connected.or(head),
        }
    }
}

impl Unanswered {
    /// What may have been sent is not sent again.
    fn lost(error: ClientError) -> Self {
        Self { error, body: None }
    }
}

impl Accepted {
    fn ask(self, headers: &mut HeaderMap) {
        const PLAIN: HeaderValue = HeaderValue::from_static("identity");
        match self {
            Self::Plain => drop(headers.insert(ACCEPT_ENCODING, PLAIN)),
            Self::Decoded => {
                headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(coding::OFFERED));
            }
            // Saying nothing would accept everything.
            Self::AsAsked => drop(headers.entry(ACCEPT_ENCODING).or_insert(PLAIN)),
        }
    }

    /// Refuses an answer before its connection is used again.
    fn check(self, headers: &HeaderMap) -> Result<(), ClientError> {
        match self {
            Self::AsAsked => Ok(()),
            Self::Decoded => Coding::of(headers).map(drop),
            Self::Plain => match Coding::of(headers)? {
                None => Ok(()),
                Some(_) => Err(coding::refused(headers)),
            },
        }
    }
}

impl Client {
    /// Makes a client; reads certificate files and, if asked to, the proxy variables of the environment.
    ///
    /// # Errors
    /// [`ClientError::TlsFile`] for a file that cannot be used, [`ClientError::Proxy`] for a proxy that is not
    /// an `http://` URL.
    pub fn new(options: Options) -> Result<Self, ClientError> {
        Self::with_environment(options, |name| std::env::var(name).ok())
    }

    /// As [`Client::new`], with the environment that `lookup` describes.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn with_environment(
        options: Options,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ClientError> {
        let Options { connect_timeout, tls, proxy, reach, idle_timeout, idle_max } = options;
        let shared = Shared {
            dialer: Dialer::new(connect_timeout, Tls::new(&tls)?, reach),
            proxies: Proxies::new(&proxy, lookup)?,
            pool: Pool::new(idle_timeout, idle_max),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Sends a request with an absolute `http` or `https` URI and returns once the head of the answer is there.
    ///
    /// `Host` and `Accept-Encoding` (`identity`) are set here, and `User-Agent` unless it is given; every other
    /// header is sent as given. Whatever the status, the answer is returned; no redirect is followed. Dropping the future closes the connection.
    ///
    /// # Errors
    /// See [`ClientError`]; [`ClientError::delivered`] says whether the request may have reached the server.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<Body>, ClientError> {
        let sent = self.deliver(request.map(Outgoing::from), Patience::default(), Accepted::Plain);
        sent.await.map_err(|unanswered| unanswered.error)
    }

    /// As [`Client::send`], but gives up when the head of the answer is not there at `deadline`.
    ///
    /// # Errors
    /// As [`Client::send`], and [`ClientError::Timeout`].
    pub async fn send_before(
        &self,
        request: Request<Bytes>,
        deadline: Instant,
    ) -> Result<Response<Body>, ClientError> {
        let patience = Patience { head_by: Some(deadline), ..Patience::default() };
        let sent = self.deliver(request.map(Outgoing::from), patience, Accepted::Plain);
        sent.await.map_err(|unanswered| unanswered.error)
    }

    /// As [`Client::send`], for a body that may come in pieces and an answer that may be compressed.
    ///
    /// # Errors
    /// As [`Client::send`], with the body where it can be sent again.
    pub async fn deliver(
        &self,
        mut request: Request<Outgoing>,
        patience: Patience,
        accepted: Accepted,
    ) -> Result<Response<Body>, Unanswered> {
        let Shared { dialer, proxies, pool } = &*self.shared;
        accepted.ask(request.headers_mut());
        complete(&mut request);

        let origin = if let Some(wire) = pool.take(request.uri()) {
            let origin = Arc::clone(&wire.origin);
            origin.address(&mut request);
            let sent = before(patience.head_by, converse(wire, request, pool, accepted)).await;
            match sent.map_err(Unanswered::lost)? {
                Ok(answer) => return Ok(answer),
                Err(Failure::Lost(error)) => return Err(Unanswered::lost(error)),
                // The server closed the connection since its last use, which every server may do. The others
                // in the pool are older still, so the second attempt, and the last, is on a fresh one.
                Err(Failure::Unsent(returned)) => request = *returned,
            }
            origin
        } else {
            let origin = Origin::of(request.uri(), proxies).map_err(Unanswered::lost)?;
            origin.address(&mut request);
            Arc::new(origin)
        };

        let wire = match dialer.dial(origin, patience.connected_by()).await {
            Ok(wire) => wire,
            Err(error) => return Err(Unanswered { error, body: Some(request.into_body()) }),
        };
        let sent = before(patience.head_by, converse(wire, request, pool, accepted)).await;
        match sent.map_err(Unanswered::lost)? {
            Ok(answer) => Ok(answer),
            Err(Failure::Lost(error)) => Err(Unanswered::lost(error)),
            Err(Failure::Unsent(returned)) => {
                let error = ClientError::Closed { maybe_delivered: false, source: None };
                Err(Unanswered { error, body: Some(returned.into_body()) })
            }
        }
    }

    /// How many connections wait for a call.
    #[cfg(test)]
    pub(super) fn idle_count(&self) -> usize {
        self.shared.pool.idle_count()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// Adds what servers want to read in every request: who sends it, and that it has no body where its
/// method makes them wait for one (RFC 9110 §8.6).
fn complete(request: &mut Request<Outgoing>) {
    const AGENT: HeaderValue =
        HeaderValue::from_static(concat!("portcullis/", env!("CARGO_PKG_VERSION")));
    const NO_BYTES: HeaderValue = HeaderValue::from_static("0");
    let needs_no_body = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::DELETE | Method::OPTIONS | Method::TRACE
    );
    let is_empty = matches!(request.body(), Outgoing::Whole(None));
    let headers = request.headers_mut();
    headers.entry(USER_AGENT).or_insert(AGENT);
    if is_empty && !needs_no_body {
        headers.insert(CONTENT_LENGTH, NO_BYTES);
    }
}

/// Awaits the head of an answer until the deadline, if there is one.
async fn before<T>(
    deadline: Option<Instant>,
    exchange: impl Future<Output = T>,
) -> Result<T, ClientError> {
    let Some(deadline) = deadline else { return Ok(exchange.await) };
    if deadline <= Instant::now() {
        // A timeout polls before it looks at the clock, which would send a request nobody waits for.
        return Err(ClientError::Timeout { phase: Phase::Connect });
    }
    timeout_at(deadline, exchange).await.map_err(|_| ClientError::Timeout { phase: Phase::Head })
}

/// Sends the request on this connection and drives it until the head of the answer is there.
async fn converse(
    mut wire: Box<Wire>,
    request: Request<Outgoing>,
    pool: &Arc<Pool>,
    accepted: Accepted,
) -> Result<Response<Body>, Failure> {
    let mut answer = pin!(wire.sender.try_send_request(request));
    let mut wire = Some(wire);
    let answer = poll_fn(|cx| {
        // hyper reads before it takes the request from its queue, so a connection that was closed while
        // idle ends here with the request untouched.
        if wire.as_mut().is_some_and(|wire| wire.poll(cx).is_ready()) {
            // Dropping an ended connection resolves the answer, or gives the request back.
            wire = None;
        }
        match answer.as_mut().poll(cx) {
            Poll::Pending if wire.is_none() => {
                Poll::Ready(Err(Failure::Lost(ClientError::Closed {
                    maybe_delivered: true,
                    source: None,
                })))
            }
            answer => answer.map(|answer| {
                answer.map_err(|mut error| match error.take_message() {
                    Some(request) => Failure::Unsent(Box::new(request)),
                    None => Failure::Lost(ClientError::of_connection(error.into_error())),
                })
            }),
        }
    })
    .await?;
    accepted.check(answer.headers()).map_err(Failure::Lost)?;
    Ok(answer.map(|incoming| Body::new(incoming, wire, pool)))
}
