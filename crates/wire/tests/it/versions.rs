//! What is converted for another version, against that version's official schema.

use bytes::Bytes;
use portcullis_wire::shape::older::{self, Output};
use portcullis_wire::shape::question;
use portcullis_wire::{Era, Json, Limits, Method, Object, Version};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::schema::{definitions, schemas};

/// Members that may hold schemas and values of tools, which no version closes.
const OPEN: &[&str] = &["_meta", "inputSchema", "outputSchema", "structuredContent"];

/// Checks a value as the official schemas need it, and more strictly: a member that the version does
/// not define is a fault.
fn check(root: &Value, schema: &Value, value: &Value, strict: bool) -> Result<(), String> {
    let fault = |what: &str| Err(format!("{what}: {value}"));
    if let Some(target) = schema["$ref"].as_str() {
        let name = target.rsplit('/').next().unwrap();
        return check(root, &definitions(root)[name], value, strict);
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        let faults: Result<Vec<_>, ()> = choices
            .iter()
            .map(|choice| check(root, choice, value, strict).err().ok_or(()))
            .collect();
        return faults.map_or(Ok(()), |faults| Err(faults.join("; ")));
    }
    let is = |kind: &str| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        other => panic!("the schemas have a type {other}"),
    };
    let kinds: Vec<_> = match &schema["type"] {
        Value::String(kind) => vec![kind.as_str()],
        Value::Array(kinds) => kinds.iter().map(|kind| kind.as_str().unwrap()).collect(),
        _ => vec![],
    };
    if !kinds.is_empty() && !kinds.iter().any(|kind| is(kind)) {
        return fault(&format!("is not of type {kinds:?}"));
    }
    if schema.get("const").is_some_and(|expected| expected != value) {
        return fault("is not the constant");
    }
    if schema["enum"].as_array().is_some_and(|choices| !choices.contains(value)) {
        return fault("is none of the choices");
    }
    if let (Some(items), Some(elements)) = (schema.get("items"), value.as_array()) {
        elements.iter().try_for_each(|element| check(root, items, element, strict))?;
    }
    let Some(members) = value.as_object() else { return Ok(()) };
    for key in schema["required"].as_array().into_iter().flatten() {
        if !members.contains_key(key.as_str().unwrap()) {
            return fault(&format!("has no {key}"));
        }
    }
    let properties = schema["properties"].as_object();
    for (key, member) in members {
        let strict = strict && !OPEN.contains(&&**key);
        if let Some(property) = properties.and_then(|properties| properties.get(key)) {
            check(root, property, member, strict).map_err(|fault| format!("{key} {fault}"))?;
        } else if let Some(additional) = schema.get("additionalProperties") {
            if additional.is_object() {
                check(root, additional, member, strict)?;
            }
        } else if strict && properties.is_some() && key != "_meta" {
            return fault(&format!("has an unknown `{key}`"));
        }
    }
    Ok(())
}

fn check_named(schema: &Value, name: &str, value: &Value) -> Result<(), String> {
    check(schema, &definitions(schema)[name], value, true)
        .map_err(|fault| format!("{name}: {fault}"))
}

/// The parameters of a request, which some versions define in it and others beside it.
fn check_params(schema: &Value, request: &str, params: &Value) -> Result<(), String> {
    check(schema, &definitions(schema)[request]["properties"]["params"], params, true)
}

fn object(value: &Value) -> Object {
    Json::from(value).object().unwrap()
}

fn value(object: &Object) -> Value {
    serde_json::from_slice(object.to_json(&[]).as_bytes()).unwrap()
}

/// Everything that content has in 2025-11-25 and later.
fn content() -> Value {
    let annotations =
        json!({"audience": ["user"], "priority": 1, "lastModified": "2025-01-12T15:00:58Z"});
    json!([
        {"type": "text", "text": "a", "annotations": annotations, "_meta": {"a/b": 1}},
        {"type": "image", "data": "AAAA", "mimeType": "image/png", "annotations": annotations},
        {"type": "audio", "data": "AAAA", "mimeType": "audio/wav", "annotations": annotations},
        {"type": "resource", "resource": {"uri": "file:///a", "text": "a"}, "annotations": annotations},
        {"type": "resource_link", "uri": "file:///a", "name": "a", "title": "A", "description": "d",
            "mimeType": "text/plain", "size": 1, "icons": [{"src": "https://x/i"}],
            "annotations": annotations},
    ])
}

/// A result of each method that is converted: what it asks for, the definition in the schemas, and
/// the result without modern members.
fn results() -> Vec<(Method, &'static str, Value)> {
    let icons = json!([{"src": "https://x/i", "sizes": ["any"]}]);
    let annotations = json!({"priority": 0, "lastModified": "2025-01-12T15:00:58Z"});
    let messages: Vec<_> = content()
        .as_array()
        .unwrap()
        .iter()
        .map(|block| json!({"role": "user", "content": block}))
        .collect();
    vec![
        (Method::ToolsCall, "CallToolResult", json!({"content": content(), "isError": false})),
        (
            Method::ToolsCall,
            "CallToolResult",
            json!({"content": [], "structuredContent": [1, {"a": null}]}),
        ),
        (
            Method::ToolsCall,
            "CallToolResult",
            json!({"content": [{"type": "hologram", "x": 1}], "structuredContent": {"a": 1}}),
        ),
        (Method::PromptsGet, "GetPromptResult", json!({"description": "d", "messages": messages})),
        (
            Method::ToolsList,
            "ListToolsResult",
            json!({"nextCursor": "c", "tools": [
                {"name": "a", "inputSchema": {"type": "object"}},
                {"name": "b", "title": "B", "description": "d", "icons": icons,
                    "inputSchema": {"type": "object", "properties": {"x": true}},
                    "outputSchema": {"$schema": "https://json-schema.org/draft/2020-12/schema",
                        "type": "array", "items": {"$ref": "#/$defs/n"}, "$defs": {"n": {}}},
                    "annotations": {"readOnlyHint": true}},
                {"name": "c", "inputSchema": {"type": "object"},
                    "outputSchema": {"type": "object", "properties": {"x": false}}},
            ]}),
        ),
        (
            Method::PromptsList,
            "ListPromptsResult",
            json!({"prompts": [{"name": "p", "title": "P", "icons": icons,
                "arguments": [{"name": "a", "title": "A", "required": true}]}]}),
        ),
        (
            Method::ResourcesList,
            "ListResourcesResult",
            json!({"resources": [{"uri": "file:///a", "name": "a", "title": "A", "size": 1,
                "icons": icons, "annotations": annotations}]}),
        ),
        (
            Method::ResourceTemplatesList,
            "ListResourceTemplatesResult",
            json!({"resourceTemplates": [{"uriTemplate": "file:///{a}", "name": "a", "title": "A",
                "icons": icons, "annotations": annotations}]}),
        ),
    ]
}

#[test]
fn results_for_each_version_are_of_that_version() {
    for (version, schema) in schemas() {
        let mut seen = 0;
        for (method, name, result) in results() {
            let given = object(&result);
            for output in [Output::Unknown, Output::Wrapped] {
                let Some(older) = older::result(method, &given, version, output) else {
                    if version.era() == Era::Legacy {
                        check_named(&schema, name, &result).unwrap();
                    }
                    continue;
                };
                check_named(&schema, name, &value(&older))
                    .unwrap_or_else(|fault| panic!("{version}: {fault}"));
            }
            seen += u32::from(check_named(&schema, name, &result).is_err());
        }
        let expected = match version {
            Version::V2026_07_28 => continue,
            Version::V2025_11_25 => 2..=3,
            _ => 7..=8,
        };
        assert!(
            expected.contains(&seen),
            "{version}: the check sees {seen} faults in what is given"
        );
    }
}

#[test]
fn servers_introduce_themselves_as_each_version_defines() {
    let info = json!({"name": "n", "title": "T", "version": "1", "description": "d",
        "websiteUrl": "https://x", "icons": [{"src": "https://x/i"}]});
    let capabilities = json!({"tools": {"listChanged": true}, "completions": {}, "logging": {},
        "tasks": {"list": {}}, "extensions": {"a/b": {}}});
    for (version, schema) in schemas() {
        let older = older::implementation(&Json::from(&info), version).object().unwrap();
        check_named(&schema, "Implementation", &value(&older))
            .unwrap_or_else(|fault| panic!("{version}: {fault}"));
        if version.era() == Era::Legacy {
            let older = older::capabilities(&object(&capabilities), version).object().unwrap();
            check_named(&schema, "ServerCapabilities", &value(&older))
                .unwrap_or_else(|fault| panic!("{version}: {fault}"));
            assert!(check_named(&schema, "ServerCapabilities", &capabilities).is_err());
        }
    }
}

fn form() -> Value {
    json!({"mode": "form", "message": "m", "requestedSchema": {
        "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
        "properties": {
            "name": {"type": "string", "title": "N", "minLength": 1, "format": "email"},
            "age": {"type": "integer", "minimum": 0},
            "sure": {"type": "boolean", "default": true},
            "size": {"type": "string", "oneOf": [{"const": "s", "title": "Small"}]},
            "colour": {"type": "string", "enum": ["red"]},
        },
        "required": ["name"]}})
}

fn sampling() -> Value {
    json!({"maxTokens": 10, "systemPrompt": "s", "messages": [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": {"type": "image", "data": "AAAA", "mimeType": "image/png"}},
    ]})
}

/// Questions of a modern server: the method, the request's definition, and the parameters.
fn questions() -> Vec<(&'static str, &'static str, Value)> {
    let mut with_tools = sampling();
    with_tools["tools"] = json!([{"name": "t", "inputSchema": {"type": "object"},
        "outputSchema": {"type": "array"}}]);
    with_tools["messages"] = json!([{"role": "user", "content": [{"type": "tool_result",
        "toolUseId": "1", "content": [], "structuredContent": [1]}]}]);
    let several = json!({"message": "m", "requestedSchema": {"type": "object", "properties": {
        "days": {"type": "array", "items": {"type": "string", "enum": ["mo"]}}}}});
    vec![
        ("elicitation/create", "ElicitRequest", form()),
        ("elicitation/create", "ElicitRequest", several),
        (
            "elicitation/create",
            "ElicitRequest",
            json!({"mode": "url", "message": "m", "url": "https://x"}),
        ),
        ("sampling/createMessage", "CreateMessageRequest", sampling()),
        ("sampling/createMessage", "CreateMessageRequest", with_tools),
        ("roots/list", "ListRootsRequest", json!({})),
    ]
}

#[test]
fn questions_for_each_version_are_of_that_version() {
    for (version, schema) in schemas() {
        let mut asked = 0;
        for (method, name, params) in questions() {
            let Ok(older) = question::to_legacy(method, &object(&params), version, Some("e1"))
            else {
                continue;
            };
            asked += 1;
            check_params(&schema, name, &value(&older))
                .unwrap_or_else(|fault| panic!("{version}: {fault}"));
        }
        let expected = match version {
            Version::V2024_11_05 | Version::V2025_03_26 => 2,
            Version::V2025_06_18 => 3,
            Version::V2025_11_25 | Version::V2026_07_28 => 6,
        };
        assert_eq!(asked, expected, "questions that {version} can express");
    }
}

#[test]
fn questions_of_legacy_servers_are_input_requests() {
    for (version, schema) in schemas() {
        if version.era() == Era::Legacy {
            continue;
        }
        for (method, _, mut params) in questions() {
            params["task"] = json!({"ttl": 1});
            params["elicitationId"] = json!("e1");
            params["_meta"] = json!({"progressToken": 1});
            if method != "elicitation/create" {
                params.as_object_mut().unwrap().remove("elicitationId");
            }
            let given = json!({"method": method, "params": params});
            assert!(
                method == "roots/list" || check_named(&schema, "InputRequest", &given).is_err()
            );
            let asked = question::to_input_request(method, &object(&params)).object().unwrap();
            check_named(&schema, "InputRequest", &value(&asked)).unwrap();
        }
    }
}

#[test]
fn answers_for_each_version_are_of_that_version() {
    let text = json!({"type": "text", "text": "a"});
    for (version, schema) in schemas() {
        for content in [
            json!([text]),
            json!([text, text, {"type": "image", "data": "", "mimeType": "image/png"}]),
            json!({"type": "audio", "data": "AAAA", "mimeType": "audio/wav"}),
        ] {
            let answer = json!({"role": "assistant", "model": "m", "content": content,
                "stopReason": "endTurn"});
            let older = question::answer_for("sampling/createMessage", &object(&answer), version);
            check_named(&schema, "CreateMessageResult", &value(&older))
                .unwrap_or_else(|fault| panic!("{version}: {fault}"));
        }
    }
}

#[test]
fn nothing_changes_towards_the_newest_version() {
    for (method, _, result) in results() {
        for output in [Output::Unknown, Output::Object, Output::Wrapped] {
            assert!(older::result(method, &object(&result), Version::LATEST, output).is_none());
        }
        for list in ["tools", "prompts", "resources", "resourceTemplates"] {
            for element in result[list].as_array().into_iter().flatten() {
                assert!(older::definition(method, &object(element), Version::LATEST).is_none());
            }
        }
    }
    for (method, _, params) in questions() {
        let same = question::to_legacy(method, &object(&params), Version::LATEST, Some("e1"));
        assert_eq!(value(&same.unwrap()), params);
    }
}

/// Objects of the members that the conversions read, nested in any way.
fn any_object() -> impl Strategy<Value = Value> {
    const KEYS: &[&str] = &[
        "$defs",
        "$id",
        "$ref",
        "$schema",
        "_meta",
        "action",
        "annotations",
        "anyOf",
        "arguments",
        "const",
        "content",
        "definitions",
        "elicitationId",
        "enum",
        "icons",
        "inputSchema",
        "items",
        "lastModified",
        "maximum",
        "messages",
        "minLength",
        "mode",
        "name",
        "oneOf",
        "outputSchema",
        "progressToken",
        "prompts",
        "properties",
        "requestedSchema",
        "required",
        "resource",
        "result",
        "resultType",
        "role",
        "roots",
        "structuredContent",
        "task",
        "text",
        "title",
        "tools",
        "type",
        "uri",
    ];
    const TEXTS: &[&str] = &[
        "",
        "#",
        "#/$defs/a",
        "#/items",
        "accept",
        "array",
        "audio",
        "form",
        "integer",
        "object",
        "resource_link",
        "string",
        "text",
        "tool_result",
        "url",
        "user",
        "video",
    ];
    let leaf = prop_oneof![
        4 => prop::sample::select(TEXTS).prop_map(Value::from),
        1 => any::<i32>().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ];
    let object = |inner: BoxedStrategy<Value>| {
        prop::collection::btree_map(prop::sample::select(KEYS), inner, 0..6)
            .prop_map(|members| {
                members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            })
            .prop_map(Value::Object)
    };
    let any_value = leaf.prop_recursive(5, 48, 4, move |inner| {
        prop_oneof![
            3 => object(inner.clone().boxed()),
            1 => prop::collection::vec(inner, 0..4).prop_map(Value::from),
        ]
    });
    object(any_value.boxed())
}

const METHODS: &[Method] = &[
    Method::ToolsCall,
    Method::PromptsGet,
    Method::ToolsList,
    Method::PromptsList,
    Method::ResourcesList,
    Method::ResourcesRead,
];

/// Parses strictly what a conversion wrote: no key twice, nothing broken.
fn reread(object: &Object) -> Object {
    let text = object.to_json(&[]);
    let parsed = Json::parse(Bytes::copy_from_slice(text.as_bytes()), &Limits::SERVER);
    parsed.unwrap_or_else(|error| panic!("{error}: {}", text.as_str())).object().unwrap()
}

proptest! {
    #[test]
    fn conversions_write_json_and_have_nothing_left_to_do(given in any_object()) {
        let given = object(&given);
        for version in Version::ALL {
            for &method in METHODS {
                if let Some(older) = older::result(method, &given, version, Output::Unknown) {
                    let older = reread(&older);
                    prop_assert!(older::result(method, &older, version, Output::Unknown).is_none());
                }
                if let Some(older) = older::result(method, &given, version, Output::Wrapped) {
                    reread(&older);
                }
                if let Some(older) = older::definition(method, &given, version) {
                    let older = reread(&older);
                    prop_assert!(older::definition(method, &older, version).is_none());
                }
            }
            for method in ["elicitation/create", "sampling/createMessage", "roots/list"] {
                if let Ok(older) = question::to_legacy(method, &given, version, Some("e1")) {
                    reread(&older);
                }
                reread(&question::answer_for(method, &given, version));
                reread(&question::to_input_request(method, &given).object().unwrap());
                let _ = question::check_answer(method, &given, &given.to_json(&[]));
                let _ = question::secret_asked(method, &given);
            }
            reread(&older::capabilities(&given, version).object().unwrap());
        }
    }
}
