//! What several schemas say together: members taken out, discriminators, null, and wrappers.

use std::collections::HashSet;

use super::convert::ANNOTATIONS;
use super::scalar;
use super::{Direction, Keywords, Library, Member, Schema, short_name};
use crate::document::Documents;
use crate::model::At;
use crate::tree::{Kind, Value};

/// How many schemas deep compositions are looked through.
const DEPTH_MAX: u8 = 6;

/// How many schemas are looked at to answer one question: compositions of compositions multiply.
const LOOKS_MAX: usize = 300;

/// Whether a member is taken out for this direction (`readOnly`, `writeOnly`), also behind references
/// and in compositions.
pub(super) fn is_excluded(library: &Library<'_>, at: At, direction: Direction) -> bool {
    any(library, at, |at| library.value(at).flag(direction.excluded()) == Some(true))
}

/// Whether this is so for a schema, what it refers to, or one that holds together with it.
fn any(library: &Library<'_>, at: At, mut is_so: impl FnMut(At) -> bool) -> bool {
    let mut pending = vec![(at, 0)];
    let mut looks = 0;
    while let Some((at, depth)) = pending.pop() {
        let value = library.value(at);
        looks += 1;
        if is_so(at) {
            return true;
        }
        if depth > DEPTH_MAX || looks > LOOKS_MAX || value.kind() != Kind::Object {
            continue;
        }
        if library.documents.reference(at).is_some() {
            pending.extend(library.resolved(at).map(|target| (target, depth + 1)));
        }
        let branches = elements(value, "allOf").take(LOOKS_MAX);
        pending.extend(branches.map(|branch| (At { node: branch.id(), ..at }, depth + 1)));
    }
    false
}

/// Adds the names of members that are taken out of a schema and of those that hold together with it.
pub(super) fn excluded_names<'d: 'n, 'n>(
    library: &Library<'d>,
    at: At,
    direction: Direction,
    names: &mut HashSet<&'n str>,
) {
    let mut pending = vec![(at, 0)];
    let mut seen = HashSet::new();
    while let Some((at, depth)) = pending.pop() {
        let Some(at) = library.resolved(at) else { continue };
        if depth > DEPTH_MAX || seen.len() > LOOKS_MAX || !seen.insert(at) {
            continue;
        }
        let value = library.value(at);
        for (name, member) in value.get("properties").into_iter().flat_map(Value::entries) {
            if is_excluded(library, At { node: member.id(), ..at }, direction) {
                names.insert(name);
            }
        }
        let branches = elements(value, "allOf");
        pending.extend(branches.map(|branch| (At { node: branch.id(), ..at }, depth + 1)));
    }
}

fn elements<'d>(value: Value<'d>, key: &str) -> impl Iterator<Item = Value<'d>> + use<'d> {
    value.get(key).into_iter().flat_map(Value::elements)
}

/// Says by `const` in each branch which value of the discriminator chooses it. Where there are no
/// branches (2.0, inheritance by `allOf`) the discriminator stays as an annotation.
pub(super) fn discriminate(library: &Library<'_>, at: At, out: &mut Keywords) {
    let Some(discriminator) = Discriminator::of(library.documents, at) else { return };
    let mut has_branches = false;
    for key in ["oneOf", "anyOf"] {
        let Some((_, Member::Many(branches))) =
            out.members.iter_mut().find(|(known, _)| *known == key)
        else {
            continue;
        };
        let (mut default, mut values) = (None, Vec::new());
        for (branch, written) in branches.iter_mut().zip(elements(library.value(at), key)) {
            let written = At { node: written.id(), ..at };
            let Some(target) = library.resolved(written) else { continue };
            let name = library.documents.reference(written);
            let name = name.and_then(|reference| reference.rsplit(['/', '#']).next());
            if discriminator.default == Some(target) {
                default = Some(branch);
            } else {
                values.extend(discriminator.choose(library, target, name, branch));
            }
        }
        has_branches |= !values.is_empty();
        if let Some(branch) = default {
            discriminator.exclude(&values, branch);
        }
    }
    if !has_branches {
        discriminator.annotate(out);
    }
}

/// The member by whose value one of several schemas is chosen.
pub(super) struct Discriminator<'d> {
    pub(super) name: &'d str,
    /// As written.
    mapping: Vec<(&'d str, &'d str)>,
    /// The schemas that `mapping` leads to, with the values that choose them.
    mapped: Vec<(&'d str, At)>,
    /// The schema of all other values (3.2, `defaultMapping`).
    pub(super) default: Option<At>,
}

impl<'d> Discriminator<'d> {
    /// What a schema says about it.
    pub(super) fn of(documents: &'d Documents, at: At) -> Option<Self> {
        let discriminator = documents.value(at).get("discriminator")?;
        let name = discriminator.as_str().or_else(|| discriminator.text("propertyName"))?;
        let target = |reference: &str| {
            let target = documents.lookup(at, reference).ok()?;
            documents.resolve(target).ok().map(|target| target.at)
        };
        let entries = discriminator.get("mapping").into_iter().flat_map(Value::entries);
        let mapping: Vec<(&str, &str)> =
            entries.filter_map(|(key, value)| Some((key, value.as_str()?))).collect();
        let mapped = mapping.iter().filter_map(|(key, reference)| Some((*key, target(reference)?)));
        let mapped = mapped.collect();
        let default = discriminator.text("defaultMapping").and_then(target);
        Some(Self { name, mapping, mapped, default })
    }

    /// Makes a branch say by which values it is chosen, and gives them as JSON; none if that is not
    /// clear. `name` is the name under which its schema is declared.
    pub(super) fn choose(
        &self,
        library: &Library<'_>,
        target: At,
        name: Option<&str>,
        branch: &mut Schema,
    ) -> Vec<String> {
        let mapped = self.mapped.iter().filter(|(_, at)| *at == target);
        let mut values: Vec<String> = mapped.map(|(value, _)| scalar::quoted(value)).collect();
        if values.is_empty() {
            let Some(name) = name else { return values };
            values.push(scalar::quoted(name));
        }
        match allowed(library, target, self.name) {
            // The schema says it itself.
            Allowed::Values(known) if known.len() == 1 => return known,
            Allowed::Values(known) => {
                for value in &mut values {
                    let is_meant = |one: &&String| one.eq_ignore_ascii_case(value);
                    match known.iter().find(is_meant) {
                        Some(one) if !known.contains(value) => value.clone_from(one),
                        Some(_) => {}
                        // It says something else, which must hold.
                        None => return Vec::new(),
                    }
                }
            }
            Allowed::Text => {}
            Allowed::Unknown => return Vec::new(),
        }
        let Schema::Keywords(keywords) = branch else { return Vec::new() };
        if keywords.get("properties").is_some() || keywords.get("required").is_some() {
            return Vec::new();
        }
        let constant = match values.as_slice() {
            [one] => Schema::of(&[("const", one)]),
            several => Schema::of(&[("enum", &format!("[{}]", several.join(",")))]),
        };
        keywords.set("properties", Member::Map(vec![(self.name.into(), constant)]));
        if !is_required(library, target, self.name) {
            keywords.set("required", Member::Json(scalar::list(&[self.name]).into()));
        }
        values
    }

    /// Makes a branch say which values lead elsewhere.
    pub(super) fn exclude(&self, values: &[String], branch: &mut Schema) {
        let Schema::Keywords(keywords) = branch else { return };
        if values.is_empty() || keywords.get("properties").is_some() {
            return;
        }
        let others = Schema::of(&[("enum", &format!("[{}]", values.join(",")))]);
        let not = Keywords { reference: None, members: vec![("not", Member::One(others))] };
        let members = vec![(self.name.into(), Schema::Keywords(not))];
        keywords.set("properties", Member::Map(members));
    }

    /// The values that a schema lets it have, as JSON; none if it says nothing.
    pub(super) fn values(&self, library: &Library<'_>, at: At) -> Option<Vec<String>> {
        match allowed(library, at, self.name) {
            Allowed::Values(known) => Some(known),
            _ => None,
        }
    }

    /// Tells it without alternatives.
    fn annotate(&self, out: &mut Keywords) {
        let pairs: Vec<String> = self
            .mapping
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
        let text = format!("{{\"propertyName\":{}{mapping}}}", scalar::quoted(self.name));
        out.set("discriminator", Member::Json(text.into()));
    }

    /// The schemas that `mapping` leads to.
    pub(super) fn targets(&self) -> impl Iterator<Item = At> {
        self.mapped.iter().map(|(_, at)| *at).chain(self.default)
    }
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

fn allowed(library: &Library<'_>, at: At, name: &str) -> Allowed {
    let mut found = Allowed::Unknown;
    any(library, at, |at| {
        let properties = library.value(at).get("properties");
        let member = properties.and_then(|properties| properties.get(name));
        let member = member.and_then(|member| library.resolved(At { node: member.id(), ..at }));
        let Some(member) = member.map(|member| library.value(member)) else { return false };
        let known = match (member.get("const"), member.get("enum"), member.text("type")) {
            (Some(constant), ..) => Allowed::Values(vec![json(constant)]),
            (_, Some(values), _) => Allowed::Values(values.elements().map(json).collect()),
            (.., Some("string")) => Allowed::Text,
            _ => return false,
        };
        let is_certain = matches!(known, Allowed::Values(_));
        found = known;
        is_certain
    });
    found
}

fn is_required(library: &Library<'_>, at: At, name: &str) -> bool {
    any(library, at, |at| {
        elements(library.value(at), "required").any(|required| required.as_str() == Some(name))
    })
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
