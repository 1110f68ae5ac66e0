//! Tasks between the core of 2025-11-25 and the extension of 2026-07-28: the same life, other names.

use crate::json::{Edit, Json, Object};

/// The id of the tasks extension.
pub const EXTENSION: &str = "io.modelcontextprotocol/tasks";

/// A `Task` of 2025-11-25 as the extension writes it, with further members.
pub fn to_extension(task: &Object, members: &[Edit<'_>]) -> Object {
    let (ttl, poll) = (task.get("ttl"), task.get("pollInterval"));
    let mut edits = vec![Edit::remove("ttl"), Edit::remove("pollInterval")];
    if let Some(ttl) = &ttl {
        edits.push(Edit::set("ttlMs", ttl.as_bytes()));
    }
    if let Some(poll) = &poll {
        edits.push(Edit::set("pollIntervalMs", poll.as_bytes()));
    }
    edits.extend_from_slice(members);
    task.with(&edits)
}

/// The task that a question of 2025-11-25 belongs to.
pub fn related(params: &Object) -> Option<String> {
    let related = params.object("_meta")?.object(crate::meta::RELATED_TASK)?;
    related.text("taskId").map(std::borrow::Cow::into_owned)
}

/// Whether `ClientCapabilities` or `ServerCapabilities` of 2026-07-28 declare the extension.
pub fn declared(capabilities: &Object) -> bool {
    capabilities.object("extensions").is_some_and(|extensions| extensions.has(EXTENSION))
}

/// Whether `ServerCapabilities` of 2025-11-25 let tools be called as tasks.
pub fn takes_tools(capabilities: &Object) -> bool {
    let requests = capabilities.object("tasks").and_then(|tasks| tasks.object("requests"));
    requests.and_then(|requests| requests.object("tools")).is_some_and(|tools| tools.has("call"))
}

/// `ClientCapabilities` or `ServerCapabilities` with the extension declared.
pub fn declaring(capabilities: &Object) -> Json {
    let extensions = capabilities.object("extensions").unwrap_or_else(Object::empty);
    let extensions = extensions.to_json(&[Edit::set(EXTENSION, b"{}")]);
    capabilities.to_json(&[Edit::set("extensions", extensions.as_bytes())])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Object {
        Json::trusted(text.to_owned()).object().unwrap()
    }

    #[test]
    fn a_task_keeps_everything_but_two_names() {
        let task = object(r#"{"taskId":"t","status":"working","ttl":1,"x":1.0,"pollInterval":5}"#);
        let flat = to_extension(&task, &[Edit::set("resultType", b"\"task\"")]).to_json(&[]);
        let expected = r#"{"taskId":"t","status":"working","x":1.0,"ttlMs":1,"pollIntervalMs":5,"resultType":"task"}"#;
        assert_eq!(flat.as_str(), expected);
        let bare = to_extension(&object(r#"{"taskId":"t"}"#), &[]);
        assert_eq!(bare.to_json(&[]).as_str(), r#"{"taskId":"t"}"#);
    }

    #[test]
    fn who_knows_tasks() {
        assert!(takes_tools(&object(r#"{"tasks":{"requests":{"tools":{"call":{}}}}}"#)));
        assert!(!takes_tools(&object(r#"{"tasks":{"requests":{}}}"#)));
        let none = object(r#"{"elicitation":{}}"#);
        assert!(!declared(&none));
        let with = declaring(&none);
        assert!(declared(&with.object().unwrap()));
        assert!(with.as_str().contains("elicitation"));
        let meta = object(r#"{"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t"}}}"#);
        assert_eq!(related(&meta).as_deref(), Some("t"));
        assert_eq!(related(&none), None);
    }
}
