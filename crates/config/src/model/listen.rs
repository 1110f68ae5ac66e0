//! Where the gate listens, for clients and for operators.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use schemars::JsonSchema;
use url::Url;

use crate::{
    diagnostic::{Code, Diagnostic, Place, Source},
    tree::{Node, Value},
    walk::{Cx, Fields, Read},
};

/// Where clients connect.
#[derive(Clone, Debug, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Listen {
    /// Address and port. Port 0 takes any free port.
    #[schemars(with = "String")]
    pub address: SocketAddr,
    /// The URL under which clients reach the gate, when it is not the address: behind a reverse
    /// proxy, or with a name.
    #[schemars(with = "Option<String>")]
    pub public_url: Option<Url>,
    /// Values of the `Host` header that are accepted besides the address and `public_url`. On
    /// loopback the loopback names are accepted, too.
    pub allowed_hosts: Vec<String>,
    /// Values of the `Origin` header that are accepted, such as `https://inspector.example.com`.
    /// Requests without `Origin` do not come from web pages and are accepted.
    pub allowed_origins: Vec<String>,
    /// Serve HTTPS.
    pub tls: Option<ListenTls>,
    /// Accept that everybody who reaches an address beyond loopback may use every server.
    pub insecure_public: bool,
    #[schemars(skip)]
    place: Written,
}

/// Serving HTTPS.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenTls {
    /// The certificate chain, a PEM file.
    pub certificate: PathBuf,
    /// The private key, a PEM file.
    pub key: PathBuf,
    /// Demand a certificate of clients that one of these authorities signed, a PEM file.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
}

/// Where operators connect.
#[derive(Clone, Debug, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// Address and port, on loopback. Port 0 takes any free port.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    #[schemars(skip)]
    place: Written,
}

/// Where an address was written, for a check that is made after reading.
#[derive(Clone, Default)]
struct Written(Option<Place>);

// === impl Listen ===

impl Listen {
    /// A listener with defaults at an address that no file names.
    pub fn at(address: SocketAddr) -> Self {
        Self {
            address,
            public_url: None,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            tls: None,
            insecure_public: false,
            place: Written(None),
        }
    }

    pub(crate) fn exposed(&self) -> Diagnostic {
        let message = format!(
            "`{}` can be reached from other machines, and nothing identifies callers",
            self.address
        );
        Diagnostic::new(Code::ExposedListener, self.place.get(), message)
            .label("everybody who reaches this address could use every server")
            .hint(format!(
                "listen on 127.0.0.1:{}, or accept it with `insecure_public: true` beside `address`",
                self.address.port()
            ))
    }

    fn read_address(node: &Node, cx: &mut Cx<'_>) -> Option<(SocketAddr, Written)> {
        let address = read_address(node, cx)?;
        Some((address, Written(Some(cx.place(node.range.clone())))))
    }
}

impl Default for Listen {
    fn default() -> Self {
        Self::at(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080))
    }
}

impl PartialEq for Listen {
    /// Two are equal when they say the same, wherever they were written.
    fn eq(&self, other: &Self) -> bool {
        self.address == other.address
            && self.public_url == other.public_url
            && self.allowed_hosts == other.allowed_hosts
            && self.allowed_origins == other.allowed_origins
            && self.tls == other.tls
            && self.insecure_public == other.insecure_public
    }
}

impl Read for Listen {
    fn read(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let mut listen = Self::default();
        if !matches!(node.value, Value::Mapping(_)) {
            (listen.address, listen.place) = Self::read_address(node, cx)?;
            return Some(listen);
        }
        let mut fields = Fields::of(node, "`listen`", cx)?;
        if let Some(written) = fields.node("address")
            && let Some(read) = Self::read_address(written, cx)
        {
            (listen.address, listen.place) = read;
        }
        if let Some(node) = fields.node("public_url") {
            listen.public_url = read_public_url(node, cx);
        }
        if let Some(node) = fields.node("allowed_hosts") {
            listen.allowed_hosts = read_hosts(node, cx);
        }
        if let Some(node) = fields.node("allowed_origins") {
            listen.allowed_origins = read_origins(node, cx);
        }
        fields.set_some("tls", &mut listen.tls, cx);
        fields.set("insecure_public", &mut listen.insecure_public, cx);
        fields.finish(cx);
        Some(listen)
    }
}

impl Read for ListenTls {
    fn read(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, "`listen.tls`", cx)?;
        let certificate = fields.require("certificate", cx);
        let key = fields.require("key", cx);
        let client_ca = fields.get("client_ca", cx);
        fields.finish(cx);
        Some(Self { certificate: certificate?, key: key?, client_ca })
    }
}

/// Hosts as the `Host` header has them: a name or an address, perhaps with a port.
fn read_hosts(node: &Node, cx: &mut Cx<'_>) -> Vec<String> {
    let hosts: Vec<String> = Read::read(node, cx).unwrap_or_default();
    for host in &hosts {
        let url = Url::parse(&format!("http://{host}/"));
        let sound = url.is_ok_and(|url| url.path() == "/" && url.username().is_empty())
            && !host.contains(['/', '?', '#', '@', '*', ' ']);
        if !sound {
            let message = format!("`{host}` is not a host");
            let problem = cx.problem(Code::InvalidValue, &node.range, message);
            cx.report(problem.hint("write it like `mcp.example.com` or `mcp.example.com:8443`"));
        }
    }
    hosts
}

/// The origin of a web page is scheme, host and port, and nothing after them.
fn read_origins(node: &Node, cx: &mut Cx<'_>) -> Vec<String> {
    let origins: Vec<String> = Read::read(node, cx).unwrap_or_default();
    for origin in &origins {
        let sound = Url::parse(origin)
            .is_ok_and(|url| url.has_host() && url.origin().ascii_serialization() == *origin);
        if !sound {
            let message = format!("`{origin}` is not an origin");
            let problem = cx.problem(Code::InvalidValue, &node.range, message);
            cx.report(problem.hint(
                "an origin is a scheme and a host, such as `https://app.example.com`, in lower \
                 case, without a path and without the default port",
            ));
        }
    }
    origins
}

fn read_public_url(node: &Node, cx: &mut Cx<'_>) -> Option<Url> {
    let text = String::read(node, cx)?;
    let url = Url::parse(&text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
    });
    if url.is_none() {
        let problem = cx.problem(Code::InvalidValue, &node.range, "this is not a public URL");
        cx.report(problem.hint("write it like `https://mcp.example.com`, without query or user"));
    }
    url
}

// === impl Admin ===

impl Admin {
    /// The admin listener at an address that no file names.
    pub fn at(listen: SocketAddr) -> Self {
        Self { listen, place: Written(None) }
    }

    pub(crate) fn exposed(&self) -> Diagnostic {
        let message =
            format!("the admin listener `{}` can be reached from other machines", self.listen);
        Diagnostic::new(Code::ExposedListener, self.place.get(), message)
            .label("nothing identifies operators")
            .hint(format!("listen on 127.0.0.1:{}, or write `admin: off`", self.listen.port()))
    }

    /// The admin listener; `None` when it is switched off, or wrong and reported.
    pub(crate) fn read_or_off(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        match &node.value {
            Value::Bool(false) => return None,
            Value::Bool(true) => return Some(Self::default()),
            Value::String(word) if word == "off" => return None,
            Value::Mapping(_) => {}
            _ => {
                let (listen, place) = Listen::read_address(node, cx)?;
                return Some(Self { listen, place });
            }
        }
        let mut admin = Self::default();
        let mut fields = Fields::of(node, "`admin`", cx)?;
        if let Some(node) = fields.node("listen")
            && let Some((listen, place)) = Listen::read_address(node, cx)
        {
            admin = Self { listen, place };
        }
        fields.finish(cx);
        Some(admin)
    }
}

impl Default for Admin {
    fn default() -> Self {
        Self::at(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8081))
    }
}

impl PartialEq for Admin {
    fn eq(&self, other: &Self) -> bool {
        self.listen == other.listen
    }
}

// === impl Written ===

impl Written {
    fn get(&self) -> Place {
        self.0.clone().unwrap_or_else(|| {
            // Nothing was written: the address came from the command line or is a default.
            Place::whole(Source::new("command line".as_ref(), ""))
        })
    }
}

impl std::fmt::Debug for Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Some(place) => write!(f, "line {}", place.span().line),
            None => f.write_str("nowhere"),
        }
    }
}

fn read_address(node: &Node, cx: &mut Cx<'_>) -> Option<SocketAddr> {
    let text = node.scalar().unwrap_or_default();
    let named = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let address = named.as_deref().unwrap_or(&text).parse();
    if let Ok(address) = address {
        return Some(address);
    }
    let message = match text.as_str() {
        "" => format!("expected an address, found {}", node.kind()),
        text => format!("`{text}` is not an address with a port"),
    };
    let problem = cx.problem(Code::InvalidValue, &node.range, message);
    let port = text.trim_start_matches(':');
    cx.report(match port.parse::<u16>() {
        Ok(port) => problem.hint(format!("write `127.0.0.1:{port}`")),
        Err(_) => problem.hint("write it like `127.0.0.1:8080` or `[::1]:8080`"),
    });
    None
}
