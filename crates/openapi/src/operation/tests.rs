//! What operations are read as: small documents and the short form of what becomes of them.

use std::fmt::Write;

use url::Url;

use super::{Extracted, extract};
use crate::document::{Documents, Loader};
use crate::model::{Encoding, Media, Operation, Parameter, Status};
use crate::report::{Report, Severity};
use crate::tree::Limits;

mod bodies;
mod bounds;
mod corpus;
mod mutated;
mod parameters;
mod paths;
mod responses;
mod security;
mod servers;

/// Where the documents of tests are served.
const ROOT: &str = "https://example.com/api/root.yaml";

struct Others<'t>(&'t [(&'t str, &'t str)]);

impl Loader for Others<'_> {
    fn load(&mut self, url: &Url, _: &Url) -> Result<String, String> {
        let name = url.path().rsplit('/').next().unwrap_or_default();
        let text = self.0.iter().find(|(other, _)| *other == name).map(|(_, text)| *text);
        text.map(str::to_owned).ok_or_else(|| format!("{name} is not there"))
    }
}

fn read_from(url: &str, text: &str, others: &[(&str, &str)]) -> (Extracted, Report) {
    let url = Url::parse(url).unwrap();
    let limits = Limits::default();
    let (documents, _) =
        Documents::load(text, &url, "root.yaml", &mut Others(others), &[], &limits).unwrap();
    let mut report = Report::default();
    let extracted = extract(&documents, &mut report);
    (extracted, report)
}

fn read(text: &str) -> (Extracted, Report) {
    read_from(ROOT, text, &[])
}

/// The findings that matter to a test: all but those that every small document has.
fn findings(report: &Report) -> Vec<String> {
    let usual = ["no-operation-id", "no-responses", "no-schema", "no-server"];
    let mut lines = Vec::new();
    for finding in &report.findings {
        assert!(finding.place.line > 0 && !finding.message.is_empty(), "{finding:?}");
        if usual.contains(&finding.kind) {
            continue;
        }
        let severity = match finding.severity {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Skipped => "skipped",
            Severity::Error => "error",
        };
        let operation = finding.operation.as_deref().unwrap_or("-");
        lines.push(format!("{} {severity} {}: {operation}", finding.place.line, finding.kind));
    }
    lines
}

/// An operation in a few lines.
fn short(operation: &Operation) -> String {
    let mut text = format!("{} {}\n", operation.method, operation.path);
    for parameter in &operation.parameters {
        writeln!(text, "  {}", short_parameter(parameter)).unwrap();
    }
    if let Some(body) = &operation.body {
        let required = if body.is_required { "*" } else { "" };
        let media: Vec<String> = body.media.iter().map(short_media).collect();
        writeln!(text, "  body{required} {}", media.join(", ")).unwrap();
        for member in &body.form {
            writeln!(text, "    {}", short_parameter(member)).unwrap();
        }
    }
    for response in &operation.responses {
        let status = match response.status {
            Status::Code(code) => code.to_string(),
            Status::Range(digit) => format!("{digit}XX"),
            Status::Default => "default".to_owned(),
        };
        let media: Vec<String> = response.media.iter().map(short_media).collect();
        let media = media.join(", ");
        writeln!(text, "  {}", format!("{status} {media}").trim_end()).unwrap();
    }
    text
}

fn short_parameter(parameter: &Parameter) -> String {
    let location = format!("{:?}", parameter.location).to_lowercase();
    let required = if parameter.is_required { "*" } else { "" };
    let mut text = format!("{location} {}{required}", parameter.name);
    if let Some(media_type) = &parameter.content {
        write!(text, " {media_type}").unwrap();
    } else {
        let explode = if parameter.explode { " explode" } else { "" };
        write!(text, " {:?}{explode}", parameter.style).unwrap();
    }
    for (flag, is_set) in [
        ("reserved", parameter.allow_reserved),
        ("empty", parameter.allow_empty),
        ("deprecated", parameter.is_deprecated),
        ("no schema", parameter.schema.is_none()),
    ] {
        if is_set {
            write!(text, " {flag}").unwrap();
        }
    }
    for (name, encoding) in &parameter.encoding {
        write!(text, " {name}={}", short_encoding(encoding)).unwrap();
    }
    if !parameter.nested.is_empty() {
        write!(text, " of {:?}", parameter.nested).unwrap();
    }
    if let Some(description) = &parameter.description {
        write!(text, " \"{description}\"").unwrap();
    }
    text
}

fn short_media(media: &Media) -> String {
    let mut text = media.media_type.clone();
    if media.schema.is_none() {
        text.push_str(" (no schema)");
    }
    if media.is_items {
        text.push_str(" (items)");
    }
    let positions = media.positions.first.iter().map(|it| ("-", it));
    let positions = positions.chain(media.positions.rest.as_deref().map(|it| ("*", it)));
    let named = media.encoding.iter().map(|(name, it)| (name.as_str(), it));
    for (name, encoding) in named.chain(positions) {
        write!(text, " {name}={}", short_encoding(encoding)).unwrap();
    }
    text
}

fn short_encoding(encoding: &Encoding) -> String {
    let mut parts: Vec<String> = encoding.content_type.iter().cloned().collect();
    parts.extend(encoding.style.map(|style| format!("{style:?}")));
    parts.extend(encoding.explode.map(|explode| format!("explode:{explode}")));
    parts.extend(encoding.allow_reserved.then(|| "reserved".to_owned()));
    parts.extend(encoding.headers.iter().map(|(name, value)| format!("{name}:{value}")));
    format!("({})", parts.join(" "))
}

/// Reads a document and compares the short forms of its operations, and its findings.
fn check(text: &str, operations: &str, expected: &[&str]) {
    check_with(text, &[], operations, expected);
}

fn check_with(text: &str, others: &[(&str, &str)], operations: &str, expected: &[&str]) {
    let (extracted, report) = read_from(ROOT, text, others);
    let found: String = extracted.operations.iter().map(short).collect();
    assert_eq!(found.trim_end(), outdent(operations), "{:#?}", report.findings);
    assert_eq!(findings(&report), expected, "{:#?}", report.findings);
}

/// A text without the indentation of its first line that is not blank.
fn outdent(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let first = lines.first().copied().unwrap_or_default();
    let indent = first.len() - first.trim_start().len();
    let lines: Vec<&str> = lines.into_iter().map(|line| line.get(indent..).unwrap_or("")).collect();
    lines.join("\n")
}
