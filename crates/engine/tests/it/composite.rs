//! Tools that are made of calls of other servers' tools.

mod failures;
mod steps;
mod way;

use serde_json::{Value, json};
use testkit::{Answer, McpServer, echo_tool};
use wire::Era;

use crate::harness::Harness;

/// The endpoint of the server whose tools are made of calls.
const TRIPS: &str = "/servers/trips/mcp";

/// What a tool of a test answers with.
enum Gives {
    /// Structured content.
    Value(Value),
    /// Text alone.
    Text(&'static str),
    /// An error of the tool.
    Error(&'static str),
}

/// A server of `era` whose tools answer what `give` makes of their name and arguments.
async fn giving(
    era: Era,
    tools: &[&str],
    give: impl Fn(&str, &Value) -> Gives + Send + Sync + 'static,
) -> McpServer {
    McpServer::of(era)
        .tools(tools.iter().map(|tool| echo_tool(tool)).collect())
        .on("tools/call", move |mut exchange| {
            let params = exchange.params();
            let given = give(params["name"].as_str().unwrap(), &params["arguments"]);
            async move { exchange.result(result(era, given)).await }
        })
        .start()
        .await
}

fn result(era: Era, given: Gives) -> Value {
    let text = |text: &str| json!({"content": [{"type": "text", "text": text}]});
    let mut result = match given {
        Gives::Value(value) => {
            let mut result = text("see the structured content");
            result["structuredContent"] = value;
            result
        }
        Gives::Text(said) => text(said),
        Gives::Error(said) => {
            let mut result = text(said);
            result["isError"] = json!(true);
            result
        }
    };
    if era == Era::Modern {
        result["resultType"] = json!("complete");
    }
    result
}

/// A gate before these servers by name, with one tool that is made of calls, `trip`.
async fn gate(servers: &[(&str, &McpServer)], tool: Value) -> Harness {
    gate_with(servers, tool, json!({})).await
}

/// The same, with further settings of the server whose tool it is.
async fn gate_with(servers: &[(&str, &McpServer)], tool: Value, more: Value) -> Harness {
    let mut settings = json!({"compose": {"trip": tool}});
    crate::api::merge(&mut settings, more);
    let mut config = json!({"servers": {"trips": settings}});
    for (name, server) in servers {
        config["servers"][name] = json!({"url": server.url()});
    }
    Harness::start(config).await
}

/// Calls the tool as a modern client.
async fn trip(harness: &Harness, arguments: Value) -> Value {
    let params = json!({"name": "trip", "arguments": arguments});
    result_of(&harness.modern(TRIPS, "tools/call", params).await)
}

fn result_of(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    assert!(answer["error"].is_null(), "{answer}");
    answer["result"].clone()
}

/// The value that a tool answered with.
#[track_caller]
fn value(result: &Value) -> &Value {
    assert_ne!(result["isError"], true, "{result}");
    &result["structuredContent"]
}

/// Why a tool failed.
#[track_caller]
fn failure(result: &Value) -> &str {
    assert_eq!(result["isError"], true, "{result}");
    assert!(result["structuredContent"].is_null(), "{result}");
    crate::api::text(result)
}
