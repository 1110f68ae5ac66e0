//! Pages of an API: what follows is told to the model, as arguments of the tool.

use serde_json::{Value, json};
use testkit::ScriptedServer;

use super::Api;
use crate::harness::{Harness, ONE};

/// An API that puts the key of the request into the link to the next page, as many do.
async fn shop() -> ScriptedServer {
    ScriptedServer::start(|mut exchange| async move {
        let target = exchange.request().target.clone();
        let path = target.split('?').next().unwrap_or_default().to_owned();
        let query = |name: &str| {
            let pairs = target.split(['?', '&']).skip(1);
            pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name)
        };
        let json = ("Content-Type", "application/json");
        match path.as_str() {
            "/v1/linked" => {
                let next = format!("<https://shop.example{target}&cursor=c2>; rel=\"next\"");
                let other = "<https://shop.example/>; rel=\"first\"".to_owned();
                let headers = [json, ("Link", &*other), ("Link", &*next)];
                exchange.respond(200, &headers, r#"["a"]"#).await;
            }
            "/v1/rows" => {
                let at: usize = query("skip").and_then(|(_, it)| it.parse().ok()).unwrap_or(0);
                let rows: Vec<usize> = (at..(at + 2).min(5)).collect();
                let total = [json, ("X-All", "5")];
                exchange.respond(200, &total, json!({"rows": rows}).to_string()).await;
            }
            _ => {
                let page = r#"{"data":[{"id":"x1"},{"id":"x2"}],"more":true}"#;
                exchange.respond(200, &[json], page).await;
            }
        }
    })
    .await
}

fn document() -> Value {
    let operation = |id: &str, names: &[&str]| {
        let parameter = |name: &&str| {
            let kind = if *name == "skip" { "integer" } else { "string" };
            json!({"name": name, "in": "query", "schema": {"type": kind}})
        };
        let parameters: Vec<Value> = names.iter().map(parameter).collect();
        let responses = json!({"200": {"description": "x"}});
        json!({"get": {"operationId": id, "parameters": parameters, "responses": responses,
            "security": [{"key": []}]}})
    };
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Shop", "version": "1"},
        "paths": {
            "/linked": operation("linked", &["cursor"]),
            "/rows": operation("rows", &["skip"]),
            "/events": operation("events", &["from"]),
        },
        "components": {"securitySchemes": {"key": {"type": "apiKey", "in": "query", "name": "api_key"}}}
    })
}

fn next(result: &Value) -> &Value {
    &result["_meta"]["io.portcullis/next"]
}

#[tokio::test]
async fn pages_are_found_as_the_operator_says() {
    let settings = json!({
        "credentials": {"schemes": {"key": {"value": "KEY-OF-THE-SHOP"}}},
        "pagination": {"by": "offset", "argument": "skip", "items": "rows", "total": "header:X-All"},
        "tools": {
            "override": {"events": {
                "query": {"token": "TOKEN-OF-THE-TOOL"},
                "pagination": {"next": "data.-1.id", "more": "more", "argument": "from"},
            }},
            "define": {"quiet": {"path": "/rows", "arguments": {"skip": "integer"}, "pagination": "off"}},
        },
    });
    let api = Api::start(shop().await, &document(), settings).await;

    // Another way than the server's, where the server's is not meant: the usual ones.
    let linked = api.result("linked", json!({})).await;
    assert_eq!(*next(&linked), json!({"arguments": {"cursor": "c2"}}));
    assert!(!linked.to_string().contains("KEY-OF-THE-SHOP"), "{linked}");
    assert!(api.server.requests()[0].target.contains("api_key=KEY-OF-THE-SHOP"));

    // Every page, as a model would ask for them.
    let mut arguments = json!({});
    let mut rows = Vec::new();
    loop {
        let result = api.result("rows", arguments.clone()).await;
        rows.extend(result["structuredContent"]["rows"].as_array().unwrap().iter().cloned());
        if next(&result).is_null() {
            break;
        }
        arguments = next(&result)["arguments"].clone();
        assert!(result["content"][1]["text"].as_str().unwrap().contains("`skip` = "), "{result}");
    }
    assert_eq!(rows, [0, 1, 2, 3, 4]);

    let events = api.result("events", json!({})).await;
    assert_eq!(*next(&events), json!({"arguments": {"from": "x2"}}));
    let quiet = api.result("quiet", json!({})).await;
    assert_eq!(*next(&quiet), Value::Null, "{quiet}");
}

#[tokio::test]
async fn a_tool_without_a_fitting_argument_tells_no_url() {
    let mut document = document();
    document["paths"]["/linked"]["get"]["parameters"] = json!([]);
    let settings = json!({"credentials": {"schemes": {"key": {"value": "KEY-OF-THE-SHOP"}}}});
    let api = Api::start(shop().await, &document, settings).await;
    let linked = api.result("linked", json!({})).await;
    assert_eq!(*next(&linked), json!({}));
    assert!(!linked.to_string().contains("KEY-OF-THE-SHOP"), "{linked}");
}

#[tokio::test]
async fn pages_of_tools_without_a_document() {
    let server = shop().await;
    let tool = json!({"path": "/rows", "arguments": {"skip": "integer"},
        "pagination": {"by": "offset", "argument": "skip", "items": "rows"}});
    let settings = json!({"url": server.url("/v1"), "tools": {"define": {"rows": tool}}});
    let harness = Harness::start(json!({"servers": {"s": settings}})).await;
    let call = json!({"name": "rows", "arguments": {"skip": 2}});
    let answer = harness.modern(ONE, "tools/call", call).await.json();
    let expected = json!({"arguments": {"skip": 4}, "certain": false});
    assert_eq!(*next(&answer["result"]), expected, "{answer}");
}
