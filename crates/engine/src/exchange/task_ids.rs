//! Task ids in messages of 2025-11-25: in results, notifications, questions and the answers to them.

use std::sync::Arc;

use tokio::sync::oneshot;
use wire::json::Edit;
use wire::{Json, Notification, Object, meta};

use crate::call::{Principal, Question};
use crate::seal::{Binding, Kind, Sealer, unix_now};

/// Seals the task ids of one server for one principal at one endpoint.
#[derive(Clone, Debug)]
pub(crate) struct TaskIds {
    sealer: Arc<Sealer>,
    principal: Principal,
    scope: String,
}

/// Where handles of `server` open that were given out at `endpoint`.
pub(crate) fn scope(endpoint: &str, server: &str) -> String {
    format!("{endpoint}\u{1f}{server}")
}

impl TaskIds {
    pub(crate) fn new(
        sealer: &Arc<Sealer>,
        principal: &Principal,
        endpoint: &str,
        server: &str,
    ) -> Self {
        let (sealer, principal) = (Arc::clone(sealer), principal.clone());
        Self { sealer, principal, scope: scope(endpoint, server) }
    }

    fn binding(&self) -> Binding<'_> {
        Binding {
            kind: Kind::Task,
            principal: self.principal.id(),
            scope: &self.scope,
            request: b"",
        }
    }

    fn seal(&self, id: &str) -> Json {
        // Clients compare task ids: the same task must always have the same.
        Json::string(&self.sealer.seal_stable(&self.binding(), id.as_bytes()))
    }

    /// An object with its member `taskId` sealed.
    fn task(&self, task: &Object) -> Json {
        match task.text("taskId") {
            Some(id) => task.to_json(&[Edit::set("taskId", self.seal(&id).as_bytes())]),
            None => task.to_json(&[]),
        }
    }

    /// The result of a call that makes a task, lists tasks or brings what one resulted in.
    pub(crate) fn result(&self, result: Object) -> Object {
        let mut result = self.related(result);
        if let Some(task) = result.object("task") {
            result = result.with(&[Edit::set("task", self.task(&task).as_bytes())]);
        }
        if let Some(tasks) = result.get("tasks").and_then(|tasks| tasks.elements()) {
            let tasks: Vec<_> = tasks
                .iter()
                .map(|task| match task.object() {
                    Some(task) => self.task(&task).as_str().to_owned(),
                    None => task.as_str().to_owned(),
                })
                .collect();
            let tasks = format!("[{}]", tasks.join(","));
            result = result.with(&[Edit::set("tasks", tasks.as_bytes())]);
        }
        result
    }

    /// A notification about a task, or that belongs to one.
    pub(crate) fn notification(&self, mut notification: Notification) -> Notification {
        if &*notification.method == wire::method::name::TASK_STATUS
            && let Some(id) = notification.params.text("taskId")
        {
            let id = self.seal(&id);
            notification.params = notification.params.with(&[Edit::set("taskId", id.as_bytes())]);
        }
        notification.params = self.related(notification.params);
        notification
    }

    /// A question that may belong to a task, whose answer then says so, too.
    pub(crate) fn question(&self, question: Question) -> Question {
        if wire::shape::task::related(&question.params).is_none() {
            return question;
        }
        let (answer, answered) = oneshot::channel::<wire::Outcome>();
        let (ids, waiting) = (self.clone(), question.answer);
        tokio::spawn(async move {
            if let Ok(outcome) = answered.await {
                // The server may have given the question up in the meantime.
                let _ = waiting.send(outcome.map(|answer| ids.open(answer)));
            }
        });
        Question { method: question.method, params: self.related(question.params), answer }
    }

    /// An object whose `_meta` says with a sealed id which task it belongs to.
    fn related(&self, object: Object) -> Object {
        with_related(object, |id| Some(self.seal(id)))
    }

    fn open(&self, answer: Object) -> Object {
        with_related(answer, |id| {
            let inner = self.sealer.open(&self.binding(), id, unix_now()).ok()?;
            Some(Json::string(&String::from_utf8_lossy(&inner)))
        })
    }
}

fn with_related(object: Object, id: impl FnOnce(&str) -> Option<Json>) -> Object {
    let replaced = || {
        let own = object.object("_meta")?;
        let related = own.object(meta::RELATED_TASK)?;
        let id = id(&related.text("taskId")?)?;
        let related = related.to_json(&[Edit::set("taskId", id.as_bytes())]);
        let own = own.to_json(&[Edit::set(meta::RELATED_TASK, related.as_bytes())]);
        Some(object.with(&[Edit::set("_meta", own.as_bytes())]))
    };
    replaced().unwrap_or(object)
}
