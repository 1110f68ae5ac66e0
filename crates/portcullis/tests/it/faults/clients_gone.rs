//! Clients that go away: between two rounds of a call, in the middle of it, or from their streams.

use futures_util::future::join_all;
use serde_json::{Value, json};
use testkit::{EventStream, Exchange, HttpRequest, McpServer, Session, modern};

use super::asking::{Asking, Counts, NEVER, ONCE};
use super::client::{Asked, Clients, ask, ask_and_hold, call, is_done, is_expired, retry};
use super::stage::{ENDPOINT, Stage};

const CLIENTS: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_go_away_between_the_rounds_of_their_calls() {
    let server = Asking::start().await;
    let stage = Stage::before(server.entry(), json!({"answer_wait": "3s"})).await;
    stage
        .three_times(CLIENTS, async |round| {
            let clients = Clients::of(&stage, round, CLIENTS);
            let asked = clients.park().await;
            // The connections on which they were asked are closed. Half of them come back on others.
            for request in clients.retries(&asked).iter().step_by(2) {
                let answer = stage.connect().await.send(request).await;
                assert!(is_done(&answer), "{}", answer.text());
            }
            assert_eq!(stage.numbers().parked, CLIENTS as u64 / 2, "those who are gone");
            let gone = (round + 1) * CLIENTS / 2;
            server.shows("the others are given up", gone, |counts| *counts == NEVER).await;
            for (number, key) in clients.keys().enumerate() {
                let expected = if number % 2 == 0 { ONCE } else { NEVER };
                assert_eq!(server.counts(&key), expected, "call {key}");
            }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_go_away_in_the_middle_of_resumed_calls() {
    let server = Asking::start().await;
    let stage = Stage::before(server.entry(), json!({})).await;
    stage
        .three_times(CLIENTS, async |round| {
            let clients = Clients::of(&stage, round, CLIENTS).that_call(ask_and_hold);
            let asked = clients.park().await;
            let all = (round + 1) * CLIENTS;
            let connections = clients.begin(&clients.retries(&asked)).await;
            server.shows("all go on", all, |counts| counts.answered == 1).await;
            let going_on = stage.numbers();
            assert_eq!((going_on.parked, going_on.running), (0, CLIENTS as u64), "{going_on:?}");
            drop(connections);
            let cancelled = Counts { received: 1, answered: 1, executed: 0, given_up: 1 };
            server.shows("all are cancelled", all, |counts| *counts == cancelled).await;
            // Nobody can go on with a call that somebody has taken and left.
            for answer in clients.come_back(&asked).await {
                assert!(is_expired(&answer), "{}", answer.text());
            }
        })
        .await;
    drop(server);
    stage.is_closed().await;
}

/// Clients that go away in the very moment in which their calls are asked, or taken out again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_go_away_at_any_moment() {
    let server = Asking::start().await;
    let stage = Stage::before(server.entry(), json!({"answer_wait": "2s"})).await;
    stage
        .three_times(2 * CLIENTS, async |round| {
            let asking = Clients::of(&stage, 2 * round, CLIENTS);
            // The first calls are parked by now, the last ones have not been read.
            drop(asking.begin(&asking.calls()).await);
            let answering = Clients::of(&stage, 2 * round + 1, CLIENTS);
            let asked = answering.park().await;
            assert!(stage.numbers().parked > 0, "some at the least have not expired yet");
            drop(answering.begin(&answering.retries(&asked)).await);
            let keys: Vec<_> = asking.keys().chain(answering.keys()).collect();
            testkit::until("each call has ended at the server", || {
                keys.iter().map(|key| server.counts(key)).all(|counts| {
                    assert!(counts.received <= 1, "{counts:?}");
                    counts.executed + counts.given_up == counts.received
                })
            })
            .await;
            let received = answering.keys().filter(|key| server.counts(key).received == 1);
            assert_eq!(received.count(), CLIENTS, "those who were asked had called");
            for key in asking.keys() {
                assert_eq!(server.counts(&key).executed, 0, "nobody answered for {key}");
            }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_a_session_go_away_while_a_modern_server_asks_them() {
    let server = McpServer::modern().on("tools/call", asks_for_input).start().await;
    let entry = json!({"url": server.url(), "era": "modern"});
    let stage = Stage::before(entry, json!({"answer_wait": "2s"})).await;
    stage
        .three_times(SESSIONS, async |round| {
            let asked = asked_in_sessions(&stage, round, "echo").await;
            go_away(&stage, asked).await;
            stage.shows("no call", |numbers| (numbers.running, numbers.at_server) == (0, 0)).await;
            let all = (round + 1) * SESSIONS;
            assert_eq!(server.count("tools/call"), all, "none was made again");
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_a_session_go_away_while_a_legacy_server_asks_them() {
    let server = Asking::start().await;
    // Within one era the call's deadline ends what nobody answers.
    let limits = json!({"answer_wait": "1s", "call_deadline": "1s", "call_deadline_max": "2s"});
    let stage = Stage::before(server.entry(), limits).await;
    stage
        .three_times(SESSIONS, async |round| {
            let asked = asked_in_sessions(&stage, round, "ask").await;
            assert!(stage.numbers().conversations >= SESSIONS as u64, "one for each");
            go_away(&stage, asked).await;
            let all = (round + 1) * SESSIONS;
            server.shows("all are given up", all, |counts| *counts == NEVER).await;
        })
        .await;
}

const SESSIONS: usize = 20;

/// The answer of a modern server that asks for a form.
async fn asks_for_input(mut exchange: Exchange) {
    let schema = json!({"type": "object", "properties": {"answer": {"type": "string"}}});
    let form = json!({"mode": "form", "message": "Well?", "requestedSchema": schema});
    let question = json!({"method": "elicitation/create", "params": form});
    let result = json!({"resultType": "input_required", "requestState": "mine",
        "inputRequests": {"well": question}});
    exchange.result(result).await;
}

/// Clients with a session each that are asked in the middle of a call.
async fn asked_in_sessions(stage: &Stage, round: usize, tool: &str) -> Vec<(Session, EventStream)> {
    let able = json!({"elicitation": {"form": {}}});
    let asked = join_all((0..SESSIONS).map(async |client| {
        let session = Session::with(stage.address, ENDPOINT, "2025-11-25", &able).await;
        let arguments = json!({"key": format!("{round}.{client}")});
        let params = json!({"name": tool, "arguments": arguments});
        let mut stream = session.stream(1, "tools/call", params).await;
        let question: Value = stream.next().await;
        assert_eq!(question["method"], "elicitation/create", "{question}");
        (session, stream)
    }))
    .await;
    let numbers = stage.numbers();
    let sessions = SESSIONS as u64;
    assert_eq!((numbers.sessions, numbers.running), (sessions, sessions), "{numbers:?}");
    asked
}

/// The connections break. Half of the clients end their sessions before, the others are just gone.
async fn go_away(stage: &Stage, clients: Vec<(Session, EventStream)>) {
    for (number, (session, stream)) in clients.into_iter().enumerate() {
        if number % 2 == 0 {
            let delete = HttpRequest::new("DELETE", ENDPOINT);
            let delete = delete.header("Mcp-Session-Id", &session.id);
            let gone = testkit::send(stage.address, &delete).await;
            assert!((200..300).contains(&gone.status), "{}", gone.text());
        }
        drop(stream);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_clients_drop_are_gone() {
    let server = Asking::start().await;
    let stage = Stage::before(server.entry(), json!({})).await;
    stage
        .three_times(2 * CLIENTS, async |round| {
            let mut streams = join_all((0..CLIENTS).map(async |_| {
                let wanted = json!({"notifications": {"toolsListChanged": true}});
                let listen = modern(ENDPOINT, 1, "subscriptions/listen", wanted);
                stage.connect().await.stream(&listen).await
            }))
            .await;
            streams.extend(
                join_all(
                    (0..CLIENTS)
                        .map(async |_| Session::open(stage.address, ENDPOINT).await.listen().await),
                )
                .await,
            );
            let clients = CLIENTS as u64;
            let held = stage.numbers();
            assert_eq!((held.streams, held.sessions), (2 * clients, clients), "{held:?}");
            // A call goes on beside them.
            let key = format!("beside {round}");
            let mut connection = stage.connect().await;
            let asked = Asked::of(&connection.send(&call(ask(&key))).await);
            drop(streams);
            assert!(is_done(&connection.send(&retry(ask(&key), &asked)).await));
            assert_eq!(server.counts(&key), ONCE);
        })
        .await;
    drop(server);
    stage.is_closed().await;
}
