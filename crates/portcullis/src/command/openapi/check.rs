//! `portcullis openapi check`: a report for people, or for programs.

use std::collections::HashMap;

use openapi::api::Api;
use openapi::document::LoadError;
use openapi::model::Dialect;
use openapi::report::{Report, Severity};
use openapi::tool::Options;
use serde_json::{Value, json};

use super::{CheckArgs, Verdict, counted, failed};
use crate::document::Location;
use crate::render;

/// How many findings of one kind are shown where nobody asks for all.
const SHOWN_OF_KIND_MAX: usize = 10;

pub(super) async fn check(args: CheckArgs) -> anyhow::Result<Verdict> {
    let loaded = args.document.load(&args.beside, Options::default()).await?;
    let is_bad =
        |report: &Report| report.has(if args.strict { Severity::Skipped } else { Severity::Error });
    let verdict = match &loaded {
        Ok(api) if !is_bad(&api.report) => Verdict::Fine,
        _ => Verdict::Problems,
    };
    if args.json {
        render::json(&as_json(&args.document, loaded));
    } else {
        show(&args.document, loaded, args.all);
    }
    Ok(verdict)
}

fn show(document: &Location, loaded: Result<Api, LoadError>, all: bool) {
    let (report, summary) = match loaded {
        Ok(api) => {
            let summary = summary(&api);
            (api.report, summary)
        }
        Err(error) => (failed(error), "it cannot be used".to_owned()),
    };
    let (report, hidden) = if all { (report, 0) } else { shortened(report) };
    let text = report.to_text();
    if !text.is_empty() {
        render::line(&text);
    }
    if hidden > 0 {
        let more = counted(hidden, "more finding");
        render::line(&format!("{more} of these kinds; --all shows everything\n"));
    }
    render::line(&format!("{}: {summary}", render::visible(&document.to_string())));
}

fn summary(api: &Api) -> String {
    let mut parts = vec![format!("OpenAPI {}", version(api.dialect))];
    parts.extend(api.title.as_deref().map(|title| render::visible(&render::brief(title, 80))));
    parts.push(counted(api.tools.len(), "tool"));
    let count = |severity| Some(api.report.count(severity)).filter(|count| *count > 0);
    let skipped = count(Severity::Skipped);
    parts.extend(skipped.map(|count| format!("{} not offered", counted(count, "operation"))));
    for (severity, what) in
        [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Note, "note")]
    {
        parts.extend(count(severity).map(|count| counted(count, what)));
    }
    parts.join(", ")
}

/// The first findings of each kind, and how many others there are.
fn shortened(mut report: Report) -> (Report, usize) {
    report.sort();
    let before = report.findings.len();
    let mut seen: HashMap<&'static str, usize> = HashMap::new();
    report.findings.retain(|finding| {
        let count = seen.entry(finding.kind).or_default();
        *count += 1;
        // What is lost is always shown.
        finding.severity >= Severity::Skipped || *count <= SHOWN_OF_KIND_MAX
    });
    let hidden = before - report.findings.len();
    (report, hidden)
}

fn as_json(document: &Location, loaded: Result<Api, LoadError>) -> Value {
    let findings = |report: &Report| -> Value {
        serde_json::from_str(&report.to_json()).expect("a report is written as JSON")
    };
    match loaded {
        Ok(api) => json!({
            "document": document.to_string(),
            "loads": true,
            "openapi": version(api.dialect),
            "title": api.title,
            "version": api.version,
            "tools": api.tools.len(),
            "servers": api.servers.iter().map(|server| &server.url).collect::<Vec<_>>(),
            "report": findings(&api.report),
        }),
        Err(error) => json!({
            "document": document.to_string(),
            "loads": false,
            "report": findings(&failed(error)),
        }),
    }
}

/// The version of the specification, as people write it.
fn version(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Swagger20 => "2.0",
        Dialect::OpenApi30 => "3.0",
        Dialect::OpenApi31 => "3.1",
        Dialect::OpenApi32 => "3.2",
    }
}
