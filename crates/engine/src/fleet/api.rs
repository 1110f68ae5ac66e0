//! Keeps the document of an API read: when the gate starts, when it changes, and again after a
//! failure. What was last good serves on.

use std::sync::{Arc, Weak};
use std::time::Duration;

use policy::Backoff;
use tokio_util::sync::CancellationToken;
use wire::Version;

use super::connect::{Found, Speaks};
use super::server::Server;
use crate::catalog::Definition;
use crate::upstream::{ApiSource, Change, Reading};

/// How long a document that could not be read is left alone: a file may change sooner.
const BACKOFF: Backoff =
    Backoff { initial: Duration::from_millis(500), max: Duration::from_mins(1) };

/// Reads the document until the server is gone.
pub(super) async fn keep_read(
    server: Weak<Server>,
    source: Arc<ApiSource>,
    retired: CancellationToken,
) {
    let mut failures = 0;
    loop {
        let read = tokio::select! {
            read = source.read() => read,
            () = retired.cancelled() => return,
        };
        let Some(strong) = server.upgrade() else { return };
        let mut pause = Duration::MAX;
        match read {
            Ok(reading) => {
                failures = 0;
                strong.api_was_read(&source, reading).await;
            }
            Err(problem) => {
                failures += 1;
                pause = BACKOFF.wait(failures, 0.0);
                strong.api_was_not_read(&source, &problem);
            }
        }
        drop(strong);
        tokio::select! {
            () = source.may_have_changed() => {}
            () = tokio::time::sleep(pause), if pause < Duration::MAX => {}
            () = retired.cancelled() => return,
        }
    }
}

impl Server {
    async fn api_was_read(self: &Arc<Self>, source: &ApiSource, reading: Reading) {
        let why = "it is an API, which the gate serves as a server of 2026-07-28".to_owned();
        self.known.reached(&Found { speaks: Speaks::Modern, why: Some(why) }, Version::LATEST);
        let Reading::New(differences) = reading else { return };
        let Ok(api) = source.server().await else { return };
        let definitions = api
            .definitions()
            .filter_map(|(key, definition)| Some(Definition::new(key, definition.object()?)));
        self.know_tools(&definitions.collect::<Vec<_>>());
        if differences.is_empty() {
            return;
        }
        tracing::info!(
            server = %self.name,
            added = differences.added.len(),
            removed = differences.removed.len(),
            changed = differences.changed.len(),
            "the API's tools are others: {}",
            told(&[("+", &differences.added), ("-", &differences.removed), ("~", &differences.changed)])
        );
        self.changes().report(&self.name, Change::Tools);
    }

    fn api_was_not_read(&self, source: &ApiSource, problem: &str) {
        if source.has_server() {
            tracing::error!(server = %self.name, problem, "the API's document is not taken; the last good one serves on");
            return;
        }
        if self.known.failed(problem.to_owned(), &BACKOFF) {
            tracing::error!(server = %self.name, problem, "the API's document cannot be used");
        }
    }
}

/// Most names that one line of the log has.
const NAMES_MAX: usize = 50;

fn told(kinds: &[(&str, &Vec<String>)]) -> String {
    let all = kinds.iter().flat_map(|(sign, names)| names.iter().map(move |it| (sign, it)));
    let mut words: Vec<_> =
        all.clone().take(NAMES_MAX).map(|(sign, it)| format!("{sign}{it}")).collect();
    let left = all.count().saturating_sub(NAMES_MAX);
    if left > 0 {
        words.push(format!("and {left} more"));
    }
    words.join(" ")
}
