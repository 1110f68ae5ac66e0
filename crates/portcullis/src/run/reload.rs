//! Another configuration for a gate that runs: when its file changes, when a secret's file changes,
//! and on SIGHUP.
//!
//! A configuration that is refused never replaces one that is in force. What only a start can
//! change (addresses, the data directory) is reported and left as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use config::secret::Reference;
use config::{Admin, Config, Credentials, ListenTls, LogFormat, Resolved, Style, Transport};
use engine::Gate;
use notify::{RecursiveMode, Watcher as _};
use telemetry::logs::Logs;
use telemetry::metrics::Metrics;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::AdminChoice;
use crate::setup::{self, Standing};

/// How long a file must be left alone before it is read: editors write a file in several steps.
const DEBOUNCE: Duration = Duration::from_millis(200);

/// What the command line says instead of the configuration.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Overrides {
    pub(super) listen: Option<SocketAddr>,
    pub(super) admin: Option<AdminChoice>,
}

impl Overrides {
    pub(super) fn apply(self, config: &mut Config) {
        if let Some(address) = self.listen {
            let mut listen = config::Listen::at(address);
            let written = &config.listen;
            listen.public_url.clone_from(&written.public_url);
            listen.allowed_hosts.clone_from(&written.allowed_hosts);
            listen.allowed_origins.clone_from(&written.allowed_origins);
            listen.tls.clone_from(&written.tls);
            listen.insecure_public = written.insecure_public;
            config.listen = listen;
        }
        match self.admin {
            Some(AdminChoice::Off) => config.admin = None,
            Some(AdminChoice::At(address)) => config.admin = Some(Admin::at(address)),
            None => {}
        }
    }
}

/// What only a start can change, as the file said it when the process began.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Frozen {
    listen: SocketAddr,
    tls: Option<ListenTls>,
    admin: Option<Admin>,
    data_dir: PathBuf,
    connections: usize,
    log_format: LogFormat,
}

impl Frozen {
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            listen: config.listen.address,
            tls: config.listen.tls.clone(),
            admin: config.admin.clone(),
            data_dir: config.data_dir.clone(),
            connections: config.limits.connections,
            log_format: config.log.format,
        }
    }

    /// The settings that another configuration has differently.
    fn differences(&self, other: &Self) -> Vec<&'static str> {
        let pairs = [
            ("listen.address", self.listen == other.listen),
            ("listen.tls", self.tls == other.tls),
            ("admin", self.admin == other.admin),
            ("data_dir", self.data_dir == other.data_dir),
            ("limits.connections", self.connections == other.connections),
            ("log.format", self.log_format == other.log_format),
        ];
        pairs.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect()
    }
}

/// Puts what a file says in force whenever it changes.
pub(crate) struct Reloader {
    file: PathBuf,
    frozen: Frozen,
    /// Where the gate listens, and what the command line said of it; absent where it does not.
    bound: Option<(SocketAddr, Overrides)>,
    gate: Arc<Gate>,
    metrics: Arc<Metrics>,
    logs: Logs,
    /// What is in force; another reading of the same changes nothing.
    in_force: Ruling,
    /// What was last said to be wrong; it is not said again for every touch of the file.
    refusal: Option<String>,
}

/// A configuration, and the servers that are set aside in it with the reasons.
pub(crate) type Ruling = (Config, BTreeMap<String, String>);

/// A reloader at work.
pub(crate) struct Running {
    causes: Sender<Cause>,
}

/// Why the file is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// A file changed.
    Changed,
    /// Somebody asked.
    Asked,
}

impl Running {
    /// Reads the file again, changed or not.
    pub(crate) fn now(&self) {
        // A full queue means that the file is about to be read anyway.
        let _ = self.causes.try_send(Cause::Asked);
    }
}

impl Reloader {
    pub(crate) fn new(
        file: &Path,
        frozen: Frozen,
        bound: Option<(SocketAddr, Overrides)>,
        standing: &Standing,
        logs: Logs,
        in_force: Ruling,
    ) -> Self {
        Self {
            file: file.to_owned(),
            frozen,
            bound,
            gate: Arc::clone(&standing.gate),
            metrics: Arc::clone(&standing.metrics),
            logs,
            in_force,
            refusal: None,
        }
    }

    /// Watches from now on, for as long as the process runs.
    pub(crate) fn start(self) -> Running {
        let (causes, asked) = channel(4);
        tokio::spawn(self.follow(causes.clone(), asked));
        Running { causes }
    }

    async fn follow(mut self, causes: Sender<Cause>, mut asked: Receiver<Cause>) {
        let mut secrets = secret_files(&self.in_force.0, &self.file);
        let mut watch = Watch::begin(&self.file, &secrets, &causes);
        // It may have changed between the start and the watch.
        let _ = causes.try_send(Cause::Changed);
        while let Some(mut cause) = asked.recv().await {
            if cause == Cause::Changed {
                tokio::time::sleep(DEBOUNCE).await;
            }
            while let Ok(also) = asked.try_recv() {
                cause = if also == Cause::Asked { also } else { cause };
            }
            let loaded = self.read().await;
            let named = loaded.config.as_ref().map(|config| secret_files(config, &self.file));
            self.take(loaded, cause);
            if let Some(named) = named.filter(|named| *named != secrets) {
                secrets = named;
                watch = None;
            }
            if watch.is_none() {
                watch = Watch::begin(&self.file, &secrets, &causes);
            }
        }
    }

    async fn read(&self) -> config::Loaded {
        let file = self.file.clone();
        let read = tokio::task::spawn_blocking(move || config::read_file(&file));
        read.await.expect("reading a configuration does not panic")
    }

    /// Puts a configuration in force, or says why not.
    fn take(&mut self, loaded: config::Loaded, cause: Cause) {
        let said: Vec<_> =
            loaded.diagnostics.iter().map(|found| found.render(Style::Plain)).collect();
        let said = said.join("\n\n");
        let Some(next) = self.prepare(loaded) else {
            if cause == Cause::Changed && self.refusal.as_ref() == Some(&said) {
                return;
            }
            tracing::error!(
                file = %self.file.display(),
                "the configuration is refused; the one before stays in force\n{said}"
            );
            self.metrics.reloaded(false);
            self.refusal = Some(said);
            return;
        };
        let is_new = self.in_force != next;
        if !is_new && cause == Cause::Changed && self.refusal.is_none() {
            tracing::debug!("the configuration says the same as before");
            return;
        }
        if !said.is_empty() {
            tracing::warn!(file = %self.file.display(), "the configuration has problems\n{said}");
        }
        self.refusal = None;
        self.logs.set_level(setup::level(next.0.log.level));
        self.gate.reload(&next.0, next.1.clone());
        self.metrics.reloaded(true);
        tracing::info!(file = %self.file.display(), servers = next.0.servers.len(), "configuration reloaded");
        self.in_force = next;
    }

    /// A configuration as the gate would run it: with the addresses that are bound.
    fn prepare(&self, loaded: config::Loaded) -> Option<Ruling> {
        let quarantined = setup::quarantined(&loaded);
        let mut config = loaded.config?;
        let differences = self.frozen.differences(&Frozen::of(&config));
        if !differences.is_empty() {
            let settings = differences.join(", ");
            tracing::warn!(settings, "these settings take effect with the next start");
        }
        if let Some((address, overrides)) = self.bound {
            overrides.apply(&mut config);
            config.listen.address = address;
        }
        Some((config, quarantined))
    }
}

// === watching ===

/// The folders whose changes matter. Folders, because editors and Kubernetes replace files.
struct Watch {
    _watcher: notify::RecommendedWatcher,
}

impl Watch {
    fn begin(file: &Path, secrets: &BTreeSet<PathBuf>, causes: &Sender<Cause>) -> Option<Self> {
        let files: Vec<PathBuf> = std::iter::once(file)
            .chain(secrets.iter().map(PathBuf::as_path))
            .flat_map(|file| [Some(file.to_owned()), std::fs::canonicalize(file).ok()])
            .flatten()
            .collect();
        let causes = causes.clone();
        let matters = names(&files);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| concerns(&event, &matters)) {
                let _ = causes.try_send(Cause::Changed);
            }
        });
        let watched = watcher.and_then(|mut watcher| {
            for folder in folders(&files) {
                watcher.watch(&folder, RecursiveMode::NonRecursive)?;
            }
            Ok(watcher)
        });
        match watched {
            Ok(watcher) => Some(Self { _watcher: watcher }),
            Err(error) => {
                tracing::warn!(
                    %error,
                    "changes of the configuration are not noticed by themselves; send SIGHUP"
                );
                None
            }
        }
    }
}

fn folders(files: &[PathBuf]) -> BTreeSet<PathBuf> {
    let folder = |file: &PathBuf| match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    files.iter().map(folder).collect()
}

fn names(files: &[PathBuf]) -> BTreeSet<std::ffi::OsString> {
    files.iter().filter_map(|file| file.file_name()).map(ToOwned::to_owned).collect()
}

/// Whether an event is about one of the files. A mounted `ConfigMap` is changed by replacing the
/// link `..data` beside its files.
fn concerns(event: &notify::Event, names: &BTreeSet<std::ffi::OsString>) -> bool {
    !event.kind.is_access()
        && event
            .paths
            .iter()
            .filter_map(|path| path.file_name())
            .any(|name| names.contains(name) || name.as_encoded_bytes().starts_with(b".."))
}

/// The files of secrets that a configuration refers to; relative ones start beside its own file.
fn secret_files(config: &Config, file: &Path) -> BTreeSet<PathBuf> {
    let folder = file.parent().unwrap_or(Path::new(""));
    let mut texts: Vec<&Resolved> = Vec::new();
    for server in config.servers.values() {
        match &server.transport {
            Transport::Stdio(stdio) => texts.extend(stdio.args.iter().chain(stdio.env.values())),
            Transport::Api(api) => texts.extend(api.secrets()),
            Transport::Composite(_) => {}
            Transport::Remote(remote) => {
                texts.extend(remote.headers.values());
                match &remote.credentials {
                    Some(Credentials::Bearer(text) | Credentials::Header { value: text, .. }) => {
                        texts.push(text);
                    }
                    Some(Credentials::Basic { username, password }) => {
                        texts.extend([username, password]);
                    }
                    None => {}
                }
            }
        }
    }
    let references = texts.into_iter().flat_map(|text| text.template().references());
    let files = references.filter_map(|reference| match reference {
        Reference::File(path) => Some(folder.join(path)),
        Reference::Env { .. } => None,
    });
    files.collect()
}
