//! A request that comes as it is, and goes to the API as the document has it.

use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, COOKIE, HeaderMap,
    HeaderName, HeaderValue,
};
use http::request::Parts;
use http::{Method, Response, StatusCode, Version};
use openapi::model::Location;
use openapi::request::Built;
use openapi::route::{Found, Routes};
use openapi::tool::{Source, Tool};
use url::form_urlencoded;

use super::access::Credential;
use super::addresses::Choice;
use super::reserved::name_of;
use super::secrets::Veil;
use super::send::Sent;
use super::{ApiServer, ApiTool};
use crate::http::{Accepted, Body, Outgoing};
use crate::upstream::ServerError;

impl ApiServer {
    /// What a plain request is for: `path` begins with `/`, `query` comes without `?`.
    pub(crate) fn find(&self, method: &str, path: &str, query: &str) -> Found<'_> {
        let routes = self.routes.get_or_init(|| {
            let names = self.definitions().map(|(name, _)| name);
            let tools = names.filter_map(|name| self.tools.get(name));
            Routes::new(tools.map(|tool| &tool.offered.tool), &self.operations)
        });
        routes.find(method, path, query)
    }

    /// Sends a plain request for the operation of `tool`, on its `path`, and returns with the head of
    /// the answer and the address that gave it. Of the client's headers go on what the operation
    /// takes, what describes the body, and what the operator lets through.
    pub(crate) async fn relay(
        &self,
        tool: &ApiTool,
        path: &str,
        head: &Parts,
        body: Outgoing,
    ) -> Result<(Response<Body>, Choice), ServerError> {
        let query = own_query(head.uri.query().unwrap_or_default(), tool);
        let has = |name: &str| head.headers.contains_key(name);
        // Bodies of HTTP/2 need no header to be there.
        let is_framed =
            has("content-length") || has("transfer-encoding") || head.version == Version::HTTP_2;
        let content_type = head.headers.get(CONTENT_TYPE).filter(|_| is_framed);
        let built = Built {
            method: match head.method {
                Method::HEAD => "HEAD".to_owned(),
                _ => tool.offered.tool.operation.method.clone(),
            },
            path_and_query: if query.is_empty() {
                path.to_owned()
            } else {
                format!("{path}?{query}")
            },
            headers: taken(&head.headers, &tool.offered.tool),
            content_type: content_type.and_then(text).map(str::to_owned),
            body: bytes::Bytes::new(),
        };
        let forwarded: Vec<(HeaderName, HeaderValue)> = head
            .headers
            .iter()
            .filter(|(name, _)| may_go_on(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let sent = self.dispatch(tool, &built, body, &forwarded, None, Accepted::AsAsked).await?;
        let Sent { answer, choice, shown } = sent;
        if let Some((tokens, token)) = shown.filter(|_| answer.status() == StatusCode::UNAUTHORIZED)
        {
            // What came in pieces cannot be sent again; the next request has another token.
            tokens.forget(&token).await;
        }
        Ok((answer, choice))
    }

    /// Takes what the gate shows the API out of the headers of its answer, and gives what does so with
    /// the body, if that is a text.
    pub(crate) fn veil(&self, headers: &mut HeaderMap) -> Option<Veil> {
        self.way.secrets.hide_in_headers(headers);
        Veil::new(&self.way.secrets, headers)
    }
}

/// Never passed on, whatever the document or the operator says: what belongs to the client's own hop,
/// to MCP, or lets the client in here.
fn may_go_on(name: &HeaderName) -> bool {
    const NEVER: [&str; 14] = [
        "connection",
        "content-length",
        "expect",
        "forwarded",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
        "accept-encoding",
    ];
    let is_own = *name == AUTHORIZATION || *name == COOKIE || name.as_str().starts_with("mcp-");
    !is_own && !NEVER.contains(&name.as_str())
}

fn text(value: &HeaderValue) -> Option<&str> {
    value.to_str().ok()
}

/// The headers that the operation takes, and what the client accepts.
fn taken(headers: &HeaderMap, tool: &Tool) -> Vec<(String, String)> {
    let arguments = tool.arguments.iter().filter_map(|argument| match argument.source {
        Source::Parameter(number) => tool.operation.parameters.get(number),
        _ => None,
    });
    let declared = arguments
        .filter(|parameter| parameter.location == Location::Header)
        .filter_map(|parameter| HeaderName::try_from(parameter.name.as_str()).ok());
    // Bodies that are compressed stay so, in both directions.
    let names = declared.filter(may_go_on).chain([ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING]);
    let found = names.filter_map(|name| {
        let value = text(headers.get(&name)?)?.to_owned();
        Some((name.as_str().to_owned(), value))
    });
    let mut taken: Vec<(String, String)> = found.collect();
    taken.extend(cookies(headers, tool).map(|pairs| (COOKIE.as_str().to_owned(), pairs)));
    for (name, value) in &tool.additions.headers {
        taken.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        taken.push((name.clone(), value.clone()));
    }
    taken
}

/// The cookies that the operation takes; all others are between the client and the gate.
fn cookies(headers: &HeaderMap, tool: &Tool) -> Option<String> {
    let parameters = tool.operation.parameters.iter();
    let declared: Vec<&str> = parameters
        .filter(|parameter| parameter.location == Location::Cookie)
        .map(|parameter| parameter.name.as_str())
        .collect();
    if declared.is_empty() {
        return None;
    }
    let lines = headers.get_all(COOKIE).iter().filter_map(text);
    let pairs = lines.flat_map(|line| line.split(';')).map(str::trim);
    let taken = pairs.filter(|pair| declared.contains(&pair.split('=').next().unwrap_or_default()));
    let taken = taken.collect::<Vec<_>>().join("; ");
    (!taken.is_empty()).then_some(taken)
}

/// The client's query without what is the gate's to say, and with what the operator adds.
fn own_query(query: &str, tool: &ApiTool) -> String {
    let additions = &tool.offered.tool.additions.query;
    let credentials = tool.access.iter().flatten().filter_map(|credential| match credential {
        Credential::Query(pair) => Some(name_of(pair)),
        _ => None,
    });
    let added = additions.iter().map(|(name, _)| name.clone());
    let bases = tool.addresses.iter().flat_map(|addresses| addresses.bases());
    let of_bases = bases.flat_map(|base| base.query().split('&'));
    let of_bases = of_bases.filter(|pair| !pair.is_empty()).map(name_of);
    let reserved: Vec<String> = credentials.chain(added).chain(of_bases).collect();
    let is_own = |pair: &&str| !pair.is_empty() && !reserved.contains(&name_of(pair));
    let mut pairs: Vec<String> = query.split('&').filter(is_own).map(str::to_owned).collect();
    for (name, value) in additions {
        pairs.push(
            form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish(),
        );
    }
    pairs.join("&")
}
