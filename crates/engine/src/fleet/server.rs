//! One server behind the gate: how it is reached, what is known of it, and the way of a call to it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use futures_util::future::BoxFuture;
use policy::Backoff;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wire::capability::ClientAbilities;
use wire::shape::task;
use wire::{Era, Version};

use super::admission::{Admission, Place};
use super::api;
use super::connect::{self, Found, Speaks};
use super::conversations::{Conversations, Seat};
use super::known::{Condition, EraKnown, Known, MODERN_REMEMBERED};
use super::transport::Transport;
use super::watch::Watch;
use crate::call::{Body, Call, Caller, Reply};
use crate::catalog::{Definition, Definitions};
use crate::interaction::Callee;
use crate::plan::Settings;
use crate::upstream::{
    AddressState, ApiServer, ApiSource, Changes, CompositeServer, Introduction, ModernHttp, News,
    Peer, ServerError, Tools, Unbound,
};

/// A server of the configuration, reached when needed.
pub struct Server {
    /// The name in the configuration.
    pub name: Arc<str>,
    /// What the configuration says of it.
    pub wanted: config::Server,
    settings: Settings,
    transport: Result<Transport, String>,
    /// All but modern HTTP, which needs none.
    pub(super) conversations: Conversations,
    /// The way of a modern server over HTTP, once it is known to be one.
    pub(super) modern: ArcSwapOption<ModernHttp>,
    pub(super) known: Known,
    admission: Admission,
    changes: Changes,
    watch: Watch,
    tools: Arc<Tools>,
    /// Whether it is of 2025-11-25 and lets tools be called as tasks.
    legacy_tasks: AtomicBool,
    /// Whether it is of 2026-07-28 and has the tasks extension.
    modern_tasks: AtomicBool,
    /// Whether the server has asked a question that did not come on the stream of its call.
    pub(super) asks_aside: Arc<AtomicBool>,
    /// What the server offers, by what a client can do in the middle of a call.
    pub(crate) definitions: Definitions,
    retired: CancellationToken,
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
    /// Where the requests to an API go; empty for others.
    pub addresses: Vec<AddressState>,
}

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
        let name: Arc<str> = name.into();
        let transport = Transport::build(&name, wanted, settings);
        if let Err(problem) = &transport {
            tracing::error!(server = %name, problem, "the server cannot be used");
        }
        let server = Arc::new(Self {
            name,
            wanted: wanted.clone(),
            settings: settings.clone(),
            transport,
            conversations: Conversations::default(),
            modern: ArcSwapOption::empty(),
            known: Known::new(wanted.era),
            admission: Admission::new(wanted.concurrency, wanted.queue, wanted.queue_timeout.get()),
            changes: Changes::new(news.clone()),
            watch: Watch::default(),
            tools: Arc::default(),
            legacy_tasks: AtomicBool::new(false),
            modern_tasks: AtomicBool::new(false),
            asks_aside: Arc::default(),
            definitions: Definitions::new(settings, wanted),
            retired: CancellationToken::new(),
        });
        let retired = server.retired.clone();
        tokio::spawn(end_idle(Arc::downgrade(&server), retired.clone()));
        let eager = matches!(&wanted.transport, config::Transport::Stdio(stdio) if stdio.start == config::Start::Eager);
        if let Some(api) = server.api() {
            let (server, api) = (Arc::downgrade(&server), Arc::clone(api));
            tokio::spawn(api::keep_read(server, api, retired));
        }
        server.know_composite();
        if eager {
            tokio::spawn(keep_running(Arc::downgrade(&server), server.retired.clone()));
        }
        server
    }

    pub(super) fn is_as(&self, wanted: &config::Server, settings: &Settings) -> bool {
        // Tags are for endpoints: a server is the same with others.
        let is_same = if self.wanted.tags == wanted.tags {
            self.wanted == *wanted
        } else {
            let tags = self.wanted.tags.clone();
            self.wanted == config::Server { tags, ..wanted.clone() }
        };
        is_same && self.settings == *settings
    }

    /// Whether it is an API that has this tool, with tags that fit, since its document was last read.
    pub(crate) fn has_tool(&self, name: &str, fits: impl FnOnce(&[String]) -> bool) -> bool {
        let api = self.api().and_then(|source| source.last_good());
        api.is_some_and(|api| api.tool(name).is_some() && fits(api.tags(name)))
    }

    /// Ends it in the background: running calls finish, conversations close.
    pub(super) fn retire(self: &Arc<Self>) {
        let server = Arc::clone(self);
        tokio::spawn(async move {
            let patience = Instant::now() + server.settings.call_deadline_max;
            // A call that waits for its client has given its place up, and still has its conversation.
            let is_busy = || server.admission.running() > 0 || server.conversations.are_used();
            while is_busy() && Instant::now() < patience {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            server.shut_down().await;
        });
    }

    /// Ends every conversation.
    pub(super) async fn shut_down(&self) {
        self.retired.cancel();
        self.conversations.close_all().await;
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
        let (condition, problem) = match &self.transport {
            Err(problem) => (Condition::Broken, Some(problem.clone())),
            Ok(_) => self.known.condition(),
        };
        let (running, conversations) = (self.admission.running(), self.conversations.count());
        let addresses = self.api().map(|api| api.addresses()).unwrap_or_default();
        Status { condition, era: self.known.era(), problem, running, conversations, addresses }
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
        let (mut reply, seat) = reply?;
        if let Body::Stream(stream) = reply.body {
            reply.body = Body::Stream(stream.holding(Held { place: Some(place), seat }));
        }
        Ok(reply)
    }

    async fn call_once(
        self: &Arc<Self>,
        call: &Call,
    ) -> Result<(Reply, Option<Seat>), ServerError> {
        if let Some(api) = self.api() {
            return Ok((api.server().await?.call(call).await?, None));
        }
        if let Some(composite) = self.composite() {
            return Ok((composite.call(call), None));
        }
        let modern = self.modern.load_full();
        if let Some(modern) = modern {
            return Ok((modern.call(call).await?, None));
        }
        let (seat, peer) = self.seat(call).await?;
        Ok((peer.call(call).await?, Some(seat)))
    }

    /// Opens a stream that may last for hours: it takes no place among the calls.
    pub(crate) async fn open_stream(self: &Arc<Self>, call: &Call) -> Result<Reply, ServerError> {
        let (mut reply, seat) = self.call_once(call).await?;
        if let Body::Stream(stream) = reply.body {
            reply.body = Body::Stream(stream.holding(Held { place: None, seat }));
        }
        Ok(reply)
    }

    /// The document that the server is made of, if it is an API.
    pub(super) fn api(&self) -> Option<&Arc<ApiSource>> {
        match &self.transport {
            Ok(Transport::Api(api)) => Some(api),
            _ => None,
        }
    }

    /// The tools that the server makes of calls, if it is that.
    pub(crate) fn composite(&self) -> Option<&Arc<CompositeServer>> {
        match &self.transport {
            Ok(Transport::Composite(composite)) => Some(composite),
            _ => None,
        }
    }

    /// The same, and a place among the server's calls.
    pub(crate) async fn enter_composite(
        &self,
    ) -> Result<(Arc<CompositeServer>, Held), ServerError> {
        let Some(composite) = self.composite() else {
            return Err(ServerError::Start("its tools are not made of calls".to_owned()));
        };
        let place = self.admission.enter().await?;
        Ok((Arc::clone(composite), Held { place: Some(place), seat: None }))
    }

    /// Tools that are made of calls are there from the beginning.
    fn know_composite(self: &Arc<Self>) {
        let Some(composite) = self.composite() else { return };
        let why = "its tools are made of calls, which the gate serves as a server of 2026-07-28";
        let found = Found { speaks: Speaks::Modern, why: Some(why.to_owned()) };
        self.known.reached(&found, Version::LATEST);
        let definitions = composite
            .definitions()
            .filter_map(|(key, definition)| Some(Definition::new(key, definition.object()?)));
        self.know_tools(&definitions.collect::<Vec<_>>());
    }

    /// The API behind the server, and a place among its calls.
    pub(crate) async fn enter_api(&self) -> Result<(Arc<ApiServer>, Held), ServerError> {
        let Some(source) = self.api() else {
            return Err(ServerError::Start("it has no OpenAPI document".to_owned()));
        };
        let place = self.admission.enter().await?;
        let api = source.server().await?;
        Ok((api, Held { place: Some(place), seat: None }))
    }

    /// Connects and greets, in the era that is known or found.
    pub(super) async fn connect(
        self: &Arc<Self>,
        introduction: &Introduction,
        unbound: Unbound,
    ) -> Result<Peer, ServerError> {
        self.known.wait_out_backoff()?;
        let known = self.known.speaks();
        let connected = match &self.transport {
            Err(problem) => Err(ServerError::Start(problem.clone())),
            Ok(Transport::Http(target)) => {
                connect::over_http(target, known, introduction, unbound, &self.tools).await
            }
            Ok(Transport::Api(_) | Transport::Composite(_)) => {
                Err(ServerError::Protocol("it has no conversations".to_owned()))
            }
            Ok(Transport::Stdio(program)) => {
                let bounds = self.settings.bounds;
                connect::over_stdio(program, known, introduction, unbound, bounds).await
            }
        };
        match connected {
            Ok((found, peer)) => {
                self.learned(&found, &peer).await;
                Ok(peer)
            }
            Err(error) => {
                self.failed(&error);
                Err(error)
            }
        }
    }

    async fn learned(self: &Arc<Self>, found: &Found, peer: &Peer) {
        let is_new = self.known.reached(found, peer.version());
        if is_new && let Some(era) = self.known.era() {
            let version = peer.version();
            tracing::info!(server = %self.name, era = era.name, %version, why = era.why, "server reached");
        }
        let capabilities = &peer.hello().capabilities;
        let legacy = peer.era() == Era::Legacy;
        let takes = legacy && task::takes_tools(capabilities);
        // A conversation of an older client says nothing of what newer versions have.
        if takes || !legacy || peer.version() == Version::LATEST_LEGACY {
            self.legacy_tasks.store(takes, Ordering::Relaxed);
        }
        self.modern_tasks.store(!legacy && task::declared(capabilities), Ordering::Relaxed);
        if let Peer::Modern(modern) = peer {
            self.modern.store(Some(Arc::clone(modern)));
            self.forget_later();
        }
        if !legacy || self.has_legacy_tasks() {
            if is_new || matches!(peer, Peer::Modern(_)) {
                self.read_tools(peer).await;
            }
        } else if is_new {
            // Only for what a modern client mirrors in headers: not worth holding up a call for.
            let (server, peer) = (Arc::clone(self), peer.clone());
            tokio::spawn(async move { server.read_tools(&peer).await });
        }
    }

    /// Whether it is known to speak 2026-07-28.
    pub(crate) fn is_modern(&self) -> bool {
        self.api().is_some() || self.composite().is_some() || self.known.is_modern()
    }

    /// Whether it is of 2025-11-25 and lets tools be called as tasks.
    pub(crate) fn has_legacy_tasks(&self) -> bool {
        // A session that ends with each call has no tasks.
        self.legacy_tasks.load(Ordering::Relaxed) && self.wanted.session != config::Session::None
    }

    /// Whether it is of 2026-07-28 and has the tasks extension.
    pub(crate) fn has_modern_tasks(&self) -> bool {
        self.modern_tasks.load(Ordering::Relaxed)
    }

    /// Reads again what a modern server's tools want to be known before they are called.
    async fn learn_tools(self: &Arc<Self>) {
        if let Some(modern) = self.modern.load_full() {
            self.read_tools(&Peer::Modern(modern)).await;
        }
    }

    /// Reads again what the tools of a legacy server want to be known, if they may have changed.
    pub(crate) fn renew_tools(self: &Arc<Self>) {
        if self.is_modern() || !self.tools.begin_reading(self.changes.epoch()) {
            return;
        }
        let server = Arc::clone(self);
        tokio::spawn(async move {
            match server.shared_peer(ClientAbilities::NONE).await {
                Ok(peer) => server.read_tools(&peer).await,
                Err(_) => server.tools.reading_failed(),
            }
        });
    }

    async fn read_tools(self: &Arc<Self>, peer: &Peer) {
        self.tools.begin_reading(self.changes.epoch());
        if peer.hello().abilities.tools {
            match crate::catalog::list_tools(self, peer).await {
                Ok(tools) => {
                    self.know_tools(&tools);
                }
                Err(error) => {
                    self.tools.reading_failed();
                    tracing::debug!(server = %self.name, error = error.chain(), "tools not read");
                }
            }
        }
    }

    /// Learns what the server's tools want to be known before they are called.
    /// Returns the names of those whose mirrored arguments break the rules.
    pub(crate) fn know_tools(&self, tools: &[Definition]) -> Vec<String> {
        let tools = tools.iter().map(|tool| (tool.key.as_str(), &tool.json));
        let broken = self.tools.learn(tools);
        for tool in &broken {
            tracing::warn!(server = %self.name, tool, "x-mcp-header breaks the rules");
        }
        broken
    }

    /// What has to be known of the tools before they are called.
    pub(crate) fn tools(&self) -> &Tools {
        &self.tools
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
        self.known.forget_era();
    }

    fn failed(&self, error: &ServerError) {
        let backoff = match &self.wanted.transport {
            config::Transport::Stdio(stdio) => {
                Backoff { initial: stdio.restart.initial.get(), max: stdio.restart.max.get() }
            }
            config::Transport::Remote(_)
            | config::Transport::Api(_)
            | config::Transport::Composite(_) => HTTP_BACKOFF,
        };
        let problem = error.chain();
        if self.known.failed(problem.clone(), &backoff) {
            tracing::warn!(server = %self.name, problem, "the server cannot be reached");
        }
    }
}

impl Callee for Arc<Server> {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn timeout(&self) -> Duration {
        self.wanted.timeout.get()
    }

    fn secret_forms(&self) -> config::SecretForms {
        self.wanted.secret_forms
    }

    fn call<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Result<Reply, ServerError>> {
        Box::pin(Server::call(self, call))
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
    place: Option<Place>,
    seat: Option<Seat>,
}

impl Held {
    /// The call waits for its client, and gives its place among the server's calls to another; or it
    /// goes on, and takes none: its server is waiting for it.
    pub(crate) fn waits_for_client(&mut self, waits: bool) {
        self.place = None;
        if let Some(seat) = &mut self.seat {
            seat.waits_for_client(waits);
        }
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
