//! The official conformance suite, directly and through the gateway: both must count the same.
//!
//! One upstream of the tests speaks both eras. The gateway stands before it twice, once with each
//! era pinned, and serves it under its own names at `/servers/NAME/mcp`; so a scenario that comes
//! out differently through the gateway is the gateway's doing. The suite of each era also runs
//! across: against the server that is pinned to the other era, and with a client of it. Exceptions stand, with their
//! reasons, in `tests/conformance/expected-REVISION.yml` and `expected-cross-REVISION.yml`, which
//! the suite reads itself: an entry that passes again makes the run fail.

mod gateway;
mod results;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use self::gateway::{Gateway, Upstream};
use self::results::{Difference, Exceptions, Results};
use crate::place::Place;
use crate::setup::{self, Tools};
use crate::table::table;
use crate::test::{Score, environment};

#[derive(Debug, Default, clap::Args)]
pub(crate) struct Arguments {
    /// Only this revision of the specification
    #[arg(long, value_name = "DATE")]
    requirements: Option<String>,
    /// Only this part
    #[arg(long)]
    role: Option<Role>,
    /// Test this gateway instead of building one
    #[arg(long, value_name = "FILE")]
    gateway: Option<PathBuf>,
    /// Show what the suite writes
    #[arg(long)]
    verbose: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Role {
    /// The suite is the client
    Server,
    /// The suite is either, and the other end of the other era
    Across,
    /// The suite is the server
    Client,
}

/// A requirement set with the era that it belongs to, and the other one. An era is the name of the
/// server in the gateway's configuration that is pinned to it.
struct Revision {
    date: &'static str,
    era: &'static str,
    other: &'static str,
}

const REVISIONS: [Revision; 2] = [
    Revision { date: "2026-07-28", era: "modern", other: "legacy" },
    Revision { date: "2025-11-25", era: "legacy", other: "modern" },
];

/// From the suite to what it judges.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// To the upstream itself.
    Direct,
    /// Through the gateway, within one era.
    Gateway,
    /// Through the gateway, from one era to the other.
    Across,
}

impl Way {
    /// As it stands in file names.
    fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Gateway => "gateway",
            Self::Across => "across",
        }
    }

    /// As it stands in messages.
    fn said(self) -> &'static str {
        match self {
            Self::Direct => "directly",
            Self::Gateway => "through the gateway",
            Self::Across => "across eras",
        }
    }

    /// The list of what may fail.
    fn expected(self, revision: &Revision) -> String {
        let kind = if self == Self::Across { "expected-cross" } else { "expected" };
        format!("tests/conformance/{kind}-{}.yml", revision.date)
    }
}

pub(crate) fn run(place: &Place, arguments: &Arguments) -> Result<()> {
    let tools = setup::run(place)?;
    if arguments.gateway.is_none() {
        place.cargo().args(["build", "--package", "portcullis"]).run()?;
    }
    let score = compare(place, &tools, arguments)?;
    println!("\n{} passed, {} failed", score.passed, score.failed);
    if score.failed > 0 || score.passed == 0 {
        bail!("the gateway does not conform");
    }
    Ok(())
}

/// Every comparison, with a binary that is built already.
pub(crate) fn all(place: &Place, tools: &Tools) -> Result<Score> {
    compare(place, tools, &Arguments::default())
}

fn compare(place: &Place, tools: &Tools, arguments: &Arguments) -> Result<Score> {
    let out = place.target.join("conformance");
    if out.exists() {
        fs::remove_dir_all(&out)?;
    }
    fs::create_dir_all(&out)?;
    let binary = match &arguments.gateway {
        Some(file) => file.canonicalize().with_context(|| format!("no {}", file.display()))?,
        None => place.dev_binary(),
    };
    let suite = Suite { place, tools, binary: &binary, out: &out, verbose: arguments.verbose };
    let mut comparison = Comparison::default();
    let wanted = |role| arguments.role.is_none_or(|only| only == role);
    let revisions = REVISIONS.iter().filter(|revision| {
        arguments.requirements.as_ref().is_none_or(|only| only == revision.date)
    });

    let revisions: Vec<_> = revisions.collect();
    let across = wanted(Role::Across);
    if across || wanted(Role::Server) {
        comparison.servers(&suite, &revisions, wanted(Role::Server), across)?;
    }
    if across || wanted(Role::Client) {
        comparison.clients(&suite, &revisions, wanted(Role::Client), across)?;
    }
    comparison.print();
    Ok(comparison.score)
}

/// The suite, ready to run.
struct Suite<'a> {
    place: &'a Place,
    tools: &'a Tools,
    /// The gateway.
    binary: &'a Path,
    out: &'a Path,
    verbose: bool,
}

/// One run of the suite.
struct Run {
    results: Results,
    /// What may come out differently.
    exceptions: Exceptions,
    /// Whether the suite itself was content: nothing fails but what is listed, and all that is
    /// listed fails.
    as_expected: bool,
    log: PathBuf,
}

impl Suite<'_> {
    /// Each revision directly, and through the gateway if that is wanted.
    fn same_era(&self, revisions: &[&Revision], gateway: bool) -> Result<Vec<(Run, Option<Run>)>> {
        let out = self.out.join("same-era");
        let upstream = Upstream::start(self.place, self.tools, &out)?;
        let gateway =
            gateway.then(|| Gateway::start(self.binary, &upstream.url, &out)).transpose()?;
        let both = |revision: &&Revision| {
            let direct = self.server(revision, &upstream.url, Way::Direct)?;
            let Some(gateway) = &gateway else { return Ok((direct, None)) };
            let through = self.server(revision, &gateway.url(revision.era), Way::Gateway)?;
            Ok((direct, Some(through)))
        };
        revisions.iter().map(both).collect()
    }

    /// Each revision through the gateway, with the upstream pinned to the other era.
    fn across(&self, revisions: &[&Revision]) -> Result<Vec<Run>> {
        let out = self.out.join("across");
        let upstream = Upstream::start(self.place, self.tools, &out)?;
        let gateway = Gateway::start(self.binary, &upstream.url, &out)?;
        let across =
            |revision: &&Revision| self.server(revision, &gateway.url(revision.other), Way::Across);
        revisions.iter().map(across).collect()
    }

    /// The suite as client of the server at `url`.
    fn server(&self, revision: &Revision, url: &str, way: Way) -> Result<Run> {
        println!("conformance: {} as server, {} …", revision.date, way.said());
        let arguments = ["server".to_owned(), "--url".to_owned(), url.to_owned()];
        self.run(revision, &arguments, "server", way)
    }

    /// The suite as server of a client that puts a gateway of its own before it.
    ///
    /// There is nothing to compare with: without the gateway only the client of the tests would be
    /// measured. The suite's own judgement counts.
    fn client(&self, revision: &Revision, way: Way) -> Result<Run> {
        println!("conformance: {} as client, {} …", revision.date, way.said());
        let driver = self.place.root.join("tests/node/conformance-client.mjs");
        let mut command = format!("{} {}", self.tools.node.display(), driver.display());
        if way == Way::Across {
            command.push_str(" --across");
        }
        let arguments = ["client".to_owned(), "--command".to_owned(), command];
        self.run(revision, &arguments, "client", way)
    }

    fn run(&self, revision: &Revision, arguments: &[String], role: &str, way: Way) -> Result<Run> {
        let name = format!("{role}-{}-{}", revision.date, way.name());
        let out = self.out.join(&name);
        let log = self.out.join(format!("{name}.log"));
        let expected = self.place.root.join(way.expected(revision));
        let program =
            self.place.node_modules().join("@modelcontextprotocol/conformance/dist/index.js");
        let program = crate::program::Program::new(&self.tools.node)
            .arg(program)
            .args(arguments)
            .args(["--requirements", revision.date])
            .arg("--output-dir")
            .arg(&out)
            .arg("--expected-failures")
            .arg(&expected)
            .folder(&self.place.root);
        let output = environment(self.place, self.tools, program)
            .env("PORTCULLIS_BIN", self.binary)
            .into_command()
            .output()
            .context("cannot start the conformance suite")?;
        fs::write(&log, [output.stdout.as_slice(), &output.stderr].concat())?;
        if self.verbose {
            print!("{}", String::from_utf8_lossy(&output.stdout));
        }
        let results = Results::read(&out)?;
        if results.is_empty() {
            bail!("the conformance suite ran no scenario; see {}", log.display());
        }
        let exceptions = Exceptions::read(&fs::read_to_string(&expected)?, role);
        Ok(Run { results, exceptions, as_expected: output.status.success(), log })
    }
}

/// Does both at the same time.
fn in_lanes<A: Send, B: Send>(
    one: impl FnOnce() -> Result<A> + Send,
    other: impl FnOnce() -> Result<B>,
) -> Result<(A, B)> {
    std::thread::scope(|scope| {
        let one = scope.spawn(one);
        let other = other();
        Ok((one.join().expect("a lane returns its errors")?, other?))
    })
}

/// What all runs together say.
#[derive(Default)]
struct Comparison {
    rows: Vec<Vec<String>>,
    findings: Vec<String>,
    score: Score,
}

impl Comparison {
    /// The suite as client: within each era, and across.
    ///
    /// Scenarios mostly wait, so two lanes together take hardly longer than one. Each has an
    /// upstream of its own: changes that one of them announces are not heard in the other.
    fn servers(
        &mut self,
        suite: &Suite<'_>,
        revisions: &[&Revision],
        same: bool,
        across: bool,
    ) -> Result<()> {
        let (same, across) = in_lanes(
            || suite.same_era(revisions, same),
            || if across { suite.across(revisions) } else { Ok(Vec::new()) },
        )?;
        let mut across = across.into_iter();
        for (revision, (direct, through)) in revisions.iter().zip(same) {
            if let Some(through) = through {
                let name = format!("server {}", revision.date);
                let differences = direct.results.differences(&through.results, &through.exceptions);
                self.add(&name, Some(&direct), &through, &differences);
            }
            if let Some(through) = across.next() {
                let name = format!("server {} on {}", revision.date, revision.other);
                let losses = direct.results.losses(&through.results, &through.exceptions);
                self.add(&name, Some(&direct), &through, &losses);
            }
        }
        Ok(())
    }

    /// The suite as server: within each era, and across.
    fn clients(
        &mut self,
        suite: &Suite<'_>,
        revisions: &[&Revision],
        same: bool,
        across: bool,
    ) -> Result<()> {
        let lane = |wanted: bool, way: Way| {
            let wanted = revisions.iter().filter(|_| wanted);
            wanted.map(|revision| suite.client(revision, way)).collect::<Result<Vec<_>>>()
        };
        let (same, across) = in_lanes(|| lane(same, Way::Gateway), || lane(across, Way::Across))?;
        for (revision, through) in revisions.iter().zip(same) {
            self.add(&format!("client {}", revision.date), None, &through, &[]);
        }
        for (revision, through) in revisions.iter().zip(across) {
            let name = format!("client {} as {}", revision.date, revision.other);
            self.add(&name, None, &through, &[]);
        }
        Ok(())
    }

    fn add(&mut self, name: &str, direct: Option<&Run>, through: &Run, differences: &[Difference]) {
        let mut findings = Vec::new();
        if !through.as_expected {
            findings.push(format!(
                "the suite is not content with the gateway; see {}",
                through.log.display()
            ));
        }
        findings.extend(differences.iter().map(Difference::to_string));
        let counts = |run: &Run| {
            let (passed, failed) = run.results.total();
            format!("{passed}/{failed}")
        };
        self.rows.push(vec![
            name.to_owned(),
            direct.map_or_else(|| "–".to_owned(), counts),
            counts(through),
            through.exceptions.len().to_string(),
            if findings.is_empty() { "as expected" } else { "DIFFERENT" }.to_owned(),
        ]);
        self.score.passed += through.results.as_expected(&through.exceptions);
        self.score.failed += findings.len() as u64;
        self.findings.extend(findings.into_iter().map(|finding| format!("{name}: {finding}")));
    }

    fn print(&self) {
        let heading = ["checks passed/failed", "direct", "gateway", "exceptions", "result"];
        println!("\n{}", table(&heading, &self.rows));
        for finding in &self.findings {
            println!("{finding}");
        }
    }
}
