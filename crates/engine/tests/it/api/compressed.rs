//! Answers of APIs that are compressed: decoded as they come, and never more than is kept of any answer.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use serde_json::{Value, json};
use testkit::{ScriptedServer, until};
use tokio::sync::Notify;
use wire::Era;

use super::{Api, merge, pets, text};
use crate::harness::{Harness, ONE, assert_tool_fault};

const TOM: &str = r#"{"name":"Tom","age":7}"#;

fn gzip(text: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_ref()).unwrap();
    encoder.finish().unwrap()
}

fn zlib(text: &str) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn deflate(text: &str) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// An API that answers `body`, of which it says that it is JSON in this encoding: whole, or in chunks
/// of `chunk` bytes.
async fn encoded(encoding: &'static str, body: Vec<u8>, chunk: Option<usize>) -> Api {
    let server = ScriptedServer::start(move |mut exchange| {
        let body = body.clone();
        async move {
            let headers = [("Content-Type", "application/json"), ("Content-Encoding", encoding)];
            let Some(size) = chunk else { return exchange.respond(200, &headers, body).await };
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: {encoding}\r\n\
                 Transfer-Encoding: chunked\r\n\r\n"
            );
            exchange.raw(head).await;
            for piece in body.chunks(size) {
                exchange.chunk(piece).await;
            }
            exchange.end().await;
        }
    });
    Api::start(server.await, &pets(), json!({})).await
}

#[tokio::test]
async fn compressed_answers_are_read_as_others() {
    for (encoding, body) in [
        ("identity", TOM.into()),
        ("", TOM.into()),
        ("gzip", gzip(TOM)),
        ("X-Gzip", gzip(TOM)),
        ("gzip", [gzip(&TOM[..5]), gzip(&TOM[5..])].concat()),
        ("deflate", zlib(TOM)),
        ("deflate", deflate(TOM)),
    ] {
        for chunk in [None, Some(3)] {
            let api = encoded(encoding, body.clone(), chunk).await;
            let mut client = api.harness.connect().await;
            for number in 1..=2 {
                let params = json!({"name": "getPet", "arguments": {"id": "1"}});
                client.write(testkit::modern(ONE, number, "tools/call", params).bytes()).await;
                let answer = client.answer().await.json();
                let result = &answer["result"];
                assert_eq!(
                    result["structuredContent"],
                    json!({"name": "Tom", "age": 7}),
                    "{result}"
                );
                assert_eq!((text(result), &result["isError"]), (TOM, &json!(false)), "{encoding}");
            }
            for request in api.server.requests() {
                assert_eq!(request.headers.get("accept-encoding"), Some("gzip, deflate"));
            }
            assert_eq!(
                api.server.connections(),
                1,
                "the connection is used again: {encoding} {chunk:?}"
            );
        }
    }
}

#[tokio::test]
async fn errors_and_empty_answers_may_be_compressed() {
    for (status, body, said) in [
        (404, gzip(r#"{"detail":"Tom has left"}"#), "Tom has left"),
        (204, Vec::new(), "204"),
        (200, Vec::new(), "200"),
        (500, gzip(""), "500"),
    ] {
        let server = ScriptedServer::start(move |mut exchange| {
            let body = body.clone();
            async move {
                let headers = [("Content-Type", "application/json"), ("Content-Encoding", "gzip")];
                exchange.respond(status, &headers, body).await;
            }
        });
        let api = Api::start(server.await, &pets(), json!({})).await;
        let result = api.result("addPet", json!({"name": "Tom"})).await;
        assert!(text(&result).contains(said), "{status}: {result}");
        assert_eq!(result["isError"], status >= 400, "{result}");
    }
}

#[tokio::test]
async fn what_cannot_be_decoded_is_told_and_not_asked_for_again() {
    let whole = gzip(TOM);
    let mut wrong = whole.clone();
    *wrong.last_mut().unwrap() ^= 1;
    for (encoding, body, said) in [
        ("gzip", whole[..whole.len() - 9].to_vec(), "it ends too early"),
        ("gzip", wrong, "its checksum is wrong"),
        ("gzip", TOM.into(), "it is not what its name says"),
        ("deflate", TOM.into(), "`deflate`"),
        ("br", whole.clone(), "`br`"),
        ("gzip, gzip", gzip(gzip(TOM)), "`gzip, gzip`"),
    ] {
        for chunk in [None, Some(4)] {
            let api = encoded(encoding, body.clone(), chunk).await;
            let answer = api.call("getPet", json!({"id": "1"})).await;
            let told = assert_tool_fault(&answer, Era::Modern, "server-failed");
            assert!(told.contains("compressed") && told.contains(said), "{encoding}: {told}");
            assert_eq!(api.server.requests().len(), 1, "sent once");
        }
    }
}

/// An API whose answer never ends: a little that decodes to very much, until nobody reads any more.
/// Counts the answers that were left by their reader.
async fn bomb(
    content_type: &'static str,
    member: Vec<u8>,
    left: Arc<AtomicUsize>,
) -> ScriptedServer {
    ScriptedServer::start(move |mut exchange| {
        let (member, left) = (member.clone(), Arc::clone(&left));
        async move {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Encoding: gzip\r\n\r\n"
            );
            exchange.raw(head).await;
            let most = 64 << 20;
            if exchange.raw_while_taken(&member, most).await < most {
                left.fetch_add(1, Ordering::SeqCst);
            }
        }
    })
    .await
}

/// A gate before an API that keeps at most 1 MiB of an answer.
async fn narrow(server: &ScriptedServer, folder: &tempfile::TempDir) -> Harness {
    let file = folder.path().join("api.json");
    std::fs::write(&file, pets().to_string()).unwrap();
    let mut settings = json!({"openapi": file, "url": server.url("/v1")});
    merge(&mut settings, json!({"result_bytes": "4KiB", "timeout": "30s"}));
    Harness::start(json!({"servers": {"s": settings}, "limits": {"response_bytes": "1MiB"}})).await
}

#[tokio::test]
async fn a_bomb_is_left_at_the_bound_of_every_answer() {
    let spaces = vec![b' '; 1 << 20];
    let line = [r#"{"number":1}"#, "\n", &"x".repeat(1 << 20)].concat();
    for (content_type, member) in [
        ("application/json", gzip(&spaces)),
        ("text/plain", gzip(&spaces)),
        ("application/octet-stream", gzip(&spaces)),
        ("text/event-stream", gzip(b"data: 1\n\n".repeat(1 << 17))),
        ("application/x-ndjson", gzip(line)),
        ("text/html", gzip(&spaces)),
    ] {
        let left = Arc::new(AtomicUsize::new(0));
        let server = bomb(content_type, member, Arc::clone(&left)).await;
        let folder = tempfile::tempdir().unwrap();
        let harness = narrow(&server, &folder).await;
        let params = json!({"name": "addPet", "arguments": {"name": "Tom"}});
        let answer = harness.modern(ONE, "tools/call", params).await;
        assert_eq!(answer.status, 200, "{content_type}: {}", answer.text());
        assert!(answer.body.len() < 64 << 10, "{content_type}: {} bytes", answer.body.len());
        until("the API to be left", || left.load(Ordering::SeqCst) == 1).await;
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn compressed_streams_are_decoded_as_they_come() {
    let heard = Arc::new(Notify::new());
    let awaited = Arc::clone(&heard);
    let server = ScriptedServer::start(move |mut exchange| {
        let awaited = Arc::clone(&awaited);
        async move {
            exchange.begin_events(&[("Content-Encoding", "gzip")]).await;
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            for number in 1..=3 {
                write!(encoder, "data: {{\"number\":{number}}}\n\n").unwrap();
                encoder.flush().unwrap();
                let piece = std::mem::take(encoder.get_mut());
                exchange.chunk(piece).await;
                // The next one comes only once this one has arrived at the client.
                awaited.notified().await;
            }
            exchange.chunk(encoder.finish().unwrap()).await;
            exchange.end().await;
        }
    });
    let mut document = pets();
    document["paths"]["/pets"]["get"]["responses"] =
        json!({"200": {"description": "Events", "content": {"text/event-stream": {}}}});
    let api = Api::start(server.await, &document, json!({})).await;
    let client = api.client(Era::Modern).await;
    let params = json!({"name": "listPets", "arguments": {}, "_meta": {"progressToken": "p"}});
    let mut stream = client.stream(7, "tools/call", params).await;
    for number in 1..=3 {
        let progress: Value = stream.next_of("notifications/progress").await;
        let said = progress["params"]["message"].as_str().unwrap();
        assert!(said.contains(&number.to_string()), "{progress}");
        heard.notify_one();
    }
    let answer = stream.next().await;
    assert!(text(&answer["result"]).contains("\"number\":3"), "{answer}");
}
