//! What is opaque to clients: cursors, request states and task ids of servers, sealed to whom they
//! were given and what they were given for.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use wire::json::Edit;
use wire::message::Text;
use wire::method::name;
use wire::shape::older::Output;
use wire::{Era, Json, Method, Notification, Object, Outcome, Version, meta};

use super::task_ids::{self, TaskIds};
use crate::call::{Call, Principal, Question};
use crate::fault::{Fault, Reason};
use crate::fleet::Server;
use crate::gate::Gate;
use crate::interaction;
use crate::plan::{Endpoint, Serves};
use crate::seal::{Binding, Kind, Unsealable, sealed_len, unix_now};

/// How long a cursor stays good: longer than anybody pages, shorter than a configuration lives.
const CURSOR_LIFE: Duration = Duration::from_hours(24);

/// What has to be changed in the messages of a reply before a client sees them.
#[derive(Debug)]
pub(crate) struct Resealing {
    method: Method,
    principal: Principal,
    /// The endpoint's path: handles of one do not open at another.
    endpoint: Arc<str>,
    /// The server's name, which is part of the scope too.
    server: Arc<str>,
    /// Digest of what a request with state must repeat.
    request: Option<Repeated>,
    state_life: Duration,
    state_bytes_max: usize,
    /// What the client said it can do, for servers that ask.
    capabilities: Json,
    version: Version,
    secret_forms: config::SecretForms,
    /// What is known of the structured results of the tool that is called.
    output: Output,
    /// Set on composed endpoints: the gate answers under its own name there.
    composed: Option<Composed>,
}

/// What composing changes in results.
#[derive(Clone, Debug)]
pub(crate) struct Composed {
    /// Who answers.
    pub(crate) server: Arc<Server>,
    /// Where it was asked; what its results mention is learned there.
    pub(crate) endpoint: Arc<Endpoint>,
    /// The URI that was asked for, and the server's own, where they differ.
    pub(crate) uri: Option<(String, String)>,
}

impl Resealing {
    pub(crate) fn of(
        call: &Call,
        endpoint: &Endpoint,
        server: &Server,
        limits: &config::Limits,
    ) -> Self {
        Self {
            method: call.method,
            principal: call.caller.principal.clone(),
            endpoint: Arc::clone(&endpoint.path),
            server: Arc::clone(&server.name),
            // Only a call that may be asked for input has a digest, and only a repeated one needs it
            // before the answer; the parts are kept until then.
            request: call.method.may_ask().then(|| Repeated::of(call)),
            state_life: limits.request_state_life.get(),
            state_bytes_max: limits.request_state_bytes.len(),
            capabilities: call.caller.capabilities.clone(),
            version: call.caller.version,
            secret_forms: server.wanted.secret_forms,
            output: output_of(call, server),
            composed: None,
        }
    }

    /// What is known of the structured results of the tool that is called.
    pub(crate) fn output(&self) -> Output {
        self.output
    }

    /// The name of the server that is asked.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    fn scope(&self) -> String {
        task_ids::scope(&self.endpoint, &self.server)
    }

    pub(crate) fn composed(mut self, composed: Composed) -> Self {
        self.composed = Some(composed);
        self
    }

    /// The display name to show before a question, on composed endpoints.
    pub(crate) fn asker(&self) -> Option<&str> {
        self.composed.as_ref().map(|composed| &*composed.server.name)
    }

    fn binding<'a>(&'a self, kind: Kind, scope: &'a str, request: &'a [u8]) -> Binding<'a> {
        Binding { kind, principal: self.principal.id(), scope, request }
    }

    /// Opens what the client sends back, and puts the server's own handles in its place.
    pub(crate) fn open(&self, gate: &Gate, call: &mut Call) -> Result<(), Fault> {
        if self.method.is_list() {
            let method = call.method_name.clone();
            self.replace(gate, call, "cursor", Kind::Cursor, method.as_bytes())?;
        }
        if let Some(repeated) = &self.request
            && call.params.has(REQUEST_STATE)
        {
            self.open_state(gate, call, &repeated.digest())?;
        }
        if call.method.name_member() == Some("taskId") || call.method == Method::TasksResult {
            self.replace(gate, call, "taskId", Kind::Task, b"")?;
        }
        if call.method == Method::Listen
            && let Some(filter) = call.params.object("notifications")
            && let Some(ids) = filter.get("taskIds").and_then(|ids| ids.elements())
        {
            let open =
                |id: &Json| self.open_one(gate, "taskIds", Kind::Task, b"", &id.text()?).ok();
            let own: Vec<_> = ids.iter().filter_map(open).collect();
            let filter = filter.to_json(&[Edit::set("taskIds", array(&own).as_bytes())]);
            call.params = call.params.with(&[Edit::set("notifications", filter.as_bytes())]);
        }
        Ok(())
    }

    /// Opens a `requestState`: one that a server made, or the name of a call that waits here.
    fn open_state(&self, gate: &Gate, call: &mut Call, digest: &[u8]) -> Result<(), Fault> {
        let most = sealed_len(self.state_bytes_max);
        if call.params.raw(REQUEST_STATE).is_some_and(|raw| raw.len() > most) {
            return Err(Fault::new(
                Reason::InvalidParams,
                format!("`{REQUEST_STATE}` is longer than {most} bytes"),
            ));
        }
        let opened = self.replace(gate, call, REQUEST_STATE, Kind::RequestState, digest);
        let Err(fault) = opened else { return Ok(()) };
        let parked = call.params.text(REQUEST_STATE).and_then(|token| {
            self.open_one(gate, REQUEST_STATE, Kind::Parked, digest, &token).ok()
        });
        let name = parked.and_then(|name| name.text().map(Cow::into_owned));
        call.resumes = Some(name.ok_or(fault)?);
        Ok(())
    }

    /// Whether the client may be asked what a server asks in its answer.
    pub(crate) fn screen(&self, outcome: &Outcome) -> Result<(), Fault> {
        let Ok(result) = outcome else { return Ok(()) };
        if self.request.is_none() {
            return Ok(());
        }
        if result.raw(REQUEST_STATE).is_some_and(|raw| raw.len() > self.state_bytes_max + 2) {
            return Err(Fault::new(
                Reason::ServerFailed,
                format!(
                    "server `{}` gave a `{REQUEST_STATE}` longer than {} bytes; the operator \
                     raises `limits.request_state_bytes`, or the server keeps less in it",
                    self.server, self.state_bytes_max
                ),
            ));
        }
        if !result.has(INPUT_REQUESTS) {
            return Ok(());
        }
        let questions = interaction::questions_of(result).ok_or_else(|| {
            Fault::new(
                Reason::ServerFailed,
                format!("server `{}` asks for input in a shape that is not valid", self.server),
            )
        })?;
        let abilities = crate::call::abilities(&self.capabilities, self.version);
        questions.iter().try_for_each(|(_, method, params)| {
            interaction::screen(method, params, abilities, self.secret_forms)
                .map_err(|unfit| unfit.to_fault(&self.server))
        })
    }

    fn open_one(
        &self,
        gate: &Gate,
        key: &str,
        kind: Kind,
        request: &[u8],
        token: &str,
    ) -> Result<Json, Fault> {
        let inner = gate
            .sealer
            .open(&self.binding(kind, &self.scope(), request), token, unix_now())
            .map_err(|error| unsealable(key, error))?;
        Ok(Json::string(&String::from_utf8_lossy(&inner)))
    }

    fn replace(
        &self,
        gate: &Gate,
        call: &mut Call,
        key: &str,
        kind: Kind,
        request: &[u8],
    ) -> Result<(), Fault> {
        let Some(token) = call.params.get(key) else { return Ok(()) };
        let Some(token) = token.text().map(Cow::into_owned) else {
            return Err(Fault::new(Reason::InvalidParams, format!("`{key}` must be a string")));
        };
        let inner = self.open_one(gate, key, kind, request, &token)?;
        call.params = call.params.with(&[Edit::set(key, inner.as_bytes())]);
        Ok(())
    }

    /// Seals and renames what is in an answer. Most answers hold nothing of the kind and pass as
    /// they are.
    pub(crate) fn answer(&self, gate: &Gate, outcome: Outcome, server_is_modern: bool) -> Outcome {
        let mut result = outcome?;
        if self.method.is_list() {
            let method = self.method.name().unwrap_or_default();
            result =
                self.seal(gate, result, "nextCursor", Kind::Cursor, method.as_bytes(), CURSOR_LIFE);
        } else if let Some(repeated) = &self.request
            && result.has(REQUEST_STATE)
        {
            let (kind, life) = if server_is_modern {
                (Kind::RequestState, self.state_life)
            } else {
                (Kind::Parked, PARKED_LIFE)
            };
            result = self.seal(gate, result, REQUEST_STATE, kind, &repeated.digest(), life);
        }
        if !server_is_modern
            && self.version.era() == Era::Legacy
            && matches!(
                self.method,
                Method::ToolsCall | Method::TasksGet | Method::TasksResult | Method::TasksList
            )
            && (result.has("task") || result.has("tasks") || result.has("_meta"))
        {
            result = self.task_ids(gate).result(result);
        }
        if result.has("taskId") {
            result = self.seal(gate, result, "taskId", Kind::Task, b"", Duration::MAX);
        }
        match &self.composed {
            Some(composed) => Ok(composed.answer(self.method, result, server_is_modern)),
            None => Ok(result),
        }
    }

    fn task_ids(&self, gate: &Gate) -> TaskIds {
        TaskIds::new(&gate.sealer, &self.principal, &self.endpoint, &self.server)
    }

    /// Seals the task ids in a question of a 2025-11-25 server.
    pub(crate) fn question(&self, gate: &Gate, question: Question) -> Question {
        if question.params.has("_meta") { self.task_ids(gate).question(question) } else { question }
    }

    /// Seals the task ids in a notification.
    pub(crate) fn notification(&self, gate: &Gate, mut notification: Notification) -> Notification {
        if &*notification.method == name::TASK_STATUS || notification.meta.has(meta::RELATED_TASK) {
            return self.task_ids(gate).notification(notification);
        }
        if &*notification.method == name::TASK_NOTIFICATION {
            let params = notification.params;
            notification.params = self.seal(gate, params, "taskId", Kind::Task, b"", Duration::MAX);
        } else if &*notification.method == name::ACKNOWLEDGED
            && let Some(filter) = notification.params.object("notifications")
            && let Some(ids) = filter.get("taskIds").and_then(|ids| ids.elements())
        {
            let scope = self.scope();
            let binding = self.binding(Kind::Task, &scope, b"");
            let seal = |id: &Json| {
                Some(Json::string(&gate.sealer.seal_stable(&binding, id.text()?.as_bytes())))
            };
            let sealed: Vec<_> = ids.iter().filter_map(seal).collect();
            let filter = filter.to_json(&[Edit::set("taskIds", array(&sealed).as_bytes())]);
            notification.params =
                notification.params.with(&[Edit::set("notifications", filter.as_bytes())]);
        }
        notification
    }

    fn seal(
        &self,
        gate: &Gate,
        result: Object,
        key: &str,
        kind: Kind,
        request: &[u8],
        life: Duration,
    ) -> Object {
        let Some(inner) = result.text(key) else { return result };
        let scope = self.scope();
        let binding = self.binding(kind, &scope, request);
        let token = if kind == Kind::Task {
            // Clients compare task ids: the same task must always have the same.
            gate.sealer.seal_stable(&binding, inner.as_bytes())
        } else {
            gate.sealer.seal(&binding, inner.as_bytes(), unix_now(), life)
        };
        let token = Json::string(&token);
        result.with(&[Edit::set(key, token.as_bytes())])
    }
}

impl Composed {
    fn answer(&self, method: Method, result: Object, server_is_modern: bool) -> Object {
        let contents = match (&self.uri, method) {
            (Some((shown, own)), Method::ResourcesRead) => renamed_contents(&result, own, shown),
            _ => None,
        };
        if let Serves::Composed(composed) = &self.endpoint.serves {
            composed.learned.harvest(&result, &self.server);
        }
        let questions = introduced_questions(&result, &self.server.name);
        let mut edits = Vec::new();
        if let Some(questions) = &questions {
            edits.push(Edit::set(INPUT_REQUESTS, questions.as_bytes()));
        }
        if let Some(contents) = &contents {
            edits.push(Edit::set("contents", contents.as_bytes()));
        }
        let identity;
        if server_is_modern {
            let server = Json::string(&self.server.name);
            identity = result.object("_meta").unwrap_or_else(Object::empty).to_json(&[
                Edit::set(meta::SERVER_INFO, crate::identity().as_bytes()),
                Edit::set("io.portcullis/server", server.as_bytes()),
            ]);
            edits.push(Edit::set("_meta", identity.as_bytes()));
        }
        if edits.is_empty() { result } else { result.with(&edits) }
    }
}

/// Only clients that are older than the tool's schema care.
fn output_of(call: &Call, server: &Server) -> Output {
    match call.params.text("name") {
        Some(name) if call.method == Method::ToolsCall && call.caller.era() == Era::Legacy => {
            server.tools().output(&name)
        }
        _ => Output::Unknown,
    }
}

const INPUT_REQUESTS: &str = "inputRequests";
const REQUEST_STATE: &str = "requestState";
/// The name of a parked call is good for as long as anybody may hold it; whether the call is still there
/// is the lot's to say.
const PARKED_LIFE: Duration = Duration::from_hours(24);

/// The questions of an answer that needs input, each saying which server asks.
fn introduced_questions(result: &Object, asker: &str) -> Option<Json> {
    let questions = result.object(INPUT_REQUESTS)?;
    let introduced: Vec<_> = questions
        .members()
        .filter_map(|(key, question)| {
            let question = question.object()?;
            let method = question.text("method")?;
            let params = introduced(&method, &question.object("params")?, asker)?;
            let params = params.to_json(&[]);
            Some((key, question.to_json(&[Edit::set("params", params.as_bytes())])))
        })
        .collect();
    let edits: Vec<_> =
        introduced.iter().map(|(key, question)| Edit::set(key, question.as_bytes())).collect();
    Some(questions.to_json(&edits))
}

/// The parameters of a question to people that says which server asks: on a composed endpoint the
/// client only knows the gate, and must show it. `None` for questions that nobody reads.
pub(crate) fn introduced(method: &str, params: &Object, asker: &str) -> Option<Object> {
    if method != name::ELICIT {
        return None;
    }
    let text = Json::string(&format!("[{asker}] {}", params.text("message")?));
    Some(params.with(&[Edit::set("message", text.as_bytes())]))
}

/// The contents with the URI under which the client knows the resource.
fn renamed_contents(result: &Object, own: &str, shown: &str) -> Option<Json> {
    let shown = Json::string(shown);
    let contents = result.get("contents")?.elements()?;
    let renamed: Vec<String> = contents
        .into_iter()
        .map(|content| match content.object() {
            Some(object) if object.text("uri").as_deref() == Some(own) => {
                object.to_json(&[Edit::set("uri", shown.as_bytes())]).as_str().to_owned()
            }
            _ => content.as_str().to_owned(),
        })
        .collect();
    Some(Json::trusted(format!("[{}]", renamed.join(","))))
}

/// The parts of a request that a retry with state must repeat. Slices of the request, so that keeping
/// them costs nothing where no state is given out.
#[derive(Debug)]
struct Repeated {
    method: Text,
    parts: [Option<Json>; 3],
}

impl Repeated {
    fn of(call: &Call) -> Self {
        let parts = ["name", "uri", "arguments"].map(|key| call.params.get(key));
        Self { method: call.method_name.clone(), parts }
    }

    fn digest(&self) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        let mut field = |bytes: &[u8]| {
            context.update(&(bytes.len() as u64).to_be_bytes());
            context.update(bytes);
        };
        field(self.method.as_bytes());
        for part in &self.parts {
            field(part.as_ref().map_or(&b""[..], Json::as_bytes));
        }
        context.finish().as_ref().try_into().expect("SHA-256 gives 32 bytes")
    }
}

fn array(elements: &[Json]) -> Json {
    let texts: Vec<_> = elements.iter().map(Json::as_str).collect();
    Json::trusted(format!("[{}]", texts.join(",")))
}

/// What a client is told about a handle that does not open: the same for foreign and for unknown.
pub(crate) fn unsealable(key: &str, error: Unsealable) -> Fault {
    let what = match error {
        Unsealable::Foreign => "was not given out here for this request",
        Unsealable::Expired => "has expired",
    };
    Fault::new(Reason::InvalidParams, format!("`{key}` {what}; begin again without it"))
}

/// Seals a position in a composed list.
pub(crate) fn seal_position(gate: &Gate, call: &Call, scope: &str, position: usize) -> String {
    let binding = Binding {
        kind: Kind::Cursor,
        principal: call.caller.principal.id(),
        scope,
        request: call.method_name.as_bytes(),
    };
    gate.sealer.seal(&binding, position.to_string().as_bytes(), unix_now(), CURSOR_LIFE)
}

/// The position that the call's cursor names; zero without one.
pub(crate) fn open_position(gate: &Gate, call: &Call, scope: &str) -> Result<usize, Fault> {
    let Some(cursor) = call.params.get("cursor") else { return Ok(0) };
    let binding = Binding {
        kind: Kind::Cursor,
        principal: call.caller.principal.id(),
        scope,
        request: call.method_name.as_bytes(),
    };
    let token = cursor.text().unwrap_or_default();
    let inner = gate
        .sealer
        .open(&binding, &token, unix_now())
        .map_err(|error| unsealable("cursor", error))?;
    std::str::from_utf8(&inner)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| unsealable("cursor", Unsealable::Foreign))
}
