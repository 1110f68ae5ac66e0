//! The HTTP/1.1 client the gate uses towards servers: pooled, bounded, and without tasks of its own on the way of a call.
//!
//! A connection has no driver task: whoever waits for the answer drives it, first [`Client::send`], then the
//! returned [`Body`]. This saves two task switches a call, and it makes cancellation exact: dropping the
//! future or the body closes the connection, which is how a modern MCP call is cancelled.
//!
//! Answers may be compressed only where the caller says so: an API's are decoded while they are read
//! ([`Decoded`]), within the bounds of the reader.
//!
//! Absent on purpose: redirects, cookies and HTTP/2. A redirect could carry credentials elsewhere.

mod body;
mod client;
mod coding;
mod decoded;
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
pub use client::{Accepted, Client, Options, Patience, Unanswered};
pub use decoded::Decoded;
pub use error::{ClientError, Delivery, Phase};
pub use outgoing::Outgoing;
pub(crate) use pool::enter_lane;
pub use proxy::ProxyChoice;
pub use reach::Reach;
pub(crate) use reach::is_inside;
pub use tls::{ClientCertificate, TlsOptions};
