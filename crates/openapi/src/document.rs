//! The documents that belong together: the first one, and everything that it refers to.

use std::collections::HashMap;
use std::fmt;

use url::Url;

use crate::model::{At, Dialect, DocumentId};
use crate::report::{Finding, Place, Report, Severity};
use crate::tree::{Limits, SyntaxError, Tree, Value};

mod identity;
mod load;
mod overlay;
mod path;
mod pointer;
mod resolve;
mod version;

use identity::Identities;
pub use resolve::{Dangling, Problem, Resolved, Target};

/// Reads what a document refers to. The only way by which anything comes in from outside.
pub trait Loader {
    /// Reads the text at `url`, or says why not; `from` is the document that refers to it. Called at
    /// load time only, never for a call.
    fn load(&mut self, url: &Url, from: &Url) -> Result<String, String>;
}

/// The text of a file: UTF-8, or UTF-16 with a byte order mark, as some editors write it.
///
/// # Errors
/// When it is neither, with what is wrong.
pub fn text_of(bytes: Vec<u8>) -> Result<String, String> {
    let unit: fn([u8; 2]) -> u16 = match bytes.as_slice() {
        [0xff, 0xfe, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] => u16::from_be_bytes,
        _ => {
            return String::from_utf8(bytes).map_err(|error| {
                let read = &error.as_bytes()[..error.utf8_error().valid_up_to()];
                let line = read.split(|byte| *byte == b'\n').count();
                format!("it is not UTF-8: line {line} has bytes that are no letter")
            });
        }
    };
    let (pairs, rest) = bytes.as_chunks::<2>();
    let units: Vec<u16> = pairs.iter().skip(1).map(|pair| unit(*pair)).collect();
    let text = String::from_utf16(&units).ok().filter(|_| rest.is_empty());
    text.ok_or_else(|| "it begins as UTF-16, and is none".to_owned())
}

/// A text with a name: an overlay (Overlay Specification 1.0) that changes the first document
/// before anything else looks at it.
#[derive(Clone, Copy, Debug)]
pub struct Overlay<'text> {
    /// What people call it: a file name, or the URL.
    pub name: &'text str,
    /// JSON or YAML.
    pub text: &'text str,
}

/// One document.
#[derive(Debug)]
pub struct Document {
    /// Where it was read from; references in it are relative to this.
    pub url: Url,
    /// What people call it: a file name, or the URL.
    pub name: String,
    /// Its content.
    pub tree: Tree,
    /// Whose rules it follows: its own version's, or else those of the first document.
    pub dialect: Dialect,
    identities: Identities,
}

/// The documents that were loaded together; the first is the one that was asked for.
#[derive(Debug)]
pub struct Documents {
    /// In the order in which they were met; at most [`DOCUMENTS_MAX`].
    pub all: Vec<Document>,
    /// Which document a URL names, or why it could not be read. URLs without fragments.
    known: HashMap<String, Result<DocumentId, String>>,
    /// Schemas that name themselves by `$id`, by absolute URL.
    named: HashMap<String, At>,
}

/// Most documents that are loaded together: some publishers write one for each operation and schema.
pub const DOCUMENTS_MAX: usize = 5_000;

/// Longest texts of documents that are loaded together, in bytes.
pub const BYTES_MAX: usize = 64 << 20;

/// Why a document cannot be used at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError {
    /// A stable name of the kind of mistake: `syntax`, `too-large`, `no-object`, `version`, `url`.
    pub kind: &'static str,
    /// What is wrong and what to do about it.
    pub message: String,
    /// Where.
    pub place: Place,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

impl std::error::Error for LoadError {}

impl From<LoadError> for Finding {
    fn from(error: LoadError) -> Self {
        Self {
            severity: Severity::Error,
            kind: error.kind,
            operation: None,
            message: error.message,
            place: error.place,
        }
    }
}

impl LoadError {
    fn syntax(document: &str, error: &SyntaxError) -> Self {
        let place = Place { document: document.into(), line: error.line, column: error.column };
        let hint = error.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
        Self {
            kind: if error.is_limit { "too-large" } else { "syntax" },
            message: format!("{}{hint}", error.message),
            place,
        }
    }
}

impl Documents {
    /// Reads a document, applies the overlays in order, and loads everything that it refers to.
    ///
    /// What it refers to and cannot be loaded is a finding, never an error: only what needs it is
    /// lost. `url` is where the text was read from, `name` what people call it.
    pub fn load(
        text: &str,
        url: &Url,
        name: &str,
        loader: &mut dyn Loader,
        overlays: &[Overlay<'_>],
        limits: &Limits,
    ) -> Result<(Self, Report), LoadError> {
        let mut report = Report::default();
        let mut tree =
            Tree::parse(text, limits).map_err(|error| LoadError::syntax(name, &error))?;
        load::report_oddities(&tree, name, &mut report);
        for overlay in overlays {
            overlay::apply(&mut tree, name, overlay, limits, &mut report);
        }
        let dialect = version::of_root(&tree, name, &mut report)?;
        let mut documents = Self { all: Vec::new(), known: HashMap::new(), named: HashMap::new() };
        documents.add(url.clone(), name.to_owned(), tree, dialect);
        load::references(&mut documents, text.len(), loader, limits, &mut report);
        Ok((documents, report))
    }

    /// The version of the first document.
    pub fn dialect(&self) -> Dialect {
        self.all[0].dialect
    }

    /// Whose rules a document follows.
    pub fn dialect_of(&self, document: DocumentId) -> Dialect {
        self.document(document).dialect
    }

    /// The value at a place.
    pub fn value(&self, at: At) -> Value<'_> {
        self.document(at.document).tree.value(at.node)
    }

    /// The place for people.
    pub fn place(&self, at: At) -> Place {
        let document = self.document(at.document);
        let value = document.tree.value(at.node);
        let (line, column) = value.position();
        let name = value.origin().unwrap_or(&document.name);
        Place { document: name.to_owned(), line, column }
    }

    /// The first document's outermost value.
    pub fn root(&self) -> At {
        self.root_of(DocumentId(0))
    }

    fn root_of(&self, document: DocumentId) -> At {
        At { document, node: self.document(document).tree.root().id() }
    }

    fn document(&self, document: DocumentId) -> &Document {
        &self.all[usize::from(document.0)]
    }

    fn add(&mut self, url: Url, name: String, tree: Tree, dialect: Dialect) -> DocumentId {
        let document = DocumentId(u16::try_from(self.all.len()).unwrap_or(u16::MAX));
        let url = without_fragment(url);
        let identities = Identities::of(&tree, &url);
        for (named, node) in identities.named() {
            self.named.entry(named.to_string()).or_insert(At { document, node });
        }
        self.known.insert(url.to_string(), Ok(document));
        self.all.push(Document { url, name, tree, dialect, identities });
        document
    }
}

fn without_fragment(mut url: Url) -> Url {
    url.set_fragment(None);
    url
}

#[cfg(test)]
mod tests;
