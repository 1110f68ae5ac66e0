//! The command line: what can be asked for, and which code answers.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use url::Url;

use crate::document::{self, parse_base};
use crate::{example, guardian, render, run};

mod ask;
mod check;
mod connect;
mod doctor;
mod import;
mod openapi;
mod stdio;

/// What `portcullis` was asked to do.
#[derive(Debug, Parser)]
#[command(
    name = "portcullis",
    version,
    about = "The gate between AI hosts and everything they may call",
    after_help = "Without a command it runs a gate with example servers on 127.0.0.1:8080."
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gate.
    Run(run::RunArgs),
    /// Read a configuration and say everything that is wrong with it.
    Check(check::CheckArgs),
    /// Print the JSON Schema of the configuration, for editors.
    Schema,
    /// Take over the servers that AI hosts on this machine have.
    Import(import::ImportArgs),
    /// Put the gate into the configuration of an AI host, or take it out again.
    Connect(connect::ConnectArgs),
    /// Be a stdio server, for hosts that start a process.
    Stdio(stdio::StdioArgs),
    /// List and call tools through an endpoint.
    #[command(subcommand)]
    Tools(ask::ToolsCommand),
    /// List and read resources through an endpoint.
    #[command(subcommand)]
    Resources(ask::ResourcesCommand),
    /// List and get prompts through an endpoint.
    #[command(subcommand)]
    Prompts(ask::PromptsCommand),
    /// Look into an OpenAPI document before it is served.
    #[command(subcommand, name = "openapi")]
    OpenApi(openapi::OpenApiCommand),
    /// Reach each server, and say what is wrong and what to do.
    Doctor(doctor::DoctorArgs),
    /// Be one of the example servers.
    #[command(subcommand)]
    Example(example::ExampleArgs),
    /// Run a stdio server so that nothing it starts outlives the gate.
    #[command(hide = true)]
    Guardian(guardian::GuardianArgs),
}

/// Where a gate that is not running yet takes its configuration from.
#[derive(Clone, Debug, Args)]
struct FileArgs {
    /// A configuration (YAML or JSON), the file of an AI host such as `mcp.json`, or an OpenAPI
    /// document (file or URL). Without it, the embedded default with the example servers.
    #[arg(value_name = "FILE", value_parser = document::place())]
    file: Option<PathBuf>,
    /// Where the API of an OpenAPI document is served, instead of where the document says.
    #[arg(long, value_name = "URL", requires = "file", value_parser = parse_base)]
    url: Option<Url>,
}

/// How a command that did its work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing to complain about.
    Fine,
    /// It found problems, which it has shown.
    Problems,
}

/// Exit code for problems that were found, and for failures. Wrong usage is 2, by the parser.
const PROBLEMS: u8 = 1;

/// Runs the command that the process was started with. Exit codes: 0 done and nothing wrong, 1 problems
/// found or failed, 2 wrong usage; `guardian` has its own.
pub fn main() -> ExitCode {
    let command = Cli::parse().command.unwrap_or_else(|| Command::Run(run::RunArgs::default()));
    let done = match command {
        // Before any runtime: a guardian must be its process's only thread when it starts its child.
        Command::Guardian(args) => return guardian::run(&args),
        Command::Run(args) => on_all_cores(run::run(args)),
        Command::Check(args) => check::check(&args),
        Command::Schema => {
            render::json(&config::schema());
            Ok(Verdict::Fine)
        }
        Command::Import(args) => import::import(&args),
        Command::Connect(args) => connect::connect(&args),
        Command::Stdio(args) => on_all_cores(stdio::stdio(args)),
        Command::Tools(command) => on_all_cores(ask::tools(command)),
        Command::Resources(command) => on_all_cores(ask::resources(command)),
        Command::Prompts(command) => on_all_cores(ask::prompts(command)),
        Command::OpenApi(command) => on_all_cores(openapi::openapi(command)),
        Command::Doctor(args) => on_all_cores(doctor::doctor(args)),
        Command::Example(args) => on_all_cores(async move {
            example::run(args).await?;
            Ok(Verdict::Fine)
        }),
    };
    match done {
        Ok(Verdict::Fine) => ExitCode::SUCCESS,
        Ok(Verdict::Problems) => ExitCode::from(PROBLEMS),
        Err(error) => {
            render::failure(&error);
            ExitCode::from(PROBLEMS)
        }
    }
}

fn on_all_cores(work: impl Future<Output = anyhow::Result<Verdict>>) -> anyhow::Result<Verdict> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(work);
    // A read of stdin may be pending in a thread that nothing can wake.
    runtime.shutdown_background();
    done
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
