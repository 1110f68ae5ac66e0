//! What servers answer and list, for clients of an older version than the server's: without what the
//! version does not have, and with as much of it as it can express.
//!
//! Within one version nothing here is used, and towards 2026-07-28 nothing changes.

mod content;
mod definition;
mod output;

use crate::json::{Edit, Json, Object};
use crate::method::Method;
use crate::version::{Era, Version};

pub use definition::definition;

/// What is known of a tool's structured results from its `outputSchema`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Output {
    /// There is no schema, or it was never seen: only values that are no object are wrapped.
    #[default]
    Unknown,
    /// The schema's root is `type: "object"`: results are what legacy versions have as well.
    Object,
    /// The schema's root is anything else: legacy clients see the schema wrapped in an object with
    /// the member `result`, and so every value.
    Wrapped,
}

/// What the results of a tool look like, from its definition.
pub fn output_of(tool: &Object) -> Output {
    match tool.object("outputSchema") {
        None => Output::Unknown,
        Some(schema) if output::is_object(&schema) => Output::Object,
        Some(_) => Output::Wrapped,
    }
}

/// The result of `method` for a client of `version`; `None` where nothing has to change. `output`
/// is what the called tool's definition says.
pub fn result(method: Method, result: &Object, version: Version, output: Output) -> Option<Object> {
    if version.era() == Era::Modern {
        return None;
    }
    let mut changes = Changes::default();
    match method {
        Method::ToolsCall => return content::called(result, version, output),
        Method::PromptsGet => {
            let messages = result.get("messages")?;
            changes.maybe("messages", content::messages(&messages, version));
        }
        _ => {
            let list = list_member(method)?;
            let definitions = result.get(list)?;
            let convert = |element: &Json| {
                Some(definition(method, &element.object()?, version)?.to_json(&[]))
            };
            changes.maybe(list, elements_with(&definitions, convert));
        }
    }
    changes.apply(result)
}

/// A server's `Implementation` for a client of `version`.
pub fn implementation(info: &Json, version: Version) -> Json {
    let Some(object) = info.object() else { return info.clone() };
    let mut changes = Changes::default();
    if version < Version::V2025_06_18 {
        changes.remove(&object, "title");
    }
    if version < Version::V2025_11_25 {
        for key in ["icons", "websiteUrl", "description"] {
            changes.remove(&object, key);
        }
    }
    changes.apply(&object).map_or_else(|| info.clone(), |object| object.to_json(&[]))
}

/// A server's capabilities for a client of `version`.
pub fn capabilities(capabilities: &Object, version: Version) -> Json {
    let mut edits = Vec::new();
    if version.era() == Era::Legacy {
        edits.push(Edit::remove("extensions"));
    }
    if version < Version::V2025_11_25 {
        edits.push(Edit::remove("tasks"));
    }
    if version < Version::V2025_03_26 {
        edits.push(Edit::remove("completions"));
    }
    capabilities.to_json(&edits)
}

/// The member of a list's result that holds the definitions.
fn list_member(method: Method) -> Option<&'static str> {
    match method {
        Method::ToolsList => Some("tools"),
        Method::PromptsList => Some("prompts"),
        Method::ResourcesList => Some("resources"),
        Method::ResourceTemplatesList => Some("resourceTemplates"),
        _ => None,
    }
}

/// The `annotations` of content or a resource without what `version` does not have; `None` where
/// nothing has to change.
fn older_annotations(annotated: &Object, version: Version) -> Option<Json> {
    let annotations = annotated.object("annotations").filter(|_| version < Version::V2025_06_18)?;
    annotations.has("lastModified").then(|| annotations.to_json(&[Edit::remove("lastModified")]))
}

/// The array with some of its elements replaced; `None` if it is no array or `convert` replaces none.
pub(super) fn elements_with(
    array: &Json,
    mut convert: impl FnMut(&Json) -> Option<Json>,
) -> Option<Json> {
    let elements = array.elements()?;
    let (at, first) =
        elements.iter().enumerate().find_map(|(at, element)| Some((at, convert(element)?)))?;
    let mut out = Vec::with_capacity(array.as_bytes().len() + 64);
    let mut write = |element: &Json| {
        out.push(if out.is_empty() { b'[' } else { b',' });
        out.extend_from_slice(element.as_bytes());
    };
    elements[..at].iter().for_each(&mut write);
    write(&first);
    for element in &elements[at + 1..] {
        write(convert(element).as_ref().unwrap_or(element));
    }
    out.push(b']');
    Some(Json::trusted(out))
}

/// The members that change, collected before the object is written once.
#[derive(Default)]
struct Changes(Vec<(&'static str, Option<Json>)>);

impl Changes {
    fn set(&mut self, key: &'static str, value: Json) {
        self.0.push((key, Some(value)));
    }

    fn maybe(&mut self, key: &'static str, value: Option<Json>) {
        self.0.extend(value.map(|value| (key, Some(value))));
    }

    /// Removes a member if it is there.
    fn remove(&mut self, from: &Object, key: &'static str) {
        if from.has(key) {
            self.0.push((key, None));
        }
    }

    fn apply(&self, object: &Object) -> Option<Object> {
        if self.0.is_empty() {
            return None;
        }
        let edits: Vec<_> = self
            .0
            .iter()
            .map(|(key, value)| Edit { key, value: value.as_ref().map(Json::as_bytes) })
            .collect();
        Some(object.with(&edits))
    }
}

#[cfg(test)]
mod tests;
