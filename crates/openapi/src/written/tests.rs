//! Tools that are written by hand: what clients see of them, and what is sent.

use serde_json::Value;
use wire::json::Json;

use super::*;
use crate::request::{ArgumentError, Built};

fn definition(method: &str, path: &str, arguments: Vec<Argument>) -> Definition {
    Definition {
        name: "tool".to_owned(),
        method: method.to_owned(),
        path: path.to_owned(),
        arguments,
        ..Definition::default()
    }
}

fn argument(name: &str) -> Argument {
    Argument { name: name.to_owned(), ..Argument::default() }
}

fn located(name: &str, location: Location) -> Argument {
    Argument { location: Some(location), ..argument(name) }
}

fn json(text: &str) -> Json {
    Json::trusted(text.to_owned())
}

fn api_of(definitions: &[Definition]) -> Api {
    let url = Url::parse("https://api.example/v1/").unwrap();
    api("shop", &url, definitions, &Options::default())
}

/// The one tool, without anything to say about it.
fn offered(definition: Definition) -> Offered {
    let mut api = api_of(&[definition]);
    assert!(!api.report.has(Severity::Warning), "{:?}", api.report);
    api.tools.pop().unwrap()
}

fn seen(offered: &Offered) -> Value {
    serde_json::from_slice(&offered.tool.definition).unwrap()
}

fn build(offered: &Offered, arguments: &str) -> Result<Built, ArgumentError> {
    let arguments = Json::trusted(arguments.to_owned()).object().unwrap();
    offered.plan.build(&offered.tool, &arguments, "boundary")
}

fn header<'b>(built: &'b Built, name: &str) -> Option<&'b str> {
    let found = built.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str())
}

#[test]
fn a_path_is_enough() {
    let tool = offered(definition("GET", "/pets/{id}", Vec::new()));
    assert_eq!(tool.tool.operation.servers[0].url, "https://api.example/v1");
    let seen = seen(&tool);
    assert_eq!(seen["inputSchema"]["required"], serde_json::json!(["id"]));
    assert_eq!(seen["annotations"]["readOnlyHint"], true);
    assert_eq!(seen["_meta"]["io.portcullis/operation"]["path"], "/pets/{id}");
    let built = build(&tool, r#"{"id":"a/b"}"#).unwrap();
    assert_eq!((built.method.as_str(), built.path_and_query.as_str()), ("GET", "/pets/a%2Fb"));
    assert!(build(&tool, r#"{"id":".."}"#).is_err());
}

#[test]
fn arguments_go_where_they_are_said_to_go() {
    let tool = offered(Definition {
        title: Some("Search".to_owned()),
        description: Some("Finds pets.".to_owned()),
        is_open_world: Some(false),
        headers: vec![("X-Team".to_owned(), "gate".to_owned())],
        query: vec![("format".to_owned(), "json".to_owned())],
        output: Some(json(r#"{"type":"object","properties":{"pets":{"type":"array"}}}"#)),
        ..definition(
            "GET",
            "/owners/{owner}/pets",
            vec![
                argument("owner"),
                Argument {
                    schema: Some(of_type("integer")),
                    description: Some("How many.".to_owned()),
                    default: Some(json("10")),
                    ..argument("limit")
                },
                Argument { wire_name: Some("q[text]".to_owned()), ..argument("text") },
                Argument {
                    wire_name: Some("X-Trace".to_owned()),
                    is_required: true,
                    ..located("trace", Location::Header)
                },
                located("theme", Location::Cookie),
                Argument { fixed: Some(json("\"dog\"")), ..argument("kind") },
            ],
        )
    });
    let seen = seen(&tool);
    assert_eq!((&seen["title"], &seen["description"]), (&"Search".into(), &"Finds pets.".into()));
    assert_eq!(seen["annotations"]["openWorldHint"], false);
    let properties = seen["inputSchema"]["properties"].as_object().unwrap();
    let names: Vec<&String> = properties.keys().collect();
    assert_eq!(names.len(), 5, "{names:?}");
    assert!(!properties.contains_key("kind"));
    assert_eq!(properties["limit"]["description"], "How many.");
    assert_eq!(properties["limit"]["default"], 10);
    assert_eq!(seen["inputSchema"]["required"], serde_json::json!(["owner", "trace"]));
    assert_eq!(seen["outputSchema"]["properties"]["pets"]["type"], "array");

    let arguments = r#"{"owner":"ada","text":"a&b","trace":"t1","theme":"dark"}"#;
    let built = build(&tool, arguments).unwrap();
    assert_eq!(
        built.path_and_query,
        "/owners/ada/pets?limit=10&q%5Btext%5D=a%26b&kind=dog&format=json"
    );
    assert_eq!(header(&built, "X-Trace"), Some("t1"));
    assert_eq!(header(&built, "Cookie"), Some("theme=dark"));
    assert_eq!(header(&built, "X-Team"), Some("gate"));
}

#[test]
fn bodies_are_json_forms_files_or_text() {
    let arguments = || {
        vec![
            Argument { is_required: true, ..argument("name") },
            Argument {
                wire_name: Some("birth-date".to_owned()),
                schema: Some(json(r#"{"type":"string","format":"date"}"#)),
                ..argument("born")
            },
            Argument { fixed: Some(json("1234567890123456789012")), ..argument("shelter") },
        ]
    };
    let given = r#"{"name":"a b","born":"2020-01-02"}"#;

    let tool = offered(definition("POST", "/pets", arguments()));
    assert_eq!(seen(&tool)["inputSchema"]["required"], serde_json::json!(["name"]));
    let built = build(&tool, given).unwrap();
    assert_eq!(built.content_type.as_deref(), Some("application/json"));
    let body = std::str::from_utf8(&built.body).unwrap();
    assert_eq!(
        body,
        r#"{"name":"a b","birth-date":"2020-01-02","shelter":1234567890123456789012}"#
    );

    let tool = offered(Definition { body: Body::Form, ..definition("PUT", "/pets", arguments()) });
    let body = build(&tool, given).unwrap().body;
    assert_eq!(body, "name=a+b&birth-date=2020-01-02&shelter=1234567890123456789012");

    let file = Argument {
        schema: Some(json(r#"{"type":"string","format":"binary"}"#)),
        is_required: true,
        ..argument("file")
    };
    let upload = Definition { body: Body::Multipart, ..definition("POST", "/files", vec![file]) };
    let built = build(&offered(upload), r#"{"file":"AAEC"}"#).unwrap();
    assert_eq!(built.content_type.as_deref(), Some("multipart/form-data; boundary=boundary"));
    assert!(built.body.windows(3).any(|bytes| bytes == [0, 1, 2]));

    for others in [vec![], vec![located("body", Location::Query)]] {
        let mut arguments = others;
        arguments.push(Argument { is_required: true, ..located("note", Location::Body) });
        let text = Definition { body: Body::Text, ..definition("POST", "/notes", arguments) };
        let tool = offered(text);
        assert_eq!(seen(&tool)["inputSchema"]["required"], serde_json::json!(["note"]));
        let built = build(&tool, r#"{"note":"hello\nyou"}"#).unwrap();
        assert_eq!(built.content_type.as_deref().map(|it| &it[..10]), Some("text/plain"));
        assert_eq!(built.body, "hello\nyou");
    }
}

#[test]
fn methods_of_ones_own_and_bodies_where_they_are_not_usual() {
    let tool = offered(definition("PURGE", "/cache", vec![argument("key")]));
    let built = build(&tool, r#"{"key":"x"}"#).unwrap();
    assert_eq!((built.method.as_str(), built.path_and_query.as_str()), ("PURGE", "/cache?key=x"));
    let ids = Argument { schema: Some(of_type("array")), ..located("ids", Location::Body) };
    let mut api = api_of(&[definition("DELETE", "/pets", vec![ids])]);
    let built = build(&api.tools.pop().unwrap(), r#"{"ids":[1,2]}"#).unwrap();
    assert_eq!(built.body, r#"{"ids":[1,2]}"#);
}

#[test]
fn one_that_cannot_be_offered_costs_no_other() {
    let named =
        |name: &str, definition: Definition| Definition { name: name.to_owned(), ..definition };
    let refers = Argument {
        schema: Some(json(r#"{"$ref":"other.yaml#/Pet"}"#)),
        ..located("pet", Location::Query)
    };
    let api = api_of(&[
        named("twice", definition("GET", "/a", Vec::new())),
        named("twice", definition("GET", "/b", Vec::new())),
        named("lost", definition("GET", "/c", vec![located("id", Location::Path)])),
        named("refers", definition("GET", "/d", vec![refers])),
        named("no-method", definition("A B", "/e", Vec::new())),
        named(
            "texts",
            Definition {
                body: Body::Text,
                ..definition("POST", "/f", vec![argument("a"), argument("b")])
            },
        ),
        named("same", definition("GET", "/a", Vec::new())),
    ]);
    let names: Vec<&str> = api.tools.iter().map(|it| it.tool.name.as_str()).collect();
    assert_eq!(names, ["twice", "same"]);
    let skipped = api.report.findings.iter().filter(|it| it.severity == Severity::Skipped);
    let told: Vec<&str> = skipped.map(|it| it.message.as_str()).collect();
    for (name, why) in [
        ("twice", "another tool has its name"),
        ("lost", "its path has no `{id}`"),
        ("refers", "other.yaml#/Pet"),
        ("no-method", "no method that can be sent"),
        ("texts", "one argument"),
    ] {
        assert!(
            told.iter().any(|it| it.contains(&format!("`{name}`")) && it.contains(why)),
            "{name}: {told:?}"
        );
    }
}

#[test]
fn a_document_may_have_more_tools() {
    let text = "openapi: 3.0.3\ninfo: {title: t, version: '1'}\nservers: [{url: https://a.example}]\n\
                paths: {/a: {get: {operationId: a, responses: {}}}}\n";
    let url = Url::parse("https://api.example/api.yaml").unwrap();
    let options = Options::default();
    let mut api = crate::api::load(text, &url, "api.yaml", &mut Nothing, &[], &options).unwrap();
    add(&mut api, &[definition("GET", "/b", Vec::new())], &options);
    let names: Vec<&str> = api.tools.iter().map(|it| it.tool.name.as_str()).collect();
    assert_eq!(names, ["a", "tool"]);
    assert_eq!(api.tools[1].tool.operation.servers[0].url, "https://a.example");
    assert_eq!((api.operation_count, api.operations.len()), (2, 2));
}

#[test]
fn schemas_may_have_parts() {
    let schema = r##"{"$defs":{"n":{"type":"integer","minimum":3}},"type":"array","items":{"$ref":"#/$defs/n"}}"##;
    let ids = Argument { schema: Some(json(schema)), ..argument("ids") };
    let others = Argument { name: "others".to_owned(), ..ids.clone() };
    let tool = offered(Definition {
        output: Some(json(schema)),
        ..definition("GET", "/a", vec![ids, others])
    });
    let seen = seen(&tool);
    for name in ["ids", "others"] {
        assert_eq!(seen["inputSchema"]["properties"][name]["items"]["minimum"], 3, "{seen}");
    }
    let tree = r##"{"type":"object","properties":{"below":{"$ref":"#"}}}"##;
    let tree = Argument { schema: Some(json(tree)), ..argument("tree") };
    let tool = offered(definition("POST", "/a", vec![tree]));
    assert!(build(&tool, r#"{"tree":{"below":{}}}"#).is_ok());
}
