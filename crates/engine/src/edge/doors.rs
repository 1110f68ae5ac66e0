//! Which hosts and origins may come in: the answer to DNS rebinding and to pages in a browser.

use http::header::{HOST, HeaderName, ORIGIN};
use http::request::Parts;
use url::Url;

use crate::fault::{Fault, Reason};

/// The names under which the gate is reached, and the pages that may reach it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Doors {
    /// Host names without port, lower case.
    hosts: Vec<String>,
    /// Origins as browsers write them, lower case.
    origins: Vec<String>,
    /// Any host is let in: the operator wrote `*`.
    any_host: bool,
    /// Any origin is let in: the operator wrote `*`.
    any_origin: bool,
}

const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

impl Doors {
    pub(crate) fn new(listen: &config::Listen) -> Self {
        let mut hosts: Vec<String> = listen
            .allowed_hosts
            .iter()
            .map(|host| without_port(host).to_ascii_lowercase())
            .collect();
        hosts.extend(LOOPBACK.map(str::to_owned));
        let address = listen.address.ip();
        if !address.is_unspecified() {
            hosts.push(if address.is_ipv6() {
                format!("[{address}]")
            } else {
                address.to_string()
            });
        }
        let mut origins: Vec<String> = listen
            .allowed_origins
            .iter()
            .map(|origin| origin.trim_end_matches('/').to_ascii_lowercase())
            .collect();
        if let Some(url) = &listen.public_url {
            hosts.extend(url.host_str().map(str::to_ascii_lowercase));
            origins.push(url.origin().ascii_serialization());
        }
        let any_host = hosts.iter().any(|host| host == "*");
        let any_origin = origins.iter().any(|origin| origin == "*");
        Self { hosts, origins, any_host, any_origin }
    }

    /// Lets a request in, or says why not. HTTP/2 requests name their host in the URI.
    pub(crate) fn check(&self, head: &Parts) -> Result<(), Fault> {
        let host = match sole(head, &HOST) {
            Some(host) => host,
            None => head.uri.authority().map_or("", http::uri::Authority::as_str),
        };
        if !self.admits_host(host) {
            return Err(Fault::new(
                Reason::ForbiddenOrigin,
                format!(
                    "Host {host:?} is not served here; the operator may add it to `listen.allowed_hosts`"
                ),
            ));
        }
        let Some(origin) = sole(head, &ORIGIN) else { return Ok(()) };
        if self.admits_origin(origin) {
            return Ok(());
        }
        Err(Fault::new(
            Reason::ForbiddenOrigin,
            format!(
                "Origin {origin:?} is not allowed; the operator may add it to `listen.allowed_origins`"
            ),
        ))
    }

    fn admits_host(&self, host: &str) -> bool {
        let name = without_port(host);
        self.any_host || self.hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
    }

    /// Pages from this machine are let in, as are those the operator names.
    fn admits_origin(&self, origin: &str) -> bool {
        if self.any_origin || self.origins.iter().any(|known| known.eq_ignore_ascii_case(origin)) {
            return true;
        }
        let Ok(url) = Url::parse(origin) else { return false };
        matches!(url.scheme(), "http" | "https")
            && url.host_str().is_some_and(|host| LOOPBACK.contains(&host))
    }
}

/// The value of a header that may be there once. Two are read as one that nobody admits: whoever stands
/// between could have looked at either.
fn sole<'a>(head: &'a Parts, name: &HeaderName) -> Option<&'a str> {
    let mut values = head.headers.get_all(name).iter();
    let first = values.next()?.to_str().unwrap_or_default();
    Some(if values.next().is_some() { "" } else { first })
}

/// The host without its port; IPv6 keeps its brackets.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if port.bytes().all(|byte| byte.is_ascii_digit())
                && (!name.contains(':') || name.ends_with(']')) =>
        {
            name
        }
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(doors: &Doors, host: &str, origin: Option<&str>) -> bool {
        let mut request = http::Request::builder().uri("/mcp").header(HOST, host);
        if let Some(origin) = origin {
            request = request.header(ORIGIN, origin);
        }
        doors.check(&request.body(()).unwrap().into_parts().0).is_ok()
    }

    #[test]
    fn only_known_hosts_and_origins_come_in() {
        let doors = Doors::new(&config::Config::default().listen);
        for (host, origin, admitted) in [
            ("localhost:8080", None, true),
            ("127.0.0.1:9", None, true),
            ("[::1]:8080", None, true),
            ("LOCALHOST", None, true),
            ("evil.example.com", None, false),
            ("localhost.evil.example.com", None, false),
            ("localhost:8080", Some("http://localhost:6274"), true),
            ("localhost:8080", Some("http://evil.example.com"), false),
            ("localhost:8080", Some("http://localhost.evil.example.com"), false),
            ("localhost:8080", Some("null"), false),
            ("", None, false),
        ] {
            assert_eq!(check(&doors, host, origin), admitted, "{host} {origin:?}");
        }
    }
}
