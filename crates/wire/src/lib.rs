//! MCP as bytes: what travels between clients, the gate and servers, in every protocol version.
//!
//! A message is parsed **once**, strictly, and its members then travel as raw slices of the
//! received bytes ([`json`], [`message`]). Everything here is pure: no I/O, no clock, no runtime.
//!
//! Suggested reading order: [`json`] → [`message`] → [`version`] → [`method`] → [`meta`] →
//! [`shape`] → [`sse`].

pub mod capability;
pub mod code;
pub mod header;
pub mod json;
pub mod log_level;
pub mod message;
pub mod meta;
pub mod method;
pub mod shape;
pub mod sse;
pub mod uri_template;
pub mod version;

pub use json::{Json, Limits, Malformed, Object};
pub use log_level::LogLevel;
pub use message::{Id, Message, Notification, Outcome, Request, Response, RpcError};
pub use method::Method;
pub use version::{Era, Version};
