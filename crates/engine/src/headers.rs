//! Names of MCP's headers, parsed once.

use http::HeaderName;
use wire::header;

pub(crate) const PROTOCOL_VERSION: HeaderName = HeaderName::from_static(header::PROTOCOL_VERSION);
pub(crate) const SESSION_ID: HeaderName = HeaderName::from_static(header::SESSION_ID);
pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static(header::LAST_EVENT_ID);
pub(crate) const METHOD: HeaderName = HeaderName::from_static(header::METHOD);
pub(crate) const NAME: HeaderName = HeaderName::from_static(header::NAME);
pub(crate) const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
pub(crate) const ACCEL_BUFFERING: HeaderName = HeaderName::from_static(header::ACCEL_BUFFERING);
