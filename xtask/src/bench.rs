//! `cargo xtask bench`: what a call costs through the gateway, beside nginx as a plain proxy.
//!
//! A report, not a test: it prints figures and which targets they reach. Everything is a ratio
//! against nginx in the same run, because absolute times say more about the machine; calls across
//! eras are compared with calls within one, through the same gateway. Each round
//! measures all sides one after another, and a ratio is the median over the rounds, so that a
//! noise of some seconds meets all sides alike.

mod api;
mod bridged;
mod load;
mod page;
mod parked;
mod process;
mod report;
mod scenario;
mod stage;
mod start;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use self::load::{Era, Loader};
use self::report::Report;
use self::scenario::{Plan, measure_calls, measure_list};
use self::stage::{Gateway, MixedGateway, Nginx, Upstream};
use crate::place::Place;
use crate::setup;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Fewer cases, one short round: for a first look
    #[arg(long)]
    quick: bool,
    /// How often each case is measured
    #[arg(long)]
    rounds: Option<usize>,
    /// How long one measurement takes, in seconds
    #[arg(long)]
    seconds: Option<f64>,
    /// Measure only these parts
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Only calls at this many connections
    #[arg(long)]
    connections: Option<u32>,
    /// Write all figures to this file as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure this gateway instead of building one with the dist profile
    #[arg(long, value_name = "FILE")]
    gateway: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Calls in every era, form, size and at every number of connections
    Calls,
    /// Calls across eras
    Bridged,
    /// 10,000 calls that wait for their clients
    Parked,
    /// The list of 500 tools
    List,
    /// Memory of an idle gateway
    Memory,
    /// Memory of 10,000 idle listen streams
    Streams,
    /// From exec to the first answer
    Start,
    /// Calls of an HTTP API beside calls of an MCP server
    Api,
    /// A document of 13 MB: what loading it costs, and listing its tools
    Document,
    /// 1,000 HTTP APIs in one gateway
    Many,
}

pub(crate) fn run(place: &Place, arguments: &Arguments) -> Result<()> {
    let wanted = |part| arguments.only.is_empty() || arguments.only.contains(&part);
    let against_nginx = [Part::Calls, Part::List, Part::Document].into_iter().any(wanted);
    let nginx = against_nginx.then(setup::nginx).transpose()?;
    let binary = gateway_binary(place, arguments)?;
    place.cargo().args(["build", "--release", "--package", "bench"]).run()?;

    let folder = place.target.join("bench");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let tools = place.target.join("release");
    let loader = Loader::new(tools.join("bench-load"));
    let upstream = Upstream::start(&tools.join("bench-upstream"))?;
    let mut report = Report::new();

    if wanted(Part::Start) {
        println!("bench: start-up …");
        let times = if arguments.quick { 3 } else { 9 };
        report.start_ms = Some(start::measure(&binary, &folder, &upstream, times)?);
    }
    if wanted(Part::Memory) {
        let idle_s = if arguments.quick { 5 } else { 30 };
        println!("bench: memory after {idle_s} idle seconds …");
        let gateway = Gateway::start(&binary, &folder, &upstream, Era::Modern)?;
        std::thread::sleep(std::time::Duration::from_secs(idle_s));
        report.idle = Some(process::memory(gateway.id())?);
    }
    if wanted(Part::Streams) {
        println!("bench: idle listen streams …");
        let gateway = Gateway::start(&binary, &folder, &upstream, Era::Modern)?;
        let held = gateway.wait_for_tools(&loader).and_then(|_| loader.hold_streams(&gateway));
        match held {
            Ok(streams) => report.streams = Some(streams),
            Err(error) => report.fail("idle listen streams", &error),
        }
    }
    if wanted(Part::Parked) {
        println!("bench: parked calls …");
        let gateway = MixedGateway::start(&binary, &folder, &upstream)?;
        match parked::measure(&loader, &upstream, &gateway) {
            Ok(parked) => report.parked = Some(parked),
            Err(error) => report.fail("parked calls", &error),
        }
    }
    let plan =
        Plan::new(arguments.quick, arguments.rounds, arguments.seconds).at(arguments.connections);
    if wanted(Part::Bridged) {
        let gateway = MixedGateway::start(&binary, &folder, &upstream)?;
        bridged::measure(&plan, &loader, &gateway, &mut report);
    }
    if wanted(Part::Api) {
        println!("bench: calls of an HTTP API …");
        for era in Era::ALL {
            match api::measure_calls(&plan, &loader, &binary, &folder, &upstream, era) {
                Ok(calls) => report.api.push(calls),
                Err(error) => report.fail("calls of an HTTP API", &error),
            }
        }
    }
    if wanted(Part::Many) {
        println!("bench: many HTTP APIs …");
        match api::measure_many(&binary, &folder, &upstream) {
            Ok(many) => report.many = Some(many),
            Err(error) => report.fail("many HTTP APIs", &error),
        }
    }
    if let Some(nginx) = nginx {
        let nginx = Nginx::start(&nginx, &folder, &upstream)?;
        if wanted(Part::Document) {
            println!("bench: a large document …");
            match api::measure_document(&plan, &loader, &nginx, &binary, &folder, &upstream) {
                Ok(document) => report.document = Some(document),
                Err(error) => report.fail("a large document", &error),
            }
        }
        let eras = if wanted(Part::Calls) || wanted(Part::List) { &Era::ALL[..] } else { &[] };
        for &era in eras {
            let gateway = Gateway::start(&binary, &folder, &upstream, era)?;
            let tool = match gateway.wait_for_tools(&loader) {
                Ok(tool) => tool,
                Err(error) => {
                    report.fail(era.name(), &error);
                    continue;
                }
            };
            if wanted(Part::Calls) {
                measure_calls(&plan, &loader, &upstream, &nginx, &gateway, &tool, &mut report);
            }
            if wanted(Part::List) && era == Era::Modern {
                println!("bench: list of tools …");
                let composed = gateway.composed();
                match measure_list(&plan, &loader, &nginx, (gateway.id(), &composed)) {
                    Ok(list) => report.list = Some(list),
                    Err(error) => report.fail("list of tools", &error),
                }
            }
        }
    }
    print!("{}", report.text());
    if let Some(file) = &arguments.json {
        fs::write(file, serde_json::to_string_pretty(&report)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

fn gateway_binary(place: &Place, arguments: &Arguments) -> Result<PathBuf> {
    if let Some(binary) = &arguments.gateway {
        return binary.canonicalize().with_context(|| format!("no {}", binary.display()));
    }
    place.cargo().args(["build", "--profile", "dist", "--package", "portcullis"]).run()?;
    Ok(place.target.join("dist/portcullis"))
}
