//! Files and time, over stdio.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use super::{initialize, legacy, modern};

/// A server process and its two pipes.
struct Piped {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    next_id: u64,
}

impl Piped {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .arg("example")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        Self { child, stdin, stdout, next_id: 1 }
    }

    fn files(directory: &Path) -> Self {
        Self::start(&["files", directory.to_str().expect("the path is text")])
    }

    fn send_text(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("stdin is open");
        stdin.write_all(text.as_bytes()).expect("the server reads");
    }

    fn send(&mut self, message: &Value) {
        self.send_text(&format!("{message}\n"));
    }

    fn receive(&mut self) -> Value {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("the server writes text");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    fn ask(&mut self, message: &Value) -> Value {
        self.send(message);
        let answer = self.receive();
        assert_eq!(answer["id"], message["id"], "{answer}");
        answer
    }

    /// The answer to a modern request.
    fn modern(&mut self, method: &str, params: Value) -> Value {
        self.next_id += 1;
        let request = modern(self.next_id, method, params);
        self.ask(&request)
    }

    /// The structured result of a tool.
    fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        let answer = self.modern("tools/call", json!({ "name": tool, "arguments": arguments }));
        assert_eq!(answer["result"]["isError"], false, "{answer}");
        answer["result"]["structuredContent"].clone()
    }

    /// What a tool says when it fails.
    fn call_badly(&mut self, tool: &str, arguments: &Value) -> String {
        let answer = self.modern("tools/call", json!({ "name": tool, "arguments": arguments }));
        assert_eq!(answer["result"]["isError"], true, "{answer}");
        answer["result"]["content"][0]["text"].as_str().expect("a text").to_owned()
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn some_files() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let root = directory.path();
    std::fs::create_dir(root.join("notes")).expect("made");
    std::fs::write(root.join("notes/todo.md"), "# Todo\nbuy Äpfel\nring Bo\n").expect("written");
    std::fs::write(root.join("picture.png"), [0x89, b'P', b'N', b'G', 0, 1, 2]).expect("written");
    std::os::unix::fs::symlink("/etc", root.join("outside")).expect("linked");
    directory
}

#[test]
fn files_are_listed_read_and_found() {
    let directory = some_files();
    let mut server = Piped::files(directory.path());
    let discovered = server.modern("server/discover", json!({}));
    assert_eq!(discovered["result"]["resultType"], "complete");
    assert_eq!(discovered["result"]["supportedVersions"][0], "2026-07-28");
    assert_eq!(
        discovered["result"]["_meta"]["io.modelcontextprotocol/serverInfo"]["name"],
        "portcullis-example-files"
    );

    let listed = server.call("list_directory", &json!({}));
    let names: Vec<_> =
        listed["entries"].as_array().expect("a list").iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["notes", "outside", "picture.png"]);

    let picture = server.call("read_file", &json!({ "path": "picture.png" }));
    assert_eq!(
        (&picture["encoding"], &picture["mime_type"]),
        (&json!("base64"), &json!("image/png"))
    );

    let found = server.call("search_text", &json!({ "text": "äPFEL", "ignore_case": true }));
    assert_eq!(
        found["matches"],
        json!([{ "path": "notes/todo.md", "line": 2, "offset": 7, "text": "buy Äpfel" }])
    );
    let rest = server.call("read_file", &json!({ "path": "notes/todo.md", "offset": 7 }));
    assert_eq!(rest["content"], "buy Äpfel\nring Bo\n");

    let found = server.call("search_files", &json!({ "pattern": "*.md" }));
    let uri = &found["files"][0]["uri"];
    let read = server.modern("resources/read", json!({ "uri": uri }));
    assert_eq!(read["result"]["contents"][0]["text"], "# Todo\nbuy Äpfel\nring Bo\n");
    assert_eq!(read["result"]["cacheScope"], "private");
}

#[test]
fn parts_of_a_text_never_cut_a_character() {
    let directory = some_files();
    let text = "äöü€😀\n".repeat(30);
    std::fs::write(directory.path().join("text.txt"), &text).expect("written");
    let mut server = Piped::files(directory.path());
    let (mut whole, mut offset) = (String::new(), json!(0));
    while !offset.is_null() {
        let part =
            server.call("read_file", &json!({ "path": "text.txt", "offset": offset, "limit": 5 }));
        whole.push_str(part["content"].as_str().expect("text"));
        offset = part["next_offset"].clone();
    }
    assert_eq!(whole, text);
}

#[test]
fn nothing_outside_the_directory_can_be_reached() {
    let directory = some_files();
    let mut server = Piped::files(directory.path());
    for path in ["outside/passwd", "../../etc/passwd", "notes/../../x", "outside", "\0"] {
        let refusal = server.call_badly("read_file", &json!({ "path": path }));
        assert!(refusal.starts_with("argument `path`: there is no"), "{path}: {refusal}");
        server.call_badly("list_directory", &json!({ "path": path }));
        server.call_badly("search_text", &json!({ "path": path, "text": "root" }));
    }
    let root = format!("file://{}", directory.path().display());
    for uri in
        ["file:///etc/passwd", &format!("{root}/outside/passwd"), &format!("{root}/../x"), "x:y"]
    {
        let answer = server.modern("resources/read", json!({ "uri": uri }));
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
        assert_eq!(answer["error"]["data"]["uri"], *uri);
    }
    let found = server.call("search_files", &json!({ "pattern": "passwd" }));
    assert_eq!(found["files"], json!([]), "links are not followed");
}

#[test]
fn resources_come_in_pages_without_loss() {
    let directory = some_files();
    for number in 0..230 {
        std::fs::write(directory.path().join(format!("notes/{number:03}.txt")), "")
            .expect("written");
    }
    let mut server = Piped::files(directory.path());
    let (mut uris, mut cursor, mut pages) = (Vec::new(), json!(null), 0);
    loop {
        let params = if cursor.is_null() { json!({}) } else { json!({ "cursor": cursor }) };
        let page = server.modern("resources/list", params)["result"].clone();
        let resources = page["resources"].as_array().expect("a list");
        uris.extend(resources.iter().map(|one| one["uri"].as_str().expect("text").to_owned()));
        pages += 1;
        cursor = page["nextCursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!((pages, uris.len()), (3, 232));
    assert!(uris.is_sorted(), "the order is the order of paths");
    let answer = server.modern("resources/list", json!({ "cursor": "%%" }));
    assert_eq!(answer["error"]["code"], -32602);
}

#[test]
fn arguments_are_completed_for_prompts_and_templates() {
    let directory = some_files();
    let mut server = Piped::files(directory.path());
    let templates = server.modern("resources/templates/list", json!({}));
    let template = &templates["result"]["resourceTemplates"][0]["uriTemplate"];
    for reference in [
        json!({ "type": "ref/prompt", "name": "summarize_file" }),
        json!({ "type": "ref/resource", "uri": template }),
    ] {
        let mut complete = |typed: &str| {
            let argument = json!({ "name": "path", "value": typed });
            let params = json!({ "ref": reference, "argument": argument });
            server.modern("completion/complete", params)["result"]["completion"]["values"].clone()
        };
        assert_eq!(complete("no"), json!(["notes/"]));
        assert_eq!(complete("notes/t"), json!(["notes/todo.md"]));
        assert_eq!(complete("../"), json!([]));
    }
    let params = json!({ "name": "summarize_file", "arguments": { "path": "notes/todo.md" } });
    let prompt = server.modern("prompts/get", params);
    let resource = &prompt["result"]["messages"][1]["content"]["resource"];
    assert_eq!(resource["mimeType"], "text/markdown");
}

#[test]
fn every_legacy_version_is_spoken() {
    let directory = some_files();
    for (asked, spoken) in [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("1999-01-01", "2025-11-25"),
    ] {
        let mut server = Piped::files(directory.path());
        let answer = server.ask(&initialize(asked));
        assert_eq!(answer["result"]["protocolVersion"], spoken);
        assert_eq!(answer["result"]["resultType"], json!(null), "nothing modern");
        server.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        assert_eq!(server.ask(&legacy(1, "ping", &json!({})))["result"], json!({}));
        let listed = server.ask(&legacy(2, "tools/list", &json!({})));
        assert_eq!(listed["result"]["tools"].as_array().map(Vec::len), Some(4));
        assert_eq!(listed["result"]["ttlMs"], json!(null), "nothing modern");
        let missing = server.ask(&legacy(3, "resources/read", &json!({ "uri": "file:///no" })));
        assert_eq!(missing["error"]["code"], -32002);
        let answer = server.ask(&legacy(4, "server/discover", &json!({})));
        assert_eq!(answer["error"]["code"], -32601);
    }
}

#[test]
fn bad_requests_are_answered_and_spoil_nothing() {
    let directory = some_files();
    let mut server = Piped::files(directory.path());
    let mut refused = |message: &Value, code: i64| {
        server.send(message);
        let answer = server.receive();
        assert_eq!(answer["error"]["code"], code, "{answer}");
        answer
    };
    refused(&legacy(1, "tools/list", &json!({})), -32602);
    refused(&modern(2, "no/such", json!({})), -32601);
    refused(&modern(3, "ping", json!({})), -32601);
    refused(&modern(4, "tools/call", json!({ "name": "nope" })), -32602);
    refused(&json!([modern(5, "tools/list", json!({}))]), -32600);
    refused(&json!({ "jsonrpc": "1.0", "id": 6, "method": "ping" }), -32600);
    let mut future = modern(7, "tools/list", json!({}));
    future["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2099-01-01".into();
    let answer = refused(&future, -32022);
    assert_eq!(answer["error"]["data"]["requested"], "2099-01-01");
    assert_eq!(answer["error"]["data"]["supported"][0], "2026-07-28");

    server.send_text("{\"jsonrpc\":\n");
    assert_eq!(server.receive()["error"]["code"], -32700);
    let said = server.call_badly("read_file", &json!({ "path": "picture.png", "limit": "x" }));
    assert!(said.starts_with("argument `limit` must be an integer from 4 to"), "{said}");
    let said = server.call_badly("read_file", &json!({}));
    assert_eq!(said, "argument `path` is missing; give a string of at most 4096 characters");
    assert_eq!(server.modern("tools/list", json!({}))["result"]["resultType"], "complete");
}

#[test]
fn a_listen_over_stdio_is_acknowledged_cancelled_and_ended() {
    let mut server = Piped::start(&["time"]);
    let filter = json!({ "notifications": { "toolsListChanged": true } });
    for id in [1, 2] {
        server.send(&modern(id, "subscriptions/listen", filter.clone()));
        let acknowledged = server.receive();
        assert_eq!(acknowledged["method"], "notifications/subscriptions/acknowledged");
        assert_eq!(acknowledged["params"]["notifications"], json!({}), "nothing ever changes");
        assert_eq!(acknowledged["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], id);
    }
    let cancel = json!({ "requestId": 1 });
    server
        .send(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancel }));
    drop(server.stdin.take());
    let ended = server.receive();
    assert_eq!((&ended["id"], &ended["result"]["resultType"]), (&json!(2), &json!("complete")));
    let mut rest = String::new();
    server.stdout.read_line(&mut rest).expect("readable");
    assert_eq!(rest, "", "a cancelled request is not answered");
    assert!(server.child.wait().expect("it ends").success());
}

#[test]
fn times_are_converted_with_changes_of_the_clocks_in_mind() {
    let mut server = Piped::start(&["time"]);
    let mut convert = |time: &str, from: &str, to: &str| {
        server.call("convert_time", &json!({ "time": time, "from": from, "to": to }))
    };
    let result = convert("2026-07-01T09:00", "Europe/Berlin", "Asia/Kolkata");
    assert_eq!(result["to"]["time"], "2026-07-01T12:30:00+05:30");
    assert_eq!(result["difference_minutes"], 210);
    assert_eq!(result["note"], json!(null));
    let skipped = convert("2026-03-29T02:30", "Europe/Berlin", "UTC");
    assert_eq!(skipped["to"]["time"], "2026-03-29T01:30:00+00:00");
    assert!(skipped["note"].as_str().expect("a note").contains("skip this time"));
    let twice = convert("2026-10-25T02:30", "Europe/Berlin", "UTC");
    assert_eq!(twice["to"]["time"], "2026-10-25T00:30:00+00:00");
    assert!(twice["note"].as_str().expect("a note").contains("twice"));

    let now = server.call("current_time", &json!({}));
    assert_eq!((&now["timezone"], &now["abbreviation"]), (&json!("UTC"), &json!("UTC")));
    let found = server.call("list_time_zones", &json!({ "query": "new york" }));
    assert_eq!(found["zones"][0]["timezone"], "America/New_York");
    let said = server.call_badly("current_time", &json!({ "timezone": "Berlin" }));
    assert_eq!(said, "unknown time zone `Berlin`; similar: Europe/Berlin");
    let said =
        server.call_badly("convert_time", &json!({ "time": "noon", "from": "UTC", "to": "UTC" }));
    assert!(said.starts_with("argument `time` must look like"), "{said}");
    let read = server.modern("resources/read", json!({ "uri": "time://zones/Asia/Tokyo" }));
    assert!(
        read["result"]["contents"][0]["text"].as_str().is_some_and(|text| text.contains("JST"))
    );
}
