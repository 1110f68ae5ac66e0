//! Passes a server's reply on, message by message, until its end.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep_until};
use wire::method::name;
use wire::shape::question;
use wire::{
    Era, Id, Json, LogLevel, Method, Notification, Object, Outcome, RpcError, Version, code,
    message,
};

use super::convert::Conversion;
use crate::call::{Body, Call, Correlation, Event, Question, Reply};
use crate::exchange::{Admitted, Answer, PageOut, Resealing, Ticket};
use crate::fault::{Fault, Reason};
use crate::gate::Gate;
use crate::plan::{Endpoint, Serves, Snapshot};
use crate::upstream::{ReplyStream, ServerError};

/// What the exchange made of a call, with all that lives as long as the call.
pub(super) struct Exchanged {
    pub(super) about: About,
    pub(super) result: Result<(Answer, Admitted), Fault>,
    pub(super) ticket: Ticket,
}

/// What the way back needs to know of a call.
pub(super) struct About {
    gate: Arc<Gate>,
    id: Id,
    method: Method,
    version: Version,
    /// Least severity of log messages wanted; `None` means none are.
    logs: Option<LogLevel>,
    correlation: Correlation,
    composed: bool,
    server_timeout: Duration,
    deadline_max: Duration,
}

/// Longer results are sent in pieces that share the text they came in.
const WRITTEN_WHOLE_MAX: usize = 16 << 10;

/// Longer than any process runs.
const FOR_EVER: Duration = Duration::from_hours(24 * 365);

/// What the client is sent.
pub(super) enum Sent {
    /// One message: pieces that are its text, and whether the server streamed it.
    Whole { parts: Vec<Bytes>, streamed: bool, error: Option<i64> },
    /// Several.
    Stream(Box<Relay>),
}

/// Takes a call through the gate.
pub(super) async fn exchange(
    gate: Arc<Gate>,
    snapshot: Arc<Snapshot>,
    endpoint: Arc<Endpoint>,
    call: Box<Call>,
) -> Exchanged {
    let mut ticket = Ticket::of(&gate, &endpoint, &call);
    let server_timeout = match &endpoint.serves {
        Serves::One(server) => server.wanted.timeout.get(),
        Serves::Composed(_) => snapshot.limits.call_deadline.get(),
    };
    let about = About {
        gate: Arc::clone(&gate),
        id: call.id.clone(),
        method: call.method,
        version: call.caller.version,
        logs: call.caller.log_level.as_ref().and_then(Json::text).map(|name| level(&name)),
        correlation: call.correlation,
        composed: matches!(endpoint.serves, Serves::Composed(_)),
        server_timeout,
        deadline_max: snapshot.limits.call_deadline_max.get(),
    };
    let result = crate::exchange::exchange(&gate, &snapshot, &endpoint, call, &mut ticket).await;
    Exchanged { about, result, ticket }
}

impl Exchanged {
    /// The first message, or all there is.
    pub(super) fn send(self) -> Sent {
        let Self { about, result, mut ticket } = self;
        match result {
            Err(fault) => {
                ticket.faulted(&fault);
                about.whole(&about.fault(&fault), false)
            }
            Ok((Answer::Own(result), _admitted)) => {
                ticket.served();
                about.whole(&Ok(about.own(result)), false)
            }
            Ok((Answer::Page(page), _admitted)) => {
                ticket.served();
                Sent::Whole { parts: about.page(page), streamed: false, error: None }
            }
            Ok((Answer::Reply(reply, resealing), admitted)) => {
                let conversion = about.conversion(&reply, &resealing);
                let Reply { streamed, body, .. } = reply;
                match body {
                    Body::Done(outcome) => {
                        ticket.answered(&outcome);
                        about.whole(&conversion.outcome(outcome), streamed)
                    }
                    Body::Stream(stream) => Sent::Stream(Box::new(Relay {
                        deadline: about.deadline(),
                        latest: about.latest(),
                        about,
                        conversion,
                        resealing,
                        stream,
                        ticket,
                        _admitted: admitted,
                    })),
                }
            }
        }
    }

    /// The outcome, for clients that can take nothing else: what comes before it is left out, and
    /// questions go unanswered.
    pub(super) async fn outcome(self) -> Vec<u8> {
        match self.send() {
            Sent::Whole { parts, .. } => parts.concat(),
            Sent::Stream(mut relay) => loop {
                if let Step::End(text) = relay.next().await {
                    return text;
                }
            },
        }
    }
}

impl About {
    fn era(&self) -> Era {
        self.version.era()
    }

    /// When the next message must be here. A listen stream may be silent for ever.
    fn deadline(&self) -> Instant {
        match self.method {
            Method::Listen => Instant::now() + FOR_EVER,
            _ => Instant::now() + self.server_timeout,
        }
    }

    /// When the call ends whatever comes.
    fn latest(&self) -> Instant {
        match self.method {
            Method::Listen => Instant::now() + FOR_EVER,
            _ => Instant::now() + self.deadline_max,
        }
    }

    fn conversion(&self, reply: &Reply, resealing: &Resealing) -> Conversion {
        let output = resealing.output();
        Conversion::new(self.method, self.version, self.correlation, reply, output, self.composed)
    }

    fn fault(&self, fault: &Fault) -> Outcome {
        fault.to_outcome(self.method, self.era(), self.correlation.as_str())
    }

    /// A result that the gate made in modern shape.
    fn own(&self, result: Object) -> Object {
        match self.era() {
            Era::Modern => result,
            Era::Legacy => wire::shape::result_to_legacy(&result),
        }
    }

    fn whole(&self, outcome: &Outcome, streamed: bool) -> Sent {
        let error = outcome.as_ref().err().map(|error: &RpcError| error.code);
        let parts = match outcome {
            Ok(result) if result.text_len() > WRITTEN_WHOLE_MAX => {
                message::encode_result_pieces(&self.id, result)
            }
            _ => vec![message::encode_outcome(&self.id, outcome).into()],
        };
        Sent::Whole { parts, streamed, error }
    }

    /// A page, with its list shared rather than copied.
    fn page(&self, page: PageOut) -> Vec<Bytes> {
        let mut head = Vec::with_capacity(64);
        head.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
        head.extend_from_slice(self.id.as_bytes());
        head.extend_from_slice(b",\"result\":{");
        let mut tail = Vec::with_capacity(256);
        if let Some(cursor) = &page.next_cursor {
            tail.extend_from_slice(b",\"nextCursor\":");
            wire::json::write_string(&mut tail, cursor);
        }
        if self.era() == Era::Modern {
            let scope = if page.is_public { "public" } else { "private" };
            let hints = format!(
                ",\"resultType\":\"complete\",\"ttlMs\":{},\"cacheScope\":\"{scope}\",\"_meta\":{{\"{}\":{}}}",
                page.ttl_ms,
                wire::meta::SERVER_INFO,
                crate::identity().as_str(),
            );
            tail.extend_from_slice(hints.as_bytes());
        }
        tail.extend_from_slice(b"}}");
        vec![head.into(), page.member, tail.into()]
    }
}

/// A reply under way to its client.
pub(super) struct Relay {
    about: About,
    conversion: Conversion,
    resealing: Box<Resealing>,
    stream: ReplyStream,
    ticket: Ticket,
    /// When the next message must be here.
    deadline: Instant,
    /// When the call ends whatever comes.
    latest: Instant,
    _admitted: Admitted,
}

/// One step of a relay.
pub(super) enum Step {
    /// A message before the answer.
    Message(Vec<u8>),
    /// A question for the client.
    Ask(Question),
    /// The server asks for a pause of the connection.
    Pause(Duration),
    /// The answer.
    End(Vec<u8>),
}

impl Relay {
    pub(super) fn asker(&self) -> Option<&str> {
        self.resealing.asker()
    }

    /// How long a client may take nothing of the reply.
    pub(super) fn patience(&self) -> Duration {
        self.about.gate.current().limits.stall_timeout.get()
    }

    /// The next message. Dropping the relay cancels the call at the server.
    pub(super) async fn next(&mut self) -> Step {
        loop {
            // Who calls the server again keeps the time of each call.
            let until =
                if self.stream.keeps_time() { self.latest } else { self.deadline.min(self.latest) };
            let event = tokio::select! {
                // A slow client may have let the time pass: what is here counts.
                biased;
                event = self.stream.next() => event,
                () = sleep_until(until) => Err(ServerError::Timeout),
            };
            // Whoever says something is alive: only silence runs into the deadline.
            self.deadline = self.about.deadline();
            match event {
                Ok(Event::Notification(notification)) => {
                    if self.is_wanted(&notification) {
                        let notification =
                            self.resealing.notification(&self.about.gate, notification);
                        return Step::Message(encode(&notification));
                    }
                }
                Ok(Event::Question(question)) => {
                    let question = self.resealing.question(&self.about.gate, question);
                    let Some(question) = self.in_own_words(question) else { continue };
                    // People answer slower than servers.
                    let wait = self.about.gate.current().limits.answer_wait.get();
                    self.deadline = self.about.deadline() + wait;
                    self.latest = self.latest.max(self.deadline);
                    return Step::Ask(question);
                }
                Ok(Event::Paused(wait)) => return Step::Pause(wait),
                Ok(Event::Done(outcome)) => {
                    let (rounds, waited) = self.stream.rounds();
                    self.ticket.asked_client(rounds, waited);
                    if let Err(fault) = self.resealing.screen(&outcome) {
                        return self.fail(&fault);
                    }
                    self.ticket.answered(&outcome);
                    let modern = self.conversion.server().era() == Era::Modern;
                    let outcome = self.resealing.answer(&self.about.gate, outcome, modern);
                    return self.end(&self.conversion.outcome(outcome));
                }
                Err(error) => {
                    let fault = error.to_fault(self.resealing.server());
                    return self.fail(&fault);
                }
            }
        }
    }

    /// Whether the client may get this notification: modern clients get log messages only if the
    /// request asked for them, and changes only on listen streams.
    fn is_wanted(&self, notification: &Notification) -> bool {
        let to_modern = self.conversion.crosses_eras() && self.about.era() == Era::Modern;
        match &*notification.method {
            name::LOG_MESSAGE => match self.about.logs {
                // Others who share the session may want to hear more.
                Some(least) => {
                    let said = notification.params.text("level");
                    said.is_none_or(|said| level(&said) >= least)
                }
                None => !to_modern,
            },
            name::PROGRESS => true,
            _ => !to_modern,
        }
    }

    /// A legacy server's question in the words of the client's version; where it has none, the server
    /// is told so.
    fn in_own_words(&self, question: Question) -> Option<Question> {
        let legacy = self.conversion.server().era() == Era::Legacy;
        if !legacy || self.about.era() == Era::Modern || !self.conversion.is_newer() {
            return Some(question);
        }
        let Question { method, params, answer } = question;
        match question::to_legacy(&method, &params, self.about.version, None) {
            Ok(params) => Some(Question { method, params, answer }),
            Err(why) => {
                let error = RpcError::new(code::METHOD_NOT_FOUND, why);
                // Whoever asked may have given up.
                let _ = answer.send(Err(error));
                None
            }
        }
    }

    fn end(&self, outcome: &Outcome) -> Step {
        Step::End(message::encode_outcome(&self.about.id, outcome))
    }

    /// Ends a listen stream in good order, because the gate is going down.
    pub(super) fn complete(&mut self) -> Step {
        self.ticket.served();
        let id = String::from_utf8_lossy(self.about.id.as_bytes()).into_owned();
        let meta = format!("{{\"{}\":{id}}}", wire::meta::SUBSCRIPTION_ID);
        let result = Object::empty().with(&[
            wire::json::Edit::set("resultType", b"\"complete\""),
            wire::json::Edit::set("_meta", meta.as_bytes()),
        ]);
        self.end(&Ok(result))
    }

    /// Ends the call with a fault of the gate.
    pub(super) fn fail(&mut self, fault: &Fault) -> Step {
        self.ticket.faulted(fault);
        self.end(&self.about.fault(fault))
    }
}

/// A level by its name; what nobody knows is taken for the least.
fn level(name: &str) -> LogLevel {
    LogLevel::parse(name).unwrap_or(LogLevel::Debug)
}

/// A notification as text, as it came.
pub(super) fn encode(notification: &Notification) -> Vec<u8> {
    let params = notification.params.to_json(&[]);
    let params = (!notification.params.is_empty()).then_some(params.as_bytes());
    message::encode_notification(&notification.method, params)
}

/// The fault of a call that the client gave up.
pub(super) fn cancelled() -> Fault {
    Fault::new(Reason::Cancelled, "the call was cancelled by the client")
}

/// Whether a method may be called by a client of this version, for both dialects.
pub(super) fn known(method: Method, call: &Call) -> Result<(), Fault> {
    if method.exists_in(call.caller.version) {
        return Ok(());
    }
    let (name, version) = (&*call.method_name, call.caller.version);
    Err(Fault::new(
        Reason::UnknownMethod,
        format!("Method not found: `{name}` does not exist in {version}"),
    ))
}
