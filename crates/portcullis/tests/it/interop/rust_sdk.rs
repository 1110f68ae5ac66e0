//! The Rust SDK on both sides: its client with every kind of server, its server for other clients.

use std::time::Duration;

use rmcp::ServiceError;
use rmcp::model::{
    CallToolRequestParams, CallToolResult, ClientCapabilities, ClientConfig, ElicitRequestParams,
    ElicitResult, ElicitationAction, ErrorCode, GetPromptRequestParams, Implementation,
    ProtocolVersion, ReadResourceRequestParams,
};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt as _, RequestContext, RunningService};
use rmcp::transport::TokioChildProcess;
use rmcp::transport::streamable_http_client::{
    StreamableHttpClientTransport, StreamableHttpClientTransportConfig,
};
use rmcp::{ClientHandler, ErrorData, RoleClient};
use serde_json::{Value, json};

use self::http::Plain;
use super::client::{LEGACY, MODERN, V1, V2_MODERN};
use super::parts::Parts;
use super::script::{call, check, script, step};
use super::server::{Listening, gate, pinned};

mod http;
mod server;

/// For everything a test waits for.
const PATIENCE: Duration = Duration::from_secs(20);

/// A client that answers every form with `forty-two`.
#[derive(Clone, Debug)]
struct Host;

impl ClientHandler for Host {
    fn get_info(&self) -> ClientConfig {
        let capabilities = ClientCapabilities::builder().enable_elicitation().build();
        ClientConfig::new(capabilities, Implementation::new("rust-client", "1.0.0"))
    }

    async fn create_elicitation(
        &self,
        _question: ElicitRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let content = json!({ "answer": "forty-two" });
        Ok(ElicitResult::new(ElicitationAction::Accept).with_content(content))
    }
}

type Client = RunningService<RoleClient, Host>;

fn modern() -> ClientLifecycleMode {
    ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] }
}

async fn connect(url: &str, lifecycle: ClientLifecycleMode) -> Client {
    let config = StreamableHttpClientTransportConfig::with_uri(url);
    let transport = StreamableHttpClientTransport::with_client(Plain, config);
    let connecting = Host.serve_with_lifecycle(transport, lifecycle);
    let connected = tokio::time::timeout(PATIENCE, connecting).await.expect("in time");
    connected.unwrap_or_else(|error| panic!("{url}: {error}"))
}

async fn call_tool(
    client: &Client,
    name: &str,
    arguments: Value,
) -> Result<CallToolResult, ServiceError> {
    let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
    let call = CallToolRequestParams::new(name.to_owned()).with_arguments(arguments);
    tokio::time::timeout(PATIENCE, client.call_tool(call)).await.expect("an answer in time")
}

fn text_of(result: &CallToolResult) -> Value {
    serde_json::to_value(result).expect("a result is JSON")["content"][0]["text"].clone()
}

/// What the client does with a server of the tests, alone or as `composed` on an endpoint where
/// another server has the same names and URIs.
async fn tour(client: &Client, composed: Option<&str>) {
    let name = |own: &str| composed.map_or(own.to_owned(), |server| format!("{server}__{own}"));
    let uri = |own: &str| {
        composed.map_or(own.to_owned(), |server| format!("portcullis://{server}/{own}"))
    };
    let tools = client.list_all_tools().await.expect("tools");
    assert!(tools.iter().any(|tool| tool.name == name("add")), "{tools:?}");
    let prompts = client.list_all_prompts().await.expect("prompts");
    assert!(prompts.iter().any(|prompt| prompt.name == name("greet")), "{prompts:?}");
    let templates = client.list_all_resource_templates().await.expect("templates");
    assert!(
        templates.iter().any(|each| each.uri_template == uri("memo://item/{id}")),
        "{templates:?}"
    );

    let sum = call_tool(client, &name("add"), json!({ "a": 2, "b": 40 })).await.expect("a sum");
    assert_eq!(sum.structured_content, Some(json!({ "sum": 42 })));
    let failed = call_tool(client, &name("fail"), json!({})).await.expect("an answer");
    assert_eq!(failed.is_error, Some(true));
    let item = client.read_resource(ReadResourceRequestParams::new(uri("memo://item/7"))).await;
    assert_eq!(item.expect("a resource").contents.len(), 1);
    let nowhere = client.read_resource(ReadResourceRequestParams::new(uri("memo://nowhere"))).await;
    assert!(matches!(nowhere, Err(ServiceError::McpError(_))), "{nowhere:?}");
    let plain = client.get_prompt(GetPromptRequestParams::new(name("plain"))).await;
    assert_eq!(plain.expect("a prompt").messages.len(), 1);
    let tones = client.complete_prompt_simple(name("greet"), "tone", "fu").await.expect("tones");
    assert_eq!(tones, ["funny"]);
}

async fn asks(client: &Client, tool: &str) {
    let asked = call_tool(client, tool, json!({ "question": "The answer?" })).await;
    let text = text_of(&asked.expect("an answer"));
    assert!(text.as_str().unwrap_or("").contains("forty-two"), "{text}");
}

async fn end(client: Client) {
    tokio::time::timeout(PATIENCE, client.cancel()).await.expect("in time").expect("no panic");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_finds_servers_of_both_eras() {
    let Some(parts) = Parts::find() else { return };
    let home = tempfile::tempdir().expect("a directory can be made");
    let (legacy, newer) = (Listening::legacy(&parts), Listening::modern(&parts));
    let servers = json!({ "old": { "url": legacy.url }, "new": { "url": newer.url } });
    let gate = gate(home.path(), &json!({ "servers": servers }));
    for (server, lifecycle, same_era) in [
        ("old", ClientLifecycleMode::Initialize, true),
        ("old", modern(), false),
        ("new", ClientLifecycleMode::Initialize, false),
        ("new", modern(), true),
    ] {
        let client = connect(&gate.url(&format!("/servers/{server}/mcp")), lifecycle).await;
        tour(&client, None).await;
        if same_era {
            asks(&client, "ask").await;
        }
        end(client).await;
    }
    for lifecycle in [ClientLifecycleMode::Initialize, modern()] {
        let is_modern = lifecycle == modern();
        let client = connect(&gate.url("/mcp"), lifecycle).await;
        tour(&client, Some("old")).await;
        tour(&client, Some("new")).await;
        asks(&client, if is_modern { "new__ask" } else { "old__ask" }).await;
        let unknown = call_tool(&client, "whose", json!({})).await;
        let Err(ServiceError::McpError(error)) = unknown else { panic!("{unknown:?}") };
        assert_eq!(error.code, ErrorCode::INVALID_PARAMS, "{error:?}");
        end(client).await;
    }
}

/// As a host: the client starts `portcullis stdio`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_starts_the_gate() {
    let Some(parts) = Parts::find() else { return };
    let home = tempfile::tempdir().expect("a directory can be made");
    let (legacy, newer) = (Listening::legacy(&parts), Listening::modern(&parts));
    let servers = json!({ "old": { "url": legacy.url }, "new": { "url": newer.url } });
    let file = home.path().join("gate.json");
    let configuration = json!({ "servers": servers, "log": { "level": "warn" } });
    std::fs::write(&file, configuration.to_string()).expect("the file can be written");
    for lifecycle in [ClientLifecycleMode::Initialize, modern()] {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.arg("stdio").arg(&file).env("HOME", home.path());
        let process = TokioChildProcess::new(command).expect("the gate starts");
        let connecting = Host.serve_with_lifecycle(process, lifecycle);
        let client = tokio::time::timeout(PATIENCE, connecting).await.expect("in time");
        let client = client.expect("the gate greets");
        tour(&client, Some("old")).await;
        tour(&client, Some("new")).await;
        end(client).await;
    }
}

/// A server of the Rust SDK, which speaks both eras, for clients of all other SDKs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_serves_other_clients() {
    let Some(parts) = Parts::find() else { return };
    let home = tempfile::tempdir().expect("a directory can be made");
    let rust = server::Rust::start().await;
    let entry = json!({ "url": rust.url });
    let servers = json!({
        "found": entry, "modern": pinned(entry.clone(), "modern"), "legacy": pinned(entry, "legacy"),
    });
    let gate = gate(home.path(), &json!({ "servers": servers }));
    let steps = [
        step(json!({ "op": "initialize" })).gives("/serverInfo/name", "rust-server"),
        step(json!({ "op": "tools/list" })).lists("tools", "name", &["echo", "count"]),
        call("echo", json!({ "message": "hello" })).says("hello"),
        step(json!({
            "op": "tools/call", "name": "count", "arguments": { "to": 2 }, "progress": true,
        }))
        .says("counted to 2")
        .reports("/progress/0/progress", 1),
        call("no_such_tool", json!({})).fails("no_such_tool"),
    ];
    let at = |name: &str| gate.url(&format!("/servers/{name}/mcp"));
    let mut visits: Vec<_> =
        LEGACY.into_iter().chain(MODERN).map(|client| (client, at("found"))).collect();
    visits.extend([V1, V2_MODERN].map(|client| (client, at("modern"))));
    visits.extend([V1, V2_MODERN].map(|client| (client, at("legacy"))));
    // The server runs in this process: its clients must not stop it.
    tokio::task::spawn_blocking(move || {
        for (client, url) in visits {
            let report = client.run(&parts, &url, &script(&steps, &json!({})));
            check(&format!("{client:?} at {url}"), &steps, &report);
        }
    })
    .await
    .expect("every client was content");

    for (name, lifecycle) in
        [("modern", modern()), ("legacy", ClientLifecycleMode::Initialize), ("legacy", modern())]
    {
        let client = connect(&gate.url(&format!("/servers/{name}/mcp")), lifecycle).await;
        let echoed = call_tool(&client, "echo", json!({ "message": "hello" })).await;
        assert_eq!(text_of(&echoed.expect("an answer")), "hello");
        end(client).await;
    }
}
