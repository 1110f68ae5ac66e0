//! Servers over HTTP that go away while their calls are parked: the whole of it, or streams alone.

use serde_json::json;

use super::asking::{Asking, NEVER, ONCE};
use super::client::{Asked, Clients, ask, call, is_done, is_expired, retry};
use super::stage::Stage;

const PARKED: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_crashes_while_calls_are_parked() {
    let mut running = Some(Asking::start().await);
    let entry = running.as_ref().map(Asking::entry).expect("it runs");
    let stage = Stage::before(entry, json!({})).await;
    stage
        .three_times(PARKED, async |round| {
            let clients = Clients::of(&stage, round, PARKED);
            let asked = clients.park().await;
            assert_eq!(stage.numbers().parked, PARKED as u64);

            let open = stage.descriptors();
            let crashed = running.take().expect("it runs").crash();
            // A client that is faster than this news goes on with a call that then fails.
            stage.has_lost(PARKED, open).await;
            for answer in clients.come_back(&asked).await {
                assert!(is_expired(&answer), "{}", answer.text());
            }
            assert_eq!(stage.numbers().parked, 0);

            let server = crashed.starts_again().await;
            answered_once(&stage, &server, &format!("after crash {round}")).await;
            for key in clients.keys() {
                let counts = server.counts(&key);
                assert_eq!((counts.received, counts.executed), (1, 0), "call {key}: {counts:?}");
            }
            running = Some(server);
        })
        .await;
    drop(running);
    stage.is_closed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_breaks_off_the_streams_of_parked_calls() {
    let server = Asking::start().await;
    let stage = Stage::before(server.entry(), json!({})).await;
    stage
        .three_times(PARKED, async |round| {
            let clients = Clients::of(&stage, round, PARKED);
            let asked = clients.park().await;
            assert_eq!(stage.numbers().parked, PARKED as u64);

            server.break_off();
            // The gate has noticed, and has told the server that nobody waits for the calls.
            server.has_heard("notifications/cancelled", (round + 1) * PARKED).await;
            for (key, answer) in clients.keys().zip(clients.come_back(&asked).await) {
                assert!(is_expired(&answer), "{}", answer.text());
                assert_eq!(server.counts(&key), NEVER, "call {key}");
            }
            answered_once(&stage, &server, &format!("after break {round}")).await;
        })
        .await;
}

/// A call that asks is served as if nothing had happened before.
async fn answered_once(stage: &Stage, server: &Asking, key: &str) {
    let mut connection = stage.connect().await;
    let asked = Asked::of(&connection.send(&call(ask(key))).await);
    let answer = connection.send(&retry(ask(key), &asked)).await;
    assert!(is_done(&answer), "{}", answer.text());
    assert_eq!(server.counts(key), ONCE);
}
