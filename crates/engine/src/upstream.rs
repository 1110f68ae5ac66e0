//! Towards servers: one conversation with one server, in the server's own era.
//!
//! [`Peer`] is what the fleet holds for a server: a modern URL, a legacy session over Streamable
//! HTTP, a pipe (stdio and HTTP+SSE), an HTTP API, or tools made of other servers' tools. All take a
//! [`Call`] and give a [`Reply`].

mod api;
mod composite;
mod ear;
pub mod error;
mod events;
mod hello;
mod legacy_http;
mod modern_http;
mod pipe;
mod reply;
pub mod sse;
pub mod stdio;
mod tools;
mod unbound;

use std::sync::Arc;

use wire::{Era, Json, Version};

pub use api::{AddressState, ApiServer};
pub(crate) use api::{ApiSource, Choice, Reached, Reading, Veil};
pub use composite::CompositeServer;
pub(crate) use composite::{CompositeStream, CompositeTool, Told};
pub use error::ServerError;
pub use hello::Hello;
pub use legacy_http::HttpSession;
pub(crate) use legacy_http::Introduction;
pub use modern_http::ModernHttp;
pub(crate) use modern_http::answer;
pub use pipe::Pipe;
pub use reply::ReplyStream;
pub(crate) use tools::{TaskSupport, Tools};
pub use unbound::{Change, Changes, News, Owner, Unbound};

use crate::call::{Call, Reply};
use crate::http::Client;

/// What reaching a server over HTTP needs.
#[derive(Clone)]
pub struct HttpTarget {
    /// Connections to the server.
    pub client: Client,
    /// The server's address.
    pub uri: http::Uri,
    /// What every request carries: configured headers and credentials.
    pub headers: http::HeaderMap,
    /// Bounds of what the server may send.
    pub bounds: Bounds,
}

/// Bounds of what a server may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Of one buffered answer.
    pub message: wire::Limits,
    /// Longest streamed message before the answer, in bytes.
    pub frame_bytes: usize,
}

/// An established conversation with a server.
#[derive(Clone)]
pub enum Peer {
    /// Streamable HTTP of 2026-07-28: each request for itself.
    Modern(Arc<ModernHttp>),
    /// A session over Streamable HTTP of 2025-03-26 … 2025-11-25.
    Session(Arc<HttpSession>),
    /// A pair of streams that all calls share: stdio of any version, HTTP+SSE of 2024-11-05.
    Pipe(Arc<Pipe>),
    /// An HTTP API, of which the gate makes a server of 2026-07-28.
    Api(Arc<ApiServer>),
    /// Tools made of calls of other servers' tools, as a server of 2026-07-28.
    Composite(Arc<CompositeServer>),
}

impl Peer {
    /// What the server said of itself.
    pub fn hello(&self) -> &Arc<Hello> {
        match self {
            Self::Modern(peer) => peer.hello(),
            Self::Session(peer) => peer.hello(),
            Self::Pipe(peer) => peer.hello(),
            Self::Api(peer) => peer.hello(),
            Self::Composite(peer) => peer.hello(),
        }
    }

    /// The version of the server's hop.
    pub fn version(&self) -> Version {
        self.hello().version
    }

    /// The era of the server's hop.
    pub fn era(&self) -> Era {
        self.version().era()
    }

    /// Whether both are the same conversation.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Modern(one), Self::Modern(two)) => Arc::ptr_eq(one, two),
            (Self::Session(one), Self::Session(two)) => Arc::ptr_eq(one, two),
            (Self::Pipe(one), Self::Pipe(two)) => Arc::ptr_eq(one, two),
            (Self::Api(one), Self::Api(two)) => Arc::ptr_eq(one, two),
            (Self::Composite(one), Self::Composite(two)) => Arc::ptr_eq(one, two),
            _ => false,
        }
    }

    /// Whether the conversation can take no further call.
    pub fn is_over(&self) -> bool {
        match self {
            Self::Modern(_) | Self::Api(_) | Self::Composite(_) => false,
            Self::Session(peer) => peer.is_over(),
            Self::Pipe(peer) => peer.is_over(),
        }
    }

    /// Sends a call and returns with the first message of the reply. Dropping the future or the
    /// reply's stream cancels the call at the server.
    pub async fn call(&self, call: &Call) -> Result<Reply, ServerError> {
        match self {
            Self::Modern(peer) => peer.call(call).await,
            Self::Session(peer) => peer.call(call).await,
            Self::Pipe(peer) => peer.call(call).await,
            Self::Api(peer) => peer.call(call).await,
            Self::Composite(peer) => Ok(peer.call(call)),
        }
    }

    /// Sends a notification. Modern servers over HTTP take none.
    pub async fn notify(&self, method: &str, params: Option<&Json>) -> Result<(), ServerError> {
        match self {
            Self::Modern(_) | Self::Api(_) | Self::Composite(_) => Ok(()),
            Self::Session(peer) => peer.notify(method, params).await,
            Self::Pipe(peer) => peer.notify(method, params).await,
        }
    }

    /// Completes when the conversation can take no further call; never where there is none.
    pub(crate) async fn ended(&self) {
        match self {
            Self::Modern(_) | Self::Api(_) | Self::Composite(_) => std::future::pending().await,
            Self::Session(peer) => peer.ended().await,
            Self::Pipe(peer) => peer.over().cancelled().await,
        }
    }

    /// Ends the conversation: deletes the session, stops the process.
    pub async fn close(&self) {
        match self {
            Self::Modern(_) | Self::Api(_) | Self::Composite(_) => {}
            Self::Session(peer) => peer.close().await,
            Self::Pipe(peer) => peer.close(),
        }
    }
}
