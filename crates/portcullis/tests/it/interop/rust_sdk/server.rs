//! A server written with the Rust SDK, over Streamable HTTP on a port of its own.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation,
    ListToolsResult, PaginatedRequestParams, ProgressNotificationParam, ServerCapabilities,
    ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The server; it ends when dropped.
pub(super) struct Rust {
    pub(super) url: String,
    serving: JoinHandle<()>,
}

impl Rust {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/mcp", listener.local_addr().expect("an address"));
        let sessions = Arc::new(LocalSessionManager::default());
        let config = StreamableHttpServerConfig::default();
        let service = StreamableHttpService::new(|| Ok(Tools), sessions, config);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = service.clone();
                tokio::spawn(async move {
                    let answer = service_fn(|request| {
                        let service = service.clone();
                        async move { Ok::<_, Infallible>(service.handle(request).await) }
                    });
                    let _ = Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), answer)
                        .await;
                });
            }
        });
        Self { url, serving }
    }
}

impl Drop for Rust {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

#[derive(Clone, Debug)]
struct Tools;

fn tool(name: &'static str, description: &'static str, properties: &Value) -> Tool {
    let schema = json!({ "type": "object", "properties": properties });
    let Value::Object(schema) = schema else { unreachable!("an object was written") };
    Tool::new(name, description, schema)
}

impl ServerHandler for Tools {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("rust-server", "1.0.0"))
    }

    async fn list_tools(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(vec![
            tool("echo", "Returns its message", &json!({ "message": { "type": "string" } })),
            tool("count", "Counts, aloud", &json!({ "to": { "type": "integer" } })),
        ]))
    }

    async fn call_tool(
        &self,
        call: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let argument = |name: &str| call.arguments.as_ref().and_then(|given| given.get(name));
        let text = match &*call.name {
            "echo" => argument("message").and_then(Value::as_str).unwrap_or_default().to_owned(),
            "count" => {
                let to = argument("to").and_then(Value::as_u64).unwrap_or(0).min(10);
                count(to, &context).await;
                format!("counted to {to}")
            }
            unknown => {
                return Err(ErrorData::invalid_params(format!("no tool {unknown}"), None));
            }
        };
        Ok(CallToolResult::success(vec![ContentBlock::text(text)]).into())
    }
}

/// Long enough for two messages to arrive one after the other.
const BETWEEN_MESSAGES: Duration = Duration::from_millis(50);

async fn count(to: u64, context: &RequestContext<RoleServer>) {
    let Some(token) = context.meta.get_progress_token() else { return };
    for step in 1..=to {
        #[expect(clippy::cast_precision_loss, reason = "it counts to ten at most")]
        let progress = ProgressNotificationParam::new(token.clone(), step as f64);
        // Whoever listens may have gone.
        let _ = context.peer.notify_progress(progress).await;
        // A client of the TypeScript SDK v1 that gets progress and answer in one piece forgets the
        // progress: it takes the answer first.
        tokio::time::sleep(BETWEEN_MESSAGES).await;
    }
}
