//! Servers of 2024-11-05, HTTP+SSE: one long stream, and a POST for each message. The tool `ask` asks
//! the client's model, and says what it answered.

use std::sync::Arc;

use serde_json::{Value, json};
use testkit::{Exchange, ScriptedServer, Session};
use tokio::sync::broadcast;

use crate::bridge::parts::{Modern, again, asked, heard, heard_in, sampled, sampling};
use crate::harness::{ERAS, Harness, ONE, assert_said, assert_tool_fault, said};

/// What happens on the event stream.
#[derive(Clone, Debug)]
enum Said {
    Message(Value),
    End,
}

/// A server whose tool `end` ends the stream instead of answering; `address` is what it says to post to.
async fn server(address: &'static str) -> ScriptedServer {
    let (said, _) = broadcast::channel(64);
    let said = Arc::new(said);
    ScriptedServer::start(move |exchange| {
        let said = Arc::clone(&said);
        async move {
            match exchange.request().verb.as_str() {
                "GET" => stream(exchange, address, said.subscribe()).await,
                _ => post(exchange, &said).await,
            }
        }
    })
    .await
}

async fn stream(mut exchange: Exchange, address: &str, mut said: broadcast::Receiver<Said>) {
    if exchange.request().target != "/sse" {
        return exchange.respond(405, &[], "").await;
    }
    exchange.begin_events(&[]).await;
    exchange.chunk(format!("event: endpoint\ndata: {address}\n\n")).await;
    loop {
        tokio::select! {
            message = said.recv() => match message {
                Ok(Said::Message(message)) => exchange.event(&message).await,
                Ok(Said::End) | Err(_) => return,
            },
            _ = exchange.closes_within(testkit::PATIENCE) => return,
        }
    }
}

async fn post(mut exchange: Exchange, told: &broadcast::Sender<Said>) {
    if exchange.request().target != "/messages?session=1" {
        return exchange.respond(404, &[], "").await;
    }
    let (method, id, params) = (exchange.request().method(), exchange.id(), exchange.params());
    let answer = exchange.request().json()["result"].clone();
    exchange.respond(202, &[], "Accepted").await;
    let asked = id.as_str().and_then(|id| id.strip_prefix("of ")?.parse::<u64>().ok());
    if let (true, Some(call)) = (method.is_empty(), asked) {
        let result = said(wire::Era::Legacy, &json!([answer]).to_string());
        let end = json!({"jsonrpc": "2.0", "id": call, "result": result});
        let _ = told.send(Said::Message(end));
        return;
    }
    let result = match method.as_str() {
        "initialize" => json!({"protocolVersion": "2024-11-05", "capabilities": {"tools": {}},
            "serverInfo": {"name": "old", "version": "1"}}),
        "tools/list" => json!({"tools": [testkit::echo_tool("echo")]}),
        "tools/call" if params["name"] == "end" => {
            let _ = told.send(Said::End);
            return;
        }
        "tools/call" if params["name"] == "ask" => {
            let question = sampling();
            let ask = json!({"jsonrpc": "2.0", "id": format!("of {id}"),
                "method": question["method"], "params": question["params"]});
            let _ = told.send(Said::Message(ask));
            return;
        }
        "tools/call" => {
            let token = &params["_meta"]["progressToken"];
            if !token.is_null() {
                let progress = json!({"progressToken": token, "progress": 1});
                let _ = told.send(Said::Message(json!({"jsonrpc": "2.0",
                    "method": "notifications/progress", "params": progress})));
            }
            said(wire::Era::Legacy, "from 2024")
        }
        _ => return,
    };
    let answer = json!({"jsonrpc": "2.0", "id": id, "result": result});
    let _ = told.send(Said::Message(answer.clone()));
    // And once more: the second is nobody's.
    let _ = told.send(Said::Message(answer));
}

async fn gate(server: &ScriptedServer, era: &str) -> Harness {
    Harness::start(json!({"servers": {"s": {"url": server.url("/sse"), "era": era,
        "timeout": "2s", "session": "shared"}}}))
    .await
}

#[tokio::test]
async fn clients_of_both_eras_call_it() {
    for era in ["sse", "auto"] {
        let server = server("/messages?session=1").await;
        let harness = gate(&server, era).await;
        for era in ERAS {
            let client = harness.client(era, ONE).await;
            let params = json!({"name": "echo", "_meta": {"progressToken": "own"}});
            let answer = client.send("tools/call", params).await;
            assert_said(&answer, "from 2024");
            let progress = &answer.messages()[0];
            assert_eq!(progress["params"]["progressToken"], "own", "{progress}");
            assert_said(&client.call("echo").await, "from 2024");
        }
        let begun = server.requests_of("initialize");
        let begun = begun.iter().filter(|request| request.target != "/sse").count();
        assert_eq!(begun, 1, "all share one conversation");
    }
}

#[tokio::test]
async fn it_asks_clients_of_both_eras() {
    let server = server("/messages?session=1").await;
    let harness = gate(&server, "sse").await;
    let able = json!({"sampling": {}, "elicitation": {}});
    let client = Modern::able(&harness, ONE, able.clone());
    let mut params = client.params(json!({}));
    params["name"] = json!("ask");
    let question = asked(&client.call(&params).await);
    assert_eq!(question["inputRequests"], json!({"q1": sampling()}));
    let retry = again(&params, &question, json!({"q1": sampled()}));
    assert_eq!(heard(&client.call(&retry).await), json!([sampled()]));
    let session = Session::with(harness.address, ONE, "2025-11-25", &able).await;
    let mut stream = session.stream(1, "tools/call", json!({"name": "ask"})).await;
    let question = stream.next_of("sampling/createMessage").await;
    let answer = json!({"jsonrpc": "2.0", "id": question["id"], "result": sampled()});
    assert_eq!(session.post(&answer).await.status, 202);
    assert_eq!(heard_in(&stream.next_of("").await), json!([sampled()]));
    assert_eq!(server.count("tools/call"), 2);
    // Nobody is asked who cannot be: the server is told so.
    let plain = harness.client(wire::Era::Modern, ONE).await;
    assert_eq!(heard(&plain.call("ask").await), json!([null]));
}

#[tokio::test]
async fn a_stream_that_ends_fails_its_call_once_and_is_opened_again() {
    let server = server("/messages?session=1").await;
    let harness = gate(&server, "sse").await;
    for era in ERAS {
        let client = harness.client(era, ONE).await;
        assert_said(&client.call("echo").await, "from 2024");
        let before = server.count("tools/call");
        let text = assert_tool_fault(&client.call("end").await, era, "server-failed");
        assert!(text.contains("not sent again"), "{text}");
        assert_eq!(server.count("tools/call"), before + 1);
        assert_said(&client.call("echo").await, "from 2024");
    }
}

#[tokio::test]
async fn an_address_of_another_origin_is_never_posted_to() {
    let trap = ScriptedServer::start(|mut exchange| async move {
        exchange.respond(202, &[], "").await;
    })
    .await;
    let elsewhere: &'static str = Box::leak(trap.url("/messages").into_boxed_str());
    for address in [elsewhere, "//evil.example.com/messages", "http://[", "file:///etc/passwd"] {
        let server = server(address).await;
        let harness = gate(&server, "sse").await;
        let client = harness.client(wire::Era::Modern, ONE).await;
        assert_tool_fault(&client.call("echo").await, wire::Era::Modern, "server-failed");
        assert!(server.requests().iter().all(|request| request.verb == "GET"), "{address}");
    }
    assert_eq!(trap.connections(), 0);
}
