//! The gate as it runs: what it serves, how it follows its configuration, and how it ends.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::json;

use crate::harness::{
    Finished, Gate, http, lines, modern, modern_request, next_line, portcullis, run, wait_until,
};

mod numbers;

fn home() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory can be made")
}

/// A server of this binary, as a line of a configuration.
fn time_server(name: &str) -> String {
    let program = env!("CARGO_BIN_EXE_portcullis");
    format!("  {name}: {{ command: '{program}', args: [example, time] }}\n")
}

fn write(home: &Path, name: &str, text: &str) -> String {
    let path = home.join(name);
    fs::write(&path, text).expect("a file can be written");
    path.to_str().expect("the path is text").to_owned()
}

// === what it serves ===

#[test]
fn the_default_serves_three_examples_and_ends_in_order() {
    let home = home();
    fs::write(home.path().join("hello.txt"), "hello").unwrap();
    let gate = Gate::start(home.path(), &[]);
    assert_eq!(gate.ready["servers"], json!(["files", "notes", "time"]));
    assert_eq!(gate.ready["endpoints"], json!([gate.url("/mcp")]));
    let tools = gate.tools("/mcp");
    for tool in ["files__read_file", "notes__add_note", "time__current_time"] {
        assert!(tools.iter().any(|known| known == tool), "{tool} in {tools:?}");
    }
    assert!(gate.tools("/servers/time/mcp").contains(&"current_time".to_owned()));
    let note = json!({ "name": "notes__add_note", "arguments": { "text": "buy milk" } });
    let added = gate.call("/mcp", "tools/call", note);
    assert_ne!(added["result"]["isError"], json!(true), "{added}");

    let notes = gate.status();
    assert!(notes["servers"].as_array().unwrap().iter().all(|server| server["condition"] == "up"));
    assert_eq!(gate.metric(r#"portcullis_server_up{server="notes"}"#).as_deref(), Some("1"));
    let calls = r#"portcullis_calls_total{endpoint="/mcp",server="notes",method="tools/call",outcome="success"}"#;
    wait_until("the call is counted", || gate.metric(calls).as_deref() == Some("1"));
    let mark = format!("{}", home.path().display());
    assert_eq!(gate.end().code(), Some(0));
    wait_until("no example outlives the gate", || !is_in_a_command_line(&mark));
}

/// Whether some process was started with `word` in its command line.
fn is_in_a_command_line(word: &str) -> bool {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.into_iter().any(|process| {
        let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
        line.windows(word.len()).any(|window| window == word.as_bytes())
    })
}

#[test]
fn the_banner_says_where_to_connect() {
    let home = home();
    let mut child = portcullis(home.path())
        .args(["run", "--listen", "127.0.0.1:0", "--admin", "off"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let lines = lines(child.stdout.take().unwrap());
    let mut banner = String::new();
    while let Some(line) = next_line(&lines) {
        banner.push_str(&line);
        banner.push('\n');
        if line.starts_with("Ctrl-C") {
            break;
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    for said in ["files, notes, time", "claude mcp add", "mcp.json", "code --add-mcp", "inspector"]
    {
        assert!(banner.contains(said), "{said:?} in {banner}");
    }
}

#[test]
fn a_command_line_is_a_server_with_its_own_names() {
    let home = home();
    let program = env!("CARGO_BIN_EXE_portcullis");
    let gate = Gate::start(home.path(), &["--", program, "example", "time"]);
    assert_eq!(gate.ready["servers"], json!(["portcullis"]));
    assert!(gate.tools("/mcp").contains(&"current_time".to_owned()));
}

#[test]
fn it_is_ready_when_every_server_is_down() {
    let home = home();
    let file = write(home.path(), "gate.yaml", "servers:\n  gone: { command: surely-not-there }\n");
    let gate = Gate::start(home.path(), &[&file]);
    assert_eq!(gate.tools("/mcp"), Vec::<String>::new());
    assert_eq!(http("GET", &gate.url("/readyz"), &[], ""), (200, "ready\n".to_owned()));
    assert_eq!(gate.admin("/readyz"), "ready\n");
    assert_eq!(gate.metric(r#"portcullis_server_up{server="gone"}"#).as_deref(), Some("0"));
    assert_eq!(gate.end().code(), Some(0));
}

#[test]
fn a_server_without_its_secret_is_set_aside_and_the_rest_is_served() {
    let home = home();
    let lacking = "  lacking: { url: 'http://127.0.0.1:1/', credentials: { bearer: '${env:SURELY_NOT_SET}' } }\n";
    let file =
        write(home.path(), "gate.yaml", &format!("servers:\n{lacking}{}", time_server("time")));
    let gate = Gate::start(home.path(), &[&file]);
    assert_eq!(gate.ready["servers"], json!(["time"]));
    assert_eq!(gate.ready["quarantined"], json!(["lacking"]));
    assert!(gate.status()["quarantined"]["lacking"].as_str().unwrap().contains("SURELY_NOT_SET"));
    assert_eq!(gate.metric("portcullis_servers_quarantined").as_deref(), Some("1"));
    assert!(!gate.tools("/mcp").is_empty());
}

#[test]
fn the_admin_listener_answers_only_local_names_and_its_port_is_taken_seriously() {
    let home = home();
    let gate =
        Gate::start(home.path(), &["--", env!("CARGO_BIN_EXE_portcullis"), "example", "time"]);
    let admin = gate.ready["admin"].as_str().unwrap();
    let rebound = [("Host", "rebound.example.com")];
    assert_eq!(http("GET", &format!("{admin}/status"), &rebound, "").0, 403);
    assert_eq!(http("POST", &format!("{admin}/status"), &[], "").0, 405);
    assert_eq!(http("GET", &format!("{admin}/elsewhere"), &[], "").0, 404);

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let done = run(home.path(), &["run", "--listen", "127.0.0.1:0", "--admin", &address]);
    assert!(done.code == 1 && done.stderr.contains("admin listener cannot use"), "{done:?}");
    let done = run(home.path(), &["run", "--listen", &address, "--admin", "off"]);
    assert!(done.code == 1 && done.stderr.contains("--listen 127.0.0.1:0"), "{done:?}");
}

// === the end ===

/// A legacy server whose only tool answers once the file `go` is there.
const SLOW: &str = r#"
while read -r line; do
  id=$(printf '%s' "$line" | sed -n 's/.*"id":\([^,}]*\).*/\1/p')
  case "$line" in
    *'"initialize"'*) result='{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"slow","version":"1"}}' ;;
    *'"tools/list"'*) result='{"tools":[{"name":"wait","inputSchema":{"type":"object"}}]}' ;;
    *'"tools/call"'*) : > began; while [ ! -e go ]; do sleep 0.05; done; result='{"content":[{"type":"text","text":"done"}]}' ;;
    *) continue ;;
  esac
  printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$result"
done
"#;

/// A gate with a call in flight at the slow server, and where the call's answer comes.
fn with_a_call_in_flight(home: &Path) -> (Gate, std::thread::JoinHandle<(u16, serde_json::Value)>) {
    let script = write(home, "slow.sh", SLOW);
    let config = format!("servers:\n  slow: {{ command: sh, args: ['{script}'], era: legacy }}\n");
    let file = write(home, "gate.yaml", &config);
    let gate = Gate::start(home, &[&file]);
    let url = gate.url("/servers/slow/mcp");
    let call = std::thread::spawn(move || {
        modern(&url, "tools/call", json!({ "name": "wait", "arguments": {} }))
    });
    wait_until("the call is at the server", || home.join("began").exists());
    (gate, call)
}

#[test]
fn calls_in_flight_finish_before_the_end() {
    let home = home();
    let (gate, call) = with_a_call_in_flight(home.path());
    gate.signal(Signal::TERM);
    let readyz = format!("{}/readyz", gate.ready["admin"].as_str().unwrap());
    wait_until("the gate drains", || http("GET", &readyz, &[], "").0 == 503);
    fs::write(home.path().join("go"), "").unwrap();
    let (status, answer) = call.join().unwrap();
    assert_eq!(
        (status, &answer["result"]["content"][0]["text"]),
        (200, &json!("done")),
        "{answer}"
    );
    assert_eq!(gate.wait().code(), Some(0));
}

#[test]
fn asked_twice_the_gate_ends_at_once() {
    let home = home();
    let (gate, _call) = with_a_call_in_flight(home.path());
    gate.signal(Signal::TERM);
    wait_until("it was heard", || gate.log().contains("asked to end"));
    assert_eq!(gate.end().code(), Some(1));
}

// === another configuration ===

#[test]
fn a_good_configuration_replaces_the_old_and_a_bad_one_does_not() {
    let home = home();
    let file = write(home.path(), "gate.yaml", &format!("servers:\n{}", time_server("one")));
    let gate = Gate::start(home.path(), &[&file]);
    let has = |tool: &str| gate.tools("/mcp").iter().any(|known| known == tool);
    assert!(has("one__current_time"));

    let two = format!("servers:\n{}{}", time_server("one"), time_server("two"));
    write(home.path(), "gate.yaml", &two);
    wait_until("the second server is served", || has("two__current_time"));
    assert_eq!(gate.metric("portcullis_config_reload_failed").as_deref(), Some("0"));

    write(home.path(), "gate.yaml", "servers:\n  one: { comand: x }\n");
    let failed = || gate.metric("portcullis_config_reload_failed").as_deref() == Some("1");
    wait_until("the refusal is visible", failed);
    assert!(has("one__current_time") && has("two__current_time"));
    wait_until("the log says why", || gate.log().contains("did you mean `command`?"));

    // Replaced as editors do it.
    write(home.path(), "draft", &format!("servers:\n{}", time_server("two")));
    fs::rename(home.path().join("draft"), &file).unwrap();
    wait_until("the first server is gone", || !has("one__current_time"));
    assert!(!failed());
    assert_eq!(gate.end().code(), Some(0));
}

#[test]
fn a_mounted_configuration_is_followed_through_its_links() {
    let home = home();
    for (folder, name) in [("v1", "one"), ("v2", "two")] {
        fs::create_dir(home.path().join(folder)).unwrap();
        write(
            home.path(),
            &format!("{folder}/gate.yaml"),
            &format!("servers:\n{}", time_server(name)),
        );
    }
    let link =
        |from: &str, to: &str| std::os::unix::fs::symlink(to, home.path().join(from)).unwrap();
    link("..data", "v1");
    link("gate.yaml", "..data/gate.yaml");
    let file = home.path().join("gate.yaml");
    let gate = Gate::start(home.path(), &[file.to_str().unwrap()]);
    link("..next", "v2");
    fs::rename(home.path().join("..next"), home.path().join("..data")).unwrap();
    wait_until("the new version is served", || {
        gate.tools("/mcp").iter().any(|tool| tool == "two__current_time")
    });
}

#[test]
fn secrets_are_followed_and_sighup_reads_again() {
    let home = home();
    write(home.path(), "token", "first");
    let remote =
        "  far: { url: 'http://127.0.0.1:1/', credentials: { bearer: '${file:token}' } }\n";
    let file = write(home.path(), "gate.yaml", &format!("servers:\n{remote}"));
    let gate = Gate::start(home.path(), &[&file]);
    let reloads = || gate.metric(r#"portcullis_config_reloads_total{result="success"}"#).unwrap();
    assert_eq!(reloads(), "0");
    gate.signal(Signal::HUP);
    wait_until("SIGHUP reads again", || reloads() == "1");
    write(home.path(), "token", "second");
    wait_until("the other secret is taken", || reloads() == "2");
}

#[test]
fn what_only_a_start_can_change_is_reported() {
    let home = home();
    let config = |port: u16| format!("listen: 127.0.0.1:{port}\nservers:\n{}", time_server("one"));
    let file = write(home.path(), "gate.yaml", &config(18_080));
    let gate = Gate::start(home.path(), &[&file]);
    write(home.path(), "gate.yaml", &config(18_081));
    wait_until("it is reported", || gate.log().contains("take effect with the next start"));
    assert!(!gate.tools("/mcp").is_empty());
}

// === clients ===

#[test]
fn client_commands_ask_any_endpoint() {
    let home = home();
    fs::write(home.path().join("hello.txt"), "hello from a file\n").unwrap();
    let gate = Gate::start(home.path(), &[]);
    let url = gate.url("/mcp");
    let ask = |args: &[&str]| run(home.path(), &[args, &["--url", &url]].concat());

    let listed = ask(&["tools", "list"]);
    assert!(listed.code == 0 && listed.stdout.contains("files__read_file"), "{listed:?}");
    let listed = ask(&["tools", "list", "--json"]).json();
    assert_eq!(listed["tools"].as_array().unwrap().len(), gate.tools("/mcp").len());
    let read = ask(&["tools", "call", "files__read_file", "path=hello.txt", "limit=5"]);
    assert!(read.code == 0 && read.stdout.contains("hello"), "{read:?}");
    let failed = ask(&["tools", "call", "files__read_file", "path=absent"]);
    assert_eq!(failed.code, 1, "a tool that fails: {failed:?}");
    let unknown = ask(&["tools", "call", "nonsense"]);
    assert!(unknown.code == 1 && unknown.stderr.contains("known are"), "{unknown:?}");
    let args = ["--args", r#"{"timezone":"Asia/Tokyo"}"#];
    let time = ask(&[&["tools", "call", "time__current_time"][..], &args].concat());
    assert!(time.code == 0 && time.stdout.contains("Asia/Tokyo"), "{time:?}");

    let listed = ask(&["resources", "list", "--json"]).json();
    let uris: Vec<_> = listed["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["uri"].as_str().unwrap())
        .collect();
    let uri = uris.iter().find(|uri| uri.ends_with("hello.txt")).expect("the file is a resource");
    let uri = uri.replace('~', &home.path().display().to_string());
    let read = ask(&["resources", "read", &uri]);
    assert_eq!((read.code, read.stdout.trim_end()), (0, "hello from a file"), "{read:?}");
    assert_eq!(ask(&["resources", "templates"]).code, 0);
    let prompt =
        ask(&["prompts", "get", "time__plan_meeting", "here=Europe/Berlin", "there=Asia/Tokyo"]);
    assert!(prompt.code == 0 && prompt.stdout.starts_with("[user]"), "{prompt:?}");
    assert!(ask(&["prompts", "list"]).stdout.contains("time__plan_meeting"));
}

#[test]
fn client_commands_can_bring_their_own_gate() {
    let home = home();
    let file = write(home.path(), "gate.yaml", &format!("servers:\n{}", time_server("clock")));
    let listed = run(home.path(), &["tools", "list", "--config", &file, "--json"]);
    assert_eq!(listed.code, 0, "{listed:?}");
    assert_eq!(listed.json()["tools"][0]["name"], "clock__current_time");
    let wrong = run(home.path(), &["tools", "list", "--config", &file, "--endpoint", "/absent"]);
    assert!(wrong.code == 1 && wrong.stderr.contains("/servers/clock/mcp"), "{wrong:?}");
}

#[test]
fn a_gate_that_is_not_there_is_named() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let done = run(home().path(), &["tools", "list", "--url", &format!("http://{free}/mcp")]);
    assert!(done.code == 1 && done.stderr.contains(&free.to_string()), "{done:?}");
}

#[test]
fn stdio_is_one_endpoint_on_the_standard_streams() {
    let home = home();
    let file = write(home.path(), "gate.yaml", &format!("servers:\n{}", time_server("clock")));
    let mut child = portcullis(home.path())
        .args(["stdio", &file])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{}", modern_request("tools/list", json!({}))).unwrap();
    let lines = lines(child.stdout.take().unwrap());
    let answer = next_line(&lines).expect("an answer");
    assert!(answer.contains("clock__current_time"), "{answer}");
    drop(stdin);
    assert_eq!(next_line(&lines), None);
    let ended = Finished::new(&child.wait_with_output().unwrap(), home.path());
    assert_eq!(ended.code, 0, "{ended:?}");
    let absent = run(home.path(), &["stdio", &file, "--endpoint", "/absent"]);
    assert!(absent.code == 1 && absent.stderr.contains("/servers/clock/mcp"), "{absent:?}");
}

// === doctor ===

#[test]
fn the_doctor_finds_the_ill_and_names_a_remedy() {
    let home = home();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ill =
        format!("  npx: {{ command: surely-not-there }}\n  far: {{ url: 'http://{free}/mcp' }}\n");
    let ports = "listen: 127.0.0.1:0\nadmin: off\n";
    let file =
        write(home.path(), "gate.yaml", &format!("{ports}servers:\n{ill}{}", time_server("time")));
    let done = run(home.path(), &["doctor", &file]);
    assert_eq!(done.code, 1, "{done:?}");
    for said in
        ["`surely-not-there` is not on PATH", "check that something listens at", "2026-07-28"]
    {
        assert!(done.stdout.contains(said), "{said:?} in {done:?}");
    }
    let found = run(home.path(), &["doctor", &file, "--json"]).json();
    assert_eq!(found["healthy"], false);
    let time = found["servers"].as_array().unwrap().iter().find(|server| server["name"] == "time");
    let time = time.expect("every server is in the list");
    assert_eq!(
        (&time["state"], &time["tools"], &time["remedy"]),
        (&json!("up"), &json!(3), &json!(null))
    );

    let why = |name: &str| {
        let servers = found["servers"].as_array().unwrap();
        let server = servers.iter().find(|server| server["name"] == name).unwrap();
        server["era"].clone()
    };
    assert_eq!(why("time")["why"], "it answered server/discover with 2026-07-28");
    assert!(why("time")["since"].as_str().is_some_and(|since| since.ends_with('Z')), "{found}");
    assert_eq!(why("far"), json!(null), "nothing is known of what was not reached");

    let file =
        write(home.path(), "well.yaml", &format!("{ports}servers:\n{}", time_server("time")));
    let well = run(home.path(), &["doctor", &file]);
    assert!(well.code == 0 && well.stdout.contains("everything is fine"), "{well:?}");
}
