//! Paths, path items, methods, and what operations say of themselves.

use super::{check, check_with, findings, read};
use crate::model::Operation;

#[test]
fn operations_come_in_the_order_of_the_document() {
    check(
        "openapi: 3.2.0
paths:
  /b:
    post: {}
    get: {}
  x-internal: {}
  /a:
    additionalOperations:
      COPY: {}
      purge: {}
      POST: {}
      CONNECT: {}
      'A B': {}
    query: {}
    trace: {}
    post: {}
    servers: []
",
        "
        POST /b
        GET /b
        COPY /a
        purge /a
        POST /a
        QUERY /a
        TRACE /a
        ",
        &["12 skipped method-unusable: CONNECT /a", "13 skipped method-unusable: A B /a"],
    );
}

#[test]
fn path_items_may_stand_elsewhere() {
    check_with(
        "openapi: 3.1.1
paths:
  /a:
    $ref: '#/components/pathItems/A'
    get: {operationId: own}
  /b: {$ref: other.yaml}
  /c: {$ref: gone.yaml, get: {}}
  /d: {$ref: '#/paths/~1d'}
components:
  pathItems:
    A:
      parameters: [{name: q, in: query, schema: {}}]
      get: {operationId: theirs}
      put: {}
",
        &[("other.yaml", "delete: {}")],
        "
        GET /a
          query q Form explode
        PUT /a
          query q Form explode
        DELETE /b
        GET /c
        ",
        &["7 skipped reference-unresolved: /c", "8 skipped reference-unresolved: /d"],
    );
}

#[test]
fn one_wrong_operation_costs_no_other() {
    check(
        "openapi: 3.1.1
paths:
  /a: 3
  /b:
    get: [1]
    put: {$ref: '#/nowhere'}
    post: {}
  /c:
    GET: {}
  d:
    get: {}
  /e: null
",
        "
        POST /b
        GET /c
        GET /d
        ",
        &[
            "3 skipped wrong-type: /a",
            "5 skipped wrong-type: GET /b",
            "6 skipped reference-unresolved: PUT /b",
            "9 warning odd-method: /c",
            "11 warning odd-path: d",
        ],
    );
}

#[test]
fn variables_and_parameters_fit_each_other() {
    check(
        "openapi: 3.0.4
paths:
  /{a}/{b}:
    get:
      parameters:
        - {name: a, in: path, required: true, schema: {}}
        - {name: c, in: path, required: true, schema: {}}
  /{userId}/{a}:
    get:
      parameters:
        - {name: user_id, in: path, schema: {}}
        - {name: a, in: path, required: true, schema: {}}
  /t/{name=things/*}/{+rest}/{id:[0-9]+}/:key:
    get:
      parameters:
        - {name: name, in: path, required: true, schema: {}}
        - {name: key, in: path, required: true, schema: {}}
  /same/{id}/{id}:
    get: {parameters: [{name: id, in: path, required: true, schema: {}}]}
  /both/{petId}/{pet_id}:
    get: {parameters: [{name: pet_id, in: path, required: true, schema: {}}]}
  '/odd/{/}/{}':
    get: {}
",
        "
        GET /{a}/{b}
          path a* Simple
          path b* Simple no schema
        GET /{user_id}/{a}
          path user_id* Simple
          path a* Simple
        GET /t/{name}/{rest}/{id}/{key}
          path name* Simple
          path key* Simple
          path rest* Simple no schema
          path id* Simple no schema
        GET /same/{id}/{id}
          path id* Simple
        GET /both/{petId}/{pet_id}
          path pet_id* Simple
          path petId* Simple no schema
        GET /odd/{}/{}
        ",
        &[
            "5 warning path-parameter-undeclared: GET /{a}/{b}",
            "7 warning path-parameter-unused: GET /{a}/{b}",
            "11 note path-parameter-not-required: GET /{userId}/{a}",
            "10 warning path-parameter-name: GET /{userId}/{a}",
            "10 note same-path: GET /{userId}/{a}",
            "15 note odd-path: GET /t/{name=things/*}/{+rest}/{id:[0-9]+}/:key",
            "15 note odd-path: GET /t/{name=things/*}/{+rest}/{id:[0-9]+}/:key",
            "15 warning path-parameter-undeclared: GET /t/{name=things/*}/{+rest}/{id:[0-9]+}/:key",
            "15 note odd-path: GET /t/{name=things/*}/{+rest}/{id:[0-9]+}/:key",
            "15 warning path-parameter-undeclared: GET /t/{name=things/*}/{+rest}/{id:[0-9]+}/:key",
            "15 warning odd-path: GET /t/{name=things/*}/{+rest}/{id:[0-9]+}/:key",
            "21 warning path-parameter-undeclared: GET /both/{petId}/{pet_id}",
            "23 warning odd-path: GET /odd/{/}/{}",
        ],
    );
}

#[test]
fn queries_in_paths() {
    check(
        "openapi: 3.0.4
paths:
  /x?action=y&part=1:
    get: {parameters: [{name: action, in: query, required: true, schema: {}}]}
  /x?action=z#tail:
    get: {}
  /y?q={q}&term={word}&v={v}&empty=:
    get:
      parameters:
        - {name: q, in: query, schema: {}}
        - {name: word, in: query, schema: {}}
  '/z{?a,b}':
    get: {parameters: [{name: a, in: query, schema: {}}]}
",
        "
        GET /x?action=y&part=1
        GET /x?action=z#tail
        GET /y?v={v}&empty=
          query q Form explode
          query term Form explode
          path v* Simple no schema
        GET /z
          query a Form explode
          query b Form explode no schema
        ",
        &[
            "4 note fixed-by-path: GET /x?action=y&part=1",
            "9 note odd-path: GET /y?q={q}&term={word}&v={v}&empty=",
            "9 warning path-parameter-undeclared: GET /y?q={q}&term={word}&v={v}&empty=",
            "13 warning path-parameter-undeclared: GET /z{?a,b}",
        ],
    );
}

#[test]
fn what_is_sent_is_known_apart() {
    let (extracted, _) =
        read("openapi: 3.0.4\npaths: {'/x?a=1#b': {get: {}}, '/y#c?d': {get: {}}, /z: {get: {}}}");
    let targets: Vec<(&str, &str)> = extracted.operations.iter().map(Operation::target).collect();
    assert_eq!(targets, [("/x", "a=1"), ("/y", ""), ("/z", "")]);
}

#[test]
fn what_operations_say_of_themselves() {
    let (extracted, report) = read(
        "openapi: 3.1.1
info: {title: An API, version: 1.0, description: for tests}
tags: [{name: one, description: the first}, {name: two}, 3]
paths:
  /a:
    summary: of the path
    x-group: g
    x-internal: true
    get:
      operationId: get-a
      x-mcp-name: fetch_a
      tags: [one, two, one, 3]
      deprecated: true
      x-internal: false
      x-cost: 3
    put: {operationId: get-a, summary: own, tags: two}
    post: {operationId: 17, description: own}
    delete: {operationId: '', summary: {}}
",
    );
    assert_eq!(extracted.title.as_deref(), Some("An API"));
    assert_eq!(extracted.version.as_deref(), Some("1.0"));
    assert_eq!(extracted.description.as_deref(), Some("for tests"));
    let tags: Vec<(&str, Option<&str>)> =
        extracted.tags.iter().map(|tag| (tag.name.as_str(), tag.description.as_deref())).collect();
    assert_eq!(tags, [("one", Some("the first")), ("two", None)]);
    let [get, put, post, delete] = extracted.operations.as_slice() else {
        panic!("{extracted:#?}")
    };
    assert_eq!(get.id.as_deref(), Some("get-a"));
    assert_eq!(get.mcp_name.as_deref(), Some("fetch_a"));
    assert_eq!(get.tags, ["one", "two", "3"]);
    assert_eq!(get.extensions, ["x-mcp-name", "x-cost", "x-group"]);
    assert!(get.is_deprecated);
    assert_eq!(get.summary.as_deref(), Some("of the path"));
    assert_eq!(get.place.line, 10);
    assert_eq!((put.summary.as_deref(), put.description.as_deref()), (Some("own"), None));
    assert_eq!(put.tags, ["two"]);
    assert_eq!(put.extensions, ["x-group", "x-internal"]);
    assert_eq!(post.id.as_deref(), Some("17"));
    assert_eq!((post.summary.as_deref(), post.description.as_deref()), (None, Some("own")));
    assert_eq!(delete.id, None);
    assert_eq!(
        findings(&report),
        [
            "2 note wrong-type: -",
            "16 warning duplicate-operation-id: PUT /a",
            "16 note wrong-type: PUT /a",
            "17 note wrong-type: POST /a",
            "18 note wrong-type: DELETE /a",
        ]
    );
}

#[test]
fn a_document_without_paths() {
    check("openapi: 3.0.4", "", &["1 error no-paths: -"]);
    check("openapi: 3.1.1\ncomponents: {}", "", &["1 warning no-paths: -"]);
    check("openapi: 3.1.1\npaths: [1]", "", &["2 error no-paths: -"]);
    check("openapi: 3.1.1\npaths: {$ref: '#/x'}", "", &["2 error no-paths: -"]);
    check("openapi: 3.1.1\npaths: {}", "", &["2 note no-operations: -"]);
    check(
        "openapi: 3.1.1\npaths: {}\nwebhooks: {new: {post: {}}}",
        "",
        &["3 note webhooks: -", "2 note no-operations: -"],
    );
}

#[test]
fn callbacks_are_no_operations() {
    check(
        "openapi: 3.1.1
paths:
  /a:
    post:
      callbacks: {done: {'{$request.body#/url}': {post: {}}}}
",
        "POST /a",
        &[],
    );
}

#[test]
fn paths_that_differ_in_their_queries() {
    check_with(
        "swagger: '2.0'
paths:
  /a: {get: {}}
x-ms-paths:
  /a?comp=list: {get: {parameters: [{name: comp, in: query, required: true, type: string, enum: [list]}]}}
  /a: {get: {}, put: {}}
  /b?{p}: {$ref: 'other.yaml#/item'}
",
        &[("other.yaml", "item: {get: {}}")],
        "
        GET /a
        GET /a?comp=list
        GET /b?{p}
          path p* Simple no schema
        ",
        &["5 note fixed-by-path: GET /a?comp=list", "6 skipped duplicate-path: /a", "1 warning path-parameter-undeclared: GET /b?{p}"],
    );
}

#[test]
fn names_that_look_like_numbers_stay_as_they_are_written() {
    let (extracted, _) = read(
        "openapi: 3.0.0
paths: {/a: {get: {operationId: 007, summary: True, parameters: [{name: 0x1, in: query, schema: {}}]}}}
",
    );
    let operation = &extracted.operations[0];
    assert_eq!(
        (operation.id.as_deref(), operation.summary.as_deref()),
        (Some("007"), Some("True"))
    );
    assert_eq!(operation.parameters[0].name, "0x1");
}
