//! Streamable HTTP of 2026-07-28: each POST is self-contained (transports, §Streamable HTTP).

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method as Verb, Request, Response, StatusCode};
use wire::header;
use wire::{Id, Message, Method, Object, Outcome, Version, code, message, shape};

use super::error::ServerError;
use super::events::{Events, decode};
use super::hello::Hello;
use super::reply::ReplyStream;
use super::tools::Tools;
use super::{Bounds, HttpTarget};
use crate::call::{Body as ReplyBody, Call, Event, Reply};
use crate::headers;
use crate::http::Body;
use wire::Era;

/// A server that speaks 2026-07-28 over HTTP.
pub struct ModernHttp {
    target: HttpTarget,
    hello: Arc<Hello>,
    /// The headers of every request, made once.
    head: HeaderMap,
    tools: Arc<Tools>,
}

impl ModernHttp {
    pub(crate) fn new(target: HttpTarget, hello: Hello, tools: Arc<Tools>) -> Self {
        let mut head = target.headers.clone();
        head.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        head.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        head.insert(headers::PROTOCOL_VERSION, HeaderValue::from_static(Version::LATEST.as_str()));
        Self { target, hello: Arc::new(hello), head, tools }
    }

    pub(super) fn hello(&self) -> &Arc<Hello> {
        &self.hello
    }

    pub(crate) async fn call(&self, call: &Call) -> Result<Reply, ServerError> {
        let request = self.request(call)?;
        let response = self.target.client.send(request).await?;
        let (outcome, rest) = first_event(response, &call.id, self.target.bounds).await?;
        let streamed = rest.is_some();
        let (outcome, rest) = match (outcome, rest) {
            (done @ Event::Done(_), Some(stream)) => {
                stream.events.finish();
                (done, None)
            }
            other => other,
        };
        let body = match (outcome, rest) {
            // Errors about this hop are the gate's to mend, not the client's.
            (Event::Done(Err(error)), _) if error.code == code::UNSUPPORTED_VERSION => {
                return Err(ServerError::EraChanged);
            }
            (Event::Done(Err(error)), _) if error.code == code::HEADER_MISMATCH => {
                return Err(ServerError::StaleTools(error.message));
            }
            (Event::Done(outcome), _) => ReplyBody::Done(outcome),
            (first, Some(stream)) => ReplyBody::Stream(ReplyStream::modern(first, stream)),
            (_, None) => return Err(ServerError::Protocol("no answer".into())),
        };
        Ok(Reply { hello: Arc::clone(&self.hello), streamed, body })
    }

    fn request(&self, call: &Call) -> Result<Request<Bytes>, ServerError> {
        let params;
        let text = if call.caller.era() == Era::Modern {
            message::encode_params_request(&call.id, &call.method_name, &call.params)
        } else {
            params = shape::params_to_modern(
                &call.params,
                &call.meta,
                shape::PerRequest {
                    capabilities: call.caller.capabilities.as_bytes(),
                    info: call.caller.info.as_ref().map(wire::Json::as_bytes),
                    log_level: call.caller.log_level.as_ref().map(wire::Json::as_bytes),
                },
            );
            message::encode_request(&call.id, &call.method_name, params.as_bytes())
        };
        let mut request = Request::new(Bytes::from(text));
        *request.method_mut() = Verb::POST;
        *request.uri_mut() = self.target.uri.clone();
        let headers = request.headers_mut();
        headers.clone_from(&self.head);
        headers.insert(headers::METHOD, value_of(&call.method_name)?);
        if let Some(member) = call.method.name_member()
            && let Some(name) = call.params.text(member)
        {
            headers.insert(headers::NAME, value_of(&header::encode_value(&name))?);
        }
        self.mirror(call, headers)?;
        Ok(request)
    }

    /// Makes the `Mcp-Param-*` headers anew from the arguments, and passes those on that no known
    /// annotation explains.
    fn mirror(&self, call: &Call, headers: &mut HeaderMap) -> Result<(), ServerError> {
        if call.method != Method::ToolsCall {
            return Ok(());
        }
        for (name, value) in &call.param_headers {
            if let Ok(name) = HeaderName::try_from(name.as_str()) {
                headers.insert(name, value.clone());
            }
        }
        let Some(params) = call.params.text("name").and_then(|name| self.tools.mirrored(&name))
        else {
            return Ok(());
        };
        let arguments = call.params.object("arguments").unwrap_or_else(Object::empty);
        for param in params.iter() {
            let Ok(name) = HeaderName::try_from(param.header_name()) else { continue };
            headers.remove(&name);
            // A value of the wrong type stays unmirrored: the server names the argument better.
            if let Ok(Some(value)) = param.value_in(&arguments) {
                headers.insert(name, value_of(&header::encode_value(&value))?);
            }
        }
        Ok(())
    }
}

fn value_of(text: &str) -> Result<HeaderValue, ServerError> {
    HeaderValue::from_str(text)
        .map_err(|_| ServerError::Protocol("a name that cannot be written in a header".into()))
}

/// Reads an answer to request `id` to its end, whatever comes before it.
pub(crate) async fn answer(
    response: Response<Body>,
    id: &Id,
    bounds: Bounds,
) -> Result<Outcome, ServerError> {
    let (mut event, mut rest) = first_event(response, id, bounds).await?;
    loop {
        match (event, &mut rest) {
            (Event::Done(outcome), _) => return Ok(outcome),
            (_, Some(stream)) => event = stream.next().await?,
            (_, None) => return Err(ServerError::Protocol("no answer".into())),
        }
    }
}

/// Reads the first message of an answer to request `id`; the stream is there if more may follow.
pub(super) async fn first_event(
    response: Response<Body>,
    id: &Id,
    bounds: Bounds,
) -> Result<(Event, Option<ModernStream>), ServerError> {
    let (head, body) = response.into_parts();
    match content_type(&head.headers) {
        ContentType::Json => {
            let text = body.collect_limited(bounds.message.bytes).await?;
            let outcome = read_answer(decode(&text, &bounds), id, head.status)?;
            Ok((Event::Done(outcome), None))
        }
        ContentType::EventStream if head.status.is_success() => {
            let mut stream = ModernStream { events: Events::new(body, bounds), id: id.clone() };
            let first = stream.next().await?;
            Ok((first, Some(stream)))
        }
        _ => Err(of_status(head.status)),
    }
}

fn read_answer(
    message: Result<Message, ServerError>,
    id: &Id,
    status: StatusCode,
) -> Result<Outcome, ServerError> {
    match message {
        Ok(Message::Response(response)) if response.id.as_ref() == Some(id) => Ok(response.outcome),
        // Errors about the request itself may have no id, since the server did not come that far.
        Ok(Message::Response(response)) if response.id.is_none() && !status.is_success() => {
            match response.outcome {
                Err(error) => Ok(Err(error)),
                Ok(_) => Err(of_status(status)),
            }
        }
        Ok(Message::Response(_)) => Err(ServerError::Protocol("the answer has another id".into())),
        Ok(_) => Err(ServerError::Protocol("the answer is no response".into())),
        Err(_) if !status.is_success() => Err(of_status(status)),
        Err(error) => Err(error),
    }
}

/// The error of an answer that carries no message.
pub(super) fn of_status(status: StatusCode) -> ServerError {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ServerError::Refused(status.as_u16()),
        status if status.is_success() => {
            ServerError::Protocol("the answer is neither JSON nor an event stream".into())
        }
        status => ServerError::Status(status.as_u16()),
    }
}

/// What an answer says it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ContentType {
    Json,
    EventStream,
    Other,
}

pub(super) fn content_type(headers: &HeaderMap) -> ContentType {
    let value = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let essence = value.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
    if essence.eq_ignore_ascii_case(b"application/json") {
        ContentType::Json
    } else if essence.eq_ignore_ascii_case(b"text/event-stream") {
        ContentType::EventStream
    } else {
        ContentType::Other
    }
}

/// The stream of one answer. Dropping it closes the connection, which cancels the call.
#[derive(Debug)]
pub(super) struct ModernStream {
    events: Events,
    id: Id,
}

impl ModernStream {
    /// Lets go of the stream after its answer.
    pub(super) fn finish(self) {
        self.events.finish();
    }

    pub(super) async fn next(&mut self) -> Result<Event, ServerError> {
        loop {
            match self.events.next_message().await? {
                Some(Message::Response(response)) if response.id.as_ref() == Some(&self.id) => {
                    return Ok(Event::Done(response.outcome));
                }
                Some(Message::Response(_)) => {
                    return Err(ServerError::Protocol("the answer has another id".into()));
                }
                Some(Message::Notification(notification)) => {
                    return Ok(Event::Notification(notification));
                }
                // Modern servers send no requests; one that does gets no answer either.
                Some(Message::Request(request)) => {
                    tracing::warn!(
                        method = &*request.method,
                        "modern server sent a request; ignored"
                    );
                }
                None => return Err(ServerError::Closed("the stream ended".into())),
            }
        }
    }
}
