//! A legacy client and a modern server that asks: the client is asked on the stream of its call, and
//! the server is called again with the answers, once for each round.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::McpServer;
use wire::Era;

use super::parts::{
    ENDPOINTS, Legacy, everything, form, heard_in, kinds, modern_asking, named, rooted, roots,
    sampled, sampling,
};
use crate::harness::{COMPOSED, Harness, ONE, said};

/// The fault in the last message of a tool call.
#[track_caller]
fn fault(end: &Value, reason: &str) -> String {
    let result = &end["result"];
    assert_eq!(result["isError"], true, "{end}");
    assert_eq!(result["_meta"]["io.portcullis/fault"]["reason"], reason, "{end}");
    assert!(result["resultType"].is_null(), "a legacy result: {end}");
    result["content"][0]["text"].as_str().expect("a text for the model").to_owned()
}

#[tokio::test]
async fn every_kind_of_question_is_asked_and_answered() {
    let server = modern_asking().start().await;
    let harness = Harness::before(&server).await;
    let mut calls = 0;
    for endpoint in ENDPOINTS {
        let client = Legacy::at(&harness, endpoint).await;
        for (mut question, answer) in kinds() {
            // A modern server's question has no id of its own.
            question["params"].as_object_mut().unwrap().remove("elicitationId");
            let is_page = question["params"]["mode"] == "url";
            let rounds = json!({"rounds": [{"own key": question}]});
            let said = client.converse(rounds, |_| answer.clone()).await;
            assert_eq!(said.questions.len(), 1, "{said:?}");
            let asked = &said.questions[0];
            assert_eq!(asked["method"], question["method"]);
            let mut shown = asked["params"].clone();
            if is_page {
                let id = shown.as_object_mut().unwrap().remove("elicitationId");
                assert!(id.is_some_and(|id| id.is_string()), "2025-11-25 wants one: {asked}");
            }
            if question["params"].get("message").is_some() && endpoint == COMPOSED {
                let message = question["params"]["message"].as_str().unwrap();
                question["params"]["message"] = json!(format!("[s] {message}"));
            }
            let empty = question["params"] == json!({});
            assert_eq!(shown, if empty { Value::Null } else { question["params"].clone() });
            assert_eq!(heard_in(&said.end), json!([{"own key": answer}]));
            assert!(said.end["result"]["resultType"].is_null(), "{}", said.end);
            calls += 2;
            assert_eq!(server.count("tools/call"), calls, "once, and once with the answer");
        }
    }
    let requests = server.http().requests_of("tools/call");
    let ids: Vec<_> = requests.iter().map(|request| request.json()["id"].clone()).collect();
    for again in ids.chunks(2) {
        assert_ne!(again[0], again[1], "a request of its own");
    }
}

#[tokio::test]
async fn the_server_is_called_again_with_the_same_call() {
    let server = modern_asking().start().await;
    let harness = Harness::before(&server).await;
    let client = Legacy::at(&harness, ONE).await;
    let rounds = json!({"rounds": [{"a": form()}], "n": 9_007_199_254_740_993_u64, "é": [null]});
    client.converse(rounds.clone(), |_| named("Ada")).await;
    let calls = server.http().requests_of("tools/call");
    let [first, second] = [&calls[0], &calls[1]].map(|call| call.json()["params"].clone());
    assert_eq!(first["arguments"], rounds);
    assert_eq!(second["arguments"], rounds);
    assert_eq!(second["name"], "echo");
    assert_eq!(first["_meta"], second["_meta"], "the same client");
    assert!(first["requestState"].is_null() && first["inputResponses"].is_null());
    let state: Value = serde_json::from_str(second["requestState"].as_str().unwrap()).unwrap();
    assert_eq!(state["round"], 1, "as the server gave it");
    assert_eq!(calls[1].headers.get("mcp-name"), Some("echo"));
}

#[tokio::test]
async fn several_questions_at_once_and_round_after_round() {
    let server = modern_asking().start().await;
    let harness = Harness::before(&server).await;
    for (number, endpoint) in (1..).zip(ENDPOINTS) {
        let client = Legacy::at(&harness, endpoint).await;
        let rounds = json!({"rounds": [
            {"who": form(), "where": roots()}, {"what": sampling()}, {"who": form()},
        ]});
        let answer = |question: &Value| match question["method"].as_str().unwrap() {
            "roots/list" => rooted(),
            "sampling/createMessage" => sampled(),
            _ => named("Ada"),
        };
        let said = client.converse(rounds, answer).await;
        assert_eq!(said.questions.len(), 4);
        let expected = json!([
            {"who": named("Ada"), "where": rooted()}, {"what": sampled()}, {"who": named("Ada")},
        ]);
        assert_eq!(heard_in(&said.end), expected);
        assert_eq!(server.count("tools/call"), number * 4, "rounds and one");
    }
}

#[tokio::test]
async fn questions_of_one_round_are_out_at_once() {
    let server = modern_asking().start().await;
    let harness = Harness::before(&server).await;
    let client = Legacy::at(&harness, ONE).await;
    let rounds = json!({"rounds": [{"who": form(), "where": roots()}]});
    let mut stream = client.call(rounds).await;
    let (first, second) = (stream.next().await, stream.next().await);
    assert_ne!(first["id"], second["id"]);
    // Answered in the other order.
    for question in [&second, &first] {
        let is_form = question["method"] == "elicitation/create";
        assert_eq!(server.count("tools/call"), 1, "not before all are answered");
        client.answer(question, &if is_form { named("Ada") } else { rooted() }).await;
    }
    let end = stream.next().await;
    assert_eq!(heard_in(&end), json!([{"who": named("Ada"), "where": rooted()}]));
    stream.ended().await;
    assert_eq!(server.count("tools/call"), 2);
}

#[tokio::test]
async fn a_round_without_questions_is_a_pause_that_grows() {
    let times = Arc::new(Mutex::new(Vec::new()));
    let noting = Arc::clone(&times);
    let server = McpServer::modern()
        .on("tools/call", move |mut exchange| {
            noting.lock().unwrap().push(Instant::now());
            async move {
                let round = exchange.params()["requestState"].as_str().map_or(0, str::len);
                if round == 3 {
                    return exchange.result(said(Era::Modern, "in the end")).await;
                }
                let state = "s".repeat(round + 1);
                let asks = json!({"resultType": "input_required", "requestState": state});
                exchange.result(asks).await;
            }
        })
        .start()
        .await;
    let harness = Harness::before(&server).await;
    for endpoint in ENDPOINTS {
        times.lock().unwrap().clear();
        // Whoever cannot be asked anything can wait as well.
        let client = Legacy::able(&harness, endpoint, "2025-11-25", &json!({})).await;
        let said = client.converse(json!({}), |_| Value::Null).await;
        assert_eq!(said.end["result"]["content"][0]["text"], "in the end", "{said:?}");
        assert!(said.questions.is_empty());
        let times = times.lock().unwrap();
        assert_eq!(times.len(), 4);
        let pauses: Vec<_> = times.windows(2).map(|two| two[1] - two[0]).collect();
        for (pause, least) in pauses.iter().zip([250, 500, 1000]) {
            assert!(*pause >= Duration::from_millis(least), "{pauses:?}");
        }
    }
}

#[tokio::test]
async fn a_server_may_not_ask_for_ever() {
    let server = modern_asking().start().await;
    let harness = Harness::limited(&server, json!({"interaction_rounds": 2})).await;
    for endpoint in ENDPOINTS {
        let client = Legacy::at(&harness, endpoint).await;
        let before = server.count("tools/call");
        let two = json!({"rounds": [{"a": form()}, {"b": form()}]});
        let said = client.converse(two, |_| named("Ada")).await;
        assert_eq!(heard_in(&said.end), json!([{"a": named("Ada")}, {"b": named("Ada")}]));
        assert_eq!(server.count("tools/call"), before + 3);
        for third in [json!({"c": form()}), Value::Null] {
            let before = server.count("tools/call");
            let three = json!({"rounds": [{"a": form()}, {"b": form()}, third]});
            let said = client.converse(three, |_| named("Ada")).await;
            let text = fault(&said.end, "interaction-refused");
            assert!(text.contains("more than 2 times"), "{text}");
            assert_eq!(said.questions.len(), 2);
            assert_eq!(server.count("tools/call"), before + 3, "and not again");
        }
    }
}

#[tokio::test]
async fn an_answer_that_does_not_fit_ends_the_call() {
    let server = modern_asking().start().await;
    let harness = Harness::before(&server).await;
    let client = Legacy::at(&harness, ONE).await;
    for (question, bad) in [
        (form(), json!({})),
        (form(), json!({"action": "accept", "content": {"name": 5}})),
        (sampling(), json!({"role": "assistant"})),
        (roots(), json!({"roots": 5})),
    ] {
        let before = server.count("tools/call");
        let rounds = json!({"rounds": [{"a": question}]});
        let said = client.converse(rounds, |_| bad.clone()).await;
        let text = fault(&said.end, "interaction-refused");
        assert!(text.contains("does not fit"), "{text}");
        assert_eq!(server.count("tools/call"), before + 1, "the server is not called again");
    }
    let said = client.converse(json!({"rounds": [{"a": form()}]}), |_| named("Ada")).await;
    assert_eq!(heard_in(&said.end), json!([{"a": named("Ada")}]), "positive control");
}

#[tokio::test]
async fn an_error_of_the_client_ends_the_call() {
    let server = modern_asking().start().await;
    let harness = Harness::before(&server).await;
    let client = Legacy::at(&harness, ONE).await;
    let mut stream = client.call(json!({"rounds": [{"a": form()}]})).await;
    let question = stream.next().await;
    let error = json!({"code": -1, "message": "the user rejected it"});
    client.session.post(&json!({"jsonrpc": "2.0", "id": question["id"], "error": error})).await;
    let text = fault(&stream.next().await, "interaction-refused");
    assert!(text.contains("the user rejected it") && text.contains("-1"), "{text}");
    assert_eq!(server.count("tools/call"), 1);
    // Declining is an answer.
    let decline = json!({"action": "decline"});
    let said = client.converse(json!({"rounds": [{"a": form()}]}), |_| decline.clone()).await;
    assert_eq!(heard_in(&said.end), json!([{"a": decline}]));
}

#[tokio::test]
async fn nobody_answers_in_time() {
    let server = modern_asking().start().await;
    let harness = Harness::limited(&server, json!({"answer_wait": "1s"})).await;
    for (number, endpoint) in (1..).zip(ENDPOINTS) {
        let client = Legacy::at(&harness, endpoint).await;
        let mut stream = client.call(json!({"rounds": [{"a": form()}]})).await;
        let question = stream.next().await;
        let text = fault(&stream.next_of("").await, "interaction-expired");
        assert!(text.contains("within 1 s"), "{text}");
        client.answer(&question, &named("late")).await;
        assert_eq!(server.count("tools/call"), number, "never called again");
    }
}

#[tokio::test]
async fn a_question_has_more_time_than_the_server() {
    let server = modern_asking().start().await;
    let harness = Harness::start(json!({"servers": {"s": {
        "url": server.url(), "timeout": "1s"}}, "limits": {"call_deadline": "1s"}}))
    .await;
    // Reaching the server is part of the first call's time, and not what is tested here.
    let list = || harness.modern(COMPOSED, "tools/list", json!({}));
    testkit::within("the server", async { while !list().await.text().contains("echo") {} }).await;
    for endpoint in ENDPOINTS {
        let client = Legacy::at(&harness, endpoint).await;
        let mut stream = client.call(json!({"rounds": [{"a": form()}]})).await;
        let question = stream.next().await;
        tokio::time::sleep(Duration::from_millis(2500)).await;
        client.answer(&question, &named("Ada")).await;
        assert_eq!(heard_in(&stream.next_of("").await), json!([{"a": named("Ada")}]));
    }
    assert_eq!(server.count("tools/call"), 4);
}

#[tokio::test]
async fn a_client_gives_up_while_it_is_asked() {
    let server = modern_asking().start().await;
    let harness = Harness::before(&server).await;
    for (number, endpoint) in (1..).zip(ENDPOINTS) {
        let client = Legacy::at(&harness, endpoint).await;
        let mut stream = client.call(json!({"rounds": [{"a": form()}]})).await;
        let question = stream.next().await;
        client.session.notify("notifications/cancelled", json!({"requestId": 7})).await;
        client.answer(&question, &named("late")).await;
        assert_eq!(client.session.send(8, "ping", json!({})).await.status, 200);
        testkit::until("the end of the call", || harness.gate.overview().calls == 0).await;
        assert_eq!(server.count("tools/call"), number, "never called again");
    }
}

#[tokio::test]
async fn the_connection_is_lost_while_the_client_is_asked() {
    // A lost connection cancels nothing in the legacy era: the stream goes on elsewhere.
    let server = modern_asking().start().await;
    let harness = Harness::before(&server).await;
    let client = Legacy::at(&harness, ONE).await;
    let mut stream = client.call(json!({"rounds": [{"a": form()}]})).await;
    let event = loop {
        let event = stream.next_event().await.unwrap();
        if !event.data.is_empty() {
            break event;
        }
    };
    let question: Value = serde_json::from_slice(&event.data).unwrap();
    drop(stream);
    client.answer(&question, &named("Ada")).await;
    let id = event.id.expect("events are numbered");
    let mut resumed = client.session.resume(Some(&id)).await;
    assert_eq!(heard_in(&resumed.next_of("").await), json!([{"a": named("Ada")}]));
    assert_eq!(server.count("tools/call"), 2);
}

#[tokio::test]
async fn the_server_dies_between_its_rounds() {
    let server = modern_asking().start().await;
    let harness = Harness::before(&server).await;
    let client = Legacy::at(&harness, ONE).await;
    let mut stream = client.call(json!({"rounds": [{"a": form()}]})).await;
    let question = stream.next().await;
    assert_eq!(server.count("tools/call"), 1);
    drop(server);
    client.answer(&question, &named("Ada")).await;
    fault(&stream.next_of("").await, "server-failed");
}

#[tokio::test]
async fn progress_and_log_of_every_round_come_under_the_clients_token() {
    let server = McpServer::modern()
        .capabilities(json!({"tools": {}, "logging": {}}))
        .on("tools/call", |mut exchange| async move {
            let params = exchange.params();
            exchange.begin_events(&[]).await;
            let token = &params["_meta"]["progressToken"];
            exchange
                .notify("notifications/progress", json!({"progressToken": token, "progress": 1}))
                .await;
            exchange.notify("notifications/message", json!({"level": "info", "data": "x"})).await;
            let result = if params["inputResponses"].is_null() {
                json!({"resultType": "input_required", "inputRequests": {"a": form()},
                    "requestState": "s"})
            } else {
                said(Era::Modern, "done")
            };
            exchange.last_event(result).await;
        })
        .start()
        .await;
    let harness = Harness::before(&server).await;
    for endpoint in ENDPOINTS {
        let client = Legacy::at(&harness, endpoint).await;
        client.session.send(1, "logging/setLevel", json!({"level": "info"})).await;
        let params = json!({"name": super::parts::tool_at(endpoint),
            "_meta": {"progressToken": "own"}});
        let mut stream = client.session.stream(7, "tools/call", params).await;
        let mut told = Vec::new();
        loop {
            let message = stream.next().await;
            match message["method"].as_str() {
                Some("elicitation/create") => client.answer(&message, &named("Ada")).await,
                Some(method) => told.push((method.to_owned(), message["params"].clone())),
                None => break,
            }
        }
        let progress = told.iter().filter(|(method, _)| method == "notifications/progress");
        let tokens: Vec<_> = progress.map(|(_, params)| params["progressToken"].clone()).collect();
        assert_eq!(tokens, ["own", "own"], "{told:?}");
        let logs = told.iter().filter(|(method, _)| method == "notifications/message").count();
        assert_eq!(logs, 2, "{told:?}");
    }
    assert_eq!(server.count("tools/call"), 4);
}

#[tokio::test]
async fn a_server_that_asks_in_no_valid_shape() {
    for asks in [
        json!({}),
        json!({"inputRequests": 5}),
        json!({"inputRequests": {"a": 5}}),
        json!({"inputRequests": {"a": {"params": {}}}}),
        json!({"inputRequests": {}}),
        json!({"requestState": 5}),
    ] {
        let mut result = json!({"resultType": "input_required"});
        result.as_object_mut().unwrap().extend(asks.as_object().unwrap().clone());
        let server = McpServer::modern()
            .on("tools/call", move |mut exchange| {
                let result = result.clone();
                async move { exchange.result(result).await }
            })
            .start()
            .await;
        let harness = Harness::before(&server).await;
        let client = Legacy::able(&harness, ONE, "2025-11-25", &everything()).await;
        let said = client.converse(json!({}), |_| Value::Null).await;
        fault(&said.end, "server-failed");
        assert!(said.questions.is_empty(), "{asks}: {said:?}");
        assert_eq!(server.count("tools/call"), 1);
    }
}

#[tokio::test]
async fn a_call_with_questions_leaves_one_record() {
    let server = modern_asking().start().await;
    let mut harness = Harness::before(&server).await;
    for endpoint in ENDPOINTS {
        let client = Legacy::at(&harness, endpoint).await;
        let mut stream = client.call(json!({"rounds": [{"a": form()}, {"b": form()}]})).await;
        for _ in 0..2 {
            let question = stream.next().await;
            tokio::time::sleep(Duration::from_millis(100)).await;
            client.answer(&question, &named("Ada")).await;
        }
        stream.next_of("").await;
        let record = loop {
            let record = testkit::within("a record", harness.records.recv()).await.unwrap();
            if record.method == "tools/call" {
                break record;
            }
        };
        assert_eq!((record.outcome.label(), record.rounds), ("success", 2));
        assert!(record.waited >= Duration::from_millis(200), "{record:?}");
        assert!(record.waited <= record.duration, "{record:?}");
        assert_eq!((record.client_version, record.server_era), ("2025-11-25", Some("modern")));
    }
    assert!(harness.records.try_recv().is_err(), "and no other");
}
