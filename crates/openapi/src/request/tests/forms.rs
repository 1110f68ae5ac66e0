//! Forms say what calls said, read by other readers than ours.

use proptest::collection::{hash_map, vec};
use serde_json::Value;

use super::*;
use crate::model::{Body, Media};
use crate::tool::BodyPlan;

/// A tool whose arguments are the members of a body.
fn form(media_type: &str, names: &[String], is_file: bool) -> Tool {
    let mut tool = tool("POST", "/", Vec::new());
    let argument = |name: &String| Argument {
        name: name.clone(),
        source: Source::Member(name.clone()),
        value: crate::tool::Value::Given,
        is_required: false,
        content: if is_file { Content::Files } else { Content::Value },
        schema: None,
    };
    tool.arguments = names.iter().map(argument).collect();
    tool.operation.body = Some(Body {
        is_required: true,
        description: None,
        media: vec![Media {
            media_type: media_type.to_owned(),
            schema: None,
            is_items: false,
            encoding: Vec::new(),
            positions: crate::model::Positions::default(),
        }],
        form: Vec::new(),
        at: tool.operation.at,
    });
    tool.body = Some(BodyPlan { media: 0, kind: MediaKind::of(media_type), is_flat: true });
    tool
}

/// Names and texts that are awkward everywhere.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,6}", Just("a b&c=d/e?f+g%h".to_owned()), "\\PC{1,9}", "[\r\n\"; ]{1,4}"]
}

fn texts_of(value: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    value.as_array().map_or_else(|| vec![text(value)], |items| items.iter().map(text).collect())
}

fn scalars() -> impl Strategy<Value = Value> {
    let scalar = || prop_oneof![text().prop_map(Value::from), any::<i64>().prop_map(Value::from)];
    prop_oneof![scalar(), vec(scalar(), 1..4).prop_map(Value::from)]
}

/// The parts of a form (RFC 7578): name, file name and content of each.
fn parts(built: &Built) -> Vec<(String, Option<String>, Vec<u8>)> {
    let content_type = built.content_type.as_deref().expect("a type");
    let boundary = content_type.split_once("boundary=").expect("a boundary").1;
    let text = [b"\r\n", &built.body[..]].concat();
    let mark = format!("\r\n--{boundary}");
    let find = |text: &[u8], wanted: &[u8]| text.windows(wanted.len()).position(|it| it == wanted);
    let mut rest = &text[find(&text, mark.as_bytes()).expect("a first part") + mark.len()..];
    let mut parts = Vec::new();
    while let Some(part) = rest.strip_prefix(b"\r\n") {
        let end = find(part, mark.as_bytes()).expect("an end");
        let head_end = find(part, b"\r\n\r\n").expect("a head");
        let head = std::str::from_utf8(&part[..head_end]).expect("UTF-8");
        let disposition = head.lines().next().expect("a line");
        let value = |key: &str| {
            let value = disposition.split_once(&format!("; {key}=\""))?.1.split_once('"')?.0;
            Some(value.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n"))
        };
        parts.push((
            value("name").expect("a name"),
            value("filename"),
            part[head_end + 4..end].to_vec(),
        ));
        rest = &part[end + mark.len()..];
    }
    assert_eq!(rest, b"--\r\n");
    parts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn urlencoded_forms(members in hash_map(text(), scalars(), 1..4)) {
        let names: Vec<String> = members.keys().cloned().collect();
        let tool = form("application/x-www-form-urlencoded", &names, false);
        let arguments = Value::Object(members.clone().into_iter().collect()).to_string();
        let built = build(&tool, &arguments).expect("it can be sent");
        // The URL standard's own reader.
        let read: Vec<(String, String)> =
            url::form_urlencoded::parse(&built.body).into_owned().collect();
        for (name, value) in &members {
            let found: Vec<String> =
                read.iter().filter(|(key, _)| key == name).map(|(_, text)| text.clone()).collect();
            prop_assert_eq!(found, texts_of(value));
        }
    }

    #[test]
    fn forms_of_parts(members in hash_map("[^%]{1,6}", scalars(), 1..4)) {
        // A NUL is written as another escape, and a `%` in a name cannot be told from one.
        prop_assume!(members.keys().all(|name| !name.contains('\0')));
        let names: Vec<String> = members.keys().cloned().collect();
        let tool = form("multipart/form-data", &names, false);
        let arguments = Value::Object(members.clone().into_iter().collect()).to_string();
        let built = build(&tool, &arguments).expect("it can be sent");
        let read = parts(&built);
        for (name, value) in &members {
            let found: Vec<String> = read
                .iter()
                .filter(|(key, _, _)| key == name)
                .map(|(_, _, text)| String::from_utf8(text.clone()).expect("UTF-8"))
                .collect();
            prop_assert_eq!(found, texts_of(value));
        }
    }

    #[test]
    fn files_keep_their_bytes(files in vec(vec(any::<u8>(), 0..40), 1..4), as_uri in any::<bool>()) {
        use base64::Engine;
        let encode = |file: &Vec<u8>| {
            let text = base64::engine::general_purpose::STANDARD.encode(file);
            if as_uri { format!("data:image/png;name=a.png;base64,{text}") } else { text }
        };
        let tool = form("multipart/form-data", &["files".to_owned()], true);
        let arguments = serde_json::json!({ "files": files.iter().map(encode).collect::<Vec<_>>() });
        let built = build(&tool, &arguments.to_string()).expect("it can be sent");
        let read = parts(&built);
        prop_assert!(read.iter().all(|(name, file, _)| name == "files" && file.is_some()));
        let read: Vec<Vec<u8>> = read.into_iter().map(|(_, _, bytes)| bytes).collect();
        prop_assert_eq!(read, files);
    }

    #[test]
    fn json_is_what_was_given(members in hash_map(text(), scalars(), 0..4)) {
        let names: Vec<String> = members.keys().cloned().collect();
        let tool = form("application/json", &names, false);
        let arguments = Value::Object(members.into_iter().collect());
        let built = build(&tool, &arguments.to_string()).expect("it can be sent");
        prop_assert_eq!(serde_json::from_slice::<Value>(&built.body).expect("JSON"), arguments);
    }
}
