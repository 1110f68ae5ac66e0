//! The upstream of the bench: prints the URL that it listens on, then serves until it is ended.
#![expect(clippy::print_stdout, reason = "the address is the output")]

use std::io::Write as _;

use anyhow::{Context as _, Result};
use bench::upstream::Upstream;
use clap::Parser;
use tokio::net::TcpListener;

/// A fast MCP server of both eras, on any path.
#[derive(Debug, Parser)]
struct Arguments {
    /// The port on 127.0.0.1; 0 is any free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// How many tools each server has
    #[arg(long, default_value_t = 25)]
    tools: usize,
    /// What the tools' names begin with; a number follows
    #[arg(long, default_value = "tool_")]
    name_prefix: String,
}

// One thread serves some 100,000 requests a second, more than anything between needs.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let upstream = Upstream::new(arguments.tools, &arguments.name_prefix);
    let listener = TcpListener::bind(("127.0.0.1", arguments.port))
        .await
        .with_context(|| format!("cannot listen on port {}", arguments.port))?;
    println!("http://{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    let Err(error) = upstream.run(listener).await;
    Err(error).context("cannot accept connections")
}
