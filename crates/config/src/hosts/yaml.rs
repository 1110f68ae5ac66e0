//! Imported servers as a configuration that people go on editing.

use std::fmt::Write as _;

use crate::{
    hosts::ImportedServer,
    model::ServerName,
    tree::{Node, Value},
    units::Duration,
};

/// Writes a configuration with these servers.
///
/// The same server of several hosts is written once; different servers of one name get numbers.
/// What needs a look stands above its server as a comment. Credentials that a host's file holds
/// in plain text are kept, because the result would not work without them.
pub fn to_yaml(servers: &[ImportedServer]) -> String {
    let mut written: Vec<(ServerName, &ImportedServer)> = Vec::new();
    let mut text = String::from("servers:");
    for server in servers {
        let is_same = |(_, known): &(ServerName, &ImportedServer)| {
            known.original_name == server.original_name && same_value(&known.node, &server.node)
        };
        if written.iter().any(is_same) {
            continue;
        }
        let mut name = server.name.clone();
        let mut number = 2;
        while written.iter().any(|(known, _)| *known == name) {
            name = server.name.numbered(number);
            number += 1;
        }
        let project = server.project.as_deref().map(|path| format!(", project {path}"));
        let from = format!("{}{}", server.host, project.unwrap_or_default());
        write_comment(&mut text, &format!("from {from}"));
        for warning in &server.warnings {
            write_comment(&mut text, &format!("{}: {}", warning.code, warning.message));
        }
        text.push_str("\n  ");
        text.push_str(&scalar(&name));
        text.push(':');
        write_value(&mut text, &server.node, 4);
        written.push((name, server));
    }
    if written.is_empty() {
        text.push_str(" {}");
    }
    text.push('\n');
    text
}

/// A comment stays on its line whatever the text is.
fn write_comment(text: &mut String, comment: &str) {
    let comment: String = comment.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let _ = write!(text, "\n  # {comment}");
}

fn write_value(text: &mut String, node: &Node, indent: usize) {
    match &node.value {
        Value::Null => text.push_str(" null"),
        Value::Bool(value) => {
            let _ = write!(text, " {value}");
        }
        Value::Number(number) => {
            let _ = write!(text, " {number}");
        }
        Value::String(value) => {
            let _ = write!(text, " {}", scalar(value));
        }
        Value::Sequence(items) if items.iter().all(|item| item.scalar().is_some()) => {
            let items: Vec<String> = items.iter().map(flow).collect();
            let _ = write!(text, " [{}]", items.join(", "));
        }
        Value::Sequence(items) => {
            for item in items {
                let _ = write!(text, "\n{:indent$}-", "");
                write_value(text, item, indent + 2);
            }
        }
        Value::Mapping(entries) if entries.is_empty() => text.push_str(" {}"),
        Value::Mapping(entries) => {
            for entry in entries {
                let _ = write!(text, "\n{:indent$}{}:", "", scalar(&entry.key));
                write_value(text, &entry.node, indent + 2);
            }
        }
    }
}

fn flow(item: &Node) -> String {
    match &item.value {
        Value::String(value) => scalar(value),
        _ => item.scalar().unwrap_or_default(),
    }
}

/// A string as YAML: plain where nothing in it could mean anything else, quoted otherwise.
fn scalar(value: &str) -> String {
    let starts_plain = value.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./@+".contains(&byte);
    let words = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    let is_word = words.iter().any(|word| value.eq_ignore_ascii_case(word));
    let is_url = value.starts_with("https://") || value.starts_with("http://");
    let is_plain = if is_url {
        value.bytes().all(|byte| plain(byte) || byte == b':') && !value.ends_with(':')
    } else {
        starts_plain && value.bytes().all(plain) && !is_word
    };
    if is_plain || value.parse::<Duration>().is_ok() {
        return value.to_owned();
    }
    let mut quoted = String::from('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn same_value(a: &Node, b: &Node) -> bool {
    match (&a.value, &b.value) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Number(a), Value::Number(b)) | (Value::String(a), Value::String(b)) => a == b,
        (Value::Sequence(a), Value::Sequence(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_value(a, b))
        }
        (Value::Mapping(a), Value::Mapping(b)) => {
            a.len() == b.len()
                && a.iter().all(|entry| {
                    b.iter()
                        .any(|other| entry.key == other.key && same_value(&entry.node, &other.node))
                })
        }
        _ => false,
    }
}
