//! The state of a waiting call in the wrong hands, and in too many: nothing of it reaches the server,
//! and the tool never runs again.

use std::time::Duration;

use serde_json::{Value, json};
use wire::Era;

use super::parts::{ENDPOINTS, Modern, again, form, heard, legacy_asking, named};
use crate::harness::{COMPOSED, Harness, ONE, assert_fault, assert_tool_fault};

#[tokio::test]
async fn a_state_opens_for_its_own_call_alone() {
    let server = legacy_asking().start().await;
    let harness = Harness::start(json!({
        "servers": {"s": {"url": server.url()}, "t": {"url": server.url()}},
        "endpoints": {"/mcp": {"servers": "*"}, "/other": {"servers": "*"}},
        "limits": {"request_state_bytes": 256},
    }))
    .await;
    let mut called = 0;
    for endpoint in ENDPOINTS {
        let client = Modern::at(&harness, endpoint);
        let params = client.rounds(json!([[form()]]));
        let asked = client.asked(&params).await;
        called += 1;
        let is_told = |one: &&testkit::Received| {
            one.verb == "POST" && ["tools/call", ""].contains(&one.method().as_str())
        };
        let told = || server.http().requests().iter().filter(is_told).count();
        let before = told();
        let answers = json!({"q1": named("Eve")});
        let state = asked["requestState"].as_str().unwrap();

        for bad in spoiled(state) {
            let mut params = again(&params, &asked, answers.clone());
            params["requestState"] = bad;
            let answer = client.call(&params).await;
            assert_fault(&answer, 200, -32602, "invalid-params");
        }
        // Another call with the same state.
        let own = again(&params, &asked, answers.clone());
        let changed = [
            ("name", json!(if endpoint == COMPOSED { "s__other" } else { "other" })),
            ("name", json!(if endpoint == COMPOSED { "t__echo" } else { "other" })),
            ("arguments", json!({"rounds": [[form()]], "more": 1})),
            ("arguments", json!({"rounds": [[]]})),
            ("arguments", json!({})),
        ];
        for (key, value) in changed {
            let mut params = own.clone();
            params[key] = value;
            assert_fault(&client.call(&params).await, 200, -32602, "invalid-params");
        }
        let mut without = own.clone();
        without.as_object_mut().unwrap().remove("arguments");
        assert_fault(&client.call(&without).await, 200, -32602, "invalid-params");
        // The same call elsewhere.
        for elsewhere in [ONE, "/servers/t/mcp", COMPOSED, "/other"] {
            if elsewhere == endpoint {
                continue;
            }
            let mut params = own.clone();
            let composed = elsewhere == COMPOSED || elsewhere == "/other";
            params["name"] = json!(if composed { "s__echo" } else { "echo" });
            let client = Modern::at(&harness, elsewhere);
            let answer = client.call(&params).await;
            assert_fault(&answer, 200, -32602, "invalid-params");
        }
        assert_eq!(told(), before, "the server hears of none of it");
        let answered = client.retry(&params, &asked, json!({"q1": named("Ada")})).await;
        assert_eq!(heard(&answered), json!([named("Ada")]), "the call waited all the while");
        assert_eq!(server.count("tools/call"), called);
    }
}

/// Variants of a state that are not the state.
fn spoiled(state: &str) -> Vec<Value> {
    let mut flipped = state.as_bytes().to_vec();
    let middle = flipped.len() / 2;
    flipped[middle] = if flipped[middle] == b'A' { b'B' } else { b'A' };
    vec![
        json!(""),
        json!("garbage"),
        json!(String::from_utf8(flipped).unwrap()),
        json!(state[1..]),
        json!(format!("{state}A")),
        json!(state.repeat(2)),
        json!("A".repeat(100_000)),
        json!("00000000000000000000000000000000"),
        json!(5),
        json!({"state": state}),
        json!([state]),
    ]
}

#[tokio::test]
async fn a_state_is_used_once() {
    let server = legacy_asking().start().await;
    let harness = Harness::before(&server).await;
    for (number, endpoint) in (1..).zip(ENDPOINTS) {
        let client = Modern::at(&harness, endpoint);
        let params = client.rounds(json!([[form()], [form()]]));
        let first = client.asked(&params).await;
        let answer = client.retry(&params, &first, json!({"q1": named("Ada")})).await;
        let second = super::parts::asked(&answer);
        for _ in 0..2 {
            let replayed = client.retry(&params, &first, json!({"q1": named("Eve")})).await;
            let text = assert_tool_fault(&replayed, Era::Modern, "interaction-expired");
            assert!(text.contains("not made again"), "{text}");
        }
        let answered = client.retry(&params, &second, json!({"q2": named("Bob")})).await;
        assert_eq!(heard(&answered), json!([named("Ada"), named("Bob")]));
        for asked in [&first, &second] {
            let replayed = client.retry(&params, asked, json!({"q2": named("Eve")})).await;
            assert_tool_fault(&replayed, Era::Modern, "interaction-expired");
        }
        assert_eq!(server.count("tools/call"), number);
    }
}

#[tokio::test]
async fn of_many_who_come_back_at_once_one_goes_on() {
    let server = legacy_asking().start().await;
    let harness = Harness::before(&server).await;
    for (number, (endpoint, many)) in (1..).zip([(ONE, 2), (COMPOSED, 2), (ONE, 200)]) {
        let client = Modern::at(&harness, endpoint);
        let params = client.rounds(json!([[form()]]));
        let asked = client.asked(&params).await;
        let mut coming = tokio::task::JoinSet::new();
        for visitor in 0..many {
            let answers = json!({"q1": named(&visitor.to_string())});
            let request = client.request(&again(&params, &asked, answers));
            let address = harness.address;
            coming.spawn(async move { testkit::send(address, &request).await });
        }
        let mut went_on = 0;
        while let Some(answer) = coming.join_next().await {
            let answer = answer.unwrap();
            if answer.json()["result"]["isError"].is_null() {
                assert_eq!(heard(&answer)[0]["action"], "accept", "{}", answer.text());
                went_on += 1;
            } else {
                assert_tool_fault(&answer, Era::Modern, "interaction-expired");
            }
        }
        assert_eq!(went_on, 1, "of {many}");
        assert_eq!(server.count("tools/call"), number);
    }
}

#[tokio::test]
async fn a_state_that_waited_too_long_is_worth_nothing() {
    let server = legacy_asking().start().await;
    let harness = Harness::limited(&server, json!({"answer_wait": "1s"})).await;
    let client = Modern::at(&harness, ONE);
    let params = client.rounds(json!([[form()]]));
    let in_time = client.asked(&params).await;
    let answered = client.retry(&params, &in_time, json!({"q1": named("Ada")})).await;
    assert_eq!(heard(&answered), json!([named("Ada")]));
    let asked = client.asked(&params).await;
    server.wait_for("notifications/cancelled", 1).await;
    let late = client.retry(&params, &asked, json!({"q1": named("Ada")})).await;
    let text = assert_tool_fault(&late, Era::Modern, "interaction-expired");
    assert!(text.contains("not made again"), "{text}");
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(server.count("tools/call"), 2);
}

#[tokio::test]
async fn prompts_and_resources_wait_as_tools_do() {
    for (method, params, answer) in [
        ("prompts/get", json!({"name": "p"}), json!({"messages": []})),
        ("resources/read", json!({"uri": "file:///a"}), json!({"contents": []})),
    ] {
        let result = answer.clone();
        let server = legacy_asking()
            .list("prompts/list", vec![json!({"name": "p"})])
            .list("resources/list", vec![json!({"uri": "file:///a", "name": "a"})])
            .on(method, move |mut exchange| {
                let result = result.clone();
                async move {
                    exchange.begin_events(&[]).await;
                    let question = form();
                    let message = json!({"jsonrpc": "2.0", "id": "own", "method":
                        question["method"], "params": question["params"]});
                    exchange.event(&message).await;
                    // Goes on whatever the answer is, once it has come or the client is gone.
                    exchange.closes_within(Duration::from_millis(300)).await;
                    exchange.last_event(result).await;
                }
            })
            .start()
            .await;
        let harness = Harness::before(&server).await;
        let meta = json!({wire::meta::CLIENT_CAPABILITIES: {"elicitation": {}}});
        for (number, endpoint) in (1..).zip(ENDPOINTS) {
            let mut params = params.clone();
            params["_meta"] = meta.clone();
            if endpoint == COMPOSED {
                let list = if method == "prompts/get" { "prompts/list" } else { "resources/list" };
                assert!(harness.modern(endpoint, list, json!({})).await.text().contains("name"));
                if method == "prompts/get" {
                    params["name"] = json!("s__p");
                }
            }
            let first = harness.modern(endpoint, method, params.clone()).await;
            let asked = super::parts::asked(&first);
            let retry = again(&params, &asked, json!({"q1": named("Ada")}));
            let answered = harness.modern(endpoint, method, retry.clone()).await.json();
            let member = answer.as_object().unwrap().keys().next().unwrap();
            assert_eq!(answered["result"][member], json!([]), "{answered}");
            // No tool: the end of the call is an error of the protocol.
            let replayed = harness.modern(endpoint, method, retry).await;
            assert_fault(&replayed, 200, 1005, "interaction-expired");
            assert_eq!(server.count(method), number);
        }
    }
}

#[tokio::test]
async fn a_retry_is_a_request_of_its_own() {
    let server = legacy_asking().start().await;
    let mut harness = Harness::before(&server).await;
    let client = Modern::at(&harness, ONE);
    let params = client.rounds(json!([[form()], [form()]]));
    let mut current = params.clone();
    let mut correlations = std::collections::HashSet::new();
    for (rounds, id) in (1..).zip([json!(1), json!("two"), json!(-3)]) {
        let request = testkit::modern(ONE, id.clone(), "tools/call", current.clone());
        // On a connection of its own: any will do.
        let answer = harness.send(&request).await;
        assert_eq!(answer.json()["id"], id, "{}", answer.text());
        let record = testkit::within("a record", harness.records.recv()).await.unwrap();
        let correlation = String::from_utf8(record.correlation.to_vec()).unwrap();
        assert_eq!(answer.headers.get("x-correlation-id"), Some(&*correlation));
        assert!(correlations.insert(correlation), "each has a record of its own");
        assert_eq!((record.client_version, record.server_era), ("2026-07-28", Some("legacy")));
        let result = &answer.json()["result"];
        if rounds == 3 {
            assert_eq!((record.outcome.label(), record.rounds), ("success", 2));
            assert_eq!(heard(&answer), json!([named("Ada"), named("Ada")]));
            break;
        }
        assert_eq!((record.outcome.label(), record.rounds), ("asked", rounds));
        current = again(&params, result, json!({format!("q{rounds}"): named("Ada")}));
    }
    assert_eq!(server.count("tools/call"), 1);
}
