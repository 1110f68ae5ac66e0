//! Overlays (Overlay Specification 1.0 and 1.1): changes to a document that is somebody else's.

use std::collections::{HashMap, HashSet};

use super::Overlay;
use super::path::Path;
use crate::report::{Finding, Place, Report, Severity};
use crate::tree::edit::TooLarge;
use crate::tree::{Kind, Limits, NodeId, Tree, Value};

/// Applies an overlay to `tree`. What of it cannot be applied is a finding.
pub(super) fn apply(
    tree: &mut Tree,
    document: &str,
    overlay: &Overlay<'_>,
    limits: &Limits,
    report: &mut Report,
) {
    let mut remarks = Remarks { name: overlay.name, report };
    let changes = match Tree::parse(overlay.text, limits) {
        Ok(changes) => changes,
        Err(error) => {
            let message = format!("the overlay is not applied: {error}");
            let place = (error.line, error.column);
            remarks.add(Severity::Error, "overlay-unreadable", place, message);
            return;
        }
    };
    let root = changes.root();
    let version = root.get("overlay").and_then(Value::scalar).unwrap_or_default();
    if !version.starts_with("1.") && version != "1" {
        let message = format!("`overlay: {version}` is read as version 1.1.0");
        remarks.add(Severity::Warning, "overlay-version", root.position(), message);
    }
    let Some(actions) = root.get("actions").filter(|actions| actions.kind() == Kind::Array) else {
        let message = "the overlay has no list of `actions`";
        remarks.add(Severity::Error, "overlay-unreadable", root.position(), message);
        return;
    };
    let changed = tree.tidied(limits).and_then(|mut copy| {
        let shift = copy.adopt(&changes, overlay.name);
        for action in actions.elements() {
            act(&mut copy, action, shift, limits, &mut remarks)?;
        }
        copy.tidied(limits)
    });
    if let Ok(changed) = changed {
        *tree = changed;
    } else {
        let message = format!("the overlay is not applied: {document} would become too large");
        remarks.add(Severity::Error, "overlay-too-large", root.position(), message);
    }
}

struct Remarks<'a> {
    name: &'a str,
    report: &'a mut Report,
}

impl Remarks<'_> {
    fn add(
        &mut self,
        severity: Severity,
        kind: &'static str,
        (line, column): (u32, u32),
        message: impl Into<String>,
    ) {
        let place = Place { document: self.name.to_owned(), line, column };
        let message = message.into();
        self.report.add(Finding { severity, kind, operation: None, message, place });
    }
}

fn act(
    tree: &mut Tree,
    action: Value<'_>,
    shift: u32,
    limits: &Limits,
    remarks: &mut Remarks<'_>,
) -> Result<(), TooLarge> {
    let Some(target) = action.text("target") else {
        let message = "an action needs a `target`, a JSONPath such as `$.paths.*.get`";
        remarks.add(Severity::Error, "overlay-bad-action", action.position(), message);
        return Ok(());
    };
    let place = action.get("target").unwrap_or(action).position();
    let found = Path::parse(target).and_then(|path| path.find(tree));
    let found = match found {
        Ok(found) => found,
        Err(problem) => {
            let message = format!("`{target}` is not applied: {problem}");
            remarks.add(Severity::Error, "overlay-bad-target", place, message);
            return Ok(());
        }
    };
    if found.is_empty() {
        let message = format!("`{target}` matches nothing");
        remarks.add(Severity::Warning, "overlay-no-match", place, message);
        return Ok(());
    }
    if action.flag("remove") == Some(true) {
        let mut by_parent: HashMap<NodeId, HashSet<NodeId>> = HashMap::new();
        for hit in found {
            let Some(parent) = hit.parent else {
                let message = "the document itself cannot be removed";
                remarks.add(Severity::Error, "overlay-bad-action", place, message);
                continue;
            };
            by_parent.entry(parent).or_default().insert(hit.node);
        }
        for (parent, removed) in by_parent {
            tree.remove(parent, &removed);
        }
        return crowded(tree, limits);
    }
    let copied;
    let (update, shift) = match (action.get("update"), action.text("copy")) {
        (Some(update), None) => (update, shift),
        (None, Some(from)) => {
            let Some(source) = source(tree, action, from, limits, remarks)? else { return Ok(()) };
            copied = source;
            // The copy has its texts where the document has them.
            (copied.root(), 0)
        }
        (None, None) => {
            let message = "an action needs `update`, `copy`, or `remove: true`";
            remarks.add(Severity::Error, "overlay-bad-action", action.position(), message);
            return Ok(());
        }
        (Some(_), Some(_)) => {
            let message = "an action has `update` or `copy`, not both";
            remarks.add(Severity::Error, "overlay-bad-action", action.position(), message);
            return Ok(());
        }
    };
    for hit in found {
        if tree.value(hit.node).kind() == Kind::Object && update.kind() != Kind::Object {
            let message = format!("`{target}` is an object, so what is merged into it must be one");
            remarks.add(Severity::Error, "overlay-bad-action", place, message);
            break;
        }
        tree.merge(hit.node, update, shift, limits)?;
    }
    crowded(tree, limits)
}

/// A copy of the value to which `copy` leads; none if there is not exactly one.
fn source(
    tree: &Tree,
    action: Value<'_>,
    from: &str,
    limits: &Limits,
    remarks: &mut Remarks<'_>,
) -> Result<Option<Tree>, TooLarge> {
    let problem = match Path::parse(from).and_then(|path| path.find(tree)) {
        Ok(found) => match found[..] {
            [one] => return tree.copied(tree.value(one.node), limits).map(Some),
            [] => "it matches nothing".to_owned(),
            _ => format!("it must match one value, and matches {}", found.len()),
        },
        Err(problem) => problem.to_string(),
    };
    let place = action.get("copy").unwrap_or(action).position();
    let message = format!("`{from}` is not copied: {problem}");
    remarks.add(Severity::Error, "overlay-bad-copy", place, message);
    Ok(None)
}

/// Drops what former actions left behind when it is much.
fn crowded(tree: &mut Tree, limits: &Limits) -> Result<(), TooLarge> {
    if tree.children.len() > 2 * tree.nodes.len() + 10_000 {
        *tree = tree.tidied(limits)?;
    }
    Ok(())
}
