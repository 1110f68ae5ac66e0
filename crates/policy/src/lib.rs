//! Decisions as pure functions: time is an argument, and nothing here waits.

pub mod backoff;

pub use backoff::Backoff;
