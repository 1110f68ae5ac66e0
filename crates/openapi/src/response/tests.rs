//! Answers of all kinds, and what the model gets of them.

use serde_json::{Value, json};
use url::Url;

use super::*;
use crate::document::{Documents, Loader};
use crate::tree;

struct Nothing;

impl Loader for Nothing {
    fn load(&mut self, _: &Url, _: &Url) -> Result<String, String> {
        Err("nothing is loaded".to_owned())
    }
}

fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Answer { status, headers: headers.collect(), body: body.into(), is_partial: false }
}

fn typed(media_type: &str, body: impl Into<Bytes>) -> Answer {
    answer(200, &[("Content-Type", media_type)], body)
}

/// The result as JSON, for a tool with arguments of these names, of which some are given.
fn read_with(plan: &Answers, answer: &Answer, names: &[&str], given: &Value, fits: bool) -> Value {
    let arguments = Json::from(given).object().expect("an object");
    let plan = Answers { pager: Pager::of_names(names), ..plan.clone() };
    let call = Call { arguments: &arguments, uri: "api://pets/get" };
    let limits = Limits { text_bytes_max: 60, file_bytes_max: 60, ..Limits::default() };
    let fits = |_: &Json| if fits { Ok(()) } else { Err("`name` is required and missing".into()) };
    let result = plan.interpret(answer, &call, &limits, &fits).to_json();
    serde_json::from_slice(result.as_bytes()).expect("valid JSON")
}

fn read(answer: &Answer) -> Value {
    read_with(&Answers::default(), answer, &[], &json!({}), true)
}

fn first_text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().expect("a text")
}

fn note(result: &Value) -> &str {
    result["_meta"]["io.portcullis/note"].as_str().unwrap_or_default()
}

#[test]
fn json_is_structured() {
    let body = r#"{"n":12345678901234567890123,"x":1.10}"#;
    for media_type in ["application/json; charset=utf-8", "application/hal+json"] {
        let arguments = Object::empty();
        let call = Call { arguments: &arguments, uri: "api://x" };
        let result = Answers::default().interpret(
            &typed(media_type, body),
            &call,
            &Limits::default(),
            &|_| Ok(()),
        );
        assert_eq!(result.structured.as_ref().map(Json::as_str), Some(body));
        assert_eq!(result.content[0], text_block(body));
        assert!(!result.is_error && result.meta.is_empty());
    }
    let result = read(&typed("application/json", "\u{feff}[1]"));
    assert_eq!(result["structuredContent"], json!([1]));
    let result = read(&typed("application/json", "null"));
    assert_eq!(result.get("structuredContent"), Some(&Value::Null));
}

#[test]
fn what_does_not_fit_is_never_structured() {
    // Nothing was promised: it is what it is.
    let result =
        read_with(&Answers::default(), &typed("application/json", "{}"), &[], &json!({}), false);
    assert_eq!(result.get("structuredContent"), None);
    assert_eq!(result["isError"], json!(false));
}

#[test]
fn a_broken_promise_is_an_error_that_says_what_was_done() {
    let plan = plan(&format!(
        "        '200': {{description: x, content: {{application/json: {{schema: {A}}}}}}}\n",
        A = "{type: object, properties: {name: {type: string}}}"
    ));
    let page = "<html><body>Log <b>in</b></body></html>";
    let partial = Answer { is_partial: true, ..typed("application/json", "{\"name\":") };
    for (answer, fits, why, rest) in [
        (typed("application/json", "{}"), false, "`name` is required and missing", "{}"),
        (typed("application/json", "{\"a\":"), true, "cannot be read as JSON", "{\"a\":"),
        (typed("text/html", page), true, "a page of HTML", "Log in"),
        (typed("text/plain", "words"), true, "plain text", "words"),
        (typed("application/xml", "<a>"), true, "not the XML", "<a>"),
        (typed("application/xml", "<a>1</a>"), false, "`name` is required", "<a>1</a>"),
        (answer(204, &[], ""), true, "HTTP 204 No Content", "without a body"),
        (answer(304, &[], ""), true, "HTTP 304", "nothing has changed"),
        (typed("application/json", format!("\"{}\"", "x".repeat(90))), true, "longer", "\"xxx"),
        (partial, true, "longer", "{\"name\":"),
        (typed("text/event-stream", "data: 1\n\n"), false, "`name` is required", "1"),
    ] {
        let result = read_with(&plan, &answer, &[], &json!({}), fits);
        assert_eq!(result["isError"], json!(true), "{result}");
        assert_eq!(result.get("structuredContent"), None, "{result}");
        let text = first_text(&result);
        assert!(text.contains("carried the request out") && text.contains(why), "{result}");
        assert!(text.contains("Do not repeat"), "{result}");
        let second = result["content"][1]["text"].as_str().expect("what the API said");
        assert!(second.contains(rest), "{result}");
    }
    let image = read_with(&plan, &typed("image/png", "x"), &[], &json!({}), true);
    assert_eq!((&image["isError"], &image["content"][1]["type"]), (&json!(true), &json!("image")));
    // What fits is given, and an error of the API is its own.
    let good = read_with(&plan, &answer(201, &[], "{\"name\":\"x\"}"), &[], &json!({}), true);
    assert_eq!(good["structuredContent"], json!({"name": "x"}), "{good}");
    let failed = read_with(&plan, &answer(500, &[], "{}"), &[], &json!({}), false);
    assert!(first_text(&failed).starts_with("HTTP 500"), "{failed}");
}

#[test]
fn content_types_that_lie() {
    for media_type in ["text/plain", "text/html", "application/octet-stream"] {
        let result = read(&typed(media_type, " {\"a\":1}"));
        assert_eq!(result["structuredContent"], json!({"a": 1}), "{media_type}");
        assert!(note(&result).contains(media_type), "{result}");
    }
    assert_eq!(read(&answer(200, &[], "{\"a\":1}"))["structuredContent"], json!({"a": 1}));
    let invalid = read(&typed("application/json", "{\"a\":"));
    assert_eq!((first_text(&invalid), invalid.get("structuredContent")), ("{\"a\":", None));
    assert!(note(&invalid).contains("cannot be read as JSON"), "{invalid}");
    let page = read(&typed("application/json", "<html><body>Log <b>in</b></body></html>"));
    assert_eq!(first_text(&page), "Log in");
    assert!(note(&page).contains("HTML"), "{page}");
    assert_eq!(read(&typed("text/plain", "{not json"))["content"][0]["text"], json!("{not json"));
}

#[test]
fn what_is_unusual_is_said_to_the_model() {
    let text = |answer: &Answer| {
        let result = read(answer);
        let content = result["content"].as_array().expect("content");
        let last = content.last().expect("a text")["text"].as_str().unwrap_or_default().to_owned();
        assert!(
            last.strip_prefix("Note: ").is_some_and(|it| it.starts_with(note(&result))),
            "{result}"
        );
        last
    };
    let json = |body: &str| text(&typed("application/json", body.to_owned()));
    assert!(json("{\"a\":").contains("cannot be read as JSON"));
    assert!(json("{\"a\":1,\"a\":2}").contains("cannot be read as JSON"));
    assert!(json("<html><body>Log in</body></html>").contains("a page of HTML"));
    assert!(text(&typed("application/xml", "<a>")).contains("not the XML"));
    let lines = text(&typed("application/x-ndjson", "{\"a\":1}\n{\"a\":\n"));
    assert!(lines.contains("1 of 2 values are no JSON"), "{lines}");
    // Texts alone are what such a stream is made of.
    let words = read(&typed("text/event-stream", "data: a\n\ndata: b\n\n"));
    assert_eq!(note(&words), "", "{words}");
    // Two notes are one member.
    let long = read(&typed("text/html", format!("<html><body>{}</body></html>", "x".repeat(90))));
    assert!(note(&long).contains("cut") && note(&long).contains("HTML"), "{long}");
}

#[test]
fn files_are_their_blocks() {
    let image = read(&typed("image/png", &b"\x89PNG"[..]));
    assert_eq!(
        image["content"][0],
        json!({"type": "image", "data": "iVBORw==", "mimeType": "image/png"})
    );
    let guessed = read(&answer(200, &[], &b"\x89PNG"[..]));
    assert_eq!(guessed["content"][0]["mimeType"], json!("image/png"));
    let audio = read(&typed("audio/mpeg", "x"));
    assert_eq!(audio["content"][0]["type"], json!("audio"));
    let headers = [
        ("content-type", "application/pdf"),
        ("content-disposition", "attachment; filename=\"../a b.pdf\""),
    ];
    let file = read(&answer(200, &headers, "%PDF"));
    assert_eq!(
        file["content"][0]["resource"],
        json!({"uri": "api://pets/get/a%20b.pdf", "mimeType": "application/pdf", "blob": "JVBERg=="})
    );
    let long = read(&typed("image/png", vec![0; 61]));
    assert!(first_text(&long).contains("61 bytes"), "{long}");
}

#[test]
fn nothing_is_said_in_words() {
    let result = read(&answer(204, &[], ""));
    assert_eq!(first_text(&result), "Done: HTTP 204 No Content, without a body.");
    assert_eq!(result["_meta"]["io.portcullis/status"], json!(204));
    let created = read(&answer(201, &[("Location", "/pets/5")], ""));
    assert!(first_text(&created).ends_with("location: /pets/5"), "{created}");
}

#[test]
fn errors_say_what_is_useful() {
    for (body, expected) in [
        (r#"{"message":"no such pet"}"#, "HTTP 404 Not Found: no such pet"),
        (r#"{"error":"no such pet"}"#, "HTTP 404 Not Found: no such pet"),
        (
            r#"{"type":"about:blank","title":"Gone","detail":"It ran away","status":404}"#,
            "HTTP 404 Not Found: Gone: It ran away",
        ),
        (
            r#"{"error":{"code":"not_found","message":"no pet"}}"#,
            "HTTP 404 Not Found: no pet [not_found]",
        ),
        (
            r#"{"detail":[{"loc":["query","limit"],"msg":"too large"},{"loc":["body",0],"msg":"bad"}]}"#,
            "HTTP 404 Not Found: query.limit: too large; body.0: bad",
        ),
        (
            r#"{"name":["is required"],"age":["is no number"]}"#,
            "HTTP 404 Not Found: name: is required; age: is no number",
        ),
        ("plain words", "HTTP 404 Not Found\n\nplain words"),
        ("", "HTTP 404 Not Found"),
        ("<html><script>x</script><h1>404</h1> nginx", "HTTP 404 Not Found\n\n404 nginx"),
    ] {
        let result = read(&answer(404, &[], body));
        assert_eq!(first_text(&result).lines().next(), expected.lines().next(), "{body}");
        assert!(first_text(&result).starts_with(expected), "{result}");
        assert_eq!(result["isError"], json!(true));
        assert_eq!(result["_meta"]["io.portcullis/status"], json!(404));
        assert_eq!(result.get("structuredContent"), None);
    }
    let busy = read(&answer(429, &[("Retry-After", "30")], "{\"message\":\"slow\"}"));
    assert_eq!(first_text(&busy), "HTTP 429 Too Many Requests: slow\nTry again in 30 seconds.");
    assert_eq!(busy["_meta"]["io.portcullis/retryAfter"], json!("30"));
}

#[test]
fn redirects_are_not_followed() {
    let moved = read(&answer(302, &[("Location", "https://other.example/login?token=secret")], ""));
    assert_eq!(moved["isError"], json!(true));
    assert!(first_text(&moved).contains("to `https://other.example/login`, which"), "{moved}");
    let moved = read(&answer(307, &[("Location", "//me:secret@a.example/x?y#secret")], ""));
    assert!(first_text(&moved).contains("to `//a.example/x`, which"), "{moved}");
    let seen = read(&answer(303, &[("Location", "/jobs/7?key=secret")], ""));
    assert_eq!(seen["isError"], json!(false));
    assert!(first_text(&seen).contains("the outcome at `/jobs/7`"), "{seen}");
    assert!(!format!("{moved}{seen}").contains("secret"), "{moved} {seen}");
    assert!(!moved.to_string().contains("secret"), "{moved}");
    assert_eq!(read(&answer(304, &[], ""))["isError"], json!(false));
}

#[test]
fn long_results_are_cut() {
    let body = format!("[\"{}\"]", "é".repeat(40));
    let result = read_with(
        &Answers::default(),
        &typed("application/json", body),
        &["limit", "X-Id", "fields"],
        &json!({}),
        true,
    );
    assert_eq!(result.get("structuredContent"), None);
    assert_eq!(first_text(&result), format!("[\"{}", "é".repeat(29)));
    let sentence = result["content"][1]["text"].as_str().expect("a text");
    assert!(
        sentence.contains("60 of 84 bytes") && sentence.contains("`limit`, `fields`"),
        "{result}"
    );
    let partial = Answer { is_partial: true, ..typed("text/plain", "abc") };
    assert!(
        read(&partial)["content"][1]["text"].as_str().is_some_and(|it| it.contains("more than"))
    );
}

#[test]
fn character_sets() {
    let latin = read(&typed("text/plain; charset=ISO-8859-1", &b"caf\xe9"[..]));
    assert_eq!(first_text(&latin), "café");
    let latin = read(&typed("application/json; charset=\"latin1\"", &b"[\"caf\xe9\"]"[..]));
    assert_eq!(latin["structuredContent"], json!(["café"]));
}

#[test]
fn streams_are_collected() {
    let lines = read(&typed("application/x-ndjson", "{\"a\":1}\n\n{\"a\":2}"));
    assert_eq!(lines["structuredContent"], json!([{"a": 1}, {"a": 2}]));
    assert_eq!(first_text(&lines), "{\"a\":1}\n{\"a\":2}");
    let sequence = read(&typed("application/json-seq", "\u{1e}{\"a\":\n1}\n\u{1e}2\n"));
    assert_eq!(sequence["structuredContent"], json!([{"a": 1}, 2]));
    let events = "event: add\nid: 1\ndata: {\"a\":1}\n\n: ping\n\ndata: word\n\ndata: [DONE]\n\n";
    let events = read(&typed("text/event-stream", events));
    assert_eq!(events["structuredContent"], json!([{"a": 1}, "word"]));
    let none = read(&typed("text/event-stream", ": nothing\n\n"));
    assert_eq!(first_text(&none), "The stream ended without a value.");
}

#[test]
fn streams_of_events_may_be_lists_of_events() {
    let arguments = Object::empty();
    let call = Call { arguments: &arguments, uri: "api://x" };
    let fits = |json: &Json| {
        let has_data = json.as_str().contains("\"data\":");
        if has_data { Ok(()) } else { Err("no list of events".into()) }
    };
    let answer = typed("text/event-stream", "event: add\ndata: {}\n\n");
    let result = Answers::default().interpret(&answer, &call, &Limits::default(), &fits);
    assert_eq!(
        result.structured.as_ref().map(Json::as_str),
        Some(r#"[{"event":"add","data":"{}"}]"#)
    );
}

#[test]
fn streams_come_in_pieces() {
    for (media_type, text) in [
        ("text/event-stream", "data: {\"a\":1}\r\n\r\ndata: 2\n\n"),
        ("application/x-ndjson", "{\"a\":1}\r\n2\n"),
        ("application/json-seq", "\u{1e}{\"a\":1}\n\u{1e}2\n"),
    ] {
        for size in 1..text.len() {
            let mut collector = Collector::new(media_type, &Limits::default()).expect("a stream");
            let mut items = Vec::new();
            for chunk in text.as_bytes().chunks(size) {
                items.extend(collector.feed(Bytes::copy_from_slice(chunk)).expect("short enough"));
            }
            items.extend(collector.end());
            let texts: Vec<&str> = items.iter().map(|item| item.text.as_str()).collect();
            assert_eq!(texts, ["{\"a\":1}", "2"], "{media_type} in pieces of {size}");
        }
    }
    assert!(Collector::new("application/json", &Limits::default()).is_none());
    let limits =
        Limits { json: wire::Limits { bytes: 4, ..wire::Limits::SERVER }, ..Limits::default() };
    let mut collector = Collector::new("application/jsonl", &limits).expect("a stream");
    assert_eq!(collector.feed("12345".into()), Err(TooLong { bytes_max: 4 }));
}

#[test]
fn what_follows_is_said() {
    for (headers, body, names, given, expected) in [
        (
            &[(
                "Link",
                "<https://a/x?page=1>; rel=\"prev\", <https://a/x?page=3&q=a>; rel=\"next\"",
            )][..],
            "[]",
            &["page", "q"][..],
            json!({"page": 2, "q": "a"}),
            json!({"arguments": {"page": 3}}),
        ),
        (
            &[],
            r#"{"next_cursor":"abc"}"#,
            &["cursor"],
            json!({}),
            json!({"arguments": {"cursor": "abc"}}),
        ),
        (
            &[],
            r#"{"nextPageToken":"12"}"#,
            &["maxResults", "pageToken"],
            json!({}),
            json!({"arguments": {"pageToken": "12"}}),
        ),
        (
            &[],
            r#"{"response_metadata":{"next_cursor":"d=="}}"#,
            &["cursor"],
            json!({}),
            json!({"arguments": {"cursor": "d=="}}),
        ),
        (
            &[],
            r#"{"_links":{"next":{"href":"/x?offset=20"}}}"#,
            &["offset"],
            json!({}),
            json!({"arguments": {"offset": 20}}),
        ),
        (
            &[],
            r#"{"offset":0,"limit":10,"total":25}"#,
            &["offset", "limit"],
            json!({}),
            json!({"arguments": {"offset": 10}}),
        ),
        (&[], r#"{"offset":20,"limit":10,"total":25}"#, &["offset"], json!({}), Value::Null),
        (
            &[],
            r#"{"meta":{"page":1,"total_pages":2}}"#,
            &["page"],
            json!({}),
            json!({"arguments": {"page": 2}}),
        ),
        (
            &[],
            r#"{"data":[{"id":"a"},{"id":"b"}],"has_more":true}"#,
            &["starting_after"],
            json!({}),
            json!({"arguments": {"starting_after": "b"}}),
        ),
        (&[], r#"{"has_more":false,"next_cursor":"x"}"#, &["cursor"], json!({}), Value::Null),
        (&[], r#"{"next":null}"#, &["cursor"], json!({}), Value::Null),
        (&[], r#"{"next_cursor":"x"}"#, &["id"], json!({}), json!({"mark": "x"})),
    ] {
        let mut all = vec![("content-type", "application/json")];
        all.extend_from_slice(headers);
        let result = read_with(&Answers::default(), &answer(200, &all, body), names, &given, true);
        assert_eq!(result["_meta"]["io.portcullis/next"], expected, "{body}");
        let says_more = result["content"].as_array().is_some_and(|it| it.len() == 2);
        assert_eq!(says_more, !expected.is_null(), "{result}");
    }
}

/// The plan of the operation `GET /` of a document with these answers.
fn plan(responses: &str) -> Answers {
    let text = format!(
        "openapi: 3.1.0\ninfo: {{title: t, version: '1'}}\npaths:\n  /:\n    get:\n      parameters:
      - {{name: page, in: query, schema: {{type: integer}}}}
      - {{name: X-Page, in: header, schema: {{type: integer}}}}
      responses:\n{responses}"
    );
    let url = Url::parse("file:///a.yaml").expect("a URL");
    let limits = tree::Limits::default();
    let (documents, mut report) =
        Documents::load(&text, &url, "a.yaml", &mut Nothing, &[], &limits).expect("loads");
    let extracted = crate::operation::extract(&documents, &mut report);
    let options = crate::tool::Options::default();
    let tools = crate::tool::tools(&extracted.operations, &documents, &options, &mut report);
    Answers::new(&tools[0], &documents)
}

#[test]
fn xml_becomes_json() {
    let body = "<?xml version=\"1.0\"?><!-- x --><a:pet xmlns:a=\"u\" id=\"5\"><name>R&amp;&#101;x</name>\
                <tag>a</tag><tag><![CDATA[<b>]]></tag><empty/></a:pet>";
    let limits = Limits::default();
    let read = |plan: &Answers, body: &str| {
        let arguments = Object::empty();
        let call = Call { arguments: &arguments, uri: "api://x" };
        let answer = typed("application/xml", body.to_owned());
        let result = plan.interpret(&answer, &call, &limits, &|_| Ok(())).to_json();
        serde_json::from_slice::<Value>(result.as_bytes()).expect("valid JSON")
    };
    assert_eq!(
        read(&Answers::default(), body)["structuredContent"],
        json!({"pet": {"@id": "5", "name": "R&ex", "tag": ["a", "<b>"], "empty": ""}})
    );
    let plan = plan(
        "        '200':
          description: x
          content:
            application/xml:
              schema:
                type: object
                xml: {name: pet, prefix: a}
                properties:
                  id: {type: integer, xml: {attribute: true}}
                  name: {type: string}
                  tags: {type: array, items: {type: string, xml: {name: tag}}}
                  photos: {type: array, xml: {wrapped: true}, items: {type: integer, xml: {name: photo}}}
                  empty: {type: string}
                  good: {type: boolean}
                  parent: {type: object, properties: {id: {type: integer}}}
",
    );
    let more = body.replace(
        "<empty/>",
        "<photos><photo>1</photo><photo>2</photo></photos><empty/><good>true</good>\
         <parent><id>12345678901234567890</id></parent><other>x</other>",
    );
    let text = read(&plan, &more)["structuredContent"].to_string();
    let expected: Value = serde_json::from_str(
        r#"{"id":5,"name":"R&ex","tags":["a","<b>"],"photos":[1,2],"empty":"","good":true,
            "parent":{"id":12345678901234567890},"other":"x"}"#,
    )
    .expect("valid JSON");
    assert_eq!(text, expected.to_string());
    for broken in
        ["<a>", "<a></b>", "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", "<a/><b/>", "<a b=c/>"]
    {
        let result = read(&Answers::default(), broken);
        assert_eq!((first_text(&result), result.get("structuredContent")), (broken, None));
    }
    let deep = "<a>".repeat(100_000);
    assert!(note(&read(&Answers::default(), &deep)).contains("not the XML"));
}

#[test]
fn pages_that_were_promised_stay_as_they_are() {
    let plan = plan("        2XX: {description: x, content: {text/html: {}}}\n");
    let page = typed("text/html; charset=utf-8", "<html><b>x</b></html>");
    let result = read_with(&plan, &page, &[], &json!({}), true);
    assert_eq!(first_text(&result), "<html><b>x</b></html>");
}

#[test]
fn arguments_of_queries_are_known() {
    let plan = plan("        2XX: {description: x}\n");
    assert_eq!(plan.pager.names(), ["page"]);
}

#[test]
fn lone_texts_are_json_where_it_was_promised() {
    let plan = plan("        '200': {description: x, content: {application/json: {}}}\n");
    let result = read_with(&plan, &typed("text/plain", "5"), &[], &json!({}), true);
    assert_eq!(result["structuredContent"], json!(5));
    assert_eq!(read(&typed("text/plain", "5")).get("structuredContent"), None);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2_000))]

    /// Whatever an API answers, there is a result that can be read, and it is bounded.
    #[test]
    fn any_answer_has_a_result(
        status in 100u16..600,
        content_type in proptest::sample::select(vec![
            "", "application/json", "text/html", "text/plain; charset=latin1", "application/xml",
            "text/event-stream", "application/x-ndjson", "application/json-seq", "image/png", "a/b",
        ]),
        start in proptest::sample::select(vec![
            "", "{\"a\":", "<html>", "<a b='", "<![CDATA[", "data: ", "[1,", "\u{1e}", "<!--", "&#x",
        ]),
        rest in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40),
        link in "\\PC{0,20}",
        is_partial in proptest::prelude::any::<bool>(),
        fits in proptest::prelude::any::<bool>(),
    ) {
        let body = [start.as_bytes(), &rest].concat();
        let headers = [("Content-Type", content_type), ("Link", &link), ("Location", &link)];
        let answer = Answer { is_partial, ..answer(status, &headers, body) };
        let result = read_with(&Answers::default(), &answer, &["page"], &json!({}), fits);
        proptest::prop_assert!(result["content"].as_array().is_some_and(|it| !it.is_empty()));
        proptest::prop_assert!(fits || result.get("structuredContent").is_none());
        proptest::prop_assert!(result.to_string().len() < 3_000);
    }
}
