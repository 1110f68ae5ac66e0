//! The load generator: asks in a closed loop, checks every answer, prints one line of JSON.
#![expect(clippy::print_stdout, reason = "the report is the output")]

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bench::load::{Load, Question, ask_once, listen};
use bench::park::park;
use bench::request::{CONNECTIONS_MAX, Declares, Era, Form, Target};
use clap::{Args, Parser, Subcommand};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

/// A closed-loop load generator for MCP over HTTP.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Debug, Subcommand)]
enum Mode {
    /// Call a tool of the bench upstream
    Call {
        #[command(flatten)]
        how: How,
        /// The tool, by the name that this endpoint shows
        #[arg(long)]
        tool: String,
        /// Bytes of text in the result
        #[arg(long, default_value_t = 1024)]
        size: usize,
        /// How the upstream answers
        #[arg(long, value_enum, default_value_t = Form::Json)]
        form: Form,
    },
    /// List the tools
    List(How),
    /// Get a file
    File(How),
    /// Hold idle `subscriptions/listen` streams until standard input ends; prints `ready` first
    Listen {
        /// Where, as http://ADDRESS:PORT/PATH
        url: Target,
        /// How many
        #[arg(long, default_value_t = 10_000)]
        streams: u32,
    },
    /// Make calls that ask, print `parked`, and answer them all once a line comes on standard input
    Park {
        /// Where, as http://ADDRESS:PORT/PATH
        url: Target,
        /// The tool, by the name that this endpoint shows
        #[arg(long)]
        tool: String,
        /// How many
        #[arg(long, default_value_t = 10_000)]
        calls: u32,
        /// The number of the first: a server that counts knows calls by their numbers
        #[arg(long, default_value_t = 0)]
        first: u32,
        /// Connections on which they are made, and answered
        #[arg(long, default_value_t = 64)]
        connections: u32,
    },
    /// Ask for the list of tools once and print the answer's body
    Show {
        /// Where, as http://ADDRESS:PORT/PATH
        url: Target,
        /// What the client speaks
        #[arg(long, value_enum, default_value_t = Era::Modern)]
        era: Era,
    },
}

#[derive(Debug, Args)]
struct How {
    /// Where, as http://ADDRESS:PORT/PATH
    url: Target,
    /// What the client speaks
    #[arg(long, value_enum, default_value_t = Era::Modern)]
    era: Era,
    /// What the client says that it can be asked
    #[arg(long, value_enum, default_value_t = Declares::Nothing)]
    declares: Declares,
    /// Connections, each with one request in flight
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=i64::from(CONNECTIONS_MAX)))]
    connections: u32,
    /// For so many seconds
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
}

// One thread: what the generator takes from the machine is the same for every server it measures.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse().mode).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(mode: Mode) -> Result<()> {
    match mode {
        Mode::Call { how, tool, size, form } => {
            measure(how, Question::Call { tool, size, form }).await
        }
        Mode::List(how) => measure(how, Question::List).await,
        Mode::File(how) => measure(how, Question::File).await,
        Mode::Listen { url, streams } => hold(&url, streams).await,
        Mode::Park { url, tool, calls, first, connections } => {
            let parked = park(&url, &tool, first..first.saturating_add(calls), connections).await?;
            println!("parked");
            std::io::stdout().flush()?;
            let mut line = String::new();
            BufReader::new(tokio::io::stdin()).read_line(&mut line).await?;
            println!("{}", serde_json::to_string(&parked.answer().await?)?);
            Ok(())
        }
        Mode::Show { url, era } => {
            let body = ask_once(&url, era, &Question::List).await?;
            std::io::stdout().write_all(&body).context("cannot write")
        }
    }
}

async fn measure(how: How, question: Question) -> Result<()> {
    let load = Load {
        target: how.url,
        era: how.era,
        declares: how.declares,
        question,
        connections: how.connections,
        duration: Duration::try_from_secs_f64(how.seconds).context("--seconds")?,
    };
    println!("{}", serde_json::to_string(&load.run().await?)?);
    Ok(())
}

async fn hold(url: &Target, streams: u32) -> Result<()> {
    let held = listen(url, streams).await?;
    println!("ready");
    std::io::stdout().flush()?;
    let mut end = Vec::new();
    tokio::io::stdin().read_to_end(&mut end).await?;
    drop(held);
    Ok(())
}
