//! `portcullis run`: from the command line to a gate that serves, and down again in order.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use config::{Admin, Config, Listen};
use engine::edge::{Listener, TlsFiles};
use engine::seal::Sealer;
use tokio::signal::unix::{SignalKind, signal};
use url::Url;

use crate::command::Verdict;
use crate::document::{self, parse_base};
use crate::render;
use crate::setup::{self, Source, Standing, Starter};

mod admin;
mod banner;
mod memory;
pub(crate) mod reload;

use admin::AdminListener;
pub(crate) use admin::{condition, era};
use reload::{Frozen, Overrides, Reloader};

/// What `portcullis run` is told.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct RunArgs {
    /// A configuration (YAML or JSON), the file of an AI host such as `mcp.json`, or an OpenAPI
    /// document (file or URL). Without it, the embedded default with the example servers.
    #[arg(value_name = "FILE", conflicts_with = "command", value_parser = document::place())]
    file: Option<PathBuf>,
    /// Where the API of an OpenAPI document is served, instead of where the document says.
    #[arg(long, value_name = "URL", requires = "file", value_parser = parse_base)]
    url: Option<Url>,
    /// Listen here instead of where the configuration says; with port 0 the system chooses one.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Serve /metrics, /status and health here instead of where the configuration says, or `off`.
    #[arg(long, value_name = "ADDRESS:PORT|off", value_parser = parse_admin)]
    admin: Option<AdminChoice>,
    /// Accept that everybody who reaches an address beyond loopback may use every server.
    #[arg(long)]
    insecure_public: bool,
    /// Print one JSON line once the gate serves, instead of the text for people.
    #[arg(long)]
    json: bool,
    /// Serve one server, started by this command line.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// What `--admin` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AdminChoice {
    /// No admin listener.
    Off,
    /// One at this address.
    At(SocketAddr),
}

fn parse_admin(text: &str) -> Result<AdminChoice, String> {
    match text {
        "off" => Ok(AdminChoice::Off),
        text => text
            .parse()
            .map(AdminChoice::At)
            .map_err(|_| "write an address such as 127.0.0.1:8081, or off".to_owned()),
    }
}

pub(crate) async fn run(args: RunArgs) -> anyhow::Result<Verdict> {
    // Signals first: one that comes while servers are started must not leave them behind.
    let mut asked = Asked::watch()?;
    let source = Source::new(args.file, args.command).at(args.url)?;
    let overrides = Overrides { listen: args.listen, admin: args.admin };
    let mut loaded = source.load();
    setup::accepted(&source, &loaded)?;
    let quarantined = setup::quarantined(&loaded);
    let config = loaded.config.as_mut().context("the configuration is refused")?;
    let frozen = Frozen::of(config);
    overrides.apply(config);
    let exposed = config::check_bind(config, args.insecure_public);
    if !exposed.is_empty() {
        render::diagnostics(&exposed);
        anyhow::bail!(
            "nothing was started; use --insecure-public to accept that everybody may use every server"
        );
    }
    let logs = setup::log(&config.log)?;

    let listener = bind(&config.listen).await?;
    config.listen.address = listener.address()?;
    let admin = AdminListener::bind(config.admin.as_ref()).await?;
    let starter = Starter::for_source(&source, config).await?;
    let ruling = (config.clone(), quarantined.clone());
    let standing = Standing::new(config, quarantined, seal(&source, config)?)?;

    tokio::spawn(listener.serve(Arc::clone(&standing.gate)));
    let admin_address = admin.as_ref().map(|admin| admin.address);
    if let Some(admin) = admin {
        tokio::spawn(admin.serve(Arc::clone(&standing.gate), Arc::clone(&standing.metrics)));
    }
    let bound = Some((config.listen.address, overrides));
    let reloader = source
        .file()
        .map(|file| Reloader::new(file, frozen, bound, &standing, logs, ruling).start());
    tokio::spawn(memory::give_back(Arc::clone(&standing.gate)));
    let served = banner::Served::new(config, &standing.gate.overview(), admin_address);
    if args.json {
        render::line(&served.as_json().to_string());
    } else {
        render::text(&served.as_text());
    }

    asked.wait(reloader.as_ref()).await;
    tracing::info!("asked to end: calls in flight may finish; ask again to end at once");
    tokio::select! {
        () = end(standing, starter) => {
            tracing::info!("ended");
            Ok(Verdict::Fine)
        }
        () = asked.wait(None) => {
            tracing::warn!("ended at once; calls in flight were cut");
            Ok(Verdict::Problems)
        }
    }
}

async fn end(standing: Standing, starter: Option<Starter>) {
    standing.drain().await;
    if let Some(starter) = starter {
        starter.end().await;
    }
}

async fn bind(listen: &Listen) -> anyhow::Result<Listener> {
    let tls = listen.tls.as_ref().map(|tls| TlsFiles {
        certificate: &tls.certificate,
        key: &tls.key,
        client_ca: tls.client_ca.as_deref(),
    });
    let bound = Listener::bind(listen.address, tls).await;
    bound.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => anyhow::anyhow!(
            "{error}; end the program that has the port, or choose another with --listen 127.0.0.1:0"
        ),
        _ => error.into(),
    })
}

/// The key that tokens are sealed with, kept in the data directory. Without a configuration nobody
/// has chosen that directory: where it cannot be used, the key lives as long as the process.
pub(crate) fn seal(source: &Source, config: &Config) -> anyhow::Result<Sealer> {
    let kept = Sealer::in_directory(&config.data_dir);
    match (kept, source) {
        (Ok(sealer), _) => Ok(sealer),
        (Err(error), Source::File(_)) => {
            Err(error).context("the data directory cannot be used; set `data_dir` to one that can")
        }
        (Err(error), Source::Embedded | Source::Command(_) | Source::Document { .. }) => {
            tracing::warn!(%error, "sessions and cursors end with this process");
            Ok(Sealer::ephemeral())
        }
    }
}

// === signals ===

/// The signals that ask the process to end.
pub(crate) struct Asked {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

impl Asked {
    pub(crate) fn watch() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for SIGTERM or SIGINT. Each SIGHUP until then reads the configuration again.
    pub(crate) async fn wait(&mut self, reloader: Option<&reload::Running>) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => {
                    if let Some(reloader) = reloader {
                        reloader.now();
                    } else {
                        tracing::info!("SIGHUP: there is no file to read again");
                    }
                }
            }
        }
    }
}

/// How long one connection of an operator may take for the head of a request.
const HEAD_WAIT: Duration = Duration::from_secs(10);

/// The admin listener that a configuration means, when nothing says otherwise.
fn is_default(admin: &Admin) -> bool {
    *admin == Admin::default()
}
