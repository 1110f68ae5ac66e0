//! A modern client and a legacy server that asks: the call waits at the gate until the client comes
//! back with answers, and the server is called once.

use serde_json::{Value, json};
use testkit::McpServer;
use wire::Era;

use super::parts::{
    ENDPOINTS, Gate, Modern, again, asked, cancelled, form, heard, kinds, legacy_asking,
    legacy_asking_behind, named, page, rooted, roots, sampled, sampling,
};
use crate::harness::{
    COMPOSED, Harness, ONE, assert_fault, assert_said, assert_tool_fault, holding_server,
};

#[tokio::test]
async fn every_kind_of_question_is_asked_and_answered() {
    for endpoint in ENDPOINTS {
        for aside in [false, true] {
            let server = legacy_asking().start().await;
            let harness = Harness::before(&server).await;
            let client = Modern::at(&harness, endpoint);
            for (number, (question, answer)) in (1..).zip(kinds()) {
                let params = client.params(json!({"rounds": [[question]], "aside": aside}));
                let asked = client.asked(&params).await;
                let mut expected = question.clone();
                if endpoint == COMPOSED && question["method"] == "elicitation/create" {
                    let message = question["params"]["message"].as_str().unwrap();
                    expected["params"]["message"] = json!(format!("[s] {message}"));
                }
                // The legacy hop's own handle of a page means nothing to the client.
                if let Some(members) = expected["params"].as_object_mut() {
                    members.remove("elicitationId");
                }
                assert_eq!(asked["inputRequests"], json!({"q1": expected}), "{aside}");
                let answered = client.retry(&params, &asked, json!({"q1": answer})).await;
                assert_eq!(heard(&answered), json!([answer]), "{}", answered.text());
                assert_eq!(answered.json()["result"]["resultType"], "complete");
                assert_eq!(server.count("tools/call"), number, "called once");
            }
            assert_eq!(server.count("initialize"), 1, "one session for all");
            assert!(cancelled(&server).is_empty());
        }
    }
}

#[tokio::test]
async fn two_questions_at_once_are_asked_together() {
    let server = legacy_asking().start().await;
    let harness = Harness::before(&server).await;
    for (number, endpoint) in (1..).zip(ENDPOINTS) {
        let client = Modern::at(&harness, endpoint);
        let params = client.rounds(json!([[form(), roots()]]));
        let asked = client.asked(&params).await;
        let requests = asked["inputRequests"].as_object().unwrap();
        assert_eq!(requests.keys().collect::<Vec<_>>(), ["q1", "q2"]);
        assert_eq!(requests["q1"]["method"], "elicitation/create");
        assert_eq!(requests["q2"]["method"], "roots/list");
        let answers = json!({"q2": rooted(), "q1": named("Ada")});
        let answered = client.retry(&params, &asked, answers).await;
        assert_eq!(heard(&answered), json!([named("Ada"), rooted()]));
        assert_eq!(server.count("tools/call"), number);
    }
}

#[tokio::test]
async fn a_call_asks_round_after_round() {
    let server = legacy_asking().start().await;
    let harness = Harness::before(&server).await;
    for (number, endpoint) in (1..).zip(ENDPOINTS) {
        let client = Modern::at(&harness, endpoint);
        let params = client.rounds(json!([[form()], [sampling(), roots()], [form()]]));
        let first = client.asked(&params).await;
        let answer = client.retry(&params, &first, json!({"q1": named("Ada")})).await;
        let second = asked(&answer);
        let keys: Vec<_> = second["inputRequests"].as_object().unwrap().keys().collect();
        assert_eq!(keys, ["q2", "q3"], "a key is never used again in one call");
        let answers = json!({"q2": sampled(), "q3": rooted()});
        let third = asked(&client.retry(&params, &second, answers).await);
        assert!(!third["inputRequests"]["q4"].is_null(), "{third}");
        let states = [&first, &second, &third].map(|asked| asked["requestState"].clone());
        assert!(states[0] != states[1] && states[1] != states[2], "{states:?}");
        let answered = client.retry(&params, &third, json!({"q4": named("Bob")})).await;
        assert_eq!(heard(&answered), json!([named("Ada"), sampled(), rooted(), named("Bob")]));
        assert_eq!(server.count("tools/call"), number);
    }
}

#[tokio::test]
async fn a_call_may_not_ask_for_ever() {
    let server = legacy_asking().start().await;
    let harness = Harness::limited(&server, json!({"interaction_rounds": 2})).await;
    let client = Modern::at(&harness, ONE);
    let answers = |number: u32| json!({format!("q{number}"): named("Ada")});
    // At the limit.
    let params = client.rounds(json!([[form()], [form()]]));
    let first = client.asked(&params).await;
    let second = asked(&client.retry(&params, &first, answers(1)).await);
    let answered = client.retry(&params, &second, answers(2)).await;
    assert_eq!(heard(&answered), json!([named("Ada"), named("Ada")]));
    // One beyond it.
    let params = client.rounds(json!([[form()], [form()], [form()]]));
    let first = client.asked(&params).await;
    let second = asked(&client.retry(&params, &first, answers(1)).await);
    let refused = client.retry(&params, &second, answers(2)).await;
    let text = assert_tool_fault(&refused, Era::Modern, "interaction-refused");
    assert!(text.contains("more than 2 times") && text.contains("interaction_rounds"), "{text}");
    server.wait_for("notifications/cancelled", 1).await;
    assert_eq!(server.count("tools/call"), 2, "each called once");
}

#[tokio::test]
async fn what_was_not_answered_is_asked_again() {
    let server = legacy_asking().start().await;
    let harness = Harness::before(&server).await;
    for (number, endpoint) in (1..).zip(ENDPOINTS) {
        let client = Modern::at(&harness, endpoint);
        let params = client.rounds(json!([[form(), roots(), sampling()]]));
        let all = client.asked(&params).await;
        let rest = asked(&client.retry(&params, &all, json!({"q2": rooted()})).await);
        let keys: Vec<_> = rest["inputRequests"].as_object().unwrap().keys().collect();
        assert_eq!(keys, ["q1", "q3"]);
        for key in keys {
            assert_eq!(rest["inputRequests"][key], all["inputRequests"][key], "as it was");
        }
        // Nothing at all: everything that is left is asked again.
        let mut without = again(&params, &rest, Value::Null);
        without.as_object_mut().unwrap().remove("inputResponses");
        let same = asked(&client.call(&without).await);
        assert_eq!(same["inputRequests"], rest["inputRequests"]);
        let answers = json!({"q1": named("Ada"), "q3": sampled()});
        let answered = client.retry(&params, &same, answers).await;
        assert_eq!(heard(&answered), json!([named("Ada"), rooted(), sampled()]));
        assert_eq!(server.count("tools/call"), number);
    }
}

#[tokio::test]
async fn keys_that_nobody_asked_for_are_ignored() {
    let server = legacy_asking().start().await;
    let harness = Harness::before(&server).await;
    let client = Modern::at(&harness, ONE);
    let params = client.rounds(json!([[form()]]));
    let asked = client.asked(&params).await;
    let answers = json!({"q0": 5, "q1": named("Ada"), "q2": named("Eve"), "other": null, "": []});
    let answered = client.retry(&params, &asked, answers).await;
    assert_eq!(heard(&answered), json!([named("Ada")]));
    assert_eq!(server.count("tools/call"), 1);
}

#[tokio::test]
async fn an_answer_that_does_not_fit_is_named_and_can_be_corrected() {
    let server = legacy_asking().start().await;
    let harness = Harness::before(&server).await;
    let client = Modern::at(&harness, ONE);
    let bad: [Vec<Value>; 4] = [
        vec![
            json!(5),
            json!({}),
            json!({"action": "maybe"}),
            json!({"action": "accept"}),
            json!({"action": "accept", "content": {"name": 5}}),
            json!({"action": "accept", "content": []}),
            json!({"method": "elicitation/create", "result": named("Ada")}),
        ],
        vec![json!("accept"), json!({"content": {}})],
        vec![json!({}), json!({"role": "assistant"}), json!([sampled()])],
        vec![json!({}), json!({"roots": 5}), json!({"roots": [{"name": "home"}]})],
    ];
    for (number, ((question, good), bad)) in (1..).zip(kinds().into_iter().zip(bad)) {
        let params = client.rounds(json!([[roots(), question]]));
        let asked = client.asked(&params).await;
        for bad in bad {
            let answers = json!({"q1": rooted(), "q2": bad});
            let answer = client.retry(&params, &asked, answers).await;
            assert_fault(&answer, 200, -32602, "invalid-params");
            assert!(answer.text().contains("inputResponses.q2"), "{bad}: {}", answer.text());
        }
        for bad in [json!(5), json!([]), json!("q2")] {
            let answer = client.retry(&params, &asked, bad).await;
            assert_fault(&answer, 200, -32602, "invalid-params");
            assert!(answer.text().contains("inputResponses"), "{}", answer.text());
        }
        // The call still waits, and nothing of what did not fit has reached the server.
        let answered = client.retry(&params, &asked, json!({"q1": rooted(), "q2": good})).await;
        assert_eq!(heard(&answered), json!([rooted(), good]));
        assert_eq!(server.count("tools/call"), number);
    }
}

#[tokio::test]
async fn what_a_person_declines_is_the_servers_to_judge() {
    let server = legacy_asking().start().await;
    let harness = Harness::before(&server).await;
    let client = Modern::at(&harness, ONE);
    for action in ["decline", "cancel"] {
        for question in [form(), page()] {
            let params = client.rounds(json!([[question]]));
            let asked = client.asked(&params).await;
            let answer = json!({"action": action});
            let answered = client.retry(&params, &asked, json!({"q1": answer})).await;
            assert_eq!(heard(&answered), json!([answer]));
        }
    }
    assert_eq!(server.count("tools/call"), 4);
}

#[tokio::test]
async fn progress_and_log_of_a_resumed_call_are_told_under_its_new_token() {
    let server = legacy_asking().start().await;
    let harness = Harness::before(&server).await;
    for endpoint in ENDPOINTS {
        let client = Modern::at(&harness, endpoint);
        for log in [true, false] {
            let mut params = client.rounds(json!([[form()], [form()]]));
            params["_meta"]["progressToken"] = json!("first");
            let first = client.asked(&params).await;
            let mut retry = again(&params, &first, json!({"q1": named("Ada")}));
            retry["_meta"]["progressToken"] = json!(2);
            if log {
                retry["_meta"][wire::meta::LOG_LEVEL] = json!("info");
            }
            let answer = client.call(&retry).await;
            let second = asked(&answer);
            let told = told(&answer);
            assert_eq!(told[0], ("notifications/progress".into(), json!(2)), "{told:?}");
            let logs = told.iter().filter(|(method, _)| method == "notifications/message").count();
            assert_eq!(logs, usize::from(log), "{}", answer.text());
            // A retry without a token hears of no progress.
            let mut retry = again(&params, &second, json!({"q2": named("Bob")}));
            retry["_meta"].as_object_mut().unwrap().remove("progressToken");
            let answer = client.call(&retry).await;
            assert_eq!(heard(&answer), json!([named("Ada"), named("Bob")]));
            assert!(!answer.text().contains("notifications/progress"), "{}", answer.text());
        }
    }
    assert_eq!(server.count("tools/call"), 4);
}

/// Method and progress token of everything that came before an answer.
fn told(answer: &testkit::Answer) -> Vec<(String, Value)> {
    let messages = answer.messages();
    let told = messages.iter().filter(|message| !message["method"].is_null());
    told.map(|message| {
        let method = message["method"].as_str().unwrap_or_default().to_owned();
        (method, message["params"]["progressToken"].clone())
    })
    .collect()
}

#[tokio::test]
async fn waiting_calls_have_a_cap_of_their_own() {
    let server = legacy_asking().start().await;
    let harness = Harness::limited(&server, json!({"parked_calls": 2})).await;
    let client = Modern::at(&harness, ONE);
    let params = client.rounds(json!([[form()]]));
    let first = client.asked(&params).await;
    let second = client.asked(&params).await;
    assert_eq!(harness.gate.overview().servers[0].running, 0, "they take no place among calls");
    let third = client.call(&params).await;
    assert_eq!(third.code(), 1003, "{}", third.text());
    assert_eq!(third.json()["error"]["data"]["reason"], "overloaded");
    server.wait_for("notifications/cancelled", 1).await;
    assert_eq!(cancelled(&server), [super::parts::call_id(&server, 3)]);
    // Whoever does not ask is served all the same.
    assert_eq!(heard(&client.call(&client.rounds(json!([]))).await), json!([]));
    let answered = client.retry(&params, &first, json!({"q1": named("Ada")})).await;
    assert_eq!(heard(&answered), json!([named("Ada")]));
    let fourth = client.asked(&params).await;
    for asked in [second, fourth] {
        let answered = client.retry(&params, &asked, json!({"q1": named("Bob")})).await;
        assert_eq!(heard(&answered), json!([named("Bob")]));
    }
    assert_eq!(server.count("tools/call"), 5);
}

/// A gate before one server that takes one call at a time, and lets no other wait for long.
async fn narrow(server: &McpServer) -> Harness {
    let server = json!({"url": server.url(), "concurrency": 1, "queue": 0,
        "queue_timeout": "100ms"});
    Harness::start(json!({"servers": {"s": server}})).await
}

#[tokio::test]
async fn a_waiting_call_gives_its_place_to_another() {
    let server = legacy_asking().start().await;
    let harness = narrow(&server).await;
    let client = Modern::at(&harness, ONE);
    let params = client.rounds(json!([[form()]]));
    let first = client.asked(&params).await;
    let second = client.asked(&params).await;
    assert_eq!(heard(&client.call(&client.rounds(json!([]))).await), json!([]));
    for asked in [first, second] {
        let answered = client.retry(&params, &asked, json!({"q1": named("Ada")})).await;
        assert_eq!(heard(&answered), json!([named("Ada")]));
    }
    // A call that only takes long keeps its place.
    let (server, released) = holding_server(Era::Legacy).await;
    let harness = narrow(&server).await;
    let client = harness.client(Era::Modern, ONE).await;
    let held = tokio::spawn({
        let request = client.request(1, "tools/call", json!({"name": "held"}));
        let address = harness.address;
        async move { testkit::send(address, &request).await }
    });
    server.wait_for("tools/call", 1).await;
    assert_eq!(client.call("echo").await.code(), 1003);
    released.add_permits(1);
    assert_said(&held.await.unwrap(), "held");
}

#[tokio::test]
async fn a_waiting_call_has_no_deadline() {
    let gate = Gate::default();
    let server = legacy_asking_behind(&gate).start().await;
    let harness = Harness::start(json!({"servers": {"s": {
        "url": server.url(), "timeout": "1s"}}}))
    .await;
    let client = Modern::at(&harness, ONE);
    // Reaching the server is part of the first call's time, and not what is tested here.
    testkit::within("the server to be reached", async {
        while client.call(&client.rounds(json!([]))).await.text().contains("isError") {}
    })
    .await;
    let before = server.count("tools/call");
    // One that the server makes wait has one.
    let slow = client.params(json!({"rounds": [], "hold": true}));
    let late = client.call(&slow).await;
    assert_tool_fault(&late, Era::Modern, "deadline-exceeded");
    let params = client.rounds(json!([[form()]]));
    let asked = client.asked(&params).await;
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    let answered = client.retry(&params, &asked, json!({"q1": named("Ada")})).await;
    assert_eq!(heard(&answered), json!([named("Ada")]));
    // And has one again once it was answered.
    let params = client.params(json!({"rounds": [[form()]], "hold": true}));
    let asked = client.asked(&params).await;
    let late = client.retry(&params, &asked, json!({"q1": named("Ada")})).await;
    assert_tool_fault(&late, Era::Modern, "deadline-exceeded");
    assert_eq!(server.count("tools/call"), before + 3);
}
