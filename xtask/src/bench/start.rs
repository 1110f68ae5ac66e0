//! How long from exec to the first answered request.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::load::Era;
use super::stage::{SERVER, TOOL, Upstream, configure, exec};
use crate::loopback::free_port;

/// A gateway that takes longer does not start.
const LIMIT: Duration = Duration::from_secs(20);

/// Starts the gateway several times; the median in milliseconds from exec to the first answer of
/// a tool call.
pub(super) fn measure(
    binary: &Path,
    folder: &Path,
    upstream: &Upstream,
    times: usize,
) -> Result<f64> {
    let mut milliseconds = Vec::new();
    for _ in 0..times {
        let port = free_port()?;
        let file = configure(folder, upstream, Era::Modern, port)?;
        let begin = Instant::now();
        let server = exec(binary, &file, folder)?;
        while call(port).is_none() {
            if begin.elapsed() > LIMIT {
                bail!("the gateway answered no call within {} s of its start", LIMIT.as_secs());
            }
            // Short beside what is measured, long enough to leave the machine to the gateway.
            std::thread::sleep(Duration::from_micros(200));
        }
        milliseconds.push(begin.elapsed().as_secs_f64() * 1000.0);
        drop(server);
    }
    milliseconds.sort_by(f64::total_cmp);
    Ok(milliseconds[times / 2])
}

/// One call of a tool; `None` unless its result came back.
fn call(port: u16) -> Option<()> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{TOOL}","arguments":{{"echo":"first"}},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
    );
    let request = format!(
        "POST /servers/s{SERVER}/mcp HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
         MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: {TOOL}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
    stream.set_read_timeout(Some(LIMIT)).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    (answer.starts_with("HTTP/1.1 200") && answer.contains("first")).then_some(())
}
