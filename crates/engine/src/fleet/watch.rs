//! Watches a server for those who listen: one upstream subscription per server, counted by interest.
//!
//! A reconciler: it compares what is wanted with what is open, whatever caused the difference. A new
//! stream is acknowledged before the old one is closed, so that no change falls between them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{timeout, timeout_at};
use wire::capability::ClientAbilities;
use wire::method::name;
use wire::{Era, Json, Method};

use super::server::{Server, gate_caller};
use crate::call::{Body, Event};
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
    resources: HashMap<String, usize>,
    /// Counts what was wanted anew.
    revision: u64,
}

/// Somebody's interest; ends when dropped.
#[derive(Debug)]
pub struct Interest {
    server: Weak<Server>,
    /// The resource, or the lists.
    uri: Option<String>,
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

impl Server {
    /// Hears of changed lists from now on.
    pub(crate) fn watch_lists(self: &Arc<Self>) -> Interest {
        self.watch_for(None)
    }

    /// Hears of changes of the resource from now on.
    pub(crate) fn watch_resource(self: &Arc<Self>, uri: &str) -> Interest {
        self.watch_for(Some(uri.to_owned()))
    }

    fn watch_for(self: &Arc<Self>, uri: Option<String>) -> Interest {
        let watch = self.watch();
        let mut wanted = watch.wanted.lock().expect("no panic while holding the interest");
        let count = match &uri {
            Some(uri) => wanted.resources.entry(uri.clone()).or_default(),
            None => &mut wanted.lists,
        };
        *count += 1;
        let is_new = *count == 1;
        wanted.revision += u64::from(is_new);
        let revision = wanted.revision;
        if !wanted.running {
            wanted.running = true;
            tokio::spawn(reconcile(Arc::downgrade(self), Arc::clone(&watch.changed)));
        }
        watch.changed.notify_one();
        Interest { server: Arc::downgrade(self), uri, revision }
    }
}

impl Watch {
    /// Whether anybody wants to hear of the server.
    pub(super) fn is_wanted(&self) -> bool {
        let wanted = self.wanted.lock().expect("no panic while holding the interest");
        wanted.lists > 0 || !wanted.resources.is_empty()
    }
}

impl Interest {
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
                if let Some(count) = wanted.resources.get_mut(uri) {
                    *count -= 1;
                    if *count == 0 {
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
    resources: HashSet<String>,
}

/// What is open at the server.
#[derive(Default)]
struct Open {
    filter: Filter,
    stream: Option<ReplyStream>,
    /// The conversation that hears of changes; with another one everything is asked for anew.
    peer: Option<Peer>,
}

async fn reconcile(server: Weak<Server>, changed: Arc<Notify>) {
    let mut open = Open::default();
    let mut failures = 0;
    loop {
        let Some(strong) = server.upgrade() else { return };
        let Some((filter, revision)) = wanted(&strong, &open) else { return };
        let mut retry = None;
        if filter == Filter::default() {
            std::mem::take(&mut open).close(&strong).await;
            continue;
        }
        if filter != open.filter {
            match apply(&strong, &mut open, filter).await {
                Ok(()) => {
                    if std::mem::take(&mut failures) > 0 {
                        refresh(&strong);
                    }
                }
                Err(error) => {
                    failures += 1;
                    retry = Some(REOPEN.wait(failures, 0.0));
                    tracing::debug!(server = %strong.name, error = error.chain(), "watching failed");
                }
            }
        }
        strong.watch().settled.send_replace(revision);
        let retired = strong.retired().clone();
        drop(strong);
        tokio::select! {
            () = retired.cancelled() => return,
            () = changed.notified() => tokio::time::sleep(SETTLE).await,
            () = tokio::time::sleep(retry.unwrap_or(Duration::MAX)), if retry.is_some() => {}
            () = lost(&server, open.stream.as_mut(), open.peer.as_ref()) => {
                open = Open::default();
                failures = 1;
                tokio::time::sleep(REOPEN.initial).await;
            }
        }
    }
}

impl Open {
    /// Lets go of everything: a legacy server's session may live on and would go on telling.
    async fn close(self, server: &Arc<Server>) {
        let is_told = |peer: &Peer| peer.era() == Era::Legacy && !peer.is_over();
        if !self.peer.as_ref().is_some_and(is_told) {
            return;
        }
        for uri in &self.filter.resources {
            if let Err(error) = subscribe(server, Method::ResourcesUnsubscribe, uri).await {
                tracing::debug!(server = %server.name, uri, error = error.chain(), "not unsubscribed");
            }
        }
    }
}

/// What is wanted now, with its revision; `None` once nobody wants anything and nothing is open, which
/// ends the task.
fn wanted(server: &Server, open: &Open) -> Option<(Filter, u64)> {
    let mut wanted = server.watch().wanted.lock().expect("no panic while holding the interest");
    let is_wanted = wanted.lists > 0 || !wanted.resources.is_empty();
    if !is_wanted && open.filter == Filter::default() {
        wanted.running = false;
        return None;
    }
    let resources = wanted.resources.keys().cloned().collect();
    Some((Filter { lists: wanted.lists > 0, resources }, wanted.revision))
}

/// Opens what is missing, then closes what is no longer wanted.
async fn apply(server: &Arc<Server>, open: &mut Open, filter: Filter) -> Result<(), ServerError> {
    let peer = server.shared_peer(ClientAbilities::NONE).await?;
    if peer.era() == Era::Modern {
        open.stream = listen(server, &filter).await?;
    } else {
        for uri in filter.resources.difference(&open.filter.resources) {
            subscribe(server, Method::ResourcesSubscribe, uri).await?;
        }
        for uri in open.filter.resources.difference(&filter.resources) {
            subscribe(server, Method::ResourcesUnsubscribe, uri).await?;
        }
    }
    open.peer = Some(peer);
    open.filter = filter;
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
            filter.resources.iter().map(|uri| Json::string(uri).as_str().to_owned()).collect();
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

async fn subscribe(server: &Arc<Server>, method: Method, uri: &str) -> Result<(), ServerError> {
    let caller = gate_caller(ClientAbilities::NONE);
    let call = crate::exchange::gate_call(method, &[("uri", Json::string(uri))], caller);
    let reply = timeout_at(call.deadline, server.call(&call)).await;
    match reply.unwrap_or(Err(ServerError::Timeout))?.body {
        Body::Done(Err(error)) => {
            tracing::debug!(server = %server.name, uri, error = error.message, "not subscribed");
            Ok(())
        }
        Body::Done(Ok(_)) | Body::Stream(_) => Ok(()),
    }
}

/// Passes changes on until the stream, or the conversation itself, has been lost.
async fn lost(server: &Weak<Server>, stream: Option<&mut ReplyStream>, peer: Option<&Peer>) {
    let ended = async {
        match peer {
            Some(peer) => peer.ended().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = relay(server, stream) => {}
        () = ended => {}
    }
}

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
