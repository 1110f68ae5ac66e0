//! The parts of the `portcullis` binary.

pub mod guardian;
