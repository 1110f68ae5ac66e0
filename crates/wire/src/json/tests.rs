//! What the reader refuses, keeps and splices.

use super::*;

fn parse(text: &str) -> Result<Json, Malformed> {
    Json::parse(Bytes::copy_from_slice(text.as_bytes()), &Limits::CLIENT)
}

#[test]
fn splicing_keeps_order_and_text() {
    let object = parse(r#"{"a": 1.0e+2, "b\u0062":[ ],"c":"x"}"#).unwrap().object().unwrap();
    let edits = [Edit::set("bb", b"2"), Edit::remove("c"), Edit::set("d", b"null")];
    assert_eq!(object.to_json(&edits).as_str(), r#"{"a":1.0e+2,"b\u0062":2,"d":null}"#);
}

#[test]
fn duplicate_keys_are_found_behind_escapes_and_in_large_objects() {
    assert_eq!(parse(r#"{"x":{"a":1,"\u0061":2}}"#).unwrap_err().reason, Reason::DuplicateKey);
    let keys: Vec<_> = (0..100).map(|key| format!("\"k{key}\":0")).collect();
    let text = format!("{{{},\"last\":0}}", keys.join(","));
    assert!(parse(&text).is_ok());
    let twice = text.replace("\"last\"", "\"k3\"");
    assert_eq!(parse(&twice).unwrap_err().reason, Reason::DuplicateKey);
}

#[test]
fn limits_hold_at_the_limit_and_break_one_beyond() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse(&nested(64)).is_ok());
    assert_eq!(parse(&nested(65)).unwrap_err().reason, Reason::TooDeep);
    let key = |length: usize| format!("{{\"{}\":0}}", "k".repeat(length));
    assert!(parse(&key(1024)).is_ok());
    assert_eq!(parse(&key(1025)).unwrap_err().reason, Reason::KeyTooLong);
    let wide = |count: usize| format!("[{}]", vec!["0"; count].join(","));
    assert!(parse(&wide(99_999)).is_ok());
    assert_eq!(parse(&wide(100_000)).unwrap_err().reason, Reason::TooManyValues);
}

#[test]
fn strings_decode_and_encode() {
    let text = "a\"\\\n\u{1}é😀";
    assert_eq!(Json::string(text).text().unwrap(), text);
    assert_eq!(parse(r#""\ud83d\ude00\ud83d""#).unwrap().text().unwrap(), "😀\u{fffd}");
}

#[test]
fn arrays_split_into_elements() {
    let found = parse(r#" [1, {"a":[2]} ,"]"] "#).unwrap().elements().unwrap();
    let texts: Vec<_> = found.iter().map(Json::as_str).collect();
    assert_eq!(texts, ["1", r#"{"a":[2]}"#, "\"]\""]);
}

#[test]
fn bytes_that_are_no_text_are_named_before_other_faults() {
    for (text, valid) in [(&b"{\"a\":tru,\"\xff\":1}"[..], 10), (b"[\"\xc3\xa9\xc3\"]", 4)] {
        let malformed = Json::parse(Bytes::copy_from_slice(text), &Limits::CLIENT).unwrap_err();
        assert_eq!(malformed, Malformed { reason: Reason::NotUtf8, offset: valid });
    }
}

#[test]
fn keys_are_found_by_what_they_mean() {
    let object = parse(r#"{"a\u0062":"x\ty","a\\u0062":2}"#).unwrap().object().unwrap();
    assert_eq!(object.text("ab").unwrap(), "x\ty");
    assert_eq!(object.raw(r"a\u0062"), Some(&b"2"[..]));
    assert!(!object.has(r"a\\u0062"));
}

#[test]
fn changed_objects_can_be_changed_again() {
    let object = parse(r#"{"a":1,"b\u0062": "x" ,"c":[ ]}"#).unwrap().object().unwrap();
    let once =
        object.with(&[Edit::set("a", br#""q\"""#), Edit::set("d", b"{}"), Edit::remove("c")]);
    assert_eq!(once.to_json(&[]).as_str(), r#"{"a":"q\"","b\u0062":"x","d":{}}"#);
    assert_eq!(once.text("a").unwrap(), "q\"");
    let twice = once.with(&[Edit::set("bb", b"2"), Edit::set("d", b"[]"), Edit::set("e\n", b"3")]);
    let text = r#"{"a":"q\"","b\u0062":2,"d":[],"e\n":3}"#;
    assert_eq!(twice.to_json(&[]).as_str(), text);
    let keys: Vec<_> = twice.members().map(|(key, _)| key.into_owned()).collect();
    assert_eq!(keys, ["a", "bb", "d", "e\n"]);
    assert_eq!(
        twice.to_json(&[Edit::remove("a"), Edit::set("d", b"0")]).as_str(),
        r#"{"b\u0062":2,"d":0,"e\n":3}"#
    );
}

#[test]
fn pieces_are_the_same_text_without_copying_long_members() {
    let long = format!("\"{}\"", "x".repeat(9 << 10));
    let object = parse(&format!("{{\"a\":1, \"l\" : {long},\"z\":[]}}")).unwrap().object().unwrap();
    let pieces = object.with(&[Edit::set("a", b"2")]).pieces(b"<".to_vec(), b">");
    assert_eq!(pieces.len(), 3);
    assert_eq!(pieces.concat(), format!("<{{\"a\":2,\"l\":{long},\"z\":[]}}>").into_bytes());
}
