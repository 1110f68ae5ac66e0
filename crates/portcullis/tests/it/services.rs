//! Real HTTP APIs, called by real clients through the gate, each with nothing but the document that
//! the API publishes itself.
//!
//! What a call has done is asked of the API directly, past the gate. `cargo xtask test` installs the
//! parts and says where they are; without it these tests are skipped, and say so.

mod books;
mod jupyter;
mod kinto;
mod loopback;
mod promises;
mod together;

mod service;
