//! The messages that are measured.

use bytes::Bytes;
use portcullis_wire::sse::write_event;
use portcullis_wire::{Limits, Message};

/// A tool call as hosts send it, 429 bytes.
pub const CALL: &str = concat!(
    r#"{"jsonrpc":"2.0","id":42,"method":"tools/call","params":{"name":"github_search_issues","#,
    r#""arguments":{"query":"is:open label:bug memory leak in the connection pool","#,
    r#""repository":"example/project","sort":"updated","page":2,"per_page":50,"#,
    r#""filters":{"state":"open","assignee":null,"draft":false}},"_meta":{"progressToken":"p-17","#,
    r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","#,
    r#""io.modelcontextprotocol/clientCapabilities":{}}}}"#,
);

/// [`CALL`] as it comes from a connection.
pub fn call() -> Bytes {
    Bytes::from(CALL.as_bytes().to_vec())
}

/// A result with one text of 100 KiB.
pub fn large_result() -> Bytes {
    let text = "a line of a result, as tools give them ".repeat(2626);
    let head = r#"{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":""#;
    Bytes::from(format!("{head}{text}\"}}],\"isError\":false}}}}"))
}

/// [`CALL`], decoded.
pub fn decoded_call() -> Message {
    Message::decode(&call(), &Limits::CLIENT).expect("a valid call")
}

/// One event that carries the message.
pub fn event_of(message: &Bytes) -> Bytes {
    let mut out = Vec::new();
    write_event(&mut out, Some("message"), Some("s-1/42"), message);
    out.into()
}
