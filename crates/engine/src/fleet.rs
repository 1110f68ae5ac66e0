//! The servers behind the gate: reached when needed, watched, ended when idle.

mod admission;
mod api;
mod connect;
mod conversations;
mod known;
mod server;
mod transport;
mod turns;
mod watch;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

pub use known::{Condition, EraKnown};
pub(crate) use server::gate_caller;
pub use server::{Held, Server, Status};
pub use watch::Interest;

use crate::plan::Settings;
use crate::upstream::News;

/// All servers of the configuration by name. Servers whose settings did not change survive a reload
/// with their connections, processes and sessions.
#[derive(Debug, Default)]
pub struct Fleet {
    news: News,
    servers: Mutex<BTreeMap<Arc<str>, Arc<Server>>>,
}

impl Fleet {
    /// Makes the fleet what `config` says: keeps what is equal, starts what is new, ends what is gone.
    pub fn reconcile(
        &self,
        config: &config::Config,
        settings: &Settings,
    ) -> BTreeMap<Arc<str>, Arc<Server>> {
        let mut servers = self.servers.lock().expect("no panic while holding the fleet");
        let mut next = BTreeMap::new();
        for (name, wanted) in &config.servers {
            if wanted.disabled {
                continue;
            }
            let kept = servers.get(name.as_str()).filter(|server| server.is_as(wanted, settings));
            let server = match kept {
                Some(server) => Arc::clone(server),
                None => Server::start(name.as_str(), wanted, settings, &self.news),
            };
            next.insert(Arc::clone(&server.name), server);
        }
        for (name, server) in servers.iter() {
            if next.get(name).is_none_or(|kept| !Arc::ptr_eq(kept, server)) {
                server.retire();
            }
        }
        servers.clone_from(&next);
        next
    }

    /// What changes at any server.
    pub(crate) fn news(&self) -> &News {
        &self.news
    }

    /// Ends every conversation and process, and waits until they have ended.
    pub async fn shut_down(&self) {
        let servers =
            std::mem::take(&mut *self.servers.lock().expect("no panic while holding the fleet"));
        futures_util::future::join_all(servers.values().map(|server| server.shut_down())).await;
    }
}
