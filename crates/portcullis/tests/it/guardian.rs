//! Whatever ends the gate, a server and everything it started end too.
#![cfg(target_os = "linux")]

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// The promise: this long after the gate's death nothing lives.
const PROMISE: Duration = Duration::from_secs(2);
/// For everything else a test waits for.
const PATIENCE: Duration = Duration::from_secs(20);

fn guardian(options: &[&str], command: &[&str]) -> Command {
    let mut guardian = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    guardian.arg("guardian").args(options).arg("--").args(command);
    guardian.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    guardian
}

fn run(command: &[&str], input: &[u8]) -> Output {
    let mut child = guardian(&[], command).spawn().expect("the guardian starts");
    child.stdin.take().expect("stdin is a pipe").write_all(input).expect("the pipe takes input");
    child.wait_with_output().expect("the guardian ends")
}

/// Whether a process with the id exists and is more than a zombie.
fn lives(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or("").trim_start().starts_with('Z'))
}

/// Processes whose environment holds `mark`, however they were started.
fn marked(mark: &str) -> Vec<i32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("/proc is there").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        if lives(pid) && environment.split(|byte| *byte == 0).any(|word| word == mark.as_bytes()) {
            found.push(pid);
        }
    }
    found
}

fn wait_until(limit: Duration, what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < limit, "{what} did not happen within {limit:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A server behind a process that stands for the gate: it holds the other end of the server's stdin.
struct Gated {
    gate: Child,
    mark: String,
    directory: tempfile::TempDir,
}

impl Gated {
    /// Starts `script`, which finds a directory of its own in `$DIR`.
    fn start(name: &str, options: &str, script: &str, environment: &[(&str, &Path)]) -> Self {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let mark = format!("GUARDIAN_TEST={name}-{}", std::process::id());
        // The gate is a shell that starts the guardian and alone holds the other end of its stdin, as
        // descriptor 9. It lives as long as the test keeps the shell's own stdin open.
        let gate_script = format!(
            "mkfifo \"$DIR/input\"; '{}' guardian {options} -- sh -c \"$SCRIPT\" < \"$DIR/input\" & \
             exec 9> \"$DIR/input\"; while read -r line; do printf '%s\\n' \"$line\" >&9; done",
            env!("CARGO_BIN_EXE_portcullis")
        );
        let mut gate = Command::new("sh");
        gate.args(["-c", &gate_script])
            .env("DIR", directory.path())
            .env("SCRIPT", script)
            .env("GUARDIAN_TEST", mark.trim_start_matches("GUARDIAN_TEST="))
            .stdin(Stdio::piped())
            .stdout(Stdio::null());
        for (key, value) in environment {
            gate.env(key, value);
        }
        Self { gate: gate.spawn().expect("sh starts"), mark, directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Waits until the script has made the file `name`.
    fn wait_for(&self, name: &str) {
        wait_until(PATIENCE, name, || self.path(name).exists());
    }

    /// Kills the gate without notice and checks the promise.
    fn kill_gate_and_expect_nobody(mut self) {
        assert!(marked(&self.mark).len() >= 3, "gate, guardian and server run");
        self.gate.kill().expect("the gate can be killed");
        let start = Instant::now();
        self.gate.wait().expect("the gate can be waited for");
        let mut left = marked(&self.mark);
        while !left.is_empty() && start.elapsed() < PROMISE {
            std::thread::sleep(Duration::from_millis(10));
            left = marked(&self.mark);
        }
        let names: Vec<_> = left
            .iter()
            .map(|pid| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default())
            .collect();
        assert!(left.is_empty(), "still alive after {PROMISE:?}: {left:?} {names:?}");
    }
}

impl Drop for Gated {
    fn drop(&mut self) {
        for pid in marked(&self.mark) {
            let _ = kill_process(Pid::from_raw(pid).expect("a process id"), Signal::KILL);
        }
        let _ = self.gate.wait();
    }
}

#[test]
fn exit_codes_are_the_servers() {
    assert_eq!(run(&["sh", "-c", "exit 0"], b"").status.code(), Some(0));
    assert_eq!(run(&["sh", "-c", "exit 7"], b"").status.code(), Some(7));
    assert_eq!(run(&["sh", "-c", "kill -9 $$"], b"").status.code(), Some(137));
}

#[test]
fn input_and_output_pass_unchanged() {
    let input = "{\"jsonrpc\":\"2.0\"}\n".repeat(20_000);
    let mut child = guardian(&[], &["cat"]).spawn().expect("the guardian starts");
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    let text = input.clone();
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().expect("the guardian ends");
    writer.join().expect("the writer ends").expect("the pipe takes input");
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout == input.as_bytes(), "cat repeats its input");
}

#[test]
fn a_missing_command_is_explained() {
    let output = run(&["no-such-command-here"], b"");
    assert_eq!(output.status.code(), Some(127));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.starts_with("command not found: no-such-command-here; "), "{text}");

    let directory = tempfile::tempdir().expect("a directory can be made");
    let file = directory.path().join("plain");
    std::fs::write(&file, "text").expect("a file can be written");
    let output = run(&[file.to_str().expect("the path is text")], b"");
    assert_eq!(output.status.code(), Some(126));
    assert!(String::from_utf8_lossy(&output.stderr).contains("not executable"));
}

#[test]
fn the_gate_sees_the_end_of_output_when_the_server_ends() {
    // The left-over process keeps no pipe; the guardian must not keep one either.
    let script =
        "trap '' TERM; setsid sh -c \"trap '' TERM; sleep 60\" >/dev/null 2>&1 & echo done";
    let mut child =
        guardian(&["--grace-ms", "5000"], &["sh", "-c", script]).spawn().expect("it starts");
    let _stdin = child.stdin.take();
    let start = Instant::now();
    let mut text = String::new();
    child.stdout.take().expect("stdout is a pipe").read_to_string(&mut text).expect("text");
    assert_eq!(text, "done\n");
    assert!(start.elapsed() < Duration::from_secs(4), "stdout closed with the server");
    kill_process(Pid::from_child(&child), Signal::KILL).expect("the guardian can be killed");
    child.wait().expect("the guardian can be waited for");
}

#[test]
fn a_server_that_ends_leaves_nobody() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let file = directory.path().join("pid");
    let script = format!(
        "setsid sh -c 'echo $$ > {0}.new; mv {0}.new {0}; sleep 60' & while ! [ -e {0} ]; do sleep 0.01; done; exit 3",
        file.display()
    );
    let mut child =
        guardian(&["--grace-ms", "100"], &["sh", "-c", &script]).spawn().expect("it starts");
    let _stdin = child.stdin.take();
    assert_eq!(child.wait().expect("the guardian ends").code(), Some(3));
    let pid = std::fs::read_to_string(file).expect("the script wrote its id");
    assert!(!lives(pid.trim().parse().expect("a process id")));
}

#[test]
fn sigterm_ends_a_server_whose_input_stays_open() {
    let mut child =
        guardian(&["--grace-ms", "100"], &["sh", "-c", "trap '' TERM; echo up; sleep 60"])
            .spawn()
            .expect("it starts");
    let _stdin = child.stdin.take();
    let mut up = [0; 3];
    child.stdout.take().expect("stdout is a pipe").read_exact(&mut up).expect("the script says up");
    kill_process(Pid::from_child(&child), Signal::TERM).expect("the guardian can be signalled");
    let mut code = None;
    wait_until(PATIENCE, "the end", || {
        code = child.try_wait().expect("the guardian can be waited for");
        code.is_some()
    });
    assert_eq!(code.and_then(|status| status.code()), Some(137));
}

#[test]
fn a_killed_guardian_takes_the_server_along() {
    let mut child =
        guardian(&[], &["sh", "-c", "echo $$; exec sleep 60"]).spawn().expect("it starts");
    let _stdin = child.stdin.take();
    let mut text = String::new();
    let mut stdout = std::io::BufReader::new(child.stdout.take().expect("stdout is a pipe"));
    std::io::BufRead::read_line(&mut stdout, &mut text).expect("the script says its id");
    let server = text.trim().parse().expect("a process id");
    assert!(lives(server));
    child.kill().expect("the guardian can be killed");
    child.wait().expect("the guardian can be waited for");
    wait_until(PROMISE, "the server's end", || !lives(server));
}

#[test]
fn after_kill_9_of_the_gate_a_double_fork_in_a_new_session_ends() {
    let script = "setsid sh -c 'setsid sleep 600 & touch \"$DIR/forked\"' & \
                  while ! [ -e \"$DIR/forked\" ]; do sleep 0.01; done; \
                  touch \"$DIR/up\"; while read -r line; do :; done";
    let gated = Gated::start("double-fork", "", script, &[]);
    gated.wait_for("up");
    gated.kill_gate_and_expect_nobody();
}

#[test]
fn after_kill_9_of_the_gate_a_server_that_ignores_sigterm_ends() {
    let script = "trap '' TERM HUP INT; (trap '' TERM HUP; touch \"$DIR/up\"; \
                  while :; do sleep 600; done)";
    let gated = Gated::start("stubborn", "", script, &[]);
    gated.wait_for("up");
    gated.kill_gate_and_expect_nobody();
}

#[test]
fn after_kill_9_of_the_gate_a_long_grace_period_does_not_count() {
    let script = "trap '' TERM; touch \"$DIR/up\"; while :; do sleep 600; done";
    let gated = Gated::start("long-grace", "--grace-ms 60000", script, &[]);
    gated.wait_for("up");
    gated.kill_gate_and_expect_nobody();
}

/// The value of `variable` as a directory, or a loud reason why the case is not tested here.
fn tool_directory(variable: &str, what: &str) -> Option<PathBuf> {
    let directory = std::env::var_os(variable).map(PathBuf::from);
    if directory.is_none() {
        eprintln!(
            "SKIPPED: {variable} is not set, so {what} is not tested; use `cargo xtask test`"
        );
    }
    directory
}

#[test]
fn after_kill_9_of_the_gate_npx_and_its_children_end() {
    let Some(node) = tool_directory("PORTCULLIS_NODE", "npx") else { return };
    // Either the directory of the commands or the node executable itself is accepted.
    let commands = if node.is_dir() { node } else { node.parent().expect("a file").to_owned() };
    let script = "PATH=\"$NODE_DIR:$PATH\"; export PATH npm_config_cache=\"$DIR/cache\"; \
                  npx --offline -c 'node -e \"require(\\\"fs\\\").writeFileSync(process.env.DIR+\\\"/up\\\",\\\"\\\");\
                  process.on(\\\"SIGTERM\\\",()=>{});setInterval(()=>{},1000)\"'";
    let gated = Gated::start("npx", "", script, &[("NODE_DIR", &commands)]);
    gated.wait_for("up");
    gated.kill_gate_and_expect_nobody();
}

/// Writes a Python package, ready to install, whose command `holder` ignores SIGTERM and stays.
const MAKE_WHEEL: &str = r#"
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as wheel:
    wheel.writestr("holder.py", """
import os, signal, time
def main():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    open(os.environ["DIR"] + "/up", "w").close()
    time.sleep(600)
""")
    about = "holder-1.0.dist-info/"
    wheel.writestr(about + "METADATA", "Metadata-Version: 2.1\nName: holder\nVersion: 1.0\n")
    wheel.writestr(about + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr(about + "entry_points.txt", "[console_scripts]\nholder=holder:main\n")
    wheel.writestr(about + "RECORD", "")
"#;

#[test]
fn after_kill_9_of_the_gate_uvx_and_its_children_end() {
    let Some(commands) = tool_directory("PORTCULLIS_VENV_BIN", "uvx") else { return };
    let directory = tempfile::tempdir().expect("a directory can be made");
    let wheel = directory.path().join("holder-1.0-py3-none-any.whl");
    let python = commands.join("python");
    let made = Command::new(&python).args(["-c", MAKE_WHEEL]).arg(&wheel).status();
    assert!(made.expect("python starts").success());
    let script = "PATH=\"$BIN:$PATH\" UV_CACHE_DIR=\"$DIR/cache\" \
                  uvx --offline --python \"$BIN/python\" --from \"$WHEEL\" holder";
    let gated = Gated::start("uvx", "", script, &[("BIN", &commands), ("WHEEL", &wheel)]);
    gated.wait_for("up");
    gated.kill_gate_and_expect_nobody();
}
