//! The way of a call, from top to bottom: authenticate → resolve → admit → dispatch → record.
//!
//! Routing to an endpoint has happened at the edge; authorizing is part of resolving here, since a
//! view only holds what the endpoint offers: what is hidden cannot be named.

mod admit;
pub mod authenticate;
mod compose;
mod dispatch;
mod opaque;
mod plain;
mod record;
mod resolve;
mod task_ids;

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;
use wire::{Id, Json, Method, Object, Version};

pub(crate) use admit::{Admitted, StreamPlace};
pub(crate) use opaque::{Resealing, introduced};
pub(crate) use plain::{PlainBody, PlainRefusal, plain};
pub(crate) use record::Ticket;
pub(crate) use task_ids::TaskIds;

use crate::call::{Call, Caller, Correlation, Reply};
use crate::fault::Fault;
use crate::gate::Gate;
use crate::plan::{Endpoint, Serves, Snapshot};

/// What a call is answered with: messages of a server, or something the gate made itself.
#[derive(Debug)]
pub(crate) enum Answer {
    /// A server's reply; what the gate must change in it is in `edits`.
    Reply(Reply, Box<Resealing>),
    /// A result of the gate, in modern shape.
    Own(Object),
    /// One page of a composed list.
    Page(PageOut),
}

/// One page of a composed list, ready for either era.
#[derive(Debug)]
pub(crate) struct PageOut {
    pub(crate) member: Bytes,
    pub(crate) next_cursor: Option<String>,
    pub(crate) ttl_ms: u64,
    pub(crate) is_public: bool,
}

/// Takes one call through the gate.
pub(crate) async fn exchange(
    gate: &Arc<Gate>,
    snapshot: &Arc<Snapshot>,
    endpoint: &Arc<Endpoint>,
    call: Box<Call>,
    ticket: &mut Ticket,
) -> Result<(Answer, Admitted), Fault> {
    let admitted = Admitted::enter(gate, snapshot)?;
    let answer = match &endpoint.serves {
        Serves::One(server) => {
            ticket.asked(server);
            dispatch::to_one(gate, snapshot, endpoint, server, call, ticket).await
        }
        Serves::Composed(composed) => {
            resolve::and_dispatch(gate, snapshot, endpoint, composed, call, ticket).await
        }
    };
    Ok((answer?, admitted))
}

/// A call that the gate itself makes.
pub(crate) fn gate_call(method: Method, members: &[(&str, Json)], caller: Caller) -> Call {
    let meta = format!(
        "{{\"{}\":\"{}\",\"{}\":{},\"{}\":{}}}",
        wire::meta::PROTOCOL_VERSION,
        Version::LATEST,
        wire::meta::CLIENT_CAPABILITIES,
        caller.capabilities.as_str(),
        wire::meta::CLIENT_INFO,
        crate::identity().as_str(),
    );
    let meta = Json::trusted(meta);
    let mut edits: Vec<_> =
        members.iter().map(|(key, value)| wire::json::Edit::set(key, value.as_bytes())).collect();
    edits.push(wire::json::Edit::set("_meta", meta.as_bytes()));
    let correlation = Correlation::fresh();
    Call {
        id: Id::text(correlation.as_str()),
        method,
        method_name: method.name().expect("the gate calls methods that it knows").into(),
        params: Object::empty().with(&edits),
        meta: meta.object().expect("written as an object"),
        param_headers: Vec::new(),
        forwarded: Vec::new(),
        caller,
        resumes: None,
        as_task: false,
        deadline: Instant::now() + GATE_CALL_WAIT,
        correlation,
    }
}

/// How long the gate waits for an answer to a call of its own.
const GATE_CALL_WAIT: std::time::Duration = std::time::Duration::from_secs(30);
