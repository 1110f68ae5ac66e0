//! The configuration as the rest of the gate sees it: complete, checked, references resolved.
//!
//! Each type stands beside its defaults and beside the code that reads it, so that what is
//! documented, what is accepted and what is assumed cannot drift apart. The JSON Schema is made
//! from the same types.

use std::{collections::BTreeMap, path::PathBuf};

use schemars::JsonSchema;

use crate::{
    diagnostic::Diagnostic,
    secret::{Environment, ProcessEnvironment},
    tree::Node,
    walk::{Cx, Fields},
};

mod endpoint;
mod limits;
mod listen;
mod log;
mod name;
mod server;
mod tag;
mod word;

pub use endpoint::{Composition, Endpoint, Member, Names, Serves};
pub use limits::Limits;
#[cfg(test)]
pub(crate) use limits::documented as documented_limits;
pub use listen::{Admin, Listen, ListenTls};
pub use log::{Log, LogFormat, LogLevel};
pub use name::{NameError, Pattern, ServerName};
pub(crate) use server::looks_secret;
pub use server::{
    Api, ApiCredentials, ApiDocument, ApiTools, ArgumentLocation, ArgumentOverride, ArgumentType,
    Balance, ClientCredentials, Composite, CompositeArgument, CompositeTool, Credentials,
    DefinedArgument, DefinedBody, DefinedTool, Era, Formula, HintOverrides, JsonText, OnError,
    OperationSelector, Output, PagePlace, PageStep, Pagination, Proxy, Questions, Remote,
    RemoteUrl, Restart, SchemeCredentials, SecretForms, Server, Session, Stage, Start,
    StatedPagination, Stdio, Step, Tls, ToolOverride, Transport,
};

/// The whole configuration.
#[derive(Clone, Debug, PartialEq, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "Portcullis configuration")]
pub struct Config {
    /// Where clients connect: an address, or a mapping with more.
    #[schemars(with = "Written<Listen>")]
    pub listen: Listen,
    /// Where operators connect: an address, a mapping, or `off`.
    #[schemars(with = "WrittenOrOff<Admin>")]
    pub admin: Option<Admin>,
    /// Where keys and state are kept. The default is `portcullis` in the state directory of the
    /// user (`$XDG_STATE_HOME` or `~/.local/state`).
    #[schemars(with = "String", default, extend("default" = "~/.local/state/portcullis"))]
    pub data_dir: PathBuf,
    /// What stands behind the gate.
    pub servers: BTreeMap<ServerName, Server>,
    /// What clients connect to, by path. Without it, `/mcp` serves every server; and
    /// `/servers/NAME/mcp` exists for each server in any case.
    pub endpoints: BTreeMap<String, Endpoint>,
    /// The bounds of everything that strangers can make large, many or slow.
    pub limits: Limits,
    /// What is written to the log.
    pub log: Log,
}

/// A value with a short form, for the schema alone.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum Written<T> {
    /// The short form: only the address.
    Short(String),
    /// The long form.
    Long(T),
}

/// A value with a short form that can be switched off, for the schema alone.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum WrittenOrOff<T> {
    /// The short form: only the address; or `off`.
    Short(String),
    /// `false` switches it off.
    Switch(bool),
    /// The long form.
    Long(T),
}

// === impl Config ===

impl Config {
    /// The defaults, with the data directory that `environment` suggests.
    pub fn with_environment(environment: &dyn Environment) -> Self {
        Self {
            listen: Listen::default(),
            admin: Some(Admin::default()),
            data_dir: default_data_dir(environment),
            servers: BTreeMap::new(),
            endpoints: BTreeMap::from([("/mcp".to_owned(), Endpoint::default())]),
            limits: Limits::default(),
            log: Log::default(),
        }
    }

    pub(crate) fn read(root: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let mut config = Self::with_environment(cx.environment);
        let mut fields = Fields::of(root, "the configuration", cx)?;
        fields.set("listen", &mut config.listen, cx);
        if let Some(node) = fields.node("admin") {
            config.admin = Admin::read_or_off(node, cx);
        }
        fields.set("data_dir", &mut config.data_dir, cx);
        // Limits come first: they bound what a server may ask for.
        fields.set("limits", &mut config.limits, cx);
        let servers = fields.node("servers");
        let declared = server::read_all(servers, &config.limits, &mut config.servers, cx);
        if let Some(node) = fields.node("endpoints") {
            config.endpoints = endpoint::read_all(node, &declared, &config.servers, cx);
        }
        fields.set("log", &mut config.log, cx);
        fields.finish(cx);
        Some(config)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::with_environment(&ProcessEnvironment)
    }
}

/// Problems of listeners that strangers could reach.
///
/// Nothing identifies callers yet, so a listener beyond loopback lets everybody use every server.
/// That takes either `insecure_public: true` in the file or the command line's flag, which is
/// `allowed`. The admin listener has no such way out: it must stay on loopback.
pub fn check_bind(config: &Config, allowed: bool) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    if !config.listen.address.ip().is_loopback() && !config.listen.insecure_public && !allowed {
        problems.push(config.listen.exposed());
    }
    if let Some(admin) = &config.admin
        && !admin.listen.ip().is_loopback()
    {
        problems.push(admin.exposed());
    }
    problems
}

fn default_data_dir(environment: &dyn Environment) -> PathBuf {
    let set =
        |name| environment.variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = set("XDG_STATE_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| set("HOME").map(|home| home.join(".local/state")))
        .or_else(|| set("LOCALAPPDATA"));
    // A service without a home keeps its state where it was started.
    state.map_or_else(|| PathBuf::from(".portcullis"), |state| state.join("portcullis"))
}
