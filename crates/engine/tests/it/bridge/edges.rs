//! What happens around a question: clients that cannot hear it or go away, sessions that are lost,
//! streams that break and go on, and a configuration that changes meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{HttpRequest, McpServer, Oldest};
use wire::Era;

use super::parts::{
    Gate, Legacy, Modern, again, asked, cancelled, everything, form, heard, heard_in,
    legacy_asking, legacy_asking_behind, modern_asking, named, roots, sampled, sampling,
};
use crate::harness::{Harness, ONE, assert_said, assert_tool_fault, config_of, said};

#[tokio::test]
async fn a_client_that_comes_back_able_to_do_less() {
    let server = legacy_asking().start().await;
    let harness = Harness::before(&server).await;
    let client = Modern::at(&harness, ONE);
    let params = client.rounds(json!([[form()], [roots()]]));
    let asked = client.asked(&params).await;
    let mut retry = again(&params, &asked, json!({"q1": named("Ada")}));
    retry["_meta"][wire::meta::CLIENT_CAPABILITIES] = json!({"elicitation": {}});
    let said = heard(&client.call(&retry).await);
    // The server hears that nobody answers, and nothing waits for those who cannot.
    assert_eq!((&said[0], &said[1]["error"]["code"]), (&named("Ada"), &json!(-32601)), "{said}");
    assert_eq!((harness.gate.overview().parked, server.count("tools/call")), (0, 1));
}

#[tokio::test]
async fn answers_without_a_state_belong_to_no_call() {
    let server = legacy_asking().start().await;
    let harness = Harness::before(&server).await;
    let client = Modern::at(&harness, ONE);
    let params = client.rounds(json!([[form()]]));
    let first = client.asked(&params).await;
    let mut without = again(&params, &first, json!({"q1": named("Ada")}));
    without.as_object_mut().unwrap().remove("requestState");
    // It is a new call, and asks anew.
    let second = asked(&client.call(&without).await);
    let calls = server.http().requests_of("tools/call");
    assert_eq!(calls.len(), 2);
    for call in &calls {
        assert!(!call.json()["params"].to_string().contains("inputResponses"), "a modern word");
    }
    for asked in [first, second] {
        let answered = client.retry(&params, &asked, json!({"q1": named("Bob")})).await;
        assert_eq!(heard(&answered), json!([named("Bob")]));
    }
    assert_eq!(server.count("tools/call"), 2);
}

#[tokio::test]
async fn a_server_that_forgets_the_session_of_a_waiting_call() {
    // Its stream is still there, but nobody takes the answer: the end comes at once, not at a deadline.
    let server = McpServer::legacy()
        .on("tools/call", |mut exchange| async move {
            exchange.begin_events(&[]).await;
            let question = form();
            let message = json!({"jsonrpc": "2.0", "id": "q", "method": question["method"],
                "params": question["params"]});
            exchange.event(&message).await;
            exchange.closes_within(Duration::from_mins(1)).await;
        })
        .start()
        .await;
    let harness = Harness::before(&server).await;
    let client = Modern::at(&harness, ONE);
    let params = client.params(json!({}));
    let asked = client.asked(&params).await;
    server.forget_sessions();
    let answer = client.retry(&params, &asked, json!({"q1": named("Ada")})).await;
    assert_eq!(answer.json()["result"]["isError"], true, "{}", answer.text());
    assert_eq!(server.count("tools/call"), 1);
}

#[tokio::test]
async fn a_stream_that_breaks_while_its_call_waits_goes_on() {
    // The server numbers its events, closes, and goes on where the gate resumes.
    let (told, called) = tokio::sync::watch::channel(Value::Null);
    let server = McpServer::legacy()
        .on("tools/call", move |mut exchange| {
            told.send_replace(exchange.id());
            async move {
                exchange.begin_events(&[]).await;
                let question = form();
                let message = json!({"jsonrpc": "2.0", "id": "q", "method": question["method"],
                "params": question["params"]});
                exchange.chunk("id: 1\nretry: 50\ndata: \n\n").await;
                exchange.event_with_id("2", &message).await;
                exchange.end().await;
            }
        })
        .on("", |mut exchange| async move { exchange.respond(202, &[], "").await })
        .on("GET", move |mut exchange| {
            let id = called.borrow().clone();
            async move {
                let resumed = exchange.request().headers.get("last-event-id") == Some("2");
                exchange.begin_events(&[]).await;
                if resumed {
                    let result = said(Era::Legacy, "resumed");
                    let answer = json!({"jsonrpc": "2.0", "id": id, "result": result});
                    exchange.event_with_id("3", &answer).await;
                    return exchange.end().await;
                }
                exchange.closes_within(Duration::from_mins(1)).await;
            }
        })
        .start()
        .await;
    let harness = Harness::before(&server).await;
    let client = Modern::at(&harness, ONE);
    let params = client.params(json!({}));
    let asked = client.asked(&params).await;
    let resumed = |request: &testkit::Received| request.headers.has("last-event-id");
    server.http().wait_where("a resumption", 1, resumed).await;
    let answered = client.retry(&params, &asked, json!({"q1": named("Ada")})).await;
    assert_said(&answered, "resumed");
    assert_eq!(server.count("tools/call"), 1);
}

#[tokio::test]
async fn a_call_waits_through_a_reload() {
    let server = legacy_asking().start().await;
    let before = json!({"servers": {"s": {"url": server.url()}}});
    let mut changed = before.clone();
    changed["servers"]["s"]["timeout"] = json!("20s");
    let mut more = before.clone();
    more["servers"]["t"] = json!({"url": server.url()});
    for after in [before.clone(), more, changed] {
        let harness = Harness::start(before.clone()).await;
        let client = Modern::at(&harness, ONE);
        let called = server.count("tools/call");
        let params = client.rounds(json!([[form()]]));
        let asked = client.asked(&params).await;
        harness.gate.reload(&config_of(&after), BTreeMap::new());
        // Long enough for a server that was replaced to have been ended.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let answered = client.retry(&params, &asked, json!({"q1": named("Ada")})).await;
        assert_eq!(heard(&answered), json!([named("Ada")]), "{after}");
        assert_eq!(server.count("tools/call"), called + 1);
    }
}

#[tokio::test]
async fn a_gate_that_ends_waits_for_no_client() {
    let server = legacy_asking().start().await;
    let harness = Harness::limited(&server, json!({"drain_timeout": "1m"})).await;
    let client = Modern::at(&harness, ONE);
    let params = client.rounds(json!([[form()]]));
    client.asked(&params).await;
    // Long before the patience of the drain has an end.
    testkit::within("the drain", harness.gate.drain()).await;
}

#[tokio::test]
async fn many_calls_wait_and_expire_together() {
    let server = legacy_asking().start().await;
    let harness = Harness::limited(&server, json!({"answer_wait": "2s"})).await;
    let mut calls = tokio::task::JoinSet::new();
    let client = Modern::at(&harness, ONE);
    let params = client.rounds(json!([[form()]]));
    for _ in 0..100 {
        let (request, address) = (client.request(&params), harness.address);
        calls.spawn(async move { testkit::send(address, &request).await });
    }
    let mut states = std::collections::HashSet::new();
    while let Some(answer) = calls.join_next().await {
        states.insert(asked(&answer.unwrap())["requestState"].to_string());
    }
    assert_eq!(states.len(), 100, "each its own");
    testkit::until("the end of all", || harness.gate.overview().parked == 0).await;
    server.wait_for("notifications/cancelled", 100).await;
    let cancelled: std::collections::HashSet<_> =
        cancelled(&server).iter().map(Value::to_string).collect();
    assert_eq!((cancelled.len(), server.count("tools/call")), (100, 100));
}

#[tokio::test]
async fn a_legacy_client_that_takes_no_stream_cannot_be_asked() {
    let server = modern_asking().start().await;
    let harness = Harness::before(&server).await;
    let client = Legacy::at(&harness, ONE).await;
    let params = json!({"name": "echo", "arguments": {"rounds": [{"a": form()}]}});
    let request = client.session.request(1, "tools/call", params);
    let answer = harness.send(&request.set("Accept", "application/json")).await;
    let result = &answer.json()["result"];
    assert_eq!(result["isError"], true, "{}", answer.text());
    assert_eq!(server.count("tools/call"), 1, "never called again");
    // As part of a batch neither.
    let able = everything();
    let client = Legacy::able(&harness, ONE, "2025-03-26", &able).await;
    let arguments = json!({"rounds": [{"a": sampling()}]});
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "echo", "arguments": arguments}});
    let ping = json!({"jsonrpc": "2.0", "id": 2, "method": "ping"});
    let answer = client.session.post(&json!([call, ping])).await;
    let answers: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(answers[0]["result"]["isError"], true, "{answers}");
    assert_eq!(answers[1]["result"], json!({}), "{answers}");
    assert_eq!(server.count("tools/call"), 2);
}

#[tokio::test]
async fn a_legacy_client_whose_session_ends_while_it_is_asked() {
    let server = modern_asking().start().await;
    let harness = Harness::before(&server).await;
    let client = Legacy::at(&harness, ONE).await;
    let mut stream = client.call(json!({"rounds": [{"a": form()}]})).await;
    stream.next().await;
    let delete = HttpRequest::new("DELETE", ONE).header("Mcp-Session-Id", &client.session.id);
    assert_eq!(harness.send(&delete).await.status, 204);
    testkit::until("the end of the call", || harness.gate.overview().calls == 0).await;
    assert_eq!(server.count("tools/call"), 1, "never called again");
}

#[tokio::test]
async fn an_oldest_client_that_goes_away_while_it_is_asked() {
    // The stream of a client of 2024-11-05 is its session.
    let server = modern_asking().start().await;
    let harness = Harness::before(&server).await;
    let able = json!({"sampling": {}});
    let mut client = Oldest::open(harness.address, &format!("{ONE}/sse"), &able).await;
    let arguments = json!({"rounds": [{"a": sampling()}]});
    client.ask(1, "tools/call", json!({"name": "echo", "arguments": arguments})).await;
    assert_eq!(client.next().await["method"], "sampling/createMessage");
    drop(client);
    testkit::until("the end of the call", || harness.gate.overview().calls == 0).await;
    assert_eq!(server.count("tools/call"), 1, "never called again");
}

#[tokio::test]
async fn an_oldest_client_of_a_legacy_server_is_asked_on_its_stream() {
    let server = legacy_asking().start().await;
    let harness = Harness::before(&server).await;
    let able = json!({"sampling": {}, "roots": {}});
    let mut client = Oldest::open(harness.address, &format!("{ONE}/sse"), &able).await;
    let arguments = json!({"rounds": [[sampling()]]});
    client.ask(1, "tools/call", json!({"name": "echo", "arguments": arguments})).await;
    let asked = client.next().await;
    assert_eq!(asked["method"], "sampling/createMessage");
    client.post(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": sampled()})).await;
    assert_eq!(heard_in(&client.next().await), json!([sampled()]));
    assert_eq!(server.count("tools/call"), 1);
}

#[tokio::test]
async fn a_modern_server_that_misses_a_capability() {
    let server = McpServer::modern()
        .on("tools/call", |mut exchange| async move {
            let error = json!({"code": -32021, "message": "Missing required client capability",
                "data": {"requiredCapabilities": {"sampling": {}}}});
            let answer = json!({"jsonrpc": "2.0", "id": exchange.id(), "error": error});
            exchange.json(400, &answer).await;
        })
        .start()
        .await;
    let harness = Harness::before(&server).await;
    let client = Legacy::able(&harness, ONE, "2025-11-25", &json!({})).await;
    let said = client.converse(json!({}), |_| Value::Null).await;
    let fault = &said.end["result"]["_meta"]["io.portcullis/fault"];
    assert_eq!(fault["reason"], "interaction-unavailable", "{said:?}");
    let modern = Modern::able(&harness, ONE, json!({}));
    let answer = modern.call(&modern.params(json!({}))).await;
    assert_eq!(answer.code(), -32021, "{}", answer.text());
    assert_eq!(server.count("tools/call"), 2);
}

#[tokio::test]
async fn a_client_that_answers_nothing_keeps_no_place() {
    // Every retry without answers is a round; the last one ends the call.
    let gate = Gate::default();
    let server = legacy_asking_behind(&gate).start().await;
    let harness = Harness::limited(&server, json!({"interaction_rounds": 3})).await;
    let client = Modern::at(&harness, ONE);
    let params = client.rounds(json!([[form()]]));
    let mut current = client.asked(&params).await;
    for _ in 0..2 {
        current = asked(&client.retry(&params, &current, json!({})).await);
    }
    let refused = client.retry(&params, &current, json!({})).await;
    assert_tool_fault(&refused, Era::Modern, "interaction-refused");
    server.wait_for("notifications/cancelled", 1).await;
    assert_eq!((harness.gate.overview().parked, server.count("tools/call")), (0, 1));
}
