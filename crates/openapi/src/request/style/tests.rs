//! The style tables of the specifications, and what they leave open.

use super::*;

/// What the tables call `color`, by type.
const VALUES: [&str; 4] =
    [r#""""#, r#""blue""#, r#"["blue","black","brown"]"#, r#"{"R":100,"G":200,"B":150}"#];

fn writing(style: Style, explode: bool) -> Writing {
    Writing { style, explode, escape: Escape::Component, keeps_empty: true }
}

fn json(text: &str) -> Json {
    Json::trusted(text.to_owned())
}

fn part(style: Style, explode: bool, value: &str) -> String {
    writing(style, explode).part("color", &json(value)).expect("it can be written")
}

fn join(pairs: Vec<Pair>, between: &str) -> String {
    let pairs: Vec<String> = pairs.into_iter().map(|(key, text)| format!("{key}={text}")).collect();
    pairs.join(between)
}

fn query(style: Style, explode: bool, value: &str) -> String {
    join(writing(style, explode).pairs("color", &json(value)).expect("it can be written"), "&")
}

fn refused(writing: Writing, value: &str) -> String {
    writing.pairs("color", &json(value)).expect_err("it is refused").problem
}

/// OpenAPI 3.0.4, 3.1.1 and 3.2.0, Style Examples: `undefined` (which is the empty value of 3.0.3),
/// string, array, object.
#[test]
fn paths_and_headers_follow_the_tables() {
    for (style, explode, row) in [
        (
            Style::Matrix,
            false,
            [";color", ";color=blue", ";color=blue,black,brown", ";color=R,100,G,200,B,150"],
        ),
        (
            Style::Matrix,
            true,
            [";color", ";color=blue", ";color=blue;color=black;color=brown", ";R=100;G=200;B=150"],
        ),
        (Style::Label, false, [".", ".blue", ".blue,black,brown", ".R,100,G,200,B,150"]),
        (Style::Label, true, [".", ".blue", ".blue.black.brown", ".R=100.G=200.B=150"]),
        (Style::Simple, false, ["", "blue", "blue,black,brown", "R,100,G,200,B,150"]),
        (Style::Simple, true, ["", "blue", "blue,black,brown", "R=100,G=200,B=150"]),
    ] {
        for (value, expected) in VALUES.into_iter().zip(row) {
            assert_eq!(part(style, explode, value), expected, "{style:?} {explode} {value}");
        }
        assert_eq!(part(style, explode, "null"), row[0], "{style:?} {explode} undefined");
    }
}

#[test]
fn queries_follow_the_tables() {
    const NOT_DEFINED: &str = "";
    for (style, explode, row) in [
        (
            Style::Form,
            false,
            ["color=", "color=blue", "color=blue,black,brown", "color=R,100,G,200,B,150"],
        ),
        (
            Style::Form,
            true,
            ["color=", "color=blue", "color=blue&color=black&color=brown", "R=100&G=200&B=150"],
        ),
        (
            Style::SpaceDelimited,
            false,
            [
                NOT_DEFINED,
                NOT_DEFINED,
                "color=blue%20black%20brown",
                "color=R%20100%20G%20200%20B%20150",
            ],
        ),
        (
            Style::PipeDelimited,
            false,
            [
                NOT_DEFINED,
                NOT_DEFINED,
                "color=blue%7Cblack%7Cbrown",
                "color=R%7C100%7CG%7C200%7CB%7C150",
            ],
        ),
        (
            Style::DeepObject,
            true,
            [
                NOT_DEFINED,
                NOT_DEFINED,
                NOT_DEFINED,
                "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150",
            ],
        ),
    ] {
        for (value, expected) in VALUES.into_iter().zip(row) {
            if expected != NOT_DEFINED {
                assert_eq!(query(style, explode, value), expected, "{style:?} {explode} {value}");
            }
        }
    }
}

/// OpenAPI 3.2.0: style `cookie`.
#[test]
fn cookies_follow_the_table() {
    for (explode, row) in [
        (false, ["color=", "color=blue", "color=blue,black,brown", "color=R,100,G,200,B,150"]),
        (
            true,
            ["color=", "color=blue", "color=blue; color=black; color=brown", "R=100; G=200; B=150"],
        ),
    ] {
        let writing = Writing { escape: Escape::Plain, ..writing(Style::Cookie, explode) };
        for (value, expected) in VALUES.into_iter().zip(row) {
            let pairs = writing.pairs("color", &json(value)).expect("it can be written");
            assert_eq!(join(pairs, "; "), expected, "{explode} {value}");
        }
    }
}

/// Swagger 2.0 `collectionFormat`, in a query and in a path.
#[test]
fn collections_of_swagger() {
    let list = r#"["foo","bar"]"#;
    for (style, in_query, in_path) in [
        (Style::Form, "color=foo,bar", "foo,bar"),
        (Style::SpaceDelimited, "color=foo%20bar", "foo%20bar"),
        (Style::TabDelimited, "color=foo%09bar", "foo%09bar"),
        (Style::PipeDelimited, "color=foo%7Cbar", "foo%7Cbar"),
    ] {
        assert_eq!(query(style, false, list), in_query, "{style:?}");
        assert_eq!(part(style, false, list), in_path, "{style:?}");
        // `multi`, and what 3.x calls `explode`.
        assert_eq!(query(style, true, list), "color=foo&color=bar", "{style:?}");
    }
}

/// OpenAPI 3.2.0, Appendix C: what the examples there make of names and values.
#[test]
fn values_are_percent_encoded() {
    let formulas = r#"{"a":"x+y","b":"x/y","c":"x^y"}"#;
    assert_eq!(query(Style::Form, true, formulas), "a=x%2By&b=x%2Fy&c=x%5Ey");
    let reserved = Writing { escape: Escape::ReservedQuery, ..writing(Style::Form, true) };
    let encoded = json(r#"{"a":"x%2By","b":"x/y","c":"x^y"}"#);
    assert_eq!(
        join(reserved.pairs("formulas", &encoded).expect("fits"), "&"),
        "a=x%2By&b=x/y&c=x%5Ey"
    );
    let heart = writing(Style::Form, true).pairs("❤️", &json(r#""love!""#)).expect("fits");
    assert_eq!(join(heart, "&"), "%E2%9D%A4%EF%B8%8F=love%21");
    assert_eq!(query(Style::Form, false, r#"["a,b","c"]"#), "color=a%2Cb,c");
    assert_eq!(part(Style::Label, true, r#"["1.5","2"]"#), ".1%2E5.2");
}

#[test]
fn undefined_values_are_left_out() {
    let optional = |style, explode| Writing { keeps_empty: false, ..writing(style, explode) };
    for value in ["null", "[]", "{}", "[null]"] {
        for explode in [false, true] {
            for style in [Style::Form, Style::SpaceDelimited, Style::DeepObject, Style::Cookie] {
                let pairs = optional(style, explode).pairs("color", &json(value));
                assert_eq!(pairs, Ok(Vec::new()), "{style:?} {explode} {value}");
            }
        }
    }
    assert_eq!(query(Style::Form, true, r#"["a",null,"b"]"#), "color=a&color=b");
    assert_eq!(query(Style::Form, false, r#"{"a":null,"b":1}"#), "color=b,1");
    // One empty text is not nothing.
    assert_eq!(query(Style::Form, false, r#"[""]"#), "color=");
}

#[test]
fn nested_values() {
    let nested = r#"{"a":{"b":{"c":1}},"d":["x","y"],"e":[{"f":true}],"g":null}"#;
    let decoded = query(Style::DeepObject, true, nested).replace("%5B", "[").replace("%5D", "]");
    assert_eq!(decoded, "color[a][b][c]=1&color[d][0]=x&color[d][1]=y&color[e][0][f]=true");
    assert_eq!(query(Style::DeepObject, true, r#"["x"]"#), "color%5B0%5D=x");
    assert_eq!(query(Style::Form, true, r#"[{"a": 1}]"#), "color=%7B%22a%22%3A1%7D");
    assert_eq!(query(Style::Form, true, r#"{"a":1,"t":["x","y"]}"#), "a=1&t=x&t=y");
}

#[test]
fn scalars_keep_their_text() {
    for (value, expected) in [
        ("12345678901234567890123", "color=12345678901234567890123"),
        ("1.10", "color=1.10"),
        ("true", "color=true"),
        ("false", "color=false"),
        (r#""a b&c=d/e?f+g%h""#, "color=a%20b%26c%3Dd%2Fe%3Ff%2Bg%25h"),
    ] {
        assert_eq!(query(Style::Form, true, value), expected);
    }
}

#[test]
fn delimiters_that_would_get_lost_are_refused() {
    for (style, value) in [
        (Style::SpaceDelimited, r#"["a b"]"#),
        (Style::PipeDelimited, r#"["a|b"]"#),
        (Style::TabDelimited, r#"["a\tb"]"#),
        (Style::DeepObject, r#"{"a[b]":1}"#),
    ] {
        refused(writing(style, false), value);
    }
    let header = Writing { escape: Escape::Plain, ..writing(Style::Simple, true) };
    assert!(header.part("x", &json(r#"["a,b"]"#)).is_err());
    assert!(header.part("x", &json(r#"{"a=b":1}"#)).is_err());
    assert_eq!(header.part("x", &json(r#""a, b""#)).as_deref(), Ok("a, b"));
}
