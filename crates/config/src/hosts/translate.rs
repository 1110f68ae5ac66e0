//! One entry of a host's file, in the words of our configuration.
//!
//! The result is a tree again, with the places of the original, so that everything our own reader
//! says about it points into the host's file.

use std::path::Path;

use crate::{
    diagnostic::{Code, Diagnostic},
    hosts::Host,
    tree::{Entry, Node, Value},
    walk::{Cx, nearest},
};

/// Settings that we read. The rest of an entry belongs to the host alone.
const KNOWN: [&str; 20] = [
    "type",
    "transport",
    "command",
    "args",
    "env",
    "cwd",
    "url",
    "httpUrl",
    "serverUrl",
    "headers",
    "timeout",
    "disabled",
    "enabled",
    "description",
    "env_vars",
    "bearer_token_env_var",
    "http_headers",
    "env_http_headers",
    "tool_timeout_sec",
    "title",
];

/// Headers that hosts' files contain and that the gate makes itself.
const OWN_HEADERS: [&str; 3] = ["content-type", "accept", "mcp-protocol-version"];

/// The longest call deadline, in milliseconds: what hosts allow is often longer.
const TIMEOUT_MS_MAX: u64 = 15 * 60 * 1000;

/// Translates one entry. `None` stands for a host that nobody named.
pub(super) fn translate(entry: &Node, host: Option<Host>, cx: &mut Cx<'_>) -> Node {
    let mut translation = Translation { host, entry, fields: Vec::new() };
    if !matches!(entry.value, Value::Mapping(_)) {
        return entry.clone();
    }
    translation.transport(cx);
    translation.credentials(cx);
    translation.settings(cx);
    translation.report_ignored(cx);
    Node::new(entry.range.clone(), Value::Mapping(translation.fields))
}

struct Translation<'n> {
    host: Option<Host>,
    entry: &'n Node,
    fields: Vec<Entry>,
}

impl<'n> Translation<'n> {
    fn get(&self, key: &str) -> Option<&'n Node> {
        self.entry.get(key).filter(|node| !matches!(node.value, Value::Null))
    }

    fn push(&mut self, key: &str, from: &Node, node: Node) {
        let key_range = self
            .entry
            .entries()
            .iter()
            .find(|entry| entry.node.range == from.range)
            .map_or_else(|| from.range.clone(), |entry| entry.key_range.clone());
        self.fields.push(Entry { key: key.to_owned(), key_range, node });
    }

    fn transport(&mut self, cx: &mut Cx<'_>) {
        if let Some(node) = self.get("command") {
            let command = self.texts(node, cx);
            self.push("command", node, command);
        }
        for key in ["args", "env"] {
            if let Some(node) = self.get(key) {
                let texts = self.texts(node, cx);
                // Many generators write an empty mapping or list; there is nothing to say.
                if !is_empty(&texts) {
                    self.push(key, node, texts);
                }
            }
        }
        if let Some(node) = self.get("cwd") {
            let text = self.texts(node, cx);
            self.push("cwd", node, text);
        }
        if let Some(url) = ["url", "httpUrl", "serverUrl"].into_iter().find_map(|key| self.get(key))
        {
            let text = self.texts(url, cx);
            self.push("url", url, text);
        }
        let Some(kind) = self.get("type").or_else(|| self.get("transport")) else { return };
        match kind.as_str() {
            Some("sse") => {
                self.push("era", kind, Node::string(kind.range.clone(), "sse"));
            }
            Some("stdio" | "http" | "streamable-http" | "streamableHttp" | "streamable_http") => {}
            _ => {
                let message = "this transport is unknown";
                let problem = cx.problem(Code::Ignored, &kind.range, message);
                cx.report(problem.hint("known are `stdio`, `http` and `sse`"));
            }
        }
    }

    fn credentials(&mut self, cx: &mut Cx<'_>) {
        let mut headers: Vec<Entry> = Vec::new();
        let written = [self.get("headers"), self.get("http_headers")];
        for node in written.into_iter().flatten() {
            for entry in node.entries() {
                if OWN_HEADERS.contains(&entry.key.to_ascii_lowercase().as_str()) {
                    cx.report(ignored(entry, "the gate makes this header itself", cx));
                    continue;
                }
                let node = self.texts(&entry.node, cx);
                headers.push(Entry { node, ..entry.clone() });
            }
        }
        for entry in self.get("env_http_headers").map(Node::entries).unwrap_or_default() {
            let node = variable(&entry.node);
            headers.push(Entry { node, ..entry.clone() });
        }
        let place = ["headers", "http_headers", "env_http_headers"];
        let place = place.into_iter().find_map(|key| self.get(key));
        if let (Some(place), false) = (place, headers.is_empty()) {
            self.push("headers", place, Node::new(place.range.clone(), Value::Mapping(headers)));
        }
        if let Some(name) = self.get("bearer_token_env_var") {
            let bearer = Entry {
                key: "bearer".to_owned(),
                key_range: name.range.clone(),
                node: variable(name),
            };
            let credentials = Node::new(name.range.clone(), Value::Mapping(vec![bearer]));
            self.push("credentials", name, credentials);
        }
        self.passed_variables();
    }

    /// Codex lists variables that a server inherits; our processes inherit none on their own.
    fn passed_variables(&mut self) {
        let Some(node) = self.get("env_vars") else { return };
        let Value::Sequence(names) = &node.value else { return };
        let passed = names.iter().filter_map(|name| {
            let key = name.as_str()?.to_owned();
            Some(Entry { key, key_range: name.range.clone(), node: variable(name) })
        });
        let passed: Vec<Entry> = passed.collect();
        match self.fields.iter_mut().find(|field| field.key == "env") {
            Some(Entry { node: Node { value: Value::Mapping(env), .. }, .. }) => {
                for entry in passed {
                    if env.iter().all(|known| known.key != entry.key) {
                        env.push(entry);
                    }
                }
            }
            _ => self.push("env", node, Node::new(node.range.clone(), Value::Mapping(passed))),
        }
    }

    fn settings(&mut self, cx: &mut Cx<'_>) {
        for (key, unit_ms) in [("timeout", 1), ("tool_timeout_sec", 1000)] {
            let Some(node) = self.get(key) else { continue };
            let number = node.scalar().and_then(|text| text.parse::<f64>().ok());
            let Some(millis) = number.filter(|number| number.is_finite() && *number > 0.0) else {
                cx.report(cx.problem(Code::Ignored, &node.range, "this is not a timeout"));
                continue;
            };
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "casts from float saturate, and the number is positive"
            )]
            let asked = (millis * f64::from(unit_ms)) as u64;
            let millis = asked.clamp(100, TIMEOUT_MS_MAX);
            if millis != asked {
                let message = format!("a call may take at most 15 minutes, so `{key}` is changed");
                cx.report(cx.problem(Code::Changed, &node.range, message));
            }
            let text = crate::units::Duration::millis(millis).to_string();
            self.push("timeout", node, Node::string(node.range.clone(), text));
        }
        let disabled = self.get("disabled").map(|node| (node, true));
        let disabled = disabled.or_else(|| self.get("enabled").map(|node| (node, false)));
        if let Some((node, when)) = disabled
            && matches!(node.value, Value::Bool(value) if value == when)
        {
            self.push("disabled", node, Node::new(node.range.clone(), Value::Bool(true)));
        }
        for key in ["description", "title"] {
            if let Some(node) = self.get(key).filter(|node| node.as_str().is_some()) {
                self.push(key, node, node.clone());
            }
        }
    }

    fn report_ignored(&self, cx: &mut Cx<'_>) {
        for entry in self.entry.entries() {
            if !KNOWN.contains(&entry.key.as_str()) {
                cx.report(ignored(entry, "this setting has no meaning for the gate", cx));
            }
        }
    }

    /// A scalar, list or mapping with every text in our grammar of references.
    fn texts(&self, node: &Node, cx: &mut Cx<'_>) -> Node {
        let value = match &node.value {
            Value::String(text) => Value::String(self.text(text, node, cx)),
            Value::Sequence(items) => {
                Value::Sequence(items.iter().map(|item| self.texts(item, cx)).collect())
            }
            Value::Mapping(entries) => {
                let translated = entries.iter().map(|entry| {
                    let node = self.texts(&entry.node, cx);
                    Entry { node, ..entry.clone() }
                });
                Value::Mapping(translated.collect())
            }
            other => other.clone(),
        };
        Node::new(node.range.clone(), value)
    }

    fn text(&self, text: &str, node: &Node, cx: &mut Cx<'_>) -> String {
        // These hosts pass text on as it is.
        if matches!(self.host, Some(Host::ClaudeDesktop | Host::Codex)) {
            return text.replace("${", "$${");
        }
        if self.host == Some(Host::Gemini)
            && let Some(name) = text.strip_prefix('$').filter(|name| is_variable(name))
        {
            return format!("${{env:{name}}}");
        }
        let mut translated = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            translated.push_str(before);
            let Some((body, tail)) = after.split_once('}') else {
                rest = &rest[before.len()..];
                return translated + &rest.replace("${", "$${");
            };
            translated.push_str(&reference(body, node, cx));
            rest = tail;
        }
        translated + rest
    }
}

/// A reference of a host in our grammar, or as plain text.
fn reference(body: &str, node: &Node, cx: &mut Cx<'_>) -> String {
    if body.starts_with("env:") || body.starts_with("file:") {
        return format!("${{{body}}}");
    }
    if let Some(id) = body.strip_prefix("input:") {
        let name = variable_name(id);
        let message = format!("the host asks for `{id}`; the gate takes it from `{name}`");
        let problem = cx.problem(Code::Changed, &node.range, message);
        cx.report(problem.hint(format!("set the environment variable `{name}` for the gate")));
        return format!("${{env:{name}}}");
    }
    match body {
        "userHome" => return "${env:HOME}".to_owned(),
        "/" | "pathSeparator" => return std::path::MAIN_SEPARATOR_STR.to_owned(),
        "workspaceFolder" => {
            if let Some(folder) = workspace(cx.source.path()) {
                return folder.replace("${", "$${");
            }
        }
        _ => {}
    }
    let (name, default) = body.split_once(":-").map_or((body, None), |(n, d)| (n, Some(d)));
    // A word of the editor is no variable, though it looks like one.
    let is_named = is_variable(name) && !name.starts_with("workspaceFolder");
    match (is_named, default) {
        (true, None) => format!("${{env:{name}}}"),
        (true, Some(default)) => format!("${{env:{name}:-{default}}}"),
        (false, _) => {
            let message = format!("`${{{body}}}` is nothing that the gate can fill in");
            let problem = cx.problem(Code::Changed, &node.range, message);
            cx.report(problem.hint("it is kept as plain text: write its value instead"));
            format!("$${{{body}}}")
        }
    }
}

fn ignored(entry: &Entry, why: &str, cx: &Cx<'_>) -> Diagnostic {
    let message = format!("`{}` is ignored: {why}", entry.key);
    let problem = cx.problem(Code::Ignored, &entry.key_range, message);
    match entry.key.as_str() {
        "includeTools" | "excludeTools" | "enabled_tools" | "disabled_tools" | "tools" => problem
            .hint("choose tools on an endpoint: `servers: [{ NAME: { tools: [\"get_*\"] } }]`"),
        "envFile" => problem.hint("write its variables under `env`"),
        key => match nearest(key, KNOWN).filter(|near| *near != key) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem,
        },
    }
}

/// A reference to the variable that a node names.
fn variable(name: &Node) -> Node {
    Node::string(name.range.clone(), format!("${{env:{}}}", name.scalar().unwrap_or_default()))
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// `github-token` becomes `GITHUB_TOKEN`.
fn variable_name(id: &str) -> String {
    id.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
        .collect()
}

/// The directory of the project that a file such as `.vscode/mcp.json` belongs to; none for a
/// file that counts in every project.
fn workspace(path: &Path) -> Option<String> {
    let directory = path.parent()?;
    let name = directory.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let project = match name {
        "User" => return None,
        name if name.starts_with('.') => directory.parent()?,
        _ => directory,
    };
    let project = project.display().to_string();
    Some(if project.is_empty() { ".".to_owned() } else { project })
}

fn is_empty(node: &Node) -> bool {
    match &node.value {
        Value::Sequence(items) => items.is_empty(),
        Value::Mapping(entries) => entries.is_empty(),
        _ => false,
    }
}
