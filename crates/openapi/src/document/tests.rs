//! Documents that refer to each other, and overlays.

use std::collections::HashMap;

use url::Url;

use super::{Documents, LoadError, Loader, Overlay, Problem, text_of};
use crate::model::{At, Dialect};
use crate::report::{Report, Severity};
use crate::tree::Limits;

const ROOT: &str = "https://example.com/api/root.yaml";

/// Documents by URL, and which of them were asked for.
#[derive(Default)]
struct Shelf {
    texts: HashMap<String, String>,
    asked: Vec<String>,
}

impl Shelf {
    fn of(texts: &[(&str, &str)]) -> Self {
        let base = Url::parse(ROOT).unwrap();
        let texts = texts
            .iter()
            .map(|(path, text)| (base.join(path).unwrap().to_string(), (*text).to_owned()))
            .collect();
        Self { texts, asked: Vec::new() }
    }
}

impl Loader for Shelf {
    fn load(&mut self, url: &Url, _: &Url) -> Result<String, String> {
        self.asked.push(url.to_string());
        self.texts.get(url.as_str()).cloned().ok_or_else(|| format!("{url} is not there"))
    }
}

fn load_with(
    text: &str,
    shelf: &mut Shelf,
    overlays: &[Overlay<'_>],
) -> Result<(Documents, Report), LoadError> {
    let url = Url::parse(ROOT).unwrap();
    Documents::load(text, &url, "root.yaml", shelf, overlays, &Limits::default())
}

fn load(text: &str, others: &[(&str, &str)]) -> (Documents, Report) {
    load_with(text, &mut Shelf::of(others), &[]).unwrap()
}

/// The value that plain keys lead to.
fn at(documents: &Documents, path: &[&str]) -> At {
    let mut at = documents.root();
    for key in path {
        let value = documents.value(at);
        let next = value.get(key).or_else(|| value.element(key.parse().ok()?));
        at.node = next.unwrap_or_else(|| panic!("no {key}")).id();
    }
    at
}

/// What the value `x-it` of the document resolves to.
fn it(documents: &Documents) -> Result<String, Problem> {
    let target = documents.resolve(at(documents, &["it"]));
    target.map(|target| format!("{:?}", documents.value(target.at))).map_err(|not| not.problem)
}

fn kinds(report: &Report) -> Vec<&'static str> {
    report.findings.iter().map(|finding| finding.kind).collect()
}

#[test]
fn pointers_are_followed_also_sloppy_ones() {
    let rest = "
paths:
  /a/{id}:
    get: {x: 1}
components:
  schemas:
    A b: {x: 2}
    c%25d: {x: 3}
    t~e: {x: 4}
    alias: {$ref: '#/components/schemas/A b'}
    list: [{x: 5}]
";
    let cases = [
        ("#/paths/~1a~1{id}/get", 1),
        ("#/paths/~1a~1%7Bid%7D/get", 1),
        ("#/paths/%2Fa%2F%7Bid%7D/get", 1),
        ("#/paths//a/{id}/get", 1),
        ("#/components/schemas/A b", 2),
        ("#/components/schemas/A%20b", 2),
        ("#components/schemas/A b", 2),
        ("#/components/schemas/A b/", 2),
        ("#/components/schemas/c%25d", 3),
        ("#/components/schemas/c%2525d", 3),
        ("#/components/schemas/t~0e", 4),
        ("#/components/schemas/t~e", 4),
        ("#/components/schemas/alias", 2),
        ("#/components/schemas/list/0", 5),
        ("root.yaml#/components/schemas/alias", 2),
        ("./root.yaml#/components/schemas/alias", 2),
        ("https://example.com/api/root.yaml#/components/schemas/alias", 2),
        ("alias", 2),
    ];
    for (reference, expected) in cases {
        let text = format!("openapi: 3.1.0\nit:\n  $ref: '{reference}'\n{rest}");
        let (documents, report) = load(&text, &[]);
        assert_eq!(it(&documents), Ok(format!("{{\"x\":{expected}}}")), "{reference}");
        assert_eq!(kinds(&report), [""; 0], "{reference}");
    }
    let text = format!("openapi: 3.1.0\nit:\n  $ref: '#/components/schemas/alias/x'\n{rest}");
    assert_eq!(it(&load(&text, &[]).0).as_deref(), Ok("2"));
}

#[test]
fn references_that_lead_nowhere_say_why() {
    let text = "
openapi: 3.0.0
it: {$ref: '#/nowhere'}
two: {$ref: '#/two'}
three: {$ref: '#/four'}
four: {$ref: '#/three'}
five: {$ref: 'gone.yaml#/a'}
six: {$ref: '#/six/seven'}
";
    let (documents, report) = load(text, &[]);
    let problem = |key: &str| documents.resolve(at(&documents, &[key])).unwrap_err();
    assert_eq!(problem("it").problem, Problem::Nothing { document: "root.yaml".into() });
    assert_eq!(problem("it").place.line, 3);
    assert_eq!(problem("two").problem, Problem::Circular);
    assert_eq!(problem("three").problem, Problem::Circular);
    assert_eq!(problem("six").problem, Problem::TooLong);
    let gone = problem("five");
    assert!(gone.to_string().contains("gone.yaml is not there"), "{gone}");
    let mut found = kinds(&report);
    found.sort_unstable();
    assert_eq!(found, ["circular-reference", "dangling-reference", "document-not-loaded"]);
}

#[test]
fn siblings_of_references_are_told() {
    let text = "
openapi: 3.1.0
it: {$ref: '#/b', description: one}
b: {$ref: '#/c'}
c: {$ref: '#/d', description: two}
d: {type: string}
";
    let (documents, _) = load(text, &[]);
    let target = documents.resolve(at(&documents, &["it"])).unwrap();
    assert_eq!(target.at, at(&documents, &["d"]));
    assert_eq!(target.passed.len(), 3);
    assert_eq!(target.siblings, [at(&documents, &["it"]), at(&documents, &["c"])]);
    let own = documents.resolve(target.at).unwrap();
    assert_eq!((own.at, own.passed.len()), (target.at, 0));
}

#[test]
fn other_documents_are_loaded_once_and_only_as_far_as_needed() {
    let root = "
openapi: 3.0.3
it: {$ref: 'schemas/a.yaml#/A'}
more: {$ref: './schemas/a.yaml#/A'}
whole: {$ref: schemas/c.json}
properties: {$ref: {type: string}, example: {$ref: 'schemas/a.yaml#/B'}}
paths: {/x: {get: {example: {$ref: example.yaml}, x-y: {$ref: extension.yaml}}}}
";
    let a = "A: {$ref: '../b.yaml#/components/schemas/B'}\nB: {$ref: '#/C'}\nC: {x: 3}\nunused: {$ref: unused.yaml}\n";
    let b = "openapi: 3.1.0\ncomponents: {schemas: {B: {back: {$ref: 'root.yaml#/end'}, x: 1}}}\n";
    let mut shelf =
        Shelf::of(&[("schemas/a.yaml", a), ("b.yaml", b), ("schemas/c.json", r#"{"x":2}"#)]);
    let (documents, report) = load_with(root, &mut shelf, &[]).unwrap();
    assert_eq!(it(&documents).unwrap(), r#"{"back":{"$ref":"root.yaml#/end"},"x":1}"#);
    let names: Vec<_> = documents.all.iter().map(|document| document.name.as_str()).collect();
    assert_eq!(names, ["root.yaml", "schemas/a.yaml", "b.yaml", "schemas/c.json"]);
    assert_eq!(shelf.asked.len(), 3, "{:?}", shelf.asked);
    assert_eq!(kinds(&report), ["dangling-reference"]);
    assert_eq!(documents.place(at(&documents, &["it"])).to_string(), "root.yaml:3:5");
    assert_eq!(documents.all[1].dialect, Dialect::OpenApi30);
    assert_eq!(documents.all[2].dialect, Dialect::OpenApi31);
}

#[test]
fn a_document_that_is_broken_is_a_finding_once() {
    let root = "openapi: 3.0.3\nit: {$ref: 'a.yaml#/A'}\nb: {$ref: 'a.yaml#/B'}\n";
    let mut shelf = Shelf::of(&[("a.yaml", "a: [")]);
    let (documents, report) = load_with(root, &mut shelf, &[]).unwrap();
    assert!(matches!(it(&documents), Err(Problem::NotLoaded { .. })));
    assert_eq!(kinds(&report), ["document-not-loaded"]);
    assert_eq!(shelf.asked.len(), 1);
}

#[test]
fn schemas_that_name_themselves() {
    let root = "
openapi: 3.1.0
it: {$ref: '#here'}
by-id: {$ref: 'https://example.com/schemas/tree'}
relative: {$ref: '../schemas/tree#/$defs/leaf'}
dynamic: {$dynamicRef: '#node'}
components:
  schemas:
    Here: {$anchor: here, x: 1}
    Node: {$dynamicAnchor: node, x: 2}
    Tree:
      $id: https://example.com/schemas/tree
      x: 3
      inner: {$ref: '#/$defs/leaf'}
      near: {$ref: leaf}
      own: {$ref: '#here'}
      wrong: {$ref: '#/components/schemas/Here'}
      $defs:
        leaf: {x: 4}
        named: {$id: leaf, $anchor: here, x: 5}
    After: {$ref: '#/components/schemas/Here'}
";
    let (documents, report) = load(root, &[]);
    let x = |path: &[&str]| {
        let target = documents.resolve(at(&documents, path)).unwrap();
        documents.value(target.at).get("x").unwrap().scalar().unwrap().to_owned()
    };
    assert_eq!(x(&["it"]), "1");
    assert_eq!(x(&["by-id"]), "3");
    assert_eq!(x(&["relative"]), "4");
    assert_eq!(x(&["dynamic"]), "2");
    let tree = ["components", "schemas", "Tree"];
    let inside = |key| x(&[tree[0], tree[1], tree[2], key]);
    assert_eq!(inside("inner"), "4");
    assert_eq!(inside("near"), "5");
    assert_eq!(inside("own"), "1");
    assert_eq!(inside("wrong"), "1");
    assert_eq!(x(&["components", "schemas", "After"]), "1");
    assert_eq!(kinds(&report), [""; 0]);
}

#[test]
fn foreign_ids_do_not_hide_neighbours() {
    let root = "openapi: 3.1.0\nit: {$ref: 'a.json'}\n";
    let a = r#"{"$id":"https://schemas.example.org/a.json","allOf":[{"$ref":"b.json"}],"x":1}"#;
    let (documents, report) = load(root, &[("a.json", a), ("b.json", r#"{"x":2}"#)]);
    assert!(it(&documents).is_ok());
    assert_eq!(documents.all.len(), 3);
    assert_eq!(kinds(&report), [""; 0]);
}

#[test]
fn files_are_utf_8_or_marked_utf_16() {
    let text = "openapi: 3.1.0\ninfo: {title: \"é😀\"}\n";
    assert_eq!(text_of(text.as_bytes().to_vec()).as_deref(), Ok(text));
    let little: Vec<u8> =
        [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> =
        [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect();
    for bytes in [&little, &big] {
        assert_eq!(text_of(bytes.clone()).as_deref(), Ok(text));
        assert!(text_of(bytes[..bytes.len() - 1].to_vec()).is_err());
    }
    let latin = b"openapi: 3.1.0\ninfo: {title: caf\xe9}\n".to_vec();
    assert!(text_of(latin).unwrap_err().contains("line 2"));
    assert!(text_of(vec![0xff, 0xfe, 0x00, 0xd8]).is_err());
}

#[test]
fn versions() {
    let cases = [
        ("openapi: 3.0.4", Ok((Dialect::OpenApi30, 0))),
        ("openapi: 3.0", Ok((Dialect::OpenApi30, 0))),
        ("openapi: '3.1.1'", Ok((Dialect::OpenApi31, 0))),
        ("openapi: 3.2.0", Ok((Dialect::OpenApi32, 0))),
        ("openapi: 3.0.0-rc1", Ok((Dialect::OpenApi30, 0))),
        ("openapi: 3.7.1", Ok((Dialect::OpenApi32, 1))),
        ("openapi: 3", Ok((Dialect::OpenApi30, 1))),
        ("swagger: 2.0", Ok((Dialect::Swagger20, 0))),
        ("swagger: '2.0'", Ok((Dialect::Swagger20, 0))),
        ("swagger: 2", Ok((Dialect::Swagger20, 0))),
        ("swagger: 3.0.0", Ok((Dialect::OpenApi30, 1))),
        ("openapi: 4.0.0", Err("`openapi: 4.0.0`")),
        ("swaggerVersion: '1.2'", Err("1.2")),
        ("asyncapi: 2.0.0", Err("AsyncAPI")),
        ("info: {}\nx: 1", Err("it has: info, x")),
        ("openapi: [3]", Err("`openapi` should be a version")),
        ("swagger: ~", Err("`swagger` should be a version")),
        ("<!doctype html>\n<p>", Err("HTML")),
        ("", Err("empty")),
        ("[]", Err("list")),
        ("hello", Err("single value")),
    ];
    for (text, expected) in cases {
        match (load_with(text, &mut Shelf::default(), &[]), expected) {
            (Ok((documents, report)), Ok((dialect, findings))) => {
                assert_eq!(documents.dialect(), dialect, "{text}");
                assert_eq!(report.findings.len(), findings, "{text}");
            }
            (Err(error), Err(words)) => assert!(error.message.contains(words), "{text}: {error}"),
            (found, _) => panic!("{text}: {found:?}"),
        }
    }
}

#[test]
fn oddities_are_reported() {
    let (_, report) = load("openapi: 3.0.0\nit: 1\nit: 2\n---\nmore: 1\n", &[]);
    assert_eq!(kinds(&report), ["several-documents", "duplicate-key"]);
    assert_eq!(report.findings[1].place.to_string(), "root.yaml:3:5");
    let error = load_with("openapi: 3.0.0\n\tit: 1\n", &mut Shelf::default(), &[]).unwrap_err();
    assert_eq!((error.kind, error.place.line), ("syntax", 2));
}

#[test]
fn overlays_change_the_document_first() {
    let root = "
openapi: 3.0.0
info: {title: Old, tags: [a]}
base: &base {x: 1}
paths:
  /a: {get: {summary: A, shared: *base}, delete: {summary: B}}
  /b: {get: {summary: C, shared: *base, tags: [t]}}
";
    let overlay = "
overlay: 1.0.0
info: {title: Changes, version: 1}
actions:
  - target: $.info
    update: {title: New, contact: {name: Me}, tags: [b]}
  - target: $.paths.*.delete
    remove: true
  - target: $.paths[*].get
    update: {x-seen: true}
  - target: $.paths['/a'].get.shared
    update: {x: 9}
  - target: $.info.tags
    update: c
  - target: $.nothing
    update: {}
  - target: $.paths[
    remove: true
  - target: $.info
    update: text
  - target: $.info
it: {}
";
    let overlays = [Overlay { name: "changes.yaml", text: overlay }];
    let (documents, report) = load_with(root, &mut Shelf::default(), &overlays).unwrap();
    let expected = concat!(
        r#"{"openapi":"3.0.0","info":{"title":"New","tags":["a","b","c"],"contact":{"name":"Me"}},"#,
        r#""base":{"x":1},"paths":{"/a":{"get":{"summary":"A","shared":{"x":9},"x-seen":true}},"#,
        r#""/b":{"get":{"summary":"C","shared":{"x":1},"tags":["t"],"x-seen":true}}}}"#,
    );
    assert_eq!(format!("{:?}", documents.value(documents.root())), expected);
    let expected =
        ["overlay-no-match", "overlay-bad-target", "overlay-bad-action", "overlay-bad-action"];
    assert_eq!(kinds(&report), expected);
    assert_eq!(report.findings[0].place.to_string(), "changes.yaml:15:13");
    let new = documents.place(at(&documents, &["info", "contact"]));
    assert_eq!(new.to_string(), "changes.yaml:6:35");
    assert_eq!(documents.place(at(&documents, &["base"])).to_string(), "root.yaml:4:13");
}

#[test]
fn overlays_copy_and_move() {
    let root = "
openapi: 3.1.0
paths:
  /old: {get: {tags: [a], summary: Old}}
  /new: {get: {tags: [b]}, put: {summary: Put}}
";
    let overlay = "
overlay: 1.1.0
actions:
- {target: '$.paths[\"/new\"]', copy: '$.paths[\"/old\"]'}
- {target: '$.paths[?search(@.get.summary, \"^O\")].get.tags', copy: '$.paths[\"/new\"].put.summary'}
- {target: '$.paths[\"/old\"]', remove: true, copy: nonsense}
- {target: $, copy: '$.paths'}
- {target: $.openapi, copy: '$..summary'}
- {target: $.openapi, copy: $.nothing}
- {target: $.openapi, copy: nonsense}
- {target: $.openapi, copy: $.openapi, update: 3.0.0}
- {target: $.paths, copy: $.openapi}
";
    let overlays = [Overlay { name: "changes.yaml", text: overlay }];
    let (documents, report) = load_with(root, &mut Shelf::default(), &overlays).unwrap();
    let moved = r#"{"get":{"tags":["b","a","Put"],"summary":"Old"},"put":{"summary":"Put"}}"#;
    let expected = format!(r#"{{"openapi":"3.1.0","paths":{{"/new":{moved}}},"/new":{moved}}}"#);
    assert_eq!(format!("{:?}", documents.value(documents.root())), expected);
    let expected = [
        (7, "it must match one value, and matches 4"),
        (8, "it matches nothing"),
        (9, "a path begins with `$`"),
        (10, "`update` or `copy`, not both"),
        (11, "so what is merged into it must be one"),
    ];
    assert_eq!(report.findings.len(), expected.len(), "{:?}", report.findings);
    for (finding, (line, words)) in report.findings.iter().zip(expected) {
        assert_eq!(
            (finding.place.document.as_str(), finding.place.line),
            ("changes.yaml", line + 1)
        );
        assert!(finding.message.contains(words), "{}", finding.message);
    }
    // What is copied has its place in the document.
    let copied = at(&documents, &["paths", "/new", "get", "summary"]);
    assert_eq!(documents.place(copied).to_string(), "root.yaml:4:36");
}

#[test]
fn overlays_that_cannot_be_applied_change_nothing() {
    let root = "openapi: 3.0.0\nit: {x: 1}\n";
    let cases = [
        ("overlay: 1.0.0\nactions: [", "overlay-unreadable"),
        ("overlay: 1.0.0\n", "overlay-unreadable"),
        ("overlay: 1.0.0\nactions: [{target: $, remove: true}]", "overlay-bad-action"),
    ];
    for (text, kind) in cases {
        let overlays = [Overlay { name: "o", text }];
        let (documents, report) = load_with(root, &mut Shelf::default(), &overlays).unwrap();
        assert_eq!(it(&documents).as_deref(), Ok(r#"{"x":1}"#));
        assert_eq!(kinds(&report), [kind], "{text}");
        assert!(report.has(Severity::Error), "{text}");
    }
}

#[test]
fn overlays_cannot_blow_up_a_document() {
    let mut overlay = "overlay: 1.0.0\nactions:\n".to_owned();
    for level in 0..40 {
        let action = format!("- {{target: '$..*', update: {{a{level}: {{}}, b{level}: {{}}}}}}\n");
        overlay.push_str(&action);
    }
    let limits = Limits { nodes: 10_000, ..Limits::default() };
    let overlays = [Overlay { name: "o", text: &overlay }];
    let url = Url::parse(ROOT).unwrap();
    let root = "openapi: 3.0.0\nit: {x: {}}\n";
    let (documents, report) =
        Documents::load(root, &url, "root", &mut Shelf::default(), &overlays, &limits).unwrap();
    assert_eq!(it(&documents).as_deref(), Ok(r#"{"x":{}}"#));
    assert_eq!(kinds(&report).last(), Some(&"overlay-too-large"));
}

/// Answers every URL with a document that refers to two more.
struct Endless(usize);

impl Loader for Endless {
    fn load(&mut self, url: &Url, _: &Url) -> Result<String, String> {
        self.0 += 1;
        let name = url.path().rsplit('/').next().unwrap_or_default();
        Ok(format!("a: {{$ref: '{name}0'}}\nb: {{$ref: '{name}1'}}\n"))
    }
}

#[test]
fn documents_that_refer_to_ever_more_end() {
    let url = Url::parse(ROOT).unwrap();
    let text = "openapi: 3.0.0\nit: {$ref: n}\n";
    let mut endless = Endless(0);
    let (documents, report) =
        Documents::load(text, &url, "root", &mut endless, &[], &Limits::default()).unwrap();
    assert_eq!((documents.all.len(), endless.0), (super::DOCUMENTS_MAX, super::DOCUMENTS_MAX - 1));
    assert!(report.findings.iter().all(|finding| finding.kind == "document-not-loaded"));
    assert!(report.findings[0].message.contains("more than 5000"));
}

#[test]
fn documents_that_refer_to_each_other_end() {
    let root = "openapi: 3.0.0\nit: {$ref: 'a.yaml#/it'}\n";
    let a = "it: {$ref: 'b.yaml#/it'}\n";
    let b = "it: {$ref: 'a.yaml#/it'}\n";
    let (documents, _) = load(root, &[("a.yaml", a), ("b.yaml", b)]);
    assert_eq!(it(&documents), Err(Problem::Circular));
}

/// Every document of a folder of real ones, if `PORTCULLIS_CORPUS` names one.
#[test]
fn real_documents_load() {
    let Ok(folder) = std::env::var("PORTCULLIS_CORPUS") else {
        println!("PORTCULLIS_CORPUS names no folder of documents: nothing was checked");
        return;
    };
    let mut count = 0;
    for entry in std::fs::read_dir(format!("{folder}/documents")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let url = Url::from_file_path(&path).unwrap();
        let loaded =
            Documents::load(&text, &url, &name, &mut Shelf::default(), &[], &Limits::default());
        let (documents, report) = loaded.unwrap_or_else(|error| panic!("{error}"));
        assert!(!documents.value(documents.root()).is_empty());
        println!("{name}\n{}", report.to_text());
        count += 1;
    }
    println!("{count} documents");
    assert!(count > 0);
}
