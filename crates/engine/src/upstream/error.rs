//! What can go wrong with a server, and whether the call may have reached it.

use crate::fault::{Fault, Reason};
use crate::http::{ClientError, Delivery};

/// A call that got no answer from its server.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The connection failed or broke.
    #[error("{0}")]
    Http(#[from] ClientError),
    /// The process could not be started.
    #[error("{0}")]
    Start(String),
    /// The conversation ended before the answer.
    #[error("the connection to the server ended before the answer: {0}")]
    Closed(String),
    /// The server's session is gone; the call was refused, not executed.
    #[error("the server no longer knows the session")]
    SessionGone,
    /// The server wants other or no credentials.
    #[error("the server refused the credentials (HTTP {0})")]
    Refused(u16),
    /// The server answered with a status that carries no message.
    #[error("the server answered HTTP {0}")]
    Status(u16),
    /// The server broke the protocol.
    #[error("the server broke the protocol: {0}")]
    Protocol(String),
    /// There is no server yet: the document that it is made of cannot be used.
    #[error("the OpenAPI document cannot be used: {0}")]
    Document(String),
    /// An API answered what nothing can be made of, or what it wants is not configured.
    #[error("{0}")]
    Answer(String),
    /// The deadline passed.
    #[error("the server did not answer in time")]
    Timeout,
    /// A bound of the gate is reached.
    #[error("{0}")]
    Busy(String),
    /// The server found the mirrored headers wrong: its tools changed. The call was refused.
    #[error("the server refused the mirrored headers: {0}")]
    StaleTools(String),
    /// The gate ended the call, for a reason of its own.
    #[error("{0}")]
    Ended(Box<Fault>),
    /// The server's era is not the one it was known for; probe again.
    #[error("the server no longer speaks the era it was known for")]
    EraChanged,
}

impl ServerError {
    /// The end that the gate itself puts to a call.
    pub(crate) fn ended_by(fault: Fault) -> Self {
        Self::Ended(Box::new(fault))
    }

    /// Whether the server has certainly not executed the call, so that it may be sent again.
    pub fn never_arrived(&self) -> bool {
        match self {
            Self::Http(error) => error.delivered() == Delivery::No,
            Self::Start(_)
            | Self::Document(_)
            | Self::SessionGone
            | Self::Refused(_)
            | Self::Busy(_)
            | Self::StaleTools(_)
            | Self::EraChanged => true,
            Self::Closed(_)
            | Self::Status(_)
            | Self::Protocol(_)
            | Self::Answer(_)
            | Self::Timeout
            | Self::Ended(_) => false,
        }
    }

    /// The whole chain of causes, for the log.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        // `Http` shows its source's text already.
        if matches!(self, Self::Http(_)) {
            cause = cause.and_then(std::error::Error::source);
        }
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }

    /// What the client is told: the server's name and what to do, no address.
    pub fn to_fault(&self, server: &str) -> Fault {
        let (reason, message) = match self {
            Self::Ended(fault) => return Fault::clone(fault),
            Self::Timeout | Self::Http(ClientError::Timeout { .. }) => (
                Reason::DeadlineExceeded,
                format!(
                    "server `{server}` did not answer in time; the call may have been executed and \
                     was not sent again"
                ),
            ),
            Self::Busy(what) => (Reason::Overloaded, format!("server `{server}`: {what}")),
            Self::Refused(_) => (
                Reason::ServerFailed,
                format!(
                    "server `{server}` refused the gate's credentials; the operator must renew them"
                ),
            ),
            Self::Http(error) if error.delivered() == Delivery::No => (
                Reason::ServerFailed,
                format!("server `{server}` cannot be reached; try again later"),
            ),
            Self::Start(_) => (
                Reason::ServerFailed,
                format!(
                    "server `{server}` could not be started; see the gate's log or `portcullis doctor`"
                ),
            ),
            Self::Document(_) => (
                Reason::ServerFailed,
                format!(
                    "server `{server}` is an API whose document cannot be used; the gate's log and \
                     `portcullis doctor` say why"
                ),
            ),
            Self::Answer(what) => (Reason::ServerFailed, format!("server `{server}`: {what}")),
            Self::Http(ClientError::TooLarge { limit }) => (
                Reason::ServerFailed,
                format!(
                    "server `{server}` gave an answer longer than {limit} bytes; ask for less at \
                     once, or the operator raises `limits.response_bytes`"
                ),
            ),
            Self::Protocol(_)
            | Self::Status(_)
            | Self::StaleTools(_)
            | Self::Http(ClientError::Encoding { .. } | ClientError::Protocol(_)) => (
                Reason::ServerFailed,
                format!(
                    "server `{server}` gave an answer that is not valid MCP; the gate's log says \
                     what is wrong with it"
                ),
            ),
            Self::Http(_) | Self::Closed(_) | Self::SessionGone | Self::EraChanged => (
                Reason::ServerFailed,
                format!(
                    "the connection to server `{server}` ended before the answer; \
                     the call may have been executed and was not sent again"
                ),
            ),
        };
        Fault::new(reason, message).with_detail(self.chain())
    }
}
