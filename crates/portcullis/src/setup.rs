//! From what a command line names to a gate that stands.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use config::{Config, Listen, Loaded};
use engine::Gate;
use engine::edge::Listener;
use engine::seal::Sealer;
use store::Recorder;
use telemetry::logs::{self, Logs};
use telemetry::metrics::Metrics;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::render;

mod source;
mod starter;

pub(crate) use source::{Source, is_document};
pub(crate) use starter::Starter;

/// A gate with what follows its calls.
pub(crate) struct Standing {
    pub(crate) gate: Arc<Gate>,
    pub(crate) metrics: Arc<Metrics>,
    records: JoinHandle<()>,
    ended: CancellationToken,
}

impl Standing {
    /// Stands a gate up for a checked configuration.
    pub(crate) fn new(
        config: &Config,
        quarantined: BTreeMap<String, String>,
        sealer: Sealer,
    ) -> anyhow::Result<Self> {
        let (recorder, records) = Recorder::new();
        let is_known = |method: &str| wire::Method::parse(method).name().is_some();
        let metrics = Arc::new(Metrics::new(env!("CARGO_PKG_VERSION"), is_known));
        let ended = CancellationToken::new();
        let end = ended.clone().cancelled_owned();
        let records = tokio::spawn(telemetry::records::follow(records, Arc::clone(&metrics), end));
        let gate = Gate::new(config, quarantined, guardian()?, sealer, recorder);
        Ok(Self { gate, metrics, records, ended })
    }

    /// Lets running calls finish, ends every server, and waits until all records are written.
    pub(crate) async fn drain(self) {
        self.gate.drain().await;
        self.ended.cancel();
        // It only ends early by a panic, which has been reported.
        let _ = self.records.await;
    }
}

/// A gate on a loopback port of its own, for commands that ask its servers something.
pub(crate) struct Indoors {
    pub(crate) standing: Standing,
    pub(crate) address: SocketAddr,
    starter: Option<Starter>,
}

impl Indoors {
    /// Stands the gate up; nobody else learns its address.
    pub(crate) async fn open(source: &Source, mut loaded: Loaded) -> anyhow::Result<Self> {
        let quarantined = quarantined(&loaded);
        let config = loaded.config.as_mut().context("the configuration is refused")?;
        let starter = Starter::for_source(source, config).await?;
        let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0)), None).await?;
        let address = listener.address()?;
        config.listen = Listen::at(address);
        let standing = Standing::new(config, quarantined, Sealer::ephemeral())?;
        tokio::spawn(listener.serve(Arc::clone(&standing.gate)));
        Ok(Self { standing, address, starter })
    }

    /// Ends the gate and every server.
    pub(crate) async fn close(self) {
        self.standing.drain().await;
        if let Some(starter) = self.starter {
            starter.end().await;
        }
    }
}

/// Shows what is wrong with a configuration; an error when it is refused.
pub(crate) fn accepted(source: &Source, loaded: &Loaded) -> anyhow::Result<()> {
    render::diagnostics(&loaded.diagnostics);
    match loaded.config {
        Some(_) => Ok(()),
        None => Err(anyhow!("{source} is refused; nothing was started")),
    }
}

/// The servers that are set aside, with the reasons.
pub(crate) fn quarantined(loaded: &Loaded) -> BTreeMap<String, String> {
    loaded.quarantined.iter().map(|(name, why)| (name.to_string(), why.clone())).collect()
}

/// Sets the log up as the configuration wants it.
pub(crate) fn log(config: &config::Log) -> anyhow::Result<Logs> {
    let format = match config.format {
        config::LogFormat::Auto => logs::Format::Auto,
        config::LogFormat::Pretty => logs::Format::Pretty,
        config::LogFormat::Json => logs::Format::Json,
    };
    Ok(logs::init(level(config.level), format)?)
}

/// Sets the log up for a command whose output is something else: only what needs somebody.
pub(crate) fn log_quietly() -> anyhow::Result<()> {
    logs::init_with("error", logs::Format::Pretty)?;
    Ok(())
}

/// As [`log_quietly`], and what servers write to their stderr, which often says what is wrong.
pub(crate) fn log_servers() -> anyhow::Result<()> {
    logs::init_with("error,portcullis::server=info", logs::Format::Pretty)?;
    Ok(())
}

pub(crate) const fn level(level: config::LogLevel) -> tracing::Level {
    match level {
        config::LogLevel::Error => tracing::Level::ERROR,
        config::LogLevel::Warn => tracing::Level::WARN,
        config::LogLevel::Info => tracing::Level::INFO,
        config::LogLevel::Debug => tracing::Level::DEBUG,
        config::LogLevel::Trace => tracing::Level::TRACE,
    }
}

/// The command that stdio servers run under: this program as their guardian.
fn guardian() -> anyhow::Result<Vec<OsString>> {
    Ok(vec![this_program()?, "guardian".into(), "--".into()])
}

/// This program, to be started again.
fn this_program() -> anyhow::Result<OsString> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    Ok(program.into_os_string())
}
