//! Reports for people and for programs.

use super::{FINDINGS_MAX, Finding, Place, Report, Severity};

fn finding(severity: Severity, kind: &'static str, line: u32) -> Finding {
    Finding {
        severity,
        kind,
        operation: (severity == Severity::Skipped).then(|| "GET /a".to_owned()),
        message: "what\nwas \"found\"".to_owned(),
        place: Place { document: "api.yaml".to_owned(), line, column: 3 },
    }
}

fn report() -> Report {
    let mut report = Report::default();
    report.add(finding(Severity::Warning, "duplicate-key", 20));
    report.add(finding(Severity::Warning, "duplicate-key", 9));
    report.add(finding(Severity::Warning, "duplicate-key", 20));
    report.add(finding(Severity::Skipped, "no-path", 30));
    report
}

#[test]
fn text_is_grouped_and_sorted() {
    let expected = "\
Operations that are not offered (1)
  api.yaml:30:3: GET /a: what was \"found\" [no-path]

Warnings (2)
  api.yaml:9:3: what was \"found\" [duplicate-key]
  api.yaml:20:3: what was \"found\" [duplicate-key]
";
    assert_eq!(report().to_text(), expected);
    assert_eq!(Report::default().to_text(), "");
}

#[test]
fn what_documents_say_steers_no_terminal() {
    let mut report = Report::default();
    report.add(Finding {
        operation: Some("GET /a\u{202e}\u{1b}[2J".to_owned()),
        message: "T\u{2067}x\u{2028}y".to_owned(),
        ..finding(Severity::Skipped, "no-path", 30)
    });
    let text = report.to_text();
    assert!(text.ends_with("api.yaml:30:3: GET /a  [2J: T x y [no-path]\n"), "{text:?}");
}

#[test]
fn json_holds_the_same() {
    let json: serde_json::Value = serde_json::from_str(&report().to_json()).unwrap();
    assert_eq!(json["counts"]["warning"], 2);
    assert_eq!(json["counts"]["skipped"], 1);
    let first = &json["findings"][0];
    assert_eq!(first["severity"], "skipped");
    assert_eq!(first["operation"], "GET /a");
    assert_eq!(first["message"], "what\nwas \"found\"");
    assert_eq!((&first["line"], &first["column"]), (&30.into(), &3.into()));
    assert!(json["findings"][1].get("operation").is_none());
}

#[test]
fn too_many_findings_are_counted_and_the_worst_stay() {
    let mut report = Report::default();
    for line in 0..30_000 {
        report.add(finding(Severity::Note, "note", line));
    }
    report.add(finding(Severity::Error, "syntax", 1));
    assert_eq!((report.findings.len(), report.left_out), (FINDINGS_MAX, 10_001));
    assert!(report.has(Severity::Error));
    assert!(report.to_text().ends_with("10001 more findings are left out\n"));
}
