//! The call of one step, and what its result is worth.

use std::borrow::Cow;

use config::Step;
use tokio::time::{Instant, timeout};
use wire::json::Edit;
use wire::{Id, Json, Method, Object, Outcome, Version, meta};

use super::Composing;
use crate::call::{Body, Call, Caller, Correlation, Event, Reply};
use crate::exchange::{Ticket, dispatch};
use crate::fault::Fault;
use crate::fleet::Server;
use crate::upstream::ServerError;

/// Longest reason for a failure that is told in bytes.
const REASON_BYTES_MAX: usize = 16 << 10;

/// Makes the call of a step; its value, or why there is none.
pub(super) async fn call(
    composing: &Composing,
    step: &Step,
    arguments: &Json,
) -> Result<Json, String> {
    let (gate, snapshot) = (&composing.gate, &composing.snapshot);
    let name = step.server.as_str();
    let endpoint = snapshot.endpoints.get(&format!("/servers/{name}/mcp"));
    let (Some(server), Some(endpoint)) = (snapshot.servers.get(name), endpoint) else {
        return Err(match snapshot.quarantined.get(name) {
            Some(_) => format!("server `{name}` is set aside; the gate's log says why"),
            None => format!("server `{name}` is disabled"),
        });
    };
    composing.calls(&step.name);
    let mut call = made(composing, step, arguments);
    // The deadline of the tool as a whole is kept around all its steps.
    call.deadline = Instant::now() + server.wanted.timeout.get();
    let mut ticket = Ticket::within(gate, endpoint, &call, composing.call.correlation);
    let reply = dispatch::of_step(gate, snapshot, server, &mut call, &mut ticket).await;
    let ended = match reply {
        Ok(reply) => answer(server, reply).await,
        Err(fault) => Err(fault),
    };
    match ended {
        Ok(outcome) => {
            ticket.answered(&outcome);
            value(outcome)
        }
        Err(fault) => {
            ticket.faulted(&fault);
            Err(fault.message)
        }
    }
}

/// The call as a client of the last version with sessions would make it: what its server asks comes
/// on the stream of the call, where nobody answers. It is said that nobody can be asked.
fn made(composing: &Composing, step: &Step, arguments: &Json) -> Box<Call> {
    let outer = &*composing.call;
    let tool = Json::string(&step.tool);
    let trace = outer.meta.get(meta::TRACE_PARENT);
    let trace = trace.iter().map(|trace| Edit::set(meta::TRACE_PARENT, trace.as_bytes()));
    let meta = Object::empty().with(&trace.collect::<Vec<_>>());
    let params = Object::empty()
        .with(&[Edit::set("name", tool.as_bytes()), Edit::set("arguments", arguments.as_bytes())]);
    let correlation = Correlation::fresh();
    Box::new(Call {
        id: Id::text(correlation.as_str()),
        method: Method::ToolsCall,
        method_name: Method::ToolsCall.name().expect("the method has a name").into(),
        params,
        meta,
        param_headers: Vec::new(),
        forwarded: outer.forwarded.clone(),
        caller: Caller {
            version: Version::LATEST_LEGACY,
            capabilities: Json::trusted("{}"),
            log_level: None,
            ..outer.caller.clone()
        },
        resumes: None,
        as_task: false,
        deadline: outer.deadline,
        correlation,
    })
}

/// Reads a reply to its end. What comes before the answer has nobody to go to; a question that is
/// dropped is answered with an error.
async fn answer(server: &Server, reply: Reply) -> Result<Outcome, Fault> {
    let mut stream = match reply.body {
        Body::Done(outcome) => return Ok(outcome),
        Body::Stream(stream) => stream,
    };
    loop {
        // Whoever says something is alive, as everywhere; the tool's own deadline bounds it all.
        let event = if stream.keeps_time() {
            stream.next().await
        } else {
            let event = timeout(server.wanted.timeout.get(), stream.next()).await;
            event.unwrap_or(Err(ServerError::Timeout))
        };
        match event {
            Ok(Event::Done(outcome)) => return Ok(outcome),
            Ok(Event::Notification(_) | Event::Question(_) | Event::Paused(_)) => {}
            Err(error) => return Err(error.to_fault(&server.name)),
        }
    }
}

/// What a result is worth to later steps: its structured content, else its text, as JSON where it is
/// JSON.
fn value(outcome: Outcome) -> Result<Json, String> {
    let result = outcome.map_err(|error| brief(error.message))?;
    if result.raw("isError") == Some(b"true") {
        return Err(match text(&result) {
            text if text.is_empty() => "it gave no reason".to_owned(),
            text => brief(text),
        });
    }
    match result.text("resultType").as_deref() {
        Some("input_required") => {
            return Err("its server asks for input, and nobody can be asked within a step; call \
                        that tool by itself"
                .to_owned());
        }
        Some("task") => return Err("its server made a task of it".to_owned()),
        _ => {}
    }
    if let Some(structured) = result.get("structuredContent") {
        return Ok(structured);
    }
    let text = text(&result);
    let parsed = Json::parse(text.clone().into(), &wire::Limits::SERVER);
    Ok(parsed.unwrap_or_else(|_| Json::string(&text)))
}

/// Why a call failed, in as much as a model needs of it.
fn brief(mut reason: String) -> String {
    if reason.len() > REASON_BYTES_MAX {
        let end = (0..=REASON_BYTES_MAX).rev().find(|&at| reason.is_char_boundary(at));
        reason.truncate(end.unwrap_or_default());
        reason.push('…');
    }
    reason
}

/// The texts of a result, one a line.
fn text(result: &Object) -> String {
    let blocks = result.get("content").and_then(|content| content.elements()).unwrap_or_default();
    let blocks: Vec<Object> = blocks.iter().filter_map(Json::object).collect();
    let texts = blocks.iter().filter(|block| block.text("type").as_deref() == Some("text"));
    let texts: Vec<Cow<'_, str>> = texts.filter_map(|block| block.text("text")).collect();
    texts.join("\n")
}
