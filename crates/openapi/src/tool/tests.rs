//! Tools of small documents, and of real ones.

use serde_json::{Value as Json, json};
use url::Url;

use super::*;
use crate::document::Loader;
use crate::operation::extract;
use crate::tree::Limits;

mod arguments;
mod bounds;
mod changes;
mod corpus;
mod names;
mod outputs;

/// Nothing is loaded.
pub(super) struct Nowhere;

impl Loader for Nowhere {
    fn load(&mut self, _: &Url, _: &Url) -> Result<String, String> {
        Err("it is not there".to_owned())
    }
}

/// The tools of a document, and what was found.
pub(super) fn tools_of(text: &str, options: &Options) -> (Vec<Tool>, Report) {
    let url = Url::parse("file:///api.yaml").unwrap();
    let (documents, mut report) =
        Documents::load(text, &url, "api.yaml", &mut Nowhere, &[], &Limits::default()).unwrap();
    let extracted = extract(&documents, &mut report);
    let tools = tools(&extracted.operations, &documents, options, &mut report);
    for tool in &tools {
        check(&definition(tool));
    }
    (tools, report)
}

/// The definition of the only tool of a document.
pub(super) fn one(text: &str) -> Json {
    let (tools, report) = tools_of(text, &Options::default());
    assert_eq!(tools.len(), 1, "{:?}", report.findings);
    definition(&tools[0])
}

pub(super) fn definition(tool: &Tool) -> Json {
    serde_json::from_slice(&tool.definition).unwrap()
}

/// Whether a finding of this kind is there.
pub(super) fn found(report: &Report, kind: &str) -> bool {
    report.findings.iter().any(|finding| finding.kind == kind)
}

/// What must hold for every tool.
pub(super) fn check(definition: &Json) {
    let name = definition["name"].as_str().unwrap();
    assert!(name::fits(name), "{name}");
    assert_eq!(definition["inputSchema"]["type"], "object", "{name}");
    for key in ["inputSchema", "outputSchema"] {
        let Some(schema) = definition.get(key) else { continue };
        if let Err(error) = jsonschema::draft202012::meta::validate(schema) {
            panic!("{name}: {key}: {error} at {}", error.instance_path());
        }
        references(name, schema, schema);
        jsonschema::draft202012::new(schema)
            .map_err(|error| format!("{name}: {key}: {error}"))
            .unwrap();
    }
    let mut names = std::collections::HashSet::new();
    for name in definition["inputSchema"]["properties"].as_object().into_iter().flatten() {
        let is_fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        assert!(name.0.len() <= 64 && name.0.chars().all(is_fine), "{}", name.0);
        assert!(names.insert(name.0));
    }
}

/// Checks that every reference leads somewhere in the same schema.
fn references(name: &str, root: &Json, schema: &Json) {
    match schema {
        Json::Object(members) => {
            if let Some(reference) = members.get("$ref").and_then(Json::as_str) {
                let pointer = reference.strip_prefix('#').unwrap();
                assert!(root.pointer(pointer).is_some(), "{name}: {reference}");
            }
            for (key, value) in members {
                if !matches!(key.as_str(), "enum" | "const" | "default" | "examples") {
                    references(name, root, value);
                }
            }
        }
        Json::Array(elements) => elements.iter().for_each(|one| references(name, root, one)),
        _ => {}
    }
}

#[test]
fn a_tool_says_everything() {
    let tool = one(r"
openapi: 3.0.3
info: {title: t, version: '1'}
paths:
  /pets/{id}:
    get:
      operationId: getPet
      summary: Get a pet
      description: Gets one pet.
      parameters:
        - {name: id, in: path, required: true, description: Which one, schema: {type: integer, format: int64}}
        - {name: verbose, in: query, schema: {type: boolean, default: false}}
      responses:
        '200': {description: ok, content: {application/json: {schema: {type: object, properties: {name: {type: string}}}}}}
");
    assert_eq!(
        tool,
        json!({
            "name": "getPet",
            "title": "Get a pet",
            "description": "Gets one pet.",
            "inputSchema": {
                "type": "object",
                "properties": {
                    "id": {"type": "integer", "format": "int64", "description": "Which one"},
                    "verbose": {"type": "boolean", "default": false},
                },
                "required": ["id"],
                "additionalProperties": false,
            },
            "outputSchema": {"type": "object", "properties": {"name": {"type": "string"}}},
            "annotations": {
                "readOnlyHint": true, "destructiveHint": false, "idempotentHint": true, "openWorldHint": true,
            },
            "_meta": {
                "io.portcullis/operation": {"method": "GET", "path": "/pets/{id}", "operationId": "getPet"},
            },
        })
    );
}
