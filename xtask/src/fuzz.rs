//! The long run of the fuzz targets: the same plain functions that every test run tries briefly.

use anyhow::Result;

use crate::place::Place;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How many mutations each target gets
    #[arg(long, default_value_t = 10_000_000)]
    iterations: u64,
    /// Run only the targets whose name contains this
    #[arg(default_value = "fuzz")]
    target: String,
}

pub(crate) fn run(place: &Place, arguments: &Arguments) -> Result<()> {
    place
        .cargo()
        .env("PORTCULLIS_FUZZ_ITERATIONS", arguments.iterations.to_string())
        .args(["test", "--package", "portcullis-wire", "--release", "--"])
        .args([arguments.target.as_str(), "--nocapture"])
        .run()
}
