//! A server that is reached by a URL.

use std::{collections::BTreeMap, fmt, net::IpAddr, path::PathBuf};

use schemars::JsonSchema;
use url::{Host, Url};

use crate::{
    diagnostic::Code,
    model::server::{File, http_url, read_texts, warn_literal},
    secret::Resolved,
    tree::{Entry, Node, Value},
    units::Duration,
    walk::{Cx, Fields, Read},
};

/// A server that is reached by a URL.
#[derive(Clone, Debug, PartialEq, JsonSchema)]
pub struct Remote {
    /// Where it is, `http` or `https`. References may be part of it.
    #[schemars(with = "String")]
    pub url: RemoteUrl,
    /// Headers of every request to it.
    #[serde(default)]
    pub headers: BTreeMap<String, Resolved>,
    /// What the gate shows to be let in.
    #[serde(default)]
    pub credentials: Option<Credentials>,
    /// Own authorities and client certificate.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// The proxy on the way: a URL, or `off`. The default is what `HTTPS_PROXY`, `HTTP_PROXY` and
    /// `NO_PROXY` say.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub proxy: Proxy,
    /// How long connecting may take, the TLS handshake included.
    #[serde(default = "default_connect_timeout")]
    pub connect_timeout: Duration,
}

/// A URL of a server. What may be shown of it is its `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct RemoteUrl {
    url: Url,
    /// With references in it, everything behind the host may be secret.
    has_references: bool,
}

/// What the gate shows a server to be let in.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Credentials {
    /// `Authorization: Bearer …`.
    Bearer(Resolved),
    /// A header of its own.
    Header {
        /// The name of the header.
        name: String,
        /// Its value.
        value: Resolved,
    },
    /// `Authorization: Basic …`.
    Basic {
        /// The user, without `:`.
        username: Resolved,
        /// The password.
        password: Resolved,
    },
}

/// TLS towards a server; the authorities of the system are trusted in any case.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// Authorities that are trusted, too, a PEM file.
    pub ca: File,
    /// The certificate chain that the gate shows, a PEM file.
    pub certificate: File,
    /// Its private key, a PEM file.
    pub key: File,
}

/// The proxy on the way to a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Proxy {
    /// What the environment of the gate says.
    #[default]
    Environment,
    /// None.
    Off,
    /// This one, `http` or `https`; it may carry user and password.
    Url(RemoteUrl),
}

/// The keys of a server behind a URL.
pub(super) const KEYS: &[&str] =
    &["url", "headers", "credentials", "tls", "proxy", "connect_timeout"];

pub(super) const fn default_connect_timeout() -> Duration {
    Duration::secs(10)
}

// === impl Remote ===

impl Remote {
    /// A server with the default settings.
    pub fn new(url: RemoteUrl) -> Self {
        Self {
            url,
            headers: BTreeMap::new(),
            credentials: None,
            tls: None,
            proxy: Proxy::Environment,
            connect_timeout: default_connect_timeout(),
        }
    }

    pub(super) fn read(fields: &mut Fields<'_>, cx: &mut Cx<'_>) -> Option<Self> {
        let place = fields.node("url");
        let url = place.and_then(|node| read_url(node, cx));
        let headers = fields.node("headers");
        let credentials = fields.node("credentials");
        let tls = fields.get("tls", cx);
        let proxy = fields.get("proxy", cx);
        let mut connect_timeout = default_connect_timeout();
        let range = Duration::millis(10)..=Duration::minutes(10);
        fields.set_in("connect_timeout", &mut connect_timeout, range, cx);
        let headers = headers.and_then(|node| read_headers(node, credentials.is_some(), cx));
        let read = credentials.and_then(|node| Credentials::read(node, cx));
        if let (Some(url), Some(node), Some(_)) = (&url, place, credentials) {
            warn_plaintext(url, node, cx);
        }
        Some(Self {
            url: url?,
            headers: headers.unwrap_or_default(),
            credentials: read,
            tls,
            proxy: proxy.unwrap_or_default(),
            connect_timeout,
        })
    }
}

// === impl RemoteUrl ===

impl RemoteUrl {
    /// A URL that holds no secret.
    pub fn new(url: Url) -> Self {
        Self { url, has_references: false }
    }

    /// The URL itself, for connecting.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Whether everything behind the host may be secret.
    pub fn has_references(&self) -> bool {
        self.has_references
    }

    fn is_loopback(&self) -> bool {
        match self.url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
            Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
            None => false,
        }
    }
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.url.host_str().unwrap_or_default();
        write!(f, "{}://{host}", self.url.scheme())?;
        if let Some(port) = self.url.port() {
            write!(f, ":{port}")?;
        }
        if self.has_references { f.write_str("/…") } else { f.write_str(self.url.path()) }
    }
}

impl fmt::Debug for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Warns of credentials that would travel without encryption.
pub(super) fn warn_plaintext(url: &RemoteUrl, node: &Node, cx: &mut Cx<'_>) {
    if url.url.scheme() == "http" && !url.is_loopback() {
        let message = "credentials for this server travel without encryption";
        let problem = cx.problem(Code::PlaintextTransport, &node.range, message);
        cx.report(problem.hint("use `https`"));
    }
}

pub(super) fn read_url(node: &Node, cx: &mut Cx<'_>) -> Option<RemoteUrl> {
    let text = cx.text(node)?;
    let has_references = !text.template().is_literal();
    let problem = match http_url(text.expose()) {
        Ok(url) if url.username().is_empty() && url.password().is_none() => {
            return Some(RemoteUrl { url, has_references });
        }
        Ok(_) => {
            cx.source.mask(node.range.clone());
            cx.problem(Code::InvalidValue, &node.range, "this URL carries a user or a password")
                .hint("write `credentials: { basic: { username: …, password: … } }`")
        }
        Err(reason) => cx
            .problem(Code::InvalidValue, &node.range, reason)
            .hint("write it like `https://mcp.example.com/mcp`"),
    };
    // What a reference stands for is this machine's matter, what is written is the file's.
    if has_references {
        cx.set_aside(problem);
    } else {
        cx.report(problem);
    }
    None
}

// === headers ===

/// Headers that the gate makes itself, or that belong to one connection alone.
const FORBIDDEN_HEADERS: [&str; 15] = [
    "host",
    "content-length",
    "content-type",
    "content-encoding",
    "accept",
    "accept-encoding",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "last-event-id",
    "traceparent",
];

pub(super) fn read_headers(
    node: &Node,
    has_credentials: bool,
    cx: &mut Cx<'_>,
) -> Option<BTreeMap<String, Resolved>> {
    let headers = read_texts(node, "`headers`", check_header, cx)?;
    let mut seen = std::collections::BTreeSet::new();
    for entry in node.entries() {
        let Some(text) = headers.get(&entry.key) else { continue };
        let name = entry.key.to_ascii_lowercase();
        check_header_value(&entry.node, text, cx);
        if looks_secret(&name) {
            warn_literal(&entry.node, text, "TOKEN", cx);
        }
        if has_credentials && name == "authorization" {
            let message = "both `credentials` and this header say who the gate is";
            cx.report(cx.problem(Code::Conflict, &entry.key_range, message).hint("keep one"));
        }
        if !seen.insert(name) {
            let message = format!("header `{}` is written twice", entry.key);
            cx.report(cx.problem(Code::DuplicateKey, &entry.key_range, message));
        }
    }
    Some(headers)
}

pub(super) fn check_header(entry: &Entry, cx: &mut Cx<'_>) -> bool {
    is_header_allowed(&Node::string(entry.key_range.clone(), entry.key.as_str()), cx)
}

pub(super) fn is_header_allowed(node: &Node, cx: &mut Cx<'_>) -> bool {
    let name = node.as_str().unwrap_or_default().to_ascii_lowercase();
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(token) {
        let message = format!("`{name}` is not a name of a header");
        cx.report(cx.problem(Code::InvalidName, &node.range, message));
        return false;
    }
    let reserved = ["mcp-", "proxy-"].iter().any(|prefix| name.starts_with(prefix));
    if reserved || FORBIDDEN_HEADERS.contains(&name.as_str()) {
        let message = format!("the header `{name}` cannot be set");
        let problem = cx.problem(Code::InvalidName, &node.range, message);
        cx.report(problem.label("the gate makes this header for each request itself"));
        return false;
    }
    true
}

/// A line break in a value would become a header of its own.
pub(super) fn check_header_value(node: &Node, text: &Resolved, cx: &mut Cx<'_>) {
    let allowed = |byte: u8| byte == b'\t' || (byte >= b' ' && byte != 0x7f);
    if text.expose().bytes().all(allowed) {
        return;
    }
    let message = "the value contains a line break or another control character";
    let problem = cx.problem(Code::InvalidValue, &node.range, message);
    if text.template().is_literal() { cx.report(problem) } else { cx.set_aside(problem) }
}

/// Whether the value behind a name is most likely a credential.
pub(crate) fn looks_secret(name: &str) -> bool {
    const MARKS: [&str; 9] = [
        "TOKEN",
        "SECRET",
        "PASSW",
        "APIKEY",
        "KEY",
        "CREDENTIAL",
        "AUTHORIZATION",
        "COOKIE",
        "PAT",
    ];

    let name = name.to_ascii_uppercase();
    let mut words = name.split(['_', '-', '.']);
    words.any(|word| MARKS.iter().any(|mark| word.ends_with(mark) || word.starts_with("PASSW")))
        && !name.ends_with("PATH")
}

// === impl Credentials ===

impl Read for Credentials {
    fn read(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, "`credentials`", cx)?;
        let bearer = fields.node("bearer");
        let header = fields.node("header");
        let basic = fields.node("basic");
        fields.finish(cx);
        read_one_credential(node, bearer, header, basic, cx)
    }
}

/// Reads the one that is there.
pub(super) fn read_one_credential(
    node: &Node,
    bearer: Option<&Node>,
    header: Option<&Node>,
    basic: Option<&Node>,
    cx: &mut Cx<'_>,
) -> Option<Credentials> {
    match (bearer, header, basic) {
        (Some(bearer), None, None) => {
            Some(Credentials::Bearer(read_credential(bearer, "TOKEN", cx)?))
        }
        (None, Some(header), None) => read_header_credential(header, cx),
        (None, None, Some(basic)) => read_basic(basic, cx),
        _ => {
            let message = "credentials are one of `bearer`, `header` and `basic`";
            cx.report(
                cx.problem(Code::Conflict, &node.range, message)
                    .hint("write, for example, `credentials: { bearer: \"${env:TOKEN}\" }`"),
            );
            None
        }
    }
}

fn read_header_credential(node: &Node, cx: &mut Cx<'_>) -> Option<Credentials> {
    let mut fields = Fields::of(node, "`header`", cx)?;
    let name = fields.require::<String>("name", cx);
    let sound = fields.node("name").is_some_and(|node| is_header_allowed(node, cx));
    let value =
        fields.required_node("value", cx).and_then(|node| read_credential(node, "API_KEY", cx));
    fields.finish(cx);
    Some(Credentials::Header { name: name.filter(|_| sound)?, value: value? })
}

fn read_basic(node: &Node, cx: &mut Cx<'_>) -> Option<Credentials> {
    let mut fields = Fields::of(node, "`basic`", cx)?;
    let (username, password) = read_pair(&mut fields, cx);
    fields.finish(cx);
    Some(Credentials::Basic { username: username?, password: password? })
}

/// Reads user and password.
pub(super) fn read_pair(
    fields: &mut Fields<'_>,
    cx: &mut Cx<'_>,
) -> (Option<Resolved>, Option<Resolved>) {
    let username = fields.required_node("username", cx).and_then(|node| {
        let username = cx.text(node)?;
        if username.expose().contains(':') {
            let message = "a user name cannot contain `:`";
            cx.report(cx.problem(Code::InvalidValue, &node.range, message));
            return None;
        }
        Some(username)
    });
    let password =
        fields.required_node("password", cx).and_then(|node| read_credential(node, "PASSWORD", cx));
    (username, password)
}

pub(super) fn read_credential(node: &Node, suggestion: &str, cx: &mut Cx<'_>) -> Option<Resolved> {
    let text = cx.text(node)?;
    if text.expose().is_empty() {
        let problem = cx.problem(Code::InvalidValue, &node.range, "this credential is empty");
        if text.template().is_literal() {
            cx.report(problem);
        } else {
            cx.set_aside(problem);
        }
        return None;
    }
    check_header_value(node, &text, cx);
    warn_literal(node, &text, suggestion, cx);
    Some(text)
}

// === impl Tls ===

impl Read for Tls {
    fn read(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let mut tls = Self::default();
        let mut fields = Fields::of(node, "`tls`", cx)?;
        fields.set_some::<PathBuf>("ca", &mut tls.ca, cx);
        fields.set_some::<PathBuf>("certificate", &mut tls.certificate, cx);
        fields.set_some::<PathBuf>("key", &mut tls.key, cx);
        fields.finish(cx);
        if tls.certificate.is_some() != tls.key.is_some() {
            let message = "`certificate` and `key` belong together";
            cx.report(cx.problem(Code::MissingKey, &node.range, message));
            return None;
        }
        Some(tls)
    }
}

// === impl Proxy ===

impl Read for Proxy {
    fn read(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        if matches!(node.value, Value::Bool(false)) || node.as_str() == Some("off") {
            return Some(Self::Off);
        }
        let text = cx.text(node)?;
        match http_url(text.expose()) {
            Ok(url) => {
                let has_references = !text.template().is_literal();
                if url.password().is_some() && !has_references {
                    cx.source.mask(node.range.clone());
                    warn_literal(node, &text, "PROXY_URL", cx);
                }
                Some(Self::Url(RemoteUrl { url, has_references }))
            }
            Err(reason) => {
                let problem = cx.problem(Code::InvalidValue, &node.range, reason);
                cx.report(problem.hint("write `http://proxy.example.com:3128`, or `off`"));
                None
            }
        }
    }
}
