//! The shapes that travel through the gate: a call, who makes it, and the reply.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::oneshot;
use tokio::time::Instant;
use wire::capability::ClientAbilities;
use wire::message::Text;
use wire::shape::task;
use wire::{Era, Id, Json, Method, Notification, Object, Outcome, Version};

use crate::upstream::Hello;

/// One request on its way through the gate, in modern shape: everything needed is in it.
#[derive(Clone, Debug)]
pub struct Call {
    /// What the client matches the answer by.
    pub id: Id,
    /// What is asked for.
    pub method: Method,
    /// The method as written; differs from `method` only for extensions.
    pub method_name: Text,
    /// The parameters as the client sent them, `_meta` included.
    pub params: Object,
    /// The members of `params._meta`.
    pub meta: Object,
    /// The `Mcp-Param-*` headers as received; known ones are checked and made anew.
    pub param_headers: Vec<(String, http::HeaderValue)>,
    /// Other headers as received, which the configuration lets some server have.
    pub forwarded: Vec<(http::HeaderName, http::HeaderValue)>,
    /// Who asks.
    pub caller: Caller,
    /// The call waiting for this client that this one continues, by its name in the lot.
    pub resumes: Option<String>,
    /// Whether a legacy server is to make a task of it.
    pub as_task: bool,
    /// When the answer is no longer waited for.
    pub deadline: Instant,
    /// Names this call in logs, response headers and error data.
    pub correlation: Correlation,
}

/// Who makes a call, and what its side of the hop can do.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The protocol version of the client's hop.
    pub version: Version,
    /// The authenticated caller.
    pub principal: Principal,
    /// The `ClientCapabilities` as declared.
    pub capabilities: Json,
    /// The `Implementation` as declared, where it was.
    pub info: Option<Json>,
    /// Least severity of log messages wanted; `None` means none are.
    pub log_level: Option<Json>,
    /// The legacy session the call belongs to.
    pub conversation: Option<Arc<dyn Conversation>>,
}

impl Caller {
    /// The era of the client's hop.
    pub fn era(&self) -> Era {
        self.version.era()
    }

    /// Whether the client declared the tasks extension.
    pub(crate) fn knows_tasks(&self) -> bool {
        let declared = self.capabilities.object();
        declared.is_some_and(|declared| task::declared(&declared))
    }

    /// What the client can do in the middle of a call: what it declared, as far as its version has it.
    pub fn abilities(&self) -> ClientAbilities {
        abilities(&self.capabilities, self.version)
    }
}

/// What a client of `version` that declared `capabilities` can do in the middle of a call.
pub(crate) fn abilities(capabilities: &Json, version: Version) -> ClientAbilities {
    let declared = capabilities.object();
    declared
        .map_or(ClientAbilities::NONE, |declared| ClientAbilities::of(&declared))
        .within(version)
}

impl Call {
    /// The task whose result the call waits for, on whose stream it asks (2025-11-25, tasks).
    pub(crate) fn awaited_task(&self) -> Option<String> {
        let is_result = self.method == Method::TasksResult;
        is_result.then(|| self.params.text("taskId").map(std::borrow::Cow::into_owned)).flatten()
    }
}

/// The authenticated caller. Only an authenticator can make one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Principal {
    id: Arc<str>,
}

impl Principal {
    /// The id that tokens are sealed to.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Only `exchange::authenticate` calls this.
    pub(crate) fn anonymous() -> Self {
        static ANONYMOUS: OnceLock<Arc<str>> = OnceLock::new();
        Self { id: Arc::clone(ANONYMOUS.get_or_init(|| "anonymous".into())) }
    }
}

/// A legacy client's session, as the servers' side sees it: where to send what belongs to no call.
pub trait Conversation: Send + Sync + fmt::Debug {
    /// Tells sessions apart; never used twice in one process.
    fn key(&self) -> u64;
    /// The negotiated version.
    fn version(&self) -> Version;
    /// The client's `ClientCapabilities`, as declared.
    fn capabilities(&self) -> &Json;
    /// The client's `Implementation`, as declared.
    fn info(&self) -> Option<&Json>;
    /// Takes a notification of `server` that belongs to no call.
    fn notify(&self, server: &str, notification: &Notification);
    /// Takes a question of `server` that belongs to no call.
    fn ask(&self, server: &str, question: Question);
    /// Least severity of log messages that the client set, as JSON text.
    fn log_level(&self) -> Option<Json>;
    /// Keeps an interest in a resource, known to the client as `shown`, until it is released or the
    /// session ends.
    fn hold(&self, shown: &str, interest: crate::fleet::Interest);
    /// Lets go of the interest in a resource that the client knows as `shown`.
    fn release(&self, shown: &str);
    /// Whether the client has a stream open on which it hears what belongs to no call.
    fn listens(&self) -> bool;
    /// The session as the caller of a request; `None` while it ends.
    fn caller(&self) -> Option<Caller>;
    /// Completes when the session has ended.
    fn ended(&self) -> tokio_util::sync::WaitForCancellationFutureOwned;
}

/// What a server answered, message by message.
#[derive(Debug)]
pub struct Reply {
    /// Who answers, and in which era; where it differs from the client's, shapes are converted.
    pub hello: Arc<Hello>,
    /// Whether the server answered with an event stream; clients are answered in kind.
    pub streamed: bool,
    /// The messages.
    pub body: Body,
}

impl Reply {
    /// The era of the server's hop.
    pub fn era(&self) -> Era {
        self.hello.version.era()
    }
}

/// One message, or several.
#[derive(Debug)]
pub enum Body {
    /// The answer.
    Done(Outcome),
    /// What comes before the answer, and then the answer.
    Stream(crate::upstream::ReplyStream),
}

/// One message of a reply.
#[derive(Debug)]
pub enum Event {
    /// Progress, a log line, or what else belongs to the call.
    Notification(Notification),
    /// A live question with an answer channel, of a legacy server.
    Question(Question),
    /// The server closed the stream and wants to be asked again after this time; the call goes on.
    Paused(std::time::Duration),
    /// The answer; the last event.
    Done(Outcome),
}

/// A request of a server to the client. Dropping it unanswered answers with an error.
#[derive(Debug)]
pub struct Question {
    /// `elicitation/create`, `sampling/createMessage`, `roots/list`, `ping`, …
    pub method: Text,
    /// The parameters, verbatim.
    pub params: Object,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Outcome>,
}

/// The name of one call in logs, headers and error data: 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Correlation([u8; 16]);

impl Correlation {
    /// A fresh one: a counter under a per-process random multiplier, unique in this process and
    /// unlikely to meet another's.
    pub fn fresh() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        static KEY: OnceLock<u64> = OnceLock::new();
        let key = *KEY.get_or_init(|| {
            let mut bytes = [0; 8];
            aws_lc_rs::rand::fill(&mut bytes).expect("the operating system gives random bytes");
            u64::from_le_bytes(bytes)
        });
        let number = NEXT
            .fetch_add(1, Ordering::Relaxed)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .wrapping_add(key);
        let mut digits = [0; 16];
        for (at, digit) in digits.iter_mut().enumerate() {
            *digit = b"0123456789abcdef"[((number >> (60 - 4 * at)) & 15) as usize];
        }
        Self(digits)
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("hexadecimal digits")
    }
}

impl fmt::Display for Correlation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Correlation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
