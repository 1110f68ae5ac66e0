//! Taking over the servers of a host.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use crate::{
    diagnostic::{Code, Diagnostic, Source},
    hosts::{Host, translate::translate},
    model::{Limits, Server, ServerName},
    read::{mask_credentials, mask_lines, syntax_diagnostic},
    secret::{Environment, ProcessEnvironment},
    tree::{self, Entry, Node, Value},
    walk::Cx,
};

/// What a host's file holds.
#[derive(Debug, Default)]
pub struct Imported {
    /// Its servers, in the order of the file.
    pub servers: Vec<ImportedServer>,
    /// Problems of the file as a whole. When it is no JSON or TOML there are no servers.
    pub diagnostics: Vec<Diagnostic>,
}

/// One server of a host, in our words.
#[derive(Clone)]
pub struct ImportedServer {
    /// Its name in our grammar of names.
    pub name: ServerName,
    /// Its name in the host's file.
    pub original_name: String,
    /// The host.
    pub host: Host,
    /// The project that it counts for, where the host says so in its own file.
    pub project: Option<String>,
    /// What could not be taken over, what was changed, and credentials that stand in the file.
    pub warnings: Vec<Diagnostic>,
    pub(super) node: Node,
    source: Arc<Source>,
}

/// Reads the text of a host's file. `path` names it in diagnostics.
pub fn import(host: Host, text: &str, path: &Path) -> Imported {
    let source = Source::new(path, text);
    let mut cx = Cx::new(Arc::clone(&source), &ProcessEnvironment);
    let parsed = match host {
        Host::Codex => tree::toml::parse(text),
        _ => tree::json::parse(text),
    };
    let root = match parsed {
        Ok(root) => root,
        Err(error) => {
            mask_lines(text, &source);
            let diagnostics = vec![syntax_diagnostic(error, &cx)];
            return Imported { servers: Vec::new(), diagnostics };
        }
    };
    mask_credentials(&root, &source);
    let mut names = BTreeSet::new();
    let mut servers = Vec::new();
    for (project, container) in containers(host, &root) {
        for entry in container.entries() {
            let (name, node) = take_over(entry, Some(host), &mut names, &mut cx);
            let warnings = std::mem::take(&mut cx.diagnostics);
            let mut server = ImportedServer {
                name,
                original_name: entry.key.clone(),
                host,
                project: project.clone(),
                warnings,
                node,
                source: Arc::clone(&source),
            };
            server.check();
            servers.push(server);
        }
    }
    Imported { servers, diagnostics: cx.diagnostics }
}

/// Keys of our own that may stand beside a host's `mcpServers`.
const OWN_KEYS: [&str; 6] = ["listen", "admin", "data_dir", "endpoints", "limits", "log"];

/// A host's file as a document of our own, when the root is one; `None` when it is not.
pub(crate) fn as_configuration(root: &Node, cx: &mut Cx<'_>) -> Option<Node> {
    let container = root.get("mcpServers").or_else(|| vs_code_servers(root))?;
    let host = root.get("mcpServers").is_none().then_some(Host::VsCode);
    if let (None, Some(servers)) = (host, root.get("servers")) {
        let message = "this file has both `servers` and `mcpServers`";
        let problem = cx.problem(Code::Conflict, &servers.range, message);
        cx.report(problem.hint("move all of them under `servers`"));
    }
    let servers = match &container.value {
        Value::Mapping(entries) => take_over_all(entries, host, cx),
        // Our own reader says what is wrong with it.
        other => other.clone(),
    };
    let servers = Node::new(container.range.clone(), servers);
    let key_range = container.range.clone();
    let mut members = vec![Entry { key: "servers".to_owned(), key_range, node: servers }];
    let own = |entry: &&Entry| OWN_KEYS.contains(&entry.key.as_str());
    members.extend(root.entries().iter().filter(own).cloned());
    Some(Node::new(root.range.clone(), Value::Mapping(members)))
}

fn take_over_all(entries: &[Entry], host: Option<Host>, cx: &mut Cx<'_>) -> Value {
    let mut names = BTreeSet::new();
    let servers = entries.iter().map(|entry| {
        let (name, node) = take_over(entry, host, &mut names, cx);
        Entry { key: name.to_string(), key_range: entry.key_range.clone(), node }
    });
    Value::Mapping(servers.collect())
}

/// VS Code says `servers` as we do. Its files have nothing else but `inputs`, and say `type`.
fn vs_code_servers(root: &Node) -> Option<&Node> {
    let foreign = |entry: &Entry| !matches!(entry.key.as_str(), "servers" | "inputs");
    let servers = root.get("servers")?;
    let typed = servers.entries().iter().any(|entry| entry.node.get("type").is_some());
    let is_host = root.get("inputs").is_some() || typed;
    (is_host && !root.entries().iter().any(foreign)).then_some(servers)
}

/// The mappings that hold servers, each with the project it counts for.
fn containers(host: Host, root: &Node) -> Vec<(Option<String>, &Node)> {
    let mut found = Vec::new();
    let own = root.get(host.container());
    // VS Code's older place is a member of its settings.
    let settings = || root.get("mcp").and_then(|mcp| mcp.get(host.container()));
    if let Some(container) = own.or_else(|| if host == Host::VsCode { settings() } else { None }) {
        found.push((None, container));
    }
    if host == Host::ClaudeCode {
        for project in root.get("projects").map(Node::entries).unwrap_or_default() {
            if let Some(container) = project.node.get(host.container()) {
                found.push((Some(project.key.clone()), container));
            }
        }
    }
    found
}

/// Gives an entry a name of our grammar that nothing else has, and translates it.
fn take_over(
    entry: &Entry,
    host: Option<Host>,
    names: &mut BTreeSet<ServerName>,
    cx: &mut Cx<'_>,
) -> (ServerName, Node) {
    let wanted = ServerName::from_any(&entry.key);
    let mut name = wanted.clone();
    let mut number = 2;
    while !names.insert(name.clone()) {
        name = wanted.numbered(number);
        number += 1;
    }
    if name.as_str() != entry.key {
        let message = format!("server `{}` is called `{name}` here", entry.key);
        let problem = cx.problem(Code::Changed, &entry.key_range, message);
        cx.report(problem.note(if name == wanted {
            "a name is a letter or digit, then up to 31 letters, digits, `_` or `-`"
        } else {
            "another server of this file has the name already"
        }));
    }
    (name, translate(&entry.node, host, cx))
}

// === impl ImportedServer ===

impl ImportedServer {
    /// The server as the gate would run it on this machine, or why it cannot.
    pub fn server(&self, environment: &dyn Environment) -> Result<Server, Vec<Diagnostic>> {
        let mut cx = Cx::new(Arc::clone(&self.source), environment);
        match self.read(&mut cx) {
            Some(server) if cx.errors() == 0 => Ok(server),
            _ => Err(cx.diagnostics),
        }
    }

    fn read(&self, cx: &mut Cx<'_>) -> Option<Server> {
        let key_range = self.node.range.clone();
        let entry = Entry { key: self.name.to_string(), key_range, node: self.node.clone() };
        cx.object = Some(self.name.clone());
        Server::read(&self.name, &entry, &Limits::default(), cx)
    }

    /// Adds what our own reader says, but for references: importing does not need their values.
    fn check(&mut self) {
        let mut cx = Cx::new(Arc::clone(&self.source), &ProcessEnvironment);
        self.read(&mut cx);
        let said = cx.diagnostics.into_iter();
        self.warnings.extend(said.filter(|found| found.code != Code::UnresolvedReference));
    }
}

impl std::fmt::Debug for ImportedServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImportedServer")
            .field("name", &self.name)
            .field("host", &self.host)
            .field("project", &self.project)
            .field("warnings", &self.warnings)
            .finish_non_exhaustive()
    }
}
