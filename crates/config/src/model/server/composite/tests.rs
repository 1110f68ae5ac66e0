//! What is accepted and refused of tools that are made of calls, and how it is said.

use std::path::Path;

use super::*;
use crate::{Loaded, Style};

/// A configuration with one tool of these lines, indented as they stand there.
fn load(tool: &str) -> Loaded {
    let text = format!(
        "servers:\n  geo: {{ url: \"http://localhost/mcp\" }}\n  more:\n    compose:\n      \
         other: {{ steps: [{{ name: a, call: geo/search }}] }}\n  trips:\n    compose:\n      \
         trip:\n{tool}"
    );
    crate::read(&text, Path::new("portcullis.yaml"))
}

#[track_caller]
fn accept(tool: &str) -> CompositeTool {
    let loaded = load(tool);
    assert!(loaded.diagnostics.is_empty(), "{:#?}", loaded.diagnostics);
    let config = loaded.config.unwrap();
    let (_, server) = config.servers.iter().find(|(name, _)| name.as_str() == "trips").unwrap();
    server.composite().unwrap().compose[0].1.clone()
}

/// Everything that is wrong with a tool of these lines: the text that is pointed at, and what is said
/// of it.
#[track_caller]
fn refuse(tool: &str) -> Vec<(String, String)> {
    let loaded = load(tool);
    let wrong = loaded.diagnostics.iter().map(|found| {
        let rendered = found.render(Style::Plain);
        let line = rendered.lines().find(|line| line.contains('^')).unwrap_or_default();
        let at = line.find('^').unwrap_or_default();
        let length = line[at..].chars().take_while(|it| *it == '^').count();
        let source = rendered.lines().take_while(|it| *it != line).last().unwrap_or_default();
        let place: String = source.chars().skip(at).take(length).collect();
        (place, found.message.clone())
    });
    wrong.collect()
}

#[test]
fn a_tool_is_read_as_it_is_written() {
    let tool = accept(
        r#"
        title: Trip
        description: Plans a trip.
        annotations: { read_only: true }
        arguments:
          city: { type: string, required: true, description: Where to }
          nights: { type: integer, default: 2, enum: [1, 2, 3] }
          tag: string
        steps:
          - { name: place, call: geo/search, with: { q: "= args.city", limit: 1, note: "==x" } }
          - parallel:
              - { name: a, call: geo/a/b, with: { deep: { list: [1, "=place[0]"] } }, when: "size(place) > 0", otherwise: [] }
              - { name: b, call: geo/b, on_error: continue }
          - { name: each, call: geo/c, each: "= a", with: "={'id': item, 'at': index}" }
        result: { a: "=a", why: "=errors" }
        output: { type: object }
"#,
    );
    assert_eq!(tool.all_steps().count(), 4);
    assert_eq!(tool.arguments.len(), 3);
    let [Stage::One(place), Stage::Parallel { parallel }, Stage::One(each)] = &tool.steps[..]
    else {
        panic!("{tool:#?}");
    };
    assert_eq!((place.server.as_str(), &*place.tool), ("geo", "search"));
    let Some(Formula::Object(with)) = &place.with else { panic!("{place:#?}") };
    assert!(matches!(&with[0].1, Formula::Computed(it) if it.text() == " args.city"));
    assert!(matches!(&with[1].1, Formula::Fixed(it) if it.as_str() == "1"));
    assert!(matches!(&with[2].1, Formula::Fixed(it) if it.as_str() == "\"=x\""));
    assert_eq!(parallel[0].tool, "a/b");
    assert_eq!(parallel[1].on_error, OnError::Continue);
    assert_eq!(each.each.as_ref().unwrap().text(), " a");
    assert_eq!(tool, tool.clone());
}

#[test]
fn mistakes_in_expressions_have_their_place() {
    for (tool, place, message) in [
        (
            "        steps: [{ name: a, call: geo/b, with: { q: \"= arg.city\" } }]",
            "arg",
            "nothing here is called `arg`",
        ),
        (
            "        arguments: { city: string }\n        steps: [{ name: a, call: geo/b, with: { q: \"= 'x' + args.citty\" } }]",
            "citty",
            "the tool has no argument `citty`",
        ),
        (
            "        steps: [{ name: a, call: geo/b, when: \"has(args.x)\" }]",
            "x",
            "the tool has no argument `x`",
        ),
        (
            "        steps: [{ name: a, call: geo/b, with: { q: [1, \"=args.x +\"] } }]",
            "",
            "this is no expression",
        ),
        (
            "        steps: [{ name: a, call: geo/b, when: \"x && b\" }, { name: b, call: geo/b }]",
            "x",
            "nothing here is called `x`",
        ),
        (
            "        steps: [{ name: a, call: geo/b, when: \"b\" }, { name: b, call: geo/b }]",
            "b",
            "the step `b` has no value yet",
        ),
        (
            "        steps: [{ parallel: [{ name: a, call: geo/b }, { name: b, call: geo/b, with: { q: \"=a\" } }] }]",
            "a",
            "the step `a` has no value yet",
        ),
        (
            "        steps: [{ name: a, call: geo/b, with: { q: \"=item\" } }]",
            "item",
            "`item` is part of one call for each element of a list",
        ),
        (
            "        steps: [{ name: a, call: geo/b }]\n        result: { x: \"=lower(a)\" }",
            "lower",
            "there is no function `lower`",
        ),
    ] {
        let wrong = refuse(tool);
        let (found, said) = &wrong[0];
        assert!(said.starts_with(message), "{wrong:?}");
        assert!(place.is_empty() || found.starts_with(place), "{wrong:?}");
    }
}

#[test]
fn what_cannot_be_called_is_refused() {
    for (tool, place, message) in [
        ("        steps: [{ name: a, call: geos/b }]", "geos/b", "there is no server `geos`"),
        (
            "        steps: [{ name: a, call: trips/trip }]",
            "trips/trip",
            "the tools of `trips` are made of calls themselves",
        ),
        (
            "        steps: [{ name: a, call: more/other }]",
            "more/other",
            "the tools of `more` are made of calls themselves",
        ),
        ("        steps: [{ name: a, call: geo }]", "geo", "`geo` names no tool of a server"),
        ("        steps: [{ name: a }]", "{ name: a }", "a step needs `call`"),
        ("        steps: [{ call: geo/b }]", "{ call: geo/b }", "a step needs `name`"),
        ("        steps: [{ name: a-b, call: geo/b }]", "a-b", "`a-b` is not a name of a step"),
        (
            "        steps: [{ name: args, call: geo/b }]",
            "args",
            "`args` means something else in expressions",
        ),
        (
            "        steps: [{ name: a, call: geo/b }, { name: a, call: geo/b }]",
            "a",
            "another step is called `a`, too",
        ),
        ("        steps: []", "[]", "a tool has at least one step"),
        ("        steps: [{ parallel: [] }]", "[]", "between 1 and 16 steps"),
        ("        description: x", "", "a tool needs `steps`"),
        (
            "        steps: [{ name: a, call: geo/b, with: [1] }]",
            "[1]",
            "expected a mapping from arguments to values",
        ),
        (
            "        steps: [{ name: a, call: geo/b, otherwise: 1 }]",
            "1",
            "the step always runs, so `otherwise` is never its value",
        ),
        (
            "        steps: [{ name: a, call: geo/b }]\n        output: { type: strng }",
            "{ type: strng }",
            "this is no JSON Schema",
        ),
        (
            "        steps: [{ name: a, call: geo/b }]\n        input: { type: object }\n        arguments: { a: string }",
            "{ type: object }",
            "`input` says what the arguments are",
        ),
        ("        steps: [{ name: a, call: geo/b, eech: 1 }]", "eech", "unknown key `eech`"),
    ] {
        let wrong = refuse(tool);
        let (found, said) = wrong.first().unwrap_or_else(|| panic!("nothing is wrong: {tool}"));
        assert!(said.starts_with(message), "{tool}: {wrong:?}");
        assert!(place.is_empty() || found == place, "{tool}: {wrong:?}");
    }
    let steps: Vec<_> = (0..51).map(|at| format!("{{ name: a{at}, call: geo/b }}")).collect();
    let wrong = refuse(&format!("        steps: [{}]", steps.join(", ")));
    assert_eq!(wrong[0].1, "a tool has at most 50 steps");
}

#[test]
fn such_a_server_is_nothing_else() {
    let text = "servers: { a: { compose: { t: { steps: [] } }, command: x, url: 'http://b' } }";
    let loaded = crate::read(text, Path::new("portcullis.yaml"));
    let said: Vec<_> = loaded.diagnostics.iter().map(|found| found.message.as_str()).collect();
    let conflict = "`command` belongs to servers with `command`, and this has `compose`";
    assert!(said.contains(&conflict), "{said:?}");
}

#[test]
fn the_page_about_composite_tools_is_right() {
    let page = include_str!("../../../../../../docs/composite-tools.md");
    let example = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let loaded = crate::read(example, Path::new("portcullis.yaml"));
    assert!(loaded.diagnostics.is_empty(), "{:#?}", loaded.diagnostics);
    let rows = page.split("| for | write |").nth(1).unwrap().split("\n\n").next().unwrap();
    let expressions: Vec<_> = rows.split('`').skip(1).step_by(2).collect();
    assert!(expressions.len() >= 8, "{expressions:?}");
    for expression in expressions {
        let known = ["args", "errors", "place", "near", "prices"];
        if let Err(mistakes) = policy::Expression::compile(expression, &known) {
            panic!("{expression}: {mistakes:?}");
        }
    }
}
