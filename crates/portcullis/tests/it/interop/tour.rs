//! Every client with every server of the tests: what a client can do without being asked anything.
//!
//! The servers offer the same tools, resources and prompts (`tests/README.md`), so one tour fits
//! all of them, in the same era and across eras.

use serde_json::{Value, json};

use super::client::{Client, LEGACY, MODERN, V1_SSE, V2_AUTO, V2_LEGACY};
use super::parts::Parts;
use super::script::{Step, call, check, commits, script, step};
use super::server::{Listening, gate, pinned, started};

/// A server of the tests behind the gate.
struct Sight {
    /// What it calls itself.
    identity: &'static str,
    kind: Kind,
    /// Whether each legacy session has a process of its own.
    starts_one_each: bool,
    /// Its entry in the configuration.
    entry: Value,
}

/// What is said about things that are not there depends on the SDK.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    TypescriptLegacy,
    TypescriptModern,
    PythonLegacy,
    PythonModern,
}

impl Kind {
    fn is_modern(self) -> bool {
        matches!(self, Self::TypescriptModern | Self::PythonModern)
    }
}

/// Takes every client on the tour of one server.
fn tour(parts: &Parts, sight: &Sight) {
    let home = tempfile::tempdir().expect("a directory can be made");
    let gate = gate(home.path(), &json!({ "servers": { "sight": sight.entry } }));
    let url = gate.url("/servers/sight/mcp");
    let mut toured_before = 0;
    for client in LEGACY.into_iter().chain(MODERN).chain([V2_AUTO]) {
        let is_alone = sight.starts_one_each && !client.is_modern();
        let visits = if is_alone { 1 } else { toured_before + 1 };
        let steps = stops(sight, client, visits);
        let report = client.run(parts, &url, &script(&steps, &json!({})));
        check(&format!("{client:?} at {}", sight.identity), &steps, &report);
        toured_before += u64::from(!is_alone);
    }
}

/// The steps of a tour; `visits` is how many the process will have had by then.
fn stops(sight: &Sight, client: Client, visits: u64) -> Vec<Step> {
    let mut steps = introduction(sight, client);
    steps.extend(plain());
    steps.extend(refusals(sight, client));
    steps.extend([
        call("slow", json!({ "steps": 3, "ms": 1 })).says("3 steps"),
        progress(client),
        // Every step speaks, so the call is on its way when it is given up.
        step(json!({
            "op": "cancel-after", "ms": 100, "name": "slow", "arguments": { "steps": 1000, "ms": 50 },
        }))
        .fails("cancelled by the script"),
        // What was given up has stopped, once; what ran to its end has done so once.
        commits("commits", &json!({ "slow": 2 * visits, "slow:cancelled": visits })),
    ]);
    steps
}

fn progress(client: Client) -> Step {
    let slow = json!({
        "op": "tools/call", "name": "slow", "arguments": { "steps": 2, "ms": 50 }, "progress": true,
    });
    let first = step(slow)
        .says("2 steps")
        .reports("/progress/0", json!({ "progress": 1, "total": 2, "message": "step 1" }));
    match client {
        // This one drops progress that comes in one piece with the answer.
        V1_SSE => first,
        _ => first.reports("/progress/1/message", "step 2"),
    }
}

fn introduction(sight: &Sight, client: Client) -> Vec<Step> {
    let (era, version) =
        if client.is_modern() { ("modern", "2026-07-28") } else { ("legacy", "2025-11-25") };
    let mut resources = vec!["memo://note"];
    if sight.identity != PYTHON {
        resources.push("memo://blob");
    }
    let mut identity = step(json!({ "op": "initialize" }))
        .gives("/era", era)
        .gives("/serverInfo/name", sight.identity);
    if client != V1_SSE {
        // This one does not say what it has negotiated.
        identity = identity.gives("/protocolVersion", version);
    }
    vec![
        identity,
        step(json!({ "op": "tools/list" })).lists(
            "tools",
            "name",
            &["echo", "add", "fail", "slow", "log", "ask", "touch", "environment", "commits"],
        ),
        step(json!({ "op": "resources/list" })).lists("resources", "uri", &resources),
        step(json!({ "op": "resources/templates/list" })).lists(
            "resourceTemplates",
            "uriTemplate",
            &["memo://item/{id}"],
        ),
        step(json!({ "op": "prompts/list" })).lists("prompts", "name", &["plain", "greet"]),
    ]
}

fn plain() -> Vec<Step> {
    let greet = json!({ "name": "Ada", "tone": "formal" });
    let (reference, tone) = (
        json!({ "type": "ref/prompt", "name": "greet" }),
        json!({ "name": "tone", "value": "fo" }),
    );
    vec![
        call("echo", json!({ "message": "grüße \u{1f511} \u{2028}" }))
            .says("grüße \u{1f511} \u{2028}"),
        call("add", json!({ "a": 2, "b": 40.5 }))
            .gives("/structuredContent", json!({ "sum": 42.5 })),
        call("fail", json!({})).gives("/isError", true).mentions("fail"),
        step(json!({ "op": "resources/read", "uri": "memo://note" }))
            .gives("/contents/0/text", "the first note"),
        step(json!({ "op": "resources/read", "uri": "memo://item/7" }))
            .gives("/contents/0/uri", "memo://item/7"),
        step(json!({ "op": "prompts/get", "name": "plain" }))
            .gives("/messages/0/content/text", "Say something."),
        step(json!({ "op": "prompts/get", "name": "greet", "arguments": greet }))
            .gives("/messages/0/content/text", "Greet Ada in a formal tone."),
        step(json!({ "op": "completion/complete", "ref": reference, "argument": tone }))
            .gives("/completion/values", json!(["formal"])),
    ]
}

/// What is not there: the error of the server, in the client's era.
fn refusals(sight: &Sight, client: Client) -> Vec<Step> {
    let unknown_tool = call("no_such_tool", json!({}));
    let unknown_tool = match sight.kind {
        Kind::TypescriptModern => unknown_tool.fails("no_such_tool").reports("/error/code", -32602),
        _ => unknown_tool.gives("/isError", true).mentions("no_such_tool"),
    };
    let mut unknown_resource =
        step(json!({ "op": "resources/read", "uri": "memo://nowhere" })).fails("memo://nowhere");
    if client.is_modern() {
        unknown_resource = unknown_resource.reports("/error/code", -32602);
    } else if client != V2_LEGACY && sight.kind.is_modern() {
        // The newer SDK shows every such error in the newer way.
        unknown_resource = unknown_resource.reports("/error/code", -32002);
    }
    let unknown_prompt = step(json!({ "op": "prompts/get", "name": "no_such_prompt" }));
    let unknown_prompt = match sight.kind {
        Kind::TypescriptLegacy | Kind::TypescriptModern => unknown_prompt.fails("no_such_prompt"),
        Kind::PythonLegacy | Kind::PythonModern => unknown_prompt.fails(""),
    };
    vec![unknown_tool, unknown_resource, unknown_prompt]
}

const LEGACY_NAME: &str = "legacy-server";
const MODERN_NAME: &str = "everything-v2";
const PYTHON: &str = "python-server";

fn sight(identity: &'static str, kind: Kind, entry: Value) -> Sight {
    let starts_one_each = entry["command"].is_string() && !kind.is_modern();
    Sight { identity, kind, starts_one_each, entry }
}

#[test]
fn a_legacy_server_over_http() {
    let Some(parts) = Parts::find() else { return };
    let server = Listening::legacy(&parts);
    tour(&parts, &sight(LEGACY_NAME, Kind::TypescriptLegacy, json!({ "url": server.url })));
}

#[test]
fn a_legacy_server_over_sse() {
    let Some(parts) = Parts::find() else { return };
    let server = Listening::legacy(&parts);
    tour(&parts, &sight(LEGACY_NAME, Kind::TypescriptLegacy, json!({ "url": server.sse() })));
}

#[test]
fn a_legacy_server_over_stdio() {
    let Some(parts) = Parts::find() else { return };
    let entry = started(&parts.legacy_stdio());
    tour(&parts, &sight(LEGACY_NAME, Kind::TypescriptLegacy, entry));
}

#[test]
fn a_modern_server_over_http() {
    let Some(parts) = Parts::find() else { return };
    let server = Listening::modern(&parts);
    tour(&parts, &sight(MODERN_NAME, Kind::TypescriptModern, json!({ "url": server.url })));
}

#[test]
fn a_modern_server_over_stdio() {
    let Some(parts) = Parts::find() else { return };
    let entry = started(&parts.modern_stdio());
    tour(&parts, &sight(MODERN_NAME, Kind::TypescriptModern, entry));
}

#[test]
fn a_python_server_over_http() {
    let Some(parts) = Parts::find() else { return };
    let server = Listening::python(&parts);
    tour(&parts, &sight(PYTHON, Kind::PythonModern, json!({ "url": server.url })));
}

#[test]
fn a_python_server_over_stdio_pinned_to_legacy() {
    let Some(parts) = Parts::find() else { return };
    let entry = pinned(started(&parts.python_stdio()), "legacy");
    tour(&parts, &sight(PYTHON, Kind::PythonLegacy, entry));
}
