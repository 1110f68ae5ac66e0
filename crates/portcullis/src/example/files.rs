//! Read-only files below one directory: tools, resources, a template, completions and a prompt.

use std::path::Path;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::server::{
    About, Answer, Arguments, Effect, Failure, Freshness, Kind, Page, Parameter, Prompt, Server,
    Subject, Tool, text_block,
};

mod content;
mod glob;
mod search;
mod tree;

use content::Content;
use tree::{Tree, file_uri};

/// Longest path in an argument; the usual limit of the system.
const PATH: Kind = Kind::Text { chars_max: 4_096 };

/// The server of one directory.
pub(super) struct Files {
    tree: Tree,
}

impl Files {
    /// Serves the files below `directory`, which must exist.
    pub(super) fn below(directory: &Path) -> std::io::Result<Self> {
        Ok(Self { tree: Tree::below(directory)? })
    }

    fn template(&self) -> String {
        format!("{}{{+path}}", self.tree.base_uri())
    }
}

impl Server for Files {
    const ABOUT: About = About {
        name: "portcullis-example-files",
        title: "Files",
        instructions: "Read-only access to the files below one directory. Paths are relative to it. \
                       Use search_text or search_files to find something, read_file to read it.",
    };
    const RESOURCES: Freshness = Freshness { ttl_ms: 5_000, scope: "private" };

    const TOOLS: &'static [Tool<Self>] = &[
        Tool {
            name: "list_directory",
            title: "List a directory",
            description: "Lists the entries of a directory, directories first, each with kind and size.",
            parameters: &[
                Parameter::optional("path", PATH, "The directory; the top one if left out."),
                Parameter::optional(
                    "limit",
                    Kind::Integer { min: 1, max: 5_000, default: 1_000 },
                    "Most entries to list.",
                ),
            ],
            output: || {
                object_schema(&json!({
                    "path": { "type": "string" },
                    "entries": { "type": "array", "items": object_schema(&json!({
                        "name": { "type": "string" },
                        "kind": { "enum": ["directory", "file", "link", "other"] },
                        "size": { "type": "integer", "description": "Bytes; 0 for directories." },
                    })) },
                    "truncated": { "type": "boolean" },
                }))
            },
            effect: Effect::Reads,
            call: list_directory,
        },
        Tool {
            name: "read_file",
            title: "Read a file",
            description: "Reads a file or a part of it. Text comes as text, anything else as base64. \
                          Where `next_offset` is given there is more: call again with it as `offset`.",
            parameters: &[
                Parameter::required("path", PATH, "The file."),
                Parameter::optional(
                    "offset",
                    Kind::Integer { min: 0, max: u64::MAX >> 11, default: 0 },
                    "Where to start, in bytes; search_text gives offsets of lines.",
                ),
                Parameter::optional(
                    "limit",
                    Kind::Integer { min: 4, max: content::PART_BYTES_MAX, default: 65_536 },
                    "Most bytes to read.",
                ),
            ],
            output: || {
                let mut schema = object_schema(&json!({
                    "path": { "type": "string" },
                    "mime_type": { "type": "string" },
                    "size": { "type": "integer", "description": "Bytes of the whole file." },
                    "offset": { "type": "integer" },
                    "encoding": { "enum": ["utf-8", "base64"] },
                    "content": { "type": "string" },
                }));
                schema["properties"]["next_offset"] =
                    json!({ "type": "integer", "description": "Where the next part starts." });
                schema
            },
            effect: Effect::Reads,
            call: read_file,
        },
        Tool {
            name: "search_files",
            title: "Find files by name",
            description: "Finds files whose name, or path where the pattern has a slash, matches a \
                          pattern: `*` any characters but a slash, `**` any characters, `?` one.",
            parameters: &[
                Parameter::required("pattern", Kind::Text { chars_max: 256 }, "Such as `*.rs`."),
                Parameter::optional("path", PATH, "Search below this directory only."),
                Parameter::optional(
                    "limit",
                    Kind::Integer { min: 1, max: 1_000, default: 200 },
                    "Most files to report.",
                ),
            ],
            output: || {
                object_schema(&json!({
                    "files": { "type": "array", "items": object_schema(&json!({
                        "path": { "type": "string" },
                        "uri": { "type": "string" },
                        "size": { "type": "integer" },
                    })) },
                    "truncated": { "type": "boolean" },
                }))
            },
            effect: Effect::Reads,
            call: search_files,
        },
        Tool {
            name: "search_text",
            title: "Find text in files",
            description: "Finds lines that contain a text (no pattern) in all text files, with line \
                          numbers and offsets for read_file.",
            parameters: &[
                Parameter::required("text", Kind::Text { chars_max: 1_000 }, "What to find."),
                Parameter::optional("path", PATH, "Search below this directory only."),
                Parameter::optional(
                    "files",
                    Kind::Text { chars_max: 256 },
                    "Search files that match this pattern only, as in search_files.",
                ),
                Parameter::optional(
                    "ignore_case",
                    Kind::Flag { default: false },
                    "Whether upper and lower case are the same.",
                ),
                Parameter::optional(
                    "limit",
                    Kind::Integer { min: 1, max: 500, default: 100 },
                    "Most lines to report.",
                ),
            ],
            output: || {
                object_schema(&json!({
                    "matches": { "type": "array", "items": object_schema(&json!({
                        "path": { "type": "string" },
                        "line": { "type": "integer", "description": "Line number from 1." },
                        "offset": { "type": "integer", "description": "Byte where the line starts." },
                        "text": { "type": "string", "description": "The line, shortened." },
                    })) },
                    "files_searched": { "type": "integer" },
                    "truncated": { "type": "boolean" },
                }))
            },
            effect: Effect::Reads,
            call: search_text,
        },
    ];

    const PROMPTS: &'static [Prompt<Self>] = &[Prompt {
        name: "summarize_file",
        title: "Summarize a file",
        description: "Asks for a short summary of one file, which is attached.",
        parameters: &[Parameter::required("path", PATH, "The file.")],
        write: summarize_file,
    }];

    fn templates(&self) -> Vec<Value> {
        vec![json!({
            "uriTemplate": self.template(),
            "name": "file",
            "title": "A file",
            "description": "Any file below the directory, by its relative path.",
        })]
    }

    fn resources(&self, cursor: Option<&str>) -> Result<Page, Failure> {
        self.tree.page(cursor)
    }

    fn read(&self, uri: &str) -> Result<Vec<Value>, Failure> {
        let no_resource = || Failure::NoResource(uri.to_owned());
        let path = self.tree.resolve_uri(uri).ok_or_else(no_resource)?;
        let content = Content::whole(&path).map_err(Failure::Invalid)?;
        Ok(vec![content.resource(uri)])
    }

    fn complete(&self, subject: Subject<'_>, argument: &str, typed: &str) -> Option<Vec<String>> {
        let known = match subject {
            Subject::Prompt(name) => name == "summarize_file",
            Subject::Template(uri) => uri == self.template(),
        };
        (known && argument == "path").then(|| self.tree.complete(typed))
    }
}

/// The schema of an object that has exactly these members.
fn object_schema(properties: &Value) -> Value {
    let required: Vec<_> = properties.as_object().into_iter().flat_map(|all| all.keys()).collect();
    json!({ "type": "object", "properties": properties, "required": required })
}

fn list_directory(
    files: &Files,
    arguments: &Arguments,
    _: &CancellationToken,
) -> Result<Answer, String> {
    let path = arguments.text("path").unwrap_or("");
    let (entries, truncated) = files.tree.entries(path, arguments.count("limit"))?;
    Ok(json!({ "path": path, "entries": entries, "truncated": truncated }).into())
}

fn read_file(
    files: &Files,
    arguments: &Arguments,
    _: &CancellationToken,
) -> Result<Answer, String> {
    let path = arguments.required_text("path");
    let file = files.tree.resolve(path)?;
    let content = Content::part(&file, arguments.integer("offset"), arguments.integer("limit"))?;
    let block = match &content.text {
        Some(text) => text_block(text),
        None => json!({ "type": "resource", "resource": content.resource(&file_uri(&file)) }),
    };
    let mut structured = json!({
        "path": path,
        "mime_type": content.mime_type,
        "size": content.size,
        "offset": content.offset,
        "encoding": if content.text.is_some() { "utf-8" } else { "base64" },
    });
    if let Some(next) = content.next_offset {
        structured["next_offset"] = next.into();
    }
    structured["content"] = content.into_string().into();
    Ok(Answer { structured, content: Some(vec![block]) })
}

fn search_files(
    files: &Files,
    arguments: &Arguments,
    cancelled: &CancellationToken,
) -> Result<Answer, String> {
    let start = files.tree.resolve(arguments.text("path").unwrap_or(""))?;
    let pattern = arguments.required_text("pattern");
    let limit = arguments.count("limit");
    let found = search::by_name(&files.tree, &start, pattern, limit, cancelled);
    Ok(json!({ "files": found.items, "truncated": found.truncated }).into())
}

fn search_text(
    files: &Files,
    arguments: &Arguments,
    cancelled: &CancellationToken,
) -> Result<Answer, String> {
    let text = arguments.required_text("text");
    if text.is_empty() || text.contains('\n') {
        return Err("argument `text` must be a part of one line, and not empty".to_owned());
    }
    let start = files.tree.resolve(arguments.text("path").unwrap_or(""))?;
    let wanted = search::Wanted {
        text,
        ignore_case: arguments.flag("ignore_case"),
        files: arguments.text("files"),
        limit: arguments.count("limit"),
    };
    let found = search::by_text(&files.tree, &start, &wanted, cancelled);
    Ok(json!({
        "matches": found.items,
        "files_searched": found.files,
        "truncated": found.truncated,
    })
    .into())
}

fn summarize_file(files: &Files, arguments: &Arguments) -> Result<Vec<Value>, Failure> {
    let path = arguments.required_text("path");
    let file = files.tree.resolve(path).map_err(Failure::Invalid)?;
    let content = Content::whole(&file).map_err(Failure::Invalid)?;
    let uri = file_uri(&file);
    let request = format!(
        "Summarize the attached file {path} for someone who has to decide whether to read it: what \
         it is for, what it says or does, and what is unusual about it. At most ten sentences."
    );
    let attached = json!({ "type": "resource", "resource": content.resource(&uri) });
    Ok(vec![
        json!({ "role": "user", "content": text_block(&request) }),
        json!({ "role": "user", "content": attached }),
    ])
}
