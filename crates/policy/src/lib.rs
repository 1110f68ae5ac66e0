//! Decisions as pure functions: time is an argument, and nothing here waits.

pub mod backoff;
pub mod expression;
pub mod schema;

pub use backoff::Backoff;
pub use expression::Expression;
pub use schema::{Schema, Violation};
