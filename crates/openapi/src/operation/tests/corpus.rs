//! Real documents, of which the environment variable `PORTCULLIS_CORPUS` names the folder.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use url::Url;

use super::super::extract;
use crate::document::{Documents, Loader};
use crate::model::{Location, Operation};
use crate::report::{Report, Severity};
use crate::tree::Limits;

/// Files below the document's folder, which most of the corpus does not have.
struct Files(PathBuf);

impl Loader for Files {
    fn load(&mut self, url: &Url, _: &Url) -> Result<String, String> {
        let path = url.to_file_path().map_err(|()| format!("{url} is no file"))?;
        if !path.starts_with(&self.0) {
            return Err(format!("{url} is outside of the folder"));
        }
        fs::read_to_string(path).map_err(|error| error.to_string())
    }
}

/// The folder, if there is one here.
fn corpus() -> Option<PathBuf> {
    let folder = std::env::var_os("PORTCULLIS_CORPUS");
    if folder.is_none() {
        println!("SKIPPED: PORTCULLIS_CORPUS does not name the folder of the corpus");
    }
    folder.map(PathBuf::from)
}

/// How many operations the index counts in each document.
fn counts(index: &Path) -> BTreeMap<String, usize> {
    let text = fs::read_to_string(index).unwrap();
    let mut rows = text.lines().map(cells);
    let header = rows.next().unwrap();
    let column = |name: &str| header.iter().position(|cell| cell == name).unwrap();
    let (id, ops) = (column("id"), column("ops"));
    rows.map(|row| (row[id].clone(), row[ops].parse().unwrap())).collect()
}

/// The cells of a line of comma-separated values.
fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut is_quoted = false;
    for c in line.chars() {
        match c {
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => cells.push(String::new()),
            c => cells.last_mut().unwrap().push(c),
        }
    }
    cells
}

#[test]
fn every_operation_is_offered_or_skipped_with_a_reason() {
    let Some(folder) = corpus() else { return };
    let folder = fs::canonicalize(folder).unwrap();
    let counts = counts(&folder.join("index.csv"));
    let documents = folder.join("documents");
    let (mut all, mut offered, mut kinds) = (0, 0, BTreeMap::<&str, usize>::new());
    for (id, expected) in &counts {
        let path = documents.join(id);
        let text = fs::read_to_string(&path).unwrap();
        let url = Url::from_file_path(&path).unwrap();
        let (documents, _) = Documents::load(
            &text,
            &url,
            id,
            &mut Files(documents.clone()),
            &[],
            &Limits::default(),
        )
        .unwrap();
        let mut report = Report::default();
        let extracted = extract(&documents, &mut report);
        extracted.operations.iter().for_each(check);
        let skipped: Vec<_> =
            report.findings.iter().filter(|it| it.severity == Severity::Skipped).collect();
        for finding in &report.findings {
            *kinds.entry(finding.kind).or_default() += 1;
            assert!(!finding.message.is_empty() && finding.place.line > 0, "{finding:?}");
        }
        let sum = extracted.operations.len() + skipped.len();
        all += expected;
        offered += extracted.operations.len();
        println!("{id}: {} of {expected}", extracted.operations.len());
        for finding in report.findings.iter().filter(|it| it.severity > Severity::Note) {
            let operation = finding.operation.as_deref().unwrap_or_default();
            println!("  {}: {operation}: {}", finding.place, finding.message);
        }
        assert!(extracted.operations.len() <= *expected, "{id}");
        assert!(sum >= *expected, "{id}: {sum} of {expected} operations are accounted for");
    }
    println!("{offered} of {all} operations; findings {kinds:#?}");
}

/// What every operation promises.
pub(super) fn check(operation: &Operation) {
    let Operation { method, path, parameters, .. } = operation;
    assert!(path.starts_with('/'), "{path}");
    assert!(!method.is_empty());
    let mut seen = HashSet::new();
    for parameter in parameters {
        let Location::Form = parameter.location else {
            assert!(seen.insert((parameter.location, &parameter.name)), "{path}: {parameter:?}");
            let variable = format!("{{{}}}", parameter.name);
            let is_path = parameter.location == Location::Path;
            assert!(!is_path || (path.contains(&variable) && parameter.is_required), "{path}");
            continue;
        };
        panic!("{path}: {} is of the body", parameter.name);
    }
    if let Some(body) = &operation.body {
        assert!(!body.media.is_empty());
    }
    assert!(operation.place.line > 0);
}
