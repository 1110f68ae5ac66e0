//! One server behind the gate: its conversations, its era, its state.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use policy::Backoff;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wire::capability::ClientAbilities;
use wire::{Era, Method, Version};

use super::admission::{Admission, Place};
use super::connect::{self, Speaks};
use super::transport::Transport;
use super::watch::Watch;
use crate::call::{Body, Call, Caller, Conversation, Reply};
use crate::catalog::Definitions;
use crate::plan::Settings;
use crate::upstream::{
    Changes, Introduction, Mirrored, ModernHttp, News, Owner, Peer, ServerError, Unbound,
};

/// A server of the configuration, reached when needed.
pub struct Server {
    /// The name in the configuration.
    pub name: Arc<str>,
    /// What the configuration says of it.
    pub wanted: config::Server,
    settings: Settings,
    transport: Result<Transport, String>,
    /// Conversations by whom they are with; all but modern HTTP, which needs none.
    slots: Mutex<HashMap<Whom, Arc<Slot>>>,
    /// The way of a modern server over HTTP, once it is known to be one.
    modern: ArcSwapOption<ModernHttp>,
    known: Mutex<Known>,
    admission: Admission,
    changes: Changes,
    watch: Watch,
    mirrored: Arc<Mirrored>,
    /// What the server offers, by what a client can do in the middle of a call.
    pub(crate) definitions: Definitions,
    retired: CancellationToken,
}

/// Whom a conversation is with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Whom {
    /// Everybody whose calls need no session of their own; declared abilities tell lists apart.
    Shared(ClientAbilities),
    /// One client's session.
    Client(u64),
}

/// One conversation, begun once by whoever needs it first.
#[derive(Default)]
struct Slot {
    peer: OnceCell<Peer>,
    used: Mutex<Option<Instant>>,
    running: AtomicUsize,
    owner: Mutex<Option<std::sync::Weak<dyn Conversation>>>,
}

/// What was learned of the server.
#[derive(Clone, Debug, Default)]
struct Known {
    speaks: Option<(Speaks, Instant)>,
    version: Option<Version>,
    failures: u32,
    failure: Option<(String, Instant)>,
    not_before: Option<Instant>,
    reached: bool,
}

/// The era of a server, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EraKnown {
    /// `modern`, `legacy` or `sse`.
    pub name: &'static str,
    /// The protocol version agreed on, once there was a conversation.
    pub version: Option<Version>,
    /// Whether the configuration pins it.
    pub pinned: bool,
}

/// Whether a server can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Nobody has needed it yet.
    Idle,
    /// The last attempt succeeded.
    Up,
    /// The last attempt failed.
    Down,
    /// Its settings cannot be used.
    Broken,
}

/// The visible state of a server.
#[derive(Clone, Debug)]
pub struct Status {
    /// Whether it can be used.
    pub condition: Condition,
    /// Its era.
    pub era: Option<EraKnown>,
    /// Why it cannot be used.
    pub problem: Option<String>,
    /// Calls running now.
    pub running: usize,
    /// Conversations: sessions or processes.
    pub conversations: usize,
}

/// A legacy verdict gone stale fails silently forever, since an upgraded server still answers
/// `initialize`: it is dated.
const LEGACY_REMEMBERED: Duration = Duration::from_hours(24);
/// A modern server's description is asked for again this often.
const MODERN_REMEMBERED: Duration = Duration::from_hours(1);
/// How long a server that could not be reached over HTTP is left alone at most.
const HTTP_BACKOFF: Backoff =
    Backoff { initial: Duration::from_millis(100), max: Duration::from_secs(2) };

impl Server {
    pub(super) fn start(
        name: &str,
        wanted: &config::Server,
        settings: &Settings,
        news: &News,
    ) -> Arc<Self> {
        let transport = Transport::build(wanted, settings);
        if let Err(problem) = &transport {
            tracing::error!(server = name, problem, "the server cannot be used");
        }
        let server = Arc::new(Self {
            name: name.into(),
            wanted: wanted.clone(),
            settings: settings.clone(),
            transport,
            slots: Mutex::default(),
            modern: ArcSwapOption::empty(),
            known: Mutex::default(),
            admission: Admission::new(wanted.concurrency, wanted.queue, wanted.queue_timeout.get()),
            changes: Changes::new(news.clone()),
            watch: Watch::default(),
            mirrored: Arc::default(),
            definitions: Definitions::new(settings, wanted),
            retired: CancellationToken::new(),
        });
        tokio::spawn(end_idle(Arc::downgrade(&server), server.retired.clone()));
        let eager = matches!(&wanted.transport, config::Transport::Stdio(stdio) if stdio.start == config::Start::Eager);
        if eager {
            tokio::spawn(keep_running(Arc::downgrade(&server), server.retired.clone()));
        }
        server
    }

    pub(super) fn is_as(&self, wanted: &config::Server, settings: &Settings) -> bool {
        self.wanted == *wanted && self.settings == *settings
    }

    /// Ends it in the background: running calls finish, conversations close.
    pub(super) fn retire(self: &Arc<Self>) {
        let server = Arc::clone(self);
        tokio::spawn(async move {
            let patience = Instant::now() + server.settings.call_deadline_max;
            while server.admission.running() > 0 && Instant::now() < patience {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            server.shut_down().await;
        });
    }

    /// Ends every conversation.
    pub(super) async fn shut_down(&self) {
        self.retired.cancel();
        let slots: Vec<_> = {
            let mut slots = self.slots.lock().expect("no panic while holding the slots");
            slots.drain().map(|(_, slot)| slot).collect()
        };
        let closing = slots.iter().filter_map(|slot| slot.peer.get()).map(Peer::close);
        futures_util::future::join_all(closing).await;
    }

    /// What changes at this server.
    pub(crate) fn changes(&self) -> &Changes {
        &self.changes
    }

    pub(crate) fn watch(&self) -> &Watch {
        &self.watch
    }

    pub(crate) fn retired(&self) -> &CancellationToken {
        &self.retired
    }

    /// The prefix of this server's names on composed endpoints.
    pub fn prefix(&self) -> &str {
        self.wanted.prefix.as_ref().map_or(&self.name, |prefix| prefix.as_str())
    }

    /// The state, for `doctor`, `/metrics` and the log.
    pub fn status(&self) -> Status {
        let known = self.known.lock().expect("no panic while holding what is known").clone();
        let pinned = Speaks::pinned(self.wanted.era);
        let speaks = pinned.or(known.speaks.map(|(speaks, _)| speaks));
        let era = speaks.map(|speaks| EraKnown {
            name: speaks.as_str(),
            version: known.version,
            pinned: pinned.is_some(),
        });
        let (condition, problem) = match (&self.transport, known.failure) {
            (Err(problem), _) => (Condition::Broken, Some(problem.clone())),
            (Ok(_), Some((problem, _))) => (Condition::Down, Some(problem)),
            (Ok(_), None) if known.reached => (Condition::Up, None),
            (Ok(_), None) => (Condition::Idle, None),
        };
        let conversations = self.slots.lock().expect("no panic while holding the slots").len();
        Status { condition, era, problem, running: self.admission.running(), conversations }
    }

    /// Sends a call; returns with the first message of the reply. Sent again only where the server
    /// certainly has not executed it, and once.
    pub async fn call(self: &Arc<Self>, call: &Call) -> Result<Reply, ServerError> {
        let place = self.admission.enter().await?;
        let reply = match self.call_once(call).await {
            Err(ServerError::SessionGone) => Box::pin(self.call_once(call)).await,
            Err(ServerError::EraChanged) => {
                self.forget_era();
                Box::pin(self.call_once(call)).await
            }
            Err(ServerError::StaleTools(_)) => {
                Box::pin(self.learn_tools()).await;
                Box::pin(self.call_once(call)).await
            }
            other => other,
        };
        let (mut reply, running) = reply?;
        if let Body::Stream(stream) = reply.body {
            reply.body =
                Body::Stream(stream.holding(Held { _place: Some(place), _running: running }));
        }
        Ok(reply)
    }

    async fn call_once(
        self: &Arc<Self>,
        call: &Call,
    ) -> Result<(Reply, Option<Running>), ServerError> {
        let modern = self.modern.load_full();
        if let Some(modern) = modern {
            return Ok((modern.call(call).await?, None));
        }
        let whom = self.whom(&call.caller);
        let (slot, peer) = self.peer_in_slot(whom, &call.caller).await?;
        let running = Running::of(slot);
        Ok((peer.call(call).await?, Some(running)))
    }

    /// Opens a stream that may last for hours: it takes no place among the calls.
    pub(crate) async fn open_stream(self: &Arc<Self>, call: &Call) -> Result<Reply, ServerError> {
        let (mut reply, running) = self.call_once(call).await?;
        if let Body::Stream(stream) = reply.body {
            reply.body = Body::Stream(stream.holding(Held { _place: None, _running: running }));
        }
        Ok(reply)
    }

    /// Whom the calls of `caller` are made as.
    fn whom(&self, caller: &Caller) -> Whom {
        let own = caller.conversation.as_ref().filter(|_| {
            matches!(self.wanted.session, config::Session::Auto | config::Session::PerClient)
        });
        own.map_or(Whom::Shared(ClientAbilities::NONE), |own| Whom::Client(own.key()))
    }

    /// The conversation that calls of `caller` take, begun if need be.
    pub(crate) async fn peer(self: &Arc<Self>, caller: &Caller) -> Result<Peer, ServerError> {
        if let Some(modern) = &*self.modern.load() {
            return Ok(Peer::Modern(Arc::clone(modern)));
        }
        Ok(self.peer_in_slot(self.whom(caller), caller).await?.1)
    }

    /// The shared conversation in which the client is said to be able to do `abilities`.
    pub(crate) async fn shared_peer(
        self: &Arc<Self>,
        abilities: ClientAbilities,
    ) -> Result<Peer, ServerError> {
        if let Some(modern) = &*self.modern.load() {
            return Ok(Peer::Modern(Arc::clone(modern)));
        }
        Ok(self.peer_in_slot(Whom::Shared(abilities), &gate_caller(abilities)).await?.1)
    }

    /// The client's own conversation, if it has one already.
    pub(crate) fn own_peer(&self, key: u64) -> Option<Peer> {
        let slots = self.slots.lock().expect("no panic while holding the slots");
        slots.get(&Whom::Client(key))?.peer.get().filter(|peer| !peer.is_over()).cloned()
    }

    async fn peer_in_slot(
        self: &Arc<Self>,
        whom: Whom,
        caller: &Caller,
    ) -> Result<(Arc<Slot>, Peer), ServerError> {
        let whom = self.effective(whom);
        let slot = self.slot(whom, caller)?;
        *slot.used.lock().expect("no panic while holding a time") = Some(Instant::now());
        if let Some(peer) = slot.peer.get() {
            return Ok((Arc::clone(&slot), peer.clone()));
        }
        Box::pin(self.begin_in_slot(whom, slot, caller)).await
    }

    async fn begin_in_slot(
        self: &Arc<Self>,
        whom: Whom,
        slot: Arc<Slot>,
        caller: &Caller,
    ) -> Result<(Arc<Slot>, Peer), ServerError> {
        // In a task of its own: a caller that gives up must not end what others wait for too.
        let connect = || async {
            let (server, caller) = (Arc::clone(self), caller.clone());
            let connecting = tokio::spawn(async move { server.connect(whom, &caller).await });
            connecting.await.unwrap_or_else(|error| Err(ServerError::Start(error.to_string())))
        };
        let peer = slot.peer.get_or_try_init(connect).await;
        if peer.is_err() || matches!(peer, Ok(Peer::Modern(_))) {
            // Nothing to keep: another attempt begins anew, and modern HTTP needs no slot.
            self.remove(whom, &slot);
        }
        let peer = peer?.clone();
        Ok((slot, peer))
    }

    /// A modern process is shared by all, whatever they can do.
    fn effective(&self, whom: Whom) -> Whom {
        let known = self.known.lock().expect("no panic while holding what is known");
        let modern = matches!(known.speaks, Some((Speaks::Modern, _)))
            || self.wanted.era == config::Era::Modern;
        if modern { Whom::Shared(ClientAbilities::NONE) } else { whom }
    }

    fn slot(&self, whom: Whom, caller: &Caller) -> Result<Arc<Slot>, ServerError> {
        let mut slots = self.slots.lock().expect("no panic while holding the slots");
        if let Some(slot) = slots.get(&whom) {
            if !slot.peer.get().is_some_and(Peer::is_over) {
                return Ok(Arc::clone(slot));
            }
            slots.remove(&whom);
        }
        if let config::Transport::Stdio(stdio) = &self.wanted.transport
            && slots.len() >= stdio.processes
        {
            return Err(ServerError::Busy(format!(
                "all {} of its processes are in use; try again later, or the operator raises \
                 `processes` or sets `session: shared`",
                stdio.processes
            )));
        }
        let slot = Arc::new(Slot::default());
        if let (Whom::Client(_), Some(conversation)) = (whom, &caller.conversation) {
            *slot.owner.lock().expect("no panic while holding an owner") =
                Some(Arc::downgrade(conversation));
        }
        slots.insert(whom, Arc::clone(&slot));
        Ok(slot)
    }

    fn remove(&self, whom: Whom, slot: &Arc<Slot>) {
        let mut slots = self.slots.lock().expect("no panic while holding the slots");
        if slots.get(&whom).is_some_and(|current| Arc::ptr_eq(current, slot)) {
            slots.remove(&whom);
        }
    }

    async fn connect(self: &Arc<Self>, whom: Whom, caller: &Caller) -> Result<Peer, ServerError> {
        self.wait_out_backoff()?;
        let known = Speaks::pinned(self.wanted.era).or_else(|| self.remembered());
        let introduction = introduction(whom, caller);
        let owner = match (whom, &caller.conversation) {
            (Whom::Client(_), Some(conversation)) => Owner::Client(Arc::downgrade(conversation)),
            _ => Owner::Shared,
        };
        let changes = self.changes.clone();
        let unbound = Unbound { server: Arc::clone(&self.name), owner, changes };
        let connected = match &self.transport {
            Err(problem) => Err(ServerError::Start(problem.clone())),
            Ok(Transport::Http(target)) => {
                connect::over_http(target, known, &introduction, unbound, &self.mirrored).await
            }
            Ok(Transport::Stdio(program)) => {
                let bounds = self.settings.bounds;
                connect::over_stdio(program, known, &introduction, unbound, bounds).await
            }
        };
        match connected {
            Ok((speaks, peer)) => {
                self.learned(speaks, &peer).await;
                if let (Whom::Client(_), Some(conversation)) = (whom, &caller.conversation) {
                    self.end_with(conversation, whom);
                    restore_level(&peer, conversation, caller).await;
                }
                Ok(peer)
            }
            Err(error) => {
                self.failed(&error);
                Err(error)
            }
        }
    }

    /// Ends a client's conversation when its session ends.
    fn end_with(self: &Arc<Self>, conversation: &Arc<dyn Conversation>, whom: Whom) {
        let (server, ended) = (Arc::downgrade(self), conversation.ended());
        tokio::spawn(async move {
            ended.await;
            let Some(server) = server.upgrade() else { return };
            let slot = server.slots.lock().expect("no panic while holding the slots").remove(&whom);
            if let Some(peer) = slot.as_ref().and_then(|slot| slot.peer.get()) {
                peer.close().await;
            }
        });
    }

    fn remembered(&self) -> Option<Speaks> {
        let known = self.known.lock().expect("no panic while holding what is known");
        let (speaks, since) = known.speaks?;
        let horizon = if speaks == Speaks::Modern { MODERN_REMEMBERED } else { LEGACY_REMEMBERED };
        (since.elapsed() < horizon && self.wanted.era == config::Era::Auto).then_some(speaks)
    }

    async fn learned(self: &Arc<Self>, speaks: Speaks, peer: &Peer) {
        let first = {
            let mut known = self.known.lock().expect("no panic while holding what is known");
            let first = known.speaks.is_none_or(|(before, _)| before != speaks);
            known.speaks = Some((speaks, Instant::now()));
            known.version = Some(peer.version());
            (known.failures, known.failure, known.not_before) = (0, None, None);
            known.reached = true;
            first
        };
        if first {
            let (era, version) = (speaks.as_str(), peer.version());
            tracing::info!(server = %self.name, era, %version, "server reached");
        }
        if let Peer::Modern(modern) = peer {
            self.modern.store(Some(Arc::clone(modern)));
            self.learn_tools().await;
            self.forget_later();
        }
    }

    /// Reads which arguments a modern server wants mirrored in headers.
    async fn learn_tools(self: &Arc<Self>) {
        let Some(modern) = self.modern.load_full() else { return };
        if modern.offers_tools() {
            match crate::catalog::list_tools(self, &Peer::Modern(modern)).await {
                Ok(tools) => self.mirror(&tools),
                Err(error) => {
                    tracing::debug!(server = %self.name, error = error.chain(), "tools not read");
                }
            }
        }
    }

    /// Learns from the server's tools which arguments are mirrored in headers.
    pub(crate) fn mirror(&self, tools: &[crate::catalog::Definition]) {
        let tools = tools.iter().map(|tool| (tool.key.as_str(), &tool.json));
        for tool in self.mirrored.learn(tools) {
            tracing::warn!(server = %self.name, tool, "x-mcp-header breaks the rules");
        }
    }

    /// The arguments that are mirrored in headers.
    pub(crate) fn mirrored(&self) -> &Mirrored {
        &self.mirrored
    }

    /// Asks a modern server again for its description after a while.
    fn forget_later(self: &Arc<Self>) {
        let (server, retired) = (Arc::downgrade(self), self.retired.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(MODERN_REMEMBERED) => {}
                () = retired.cancelled() => return,
            }
            if let Some(server) = server.upgrade() {
                server.modern.store(None);
            }
        });
    }

    fn forget_era(&self) {
        self.modern.store(None);
        self.known.lock().expect("no panic while holding what is known").speaks = None;
    }

    fn wait_out_backoff(&self) -> Result<(), ServerError> {
        let known = self.known.lock().expect("no panic while holding what is known");
        let wait = known
            .not_before
            .map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now()));
        match &known.failure {
            Some((problem, _)) if !wait.is_zero() => Err(ServerError::Start(format!(
                "{problem} (next attempt in {} ms)",
                wait.as_millis()
            ))),
            _ => Ok(()),
        }
    }

    fn failed(&self, error: &ServerError) {
        let backoff = match &self.wanted.transport {
            config::Transport::Stdio(stdio) => {
                Backoff { initial: stdio.restart.initial.get(), max: stdio.restart.max.get() }
            }
            config::Transport::Remote(_) => HTTP_BACKOFF,
        };
        let problem = error.chain();
        let mut known = self.known.lock().expect("no panic while holding what is known");
        known.failures = known.failures.saturating_add(1);
        let jitter = f64::from(known.failures % 7) / 7.0;
        let now = Instant::now();
        known.not_before = Some(now + backoff.wait(known.failures, jitter));
        if known.failure.as_ref().is_none_or(|(before, _)| *before != problem) {
            tracing::warn!(server = %self.name, problem, "the server cannot be reached");
        }
        known.failure = Some((problem, now));
    }

    /// Closes conversations that nobody has used for a while.
    async fn sweep(&self) {
        let idle = self.wanted.idle_timeout.get();
        let listened_to = self.watch.is_wanted();
        let closing: Vec<_> = {
            let mut slots = self.slots.lock().expect("no panic while holding the slots");
            let is_idle = |whom: &Whom, slot: &Arc<Slot>| {
                let used = *slot.used.lock().expect("no panic while holding a time");
                let kept = match whom {
                    Whom::Shared(_) => listened_to,
                    Whom::Client(_) => slot.owner_listens(),
                };
                !kept
                    && slot.running.load(Ordering::Relaxed) == 0
                    && slot.peer.get().is_some()
                    && used.is_some_and(|used| used.elapsed() >= idle)
            };
            let idle: Vec<_> = slots
                .iter()
                .filter(|(whom, slot)| is_idle(whom, slot))
                .map(|(whom, _)| *whom)
                .collect();
            idle.iter().filter_map(|whom| slots.remove(whom)).collect()
        };
        for slot in closing {
            if let Some(peer) = slot.peer.get() {
                tracing::debug!(server = %self.name, "an idle conversation ends");
                peer.close().await;
            }
        }
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("begun", &self.peer.initialized()).finish_non_exhaustive()
    }
}

impl Slot {
    fn owner_listens(&self) -> bool {
        let owner = self.owner.lock().expect("no panic while holding an owner");
        owner.as_ref().and_then(std::sync::Weak::upgrade).is_some_and(|owner| owner.listens())
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What a call occupies at its server; given back when dropped.
#[derive(Debug)]
pub struct Held {
    _place: Option<Place>,
    _running: Option<Running>,
}

/// A call in flight in a slot, which is not idle then.
#[derive(Debug)]
struct Running(Arc<Slot>);

impl Running {
    fn of(slot: Arc<Slot>) -> Self {
        slot.running.fetch_add(1, Ordering::Relaxed);
        Self(slot)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Sets the log level that the client chose before this conversation began.
async fn restore_level(peer: &Peer, conversation: &Arc<dyn Conversation>, caller: &Caller) {
    let Some(level) = conversation.log_level() else { return };
    if peer.era() == Era::Legacy && peer.hello().abilities.logging {
        let call =
            crate::exchange::gate_call(Method::SetLevel, &[("level", level)], caller.clone());
        let _ = tokio::time::timeout_at(call.deadline, peer.call(&call)).await;
    }
}

/// What the gate says of itself, or of the client whose conversation it is.
fn introduction(whom: Whom, caller: &Caller) -> Introduction {
    match (whom, &caller.conversation) {
        (Whom::Client(_), Some(conversation)) => Introduction {
            version: conversation.version(),
            capabilities: conversation.capabilities().clone(),
            info: conversation.info().cloned().unwrap_or_else(crate::identity),
        },
        (Whom::Shared(abilities), _) => Introduction {
            version: Version::LATEST_LEGACY,
            capabilities: abilities.to_json(),
            info: crate::identity(),
        },
        (Whom::Client(_), None) => Introduction {
            version: Version::LATEST_LEGACY,
            capabilities: ClientAbilities::NONE.to_json(),
            info: crate::identity(),
        },
    }
}

/// The gate as a caller of its own servers, on behalf of clients that can do `abilities`.
pub(crate) fn gate_caller(abilities: ClientAbilities) -> Caller {
    debug_assert_eq!(Version::LATEST.era(), Era::Modern);
    Caller {
        version: Version::LATEST,
        principal: crate::exchange::authenticate::gate(),
        capabilities: abilities.to_json(),
        info: Some(crate::identity()),
        log_level: None,
        conversation: None,
    }
}

async fn end_idle(server: std::sync::Weak<Server>, retired: CancellationToken) {
    loop {
        let Some(pause) = server.upgrade().map(|server| {
            (server.wanted.idle_timeout.get() / 4)
                .clamp(Duration::from_millis(50), Duration::from_secs(30))
        }) else {
            return;
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = retired.cancelled() => return,
        }
        let Some(server) = server.upgrade() else { return };
        server.sweep().await;
    }
}

/// Starts the shared process of an eager server, and again whenever it has ended.
async fn keep_running(server: std::sync::Weak<Server>, retired: CancellationToken) {
    loop {
        let Some(alive) = server.upgrade() else { return };
        let _ = alive.shared_peer(ClientAbilities::NONE).await;
        drop(alive);
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            () = retired.cancelled() => return,
        }
    }
}
