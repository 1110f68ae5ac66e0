//! From configuration to what runs: limits in the shapes the engine uses, and the immutable snapshot.

mod snapshot;

use std::ffi::OsString;
use std::time::Duration;

pub use snapshot::{Composed, Endpoint, Offer, Serves, Snapshot};

use crate::upstream::Bounds;

/// A value that is never printed.
#[derive(Clone, Debug, PartialEq)]
pub struct SecretText(config::Resolved);

impl Eq for SecretText {}

impl SecretText {
    /// The value, for the one place that must use it.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl From<config::Resolved> for SecretText {
    fn from(value: config::Resolved) -> Self {
        Self(value)
    }
}

/// What every server needs of the configuration beside its own settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Bounds of what servers may send.
    pub bounds: Bounds,
    /// What stdio servers run under; empty for nothing.
    pub guardian: Vec<OsString>,
    /// Most definitions of one kind that are taken from a server.
    pub definitions_max: usize,
    /// Longest definition in bytes.
    pub definition_bytes_max: usize,
    /// Most definitions on a page of a list that the gate makes.
    pub page_items: usize,
    /// About how long such a page may be, in bytes.
    pub page_bytes: usize,
    /// Longest a call may last with all its questions and progress.
    pub call_deadline_max: Duration,
}

impl Settings {
    /// Reads what concerns servers out of the limits.
    pub fn new(limits: &config::Limits, guardian: Vec<OsString>) -> Self {
        let message = wire::Limits {
            bytes: limits.response_bytes.len(),
            depth: limits.json_depth,
            nodes: limits.json_nodes.max(wire::Limits::SERVER.nodes),
            key_bytes: limits.json_key_bytes.len(),
        };
        Self {
            bounds: Bounds { message, frame_bytes: limits.frame_bytes.len() },
            guardian,
            definitions_max: limits.definitions_per_server,
            definition_bytes_max: limits.definition_bytes.len(),
            page_items: limits.page_items,
            page_bytes: limits.page_bytes.len(),
            call_deadline_max: limits.call_deadline_max.get(),
        }
    }
}
