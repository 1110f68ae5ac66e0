//! What all calls to one API share: connections, credentials, bounds.

use std::collections::BTreeMap;
use std::collections::hash_map::{Entry, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use config::SchemeCredentials;
use http::{HeaderMap, HeaderName};
use openapi::response;

use super::addresses::Hosts;
use super::secrets::Secrets;
use super::token::{Tokens, Wanted};
use crate::http::Client;
use crate::upstream::Bounds;

/// What all calls to one API share, however often its document is read.
pub(super) struct Way {
    /// The server's name in the configuration.
    pub(super) server: Arc<str>,
    /// To addresses that the operator wrote.
    pub(super) client: Client,
    /// To addresses that the document says: to the public internet alone.
    pub(super) guarded: Client,
    /// Configured headers and credentials of every request.
    pub(super) head: HeaderMap,
    /// Whether some of them are credentials.
    pub(super) has_own_credentials: bool,
    /// Whether connections show a client certificate.
    pub(super) has_certificate: bool,
    /// What satisfies security schemes, by their names.
    pub(super) schemes: BTreeMap<String, SchemeCredentials>,
    /// What no result has.
    pub(super) secrets: Arc<Secrets>,
    /// Headers of clients that are passed on.
    pub(super) forwarded: Vec<HeaderName>,
    /// Bounds of what the API may send.
    pub(super) bounds: Bounds,
    /// Bounds of results.
    pub(super) limits: response::Limits,
    /// How long the API may be silent.
    pub(super) timeout: Duration,
    /// How long a call may take with all its progress.
    pub(super) deadline_max: Duration,
    /// Where requests go.
    pub(super) hosts: Hosts,
    pub(super) tokens: Mutex<HashMap<(String, Wanted), Arc<Tokens>>>,
}

impl Way {
    /// The connections for an address.
    pub(super) fn client(&self, is_foreign: bool) -> &Client {
        if is_foreign { &self.guarded } else { &self.client }
    }

    /// The tokens for a security scheme. They outlive the document that demands them.
    pub(super) fn tokens_of(&self, scheme: &str, wanted: Wanted) -> Arc<Tokens> {
        let mut tokens = self.tokens.lock().expect("no panic while holding the tokens");
        match tokens.entry((scheme.to_owned(), wanted)) {
            Entry::Occupied(known) => Arc::clone(known.get()),
            Entry::Vacant(place) => {
                let wanted = place.key().1.clone();
                let client = self.client(wanted.is_foreign).clone();
                Arc::clone(place.insert(Arc::new(Tokens::new(
                    wanted,
                    client,
                    Arc::clone(&self.secrets),
                ))))
            }
        }
    }
}
