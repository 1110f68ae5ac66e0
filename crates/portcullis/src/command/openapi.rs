//! `portcullis openapi`: what an OpenAPI document gives, before anybody serves it.

use anyhow::bail;
use clap::{Args, Subcommand, ValueEnum};
use openapi::api::Api;
use openapi::document::LoadError;
use openapi::report::Report;
use openapi::tool::{Options, Output};

use super::Verdict;
use crate::document::{Beside, Location};
use crate::{render, setup};

mod check;
mod diff;
mod tools;

/// What to do with a document.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  portcullis openapi check petstore.yaml --strict
  portcullis openapi tools https://api.example.com/openapi.json
  portcullis openapi diff old.yaml new.yaml
  portcullis run petstore.yaml --url https://staging.example.com/v1")]
pub(super) enum OpenApiCommand {
    /// Say what is not served as the document has it, where and why.
    Check(CheckArgs),
    /// Show the tools, and how much of a model's context they take.
    Tools(ToolsArgs),
    /// Show which tools are added, removed and changed between two documents.
    Diff(DiffArgs),
}

/// What `portcullis openapi check` is told.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 the document loads, whatever is skipped; 1 it does not, or, \
                        with --strict, an operation is not offered; 2 wrong usage."
)]
pub(super) struct CheckArgs {
    /// The document: a file, or a URL.
    #[arg(value_name = "FILE|URL")]
    document: Location,
    /// Fail if any operation is not offered.
    #[arg(long)]
    strict: bool,
    /// Show every finding, and not only the first ones of each kind.
    #[arg(long, conflicts_with = "json")]
    all: bool,
    /// Print one JSON document, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    beside: Beside,
}

/// What `portcullis openapi tools` is told.
#[derive(Debug, Args)]
pub(super) struct ToolsArgs {
    /// The document: a file, or a URL.
    #[arg(value_name = "FILE|URL")]
    document: Location,
    /// Which tools carry an output schema.
    #[arg(long, value_enum, default_value_t)]
    output: OutputChoice,
    /// Print the definitions as clients get them, as one JSON document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    beside: Beside,
}

/// What `portcullis openapi diff` is told.
#[derive(Debug, Args)]
pub(super) struct DiffArgs {
    /// The document as it was: a file, or a URL.
    #[arg(value_name = "OLD")]
    old: Location,
    /// The document as it is.
    #[arg(value_name = "NEW")]
    new: Location,
    /// Which tools carry an output schema.
    #[arg(long, value_enum, default_value_t)]
    output: OutputChoice,
    /// Print one JSON document, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    beside: Beside,
}

/// Which tools carry an output schema.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum OutputChoice {
    /// None.
    Off,
    /// Those whose schema is at most 8 KiB.
    #[default]
    Auto,
    /// All that have one.
    On,
}

impl OutputChoice {
    fn options(self) -> Options {
        let output = match self {
            Self::Off => Output::Off,
            Self::Auto => Output::Auto,
            Self::On => Output::On,
        };
        Options { output, ..Options::default() }
    }
}

pub(super) async fn openapi(command: OpenApiCommand) -> anyhow::Result<Verdict> {
    setup::log_quietly()?;
    match command {
        OpenApiCommand::Check(args) => check::check(args).await,
        OpenApiCommand::Tools(args) => tools::tools(args).await,
        OpenApiCommand::Diff(args) => diff::diff(args).await,
    }
}

/// Reads a document for a command that can do nothing without it.
async fn loaded(document: &Location, beside: &Beside, output: OutputChoice) -> anyhow::Result<Api> {
    match document.load(beside, output.options()).await? {
        Ok(api) => Ok(api),
        Err(error) => {
            render::note(failed(error).to_text().trim_end());
            bail!("{document} cannot be used")
        }
    }
}

/// A document that does not load, as a report.
fn failed(error: LoadError) -> Report {
    Report { findings: vec![error.into()], left_out: 0 }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
