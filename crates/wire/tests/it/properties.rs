//! Properties of reading, writing and splicing over generated texts.

use std::collections::BTreeSet;

use bytes::Bytes;
use portcullis_wire::json::{Edit, Reason};
use portcullis_wire::message::{Id, encode_request, encode_result};
use portcullis_wire::{Json, Limits, Message, Object};
use proptest::prelude::*;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

const LIMITS: Limits = Limits::CLIENT;

/// Insignificant white space.
fn blank() -> impl Strategy<Value = String> {
    prop_oneof![4 => Just(String::new()), 1 => "[ \t\r\n]{1,3}"]
}

/// A string literal with escapes of every kind.
fn string() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[ -!#-\\[\\]-~éß漢😀]{0,6}",
        1 => prop::sample::select(vec![
            r#"\""#, r"\\", r"\/", r"\b", r"\f", r"\n", r"\r", r"\t", r"\u0041", r"\u00e9",
            r"\uD83D\uDE00", r"\u0000", r"\ud800", "\u{7f}", "\u{2028}",
        ]).prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..4).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec!["null", "true", "false"]).prop_map(str::to_owned),
        r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,4})?",
        string(),
    ]
}

/// The text of any value the strict reader accepts.
fn value() -> impl Strategy<Value = String> {
    scalar().prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            (prop::collection::vec(inner.clone(), 0..5), blank())
                .prop_map(|(elements, blank)| format!("[{blank}{}{blank}]", elements.join(","))),
            members(inner, 5).prop_map(|members| object(&members)),
        ]
    })
}

/// Distinct keys with values, keys that the protocol reads among them.
fn members(
    value: impl Strategy<Value = String>,
    most: usize,
) -> impl Strategy<Value = Vec<(String, String)>> {
    let key = prop_oneof!["[a-z0-9_./-]{0,8}", "[ é漢]{1,3}", Just("arguments".to_owned())];
    prop::collection::vec((key, value), 0..most).prop_map(|mut members| {
        let mut seen = BTreeSet::new();
        members.retain(|(key, _)| seen.insert(key.clone()) && key != "_meta");
        members
    })
}

fn object(members: &[(String, String)]) -> String {
    let members: Vec<_> = members
        .iter()
        .map(|(key, value)| format!("{}: {value}", Json::string(key).as_str()))
        .collect();
    format!("{{{}}}", members.join(" ,"))
}

fn parse(text: &str) -> Json {
    Json::parse(Bytes::copy_from_slice(text.as_bytes()), &LIMITS).expect(text)
}

/// Keys and the exact text of their values.
fn verbatim(object: &Object) -> Vec<(String, String)> {
    object.members().map(|(key, value)| (key.into_owned(), value.as_str().to_owned())).collect()
}

/// A value whose objects have no key twice and none with NUL, as serde reads it.
struct Unambiguous;

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Unambiguous {
    type Value = Self;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("unambiguous JSON")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self, A::Error> {
        while elements.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        let mut seen = BTreeSet::new();
        while let Some((key, Self)) = members.next_entry::<String, Self>()? {
            if key.contains('\0') || !seen.insert(key) {
                return Err(serde::de::Error::custom("ambiguous"));
            }
        }
        Ok(self)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn decoding_what_was_encoded_gives_equal_members(
        members in members(value(), 6),
        id in prop_oneof!["-?(0|[1-9][0-9]{0,40})", string()],
        method in "[a-z]{1,8}/\\PC{0,8}",
    ) {
        let params = parse(&object(&members)).object().unwrap();
        let id = Id::from_json(&parse(&id)).unwrap();
        let text = encode_request(&id, &method, params.to_json(&[]).as_bytes());
        let Message::Request(request) = Message::decode(&text.into(), &LIMITS).unwrap() else {
            panic!("a request")
        };
        prop_assert_eq!(&request.id, &id);
        prop_assert_eq!(request.id.as_bytes(), id.as_bytes());
        prop_assert_eq!(&*request.method, &*method);
        prop_assert_eq!(verbatim(&request.params), members.clone());

        let text = encode_result(&id, &params, &[]);
        let Message::Response(response) = Message::decode(&text.into(), &LIMITS).unwrap() else {
            panic!("a response")
        };
        prop_assert_eq!(response.id, Some(id));
        prop_assert_eq!(verbatim(&response.outcome.unwrap()), members);
    }

    #[test]
    fn splicing_keeps_json_valid_and_everything_else_verbatim(
        before in members(value(), 8),
        set in members(value(), 4),
        remove in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
    ) {
        let original = parse(&object(&before)).object().unwrap();
        let mut removed: Vec<&str> = Vec::new();
        if !before.is_empty() {
            removed.extend(remove.iter().map(|index| &*index.get(&before).0));
            removed.retain(|key| set.iter().all(|row| row.0 != *key));
        }
        let edits: Vec<_> = set
            .iter()
            .map(|(key, value)| Edit::set(key, value.as_bytes()))
            .chain(removed.iter().map(|key| Edit::remove(key)))
            .collect();
        let spliced = original.to_json(&edits);
        prop_assert!(serde_json::from_str::<&RawValue>(spliced.as_str()).is_ok());
        let after = verbatim(&parse(spliced.as_str()).object().unwrap());

        let new_value = |key: &str| set.iter().find(|row| row.0 == key).map(|row| row.1.clone());
        let kept = before.iter().filter(|row| !removed.contains(&&*row.0));
        let mut expected: Vec<_> = kept
            .map(|(key, value)| (key.clone(), new_value(key).unwrap_or_else(|| value.clone())))
            .collect();
        expected.extend(set.iter().filter(|row| !original.has(&row.0)).cloned());
        prop_assert_eq!(&after, &expected);
        prop_assert_eq!(verbatim(&original.with(&edits)), expected);
    }

    #[test]
    fn generated_values_are_accepted_and_kept(value in value(), before in blank(), after in blank()) {
        let text = format!("{before}{value}{after}");
        let json = parse(&text);
        prop_assert_eq!(json.as_str(), &value);
        prop_assert!(serde_json::from_str::<&RawValue>(&text).is_ok());
    }

    #[test]
    fn strings_mean_what_serde_says(literal in string()) {
        let json = parse(&literal);
        if let Ok(text) = serde_json::from_str::<String>(&literal) {
            prop_assert_eq!(json.text().unwrap(), &*text);
            let written = Json::string(&text);
            prop_assert_eq!(written.text().unwrap(), &*text);
        } else {
            prop_assert!(json.text().unwrap().contains('\u{fffd}'), "a lone surrogate");
        }
    }
}

/// Nearly JSON: valid values over very few keys, with a token too many in half of them.
fn nearly() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec!["a", "b", r"\u0061", r"\u0000", r"\ud800"]);
    let leaf =
        prop::sample::select(vec!["1", "-0.5e+7", "\"a\"", r#""\ud800""#, "true", "[ ]", "{}"]);
    let value = leaf.prop_map(str::to_owned).prop_recursive(3, 12, 3, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3)
                .prop_map(|elements| format!("[{}]", elements.join(","))),
            prop::collection::vec((key.clone(), inner), 0..3).prop_map(|members| {
                let members: Vec<_> =
                    members.iter().map(|(key, value)| format!("\"{key}\" :{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    });
    let token = prop::sample::select(vec![
        "", "", "", "", "", "", "{", "}", "[", "]", ":", ",", "\"", "\\", "0", "-", ".", "e", " ",
        "\n", "\u{b}", "\0", "null", "tru", "\"b\":2,", "\u{feff}", "/",
    ]);
    (value, token, any::<prop::sample::Index>()).prop_map(|(mut text, token, at)| {
        text.insert_str(at.index(text.len() + 1), token);
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    /// Whatever we accept, serde accepts; whatever serde accepts, we accept, but for what two readers
    /// could read differently.
    #[test]
    fn the_reader_and_serde_differ_only_where_they_should(text in nearly()) {
        let ours = Json::parse(Bytes::copy_from_slice(text.as_bytes()), &LIMITS);
        let theirs = serde_json::from_str::<&RawValue>(&text).is_ok();
        match ours {
            Ok(_) => prop_assert!(theirs, "{text}"),
            Err(malformed) if theirs => {
                prop_assert!(serde_json::from_str::<Unambiguous>(&text).is_err(), "{text}: {malformed}");
                let expected = [Reason::DuplicateKey, Reason::ForbiddenKey];
                prop_assert!(expected.contains(&malformed.reason), "{text}: {malformed}");
            }
            Err(_) => {}
        }
    }
}
