//! A simulation of the interaction engine: virtual time, random interleavings, repeatable by seed.
//!
//! Simulated clients talk to a simulated server through the real engine, a few calls at a time. Who
//! asks what, who answers when and how, who goes away or dies comes from the seed alone; what is due
//! at the same moment happens in any order. A ledger keeps the rules, of which two matter most: a
//! call is executed at most once, and each request has exactly one terminal answer.
//!
//! ```text
//! cargo test -p portcullis-engine simulation                                  the seeds of every run
//! PORTCULLIS_SIMULATION_SEEDS=1000000 cargo test -p portcullis-engine simulation     many more
//! PORTCULLIS_SIMULATION_SEED=4711 cargo test -p portcullis-engine simulation -- --nocapture
//!                                                                             one, with its trace
//! ```
//!
//! A simulation that breaks a rule prints its seed and its trace. No socket, process or clock is
//! involved: a server's replies come through [`Driving::simulated`](super::Driving).

mod chance;
mod client;
mod gate;
mod ledger;
mod server;
mod world;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use gate::Flaw;
use ledger::{Finding, Rule, Tally};
use world::simulate;

/// Simulations of every run: a few seconds.
const SEEDS: u64 = 4_000;
/// How many simulations a flaw may take to be seen.
const SEEDS_TO_SEE: u64 = 400;
/// One seed to run alone.
const SEED_VARIABLE: &str = "PORTCULLIS_SIMULATION_SEED";
/// How many to run instead.
const SEEDS_VARIABLE: &str = "PORTCULLIS_SIMULATION_SEEDS";

#[test]
fn simulation_keeps_every_rule() {
    if let Some(seed) = number_in(SEED_VARIABLE) {
        let finding = simulate(seed, None);
        println!("seed {seed}\n{}", finding.trace.join("\n"));
        return assert_kept(seed, &finding);
    }
    let tally = simulate_all(0..number_in(SEEDS_VARIABLE).unwrap_or(SEEDS));
    println!("{tally:#?}");
    // Rules that are never put to the test are kept by everybody.
    let seen = [
        Tally::Success,
        Tally::Failure,
        Tally::Asked,
        Tally::Error,
        Tally::GivenUp,
        Tally::Fault("interaction-expired"),
        Tally::Fault("interaction-refused"),
        Tally::Fault("interaction-unavailable"),
        Tally::Fault("invalid-params"),
        Tally::Fault("overloaded"),
        Tally::Fault("deadline-exceeded"),
        Tally::Fault("server-failed"),
    ];
    for way in seen {
        assert!(tally.contains_key(&way), "no request ended with {way:?}: {tally:#?}");
    }
}

#[test]
fn simulation_repeats_itself() {
    for seed in 0..100 {
        let (one, other) = (simulate(seed, None), simulate(seed, None));
        assert_eq!(one.trace, other.trace, "seed {seed} goes two ways");
    }
}

/// Each rule, and what breaks it.
const FLAWS: [(Flaw, Rule); 20] = [
    (Flaw::RepeatsOnResume, Rule::CalledWhenWanted),
    (Flaw::RepeatsOnResume, Rule::ExecutedOnce),
    (Flaw::RepeatsWhatExpired, Rule::CalledWhenWanted),
    (Flaw::RepeatsOnFailure, Rule::CalledWhenWanted),
    (Flaw::RepeatsOnFailure, Rule::ExecutedOnce),
    (Flaw::AnswersTwice, Rule::AnsweredOnce),
    (Flaw::LosesAnswers, Rule::Answered),
    (Flaw::KeepsStreams, Rule::CallsEnd),
    (Flaw::LeavesTasks, Rule::TasksEnd),
    (Flaw::MakesUpSuccess, Rule::SuccessIsTrue),
    (Flaw::MakesUpFailure, Rule::ContinuedOnce),
    (Flaw::ResumesTwice, Rule::StillThere),
    (Flaw::MixesAnswers, Rule::OwnAnswers),
    (Flaw::ParksForEver, Rule::ToldWhy),
    (Flaw::ParksForEver, Rule::LotEmpties),
    (Flaw::AsksNothing, Rule::SomethingAsked),
    (Flaw::AsksWithoutEnd, Rule::RoundsAreBounded),
    (Flaw::ParksWithoutEnd, Rule::LotIsBounded),
    (Flaw::ForgetsDeclines, Rule::CalledWhenWanted),
    (Flaw::RefusesSome, Rule::CalmSucceeds),
];

#[test]
fn simulation_sees_each_rule_broken() {
    for (flaw, rule) in FLAWS {
        let seen = (0..SEEDS_TO_SEE).find(|&seed| {
            let finding = simulate(seed, Some(flaw));
            finding.broken.iter().any(|(broken, _)| *broken == rule)
        });
        assert!(seen.is_some(), "{flaw:?} breaks {rule:?}, which nobody notices");
    }
}

/// Plays the simulations of all these seeds, on all cores.
fn simulate_all(seeds: Range<u64>) -> BTreeMap<Tally, usize> {
    let (next, total) = (AtomicU64::new(seeds.start), Mutex::new(BTreeMap::new()));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let finding = simulate(seed, None);
            assert_kept(seed, &finding);
            let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
            for (way, times) in finding.tally {
                *total.entry(way).or_default() += times;
            }
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(work);
        }
    });
    total.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn assert_kept(seed: u64, Finding { broken, trace, .. }: &Finding) {
    assert!(
        broken.is_empty(),
        "seed {seed} breaks {broken:#?}\n{}\nrun it alone with {SEED_VARIABLE}={seed}",
        trace.join("\n")
    );
}

/// The number in a variable of the environment; one that is none is a mistake of whoever set it.
fn number_in(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}
