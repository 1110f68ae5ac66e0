//! The binary as a child process: run to its end, or as a gate that serves.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// For everything a test waits for.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// The binary, with `home` as the only place it knows.
pub(crate) fn portcullis(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command
        .current_dir(home)
        .env("HOME", home)
        .env("NO_COLOR", "1")
        .env_remove("XDG_STATE_HOME")
        .env_remove("PORTCULLIS_LOG")
        .stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub(crate) fn run(home: &Path, args: &[&str]) -> Finished {
    let output = portcullis(home).args(args).output().expect("the binary starts");
    Finished::new(&output, home)
}

/// What a command that has ended said; the directory of the test is called `~`.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Finished {
    pub(crate) fn new(output: &Output, home: &Path) -> Self {
        let text = |bytes: &[u8]| {
            let text = String::from_utf8(bytes.to_vec()).expect("the output is text");
            text.replace(&home.display().to_string(), "~")
        };
        Self {
            code: output.status.code().expect("it ended by itself"),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A gate that serves.
pub(crate) struct Gate {
    child: Child,
    /// The line that it printed once it served.
    pub(crate) ready: Value,
    log: Arc<Mutex<String>>,
}

impl Gate {
    /// Starts `portcullis run` with `args` on free ports and waits until it serves.
    pub(crate) fn start(home: &Path, args: &[&str]) -> Self {
        let ports = ["run", "--json", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        let mut child = portcullis(home)
            .args(ports)
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let log = Arc::new(Mutex::new(String::new()));
        let said = Arc::clone(&log);
        let stderr = BufReader::new(child.stderr.take().expect("stderr is a pipe"));
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let mut said = said.lock().expect("no panic while writing");
                said.push_str(&line);
                said.push('\n');
            }
        });
        let lines = lines(child.stdout.take().expect("stdout is a pipe"));
        let ready = match lines.recv_timeout(PATIENCE) {
            Ok(line) => serde_json::from_str(&line).expect("the line is JSON"),
            Err(error) => {
                let _ = child.kill();
                let log = log.lock().expect("no panic while writing");
                panic!("the gate does not serve ({error}):\n{log}")
            }
        };
        Self { child, ready, log }
    }

    /// The URL of a path of the gate.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.ready["listening"].as_str().expect("it listens"))
    }

    /// Reads a page of the admin listener.
    pub(crate) fn admin(&self, path: &str) -> String {
        let base = self.ready["admin"].as_str().expect("it has an admin listener");
        let (status, body) = http("GET", &format!("{base}{path}"), &[], "");
        assert_eq!(status, 200, "{body}");
        body
    }

    pub(crate) fn status(&self) -> Value {
        serde_json::from_str(&self.admin("/status")).expect("the status is JSON")
    }

    /// The value of one line of the metrics.
    pub(crate) fn metric(&self, name: &str) -> Option<String> {
        let page = self.admin("/metrics");
        page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned))
    }

    /// Calls a method in the newest version and returns the whole answer.
    pub(crate) fn call(&self, path: &str, method: &str, params: Value) -> Value {
        let (status, answer) = modern(&self.url(path), method, params);
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// The names of the tools of an endpoint.
    pub(crate) fn tools(&self, path: &str) -> Vec<String> {
        let answer = self.call(path, "tools/list", json!({}));
        let tools = answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("{answer}"));
        tools
            .iter()
            .map(|tool| tool["name"].as_str().expect("a tool has a name").to_owned())
            .collect()
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("no panic while writing").clone()
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.child.id()).expect("an id of a process fits");
        let pid = rustix::process::Pid::from_raw(pid).expect("a process has an id");
        rustix::process::kill_process(pid, signal).expect("the gate lives");
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn end(self) -> ExitStatus {
        self.signal(rustix::process::Signal::TERM);
        self.wait()
    }

    /// Waits until it has ended.
    pub(crate) fn wait(mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the gate ends", || {
            status = self.child.try_wait().expect("its state can be read");
            status.is_some()
        });
        status.expect("it has ended")
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("the gate said:\n{}", self.log());
        }
    }
}

/// The lines of a stream, read beside the test.
pub(crate) fn lines(stream: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// The next line, within patience; `None` at the end of the stream.
pub(crate) fn next_line(lines: &Receiver<String>) -> Option<String> {
    match lines.recv_timeout(PATIENCE) {
        Ok(line) => Some(line),
        Err(RecvTimeoutError::Disconnected) => None,
        Err(RecvTimeoutError::Timeout) => panic!("no line within {PATIENCE:?}"),
    }
}

/// Looks again and again until `done` says so.
pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A request in the newest version.
pub(crate) fn modern_request(method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })
}

/// Sends a request in the newest version.
pub(crate) fn modern(url: &str, method: &str, params: Value) -> (u16, Value) {
    let name = params["name"].as_str().map(str::to_owned);
    let mut headers = vec![
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", method),
    ];
    if let Some(name) = &name {
        headers.push(("Mcp-Name", name));
    }
    let body = modern_request(method, params).to_string();
    let (status, answer) = http("POST", url, &headers, &body);
    let answer = serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"));
    (status, answer)
}

/// One HTTP exchange on a connection of its own; answers with a length, as all but streams have.
pub(crate) fn http(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    let rest = url.strip_prefix("http://").expect("an http URL");
    let (host, path) = rest.split_once('/').expect("a URL with a path");
    let mut stream = TcpStream::connect(host).expect("something listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    let length = body.len().to_string();
    let own = [("Host", host), ("Connection", "close"), ("Content-Length", &length)];
    let own = own.iter().filter(|(name, _)| headers.iter().all(|(given, _)| given != name));
    let mut request = format!("{method} /{path} HTTP/1.1\r\n");
    for (name, value) in own.chain(headers) {
        request.extend([name, ": ", value, "\r\n"]);
    }
    request.extend(["\r\n", body]);
    stream.write_all(request.as_bytes()).expect("the gate reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the answer is text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head ends with a blank line");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.expect("a status"), body.to_owned())
}
