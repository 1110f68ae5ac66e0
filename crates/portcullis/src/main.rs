//! The `portcullis` command.

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(name = "portcullis", version)]
enum Cli {
    /// Be one of the example servers.
    #[command(subcommand)]
    Example(portcullis::example::ExampleArgs),
    /// Run a stdio server so that nothing it starts outlives the gate.
    #[command(hide = true)]
    Guardian(portcullis::guardian::GuardianArgs),
}

fn main() -> ExitCode {
    match Cli::parse() {
        Cli::Example(args) => example(args),
        Cli::Guardian(args) => portcullis::guardian::run(&args),
    }
}

fn example(args: portcullis::example::ExampleArgs) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = runtime
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(portcullis::example::run(args)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("portcullis: {error:#}");
            ExitCode::FAILURE
        }
    }
}
