//! A server that is an HTTP API, made of its OpenAPI document.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use schemars::JsonSchema;
use url::Url;

use crate::{
    diagnostic::Code,
    model::{
        Limits,
        server::{
            http_url,
            remote::{self, Proxy, RemoteUrl, Tls},
        },
        word::words,
    },
    secret::Resolved,
    tree::Node,
    units::{Bytes, Duration},
    walk::{Cx, Fields, Read},
};

mod addresses;
mod credentials;
mod define;
mod pagination;
mod tools;

use addresses::WrittenAddresses;

pub use addresses::Balance;
pub use credentials::{ApiCredentials, ClientCredentials, SchemeCredentials};
pub use define::{ArgumentLocation, ArgumentType, DefinedArgument, DefinedBody, DefinedTool};
pub use pagination::{PagePlace, PageStep, Pagination, StatedPagination};
pub(super) use tools::is_tool_name;
pub use tools::{
    ApiTools, ArgumentOverride, HintOverrides, JsonText, OperationSelector, ToolOverride,
};

/// An HTTP API whose operations are tools, by its OpenAPI document or written by hand.
#[derive(Clone, Debug, PartialEq, JsonSchema)]
pub struct Api {
    /// The OpenAPI document: a file or a URL. A relative file starts at the configuration file.
    /// References may be part of it. Without it, all tools are those of `tools.define`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub openapi: Option<ApiDocument>,
    /// Where the API is, `http` or `https`: a URL, or a list of addresses that are the same. It
    /// replaces the servers of the document.
    #[serde(default, rename = "url")]
    #[schemars(with = "Option<WrittenAddresses>")]
    pub addresses: Vec<RemoteUrl>,
    /// Which address a request goes to. The default with a list of `url`s is `round-robin`. With
    /// `balance` and without `url`, all servers of the document count, else the first alone.
    #[serde(default)]
    pub balance: Option<Balance>,
    /// Headers of every request to it.
    #[serde(default)]
    pub headers: BTreeMap<String, Resolved>,
    /// What the gate shows to be let in.
    #[serde(default)]
    pub credentials: ApiCredentials,
    /// Own authorities and client certificate.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// The proxy on the way: a URL, or `off`. The default is what `HTTPS_PROXY`, `HTTP_PROXY` and
    /// `NO_PROXY` say.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub proxy: Proxy,
    /// How long connecting may take, the TLS handshake included.
    #[serde(default = "remote::default_connect_timeout")]
    pub connect_timeout: Duration,
    /// Which operations are tools, and what is changed about them.
    #[serde(default)]
    pub tools: ApiTools,
    /// Which tools carry an `outputSchema`.
    #[serde(default)]
    pub output: Output,
    /// How long the text of a result may be; longer ones are cut.
    #[serde(default = "default_result_bytes")]
    pub result_bytes: Bytes,
    /// Headers of clients that are passed on, by their names.
    #[serde(default)]
    pub forward_headers: Vec<String>,
    /// Overlays (Overlay Specification 1.0) that change the document, files, in their order.
    #[serde(default)]
    pub overlays: Vec<PathBuf>,
    /// Origins, such as `https://schemas.example.com`, that the document may refer to besides its
    /// own.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub refs: Vec<Url>,
    /// How often a document that is given by a URL is read again. Files are read again when they
    /// change.
    #[serde(default = "default_reload")]
    pub reload: Duration,
    /// How the next page of a result is found.
    #[serde(default)]
    pub pagination: Pagination,
}

/// Where an OpenAPI document is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiDocument {
    /// A file.
    File(PathBuf),
    /// A URL, `http` or `https`.
    Url(RemoteUrl),
}

words! {
    /// Which tools of an API carry an `outputSchema`.
    Output {
        /// Those whose schema is at most 8 KiB long.
        #[default]
        Auto = "auto",
        /// None.
        Off = "off",
        /// All whose operation describes what it answers with.
        On = "on",
    }
}

/// The keys that only servers with `openapi` have.
pub(super) const OWN_KEYS: &[&str] = &[
    "openapi",
    "balance",
    "tools",
    "output",
    "result_bytes",
    "forward_headers",
    "overlays",
    "refs",
    "reload",
    "pagination",
];

/// How long a call to an API may take unless the configuration says otherwise.
pub(super) const TIMEOUT: Duration = Duration::secs(10);

const fn default_result_bytes() -> Bytes {
    Bytes::kib(64)
}

const fn default_reload() -> Duration {
    Duration::minutes(5)
}

/// Most headers that are passed on, overlays and origins, each.
const ENTRIES_MAX: usize = 100;

// === impl Api ===

impl Api {
    /// An API that has a document, with the default settings.
    pub fn new(openapi: ApiDocument, url: Option<RemoteUrl>) -> Self {
        Self {
            openapi: Some(openapi),
            addresses: url.into_iter().collect(),
            balance: None,
            headers: BTreeMap::new(),
            credentials: ApiCredentials::default(),
            tls: None,
            proxy: Proxy::default(),
            connect_timeout: remote::default_connect_timeout(),
            tools: ApiTools::default(),
            output: Output::default(),
            result_bytes: default_result_bytes(),
            forward_headers: Vec::new(),
            overlays: Vec::new(),
            refs: Vec::new(),
            reload: default_reload(),
            pagination: Pagination::default(),
        }
    }

    /// How requests are shared out to several addresses; `None` where nobody asked for that: the
    /// servers of a document are often places for different purposes.
    pub fn balance(&self) -> Option<Balance> {
        let is_list = self.addresses.len() > 1;
        self.balance.or_else(|| is_list.then_some(Balance::RoundRobin))
    }

    /// Every value in it that may be a secret.
    pub fn secrets(&self) -> impl Iterator<Item = &Resolved> {
        let of_tools = self.tools.overrides.values().flat_map(ToolOverride::secrets);
        let defined = self.tools.define.iter().flat_map(|(_, tool)| tool.secrets());
        self.headers.values().chain(self.credentials.secrets()).chain(of_tools).chain(defined)
    }

    /// The values that nobody but the API may see: its credentials without names of users, and what
    /// else is written by reference.
    pub fn confidential(&self) -> Vec<&Resolved> {
        let is_kept = |text: &&Resolved| !text.template().is_literal();
        let of_tools = self.tools.overrides.values().flat_map(ToolOverride::secrets);
        let defined = self.tools.define.iter().flat_map(|(_, tool)| tool.secrets());
        let others = self.headers.values().chain(of_tools).chain(defined).filter(is_kept);
        self.credentials.confidential().chain(others).collect()
    }

    pub(super) fn read(fields: &mut Fields<'_>, limits: &Limits, cx: &mut Cx<'_>) -> Option<Self> {
        let place = fields.node("openapi");
        let openapi = place.and_then(|node| ApiDocument::read(node, cx));
        let url_place = fields.node("url");
        let url = url_place.map(|node| addresses::read(node, cx));
        let headers = fields.node("headers");
        let credentials_place = fields.node("credentials");
        let mut api = Self::new(ApiDocument::File(PathBuf::new()), None);
        fields.set("credentials", &mut api.credentials, cx);
        let headers = headers
            .and_then(|node| remote::read_headers(node, api.credentials.always.is_some(), cx));
        api.headers = headers.unwrap_or_default();
        api.tls = fields.get("tls", cx);
        fields.set("proxy", &mut api.proxy, cx);
        let range = Duration::millis(10)..=Duration::minutes(10);
        fields.set_in("connect_timeout", &mut api.connect_timeout, range, cx);
        fields.set("tools", &mut api.tools, cx);
        fields.set("output", &mut api.output, cx);
        fields.set("pagination", &mut api.pagination, cx);
        let range = Bytes::kib(1)..=limits.response_bytes;
        fields.set_in("result_bytes", &mut api.result_bytes, range, cx);
        if let Some(node) = fields.node("forward_headers") {
            api.forward_headers = read_forwarded(node, cx).unwrap_or_default();
        }
        fields.set("overlays", &mut api.overlays, cx);
        if let Some(node) = fields.node("refs") {
            api.refs = read_origins(node, cx).unwrap_or_default();
        }
        let range = Duration::secs(1)..=Duration::hours(24 * 7);
        fields.set_in("reload", &mut api.reload, range, cx);
        if let Some(reload) = fields.node("reload")
            && matches!(openapi, Some(ApiDocument::File(_)))
        {
            let problem = cx.problem(
                Code::WithoutEffect,
                &reload.range,
                "a document in a file is read again when the file changes",
            );
            cx.report(problem.hint("leave `reload` out"));
        }
        if let (Some(Some(addresses)), Some(_)) = (&url, credentials_place) {
            for (url, node) in addresses {
                remote::warn_plaintext(url, node, cx);
            }
        }
        fields.set_some("balance", &mut api.balance, cx);
        if let (Some(Some([_])), Some(node)) =
            (url.as_ref().map(Option::as_deref), fields.node("balance"))
        {
            let message = "there is one address, so nothing is shared out";
            let problem = cx.problem(Code::WithoutEffect, &node.range, message);
            cx.report(problem.hint("write all addresses as a list: `url: [https://…, https://…]`"));
        }
        if place.is_none() {
            warn_without_document(fields, cx);
        }
        // One that is written and cannot be read must not become none.
        api.openapi = match place {
            Some(_) => Some(openapi?),
            None => None,
        };
        // One that is written and cannot be read must not become the document's.
        if let Some(addresses) = url {
            api.addresses = addresses?.into_iter().map(|(url, _)| url).collect();
        }
        Some(api)
    }
}

/// Without a document there is nothing to choose from, to change or to read again.
fn warn_without_document(fields: &mut Fields<'_>, cx: &mut Cx<'_>) {
    let tools = fields.node("tools");
    let of_tools =
        ["include", "exclude", "override"].map(|key| (key, tools.and_then(|tools| tools.get(key))));
    let own = ["overlays", "refs", "reload"].map(|key| (key, fields.node(key)));
    for (key, node) in of_tools.into_iter().chain(own) {
        let Some(node) = node else { continue };
        let message = format!("`{key}` is about an OpenAPI document, and this server has none");
        let problem = cx.problem(Code::WithoutEffect, &node.range, message);
        cx.report(problem.hint(format!("leave `{key}` out, or add `openapi`")));
    }
}

fn read_forwarded(node: &Node, cx: &mut Cx<'_>) -> Option<Vec<String>> {
    let names = bounded(Vec::<String>::read(node, cx)?, node, cx)?;
    let crate::tree::Value::Sequence(items) = &node.value else { return None };
    let allowed = items.iter().map(|item| may_be_forwarded(item, cx));
    // Every name is judged, so that all problems are found.
    let all: Vec<bool> = allowed.collect();
    all.into_iter()
        .all(|is_allowed| is_allowed)
        .then(|| names.iter().map(|name| name.to_ascii_lowercase()).collect())
}

/// What a client shows the gate is for the gate alone: nothing behind it may use it.
fn may_be_forwarded(node: &Node, cx: &mut Cx<'_>) -> bool {
    let name = node.as_str().unwrap_or_default().to_ascii_lowercase();
    if matches!(name.as_str(), "authorization" | "cookie") {
        let message = format!("the header `{name}` is not passed on");
        let problem = cx.problem(Code::InvalidName, &node.range, message);
        let problem = problem.label("what a client shows the gate is for the gate alone");
        cx.report(problem.hint("set `credentials` for the API"));
        return false;
    }
    remote::is_header_allowed(node, cx)
}

fn read_origins(node: &Node, cx: &mut Cx<'_>) -> Option<Vec<Url>> {
    let texts = bounded(Vec::<String>::read(node, cx)?, node, cx)?;
    let mut origins = Vec::with_capacity(texts.len());
    for text in texts {
        match http_url(&text) {
            Ok(url) if url.path() == "/" && url.query().is_none() && url.username().is_empty() => {
                origins.push(url);
            }
            _ => {
                let message = format!("`{text}` is not the origin of a URL");
                let problem = cx.problem(Code::InvalidValue, &node.range, message);
                cx.report(problem.hint("write it like `https://schemas.example.com`"));
            }
        }
    }
    Some(origins)
}

fn bounded<T>(list: Vec<T>, node: &Node, cx: &mut Cx<'_>) -> Option<Vec<T>> {
    if list.len() <= ENTRIES_MAX {
        return Some(list);
    }
    let message = format!("this list has more than {ENTRIES_MAX} entries");
    cx.report(cx.problem(Code::OutOfRange, &node.range, message));
    None
}

// === impl ApiDocument ===

impl ApiDocument {
    fn is_url(text: &str) -> bool {
        let scheme = text.split(':').next().unwrap_or_default();
        scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
    }
}

impl Read for ApiDocument {
    fn read(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let text = cx.text(node)?;
        if Self::is_url(text.expose()) {
            return remote::read_url(node, cx).map(Self::Url);
        }
        if text.expose().is_empty() {
            let message = "this names no document";
            let problem = cx.problem(Code::InvalidValue, &node.range, message);
            cx.report(problem.hint("write the path of a file, or a URL"));
            return None;
        }
        Some(Self::File(cx.base.join(text.expose())))
    }
}

impl fmt::Display for ApiDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Url(url) => fmt::Display::fmt(url, f),
        }
    }
}
