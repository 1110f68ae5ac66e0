//! Servers that ask in the middle of a call, where client and server are of one era; across eras see
//! `bridge`.

use serde_json::{Value, json};
use testkit::{McpServer, Session};
use wire::Era;

use crate::harness::{COMPOSED, ERAS, Harness, ONE, assert_said, said};

/// What a server may ask, with an answer.
fn questions() -> [(&'static str, Value, Value); 3] {
    [
        (
            "elicitation/create",
            json!({"message": "Who?", "requestedSchema": {"type": "object", "properties": {}}}),
            json!({"action": "accept", "content": {"name": "x", "n": 9_007_199_254_740_993_u64}}),
        ),
        (
            "sampling/createMessage",
            json!({"messages": [], "maxTokens": 10, "unknown": {"kept": true}}),
            json!({"role": "assistant", "model": "m", "content": {"type": "text", "text": "hi"}}),
        ),
        ("roots/list", json!({}), json!({"roots": [{"uri": "file:///home", "name": "home"}]})),
    ]
}

/// A legacy server that asks question `number` (an argument) in the middle of a call, and says what it
/// was answered.
async fn asking() -> McpServer {
    let (told, heard) = tokio::sync::watch::channel(Value::Null);
    let heard = std::sync::Arc::new(heard);
    McpServer::legacy()
        .on("", move |mut exchange| {
            told.send_replace(exchange.request().json());
            async move { exchange.respond(202, &[], "").await }
        })
        .on("tools/call", move |mut exchange| {
            let mut heard = (*heard).clone();
            async move {
                let number = exchange.params()["arguments"]["number"].as_u64().unwrap();
                let (method, params, _) = &questions()[usize::try_from(number).unwrap()];
                let id = format!("q{}", exchange.id());
                exchange.begin_events(&[]).await;
                exchange
                    .event(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))
                    .await;
                let answer =
                    testkit::within("an answer", heard.wait_for(|answer| answer["id"] == id));
                let answer = answer.await.expect("the channel is open").clone();
                let text =
                    if answer["error"].is_null() { &answer["result"] } else { &answer["error"] };
                exchange.last_event(said(Era::Legacy, &text.to_string())).await;
            }
        })
        .start()
        .await
}

async fn able(harness: &Harness, endpoint: &str) -> Session {
    let capabilities = json!({"elicitation": {}, "sampling": {}, "roots": {"listChanged": true}});
    Session::with(harness.address, endpoint, "2025-11-25", &capabilities).await
}

fn call(name: &str, number: usize) -> Value {
    json!({"name": name, "arguments": {"number": number}})
}

#[tokio::test]
async fn a_legacy_client_is_asked_on_the_stream_of_its_call() {
    let server = asking().await;
    let harness = Harness::before(&server).await;
    for (endpoint, name) in [(ONE, "echo"), (COMPOSED, "s__echo")] {
        let session = able(&harness, endpoint).await;
        for (number, (method, params, result)) in questions().into_iter().enumerate() {
            let mut events = session.stream(9, "tools/call", call(name, number)).await;
            let question = events.next().await;
            assert_eq!(question["method"], method);
            if endpoint == COMPOSED && number == 0 {
                // The client must show who asks.
                assert_eq!(question["params"]["message"], "[s] Who?");
            } else {
                // Verbatim; parameters without any member may as well be absent.
                let expected = if params == json!({}) { Value::Null } else { params };
                assert_eq!(question["params"], expected);
            }
            assert_ne!(question["id"], 9);
            let answer = json!({"jsonrpc": "2.0", "id": question["id"], "result": result});
            assert_eq!(session.post(&answer).await.status, 202);
            // Answered twice: the second is nobody's.
            assert_eq!(session.post(&answer).await.status, 202);
            let end = events.next().await;
            assert_eq!(end["id"], 9);
            let text = end["result"]["content"][0]["text"].as_str().unwrap();
            assert_eq!(serde_json::from_str::<Value>(text).unwrap(), result);
            events.ended().await;
        }
    }
    assert_eq!(server.count("tools/call"), 6, "each call was made once");
}

#[tokio::test]
async fn what_a_client_can_do_is_what_its_server_hears() {
    let server = asking().await;
    let harness = Harness::before(&server).await;
    let session = able(&harness, ONE).await;
    assert_eq!(session.send(1, "ping", json!({})).await.status, 200);
    let initialized = server.wait_for("initialize", 1).await.json();
    let capabilities = json!({"elicitation": {}, "sampling": {}, "roots": {"listChanged": true}});
    assert_eq!(initialized["params"]["capabilities"], capabilities);
    assert_eq!(initialized["params"]["clientInfo"]["name"], "scripted");
    session.notify("notifications/roots/list_changed", Value::Null).await;
    server.wait_for("notifications/roots/list_changed", 1).await;
}

#[tokio::test]
async fn an_error_of_the_client_is_the_servers_to_judge() {
    let server = asking().await;
    let harness = Harness::before(&server).await;
    let session = able(&harness, ONE).await;
    let mut events = session.stream(1, "tools/call", call("echo", 0)).await;
    let question = events.next().await;
    let error = json!({"code": -1, "message": "the user rejected it", "data": {"x": 1}});
    session.post(&json!({"jsonrpc": "2.0", "id": question["id"], "error": error})).await;
    let text = events.next().await["result"]["content"][0]["text"].as_str().unwrap().to_owned();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), error);
}

#[tokio::test]
async fn an_answer_of_another_session_is_not_taken() {
    let server = asking().await;
    let harness = Harness::before(&server).await;
    let (session, other) = (able(&harness, ONE).await, able(&harness, ONE).await);
    let mut events = session.stream(1, "tools/call", call("echo", 2)).await;
    let question = events.next().await;
    let answer = |text: &str| json!({"jsonrpc": "2.0", "id": question["id"], "result": {"roots": [{"uri": text}]}});
    other.post(&answer("file:///forged")).await;
    session.post(&answer("file:///own")).await;
    let end = events.next().await.to_string();
    assert!(end.contains("file:///own") && !end.contains("forged"), "{end}");
}

#[tokio::test]
async fn a_question_that_belongs_to_no_call_comes_on_the_standalone_stream() {
    let server = McpServer::legacy().start().await;
    let harness = Harness::before(&server).await;
    let session = able(&harness, ONE).await;
    server.heard_by(1).await;
    // Nobody listens yet: the server is told so, instead of waiting for ever.
    server.ask("early", "roots/list", json!({}));
    let refused = server.http().answer_to("early").await;
    assert_eq!(refused["error"]["code"], -32601, "{refused}");
    let mut stream = session.listen().await;
    server.ask("q1", "elicitation/create", json!({"message": "Now?"}));
    let question = stream.next().await;
    assert_eq!(question["method"], "elicitation/create");
    assert_eq!(question["params"]["message"], "Now?");
    let answer = json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "decline"}});
    session.post(&answer).await;
    assert_eq!(server.http().answer_to("q1").await["result"], json!({"action": "decline"}));
    // The gate answers pings for everybody.
    server.ask("p1", "ping", json!({}));
    assert_eq!(server.http().answer_to("p1").await["result"], json!({}));
}

#[tokio::test]
async fn a_client_that_cannot_be_asked_is_not() {
    let server = asking().await;
    let harness = Harness::before(&server).await;
    for (number, era) in (1..).zip(ERAS) {
        let client = harness.client(era, ONE).await;
        let answer = client.send("tools/call", call("echo", 0)).await;
        // The server learns that nobody answers and ends the call as it likes.
        let text = answer.json()["result"]["content"][0]["text"].as_str().unwrap().to_owned();
        assert!(text.contains("-32601"), "{text}");
        assert_eq!(answer.messages().len(), 1, "no question reaches the client: {}", answer.text());
        assert_eq!(server.count("tools/call"), number);
        let initialized = server.wait_for("initialize", number).await.json();
        assert_eq!(initialized["params"]["capabilities"], json!({}), "nothing is promised");
    }
}

#[tokio::test]
async fn a_modern_client_is_asked_by_a_modern_server_and_repeats_the_call() {
    let server = McpServer::modern()
        .on("tools/call", |mut exchange| async move {
            let params = exchange.params();
            if params["requestState"] == "of the server" {
                let name = params["inputResponses"]["q"]["content"]["name"].clone();
                exchange.result(said(Era::Modern, name.as_str().unwrap_or_default())).await;
            } else {
                let request =
                    json!({"method": "elicitation/create", "params": {"message": "Who?"}});
                exchange
                    .result(json!({"resultType": "input_required", "requestState": "of the server",
                        "inputRequests": {"q": request}}))
                    .await;
            }
        })
        .start()
        .await;
    let harness = Harness::before(&server).await;
    for (endpoint, name) in [(ONE, "echo"), (COMPOSED, "s__echo")] {
        let client = harness.client(Era::Modern, endpoint).await;
        let meta = json!({wire::meta::CLIENT_CAPABILITIES: {"elicitation": {}}});
        let mut params = json!({"name": name, "arguments": {"a": 1}, "_meta": meta});
        let asked = client.send("tools/call", params.clone()).await.json();
        assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
        params["requestState"] = asked["result"]["requestState"].clone();
        assert_ne!(params["requestState"], "of the server", "sealed");
        params["inputResponses"] = json!({"q": {"action": "accept", "content": {"name": "me"}}});
        assert_said(&client.send("tools/call", params).await, "me");
    }
}

#[tokio::test]
async fn notifications_of_a_call_come_before_its_answer_in_order() {
    for server_era in ERAS {
        let server = McpServer::of(server_era)
            .on("tools/call", move |mut exchange| async move {
                exchange.begin_events(&[]).await;
                for number in 0..20 {
                    let params = json!({"progressToken": "t", "progress": number});
                    exchange.notify("notifications/progress", params).await;
                }
                let log = json!({"level": "info", "data": {"number": 1}});
                exchange.notify("notifications/message", log).await;
                exchange.last_event(said(server_era, "end")).await;
            })
            .start()
            .await;
        let harness = Harness::before(&server).await;
        for era in ERAS {
            let client = harness.client(era, ONE).await;
            let params = json!({"name": "echo", "_meta": {"progressToken": "t"}});
            let answer = client.send("tools/call", params).await;
            let messages = answer.messages();
            let progress: Vec<u64> = messages
                .iter()
                .filter_map(|message| message["params"]["progress"].as_u64())
                .collect();
            assert_eq!(progress, (0..20).collect::<Vec<_>>());
            let logs =
                messages.iter().filter(|one| one["method"] == "notifications/message").count();
            // A modern client that asked for no log gets none of a legacy server.
            let wanted = usize::from(era == server_era || era == Era::Legacy);
            assert_eq!(logs, wanted, "{era:?} before {server_era:?}: {}", answer.text());
            assert_said(&answer, "end");
        }
    }
}
