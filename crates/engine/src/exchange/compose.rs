//! A tool that is made of calls: its steps in their order, each a call of its own through the gate.
//!
//! A call of a step is made for the client who called the tool: the same principal, the same session
//! with servers that keep one, within the same deadline. It takes the way of every call from
//! `dispatch` on, and leaves a record that names the call that it is part of. All steps run in the
//! future of the outer call: whoever drops that cancels them at their servers.
//!
//! Nobody is asked in the middle of a step: its server is told that nobody can be. To carry a
//! question out to the client would mean to keep what the steps before have done.

mod inner;
mod steps;

use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::mpsc;
use tokio::time::timeout_at;
use wire::{Json, Object, Outcome, RpcError, code, meta};

use crate::call::{Body, Call, Reply};
use crate::fault::{Fault, Reason};
use crate::fleet::{Held, Server};
use crate::gate::Gate;
use crate::plan::Snapshot;
use crate::upstream::{
    CompositeServer, CompositeStream, CompositeTool, ReplyStream, ServerError, Told,
};
use steps::Steps;

/// One call of a tool that is made of calls.
struct Composing {
    gate: Arc<Gate>,
    snapshot: Arc<Snapshot>,
    /// The server that the tool belongs to.
    server: Arc<Server>,
    composite: Arc<CompositeServer>,
    tool: Arc<CompositeTool>,
    /// The call of the tool.
    call: Box<Call>,
    /// Its place among the calls of its server.
    _held: Held,
    told: Option<mpsc::Sender<Told>>,
    /// The steps that run now.
    running: Mutex<Vec<String>>,
    /// The steps that have called, in their order, and how often.
    called: Mutex<Vec<(String, usize)>>,
}

/// Steps that may have ended before the client has heard of one: more than a tool has.
const TOLD_QUEUED: usize = 64;

/// Calls the tool that `call` names.
pub(super) async fn call(
    gate: &Arc<Gate>,
    snapshot: &Arc<Snapshot>,
    server: &Arc<Server>,
    call: &Call,
) -> Result<Reply, Fault> {
    let entered = server.enter_composite().await;
    let (composite, held) = entered.map_err(|error| error.to_fault(&server.name))?;
    let name = call.params.text("name").unwrap_or_default();
    let Some(tool) = composite.tool(&name).cloned() else {
        let error = RpcError::new(code::INVALID_PARAMS, format!("Unknown tool: {name}"));
        return Ok(composite.done(Err(error)));
    };
    let given = call.params.get("arguments").unwrap_or_else(|| Json::trusted("{}"));
    let arguments = given.object().ok_or_else(|| "the arguments must be an object".to_owned());
    let arguments = match arguments.and_then(|given| tool.arguments(&given)) {
        Ok(arguments) => arguments,
        Err(mistakes) => {
            return Ok(
                composite.done(Ok(composite.failed(&format!("Nothing was called: {mistakes}."))))
            );
        }
    };
    let mut composing = Composing {
        gate: Arc::clone(gate),
        snapshot: Arc::clone(snapshot),
        server: Arc::clone(server),
        composite: Arc::clone(&composite),
        tool,
        call: Box::new(call.clone()),
        _held: held,
        told: None,
        running: Mutex::default(),
        called: Mutex::default(),
    };
    let Some(token) = call.meta.get(meta::PROGRESS_TOKEN) else {
        let outcome = composing.run(arguments).await;
        return outcome
            .map(|outcome| composite.done(outcome))
            .map_err(|it| it.to_fault(&server.name));
    };
    let (told, heard) = mpsc::channel(TOLD_QUEUED);
    composing.told = Some(told);
    let run = Box::pin(composing.run(arguments));
    let stream = CompositeStream::new(run, heard, token);
    Ok(composite.reply(Body::Stream(ReplyStream::composite(stream))))
}

impl Composing {
    /// Runs the steps, until the deadline at the latest.
    async fn run(self, arguments: Json) -> Result<Outcome, ServerError> {
        let steps = Steps::new(&self, arguments);
        let Ok(ended) = timeout_at(self.call.deadline, steps.run()).await else {
            let message = format!(
                "the tool did not end within {}: {}; ask for less at once, or the operator raises \
                 `timeout` of server `{}`{}",
                self.server.wanted.timeout,
                self.unended(),
                self.server.name,
                self.not_undone(None)
            );
            return Err(ServerError::ended_by(Fault::new(Reason::DeadlineExceeded, message)));
        };
        Ok(Ok(match ended {
            Ok(value) => self.result(&value),
            Err(broken) => {
                self.composite.failed(&format!("{broken}{}", self.not_undone(broken.step())))
            }
        }))
    }

    fn result(&self, value: &Json) -> Object {
        match self.tool.misfits(value) {
            None => self.composite.result(value, self.tool.has_output()),
            Some(misfits) => self.composite.failed(&format!(
                "The steps have ended, and what was made of them does not fit the output schema of \
                 this tool: {misfits}. Do not repeat the call on that account.{}\nThe result: {}",
                self.not_undone(None),
                value.as_str()
            )),
        }
    }

    fn running(&self) -> MutexGuard<'_, Vec<String>> {
        self.running.lock().expect("no panic while holding the names")
    }

    /// The steps that were running at the end, for the model.
    fn unended(&self) -> String {
        let steps: Vec<_> = self.running().iter().map(|step| format!("`{step}`")).collect();
        match steps.as_slice() {
            [] => "none of its steps was running".to_owned(),
            [step] => format!("its step {step} was running, which may have been carried out"),
            steps => {
                format!(
                    "its steps {} were running, which may have been carried out",
                    steps.join(", ")
                )
            }
        }
    }

    /// What was called before the tool failed: whoever calls it again does that again. Of the step that
    /// failed that is its further calls.
    fn not_undone(&self, failed: Option<&str>) -> String {
        let called = self.called.lock().expect("no panic while holding the names");
        let others = called.iter().filter(|(step, times)| *times > 1 || Some(&**step) != failed);
        let others: Vec<_> = others
            .map(|(step, times)| match times {
                1 => format!("`{step}`"),
                times => format!("`{step}` ({times} times)"),
            })
            .collect();
        if others.is_empty() {
            return String::new();
        }
        format!("\nThese steps had called already, which is not undone: {}.", others.join(", "))
    }

    /// A step calls.
    fn calls(&self, step: &str) {
        let mut called = self.called.lock().expect("no panic while holding the names");
        match called.iter_mut().find(|(known, _)| known == step) {
            Some((_, times)) => *times += 1,
            None => called.push((step.to_owned(), 1)),
        }
    }

    /// A step has begun.
    fn begins(&self, step: &str) {
        self.running().push(step.to_owned());
    }

    /// A step has ended.
    fn ends(&self, step: &str, ended: usize) {
        self.running().retain(|running| running != step);
        if let Some(told) = &self.told {
            let total = self.tool.wanted.all_steps().count();
            // One that nobody has room for is left out: progress is all it is.
            let _ = told.try_send(Told { step: step.to_owned(), ended, total });
        }
    }
}
