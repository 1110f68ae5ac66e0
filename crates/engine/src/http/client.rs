//! The client of one server: takes a connection or makes one, and exchanges a request for an answer.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::time::{Instant, timeout_at};

use super::body::Body;
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

/// A failed exchange.
enum Failure {
    /// Not a byte was written: the request is back and can be sent on another connection.
    Unsent(Box<Request<Outgoing>>),
    /// The request was, or may have been, on its way.
    Lost(ClientError),
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
    /// `Host` and `Accept-Encoding` are set here; every other header is sent as given. Whatever the status, the
    /// answer is returned; no redirect is followed. Dropping the future closes the connection.
    ///
    /// # Errors
    /// See [`ClientError`]; [`ClientError::delivered`] says whether the request may have reached the server.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<Body>, ClientError> {
        self.exchange(request.map(Outgoing::from), None, false).await
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
        self.exchange(request.map(Outgoing::from), Some(deadline), false).await
    }

    /// As [`Client::send`], for a body that comes in pieces. The answer is passed on and not read here,
    /// so it may be compressed.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn relay(&self, request: Request<Outgoing>) -> Result<Response<Body>, ClientError> {
        self.exchange(request, None, true).await
    }

    async fn exchange(
        &self,
        mut request: Request<Outgoing>,
        deadline: Option<Instant>,
        may_be_encoded: bool,
    ) -> Result<Response<Body>, ClientError> {
        let Shared { dialer, proxies, pool } = &*self.shared;
        request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));

        let origin = if let Some(wire) = pool.take(request.uri()) {
            let origin = Arc::clone(&wire.origin);
            origin.address(&mut request);
            match before(deadline, converse(wire, request, pool, may_be_encoded)).await? {
                Ok(answer) => return Ok(answer),
                Err(Failure::Lost(error)) => return Err(error),
                // The server closed the connection since its last use, which every server may do. The others
                // in the pool are older still, so the second attempt, and the last, is on a fresh one.
                Err(Failure::Unsent(returned)) => request = *returned,
            }
            origin
        } else {
            let origin = Arc::new(Origin::of(request.uri(), proxies)?);
            origin.address(&mut request);
            origin
        };

        let wire = dialer.dial(origin, deadline).await?;
        match before(deadline, converse(wire, request, pool, may_be_encoded)).await? {
            Ok(answer) => Ok(answer),
            Err(Failure::Lost(error)) => Err(error),
            Err(Failure::Unsent(_)) => {
                Err(ClientError::Closed { maybe_delivered: false, source: None })
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
    may_be_encoded: bool,
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
    if !may_be_encoded {
        refuse_encoding(answer.headers()).map_err(Failure::Lost)?;
    }
    Ok(answer.map(|incoming| Body::new(incoming, wire, pool)))
}

/// Nothing is ever decompressed, so that no answer can be larger than the bytes received.
fn refuse_encoding(headers: &HeaderMap) -> Result<(), ClientError> {
    match headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .find(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        None => Ok(()),
        Some(value) => {
            let encoding = String::from_utf8_lossy(value.as_bytes()).into_owned();
            Err(ClientError::Encoding { encoding })
        }
    }
}
