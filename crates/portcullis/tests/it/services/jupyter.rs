//! The files of a Jupyter Server: Swagger 2.0 in YAML, without any `operationId`.

use serde_json::{Value, json};

use super::service::{CLIENTS, KEY, Service, gate, path, play};
use crate::interop::parts::Parts;
use crate::interop::script::{Step, call, step};

/// The server shows its document to those alone whom it knows.
fn server(service: &Service) -> Value {
    json!({
        "openapi": format!("{}/api/spec.yaml", service.url),
        "url": service.url,
        // Its answers have `null` where 2.0 knows none: with schemas promised, every one were an error.
        "output": "off",
        "credentials": { "header": { "name": "Authorization", "value": format!("token {KEY}") } },
    })
}

fn keeps(file: &str) -> Vec<Step> {
    let text =
        json!({ "path": file, "type": "file", "format": "text", "content": "first\nsecond — ü\n" });
    let bytes = json!({ "path": format!("{file}.bin"), "type": "file", "format": "base64", "content": "AP8A" });
    vec![
        step(json!({ "op": "tools/list" })).lists(
            "tools",
            "name",
            &[
                "get_api_contents_by_path",
                "put_api_contents_by_path",
                "delete_api_contents_by_path",
            ],
        ),
        call("put_api_contents_by_path", text).mentions(file),
        call("put_api_contents_by_path", bytes).mentions(file),
        call(
            "get_api_contents_by_path",
            json!({ "path": file, "content": 1, "type": "file", "format": "text" }),
        )
        .gives("/structuredContent/content", "first\nsecond — ü\n"),
        call("get_api_contents_by_path", json!({ "path": file, "content": 0 }))
            .mentions("\"content\": null"),
        call(
            "patch_api_contents_by_path",
            json!({ "path": file, "body_path": format!("{file}.old") }),
        )
        .mentions(&format!("{file}.old")),
        call(
            "get_api_contents_by_path",
            json!({ "path": format!("{file}.bin"), "format": "base64" }),
        )
        .mentions("AP8A"),
    ]
}

fn is_refused(file: &str) -> Vec<Step> {
    vec![
        call("get_api_contents_by_path", json!({ "path": file }))
            .gives("/isError", true)
            .mentions("404"),
        call("get_api_contents_by_path", json!({ "path": file, "format": "hex" }))
            .gives("/isError", true)
            .mentions("format"),
        call("get_api_contents_by_path", json!({ "path": file, "type": "directory" }))
            .gives("/isError", true),
    ]
}

#[test]
fn files_of_jupyter() {
    let Some(parts) = Parts::find() else { return };
    let home = tempfile::tempdir().expect("a directory can be made");
    let service = Service::python(&parts, "jupyter", home.path());
    let gate = gate(home.path(), &json!({ "jupyter": server(&service) }));
    for (number, client) in CLIENTS.into_iter().enumerate() {
        let file = format!("a note & more {number}.txt");
        let steps = [keeps(&file), is_refused(&file)].concat();
        play(&parts, &gate, &path("jupyter"), client, &steps);
        let folder = home.path().join("jupyter");
        let old = folder.join(format!("{file}.old"));
        assert_eq!(std::fs::read_to_string(&old).expect("it is there"), "first\nsecond — ü\n");
        assert_eq!(
            std::fs::read(folder.join(format!("{file}.bin"))).expect("it is there"),
            b"\0\xff\0"
        );

        let gone = call("delete_api_contents_by_path", json!({ "path": format!("{file}.old") }));
        play(&parts, &gate, &path("jupyter"), client, &[gone.mentions("204")]);
        assert!(!old.exists(), "{client:?}");
    }
    assert!(!gate.log().contains(KEY), "credentials are not for the log");
}
