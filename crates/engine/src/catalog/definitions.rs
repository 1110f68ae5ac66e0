//! What one server offers: read from it when needed, kept while it is away.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::watch;
use tokio::time::Instant;
use wire::capability::ClientAbilities;
use wire::{Method, Object};

use crate::call::Body;
use crate::exchange;
use crate::fleet::{Server, gate_caller};
use crate::plan::Settings;
use crate::upstream::{Change, Hello, Peer, ServerError};

/// One tool, prompt, resource or template, verbatim.
#[derive(Clone, Debug)]
pub(crate) struct Definition {
    /// The name, URI or URI template.
    pub(crate) key: String,
    /// The whole definition.
    pub(crate) json: Object,
    /// Tags that endpoints choose by: those of an API's operation. What another server says in its
    /// `_meta` is none.
    pub(crate) tags: Vec<String>,
}

impl Definition {
    /// A definition without tags.
    pub(crate) fn new(key: impl Into<String>, json: Object) -> Self {
        Self { key: key.into(), json, tags: Vec::new() }
    }
}

/// Everything that a server offers.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) hello: Arc<Hello>,
    pub(crate) tools: Vec<Definition>,
    pub(crate) resources: Vec<Definition>,
    pub(crate) templates: Vec<Definition>,
    pub(crate) prompts: Vec<Definition>,
    /// For how many milliseconds the server lets its lists be kept; the least of all pages.
    pub(crate) ttl_ms: u64,
    /// Whether every page may be shown to anybody.
    pub(crate) is_public: bool,
    /// Differs where anything above differs.
    pub(crate) digest: u64,
    epoch: u64,
    read: Instant,
}

/// What a server offers, by what the client can do in the middle of a call: servers show other tools
/// to clients that can be asked.
pub(crate) struct Definitions {
    cells: Mutex<HashMap<ClientAbilities, Arc<Cell>>>,
    keep: Duration,
    refresh: Duration,
    count_max: usize,
    bytes_max: usize,
}

struct Cell {
    last_good: ArcSwapOption<Listing>,
    reading: AtomicBool,
    /// When the reading that runs, or the last one, began.
    began: Mutex<Option<Instant>>,
    /// Counts finished attempts, good or bad.
    attempts: watch::Sender<u64>,
}

impl Definitions {
    pub(crate) fn new(settings: &Settings, wanted: &config::Server) -> Self {
        Self {
            cells: Mutex::default(),
            keep: wanted.keep_definitions.get(),
            refresh: wanted.refresh.get(),
            count_max: settings.definitions_max,
            bytes_max: settings.definition_bytes_max,
        }
    }

    fn cell(&self, abilities: ClientAbilities) -> Arc<Cell> {
        let mut cells = self.cells.lock().expect("no panic while holding the cells");
        let cell = cells.entry(abilities).or_insert_with(|| {
            Arc::new(Cell {
                last_good: ArcSwapOption::empty(),
                reading: AtomicBool::new(false),
                began: Mutex::default(),
                attempts: watch::channel(0).0,
            })
        });
        Arc::clone(cell)
    }

    /// How many tools were last read, for `doctor` and the log.
    pub(crate) fn last_good(&self) -> Option<Arc<Listing>> {
        let cells = self.cells.lock().expect("no panic while holding the cells");
        cells.values().find_map(|cell| cell.last_good.load_full())
    }
}

impl Cell {
    fn running_for(&self) -> Duration {
        let began = self.began.lock().expect("no panic while holding a time");
        began.map_or(Duration::ZERO, |began| began.elapsed())
    }
}

impl Server {
    /// What the server offers to clients that can do `abilities`. Read at once where nothing good is
    /// known, for at most `wait`; afterwards what was last good, while a new reading runs.
    pub(crate) async fn listing(
        self: &Arc<Self>,
        abilities: ClientAbilities,
        wait: Duration,
    ) -> Option<Arc<Listing>> {
        let cell = self.definitions.cell(abilities);
        let known = cell.last_good.load_full();
        let current = known.as_ref().filter(|listing| listing.epoch == self.changes().epoch());
        if let Some(listing) = current {
            if listing.read.elapsed() >= self.definitions.refresh {
                self.read_soon(abilities, &cell);
            }
            if listing.read.elapsed() < self.definitions.keep {
                return Some(Arc::clone(listing));
            }
        }
        let mut attempts = cell.attempts.subscribe();
        let failed_before = known.is_none() && *attempts.borrow_and_update() > 0;
        self.read_soon(abilities, &cell);
        // Only a first reading, or one of a list that has changed, is waited for, and by all who wait
        // together no longer than `wait`: a dead server delays nobody twice.
        let left = wait.saturating_sub(cell.running_for());
        if !failed_before && !left.is_zero() {
            let _ = tokio::time::timeout(left, attempts.changed()).await;
        }
        cell.last_good.load_full().filter(|listing| listing.read.elapsed() < self.definitions.keep)
    }

    /// Reads in a task of its own, unless that is under way.
    fn read_soon(self: &Arc<Self>, abilities: ClientAbilities, cell: &Arc<Cell>) {
        if cell.reading.swap(true, Ordering::AcqRel) {
            return;
        }
        *cell.began.lock().expect("no panic while holding a time") = Some(Instant::now());
        let (server, cell) = (Arc::clone(self), Arc::clone(cell));
        tokio::spawn(async move {
            let read = server.read_listing(abilities).await;
            cell.reading.store(false, Ordering::Release);
            match read {
                Ok(listing) => {
                    let before = cell.last_good.swap(Some(Arc::new(listing)));
                    let now = cell.last_good.load_full();
                    cell.attempts.send_modify(|count| *count += 1);
                    if let Some(now) = now {
                        server.tell_differences(before.as_deref(), &now);
                    }
                }
                Err(error) => {
                    tracing::debug!(server = %server.name, error = error.chain(), "lists not read");
                    cell.attempts.send_modify(|count| *count += 1);
                }
            }
        });
    }

    /// Tells listeners what a reading brought that nobody had told of.
    fn tell_differences(&self, before: Option<&Listing>, now: &Listing) {
        if before.is_some_and(|before| before.digest == now.digest || before.epoch != now.epoch) {
            return;
        }
        let abilities = &now.hello.abilities;
        let kinds = [
            (abilities.tools, Change::Tools),
            (abilities.prompts, Change::Prompts),
            (abilities.resources, Change::Resources),
        ];
        for (_, change) in kinds.into_iter().filter(|(has, _)| *has) {
            self.changes().tell(&self.name, change);
        }
    }

    async fn read_listing(
        self: &Arc<Self>,
        abilities: ClientAbilities,
    ) -> Result<Listing, ServerError> {
        let epoch = self.changes().epoch();
        let peer = self.shared_peer(abilities).await?;
        let hello = Arc::clone(peer.hello());
        let has = &hello.abilities;
        let mut hints = Hints { ttl_ms: u64::MAX, is_public: true };
        let mut lists = Vec::with_capacity(4);
        for (offered, method) in [
            (has.tools, Method::ToolsList),
            (has.resources, Method::ResourcesList),
            (has.resources, Method::ResourceTemplatesList),
            (has.prompts, Method::PromptsList),
        ] {
            let list = if offered {
                self.read_list(&peer, method, abilities, &mut hints).await?
            } else {
                Vec::new()
            };
            lists.push(list);
        }
        let [mut tools, resources, templates, prompts] =
            <[_; 4]>::try_from(lists).expect("four lists were read");
        if let Peer::Api(api) = &peer {
            for tool in &mut tools {
                tool.tags = api.tags(&tool.key).to_vec();
            }
        }
        let broken = self.know_tools(&tools);
        if self.wanted.remote().is_some() {
            // Over HTTP such a tool must not be called (2026-07-28, transports, §custom headers).
            tools.retain(|tool| !broken.contains(&tool.key));
        }
        let mut hasher = DefaultHasher::new();
        for kind in [&tools, &resources, &templates, &prompts] {
            for definition in kind {
                definition.key.hash(&mut hasher);
                definition.json.to_json(&[]).as_bytes().hash(&mut hasher);
                definition.tags.hash(&mut hasher);
            }
        }
        hello.instructions.hash(&mut hasher);
        let digest = hasher.finish();
        let read = Instant::now();
        let Hints { ttl_ms, is_public } = hints;
        Ok(Listing {
            hello,
            tools,
            resources,
            templates,
            prompts,
            ttl_ms,
            is_public,
            digest,
            epoch,
            read,
        })
    }

    /// Reads one kind of definitions, page by page, within the bounds.
    async fn read_list(
        self: &Arc<Self>,
        peer: &Peer,
        method: Method,
        abilities: ClientAbilities,
        hints: &mut Hints,
    ) -> Result<Vec<Definition>, ServerError> {
        let mut found: Vec<Definition> = Vec::new();
        let mut cursor = None;
        loop {
            let members: Vec<_> =
                cursor.iter().map(|cursor| ("cursor", wire::Json::clone(cursor))).collect();
            let call = exchange::gate_call(method, &members, gate_caller(abilities));
            let answer = tokio::time::timeout_at(call.deadline, answer(peer, &call)).await;
            let result = match answer.unwrap_or(Err(ServerError::Timeout))? {
                Ok(result) => result,
                // Many servers declare resources and know no templates.
                Err(error) if error.code == wire::code::METHOD_NOT_FOUND => break,
                Err(error) => return Err(ServerError::Protocol(error.message)),
            };
            hints.merge(&result);
            self.take(method, &result, &mut found);
            let next = result.get("nextCursor").filter(|next| next.text().is_some());
            if next.is_none() || next == cursor || found.len() >= self.definitions.count_max {
                break;
            }
            cursor = next;
        }
        Ok(found)
    }

    fn take(&self, method: Method, result: &Object, found: &mut Vec<Definition>) {
        let (list, key) = members_of(method);
        let elements = result.get(list).and_then(|list| list.elements()).unwrap_or_default();
        for element in elements {
            let server = &self.name;
            if found.len() >= self.definitions.count_max {
                let most = self.definitions.count_max;
                tracing::warn!(%server, most, list, "the server has more definitions than the limit");
                return;
            }
            if element.as_bytes().len() > self.definitions.bytes_max {
                let bytes = element.as_bytes().len();
                tracing::warn!(%server, bytes, list, "a definition is longer than the limit; left out");
                continue;
            }
            let Some(json) = element.object() else { continue };
            let Some(key) = json.text(key).map(std::borrow::Cow::into_owned) else { continue };
            found.push(Definition::new(key, json));
        }
    }
}

/// The cache hints of several pages together.
struct Hints {
    ttl_ms: u64,
    is_public: bool,
}

impl Hints {
    fn merge(&mut self, page: &Object) {
        let ttl_ms = page.get("ttlMs").and_then(|ttl| ttl.as_u64()).unwrap_or(0);
        self.ttl_ms = self.ttl_ms.min(ttl_ms);
        self.is_public &= page.text("cacheScope").as_deref() == Some("public");
    }
}

/// The member that holds the list, and the one that names an element.
pub(crate) const fn members_of(method: Method) -> (&'static str, &'static str) {
    match method {
        Method::ResourcesList => ("resources", "uri"),
        Method::ResourceTemplatesList => ("resourceTemplates", "uriTemplate"),
        Method::PromptsList => ("prompts", "name"),
        _ => ("tools", "name"),
    }
}

/// The tools of a server, for mirroring arguments in headers.
pub(crate) async fn list_tools(
    server: &Arc<Server>,
    peer: &Peer,
) -> Result<Vec<Definition>, ServerError> {
    let hints = &mut Hints { ttl_ms: u64::MAX, is_public: true };
    server.read_list(peer, Method::ToolsList, ClientAbilities::NONE, hints).await
}

/// The answer to one of the gate's own calls.
async fn answer(peer: &Peer, call: &crate::call::Call) -> Result<wire::Outcome, ServerError> {
    match peer.call(call).await?.body {
        Body::Done(outcome) => Ok(outcome),
        Body::Stream(mut stream) => loop {
            if let crate::call::Event::Done(outcome) = stream.next().await? {
                return Ok(outcome);
            }
        },
    }
}
