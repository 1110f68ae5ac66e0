//! Next pages, in every way of saying so.

use super::*;

impl Pager {
    /// The pager of a tool with arguments of these names, of which nothing else is known.
    pub(in super::super) fn of_names(names: &[&str]) -> Self {
        let takers = names.iter().map(|name| Taker {
            name: (*name).to_owned(),
            wire: (*name).to_owned(),
            is_in_query: true,
            takes: Takes::Anything,
            default: None,
        });
        Self { takers: takers.collect(), ..Self::default() }.with(&Paging::default())
    }

    pub(in super::super) fn names(&self) -> Vec<&str> {
        self.takers.iter().map(|it| it.name.as_str()).collect()
    }
}

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::document::{Documents, Loader};
use crate::response::{Answers, Call, Limits, Spot};
use crate::tool::{Change, Options};

struct Nowhere;

impl Loader for Nowhere {
    fn load(&mut self, _: &url::Url, _: &url::Url) -> Result<String, String> {
        Err("it is not there".to_owned())
    }
}

/// The tool of an operation with these parameters (lines of YAML), as the operator changes it.
fn tool_of(parameters: &str, change: Change) -> (Tool, Documents) {
    let text = format!(
        "openapi: 3.1.0\ninfo: {{title: t, version: '1'}}\npaths:\n  /things:\n    get:\n      \
         operationId: list\n      parameters:\n{parameters}\n      responses: {{'200': {{description: x}}}}\n"
    );
    let url = url::Url::parse("file:///a.yaml").unwrap();
    let limits = crate::tree::Limits::default();
    let (documents, mut report) =
        Documents::load(&text, &url, "a.yaml", &mut Nowhere, &[], &limits).unwrap();
    let extracted = crate::operation::extract(&documents, &mut report);
    let change = Change { operation: "list".to_owned(), ..change };
    let options = Options { changes: vec![change], ..Options::default() };
    let mut tools = crate::tool::tools(&extracted.operations, &documents, &options, &mut report);
    (tools.pop().unwrap(), documents)
}

fn parameters(names: &[(&str, &str)]) -> String {
    let line = |(name, schema): &(&str, &str)| {
        format!("        - {{name: '{name}', in: query, schema: {schema}}}")
    };
    names.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The hint and its sentence for an answer to a call of the tool.
fn hint(answers: &Answers, headers: &[(&str, &str)], body: &str, given: &Value) -> (Value, String) {
    let arguments = Json::from(given).object().unwrap();
    let mut all = vec![("content-type".to_owned(), "application/json".to_owned())];
    all.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let answer =
        Answer { status: 200, headers: all, body: Bytes::from(body.to_owned()), is_partial: false };
    let call = Call { arguments: &arguments, uri: "api://x" };
    let result = answers.interpret(&answer, &call, &Limits::default(), &|_| Ok(())).to_json();
    let result: Value = serde_json::from_slice(result.as_bytes()).unwrap();
    let text = result["content"][1]["text"].as_str().unwrap_or_default().to_owned();
    (result["_meta"]["io.portcullis/next"].clone(), text)
}

fn answers(names: &[(&str, &str)], paging: Paging) -> Answers {
    let change = Change { paging: Some(Arc::new(paging)), ..Change::default() };
    let (tool, documents) = tool_of(&parameters(names), change);
    Answers::new(&tool, &documents)
}

const INTEGER: &str = "{type: integer}";
const TEXT: &str = "{type: string}";

#[test]
fn the_operator_says_where_the_mark_is() {
    let marks = |texts: &[&str]| texts.iter().map(|it| Spot::new(it)).collect::<Vec<_>>();
    let paging = |texts: &[&str], argument: &str| Paging {
        marks: marks(texts),
        argument: Some(argument.to_owned()),
        ..Paging::default()
    };
    for (paging, headers, body, given, expected) in [
        // Deep in the body, by an unusual name.
        (
            paging(&["info.paging.more"], "from_id"),
            &[][..],
            r#"{"info":{"paging":{"more":"x"}}}"#,
            json!({}),
            json!({"arguments": {"from_id": "x"}}),
        ),
        // The last element.
        (
            paging(&["rows.-1.id"], "from_id"),
            &[],
            r#"{"rows":[{"id":"a"},{"id":"b"}]}"#,
            json!({}),
            json!({"arguments": {"from_id": "b"}}),
        ),
        (paging(&["rows.-1.id"], "from_id"), &[], r#"{"rows":[]}"#, json!({}), Value::Null),
        // The body is the list; the first and the second of two places.
        (
            paging(&["nowhere", "-1.id"], "after_id"),
            &[],
            r#"[{"id":4},{"id":7}]"#,
            json!({"after_id": 2}),
            json!({"arguments": {"after_id": 7}}),
        ),
        (
            paging(&["0", "header:X-More"], "from_id"),
            &[("x-more", "m")],
            "{}",
            json!({}),
            json!({"arguments": {"from_id": "m"}}),
        ),
        // A number for an argument that takes texts.
        (
            paging(&["next"], "from_id"),
            &[],
            r#"{"next":12}"#,
            json!({}),
            json!({"arguments": {"from_id": "12"}}),
        ),
        // A whole URL: its own arguments count.
        (
            paging(&["more_at"], "from_id"),
            &[],
            r#"{"more_at":"https://a/things?from_id=c%3D&api_key=SECRET&after_id=3"}"#,
            json!({}),
            json!({"arguments": {"from_id": "c=", "after_id": 3}}),
        ),
        // There is none on the last page, whatever else looks like one.
        (
            paging(&["more"], "from_id"),
            &[],
            r#"{"more":null,"next_cursor":"x"}"#,
            json!({}),
            Value::Null,
        ),
        (paging(&["more"], "from_id"), &[], r#"{"next_cursor":"x"}"#, json!({}), Value::Null),
        // The tool has no such argument: the usual ways.
        (
            paging(&["more"], "elsewhere"),
            &[],
            r#"{"next_after_id":"x","links":{"next":"/things?after_id=9"}}"#,
            json!({}),
            json!({"arguments": {"after_id": 9}}),
        ),
    ] {
        let answers = answers(&[("from_id", TEXT), ("after_id", INTEGER)], paging);
        let (hint, text) = hint(&answers, headers, body, &given);
        assert_eq!(hint, expected, "{body}");
        assert_eq!(text.is_empty(), expected.is_null(), "{text}");
        assert!(!text.contains("SECRET"), "{text}");
    }
}

#[test]
fn whether_there_is_more_may_stand_elsewhere() {
    let paging = Paging {
        marks: vec![Spot::new("data.-1.id")],
        more: Some(Spot::new("has_more")),
        argument: Some("starting_after".to_owned()),
        ..Paging::default()
    };
    let answers = answers(&[("starting_after", TEXT)], paging);
    let list = |more: &str| format!(r#"{{"data":[{{"id":"a"}}],"has_more":{more}}}"#);
    let (next, text) = hint(&answers, &[], &list("true"), &json!({}));
    assert_eq!(next, json!({"arguments": {"starting_after": "a"}}));
    assert_eq!(text, "There is more: call this tool again with `starting_after` = \"a\".");
    assert_eq!(hint(&answers, &[], &list("false"), &json!({})).0, Value::Null);
    // The same mark again is no page.
    let again = hint(&answers, &[], &list("true"), &json!({"starting_after": "a"}));
    assert_eq!(again.0, Value::Null);
}

#[test]
fn counted_pages_by_the_operator() {
    let offset = || Paging {
        step: Step::Offset,
        argument: Some("at".to_owned()),
        items: Some(Spot::new("found.list")),
        total: Some(Spot::new("found.all")),
        limit: Some("most".to_owned()),
        ..Paging::default()
    };
    let without_total = || Paging { total: None, ..offset() };
    let page = || Paging {
        step: Step::Page,
        argument: Some("at".to_owned()),
        pages: Some(Spot::new("header:X-Pages")),
        limit: Some("most".to_owned()),
        ..Paging::default()
    };
    let from_zero =
        || Paging { first: Some(0), pages: None, total: Some(Spot::new("n")), ..page() };
    let names = [("at", INTEGER), ("most", "{type: integer, default: 2}")];
    let two = r#"{"found":{"list":[1,2],"all":5}}"#;
    let more = |at: u64| json!({"arguments": {"at": at}});
    let maybe = |at: u64| json!({"arguments": {"at": at}, "certain": false});
    for (paging, headers, body, given, expected) in [
        (offset(), &[][..], two, json!({}), more(2)),
        (offset(), &[], two, json!({"at": 2}), more(4)),
        (offset(), &[], two, json!({"at": 3}), Value::Null),
        (without_total(), &[], two, json!({"at": 2}), maybe(4)),
        (without_total(), &[], two, json!({"most": 3}), Value::Null),
        (without_total(), &[], r#"{"found":{"list":[]}}"#, json!({"at": 4}), Value::Null),
        (page(), &[("X-Pages", "3")], "[1]", json!({}), more(2)),
        (page(), &[("X-Pages", "3")], "[1]", json!({"at": 3}), Value::Null),
        (page(), &[], "[1,2]", json!({"at": 3}), maybe(4)),
        (page(), &[], "[1]", json!({"at": 3}), Value::Null),
        (from_zero(), &[], r#"{"n":5,"items":[1,2]}"#, json!({}), more(1)),
        (from_zero(), &[], r#"{"n":5,"items":[1]}"#, json!({"at": 2}), Value::Null),
    ] {
        let answers = answers(&names, paging.clone());
        let read: Vec<&str> = answers.headers().collect();
        assert!(headers.iter().all(|(name, _)| read.contains(&&*name.to_ascii_lowercase())));
        assert_eq!(hint(&answers, headers, body, &given).0, expected, "{paging:?} {body} {given}");
    }
    // Texts stay texts.
    let answers = answers(&[("at", TEXT), ("most", INTEGER)], offset());
    assert_eq!(hint(&answers, &[], two, &json!({"at": "2"})).0, json!({"arguments": {"at": "4"}}));
}

#[test]
fn members_of_arguments_take_marks_too() {
    let text = "openapi: 3.1.0\ninfo: {title: t, version: '1'}\npaths:\n  /search:\n    post:\n      \
                operationId: list\n      requestBody: {content: {application/json: {schema: {type: object, \
                properties: {filter: {type: string}, page: {type: object, properties: {cursor: {type: string}, \
                size: {type: integer}, at: {type: integer}}}}}}}}\n      responses: {'200': {description: x}}\n";
    let url = url::Url::parse("file:///a.yaml").unwrap();
    let (documents, mut report) =
        Documents::load(text, &url, "a.yaml", &mut Nowhere, &[], &crate::tree::Limits::default())
            .unwrap();
    let extracted = crate::operation::extract(&documents, &mut report);
    let of = |paging: Paging| {
        let options = Options { paging: Arc::new(paging), ..Options::default() };
        let tools = crate::tool::tools(
            &extracted.operations,
            &documents,
            &options,
            &mut crate::report::Report::default(),
        );
        Answers::new(&tools[0], &documents)
    };
    let marked = of(Paging {
        marks: vec![Spot::new("cursor")],
        argument: Some("page.cursor".to_owned()),
        ..Paging::default()
    });
    let given = json!({"filter": "x", "page": {"size": 5, "cursor": "a"}});
    let (next, _) = hint(&marked, &[], r#"{"cursor":"b"}"#, &given);
    assert_eq!(next, json!({"arguments": {"page": {"size": 5, "cursor": "b"}}}));
    let counted = of(Paging {
        step: Step::Offset,
        argument: Some("page.at".to_owned()),
        total: Some(Spot::new("total")),
        ..Paging::default()
    });
    let given = json!({"page": {"size": 2, "at": 2}});
    let (next, _) = hint(&counted, &[], r#"{"total":9,"items":[1,2]}"#, &given);
    assert_eq!(next, json!({"arguments": {"page": {"size": 2, "at": 4}}}));
}

#[test]
fn what_is_off_is_not_looked_for() {
    let answers = answers(&[("cursor", TEXT)], Paging::off());
    assert_eq!(hint(&answers, &[], r#"{"next_cursor":"x"}"#, &json!({})).0, Value::Null);
    assert_eq!(answers.headers().count(), 0);
}

#[test]
fn usual_ways_without_a_word() {
    let names = [
        ("page", "{type: integer, default: 1}"),
        ("per_page", INTEGER),
        ("ids", "{type: array, items: {type: integer}}"),
        ("since", TEXT),
    ];
    let of = answers(&names, Paging::default());
    let link = |url: &str| format!("<{url}>; rel=\"next\", <https://a/things?page=9>; rel=last");
    for (headers, body, given, expected) in [
        // What the gate put there is not said, and neither are lists again.
        (
            &[("Link", link("https://a/things?page=2&ids=1&ids=2&access_token=SECRET"))][..],
            "[]",
            json!({"ids": [1, 2]}),
            json!({"arguments": {"page": 2}}),
        ),
        // Where nothing of it is an argument, there is more all the same.
        (&[("Link", link("https://u:SECRET@a/x/SECRET?key=SECRET"))], "[]", json!({}), json!({})),
        // The next request does without.
        (
            &[("Link", link("/things?page=2"))],
            "[]",
            json!({"since": "monday"}),
            json!({"arguments": {"page": 2}, "without": ["since"]}),
        ),
        (
            &[("Link", "<https://a/things?page=1>; rel=\"prev\"".to_owned())],
            "[1,2]",
            json!({"page": 2, "per_page": 2}),
            Value::Null,
        ),
        (&[("X-Next-Page", "3".to_owned())], "[]", json!({}), json!({"arguments": {"page": 3}})),
        (&[("X-Next-Page", String::new())], "[1]", json!({"per_page": 1}), Value::Null),
        (&[("X-Total-Pages", "2".to_owned())], "[1]", json!({}), json!({"arguments": {"page": 2}})),
        (
            &[("X-Total-Count", "3".to_owned())],
            "[1,2]",
            json!({"per_page": 2}),
            json!({"arguments": {"page": 2}}),
        ),
        (&[("X-Total-Count", "2".to_owned())], "[1,2]", json!({"per_page": 2}), Value::Null),
        // A full page may have another one after it.
        (
            &[],
            "[1,2]",
            json!({"per_page": 2, "page": 4}),
            json!({"arguments": {"page": 5}, "certain": false}),
        ),
        (&[], "[1]", json!({"per_page": 2}), Value::Null),
        (&[], "[1]", json!({}), Value::Null),
        (
            &[],
            r#"{"content":[1],"number":0,"totalPages":2,"last":false}"#,
            json!({"page": 0}),
            json!({"arguments": {"page": 1}}),
        ),
        (&[], r#"{"count":3,"next":null,"results":[1]}"#, json!({"per_page": 1}), Value::Null),
        // Words that may mean anything.
        (&[], r#"{"after":"2024-01-01","next":"step two"}"#, json!({}), Value::Null),
    ] {
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let (next, text) = hint(&of, &headers, body, &given);
        assert_eq!(next, expected, "{headers:?} {body} {given}");
        assert!(!text.contains("SECRET"), "{text}");
    }
}

#[test]
fn objects_of_the_query_are_taken_apart() {
    let schema = "{type: object, properties: {number: {type: integer}, cursor: {type: string}}}, style: deepObject";
    let of = answers(&[("page", schema)], Paging::default());
    for (url, given, expected) in [
        (
            "/things?page%5Bnumber%5D=2&page[cursor]=7",
            json!({}),
            json!({"arguments": {"page": {"number": 2, "cursor": "7"}}}),
        ),
        (
            "/things?page[number]=3",
            json!({"page": {"cursor": "x", "number": 2}}),
            json!({"arguments": {"page": {"cursor": "x", "number": 3}}}),
        ),
    ] {
        let body = json!({"links": {"next": url}}).to_string();
        assert_eq!(hint(&of, &[], &body, &given).0, expected, "{url}");
    }
    let (odd, _) = hint(&of, &[], r#"{"links":{"next":"/x?page[number]=007"}}"#, &json!({}));
    assert_eq!(odd, json!({"arguments": {"page": {"number": "007"}}}));
    let flat = answers(&[("page[number]", INTEGER)], Paging::default());
    let (next, _) = hint(&flat, &[], r#"{"links":{"next":"/x?page[number]=2"}}"#, &json!({}));
    assert_eq!(next, json!({"arguments": {"page_number": 2}}));
}

#[test]
fn arguments_that_clients_do_not_see_are_not_asked_for() {
    let change = Change {
        query: vec![("page".to_owned(), "1".to_owned())],
        arguments: vec![crate::tool::ArgumentChange {
            argument: "tenant".to_owned(),
            fixed: Some(Json::string("SECRET")),
            ..crate::tool::ArgumentChange::default()
        }],
        ..Change::default()
    };
    let names = parameters(&[("page", INTEGER), ("tenant", TEXT), ("offset", INTEGER)]);
    let (tool, documents) = tool_of(&names, change);
    let answers = Answers::new(&tool, &documents);
    let body = r#"{"next":"https://a/things?page=2&tenant=SECRET&offset=5"}"#;
    let (next, text) = hint(&answers, &[], body, &json!({}));
    assert_eq!(next, json!({"arguments": {"offset": 5}}));
    assert!(!text.contains("SECRET"), "{text}");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(1_000))]

    /// Whatever stands anywhere, nothing panics, and what is offered are arguments of the tool.
    #[test]
    fn anything_may_stand_anywhere(
        spot in proptest::sample::select(vec!["", ".", "a", "a.-1", "-9223372036854775808", "a.b.0", "header:x"]),
        body in proptest::sample::select(vec![
            "[]", "{}", "[1]", "{\"a\":[\"x\"]}", "{\"a\":{\"b\":[\"page=2&x=1\"]}}", "null", "\"x\"",
            "{\"a\":\"?page=\"}", "{\"next\":\"//\"}", "{\"total\":18446744073709551615,\"offset\":18446744073709551615}",
        ]),
        header in "\\PC{0,12}",
        step in proptest::sample::select(vec![Step::Mark, Step::Offset, Step::Page]),
        given in proptest::sample::select(vec![json!({}), json!({"page": u64::MAX}), json!({"page": {}})]),
    ) {
        let paging = Paging {
            marks: vec![Spot::new(spot)],
            step,
            items: Some(Spot::new(spot)),
            argument: Some("page".to_owned()),
            ..Paging::default()
        };
        let of = answers(&[("page", INTEGER)], paging);
        let (next, _) = hint(&of, &[("x", &header), ("link", &header)], body, &given);
        if let Some(arguments) = next.get("arguments").and_then(Value::as_object) {
            proptest::prop_assert!(arguments.keys().all(|name| name == "page"));
        }
    }
}
