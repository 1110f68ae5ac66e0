//! The only error a client sees. The one file that chooses HTTP statuses and JSON-RPC codes.
//!
//! `docs/faults.md` explains each [`Reason`] to the person who must act.

use std::fmt;

use http::StatusCode;
use wire::{Era, Json, Message, Method, RpcError, Version, code, message};

/// Why a call ended without a server's own answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The body is no message that may travel further.
    Malformed,
    /// The body is longer than the limit.
    TooLarge,
    /// The body arrived slower than the minimum rate.
    TooSlow,
    /// Headers and body disagree.
    HeaderMismatch,
    /// The protocol version is not spoken here.
    UnsupportedVersion,
    /// The method does not exist in this version, or nobody here serves it.
    UnknownMethod,
    /// The tool, prompt or resource does not exist, or may not be seen.
    UnknownName,
    /// The parameters are not what the method takes.
    InvalidParams,
    /// There is no such session; initialize again.
    UnknownSession,
    /// The client did not declare a capability that the call needs.
    MissingCapability,
    /// Host or Origin is not one of ours.
    ForbiddenOrigin,
    /// A limit of the gate is reached.
    Overloaded,
    /// The server cannot be reached, or broke the protocol.
    ServerFailed,
    /// The server did not answer within the deadline.
    DeadlineExceeded,
    /// The call was cancelled by the client.
    Cancelled,
    /// The server asks something that this client cannot be asked.
    InteractionUnavailable,
    /// Nobody answered the server's question in time, or the call that asked is gone.
    InteractionExpired,
    /// A question of the server, or the answer to it, is not let through.
    InteractionRefused,
    /// The gate is draining.
    ShuttingDown,
    /// A bug of the gate.
    Internal,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Self; 20] = [
        Self::Malformed,
        Self::TooLarge,
        Self::TooSlow,
        Self::HeaderMismatch,
        Self::UnsupportedVersion,
        Self::UnknownMethod,
        Self::UnknownName,
        Self::InvalidParams,
        Self::UnknownSession,
        Self::MissingCapability,
        Self::ForbiddenOrigin,
        Self::Overloaded,
        Self::ServerFailed,
        Self::DeadlineExceeded,
        Self::Cancelled,
        Self::InteractionUnavailable,
        Self::InteractionExpired,
        Self::InteractionRefused,
        Self::ShuttingDown,
        Self::Internal,
    ];

    /// The label in metrics, `data.reason` and the anchor in `docs/faults.md`.
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::TooLarge => "too-large",
            Self::TooSlow => "too-slow",
            Self::HeaderMismatch => "header-mismatch",
            Self::UnsupportedVersion => "unsupported-version",
            Self::UnknownMethod => "unknown-method",
            Self::UnknownName => "unknown-name",
            Self::InvalidParams => "invalid-params",
            Self::UnknownSession => "unknown-session",
            Self::MissingCapability => "missing-capability",
            Self::ForbiddenOrigin => "forbidden-origin",
            Self::Overloaded => "overloaded",
            Self::ServerFailed => "server-failed",
            Self::DeadlineExceeded => "deadline-exceeded",
            Self::Cancelled => "cancelled",
            Self::InteractionUnavailable => "interaction-unavailable",
            Self::InteractionExpired => "interaction-expired",
            Self::InteractionRefused => "interaction-refused",
            Self::ShuttingDown => "shutting-down",
            Self::Internal => "internal",
        }
    }

    /// The JSON-RPC code towards a client of `era`.
    pub const fn code(self, era: Era) -> i64 {
        match (self, era) {
            (Self::HeaderMismatch, Era::Modern) => code::HEADER_MISMATCH,
            (Self::UnsupportedVersion, Era::Modern) => code::UNSUPPORTED_VERSION,
            (Self::MissingCapability, Era::Modern) => code::MISSING_CLIENT_CAPABILITY,
            (
                Self::Malformed
                | Self::TooLarge
                | Self::TooSlow
                | Self::HeaderMismatch
                | Self::UnsupportedVersion
                | Self::MissingCapability
                | Self::ForbiddenOrigin,
                _,
            ) => code::INVALID_REQUEST,
            (Self::UnknownMethod, _) => code::METHOD_NOT_FOUND,
            (Self::UnknownName | Self::InvalidParams, _) => code::INVALID_PARAMS,
            (Self::UnknownSession, _) => code::SESSION_NOT_FOUND,
            (Self::Overloaded | Self::ShuttingDown, _) => code::gate::OVERLOADED,
            (Self::ServerFailed, _) => code::gate::SERVER_UNAVAILABLE,
            (Self::DeadlineExceeded | Self::Cancelled, _) => code::gate::DEADLINE_EXCEEDED,
            (Self::InteractionUnavailable, _) => code::gate::INTERACTION_UNAVAILABLE,
            (Self::InteractionExpired, _) => code::gate::INTERACTION_EXPIRED,
            (Self::InteractionRefused, _) => code::gate::INTERACTION_REFUSED,
            (Self::Internal, _) => code::INTERNAL_ERROR,
        }
    }

    /// The HTTP status towards a client of `era`. Failures of a handler ride on 200, as in every
    /// official SDK; only what concerns the HTTP request itself has a status of its own.
    pub const fn status(self, era: Era) -> StatusCode {
        match (self, era) {
            (Self::Malformed | Self::HeaderMismatch | Self::UnsupportedVersion, _)
            | (Self::MissingCapability, Era::Modern) => StatusCode::BAD_REQUEST,
            (Self::TooLarge, _) => StatusCode::PAYLOAD_TOO_LARGE,
            (Self::TooSlow, _) => StatusCode::REQUEST_TIMEOUT,
            (Self::UnknownMethod, Era::Modern) | (Self::UnknownSession, _) => StatusCode::NOT_FOUND,
            (Self::ForbiddenOrigin, _) => StatusCode::FORBIDDEN,
            (Self::Overloaded | Self::ShuttingDown, _) => StatusCode::SERVICE_UNAVAILABLE,
            (Self::Internal, _) => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::OK,
        }
    }

    /// The HTTP status towards a client of a plain API: there is no envelope that could say more.
    pub const fn plain_status(self) -> StatusCode {
        match self {
            Self::UnknownName | Self::UnknownMethod => StatusCode::NOT_FOUND,
            Self::InvalidParams => StatusCode::BAD_REQUEST,
            Self::ServerFailed => StatusCode::BAD_GATEWAY,
            Self::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
            other => match other.status(Era::Modern) {
                StatusCode::OK => StatusCode::BAD_GATEWAY,
                status => status,
            },
        }
    }

    /// Whether a tool call that ends like this is better told to the model, as a result with
    /// `isError`, than to the host as a protocol error.
    const fn concerns_the_model(self) -> bool {
        matches!(
            self,
            Self::ServerFailed
                | Self::DeadlineExceeded
                | Self::Cancelled
                | Self::InteractionUnavailable
                | Self::InteractionExpired
                | Self::InteractionRefused
        )
    }
}

/// An error towards a client. `detail` is for the log and never sent.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The class of the error.
    pub reason: Reason,
    /// What happened and what to do, for the client.
    pub message: String,
    /// What only the operator may see: addresses, texts of operating system errors.
    pub detail: Option<String>,
    /// Overrides the status of the reason where the transport demands another.
    pub status: Option<StatusCode>,
    /// Further members of `data`, as JSON text.
    data: Option<String>,
    code: Option<i64>,
}

impl Fault {
    /// A fault with the message for the client.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), detail: None, status: None, data: None, code: None }
    }

    /// The same with what only the log shall say.
    pub fn with_detail(mut self, detail: impl fmt::Display) -> Self {
        self.detail = Some(detail.to_string());
        self
    }

    /// The same with another HTTP status.
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = Some(status);
        self
    }

    /// A text that is no acceptable message.
    pub fn refused(refusal: &message::Refusal) -> Self {
        let mut fault = Self::new(Reason::Malformed, refusal.to_string());
        fault.code = Some(refusal.to_error().code);
        fault
    }

    /// A version that the gate does not speak.
    pub fn unsupported_version(requested: &str) -> Self {
        let names: Vec<_> =
            Version::ALL.iter().rev().map(|version| format!("\"{version}\"")).collect();
        let mut requested_json = Vec::new();
        wire::json::write_string(&mut requested_json, requested);
        let members = format!(
            "\"supported\":[{}],\"requested\":{}",
            names.join(","),
            String::from_utf8_lossy(&requested_json)
        );
        let mut fault = Self::new(
            Reason::UnsupportedVersion,
            format!("Unsupported protocol version; this gate speaks {}", Version::LATEST),
        );
        fault.data = Some(members);
        fault
    }

    /// A method of an extension that the client did not declare with the request.
    pub fn missing_extension(extension: &str) -> Self {
        let mut fault = Self::new(
            Reason::MissingCapability,
            format!(
                "Missing required client capability: declare the extension `{extension}` with the request"
            ),
        );
        fault.data =
            Some(format!("\"requiredCapabilities\":{{\"extensions\":{{\"{extension}\":{{}}}}}}"));
        fault
    }

    /// A resource that nobody here has; legacy clients know it by a code of its own.
    pub fn unknown_resource(uri: &str, era: Era) -> Self {
        let mut fault = Self::new(Reason::UnknownName, format!("Resource not found: {uri}"));
        if era == Era::Legacy {
            fault.code = Some(code::RESOURCE_NOT_FOUND);
        }
        fault
    }

    /// The HTTP status towards a client of `era`.
    pub fn status(&self, era: Era) -> StatusCode {
        self.status.unwrap_or_else(|| self.reason.status(era))
    }

    /// The HTTP status towards a client of a plain API.
    pub fn plain_status(&self) -> StatusCode {
        self.status.unwrap_or_else(|| self.reason.plain_status())
    }

    /// The body of the answer to a client of a plain API (RFC 9457).
    pub fn to_problem(&self, call_id: &str) -> Json {
        let status = self.plain_status();
        let title = Json::string(status.canonical_reason().unwrap_or_default());
        let detail = Json::string(&self.message);
        Json::trusted(format!(
            "{{\"type\":\"about:blank\",\"title\":{},\"status\":{},\"detail\":{},\
             \"reason\":\"{}\",\"correlationId\":\"{call_id}\"}}",
            title.as_str(),
            status.as_u16(),
            detail.as_str(),
            self.reason.slug(),
        ))
    }

    /// The JSON-RPC error towards a client of `era`.
    pub fn to_error(&self, era: Era, call_id: &str) -> RpcError {
        let members = self.data.as_ref().map_or(String::new(), |members| format!(",{members}"));
        let data = format!(
            "{{\"reason\":\"{}\",\"correlationId\":\"{call_id}\"{members}}}",
            self.reason.slug()
        );
        RpcError {
            code: self.code.unwrap_or_else(|| self.reason.code(era)),
            message: self.message.clone(),
            data: Some(Json::trusted(data)),
        }
    }

    /// The outcome of the request towards a client of `era`: a result with `isError` where the
    /// model can do something about it, else a JSON-RPC error.
    pub fn to_outcome(&self, method: Method, era: Era, call_id: &str) -> wire::Outcome {
        if method != Method::ToolsCall || !self.reason.concerns_the_model() {
            return Err(self.to_error(era, call_id));
        }
        let mut out = Vec::with_capacity(self.message.len() + 256);
        out.push(b'{');
        if era == Era::Modern {
            out.extend_from_slice(b"\"resultType\":\"complete\",");
        }
        out.extend_from_slice(b"\"content\":[{\"type\":\"text\",\"text\":");
        wire::json::write_string(&mut out, &self.message);
        out.extend_from_slice(b"}],\"isError\":true,\"_meta\":{\"io.portcullis/fault\":");
        let fault =
            format!("{{\"reason\":\"{}\",\"correlationId\":\"{call_id}\"}}", self.reason.slug());
        out.extend_from_slice(fault.as_bytes());
        out.extend_from_slice(b"}}");
        Ok(Json::trusted(out).object().expect("written as an object"))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason.slug(), self.message)?;
        match &self.detail {
            Some(detail) => write!(f, " ({detail})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Fault {}

/// Reads a client's message, or says why not.
pub(crate) fn decode(text: &bytes::Bytes, limits: &wire::Limits) -> Result<Message, Fault> {
    Message::decode(text, limits).map_err(|refusal| Fault::refused(&refusal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_explained_with_the_codes_it_has() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/faults.md");
        let page = std::fs::read_to_string(path).unwrap();
        for reason in Reason::ALL {
            let slug = reason.slug();
            assert!(page.contains(&format!("### {slug}\n")), "no section for {slug}");
            let row = page.lines().find(|line| line.starts_with('|') && line.contains(slug));
            let row = row.unwrap_or_else(|| panic!("no row for {slug}"));
            for era in [Era::Modern, Era::Legacy] {
                let (code, status) = (reason.code(era), reason.status(era).as_u16());
                assert!(row.contains(&code.to_string()), "{slug}: {code} is not in {row}");
                assert!(row.contains(&status.to_string()), "{slug}: {status} is not in {row}");
            }
        }
    }
}
