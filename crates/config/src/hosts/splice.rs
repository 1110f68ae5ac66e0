//! Changing one member of a JSON text and leaving every other byte as it is: comments, order,
//! indentation and line endings belong to whoever wrote them.

use std::ops::Range;

use crate::tree::{Entry, Node, SyntaxError, Value, json};

/// Puts `value` at `container.name`, and makes the container if there is none.
pub(super) fn set(
    text: &str,
    container: &str,
    name: &str,
    value: &serde_json::Value,
) -> Result<String, SyntaxError> {
    let root = json::parse(text)?;
    let layout = Layout::of(text);
    let Value::Mapping(members) = &root.value else {
        return Err(SyntaxError::new(root.range, "expected an object at the top of this file"));
    };
    if members.is_empty() && text[root.range.clone()].trim().is_empty() {
        let document = serde_json::json!({ container: { name: value } });
        return Ok(layout.render(&document, 0) + layout.newline);
    }
    let Some(holder) = root.get(container) else {
        let value = serde_json::json!({ name: value });
        return Ok(insert(text, &root, container, &value, 1, &layout));
    };
    if !matches!(holder.value, Value::Mapping(_)) {
        let message = format!("expected `{container}` to be an object");
        return Err(SyntaxError::new(holder.range.clone(), message));
    }
    Ok(match holder.get(name) {
        Some(old) => replace(text, old.range.clone(), &layout.render(value, 2)),
        None => insert(text, holder, name, value, 2, &layout),
    })
}

/// Takes `container.name` away; `None` when it is not there.
pub(super) fn unset(
    text: &str,
    container: &str,
    name: &str,
) -> Result<Option<String>, SyntaxError> {
    let root = json::parse(text)?;
    let Some(holder) = root.get(container) else { return Ok(None) };
    let entries = holder.entries();
    let Some(at) = entries.iter().position(|entry| entry.key == name) else { return Ok(None) };
    if let [_] = entries {
        return Ok(Some(replace(text, holder.range.clone(), "{}")));
    }
    Ok(Some(cut(text, holder, entries, at)))
}

fn cut(text: &str, holder: &Node, entries: &[Entry], at: usize) -> String {
    let entry = &entries[at];
    let blanks = text[..entry.key_range.start].trim_end_matches([' ', '\t']).len();
    let start = match text[..blanks].strip_suffix('\n') {
        Some(before) => before.strip_suffix('\r').unwrap_or(before).len(),
        None => blanks,
    };
    let close = holder.range.end - 1;
    let after = entries.get(at + 1).map_or(close, |next| next.key_range.start);
    if let Some(comma) = comma(text, entry.node.range.end..after) {
        return replace(text, start..comma + 1, "");
    }
    // The last entry has no comma of its own: the one before it goes.
    let shortened = replace(text, start..entry.node.range.end, "");
    let before = at.checked_sub(1).and_then(|before| entries.get(before));
    let before = before.and_then(|before| comma(text, before.node.range.end..start));
    match before {
        Some(comma) => replace(&shortened, comma..comma + 1, ""),
        None => shortened,
    }
}

fn insert(
    text: &str,
    holder: &Node,
    key: &str,
    value: &serde_json::Value,
    depth: usize,
    layout: &Layout,
) -> String {
    let key = serde_json::Value::from(key);
    let close = holder.range.end - 1;
    let Some(last) = holder.entries().last() else {
        let member = format!("{key}: {}", layout.render(value, depth));
        let inside = &text[holder.range.start + 1..close];
        let end = if inside.contains('\n') { String::new() } else { layout.line(depth - 1) };
        let opened = replace(text, close..close, &end);
        let at = holder.range.start + 1;
        return replace(&opened, at..at, &(layout.line(depth) + &member));
    };
    let end = last.node.range.end;
    let comma = comma(text, end..close);
    let on_one_line = !text[holder.range.start..last.key_range.start].contains('\n');
    if on_one_line {
        let lead = if comma.is_some() { " " } else { ", " };
        let at = comma.map_or(end, |comma| comma + 1);
        return replace(text, at..at, &format!("{lead}{key}: {value}"));
    }
    let member = format!("{}{key}: {}", layout.line(depth), layout.render(value, depth));
    // Behind a comment that stands on the line of the last member.
    let behind = comma.map_or(end, |comma| comma + 1);
    let rest = text[behind..close].split(['\r', '\n']).next().unwrap_or_default();
    let at = behind + rest.len();
    let inserted = replace(text, at..at, &member);
    if comma.is_some() { inserted } else { replace(&inserted, end..end, ",") }
}

/// The comma between two members, which may stand behind comments.
fn comma(text: &str, range: Range<usize>) -> Option<usize> {
    let mut at = range.start;
    while at < range.end {
        let rest = &text[at..range.end];
        if rest.starts_with("//") {
            at += rest.find('\n')?;
        } else if rest.starts_with("/*") {
            at += rest.find("*/")? + 2;
        } else if rest.starts_with(',') {
            return Some(at);
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    None
}

fn replace(text: &str, range: Range<usize>, with: &str) -> String {
    let mut changed = text.to_owned();
    changed.replace_range(range, with);
    changed
}

/// How the text is laid out, so that what is added looks like the rest.
struct Layout {
    unit: String,
    newline: &'static str,
}

impl Layout {
    fn of(text: &str) -> Self {
        let indented = text.lines().find(|line| line.starts_with([' ', '\t']));
        let unit = indented.map(|line| {
            let blanks = line.len() - line.trim_start_matches([' ', '\t']).len();
            line[..blanks].to_owned()
        });
        let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
        Self { unit: unit.unwrap_or_else(|| "  ".to_owned()), newline }
    }

    /// A line break and the indentation of a depth.
    fn line(&self, depth: usize) -> String {
        format!("{}{}", self.newline, self.unit.repeat(depth))
    }

    /// A value whose first line stands at a depth.
    fn render(&self, value: &serde_json::Value, depth: usize) -> String {
        let serde_json::Value::Object(members) = value else { return value.to_string() };
        let members: Vec<String> = members
            .iter()
            .map(|(key, value)| {
                let key = serde_json::Value::from(key.as_str());
                format!("{}{key}: {}", self.line(depth + 1), self.render(value, depth + 1))
            })
            .collect();
        format!("{{{}{}}}", members.join(","), self.line(depth))
    }
}
