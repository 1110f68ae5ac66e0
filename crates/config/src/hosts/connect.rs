//! Putting the gate into a host's configuration, and taking it out again.

use std::path::{Path, PathBuf};

use serde_json::json;
use toml_edit::{DocumentMut, Item, Table, TableLike, value};

use crate::{
    diagnostic::{Code, Diagnostic, Place, Source},
    hosts::{Host, splice},
    read::{mask_credentials, mask_lines},
    tree::{self, SyntaxError},
};

/// The name of the gate in a host's list of servers, unless somebody chooses another.
const NAME: &str = "portcullis";

/// A change of a host's file, to be looked at before it is made.
#[derive(Clone, PartialEq, Eq)]
pub struct Edit {
    /// The file.
    pub path: PathBuf,
    /// Its text now; `None` when there is no file. Written back, it undoes the change.
    pub before: Option<String>,
    /// Its text afterwards.
    pub after: String,
}

/// What a person types or pastes to connect one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectLine {
    /// The client, such as `Claude Code`.
    pub client: &'static str,
    /// What to do with the text, such as `run`.
    pub action: &'static str,
    /// The text.
    pub text: String,
}

/// The change that puts the gate into a host's file under `name`, replacing what has that name.
///
/// `existing` is the text of the file at `path`, if there is one. The error says why the text
/// cannot be changed: it is no JSON or TOML, or it is built in another way.
pub fn plan(
    host: Host,
    path: &Path,
    existing: Option<&str>,
    endpoint_url: &str,
    name: &str,
) -> Result<Edit, Box<Diagnostic>> {
    let text = existing.unwrap_or_default();
    let after = match host {
        Host::Codex => set_toml(text, name, endpoint_url),
        _ => splice::set(text, host.container(), name, &entry(host, endpoint_url)),
    };
    let after = after.map_err(|error| problem(error, text, path))?;
    Ok(Edit { path: path.to_owned(), before: existing.map(str::to_owned), after })
}

/// The change that takes `name` out of a host's file; `None` when it is not there.
pub fn remove(
    host: Host,
    path: &Path,
    existing: &str,
    name: &str,
) -> Result<Option<Edit>, Box<Diagnostic>> {
    let after = match host {
        Host::Codex => unset_toml(existing, name),
        _ => splice::unset(existing, host.container(), name),
    };
    let after = after.map_err(|error| problem(error, existing, path))?;
    let before = Some(existing.to_owned());
    Ok(after.map(|after| Edit { path: path.to_owned(), before, after }))
}

/// What to type or paste for a host.
pub fn connect_line(host: Host, url: &str) -> ConnectLine {
    let (action, text) = match host {
        Host::ClaudeCode => ("run", format!("claude mcp add --transport http {NAME} {url}")),
        Host::VsCode => {
            let server = json!({ "name": NAME, "type": "http", "url": url });
            ("run", format!("code --add-mcp '{server}'"))
        }
        Host::Codex => ("run", format!("codex mcp add {NAME} --url {url}")),
        Host::Gemini => ("run", format!("gemini mcp add --transport http {NAME} {url}")),
        Host::Cursor => {
            let document = json!({ "mcpServers": { NAME: entry(host, url) } });
            ("add to ~/.cursor/mcp.json", document.to_string())
        }
        Host::ClaudeDesktop => {
            let document = json!({ "mcpServers": { NAME: entry(host, url) } });
            ("add to claude_desktop_config.json", document.to_string())
        }
    };
    ConnectLine { client: host.title(), action, text }
}

/// What to type for MCP Inspector's command line.
pub fn inspector_line(url: &str) -> ConnectLine {
    let text = format!(
        "npx @modelcontextprotocol/inspector --cli {url} --transport http --method tools/list"
    );
    ConnectLine { client: "Inspector", action: "run", text }
}

/// The lines that a person sees when the gate starts: the commonest clients, and Inspector.
pub fn connect_lines(url: &str) -> Vec<ConnectLine> {
    let hosts = [Host::ClaudeCode, Host::Cursor, Host::VsCode];
    let mut lines: Vec<ConnectLine> =
        hosts.into_iter().map(|host| connect_line(host, url)).collect();
    lines.push(inspector_line(url));
    lines
}

/// The gate as an entry of a host's list of servers.
fn entry(host: Host, url: &str) -> serde_json::Value {
    match host {
        Host::ClaudeCode | Host::VsCode => json!({ "type": "http", "url": url }),
        Host::Cursor | Host::Codex => json!({ "url": url }),
        Host::Gemini => json!({ "httpUrl": url }),
        // Claude Desktop's file knows only processes; this one carries stdio to a URL.
        Host::ClaudeDesktop => {
            let mut args = vec!["-y", "mcp-remote", url, "--transport", "http-only"];
            if url.starts_with("http://") {
                args.push("--allow-http");
            }
            json!({ "command": "npx", "args": args })
        }
    }
}

// === TOML ===

fn set_toml(text: &str, name: &str, url: &str) -> Result<String, SyntaxError> {
    let mut document = parse_toml(text)?;
    let container = Host::Codex.container();
    let servers = document.entry(container).or_insert_with(|| {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    });
    let range = servers.span().unwrap_or(0..0);
    let Some(servers) = servers.as_table_like_mut() else {
        return Err(SyntaxError::new(range, format!("expected `{container}` to be a table")));
    };
    let mut server = Table::new();
    server.insert("url", value(url));
    insert_server(servers, name, server);
    Ok(document.to_string())
}

fn insert_server(servers: &mut dyn TableLike, name: &str, server: Table) {
    // The old place keeps the comments above it.
    if let Some(Item::Table(old)) = servers.get_mut(name) {
        old.clear();
        for (key, item) in server {
            old.insert(&key, item);
        }
        return;
    }
    servers.insert(name, Item::Table(server));
}

fn unset_toml(text: &str, name: &str) -> Result<Option<String>, SyntaxError> {
    let mut document = parse_toml(text)?;
    let servers = document.get_mut(Host::Codex.container()).and_then(Item::as_table_like_mut);
    let removed = servers.and_then(|servers| servers.remove(name));
    Ok(removed.map(|_| document.to_string()))
}

fn parse_toml(text: &str) -> Result<DocumentMut, SyntaxError> {
    text.parse::<DocumentMut>()
        .map_err(|error| SyntaxError::new(error.span().unwrap_or(0..0), error.message().to_owned()))
}

// === diagnostics ===

fn problem(error: SyntaxError, text: &str, path: &Path) -> Box<Diagnostic> {
    let source = Source::new(path, text);
    match tree::json::parse(text) {
        Ok(root) => mask_credentials(&root, &source),
        Err(_) => mask_lines(text, &source),
    }
    let place = Place { source, range: error.range };
    let hint =
        error.hint.unwrap_or_else(|| "the file is left as it is; repair it first".to_owned());
    Box::new(Diagnostic::new(Code::Syntax, place, error.message).hint(hint))
}

impl std::fmt::Debug for Edit {
    /// Without the texts, which may hold credentials of other servers.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Edit").field("path", &self.path).finish_non_exhaustive()
    }
}
