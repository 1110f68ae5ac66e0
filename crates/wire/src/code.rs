//! Error codes of JSON-RPC and of every protocol version.

/// The text is not JSON (JSON-RPC).
pub const PARSE_ERROR: i64 = -32700;
/// The JSON is no request (JSON-RPC).
pub const INVALID_REQUEST: i64 = -32600;
/// No such method (JSON-RPC).
pub const METHOD_NOT_FOUND: i64 = -32601;
/// Wrong parameters, an unknown tool, prompt or (since 2026-07-28) resource.
pub const INVALID_PARAMS: i64 = -32602;
/// A failure that is nobody's fault outside (JSON-RPC).
pub const INTERNAL_ERROR: i64 = -32603;
/// Resource not found, up to 2025-11-25.
pub const RESOURCE_NOT_FOUND: i64 = -32002;
/// A URL must be visited first, 2025-11-25 only; `data.elicitations` lists it.
pub const URL_ELICITATION_REQUIRED: i64 = -32042;
/// Headers and body disagree, 2026-07-28, HTTP 400.
pub const HEADER_MISMATCH: i64 = -32020;
/// The client lacks a capability, 2026-07-28, HTTP 400; `data.requiredCapabilities` names it.
pub const MISSING_CLIENT_CAPABILITY: i64 = -32021;
/// The version is not spoken here, 2026-07-28, HTTP 400; `data.supported` lists those that are.
pub const UNSUPPORTED_VERSION: i64 = -32022;
/// What several SDKs answer for an unknown session; meaning is not defined by the specification.
pub const SESSION_NOT_FOUND: i64 = -32001;

/// The block the gate's own errors use, outside the range that JSON-RPC and MCP reserve.
pub mod gate {
    /// The server behind the gate cannot be reached or answered nonsense.
    pub const SERVER_UNAVAILABLE: i64 = 1001;
    /// The server did not answer in time.
    pub const DEADLINE_EXCEEDED: i64 = 1002;
    /// A limit of the gate is reached; try again later.
    pub const OVERLOADED: i64 = 1003;
    /// The server asks something that this client cannot be asked.
    pub const INTERACTION_UNAVAILABLE: i64 = 1004;
    /// Nobody answered a question of the server in time, or the call that asked is gone.
    pub const INTERACTION_EXPIRED: i64 = 1005;
    /// A question or its answer was not let through.
    pub const INTERACTION_REFUSED: i64 = 1006;
}
