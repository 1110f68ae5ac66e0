//! The ways in beside plain HTTP/1.1: TLS and HTTP/2, and clients that are slower than their servers.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use portcullis_engine::edge::TlsFiles;
use serde_json::{Value, json};
use testkit::{HttpRequest, McpServer};
use tokio::net::TcpStream;
use tokio::time::Instant;
use wire::{Era, Version};

use crate::harness::{Harness, ONE, assert_fault, assert_said, holding_server};

#[tokio::test]
async fn a_tls_handshake_that_never_ends_is_cut() {
    let directory = tempfile::tempdir().unwrap();
    let signed = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let (certificate, key) = (directory.path().join("cert.pem"), directory.path().join("key.pem"));
    std::fs::write(&certificate, signed.cert.pem()).unwrap();
    std::fs::write(&key, signed.signing_key.serialize_pem()).unwrap();
    let server = McpServer::modern().start().await;
    let config = json!({"servers": {"s": {"url": server.url()}},
        "limits": {"tls_handshake_timeout": "200ms"}});
    let files = TlsFiles { certificate: &certificate, key: &key, client_ca: None };
    let harness = Harness::start_with_tls(config, Some(files)).await;
    let began = Instant::now();
    let mut silent = harness.connect().await;
    let mut started = harness.connect().await;
    started.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").await;
    silent.closed().await;
    started.closed().await;
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(190) && took < Duration::from_secs(5), "{took:?}");
    // Plain HTTP is no handshake.
    let mut plain = harness.connect().await;
    plain.write(testkit::modern(ONE, 1, "tools/list", json!({})).bytes()).await;
    plain.closed().await;
    assert_eq!(server.http().requests().len(), 0);
}

type Http2 = SendRequest<Full<Bytes>>;

async fn http2(harness: &Harness) -> Http2 {
    let stream = TcpStream::connect(harness.address).await.unwrap();
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (sender, connection) = handshake.unwrap();
    tokio::spawn(connection);
    sender
}

async fn call(sender: &mut Http2, authority: &str, name: &str) -> (StatusCode, Value) {
    let version = Version::LATEST.as_str();
    let meta = json!({wire::meta::PROTOCOL_VERSION: version, wire::meta::CLIENT_CAPABILITIES: {}});
    let params = json!({"name": name, "_meta": meta});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    let request = Request::post(format!("http://{authority}{ONE}"))
        .header("content-type", "application/json")
        .header("mcp-protocol-version", version)
        .header("mcp-method", "tools/call")
        .header("mcp-name", name)
        .body(Full::new(Bytes::from(body.to_string())))
        .unwrap();
    let answer = sender.send_request(request).await.expect("an answer");
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

#[tokio::test]
async fn calls_over_http2_share_a_connection_up_to_its_limit() {
    let (server, release) = holding_server(Era::Modern).await;
    let harness = Harness::limited(&server, json!({"http2_streams": 2})).await;
    let sender = http2(&harness).await;
    // The limit is known to the client once it has an answer.
    assert_eq!(call(&mut sender.clone(), "localhost", "echo").await.0, 200);
    let calls: Vec<_> = (0..3)
        .map(|_| {
            let mut sender = sender.clone();
            tokio::spawn(async move { call(&mut sender, "localhost", "held").await })
        })
        .collect();
    server.wait_for("tools/call", 3).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(server.count("tools/call"), 3, "the third waits for its turn");
    release.add_permits(3);
    for call in calls {
        let (status, answer) = testkit::within("an answer", call).await.unwrap();
        assert_eq!(
            (status, &answer["result"]["content"][0]["text"]),
            (StatusCode::OK, &json!("held"))
        );
    }
    assert_eq!(server.count("tools/call"), 4);
}

#[tokio::test]
async fn hosts_are_checked_over_http2_as_well() {
    let server = McpServer::modern().start().await;
    let harness = Harness::before(&server).await;
    let mut sender = http2(&harness).await;
    let (status, answer) = call(&mut sender, "evil.example.com", "echo").await;
    assert_eq!(
        (status, &answer["error"]["data"]["reason"]),
        (StatusCode::FORBIDDEN, &json!("forbidden-origin"))
    );
    assert_eq!(server.http().requests().len(), 0);
    assert_eq!(call(&mut sender, "127.0.0.1:1", "echo").await.0, 200);
}

#[tokio::test]
async fn missed_bytes_are_replayed_up_to_their_limit() {
    // Each event has about 1,100 bytes: four fit in 4,600 bytes, five do not.
    for missed in [4, 5] {
        let server = McpServer::legacy().start().await;
        let harness = Harness::limited(&server, json!({"replay_bytes": 4600})).await;
        let session = harness.session(ONE).await;
        let mut stream = session.listen().await;
        server.heard_by(1).await;
        let log =
            |number: usize| json!({"level": "info", "data": {"n": number, "x": "x".repeat(1000)}});
        server.notify("notifications/message", log(0));
        let last = stream.next_event().await.unwrap().id.unwrap().to_string();
        drop(stream);
        testkit::until("the stream to end", || harness.gate.overview().streams == 0).await;
        for number in 1..=missed {
            server.notify("notifications/message", log(number));
        }
        server.ask("barrier", "ping", json!({}));
        server.http().answer_to("barrier").await;
        let mut resumed = session.resume(Some(&last)).await;
        // What is forgotten is left out, and the client goes on with what there is.
        for number in missed - 3..=missed {
            assert_eq!(resumed.next().await["params"], log(number));
        }
    }
}

#[tokio::test]
async fn an_event_id_that_was_never_given_out() {
    let server = McpServer::legacy().start().await;
    let harness = Harness::before(&server).await;
    let session = harness.session(ONE).await;
    server.heard_by(1).await;
    let ids = ["", "garbage", "99-1", "0-", "-1", "0-500", "0-18446744073709551615"];
    for (number, id) in ids.into_iter().chain(["18446744073709551616-0"]).enumerate() {
        let mut stream = session.resume(Some(id)).await;
        assert_eq!(stream.status, 200, "{id}");
        // What is new comes all the same.
        server.notify("notifications/message", json!({"level": "info", "data": number}));
        while stream.next().await["params"]["data"] != number {}
    }
}

#[tokio::test]
async fn an_oldest_client_that_stops_reading_is_cut() {
    // Nothing is lost in silence: a client that misses messages loses its stream.
    let server = McpServer::legacy().start().await;
    let harness =
        Harness::limited(&server, json!({"send_queue_bytes": "4KiB", "stall_timeout": "300ms"}))
            .await;
    let get = HttpRequest::get_events(&format!("{ONE}/sse"));
    let mut stream = harness.stream(&get).await;
    let first = stream.next_event().await.unwrap();
    let address = String::from_utf8(first.data.to_vec()).unwrap();
    let initialize = testkit::initialize(&address, "2024-11-05", &json!({}));
    assert_eq!(harness.send(&initialize).await.status, 202);
    stream.next_of("").await;
    server.heard_by(1).await;
    let flood = async {
        // Until the stream is gone; far more than all buffers on the way hold.
        let log = json!({"level": "info", "data": "x".repeat(60_000)});
        while harness.gate.overview().streams > 0 {
            for _ in 0..20 {
                server.notify("notifications/message", log.clone());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    testkit::within("the stream to be cut", flood).await;
    let late = HttpRequest::post(&address, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}");
    assert_fault(&harness.send(&late).await, 404, -32001, "unknown-session");
    // The others are well.
    let session = harness.session(ONE).await;
    assert_said(&session.send(1, "tools/call", json!({"name": "echo"})).await, "echo: ");
}

#[tokio::test]
async fn a_burst_reaches_a_client_that_reads() {
    // More messages and more bytes than are kept for a resumption, all at once.
    let event = |message: &Value| format!("data: {message}\n\n");
    for server_era in [Era::Modern, Era::Legacy] {
        let server = McpServer::of(server_era)
            .on("tools/call", move |mut exchange| async move {
                let mut text = String::new();
                for number in 0..1000 {
                    let params = json!({"progressToken": "t", "progress": number});
                    let message = json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params});
                    text += &event(&message);
                }
                let answer = exchange.answer(crate::harness::said(server_era, &"x".repeat(600_000)));
                text += &event(&answer);
                exchange.respond(200, &[("Content-Type", "text/event-stream")], text).await;
            })
            .start()
            .await;
        let harness = Harness::before(&server).await;
        for era in [Era::Modern, Era::Legacy] {
            let client = harness.client(era, ONE).await;
            let params = json!({"name": "echo", "_meta": {"progressToken": "t"}});
            let mut events = client.stream(1, "tools/call", params).await;
            for number in 0..1000 {
                let message = events.next().await;
                assert_eq!(message["params"]["progress"], number, "{era:?} before {server_era:?}");
            }
            assert_eq!(events.next().await["id"], 1);
            events.ended().await;
        }
    }
}

#[tokio::test]
async fn answers_at_once_reach_an_oldest_client_that_reads() {
    let server = McpServer::modern()
        .on("tools/call", |mut exchange| async move {
            exchange.result(crate::harness::said(Era::Modern, &"x".repeat(200_000))).await;
        })
        .start()
        .await;
    let harness = Harness::before(&server).await;
    let get = HttpRequest::get_events(&format!("{ONE}/sse"));
    let mut stream = harness.stream(&get).await;
    let first = stream.next_event().await.unwrap();
    let address = String::from_utf8(first.data.to_vec()).unwrap();
    let initialize = testkit::initialize(&address, "2024-11-05", &json!({}));
    assert_eq!(harness.send(&initialize).await.status, 202);
    stream.next_of("").await;
    for id in 1..=20 {
        let params = json!({"name": "echo"});
        let body = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
        let post = HttpRequest::post(&address, body.to_string());
        assert_eq!(harness.send(&post).await.status, 202);
    }
    let mut answered = std::collections::BTreeSet::new();
    while answered.len() < 20 {
        answered.insert(stream.next_of("").await["id"].as_u64().unwrap());
    }
}
