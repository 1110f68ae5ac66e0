//! What can go wrong on the way to a server, and whether the request may have arrived there.

use std::error::Error;
use std::io;
use std::path::PathBuf;

/// Whether a failed request may have reached the server.
///
/// Only a request that certainly has not may be sent again on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Not a byte of the request left this process.
    No,
    /// Some or all of the request may have reached the server.
    Maybe,
}

/// What was being waited for when the time ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The connection: name resolution, TCP, proxy and TLS handshake. Nothing had been sent.
    Connect,
    /// The head of the answer, after the request was handed to the connection.
    Head,
}

/// A request that got no usable answer, or options that no client can be made of.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The request's address is not one this client can call.
    #[error("cannot call this address: {problem}")]
    Target {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The server's, or its proxy's, name did not resolve or no address accepted a connection.
    #[error("cannot connect to {address}")]
    Connect {
        /// `host:port` as configured.
        address: String,
        /// The last attempt's error.
        source: io::Error,
    },
    /// The name leads to an address inside, where only what the operator wrote may lead.
    #[error("{host} has a private address, which only an address in the configuration may have")]
    Private {
        /// The host as it was written.
        host: String,
    },
    /// The TLS handshake failed.
    #[error("no TLS with {host}")]
    Tls {
        /// The host whose certificate was expected.
        host: String,
        /// The handshake's error; for a refused certificate it says why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// TLS cannot be set up on this machine; usually it has no root certificates and no CA is configured.
    #[error("TLS cannot be set up; are the system's CA certificates installed?")]
    TlsSetup {
        /// What rustls reported.
        source: rustls::Error,
    },
    /// A configured certificate or key file cannot be used.
    #[error("cannot use {}: {problem}", path.display())]
    TlsFile {
        /// The file as configured.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The proxy is configured wrongly, or refused to reach the server.
    #[error("proxy {proxy}: {problem}")]
    Proxy {
        /// `host:port` of the proxy, or the name of the setting; never its credentials.
        proxy: String,
        /// What is wrong.
        problem: String,
    },
    /// The time allowed ran out.
    #[error("timed out while {}", match phase { Phase::Connect => "connecting", Phase::Head => "waiting for the answer" })]
    Timeout {
        /// What was being waited for.
        phase: Phase,
    },
    /// The connection ended before the answer was complete.
    #[error("the connection ended before the answer was complete")]
    Closed {
        /// Whether the request may have reached the server.
        maybe_delivered: bool,
        /// What the connection reported, if it did.
        source: Option<hyper::Error>,
    },
    /// The answer's body is larger than the caller accepts.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The server compressed its answer in a way that it was not asked for.
    #[error("the answer has content-encoding {encoding:?}, which was not asked for")]
    Encoding {
        /// The `content-encoding` received.
        encoding: String,
    },
    /// The answer is compressed, and what was compressed cannot be read.
    #[error("the answer's {encoding} encoding cannot be undone: {problem}")]
    Undecodable {
        /// The coding.
        encoding: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The answer is not HTTP/1.1, or its head is larger than the limits.
    #[error("the answer is not valid HTTP/1.1")]
    Protocol(#[source] hyper::Error),
}

impl ClientError {
    /// Whether the request may have reached the server.
    pub fn delivered(&self) -> Delivery {
        match self {
            Self::Target { .. }
            | Self::Connect { .. }
            | Self::Private { .. }
            | Self::Tls { .. }
            | Self::TlsSetup { .. }
            | Self::TlsFile { .. }
            | Self::Proxy { .. }
            | Self::Timeout { phase: Phase::Connect }
            | Self::Closed { maybe_delivered: false, .. } => Delivery::No,
            Self::Timeout { phase: Phase::Head }
            | Self::Closed { maybe_delivered: true, .. }
            | Self::TooLarge { .. }
            | Self::Encoding { .. }
            | Self::Undecodable { .. }
            | Self::Protocol(_) => Delivery::Maybe,
        }
    }

    /// Sorts an error of a connection that had started on the request.
    pub(super) fn of_connection(error: hyper::Error) -> Self {
        // A body that breaks the chunked coding arrives as an I/O error of these kinds.
        let malformed = error
            .source()
            .and_then(|source| source.downcast_ref::<io::Error>())
            .is_some_and(|source| {
                matches!(source.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput)
            });
        if error.is_parse() || malformed {
            Self::Protocol(error)
        } else {
            Self::Closed { maybe_delivered: true, source: Some(error) }
        }
    }
}
