//! The `portcullis` command.

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(name = "portcullis", version)]
enum Cli {
    /// Run a stdio server so that nothing it starts outlives the gate.
    #[command(hide = true)]
    Guardian(portcullis::guardian::GuardianArgs),
}

fn main() -> ExitCode {
    match Cli::parse() {
        Cli::Guardian(args) => portcullis::guardian::run(&args),
    }
}
