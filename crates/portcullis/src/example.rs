//! Example servers that ship with the gate: small enough to read, useful enough to keep.
//!
//! Each says what it offers in tables (`server::Server`); the protocol in both eras is written once
//! in `server`, the two transports once each in `stdio` and `http`. The gate runs and reaches them like
//! any other server and knows nothing about them.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;

mod files;
mod http;
mod notes;
mod server;
mod stdio;
mod time;

/// Which example server to be.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum ExampleArgs {
    /// Read-only access to the files below a directory, over stdio.
    Files {
        /// The directory; nothing outside it can be read, not even through symbolic links.
        directory: PathBuf,
    },
    /// Clocks and time zones, over stdio.
    Time,
    /// Notes that can be added, found, changed and deleted, over Streamable HTTP.
    Notes {
        /// Address to listen on. With port 0 the system chooses one; the URL is printed on stderr.
        #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8091")]
        listen: std::net::SocketAddr,
        /// Keep the notes in this file, one change a line. Without it they live as long as the process.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

/// Runs an example server until its input ends (stdio), or until SIGTERM or Ctrl-C (HTTP). Fails where the
/// directory, the file or the address cannot be used; the message says which and why.
pub async fn run(args: ExampleArgs) -> anyhow::Result<()> {
    match args {
        ExampleArgs::Files { directory } => {
            let files = files::Files::below(&directory)
                .with_context(|| format!("cannot serve the directory {}", directory.display()))?;
            stdio::serve(Arc::new(files)).await.context("stdin or stdout failed")
        }
        ExampleArgs::Time => {
            stdio::serve(Arc::new(time::Time::new())).await.context("stdin or stdout failed")
        }
        ExampleArgs::Notes { listen, file } => {
            let notes = match &file {
                Some(path) => notes::Notes::kept_in(path)
                    .with_context(|| format!("cannot keep notes in {}", path.display()))?,
                None => notes::Notes::in_memory(),
            };
            http::serve(Arc::new(notes), listen)
                .await
                .with_context(|| format!("cannot serve on {listen}"))
        }
    }
}
