//! What a server says outside of any call: changes for everybody, the rest for the session's owner.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use tokio::sync::{broadcast, oneshot};
use wire::capability::ClientAbilities;
use wire::message::Text;
use wire::method::name;
use wire::shape::question;
use wire::{Notification, Object, Outcome, RpcError, code};

use crate::call::{Conversation, Question};
use crate::interaction::{self, Unfit};

/// Something of a server changed, so that lists or contents should be read again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// The list of tools.
    Tools,
    /// The list of prompts.
    Prompts,
    /// The lists of resources and templates.
    Resources,
    /// One resource.
    Resource(Arc<str>),
}

impl Change {
    /// The change that a notification tells of.
    pub fn of(notification: &Notification) -> Option<Self> {
        match &*notification.method {
            name::TOOLS_CHANGED => Some(Self::Tools),
            name::PROMPTS_CHANGED => Some(Self::Prompts),
            name::RESOURCES_CHANGED => Some(Self::Resources),
            name::RESOURCE_UPDATED => {
                notification.params.text("uri").map(|uri| Self::Resource((*uri).into()))
            }
            _ => None,
        }
    }
}

/// Whose conversation it is.
#[derive(Clone, Debug)]
pub enum Owner {
    /// One client's session: whatever the server says is for that client.
    Client(Weak<dyn Conversation>),
    /// Several clients share it: only what concerns everybody goes further.
    Shared,
}

/// Where messages go that belong to no call.
#[derive(Clone, Debug)]
pub struct Unbound {
    /// The server's name in the configuration.
    pub server: Arc<str>,
    /// Whose conversation it is.
    pub owner: Owner,
    /// Told of every change.
    pub changes: Changes,
    /// What the server was told that can be asked.
    pub abilities: ClientAbilities,
    /// Whether it may ask for secrets in forms.
    pub secret_forms: config::SecretForms,
    /// Set once the server has asked something that did not come on the stream of its call.
    pub asks_aside: Arc<AtomicBool>,
}

/// What changes at any server, told to everybody who listens. An empty name means all servers.
#[derive(Clone, Debug)]
pub struct News(broadcast::Sender<(Arc<str>, Change)>);

/// Changes that may wait for a slow reader; it then learns that it missed some.
const NEWS_QUEUED: usize = 1024;

impl Default for News {
    fn default() -> Self {
        Self(broadcast::channel(NEWS_QUEUED).0)
    }
}

impl News {
    /// A receiver of everything that changes from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<(Arc<str>, Change)> {
        self.0.subscribe()
    }

    /// Tells of a change at `server`.
    pub fn tell(&self, server: &Arc<str>, change: Change) {
        // Nobody listening is a normal state.
        let _ = self.0.send((Arc::clone(server), change));
    }
}

/// Tells what changed at one server, and dates its lists.
#[derive(Clone, Debug)]
pub struct Changes {
    news: News,
    epoch: Arc<AtomicU64>,
}

impl Changes {
    /// Changes that are told through `news`.
    pub fn new(news: News) -> Self {
        Self { news, epoch: Arc::default() }
    }

    /// Counts the changes of lists; a list that was read in an earlier epoch is outdated.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Tells of a change that the server reported: its lists are outdated from now on.
    pub fn report(&self, server: &Arc<str>, change: Change) {
        if !matches!(change, Change::Resource(_)) {
            self.epoch.fetch_add(1, Ordering::Release);
        }
        self.news.tell(server, change);
    }

    /// Tells of a change that is already known here.
    pub fn tell(&self, server: &Arc<str>, change: Change) {
        self.news.tell(server, change);
    }
}

impl Unbound {
    /// Takes a notification.
    pub fn notification(&self, notification: &Notification) {
        if let Some(change) = Change::of(notification) {
            self.changes.report(&self.server, change);
        }
        match &self.owner {
            Owner::Client(owner) => {
                if let Some(owner) = owner.upgrade() {
                    owner.notify(&self.server, notification);
                }
            }
            Owner::Shared if &*notification.method == name::LOG_MESSAGE => {
                let text = notification.params.get("data").map(|data| data.as_str().to_owned());
                tracing::debug!(server = %self.server, message = text, "server log");
            }
            Owner::Shared => {}
        }
    }

    /// Whether the server may ask this here; if not, what it is told instead.
    pub fn screen(&self, method: &str, params: &Object) -> Result<(), RpcError> {
        let refused = match question::needs(method, params) {
            // Not a question to a person or a model: pings, and tasks of a client.
            None => return Ok(()),
            Some(_) => interaction::screen(method, params, self.abilities, self.secret_forms),
        };
        refused.map_err(|why| {
            tracing::info!(server = %self.server, method, why = %why, "a question is not passed on");
            let code = match why {
                Unfit::Unable(_) => code::METHOD_NOT_FOUND,
                Unfit::Secret(_) => code::INVALID_PARAMS,
            };
            RpcError::new(code, why.to_string())
        })
    }

    /// Takes a question; the answer comes through the returned channel.
    pub fn question(&self, method: Text, params: Object) -> oneshot::Receiver<Outcome> {
        let (answer, receiver) = oneshot::channel();
        match &self.owner {
            _ if &*method == name::PING => {
                let _ = answer.send(Ok(Object::empty()));
            }
            Owner::Client(owner) => {
                if let Some(owner) = owner.upgrade() {
                    owner.ask(&self.server, Question { method, params, answer });
                }
            }
            Owner::Shared => {}
        }
        receiver
    }
}

/// What a server gets for a question that nobody can answer.
pub(super) fn unanswerable(method: &str) -> RpcError {
    RpcError::new(
        code::METHOD_NOT_FOUND,
        format!(
            "{method} cannot be answered here: no client that can is part of this conversation"
        ),
    )
}

/// An answer that is there already.
pub(super) fn answered(outcome: Outcome) -> oneshot::Receiver<Outcome> {
    let (answer, receiver) = oneshot::channel();
    let _ = answer.send(outcome);
    receiver
}

/// Waits for an answer; a dropped question is answered with an error.
pub(super) async fn answer_of(method: &str, receiver: oneshot::Receiver<Outcome>) -> Outcome {
    receiver.await.unwrap_or_else(|_| Err(unanswerable(method)))
}
