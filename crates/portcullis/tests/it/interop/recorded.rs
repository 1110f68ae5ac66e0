//! The same exchanges with a server directly and through the gate: nothing differs but what
//! `docs/protocol-edits.md` lists.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::parts::Parts;
use super::server::{CommandLine, Listening, gate, pinned, started, text};

/// Runs a plan of `record.mjs` and returns what it prints.
fn record(parts: &Parts, plan: &Value) -> Value {
    let mut recorder = Command::new(&parts.node)
        .arg(parts.fixture("node/record.mjs"))
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("node starts");
    let mut stdin = recorder.stdin.take().expect("stdin is a pipe");
    stdin.write_all(plan.to_string().as_bytes()).expect("the recorder reads");
    drop(stdin);
    let output = recorder.wait_with_output().expect("the recorder ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("the recorder prints JSON")
}

/// Compares what a server says directly and through the gate.
fn compare(parts: &Parts, direct: Value, entry: &Value, era: &str, plan: &Value) {
    let home = tempfile::tempdir().expect("a directory can be made");
    let gate = gate(home.path(), &json!({ "servers": { "recorded": pinned(entry.clone(), era) } }));
    let mut plan = plan.clone();
    // HTTP+SSE is an era of the configuration; what is spoken is legacy.
    plan["era"] = json!(if era == "sse" { "legacy" } else { era });
    plan["direct"] = direct;
    plan["gateway"] = json!(gate.url("/servers/recorded/mcp"));
    let recorded = record(parts, &plan);
    let count = |side: &str| recorded[side].as_array().map_or(0, Vec::len);
    assert!(count("direct") >= 3, "hardly anything was recorded: {recorded}");
    assert_eq!(count("direct"), count("gateway"));
    for exchange in recorded["direct"].as_array().into_iter().flatten() {
        let late = json!([r#"{"timeout":true}"#]);
        assert_ne!(exchange["messages"], late, "the plan asks for what never comes: {exchange}");
    }
    assert_eq!(recorded["differences"], json!([]), "{entry} as {era}");
}

fn over_http(parts: &Parts, server: &Listening, era: &str, plan: &Value) {
    compare(parts, json!(server.url), &json!({ "url": server.url }), era, plan);
}

fn over_sse(parts: &Parts, url: &str, plan: &Value) {
    compare(parts, json!({ "sse": url }), &json!({ "url": url }), "sse", plan);
}

fn over_stdio(parts: &Parts, command: &CommandLine, era: &str, plan: &Value) {
    let mut entry = started(command);
    // Sets of Python have another order in every process.
    entry["env"] = json!({ "PYTHONHASHSEED": "0" });
    let direct: Vec<_> = ["env", "PYTHONHASHSEED=0"]
        .iter()
        .map(|&word| word.to_owned())
        .chain(command.clone())
        .collect();
    compare(parts, json!({ "command": direct }), &entry, era, plan);
}

/// What the servers of the tests can do (`tests/README.md`).
fn toolset() -> Value {
    json!({
        "skip": [
            "headers", "environment", "commits", "requests", "grow", "ask_later", "ask_url_first",
        ],
        "calls": [
            { "name": "echo", "arguments": { "message": "a \u{1f511}", "unknown": [1.50, null] } },
            { "name": "add", "arguments": { "a": 1, "b": 2.5 } },
            { "name": "add", "arguments": { "a": "one" } },
            { "name": "region", "arguments": { "region": "eu-west" } },
            { "name": "slow", "arguments": { "steps": 3, "ms": 2 } },
            { "name": "no_such_tool", "arguments": {} },
            { "name": "ask", "arguments": { "question": "The answer?" } },
            { "name": "sample", "arguments": { "prompt": "A poem" } },
            { "name": "touch", "arguments": { "text": "touched" } },
        ],
        "reads": ["memo://item/3", "memo://nowhere"],
        "prompts": [
            { "name": "greet", "arguments": { "name": "Ada", "tone": "formal" } },
            { "name": "no_such_prompt" },
        ],
        "completions": [
            { "ref": { "type": "ref/prompt", "name": "greet" }, "argument": { "name": "tone", "value": "f" } },
            { "ref": { "type": "ref/resource", "uri": "memo://item/{id}" }, "argument": { "name": "id", "value": "1" } },
        ],
        "answers": answers(),
    })
}

fn answers() -> Value {
    json!({
        "elicitation/create": { "action": "accept", "content": { "answer": "42" } },
        "sampling/createMessage": {
            "role": "assistant", "model": "none", "content": { "type": "text", "text": "a poem" },
        },
        "roots/list": { "roots": [{ "uri": "file:///somewhere" }] },
    })
}

#[test]
fn the_typescript_servers() {
    let Some(parts) = Parts::find() else { return };
    let (legacy, modern) = (Listening::legacy(&parts), Listening::modern(&parts));
    over_http(&parts, &legacy, "legacy", &toolset());
    over_sse(&parts, &legacy.sse(), &toolset());
    over_stdio(&parts, &parts.legacy_stdio(), "legacy", &toolset());
    over_http(&parts, &modern, "modern", &toolset());
    over_stdio(&parts, &parts.modern_stdio(), "modern", &toolset());
}

#[test]
fn the_python_server() {
    let Some(parts) = Parts::find() else { return };
    let server = Listening::python(&parts);
    over_http(&parts, &server, "modern", &toolset());
    over_http(&parts, &server, "legacy", &toolset());
    over_stdio(&parts, &parts.python_stdio(), "legacy", &toolset());
    over_stdio(&parts, &parts.python_stdio(), "modern", &toolset());
}

/// The dual-era server of the conformance suite, with everything that the suite asks for.
#[test]
fn the_conformance_server() {
    let Some(parts) = Parts::find() else { return };
    let server = Listening::conformance(&parts);
    // One closes its stream; in a session the others ask on a stream that the recorder does not open.
    let skip = [
        "test_reconnection",
        "test_elicitation_sep1034_defaults",
        "test_elicitation_sep1330_enums",
    ];
    over_http(&parts, &server, "modern", &json!({ "skip": skip[..1], "answers": answers() }));
    over_http(&parts, &server, "legacy", &json!({ "skip": skip, "answers": answers() }));
}

#[test]
fn server_everything() {
    let Some(parts) = Parts::find() else { return };
    // It asks for roots when it pleases, in the middle of any other exchange.
    let mut asked_in_a_call = answers();
    asked_in_a_call.as_object_mut().expect("an object").remove("roots/list");
    let plan = json!({
        // Environment, time, network; what asks on a stream that the recorder does not open; what
        // says the id of its session.
        "skip": [
            "get-env", "get-resource-reference", "gzip-file-as-resource", "get-roots-list",
            "toggle-simulated-logging", "toggle-subscriber-updates",
        ],
        "calls": [
            { "name": "echo", "arguments": { "message": "a" } },
            { "name": "get-sum", "arguments": { "a": 1, "b": 2 } },
            { "name": "trigger-long-running-operation", "arguments": { "duration": 0.1, "steps": 2 } },
        ],
        "prompts": [{ "name": "args-prompt", "arguments": { "city": "Oslo" } }],
        "answers": asked_in_a_call,
    });
    over_stdio(&parts, &parts.everything_stdio(), "legacy", &plan);
    let http = Listening::everything(&parts, "streamableHttp", "/mcp");
    over_http(&parts, &http, "legacy", &plan);
    let sse = Listening::everything(&parts, "sse", "/sse");
    over_sse(&parts, &sse.url, &plan);
}

#[test]
fn the_servers_of_files_and_memory() {
    let Some(parts) = Parts::find() else { return };
    let folder = tempfile::tempdir().expect("a directory can be made");
    let folder = folder.path().canonicalize().expect("it is there");
    let file = text(&folder.join("hello.txt"));
    std::fs::write(&file, "hello\n").expect("the file can be written");
    let plan = json!({
        "calls": [
            { "name": "write_file", "arguments": { "path": file, "content": "again\n" } },
            { "name": "list_directory", "arguments": { "path": folder } },
            { "name": "read_text_file", "arguments": { "path": file } },
            { "name": "read_text_file", "arguments": { "path": "/etc/hostname" } },
        ],
    });
    over_stdio(&parts, &parts.filesystem(&folder), "legacy", &plan);

    let file = folder.join("memory.jsonl");
    let remember = json!([{ "name": "Ada", "entityType": "person", "observations": ["counts"] }]);
    let plan = json!({
        "calls": [
            { "name": "create_entities", "arguments": { "entities": remember } },
            { "name": "search_nodes", "arguments": { "query": "Ada" } },
            { "name": "delete_entities", "arguments": { "entityNames": ["Ada"] } },
        ],
    });
    let command = with_memory_in(&file, parts.memory());
    over_stdio(&parts, &command, "legacy", &plan);
}

/// The memory server keeps its notes in a file that its environment names.
fn with_memory_in(file: &Path, command: CommandLine) -> CommandLine {
    let variable = format!("MEMORY_FILE_PATH={}", text(file));
    ["env".to_owned(), variable].into_iter().chain(command).collect()
}

#[test]
fn the_servers_of_time_and_git() {
    let Some(parts) = Parts::find() else { return };
    let convert = json!({
        "source_timezone": "UTC", "time": "16:30", "target_timezone": "Asia/Tokyo",
    });
    let plan = json!({ "calls": [
        { "name": "convert_time", "arguments": convert },
        { "name": "get_current_time", "arguments": { "timezone": "Nowhere/Never" } },
    ] });
    // Both speak every version.
    over_stdio(&parts, &parts.time(), "legacy", &plan);
    over_stdio(&parts, &parts.time(), "modern", &plan);

    let folder = tempfile::tempdir().expect("a directory can be made");
    repository(folder.path());
    let path = folder.path();
    let plan = json!({ "calls": [
        { "name": "git_status", "arguments": { "repo_path": path } },
        { "name": "git_log", "arguments": { "repo_path": path, "max_count": 1 } },
        { "name": "git_status", "arguments": { "repo_path": "/nowhere" } },
    ] });
    over_stdio(&parts, &parts.git(path), "legacy", &plan);
    over_stdio(&parts, &parts.git(path), "modern", &plan);
}

/// A repository with one commit and one file that is not in it yet.
pub(super) fn repository(folder: &Path) {
    let git = |args: &[&str]| {
        let done = Command::new("git").arg("-C").arg(folder).args(args).output();
        let done = done.expect("git is installed");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    git(&["init", "--quiet", "--initial-branch=main"]);
    let author = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"];
    git(&[&author[..], &["commit", "--quiet", "--allow-empty", "--message=first"]].concat());
    std::fs::write(folder.join("new.txt"), "new\n").expect("the file can be written");
}

/// The page lists exactly the edits that the comparison allows.
#[test]
fn the_edits_are_documented() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("two folders deep");
    let read = |name: &str| std::fs::read_to_string(root.join(name)).expect("the file is there");
    let recorder = read("tests/node/record.mjs");
    let edits: BTreeSet<_> = recorder
        .lines()
        .filter_map(|line| line.trim().strip_prefix("what: '")?.strip_suffix("',"))
        .collect();
    let page = read("docs/protocol-edits.md");
    let compared =
        page.split("\n## ").find(|part| part.starts_with("Compared")).expect("a section");
    let documented: BTreeSet<_> = compared
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next())
        .filter(|first| !first.starts_with("what") && !first.starts_with('-'))
        .collect();
    assert!(!edits.is_empty());
    assert_eq!(edits, documented);
}
