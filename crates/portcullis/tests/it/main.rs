//! The binary as a process.

mod command;
mod example;
mod faults;
mod gate;
mod guardian;
mod harness;
mod interop;
mod matrix;
mod openapi;
mod services;
