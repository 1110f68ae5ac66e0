//! Pages that a person must visit: before a legacy server takes a call at all (-32042), and in the
//! middle of calls of modern servers, whose clients are told when a page has done its work.

use serde_json::{Value, json};
use testkit::{McpServer, Session};
use wire::Era;

use super::parts::{
    ENDPOINTS, Legacy, Modern, again, asked, everything, heard_in, modern_asking, tool_at,
};
use crate::harness::{Harness, ONE, assert_said, assert_tool_fault, said};

const SIGN_IN: &str = "https://example.com/sign-in";
const CONSENT: &str = "https://example.com/consent";

/// A legacy server that takes no call until its pages have been visited `before` times.
async fn gated(version: &str, before: usize) -> McpServer {
    let calls = std::sync::atomic::AtomicUsize::new(0);
    McpServer::legacy()
        .version(version)
        .on("tools/call", move |mut exchange| {
            let number = calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            async move {
                if number >= before {
                    return exchange.result(said(Era::Legacy, "taken")).await;
                }
                let page = |url: &str, message: &str| {
                    json!({"mode": "url", "url": url, "message": message,
                        "elicitationId": format!("e-{number}")})
                };
                let pages = [page(SIGN_IN, "Sign in"), page(CONSENT, "Agree")];
                let error = json!({"code": -32042, "message": "Visit a page first",
                    "data": {"elicitations": pages}});
                let answer = json!({"jsonrpc": "2.0", "id": exchange.id(), "error": error});
                exchange.json(200, &answer).await;
            }
        })
        .start()
        .await
}

fn both(first: &str, second: &str) -> Value {
    json!({"q1": {"action": first}, "q2": {"action": second}})
}

#[tokio::test]
async fn a_modern_client_visits_the_pages_and_the_server_sees_two_requests() {
    for endpoint in ENDPOINTS {
        let server = gated("2025-11-25", 1).await;
        let harness = Harness::before(&server).await;
        let client = Modern::at(&harness, endpoint);
        let params = client.params(json!({"a": 1}));
        let pages = client.asked(&params).await;
        let requests = pages["inputRequests"].as_object().unwrap();
        assert_eq!(requests.keys().collect::<Vec<_>>(), ["q1", "q2"]);
        for (key, url) in [("q1", SIGN_IN), ("q2", CONSENT)] {
            assert_eq!(requests[key]["method"], "elicitation/create");
            assert_eq!(requests[key]["params"]["mode"], "url");
            assert_eq!(requests[key]["params"]["url"], url);
            assert!(requests[key]["params"]["elicitationId"].is_null(), "{pages}");
        }
        assert_eq!(server.count("tools/call"), 1);
        // One visited, the other not yet.
        let one = json!({"q2": {"action": "accept"}});
        let rest = asked(&client.retry(&params, &pages, one).await);
        let left: Vec<_> = rest["inputRequests"].as_object().unwrap().keys().collect();
        assert_eq!(left, ["q1"]);
        assert_eq!(server.count("tools/call"), 1, "not before all are visited");
        let last = json!({"q1": {"action": "accept"}});
        assert_said(&client.retry(&params, &rest, last).await, "taken");
        assert_eq!(server.count("tools/call"), 2, "refused once, executed once");
        let calls = server.http().requests_of("tools/call");
        let [first, second] = [&calls[0], &calls[1]].map(|call| call.json()["params"].clone());
        assert_eq!(first, second, "the server sees the same call again");
        let replayed = client.retry(&params, &pages, both("accept", "accept")).await;
        assert_tool_fault(&replayed, Era::Modern, "interaction-expired");
        assert_eq!(server.count("tools/call"), 2);
    }
}

#[tokio::test]
async fn a_server_may_want_pages_again_up_to_the_limit() {
    let server = gated("2025-11-25", usize::MAX).await;
    let harness = Harness::limited(&server, json!({"interaction_rounds": 2})).await;
    let client = Modern::at(&harness, ONE);
    let params = client.params(json!({}));
    let first = client.asked(&params).await;
    let accept = || both("accept", "accept");
    let second = asked(&client.retry(&params, &first, accept()).await);
    let refused = client.retry(&params, &second, accept()).await;
    let text = assert_tool_fault(&refused, Era::Modern, "interaction-refused");
    assert!(text.contains("more than 2 times"), "{text}");
    assert_eq!(server.count("tools/call"), 3);
}

#[tokio::test]
async fn a_page_that_is_declined_ends_the_call() {
    for action in ["decline", "cancel"] {
        let server = gated("2025-11-25", 1).await;
        let harness = Harness::before(&server).await;
        let client = Modern::at(&harness, ONE);
        let params = client.params(json!({}));
        let pages = client.asked(&params).await;
        let refused = client.retry(&params, &pages, both("accept", action)).await;
        let text = assert_tool_fault(&refused, Era::Modern, "interaction-refused");
        assert!(text.contains(CONSENT), "{text}");
        let replayed = client.retry(&params, &pages, both("accept", "accept")).await;
        assert_tool_fault(&replayed, Era::Modern, "interaction-expired");
        assert_eq!(server.count("tools/call"), 1);
        // Begun anew, it is another call.
        assert_said(&client.call(&params).await, "taken");
    }
}

#[tokio::test]
async fn of_many_who_come_back_from_the_pages_one_calls_again() {
    let server = gated("2025-11-25", 1).await;
    let harness = Harness::before(&server).await;
    let client = Modern::at(&harness, ONE);
    let params = client.params(json!({}));
    let pages = client.asked(&params).await;
    let mut coming = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let request = client.request(&again(&params, &pages, both("accept", "accept")));
        let address = harness.address;
        coming.spawn(async move { testkit::send(address, &request).await });
    }
    let mut taken = 0;
    while let Some(answer) = coming.join_next().await {
        let answer = answer.unwrap();
        if answer.json()["result"]["isError"].is_null() {
            assert_said(&answer, "taken");
            taken += 1;
        } else {
            assert_tool_fault(&answer, Era::Modern, "interaction-expired");
        }
    }
    assert_eq!((taken, server.count("tools/call")), (1, 2));
}

#[tokio::test]
async fn a_modern_client_that_opens_no_pages_is_given_the_links() {
    for endpoint in ENDPOINTS {
        let server = gated("2025-11-25", 1).await;
        let harness = Harness::before(&server).await;
        let client = Modern::able(&harness, endpoint, json!({"elicitation": {"form": {}}}));
        let params = client.params(json!({}));
        let answer = client.call(&params).await;
        let text = assert_tool_fault(&answer, Era::Modern, "interaction-unavailable");
        for part in [SIGN_IN, "Sign in", CONSENT, "Agree", "call again"] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert_eq!(server.count("tools/call"), 1);
        assert_said(&client.call(&params).await, "taken");
    }
}

#[tokio::test]
async fn legacy_clients_get_the_error_that_they_know() {
    for endpoint in ENDPOINTS {
        for (version, passes) in
            [("2025-11-25", true), ("2025-06-18", false), ("2025-03-26", false)]
        {
            let server = gated("2025-11-25", 1).await;
            let harness = Harness::before(&server).await;
            let able = everything();
            let client = Session::with(harness.address, endpoint, version, &able).await;
            let params = json!({"name": tool_at(endpoint)});
            let answer = client.send(1, "tools/call", params.clone()).await;
            if passes {
                let error = &answer.json()["error"];
                assert_eq!(error["code"], -32042, "{}", answer.text());
                let pages = error["data"]["elicitations"].as_array().unwrap();
                assert_eq!(pages.len(), 2);
                assert_eq!(pages[0]["elicitationId"], "e-0", "as the server said it");
            } else {
                let text = assert_tool_fault(&answer, Era::Legacy, "interaction-unavailable");
                assert!(text.contains(SIGN_IN) && text.contains(CONSENT), "{text}");
            }
            assert_eq!(server.count("tools/call"), 1, "{version}");
            assert_said(&client.send(2, "tools/call", params).await, "taken");
        }
    }
}

#[tokio::test]
async fn pages_without_an_address_are_the_servers_mistake() {
    for data in [json!(null), json!({}), json!({"elicitations": []}), json!({"elicitations": [{}]})]
    {
        let server = McpServer::legacy()
            .on("tools/call", move |mut exchange| {
                let error = json!({"code": -32042, "message": "Visit a page", "data": data});
                async move {
                    let answer = json!({"jsonrpc": "2.0", "id": exchange.id(), "error": error});
                    exchange.json(200, &answer).await;
                }
            })
            .start()
            .await;
        let harness = Harness::before(&server).await;
        let client = Modern::at(&harness, ONE);
        let answer = client.call(&client.params(json!({}))).await;
        assert_tool_fault(&answer, Era::Modern, "server-failed");
        assert_eq!(server.count("tools/call"), 1);
    }
}

fn page(url: &str) -> Value {
    json!({"method": "elicitation/create",
        "params": {"mode": "url", "message": "Sign in", "url": url}})
}

#[tokio::test]
async fn a_client_is_told_that_a_page_has_done_its_work() {
    let server = modern_asking().start().await;
    let harness = Harness::before(&server).await;
    for endpoint in ENDPOINTS {
        let client = Legacy::at(&harness, endpoint).await;
        // The page is asked for again until the person is done there, but consent only once.
        let rounds = json!({"rounds": [
            {"a": page(SIGN_IN)}, {"a": page(SIGN_IN)}, {"b": page(CONSENT)},
        ]});
        let accept = json!({"action": "accept"});
        let said = client.converse(rounds, |_| accept.clone()).await;
        let urls: Vec<_> = said.questions.iter().map(|one| one["params"]["url"].clone()).collect();
        assert_eq!(urls, [SIGN_IN, CONSENT], "{said:?}");
        let ids: Vec<_> =
            said.questions.iter().map(|one| one["params"]["elicitationId"].clone()).collect();
        assert_ne!(ids[0], ids[1]);
        let complete = said.told.iter().filter(|one| {
            assert_eq!(one["method"], "notifications/elicitation/complete", "{one}");
            true
        });
        let done: Vec<_> = complete.map(|one| one["params"]["elicitationId"].clone()).collect();
        assert_eq!(done, ids, "each once, before the answer");
        assert_eq!(heard_in(&said.end), json!([{"a": accept}, {"a": accept}, {"b": accept}]));
    }
    assert_eq!(server.count("tools/call"), 8);
}

#[tokio::test]
async fn a_page_that_was_not_visited_has_done_no_work() {
    let server = modern_asking().start().await;
    let harness = Harness::before(&server).await;
    let client = Legacy::at(&harness, ONE).await;
    let decline = json!({"action": "decline"});
    let rounds = json!({"rounds": [{"a": page(SIGN_IN)}, {"a": page(SIGN_IN)}]});
    let said = client.converse(rounds, |_| decline.clone()).await;
    assert_eq!(said.questions.len(), 2, "what was declined is asked again");
    assert!(said.told.is_empty(), "{said:?}");
    assert_eq!(heard_in(&said.end), json!([{"a": decline}, {"a": decline}]));
    assert_eq!(server.count("tools/call"), 3);
}

#[tokio::test]
async fn clients_that_know_no_pages_are_given_the_link() {
    for version in ["2025-06-18", "2025-03-26"] {
        for endpoint in ENDPOINTS {
            let server = modern_asking().start().await;
            let harness = Harness::before(&server).await;
            let client = Legacy::able(&harness, endpoint, version, &everything()).await;
            let rounds = json!({"rounds": [{"a": page(SIGN_IN)}]});
            let said = client.converse(rounds, |_| Value::Null).await;
            assert!(said.questions.is_empty(), "{said:?}");
            let result = &said.end["result"];
            let reason = &result["_meta"]["io.portcullis/fault"]["reason"];
            assert_eq!(reason, "interaction-unavailable", "{said:?}");
            let text = result["content"][0]["text"].as_str().unwrap();
            assert!(text.contains(SIGN_IN), "{text}");
            assert_eq!(server.count("tools/call"), 1);
        }
    }
}
