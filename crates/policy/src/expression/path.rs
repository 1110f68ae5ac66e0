//! Expressions that only name a part of a value: it is found in the text, and stays as it is there.

use cel::IdedExpr;
use cel::common::ast::{Expr, LiteralValue, operators};
use wire::Json;

use super::{Failure, Scope};

/// A name, and the way from its value to a part of it.
#[derive(Debug)]
pub(super) struct Path {
    name: String,
    steps: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    Member(String),
    /// A member that may not be there.
    Optional(String),
    Element(i64),
}

impl Path {
    /// The path that an expression is, if it is one.
    pub(super) fn of(expression: &IdedExpr) -> Option<Self> {
        let mut steps = Vec::new();
        let mut at = expression;
        loop {
            match &at.expr {
                Expr::Ident(name) => {
                    steps.reverse();
                    return Some(Self { name: name.clone(), steps });
                }
                Expr::Select(select) if !select.test => {
                    steps.push(Step::Member(select.field.clone()));
                    at = &select.operand;
                }
                Expr::Call(call) if call.func_name == operators::OPT_SELECT => {
                    let [of, member] = call.args.as_slice() else { return None };
                    let Expr::Literal(LiteralValue::String(key)) = &member.expr else {
                        return None;
                    };
                    steps.push(Step::Optional(key.inner().to_owned()));
                    at = of;
                }
                Expr::Call(call) if call.func_name == operators::INDEX => {
                    let [of, index] = call.args.as_slice() else { return None };
                    steps.push(match &index.expr {
                        Expr::Literal(LiteralValue::String(key)) => {
                            Step::Member(key.inner().to_owned())
                        }
                        Expr::Literal(LiteralValue::Int(place)) => Step::Element(*place.inner()),
                        _ => return None,
                    });
                    at = of;
                }
                _ => return None,
            }
        }
    }

    /// The part that it leads to; `None` where one on the way may be missing, and is.
    pub(super) fn follow(&self, scope: &Scope) -> Result<Option<Json>, Failure> {
        let mut so_far = self.name.clone();
        let mut value = scope
            .get(&self.name)
            .cloned()
            .ok_or_else(|| Failure(format!("`{}` has no value", self.name)))?;
        for step in &self.steps {
            let part = match step {
                Step::Member(key) => value.object().and_then(|object| object.get(key)),
                Step::Optional(key) => match value.object().map(|object| object.get(key)) {
                    Some(None) => return Ok(None),
                    part => part.flatten(),
                },
                Step::Element(place) => value
                    .elements()
                    .and_then(|elements| elements.get(usize::try_from(*place).ok()?).cloned()),
            };
            let Some(part) = part else { return Err(missing(&so_far, &value, step)) };
            value = part;
            match step {
                Step::Member(key) | Step::Optional(key) => {
                    so_far.push('.');
                    so_far.push_str(key);
                }
                Step::Element(place) => so_far = format!("{so_far}[{place}]"),
            }
        }
        Ok(Some(value))
    }
}

fn missing(so_far: &str, value: &Json, step: &Step) -> Failure {
    let is = match value.as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b'"') => "a text",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    };
    Failure(match (step, value.elements()) {
        (Step::Element(place), Some(elements)) => {
            format!("`{so_far}` has {} elements, and none at [{place}]", elements.len())
        }
        (Step::Element(_), None) => format!("`{so_far}` is {is}, not a list"),
        (Step::Member(key) | Step::Optional(key), _) if is == "an object" => {
            format!("`{so_far}` has no member `{key}`")
        }
        (Step::Member(key) | Step::Optional(key), _) => {
            format!("`{so_far}` is {is}, not an object, so it has no member `{key}`")
        }
    })
}
