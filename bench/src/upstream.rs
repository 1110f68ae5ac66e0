//! An MCP server that does next to nothing, in both eras: what it costs is not what we measure.
//!
//! It serves any path, so one process can stand for many servers. `tools/call` of any of its tools
//! answers with a text of the size and in the form that the arguments ask for.

use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{Method, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::net::TcpListener;

/// More text than any question of the bench asks for.
const SIZE_BYTES_MAX: usize = 4 * 1024 * 1024;
const SERVER: &str = r#"{"name":"bench-upstream","version":"1.0.0"}"#;
/// The versions of the legacy era, the preferred one first.
const LEGACY: [&str; 3] = ["2025-11-25", "2025-06-18", "2025-03-26"];

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// The server.
#[derive(Debug)]
pub struct Upstream {
    /// The members of a `tools/list` result, without what the modern era adds.
    tools: String,
    padding: Bytes,
    sessions: AtomicU64,
}

/// What of a message matters here.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow, default)]
    params: Params<'a>,
}

#[derive(Deserialize, Default)]
struct Params<'a> {
    #[serde(borrow, default)]
    arguments: Arguments<'a>,
    #[serde(borrow, rename = "protocolVersion")]
    version: Option<Cow<'a, str>>,
    #[serde(rename = "_meta", default)]
    meta: Meta,
}

#[derive(Deserialize, Default)]
struct Arguments<'a> {
    #[serde(borrow, default)]
    echo: Cow<'a, str>,
    #[serde(default)]
    size: usize,
    #[serde(default)]
    form: FormArgument,
}

#[derive(Deserialize, Default, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum FormArgument {
    #[default]
    Json,
    Sse,
}

#[derive(Deserialize, Default)]
struct Meta {
    #[serde(rename = "io.modelcontextprotocol/protocolVersion")]
    version: Option<serde::de::IgnoredAny>,
}

impl Upstream {
    /// A server with so many tools, named `PREFIX0`, `PREFIX1` and so on.
    pub fn new(tools: usize, prefix: &str) -> Self {
        let tools: Vec<String> =
            (0..tools).map(|number| tool(&format!("{prefix}{number}"))).collect();
        Self {
            tools: format!(r#""tools":[{}]"#, tools.join(",")),
            padding: Bytes::from(vec![b'x'; SIZE_BYTES_MAX]),
            sessions: AtomicU64::new(1),
        }
    }

    /// Serves every connection to `listener`; ends only when it cannot accept any more.
    pub async fn run(self, listener: TcpListener) -> std::io::Result<Infallible> {
        let upstream = Arc::new(self);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let upstream = Arc::clone(&upstream);
            let service = service_fn(move |request| {
                let upstream = Arc::clone(&upstream);
                async move { Ok::<_, Infallible>(upstream.serve(request).await) }
            });
            // A client that breaks off is its own affair.
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    }

    /// Answers one HTTP request.
    async fn serve(&self, request: Request<Incoming>) -> Response<Body> {
        match *request.method() {
            Method::POST => {}
            // The stream of a legacy session, on which this server never has anything to say.
            Method::GET => return event_stream(stream::pending().boxed()),
            Method::DELETE => return empty(StatusCode::OK),
            _ => return empty(StatusCode::METHOD_NOT_ALLOWED),
        }
        let Ok(body) = request.into_body().collect().await else {
            return empty(StatusCode::BAD_REQUEST);
        };
        self.answer(&body.to_bytes())
    }

    fn answer(&self, body: &[u8]) -> Response<Body> {
        let Ok(message) = serde_json::from_slice::<Message<'_>>(body) else {
            return json(StatusCode::BAD_REQUEST, error("null", -32700, "not a message"));
        };
        let Some(id) = message.id.map(RawValue::get) else {
            return empty(StatusCode::ACCEPTED);
        };
        let modern = message.params.meta.version.is_some();
        match (message.method.as_ref(), modern) {
            ("tools/call", _) => self.call(id, modern, &message.params.arguments),
            ("tools/list", true) => {
                let members = format!(r#"{},"ttlMs":300000,"cacheScope":"public""#, self.tools);
                json(StatusCode::OK, result(id, true, &members))
            }
            ("tools/list", false) => json(StatusCode::OK, result(id, false, &self.tools)),
            ("server/discover", true) => {
                let members = r#""supportedVersions":["2026-07-28","2025-11-25"],"capabilities":{"tools":{"listChanged":true}},"ttlMs":300000,"cacheScope":"public""#;
                json(StatusCode::OK, result(id, true, members))
            }
            ("subscriptions/listen", true) => listen(id),
            ("initialize", false) => {
                let asked = message.params.version.as_deref();
                let version =
                    LEGACY.into_iter().find(|&known| asked == Some(known)).unwrap_or(LEGACY[0]);
                let members = format!(
                    r#""protocolVersion":"{version}","capabilities":{{"tools":{{"listChanged":true}}}},"serverInfo":{SERVER}"#
                );
                let mut response = json(StatusCode::OK, result(id, false, &members));
                let session = self.sessions.fetch_add(1, Ordering::Relaxed);
                response.headers_mut().insert("mcp-session-id", session.into());
                response
            }
            ("ping", false) => json(StatusCode::OK, result(id, false, "")),
            _ => json(StatusCode::NOT_FOUND, error(id, -32601, "no such method")),
        }
    }

    fn call(&self, id: &str, modern: bool, arguments: &Arguments<'_>) -> Response<Body> {
        if arguments.size > SIZE_BYTES_MAX {
            return json(StatusCode::OK, error(id, -32602, "size is too large"));
        }
        let echo = &arguments.echo;
        let (before, after) = envelope(id, modern);
        let mut text = Vec::with_capacity(arguments.size + 512);
        let is_event = arguments.form == FormArgument::Sse;
        if is_event {
            text.extend_from_slice(b"event: message\ndata: ");
        }
        text.extend_from_slice(before.as_bytes());
        text.extend_from_slice(br#""content":[{"type":"text","text":""#);
        text.extend_from_slice(echo.as_bytes());
        text.push(b' ');
        text.extend_from_slice(&self.padding[..arguments.size.saturating_sub(echo.len() + 1)]);
        text.extend_from_slice(br#""}],"isError":false"#);
        text.extend_from_slice(after.as_bytes());
        if is_event {
            text.extend_from_slice(b"\n\n");
            let event = Frame::data(Bytes::from(text));
            return event_stream(stream::once(async { Ok(event) }).boxed());
        }
        json(StatusCode::OK, text)
    }
}

/// A tool as real servers describe theirs: some 700 bytes.
fn tool(name: &str) -> String {
    let echo = r#""echo":{"type":"string","description":"Comes back at the beginning of the text, so that the caller can tell its answers apart"}"#;
    let size = r#""size":{"type":"integer","minimum":0,"description":"How many bytes of text the result has"}"#;
    let form = r#""form":{"type":"string","enum":["json","sse"],"description":"Whether the answer is one JSON body or an event stream"}"#;
    format!(
        r#"{{"name":"{name}","description":"Returns a text of the size that is asked for. The text begins with the echo and goes on with padding; nothing is read, nothing is changed.","inputSchema":{{"type":"object","properties":{{{echo},{size},{form}}},"required":["echo"]}},"annotations":{{"readOnlyHint":true,"openWorldHint":false}}}}"#
    )
}

/// The acknowledgement, then silence for as long as the client likes.
fn listen(id: &str) -> Response<Body> {
    let meta = format!(r#""_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}}"#);
    let event = format!(
        "event: message\ndata: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/subscriptions/acknowledged\",\
         \"params\":{{{meta},\"notifications\":{{\"toolsListChanged\":true}}}}}}\n\n"
    );
    let first = stream::once(async { Ok(Frame::data(Bytes::from(event))) });
    event_stream(first.chain(stream::pending()).boxed())
}

fn result(id: &str, modern: bool, members: &str) -> Vec<u8> {
    let (before, after) = envelope(id, modern);
    // A legacy result may have no members at all; a modern one has its type before them.
    let after = if members.is_empty() { after.trim_start_matches(',') } else { &after };
    format!("{before}{members}{after}").into_bytes()
}

/// What stands before and after the members of a result.
fn envelope(id: &str, modern: bool) -> (String, String) {
    if modern {
        let before = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"complete","#);
        let after = format!(r#","_meta":{{"io.modelcontextprotocol/serverInfo":{SERVER}}}}}}}"#);
        (before, after)
    } else {
        (format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"#), "}}".to_owned())
    }
}

fn error(id: &str, code: i32, message: &str) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":"{message}"}}}}"#)
        .into_bytes()
}

fn json(status: StatusCode, body: Vec<u8>) -> Response<Body> {
    respond(status, "application/json", Full::new(Bytes::from(body)).boxed_unsync())
}

fn empty(status: StatusCode) -> Response<Body> {
    respond(status, "text/plain", Full::new(Bytes::new()).boxed_unsync())
}

type Frames = stream::BoxStream<'static, Result<Frame<Bytes>, Infallible>>;

fn event_stream(frames: Frames) -> Response<Body> {
    let body = StreamBody::new(frames).boxed_unsync();
    let mut response = respond(StatusCode::OK, "text/event-stream", body);
    response.headers_mut().insert("x-accel-buffering", header::HeaderValue::from_static("no"));
    response
}

fn respond(status: StatusCode, kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}
