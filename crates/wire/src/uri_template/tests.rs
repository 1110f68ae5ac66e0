//! The example tables of RFC 6570, matching, and bounded time on hostile texts.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// The variables of the examples in RFC 6570, sections 2.4.2 and 3.2.
fn example() -> Variables {
    let list = |members: &[&str]| Value::List(members.iter().map(ToString::to_string).collect());
    let keys = [("semi", ";"), ("dot", "."), ("comma", ",")];
    let pairs = keys.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    [
        ("count", list(&["one", "two", "three"])),
        ("dom", list(&["example", "com"])),
        ("dub", text("me/too")),
        ("hello", text("Hello World!")),
        ("half", text("50%")),
        ("var", text("value")),
        ("who", text("fred")),
        ("base", text("http://example.com/home/")),
        ("path", text("/foo/bar")),
        ("list", list(&["red", "green", "blue"])),
        ("keys", Value::Pairs(pairs)),
        ("v", text("6")),
        ("x", text("1024")),
        ("y", text("768")),
        ("empty", text("")),
        ("empty_keys", Value::Pairs(Vec::new())),
        ("year", list(&["1965", "2000", "2012"])),
        ("semi", text(";")),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

fn check(table: &[(&str, &str)]) {
    let variables = example();
    for (template, expected) in table {
        let parsed = UriTemplate::parse(template).unwrap();
        let uri = parsed.expand(&variables);
        assert_eq!(uri, *expected, "{template}");
    }
}

#[test]
fn expands_values_and_modifiers() {
    check(&[
        ("{count}", "one,two,three"),
        ("{count*}", "one,two,three"),
        ("{/count}", "/one,two,three"),
        ("{/count*}", "/one/two/three"),
        ("{;count}", ";count=one,two,three"),
        ("{;count*}", ";count=one;count=two;count=three"),
        ("{?count}", "?count=one,two,three"),
        ("{?count*}", "?count=one&count=two&count=three"),
        ("{&count*}", "&count=one&count=two&count=three"),
        ("{var:3}", "val"),
        ("{semi}", "%3B"),
        ("{semi:2}", "%3B"),
        ("find{?year*}", "find?year=1965&year=2000&year=2012"),
        ("www{.dom*}", "www.example.com"),
        ("a é{undef}", "a%20%C3%A9"),
    ]);
}

#[test]
fn expands_simple_reserved_and_fragment() {
    check(&[
        ("{var}", "value"),
        ("{hello}", "Hello%20World%21"),
        ("{half}", "50%25"),
        ("O{empty}X", "OX"),
        ("O{undef}X", "OX"),
        ("{x,y}", "1024,768"),
        ("{x,hello,y}", "1024,Hello%20World%21,768"),
        ("?{x,empty}", "?1024,"),
        ("?{x,undef}", "?1024"),
        ("?{undef,y}", "?768"),
        ("{var:30}", "value"),
        ("{list}", "red,green,blue"),
        ("{list*}", "red,green,blue"),
        ("{keys}", "semi,%3B,dot,.,comma,%2C"),
        ("{keys*}", "semi=%3B,dot=.,comma=%2C"),
        ("{+var}", "value"),
        ("{+hello}", "Hello%20World!"),
        ("{+half}", "50%25"),
        ("{base}index", "http%3A%2F%2Fexample.com%2Fhome%2Findex"),
        ("{+base}index", "http://example.com/home/index"),
        ("O{+empty}X", "OX"),
        ("O{+undef}X", "OX"),
        ("{+path}/here", "/foo/bar/here"),
        ("here?ref={+path}", "here?ref=/foo/bar"),
        ("up{+path}{var}/here", "up/foo/barvalue/here"),
        ("{+x,hello,y}", "1024,Hello%20World!,768"),
        ("{+path,x}/here", "/foo/bar,1024/here"),
        ("{+path:6}/here", "/foo/b/here"),
        ("{+list}", "red,green,blue"),
        ("{+list*}", "red,green,blue"),
        ("{+keys}", "semi,;,dot,.,comma,,"),
        ("{+keys*}", "semi=;,dot=.,comma=,"),
        ("{#var}", "#value"),
        ("{#hello}", "#Hello%20World!"),
        ("{#half}", "#50%25"),
        ("foo{#empty}", "foo#"),
        ("foo{#undef}", "foo"),
        ("{#x,hello,y}", "#1024,Hello%20World!,768"),
        ("{#path,x}/here", "#/foo/bar,1024/here"),
        ("{#path:6}/here", "#/foo/b/here"),
        ("{#list*}", "#red,green,blue"),
        ("{#keys}", "#semi,;,dot,.,comma,,"),
        ("{#keys*}", "#semi=;,dot=.,comma=,"),
    ]);
}

#[test]
fn expands_labels_and_path_segments() {
    check(&[
        ("{.who}", ".fred"),
        ("{.who,who}", ".fred.fred"),
        ("{.half,who}", ".50%25.fred"),
        ("X{.var}", "X.value"),
        ("X{.empty}", "X."),
        ("X{.undef}", "X"),
        ("X{.var:3}", "X.val"),
        ("X{.list}", "X.red,green,blue"),
        ("X{.list*}", "X.red.green.blue"),
        ("X{.keys}", "X.semi,%3B,dot,.,comma,%2C"),
        ("X{.keys*}", "X.semi=%3B.dot=..comma=%2C"),
        ("X{.empty_keys}", "X"),
        ("X{.empty_keys*}", "X"),
        ("{/who}", "/fred"),
        ("{/who,who}", "/fred/fred"),
        ("{/half,who}", "/50%25/fred"),
        ("{/who,dub}", "/fred/me%2Ftoo"),
        ("{/var}", "/value"),
        ("{/var,empty}", "/value/"),
        ("{/var,undef}", "/value"),
        ("{/var,x}/here", "/value/1024/here"),
        ("{/var:1,var}", "/v/value"),
        ("{/list}", "/red,green,blue"),
        ("{/list*}", "/red/green/blue"),
        ("{/list*,path:4}", "/red/green/blue/%2Ffoo"),
        ("{/keys}", "/semi,%3B,dot,.,comma,%2C"),
        ("{/keys*}", "/semi=%3B/dot=./comma=%2C"),
    ]);
}

#[test]
fn expands_parameters_and_queries() {
    check(&[
        ("{;who}", ";who=fred"),
        ("{;half}", ";half=50%25"),
        ("{;empty}", ";empty"),
        ("{;v,empty,who}", ";v=6;empty;who=fred"),
        ("{;v,bar,who}", ";v=6;who=fred"),
        ("{;x,y}", ";x=1024;y=768"),
        ("{;x,y,empty}", ";x=1024;y=768;empty"),
        ("{;x,y,undef}", ";x=1024;y=768"),
        ("{;hello:5}", ";hello=Hello"),
        ("{;list}", ";list=red,green,blue"),
        ("{;list*}", ";list=red;list=green;list=blue"),
        ("{;keys}", ";keys=semi,%3B,dot,.,comma,%2C"),
        ("{;keys*}", ";semi=%3B;dot=.;comma=%2C"),
        ("{?who}", "?who=fred"),
        ("{?half}", "?half=50%25"),
        ("{?x,y}", "?x=1024&y=768"),
        ("{?x,y,empty}", "?x=1024&y=768&empty="),
        ("{?x,y,undef}", "?x=1024&y=768"),
        ("{?var:3}", "?var=val"),
        ("{?list}", "?list=red,green,blue"),
        ("{?list*}", "?list=red&list=green&list=blue"),
        ("{?keys}", "?keys=semi,%3B,dot,.,comma,%2C"),
        ("{?keys*}", "?semi=%3B&dot=.&comma=%2C"),
        ("{&who}", "&who=fred"),
        ("{&half}", "&half=50%25"),
        ("?fixed=yes{&x}", "?fixed=yes&x=1024"),
        ("{&x,y,empty}", "&x=1024&y=768&empty="),
        ("{&var:3}", "&var=val"),
        ("{&list}", "&list=red,green,blue"),
        ("{&keys*}", "&semi=%3B&dot=.&comma=%2C"),
    ]);
}

#[test]
fn texts_that_are_no_templates_are_refused_with_the_place() {
    for (text, offset) in [
        ("a{b", 1),
        ("a}b", 1),
        ("{}", 1),
        ("{a,}", 3),
        ("{a{b}}", 1),
        ("{=a}", 1),
        ("{|a}", 1),
        ("{a b}", 1),
        ("{a:0}", 1),
        ("{a:10000}", 1),
        ("{a:+1}", 1),
        ("{?a,b:}", 4),
        ("{a..b}", 1),
        ("{%4}", 1),
        ("a\nb", 1),
    ] {
        assert_eq!(UriTemplate::parse(text).expect_err(text).offset, offset, "{text}");
    }
    assert!(UriTemplate::parse("{a.b,c_%41-d*}{+e:9999}").is_ok());
    assert!(UriTemplate::parse(&"{a}".repeat(VARIABLES_MAX)).is_ok());
    assert!(UriTemplate::parse(&"{a}".repeat(VARIABLES_MAX + 1)).is_err());
    assert!(UriTemplate::parse(&"a".repeat(TEMPLATE_BYTES_MAX)).is_ok());
    assert!(UriTemplate::parse(&"a".repeat(TEMPLATE_BYTES_MAX + 1)).is_err());
}

/// What a template captures from a URI, as `name=value` joined by blanks.
fn captured(template: &str, uri: &str) -> Option<String> {
    let variables = UriTemplate::parse(template).unwrap().matches(uri)?;
    let short = variables.iter().map(|(name, value)| match value {
        Value::Text(value) => format!("{name}={value}"),
        other => panic!("{other:?}"),
    });
    Some(short.collect::<Vec<_>>().join(" "))
}

#[test]
fn uris_are_matched() {
    for (template, uri, expected) in [
        ("file:///{path}", "file:///a.txt", Some("path=a.txt")),
        ("file:///{path}", "file:///a/b", None),
        ("file:///{path}", "file:///", None),
        ("file:///{+path}", "file:///a/b?c#d", Some("path=a/b?c#d")),
        ("file:///{path*}", "file:///a/b", Some("path=a/b")),
        ("file:///{path*}", "file:///a/b?c", None),
        ("db://{table}/rows/{id}", "db://users/rows/7", Some("id=7 table=users")),
        ("db://{table}/rows/{id}", "db://users/rows/7/x", None),
        ("db://{table}/rows/{id}", "DB://users/rows/7", None),
        ("a:{x}", "a:b%20c%2Fd", Some("x=b c/d")),
        ("a:{x}", "a:b:c@d,e", Some("x=b:c@d,e")),
        ("a:{x}", "a:%", Some("x=%")),
        ("a:{x}", "a:%FF", Some("x=\u{fffd}")),
        ("a:{x}", "a:é", Some("x=é")),
        ("é:{x}", "%C3%A9:1", Some("x=1")),
        ("é:{x}", "é:1", Some("x=1")),
        ("{a}-{b}", "1-2-3", Some("a=1-2 b=3")),
        ("{a,b}", "1,2", Some("a=1 b=2")),
        ("{a,b}", "1", Some("a=1")),
        ("{a,b}", "1,2,3", None),
        ("x{/a,b}", "x/1/2", Some("a=1 b=2")),
        ("x{/a,b}", "x/1", Some("a=1")),
        ("x{/a,b}", "x", Some("")),
        ("x{/a*}", "x/1/2", Some("a=1/2")),
        ("x{.ext}", "x.tar.gz", Some("ext=tar.gz")),
        ("x{;a,b}", "x;a=1;b", Some("a=1")),
        ("x{;a,b}/y", "x;b=2/y", Some("b=2")),
        ("x{;a,b}", "x;c=2", None),
        ("x{?a,b}", "x?a=1&b=2", Some("a=1 b=2")),
        ("x{?a,b}", "x?b=2&a=1", Some("a=1 b=2")),
        ("x{?a,b}", "x?b=", Some("")),
        ("x{?a,b}", "x", Some("")),
        ("x{?a,b}", "x?c=1", None),
        ("x{?a,b}", "x?a=1&c=1", None),
        ("x?q=1{&a}", "x?q=1&a=2", Some("a=2")),
        ("x{?any*}", "x?a=1&b=2", Some("any=a=1&b=2")),
        ("x{#f}", "x#a/b", Some("f=a/b")),
        ("{a}/{a}", "1/1", Some("a=1")),
        ("{a}/{a}", "1/2", None),
        ("{a:1}/{a}", "v/value", Some("a=value")),
        ("plain", "plain", Some("")),
        ("plain", "plainer", None),
        ("", "", Some("")),
    ] {
        assert_eq!(captured(template, uri).as_deref(), expected, "{template} on {uri}");
    }
}

#[test]
fn the_longest_uri_is_bounded() {
    let uri = |length: usize| format!("a:{}", "b".repeat(length - 2));
    assert!(captured("a:{x}", &uri(URI_BYTES_MAX)).is_some());
    assert!(captured("a:{x}", &uri(URI_BYTES_MAX + 1)).is_none());
}

#[test]
fn the_narrowest_template_ranks_first() {
    let ranked = [
        "file:///logs/{name}.txt",
        "file:///logs/{name}",
        "file:///{area}",
        "file:///{area}{?page}",
        "file:///{+path}",
        "file:{a}{b}{c}",
        "file:{+path}",
        "{scheme}",
        "{+all}",
    ];
    let rank = |text: &&str| Reverse(UriTemplate::parse(text).unwrap().specificity());
    let mut sorted = ranked;
    sorted.reverse();
    sorted.sort_by_key(rank);
    assert_eq!(sorted, ranked);
}

#[test]
fn hostile_texts_take_bounded_time() {
    let started = Instant::now();
    let uri = "a".repeat(URI_BYTES_MAX);
    for piece in ["{a}", "{+a}", "{a*}", "{.a}", "{/a*}", "{;a*}", "{?a}", "{#a}", "{&a,b,c}"] {
        let pieces = piece.repeat(VARIABLES_MAX / piece.matches(['a', 'b', 'c']).count());
        let template = UriTemplate::parse(&format!("{pieces}!")).unwrap();
        assert_eq!(template.matches(&uri), None, "{piece}");
        assert_eq!(template.matches(&uri.replace('a', "/")), None, "{piece}");
        assert_eq!(template.matches(&uri.replace("aaaa", "&a=&")), None, "{piece}");
    }
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

proptest! {
    #[test]
    fn expansions_match_and_give_the_values_back(
        values in proptest::collection::vec("[^\u{0}]{1,12}", 1..4),
        operator in prop::sample::select(vec!["", "/", ";", "?", "&"]),
    ) {
        let names = ["a", "b", "c"];
        let list = names[..values.len()].join(",");
        let template = UriTemplate::parse(&format!("s://h/{{{operator}{list}}}")).unwrap();
        let variables: Variables =
            names.iter().map(ToString::to_string).zip(values.iter().map(|v| text(v))).collect();
        let uri = template.expand(&variables);
        prop_assert_eq!(template.matches(&uri), Some(variables), "{}", uri);
    }

    #[test]
    fn what_a_template_of_simple_variables_captures_expands_to_the_same_uri(
        uri in "s://[a-z0-9._~-]{1,6}/x[a-z0-9._~%/-]{0,8}",
    ) {
        let template = UriTemplate::parse("s://{host}/x{rest}").unwrap();
        if let Some(variables) = template.matches(&uri)
            && !uri.contains('%')
        {
            prop_assert_eq!(template.expand(&variables), uri);
        }
    }

    #[test]
    fn no_text_makes_it_panic(template in "[{}?&;/+#.,*:a-c%é0-9 ]{0,24}", uri in "[?&;/#.,=a-c%é ]{0,24}") {
        if let Ok(template) = UriTemplate::parse(&template) {
            template.matches(&uri);
            template.matches(&template.expand(&example()));
        }
    }
}
