//! `portcullis doctor`: reaches each server, and says what is wrong and what to do.

use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use engine::ServerOverview;
use engine::fleet::Condition;
use futures_util::future::join_all;
use http::HeaderMap;
use serde_json::json;
use wire::method::name;

use super::{FileArgs, Verdict};
use crate::client::Client;
use crate::render;
use crate::run::{condition, era};
use crate::setup::{self, Indoors, Source};

mod place;
mod remedy;

/// What `portcullis doctor` is told.
#[derive(Clone, Debug, Args)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    from: FileArgs,
    /// How many seconds each server may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3_600))]
    timeout: u64,
    /// Print one JSON document, for programs.
    #[arg(long)]
    json: bool,
}

/// What was found about one server.
struct Finding {
    server: ServerOverview,
    /// What to do, where there is something.
    remedy: Option<String>,
}

/// Something that is wrong with this machine or with the configuration, not with one server.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Complaint {
    what: String,
    remedy: String,
}

pub(super) async fn doctor(args: DoctorArgs) -> anyhow::Result<Verdict> {
    let source = Source::new(args.from.file, Vec::new()).at(args.from.url)?;
    let loaded = source.load();
    setup::accepted(&source, &loaded)?;
    setup::log_servers()?;
    let config = loaded.config.clone().context("the configuration is refused")?;
    let complaints = place::complaints(&config);
    let indoors = Indoors::open(&source, loaded).await?;
    let findings = reach_all(&indoors, &config, Duration::from_secs(args.timeout)).await;
    let quarantined = indoors.standing.gate.overview().quarantined;
    indoors.close().await;

    let ill = |finding: &Finding| finding.remedy.is_some();
    let healthy = complaints.is_empty() && quarantined.is_empty() && !findings.iter().any(ill);
    if args.json {
        render::json(&json!({
            "healthy": healthy,
            "servers": findings.iter().map(Finding::as_json).collect::<Vec<_>>(),
            "quarantined": quarantined,
            "complaints": complaints.iter().map(Complaint::as_json).collect::<Vec<_>>(),
        }));
    } else {
        if !findings.is_empty() {
            let headings =
                ["SERVER", "STATE", "ERA", "TOOLS", "RESOURCES", "PROMPTS", "WHY THIS ERA"];
            render::table(headings, findings.iter().map(Finding::as_row));
        }
        for finding in &findings {
            if let Some(remedy) = &finding.remedy {
                let problem = finding.server.problem.as_deref().unwrap_or("it cannot be used");
                tell(&finding.server.name, problem, remedy);
            }
        }
        for (name, why) in &quarantined {
            tell(name, why, "see the message above, or run `portcullis check`");
        }
        for complaint in &complaints {
            tell("this machine", &complaint.what, &complaint.remedy);
        }
        if healthy {
            render::line("\neverything is fine");
        }
    }
    Ok(if healthy { Verdict::Fine } else { Verdict::Problems })
}

fn tell(whom: &str, what: &str, remedy: &str) {
    render::line(&format!("\n{whom}: {}\n  do: {remedy}", render::visible(what)));
}

/// Asks every server for its lists, all at once, and reports what the gate then knows.
async fn reach_all(indoors: &Indoors, config: &config::Config, wait: Duration) -> Vec<Finding> {
    let names: Vec<_> =
        indoors.standing.gate.overview().servers.into_iter().map(|server| server.name).collect();
    let asked = names.iter().map(|name| reach(indoors, name, wait));
    let failures: Vec<_> = join_all(asked).await;
    let overview = indoors.standing.gate.overview();
    let found = overview.servers.into_iter().zip(failures).map(|(mut server, counted)| {
        match counted {
            Ok(counts) => [server.tools, server.resources, server.prompts] = counts,
            Err(error) if server.problem.is_none() => server.problem = Some(format!("{error:#}")),
            Err(_) => {}
        }
        let is_down = server.problem.is_some()
            || matches!(server.condition, Condition::Down | Condition::Broken);
        let wanted = config.servers.get(server.name.as_str());
        let remedy = is_down.then(|| remedy::of(wanted, server.problem.as_deref()));
        Finding { server, remedy }
    });
    found.collect()
}

/// How many tools, resources and prompts a server has, of what it says it has.
async fn reach(
    indoors: &Indoors,
    server: &str,
    wait: Duration,
) -> anyhow::Result<[Option<usize>; 3]> {
    let uri = format!("http://{}/servers/{server}/mcp", indoors.address).parse()?;
    let client = Client::connect(uri, HeaderMap::new(), wait).await?;
    let offers = client.call(name::DISCOVER, wire::Object::empty()).await?;
    let offers = offers.object("capabilities").unwrap_or_else(wire::Object::empty);
    let mut counts = [None; 3];
    for (at, (method, member)) in [
        (name::TOOLS_LIST, "tools"),
        (name::RESOURCES_LIST, "resources"),
        (name::PROMPTS_LIST, "prompts"),
    ]
    .into_iter()
    .enumerate()
    {
        if offers.has(member) {
            counts[at] = Some(client.list(method, member).await?.len());
        }
    }
    client.close().await;
    Ok(counts)
}

impl Complaint {
    fn as_json(&self) -> serde_json::Value {
        json!({ "what": self.what, "remedy": self.remedy })
    }
}

impl Finding {
    /// The era with the version.
    fn era(&self) -> String {
        let Some(era) = &self.server.era else { return "unknown".to_owned() };
        let version = era.version.map_or("", wire::Version::as_str);
        format!("{} {version}", era.name).trim_end().to_owned()
    }

    /// How the era is known.
    fn why(&self) -> String {
        self.server.era.as_ref().map_or("–".to_owned(), |era| era.why.clone())
    }

    fn state(&self) -> &'static str {
        match self.remedy {
            Some(_) if self.server.condition == Condition::Up => "ill",
            _ => condition(self.server.condition),
        }
    }

    fn as_row(&self) -> [String; 7] {
        let count =
            |count: Option<usize>| count.map_or("–".to_owned(), |count| count.to_string());
        let server = &self.server;
        [
            server.name.clone(),
            self.state().to_owned(),
            self.era(),
            count(server.tools),
            count(server.resources),
            count(server.prompts),
            self.why(),
        ]
    }

    fn as_json(&self) -> serde_json::Value {
        let server = &self.server;
        json!({
            "name": server.name,
            "state": self.state(),
            "era": server.era.as_ref().map(era),
            "tools": server.tools,
            "resources": server.resources,
            "prompts": server.prompts,
            "problem": server.problem,
            "remedy": self.remedy,
        })
    }
}
