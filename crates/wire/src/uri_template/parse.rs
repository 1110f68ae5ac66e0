//! From the text of a template to its parts.

use super::{
    BadTemplate, Expression, Modifier, Operator, Part, TEMPLATE_BYTES_MAX, VARIABLES_MAX, Variable,
};

/// Longest prefix that a modifier may ask for (RFC 6570, section 2.4.1).
const PREFIX_MAX: usize = 9999;

pub(super) fn parts(text: &str) -> Result<Vec<Part>, BadTemplate> {
    let refuse = |reason, offset| Err(BadTemplate { reason, offset });
    if text.len() > TEMPLATE_BYTES_MAX {
        return refuse("the text is longer than 4096 bytes", TEMPLATE_BYTES_MAX);
    }
    let mut parts = Vec::new();
    let mut count = 0;
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let end = rest.find(['{', '}']).unwrap_or(rest.len());
        let literal = &rest[..end];
        if let Some(control) = literal.find(char::is_control) {
            return refuse("control character", at + control);
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal.into()));
        }
        at += end;
        let Some(inner) = text[at..].strip_prefix('{') else {
            if at < text.len() {
                return refuse("`}` without `{`", at);
            }
            break;
        };
        let Some(close) = inner.find('}') else { return refuse("`{` without `}`", at) };
        let expression = expression(&inner[..close], at + 1)?;
        count += expression.variables.len();
        if count > VARIABLES_MAX {
            return refuse("more than 32 variables", at);
        }
        parts.push(Part::Expression(expression));
        at += close + 2;
    }
    Ok(parts)
}

fn expression(inner: &str, offset: usize) -> Result<Expression, BadTemplate> {
    let operator = match inner.bytes().next() {
        Some(b'+') => Operator::Reserved,
        Some(b'#') => Operator::Fragment,
        Some(b'.') => Operator::Label,
        Some(b'/') => Operator::Path,
        Some(b';') => Operator::Parameter,
        Some(b'?') => Operator::Query,
        Some(b'&') => Operator::Continuation,
        Some(b'=' | b',' | b'!' | b'@' | b'|') => {
            return Err(BadTemplate { reason: "operator reserved for extensions", offset });
        }
        _ => Operator::Simple,
    };
    let list = if operator == Operator::Simple { inner } else { &inner[1..] };
    let mut offset = offset + inner.len() - list.len();
    let mut variables = Vec::new();
    for text in list.split(',') {
        variables.push(variable(text, offset)?);
        offset += text.len() + 1;
    }
    Ok(Expression { operator, variables })
}

fn variable(text: &str, offset: usize) -> Result<Variable, BadTemplate> {
    let refuse = |reason| Err(BadTemplate { reason, offset });
    let (name, modifier) = if let Some(name) = text.strip_suffix('*') {
        (name, Modifier::Explode)
    } else if let Some((name, digits)) = text.split_once(':') {
        let valid = !digits.starts_with('0') && digits.bytes().all(|digit| digit.is_ascii_digit());
        match digits.parse() {
            Ok(length) if valid && length <= PREFIX_MAX => (name, Modifier::Prefix(length)),
            _ => return refuse("a prefix must be a number from 1 to 9999"),
        }
    } else {
        (text, Modifier::None)
    };
    if !is_name(name) {
        return refuse("not the name of a variable");
    }
    Ok(Variable { name: name.into(), modifier })
}

/// Letters, digits, `_`, `-` and percent-encoded bytes, in groups with single dots between.
fn is_name(name: &str) -> bool {
    name.split('.').all(|group| {
        let bytes = group.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            at += match bytes[at] {
                b'%' if is_encoded(&bytes[at..]) => 3,
                byte if byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' => 1,
                _ => return false,
            };
        }
        !bytes.is_empty()
    })
}

/// Whether a percent-encoded byte comes next.
pub(super) fn is_encoded(bytes: &[u8]) -> bool {
    matches!(bytes, [b'%', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}
