//! What is different for clients between two readings of an API.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use wire::json::{Json, Kind, Object};

use super::Offered;
use crate::tool::Tool;

/// What is different. Tools are the same if they have the same name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Tools that are new, in the order of the new document.
    pub added: Vec<Named>,
    /// Tools that are gone, in the order of the old document.
    pub removed: Vec<Named>,
    /// Tools that clients see otherwise, in the order of the new document.
    pub changed: Vec<Changed>,
}

/// A tool, and what it calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The tool's name.
    pub name: String,
    /// Its operation, as `GET /path`.
    pub operation: String,
}

/// A tool that clients see otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The tool's name.
    pub name: String,
    /// What is different; never empty.
    pub changes: Vec<Change>,
}

/// One thing that is different about a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// A stable name of the kind of change: `operation`, `title`, `description`, `annotations`,
    /// `argument-added`, `argument-removed`, `argument-required`, `argument-optional`,
    /// `argument-changed`, `shared-schema`, `input`, `output`.
    pub kind: &'static str,
    /// What was changed, for people.
    pub message: String,
}

impl Difference {
    /// What is different in `new`.
    pub fn between(old: &[Offered], new: &[Offered]) -> Self {
        let before = by_name(old);
        let after = by_name(new);
        let mut difference = Self::default();
        for Offered { tool, .. } in new {
            let Some(old) = before.get(tool.name.as_str()) else {
                difference.added.push(named(tool));
                continue;
            };
            let changes = changes(old, tool);
            if !changes.is_empty() {
                difference.changed.push(Changed { name: tool.name.clone(), changes });
            }
        }
        let gone = old.iter().filter(|it| !after.contains_key(it.tool.name.as_str()));
        difference.removed = gone.map(|it| named(&it.tool)).collect();
        difference
    }

    /// Whether clients see the same tools.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

fn by_name(tools: &[Offered]) -> HashMap<&str, &Tool> {
    tools.iter().map(|it| (it.tool.name.as_str(), &it.tool)).collect()
}

fn named(tool: &Tool) -> Named {
    let operation = format!("{} {}", tool.operation.method, tool.operation.path);
    Named { name: tool.name.clone(), operation }
}

fn changes(old: &Tool, new: &Tool) -> Vec<Change> {
    let mut found = Found(Vec::new());
    if (&old.operation.method, &old.operation.path) != (&new.operation.method, &new.operation.path)
    {
        found.add(
            "operation",
            format!("calls {}, not {}", named(new).operation, named(old).operation),
        );
    }
    if old.definition == new.definition {
        return found.0;
    }
    let read = |tool: &Tool| Object::of_valid(&tool.definition).unwrap_or_else(Object::empty);
    let (old, new) = (read(old), read(new));
    for kind in ["title", "description", "annotations"] {
        let was = old.get(kind);
        let is = new.get(kind);
        if !are_same(was.as_ref(), is.as_ref()) {
            found.add(kind, format!("the {kind} {}", verb(was.is_some(), is.is_some(), kind)));
        }
    }
    let input = |of: &Object| of.object("inputSchema").unwrap_or_else(Object::empty);
    found.input(&input(&old), &input(&new));
    let (was, is) = (old.get("outputSchema"), new.get("outputSchema"));
    if !are_same(was.as_ref(), is.as_ref()) {
        let verb = verb(was.is_some(), is.is_some(), "outputSchema");
        found.add("output", format!("the output schema {verb}"));
    }
    found.0
}

/// What happened to something that was there or not, and is there or not.
fn verb(was: bool, is: bool, what: &str) -> &'static str {
    match (was, is, what) {
        (false, true, _) => "is new",
        (true, false, _) => "is gone",
        (_, _, "annotations") => "are different",
        _ => "is different",
    }
}

struct Found(Vec<Change>);

impl Found {
    fn add(&mut self, kind: &'static str, message: String) {
        self.0.push(Change { kind, message });
    }

    fn input(&mut self, old: &Object, new: &Object) {
        let (was_required, is_required) = (required(old), required(new));
        let (before, after) = (members(old, "properties"), members(new, "properties"));
        for (name, schema) in &after {
            let is_required = is_required.contains(name);
            match before.get(name) {
                None => {
                    let how = if is_required { "required" } else { "optional" };
                    self.add("argument-added", format!("argument `{name}` is new, {how}"));
                }
                Some(old) => {
                    match (was_required.contains(name), is_required) {
                        (false, true) => self
                            .add("argument-required", format!("argument `{name}` is required now")),
                        (true, false) => self
                            .add("argument-optional", format!("argument `{name}` is optional now")),
                        _ => {}
                    }
                    if !is_same(old, schema) {
                        self.add("argument-changed", format!("argument `{name}` is different"));
                    }
                }
            }
        }
        for name in before.keys().filter(|name| !after.contains_key(*name)) {
            self.add("argument-removed", format!("argument `{name}` is gone"));
        }
        let (before, after) = (members(old, "$defs"), members(new, "$defs"));
        let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
        for name in names {
            let (was, is) = (before.get(name), after.get(name));
            if !are_same(was, is) {
                let verb = verb(was.is_some(), is.is_some(), "$defs");
                self.add("shared-schema", format!("the schema `{name}` in arguments {verb}"));
            }
        }
        if !is_same(&rest(old), &rest(new)) {
            self.add("input", "what holds for all arguments together is different".to_owned());
        }
    }
}

/// The members of the object at a key; sorted, so that the report does not depend on the order.
fn members(schema: &Object, key: &str) -> BTreeMap<String, Json> {
    let Some(object) = schema.object(key) else { return BTreeMap::new() };
    object.members().map(|(name, value)| (name.into_owned(), value)).collect()
}

fn required(schema: &Object) -> BTreeSet<String> {
    let names = schema.get("required").and_then(|list| list.elements()).unwrap_or_default();
    names.iter().filter_map(|name| name.text().map(std::borrow::Cow::into_owned)).collect()
}

/// What a schema says beside its properties.
fn rest(schema: &Object) -> Json {
    let edits = ["properties", "required", "$defs"].map(wire::json::Edit::remove);
    schema.to_json(&edits)
}

fn are_same(old: Option<&Json>, new: Option<&Json>) -> bool {
    match (old, new) {
        (Some(old), Some(new)) => is_same(old, new),
        (None, None) => true,
        _ => false,
    }
}

/// Whether two values are equal; the order of members does not count. Definitions nest no deeper
/// than readers of JSON accept, so this ends.
fn is_same(old: &Json, new: &Json) -> bool {
    if old.as_bytes() == new.as_bytes() {
        return true;
    }
    if old.kind() != new.kind() {
        return false;
    }
    match old.kind() {
        Kind::Object => {
            let (Some(old), Some(new)) = (old.object(), new.object()) else { return false };
            old.len() == new.len()
                && old
                    .members()
                    .all(|(key, value)| new.get(&key).is_some_and(|new| is_same(&value, &new)))
        }
        Kind::Array => {
            let (old, new) =
                (old.elements().unwrap_or_default(), new.elements().unwrap_or_default());
            old.len() == new.len() && old.iter().zip(&new).all(|(old, new)| is_same(old, new))
        }
        Kind::String => old.text() == new.text(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::load;
    use super::*;

    const OLD: &str = r"
openapi: 3.1.0
paths:
  /pets:
    get:
      operationId: listPets
      parameters:
        - {name: limit, in: query, schema: {type: integer, maximum: 10}}
        - {name: owner, in: query, schema: {type: string}}
      responses: {'200': {description: All}}
  /pets/{id}:
    get:
      operationId: getPet
      summary: One pet
      parameters: [{name: id, in: path, required: true, schema: {type: string}}]
      responses: {'200': {description: One}}
  /owners:
    get: {operationId: listOwners, responses: {'200': {description: All}}}
";

    fn differences(old: &str, new: &str) -> Difference {
        Difference::between(&load(old).unwrap().tools, &load(new).unwrap().tools)
    }

    #[test]
    fn the_same_is_no_difference_whatever_the_order() {
        assert!(differences(OLD, OLD).is_empty());
        let turned = OLD.replace("{type: integer, maximum: 10}", "{maximum: 10, type: integer}");
        assert!(differences(OLD, &turned).is_empty());
    }

    #[test]
    fn what_clients_notice_is_named() {
        let new = OLD
            .replace("maximum: 10}", "maximum: 20}")
            .replace("{name: owner, in: query,", "{name: tag, in: query, required: true,")
            .replace("One pet", "A single pet")
            .replace("listOwners", "owners")
            .replace("/pets/{id}:", "/animals/{id}:");
        let difference = differences(OLD, &new);
        let names = |all: &[Named]| all.iter().map(|it| it.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&difference.added), ["owners"]);
        assert_eq!(names(&difference.removed), ["listOwners"]);
        let seen: Vec<_> = difference
            .changed
            .iter()
            .flat_map(|tool| tool.changes.iter().map(|it| format!("{} {}", tool.name, it.message)))
            .collect();
        assert_eq!(
            seen,
            [
                "listPets argument `limit` is different",
                "listPets argument `tag` is new, required",
                "listPets argument `owner` is gone",
                "getPet calls GET /animals/{id}, not GET /pets/{id}",
                "getPet the title is different",
                "getPet the description is different",
            ]
        );
    }

    #[test]
    fn required_and_optional_and_shared_schemas() {
        let document = |required: &str, bound: u32| {
            format!(
                "openapi: 3.1.0\n\
                 paths:\n\
                 \x20 /x:\n\
                 \x20   post:\n\
                 \x20     operationId: x\n\
                 \x20     parameters: [{{name: a, in: query, required: {required}, schema: {{type: integer}}}}]\n\
                 \x20     requestBody: {{content: {{application/json: {{schema: {{$ref: '#/components/schemas/Node'}}}}}}}}\n\
                 \x20     responses: {{'200': {{description: x}}}}\n\
                 components:\n\
                 \x20 schemas:\n\
                 \x20   Node:\n\
                 \x20     type: object\n\
                 \x20     properties: {{size: {{type: integer, maximum: {bound}}}, next: {{$ref: '#/components/schemas/Node'}}}}\n"
            )
        };
        let kinds = |difference: Difference| -> BTreeSet<&'static str> {
            difference
                .changed
                .iter()
                .flat_map(|tool| tool.changes.iter().map(|it| it.kind))
                .collect()
        };
        let difference = differences(&document("false", 1), &document("true", 1));
        assert_eq!(kinds(difference), BTreeSet::from(["argument-required"]));
        let difference = differences(&document("true", 1), &document("false", 1));
        assert_eq!(kinds(difference), BTreeSet::from(["argument-optional"]));
        let difference = differences(&document("true", 1), &document("true", 2));
        assert_eq!(kinds(difference), BTreeSet::from(["argument-changed", "shared-schema"]));
    }
}
