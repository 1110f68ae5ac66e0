//! What clients connect to: one server as it is, or several composed.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::{
    diagnostic::Code,
    model::{
        name::{Pattern, ServerName},
        server::{Server, Transport},
        word::words,
    },
    tree::{Entry, Node, Value},
    walk::{Cx, Fields, Read, nearest},
};

mod tags;

/// What clients connect to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// What stands behind it.
    pub serves: Serves,
    /// How the names of capabilities appear; a single server keeps its own names.
    pub names: Names,
    /// A title for people.
    pub title: Option<String>,
    /// What a model should know before it uses the endpoint, instead of the servers' own
    /// instructions.
    pub instructions: Option<String>,
    /// Patterns over tags, of which what is shown carries at least one, on itself or on its server;
    /// absent shows everything. Only of a composed endpoint.
    pub tags: Option<Vec<Pattern>>,
    /// Whether the API of the single server is served as it is on the same path, besides MCP.
    pub http: bool,
}

/// What an endpoint serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Serves {
    /// One server with its own names and its own identity.
    Single(ServerName),
    /// Several servers under the gate's identity.
    Composed(Composition),
}

/// The servers of a composed endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Composition {
    /// Every server of the configuration.
    Everything,
    /// The servers that are named, in that order.
    Chosen(Vec<Member>),
}

/// One server of a composed endpoint, with what is shown of it. A list that is absent shows
/// everything of its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The server.
    pub server: ServerName,
    /// Patterns over tags, of which what is shown carries at least one.
    pub tags: Option<Vec<Pattern>>,
    /// Which tools, by the server's own names.
    pub tools: Option<Vec<Pattern>>,
    /// Which resources, by URI.
    pub resources: Option<Vec<Pattern>>,
    /// Which prompts, by the server's own names.
    pub prompts: Option<Vec<Pattern>>,
}

words! {
    /// How names of capabilities appear on a composed endpoint.
    Names {
        /// With the name of their server in front, so that they stay when servers are added.
        #[default]
        Prefixed = "prefixed",
        /// As their servers call them; a collision is reported.
        Bare = "bare",
    }
}

/// What clients connect to.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Endpoint")]
#[expect(dead_code, reason = "only its schema is used")]
struct Written {
    /// Several servers: `"*"` for every one, or a list. With `tags` the default is every one.
    #[serde(default)]
    servers: Option<WrittenServers>,
    /// One server as it is.
    #[serde(default)]
    server: Option<ServerName>,
    /// How the names of capabilities appear; a single server keeps its own names.
    #[serde(default)]
    names: Names,
    /// A title for people.
    #[serde(default)]
    title: Option<String>,
    /// What a model should know before it uses the endpoint, instead of the servers' own
    /// instructions.
    #[serde(default)]
    instructions: Option<String>,
    /// Patterns over tags: tools are shown that carry one of them, and everything of servers that
    /// do.
    #[serde(default)]
    tags: Option<Vec<Pattern>>,
    /// Whether the API of the server, which has an OpenAPI document, is served as it is on the same
    /// path, besides MCP.
    #[serde(default)]
    http: bool,
}

#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum WrittenServers {
    /// `"*"`: every server.
    Everything(Everything),
    /// The servers that are named.
    Chosen(Vec<WrittenMember>),
}

#[derive(JsonSchema)]
enum Everything {
    #[serde(rename = "*")]
    #[expect(dead_code, reason = "only its schema is used")]
    Everything,
}

#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum WrittenMember {
    /// All of a server.
    Whole(ServerName),
    /// A part of a server.
    Part(BTreeMap<ServerName, WrittenFilter>),
}

/// What is shown of a server. A list that is absent shows everything of its kind.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Filter")]
#[expect(dead_code, reason = "only its schema is used")]
struct WrittenFilter {
    /// Patterns over tags: tools that carry one of them, or everything if the server does.
    #[serde(default)]
    tags: Option<Vec<Pattern>>,
    /// Which tools, by the server's own names.
    #[serde(default)]
    tools: Option<Vec<Pattern>>,
    /// Which resources, by URI.
    #[serde(default)]
    resources: Option<Vec<Pattern>>,
    /// Which prompts, by the server's own names.
    #[serde(default)]
    prompts: Option<Vec<Pattern>>,
}

// === impl Endpoint ===

impl JsonSchema for Endpoint {
    fn schema_name() -> Cow<'static, str> {
        Written::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Written::json_schema(generator)
    }
}

// === impl Serves ===

impl Default for Serves {
    fn default() -> Self {
        Self::Composed(Composition::Everything)
    }
}

// === impl Member ===

impl Member {
    /// All of a server.
    pub fn whole(server: ServerName) -> Self {
        Self { server, tags: None, tools: None, resources: None, prompts: None }
    }
}

// === reading ===

/// Reads all endpoints. `declared` are the servers that the file names, also those that are set
/// aside or disabled: a reference to them is no mistake. `served` are the others.
pub(super) fn read_all(
    node: &Node,
    declared: &BTreeSet<String>,
    served: &BTreeMap<ServerName, Server>,
    cx: &mut Cx<'_>,
) -> BTreeMap<String, Endpoint> {
    let Value::Mapping(entries) = &node.value else {
        cx.wrong_kind(node, "a mapping from paths to endpoints");
        return BTreeMap::new();
    };
    let mut endpoints = BTreeMap::new();
    for entry in entries {
        let sound = check_path(entry, cx);
        let endpoint = read(&entry.key, &entry.node, declared, served, cx);
        if let (true, Some(endpoint)) = (sound, endpoint) {
            endpoints.insert(entry.key.clone(), endpoint);
        }
    }
    endpoints
}

fn read(
    path: &str,
    node: &Node,
    declared: &BTreeSet<String>,
    served: &BTreeMap<ServerName, Server>,
    cx: &mut Cx<'_>,
) -> Option<Endpoint> {
    let mut endpoint = Endpoint::default();
    let mut fields = Fields::of(node, format!("endpoint `{path}`"), cx)?;
    let servers = fields.node("servers");
    let server = fields.node("server");
    let names = fields.node("names");
    fields.set_some("title", &mut endpoint.title, cx);
    fields.set_some("instructions", &mut endpoint.instructions, cx);
    fields.set_some("tags", &mut endpoint.tags, cx);
    let tags = fields.node("tags");
    let http = fields.node("http");
    fields.finish(cx);
    match (servers, server) {
        (Some(_), Some(server)) => {
            let message = format!("endpoint `{path}` has both `servers` and `server`");
            let problem = cx.problem(Code::Conflict, &server.range, message);
            cx.report(problem.hint("`server` serves one as it is; `servers` composes several"));
            return None;
        }
        (None, None) if tags.is_some() => {}
        (None, None) => {
            let message = format!("endpoint `{path}` serves nothing");
            let problem = cx.problem(Code::MissingKey, &node.range, message);
            cx.report(problem.hint("write `servers: \"*\"`, a list of servers, or `server: NAME`"));
            return None;
        }
        (Some(servers), None) => {
            endpoint.serves = Serves::Composed(read_composition(servers, declared, cx)?);
        }
        (None, Some(server)) => {
            endpoint.serves = Serves::Single(read_reference(server, declared, cx)?);
        }
    }
    if let (Some(tags), Some(_)) = (tags, server) {
        let message = "a single server is served as it is";
        let problem = cx.problem(Code::Conflict, &tags.range, message);
        cx.report(problem.hint("remove `tags`, or compose with `servers: [NAME]`"));
    }
    tags::warn_of_unknown(&endpoint, servers, tags, served, cx);
    if let Some(names) = names {
        if server.is_some() {
            let message = "a single server keeps its own names";
            let problem = cx.problem(Code::Conflict, &names.range, message);
            cx.report(problem.hint("remove `names`, or compose with `servers: [NAME]`"));
        }
        endpoint.names = Names::read(names, cx)?;
    }
    if let Some(node) = http {
        endpoint.http = bool::read(node, cx)?;
        check_http(&endpoint, node, served, cx);
    }
    Some(endpoint)
}

/// Only what has an OpenAPI document can be served as plain HTTP.
fn check_http(
    endpoint: &Endpoint,
    node: &Node,
    served: &BTreeMap<ServerName, Server>,
    cx: &mut Cx<'_>,
) {
    if !endpoint.http {
        return;
    }
    let Serves::Single(name) = &endpoint.serves else {
        let message = "only an endpoint of one server has a plain API";
        let problem = cx.problem(Code::Conflict, &node.range, message);
        cx.report(problem.hint("write `server: NAME` instead of `servers`, or remove `http`"));
        return;
    };
    // One that is set aside or disabled serves nothing either way.
    let transport = served.get(name).map(|server| &server.transport);
    if transport.is_some_and(|transport| !matches!(transport, Transport::Api(_))) {
        let message = format!("server `{name}` has no OpenAPI document, so it has no plain API");
        let problem = cx.problem(Code::Conflict, &node.range, message);
        cx.report(problem.hint("name a server with `openapi`, or remove `http`"));
    }
}

fn read_composition(
    node: &Node,
    declared: &BTreeSet<String>,
    cx: &mut Cx<'_>,
) -> Option<Composition> {
    let items = match &node.value {
        Value::String(text) if text == "*" => return Some(Composition::Everything),
        Value::Sequence(items) => items,
        _ => {
            cx.wrong_kind(node, "`\"*\"` or a list of servers");
            return None;
        }
    };
    let read: Vec<Option<Member>> =
        items.iter().map(|item| read_member(item, declared, cx)).collect();
    let members = read.into_iter().collect::<Option<Vec<Member>>>()?;
    let mut seen = BTreeSet::new();
    for (member, item) in members.iter().zip(items) {
        if !seen.insert(member.server.as_str()) {
            let message = format!("server `{}` is listed twice", member.server);
            cx.report(cx.problem(Code::Conflict, &item.range, message));
        }
    }
    if members.is_empty() {
        let problem = cx.problem(Code::InvalidValue, &node.range, "this endpoint has no servers");
        cx.report(problem.hint("name servers, or write `\"*\"` for every one"));
        return None;
    }
    Some(Composition::Chosen(members))
}

fn read_member(node: &Node, declared: &BTreeSet<String>, cx: &mut Cx<'_>) -> Option<Member> {
    let Value::Mapping(entries) = &node.value else {
        return read_reference(node, declared, cx).map(Member::whole);
    };
    let [entry] = entries.as_slice() else {
        let message = "an item names one server";
        let problem = cx.problem(Code::InvalidValue, &node.range, message);
        cx.report(problem.hint("write one item for each: `- NAME: { tools: [\"get_*\"] }`"));
        return None;
    };
    let name = Node::string(entry.key_range.clone(), entry.key.as_str());
    let server = read_reference(&name, declared, cx);
    let mut fields = Fields::of(&entry.node, format!("the filter of `{}`", entry.key), cx)?;
    let tags = fields.get("tags", cx);
    let tools = fields.get("tools", cx);
    let resources = fields.get("resources", cx);
    let prompts = fields.get("prompts", cx);
    fields.finish(cx);
    Some(Member { server: server?, tags, tools, resources, prompts })
}

/// The name of a server that exists.
fn read_reference(node: &Node, declared: &BTreeSet<String>, cx: &mut Cx<'_>) -> Option<ServerName> {
    let name = ServerName::read(node, cx)?;
    if declared.contains(name.as_str()) {
        return Some(name);
    }
    let message = format!("there is no server `{name}`");
    let problem = cx.problem(Code::UnknownServer, &node.range, message);
    cx.report(match nearest(&name, declared.iter().map(String::as_str)) {
        Some(near) => problem.hint(format!("did you mean `{near}`?")),
        None if declared.is_empty() => problem.hint("define it under `servers`"),
        None => {
            let known = declared.iter().take(10).map(String::as_str).collect::<Vec<_>>();
            problem.hint(format!("define it under `servers`; known are {}", known.join(", ")))
        }
    });
    None
}

/// Paths that the gate keeps for itself, and what for.
const RESERVED: [(&str, &str); 5] = [
    ("/servers", "each server has an endpoint of its own there"),
    ("/.well-known", "clients look for metadata there"),
    ("/healthz", "it says whether the process lives"),
    ("/readyz", "it says whether the gate is ready"),
    ("/metrics", "it is the Prometheus page"),
];

fn check_path(entry: &Entry, cx: &mut Cx<'_>) -> bool {
    let path = entry.key.as_str();
    let mut report = |code, message: String, hint: &str| {
        cx.report(cx.problem(code, &entry.key_range, message).hint(hint));
        false
    };
    if !path.starts_with('/') || path.ends_with('/') || path.contains("//") {
        let message = format!("`{path}` is not a path of an endpoint");
        return report(
            Code::InvalidValue,
            message,
            "start it with `/`, without an empty segment and without `/` at the end",
        );
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    if !path.bytes().all(plain) || path.split('/').any(|part| matches!(part, "." | "..")) {
        let message = format!("`{path}` is not a path of an endpoint");
        let hint = "segments are made of letters, digits, `-`, `_`, `.` and `~`; no query";
        return report(Code::InvalidValue, message, hint);
    }
    for (reserved, why) in RESERVED {
        let below = path.strip_prefix(reserved);
        if below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
            let message = format!("the path `{path}` is reserved: {why}");
            return report(Code::ReservedPath, message, "choose another path, such as `/mcp/NAME`");
        }
    }
    if path.ends_with("/sse") || path.ends_with("/sse/messages") {
        let message = format!("the path `{path}` is reserved: HTTP+SSE is served there");
        return report(
            Code::ReservedPath,
            message,
            "name the endpoint without `/sse`; HTTP+SSE is then at ENDPOINT/sse",
        );
    }
    true
}
