//! For tests: servers and clients that do what no SDK can be made to do, over real sockets.
//!
//! Everything listens on a free port of the loopback, waits for conditions rather than for time, and
//! panics with what was expected when a condition does not come within [`PATIENCE`].

#![expect(clippy::needless_pass_by_value, reason = "tests write `json!` where a value is taken")]

mod client;
mod exchange;
mod http;
mod mcp;
mod request;
mod server;
pub mod stdio;

pub use client::{Answer, Connection, EventStream, send};
pub use exchange::Exchange;
pub use http::Headers;
pub use mcp::{Handler, McpServer, McpServerBuilder, News, echo_tool};
pub use request::{HttpRequest, Oldest, Session, initialize, legacy, modern};
pub use server::{Received, ScriptedServer};

use std::time::Duration;

/// How long a test waits for something that must happen.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Waits for `what`, and panics when it does not come.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let Ok(value) = tokio::time::timeout(PATIENCE, future).await else {
        panic!("waited {PATIENCE:?} in vain for {what}");
    };
    value
}

/// Waits until `condition` holds, looking again every few milliseconds.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    within(what, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}
