//! Legacy ↔ modern: what is added to, and removed from, messages that cross between the eras.
//!
//! Within one era nothing here is used: same-era hops lose nothing.

pub mod older;
pub mod question;
pub mod task;

use crate::json::{Edit, Json, Object, write_string};
use crate::meta;
use crate::method::Method;
use crate::version::Version;

/// Members that only modern results have.
const MODERN_RESULT: [&str; 3] = ["resultType", "ttlMs", "cacheScope"];

/// The parameters of a modern request, towards a legacy server: without the per-request `_meta`
/// keys and the members of multi round-trip requests. `as_task` asks for a task of 2025-11-25.
pub fn params_to_legacy(
    params: &Object,
    meta: &Object,
    progress_token: Option<&Json>,
    as_task: bool,
) -> Json {
    let mut meta_edits: Vec<Edit<'_>> = meta::PER_REQUEST.map(Edit::remove).to_vec();
    if let Some(token) = progress_token {
        meta_edits.push(Edit::set(meta::PROGRESS_TOKEN, token.as_bytes()));
    }
    let meta = meta.to_json(&meta_edits);
    let edits = [
        if meta.as_bytes() == b"{}" {
            Edit::remove("_meta")
        } else {
            Edit::set("_meta", meta.as_bytes())
        },
        Edit::remove("inputResponses"),
        Edit::remove("requestState"),
        if as_task { Edit::set("task", b"{}") } else { Edit::remove("task") },
    ];
    params.to_json(&edits)
}

/// What a legacy client said once, and a modern server wants with every request.
#[derive(Clone, Copy, Debug)]
pub struct PerRequest<'a> {
    /// The client's capabilities, as JSON text.
    pub capabilities: &'a [u8],
    /// The client's `Implementation`, as JSON text.
    pub info: Option<&'a [u8]>,
    /// Least severity of log messages, as JSON text.
    pub log_level: Option<&'a [u8]>,
}

/// The parameters of a legacy request, towards a modern server.
pub fn params_to_modern(params: &Object, meta: &Object, per_request: PerRequest<'_>) -> Json {
    let version = format!("\"{}\"", Version::LATEST);
    let mut edits = vec![
        Edit::set(meta::PROTOCOL_VERSION, version.as_bytes()),
        Edit::set(meta::CLIENT_CAPABILITIES, per_request.capabilities),
    ];
    if let Some(info) = per_request.info {
        edits.push(Edit::set(meta::CLIENT_INFO, info));
    }
    if let Some(level) = per_request.log_level {
        edits.push(Edit::set(meta::LOG_LEVEL, level));
    }
    let meta = meta.to_json(&edits);
    params.to_json(&[Edit::set("_meta", meta.as_bytes()), Edit::remove("task")])
}

/// A modern result towards a legacy client: without the members that strict legacy parsers choke on.
pub fn result_to_legacy(result: &Object) -> Object {
    let mut edits: Vec<Edit<'_>> = MODERN_RESULT.map(Edit::remove).to_vec();
    let meta = result.object("_meta").map(|meta| meta.to_json(&[Edit::remove(meta::SERVER_INFO)]));
    match &meta {
        Some(meta) if meta.as_bytes() == b"{}" => edits.push(Edit::remove("_meta")),
        Some(meta) => edits.push(Edit::set("_meta", meta.as_bytes())),
        None => {}
    }
    result.with(&edits)
}

/// A legacy result towards a modern client: complete, with who answered, and with cache hints where
/// the method's results carry them (`ttlMs: 0`, since a legacy server promises nothing).
pub fn result_to_modern(method: Method, result: &Object, server_info: &Json) -> Json {
    let meta = with_server_info(result, server_info);
    let mut edits = vec![Edit::set("resultType", b"\"complete\"")];
    if (method.is_list() || method == Method::ResourcesRead) && !result.has("ttlMs") {
        edits.push(Edit::set("ttlMs", b"0"));
        edits.push(Edit::set("cacheScope", b"\"private\""));
    }
    edits.push(Edit::set("_meta", meta.as_bytes()));
    result.to_json(&edits)
}

/// The `_meta` of `result` with `serverInfo` set.
pub fn with_server_info(result: &Object, server_info: &Json) -> Json {
    result
        .object("_meta")
        .unwrap_or_else(Object::empty)
        .to_json(&[Edit::set(meta::SERVER_INFO, server_info.as_bytes())])
}

/// A block of content that is a text.
fn text_block(text: &str) -> Json {
    let mut out = Vec::with_capacity(text.len() + 32);
    out.extend_from_slice(b"{\"type\":\"text\",\"text\":");
    write_string(&mut out, text);
    out.push(b'}');
    Json::trusted(out)
}
