//! Two services made with `LoopBack` (OpenAPI 3.0): a to-do list and a file store.

use serde_json::{Value, json};

use super::service::{CLIENTS, Service, gate, path, play};
use crate::interop::parts::Parts;
use crate::interop::script::{Step, call, step};

pub(super) fn server(service: &Service) -> Value {
    json!({ "openapi": format!("{}/openapi.json", service.url), "url": service.url })
}

/// Two things to do, the first of which gets the number `first`.
fn does(first: u64) -> Vec<Step> {
    let title = format!("water & feed #{first}");
    let find = |filter: Value| call("TodoController_find", json!({ "filter": filter }));
    vec![
        step(json!({ "op": "tools/list" })).lists("tools", "name", &["TodoController_create"]),
        call(
            "TodoController_create",
            json!({ "title": title, "isComplete": false, "tag": { "a": [1] } }),
        )
        .gives("/structuredContent/id", first)
        .gives("/structuredContent/title", title.as_str()),
        call("TodoController_create", json!({ "title": "sleep", "isComplete": true }))
            .gives("/structuredContent/id", first + 1),
        call("TodoController_findById", json!({ "id": first, "filter": { "fields": ["title"] } }))
            .gives("/structuredContent/title", title.as_str()),
        // The filter is one query parameter, in JSON.
        find(json!({ "where": { "title": title } })).mentions(&format!("\"id\":{first}")),
        find(json!({ "where": { "title": "no such thing" } })).says("[]"),
        find(json!({ "order": ["id DESC"], "limit": 1 }))
            .mentions(&format!("[{{\"id\":{}", first + 1)),
        call("TodoController_count", json!({ "where": { "isComplete": true } }))
            .gives("/structuredContent/count", 1),
        call("TodoController_updateById", json!({ "id": first, "isComplete": true }))
            .mentions("204"),
        call("TodoController_count", json!({ "where": { "isComplete": true } }))
            .gives("/structuredContent/count", 2),
    ]
}

fn is_refused(first: u64) -> Vec<Step> {
    vec![
        call("TodoController_create", json!({ "isComplete": true }))
            .gives("/isError", true)
            .mentions("title"),
        call("TodoController_create", json!({ "title": 7 }))
            .gives("/isError", true)
            .mentions("title"),
        call("TodoController_create", json!({ "title": "t", "colour": "red" }))
            .gives("/isError", true)
            .mentions("colour"),
        call("TodoController_findById", json!({ "id": first + 1000 }))
            .gives("/isError", true)
            .mentions("404 Not Found"),
    ]
}

fn removes(first: u64) -> Vec<Step> {
    [first, first + 1]
        .map(|id| call("TodoController_deleteById", json!({ "id": id })).mentions("204"))
        .into()
}

#[test]
fn things_to_do() {
    let Some(parts) = Parts::find() else { return };
    let home = tempfile::tempdir().expect("a directory can be made");
    let service = Service::node(&parts, "todo", home.path());
    let gate = gate(home.path(), &json!({ "todo": server(&service) }));
    for (client, first) in CLIENTS.into_iter().zip([1, 3, 5]) {
        let steps = [does(first), is_refused(first)].concat();
        play(&parts, &gate, &path("todo"), client, &steps);
        let kept = service.json("/todos", &[]);
        assert_eq!(kept.as_array().map(Vec::len), Some(2), "{client:?}: {kept}");
        assert_eq!(kept[0]["isComplete"], true, "{client:?}: {kept}");
        assert_eq!(kept[0]["tag"], json!({ "a": [1] }), "{client:?}: {kept}");

        play(&parts, &gate, &path("todo"), client, &removes(first));
        assert_eq!(service.json("/todos", &[]), json!([]), "{client:?}");
    }
}

#[test]
fn files_up_and_down() {
    let Some(parts) = Parts::find() else { return };
    let home = tempfile::tempdir().expect("a directory can be made");
    let service = Service::node(&parts, "files", home.path());
    let gate = gate(home.path(), &json!({ "files": server(&service) }));
    for (number, client) in CLIENTS.into_iter().enumerate() {
        let name = format!("note {number}.bin");
        // Bytes that are no text, and look like the end of a part.
        let file =
            format!("data:application/octet-stream;name=note%20{number}.bin;base64,AA0KLS0NCv/+");
        let steps = [
            call("FileUploadController_fileUpload", json!({ "file": file })).mentions("\"size\":9"),
            call("FileDownloadController_listFiles", json!({})).mentions(&name),
            call("FileDownloadController_downloadFile", json!({ "filename": name }))
                .gives("/content/0/resource/blob", "AA0KLS0NCv/+"),
            call("FileDownloadController_downloadFile", json!({ "filename": "none" }))
                .gives("/isError", true)
                .mentions("404 Not Found"),
            call("FileDownloadController_downloadFile", json!({ "filename": ".." }))
                .gives("/isError", true)
                .mentions("filename"),
            call("FileUploadController_fileUpload", json!({ "file": "no base64!" }))
                .gives("/isError", true)
                .mentions("file"),
        ];
        play(&parts, &gate, &path("files"), client, &steps);
        let stored = std::fs::read(home.path().join("files").join(&name)).expect("it was stored");
        assert_eq!(stored, b"\0\r\n--\r\n\xff\xfe", "{client:?}");
    }
}
