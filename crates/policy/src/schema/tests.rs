//! What fits, what does not, and how it is said.

use super::*;

fn said(schema: &str, value: &str) -> Vec<String> {
    let schema = Schema::compile(schema.as_bytes()).unwrap();
    let value = Json::trusted(value.to_owned());
    let violations = schema.violations(&value, 5);
    assert_eq!(schema.allows(&value), violations.is_empty());
    violations.into_iter().map(|it| format!("{} {}", it.at, it.problem)).collect()
}

const PET: &str = r##"{"type":"object","required":["pet_id"],"additionalProperties":false,
    "properties":{"pet_id":{"type":"integer","minimum":1},"tags":{"type":"array","items":{"type":"string"}},
    "status":{"enum":["sold","free"]},"owner":{"$ref":"#/$defs/Owner"}},
    "$defs":{"Owner":{"type":"object","required":["name"],"properties":{"name":{"type":"string"},
    "boss":{"$ref":"#/$defs/Owner"}}}}}"##;

#[test]
fn what_does_not_fit_is_named() {
    for (value, expected) in [
        (r#"{"pet_id":7,"owner":{"name":"a","boss":{"name":"b"}}}"#, ""),
        ("{}", "pet_id is required and missing"),
        (r#"{"pet_id":"7"}"#, "pet_id must be of type integer, and is string"),
        (r#"{"pet_id":0}"#, "pet_id must be at least 1"),
        (r#"{"pet_id":1,"petId":1}"#, "petId is not known; did you mean `pet_id`?"),
        (r#"{"pet_id":1,"tags":["a",1]}"#, "tags[1] must be of type string, and is integer"),
        (r#"{"pet_id":1,"status":"x"}"#, "status must be one of [\"sold\",\"free\"]"),
        (
            r#"{"pet_id":1,"owner":{"name":"a","boss":{}}}"#,
            "owner.boss.name is required and missing",
        ),
        ("[]", " must be of type object, and is array"),
    ] {
        assert_eq!(said(PET, value).join("; "), expected, "{value}");
    }
}

#[test]
fn alternatives_are_told_by_the_nearest() {
    let schema = r#"{"properties":{"a":{"anyOf":[{"type":"integer"},
        {"type":"object","required":["x"]}]}}}"#;
    let said = said(schema, r#"{"a":{}}"#);
    assert_eq!(said.len(), 1);
    assert!(said[0].starts_with("a fits none of the alternatives"), "{said:?}");
}

#[test]
fn values_are_not_repeated() {
    let long = format!("{{\"pet_id\":\"{}\"}}", "canary".repeat(100));
    assert!(!said(PET, &long).concat().contains("canary"));
}

#[test]
fn patterns_that_cannot_be_run_are_not_checked() {
    let schema = r#"{"properties":{"a":{"type":"string","pattern":"^(?=x)\\d+$"},
        "b":{"pattern":"^\\d+$"}},"patternProperties":{"^(?!x)y":{"type":"string"}},
        "additionalProperties":false}"#;
    assert_eq!(said(schema, r#"{"a":"anything","b":"1","y":1}"#), [""; 0]);
    assert_eq!(said(schema, r#"{"b":"x"}"#).len(), 1);
}

#[test]
fn nothing_is_fetched_and_nothing_runs_for_long() {
    assert!(Schema::compile(br#"{"$ref":"http://127.0.0.1:1/x"}"#).is_err());
    assert!(Schema::compile(br#"{"$ref":"file:///etc/passwd"}"#).is_err());
    let schema = Schema::compile(br#"{"pattern":"^(a+)+$"}"#).unwrap();
    let value = Json::string(&format!("{}!", "a".repeat(50_000)));
    assert!(!schema.allows(&value));
}

#[test]
fn large_numbers_are_numbers() {
    let schema = r#"{"type":"integer"}"#;
    assert_eq!(said(schema, "123456789012345678901234567890").len(), 0);
}

#[test]
fn numbers_beyond_all_floats_are_numbers() {
    let schema = r#"{"properties":{"n":{"type":"number"},"t":{"type":"string"},
        "m":{"type":"number","minimum":0,"maximum":9}}}"#;
    for value in
        [r#"{"n":1e400}"#, r#"{"t":"1e400 \" 1e400","n":-1E+400}"#, r#"{"n":1e400,"t":"\\","m":1}"#]
    {
        assert_eq!(said(schema, value), [""; 0], "{value}");
    }
    assert_eq!(said(schema, r#"{"m":1e400}"#), ["m must be at most 9"]);
    assert_eq!(said(schema, r#"{"m":-1e400}"#), ["m must be at least 0"]);
    assert_eq!(said(schema, r#"{"t":1e400}"#), ["t must be of type string, and is number"]);
}

#[test]
fn bounds_say_what_would_be_right() {
    for (schema, value, expected) in [
        (r#"{"exclusiveMaximum":5}"#, "5", "must be less than 5"),
        (r#"{"exclusiveMinimum":5}"#, "5", "must be greater than 5"),
        (r#"{"multipleOf":5}"#, "6", "must be a multiple of 5"),
        (r#"{"minItems":1}"#, "[]", "must have at least 1 element"),
        (r#"{"maxItems":2}"#, "[1,2,3]", "must have at most 2 elements"),
        (r#"{"minLength":1}"#, "\"\"", "must not be empty"),
        (r#"{"maxLength":1}"#, "\"ab\"", "must have at most 1 character"),
        (r#"{"minProperties":1}"#, "{}", "must have at least 1 member"),
        (r#"{"uniqueItems":true}"#, "[1,1]", "must not have the same element twice"),
        (r#"{"not":{"type":"null"}}"#, "null", "must not fit {\"type\":\"null\"}"),
    ] {
        assert_eq!(said(schema, value), [format!(" {expected}")], "{schema}");
    }
}
