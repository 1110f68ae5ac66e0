//! What changed at the servers of one endpoint, gathered for a listener.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, timeout_at};

use crate::fleet::{Interest, Server};
use crate::gate::Gate;
use crate::plan::{Endpoint, Serves};
use crate::upstream::Change;

/// Changes within this time are told once: servers often change several things together.
const DEBOUNCE: Duration = Duration::from_millis(50);

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Heard {
    /// Whose resource it is; of lists nobody need know.
    pub(super) server: Arc<str>,
    pub(super) change: Change,
}

impl Heard {
    /// Some changes went unheard: every resource may be another.
    fn anything() -> Self {
        Self { server: "".into(), change: Change::Resource("".into()) }
    }

    /// Whether it may be about the resource `interest` is in.
    pub(super) fn concerns(&self, interest: &Interest) -> bool {
        let Change::Resource(uri) = &self.change else { return false };
        *self == Self::anything() || interest.is_in(&self.server, uri)
    }

    fn new(server: Arc<str>, change: Change) -> Self {
        let server = if matches!(change, Change::Resource(_)) { server } else { "".into() };
        Self { server, change }
    }
}

/// One listener's feed.
pub(super) struct Feed {
    gate: Weak<Gate>,
    path: Arc<str>,
    lists: bool,
    news: broadcast::Receiver<(Arc<str>, Change)>,
    servers: BTreeSet<Arc<str>>,
    /// Keeps the servers watched for as long as somebody listens.
    interests: Vec<Interest>,
}

impl Feed {
    /// The feed of everything behind `endpoint`. Lists are watched if `lists` says so.
    pub(super) fn of(gate: &Arc<Gate>, endpoint: &Endpoint, lists: bool) -> Self {
        let mut feed = Self {
            gate: Arc::downgrade(gate),
            path: Arc::clone(&endpoint.path),
            lists,
            news: gate.news().subscribe(),
            servers: BTreeSet::new(),
            interests: Vec::new(),
        };
        feed.follow(endpoint);
        feed
    }

    /// Waits until every server has been asked, so that no change goes unheard from then on.
    pub(super) async fn settled(&self) {
        join_all(self.interests.iter().map(Interest::settled)).await;
    }

    fn follow(&mut self, endpoint: &Endpoint) {
        let servers = servers_of(endpoint);
        self.servers = servers.iter().map(|server| Arc::clone(&server.name)).collect();
        if self.lists {
            // The new interest begins before the old one ends.
            self.interests = servers.iter().map(Server::watch_lists).collect();
        }
    }

    /// After a reload other servers may stand behind the same path.
    fn follow_again(&mut self) {
        let Some(gate) = self.gate.upgrade() else { return };
        if let Some(endpoint) = gate.snapshot().endpoints.get(&*self.path) {
            self.follow(endpoint);
        }
    }

    /// Waits until something changed, and returns what did within a short time, each change once.
    pub(super) async fn next(&mut self) -> HashSet<Heard> {
        let mut changed = HashSet::new();
        let mut until = None;
        loop {
            let news = match until {
                None => self.news.recv().await,
                Some(until) => match timeout_at(until, self.news.recv()).await {
                    Ok(news) => news,
                    Err(_elapsed) => return changed,
                },
            };
            match news {
                Ok((server, change)) if server.is_empty() => {
                    self.follow_again();
                    changed.insert(Heard::new(server, change));
                }
                Ok((server, change)) if self.servers.contains(&server) => {
                    changed.insert(Heard::new(server, change));
                }
                Ok(_) => continue,
                // Missed some: all lists may have changed.
                Err(RecvError::Lagged(_)) => {
                    let lists = [Change::Tools, Change::Prompts, Change::Resources];
                    changed.extend(lists.map(|change| Heard::new("".into(), change)));
                    changed.insert(Heard::anything());
                }
                Err(RecvError::Closed) => return std::future::pending().await,
            }
            until.get_or_insert_with(|| Instant::now() + DEBOUNCE);
        }
    }
}

/// The servers behind an endpoint.
pub(super) fn servers_of(endpoint: &Endpoint) -> Vec<Arc<Server>> {
    match &endpoint.serves {
        Serves::One(server) => vec![Arc::clone(server)],
        Serves::Composed(composed) => {
            composed.views.offers().iter().map(|offer| Arc::clone(&offer.server)).collect()
        }
    }
}
