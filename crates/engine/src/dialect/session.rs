//! Legacy sessions of clients: what was negotiated is sealed in the id, what changes lives here, and
//! a restart answers 404.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock, Weak};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use wire::json::Edit;
use wire::method::name;
use wire::{Id, Json, Notification, Object, Outcome, Version, message, meta};

use super::feed::Heard;
use super::log::StreamLog;
use crate::call::{Caller, Conversation, Principal, Question};
use crate::exchange::{TaskIds, introduced};
use crate::fault::{Fault, Reason};
use crate::fleet::Interest;
use crate::gate::Gate;
use crate::plan::{Endpoint, Serves};
use crate::seal::{Binding, Kind, Sealer, unix_now};

/// All legacy sessions by their ids.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    by_id: RwLock<HashMap<String, Arc<Session>>>,
}

/// What a client said in `initialize`.
#[derive(Clone, Debug)]
pub(super) struct Introduced {
    pub(super) version: Version,
    pub(super) capabilities: Json,
    pub(super) info: Option<Json>,
}

/// One legacy client's session.
pub(super) struct Session {
    pub(super) id: String,
    pub(super) introduced: Introduced,
    pub(super) endpoint: Arc<Endpoint>,
    principal: Principal,
    sealer: Arc<Sealer>,
    key: u64,
    me: Weak<Session>,
    level: Mutex<Option<Json>>,
    interests: Mutex<HashMap<String, Interest>>,
    in_flight: Mutex<HashMap<Id, CancellationToken>>,
    questions: Mutex<HashMap<u64, oneshot::Sender<Outcome>>>,
    next_question: AtomicU64,
    /// What belongs to no call.
    pub(super) standalone: Arc<StreamLog>,
    streams: Mutex<VecDeque<Arc<StreamLog>>>,
    next_stream: AtomicU64,
    pub(super) opened_stream: AtomicBool,
    /// Cancelled once the servers have been asked for their changes: nothing goes unheard from then on.
    pub(super) hears: CancellationToken,
    used: Mutex<Instant>,
    over: CancellationToken,
    replay: (usize, usize),
}

/// Streams of finished calls that can still be resumed.
const STREAMS_KEPT: usize = 32;
/// Longest sealed id: it travels in a header with every request.
const CAPABILITIES_MAX: usize = 4 << 10;
/// Sealed ids do not expire by themselves: the session they name does.
const ID_LIFE: Duration = Duration::from_hours(24 * 365);

impl Sessions {
    /// Begins a session.
    pub(super) fn begin(
        &self,
        gate: &Gate,
        endpoint: &Arc<Endpoint>,
        principal: Principal,
        introduced: Introduced,
    ) -> Result<Arc<Session>, Fault> {
        let limits = &gate.current().limits;
        let negotiated = format!("{}{}", introduced.version, introduced.capabilities.as_str());
        if negotiated.len() > CAPABILITIES_MAX {
            return Err(Fault::new(
                Reason::InvalidParams,
                format!("`capabilities` are longer than {CAPABILITIES_MAX} bytes"),
            ));
        }
        if self.count() >= limits.sessions {
            return Err(Fault::new(
                Reason::Overloaded,
                format!(
                    "{} sessions are open; end some with DELETE, or try again later",
                    limits.sessions
                ),
            ));
        }
        let binding = Binding {
            kind: Kind::Session,
            principal: principal.id(),
            scope: &endpoint.path,
            request: b"",
        };
        let id = gate.sealer.seal(&binding, negotiated.as_bytes(), unix_now(), ID_LIFE);
        let replay = (limits.replay_events, limits.replay_bytes.len());
        let session =
            Session::new(id, introduced, Arc::clone(endpoint), principal, &gate.sealer, replay);
        self.insert(&session);
        Ok(session)
    }

    fn insert(&self, session: &Arc<Session>) {
        let mut by_id = self.by_id.write().expect("no panic while holding the sessions");
        by_id.insert(session.id.clone(), Arc::clone(session));
    }

    /// The session of an id that was given out at this endpoint, to this principal.
    pub(super) fn find(
        &self,
        id: &str,
        endpoint: &Endpoint,
        principal: &Principal,
    ) -> Option<Arc<Session>> {
        let by_id = self.by_id.read().expect("no panic while holding the sessions");
        let session = by_id.get(id)?;
        // By path: a reload makes new endpoints of the same address.
        let fits = session.endpoint.path == endpoint.path && session.principal == *principal;
        let session = fits.then(|| Arc::clone(session))?;
        session.touch();
        Some(session)
    }

    pub(super) fn end(&self, session: &Session) {
        self.by_id.write().expect("no panic while holding the sessions").remove(&session.id);
        session.end();
    }

    /// How many sessions there are.
    pub(crate) fn count(&self) -> usize {
        self.by_id.read().expect("no panic while holding the sessions").len()
    }

    pub(crate) fn end_all(&self) {
        let mut by_id = self.by_id.write().expect("no panic while holding the sessions");
        by_id.drain().for_each(|(_, session)| session.end());
    }

    fn end_idle(&self, idle: Duration) {
        let mut by_id = self.by_id.write().expect("no panic while holding the sessions");
        by_id.retain(|_, session| {
            let kept = session.is_used(idle);
            if !kept {
                session.end();
            }
            kept
        });
    }
}

/// Ends sessions that nobody has used for a while.
pub(crate) async fn end_idle_sessions(gate: Weak<Gate>) {
    loop {
        let Some(idle) = gate.upgrade().map(|gate| gate.current().limits.session_idle.get()) else {
            return;
        };
        tokio::time::sleep((idle / 4).clamp(Duration::from_millis(100), Duration::from_mins(1)))
            .await;
        let Some(gate) = gate.upgrade() else { return };
        gate.sessions.end_idle(idle);
    }
}

impl Session {
    pub(super) fn new(
        id: String,
        introduced: Introduced,
        endpoint: Arc<Endpoint>,
        principal: Principal,
        sealer: &Arc<Sealer>,
        replay: (usize, usize),
    ) -> Arc<Self> {
        static NEXT_KEY: AtomicU64 = AtomicU64::new(1);
        Arc::new_cyclic(|me| Self {
            id,
            introduced,
            endpoint,
            principal,
            sealer: Arc::clone(sealer),
            key: NEXT_KEY.fetch_add(1, Ordering::Relaxed),
            me: Weak::clone(me),
            level: Mutex::default(),
            interests: Mutex::default(),
            in_flight: Mutex::default(),
            questions: Mutex::default(),
            next_question: AtomicU64::new(1),
            standalone: StreamLog::new(0, replay.0, replay.1),
            streams: Mutex::default(),
            next_stream: AtomicU64::new(1),
            opened_stream: AtomicBool::new(false),
            hears: CancellationToken::new(),
            used: Mutex::new(Instant::now()),
            over: CancellationToken::new(),
            replay,
        })
    }

    pub(super) fn version(&self) -> Version {
        self.introduced.version
    }

    /// The session as the caller of its requests.
    pub(super) fn caller(self: &Arc<Self>) -> Caller {
        Caller {
            version: self.introduced.version,
            principal: self.principal.clone(),
            capabilities: self.introduced.capabilities.clone(),
            info: self.introduced.info.clone(),
            log_level: self.log_level(),
            conversation: Some(Arc::clone(self) as Arc<dyn Conversation>),
        }
    }

    fn task_ids(&self, server: &str) -> TaskIds {
        TaskIds::new(&self.sealer, &self.principal, &self.endpoint.path, server)
    }

    fn touch(&self) {
        *self.used.lock().expect("no panic while holding a time") = Instant::now();
    }

    fn is_used(&self, idle: Duration) -> bool {
        let recent = self.used.lock().expect("no panic while holding a time").elapsed() < idle;
        let busy = !self.in_flight.lock().expect("no panic while holding the calls").is_empty();
        recent || busy || self.standalone.is_read()
    }

    pub(super) fn end(&self) {
        self.over.cancel();
        self.standalone.finish();
        for stream in self.streams().iter() {
            stream.finish();
        }
        self.questions.lock().expect("no panic while holding the questions").clear();
        self.interests.lock().expect("no panic while holding the interests").clear();
    }

    pub(super) fn over(&self) -> &CancellationToken {
        &self.over
    }

    pub(super) fn set_level(&self, level: Json) {
        *self.level.lock().expect("no panic while holding the level") = Some(level);
    }

    /// Registers a request, so that the client can cancel it.
    pub(super) fn begin(self: &Arc<Self>, id: &Id) -> InFlight {
        let token = self.over.child_token();
        let mut in_flight = self.in_flight.lock().expect("no panic while holding the calls");
        in_flight.insert(id.clone(), token.clone());
        InFlight { session: Arc::clone(self), id: id.clone(), token }
    }

    pub(super) fn cancel(&self, id: &Id) {
        if let Some(token) =
            self.in_flight.lock().expect("no panic while holding the calls").get(id)
        {
            token.cancel();
        }
    }

    fn streams(&self) -> std::sync::MutexGuard<'_, VecDeque<Arc<StreamLog>>> {
        self.streams.lock().expect("no panic while holding the streams")
    }

    /// Opens the stream of one call.
    pub(super) fn open_stream(&self) -> Arc<StreamLog> {
        let number = self.next_stream.fetch_add(1, Ordering::Relaxed);
        let stream = StreamLog::new(number, self.replay.0, self.replay.1);
        let mut streams = self.streams();
        streams.push_back(Arc::clone(&stream));
        while streams.len() > STREAMS_KEPT {
            // The oldest finished one; streams of running calls stay.
            let Some(at) = streams.iter().position(|stream| stream.is_done()) else { break };
            streams.remove(at);
        }
        stream
    }

    /// The stream of an event id, and the event that follows it; `None` for ids that were not given out.
    pub(super) fn resume(&self, last_event_id: &str) -> Option<(Arc<StreamLog>, u64)> {
        let (number, sequence) = last_event_id.split_once('-')?;
        let (number, sequence): (u64, u64) = (number.parse().ok()?, sequence.parse().ok()?);
        let stream = if number == 0 {
            Arc::clone(&self.standalone)
        } else {
            let streams = self.streams();
            streams.iter().find(|stream| stream.number() == number).map(Arc::clone)?
        };
        if sequence >= stream.end() {
            return None;
        }
        // On the stream that belongs to no call, what is forgotten is left out: a client that was away
        // for long goes on with what there is. An answer is never left out.
        let oldest = if number == 0 { stream.oldest() } else { 0 };
        Some((stream, oldest.max(sequence + 1)))
    }

    /// The questions of one call; those without an answer are withdrawn when the call has ended.
    pub(super) fn asking(self: &Arc<Self>) -> Asking {
        Asking { session: Arc::clone(self), numbers: Vec::new() }
    }

    /// The text of a question as a request to the client, and its number; the answer will find its way
    /// back.
    fn question(&self, question: Question, asker: Option<&str>) -> (Vec<u8>, u64) {
        let number = self.next_question.fetch_add(1, Ordering::Relaxed);
        let mut questions = self.questions.lock().expect("no panic while holding the questions");
        questions.insert(number, question.answer);
        drop(questions);
        let shown = asker.and_then(|asker| introduced(&question.method, &question.params, asker));
        let params = shown.unwrap_or(question.params);
        let text = message::encode_params_request(&question_id(number), &question.method, &params);
        (text, number)
    }

    /// Forgets questions that nobody waits for any more, and tells the client so.
    fn withdraw(&self, numbers: &[u64]) {
        let mut questions = self.questions.lock().expect("no panic while holding the questions");
        let open: Vec<_> =
            numbers.iter().filter(|number| questions.remove(number).is_some()).collect();
        drop(questions);
        for number in open {
            let id = question_id(*number).to_json();
            let params = Object::empty().to_json(&[Edit::set("requestId", id.as_bytes())]);
            self.tell(name::CANCELLED, Some(params.as_bytes()));
        }
    }

    /// Takes the client's answer to a question.
    pub(super) fn answer(&self, id: Option<&Id>, outcome: Outcome) {
        let number = id.and_then(|id| {
            let json = id.to_json();
            json.text()?.strip_prefix("gate-")?.parse::<u64>().ok()
        });
        let Some(number) = number else { return };
        let mut questions = self.questions.lock().expect("no panic while holding the questions");
        if let Some(answer) = questions.remove(&number) {
            // Whoever asked may have given up.
            let _ = answer.send(outcome);
        }
    }

    /// Tells the client that a list changed or a resource was updated.
    pub(super) fn tell(&self, method: &str, params: Option<&[u8]>) {
        self.standalone.push(&message::encode_notification(method, params));
    }

    /// What the client calls the resources that `heard` is about, of those it asked to hear of.
    pub(super) fn known(&self, heard: &Heard) -> Vec<String> {
        let interests = self.interests.lock().expect("no panic while holding the interests");
        let known = interests.iter().filter(|(_, interest)| heard.concerns(interest));
        known.map(|(shown, _)| shown.clone()).collect()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("key", &self.key).finish_non_exhaustive()
    }
}

impl Conversation for Session {
    fn key(&self) -> u64 {
        self.key
    }

    fn version(&self) -> Version {
        self.introduced.version
    }

    fn capabilities(&self) -> &Json {
        &self.introduced.capabilities
    }

    fn info(&self) -> Option<&Json> {
        self.introduced.info.as_ref()
    }

    fn log_level(&self) -> Option<Json> {
        self.level.lock().expect("no panic while holding the level").clone()
    }

    fn hold(&self, shown: &str, interest: Interest) {
        let mut interests = self.interests.lock().expect("no panic while holding the interests");
        interests.insert(shown.to_owned(), interest);
    }

    fn release(&self, shown: &str) {
        self.interests.lock().expect("no panic while holding the interests").remove(shown);
    }

    fn listens(&self) -> bool {
        self.standalone.is_read()
    }

    fn notify(&self, server: &str, notification: &Notification) {
        let composed = matches!(self.endpoint.serves, Serves::Composed(_));
        if composed && crate::upstream::Change::of(notification).is_some() {
            // The endpoint's own feed tells of it, under the endpoint's names.
            return;
        }
        if &*notification.method == name::TASK_STATUS || notification.meta.has(meta::RELATED_TASK) {
            let notification = self.task_ids(server).notification(notification.clone());
            return self.standalone.push(&super::relay::encode(&notification));
        }
        self.standalone.push(&super::relay::encode(notification));
    }

    fn ask(&self, server: &str, question: Question) {
        if !self.standalone.is_read() {
            // Nobody hears it: dropping it tells the server so.
            tracing::debug!(server, method = &*question.method, "a question found no open stream");
            return;
        }
        let composed = matches!(self.endpoint.serves, Serves::Composed(_));
        let question = self.task_ids(server).question(question);
        // Who asked outside of any call waits for as long as the session lasts.
        let (text, _) = self.question(question, composed.then_some(server));
        self.standalone.push(&text);
    }

    fn caller(&self) -> Option<Caller> {
        let session = self.me.upgrade().filter(|_| !self.over.is_cancelled())?;
        Some(Session::caller(&session))
    }

    fn ended(&self) -> WaitForCancellationFutureOwned {
        self.over.clone().cancelled_owned()
    }
}

impl Session {
    /// The session itself, for tasks that outlive a request.
    pub(super) fn weak(&self) -> Weak<Self> {
        Weak::clone(&self.me)
    }
}

/// The id of a question towards the client.
fn question_id(number: u64) -> Id {
    Id::text(&format!("gate-{number}"))
}

/// The questions of one call.
pub(super) struct Asking {
    session: Arc<Session>,
    numbers: Vec<u64>,
}

impl Asking {
    /// The text of a question as a request to the client.
    pub(super) fn question(&mut self, question: Question, asker: Option<&str>) -> Vec<u8> {
        let (text, number) = self.session.question(question, asker);
        self.numbers.push(number);
        text
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.session.withdraw(&self.numbers);
    }
}

/// A request in flight; unregistered when dropped.
pub(super) struct InFlight {
    session: Arc<Session>,
    id: Id,
    pub(super) token: CancellationToken,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.session.touch();
        self.session.in_flight.lock().expect("no panic while holding the calls").remove(&self.id);
    }
}
