//! 2026-07-28: every request stands for itself; the headers must agree with the body.

use http::{HeaderMap, StatusCode};
use wire::header as mcp;
use wire::{Id, Method, Request, RpcError, Version, code, meta};

use super::reply::{self, Reply, error};
use super::{Service, outcome};
use crate::example::server::{Listen, Server, no_method};

impl<S: Server> Service<S> {
    pub(super) async fn answer_modern(&self, headers: &HeaderMap, request: Request) -> Reply {
        let method = Method::parse(&request.method);
        if method == Method::Other || !method.exists_in(Version::LATEST) {
            let unknown = no_method(&request.method, Version::LATEST);
            return error(StatusCode::NOT_FOUND, Some(&request.id), &unknown);
        }
        if let Err(message) = check_headers(headers, &request) {
            let mismatch =
                RpcError::new(code::HEADER_MISMATCH, format!("Header mismatch: {message}"));
            return error(StatusCode::BAD_REQUEST, Some(&request.id), &mismatch);
        }
        if method == Method::Listen {
            return self.listen(&request);
        }
        let id = request.id.clone();
        match self.answer(Version::LATEST, request).await {
            Err(unknown) if unknown.code == code::METHOD_NOT_FOUND => {
                error(StatusCode::NOT_FOUND, Some(&id), &unknown)
            }
            answer => outcome(&id, &answer),
        }
    }

    /// Opens the stream of a listen request. It ends with its result when the process ends, and silently
    /// when the client closes it or does not keep up.
    fn listen(&self, request: &Request) -> Reply {
        let Ok(room) = self.streams.clone().try_acquire_owned() else {
            return no_room_for_streams(Some(&request.id));
        };
        let listen = Listen::read(&*self.server, request);
        let mut changes = self.server.changes();
        let (stream, reply) = reply::stream();
        let stopping = self.stopping.clone();
        self.tasks.spawn(async move {
            let closed = stream.closed();
            tokio::pin!(closed);
            let mut open = stream.send(&listen.acknowledgement());
            while open {
                tokio::select! {
                    messages = listen.next(&mut changes) => {
                        open = messages.iter().all(|message| stream.send(message));
                    }
                    () = &mut closed => open = false,
                    () = stopping.cancelled() => {
                        stream.send(&listen.end());
                        open = false;
                    }
                }
            }
            drop(room);
        });
        reply
    }
}

/// The reply where another stream would be one too many.
pub(super) fn no_room_for_streams(id: Option<&Id>) -> Reply {
    let message = "too many streams are open; close one, or try again later";
    let refused = RpcError::new(code::INTERNAL_ERROR, message);
    error(StatusCode::SERVICE_UNAVAILABLE, id, &refused)
}

/// Compares the headers that mirror the body with it.
fn check_headers(headers: &HeaderMap, request: &Request) -> Result<(), String> {
    let version = request.meta.text(meta::PROTOCOL_VERSION).unwrap_or_default();
    check_header(headers, mcp::PROTOCOL_VERSION, &version)?;
    check_header(headers, mcp::METHOD, &request.method)?;
    let member = Method::parse(&request.method).name_member();
    match member.and_then(|member| request.params.text(member)) {
        Some(name) => check_header(headers, mcp::NAME, &name),
        None => Ok(()),
    }
}

fn check_header(headers: &HeaderMap, name: &str, expected: &str) -> Result<(), String> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().ok_or_else(|| format!("the header `{name}` is missing"))?;
    if values.next().is_some() {
        return Err(format!("the header `{name}` is given twice"));
    }
    let value = mcp::decode_value(value.as_bytes()).map_err(|bad| format!("`{name}`: {bad}"))?;
    if value == expected {
        return Ok(());
    }
    Err(format!("the header `{name}` has `{value}`, but the body has `{expected}`"))
}
