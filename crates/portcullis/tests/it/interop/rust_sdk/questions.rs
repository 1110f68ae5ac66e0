//! How the server of the Rust SDK asks: in the middle of a call up to 2025-11-25, by
//! `input_required` in 2026-07-28.

#![expect(deprecated, reason = "what 2026-07-28 has deprecated is still to be tested")]

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use rmcp::model::{
    ClientResult, CreateMessageRequest, CustomNotification, ElicitRequest, InputRequest,
    InputRequests, InputRequiredResult, ListRootsRequest, ServerNotification, ServerRequest,
};
use rmcp::{ErrorData, ServiceError};
use serde_json::{Value, json};

use super::server::made;
use super::toolset::Called;

/// A question: its key, its kind (`form`, `url`, `sample`, `roots`), and what is asked.
pub(super) type Question = (String, String, Option<String>);

/// What has come of asking.
pub(super) enum Asked {
    /// The answers by key.
    Answers(BTreeMap<String, Value>),
    /// Another round is needed.
    Again(InputRequiredResult),
    /// The client cannot be asked, or did not answer.
    Refused(String),
}

/// Asks everything that has no answer yet: at once, or the next one alone.
pub(super) async fn ask(
    called: &Called<'_>,
    questions: &[Question],
    in_turn: bool,
) -> Result<Asked, ErrorData> {
    if &*called.version < "2026-07-28" {
        return Ok(ask_in_call(called, questions, in_turn).await);
    }
    let missing = missing_capabilities(called, questions);
    if !missing.is_empty() {
        return Err(ErrorData::missing_required_client_capability(made(json!(missing))));
    }
    // Only questions of several rounds need a state: the answers so far, for this call alone.
    let bound = json!([called.call.name, called.call.arguments]);
    let state = called.call.request_state.as_deref();
    let state: Value = state.and_then(|state| serde_json::from_str(state).ok()).unwrap_or_default();
    let mut answers: BTreeMap<String, Value> = BTreeMap::new();
    let is_stateless = matches!(&*called.call.name, "sample" | "roots");
    if is_stateless || state["bound"] == bound {
        if let Value::Object(before) = &state["answers"] {
            answers.extend(before.clone());
        }
        answers.extend(called.call.input_responses.clone().unwrap_or_default());
    }
    answers.retain(|key, _| questions.iter().any(|(wanted, ..)| wanted == key));
    let mut open: Vec<_> =
        questions.iter().filter(|(key, ..)| !answers.contains_key(key)).cloned().collect();
    if open.is_empty() {
        return Ok(Asked::Answers(answers));
    }
    if in_turn {
        open.truncate(1);
    }
    let state = json!({ "bound": bound, "answers": answers }).to_string();
    let state = (!is_stateless).then_some(state);
    Ok(Asked::Again(InputRequiredResult::new(Some(requests_of(&open)), state)))
}

/// The questions as members of one `inputRequests`.
pub(super) fn requests_of(questions: &[Question]) -> InputRequests {
    let request = |(key, kind, text): &Question| {
        let params = parameters(kind, text.as_deref(), key);
        let request = match &**kind {
            "sample" => InputRequest::CreateMessage(CreateMessageRequest::new(made(params))),
            "roots" => InputRequest::ListRoots(ListRootsRequest::default()),
            _ => InputRequest::Elicitation(ElicitRequest::new(made(params))),
        };
        (key.clone(), request)
    };
    questions.iter().map(request).collect()
}

fn parameters(kind: &str, text: Option<&str>, id: &str) -> Value {
    let question = text.unwrap_or("What is the answer?");
    match kind {
        "form" => json!({
            "mode": "form", "message": question,
            "requestedSchema": {
                "type": "object", "properties": { "answer": { "type": "string" } },
                "required": ["answer"],
            },
        }),
        "url" => json!({
            "mode": "url", "message": "Connect your account", "elicitationId": id,
            "url": text.unwrap_or("https://example.com/connect"),
        }),
        "sample" => json!({
            "messages": [{ "role": "user", "content": { "type": "text", "text": question } }],
            "maxTokens": 100,
        }),
        _ => json!({}),
    }
}

/// What the client would have to offer to be asked these questions.
fn missing_capabilities(called: &Called<'_>, questions: &[Question]) -> BTreeMap<String, Value> {
    let offered = json!(called.context.client_capabilities().unwrap_or_default());
    let elicitation = &offered["elicitation"];
    let mut missing = BTreeMap::new();
    for (_, kind, _) in questions {
        let (is_offered, capability, required) = match &**kind {
            "form" => {
                let has = elicitation.is_object()
                    && (elicitation["form"].is_object() || elicitation["url"].is_null());
                (has, "elicitation", json!({ "form": {} }))
            }
            "url" => (elicitation["url"].is_object(), "elicitation", json!({ "url": {} })),
            "sample" => (offered["sampling"].is_object(), "sampling", json!({})),
            _ => (offered["roots"].is_object(), "roots", json!({})),
        };
        if !is_offered {
            missing.insert(capability.to_owned(), required);
        }
    }
    missing
}

async fn ask_in_call(called: &Called<'_>, questions: &[Question], in_turn: bool) -> Asked {
    let missing = missing_capabilities(called, questions);
    if let Some(capability) = missing.keys().next() {
        return Asked::Refused(format!("Client does not support {capability}"));
    }
    let mut answers = BTreeMap::new();
    if in_turn {
        for question in questions {
            match ask_client(called, question).await {
                Ok((key, answer)) => answers.insert(key, answer),
                Err(error) => return Asked::Refused(error.to_string()),
            };
        }
        return Asked::Answers(answers);
    }
    match try_join_all(questions.iter().map(|question| ask_client(called, question))).await {
        Ok(all) => Asked::Answers(all.into_iter().collect()),
        Err(error) => Asked::Refused(error.to_string()),
    }
}

async fn ask_client(
    called: &Called<'_>,
    (key, kind, text): &Question,
) -> Result<(String, Value), ServiceError> {
    let visit = called.key.as_deref().unwrap_or("visit");
    let params = parameters(kind, text.as_deref(), visit);
    let request = match &**kind {
        "sample" => ServerRequest::CreateMessageRequest(CreateMessageRequest::new(made(params))),
        "roots" => ServerRequest::ListRootsRequest(ListRootsRequest::default()),
        _ => ServerRequest::ElicitRequest(ElicitRequest::new(made(params))),
    };
    let peer = &called.context.peer;
    let answer = match peer.send_request(request).await? {
        ClientResult::ElicitResult(answer) => json!(answer),
        ClientResult::CreateMessageResult(answer) => json!(answer),
        ClientResult::ListRootsResult(answer) => json!(answer),
        _ => return Err(ServiceError::UnexpectedResponse),
    };
    if kind == "url" && answer["action"] == "accept" {
        let params = json!({ "elicitationId": visit });
        let complete = CustomNotification::new("notifications/elicitation/complete", Some(params));
        peer.send_notification(ServerNotification::CustomNotification(complete)).await?;
    }
    Ok((key.clone(), answer))
}
