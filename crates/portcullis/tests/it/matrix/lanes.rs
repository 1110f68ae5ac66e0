//! The order in which cells are played: one lane for each server, several lanes at once.
//!
//! Within a lane one client comes after the other, so that what a cell sees is its own doing; how
//! servers bear many clients at once is the engine's own tests' business.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Mutex;
use std::thread;

use serde_json::{Value, json};

use super::cell::{Cell, Outcome, answers};
use super::ends::{CLIENTS, End, SERVERS, Sdk, Transport};
use super::players::Players;
use super::stage::{MIXED, Server, Stage, is_mixed};
use super::table::{Feature, Verdict, verdict, versions};

/// Cells wait more than they compute; still more lanes would only wait for the processors.
const LANES_AT_ONCE: usize = 8;

/// Only cells whose description has each of these words, and none of those after a `!`, are played;
/// for whoever looks for a fault.
const ONLY: &str = "PORTCULLIS_MATRIX";

/// A cell that is not as the table says.
pub(super) struct Failure {
    cell: Cell,
    problem: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problem: String = self.problem.chars().take(700).collect();
        write!(f, "{}\n    expected: {:?}\n    came:     {problem}", self.cell, self.cell.verdict)
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.composed { " (composed)" } else { "" };
        let (client, server) = (self.client.name(), self.server.name());
        write!(f, "{client} → {server}{place}: {:?}", self.feature)
    }
}

/// What one client does in one script.
struct Visit {
    cells: Vec<Cell>,
    path: String,
}

/// Plays all cells and returns how many there were and those that failed.
pub(super) fn play(players: &Players, stage: &Stage) -> (usize, Vec<Failure>) {
    let lanes: VecDeque<_> = stage.servers.iter().map(|server| (server, visits(server))).collect();
    let count = lanes.iter().flat_map(|(_, visits)| visits).map(|visit| visit.cells.len()).sum();
    let lanes = Mutex::new(lanes);
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..LANES_AT_ONCE {
            scope.spawn(|| {
                loop {
                    let next = lanes.lock().expect("no panic while it is held").pop_front();
                    let Some((server, visits)) = next else { return };
                    for visit in &visits {
                        let failed = pay(players, stage, server, visit);
                        failures.lock().expect("no panic while it is held").extend(failed);
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().expect("no panic while it was held");
    failures.sort_by_key(|failure| failure.cell.to_string());
    (count, failures)
}

fn visits(server: &Server) -> Vec<Visit> {
    let only = std::env::var(ONLY).unwrap_or_default();
    let wanted = |cell: &Cell| {
        let line = cell.to_string();
        only.split_whitespace().all(|word| match word.strip_prefix('!') {
            Some(word) => !line.contains(word),
            None => line.contains(word),
        })
    };
    let mut visits = Vec::new();
    for composed in [false, true] {
        if composed && !is_mixed(server.end) {
            continue;
        }
        let path =
            if composed { MIXED.into() } else { format!("/servers/{}/mcp", server.end.name()) };
        for client in CLIENTS {
            let cells = Feature::ALL
                .into_iter()
                .filter_map(|feature| cell(client, server.end, feature, composed));
            let cells: Vec<_> = cells.filter(wanted).collect();
            // A process that is started for one client plays all of that client's cells.
            if server.end.transport == Transport::Stdio {
                visits.push(Visit { cells, path: path.clone() });
            } else {
                let alone = |cell| Visit { cells: vec![cell], path: path.clone() };
                visits.extend(cells.into_iter().map(alone));
            }
        }
    }
    visits.retain(|visit| !visit.cells.is_empty());
    visits
}

fn cell(client: End, server: End, feature: Feature, composed: bool) -> Option<Cell> {
    let verdict = verdict(feature, client.version, server.version);
    let is_played = server.offers(feature) && client.plays(feature, server.version);
    let is_nothing = matches!(verdict, Verdict::Absent(_)) || !is_played;
    // Extensions belong to an endpoint of one server.
    if is_nothing || (composed && matches!(feature, Feature::Task | Feature::TaskAsks)) {
        return None;
    }
    let place = if composed { "all" } else { "one" };
    let key = format!("{feature:?}/{}/{place}", client.name());
    Some(Cell { feature, client, server, verdict, key, composed })
}

/// Pays the visit and returns the cells that failed.
fn pay(players: &Players, stage: &Stage, server: &Server, visit: &Visit) -> Vec<Failure> {
    let client = visit.cells[0].client;
    let scripts: Vec<Vec<Value>> = visit.cells.iter().map(Cell::steps).collect();
    let mut steps = scripts.concat();
    let starts_processes = server.end.transport == Transport::Stdio;
    if starts_processes
        && matches!(client.sdk, Sdk::TypescriptV1 | Sdk::TypescriptV2)
        && !client.is_modern()
    {
        // Otherwise the process waits for the end of the session's idle time.
        steps.push(json!({ "op": "terminate" }));
    }
    let report = players.play(client, &stage.gate.url(&visit.path), &answers(), &steps);
    let mut failures = Vec::new();
    let mut at = 0;
    for (cell, script) in visit.cells.iter().zip(&scripts) {
        let checked = report.as_ref().map_err(Clone::clone).and_then(|report| {
            let entries = report["steps"].as_array().map_or(&[][..], Vec::as_slice);
            let Some(entries) = entries.get(at..at + script.len()) else {
                return Err(format!("the script did not come that far: {report}"));
            };
            let outcome = Outcome { entries, report, journal: &server.journal };
            cell.check(&outcome).map_err(|problem| match report["requests"].as_array() {
                Some(asked) if !asked.is_empty() => {
                    format!("{problem}; asked: {}", report["requests"])
                }
                _ => problem,
            })
        });
        at += script.len();
        if let Err(problem) = checked {
            failures.push(Failure { cell: cell.clone(), problem });
        }
    }
    failures
}

/// Whether, once all is over, any call has had more effects than it may.
pub(super) fn repeated(stage: &Stage) -> Vec<String> {
    let mut repeated = Vec::new();
    for server in &stage.servers {
        let mut counts = server.journal.read();
        for cell in visits(server).iter().flat_map(|visit| &visit.cells) {
            let count = counts.remove(&cell.key).unwrap_or_default();
            let wanted = cell.native_counts();
            if count.commits > wanted.commits || count.requests > wanted.requests {
                repeated.push(format!("{cell}: {count:?}, where {wanted:?} is all there may be"));
            }
        }
    }
    repeated
}

/// The counters count: a call that is made twice, with one key, is found out.
pub(super) fn control(players: &Players, stage: &Stage) {
    let listens = |server: &&Server| server.end.transport == Transport::Http;
    let server = stage.servers.iter().find(listens).expect("a server that listens");
    let client = CLIENTS[0];
    let cell = cell(client, server.end, Feature::Call, false).expect("every server is called");
    let cell = Cell { key: "made twice".into(), ..cell };
    let steps = [cell.steps(), cell.steps()].concat();
    let url = stage.gate.url(&format!("/servers/{}/mcp", server.end.name()));
    let report = players.play(client, &url, &answers(), &steps).expect("a report");
    let count = server.journal.count(&cell.key);
    assert_eq!((count.requests, count.commits), (2, 2), "{report}");
    let entries = report["steps"].as_array().expect("entries");
    let outcome = Outcome { entries: &entries[1..], report: &report, journal: &server.journal };
    let found = cell.check(&outcome).expect_err("a repeated call is found out");
    assert!(found.contains("the server counts"), "{found}");
}

/// What the table says is true of some cell that is played: nothing is only claimed.
pub(super) fn unplayed() -> Vec<String> {
    let mut unplayed = Vec::new();
    for feature in Feature::ALL {
        for (client, server) in versions() {
            let claims = !matches!(verdict(feature, client, server), Verdict::Absent(_));
            let is_played = |from: &End, to: &End| {
                (from.version, to.version) == (client, server)
                    && cell(*from, *to, feature, false).is_some()
            };
            let mut pairs =
                CLIENTS.iter().flat_map(|from| SERVERS.iter().map(move |to| (from, to)));
            if claims && !pairs.any(|(from, to)| is_played(from, to)) {
                unplayed.push(format!("{feature:?}: {client} → {server}"));
            }
        }
    }
    unplayed
}
