//! Processes that are killed while their calls are parked.

use std::fs;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::client::{Asked, ask, call, is_done, is_expired, retry};
use super::stage::Stage;
use crate::interop::parts::Parts;

/// Calls and deeds of a server, as it wrote them down.
struct Journal(std::path::PathBuf);

impl Journal {
    /// How often the tool `ask` was called, and how often it did its deed, with this key.
    fn counts(&self, key: &str) -> (usize, usize) {
        let text = fs::read_to_string(&self.0).unwrap_or_default();
        let lines = text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON"));
        let mine: Vec<Value> = lines.filter(|line: &Value| line["key"] == key).collect();
        let of = |event: &str| mine.iter().filter(|line| line["event"] == event).count();
        (of("request"), of("commit"))
    }

    /// The processes of this journal whose program is `program`: not the guardians above them.
    fn servers(&self, program: &Path) -> Vec<Pid> {
        let processes = fs::read_dir("/proc").expect("/proc is there").flatten();
        let line = |pid: &str| fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        processes
            .filter_map(|process| {
                let pid = process.file_name().into_string().ok()?;
                let line = String::from_utf8(line(&pid)).ok()?;
                let mut words = line.split('\0');
                let is_program = words.next()? == program.to_str()?;
                let has_journal = words.any(|word| Path::new(word) == self.0);
                (is_program && has_journal).then(|| Pid::from_raw(pid.parse().ok()?))?
            })
            .collect()
    }
}

async fn is_killed_while_a_call_is_parked(program: &Path, script: &Path) {
    let folder = tempfile::tempdir().expect("a directory can be made");
    let journal = Journal(folder.path().join("journal"));
    let args = json!([script, "--stdio", "--version", "2025-11-25", "--journal", journal.0]);
    let entry = json!({"command": program, "args": args, "era": "legacy"});
    let stage = Stage::before(entry, json!({})).await;
    let mut connection = stage.connect().await;

    for key in ["first", "second"] {
        let asked = Asked::of(&connection.send(&call(ask(key))).await);
        let parked = stage.numbers();
        assert_eq!((parked.parked, parked.conversations, parked.children), (1, 1, 1), "{parked:?}");
        let servers = journal.servers(program);
        assert_eq!(servers.len(), 1, "one process");
        kill_process(servers[0], Signal::KILL).expect("it lives");
        stage.shows("no process", |numbers| numbers.children == 0).await;

        let answer = connection.send(&retry(ask(key), &asked)).await;
        assert!(is_expired(&answer), "{}", answer.text());
        assert_eq!(stage.numbers().parked, 0);
        assert_eq!(journal.counts(key), (1, 0), "called once, and nothing came of it");
    }

    // The next call starts it again.
    let asked = Asked::of(&connection.send(&call(ask("last"))).await);
    assert_eq!(stage.numbers().children, 1);
    let answer = connection.send(&retry(ask("last"), &asked)).await;
    assert!(is_done(&answer), "{}", answer.text());
    assert_eq!(journal.counts("last"), (1, 1));
    assert_eq!(journal.counts("first"), (1, 0), "not even now");
    drop(connection);
    stage.is_at_rest("after the process was idle").await;
    assert_eq!(journal.servers(program), []);
    stage.is_closed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_typescript_server_is_killed_while_a_call_is_parked() {
    let Some(parts) = Parts::find() else { return };
    let script = parts.fixture("node/legacy-server.mjs");
    is_killed_while_a_call_is_parked(&parts.node, &script).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_python_server_is_killed_while_a_call_is_parked() {
    let Some(parts) = Parts::find() else { return };
    let script = parts.fixture("python/server.py");
    is_killed_while_a_call_is_parked(&parts.python, &script).await;
}
