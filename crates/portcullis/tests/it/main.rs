//! The binary as a process.

mod guardian;
