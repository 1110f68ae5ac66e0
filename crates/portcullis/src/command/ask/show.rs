//! Answers for people: tables of definitions, and content as text.

use serde_json::Value;

use crate::render;

/// How much of a description a table shows, in characters.
const DESCRIPTION_MAX: usize = 100;

pub(super) fn tools(items: &[Value]) {
    rows(["TOOL", "ARGUMENTS", "DESCRIPTION"], items, |tool| {
        [text(tool, "name"), arguments(&tool["inputSchema"]), description(tool)]
    });
}

pub(super) fn resources(items: &[Value]) {
    rows(["URI", "NAME", "TYPE", "DESCRIPTION"], items, |resource| {
        [
            text(resource, "uri"),
            text(resource, "name"),
            text(resource, "mimeType"),
            description(resource),
        ]
    });
}

pub(super) fn templates(items: &[Value]) {
    rows(["URI TEMPLATE", "NAME", "DESCRIPTION"], items, |template| {
        [text(template, "uriTemplate"), text(template, "name"), description(template)]
    });
}

pub(super) fn prompts(items: &[Value]) {
    rows(["PROMPT", "ARGUMENTS", "DESCRIPTION"], items, |prompt| {
        let declared = prompt["arguments"].as_array().map(Vec::as_slice).unwrap_or_default();
        let arguments: Vec<_> = declared
            .iter()
            .map(|argument| {
                let required = argument["required"].as_bool().unwrap_or_default();
                format!("{}{}", text(argument, "name"), if required { "" } else { "?" })
            })
            .collect();
        [text(prompt, "name"), arguments.join(" "), description(prompt)]
    });
}

/// The content of a tool's result.
pub(super) fn content(result: &Value) {
    let blocks = result["content"].as_array().map(Vec::as_slice).unwrap_or_default();
    blocks.iter().for_each(block);
    if blocks.is_empty() && result.get("structuredContent").is_some() {
        render::json(&result["structuredContent"]);
    }
}

/// The contents of a resource.
pub(super) fn contents(result: &Value) {
    for part in result["contents"].as_array().map(Vec::as_slice).unwrap_or_default() {
        embedded(part);
    }
}

/// The messages of a prompt.
pub(super) fn messages(result: &Value) {
    for message in result["messages"].as_array().map(Vec::as_slice).unwrap_or_default() {
        render::line(&format!("[{}]", text(message, "role")));
        block(&message["content"]);
    }
}

/// One block of content: text as it is, everything else by what it is.
fn block(block: &Value) {
    match block["type"].as_str().unwrap_or_default() {
        "text" => render::line(&text(block, "text")),
        "resource" => embedded(&block["resource"]),
        "resource_link" => render::line(&format!("[link {}]", text(block, "uri"))),
        kind => {
            let kind = render::visible(kind);
            let size = block["data"].as_str().map_or(0, |data| data.len() / 4 * 3);
            let media_type = text(block, "mimeType");
            render::line(&format!("[{kind} {media_type}, about {size} bytes; --json shows it]"));
        }
    }
}

fn embedded(part: &Value) {
    if part["text"].is_string() {
        return render::line(&text(part, "text"));
    }
    let size = part["blob"].as_str().map_or(0, |blob| blob.len() / 4 * 3);
    let (uri, media_type) = (text(part, "uri"), text(part, "mimeType"));
    render::line(&format!("[{uri} {media_type}, about {size} bytes; --json shows it]"));
}

fn rows<const COLUMNS: usize>(
    headings: [&str; COLUMNS],
    items: &[Value],
    row: fn(&Value) -> [String; COLUMNS],
) {
    if items.is_empty() {
        render::note("none");
        return;
    }
    render::table(headings, items.iter().map(row));
}

/// The arguments of a tool; optional ones with a question mark.
fn arguments(schema: &Value) -> String {
    let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    let Some(properties) = schema["properties"].as_object() else { return String::new() };
    let names = properties.keys().map(|name| {
        let is_required = required.iter().any(|required| required.as_str() == Some(name));
        format!("{name}{}", if is_required { "" } else { "?" })
    });
    names.collect::<Vec<_>>().join(" ")
}

fn description(definition: &Value) -> String {
    let text = definition["description"].as_str().or_else(|| definition["title"].as_str());
    render::brief(text.unwrap_or_default(), DESCRIPTION_MAX)
}

fn text(value: &Value, member: &str) -> String {
    render::visible(value[member].as_str().unwrap_or_default())
}
