//! The gate is killed without notice: no server outlives it, whoever started it.
#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::parts::Parts;
use super::server::{gate, text};
use crate::harness::wait_until;

/// The promise: this long after the gate's death nothing lives.
const PROMISE: Duration = Duration::from_secs(2);

/// Processes, but zombies, whose environment holds `mark`.
struct Marked(String);

impl Marked {
    fn alive(&self) -> Vec<(i32, String)> {
        let is_marked = |folder: &Path| {
            let environment = std::fs::read(folder.join("environ")).unwrap_or_default();
            environment.split(|&byte| byte == 0).any(|word| word == self.0.as_bytes())
        };
        let folders = std::fs::read_dir("/proc").expect("/proc is there").flatten();
        folders
            .filter_map(|entry| {
                let pid = entry.file_name().to_str()?.parse().ok()?;
                let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
                let is_zombie = stat.rsplit(')').next()?.trim_start().starts_with('Z');
                let command = std::fs::read_to_string(entry.path().join("cmdline")).ok()?;
                (!is_zombie && is_marked(&entry.path())).then(|| (pid, command.replace('\0', " ")))
            })
            .collect()
    }
}

impl Drop for Marked {
    fn drop(&mut self) {
        for (pid, _) in self.alive() {
            let _ = kill_process(Pid::from_raw(pid).expect("a process id"), Signal::KILL);
        }
    }
}

/// A package for npx, in a folder of its own, whose server also leaves a process behind in a
/// session of its own.
fn package(folder: &Path, legacy_server: &Path) {
    let manifest = json!({ "name": "server", "version": "1.0.0", "bin": "server.mjs" });
    std::fs::write(folder.join("package.json"), manifest.to_string()).expect("it can be written");
    let script = format!(
        "#!/usr/bin/env node\n\
         import {{ spawn }} from 'node:child_process';\n\
         spawn('setsid', ['sh', '-c', 'setsid sleep 600 & sleep 600'], \
         {{ stdio: 'ignore', detached: true }}).unref();\n\
         process.on('SIGTERM', () => {{}});\n\
         process.argv.push('--stdio');\n\
         await import('{}');\n",
        legacy_server.display()
    );
    std::fs::write(folder.join("server.mjs"), script).expect("it can be written");
}

/// A package for uvx whose command starts the server for time and waits for it.
fn wheel(parts: &Parts, folder: &Path) -> PathBuf {
    let wheel = folder.join("holder-1.0-py3-none-any.whl");
    let made = Command::new(&parts.python)
        .args(["-c", MAKE_WHEEL])
        .args([&wheel, &parts.program("mcp-server-time")])
        .status();
    assert!(made.expect("python starts").success());
    wheel
}

const MAKE_WHEEL: &str = r#"
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as wheel:
    wheel.writestr("holder.py", f"""
import signal, subprocess
def main():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    subprocess.run([{sys.argv[2]!r}])
""")
    about = "holder-1.0.dist-info/"
    wheel.writestr(about + "METADATA", "Metadata-Version: 2.1\nName: holder\nVersion: 1.0\n")
    wheel.writestr(about + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr(about + "entry_points.txt", "[console_scripts]\nholder=holder:main\n")
    wheel.writestr(about + "RECORD", "")
"#;

#[test]
fn after_kill_9_nothing_that_npx_or_uvx_started_lives() {
    let Some(parts) = Parts::find() else { return };
    let home = tempfile::tempdir().expect("a directory can be made");
    let mark = Marked(format!("KILLED_TEST={}", std::process::id()));
    let packed = home.path().join("package");
    std::fs::create_dir(&packed).expect("a directory can be made");
    package(&packed, &parts.fixture("node/legacy-server.mjs"));

    let path = |first: &Path| {
        let rest = std::env::var("PATH").unwrap_or_default();
        format!("{}:{rest}", text(first.parent().expect("a program lies in a folder")))
    };
    let with = |mut server: Value, path: String| {
        let (name, value) = mark.0.split_once('=').expect("a variable");
        server["env"] = json!({
            "PATH": path, name: value,
            "npm_config_cache": home.path().join("npm"), "UV_CACHE_DIR": home.path().join("uv"),
        });
        // The gate starts it at once: nobody has to call.
        server["start"] = json!("eager");
        server
    };
    let uvx = json!({
        "command": "uvx",
        "args": [
            "--offline", "--python", &parts.python, "--from", wheel(&parts, home.path()), "holder",
        ],
    });
    let npx = json!({
        "command": "npx", "args": ["--yes", "--offline", "--package", &packed, "server"],
    });
    let servers = json!({
        "npx": with(npx, path(&parts.node)),
        "uvx": with(uvx, path(&parts.python)),
    });
    let gate = gate(home.path(), &json!({ "servers": servers }));

    assert!(gate.tools("/servers/uvx/mcp").contains(&"convert_time".to_owned()));
    assert!(gate.tools("/servers/npx/mcp").contains(&"echo".to_owned()));
    let is_there = |command: &str| mark.alive().iter().any(|(_, each)| each.starts_with(command));
    wait_until("the double fork", || is_there("sleep 600"));

    gate.signal(Signal::KILL);
    let killed = Instant::now();
    let mut left = mark.alive();
    while !left.is_empty() && killed.elapsed() < PROMISE {
        std::thread::sleep(Duration::from_millis(10));
        left = mark.alive();
    }
    assert_eq!(left, [], "{PROMISE:?} after the gate's death");
}
