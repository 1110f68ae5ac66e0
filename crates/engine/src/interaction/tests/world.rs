//! One simulation: a server, a few clients, and the bounds between them, all from one seed.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::time::sleep;
use wire::{Era, Version};

use super::chance::Chance;
use super::client::Client;
use super::gate::{Flaw, Gate};
use super::ledger::{Finding, Ledger};
use super::server::{Plan, Server};
use crate::interaction::{Bounds, Lot};

/// After this everything has ended that will: the longest waits and the most stubborn servers.
const AFTERMATH: Duration = Duration::from_hours(24);

/// Each eighth simulation is calm: everybody means well, and each call must succeed.
fn is_calm(seed: u64) -> bool {
    seed.is_multiple_of(8)
}

/// Plays the simulation of a seed.
pub(super) fn simulate(seed: u64, flaw: Option<Flaw>) -> Finding {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime without I/O can always be built").block_on(play(seed, flaw))
}

async fn play(seed: u64, flaw: Option<Flaw>) -> Finding {
    let mut chance = Chance::of(seed);
    let calm = is_calm(seed);
    let calls = usize::try_from(chance.between(1, 4)).expect("a few");
    let ledger = Ledger::new(calls);
    let _witness = Witness { seed, ledger: ledger.clone() };
    let bounds = bounds(calm, &mut chance);
    let version = chance.pick(&[Version::V2025_11_25, Version::V2025_11_25, Version::LATEST]);
    let plan = if calm { Plan::calm } else { Plan::wild };
    let plans = (0..calls).map(|_| plan(version.era(), &mut chance)).collect();
    let timeout = if calm { 600_000 } else { chance.pick(&[1_000, 10_000, 60_000]) };
    let timeout = Duration::from_millis(timeout);
    let server = Server::new(version, timeout, plans, ledger.clone(), chance.fork());
    let lot = Arc::new(Lot::default());
    let gate = Arc::new(Gate {
        server: server.clone(),
        lot: Arc::clone(&lot),
        bounds,
        ledger: ledger.clone(),
        flaw,
    });
    if !calm && chance.one_in(6) {
        let at = chance.millis(0, 120_000);
        tokio::spawn(async move {
            sleep(at).await;
            server.die();
        });
    }
    let clients: Vec<_> = (0..calls)
        .map(|call| {
            let client = Client {
                gate: Arc::clone(&gate),
                call,
                version: client_version(version, calm, &mut chance),
                able: calm || !chance.one_in(10),
                calm,
                chance: chance.fork(),
            };
            tokio::spawn(client.run())
        })
        .collect();
    for client in clients {
        client.await.expect("no client panics");
    }
    sleep(AFTERMATH).await;
    ledger.close(lot.count(), Handle::current().metrics().num_alive_tasks())
}

fn bounds(calm: bool, chance: &mut Chance) -> Bounds {
    let wait = Duration::from_millis(chance.pick(&[2_000, 60_000, 600_000]));
    if calm {
        return Bounds { rounds: 16, wait, parked: 100 };
    }
    let rounds = u32::try_from(chance.between(0, 10)).expect("a few");
    // Sometimes there is no place for all, or for anybody.
    let parked = chance.pick(&[100, 100, 100, 100, 2, 1, 0]);
    Bounds { rounds, wait, parked }
}

/// The other era than the server's, mostly: where they agree the engine has nothing to do.
fn client_version(server: Version, calm: bool, chance: &mut Chance) -> Version {
    let other = match server.era() {
        Era::Legacy => Version::LATEST,
        Era::Modern if calm => Version::V2025_11_25,
        Era::Modern => chance.pick(&[
            Version::V2025_11_25,
            Version::V2025_11_25,
            Version::V2025_06_18,
            Version::V2025_03_26,
        ]),
    };
    if !calm && chance.one_in(10) { server } else { other }
}

/// Says which simulation a panic was in.
struct Witness {
    seed: u64,
    ledger: Ledger,
}

impl Drop for Witness {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let trace = self.ledger.trace().join("\n");
            eprintln!("seed {} panicked after\n{trace}", self.seed);
        }
    }
}
