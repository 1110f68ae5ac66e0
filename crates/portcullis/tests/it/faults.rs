//! Servers, clients and streams that go away in the middle of calls that ask, and crowds of them: the
//! gate answers for each call once, and keeps nothing of what is gone.
//!
//! What it keeps is read where operators read it, on its metrics page (`stage::Numbers`). Every test
//! sees the numbers rise before it waits for them to be back where they were at the start.
#![cfg(target_os = "linux")]

mod asking;
mod client;
mod clients_gone;
mod crowds;
mod servers_gone;
mod stage;
mod stdio;
