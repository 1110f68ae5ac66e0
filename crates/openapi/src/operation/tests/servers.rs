//! Where operations are served.

use super::{ROOT, findings, read, read_from};
use crate::model::ServerUrl;

fn urls(servers: &[ServerUrl]) -> Vec<&str> {
    servers.iter().map(|server| server.url.as_str()).collect()
}

#[test]
fn the_operation_counts_before_the_path_and_the_document() {
    let (extracted, report) = read(
        "openapi: 3.1.1
servers: [{url: 'https://one.example/v1/'}, {url: /v2}, {url: .}]
paths:
  /a:
    get: {}
  /b:
    servers: [{url: 'https://path.example'}]
    get: {}
    put: {servers: [{url: 'https://own.example'}, {url: 'https://own.example'}]}
    post: {servers: []}
",
    );
    let all = ["https://one.example/v1", "https://example.com/v2", "https://example.com/api"];
    assert_eq!(urls(&extracted.servers), all);
    let of: Vec<Vec<&str>> = extracted.operations.iter().map(|it| urls(&it.servers)).collect();
    let path = vec!["https://path.example"];
    assert_eq!(of, [all.to_vec(), path.clone(), vec!["https://own.example"], path]);
    assert!(findings(&report).is_empty(), "{report:?}");
}

#[test]
fn variables_have_defaults() {
    let (extracted, report) = read(
        "openapi: 3.1.1
servers:
  - url: '{scheme}://{tenant}.example.com:{port}/{gone}?a=1'
    variables:
      scheme: {enum: [https, http], default: https}
      tenant: {enum: [one, two]}
      port: {default: 8443}
      other: {default: x}
  - {url: 'ftp://{v}', variables: {v: {default: c, enum: [a, b]}}}
  - 3
  - {description: none}
paths: {}
",
    );
    let [server, _] = extracted.servers.as_slice() else { panic!("{:?}", extracted.servers) };
    assert_eq!(server.url, "https://one.example.com:8443/{gone}");
    assert_eq!(server.template, "{scheme}://{tenant}.example.com:{port}/{gone}?a=1");
    let variables: Vec<(&str, &str, usize)> = server
        .variables
        .iter()
        .map(|variable| (variable.name.as_str(), variable.default.as_str(), variable.values.len()))
        .collect();
    assert_eq!(variables, [("scheme", "https", 2), ("tenant", "one", 2), ("port", "8443", 0)]);
    assert_eq!(
        findings(&report),
        [
            "6 warning server-variable: -",
            "7 note wrong-type: -",
            "3 warning server-variable: -",
            "3 warning server-query: -",
            "9 warning server-variable: -",
            "10 warning server-unusable: -",
            "11 warning server-unusable: -",
            "12 note no-operations: -",
        ]
    );
}

#[test]
fn a_document_that_names_no_server() {
    let text = "openapi: 3.1.1\npaths: {}\n";
    let (extracted, _) = read_from("https://example.com:8080/docs/api.yaml", text, &[]);
    assert_eq!(urls(&extracted.servers), ["https://example.com:8080"]);
    let (extracted, report) = read_from("file:///srv/api.yaml", text, &[]);
    assert!(extracted.servers.is_empty());
    assert!(report.findings.iter().any(|finding| finding.kind == "no-server"));
    let text = "openapi: 3.1.1\nservers: [{url: /v1/}]\npaths: {}\n";
    let (extracted, report) = read_from("file:///srv/api.yaml", text, &[]);
    assert_eq!(urls(&extracted.servers), ["/v1"]);
    assert!(report.findings.iter().any(|finding| finding.kind == "relative-server"));
}

#[test]
fn host_base_path_and_schemes_of_2_0() {
    for (members, from, expected) in [
        (
            "host: h.example\nbasePath: /v1/\nschemes: [http, wss, https]",
            ROOT,
            vec!["https://h.example/v1", "http://h.example/v1"],
        ),
        ("host: h.example", ROOT, vec!["https://h.example"]),
        ("host: h.example:99\nbasePath: v1", "http://example.com/", vec!["http://h.example:99/v1"]),
        ("host: 'http://h.example/'\nbasePath: /v1", ROOT, vec!["http://h.example/v1"]),
        ("basePath: /v1", ROOT, vec!["https://example.com/v1"]),
        ("schemes: [https]", ROOT, vec!["https://example.com"]),
        ("basePath: /v1", "file:///srv/api.yaml", vec!["/v1"]),
        ("schemes: [https]", "file:///srv/api.yaml", vec![]),
    ] {
        let text = format!("swagger: '2.0'\n{members}\npaths: {{}}\n");
        let (extracted, _) = read_from(from, &text, &[]);
        assert_eq!(urls(&extracted.servers), expected, "{members} from {from}");
    }
    let (extracted, _) = read(
        "swagger: '2.0'
host: h.example
schemes: [https]
paths: {/a: {get: {schemes: [http]}, put: {}}}
",
    );
    assert_eq!(urls(&extracted.operations[0].servers), ["http://h.example"]);
    assert_eq!(urls(&extracted.operations[1].servers), ["https://h.example"]);
}
