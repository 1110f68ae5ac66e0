//! Reads a request's body within its size and time.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use crate::fault::{Fault, Reason};

/// Reads the whole body of a JSON request.
pub(crate) async fn read_body(
    head: &Parts,
    mut body: Incoming,
    limits: &config::Limits,
) -> Result<Bytes, Fault> {
    check_head(head, limits)?;
    let most = limits.body_bytes.len();
    let began = Instant::now();
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    loop {
        let received = first.len() + rest.len();
        let frame = timeout_at(patience(began, received, limits), body.frame()).await;
        let frame = frame.map_err(|_| {
            let rate = limits.body_rate_min.get();
            Fault::new(
                Reason::TooSlow,
                format!("the body arrived slower than {rate} bytes a second"),
            )
        })?;
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|error| {
            Fault::new(Reason::Malformed, "the body ended early").with_detail(error)
        })?;
        let Ok(chunk) = frame.into_data() else { continue };
        if received + chunk.len() > most {
            return Err(too_large(most));
        }
        if received == 0 {
            first = chunk;
        } else {
            if rest.is_empty() {
                rest.reserve(first.len() + chunk.len());
                rest.extend_from_slice(&std::mem::take(&mut first));
            }
            rest.extend_from_slice(&chunk);
        }
        if body.is_end_stream() {
            break;
        }
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

/// A body that passes through piece by piece, at no less than the minimum rate. Only the time that is
/// spent waiting for the client counts: the server may take as long as it likes.
pub(crate) struct Upload {
    body: Incoming,
    received: u64,
    waited: Duration,
    grace: Duration,
    rate: u64,
}

impl Upload {
    pub(crate) fn new(body: Incoming, limits: &config::Limits) -> Self {
        Self {
            body,
            received: 0,
            waited: Duration::ZERO,
            grace: limits.body_grace.get(),
            rate: limits.body_rate_min.get(),
        }
    }

    /// The next piece; `None` at the end. Trailers are passed over.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, Fault>> {
        loop {
            let earned = match self.rate {
                0 => Duration::from_hours(1),
                rate => Duration::from_millis(self.received.saturating_mul(1000) / rate),
            };
            let began = Instant::now();
            let patience = (self.grace + earned).saturating_sub(self.waited);
            let frame = timeout_at(began + patience, self.body.frame()).await;
            self.waited += began.elapsed();
            let Ok(frame) = frame else {
                let message = format!("the body arrived slower than {} bytes a second", self.rate);
                return Some(Err(Fault::new(Reason::TooSlow, message)));
            };
            match frame?.map(hyper::body::Frame::into_data) {
                Ok(Ok(piece)) => {
                    self.received += piece.len() as u64;
                    return Some(Ok(piece));
                }
                Ok(Err(_trailers)) => {}
                Err(error) => {
                    let fault = Fault::new(Reason::Malformed, "the body ended early");
                    return Some(Err(fault.with_detail(error)));
                }
            }
        }
    }

    /// Whether nothing more comes.
    pub(crate) fn is_over(&self) -> bool {
        self.body.is_end_stream()
    }

    /// How many bytes are still to come, where the client said so.
    pub(crate) fn length(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }
}

/// Until when the next piece may take: a grace, and then the minimum rate for what has come.
fn patience(began: Instant, received: usize, limits: &config::Limits) -> Instant {
    let rate = limits.body_rate_min.get();
    let earned = match rate {
        0 => Duration::from_hours(1),
        rate => Duration::from_millis(received as u64 * 1000 / rate),
    };
    began + limits.body_grace.get() + earned
}

fn check_head(head: &Parts, limits: &config::Limits) -> Result<(), Fault> {
    let value = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
    let essence = value(CONTENT_TYPE).and_then(|value| value.split(';').next()).map(str::trim);
    if !essence.is_some_and(|essence| essence.eq_ignore_ascii_case("application/json")) {
        return Err(Fault::new(Reason::Malformed, "Content-Type must be application/json")
            .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    if value(CONTENT_ENCODING).is_some_and(|coding| !coding.eq_ignore_ascii_case("identity")) {
        return Err(Fault::new(
            Reason::Malformed,
            "compressed bodies are not accepted; send it as it is",
        )
        .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    let most = limits.body_bytes.len();
    let declared = value(CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    if declared.is_some_and(|length| length > most as u64) {
        return Err(too_large(most));
    }
    Ok(())
}

fn too_large(most: usize) -> Fault {
    Fault::new(Reason::TooLarge, format!("the body is longer than {most} bytes"))
}
