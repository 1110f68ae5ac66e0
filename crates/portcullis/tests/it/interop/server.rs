//! Real servers: as processes that listen, and as commands that the gate starts itself.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::parts::Parts;
use crate::harness::{lines, next_line, wait_until};

/// A server that listens on a port of its own and ends with the test.
#[derive(Debug)]
pub(super) struct Listening {
    child: Child,
    pub(super) url: String,
}

impl Listening {
    /// Up to 2025-11-25 on `/mcp`, HTTP+SSE of 2024-11-05 on `/sse` (TypeScript SDK v1).
    pub(super) fn legacy(parts: &Parts) -> Self {
        Self::announced(Command::new(&parts.node).arg(parts.fixture("node/legacy-server.mjs")))
    }

    /// 2026-07-28 alone (TypeScript SDK v2).
    pub(super) fn modern(parts: &Parts) -> Self {
        Self::announced(Command::new(&parts.node).arg(parts.fixture("node/everything-v2.mjs")))
    }

    /// Both eras, with what the conformance suite asks for (TypeScript SDK v2).
    pub(super) fn conformance(parts: &Parts) -> Self {
        Self::announced(Command::new(&parts.node).arg(parts.fixture("node/conformance-server.mjs")))
    }

    /// Every version (Python SDK).
    pub(super) fn python(parts: &Parts) -> Self {
        Self::announced(Command::new(&parts.python).arg(parts.fixture("python/server.py")))
    }

    /// The reference server in one of its ways, `streamableHttp` or `sse`, at `path`.
    pub(super) fn everything(parts: &Parts, way: &str, path: &str) -> Self {
        // It says the port that it was given, not the one that it has got, so it is given one.
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let child = Command::new(&parts.node)
            .arg(parts.module(EVERYTHING))
            .arg(way)
            .env("PORT", port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("node starts");
        wait_until("the reference server listens", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Self { child, url: format!("http://127.0.0.1:{port}{path}") }
    }

    /// A server of the tests, which says where it listens.
    fn announced(command: &mut Command) -> Self {
        let mut child = command
            .env("PORT", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        let said = lines(child.stdout.take().expect("stdout is a pipe"));
        let line = next_line(&said).expect("the server says where it listens");
        let line: Value = serde_json::from_str(&line).expect("the line is JSON");
        let url = line["listening"].as_str().expect("a URL").to_owned();
        Self { child, url }
    }

    /// The URL of HTTP+SSE, where the server has that as well.
    pub(super) fn sse(&self) -> String {
        self.url.replace("/mcp", "/sse")
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const EVERYTHING: &str = "@modelcontextprotocol/server-everything/dist/index.js";

/// A command line: the program and its arguments.
pub(super) type CommandLine = Vec<String>;

/// The command lines of stdio servers.
impl Parts {
    pub(super) fn legacy_stdio(&self) -> CommandLine {
        self.node_script(&self.fixture("node/legacy-server.mjs"), &["--stdio"])
    }

    pub(super) fn modern_stdio(&self) -> CommandLine {
        self.node_script(&self.fixture("node/everything-v2.mjs"), &["--stdio"])
    }

    pub(super) fn python_stdio(&self) -> CommandLine {
        line(&self.python, &[&text(&self.fixture("python/server.py")), "--stdio"])
    }

    pub(super) fn everything_stdio(&self) -> CommandLine {
        self.node_script(&self.module(EVERYTHING), &[])
    }

    pub(super) fn filesystem(&self, folder: &Path) -> CommandLine {
        let script = "@modelcontextprotocol/server-filesystem/dist/index.js";
        self.node_script(&self.module(script), &[&text(folder)])
    }

    pub(super) fn memory(&self) -> CommandLine {
        self.node_script(&self.module("@modelcontextprotocol/server-memory/dist/index.js"), &[])
    }

    pub(super) fn time(&self) -> CommandLine {
        line(&self.program("mcp-server-time"), &["--local-timezone", "UTC"])
    }

    pub(super) fn git(&self, repository: &Path) -> CommandLine {
        line(&self.program("mcp-server-git"), &["--repository", &text(repository)])
    }

    fn node_script(&self, script: &Path, args: &[&str]) -> CommandLine {
        let mut whole = vec![text(script)];
        whole.extend(args.iter().map(|&arg| arg.to_owned()));
        let whole: Vec<&str> = whole.iter().map(String::as_str).collect();
        line(&self.node, &whole)
    }
}

fn line(program: &Path, args: &[&str]) -> CommandLine {
    let mut line = vec![text(program)];
    line.extend(args.iter().map(|&arg| arg.to_owned()));
    line
}

pub(super) fn text(path: &Path) -> String {
    path.to_str().expect("the path is text").to_owned()
}

/// The entry of a configuration for a server that the gate starts.
pub(super) fn started(command: &[String]) -> Value {
    json!({ "command": command[0], "args": command[1..] })
}

/// The entry of a configuration for a server that is pinned to an era.
pub(super) fn pinned(mut server: Value, era: &str) -> Value {
    server["era"] = json!(era);
    server
}

/// Writes a configuration with these servers and starts the gate before them.
pub(super) fn gate(home: &Path, configuration: &Value) -> crate::harness::Gate {
    let mut configuration = configuration.clone();
    configuration["log"] = json!({ "level": "warn" });
    let file = home.join("gate.json");
    std::fs::write(&file, configuration.to_string()).expect("the file can be written");
    crate::harness::Gate::start(home, &["gate.json"])
}
