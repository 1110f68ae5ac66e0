//! `JSONTestSuite`, each case as an argument of a tool call: whatever arrives inside a message must be
//! JSON in every reader's eyes.
//!
//! `PORTCULLIS_JSON_SUITE` names the cases as one JSON file, `[{"name", "input"}, …]`; `cargo xtask
//! test` sets it. That file holds texts, so the cases that are no UTF-8 come from the table here.

use bytes::Bytes;
use portcullis_wire::message::Refusal;
use portcullis_wire::{Json, Limits, Message};

/// Valid JSON that the strict reader refuses all the same, and why.
const REFUSED_THOUGH_VALID: &[(&str, &str)] = &[
    ("y_object_duplicated_key.json", "readers disagree on which of the two counts"),
    ("y_object_duplicated_key_and_value.json", "readers disagree on which of the two counts"),
    ("y_object_escaped_null_in_key.json", "some readers end the key at NUL"),
];

/// The cases whose bytes are not UTF-8.
const BYTES: &[(&str, &[u8])] = &[
    ("i_string_UTF-16LE_with_BOM.json", b"\xff\xfe[\0\"\0\xe9\0\"\0]\0"),
    ("i_string_UTF-8_invalid_sequence.json", b"[\"\xe6\x97\xa5\xd1\x88\xfa\"]"),
    ("i_string_UTF8_surrogate_U+D800.json", b"[\"\xed\xa0\x80\"]"),
    ("i_string_invalid_utf-8.json", b"[\"\xff\"]"),
    ("i_string_iso_latin_1.json", b"[\"\xe9\"]"),
    ("i_string_lone_utf8_continuation_byte.json", b"[\"\x81\"]"),
    ("i_string_not_in_unicode_range.json", b"[\"\xf4\xbf\xbf\xbf\"]"),
    ("i_string_overlong_sequence_2_bytes.json", b"[\"\xc0\xaf\"]"),
    ("i_string_overlong_sequence_6_bytes.json", b"[\"\xfc\x83\xbf\xbf\xbf\xbf\"]"),
    ("i_string_overlong_sequence_6_bytes_null.json", b"[\"\xfc\x80\x80\x80\x80\x80\"]"),
    ("i_string_truncated-utf-8.json", b"[\"\xe0\xff\"]"),
    ("i_string_utf16BE_no_BOM.json", b"\0[\0\"\0\xe9\0\"\0]"),
    ("i_string_utf16LE_no_BOM.json", b"[\0\"\0\xe9\0\"\0]\0"),
    ("n_array_a_invalid_utf8.json", b"[a\xe5]"),
    ("n_array_invalid_utf8.json", b"[\xff]"),
    ("n_number_invalid-utf-8-in-bigger-int.json", b"[123\xe5]"),
    ("n_number_invalid-utf-8-in-exponent.json", b"[1e1\xe5]"),
    ("n_number_invalid-utf-8-in-int.json", b"[0\xe5]\n"),
    ("n_number_real_with_invalid_utf8_after_e.json", b"[1e\xe5]"),
    ("n_object_lone_continuation_byte_in_key_and_trailing_comma.json", b"{\"\xb9\":\"0\",}"),
    ("n_string_invalid-utf-8-in-escape.json", b"[\"\\u\xe5\"]"),
    ("n_string_invalid_utf8_after_escape.json", b"[\"\\\xe5\"]"),
    ("n_structure_incomplete_UTF8_BOM.json", b"\xef\xbb{}"),
    ("n_structure_lone-invalid-utf-8.json", b"\xe5"),
    ("n_structure_single_eacute.json", b"\xe9"),
];

/// What the reader does with the cases that JSON leaves open, as `name: outcome`.
const GOLDEN: &str = include_str!("json_suite.golden.txt");

/// All cases, or `None` without the suite.
fn cases() -> Option<Vec<(String, Vec<u8>)>> {
    let Some(file) = std::env::var_os("PORTCULLIS_JSON_SUITE") else {
        eprintln!(
            "SKIPPED: JSONTestSuite: PORTCULLIS_JSON_SUITE is not set; use `cargo xtask test`"
        );
        return None;
    };
    let text = std::fs::read_to_string(&file).expect("PORTCULLIS_JSON_SUITE can be read");
    let found: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    assert!(found.len() >= 300, "the suite has {} cases only", found.len());
    let case = |case: &serde_json::Value| {
        let [name, input] = ["name", "input"].map(|key| case[key].as_str().unwrap());
        let bytes = BYTES.iter().find(|row| row.0 == name).map(|row| row.1);
        // Reading the suite as text replaced what is not UTF-8; no case may slip through like that.
        let lossy = input.contains('\u{fffd}') && !name.starts_with('y');
        assert_eq!(lossy, bytes.is_some(), "{name} must be among BYTES exactly if it is no UTF-8");
        (name.to_owned(), bytes.map_or_else(|| input.as_bytes().to_vec(), <[u8]>::to_vec))
    };
    Some(found.iter().map(case).collect())
}

/// Decodes the case as an argument of a tool call.
fn wrapped(case: &[u8]) -> Result<Message, Refusal> {
    let head =
        br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{"x":"#;
    Message::decode(&[&head[..], case, b"}}}"].concat().into(), &Limits::CLIENT)
}

fn outcome(case: &[u8]) -> String {
    match wrapped(case) {
        Ok(_) => "accepted".to_owned(),
        Err(Refusal::Syntax(malformed)) => format!("refused, {}", malformed.reason),
        Err(other) => format!("refused, {other}"),
    }
}

#[test]
fn bytes_that_are_not_utf8_are_refused() {
    for (name, bytes) in BYTES {
        assert!(std::str::from_utf8(bytes).is_err(), "{name}");
        assert_eq!(outcome(bytes), "refused, the text is not UTF-8", "{name}");
    }
}

#[test]
fn every_case_is_read_as_it_should_be() {
    let Some(cases) = cases() else { return };
    for (name, bytes) in &cases {
        let refused = REFUSED_THOUGH_VALID.iter().any(|row| row.0 == name);
        let alone = Json::parse(Bytes::copy_from_slice(bytes), &Limits::CLIENT);
        match name.as_bytes()[0] {
            b'y' => {
                assert_eq!(wrapped(bytes).is_err(), refused, "{name}: {}", outcome(bytes));
                assert_eq!(alone.is_err(), refused, "{name}: {alone:?}");
            }
            b'n' => {
                assert!(wrapped(bytes).is_err(), "{name} was accepted");
                assert!(alone.is_err(), "{name} was accepted alone");
            }
            _ => {}
        }
    }
    for (name, _) in REFUSED_THOUGH_VALID {
        assert!(cases.iter().any(|case| case.0 == *name), "the suite no longer has {name}");
    }
}

#[test]
fn what_json_leaves_open_is_fixed() {
    let Some(cases) = cases() else { return };
    let mut open: Vec<_> = cases
        .iter()
        .filter(|case| case.0.starts_with('i'))
        .map(|(name, bytes)| format!("{}: {}\n", name.trim_end_matches(".json"), outcome(bytes)))
        .collect();
    open.sort();
    let open = open.concat();
    assert!(open == GOLDEN, "json_suite.golden.txt should be:\n{open}");
}

#[test]
fn what_is_accepted_arrives_verbatim() {
    let Some(cases) = cases() else { return };
    for (name, bytes) in &cases {
        if let Ok(Message::Request(request)) = wrapped(bytes) {
            let argument = request.params.object("arguments").unwrap().get("x").unwrap();
            assert_eq!(argument.as_bytes(), bytes.trim_ascii(), "{name}");
        }
    }
}
