//! Real clients: one SDK, one transport, one era each, which run a script and report.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::parts::Parts;
use super::server::text;

/// The client of an SDK as it is used in a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    sdk: Sdk,
    /// What it opens the conversation with: `auto`, `modern` or `legacy`.
    era: &'static str,
    transport: Transport,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sdk {
    TypescriptV1,
    TypescriptV2,
    Python,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Http,
    /// HTTP+SSE of 2024-11-05, at `ENDPOINT/sse`.
    Sse,
    /// A gate of its own, started as `portcullis stdio`.
    Stdio,
}

const fn client(sdk: Sdk, era: &'static str, transport: Transport) -> Client {
    Client { sdk, era, transport }
}

pub(crate) const V1: Client = client(Sdk::TypescriptV1, "legacy", Transport::Http);
pub(crate) const V1_SSE: Client = client(Sdk::TypescriptV1, "legacy", Transport::Sse);
pub(crate) const V1_STDIO: Client = client(Sdk::TypescriptV1, "legacy", Transport::Stdio);
pub(crate) const V2_AUTO: Client = client(Sdk::TypescriptV2, "auto", Transport::Http);
pub(crate) const V2_MODERN: Client = client(Sdk::TypescriptV2, "modern", Transport::Http);
pub(crate) const V2_LEGACY: Client = client(Sdk::TypescriptV2, "legacy", Transport::Http);
pub(crate) const V2_STDIO: Client = client(Sdk::TypescriptV2, "modern", Transport::Stdio);
pub(crate) const PYTHON_AUTO: Client = client(Sdk::Python, "auto", Transport::Http);
pub(crate) const PYTHON_LEGACY: Client = client(Sdk::Python, "legacy", Transport::Http);
pub(crate) const PYTHON_STDIO: Client = client(Sdk::Python, "auto", Transport::Stdio);

/// Clients of the legacy era.
pub(crate) const LEGACY: [Client; 4] = [V1, V1_SSE, V2_LEGACY, PYTHON_LEGACY];
/// Clients of the modern era.
pub(crate) const MODERN: [Client; 2] = [V2_MODERN, PYTHON_AUTO];

impl Client {
    /// Whether it speaks 2026-07-28 with the gate, which speaks everything.
    pub(crate) fn is_modern(self) -> bool {
        self.era != "legacy"
    }

    /// Runs a script through the endpoint at `url`.
    pub(crate) fn run(self, parts: &Parts, url: &str, script: &Value) -> Value {
        let (url, flag) = match self.transport {
            Transport::Http => (url.to_owned(), None),
            Transport::Sse => (format!("{url}/sse"), Some("--sse")),
            Transport::Stdio => panic!("{self:?} starts a gate of its own"),
        };
        let mut command = self.program(parts);
        command.arg(url).arg(script.to_string()).args(flag);
        self.report(&mut command)
    }

    /// Runs a script through a gate that the client starts itself, as hosts do.
    pub(crate) fn run_host(
        self,
        parts: &Parts,
        home: &Path,
        endpoint: &str,
        script: &Value,
    ) -> Value {
        assert_eq!(self.transport, Transport::Stdio, "{self:?} has a URL");
        let mut command = self.program(parts);
        command.arg("--stdio").arg(script.to_string()).arg("--");
        command.args([env!("CARGO_BIN_EXE_portcullis"), "stdio"]);
        command.args([&text(&home.join("gate.json")), "--endpoint", endpoint]);
        command.env("HOME", home);
        self.report(&mut command)
    }

    fn program(self, parts: &Parts) -> Command {
        let (program, script) = match self.sdk {
            Sdk::TypescriptV1 => (&parts.node, "node/client-v1.mjs"),
            Sdk::TypescriptV2 => (&parts.node, "node/client-v2.mjs"),
            Sdk::Python => (&parts.python, "python/client.py"),
        };
        let mut command = Command::new(program);
        command.arg(parts.fixture(script)).arg(format!("--era={}", self.era));
        command
    }

    /// The client ends by itself, at the latest after the deadline of its script.
    fn report(self, command: &mut Command) -> Value {
        let output = command.stdin(Stdio::null()).output().expect("the client starts");
        let said = String::from_utf8_lossy(&output.stdout);
        let complained = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{self:?} {}: {said}\n{complained}", output.status);
        serde_json::from_str(&said)
            .unwrap_or_else(|error| panic!("{self:?}: {error}: {said}\n{complained}"))
    }
}
