//! What the tools of the server of the Rust SDK do, and what it counts.

#![expect(deprecated, reason = "what 2026-07-28 has deprecated is still to be tested")]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, CreateTaskResult, CustomNotification,
    DetailedTask, ErrorCode, InputResponses, LoggingLevel, LoggingMessageNotificationParam,
    ProgressNotificationParam, ServerNotification, Task, TaskPayload, TaskStatus,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use serde_json::{Value, json};
use tokio::sync::broadcast;

use super::offers::every_kind;
use super::questions::{Asked, ask, requests_of};
use super::server::result;

/// Long enough for two messages to arrive one after the other.
const BETWEEN_MESSAGES: Duration = Duration::from_millis(50);
/// How long after a refusal the user is said to have visited the URL.
const UNTIL_VISITED: Duration = Duration::from_millis(100);
const URL_ELICITATION_REQUIRED: ErrorCode = ErrorCode(-32042);
const MODERN: &str = "2026-07-28";

/// What has changed on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Tools,
    Prompts,
    Resources,
    /// The text of `memo://note`.
    Note,
}

/// What all connections of the server share.
pub(super) struct Shared {
    requests: Mutex<BTreeMap<String, u64>>,
    commits: Mutex<BTreeMap<String, u64>>,
    note: Mutex<String>,
    grown: AtomicUsize,
    visited: Mutex<HashSet<String>>,
    tasks: Mutex<HashMap<String, Running>>,
    pub(super) changes: broadcast::Sender<Change>,
}

/// A task that ends when it has been asked about often enough.
struct Running {
    polls: u64,
    kinds: Vec<String>,
    answers: InputResponses,
    key: Option<String>,
    /// What it has ended with.
    ended: Option<TaskPayload>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            requests: Mutex::default(),
            commits: Mutex::default(),
            note: Mutex::new("the first note".to_owned()),
            grown: AtomicUsize::new(0),
            visited: Mutex::default(),
            tasks: Mutex::default(),
            changes: broadcast::channel(1024).0,
        }
    }
}

fn count(counter: &Mutex<BTreeMap<String, u64>>, name: &str, key: Option<&str>) {
    let mut counter = counter.lock().expect("nothing panics while it counts");
    *counter.entry(name.to_owned()).or_default() += 1;
    if let Some(key) = key {
        *counter.entry(format!("{name}:{key}")).or_default() += 1;
    }
}

impl Shared {
    pub(super) fn grown(&self) -> usize {
        self.grown.load(Ordering::Relaxed)
    }

    pub(super) fn note(&self) -> String {
        self.note.lock().expect("nothing panics while it holds the note").clone()
    }

    fn commit(&self, name: &str, key: Option<&str>) {
        count(&self.commits, name, key);
    }

    fn changed(&self, change: Change) {
        // Nobody may be listening.
        let _ = self.changes.send(change);
    }

    // === Tasks ===

    fn with_task<T>(&self, id: &str, act: impl FnOnce(&mut Running) -> T) -> Result<T, ErrorData> {
        let mut tasks = self.tasks.lock().expect("nothing panics while it holds the tasks");
        let task = tasks.get_mut(id);
        task.map(act).ok_or_else(|| ErrorData::invalid_params("there is no such task", None))
    }

    /// The state of a task, which `tasks/get` moves on.
    pub(super) fn ask_about_task(&self, id: &str) -> Result<DetailedTask, ErrorData> {
        let payload = self.with_task(id, |task| {
            if task.ended.is_none() {
                let open: Vec<_> =
                    task.kinds.iter().filter(|kind| !task.answers.contains_key(*kind)).collect();
                if !open.is_empty() {
                    let open: Vec<_> =
                        open.into_iter().map(|kind| (kind.clone(), kind.clone(), None)).collect();
                    return TaskPayload::InputRequired { input_requests: requests_of(&open) };
                }
                if task.polls > 0 {
                    task.polls -= 1;
                    return TaskPayload::Working;
                }
                self.commit("long_task", task.key.as_deref());
                let Value::Object(result) = says(&json!(task.answers).to_string()) else {
                    unreachable!("a result is an object")
                };
                task.ended = Some(TaskPayload::Completed { result });
            }
            task.ended.clone().expect("it has ended")
        })?;
        Ok(DetailedTask::new(seed(id), payload))
    }

    pub(super) fn answer_task(&self, id: &str, answers: InputResponses) -> Result<(), ErrorData> {
        self.with_task(id, |task| {
            let known = answers.into_iter().filter(|(kind, _)| task.kinds.contains(kind));
            task.answers.extend(known.collect::<Vec<_>>());
        })
    }

    pub(super) fn cancel_task(&self, id: &str) -> Result<(), ErrorData> {
        self.with_task(id, |task| {
            task.ended.get_or_insert(TaskPayload::Cancelled);
        })
    }

    fn start_task(&self, running: Running) -> CreateTaskResult {
        let mut tasks = self.tasks.lock().expect("nothing panics while it holds the tasks");
        let id = format!("task-{}", tasks.len() + 1);
        let mut task = seed(&id);
        if !running.kinds.is_empty() {
            task.status = TaskStatus::InputRequired;
        }
        tasks.insert(id, running);
        CreateTaskResult::new(task)
    }
}

fn seed(id: &str) -> Task {
    let then = "2026-07-28T00:00:00Z";
    Task::new(id, TaskStatus::Working, then, then).with_poll_interval_ms(20)
}

fn says(text: &str) -> Value {
    json!({ "content": [{ "type": "text", "text": text }] })
}

fn refuses(text: &str) -> Value {
    json!({ "content": [{ "type": "text", "text": text }], "isError": true })
}

fn answer(value: Value) -> CallToolResponse {
    result::<CallToolResult>(value).into()
}

/// One call of a tool.
pub(super) struct Called<'a> {
    shared: &'a Arc<Shared>,
    pub(super) call: CallToolRequestParams,
    pub(super) context: RequestContext<RoleServer>,
    pub(super) version: String,
    /// The level of the session.
    level: Option<LoggingLevel>,
    arguments: Value,
    pub(super) key: Option<String>,
}

impl<'a> Called<'a> {
    pub(super) fn new(
        shared: &'a Arc<Shared>,
        call: CallToolRequestParams,
        context: RequestContext<RoleServer>,
        version: String,
        level: Option<LoggingLevel>,
    ) -> Self {
        let arguments = json!(call.arguments.clone().unwrap_or_default());
        let key = arguments["key"].as_str().map(str::to_owned);
        Self { shared, call, context, version, level, arguments, key }
    }

    fn text(&self, argument: &str) -> String {
        self.arguments[argument].as_str().unwrap_or_default().to_owned()
    }

    fn number(&self, argument: &str, otherwise: u64) -> u64 {
        // Whole numbers may come as fractions.
        let given = &self.arguments[argument];
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "they are small"
        )]
        let whole = given.as_f64().map(|number| number as u64);
        given.as_u64().or(whole).unwrap_or(otherwise)
    }

    fn kinds(&self) -> Option<Vec<String>> {
        let given = self.arguments["kinds"].as_array()?;
        Some(given.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    }

    fn commit(&self, name: &str) {
        self.shared.commit(name, self.key.as_deref());
    }

    /// Runs the tool, and counts it when it is called and when it has completed.
    pub(super) async fn run(&self) -> Result<CallToolResponse, ErrorData> {
        let name = self.call.name.clone();
        if !["commits", "requests"].contains(&&*name) {
            count(&self.shared.requests, &name, self.key.as_deref());
        }
        match &*name {
            "slow" => self.slow().await,
            "ask" => self.ask_one("form", Some(self.text("question"))).await,
            "ask_url" => self.ask_one("url", self.arguments["url"].as_str().map(Into::into)).await,
            "sample" => self.ask_one("sample", Some(self.text("prompt"))).await,
            "roots" => self.ask_one("roots", None).await,
            "ask_two" => self.ask_several(false).await,
            "ask_twice" => self.ask_several(true).await,
            "ask_url_first" => self.ask_url_first(),
            "long_task" => self.long_task().await,
            "touch" => {
                *self.shared.note.lock().expect("nothing panics here") = self.text("text");
                self.commit("touch");
                self.shared.changed(Change::Note);
                Ok(answer(says("touched")))
            }
            "grow" => {
                let grown = self.shared.grown.fetch_add(1, Ordering::Relaxed) + 1;
                self.commit("grow");
                self.shared.changed(Change::Tools);
                Ok(answer(says(&format!("grown_{grown}"))))
            }
            // These have an effect for whoever gives them a key.
            _ => {
                let answered = self.plain(&name).await;
                if self.key.is_some() && name != "fail" {
                    self.commit(&name);
                }
                Ok(answer(answered))
            }
        }
    }

    /// Tools that answer and do nothing else.
    async fn plain(&self, name: &str) -> Value {
        match name {
            "echo" => says(&self.text("message")),
            "count" => {
                let to = self.number("to", 0).min(10);
                self.count_aloud(to).await;
                says(&format!("counted to {to}"))
            }
            "add" => {
                let number = |name: &str| self.arguments[name].as_f64().unwrap_or_default();
                self.structured(json!({ "sum": number("a") + number("b") }))
            }
            "structured" => self.structured(json!({
                "answer": 42, "words": ["forty", "two"], "nested": { "deep": null },
            })),
            "structured_list" => self.structured(json!([1, 2, 3])),
            "rich" => json!({ "content": every_kind(&self.version) }),
            "fail" => refuses("it failed, as asked"),
            "log" => {
                self.log().await;
                says("logged")
            }
            "announce" => {
                let list = self.text("list");
                self.shared.changed(match &*list {
                    "prompts" => Change::Prompts,
                    "resources" => Change::Resources,
                    _ => Change::Tools,
                });
                says(&list)
            }
            "commits" | "requests" => {
                let counter =
                    if name == "commits" { &self.shared.commits } else { &self.shared.requests };
                let counted = json!(*counter.lock().expect("nothing panics while it counts"));
                let mut result = says(&counted.to_string());
                result["structuredContent"] = counted;
                result
            }
            grown => says(grown),
        }
    }

    /// Before there was structured content, the same is said in text alone.
    fn structured(&self, value: Value) -> Value {
        let mut result = says(&value.to_string());
        if &*self.version >= "2025-06-18" {
            result["structuredContent"] = value;
        }
        result
    }

    // === Tools that speak while they run ===

    async fn progress(&self, step: u64, total: u64) {
        let Some(token) = self.context.meta.get_progress_token() else { return };
        #[expect(clippy::cast_precision_loss, reason = "steps are few")]
        let progress = ProgressNotificationParam::new(token, step as f64)
            .with_total(total as f64)
            .with_message(format!("step {step}"));
        // Whoever listens may have gone.
        let _ = self.context.peer.notify_progress(progress).await;
    }

    async fn count_aloud(&self, to: u64) {
        if self.context.meta.get_progress_token().is_none() {
            return;
        }
        for step in 1..=to {
            self.progress(step, to).await;
            // A client of the TypeScript SDK v1 that gets progress and answer in one piece forgets
            // the progress: it takes the answer first.
            tokio::time::sleep(BETWEEN_MESSAGES).await;
        }
    }

    async fn slow(&self) -> Result<CallToolResponse, ErrorData> {
        let (steps, pause) = (self.number("steps", 3), self.number("ms", 20));
        for step in 1..=steps + 1 {
            tokio::select! {
                () = self.context.ct.cancelled() => {
                    self.commit("slow:cancelled");
                    return Err(ErrorData::internal_error("cancelled", None));
                }
                () = tokio::time::sleep(Duration::from_millis(pause)) => {}
            }
            if step <= steps {
                self.progress(step, steps).await;
            }
        }
        self.commit("slow");
        Ok(answer(says(&format!("{steps} steps"))))
    }

    async fn log(&self) {
        let is_modern = &*self.version >= MODERN;
        let level = if is_modern { self.context.meta.log_level() } else { self.level };
        for each in [LoggingLevel::Debug, LoggingLevel::Info, LoggingLevel::Error] {
            // A session that has said nothing hears everything.
            let hears = level.map_or(!is_modern, |level| each as u8 >= level as u8);
            if hears {
                let message =
                    LoggingMessageNotificationParam::new(each, json!(self.text("message")));
                let _ = self.context.peer.notify_logging_message(message).await;
            }
        }
    }

    // === Tools that ask ===

    async fn ask_one(
        &self,
        kind: &str,
        text: Option<String>,
    ) -> Result<CallToolResponse, ErrorData> {
        let question = ("answer".to_owned(), kind.to_owned(), text);
        match ask(self, &[question], false).await? {
            Asked::Answers(answers) => {
                self.commit(&self.call.name);
                Ok(answer(says(&answers["answer"].to_string())))
            }
            Asked::Again(again) => Ok(again.into()),
            Asked::Refused(why) => Ok(answer(refuses(&why))),
        }
    }

    async fn ask_several(&self, in_turn: bool) -> Result<CallToolResponse, ErrorData> {
        let usual: &[&str] =
            if &*self.version >= "2025-06-18" { &["form", "sample"] } else { &["sample", "roots"] };
        let usual = || usual.iter().map(|&kind| kind.to_owned()).collect();
        let kinds = self.kinds().unwrap_or_else(usual);
        self.ask_kinds(kinds, in_turn).await
    }

    async fn ask_kinds(
        &self,
        kinds: Vec<String>,
        in_turn: bool,
    ) -> Result<CallToolResponse, ErrorData> {
        let questions: Vec<_> = kinds.into_iter().map(|kind| (kind.clone(), kind, None)).collect();
        match ask(self, &questions, in_turn).await? {
            Asked::Answers(answers) => {
                self.commit(&self.call.name);
                Ok(answer(says(&json!(answers).to_string())))
            }
            Asked::Again(again) => Ok(again.into()),
            Asked::Refused(why) => Ok(answer(refuses(&why))),
        }
    }

    /// The error that names a URL, the first time for each key.
    fn ask_url_first(&self) -> Result<CallToolResponse, ErrorData> {
        let id = self.key.clone().unwrap_or_else(|| "first".to_owned());
        let is_new = self.shared.visited.lock().expect("nothing panics here").insert(id.clone());
        if !is_new {
            self.commit("ask_url_first");
            return Ok(answer(says("connected")));
        }
        let url = self.arguments["url"].as_str().unwrap_or("https://example.com/connect");
        let elicitation = json!({
            "mode": "url", "elicitationId": id, "url": url, "message": "Connect your account",
        });
        let peer = self.context.peer.clone();
        tokio::spawn(async move {
            tokio::time::sleep(UNTIL_VISITED).await;
            let params = json!({ "elicitationId": id });
            let complete =
                CustomNotification::new("notifications/elicitation/complete", Some(params));
            // The session may be over by then.
            let _ = peer.send_notification(ServerNotification::CustomNotification(complete)).await;
        });
        let data = json!({ "elicitations": [elicitation] });
        Err(ErrorData::new(URL_ELICITATION_REQUIRED, "a URL must be visited first", Some(data)))
    }

    async fn long_task(&self) -> Result<CallToolResponse, ErrorData> {
        let kinds = self.kinds().unwrap_or_default();
        let capabilities = self.context.client_capabilities();
        let is_modern = &*self.version >= MODERN;
        if !is_modern || !capabilities.is_some_and(|declared| declared.supports_tasks()) {
            return self.ask_kinds(kinds, false).await;
        }
        let running = Running {
            polls: self.number("polls", 2),
            kinds,
            answers: InputResponses::new(),
            key: self.key.clone(),
            ended: None,
        };
        Ok(self.shared.start_task(running).into())
    }
}
