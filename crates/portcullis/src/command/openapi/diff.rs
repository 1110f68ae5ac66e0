//! `portcullis openapi diff`: what clients notice when one document takes the place of another.

use openapi::api::{Change, Difference, Named};
use serde_json::{Value, json};

use super::{DiffArgs, Verdict, loaded};
use crate::render;

pub(super) async fn diff(args: DiffArgs) -> anyhow::Result<Verdict> {
    let old = loaded(&args.old, &args.beside, args.output).await?;
    let new = loaded(&args.new, &args.beside, args.output).await?;
    let difference = Difference::between(&old.tools, &new.tools);
    if args.json {
        render::json(&as_json(&difference));
    } else {
        show(&difference);
    }
    Ok(Verdict::Fine)
}

fn show(difference: &Difference) {
    let Difference { added, removed, changed } = difference;
    if !added.is_empty() {
        render::line(&format!("Added ({})", added.len()));
        for tool in added {
            render::line(&format!("  {}  {}", tool.name, render::visible(&tool.operation)));
        }
        render::line("");
    }
    if !removed.is_empty() {
        render::line(&format!("Removed ({})", removed.len()));
        for tool in removed {
            let successor = added.iter().find(|it| it.operation == tool.operation);
            let now = successor.map(|it| format!(", now {}", it.name)).unwrap_or_default();
            render::line(&format!("  {}  {}{now}", tool.name, render::visible(&tool.operation)));
        }
        render::line("");
    }
    if !changed.is_empty() {
        render::line(&format!("Changed ({})", changed.len()));
        for tool in changed {
            render::line(&format!("  {}", tool.name));
            for change in &tool.changes {
                render::line(&format!("    {}", render::visible(&change.message)));
            }
        }
        render::line("");
    }
    render::line(&if difference.is_empty() {
        "clients see the same tools".to_owned()
    } else {
        format!("{} added, {} removed, {} changed", added.len(), removed.len(), changed.len())
    });
}

fn as_json(difference: &Difference) -> Value {
    let named = |tools: &[Named]| -> Vec<Value> {
        let tool = |it: &Named| json!({ "name": it.name, "operation": it.operation });
        tools.iter().map(tool).collect()
    };
    let change = |it: &Change| json!({ "kind": it.kind, "message": it.message });
    let changed = difference.changed.iter().map(|tool| {
        json!({
            "name": tool.name,
            "changes": tool.changes.iter().map(change).collect::<Vec<_>>(),
        })
    });
    json!({
        "added": named(&difference.added),
        "removed": named(&difference.removed),
        "changed": changed.collect::<Vec<_>>(),
    })
}
