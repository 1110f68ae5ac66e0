//! APIs of different makers behind one endpoint, one of them without a document.

use serde_json::json;

use super::service::{CLIENTS, Service, path, play};
use super::{kinto, loopback};
use crate::harness::{Gate, wait_until};
use crate::interop::parts::Parts;
use crate::interop::script::{call, step};

#[test]
fn several_apis_behind_one_endpoint() {
    let Some(parts) = Parts::find() else { return };
    let home = tempfile::tempdir().expect("a directory can be made");
    let todo = Service::node(&parts, "todo", home.path());
    let store = Service::python(&parts, "kinto", home.path());
    let configuration = json!({
        "servers": {
            "todo": loopback::server(&todo),
            "store": kinto::server(&store),
            // It answers, though not with a document.
            "broken": { "openapi": format!("{}/todos", todo.url), "url": todo.url },
        },
        "log": { "level": "warn" },
    });
    std::fs::write(home.path().join("gate.json"), configuration.to_string()).expect("written");
    let gate = Gate::start(home.path(), &["gate.json"]);
    for server in ["todo", "store"] {
        wait_until("the API offers its tools", || !gate.tools(&path(server)).is_empty());
    }
    for client in CLIENTS {
        let steps = [
            step(json!({ "op": "tools/list" })).lists(
                "tools",
                "name",
                &["todo__TodoController_create", "store__update_bucket"],
            ),
            call("todo__TodoController_create", json!({ "title": "together" }))
                .gives("/structuredContent/title", "together"),
            call("store__update_bucket", json!({ "id": "shared" }))
                .gives("/structuredContent/data/id", "shared"),
        ];
        play(&parts, &gate, "/mcp", client, &steps);
    }
    assert_eq!(todo.json("/todos", &[]).as_array().map(Vec::len), Some(CLIENTS.len()));
}
