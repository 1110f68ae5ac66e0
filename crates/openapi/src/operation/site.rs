//! A value and where it stands, so that what is read can be named in findings and followed.

use url::Url;

use crate::document::Documents;
use crate::model::{At, Dialect, DocumentId};
use crate::report::Place;
use crate::tree::{Kind, Value};

/// A value of one of the documents.
#[derive(Clone, Copy)]
pub(crate) struct Site<'d> {
    documents: &'d Documents,
    document: DocumentId,
    value: Value<'d>,
}

/// Why a reference leads nowhere.
pub(crate) struct Dangling<'d> {
    /// What is wrong, with the reference as written.
    pub(crate) message: String,
    /// Where the reference is written.
    pub(crate) site: Site<'d>,
}

impl<'d> Site<'d> {
    pub(crate) fn new(documents: &'d Documents, at: At) -> Self {
        Self { documents, document: at.document, value: documents.value(at) }
    }

    pub(crate) fn at(self) -> At {
        At { document: self.document, node: self.value.id() }
    }

    pub(crate) fn place(self) -> Place {
        self.documents.place(self.at())
    }

    pub(crate) fn kind(self) -> Kind {
        self.value.kind()
    }

    pub(crate) fn is_object(self) -> bool {
        self.kind() == Kind::Object
    }

    pub(crate) fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    pub(crate) fn is_empty(self) -> bool {
        self.value.is_empty()
    }

    pub(crate) fn as_str(self) -> Option<&'d str> {
        self.value.as_str()
    }

    pub(crate) fn scalar(self) -> Option<&'d str> {
        self.value.scalar()
    }

    /// The text of any scalar as it stands in the document.
    pub(crate) fn written(self) -> Option<&'d str> {
        self.value.written()
    }

    pub(crate) fn as_bool(self) -> Option<bool> {
        self.value.as_bool()
    }

    /// The member `key` of an object, unless it is `null`, which stands for nothing everywhere in
    /// documents but in schemas.
    pub(crate) fn get(self, key: &str) -> Option<Self> {
        self.value.get(key).map(|value| Self { value, ..self }).filter(|site| !site.is_null())
    }

    pub(crate) fn entries(self) -> impl Iterator<Item = (&'d str, Self)> {
        self.value.entries().map(move |(key, value)| (key, Self { value, ..self }))
    }

    pub(crate) fn elements(self) -> impl Iterator<Item = Self> {
        self.value.elements().map(move |value| Self { value, ..self })
    }

    /// What is meant: the value itself, or what its reference leads to at last.
    pub(crate) fn followed(self) -> Result<Self, Dangling<'d>> {
        self.layers().map(|layers| layers.last().copied().unwrap_or(self))
    }

    /// What is meant, after the references on the way to it that say something themselves: a path's
    /// own members count before those of what it refers to.
    pub(crate) fn layers(self) -> Result<Vec<Self>, Dangling<'d>> {
        if self.value.get("$ref").is_none() {
            return Ok(vec![self]);
        }
        match self.documents.resolve(self.at()) {
            Ok(target) => {
                let all = target.siblings.into_iter().chain([target.at]);
                Ok(all.map(|at| Self::new(self.documents, at)).collect())
            }
            Err(dangling) => {
                let site = Self::new(self.documents, dangling.at);
                Err(Dangling { message: dangling.to_string(), site })
            }
        }
    }

    /// Where `reference`, written here but not as `$ref`, leads.
    pub(crate) fn lookup(self, reference: &str) -> Option<Self> {
        let at = self.documents.lookup(self.at(), reference).ok()?;
        Some(Self::new(self.documents, at))
    }

    /// Another place.
    pub(crate) fn elsewhere(self, at: At) -> Self {
        Self::new(self.documents, at)
    }

    /// Whose rules the document follows.
    pub(crate) fn dialect(self) -> Dialect {
        self.documents.dialect_of(self.document)
    }

    /// The URL from which the document was read.
    pub(crate) fn url(self) -> &'d Url {
        &self.documents.all[usize::from(self.document.0)].url
    }

    /// What people call a value of this kind.
    pub(crate) fn kind_name(self) -> &'static str {
        match self.kind() {
            Kind::Null => "null",
            Kind::Bool => "a boolean",
            Kind::Number => "a number",
            Kind::String => "a text",
            Kind::Array => "a list",
            Kind::Object => "an object",
        }
    }
}
