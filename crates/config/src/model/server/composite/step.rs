//! The steps of a tool that is made of several calls.

use policy::Expression;
use schemars::JsonSchema;

use super::formula::{Formula, read_expression};
use crate::{
    diagnostic::Code,
    model::{ServerName, word::words},
    tree::{Node, Value},
    walk::{Cx, Fields, Read as _},
};

/// What happens at once.
#[derive(Clone, Debug, PartialEq, JsonSchema)]
#[serde(untagged)]
pub enum Stage {
    /// One step.
    One(Box<Step>),
    /// Several steps that run beside each other.
    Parallel {
        /// The steps.
        parallel: Vec<Step>,
    },
}

/// One call, or one for each element of a list.
#[derive(Clone, Debug, PartialEq, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Step {
    /// The name by which later steps know its value.
    pub name: String,
    /// The tool that is called: `SERVER/TOOL`, with the server's own name of it.
    #[schemars(rename = "call", with = "String")]
    pub server: ServerName,
    /// The server's own name of the tool.
    #[schemars(skip)]
    pub tool: String,
    /// The arguments, an object.
    #[schemars(default)]
    pub with: Option<Formula>,
    /// Under which condition it runs, an expression. Where it does not, its value is `otherwise`.
    #[schemars(default, with = "Option<String>")]
    pub when: Option<Expression>,
    /// The value of a step that does not run; the default is `null`.
    #[schemars(default)]
    pub otherwise: Option<Formula>,
    /// A list, an expression: there is one call for each element of it, which `with` knows as
    /// `item`, and its place as `index`. The value is the list of their values.
    #[schemars(default, with = "Option<String>")]
    pub each: Option<Expression>,
    /// What becomes of the tool where the call fails.
    #[schemars(default)]
    pub on_error: OnError,
}

words! {
    /// What becomes of a tool where one of its calls fails.
    OnError {
        /// It fails with it, and later steps do not run.
        #[default]
        Fail = "fail",
        /// The value of the step is `null`, and `errors.NAME` says why.
        Continue = "continue",
    }
}

/// The names that expressions may use, as they are at some step.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// All steps of the tool.
    all: Vec<String>,
    /// Those whose values are there.
    done: Vec<String>,
    /// The arguments of the tool, where only these can be given.
    pub(super) arguments: Option<Vec<String>>,
}

/// What every expression may name.
const ALWAYS: [&str; 2] = ["args", "errors"];
/// What expressions about one element of a list may name.
const OF_EACH: [&str; 2] = ["item", "index"];
/// Words of the language, and names that have a meaning of their own in it.
const RESERVED: [&str; 36] = [
    "args",
    "as",
    "bool",
    "break",
    "bytes",
    "const",
    "continue",
    "double",
    "duration",
    "dyn",
    "else",
    "errors",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "index",
    "int",
    "item",
    "let",
    "list",
    "loop",
    "map",
    "namespace",
    "null",
    "optional",
    "package",
    "return",
    "string",
    "timestamp",
    "true",
    "type",
    "uint",
    "var",
];
/// Most steps that run beside each other.
const PARALLEL_MAX: usize = 16;

// === impl Names ===

impl Names {
    /// Notes the names of all steps below a list of them.
    pub(super) fn collect(&mut self, steps: &Node) {
        for node in step_nodes(steps) {
            if let Some(name) = node.get("name").and_then(Node::as_str) {
                self.all.push(name.to_owned());
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.done.len()
    }

    pub(super) fn known(&self, of_each: bool) -> Vec<&str> {
        let of_each = OF_EACH.into_iter().filter(|_| of_each);
        ALWAYS.into_iter().chain(of_each).chain(self.done.iter().map(String::as_str)).collect()
    }

    /// Why a name cannot be used here that could be elsewhere.
    pub(super) fn why_not(&self, name: &str, of_each: bool) -> Option<(String, String)> {
        if self.all.iter().any(|step| step == name) {
            let message = format!("the step `{name}` has no value yet");
            let hint = "a step knows those before it, and none that runs beside it".to_owned();
            return Some((message, hint));
        }
        (!of_each && OF_EACH.contains(&name)).then(|| {
            let message = format!("`{name}` is part of one call for each element of a list");
            (message, "it may be used in `with` of a step that has `each`".to_owned())
        })
    }
}

/// The mappings that are steps, in a list of steps.
fn step_nodes(steps: &Node) -> Vec<&Node> {
    let Value::Sequence(stages) = &steps.value else { return Vec::new() };
    let of_stage = |stage| match Node::get(stage, "parallel").map(|node| &node.value) {
        Some(Value::Sequence(steps)) => steps.iter().collect(),
        _ => vec![stage],
    };
    stages.iter().flat_map(of_stage).collect()
}

/// The places where the steps of a tool name a server, with the name.
pub(super) fn called(tool: &Node) -> Vec<(&Node, &str)> {
    let steps = tool.get("steps").map(step_nodes).unwrap_or_default();
    let calls = steps.into_iter().filter_map(|step| step.get("call"));
    calls.filter_map(|node| Some((node, node.as_str()?.split_once('/')?.0))).collect()
}

/// Reads the steps of a tool in their order; each knows those before it.
pub(super) fn read_all(node: &Node, names: &mut Names, cx: &mut Cx<'_>) -> Option<Vec<Stage>> {
    let Value::Sequence(stages) = &node.value else {
        cx.wrong_kind(node, "a list of steps");
        return None;
    };
    if stages.is_empty() {
        let problem = cx.problem(Code::InvalidValue, &node.range, "a tool has at least one step");
        cx.report(problem);
    }
    let read: Vec<_> = stages.iter().map(|stage| Stage::read(stage, names, cx)).collect();
    read.into_iter().collect()
}

// === impl Stage ===

impl Stage {
    /// Its steps.
    pub fn steps(&self) -> &[Step] {
        match self {
            Self::One(step) => std::slice::from_ref(step),
            Self::Parallel { parallel } => parallel,
        }
    }

    fn read(node: &Node, names: &mut Names, cx: &mut Cx<'_>) -> Option<Self> {
        if node.get("parallel").is_none() {
            let step = Step::read(node, names, cx);
            names.add(node, cx);
            return step.map(Box::new).map(Self::One);
        }
        let mut fields = Fields::of(node, "steps beside each other", cx)?;
        let steps = fields.required_node("parallel", cx)?;
        fields.finish(cx);
        let Value::Sequence(items) = &steps.value else {
            cx.wrong_kind(steps, "a list of steps");
            return None;
        };
        if items.is_empty() || items.len() > PARALLEL_MAX {
            let message = format!("between 1 and {PARALLEL_MAX} steps run beside each other");
            cx.report(cx.problem(Code::OutOfRange, &steps.range, message));
        }
        let read: Vec<_> = items.iter().map(|item| Step::read(item, names, cx)).collect();
        for item in items {
            names.add(item, cx);
        }
        let parallel = read.into_iter().collect::<Option<_>>()?;
        Some(Self::Parallel { parallel })
    }
}

impl Names {
    /// The value of a step is there from now on.
    fn add(&mut self, step: &Node, cx: &mut Cx<'_>) {
        let Some(node) = step.get("name") else { return };
        let Some(name) = node.as_str() else { return };
        if self.done.iter().any(|done| done == name) {
            let message = format!("another step is called `{name}`, too");
            cx.report(cx.problem(Code::Conflict, &node.range, message));
        }
        self.done.push(name.to_owned());
    }
}

// === impl Step ===

impl Step {
    fn read(node: &Node, names: &Names, cx: &mut Cx<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, "a step", cx)?;
        let name = fields.require::<String>("name", cx);
        if let (Some(name), Some(node)) = (&name, fields.node("name")) {
            check_name(name, node, cx);
        }
        let call = fields.required_node("call", cx).and_then(|node| read_call(node, cx));
        let each = fields.node("each");
        let with = fields.node("with");
        let when = fields.node("when");
        let otherwise = fields.node("otherwise");
        let expression = |node: Option<&Node>, cx: &mut Cx<'_>| {
            node.map(|node| read_expression(node, names, false, cx))
        };
        let formula = |node: Option<&Node>, of_each, cx: &mut Cx<'_>| {
            node.map(|node| Formula::read(node, names, of_each, cx))
        };
        if let Some(node) = with
            && !matches!(&node.value, Value::Mapping(_) | Value::String(_))
        {
            cx.wrong_kind(node, "a mapping from arguments to values, or an expression");
        }
        let with = formula(with, each.is_some(), cx);
        let each = expression(each, cx);
        if let (Some(node), None) = (otherwise, when) {
            let message = "the step always runs, so `otherwise` is never its value";
            let problem = cx.problem(Code::WithoutEffect, &node.range, message);
            cx.report(problem.hint("leave it out, or say `when` the step runs"));
        }
        let when = expression(when, cx);
        let otherwise = formula(otherwise, false, cx);
        let on_error = fields.get("on_error", cx).unwrap_or_default();
        fields.finish(cx);
        let (server, tool) = call?;
        Some(Self {
            name: name?,
            server,
            tool,
            with: whole(with)?,
            when: whole(when)?,
            otherwise: whole(otherwise)?,
            each: whole(each)?,
            on_error,
        })
    }
}

/// What is written and cannot be read must not become what is not written.
#[expect(clippy::option_option, reason = "not written, and written but wrong, differ")]
fn whole<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        Some(Some(value)) => Some(Some(value)),
        Some(None) => None,
        None => Some(None),
    }
}

fn check_name(name: &str, node: &Node, cx: &mut Cx<'_>) {
    let follows = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let begins = name.starts_with(|it: char| it.is_ascii_alphabetic() || it == '_');
    if !begins || name.len() > 64 || !name.bytes().all(follows) {
        let message = format!("`{name}` is not a name of a step");
        let problem = cx.problem(Code::InvalidName, &node.range, message);
        cx.report(problem.hint("a letter or `_`, then up to 63 letters, digits and `_`"));
    } else if RESERVED.contains(&name) {
        let message = format!("`{name}` means something else in expressions");
        cx.report(cx.problem(Code::InvalidName, &node.range, message).hint("choose another name"));
    }
}

/// `SERVER/TOOL`. A server has no `/` in its name, a tool may.
fn read_call(node: &Node, cx: &mut Cx<'_>) -> Option<(ServerName, String)> {
    let text = String::read(node, cx)?;
    let parts = text.split_once('/').filter(|(_, tool)| !tool.is_empty());
    let Some((server, tool)) = parts else {
        let message = format!("`{text}` names no tool of a server");
        let problem = cx.problem(Code::InvalidValue, &node.range, message);
        cx.report(problem.hint("write `SERVER/TOOL`, with the server's own name of the tool"));
        return None;
    };
    let server = ServerName::read(&Node::string(node.range.clone(), server), cx)?;
    Some((server, tool.to_owned()))
}
