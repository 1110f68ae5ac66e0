//! Output schemas of any root for clients that know objects only: wrapped as the member `result`,
//! with every local reference still leading to what it meant.

use crate::json::schema::{DEPTH_MAX, PROPERTIES, SCHEMA_MAPS, SCHEMAS};
use crate::json::{Edit, Json, Kind, Object, write_string};

/// Where the wrapped schema stands in its wrapper.
const PLACE: &str = "#/properties/result";

/// Definitions that are moved to the wrapper's root, so that references to them stay as they are:
/// not every reader follows others.
const HOISTED: [&str; 2] = ["$defs", "definitions"];

/// Keywords that refer to another schema.
const REFERENCES: &[&str] = &["$ref", "$dynamicRef"];

/// Whether a schema is one of objects in the way that legacy versions demand.
pub(super) fn is_object(schema: &Object) -> bool {
    schema.text("type").as_deref() == Some("object")
}

/// The schema of `{"result": VALUE}` for a schema of `VALUE`.
pub(super) fn wrapped(schema: &Object) -> Json {
    let mut out = vec![b'{'];
    if let Some(dialect) = schema.raw("$schema") {
        write_member(&mut out, "$schema", dialect);
    }
    write_member(&mut out, "type", b"\"object\"");
    // A schema with an `$id` is where its references count from, wherever it stands.
    let hoisted = if is_resource(schema) { Vec::new() } else { definitions(schema) };
    let moved = Moved { hoisted: hoisted.iter().map(|(key, _)| *key).collect() };
    let mut result = b"{\"result\":".to_vec();
    if is_resource(schema) {
        schema.splice(&[], &mut result);
    } else {
        let mut edits = vec![Edit::remove("$schema")];
        edits.extend(moved.hoisted.iter().map(|key| Edit::remove(key)));
        moved.write_schema(&schema.with(&edits), 0, &mut result);
    }
    result.push(b'}');
    write_member(&mut out, "properties", &result);
    write_member(&mut out, "required", b"[\"result\"]");
    for (key, definitions) in &hoisted {
        write_member(&mut out, key, b"");
        moved.write_map(definitions, 0, &mut out);
    }
    out.push(b'}');
    Json::trusted(out)
}

/// The schema's definitions that are moved to the wrapper's root.
fn definitions(schema: &Object) -> Vec<(&'static str, Object)> {
    HOISTED.into_iter().filter_map(|key| Some((key, schema.object(key)?))).collect()
}

/// Whether a schema has a base of its own: `$id` is more than a draft 7 anchor.
fn is_resource(schema: &Object) -> bool {
    schema.text("$id").is_some_and(|id| !id.is_empty() && !id.starts_with('#'))
}

fn write_member(out: &mut Vec<u8>, key: &str, value: &[u8]) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    write_string(out, key);
    out.push(b':');
    out.extend_from_slice(value);
}

/// A schema that moved below [`PLACE`], except its hoisted definitions.
struct Moved {
    hoisted: Vec<&'static str>,
}

impl Moved {
    /// Writes a schema with its references corrected. Only where schemas stand: a `$ref` in a
    /// `const`, or a property of that name, is a value like any other.
    fn write_schema(&self, schema: &Object, depth: usize, out: &mut Vec<u8>) {
        if depth >= DEPTH_MAX || (depth > 0 && is_resource(schema)) {
            schema.splice(&[], out);
            return;
        }
        out.push(b'{');
        for (key, value) in schema.members() {
            if REFERENCES.contains(&&*key)
                && let Some(corrected) = value.text().and_then(|target| self.corrected(&target))
            {
                write_member(out, &key, Json::string(&corrected).as_bytes());
                continue;
            }
            write_member(out, &key, b"");
            if SCHEMAS.contains(&&*key) {
                self.write_schemas(&value, depth + 1, out);
            } else if (*key == *PROPERTIES || SCHEMA_MAPS.contains(&&*key))
                && let Some(map) = value.object()
            {
                self.write_map(&map, depth + 1, out);
            } else {
                out.extend_from_slice(value.as_bytes());
            }
        }
        out.push(b'}');
    }

    fn write_map(&self, map: &Object, depth: usize, out: &mut Vec<u8>) {
        out.push(b'{');
        for (name, value) in map.members() {
            write_member(out, &name, b"");
            self.write_schemas(&value, depth + 1, out);
        }
        out.push(b'}');
    }

    /// Writes a schema, an array of schemas, or whatever else stands in their place.
    fn write_schemas(&self, value: &Json, depth: usize, out: &mut Vec<u8>) {
        match value.kind() {
            Kind::Object => {
                let schema = value.object().expect("its kind is object");
                self.write_schema(&schema, depth, out);
            }
            Kind::Array if depth < DEPTH_MAX => {
                out.push(b'[');
                for (at, element) in value.elements().into_iter().flatten().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    self.write_schemas(&element, depth + 1, out);
                }
                out.push(b']');
            }
            _ => out.extend_from_slice(value.as_bytes()),
        }
    }

    /// The new target of a reference; `None` if it stays what it is: an anchor, another document, or
    /// a definition that moved along.
    fn corrected(&self, target: &str) -> Option<String> {
        let pointer = match target.strip_prefix('#') {
            None if target.is_empty() => "",
            None => return None,
            Some(pointer) => pointer,
        };
        let steps = match pointer.strip_prefix('/') {
            None if pointer.is_empty() => return Some(PLACE.to_owned()),
            None => return None,
            Some(steps) => steps,
        };
        let first = steps.split('/').next().unwrap_or_default();
        let is_hoisted = self.hoisted.iter().any(|key| *key == first.replace("%24", "$"));
        (!is_hoisted).then(|| format!("{PLACE}/{steps}"))
    }
}
