//! Every client version with every server version, feature by feature, as one table says.
//!
//! The table (`matrix/table.rs`) is what this test asserts, and what `docs/protocol-bridge.md` is
//! written from. Clients and servers are real SDKs, each one process (`tests/README.md`). With
//! `PORTCULLIS_MATRIX="ts1-2025-06-18 Form"` only cells with these words are played, and with `!py` only those without.

use std::fmt::Write as _;
use std::time::Instant;

use crate::interop::parts::Parts;

mod cell;
mod ends;
mod lanes;
mod page;
mod players;
mod stage;
mod table;

#[test]
fn every_client_version_reaches_every_server_version() {
    let Some(parts) = Parts::find() else { return };
    let begin = Instant::now();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
    let players = players::Players::start(&parts, runtime.handle());
    let stage = stage::Stage::build(&parts, runtime.handle());
    lanes::control(&players, &stage);
    let (count, failures) = lanes::play(&players, &stage);
    eprintln!("{count} cells in {} s", begin.elapsed().as_secs());

    let mut report = String::new();
    for failure in &failures {
        let _ = writeln!(report, "{failure}");
    }
    let repeated = lanes::repeated(&stage);
    assert!(
        failures.is_empty() && repeated.is_empty(),
        "{} of {count} cells are not as the table says:\n{report}\nexecuted too often: {repeated:#?}",
        failures.len(),
    );
    assert!(count > 0, "no cell has these words");
}

#[test]
fn the_page_is_written_from_the_table() {
    page::compare();
}

#[test]
fn every_verdict_is_played() {
    let unplayed = lanes::unplayed();
    assert!(unplayed.is_empty(), "no cell shows this: {unplayed:#?}");
}
