//! Servers of both eras that ask what a call tells them to ask, and clients that can be asked.
//!
//! A call's `arguments.rounds` says what is asked in it, round by round. What is answered in the end is
//! the JSON text of all answers, so that a test sees what reached the server.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Answer, EventStream, Exchange, McpServer, McpServerBuilder, News, Session};
use tokio::sync::Notify;
use wire::Era;

use crate::harness::{COMPOSED, Harness, ONE, said};

/// The endpoint of the server alone, and that of all.
pub(crate) const ENDPOINTS: [&str; 2] = [ONE, COMPOSED];

/// Everything that a client can be asked.
pub(crate) fn everything() -> Value {
    json!({"elicitation": {"form": {}, "url": {}}, "sampling": {"tools": {}}, "roots": {}})
}

/// A form with one required field.
pub(crate) fn form() -> Value {
    json!({"method": "elicitation/create", "params": {
        "message": "Who?",
        "requestedSchema": {"type": "object", "properties": {"name": {"type": "string"}},
            "required": ["name"]},
    }})
}

/// A page to visit, as a legacy server asks for it.
pub(crate) fn page() -> Value {
    json!({"method": "elicitation/create", "params": {
        "mode": "url", "message": "Sign in", "url": "https://example.com/sign-in",
        "elicitationId": "e-1",
    }})
}

/// A question to the client's model.
pub(crate) fn sampling() -> Value {
    json!({"method": "sampling/createMessage", "params": {
        "messages": [{"role": "user", "content": {"type": "text", "text": "6 times 7?"}}],
        "maxTokens": 10,
    }})
}

/// The question for the client's roots.
pub(crate) fn roots() -> Value {
    json!({"method": "roots/list", "params": {}})
}

/// A person's answer to [`form`].
pub(crate) fn named(name: &str) -> Value {
    json!({"action": "accept", "content": {"name": name}})
}

/// An answer of a model.
pub(crate) fn sampled() -> Value {
    json!({"role": "assistant", "model": "m", "content": {"type": "text", "text": "42"}})
}

/// A client's roots.
pub(crate) fn rooted() -> Value {
    json!({"roots": [{"uri": "file:///home", "name": "home"}]})
}

/// Every kind of question, with an answer to it.
pub(crate) fn kinds() -> [(Value, Value); 4] {
    [
        (form(), named("Ada")),
        (page(), json!({"action": "accept"})),
        (sampling(), sampled()),
        (roots(), rooted()),
    ]
}

/// What was answered to the questions of a legacy server, by their ids.
#[derive(Clone, Default)]
pub(crate) struct Answers(Arc<(Mutex<HashMap<String, Value>>, Notify)>);

impl Answers {
    fn take(&self, message: &Value) {
        let id = message["id"].as_str().unwrap_or_default().to_owned();
        let (answers, came) = &*self.0;
        answers.lock().unwrap().insert(id, message.clone());
        came.notify_waiters();
    }

    /// The answer to one question: its result, or an object with its error.
    async fn to(&self, id: &str) -> Value {
        let (answers, came) = &*self.0;
        loop {
            let more = came.notified();
            tokio::pin!(more);
            more.as_mut().enable();
            if let Some(message) = answers.lock().unwrap().get(id) {
                return match &message["error"] {
                    Value::Null => message["result"].clone(),
                    error => json!({"error": error}),
                };
            }
            more.await;
        }
    }
}

/// Lets a server go on that waits in the middle of its calls.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<tokio::sync::watch::Sender<usize>>);

impl Gate {
    /// Opens it for the `number`th time.
    pub(crate) fn open(&self) {
        self.0.send_modify(|opened| *opened += 1);
    }

    async fn opened(&self, number: usize) {
        let mut opened = self.0.subscribe();
        let _ = opened.wait_for(|opened| *opened >= number).await;
    }
}

/// A legacy server with sessions whose calls ask. Besides `rounds`, `arguments` may say:
/// * `aside`: ask on the standalone stream instead of the stream of the call;
/// * `leave`: after the questions of a round were sent, answer once the gate was opened, whatever has
///   been answered by then (`answer`), or go on to the next round (`ask`), or break off (`break`);
/// * `hold`: after the last round, wait until the gate is opened.
pub(crate) fn legacy_asking() -> McpServerBuilder {
    legacy_asking_behind(&Gate::default())
}

/// As [`legacy_asking`], waiting at `gate`.
pub(crate) fn legacy_asking_behind(gate: &Gate) -> McpServerBuilder {
    let (answers, gate) = (Answers::default(), gate.clone());
    let builder = McpServer::legacy()
        .capabilities(json!({"tools": {"listChanged": true}, "logging": {}}))
        .tools(vec![testkit::echo_tool("echo"), testkit::echo_tool("other")]);
    let news = builder.news();
    let taking = answers.clone();
    builder
        .on("", move |mut exchange| {
            taking.take(&exchange.request().json());
            async move { exchange.respond(202, &[], "").await }
        })
        .on("tools/call", move |exchange| {
            ask_in_call(exchange, answers.clone(), news.clone(), gate.clone())
        })
}

async fn ask_in_call(mut exchange: Exchange, answers: Answers, news: News, gate: Gate) {
    let params = exchange.params();
    let arguments = &params["arguments"];
    let aside = arguments["aside"] == true;
    let (session, call) = (exchange.session(), exchange.id());
    let mut said_by_client = Vec::new();
    if !aside {
        exchange.begin_events(&[]).await;
    }
    let rounds = arguments["rounds"].as_array().cloned().unwrap_or_default();
    for (round, questions) in rounds.iter().enumerate() {
        let mut ids = Vec::new();
        let mut chunk = String::new();
        for question in questions.as_array().unwrap() {
            let id = format!("{session}/{call}/{round}.{}", ids.len());
            let message = json!({"jsonrpc": "2.0", "id": id, "method": question["method"],
                "params": question["params"]});
            if aside {
                news.heard_in(&session).await;
                news.send(Some(&session), message);
            } else {
                let _ = write!(chunk, "event: message\ndata: {message}\n\n");
            }
            ids.push(id);
        }
        if !chunk.is_empty() {
            exchange.chunk(chunk).await;
        }
        match arguments["leave"].as_str() {
            Some("answer") => {
                gate.opened(1).await;
                return exchange.last_event(said(Era::Legacy, "answered by itself")).await;
            }
            Some("break") => {
                gate.opened(1).await;
                return exchange.abort();
            }
            Some("ask") if round + 1 < rounds.len() => {
                gate.opened(round + 1).await;
                continue;
            }
            _ => {}
        }
        for id in ids {
            tokio::select! {
                answer = answers.to(&id) => said_by_client.push(answer),
                _ = exchange.closes_within(Duration::from_hours(1)) => return,
            }
        }
        let token = &params["_meta"]["progressToken"];
        if !token.is_null() {
            let progress = json!({"progressToken": token, "progress": round + 1});
            exchange.notify("notifications/progress", progress).await;
            let log = json!({"level": "info", "data": format!("round {round}")});
            exchange.notify("notifications/message", log).await;
        }
    }
    if arguments["hold"] == true {
        tokio::select! {
            () = gate.opened(1) => {}
            _ = exchange.closes_within(Duration::from_hours(1)) => return,
        }
    }
    let result = said(Era::Legacy, &json!(said_by_client).to_string());
    if aside { exchange.result(result).await } else { exchange.last_event(result).await }
}

/// A modern server whose calls ask: each element of `arguments.rounds` is the `inputRequests` of one
/// answer; one that is `null` is a round with a state alone.
pub(crate) fn modern_asking() -> McpServerBuilder {
    McpServer::modern().on("tools/call", |mut exchange| async move {
        let params = exchange.params();
        let mut state: Value = params["requestState"].as_str().map_or_else(
            || json!({"round": 0, "said": []}),
            |state| serde_json::from_str(state).expect("the server's own state"),
        );
        if let Some(said) = params["inputResponses"].as_object() {
            state["said"].as_array_mut().unwrap().push(json!(said));
        }
        let round = usize::try_from(state["round"].as_u64().unwrap()).unwrap();
        let rounds = params["arguments"]["rounds"].as_array().cloned().unwrap_or_default();
        let Some(requests) = rounds.get(round) else {
            return exchange.result(said(Era::Modern, &state["said"].to_string())).await;
        };
        state["round"] = json!(round + 1);
        let mut result = json!({"resultType": "input_required", "requestState": state.to_string()});
        if !requests.is_null() {
            result["inputRequests"] = requests.clone();
        }
        exchange.result(result).await;
    })
}

/// A modern client that can be asked.
pub(crate) struct Modern {
    address: SocketAddr,
    endpoint: String,
    abilities: Value,
}

impl Modern {
    /// A client at `endpoint` that can be asked everything.
    pub(crate) fn at(harness: &Harness, endpoint: &str) -> Self {
        Self::able(harness, endpoint, everything())
    }

    /// A client at `endpoint` that declares these capabilities.
    pub(crate) fn able(harness: &Harness, endpoint: &str, abilities: Value) -> Self {
        Self { address: harness.address, endpoint: endpoint.into(), abilities }
    }

    /// The parameters of a call.
    pub(crate) fn params(&self, arguments: Value) -> Value {
        let name = tool_at(&self.endpoint);
        let meta = json!({wire::meta::CLIENT_CAPABILITIES: self.abilities});
        json!({"name": name, "arguments": arguments, "_meta": meta})
    }

    /// The parameters of a call in which questions are asked in these rounds.
    pub(crate) fn rounds(&self, rounds: Value) -> Value {
        self.params(json!({"rounds": rounds}))
    }

    /// A request as this client writes it.
    pub(crate) fn request(&self, params: &Value) -> testkit::HttpRequest {
        testkit::modern(&self.endpoint, 1, "tools/call", params.clone())
    }

    /// Calls.
    pub(crate) async fn call(&self, params: &Value) -> Answer {
        testkit::send(self.address, &self.request(params)).await
    }

    /// Calls, and is asked.
    pub(crate) async fn asked(&self, params: &Value) -> Value {
        asked(&self.call(params).await)
    }

    /// Repeats a call with answers.
    pub(crate) async fn retry(&self, params: &Value, asked: &Value, answers: Value) -> Answer {
        self.call(&again(params, asked, answers)).await
    }
}

/// The parameters of a call that is repeated with answers.
pub(crate) fn again(params: &Value, asked: &Value, answers: Value) -> Value {
    let mut params = params.clone();
    params["requestState"] = asked["requestState"].clone();
    params["inputResponses"] = answers;
    params
}

/// The result of an answer that asks.
#[track_caller]
pub(crate) fn asked(answer: &Answer) -> Value {
    let result = answer.json()["result"].clone();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(result["resultType"], "input_required", "{}", answer.text());
    assert!(result["requestState"].is_string(), "{result}");
    result
}

/// What the asking server heard from its client.
#[track_caller]
pub(crate) fn heard(answer: &Answer) -> Value {
    let body = answer.json();
    heard_in(&body)
}

/// As [`heard`], of a message.
#[track_caller]
pub(crate) fn heard_in(message: &Value) -> Value {
    let text = message["result"]["content"][0]["text"].as_str();
    let text = text.unwrap_or_else(|| panic!("no answer of the server: {message}"));
    serde_json::from_str(text).unwrap_or_else(|_| panic!("no answers of a client: {message}"))
}

/// What the tool `echo` is called at an endpoint.
pub(crate) fn tool_at(endpoint: &str) -> &'static str {
    if endpoint == COMPOSED { "s__echo" } else { "echo" }
}

/// A legacy client that can be asked.
pub(crate) struct Legacy {
    pub(crate) session: Session,
    tool: &'static str,
}

impl Legacy {
    /// A client of 2025-11-25 at `endpoint` that can be asked everything.
    pub(crate) async fn at(harness: &Harness, endpoint: &str) -> Self {
        Self::able(harness, endpoint, "2025-11-25", &everything()).await
    }

    /// A client of `version` at `endpoint` that declares these capabilities.
    pub(crate) async fn able(
        harness: &Harness,
        endpoint: &str,
        version: &str,
        abilities: &Value,
    ) -> Self {
        let session = Session::with(harness.address, endpoint, version, abilities).await;
        Self { session, tool: tool_at(endpoint) }
    }

    /// Calls.
    pub(crate) async fn call(&self, arguments: Value) -> EventStream {
        let params = json!({"name": self.tool, "arguments": arguments});
        self.session.stream(7, "tools/call", params).await
    }

    /// Answers a question.
    pub(crate) async fn answer(&self, question: &Value, result: &Value) {
        let answer = json!({"jsonrpc": "2.0", "id": question["id"], "result": result});
        assert_eq!(self.session.post(&answer).await.status, 202);
    }

    /// Calls and answers every question; returns the questions, what else was said, and the end.
    pub(crate) async fn converse(
        &self,
        arguments: Value,
        answer: impl Fn(&Value) -> Value,
    ) -> Conversation {
        let mut stream = self.call(arguments).await;
        let mut conversation = Conversation::default();
        loop {
            let message = stream.next().await;
            if message["method"].is_null() {
                conversation.end = message;
                return conversation;
            }
            if message["id"].is_null() {
                conversation.told.push(message);
            } else {
                self.answer(&message, &answer(&message)).await;
                conversation.questions.push(message);
            }
        }
    }
}

/// What was said in a call of a legacy client.
#[derive(Debug, Default)]
pub(crate) struct Conversation {
    pub(crate) questions: Vec<Value>,
    pub(crate) told: Vec<Value>,
    pub(crate) end: Value,
}

/// The cancellations that a server got, as the ids of what was cancelled.
pub(crate) fn cancelled(server: &McpServer) -> Vec<Value> {
    let told = server.http().requests_of("notifications/cancelled");
    told.iter().map(|request| request.json()["params"]["requestId"].clone()).collect()
}

/// The id of the `number`th call that a server got, counted from 1.
pub(crate) fn call_id(server: &McpServer, number: usize) -> Value {
    server.http().requests_of("tools/call")[number - 1].json()["id"].clone()
}
