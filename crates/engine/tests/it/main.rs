//! The data plane from outside: real sockets, scripted servers and clients, one gate a test.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![expect(clippy::needless_pass_by_value, reason = "tests write `json!` where a value is taken")]

mod harness;

mod api;
mod api_written;
mod bad_requests;
mod bad_servers;
mod bridge;
mod changes;
mod composed;
mod composite;
mod delivery;
mod doors;
mod limits;
mod oldest;
mod plain;
mod process;
mod questions;
mod records;
mod sealed;
mod transport;
