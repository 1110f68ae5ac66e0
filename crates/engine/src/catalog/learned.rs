//! Where resources lead that are in no list: servers mention URIs in results, and whoever mentioned
//! one is asked for it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use wire::{Json, Object};

use crate::fleet::Server;

/// URIs that servers mentioned; the oldest are forgotten first.
#[derive(Debug, Default)]
pub(crate) struct Learned {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    servers: HashMap<Arc<str>, Arc<Server>>,
    order: VecDeque<Arc<str>>,
}

/// URIs that are remembered: about 1 MiB.
const REMEMBERED: usize = 8192;
/// Longest URI that is remembered in bytes.
const URI_MAX: usize = 2048;

impl Learned {
    pub(crate) fn server_of(&self, uri: &str) -> Option<Arc<Server>> {
        let table = self.table.lock().expect("no panic while holding the table");
        table.servers.get(uri).cloned()
    }

    pub(crate) fn learn(&self, uri: &str, server: &Arc<Server>) {
        if uri.len() > URI_MAX {
            return;
        }
        let mut table = self.table.lock().expect("no panic while holding the table");
        if let Some(known) = table.servers.get_mut(uri) {
            *known = Arc::clone(server);
            return;
        }
        if table.order.len() >= REMEMBERED
            && let Some(oldest) = table.order.pop_front()
        {
            table.servers.remove(&oldest);
        }
        let uri: Arc<str> = uri.into();
        table.servers.insert(Arc::clone(&uri), Arc::clone(server));
        table.order.push_back(uri);
    }

    /// Learns the links and embedded resources of a tool's or prompt's result.
    pub(crate) fn harvest(&self, result: &Object, server: &Arc<Server>) {
        if let Some(content) = mentioning(result.get("content")) {
            for block in &content {
                self.harvest_block(block, server);
            }
        }
        for message in mentioning(result.get("messages")).into_iter().flatten() {
            if let Some(block) = message.object().and_then(|message| message.get("content")) {
                self.harvest_block(&block, server);
            }
        }
    }

    fn harvest_block(&self, block: &Json, server: &Arc<Server>) {
        let Some(block) = block.object() else { return };
        let embedded = block.object("resource");
        let uri = block.text("uri").or_else(|| embedded.as_ref()?.text("uri"));
        if let Some(uri) = uri {
            self.learn(&uri, server);
        }
    }
}

/// The elements of a list, if one of them can be a resource: most results have none.
fn mentioning(list: Option<Json>) -> Option<Vec<Json>> {
    let list =
        list.filter(|list| list.as_bytes().len() > 2 && mentions_resource(list.as_bytes()))?;
    list.elements()
}

fn mentions_resource(text: &[u8]) -> bool {
    memchr::memmem::find(text, b"\"resource").is_some()
}
