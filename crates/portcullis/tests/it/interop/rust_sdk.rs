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
use super::client::{LEGACY, MODERN, PYTHON_AUTO, V1, V2_MODERN};
use super::parts::Parts;
use super::script::{Step, call, check, commits, script, step};
use super::server::{Listening, gate, pinned};

mod http;
mod offers;
pub(crate) mod player;
mod questions;
mod script_host;
pub(crate) mod server;
mod toolset;

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

/// The tool set of `tests/README.md` without a gate: what a native client sees.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_offers_the_tool_set() {
    let Some(parts) = Parts::find() else { return };
    let every = server::Rust::start_as(None, Some(6)).await;
    let newest = server::Rust::start_as(Some(ProtocolVersion::V_2026_07_28), None).await;
    let older = server::Rust::start_as(Some(ProtocolVersion::V_2025_06_18), None).await;
    let visits = [
        (V1, every.url.clone(), "2025-11-25"),
        (V2_MODERN, every.url.clone(), "2026-07-28"),
        (PYTHON_AUTO, newest.url.clone(), "2026-07-28"),
        (V1, older.url.clone(), "2025-06-18"),
    ];
    // The servers run in this process: their clients must not stop them.
    tokio::task::spawn_blocking(move || {
        for (at, (client, url, version)) in visits.into_iter().enumerate() {
            let steps = native(version, &format!("k{at}"), true);
            let report = client.run(&parts, &url, &script(&steps, &native_answers()));
            check(&format!("{client:?} with {version}"), &steps, &report);
        }
    })
    .await
    .expect("every client was content");
    drop((every, newest, older));
}

fn native_answers() -> Value {
    json!({
        "elicitation/create": { "action": "accept", "content": { "answer": "forty-two" } },
        "elicitation/create:url": { "action": "accept" },
        "sampling/createMessage": {
            "role": "assistant", "model": "none", "content": { "type": "text", "text": "a poem" },
        },
        "roots/list": { "roots": [{ "uri": "file:///somewhere" }] },
    })
}

/// Every feature once with a key, and how often the server was called for it.
fn native(version: &str, key: &str, has_urls: bool) -> Vec<Step> {
    let is_modern = version >= "2026-07-28";
    let rounds = |asked: u64| if is_modern { asked + 1 } else { 1 };
    let keyed = |name: &str, mut arguments: Value| {
        arguments["key"] = json!(key);
        call(name, arguments)
    };
    let progress = json!({
        "op": "tools/call", "name": "slow", "progress": true,
        "arguments": { "steps": 2, "ms": 50, "key": key },
    });
    let mut steps = vec![
        step(json!({ "op": "initialize" })).gives("/protocolVersion", version),
        step(json!({ "op": "tools/list", "pages": true })).lists("tools", "name", &["ask", "requests"]),
        keyed("add", json!({ "a": 1, "b": 2 })).gives("/structuredContent", json!({ "sum": 3 })),
        keyed("rich", json!({})).gives("/content/3/type", "resource_link"),
        keyed("ask", json!({ "question": "The answer?" })).mentions("forty-two"),
        keyed("sample", json!({ "prompt": "A poem" })).mentions("a poem"),
        keyed("roots", json!({})).mentions("file:///somewhere"),
        keyed("ask_two", json!({})).mentions("a poem"),
        keyed("ask_twice", json!({})).mentions("forty-two"),
        keyed("long_task", json!({})).says("{}"),
        step(progress).says("2 steps").reports("/progress/0/message", "step 1"),
        step(json!({
            "op": "tools/call", "name": "log", "arguments": { "message": "heard" }, "log_level": "info",
        }))
        .says("logged"),
        // The Rust client takes notifications as it comes to them.
        step(json!({
            "op": "wait", "notification": "notifications/message", "match": { "level": "info" },
        })),
        step(json!({ "op": "listen", "notifications": {
            "toolsListChanged": true, "resourceSubscriptions": ["memo://note"],
        } })),
        keyed("announce", json!({ "list": "tools" })).says("tools"),
        step(json!({ "op": "wait", "notification": "notifications/tools/list_changed" })),
        keyed("touch", json!({ "text": "changed" })).says("touched"),
        step(json!({ "op": "wait", "notification": "notifications/resources/updated" })),
        step(json!({
            "op": "cancel-after", "ms": 100, "name": "slow",
            "arguments": { "steps": 1000, "ms": 20, "key": format!("{key}-left") },
        }))
        .fails("cancelled by the script"),
    ];
    let mut counted = json!({
        format!("ask:{key}"): rounds(1), format!("sample:{key}"): rounds(1),
        format!("roots:{key}"): rounds(1), format!("ask_two:{key}"): rounds(1),
        format!("ask_twice:{key}"): rounds(2), format!("touch:{key}"): 1,
    });
    if version >= "2025-11-25" && has_urls {
        steps.push(keyed("ask_url", json!({})).mentions("accept"));
        counted[format!("ask_url:{key}")] = json!(rounds(1));
    }
    if version == "2025-11-25" {
        let visit = json!({
            "op": "tools/call", "name": "ask_url_first", "arguments": { "key": key },
            "retry_url_required": true,
        });
        steps.push(step(visit).says("connected").reports("/url_required/0/elicitationId", key));
        counted[format!("ask_url_first:{key}")] = json!(2);
    }
    if is_modern {
        steps.push(keyed("structured_list", json!({})).gives("/structuredContent/2", 3));
        let task = json!({
            "op": "tools/call", "name": "long_task", "task": true,
            "arguments": { "kinds": ["form", "roots"], "key": format!("{key}-task") },
        });
        let statuses = json!(["input_required", "working", "completed"]);
        steps.push(step(task).mentions("forty-two").reports("/task/statuses", statuses));
        counted[format!("long_task:{key}-task")] = json!(1);
    }
    let committed: serde_json::Map<_, _> = counted
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| (name.clone(), json!(1)))
        .chain([(format!("slow:cancelled:{key}-left"), json!(1))])
        .collect();
    steps.push(commits("requests", &counted));
    steps.push(commits("commits", &Value::Object(committed)));
    steps
}

/// The same with the client of the Rust SDK and the servers of the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_plays_scripts() {
    let Some(parts) = Parts::find() else { return };
    let (legacy, newer) = (Listening::legacy(&parts), Listening::modern(&parts));
    let rust = server::Rust::start().await;
    let visits = [
        (&legacy.url, "2025-11-25"),
        (&legacy.url, "2025-06-18"),
        (&newer.url, "2026-07-28"),
        (&rust.url, "2025-11-25"),
        (&rust.url, "2026-07-28"),
    ];
    for (at, (url, version)) in visits.into_iter().enumerate() {
        // This client insists on the `elicitationId` that URLs had up to 2025-11-25.
        let has_urls = url != &newer.url;
        let steps = native(version, &format!("rust{at}"), has_urls);
        let report = player::play(url, version, &script(&steps, &native_answers())).await;
        check(&format!("the Rust client at {url} with {version}"), &steps, &report);
    }
}
