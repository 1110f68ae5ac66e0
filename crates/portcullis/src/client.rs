//! A small MCP client over Streamable HTTP, for the commands that ask an endpoint something.
//!
//! It speaks the newest version, and with servers that do not know it the session protocol of 2025.
//! It can do nothing in the middle of a call, and says so to the server.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;
use engine::http::{Body, Client as Http, Options};
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method as Verb, Request, Response, StatusCode, Uri};
use tokio::time::timeout;
use wire::header as mcp;
use wire::json::Edit;
use wire::method::name;
use wire::sse::Decoder;
use wire::{Id, Json, Limits, Message, Object, Outcome, Version, message, meta};

/// Most pages of a list that are followed: a server that never stops is not followed for ever.
const PAGES_MAX: usize = 1_000;

/// A conversation with one endpoint.
pub(crate) struct Client {
    http: Http,
    uri: Uri,
    headers: HeaderMap,
    wait: Duration,
    spoken: Spoken,
}

/// What was agreed on.
#[derive(Clone, Debug)]
enum Spoken {
    /// Each request says everything.
    Modern,
    /// A session that `initialize` began.
    Legacy { version: Version, session: Option<HeaderValue> },
}

impl Client {
    /// Begins a conversation with the endpoint at `uri`. Every answer must come within `wait`.
    pub(crate) async fn connect(
        uri: Uri,
        headers: HeaderMap,
        wait: Duration,
    ) -> anyhow::Result<Self> {
        let http = Http::new(Options { connect_timeout: wait, ..Options::default() })?;
        let mut client = Self { http, uri, headers, wait, spoken: Spoken::Modern };
        if client.is_modern().await? {
            return Ok(client);
        }
        client.initialize().await?;
        Ok(client)
    }

    /// Calls a method; the result is complete.
    pub(crate) async fn call(&self, method: &str, params: Object) -> anyhow::Result<Object> {
        self.call_with(method, params, HeaderMap::new()).await
    }

    /// As [`Client::call`], with headers that mirror arguments.
    pub(crate) async fn call_with(
        &self,
        method: &str,
        params: Object,
        mirrored: HeaderMap,
    ) -> anyhow::Result<Object> {
        let outcome = self.exchange(method, params, mirrored).await?;
        let result = outcome
            .map_err(|error| anyhow!("{method} failed: {} (code {})", error.message, error.code))?;
        if result.text("resultType").is_some_and(|kind| kind != "complete") {
            bail!("the server asks for input in the middle of {method}; use an AI host for that");
        }
        Ok(result)
    }

    /// All items of a list, its pages followed.
    pub(crate) async fn list(&self, method: &str, member: &str) -> anyhow::Result<Vec<Json>> {
        let mut items = Vec::new();
        let mut params = Object::empty();
        for _ in 0..PAGES_MAX {
            let page = self.call(method, params).await?;
            let listed = page.get(member).and_then(|listed| listed.elements());
            items.extend(listed.with_context(|| format!("{method} answered without `{member}`"))?);
            let Some(cursor) = page.get("nextCursor").filter(|cursor| cursor.text().is_some())
            else {
                return Ok(items);
            };
            params = Object::empty().with(&[Edit::set("cursor", cursor.as_bytes())]);
        }
        bail!("{method} has more than {PAGES_MAX} pages; the rest is not read")
    }

    /// Ends the conversation.
    pub(crate) async fn close(self) {
        if let Spoken::Legacy { session: Some(session), .. } = &self.spoken {
            let mut request = self.request(Bytes::new());
            *request.method_mut() = Verb::DELETE;
            request.headers_mut().insert(mcp::SESSION_ID, session.clone());
            // A session that is not ended in order ends by itself later.
            let _ = timeout(self.wait, self.http.send(request)).await;
        }
    }

    // === beginning ===

    /// Asks in the newest version whether the server speaks it.
    async fn is_modern(&self) -> anyhow::Result<bool> {
        let outcome = match self.exchange(name::DISCOVER, Object::empty(), HeaderMap::new()).await {
            Ok(outcome) => outcome,
            Err(error) if error.is::<NoAnswer>() => return Ok(false),
            Err(error) => return Err(error),
        };
        let versions = outcome.ok().and_then(|result| result.get("supportedVersions")?.elements());
        let newest = Version::LATEST.as_str();
        Ok(versions.is_some_and(|versions| {
            versions.iter().any(|version| version.text().as_deref() == Some(newest))
        }))
    }

    async fn initialize(&mut self) -> anyhow::Result<()> {
        let offered = Version::LATEST_LEGACY;
        self.spoken = Spoken::Legacy { version: offered, session: None };
        let params = format!(
            "{{\"protocolVersion\":\"{offered}\",\"capabilities\":{{}},\"clientInfo\":{}}}",
            engine::identity().as_str()
        );
        let body = message::encode_request(&Id::from(0), name::INITIALIZE, params.as_bytes());
        let (response, outcome) = self.post(body, &Id::from(0), HeaderMap::new()).await?;
        let result = outcome.map_err(|error| {
            anyhow!("the server refused to begin: {} (code {})", error.message, error.code)
        })?;
        let agreed = result.text("protocolVersion").unwrap_or_default();
        let version = Version::parse(&agreed)
            .with_context(|| format!("the server speaks {agreed}, which is not known here"))?;
        let session = response.get(mcp::SESSION_ID).cloned();
        self.spoken = Spoken::Legacy { version, session };
        let mut request =
            self.request(message::encode_notification(name::INITIALIZED, None).into());
        self.mark(request.headers_mut());
        timeout(self.wait, self.http.send(request)).await??;
        Ok(())
    }

    // === one exchange ===

    async fn exchange(
        &self,
        method: &str,
        params: Object,
        mirrored: HeaderMap,
    ) -> anyhow::Result<Outcome> {
        let id = Id::from(1);
        let mut headers = HeaderMap::new();
        let body = if let Spoken::Modern = self.spoken {
            headers.insert(mcp::METHOD, HeaderValue::from_str(method)?);
            let member = wire::Method::parse(method).name_member();
            if let Some(named) = member.and_then(|member| params.text(member)) {
                headers.insert(mcp::NAME, HeaderValue::from_str(&mcp::encode_value(&named))?);
            }
            headers.extend(mirrored);
            let meta = meta();
            message::encode_params_request(
                &id,
                method,
                &params.with(&[Edit::set("_meta", meta.as_bytes())]),
            )
        } else {
            message::encode_params_request(&id, method, &params)
        };
        Ok(self.post(body, &id, headers).await?.1)
    }

    async fn post(
        &self,
        body: Vec<u8>,
        id: &Id,
        headers: HeaderMap,
    ) -> anyhow::Result<(HeaderMap, Outcome)> {
        let mut request = self.request(body.into());
        request.headers_mut().extend(headers);
        self.mark(request.headers_mut());
        let exchange = async {
            let response = self.http.send(request).await?;
            let headers = response.headers().clone();
            Ok((headers, answer(response, id).await?))
        };
        let answered = timeout(self.wait, exchange).await;
        let answered = answered
            .unwrap_or_else(|_| Err(anyhow!("no answer within {} seconds", self.wait.as_secs())));
        answered.with_context(|| format!("asking {}", self.uri))
    }

    fn request(&self, body: Bytes) -> Request<Bytes> {
        let mut request = Request::new(body);
        *request.method_mut() = Verb::POST;
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        headers.clone_from(&self.headers);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(mcp::JSON_TYPE));
        headers.insert(ACCEPT, HeaderValue::from_static(mcp::ACCEPT_BOTH));
        request
    }

    /// Says which version is spoken, and in which session.
    fn mark(&self, headers: &mut HeaderMap) {
        let version = match &self.spoken {
            Spoken::Modern => Version::LATEST,
            Spoken::Legacy { version, session } => {
                if let Some(session) = session {
                    headers.insert(mcp::SESSION_ID, session.clone());
                }
                *version
            }
        };
        headers.insert(mcp::PROTOCOL_VERSION, HeaderValue::from_static(version.as_str()));
    }
}

/// The server answered with something that is no MCP message; before a conversation, that it does not
/// speak the newest version.
#[derive(Debug)]
struct NoAnswer(StatusCode);

impl std::fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let status = self.0;
        write!(f, "the server answered HTTP {status} without an MCP message")?;
        match status {
            StatusCode::NOT_FOUND => f.write_str("; is the path of the URL right?"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for NoAnswer {}

/// The `_meta` of a modern request.
fn meta() -> Json {
    Json::trusted(format!(
        "{{\"{}\":\"{}\",\"{}\":{{}},\"{}\":{}}}",
        meta::PROTOCOL_VERSION,
        Version::LATEST,
        meta::CLIENT_CAPABILITIES,
        meta::CLIENT_INFO,
        engine::identity().as_str()
    ))
}

/// Reads the answer with this id, whether it comes alone or at the end of a stream.
async fn answer(response: Response<Body>, id: &Id) -> anyhow::Result<Outcome> {
    let status = response.status();
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        bail!("the server refused access (HTTP {status}); add --header 'Authorization: Bearer …'");
    }
    let media_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_stream =
        media_type.is_some_and(|media_type| media_type.starts_with(mcp::EVENT_STREAM_TYPE));
    let limits = Limits::SERVER;
    if !is_stream {
        let text = response.into_body().collect_limited(limits.bytes).await?;
        return of_message(&text, id, &limits).ok_or_else(|| NoAnswer(status).into());
    }
    let mut body = response.into_body();
    let mut events = Decoder::new(limits.bytes);
    while let Some(chunk) = body.chunk().await {
        events.feed(chunk?);
        while let Some(event) = events.next_event().map_err(|_| anyhow!("an event is too large"))? {
            if let Some(outcome) = of_message(&event.data, id, &limits) {
                return Ok(outcome);
            }
        }
    }
    bail!("the stream ended before the answer")
}

/// The outcome in a message, if it is the awaited answer; errors about unreadable requests have no id.
fn of_message(text: &Bytes, id: &Id, limits: &Limits) -> Option<Outcome> {
    match Message::decode(text, limits) {
        Ok(Message::Response(response)) if response.id.as_ref().is_none_or(|found| found == id) => {
            Some(response.outcome)
        }
        Ok(_) | Err(_) => None,
    }
}

/// A header as the command line has it: `Name: value`.
pub(crate) fn parse_header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let wrong = || format!("`{text}` is no header; write it like 'Authorization: Bearer …'");
    let (name, value) = text.split_once(':').ok_or_else(wrong)?;
    let mut value = HeaderValue::from_str(value.trim()).map_err(|_| wrong())?;
    value.set_sensitive(true);
    Ok((name.trim().parse().map_err(|_| wrong())?, value))
}

#[cfg(test)]
mod tests;
