//! An MCP server that does next to nothing, in both eras: what it costs is not what we measure.
//!
//! It serves any path, so one process can stand for many servers. `tools/call` of any of its tools
//! answers with a text of the size and in the form that the arguments ask for; in a legacy session it
//! may ask the client first, on the stream of the call. Besides, it is a plain HTTP API.

mod api;
mod asking;

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

use self::asking::Asking;
pub use self::asking::Tally;

/// More text than any question of the bench asks for.
const SIZE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Where the tally of calls that ask is told.
const TALLY_PATH: &str = "/tally";
/// What stands before the echo of its call in the id of a question.
const QUESTION: &str = "ask-";
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
    asking: Arc<Asking>,
}

/// What of a message matters here.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    /// Empty in the answer to a question.
    #[serde(borrow, default)]
    method: Cow<'a, str>,
    #[serde(borrow, default)]
    params: Params<'a>,
    #[serde(borrow, default)]
    result: Answer<'a>,
}

/// What of an answer to a question matters here.
#[derive(Deserialize, Default)]
struct Answer<'a> {
    #[serde(borrow, default)]
    action: Cow<'a, str>,
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
    Ask,
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
            asking: Arc::default(),
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
            Method::GET if request.uri().path() == TALLY_PATH => {
                let tally = serde_json::to_vec(&self.asking.tally());
                return json(StatusCode::OK, tally.expect("numbers are always JSON"));
            }
            Method::GET if request.uri().path().starts_with(api::PREFIX) => {
                return match api::items(request.uri(), &self.padding) {
                    Some(items) => json(StatusCode::OK, items),
                    None => empty(StatusCode::NOT_FOUND),
                };
            }
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
            ("", _) => {
                let question = id.trim_matches('"').strip_prefix(QUESTION).unwrap_or_default();
                self.asking.answer(question, message.result.action == "accept");
                empty(StatusCode::ACCEPTED)
            }
            ("tools/call", false) if message.params.arguments.form == FormArgument::Ask => {
                self.ask_first(id, &message.params.arguments)
            }
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
        let is_event = match arguments.form {
            FormArgument::Json => false,
            FormArgument::Sse => true,
            FormArgument::Ask => {
                return json(StatusCode::OK, error(id, -32602, "only sessions are asked"));
            }
        };
        let mut text = Vec::with_capacity(arguments.size + 512);
        if is_event {
            text.extend_from_slice(b"event: message\ndata: ");
        }
        self.write_result(&mut text, id, modern, arguments);
        if is_event {
            text.extend_from_slice(b"\n\n");
            let event = Frame::data(Bytes::from(text));
            return event_stream(stream::once(async { Ok(event) }).boxed());
        }
        json(StatusCode::OK, text)
    }

    fn write_result(&self, text: &mut Vec<u8>, id: &str, modern: bool, arguments: &Arguments<'_>) {
        let echo = &arguments.echo;
        let (before, after) = envelope(id, modern);
        text.extend_from_slice(before.as_bytes());
        text.extend_from_slice(br#""content":[{"type":"text","text":""#);
        text.extend_from_slice(echo.as_bytes());
        text.push(b' ');
        text.extend_from_slice(&self.padding[..arguments.size.saturating_sub(echo.len() + 1)]);
        text.extend_from_slice(br#""}],"isError":false"#);
        text.extend_from_slice(after.as_bytes());
    }

    /// Asks the client on the stream of the call, and executes the call once it has accepted.
    fn ask_first(&self, id: &str, arguments: &Arguments<'_>) -> Response<Body> {
        if arguments.size > SIZE_BYTES_MAX {
            return json(StatusCode::OK, error(id, -32602, "size is too large"));
        }
        let mut done = b"event: message\ndata: ".to_vec();
        self.write_result(&mut done, id, false, arguments);
        done.extend_from_slice(b"\n\n");
        let refused = error(id, -32000, "the client did not accept");
        let refused = [b"event: message\ndata: ".as_slice(), &refused, b"\n\n"].concat();

        let echo = arguments.echo.clone().into_owned();
        let question = Bytes::from(question(&echo));
        let (asking, answered) = (Arc::clone(&self.asking), self.asking.ask(&echo));
        let rest = stream::once(async move {
            // A question that is never answered leaves the call open, as long as its client likes.
            let Ok(accepted) = answered.await else { return std::future::pending().await };
            if accepted {
                asking.execute(&echo);
            }
            Ok(Frame::data(Bytes::from(if accepted { done } else { refused })))
        });
        event_stream(stream::once(async { Ok(Frame::data(question)) }).chain(rest).boxed())
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

/// A form as real servers ask for it: some 400 bytes.
fn question(echo: &str) -> String {
    let confirm = r#""confirm":{"type":"boolean","title":"Confirm","description":"Whether the call shall do what it says; nothing happens without it"}"#;
    let schema =
        format!(r#"{{"type":"object","properties":{{{confirm}}},"required":["confirm"]}}"#);
    format!(
        "event: message\ndata: {{\"jsonrpc\":\"2.0\",\"id\":\"{QUESTION}{echo}\",\
         \"method\":\"elicitation/create\",\"params\":{{\"mode\":\"form\",\
         \"message\":\"The call {echo} asks whether it may go on\",\
         \"requestedSchema\":{schema}}}}}\n\n"
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
