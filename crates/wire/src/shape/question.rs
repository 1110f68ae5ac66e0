//! What servers ask in the middle of a call, between the two ways of asking: as a request of their
//! own (legacy), or as an input request in a result (modern).

use crate::capability::ClientAbilities;
use crate::json::{Edit, Json, Kind, Object, write_string};
use crate::meta;
use crate::method::{Method, name};
use crate::shape::older::{self, Output};
use crate::shape::text_block;
use crate::version::{Era, Version};

mod answer;
mod form;
mod secret;

pub use answer::check_answer;
pub use secret::secret_asked;

/// What a client must be able to do to be asked this; `None` for a method that asks a person, a
/// model or a client nothing.
pub fn needs(method: &str, params: &Object) -> Option<ClientAbilities> {
    Some(match method {
        name::ELICIT if asks_for_url(params) => ClientAbilities::ELICIT_URL,
        name::ELICIT => ClientAbilities::ELICIT_FORM,
        name::CREATE_MESSAGE if offers_tools(params) => {
            ClientAbilities::SAMPLE.and(ClientAbilities::SAMPLE_TOOLS)
        }
        name::CREATE_MESSAGE => ClientAbilities::SAMPLE,
        name::ROOTS_LIST => ClientAbilities::ROOTS,
        _ => return None,
    })
}

/// A legacy server's question as an input request of 2026-07-28: `{"method":…,"params":…}`, without
/// what belonged to the legacy hop. Everything else is kept as it was written.
pub fn to_input_request(method: &str, params: &Object) -> Json {
    let mut edits = vec![Edit::remove("task")];
    if method == name::ELICIT {
        edits.push(Edit::remove("elicitationId"));
    }
    let meta = without_legacy_meta(params);
    edits.extend(meta.as_ref().map(MetaEdit::edit));
    let mut out = Vec::with_capacity(params.text_len() + 64);
    out.extend_from_slice(b"{\"method\":");
    write_string(&mut out, method);
    out.extend_from_slice(b",\"params\":");
    params.splice(&edits, &mut out);
    out.push(b'}');
    Json::trusted(out)
}

/// The parameters of a question for a legacy client of `version`, be it an input request of a modern
/// server or the request of a legacy server of a newer version. Fails with what the version cannot
/// express. `elicitation_id` is the new id of an elicitation by URL; without one its own is kept.
///
/// Towards a modern client nothing changes.
pub fn to_legacy(
    method: &str,
    params: &Object,
    version: Version,
    elicitation_id: Option<&str>,
) -> Result<Object, &'static str> {
    if version.era() == Era::Modern {
        return Ok(params.clone());
    }
    let mut edits = Vec::new();
    if version < Version::V2025_11_25 && params.has("task") {
        edits.push(Edit::remove("task"));
    }
    let (new_value, tools);
    match method {
        name::ELICIT if version < Version::V2025_06_18 => {
            return Err("a person cannot be asked: elicitation came with 2025-06-18");
        }
        name::ELICIT if asks_for_url(params) => {
            if version < Version::V2025_11_25 {
                return Err("a person cannot be sent to a URL: that came with 2025-11-25");
            }
            match elicitation_id {
                Some(id) => {
                    new_value = Json::string(id);
                    edits.push(Edit::set("elicitationId", new_value.as_bytes()));
                }
                None if params.text("elicitationId").is_some() => {}
                None => return Err("an elicitation by URL has no `elicitationId`"),
            }
        }
        name::ELICIT if params.has("mode") && params.text("mode").as_deref() != Some("form") => {
            return Err("an elicitation's `mode` is neither `form` nor `url`");
        }
        name::ELICIT if version < Version::V2025_11_25 => {
            edits.push(Edit::remove("mode"));
            if let Some(schema) = params.object("requestedSchema") {
                new_value = form::before_2025_11_25(&schema)?;
                edits.push(Edit::set("requestedSchema", new_value.as_bytes()));
            }
        }
        name::CREATE_MESSAGE if version < Version::V2025_11_25 => {
            if offers_tools(params) {
                return Err("a model cannot be offered tools: that came with 2025-11-25");
            }
            if let Some(messages) = params.get("messages").and_then(|messages| messages.elements())
            {
                new_value = single_blocks(&messages, version)?;
                edits.push(Edit::set("messages", new_value.as_bytes()));
            }
        }
        name::CREATE_MESSAGE => {
            tools = params.get("tools").and_then(|tools| older_tools(&tools, version));
            edits.extend(tools.as_ref().map(|tools| Edit::set("tools", tools.as_bytes())));
            let messages = params.get("messages");
            if let Some(messages) = messages.and_then(|messages| older_uses(&messages, version)) {
                new_value = messages;
                edits.push(Edit::set("messages", new_value.as_bytes()));
            }
        }
        _ => {}
    }
    Ok(if edits.is_empty() { params.clone() } else { params.with(&edits) })
}

/// The client's answer for a server of `version`. Blocks that it cannot read are told in words.
pub fn answer_for(method: &str, answer: &Object, version: Version) -> Object {
    let mut edits = Vec::new();
    let meta = match version.era() {
        Era::Modern => without_legacy_meta(answer),
        Era::Legacy => {
            let modern = super::MODERN_RESULT.into_iter().filter(|key| answer.has(key));
            edits.extend(modern.map(Edit::remove));
            None
        }
    };
    edits.extend(meta.as_ref().map(MetaEdit::edit));
    let content = (method == name::CREATE_MESSAGE && version < Version::V2025_11_25)
        .then(|| single_block(&answer.get("content")?, version))
        .flatten();
    if let Some(content) = &content {
        edits.push(Edit::set("content", content.as_bytes()));
    }
    if edits.is_empty() { answer.clone() } else { answer.with(&edits) }
}

/// Whether an elicitation asks to visit a URL.
fn asks_for_url(params: &Object) -> bool {
    params.text("mode").as_deref() == Some("url")
}

/// Whether a sampling request comes with tools for the model.
fn offers_tools(params: &Object) -> bool {
    params.has("tools") || params.has("toolChoice")
}

/// A changed `_meta`.
enum MetaEdit {
    Set(Json),
    Remove,
}

impl MetaEdit {
    fn edit(&self) -> Edit<'_> {
        match self {
            Self::Set(meta) => Edit::set("_meta", meta.as_bytes()),
            Self::Remove => Edit::remove("_meta"),
        }
    }
}

/// The `_meta` without the keys of the legacy hop, if it has any of them or is empty.
fn without_legacy_meta(params: &Object) -> Option<MetaEdit> {
    let meta = params.object("_meta")?;
    let edits: Vec<_> =
        meta::LEGACY_HOP.into_iter().filter(|key| meta.has(key)).map(Edit::remove).collect();
    if edits.len() == meta.len() {
        return Some(MetaEdit::Remove);
    }
    (!edits.is_empty()).then(|| MetaEdit::Set(meta.to_json(&edits)))
}

/// The tools that a model is offered, as `version` defines tools.
fn older_tools(tools: &Json, version: Version) -> Option<Json> {
    older::elements_with(tools, |tool| {
        Some(older::definition(Method::ToolsList, &tool.object()?, version)?.to_json(&[]))
    })
}

/// Sampling messages whose results of tools are such as `version` has.
fn older_uses(messages: &Json, version: Version) -> Option<Json> {
    let older_block = |block: &Json| {
        let block = block.object()?;
        if block.text("type").as_deref() != Some("tool_result") {
            return None;
        }
        Some(older::result(Method::ToolsCall, &block, version, Output::Unknown)?.to_json(&[]))
    };
    older::elements_with(messages, |message| {
        let message = message.object()?;
        let content = message.get("content")?;
        let content = match content.kind() {
            Kind::Array => older::elements_with(&content, older_block)?,
            _ => older_block(&content)?,
        };
        Some(message.to_json(&[Edit::set("content", content.as_bytes())]))
    })
}

/// Sampling messages that have one block of content each: a message with several becomes several of
/// the same role.
fn single_blocks(messages: &[Json], version: Version) -> Result<Json, &'static str> {
    let mut out = vec![b'['];
    let mut write = |message: &Object, edits: &[Edit<'_>]| {
        if out.len() > 1 {
            out.push(b',');
        }
        message.splice(edits, &mut out);
    };
    for message in messages {
        let message = message.object().ok_or("a sampling message is no object")?;
        let content = message.get("content").ok_or("a sampling message has no `content`")?;
        let Some(blocks) = content.elements() else {
            check_block(&content, version)?;
            write(&message, &[]);
            continue;
        };
        for block in blocks {
            check_block(&block, version)?;
            write(&message, &[Edit::set("content", block.as_bytes())]);
        }
    }
    out.push(b']');
    Ok(Json::trusted(out))
}

/// Whether a version before 2025-11-25 has blocks of this kind in sampling messages.
fn check_block(block: &Json, version: Version) -> Result<(), &'static str> {
    match block.object().as_ref().and_then(|block| block.text("type")).as_deref() {
        Some("text" | "image") => Ok(()),
        Some("audio") if version >= Version::V2025_03_26 => Ok(()),
        Some("audio") => Err("a model cannot be given audio: that came with 2025-03-26"),
        Some("tool_use" | "tool_result") => {
            Err("a model cannot be told about uses of tools: that came with 2025-11-25")
        }
        _ => Err("a sampling message has content that the client's version does not know"),
    }
}

/// The content of a model's answer as one block; `None` where it is one that the version has.
fn single_block(content: &Json, version: Version) -> Option<Json> {
    if content.kind() != Kind::Array && check_block(content, version).is_ok() {
        return None;
    }
    let blocks = content.elements().unwrap_or_else(|| vec![content.clone()]);
    if let [block] = &*blocks
        && check_block(block, version).is_ok()
    {
        return Some(block.clone());
    }
    let texts: Vec<String> = blocks.iter().map(in_words).collect();
    Some(text_block(&texts.join("\n")))
}

/// A block as text: its own, or what it is.
fn in_words(block: &Json) -> String {
    let Some(block) = block.object() else { return String::new() };
    let kind = block.text("type").unwrap_or_default();
    match (&*kind, block.text("text"), block.text("mimeType")) {
        ("text", Some(text), _) => text.into_owned(),
        (kind, _, Some(mime)) => format!("[{kind}: {mime}]"),
        (kind, _, None) => format!("[{kind}]"),
    }
}

#[cfg(test)]
mod tests;
