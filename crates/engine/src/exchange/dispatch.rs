//! Sends a call to its server, and turns failures into what the client may know.

use std::pin::pin;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::time::{Instant, timeout_at};
use wire::{Era, Json, Method, Object, Version, meta, shape};

use super::opaque::Resealing;
use super::{Answer, Ticket, compose};
use crate::call::{Body, Call, Reply};
use crate::fault::{Fault, Reason};
use crate::fleet::Server;
use crate::gate::Gate;
use crate::interaction::task::{self, Way};
use crate::interaction::{self, Bounds, Resumed, Scene};
use crate::plan::{Endpoint, Snapshot};
use crate::upstream::Hello;

/// A call on an endpoint that serves one server as it is.
pub(super) async fn to_one(
    gate: &Arc<Gate>,
    snapshot: &Arc<Snapshot>,
    endpoint: &Arc<Endpoint>,
    server: &Arc<Server>,
    mut call: Box<Call>,
    ticket: &mut Ticket,
) -> Result<Answer, Fault> {
    call.deadline = Instant::now() + server.wanted.timeout.get();
    match call.method {
        Method::Discover => return Box::pin(discover(server, &call, ticket)).await,
        Method::ResourcesSubscribe | Method::ResourcesUnsubscribe | Method::SetLevel => {
            if let Some(answer) = Box::pin(kept_here(server, &call)).await? {
                return Ok(answer);
            }
        }
        _ => {}
    }
    task::declare(server, &mut call);
    let resealing = Resealing::of(&call, endpoint, server, &gate.current().limits);
    resealing.open(gate, &mut call)?;
    let reply = send(gate, snapshot, server, &call, false, ticket).await?;
    Ok(Answer::Reply(finish(gate, reply, &resealing)?, Box::new(resealing)))
}

/// A call that a step of a composite tool makes. Its result ends here, so nothing in it is sealed.
pub(super) fn of_step<'a>(
    gate: &'a Arc<Gate>,
    snapshot: &'a Arc<Snapshot>,
    server: &'a Arc<Server>,
    call: &'a mut Call,
    ticket: &'a mut Ticket,
) -> BoxFuture<'a, Result<Reply, Fault>> {
    task::declare(server, call);
    Box::pin(send(gate, snapshot, server, call, true, ticket))
}

/// Sends the call within its deadline, or goes on with the one that it continues.
pub(super) async fn send(
    gate: &Arc<Gate>,
    snapshot: &Arc<Snapshot>,
    server: &Arc<Server>,
    call: &Call,
    is_composed: bool,
    ticket: &mut Ticket,
) -> Result<Reply, Fault> {
    ticket.asked(server);
    if call.method == Method::ToolsCall && server.composite().is_some() {
        ticket.answered_by(Era::Modern);
        // Boxed: what it keeps between its steps is much, and other calls keep nothing of it.
        return Box::pin(compose::call(gate, snapshot, server, call)).await;
    }
    let mut rounds = 0;
    if let Some(name) = &call.resumes {
        match Box::pin(interaction::resume(scene(gate, server), call, name)).await? {
            Resumed::Reply(reply) => {
                ticket.answered_by(reply.era());
                return Ok(reply);
            }
            Resumed::Again(asked) => rounds = asked,
        }
    }
    match task::way(server, call, is_composed) {
        Way::Plain => {}
        Way::AsTask { declared } => {
            let reply = Box::pin(task::begin(scene(gate, server), call, declared)).await?;
            ticket.answered_by(reply.era());
            return Ok(reply);
        }
        Way::OfTask => {
            let reply = Box::pin(task::serve(scene(gate, server), call)).await?;
            ticket.answered_by(reply.era());
            return Ok(reply);
        }
    }
    // Pinned here: a timeout would move the call's large future once more.
    let sent = if call.method == Method::Listen {
        // A stream that may last for hours takes no place among the calls.
        timeout_at(call.deadline, pin!(server.open_stream(call))).await
    } else {
        timeout_at(call.deadline, pin!(server.call(call))).await
    };
    let reply = sent.unwrap_or(Err(crate::upstream::ServerError::Timeout));
    let reply = reply.map_err(|error| error.to_fault(&server.name))?;
    ticket.answered_by(reply.era());
    if reply.era() == call.caller.era() || !call.method.may_ask() {
        return Ok(reply);
    }
    interaction::bridge(scene(gate, server), call, reply, rounds)
}

/// Where the questions of a call to `server` are asked.
fn scene(gate: &Gate, server: &Arc<Server>) -> Scene {
    Scene {
        lot: Arc::clone(&gate.lot),
        callee: Arc::new(Arc::clone(server)),
        bounds: Bounds::of(&gate.current().limits),
    }
}

/// Seals what is opaque in an answer that is already here; streams are sealed message by message.
pub(super) fn finish(gate: &Gate, reply: Reply, resealing: &Resealing) -> Result<Reply, Fault> {
    let modern = reply.era() == Era::Modern;
    let body = match reply.body {
        Body::Done(outcome) => {
            resealing.screen(&outcome)?;
            Body::Done(resealing.answer(gate, outcome, modern))
        }
        stream @ Body::Stream(_) => stream,
    };
    Ok(Reply { body, ..reply })
}

/// `server/discover` for one server: its own description with the versions that the gate speaks.
async fn discover(server: &Arc<Server>, call: &Call, ticket: &mut Ticket) -> Result<Answer, Fault> {
    let peer = timeout_at(call.deadline, server.peer(&call.caller)).await;
    let peer = peer.unwrap_or(Err(crate::upstream::ServerError::Timeout));
    let peer = peer.map_err(|error| error.to_fault(&server.name))?;
    ticket.answered_by(peer.era());
    Ok(Answer::Own(described(peer.hello())))
}

/// A server's description as a `DiscoverResult`.
fn described(hello: &Hello) -> Object {
    let versions = supported_versions();
    let versions = wire::json::Edit::set("supportedVersions", versions.as_bytes());
    if hello.version.era() == Era::Modern {
        return hello.result.with(&[versions]);
    }
    let capabilities = modern_capabilities(&hello.capabilities);
    let mut edits = vec![
        wire::json::Edit::set("resultType", b"\"complete\""),
        versions,
        wire::json::Edit::set("capabilities", capabilities.as_bytes()),
    ];
    let instructions = hello.instructions.as_deref().map(Json::string);
    if let Some(instructions) = &instructions {
        edits.push(wire::json::Edit::set("instructions", instructions.as_bytes()));
    }
    edits.push(wire::json::Edit::set("ttlMs", b"0"));
    edits.push(wire::json::Edit::set("cacheScope", b"\"private\""));
    let info = hello.info.clone().unwrap_or_else(crate::identity);
    let meta = format!("{{\"{}\":{}}}", meta::SERVER_INFO, info.as_str());
    edits.push(wire::json::Edit::set("_meta", meta.as_bytes()));
    Object::empty().with(&edits)
}

/// A legacy server's capabilities as 2026-07-28 has them: tasks are an extension there.
fn modern_capabilities(capabilities: &Object) -> Json {
    let without = capabilities.with(&[wire::json::Edit::remove("tasks")]);
    if shape::task::takes_tools(capabilities) {
        return shape::task::declaring(&without);
    }
    without.to_json(&[])
}

/// Every version that the gate speaks to clients, newest first.
pub(super) fn supported_versions() -> Json {
    let names: Vec<_> = Version::ALL.iter().rev().map(|version| format!("\"{version}\"")).collect();
    Json::trusted(format!("[{}]", names.join(",")))
}

/// Subscriptions and log levels of a legacy client whose server's conversation is not its own: they
/// are kept here, and the gate sees to them.
async fn kept_here(server: &Arc<Server>, call: &Call) -> Result<Option<Answer>, Fault> {
    let Some(conversation) = &call.caller.conversation else { return Ok(None) };
    let peer = timeout_at(call.deadline, server.peer(&call.caller)).await;
    let peer = peer.unwrap_or(Err(crate::upstream::ServerError::Timeout));
    let peer = peer.map_err(|error| error.to_fault(&server.name))?;
    let own = peer.era() == Era::Legacy && server.own_peer(conversation.key()).is_some();
    if own {
        if call.method != Method::SetLevel {
            // It goes to the client's own conversation, and is made up for should that be lost.
            let uri = uri_of(call)?;
            if call.method == Method::ResourcesSubscribe {
                conversation.hold(&uri, server.watch_resource(&uri, Some(conversation)));
            } else {
                conversation.release(&uri);
            }
        }
        return Ok(None);
    }
    if call.method == Method::SetLevel {
        return Ok(Some(Answer::Own(Object::empty())));
    }
    if !peer.hello().abilities.subscribe {
        return Err(Fault::new(
            Reason::UnknownMethod,
            format!("server `{}` does not tell about single resources", server.name),
        ));
    }
    let uri = uri_of(call)?;
    subscribe(server, call, &uri, &uri).await;
    Ok(Some(Answer::Own(Object::empty())))
}

/// The `uri` parameter of the call.
pub(super) fn uri_of(call: &Call) -> Result<String, Fault> {
    call.params
        .text("uri")
        .map(std::borrow::Cow::into_owned)
        .ok_or_else(|| Fault::new(Reason::InvalidParams, "`uri` must be a string"))
}

/// Holds, or lets go, the legacy client's interest in a resource that `server` calls `uri`, and the
/// client `shown`.
pub(super) async fn subscribe(server: &Arc<Server>, call: &Call, uri: &str, shown: &str) {
    let Some(conversation) = &call.caller.conversation else { return };
    if call.method == Method::ResourcesSubscribe {
        let interest = server.watch_resource(uri, Some(conversation));
        interest.settled().await;
        conversation.hold(shown, interest);
    } else {
        conversation.release(shown);
    }
}
