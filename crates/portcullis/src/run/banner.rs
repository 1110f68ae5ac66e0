//! What a person sees once the gate serves: where to connect, and with which line.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use config::{Composition, Config, Serves, hosts};
use engine::Overview;
use serde_json::json;

/// What is served, and where.
pub(super) struct Served {
    /// The URL without a path.
    base: String,
    /// Endpoints of the configuration, with what stands behind each.
    endpoints: Vec<(String, String)>,
    servers: Vec<String>,
    quarantined: Vec<(String, String)>,
    admin: Option<SocketAddr>,
}

impl Served {
    /// What a gate serves; the configuration has the addresses that were bound.
    pub(super) fn new(config: &Config, overview: &Overview, admin: Option<SocketAddr>) -> Self {
        let servers: Vec<_> = overview.servers.iter().map(|server| server.name.clone()).collect();
        let behind = |serves: &Serves| match serves {
            Serves::Single(name) => name.to_string(),
            Serves::Composed(Composition::Everything) => servers.join(", "),
            Serves::Composed(Composition::Chosen(members)) => {
                members.iter().map(|member| member.server.as_str()).collect::<Vec<_>>().join(", ")
            }
        };
        let endpoints = config
            .endpoints
            .iter()
            .map(|(path, endpoint)| (path.clone(), behind(&endpoint.serves)))
            .collect();
        let quarantined = overview.quarantined.clone().into_iter().collect();
        Self { base: base(&config.listen), endpoints, servers, quarantined, admin }
    }

    /// For programs: one line.
    pub(super) fn as_json(&self) -> serde_json::Value {
        let endpoints: Vec<_> =
            self.endpoints.iter().map(|(path, _)| format!("{}{path}", self.base)).collect();
        json!({
            "listening": self.base,
            "admin": self.admin.map(|admin| format!("http://{admin}")),
            "endpoints": endpoints,
            "servers": self.servers,
            "quarantined": self.quarantined.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        })
    }

    /// For people.
    pub(super) fn as_text(&self) -> String {
        let mut out = format!("\nPortcullis {} is up.\n\n", env!("CARGO_PKG_VERSION"));
        let own = !self.servers.is_empty();
        let own = own.then(|| ("/servers/NAME/mcp".to_owned(), "each server by itself".to_owned()));
        let rows: Vec<_> = self.endpoints.iter().chain(own.as_ref()).collect();
        let width = rows.iter().map(|(path, _)| path.len()).max().unwrap_or_default();
        for (path, behind) in rows {
            let behind = if behind.is_empty() { "no servers yet" } else { behind };
            let _ = writeln!(out, "  {}{path:width$}   {behind}", self.base);
        }
        if let Some(admin) = self.admin {
            let _ = writeln!(out, "  http://{admin}/metrics   numbers; /status shows the servers");
        }
        for (name, why) in &self.quarantined {
            let _ = writeln!(out, "\n  server {name} is set aside: {why}");
        }
        if let Some((path, _)) = self.preferred() {
            let _ = writeln!(out, "\nConnect a client:\n");
            for line in hosts::connect_lines(&format!("{}{path}", self.base)) {
                let _ = writeln!(out, "  {} ({})\n    {}", line.client, line.action, line.text);
            }
        }
        out.push_str("\nCtrl-C ends the gate.\n\n");
        out
    }

    fn preferred(&self) -> Option<&(String, String)> {
        let usual = self.endpoints.iter().find(|(path, _)| path == "/mcp");
        usual.or_else(|| self.endpoints.first())
    }
}

/// The URL under which clients reach the gate, without a path.
fn base(listen: &config::Listen) -> String {
    if let Some(url) = &listen.public_url {
        return url.as_str().trim_end_matches('/').to_owned();
    }
    let scheme = if listen.tls.is_some() { "https" } else { "http" };
    let mut address = listen.address;
    // Everywhere is no address to connect to.
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    format!("{scheme}://{address}")
}
