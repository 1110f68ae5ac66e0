//! A server whose tools are made of calls of other servers' tools.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::{
    api::{ArgumentType, HintOverrides, JsonText},
    declared::{check_kind, read_arguments, read_schema, read_tools},
};
use crate::{
    diagnostic::Code,
    model::ServerName,
    tree::{Entry, Node, Value},
    walk::{Cx, Fields, Read, nearest},
};

mod formula;
mod step;
#[cfg(test)]
mod tests;

pub use formula::Formula;
pub use step::{OnError, Stage, Step};

use step::Names;

/// Tools that are made of calls of other servers' tools.
#[derive(Clone, Debug, PartialEq, JsonSchema)]
pub struct Composite {
    /// The tools, by their names.
    #[schemars(with = "BTreeMap<String, CompositeTool>")]
    pub compose: Vec<(String, CompositeTool)>,
}

/// A tool that is made of several calls.
#[derive(Clone, Debug, PartialEq, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CompositeTool {
    /// The tool's title.
    #[serde(default)]
    pub title: Option<String>,
    /// What the tool does.
    #[serde(default)]
    pub description: Option<String>,
    /// What hosts may assume of it. Nothing is assumed by default.
    #[serde(default)]
    pub annotations: HintOverrides,
    /// Its arguments by their names, in their order: a type, or a mapping.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, WrittenArgument>")]
    pub arguments: Vec<(String, CompositeArgument)>,
    /// A JSON Schema of its arguments, instead of `arguments`.
    #[serde(default)]
    pub input: Option<JsonText>,
    /// The calls, in their order.
    pub steps: Vec<Stage>,
    /// What the tool answers with. The default is the value of the last step.
    #[serde(default)]
    pub result: Option<Formula>,
    /// A JSON Schema of what it answers with.
    #[serde(default)]
    pub output: Option<JsonText>,
}

/// An argument of a tool that is made of several calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CompositeArgument {
    /// The type of its values.
    #[serde(rename = "type")]
    pub kind: Option<ArgumentType>,
    /// A JSON Schema of its values, instead of `type`.
    pub schema: Option<JsonText>,
    /// The values that it may have.
    #[serde(rename = "enum")]
    pub values: Option<Vec<JsonText>>,
    /// What clients read about it.
    pub description: Option<String>,
    /// Clients must give it.
    pub required: bool,
    /// The value that it has where the client gives none.
    pub default: Option<JsonText>,
}

/// An argument with its short form, for the schema alone.
#[derive(JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "WrittenCompositeArgument")]
#[expect(dead_code, reason = "only its schema is used")]
enum WrittenArgument {
    /// Only the type.
    Short(ArgumentType),
    /// The long form.
    Long(CompositeArgument),
}

/// The keys that only these servers have.
pub(super) const KEYS: &[&str] = &["compose"];

/// Most steps of a tool, those of parallel ones counted too.
const STEPS_MAX: usize = 50;

// === impl Composite ===

impl Composite {
    pub(super) fn read(fields: &mut Fields<'_>, cx: &mut Cx<'_>) -> Option<Self> {
        let node = fields.node("compose")?;
        if matches!(&node.value, Value::Mapping(entries) if entries.is_empty()) {
            cx.report(cx.problem(Code::InvalidValue, &node.range, "this makes no tool"));
        }
        let compose = read_tools(node, cx);
        Some(Self { compose })
    }

    /// The servers that its tools call.
    pub fn servers(&self) -> impl Iterator<Item = &ServerName> {
        let tools = self.compose.iter().map(|(_, tool)| tool);
        tools.flat_map(CompositeTool::all_steps).map(|step| &step.server)
    }
}

/// Checks that every server that is called is one that can be: all are read by then. A tool made of
/// calls may not call another one: it could come back to itself.
pub(super) fn check_servers(entries: &[Entry], cx: &mut Cx<'_>) {
    let is_composite = |name: &str| {
        entries.iter().any(|entry| entry.key == name && entry.node.get("compose").is_some())
    };
    let names: Vec<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
    for server in entries {
        let tools = server.node.get("compose").map(Node::entries).unwrap_or_default();
        for (node, name) in tools.iter().flat_map(|tool| step::called(&tool.node)) {
            if !names.contains(&name) {
                let message = format!("there is no server `{name}`");
                let problem = cx.problem(Code::UnknownServer, &node.range, message);
                cx.report(match nearest(name, names.iter().copied()) {
                    Some(near) => problem.hint(format!("did you mean `{near}`?")),
                    None => problem.hint("write `SERVER/TOOL`, with a server of this file"),
                });
            } else if is_composite(name) {
                let message = format!("the tools of `{name}` are made of calls themselves");
                let problem = cx.problem(Code::Conflict, &node.range, message);
                cx.report(problem.hint("call the tools that they call"));
            }
        }
    }
}

// === impl CompositeTool ===

impl CompositeTool {
    /// Every step, those that run beside each other in the order in which they are written.
    pub fn all_steps(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().flat_map(Stage::steps)
    }
}

impl Read for CompositeTool {
    fn read(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, "a tool", cx)?;
        let mut tool = Self {
            title: fields.get("title", cx),
            description: fields.get("description", cx),
            annotations: fields.get("annotations", cx).unwrap_or_default(),
            arguments: Vec::new(),
            input: None,
            steps: Vec::new(),
            result: None,
            output: None,
        };
        let arguments = fields.node("arguments");
        if let Some(node) = arguments {
            tool.arguments =
                read_arguments(node, "hosts take 1 to 64 letters, digits, `_`, `.` and `-`", cx);
        }
        let input = fields.node("input");
        tool.input = input.and_then(|node| read_schema(node, cx));
        if let (Some(_), Some(input)) = (arguments, input) {
            let message = "`input` says what the arguments are, and so does `arguments`";
            cx.report(cx.problem(Code::Conflict, &input.range, message).hint("keep one"));
        }
        let mut names = Names::default();
        if input.is_none() {
            let arguments = tool.arguments.iter().map(|(name, _)| name.clone());
            names.arguments = Some(arguments.collect());
        }
        if let Some(node) = fields.required_node("steps", cx) {
            names.collect(node);
            tool.steps = step::read_all(node, &mut names, cx)?;
            if names.len() > STEPS_MAX {
                let message = format!("a tool has at most {STEPS_MAX} steps");
                cx.report(cx.problem(Code::OutOfRange, &node.range, message));
            }
        }
        if let Some(node) = fields.node("result") {
            tool.result = Formula::read(node, &names, false, cx);
        }
        if let Some(node) = fields.node("output") {
            tool.output = read_schema(node, cx);
        }
        fields.finish(cx);
        Some(tool)
    }
}

impl Read for CompositeArgument {
    fn read(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        if node.as_str().is_some() {
            let kind = ArgumentType::read(node, cx)?;
            return Some(Self { kind: Some(kind), ..Self::default() });
        }
        let mut fields = Fields::of(node, "an argument", cx)?;
        let kind = fields.node("type");
        let schema = fields.node("schema");
        let argument = Self {
            kind: fields.get("type", cx),
            schema: schema.and_then(|node| read_schema(node, cx)),
            values: fields.get("enum", cx),
            description: fields.get("description", cx),
            required: fields.get("required", cx).unwrap_or_default(),
            default: fields.get("default", cx),
        };
        let default = fields.node("default");
        fields.finish(cx);
        check_kind(kind, schema, cx);
        if let (true, Some(default)) = (argument.required, default) {
            let message = "the argument is always given, so `default` is never used";
            let problem = cx.problem(Code::WithoutEffect, &default.range, message);
            cx.report(problem.hint("leave `default` or `required` out"));
        }
        Some(argument)
    }
}
