//! 2025-11-25 and earlier: sessions that `initialize` starts, a GET stream for news, DELETE to end.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use wire::header as mcp;
use wire::message::{self, encode_notification};
use wire::method::name;
use wire::{Id, Limits, Message, Method, Object, Outcome, Request, RpcError, Version, code};

use super::modern::no_room_for_streams;
use super::reply::{self, Reply, error};
use super::{Service, named_version, outcome};
use crate::example::server::{Change, Failure, SUBSCRIPTIONS_MAX, Server};

/// Most sessions; the one that was used longest ago makes room for a new one.
const SESSIONS_MAX: usize = 1_000;
/// A session that is not used for so long has ended.
const IDLE_MAX: Duration = Duration::from_hours(1);
/// Most members of a batch.
const BATCH_MAX: usize = 20;

/// All sessions, by id.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<String, Arc<Session>>>);

/// What `initialize` has settled, and what the client wants to hear.
pub(super) struct Session {
    version: Version,
    changing: Mutex<Changing>,
    /// The session has ended.
    ended: CancellationToken,
}

struct Changing {
    used: Instant,
    subscriptions: HashSet<String>,
    has_stream: bool,
}

impl Session {
    fn changing(&self) -> MutexGuard<'_, Changing> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sessions {
    fn all(&self) -> MutexGuard<'_, HashMap<String, Arc<Session>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a session and returns its id, which nobody can guess.
    fn start(&self, version: Version) -> Option<String> {
        let mut random = [0_u8; 16];
        aws_lc_rs::rand::fill(&mut random).ok()?;
        let id = URL_SAFE_NO_PAD.encode(random);
        let mut all = self.all();
        if all.len() >= SESSIONS_MAX {
            let oldest = all.iter().min_by_key(|(_, session)| session.changing().used);
            if let Some(session) = oldest.map(|(id, _)| id.clone()).and_then(|id| all.remove(&id)) {
                session.ended.cancel();
            }
        }
        let changing =
            Changing { used: Instant::now(), subscriptions: HashSet::new(), has_stream: false };
        let ended = CancellationToken::new();
        all.insert(id.clone(), Arc::new(Session { version, changing: changing.into(), ended }));
        Some(id)
    }

    /// The session with this id, if it has not ended; it counts as used.
    fn find(&self, id: &str) -> Option<Arc<Session>> {
        let mut all = self.all();
        let session = Arc::clone(all.get(id)?);
        let mut changing = session.changing();
        if changing.used.elapsed() > IDLE_MAX && !changing.has_stream {
            drop(changing);
            all.remove(id);
            return None;
        }
        changing.used = Instant::now();
        drop(changing);
        Some(session)
    }

    fn end(&self, id: &str) -> bool {
        let ended = self.all().remove(id);
        ended.map(|session| session.ended.cancel()).is_some()
    }
}

impl<S: Server> Service<S> {
    pub(super) async fn initialize(&self, request: Request) -> Reply {
        let asked = request.params.text("protocolVersion").unwrap_or_default();
        let version = Version::negotiate_legacy(&asked);
        let id = request.id.clone();
        let answer = self.answer(version, request).await;
        let mut reply = outcome(&id, &answer);
        let session = self.sessions.start(version);
        match session.and_then(|session| HeaderValue::try_from(session).ok()) {
            Some(session) => {
                reply.headers_mut().insert(mcp::SESSION_ID, session);
                reply
            }
            None => reply::empty(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    /// The session that the headers name; else the reply that says why there is none.
    pub(super) fn session(
        &self,
        headers: &HeaderMap,
        id: Option<&Id>,
    ) -> Result<Arc<Session>, Box<Reply>> {
        let refuse = |status, code, message: String| {
            Err(Box::new(error(status, id, &RpcError::new(code, message))))
        };
        let Some(name) = headers.get(mcp::SESSION_ID).and_then(|name| name.to_str().ok()) else {
            let message = "the header Mcp-Session-Id is missing; send `initialize` first, or name \
                           the version in `params._meta`";
            return refuse(StatusCode::BAD_REQUEST, code::INVALID_REQUEST, message.to_owned());
        };
        if let Some(version) = named_version(headers)
            && Version::parse(version).is_none()
        {
            let message = format!("MCP-Protocol-Version `{version}` is not spoken here");
            return refuse(StatusCode::BAD_REQUEST, code::INVALID_REQUEST, message);
        }
        self.sessions.find(name).map_or_else(
            || {
                let message = "the session has ended; send `initialize` again".to_owned();
                refuse(StatusCode::NOT_FOUND, code::SESSION_NOT_FOUND, message)
            },
            Ok,
        )
    }

    pub(super) async fn answer_legacy(&self, headers: &HeaderMap, request: Request) -> Reply {
        let id = request.id.clone();
        match self.session(headers, Some(&id)) {
            Ok(session) => outcome(&id, &self.answer_in(&session, request).await),
            Err(refused) => *refused,
        }
    }

    async fn answer_in(&self, session: &Session, request: Request) -> Outcome {
        match Method::parse(&request.method) {
            Method::ResourcesSubscribe => self.subscribe(session, &request),
            Method::ResourcesUnsubscribe => {
                session.changing().subscriptions.remove(&*wanted_uri(&request)?);
                Ok(Object::empty())
            }
            _ => self.answer(session.version, request).await,
        }
    }

    fn subscribe(&self, session: &Session, request: &Request) -> Outcome {
        let uri = wanted_uri(request)?;
        self.server
            .read(&uri)
            .map_err(|failure: Failure| failure.into_error(session.version.era()))?;
        let mut changing = session.changing();
        if changing.subscriptions.len() >= SUBSCRIPTIONS_MAX {
            let message =
                format!("a session has at most {SUBSCRIPTIONS_MAX} subscriptions; end one first");
            return Err(RpcError::new(code::INVALID_PARAMS, message));
        }
        changing.subscriptions.insert(uri);
        Ok(Object::empty())
    }

    /// The members of a body that is a batch, if it is one and the session's version has batches.
    pub(super) fn split(
        &self,
        headers: &HeaderMap,
        text: &Bytes,
    ) -> Result<Option<Vec<Bytes>>, Box<Reply>> {
        if !text.trim_ascii_start().starts_with(b"[") {
            return Ok(None);
        }
        if self.session(headers, None)?.version != Version::V2025_03_26 {
            // The decoder refuses it with the reason.
            return Ok(None);
        }
        message::split_batch(text, &Limits::CLIENT, BATCH_MAX).map_err(|refusal| {
            Box::new(error(StatusCode::BAD_REQUEST, refusal.id(), &refusal.to_error()))
        })
    }

    /// Answers the requests of a batch one after the other.
    pub(super) async fn take_batch(&self, headers: &HeaderMap, members: Vec<Bytes>) -> Reply {
        let session = match self.session(headers, None) {
            Ok(session) => session,
            Err(refused) => return *refused,
        };
        let mut answers = Vec::new();
        for member in members {
            match Message::decode(&member, &Limits::CLIENT) {
                Ok(Message::Request(request)) => {
                    let id = request.id.clone();
                    let answer = self.answer_in(&session, request).await;
                    answers.push(message::encode_outcome(&id, &answer));
                }
                Ok(Message::Notification(_) | Message::Response(_)) => {}
                Err(refusal) => {
                    answers.push(message::encode_error(refusal.id(), &refusal.to_error()));
                }
            }
        }
        if answers.is_empty() {
            return reply::empty(StatusCode::ACCEPTED);
        }
        let mut text = vec![b'['];
        text.extend_from_slice(&answers.join(&b','));
        text.push(b']');
        reply::json(StatusCode::OK, text)
    }

    /// GET: opens the session's stream of news.
    pub(super) fn open_stream(&self, headers: &HeaderMap) -> Reply {
        if !headers.contains_key(mcp::SESSION_ID) {
            return reply::no_such_verb();
        }
        let session = match self.session(headers, None) {
            Ok(session) => session,
            Err(refused) => return *refused,
        };
        let accepted = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
        if !accepted.unwrap_or_default().contains(mcp::EVENT_STREAM_TYPE) {
            return reply::empty(StatusCode::NOT_ACCEPTABLE);
        }
        let Ok(room) = self.streams.clone().try_acquire_owned() else {
            return no_room_for_streams(None);
        };
        if std::mem::replace(&mut session.changing().has_stream, true) {
            let message = "the session has a stream already; close it first";
            let refused = RpcError::new(code::INVALID_REQUEST, message);
            return error(StatusCode::CONFLICT, None, &refused);
        }
        let mut changes = self.server.changes();
        let stopping = self.stopping.clone();
        let (stream, reply) = reply::stream();
        self.tasks.spawn(async move {
            let closed = stream.closed();
            tokio::pin!(closed);
            let mut open = true;
            while open {
                let next = async {
                    match &mut changes {
                        Some(changes) => changes.recv().await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    change = next => {
                        let news = session.news(change);
                        open = news.iter().all(|message| stream.send(message));
                    }
                    () = &mut closed => open = false,
                    () = session.ended.cancelled() => open = false,
                    () = stopping.cancelled() => open = false,
                }
            }
            let mut changing = session.changing();
            changing.has_stream = false;
            changing.used = Instant::now();
            drop(changing);
            drop(room);
        });
        reply
    }

    /// DELETE: ends the session.
    pub(super) fn end_session(&self, headers: &HeaderMap) -> Reply {
        match headers.get(mcp::SESSION_ID).and_then(|name| name.to_str().ok()) {
            None => reply::no_such_verb(),
            Some(name) if self.sessions.end(name) => reply::empty(StatusCode::NO_CONTENT),
            Some(_) => reply::empty(StatusCode::NOT_FOUND),
        }
    }
}

impl Session {
    /// The messages about a change. A client that could not keep up is told that everything changed.
    fn news(&self, change: Result<Change, RecvError>) -> Vec<Vec<u8>> {
        let list = || encode_notification(name::RESOURCES_CHANGED, None);
        let updated = |uri: &String| {
            let params = json!({ "uri": uri }).to_string();
            encode_notification(name::RESOURCE_UPDATED, Some(params.as_bytes()))
        };
        let changing = self.changing();
        match change {
            Ok(Change::ResourceList) => vec![list()],
            Ok(Change::Resource(uri)) => {
                changing.subscriptions.get(&uri).map(updated).into_iter().collect()
            }
            Err(RecvError::Lagged(_)) => {
                std::iter::once(list()).chain(changing.subscriptions.iter().map(updated)).collect()
            }
            Err(RecvError::Closed) => Vec::new(),
        }
    }
}

fn wanted_uri(request: &Request) -> Result<String, RpcError> {
    let uri = request.params.text("uri").map(std::borrow::Cow::into_owned);
    uri.ok_or_else(|| RpcError::new(code::INVALID_PARAMS, "`params.uri` must be a string"))
}
