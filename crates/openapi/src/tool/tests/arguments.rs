//! Arguments: parameters and the body as one flat object.

use wire::json::Json as Raw;

use super::*;

/// The tool of one operation, whose content is given.
fn of(version: &str, operation: &str) -> (Tool, Report) {
    let text = format!(
        "{version}\ninfo: {{title: t, version: '1'}}\npaths:\n  /x/{{id}}:\n    post:\n      operationId: op\n      \
         responses: {{'200': {{description: ok}}}}\n{operation}"
    );
    let (mut tools, report) = tools_of(&text, &Options::default());
    (tools.remove(0), report)
}

fn input(tool: &Tool) -> Json {
    definition(tool)["inputSchema"].clone()
}

const ID: &str = "      parameters: [{name: id, in: path, required: true, schema: {type: string}}";

#[test]
fn names_in_several_locations_are_told_apart() {
    let (tool, report) = of(
        "openapi: 3.0.3",
        &format!(
            "{ID}, {{name: id, in: query, schema: {{type: integer}}}}, {{name: 'page[size]', in: query, schema: {{}}}}]
      requestBody: {{required: true, content: {{application/json: {{schema: {{type: object, required: [id],
        properties: {{id: {{type: boolean}}, name: {{type: string}}}}}}}}}}}}\n"
        ),
    );
    assert_eq!(
        input(&tool),
        json!({
            "type": "object",
            "properties": {
                "id": {"type": "string", "minLength": 1},
                "query_id": {"type": "integer", "description": "Sent as `id` in the query."},
                "page_size": {"description": "Sent as `page[size]` in the query."},
                "body_id": {"type": "boolean", "description": "Sent as `id` in the body."},
                "name": {"type": "string"},
            },
            "required": ["id", "body_id"],
            "additionalProperties": false,
        })
    );
    let sources: Vec<&Source> = tool.arguments.iter().map(|argument| &argument.source).collect();
    let (id, name) = (Source::Member("id".to_owned()), Source::Member("name".to_owned()));
    let expected =
        [&Source::Parameter(0), &Source::Parameter(1), &Source::Parameter(2), &id, &name];
    assert_eq!(sources, expected);
    assert!(found(&report, "argument-renamed"));
}

/// The names of arguments for names on the wire, in a query.
fn query_names(written: &[&str]) -> Vec<String> {
    let parameters: Vec<String> =
        written.iter().map(|it| format!("{{name: '{it}', in: query, schema: {{}}}}")).collect();
    let text = format!("{ID}, {}]\n", parameters.join(", "));
    let (tool, _) = of("openapi: 3.0.3", &text);
    tool.arguments.iter().skip(1).map(|it| it.name.clone()).collect()
}

#[test]
fn what_is_added_renames_no_argument() {
    let before = query_names(&["a b", "имя"]);
    assert_eq!(before[0], "a_b");
    assert!(before[1].starts_with("argument_"), "{before:?}");
    let after = query_names(&["фам", "a/b", "a b", "имя"]);
    assert_eq!(after[3], before[1]);
    assert_ne!(after[0], after[3]);
    // Of two that are changed to the same the first has the plain name, the other depends on itself.
    assert_eq!(after[1], "a_b");
    assert_eq!(after[2], query_names(&["a/b", "a b"])[1]);
    assert!(after[2].starts_with("a_b_"), "{after:?}");
    // A name that needs no change is never given to one that does.
    assert_eq!(query_names(&["x[y]", "x_y"])[1], "x_y");
    let long = "n".repeat(70);
    let names = query_names(&[&format!("{long}1"), &format!("{long}2"), &format!("{long}3")]);
    assert_eq!(names[0], "n".repeat(64));
    assert!(names[1] != names[2] && names.iter().all(|it| it.len() <= 64), "{names:?}");
}

fn body(version: &str, media_type: &str, schema: &str, required: bool) -> Tool {
    of(
        version,
        &format!(
            "{ID}]\n      requestBody: {{required: {required}, content: {{'{media_type}': {{schema: {schema}}}}}}}\n"
        ),
    )
    .0
}

#[test]
fn bodies_that_are_no_plain_objects_are_one_argument() {
    for schema in [
        "{type: array, items: {type: string}}",
        "{oneOf: [{type: object}, {type: string}]}",
        "{type: object, properties: {a: {}}, additionalProperties: true}",
        "{type: object, additionalProperties: {type: string}}",
        "{type: object}",
        "{type: object, properties: {a: {}}, not: {required: [a]}}",
        "{type: string}",
        "true",
        "{type: object, properties: {a: {}}, discriminator: {propertyName: a}}",
    ] {
        let tool = body("openapi: 3.1.0", "application/json", schema, true);
        assert!(!tool.body.as_ref().unwrap().is_flat, "{schema}");
        assert_eq!(tool.arguments[1].source, Source::Body, "{schema}");
        assert_eq!(tool.arguments[1].name, "body");
        assert!(tool.arguments[1].is_required);
    }
}

#[test]
fn compositions_of_objects_are_flat() {
    let schema = "{allOf: [{type: object, required: [a, c], properties: {a: {type: string}, b: {minimum: 1}}}, \
                  {properties: {b: {type: integer}, c: {type: string, readOnly: true}}, required: [a]}]}";
    let tool = body("openapi: 3.0.3", "application/json", schema, true);
    let input = input(&tool);
    assert_eq!(input["properties"]["b"], json!({"allOf": [{"minimum": 1}, {"type": "integer"}]}));
    assert_eq!(input["required"], json!(["id", "a"]));
    assert!(input["properties"].get("c").is_none());
}

#[test]
fn members_of_optional_bodies() {
    let schema = "{type: object, required: [a], properties: {a: {type: string}}}";
    let tool = body("openapi: 3.0.3", "application/json", schema, false);
    assert_eq!(input(&tool)["required"], json!(["id", "a"]));
    let schema = "{type: object, properties: {a: {type: string}}}";
    let tool = body("openapi: 3.0.3", "application/json", schema, false);
    assert_eq!(input(&tool)["required"], json!(["id"]));
}

#[test]
fn the_fewest_members_are_counted() {
    let schema = "{type: object, minProperties: 1, properties: {a: {}, b: {}}}";
    let tool = body("openapi: 3.0.3", "application/json", schema, true);
    assert_eq!(input(&tool)["minProperties"], 2);
    let tool = body("openapi: 3.0.3", "application/json", schema, false);
    assert_eq!(tool.arguments[1].source, Source::Body);
}

#[test]
fn members_that_are_demanded_and_not_described_can_be_given() {
    let schema = "{type: object, required: [a, z], properties: {a: {type: string}}}";
    let tool = body("openapi: 3.0.3", "application/json", schema, true);
    assert_eq!(input(&tool)["properties"]["z"], json!({}));
    assert_eq!(input(&tool)["required"], json!(["id", "a", "z"]));
}

#[test]
fn files() {
    let schema = "{type: object, properties: {f: {type: string, format: binary, maxLength: 9, description: A file.}, \
                  g: {type: array, maxItems: 2, items: {type: string, format: binary}}, \
                  h: {type: string, format: byte}}}";
    let tool = body("openapi: 3.0.3", "multipart/form-data", schema, true);
    let contents: Vec<Content> = tool.arguments.iter().map(|argument| argument.content).collect();
    assert_eq!(contents, [Content::Value, Content::File, Content::Files, Content::Value]);
    assert_eq!(
        input(&tool)["properties"]["f"],
        json!({
            "type": "string", "contentEncoding": "base64", "pattern": "^[A-Za-z0-9+/_-]{2}",
            "description": "A file. File: base64 or a data: URI.",
        })
    );
    assert_eq!(input(&tool)["properties"]["g"]["maxItems"], 2);
    assert_eq!(input(&tool)["properties"]["h"]["contentEncoding"], "base64");

    let schema = "{type: object, properties: {f: {}, t: {type: string}, \
                  o: {anyOf: [{type: string, format: binary}, {type: 'null'}]}, \
                  i: {type: string, contentMediaType: image/png}, j: {type: string, contentMediaType: text/csv}, \
                  k: {type: string, contentMediaType: application/octet-stream, contentEncoding: binary}, \
                  l: {type: string, contentMediaType: application/octet-stream, contentEncoding: base64}}}";
    let tool = body("openapi: 3.1.0", "multipart/form-data", schema, true);
    let contents: Vec<Content> = tool.arguments.iter().map(|argument| argument.content).collect();
    let (value, file) = (Content::Value, Content::File);
    assert_eq!(contents, [value, file, value, file, file, value, file, value]);

    let tool = body("openapi: 3.1.0", "image/png", "{}", true);
    assert_eq!(tool.arguments[1].content, Content::File);
    assert_eq!(input(&tool)["properties"]["body"]["contentMediaType"], "image/png");
}

#[test]
fn forms_of_swagger_are_flat() {
    let (tool, _) = of(
        "swagger: '2.0'",
        "      consumes: [multipart/form-data]
      parameters:
        - {name: id, in: path, required: true, type: string}
        - {name: file, in: formData, type: file, required: true, description: Content}
        - {name: tags, in: formData, type: array, items: {type: string}, collectionFormat: multi}
",
    );
    assert_eq!(tool.arguments[1].source, Source::Form(0));
    assert_eq!(tool.arguments[1].content, Content::File);
    assert_eq!(
        input(&tool)["properties"]["file"],
        json!({
            "type": "string", "contentEncoding": "base64", "pattern": "^[A-Za-z0-9+/_-]{2}",
            "description": "Content. File: base64 or a data: URI.",
        })
    );
    assert_eq!(
        input(&tool)["properties"]["tags"],
        json!({"type": "array", "items": {"type": "string"}})
    );
}

#[test]
fn lines_are_a_list() {
    let tool = body("openapi: 3.0.3", "application/x-ndjson", "{type: object}", true);
    assert_eq!(
        input(&tool)["properties"]["body"],
        json!({"type": "array", "items": {"type": "object"}})
    );
}

#[test]
fn the_operator_changes_arguments() {
    let text = format!(
        "openapi: 3.0.3\ninfo: {{title: t, version: '1'}}\npaths:\n  /x:\n    get:\n      operationId: op\n      \
         responses: {{'200': {{description: ok}}}}\n      parameters:\n{}",
        ["a", "b", "c", "d"]
            .map(|name| format!(
                "        - {{name: {name}, in: query, required: true, schema: {{type: string}}}}\n"
            ))
            .concat()
    );
    let changed = |argument: &str| ArgumentChange {
        argument: argument.to_owned(),
        ..ArgumentChange::default()
    };
    let arguments = vec![
        ArgumentChange { fixed: Some(Raw::string("key")), ..changed("a") },
        ArgumentChange { default: Some(Raw::string("x")), ..changed("b") },
        ArgumentChange {
            name: Some("see".to_owned()),
            description: Some("See.".to_owned()),
            ..changed("c")
        },
        ArgumentChange { is_hidden: true, ..changed("d") },
        changed("e"),
    ];
    let change = Change { operation: "op".to_owned(), arguments, ..Change::default() };
    let options = Options { changes: vec![change], ..Options::default() };
    let (tools, report) = tools_of(&text, &options);
    assert_eq!(
        input(&tools[0]),
        json!({
            "type": "object",
            "properties": {
                "b": {"type": "string", "minLength": 1, "default": "x"},
                "see": {"type": "string", "minLength": 1, "description": "See."},
            },
            "required": ["see"],
            "additionalProperties": false,
        })
    );
    assert!(!String::from_utf8_lossy(&tools[0].definition).contains("key"));
    let values: Vec<&Value> = tools[0].arguments.iter().map(|argument| &argument.value).collect();
    let (fixed, default) = (Value::Fixed(Raw::string("key")), Value::Default(Raw::string("x")));
    assert_eq!(values, [&fixed, &default, &Value::Given, &Value::Absent]);
    let kind = "change-without-effect";
    assert_eq!(report.findings.iter().filter(|finding| finding.kind == kind).count(), 2);
}

#[test]
fn header_annotations() {
    let (tool, report) = of(
        "openapi: 3.0.3",
        "      parameters:
        - {name: id, in: path, required: true, x-mcp-header: Region, schema: {type: string}}
        - {name: a, in: query, x-mcp-header: region, schema: {type: string}}
        - {name: b, in: query, x-mcp-header: B, schema: {type: number}}
        - {name: c, in: query, x-mcp-header: 'C C', schema: {type: string}}
        - {name: d, in: query, x-mcp-header: D, schema: {type: integer}}
",
    );
    let properties = &input(&tool)["properties"];
    assert_eq!(properties["id"]["x-mcp-header"], "Region");
    assert_eq!(properties["d"]["x-mcp-header"], "D");
    for name in ["a", "b", "c"] {
        assert!(properties[name].get("x-mcp-header").is_none(), "{name}");
    }
    let kind = "header-annotation-invalid";
    assert_eq!(report.findings.iter().filter(|finding| finding.kind == kind).count(), 3);
}

#[test]
fn header_annotations_of_members() {
    let schema = "{type: object, properties: {top: {type: string, x-mcp-header: Top}, \
                  at: {type: object, properties: {region: {type: string, x-mcp-header: Region}, \
                  bad: {type: number, x-mcp-header: Bad}, top: {type: string, x-mcp-header: TOP}, \
                  deep: {type: object, properties: {zone: {type: integer, x-mcp-header: Zone}}}}}, \
                  list: {type: array, items: {type: string, x-mcp-header: Item}}, \
                  any: {anyOf: [{type: object, properties: {x: {type: string, x-mcp-header: X}}}]}}}";
    let tool = body("openapi: 3.1.0", "application/json", schema, true);
    let text = input(&tool).to_string();
    let properties = &input(&tool)["properties"];
    assert_eq!(properties["top"]["x-mcp-header"], "Top");
    assert_eq!(properties["at"]["properties"]["region"]["x-mcp-header"], "Region");
    let deep = &properties["at"]["properties"]["deep"]["properties"]["zone"];
    assert_eq!(deep["x-mcp-header"], "Zone");
    assert_eq!(text.matches("x-mcp-header").count(), 3, "{text}");
    // The rules of the protocol are those of the crate that reads such schemas.
    let schema = Raw::from(&input(&tool)).object().unwrap();
    let params = wire::header::params_of_schema(&schema);
    assert_eq!(params.map(|params| params.len()), Ok(3));
}

#[test]
fn tools_without_arguments_take_none() {
    let tool = one(
        "openapi: 3.0.3\ninfo: {title: t, version: '1'}\npaths: {/x: {get: {responses: {'200': {description: ok}}}}}",
    );
    assert_eq!(tool["name"], "get_x");
    assert_eq!(tool["description"], "GET /x");
    assert_eq!(tool["inputSchema"], json!({"type": "object", "additionalProperties": false}));
}

#[test]
fn what_a_missing_document_describes_is_not_offered() {
    let text = "openapi: 3.0.3\ninfo: {title: t, version: '1'}\npaths:\n  /x:\n    post:\n      \
                responses: {'200': {description: ok, content: {application/json: {schema: {$ref: './b.yaml'}}}}}\n      \
                requestBody: {content: {application/json: {schema: {type: object, properties: {a: {$ref: './a.yaml'}}}}}}\n";
    let (tools, report) = tools_of(text, &Options::default());
    assert!(tools.is_empty());
    assert!(report.has(Severity::Skipped));
    let options = Options { offers_undescribed: true, ..Options::default() };
    let (tools, _) = tools_of(text, &options);
    assert_eq!(input(&tools[0])["properties"]["a"], json!({}));
    assert!(definition(&tools[0]).get("outputSchema").is_none());
}

#[test]
fn examples_beside_schemas_are_told() {
    let (tool, _) = of(
        "openapi: 3.0.3",
        "      parameters:
        - {name: id, in: path, required: true, example: a1, schema: {type: string}}
        - {name: q, in: query, examples: {one: {value: [1]}}, schema: {type: array, items: {}}}
      requestBody: {required: true, content: {application/json: {example: {n: 1, e: a}, schema: {type: object,
        properties: {n: {type: integer}, e: {type: string, enum: [a, b]}, o: {type: string}}}}}}
",
    );
    let properties = &input(&tool)["properties"];
    assert_eq!(properties["id"]["examples"], json!(["a1"]));
    assert_eq!(properties["q"]["examples"], json!([[1]]));
    assert_eq!(properties["n"]["examples"], json!([1]));
    assert!(properties["e"].get("examples").is_none());
    assert!(properties["o"].get("examples").is_none());
}

#[test]
fn plain_texts_are_no_base64() {
    let text = |schema: &str| {
        let definition = one(&format!(
            "openapi: 3.1.0\npaths: {{/a: {{post: {{requestBody: {{content: {{text/plain: {{schema: \
             {schema}}}}}}}}}}}}}\ncomponents: {{schemas: {{B: {{type: string, format: binary}}}}}}\n"
        ));
        definition["inputSchema"]["properties"]["body"].clone()
    };
    for schema in ["{type: string, format: binary}", "{type: string, format: byte}"] {
        assert_eq!(text(schema), json!({"type": "string"}), "{schema}");
    }
    assert_eq!(text("{$ref: '#/components/schemas/B'}"), json!({"type": "string"}));
    let described = text("{type: string, format: byte, description: A key.}");
    assert_eq!(described, json!({"type": "string", "description": "A key."}));
    let encoded = text("{type: string, contentEncoding: base64}");
    assert_eq!(encoded["contentEncoding"], "base64");
}

#[test]
fn parts_without_names_are_a_list() {
    let body = |media: &str| {
        let definition = one(&format!(
            "openapi: 3.2.0\npaths: {{/a: {{post: {{requestBody: {{content: {{multipart/mixed: {media}}}}}}}}}}}\n"
        ));
        definition["inputSchema"]["properties"]["body"].clone()
    };
    let found = body(
        "{schema: {type: array, prefixItems: [{type: object}, {}], items: {type: string}}, \
         prefixEncoding: [{}, {contentType: image/png}], itemEncoding: {contentType: text/css}}",
    );
    let image = &found["prefixItems"][1];
    assert_eq!(found["prefixItems"][0], json!({"type": "object"}));
    assert_eq!(
        (&image["contentEncoding"], &image["contentMediaType"]),
        (&json!("base64"), &json!("image/png"))
    );
    assert_eq!(found["items"], json!({"type": "string"}));
    let found =
        body("{itemSchema: {description: A picture.}, itemEncoding: {contentType: image/jpeg}}");
    assert_eq!(found["type"], "array");
    assert_eq!(found["items"]["contentEncoding"], "base64");
    assert_eq!(found["items"]["description"], "A picture. File: base64 or a data: URI.");
}

#[test]
fn a_filled_template_is_no_flat_body() {
    let definition = one("openapi: 3.1.0
paths: {/a: {post: {requestBody: {content: {application/json: {schema: {$ref: numbers}}}}}}}
components:
  schemas:
    List: {$id: list, type: object, properties: {all: {type: array, items: {$dynamicRef: '#of'}}}, $defs: {any: {$dynamicAnchor: of, not: {}}}}
    Numbers: {$id: numbers, $ref: list, $defs: {own: {$dynamicAnchor: of, type: number}}}
");
    let body = &definition["inputSchema"]["properties"]["body"];
    assert_eq!(body["properties"]["all"]["items"], json!({"type": "number"}), "{definition}");
}

#[test]
fn members_of_an_unknown_media_type_are_told_of() {
    let of = |schema: &str| {
        let text = format!(
            "openapi: 3.0.0\npaths: {{/a: {{post: {{requestBody: {{content: {{application/x-protobuf: \
             {{schema: {schema}}}}}}}}}}}}}\n"
        );
        let (tools, report) = tools_of(&text, &Options::default());
        assert_eq!(definition(&tools[0])["inputSchema"]["properties"]["body"]["type"], "string");
        report.findings.iter().filter(|it| it.kind == "media-type-not-written").count()
    };
    assert_eq!(of("{type: object, properties: {a: {type: string}}}"), 1);
    assert_eq!(of("{type: string, format: binary}"), 0);
}
