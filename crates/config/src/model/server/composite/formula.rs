//! Values with expressions in them.

use std::borrow::Cow;

use policy::Expression;
use policy::expression::Mistake;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::step::Names;
use crate::{
    diagnostic::Code,
    model::server::api::JsonText,
    tree::{Node, Value},
    walk::{Cx, Read as _, nearest},
};

/// A value with expressions in it: every text that begins with `=` is one, and `==` begins a text
/// that begins with `=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Formula {
    /// A value without any.
    Fixed(JsonText),
    /// What an expression gives.
    Computed(Expression),
    /// A list of such values.
    List(Vec<Formula>),
    /// An object of such values, in the order in which they are written.
    Object(Vec<(String, Formula)>),
}

impl Formula {
    /// Reads a value whose expressions may use `names`, and those of one element of a list where
    /// `of_each` is set.
    pub(super) fn read(node: &Node, names: &Names, of_each: bool, cx: &mut Cx<'_>) -> Option<Self> {
        match &node.value {
            Value::String(text) => match text.strip_prefix('=') {
                Some(literal) if literal.starts_with('=') => {
                    let literal = Node::string(node.range.clone(), literal);
                    JsonText::read(&literal, cx).map(Self::Fixed)
                }
                Some(expression) => {
                    compile(expression, node, names, of_each, cx).map(Self::Computed)
                }
                None => JsonText::read(node, cx).map(Self::Fixed),
            },
            Value::Sequence(items) if is_formula(node) => {
                let items: Vec<_> =
                    items.iter().map(|item| Self::read(item, names, of_each, cx)).collect();
                items.into_iter().collect::<Option<Vec<_>>>().map(Self::List)
            }
            Value::Mapping(entries) if is_formula(node) => {
                let read = |entry: &crate::tree::Entry, cx: &mut Cx<'_>| {
                    let value = Self::read(&entry.node, names, of_each, cx)?;
                    Some((entry.key.clone(), value))
                };
                let members: Vec<_> = entries.iter().map(|entry| read(entry, cx)).collect();
                members.into_iter().collect::<Option<Vec<_>>>().map(Self::Object)
            }
            _ => JsonText::read(node, cx).map(Self::Fixed),
        }
    }
}

/// Whether a text in it begins with `=`.
fn is_formula(node: &Node) -> bool {
    match &node.value {
        Value::String(text) => text.starts_with('='),
        Value::Sequence(items) => items.iter().any(is_formula),
        Value::Mapping(entries) => entries.iter().any(|entry| is_formula(&entry.node)),
        _ => false,
    }
}

/// Compiles an expression that is all of a text, with or without `=`.
pub(super) fn read_expression(
    node: &Node,
    names: &Names,
    of_each: bool,
    cx: &mut Cx<'_>,
) -> Option<Expression> {
    let text = match &node.value {
        // A condition that is always the same.
        Value::Bool(value) => value.to_string(),
        _ => String::read(node, cx)?,
    };
    compile(text.strip_prefix('=').unwrap_or(&text), node, names, of_each, cx)
}

/// Compiles an expression, and reports every mistake in it at its place.
fn compile(
    text: &str,
    node: &Node,
    names: &Names,
    of_each: bool,
    cx: &mut Cx<'_>,
) -> Option<Expression> {
    let mistakes = match Expression::compile(text, &names.known(of_each)) {
        Ok(expression) => match unknown_arguments(&expression, names) {
            unknown if unknown.is_empty() => return Some(expression),
            unknown => unknown,
        },
        Err(mistakes) => mistakes,
    };
    // Where escapes hide the text, the whole scalar is the place.
    let whole = cx.source.find(&node.range, text);
    for mistake in mistakes {
        let range = whole.as_ref().map_or_else(
            || node.range.clone(),
            |whole| whole.start + mistake.range.start..whole.start + mistake.range.end,
        );
        let unknown = mistake.unknown.as_deref();
        let (message, hint) = match unknown.and_then(|name| names.why_not(name, of_each)) {
            Some((message, hint)) => (message, Some(hint)),
            None => (mistake.message, mistake.hint),
        };
        let mut problem = cx.problem(Code::InvalidValue, &range, message);
        problem.hint = hint;
        cx.report(problem);
    }
    None
}

/// The arguments that it names and that nobody can give.
fn unknown_arguments(expression: &Expression, names: &Names) -> Vec<Mistake> {
    let Some(arguments) = &names.arguments else { return Vec::new() };
    let unknown = expression.members_of("args").filter(|(name, _)| {
        // The names of some arguments are no names in expressions: `args['a.b']`.
        !arguments.iter().any(|argument| argument == name)
    });
    let mistake = |(name, range): (&str, std::ops::Range<usize>)| Mistake {
        message: format!("the tool has no argument `{name}`"),
        hint: nearest(name, arguments.iter().map(String::as_str))
            .map(|near| format!("did you mean `{near}`?")),
        unknown: None,
        range,
    };
    unknown.map(mistake).collect()
}

impl JsonSchema for Formula {
    fn schema_name() -> Cow<'static, str> {
        "Formula".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Any value. Texts in it that begin with `=` are expressions (CEL); `==` \
                            begins a text that begins with `=`."
        })
    }
}
