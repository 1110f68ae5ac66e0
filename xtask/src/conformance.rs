//! The official conformance suite, directly and through the gateway: both must count the same.
//!
//! One upstream of the tests speaks both eras. The gateway stands before it twice, once with each
//! era pinned, and serves it under its own names at `/servers/NAME/mcp`; so a scenario that comes
//! out differently through the gateway is the gateway's doing. Exceptions stand, with their
//! reasons, in `tests/conformance/expected-REVISION.yml`, which the suite reads itself: an entry
//! that passes again makes the run fail.

mod gateway;
mod results;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use self::gateway::{Gateway, Upstream};
use self::results::{Results, exceptions};
use crate::place::Place;
use crate::setup::{self, Tools};
use crate::table::table;
use crate::test::{Score, environment};

#[derive(Debug, Default, clap::Args)]
pub(crate) struct Arguments {
    /// Only this revision of the specification
    #[arg(long, value_name = "DATE")]
    requirements: Option<String>,
    /// Only the suite for servers, or only that for clients
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
    /// The suite is the server
    Client,
}

/// A requirement set with the era that it belongs to.
struct Revision {
    date: &'static str,
    /// The name of the server in the gateway's configuration, and its pinned era.
    era: &'static str,
}

const REVISIONS: [Revision; 2] = [
    Revision { date: "2026-07-28", era: "modern" },
    Revision { date: "2025-11-25", era: "legacy" },
];

/// The two ways to the server under test, as they stand in file names.
const DIRECT: &str = "direct";
const GATEWAY: &str = "gateway";

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

    if wanted(Role::Server) {
        let upstream = Upstream::start(place, tools, &out)?;
        let gateway = Gateway::start(&binary, &upstream.url, &out)?;
        for revision in revisions.clone() {
            println!("conformance: {} as server, directly …", revision.date);
            let direct = suite.server(revision, &upstream.url, DIRECT)?;
            println!("conformance: {} as server, through the gateway …", revision.date);
            let through = suite.server(revision, &gateway.url(revision.era), GATEWAY)?;
            comparison.add("server", revision, Some(&direct), &through);
        }
    }
    if wanted(Role::Client) {
        for revision in revisions {
            println!("conformance: {} as client, through the gateway …", revision.date);
            let through = suite.client(revision)?;
            comparison.add("client", revision, None, &through);
        }
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
    /// Scenarios that may come out differently.
    exceptions: Vec<String>,
    /// Whether the suite itself was content: nothing fails but what is listed, and all that is
    /// listed fails.
    as_expected: bool,
    log: PathBuf,
}

impl Suite<'_> {
    /// The suite as client of the server at `url`.
    fn server(&self, revision: &Revision, url: &str, way: &str) -> Result<Run> {
        let arguments = ["server".to_owned(), "--url".to_owned(), url.to_owned()];
        self.run(revision, &arguments, "server", way)
    }

    /// The suite as server of a client that puts a gateway of its own before it.
    ///
    /// There is nothing to compare with: without the gateway only the client of the tests would be
    /// measured. The suite's own judgement counts.
    fn client(&self, revision: &Revision) -> Result<Run> {
        let driver = self.place.root.join("tests/node/conformance-client.mjs");
        let command = format!("{} {}", self.tools.node.display(), driver.display());
        let arguments = ["client".to_owned(), "--command".to_owned(), command];
        self.run(revision, &arguments, "client", GATEWAY)
    }

    fn run(&self, revision: &Revision, arguments: &[String], role: &str, way: &str) -> Result<Run> {
        let name = format!("{role}-{}-{way}", revision.date);
        let out = self.out.join(&name);
        let log = self.out.join(format!("{name}.log"));
        let expected =
            self.place.root.join(format!("tests/conformance/expected-{}.yml", revision.date));
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
        let exceptions = exceptions(&fs::read_to_string(&expected)?, role);
        Ok(Run { results, exceptions, as_expected: output.status.success(), log })
    }
}

/// What all runs together say.
#[derive(Default)]
struct Comparison {
    rows: Vec<Vec<String>>,
    findings: Vec<String>,
    score: Score,
}

impl Comparison {
    fn add(&mut self, role: &str, revision: &Revision, direct: Option<&Run>, through: &Run) {
        let mut findings = Vec::new();
        if !through.as_expected {
            findings.push(format!(
                "the suite is not content with the gateway; see {}",
                through.log.display()
            ));
        }
        let differences = direct.map(|direct| direct.results.differences(&through.results));
        for difference in differences.into_iter().flatten() {
            if !through.exceptions.contains(&difference.scenario) {
                findings.push(difference.to_string());
            }
        }
        let counts = |run: &Run| {
            let (passed, failed) = run.results.total();
            format!("{passed}/{failed}")
        };
        self.rows.push(vec![
            format!("{role} {}", revision.date),
            direct.map_or_else(|| "–".to_owned(), counts),
            counts(through),
            through.exceptions.len().to_string(),
            if findings.is_empty() { "as expected" } else { "DIFFERENT" }.to_owned(),
        ]);
        self.score.passed += through.results.as_expected(&through.exceptions);
        self.score.failed += findings.len() as u64;
        let name = format!("{role} {}", revision.date);
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
