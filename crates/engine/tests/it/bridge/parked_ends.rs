//! How a call ends that waits for its modern client: the server dies, answers by itself or asks more;
//! the client never comes back, or goes away again.

use serde_json::json;
use testkit::Connection;
use wire::Era;

use super::parts::{
    ENDPOINTS, Gate, Modern, again, asked, call_id, cancelled, form, heard, legacy_asking,
    legacy_asking_behind, named, rooted, roots, sampling,
};
use crate::harness::{Harness, ONE, assert_said, assert_tool_fault};

#[tokio::test]
async fn the_server_dies_while_a_call_waits() {
    for endpoint in ENDPOINTS {
        // One connection is lost, or the whole server.
        for whole in [false, true] {
            let gate = Gate::default();
            let server = legacy_asking_behind(&gate).start().await;
            let harness = Harness::before(&server).await;
            let client = Modern::at(&harness, endpoint);
            let params = client.params(json!({"rounds": [[form()]], "leave": "break"}));
            let asked = client.asked(&params).await;
            let called = server.count("tools/call");
            let server = if whole {
                drop(server);
                None
            } else {
                gate.open();
                Some(server)
            };
            let answer = client.retry(&params, &asked, json!({"q1": named("Ada")})).await;
            assert_tool_fault(&answer, Era::Modern, "interaction-expired");
            assert_eq!(called, 1);
            let Some(server) = server else { continue };
            assert_eq!(server.count("tools/call"), 1, "never called again");
            // The next call is served.
            assert_eq!(heard(&client.call(&client.rounds(json!([]))).await), json!([]));
        }
    }
}

#[tokio::test]
async fn the_server_answers_by_itself_while_a_call_waits() {
    let gate = Gate::default();
    let server = legacy_asking_behind(&gate).start().await;
    let harness = Harness::before(&server).await;
    for (number, endpoint) in (1..).zip(ENDPOINTS) {
        let gate_was_opened = number > 1;
        let client = Modern::at(&harness, endpoint);
        let params = client.params(json!({"rounds": [[form()]], "leave": "answer"}));
        if gate_was_opened {
            // Together with its question: there is nothing to ask any more.
            assert_said(&client.call(&params).await, "answered by itself");
        } else {
            let asked = client.asked(&params).await;
            gate.open();
            let answered = client.retry(&params, &asked, json!({"q1": named("Ada")})).await;
            assert_said(&answered, "answered by itself");
            assert_eq!(answered.json()["result"]["resultType"], "complete");
        }
        assert_eq!(server.count("tools/call"), number);
    }
    assert!(cancelled(&server).is_empty());
}

#[tokio::test]
async fn the_server_asks_more_while_a_call_waits() {
    for endpoint in ENDPOINTS {
        let gate = Gate::default();
        let server = legacy_asking_behind(&gate).start().await;
        let harness = Harness::before(&server).await;
        let client = Modern::at(&harness, endpoint);
        let params = client.params(json!({"rounds": [[form()], [roots()]], "leave": "ask"}));
        let first = client.asked(&params).await;
        gate.open();
        let second = asked(&client.retry(&params, &first, json!({"q1": named("Ada")})).await);
        let requests = second["inputRequests"].as_object().unwrap();
        assert_eq!(requests.keys().collect::<Vec<_>>(), ["q2"], "the first was answered");
        let answered = client.retry(&params, &second, json!({"q2": rooted()})).await;
        assert_eq!(heard(&answered), json!([rooted()]), "what it waited for last");
        let first_answer = server.http().requests().into_iter().find(|request| {
            let message = request.json();
            message["method"].is_null() && message["result"] == named("Ada")
        });
        assert!(first_answer.is_some(), "the first answer came, too");
        assert_eq!(server.count("tools/call"), 1);
    }
}

#[tokio::test]
async fn the_client_never_comes_back() {
    let server = legacy_asking().start().await;
    let harness = Harness::limited(&server, json!({"answer_wait": "1s"})).await;
    for (number, endpoint) in (1..).zip(ENDPOINTS) {
        let client = Modern::at(&harness, endpoint);
        let params = client.rounds(json!([[form(), sampling()]]));
        let asked = client.asked(&params).await;
        assert_eq!(harness.gate.overview().parked, 1);
        let is_answer = |action: &'static str| {
            move |request: &testkit::Received| {
                let message = request.json();
                let code = message["error"]["code"].as_i64();
                let refused = action.is_empty() && code == Some(1005);
                message["method"].is_null() && (refused || message["result"]["action"] == action)
            }
        };
        // People are told apart from models: there is a word for a person who did not answer.
        server.http().wait_where("a cancelled form", number, is_answer("cancel")).await;
        server.http().wait_where("a refused sampling", number, is_answer("")).await;
        server.wait_for("notifications/cancelled", number).await;
        assert_eq!(cancelled(&server)[number - 1], call_id(&server, number));
        testkit::until("the place", || harness.gate.overview().parked == 0).await;
        let late = client.retry(&params, &asked, json!({"q1": named("Ada")})).await;
        assert_tool_fault(&late, Era::Modern, "interaction-expired");
        assert_eq!(server.count("tools/call"), number);
    }
}

#[tokio::test]
async fn the_client_goes_away_again_after_its_answer() {
    let gate = Gate::default();
    let server = legacy_asking_behind(&gate).start().await;
    let harness = Harness::before(&server).await;
    for (number, endpoint) in (1..).zip(ENDPOINTS) {
        let client = Modern::at(&harness, endpoint);
        let params = client.params(json!({"rounds": [[form()]], "hold": true}));
        let asked = client.asked(&params).await;
        let mut connection = Connection::open(harness.address).await;
        let retry = again(&params, &asked, json!({"q1": named("Ada")}));
        connection.write(client.request(&retry).bytes()).await;
        let is_answer = |request: &testkit::Received| request.json()["result"] == named("Ada");
        server.http().wait_where("the answer", number, is_answer).await;
        assert_eq!(cancelled(&server).len(), number - 1, "not while the client is there");
        drop(connection);
        server.wait_for("notifications/cancelled", number).await;
        assert_eq!(cancelled(&server)[number - 1], call_id(&server, number));
        let replayed = client.call(&retry).await;
        assert_tool_fault(&replayed, Era::Modern, "interaction-expired");
        assert_eq!(server.count("tools/call"), number);
    }
    // One who stays gets the answer.
    let client = Modern::at(&harness, ONE);
    let params = client.params(json!({"rounds": [[form()]], "hold": true}));
    let asked = client.asked(&params).await;
    gate.open();
    let answered = client.retry(&params, &asked, json!({"q1": named("Ada")})).await;
    assert_eq!(heard(&answered), json!([named("Ada")]));
}
