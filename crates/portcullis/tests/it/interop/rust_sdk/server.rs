//! A server written with the Rust SDK, over Streamable HTTP on a port of its own, with the tool
//! set of `tests/README.md`.

#![expect(deprecated, reason = "what 2026-07-28 has deprecated is still to be tested")]

use std::borrow::Cow;
use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CancelTaskParams, CompleteRequestParams,
    CompleteResult, GetPromptRequestParams, GetPromptResponse, GetPromptResult, GetTaskParams,
    GetTaskResult, Implementation, ListPromptsResult, ListResourceTemplatesResult,
    ListResourcesResult, ListToolsResult, LoggingLevel, PaginatedRequestParams, ProtocolVersion,
    ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult,
    ResourceUpdatedNotificationParam, ServerConfig, SetLevelRequestParams, SubscribeRequestParams,
    SubscriptionFilter, UnsubscribeRequestParams, UpdateTaskParams,
};
use rmcp::service::{NotificationContext, RequestContext, SubscriptionContext};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, Peer, RoleServer, ServerHandler};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;

use super::offers::{self, NOTE_URI};
use super::toolset::{Called, Change, Shared};

/// The server; it ends when dropped.
pub(crate) struct Rust {
    pub(crate) url: String,
    serving: JoinHandle<()>,
}

impl Rust {
    /// Speaks every version, and lists everything on one page.
    pub(super) async fn start() -> Self {
        Self::start_as(None, None).await
    }

    /// Speaks one version alone, and lists in pages of a size, where these are given.
    pub(crate) async fn start_as(version: Option<ProtocolVersion>, page: Option<usize>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/mcp", listener.local_addr().expect("an address"));
        let sessions = Arc::new(LocalSessionManager::default());
        let config = StreamableHttpServerConfig::default();
        let shared = Arc::new(Shared::default());
        let connect = move || {
            Ok(Tools {
                shared: Arc::clone(&shared),
                version: version.clone(),
                page,
                level: Mutex::default(),
                subscribed: Arc::default(),
            })
        };
        let service = StreamableHttpService::new(connect, sessions, config);
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

/// What one connection or session sees of the server.
struct Tools {
    shared: Arc<Shared>,
    version: Option<ProtocolVersion>,
    page: Option<usize>,
    /// The level of a session.
    level: Mutex<Option<LoggingLevel>>,
    /// The resources that a session has subscribed to.
    subscribed: Arc<Mutex<HashSet<String>>>,
}

/// A value of the SDK from the JSON that the protocol has for it.
pub(super) fn made<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("what is written here is of the protocol")
}

/// A result of the SDK; it leaves out by itself what older versions have not.
pub(super) fn result<T: DeserializeOwned>(mut value: Value) -> T {
    value["resultType"] = json!("complete");
    made(value)
}

impl Tools {
    /// A page of a list, as the result that has it as `member`.
    fn paged<T: DeserializeOwned>(
        &self,
        member: &str,
        items: &[Value],
        page: Option<PaginatedRequestParams>,
    ) -> Result<T, ErrorData> {
        let cursor = page.and_then(|page| page.cursor);
        let start = cursor.map_or(Ok(0), |cursor| {
            let unknown =
                |_| ErrorData::invalid_params("the cursor is not one of this server", None);
            cursor.parse::<usize>().map_err(unknown)
        })?;
        let end = self.page.map_or(items.len(), |size| (start + size).min(items.len()));
        let mut list = json!({ member: items.get(start..end).unwrap_or_default() });
        if end < items.len() {
            list["nextCursor"] = json!(end.to_string());
        }
        Ok(result(list))
    }
}

impl ServerHandler for Tools {
    fn get_info(&self) -> ServerConfig {
        let capabilities = made(json!({
            "completions": {}, "logging": {}, "prompts": { "listChanged": true },
            "resources": { "subscribe": true, "listChanged": true },
            "tools": { "listChanged": true },
            "extensions": { "io.modelcontextprotocol/tasks": {} },
        }));
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("rust-server", "1.0.0"))
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        match &self.version {
            Some(version) => Cow::Owned(vec![version.clone()]),
            None => Cow::Borrowed(ProtocolVersion::KNOWN_VERSIONS),
        }
    }

    // === Tools ===

    async fn list_tools(
        &self,
        page: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        self.paged("tools", &offers::tools(&spoken(&context), self.shared.grown()), page)
    }

    async fn call_tool(
        &self,
        call: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let version = spoken(&context);
        let known = offers::tools(&version, self.shared.grown());
        if !known.iter().any(|tool| tool["name"] == *call.name) {
            return Err(ErrorData::invalid_params(format!("no tool {}", call.name), None));
        }
        let level = *self.level.lock().expect("nothing panics while it holds the level");
        Called::new(&self.shared, call, context, version, level).run().await
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        self.shared.ask_about_task(&request.task_id).map(GetTaskResult::new)
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.shared.answer_task(&request.task_id, request.input_responses)
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.shared.cancel_task(&request.task_id)
    }

    // === Resources, prompts, completions ===

    async fn list_resources(
        &self,
        page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        self.paged("resources", &offers::resources(), page)
    }

    async fn list_resource_templates(
        &self,
        page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        self.paged("resourceTemplates", &offers::templates(), page)
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let Some(content) = offers::content_of(&request.uri, &self.shared.note()) else {
            return Err(ErrorData::resource_not_found(format!("no {}", request.uri), None));
        };
        Ok(result::<ReadResourceResult>(json!({ "contents": [content] })).into())
    }

    async fn list_prompts(
        &self,
        page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        self.paged("prompts", &offers::prompts(), page)
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        let Some(text) = offers::prompt(&request.name, &json!(arguments)) else {
            return Err(ErrorData::invalid_params(format!("no prompt {}", request.name), None));
        };
        let message = json!({ "role": "user", "content": { "type": "text", "text": text } });
        Ok(result::<GetPromptResult>(json!({ "messages": [message] })).into())
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let values = offers::completions(&request.argument.name, &request.argument.value);
        let completion = json!({ "total": values.len(), "hasMore": false, "values": values });
        Ok(result(json!({ "completion": completion })))
    }

    // === Levels, subscriptions, changes ===

    async fn set_level(
        &self,
        request: SetLevelRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        *self.level.lock().expect("nothing panics while it holds the level") = Some(request.level);
        Ok(())
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.subscribed.lock().expect("nothing panics while it holds them").insert(request.uri);
        Ok(())
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.subscribed.lock().expect("nothing panics while it holds them").remove(&request.uri);
        Ok(())
    }

    /// A session hears of changes unasked, until it is over.
    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        let mut changes = self.shared.changes.subscribe();
        let subscribed = Arc::clone(&self.subscribed);
        tokio::spawn(async move {
            loop {
                let change = match changes.recv().await {
                    Ok(change) => change,
                    Err(RecvError::Lagged(_)) => continue,
                    Err(RecvError::Closed) => return,
                };
                let is_wanted = change != Change::Note
                    || subscribed.lock().expect("nothing panics here").contains(NOTE_URI);
                if is_wanted && tell(&context.peer, change).await.is_err() {
                    return;
                }
            }
        });
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut changes = self.shared.changes.subscribe();
        loop {
            let change = tokio::select! {
                () = context.cancelled() => return Ok(()),
                change = changes.recv() => change,
            };
            let sink = context.sink();
            // What the client has not asked for is refused by the sink.
            let _ = match change {
                Ok(Change::Tools) => sink.notify_tool_list_changed().await,
                Ok(Change::Prompts) => sink.notify_prompt_list_changed().await,
                Ok(Change::Resources) => sink.notify_resource_list_changed().await,
                Ok(Change::Note) => sink.notify_resource_updated(NOTE_URI).await,
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return Ok(()),
            };
        }
    }
}

async fn tell(peer: &Peer<RoleServer>, change: Change) -> Result<(), rmcp::ServiceError> {
    match change {
        Change::Tools => peer.notify_tool_list_changed().await,
        Change::Prompts => peer.notify_prompt_list_changed().await,
        Change::Resources => peer.notify_resource_list_changed().await,
        Change::Note => {
            let note = ResourceUpdatedNotificationParam::new(NOTE_URI);
            peer.notify_resource_updated(note).await
        }
    }
}

/// The version that the client of a request speaks.
fn spoken(context: &RequestContext<RoleServer>) -> String {
    let version = context.protocol_version().unwrap_or(ProtocolVersion::LATEST_WITH_INITIALIZE);
    version.as_str().to_owned()
}
