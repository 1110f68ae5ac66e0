//! The binary as a process.

mod example;
mod guardian;
