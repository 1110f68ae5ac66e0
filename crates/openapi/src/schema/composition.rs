//! What several schemas say together: members taken out, discriminators, null, and wrappers.

use super::convert::ANNOTATIONS;
use super::scalar;
use super::{Direction, Keywords, Library, Member, Schema, short_name};
use crate::model::At;
use crate::tree::{Kind, Value};

/// How many schemas deep compositions are looked through.
const DEPTH_MAX: u8 = 6;

/// Whether a member is taken out for this direction (`readOnly`, `writeOnly`), also behind references
/// and in compositions.
pub(super) fn is_excluded(library: &Library<'_>, at: At, direction: Direction) -> bool {
    excluded(library, at, direction.excluded(), 0)
}

fn excluded(library: &Library<'_>, at: At, keyword: &str, depth: u8) -> bool {
    let value = library.value(at);
    if value.flag(keyword) == Some(true) {
        return true;
    }
    if depth > DEPTH_MAX || value.kind() != Kind::Object {
        return false;
    }
    if library.documents.reference(at).is_some() {
        let target = library.resolved(at);
        return target.is_some_and(|target| excluded(library, target, keyword, depth + 1));
    }
    elements(value, "allOf")
        .any(|branch| excluded(library, At { node: branch.id(), ..at }, keyword, depth + 1))
}

/// Adds the names of members that are taken out of a schema and of those that hold together with it.
pub(super) fn excluded_names<'d: 'n, 'n>(
    library: &Library<'d>,
    at: At,
    direction: Direction,
    names: &mut Vec<&'n str>,
) {
    collect_names(library, at, direction, names, 0);
}

fn collect_names<'d: 'n, 'n>(
    library: &Library<'d>,
    at: At,
    direction: Direction,
    names: &mut Vec<&'n str>,
    depth: u8,
) {
    let Some(at) = library.resolved(at).filter(|_| depth <= DEPTH_MAX) else { return };
    let value = library.value(at);
    for (name, member) in value.get("properties").into_iter().flat_map(Value::entries) {
        let member = At { node: member.id(), ..at };
        if is_excluded(library, member, direction) && !names.contains(&name) {
            names.push(name);
        }
    }
    for branch in elements(value, "allOf") {
        let branch = At { node: branch.id(), ..at };
        collect_names(library, branch, direction, names, depth + 1);
    }
}

fn elements<'d>(value: Value<'d>, key: &str) -> impl Iterator<Item = Value<'d>> + use<'d> {
    value.get(key).into_iter().flat_map(Value::elements)
}

/// Says by `const` in each branch which value of the discriminator chooses it. Where there are no
/// branches (2.0, inheritance by `allOf`) the discriminator stays as an annotation.
pub(super) fn discriminate(library: &Library<'_>, at: At, out: &mut Keywords) {
    let value = library.value(at);
    let Some(discriminator) = value.get("discriminator") else { return };
    let name = discriminator.as_str().or_else(|| discriminator.text("propertyName"));
    let Some(name) = name else { return };
    let mapping: Vec<(&str, &str)> = discriminator
        .get("mapping")
        .into_iter()
        .flat_map(Value::entries)
        .filter_map(|(key, value)| Some((key, value.as_str()?)))
        .collect();
    let mut has_branches = false;
    for key in ["oneOf", "anyOf"] {
        let Some((_, Member::Many(branches))) =
            out.members.iter_mut().find(|(known, _)| *known == key)
        else {
            continue;
        };
        for (branch, written) in branches.iter_mut().zip(elements(value, key)) {
            let written = At { node: written.id(), ..at };
            has_branches |= choose(library, at, written, name, &mapping, branch);
        }
    }
    if !has_branches {
        let pairs: Vec<String> = mapping
            .iter()
            .map(|(key, target)| {
                let target = if target.contains(['/', '#']) {
                    short_name(target)
                } else {
                    (*target).to_owned()
                };
                format!("{}:{}", scalar::quoted(key), scalar::quoted(&target))
            })
            .collect();
        let mapping = if pairs.is_empty() {
            String::new()
        } else {
            format!(",\"mapping\":{{{}}}", pairs.join(","))
        };
        let text = format!("{{\"propertyName\":{}{mapping}}}", scalar::quoted(name));
        out.set("discriminator", Member::Json(text.into()));
    }
}

/// Whether a branch says, after this, by which value of the discriminator it is chosen.
fn choose(
    library: &Library<'_>,
    at: At,
    written: At,
    name: &str,
    mapping: &[(&str, &str)],
    branch: &mut Schema,
) -> bool {
    let (Schema::Keywords(keywords), Some(target)) = (branch, library.resolved(written)) else {
        return false;
    };
    let leads_here = |reference: &str| {
        library.documents.lookup(at, reference).ok().and_then(|at| library.resolved(at))
            == Some(target)
    };
    let mut values: Vec<String> = mapping
        .iter()
        .filter(|(_, reference)| leads_here(reference))
        .map(|(value, _)| scalar::quoted(value))
        .collect();
    if values.is_empty() {
        let Some(reference) = library.documents.reference(written) else { return false };
        let last = reference.rsplit(['/', '#']).next().unwrap_or_default();
        values.push(scalar::quoted(last));
    }
    match allowed(library, target, name, 0) {
        Allowed::Values(known) => {
            // The schema says it itself, or says something else that must hold.
            if known.len() == 1 || values.iter().any(|value| !known.contains(value)) {
                return known.len() == 1;
            }
        }
        Allowed::Text => {}
        Allowed::Unknown => return false,
    }
    if keywords.get("properties").is_some() || keywords.get("required").is_some() {
        return false;
    }
    let constant = match values.as_slice() {
        [one] => Schema::of(&[("const", one)]),
        several => Schema::of(&[("enum", &format!("[{}]", several.join(",")))]),
    };
    keywords.set("properties", Member::Map(vec![(name.into(), constant)]));
    if !is_required(library, target, name, 0) {
        keywords.set("required", Member::Json(scalar::list(&[name]).into()));
    }
    true
}

/// What a discriminator may be.
enum Allowed {
    /// One of these JSON values.
    Values(Vec<String>),
    /// Any text.
    Text,
    /// It is no text, or is not there.
    Unknown,
}

fn allowed(library: &Library<'_>, at: At, name: &str, depth: u8) -> Allowed {
    let Some(at) = library.resolved(at).filter(|_| depth <= DEPTH_MAX) else {
        return Allowed::Unknown;
    };
    let value = library.value(at);
    let mut found = Allowed::Unknown;
    if let Some(member) = value.get("properties").and_then(|properties| properties.get(name)) {
        let member = library.resolved(At { node: member.id(), ..at });
        let member = member.map(|member| library.value(member));
        found = match member {
            Some(member) if member.get("const").is_some() => {
                Allowed::Values(member.get("const").into_iter().map(json).collect())
            }
            Some(member) if member.get("enum").is_some() => {
                Allowed::Values(elements(member, "enum").map(json).collect())
            }
            Some(member) if member.text("type") == Some("string") => Allowed::Text,
            _ => Allowed::Unknown,
        };
    }
    for branch in elements(value, "allOf") {
        match (&found, allowed(library, At { node: branch.id(), ..at }, name, depth + 1)) {
            (Allowed::Values(_), _) | (_, Allowed::Unknown) => {}
            (_, better) => found = better,
        }
    }
    found
}

fn is_required(library: &Library<'_>, at: At, name: &str, depth: u8) -> bool {
    let Some(at) = library.resolved(at).filter(|_| depth <= DEPTH_MAX) else { return false };
    let value = library.value(at);
    elements(value, "required").any(|required| required.as_str() == Some(name))
        || elements(value, "allOf")
            .any(|branch| is_required(library, At { node: branch.id(), ..at }, name, depth + 1))
}

fn json(value: Value<'_>) -> String {
    let mut text = Vec::new();
    value.write_json(&mut text);
    String::from_utf8(text).expect("JSON text is UTF-8")
}

/// Lets `null` fit, too.
pub(super) fn nullable(out: &mut Keywords) {
    let null = || Schema::of(&[("type", "\"null\"")]);
    let composed = ["allOf", "not", "if"].iter().any(|key| out.get(key).is_some());
    let alternatives = |key| matches!(out.get(key), Some(Member::Many(_)));
    let (any, one) = (alternatives("anyOf"), alternatives("oneOf"));
    if out.reference.is_some() || composed || any && one {
        let (outer, inner) = out
            .members
            .drain(..)
            .partition(|(key, _)| ANNOTATIONS.contains(key) && *key != "discriminator");
        let mut inner = Keywords { reference: out.reference.take(), members: inner };
        unwrap_single(&mut inner);
        out.members = outer;
        out.set("anyOf", Member::Many(vec![Schema::Keywords(inner), null()]));
        return;
    }
    let has_type = match out.json("type") {
        Some(types) if types.contains("\"null\"") => true,
        Some(types) => {
            let types = types.trim_matches(['[', ']']);
            let types = format!("[{types},\"null\"]");
            out.set("type", Member::Json(types.into()));
            true
        }
        None => false,
    };
    let has_null = |text: &str| {
        text.ends_with(",null]") || text.starts_with("[null") || text.contains(",null,")
    };
    if let Some(values) = out.json("enum").filter(|values| !has_null(values)) {
        let values = format!("{},null]", &values[..values.len() - 1]);
        out.set("enum", Member::Json(values.into()));
    }
    let key = if any { "anyOf" } else { "oneOf" };
    if let Some((_, Member::Many(branches))) =
        out.members.iter_mut().find(|(known, _)| *known == key)
    {
        branches.push(null());
    } else if !has_type && let Some(constant) = out.json("const").map(str::to_owned) {
        out.remove("const");
        out.set("enum", Member::Json(format!("[{constant},null]").into()));
    }
}

/// Makes one schema of `allOf` with a single branch where that means the same.
pub(super) fn unwrap_single(out: &mut Keywords) {
    let Some(Member::Many(branches)) = out.get("allOf") else { return };
    let [Schema::Keywords(branch)] = branches.as_slice() else { return };
    let says_nothing_else =
        out.members.iter().all(|(key, _)| *key == "allOf" || ANNOTATIONS.contains(key));
    let is_mere_reference = branch.members.is_empty();
    if out.reference.is_some() || !(says_nothing_else || is_mere_reference) {
        return;
    }
    let branch = branch.clone();
    out.remove("allOf");
    out.reference = branch.reference;
    for (key, member) in branch.members {
        if out.get(key).is_none() {
            out.members.push((key, member));
        }
    }
}
