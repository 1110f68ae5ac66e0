//! What the operator changes about tools, and what is said of changes that cannot be.

use super::*;
use crate::request::Plan as RequestPlan;
use wire::Json as Raw;

const DOCUMENT: &str = r"
openapi: 3.1.0
info: {title: t, version: '1'}
paths:
  /orders/{id}:
    parameters:
      - {name: id, in: path, required: true, schema: {type: string}}
    get:
      operationId: getOrder
      tags: [orders]
      parameters:
        - {name: a, in: query, schema: {type: string}}
        - {name: b, in: query, required: true, schema: {type: string}}
        - {name: X-Team, in: header, schema: {type: string}}
        - {name: page, in: query, style: form, explode: true, schema: {type: object, properties: {key: {type: string}}}}
      responses: {'200': {description: ok}}
    post:
      operationId: setOrder
      requestBody:
        content:
          application/json; charset=utf-8: {schema: {type: object, properties: {n: {type: integer}}}}
          text/csv: {schema: {type: string}}
      responses: {'200': {description: ok}}
";

fn changed(change: Change) -> (Vec<Tool>, Vec<String>) {
    let options = Options { changes: vec![change], ..Options::default() };
    let (tools, report) = tools_of(DOCUMENT, &options);
    let findings = report.findings.iter().filter(|it| it.kind == "change-without-effect");
    (tools, findings.map(|it| it.message.clone()).collect())
}

fn order() -> Change {
    Change { operation: "getOrder".to_owned(), ..Change::default() }
}

fn argument(name: &str) -> ArgumentChange {
    ArgumentChange { argument: name.to_owned(), ..ArgumentChange::default() }
}

fn named(name: &str, new: &str) -> ArgumentChange {
    ArgumentChange { name: Some(new.to_owned()), ..argument(name) }
}

/// The names of the arguments that clients see, in the order of the tool's.
fn names(tool: &Tool) -> Vec<&str> {
    let definition = definition(tool);
    let properties = &definition["inputSchema"]["properties"];
    let names = tool.arguments.iter().map(|argument| argument.name.as_str());
    let seen: Vec<&str> = names.filter(|name| properties.get(name).is_some()).collect();
    assert_eq!(seen.len(), properties.as_object().map_or(0, serde_json::Map::len));
    seen
}

/// What a call of the tool asks the API for.
fn target(tool: &Tool, arguments: &str) -> Result<String, String> {
    let url = Url::parse("file:///api.yaml").unwrap();
    let (documents, _) =
        Documents::load(DOCUMENT, &url, "api.yaml", &mut Nowhere, &[], &Limits::default()).unwrap();
    let arguments = Raw::trusted(arguments.to_owned()).object().unwrap();
    let built = RequestPlan::new(tool, &documents).build(tool, &arguments, "x");
    built.map(|built| built.path_and_query).map_err(|error| error.to_string())
}

#[test]
fn what_every_request_has_is_no_argument() {
    let change = Change {
        query: vec![("b".to_owned(), "fixed&".to_owned()), ("key".to_owned(), "k".to_owned())],
        headers: vec![("x-team".to_owned(), "gate".to_owned())],
        ..order()
    };
    let (tools, findings) = changed(change);
    assert!(findings.is_empty(), "{findings:?}");
    assert_eq!(names(&tools[0]), ["a", "page", "id"]);
    let required = &definition(&tools[0])["inputSchema"]["required"];
    assert_eq!(*required, json!(["id"]));
    // Not by the back door of an object that becomes several pairs, either.
    let sent = target(&tools[0], r#"{"id":"1","a":"x","page":{"key":"mine"}}"#).unwrap();
    assert_eq!(sent, "/orders/1?a=x&b=fixed%26&key=k");
    for arguments in [r#"{"id":"1","b":"mine"}"#, r#"{"id":"1","X-Team":"mine"}"#] {
        assert!(target(&tools[0], arguments).is_err(), "{arguments}");
    }
}

#[test]
fn names_change_at_once() {
    let swapped = Change { arguments: vec![named("a", "b"), named("b", "a")], ..order() };
    let (tools, findings) = changed(swapped);
    assert!(findings.is_empty(), "{findings:?}");
    assert_eq!(names(&tools[0]), ["b", "a", "X-Team", "page", "id"]);
    let sent = target(&tools[0], r#"{"id":"1","a":"for b","b":"for a"}"#).unwrap();
    assert_eq!(sent, "/orders/1?a=for%20a&b=for%20b");

    let hidden = ArgumentChange { fixed: Some(Raw::string("secret")), ..argument("b") };
    let (tools, findings) = changed(Change { arguments: vec![named("a", "b"), hidden], ..order() });
    assert!(findings.is_empty(), "{findings:?}");
    assert_eq!(names(&tools[0]), ["b", "X-Team", "page", "id"]);
    let sent = target(&tools[0], r#"{"id":"1","b":"for a"}"#).unwrap();
    assert_eq!(sent, "/orders/1?a=for%20a&b=secret");

    let taken = Change {
        arguments: vec![named("a", "id"), named("b", "c d"), named("id", "x"), argument("nobody")],
        ..order()
    };
    let (tools, findings) = changed(taken);
    // `id` is free, because its argument is called `x`.
    assert_eq!(names(&tools[0]), ["id", "b", "X-Team", "page", "x"]);
    assert!(findings.iter().any(|it| it.contains("`b` cannot be called `c d`")), "{findings:?}");
    assert!(findings.iter().any(|it| it.contains("no argument `nobody`")), "{findings:?}");
    let (tools, findings) = changed(Change { arguments: vec![named("a", "b")], ..order() });
    assert_eq!(names(&tools[0])[0], "a");
    assert!(findings[0].contains("another argument is"), "{findings:?}");
}

#[test]
fn hints_follow_the_method_that_is_sent() {
    let (tools, _) = changed(Change { method: Some("delete".to_owned()), ..order() });
    let of_delete = definition(&tools[0]);
    assert_eq!(tools[0].operation.method, "DELETE");
    assert_eq!(of_delete["annotations"]["readOnlyHint"], false);
    assert_eq!(of_delete["annotations"]["destructiveHint"], true);
    // It is still found by what the document says.
    assert_eq!(of_delete["_meta"]["io.portcullis/operation"]["method"], "GET");
    let (tools, _) = changed(Change {
        is_read_only: Some(false),
        is_destructive: Some(true),
        is_idempotent: Some(false),
        is_open_world: Some(false),
        ..order()
    });
    assert_eq!(
        definition(&tools[0])["annotations"],
        json!({"readOnlyHint": false, "destructiveHint": true, "idempotentHint": false, "openWorldHint": false})
    );
}

#[test]
fn paths_have_the_variables_of_the_document() {
    let (tools, findings) = changed(Change { path: Some("/v2/{id}/x".to_owned()), ..order() });
    assert!(findings.is_empty(), "{findings:?}");
    let sent = target(&tools[0], r#"{"id":"a/b","b":"1"}"#).unwrap();
    assert_eq!(sent, "/v2/a%2Fb/x?b=1");
    let (_, findings) = changed(Change { path: Some("/v2/{order}".to_owned()), ..order() });
    assert!(
        findings[0].contains("`{order}`") && findings[0].contains("there are: id"),
        "{findings:?}"
    );
    assert!(findings[1].contains("no `{id}`"), "{findings:?}");
}

#[test]
fn media_types_are_those_of_the_document() {
    let of = |wanted: &str| {
        changed(Change {
            operation: "setOrder".to_owned(),
            media_type: Some(wanted.to_owned()),
            ..Change::default()
        })
    };
    let (tools, findings) = of("text/csv");
    assert_eq!((names(&tools[1]), findings.len()), (vec!["id", "body"], 0));
    let (tools, findings) = of("application/json");
    assert_eq!((names(&tools[1]), findings.len()), (vec!["id", "n"], 0));
    let (_, findings) = of("application/xml");
    assert!(findings[0].contains("cannot be `application/xml`"), "{findings:?}");
    assert!(findings[0].contains("`text/csv`"), "{findings:?}");
    let (_, findings) = changed(Change { media_type: Some("text/csv".to_owned()), ..order() });
    assert!(findings[0].contains("it has no body"), "{findings:?}");
}

#[test]
fn tags_are_added_to_those_of_the_document() {
    let tags = vec!["orders".to_owned(), "shop".to_owned()];
    let (tools, _) = changed(Change { tags, ..order() });
    assert_eq!(tools[0].operation.tags, ["orders", "shop"]);
    assert!(tools[1].operation.tags.is_empty());
}

#[test]
fn origins_and_texts() {
    let (tools, _) = changed(Change {
        origin: Some("https://other.example:8443".to_owned()),
        name: Some("order".to_owned()),
        title: Some("é".repeat(200)),
        description: Some("d".repeat(5_000)),
        ..order()
    });
    assert_eq!(tools[0].additions.origin.as_deref(), Some("https://other.example:8443"));
    let shown = definition(&tools[0]);
    assert_eq!(shown["name"], "order");
    assert!(shown["title"].as_str().unwrap().len() <= 203, "{shown}");
    assert!(shown["description"].as_str().unwrap().len() <= 4 << 10);
}
