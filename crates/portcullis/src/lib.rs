//! The parts of the `portcullis` binary.

pub mod example;
pub mod guardian;
