//! The `_meta` keys that the protocol defines.

/// Correlates progress notifications with their request; all versions.
pub const PROGRESS_TOKEN: &str = "progressToken";
/// The protocol version of a request, required since 2026-07-28.
pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// The client's capabilities, required with every request since 2026-07-28.
pub const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// Who the client says it is; never for decisions.
pub const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
/// Least severity of the log messages the request wants.
pub const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// Who the server says it is, on every result since 2026-07-28.
pub const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
/// The id of the `subscriptions/listen` request that a notification belongs to.
pub const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";
/// The task that a message belongs to, 2025-11-25 only.
pub const RELATED_TASK: &str = "io.modelcontextprotocol/related-task";
/// Where a MCP App's view stands.
pub const UI: &str = "ui";
/// The earlier, flat form of `ui.resourceUri`.
pub const UI_RESOURCE_URI: &str = "ui/resourceUri";
/// W3C trace context, carried unprefixed (SEP-414).
pub const TRACE_PARENT: &str = "traceparent";

/// The keys of a modern request that belong to the hop and are rewritten between eras.
pub const PER_REQUEST: [&str; 4] = [PROTOCOL_VERSION, CLIENT_CAPABILITIES, CLIENT_INFO, LOG_LEVEL];

/// The keys of a legacy server's request that belong to its hop.
pub const LEGACY_HOP: [&str; 2] = [PROGRESS_TOKEN, RELATED_TASK];
