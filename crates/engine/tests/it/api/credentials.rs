//! What requests show to be let in, and who never sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use testkit::ScriptedServer;
use wire::Era;

use super::{Api, pets, text};
use crate::harness::assert_tool_fault;

/// The document with these security schemes, and this demand of `getPet`.
fn secured(schemes: Value, demand: Value) -> Value {
    let mut document = pets();
    document["components"]["securitySchemes"] = schemes;
    document["paths"]["/pets/{id}"]["get"]["security"] = demand;
    document
}

fn every_scheme() -> Value {
    json!({
        "key": {"type": "apiKey", "in": "header", "name": "X-Key"},
        "pair": {"type": "apiKey", "in": "query", "name": "api key"},
        "cookie": {"type": "apiKey", "in": "cookie", "name": "sid"},
        "basic": {"type": "http", "scheme": "basic"},
        "bearer": {"type": "http", "scheme": "bearer"},
        "digest": {"type": "http", "scheme": "digest"},
        "token": {"type": "http", "scheme": "Token"},
        "bearer 2": {"type": "http", "scheme": "bearer"},
    })
}

async fn one_pet() -> ScriptedServer {
    ScriptedServer::start(|mut exchange| async move {
        exchange.json(200, &json!({"name": "Tom"})).await;
    })
    .await
}

#[tokio::test]
async fn each_scheme_is_shown_as_the_document_says() {
    for (demand, name, shown) in [
        (json!([{"key": []}]), "x-key", "canary-1"),
        (json!([{"cookie": []}]), "cookie", "sid=canary%2F3"),
        (json!([{"basic": []}]), "authorization", "Basic YWRhOmNhbmFyeS00"),
        (json!([{"bearer": []}]), "authorization", "Bearer canary-5"),
        (json!([{"token": []}]), "authorization", "Token canary-6"),
        // A request has one header `Authorization`.
        (json!([{"basic": [], "bearer": []}, {"key": []}]), "x-key", "canary-1"),
        (json!([{"bearer": [], "bearer 2": []}]), "authorization", "Bearer canary-5"),
        // The first alternative that can be served.
        (json!([{"digest": []}, {"key": [], "bearer": []}, {"cookie": []}]), "x-key", "canary-1"),
    ] {
        let settings = json!({"credentials": {"schemes": {
            "key": {"value": "canary-1"},
            "pair": {"value": "canary 2"},
            "cookie": {"value": "canary/3"},
            "basic": {"username": "ada", "password": "canary-4"},
            "bearer": {"value": "canary-5"},
            "bearer 2": {"value": "canary-5"},
            "token": {"value": "canary-6"},
            "digest": {"value": "canary-7"},
        }}});
        let document = secured(every_scheme(), demand.clone());
        let api = Api::start(one_pet().await, &document, settings).await;
        let answer = api.call("getPet", json!({"id": "1"})).await;
        assert_eq!(answer.json()["result"]["isError"], false, "{demand}: {}", answer.text());
        let request = &api.server.requests()[0];
        assert_eq!(request.headers.get(name), Some(shown), "{demand}");
        assert!(!answer.text().contains("canary"), "{}", answer.text());
        // What demands nothing is shown nothing.
        api.call("listPets", json!({})).await;
        assert!(!format!("{:?}", api.server.requests()[1]).contains("canary"));
        let listed = api.harness.modern(crate::harness::ONE, "tools/list", json!({})).await;
        assert!(!listed.text().contains("canary"), "{}", listed.text());
    }
    let settings = json!({"credentials": {"schemes": {"pair": {"value": "canary 2&x"}}}});
    let document = secured(every_scheme(), json!([{"pair": []}]));
    let api = Api::start(one_pet().await, &document, settings).await;
    api.call("getPet", json!({"id": "1"})).await;
    assert_eq!(api.server.requests()[0].target, "/v1/pets/1?api%20key=canary%202%26x");
}

#[tokio::test]
async fn what_is_missing_is_said_and_nothing_is_sent() {
    for (demand, said) in [
        (json!([{"key": []}]), "`servers.s.credentials.schemes.key`"),
        (json!([{"digest": []}]), "`http digest`), which the gate cannot serve"),
        (json!([{"basic": [], "bearer": []}]), "`basic` and `bearer` at once"),
        (json!([{"key": [], "bearer": []}]), "`servers.s.credentials.schemes.key`"),
        // What the document does not declare is no reason to leave out what it does.
        (json!([{"key": [], "nobody": []}]), "`servers.s.credentials.schemes.key`"),
    ] {
        let settings = json!({"credentials": {"schemes": {
            "other": {"value": "canary"},
            "basic": {"username": "ada", "password": "canary"},
            "bearer": {"value": "canary"},
            "digest": {"value": "canary"},
        }}});
        let document = secured(every_scheme(), demand.clone());
        let api = Api::start(one_pet().await, &document, settings).await;
        let answer = api.call("getPet", json!({"id": "1"})).await;
        let text = assert_tool_fault(&answer, Era::Modern, "server-failed");
        assert!(text.contains(said), "{demand}: {text}");
        assert!(api.server.requests().is_empty());
        // Other tools go on working.
        let result = api.result("addPet", json!({"name": "Ann"})).await;
        assert_eq!(result["isError"], false, "{result}");
    }
    // Nobody knows what an undeclared scheme would be: the operator may say it, or it is not sent.
    for (demand, credentials, header, shown) in [
        (json!([{"nobody": []}]), json!({}), "authorization", None),
        (json!([{"nobody": []}, {"key": []}]), json!({"key": {"value": "k"}}), "x-key", Some("k")),
        (json!([{"nobody": [], "key": []}]), json!({"key": {"value": "k"}}), "x-key", Some("k")),
        (
            json!([{"nobody": []}]),
            json!({"nobody": {"value": "t"}}),
            "authorization",
            Some("Bearer t"),
        ),
        (
            json!([{"nobody": []}]),
            json!({"nobody": {"username": "ada", "password": "p"}}),
            "authorization",
            Some("Basic YWRhOnA="),
        ),
    ] {
        let document = secured(every_scheme(), demand.clone());
        let settings = json!({"credentials": {"schemes": credentials}});
        let api = Api::start(one_pet().await, &document, settings).await;
        let result = api.result("getPet", json!({"id": "1"})).await;
        assert_eq!(result["isError"], false, "{demand}: {result}");
        assert_eq!(api.server.requests()[0].headers.get(header), shown, "{demand}");
    }
    // What may be called without is called without; what every request has is shown in any case.
    for (demand, credentials) in
        [(json!([{"key": []}, {}]), json!({})), (json!([{"key": []}]), json!({"bearer": "canary"}))]
    {
        let document = secured(every_scheme(), demand);
        let settings = json!({"credentials": credentials});
        let api = Api::start(one_pet().await, &document, settings).await;
        let result = api.result("getPet", json!({"id": "1"})).await;
        assert_eq!(result["isError"], false, "{result}");
    }
}

#[tokio::test]
async fn no_argument_stands_before_a_credential() {
    let mut document = secured(every_scheme(), json!([{"pair": [], "cookie": []}]));
    let free = json!({"type": "object", "additionalProperties": {"type": "string"}});
    document["paths"]["/pets/{id}"]["get"]["parameters"].as_array_mut().unwrap().extend([
        json!({"name": "f", "in": "query", "schema": free}),
        json!({"name": "c", "in": "cookie", "schema": free}),
        json!({"name": "Cookie", "in": "header", "schema": {"type": "string"}}),
    ]);
    let settings = json!({"credentials": {"schemes": {
        "pair": {"value": "canary 2"}, "cookie": {"value": "canary/3"}}}});
    let api = Api::start(one_pet().await, &document, settings).await;
    for (arguments, name) in [
        (json!({"id": "1", "f": {"api key": "mine"}}), "api key"),
        (json!({"id": "1", "f": {"a": "b", "API KEY": "mine"}}), "api key"),
        (json!({"id": "1", "c": {"sid": "mine"}}), "sid"),
        (json!({"id": "1", "Cookie": "a=b; sid=mine"}), "sid"),
    ] {
        let result = api.result("getPet", arguments.clone()).await;
        assert_eq!(result["isError"], true, "{arguments}: {result}");
        let said = text(&result);
        assert!(said.contains(&format!("`{name}` is what the gate itself sends")), "{said}");
        assert!(api.server.requests().is_empty(), "{arguments}");
    }
    // Other members are sent, and what the gate shows comes but once.
    let arguments = json!({"id": "1", "f": {"a": "b", "c": "api key"}, "c": {"side": "left"}});
    let result = api.result("getPet", arguments).await;
    assert_eq!(result["isError"], false, "{result}");
    let request = &api.server.requests()[0];
    assert_eq!(request.target, "/v1/pets/1?a=b&c=api%20key&api%20key=canary%202");
    assert_eq!(request.headers.get("cookie"), Some("side=left; sid=canary%2F3"));
}

#[tokio::test]
async fn what_is_traced_has_no_credentials() {
    let mut document = secured(every_scheme(), json!([{"key": [], "pair": []}]));
    let item = &mut document["paths"]["/pets/{id}"];
    item["trace"] = item["get"].clone();
    item["trace"]["operationId"] = json!("trace");
    let settings = json!({"credentials": {"bearer": "canary", "schemes": {
        "key": {"value": "canary"}, "pair": {"value": "canary"}}}});
    let api = Api::start(one_pet().await, &document, settings).await;
    for tool in ["getPet", "trace"] {
        let result = api.result(tool, json!({"id": "1"})).await;
        assert!(!result.to_string().contains("Nothing was sent"), "{result}");
    }
    let requests = api.server.requests();
    assert_eq!(requests[0].headers.get("authorization"), Some("Bearer canary"));
    assert_eq!(requests[1].verb, "TRACE");
    assert!(!format!("{:?}", requests[1]).contains("canary"), "{:?}", requests[1]);
}

/// An API and its authorization server: tokens `token-1`, `token-2`, … of which the API takes those
/// from `first` on.
async fn cloud(asked: Arc<AtomicUsize>, first: usize, in_body: bool) -> ScriptedServer {
    ScriptedServer::start(move |mut exchange| {
        let asked = Arc::clone(&asked);
        async move {
            let request = exchange.request().clone();
            if request.target == "/token" {
                let body = String::from_utf8_lossy(&request.body).into_owned();
                let is_known = if in_body {
                    body.contains("client_id=gate&client_secret=canary")
                } else {
                    request.headers.get("authorization") == Some("Basic Z2F0ZTpjYW5hcnk=")
                };
                assert!(body.contains("grant_type=client_credentials&scope=read"), "{body}");
                if !is_known {
                    exchange.json(401, &json!({"error": "invalid_client"})).await;
                    return;
                }
                let number = asked.fetch_add(1, Ordering::SeqCst) + 1;
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                let token = format!("token-{number}");
                let answer = json!({"access_token": token, "expires_in": 3600});
                exchange.json(200, &answer).await;
                return;
            }
            let token = request.headers.get("authorization").unwrap_or_default();
            let number = token.strip_prefix("Bearer token-").and_then(|it| it.parse().ok());
            if number.is_some_and(|number: usize| number >= first) {
                exchange.json(200, &json!({"name": "Tom"})).await;
            } else {
                exchange.json(401, &json!({"error": "expired"})).await;
            }
        }
    })
    .await
}

async fn behind(server: ScriptedServer) -> Api {
    let token_url = server.url("/token");
    let schemes = json!({"cloud": {"type": "oauth2", "flows": {"clientCredentials": {
        "tokenUrl": "https://login.example.com/token", "scopes": {"read": "Reading"}}}}});
    let settings = json!({"credentials": {"schemes": {"cloud": {
        "client_id": "gate", "client_secret": "canary", "token_url": token_url}}}});
    Api::start(server, &secured(schemes, json!([{"cloud": ["read"]}])), settings).await
}

#[tokio::test]
async fn a_token_is_fetched_once() {
    for in_body in [false, true] {
        let asked = Arc::new(AtomicUsize::new(0));
        let api = behind(cloud(Arc::clone(&asked), 1, in_body).await).await;
        api.tools().await;
        let calls = (0..50).map(|_| api.call("getPet", json!({"id": "1"})));
        for answer in futures_util::future::join_all(calls).await {
            assert_eq!(answer.json()["result"]["isError"], false, "{}", answer.text());
            assert!(!answer.text().contains("token-"), "{}", answer.text());
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn a_token_that_is_refused_is_fetched_again_once() {
    let asked = Arc::new(AtomicUsize::new(0));
    let api = behind(cloud(Arc::clone(&asked), 2, false).await).await;
    // A fresh one that is refused is refused.
    let result = api.result("getPet", json!({"id": "1"})).await;
    assert_eq!(result["isError"], true, "{result}");
    // One that was kept may have ended.
    let result = api.result("getPet", json!({"id": "1"})).await;
    assert_eq!(result["isError"], false, "{result}");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

/// Frameworks write where tokens are had relative to where the API is.
#[tokio::test]
async fn a_token_is_had_where_the_api_is() {
    for (written, asked) in [("token", "/v1/token"), ("/login/token", "/login/token")] {
        let server = ScriptedServer::start(|mut exchange| async move {
            let is_api = exchange.request().target.starts_with("/v1/pets");
            let answer = if is_api { json!({"name": "Tom"}) } else { json!({"access_token": "t"}) };
            exchange.json(200, &answer).await;
        });
        let schemes = json!({"cloud": {"type": "oauth2", "flows": {"clientCredentials": {
            "tokenUrl": written, "scopes": {}}}}});
        let settings = json!({"credentials": {"schemes": {"cloud": {
            "client_id": "gate", "client_secret": "canary"}}}});
        let document = secured(schemes, json!([{"cloud": []}]));
        let api = Api::start(server.await, &document, settings).await;
        let result = api.result("getPet", json!({"id": "1"})).await;
        assert_eq!(result["isError"], false, "{result}");
        let requests = api.server.requests();
        assert_eq!(requests[0].target, asked);
        assert_eq!(requests[1].headers.get("authorization"), Some("Bearer t"));
    }
}

#[tokio::test]
async fn an_authorization_server_that_refuses_is_told_without_secrets() {
    let server = ScriptedServer::start(|mut exchange| async move {
        exchange.json(400, &json!({"error": "invalid_scope", "hint": "canary"})).await;
    });
    let api = behind(server.await).await;
    let answer = api.call("getPet", json!({"id": "1"})).await;
    let said = assert_tool_fault(&answer, Era::Modern, "server-failed");
    assert!(said.contains("invalid_scope") && !said.contains("canary"), "{said}");
}

/// The canaries of [`every_secret`], and what comes of them on the wire.
const CANARIES: [&str; 12] = [
    "canary-head-1",
    "canary/pair 2&x",
    "canary%2Fpair%202%26x",
    "canary%2fpair+2%26x",
    "canary\\/pair",
    "canary-cookie-3",
    "canary-basic-4",
    "YWRhOmNhbmFyeS1iYXNpYy00",
    "canary-bearer-5",
    "canary-always-6",
    "canary-query-7",
    "canary-fixed-8",
];

/// Settings with a credential in every place that there is. References need files.
fn every_secret(folder: &std::path::Path) -> Value {
    let file = |name: &str, text: &str| {
        std::fs::write(folder.join(name), text).unwrap();
        format!("${{file:{}}}", folder.join(name).display())
    };
    json!({
        "credentials": {
            "header": {"name": "X-Always", "value": "token canary-always-6"},
            "schemes": {
                "key": {"value": "canary-head-1"},
                "pair": {"value": "canary/pair 2&x"},
                "cookie": {"value": "canary-cookie-3"},
                "basic": {"username": "ada", "password": "canary-basic-4"},
                "bearer": {"value": "canary-bearer-5"},
            },
        },
        "tools": {"override": {"getPet": {
            "query": {"own": file("query", "canary-query-7")},
            "arguments": {"fixed": {"value": file("fixed", "canary-fixed-8")}},
        }}},
    })
}

/// Everything that arrived, the query decoded too, as one text.
fn told(request: &testkit::Received) -> String {
    let target = &request.target;
    let decoded: Vec<_> = url_pairs(target.split_once('?').map_or("", |it| it.1));
    let headers: Vec<String> = request.headers.0.iter().map(|(n, v)| format!("{n}: {v}")).collect();
    format!("{target} {decoded:?} {}", headers.join("; "))
}

fn url_pairs(query: &str) -> Vec<String> {
    let plain = |pair: &str| pair.replace("%2F", "/").replace("%20", " ").replace("%26", "&");
    query.split('&').map(plain).collect()
}

/// An API that says again what it was sent, in each of the ways that APIs have; `X-Kind` chooses.
async fn parrot() -> ScriptedServer {
    ScriptedServer::start(|mut exchange| async move {
        let request = exchange.request().clone();
        let kind = request.headers.get("x-kind").unwrap_or_default().to_owned();
        let told = told(&request);
        let quoted = json!(told).to_string();
        let json = ("Content-Type", "application/json");
        let next = format!("http://api.example{}&page=2", request.target);
        let link = format!("<{next}>; rel=\"next\"");
        match &*kind {
            "error" => exchange.json(400, &json!({"message": told, "sent": {"all": told}})).await,
            "text" => exchange.respond(401, &[("Content-Type", "text/plain")], told).await,
            "page" => {
                let page = format!("<html>{}</html>", told.replace('&', "&amp;"));
                exchange.respond(500, &[("Content-Type", "text/html")], page).await;
            }
            "php" => exchange.respond(200, &[json], quoted.replace('/', "\\/")).await,
            "go" => exchange.respond(200, &[json], quoted.replace('&', "\\u0026")).await,
            "lower" => {
                let body = quoted.replace("%2F", "%2f").replace("%20", "+");
                exchange.respond(200, &[json], body).await;
            }
            "moved" => exchange.respond(302, &[("Location", &next)], "").await,
            "created" => exchange.respond(201, &[("Location", &next), ("Link", &link)], "").await,
            "next" => exchange.json(200, &json!({"items": [], "next": next})).await,
            "link" => exchange.respond(200, &[json, ("Link", &link)], "[]").await,
            "events" => {
                exchange.begin_events(&[]).await;
                exchange.chunk(format!("data: {quoted}\n\n")).await;
                exchange.end().await;
            }
            _ => exchange.json(200, &json!({"echo": told, "headers": [told]})).await,
        }
    })
    .await
}

const KINDS: [&str; 12] = [
    "echo", "error", "text", "page", "php", "go", "lower", "moved", "created", "next", "link",
    "events",
];

fn parroted() -> Value {
    let all = json!([{"key": [], "pair": [], "cookie": [], "basic": []}]);
    let mut document = secured(every_scheme(), all);
    let get = &mut document["paths"]["/pets/{id}"]["get"];
    get["responses"] = json!({"200": {"description": "Anything"}});
    let parameters = get["parameters"].as_array_mut().unwrap();
    for (name, place) in [("X-Kind", "header"), ("fixed", "query"), ("page", "query")] {
        parameters.push(json!({"name": name, "in": place, "schema": {"type": "string"}}));
    }
    document
}

#[track_caller]
fn assert_clean(what: &str, text: &str) {
    for canary in CANARIES {
        assert!(!text.contains(canary), "{what} has {canary}: {text}");
    }
    assert!(!text.contains("canary-"), "{what}: {text}");
}

#[tokio::test]
async fn what_an_api_says_again_has_no_credentials() {
    let secrets = tempfile::tempdir().unwrap();
    let api = Api::start(parrot().await, &parroted(), every_secret(secrets.path())).await;
    let mut harness = api.harness;
    let mut seen = String::new();
    for era in crate::harness::ERAS {
        let client = harness.client(era, crate::harness::ONE).await;
        for kind in KINDS {
            let meta = json!({"progressToken": "p"});
            let arguments = json!({"id": "canar", "X-Kind": kind});
            let params = json!({"name": "getPet", "arguments": arguments, "_meta": meta});
            let answer = client.send("tools/call", params).await;
            assert_clean(kind, &answer.text());
            // The model reads that something is not shown, and everything else.
            let is_masked = answer.text().contains("***");
            assert!(is_masked || ["moved", "link"].contains(&kind), "{kind}: {}", answer.text());
            seen.push_str(&answer.text());
        }
        let listed = client.send("tools/list", json!({})).await;
        assert_clean("tools/list", &listed.text());
        assert!(listed.text().contains("X-Kind"), "{}", listed.text());
    }
    assert!(seen.contains("canar") && seen.contains("x-kind"), "the rest is as it was");
    // The API was told everything: the same check finds it there.
    let all: String = api.server.requests().iter().map(told).collect();
    for canary in ["head-1", "cookie-3", "always-6", "query-7", "fixed-8"] {
        assert!(all.contains(&format!("canary-{canary}")), "{canary}: {all}");
    }
    assert!(all.contains("canary%2Fpair%202%26x") && all.contains("YWRhOmNhbmFyeS1iYXNpYy00"));
    assert_clean("the overview", &format!("{:?}", harness.gate.overview()));
    while let Ok(record) = harness.records.try_recv() {
        assert_clean("a record", &format!("{record:?}"));
    }
}

#[tokio::test]
async fn tokens_are_in_no_result() {
    let server = ScriptedServer::start(|mut exchange| async move {
        let request = exchange.request().clone();
        if request.target == "/token" {
            let answer = json!({"access_token": "canary-token-9", "expires_in": 3600});
            exchange.json(200, &answer).await;
        } else {
            let shown = request.headers.get("authorization").unwrap_or_default();
            exchange.json(403, &json!({"message": format!("{shown} is not allowed")})).await;
        }
    });
    let api = behind(server.await).await;
    let result = api.result("getPet", json!({"id": "1"})).await;
    assert!(text(&result).contains("Bearer *** is not allowed"), "{result}");
    let shown = api.server.requests().pop().unwrap();
    assert_eq!(shown.headers.get("authorization"), Some("Bearer canary-token-9"));
}
