//! Bodies of each kind, byte by byte.

use super::*;
use crate::model::{At, DocumentId, Inner, Location, Positions, Style};
use crate::tree::NodeId;

fn json(text: &str) -> Json {
    Json::trusted(text.to_owned())
}

fn media(media_type: &str, encoding: Vec<(&str, Encoding)>) -> Media {
    let encoding = encoding.into_iter().map(|(name, it)| (name.to_owned(), it)).collect();
    let positions = Positions::default();
    Media { media_type: media_type.to_owned(), schema: None, is_items: false, encoding, positions }
}

fn member<'a>(name: &'a str, value: &str, content: Content) -> Member<'a> {
    Member { argument: name, name, json: json(value), content, parameter: None }
}

fn body(media: &Media, members: Vec<Member<'_>>) -> (String, String) {
    sent(media, Input::Members(members))
}

fn whole_body(media: &Media, value: &str, content: Content) -> (String, String) {
    sent(media, Input::Whole { argument: "body", json: json(value), content })
}

fn sent(media: &Media, input: Input<'_>) -> (String, String) {
    let kind = MediaKind::of(&media.media_type);
    let written =
        write(media, kind, input, &Shapes::default(), "BOUNDARY").expect("it can be written");
    (written.content_type, String::from_utf8_lossy(&written.bytes).into_owned())
}

fn typed(content_type: &str) -> Encoding {
    Encoding { content_type: Some(content_type.to_owned()), ..Encoding::default() }
}

fn styled(style: Style, explode: bool) -> Encoding {
    Encoding { style: Some(style), explode: Some(explode), ..Encoding::default() }
}

#[test]
fn json_is_what_the_client_sent() {
    let media = media("application/vnd.api+json", Vec::new());
    let members = vec![
        member("id", "12345678901234567890123", Content::Value),
        member("a\"b", "{ \"x\" : 1.10 }", Content::Value),
    ];
    let expected = r#"{"id":12345678901234567890123,"a\"b":{ "x" : 1.10 }}"#;
    assert_eq!(body(&media, members), ("application/vnd.api+json".to_owned(), expected.to_owned()));
    assert_eq!(whole_body(&media, "[1, 2]", Content::Value).1, "[1, 2]");
    assert_eq!(body(&media, Vec::new()).1, "{}");
}

/// OpenAPI 3.2, Encoding the `x-www-form-urlencoded` Media Type.
#[test]
fn forms_without_encoding() {
    let media = media("application/x-www-form-urlencoded", Vec::new());
    let address =
        r#"{"streetAddress": "123 Example Dr.", "city": "Somewhere", "zip": "99999+1234"}"#;
    let members = vec![
        member("id", r#""f81d4fae-7dec""#, Content::Value),
        member("address", address, Content::Value),
        member("tags", r#"["a b","c",null]"#, Content::Value),
        member("none", "null", Content::Value),
        member("yes", "true", Content::Value),
    ];
    assert_eq!(
        body(&media, members).1,
        "id=f81d4fae-7dec&address=%7B%22streetAddress%22%3A%22123+Example+Dr.%22%2C%22city%22%3A%22\
         Somewhere%22%2C%22zip%22%3A%2299999%2B1234%22%7D&tags=a+b&tags=c&yes=true"
    );
    assert_eq!(whole_body(&media, r#"{"a":1}"#, Content::Value).1, "a=1");
    assert_eq!(whole_body(&media, r#""a=1&b=x y""#, Content::Value).1, "a=1&b=x%20y");
}

#[test]
fn forms_with_encoding() {
    let reserved = Encoding { allow_reserved: true, ..Encoding::default() };
    let media = media(
        "application/x-www-form-urlencoded",
        vec![
            ("id", typed("application/json")),
            ("list", styled(Style::Form, false)),
            ("deep", styled(Style::DeepObject, true)),
            ("url", reserved),
        ],
    );
    let members = vec![
        member("id", r#""f81d""#, Content::Value),
        member("list", r#"["a b","c"]"#, Content::Value),
        member("deep", r#"{"a":{"b":1},"c":["x"]}"#, Content::Value),
        member("url", r#""http://x/?a=b&c""#, Content::Value),
    ];
    assert_eq!(
        body(&media, members).1,
        "id=%22f81d%22&list=a%20b,c&deep%5Ba%5D%5Bb%5D=1&deep%5Bc%5D%5B0%5D=x&url=http://x/?a=b%26c"
    );
}

#[test]
fn forms_of_swagger() {
    let parameter = |name: &str, style, explode| Parameter {
        name: name.to_owned(),
        location: Location::Form,
        is_required: false,
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
    };
    let (csv, multi) =
        (parameter("csv", Style::Form, false), parameter("multi", Style::Form, true));
    let members = || {
        let list = r#"["a b","c"]"#;
        vec![
            Member { parameter: Some(&csv), ..member("csv", list, Content::Value) },
            Member { parameter: Some(&multi), ..member("multi", list, Content::Value) },
        ]
    };
    let form = media("application/x-www-form-urlencoded", Vec::new());
    assert_eq!(body(&form, members()).1, "csv=a%20b,c&multi=a%20b&multi=c");
    let parts = body(&media("multipart/form-data", Vec::new()), members()).1;
    let part = |name: &str, text: &str| {
        format!("--BOUNDARY\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n")
    };
    let expected = [
        part("csv", "a b,c"),
        part("multi", "a b"),
        part("multi", "c"),
        "--BOUNDARY--\r\n".to_owned(),
    ];
    assert_eq!(parts, expected.concat());
}

#[test]
fn parts_of_forms() {
    let image = Encoding {
        headers: vec![
            ("X-Limit".to_owned(), "5".to_owned()),
            ("X-Bad".to_owned(), "a\r\nb".to_owned()),
            ("Content-Type".to_owned(), "a/b".to_owned()),
        ],
        ..typed("image/png, image/jpeg")
    };
    let media =
        media("multipart/form-data", vec![("image", image), ("meta", typed("application/json"))]);
    let members = vec![
        member("id", r#""a b""#, Content::Value),
        member("a\"\r\nb", "5", Content::Value),
        member("address", r#"{"city": "x"}"#, Content::Value),
        member("meta", r#""text""#, Content::Value),
        member("image", r#""data:image/jpeg;name=..%2Fa%22.jpg;base64,aGk=""#, Content::File),
        member("files", r#"["aGk=","data:text/csv,a%2Cb"]"#, Content::Files),
    ];
    let (content_type, text) = body(&media, members);
    assert_eq!(content_type, "multipart/form-data; boundary=BOUNDARY");
    let parts = [
        "name=\"id\"\r\n\r\na b",
        "name=\"a%22%0D%0Ab\"\r\n\r\n5",
        "name=\"address\"\r\nContent-Type: application/json\r\n\r\n{\"city\":\"x\"}",
        "name=\"meta\"\r\nContent-Type: application/json\r\n\r\n\"text\"",
        "name=\"image\"; filename=\"a%22.jpg\"\r\nContent-Type: image/jpeg\r\nX-Limit: 5\r\n\r\nhi",
        "name=\"files\"; filename=\"files\"\r\nContent-Type: application/octet-stream\r\n\r\nhi",
        "name=\"files\"; filename=\"files.csv\"\r\nContent-Type: text/csv\r\n\r\na,b",
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .map(|part| format!("--BOUNDARY\r\nContent-Disposition: form-data; {part}\r\n"))
        .collect();
    assert_eq!(text, format!("{}--BOUNDARY--\r\n", parts.concat()));
}

#[test]
fn bytes_and_their_types() {
    let exact = media("application/octet-stream", Vec::new());
    let uri = r#""data:image/png;base64,aGk=""#;
    assert_eq!(
        whole_body(&exact, uri, Content::File),
        ("application/octet-stream".to_owned(), "hi".to_owned())
    );
    let range = media("image/*", Vec::new());
    assert_eq!(whole_body(&range, uri, Content::File), ("image/png".to_owned(), "hi".to_owned()));
    let other = r#""data:text/html;base64,aGk=""#;
    let refused = |value: &str| {
        let input = Input::Whole { argument: "body", json: json(value), content: Content::File };
        let written = write(&range, MediaKind::Binary, input, &Shapes::default(), "BOUNDARY");
        written.expect_err("it is none of the range").fix
    };
    for value in [other, "\"aGk=\""] {
        assert!(refused(value).contains("data:image/png"), "{value}");
    }
    // The bytes tell it as well, also where the client says something else.
    for png in ["\"iVBORw0KGgo=\"", "\"data:text/html;base64,iVBORw0KGgo=\""] {
        assert_eq!(whole_body(&range, png, Content::File).0, "image/png", "{png}");
    }
    let refused = write(
        &exact,
        MediaKind::Binary,
        Input::Whole { argument: "body", json: json(r#""no base64!""#), content: Content::File },
        &Shapes::default(),
        "B",
    );
    assert_eq!(refused.map_err(|error| error.argument), Err("body".to_owned()));
}

#[test]
fn texts_and_lines() {
    let whole =
        |media_type: &str, value| whole_body(&media(media_type, Vec::new()), value, Content::Value);
    assert_eq!(whole("text/plain", r#""a\nb""#).1, "a\nb");
    assert_eq!(whole("text/plain", "5").1, "5");
    assert_eq!(whole("application/x-ndjson", "[{\"a\":\n1}, \"x y\"]").1, "{\"a\":1}\n\"x y\"\n");
    assert_eq!(whole("application/json-seq", "[1]").1, "\u{1e}1\n");
    let (content_type, text) = whole("application/xml", r#"{"a":"<"}"#);
    assert_eq!(content_type, "application/xml");
    assert_eq!(text, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<root><a>&lt;</a></root>");
    assert_eq!(whole("*/*", "1"), ("application/json".to_owned(), "1".to_owned()));
}

/// OpenAPI 3.2, Encoding By Position.
#[test]
fn parts_without_names_are_encoded_by_position() {
    let mut media = media("multipart/related; type=text/html", Vec::new());
    media.positions = Positions {
        first: vec![Encoding {
            headers: vec![("Content-Location".to_owned(), "a.html".to_owned())],
            ..typed("text/html")
        }],
        rest: Some(Box::new(typed("image/*, text/css"))),
    };
    let value = r#"["<p>", "data:image/png;base64,iVBO", "iVBO", {"a": 1}]"#;
    let (content_type, body) = whole_body(&media, value, Content::Value);
    assert_eq!(content_type, "multipart/related; boundary=BOUNDARY");
    let expected = [
        "--BOUNDARY\r\nContent-Type: text/html\r\nContent-Location: a.html\r\n\r\n<p>\r\n",
        "--BOUNDARY\r\nContent-Type: image/png\r\n\r\n\u{fffd}PN\r\n",
        "--BOUNDARY\r\nContent-Type: text/css\r\n\r\n\u{fffd}PN\r\n",
        "--BOUNDARY\r\nContent-Type: text/css\r\n\r\n{\"a\":1}\r\n--BOUNDARY--\r\n",
    ];
    assert_eq!(body, expected.concat());
    media.media_type = "multipart/form-data".to_owned();
    let disposition = "form-data; name=a";
    media.positions.first[0].headers =
        vec![("Content-Disposition".to_owned(), disposition.to_owned())];
    let (_, body) = whole_body(&media, r#"["x"]"#, Content::Value);
    assert!(body.contains("\r\nContent-Disposition: form-data; name=a\r\n"), "{body}");
}

/// OpenAPI 3.2, Nested Encoding.
#[test]
fn parts_may_be_multipart_themselves() {
    let inner = Inner {
        encoding: Vec::new(),
        positions: Positions { first: vec![typed("application/xml")], rest: None },
    };
    let nested = Encoding { inner: Some(Box::new(inner)), ..typed("multipart/mixed") };
    let mut by_position = media("multipart/mixed", Vec::new());
    by_position.positions.first = vec![Encoding::default(), nested.clone()];
    let value = r#"[["a"], [{"b": 1}, "text"]]"#;
    let expected = "--BOUNDARY\r\nContent-Type: application/json\r\n\r\n[\"a\"]\r\n\
         --BOUNDARY\r\nContent-Type: multipart/mixed; boundary=in1-BOUNDARY\r\n\r\n\
         --in1-BOUNDARY\r\nContent-Type: application/xml\r\n\r\n\
         <?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<root><b>1</b></root>\r\n\
         --in1-BOUNDARY\r\n\r\ntext\r\n--in1-BOUNDARY--\r\n\r\n--BOUNDARY--\r\n";
    assert_eq!(whole_body(&by_position, value, Content::Value).1, expected);

    let by_name = Inner { encoding: vec![("b".to_owned(), typed("text/csv"))], ..Inner::default() };
    let nested = Encoding { inner: Some(Box::new(by_name)), ..Encoding::default() };
    let by_name = media("multipart/form-data", vec![("m", nested)]);
    let (_, body) = body(&by_name, vec![member("m", r#"{"a":1,"b":"x,y"}"#, Content::Value)]);
    let expected = "--BOUNDARY\r\nContent-Disposition: form-data; name=\"m\"\r\n\
         Content-Type: multipart/mixed; boundary=in1-BOUNDARY\r\n\r\n\
         --in1-BOUNDARY\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n\
         --in1-BOUNDARY\r\nContent-Disposition: form-data; name=\"b\"\r\n\
         Content-Type: text/csv\r\n\r\nx,y\r\n--in1-BOUNDARY--\r\n\r\n--BOUNDARY--\r\n";
    assert_eq!(body, expected);
}
