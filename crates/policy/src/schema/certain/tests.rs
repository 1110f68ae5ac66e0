//! Who is certain is right: the full validator says the same.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, json};

use super::super::build;
use super::*;

/// What the text is by the schema: certainly so, certainly not, or nobody knows.
fn verdict(schema: &Value, text: &str) -> Option<bool> {
    let pattern = |pattern: &Value| build(&json!({ "pattern": pattern })).ok();
    let certain = Certain::read(schema, pattern);
    let value = Json::trusted(text.to_owned());
    match Check::new(&certain.nodes, &value).whole() {
        Ok(()) => Some(true),
        Err(check::Miss::No) => Some(false),
        Err(check::Miss::Unknown) => None,
    }
}

/// What the full validator says; what cannot be read as a tree does not fit.
fn full(schema: &Value, text: &str) -> bool {
    let validator = build(schema).unwrap();
    serde_json::from_str(text).is_ok_and(|value: Value| validator.is_valid(&value))
}

const KINDS: [&str; 7] = ["null", "boolean", "string", "array", "object", "integer", "number"];
const NAMES: [&str; 5] = ["a", "b", "c", "é", "x y"];
const NUMBERS: [&str; 20] = [
    "0",
    "-0",
    "1",
    "2",
    "3",
    "10",
    "-1",
    "1.0",
    "1.5",
    "0.1",
    "2.50",
    "1e2",
    "1E-1",
    "-2.5e1",
    "1e999",
    "9007199254740993",
    "123456789012345678",
    "123456789012345678901234567890",
    "2.0000000000000001",
    "0.30000000000000004",
];
const STRINGS: [&str; 12] = [
    r#""""#,
    r#""a""#,
    r#""b""#,
    r#""ab""#,
    r#""é""#,
    r#""\u00e9""#,
    r#""\n""#,
    r#""a\"b""#,
    r#""\ud83d\ude00""#,
    r#""\ud800""#,
    r#""aaaa""#,
    r#""\u0061""#,
];

/// The text of a value, with white space here and there.
fn value() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        select(&NUMBERS[..]).prop_map(str::to_owned),
        select(&STRINGS[..]).prop_map(str::to_owned),
        select(&["true", "false", "null"][..]).prop_map(str::to_owned),
    ];
    scalar.prop_recursive(3, 24, 5, |inner| {
        let space = select(&["", " ", "\n "][..]);
        let list = (vec(inner.clone(), 0..5), space.clone())
            .prop_map(|(all, space)| format!("[{space}{}{space}]", all.join(&format!(",{space}"))));
        let keys = proptest::sample::subsequence(&NAMES[..], 0..NAMES.len());
        let object = (keys.prop_shuffle(), vec(inner, NAMES.len()), space).prop_map(
            |(keys, values, space)| {
                let members = keys.iter().zip(values);
                let members: Vec<_> = members
                    .map(|(key, value)| format!("\"{key}\"{space}:{space}{value}"))
                    .collect();
                format!("{{{space}{}{space}}}", members.join(&format!("{space},")))
            },
        );
        prop_oneof![list, object]
    })
}

fn literal() -> impl Strategy<Value = Value> {
    value().prop_filter_map("a value that can be read", |text| serde_json::from_str(&text).ok())
}

/// A keyword with its value.
fn keyword(inner: BoxedStrategy<Value>) -> BoxedStrategy<(String, Value)> {
    let of = |key: &str| {
        let key = key.to_owned();
        move |value: Value| (key.clone(), value)
    };
    let number =
        || select(vec![json!(0), json!(1), json!(2), json!(1.5), json!(0.1), json!(-1), json!(10)]);
    let count = || (0_u64..4).prop_map(Value::from);
    let names = || proptest::sample::subsequence(&NAMES[..], 0..3).prop_map(|it| json!(it));
    let schemas = || vec(inner.clone(), 1..4).prop_map(Value::Array);
    let members = || {
        (proptest::sample::subsequence(&NAMES[..], 0..4), vec(inner.clone(), NAMES.len())).prop_map(
            |(names, schemas)| {
                Value::Object(names.iter().map(|&name| name.to_owned()).zip(schemas).collect())
            },
        )
    };
    let reference =
        select(vec![json!("#"), json!("#/$defs/a"), json!("#/$defs/b"), json!("#/properties/a")]);
    prop_oneof![
        4 => select(&KINDS[..]).prop_map(|it| json!(it)).prop_map(of("type")),
        1 => proptest::sample::subsequence(&KINDS[..], 1..4).prop_map(|it| json!(it)).prop_map(of("type")),
        1 => vec(literal(), 1..4).prop_map(Value::Array).prop_map(of("enum")),
        1 => literal().prop_map(of("const")),
        1 => count().prop_map(of("minLength")),
        1 => count().prop_map(of("maxLength")),
        1 => select(vec![json!("^a"), json!("b$"), json!("^\\w+$"), json!("")]).prop_map(of("pattern")),
        1 => number().prop_map(of("minimum")),
        1 => number().prop_map(of("maximum")),
        1 => number().prop_map(of("exclusiveMinimum")),
        1 => number().prop_map(of("exclusiveMaximum")),
        1 => select(vec![json!(1), json!(2), json!(0.1), json!(3.0)]).prop_map(of("multipleOf")),
        1 => count().prop_map(of("minItems")),
        1 => count().prop_map(of("maxItems")),
        1 => any::<bool>().prop_map(Value::Bool).prop_map(of("uniqueItems")),
        1 => schemas().prop_map(of("prefixItems")),
        3 => inner.clone().prop_map(of("items")),
        1 => count().prop_map(of("minProperties")),
        1 => count().prop_map(of("maxProperties")),
        6 => members().prop_map(of("properties")),
        2 => inner.clone().prop_map(of("additionalProperties")),
        2 => names().prop_map(of("required")),
        1 => schemas().prop_map(of("allOf")),
        2 => schemas().prop_map(of("anyOf")),
        2 => schemas().prop_map(of("oneOf")),
        1 => inner.clone().prop_map(of("not")),
        1 => reference.prop_map(of("$ref")),
        1 => select(vec![json!("date"), json!("email")]).prop_map(of("format")),
        1 => inner.clone().prop_map(of("if")),
        1 => inner.clone().prop_map(of("then")),
        1 => inner.clone().prop_map(of("contains")),
        1 => inner.prop_map(of("unevaluatedProperties")),
    ]
    .boxed()
}

fn schema() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        1 => any::<bool>().prop_map(Value::Bool),
        8 => select(vec![json!({}), json!({"type": "string"}), json!({"type": "integer"})]),
    ];
    let inner = leaf.prop_recursive(4, 40, 4, |inner| {
        vec(keyword(inner.boxed()), 0..4).prop_map(|all| Value::Object(all.into_iter().collect()))
    });
    let inner = inner.boxed();
    (vec(keyword(inner.clone()), 1..5), inner.clone(), inner)
        .prop_map(|(keywords, a, b)| {
            let mut whole: Map<String, Value> = keywords.into_iter().collect();
            whole.insert("$defs".to_owned(), json!({"a": a, "b": b}));
            Value::Object(whole)
        })
        .boxed()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn who_is_certain_is_right(schema in schema(), texts in vec(value(), 8)) {
        // Some refer to what is not there.
        prop_assume!(build(&schema).is_ok());
        for text in texts {
            if let Some(verdict) = verdict(&schema, &text) {
                prop_assert_eq!(verdict, full(&schema, &text), "{} {}", schema, text);
            }
        }
    }
}

#[test]
fn what_is_common_is_certain() {
    let pet = json!({"type": "object", "required": ["id", "name"], "properties": {
        "id": {"type": "integer", "format": "int64", "minimum": 1},
        "name": {"type": "string", "minLength": 1, "maxLength": 5, "pattern": "^[a-zé]+$"},
        "price": {"type": "number", "exclusiveMinimum": 0},
        "status": {"enum": ["sold", "free", null]},
        "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": true, "maxItems": 3},
        "owner": {"anyOf": [{"$ref": "#/$defs/Owner"}, {"type": "null"}]},
        "shape": {"oneOf": [
            {"type": "object", "required": ["kind"], "properties": {"kind": {"const": "round"}}},
            {"type": "object", "required": ["kind"], "properties": {"kind": {"const": "square"}}},
        ]},
    }, "additionalProperties": false, "$defs": {
        "Owner": {"type": "object", "properties": {
            "friends": {"type": "array", "items": {"$ref": "#/$defs/Owner"}},
        }, "additionalProperties": {"type": "string"}},
    }});
    for (text, expected) in [
        (r#"{"id":7,"name":"rexé"}"#, Some(true)),
        (r#" { "name" : "rex" , "id" : 7 } "#, Some(true)),
        (r#"{"id":7,"name":"rex","price":12.5,"status":"sold","tags":["a","b"]}"#, Some(true)),
        (r#"{"id":7,"name":"rex","status":null,"owner":null}"#, Some(true)),
        (r#"{"id":7,"name":"rex","owner":{"name":"a","friends":[{"friends":[]},{}]}}"#, Some(true)),
        (r#"{"id":7,"name":"rex","shape":{"kind":"square","side":1e3}}"#, None),
        (
            r#"{"id":7,"name":"rex","shape":{"kind":"square","side":[{"a":-1.5}, true]}}"#,
            Some(true),
        ),
        (r#"{"id":7,"name":"rex","shape":{"kind":"flat"}}"#, Some(false)),
        (r#"{"id":7,"name":"long name"}"#, Some(false)),
        (r#"{"id":7,"name":"REX"}"#, Some(false)),
        (r#"{"id":0,"name":"rex"}"#, Some(false)),
        (r#"{"id":7}"#, Some(false)),
        (r#"{"id":7,"name":"rex","tags":["a","a"]}"#, Some(false)),
        (r#"{"id":7,"name":"rex","other":1}"#, Some(false)),
        (r#"{"id":7,"name":"rex","owner":{"name":1}}"#, Some(false)),
        (r#"{"id":7.0,"name":"rex"}"#, None),
        (r#"{"id":7,"n\u0061me":"rex"}"#, None),
    ] {
        assert_eq!(verdict(&pet, text), expected, "{text}");
        if let Some(expected) = expected {
            assert_eq!(full(&pet, text), expected, "{text}");
        }
    }
}

#[test]
fn nobody_reads_for_ever() {
    // Each level looks at the next one twice, and the last is wrong.
    let schema = json!({"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [
        {"required": ["x"], "properties": {"b": {"$ref": "#/$defs/a"}}},
        {"properties": {"b": {"$ref": "#/$defs/a"}, "x": false}},
    ]}}});
    let text = format!("{}{{\"x\":1}}{}", "{\"b\":".repeat(40), "}".repeat(40));
    assert_eq!(verdict(&schema, &text), None);
    let deep = format!("{}{}", "[".repeat(120), "]".repeat(120));
    assert_eq!(verdict(&json!({}), &deep), None);
    let circle = json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}});
    assert_eq!(verdict(&circle, "1"), None);
    // A chain of references may be as long as it likes.
    let chain = (0..500).map(|at| {
        (format!("d{at}"), json!({"properties": {"a": {"$ref": format!("#/$defs/d{}", at + 1)}}}))
    });
    let mut chain: Map<String, Value> = chain.collect();
    chain.insert("d500".to_owned(), json!({"type": "string"}));
    let chain = json!({"$ref": "#/$defs/d0", "$defs": chain});
    assert_eq!(verdict(&chain, r#"{"a":{"a":{"b":1}}}"#), Some(true));
}

#[test]
fn broken_text_is_nobodys_value() {
    let schema = json!({"properties": {"a": {"type": "integer"}}});
    let whole = r#"{"a": [1, {"b": "c\"d"}], "e": true}"#;
    for end in 0..whole.len() {
        assert_ne!(verdict(&schema, &whole[..end]), Some(true), "{}", &whole[..end]);
    }
}
