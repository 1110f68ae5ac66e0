//! An HTTP client for the Rust SDK's transport, on hyper: one connection a request.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use http::header::{ACCEPT, CONTENT_TYPE, HOST};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rmcp::model::ClientJsonRpcMessage;
use rmcp::transport::streamable_http_client::{
    StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse,
};
use sse_stream::{Error as SseError, Sse, SseStream};
use tokio::net::TcpStream;

const SESSION_ID: &str = "mcp-session-id";

/// Plain HTTP on loopback.
#[derive(Clone, Debug)]
pub(super) struct Plain;

type Failure = StreamableHttpError<hyper::Error>;

/// Sends one request and returns what answers it.
async fn exchange(
    method: Method,
    uri: &str,
    session: Option<&str>,
    headers: HashMap<HeaderName, HeaderValue>,
    body: Bytes,
) -> Result<Response<Incoming>, Failure> {
    let rest = uri.strip_prefix("http://").expect("an http URL");
    let (host, path) = rest.split_once('/').expect("a URL with a path");
    let mut request = Request::builder()
        .method(method)
        .uri(format!("/{path}"))
        .header(HOST, host)
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "application/json, text/event-stream");
    if let Some(session) = session {
        request = request.header(SESSION_ID, session);
    }
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let stream = TcpStream::connect(host).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(StreamableHttpError::Client)?;
    tokio::spawn(connection);
    let request = request.body(Full::<Bytes>::from(body)).expect("the SDK makes sound headers");
    sender.send_request(request).await.map_err(StreamableHttpError::Client)
}

fn events(response: Response<Incoming>) -> BoxStream<'static, Result<Sse, SseError>> {
    Box::pin(SseStream::new(response.into_body()))
}

fn is_stream(response: &Response<Incoming>) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("text/event-stream"))
}

impl StreamableHttpClient for Plain {
    type Error = hyper::Error;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        _auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, Failure> {
        let body = serde_json::to_vec(&message)?;
        let session = session_id.as_deref();
        let response = exchange(Method::POST, &uri, session, custom_headers, body.into()).await?;
        match response.status() {
            StatusCode::ACCEPTED | StatusCode::NO_CONTENT => {
                return Ok(StreamableHttpPostResponse::Accepted);
            }
            StatusCode::NOT_FOUND if session.is_some() => {
                return Err(StreamableHttpError::SessionExpired);
            }
            _ => {}
        }
        let session = response.headers().get(SESSION_ID).and_then(|id| id.to_str().ok());
        let session = session.map(str::to_owned);
        if is_stream(&response) {
            return Ok(StreamableHttpPostResponse::Sse(events(response), session));
        }
        let status = response.status();
        let body = response.into_body().collect().await.map_err(StreamableHttpError::Client)?;
        let body = body.to_bytes();
        // Errors of the protocol come with statuses that say the same.
        let Ok(message) = serde_json::from_slice(&body) else {
            let answer = format!("{status}: {}", String::from_utf8_lossy(&body));
            return Err(StreamableHttpError::UnexpectedServerResponse(Cow::Owned(answer)));
        };
        Ok(StreamableHttpPostResponse::Json(message, session))
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session_id: Arc<str>,
        _auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<(), Failure> {
        let session = Some(&*session_id);
        exchange(Method::DELETE, &uri, session, custom_headers, Bytes::new()).await?;
        Ok(())
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session_id: Option<Arc<str>>,
        last_event_id: Option<String>,
        _auth_header: Option<String>,
        mut custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Failure> {
        if let Some(id) = last_event_id.and_then(|id| HeaderValue::from_str(&id).ok()) {
            custom_headers.insert(HeaderName::from_static("last-event-id"), id);
        }
        let session = session_id.as_deref();
        let response = exchange(Method::GET, &uri, session, custom_headers, Bytes::new()).await?;
        match response.status() {
            StatusCode::OK => Ok(events(response)),
            _ => Err(StreamableHttpError::ServerDoesNotSupportSse),
        }
    }
}
