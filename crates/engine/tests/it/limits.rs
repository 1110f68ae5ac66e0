//! Every limit, at the limit and one beyond: what clients may send.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::{HttpRequest, McpServer, Session, initialize, modern};
use tokio::time::Instant;
use wire::Era;

use crate::harness::{
    ERAS, Harness, ONE, assert_fault, assert_said, assert_tool_fault, holding_server,
};

/// A tool call whose JSON text has exactly this many bytes.
fn call_of_length(request: impl Fn(&str) -> HttpRequest, length: usize) -> HttpRequest {
    let body_of = |request: &HttpRequest| request.bytes().len() - request.head().len();
    let empty = body_of(&request(""));
    let request = request(&"x".repeat(length - empty));
    assert_eq!(body_of(&request), length);
    request
}

fn modern_saying(text: &str) -> HttpRequest {
    modern(ONE, 1, "tools/call", json!({"name": "echo", "arguments": {"say": text}}))
}

fn legacy_saying(session: &Session, text: &str) -> HttpRequest {
    session.request(1, "tools/call", json!({"name": "echo", "arguments": {"say": text}}))
}

#[tokio::test]
async fn the_body_of_a_request() {
    const LIMIT: usize = 2048;
    let server = McpServer::modern().start().await;
    let harness = Harness::limited(&server, json!({"body_bytes": LIMIT})).await;
    let session = harness.session(ONE).await;
    let requests: [&dyn Fn(usize) -> HttpRequest; 2] =
        [&|length| call_of_length(modern_saying, length), &|length| {
            call_of_length(|text| legacy_saying(&session, text), length)
        }];
    for request in requests {
        assert_eq!(harness.send(&request(LIMIT)).await.status, 200);
        let calls = server.count("tools/call");
        for length in [LIMIT + 1, LIMIT * 100] {
            assert_fault(&harness.send(&request(length)).await, 413, -32600, "too-large");
            // The same without a length in the head.
            let whole = request(length);
            let body = whole.bytes()[whole.head().len()..].to_vec();
            let mut connection = harness.connect().await;
            let chunked = whole.body("").header("Transfer-Encoding", "chunked");
            connection.write(chunked.head()).await;
            let sent = async {
                for part in body.chunks(1000) {
                    let size = format!("{:x}\r\n", part.len());
                    let chunk = [size.as_bytes(), part, b"\r\n"].concat();
                    if connection.try_write(chunk).await.is_err() {
                        return;
                    }
                }
                let _ = connection.try_write("0\r\n\r\n").await;
            };
            sent.await;
            // The gate may close before all is sent; what it says is the same.
            if let Ok(answer) = connection.try_answer().await {
                assert_fault(&answer, 413, -32600, "too-large");
            }
        }
        assert_eq!(server.count("tools/call"), calls);
    }
}

#[tokio::test]
async fn a_body_that_comes_too_slowly() {
    let server = McpServer::modern().start().await;
    let limits = json!({"body_grace": "200ms", "body_rate_min": "1KiB/s"});
    let harness = Harness::limited(&server, limits).await;
    let request = modern_saying("slow");
    let mut slow = harness.connect().await;
    slow.write(request.head()).await;
    slow.write("{").await;
    let began = Instant::now();
    // Another client is not held up by it.
    assert_said(&harness.send(&modern_saying("quick")).await, "echo: quick");
    let answer = slow.answer().await;
    assert_fault(&answer, 408, -32600, "too-slow");
    assert!(began.elapsed() >= Duration::from_millis(150), "{:?}", began.elapsed());
    assert_eq!(server.count("tools/call"), 1);
    // Slow, but fast enough.
    let bytes = request.bytes();
    let mut steady = harness.connect().await;
    for part in bytes.chunks(bytes.len() / 4) {
        steady.write(part).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_said(&steady.answer().await, "echo: slow");
}

#[tokio::test]
async fn the_head_of_a_request() {
    const LIMIT: usize = 16 << 10;
    let server = McpServer::modern().start().await;
    let limits = json!({"head_bytes": LIMIT, "header_bytes": "8KiB"});
    let harness = Harness::limited(&server, limits).await;
    let padded = |length: usize| {
        let request = modern_saying("hi");
        let part = "x".repeat(6000);
        let request = request.header("X-A", &part).header("X-B", &part);
        let rest = length - request.clone().header("X-C", "").head().len();
        request.header("X-C", &"x".repeat(rest))
    };
    assert_eq!(padded(LIMIT).head().len(), LIMIT);
    assert_said(&harness.send(&padded(LIMIT)).await, "echo: hi");
    for length in [LIMIT + 1, LIMIT + 2000] {
        let mut connection = harness.connect().await;
        // The gate may answer and close before it has read all of it.
        let _ = connection.try_write(padded(length).bytes()).await;
        let answer = connection.answer().await;
        assert_eq!(answer.status, 431, "{length}: {}", answer.text());
    }
}

#[tokio::test]
async fn one_header_of_a_request() {
    const LIMIT: usize = 1024;
    let server = McpServer::modern().start().await;
    let harness = Harness::limited(&server, json!({"header_bytes": LIMIT})).await;
    let with = |length: usize| modern_saying("hi").header("X-A", &"x".repeat(length - "X-A".len()));
    assert_said(&harness.send(&with(LIMIT)).await, "echo: hi");
    for length in [LIMIT + 1, LIMIT * 7] {
        let answer = harness.send(&with(length)).await;
        assert_eq!(answer.status, 431, "{}", answer.text());
        assert!(answer.text().contains("longer than the limit"), "{}", answer.text());
    }
}

#[tokio::test]
async fn how_many_headers_a_request_has() {
    const LIMIT: usize = 32;
    let server = McpServer::modern().start().await;
    let harness = Harness::limited(&server, json!({"header_count": LIMIT})).await;
    let with = |count: usize| {
        let mut request = modern_saying("hi");
        let has = String::from_utf8(request.head()).unwrap().matches("\r\n").count() - 2;
        for number in has..count {
            request = request.header(&format!("X-{number}"), "x");
        }
        request
    };
    assert_said(&harness.send(&with(LIMIT)).await, "echo: hi");
    for count in [LIMIT + 1, LIMIT * 10] {
        let answer = harness.send(&with(count)).await;
        assert_eq!(answer.status, 431, "{count}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_head_that_never_ends() {
    let server = McpServer::modern().start().await;
    let harness = Harness::limited(&server, json!({"header_read_timeout": "200ms"})).await;
    let head = modern_saying("hi").head();
    let mut silent = harness.connect().await;
    let mut slow = harness.connect().await;
    slow.write(&head[..30]).await;
    // A connection that has answered and then begins another head is cut as well.
    let mut second = harness.connect().await;
    assert_said(&second.send(&modern_saying("hi")).await, "echo: hi");
    second.write(&head[..30]).await;
    let dripping = async {
        let mut drip = harness.connect().await;
        for byte in &head {
            if drip.try_write([*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("a head that drips was read to its end");
    };
    tokio::join!(silent.closed(), slow.closed(), second.closed(), dripping);
    // One that is idle between two requests is kept.
    let mut idle = harness.connect().await;
    assert_said(&idle.send(&modern_saying("hi")).await, "echo: hi");
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_said(&idle.send(&modern_saying("again")).await, "echo: again");
}

#[tokio::test]
async fn how_deep_and_how_large_a_message_is() {
    let server = McpServer::modern().start().await;
    let limits = json!({"json_depth": 10, "json_nodes": 1000, "json_key_bytes": 100});
    let harness = Harness::limited(&server, limits).await;
    let session = harness.session(ONE).await;
    // The message, `params` and `arguments` are three levels.
    let nested = |depth: usize| (3..depth).fold(json!("x"), |inner, _| json!([inner]));
    let keyed = |length: usize| json!({"k".repeat(length): 1});
    let wide = |count: usize| json!(vec![0; count]);
    for (good, bad) in [
        (nested(10), vec![nested(11), nested(200)]),
        (keyed(100), vec![keyed(101), keyed(5000)]),
        (wide(900), vec![wide(1000), wide(100_000)]),
    ] {
        let requests = |argument: &Value| {
            let params = json!({"name": "echo", "arguments": {"a": argument}});
            [modern(ONE, 1, "tools/call", params.clone()), session.request(1, "tools/call", params)]
        };
        for request in requests(&good) {
            assert_said(&harness.send(&request).await, "echo: ");
        }
        for bad in bad {
            for request in requests(&bad) {
                assert_fault(&harness.send(&request).await, 400, -32700, "malformed");
            }
        }
    }
    // Very deep, and refused at once.
    let deep = "[".repeat(1_000_000);
    let began = Instant::now();
    let answer = harness.send(&HttpRequest::post(ONE, deep)).await;
    assert_eq!(answer.status, 400);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[tokio::test]
async fn the_exact_number_of_values() {
    let server = McpServer::modern().start().await;
    let harness = Harness::limited(&server, json!({"json_nodes": 1000})).await;
    let session = harness.session(ONE).await;
    let request = |values: usize| session.request(1, "ping", json!({"a": vec![0; values]}));
    // Somewhere below 1,000 the limit is met; one value more or less decides.
    let mut statuses = Vec::new();
    for values in 990..1000 {
        statuses.push(harness.send(&request(values)).await.status);
    }
    let taken = statuses.iter().take_while(|status| **status == 200).count();
    assert!(taken > 0 && taken < statuses.len(), "{statuses:?}");
    assert!(statuses[taken..].iter().all(|status| *status == 400), "{statuses:?}");
}

#[tokio::test]
async fn open_connections() {
    let server = McpServer::modern().start().await;
    let harness = Harness::limited(&server, json!({"connections": 2})).await;
    let mut first = harness.connect().await;
    let mut second = harness.connect().await;
    assert_said(&first.send(&modern_saying("1")).await, "echo: 1");
    assert_said(&second.send(&modern_saying("2")).await, "echo: 2");
    // The third waits until one of them has gone.
    let mut third = harness.connect().await;
    third.write(modern_saying("3").bytes()).await;
    assert_said(&first.send(&modern_saying("4")).await, "echo: 4");
    assert_eq!(server.count("tools/call"), 3, "the third is not served yet");
    drop(first);
    assert_said(&third.answer().await, "echo: 3");
}

#[tokio::test]
async fn calls_of_everybody_together() {
    let (server, release) = holding_server(Era::Modern).await;
    let harness = Harness::limited(&server, json!({"calls_anonymous": 2})).await;
    let session = harness.session(ONE).await;
    let held = modern(ONE, 1, "tools/call", json!({"name": "held"}));
    let (mut first, mut second) = (harness.connect().await, harness.connect().await);
    first.write(held.bytes()).await;
    second.write(session.request(1, "tools/call", json!({"name": "held"})).bytes()).await;
    server.wait_for("tools/call", 2).await;
    for request in [modern_saying("hi"), legacy_saying(&session, "hi")] {
        let answer = harness.send(&request).await;
        assert_fault(&answer, 200, 1003, "overloaded");
        assert!(answer.text().contains("try again later"), "{}", answer.text());
    }
    release.add_permits(2);
    assert_said(&first.answer().await, "held");
    assert_said(&second.answer().await, "held");
    assert_said(&harness.send(&modern_saying("hi")).await, "echo");
}

#[tokio::test]
async fn calls_of_one_server_and_its_queue() {
    let (server, release) = holding_server(Era::Modern).await;
    let (other, _) = holding_server(Era::Modern).await;
    let harness = Harness::start(json!({"servers": {
        "s": {"url": server.url(), "concurrency": 1, "queue": 1, "queue_timeout": "10s"},
        "other": {"url": other.url()},
    }}))
    .await;
    assert_said(&harness.send(&modern_saying("hi")).await, "echo");
    let held = modern(ONE, 1, "tools/call", json!({"name": "held"}));
    let mut first = harness.connect().await;
    first.write(held.bytes()).await;
    server.wait_for("tools/call", 2).await;
    let mut queued = harness.connect().await;
    queued.write(modern_saying("queued").bytes()).await;
    testkit::until("the queue", || harness.gate.overview().calls == 2).await;
    let answer = harness.send(&modern_saying("too much")).await;
    assert_fault(&answer, 200, 1003, "overloaded");
    assert!(answer.text().contains("server `s`"), "{}", answer.text());
    assert_eq!(server.count("tools/call"), 2, "one at a time");
    // A slow server holds up its own callers only.
    let beside = modern("/servers/other/mcp", 1, "tools/call", json!({"name": "echo"}));
    assert_said(&harness.send(&beside).await, "echo");
    release.add_permits(1);
    assert_said(&first.answer().await, "held");
    assert_said(&queued.answer().await, "echo");
}

#[tokio::test]
async fn how_long_a_call_waits_in_the_queue() {
    let (server, release) = holding_server(Era::Modern).await;
    let harness = Harness::start(json!({"servers": {
        "s": {"url": server.url(), "concurrency": 1, "queue": 5, "queue_timeout": "100ms"},
    }}))
    .await;
    let mut first = harness.connect().await;
    first.write(modern(ONE, 1, "tools/call", json!({"name": "held"})).bytes()).await;
    server.wait_for("tools/call", 1).await;
    let began = Instant::now();
    let answer = harness.send(&modern_saying("waits")).await;
    assert_fault(&answer, 200, 1003, "overloaded");
    assert!(began.elapsed() >= Duration::from_millis(90), "{:?}", began.elapsed());
    assert_eq!(server.count("tools/call"), 1, "a call that waited in vain is not sent");
    release.add_permits(1);
    assert_said(&first.answer().await, "held");
}

#[tokio::test]
async fn streams_of_everybody_together() {
    let server = McpServer::modern().start().await;
    let harness = Harness::limited(&server, json!({"streams_anonymous": 2})).await;
    let session = harness.session(ONE).await;
    let listen = modern(
        ONE,
        1,
        "subscriptions/listen",
        json!({"notifications": {"toolsListChanged": true}}),
    );
    let mut first = harness.stream(&listen).await;
    first.next_of("notifications/subscriptions/acknowledged").await;
    let second = session.listen().await;
    assert_eq!(second.status, 200);
    let get = HttpRequest::get_events(ONE).header("Mcp-Session-Id", &session.id);
    let sse = HttpRequest::get_events(&format!("{ONE}/sse"));
    for request in [listen.clone(), get, sse] {
        assert_fault(&harness.send(&request).await, 503, 1003, "overloaded");
    }
    // Calls go on, and a stream that ends makes place for another.
    assert_said(&harness.send(&modern_saying("hi")).await, "echo: hi");
    drop(first);
    testkit::until("a place", || harness.gate.overview().streams < 2).await;
    assert_eq!(harness.stream(&listen).await.status, 200);
}

#[tokio::test]
async fn legacy_sessions() {
    let server = McpServer::modern().start().await;
    let harness = Harness::limited(&server, json!({"sessions": 2})).await;
    let (first, _second) = (harness.session(ONE).await, harness.session(ONE).await);
    let third = initialize(ONE, "2025-11-25", &json!({}));
    let answer = harness.send(&third).await;
    assert_fault(&answer, 503, 1003, "overloaded");
    assert!(answer.text().contains("DELETE"), "{}", answer.text());
    assert!(!answer.headers.has("mcp-session-id"));
    let delete = HttpRequest::new("DELETE", ONE).header("Mcp-Session-Id", &first.id);
    assert_eq!(harness.send(&delete).await.status, 204);
    assert_eq!(harness.send(&third).await.status, 200);
}

#[tokio::test]
async fn what_a_session_may_declare() {
    let server = McpServer::modern().start().await;
    let harness = Harness::before(&server).await;
    // The id that seals them travels in a header with every request.
    let declared = |length: usize| {
        let capabilities = json!({"experimental": {"x": {"x": ""}}});
        let rest = length - "2025-11-25".len() - capabilities.to_string().len();
        initialize(ONE, "2025-11-25", &json!({"experimental": {"x": {"x": "y".repeat(rest)}}}))
    };
    let answer = harness.send(&declared(4096)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let id = answer.headers.get("mcp-session-id").expect("an id").to_owned();
    let list = testkit::legacy(ONE, &id, 1, "tools/list", json!({}));
    assert_eq!(harness.send(&list).await.status, 200);
    assert_fault(&harness.send(&declared(4097)).await, 200, -32602, "invalid-params");
}

#[tokio::test]
async fn a_session_in_use_does_not_expire() {
    let (server, release) = holding_server(Era::Modern).await;
    let harness = Harness::limited(&server, json!({"session_idle": "1s"})).await;
    let (calling, listening) = (harness.session(ONE).await, harness.session(ONE).await);
    let _stream = listening.listen().await;
    let mut call = harness.connect().await;
    call.write(calling.request(1, "tools/call", json!({"name": "held"})).bytes()).await;
    let idle = harness.session(ONE).await;
    testkit::until("the idle one to expire", || harness.gate.overview().sessions == 2).await;
    let gone = idle.send(1, "tools/list", json!({})).await;
    assert_fault(&gone, 404, -32001, "unknown-session");
    release.add_permits(1);
    assert_said(&call.answer().await, "held");
    assert_eq!(listening.send(1, "tools/list", json!({})).await.status, 200);
}

#[tokio::test]
async fn members_of_a_batch() {
    let server = McpServer::modern().start().await;
    let harness = Harness::before(&server).await;
    let old = Session::with(harness.address, ONE, "2025-03-26", &json!({})).await;
    let member = |id: usize| {
        json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
        "params": {"name": "echo", "arguments": {"say": id.to_string()}}})
    };
    let batch = |count: usize| Value::Array((1..=count).map(member).collect());
    let answer = old.post(&batch(20)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answers = answer.json();
    assert_eq!(answers.as_array().map(Vec::len), Some(20));
    for answer in answers.as_array().unwrap() {
        let text = answer["result"]["content"][0]["text"].as_str().unwrap();
        assert_eq!(text, format!("echo: {}", answer["id"]), "{answer}");
    }
    for count in [21, 2000] {
        assert_fault(&old.post(&batch(count)).await, 400, -32600, "malformed");
    }
    assert_eq!(server.count("tools/call"), 20, "none of a batch that is refused is made");
    // A bad member spoils no other; notifications are not answered.
    let mixed = json!([
        member(1),
        {"jsonrpc": "2.0", "id": 2, "method": "no/such"},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 3, "method": "initialize", "params": {}},
        {"jsonrpc": "2.0", "id": 4, "method": "ping"},
        5,
        [],
    ]);
    let answers = old.post(&mixed).await.json();
    let codes: Vec<i64> = answers
        .as_array()
        .unwrap()
        .iter()
        .map(|answer| answer["error"]["code"].as_i64().unwrap_or_default())
        .collect();
    assert_eq!(codes.len(), 6, "{answers}");
    assert_eq!(codes[..4], [0, -32601, -32600, 0], "{answers}");
    assert!(codes[4..].iter().all(|code| matches!(code, -32600 | -32700)), "{answers}");
    let notifications = json!([{"jsonrpc": "2.0", "method": "notifications/initialized"}]);
    assert_eq!(old.post(&notifications).await.status, 202);
    assert_fault(&old.post(&json!([])).await, 400, -32600, "malformed");
    // Only that version has them.
    for version in ["2025-06-18", "2025-11-25"] {
        let newer = Session::with(harness.address, ONE, version, &json!({})).await;
        assert_fault(&newer.post(&batch(1)).await, 400, -32600, "malformed");
    }
}

#[tokio::test]
async fn the_deadline_of_a_call() {
    for era in ERAS {
        let (server, release) = holding_server(era).await;
        let limits = json!({"call_deadline": "200ms"});
        let harness = Harness::limited(&server, limits).await;
        for client_era in ERAS {
            let client = harness.client(client_era, ONE).await;
            let began = Instant::now();
            let text =
                assert_tool_fault(&client.call("held").await, client_era, "deadline-exceeded");
            assert!(text.contains("may have been executed"), "{text}");
            let took = began.elapsed();
            assert!(
                took >= Duration::from_millis(190) && took < Duration::from_secs(3),
                "{took:?}"
            );
        }
        release.add_permits(10);
    }
}
