//! What the operator changes about an operation, and what of it cannot be done.

use std::collections::HashSet;

use super::Value;
use super::argument::{Planned, annotate, clean, describe};
use super::media::MediaKind;
use super::name::title;
use super::options::{ArgumentChange, Change};
use crate::model::{Location, Operation};
use crate::report::{Finding, Report, Severity};
use crate::schema::Member;

/// The kind of findings about changes that cannot be.
pub const WITHOUT_EFFECT: &str = "change-without-effect";

/// Changes the arguments of an operation. What is hidden or fixed is so before names are given, and
/// names are given at once: two arguments may change theirs.
pub(super) fn apply(
    operation: &Operation,
    arguments: &mut [Planned],
    change: &Change,
    report: &mut Report,
) {
    replaced(arguments, change);
    let mut named: Vec<(usize, &str)> = Vec::new();
    for changed in &change.arguments {
        let is_meant = |planned: &Planned| planned.argument.name == changed.argument;
        let Some(at) = arguments.iter().position(is_meant) else {
            let names: Vec<&str> =
                arguments.iter().map(|planned| &*planned.argument.name).collect();
            let message = format!(
                "there is no argument `{}` that could be changed; there are: {}",
                changed.argument,
                names.join(", ")
            );
            warn(operation, report, message);
            continue;
        };
        settle(operation, &mut arguments[at], changed, report);
        named.extend(changed.name.as_deref().map(|name| (at, name)));
    }
    rename(operation, arguments, &named, report);
}

/// What the operator puts into every request has no argument beside it.
fn replaced(arguments: &mut [Planned], change: &Change) {
    for planned in arguments {
        let written = planned.written.as_str();
        let is_set = match planned.location {
            "query" => change.query.iter().any(|(name, _)| name == written),
            "header" => change.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(written)),
            _ => false,
        };
        if is_set {
            planned.argument.value = Value::Absent;
            planned.argument.is_required = false;
        }
    }
}

/// What clients read about an argument, and where its value comes from.
fn settle(
    operation: &Operation,
    planned: &mut Planned,
    change: &ArgumentChange,
    report: &mut Report,
) {
    if let Some(text) = &change.description {
        describe(&mut planned.schema, Some(text));
    }
    let argument = &mut planned.argument;
    match (&change.fixed, &change.default) {
        (Some(value), _) => argument.value = Value::Fixed(value.clone()),
        (None, Some(value)) if change.is_hidden => argument.value = Value::Fixed(value.clone()),
        (None, Some(value)) => {
            argument.value = Value::Default(value.clone());
            argument.is_required = false;
            annotate(&mut planned.schema, "default", Member::Json(value.as_str().into()));
        }
        (None, None) if change.is_hidden => {
            if argument.is_required || planned.location == "path" {
                let message = format!(
                    "`{}` is hidden although the API demands it: give it a fixed value",
                    change.argument
                );
                warn(operation, report, message);
            }
            argument.value = Value::Absent;
        }
        (None, None) => {}
    }
}

/// Gives arguments the names that the operator wants, where hosts take them and no other argument
/// that clients see has them.
fn rename(
    operation: &Operation,
    arguments: &mut [Planned],
    named: &[(usize, &str)],
    report: &mut Report,
) {
    let is_renamed = |at: usize| named.iter().any(|(other, _)| *other == at);
    let others = arguments.iter().enumerate();
    let others = others.filter(|(at, planned)| planned.is_visible() && !is_renamed(*at));
    let mut taken: HashSet<String> =
        others.map(|(_, planned)| planned.argument.name.clone()).collect();
    let mut given = Vec::new();
    for &(at, name) in named {
        let problem = if clean(name) != name {
            "hosts take other names only"
        } else if !taken.insert(name.to_owned()) {
            "another argument is"
        } else {
            given.push((at, name));
            continue;
        };
        let old = &arguments[at].argument.name;
        taken.insert(old.clone());
        warn(operation, report, format!("`{old}` cannot be called `{name}`: {problem}"));
    }
    for (at, name) in given {
        name.clone_into(&mut arguments[at].argument.name);
    }
    // Nobody gives what is hidden, so it makes way.
    let hidden = arguments.iter_mut().enumerate().filter(|(_, planned)| !planned.is_visible());
    for (at, planned) in hidden {
        let name = &mut planned.argument.name;
        if taken.contains(name) {
            *name = format!("{name} (hidden {at})");
        }
    }
}

/// Says what of a change has no effect on the operation.
pub(super) fn check(operation: &Operation, change: &Change, report: &mut Report) {
    if let Some(wanted) = &change.media_type {
        let media = operation.body.as_ref().map(|body| body.media.as_slice()).unwrap_or_default();
        if MediaKind::named(media, wanted).is_none() {
            let types: Vec<String> =
                media.iter().map(|media| format!("`{}`", media.media_type)).collect();
            let there_is = if types.is_empty() {
                "it has no body".to_owned()
            } else {
                format!("its body may be {}", types.join(", "))
            };
            warn(operation, report, format!("the body cannot be `{wanted}`: {there_is}"));
        }
    }
    let Some(path) = &change.path else { return };
    let written = variables(path);
    let parameters = operation.parameters.iter().filter(|it| it.location == Location::Path);
    let known: Vec<&str> = parameters.map(|it| it.name.as_str()).collect();
    for name in written.iter().filter(|name| !known.contains(name)) {
        let message = format!(
            "`{{{name}}}` in the path `{path}` is no argument; there are: {}",
            if known.is_empty() { "none".to_owned() } else { known.join(", ") }
        );
        warn(operation, report, message);
    }
    for name in known.iter().filter(|name| !written.contains(name)) {
        let message = format!("the path `{path}` has no `{{{name}}}`: that argument is not sent");
        warn(operation, report, message);
    }
}

/// Names in braces.
fn variables(path: &str) -> Vec<&str> {
    path.split('{').skip(1).filter_map(|part| Some(part.split_once('}')?.0)).collect()
}

fn warn(operation: &Operation, report: &mut Report, message: String) {
    report.add(Finding {
        severity: Severity::Warning,
        kind: WITHOUT_EFFECT,
        operation: Some(title(operation)),
        message,
        place: operation.place.clone(),
    });
}
