//! Every chore of this repository: `cargo xtask <chore>`.
#![expect(clippy::print_stdout, reason = "a chore speaks to the person who started it")]

mod bench;
mod conformance;
mod corpus;
mod fuzz;
mod loopback;
mod place;
mod program;
mod setup;
mod table;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::place::Place;

/// Every chore of this repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Install what the tests need, then check formatting, house rules and lints, and run all tests
    Test(test::Arguments),
    /// Check the rules of this repository that no compiler knows
    Tidy,
    /// Run the official conformance suite directly and through the gateway, and compare
    Conformance(conformance::Arguments),
    /// Measure the gateway against nginx and print a report
    Bench(bench::Arguments),
    /// Judge OpenAPI documents as tools: with Prism, a generator and a client that are not ours
    Corpus(corpus::Arguments),
    /// Run the fuzz targets for long
    Fuzz(fuzz::Arguments),
    /// Build the binary that is measured and shipped
    Dist,
    /// Install what the tests need, pinned, under the target folder
    Setup,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = Place::find().and_then(|place| match &arguments.chore {
        Chore::Test(arguments) => test::run(&place, arguments),
        Chore::Tidy => tidy::run(&place),
        Chore::Conformance(arguments) => conformance::run(&place, arguments),
        Chore::Bench(arguments) => bench::run(&place, arguments),
        Chore::Corpus(arguments) => corpus::run(&place, arguments),
        Chore::Fuzz(arguments) => fuzz::run(&place, arguments),
        Chore::Dist => dist(&place),
        Chore::Setup => setup::run(&place).map(|_| ()),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dist(place: &Place) -> anyhow::Result<()> {
    place.cargo().args(["build", "--profile", "dist", "--package", "portcullis"]).run()?;
    println!("{}", place.target.join("dist/portcullis").display());
    Ok(())
}
