//! What expressions give, and what is said of those that cannot be read or computed.

use super::*;

fn scope(values: &[(&str, &str)]) -> Scope {
    let mut scope = Scope::default();
    for (name, json) in values {
        scope.set(name, Json::trusted((*json).to_owned()));
    }
    scope
}

fn compile(text: &str) -> Expression {
    Expression::compile(text, &["a", "b"]).unwrap_or_else(|mistakes| panic!("{text}: {mistakes:?}"))
}

fn evaluate(text: &str, a: &str) -> Result<String, String> {
    let value = compile(text).evaluate(&scope(&[("a", a), ("b", "[1,2,3]")]));
    value.map(|json| json.as_str().to_owned()).map_err(|failure| failure.to_string())
}

#[test]
fn a_part_stays_as_it_was_written() {
    let a =
        r#"{"z":{"y":1.0,"b":123456789012345678901234567890},"list":[{"n":1e2},"\u00e9"],"a b":1}"#;
    let cases = [
        ("a.z", r#"{"y":1.0,"b":123456789012345678901234567890}"#),
        ("a.z.b", "123456789012345678901234567890"),
        ("a.list[0].n", "1e2"),
        ("a.list[1]", r#""\u00e9""#),
        ("a['a b']", "1"),
        (" a ", a),
    ];
    for (text, expected) in cases {
        assert_eq!(evaluate(text, a).unwrap(), expected, "{text}");
    }
}

#[test]
fn values_are_computed() {
    let cases = [
        ("a.n + 1", r#"{"n":41}"#, "42"),
        ("a.n > 1.5", r#"{"n":2}"#, "true"),
        ("a.n == 2", r#"{"n":2.0}"#, "true"),
        ("'x' + string(a.n)", r#"{"n":41}"#, r#""x41""#),
        (
            "a.list.map(i, {'id': i.id})",
            r#"{"list":[{"id":1},{"id":2}]}"#,
            r#"[{"id":1},{"id":2}]"#,
        ),
        ("a.list.filter(i, i.ok)", r#"{"list":[{"ok":true},{"ok":false}]}"#, r#"[{"ok":true}]"#),
        ("has(a.x) ? a.x : null", "{}", "null"),
        ("a.?x.orValue(7)", "{}", "7"),
        ("a.?x.orValue(7)", r#"{"x":8}"#, "8"),
        ("size(a)", "[1,2]", "2"),
        ("2 in b && 'k' in a", r#"{"k":null}"#, "true"),
        ("a.s.startsWith('ab') && a.s.matches('^[a-z]+$')", r#"{"s":"abc"}"#, "true"),
        ("[a, b[0]]", r#""t""#, r#"["t",1]"#),
        ("{'z': 1, 'a': [true, null]}", "0", r#"{"a":[true,null],"z":1}"#),
        ("timestamp(a).getFullYear()", r#""2026-07-28T00:00:00Z""#, "2026"),
        ("type(a) == string", r#""x""#, "true"),
    ];
    for (text, a, expected) in cases {
        assert_eq!(evaluate(text, a).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn optional_values_are_there_or_not() {
    let there = |text: &str, a: &str| {
        let value = compile(text).evaluate_if_there(&scope(&[("a", a), ("b", "[1]")]));
        value.unwrap().map(|json| json.as_str().to_owned())
    };
    for (text, a, expected) in [
        ("a.?x", "{}", None),
        ("a.?x", r#"{"x":1.0}"#, Some("1.0")),
        ("a.?x.y", "{}", None),
        ("a.?x.y", r#"{"x":{"y":2}}"#, Some("2")),
        ("b[?3]", "{}", None),
        ("b[?0]", "{}", Some("1")),
        ("has(a.x) ? optional.of(a.x) : optional.none()", r#"{"x":[3]}"#, Some("[3]")),
        ("[a.?x]", r#"{"x":3}"#, Some("[3]")),
        ("{'k': a.?x, ?'l': a.?x, ?'m': a.?y}", r#"{"x":3}"#, Some(r#"{"k":3,"l":3}"#)),
    ] {
        assert_eq!(there(text, a).as_deref(), expected, "{text}");
    }
    assert_eq!(evaluate("a.?x", "{}").as_deref(), Ok("null"));
    assert!(evaluate("a.?x", "[]").is_err());
}

#[test]
fn members_that_are_named_have_their_place() {
    let text = "'a.y' + a.x + string(b.?yy) + a . zz.u + string(b.exists(a, a.no))";
    let expression = compile(text);
    let of = |name| expression.members_of(name).map(|(it, range)| (it, &text[range]));
    assert_eq!(of("a").collect::<Vec<_>>(), [("x", "x"), ("zz", "zz")]);
    assert_eq!(of("b").collect::<Vec<_>>(), [("yy", "yy")]);
}

#[test]
fn failures_say_what_was_missing() {
    let cases = [
        ("a.x.y", r#"{"x":{}}"#, "`a.x` has no member `y`"),
        ("a.x.y", r#"{"x":[]}"#, "`a.x` is a list, not an object, so it has no member `y`"),
        ("a[2]", "[1,2]", "`a` has 2 elements, and none at [2]"),
        ("a[0].b", "{}", "`a` is an object, not a list"),
        ("a.x + 1", "{}", "there is no member `x`"),
        ("a + 1", r#""t""#, "`add` does not take a text and a number"),
        ("1 / a", "0", "this divides by zero"),
        ("double(a) / 0.0", "1", "`inf` is no JSON number"),
        ("b[a]", "7", "a list is shorter than its index"),
    ];
    for (text, a, expected) in cases {
        assert_eq!(evaluate(text, a).unwrap_err(), expected, "{text}");
    }
    let holds = |text: &str| compile(text).holds(&scope(&[("a", "1"), ("b", "2")]));
    assert_eq!(holds("a < b"), Ok(true));
    assert_eq!(holds("a > b"), Ok(false));
    let failure = holds("a").unwrap_err().to_string();
    assert_eq!(failure, "a condition is `true` or `false`, and this is a number");
}

#[test]
fn mistakes_have_their_place() {
    let mistakes = |text: &str| Expression::compile(text, &["a", "args"]).unwrap_err();
    let first = |text: &'static str| {
        let mistake = mistakes(text).remove(0);
        (mistake.message.clone(), &text[mistake.range.clone()])
    };
    let first_of = |mistakes: &[Mistake]| mistakes[0].message.clone();
    assert_eq!(first("a + arg.y").0, "nothing here is called `arg`");
    assert_eq!(first("'ä' + arg.y").1, "arg");
    assert!(mistakes("arg").remove(0).hint.unwrap().contains("`args`"));
    assert_eq!(first("a + lower(a)"), ("there is no function `lower`".to_owned(), "lower"));
    assert_eq!(first("a.lower()"), ("there is no function `lower`".to_owned(), "lower"));
    assert_eq!(first("a.matches(a)").0, "the pattern of `matches` is written out");
    assert!(first("a +").0.starts_with("this is no expression: "), "{:?}", first("a +"));
    assert!(first("a b").0.starts_with("this is no expression: "), "{:?}", first("a b"));
    assert_eq!(first("a b").1, "b");
    assert_eq!(first("  ").0, "an expression is not empty");
    assert_eq!(first("Point{x: 1}").0, "there is no type `Point` to make values of");
    assert_eq!(mistakes("x + y").len(), 2);
    let deep = "a.map(i, a.map(j, a.map(k, 1)))";
    assert_eq!(first(deep).0, "loops nest at most 2 deep");
    assert_eq!(
        first_of(&mistakes(&format!("a{}", " + a".repeat(30)))),
        "this is nested too deeply"
    );
    assert_eq!(mistakes(&format!("a{}", " + a".repeat(2000))).len(), 1);
    assert!(!mistakes(&"(".repeat(4000)).is_empty());
    // The names of loops are known inside of them, and nowhere else.
    compile("a.exists(i, i > 1) && a.all(i, i.b == b)");
    assert_eq!(first("a.exists(i, i > 1) && i").0, "nothing here is called `i`");
}

#[test]
fn what_would_take_too_long_is_not_begun() {
    let list = format!("[{}]", vec!["1"; 1000].join(","));
    let scope = scope(&[("a", &list), ("b", &list)]);
    let began = std::time::Instant::now();
    let join = compile("a.map(i, b.filter(j, i == j))");
    assert!(join.evaluate(&scope).unwrap_err().to_string().contains("too large"));
    assert!(compile("a.map(i, i + 1)").evaluate(&scope).is_ok());
    let text = format!("\"{}\"", "x".repeat(3 << 20));
    let mut large = Scope::default();
    large.set("a", Json::trusted(text));
    let sum = compile(&format!("a{}", " + a".repeat(20)));
    assert!(sum.evaluate(&large).unwrap_err().to_string().contains("longer than"));
    large.set("b", Json::trusted(list));
    let grown = compile("b.map(i, a + a)");
    assert!(grown.evaluate(&large).unwrap_err().to_string().contains("too large"));
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
}

#[test]
fn a_list_as_long_as_allowed_is_gone_through_in_time() {
    let list = format!("[{}]", vec!["1"; 100_000].join(","));
    let scope = scope(&[("a", &list)]);
    let began = std::time::Instant::now();
    let filtered = compile("a.filter(i, i > 0).size()").evaluate(&scope).unwrap();
    assert_eq!(filtered.as_str(), "100000");
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
}

/// What is accepted can be computed on the stacks that threads have, and whatever is written can be
/// parsed.
#[test]
fn deep_texts_use_no_stack_up() {
    for depth in [1, 4, 12, 20, 40, 90, 500, 2000] {
        let deep =
            |open: &str, close: &str| format!("{}a{}", open.repeat(depth), close.repeat(depth));
        let texts = [
            deep("", " + a"),
            deep("", ".a"),
            deep("", "[0]"),
            deep("(", ")"),
            deep("[", "]"),
            deep("!", ""),
            deep("- ", ""),
            deep("a ? a : ", ""),
            deep("a && ", ""),
            deep("", ".map(i, i)"),
        ];
        let scope = scope(&[("a", "1"), ("b", "true")]);
        for text in texts {
            if let Ok(expression) = Expression::compile(&text, &["a", "b"]) {
                drop(expression.evaluate(&scope));
            }
        }
    }
}

#[test]
fn a_number_that_is_too_large_is_said_to_be_so() {
    let failure = evaluate("a.n + 1", r#"{"n":1e400}"#).unwrap_err();
    assert!(failure.contains("larger than expressions can reckon with"), "{failure}");
    // A part is given as it is written.
    assert_eq!(evaluate("a.n", r#"{"n":1e400}"#).unwrap(), "1e400");
}
