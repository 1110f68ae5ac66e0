//! The embedded default: example servers of this program, two over stdio and one over HTTP.
//!
//! The gate starts the first two itself, as it starts every stdio server. The third listens on a
//! port that the system chooses; it is started before the gate, which is then told the URL that it
//! printed. It runs under a guardian, so that it ends with this process whatever ends that.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use config::{Config, Remote, RemoteUrl, Server, Transport};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use url::Url;

use super::{Source, this_program};

/// How long the HTTP example may take to bind its port: a process start, with much room.
const START_WAIT: Duration = Duration::from_secs(10);
/// How long it may take to end after SIGTERM: the guardian's grace period, and some.
const END_WAIT: Duration = Duration::from_secs(3);
/// What stands before the URL in the line that the HTTP example prints.
const SERVES: &str = " serves ";

/// The example server that runs beside the gate.
pub(crate) struct Starter {
    notes: Child,
}

impl Starter {
    /// Puts the example servers into the embedded configuration; others are left as they are.
    pub(crate) async fn for_source(
        source: &Source,
        config: &mut Config,
    ) -> anyhow::Result<Option<Self>> {
        if *source != Source::Embedded {
            return Ok(None);
        }
        let program = this_program()?.into_string().map_err(|path| {
            anyhow::anyhow!("the path of this program is not valid text: {}", path.display())
        })?;
        let folder = std::env::current_dir().context("the current directory cannot be used")?;
        let folder = folder.to_str().context("the current directory's path is not valid text")?;
        let (starter, notes) = Self::start(&program).await?;
        let example = |args: &[&str]| {
            let args = ["example"].iter().chain(args).map(|arg| (*arg).to_owned());
            Server::from_command(&program, args.collect::<Vec<_>>())
        };
        let notes = Server::new(Transport::Remote(Box::new(Remote::new(RemoteUrl::new(notes)))));
        for (name, server) in
            [("files", example(&["files", folder])), ("time", example(&["time"])), ("notes", notes)]
        {
            config.servers.insert(name.parse().context("a name of an example")?, server);
        }
        Ok(Some(starter))
    }

    /// Starts the HTTP example and waits for its URL.
    async fn start(program: &str) -> anyhow::Result<(Self, Url)> {
        let mut notes = Command::new(program)
            .args(["guardian", "--", program, "example", "notes", "--listen", "127.0.0.1:0"])
            // Held open by the child handle; closed by the kernel if this process dies.
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {program} for the example server `notes`"))?;
        let stderr = notes.stderr.take().expect("stderr was asked for as a pipe");
        let mut lines = BufReader::new(stderr).lines();
        let url = tokio::time::timeout(START_WAIT, url_of(&mut lines))
            .await
            .context("the example server `notes` did not start in time")??;
        tokio::spawn(log(lines));
        Ok((Self { notes }, url))
    }

    /// Ends the example server.
    pub(crate) async fn end(mut self) {
        let guardian =
            self.notes.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(guardian) = guardian {
            // The guardian passes it on; should it be gone already, there is nothing to end.
            let _ = kill_process(guardian, Signal::TERM);
        }
        if tokio::time::timeout(END_WAIT, self.notes.wait()).await.is_err() {
            tracing::warn!(server = "notes", "the example server did not end in time");
            let _ = self.notes.kill().await;
        }
    }
}

/// Reads the line that names the URL.
async fn url_of(lines: &mut Lines<BufReader<ChildStderr>>) -> anyhow::Result<Url> {
    let mut said = Vec::new();
    while let Some(line) = lines.next_line().await? {
        if let Some((_, url)) = line.split_once(SERVES) {
            return url.parse().with_context(|| format!("the example server printed {line:?}"));
        }
        said.push(line);
    }
    bail!("the example server `notes` ended at once: {}", said.join("; "))
}

async fn log(mut lines: Lines<BufReader<ChildStderr>>) {
    while let Ok(Some(line)) = lines.next_line().await {
        tracing::info!(target: "portcullis::server", server = "notes", "{line}");
    }
    tracing::debug!(server = "notes", "the example server ended");
}
