//! Tokens of an authorization server for the gate itself (OAuth 2.0, RFC 6749 §4.4): fetched once,
//! kept until shortly before they end.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use config::{ClientCredentials, Resolved};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Method as Verb, Request, StatusCode, Uri};
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::{Url, form_urlencoded};
use wire::Json;

use super::access::sensitive;
use super::base::Base;
use super::secrets::Secrets;
use crate::http::Client;
use crate::upstream::ServerError;

/// Which token is wanted.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    uri: String,
    /// Whether the document says on which host, and not the operator.
    pub(super) is_foreign: bool,
    scope: String,
    client_id: Resolved,
    client_secret: Resolved,
}

/// The tokens for one purpose.
pub(super) struct Tokens {
    wanted: Wanted,
    client: Client,
    secrets: Arc<Secrets>,
    /// Held while a token is fetched: whoever comes then waits for the same.
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    token: Option<(HeaderValue, Instant)>,
    /// Whether the server wants the client's secret in the body.
    in_body: bool,
}

/// How long a token may take to come.
const FETCH_WAIT: Duration = Duration::from_secs(10);
/// How long a token is kept of which the server does not say how long it lasts.
const DEFAULT_LIFE: Duration = Duration::from_mins(5);
/// How much earlier than it ends a token is replaced.
const MARGIN: Duration = Duration::from_secs(30);
/// Longest answer of an authorization server in bytes.
const ANSWER_BYTES_MAX: usize = 256 << 10;

impl Wanted {
    /// `of_document` is relative to `base`, where the API is served.
    pub(super) fn new(
        client: &ClientCredentials,
        of_document: Option<&str>,
        base: Option<&Base>,
        demanded: &[String],
    ) -> Result<Self, String> {
        let (uri, is_foreign) = match (&client.token_url, of_document) {
            (Some(url), _) => (url.url().to_string(), false),
            (None, Some(text)) => {
                let near = base.and_then(|base| Url::parse(&format!("{}/", base.prefix())).ok());
                match Url::options().base_url(near.as_ref()).parse(text) {
                    Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
                        let is_own = near.is_some_and(|near| near.origin() == url.origin());
                        let is_foreign = base.is_none_or(|base| base.is_foreign || !is_own);
                        (url.to_string(), is_foreign)
                    }
                    _ => {
                        return Err(format!(
                            "the document's `tokenUrl` is `{text}`, which is no URL; set `token_url`"
                        ));
                    }
                }
            }
            (None, None) => {
                return Err(
                    "the document does not say where tokens are given; set `token_url`".to_owned()
                );
            }
        };
        let mut scopes = client.scopes.clone().unwrap_or_else(|| demanded.to_vec());
        scopes.sort();
        scopes.dedup();
        Ok(Self {
            uri,
            is_foreign,
            scope: scopes.join(" "),
            client_id: client.client_id.clone(),
            client_secret: client.client_secret.clone(),
        })
    }
}

impl Hash for Wanted {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.uri.hash(state);
        self.scope.hash(state);
    }
}

impl Tokens {
    pub(super) fn new(wanted: Wanted, client: Client, secrets: Arc<Secrets>) -> Self {
        Self { wanted, client, secrets, kept: Mutex::default() }
    }

    /// The value of `Authorization`, and whether it was there already.
    pub(super) async fn get(&self) -> Result<(HeaderValue, bool), ServerError> {
        let mut kept = self.kept.lock().await;
        if let Some((token, until)) = &kept.token
            && *until > Instant::now()
        {
            return Ok((token.clone(), true));
        }
        let deadline = Instant::now() + FETCH_WAIT;
        let fetched = self.fetch(&mut kept, deadline).await;
        let (token, life) = fetched
            .map_err(|problem| ServerError::Answer(format!("no token for the API: {problem}")))?;
        let until = Instant::now() + life.saturating_sub(MARGIN.min(life / 2));
        kept.token = Some((token.clone(), until));
        Ok((token, false))
    }

    /// The API refused this token: it is not used again.
    pub(super) async fn forget(&self, refused: &HeaderValue) {
        let mut kept = self.kept.lock().await;
        if kept.token.as_ref().is_some_and(|(token, _)| token == refused) {
            kept.token = None;
        }
    }

    async fn fetch(
        &self,
        kept: &mut Kept,
        deadline: Instant,
    ) -> Result<(HeaderValue, Duration), String> {
        let (status, body) = self.ask(kept.in_body, deadline).await?;
        let answer = Json::parse(body, &wire::Limits::CLIENT).ok().and_then(|json| json.object());
        let error = answer.as_ref().and_then(|answer| answer.text("error"));
        let is_client_refused = matches!(status, StatusCode::UNAUTHORIZED)
            || error.as_deref() == Some("invalid_client");
        if is_client_refused && !kept.in_body {
            // Some servers read the client's secret in the body alone.
            kept.in_body = true;
            let answer = Box::pin(self.fetch(kept, deadline)).await;
            kept.in_body = answer.is_ok();
            return answer;
        }
        if !status.is_success() {
            let status = status.as_u16();
            return Err(match error {
                Some(error) => {
                    format!("the authorization server answered HTTP {status}, `{}`", plain(&error))
                }
                None => format!("the authorization server answered HTTP {status}"),
            });
        }
        let answer = answer.ok_or("the authorization server's answer is not JSON")?;
        let token = answer.text("access_token").ok_or("the answer has no `access_token`")?;
        self.secrets.learn(&token);
        let life = answer.get("expires_in");
        let life = life.and_then(|life| life.as_u64().or_else(|| life.text()?.parse().ok()));
        let life = life.map_or(DEFAULT_LIFE, Duration::from_secs).min(Duration::from_hours(24));
        Ok((sensitive(&format!("Bearer {token}"))?, life))
    }

    fn form(&self, in_body: bool) -> String {
        let Wanted { scope, client_id, client_secret, .. } = &self.wanted;
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if !scope.is_empty() {
            form.append_pair("scope", scope);
        }
        if in_body {
            form.append_pair("client_id", client_id.expose());
            form.append_pair("client_secret", client_secret.expose());
        }
        form.finish()
    }

    async fn ask(&self, in_body: bool, deadline: Instant) -> Result<(StatusCode, Bytes), String> {
        let Wanted { uri, client_id, client_secret, .. } = &self.wanted;
        let mut request = Request::new(Bytes::from(self.form(in_body)));
        *request.method_mut() = Verb::POST;
        *request.uri_mut() =
            Uri::try_from(uri.as_str()).map_err(|_| "the address of tokens is none".to_owned())?;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if !in_body {
            // Both are encoded before they are joined (RFC 6749 §2.3.1).
            let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect();
            let (id, secret): (String, String) =
                (encoded(client_id.expose()), encoded(client_secret.expose()));
            let pair = BASE64.encode(format!("{id}:{secret}"));
            headers.insert(AUTHORIZATION, sensitive(&format!("Basic {pair}"))?);
        }
        let response = self.client.send_before(request, deadline).await;
        let response = response.map_err(|error| error.to_string())?;
        let status = response.status();
        let body = response.into_body().collect_limited(ANSWER_BYTES_MAX);
        let body = tokio::time::timeout_at(deadline, body).await;
        let body =
            body.map_err(|_| "the authorization server did not answer in time".to_owned())?;
        Ok((status, body.map_err(|error| error.to_string())?))
    }
}

/// A word of an authorization server, as far as it may be shown.
fn plain(word: &str) -> String {
    word.chars().filter(|it| it.is_ascii_alphanumeric() || *it == '_').take(60).collect()
}
