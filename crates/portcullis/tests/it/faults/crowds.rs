//! Many at once: parked calls, calls that nobody answers, and clients that come back for the same one.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use serde_json::json;
use testkit::Connection;

use super::asking::{Asking, NEVER, ONCE};
use super::client::{Asked, Clients, ask, call, echo, is_done, is_expired, retry};
use super::stage::Stage;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_parked_calls_are_answered_once_each() {
    const MANY: usize = 1_000;
    let server = Asking::start().await;
    let stage = Stage::before(server.entry(), json!({})).await;
    let at_start = stage.memory();
    stage
        .three_times(MANY, async |round| {
            let clients = Clients::of(&stage, round, MANY);
            let asked = clients.park().await;
            let parked = MANY as u64;
            let full = stage
                .shows("all are parked", |seen| (seen.parked, seen.running) == (parked, 0))
                .await;
            assert_eq!((full.at_server, full.conversations), (0, 1), "{full:?}");
            assert!(stage.descriptors() > parked, "a connection for each");
            assert!(stage.memory() > at_start + parked, "a KiB for each at the least");

            let answers = clients.come_back(&asked).await;
            for (key, answer) in clients.keys().zip(answers) {
                let text = &answer.json()["result"]["content"][0]["text"];
                assert_eq!(*text, key, "each its own answer: {}", answer.text());
                assert_eq!(server.counts(&key), ONCE, "call {key}");
            }
        })
        .await;
    stage.has_counted("asked", 3 * MANY).await;
    stage.has_counted("success", 3 * MANY).await;
    drop(server);
    stage.is_closed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_expire_while_others_go_on() {
    const PARKED: usize = 500;
    let server = Asking::start().await;
    let stage = Stage::before(server.entry(), json!({"answer_wait": "1s"})).await;
    stage
        .three_times(PARKED, async |round| {
            let clients = Clients::of(&stage, round, PARKED);
            let all_expired = AtomicBool::new(false);
            let others = async {
                let mut connection = stage.connect().await;
                let (mut calls, mut most_parked) = (0, 0);
                while !all_expired.load(Ordering::Relaxed) {
                    let answer = connection.send(&call(echo())).await;
                    assert!(is_done(&answer), "{}", answer.text());
                    most_parked = stage.numbers().parked.max(most_parked);
                    calls += 1;
                }
                (calls, most_parked)
            };
            let expiring = async {
                let asked = clients.park().await;
                stage.shows("all have expired", |numbers| numbers.parked == 0).await;
                all_expired.store(true, Ordering::Relaxed);
                asked
            };
            let ((calls, most_parked), asked) = tokio::join!(others, expiring);
            assert!(calls > 1, "others were served");
            assert!(most_parked > 0, "calls were parked meanwhile");

            let answers = clients.come_back(&asked).await;
            for (key, answer) in clients.keys().zip(&answers) {
                assert!(is_expired(answer), "{}", answer.text());
                assert_eq!(server.counts(&key), NEVER, "call {key}");
            }
        })
        .await;
    stage.has_counted("asked", 3 * PARKED).await;
    stage.has_counted("interaction-expired", 3 * PARKED).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_flood_of_retries_one_gets_the_parked_call() {
    const RETRIES: usize = 300;
    let server = Asking::start().await;
    let stage = Stage::before(server.entry(), json!({})).await;
    stage
        .three_times(RETRIES, async |round| {
            let key = format!("flood {round}");
            let asked = Asked::of(&stage.connect().await.send(&call(ask(&key))).await);
            assert_eq!(stage.numbers().parked, 1);
            let mut connections = join_all((0..RETRIES).map(|_| stage.connect())).await;
            let request = retry(ask(&key), &asked).bytes();
            join_all(connections.iter_mut().map(|connection| connection.write(&request))).await;
            let answers = join_all(connections.iter_mut().map(Connection::answer)).await;
            let won = answers.iter().filter(|answer| is_done(answer)).count();
            let lost = answers.iter().filter(|answer| is_expired(answer)).count();
            assert_eq!((won, lost), (1, RETRIES - 1));
            assert_eq!(server.counts(&key), ONCE);
        })
        .await;
    stage.has_counted("success", 3).await;
    drop(server);
    stage.is_closed().await;
}
