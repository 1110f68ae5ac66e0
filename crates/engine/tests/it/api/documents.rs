//! Documents: where they come from, what they refer to, and what happens when they change or break.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{ScriptedServer, within};
use wire::Era;

use super::{Api, pets, text};
use crate::harness::{ERAS, Harness, ONE, assert_tool_fault};

async fn one_pet() -> ScriptedServer {
    ScriptedServer::start(|mut exchange| async move {
        exchange.json(200, &json!({"name": "Tom"})).await;
    })
    .await
}

/// Waits until the tools are these.
async fn until_tools(api: &Api, names: &[&str]) {
    let what = format!("the tools {names:?}");
    within(&what, async {
        while api.tools().await != names {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
}

fn without_post() -> Value {
    let mut document = pets();
    document["paths"]["/pets"].as_object_mut().unwrap().remove("post");
    document
}

#[tokio::test]
async fn a_file_that_changes_is_read_again() {
    let api = Api::start(one_pet().await, &pets(), json!({})).await;
    until_tools(&api, &["listPets", "addPet", "getPet"]).await;
    let filter = json!({"notifications": {"toolsListChanged": true}});
    let request = testkit::modern(ONE, 5, "subscriptions/listen", filter);
    let mut modern = api.harness.stream(&request).await;
    modern.next_of("notifications/subscriptions/acknowledged").await;
    let session = api.harness.session(ONE).await;
    let mut legacy = session.listen().await;
    api.write(&without_post());
    for stream in [&mut modern, &mut legacy] {
        stream.next_of("notifications/tools/list_changed").await;
    }
    until_tools(&api, &["listPets", "getPet"]).await;
    let answer = api.call("addPet", json!({"name": "Ann"})).await.json();
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
}

#[tokio::test]
async fn a_broken_document_changes_nothing() {
    let api = Api::start(one_pet().await, &pets(), json!({})).await;
    until_tools(&api, &["listPets", "addPet", "getPet"]).await;
    api.write_text("{\"openapi\": \"3.1.0\", ");
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    assert_eq!(api.tools().await.len(), 3);
    assert_eq!(api.result("getPet", json!({"id": "1"})).await["isError"], false);
    api.write(&without_post());
    until_tools(&api, &["listPets", "getPet"]).await;
}

#[tokio::test]
async fn a_document_that_was_never_good_costs_nobody_else_anything() {
    let (folder, server) = (TempDir::new().unwrap(), one_pet().await);
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let good = file("good.json", pets().to_string());
    let url = server.url("/v1");
    let harness = Harness::start(json!({"servers": {
        "good": {"openapi": good, "url": url},
        "broken": {"openapi": file("broken.yaml", "openapi: 3.1.0\npaths: {\n".to_owned()), "url": url},
        "old": {"openapi": file("old.yaml", "openapi: 1.0.0\npaths: {}\n".to_owned()), "url": url},
        "absent": {"openapi": folder.path().join("absent.yaml"), "url": url},
    }}))
    .await;
    let answer = harness.modern("/servers/good/mcp", "tools/list", json!({})).await.json();
    assert_eq!(answer["result"]["tools"].as_array().unwrap().len(), 3, "{answer}");
    let answer = harness.modern("/mcp", "tools/list", json!({})).await.json();
    assert_eq!(answer["result"]["tools"].as_array().unwrap().len(), 3, "{answer}");
    for (name, said) in [("broken", "broken.yaml:"), ("old", "1.0.0"), ("absent", "absent.yaml")] {
        let target = format!("/servers/{name}/mcp");
        let params = json!({"name": "getPet", "arguments": {"id": "1"}});
        let answer = harness.modern(&target, "tools/call", params).await;
        assert_tool_fault(&answer, Era::Modern, "server-failed");
        let overview = harness.gate.overview();
        let server = overview.servers.iter().find(|server| server.name == name).unwrap();
        let problem = server.problem.as_deref().unwrap_or_default();
        assert!(problem.contains(said), "{name}: {problem}");
    }
}

#[tokio::test]
async fn what_a_document_refers_to_is_read_from_its_own_folder_alone() {
    let folder = TempDir::new().unwrap();
    let inner = folder.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    std::fs::write(folder.path().join("outside.json"), r#"{"get": {"operationId": "outside"}}"#)
        .unwrap();
    std::fs::write(
        inner.join("part.json"),
        r#"{"get": {"operationId": "inside", "responses": {}}}"#,
    )
    .unwrap();
    let trap = one_pet().await;
    let mut document = pets();
    document["paths"]["/inside"] = json!({"$ref": "part.json"});
    document["paths"]["/outside"] = json!({"$ref": "../outside.json"});
    document["paths"]["/trap"] = json!({"$ref": trap.url("/trap.json")});
    document["paths"]["/passwd"] = json!({"$ref": "file:///etc/passwd"});
    std::fs::write(inner.join("api.json"), document.to_string()).unwrap();
    let config =
        json!({"servers": {"s": {"openapi": inner.join("api.json"), "url": trap.url("")}}});
    let harness = Harness::start(config).await;
    let answer = harness.modern(ONE, "tools/list", json!({})).await.json();
    let names: Vec<_> = answer["result"]["tools"]
        .as_array()
        .unwrap_or_else(|| panic!("{answer}"))
        .iter()
        .map(|tool| tool["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["inside", "listPets", "addPet", "getPet"]);
    assert_eq!(trap.connections(), 0);
}

#[tokio::test]
async fn a_document_at_a_url_is_read_again_with_its_mark() {
    let document = Arc::new(Mutex::new((1, pets())));
    let (shown, asked) = (Arc::clone(&document), Arc::new(Mutex::new(Vec::new())));
    let seen = Arc::clone(&asked);
    let server = ScriptedServer::start(move |mut exchange| {
        let (number, document) = shown.lock().unwrap().clone();
        let known = exchange.request().headers.get("if-none-match").map(str::to_owned);
        seen.lock().unwrap().push(known.clone());
        async move {
            let mark = format!("\"v{number}\"");
            if known.as_deref() == Some(&*mark) {
                exchange.respond(304, &[("ETag", &mark)], "").await;
            } else {
                let headers = [("ETag", &*mark), ("Content-Type", "application/json")];
                exchange.respond(200, &headers, document.to_string()).await;
            }
        }
    })
    .await;
    let settings = json!({"openapi": server.url("/openapi.json"), "reload": "1s"});
    let api = Api::start(server, &json!({}), settings).await;
    until_tools(&api, &["listPets", "addPet", "getPet"]).await;
    within("a second question", async {
        while !asked.lock().unwrap().contains(&Some("\"v1\"".to_owned())) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    *document.lock().unwrap() = (2, without_post());
    until_tools(&api, &["listPets", "getPet"]).await;
}

#[tokio::test]
async fn a_large_document_has_pages() {
    let mut document = pets();
    for number in 0..250 {
        document["paths"][format!("/things/{number}")] =
            json!({"get": {"operationId": format!("thing{number}"), "responses": {}}});
    }
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("api.json"), document.to_string()).unwrap();
    let settings = json!({"openapi": folder.path().join("api.json"), "url": "http://127.0.0.1:9"});
    let config = json!({"servers": {"s": settings}, "limits": {"page_items": 100}});
    let harness = Harness::start(config).await;
    for era in ERAS {
        let client = harness.client(era, ONE).await;
        let (mut count, mut cursor) = (0, Value::Null);
        loop {
            let params = if cursor.is_null() { json!({}) } else { json!({"cursor": cursor}) };
            let answer = client.send("tools/list", params).await.json();
            count += answer["result"]["tools"].as_array().unwrap().len();
            cursor = answer["result"]["nextCursor"].clone();
            if cursor.is_null() {
                break;
            }
        }
        assert_eq!(count, 253);
    }
}

#[tokio::test]
async fn an_overlay_changes_the_document() {
    let server = one_pet().await;
    let folder = TempDir::new().unwrap();
    std::fs::write(
        folder.path().join("overlay.yaml"),
        "overlay: 1.0.0\ninfo: {title: x, version: '1'}\nactions:\n\
         - {target: '$.paths[\"/pets\"].post', remove: true}\n",
    )
    .unwrap();
    let settings = json!({"overlays": [folder.path().join("overlay.yaml")]});
    let api = Api::start(server, &pets(), settings).await;
    assert_eq!(api.tools().await, ["listPets", "getPet"]);
    assert_eq!(text(&api.result("getPet", json!({"id": "1"})).await), r#"{"name":"Tom"}"#);
}
