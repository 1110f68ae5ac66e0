//! Decisions as pure functions: time is an argument, and nothing here waits.

pub mod backoff;
pub mod schema;

pub use backoff::Backoff;
pub use schema::{Schema, Violation};
