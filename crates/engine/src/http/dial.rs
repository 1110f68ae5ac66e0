//! Making a connection: name, TCP, proxy, TLS, and the HTTP/1.1 state on top.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::client::TlsStream;

use super::error::{ClientError, Phase};
use super::origin::Origin;
use super::pool::Wire;
use super::proxy::{Proxy, Route};
use super::reach::Reach;
use super::tls::Tls;

/// The largest head of an answer. It is also the most that is read or written at once: buffers start with
/// 8 KiB and grow only while large bodies pass, so that an idle stream stays small.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// How many addresses of one name are tried.
const ADDRESSES_MAX: usize = 8;

/// Makes connections.
pub(super) struct Dialer {
    connect_timeout: Duration,
    tls: Tls,
    reach: Reach,
    http: http1::Builder,
}

impl Dialer {
    pub(super) fn new(connect_timeout: Duration, tls: Tls, reach: Reach) -> Self {
        let mut http = http1::Builder::new();
        // hyper's own limit of 100 headers is the one we want; setting it would cost an allocation a call.
        http.max_buf_size(HEAD_BYTES_MAX).max_header_size(HEAD_BYTES_MAX);
        Self { connect_timeout, tls, reach, http }
    }

    /// A fresh connection to the origin, within the connect timeout and the deadline.
    pub(super) async fn dial(
        &self,
        origin: Arc<Origin>,
        deadline: Option<Instant>,
    ) -> Result<Box<Wire>, ClientError> {
        let limit = Instant::now() + self.connect_timeout;
        let limit = deadline.map_or(limit, |deadline| deadline.min(limit));
        timeout_at(limit, self.connect(origin, limit))
            .await
            .unwrap_or(Err(ClientError::Timeout { phase: Phase::Connect }))
    }

    async fn connect(&self, origin: Arc<Origin>, limit: Instant) -> Result<Box<Wire>, ClientError> {
        let (host, port) = (origin.host(), origin.port());
        let tcp = match &origin.route {
            Route::Direct => connect_tcp(host, port, limit, self.reach).await?,
            Route::Forward(proxy) => {
                self.check_behind_proxy(host, port).await?;
                connect_tcp(&proxy.host, proxy.port, limit, Reach::Anywhere).await?
            }
            Route::Tunnel(proxy) => {
                self.check_behind_proxy(host, port).await?;
                let tcp = connect_tcp(&proxy.host, proxy.port, limit, Reach::Anywhere).await?;
                self.tunnel(tcp, proxy, host, port).await?
            }
        };
        let stream = if origin.is_https() {
            Stream::Tls(Box::new(self.tls.handshake(tcp, host).await?))
        } else {
            Stream::Plain(tcp)
        };
        let (sender, connection) =
            self.http.handshake(TokioIo::new(stream)).await.map_err(|source| {
                ClientError::Closed { maybe_delivered: false, source: Some(source) }
            })?;
        Ok(Box::new(Wire { origin, sender, connection }))
    }

    /// The proxy looks the name up itself; what it leads to here must be allowed, too, if it leads
    /// anywhere.
    async fn check_behind_proxy(&self, host: &str, port: u16) -> Result<(), ClientError> {
        if self.reach == Reach::Anywhere {
            return Ok(());
        }
        let found: Vec<SocketAddr> = match host.parse::<IpAddr>() {
            Ok(ip) => vec![SocketAddr::new(ip, port)],
            Err(_) => match lookup_host((host, port)).await {
                Ok(found) => found.collect(),
                Err(_) => Vec::new(),
            },
        };
        check_reach(self.reach, host, &found)
    }

    /// Asks the proxy for a tunnel to the server.
    async fn tunnel(
        &self,
        tcp: TcpStream,
        proxy: &Proxy,
        host: &str,
        port: u16,
    ) -> Result<TcpStream, ClientError> {
        let request = proxy.connect_request(host, port)?;
        let broken = |error: hyper::Error| proxy.refused(format!("no tunnel: {error}"));
        let (mut sender, connection) =
            self.http.handshake(TokioIo::new(tcp)).await.map_err(broken)?;
        // The connection ends by itself when the proxy accepts, and is then ours as a plain stream.
        let (answer, connection) =
            tokio::join!(sender.send_request(request), connection.without_shutdown());
        let status = answer.map_err(broken)?.status();
        if !status.is_success() {
            let hint = if status == http::StatusCode::PROXY_AUTHENTICATION_REQUIRED {
                "; check the user name and password in its URL"
            } else {
                ""
            };
            return Err(
                proxy.refused(format!("refused to reach {host}:{port} with {status}{hint}"))
            );
        }
        let parts = connection.map_err(broken)?;
        if !parts.read_buf.is_empty() {
            return Err(proxy.refused("sent bytes ahead of the server".to_owned()));
        }
        Ok(parts.io.into_inner())
    }
}

/// Connects to the first address of the host that accepts.
async fn connect_tcp(
    host: &str,
    port: u16,
    limit: Instant,
    reach: Reach,
) -> Result<TcpStream, ClientError> {
    let failed = |source| ClientError::Connect { address: printed_address(host, port), source };
    let addresses: Vec<SocketAddr> = match host.parse::<IpAddr>() {
        Ok(ip) => vec![SocketAddr::new(ip, port)],
        Err(_) => lookup_host((host, port)).await.map_err(failed)?.take(ADDRESSES_MAX).collect(),
    };
    // What was checked is what is connected to: the name is not looked up again.
    check_reach(reach, host, &addresses)?;
    let mut last_error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for (index, address) in addresses.iter().enumerate() {
        // An address that swallows packets must leave time for the ones after it.
        let left = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        let share = limit.saturating_duration_since(Instant::now()) / left;
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // A request is written in one piece; waiting to fill a packet would only delay it.
                stream.set_nodelay(true).map_err(failed)?;
                return Ok(stream);
            }
            Ok(Err(error)) => last_error = error,
            Err(_) if left == 1 => return Err(ClientError::Timeout { phase: Phase::Connect }),
            Err(elapsed) => last_error = elapsed.into(),
        }
    }
    Err(failed(last_error))
}

/// One address inside is enough to refuse a name.
fn check_reach(reach: Reach, host: &str, addresses: &[SocketAddr]) -> Result<(), ClientError> {
    if addresses.iter().all(|address| reach.allows(address.ip())) {
        return Ok(());
    }
    Err(ClientError::Private { host: host.to_owned() })
}

/// `host:port` as a person writes it.
pub(super) fn printed_address(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// The bytes under HTTP.
pub(super) enum Stream {
    Plain(TcpStream),
    /// Boxed, since its state is large and most connections in a cluster are plain.
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
