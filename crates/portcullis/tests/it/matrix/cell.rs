//! One cell of the matrix, and what its client does.

use serde_json::{Value, json};
use wire::Version;

use super::ends::End;
use super::stage::Journal;
use super::table::{Feature, Verdict};

mod check;

/// What the clients answer when they are asked.
pub(super) fn answers() -> Value {
    json!({
        "elicitation/create": { "action": "accept", "content": { "answer": "forty-two" } },
        "elicitation/create:url": { "action": "accept" },
        "sampling/createMessage": {
            "role": "assistant", "model": "scripted",
            "content": { "type": "text", "text": "a sampled text" },
        },
        "roots/list": { "roots": [{ "uri": "file:///home/ada", "name": "home" }] },
    })
}

/// A feature between two ends.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) feature: Feature,
    pub(super) client: End,
    pub(super) server: End,
    pub(super) verdict: Verdict,
    /// Tells this cell's calls from all others.
    pub(super) key: String,
    /// Whether the server is one of several at its endpoint.
    pub(super) composed: bool,
}

/// What came of it.
pub(super) struct Outcome<'a> {
    /// The entries of the cell's own steps.
    pub(super) entries: &'a [Value],
    /// The whole report, which may hold the entries of other cells of the same client.
    pub(super) report: &'a Value,
    pub(super) journal: &'a Journal,
}

// === What the client does ===

impl Cell {
    pub(super) fn steps(&self) -> Vec<Value> {
        let key = &self.key;
        match self.feature {
            Feature::Call => vec![self.call("echo", json!({ "message": key }))],
            Feature::Structured => {
                vec![all_tools(), self.call("structured", json!({}))]
            }
            Feature::StructuredList => {
                vec![all_tools(), self.call("structured_list", json!({}))]
            }
            Feature::Content => vec![self.call("rich", json!({}))],
            Feature::Form => vec![self.call("ask", json!({ "question": key }))],
            Feature::Url => self.url(),
            Feature::UrlFirst => self.url_first(),
            Feature::Sample => vec![self.call("sample", json!({ "prompt": key }))],
            Feature::Roots => vec![self.call("roots", json!({}))],
            Feature::TwoAtOnce => vec![self.call("ask_two", json!({ "kinds": self.kinds() }))],
            Feature::TwoRounds => vec![self.call("ask_twice", json!({ "kinds": self.kinds() }))],
            Feature::ListChanged => self.list_changed(),
            Feature::Subscribe => self.subscribe(),
            Feature::Progress => {
                vec![with(self.call("slow", json!({ "steps": 3, "ms": 40 })), "progress", true)]
            }
            Feature::Log => self.log(),
            Feature::Cancel => {
                let mut step = self.call("slow", json!({ "steps": 250, "ms": 20 }));
                step["op"] = json!("cancel-after");
                // The call must be there before it is cancelled; and a client that closed its
                // connection at once would take its message back, with or without a gate.
                let before = json!({ "op": "tools/call", "name": self.named("commits") });
                let after = json!({
                    "op": "tools/call", "name": self.named("slow"),
                    "arguments": { "steps": 10, "ms": 20 },
                });
                vec![before, with(step, "ms", 500), after]
            }
            Feature::Paging => vec![all_tools()],
            Feature::Completion => vec![json!({
                "op": "completion/complete",
                "ref": { "type": "ref/prompt", "name": self.named("greet") },
                "argument": { "name": "tone", "value": "fu" },
            })],
            Feature::Task => vec![self.task(json!({ "polls": 2 }))],
            Feature::TaskAsks => vec![self.task(json!({ "kinds": [self.kinds()[0]] }))],
        }
    }

    fn task(&self, arguments: Value) -> Value {
        let call = self.call("long_task", arguments);
        // Older clients cannot ask for a task.
        let may_ask = self.client.version >= Version::V2025_11_25;
        if may_ask { with(call, "task", true) } else { call }
    }

    fn call(&self, tool: &str, mut arguments: Value) -> Value {
        arguments["key"] = json!(self.key);
        json!({ "op": "tools/call", "name": self.named(tool), "arguments": arguments })
    }

    /// The name of a tool or prompt at the endpoint.
    fn named(&self, own: &str) -> String {
        if self.composed { format!("{}__{own}", self.server.name()) } else { own.to_owned() }
    }

    /// The URI of a resource that several servers of a composed endpoint have.
    fn uri(&self, own: &str) -> String {
        if self.composed {
            format!("portcullis://{}/{own}", self.server.name())
        } else {
            own.to_owned()
        }
    }

    /// Two questions that both versions have.
    fn kinds(&self) -> [&'static str; 2] {
        if self.client.version.min(self.server.version) < Version::V2025_06_18 {
            ["sample", "roots"]
        } else {
            ["form", "sample"]
        }
    }

    fn url(&self) -> Vec<Value> {
        let call = self.call("ask_url", json!({}));
        // Only this version hears when the user has finished, at the latest with the answer.
        if self.client.version != Version::V2025_11_25 {
            return vec![call];
        }
        let complete = json!({
            "op": "wait", "notification": "notifications/elicitation/complete",
        });
        vec![json!({ "op": "listen", "notifications": {} }), call, complete]
    }

    fn url_first(&self) -> Vec<Value> {
        let call = self.call("ask_url_first", json!({}));
        match self.client.version {
            Version::V2026_07_28 => vec![call],
            Version::V2025_11_25 => vec![
                json!({ "op": "listen", "notifications": {} }),
                with(call, "retry_url_required", true),
            ],
            // The user follows the link, the model calls again.
            _ => vec![call.clone(), call],
        }
    }

    fn list_changed(&self) -> Vec<Value> {
        let mut steps = vec![json!({ "op": "listen", "notifications": {
            "toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true,
        } })];
        for list in ["tools", "prompts", "resources"] {
            let changed = format!("notifications/{list}/list_changed");
            steps.push(self.call("announce", json!({ "list": list })));
            steps.push(json!({ "op": "wait", "notification": changed }));
        }
        steps
    }

    fn subscribe(&self) -> Vec<Value> {
        let uri = self.uri("memo://note");
        let updated = "notifications/resources/updated";
        vec![
            json!({ "op": "listen", "notifications": { "resourceSubscriptions": [uri] } }),
            self.call("touch", json!({ "text": self.key })),
            json!({ "op": "wait", "notification": updated, "match": { "uri": uri } }),
            json!({ "op": "resources/read", "uri": uri }),
        ]
    }

    fn log(&self) -> Vec<Value> {
        let loud = self.call("log", json!({ "message": self.key }));
        let mut steps = vec![
            json!({ "op": "listen", "notifications": {} }),
            with(loud, "log_level", "info"),
            json!({
                "op": "wait", "notification": "notifications/message",
                "match": { "level": "error", "data": self.key },
            }),
        ];
        if self.client.is_modern() {
            // There is no stream to wait for; and without a level nothing is heard.
            steps[0] = self.call("log", json!({ "message": format!("{} unheard", self.key) }));
        }
        steps
    }
}

fn all_tools() -> Value {
    json!({ "op": "tools/list", "pages": true })
}

fn with(mut step: Value, member: &str, value: impl Into<Value>) -> Value {
    step[member] = value.into();
    step
}
