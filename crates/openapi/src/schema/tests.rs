//! Each keyword of each dialect.

use std::fmt::Write;

use serde_json::{Value as Json, json};
use url::Url;

use super::*;
use crate::document::Loader;
use crate::report::Report;
use crate::tree::Limits;

mod families;

struct One(&'static str);

impl Loader for One {
    fn load(&mut self, _: &Url, _: &Url) -> Result<String, String> {
        match self.0 {
            "" => Err("it is not there".to_owned()),
            text => Ok(text.to_owned()),
        }
    }
}

/// The schema `S` of a document as a schema of its own, and what was found on the way.
fn translated(
    version: &str,
    schemas: &str,
    direction: Direction,
    other: &'static str,
) -> (Json, Vec<&'static str>) {
    let schemas = schemas.trim_matches('\n');
    let text = match version {
        "2.0" => format!("swagger: '2.0'\ninfo: {{}}\npaths: {{}}\ndefinitions:\n{schemas}"),
        _ => format!(
            "openapi: {version}\ninfo: {{}}\npaths: {{}}\ncomponents:\n  schemas:\n{schemas}"
        ),
    };
    let url = Url::parse("file:///d/api.yaml").unwrap();
    let (documents, _) =
        Documents::load(&text, &url, "api.yaml", &mut One(other), &[], &Limits::default()).unwrap();
    let root = documents.root();
    let value = documents.value(root);
    let all = value.get("definitions").or_else(|| value.get("components")?.get("schemas"));
    let at = At { node: all.unwrap().get("S").unwrap().id(), ..root };
    let mut library = Library::new(&documents);
    let schema = library.schema(at, "S", direction);
    let text = Bundle::write(&mut library, direction, &schema, &[100_000]).unwrap();
    let mut report = Report::default();
    library.take_findings().into_iter().for_each(|finding| report.add(finding));
    let kinds = report.findings.iter().map(|finding| finding.kind).collect();
    let json: Json = serde_json::from_str(&text.json).unwrap();
    jsonschema::draft202012::meta::validate(&json).map_err(|error| error.to_string()).unwrap();
    jsonschema::draft202012::new(&json).map_err(|error| error.to_string()).unwrap();
    (json, kinds)
}

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "it is written in place")]
fn check(version: &str, schema: &str, expected: Json) {
    let (found, kinds) = translated(version, &format!("    S: {schema}"), Direction::Request, "");
    assert_eq!(found, expected, "{kinds:?}");
}

/// Translated with a finding of this kind.
#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "it is written in place")]
fn finds(version: &str, schema: &str, kind: &str, expected: Json) {
    let (found, kinds) = translated(version, &format!("    S: {schema}"), Direction::Request, "");
    assert_eq!(found, expected);
    assert!(kinds.contains(&kind), "{kinds:?}");
}

#[test]
fn nothing_is_lost() {
    for version in ["3.1.0", "3.2.0"] {
        for schema in [
            json!({"type": ["string", "null"], "enum": ["a", null], "format": "uuid"}),
            json!({"type": "string", "minLength": 1, "maxLength": 9, "pattern": "^a", "default": "a"}),
            json!({"type": "number", "minimum": 1.5, "exclusiveMaximum": 9, "multipleOf": 0.5}),
            json!({"type": "array", "prefixItems": [{"type": "string"}], "items": false, "minItems": 1, "uniqueItems": true}),
            json!({"type": "array", "contains": {"const": 1}, "minContains": 1, "maxContains": 2, "unevaluatedItems": false}),
            json!({"type": "object", "properties": {"a": {"type": "string", "deprecated": true}}, "required": ["a"], "additionalProperties": {"type": "integer"}}),
            json!({"type": "object", "patternProperties": {"^x-": {}}, "propertyNames": {"maxLength": 3}, "minProperties": 1, "maxProperties": 3}),
            json!({"dependentRequired": {"a": ["b"]}, "dependentSchemas": {"a": {"minProperties": 2}}}),
            json!({"if": {"properties": {"a": {"const": 1}}}, "then": {"required": ["b"]}, "else": {"required": ["c"]}}),
            json!({"oneOf": [{"type": "string"}, {"type": "integer"}], "not": {"const": 3}}),
            json!({"allOf": [{"minimum": 1}, {"maximum": 3}], "anyOf": [{"type": "integer"}, {"type": "null"}]}),
            json!({"type": "string", "contentMediaType": "application/json", "contentSchema": {"type": "object"}}),
            json!({"title": "Other", "description": "It is.", "examples": [1, "b", {"c": null}]}),
            json!({"const": {"a": [1, 2]}}),
            json!({"type": "object", "unevaluatedProperties": false, "allOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]}),
        ] {
            check(version, &schema.to_string(), schema);
        }
    }
}

#[test]
fn what_3_0_writes_differently() {
    let older = "3.0.3";
    check(older, "{type: string, nullable: true}", json!({"type": ["string", "null"]}));
    check(
        older,
        "{type: string, nullable: true, enum: [a]}",
        json!({"type": ["string", "null"], "enum": ["a", null]}),
    );
    check(older, "{type: string, nullable: false, x-a: 1, xml: {}}", json!({"type": "string"}));
    check(
        older,
        "{type: integer, minimum: 1, exclusiveMinimum: true, maximum: 3, exclusiveMaximum: false}",
        json!({"type": "integer", "exclusiveMinimum": 1, "maximum": 3}),
    );
    check(older, "{type: string, example: a}", json!({"type": "string", "examples": ["a"]}));
    check(
        older,
        "{nullable: true, description: d, allOf: [{type: object, required: [a]}]}",
        json!({"description": "d", "anyOf": [{"type": "object", "required": ["a"]}, {"type": "null"}]}),
    );
    check(
        older,
        "{nullable: true, oneOf: [{type: string}, {type: integer}]}",
        json!({"oneOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]}),
    );
    check(
        older,
        "{type: string, format: byte, description: Bytes}",
        json!({
            "type": "string", "contentEncoding": "base64", "description": "Bytes (base64)",
            "pattern": "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
        }),
    );
    check(
        older,
        "{anyOf: [{type: string}, {nullable: true}]}",
        json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
    );
    check(older, "{type: string, example: 48}", json!({"type": "string", "examples": ["48"]}));
    check(
        older,
        "{type: object, example: '{\"a\": 1}'}",
        json!({"type": "object", "examples": [{"a": 1}]}),
    );
    check(older, "{type: integer, example: some}", json!({"type": "integer"}));
    check("2.0", "{type: string, x-nullable: true}", json!({"type": ["string", "null"]}));
    check(
        "2.0",
        "{discriminator: k, properties: {k: {type: string}}}",
        json!({
            "discriminator": {"propertyName": "k"}, "properties": {"k": {"type": "string"}},
        }),
    );
    // Not a keyword of 3.1.
    check("3.1.0", "{type: string, nullable: true}", json!({"type": "string"}));
}

#[test]
fn older_drafts() {
    check(
        "3.1.0",
        "{type: array, items: [{type: string}], additionalItems: {type: integer}}",
        json!({"type": "array", "prefixItems": [{"type": "string"}], "items": {"type": "integer"}}),
    );
    check(
        "3.1.0",
        "{$schema: 'http://json-schema.org/draft-07/schema#', $id: 'urn:a', $comment: c, \
         dependencies: {a: [b], c: {required: [d]}}}",
        json!({"dependentRequired": {"a": ["b"]}, "dependentSchemas": {"c": {"required": ["d"]}}}),
    );
}

#[test]
fn what_is_wrong_is_left_out_and_told() {
    let of = "3.0.3";
    finds(of, "{type: string, required: true}", "keyword-invalid", json!({"type": "string"}));
    finds(of, "{type: any}", "type-unknown", json!({}));
    finds(of, "{type: array}", "items-missing", json!({"type": "array"}));
    finds(of, "{enum: one}", "keyword-corrected", json!({"enum": ["one"]}));
    finds(of, "{type: string, enum: []}", "keyword-invalid", json!({"type": "string"}));
    finds(
        of,
        "{type: string, enum: [1, true]}",
        "keyword-corrected",
        json!({"type": "string", "enum": ["1", "true"]}),
    );
    finds(
        of,
        "{type: string, enum: [001, 0x1F, True]}",
        "keyword-corrected",
        json!({"type": "string", "enum": ["001", "0x1F", "True"]}),
    );
    finds(
        of,
        "{type: array, enum: [a, 1], items: {type: string}}",
        "keyword-corrected",
        json!({"type": "array", "items": {"type": "string", "enum": ["a", "1"]}}),
    );
    finds(
        of,
        "{enum: [a, b], type: integer, nullable: true}",
        "keyword-corrected",
        json!({"enum": ["a", "b", null]}),
    );
    finds(
        of,
        "{type: boolean, enum: [0, 1]}",
        "keyword-corrected",
        json!({"type": "boolean", "enum": [false, true]}),
    );
    finds(
        of,
        "{type: integer, default: '5'}",
        "keyword-corrected",
        json!({"type": "integer", "default": 5}),
    );
    finds(of, "{minimum: '1'}", "keyword-corrected", json!({"minimum": 1}));
    finds(of, "{minimum: low}", "keyword-invalid", json!({}));
    finds(of, "{maxLength: -1}", "keyword-invalid", json!({}));
    finds(of, "{multipleOf: 0}", "keyword-invalid", json!({}));
    finds(of, "{pattern: '['}", "pattern-invalid", json!({}));
    finds(of, "{pattern: '(?!a)b'}", "pattern-not-checked", json!({"pattern": "(?!a)b"}));
    finds(of, "{properties: [a]}", "keyword-invalid", json!({}));
    finds(of, "{properties: {a: text}}", "schema-invalid", json!({"properties": {"a": {}}}));
    finds(of, "{allOf: {type: string}}", "keyword-corrected", json!({"type": "string"}));
    finds(of, "{anyOf: []}", "keyword-invalid", json!({}));
    finds(
        of,
        "{additionalProperties: 'false'}",
        "keyword-corrected",
        json!({"additionalProperties": false}),
    );
    finds(of, "{type: String}", "keyword-corrected", json!({"type": "string"}));
    finds(of, "{$ref: '#/components/schemas/None'}", "reference-dangling", json!({}));
    finds(of, "{$ref: '#/components/schemas/S'}", "reference-circular", json!({}));
    finds(of, "[a]", "schema-invalid", json!({}));
}

#[test]
fn a_default_of_another_type_is_left_out() {
    finds("3.0.0", "{type: number, default: .inf}", "keyword-invalid", json!({"type": "number"}));
}

#[test]
fn numbers_keep_their_digits() {
    let schema = "{maximum: 123456789012345678901234567890, default: 1.10}";
    let (found, _) = translated("3.1.0", &format!("    S: {schema}"), Direction::Request, "");
    assert!(found["maximum"].is_number());
}

#[test]
fn members_of_one_direction() {
    let schemas = r"
    S: {type: object, required: [id, name, secret], properties: {id: {$ref: '#/components/schemas/Id'}, name: {type: string}, secret: {allOf: [{type: string}], writeOnly: true}}}
    Id: {type: string, readOnly: true}
";
    let of = |direction| translated("3.0.3", schemas, direction, "").0;
    assert_eq!(of(Direction::Request)["required"], json!(["name", "secret"]));
    assert!(of(Direction::Request)["properties"].get("id").is_none());
    assert_eq!(of(Direction::Response)["required"], json!(["id", "name"]));
    assert!(of(Direction::Response)["properties"].get("secret").is_none());
}

#[test]
fn what_is_taken_out_is_demanded_nowhere() {
    let schemas = r"
    S: {allOf: [{$ref: '#/components/schemas/A'}, {$ref: '#/components/schemas/B'}, {required: [id, x]}]}
    A: {type: object, properties: {id: {type: string, readOnly: true}}}
    B: {type: object, required: [id, y]}
";
    let (found, _) = translated("3.0.3", schemas, Direction::Request, "");
    let text = found.to_string();
    assert!(!text.contains("\"id\""), "{text}");
    assert!(text.contains("\"x\"") && text.contains("\"y\""), "{text}");
}

#[test]
fn shared_and_recursive_schemas_are_definitions() {
    let schemas = r"
    S: {type: object, properties: {a: {$ref: '#/components/schemas/com.x.Node'}, b: {$ref: '#/components/schemas/com.x.Node'}, c: {$ref: '#/components/schemas/Once'}, d: {$ref: '#/components/schemas/Small'}, e: {$ref: '#/components/schemas/Small'}, f: {$ref: '#/components/schemas/Node'}}}
    com.x.Node: {type: object, properties: {next: {$ref: '#/components/schemas/com.x.Node'}, value: {type: string, description: A value of some length}}}
    Node: {type: object, properties: {next: {$ref: '#/components/schemas/Node'}}}
    Once: {type: object, properties: {x: {type: string}}}
    Small: {type: string}
";
    let (found, kinds) = translated("3.0.3", schemas, Direction::Request, "");
    let node = json!({"$ref": "#/$defs/Node"});
    assert_eq!(
        found,
        json!({
            "type": "object",
            "properties": {
                "a": node, "b": node,
                "c": {"type": "object", "properties": {"x": {"type": "string"}}},
                "d": {"type": "string"}, "e": {"type": "string"},
                "f": {"$ref": "#/$defs/Node2"},
            },
            "$defs": {
                "Node": {"type": "object", "properties": {
                    "next": node, "value": {"type": "string", "description": "A value of some length"},
                }},
                "Node2": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node2"}}},
            },
        })
    );
    assert!(kinds.is_empty());
}

#[test]
fn keywords_beside_references() {
    let schemas = r"
    S: {type: object, properties: {a: {$ref: '#/components/schemas/A', description: Mine, minLength: 3}, b: {$ref: '#/components/schemas/A'}}}
    A: {type: string, description: Everybody's rather long description, minLength: 1}
";
    let (found, _) = translated("3.1.0", schemas, Direction::Request, "");
    assert_eq!(
        found["properties"]["a"],
        json!({"allOf": [{"$ref": "#/$defs/A"}], "description": "Mine", "minLength": 3})
    );
    let (found, _) = translated("3.0.3", schemas, Direction::Request, "");
    let a = &found["properties"]["a"];
    assert_eq!(a["description"], "Mine");
    assert_ne!(a["minLength"], 3);
}

#[test]
fn references_of_all_kinds() {
    let schemas = r"
    S: {properties: {a: {$ref: '#named'}, b: {$ref: 'urn:x#/$defs/In'}, c: {$dynamicRef: '#node'}, d: {$ref: 'other.yaml#/T'}}}
    A: {$anchor: named, type: string}
    B: {$id: 'urn:x', $defs: {In: {type: integer}}}
    C: {$dynamicAnchor: node, type: boolean}
";
    let (found, kinds) = translated("3.1.0", schemas, Direction::Request, "T: {type: number}");
    assert_eq!(
        found,
        json!({"properties": {
            "a": {"type": "string"}, "b": {"type": "integer"}, "c": {"type": "boolean"}, "d": {"type": "number"},
        }}),
        "{kinds:?}"
    );
}

#[test]
fn templates_are_filled_where_they_are_used() {
    // A list of anything, of numbers and of texts; a tree that is stricter than the one it builds on.
    let schemas = "
    List: {$id: list, type: object, properties: {all: {type: array, items: {$dynamicRef: '#of'}}, next: {$ref: '#'}}, $defs: {any: {$dynamicAnchor: of, not: {}}}}
    Numbers: {$id: numbers, $ref: list, $defs: {own: {$dynamicAnchor: of, type: number}}}
    Texts: {$ref: list, description: All texts., required: [all], $defs: {own: {$dynamicAnchor: of, type: string}}}
    Tree: {$id: tree, $dynamicAnchor: node, type: object, properties: {sub: {type: array, items: {$dynamicRef: '#node'}}}}
    Strict: {$id: strict, $dynamicAnchor: node, $ref: tree, unevaluatedProperties: false}
    S: {properties: {any: {$ref: list}, numbers: {$ref: numbers}, texts: {$ref: '#/components/schemas/Texts'}, tree: {$ref: strict}}}
";
    let (found, kinds) = translated("3.1.0", schemas, Direction::Request, "");
    let checked = jsonschema::draft202012::new(&found).unwrap();
    for (value, fits) in [
        (json!({"any": {"all": [1]}}), false),
        (json!({"numbers": {"all": [1, 2.5]}}), true),
        (json!({"numbers": {"all": ["1"]}}), false),
        (json!({"texts": {"all": ["1"]}}), true),
        (json!({"texts": {"all": [1]}}), false),
        (json!({"texts": {}}), false),
        (json!({"tree": {"sub": [{"sub": []}]}}), true),
        (json!({"tree": {"sub": [{"more": 1}]}}), false),
    ] {
        assert_eq!(checked.is_valid(&value), fits, "{value} by {found:#}, {kinds:?}");
    }
    assert_eq!(found["properties"]["texts"]["description"], "All texts.");
}

#[test]
fn discriminators_choose_by_constants() {
    let schemas = r"
    S: {oneOf: [{$ref: '#/components/schemas/Cat'}, {$ref: '#/components/schemas/Dog'}, {$ref: '#/components/schemas/Fish'}], discriminator: {propertyName: kind, mapping: {cat: '#/components/schemas/Cat', tom: Cat}}}
    Cat: {type: object, required: [kind], properties: {kind: {type: string}}}
    Dog: {type: object, properties: {kind: {type: string}}}
    Fish: {type: object, properties: {kind: {type: string, enum: [fish]}}}
";
    let (found, _) = translated("3.0.3", schemas, Direction::Request, "");
    assert_eq!(
        found["oneOf"],
        json!([
            {"allOf": [{"$ref": "#/$defs/Cat"}], "properties": {"kind": {"enum": ["cat", "tom"]}}},
            {"allOf": [{"$ref": "#/$defs/Dog"}], "properties": {"kind": {"const": "Dog"}}, "required": ["kind"]},
            {"type": "object", "properties": {"kind": {"type": "string", "enum": ["fish"]}}},
        ])
    );
    let schema = jsonschema::draft202012::new(&found).unwrap();
    for (instance, is_valid) in [
        (json!({"kind": "tom"}), true),
        (json!({"kind": "Dog"}), true),
        (json!({"kind": "fish"}), true),
        (json!({"kind": "other"}), false),
    ] {
        assert_eq!(schema.is_valid(&instance), is_valid, "{instance}");
    }
}

/// How deep values are nested.
fn depth(json: &Json) -> usize {
    match json {
        Json::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        Json::Array(elements) => 1 + elements.iter().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[test]
fn deep_schemas_become_definitions() {
    let mut schema = "{type: string}".to_owned();
    for _ in 0..60 {
        schema = format!("{{type: object, properties: {{a: {schema}}}}}");
    }
    let (found, _) = translated("3.0.3", &format!("    S: {schema}"), Direction::Request, "");
    assert!(depth(&found) <= 40, "{}", depth(&found));
    let mut instance = json!("x");
    let mut wrong = json!(1);
    for _ in 0..60 {
        instance = json!({"a": instance});
        wrong = json!({"a": wrong});
    }
    let schema = jsonschema::draft202012::new(&found).unwrap();
    assert!(schema.is_valid(&instance));
    assert!(!schema.is_valid(&wrong));
}

#[test]
fn chains_of_references_do_not_nest() {
    let mut schemas = String::new();
    for at in 0..2_000 {
        let name = if at == 0 { "S".to_owned() } else { format!("S{at}") };
        writeln!(
            schemas,
            "    {name}: {{type: object, properties: {{a: {{$ref: '#/components/schemas/S{}'}}}}}}",
            at + 1
        )
        .unwrap();
    }
    schemas.push_str("    S2000: {type: string}\n");
    let (found, _) = translated("3.0.3", &schemas, Direction::Request, "");
    assert!(found["$defs"].as_object().unwrap().len() > 100);
}

#[test]
fn short_names() {
    for (reference, name) in [
        ("#/components/schemas/Pet", "Pet"),
        ("#/definitions/com.example.v1.Pet", "Pet"),
        ("#/definitions/a.v1", "a.v1"),
        ("./models/Pet.yaml", "Pet"),
        ("./models.yaml#/Pet%20Shop", "Pet_Shop"),
        ("#/definitions/List«Pet»", "List_Pet"),
        ("#", "schema"),
    ] {
        assert_eq!(short_name(reference), name);
    }
}

#[test]
fn large_schemas_lose_details_first() {
    let long = "word ".repeat(100);
    let members = (0..20).fold(String::new(), |all, at| {
        all + &format!("m{at}: {{type: string, description: '{long}'}}, ")
    });
    let text = format!(
        "openapi: 3.0.3\ninfo: {{}}\npaths: {{}}\ncomponents: {{schemas: {{S: {{properties: {{a: {{properties: {{{members}}}}}}}}}}}}}"
    );
    let url = Url::parse("file:///d/api.yaml").unwrap();
    let (documents, _) =
        Documents::load(&text, &url, "api.yaml", &mut One(""), &[], &Limits::default()).unwrap();
    let root = documents.root();
    let schemas = documents.value(root).get("components").unwrap().get("schemas").unwrap();
    let at = At { node: schemas.get("S").unwrap().id(), ..root };
    let mut library = Library::new(&documents);
    let schema = library.schema(at, "", Direction::Request);
    let mut detail = |lens: &[usize]| {
        Bundle::write(&mut library, Direction::Request, &schema, lens).map(|text| text.detail)
    };
    assert_eq!(detail(&[20_000, 20_000, 20_000]), Ok(Detail::Full));
    assert_eq!(detail(&[5_000, 5_000, 5_000]), Ok(Detail::Short));
    assert_eq!(detail(&[1_000, 1_000, 1_000]), Ok(Detail::Bare));
    assert_eq!(detail(&[100, 100, 100]), Err(TooLong));
}
