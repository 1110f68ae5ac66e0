//! Questions that are not let through: what a client never said it can be asked, and secrets in forms.

use serde_json::{Value, json};
use testkit::McpServer;
use wire::Era;

use super::parts::{
    ENDPOINTS, Legacy, Modern, again, asked, everything, form, heard, heard_in, kinds,
    legacy_asking, modern_asking, named,
};
use crate::harness::{ERAS, Harness, ONE, assert_tool_fault};

async fn asking(era: Era) -> McpServer {
    match era {
        Era::Modern => modern_asking().start().await,
        Era::Legacy => legacy_asking().start().await,
    }
}

/// The argument that makes a server of `era` ask one thing.
fn round(era: Era, question: &Value) -> Value {
    let mut question = question.clone();
    match era {
        Era::Legacy => json!({"rounds": [[question]]}),
        Era::Modern => {
            question["params"].as_object_mut().unwrap().remove("elicitationId");
            json!({"rounds": [{"q1": question}]})
        }
    }
}

/// What became of one question to a client of an era.
enum Became {
    /// The client was asked, and answered.
    Asked,
    /// The call ended with this last message, and the client was not asked.
    Ended(Value),
}

/// Calls as a client of `era` that can be asked `abilities`, and answers with `answer`.
async fn put(
    harness: &Harness,
    client: Era,
    endpoint: &str,
    abilities: &Value,
    arguments: Value,
    answer: &Value,
) -> Became {
    if client == Era::Legacy {
        let client = Legacy::able(harness, endpoint, "2025-11-25", abilities).await;
        let said = client.converse(arguments, |_| answer.clone()).await;
        let was_asked = !said.questions.is_empty();
        return if was_asked { Became::Asked } else { Became::Ended(said.end) };
    }
    let client = Modern::able(harness, endpoint, abilities.clone());
    let params = client.params(arguments);
    let first = client.call(&params).await;
    if first.json()["result"]["resultType"] != "input_required" {
        return Became::Ended(first.json());
    }
    let retry = again(&params, &asked(&first), json!({"q1": answer}));
    assert!(heard(&client.call(&retry).await).to_string().contains(&answer.to_string()));
    Became::Asked
}

#[tokio::test]
async fn nobody_is_asked_what_they_never_offered() {
    // For each kind of question, everything but what it needs.
    let lacking = [
        json!({"elicitation": {"url": {}}, "sampling": {}, "roots": {}}),
        json!({"elicitation": {}, "sampling": {}, "roots": {}}),
        json!({"elicitation": {"form": {}, "url": {}}, "roots": {}}),
        json!({"elicitation": {"form": {}, "url": {}}, "sampling": {}}),
    ];
    for server_era in ERAS {
        for client_era in ERAS {
            for endpoint in ENDPOINTS {
                for ((question, answer), lacking) in kinds().into_iter().zip(&lacking) {
                    let server = asking(server_era).await;
                    let harness = Harness::before(&server).await;
                    let arguments = round(server_era, &question);
                    let context = format!("{client_era:?} before {server_era:?}: {question}");
                    let able = everything();
                    let offered = arguments.clone();
                    let became = put(&harness, client_era, endpoint, &able, offered, &answer).await;
                    assert!(matches!(became, Became::Asked), "{context}");
                    let before = server.count("tools/call");
                    let became =
                        put(&harness, client_era, endpoint, lacking, arguments, &answer).await;
                    let Became::Ended(end) = became else { panic!("asked: {context}") };
                    assert_eq!(server.count("tools/call"), before + 1, "{context}");
                    if server_era == Era::Legacy {
                        // The server is told, and judges for itself.
                        let code = &heard_in(&end)[0]["error"]["code"];
                        assert_eq!(code, -32601, "{context}: {end}");
                    } else {
                        let fault = &end["result"]["_meta"]["io.portcullis/fault"];
                        assert_eq!(fault["reason"], "interaction-unavailable", "{context}: {end}");
                        assert_eq!(end["result"]["isError"], true, "{context}: {end}");
                    }
                }
            }
        }
    }
}

/// A form that asks for something with this definition.
fn form_of(field: &str, property: Value) -> Value {
    let mut question = form();
    question["params"]["requestedSchema"] =
        json!({"type": "object", "properties": {"name": {"type": "string"}, field: property}});
    question
}

#[tokio::test]
async fn a_form_that_asks_for_a_secret_is_refused() {
    let secrets = [
        form_of("password", json!({"type": "string"})),
        form_of("openai_api_key", json!({"type": "string"})),
        form_of("accessToken", json!({"type": "string"})),
        form_of("field", json!({"type": "string", "format": "password"})),
        form_of("field", json!({"type": "string", "title": "Your API key"})),
    ];
    let harmless = form_of("city", json!({"type": "string"}));
    for server_era in ERAS {
        let server = asking(server_era).await;
        let harness = Harness::before(&server).await;
        for client_era in ERAS {
            for endpoint in ENDPOINTS {
                let context = format!("{client_era:?} before {server_era:?}");
                let able = everything();
                for secret in &secrets {
                    let before = server.count("tools/call");
                    let arguments = round(server_era, secret);
                    let told = named("hunter2");
                    let became = put(&harness, client_era, endpoint, &able, arguments, &told).await;
                    let Became::Ended(end) = became else { panic!("asked: {context}") };
                    let why = if server_era == Era::Legacy {
                        let error = heard_in(&end)[0]["error"].clone();
                        assert_eq!(error["code"], -32602, "{context}: {end}");
                        error["message"].clone()
                    } else {
                        let fault = &end["result"]["_meta"]["io.portcullis/fault"];
                        assert_eq!(fault["reason"], "interaction-refused", "{context}: {end}");
                        end["result"]["content"][0]["text"].clone()
                    };
                    let why = why.as_str().unwrap();
                    assert!(why.contains("secret"), "says why: {why}");
                    assert_eq!(server.count("tools/call"), before + 1, "{context}");
                }
                let arguments = round(server_era, &harmless);
                let told = named("Ada");
                let became = put(&harness, client_era, endpoint, &able, arguments, &told).await;
                assert!(matches!(became, Became::Asked), "{context}");
            }
        }
    }
}

#[tokio::test]
async fn an_operator_may_let_secrets_pass() {
    let secret = form_of("password", json!({"type": "string"}));
    for server_era in ERAS {
        let server = asking(server_era).await;
        let harness = Harness::start(json!({"servers": {"s": {
            "url": server.url(), "secret_forms": "pass"}}}))
        .await;
        for client_era in ERAS {
            for endpoint in ENDPOINTS {
                let answer = json!({"action": "accept", "content": {"password": "hunter2"}});
                let arguments = round(server_era, &secret);
                let became =
                    put(&harness, client_era, endpoint, &everything(), arguments, &answer).await;
                assert!(matches!(became, Became::Asked), "{client_era:?} before {server_era:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_refused_form_leaves_the_questions_beside_it_alone() {
    let secret = form_of("password", json!({"type": "string"}));
    let server = asking(Era::Legacy).await;
    let harness = Harness::before(&server).await;
    let client = Modern::at(&harness, ONE);
    let params = client.rounds(json!([[secret, form()]]));
    let asked = client.asked(&params).await;
    assert_eq!(asked["inputRequests"].as_object().unwrap().len(), 1);
    let answered = client.retry(&params, &asked, json!({"q1": named("Ada")})).await;
    let said = heard(&answered);
    assert_eq!((&said[0]["error"]["code"], &said[1]), (&json!(-32602), &named("Ada")));
    // A modern server's questions come and go together.
    let server = asking(Era::Modern).await;
    let harness = Harness::before(&server).await;
    let client = Modern::at(&harness, ONE);
    let rounds = json!([{"a": form_of("password", json!({"type": "string"})), "b": form()}]);
    let refused = client.call(&client.rounds(rounds)).await;
    assert_tool_fault(&refused, Era::Modern, "interaction-refused");
    assert!(!refused.text().contains("inputRequests"), "{}", refused.text());
}

#[tokio::test]
async fn a_question_that_is_no_question_is_told_so() {
    // What no version knows, and what only the gate can answer.
    let server = asking(Era::Legacy).await;
    let harness = Harness::before(&server).await;
    for endpoint in ENDPOINTS {
        let ping = json!({"method": "ping", "params": {}});
        let unknown = json!({"method": "x/unknown", "params": {}});
        let client = Modern::at(&harness, endpoint);
        let params = client.rounds(json!([[ping, form(), unknown]]));
        let asked = client.asked(&params).await;
        assert_eq!(asked["inputRequests"].as_object().unwrap().len(), 1, "{asked}");
        let answered = client.retry(&params, &asked, json!({"q1": named("Ada")})).await;
        let said = heard(&answered);
        assert_eq!(said[0], json!({}), "a ping is answered at once");
        assert_eq!(said[1], named("Ada"));
        assert_eq!(said[2]["error"]["code"], -32601, "{said}");
    }
    assert_eq!(server.count("tools/call"), 2);
}
