//! What all tools have in common that users declare: names, arguments, schemas.

use super::api::{JsonText, is_tool_name};
use crate::{
    diagnostic::Code,
    tree::{Node, Value},
    walk::{Cx, Read},
};

/// Most tools of one server.
const TOOLS_MAX: usize = 1000;
/// Most arguments of a tool.
const ARGUMENTS_MAX: usize = 200;

/// Reads tools by their names, in their order.
pub(super) fn read_tools<T: Read>(node: &Node, cx: &mut Cx<'_>) -> Vec<(String, T)> {
    let what = "a mapping from names to tools";
    read_named(node, what, TOOLS_MAX, cx, |name| {
        (!is_tool_name(name)).then(|| {
            let message = format!("`{name}` is not a name of a tool");
            (message, "hosts take 1 to 60 letters, digits, `_` and `-`")
        })
    })
}

/// Reads arguments by their names, in their order. `hint` is what names may be.
pub(super) fn read_arguments<T: Read>(
    node: &Node,
    hint: &'static str,
    cx: &mut Cx<'_>,
) -> Vec<(String, T)> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    read_named(node, "a mapping from names to arguments", ARGUMENTS_MAX, cx, |name| {
        let is_fine = (1..=64).contains(&name.len()) && name.bytes().all(fits);
        (!is_fine).then(|| (format!("`{name}` is not a name of an argument"), hint))
    })
}

fn read_named<T: Read>(
    node: &Node,
    what: &str,
    most: usize,
    cx: &mut Cx<'_>,
    problem: impl Fn(&str) -> Option<(String, &'static str)>,
) -> Vec<(String, T)> {
    let Value::Mapping(entries) = &node.value else {
        cx.wrong_kind(node, what);
        return Vec::new();
    };
    if entries.len() > most {
        let message = format!("this has more than {most} entries");
        cx.report(cx.problem(Code::OutOfRange, &node.range, message));
        return Vec::new();
    }
    let mut named = Vec::with_capacity(entries.len());
    for entry in entries {
        if let Some((message, hint)) = problem(&entry.key) {
            cx.report(cx.problem(Code::InvalidName, &entry.key_range, message).hint(hint));
        }
        if let Some(value) = T::read(&entry.node, cx) {
            named.push((entry.key.clone(), value));
        }
    }
    named
}

/// A JSON Schema is a mapping, or says yes or no to everything.
pub(super) fn read_schema(node: &Node, cx: &mut Cx<'_>) -> Option<JsonText> {
    if !matches!(node.value, Value::Mapping(_) | Value::Bool(_)) {
        cx.wrong_kind(node, "a JSON Schema");
        return None;
    }
    let text = JsonText::read(node, cx)?;
    if let Err(unusable) = policy::Schema::compile(text.as_str().as_bytes()) {
        let message = format!("this is no JSON Schema (2020-12): {unusable}");
        cx.report(cx.problem(Code::InvalidValue, &node.range, message));
        return None;
    }
    Some(text)
}

/// What the values of an argument are is said once.
pub(super) fn check_kind(kind: Option<&Node>, schema: Option<&Node>, cx: &mut Cx<'_>) {
    if let (Some(kind), Some(_)) = (kind, schema) {
        let message = "`schema` says what the values are, and so does `type`";
        cx.report(cx.problem(Code::Conflict, &kind.range, message).hint("keep one"));
    }
}
