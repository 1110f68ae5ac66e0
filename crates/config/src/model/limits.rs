//! The bounds of everything that strangers can make large, many or slow.

use schemars::JsonSchema;

use crate::{
    diagnostic::Code,
    tree::Node,
    units::{Bytes, Duration, Rate},
    walk::{Cx, Fields, Read},
};

/// Declares the limits: meaning, type, default, and the range in which a value is sensible.
macro_rules! limits {
    ($($(#[doc = $doc:literal])+ $name:ident: $type:ty = $default:expr, $low:expr => $high:expr;)+) => {
        /// The bounds of everything that strangers can make large, many or slow.
        #[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct Limits {
            $($(#[doc = $doc])+ pub $name: $type,)+
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        impl Read for Limits {
            fn read(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
                let mut limits = Self::default();
                let mut fields = Fields::of(node, "`limits`", cx)?;
                $(fields.set_in(stringify!($name), &mut limits.$name, $low..=$high, cx);)+
                fields.finish(cx);
                limits.check(node, cx);
                Some(limits)
            }
        }

        /// Each limit with its default and its range, as the documentation writes them.
        #[cfg(test)]
        pub(crate) fn documented() -> Vec<[String; 3]> {
            let limits = Limits::default();
            vec![$({
                let (low, high): ($type, $type) = ($low, $high);
                [stringify!($name).to_owned(), limits.$name.to_string(), format!("{low} to {high}")]
            },)+]
        }
    };
}

limits! {
    /// The head of a request: request line and all headers. Longer heads are answered 431.
    head_bytes: Bytes = Bytes::kib(32), Bytes::kib(8) => Bytes::mib(1);
    /// One header of a request, name and value. Longer headers are answered 431.
    header_bytes: Bytes = Bytes::kib(8), Bytes::new(256) => Bytes::mib(1);
    /// How many headers a request may have.
    header_count: usize = 100, 16 => 1_000;
    /// How long a client may take to send the head of a request.
    header_read_timeout: Duration = Duration::secs(10), Duration::millis(100) => Duration::minutes(10);
    /// How long a client may take for the TLS handshake.
    tls_handshake_timeout: Duration = Duration::secs(10), Duration::millis(100) => Duration::minutes(10);
    /// The body of a request. Longer bodies are answered 413.
    body_bytes: Bytes = Bytes::mib(4), Bytes::kib(1) => Bytes::mib(1024);
    /// How fast a client must at least send a body once `body_grace` is over.
    body_rate_min: Rate = Rate::kib_per_second(1), Rate::bytes_per_second(0) => Rate::kib_per_second(1 << 20);
    /// How long a body may be slower than `body_rate_min`.
    body_grace: Duration = Duration::secs(5), Duration::millis(100) => Duration::minutes(10);
    /// How deep a JSON message may nest.
    json_depth: usize = 64, 8 => 512;
    /// How many values a JSON message may have.
    json_nodes: usize = 100_000, 1_000 => 10_000_000;
    /// How long a key in a JSON message may be.
    json_key_bytes: Bytes = Bytes::kib(1), Bytes::new(64) => Bytes::mib(1);
    /// How long a call may take when its server says nothing else (`timeout`).
    call_deadline: Duration = Duration::secs(60), Duration::millis(100) => Duration::hours(24);
    /// The longest deadline that a server may have; progress does not extend a call beyond it.
    call_deadline_max: Duration = Duration::minutes(15), Duration::millis(100) => Duration::hours(24);
    /// An answer of a server that is read as a whole before it is passed on.
    response_bytes: Bytes = Bytes::mib(16), Bytes::kib(1) => Bytes::mib(1024);
    /// One event of a streamed answer.
    frame_bytes: Bytes = Bytes::mib(1), Bytes::kib(1) => Bytes::mib(1024);
    /// How much is kept for a client that reads slower than its servers send.
    send_queue_bytes: Bytes = Bytes::kib(256), Bytes::kib(4) => Bytes::mib(64);
    /// How long a client may read nothing before its stream is cut.
    stall_timeout: Duration = Duration::secs(30), Duration::millis(100) => Duration::hours(1);
    /// How many definitions one server may have; further ones are left out with a warning.
    definitions_per_server: usize = 2_000, 1 => 100_000;
    /// The size of one definition; a larger one is left out with a warning.
    definition_bytes: Bytes = Bytes::kib(64), Bytes::kib(1) => Bytes::mib(4);
    /// How many streams all anonymous clients together may hold open at once.
    streams_anonymous: usize = 20_000, 1 => 1_000_000;
    /// How many streams one HTTP/2 connection may carry at once.
    http2_streams: usize = 100, 1 => 10_000;
    /// How many connections are open at once; further ones wait to be accepted.
    connections: usize = 40_000, 1 => 1_000_000;
    /// The state that a server hands out between two rounds of a call.
    request_state_bytes: Bytes = Bytes::kib(16), Bytes::new(256) => Bytes::mib(1);
    /// How long that state is accepted.
    request_state_life: Duration = Duration::minutes(10), Duration::secs(1) => Duration::hours(24);
    /// How many legacy sessions exist at once.
    sessions: usize = 10_000, 1 => 1_000_000;
    /// How long a legacy session lives without any message.
    session_idle: Duration = Duration::minutes(30), Duration::secs(1) => Duration::hours(24);
    /// How many events a legacy session keeps for `Last-Event-ID`.
    replay_events: usize = 256, 0 => 100_000;
    /// How many bytes of events a legacy session keeps for `Last-Event-ID`.
    replay_bytes: Bytes = Bytes::kib(256), Bytes::new(0) => Bytes::mib(64);
    /// How many messages a batch of version 2025-03-26 may have.
    batch: usize = 20, 1 => 1_000;
    /// How many items one page of a list has at most.
    page_items: usize = 1_000, 1 => 100_000;
    /// How large one page of a list is at most.
    page_bytes: Bytes = Bytes::mib(4), Bytes::kib(64) => Bytes::mib(64);
    /// How long a first list waits for servers that have not answered yet.
    cold_list_wait: Duration = Duration::secs(5), Duration::millis(0) => Duration::minutes(5);
    /// How long calls in flight may go on once the gate is told to stop.
    drain_timeout: Duration = Duration::secs(30), Duration::millis(0) => Duration::hours(1);
    /// How often an idle stream carries a comment, so that nothing between cuts it.
    keep_alive: Duration = Duration::secs(15), Duration::millis(100) => Duration::minutes(10);
    /// How many calls of all anonymous clients together may be in flight at once.
    calls_anonymous: usize = 10_000, 1 => 1_000_000;
    /// How many calls may wait for the answer of a modern client at once.
    parked_calls: usize = 10_000, 1 => 1_000_000;
    /// How often one call may ask its client.
    interaction_rounds: usize = 10, 1 => 100;
    /// How long a question across eras waits for the client's answer.
    answer_wait: Duration = Duration::minutes(10), Duration::secs(1) => Duration::hours(24);
}

impl Limits {
    /// Limits that only make sense together.
    fn check(&self, node: &Node, cx: &mut Cx<'_>) {
        let pairs = [
            ("header_bytes", "head_bytes", self.header_bytes > self.head_bytes),
            ("call_deadline", "call_deadline_max", self.call_deadline > self.call_deadline_max),
            ("definition_bytes", "page_bytes", self.definition_bytes > self.page_bytes),
        ];
        for (inner, outer, exceeds) in pairs {
            if exceeds {
                let written = node.get(inner).or_else(|| node.get(outer)).unwrap_or(node);
                let message = format!("`{inner}` exceeds `{outer}`");
                let problem = cx.problem(Code::OutOfRange, &written.range, message);
                cx.report(problem.hint(format!("lower `{inner}` or raise `{outer}`")));
            }
        }
    }
}
