//! The conversations with one server: sessions and processes, each begun once by whoever needs it
//! first, shared by those who may share it, and ended when idle.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::Instant;
use wire::capability::ClientAbilities;
use wire::json::Edit;
use wire::method::name;
use wire::{Era, Json, LogLevel, Method, Notification, Object, Version};

use super::server::{Server, gate_caller};
use super::turns::{Turn, Turns};
use crate::call::{Call, Caller, Conversation, Principal};
use crate::upstream::{Introduction, Owner, Peer, ServerError, Unbound};

/// Whom a conversation is with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Whom {
    /// The clients of one principal that can be asked the same in the middle of a call.
    Shared {
        principal: Principal,
        abilities: ClientAbilities,
        /// Tells conversations apart whose calls take turns.
        lane: u32,
    },
    /// One client's session.
    Client(u64),
    /// One call.
    Once(u64),
}

/// All conversations with one server; modern HTTP needs none.
#[derive(Debug, Default)]
pub(super) struct Conversations {
    slots: Mutex<HashMap<Whom, Arc<Slot>>>,
    turns: Mutex<HashMap<(Principal, ClientAbilities), Arc<Turns>>>,
}

/// One conversation.
#[derive(Default)]
pub(super) struct Slot {
    peer: OnceCell<Peer>,
    used: Mutex<Option<Instant>>,
    running: AtomicUsize,
    owner: Mutex<Option<Weak<dyn Conversation>>>,
    /// The least severity that the server was told to write.
    level: tokio::sync::Mutex<Option<LogLevel>>,
}

/// What a call occupies in its conversation; given back when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    slot: Arc<Slot>,
    turn: Option<Turn>,
    /// Set where the conversation ends with the call.
    ends: Option<(Weak<Server>, Whom)>,
}

/// Sessions over HTTP of clients that can be asked the same, where their calls must take turns.
const SESSION_LANES: u32 = 64;
/// How long a call waits for a process that another call has for itself, before it gets another.
const PROCESS_PATIENCE: Duration = Duration::from_secs(2);
/// How long a log level may take to be set before the call goes on without it.
const LEVEL_WAIT: Duration = Duration::from_secs(2);

impl Conversations {
    fn slots(&self) -> MutexGuard<'_, HashMap<Whom, Arc<Slot>>> {
        self.slots.lock().expect("no panic while holding the slots")
    }

    pub(super) fn count(&self) -> usize {
        self.slots().len()
    }

    /// Whether a call is under way in any of them.
    pub(super) fn are_used(&self) -> bool {
        self.slots().values().any(|slot| slot.running.load(Ordering::Relaxed) > 0)
    }

    pub(super) async fn close_all(&self) {
        let slots: Vec<_> = self.slots().drain().map(|(_, slot)| slot).collect();
        let closing = slots.iter().filter_map(|slot| slot.peer.get()).map(Peer::close);
        futures_util::future::join_all(closing).await;
    }

    /// The conversations that take calls now, and whom they are with.
    pub(super) fn live(&self) -> Vec<(Whom, Peer)> {
        let slots = self.slots();
        let lasting = slots.iter().filter(|(whom, _)| !matches!(whom, Whom::Once(_)));
        let begun = lasting.filter_map(|(whom, slot)| Some((whom, slot.peer.get()?)));
        begun
            .filter(|(_, peer)| !peer.is_over())
            .map(|(whom, peer)| (whom.clone(), peer.clone()))
            .collect()
    }

    fn turns(&self, principal: &Principal, abilities: ClientAbilities) -> Arc<Turns> {
        let mut turns = self.turns.lock().expect("no panic while holding the turns");
        Arc::clone(turns.entry((principal.clone(), abilities)).or_default())
    }

    /// Whether a conversation can still be found.
    fn holds(&self, whom: &Whom, slot: &Arc<Slot>) -> bool {
        self.slots().get(whom).is_some_and(|current| Arc::ptr_eq(current, slot))
    }

    /// Forgets a conversation that is not needed.
    fn remove(&self, whom: &Whom, slot: &Arc<Slot>) {
        let mut slots = self.slots();
        if slots.get(whom).is_some_and(|current| Arc::ptr_eq(current, slot)) {
            slots.remove(whom);
        }
    }

    /// Makes room for one more process by taking one out that is idle.
    fn evict(slots: &mut HashMap<Whom, Arc<Slot>>) -> Option<Arc<Slot>> {
        let idle = slots
            .iter()
            .filter(|(whom, slot)| matches!(whom, Whom::Shared { .. }) && slot.is_unused())
            .min_by_key(|(_, slot)| slot.last_used())
            .map(|(whom, _)| whom.clone())?;
        slots.remove(&idle)
    }
}

impl Slot {
    fn last_used(&self) -> Option<Instant> {
        *self.used.lock().expect("no panic while holding a time")
    }

    fn touch(&self) {
        *self.used.lock().expect("no panic while holding a time") = Some(Instant::now());
    }

    fn is_unused(&self) -> bool {
        self.running.load(Ordering::Relaxed) == 0 && self.peer.get().is_some()
    }

    fn owner_listens(&self) -> bool {
        let owner = self.owner.lock().expect("no panic while holding an owner");
        owner.as_ref().and_then(Weak::upgrade).is_some_and(|owner| owner.listens())
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("begun", &self.peer.initialized()).finish_non_exhaustive()
    }
}

impl Seat {
    fn new(slot: Arc<Slot>, turn: Option<Turn>, ends: Option<(Weak<Server>, Whom)>) -> Self {
        slot.running.fetch_add(1, Ordering::Relaxed);
        Self { slot, turn, ends }
    }

    /// The call waits for its client, or no longer does.
    pub(super) fn waits_for_client(&mut self, waits: bool) {
        if let Some(turn) = &mut self.turn {
            turn.waits_for_client(waits);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.slot.running.fetch_sub(1, Ordering::Relaxed);
        self.slot.touch();
        let Some((server, whom)) = self.ends.take() else { return };
        let Some(server) = server.upgrade() else { return };
        server.conversations.remove(&whom, &self.slot);
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let slot = Arc::clone(&self.slot);
        runtime.spawn(async move {
            if let Some(peer) = slot.peer.get() {
                peer.close().await;
            }
        });
    }
}

impl Server {
    /// What the server may be told that `caller` can be asked.
    fn askable(&self, caller: &Caller) -> ClientAbilities {
        match self.wanted.questions {
            config::Questions::Auto => caller.abilities(),
            config::Questions::Off => ClientAbilities::NONE,
        }
    }

    /// Whom the calls of `caller` are made as, but for those that end their conversation.
    fn whom(&self, caller: &Caller) -> Whom {
        if self.known.is_modern() {
            // A modern process is shared by all, whatever they can do.
            return shared(crate::exchange::authenticate::gate(), ClientAbilities::NONE);
        }
        let own = caller.conversation.as_ref().filter(|_| {
            matches!(self.wanted.session, config::Session::Auto | config::Session::PerClient)
        });
        own.map_or_else(
            || shared(caller.principal.clone(), self.askable(caller)),
            |own| Whom::Client(own.key()),
        )
    }

    /// A seat in the conversation that `call` takes, begun if need be.
    pub(super) async fn seat(self: &Arc<Self>, call: &Call) -> Result<(Seat, Peer), ServerError> {
        let whom = self.whom(&call.caller);
        if self.wanted.session == config::Session::None && !self.known.is_modern() {
            return Box::pin(self.seat_for_once(call)).await;
        }
        let (slot, peer) = self.peer_in_slot(&whom, &call.caller).await?;
        let Whom::Shared { principal, abilities, .. } = &whom else {
            return Ok((Seat::new(slot, None, None), peer));
        };
        if !self.takes_turns(&peer, call, *abilities) {
            return Ok((self.heard(call, Seat::new(slot, None, None), &peer).await, peer));
        }
        let (most, patience) = match &self.wanted.transport {
            config::Transport::Stdio(stdio) => {
                (u32::try_from(stdio.processes).unwrap_or(u32::MAX), PROCESS_PATIENCE)
            }
            // Another session costs next to nothing.
            config::Transport::Remote(_)
            | config::Transport::Api(_)
            | config::Transport::Composite(_) => (SESSION_LANES, Duration::ZERO),
        };
        let turns = self.conversations.turns(principal, *abilities);
        // Whoever waits for it keeps the conversation from being taken for idle.
        let waiting = Seat::new(slot, None, None);
        let turn = Box::pin(turns.take(most, patience)).await.ok_or_else(|| {
            ServerError::Busy(format!(
                "{most} calls wait for what it asked their clients; answer or cancel one, or the \
                 operator raises `processes` or sets `questions: off`"
            ))
        })?;
        let (principal, abilities, lane) = (principal.clone(), *abilities, turn.lane());
        let whom = Whom::Shared { principal, abilities, lane };
        // Not the one from before: it may have ended during the wait.
        let (slot, peer) = match self.peer_in_slot(&whom, &call.caller).await {
            Ok(found) => found,
            Err(error) => {
                turn.has_none();
                return Err(error);
            }
        };
        drop(waiting);
        Ok((self.heard(call, Seat::new(slot, Some(turn), None), &peer).await, peer))
    }

    /// A conversation for this call alone.
    async fn seat_for_once(self: &Arc<Self>, call: &Call) -> Result<(Seat, Peer), ServerError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let whom = Whom::Once(NEXT.fetch_add(1, Ordering::Relaxed));
        let slot = self.slot(&whom, &call.caller)?;
        // Before it begins: a call that is given up takes it along.
        let seat = Seat::new(slot, None, Some((Arc::downgrade(self), whom.clone())));
        let (_, peer) = self.peer_in_slot(&whom, &call.caller).await?;
        Ok((self.heard(call, seat, &peer).await, peer))
    }

    /// Whether a question on this conversation would not say which of several calls it belongs to.
    fn takes_turns(&self, peer: &Peer, call: &Call, abilities: ClientAbilities) -> bool {
        // A task asks later, and says which it is.
        let may_be_asked = call.method.may_ask()
            && !call.as_task
            && abilities.within(peer.version()) != ClientAbilities::NONE;
        may_be_asked
            && match peer {
                Peer::Modern(_) | Peer::Api(_) | Peer::Composite(_) => false,
                Peer::Session(_) => self.asks_aside.load(Ordering::Relaxed),
                Peer::Pipe(_) => peer.era() == Era::Legacy,
            }
    }

    /// Makes a shared server write the log messages that the call wants to hear.
    async fn heard(&self, call: &Call, seat: Seat, peer: &Peer) -> Seat {
        let wanted = call.caller.log_level.as_ref().and_then(Json::text);
        let wanted = wanted.and_then(|level| LogLevel::parse(&level));
        if let Some(wanted) = wanted
            && peer.era() == Era::Legacy
            && peer.hello().abilities.logging
        {
            // Boxed, because it is seldom and as large as a call.
            Box::pin(self.lower_level(&seat, peer, wanted)).await;
        }
        seat
    }

    /// Sets the log level of a shared server, unless it writes as much already.
    async fn lower_level(&self, seat: &Seat, peer: &Peer, wanted: LogLevel) {
        // In turn: of two calls that want to hear more, one asks and the other finds it done.
        let mut level = seat.slot.level.lock().await;
        if level.is_some_and(|level| wanted >= level) {
            return;
        }
        let members = [("level", Json::string(wanted.as_str()))];
        let caller = gate_caller(ClientAbilities::NONE);
        let ask = crate::exchange::gate_call(Method::SetLevel, &members, caller);
        // Asked once: a server that does not answer delays one call, not every one.
        *level = Some(wanted);
        match tokio::time::timeout(LEVEL_WAIT, peer.call(&ask)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                tracing::debug!(server = %self.name, error = error.chain(), "level not set");
            }
            Err(_) => tracing::debug!(server = %self.name, "level not set in time"),
        }
    }

    /// The conversation that `caller` has or would have, begun if need be.
    pub(crate) async fn peer(self: &Arc<Self>, caller: &Caller) -> Result<Peer, ServerError> {
        if let Some(api) = self.api() {
            return Ok(Peer::Api(api.server().await?));
        }
        if let Some(composite) = self.composite() {
            return Ok(Peer::Composite(Arc::clone(composite)));
        }
        if let Some(modern) = &*self.modern.load() {
            return Ok(Peer::Modern(Arc::clone(modern)));
        }
        Ok(self.peer_in_slot(&self.whom(caller), caller).await?.1)
    }

    /// The shared conversation in which the client is said to be able to do `abilities`.
    pub(crate) async fn shared_peer(
        self: &Arc<Self>,
        abilities: ClientAbilities,
    ) -> Result<Peer, ServerError> {
        self.peer(&gate_caller(abilities)).await
    }

    /// The client's own conversation, if it has one already.
    pub(crate) fn own_peer(&self, key: u64) -> Option<Peer> {
        let slots = self.conversations.slots();
        slots.get(&Whom::Client(key))?.peer.get().filter(|peer| !peer.is_over()).cloned()
    }

    async fn peer_in_slot(
        self: &Arc<Self>,
        whom: &Whom,
        caller: &Caller,
    ) -> Result<(Arc<Slot>, Peer), ServerError> {
        let slot = self.slot(whom, caller)?;
        slot.touch();
        if let Some(peer) = slot.peer.get() {
            return Ok((Arc::clone(&slot), peer.clone()));
        }
        Box::pin(self.begin_in_slot(whom, slot, caller)).await
    }

    async fn begin_in_slot(
        self: &Arc<Self>,
        whom: &Whom,
        slot: Arc<Slot>,
        caller: &Caller,
    ) -> Result<(Arc<Slot>, Peer), ServerError> {
        // In a task of its own, to the end: a caller that gives up must not end what others wait for
        // too, and what has begun must not be lost.
        let (server, caller, whom) = (Arc::clone(self), caller.clone(), whom.clone());
        let beginning = Arc::clone(&slot);
        let connecting = tokio::spawn(async move {
            let begin = || async {
                let peer = server.begin(&whom, &caller).await?;
                if matches!(peer, Peer::Modern(_)) || server.conversations.holds(&whom, &beginning)
                {
                    return Ok(peer);
                }
                // Whoever wanted it has gone, and nobody else can find it.
                peer.close().await;
                Err(ServerError::Closed("it is no longer wanted".into()))
            };
            let peer = beginning.peer.get_or_try_init(begin).await.cloned();
            if peer.is_err() || matches!(peer, Ok(Peer::Modern(_))) {
                // Nothing to keep: another attempt begins anew, and modern HTTP needs no slot.
                server.conversations.remove(&whom, &beginning);
            }
            peer
        });
        let connected = connecting.await;
        let peer = connected.unwrap_or_else(|error| Err(ServerError::Start(error.to_string())))?;
        Ok((slot, peer))
    }

    fn slot(&self, whom: &Whom, caller: &Caller) -> Result<Arc<Slot>, ServerError> {
        let mut slots = self.conversations.slots();
        if let Some(slot) = slots.get(whom) {
            if !slot.peer.get().is_some_and(Peer::is_over) {
                return Ok(Arc::clone(slot));
            }
            slots.remove(whom);
        }
        if let config::Transport::Stdio(stdio) = &self.wanted.transport
            && slots.len() >= stdio.processes
        {
            let Some(idle) = Conversations::evict(&mut slots) else {
                return Err(ServerError::Busy(format!(
                    "all {} of its processes are in use; try again later, or the operator raises \
                     `processes` or sets `session: shared`",
                    stdio.processes
                )));
            };
            tracing::debug!(server = %self.name, "an idle process makes room for another");
            tokio::spawn(async move {
                if let Some(peer) = idle.peer.get() {
                    peer.close().await;
                }
            });
        }
        let slot = Arc::new(Slot::default());
        if let (Whom::Client(_), Some(conversation)) = (whom, &caller.conversation) {
            *slot.owner.lock().expect("no panic while holding an owner") =
                Some(Arc::downgrade(conversation));
        }
        slots.insert(whom.clone(), Arc::clone(&slot));
        Ok(slot)
    }

    /// Begins a conversation: connects, greets, and restores what the client had set before.
    async fn begin(self: &Arc<Self>, whom: &Whom, caller: &Caller) -> Result<Peer, ServerError> {
        let introduction = self.introduction(whom, caller);
        let owner = match (whom, &caller.conversation) {
            (Whom::Client(_), Some(conversation)) => Owner::Client(Arc::downgrade(conversation)),
            _ => Owner::Shared,
        };
        let capabilities = introduction.capabilities.object();
        let unbound = Unbound {
            server: Arc::clone(&self.name),
            owner,
            changes: self.changes().clone(),
            abilities: capabilities
                .map_or(ClientAbilities::NONE, |declared| ClientAbilities::of(&declared)),
            secret_forms: self.wanted.secret_forms,
            asks_aside: Arc::clone(&self.asks_aside),
        };
        let peer = self.connect(&introduction, unbound).await?;
        if let (Whom::Client(_), Some(conversation)) = (whom, &caller.conversation) {
            self.end_with(conversation, whom.clone(), peer.clone());
            restore_level(&peer, conversation, caller).await;
            self.tell_of_loss(conversation);
        }
        // Whoever watches resources must ask this conversation, too.
        self.watch().conversation_began();
        Ok(peer)
    }

    /// A client that had subscribed in a conversation which was lost may have missed something.
    fn tell_of_loss(&self, conversation: &Arc<dyn Conversation>) {
        for uri in self.watch().held_by(conversation.key()) {
            let uri = Json::string(&uri);
            let updated = Notification {
                method: name::RESOURCE_UPDATED.into(),
                params: Object::empty().with(&[Edit::set("uri", uri.as_bytes())]),
                meta: Object::empty(),
            };
            conversation.notify(&self.name, &updated);
        }
    }

    /// What the gate says of itself, or of the client whose conversation it is.
    fn introduction(&self, whom: &Whom, caller: &Caller) -> Introduction {
        match (whom, &caller.conversation) {
            (Whom::Client(_), Some(conversation)) => {
                let declared = conversation.capabilities();
                Introduction {
                    version: conversation.version(),
                    capabilities: match self.wanted.questions {
                        config::Questions::Auto => declared.clone(),
                        config::Questions::Off => without_questions(declared),
                    },
                    info: conversation.info().cloned().unwrap_or_else(crate::identity),
                }
            }
            _ => Introduction {
                version: Version::LATEST_LEGACY,
                capabilities: self.askable(caller).to_json(),
                info: crate::identity(),
            },
        }
    }

    /// Ends a client's conversation when its session ends.
    fn end_with(self: &Arc<Self>, conversation: &Arc<dyn Conversation>, whom: Whom, peer: Peer) {
        let (server, ended) = (Arc::downgrade(self), conversation.ended());
        tokio::spawn(async move {
            tokio::select! {
                () = ended => {}
                // Over by itself; the client may have another by now.
                () = peer.ended() => return,
            }
            if let Some(server) = server.upgrade() {
                server.conversations.slots().remove(&whom);
            }
            peer.close().await;
        });
    }

    /// Closes conversations that nobody has used for a while.
    pub(super) async fn sweep(&self) {
        let idle = self.wanted.idle_timeout.get();
        let listened_to = self.watch().is_wanted();
        let closing: Vec<_> = {
            let mut slots = self.conversations.slots();
            let is_idle = |whom: &Whom, slot: &Arc<Slot>| {
                let kept = match whom {
                    Whom::Shared { lane, .. } => listened_to && *lane == 0,
                    Whom::Client(_) => slot.owner_listens(),
                    Whom::Once(_) => true,
                };
                !kept
                    && slot.is_unused()
                    && slot.last_used().is_some_and(|used| used.elapsed() >= idle)
            };
            let idle: Vec<_> = slots
                .iter()
                .filter(|(whom, slot)| is_idle(whom, slot))
                .map(|(whom, _)| whom.clone())
                .collect();
            idle.iter().filter_map(|whom| slots.remove(whom)).collect()
        };
        self.conversations
            .turns
            .lock()
            .expect("no panic while holding the turns")
            .retain(|_, turns| Arc::strong_count(turns) > 1);
        for slot in closing {
            if let Some(peer) = slot.peer.get() {
                tracing::debug!(server = %self.name, "an idle conversation ends");
                peer.close().await;
            }
        }
    }
}

fn shared(principal: Principal, abilities: ClientAbilities) -> Whom {
    Whom::Shared { principal, abilities, lane: 0 }
}

/// A client's capabilities as a server hears them that may not ask.
fn without_questions(capabilities: &Json) -> Json {
    let asked = ["elicitation", "sampling", "roots"].map(Edit::remove);
    capabilities.object().map_or_else(|| capabilities.clone(), |declared| declared.to_json(&asked))
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
