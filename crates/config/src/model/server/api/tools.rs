//! Which operations of an API are tools, and what is changed about single ones.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{Output, define::DefinedTool, pagination::Pagination};
use crate::{
    diagnostic::Code,
    model::{
        server::{
            declared::read_tools,
            http_url,
            remote::{check_header, check_header_value},
        },
        tag,
    },
    secret::Resolved,
    tree::{Node, Value},
    walk::{Cx, Fields, Read},
};

/// Which operations of an API are tools, and what is changed about them.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ApiTools {
    /// Operations that are tools; the default is all. A pattern over the tool's name, `operationId`
    /// and path, or a mapping.
    #[schemars(with = "Option<Vec<WrittenSelector>>")]
    pub include: Option<Vec<OperationSelector>>,
    /// Operations that are not, also where `include` has them.
    #[schemars(with = "Vec<WrittenSelector>")]
    pub exclude: Vec<OperationSelector>,
    /// What is changed about single operations, by the tool's name, `operationId` or
    /// `METHOD /path`.
    #[serde(rename = "override")]
    pub overrides: BTreeMap<String, ToolOverride>,
    /// Tools that are written by hand, by their names, besides those of the document, if there is
    /// one.
    #[schemars(with = "BTreeMap<String, DefinedTool>")]
    pub define: Vec<(String, DefinedTool)>,
}

/// Operations of some kind: all that is given must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OperationSelector {
    /// A pattern over the tool's name, `operationId` and path.
    pub name: Option<String>,
    /// A pattern over its tags.
    pub tag: Option<String>,
    /// The HTTP method.
    pub method: Option<String>,
    /// A pattern over the `x-` members that it has.
    pub extension: Option<String>,
}

/// A selector with its short form, for the schema alone.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum WrittenSelector {
    /// Only the name.
    Short(String),
    /// The long form.
    Long(OperationSelector),
}

/// What is changed about one operation. What is not written stays as the document has it.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ToolOverride {
    /// The tool's name.
    pub name: Option<String>,
    /// The tool's title.
    pub title: Option<String>,
    /// The tool's description.
    pub description: Option<String>,
    /// What hosts may assume of it.
    pub annotations: HintOverrides,
    /// What is changed about its arguments, by their names.
    pub arguments: BTreeMap<String, ArgumentOverride>,
    /// The HTTP method that is sent.
    pub method: Option<String>,
    /// The path that is sent; its variables are those of the document's path.
    pub path: Option<String>,
    /// Scheme, host and port that requests go to, such as `https://host:8443`.
    pub origin: Option<String>,
    /// Headers that each request has.
    pub headers: BTreeMap<String, Resolved>,
    /// Pairs that the query of each request has.
    pub query: BTreeMap<String, Resolved>,
    /// Which of several media types the body has.
    pub media_type: Option<String>,
    /// How the next page of its result is found. The default is what the server says.
    pub pagination: Option<Pagination>,
    /// Tags that it carries besides those of the document.
    pub tags: Vec<String>,
    /// Whether the tool carries an `outputSchema`, where that is not as for the others.
    pub output: Option<Output>,
}

/// What hosts may assume of a tool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HintOverrides {
    /// It changes nothing.
    pub read_only: Option<bool>,
    /// It may destroy something.
    pub destructive: Option<bool>,
    /// Twice is the same as once.
    pub idempotent: Option<bool>,
    /// It deals with things outside.
    pub open_world: Option<bool>,
}

/// What is changed about one argument.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ArgumentOverride {
    /// Its name for clients.
    pub name: Option<String>,
    /// What clients read about it.
    pub description: Option<String>,
    /// Clients do not see it; without a `value` it is never sent.
    pub hide: bool,
    /// The value that is always sent; clients do not see the argument.
    pub value: Option<JsonText>,
    /// The value that is sent where the client gives none.
    pub default: Option<JsonText>,
}

/// Any value, as JSON text. It may hold a secret, so it does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct JsonText {
    json: String,
    /// The texts in it that have references.
    secrets: Vec<Resolved>,
}

// === impl ApiTools ===

impl Read for ApiTools {
    fn read(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let mut tools = Self::default();
        let mut fields = Fields::of(node, "`tools`", cx)?;
        fields.set_some("include", &mut tools.include, cx);
        fields.set("exclude", &mut tools.exclude, cx);
        if let Some(node) = fields.node("override") {
            tools.overrides = read_named(node, "tools to what is changed about them", cx);
        }
        if let Some(node) = fields.node("define") {
            tools.define = read_tools(node, cx);
        }
        fields.finish(cx);
        Some(tools)
    }
}

fn read_named<T: Read>(node: &Node, what: &str, cx: &mut Cx<'_>) -> BTreeMap<String, T> {
    let Value::Mapping(entries) = &node.value else {
        cx.wrong_kind(node, &format!("a mapping from {what}"));
        return BTreeMap::new();
    };
    let read: Vec<_> =
        entries.iter().map(|entry| Some((entry.key.clone(), T::read(&entry.node, cx)?))).collect();
    read.into_iter().flatten().collect()
}

impl Read for OperationSelector {
    fn read(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        if let Some(name) = node.as_str() {
            return Some(Self { name: Some(name.to_owned()), ..Self::default() });
        }
        let mut selector = Self::default();
        let mut fields = Fields::of(node, "a choice of operations", cx)?;
        fields.set_some("name", &mut selector.name, cx);
        fields.set_some("tag", &mut selector.tag, cx);
        fields.set_some("method", &mut selector.method, cx);
        fields.set_some("extension", &mut selector.extension, cx);
        fields.finish(cx);
        if selector == Self::default() {
            let problem = cx.problem(Code::InvalidValue, &node.range, "this chooses nothing");
            cx.report(problem.hint("write, for example, `{ tag: pets, method: GET }`"));
            return None;
        }
        Some(selector)
    }
}

// === impl ToolOverride ===

impl ToolOverride {
    /// Every value in it that may be a secret.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &Resolved> {
        let fixed = self.arguments.values().filter_map(|argument| argument.value.as_ref());
        let fixed = fixed.flat_map(JsonText::secrets);
        self.headers.values().chain(self.query.values()).chain(fixed)
    }
}

impl Read for ToolOverride {
    fn read(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let mut tool = Self::default();
        let mut fields = Fields::of(node, "`override`", cx)?;
        fields.set_some("name", &mut tool.name, cx);
        if let (Some(name), Some(node)) = (&tool.name, fields.node("name"))
            && !is_tool_name(name)
        {
            let message = format!("`{name}` is not a name of a tool");
            let problem = cx.problem(Code::InvalidName, &node.range, message);
            cx.report(problem.hint("hosts take 1 to 60 letters, digits, `_` and `-`"));
        }
        fields.set_some("title", &mut tool.title, cx);
        fields.set_some("description", &mut tool.description, cx);
        fields.set("annotations", &mut tool.annotations, cx);
        if let Some(node) = fields.node("arguments") {
            tool.arguments = read_named(node, "arguments to what is changed about them", cx);
        }
        fields.set_some("method", &mut tool.method, cx);
        if let (Some(method), Some(node)) = (&tool.method, fields.node("method")) {
            check_method(method, node, cx);
        }
        fields.set_some("path", &mut tool.path, cx);
        if let (Some(path), Some(node)) = (&tool.path, fields.node("path")) {
            check_path(path, node, cx);
        }
        if let Some(node) = fields.node("origin") {
            tool.origin = read_origin(node, cx);
        }
        if let Some(node) = fields.node("headers") {
            let headers = super::super::read_texts(node, "`headers`", check_header, cx);
            tool.headers = headers.unwrap_or_default();
            for entry in node.entries() {
                if let Some(text) = tool.headers.get(&entry.key) {
                    check_header_value(&entry.node, text, cx);
                }
            }
        }
        if let Some(node) = fields.node("query") {
            let query = super::super::read_texts(node, "`query`", |_, _| true, cx);
            tool.query = query.unwrap_or_default();
        }
        fields.set_some("media_type", &mut tool.media_type, cx);
        fields.set_some("pagination", &mut tool.pagination, cx);
        if let Some(node) = fields.node("tags") {
            tool.tags = tag::read_all(node, cx).unwrap_or_default();
        }
        fields.set_some("output", &mut tool.output, cx);
        fields.finish(cx);
        Some(tool)
    }
}

pub(super) fn check_method(method: &str, node: &Node, cx: &mut Cx<'_>) {
    if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        let message = format!("`{method}` is not an HTTP method");
        cx.report(cx.problem(Code::InvalidValue, &node.range, message));
    }
}

pub(super) fn check_path(path: &str, node: &Node, cx: &mut Cx<'_>) {
    if !path.starts_with('/') {
        let message = "a path begins with `/`";
        cx.report(cx.problem(Code::InvalidValue, &node.range, message));
    }
}

pub(in crate::model::server) fn is_tool_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=60).contains(&name.len()) && name.bytes().all(fits)
}

/// Scheme, host and port, without `/` at the end.
fn read_origin(node: &Node, cx: &mut Cx<'_>) -> Option<String> {
    let text = String::read(node, cx)?;
    match http_url(&text) {
        Ok(url) if url.path() == "/" && url.query().is_none() && url.username().is_empty() => {
            Some(url.as_str().trim_end_matches('/').to_owned())
        }
        _ => {
            let message = format!("`{text}` is not the origin of a URL");
            let problem = cx.problem(Code::InvalidValue, &node.range, message);
            cx.report(problem.hint("write it like `https://api.example.com`"));
            None
        }
    }
}

impl Read for HintOverrides {
    fn read(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let mut hints = Self::default();
        let mut fields = Fields::of(node, "`annotations`", cx)?;
        fields.set_some("read_only", &mut hints.read_only, cx);
        fields.set_some("destructive", &mut hints.destructive, cx);
        fields.set_some("idempotent", &mut hints.idempotent, cx);
        fields.set_some("open_world", &mut hints.open_world, cx);
        fields.finish(cx);
        Some(hints)
    }
}

impl Read for ArgumentOverride {
    fn read(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let mut argument = Self::default();
        let mut fields = Fields::of(node, "an argument", cx)?;
        fields.set_some("name", &mut argument.name, cx);
        fields.set_some("description", &mut argument.description, cx);
        fields.set("hide", &mut argument.hide, cx);
        fields.set_some("value", &mut argument.value, cx);
        fields.set_some("default", &mut argument.default, cx);
        let default = fields.node("default");
        fields.finish(cx);
        if let (Some(_), Some(default)) = (&argument.value, default) {
            let message = "`value` is always sent, so `default` never is";
            cx.report(cx.problem(Code::Conflict, &default.range, message).hint("keep one"));
        }
        Some(argument)
    }
}

// === impl JsonText ===

impl JsonText {
    /// The text, valid JSON.
    pub fn as_str(&self) -> &str {
        &self.json
    }

    /// The texts in it that may be secrets.
    pub fn secrets(&self) -> impl Iterator<Item = &Resolved> {
        self.secrets.iter()
    }
}

impl Read for JsonText {
    fn read(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let mut text = Self { json: String::new(), secrets: Vec::new() };
        write_json(node, &mut text, cx)?;
        Some(text)
    }
}

/// Writes a value as JSON; references in texts are replaced. The tree is at most
/// [`DEPTH_MAX`](crate::tree::DEPTH_MAX) deep.
fn write_json(node: &Node, text: &mut JsonText, cx: &mut Cx<'_>) -> Option<()> {
    match &node.value {
        Value::Null => text.json.push_str("null"),
        Value::Bool(value) => text.json.push_str(if *value { "true" } else { "false" }),
        Value::Number(digits) => match serde_json::from_str::<serde_json::Number>(digits) {
            // As it was written, so that large numbers keep their digits.
            Ok(_) => text.json.push_str(digits),
            Err(_) => text.json.push_str(&serde_json::Value::from(digits.as_str()).to_string()),
        },
        Value::String(_) => {
            let written = cx.text(node)?;
            text.json.push_str(&serde_json::Value::from(written.expose()).to_string());
            if !written.template().is_literal() {
                text.secrets.push(written);
            }
        }
        Value::Sequence(items) => {
            text.json.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    text.json.push(',');
                }
                write_json(item, text, cx)?;
            }
            text.json.push(']');
        }
        Value::Mapping(entries) => {
            text.json.push('{');
            for (at, entry) in entries.iter().enumerate() {
                if at > 0 {
                    text.json.push(',');
                }
                text.json.push_str(&serde_json::Value::from(entry.key.as_str()).to_string());
                text.json.push(':');
                write_json(&entry.node, text, cx)?;
            }
            text.json.push('}');
        }
    }
    Some(())
}

impl fmt::Debug for JsonText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JsonText(…)")
    }
}

impl JsonSchema for JsonText {
    fn schema_name() -> Cow<'static, str> {
        "AnyValue".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "Any value. References in texts are replaced." })
    }
}
