//! How APIs page, and the tags by which endpoints choose.

use super::*;
use crate::model::{PagePlace, PageStep, Pagination};

const API: &str = "openapi: api.yaml, url: \"https://api.example.com\"";

fn server(more: &str) -> String {
    format!("servers: {{ s: {{ {API}, {more} }} }}")
}

fn pagination(text: &str) -> Pagination {
    let config = accept(&server(&format!("pagination: {text}")));
    config.servers[&name("s")].api().unwrap().pagination.clone()
}

#[test]
fn pages_are_said_in_a_word_or_in_full() {
    assert_eq!(pagination("auto"), Pagination::Auto);
    assert_eq!(pagination("off"), Pagination::Off);
    assert_eq!(pagination("false"), Pagination::Off);
    let Pagination::Stated(marked) = pagination("{ next: [a.-1.id, 0, \"header:X-Next\"] }") else {
        panic!("it is stated");
    };
    let places: Vec<&str> = marked.next.iter().map(PagePlace::as_str).collect();
    assert_eq!(places, ["a.-1.id", "0", "header:X-Next"]);
    let Pagination::Stated(counted) =
        pagination("{ by: page, argument: page.number, pages: n, limit: size, first: 0 }")
    else {
        panic!("it is stated");
    };
    assert_eq!((counted.by, counted.first), (PageStep::Page, Some(0)));
}

#[test]
fn what_says_nothing_about_pages_is_refused() {
    for (text, code, says) in [
        ("on", "E004", "`auto`, `off`"),
        ("{}", "E006", "next: meta.next_cursor"),
        ("{ argument: cursor }", "E006", "next: meta.next_cursor"),
        ("{ next: x, by: offset }", "E007", "`next` means nothing with `by: offset`"),
        ("{ next: x, total: n }", "E007", "write `by: offset`"),
        ("{ by: offset, pages: n }", "E007", "`total`"),
        ("{ by: cursor }", "E004", "`mark`, `offset`, `page`"),
        ("{ next: [] }", "E014", "1 to 20 places"),
        ("{ next: \"\" }", "E014", "1 to 200 bytes"),
        ("{ next: \"header:X Y\" }", "E008", "not a name of a header"),
        ("{ next: \"header:Set-Cookie\" }", "E008", "not shown to clients"),
        ("{ next: x, more: [y] }", "E003", "header:NAME"),
        ("{ next: x, nxt: y }", "E002", "did you mean `next`?"),
    ] {
        let loaded = load(&server(&format!("pagination: {text}")));
        let rendered = render(&loaded);
        assert!(codes(&loaded).contains(&code), "{text}: {rendered}");
        assert!(rendered.contains(says), "{text}: {rendered}");
    }
    let remote = load("servers: { s: { url: \"https://mcp.example.com\", pagination: off } }");
    assert_eq!(codes(&remote), ["E007"], "{}", render(&remote));
}

#[test]
fn single_tools_page_their_own_way() {
    let config = accept(&server(
        "pagination: off, tools: { override: { a: { pagination: auto, tags: [x, x, b] } }, \
         define: { c: { path: /c, pagination: { next: n }, tags: [y] } } }",
    ));
    let tools = &config.servers[&name("s")].api().unwrap().tools;
    assert_eq!(tools.overrides["a"].pagination, Some(Pagination::Auto));
    assert_eq!(tools.overrides["a"].tags, ["b", "x"]);
    assert!(matches!(tools.define[0].1.pagination, Some(Pagination::Stated(_))));
    assert_eq!(tools.define[0].1.tags, ["y"]);
}

/// A configuration of a server with tags, one without a document, and these endpoints.
fn endpoints(text: &str) -> String {
    format!(
        "servers:\n  m: {{ url: \"https://mcp.example.com\", tags: [finance] }}\n  \
         a: {{ url: \"https://api.example.com\", tools: {{ define: {{ x: {{ path: /x, tags: [invoices] }} }} }} }}\n\
         endpoints: {{ {text} }}\n"
    )
}

#[test]
fn endpoints_choose_by_tags() {
    let config = accept(&endpoints(
        "/all: { tags: [fin*] }, /some: { tags: [finance, invoices], servers: [m, { a: { tags: [invoices], tools: [x] } }] }",
    ));
    let all = &config.endpoints["/all"];
    assert_eq!(all.tags, Some(vec![Pattern::new("fin*")]));
    assert_eq!(all.serves, Serves::Composed(Composition::Everything));
    let Serves::Composed(Composition::Chosen(members)) = &config.endpoints["/some"].serves else {
        panic!("it is composed");
    };
    assert_eq!(members[0].tags, None);
    assert_eq!(members[1].tags, Some(vec![Pattern::new("invoices")]));
}

#[test]
fn tags_that_nothing_has_are_told() {
    for (text, says) in [
        ("/e: { tags: [finanz] }", "nothing here has the tag `finanz`"),
        ("/e: { tags: [finanse, invoices] }", "did you mean `finance`?"),
        ("/e: { servers: [{ m: { tags: [invoices] } }] }", "nothing here has the tag `invoices`"),
        ("/e: { tags: [invoices], servers: [m] }", "servers and their tools get tags"),
    ] {
        let loaded = load(&endpoints(text));
        assert_eq!(codes(&loaded), ["W105"], "{text}: {}", render(&loaded));
        assert!(render(&loaded).contains(says), "{text}: {}", render(&loaded));
        assert!(loaded.config.is_some());
    }
    // What a document says is not known here.
    let text = format!("{}\nendpoints: {{ /e: {{ tags: [whatever] }} }}", server("timeout: 1s"));
    assert_eq!(codes(&load(&text)), <[&str; 0]>::default());
}

#[test]
fn tags_are_for_composed_endpoints() {
    let loaded = load(&endpoints("/e: { server: m, tags: [finance] }"));
    assert_eq!(codes(&loaded), ["E007"], "{}", render(&loaded));
    for (tags, code) in [("finance", "E003"), ("[\"\"]", "E004"), ("[1]", "E003")] {
        let text =
            format!("servers: {{ m: {{ url: \"https://mcp.example.com\", tags: {tags} }} }}");
        assert_eq!(codes(&load(&text)), [code], "{tags}");
    }
}
