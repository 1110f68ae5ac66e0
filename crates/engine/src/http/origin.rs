//! Where a request goes: what must be equal for two requests to share a connection.

use std::sync::Arc;

use http::header::{HOST, PROXY_AUTHORIZATION};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Uri};

use super::error::ClientError;
use super::proxy::{Proxies, Proxy, Route};

/// Scheme and authority of a server, with everything that follows from them and is the same for each call.
pub(super) struct Origin {
    scheme: Scheme,
    authority: Authority,
    host_header: HeaderValue,
    pub(super) route: Route,
}

impl Origin {
    /// Reads the origin of an absolute URI and chooses its route.
    pub(super) fn of(uri: &Uri, proxies: &Proxies) -> Result<Self, ClientError> {
        let target = |problem| ClientError::Target { problem };
        let scheme = uri.scheme().ok_or(target("it has no scheme"))?.clone();
        if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
            return Err(target("its scheme is neither http nor https"));
        }
        let authority = uri.authority().ok_or(target("it has no host"))?.clone();
        if authority.as_str().contains('@') {
            return Err(target("it carries a user name or password"));
        }
        if authority.host().is_empty() {
            return Err(target("it has no host"));
        }
        let host_header = HeaderValue::from_str(authority.as_str())
            .map_err(|_| target("its host is not valid in a header"))?;
        let mut origin = Self { scheme, authority, host_header, route: Route::Direct };
        origin.route = proxies.route(origin.is_https(), origin.host(), origin.port());
        Ok(origin)
    }

    /// Whether a connection to this origin serves the given URI.
    pub(super) fn serves(&self, uri: &Uri) -> bool {
        uri.scheme() == Some(&self.scheme) && uri.authority() == Some(&self.authority)
    }

    pub(super) fn is_https(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// The host name or address; an IPv6 address without its brackets.
    pub(super) fn host(&self) -> &str {
        self.authority.host().trim_start_matches('[').trim_end_matches(']')
    }

    /// The port, the scheme's own when none is written.
    pub(super) fn port(&self) -> u16 {
        self.authority.port_u16().unwrap_or(if self.is_https() { 443 } else { 80 })
    }

    /// Gives the request the target form and the headers that this origin's route needs.
    pub(super) fn address<B>(&self, request: &mut Request<B>) {
        request.headers_mut().insert(HOST, self.host_header.clone());
        if let Route::Forward(proxy) = &self.route {
            self.address_to_proxy(request, proxy);
            return;
        }
        let path = std::mem::take(request.uri_mut()).into_parts().path_and_query;
        *request.uri_mut() = Uri::from(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
    }

    /// The absolute form stays as it is; the proxy reads the origin from it.
    fn address_to_proxy<B>(&self, request: &mut Request<B>, proxy: &Arc<Proxy>) {
        debug_assert!(!self.is_https(), "https goes through a tunnel");
        if let Some(authorization) = &proxy.authorization {
            request.headers_mut().insert(PROXY_AUTHORIZATION, authorization.clone());
        }
    }
}
