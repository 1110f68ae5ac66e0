//! Sessions with legacy servers: whose they are, how many there are, and how they end and heal.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Answer, McpServer};
use wire::Era;

use super::parts::{
    ENDPOINTS, Gate, Modern, again, asked, everything, form, heard, legacy_asking,
    legacy_asking_behind, named, tool_at,
};
use crate::harness::{COMPOSED, ERAS, Harness, ONE, assert_said, said};

/// The capabilities that the server was told in each `initialize`.
fn told(server: &McpServer) -> Vec<Value> {
    let begun = server.http().requests_of("initialize");
    begun.iter().map(|request| request.json()["params"]["capabilities"].clone()).collect()
}

fn deleted(server: &McpServer) -> usize {
    server.http().requests().iter().filter(|request| request.verb == "DELETE").count()
}

/// The sessions in which tools were called.
fn used(server: &McpServer) -> HashSet<String> {
    let calls = server.http().requests_of("tools/call");
    let id = |call: &testkit::Received| call.headers.get("mcp-session-id").map(str::to_owned);
    calls.iter().filter_map(id).collect()
}

async fn gate(server: &McpServer, settings: Value) -> Harness {
    let mut wanted = json!({"url": server.url()});
    wanted.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    Harness::start(json!({"servers": {"s": wanted}})).await
}

#[tokio::test]
async fn clients_that_can_be_asked_the_same_share_a_session() {
    for mode in ["shared", "auto", "per-client"] {
        let server = McpServer::legacy().start().await;
        let harness = gate(&server, json!({"session": mode})).await;
        for _ in 0..2 {
            for endpoint in ENDPOINTS {
                for able in [json!({}), everything(), json!({"roots": {}})] {
                    let client = Modern::able(&harness, endpoint, able);
                    assert_said(
                        &client.call(&client.params(json!({"say": "hi"}))).await,
                        "echo: hi",
                    );
                }
            }
        }
        assert_eq!(used(&server).len(), 3, "{mode}: one for each set of abilities");
        let mut told = told(&server);
        assert_eq!(told.len(), 3, "{mode}");
        told.sort_by_key(|told| told.to_string().len());
        assert_eq!(told, [json!({}), json!({"roots": {}}), everything()], "{mode}");
        // Legacy clients have sessions of their own, unless all share one.
        for number in 1..=2 {
            let client = harness.client(Era::Legacy, ONE).await;
            assert_said(&client.call("echo").await, "echo: hi");
            let own = if mode == "shared" { 0 } else { number };
            assert_eq!(used(&server).len(), 3 + own, "{mode}");
        }
        assert_eq!(deleted(&server), 0, "{mode}");
    }
}

#[tokio::test]
async fn a_session_for_each_call() {
    let server = McpServer::legacy().start().await;
    let harness = gate(&server, json!({"session": "none"})).await;
    for (round, era) in ERAS.into_iter().enumerate() {
        for endpoint in ENDPOINTS {
            let client = harness.client(era, endpoint).await;
            for _ in 0..2 {
                assert_said(&client.call(tool_at(endpoint)).await, "echo: hi");
            }
        }
        let calls = (round + 1) * 4;
        assert_eq!(server.count("tools/call"), calls);
        assert_eq!(used(&server).len(), calls, "no two calls share a session");
    }
    let ended = || {
        let is_end = |request: &testkit::Received| request.verb == "DELETE";
        let ended: HashSet<_> = server
            .http()
            .requests()
            .iter()
            .filter(|request| is_end(request))
            .filter_map(|request| request.headers.get("mcp-session-id").map(str::to_owned))
            .collect();
        ended.is_superset(&used(&server))
    };
    testkit::until("every session to be ended", ended).await;
}

#[tokio::test]
async fn a_call_of_one_session_is_asked_and_goes_on_in_it() {
    for aside in [false, true] {
        let server = legacy_asking().start().await;
        let harness = gate(&server, json!({"session": "none"})).await;
        let client = Modern::at(&harness, ONE);
        let params = client.params(json!({"rounds": [[form()]], "aside": aside}));
        let asked = client.asked(&params).await;
        assert_eq!(deleted(&server), 0, "the session waits as the call does");
        let answered = client.retry(&params, &asked, json!({"q1": named("Ada")})).await;
        assert_eq!(heard(&answered), json!([named("Ada")]));
        testkit::until("the end of the session", || deleted(&server) == 1).await;
        assert_eq!((server.count("initialize"), server.count("tools/call")), (1, 1));
    }
}

#[tokio::test]
async fn a_clients_session_ends_with_it() {
    let server = McpServer::legacy().start().await;
    let harness = gate(&server, json!({"session": "auto"})).await;
    let client = harness.client(Era::Legacy, ONE).await;
    assert_said(&client.call("echo").await, "echo: hi");
    assert_eq!(deleted(&server), 0);
    let session = &client.session.as_ref().unwrap().id;
    let request = testkit::HttpRequest::new("DELETE", ONE).header("Mcp-Session-Id", session);
    assert_eq!(harness.send(&request).await.status, 204);
    testkit::until("the end of the server's session", || deleted(&server) == 1).await;
}

#[tokio::test]
async fn a_session_that_nobody_uses_ends_and_is_begun_again() {
    let server = McpServer::legacy().start().await;
    let harness = gate(&server, json!({"idle_timeout": "1s"})).await;
    let client = harness.client(Era::Modern, ONE).await;
    assert_said(&client.call("echo").await, "echo: hi");
    testkit::until("the end of the idle session", || deleted(&server) == 1).await;
    assert_said(&client.call("echo").await, "echo: hi");
    assert_eq!((server.count("initialize"), used(&server).len()), (2, 2));
}

#[tokio::test]
async fn a_session_lives_while_a_call_of_it_waits() {
    let server = legacy_asking().start().await;
    let harness = gate(&server, json!({"idle_timeout": "1s"})).await;
    let client = Modern::at(&harness, ONE);
    let params = client.rounds(json!([[form()]]));
    let asked = client.asked(&params).await;
    tokio::time::sleep(Duration::from_millis(1800)).await;
    assert_eq!(deleted(&server), 0);
    let answered = client.retry(&params, &asked, json!({"q1": named("Ada")})).await;
    assert_eq!(heard(&answered), json!([named("Ada")]));
    testkit::until("the end of the idle session", || deleted(&server) == 1).await;
}

#[tokio::test]
async fn many_first_calls_begin_one_session() {
    let server = McpServer::legacy()
        .on("initialize", |mut exchange| async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let result = json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
                "serverInfo": {"name": "slow", "version": "1"}});
            let answer = exchange.answer(result).to_string();
            let headers = [("Content-Type", "application/json"), ("Mcp-Session-Id", "only")];
            exchange.respond(200, &headers, answer).await;
        })
        .on("notifications/initialized", |mut exchange| async move {
            exchange.respond(202, &[], "").await;
        })
        .on("tools/call", |mut exchange| async move {
            exchange.result(said(Era::Legacy, "hi")).await;
        })
        .start()
        .await;
    let harness = gate(&server, json!({})).await;
    let mut calls = tokio::task::JoinSet::new();
    let client = Modern::at(&harness, ONE);
    for _ in 0..100 {
        let (request, address) = (client.request(&client.params(json!({}))), harness.address);
        calls.spawn(async move { testkit::send(address, &request).await });
    }
    while let Some(answer) = calls.join_next().await {
        assert_said(&answer.unwrap(), "hi");
    }
    assert_eq!((server.count("initialize"), server.count("tools/call")), (1, 100));
}

#[tokio::test]
async fn a_session_that_is_gone_is_begun_again_and_its_call_sent_once_more() {
    let server = McpServer::legacy().start().await;
    let harness = gate(&server, json!({})).await;
    for era in ERAS {
        for endpoint in ENDPOINTS {
            let client = harness.client(era, endpoint).await;
            assert_said(&client.call(tool_at(endpoint)).await, "echo: hi");
            let (begun, called) = (server.count("initialize"), server.count("tools/call"));
            server.forget_sessions();
            assert_said(&client.call(tool_at(endpoint)).await, "echo: hi");
            assert_eq!(server.count("tools/call"), called + 2, "refused once, executed once");
            // The gate's own feed of a legacy client may have needed the session, too.
            let begun = server.count("initialize") - begun;
            assert!((1..=2).contains(&begun), "{era:?} {endpoint}: {begun}");
        }
    }
}

#[tokio::test]
async fn a_call_is_sent_again_once_and_only_if_it_was_refused() {
    let script = |broken: bool| {
        McpServer::legacy()
            .on("tools/call", move |mut exchange| async move {
                if broken {
                    exchange.begin_events(&[]).await;
                    exchange.notify("notifications/message", json!({"level": "info"})).await;
                    return exchange.abort();
                }
                exchange.error(404, -32001, "Session not found").await;
            })
            .start()
    };
    for (broken, sent) in [(false, 2), (true, 1)] {
        for era in ERAS {
            let server = script(broken).await;
            let harness = gate(&server, json!({})).await;
            let client = harness.client(era, ONE).await;
            let answer = client.call("echo").await;
            assert_eq!(server.count("tools/call"), sent, "{era:?}: {}", answer.text());
            let body = answer.json();
            let reason = &body["result"]["_meta"]["io.portcullis/fault"]["reason"];
            assert_eq!(reason, "server-failed", "{body}");
        }
    }
}

#[tokio::test]
async fn nobody_can_be_asked_where_questions_are_off() {
    for mode in ["auto", "shared", "none"] {
        for questions in ["off", "auto"] {
            let server = legacy_asking().start().await;
            let harness = gate(&server, json!({"session": mode, "questions": questions})).await;
            for era in ERAS {
                let arguments = json!({"rounds": [[form()]]});
                let was_asked = match era {
                    Era::Modern => {
                        let client = Modern::at(&harness, ONE);
                        let answer = client.call(&client.params(arguments)).await;
                        let is_asked = answer.json()["result"]["resultType"] == "input_required";
                        if !is_asked {
                            assert_eq!(heard(&answer)[0]["error"]["code"], -32601);
                        }
                        is_asked
                    }
                    Era::Legacy => {
                        let client = super::parts::Legacy::at(&harness, ONE).await;
                        let said = client.converse(arguments, |_| named("Ada")).await;
                        !said.questions.is_empty()
                    }
                };
                assert_eq!(was_asked, questions == "auto", "{era:?}, {mode}, {questions}");
            }
            let promised = told(&server).iter().any(|told| !told["elicitation"].is_null());
            assert_eq!(promised, questions == "auto", "{:?}", told(&server));
        }
    }
}

/// A legacy server that writes a line of each level in each call.
async fn talkative() -> McpServer {
    McpServer::legacy()
        .capabilities(json!({"tools": {}, "logging": {}}))
        .on("tools/call", |mut exchange| async move {
            exchange.begin_events(&[]).await;
            for level in ["debug", "info", "error"] {
                let line = json!({"level": level, "data": "x"});
                exchange.notify("notifications/message", line).await;
            }
            exchange.last_event(said(Era::Legacy, "end")).await;
        })
        .start()
        .await
}

/// The levels of the log lines before an answer.
fn levels(answer: &Answer) -> Vec<String> {
    assert_said(answer, "end");
    let messages = answer.messages();
    let lines = messages.iter().filter(|message| message["method"] == "notifications/message");
    lines.map(|line| line["params"]["level"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn each_request_hears_the_log_that_it_asked_for() {
    let server = talkative().await;
    let harness = gate(&server, json!({})).await;
    for endpoint in ENDPOINTS {
        let client = Modern::able(&harness, endpoint, json!({}));
        let at = |level: Option<&str>| {
            let mut params = client.params(json!({}));
            if let Some(level) = level {
                params["_meta"][wire::meta::LOG_LEVEL] = json!(level);
            }
            params
        };
        for (level, heard) in [
            (None, vec![]),
            (Some("error"), vec!["error"]),
            (Some("info"), vec!["info", "error"]),
            (Some("debug"), vec!["debug", "info", "error"]),
            (Some("error"), vec!["error"]),
            (Some("info"), vec!["info", "error"]),
            (None, vec![]),
        ] {
            let answer = client.call(&at(level)).await;
            assert_eq!(levels(&answer), heard, "{endpoint}, {level:?}");
        }
    }
    let asked = server.http().requests_of("logging/setLevel");
    let asked: Vec<_> =
        asked.iter().map(|request| request.json()["params"]["level"].clone()).collect();
    assert_eq!(asked, ["error", "info", "debug"], "only ever for more, and once");
    assert_eq!(server.count("initialize"), 1);
}

#[tokio::test]
async fn the_level_of_a_legacy_client_is_its_own_on_a_shared_session() {
    let server = talkative().await;
    let harness = gate(&server, json!({"session": "shared"})).await;
    for endpoint in [ONE, COMPOSED] {
        let (quiet, loud) = (harness.session(endpoint).await, harness.session(endpoint).await);
        for (session, level) in [(&quiet, "error"), (&loud, "debug")] {
            let answer = session.send(1, "logging/setLevel", json!({"level": level})).await;
            assert_eq!(answer.json()["result"], json!({}), "{}", answer.text());
        }
        let params = json!({"name": tool_at(endpoint)});
        let answer = loud.send(2, "tools/call", params.clone()).await;
        assert_eq!(levels(&answer), ["debug", "info", "error"], "{endpoint}");
        let answer = quiet.send(2, "tools/call", params).await;
        assert_eq!(levels(&answer), ["error"], "{endpoint}");
    }
    assert_eq!(server.count("initialize"), 1);
}

fn form_saying(message: &str) -> Value {
    let mut question = form();
    question["params"]["message"] = json!(message);
    question
}

#[tokio::test]
async fn a_question_beside_two_calls_is_never_the_wrong_ones() {
    let doors = Gate::default();
    let server = legacy_asking_behind(&doors).start().await;
    let harness = gate(&server, json!({})).await;
    let client = Modern::at(&harness, ONE);
    // Nobody knows yet that this server asks aside; two calls are under way when it does.
    let held = tokio::spawn({
        let request = client.request(&client.params(json!({"rounds": [], "hold": true})));
        let address = harness.address;
        async move { testkit::send(address, &request).await }
    });
    server.wait_for("tools/call", 1).await;
    let aside = client.params(json!({"rounds": [[form_saying("aside")]], "aside": true}));
    let answer = client.call(&aside).await;
    assert_eq!(heard(&answer)[0]["error"]["code"], -32601, "{}", answer.text());
    doors.open();
    assert_eq!(heard(&held.await.unwrap()), json!([]));
    // From now on no two such calls share a session.
    let params: Vec<_> = (0..3)
        .map(|number| {
            let question = form_saying(&number.to_string());
            client.params(json!({"rounds": [[question]], "aside": true}))
        })
        .collect();
    let mut calls = tokio::task::JoinSet::new();
    for (number, params) in params.iter().enumerate() {
        let (request, address) = (client.request(params), harness.address);
        calls.spawn(async move { (number, testkit::send(address, &request).await) });
    }
    let mut questions = vec![Value::Null; 3];
    while let Some(asking) = calls.join_next().await {
        let (number, answer) = asking.unwrap();
        let asked = asked(&answer);
        let message = &asked["inputRequests"]["q1"]["params"]["message"];
        assert_eq!(message, &json!(number.to_string()), "its own question");
        questions[number] = asked;
    }
    assert!(used(&server).len() >= 3, "{:?}", used(&server));
    for (number, (params, asked)) in params.iter().zip(&questions).enumerate() {
        let name = named(&number.to_string());
        let answered = client.call(&again(params, asked, json!({"q1": name}))).await;
        assert_eq!(heard(&answered), json!([name]));
    }
    assert_eq!(server.count("tools/call"), 5);
}
