//! A shelf of books made with `FastAPI`: OpenAPI 3.1, with arguments of every kind.

use serde_json::{Value, json};

use super::service::{CLIENTS, KEY, Service, gate, path, play};
use crate::interop::parts::Parts;
use crate::interop::script::{Step, call, step};

/// A picture of one pixel.
const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// What has no way into a path, a query or a form as it is.
const ODD: &str = "a b&c=d/e?f+g%h";

fn servers(service: &Service) -> Value {
    json!({ "books": {
        "openapi": format!("{}/openapi.json", service.url),
        "url": service.url,
        "credentials": { "schemes": { "APIKeyHeader": { "value": KEY } } },
    } })
}

fn keeps(id: &str) -> Vec<Step> {
    let book = json!({ "id": id, "title": "Die Verwandlung — ü", "genre": "poetry", "pages": 80, "tags": [id, "short"] });
    vec![
        step(json!({ "op": "tools/list" })).lists(
            "tools",
            "name",
            &["list_books", "keep_book", "upload_cover"],
        ),
        call("keep_book", book)
            .gives("/structuredContent/id", id)
            .gives("/structuredContent/tags", json!([id, "short"])),
        call("read_book", json!({ "id": id }))
            .gives("/structuredContent/title", "Die Verwandlung — ü"),
        call("list_books", json!({ "genre": ["crime", "poetry"], "tag": id, "limit": 5 }))
            .mentions(&format!("\"id\":\"{id}\"")),
        call("list_books", json!({ "genre": ["science"], "tag": id })).says("[]"),
    ]
}

fn uploads(id: &str) -> Vec<Step> {
    let file = format!("data:image/png;name=a%20pixel.png;base64,{PIXEL}");
    vec![
        call("upload_cover", json!({ "id": id, "file": file, "caption": ODD }))
            .gives("/structuredContent/name", "a pixel.png")
            .gives("/structuredContent/type", "image/png")
            .gives("/structuredContent/size", 70)
            .gives("/structuredContent/caption", ODD),
        call("show_cover", json!({ "id": id }))
            .gives("/content/0/type", "image")
            .gives("/content/0/mimeType", "image/png")
            .gives("/content/0/data", PIXEL),
    ]
}

fn says() -> Vec<Step> {
    vec![
        call("sign", json!({ "name": ODD, "colors": ["red & blue", "grün"] }))
            .gives("/structuredContent/name", ODD)
            .gives("/structuredContent/colors", json!(["red & blue", "grün"])),
        call("visit", json!({ "x-desk": "3rd floor", "seat": "a4" }))
            .gives("/structuredContent/desk", "3rd floor")
            .gives("/structuredContent/seat", "a4"),
        call("lines", json!({ "count": 3 })).mentions("{\"line\": 3}"),
    ]
}

fn is_refused(id: &str) -> Vec<Step> {
    vec![
        // The gate itself refuses what cannot fit, and names it.
        call("keep_book", json!({ "id": id, "title": "T", "genre": "romance" }))
            .gives("/isError", true)
            .mentions("genre"),
        call("list_books", json!({ "limit": 0 })).gives("/isError", true).mentions("limit"),
        call("read_book", json!({})).gives("/isError", true).mentions("id"),
        call("read_book", json!({ "id": ".." })).gives("/isError", true).mentions("id"),
        call("read_book", json!({ "id": "none" }))
            .gives("/isError", true)
            .mentions("404 Not Found: no book 'none'"),
        call("busy", json!({})).gives("/isError", true).mentions("Try again in 7 seconds"),
    ]
}

fn removes(id: &str) -> Vec<Step> {
    vec![
        call("remove_book", json!({ "id": id })).mentions("204"),
        call("read_book", json!({ "id": id })).gives("/isError", true).mentions("404"),
    ]
}

#[test]
fn a_shelf_of_books() {
    let Some(parts) = Parts::find() else { return };
    let home = tempfile::tempdir().expect("a directory can be made");
    let service = Service::python(&parts, "books", home.path());
    let gate = gate(home.path(), &servers(&service));
    for (number, client) in CLIENTS.into_iter().enumerate() {
        let id = format!("{ODD}{number}").replace('/', ":");
        let steps = [keeps(&id), uploads(&id), says(), is_refused(&id)].concat();
        play(&parts, &gate, &path("books"), client, &steps);
        let kept = service.json("/books?genre=poetry", &[]);
        assert_eq!(kept.as_array().map(Vec::len), Some(1), "{client:?}: {kept}");
        assert_eq!(kept[0]["id"], id.as_str(), "{client:?}");

        play(&parts, &gate, &path("books"), client, &removes(&id));
        assert_eq!(service.json("/books", &[]), json!([]), "{client:?}");
    }
}

/// Without the key the other tools go on working, and the answer says what the operator must set.
#[test]
fn a_shelf_without_its_key() {
    let Some(parts) = Parts::find() else { return };
    let home = tempfile::tempdir().expect("a directory can be made");
    let service = Service::python(&parts, "books", home.path());
    let mut servers = servers(&service);
    servers["books"]["credentials"] = Value::Null;
    servers["books"].as_object_mut().expect("an object").remove("credentials");
    let gate = gate(home.path(), &servers);
    let steps = [
        call("list_books", json!({})).says("[]"),
        call("remove_book", json!({ "id": "b" })).gives("/isError", true).mentions("APIKeyHeader"),
    ];
    for client in CLIENTS {
        play(&parts, &gate, &path("books"), client, &steps);
    }
}
