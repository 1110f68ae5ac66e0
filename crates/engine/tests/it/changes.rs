//! Who listens hears what changes, whatever era the listener and the server have.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::{EventStream, McpServer, echo_tool, modern};
use tokio::time::Instant;
use wire::Era;

use crate::harness::{COMPOSED, ERAS, Harness, ONE, assert_fault, assert_said};

const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";
const TOOLS_CHANGED: &str = "notifications/tools/list_changed";
const UPDATED: &str = "notifications/resources/updated";

/// A server with tools, prompts and one resource, all of which may change.
async fn server(era: Era) -> McpServer {
    McpServer::of(era)
        .list("prompts/list", vec![json!({"name": "p"})])
        .list("resources/list", vec![json!({"uri": "file:///a", "name": "a"})])
        .start()
        .await
}

/// Opens a listen stream and returns it with what was acknowledged.
async fn listen(
    harness: &Harness,
    endpoint: &str,
    id: Value,
    filter: Value,
) -> (EventStream, Value) {
    let request = modern(endpoint, id, "subscriptions/listen", json!({"notifications": filter}));
    let mut stream = harness.stream(&request).await;
    assert_eq!(stream.status, 200);
    let first = stream.next().await;
    assert_eq!(first["method"], ACKNOWLEDGED, "the first message acknowledges");
    (stream, first["params"].clone())
}

#[tokio::test]
async fn a_listener_hears_of_changed_lists_within_a_second() {
    for server_era in ERAS {
        for endpoint in [ONE, COMPOSED] {
            let server = server(server_era).await;
            let harness = Harness::before(&server).await;
            // Somebody has read the lists already.
            harness.modern(endpoint, "tools/list", json!({})).await;
            let filter = json!({"toolsListChanged": true});
            for id in [json!("L1"), json!(1)] {
                let (mut stream, honoured) =
                    listen(&harness, endpoint, id.clone(), filter.clone()).await;
                assert_eq!(honoured["notifications"], json!({"toolsListChanged": true}));
                assert_eq!(honoured["_meta"][wire::meta::SUBSCRIPTION_ID], id, "type preserved");
                server.heard_by(1).await;
                server.set_list("tools/list", vec![echo_tool("echo"), echo_tool("new")]);
                let began = Instant::now();
                server.notify(TOOLS_CHANGED, json!({}));
                // What was not asked for is not told.
                server.notify("notifications/prompts/list_changed", json!({}));
                let told = stream.next().await;
                assert_eq!(told["method"], TOOLS_CHANGED, "{told}");
                assert_eq!(told["params"]["_meta"][wire::meta::SUBSCRIPTION_ID], id);
                assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
                let list = harness.modern(endpoint, "tools/list", json!({})).await;
                assert!(list.text().contains("new"), "the list is the new one: {}", list.text());
            }
        }
    }
}

#[tokio::test]
async fn a_legacy_session_hears_of_changed_lists_on_its_stream() {
    for server_era in ERAS {
        for (endpoint, config) in [(ONE, "auto"), (ONE, "shared"), (COMPOSED, "auto")] {
            let server = server(server_era).await;
            let harness = Harness::start(json!({"servers": {"s": {
                "url": server.url(), "session": config}}}))
            .await;
            let session = harness.session(endpoint).await;
            let mut stream = session.listen().await;
            session.send(1, "tools/list", json!({})).await;
            server.heard_by(1).await;
            let began = Instant::now();
            server.notify(TOOLS_CHANGED, json!({}));
            let told = stream.next_of(TOOLS_CHANGED).await;
            assert!(told["params"]["_meta"].is_null(), "{told}");
            assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        }
    }
}

#[tokio::test]
async fn several_changes_at_once_are_told_once() {
    let server = server(Era::Modern).await;
    let harness = Harness::before(&server).await;
    let filter = json!({"toolsListChanged": true});
    let (mut stream, _) = listen(&harness, ONE, json!(1), filter).await;
    server.heard_by(1).await;
    for _ in 0..20 {
        server.notify(TOOLS_CHANGED, json!({}));
    }
    assert_eq!(stream.next().await["method"], TOOLS_CHANGED);
    let mut further = 0;
    while !stream.is_silent_for(Duration::from_millis(200)).await {
        further += 1;
    }
    assert!(further <= 2, "{further} further notifications of one burst");
}

#[tokio::test]
async fn only_what_the_server_can_tell_is_acknowledged() {
    let server =
        McpServer::modern().capabilities(json!({"tools": {}, "resources": {}})).start().await;
    let harness = Harness::before(&server).await;
    let filter = json!({"toolsListChanged": true, "promptsListChanged": true,
        "resourceSubscriptions": ["file:///a"]});
    let (_stream, honoured) = listen(&harness, ONE, json!(1), filter).await;
    assert_eq!(honoured["notifications"], json!({}));
    let request = modern(ONE, 1, "subscriptions/listen", json!({"notifications": 5}));
    assert_fault(&harness.send(&request).await, 200, -32602, "invalid-params");
}

#[tokio::test]
async fn a_listener_hears_of_its_resources() {
    for server_era in ERAS {
        for endpoint in [ONE, COMPOSED] {
            let server = server(server_era).await;
            let harness = Harness::before(&server).await;
            harness.modern(endpoint, "resources/list", json!({})).await;
            let filter = json!({"resourceSubscriptions": ["file:///a"]});
            let (mut stream, honoured) = listen(&harness, endpoint, json!(1), filter.clone()).await;
            assert_eq!(honoured["notifications"], filter);
            if server_era == Era::Legacy {
                let subscribed = server.wait_for("resources/subscribe", 1).await.json();
                assert_eq!(subscribed["params"]["uri"], "file:///a");
            }
            server.heard_by(1).await;
            server.notify(UPDATED, json!({"uri": "file:///other"}));
            server.notify(UPDATED, json!({"uri": "file:///a"}));
            let told = stream.next().await;
            assert_eq!(
                (&told["method"], &told["params"]["uri"]),
                (&json!(UPDATED), &json!("file:///a"))
            );
            drop(stream);
            if server_era == Era::Legacy {
                server.wait_for("resources/unsubscribe", 1).await;
            }
        }
    }
}

#[tokio::test]
async fn a_legacy_session_subscribes_and_unsubscribes() {
    for server_era in ERAS {
        for endpoint in [ONE, COMPOSED] {
            let server = server(server_era).await;
            let harness = Harness::before(&server).await;
            let session = harness.session(endpoint).await;
            let mut stream = session.listen().await;
            let uri = json!({"uri": "file:///a"});
            let answer = session.send(1, "resources/subscribe", uri.clone()).await;
            assert_eq!(answer.json()["result"], json!({}), "{}", answer.text());
            if server_era == Era::Legacy {
                server.wait_for("resources/subscribe", 1).await;
            } else {
                let is_listen = |request: &testkit::Received| {
                    request.method() == "subscriptions/listen"
                        && request.json()["params"]["notifications"]["resourceSubscriptions"][0]
                            == "file:///a"
                };
                server.http().wait_where("a listen", 1, is_listen).await;
            }
            server.heard_by(1).await;
            // Streams are opened before old ones are closed; a first notice may come twice.
            testkit::within("the notice", async {
                loop {
                    server.notify(UPDATED, json!({"uri": "file:///a"}));
                    if !stream.is_silent_for(Duration::from_millis(200)).await {
                        return;
                    }
                }
            })
            .await;
            let answer = session.send(2, "resources/unsubscribe", uri).await;
            assert_eq!(answer.json()["result"], json!({}), "{}", answer.text());
        }
    }
}

#[tokio::test]
async fn a_listener_hears_that_a_server_came_back() {
    for server_era in ERAS {
        let server = server(server_era).await;
        let address = server.http().address();
        let harness = Harness::before(&server).await;
        harness.modern(COMPOSED, "tools/list", json!({})).await;
        let filter = json!({"toolsListChanged": true});
        let (mut stream, _) = listen(&harness, COMPOSED, json!(1), filter).await;
        server.heard_by(1).await;
        drop(server);
        let again =
            McpServer::of(server_era).at(address).tools(vec![echo_tool("after")]).start().await;
        stream.next_of(TOOLS_CHANGED).await;
        testkit::within("the new list", async {
            loop {
                let list = harness.modern(COMPOSED, "tools/list", json!({})).await;
                if list.text().contains("s__after") {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
        assert!(again.count("tools/list") > 0);
    }
}

#[tokio::test]
async fn a_drain_ends_listeners_in_good_order_and_lets_calls_finish() {
    let (server, release) = crate::harness::holding_server(Era::Modern).await;
    let harness = Harness::limited(&server, json!({"drain_timeout": "5s"})).await;
    let filter = json!({"toolsListChanged": true});
    let (mut stream, _) = listen(&harness, ONE, json!("L"), filter.clone()).await;
    let (mut composed, _) = listen(&harness, COMPOSED, json!(2), filter).await;
    let session = harness.session(ONE).await;
    let mut legacy = session.listen().await;
    let mut call = harness.connect().await;
    call.write(modern(ONE, 1, "tools/call", json!({"name": "held"})).bytes()).await;
    // A client of HTTP+SSE has one in flight as well, and another has none.
    let sse = testkit::HttpRequest::get_events(&format!("{ONE}/sse"));
    let mut idle = harness.stream(&sse).await;
    let mut oldest = harness.stream(&sse).await;
    let address = String::from_utf8(oldest.next_event().await.unwrap().data.to_vec()).unwrap();
    harness.send(&testkit::initialize(&address, "2024-11-05", &json!({}))).await;
    oldest.next_of("").await;
    let params = json!({"name": "held"});
    let message = json!({"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": params});
    harness.send(&testkit::HttpRequest::post(&address, message.to_string())).await;
    server.wait_for("tools/call", 2).await;
    let gate = std::sync::Arc::clone(&harness.gate);
    let draining = tokio::spawn(async move { gate.drain().await });
    for (stream, id) in [(&mut stream, json!("L")), (&mut composed, json!(2))] {
        let end = stream.next_of("").await;
        assert_eq!(end["id"], id);
        assert_eq!(end["result"]["resultType"], "complete", "{end}");
        assert_eq!(end["result"]["_meta"][wire::meta::SUBSCRIPTION_ID], id);
        stream.ended().await;
    }
    legacy.ended().await;
    assert_eq!(idle.next_event().await.unwrap().event.as_deref(), Some("endpoint"));
    idle.ended().await;
    assert!(!draining.is_finished(), "a call is still running");
    release.add_permits(2);
    assert_said(&call.answer().await, "held");
    assert_eq!(oldest.next_of("").await["id"], 9);
    oldest.ended().await;
    testkit::within("the end of the drain", draining).await.unwrap();
}

// === what a client that reads slowly, or comes back, gets ===

#[tokio::test]
async fn missed_events_are_replayed_up_to_their_limit() {
    const KEPT: usize = 5;
    for missed in [KEPT, KEPT + 1, KEPT * 100] {
        let server = McpServer::legacy().start().await;
        let harness = Harness::limited(&server, json!({"replay_events": KEPT})).await;
        let session = harness.session(ONE).await;
        let mut stream = session.listen().await;
        server.heard_by(1).await;
        let log = |number: usize| json!({"level": "info", "data": number});
        server.notify("notifications/message", log(0));
        let heard = stream.next_event().await.expect("an event");
        let last = heard.id.as_ref().expect("an id").to_string();
        drop(stream);
        testkit::until("the stream to end", || harness.gate.overview().streams == 0).await;
        for number in 1..=missed {
            server.notify("notifications/message", log(number));
            if number % 20 == 0 || number == missed {
                // The gate answers pings in turn: what came before has been taken.
                let id = format!("ping {number}");
                server.ask(&id, "ping", json!({}));
                server.http().answer_to(&id).await;
            }
        }
        let mut resumed = session.resume(Some(&last)).await;
        // What is forgotten is left out, and the client goes on with what there is.
        for number in missed - KEPT + 1..=missed {
            assert_eq!(resumed.next().await["params"], log(number));
        }
    }
}

/// A server whose tool `flood` tells of progress without end, and that counts how often it was stopped.
async fn flooding(era: Era) -> (McpServer, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
    let gone = std::sync::Arc::<std::sync::atomic::AtomicUsize>::default();
    let counted = std::sync::Arc::clone(&gone);
    let server = McpServer::of(era)
        .tools(vec![echo_tool("echo"), echo_tool("flood")])
        .on("tools/call", move |mut exchange| {
            let counted = std::sync::Arc::clone(&counted);
            async move {
                if exchange.params()["name"] != "flood" {
                    return exchange.result(crate::harness::said(era, "well")).await;
                }
                exchange.begin_events(&[]).await;
                let params =
                    json!({"progressToken": "t", "progress": 1, "message": "x".repeat(1000)});
                let event =
                    json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params});
                let event = format!("data: {event}\n\n");
                let chunk = format!("{:x}\r\n{event}\r\n", event.len());
                // Far more than all buffers on the way hold.
                exchange.raw_while_taken(chunk.repeat(64).as_bytes(), 1 << 30).await;
                counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            }
        })
        .start()
        .await;
    (server, gone)
}

#[tokio::test]
async fn a_client_that_stops_reading_is_cut() {
    for server_era in ERAS {
        let (server, gone) = flooding(server_era).await;
        let harness = Harness::limited(&server, json!({"stall_timeout": "300ms"})).await;
        let mut stalled = harness.connect().await;
        let params = json!({"name": "flood", "_meta": {"progressToken": "t"}});
        stalled.write(modern(ONE, 1, "tools/call", params).bytes()).await;
        server.wait_for("tools/call", 1).await;
        // Others are served meanwhile.
        let client = harness.client(Era::Modern, ONE).await;
        assert_said(&client.call("echo").await, "well");
        testkit::until("the server to be let go", || {
            gone.load(std::sync::atomic::Ordering::SeqCst) == 1
        })
        .await;
        testkit::until("no call in flight", || harness.gate.overview().calls == 0).await;
    }
}

#[tokio::test]
async fn silence_is_filled_with_comments() {
    let (server, release) = crate::harness::holding_server(Era::Modern).await;
    let harness = Harness::limited(&server, json!({"keep_alive": "100ms"})).await;
    let session = harness.session(ONE).await;
    let request = modern(
        ONE,
        1,
        "subscriptions/listen",
        json!({"notifications": {"toolsListChanged": true}}),
    );
    let get = testkit::HttpRequest::get_events(ONE).header("Mcp-Session-Id", &session.id);
    for request in [request, get] {
        let mut connection = harness.connect().await;
        connection.write(request.bytes()).await;
        testkit::within("a comment", connection.reads(b"\n:\n\n")).await;
    }
    // A legacy call that takes long becomes a stream, so that nothing between cuts it.
    let mut slow = session.stream(1, "tools/call", json!({"name": "held"})).await;
    assert!(slow.headers.get("content-type").unwrap().contains("event-stream"));
    release.add_permits(1);
    assert_eq!(slow.next_of("").await["id"], 1);
}

// === HTTP+SSE of 2024-11-05 ===

#[tokio::test]
async fn a_client_of_the_oldest_version_is_served() {
    for server_era in ERAS {
        let server = server(server_era).await;
        let harness = Harness::before(&server).await;
        for (endpoint, name) in [(ONE, "echo"), (COMPOSED, "s__echo")] {
            let get = testkit::HttpRequest::get_events(&format!("{endpoint}/sse"));
            let mut stream = harness.stream(&get).await;
            let first = stream.next_event().await.expect("the address");
            assert_eq!(first.event.as_deref(), Some("endpoint"));
            let address = String::from_utf8(first.data.to_vec()).unwrap();
            let post = |message: Value| {
                let request = testkit::HttpRequest::post(&address, message.to_string());
                let harness = &harness;
                async move { assert_eq!(harness.send(&request).await.status, 202) }
            };
            let params = json!({"protocolVersion": "2024-11-05", "capabilities": {},
                "clientInfo": {"name": "old", "version": "1"}});
            post(json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}))
                .await;
            let hello = stream.next_of("").await;
            assert_eq!(hello["result"]["protocolVersion"], "2024-11-05", "{hello}");
            post(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
            let params = json!({"name": name, "arguments": {"say": "old"}});
            post(json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params}))
                .await;
            let answer = stream.next_of("").await;
            assert_eq!(answer["id"], 2);
            assert_eq!(answer["result"]["content"][0]["text"], "echo: old", "{answer}");
            post(json!({"jsonrpc": "2.0", "id": 3, "method": "no/such"})).await;
            assert_eq!(stream.next_of("").await["error"]["code"], -32601);
            // The address is of this stream, and ends with it.
            drop(stream);
            testkit::until("the stream to end", || harness.gate.overview().streams == 0).await;
            let request = testkit::HttpRequest::post(&address, "{}");
            assert_fault(&harness.send(&request).await, 404, -32001, "unknown-session");
        }
    }
}
