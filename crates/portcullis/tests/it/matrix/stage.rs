//! The servers: one process for each that listens, commands for the others, and a gate before all.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::ends::{End, SERVERS, Sdk, Transport};
use crate::harness::{Gate, lines, next_line};
use crate::interop::parts::Parts;

/// The servers' lists come in pages of this size, so that every list that the gate reads has some.
pub(super) const PAGE: usize = 7;

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
    _process: Option<Process>,
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Stage {
    pub(super) fn build(parts: &Parts) -> Self {
        let home = tempfile::tempdir().expect("a directory can be made");
        let place = home.path();
        let raised: Vec<_> = thread::scope(|scope| {
            let raising = SERVERS.map(|end| scope.spawn(move || raise(parts, place, end)));
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
    use wire::Version;
    let oldest = (Version::V2024_11_05, Transport::Sse);
    let newest_legacy = (Version::V2025_11_25, Transport::Http);
    let modern = (Version::V2026_07_28, Transport::Http);
    server.sdk != Sdk::Python
        && [oldest, newest_legacy, modern].contains(&(server.version, server.transport))
}

/// Starts what listens; the server and its entry in the configuration.
fn raise(parts: &Parts, home: &Path, end: End) -> (Server, Value) {
    let journal = Journal { path: home.join(format!("{}.journal", end.name())) };
    let (program, script) = match end.sdk {
        Sdk::TypescriptV1 => (&parts.node, "node/legacy-server.mjs"),
        Sdk::TypescriptV2 => (&parts.node, "node/everything-v2.mjs"),
        Sdk::Python => (&parts.python, "python/server.py"),
    };
    let text = |path: &Path| path.to_str().expect("the path is text").to_owned();
    let mut arguments = vec![text(&parts.fixture(script))];
    if end.sdk != Sdk::TypescriptV2 {
        arguments.extend(["--version".into(), end.version.to_string()]);
    }
    arguments.extend(["--page-size".into(), PAGE.to_string()]);
    arguments.extend(["--journal".into(), text(&journal.path)]);
    if end.transport == Transport::Stdio {
        arguments.push("--stdio".into());
        let entry = json!({ "command": text(program), "args": arguments });
        return (Server { end, journal, _process: None }, entry);
    }
    if end.sdk == Sdk::Python && end.transport == Transport::Sse {
        arguments.push("--sse".into());
    }
    let (process, url) = listening(Command::new(program).args(arguments));
    let url = match end.transport {
        Transport::Sse => url.replace("/mcp", "/sse"),
        _ => url,
    };
    let entry = json!({ "url": url });
    (Server { end, journal, _process: Some(process) }, entry)
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

/// What the processes of one server have written down: every call that came, every effect.
pub(super) struct Journal {
    path: PathBuf,
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
        let text = std::fs::read_to_string(&self.path).unwrap_or_default();
        let mut count = Count::default();
        for line in text.lines().filter(|line| line.contains(key)) {
            let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
            if line["key"] != key {
                continue;
            }
            let is_cancelled =
                line["name"].as_str().is_some_and(|name| name.ends_with(":cancelled"));
            match line["event"].as_str() {
                Some("request") => count.requests += 1,
                Some("commit") if is_cancelled => count.cancelled += 1,
                Some("commit") => count.commits += 1,
                _ => {}
            }
        }
        count
    }
}
