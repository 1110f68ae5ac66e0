//! What the script runner of the Rust SDK declares, answers and hears.

#![expect(deprecated, reason = "what 2026-07-28 has deprecated is still to be tested")]

use std::sync::{Arc, Mutex};

use rmcp::model::{
    ClientConfig, CreateMessageRequestParams, CreateMessageResult, CustomNotification,
    ElicitRequestParams, ElicitResult, ErrorCode, Implementation, ListRootsResult,
    LoggingMessageNotificationParam, ProgressNotificationParam, ProtocolVersion,
    ResourceUpdatedNotificationParam,
};
use rmcp::service::{
    ClientLifecycleMode, ClientServiceExt as _, NotificationContext, RequestContext, RunningService,
};
use rmcp::transport::streamable_http_client::{
    StreamableHttpClientTransport, StreamableHttpClientTransportConfig,
};
use rmcp::{ClientHandler, ErrorData, RoleClient};
use serde_json::{Value, json};

use super::http::Plain;
use super::server::made;

pub(super) const MODERN: &str = "2026-07-28";

/// What the client was told and asked.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) notifications: Mutex<Vec<Value>>,
    pub(super) requests: Mutex<Vec<Value>>,
    /// The progress of the step that runs.
    pub(super) progress: Mutex<Vec<Value>>,
}

impl Seen {
    pub(super) fn notified(&self, method: &str, params: &Value) {
        let mut notifications = self.notifications.lock().expect("no panic while it is held");
        notifications.push(json!({ "method": method, "params": params }));
    }
}

#[derive(Clone)]
pub(super) struct Host {
    pub(super) version: String,
    pub(super) answers: Arc<Mutex<Value>>,
    /// Whether the tasks extension is declared.
    pub(super) has_tasks: bool,
    pub(super) seen: Arc<Seen>,
}

impl Host {
    pub(super) async fn connect(
        self,
        url: &str,
    ) -> Result<RunningService<RoleClient, Self>, Value> {
        let version = made::<ProtocolVersion>(json!(self.version));
        let lifecycle = if *self.version >= *MODERN {
            ClientLifecycleMode::Discover { preferred_versions: vec![version.clone()] }
        } else {
            ClientLifecycleMode::Initialize
        };
        let config = StreamableHttpClientTransportConfig::with_uri(url);
        let transport = StreamableHttpClientTransport::with_client(Plain, config);
        let failed = |message: String| json!({ "code": null, "message": message });
        let client = self.serve_with_lifecycle(transport, lifecycle);
        let client = client.await.map_err(|error| failed(error.to_string()))?;
        let negotiated = client.peer_info().map(|info| info.protocol_version.clone());
        match negotiated {
            Some(negotiated) if negotiated != version && version.as_str() < MODERN => {
                let why = format!("Server's protocol version is not supported: {negotiated}");
                Err(failed(why))
            }
            _ => Ok(client),
        }
    }

    /// Takes the next answer of the script; the last one is used again.
    pub(super) fn answer(&self, method: &str, params: &Value) -> Result<Value, ErrorData> {
        let asked = json!({ "method": method, "params": params });
        self.seen.requests.lock().expect("no panic while it is held").push(asked);
        let mut answers = self.answers.lock().expect("no panic while it is held");
        let own = format!("{method}:{}", params["mode"].as_str().unwrap_or("form"));
        let place = if answers[&own].is_null() { method } else { &own };
        match &mut answers[place] {
            Value::Null => {
                let why = format!("the script has no answer to {method}");
                Err(ErrorData::new(ErrorCode(-1), why, None))
            }
            Value::Array(list) if list.len() > 1 => Ok(list.remove(0)),
            Value::Array(list) => Ok(list.first().cloned().unwrap_or_default()),
            answer => Ok(answer.clone()),
        }
    }
}

impl ClientHandler for Host {
    fn get_info(&self) -> ClientConfig {
        let answers = self.answers.lock().expect("no panic while it is held");
        let has = |method: &str| !answers[method].is_null();
        let mut declared = json!({});
        if *self.version >= *"2025-06-18" && has("elicitation/create") {
            declared["elicitation"] = json!({});
        }
        if *self.version >= *"2025-11-25" && has("elicitation/create") {
            declared["elicitation"] = json!({ "form": {}, "url": {} });
        }
        if has("sampling/createMessage") {
            declared["sampling"] = json!({});
        }
        if has("roots/list") {
            declared["roots"] = json!({});
        }
        if self.has_tasks {
            declared["extensions"] = json!({ "io.modelcontextprotocol/tasks": {} });
        }
        let version = made::<ProtocolVersion>(json!(self.version));
        ClientConfig::new(made(declared), Implementation::new("client-rust", "1.0.0"))
            .with_protocol_version(version)
    }

    async fn create_elicitation(
        &self,
        question: ElicitRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        self.answer("elicitation/create", &json!(question)).map(made)
    }

    async fn create_message(
        &self,
        question: CreateMessageRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        self.answer("sampling/createMessage", &json!(question)).map(made)
    }

    async fn list_roots(
        &self,
        _context: RequestContext<RoleClient>,
    ) -> Result<ListRootsResult, ErrorData> {
        self.answer("roots/list", &Value::Null).map(made)
    }

    async fn on_progress(
        &self,
        params: ProgressNotificationParam,
        _context: NotificationContext<RoleClient>,
    ) {
        self.seen.progress.lock().expect("no panic while it is held").push(json!(params));
    }

    async fn on_logging_message(
        &self,
        params: LoggingMessageNotificationParam,
        _context: NotificationContext<RoleClient>,
    ) {
        self.seen.notified("notifications/message", &json!(params));
    }

    async fn on_resource_updated(
        &self,
        params: ResourceUpdatedNotificationParam,
        _context: NotificationContext<RoleClient>,
    ) {
        self.seen.notified("notifications/resources/updated", &json!(params));
    }

    async fn on_tool_list_changed(&self, _context: NotificationContext<RoleClient>) {
        self.seen.notified("notifications/tools/list_changed", &json!({}));
    }

    async fn on_prompt_list_changed(&self, _context: NotificationContext<RoleClient>) {
        self.seen.notified("notifications/prompts/list_changed", &json!({}));
    }

    async fn on_resource_list_changed(&self, _context: NotificationContext<RoleClient>) {
        self.seen.notified("notifications/resources/list_changed", &json!({}));
    }

    async fn on_custom_notification(
        &self,
        notification: CustomNotification,
        _context: NotificationContext<RoleClient>,
    ) {
        self.seen.notified(&notification.method, &notification.params.unwrap_or_default());
    }
}
