//! The parts of the `portcullis` binary: the command line, and the wiring behind each command.

pub mod command;
pub mod example;
pub mod guardian;

mod client;
mod document;
mod render;
mod run;
mod setup;
