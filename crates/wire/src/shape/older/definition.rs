//! Definitions of tools, prompts and resources for older clients.

use super::{Changes, elements_with, older_annotations, output};
use crate::json::{Edit, Json, Kind, Object, write_string};
use crate::method::Method;
use crate::version::{Era, Version};

/// One element of the list that `method` asks for, for a client of `version`; `None` where nothing
/// has to change.
pub fn definition(method: Method, definition: &Object, version: Version) -> Option<Object> {
    if version.era() == Era::Modern || !method.is_list() {
        return None;
    }
    let mut changes = Changes::default();
    if version < Version::V2025_06_18 {
        changes.remove(definition, "title");
    }
    if version < Version::V2025_11_25 {
        changes.remove(definition, "icons");
    }
    match method {
        Method::ToolsList => tool(definition, version, &mut changes),
        Method::PromptsList if version < Version::V2025_06_18 => {
            let arguments = definition.get("arguments");
            changes.maybe("arguments", arguments.as_ref().and_then(untitled));
        }
        Method::PromptsList => {}
        _ => changes.maybe("annotations", older_annotations(definition, version)),
    }
    changes.apply(definition)
}

fn tool(tool: &Object, version: Version, changes: &mut Changes) {
    if version < Version::V2025_11_25 {
        changes.remove(tool, "execution");
    }
    if version < Version::V2025_03_26 {
        changes.remove(tool, "annotations");
    } else if version < Version::V2025_06_18
        && let Some(title) = tool.get("title").filter(|title| title.kind() == Kind::String)
    {
        let annotations = tool.object("annotations").unwrap_or_else(Object::empty);
        if !annotations.has("title") {
            let edit = Edit::set("title", title.as_bytes());
            changes.set("annotations", annotations.to_json(&[edit]));
        }
    }
    let input = tool.object("inputSchema");
    changes.maybe("inputSchema", input.and_then(|schema| with_object_properties(&schema)));
    if version < Version::V2025_06_18 {
        changes.remove(tool, "outputSchema");
        return;
    }
    match tool.object("outputSchema") {
        Some(schema) if output::is_object(&schema) => {
            changes.maybe("outputSchema", with_object_properties(&schema));
        }
        Some(schema) => changes.set("outputSchema", output::wrapped(&schema)),
        None => changes.remove(tool, "outputSchema"),
    }
}

/// The arguments of a prompt without their titles.
fn untitled(arguments: &Json) -> Option<Json> {
    elements_with(arguments, |argument| {
        let argument = argument.object()?;
        argument.has("title").then(|| argument.to_json(&[Edit::remove("title")]))
    })
}

/// A schema whose properties are all objects: before 2026-07-28 they cannot be `true` or `false`.
fn with_object_properties(schema: &Object) -> Option<Json> {
    let properties = schema.object("properties")?;
    if properties.members().all(|(_, property)| property.kind() != Kind::Bool) {
        return None;
    }
    let mut out = vec![b'{'];
    for (name, property) in properties.members() {
        if out.len() > 1 {
            out.push(b',');
        }
        write_string(&mut out, &name);
        out.push(b':');
        out.extend_from_slice(match property.as_bool() {
            Some(true) => b"{}",
            Some(false) => b"{\"not\":{}}",
            None => property.as_bytes(),
        });
    }
    out.push(b'}');
    Some(schema.to_json(&[Edit::set("properties", &out)]))
}
