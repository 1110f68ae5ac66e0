//! The client against a server of 2025 that is written down answer by answer.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::thread::JoinHandle;

use super::*;

/// Answers one connection after the other with `answers`, and returns the requests.
fn scripted(answers: Vec<String>) -> (Uri, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("http://{}/mcp", listener.local_addr().unwrap()).parse().unwrap();
    let requests = std::thread::spawn(move || {
        let answered = answers.iter().map(|answer| {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream);
            let mut request = String::new();
            let mut length = 0;
            while !request.ends_with("\r\n\r\n") {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                    length = value.trim().parse().unwrap();
                }
                request.push_str(&line);
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            request.push_str(&String::from_utf8(body).unwrap());
            reader.get_mut().write_all(answer.as_bytes()).unwrap();
            request
        });
        answered.collect()
    });
    (uri, requests)
}

fn response(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    )
}

#[tokio::test]
async fn a_server_that_only_knows_sessions_gets_one() {
    let json = "Content-Type: application/json\r\n";
    let hello = r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-06-18","capabilities":{},
        "serverInfo":{"name":"old","version":"1"}}}"#;
    let listed = r#"data: {"jsonrpc":"2.0","method":"notifications/message","params":{}}

data: {"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a"}]}}

"#;
    let (uri, requests) = scripted(vec![
        response("400 Bad Request", "", "no session"),
        response("200 OK", &format!("{json}Mcp-Session-Id: s1\r\n"), hello),
        response("202 Accepted", "", ""),
        response("200 OK", "Content-Type: text/event-stream\r\n", listed),
        response("204 No Content", "", ""),
    ]);
    let client = Client::connect(uri, HeaderMap::new(), Duration::from_secs(20)).await.unwrap();
    let tools = client.list(name::TOOLS_LIST, "tools").await.unwrap();
    assert_eq!(tools.iter().map(Json::as_str).collect::<Vec<_>>(), [r#"{"name":"a"}"#]);
    client.close().await;

    let requests = requests.join().unwrap();
    for (request, expected) in requests.iter().zip([
        &["server/discover", "mcp-protocol-version: 2026-07-28"][..],
        &["initialize", "\"protocolVersion\":\"2025-11-25\""],
        &["notifications/initialized", "mcp-session-id: s1", "mcp-protocol-version: 2025-06-18"],
        &["tools/list", "mcp-session-id: s1"],
        &["DELETE /mcp", "mcp-session-id: s1"],
    ]) {
        for part in expected {
            assert!(request.contains(part), "{part:?} in {request}");
        }
    }
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let (uri, _) = scripted(vec![response("401 Unauthorized", "", "")]);
    let refused = Client::connect(uri, HeaderMap::new(), Duration::from_secs(20)).await;
    let error = format!("{:#}", refused.err().expect("it was refused"));
    assert!(error.contains("--header 'Authorization"), "{error}");
}

#[test]
fn headers_are_read_as_people_write_them() {
    let (name, value) = parse_header("Authorization: Bearer x").unwrap();
    assert_eq!((name.as_str(), value.to_str().unwrap()), ("authorization", "Bearer x"));
    assert!(value.is_sensitive());
    assert!(parse_header("nonsense").is_err() && parse_header("a b: c").is_err());
}
