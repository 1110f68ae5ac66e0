//! The servers: one process for each that listens, commands for the others, and a gate before all.

use std::any::Any;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::runtime::Handle;
use wire::Version;

use super::ends::{End, SERVERS, Sdk, Transport};
use crate::harness::{Gate, lines, next_line};
use crate::interop::parts::Parts;
use crate::interop::rust_sdk::player;
use crate::interop::rust_sdk::server::Rust;

/// The servers' lists come in pages of this size, so that every list that the gate reads has some.
pub(super) const PAGE: usize = 7;

/// How the journals name the end of a tool that was cancelled.
const CANCELLED: &str = ":cancelled";

/// The servers that also stand behind the composed endpoint: one of each era and transport.
pub(super) const MIXED: &str = "/mixed";

/// Everything between a client and what it reaches.
pub(super) struct Stage {
    pub(super) gate: Gate,
    pub(super) servers: Vec<Server>,
    _home: TempDir,
}

/// One server behind the gate.
pub(super) struct Server {
    pub(super) end: End,
    pub(super) journal: Journal,
    /// What ends with the test; nothing where the gate starts it.
    _running: Option<Box<dyn Any + Send + Sync>>,
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Stage {
    /// Starts everything; the servers of the Rust SDK live in `runtime`.
    pub(super) fn build(parts: &Parts, runtime: &Handle) -> Self {
        let home = tempfile::tempdir().expect("a directory can be made");
        let place = home.path();
        let raised: Vec<_> = thread::scope(|scope| {
            let raising = SERVERS.map(|end| scope.spawn(move || raise(parts, place, runtime, end)));
            raising.map(|server| server.join().expect("the server starts")).into()
        });
        let (servers, entries): (Vec<Server>, Vec<Value>) = raised.into_iter().unzip();
        let entries: Map<_, _> =
            servers.iter().map(|server| server.end.name()).zip(entries).collect();
        let mixed: Vec<_> =
            SERVERS.into_iter().filter(|&end| is_mixed(end)).map(End::name).collect();
        let configuration = json!({
            "servers": entries,
            "endpoints": { "/mcp": { "servers": "*" }, MIXED: { "servers": mixed } },
            "log": { "level": "warn" },
        });
        let file = home.path().join("gate.json");
        std::fs::write(&file, configuration.to_string()).expect("the file can be written");
        let gate = Gate::start(home.path(), &["gate.json"]);
        Self { gate, servers, _home: home }
    }
}

/// Whether a server stands behind the composed endpoint as well.
pub(super) fn is_mixed(server: End) -> bool {
    let oldest = (Version::V2024_11_05, Transport::Sse);
    let newest_legacy = (Version::V2025_11_25, Transport::Http);
    let modern = (Version::V2026_07_28, Transport::Http);
    matches!(server.sdk, Sdk::TypescriptV1 | Sdk::TypescriptV2)
        && [oldest, newest_legacy, modern].contains(&(server.version, server.transport))
}

/// Starts what listens; the server and its entry in the configuration.
fn raise(parts: &Parts, home: &Path, runtime: &Handle, end: End) -> (Server, Value) {
    let text = |path: &Path| path.to_str().expect("the path is text").to_owned();
    let path = home.join(format!("{}.journal", end.name()));
    let mut arguments = vec!["--page-size".into(), PAGE.to_string()];
    arguments.extend(["--journal".into(), text(&path)]);
    let only = ["--version".into(), end.version.to_string()];
    let (program, script) = match end.sdk {
        Sdk::TypescriptV1 => (&parts.node, "node/legacy-server.mjs"),
        Sdk::TypescriptV2 => (&parts.node, "node/everything-v2.mjs"),
        Sdk::Python => (&parts.python, "python/server.py"),
        Sdk::Rust => return raise_here(runtime, end),
    };
    // The server of the TypeScript SDK v2 speaks one version in any case.
    if end.sdk != Sdk::TypescriptV2 {
        arguments.extend(only);
    }
    match (end.transport, end.sdk) {
        (Transport::Stdio, _) => arguments.push("--stdio".into()),
        (Transport::Sse, Sdk::Python) => arguments.push("--sse".into()),
        _ => {}
    }
    arguments.insert(0, text(&parts.fixture(script)));
    let journal = Journal::File(path);
    if end.transport == Transport::Stdio {
        let entry = json!({ "command": text(program), "args": arguments });
        return (Server { end, journal, _running: None }, entry);
    }
    let (process, url) = listening(Command::new(program).args(arguments));
    let url = match end.transport {
        Transport::Sse => url.replace("/mcp", "/sse"),
        _ => url,
    };
    let entry = json!({ "url": url });
    (Server { end, journal, _running: Some(Box::new(process)) }, entry)
}

fn raise_here(runtime: &Handle, end: End) -> (Server, Value) {
    let version = serde_json::from_value(json!(end.version.as_str())).expect("a version");
    let server = runtime.block_on(Rust::start_as(Some(version), Some(PAGE)));
    let url = server.url.clone();
    let entry = json!({ "url": url });
    let journal = Journal::Tools { url, version: end.version, runtime: runtime.clone() };
    (Server { end, journal, _running: Some(Box::new(server)) }, entry)
}

fn listening(command: &mut Command) -> (Process, String) {
    let mut child = command
        .env("PORT", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the server starts");
    let said = lines(child.stdout.take().expect("stdout is a pipe"));
    let process = Process(child);
    let line = next_line(&said).expect("the server says where it listens");
    let line: Value = serde_json::from_str(&line).expect("the line is JSON");
    (process, line["listening"].as_str().expect("a URL").to_owned())
}

/// What a server has counted, by the keys of its calls.
pub(super) enum Journal {
    /// Its processes write down every call that comes, and every effect.
    File(PathBuf),
    /// It lives in this process, and is asked with its own tools.
    Tools { url: String, version: Version, runtime: Handle },
}

/// How often a server was called with a key, and how often that had an effect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) requests: usize,
    pub(super) commits: usize,
    pub(super) cancelled: usize,
}

impl Journal {
    pub(super) fn count(&self, key: &str) -> Count {
        self.read().remove(key).unwrap_or_default()
    }

    /// All counts.
    pub(super) fn read(&self) -> HashMap<String, Count> {
        match self {
            Self::File(path) => written(&std::fs::read_to_string(path).unwrap_or_default()),
            Self::Tools { url, version, runtime } => {
                let steps = ["requests", "commits"]
                    .map(|tool| json!({ "op": "tools/call", "name": tool, "arguments": {} }));
                let report = runtime.block_on(player::play(url, version.as_str(), &json!(steps)));
                told(&report["steps"])
            }
        }
    }
}

/// The counts of a journal's lines.
fn written(text: &str) -> HashMap<String, Count> {
    let mut counts = HashMap::<String, Count>::new();
    for line in text.lines() {
        // The last line may be half written.
        let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
        let (Some(key), Some(name)) = (line["key"].as_str(), line["name"].as_str()) else {
            continue;
        };
        let count = counts.entry(key.to_owned()).or_default();
        match line["event"].as_str() {
            Some("request") => count.requests += 1,
            Some("commit") if name.ends_with(CANCELLED) => count.cancelled += 1,
            Some("commit") => count.commits += 1,
            _ => {}
        }
    }
    counts
}

/// The counts of the tools `requests` and `commits`: `TOOL:KEY` and how often.
fn told(entries: &Value) -> HashMap<String, Count> {
    let mut counts = HashMap::<String, Count>::new();
    for (at, is_request) in [(0, true), (1, false)] {
        let text = entries[at]["result"]["content"][0]["text"].as_str().unwrap_or("{}");
        let told: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
        for (name, number) in told {
            let (name, is_cancelled) = match name.split_once(":cancelled:") {
                Some((_, key)) => (format!("slow:{key}"), true),
                None => (name, false),
            };
            let Some((_, key)) = name.split_once(':') else { continue };
            let number = number.as_u64().and_then(|number| usize::try_from(number).ok());
            let count = counts.entry(key.to_owned()).or_default();
            let counter = match (is_request, is_cancelled) {
                (true, _) => &mut count.requests,
                (false, true) => &mut count.cancelled,
                (false, false) => &mut count.commits,
            };
            *counter += number.unwrap_or_default();
        }
    }
    counts
}
