//! What a tool answers.

use super::*;

fn output(responses: &str, options: &Options) -> (Option<Json>, Report) {
    let text = format!(
        "openapi: 3.0.3\ninfo: {{title: t, version: '1'}}\npaths:\n  /x:\n    get:\n      responses:\n{responses}\n\
         components:\n  schemas:\n    A: {{type: object, properties: {{secret: {{type: string, writeOnly: true}}, \
         id: {{type: integer, readOnly: true}}, children: {{type: array, items: {{$ref: '#/components/schemas/A'}}}}}}}}\n\
         \x20   B: {{type: string}}\n"
    );
    let (tools, report) = tools_of(&text, options);
    (definition(&tools[0]).get("outputSchema").cloned(), report)
}

fn json_of(status: &str, schema: &str) -> String {
    format!(
        "        '{status}': {{description: ok, content: {{application/json: {{schema: {schema}}}}}}}\n"
    )
}

const A: &str = "{$ref: '#/components/schemas/A'}";
const B: &str = "{$ref: '#/components/schemas/B'}";

#[test]
fn several_successes_are_alternatives() {
    let responses = format!("{}{}{}", json_of("200", A), json_of("201", B), json_of("404", B));
    let (schema, _) = output(&responses, &Options::default());
    assert_eq!(
        schema.unwrap(),
        json!({
            "anyOf": [{"$ref": "#/$defs/A"}, {"type": "string"}],
            "$defs": {"A": {"type": "object", "properties": {
                "id": {"type": "integer"},
                "children": {"type": "array", "items": {"$ref": "#/$defs/A"}},
            }}},
        })
    );
}

#[test]
fn a_recursive_object_says_that_it_is_one() {
    let (schema, _) = output(&json_of("200", A), &Options::default());
    let schema = schema.unwrap();
    assert_eq!((&schema["$ref"], &schema["type"]), (&json!("#/$defs/A"), &json!("object")));
}

#[test]
fn nothing_is_promised_that_may_not_come() {
    let none = "        '204': {description: gone}\n";
    let text =
        "        '200': {description: ok, content: {text/plain: {schema: {type: string}}}}\n";
    let ranged = json_of("2XX", B);
    for (responses, is_there, is_told) in [
        (format!("{}{none}", json_of("200", A)), false, true),
        (text.to_owned(), false, false),
        (ranged, true, false),
        (json_of("default", B), true, false),
        (json_of("404", B), false, false),
        (json_of("200", "{}"), false, true),
    ] {
        let (schema, report) = output(&responses, &Options::default());
        assert_eq!(schema.is_some(), is_there, "{responses}");
        assert_eq!(found(&report, "output-schema-left-out"), is_told, "{responses}");
    }
}

#[test]
fn only_what_all_clients_check_alike_is_promised() {
    let schema = "{type: object, properties: {at: {type: string, format: date-time}, \
                  id: {type: string, format: uuid, description: The id.}, n: {type: integer, format: int32}, \
                  price: {type: number, multipleOf: 0.01, minimum: 0}, dozen: {type: integer, multipleOf: 12}, \
                  word: {type: string, pattern: '^(?!x)'}, code: {type: string, pattern: '^[a-z]+$'}}, \
                  patternProperties: {'^(?=y)': {type: string}, '^z': {type: string}}, \
                  additionalProperties: false}";
    let (schema, _) = output(&json_of("200", schema), &Options::default());
    assert_eq!(
        schema.unwrap(),
        json!({
            "type": "object",
            "properties": {
                "at": {"type": "string", "description": "date-time"},
                "id": {"type": "string", "description": "The id."},
                "n": {"type": "integer"},
                "price": {"type": "number", "minimum": 0},
                "dozen": {"type": "integer", "multipleOf": 12},
                "word": {"type": "string"},
                "code": {"type": "string", "pattern": "^[a-z]+$"},
            },
            "patternProperties": {"^z": {"type": "string"}},
        })
    );
}

#[test]
fn long_schemas_are_left_out() {
    let long = format!("{{type: string, description: {}}}", "x".repeat(9_000));
    let responses = json_of("200", &long);
    let with = |mode| Options { output: mode, ..Options::default() };
    let (schema, report) = output(&responses, &with(Output::Auto));
    assert!(schema.is_none());
    assert!(found(&report, "output-schema-left-out"));
    assert!(output(&responses, &with(Output::On)).0.is_some());
    assert!(output(&json_of("200", B), &with(Output::Off)).0.is_none());
}
