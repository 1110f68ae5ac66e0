//! Where references lead.

use std::fmt;

use url::Url;

use super::{Documents, pointer};
use crate::model::{At, Dialect, DocumentId};
use crate::report::Place;
use crate::tree::{Kind, Value};

/// What a reference leads to, or why it leads nowhere.
pub type Resolved = Result<Target, Dangling>;

/// Where a reference leads at last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The value, which is no reference itself.
    pub at: At,
    /// The references that were followed, in order, none if there was nothing to follow.
    pub passed: Vec<At>,
    /// Those of `passed` that say more beside the reference, such as a `description`.
    pub siblings: Vec<At>,
}

/// A reference that leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dangling {
    /// The reference as written.
    pub reference: String,
    /// The object in which it is written.
    pub at: At,
    /// The same for people.
    pub place: Place,
    /// Why it leads nowhere.
    pub problem: Problem,
}

/// Why a reference leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The document is not there, for this reason.
    NotLoaded {
        /// URLs that it may have and that were not tried, the likeliest first.
        urls: Vec<Url>,
        /// Why it was not loaded.
        reason: String,
    },
    /// The document has nothing there.
    Nothing {
        /// The document's name.
        document: String,
    },
    /// It leads back to itself.
    Circular,
    /// There are too many references on the way.
    TooLong,
    /// It is no URL.
    NoUrl,
}

impl fmt::Display for Dangling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reference = &self.reference;
        match &self.problem {
            Problem::NotLoaded { reason, .. } => {
                write!(f, "`{reference}` cannot be followed: {reason}")
            }
            Problem::Nothing { document } => {
                write!(f, "`{reference}` leads nowhere: {document} has nothing there")
            }
            Problem::Circular => write!(f, "`{reference}` leads back to itself"),
            Problem::TooLong => {
                write!(f, "`{reference}` leads through more than {HOPS_MAX} references")
            }
            Problem::NoUrl => write!(f, "`{reference}` is no URL"),
        }
    }
}

impl std::error::Error for Dangling {}

/// Most references that are followed one after the other.
const HOPS_MAX: usize = 100;

/// The keywords that refer to another value. Dynamic ones lead where they would lead if nothing
/// overrode them.
const KEYWORDS: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];

impl Documents {
    /// Follows the references of a value until one leads to a value that is none. A value without a
    /// reference is its own target.
    pub fn resolve(&self, at: At) -> Resolved {
        let mut target = Target { at, passed: Vec::new(), siblings: Vec::new() };
        while let Some(next) = self.follow(target.at) {
            let from = target.at;
            let next = next?;
            target.passed.push(from);
            if self.value(from).len() > 1 {
                target.siblings.push(from);
            }
            if target.passed.contains(&next) {
                return Err(self.dangling(from, Problem::Circular));
            }
            if target.passed.len() > HOPS_MAX {
                return Err(self.dangling(from, Problem::TooLong));
            }
            target.at = next;
        }
        Ok(target)
    }

    /// The reference that a value is, as written.
    pub fn reference(&self, at: At) -> Option<&str> {
        reference(self.value(at))
    }

    /// One step of [`Self::resolve`]: where the reference of a value leads, which may be another
    /// reference; `None` if the value has none.
    pub fn follow(&self, at: At) -> Option<Result<At, Dangling>> {
        self.reference(at)?;
        let mut hops = HOPS_MAX;
        Some(self.step(at, &mut hops).map_err(|problem| self.dangling(at, problem)))
    }

    /// Where `reference` leads if it stands at `at`: for references that are not written as `$ref`,
    /// such as those in `discriminator.mapping`.
    pub fn lookup(&self, at: At, reference: &str) -> Result<At, Dangling> {
        let mut hops = HOPS_MAX;
        self.target(at, reference, &mut hops).map_err(|problem| Dangling {
            reference: reference.to_owned(),
            at,
            place: self.place(at),
            problem,
        })
    }

    fn dangling(&self, at: At, problem: Problem) -> Dangling {
        let reference = self.reference(at).unwrap_or_default().to_owned();
        Dangling { reference, at, place: self.place(at), problem }
    }

    fn step(&self, at: At, hops: &mut usize) -> Result<At, Problem> {
        *hops = hops.checked_sub(1).ok_or(Problem::TooLong)?;
        self.target(at, self.reference(at).unwrap_or_default(), hops)
    }

    fn target(&self, at: At, reference: &str, hops: &mut usize) -> Result<At, Problem> {
        let (document, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let (document, fragment) = (document.trim(), fragment.trim_end());
        let resource = if document.is_empty() {
            let (_, root) = self.document(at.document).identities.resource(at.node);
            At { document: at.document, node: root }
        } else {
            match self.resource(at, document) {
                Ok(resource) => resource,
                // Swagger once named models by their bare names.
                Err(problem) => return self.by_name(at, document, fragment).ok_or(problem),
            }
        };
        if fragment.is_empty() {
            return Ok(resource);
        }
        let root = self.root_of(resource.document);
        let pointer = fragment.strip_prefix('/').or(fragment.contains('/').then_some(fragment));
        if let Some(pointer) = pointer {
            return match self.walk(resource, pointer, hops) {
                // Many write `#/components/…` inside a schema with an `$id`.
                Err(Problem::Nothing { .. }) if root != resource => self.walk(root, pointer, hops),
                walked => walked,
            };
        }
        let identities = &self.document(resource.document).identities;
        let found = identities.anchor(resource.node, fragment).or_else(|| {
            let decoded = percent_encoding::percent_decode_str(fragment).decode_utf8().ok()?;
            identities.anchor(resource.node, &decoded)
        });
        if let Some(node) = found {
            return Ok(At { document: resource.document, node });
        }
        self.walk(resource, fragment, hops)
    }

    /// The document, or the schema that calls itself so, to which a reference without its fragment
    /// leads.
    fn resource(&self, at: At, reference: &str) -> Result<At, Problem> {
        let mut urls = self.urls(at, reference);
        if urls.is_empty() {
            return Err(Problem::NoUrl);
        }
        let mut reason = None;
        let mut unknown = Vec::new();
        for url in urls.drain(..) {
            if let Some(&named) = self.named.get(url.as_str()) {
                return Ok(named);
            }
            match self.known.get(url.as_str()) {
                Some(Ok(document)) => return Ok(self.root_of(*document)),
                Some(Err(why)) => reason = reason.or(Some(why.clone())),
                None => unknown.push(url),
            }
        }
        let reason = reason.unwrap_or_else(|| "it was not loaded".to_owned());
        Err(Problem::NotLoaded { urls: unknown, reason })
    }

    /// What a reference may mean: relative to what the schema calls itself, or, as many do, to
    /// where the document was found.
    fn urls(&self, at: At, reference: &str) -> Vec<Url> {
        let document = self.document(at.document);
        let (base, _) = document.identities.resource(at.node);
        let mut urls = Vec::with_capacity(1);
        for base in [base, &document.url] {
            if let Ok(mut url) = base.join(reference) {
                url.set_fragment(None);
                if !urls.contains(&url) {
                    urls.push(url);
                }
            }
        }
        urls
    }

    fn by_name(&self, at: At, name: &str, fragment: &str) -> Option<At> {
        let is_bare = !name.contains(['/', ':']) && fragment.is_empty();
        let root = self.document(at.document).tree.root();
        let schemas = match self.dialect_of(at.document) {
            Dialect::Swagger20 => root.get("definitions"),
            _ => root.get("components").and_then(|components| components.get("schemas")),
        };
        let node = schemas.filter(|_| is_bare)?.get(name)?.id();
        Some(At { document: at.document, node })
    }

    /// Walks a pointer, also through references that stand on its way.
    fn walk(&self, from: At, pointer: &str, hops: &mut usize) -> Result<At, Problem> {
        let segments: Vec<_> = pointer.split('/').take(pointer::SEGMENTS_MAX + 1).collect();
        let mut at = from;
        let mut rest = segments.as_slice();
        while !rest.is_empty() {
            let value = self.value(at);
            if let Some((next, used)) = pointer::step(value, rest) {
                at.node = next.id();
                rest = &rest[used..];
            } else if reference(value).is_some() {
                at = self.step(at, hops)?;
            } else {
                return Err(self.nothing(at.document));
            }
        }
        if segments.len() > pointer::SEGMENTS_MAX {
            return Err(self.nothing(from.document));
        }
        Ok(at)
    }

    fn nothing(&self, document: DocumentId) -> Problem {
        Problem::Nothing { document: self.document(document).name.clone() }
    }
}

/// The reference that a value is. A property that is called `$ref` is none: it is no text.
fn reference(value: Value<'_>) -> Option<&str> {
    if value.kind() != Kind::Object {
        return None;
    }
    KEYWORDS.iter().find_map(|keyword| value.text(keyword))
}
