//! Calls across eras beside calls within one: through the same gateway, in the same round.

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::load::{Era, Loader, Measured};
use super::report::{Report, at_most, median};
use super::scenario::Plan;
use super::stage::{MixedGateway, TOOL};

/// A call across eras costs at most so much CPU, as a multiple of a call within one.
const CPU_MAX: f64 = 1.3;
/// The shape of the calls: 1 KiB of JSON on so many connections.
const SIZE: &str = "1024";
const CONNECTIONS: &str = "32";
/// Connections open and sessions begun: what happens once is not what a call costs.
const WARM_UP_SECONDS: f64 = 0.3;

/// What clients say that they can be asked: servers' questions take another way where they can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Declares {
    Nothing,
    Questions,
}

impl Declares {
    const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Questions => "questions",
        }
    }
}

/// Every pair of eras for clients that declare the same, in rounds.
#[derive(Debug, Serialize)]
pub(crate) struct Bridged {
    declares: Declares,
    rounds: Vec<Round>,
}

/// Each pair once.
#[derive(Debug, Serialize)]
struct Round {
    modern_to_modern: Measured,
    modern_to_legacy: Measured,
    legacy_to_modern: Measured,
    legacy_to_legacy: Measured,
}

impl Round {
    fn of(&self, client: Era, server: Era) -> &Measured {
        match (client, server) {
            (Era::Modern, Era::Modern) => &self.modern_to_modern,
            (Era::Modern, Era::Legacy) => &self.modern_to_legacy,
            (Era::Legacy, Era::Modern) => &self.legacy_to_modern,
            (Era::Legacy, Era::Legacy) => &self.legacy_to_legacy,
        }
    }
}

/// Measures all pairs; what fails is noted and left out.
pub(crate) fn measure(plan: &Plan, loader: &Loader, gateway: &MixedGateway, report: &mut Report) {
    for declares in [Declares::Nothing, Declares::Questions] {
        println!("bench: calls across eras, clients that declare {} …", declares.name());
        match rounds(plan, loader, gateway, declares) {
            Ok(rounds) => report.bridged.push(Bridged { declares, rounds }),
            Err(error) => report.fail("calls across eras", &error),
        }
    }
}

fn rounds(
    plan: &Plan,
    loader: &Loader,
    gateway: &MixedGateway,
    declares: Declares,
) -> Result<Vec<Round>> {
    let run = |client: Era, server: Era, seconds: f64| {
        let (url, seconds) = (gateway.url(server), seconds.to_string());
        let who = ["--era", client.name(), "--declares", declares.name()];
        let what = ["--tool", TOOL, "--size", SIZE];
        let how = ["--connections", CONNECTIONS, "--seconds", &seconds];
        let parts = ["call", &url].into_iter().chain(who).chain(what).chain(how);
        let arguments: Vec<String> = parts.map(ToOwned::to_owned).collect();
        let measured = loader.run(Some(gateway.id()), &arguments);
        measured.with_context(|| format!("{} client, {} server", client.name(), server.name()))
    };
    for client in Era::ALL {
        for server in Era::ALL {
            run(client, server, WARM_UP_SECONDS)?;
        }
    }
    let seconds = plan.seconds();
    let round = |_| {
        Ok(Round {
            modern_to_modern: run(Era::Modern, Era::Modern, seconds)?,
            modern_to_legacy: run(Era::Modern, Era::Legacy, seconds)?,
            legacy_to_legacy: run(Era::Legacy, Era::Legacy, seconds)?,
            legacy_to_modern: run(Era::Legacy, Era::Modern, seconds)?,
        })
    };
    (0..plan.rounds()).map(round).collect()
}

impl Bridged {
    pub(super) const HEADING: [&str; 7] = [
        "across eras, JSON 1 KiB ×32",
        "calls a second",
        "p50 µs",
        "p99 µs",
        "CPU µs a call",
        "× client's era",
        "× server's era",
    ];

    /// One row for each pair of eras.
    pub(super) fn rows(&self) -> Vec<Vec<String>> {
        let pairs = Era::ALL.into_iter().flat_map(|client| Era::ALL.map(|server| (client, server)));
        pairs
            .map(|(client, server)| {
                let figure = |of: fn(&Measured) -> f64, digits: usize| {
                    let value =
                        median(self.rounds.iter().map(|round| of(round.of(client, server))));
                    format!("{value:.digits$}")
                };
                let ratios = if client == server {
                    ["–".to_owned(), "–".to_owned()]
                } else {
                    self.ratios(client, server).map(|ratio| format!("{ratio:.2}"))
                };
                let mut row = vec![
                    self.name(client, server),
                    figure(|measured| measured.throughput, 0),
                    figure(|measured| measured.p50_us, 0),
                    figure(|measured| measured.p99_us, 0),
                    figure(|measured| measured.cpu_us, 1),
                ];
                row.extend(ratios);
                row
            })
            .collect()
    }

    /// Judged by the cheaper of the two calls within one era.
    pub(super) fn verdicts(&self) -> Vec<Vec<String>> {
        let judge = |client, server| {
            let [by_client, by_server] = self.ratios(client, server);
            let what = format!("{}, CPU × same era", self.name(client, server));
            at_most(&what, by_client.max(by_server), CPU_MAX, 2)
        };
        vec![judge(Era::Modern, Era::Legacy), judge(Era::Legacy, Era::Modern)]
    }

    /// CPU of a call across eras as a multiple of one within the client's era, and within the
    /// server's.
    fn ratios(&self, client: Era, server: Era) -> [f64; 2] {
        [client, server].map(|era| {
            median(
                self.rounds
                    .iter()
                    .map(|round| round.of(client, server).cpu_us / round.of(era, era).cpu_us),
            )
        })
    }

    fn name(&self, client: Era, server: Era) -> String {
        let (client, server, declares) = (client.name(), server.name(), self.declares.name());
        format!("{client} client ({declares}) → {server} server")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dearer_ratio_is_judged() {
        let measured =
            |cpu_us| Measured { requests: 1, throughput: 1.0, p50_us: 1.0, p99_us: 1.0, cpu_us };
        let round = Round {
            modern_to_modern: measured(20.0),
            modern_to_legacy: measured(28.0),
            legacy_to_modern: measured(26.0),
            legacy_to_legacy: measured(25.0),
        };
        let bridged = Bridged { declares: Declares::Nothing, rounds: vec![round] };
        let verdicts = bridged.verdicts();
        assert_eq!(verdicts[0][1..], ["1.40", "≤ 1.3", "MISSED"]);
        assert_eq!(verdicts[1][1..], ["1.30", "≤ 1.3", "reached"]);
        assert_eq!(bridged.rows()[1][5..], ["1.40", "1.12"]);
    }
}
