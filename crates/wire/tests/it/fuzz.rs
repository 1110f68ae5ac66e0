//! The fuzz targets on a stable toolchain: the committed corpus, then a fixed number of mutations.
//!
//! `PORTCULLIS_FUZZ_ITERATIONS` sets how many each target gets. A failure prints the input; put it
//! into `fuzz/corpus/TARGET/` when you fix it.

mod mutate;
#[path = "fuzz/targets.rs"]
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use mutate::Mutator;

/// Mutations per target by default.
const ITERATIONS: u64 = 100_000;

fn run(name: &str, target: fn(&[u8])) {
    let iterations = match std::env::var("PORTCULLIS_FUZZ_ITERATIONS") {
        Ok(text) => text.parse().expect("PORTCULLIS_FUZZ_ITERATIONS is a number"),
        Err(_) => ITERATIONS,
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let corpus: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
    assert!(!corpus.is_empty(), "no corpus in {}", folder.display());
    let attempt = |input: &[u8]| {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(input))) {
            eprintln!("{name} failed on b\"{}\"", input.escape_ascii());
            std::panic::resume_unwind(panic);
        }
    };
    for input in &corpus {
        attempt(input);
    }
    let mut mutator = Mutator::new(&corpus);
    for _ in 0..iterations {
        attempt(mutator.next());
    }
}

#[test]
fn fuzz_message_decode() {
    run("message_decode", targets::message_decode);
}

#[test]
fn fuzz_sse_decode() {
    run("sse_decode", targets::sse_decode);
}

#[test]
fn fuzz_uri_template() {
    run("uri_template", targets::uri_template);
}

#[test]
fn fuzz_header_value() {
    run("header_value", targets::header_value);
}
