//! Calls become requests, and requests say what the call said.

use proptest::prelude::*;
use url::Url;

use super::*;
use crate::document::{Documents, Loader};
use crate::model::{At, DocumentId, Encoding};
use crate::report::Place;
use crate::tool::{Additions, Identity};
use crate::tree::{Limits, NodeId};

mod corpus;
mod forms;
mod reader;

struct Nothing;

impl Loader for Nothing {
    fn load(&mut self, _: &Url, _: &Url) -> Result<String, String> {
        Err("nothing is loaded".to_owned())
    }
}

fn documents() -> Documents {
    let text = "openapi: 3.1.0\ninfo: {title: t, version: '1'}\npaths: {}\n";
    let url = Url::parse("file:///a.yaml").expect("a URL");
    Documents::load(text, &url, "a.yaml", &mut Nothing, &[], &Limits::default()).expect("loads").0
}

fn parameter(name: &str, location: Location, style: Style, explode: bool) -> Parameter {
    Parameter {
        name: name.to_owned(),
        location,
        is_required: location == Location::Path,
        description: None,
        is_deprecated: false,
        style,
        explode,
        nested: Vec::new(),
        allow_reserved: false,
        allow_empty: false,
        content: None,
        encoding: Vec::new(),
        schema: None,
        mcp_header: None,
        at: At { document: DocumentId(0), node: NodeId(0) },
    }
}

/// A tool whose arguments are the parameters, by their names.
fn tool(method: &str, path: &str, parameters: Vec<Parameter>) -> Tool {
    let argument = |(at, parameter): (usize, &Parameter)| Argument {
        name: parameter.name.clone(),
        source: Source::Parameter(at),
        value: Value::Given,
        is_required: parameter.is_required,
        content: Content::Value,
        schema: None,
    };
    let arguments = parameters.iter().enumerate().map(argument).collect();
    let identity =
        Identity { name: "tool".to_owned(), method: method.to_owned(), path: path.to_owned() };
    Tool {
        name: "tool".to_owned(),
        identity,
        operation: Operation {
            method: method.to_owned(),
            path: path.to_owned(),
            written_path: path.to_owned(),
            id: None,
            mcp_name: None,
            summary: None,
            description: None,
            tags: Vec::new(),
            is_deprecated: false,
            parameters,
            body: None,
            accept: None,
            responses: Vec::new(),
            security: Vec::new(),
            servers: Vec::new(),
            extensions: Vec::new(),
            at: At { document: DocumentId(0), node: NodeId(0) },
            place: Place::default(),
        },
        definition: Bytes::new(),
        arguments,
        body: None,
        additions: Additions::default(),
        paging: std::sync::Arc::default(),
    }
}

fn object(text: &str) -> Object {
    Json::trusted(text.to_owned()).object().expect("an object")
}

fn build(tool: &Tool, arguments: &str) -> Result<Built, ArgumentError> {
    Plan::new(tool, &documents()).build(tool, &object(arguments), "BOUNDARY")
}

fn header<'b>(built: &'b Built, name: &str) -> Option<&'b str> {
    let found = built.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str())
}

#[test]
fn every_location_at_once() {
    let mut tool = tool(
        "GET",
        "/a b/{id}/x?action=y z#part",
        vec![
            parameter("id", Location::Path, Style::Simple, false),
            parameter("q", Location::Query, Style::Form, true),
            parameter("X-Trace", Location::Header, Style::Simple, false),
            parameter("session", Location::Cookie, Style::Form, true),
            parameter("flat", Location::Cookie, Style::Cookie, true),
            parameter("Host", Location::Header, Style::Simple, false),
        ],
    );
    tool.additions.query.push(("key".to_owned(), "a b".to_owned()));
    tool.additions.headers.push(("x-trace".to_owned(), "fixed".to_owned()));
    tool.additions.headers.push(("X-Api".to_owned(), "1".to_owned()));
    let text = r#""a b&c=d/e?f+g%h""#;
    let arguments = format!(
        r#"{{"id":{text},"q":[1,"x,y"],"X-Trace":{text},"session":{text},"flat":{text},"Host":"evil"}}"#
    );
    let built = build(&tool, &arguments).expect("it can be sent");
    assert_eq!(
        built.path_and_query,
        "/a%20b/a%20b%26c%3Dd%2Fe%3Ff%2Bg%25h/x?action=y%20z&q=1&q=x%2Cy&key=a%20b"
    );
    assert_eq!(
        built.headers,
        [
            ("Cookie", "session=a%20b%26c%3Dd%2Fe%3Ff%2Bg%25h; flat=a b&c=d/e?f+g%h"),
            ("x-trace", "fixed"),
            ("X-Api", "1"),
            ("Accept", "application/json, */*;q=0.1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    assert_eq!((built.content_type, built.body), (None, Bytes::new()));
}

#[test]
fn types_that_clients_give_count() {
    let names = ["content-type", "accept"];
    let header_parameter = |name| parameter(name, Location::Header, Style::Simple, false);
    let tool = tool("GET", "/", names.map(header_parameter).to_vec());
    let built = build(&tool, r#"{"content-type":"a/b","accept":"c/d"}"#).expect("it can be sent");
    assert_eq!(built.content_type.as_deref(), Some("a/b"));
    assert_eq!(built.headers, [("accept".to_owned(), "c/d".to_owned())]);
}

#[test]
fn json_is_asked_for_first() {
    let mut tool = tool("GET", "/", Vec::new());
    let media = |media_type: &str| crate::model::Media {
        media_type: media_type.to_owned(),
        schema: None,
        is_items: false,
        encoding: Vec::new(),
        positions: crate::model::Positions::default(),
    };
    let response = |status, types: &[&str]| crate::model::Response {
        status,
        description: None,
        media: types.iter().map(|it| media(it)).collect(),
    };
    tool.operation.responses = vec![
        response(Status::Code(200), &["text/csv", "application/json", "*/*"]),
        response(Status::Range(2), &["application/json", "application/hal+json"]),
        response(Status::Code(404), &["application/problem+json"]),
    ];
    let accept = |tool: &Tool| {
        let built = build(tool, "{}").expect("it can be sent");
        header(&built, "accept").map(str::to_owned)
    };
    let expected = "application/json, application/hal+json, text/csv;q=0.5, */*;q=0.1";
    assert_eq!(accept(&tool).as_deref(), Some(expected));
    tool.operation.responses = vec![response(Status::Default, &["image/png"])];
    assert_eq!(accept(&tool).as_deref(), Some("application/json, */*;q=0.1"));
    tool.operation.accept = Some("application/toml".to_owned());
    assert_eq!(accept(&tool).as_deref(), Some("application/toml"));
}

#[test]
fn errors_name_the_argument() {
    let tool = tool(
        "GET",
        "/{id}",
        vec![
            parameter("id", Location::Path, Style::Simple, false),
            parameter("X-A", Location::Header, Style::Simple, false),
        ],
    );
    for (arguments, argument) in [
        ("{}", "id"),
        (r#"{"id":".."}"#, "id"),
        (r#"{"id":null}"#, "id"),
        (r#"{"id":"a\nb"}"#, "id"),
        (r#"{"id":"a","X-A":"a\r\nb: c"}"#, "X-A"),
        (r#"{"id":"a","other":1}"#, "other"),
    ] {
        let error = build(&tool, arguments).expect_err("it is refused");
        assert_eq!(error.argument, argument, "{arguments}: {error}");
    }
}

#[test]
fn values_of_the_operator() {
    let query = |name| parameter(name, Location::Query, Style::Form, true);
    let mut tool = tool("GET", "/", vec![query("fixed"), query("default"), query("absent")]);
    tool.arguments[0].value = Value::Fixed(Json::string("f"));
    tool.arguments[1].value = Value::Default(Json::trusted("7"));
    tool.arguments[2].value = Value::Absent;
    let sent = |arguments: &str| build(&tool, arguments).map(|built| built.path_and_query);
    assert_eq!(sent("{}").as_deref(), Ok("/?fixed=f&default=7"));
    assert_eq!(sent(r#"{"default":8}"#).as_deref(), Ok("/?fixed=f&default=8"));
    for hidden in ["fixed", "absent"] {
        let error = sent(&format!(r#"{{"{hidden}":1}}"#)).expect_err("clients cannot give it");
        assert_eq!(error.argument, hidden);
    }
}

#[test]
fn contents() {
    let content = |name: &str, location, media_type: &str| Parameter {
        content: Some(media_type.to_owned()),
        ..parameter(name, location, Style::Form, true)
    };
    let tool = tool(
        "GET",
        "/{p}",
        vec![
            content("p", Location::Path, "application/json"),
            content("q", Location::Query, "application/json"),
            content("X-H", Location::Header, "application/json"),
            content("c", Location::Cookie, "application/json"),
            content("t", Location::Cookie, "text/plain"),
        ],
    );
    let arguments =
        r#"{"p":{"a": 1},"q":{"lat":10,"long":"é"},"X-H":["é", 1],"c":[1],"t":"a%2Cb"}"#;
    let built = build(&tool, arguments).expect("it can be sent");
    assert_eq!(
        built.path_and_query,
        "/%7B%22a%22%3A1%7D?q=%7B%22lat%22%3A10%2C%22long%22%3A%22%C3%A9%22%7D"
    );
    assert_eq!(header(&built, "x-h"), Some("[\"\\u00e9\",1]"));
    assert_eq!(header(&built, "cookie"), Some("c=%5B1%5D; t=a%2Cb"));
}

/// OpenAPI 3.2, Media Type Examples for `querystring`.
#[test]
fn variables_of_a_path_behind_its_question_mark() {
    let path = |name| parameter(name, Location::Path, Style::Simple, false);
    let tool = tool(
        "GET",
        "/x/{id}?since={since}&filter=of:{of},all&plain=a/b",
        vec![path("id"), path("since"), path("of")],
    );
    let built = build(&tool, r#"{"id":"1","since":"a&b=c/..#d","of":["x","y z"]}"#).unwrap();
    let query = "since=a%26b%3Dc%2F..%23d&filter=of:x,y%20z,all&plain=a/b";
    assert_eq!(built.path_and_query, format!("/x/1?{query}"));
    // What would lead elsewhere in a path leads nowhere here.
    let built = build(&tool, r#"{"id":"1","since":"..","of":[]}"#).unwrap();
    assert_eq!(built.path_and_query, "/x/1?since=..&filter=of:,all&plain=a/b");
    assert_eq!(build(&tool, r#"{"id":"..","since":"","of":[]}"#).unwrap_err().argument, "id");
}

#[test]
fn whole_queries() {
    for (media_type, value, expected) in [
        (
            "application/x-www-form-urlencoded",
            r#"{"foo":"a + b","bar":true}"#,
            "foo=a+%2B+b&bar=true",
        ),
        (
            "application/json",
            r#"{"numbers": [1, 2], "flag": null}"#,
            "%7B%22numbers%22%3A%5B1%2C2%5D%2C%22flag%22%3Anull%7D",
        ),
        ("application/jsonpath", r#""$.a.b[1:1]""#, "%24.a.b%5B1%3A1%5D"),
        ("text/plain", r#""a=1&b=x y""#, "a=1&b=x%20y"),
    ] {
        let whole = Parameter {
            content: Some(media_type.to_owned()),
            ..parameter("any", Location::QueryString, Style::Form, true)
        };
        let tool = tool("QUERY", "/foo", vec![whole]);
        let built = build(&tool, &format!(r#"{{"any":{value}}}"#)).expect("it can be sent");
        assert_eq!(built.path_and_query, format!("/foo?{expected}"), "{media_type}");
    }
    let encoding = Encoding { style: Some(Style::DeepObject), ..Encoding::default() };
    let whole = Parameter {
        content: Some("application/x-www-form-urlencoded".to_owned()),
        encoding: vec![("deep".to_owned(), encoding)],
        ..parameter("any", Location::QueryString, Style::Form, true)
    };
    let built = build(&tool("GET", "/", vec![whole]), r#"{"any":{"deep":{"a":1}}}"#);
    assert_eq!(built.map(|built| built.path_and_query).as_deref(), Ok("/?deep%5Ba%5D=1"));
}

/// A value of one of the kinds that styles know.
fn any_value() -> impl Strategy<Value = serde_json::Value> {
    let text = || {
        prop_oneof![
            "[a-z]{1,8}",
            Just("a b&c=d/e?f+g%h".to_owned()),
            Just("x%2By;z,w|v.u~[]{}\"'#@:!$()*\\".to_owned()),
            "\\PC{1,12}",
        ]
    };
    let scalar = prop_oneof![
        text().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        any::<bool>().prop_map(serde_json::Value::from),
    ];
    prop_oneof![
        scalar.clone(),
        proptest::collection::vec(scalar.clone(), 1..5).prop_map(serde_json::Value::from),
        proptest::collection::hash_map(text(), scalar, 1..4)
            .prop_map(|it| serde_json::Value::Object(it.into_iter().collect())),
    ]
}

/// All combinations of a location and a style that the specifications know.
const COMBINATIONS: [(Location, Style); 14] = [
    (Location::Path, Style::Matrix),
    (Location::Path, Style::Label),
    (Location::Path, Style::Simple),
    (Location::Path, Style::SpaceDelimited),
    (Location::Path, Style::PipeDelimited),
    (Location::Query, Style::Form),
    (Location::Query, Style::SpaceDelimited),
    (Location::Query, Style::PipeDelimited),
    (Location::Query, Style::TabDelimited),
    (Location::Query, Style::DeepObject),
    (Location::Header, Style::Simple),
    (Location::Header, Style::PipeDelimited),
    (Location::Cookie, Style::Form),
    (Location::Cookie, Style::Cookie),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Whatever can be sent is read back as what it was.
    #[test]
    fn requests_say_what_calls_said(
        value in any_value(),
        (location, style) in proptest::sample::select(COMBINATIONS.to_vec()),
        explode in any::<bool>(),
        allow_reserved in any::<bool>(),
    ) {
        // Reserved expansion keeps triples, so that a text may be read as another one, as specified.
        let triples = allow_reserved && location == Location::Query && value.to_string().contains('%');
        prop_assume!(!triples);
        let one = Parameter { allow_reserved, ..parameter("p", location, style, explode) };
        let path = if location == Location::Path { "/a/{p}/b" } else { "/a" };
        let tool = tool("GET", path, vec![one]);
        let arguments = serde_json::json!({ "p": value }).to_string();
        match build(&tool, &arguments) {
            Ok(built) => {
                let read = reader::read(&built, location, style, explode, &value);
                prop_assert_eq!(read, Ok(reader::texts(&value)), "{:?}", built);
            }
            // Only what no request could say is refused.
            Err(error) => prop_assert!(reader::may_be_refused(location, style, &value), "{}", error),
        }
    }

    /// No value changes which path a request goes to, or how many lines its head has.
    #[test]
    fn requests_stay_where_they_belong(text in "\\PC*|[./\\\\%2eEfF;\r\n\0 ]{0,12}", reserved in any::<bool>()) {
        let mut path = parameter("p", Location::Path, Style::Simple, false);
        path.allow_reserved = reserved;
        let head = parameter("X-H", Location::Header, Style::Simple, false);
        let tool = tool("GET", "/users/{p}/posts", vec![path, head]);
        let arguments = serde_json::json!({ "p": text, "X-H": text }).to_string();
        if let Ok(built) = build(&tool, &arguments) {
            let url = Url::parse(&format!("http://host{}", built.path_and_query)).expect("a URL");
            let segments: Vec<&str> = url.path_segments().expect("segments").collect();
            prop_assert_eq!(segments.len(), 3);
            prop_assert_eq!((segments[0], segments[2]), ("users", "posts"));
            prop_assert!(url.query().is_none() && url.fragment().is_none());
            prop_assert!(built.headers.iter().all(|(_, value)| !value.contains(['\r', '\n', '\0'])));
        }
    }
}
