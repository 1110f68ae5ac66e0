//! Documents read as trees, and the places of their mistakes.

use std::fmt::Write as _;

use super::{Kind, Limits, SyntaxError, Tree};

fn read(text: &str) -> Tree {
    Tree::parse(text, &Limits::default()).unwrap()
}

fn json(text: &str) -> String {
    format!("{:?}", read(text).root())
}

fn error(text: &str) -> (u32, u32, String) {
    let SyntaxError { line, column, message, hint, .. } =
        Tree::parse(text, &Limits::default()).unwrap_err();
    (line, column, format!("{message} {}", hint.unwrap_or_default()))
}

#[test]
fn json_keeps_order_and_the_text_of_numbers() {
    let text =
        r#"{"z":1.10,"a":[-0,1e400,123456789012345678901234567890],"m":{"t":true,"n":null}}"#;
    assert_eq!(json(text), text);
    assert_eq!(json("\u{feff} [ ] "), "[]");
    assert_eq!(json("{}"), "{}");
}

#[test]
fn json_strings_are_decoded() {
    let tree = read(r#"["a\"\\\/\b\f\n\r\t","\u00e9\ud83d\ude00\ud83d.","plain é"]"#);
    let texts: Vec<_> = tree.root().elements().filter_map(super::Value::as_str).collect();
    assert_eq!(texts, ["a\"\\/\u{8}\u{c}\n\r\t", "é😀\u{fffd}.", "plain é"]);
}

#[test]
fn the_last_of_equal_keys_counts_and_is_told() {
    for text in ["{\"a\":1,\"b\":2,\n\"a\":3}", "a: 1\nb: 2\na: 3\n"] {
        let tree = read(text);
        assert_eq!(format!("{:?}", tree.root()), r#"{"b":2,"a":3}"#);
        let [(key, value, first)] = tree.duplicates().collect::<Vec<_>>()[..] else {
            panic!("one duplicate in {text}");
        };
        assert_eq!((key, value.scalar(), first.0), ("a", Some("3"), 1));
    }
}

#[test]
fn large_objects_are_found_by_index() {
    let members: Vec<_> = (0..500).map(|n| format!("\"k{n}\":{n}")).collect();
    let tree = read(&format!("{{{},\"k7\":-7}}", members.join(",")));
    assert_eq!(tree.root().len(), 500);
    for n in 0..500 {
        let expected = if n == 7 { "-7".into() } else { n.to_string() };
        let value = tree.root().get(&format!("k{n}")).unwrap();
        assert_eq!(value.scalar(), Some(expected.as_str()));
    }
    assert!(tree.root().get("k500").is_none());
    assert_eq!(tree.duplicates().count(), 1);
}

#[test]
fn mistakes_of_json_have_a_place_and_a_hint() {
    let cases = [
        ("{\"a\": 1\n \"b\": 2}", 2, 2, "a comma is missing"),
        ("{\"a\": [1, 2}", 1, 12, "`,` or `]`"),
        ("{\"a\": \"x\n\"}\u{0}", 1, 9, "a line ends inside a string"),
        ("{\"a\": \"\\q\"}", 1, 8, "no such escape"),
        ("{\"é\": tru}x", 1, 7, "expected a value"),
        ("{\"a\": {\"b\": [", 1, 14, "inside the list of line 1"),
        ("{\"a\": 1}\n}", 2, 1, "ended before this text"),
    ];
    for (text, line, column, words) in cases {
        let found = error(text);
        assert_eq!((found.0, found.1), (line, column), "{text}: {}", found.2);
        assert!(found.2.contains(words), "{text}: {}", found.2);
    }
}

#[test]
fn what_looks_like_json_may_be_yaml() {
    assert_eq!(json("{\"a\": [1, 2,], b: 'c', }"), r#"{"a":[1,2],"b":"c"}"#);
    assert_eq!(json("{\"a\": 007}"), r#"{"a":7}"#);
}

#[test]
fn yaml_scalars_follow_the_core_schema() {
    let cases = [
        ("true", "true"),
        ("False", "false"),
        ("~", "null"),
        ("", "null"),
        ("yes", "\"yes\""),
        ("on", "\"on\""),
        ("12", "12"),
        ("1.10", "1.10"),
        ("+5", "5"),
        ("-0012", "-12"),
        ("0o17", "15"),
        ("0x1F", "31"),
        (".5", "0.5"),
        ("-.5e3", "-0.5e3"),
        ("5.", "5"),
        ("1_000", "\"1_000\""),
        (".inf", "\".inf\""),
        ("-.", "\"-.\""),
        ("1.2.3", "\"1.2.3\""),
        ("12:30", "\"12:30\""),
        ("2020-01-01", "\"2020-01-01\""),
        ("\"12\"", "\"12\""),
        ("'it''s'", "\"it's\""),
        ("!!str 12", "\"12\""),
        ("!!int \"12\"", "12"),
        ("0xZZ", "\"0xZZ\""),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
    ];
    for (text, expected) in cases {
        assert_eq!(json(&format!("a: {text}\n")), format!("{{\"a\":{expected}}}"), "{text}");
    }
}

#[test]
fn scalars_of_yaml_know_how_they_are_written() {
    let tree = read("a: &x [010, 0x1F, True, 1.10, '010', \"a\\n\", ~]\nb: *x\n");
    let tree = tree.tidied(&Limits::default()).unwrap();
    for key in ["a", "b"] {
        let list = tree.root().get(key).unwrap();
        let written: Vec<_> = list.elements().filter_map(super::Value::written).collect();
        assert_eq!(written, ["010", "0x1F", "True", "1.10", "010", "a\n", "~"], "{key}");
    }
}

#[test]
fn keys_of_yaml_are_their_text() {
    let text = "200: a\n0404: b\ntrue: c\n~: d\n\"q\": e\n{id}: f\n? [1, 2]\n: g\n";
    let expected = r#"{"200":"a","0404":"b","true":"c","~":"d","q":"e","{id}":"f","[1, 2]":"g"}"#;
    assert_eq!(json(text), expected);
}

#[test]
fn yaml_block_scalars_and_flows() {
    let text = "a: |\n  one\n  two\nb: >-\n  one\n  two\nc: {d: [e, \"f\\n\"]}\n";
    assert_eq!(json(text), r#"{"a":"one\ntwo\n","b":"one two","c":{"d":["e","f\n"]}}"#);
}

#[test]
fn aliases_and_merge_keys() {
    let text = "\
base: &base {a: 1, b: 2}
more: &more {b: 3, c: 4}
one: {<<: *base, b: own}
two:
  <<: [*base, *more]
  d: 5
three: *base
list: &l [1]
four: {<<: *l}
quoted: {\"<<\": *base}
&k key: *k
";
    let expected = concat!(
        r#"{"base":{"a":1,"b":2},"more":{"b":3,"c":4},"one":{"b":"own","a":1},"#,
        r#""two":{"d":5,"a":1,"b":2,"c":4},"three":{"a":1,"b":2},"list":[1],"#,
        r#""four":{"<<":[1]},"quoted":{"<<":{"a":1,"b":2}},"key":"key"}"#,
    );
    assert_eq!(json(text), expected);
}

#[test]
fn the_first_document_of_several_is_read() {
    let tree = read("# about\n---\n---\na: 1\n---\nb: 2\n");
    assert_eq!(format!("{:?}", tree.root()), r#"{"a":1}"#);
    assert_eq!(tree.further_document().map(|place| place.0), Some(5));
    let tree = read("---\na: 1\n...\n");
    assert_eq!(tree.further_document(), None);
    assert_eq!(read("").root().kind(), Kind::Null);
    assert_eq!(read("# nothing\n").root().kind(), Kind::Null);
}

#[test]
fn mistakes_of_yaml_have_a_place_and_a_hint() {
    let cases = [
        ("a:\n\tb: 1\n", 2, "tabs"),
        ("a:\n  b: 1\n c: 2\n", 3, "indentation"),
        ("a: *\n", 1, "star"),
        ("a: @b\n", 1, "quotes"),
        ("a: b: c\n", 1, "must be quoted"),
        ("a: b\n\tc: d\n", 2, "tabs"),
        ("a: 'b\nc: d\n", 1, "close the quote"),
        ("a: \"b\" c\n", 1, "quote the whole text"),
        ("a: [1, 2\nb: 3\n", 2, "is not closed"),
        ("a: [1,\nb\n", 1, "close the bracket"),
        ("a: &a [*a]\n", 1, "itself"),
        ("a: *nowhere\n", 1, ""),
    ];
    for (text, line, words) in cases {
        let found = error(text);
        assert_eq!(found.0, line, "{text}: {}", found.2);
        assert!(found.2.contains(words), "{text}: {}", found.2);
    }
}

#[test]
fn values_know_their_place() {
    for text in ["{\n \"é\": [\"x\",\n  true]}", "é:\n  - x\n  - true\n", "\u{feff}é: [x,\n  true]"]
    {
        let tree = read(text);
        let list = tree.root().get("é").unwrap();
        let (line, _) = list.element(1).unwrap().position();
        assert_eq!(line as usize, text.lines().count(), "{text}");
        assert_eq!(tree.root().position(), (1, 1), "{text}");
    }
    assert_eq!(read("{\"é\": 1}").root().get("é").unwrap().position(), (1, 7));
}

#[test]
fn a_document_may_be_one_long_line() {
    let count = 100_000;
    let text = format!("[{}0]", "\"é\",".repeat(count));
    let tree = read(&text);
    // Each column would be counted from the beginning of the line: 40 thousand million characters.
    for (at, element) in tree.root().elements().enumerate() {
        assert_eq!(element.position(), (1, u32::try_from(2 + 4 * at).unwrap()));
    }
    let broken = &text[..text.len() - 1];
    assert_eq!(error(broken).1 as usize, broken.chars().count() + 1);
}

#[test]
fn bounds_hold() {
    let limits = Limits { bytes: 1 << 20, depth: 20, nodes: 10_000 };
    let deep = |open: &str| Tree::parse(&open.repeat(100_000), &limits).unwrap_err().message;
    assert!(deep("[").contains("deeper"));
    assert!(deep("{\"a\":").contains("deeper"));
    assert!(deep("- ").contains("deeper"));
    assert!(deep("{a: ").contains("deeper"));
    let long = Tree::parse(&" ".repeat(2 << 20), &limits).unwrap_err();
    assert!(long.message.contains("longer"));
    let many = format!("[{}0]", "0,".repeat(20_000));
    assert!(Tree::parse(&many, &limits).unwrap_err().message.contains("values"));

    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(10_000), "*a, ".repeat(2_000));
    assert!(Tree::parse(&long, &limits).unwrap_err().message.contains("repeat"));

    let mut bomb = "a0: &a0 [x, x]\n".to_owned();
    for level in 1..40 {
        let below = level - 1;
        writeln!(bomb, "a{level}: &a{level} [*a{below}, *a{below}]").unwrap();
    }
    let message = Tree::parse(&bomb, &limits).unwrap_err().message;
    assert!(message.contains("values") || message.contains("deeper"), "{message}");
}
