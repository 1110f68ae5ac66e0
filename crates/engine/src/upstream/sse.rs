//! HTTP+SSE of 2024-11-05, towards servers: one long GET, and a POST for each message.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use http::{Method as Verb, Request, StatusCode, Uri};
use tokio::sync::mpsc;
use url::Url;

use super::error::ServerError;
use super::events::Events;
use super::modern_http::{ContentType, content_type, of_status};
use super::pipe::{Pipe, WRITES_QUEUED};
use super::{HttpTarget, Unbound};

/// Connects, and waits for the `endpoint` event. The pipe still has to be greeted.
pub(crate) async fn connect(
    target: HttpTarget,
    unbound: Unbound,
) -> Result<Arc<Pipe>, ServerError> {
    let mut request = Request::new(Bytes::new());
    *request.uri_mut() = target.uri.clone();
    *request.headers_mut() = target.headers.clone();
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    let response = target.client.send(request).await?;
    if !response.status().is_success()
        || content_type(response.headers()) != ContentType::EventStream
    {
        return Err(of_status(response.status()));
    }
    let mut events = Events::new(response.into_body(), target.bounds);
    let endpoint = endpoint(&mut events, &target.uri).await?;
    let (out, messages) = mpsc::channel(WRITES_QUEUED);
    let pipe = Pipe::new(out, unbound, target.bounds);
    tokio::spawn(read(Arc::clone(&pipe), events));
    tokio::spawn(write(Arc::clone(&pipe), target, endpoint, messages));
    Ok(pipe)
}

/// The address to post to. Another origin is refused: the server would send the gate's credentials
/// anywhere it likes.
async fn endpoint(events: &mut Events, base: &Uri) -> Result<Uri, ServerError> {
    let refuse = |what: &str| Err(ServerError::Protocol(format!("endpoint event: {what}")));
    while let Some(event) = events.next_event().await? {
        if event.event.as_deref() != Some("endpoint") {
            continue;
        }
        let Ok(text) = std::str::from_utf8(&event.data) else { return refuse("not UTF-8") };
        let Ok(base) = Url::parse(&base.to_string()) else { return refuse("no base address") };
        let Ok(url) = base.join(text.trim()) else { return refuse("not an address") };
        if url.origin() != base.origin() {
            return refuse("it points to another origin");
        }
        return url.as_str().parse().or_else(|_| refuse("not an address"));
    }
    refuse("the stream ended without one")
}

async fn read(pipe: Arc<Pipe>, mut events: Events) {
    let over = pipe.over().clone();
    loop {
        let event = tokio::select! {
            event = events.next_event() => event,
            () = over.cancelled() => return,
        };
        match event {
            Ok(Some(event)) if event.is_message() && !event.data.is_empty() => {
                pipe.receive(&event.data);
            }
            Ok(Some(_)) => {}
            Ok(None) => return pipe.end("the event stream ended"),
            Err(error) => return pipe.end(&error.chain()),
        }
    }
}

async fn write(
    pipe: Arc<Pipe>,
    target: HttpTarget,
    endpoint: Uri,
    mut messages: mpsc::Receiver<Bytes>,
) {
    let over = pipe.over().clone();
    // A weak hold, so that the last caller's drop ends the queue and this task.
    let pipe = { Arc::downgrade(&pipe) };
    loop {
        let message = tokio::select! {
            message = messages.recv() => message,
            () = over.cancelled() => return,
        };
        let Some(message) = message else { return };
        if let Err(error) = post(&target, &endpoint, message).await
            && let Some(pipe) = pipe.upgrade()
        {
            return pipe.end(&error.chain());
        }
    }
}

async fn post(target: &HttpTarget, endpoint: &Uri, message: Bytes) -> Result<(), ServerError> {
    let mut request = Request::new(message);
    *request.method_mut() = Verb::POST;
    *request.uri_mut() = endpoint.clone();
    *request.headers_mut() = target.headers.clone();
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let response = target.client.send(request).await?;
    let status = response.status();
    let _ = response.into_body().collect_limited(target.bounds.message.bytes).await;
    match status {
        status if status.is_success() => Ok(()),
        StatusCode::NOT_FOUND => Err(ServerError::SessionGone),
        status => Err(of_status(status)),
    }
}
