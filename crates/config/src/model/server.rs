//! What stands behind the gate: a process that speaks over its standard streams, a URL, or an API.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
};

use schemars::JsonSchema;
use url::Url;

use crate::{
    diagnostic::Code,
    model::{Limits, name::ServerName, tag, word::words},
    secret::Resolved,
    tree::{Entry, Node, Value},
    units::Duration,
    walk::{Cx, Fields, Read, nearest},
};

mod api;
mod composite;
mod declared;
mod remote;
mod stdio;

pub use api::{
    Api, ApiCredentials, ApiDocument, ApiTools, ArgumentLocation, ArgumentOverride, ArgumentType,
    Balance, ClientCredentials, DefinedArgument, DefinedBody, DefinedTool, HintOverrides, JsonText,
    OperationSelector, Output, PagePlace, PageStep, Pagination, SchemeCredentials,
    StatedPagination, ToolOverride,
};
pub use composite::{Composite, CompositeArgument, CompositeTool, Formula, OnError, Stage, Step};
pub(crate) use remote::looks_secret;
pub use remote::{Credentials, Proxy, Remote, RemoteUrl, Tls};
pub use stdio::{Restart, Start, Stdio};

/// An MCP server behind the gate.
#[derive(Clone, Debug, PartialEq, JsonSchema)]
#[serde(default = "Server::unnamed", deny_unknown_fields)]
pub struct Server {
    /// How it is reached: `command` starts a process, `url` connects to one that runs, `openapi`
    /// makes one of an HTTP API, `compose` makes tools of calls of other servers' tools.
    #[serde(flatten)]
    pub transport: Transport,
    /// The protocol that is spoken with it.
    pub era: Era,
    /// How client sessions map to sessions of a legacy server.
    pub session: Session,
    /// Whether a legacy server may ask clients in the middle of their calls.
    pub questions: Questions,
    /// What happens to a form that asks for a password, a key or a token.
    pub secret_forms: SecretForms,
    /// How long a call may take. The default is `limits.call_deadline`, for an API 10s; the most is
    /// `limits.call_deadline_max`.
    pub timeout: Duration,
    /// How long a session or a process lives without any call.
    pub idle_timeout: Duration,
    /// How many calls are in flight at once.
    pub concurrency: usize,
    /// How many calls wait beyond that; further ones are refused.
    pub queue: usize,
    /// How long a call waits there.
    pub queue_timeout: Duration,
    /// A title for people; the default is what the server says.
    pub title: Option<String>,
    /// A description for people.
    pub description: Option<String>,
    /// Keep the settings, serve nothing.
    pub disabled: bool,
    /// How long the last good definitions are served while the server is unreachable.
    pub keep_definitions: Duration,
    /// How long definitions are served before they are asked for again. A server that announces
    /// changes is asked at once.
    pub refresh: Duration,
    /// Show the views of MCP Apps in composed lists, too.
    pub app_views: bool,
    /// What its names begin with on composed endpoints; the default is the name of the server.
    #[schemars(with = "Option<ServerName>")]
    pub prefix: Option<ServerName>,
    /// Tags that everything of it carries: endpoints choose by them.
    pub tags: Vec<String>,
}

/// How a server is reached.
#[derive(Clone, Debug, PartialEq, JsonSchema)]
#[serde(untagged)]
pub enum Transport {
    /// A process of the gate that speaks over its standard streams.
    Stdio(Stdio),
    /// A URL.
    Remote(Box<Remote>),
    /// An HTTP API.
    Api(Box<Api>),
    /// Tools that are made of calls of other servers' tools.
    Composite(Box<Composite>),
}

words! {
    /// The protocol that is spoken with a server.
    Era {
        /// Found by a probe, and remembered for a while.
        #[default]
        Auto = "auto",
        /// 2026-07-28 and later.
        Modern = "modern",
        /// 2025-11-25 and earlier, over Streamable HTTP or stdio.
        Legacy = "legacy",
        /// HTTP+SSE of 2024-11-05.
        Sse = "sse",
    }
}

words! {
    /// How client sessions map to sessions, or processes, of a legacy server.
    Session {
        /// A legacy client session gets its own; modern calls share one.
        #[default]
        Auto = "auto",
        /// All share one.
        Shared = "shared",
        /// Each client gets its own.
        PerClient = "per-client",
        /// Each call gets its own, which ends with it.
        None = "none",
    }
}

words! {
    /// Whether a legacy server may ask clients in the middle of their calls.
    Questions {
        /// It may. On a process that several clients share, the calls of clients that can be asked
        /// take turns, so that a question is always the right call's.
        #[default]
        Auto = "auto",
        /// It is told that nobody can be asked. Calls never wait for each other.
        Off = "off",
    }
}

words! {
    /// What happens to a form that asks for a password, a key or a token.
    SecretForms {
        /// It is answered with an error that says why: what is typed into a form passes through
        /// the client, and often through its model.
        #[default]
        Refuse = "refuse",
        /// It is passed on as any other.
        Pass = "pass",
    }
}

// === impl Server ===

impl Server {
    /// A server with the default settings.
    pub fn new(transport: Transport) -> Self {
        Self {
            transport,
            era: Era::Auto,
            session: Session::Auto,
            questions: Questions::Auto,
            secret_forms: SecretForms::Refuse,
            timeout: Limits::default().call_deadline,
            idle_timeout: Duration::minutes(10),
            concurrency: 128,
            queue: 256,
            queue_timeout: Duration::secs(5),
            title: None,
            description: None,
            disabled: false,
            keep_definitions: Duration::hours(24),
            refresh: Duration::minutes(5),
            app_views: false,
            prefix: None,
            tags: Vec::new(),
        }
    }

    /// A server that is started with a command line, as in `run -- COMMAND ARGS`.
    pub fn from_command(
        command: impl Into<String>,
        args: impl IntoIterator<Item = String>,
    ) -> Self {
        let mut stdio = Stdio::new(command);
        stdio.args = args.into_iter().map(Resolved::literal).collect();
        Self::new(Transport::Stdio(stdio))
    }

    /// The defaults, for the schema.
    fn unnamed() -> Self {
        Self::new(Transport::Stdio(Stdio::new("")))
    }

    /// The process, if it is one.
    pub fn stdio(&self) -> Option<&Stdio> {
        match &self.transport {
            Transport::Stdio(stdio) => Some(stdio),
            Transport::Remote(_) | Transport::Api(_) | Transport::Composite(_) => None,
        }
    }

    /// The URL and what belongs to it, if it is one.
    pub fn remote(&self) -> Option<&Remote> {
        match &self.transport {
            Transport::Remote(remote) => Some(remote),
            Transport::Stdio(_) | Transport::Api(_) | Transport::Composite(_) => None,
        }
    }

    /// The API and what belongs to it, if it is one.
    pub fn api(&self) -> Option<&Api> {
        match &self.transport {
            Transport::Api(api) => Some(api),
            Transport::Stdio(_) | Transport::Remote(_) | Transport::Composite(_) => None,
        }
    }

    /// The tools that are made of calls of other servers' tools, if it is that.
    pub fn composite(&self) -> Option<&Composite> {
        match &self.transport {
            Transport::Composite(composite) => Some(composite),
            Transport::Stdio(_) | Transport::Remote(_) | Transport::Api(_) => None,
        }
    }

    /// The tags that it and its tools carry; `None` if a document may say more.
    pub(crate) fn known_tags(&self) -> Option<Vec<&str>> {
        let mut tags: Vec<&str> = self.tags.iter().map(String::as_str).collect();
        if let Some(api) = self.api() {
            let defined = api.tools.define.iter().map(|(_, tool)| &tool.tags);
            tags.extend(defined.flatten().map(String::as_str));
            if api.openapi.is_some() {
                return None;
            }
        }
        Some(tags)
    }

    pub(crate) fn read(
        name: &ServerName,
        entry: &Entry,
        limits: &Limits,
        cx: &mut Cx<'_>,
    ) -> Option<Self> {
        let node = &entry.node;
        let mut fields = Fields::of(node, format!("server `{name}`"), cx)?;
        let transport = read_transport(name, entry, &mut fields, limits, cx);
        let mut server = Self::unnamed();
        server.timeout = match transport {
            Some(Transport::Api(_)) => api::TIMEOUT.min(limits.call_deadline_max),
            _ => limits.call_deadline,
        };
        let brief = Duration::millis(100);
        fields.set("era", &mut server.era, cx);
        fields.set("session", &mut server.session, cx);
        fields.set("questions", &mut server.questions, cx);
        fields.set("secret_forms", &mut server.secret_forms, cx);
        fields.set_in("timeout", &mut server.timeout, brief..=limits.call_deadline_max, cx);
        let idle = Duration::secs(1)..=Duration::hours(24 * 7);
        fields.set_in("idle_timeout", &mut server.idle_timeout, idle, cx);
        fields.set_in("concurrency", &mut server.concurrency, 1..=100_000, cx);
        fields.set_in("queue", &mut server.queue, 0..=100_000, cx);
        let wait = Duration::millis(0)..=limits.call_deadline_max;
        fields.set_in("queue_timeout", &mut server.queue_timeout, wait, cx);
        fields.set_some("title", &mut server.title, cx);
        fields.set_some("description", &mut server.description, cx);
        fields.set("disabled", &mut server.disabled, cx);
        let keep = Duration::secs(0)..=Duration::hours(24 * 365);
        fields.set_in("keep_definitions", &mut server.keep_definitions, keep, cx);
        let refresh = Duration::secs(1)..=Duration::hours(24 * 7);
        fields.set_in("refresh", &mut server.refresh, refresh, cx);
        fields.set("app_views", &mut server.app_views, cx);
        fields.set_some("prefix", &mut server.prefix, cx);
        if let Some(node) = fields.node("tags") {
            server.tags = tag::read_all(node, cx).unwrap_or_default();
        }
        fields.finish(cx);
        server.transport = transport?;
        server.check_era(node, cx);
        server.check_eager(node, cx);
        Some(server)
    }

    fn check_era(&self, node: &Node, cx: &mut Cx<'_>) {
        if let (Era::Sse, Transport::Stdio(_), Some(era)) =
            (self.era, &self.transport, node.get("era"))
        {
            let message = "a process does not speak HTTP+SSE";
            let problem = cx.problem(Code::Conflict, &era.range, message);
            cx.report(problem.hint("use `auto`, `modern` or `legacy` with `command`"));
        }
    }

    /// With a process for each call, one that is there before any would take none. A modern process
    /// is shared whatever `session` says.
    fn check_eager(&self, node: &Node, cx: &mut Cx<'_>) {
        if self.session == Session::None
            && self.era != Era::Modern
            && let Some(Stdio { start: Start::Eager, .. }) = self.stdio()
            && let Some(start) = node.get("start")
        {
            let message = "the process that starts with the gate takes no calls";
            let problem = cx.problem(Code::WithoutEffect, &start.range, message);
            let problem = problem.label("`session: none` starts a process for each call");
            cx.report(problem.hint("leave `start` out, or choose another `session`"));
        }
    }
}

/// What a server is, by the keys that say so.
const KINDS: [&str; 4] = ["command", "url", "openapi", "compose"];

fn read_transport(
    name: &ServerName,
    entry: &Entry,
    fields: &mut Fields<'_>,
    limits: &Limits,
    cx: &mut Cx<'_>,
) -> Option<Transport> {
    // All kinds are asked for their keys, so that a key of another kind is a conflict with a
    // reason rather than an unknown key.
    let all = [stdio::KEYS, remote::KEYS, api::OWN_KEYS, composite::KEYS];
    let [command, url, openapi, compose] = KINDS.map(|key| fields.node(key));
    if compose.is_some() {
        let composite = Composite::read(fields, cx);
        let foreign = [("command", stdio::KEYS), ("url", remote::KEYS), ("openapi", api::OWN_KEYS)];
        refuse_foreign("compose", &foreign, entry, fields, cx);
        return composite.map(Box::new).map(Transport::Composite);
    }
    let (own, foreign): (_, &[(_, &[_])]) = match [command, url, openapi] {
        [Some(_), None, None] => ("command", &[("url", remote::KEYS), ("openapi", api::OWN_KEYS)]),
        // What is asked of an HTTP API is written by hand.
        [None, Some(_), None] if has_defined_tools(&entry.node) => {
            ("tools.define", &[("command", stdio::KEYS)])
        }
        [None, Some(_), None] => ("url", &[("command", stdio::KEYS), ("openapi", api::OWN_KEYS)]),
        [None, _, Some(_)] => ("openapi", &[("command", stdio::KEYS)]),
        [Some(_), url, openapi] => {
            let (other, node) = openapi.map_or(("url", url), |node| ("openapi", Some(node)));
            let message = format!("server `{name}` has both `command` and `{other}`");
            let range = node.map_or(&entry.key_range, |node| &node.range);
            let problem = cx.problem(Code::Conflict, range, message);
            cx.report(problem.hint(WHICH_KIND.to_owned() + ": keep one"));
            fields.accept(&all);
            return None;
        }
        [None, None, None] => {
            // A mistyped `command` is reported as the unknown key that it is, and once.
            let keys = entry.node.entries().iter().map(|entry| entry.key.as_str());
            if !keys.into_iter().any(|key| nearest(key, KINDS).is_some()) {
                let message = format!(
                    "server `{name}` has none of `command`, `url`, `openapi` and `compose`"
                );
                let problem = cx.problem(Code::MissingKey, &entry.key_range, message);
                cx.report(problem.hint(WHICH_KIND));
            }
            fields.accept(&all);
            return None;
        }
    };
    let transport = match own {
        "command" => Stdio::read(fields, cx).map(Transport::Stdio),
        "url" => Remote::read(fields, cx).map(Box::new).map(Transport::Remote),
        _ => Api::read(fields, limits, cx).map(Box::new).map(Transport::Api),
    };
    refuse_foreign(own, foreign, entry, fields, cx);
    transport
}

/// Reports the keys of other kinds of servers than `own`.
fn refuse_foreign(
    own: &str,
    foreign: &[(&str, &[&'static str])],
    entry: &Entry,
    fields: &mut Fields<'_>,
    cx: &mut Cx<'_>,
) {
    for (other, keys) in foreign {
        for key in *keys {
            if let Some(entry) = entry.node.entries().iter().find(|entry| entry.key == *key) {
                let message =
                    format!("`{key}` belongs to servers with `{other}`, and this has `{own}`");
                cx.report(cx.problem(Code::Conflict, &entry.key_range, message));
            }
        }
        fields.accept(&[keys]);
    }
}

fn has_defined_tools(server: &Node) -> bool {
    server.get("tools").and_then(|tools| tools.get("define")).is_some()
}

const WHICH_KIND: &str = "`command` starts a process, `url` connects to one, `openapi` makes a \
                          server of an HTTP API, `compose` makes tools of calls of others";

/// Reads all servers, and returns the names of all that the file declares, sound or not.
pub(super) fn read_all(
    node: Option<&Node>,
    limits: &Limits,
    servers: &mut BTreeMap<ServerName, Server>,
    cx: &mut Cx<'_>,
) -> BTreeSet<String> {
    let Some(node) = node else { return BTreeSet::new() };
    let Value::Mapping(entries) = &node.value else {
        cx.wrong_kind(node, "a mapping from names to servers");
        return BTreeSet::new();
    };
    let mut prefixes: BTreeMap<String, ServerName> = BTreeMap::new();
    for entry in entries {
        let key = Node::string(entry.key_range.clone(), entry.key.as_str());
        let Some(name) = ServerName::read(&key, cx) else { continue };
        let errors = cx.errors();
        cx.object = Some(name.clone());
        cx.is_disabled =
            matches!(entry.node.get("disabled"), Some(Node { value: Value::Bool(true), .. }));
        let server = Server::read(&name, entry, limits, cx);
        cx.object = None;
        cx.is_disabled = false;
        let Some(server) = server.filter(|_| cx.errors() == errors) else { continue };
        check_prefix(&name, &server, entry, &mut prefixes, cx);
        servers.insert(name, server);
    }
    composite::check_servers(entries, cx);
    entries.iter().map(|entry| entry.key.clone()).collect()
}

/// Two servers with one prefix would claim each other's names.
fn check_prefix(
    name: &ServerName,
    server: &Server,
    entry: &Entry,
    prefixes: &mut BTreeMap<String, ServerName>,
    cx: &mut Cx<'_>,
) {
    let prefix = server.prefix.as_ref().unwrap_or(name);
    if let Some(other) = prefixes.insert(prefix.to_string(), name.clone()) {
        let place = entry.node.get("prefix").map_or(&entry.key_range, |node| &node.range);
        let message = format!("servers `{other}` and `{name}` both have the prefix `{prefix}`");
        cx.report(cx.problem(Code::Conflict, place, message).hint("give one of them another"));
    }
}

/// Reads a mapping from names to text with references, checking each name.
fn read_texts(
    node: &Node,
    what: &str,
    check: fn(&Entry, &mut Cx<'_>) -> bool,
    cx: &mut Cx<'_>,
) -> Option<BTreeMap<String, Resolved>> {
    let Value::Mapping(entries) = &node.value else {
        cx.wrong_kind(node, &format!("a mapping for {what}"));
        return None;
    };
    let mut texts = BTreeMap::new();
    for entry in entries {
        let sound = check(entry, cx);
        let Some(text) = cx.text(&entry.node) else { continue };
        if sound {
            texts.insert(entry.key.clone(), text);
        }
    }
    Some(texts)
}

/// Warns of a credential that stands in the file itself.
fn warn_literal(node: &Node, text: &Resolved, suggestion: &str, cx: &mut Cx<'_>) {
    if !text.template().is_literal() || text.expose().is_empty() {
        return;
    }
    let message = "a credential is written in plain text";
    let problem = cx.problem(Code::LiteralCredential, &node.range, message);
    cx.report(
        problem
            .label("whoever reads the file can use it")
            .hint(format!("refer to it: `${{env:{suggestion}}}` or `${{file:/path/to/secret}}`")),
    );
}

impl fmt::Display for Transport {
    /// What may be shown of it in logs and tables: the command without arguments, or the URL
    /// without query and without anything secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdio(stdio) => f.write_str(&stdio.command),
            Self::Remote(remote) => fmt::Display::fmt(&remote.url, f),
            Self::Composite(composite) => match composite.compose.len() {
                1 => f.write_str("a tool made of calls"),
                count => write!(f, "{count} tools made of calls"),
            },
            Self::Api(api) => match (&api.openapi, api.addresses.as_slice()) {
                (Some(document), _) => fmt::Display::fmt(document, f),
                (None, []) => f.write_str("an API"),
                (None, [url]) => fmt::Display::fmt(url, f),
                (None, [url, more @ ..]) => write!(f, "{url} and {} more", more.len()),
            },
        }
    }
}

/// A file of a server's TLS settings.
type File = Option<PathBuf>;

/// A URL with a host, as every URL of a server has one.
fn http_url(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "this is not a URL")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("only `http` and `https` URLs lead to servers");
    }
    if !url.has_host() {
        return Err("this URL has no host");
    }
    if url.fragment().is_some() {
        return Err("a URL of a server has no fragment (`#…`)");
    }
    Ok(url)
}
