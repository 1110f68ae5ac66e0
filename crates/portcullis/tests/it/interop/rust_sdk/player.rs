//! The client of the Rust SDK as a script runner: the scripts of `tests/README.md`, in this process.
//!
//! It plays all steps but `parallel`, `request`, `terminate`, `close` and `ping`, over HTTP. Before
//! 2026-07-28 the SDK has no tasks, and the call of a step with `task` is a plain one; in 2026-07-28
//! it goes through a client of its own, because what a client declares is the same for all its calls.

#![expect(deprecated, reason = "what 2026-07-28 has deprecated is still to be tested")]

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rmcp::model::{
    CallToolRequest, CallToolRequestParams, CallToolResponse, ClientRequest, ErrorCode,
    GetTaskParams, SetLevelRequestParams, SubscribeRequestParams, SubscriptionFilter, Task,
    UpdateTaskParams,
};
use rmcp::service::{PeerRequestOptions, RunningService};
use rmcp::{RoleClient, ServiceError};
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::time::{sleep, timeout};

use super::script_host::{Host, MODERN};
use super::server::made;

const POLL: Duration = Duration::from_millis(25);
/// How long the connection may take to end.
const END: Duration = Duration::from_secs(1);
const PAGES_MAX: usize = 1000;

/// Runs a script at a URL as a client that asks for a version, and returns the report.
pub(crate) async fn play(url: &str, version: &str, script: &Value) -> Value {
    let options = script.get("options").unwrap_or(&Value::Null);
    let steps = script.get("steps").unwrap_or(script).as_array().cloned().unwrap_or_default();
    let host = Host {
        version: version.to_owned(),
        answers: Arc::new(Mutex::new(options["answers"].clone())),
        has_tasks: false,
        seen: Arc::default(),
    };
    let seen = Arc::clone(&host.seen);
    let patience = Duration::from_millis(options["timeout_ms"].as_u64().unwrap_or(10_000));
    let mut entries = Vec::new();
    match host.connect(url).await {
        Ok(client) => {
            let mut player = Player {
                url: url.to_owned(),
                client,
                patience,
                level: None,
                returned: HashSet::new(),
            };
            for step in &steps {
                entries.push(player.run(step).await);
            }
            let _ = timeout(END, player.client.cancel()).await;
        }
        Err(error) => {
            // Without a connection every step has the same outcome.
            let failed = |step: &Value| json!({ "op": step["op"], "error": error });
            entries.extend(steps.iter().map(failed));
        }
    }
    let told = |list: &Mutex<Vec<Value>>| list.lock().expect("no panic while it is held").clone();
    json!({
        "steps": entries, "notifications": told(&seen.notifications), "requests": told(&seen.requests),
    })
}

struct Player {
    url: String,
    client: RunningService<RoleClient, Host>,
    patience: Duration,
    /// The level of the session.
    level: Option<Value>,
    /// The notifications that a `wait` has returned, by their place.
    returned: HashSet<usize>,
}

/// The error of a step: one of the peer, or the script's own.
enum Failure {
    Service(ServiceError),
    Script(String),
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        Self::Service(error)
    }
}

fn shown(result: impl Serialize) -> Value {
    serde_json::to_value(result).expect("a result is JSON")
}

/// Whether `value` has every member of `part` with the same value.
fn includes(value: &Value, part: &Value) -> bool {
    part.as_object().into_iter().flatten().all(|(key, wanted)| value[key] == *wanted)
}

impl Player {
    async fn run(&mut self, step: &Value) -> Value {
        let mut entry = Map::new();
        entry.insert("op".into(), step["op"].clone());
        let patience = step["timeout_ms"].as_u64().map_or(self.patience, Duration::from_millis);
        let outcome = match timeout(patience, self.perform(step, &mut entry)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure::Script("timed out".to_owned())),
        };
        let (member, value) = match outcome {
            Ok(result) => ("result", result),
            Err(Failure::Service(ServiceError::McpError(error))) => ("error", json!(error)),
            Err(Failure::Service(error)) => {
                ("error", json!({ "code": null, "message": error.to_string() }))
            }
            Err(Failure::Script(message)) => ("error", json!({ "code": null, "message": message })),
        };
        entry.insert(member.into(), value);
        entry.into()
    }

    fn is_modern(&self) -> bool {
        *self.client.service().version >= *MODERN
    }

    async fn perform(
        &mut self,
        step: &Value,
        entry: &mut Map<String, Value>,
    ) -> Result<Value, Failure> {
        let text = |member: &str| step[member].as_str().unwrap_or_default().to_owned();
        match &*text("op") {
            "initialize" => Ok(self.identity()),
            "tools/call" => self.call(step, entry).await,
            "tools/list" | "resources/list" | "resources/templates/list" | "prompts/list" => {
                self.list(&text("op"), step, entry).await
            }
            "resources/read" => {
                let request = made(json!({ "uri": step["uri"] }));
                Ok(shown(self.client.read_resource(request).await?))
            }
            "prompts/get" => {
                let request = made(json!({ "name": step["name"], "arguments": step["arguments"] }));
                Ok(shown(self.client.get_prompt(request).await?))
            }
            "completion/complete" => {
                let request = json!({ "ref": step["ref"], "argument": step["argument"] });
                Ok(shown(self.client.complete(made(request)).await?))
            }
            "logging/setLevel" => self.set_level(&step["level"]).await,
            "resources/subscribe" if self.is_modern() => {
                self.listen(&json!({ "resourceSubscriptions": [step["uri"]] })).await
            }
            "resources/subscribe" => {
                self.client.subscribe(SubscribeRequestParams::new(text("uri"))).await?;
                Ok(json!({}))
            }
            "resources/unsubscribe" => {
                self.client.unsubscribe(made(json!({ "uri": step["uri"] }))).await?;
                Ok(json!({}))
            }
            "listen" => self.listen(&step["notifications"]).await,
            "wait" => Ok(self.wait(&step["notification"], &step["match"]).await),
            "until" => loop {
                let result = shown(self.client.call_tool(call_of(step)).await?);
                if includes(&result["structuredContent"], &step["includes"]) {
                    return Ok(result);
                }
                sleep(POLL).await;
            },
            "cancel-after" => {
                let call = ClientRequest::CallToolRequest(CallToolRequest::new(call_of(step)));
                let options = PeerRequestOptions::no_options();
                let request = self.client.send_cancellable_request(call, options).await?;
                sleep(Duration::from_millis(step["ms"].as_u64().unwrap_or(0))).await;
                let why = "cancelled by the script";
                request.cancel(Some(why.to_owned())).await?;
                Err(Failure::Script(why.to_owned()))
            }
            unknown => Err(Failure::Script(format!("the script has an unknown step: {unknown}"))),
        }
    }

    fn identity(&self) -> Value {
        let host = self.client.service();
        let info = self.client.peer_info().map(|info| shown(&*info)).unwrap_or_default();
        json!({
            "era": if self.is_modern() { "modern" } else { "legacy" },
            "protocolVersion": host.version, "serverInfo": info["serverInfo"],
            "capabilities": info["capabilities"], "instructions": info["instructions"],
        })
    }

    // === Calls ===

    async fn call(
        &mut self,
        step: &Value,
        entry: &mut Map<String, Value>,
    ) -> Result<Value, Failure> {
        let mut call = call_of(step);
        if !step["log_level"].is_null() {
            if self.is_modern() {
                let level = json!({ "io.modelcontextprotocol/logLevel": step["log_level"] });
                call.meta = Some(made(level));
            } else if self.level.as_ref() != Some(&step["log_level"]) {
                self.set_level(&step["log_level"]).await?;
            }
        }
        let seen = Arc::clone(&self.client.service().seen);
        seen.progress.lock().expect("no panic while it is held").clear();
        let mut outcome = self.call_once(&call, step, entry).await;
        if let Err(Failure::Service(ServiceError::McpError(error))) = &outcome
            && error.code == ErrorCode(-32042)
            && step["retry_url_required"] == true
        {
            let required = error.data.as_ref().map(|data| data["elicitations"].clone());
            let required = required.unwrap_or_default();
            for each in required.as_array().into_iter().flatten() {
                let wanted = json!({ "elicitationId": each["elicitationId"] });
                self.wait(&json!("notifications/elicitation/complete"), &wanted).await;
            }
            entry.insert("url_required".into(), required);
            outcome = self.call_once(&call, step, entry).await;
        }
        if step["progress"] == true {
            let progress = seen.progress.lock().expect("no panic while it is held").clone();
            entry.insert("progress".into(), progress.into());
        }
        outcome
    }

    async fn call_once(
        &self,
        call: &CallToolRequestParams,
        step: &Value,
        entry: &mut Map<String, Value>,
    ) -> Result<Value, Failure> {
        if step["task"].is_null() || !self.is_modern() {
            return Ok(shown(self.client.call_tool(call.clone()).await?));
        }
        let host = Host { has_tasks: true, ..self.client.service().clone() };
        let client =
            host.connect(&self.url).await.map_err(|error| Failure::Script(error.to_string()))?;
        match client.call_tool_once(call.clone()).await? {
            CallToolResponse::Complete(result) => Ok(shown(result)),
            CallToolResponse::Task(created) => self.follow(&client, &created.task, entry).await,
            other => Err(Failure::Script(format!("no task, but {other:?}"))),
        }
    }

    /// Follows a task to its end, with the answers of the script.
    async fn follow(
        &self,
        client: &RunningService<RoleClient, Host>,
        task: &Task,
        entry: &mut Map<String, Value>,
    ) -> Result<Value, Failure> {
        let mut statuses = vec![json!(task.status)];
        let mut answered = HashSet::new();
        for polls in 1_u64.. {
            sleep(Duration::from_millis(task.poll_interval_ms.unwrap_or(1000).min(1000))).await;
            let now = shown(client.get_task(GetTaskParams::new(&*task.task_id)).await?);
            if statuses.last() != Some(&now["status"]) {
                statuses.push(now["status"].clone());
            }
            let told = json!({ "taskId": task.task_id, "statuses": statuses, "polls": polls });
            entry.insert("task".into(), told);
            match now["status"].as_str() {
                Some("completed") => return Ok(now["result"].clone()),
                Some("failed" | "cancelled") => {
                    return Err(Failure::Script(format!("the task is {}", now["status"])));
                }
                _ => {}
            }
            let mut answers = Map::new();
            for (key, question) in now["inputRequests"].as_object().into_iter().flatten() {
                if answered.insert(key.clone()) {
                    let method = question["method"].as_str().unwrap_or_default();
                    let answer = self.client.service().answer(method, &question["params"]);
                    let answer = answer.map_err(|error| Failure::Script(error.to_string()))?;
                    answers.insert(key.clone(), answer);
                }
            }
            if !answers.is_empty() {
                let update = UpdateTaskParams::new(&*task.task_id, made(answers.into()));
                match client.update_task(update).await {
                    // The SDK does not know an acknowledgement that says whose it is.
                    Ok(()) | Err(ServiceError::UnexpectedResponse) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        unreachable!("the step has a time")
    }

    async fn set_level(&mut self, level: &Value) -> Result<Value, Failure> {
        self.client.set_level(made::<SetLevelRequestParams>(json!({ "level": level }))).await?;
        self.level = Some(level.clone());
        Ok(json!({}))
    }

    // === Lists and changes ===

    /// One page, or all of them when the step asks for `pages`.
    async fn list(
        &self,
        method: &str,
        step: &Value,
        entry: &mut Map<String, Value>,
    ) -> Result<Value, Failure> {
        let (mut items, mut pages) = (Vec::new(), Vec::new());
        let mut cursor = step["cursor"].clone();
        loop {
            let page = Some(made(json!({ "cursor": cursor })));
            let (member, result) = match method {
                "tools/list" => ("tools", shown(self.client.list_tools(page).await?)),
                "resources/list" => ("resources", shown(self.client.list_resources(page).await?)),
                "prompts/list" => ("prompts", shown(self.client.list_prompts(page).await?)),
                _ => ("resourceTemplates", shown(self.client.list_resource_templates(page).await?)),
            };
            if step["pages"] != true {
                return Ok(result);
            }
            let listed = result[member].as_array().cloned().unwrap_or_default();
            pages.push(json!(listed.len()));
            items.extend(listed);
            cursor = result["nextCursor"].clone();
            if cursor.is_null() || pages.len() >= PAGES_MAX {
                entry.insert("pages".into(), pages.into());
                return Ok(json!({ member: items }));
            }
        }
    }

    /// Opens a listen stream; in a session there is nothing to open but subscriptions.
    async fn listen(&self, wanted: &Value) -> Result<Value, Failure> {
        if !self.is_modern() {
            for uri in wanted["resourceSubscriptions"].as_array().into_iter().flatten() {
                let uri = uri.as_str().unwrap_or_default();
                self.client.subscribe(SubscribeRequestParams::new(uri)).await?;
            }
            return Ok(json!({ "honored": wanted }));
        }
        let mut stream = self.client.listen(made::<SubscriptionFilter>(wanted.clone())).await?;
        let honored = shown(stream.acknowledged());
        let seen = Arc::clone(&self.client.service().seen);
        tokio::spawn(async move {
            while let Ok(Some(notification)) = stream.next().await {
                let told = shown(notification);
                seen.notified(told["method"].as_str().unwrap_or_default(), &told["params"]);
            }
        });
        Ok(json!({ "honored": honored }))
    }

    /// Waits for a notification that no `wait` before has returned; the step has a time.
    async fn wait(&mut self, method: &Value, part: &Value) -> Value {
        let seen = Arc::clone(&self.client.service().seen);
        loop {
            let found = {
                let notifications = seen.notifications.lock().expect("no panic while it is held");
                let is_wanted = |(at, each): &(usize, &Value)| {
                    each["method"] == *method
                        && includes(&each["params"], part)
                        && !self.returned.contains(at)
                };
                notifications
                    .iter()
                    .enumerate()
                    .find(is_wanted)
                    .map(|(at, each)| (at, each.clone()))
            };
            if let Some((at, notification)) = found {
                self.returned.insert(at);
                return notification;
            }
            sleep(POLL).await;
        }
    }
}

fn call_of(step: &Value) -> CallToolRequestParams {
    let name = step["name"].as_str().unwrap_or_default().to_owned();
    let arguments = step["arguments"].as_object().cloned().unwrap_or_default();
    CallToolRequestParams::new(name).with_arguments(arguments)
}
