//! Real servers and real clients with the gate between them, every one of them a process.
//!
//! `cargo xtask test` installs the parts and says where they are; without it these tests are
//! skipped, and say so.

mod composed;
mod composite;
mod cross_era;
mod inspector;
mod killed;
mod recorded;
pub(crate) mod rust_sdk;
mod same_era;
mod tour;
mod well_known;

pub(crate) mod client;
pub(crate) mod parts;
pub(crate) mod script;
mod server;
