//! Schemas that stand for all that inherit from them.

use serde_json::{Value as Json, json};

use super::{Direction, translated};

const PETS: &str = "
    Pet: {type: object, required: [kind], discriminator: {propertyName: kind}, properties: {kind: {type: string}, friend: {$ref: '#/components/schemas/Pet'}}}
    Cat: {allOf: [{$ref: '#/components/schemas/Pet'}, {type: object, required: [lives], properties: {lives: {type: integer}}}]}
    Dog: {allOf: [{$ref: '#/components/schemas/Pet'}], properties: {barks: {type: boolean}}}
    Puppy: {allOf: [{$ref: '#/components/schemas/Dog'}, {properties: {weeks: {type: integer}}}]}
";

fn read(schemas: &str, direction: Direction) -> Json {
    translated("3.0.3", schemas, direction, "").0
}

/// Whether each of these values fits.
#[track_caller]
fn fits(schema: &Json, cases: &[(Json, bool)]) {
    let checked = jsonschema::draft202012::new(schema).unwrap();
    for (value, fits) in cases {
        assert_eq!(checked.is_valid(value), *fits, "{value} by {schema:#}");
    }
}

#[test]
fn heirs_are_alternatives_of_what_is_sent() {
    let schemas =
        format!("{PETS}    S: {{properties: {{pet: {{$ref: '#/components/schemas/Pet'}}}}}}");
    let found = read(&schemas, Direction::Request);
    let branch = |name: &str| {
        json!({"allOf": [{"$ref": format!("#/$defs/{name}")}],
            "properties": {"kind": {"const": name}}})
    };
    let others = json!({"allOf": [{"$ref": "#/$defs/Pet"}],
        "properties": {"kind": {"not": {"enum": ["Cat", "Dog", "Puppy"]}}}});
    assert_eq!(
        found["$defs"]["AnyPet"],
        json!({"type": "object", "anyOf": [branch("Cat"), branch("Dog"), branch("Puppy"), others]})
    );
    assert_eq!(found["$defs"]["Pet"]["properties"]["friend"], json!({"$ref": "#/$defs/AnyPet"}));
    let of = |pet: Json| json!({"pet": pet});
    fits(
        &found,
        &[
            (of(json!({"kind": "Cat", "lives": 9})), true),
            (of(json!({"kind": "Cat"})), false),
            (of(json!({"kind": "Puppy", "barks": true, "weeks": 3})), true),
            (of(json!({"kind": "Puppy", "weeks": "3"})), false),
            (of(json!({"kind": "Fish", "weeks": "3"})), true),
            (of(json!({"lives": 9})), false),
            (of(json!({"kind": "Dog", "friend": {"kind": "Cat"}})), false),
            (of(json!({"kind": "Dog", "friend": {"kind": "Cat", "lives": 1}})), true),
        ],
    );
    // What comes back may be of a kind that the document does not know.
    let found = read(&schemas, Direction::Response);
    assert_eq!(found["$defs"]["Pet"]["discriminator"], json!({"propertyName": "kind"}));
    assert!(found.get("$defs").is_none_or(|all| all.get("AnyPet").is_none()));
}

#[test]
fn what_chooses_an_heir_is_what_the_document_says() {
    // A mapping, also to what does not inherit; a value of its own; the letters of the base's `enum`.
    let found = read(
        "
    Base: {type: object, discriminator: {propertyName: k, mapping: {one: First, uno: '#/components/schemas/First', alien: Other}}, properties: {k: {type: string}}}
    First: {allOf: [{$ref: '#/components/schemas/Base'}]}
    Second: {allOf: [{$ref: '#/components/schemas/Base'}, {properties: {k: {enum: [two]}}}]}
    Other: {type: object, required: [k], properties: {k: {type: string}}}
    S: {allOf: [{$ref: '#/components/schemas/Base'}], description: A wrapper., nullable: true}
",
        Direction::Request,
    );
    assert_eq!(found["description"], "A wrapper.");
    assert_eq!(found["anyOf"][1], json!({"type": "null"}));
    let family = &found["anyOf"][0];
    let chosen: Vec<&Json> = family["anyOf"].as_array().unwrap().iter().collect();
    assert_eq!(chosen[0]["properties"]["k"], json!({"enum": ["one", "uno"]}));
    assert!(chosen[1].get("properties").is_none(), "{}", chosen[1]);
    assert_eq!(chosen[2]["properties"]["k"], json!({"const": "alien"}));
    let others = json!({"not": {"enum": ["one", "uno", "two", "alien"]}});
    assert_eq!(chosen[3]["properties"]["k"], others);

    let schemas = "
    Base: {type: object, discriminator: k, required: [k], properties: {k: {type: string, enum: [first, x-2]}}}
    First: {allOf: [{$ref: '#/definitions/Base'}]}
    Second: {allOf: [{$ref: '#/definitions/Base'}], x-ms-discriminator-value: x-2}
    S: {$ref: '#/definitions/Base'}
";
    let (found, _) = translated("2.0", schemas, Direction::Request, "");
    let chosen: Vec<&Json> = found["anyOf"].as_array().unwrap().iter().collect();
    assert_eq!(chosen.len(), 2, "{found}");
    assert_eq!(chosen[0]["properties"]["k"], json!({"const": "first"}));
    assert_eq!(chosen[1]["properties"]["k"], json!({"const": "x-2"}));
}

#[test]
fn all_other_values_choose_the_default() {
    let schemas = "
    Base: {type: object, discriminator: {propertyName: k, defaultMapping: Rest}, properties: {k: {type: string}}}
    One: {allOf: [{$ref: '#/components/schemas/Base'}, {required: [a]}]}
    Rest: {allOf: [{$ref: '#/components/schemas/Base'}, {required: [b]}]}
    S: {$ref: '#/components/schemas/Base'}
";
    let (found, _) = translated("3.2.0", schemas, Direction::Request, "");
    fits(
        &found,
        &[
            (json!({"k": "One", "a": 1}), true),
            (json!({"k": "One", "b": 1}), false),
            (json!({"k": "Rest", "b": 1}), true),
            (json!({"k": "more", "b": 1}), true),
            (json!({"b": 1}), true),
            (json!({"a": 1}), false),
        ],
    );
    let schemas = "
    One: {type: object, required: [k], properties: {k: {type: string}, a: {type: integer}}}
    Rest: {type: object, properties: {k: {type: string, not: {enum: [One]}}}}
    S: {oneOf: [{$ref: '#/components/schemas/One'}, {$ref: '#/components/schemas/Rest'}], discriminator: {propertyName: k, defaultMapping: Rest}}
";
    let (found, _) = translated("3.2.0", schemas, Direction::Request, "");
    fits(
        &found,
        &[
            (json!({"k": "One", "a": 1}), true),
            (json!({"k": "One", "a": "1"}), false),
            (json!({"k": "Rest"}), true),
            (json!({"k": "more"}), true),
            (json!({}), true),
        ],
    );
    // The default has values of its own, too, and those of the others do not lead there.
    let schemas = "
    One: {type: object, properties: {k: {type: string}, a: {type: integer}}}
    Rest: {type: object, required: [b], properties: {k: {type: string}}}
    S: {oneOf: [{$ref: '#/components/schemas/One'}, {$ref: '#/components/schemas/Rest'}], discriminator: {propertyName: k, mapping: {one: One, rest: Rest}, defaultMapping: Rest}}
";
    let (found, _) = translated("3.2.0", schemas, Direction::Request, "");
    fits(
        &found,
        &[
            (json!({"k": "one", "b": 1}), true),
            (json!({"k": "rest", "b": 1}), true),
            (json!({"k": "more", "b": 1}), true),
            (json!({"b": 1}), true),
            (json!({"k": "more"}), false),
        ],
    );
}

#[test]
fn a_schema_that_is_built_on_does_not_stand_for_its_family() {
    // In an heir, beside others in `allOf`, and where heirs are named beside it.
    for own in [
        "{allOf: [{$ref: '#/components/schemas/Pet'}, {properties: {a: {type: string}}}]}",
        "{oneOf: [{$ref: '#/components/schemas/Pet'}, {$ref: '#/components/schemas/Cat'}]}",
        "{$ref: '#/components/schemas/Puppy'}",
    ] {
        let schemas = format!("{PETS}    S: {own}")
            .replace(", friend: {$ref: '#/components/schemas/Pet'}", "");
        let found = read(&schemas, Direction::Request);
        assert!(!found.to_string().contains("AnyPet"), "{own}: {found}");
        assert!(!found.to_string().contains("\"not\""), "{own}: {found}");
    }
    let null = "{anyOf: [{$ref: '#/components/schemas/Pet'}, {type: object, maxProperties: 0}]}";
    let found = read(&format!("{PETS}    S: {null}"), Direction::Request);
    assert!(found.to_string().contains("AnyPet"), "{found}");
}

#[test]
fn families_that_are_too_large_are_left_out() {
    let text = "x".repeat(500);
    let heirs = |count: usize| -> String {
        let heir = |number: usize| {
            format!(
                "    H{number}: {{allOf: [{{$ref: '#/components/schemas/Pet'}}, {{properties: {{a{number}: {{type: string, description: {text}}}}}}}]}}\n"
            )
        };
        (0..count).map(heir).collect()
    };
    for (count, is_told) in [(5, true), (30, false), (100, false)] {
        let schemas = format!("{PETS}{}    S: {{$ref: '#/components/schemas/Pet'}}", heirs(count));
        let found = read(&schemas, Direction::Request).to_string();
        assert_eq!(found.contains("Puppy"), is_told, "{count}");
        assert!(found.contains("\"kind\""));
    }
}
