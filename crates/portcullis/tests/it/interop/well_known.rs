//! The reference servers do their own work for clients of both eras.

use serde_json::json;

use super::client::{Client, PYTHON_AUTO, PYTHON_LEGACY, V1, V2_AUTO, V2_MODERN};
use super::parts::Parts;
use super::recorded::repository;
use super::script::{Step, call, check, script, step};
use super::server::{Listening, gate, started, text};

#[test]
fn reference_servers_work_for_every_client() {
    let Some(parts) = Parts::find() else { return };
    let home = tempfile::tempdir().expect("a directory can be made");
    let folder = home.path().canonicalize().expect("it is there");
    std::fs::write(folder.join("hello.txt"), "hello\n").expect("the file can be written");
    let repo = folder.join("repository");
    std::fs::create_dir(&repo).expect("a directory can be made");
    repository(&repo);

    let http = Listening::everything(&parts, "streamableHttp", "/mcp");
    let sse = Listening::everything(&parts, "sse", "/sse");
    let mut memory = started(&parts.memory());
    memory["env"] = json!({ "MEMORY_FILE_PATH": folder.join("memory.jsonl") });
    let servers = json!({
        "everything": started(&parts.everything_stdio()),
        "everything-http": { "url": http.url },
        "everything-sse": { "url": sse.url },
        "files": started(&parts.filesystem(&folder)),
        "memory": memory,
        "time": started(&parts.time()),
        "git": started(&parts.git(&repo)),
    });
    let gate = gate(home.path(), &json!({ "servers": servers }));
    let visit = |name: &str, client: Client, steps: &[Step]| {
        let url = gate.url(&format!("/servers/{name}/mcp"));
        let report = client.run(&parts, &url, &script(steps, &json!({})));
        check(&format!("{client:?} at {name}"), steps, &report);
    };

    for client in [V1, V2_MODERN] {
        for name in ["everything", "everything-http", "everything-sse"] {
            visit(name, client, &everything());
        }
    }
    for client in [V1, V2_AUTO] {
        visit(
            "files",
            client,
            &[
                step(json!({ "op": "initialize" }))
                    .gives("/serverInfo/name", "secure-filesystem-server"),
                call("read_text_file", json!({ "path": folder.join("hello.txt") }))
                    .mentions("hello"),
                call("read_text_file", json!({ "path": "/etc/hostname" })).gives("/isError", true),
            ],
        );
        let observed = json!([{ "entityName": "Ada", "contents": [format!("{client:?}")] }]);
        let ada = json!([{ "name": "Ada", "entityType": "person", "observations": [] }]);
        visit(
            "memory",
            client,
            &[
                call("create_entities", json!({ "entities": ada })),
                call("add_observations", json!({ "observations": observed })),
                call("read_graph", json!({})).gives("/structuredContent/entities/0/name", "Ada"),
            ],
        );
    }
    for client in [V1, V2_MODERN, PYTHON_AUTO, PYTHON_LEGACY] {
        let noon = json!({
            "source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo",
        });
        visit("time", client, &[call("convert_time", noon).mentions("21:00:00+09:00")]);
        let repo = text(&repo);
        visit(
            "git",
            client,
            &[
                call("git_status", json!({ "repo_path": repo })).mentions("new.txt"),
                call("git_status", json!({ "repo_path": "/nowhere" })).gives("/isError", true),
            ],
        );
    }
}

fn everything() -> Vec<Step> {
    vec![
        step(json!({ "op": "initialize" })).gives("/serverInfo/name", "mcp-servers/everything"),
        call("echo", json!({ "message": "hello" })).says("Echo: hello"),
        call("get-sum", json!({ "a": 19, "b": 23 })).mentions("42"),
        call("get-structured-content", json!({ "location": "Chicago" }))
            .gives("/structuredContent/temperature", 36),
        step(json!({ "op": "prompts/get", "name": "simple-prompt" }))
            .gives("/messages/0/role", "user"),
        step(json!({ "op": "tools/call", "name": "trigger-long-running-operation",
            "arguments": { "duration": 0.2, "steps": 2 }, "progress": true }))
        .mentions("completed")
        .reports("/progress/0/progress", 1),
        step(json!({ "op": "completion/complete",
            "ref": { "type": "ref/prompt", "name": "completable-prompt" },
            "argument": { "name": "department", "value": "E" } }))
        .gives("/completion/values", json!(["Engineering"])),
    ]
}
