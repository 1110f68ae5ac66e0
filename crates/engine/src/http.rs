//! The HTTP/1.1 client the gate uses towards servers: pooled, bounded, and without tasks of its own on the way of a call.
//!
//! A connection has no driver task: whoever waits for the answer drives it, first [`Client::send`], then the
//! returned [`Body`]. This saves two task switches a call, and it makes cancellation exact: dropping the
//! future or the body closes the connection, which is how a modern MCP call is cancelled.
//!
//! Absent on purpose: redirects, cookies, compression and HTTP/2. A redirect could carry credentials elsewhere,
//! and a compressed answer could be a bomb.

mod body;
mod client;
mod dial;
mod error;
mod origin;
mod outgoing;
mod pool;
mod proxy;
mod reach;
mod tls;

#[cfg(test)]
mod tests;

pub use body::Body;
pub use client::{Client, Options};
pub use error::{ClientError, Delivery, Phase};
pub use outgoing::Outgoing;
pub(crate) use pool::enter_lane;
pub use proxy::ProxyChoice;
pub use reach::Reach;
pub use tls::{ClientCertificate, TlsOptions};
