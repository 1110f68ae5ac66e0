//! Documents that try to take all memory or time.

use std::fmt::Write;
use std::time::Duration;

use super::read;
use crate::report::Severity;

/// What a hostile document may take; some hundred times what it takes on an idle machine.
const LONGEST: Duration = Duration::from_secs(20);

#[test]
fn references_cannot_multiply_a_document() {
    let long = "x".repeat(100_000);
    let mut text = format!(
        "openapi: 3.1.1
components:
  pathItems:
    P:
      parameters:
        - {{name: p, in: query, description: {long}, schema: {{}}}}
      get: {{}}
      put: {{}}
paths:
"
    );
    for at in 0..5_000 {
        writeln!(text, "  /{at}: {{$ref: '#/components/pathItems/P'}}").unwrap();
    }
    let begun = std::time::Instant::now();
    let (extracted, report) = read(&text);
    assert!(begun.elapsed() < LONGEST);
    assert!((100..2_000).contains(&extracted.operations.len()), "{}", extracted.operations.len());
    let skipped = report.findings.iter().filter(|it| it.severity == Severity::Skipped);
    assert!(skipped.count() < 5);
}

#[test]
fn paths_and_lists_are_bounded() {
    let parameters: Vec<String> =
        (0..3_000).map(|at| format!(r#"{{"name":"p{at}","in":"query","schema":{{}}}}"#)).collect();
    let parameters = parameters.join(",");
    let variables = (0..500).map(|at| format!("/{{v{at}}}")).collect::<Vec<_>>().concat();
    let long = "a".repeat(10_000);
    let text = format!(
        r#"{{"openapi":"3.1.1","paths":{{
            "/many":{{"get":{{"parameters":[{parameters}]}}}},
            "{variables}":{{"get":{{}}}},
            "/{long}":{{"get":{{}}}},
            "/a\rb":{{"get":{{}}}},
            "/fine":{{"get":{{}}}}
        }}}}"#
    );
    let (extracted, report) = read(&text);
    let paths: Vec<&str> = extracted.operations.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(paths, ["/fine"]);
    let skipped: Vec<&str> = report
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Skipped)
        .map(|finding| finding.kind)
        .collect();
    assert_eq!(skipped, ["too-large", "too-large", "too-large", "path-unusable"]);
}
