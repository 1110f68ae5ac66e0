//! An API that runs as a process, and the gate in front of it.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{Gate, http, lines, next_line, wait_until};
use crate::interop::client::{Client, PYTHON_AUTO, V1, V2_MODERN};
use crate::interop::parts::Parts;
use crate::interop::script::{Step, check, script};

/// What lets one in everywhere.
pub(super) const KEY: &str = "open-sesame";

/// One client of each era and of each SDK.
pub(super) const CLIENTS: [Client; 3] = [V1, V2_MODERN, PYTHON_AUTO];

/// An API on a port of its own that ends with the test.
#[derive(Debug)]
pub(super) struct Service {
    child: Child,
    pub(super) url: String,
}

impl Service {
    /// One of `tests/python/services.py`, which keeps what it stores in `folder`.
    pub(super) fn python(parts: &Parts, name: &str, folder: &Path) -> Self {
        Self::start(
            Command::new(&parts.python).arg(parts.fixture("python/services.py")),
            name,
            folder,
        )
    }

    /// One of `tests/node/services.mjs`.
    pub(super) fn node(parts: &Parts, name: &str, folder: &Path) -> Self {
        Self::start(Command::new(&parts.node).arg(parts.fixture("node/services.mjs")), name, folder)
    }

    fn start(command: &mut Command, name: &str, folder: &Path) -> Self {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder).expect("the folder can be made");
        let mut child = command
            .arg(name)
            .arg(&folder)
            .env("PORT", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the service starts");
        let said = lines(child.stdout.take().expect("stdout is a pipe"));
        let line = next_line(&said).expect("the service says where it listens");
        let line: Value = serde_json::from_str(&line).expect("the line is JSON");
        let url = line["listening"].as_str().expect("a URL").to_owned();
        Self { child, url }
    }

    /// Asks it for something past the gate: the status and the body.
    pub(super) fn get(&self, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
        http("GET", &format!("{}{path}", self.url), headers, "")
    }

    /// Asks it for JSON past the gate.
    pub(super) fn json(&self, path: &str, headers: &[(&str, &str)]) -> Value {
        let (status, body) = self.get(path, headers);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}"))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A gate with these APIs, each of which has read its document and offers tools.
pub(super) fn gate(home: &Path, servers: &Value) -> Gate {
    let configuration = json!({ "servers": servers, "log": { "level": "warn" } });
    std::fs::write(home.join("gate.json"), configuration.to_string()).expect("it can be written");
    let gate = Gate::start(home, &["gate.json"]);
    for name in servers.as_object().expect("servers by name").keys() {
        wait_until("the API offers its tools", || !gate.tools(&path(name)).is_empty());
    }
    gate
}

/// The endpoint of one server alone.
pub(super) fn path(server: &str) -> String {
    format!("/servers/{server}/mcp")
}

/// Runs steps as `client` and compares what comes of them.
pub(super) fn play(parts: &Parts, gate: &Gate, path: &str, client: Client, steps: &[Step]) {
    let report = client.run(parts, &gate.url(path), &script(steps, &json!({})));
    check(&format!("{client:?}"), steps, &report);
}
