//! Pages of those who take part, on 127.0.0.1: the gateway's status, the upstream's tally, lists.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// A page that takes longer will not come.
const LIMIT: Duration = Duration::from_secs(10);

/// The body of a page; any status but 200 is an error.
pub(super) fn get(port: u16, path: &str) -> Result<String> {
    ask(port, path, |address| {
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")
    })
}

/// The first page of `tools/list`, as a modern client gets it.
pub(super) fn list(port: u16, path: &str) -> Result<String> {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    ask(port, path, |address| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
             MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/list\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    })
}

fn ask(port: u16, path: &str, request: impl Fn(SocketAddr) -> String) -> Result<String> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let exchange = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.write_all(request(address).as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = exchange().with_context(|| format!("cannot get http://{address}{path}"))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    if !head.starts_with("HTTP/1.1 200") {
        bail!("http://{address}{path} answers {}", head.lines().next().unwrap_or_default());
    }
    Ok(body.to_owned())
}
