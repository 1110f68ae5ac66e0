//! Which way a request takes: straight to the server, or through an HTTP proxy.

use std::net::IpAddr;
use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use http::header::{HOST, PROXY_AUTHORIZATION};
use http::{HeaderValue, Method, Request, Uri};
use http_body_util::Empty;
use percent_encoding::percent_decode_str;
use url::Url;

use super::dial::printed_address;
use super::error::ClientError;

/// The way to a server, as configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ProxyChoice {
    /// As `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` say, the lower-case name first.
    /// Loopback is always reached directly.
    #[default]
    Environment,
    /// Directly, whatever the environment says.
    Off,
    /// Through this `http://` proxy, whatever the environment says and also to loopback. A user name and
    /// password in the URL are sent to the proxy.
    Url(Url),
}

/// The way a connection takes.
#[derive(Clone)]
pub(super) enum Route {
    Direct,
    /// `http` through a proxy: it reads the absolute form.
    Forward(Arc<Proxy>),
    /// `https` through a proxy: it sees encrypted bytes only.
    Tunnel(Arc<Proxy>),
}

/// One HTTP proxy.
pub(super) struct Proxy {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) authorization: Option<HeaderValue>,
}

/// The proxies of one client, and the hosts that go without.
pub(super) struct Proxies {
    http: Option<Arc<Proxy>>,
    https: Option<Arc<Proxy>>,
    direct: Vec<Exemption>,
}

/// One entry of `NO_PROXY`.
#[derive(Debug, PartialEq, Eq)]
enum Exemption {
    Everything,
    Loopback,
    /// Addresses whose first `bits` bits are those of the network.
    Network {
        network: IpAddr,
        bits: u8,
    },
    /// A host and every host below it, with this port if one is given.
    Domain {
        name: String,
        port: Option<u16>,
    },
}

impl Proxies {
    pub(super) fn new(
        choice: &ProxyChoice,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ClientError> {
        match choice {
            ProxyChoice::Off => Ok(Self { http: None, https: None, direct: Vec::new() }),
            ProxyChoice::Url(url) => {
                let proxy = Some(Arc::new(Proxy::new(url, "setting")?));
                Ok(Self { http: proxy.clone(), https: proxy, direct: Vec::new() })
            }
            ProxyChoice::Environment => Self::of_environment(lookup),
        }
    }

    fn of_environment(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ClientError> {
        let variable = |name: &'static str| {
            [name.to_lowercase(), name.to_owned()]
                .into_iter()
                .find_map(|name| lookup(&name).filter(|value| !value.trim().is_empty()))
                .map(|value| (name, value))
        };
        let proxy = |name: &'static str| {
            let Some((name, value)) = variable(name).or_else(|| variable("ALL_PROXY")) else {
                return Ok(None);
            };
            Proxy::of_variable(value.trim(), name).map(|proxy| Some(Arc::new(proxy)))
        };
        let mut direct = vec![Exemption::Loopback];
        if let Some((_, list)) = variable("NO_PROXY") {
            let entries = list.split([',', ' ']).map(str::trim).filter(|entry| !entry.is_empty());
            direct.extend(entries.map(Exemption::parse));
        }
        Ok(Self { http: proxy("HTTP_PROXY")?, https: proxy("HTTPS_PROXY")?, direct })
    }

    /// The way to a server; an IPv6 host comes without brackets.
    pub(super) fn route(&self, https: bool, host: &str, port: u16) -> Route {
        match if https { &self.https } else { &self.http } {
            None => Route::Direct,
            Some(_) if self.direct.iter().any(|entry| entry.covers(host, port)) => Route::Direct,
            Some(proxy) if https => Route::Tunnel(Arc::clone(proxy)),
            Some(proxy) => Route::Forward(Arc::clone(proxy)),
        }
    }
}

impl Proxy {
    /// Reads a variable, in which the scheme is often left out.
    fn of_variable(value: &str, name: &str) -> Result<Self, ClientError> {
        let url =
            if value.contains("://") { value.parse() } else { format!("http://{value}").parse() };
        let url: Url = url.map_err(|error| ClientError::Proxy {
            proxy: name.to_owned(),
            problem: format!("not a URL: {error}"),
        })?;
        Self::new(&url, name)
    }

    /// `place` names the setting in errors; the URL itself may hold a password.
    fn new(url: &Url, place: &str) -> Result<Self, ClientError> {
        let wrong = |problem: String| ClientError::Proxy { proxy: place.to_owned(), problem };
        if url.scheme() != "http" {
            let scheme = url.scheme();
            return Err(wrong(format!("only http:// proxies are supported, not {scheme}://")));
        }
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| wrong("the URL has no host".to_owned()))?;
        let authorization = match (url.username(), url.password()) {
            ("", None) => None,
            (user, password) => Some(basic_authorization(user, password.unwrap_or(""))),
        };
        Ok(Self {
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: url.port_or_known_default().unwrap_or(80),
            authorization,
        })
    }

    /// The request for a tunnel to the server.
    pub(super) fn connect_request(
        &self,
        host: &str,
        port: u16,
    ) -> Result<Request<Empty<Bytes>>, ClientError> {
        let target = printed_address(host, port);
        let mut request = Request::new(Empty::new());
        *request.method_mut() = Method::CONNECT;
        let unusable = || self.refused(format!("{target} cannot be asked for"));
        *request.uri_mut() = Uri::try_from(&target).map_err(|_| unusable())?;
        let host_header = HeaderValue::try_from(&target).map_err(|_| unusable())?;
        request.headers_mut().insert(HOST, host_header);
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert(PROXY_AUTHORIZATION, authorization.clone());
        }
        Ok(request)
    }

    pub(super) fn refused(&self, problem: String) -> ClientError {
        ClientError::Proxy { proxy: printed_address(&self.host, self.port), problem }
    }
}

/// The credentials as RFC 7617 writes them, from the percent-encoded parts of a URL.
fn basic_authorization(user: &str, password: &str) -> HeaderValue {
    let mut plain: Vec<u8> = percent_decode_str(user).collect();
    plain.push(b':');
    plain.extend(percent_decode_str(password));
    let encoded = format!("Basic {}", BASE64_STANDARD.encode(plain));
    let mut value = HeaderValue::try_from(encoded).expect("base64 is valid in a header");
    value.set_sensitive(true);
    value
}

impl Exemption {
    fn parse(entry: &str) -> Self {
        if entry == "*" {
            return Self::Everything;
        }
        let bare = entry.trim_start_matches('[').trim_end_matches(']');
        if let Ok(ip) = bare.parse::<IpAddr>() {
            return Self::Network { network: ip, bits: width(ip) };
        }
        if let Some((network, bits)) = entry.split_once('/')
            && let (Ok(network), Ok(bits)) = (network.parse::<IpAddr>(), bits.parse::<u8>())
            && bits <= width(network)
        {
            return Self::Network { network, bits };
        }
        let (name, port) = match entry.rsplit_once(':') {
            Some((name, port)) if port.parse::<u16>().is_ok() => (name, port.parse().ok()),
            _ => (entry, None),
        };
        let name = name.trim_start_matches("*.").trim_start_matches('.');
        Self::Domain { name: name.to_ascii_lowercase(), port }
    }

    fn covers(&self, host: &str, port: u16) -> bool {
        match self {
            Self::Everything => true,
            Self::Loopback => is_loopback(host),
            Self::Network { network, bits } => {
                host.parse().is_ok_and(|ip: IpAddr| shares_prefix(ip, *network, *bits))
            }
            Self::Domain { name, port: only } => {
                only.is_none_or(|only| only == port) && is_at_or_below(host, name)
            }
        }
    }
}

fn is_loopback(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(ip) => ip.to_canonical().is_loopback(),
        Err(_) => is_at_or_below(host, "localhost"),
    }
}

/// Whether the host is the domain or ends with it after a dot; case and a final dot do not matter.
fn is_at_or_below(host: &str, domain: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn width(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

fn shares_prefix(ip: IpAddr, network: IpAddr, bits: u8) -> bool {
    match (ip.to_canonical(), network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            ip.to_bits() & mask == network.to_bits() & mask
        }
        (IpAddr::V6(ip), IpAddr::V6(network)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            ip.to_bits() & mask == network.to_bits() & mask
        }
        _ => false,
    }
}
