//! Calls: what arrives at the API, and what its answers become.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::{ScriptedServer, until};
use wire::Era;

use super::{Api, pets, text};
use crate::harness::{ERAS, ONE, assert_tool_fault};

/// An API that answers with one pet, whatever is asked.
async fn one_pet() -> ScriptedServer {
    answering(200, &[("Content-Type", "application/json")], r#"{"name":"Tom","age":7}"#).await
}

/// An API that always answers the same.
async fn answering(
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: impl Into<Vec<u8>>,
) -> ScriptedServer {
    let body = body.into();
    ScriptedServer::start(move |mut exchange| {
        let body = body.clone();
        async move { exchange.respond(status, headers, body).await }
    })
    .await
}

#[tokio::test]
async fn operations_are_tools() {
    let api = Api::start(one_pet().await, &pets(), json!({})).await;
    assert_eq!(api.tools().await, ["listPets", "addPet", "getPet"]);
    for era in ERAS {
        let client = api.client(era).await;
        let params = json!({"name": "getPet", "arguments": {"id": "a b/c"}});
        let answer = client.send("tools/call", params).await.json();
        let result = &answer["result"];
        assert_eq!(result["structuredContent"], json!({"name": "Tom", "age": 7}), "{answer}");
        assert_eq!(text(result), r#"{"name":"Tom","age":7}"#);
        assert_eq!(result["isError"], false);
        let complete = (era == Era::Modern).then_some("complete");
        assert_eq!(result["resultType"].as_str(), complete, "{answer}");
    }
    let requests = api.server.requests();
    assert_eq!(requests.len(), 2);
    for request in requests {
        assert_eq!((&*request.verb, &*request.target), ("GET", "/v1/pets/a%20b%2Fc"));
        assert_eq!(request.headers.get("accept-encoding"), Some("gzip, deflate"));
        assert!(request.headers.get("accept").unwrap().contains("application/json"));
        assert!(!request.headers.0.iter().any(|(name, _)| name.starts_with("mcp-")));
    }
}

#[tokio::test]
async fn queries_headers_and_bodies_arrive() {
    let api = Api::start(one_pet().await, &pets(), json!({"headers": {"X-Team": "gate"}})).await;
    api.result("listPets", json!({"tag": ["a&b", "c"], "X-Trace": "t 1"})).await;
    api.result("addPet", json!({"name": "Ann", "age": 12_345_678_901_234_567_890_u64})).await;
    let requests = api.server.requests();
    assert_eq!(requests[0].target, "/v1/pets?tag=a%26b&tag=c");
    assert_eq!(requests[0].headers.get("x-trace"), Some("t 1"));
    assert_eq!(requests[0].headers.get("x-team"), Some("gate"));
    assert_eq!((&*requests[1].verb, &*requests[1].target), ("POST", "/v1/pets"));
    assert_eq!(requests[1].headers.get("content-type"), Some("application/json"));
    let body = String::from_utf8(requests[1].body.clone()).unwrap();
    assert_eq!(body, r#"{"age":12345678901234567890,"name":"Ann"}"#);
}

#[tokio::test]
async fn files_have_names_of_the_gates_own() {
    let server = ScriptedServer::start(|mut exchange| async move {
        let head = [
            ("content-type", "application/pdf"),
            ("content-disposition", "attachment; filename=\"bill.pdf\""),
        ];
        exchange.respond(200, &head, b"%PDF").await;
    });
    let mut document = pets();
    for path in ["/pets", "/pets/{id}"] {
        document["paths"][path]["get"]["responses"] = json!({"200": {"description": "A file",
            "content": {"application/pdf": {}}}});
    }
    let api = Api::start(server.await, &document, json!({})).await;
    let mut uris = Vec::new();
    for (tool, arguments) in [
        ("listPets", json!({})),
        ("getPet", json!({"id": "a"})),
        ("getPet", json!({"id": "b"})),
        ("getPet", json!({"id": "a"})),
    ] {
        let result = api.result(tool, arguments).await;
        uris.push(result["content"][0]["resource"]["uri"].as_str().unwrap().to_owned());
    }
    assert_eq!(uris[0], "api://s/listPets/bill.pdf");
    assert!(uris[1].starts_with("api://s/getPet/") && uris[1].ends_with("/bill.pdf"), "{uris:?}");
    assert!(uris[1] != uris[2] && uris[1] == uris[3], "{uris:?}");
    assert!(!uris.concat().contains("127.0.0.1"), "{uris:?}");
}

#[tokio::test]
async fn a_server_says_what_it_is() {
    let api = Api::start(one_pet().await, &pets(), json!({})).await;
    let answer = api.harness.modern(ONE, "server/discover", json!({})).await.json();
    let result = &answer["result"];
    assert_eq!(result["capabilities"], json!({"tools": {"listChanged": true}}), "{answer}");
    assert_eq!(result["instructions"], "All the pets of the house.");
    let info = json!({"name": "s", "title": "Pets", "version": "7"});
    assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"], info, "{answer}");
    for method in ["resources/list", "prompts/list"] {
        let answer = api.harness.modern(ONE, method, json!({})).await.json();
        assert_eq!(answer["error"]["code"], -32601, "{answer}");
    }
    let session = api.harness.session(ONE).await;
    let answer = session.send(1, "tools/list", json!({})).await.json();
    assert_eq!(answer["result"]["tools"].as_array().unwrap().len(), 3, "{answer}");
    // What a legacy client must be promised is an object.
    let output = &answer["result"]["tools"][0]["outputSchema"];
    assert_eq!(output["type"], "object", "{answer}");
}

#[tokio::test]
async fn wrong_arguments_are_told_and_nothing_is_sent() {
    let api = Api::start(one_pet().await, &pets(), json!({})).await;
    for (tool, arguments, said) in [
        ("getPet", json!({}), "`id` is required and missing"),
        ("getPet", json!({"id": 7}), "`id` must be of type string, and is integer"),
        ("getPet", json!({"id": "1", "ID": "2"}), "`ID` is not known; did you mean `id`?"),
        ("getPet", json!({"id": ".."}), "`id`"),
        ("getPet", json!({"id": "a\nb"}), "`id`"),
        ("addPet", json!({"age": "old"}), "`name` is required and missing"),
    ] {
        let result = api.result(tool, arguments.clone()).await;
        assert_eq!(result["isError"], true, "{arguments}: {result}");
        assert!(text(&result).contains(said), "{arguments}: {}", text(&result));
    }
    let answer = api.call("nobody", json!({})).await.json();
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    assert!(api.server.requests().is_empty());
}

#[tokio::test]
async fn failures_of_the_api_are_told() {
    let problem = r#"{"title":"No such pet","detail":"Tom has left"}"#;
    for (status, headers, body, said) in [
        (404, &[("Content-Type", "application/problem+json")][..], problem, "Tom has left"),
        (429, &[("Retry-After", "7")], "", "7"),
        (500, &[("Content-Type", "text/html")], "<h1>Oh &amp; no</h1>", "Oh & no"),
        (302, &[("Location", "https://else.example/")], "", "else.example"),
    ] {
        let api = Api::start(answering(status, headers, body).await, &pets(), json!({})).await;
        let result = api.result("getPet", json!({"id": "1"})).await;
        assert_eq!(result["isError"], true, "{result}");
        assert!(text(&result).contains(&status.to_string()), "{result}");
        assert!(result["content"].to_string().contains(said), "{result}");
        assert_eq!(result["structuredContent"], Value::Null, "{result}");
    }
}

#[tokio::test]
async fn answers_that_are_not_what_they_should_be() {
    let json_type = &[("Content-Type", "application/json")][..];
    for (headers, body, said) in [
        (json_type, "{\"name\":", "{\"name\":"),
        (json_type, r#"{"age":1}"#, r#"{"age":1}"#),
        (&[("Content-Type", "text/html")], "<p>Hello</p>", "Hello"),
        (&[], "plain", "plain"),
    ] {
        let api = Api::start(answering(200, headers, body).await, &pets(), json!({})).await;
        for era in ERAS {
            let client = api.client(era).await;
            let params = json!({"name": "getPet", "arguments": {"id": "1"}});
            let answer = client.send("tools/call", params).await.json();
            let result = &answer["result"];
            // What violates the output schema is never presented as valid, and is an error, so that
            // no client throws it away.
            assert_eq!(result["structuredContent"], Value::Null, "{result}");
            assert_eq!(result["isError"], true, "{result}");
            assert!(text(result).contains("carried the request out (HTTP 200 OK)"), "{result}");
            assert!(result["content"][1]["text"].as_str().unwrap().contains(said), "{result}");
        }
        // A tool that promises nothing breaks nothing.
        let off = json!({"tools": {"override": {"getPet": {"output": "off"}}}});
        let api = Api::start(answering(200, headers, body).await, &pets(), off).await;
        let result = api.result("getPet", json!({"id": "1"})).await;
        assert_eq!(result["isError"], false, "{result}");
        assert!(text(&result).contains(said), "{result}");
    }
    let api = Api::start(answering(204, &[], "").await, &pets(), json!({})).await;
    let result = api.result("getPet", json!({"id": "1"})).await;
    assert_eq!(result["isError"], true, "{result}");
    assert!(text(&result).contains("204"), "{result}");
    let result = api.result("addPet", json!({"name": "Ann"})).await;
    assert_eq!(result["isError"], false, "{result}");
    assert!(text(&result).contains("204"), "{result}");
    for broken in [
        &b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx"[..],
        b"nonsense\r\n\r\n",
        b"",
    ] {
        let server = ScriptedServer::start(move |mut exchange| async move {
            exchange.raw(broken).await;
            exchange.close();
        });
        let api = Api::start(server.await, &pets(), json!({})).await;
        let answer = api.call("getPet", json!({"id": "1"})).await;
        assert_tool_fault(&answer, Era::Modern, "server-failed");
        assert_eq!(api.server.requests().len(), 1, "sent once");
    }
}

#[tokio::test]
async fn an_api_that_does_not_answer_runs_into_the_deadline() {
    let server = ScriptedServer::start(|mut exchange| async move { exchange.closed().await });
    let api = Api::start(server.await, &pets(), json!({"timeout": "200ms"})).await;
    for era in ERAS {
        let client = api.client(era).await;
        let params = json!({"name": "getPet", "arguments": {"id": "1"}});
        let answer = client.send("tools/call", params).await;
        let said = assert_tool_fault(&answer, era, "deadline-exceeded");
        assert!(said.contains("did not answer in time"), "{said}");
    }
}

#[tokio::test]
async fn a_client_that_goes_away_closes_the_request() {
    let closed = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let seen = std::sync::Arc::clone(&closed);
    let server = ScriptedServer::start(move |mut exchange| {
        let seen = std::sync::Arc::clone(&seen);
        async move {
            exchange.closed().await;
            seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    });
    let api = Api::start(server.await, &pets(), json!({"timeout": "30s"})).await;
    let mut connection = api.harness.connect().await;
    let params = json!({"name": "getPet", "arguments": {"id": "1"}});
    connection.write(testkit::modern(ONE, 1, "tools/call", params).bytes()).await;
    api.server.wait_where("the request", 1, |request| request.verb == "GET").await;
    drop(connection);
    until("the API to see it", || closed.load(std::sync::atomic::Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn an_api_that_is_not_there() {
    let server = one_pet().await;
    let gone = json!({"url": "http://127.0.0.1:9/"});
    let api = Api::start(server, &pets(), gone).await;
    assert_eq!(api.tools().await.len(), 3);
    let answer = api.call("getPet", json!({"id": "1"})).await;
    let said = assert_tool_fault(&answer, Era::Modern, "server-failed");
    assert!(said.contains("cannot be reached"), "{said}");
}

#[tokio::test]
async fn long_answers_are_cut() {
    let body = format!("[{}]", vec![r#"{"name":"Tom"}"#; 1000].join(","));
    let server = answering(200, &[("Content-Type", "application/json")], body);
    let api = Api::start(server.await, &pets(), json!({"result_bytes": "1KiB"})).await;
    let result = api.result("listPets", json!({})).await;
    assert_eq!(result["structuredContent"], Value::Null);
    let length = result["content"].to_string().len();
    assert!(length < 3000, "{length}");
}

#[tokio::test]
async fn what_comes_value_by_value_is_progress() {
    let server = ScriptedServer::start(|mut exchange| async move {
        exchange.begin_events(&[]).await;
        for number in 1..=3 {
            exchange.chunk(format!("data: {{\"number\":{number}}}\n\n")).await;
        }
        exchange.end().await;
    });
    let mut document = pets();
    document["paths"]["/pets"]["get"]["responses"] = json!({"200": {"description": "Events",
        "content": {"text/event-stream": {}}}});
    let api = Api::start(server.await, &document, json!({})).await;
    for era in ERAS {
        let client = api.client(era).await;
        let params = json!({"name": "listPets", "arguments": {}, "_meta": {"progressToken": "p"}});
        let mut stream = client.stream(7, "tools/call", params).await;
        for number in 1..=3 {
            let progress = stream.next_of("notifications/progress").await;
            assert_eq!(progress["params"]["progressToken"], "p", "{progress}");
            assert_eq!(progress["params"]["progress"], number, "{progress}");
            let said = progress["params"]["message"].as_str().unwrap();
            assert!(said.contains(&number.to_string()), "{progress}");
        }
        let answer = stream.next().await;
        assert!(text(&answer["result"]).contains("\"number\":3"), "{answer}");
    }
    // Without a token, there is the result alone.
    let result = api.result("listPets", json!({})).await;
    assert!(text(&result).contains("\"number\":1"), "{result}");
}

#[tokio::test]
async fn a_stream_that_never_ends_gives_what_has_come() {
    let server = ScriptedServer::start(|mut exchange| async move {
        exchange.begin_events(&[]).await;
        exchange.chunk("data: {\"number\":1}\n\n").await;
        exchange.closed().await;
    });
    let api = Api::start(server.await, &pets(), json!({"timeout": "500ms"})).await;
    // It promises a list of pets; what never ends is none.
    let result = api.result("listPets", json!({})).await;
    assert_eq!(result["isError"], true, "{result}");
    assert!(text(&result).contains("goes on"), "{result}");
    assert!(result["content"].to_string().contains("number"), "{result}");
    let result = api.result("addPet", json!({"name": "Ann"})).await;
    assert!(text(&result).contains("\"number\":1"), "{result}");
    assert_eq!(result["isError"], false, "{result}");
    let said = result["content"][1]["text"].as_str().unwrap();
    assert!(said.contains("the stream goes on") && !said.contains("bytes"), "{result}");
}

#[tokio::test]
async fn an_answer_of_too_many_headers_is_said_to_be_so() {
    let server = ScriptedServer::start(|mut exchange| async move {
        let names: Vec<String> = (0..150).map(|number| format!("x-{number}")).collect();
        let head: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "1")).collect();
        exchange.respond(200, &head, b"{}").await;
    });
    let api = Api::start(server.await, &pets(), json!({})).await;
    let answer = api.call("getPet", json!({"id": "1"})).await;
    assert!(answer.text().contains("more headers than the 100"), "{}", answer.text());
}

#[tokio::test]
async fn headers_of_clients_are_passed_on_by_name_alone() {
    let settings = json!({"forward_headers": ["Accept-Language", "X-Request-Id"]});
    let api = Api::start(one_pet().await, &pets(), settings).await;
    for era in ERAS {
        let client = api.client(era).await;
        let params = json!({"name": "getPet", "arguments": {"id": "1"}});
        let request = client
            .request(1, "tools/call", params)
            .header("Accept-Language", "de")
            .header("Authorization", "Bearer canary")
            .header("Cookie", "canary=1")
            .header("X-Other", "canary");
        assert_eq!(api.harness.send(&request).await.status, 200);
    }
    let requests = api.server.requests();
    assert_eq!(requests.len(), 2);
    for request in requests {
        assert_eq!(request.headers.get("accept-language"), Some("de"));
        assert!(!format!("{request:?}").contains("canary"), "{request:?}");
    }
}

#[tokio::test]
async fn overrides_change_tools() {
    let settings = json!({"tools": {
        "include": ["*Pet*"],
        "exclude": [{"method": "POST"}],
        "override": {"getPet": {
            "name": "pet", "description": "Reads a pet.", "path": "/animals/{id}",
            "headers": {"X-Fixed": "yes"}, "query": {"full": "a b"},
            "annotations": {"open_world": false},
        }, "listPets": {"arguments": {"tag": {"value": ["mine"]}, "X-Trace": {"hide": true}}}},
    }});
    let api = Api::start(one_pet().await, &pets(), settings).await;
    assert_eq!(api.tools().await, ["listPets", "pet"]);
    let list = api.harness.modern(ONE, "tools/list", json!({})).await.json();
    let tools = &list["result"]["tools"];
    assert_eq!(tools[1]["description"], "Reads a pet.", "{list}");
    assert_eq!(tools[1]["annotations"]["openWorldHint"], false, "{list}");
    assert_eq!(tools[0]["inputSchema"]["properties"], Value::Null, "{list}");
    api.result("pet", json!({"id": "1"})).await;
    api.result("listPets", json!({})).await;
    let requests = api.server.requests();
    assert_eq!(requests[0].target, "/v1/animals/1?full=a%20b");
    assert_eq!(requests[0].headers.get("x-fixed"), Some("yes"));
    assert_eq!(requests[1].target, "/v1/pets?tag=mine");
}

#[tokio::test]
async fn an_address_that_only_the_document_says_must_not_lead_inside() {
    let server = one_pet().await;
    let mut document = pets();
    document["servers"] = json!([{"url": server.url("/v1")}]);
    let api = Api::start(server, &document, json!({"url": null, "timeout": "5s"})).await;
    assert_eq!(api.tools().await.len(), 3);
    let answer = api.call("getPet", json!({"id": "1"})).await;
    let said = assert_tool_fault(&answer, Era::Modern, "server-failed");
    assert!(said.contains("private") && said.contains("`url`"), "{said}");
    assert_eq!(api.server.connections(), 0);
    // And one that says none says what to do.
    document["servers"] = json!([{"url": "/v1"}]);
    let api = Api::start(one_pet().await, &document, json!({"url": null})).await;
    let answer = api.call("getPet", json!({"id": "1"})).await;
    let said = assert_tool_fault(&answer, Era::Modern, "server-failed");
    assert!(said.contains("`url`"), "{said}");
}

#[tokio::test]
async fn an_api_is_part_of_a_composed_endpoint() {
    let api = Api::start(one_pet().await, &pets(), json!({})).await;
    for era in ERAS {
        let client = api.harness.client(era, crate::harness::COMPOSED).await;
        let listed = client.send("tools/list", json!({})).await.json();
        assert_eq!(listed["result"]["tools"][2]["name"], "s__getPet", "{listed}");
        let params = json!({"name": "s__getPet", "arguments": {"id": "1"}});
        let answer = client.send("tools/call", params).await.json();
        assert_eq!(answer["result"]["structuredContent"]["name"], "Tom", "{answer}");
    }
}

#[tokio::test]
async fn calls_wait_in_the_queue_of_their_server() {
    let server = ScriptedServer::start(|mut exchange| async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        exchange.json(200, &json!({"name": "Tom"})).await;
    });
    let settings = json!({"concurrency": 1, "queue": 1, "queue_timeout": "5s"});
    let api = Api::start(server.await, &pets(), settings).await;
    api.tools().await;
    let calls = (0..6).map(|_| api.call("getPet", json!({"id": "1"})));
    let answers = futures_util::future::join_all(calls).await;
    let good = answers.iter().filter(|answer| answer.json()["result"]["isError"] == false);
    assert!((1..6).contains(&good.count()));
}
