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
    if members.is_empty() && root.range.is_empty() {
        let document = serde_json::json!({ container: { name: value } });
        return Ok(layout.render(&document, "") + layout.newline);
    }
    let Some(holder) = root.get(container) else {
        let value = serde_json::json!({ name: value });
        return Ok(insert(text, &root, container, &value, &layout));
    };
    let Value::Mapping(servers) = &holder.value else {
        let message = format!("expected `{container}` to be an object");
        return Err(SyntaxError::new(holder.range.clone(), message));
    };
    Ok(match servers.iter().find(|entry| entry.key == name) {
        Some(old) if is_same(&old.node, value) => text.to_owned(),
        Some(old) => {
            let value = if is_on_one_line(text, holder, old) {
                value.to_string()
            } else {
                layout.render(value, indent(text, old.key_range.start))
            };
            replace(text, old.node.range.clone(), &value)
        }
        None => insert(text, holder, name, value, &layout),
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
    let own_line = start < blanks;
    if let Some(comma) = comma(text, entry.node.range.end..after) {
        return replace(text, start..rest_of_line(text, comma + 1, own_line), "");
    }
    // The last entry has no comma of its own: the one before it goes.
    let end = rest_of_line(text, entry.node.range.end, own_line).min(close);
    let shortened = replace(text, start..end, "");
    let before = at.checked_sub(1).and_then(|before| entries.get(before));
    let before = before.and_then(|before| comma(text, before.node.range.end..start));
    match before {
        Some(comma) => replace(&shortened, comma..comma + 1, ""),
        None => shortened,
    }
}

/// The end of a line that a removed member had for itself: a comment behind it goes with it.
fn rest_of_line(text: &str, end: usize, own_line: bool) -> usize {
    let rest = text[end..].split(['\r', '\n']).next().unwrap_or_default();
    let belongs = rest.trim().is_empty() || rest.trim_start().starts_with("//");
    if own_line && belongs { end + rest.len() } else { end }
}

fn insert(
    text: &str,
    holder: &Node,
    key: &str,
    value: &serde_json::Value,
    layout: &Layout,
) -> String {
    let key = serde_json::Value::from(key);
    let close = holder.range.end - 1;
    let Some(last) = holder.entries().last() else {
        let outer = indent(text, holder.range.start);
        let inner = format!("{outer}{}", layout.unit);
        let inside = &text[holder.range.start + 1..close];
        let end =
            if inside.contains('\n') { String::new() } else { layout.newline.to_owned() + outer };
        let member = format!("{}{inner}{key}: {}", layout.newline, layout.render(value, &inner));
        let closed = replace(text, close..close, &end);
        let at = holder.range.start + 1;
        return replace(&closed, at..at, &member);
    };
    let end = last.node.range.end;
    let comma = comma(text, end..close);
    let behind = comma.map_or(end, |comma| comma + 1);
    if is_on_one_line(text, holder, last) {
        let lead = if comma.is_some() { " " } else { ", " };
        return replace(text, behind..behind, &format!("{lead}{key}: {value}"));
    }
    let base = indent(text, last.key_range.start);
    let member = format!("{}{base}{key}: {}", layout.newline, layout.render(value, base));
    // Behind a comment that stands on the line of the last member.
    let rest = text[behind..close].split(['\r', '\n']).next().unwrap_or_default();
    let at = behind + rest.len();
    let inserted = replace(text, at..at, &member);
    if comma.is_some() { inserted } else { replace(&inserted, end..end, ",") }
}

fn is_on_one_line(text: &str, holder: &Node, entry: &Entry) -> bool {
    !text[holder.range.start..entry.key_range.start].contains('\n')
}

/// The blanks at the beginning of the line that a place is on.
fn indent(text: &str, at: usize) -> &str {
    let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let blanks = text[line..].len() - text[line..].trim_start_matches([' ', '\t']).len();
    &text[line..line + blanks]
}

/// Whether a tree says what a value says.
fn is_same(node: &Node, value: &serde_json::Value) -> bool {
    match (&node.value, value) {
        (Value::String(text), serde_json::Value::String(wanted)) => text == wanted,
        (Value::Sequence(items), serde_json::Value::Array(wanted)) => {
            items.len() == wanted.len()
                && items.iter().zip(wanted).all(|(item, wanted)| is_same(item, wanted))
        }
        (Value::Mapping(entries), serde_json::Value::Object(wanted)) => {
            entries.len() == wanted.len()
                && entries.iter().all(|entry| {
                    wanted.get(&entry.key).is_some_and(|wanted| is_same(&entry.node, wanted))
                })
        }
        _ => false,
    }
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

    /// A value whose first line is indented by `base`.
    fn render(&self, value: &serde_json::Value, base: &str) -> String {
        let members = match value {
            serde_json::Value::Object(members) => members,
            serde_json::Value::Array(items) => {
                let items: Vec<String> = items.iter().map(ToString::to_string).collect();
                return format!("[{}]", items.join(", "));
            }
            other => return other.to_string(),
        };
        let inner = format!("{base}{}", self.unit);
        let members: Vec<String> = members
            .iter()
            .map(|(key, value)| {
                let key = serde_json::Value::from(key.as_str());
                format!("{}{inner}{key}: {}", self.newline, self.render(value, &inner))
            })
            .collect();
        format!("{{{}{}{base}}}", members.join(","), self.newline)
    }
}
