//! Tools that are written by hand in the configuration, for an API without a document.

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::ScriptedServer;

use crate::api::{merge, text};
use crate::harness::{ERAS, Harness, ONE};

async fn one_item() -> ScriptedServer {
    ScriptedServer::start(|mut exchange| async move {
        let headers = [("Content-Type", "application/json")];
        exchange.respond(200, &headers, r#"{"name":"Cup","stock":7}"#).await;
    })
    .await
}

fn tools() -> Value {
    json!({
        "getItem": {
            "path": "/shelves/{shelf}/items/{id}",
            "title": "Item",
            "description": "Reads one item.",
            "arguments": {
                "id": "integer",
                "fields": {"schema": {"type": "array", "items": {"type": "string"}}},
                "limit": {"type": "integer", "default": 10},
                "trace": {"in": "header", "name": "X-Trace"}
            },
            "query": {"format": "json"},
            "output": {"type": "object", "properties": {"stock": {"type": "integer"}}}
        },
        "addItem": {
            "method": "POST",
            "path": "/items",
            "annotations": {"destructive": false},
            "arguments": {
                "name": {"type": "string", "required": true},
                "kind": {"value": "plain"}
            }
        }
    })
}

#[tokio::test]
async fn tools_are_written_by_hand() {
    let server = one_item().await;
    let settings = json!({
        "url": server.url("/v1"),
        "credentials": {"bearer": "token-of-the-shop"},
        "tools": {"define": tools()},
    });
    let harness = Harness::start(json!({"servers": {"s": settings}})).await;
    for era in ERAS {
        let client = harness.client(era, ONE).await;
        let answer = client.send("tools/list", json!({})).await.json();
        let listed = answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("{answer}"));
        let names: Vec<_> = listed.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
        // `json!` sorts what the configuration would keep in its order.
        assert_eq!(names, ["addItem", "getItem"]);
        assert_eq!(listed[1]["title"], "Item");
        let required = listed[1]["inputSchema"]["required"].as_array().unwrap();
        assert!(required.contains(&json!("id")) && required.contains(&json!("shelf")), "{answer}");
        assert_eq!(listed[0]["annotations"]["destructiveHint"], false);
        assert!(!answer.to_string().contains("token-of-the-shop"));

        let arguments = json!({"shelf": "a/b", "id": 3, "fields": ["x", "y"], "trace": "t1"});
        let params = json!({"name": "getItem", "arguments": arguments});
        let answer = client.send("tools/call", params).await.json();
        let result = &answer["result"];
        assert_eq!(result["structuredContent"], json!({"name": "Cup", "stock": 7}), "{answer}");

        let params = json!({"name": "addItem", "arguments": {"name": "Cup"}});
        client.send("tools/call", params).await.json();
    }
    for requests in server.requests().chunks(2) {
        let target = "/v1/shelves/a%2Fb/items/3?fields=x&fields=y&limit=10&format=json";
        assert_eq!((&*requests[0].verb, &*requests[0].target), ("GET", target));
        assert_eq!(requests[0].headers.get("x-trace"), Some("t1"));
        assert_eq!(requests[0].headers.get("authorization"), Some("Bearer token-of-the-shop"));
        assert_eq!((&*requests[1].verb, &*requests[1].target), ("POST", "/v1/items"));
        let body: Value = serde_json::from_slice(&requests[1].body).unwrap();
        assert_eq!(body, json!({"name": "Cup", "kind": "plain"}));
    }
    assert_eq!(server.requests().len(), 4);

    let params = json!({"name": "getItem", "arguments": {"shelf": "a", "id": "three"}});
    let answer = harness.modern(ONE, "tools/call", params).await.json();
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    assert!(text(&answer["result"]).contains("`id` must be of type integer"), "{answer}");
    assert_eq!(server.requests().len(), 4);
}

#[tokio::test]
async fn a_document_may_have_more_tools() {
    let server = one_item().await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("api.json");
    let document = json!({
        "openapi": "3.0.3",
        "info": {"title": "Shop", "version": "1"},
        "paths": {"/items": {"get": {"operationId": "listItems", "responses": {}}}}
    });
    std::fs::write(&file, document.to_string()).unwrap();
    let mut settings = json!({"openapi": file, "url": server.url("/v1")});
    merge(&mut settings, json!({"tools": {"define": tools()}}));
    let harness = Harness::start(json!({"servers": {"s": settings}})).await;
    let answer = harness.modern(ONE, "tools/list", json!({})).await.json();
    let listed = answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let names: Vec<_> = listed.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["listItems", "addItem", "getItem"]);
}
