//! Accepts connections within their limits and serves HTTP on them.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::guard::{Guarded, Stage};
use super::workers::Workers;
use crate::gate::Gate;

/// A bound address on which clients come in.
pub struct Listener {
    tcp: TcpListener,
    tls: Option<TlsAcceptor>,
}

/// The PEM files of a listener that speaks TLS.
#[derive(Clone, Copy, Debug)]
pub struct TlsFiles<'a> {
    /// The certificate chain.
    pub certificate: &'a Path,
    /// Its key.
    pub key: &'a Path,
    /// Authorities whose client certificates are demanded.
    pub client_ca: Option<&'a Path>,
}

impl Listener {
    /// Binds `address`; port 0 takes a free one.
    pub async fn bind(address: SocketAddr, tls: Option<TlsFiles<'_>>) -> io::Result<Self> {
        let tls = tls.map(acceptor).transpose()?;
        let tcp = TcpListener::bind(address).await.map_err(|error| {
            io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
        })?;
        Ok(Self { tcp, tls })
    }

    /// The address that was bound.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// Serves until the gate drains. Connections are told to finish what they do; the caller waits for
    /// them through [`Gate::drain`].
    pub async fn serve(self, gate: Arc<Gate>) {
        let workers = match Workers::start(&gate.ended) {
            Ok(workers) => workers,
            Err(error) => {
                return tracing::error!(%error, "the threads of the edge could not be started");
            }
        };
        let places = Arc::new(Semaphore::new(gate.snapshot().limits.connections));
        loop {
            // At the limit nobody is refused: the kernel's queue holds them until one has gone.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let accepted = tokio::select! {
                accepted = self.tcp.accept() => accepted,
                () = gate.draining.cancelled() => return,
            };
            let stream = match accepted {
                Ok((stream, _peer)) => stream,
                Err(error) => {
                    // Out of file descriptors, most likely: give the others time to end.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let (gate_of_task, tls) = (Arc::clone(&gate), self.tls.clone());
            // The stream moves to the event loop of its thread.
            let Ok(stream) = stream.into_std() else { continue };
            let serving = async move {
                match TcpStream::from_std(stream) {
                    Ok(stream) => serve_one(gate_of_task, tls, stream).await,
                    Err(error) => tracing::warn!(%error, "a connection could not be served"),
                }
                drop(place);
            };
            gate.work.spawn_on(serving, workers.next());
        }
    }
}

async fn serve_one(gate: Arc<Gate>, tls: Option<TlsAcceptor>, stream: TcpStream) {
    // Small answers must not wait for an acknowledgement.
    let _ = stream.set_nodelay(true);
    let limits = gate.snapshot().limits.clone();
    match tls {
        None => {
            let first =
                tokio::time::timeout(limits.header_read_timeout.get(), speaks_http2(&stream));
            match first.await {
                Ok(Ok(true)) => serve_http2(gate, &limits, stream).await,
                Ok(Ok(false)) => serve_http1(gate, &limits, stream).await,
                Ok(Err(error)) => tracing::debug!(%error, "a connection ended before it began"),
                Err(_) => tracing::debug!("a connection said nothing"),
            }
        }
        Some(tls) => {
            let handshake = tls.accept(stream);
            match tokio::time::timeout(limits.tls_handshake_timeout.get(), handshake).await {
                Ok(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                    serve_http2(gate, &limits, stream).await;
                }
                Ok(Ok(stream)) => serve_http1(gate, &limits, stream).await,
                Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
                Err(_) => tracing::debug!("TLS handshake took too long"),
            }
        }
    }
}

/// Whether a client without TLS begins with the preface of HTTP/2. Nothing is taken from the stream.
async fn speaks_http2(stream: &TcpStream) -> io::Result<bool> {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0";
    let mut first = [0; 14];
    let seen = stream.peek(&mut first).await?;
    // A preface that comes in pieces shorter than its first word is read as HTTP/1.1, and refused.
    Ok(seen >= 3 && PREFACE.starts_with(&first[..seen]))
}

async fn serve_http1<S>(gate: Arc<Gate>, limits: &config::Limits, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stage = Stage::new();
    let (head, stall) = (limits.header_read_timeout.get(), limits.stall_timeout.get());
    let stream = TokioIo::new(Guarded::new(stream, stage.clone(), head, stall));
    let draining = gate.draining.clone();
    let header_bytes = limits.header_bytes.len();
    let service = service_fn(move |request| {
        let (gate, stage) = (Arc::clone(&gate), stage.clone());
        async move {
            stage.busy();
            let answer = guarded(gate, request, header_bytes).await;
            stage.idle();
            Ok::<_, Infallible>(answer)
        }
    });
    let connection = http1::Builder::new()
        .max_headers(limits.header_count)
        .max_buf_size(limits.head_bytes.len().max(8 << 10))
        .serve_connection(stream, service);
    until_ended(connection, &draining).await;
}

async fn serve_http2<S>(gate: Arc<Gate>, limits: &config::Limits, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stage = Stage::new();
    // Streams come and go on one connection: the protocol's own pings find a dead peer.
    stage.busy();
    let (head, stall) = (limits.header_read_timeout.get(), limits.stall_timeout.get());
    let stream = TokioIo::new(Guarded::new(stream, stage, head, stall));
    let draining = gate.draining.clone();
    let header_bytes = limits.header_bytes.len();
    let service = service_fn(move |request| {
        let gate = Arc::clone(&gate);
        async move { Ok::<_, Infallible>(guarded(gate, request, header_bytes).await) }
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(u32::try_from(limits.http2_streams).unwrap_or(100))
        .max_header_list_size(u32::try_from(limits.head_bytes.len()).unwrap_or(32 << 10))
        .keep_alive_interval(Some(Duration::from_secs(30)))
        .serve_connection(stream, service);
    until_ended(connection, &draining).await;
}

/// Serves a connection to its end, or, once the gate drains, to the end of what is under way.
async fn until_ended<C>(connection: C, draining: &CancellationToken)
where
    C: GracefulConnection,
    C::Error: std::fmt::Display,
{
    let mut connection = std::pin::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = draining.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended with an error");
    }
}

/// Answers a request; headers beyond their limit are refused.
async fn guarded(
    gate: Arc<Gate>,
    request: http::Request<hyper::body::Incoming>,
    header_bytes: usize,
) -> http::Response<super::EdgeBody> {
    let longest =
        request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).max();
    if longest.is_some_and(|longest| longest > header_bytes) {
        return super::text(
            http::StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "a header is longer than the limit\n",
        );
    }
    // A panic is a bug of the gate: it ends its own call, and no other on the connection.
    match AssertUnwindSafe(super::answer(gate, request)).catch_unwind().await {
        Ok(response) => response,
        Err(_) => super::refuse(&super::internal_fault()),
    }
}

fn acceptor(files: TlsFiles<'_>) -> io::Result<TlsAcceptor> {
    let named = |path: &Path, error: &dyn std::fmt::Display| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display()))
    };
    let certificates = CertificateDer::pem_file_iter(files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| named(files.certificate, &error))?;
    let key = PrivateKeyDer::from_pem_file(files.key).map_err(|error| named(files.key, &error))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| named(files.certificate, &error))?;
    let builder = match files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in
                CertificateDer::pem_file_iter(path).map_err(|error| named(path, &error))?
            {
                let certificate = certificate.map_err(|error| named(path, &error))?;
                roots.add(certificate).map_err(|error| named(path, &error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| named(path, &error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder
        .with_single_cert(certificates, key)
        .map_err(|error| named(files.certificate, &error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
