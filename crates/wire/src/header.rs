//! The HTTP headers of MCP: their names, how values are encoded, and which arguments of a tool are
//! mirrored into headers of their own (2026-07-28, transports, `x-mcp-header`).

mod param;
mod value;

pub use param::{HeaderParam, Mismatch, ParamKind, Unsuitable, Violation, params_of_schema};
pub use value::{BadHeader, decode_value, encode_value};

/// The protocol version of the request, since 2025-06-18.
pub const PROTOCOL_VERSION: &str = "mcp-protocol-version";
/// The session, 2025-03-26 to 2025-11-25.
pub const SESSION_ID: &str = "mcp-session-id";
/// The id of the event to resume a stream after, 2025-03-26 to 2025-11-25.
pub const LAST_EVENT_ID: &str = "last-event-id";
/// Mirrors `method`, since 2026-07-28.
pub const METHOD: &str = "mcp-method";
/// Mirrors the name, URI or task id of the request, since 2026-07-28.
pub const NAME: &str = "mcp-name";
/// Starts the name of each header that mirrors an argument, since 2026-07-28.
pub const PARAM_PREFIX: &str = "mcp-param-";
/// Starts the name of every header of MCP.
pub const PREFIX: &str = "mcp-";
/// Tells reverse proxies not to hold back a stream; its value is [`NO_BUFFERING`].
pub const ACCEL_BUFFERING: &str = "x-accel-buffering";
/// The value of [`ACCEL_BUFFERING`].
pub const NO_BUFFERING: &str = "no";
/// The media type of one message.
pub const JSON_TYPE: &str = "application/json";
/// The media type of a stream of messages.
pub const EVENT_STREAM_TYPE: &str = "text/event-stream";
/// What clients send as `Accept` with every POST.
pub const ACCEPT_BOTH: &str = "application/json, text/event-stream";

#[cfg(test)]
mod tests;
