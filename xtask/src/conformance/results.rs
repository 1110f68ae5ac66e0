//! What the conformance suite leaves in its output folder, and how two runs differ.

use std::collections::BTreeMap;
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

/// How the checks of one scenario ended; `(passed, failed)` by check.
type Checks = BTreeMap<String, (u64, u64)>;

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

    /// How many scenarios pass, or are excepted.
    pub(super) fn as_expected(&self, exceptions: &[String]) -> u64 {
        let counted = self
            .scenarios
            .iter()
            .filter(|(name, checks)| sum(checks).1 == 0 || exceptions.contains(name));
        counted.count() as u64
    }

    /// The scenarios that come out differently in `other`, with what differs.
    pub(super) fn differences<'a>(&'a self, other: &'a Self) -> Vec<Difference> {
        let none = Checks::new();
        let names = self.scenarios.keys().chain(other.scenarios.keys());
        let names: std::collections::BTreeSet<&String> = names.collect();
        names
            .into_iter()
            .filter_map(|name| {
                let here = self.scenarios.get(name).unwrap_or(&none);
                let there = other.scenarios.get(name).unwrap_or(&none);
                let checks: Vec<String> = here
                    .keys()
                    .chain(there.keys().filter(|id| !here.contains_key(*id)))
                    .filter(|id| here.get(*id) != there.get(*id))
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
    pub(super) scenario: String,
    direct: (u64, u64),
    gateway: (u64, u64),
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

fn sum(checks: &Checks) -> (u64, u64) {
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

/// The scenarios that the suite's list of expected failures names for one role, whole or by one
/// of their checks (`scenario:check`).
pub(super) fn exceptions(list: &str, role: &str) -> Vec<String> {
    let mut scenarios = Vec::new();
    let mut current = "";
    for line in list.lines() {
        let line = line.split(" #").next().unwrap_or_default().trim_end();
        if line.starts_with('#') || line.is_empty() {
            continue;
        }
        if let Some(entry) = line.trim_start().strip_prefix("- ") {
            let scenario = entry.split(':').next().unwrap_or_default().trim();
            if current == role && !scenarios.iter().any(|known| known == scenario) {
                scenarios.push(scenario.to_owned());
            }
        } else if let Some((heading, _)) = line.split_once(':') {
            current = heading;
        }
    }
    scenarios
}

#[cfg(test)]
mod tests {
    use super::{Results, exceptions, scenario};

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
        assert!(direct.differences(&results(&[("ping", GOOD), ("tools", GOOD)])).is_empty());

        let through = results(&[("ping", GOOD), ("tools", BAD)]);
        assert_eq!(through.total(), (1, 1));
        let differences = direct.differences(&through);
        assert_eq!(
            differences[0].to_string(),
            "tools is 1/0 directly and 0/1 through the gateway; checks: a"
        );
        assert_eq!(through.as_expected(&[]), 1);
        assert_eq!(through.as_expected(&["tools".to_owned()]), 2);

        let missing = direct.differences(&results(&[("ping", GOOD)]));
        assert_eq!(missing.len(), 1, "a scenario that did not run is a difference");
    }

    #[test]
    fn exceptions_are_read_for_one_role() {
        let list = "# why\nserver:\n  - tasks-lifecycle # reason\n  - stateless:check-a\n  \
                    - stateless:check-b\nclient:\n  - sse-retry\n";
        assert_eq!(exceptions(list, "server"), ["tasks-lifecycle", "stateless"]);
        assert_eq!(exceptions(list, "client"), ["sse-retry"]);
        assert!(exceptions("server: []\n", "server").is_empty());
    }
}
