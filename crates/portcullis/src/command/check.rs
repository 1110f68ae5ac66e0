//! `portcullis check`: everything that is wrong with a configuration, each with place and remedy.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use config::{Diagnostic, Severity};
use serde_json::json;

use super::Verdict;
use crate::{render, setup};

/// What `portcullis check` is told.
#[derive(Clone, Debug, Args)]
pub(super) struct CheckArgs {
    /// A configuration (YAML or JSON), or the file of an AI host such as `mcp.json`.
    file: PathBuf,
    /// Accept a listener beyond loopback, as `run --insecure-public` does.
    #[arg(long)]
    insecure_public: bool,
    /// Print one JSON document, for programs.
    #[arg(long)]
    json: bool,
}

pub(super) fn check(args: &CheckArgs) -> anyhow::Result<Verdict> {
    if setup::is_document(&args.file) {
        let file = args.file.display();
        bail!("{file} is an OpenAPI document; `portcullis openapi check {file}` reads it")
    }
    let loaded = config::read_file(&args.file);
    let mut diagnostics = loaded.diagnostics;
    if let Some(config) = &loaded.config {
        diagnostics.extend(config::check_bind(config, args.insecure_public));
    }
    let errors = diagnostics.iter().filter(|found| found.severity == Severity::Error).count();
    let warnings = diagnostics.len() - errors;
    if args.json {
        let found: Vec<_> = diagnostics.iter().map(Diagnostic::to_json).collect();
        let accepted = loaded.config.is_some() && !diagnostics.iter().any(Diagnostic::refuses);
        render::json(&json!({ "accepted": accepted, "diagnostics": found }));
    } else {
        render::diagnostics(&diagnostics);
        let file = args.file.display();
        render::line(&match (&loaded.config, errors) {
            (Some(config), 0) => format!(
                "{file}: fine, {} and {}{}",
                counted(config.servers.len(), "server"),
                counted(config.endpoints.len(), "endpoint"),
                if warnings == 0 {
                    String::new()
                } else {
                    format!(", {}", counted(warnings, "warning"))
                },
            ),
            _ => {
                format!("{file}: {} and {}", counted(errors, "error"), counted(warnings, "warning"))
            }
        });
    }
    Ok(if errors == 0 { Verdict::Fine } else { Verdict::Problems })
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
