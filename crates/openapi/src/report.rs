//! What people should know of a document: what was left out, renamed or unclear, where and why.

use std::fmt;

mod render;

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

/// Everything that was found, in the order in which it was found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The findings, at most [`FINDINGS_MAX`].
    pub findings: Vec<Finding>,
    /// How many more there were.
    pub left_out: usize,
}

/// Most findings that a report keeps.
pub const FINDINGS_MAX: usize = 20_000;

impl Report {
    /// Adds a finding. Of too many, the worse ones stay.
    pub fn add(&mut self, finding: Finding) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
            return;
        }
        self.left_out += 1;
        if finding.severity >= Severity::Skipped {
            let milder = self.findings.iter().rposition(|old| old.severity < finding.severity);
            if let Some(milder) = milder {
                self.findings[milder] = finding;
            }
        }
    }

    /// Adds all of another report.
    pub fn append(&mut self, other: Self) {
        self.left_out += other.left_out;
        for finding in other.findings {
            self.add(finding);
        }
    }

    /// Whether any finding is as severe as this, or more.
    pub fn has(&self, severity: Severity) -> bool {
        self.findings.iter().any(|finding| finding.severity >= severity)
    }

    /// How many findings are exactly as severe as this.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }

    /// Sorts the findings: the worst first, then by document, line and column; what was found twice
    /// stays once.
    pub fn sort(&mut self) {
        self.findings.sort_by(|left, right| {
            (right.severity.cmp(&left.severity))
                .then_with(|| left.place.cmp(&right.place))
                .then_with(|| left.kind.cmp(right.kind))
                .then_with(|| left.operation.cmp(&right.operation))
                .then_with(|| left.message.cmp(&right.message))
        });
        self.findings.dedup();
    }
}

#[cfg(test)]
mod tests;
