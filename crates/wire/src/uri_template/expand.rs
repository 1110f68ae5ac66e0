//! From values to a URI (RFC 6570, section 3).

use super::parse::is_encoded;
use super::{Expression, Modifier, Operator, Part, Value, Variable, Variables};

pub(super) fn expand(parts: &[Part], variables: &Variables) -> String {
    let mut out = String::new();
    for part in parts {
        match part {
            Part::Literal(text) => encode(&mut out, text, true),
            Part::Expression(expression) => expand_expression(&mut out, expression, variables),
        }
    }
    out
}

fn expand_expression(out: &mut String, expression: &Expression, variables: &Variables) {
    let operator = expression.operator;
    let mut between = operator.first();
    for variable in &expression.variables {
        let Some(value) = variables.get(&*variable.name).filter(|value| value.is_defined()) else {
            continue;
        };
        out.push_str(between);
        between = operator.separator();
        if variable.modifier == Modifier::Explode {
            explode(out, operator, variable, value);
        } else {
            join(out, operator, variable, value);
        }
    }
}

/// The value as one: members with commas between.
fn join(out: &mut String, operator: Operator, variable: &Variable, value: &Value) {
    let keep = operator.keeps_reserved();
    if operator.is_named() {
        name(out, operator, &variable.name, value.is_empty());
    }
    match value {
        Value::Text(text) => match variable.modifier {
            Modifier::Prefix(length) => {
                let end = text.char_indices().nth(length).map_or(text.len(), |(at, _)| at);
                encode(out, &text[..end], keep);
            }
            Modifier::None | Modifier::Explode => encode(out, text, keep),
        },
        Value::List(members) => {
            let mut comma = "";
            for member in members {
                out.push_str(comma);
                comma = ",";
                encode(out, member, keep);
            }
        }
        Value::Pairs(pairs) => {
            let mut comma = "";
            for (key, member) in pairs {
                out.push_str(comma);
                comma = ",";
                encode(out, key, keep);
                out.push(',');
                encode(out, member, keep);
            }
        }
    }
}

/// Each member of the value on its own, as if it were a variable.
fn explode(out: &mut String, operator: Operator, variable: &Variable, value: &Value) {
    let keep = operator.keeps_reserved();
    let mut between = "";
    let one;
    let members = match value {
        Value::Pairs(pairs) => {
            for (key, member) in pairs {
                out.push_str(between);
                between = operator.separator();
                encode(out, key, keep);
                if !(operator == Operator::Parameter && member.is_empty()) {
                    out.push('=');
                }
                encode(out, member, keep);
            }
            return;
        }
        Value::List(members) => members.as_slice(),
        Value::Text(text) => {
            one = [text.clone()];
            &one
        }
    };
    for member in members {
        out.push_str(between);
        between = operator.separator();
        if operator.is_named() {
            name(out, operator, &variable.name, member.is_empty());
        }
        encode(out, member, keep);
    }
}

/// Writes `name=`; in path parameters, a name without a value has no `=`.
fn name(out: &mut String, operator: Operator, name: &str, is_empty: bool) {
    encode(out, name, true);
    if !(operator == Operator::Parameter && is_empty) {
        out.push('=');
    }
}

/// Appends `text` with everything encoded that may not stand there.
fn encode(out: &mut String, text: &str, keep_reserved: bool) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let bytes = text.as_bytes();
    for (at, &byte) in bytes.iter().enumerate() {
        let stays =
            is_unreserved(byte) || keep_reserved && (is_reserved(byte) || is_encoded(&bytes[at..]));
        if stays {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

/// The literal as it stands in expansions.
pub(super) fn encode_literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    encode(&mut out, text, true);
    out
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn is_reserved(byte: u8) -> bool {
    b":/?#[]@!$&'()*+,;=".contains(&byte)
}

impl Value {
    /// Lists without members are undefined; an empty text is a value.
    fn is_defined(&self) -> bool {
        match self {
            Self::Text(_) => true,
            Self::List(members) => !members.is_empty(),
            Self::Pairs(pairs) => !pairs.is_empty(),
        }
    }

    fn is_empty(&self) -> bool {
        matches!(self, Self::Text(text) if text.is_empty())
    }
}
