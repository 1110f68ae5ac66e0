//! Inspector's command line against every kind of endpoint.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::parts::Parts;
use super::server::{Listening, gate, started, text};

/// Runs one method with Inspector and returns what it prints.
fn inspect(parts: &Parts, home: &std::path::Path, target: &[&str], method: &[&str]) -> Value {
    let program = "@modelcontextprotocol/inspector/clients/launcher/build/index.js";
    let output = Command::new(&parts.node)
        .arg(parts.module(program))
        .arg("--cli")
        .args(target)
        .arg("--method")
        .args(method)
        .env("HOME", home)
        .stdin(Stdio::null())
        .output()
        .expect("node starts");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{target:?} {method:?}: {said}\n{complained}");
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(|each| each["name"].as_str()).collect()
}

#[test]
fn inspector_lists_calls_and_reads() {
    let Some(parts) = Parts::find() else { return };
    let home = tempfile::tempdir().expect("a directory can be made");
    let (legacy, modern) = (Listening::legacy(&parts), Listening::modern(&parts));
    let servers = json!({
        "old": { "url": legacy.url },
        "new": { "url": modern.url },
        "everything": started(&parts.everything_stdio()),
    });
    let gate = gate(home.path(), &json!({ "servers": servers }));
    let ask = |target: &[&str], method: &[&str]| inspect(&parts, home.path(), target, method);

    for server in ["old", "new"] {
        let url = gate.url(&format!("/servers/{server}/mcp"));
        let tools = ask(&[&url], &["tools/list"]);
        assert!(names(&tools["tools"]).contains(&"echo"), "{tools}");
        let echo = ["tools/call", "--tool-name", "echo", "--tool-arg", "message=hello"];
        assert_eq!(ask(&[&url], &echo)["content"][0]["text"], "hello");
        let note = ask(&[&url], &["resources/read", "--uri", "memo://note"]);
        assert_eq!(note["contents"][0]["text"], "the first note");
    }
    let url = gate.url("/servers/everything/mcp");
    assert!(names(&ask(&[&url], &["prompts/list"])["prompts"]).contains(&"simple-prompt"));

    let composed = gate.url("/mcp");
    let tools = ask(&[&composed], &["tools/list"]);
    for tool in ["old__echo", "new__echo", "everything__echo"] {
        assert!(names(&tools["tools"]).contains(&tool), "{tools}");
    }
    let greet =
        ["prompts/get", "--prompt-name", "new__greet", "--prompt-args", "name=Ada", "tone=formal"];
    let greeting = ask(&[&composed], &greet);
    assert_eq!(greeting["messages"][0]["content"]["text"], "Greet Ada in a formal tone.");

    let over_sse = format!("{composed}/sse");
    assert!(names(&ask(&[&over_sse], &["tools/list"])["tools"]).contains(&"old__echo"));

    let file = text(&home.path().join("gate.json"));
    let host = [env!("CARGO_BIN_EXE_portcullis"), "stdio", &file];
    assert!(names(&ask(&host, &["tools/list"])["tools"]).contains(&"new__echo"));
}
