//! What was learned of a server: its era and how that was found, and whether it can be reached.

use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use policy::Backoff;
use tokio::time::Instant;
use wire::Version;

use super::connect::{Found, Speaks};
use crate::upstream::ServerError;

/// The era of a server, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EraKnown {
    /// `modern`, `legacy` or `sse`.
    pub name: &'static str,
    /// The protocol version agreed on, once there was a conversation.
    pub version: Option<Version>,
    /// Whether the configuration pins it.
    pub pinned: bool,
    /// How it is known, in a sentence without a full stop.
    pub why: String,
    /// Since when; a legacy verdict is probed again a day later.
    pub since: SystemTime,
}

/// Whether a server can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Nobody has needed it yet.
    Idle,
    /// The last attempt succeeded.
    Up,
    /// The last attempt failed.
    Down,
    /// Its settings cannot be used.
    Broken,
}

/// A legacy verdict gone stale fails silently forever, since an upgraded server still answers
/// `initialize`: it is dated.
const LEGACY_REMEMBERED: Duration = Duration::from_hours(24);
/// A modern server's description is asked for again this often.
pub(super) const MODERN_REMEMBERED: Duration = Duration::from_hours(1);

/// What is known of one server.
#[derive(Debug)]
pub(super) struct Known {
    pinned: Option<Speaks>,
    learned: Mutex<Learned>,
}

#[derive(Clone, Debug, Default)]
struct Learned {
    era: Option<Era>,
    failures: u32,
    failure: Option<String>,
    not_before: Option<Instant>,
    reached: bool,
}

#[derive(Clone, Debug)]
struct Era {
    speaks: Speaks,
    version: Version,
    why: String,
    at: Instant,
    since: SystemTime,
}

impl Known {
    pub(super) fn new(era: config::Era) -> Self {
        Self { pinned: Speaks::pinned(era), learned: Mutex::default() }
    }

    fn learned(&self) -> std::sync::MutexGuard<'_, Learned> {
        self.learned.lock().expect("no panic while holding what is known")
    }

    /// The era to connect in without a probe.
    pub(super) fn speaks(&self) -> Option<Speaks> {
        self.pinned.or_else(|| {
            let learned = self.learned();
            let era = learned.era.as_ref()?;
            let horizon = match era.speaks {
                Speaks::Modern => MODERN_REMEMBERED,
                Speaks::Legacy | Speaks::HttpSse => LEGACY_REMEMBERED,
            };
            (era.at.elapsed() < horizon).then_some(era.speaks)
        })
    }

    /// Whether it is known to speak 2026-07-28, however long ago that was found.
    pub(super) fn is_modern(&self) -> bool {
        let learned = || self.learned().era.as_ref().map(|era| era.speaks);
        self.pinned.or_else(learned) == Some(Speaks::Modern)
    }

    /// A conversation began; returns whether that says anything new.
    pub(super) fn reached(&self, found: &Found, version: Version) -> bool {
        let mut learned = self.learned();
        let before = learned.era.as_ref().filter(|era| era.speaks == found.speaks);
        let is_new = before.is_none();
        let since = before.map_or_else(SystemTime::now, |era| era.since);
        let remembered = before.map(|era| era.why.clone());
        let why = match (&found.why, self.pinned) {
            (_, Some(_)) => "the configuration says so".to_owned(),
            (Some(why), None) => why.clone(),
            (None, None) => remembered.unwrap_or_else(|| "it was found before".to_owned()),
        };
        let at = match before {
            // Connecting on memory alone proves nothing anew.
            Some(era) if found.why.is_none() => era.at,
            _ => Instant::now(),
        };
        learned.era = Some(Era { speaks: found.speaks, version, why, at, since });
        (learned.failures, learned.failure, learned.not_before) = (0, None, None);
        learned.reached = true;
        is_new
    }

    pub(super) fn forget_era(&self) {
        self.learned().era = None;
    }

    /// Refuses an attempt that would come too early after a failure.
    pub(super) fn wait_out_backoff(&self) -> Result<(), ServerError> {
        let learned = self.learned();
        let wait = learned
            .not_before
            .map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now()));
        match &learned.failure {
            Some(problem) if !wait.is_zero() => Err(ServerError::Start(format!(
                "{problem} (next attempt in {} ms)",
                wait.as_millis()
            ))),
            _ => Ok(()),
        }
    }

    /// An attempt failed; returns whether the problem is a new one.
    pub(super) fn failed(&self, problem: String, backoff: &Backoff) -> bool {
        let mut learned = self.learned();
        learned.failures = learned.failures.saturating_add(1);
        let jitter = f64::from(learned.failures % 7) / 7.0;
        learned.not_before = Some(Instant::now() + backoff.wait(learned.failures, jitter));
        let is_new = learned.failure.as_ref() != Some(&problem);
        learned.failure = Some(problem);
        is_new
    }

    pub(super) fn era(&self) -> Option<EraKnown> {
        let learned = self.learned();
        let era = learned.era.as_ref();
        let speaks = self.pinned.or(era.map(|era| era.speaks))?;
        Some(EraKnown {
            name: speaks.as_str(),
            version: era.map(|era| era.version),
            pinned: self.pinned.is_some(),
            why: era.map_or_else(|| "the configuration says so".to_owned(), |era| era.why.clone()),
            since: era.map_or_else(SystemTime::now, |era| era.since),
        })
    }

    /// Whether it could be reached last, and why not.
    pub(super) fn condition(&self) -> (Condition, Option<String>) {
        let learned = self.learned();
        match &learned.failure {
            Some(problem) => (Condition::Down, Some(problem.clone())),
            None if learned.reached => (Condition::Up, None),
            None => (Condition::Idle, None),
        }
    }
}
