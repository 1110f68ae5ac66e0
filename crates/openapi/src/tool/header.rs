//! `x-mcp-header`: which arguments a client repeats in a header of its request to the gate.
//!
//! One valid annotation too few costs a header, one invalid costs the tool, since clients must drop it.
//! So an annotation is kept only where the protocol allows it, and everything else is told.

use std::collections::HashSet;

use super::argument::{Planned, annotate};
use super::name::title;
use crate::document::Documents;
use crate::model::{At, Operation};
use crate::report::{Finding, Report, Severity};
use crate::schema::{Direction, Library, Member, Schema, scalar};

/// How deep in an argument members are looked at.
const LEVELS_MAX: usize = 8;

/// Keeps the annotations of arguments and of members of arguments.
pub(super) fn keep(
    library: &mut Library<'_>,
    operation: &Operation,
    arguments: &mut [Planned],
    report: &mut Report,
) {
    let documents = library.documents();
    let mut headers = Headers { operation, report, taken: HashSet::new() };
    for planned in &mut *arguments {
        let Some(header) = planned.header.take().filter(|_| planned.is_visible()) else { continue };
        let is_primitive = is_primitive(library, &mut planned.schema);
        headers.keep(&header, &planned.argument.name, is_primitive, &mut planned.schema);
    }
    // Arguments themselves go first, so that a member further down takes none away.
    for planned in arguments.iter_mut().filter(|planned| planned.is_visible()) {
        let Some(schema) = planned.argument.schema else { continue };
        let name = planned.argument.name.clone();
        headers.keep_inside(documents, schema.at, &mut planned.schema, &name, 0);
    }
}

struct Headers<'a> {
    operation: &'a Operation,
    report: &'a mut Report,
    /// In lower case.
    taken: HashSet<String>,
}

impl Headers<'_> {
    fn keep(&mut self, header: &str, name: &str, is_primitive: bool, schema: &mut Schema) {
        let is_token =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let problem = if header.is_empty() || !header.bytes().all(is_token) {
            "it is no name of a header"
        } else if !is_primitive {
            "only a string, an integer or a boolean can have one"
        } else if !self.taken.insert(header.to_ascii_lowercase()) {
            "another argument has the same"
        } else {
            let text = scalar::quoted(header);
            return annotate(schema, "x-mcp-header", Member::Json(text.into()));
        };
        self.report.add(Finding {
            severity: Severity::Warning,
            kind: "header-annotation-invalid",
            operation: Some(title(self.operation)),
            message: format!("`x-mcp-header: {header}` of `{name}` is left out: {problem}"),
            place: self.operation.place.clone(),
        });
    }

    /// Keeps those of members that are reached by nothing but `properties`.
    fn keep_inside(
        &mut self,
        documents: &Documents,
        at: At,
        schema: &mut Schema,
        name: &str,
        level: usize,
    ) {
        let Schema::Keywords(keywords) = schema else { return };
        let Some(written) = documents.value(at).get("properties") else { return };
        if keywords.reference.is_some() || level >= LEVELS_MAX {
            return;
        }
        let members = keywords.members.iter_mut().find(|(key, _)| *key == "properties");
        let Some((_, Member::Map(members))) = members else { return };
        for (key, member) in members {
            let Some(value) = written.get(key) else { continue };
            let Schema::Keywords(keywords) = &*member else { continue };
            if keywords.reference.is_some() {
                continue;
            }
            let name = format!("{name}.{key}");
            if let Some(header) = value.text("x-mcp-header") {
                let is_primitive = keywords.json("type").is_some_and(|it| TYPES.contains(&it));
                self.keep(header, &name, is_primitive, member);
            }
            let at = At { node: value.id(), ..at };
            self.keep_inside(documents, at, member, &name, level + 1);
        }
    }
}

/// The types that a header can carry.
const TYPES: [&str; 3] = ["\"string\"", "\"integer\"", "\"boolean\""];

/// Whether a schema is one of a type that a header can carry; without a reference after this.
fn is_primitive(library: &mut Library<'_>, schema: &mut Schema) -> bool {
    let Schema::Keywords(keywords) = &*schema else { return false };
    let mut keywords = keywords.clone();
    if let Some(reference) = keywords.reference.take() {
        let target = library.target(reference.at, Direction::Request);
        let Schema::Keywords(target) = &*target else { return false };
        if target.reference.is_some() {
            return false;
        }
        for (key, member) in &target.members {
            if keywords.get(key).is_none() {
                keywords.members.push((key, member.clone()));
            }
        }
    }
    let is_primitive = keywords.json("type").is_some_and(|name| TYPES.contains(&name));
    if is_primitive {
        *schema = Schema::Keywords(keywords);
    }
    is_primitive
}
