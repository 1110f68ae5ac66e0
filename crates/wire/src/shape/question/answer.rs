//! Whether an answer fits its question, said so that whoever wrote the answer can correct it.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::asks_for_url;
use crate::json::{Json, Kind, Object};
use crate::method::name;

/// Longest name of a member that an error repeats, in characters.
const SHOWN_MAX: usize = 64;

/// Checks a bare result against the question that it answers. Fails with what is wrong and where,
/// such as `content.age must be an integer`; values are never repeated. Answers to methods that ask
/// nothing known only have to be objects.
pub fn check_answer(method: &str, params: &Object, answer: &Json) -> Result<(), String> {
    let answer = answer.object().ok_or("the answer must be an object")?;
    match method {
        name::ELICIT => check_elicited(params, &answer),
        name::CREATE_MESSAGE => check_sampled(&answer),
        name::ROOTS_LIST => check_roots(&answer),
        _ => Ok(()),
    }
}

fn check_elicited(params: &Object, answer: &Object) -> Result<(), String> {
    match answer.text("action").as_deref() {
        Some("accept") if asks_for_url(params) => return Ok(()),
        Some("accept") => {}
        Some("decline" | "cancel") => return Ok(()),
        _ => return Err("action must be accept, decline or cancel".to_owned()),
    }
    let content = match answer.get("content") {
        Some(content) => content.object().ok_or("content must be an object")?,
        None => Object::empty(),
    };
    let schema = params.object("requestedSchema").unwrap_or_else(Object::empty);
    let properties = schema.object("properties").unwrap_or_else(Object::empty);
    let properties: HashMap<_, _> = properties.members().collect();
    let mut answered = HashSet::new();
    for (key, value) in content.members() {
        let property = properties.get(&key).and_then(Json::object);
        check_field(property.as_ref(), &value)
            .map_err(|fault| format!("content.{} {fault}", shown(&key)))?;
        answered.insert(key);
    }
    let required = schema.get("required").and_then(|required| required.elements());
    for key in required.iter().flatten().filter_map(Json::text) {
        if !answered.contains(&key) {
            return Err(format!("content.{} is missing", shown(&key)));
        }
    }
    Ok(())
}

/// Checks one field of a form; what was not asked for may be anything that a form can hold.
fn check_field(property: Option<&Object>, value: &Json) -> Result<(), Cow<'static, str>> {
    let empty = Object::empty();
    let property = property.unwrap_or(&empty);
    match (property.text("type").as_deref(), value.kind()) {
        (Some("string"), Kind::String) => check_string(property, value),
        (Some("string"), _) => Err("must be a string".into()),
        (Some("integer"), Kind::Number) if is_integer(value) => check_number(property, value),
        (Some("integer"), _) => Err("must be an integer".into()),
        (Some("number"), Kind::Number) => check_number(property, value),
        (Some("number"), _) => Err("must be a number".into()),
        (Some("boolean"), Kind::Bool) => Ok(()),
        (Some("boolean"), _) => Err("must be true or false".into()),
        (Some("array"), Kind::Array) => check_selection(property, value),
        (Some("array"), _) => Err("must be an array of strings".into()),
        (_, Kind::String | Kind::Number | Kind::Bool) => check_choice(property, value),
        (_, Kind::Array) if is_strings(value) => Ok(()),
        _ => Err("must be a string, a number, true or false, or an array of strings".into()),
    }
}

fn check_string(property: &Object, value: &Json) -> Result<(), Cow<'static, str>> {
    let length = value.text().map_or(0, |text| text.chars().count());
    check_count(property, ["minLength", "maxLength"], length, "characters")?;
    check_choice(property, value)
}

fn check_number(property: &Object, value: &Json) -> Result<(), Cow<'static, str>> {
    let bound = |key| property.get(key).and_then(|bound| as_f64(&bound).map(|f| (f, bound)));
    let Some(number) = as_f64(value) else { return Ok(()) };
    if let Some((_, text)) = bound("minimum").filter(|(least, _)| number < *least) {
        return Err(format!("must be at least {}", text.as_str()).into());
    }
    if let Some((_, text)) = bound("maximum").filter(|(most, _)| number > *most) {
        return Err(format!("must be at most {}", text.as_str()).into());
    }
    check_choice(property, value)
}

fn check_choice(property: &Object, value: &Json) -> Result<(), Cow<'static, str>> {
    let Some(choices) = choices(property, "oneOf") else { return Ok(()) };
    if choices.iter().any(|choice| is_same(choice, value)) {
        return Ok(());
    }
    Err("must be one of the choices".into())
}

fn check_selection(property: &Object, value: &Json) -> Result<(), Cow<'static, str>> {
    if !is_strings(value) {
        return Err("must be an array of strings".into());
    }
    let selected = value.elements().unwrap_or_default();
    check_count(property, ["minItems", "maxItems"], selected.len(), "values")?;
    let items = property.object("items").unwrap_or_else(Object::empty);
    let Some(choices) = choices(&items, "anyOf").or_else(|| choices(&items, "oneOf")) else {
        return Ok(());
    };
    let choices: HashSet<_> = choices.iter().filter_map(Json::text).collect();
    if selected.iter().filter_map(Json::text).all(|text| choices.contains(&text)) {
        return Ok(());
    }
    Err("must only have values among the choices".into())
}

fn check_count(
    property: &Object,
    [least, most]: [&str; 2],
    count: usize,
    of: &str,
) -> Result<(), Cow<'static, str>> {
    let bound = |key| property.get(key)?.as_u64();
    let count = count as u64;
    match (bound(least), bound(most)) {
        (Some(least), _) if count < least => Err(format!("must have at least {least} {of}").into()),
        (_, Some(most)) if count > most => Err(format!("must have at most {most} {of}").into()),
        _ => Ok(()),
    }
}

/// The values to choose from: `enum`, or the `const` of each element of `named`.
fn choices(property: &Object, named: &str) -> Option<Vec<Json>> {
    if let Some(values) = property.get("enum") {
        return values.elements();
    }
    let choices = property.get(named)?.elements()?;
    Some(choices.iter().filter_map(|choice| choice.object()?.get("const")).collect())
}

fn check_sampled(answer: &Object) -> Result<(), String> {
    if !matches!(answer.text("role").as_deref(), Some("assistant" | "user")) {
        return Err("role must be assistant or user".to_owned());
    }
    if answer.text("model").is_none() {
        return Err("model must be a string".to_owned());
    }
    let content = answer.get("content").ok_or("content is missing")?;
    let is_block = |block: &Json| block.object().is_some_and(|block| block.text("type").is_some());
    match content.elements() {
        None if is_block(&content) => Ok(()),
        None => Err("content must be an object with a type, or an array of such".to_owned()),
        Some(blocks) => match blocks.iter().position(|block| !is_block(block)) {
            None => Ok(()),
            Some(at) => Err(format!("content[{at}] must be an object with a type")),
        },
    }
}

fn check_roots(answer: &Object) -> Result<(), String> {
    let roots = answer.get("roots").and_then(|roots| roots.elements());
    let roots = roots.ok_or("roots must be an array")?;
    let is_root = |root: &Json| root.object().is_some_and(|root| root.text("uri").is_some());
    match roots.iter().position(|root| !is_root(root)) {
        None => Ok(()),
        Some(at) => Err(format!("roots[{at}] must be an object whose uri is a string")),
    }
}

fn is_strings(value: &Json) -> bool {
    value
        .elements()
        .is_some_and(|elements| elements.iter().all(|element| element.kind() == Kind::String))
}

/// Equal as far as the values of forms can be: strings by what they mean, others by how they are
/// written.
fn is_same(one: &Json, other: &Json) -> bool {
    one.kind() == other.kind()
        && (one.as_bytes() == other.as_bytes()
            || one.text().is_some() && one.text() == other.text())
}

fn as_f64(value: &Json) -> Option<f64> {
    (value.kind() == Kind::Number).then(|| value.as_str().parse().ok()).flatten()
}

/// Whether a number has no fraction; `1.0` and `1e3` have none.
fn is_integer(value: &Json) -> bool {
    let text = value.as_str();
    !text.contains(['.', 'e', 'E']) || as_f64(value).is_some_and(|number| number.fract() == 0.0)
}

/// A member's name for an error: short, and without control characters.
fn shown(key: &str) -> String {
    let mut shown: String =
        key.chars().take(SHOWN_MAX).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if key.chars().nth(SHOWN_MAX).is_some() {
        shown.push('…');
    }
    shown
}
