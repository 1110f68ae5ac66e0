//! Header values there and back, and each rule of `x-mcp-header`.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::json::{Json, Limits, Object};

fn object(text: &str) -> Object {
    let text = Bytes::copy_from_slice(text.as_bytes());
    Json::parse(text, &Limits::CLIENT).unwrap().object().unwrap()
}

#[test]
fn values_are_plain_where_they_can_be() {
    for plain in ["", "get_weather", "file:///a b", "=?base64?", "?=", "=?BASE64?YQ==?="] {
        assert_eq!(encode_value(plain), plain);
        assert_eq!(decode_value(plain.as_bytes()).unwrap(), plain);
    }
    for (text, encoded) in [
        ("é", "=?base64?w6k=?="),
        (" a", "=?base64?IGE=?="),
        ("a ", "=?base64?YSA=?="),
        ("a\tb", "=?base64?YQli?="),
        ("a\r\nb", "=?base64?YQ0KYg==?="),
        ("\u{7f}", "=?base64?fw==?="),
        ("=?base64?YQ==?=", "=?base64?PT9iYXNlNjQ/WVE9PT89?="),
        ("=?base64?=", "=?base64?PT9iYXNlNjQ/PQ==?="),
    ] {
        assert_eq!(encode_value(text), encoded);
        assert_eq!(decode_value(encoded.as_bytes()).unwrap(), text);
    }
    assert_eq!(decode_value(b" \ta b\t ").unwrap(), "a b");
    assert_eq!(decode_value(b" =?base64?YQ==?= ").unwrap(), "a");
    assert_eq!(decode_value(b"=?base64??=").unwrap(), "");
}

#[test]
fn values_that_cannot_be_read_are_refused() {
    for (value, reason) in [
        (&b"\xc3\xa9"[..], BadHeader::Characters),
        (b"a\0b", BadHeader::Characters),
        (b"a\x7f", BadHeader::Characters),
        (b"=?base64?Y?=", BadHeader::Base64),
        (b"=?base64?YQ?=", BadHeader::Base64),
        (b"=?base64?YR==?=", BadHeader::Base64),
        (b"=?base64?Y Q==?=", BadHeader::Base64),
        (b"=?base64?-_-_?=", BadHeader::Base64),
        (b"=?base64?/w==?=", BadHeader::NotUtf8),
    ] {
        assert_eq!(decode_value(value), Err(reason), "{}", value.escape_ascii());
    }
}

proptest! {
    #[test]
    fn every_text_survives_as_a_header(text in any::<String>()) {
        let encoded = encode_value(&text);
        prop_assert!(encoded.bytes().all(|byte| matches!(byte, 0x20..=0x7e)));
        prop_assert_eq!(decode_value(encoded.as_bytes()).unwrap(), &*text);
    }
}

#[test]
fn annotations_are_found_through_properties() {
    let schema = object(
        r#"{"type":"object","properties":{
            "region":{"type":"string","x-mcp-header":"Region"},
            "options":{"type":"object","properties":{
                "limit":{"type":"integer","x-mcp-header":"Limit"},
                "properties":{"type":"boolean","x-mcp-header":"X!"}}},
            "x-mcp-header":{"type":"string","default":{"x-mcp-header":1}},
            "plain":{"enum":[{"x-mcp-header":1}],"vendor":{"x-mcp-header":"A"}}}}"#,
    );
    let found = params_of_schema(&schema).unwrap();
    let short: Vec<_> =
        found.iter().map(|param| (param.header_name(), param.path.join("/"), param.kind)).collect();
    assert_eq!(
        short,
        [
            ("mcp-param-region".to_owned(), "region".to_owned(), ParamKind::String),
            ("mcp-param-limit".to_owned(), "options/limit".to_owned(), ParamKind::Integer),
            ("mcp-param-x!".to_owned(), "options/properties".to_owned(), ParamKind::Boolean),
        ]
    );
}

#[test]
fn each_rule_is_kept() {
    let annotated = r#"{"type":"string","x-mcp-header":"A"}"#;
    let property = |schema: &str| format!(r#"{{"properties":{{"a":{schema}}}}}"#);
    assert!(params_of_schema(&object(&property(annotated))).is_ok());
    for (schema, pointer) in [
        (annotated.to_owned(), ""),
        (property(r#"{"type":"string","x-mcp-header":""}"#), "/properties/a"),
        (property(r#"{"type":"string","x-mcp-header":"a b"}"#), "/properties/a"),
        (property(r#"{"type":"string","x-mcp-header":"a:"}"#), "/properties/a"),
        (property(r#"{"type":"string","x-mcp-header":"é"}"#), "/properties/a"),
        (property(r#"{"type":"string","x-mcp-header":7}"#), "/properties/a"),
        (property(r#"{"type":"string","x-mcp-header":null}"#), "/properties/a"),
        (property(r#"{"type":"number","x-mcp-header":"A"}"#), "/properties/a"),
        (property(r#"{"type":"object","x-mcp-header":"A"}"#), "/properties/a"),
        (property(r#"{"type":["string","null"],"x-mcp-header":"A"}"#), "/properties/a"),
        (property(r#"{"x-mcp-header":"A"}"#), "/properties/a"),
        (property(&format!(r#"{{"type":"array","items":{annotated}}}"#)), "/properties/a/items"),
        (property(&format!(r#"{{"anyOf":[{{}},{annotated}]}}"#)), "/properties/a/anyOf/1"),
        (format!(r#"{{"allOf":[{}]}}"#, property(annotated)), "/allOf/0/properties/a"),
        (format!(r#"{{"$defs":{{"b/c~":{annotated}}}}}"#), "/$defs/b~1c~0"),
        (format!(r#"{{"additionalProperties":{annotated}}}"#), "/additionalProperties"),
        (format!(r#"{{"patternProperties":{{"x":{annotated}}}}}"#), "/patternProperties/x"),
        (format!(r#"{{"if":{}}}"#, property(annotated)), "/if/properties/a"),
        (
            format!(
                r#"{{"properties":{{"a":{annotated},"b":{{"type":"string","x-mcp-header":"a"}}}}}}"#
            ),
            "/properties/b",
        ),
    ] {
        let violation = params_of_schema(&object(&schema)).expect_err(&schema);
        assert_eq!(violation.pointer, pointer, "{schema}");
    }
}

#[test]
fn values_come_from_the_arguments() {
    let param = |kind, path: &[&str]| HeaderParam {
        header: "H".to_owned(),
        path: path.iter().map(ToString::to_string).collect(),
        kind,
    };
    let arguments = object(
        r#"{"s":" é","n":null,"i":-0,"b":true,"o":{"i":1.50e2},"big":9007199254740991,
            "over":9007199254740992,"half":0.5,"huge":1e999999999999999999999,"tiny":10e-1}"#,
    );
    let value = |kind, path: &[&str]| param(kind, path).value_in(&arguments);
    let some = |text: &str| Ok(Some(text.to_owned()));
    assert_eq!(value(ParamKind::String, &["s"]), some(" é"));
    assert_eq!(value(ParamKind::String, &["n"]), Ok(None));
    assert_eq!(value(ParamKind::String, &["absent"]), Ok(None));
    assert_eq!(value(ParamKind::String, &["s", "deeper"]), Ok(None));
    assert_eq!(value(ParamKind::Boolean, &["b"]), some("true"));
    assert_eq!(value(ParamKind::Integer, &["i"]), some("0"));
    assert_eq!(value(ParamKind::Integer, &["o", "i"]), some("150"));
    assert_eq!(value(ParamKind::Integer, &["tiny"]), some("1"));
    assert_eq!(value(ParamKind::Integer, &["big"]), some("9007199254740991"));
    for path in ["over", "half", "huge", "s", "b"] {
        assert!(value(ParamKind::Integer, &[path]).is_err(), "{path}");
    }
    assert!(value(ParamKind::String, &["b"]).is_err());
    assert!(value(ParamKind::Boolean, &["s"]).is_err());
}

#[test]
fn headers_are_compared_with_the_arguments() {
    use ParamKind::{Boolean, Integer, String};
    let check = |kind, header: Option<&str>, arguments: &str| {
        let param = HeaderParam { header: "H".to_owned(), path: vec!["a".to_owned()], kind };
        param.check(header.map(str::as_bytes), &object(arguments))
    };
    assert_eq!(check(String, Some("=?base64?w6k=?="), r#"{"a":"é"}"#), Ok(()));
    assert_eq!(check(String, Some("x"), r#"{"a":"X"}"#), Err(Mismatch::Different));
    assert_eq!(check(String, None, r#"{"a":null}"#), Ok(()));
    assert_eq!(check(String, None, r#"{"a":""}"#), Err(Mismatch::Missing));
    assert_eq!(check(String, Some(""), r#"{"a":""}"#), Ok(()));
    assert_eq!(check(String, Some("x"), "{}"), Err(Mismatch::Unexpected));
    assert_eq!(check(Integer, Some("42.0"), r#"{"a":42}"#), Ok(()));
    assert_eq!(check(Integer, Some("42"), r#"{"a":4.2e1}"#), Ok(()));
    assert_eq!(check(Integer, Some("43"), r#"{"a":42}"#), Err(Mismatch::Different));
    assert_eq!(check(Integer, Some("forty"), r#"{"a":42}"#), Err(Mismatch::Different));
    assert_eq!(check(Boolean, Some("true"), r#"{"a":true}"#), Ok(()));
    assert_eq!(check(Boolean, Some("True"), r#"{"a":true}"#), Err(Mismatch::Different));
    assert_eq!(
        check(String, Some("=?base64?!?="), r#"{"a":"x"}"#),
        Err(Mismatch::Unreadable(BadHeader::Base64))
    );
    assert!(matches!(check(Boolean, Some("x"), r#"{"a":"x"}"#), Err(Mismatch::Argument(_))));
}
