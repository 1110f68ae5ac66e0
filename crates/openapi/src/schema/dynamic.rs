//! Dynamic references (JSON Schema 2020-12 §8.2.3.2): templates that are filled where they are used.
//!
//! `$dynamicRef: '#of'` in a template means the `$dynamicAnchor: of` of the outermost schema on the way
//! to it. A schema that refers to a template and has anchors of its own becomes a copy of the template, in
//! which its dynamic references lead to these anchors.

use super::{Library, Reference};
use crate::model::At;
use crate::tree::{Kind, Value};

/// What dynamic references of one name mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Binding<'d> {
    name: &'d str,
    at: At,
}

/// How many values of a template are looked at for dynamic references.
const LOOKS_MAX: usize = 2_000;

/// Where a dynamic reference leads by these bindings; none if it is no such reference, or leads where
/// the document says.
pub(super) fn bound(library: &Library<'_>, at: At, bindings: &[Binding<'_>]) -> Option<Reference> {
    if bindings.is_empty() {
        return None;
    }
    let name = library.value(at).text("$dynamicRef")?.strip_prefix('#')?;
    let binding = bindings.iter().find(|binding| binding.name == name)?;
    Some(Reference { at: binding.at, name: super::short_name(name).into() })
}

/// What the dynamic references of `template` mean where the schema `at` refers to it: those that the
/// schemas around have bound, then what this one has. Empty if the template has no such references.
pub(super) fn bindings<'d>(
    library: &Library<'d>,
    at: At,
    template: At,
    outer: &[Binding<'d>],
) -> Vec<Binding<'d>> {
    let value = library.value(at);
    if value.get("$ref").is_none() {
        return Vec::new();
    }
    let mut all = outer.to_vec();
    for (name, value) in anchors(value) {
        if !all.iter().any(|binding| binding.name == name) {
            all.push(Binding { name, at: At { node: value.id(), ..at } });
        }
    }
    if all.is_empty() || !refers(library.value(template), &all) {
        return Vec::new();
    }
    all
}

/// The dynamic anchors that a schema has itself, and those of its definitions.
pub(super) fn anchors(schema: Value<'_>) -> impl Iterator<Item = (&str, Value<'_>)> {
    let definitions = schema.get("$defs").into_iter().flat_map(Value::entries);
    let all = std::iter::once(schema).chain(definitions.map(|(_, value)| value));
    all.filter_map(|value| Some((value.text("$dynamicAnchor")?, value)))
}

/// Whether a dynamic reference of one of these names stands somewhere in a schema.
fn refers(schema: Value<'_>, bindings: &[Binding<'_>]) -> bool {
    let mut pending = vec![schema];
    for _ in 0..LOOKS_MAX {
        let Some(value) = pending.pop() else { return false };
        let name = value.text("$dynamicRef").and_then(|reference| reference.strip_prefix('#'));
        if name.is_some_and(|name| bindings.iter().any(|binding| binding.name == name)) {
            return true;
        }
        let is_container = |value: &Value<'_>| matches!(value.kind(), Kind::Array | Kind::Object);
        pending.extend(value.members().filter(is_container));
    }
    false
}
