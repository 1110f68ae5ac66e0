//! Schemas of any dialect as self-contained JSON Schema 2020-12.
//!
//! A [`Library`] translates each schema of the documents once, references kept as references; a
//! [`Bundle`] writes those that one tool needs, with everything that they refer to in `$defs`.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use crate::document::{Documents, Problem};
use crate::model::{At, Dialect};
use crate::report::{Finding, Severity};
use crate::tree::Value;

mod bundle;
mod composition;
mod convert;
mod dynamic;
mod family;
mod flat;
mod pattern;
pub(crate) mod scalar;

pub(crate) use bundle::{Bundle, Detail, TooLong};
pub(crate) use convert::{BASE64_HINT, BASE64_PATTERN};
use family::Families;
pub(crate) use flat::{Flat, Member as FlatMember, flat};

/// For which way a schema is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Direction {
    /// What is sent: without `readOnly` members.
    Request,
    /// What comes back: without `writeOnly` members.
    Response,
}

impl Direction {
    /// The keyword that takes a member out.
    fn excluded(self) -> &'static str {
        match self {
            Self::Request => "readOnly",
            Self::Response => "writeOnly",
        }
    }
}

/// A translated schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Schema {
    /// `true` or `false`.
    Boolean(bool),
    /// It refers to what is not there, so that anything goes.
    Missing {
        /// Whether a whole document is not there.
        is_external: bool,
    },
    /// Keywords.
    Keywords(Keywords),
}

/// The keywords of a translated schema, in the order of the document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Keywords {
    /// `$ref`.
    pub(crate) reference: Option<Reference>,
    /// The others; none twice.
    pub(crate) members: Vec<(&'static str, Member)>,
}

/// A reference to a schema of the library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// The schema; never a mere reference itself.
    pub(crate) at: At,
    /// What it is called in `$defs`, unless another is called so, too.
    pub(crate) name: Box<str>,
}

/// The value of a keyword.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Member {
    /// JSON text.
    Json(Box<str>),
    /// A text for people.
    Text(Box<str>),
    /// A schema.
    One(Schema),
    /// A list of schemas.
    Many(Vec<Schema>),
    /// Schemas by name.
    Map(Vec<(Box<str>, Schema)>),
}

impl Keywords {
    /// Adds a keyword, or changes it where it stands.
    pub(crate) fn set(&mut self, key: &'static str, member: Member) {
        match self.members.iter_mut().find(|(name, _)| *name == key) {
            Some((_, old)) => *old = member,
            None => self.members.push((key, member)),
        }
    }

    /// The value of a keyword.
    pub(crate) fn get(&self, key: &str) -> Option<&Member> {
        self.members.iter().find(|(name, _)| *name == key).map(|(_, member)| member)
    }

    /// The JSON text of a keyword that is no schema.
    pub(crate) fn json(&self, key: &str) -> Option<&str> {
        match self.get(key) {
            Some(Member::Json(text)) => Some(text),
            _ => None,
        }
    }

    /// Takes a keyword out.
    pub(crate) fn remove(&mut self, key: &str) -> Option<Member> {
        let at = self.members.iter().position(|(name, _)| *name == key)?;
        Some(self.members.remove(at).1)
    }

    /// Whether there is nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.reference.is_none() && self.members.is_empty()
    }
}

impl Schema {
    /// A schema of the library.
    pub(crate) fn reference(at: At, name: &str) -> Self {
        let reference = Some(Reference { at, name: name.into() });
        Self::Keywords(Keywords { reference, members: Vec::new() })
    }

    /// Keywords whose values are JSON texts.
    pub(crate) fn of(members: &[(&'static str, &str)]) -> Self {
        let json = |&(key, text): &(&'static str, &str)| (key, Member::Json(text.into()));
        let members = members.iter().map(json).collect();
        Self::Keywords(Keywords { reference: None, members })
    }

    /// The keywords, of a boolean those that mean the same.
    pub(crate) fn into_keywords(self) -> Keywords {
        match self {
            Self::Keywords(keywords) => keywords,
            Self::Boolean(true) | Self::Missing { .. } => Keywords::default(),
            Self::Boolean(false) => {
                let not = ("not", Member::One(Self::Boolean(true)));
                Keywords { reference: None, members: vec![not] }
            }
        }
    }
}

/// All schemas of the documents, each translated when it is first needed.
pub(crate) struct Library<'d> {
    documents: &'d Documents,
    families: Families,
    translated: HashMap<(At, Direction), Rc<Schema>>,
    findings: Vec<Finding>,
    reported: HashSet<(&'static str, At)>,
    /// How many schemas may still be copied to where they are referred to, since they cannot be
    /// shared there.
    copies_left: u32,
}

/// Most schemas that are copied to where they are referred to.
const COPIES_MAX: u32 = 10_000;

impl<'d> Library<'d> {
    /// A library of these documents.
    pub(crate) fn new(documents: &'d Documents) -> Self {
        Self {
            documents,
            families: Families::of(documents),
            translated: HashMap::new(),
            findings: Vec::new(),
            reported: HashSet::new(),
            copies_left: COPIES_MAX,
        }
    }

    /// The documents.
    pub(crate) fn documents(&self) -> &'d Documents {
        self.documents
    }

    /// A schema of the documents as one that can stand anywhere; `name` is what it describes there.
    pub(crate) fn schema(&mut self, at: At, name: &str, direction: Direction) -> Schema {
        convert::schema(self, at, convert::Cx::new(name, direction))
    }

    /// What a reference refers to.
    pub(crate) fn target(&mut self, at: At, direction: Direction) -> Rc<Schema> {
        if let Some(known) = self.translated.get(&(at, direction)) {
            return Rc::clone(known);
        }
        let schema = match self.families.get(at) {
            Some(family) => family::schema(self, family),
            None => convert::schema(self, at, convert::Cx::new("", direction)),
        };
        let schema = Rc::new(schema);
        self.translated.insert((at, direction), Rc::clone(&schema));
        schema
    }

    /// The schema that a family builds on, if a place stands for a family.
    fn base_of_family(&self, at: At) -> Option<At> {
        self.families.get(at).map(|family| family.base)
    }

    /// Everything that was found since this was last called.
    pub(crate) fn take_findings(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.findings)
    }

    /// Reports what was found at a place, once.
    pub(crate) fn find(
        &mut self,
        severity: Severity,
        kind: &'static str,
        at: At,
        message: impl Into<String>,
    ) {
        if self.reported.insert((kind, at)) {
            let place = self.documents.place(at);
            let message = message.into();
            self.findings.push(Finding { severity, kind, operation: None, message, place });
        }
    }

    fn may_copy(&mut self) -> bool {
        self.copies_left = self.copies_left.saturating_sub(1);
        self.copies_left > 0
    }

    fn value(&self, at: At) -> Value<'d> {
        self.documents.value(at)
    }

    fn dialect(&self, at: At) -> Dialect {
        self.documents.dialect_of(at.document)
    }

    /// Whether keywords beside `$ref` count.
    fn keeps_siblings(&self, at: At) -> bool {
        matches!(self.dialect(at), Dialect::OpenApi31 | Dialect::OpenApi32)
    }

    /// Where the reference at a place leads, mere references followed; reports where it does not.
    fn lead(&mut self, at: At) -> Result<Reference, Schema> {
        let mut here = at;
        for _ in 0..HOPS_MAX {
            match self.documents.follow(here) {
                None => return Ok(Reference { at: here, name: "schema".into() }),
                Some(Err(dangling)) => {
                    let is_external = matches!(dangling.problem, Problem::NotLoaded { .. });
                    let message = format!("{dangling}; anything is taken in its place");
                    self.find(Severity::Warning, "reference-dangling", here, message);
                    return Err(Schema::Missing { is_external });
                }
                Some(Ok(next)) => {
                    if !self.is_mere_reference(next) {
                        let name = short_name(self.documents.reference(here).unwrap_or_default());
                        return Ok(Reference { at: next, name: name.into() });
                    }
                    here = next;
                }
            }
        }
        let message = "the reference leads back to itself; anything is taken in its place";
        self.find(Severity::Warning, "reference-circular", at, message);
        Err(Schema::Missing { is_external: false })
    }

    /// Whether a schema says nothing but where it refers to.
    fn is_mere_reference(&self, at: At) -> bool {
        let value = self.value(at);
        if self.documents.reference(at).is_none() {
            return false;
        }
        if self.keeps_siblings(at) {
            value.entries().all(|(key, _)| key.starts_with('$') || key == "summary")
                && dynamic::anchors(value).next().is_none()
        } else {
            value.text("description").is_none()
        }
    }

    /// The schema itself, behind all references; `None` if they lead nowhere.
    pub(crate) fn resolved(&self, at: At) -> Option<At> {
        self.documents.resolve(at).ok().map(|target| target.at)
    }
}

/// Most references that are followed one after the other.
const HOPS_MAX: usize = 100;

/// Longest name in `$defs`.
const NAME_LEN_MAX: usize = 40;

/// The last part of a reference as a name: of `#/components/schemas/com.example.Pet` it is `Pet`.
fn short_name(reference: &str) -> String {
    let (document, fragment) = reference.split_once('#').unwrap_or((reference, ""));
    let last = match fragment.trim_matches('/') {
        "" => {
            let file = document.rsplit('/').next().unwrap_or_default();
            file.rsplit_once('.').map_or(file, |(stem, _)| stem)
        }
        fragment => fragment.rsplit('/').next().unwrap_or_default(),
    };
    let decoded = percent_encoding::percent_decode_str(last).decode_utf8_lossy();
    // Names of packages in front of a type tell nothing; a version behind a dot is no type.
    let short = match decoded.rsplit_once('.') {
        Some((_, tail))
            if tail.len() > 2 && tail.starts_with(|c: char| c.is_ascii_alphabetic()) =>
        {
            tail
        }
        _ => &decoded,
    };
    let mut name = String::with_capacity(short.len());
    for c in short.chars() {
        match c {
            'A'..='Z' | 'a'..='z' | '0'..='9' | '-' | '.' => name.push(c),
            _ if name.ends_with('_') => {}
            _ => name.push('_'),
        }
    }
    let name: String = name.trim_matches('_').chars().take(NAME_LEN_MAX).collect();
    if name.is_empty() { "schema".to_owned() } else { name }
}

#[cfg(test)]
mod tests;
