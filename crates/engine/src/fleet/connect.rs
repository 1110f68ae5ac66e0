//! Begins a conversation with a server: finds its era without side effects, then greets it
//! (versioning, §backward compatibility).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use http::{Method as Verb, Request, StatusCode};
use wire::method::name;
use wire::{Era, Id, Json, Object, Outcome, RpcError, Version, code, message, meta};

use crate::headers;
use crate::upstream::stdio::{self, Program};
use crate::upstream::{
    Hello, HttpSession, HttpTarget, Introduction, ModernHttp, Peer, ServerError, Tools, Unbound,
    sse,
};

/// What a connection says of a server's era.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) speaks: Speaks,
    /// How a probe found it; `None` where it was known before.
    pub(super) why: Option<String>,
}

/// The protocol that a server speaks, as the gate must greet it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    Modern,
    Legacy,
    HttpSse,
}

impl Speaks {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Modern => "modern",
            Self::Legacy => "legacy",
            Self::HttpSse => "sse",
        }
    }

    pub(super) const fn pinned(era: config::Era) -> Option<Self> {
        match era {
            config::Era::Auto => None,
            config::Era::Modern => Some(Self::Modern),
            config::Era::Legacy => Some(Self::Legacy),
            config::Era::Sse => Some(Self::HttpSse),
        }
    }
}

/// How long the answer to one greeting may take over HTTP.
const GREETING_WAIT: Duration = Duration::from_secs(15);
/// How long a process may take until it answers the first question: package runners download first.
const START_WAIT: Duration = Duration::from_mins(1);
/// How long a process is given to answer the modern question before the legacy one is asked as well.
const PROBE_WAIT: Duration = Duration::from_secs(3);

/// Connects over HTTP in the era `known`, or in the one that a probe finds.
pub(super) async fn over_http(
    target: &HttpTarget,
    known: Option<Speaks>,
    introduction: &Introduction,
    unbound: Unbound,
    tools: &Arc<Tools>,
) -> Result<(Found, Peer), ServerError> {
    let connecting = async {
        match known {
            Some(Speaks::Modern) => match discover(target).await? {
                Verdict::Modern(hello) => Ok(modern(target, *hello, tools)),
                Verdict::Legacy(why) | Verdict::Again(why) => {
                    Err(ServerError::Protocol(format!("pinned to era: modern, but {why}")))
                }
            },
            Some(Speaks::Legacy) => session(target, introduction, unbound, None).await,
            Some(Speaks::HttpSse) => http_sse(target, introduction, unbound, None).await,
            None => probe(target, introduction, unbound, tools).await,
        }
    };
    tokio::time::timeout(GREETING_WAIT, connecting).await.unwrap_or(Err(ServerError::Timeout))
}

async fn probe(
    target: &HttpTarget,
    introduction: &Introduction,
    unbound: Unbound,
    tools: &Arc<Tools>,
) -> Result<(Found, Peer), ServerError> {
    let why = match discover(target).await? {
        Verdict::Modern(hello) => return Ok(modern(target, *hello, tools)),
        Verdict::Legacy(why) | Verdict::Again(why) => why,
    };
    match session(target, introduction, unbound.clone(), Some(why.clone())).await {
        Err(ServerError::Status(status @ (400 | 404 | 405))) => {
            let why = format!("{why}, and initialize with HTTP {status}");
            http_sse(target, introduction, unbound, Some(why)).await
        }
        other => other,
    }
}

fn modern(target: &HttpTarget, hello: Hello, tools: &Arc<Tools>) -> (Found, Peer) {
    let found = Found { speaks: Speaks::Modern, why: Some(answered_discover()) };
    let peer = ModernHttp::new(target.clone(), hello, Arc::clone(tools));
    (found, Peer::Modern(Arc::new(peer)))
}

async fn session(
    target: &HttpTarget,
    introduction: &Introduction,
    unbound: Unbound,
    why: Option<String>,
) -> Result<(Found, Peer), ServerError> {
    let session = HttpSession::open(target.clone(), introduction, unbound).await?;
    Ok((Found { speaks: Speaks::Legacy, why }, Peer::Session(session)))
}

async fn http_sse(
    target: &HttpTarget,
    introduction: &Introduction,
    unbound: Unbound,
    why: Option<String>,
) -> Result<(Found, Peer), ServerError> {
    let pipe = sse::connect(target.clone(), unbound).await?;
    let peer = Peer::Pipe(Arc::clone(&pipe));
    let greeting = Greeting { pipe: &pipe, is_done: false };
    let outcome = pipe.ask(name::INITIALIZE, introduction.params().as_bytes()).await?;
    pipe.greeted(Introduction::hello(outcome)?);
    peer.notify(name::INITIALIZED, None).await?;
    greeting.done();
    Ok((Found { speaks: Speaks::HttpSse, why }, peer))
}

/// Closes the streams of a greeting that failed, or was given up.
struct Greeting<'p> {
    pipe: &'p Arc<crate::upstream::Pipe>,
    is_done: bool,
}

impl Greeting<'_> {
    fn done(mut self) {
        self.is_done = true;
    }
}

impl Drop for Greeting<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            self.pipe.close();
        }
    }
}

/// Why a server is known to be modern.
fn answered_discover() -> String {
    format!("it answered server/discover with {}", Version::LATEST)
}

/// What a server's answer to `server/discover` says of its era.
enum Verdict {
    Modern(Box<Hello>),
    Legacy(String),
    /// It refuses the version that it names as one it supports: asked again, it may take it.
    Again(String),
}

/// Asks `server/discover`, and once more if the server wants that. Trouble on the way is an error,
/// never a verdict.
async fn discover(target: &HttpTarget) -> Result<Verdict, ServerError> {
    match discover_once(target).await? {
        Verdict::Again(_) => discover_once(target).await,
        verdict => Ok(verdict),
    }
}

async fn discover_once(target: &HttpTarget) -> Result<Verdict, ServerError> {
    let id = Id::text("discover");
    let text = message::encode_request(&id, name::DISCOVER, discover_params().as_bytes());
    let mut request = Request::new(Bytes::from(text));
    *request.method_mut() = Verb::POST;
    *request.uri_mut() = target.uri.clone();
    let headers = request.headers_mut();
    headers.clone_from(&target.headers);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    headers.insert(headers::PROTOCOL_VERSION, HeaderValue::from_static(Version::LATEST.as_str()));
    headers.insert(headers::METHOD, HeaderValue::from_static(name::DISCOVER));
    let response = target.client.send(request).await?;
    let status = response.status();
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            return Err(ServerError::Refused(status.as_u16()));
        }
        status if status.is_server_error() => return Err(ServerError::Status(status.as_u16())),
        _ => {}
    }
    match crate::upstream::answer(response, &id, target.bounds).await {
        Ok(outcome) => judge(outcome),
        Err(_) if status.is_client_error() => Ok(Verdict::Legacy(format!(
            "it answered server/discover with HTTP {}",
            status.as_u16()
        ))),
        Err(error) => Err(error),
    }
}

/// The parameters of the gate's own `server/discover`.
fn discover_params() -> String {
    format!(
        "{{\"_meta\":{{\"{}\":\"{}\",\"{}\":{{}},\"{}\":{}}}}}",
        meta::PROTOCOL_VERSION,
        Version::LATEST,
        meta::CLIENT_CAPABILITIES,
        meta::CLIENT_INFO,
        crate::identity().as_str(),
    )
}

/// Reads the answer to `server/discover`. Not keyed to one error code: whatever is no modern answer
/// is legacy, except errors that only a modern server sends to a well-formed request.
fn judge(outcome: Outcome) -> Result<Verdict, ServerError> {
    match outcome {
        Ok(result) if speaks_modern(&result) => {
            Ok(Verdict::Modern(Box::new(Hello::new(Version::LATEST, result))))
        }
        Ok(result) if result.has("supportedVersions") => Ok(Verdict::Legacy(format!(
            "it speaks {}",
            result.get("supportedVersions").as_ref().map_or("nothing", Json::as_str)
        ))),
        Ok(_) => Ok(Verdict::Legacy("its answer to server/discover is none".into())),
        Err(RpcError {
            code: code::HEADER_MISMATCH | code::MISSING_CLIENT_CAPABILITY,
            message,
            ..
        }) => Err(ServerError::Protocol(format!("it refused server/discover: {message}"))),
        Err(error) => {
            let why =
                format!("it answered server/discover with {} ({})", error.message, error.code);
            Ok(if supports_ours(&error) { Verdict::Again(why) } else { Verdict::Legacy(why) })
        }
    }
}

/// Whether a refused version is among those that the server says it supports.
fn supports_ours(error: &RpcError) -> bool {
    let data = error.data.as_ref().and_then(Json::object);
    let supported = data.and_then(|data| data.get("supported")?.elements());
    error.code == code::UNSUPPORTED_VERSION && supported.is_some_and(|all| names_ours(&all))
}

fn names_ours(versions: &[Json]) -> bool {
    versions.iter().any(|version| version.text().as_deref() == Some(Version::LATEST.as_str()))
}

fn speaks_modern(result: &Object) -> bool {
    let versions = result.get("supportedVersions").and_then(|versions| versions.elements());
    versions.is_some_and(|versions| names_ours(&versions))
}

/// Starts a process and greets it in the era `known`, or in the one that it answers in.
pub(super) async fn over_stdio(
    program: &Program,
    known: Option<Speaks>,
    introduction: &Introduction,
    unbound: Unbound,
    bounds: crate::upstream::Bounds,
) -> Result<(Found, Peer), ServerError> {
    let started = stdio::start(program, unbound.clone(), bounds)?;
    let peer = Peer::Pipe(Arc::clone(&started));
    let greeting = greet(&started, known, introduction);
    let hello = match tokio::time::timeout(START_WAIT, greeting).await {
        Err(_) => Err(ServerError::Start("it did not answer its first request".into())),
        // Some legacy servers exit on anything before `initialize`: start another, and ask nothing.
        Ok(Err(ServerError::Closed(why))) if known.is_none() => {
            tracing::debug!(server = %unbound.server, why, "ended on the probe; starting it as legacy");
            let retry = over_stdio(program, Some(Speaks::Legacy), introduction, unbound, bounds);
            let (found, peer) = Box::pin(retry).await?;
            let why = Some("it ended when it was asked server/discover".to_owned());
            return Ok((Found { why, ..found }, peer));
        }
        Ok(greeted) => greeted,
    };
    let (hello, why) = match hello {
        Ok(greeted) => greeted,
        Err(error) => {
            peer.close().await;
            return Err(match error {
                ServerError::Closed(why) => ServerError::Start(why),
                other => other,
            });
        }
    };
    let speaks = match hello.version.era() {
        Era::Modern => Speaks::Modern,
        Era::Legacy => Speaks::Legacy,
    };
    started.greeted(hello);
    if speaks == Speaks::Legacy {
        peer.notify(name::INITIALIZED, None).await?;
    }
    Ok((Found { speaks, why }, peer))
}

async fn greet(
    pipe: &Arc<crate::upstream::Pipe>,
    known: Option<Speaks>,
    introduction: &Introduction,
) -> Result<(Hello, Option<String>), ServerError> {
    let params = discover_params();
    let discover = async {
        let ask = async || judge(pipe.ask(name::DISCOVER, params.as_bytes()).await?);
        let verdict = match ask().await? {
            Verdict::Again(_) => ask().await?,
            verdict => verdict,
        };
        match verdict {
            Verdict::Modern(hello) => Ok(Ok(*hello)),
            Verdict::Legacy(why) | Verdict::Again(why) => Ok(Err(why)),
        }
    };
    let introduction = introduction.params();
    let initialize =
        async { Introduction::hello(pipe.ask(name::INITIALIZE, introduction.as_bytes()).await?) };
    match known {
        Some(Speaks::Modern) => discover
            .await?
            .map(|hello| (hello, None))
            .map_err(|why| ServerError::Protocol(format!("pinned to era: modern, but {why}"))),
        Some(Speaks::Legacy | Speaks::HttpSse) => Ok((initialize.await?, None)),
        None => {
            let (hello, why) = first_answer(discover, initialize).await?;
            Ok((hello, Some(why)))
        }
    }
}

/// Asks the modern question first; a server that leaves it unanswered is asked the legacy one as well,
/// and the first good answer counts: one that is merely slow to start is still found to be modern.
async fn first_answer(
    discover: impl Future<Output = Result<Result<Hello, String>, ServerError>>,
    initialize: impl Future<Output = Result<Hello, ServerError>>,
) -> Result<(Hello, String), ServerError> {
    let modern = |hello| (hello, answered_discover());
    let mut discover = std::pin::pin!(discover);
    match tokio::time::timeout(PROBE_WAIT, &mut discover).await {
        Ok(Ok(Ok(hello))) => return Ok(modern(hello)),
        Ok(Ok(Err(why))) => return Ok((initialize.await?, why)),
        Ok(Err(error)) => return Err(error),
        Err(_slow) => {}
    }
    let mut initialize = std::pin::pin!(initialize);
    tokio::select! {
        answer = &mut discover => match answer? {
            Ok(hello) => Ok(modern(hello)),
            Err(why) => Ok((initialize.await?, why)),
        },
        answer = &mut initialize => match answer {
            Ok(hello) => Ok((hello, "it left server/discover unanswered".to_owned())),
            // A slow modern server refuses `initialize`; its answer to the first question follows.
            Err(refused) => match discover.await? {
                Ok(hello) => Ok(modern(hello)),
                Err(_legacy) => Err(refused),
            },
        },
    }
}
