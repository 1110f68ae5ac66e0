//! Modern clients that show forms, one or many at once.

use futures_util::future::join_all;
use serde_json::{Value, json};
use testkit::{Answer, Connection, HttpRequest};

use super::stage::{ENDPOINT, Stage};

/// How many connections many clients share.
const CONNECTIONS: usize = 50;

/// The parameters of a call that asks.
pub(super) fn ask(key: &str) -> Value {
    params("ask", &json!({"key": key, "question": "Well?"}))
}

/// The parameters of a call that asks, and after the answer goes on until it is cancelled.
pub(super) fn ask_and_hold(key: &str) -> Value {
    params("ask", &json!({"key": key, "hold": true}))
}

/// The parameters of a call that asks nothing.
pub(super) fn echo() -> Value {
    params("echo", &json!({}))
}

fn params(tool: &str, arguments: &Value) -> Value {
    let meta = json!({wire::meta::CLIENT_CAPABILITIES: {"elicitation": {"form": {}}}});
    json!({"name": tool, "arguments": arguments, "_meta": meta})
}

/// A call, as these clients write it.
pub(super) fn call(params: Value) -> HttpRequest {
    testkit::modern(ENDPOINT, 1, "tools/call", params)
}

/// The same call once more, with the answer to what was asked.
pub(super) fn retry(mut params: Value, asked: &Asked) -> HttpRequest {
    params["requestState"] = json!(asked.0);
    params["inputResponses"] =
        json!({"q1": {"action": "accept", "content": {"answer": "forty-two"}}});
    call(params)
}

/// What a client was given to come back with.
#[derive(Clone, Debug)]
pub(super) struct Asked(String);

impl Asked {
    /// Reads the answer of a call that was parked.
    #[track_caller]
    pub(super) fn of(answer: &Answer) -> Self {
        let body = answer.json();
        assert_eq!(body["result"]["resultType"], "input_required", "{}", answer.text());
        let state = body["result"]["requestState"].as_str();
        Self(state.unwrap_or_else(|| panic!("no state: {body}")).to_owned())
    }
}

/// Whether a call succeeded.
pub(super) fn is_done(answer: &Answer) -> bool {
    let result = &answer.json()["result"];
    answer.status == 200 && result["content"].is_array() && result["isError"] != true
}

/// Whether a client was told that its call no longer waits.
pub(super) fn is_expired(answer: &Answer) -> bool {
    let result = &answer.json()["result"];
    let reason = &result["_meta"]["io.portcullis/fault"]["reason"];
    answer.status == 200 && result["isError"] == true && reason == "interaction-expired"
}

/// Many clients with a call each.
pub(super) struct Clients<'a> {
    stage: &'a Stage,
    round: usize,
    count: usize,
    params: fn(&str) -> Value,
}

impl<'a> Clients<'a> {
    /// Clients of this round that call [`ask`].
    pub(super) fn of(stage: &'a Stage, round: usize, count: usize) -> Self {
        Self { stage, round, count, params: ask }
    }

    /// The same with other calls.
    pub(super) fn that_call(self, params: fn(&str) -> Value) -> Self {
        Self { params, ..self }
    }

    /// The key of each one's call.
    pub(super) fn keys(&self) -> impl Iterator<Item = String> {
        let round = self.round;
        (0..self.count).map(move |client| format!("{round}.{client}"))
    }

    /// The call of each.
    pub(super) fn calls(&self) -> Vec<HttpRequest> {
        self.keys().map(|key| call((self.params)(&key))).collect()
    }

    /// The call of each once more, with its answer.
    pub(super) fn retries(&self, asked: &[Asked]) -> Vec<HttpRequest> {
        self.keys().zip(asked).map(|(key, asked)| retry((self.params)(&key), asked)).collect()
    }

    /// All call, and are asked.
    pub(super) async fn park(&self) -> Vec<Asked> {
        send_all(self.stage, &self.calls()).await.iter().map(Asked::of).collect()
    }

    /// All come back with their answers.
    pub(super) async fn come_back(&self, asked: &[Asked]) -> Vec<Answer> {
        send_all(self.stage, &self.retries(asked)).await
    }

    /// A connection for each, on which its request is sent; nobody has read an answer.
    pub(super) async fn begin(&self, requests: &[HttpRequest]) -> Vec<Connection> {
        join_all(requests.iter().map(async |request| {
            let mut connection = self.stage.connect().await;
            connection.write(request.bytes()).await;
            connection
        }))
        .await
    }
}

/// Sends requests on a bounded number of connections, and returns the answers in their order.
async fn send_all(stage: &Stage, requests: &[HttpRequest]) -> Vec<Answer> {
    let lanes = (0..CONNECTIONS.min(requests.len())).map(async |lane| {
        let mut connection = stage.connect().await;
        let mut answers = Vec::new();
        for (number, request) in requests.iter().enumerate().skip(lane).step_by(CONNECTIONS) {
            answers.push((number, connection.send(request).await));
        }
        answers
    });
    let mut answers: Vec<_> = join_all(lanes).await.into_iter().flatten().collect();
    answers.sort_by_key(|(number, _)| *number);
    answers.into_iter().map(|(_, answer)| answer).collect()
}
