//! Watches a server for those who listen: one upstream subscription per server, counted by interest.
//!
//! A reconciler: it compares what is wanted with what is open, whatever caused the difference. A new
//! stream is acknowledged before the old one is closed, so that no change falls between them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout, timeout_at};
use wire::capability::ClientAbilities;
use wire::method::name;
use wire::{Era, Json, Method};

use super::conversations::Whom;
use super::server::{Server, gate_caller};
use crate::call::{Body, Conversation, Event};
use crate::upstream::{Change, Peer, ReplyStream, ServerError};

/// What listeners want to hear of one server.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    wanted: Mutex<Wanted>,
    changed: Arc<Notify>,
    /// The revision of the wishes that the server has been asked for.
    settled: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Wanted {
    running: bool,
    lists: usize,
    /// The sessions that hold an interest.
    clients: HashMap<u64, Weak<dyn Conversation>>,
    /// How many want to hear of each resource, by who holds the interest.
    resources: HashMap<String, HashMap<Option<u64>, usize>>,
    /// Counts what was wanted anew.
    revision: u64,
}

/// Somebody's interest; ends when dropped.
#[derive(Debug)]
pub struct Interest {
    server: Weak<Server>,
    /// The resource, or the lists.
    uri: Option<String>,
    /// The client whose own conversation must be told.
    holder: Option<u64>,
    /// The revision of the wishes that has it.
    revision: u64,
}

/// Changes of interest within this time are applied together.
const SETTLE: Duration = Duration::from_millis(20);
/// Longest wait for the server to take a wish; one that is down must not hold up a listener.
const SETTLED_MAX: Duration = Duration::from_secs(1);
/// First and longest wait before a broken subscription is opened again.
const REOPEN: policy::Backoff =
    policy::Backoff { initial: Duration::from_millis(250), max: Duration::from_secs(30) };

/// A stream that lasted so long was a good one.
const LASTING: Duration = Duration::from_secs(30);

impl Server {
    /// Hears of changed lists from now on.
    pub(crate) fn watch_lists(self: &Arc<Self>) -> Interest {
        self.watch_for(None, None)
    }

    /// Hears of changes of the resource from now on: in the conversation of `holder`, where that client
    /// has one of its own, and in those that clients share.
    pub(crate) fn watch_resource(
        self: &Arc<Self>,
        uri: &str,
        holder: Option<&Arc<dyn Conversation>>,
    ) -> Interest {
        if let Some(holder) = holder {
            let mut wanted = self.watch().wanted();
            wanted.clients.retain(|_, client| client.strong_count() > 0);
            wanted.clients.insert(holder.key(), Arc::downgrade(holder));
        }
        self.watch_for(Some(uri.to_owned()), holder.map(|holder| holder.key()))
    }

    fn watch_for(self: &Arc<Self>, uri: Option<String>, holder: Option<u64>) -> Interest {
        let watch = self.watch();
        let mut wanted = watch.wanted.lock().expect("no panic while holding the interest");
        let is_new = if let Some(uri) = &uri {
            let holders = wanted.resources.entry(uri.clone()).or_default();
            let count = holders.entry(holder).or_default();
            *count += 1;
            *count == 1
        } else {
            wanted.lists += 1;
            wanted.lists == 1
        };
        wanted.revision += u64::from(is_new);
        let revision = wanted.revision;
        if !wanted.running {
            wanted.running = true;
            tokio::spawn(reconcile(Arc::downgrade(self), Arc::clone(&watch.changed)));
        }
        watch.changed.notify_one();
        Interest { server: Arc::downgrade(self), uri, holder, revision }
    }
}

impl Watch {
    fn wanted(&self) -> std::sync::MutexGuard<'_, Wanted> {
        self.wanted.lock().expect("no panic while holding the interest")
    }

    /// The resources that a client's own conversation was to tell of.
    pub(super) fn held_by(&self, key: u64) -> Vec<String> {
        let wanted = self.wanted.lock().expect("no panic while holding the interest");
        let held = wanted.resources.iter().filter(|(_, by)| by.contains_key(&Some(key)));
        held.map(|(uri, _)| uri.clone()).collect()
    }

    /// A conversation began, which must be told what is wanted.
    pub(super) fn conversation_began(&self) {
        if self.is_wanted() {
            self.changed.notify_one();
        }
    }

    /// Whether anybody wants to hear of the server.
    pub(super) fn is_wanted(&self) -> bool {
        let wanted = self.wanted.lock().expect("no panic while holding the interest");
        wanted.lists > 0 || !wanted.resources.is_empty()
    }
}

impl Interest {
    /// Whether this is the interest in what changed.
    pub(crate) fn is_in(&self, server: &str, uri: &str) -> bool {
        self.uri.as_deref() == Some(uri)
            && self.server.upgrade().is_some_and(|own| *own.name == *server)
    }

    /// Waits until the server has been asked for this: from then on no change goes unheard. A server
    /// that cannot be reached is not waited for.
    pub(crate) async fn settled(&self) {
        let Some(mut settled) =
            self.server.upgrade().map(|server| server.watch().settled.subscribe())
        else {
            return;
        };
        // In time or not, the watch goes on.
        let _ = timeout(SETTLED_MAX, settled.wait_for(|done| *done >= self.revision)).await;
    }
}

impl Drop for Interest {
    fn drop(&mut self) {
        let Some(server) = self.server.upgrade() else { return };
        let watch = server.watch();
        let mut wanted = watch.wanted.lock().expect("no panic while holding the interest");
        match &self.uri {
            None => wanted.lists = wanted.lists.saturating_sub(1),
            Some(uri) => {
                if let Some(holders) = wanted.resources.get_mut(uri) {
                    if let Some(count) = holders.get_mut(&self.holder) {
                        *count -= 1;
                    }
                    holders.retain(|_, count| *count > 0);
                    if holders.is_empty() {
                        wanted.resources.remove(uri);
                    }
                }
            }
        }
        watch.changed.notify_one();
    }
}

/// What should be open at the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Filter {
    lists: bool,
    /// Resources, and whose conversation must hear of them; `None` is whoever shares one.
    resources: BTreeMap<String, BTreeSet<Option<u64>>>,
}

impl Filter {
    /// The resources that the conversation with `whom` must hear of.
    fn of(&self, whom: &Whom) -> HashSet<String> {
        let heard = |holders: &BTreeSet<Option<u64>>| match whom {
            Whom::Client(key) => holders.contains(&Some(*key)),
            Whom::Shared { .. } | Whom::Once(_) => true,
        };
        let uris = self.resources.iter().filter(|(_, holders)| heard(holders));
        uris.map(|(uri, _)| uri.clone()).collect()
    }

    /// Whether somebody must be told who has no conversation of their own.
    fn needs_shared(&self, live: &[(Whom, Peer)]) -> bool {
        let owns = |key: u64| live.iter().any(|(whom, _)| *whom == Whom::Client(key));
        let mut holders = self.resources.values().flatten();
        holders.any(|holder| holder.is_none_or(|key| !owns(key)))
    }
}

/// A conversation with a legacy server, and what it was asked to tell of.
struct Told {
    peer: Peer,
    whom: Whom,
    uris: HashSet<String>,
}

impl Told {
    fn is_shared(&self) -> bool {
        matches!(self.whom, Whom::Shared { .. })
    }
}

/// What is open at the server.
#[derive(Default)]
struct Open {
    filter: Filter,
    /// The listen stream of a modern server.
    stream: Option<ReplyStream>,
    /// The modern server of the stream.
    modern: Option<Peer>,
    subscribed: Vec<Told>,
    /// Whether a conversation was lost and nothing has taken its place yet.
    missed: bool,
}

async fn reconcile(server: Weak<Server>, changed: Arc<Notify>) {
    let mut open = Open::default();
    let (mut failures, mut broken, mut opened) = (0, 0, Instant::now());
    loop {
        let Some(strong) = server.upgrade() else { return };
        let Some((filter, revision)) = wanted(&strong, &open) else { return };
        let mut retry = None;
        if filter == Filter::default() {
            std::mem::take(&mut open).close(&strong).await;
            continue;
        }
        match apply(&strong, &mut open, filter).await {
            Ok(()) => {
                if std::mem::take(&mut failures) > 0 || std::mem::take(&mut open.missed) {
                    refresh(&strong);
                }
            }
            Err(error) => {
                failures += 1;
                retry = Some(REOPEN.wait(failures, 0.0));
                tracing::debug!(server = %strong.name, error = error.chain(), "watching failed");
            }
        }
        strong.watch().settled.send_replace(revision);
        let retired = strong.retired().clone();
        drop(strong);
        tokio::select! {
            () = retired.cancelled() => return,
            () = changed.notified() => tokio::time::sleep(SETTLE).await,
            () = tokio::time::sleep(retry.unwrap_or(Duration::MAX)), if retry.is_some() => {}
            () = relay(&server, open.stream.as_mut()) => {
                // One that ends each stream at once is asked less and less often.
                broken = if opened.elapsed() > LASTING { 1 } else { broken + 1 };
                open = Open::default();
                failures = 1;
                tokio::time::sleep(REOPEN.wait(broken, 0.0)).await;
                opened = Instant::now();
            }
            () = any_ended(&open.subscribed) => {
                // A client that leaves takes its own conversation along: nobody else misses anything.
                let lost = |told: &Told| {
                    told.peer.is_over() && (told.is_shared() || !told.uris.is_empty())
                };
                let lost: Vec<_> =
                    open.subscribed.iter().filter(|told| lost(told)).map(|told| told.whom.clone()).collect();
                open.missed |= !lost.is_empty();
                open.subscribed.retain(|told| !told.peer.is_over());
                if open.missed {
                    tokio::time::sleep(REOPEN.initial).await;
                    begin_again(&server, &lost).await;
                }
            }
        }
    }
}

impl Open {
    /// Lets go of everything: a legacy server's session may live on and would go on telling.
    async fn close(self, server: &Arc<Server>) {
        for told in self.subscribed.iter().filter(|told| !told.peer.is_over()) {
            for uri in &told.uris {
                subscribe(server, &told.peer, Method::ResourcesUnsubscribe, uri).await;
            }
        }
    }

    fn is_open(&self) -> bool {
        self.stream.is_some() || !self.subscribed.is_empty() || self.filter != Filter::default()
    }
}

/// What is wanted now, with its revision; `None` once nobody wants anything and nothing is open, which
/// ends the task.
fn wanted(server: &Server, open: &Open) -> Option<(Filter, u64)> {
    let mut wanted = server.watch().wanted.lock().expect("no panic while holding the interest");
    let is_wanted = wanted.lists > 0 || !wanted.resources.is_empty();
    if !is_wanted && !open.is_open() {
        wanted.running = false;
        return None;
    }
    let resources = wanted.resources.iter();
    let resources =
        resources.map(|(uri, holders)| (uri.clone(), holders.keys().copied().collect())).collect();
    Some((Filter { lists: wanted.lists > 0, resources }, wanted.revision))
}

/// Opens what is missing, then closes what is no longer wanted.
async fn apply(server: &Arc<Server>, open: &mut Open, filter: Filter) -> Result<(), ServerError> {
    let mut live = server.conversations.live();
    let is_shared = |(whom, _): &(Whom, Peer)| matches!(whom, Whom::Shared { .. });
    if live.is_empty() || (filter.needs_shared(&live) && !live.iter().any(is_shared)) {
        let peer = server.shared_peer(ClientAbilities::NONE).await?;
        if matches!(peer, Peer::Api(_) | Peer::Composite(_)) {
            // What changes there, the gate finds itself.
            open.filter = filter;
            return Ok(());
        }
        if matches!(peer, Peer::Modern(_)) {
            return apply_modern(server, open, filter, peer).await;
        }
        live = server.conversations.live();
    }
    if let Some((_, peer)) = live.iter().find(|(_, peer)| peer.era() == Era::Modern) {
        return apply_modern(server, open, filter, peer.clone()).await;
    }
    for (whom, peer) in live {
        // One that cannot tell of resources is still one whose end must be noticed.
        let wanted =
            if peer.hello().abilities.subscribe { filter.of(&whom) } else { HashSet::new() };
        let at = open.subscribed.iter().position(|told| told.peer.is(&peer));
        let at = at.unwrap_or_else(|| {
            open.subscribed.push(Told { peer: peer.clone(), whom, uris: HashSet::new() });
            open.subscribed.len() - 1
        });
        let told = &mut open.subscribed[at].uris;
        for uri in wanted.difference(told) {
            subscribe(server, &peer, Method::ResourcesSubscribe, uri).await;
        }
        for uri in told.difference(&wanted) {
            subscribe(server, &peer, Method::ResourcesUnsubscribe, uri).await;
        }
        *told = wanted;
    }
    open.filter = filter;
    Ok(())
}

async fn apply_modern(
    server: &Arc<Server>,
    open: &mut Open,
    filter: Filter,
    peer: Peer,
) -> Result<(), ServerError> {
    let same = open.modern.as_ref().is_some_and(|known| known.is(&peer));
    if filter == open.filter && (same || open.stream.is_some()) {
        return Ok(());
    }
    // The old stream is closed once the new one has been acknowledged.
    open.stream = listen(server, &filter).await?;
    (open.modern, open.filter) = (Some(peer), filter);
    Ok(())
}

/// Opens one listen stream and waits until the server has acknowledged it.
async fn listen(server: &Arc<Server>, filter: &Filter) -> Result<Option<ReplyStream>, ServerError> {
    let abilities = server.shared_peer(ClientAbilities::NONE).await?.hello().abilities.clone();
    let mut members = Vec::new();
    let lists = [
        (abilities.tools_changed, "\"toolsListChanged\":true"),
        (abilities.prompts_changed, "\"promptsListChanged\":true"),
        (abilities.resources_changed, "\"resourcesListChanged\":true"),
    ];
    members.extend(
        lists
            .iter()
            .filter(|(has, _)| *has && filter.lists)
            .map(|(_, member)| (*member).to_owned()),
    );
    if abilities.subscribe && !filter.resources.is_empty() {
        let uris: Vec<_> =
            filter.resources.keys().map(|uri| Json::string(uri).as_str().to_owned()).collect();
        members.push(format!("\"resourceSubscriptions\":[{}]", uris.join(",")));
    }
    if members.is_empty() {
        return Ok(None);
    }
    let notifications = Json::trusted(format!("{{{}}}", members.join(",")));
    let caller = gate_caller(ClientAbilities::NONE);
    let call =
        crate::exchange::gate_call(Method::Listen, &[("notifications", notifications)], caller);
    let opening = async {
        match server.open_stream(&call).await?.body {
            Body::Done(Ok(_)) => Ok(None),
            Body::Done(Err(error)) => Err(ServerError::Protocol(error.message)),
            Body::Stream(mut stream) => match stream.next().await? {
                Event::Notification(first) if &*first.method == name::ACKNOWLEDGED => {
                    Ok(Some(stream))
                }
                _ => Err(ServerError::Protocol(
                    "a listen stream begins with its acknowledgement".into(),
                )),
            },
        }
    };
    timeout_at(call.deadline, opening).await.unwrap_or(Err(ServerError::Timeout))
}

/// Asks one conversation to tell, or no longer to tell, of a resource.
async fn subscribe(server: &Server, peer: &Peer, method: Method, uri: &str) {
    let caller = gate_caller(ClientAbilities::NONE);
    let call = crate::exchange::gate_call(method, &[("uri", Json::string(uri))], caller);
    let problem = match timeout_at(call.deadline, peer.call(&call)).await {
        Ok(Ok(reply)) => match reply.body {
            Body::Done(Err(error)) => error.message,
            Body::Done(Ok(_)) | Body::Stream(_) => return,
        },
        Ok(Err(error)) => error.chain(),
        Err(_) => ServerError::Timeout.to_string(),
    };
    let method = method.name().unwrap_or_default();
    tracing::debug!(server = %server.name, uri, method, problem, "the server was not told");
}

/// Completes when one of the conversations can take no further call.
async fn any_ended(subscribed: &[Told]) {
    let mut ended: FuturesUnordered<_> = subscribed.iter().map(|told| told.peer.ended()).collect();
    if ended.next().await.is_none() {
        std::future::pending::<()>().await;
    }
}

/// Begins the conversations of clients anew whose own have been lost with what they were to tell of:
/// nobody else hears it for them.
async fn begin_again(server: &Weak<Server>, lost: &[Whom]) {
    for whom in lost {
        let (Whom::Client(key), Some(server)) = (whom, server.upgrade()) else { continue };
        let client = server.watch().wanted().clients.get(key).and_then(Weak::upgrade);
        let Some(caller) = client.and_then(|client| client.caller()) else { continue };
        if let Err(error) = server.peer(&caller).await {
            tracing::debug!(server = %server.name, error = error.chain(), "a client's conversation was not begun anew");
        }
    }
}

/// Passes changes on until the stream has been lost.
async fn relay(server: &Weak<Server>, stream: Option<&mut ReplyStream>) {
    let Some(stream) = stream else { return std::future::pending().await };
    loop {
        match stream.next().await {
            Ok(Event::Notification(notification)) => {
                let Some(server) = server.upgrade() else { return };
                if let Some(change) = Change::of(&notification) {
                    server.changes().report(&server.name, change);
                }
            }
            Ok(Event::Question(_) | Event::Paused(_)) => {}
            Ok(Event::Done(_)) | Err(_) => return,
        }
    }
}

/// What may have changed while nobody watched: everything.
fn refresh(server: &Server) {
    for change in [Change::Tools, Change::Prompts, Change::Resources] {
        server.changes().report(&server.name, change);
    }
    let wanted = server.watch().wanted.lock().expect("no panic while holding the interest");
    for uri in wanted.resources.keys() {
        server.changes().report(&server.name, Change::Resource(uri.as_str().into()));
    }
}
