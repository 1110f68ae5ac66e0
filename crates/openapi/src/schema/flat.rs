//! Bodies whose members can stand beside other arguments.

use std::collections::HashSet;

use super::{Direction, Library, composition, dynamic};
use crate::model::At;
use crate::tree::{Kind, Value};

/// An object whose members say everything that there is to say.
#[derive(Debug, Default)]
pub(crate) struct Flat {
    /// The members, in order.
    pub(crate) members: Vec<Member>,
    /// `description` of the whole.
    pub(crate) description: Option<String>,
    /// Fewest members.
    pub(crate) members_min: usize,
}

/// One member.
#[derive(Debug)]
pub(crate) struct Member {
    /// The name.
    pub(crate) name: String,
    /// Its schemas, which hold together; none where anything goes.
    pub(crate) schemas: Vec<At>,
    /// Whether it must be there.
    pub(crate) is_required: bool,
}

/// Most members that stand beside other arguments.
const MEMBERS_MAX: usize = 500;

/// How deep compositions are looked through, and how many parts they may have.
const DEPTH_MAX: u8 = 16;
const PARTS_MAX: usize = 100;

/// The object at a place as its members; `None` if it is no object, or says more than its members do
/// (alternatives, conditions, members of any name).
pub(crate) fn flat(library: &Library<'_>, at: At, direction: Direction) -> Option<Flat> {
    let mut gathering = Gathering {
        library,
        direction,
        flat: Flat::default(),
        required: Vec::new(),
        parts: 0,
        closed: 0,
    };
    gathering.part(at, 0)?;
    let Gathering { mut flat, required, parts, closed, .. } = gathering;
    // A part that allows no other members forbids those of the other parts.
    if required.len() > MEMBERS_MAX || closed > 0 && parts > 1 {
        return None;
    }
    if flat.members.is_empty() && closed == 0 {
        return None;
    }
    let mut excluded = HashSet::new();
    composition::excluded_names(library, at, direction, &mut excluded);
    for name in required {
        if excluded.contains(name) {
            continue;
        }
        match flat.members.iter_mut().find(|member| member.name == name) {
            Some(member) => member.is_required = true,
            // Demanded, and described nowhere.
            None if closed == 0 => {
                let member = Member { name: name.into(), schemas: Vec::new(), is_required: true };
                flat.members.push(member);
            }
            None => return None,
        }
    }
    Some(flat)
}

struct Gathering<'l, 'd> {
    library: &'l Library<'d>,
    direction: Direction,
    flat: Flat,
    required: Vec<&'d str>,
    parts: usize,
    /// How many parts allow no other members.
    closed: usize,
}

impl<'d> Gathering<'_, 'd> {
    fn part(&mut self, at: At, depth: u8) -> Option<()> {
        self.parts += 1;
        if depth > DEPTH_MAX || self.parts > PARTS_MAX {
            return None;
        }
        let library = self.library;
        let target = library.documents().resolve(at).ok()?;
        // A template is another schema wherever it is filled.
        let fills = |at: &At| dynamic::anchors(library.value(*at)).next().is_some();
        if target.passed.iter().any(fills) {
            return None;
        }
        // Keywords beside a reference hold together with it.
        for &beside in target.siblings.iter().filter(|at| library.keeps_siblings(**at)) {
            self.keywords(beside, depth)?;
        }
        self.keywords(target.at, depth)
    }

    fn keywords(&mut self, at: At, depth: u8) -> Option<()> {
        let value = self.library.documents().value(at);
        if value.kind() != Kind::Object {
            return None;
        }
        for (key, value) in value.entries() {
            match key {
                "type" if is_object(value) => {}
                "properties" if value.kind() == Kind::Object => self.members(at, value)?,
                "required" if value.kind() == Kind::Array => {
                    self.required.extend(value.elements().filter_map(Value::as_str));
                }
                "description" => {
                    let text = value.as_str().map(str::trim).filter(|text| !text.is_empty());
                    if let Some(text) = text.filter(|_| self.flat.description.is_none()) {
                        self.flat.description = Some(text.to_owned());
                    }
                }
                "additionalProperties" | "unevaluatedProperties"
                    if value.as_bool() == Some(false) =>
                {
                    self.closed += 1;
                }
                "minProperties" => {
                    let least = value.scalar().and_then(|text| text.parse().ok()).unwrap_or(0);
                    self.flat.members_min = self.flat.members_min.max(least);
                }
                "allOf" if value.kind() == Kind::Array => {
                    for branch in value.elements() {
                        self.part(At { node: branch.id(), ..at }, depth + 1)?;
                    }
                }
                "type"
                | "properties"
                | "additionalProperties"
                | "unevaluatedProperties"
                | "maxProperties"
                | "patternProperties"
                | "propertyNames"
                | "dependentRequired"
                | "dependentSchemas"
                | "dependencies"
                | "allOf"
                | "anyOf"
                | "oneOf"
                | "not"
                | "if"
                | "enum"
                | "const"
                | "discriminator" => return None,
                _ => {}
            }
        }
        Some(())
    }

    fn members(&mut self, at: At, properties: Value<'d>) -> Option<()> {
        if properties.len() + self.flat.members.len() > MEMBERS_MAX {
            return None;
        }
        for (name, value) in properties.entries() {
            let schema = At { node: value.id(), ..at };
            if composition::is_excluded(self.library, schema, self.direction) {
                continue;
            }
            match self.flat.members.iter_mut().find(|member| member.name == name) {
                Some(member) if member.schemas.contains(&schema) => {}
                Some(member) => member.schemas.push(schema),
                None => {
                    let schemas = vec![schema];
                    let member = Member { name: name.into(), schemas, is_required: false };
                    self.flat.members.push(member);
                }
            }
        }
        Some(())
    }
}

/// Whether the type is `object`, or may be.
fn is_object(types: Value<'_>) -> bool {
    match types.kind() {
        Kind::Array => types.elements().any(|one| one.as_str() == Some("object")),
        _ => types.as_str() == Some("object"),
    }
}
