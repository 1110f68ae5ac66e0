//! 2026-07-28 towards clients: every request stands for itself (transports, §Streamable HTTP).

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::future::join_all;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{HeaderName, Response, StatusCode};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wire::header::{self, HeaderParam};
use wire::json::Edit;
use wire::method::name;
use wire::shape::task;
use wire::{Era, Id, Json, Message, Method, Object, Request, Version, code, message, meta, sse};

use super::feed::{Feed, Heard};
use super::relay::{self, Exchanged, Relay, Sent, Step};
use super::{Visit, answer_fault};
use crate::call::{Call, Caller, Correlation, Principal};
use crate::catalog::View;
use crate::edge::{self, EdgeBody};
use crate::exchange::{StreamPlace, authenticate};
use crate::fault::{Fault, Reason};
use crate::fleet::Interest;
use crate::gate::Gate;
use crate::headers;
use crate::plan::{Endpoint, Serves};
use crate::upstream::Change;

/// Answers one modern message.
pub(super) async fn post(visit: Visit, message: Message) -> Response<EdgeBody> {
    let request = match message {
        Message::Request(request) => request,
        // The core defines no notification of clients over HTTP; extensions may.
        Message::Notification(_) => return edge::empty(StatusCode::ACCEPTED),
        Message::Response(_) => {
            let fault = Fault::new(Reason::Malformed, "Invalid request: clients send no responses");
            return answer_fault(&fault, None, Era::Modern);
        }
    };
    let id = request.id.clone();
    let principal = authenticate::http(&visit.head);
    // Which version it is comes first: header and body must agree even on one that nobody speaks.
    let claimed = request.meta.text(meta::PROTOCOL_VERSION).unwrap_or_default();
    if let Err(fault) = compare(&visit, &headers::PROTOCOL_VERSION, &claimed) {
        return answer_fault(&fault, Some(&id), Era::Modern);
    }
    drop(claimed);
    let mut call = match call_of(request, principal, Correlation::fresh()) {
        Ok(call) => call,
        Err(fault) => return answer_fault(&fault, Some(&id), Era::Modern),
    };
    let checked = check_headers(&visit, &call).and_then(|()| check_mirrored(&visit, &call));
    if let Err(fault) = checked {
        return answer_fault(&fault, Some(&id), Era::Modern);
    }
    call.param_headers = param_headers(&visit);
    call.forwarded = visit.forwarded();
    let correlation = call.correlation;
    let mut response = if call.method == Method::Listen && is_kept_here(&visit.endpoint, &call) {
        // Rare and large: kept out of the state that every call carries.
        Box::pin(listen(&visit, &call)).await
    } else {
        let accepts_stream = visit.accepts_stream();
        let keep_alive = visit.snapshot.limits.keep_alive.get();
        let Visit { gate, snapshot, endpoint, .. } = visit;
        let is_listen = call.method == Method::Listen;
        let draining = is_listen.then(|| gate.draining.clone());
        let exchanged = relay::exchange(gate, snapshot, endpoint, call).await;
        respond(exchanged, accepts_stream, keep_alive, draining).await
    };
    edge::stamp(&mut response, &correlation);
    response
}

/// The call that a modern request makes, once what the version demands is there.
pub(super) fn call_of(
    request: Request,
    principal: Principal,
    correlation: Correlation,
) -> Result<Box<Call>, Fault> {
    let Request { id, method: method_name, params, meta } = request;
    let claimed = meta.text(meta::PROTOCOL_VERSION).unwrap_or_default();
    let version = match Version::parse(&claimed) {
        Some(version) if version.era() == Era::Modern => version,
        _ => return Err(Fault::unsupported_version(&claimed)),
    };
    drop(claimed);
    let method = Method::parse(&method_name);
    if !method.exists_in(version) {
        return Err(Fault::new(
            Reason::UnknownMethod,
            format!("Method not found: `{}` does not exist in {version}", &*method_name),
        ));
    }
    let capabilities = meta.get(meta::CLIENT_CAPABILITIES);
    let Some(capabilities) = capabilities.filter(|json| json.kind() == wire::json::Kind::Object)
    else {
        return Err(Fault::new(
            Reason::InvalidParams,
            format!("Invalid params: `_meta` lacks `{}`", meta::CLIENT_CAPABILITIES),
        )
        .with_status(StatusCode::BAD_REQUEST));
    };
    let caller = Caller {
        version,
        principal,
        capabilities,
        info: meta.get(meta::CLIENT_INFO),
        log_level: meta.get(meta::LOG_LEVEL),
        conversation: None,
    };
    if method.name_member() == Some("taskId") && !caller.knows_tasks() {
        return Err(Fault::missing_extension(task::EXTENSION));
    }
    let deadline = Instant::now();
    let param_headers = Vec::new();
    Ok(Box::new(Call {
        id,
        method,
        method_name,
        params,
        meta,
        param_headers,
        forwarded: Vec::new(),
        caller,
        resumes: None,
        as_task: false,
        deadline,
        correlation,
    }))
}

/// The standard headers must say what the body says.
fn check_headers(visit: &Visit, call: &Call) -> Result<(), Fault> {
    compare(visit, &headers::METHOD, &call.method_name)?;
    if let Some(member) = call.method.name_member()
        && let Some(name) = call.params.text(member)
    {
        compare(visit, &headers::NAME, &name)?;
    }
    Ok(())
}

fn compare(visit: &Visit, name: &HeaderName, body: &str) -> Result<(), Fault> {
    let mismatch =
        |what: String| Fault::new(Reason::HeaderMismatch, format!("Header mismatch: {what}"));
    let mut values = visit.head.headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Err(mismatch(format!("{name} is missing; the body says {body:?}")));
    };
    if values.next().is_some() {
        return Err(mismatch(format!("{name} is there more than once")));
    }
    let value = header::decode_value(value.as_bytes())
        .map_err(|error| mismatch(format!("{name}: {error}")))?;
    if value == body {
        return Ok(());
    }
    Err(mismatch(format!("{name} header value {value:?} does not match body value {body:?}")))
}

/// `Mcp-Param-*` must mirror the arguments that the tool's schema marks.
fn check_mirrored(visit: &Visit, call: &Call) -> Result<(), Fault> {
    if call.method != Method::ToolsCall {
        return Ok(());
    }
    let Some(params) = mirrored(visit, call) else { return Ok(()) };
    let arguments = call.params.object("arguments").unwrap_or_else(Object::empty);
    for param in params.iter() {
        let name = param.header_name();
        let value = visit.head.headers.get(name.as_str()).map(HeaderValue::as_bytes);
        param.check(value, &arguments).map_err(|error| {
            Fault::new(Reason::HeaderMismatch, format!("Header mismatch: {name}: {error}"))
        })?;
    }
    Ok(())
}

fn mirrored(visit: &Visit, call: &Call) -> Option<Arc<[HeaderParam]>> {
    let name = call.params.text("name")?;
    match &visit.endpoint.serves {
        Serves::One(server) => server.tools().mirrored(&name),
        Serves::Composed(composed) => {
            let view = composed.views.last(call.caller.abilities())?;
            let target = view.tool(&name)?;
            target.server.tools().mirrored(&target.original)
        }
    }
}

fn param_headers(visit: &Visit) -> Vec<(String, HeaderValue)> {
    visit
        .head
        .headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with(header::PARAM_PREFIX))
        .map(|(name, value)| (name.as_str().to_owned(), value.clone()))
        .collect()
}

async fn respond(
    exchanged: Exchanged,
    accepts_stream: bool,
    keep_alive: Duration,
    draining: Option<CancellationToken>,
) -> Response<EdgeBody> {
    if !accepts_stream {
        return edge::json(StatusCode::OK, exchanged.outcome().await);
    }
    match exchanged.send() {
        Sent::Whole { parts, streamed, error } => whole(parts, streamed, error),
        Sent::Stream(relay) => event_stream(stream(relay, keep_alive, draining)),
    }
}

/// One message, in the form the server chose. Errors of the hop have a status of their own.
fn whole(parts: Vec<Bytes>, streamed: bool, error: Option<i64>) -> Response<EdgeBody> {
    let status = match error {
        Some(
            code::MISSING_CLIENT_CAPABILITY | code::HEADER_MISMATCH | code::UNSUPPORTED_VERSION,
        ) => StatusCode::BAD_REQUEST,
        Some(code::METHOD_NOT_FOUND) => StatusCode::NOT_FOUND,
        _ => StatusCode::OK,
    };
    if streamed && status == StatusCode::OK {
        return one_event(parts);
    }
    let mut response = edge::json(status, Bytes::new());
    *response.body_mut() = EdgeBody::parts(parts);
    response
}

/// An event stream that is already complete.
pub(super) fn one_event(parts: Vec<Bytes>) -> Response<EdgeBody> {
    let mut response = event_stream(futures_util::stream::empty());
    *response.body_mut() = match <[Bytes; 1]>::try_from(parts) {
        Ok([text]) => EdgeBody::full([EVENT_HEAD, &text, EVENT_TAIL].concat()),
        Err(parts) => {
            let framed = [Bytes::from_static(EVENT_HEAD)].into_iter().chain(parts);
            EdgeBody::parts(framed.chain([Bytes::from_static(EVENT_TAIL)]))
        }
    };
    response
}

const EVENT_HEAD: &[u8] = b"event: message\ndata: ";
const EVENT_TAIL: &[u8] = b"\n\n";

/// A response that is an event stream.
pub(super) fn event_stream(
    events: impl Stream<Item = Bytes> + Send + 'static,
) -> Response<EdgeBody> {
    let mut response = Response::new(EdgeBody::stream(events));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(headers::ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response
}

/// The events of a reply. Dropping the stream, which the client does by closing it, cancels the call.
fn stream(
    relay: Box<Relay>,
    keep_alive: Duration,
    draining: Option<CancellationToken>,
) -> impl Stream<Item = Bytes> + Send {
    futures_util::stream::unfold((Some(relay), draining), move |(relay, draining)| async move {
        let mut relay = relay?;
        loop {
            let drained = async {
                match &draining {
                    Some(draining) => draining.cancelled().await,
                    None => std::future::pending().await,
                }
            };
            let step = tokio::select! {
                step = relay.next() => step,
                () = tokio::time::sleep(keep_alive) => {
                    return Some((Bytes::from_static(b":\n\n"), (Some(relay), draining)));
                }
                () = drained => relay.complete(),
            };
            return Some(match step {
                Step::Message(text) => (event(&text), (Some(relay), draining)),
                Step::End(text) => (event(&text), (None, draining)),
                // Modern clients are not asked in the middle of a stream; dropping the question
                // tells the server that nobody answers.
                Step::Ask(_) | Step::Pause(_) => continue,
            });
        }
    })
}

fn event(text: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(text.len() + 32);
    sse::write_event(&mut out, Some("message"), None, text);
    out.into()
}

// === subscriptions/listen ===

/// The members of a filter that the gate can serve itself.
const LIST_FILTERS: [(&str, &str, Change); 3] = [
    ("toolsListChanged", name::TOOLS_CHANGED, Change::Tools),
    ("promptsListChanged", name::PROMPTS_CHANGED, Change::Prompts),
    ("resourcesListChanged", name::RESOURCES_CHANGED, Change::Resources),
];
const RESOURCE_FILTER: &str = "resourceSubscriptions";
/// Most resources in one filter.
const RESOURCES_MAX: usize = 1000;

/// Whether the gate itself serves the stream. A filter with members of extensions goes to the server,
/// if there is one that can know them; elsewhere what is honoured of it leaves them out.
pub(super) fn is_kept_here(endpoint: &Endpoint, call: &Call) -> bool {
    let knows = matches!(&endpoint.serves, Serves::One(server) if server.is_modern());
    let Some(filter) = call.params.object("notifications").filter(|_| knows) else { return true };
    filter.members().all(|(key, _)| {
        key == RESOURCE_FILTER || LIST_FILTERS.iter().any(|(member, ..)| *member == key)
    })
}

/// What one listener hears.
pub(super) struct Listening {
    id: Id,
    feed: Feed,
    lists: Vec<&'static str>,
    /// The URIs that the client knows, each with the interest that keeps its resource watched.
    resources: Vec<(String, Interest)>,
    ready: VecDeque<Vec<u8>>,
    over: bool,
    draining: CancellationToken,
    _place: StreamPlace,
}

impl Listening {
    pub(super) async fn begin(
        gate: &Arc<Gate>,
        endpoint: &Arc<Endpoint>,
        call: &Call,
    ) -> Result<Self, Fault> {
        let place = StreamPlace::enter(gate, &gate.current())?;
        let Some(filter) = call.params.object("notifications") else {
            return Err(Fault::new(Reason::InvalidParams, "`notifications` must be an object"));
        };
        let told = told(endpoint, call).await;
        let lists: Vec<_> = LIST_FILTERS
            .iter()
            .zip(told.lists)
            .filter(|((member, ..), told)| *told && filter.raw(member) == Some(b"true"))
            .map(|((member, ..), _)| *member)
            .collect();
        let uris = filter.get(RESOURCE_FILTER).and_then(|uris| uris.elements()).unwrap_or_default();
        if uris.len() > RESOURCES_MAX {
            let message = format!("`{RESOURCE_FILTER}` has more than {RESOURCES_MAX} entries");
            return Err(Fault::new(Reason::InvalidParams, message));
        }
        let mut listening = Self {
            id: call.id.clone(),
            feed: Feed::of(gate, endpoint, !lists.is_empty()),
            lists,
            resources: Vec::new(),
            ready: VecDeque::new(),
            over: false,
            draining: gate.draining.clone(),
            _place: place,
        };
        for uri in uris.iter().filter(|_| told.resources).filter_map(Json::text) {
            listening.watch(endpoint, told.view.as_deref(), &uri);
        }
        // What is acknowledged is heard from then on.
        listening.feed.settled().await;
        join_all(listening.resources.iter().map(|(_, interest)| interest.settled())).await;
        let acknowledged = listening.acknowledgement();
        listening.ready.push_back(acknowledged);
        Ok(listening)
    }

    fn watch(&mut self, endpoint: &Endpoint, view: Option<&View>, uri: &str) {
        let (server, own) = match &endpoint.serves {
            Serves::One(server) => (Arc::clone(server), uri.to_owned()),
            Serves::Composed(_) => {
                let Some(view) = view else { return };
                let by_template = || view.template_for(uri).cloned();
                let Some(target) = view.resource(uri).or_else(by_template) else { return };
                let own =
                    if view.resource(uri).is_some() { target.original } else { uri.to_owned() };
                (target.server, own)
            }
        };
        self.resources.push((uri.to_owned(), server.watch_resource(&own, None)));
    }

    /// The first message: what of the filter is honoured.
    fn acknowledgement(&self) -> Vec<u8> {
        let mut members: Vec<String> =
            self.lists.iter().map(|member| format!("\"{member}\":true")).collect();
        if !self.resources.is_empty() {
            let uris: Vec<_> = self
                .resources
                .iter()
                .map(|(uri, _)| Json::string(uri).as_str().to_owned())
                .collect();
            members.push(format!("\"{RESOURCE_FILTER}\":[{}]", uris.join(",")));
        }
        let honoured = Json::trusted(format!("{{{}}}", members.join(",")));
        self.notification(name::ACKNOWLEDGED, &[Edit::set("notifications", honoured.as_bytes())])
    }

    fn notification(&self, method: &str, members: &[Edit<'_>]) -> Vec<u8> {
        let meta = self.meta();
        let mut edits = vec![Edit::set("_meta", meta.as_bytes())];
        edits.extend_from_slice(members);
        message::encode_notification(method, Some(Object::empty().to_json(&edits).as_bytes()))
    }

    fn meta(&self) -> Json {
        let id = String::from_utf8_lossy(self.id.as_bytes());
        Json::trusted(format!("{{\"{}\":{id}}}", meta::SUBSCRIPTION_ID))
    }

    /// The next message; `None` after the last.
    pub(super) async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Some(message);
            }
            if self.over {
                return None;
            }
            let changed = tokio::select! {
                changed = self.feed.next() => changed,
                () = self.draining.cancelled() => {
                    self.over = true;
                    return Some(self.completion());
                }
            };
            self.queue(&changed);
        }
    }

    fn queue(&mut self, changed: &HashSet<Heard>) {
        for (member, method, change) in &LIST_FILTERS {
            let told = changed.iter().any(|heard| heard.change == *change);
            if told && self.lists.contains(member) {
                let message = self.notification(method, &[]);
                self.ready.push_back(message);
            }
        }
        for heard in changed {
            let watched = self.resources.iter();
            for (uri, _) in watched.filter(|(_, interest)| heard.concerns(interest)) {
                let uri = Json::string(uri);
                let members = [Edit::set("uri", uri.as_bytes())];
                let message = self.notification(name::RESOURCE_UPDATED, &members);
                self.ready.push_back(message);
            }
        }
    }

    /// The result that ends a stream in good order.
    fn completion(&self) -> Vec<u8> {
        let meta = self.meta();
        let result = Object::empty()
            .with(&[Edit::set("resultType", b"\"complete\""), Edit::set("_meta", meta.as_bytes())]);
        message::encode_result(&self.id, &result, &[])
    }
}

/// What an endpoint can tell of.
struct Told {
    /// In the order of [`LIST_FILTERS`].
    lists: [bool; 3],
    resources: bool,
    view: Option<Arc<View>>,
}

async fn told(endpoint: &Endpoint, call: &Call) -> Told {
    let server = match &endpoint.serves {
        Serves::One(server) => server,
        Serves::Composed(composed) => {
            let view = composed.views.current(call.caller.abilities(), Duration::ZERO).await;
            return Told { lists: [true; 3], resources: true, view: Some(view) };
        }
    };
    let reached =
        tokio::time::timeout(server.wanted.timeout.get(), server.peer(&call.caller)).await;
    match reached {
        Ok(Ok(peer)) => {
            let has = &peer.hello().abilities;
            let lists = [has.tools_changed, has.prompts_changed, has.resources_changed];
            Told { lists, resources: has.subscribe, view: None }
        }
        // It is away: once it is back, everything may have changed.
        Ok(Err(_)) | Err(_) => Told { lists: [true; 3], resources: true, view: None },
    }
}

async fn listen(visit: &Visit, call: &Call) -> Response<EdgeBody> {
    let listening = match Listening::begin(&visit.gate, &visit.endpoint, call).await {
        Ok(listening) => listening,
        Err(fault) => return answer_fault(&fault, Some(&call.id), Era::Modern),
    };
    let keep_alive = visit.snapshot.limits.keep_alive.get();
    // What is watched lives as long as the stream does.
    event_stream(futures_util::stream::unfold(listening, move |mut listening| async move {
        match tokio::time::timeout(keep_alive, listening.next()).await {
            Ok(Some(message)) => Some((event(&message), listening)),
            Ok(None) => None,
            Err(_silence) => Some((Bytes::from_static(b":\n\n"), listening)),
        }
    }))
}
