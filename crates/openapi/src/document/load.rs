//! Finds the documents that are referred to, and loads them.
//!
//! Only references that matter are followed: those of the first document, and those of what they
//! lead to. A reference in an example is none.

use std::collections::HashSet;

use url::Url;

use super::{BYTES_MAX, DOCUMENTS_MAX, Documents, Loader, Problem, version};
use crate::model::{At, DocumentId};
use crate::report::{Finding, Place, Report, Severity};
use crate::tree::{Kind, Limits, Tree, Value};

/// Reports what reading a document brought to light.
pub(super) fn report_oddities(tree: &Tree, name: &str, report: &mut Report) {
    if let Some((line, column)) = tree.further_document() {
        report.add(Finding {
            severity: Severity::Warning,
            kind: "several-documents",
            operation: None,
            message: "a second YAML document begins here; only the first one is read".to_owned(),
            place: Place { document: name.to_owned(), line, column },
        });
    }
    for (key, value, (first, _)) in tree.duplicates() {
        let (line, column) = value.position();
        report.add(Finding {
            severity: Severity::Warning,
            kind: "duplicate-key",
            operation: None,
            message: format!(
                "`{key}` stands twice in this object; the one of line {first} is not used"
            ),
            place: Place { document: name.to_owned(), line, column },
        });
    }
}

/// Loads what the documents refer to.
pub(super) fn references(
    documents: &mut Documents,
    bytes: usize,
    loader: &mut dyn Loader,
    limits: &Limits,
    report: &mut Report,
) {
    let root = documents.root();
    let mut search = Search {
        documents,
        loader,
        limits,
        report,
        bytes,
        seen: Vec::new(),
        missed: HashSet::new(),
        work: vec![(root, Members::Keywords)],
    };
    while let Some((at, members)) = search.work.pop() {
        search.visit(at, members);
    }
}

struct Search<'a> {
    documents: &'a mut Documents,
    loader: &'a mut dyn Loader,
    limits: &'a Limits,
    report: &'a mut Report,
    /// How long the texts of all documents are.
    bytes: usize,
    /// Which values of each document were looked at.
    seen: Vec<Vec<bool>>,
    /// What was reported: the document that has the reference, and the reference, without its
    /// fragment if the document is what is missing.
    missed: HashSet<(DocumentId, String)>,
    work: Vec<(At, Members)>,
}

/// What the members of an object are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Members {
    /// Their keys are words of the specifications.
    Keywords,
    /// Their keys are names that somebody chose.
    Named,
}

/// The members whose own members are named by somebody.
const NAMED: [&str; 21] = [
    "$defs",
    "content",
    "definitions",
    "dependencies",
    "dependentSchemas",
    "encoding",
    "headers",
    "mediaTypes",
    "parameters",
    "pathItems",
    "paths",
    "patternProperties",
    "properties",
    "requestBodies",
    "responses",
    "schemas",
    "securityDefinitions",
    "securitySchemes",
    "variables",
    "additionalOperations",
    "flows",
];

/// The members that hold values and not schemas, or what is never served.
const OPAQUE: [&str; 8] =
    ["callbacks", "const", "default", "enum", "example", "examples", "links", "webhooks"];

impl Search<'_> {
    fn visit(&mut self, at: At, members: Members) {
        if !self.is_new(at) {
            return;
        }
        let value = self.documents.value(at);
        let mut follow = Vec::new();
        if members == Members::Keywords {
            if let Some(reference) = self.documents.reference(at) {
                follow.push(reference.to_owned());
            }
            if let Some(mapping) = value.get("discriminator").and_then(|it| it.get("mapping")) {
                let targets = mapping.entries().filter_map(|(_, target)| target.as_str());
                follow.extend(targets.filter(|target| is_url(target)).map(str::to_owned));
            }
        }
        let before = self.work.len();
        let child = |value: Value<'_>| At { document: at.document, node: value.id() };
        for element in value.elements().filter(|element| is_container(*element)) {
            self.work.push((child(element), Members::Keywords));
        }
        for (key, member) in value.entries().filter(|(_, member)| is_container(*member)) {
            let inner = match members {
                Members::Keywords if key == "x-ms-paths" => Members::Named,
                Members::Keywords if OPAQUE.contains(&key) || key.starts_with("x-") => continue,
                Members::Keywords if NAMED.contains(&key) => Members::Named,
                _ => Members::Keywords,
            };
            self.work.push((child(member), inner));
        }
        // What is found first is loaded and reported first.
        self.work[before..].reverse();
        for reference in follow {
            self.follow(at, &reference);
        }
    }

    fn is_new(&mut self, at: At) -> bool {
        let document = usize::from(at.document.0);
        if self.seen.len() <= document {
            self.seen.resize(document + 1, Vec::new());
        }
        let seen = &mut self.seen[document];
        if seen.is_empty() {
            seen.resize(self.documents.document(at.document).tree.nodes.len(), false);
        }
        !std::mem::replace(&mut seen[at.node.0 as usize], true)
    }

    fn follow(&mut self, at: At, reference: &str) {
        // Each round loads a document or learns that it cannot be loaded.
        let dangling = loop {
            match self.documents.lookup(at, reference) {
                Ok(target) => return self.work.push((target, Members::Keywords)),
                Err(dangling) => match &dangling.problem {
                    Problem::NotLoaded { urls, .. } if !urls.is_empty() => {
                        let url = urls[0].clone();
                        self.load(url, dangling.at);
                    }
                    _ => break dangling,
                },
            }
        };
        let missed = match dangling.problem {
            Problem::NotLoaded { .. } => reference.split('#').next().unwrap_or_default(),
            _ => reference,
        };
        if !self.missed.insert((at.document, missed.to_owned())) {
            return;
        }
        self.report.add(Finding {
            severity: Severity::Warning,
            kind: match dangling.problem {
                Problem::NotLoaded { .. } => "document-not-loaded",
                Problem::Circular | Problem::TooLong => "circular-reference",
                Problem::Nothing { .. } | Problem::NoUrl => "dangling-reference",
            },
            operation: None,
            message: dangling.to_string(),
            place: dangling.place,
        });
    }

    fn load(&mut self, url: Url, from: At) {
        let known = self.read(&url, from);
        self.documents.known.insert(url.into(), known);
    }

    fn read(&mut self, url: &Url, from: At) -> Result<DocumentId, String> {
        if self.documents.all.len() >= DOCUMENTS_MAX {
            return Err(format!("more than {DOCUMENTS_MAX} documents belong together"));
        }
        let from = &self.documents.document(from.document).url;
        let text = self.loader.load(url, from)?;
        self.bytes = self.bytes.saturating_add(text.len());
        if self.bytes > BYTES_MAX {
            return Err(format!("the documents together are longer than {BYTES_MAX} bytes"));
        }
        let tree = Tree::parse(&text, self.limits).map_err(|error| error.to_string())?;
        let first = &self.documents.all[0];
        let name = first.url.make_relative(url).filter(|name| !name.is_empty());
        let name = name.unwrap_or_else(|| url.to_string());
        let dialect = version::of_other(&tree).unwrap_or(first.dialect);
        report_oddities(&tree, &name, self.report);
        Ok(self.documents.add(url.clone(), name, tree, dialect))
    }
}

fn is_container(value: Value<'_>) -> bool {
    matches!(value.kind(), Kind::Array | Kind::Object) && !value.is_empty()
}

/// Whether a value of `mapping` is a reference; a bare name is one, too, but always to this
/// document.
fn is_url(target: &str) -> bool {
    target.contains(['#', '/'])
        || [".json", ".yaml", ".yml"].iter().any(|end| target.ends_with(end))
}
