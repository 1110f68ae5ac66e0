//! Servers that do what no server should: each failure ends its own call, in the client's era and with
//! what to do, and leaves the others alone.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Exchange, McpServer, ScriptedServer, echo_tool};
use wire::Era;

use crate::harness::{ERAS, Harness, ONE, assert_fault, assert_said, assert_tool_fault, said};

/// What a server does with the call of its tool `bad`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trick {
    Garbage,
    HalfJson,
    DuplicateKeys,
    Nothing,
    OnlyAccepted,
    Request,
    WrongId,
    WrongType,
    Compressed,
    InternalError,
    Unauthorized,
    Forbidden,
    NotFoundText,
    Redirect(u16),
    CloseBeforeHead,
    AbortBeforeHead,
    CloseInHead,
    CloseInBody,
    AbortInBody,
    BadChunk,
    NoHttp,
    EmptyStream,
    CloseInEvent,
    CloseAfterProgress,
    AbortAfterProgress,
    WrongIdInStream,
    GarbageInStream,
    CompressedStream,
    Never,
    NeverAfterHead,
}

/// Everything that ends as a failure of the server.
const FAILURES: [Trick; 28] = [
    Trick::Garbage,
    Trick::HalfJson,
    Trick::DuplicateKeys,
    Trick::Nothing,
    Trick::OnlyAccepted,
    Trick::Request,
    Trick::WrongId,
    Trick::WrongType,
    Trick::Compressed,
    Trick::InternalError,
    Trick::Unauthorized,
    Trick::Forbidden,
    Trick::Redirect(301),
    Trick::Redirect(302),
    Trick::Redirect(307),
    Trick::Redirect(308),
    Trick::CloseBeforeHead,
    Trick::AbortBeforeHead,
    Trick::CloseInHead,
    Trick::CloseInBody,
    Trick::AbortInBody,
    Trick::BadChunk,
    Trick::NoHttp,
    Trick::EmptyStream,
    Trick::CloseInEvent,
    Trick::CloseAfterProgress,
    Trick::WrongIdInStream,
    Trick::GarbageInStream,
];

impl Trick {
    async fn play(self, mut exchange: Exchange, trap: &str) {
        let json = [("Content-Type", "application/json")];
        let progress = json!({"progressToken": "t", "progress": 1});
        match self {
            Self::Garbage => exchange.respond(200, &json, "it works!").await,
            Self::HalfJson => exchange.respond(200, &json, "{\"jsonrpc\":\"2.0\",\"id\":").await,
            Self::DuplicateKeys => {
                let text =
                    exchange.answer(json!({})).to_string().replace("{}", "{\"a\":1,\"a\":2}");
                exchange.respond(200, &json, text).await;
            }
            Self::Nothing => exchange.respond(200, &json, "").await,
            Self::OnlyAccepted => exchange.respond(202, &[], "").await,
            Self::Request => {
                exchange.respond(200, &json, r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).await;
            }
            Self::WrongId => {
                let answer =
                    json!({"jsonrpc": "2.0", "id": "another", "result": said(Era::Modern, "x")});
                exchange.json(200, &answer).await;
            }
            Self::WrongType => exchange.respond(200, &[("Content-Type", "text/html")], "<p>").await,
            Self::Compressed => {
                let text = exchange.answer(json!({"content": []})).to_string();
                let headers = [json[0], ("Content-Encoding", "gzip")];
                exchange.respond(200, &headers, text).await;
            }
            Self::InternalError => exchange.respond(500, &[], "panicked at main.rs").await,
            Self::Unauthorized => {
                let challenge = [("WWW-Authenticate", "Bearer realm=\"inner\"")];
                exchange.respond(401, &challenge, "").await;
            }
            Self::Forbidden => exchange.respond(403, &[], "").await,
            Self::NotFoundText => exchange.respond(404, &[], "not here").await,
            Self::Redirect(status) => exchange.respond(status, &[("Location", trap)], "").await,
            Self::CloseBeforeHead => drop(exchange),
            Self::AbortBeforeHead => exchange.abort(),
            Self::CloseInHead => exchange.raw("HTTP/1.1 200 OK\r\nContent-Le").await,
            Self::CloseInBody | Self::AbortInBody => {
                exchange
                    .raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{")
                    .await;
                if self == Self::AbortInBody {
                    exchange.abort();
                }
            }
            Self::BadChunk => {
                exchange
                    .raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
                    .await;
            }
            Self::NoHttp => exchange.raw("SSH-2.0-OpenSSH_9.2\r\n\r\n").await,
            Self::EmptyStream => {
                exchange.begin_events(&[]).await;
                exchange.end().await;
            }
            Self::CloseInEvent => {
                exchange.begin_events(&[]).await;
                exchange.chunk("event: message\ndata: {\"jsonrpc\"").await;
            }
            Self::CloseAfterProgress | Self::AbortAfterProgress => {
                exchange.begin_events(&[]).await;
                exchange.notify("notifications/progress", progress).await;
                if self == Self::AbortAfterProgress {
                    exchange.abort();
                }
            }
            Self::WrongIdInStream => {
                exchange.begin_events(&[]).await;
                exchange.event(&json!({"jsonrpc": "2.0", "id": "another", "result": {}})).await;
                exchange.end().await;
            }
            Self::GarbageInStream => {
                exchange.begin_events(&[]).await;
                exchange.chunk("data: it works!\n\n").await;
                exchange.end().await;
            }
            Self::CompressedStream => {
                exchange.begin_events(&[("Content-Encoding", "br")]).await;
                exchange.end().await;
            }
            Self::Never => exchange.closed().await,
            Self::NeverAfterHead => {
                exchange.begin_events(&[]).await;
                exchange.closed().await;
            }
        }
    }
}

/// A server whose tool `bad` does `trick`, and whose other tools work.
async fn server(era: Era, trick: Trick, trap: &ScriptedServer) -> McpServer {
    let trap = trap.url("/trap");
    McpServer::of(era)
        .tools(vec![echo_tool("echo"), echo_tool("bad")])
        .capabilities(json!({"tools": {}, "prompts": {}}))
        .on("tools/call", move |mut exchange| {
            let trap = trap.clone();
            async move {
                if exchange.params()["name"] == "bad" {
                    trick.play(exchange, &trap).await;
                } else {
                    exchange.result(said(era, "well")).await;
                }
            }
        })
        .on("prompts/get", move |exchange| async move { trick.play(exchange, "/").await })
        .start()
        .await
}

/// Where redirects lead; nobody may come here.
async fn trap() -> ScriptedServer {
    ScriptedServer::start(|mut exchange| async move { exchange.respond(200, &[], "").await }).await
}

async fn fails(server_era: Era, trick: Trick, reason: &str, code: i64, timeout: &str) {
    let trap = trap().await;
    let server = server(server_era, trick, &trap).await;
    let harness = Harness::start(json!({"servers": {"s": {
        "url": server.url(), "timeout": timeout, "session": "shared",
    }}}))
    .await;
    for era in ERAS {
        let client = harness.client(era, ONE).await;
        let before = server.count("tools/call");
        let (bad, good) = tokio::join!(client.call("bad"), client.call("echo"));
        let text = assert_tool_fault(&bad, era, reason);
        assert!(text.contains("server `s`") && text.len() > 30, "{trick:?}: {text}");
        assert!(!text.contains("127.0.0.1") && !text.contains("panicked"), "{trick:?}: {text}");
        assert!(!bad.headers.has("www-authenticate"));
        assert_said(&good, "well");
        let calls = server.http().requests_of("tools/call");
        let bad_calls =
            calls[before..].iter().filter(|call| call.json()["params"]["name"] == "bad").count();
        assert_eq!(bad_calls, 1, "{trick:?}: sent at most once");
        // What is no tool call fails as a protocol error.
        let prompt = client.send("prompts/get", json!({"name": "p"})).await;
        assert_fault(&prompt, 200, code, reason);
        assert_said(&client.call("echo").await, "well");
    }
    assert_eq!(trap.connections(), 0, "a redirect was followed");
}

#[tokio::test]
async fn a_modern_server_that_fails() {
    for trick in FAILURES {
        fails(Era::Modern, trick, "server-failed", 1001, "5s").await;
    }
    for trick in [Trick::NotFoundText, Trick::AbortAfterProgress, Trick::CompressedStream] {
        fails(Era::Modern, trick, "server-failed", 1001, "5s").await;
    }
}

#[tokio::test]
async fn a_legacy_server_that_fails() {
    for trick in FAILURES {
        fails(Era::Legacy, trick, "server-failed", 1001, "5s").await;
    }
    for trick in [Trick::AbortAfterProgress, Trick::CompressedStream] {
        fails(Era::Legacy, trick, "server-failed", 1001, "5s").await;
    }
}

#[tokio::test]
async fn a_server_that_never_answers_runs_into_the_deadline() {
    for era in ERAS {
        for trick in [Trick::Never, Trick::NeverAfterHead] {
            fails(era, trick, "deadline-exceeded", 1002, "150ms").await;
        }
    }
}

#[tokio::test]
async fn the_second_answer_in_a_stream_is_ignored() {
    for server_era in ERAS {
        let server = McpServer::of(server_era)
            .on("tools/call", move |mut exchange| async move {
                exchange.begin_events(&[]).await;
                for text in ["first", "second"] {
                    let answer = exchange.answer(said(server_era, text));
                    exchange.event(&answer).await;
                }
                exchange.end().await;
            })
            .start()
            .await;
        let harness = Harness::before(&server).await;
        for era in ERAS {
            let client = harness.client(era, ONE).await;
            for _ in 0..2 {
                let answer = client.call("echo").await;
                assert_said(&answer, "first");
                assert_eq!(answer.messages().len(), 1, "{}", answer.text());
            }
        }
    }
}

#[tokio::test]
async fn an_answer_is_taken_up_to_its_limit() {
    const LIMIT: usize = 4096;
    for server_era in ERAS {
        let server = McpServer::of(server_era)
            .on("tools/call", move |mut exchange| async move {
                // `say` is how many bytes the whole answer shall have.
                let wanted = exchange.params()["arguments"]["say"].as_u64().unwrap();
                let wanted = usize::try_from(wanted).unwrap();
                let streamed = exchange.params()["arguments"]["streamed"] == true;
                let empty = exchange.answer(said(server_era, "")).to_string().len();
                let answer = exchange.answer(said(server_era, &"x".repeat(wanted - empty)));
                if streamed {
                    exchange.begin_events(&[]).await;
                    exchange.event(&answer).await;
                    exchange.end().await;
                } else {
                    exchange.json(200, &answer).await;
                }
            })
            .start()
            .await;
        let limits = json!({"response_bytes": LIMIT, "frame_bytes": "1KiB"});
        let harness = Harness::limited(&server, limits).await;
        for era in ERAS {
            let client = harness.client(era, ONE).await;
            for streamed in [false, true] {
                let call = |bytes: usize| {
                    let arguments = json!({"say": bytes, "streamed": streamed});
                    client.send("tools/call", json!({"name": "echo", "arguments": arguments}))
                };
                let answer = call(LIMIT).await;
                assert!(answer.body.len() > LIMIT - 100, "{}", answer.text());
                assert_eq!(answer.json()["result"]["isError"], Value::Null);
                for over in [LIMIT + 1, LIMIT * 100] {
                    let text = assert_tool_fault(&call(over).await, era, "server-failed");
                    assert!(text.contains("server `s`"), "{text}");
                }
            }
        }
    }
}

#[tokio::test]
async fn an_event_before_the_answer_is_taken_up_to_its_limit() {
    const LIMIT: usize = 2048;
    for server_era in ERAS {
        let server = McpServer::of(server_era)
            .on("tools/call", move |mut exchange| async move {
                let wanted = exchange.params()["arguments"]["say"].as_u64().unwrap();
                let wanted = usize::try_from(wanted).unwrap();
                let token = exchange.params()["_meta"]["progressToken"].clone();
                let event = |message: &str| {
                    json!({"jsonrpc": "2.0", "method": "notifications/progress", "params":
                        {"progressToken": token, "progress": 1, "message": message}})
                };
                let padding = "x".repeat(wanted - event("").to_string().len());
                exchange.begin_events(&[]).await;
                exchange.event(&event(&padding)).await;
                exchange.last_event(said(server_era, "well")).await;
            })
            .start()
            .await;
        let harness = Harness::limited(&server, json!({"frame_bytes": LIMIT})).await;
        for era in ERAS {
            let client = harness.client(era, ONE).await;
            let call = |bytes: usize| {
                let params = json!({"name": "echo", "arguments": {"say": bytes},
                    "_meta": {"progressToken": "t"}});
                client.send("tools/call", params)
            };
            let answer = call(LIMIT).await;
            assert_said(&answer, "well");
            assert_eq!(answer.messages().len(), 2, "{}", answer.text());
            assert_tool_fault(&call(LIMIT + 1).await, era, "server-failed");
        }
    }
}

#[tokio::test]
async fn the_deadline_is_extended_by_progress_but_not_for_ever() {
    for server_era in ERAS {
        let server = McpServer::of(server_era)
            .on("tools/call", move |mut exchange| async move {
                let steps = exchange.params()["arguments"]["steps"].as_u64().unwrap();
                exchange.begin_events(&[]).await;
                for step in 0..steps {
                    let params = json!({"progressToken": "t", "progress": step});
                    exchange.notify("notifications/progress", params).await;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                exchange.last_event(said(server_era, "well")).await;
            })
            .start()
            .await;
        let harness = Harness::start(json!({
            "servers": {"s": {"url": server.url(), "timeout": "300ms"}},
            "limits": {"call_deadline": "300ms", "call_deadline_max": "1s"},
        }))
        .await;
        let client = harness.client(Era::Modern, ONE).await;
        let call = |steps: u64| {
            client.send("tools/call", json!({"name": "echo", "arguments": {"steps": steps}}))
        };
        // Longer than the silence that is allowed, shorter than the most.
        assert_said(&call(6).await, "well");
        assert_tool_fault(&call(30).await, Era::Modern, "deadline-exceeded");
    }
}

#[tokio::test]
async fn errors_about_the_gates_own_hop_are_mended_by_the_gate() {
    // The tools changed: the server finds the mirrored headers wrong once.
    let server = McpServer::modern()
        .on("tools/call", |mut exchange| async move {
            if exchange.request().headers.has("mcp-param-x") {
                exchange.result(said(Era::Modern, "well")).await;
            } else {
                exchange.error(400, -32020, "Header mismatch").await;
            }
        })
        .start()
        .await;
    let harness = Harness::before(&server).await;
    let client = harness.client(Era::Modern, ONE).await;
    assert_eq!(client.send("tools/list", json!({})).await.status, 200);
    let schema = json!({"type": "object", "properties": {"say":
        {"type": "string", "x-mcp-header": "X"}}});
    server.set_list("tools/list", vec![json!({"name": "echo", "inputSchema": schema})]);
    assert_said(&client.call("echo").await, "well");
    assert_eq!(server.count("tools/call"), 2);
    // A server that finds them wrong for ever fails; the code of its hop does not come through.
    server.set_list("tools/list", vec![echo_tool("echo")]);
    let session = harness.session(ONE).await;
    let answer = session.send(1, "tools/call", json!({"name": "other"})).await;
    assert_tool_fault(&answer, Era::Legacy, "server-failed");
    assert_eq!(server.count("tools/call"), 4);
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_says_so_to_every_client() {
    let gone = trap().await.url("/mcp");
    let harness = Harness::start(json!({"servers": {"s": {"url": gone, "era": "modern"}}})).await;
    let client = harness.client(Era::Modern, ONE).await;
    let text = assert_tool_fault(&client.call("echo").await, Era::Modern, "server-failed");
    assert!(text.contains("server `s`"), "{text}");
    let answer = harness.send(&testkit::initialize(ONE, "2025-11-25", &json!({}))).await;
    assert_fault(&answer, 200, 1001, "server-failed");
    assert_eq!(harness.send(&testkit::HttpRequest::new("GET", "/readyz")).await.status, 200);
}

#[tokio::test]
async fn a_server_that_refuses_the_gates_credentials_is_no_legacy_server() {
    for status in [401, 403, 500, 503] {
        let server = ScriptedServer::start(move |mut exchange| async move {
            exchange.respond(status, &[], "").await;
        })
        .await;
        let harness = Harness::start(json!({"servers": {"s": {"url": server.url("/mcp")}}})).await;
        let client = harness.client(Era::Modern, ONE).await;
        assert_tool_fault(&client.call("echo").await, Era::Modern, "server-failed");
        assert_eq!(server.count("server/discover"), 1);
        assert_eq!(server.count("initialize"), 0, "{status} says nothing of the era");
    }
}
