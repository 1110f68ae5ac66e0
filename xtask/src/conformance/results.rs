//! What the conformance suite leaves in its output folder, and how two runs differ.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// The suite writes a check for each thing it looked at; only these members matter here.
#[derive(Debug, Deserialize)]
struct Check {
    id: String,
    status: String,
}

/// How often a check passed and failed.
type Counts = (u64, u64);

/// How the checks of one scenario ended.
type Checks = BTreeMap<String, Counts>;

/// All scenarios of one run.
#[derive(Debug, Default)]
pub(super) struct Results {
    scenarios: BTreeMap<String, Checks>,
}

impl Results {
    /// Reads `OUT/[server-]SCENARIO-TIMESTAMP/checks.json`, however deep a scenario's name nests
    /// its folder (`auth/…`).
    pub(super) fn read(out: &Path) -> Result<Self> {
        let mut results = Self::default();
        results.read_folder(out, "")?;
        Ok(results)
    }

    fn read_folder(&mut self, folder: &Path, above: &str) -> Result<()> {
        let entries =
            fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            if !entry.file_type()?.is_dir() {
                continue;
            }
            let name = format!("{above}{}", entry.file_name().to_string_lossy());
            let file = entry.path().join("checks.json");
            if file.is_file() {
                self.add(scenario(&name), &fs::read(&file)?)
                    .with_context(|| format!("cannot read {}", file.display()))?;
            } else {
                self.read_folder(&entry.path(), &format!("{name}/"))?;
            }
        }
        Ok(())
    }

    fn add(&mut self, scenario: &str, checks: &[u8]) -> Result<()> {
        let counts = self.scenarios.entry(scenario.to_owned()).or_default();
        for check in serde_json::from_slice::<Vec<Check>>(checks)? {
            let (passed, failed) = counts.entry(check.id).or_default();
            match check.status.as_str() {
                "SUCCESS" => *passed += 1,
                "FAILURE" => *failed += 1,
                // What is only information, a warning or left out is not scored.
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.scenarios.is_empty()
    }

    /// Checks passed and failed in the whole run.
    pub(super) fn total(&self) -> (u64, u64) {
        self.scenarios.values().map(sum).fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1))
    }

    /// How many scenarios pass, or have exceptions.
    pub(super) fn as_expected(&self, exceptions: &Exceptions) -> u64 {
        let counted = self
            .scenarios
            .iter()
            .filter(|(name, checks)| sum(checks).1 == 0 || exceptions.concern(name));
        counted.count() as u64
    }

    /// The scenarios that come out differently in `other`, with the checks that differ and may not.
    pub(super) fn differences(&self, other: &Self, exceptions: &Exceptions) -> Vec<Difference> {
        self.compare(other, exceptions, |here, there| here != there)
    }

    /// The scenarios that come out worse in `other`. What does not arise there is worse than what
    /// passes here.
    pub(super) fn losses(&self, other: &Self, exceptions: &Exceptions) -> Vec<Difference> {
        self.compare(other, exceptions, |here, there| there.0 < here.0 || there.1 > here.1)
    }

    fn compare(
        &self,
        other: &Self,
        exceptions: &Exceptions,
        matters: impl Fn(Counts, Counts) -> bool,
    ) -> Vec<Difference> {
        let none = Checks::new();
        let names = self.scenarios.keys().chain(other.scenarios.keys());
        let names: BTreeSet<&String> = names.collect();
        names
            .into_iter()
            .filter_map(|name| {
                let here = self.scenarios.get(name).unwrap_or(&none);
                let there = other.scenarios.get(name).unwrap_or(&none);
                let ids: BTreeSet<&String> = here.keys().chain(there.keys()).collect();
                let count = |checks: &Checks, id| checks.get(id).copied().unwrap_or_default();
                let checks: Vec<String> = ids
                    .into_iter()
                    .filter(|id| matters(count(here, *id), count(there, *id)))
                    .filter(|id| !exceptions.cover(name, id))
                    .cloned()
                    .collect();
                (!checks.is_empty()).then(|| Difference {
                    scenario: name.clone(),
                    direct: sum(here),
                    gateway: sum(there),
                    checks,
                })
            })
            .collect()
    }
}

/// One scenario that the gateway changes.
#[derive(Debug)]
pub(super) struct Difference {
    scenario: String,
    direct: Counts,
    gateway: Counts,
    checks: Vec<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is {}/{} directly and {}/{} through the gateway; checks: {}",
            self.scenario,
            self.direct.0,
            self.direct.1,
            self.gateway.0,
            self.gateway.1,
            self.checks.join(", ")
        )
    }
}

fn sum(checks: &Checks) -> Counts {
    checks.values().fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1))
}

/// The scenario's name without the role before it and the time stamp after it.
fn scenario(folder: &str) -> &str {
    const STAMP: &str = "-2026-11-25T15-37-36-378Z";
    let name = match folder.len().checked_sub(STAMP.len()) {
        Some(end) if folder.ends_with('Z') && folder.is_char_boundary(end) => &folder[..end],
        _ => folder,
    };
    name.strip_prefix("server-").unwrap_or(name)
}

/// What the suite's list of expected failures names for one role: scenarios, as a whole or by one
/// of their checks (`scenario:check`).
#[derive(Debug, Default)]
pub(super) struct Exceptions {
    /// A scenario, with the check if it is only that.
    entries: Vec<(String, Option<String>)>,
}

impl Exceptions {
    pub(super) fn read(list: &str, role: &str) -> Self {
        let mut entries = Vec::new();
        let mut current = "";
        for line in list.lines() {
            let line = line.split(" #").next().unwrap_or_default().trim_end();
            if line.starts_with('#') || line.is_empty() {
                continue;
            }
            if let Some(entry) = line.trim_start().strip_prefix("- ") {
                if current == role {
                    let (scenario, check) = match entry.split_once(':') {
                        Some((scenario, check)) => (scenario, Some(check.to_owned())),
                        None => (entry, None),
                    };
                    entries.push((scenario.to_owned(), check));
                }
            } else if let Some((heading, _)) = line.split_once(':') {
                current = heading;
            }
        }
        Self { entries }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether any of them is about the scenario.
    fn concern(&self, scenario: &str) -> bool {
        self.entries.iter().any(|(named, _)| named == scenario)
    }

    /// Whether the check of the scenario may come out differently.
    fn cover(&self, scenario: &str, check: &str) -> bool {
        let covers = |only: &Option<String>| only.as_ref().is_none_or(|only| only == check);
        self.entries.iter().any(|(named, only)| named == scenario && covers(only))
    }
}

#[cfg(test)]
mod tests {
    use super::{Exceptions, Results, scenario};

    fn results(checks: &[(&str, &str)]) -> Results {
        let mut results = Results::default();
        for (scenario, checks) in checks {
            results.add(scenario, checks.as_bytes()).unwrap();
        }
        results
    }

    const GOOD: &str = r#"[{"id":"a","status":"SUCCESS"},{"id":"b","status":"INFO"}]"#;
    const BAD: &str = r#"[{"id":"a","status":"FAILURE"},{"id":"b","status":"INFO"}]"#;

    #[test]
    fn folders_are_named_by_role_scenario_and_time() {
        assert_eq!(scenario("server-tools-list-2026-11-25T15-37-35-708Z"), "tools-list");
        assert_eq!(scenario("auth/basic-2026-11-25T15-37-35-708Z"), "auth/basic");
    }

    #[test]
    fn equal_runs_do_not_differ_and_others_name_the_check() {
        let direct = results(&[("ping", GOOD), ("tools", GOOD)]);
        let none = Exceptions::default();
        let same = results(&[("ping", GOOD), ("tools", GOOD)]);
        assert!(direct.differences(&same, &none).is_empty());

        let through = results(&[("ping", GOOD), ("tools", BAD)]);
        assert_eq!(through.total(), (1, 1));
        let differences = direct.differences(&through, &none);
        assert_eq!(
            differences[0].to_string(),
            "tools is 1/0 directly and 0/1 through the gateway; checks: a"
        );
        assert_eq!(through.as_expected(&none), 1);

        let missing = direct.differences(&results(&[("ping", GOOD)]), &none);
        assert_eq!(missing.len(), 1, "a scenario that did not run is a difference");
    }

    #[test]
    fn what_is_excepted_may_differ_and_nothing_else() {
        let direct = results(&[("ping", GOOD), ("tools", GOOD)]);
        let through = results(&[("ping", GOOD), ("tools", BAD)]);
        for list in ["server:\n  - tools\n", "server:\n  - tools:a\n"] {
            let exceptions = Exceptions::read(list, "server");
            assert!(direct.differences(&through, &exceptions).is_empty(), "{list}");
            assert_eq!(through.as_expected(&exceptions), 2, "{list}");
        }
        let other = Exceptions::read("server:\n  - tools:b\n", "server");
        assert_eq!(direct.differences(&through, &other).len(), 1);
    }

    #[test]
    fn across_eras_only_what_is_worse_counts() {
        let more = r#"[{"id":"a","status":"SUCCESS"},{"id":"b","status":"SUCCESS"}]"#;
        let (good, better) = (results(&[("tools", GOOD)]), results(&[("tools", more)]));
        let none = Exceptions::default();
        assert_eq!(good.differences(&better, &none).len(), 1);
        assert!(good.losses(&better, &none).is_empty());
        assert_eq!(better.losses(&good, &none)[0].checks, ["b"], "a check that does not arise");
        assert_eq!(good.losses(&results(&[("tools", BAD)]), &none)[0].checks, ["a"]);
    }

    #[test]
    fn exceptions_are_read_for_one_role() {
        let list = "# why\nserver:\n  - tasks-lifecycle # reason\n  - stateless:check-a\n  \
                    - stateless:check-b\nclient:\n  - sse-retry\n";
        let server = Exceptions::read(list, "server");
        assert_eq!(server.len(), 3);
        assert!(server.concern("stateless") && !server.concern("sse-retry"));
        assert!(server.cover("tasks-lifecycle", "any") && server.cover("stateless", "check-b"));
        assert!(!server.cover("stateless", "check-c"));
        assert_eq!(Exceptions::read(list, "client").len(), 1);
        assert_eq!(Exceptions::read("server: []\n", "server").len(), 0);
    }
}
