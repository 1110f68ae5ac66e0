//! Which crate may use which: imports point down only.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::Complaint;

/// Each crate of ours with the crates of ours that it may use; the table of ARCHITECTURE.md.
const MAY_USE: [(&str, &[&str]); 10] = [
    ("wire", &[]),
    ("config", &["policy"]),
    ("policy", &["wire"]),
    ("openapi", &["wire"]),
    ("store", &["policy", "config", "wire"]),
    ("engine", &["store", "openapi", "policy", "config", "wire"]),
    ("control", &["engine", "store"]),
    ("telemetry", &["store"]),
    (
        "portcullis",
        &["wire", "config", "policy", "openapi", "store", "engine", "control", "telemetry"],
    ),
    ("testkit", &["wire"]),
];

/// Reads the manifest of each crate below `crates/` and compares it with the table.
pub(super) fn check(root: &Path) -> Result<Vec<Complaint>> {
    let folder = root.join("crates");
    let mut complaints = Vec::new();
    let mut names = Vec::new();
    for entry in
        fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?
    {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    for name in names {
        let manifest = folder.join(&name).join("Cargo.toml");
        let text = fs::read_to_string(&manifest)
            .with_context(|| format!("cannot read {}", manifest.display()))?;
        complaints.extend(check_manifest(&name, &text));
    }
    Ok(complaints)
}

/// Complains about each crate of ours that the crate `name` uses and may not.
pub(super) fn check_manifest(name: &str, manifest: &str) -> Vec<Complaint> {
    let Some((_, allowed)) = MAY_USE.iter().find(|(known, _)| *known == name) else {
        return vec![format!(
            "crates/{name} is not in the table of xtask/src/tidy/crates.rs: add it there and to \
             ARCHITECTURE.md, with what it may use"
        )];
    };
    let used = uses(manifest);
    used.iter()
        .filter(|used| !allowed.contains(&used.name.as_str()))
        // Tests may play any part with the testkit.
        .filter(|used| !(used.for_tests && used.name == "testkit"))
        .map(|used| {
            format!(
                "crates/{name}/Cargo.toml: {name} may not use {}: imports point down only \
                 (it may use: {})",
                used.name,
                if allowed.is_empty() { "none of ours".to_owned() } else { allowed.join(", ") },
            )
        })
        .collect()
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Use {
    name: String,
    for_tests: bool,
}

/// The crates of ours that a manifest names in any of its dependency tables.
///
/// Our manifests write one dependency a line, or one a table; a full TOML parser would tell no
/// more about them.
fn uses(manifest: &str) -> BTreeSet<Use> {
    let mut used = BTreeSet::new();
    let mut table = "";
    for line in manifest.lines() {
        let line = line.trim();
        if let Some(heading) = line.strip_prefix('[') {
            table = heading.trim_end_matches(']').trim();
            if let Some((parent, name)) = table.rsplit_once('.')
                && parent.ends_with("dependencies")
            {
                remember(&mut used, parent, name);
            }
        } else if table.ends_with("dependencies")
            && let Some((key, value)) = line.split_once('=')
        {
            let name = key.trim().split('.').next().unwrap_or_default();
            remember(&mut used, table, name);
            // `alias = { package = "portcullis-wire", … }`
            if let Some((_, package)) = value.split_once("package") {
                let package = package.split('"').nth(1).unwrap_or_default();
                remember(&mut used, table, package);
            }
        }
    }
    used
}

fn remember(used: &mut BTreeSet<Use>, table: &str, name: &str) {
    let name = name.trim().trim_matches('"');
    let name = name.strip_prefix("portcullis-").unwrap_or(name);
    if MAY_USE.iter().any(|(ours, _)| *ours == name) {
        used.insert(Use { name: name.to_owned(), for_tests: table.contains("dev-dependencies") });
    }
}
