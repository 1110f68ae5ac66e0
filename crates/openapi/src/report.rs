//! What people should know of a document: what was left out, renamed or unclear, where and why.

use std::fmt;

/// Where something is written, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The document, as it was named when it was loaded.
    pub document: String,
    /// The line, from 1; 0 if it is not known.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.document, self.line, self.column)
    }
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    Note,
    /// Something was changed or is not served as written.
    Warning,
    /// An operation is not offered.
    Skipped,
    /// The document cannot be used.
    Error,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// A stable name of the kind of finding, such as `duplicate-key`.
    pub kind: &'static str,
    /// The operation that it concerns, as `GET /path`.
    pub operation: Option<String>,
    /// What was found and what to do about it.
    pub message: String,
    /// Where.
    pub place: Place,
}

/// Everything that was found, in the order of the document.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The findings.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Adds a finding.
    pub fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// Whether any finding is as severe as this, or more.
    pub fn has(&self, severity: Severity) -> bool {
        self.findings.iter().any(|finding| finding.severity >= severity)
    }
}
