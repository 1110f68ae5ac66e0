//! The document of an API, read when the gate starts and again whenever it changes; and the last good
//! server made of it.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, LazyLock, Mutex, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use config::ApiDocument;
use http::{HeaderMap, HeaderName};
use openapi::api::{self, Api};
use openapi::document::{BYTES_MAX, Overlay};
use openapi::report::{Finding, Severity};
use openapi::response;
use openapi::tool::{Held, Options};
use openapi::written;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use url::Url;
use wire::{Json, Object, Version, meta};

use super::addresses::{AddressBook, AddressState, Hosts};
use super::list::Pages;
use super::secrets::Secrets;
use super::way::Way;
use super::{ApiServer, ApiTool, access, options};
use crate::documents::{self, Fetched, References, Stamp, Validators};
use crate::http::Client;
use crate::plan::Settings;
use crate::upstream::{Hello, ServerError};

/// The document of an API, and what was last made of it.
pub(crate) struct ApiSource {
    api: config::Api,
    options: Options,
    way: Arc<Way>,
    page_items: usize,
    page_bytes: usize,
    current: ArcSwapOption<ApiServer>,
    /// Counts finished readings; with why the last one failed, if it did.
    readings: watch::Sender<(u64, Option<String>)>,
    seen: Mutex<Seen>,
}

/// What the last reading saw.
#[derive(Clone, Default)]
struct Seen {
    validators: Validators,
    files: Vec<Stamp>,
    /// Whether documents of other URLs belong to it.
    has_urls: bool,
    /// Of all texts.
    digest: Option<u64>,
}

/// What came of a reading.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Nothing has changed.
    Same,
    /// There is another server now; its tools, compared with those before.
    New(Differences),
}

/// Names of tools that are new, gone, or other than before.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Differences {
    pub(crate) added: Vec<String>,
    pub(crate) removed: Vec<String>,
    pub(crate) changed: Vec<String>,
}

impl Differences {
    pub(crate) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

/// How often files are looked at.
const FILES_INTERVAL: Duration = Duration::from_secs(2);
/// Longest instructions that are made of a document's description, in bytes.
const INSTRUCTIONS_BYTES_MAX: usize = 4 << 10;
/// Most findings of one reading that are logged one by one.
const FINDINGS_LOGGED_MAX: usize = 20;

/// Reading takes a core and, for a large document, a hundred megabytes: a thousand are not read at
/// once.
static READERS: LazyLock<Semaphore> = LazyLock::new(|| {
    Semaphore::new(std::thread::available_parallelism().map_or(2, std::num::NonZero::get).min(8))
});

/// What an API is reached by.
pub(crate) struct Reached {
    pub(crate) client: Client,
    pub(crate) guarded: Client,
    /// Configured headers and credentials.
    pub(crate) head: HeaderMap,
    pub(crate) timeout: Duration,
}

impl ApiSource {
    pub(crate) fn new(
        server: &Arc<str>,
        api: &config::Api,
        reached: Reached,
        settings: &Settings,
    ) -> Self {
        let Reached { client, guarded, head, timeout } = reached;
        let forwarded = api.forward_headers.iter();
        let message = settings.bounds.message;
        let limits = response::Limits {
            text_bytes_max: api.result_bytes.len(),
            json: wire::Limits { depth: message.depth.saturating_sub(4), ..message },
            ..response::Limits::default()
        };
        let way = Way {
            server: Arc::clone(server),
            client,
            guarded,
            has_own_credentials: api.credentials.always.is_some()
                || head.contains_key(http::header::AUTHORIZATION),
            head,
            has_certificate: api.tls.as_ref().is_some_and(|tls| tls.certificate.is_some()),
            schemes: api.credentials.schemes.clone(),
            secrets: Arc::new(Secrets::of(api)),
            forwarded: forwarded.filter_map(|name| HeaderName::try_from(name).ok()).collect(),
            bounds: settings.bounds,
            limits,
            timeout,
            deadline_max: settings.call_deadline_max,
            hosts: Hosts::default(),
            tokens: Mutex::default(),
        };
        Self {
            options: options::of(api),
            api: api.clone(),
            way: Arc::new(way),
            page_items: settings.page_items,
            page_bytes: settings.page_bytes,
            current: ArcSwapOption::empty(),
            readings: watch::channel((0, None)).0,
            seen: Mutex::default(),
        }
    }

    /// The server as last read; the first reading is waited for.
    pub(crate) async fn server(&self) -> Result<Arc<ApiServer>, ServerError> {
        if let Some(server) = self.current.load_full() {
            return Ok(server);
        }
        let mut readings = self.readings.subscribe();
        let read = readings.wait_for(|(count, _)| *count > 0).await;
        let problem = read.ok().and_then(|read| read.1.clone());
        self.current.load_full().ok_or_else(|| {
            ServerError::Document(problem.unwrap_or_else(|| "it has not been read".to_owned()))
        })
    }

    /// The server as last read, if there was one that was good.
    pub(crate) fn last_good(&self) -> Option<Arc<ApiServer>> {
        self.current.load_full()
    }

    /// Where its requests go.
    pub(crate) fn addresses(&self) -> Vec<AddressState> {
        self.way.hosts.states()
    }

    /// Whether there is a server that was good once.
    pub(crate) fn has_server(&self) -> bool {
        self.current.load().is_some()
    }

    /// Reads the document, if it has changed.
    pub(crate) async fn read(self: &Arc<Self>) -> Result<Reading, String> {
        let read = self.read_changed().await;
        let problem = read.as_ref().err().cloned();
        self.readings.send_modify(|(count, last)| (*count, *last) = (*count + 1, problem));
        read
    }

    /// Completes when the document may have changed: a URL after a while, files when they have.
    pub(crate) async fn may_have_changed(&self) {
        let interval = match &self.api.openapi {
            Some(ApiDocument::Url(_)) => self.api.reload.get(),
            Some(ApiDocument::File(_)) => Duration::MAX,
            None => return std::future::pending().await,
        };
        let files = self.seen.lock().expect("no panic while holding what was seen").files.clone();
        let changed = async {
            loop {
                tokio::time::sleep(FILES_INTERVAL).await;
                let files = files.clone();
                let looked =
                    tokio::task::spawn_blocking(move || files.iter().any(Stamp::is_outdated));
                if looked.await.unwrap_or(false) {
                    return;
                }
            }
        };
        // More than a year is more than a timer can take, and than any process runs.
        let interval = interval.min(Duration::from_hours(24 * 365));
        let _ = tokio::time::timeout(interval, changed).await;
    }

    async fn read_changed(self: &Arc<Self>) -> Result<Reading, String> {
        let known = self.seen.lock().expect("no panic while holding what was seen").clone();
        let root = match &self.api.openapi {
            Some(ApiDocument::File(_)) | None => None,
            Some(ApiDocument::Url(url)) => {
                // What belongs to it may have changed although it has not.
                let is_alone = !known.has_urls && !known.files.iter().any(Stamp::is_outdated);
                let validators =
                    if is_alone { known.validators.clone() } else { Validators::default() };
                let head = self.head_for(url.url());
                let until = Instant::now() + documents::FETCH_WAIT;
                let fetched =
                    documents::fetch(&self.way.client, url.url(), &head, &validators, until).await;
                match fetched.map_err(|problem| format!("{url}: {problem}"))? {
                    Fetched::Same => return Ok(Reading::Same),
                    Fetched::Text(text, validators) => Some((text, validators)),
                }
            }
        };
        let _turn = READERS.acquire().await.expect("the semaphore is never closed");
        let (source, runtime) = (Arc::clone(self), Handle::current());
        let made = tokio::task::spawn_blocking(move || source.make(root, &runtime, &known));
        made.await.unwrap_or_else(|_| Err("reading the document failed".to_owned()))
    }

    /// Credentials go where the API is, and to no other host.
    fn head_for(&self, document: &Url) -> HeaderMap {
        let is_own = self.api.addresses.iter().any(|url| url.url().origin() == document.origin());
        if is_own { self.way.head.clone() } else { HeaderMap::new() }
    }

    /// For a thread that may wait.
    fn make(
        &self,
        root: Option<(String, Validators)>,
        runtime: &Handle,
        known: &Seen,
    ) -> Result<Reading, String> {
        let Some(place) = &self.api.openapi else { return self.make_by_hand() };
        let mut seen = Seen::default();
        let name = place.to_string();
        let (url, text) = match (place, root) {
            (ApiDocument::Url(url), Some((text, validators))) => {
                seen.validators = validators;
                (url.url().clone(), text)
            }
            (ApiDocument::Url(_), None) => return Err(format!("{name}: it was not fetched")),
            (ApiDocument::File(path), _) => {
                seen.files.push(Stamp::of(path));
                let mut last = self.seen.lock().expect("no panic while holding what was seen");
                last.files.clone_from(&seen.files);
                drop(last);
                let text = documents::read_file(path, BYTES_MAX)
                    .map_err(|problem| format!("{name}: {problem}"))?;
                let whole =
                    std::path::absolute(path).map_err(|error| format!("{name}: {error}"))?;
                let url = Url::from_file_path(&whole).map_err(|()| format!("{name}: no file"))?;
                (url, text)
            }
        };
        let overlays = self.overlays(&mut seen)?;
        let overlays: Vec<Overlay<'_>> =
            overlays.iter().map(|(name, text)| Overlay { name, text }).collect();
        let head = self.head_for(&url);
        let runtime = runtime.clone();
        let mut references =
            References::new(&url, &self.way.client, &head, &self.api.refs, runtime);
        let options = self.options_now();
        let loaded = api::load(&text, &url, &name, &mut references, &overlays, &options);
        seen.files.append(&mut references.files);
        seen.has_urls = references.urls > 0;
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        for overlay in &overlays {
            overlay.text.hash(&mut hasher);
        }
        seen.digest =
            (seen.files.len() <= 1 + overlays.len() && !seen.has_urls).then(|| hasher.finish());
        let is_same = seen.digest.is_some() && seen.digest == known.digest;
        *self.seen.lock().expect("no panic while holding what was seen") = seen;
        if is_same && self.current.load().is_some() {
            return Ok(Reading::Same);
        }
        let mut api = loaded.map_err(|error| error.to_string())?;
        written::add(&mut api, &options::defined(&self.api), &self.options);
        let document = matches!(place, ApiDocument::Url(_)).then_some(&url);
        Ok(Reading::New(self.take(api, document)))
    }

    /// The operator's choices, and the names that clients know already.
    fn options_now(&self) -> Options {
        let current = self.current.load();
        let tools = current.iter().flat_map(|api| api.tools.values());
        let held = Held::of(tools.map(|tool| &tool.offered.tool));
        Options { held, ..self.options.clone() }
    }

    /// Without a document all tools are those of the configuration.
    fn make_by_hand(&self) -> Result<Reading, String> {
        let url = self.api.addresses.first().map(config::RemoteUrl::url);
        let url = url.ok_or_else(|| "it has neither `openapi` nor `url`".to_owned())?;
        let defined = options::defined(&self.api);
        let api = written::api(&self.way.server, url, &defined, &self.options);
        Ok(Reading::New(self.take(api, None)))
    }

    fn overlays(&self, seen: &mut Seen) -> Result<Vec<(String, String)>, String> {
        let read = self.api.overlays.iter().map(|path| {
            seen.files.push(Stamp::of(path));
            let name = path.display().to_string();
            let text = documents::read_file(path, BYTES_MAX)
                .map_err(|problem| format!("{name}: {problem}"))?;
            Ok((name, text))
        });
        read.collect()
    }

    /// Makes the server of an API and puts it in the place of the one before.
    fn take(&self, api: Api, document: Option<&Url>) -> Differences {
        self.log(&api);
        let info = self.info(&api);
        let hello = Self::hello(&api, &info);
        let mut book = AddressBook::new(&self.api, document, &self.way.hosts);
        let definition = |offered: &api::Offered| {
            let definition = Json::trusted(offered.tool.definition.clone());
            (offered.tool.name.clone(), definition)
        };
        let definitions: Vec<_> = api.tools.iter().map(definition).collect();
        let pages = Pages::new(&definitions, &info, self.page_items, self.page_bytes);
        let tools: Vec<_> = api
            .tools
            .into_iter()
            .map(|offered| ApiTool::new(offered, &api.schemes, &self.way, &mut book))
            .collect();
        self.log_unusable(&tools);
        let tools: HashMap<_, _> =
            tools.into_iter().map(|tool| (tool.name().to_owned(), Arc::new(tool))).collect();
        let server = ApiServer {
            hello: Arc::new(hello),
            info,
            tools,
            pages,
            way: Arc::clone(&self.way),
            operations: api.operations,
            routes: OnceLock::new(),
        };
        let before = self.current.load_full();
        let differences = differences(before.as_deref(), &server);
        self.current.store(Some(Arc::new(server)));
        drop(before);
        self.way.hosts.tidy();
        differences
    }

    /// Who the server says it is, as an MCP `Implementation`.
    fn info(&self, api: &Api) -> Json {
        let mut text = b"{\"name\":".to_vec();
        wire::json::write_string(&mut text, &self.way.server);
        if let Some(title) = &api.title {
            text.extend_from_slice(b",\"title\":");
            wire::json::write_string(&mut text, title);
        }
        text.extend_from_slice(b",\"version\":");
        wire::json::write_string(&mut text, api.version.as_deref().unwrap_or("0"));
        text.push(b'}');
        Json::trusted(text)
    }

    fn hello(api: &Api, info: &Json) -> Hello {
        let mut text = format!(
            "{{\"resultType\":\"complete\",\"supportedVersions\":[\"{}\"],\
             \"capabilities\":{{\"tools\":{{\"listChanged\":true}}}}",
            Version::LATEST
        )
        .into_bytes();
        let description = api.description.as_deref().map(str::trim).unwrap_or_default();
        if !description.is_empty() {
            let end = description.len().min(INSTRUCTIONS_BYTES_MAX);
            let end = (0..=end).rev().find(|&at| description.is_char_boundary(at));
            let kept = &description[..end.unwrap_or_default()];
            let rest = if kept.len() < description.len() { "…" } else { "" };
            text.extend_from_slice(b",\"instructions\":");
            wire::json::write_string(&mut text, &format!("{kept}{rest}"));
        }
        let rest = format!(
            ",\"ttlMs\":0,\"cacheScope\":\"private\",\"_meta\":{{\"{}\":{}}}}}",
            meta::SERVER_INFO,
            info.as_str()
        );
        text.extend_from_slice(rest.as_bytes());
        let result = Object::of_valid(&text.into()).expect("written as an object");
        Hello::new(Version::LATEST, result)
    }

    /// Says what of the document is not served, what of the configuration has no effect on it, and how
    /// many other findings there are.
    fn log(&self, api: &Api) {
        let server = &*self.way.server;
        let report = &api.report;
        let is_told = |it: &&Finding| {
            it.severity >= Severity::Skipped || it.kind == openapi::tool::WITHOUT_EFFECT
        };
        let skipped = report.findings.iter().filter(is_told);
        for finding in skipped.take(FINDINGS_LOGGED_MAX) {
            let operation = finding.operation.as_deref();
            let place = finding.place.to_string();
            tracing::warn!(server, operation, place, finding.kind, "{}", finding.message);
        }
        tracing::info!(
            server,
            tools = api.tools.len(),
            operations = api.operation_count,
            skipped = report.count(Severity::Skipped),
            warnings = report.count(Severity::Warning),
            "the API's document was read"
        );
        for scheme in access::unknown(&self.way.schemes, &api.schemes) {
            tracing::warn!(server, scheme, "the document has no such security scheme");
        }
    }

    /// Says why tools cannot be called, each reason once.
    fn log_unusable(&self, tools: &[ApiTool]) {
        let mut reasons: Vec<&str> = Vec::new();
        for tool in tools {
            let problems = [tool.addresses.as_ref().err(), tool.access.as_ref().err()];
            for problem in problems.into_iter().flatten() {
                if !reasons.contains(&problem.as_str()) && reasons.len() < FINDINGS_LOGGED_MAX {
                    reasons.push(problem);
                    let (server, tool) = (&*self.way.server, tool.name());
                    tracing::warn!(server, tool, problem, "tools cannot be called");
                }
            }
        }
    }
}

fn differences(before: Option<&ApiServer>, now: &ApiServer) -> Differences {
    let mut differences = Differences::default();
    // Endpoints choose by tags, which stand in no definition.
    let before_tags = |name: &str| before.map_or(&[][..], |before| before.tags(name));
    let old: HashMap<&str, &Json> = before.into_iter().flat_map(ApiServer::definitions).collect();
    for (name, definition) in now.definitions() {
        match old.get(name) {
            None => differences.added.push(name.to_owned()),
            Some(old) if *old != definition || before_tags(name) != now.tags(name) => {
                differences.changed.push(name.to_owned());
            }
            Some(_) => {}
        }
    }
    let gone = before.into_iter().flat_map(ApiServer::definitions).map(|(name, _)| name);
    differences.removed = gone.filter(|name| now.tool(name).is_none()).map(str::to_owned).collect();
    differences
}
