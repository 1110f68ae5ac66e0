//! A call reaches its server at most once, can be given up, and its progress finds its client.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{McpServer, McpServerBuilder, echo_tool, modern};
use tokio::sync::Semaphore;
use wire::Era;

use crate::harness::{ERAS, Harness, ONE, assert_said, assert_tool_fault, said};

// === at most once ===

#[tokio::test]
async fn a_call_on_a_connection_that_breaks_is_not_sent_again() {
    for server_era in ERAS {
        let server = McpServer::of(server_era)
            .tools(vec![echo_tool("echo"), echo_tool("break")])
            .on("tools/call", move |mut exchange| async move {
                if exchange.params()["name"] == "break" {
                    exchange.abort();
                } else {
                    exchange.result(said(server_era, "well")).await;
                }
            })
            .start()
            .await;
        let harness = Harness::before(&server).await;
        for era in ERAS {
            let client = harness.client(era, ONE).await;
            // So that the next call takes a connection that was used before.
            assert_said(&client.call("echo").await, "well");
            let before = server.count("tools/call");
            let text = assert_tool_fault(&client.call("break").await, era, "server-failed");
            assert!(text.contains("not sent again"), "{text}");
            assert_eq!(server.count("tools/call"), before + 1);
            assert_said(&client.call("echo").await, "well");
        }
    }
}

#[tokio::test]
async fn a_call_on_a_connection_that_was_closed_before_is_sent_on_another() {
    for server_era in ERAS {
        let closed = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&closed);
        let server = McpServer::of(server_era)
            .on("tools/call", move |mut exchange| {
                let counted = Arc::clone(&counted);
                async move {
                    exchange.result(said(server_era, "well")).await;
                    exchange.close();
                    counted.fetch_add(1, Ordering::SeqCst);
                }
            })
            .start()
            .await;
        let harness = Harness::before(&server).await;
        let client = harness.client(Era::Modern, ONE).await;
        for call in 1..=5 {
            assert_said(&client.call("echo").await, "well");
            assert_eq!(server.count("tools/call"), call);
            testkit::until("the close", || closed.load(Ordering::SeqCst) == call).await;
        }
    }
}

#[tokio::test]
async fn a_session_that_the_server_forgot_is_begun_again_and_the_call_sent_once_more() {
    let server = McpServer::legacy().start().await;
    let harness = Harness::before(&server).await;
    for era in ERAS {
        let client = harness.client(era, ONE).await;
        assert_said(&client.call("echo").await, "echo: hi");
        let (begun, calls) = (server.count("initialize"), server.count("tools/call"));
        server.forget_sessions();
        assert_said(&client.call("echo").await, "echo: hi");
        assert_eq!(server.count("initialize"), begun + 1);
        // Refused once with 404, which is no execution, and then answered.
        assert_eq!(server.count("tools/call"), calls + 2);
    }
}

#[tokio::test]
async fn a_server_that_knows_no_session_at_all_is_not_asked_for_ever() {
    let server = McpServer::legacy()
        .on("tools/call", |mut exchange| async move {
            exchange.error(404, -32001, "Session not found").await;
        })
        .start()
        .await;
    let harness = Harness::before(&server).await;
    for era in ERAS {
        let client = harness.client(era, ONE).await;
        let before = server.count("tools/call");
        assert_tool_fault(&client.call("echo").await, era, "server-failed");
        assert_eq!(server.count("tools/call"), before + 2);
    }
}

#[tokio::test]
async fn an_upgraded_server_is_found_to_be_modern() {
    // First a legacy server, and at the same address a modern one.
    let old = McpServer::legacy().start().await;
    let address = old.http().address();
    let harness = Harness::before(&old).await;
    let client = harness.client(Era::Modern, ONE).await;
    assert_said(&client.call("echo").await, "echo: hi");
    drop(old);
    let new = McpServer::modern()
        .at(address)
        .on("initialize", |mut exchange| async move {
            exchange.error(404, -32601, "Method not found").await;
        })
        .start()
        .await;
    // The session is gone with the old server; sooner or later the era is asked for again.
    testkit::within("a call that succeeds", async {
        while client.call("echo").await.json()["result"]["isError"] == true {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    assert!(new.count("tools/call") >= 1);
}

// === giving up ===

/// A server whose calls say that they have begun, and then wait for the end of their connection, which
/// is counted, or for a permit.
fn patient(era: Era, gone: &Arc<AtomicUsize>, release: &Arc<Semaphore>) -> McpServerBuilder {
    let (gone, release) = (Arc::clone(gone), Arc::clone(release));
    McpServer::of(era).on("tools/call", move |mut exchange| {
        let (gone, release) = (Arc::clone(&gone), Arc::clone(&release));
        async move {
            if exchange.params()["arguments"]["stream"] == true {
                exchange.begin_events(&[]).await;
                let params = json!({"progressToken": "t", "progress": 1});
                exchange.notify("notifications/progress", params).await;
                tokio::select! {
                    permit = release.acquire() => permit.expect("open").forget(),
                    () = exchange.closed() => {
                        gone.fetch_add(1, Ordering::SeqCst);
                        return;
                    }
                }
                exchange.last_event(said(era, "late")).await;
            } else {
                tokio::select! {
                    permit = release.acquire() => permit.expect("open").forget(),
                    () = exchange.closed() => {
                        gone.fetch_add(1, Ordering::SeqCst);
                        return;
                    }
                }
                exchange.result(said(era, "late")).await;
            }
        }
    })
}

fn call(stream: bool) -> Value {
    json!({"name": "echo", "arguments": {"stream": stream}})
}

async fn wait_for_gone(gone: &AtomicUsize, number: usize) {
    testkit::until("the server to see the close", || gone.load(Ordering::SeqCst) >= number).await;
}

/// The id under which the server knows its last call, and under which it is told of the end.
async fn assert_cancelled(server: &McpServer, number: usize) {
    let cancelled = server.wait_for("notifications/cancelled", number).await.json();
    let calls = server.http().requests_of("tools/call");
    let id = &calls.last().expect("a call").json()["id"];
    assert_eq!(&cancelled["params"]["requestId"], id, "{cancelled}");
}

#[tokio::test]
async fn a_modern_client_gives_up_by_closing() {
    for server_era in ERAS {
        let (gone, release) = (Arc::default(), Arc::new(Semaphore::new(0)));
        let server = patient(server_era, &gone, &release).start().await;
        let harness = Harness::before(&server).await;
        for (number, stream) in [(1, false), (2, true)] {
            let mut connection = harness.connect().await;
            connection.write(modern(ONE, 1, "tools/call", call(stream)).bytes()).await;
            server.wait_for("tools/call", number).await;
            if stream {
                let mut events = connection.into_stream().await;
                events.next_of("notifications/progress").await;
                drop(events);
            } else {
                drop(connection);
            }
            match server_era {
                Era::Modern => wait_for_gone(&gone, number).await,
                Era::Legacy => assert_cancelled(&server, number).await,
            }
        }
        testkit::until("no call in flight", || harness.gate.overview().calls == 0).await;
    }
}

#[tokio::test]
async fn a_legacy_client_gives_up_by_saying_so() {
    for server_era in ERAS {
        let (gone, release) = (Arc::default(), Arc::new(Semaphore::new(0)));
        let server = patient(server_era, &gone, &release).start().await;
        let harness = Harness::before(&server).await;
        let session = harness.session(ONE).await;
        for (number, stream) in [(1, false), (2, true)] {
            let id = format!("call-{number}");
            let mut connection = harness.connect().await;
            connection
                .write(session.request(id.as_str(), "tools/call", call(stream)).bytes())
                .await;
            server.wait_for("tools/call", number).await;
            let mut events = None;
            if stream {
                let mut stream = connection.into_stream().await;
                stream.next_of("notifications/progress").await;
                events = Some(stream);
            }
            // Another's request of the same id is not meant.
            let other = harness.session(ONE).await;
            other.notify("notifications/cancelled", json!({"requestId": id})).await;
            session.notify("notifications/cancelled", json!({"requestId": "none"})).await;
            assert_eq!(
                server.count("notifications/cancelled"),
                if server_era == Era::Legacy { number - 1 } else { 0 }
            );
            session.notify("notifications/cancelled", json!({"requestId": id})).await;
            match server_era {
                Era::Modern => wait_for_gone(&gone, number).await,
                Era::Legacy => assert_cancelled(&server, number).await,
            }
            if let Some(mut events) = events {
                // A cancelled request gets no answer.
                events.ended().await;
            }
        }
    }
}

#[tokio::test]
async fn a_legacy_client_that_loses_its_connection_gives_up_nothing() {
    for server_era in ERAS {
        let (gone, release) = (Arc::<AtomicUsize>::default(), Arc::new(Semaphore::new(0)));
        let server = patient(server_era, &gone, &release).start().await;
        let harness = Harness::before(&server).await;
        let session = harness.session(ONE).await;
        // Without a stream: the call runs to its end, and its answer is nobody's.
        let mut connection = harness.connect().await;
        connection.write(session.request(1, "tools/call", call(false)).bytes()).await;
        server.wait_for("tools/call", 1).await;
        drop(connection);
        // With a stream: its rest can be read later.
        let mut events = session.stream(2, "tools/call", call(true)).await;
        let priming = events.next_event().await.expect("a priming event");
        assert!(priming.data.is_empty(), "{priming:?}");
        let first = events.next_event().await.expect("the progress");
        drop(events);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(gone.load(Ordering::SeqCst), 0);
        assert_eq!(server.count("notifications/cancelled"), 0);
        release.add_permits(2);
        let last_event_id = first.id.as_ref().expect("events have ids").to_string();
        let mut rest = session.resume(Some(&last_event_id)).await;
        let answer = rest.next().await;
        assert_eq!(answer["id"], 2);
        assert_eq!(answer["result"]["content"][0]["text"], "late");
        rest.ended().await;
        // From the very start as well.
        let start = priming.id.as_ref().expect("priming events have ids").to_string();
        let mut whole = session.resume(Some(&start)).await;
        assert_eq!(whole.next().await["method"], "notifications/progress");
        assert_eq!(whole.next().await["id"], 2);
        testkit::until("no call in flight", || harness.gate.overview().calls == 0).await;
        assert_eq!(gone.load(Ordering::SeqCst), 0);
    }
}

#[tokio::test]
async fn the_stream_of_a_modern_server_is_not_resumed() {
    // The stream breaks before the answer: the call is lost, and its server is not asked again.
    let server = McpServer::modern()
        .on("tools/call", |mut exchange| async move {
            exchange.begin_events(&[]).await;
            let params = json!({"progressToken": "t", "progress": 1});
            let progress =
                json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params});
            exchange.event_with_id("e1", &progress).await;
        })
        .start()
        .await;
    let harness = Harness::before(&server).await;
    let client = harness.client(Era::Modern, ONE).await;
    assert_tool_fault(&client.call("echo").await, Era::Modern, "server-failed");
    assert_eq!(server.count("tools/call"), 1);
    assert!(server.http().requests().iter().all(|request| request.verb == "POST"));
}

#[tokio::test]
async fn the_stream_of_a_legacy_server_is_resumed_where_it_broke() {
    let server = McpServer::legacy()
        .on("tools/call", |mut exchange| async move {
            exchange.begin_events(&[]).await;
            exchange.chunk(format!("id: {}\nretry: 10\ndata:\n\n", exchange.id())).await;
            exchange.end().await;
        })
        .on("GET", |mut exchange| async move {
            let Some(id) = exchange.request().headers.get("last-event-id").map(str::to_owned)
            else {
                return exchange.respond(405, &[], "").await;
            };
            let id: u64 = id.parse().expect("the id of the call");
            exchange.begin_events(&[]).await;
            let result = said(Era::Legacy, "resumed");
            exchange.event(&json!({"jsonrpc": "2.0", "id": id, "result": result})).await;
            exchange.end().await;
        })
        .start()
        .await;
    let harness = Harness::before(&server).await;
    let client = harness.client(Era::Modern, ONE).await;
    assert_said(&client.call("echo").await, "resumed");
    // A legacy client is let go as well, and comes back for the rest.
    let session = harness.session(ONE).await;
    let mut events = session.stream(5, "tools/call", json!({"name": "echo"})).await;
    let priming = events.next_event().await.expect("a priming event");
    let id = priming.id.as_ref().expect("an id").to_string();
    events.ended().await;
    let mut rest = session.resume(Some(&id)).await;
    assert_eq!(rest.next().await["result"]["content"][0]["text"], "resumed");
    assert_eq!(server.count("tools/call"), 2);
}

// === progress ===

/// A server that tells of progress under the token it was given, once it has a permit.
async fn progressing(era: Era, release: &Arc<Semaphore>) -> McpServer {
    let release = Arc::clone(release);
    McpServer::of(era)
        .on("tools/call", move |mut exchange| {
            let release = Arc::clone(&release);
            async move {
                let token = exchange.params()["_meta"]["progressToken"].clone();
                let whose = exchange.params()["arguments"]["say"].clone();
                release.acquire().await.expect("open").forget();
                exchange.begin_events(&[]).await;
                let params = json!({"progressToken": token, "progress": 1, "message": whose});
                exchange.notify("notifications/progress", params).await;
                let said = said(era, whose.as_str().unwrap_or_default());
                exchange.last_event(said).await;
            }
        })
        .start()
        .await
}

#[tokio::test]
async fn progress_comes_back_under_the_clients_own_token() {
    for server_era in ERAS {
        for session in ["auto", "shared", "per-client"] {
            let release = Arc::new(Semaphore::new(0));
            let server = progressing(server_era, &release).await;
            let config = json!({"servers": {"s": {"url": server.url(), "session": session}}});
            let harness = Harness::start(config).await;
            let clients = [
                harness.client(Era::Modern, ONE).await,
                harness.client(Era::Modern, ONE).await,
                harness.client(Era::Legacy, ONE).await,
                harness.client(Era::Legacy, ONE).await,
            ];
            // All at once, all with the same token and the same id.
            let calls = clients.iter().enumerate().map(|(number, client)| async move {
                let whose = format!("client {number}");
                let params = json!({"name": "echo", "arguments": {"say": whose},
                    "_meta": {"progressToken": "same"}});
                let mut events = client.stream(1, "tools/call", params).await;
                let progress = events.next_of("notifications/progress").await;
                assert_eq!(progress["params"]["progressToken"], "same", "{session}: {progress}");
                assert_eq!(progress["params"]["message"], whose, "{session}: {progress}");
                let answer = events.next_of("").await;
                assert_eq!(answer["id"], 1);
                assert_eq!(answer["result"]["content"][0]["text"], whose, "{session}: {answer}");
            });
            let all = async {
                tokio::join!(futures_util::future::join_all(calls), async {
                    server.wait_for("tools/call", 4).await;
                    release.add_permits(4);
                })
            };
            testkit::within("all clients", all).await;
            if server_era == Era::Legacy {
                // On a shared session no two calls have the same token or id.
                let mut seen = std::collections::HashSet::new();
                for call in server.http().requests_of("tools/call") {
                    let session = call.headers.get("mcp-session-id").unwrap().to_owned();
                    let token = call.json()["params"]["_meta"]["progressToken"].to_string();
                    assert!(seen.insert((session.clone(), token)), "a token twice in {session}");
                    assert!(seen.insert((session, format!("id {}", call.json()["id"]))));
                }
            }
        }
    }
}

#[tokio::test]
async fn numbers_as_tokens_stay_numbers() {
    let release = Arc::new(Semaphore::new(100));
    for server_era in ERAS {
        let server = progressing(server_era, &release).await;
        let harness = Harness::before(&server).await;
        for era in ERAS {
            for token in [json!(7), json!(9_007_199_254_740_993_u64), json!("7"), json!("")] {
                let client = harness.client(era, ONE).await;
                let params = json!({"name": "echo", "_meta": {"progressToken": token}});
                let mut events = client.stream(1, "tools/call", params).await;
                let progress = events.next_of("notifications/progress").await;
                assert_eq!(progress["params"]["progressToken"], token);
            }
        }
    }
}

#[tokio::test]
async fn connections_to_a_server_are_used_again() {
    let server = McpServer::modern().start().await;
    let harness = Harness::before(&server).await;
    let mut connection = harness.connect().await;
    for _ in 0..20 {
        let call = modern(ONE, 1, "tools/call", json!({"name": "echo"}));
        assert_said(&connection.send(&call).await, "echo: ");
    }
    let made = server.http().connections();
    assert!(made <= 3, "{made} connections for one client's calls");
}
