//! What counts as a message.

use super::*;

fn decode(text: &str) -> Result<Message, Refusal> {
    Message::decode(&Bytes::copy_from_slice(text.as_bytes()), &Limits::CLIENT)
}

#[test]
fn a_request_keeps_its_parts_verbatim() {
    let text = r#"{"jsonrpc":"2.0","id":123456789012345678901234567890,"method":"tools/call",
        "params":{"name":"t","arguments":{"z":1.50,"a":[]},"_meta":{"progressToken":"p"},"x":null}}"#;
    let Message::Request(request) = decode(text).unwrap() else { panic!("a request") };
    assert_eq!(request.id.as_bytes(), b"123456789012345678901234567890");
    assert_eq!(&*request.method, "tools/call");
    assert_eq!(request.params.raw("arguments").unwrap(), br#"{"z":1.50,"a":[]}"#);
    assert_eq!(request.meta.text("progressToken").unwrap(), "p");
    let again = encode_request(&Id::from(7), "tools/call", request.params.to_json(&[]).as_bytes());
    assert!(String::from_utf8(again).unwrap().contains(r#""arguments":{"z":1.50,"a":[]}"#));
}

#[test]
fn ids_are_equal_by_value_and_type() {
    let id = |text: &str| Id::from_json(&Json::trusted(text.to_owned())).unwrap();
    assert_eq!(id(r#""a""#), id(r#""\u0061""#));
    assert_ne!(id("1"), id(r#""1""#));
    assert!(Id::from_json(&Json::trusted("1.0")).is_none());
    assert!(Id::from_json(&Json::trusted("1e3")).is_none());
}

#[test]
fn envelopes_that_two_parsers_could_read_differently_are_refused() {
    for (text, code) in [
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","method":"b"}"#, code::PARSE_ERROR),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","Method":"b"}"#, code::PARSE_ERROR),
        (r#"{"jsonrpc":"2.0","id":1,"m\u0065thod":"a"}"#, code::PARSE_ERROR),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{"name":"x","NAME":"y"}}"#,
            code::PARSE_ERROR,
        ),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{"x":{"\u0000":1}}}"#, code::PARSE_ERROR),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"a"}]"#, code::INVALID_REQUEST),
        (r#"{"jsonrpc":"1.0","id":1,"method":"a"}"#, code::INVALID_REQUEST),
        (r#"{"id":1,"method":"a"}"#, code::INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":null,"method":"a"}"#, code::INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"a"}"#, code::INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, code::INVALID_REQUEST),
        (
            r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":"x"}}"#,
            code::INVALID_REQUEST,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"result":{"ok":1},"params":{"evil":1}}"#,
            code::INVALID_REQUEST,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"params":{"code":1},"error":{"message":"x"}}"#,
            code::INVALID_REQUEST,
        ),
        (r#"{"jsonrpc":"2.0","id":1,"result":{},"method":"a"}"#, code::INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","params":[1]}"#, code::INVALID_PARAMS),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{"_meta":1}}"#, code::INVALID_PARAMS),
        ("5", code::INVALID_REQUEST),
        ("\"text\"", code::INVALID_REQUEST),
        ("5 5", code::PARSE_ERROR),
    ] {
        assert_eq!(decode(text).unwrap_err().to_error().code, code, "{text}");
    }
}

#[test]
fn batches_split_and_keep_each_member() {
    let split =
        |text: &str| split_batch(&Bytes::copy_from_slice(text.as_bytes()), &Limits::CLIENT, 2);
    assert_eq!(split(r#"[{"a":1}, 2]"#).unwrap().unwrap().len(), 2);
    assert!(split("{}").unwrap().is_none());
    assert!(split("[]").is_err());
    assert!(split("[1,2,3]").is_err());
}

#[test]
fn every_member_the_gate_reads_is_refused_in_another_case() {
    let check = |text: String, refused: bool| {
        let outcome = decode(&text);
        assert_eq!(outcome.is_err(), refused, "{text}: {outcome:?}");
    };
    let call =
        |params: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"a","params":{{{params}}}}}"#);
    for name in ["ref", "_meta", "ttlMs", "arguments", "requestState", "resourceTemplates"] {
        check(call(&format!(r#""{name}":{{}}"#)), false);
        check(call(&format!(r#""{}":{{}}"#, name.to_uppercase())), true);
        check(call(&format!(r#""x":{{"{}":{{}}}}"#, name.to_uppercase())), false);
    }
    for name in crate::meta::PER_REQUEST {
        check(call(&format!(r#""_meta":{{"{name}":1}}"#)), false);
        check(call(&format!(r#""_meta":{{"{}":1}}"#, name.to_lowercase())), true);
        check(call(&format!(r#""_meta":{{"{name}s":1,"{}":1}}"#, "X".repeat(60))), false);
    }
    for name in ["id", "error", "params", "result", "method", "jsonrpc"] {
        check(
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"a","{}":1}}"#, name.to_uppercase()),
            true,
        );
    }
}
