//! The rules of this repository that no compiler knows, checked as ordinary Rust.
//!
//! Each rule is one function from what it looks at to complaints, so that its test can show it a
//! culprit: a rule that never complains proves nothing.

mod crates;
mod text;

#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::place::Place;

/// One broken rule: where and what to do.
pub(crate) type Complaint = String;

/// Checks everything and prints each complaint on a line of its own.
pub(crate) fn run(place: &Place) -> Result<()> {
    let complaints = check(&place.root)?;
    for complaint in &complaints {
        println!("tidy: {complaint}");
    }
    match complaints.len() {
        0 => Ok(()),
        count => bail!("{count} house rules are broken"),
    }
}

fn check(root: &Path) -> Result<Vec<Complaint>> {
    let mut complaints = crates::check(root)?;
    let mut files = Vec::new();
    walk(root, Path::new(""), &mut files)?;
    files.sort();
    for file in files {
        let bytes = fs::read(root.join(&file))
            .with_context(|| format!("cannot read {}", file.display()))?;
        complaints.extend(text::check_name(&file));
        // Images and recorded binary fixtures are not ours to read.
        if let Ok(text) = String::from_utf8(bytes) {
            complaints.extend(text::check(&file, &text));
        }
    }
    Ok(complaints)
}

/// All files of the repository, relative to its root, without what git ignores.
fn walk(root: &Path, folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    const SKIPPED: [&str; 4] = [".git", "target", "node_modules", "__pycache__"];
    let entries = fs::read_dir(root.join(folder))
        .with_context(|| format!("cannot list {}", root.join(folder).display()))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        if SKIPPED.iter().any(|skipped| name == *skipped) {
            continue;
        }
        let path = folder.join(&name);
        let kind = entry.file_type()?;
        if kind.is_dir() {
            walk(root, &path, files)?;
        } else if kind.is_file() {
            files.push(path);
        }
    }
    Ok(())
}
