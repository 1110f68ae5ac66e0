//! What is accepted, what is refused, and how it is said.

use std::{collections::BTreeMap, fmt::Write as _, io};

use insta::assert_snapshot;

use super::*;
use crate::{
    Style,
    model::{
        Composition, Era, Pattern, Proxy, Questions, SecretForms, Serves, Session, check_bind,
    },
    secret::Resolved,
    units::Duration,
};

mod pages_and_tags;

/// An environment made of two variables and one file.
struct Fake;

impl Environment for Fake {
    fn variable(&self, name: &str) -> Option<String> {
        let variables = BTreeMap::from([("TOKEN", "tk-canary"), ("HOME", "/home/ada")]);
        variables.get(name).map(ToString::to_string)
    }

    fn file(&self, path: &Path) -> io::Result<String> {
        match path.to_str() {
            Some("/etc/gate/secret" | "/run/key") => Ok("key-canary\n".to_owned()),
            _ => Err(io::Error::from(io::ErrorKind::NotFound)),
        }
    }
}

fn load(text: &str) -> Loaded {
    read_with(text, Path::new("/etc/gate/portcullis.yaml"), &Fake)
}

fn load_json(text: &str) -> Loaded {
    read_with(text, Path::new("/etc/gate/mcp.json"), &Fake)
}

#[track_caller]
fn accept(text: &str) -> Config {
    let loaded = load(text);
    assert!(loaded.diagnostics.is_empty(), "{}", render(&loaded));
    loaded.config.expect("nothing is wrong")
}

fn render(loaded: &Loaded) -> String {
    let rendered = loaded.diagnostics.iter().map(|found| found.render(Style::Plain));
    rendered.collect::<Vec<_>>().join("\n\n")
}

fn codes(loaded: &Loaded) -> Vec<&'static str> {
    loaded.diagnostics.iter().map(|found| found.code.as_str()).collect()
}

fn name(text: &str) -> ServerName {
    text.parse().unwrap()
}

#[test]
fn nothing_is_a_configuration() {
    for text in ["", "\n# only a comment\n", "---\n", "{}", "servers:\n"] {
        let config = accept(text);
        assert_eq!(config, Config::with_environment(&Fake), "{text:?}");
        assert_eq!(config.listen.address.to_string(), "127.0.0.1:8080");
        assert_eq!(config.admin.unwrap().listen.to_string(), "127.0.0.1:8081");
        assert_eq!(config.data_dir, Path::new("/home/ada/.local/state/portcullis"));
        let mcp = &config.endpoints["/mcp"];
        assert_eq!(mcp.serves, Serves::Composed(Composition::Everything));
    }
}

#[test]
fn everything_that_can_be_written_is_read() {
    let config = accept(include_str!("tests/everything.yaml"));
    assert_snapshot!(format!("{config:#?}"));
}

#[test]
fn every_kind_of_mistake_is_found_in_one_reading() {
    let loaded = load(include_str!("tests/mistakes.yaml"));
    assert!(loaded.config.is_none());
    assert_snapshot!(render(&loaded));
}

#[test]
fn broken_yaml_says_where() {
    let texts = [
        "servers:\n  time: { command: uvx\nlisten: x\n",
        "servers:\n\ttime:\n",
        "a: 1\na: 2\n",
        "a: 1\n---\nb: 2\n",
        "a: [1, 2\n",
        "a: *nobody\n",
        "endpoints: { /mcp: { servers: * } }\n",
        "endpoints:\n  /mcp:\n    servers: *\n",
        "a: @b\n",
        "? {a: b}\n: c\n",
        "just text",
        "- a list",
        "TOKEN: \"sk-canary\n",
    ];
    let rendered = texts.map(|text| {
        let loaded = load(text);
        assert!(loaded.config.is_none(), "{text}");
        render(&loaded)
    });
    assert!(!rendered.concat().contains("canary"));
    assert_snapshot!(rendered.join("\n\n"));
}

#[test]
fn broken_json_says_where() {
    let texts = [
        "{\"servers\": {",
        "{\"servers\": {} \"log\": {}}",
        "{'servers': {}}",
        "{\"a\": 1, \"a\": 2}",
        "{\"a\": nope}",
        "{\"a\": \"\\q\"}",
        "{\"a\": \"open",
        "{} x",
        "/* open",
        "{\"TOKEN\": \"sk-canary",
    ];
    let rendered = texts.map(|text| {
        let loaded = load_json(text);
        assert!(loaded.config.is_none(), "{text}");
        render(&loaded)
    });
    assert!(!rendered.concat().contains("canary"));
    assert_snapshot!(rendered.join("\n\n"));
}

#[test]
fn a_missing_secret_sets_aside_only_its_server() {
    let loaded = load(
        "servers:\n  good: { url: 'https://a.example/', credentials: { bearer: '${env:TOKEN}' } }\n  \
         bad: { url: 'https://b.example/', credentials: { bearer: '${file:nowhere}' } }\n\
         endpoints:\n  /mcp: { servers: [good, bad] }\n",
    );
    let config = loaded.config.as_ref().unwrap();
    assert_eq!(config.servers.keys().collect::<Vec<_>>(), [&name("good")]);
    assert_eq!(loaded.quarantined.keys().collect::<Vec<_>>(), [&name("bad")]);
    assert!(loaded.quarantined[&name("bad")].contains("/etc/gate/nowhere"));
    assert_snapshot!(render(&loaded));
}

#[test]
fn a_disabled_server_needs_no_secrets() {
    let loaded = load("servers: { a: { command: x, env: { T: '${env:NONE}' }, disabled: true } }");
    assert_eq!(codes(&loaded), ["E012"]);
    assert_eq!(loaded.diagnostics[0].severity, crate::Severity::Warning);
    assert!(loaded.quarantined.is_empty());
    assert!(loaded.config.unwrap().servers[&name("a")].disabled);
}

#[test]
fn references_are_replaced_in_strings_alone() {
    let config = accept(
        "servers:\n  a:\n    command: run\n    \
         args: [\"--key=${file:secret}\", \"$${env:X} $HOME $\", \"${env:NONE:-plain}\", 7]\n    \
         env: { PORT: 8080, DEBUG: true, API_TOKEN: \"Bearer ${env:TOKEN}${file:/run/key}\" }\n  \
         b:\n    url: \"https://x.example/${env:TOKEN}\"\n",
    );
    let a = config.servers[&name("a")].stdio().unwrap();
    let args: Vec<&str> = a.args.iter().map(Resolved::expose).collect();
    assert_eq!(args, ["--key=key-canary", "${env:X} $HOME $", "plain", "7"]);
    assert_eq!(a.env["PORT"].expose(), "8080");
    assert_eq!(a.env["DEBUG"].expose(), "true");
    assert_eq!(a.env["API_TOKEN"].expose(), "Bearer tk-canarykey-canary");
    let b = config.servers[&name("b")].remote().unwrap();
    assert_eq!(b.url.url().as_str(), "https://x.example/tk-canary");
    assert_eq!(b.url.to_string(), "https://x.example/…");
}

#[test]
fn no_secret_is_ever_printed() {
    let text = "servers:\n  a:\n    url: https://x.example/\n    \
                headers: { X-Api-Key: lit-canary, Cookie: \"${env:TOKEN}\" }\n    \
                credentials: { basic: { username: u, password: lit-canary } }\n  \
                b: { command: x, args: [\"${env:TOKEN}\"], env: { A: lit-canary }, typo: 1 }\n  \
                c: { url: 'https://u:lit-canary@x.example/' }\n  \
                d: { url: 'https://x.example', credentials: { bearer: \"lit-canary\\n\" } }\n  \
                e: { url: 'https://x.example', proxy: 'http://u:lit-canary@p.example' }\n";
    let loaded = load(text);
    assert_eq!(codes(&loaded), ["W101", "W101", "E002", "E004", "E004", "W101", "W101"]);
    let json: Vec<String> =
        loaded.diagnostics.iter().map(|found| found.to_json().to_string()).collect();
    let shown = format!("{}{json:?}{loaded:?}", render(&loaded));
    assert!(!shown.contains("canary"), "{shown}");

    let config = load(&text.lines().take(4).collect::<Vec<_>>().join("\n")).config.unwrap();
    assert!(!format!("{config:?}").contains("canary"));
    // The control: the value is there for the one who may have it.
    let remote = config.servers[&name("a")].remote().unwrap();
    assert_eq!(remote.headers["Cookie"].expose(), "tk-canary");
    assert_eq!(format!("{:?}", crate::Secret::new("canary")), "Secret(…)");
}

#[test]
fn a_rotated_secret_is_a_change() {
    struct Rotated;
    impl Environment for Rotated {
        fn variable(&self, name: &str) -> Option<String> {
            (name == "TOKEN").then(|| "another".to_owned()).or_else(|| Fake.variable(name))
        }
        fn file(&self, path: &Path) -> io::Result<String> {
            Fake.file(path)
        }
    }
    let text = "servers: { a: { command: x, env: { T: '${env:TOKEN}' } } }";
    let origin = Path::new("/etc/gate/portcullis.yaml");
    let (before, again) = (accept(text), accept(text));
    assert_eq!(before, again);
    let after = read_with(text, origin, &Rotated).config.unwrap();
    assert_ne!(before, after);
}

#[test]
fn a_listener_beyond_loopback_is_refused_unless_accepted() {
    let open = load("listen: 0.0.0.0:8080\nadmin: 0.0.0.0:1").config.unwrap();
    let problems = check_bind(&open, false);
    let rendered: Vec<String> = problems.iter().map(|found| found.render(Style::Plain)).collect();
    assert_snapshot!(rendered.join("\n\n"));
    assert_eq!(check_bind(&open, true).len(), 1, "the admin listener has no way out");

    for fine in [
        "listen: '[::1]:8080'",
        "listen: localhost:0",
        "listen: { address: 0.0.0.0:80, insecure_public: true }",
        "admin: off",
    ] {
        assert!(check_bind(&accept(fine), false).is_empty(), "{fine}");
    }
    let listen = crate::Listen::at("192.0.2.1:80".parse().unwrap());
    let config = Config { listen, ..Config::default() };
    assert!(check_bind(&config, false)[0].render(Style::Plain).contains("192.0.2.1:80"));
}

#[test]
fn limits_are_read_at_their_ends_and_refused_beyond() {
    for (text, sound) in [
        ("limits: { json_depth: 8 }", true),
        ("limits: { json_depth: 7 }", false),
        ("limits: { json_depth: 512 }", true),
        ("limits: { json_depth: 513 }", false),
        ("limits: { body_bytes: 1GiB }", true),
        ("limits: { body_bytes: 1073741825 }", false),
        ("limits: { call_deadline: 16m }", false),
        ("limits: { call_deadline: 16m, call_deadline_max: 16m }", true),
        ("limits: { header_bytes: 64KiB }", false),
        ("limits: { batch: -1 }", false),
        ("limits: { batch: 1.5 }", false),
        ("limits: { batch: '20' }", false),
        ("limits: { drain_timeout: 0s }", true),
        ("limits: { parked_calls: 1 }", true),
        ("limits: { parked_calls: 0 }", false),
        ("limits: { parked_calls: 1000000 }", true),
        ("limits: { parked_calls: 1000001 }", false),
        ("limits: { interaction_rounds: 100 }", true),
        ("limits: { interaction_rounds: 101 }", false),
        ("limits: { answer_wait: 1s }", true),
        ("limits: { answer_wait: 999ms }", false),
        ("limits: { answer_wait: 24h, request_state_life: 24h }", true),
        ("limits: { answer_wait: 25h }", false),
        ("servers: { a: { command: x, timeout: 15m } }", true),
        ("servers: { a: { command: x, timeout: 16m } }", false),
    ] {
        let loaded = load(text);
        assert_eq!(loaded.config.is_some(), sound, "{text}: {}", render(&loaded));
    }
    let config = accept("limits: { call_deadline: 5s }\nservers: { a: { command: x } }");
    assert_eq!(config.servers[&name("a")].timeout, Duration::secs(5));
}

/// What has no effect is accepted and said, once somebody wrote it.
#[test]
fn settings_without_effect_are_warned_of() {
    let loaded = load("servers: { a: { command: x, start: eager, session: none } }");
    assert_eq!(codes(&loaded), ["W105"]);
    assert!(loaded.config.is_some(), "{}", render(&loaded));
    for text in [
        "limits: { answer_wait: 11m, request_state_life: 1m }",
        "servers: { a: { command: x, session: none, questions: auto } }",
        "servers: { a: { command: x, start: eager, session: none, era: modern } }",
        "servers: { a: { command: x, start: eager, questions: off } }",
    ] {
        accept(text);
    }
}

#[test]
fn words_about_questions_are_read() {
    let read = |settings: &str| {
        let config = accept(&format!("servers: {{ a: {{ command: x{settings} }} }}"));
        let server = &config.servers[&name("a")];
        (server.session, server.questions, server.secret_forms)
    };
    assert_eq!(read(""), (Session::Auto, Questions::Auto, SecretForms::Refuse));
    assert_eq!(
        read(", session: none, questions: off, secret_forms: pass"),
        (Session::None, Questions::Off, SecretForms::Pass)
    );
    for wrong in ["session: nobody", "questions: on", "secret_forms: ask"] {
        assert_eq!(codes(&load(&format!("servers: {{ a: {{ command: x, {wrong} }} }}"))), ["E004"]);
    }
}

#[test]
fn reserved_paths_are_kept() {
    for path in [
        "/servers",
        "/servers/x",
        "/.well-known/x",
        "/healthz",
        "/readyz",
        "/metrics",
        "/metrics/x",
        "/a/sse",
        "/a/sse/messages",
        "/sse",
    ] {
        let loaded = load(&format!("endpoints: {{ {path}: {{ servers: '*' }} }}"));
        assert_eq!(codes(&loaded), ["E009"], "{path}");
    }
    for path in ["mcp", "/mcp/", "/", "/a//b", "/a?b", "/a b", "/a/../b", "/é", "/a%2fb"] {
        let loaded = load(&format!("endpoints: {{ '{path}': {{ servers: '*' }} }}"));
        assert_eq!(codes(&loaded), ["E004"], "{path}");
    }
    for path in ["/mcp", "/serversx", "/a/ssex", "/billing", "/mcp/a.b~c"] {
        accept(&format!("endpoints: {{ {path}: {{ servers: '*' }} }}"));
    }
}

#[test]
fn aliases_and_merges_work_and_stay_bounded() {
    let config = accept(
        "servers:\n  a: &base { command: x, timeout: 5s, queue: 7 }\n  \
         b: { <<: *base, timeout: 6s, prefix: bb }\n",
    );
    let b = &config.servers[&name("b")];
    assert_eq!((b.queue, b.timeout), (7, Duration::secs(6)));

    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..9 {
        let below = format!("*a{}, ", level - 1).repeat(10);
        let _ = writeln!(bomb, "a{level}: &a{level} [{below}]");
    }
    assert_eq!(codes(&load(&bomb)), ["E015"]);

    let mut tower = String::from("a0: &a0 [x]\n");
    for level in 1..2_000 {
        let _ = writeln!(tower, "a{level}: &a{level} [*a{}]", level - 1);
    }
    assert_eq!(codes(&load(&tower)), ["E015"]);
    assert_eq!(codes(&load_json(&"[".repeat(100_000))), ["E015"]);
    assert!(load(&"[".repeat(100_000)).config.is_none());
}

#[test]
fn a_host_file_is_a_configuration() {
    let loaded = load_json(include_str!("tests/mcp.json"));
    let config = loaded.config.as_ref().unwrap();
    let servers = format!("{:#?}", config.servers);
    assert!(!servers.contains("canary"));
    let git = config.servers[&name("git")].stdio().unwrap();
    assert_eq!(git.env["TOKEN"].expose(), "tk-canary");
    assert_eq!(config.servers[&name("old")].era, Era::Sse);
    assert_eq!(config.servers[&name("scope-pkg")].timeout, Duration::secs(30));
    assert!(config.servers[&name("off")].disabled);
    assert_snapshot!(render(&loaded));
}

#[test]
fn a_vs_code_file_is_a_configuration_and_ours_in_json_is_not_mistaken_for_one() {
    let loaded = load_json(
        "{ // comment\n \"inputs\": [], \"servers\": {\n  \"a\": { \"type\": \"http\", \"url\": \
         \"https://a.example/mcp\", \"headers\": { \"Authorization\": \"Bearer ${input:my-key}\" } },\n \
         \"b\": { \"type\": \"stdio\", \"command\": \"x\", \"cwd\": \"${workspaceFolder}/b\" }, } }",
    );
    assert_eq!(loaded.quarantined.keys().collect::<Vec<_>>(), [&name("a")]);
    assert!(loaded.quarantined[&name("a")].contains("MY_KEY"));
    let config = loaded.config.as_ref().unwrap();
    let b = config.servers[&name("b")].stdio().unwrap();
    assert_eq!(b.cwd.as_deref(), Some(Path::new("/etc/gate/b")));
    assert_eq!(codes(&loaded), ["W103", "E012"]);

    let ours = load_json("{\"servers\": {\"a\": {\"command\": \"x\", \"start\": \"eager\"}}}");
    assert!(ours.diagnostics.is_empty() && ours.config.is_some());
    let both = load_json("{\"servers\": {}, \"mcpServers\": {}}");
    assert_eq!(codes(&both), ["E007"]);
    let beside =
        load_json("{\"mcpServers\": {\"a\": {\"command\": \"x\"}}, \"listen\": \"[::1]:1\"}");
    assert_eq!(beside.config.unwrap().listen.address.port(), 1);
    assert_eq!(codes(&load_json("{\"mcpServers\": []}")), ["E003"]);
}

#[test]
fn endpoints_choose_servers_and_parts_of_them() {
    let config = accept(
        "servers: { a: { command: x }, b: { command: y } }\nendpoints:\n  \
         /x: { servers: [b, { a: { tools: ['get_*', list], resources: [] } }], names: bare }\n  \
         /y: { server: a, title: A }\n",
    );
    let Serves::Composed(Composition::Chosen(members)) = &config.endpoints["/x"].serves else {
        panic!("chosen servers");
    };
    assert_eq!(members[0].server, name("b"));
    assert_eq!(members[1].tools, Some(vec![Pattern::new("get_*"), Pattern::new("list")]));
    assert_eq!(members[1].resources, Some(Vec::new()));
    assert_eq!(members[1].prompts, None);
    assert_eq!(config.endpoints["/y"].serves, Serves::Single(name("a")));
    assert!(!config.endpoints.contains_key("/mcp"));
}

#[test]
fn proxies_are_chosen_per_server() {
    for (written, proxy) in [("", Proxy::Environment), (", proxy: off", Proxy::Off)] {
        let config = accept(&format!("servers: {{ a: {{ url: 'https://x.example'{written} }} }}"));
        assert_eq!(config.servers[&name("a")].remote().unwrap().proxy, proxy);
    }
}

#[test]
fn an_unreadable_file_is_a_diagnostic() {
    let directory = tempfile::tempdir().unwrap();
    let loaded = read_file(&directory.path().join("nowhere.yaml"));
    assert!(loaded.config.is_none());
    assert_eq!(codes(&loaded), ["E016"]);
    assert!(render(&loaded).contains("nowhere.yaml"));

    let path = directory.path().join("portcullis.yaml");
    std::fs::write(&path, "listen: 127.0.0.1:1\n").unwrap();
    assert_eq!(read_file(&path).config.unwrap().listen.address.port(), 1);
}

/// However many warnings come first, an error still refuses.
#[test]
fn an_error_behind_many_warnings_refuses() {
    let mut text = String::from("servers:\n");
    for number in 0..300 {
        let _ = writeln!(text, "  s{number}: {{ command: x, env: {{ API_KEY: literal }} }}");
    }
    assert!(load(&text).config.is_some());
    text.push_str("  last: { command: x, env: { A: '${env:NONE}' } }\n");
    let loaded = load(&text);
    assert_eq!(loaded.config.unwrap().servers.len(), 300);
    assert_eq!(loaded.quarantined.keys().collect::<Vec<_>>(), [&name("last")]);
    text.push_str("zzz: 1\n");
    assert!(load(&text).config.is_none());
}

/// Whatever the bytes are, reading ends, and every diagnostic can be rendered.
#[test]
fn mutilated_configurations_never_panic() {
    let texts = [
        include_str!("tests/everything.yaml"),
        include_str!("tests/mistakes.yaml"),
        include_str!("tests/mcp.json"),
    ];
    for text in texts {
        for at in (0..text.len()).filter(|at| text.is_char_boundary(*at)) {
            for inserted in ["", "\"", "}", "é", "\t", "${", ": ", "&a *a"] {
                let mutilated = format!("{}{inserted}", &text[..at]);
                let whole = format!("{mutilated}{}", &text[at..]);
                // The rest of the text again only now and then: the product is large.
                let tried = if at % 16 == 0 { vec![mutilated, whole] } else { vec![mutilated] };
                if at % 8 == 0 {
                    for text in tried {
                        drop(render(&load(&text)));
                    }
                }
            }
        }
    }
}

#[test]
fn only_one_server_with_a_document_has_a_plain_api() {
    let servers = "servers: { shop: { openapi: shop.yaml }, time: { command: x } }\n";
    let config =
        accept(&format!("{servers}endpoints: {{ /shop: {{ server: shop, http: true }} }}"));
    assert!(config.endpoints["/shop"].http);
    accept(&format!("{servers}endpoints: {{ /time: {{ server: time, http: false }} }}"));
    for endpoint in ["server: time, http: true", "servers: [shop], http: true"] {
        let loaded = load(&format!("{servers}endpoints: {{ /x: {{ {endpoint} }} }}"));
        assert_eq!(codes(&loaded), ["E007"], "{endpoint}: {}", render(&loaded));
    }
}

#[test]
fn mistakes_in_tools_written_by_hand_are_found() {
    let of = |server: &str, tool: &str| {
        load(&format!("servers: {{ a: {{ {server}, tools: {{ define: {{ {tool} }} }} }} }}"))
    };
    let url = "url: 'https://a.example'";
    for (tool, expected) in [
        ("b: { path: '/x/{id}' }", &[][..]),
        ("b: { path: '/x', arguments: { n: integer } }", &[]),
        ("b: {}", &["E006"]),
        ("b: { path: x }", &["E004"]),
        ("b: { path: /x, method: 'A B' }", &["E004"]),
        ("'b c': { path: /x }", &["E008"]),
        ("b: { path: /x, arguments: { 'a b': string } }", &["E008"]),
        ("b: { path: /x, arguments: { n: int } }", &["E004"]),
        ("b: { path: /x, arguments: { n: { in: path } } }", &["E007"]),
        ("b: { path: '/x/{n}', arguments: { n: { in: query } } }", &["E007"]),
        ("b: { path: '/x/{n}', arguments: { n: { name: m } } }", &["E007"]),
        ("b: { path: /x, arguments: { n: { type: string, schema: {} } } }", &["E007"]),
        ("b: { path: /x, arguments: { n: { name: m }, m: string } }", &["E007"]),
        ("b: { path: /x, arguments: { n: { in: header, name: Authorization } } }", &["E008"]),
        ("b: { path: /x, arguments: { n: { in: header, name: Host } } }", &["E008"]),
        ("b: { path: /x, output: text }", &["E003"]),
        ("b: { path: /x, body: form }", &["W105"]),
        (
            "b: { path: /x, method: PUT, body: text, arguments: { n: string, m: string } }",
            &["E007"],
        ),
    ] {
        let loaded = of(url, tool);
        assert_eq!(codes(&loaded), expected, "{tool}: {}", render(&loaded));
    }
    let loaded = of("command: x", "b: { path: /x }");
    assert_eq!(codes(&loaded), ["E007"], "{}", render(&loaded));
    let loaded = of("url: 'https://a.example', refs: ['https://b.example']", "b: { path: /x }");
    assert_eq!(codes(&loaded), ["W105"], "{}", render(&loaded));
}

#[test]
fn an_api_may_have_several_addresses() {
    let tools = "tools: { define: { b: { path: /x } } }";
    let of = |server: &str| load(&format!("servers: {{ a: {{ {server} }} }}"));
    let balance = |server: &str| {
        let config = accept(&format!("servers: {{ a: {{ {server} }} }}"));
        let api = config.servers["a"].api().unwrap();
        (api.addresses.len(), api.balance().map(crate::Balance::as_str))
    };
    for (server, expected) in [
        ("openapi: x.yaml", (0, None)),
        ("openapi: x.yaml, balance: first", (0, Some("first"))),
        ("openapi: x.yaml, url: 'http://a.example'", (1, None)),
        ("openapi: x.yaml, url: ['http://a.example']", (1, None)),
        (
            "openapi: x.yaml, url: ['http://a.example', 'http://b.example']",
            (2, Some("round-robin")),
        ),
        (
            "openapi: x.yaml, url: ['http://a.example/1', 'http://a.example/2'], balance: least-calls",
            (2, Some("least-calls")),
        ),
    ] {
        assert_eq!(balance(server), expected, "{server}");
    }
    assert_eq!(balance(&format!("url: ['http://a.example', 'http://b.example'], {tools}")).0, 2);
    for (server, expected) in [
        ("openapi: x.yaml, url: []", &["E014"][..]),
        ("openapi: x.yaml, url: ['http://a.example', 'http://A.example:80/']", &["E005"]),
        ("openapi: x.yaml, url: ['ftp://a.example', nothing]", &["E004", "E004"]),
        ("openapi: x.yaml, url: [{ a: b }]", &["E003"]),
        ("openapi: x.yaml, balance: random", &["E004"]),
        ("openapi: x.yaml, url: 'http://a.example', balance: round-robin", &["W105"]),
        ("url: 'http://a.example', balance: first", &["E007"]),
        ("url: ['http://a.example', 'http://b.example']", &["E003"]),
        ("command: x, balance: first", &["E007"]),
        (
            "openapi: x.yaml, url: ['http://a.example', 'http://localhost', 'http://b.example'], \
             credentials: { bearer: '${env:TOKEN}' }",
            &["W104", "W104"],
        ),
    ] {
        let loaded = of(server);
        assert_eq!(codes(&loaded), expected, "{server}: {}", render(&loaded));
    }
}
