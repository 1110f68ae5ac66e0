//! The clients: one process for each SDK (none for that of Rust), which runs the scripts of all
//! cells.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::ends::{End, Sdk, Transport};
use crate::interop::parts::Parts;
use crate::interop::rust_sdk::player::play;

/// Each step of a script may take this long; starting a process is part of one.
const STEP_MS: u64 = 15_000;
/// Each script may take this long, those of a whole column of cells included.
const SCRIPT_MS: u64 = 120_000;
/// How long a report may be on its way when the script's time is over.
const GRACE: Duration = Duration::from_secs(20);

/// All clients.
pub(super) struct Players {
    typescript_v1: Player,
    typescript_v2: Player,
    python: Player,
    runtime: Handle,
}

impl Players {
    /// Starts them; the client of the Rust SDK lives in `runtime`.
    pub(super) fn start(parts: &Parts, runtime: &Handle) -> Self {
        let node = |script: &str| {
            let mut command = Command::new(&parts.node);
            command.arg(parts.fixture(script));
            command
        };
        let mut python = Command::new(&parts.python);
        python.arg(parts.fixture("python/client.py"));
        Self {
            typescript_v1: Player::start(node("node/client-v1.mjs")),
            typescript_v2: Player::start(node("node/client-v2.mjs")),
            python: Player::start(python),
            runtime: runtime.clone(),
        }
    }

    /// Runs steps as `client` at `url`; the report, or why there is none.
    pub(super) fn play(
        &self,
        client: End,
        url: &str,
        answers: &Value,
        steps: &[Value],
    ) -> Result<Value, String> {
        let (url, transport) = match client.transport {
            Transport::Sse if !url.ends_with("/sse") => (format!("{url}/sse"), "sse"),
            Transport::Sse => (url.to_owned(), "sse"),
            _ => (url.to_owned(), "http"),
        };
        let options = json!({
            "era": if client.is_modern() { "modern" } else { "legacy" },
            "version": client.version.as_str(),
            "transport": transport,
            "answers": answers,
            "timeout_ms": STEP_MS,
            "deadline_ms": SCRIPT_MS,
        });
        let script = json!({ "options": options, "steps": steps });
        let player = match client.sdk {
            Sdk::TypescriptV1 => &self.typescript_v1,
            Sdk::TypescriptV2 => &self.typescript_v2,
            Sdk::Python => &self.python,
            Sdk::Rust => {
                let playing = play(&url, client.version.as_str(), &script);
                return Ok(self.runtime.block_on(playing));
            }
        };
        player.run(json!({ "url": url, "script": script }))
    }
}

/// The reports that are waited for, by the id of their job.
type Waiting = Arc<Mutex<HashMap<u64, Sender<Value>>>>;

struct Player {
    child: Child,
    jobs: Mutex<ChildStdin>,
    next: AtomicU64,
    waiting: Waiting,
}

impl Player {
    fn start(mut command: Command) -> Self {
        let mut child = command
            .arg("--serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the client starts");
        let jobs = Mutex::new(child.stdin.take().expect("stdin is a pipe"));
        let reports = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        let waiting = Waiting::default();
        let expected = Arc::clone(&waiting);
        thread::spawn(move || {
            for line in reports.lines().map_while(Result::ok) {
                let Ok(report) = serde_json::from_str::<Value>(&line) else { continue };
                let id = report["id"].as_u64();
                let mut expected = expected.lock().expect("no panic while it is held");
                if let Some(waiting) = id.and_then(|id| expected.remove(&id)) {
                    // Whoever waited may have given up.
                    let _ = waiting.send(report);
                }
            }
            // Nobody shall wait for a process that has ended.
            expected.lock().expect("no panic while it is held").clear();
        });
        Self { child, jobs, next: AtomicU64::new(1), waiting }
    }

    fn run(&self, mut job: Value) -> Result<Value, String> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        job["id"] = json!(id);
        let (sender, report) = channel();
        self.waiting.lock().expect("no panic while it is held").insert(id, sender);
        let line = format!("{job}\n");
        let sent = self.jobs.lock().expect("no panic while it is held").write_all(line.as_bytes());
        sent.map_err(|error| format!("the client takes no more jobs: {error}"))?;
        let patience = Duration::from_millis(SCRIPT_MS) + GRACE;
        let report = report.recv_timeout(patience);
        report.map_err(|error| format!("the client does not report: {error}"))
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
