//! Reports as text for people and as JSON for programs.

use std::fmt::Write as _;

use super::{Finding, Report, Severity};

/// From the worst to the mildest, with the heading in text and the word in JSON.
const SEVERITIES: [(Severity, &str, &str); 4] = [
    (Severity::Error, "Errors", "error"),
    (Severity::Skipped, "Operations that are not offered", "skipped"),
    (Severity::Warning, "Warnings", "warning"),
    (Severity::Note, "Notes", "note"),
];

impl Severity {
    /// The stable word for it.
    pub fn word(self) -> &'static str {
        SEVERITIES.iter().find(|(severity, ..)| *severity == self).map_or("note", |(.., word)| word)
    }
}

impl Report {
    /// The findings by severity, each with `file:line:column`; sorted as [`Report::sort`] does.
    pub fn to_text(&self) -> String {
        let mut sorted = self.clone();
        sorted.sort();
        let mut text = String::new();
        for (severity, heading, _) in SEVERITIES {
            let group = sorted.findings.iter().filter(|finding| finding.severity == severity);
            let count = group.clone().count();
            if count == 0 {
                continue;
            }
            if !text.is_empty() {
                text.push('\n');
            }
            let _ = writeln!(text, "{heading} ({count})");
            for finding in group {
                text.push_str("  ");
                write_finding(&mut text, finding);
                text.push('\n');
            }
        }
        if self.left_out > 0 {
            let _ = writeln!(text, "\n{} more findings are left out", self.left_out);
        }
        text
    }

    /// The findings as one JSON object: how many of each severity, and all of them, sorted.
    pub fn to_json(&self) -> String {
        let mut sorted = self.clone();
        sorted.sort();
        let mut json = b"{\"counts\":{".to_vec();
        for (at, (severity, _, word)) in SEVERITIES.iter().enumerate() {
            separate(&mut json, at);
            member(&mut json, word, sorted.count(*severity));
        }
        json.push(b',');
        member(&mut json, "left_out", sorted.left_out);
        json.extend_from_slice(b"},\"findings\":[");
        for (at, finding) in sorted.findings.iter().enumerate() {
            separate(&mut json, at);
            write_json(&mut json, finding);
        }
        json.extend_from_slice(b"]}");
        String::from_utf8(json).unwrap_or_default()
    }
}

fn write_finding(text: &mut String, finding: &Finding) {
    // A line number that is not known would send people to the top of the document.
    if finding.place.line > 0 {
        let _ = write!(text, "{}: ", finding.place);
    } else if !finding.place.document.is_empty() {
        let _ = write!(text, "{}: ", finding.place.document);
    }
    if let Some(operation) = &finding.operation {
        let _ = write!(text, "{}: ", one_line(operation));
    }
    let message = one_line(&finding.message);
    let _ = write!(text, "{message} [{}]", finding.kind);
}

/// What comes from a document must not look like another line of the report, nor steer a terminal, nor
/// turn the order of what is read around.
fn one_line(message: &str) -> String {
    let steers = |letter: char| {
        letter.is_control()
            || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    message.chars().map(|letter| if steers(letter) { ' ' } else { letter }).collect()
}

fn write_json(json: &mut Vec<u8>, finding: &Finding) {
    let texts = [
        ("severity", Some(finding.severity.word())),
        ("kind", Some(finding.kind)),
        ("operation", finding.operation.as_deref()),
        ("message", Some(finding.message.as_str())),
        ("document", Some(finding.place.document.as_str())),
    ];
    json.push(b'{');
    for (key, text) in texts {
        let Some(text) = text else { continue };
        wire::json::write_string(json, key);
        json.push(b':');
        wire::json::write_string(json, text);
        json.push(b',');
    }
    member(json, "line", finding.place.line as usize);
    json.push(b',');
    member(json, "column", finding.place.column as usize);
    json.push(b'}');
}

fn separate(json: &mut Vec<u8>, at: usize) {
    if at > 0 {
        json.push(b',');
    }
}

fn member(json: &mut Vec<u8>, key: &str, number: usize) {
    wire::json::write_string(json, key);
    json.push(b':');
    json.extend_from_slice(number.to_string().as_bytes());
}
