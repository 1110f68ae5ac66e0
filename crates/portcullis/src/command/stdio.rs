//! `portcullis stdio`: one endpoint on this process's stdin and stdout, for hosts that start a
//! process.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;

use super::{FileArgs, Verdict};
use crate::run::reload::{Frozen, Reloader};
use crate::run::{Asked, seal};
use crate::setup::{self, Source, Standing, Starter};

/// What `portcullis stdio` is told.
#[derive(Clone, Debug, Args)]
pub(super) struct StdioArgs {
    #[command(flatten)]
    from: FileArgs,
    /// The endpoint to serve, by its path in the configuration.
    #[arg(long, default_value = "/mcp", value_name = "PATH")]
    endpoint: String,
}

pub(super) async fn stdio(args: StdioArgs) -> anyhow::Result<Verdict> {
    let mut asked = Asked::watch()?;
    let source = Source::new(args.from.file, Vec::new()).at(args.from.url)?;
    let mut loaded = source.load();
    setup::accepted(&source, &loaded)?;
    let quarantined = setup::quarantined(&loaded);
    let config = loaded.config.as_mut().context("the configuration is refused")?;
    let logs = setup::log(&config.log)?;
    let frozen = Frozen::of(config);
    let starter = Starter::for_source(&source, config).await?;
    let ruling = (config.clone(), quarantined.clone());
    let standing = Standing::new(config, quarantined, seal(&source, config)?)?;
    let known = standing.gate.overview().endpoints;
    if !known.contains(&args.endpoint) {
        let endpoint = &args.endpoint;
        bail!("there is no endpoint {endpoint}; {source} has {}", known.join(", "));
    }
    let reloader = source
        .file()
        .map(|file| Reloader::new(file, frozen, None, &standing, logs, ruling).start());
    let served = tokio::select! {
        served = engine::serve_stdio(Arc::clone(&standing.gate), &args.endpoint) => served,
        () = asked.wait(reloader.as_ref()) => Ok(()),
    };
    standing.drain().await;
    if let Some(starter) = starter {
        starter.end().await;
    }
    served.context("stdin or stdout failed")?;
    Ok(Verdict::Fine)
}
