//! What must hold of the whole crate: public test suites, official schemas, properties, fuzzing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where it stopped")]

mod fuzz;
mod json_suite;
mod properties;
mod schema;
mod versions;
