//! Which operations become tools, and which change is meant for which.

use super::change::WITHOUT_EFFECT;
use super::name::title;
use super::options::{Change, Glob, Options, Selector};
use crate::model::Operation;
use crate::report::{Finding, Report, Severity};

/// Whether an operation becomes a tool of this name.
pub(super) fn is_selected(options: &Options, operation: &Operation, name: &str) -> bool {
    let fits = |selector: &Selector| fits(selector, operation, name);
    (options.include.is_empty() || options.include.iter().any(fits))
        && !options.exclude.iter().any(fits)
}

/// Says which selectors fit no operation at all: most likely something else is meant.
pub(super) fn check(
    options: &Options,
    operations: &[Operation],
    names: &[String],
    report: &mut Report,
) {
    let Some(first) = operations.first() else { return };
    for (key, selectors) in [("include", &options.include), ("exclude", &options.exclude)] {
        for selector in selectors {
            let mut all = operations.iter().zip(names);
            if all.any(|(operation, name)| fits(selector, operation, name)) {
                continue;
            }
            report.add(Finding {
                severity: Severity::Warning,
                kind: WITHOUT_EFFECT,
                operation: None,
                message: format!("`{key}` has {}, which fits no operation", told(selector)),
                place: first.place.clone(),
            });
        }
    }
}

/// A selector as somebody would write it.
fn told(selector: &Selector) -> String {
    let glob = |key, glob: &Option<Glob>| Some(format!("{key}: {}", glob.as_ref()?));
    let parts = [
        glob("name", &selector.name),
        glob("tag", &selector.tag),
        selector.method.as_ref().map(|method| format!("method: {method}")),
        glob("extension", &selector.extension),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    format!("`{{ {} }}`", parts.join(", "))
}

fn fits(selector: &Selector, operation: &Operation, name: &str) -> bool {
    let named = selector.name.as_ref().is_none_or(|glob| {
        let id = operation.id.as_deref();
        glob.matches(name)
            || id.is_some_and(|id| glob.matches(id))
            || glob.matches(&operation.path)
            || glob.matches(&title(operation))
    });
    let tagged =
        selector.tag.as_ref().is_none_or(|glob| operation.tags.iter().any(|tag| glob.matches(tag)));
    let method = selector.method.as_ref();
    let method = method.is_none_or(|method| operation.method.eq_ignore_ascii_case(method));
    let extended = selector
        .extension
        .as_ref()
        .is_none_or(|glob| operation.extensions.iter().any(|name| glob.matches(name)));
    named && tagged && method && extended
}

/// Whether a change is meant for an operation whose tool would have this name.
pub(super) fn is_meant(change: &Change, operation: &Operation, name: &str) -> bool {
    let wanted = change.operation.trim();
    if operation.id.as_deref() == Some(wanted) || name == wanted {
        return true;
    }
    wanted.split_once(char::is_whitespace).is_some_and(|(method, path)| {
        method.eq_ignore_ascii_case(&operation.method) && path.trim() == operation.path
    })
}
