//! Exactly one record for each call, whatever happened: the ticket leaves it at the latest when it is
//! dropped.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use store::{CallOutcome, CallRecord};
use tokio::time::Instant;
use wire::{Era, Outcome};

use crate::call::{Call, Correlation};
use crate::fault::{Fault, Reason};
use crate::fleet::Server;
use crate::gate::Gate;
use crate::plan::Endpoint;

/// A call being made; its record is kept when it ends.
pub(crate) struct Ticket {
    gate: Arc<Gate>,
    began: Instant,
    record: Option<CallRecord>,
}

impl Ticket {
    pub(crate) fn of(gate: &Arc<Gate>, endpoint: &Endpoint, call: &Call) -> Self {
        let name = call.method.name_member().and_then(|member| call.params.text(member));
        let method = match call.method.name() {
            Some(name) => name.into(),
            None => call.method_name.as_str().to_owned().into(),
        };
        let version = call.caller.version.as_str();
        let mut ticket = Self::begun(gate, endpoint, call.correlation, method, version);
        if let Some(name) = name {
            ticket.is_for(&name);
        }
        ticket
    }

    /// A call that is part of another one.
    pub(crate) fn within(
        gate: &Arc<Gate>,
        endpoint: &Endpoint,
        call: &Call,
        parent: Correlation,
    ) -> Self {
        let mut ticket = Self::of(gate, endpoint, call);
        if let Some(record) = &mut ticket.record {
            record.parent = Some(digits(parent));
        }
        ticket
    }

    /// A plain request, which is no MCP call: its method is the one of HTTP.
    pub(crate) fn of_plain(
        gate: &Arc<Gate>,
        endpoint: &Endpoint,
        verb: &http::Method,
        correlation: Correlation,
    ) -> Self {
        Self::begun(gate, endpoint, correlation, verb.as_str().to_owned().into(), "http")
    }

    fn begun(
        gate: &Arc<Gate>,
        endpoint: &Endpoint,
        correlation: Correlation,
        method: Cow<'static, str>,
        client_version: &'static str,
    ) -> Self {
        let record = CallRecord {
            correlation: digits(correlation),
            parent: None,
            endpoint: Arc::clone(&endpoint.path),
            server: None,
            method,
            name: None,
            client_version,
            server_era: None,
            outcome: CallOutcome::Fault(Reason::Cancelled.slug()),
            duration: Duration::ZERO,
            rounds: 0,
            waited: Duration::ZERO,
            detail: None,
        };
        Self { gate: Arc::clone(gate), began: Instant::now(), record: Some(record) }
    }

    /// What is called: a tool, prompt or resource, or the tool whose operation a plain request is for.
    pub(crate) fn is_for(&mut self, tool: &str) {
        if let Some(record) = &mut self.record {
            record.name = Some(tool.into());
        }
    }

    /// The last byte of a plain answer with this status is on its way.
    pub(crate) fn relayed(&mut self, status: http::StatusCode) {
        let failed = status.is_client_error() || status.is_server_error();
        self.end(if failed { CallOutcome::ServerError } else { CallOutcome::Success }, None);
    }

    pub(crate) fn asked(&mut self, server: &Server) {
        if let Some(record) = &mut self.record {
            record.server = Some(Arc::clone(&server.name));
        }
    }

    pub(crate) fn answered_by(&mut self, era: Era) {
        if let Some(record) = &mut self.record {
            record.server_era = Some(era.as_str());
        }
    }

    /// How often the client was asked, and how long its answers took.
    pub(crate) fn asked_client(&mut self, rounds: u32, waited: Duration) {
        if let Some(record) = &mut self.record {
            (record.rounds, record.waited) = (rounds, waited);
        }
    }

    /// The call ended with a server's answer.
    pub(crate) fn answered(&mut self, outcome: &Outcome) {
        let outcome = match outcome {
            Ok(result) if result.raw("isError") == Some(b"true") => CallOutcome::ServerError,
            Ok(result) if result.raw("resultType") == Some(b"\"input_required\"") => {
                if let Some(record) = &mut self.record {
                    record.rounds = record.rounds.max(1);
                }
                CallOutcome::Asked
            }
            Ok(_) => CallOutcome::Success,
            Err(_) => CallOutcome::ServerError,
        };
        self.end(outcome, None);
    }

    /// The call ended with a result of the gate's own.
    pub(crate) fn served(&mut self) {
        self.end(CallOutcome::Success, None);
    }

    /// The gate ended the call.
    pub(crate) fn faulted(&mut self, fault: &Fault) {
        let detail = fault.detail.clone().unwrap_or_else(|| fault.message.clone());
        self.end(CallOutcome::Fault(fault.reason.slug()), Some(detail.into()));
    }

    fn end(&mut self, outcome: CallOutcome, detail: Option<Box<str>>) {
        let Some(mut record) = self.record.take() else { return };
        record.outcome = outcome;
        record.duration = self.began.elapsed();
        record.detail = detail;
        self.gate.recorder.record(record);
    }
}

fn digits(correlation: Correlation) -> [u8; 16] {
    correlation.as_str().as_bytes().try_into().unwrap_or([b'0'; 16])
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.end(CallOutcome::Fault(Reason::Cancelled.slug()), None);
    }
}
