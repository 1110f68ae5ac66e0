//! The documents that belong together: the first one, and everything that it refers to.

use url::Url;

use crate::model::{At, DocumentId};
use crate::report::{Place, Report};
use crate::tree::{Limits, Tree, Value};

/// Reads what a document refers to. The only way by which anything comes in from outside.
pub trait Loader {
    /// Reads the text at `url`, or says why not; `from` is the document that refers to it. Called at
    /// load time only, never for a call.
    fn load(&mut self, url: &Url, from: &Url) -> Result<String, String>;
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
}

/// The documents that were loaded together; the first is the one that was asked for.
#[derive(Debug)]
pub struct Documents {
    /// In the order in which they were met.
    pub all: Vec<Document>,
}

impl Documents {
    /// The value at a place.
    pub fn value(&self, at: At) -> Value<'_> {
        self.all[usize::from(at.document.0)].tree.value(at.node)
    }

    /// The place for people.
    pub fn place(&self, at: At) -> Place {
        let document = &self.all[usize::from(at.document.0)];
        let (line, column) = document.tree.value(at.node).position();
        Place { document: document.name.clone(), line, column }
    }

    /// The first document's outermost value.
    pub fn root(&self) -> At {
        At { document: DocumentId(0), node: self.all[0].tree.root().id() }
    }
}
