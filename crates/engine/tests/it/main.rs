//! The data plane from outside: real sockets, scripted servers and clients, one gate a test.

mod harness;

mod bad_requests;
mod bad_servers;
mod changes;
mod composed;
mod delivery;
mod doors;
mod limits;
mod process;
mod questions;
mod sealed;
