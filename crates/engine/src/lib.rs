//! The data plane: everything between a client's request and a server's answer.
//!
//! Suggested reading order: [`call`] → [`edge`] → `dialect` → [`exchange`] → `catalog` → [`fleet`] →
//! [`upstream`] → [`http`]. [`plan`] says how configuration becomes the snapshot that a call sees.

pub mod call;
mod catalog;
mod dialect;
pub mod documents;
pub mod edge;
pub mod exchange;
pub mod fault;
pub mod fleet;
mod gate;
mod headers;
pub mod http;
mod interaction;
pub mod plan;
pub mod seal;
pub mod upstream;

pub use dialect::serve_stdio;
pub use gate::{Gate, Overview, ServerOverview};

use wire::Json;

/// Who the gate says it is, as an MCP `Implementation`.
pub fn identity() -> Json {
    Json::trusted(concat!(
        "{\"name\":\"portcullis\",\"title\":\"Portcullis\",\"version\":\"",
        env!("CARGO_PKG_VERSION"),
        "\"}"
    ))
}
