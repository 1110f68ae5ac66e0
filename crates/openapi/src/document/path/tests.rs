//! Paths over one document, with what they find.

use super::{Path, PathError};
use crate::tree::{Limits, Tree};

const STORE: &str = r#"{
  "a": [{"b": 1, "t": "x"}, {"b": 2, "t": "y", "z": null}, {"b": 30, "e": []}],
  "o": {"/p q": {"b": 5, "x-m": true}, "é": {"b": "5"}},
  "limit": 2
}"#;

fn find(path: &str) -> Result<String, PathError> {
    let tree = Tree::parse(STORE, &Limits::default()).unwrap();
    let hits = Path::parse(path)?.find(&tree)?;
    let texts: Vec<_> = hits.iter().map(|hit| format!("{:?}", tree.value(hit.node))).collect();
    Ok(texts.join(" "))
}

#[test]
fn selectors() {
    let cases = [
        ("$.limit", "2"),
        ("$['o']['/p q'].b", "5"),
        ("$.o[\"\\u00e9\"].b", "\"5\""),
        ("$.o.é.b", "\"5\""),
        ("$.o['/p q'].x-m", "true"),
        ("$.a[0].b", "1"),
        ("$.a[-1].b", "30"),
        ("$.a[9]", ""),
        ("$.a[0,2].b", "1 30"),
        ("$.a[1:].b", "2 30"),
        ("$.a[:-1].b", "1 2"),
        ("$.a[::2].b", "1 30"),
        ("$.a[::-1].b", "30 2 1"),
        ("$.a[::0].b", ""),
        ("$.a[*].b", "1 2 30"),
        ("$.a.*.b", "1 2 30"),
        ("$..b", "1 2 30 5 \"5\""),
        ("$..a[0].b", "1"),
        ("$..['t', 'e']", "\"x\" \"y\" []"),
        ("$ .a [ 0 ] .b", "1"),
        ("$.nowhere.b", ""),
    ];
    for (path, expected) in cases {
        assert_eq!(find(path).as_deref(), Ok(expected), "{path}");
    }
}

#[test]
fn filters() {
    let cases = [
        ("$.a[?@.t == 'x'].b", "1"),
        ("$.a[?(@.t=='x' || @.b>2)].b", "1 30"),
        ("$.a[?@.b >= 2 && @.b < 30].b", "2"),
        ("$.a[?!@.t].b", "30"),
        ("$.a[?!(@.b == 2)].b", "1 30"),
        ("$.a[?@.z].b", "2"),
        ("$.a[?@.z == null].b", "2"),
        ("$.a[?@.b == $.limit].b", "2"),
        ("$.a[?@.b != 1e0].b", "2 30"),
        ("$.a[?@.e == @.e && @.e].b", "30"),
        ("$.a[?@.missing == @.gone].b", "1 2 30"),
        ("$.o[?@['x-m'] == true].b", "5"),
        ("$..[?@.b == '5'].b", "\"5\""),
        ("$.a[?length(@.t) == 1].b", "1 2"),
        ("$.a[?count(@.*) == 3].b", "2"),
        ("$.a[?value(@..t) == 'y'].b", "2"),
        ("$.a[?@.t > 'x'].b", "2"),
        ("$.a[?@.t < 5].b", ""),
        ("$[?@[?@.b == 30]][0].b", "1"),
        ("$.a[?match(@.t, '[xz]')].b", "1"),
        ("$.a[?!match(@.t, 'x')].b", "2 30"),
        ("$.o[?match(@.b, '')].b", ""),
        ("$.o[?search(@.b, \"\")].b", "\"5\""),
        ("$.a[?search(@.t, '^.$') && @.b < 2].b", "1"),
        ("$.a[?match(@.t, @.t)].b", "1 2"),
        ("$.a[?match(@.t, @.b) || match(@.b, '1')].b", ""),
    ];
    for (path, expected) in cases {
        assert_eq!(find(path).as_deref(), Ok(expected), "{path}");
    }
}

#[test]
fn mistakes_have_a_place() {
    let cases = [
        ("paths", 1, "begins with `$`"),
        ("$.", 3, "name"),
        ("$.a[", 5, "quoted name"),
        ("$.a[0", 6, "`]`"),
        ("$['a", 5, "not closed"),
        ("$.a[?@.b ==]", 12, "expected `@`"),
        ("$.a[?@.* == 1]", 14, "one value"),
        ("$.a[?last(@.t) == 'x']", 6, "no function `last()`"),
        ("$.a[?match(@.t, '(')]", 17, "unclosed group"),
        ("$.a[?match(@.t, 'a{9999}{9999}')]", 17, "repeats too much"),
        ("$.a[?search(@.t)]", 16, "`,`"),
        ("$.a[?search(@.t, 'x') == true]", 23, "`]`"),
        ("$.a[?match(@.*, 'x')]", 15, "one value"),
        ("$.a[?length(@.*) > 1]", 16, "one value"),
        ("$.a[99999999999999999999]", 5, "too large"),
        ("$.a x", 5, "expected"),
        ("$.a[?'x']", 9, "comparison"),
    ];
    for (path, at, words) in cases {
        match find(path) {
            Err(PathError::Malformed(problem, place)) => {
                assert!(problem.contains(words), "{path}: {problem}");
                assert_eq!(place, at, "{path}: {problem}");
            }
            other => panic!("{path}: {other:?}"),
        }
    }
}

#[test]
fn bounds_hold() {
    let deep = format!("$[?{}@.a{}]", "(".repeat(10_000), ")".repeat(10_000));
    assert!(matches!(find(&deep), Err(PathError::Malformed(..))));
    let deep = "$[?@".repeat(10_000);
    assert!(matches!(find(&deep), Err(PathError::Malformed(..))));
    let deep = format!("$[?{}@.a == 1]", "length(".repeat(10_000));
    assert!(matches!(find(&deep), Err(PathError::Malformed(..))));

    let text = format!("[{}0]", "0,".repeat(20_000));
    let tree = Tree::parse(&text, &Limits::default()).unwrap();
    let path = Path::parse("$[?$[?$[?@ == 1]]]").unwrap();
    assert_eq!(path.find(&tree), Err(PathError::TooMuch));
}
