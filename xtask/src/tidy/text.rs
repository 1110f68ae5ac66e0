//! What files are called and what they may say.

use std::path::Path;

use super::Complaint;

/// A file that fits no head fits no review.
const LINES_MAX: usize = 1000;

/// Names that say nothing: what is it that the file is *for*?
const EMPTY_NAMES: [&str; 8] =
    ["util", "utils", "common", "helper", "helpers", "manager", "misc", "processor"];

/// Words that promise work instead of being it. Each is written in two halves, so that this table
/// does not complain about itself.
const UNFINISHED: [(&str, &str); 6] = [
    ("todo", "!("),
    ("unimple", "mented!("),
    ("FIX", "ME"),
    ("XX", "X"),
    ("TO", "DO"),
    ("for ", "now"),
];

/// Places that exist on one machine only, in halves as above.
const MACHINE_PLACES: [(&str, &str); 4] =
    [("/wo", "rk/"), ("/ro", "ot/"), ("artif", "actory"), ("registry.npm", "js.org")];

/// Complains about what a file is called; `file` is relative to the repository.
pub(super) fn check_name(file: &Path) -> Vec<Complaint> {
    let place = file.display();
    let mut complaints = Vec::new();
    if file.file_name().is_some_and(|name| name == "mod.rs") {
        complaints.push(format!("{place}: call it by its module: foo.rs beside foo/, no mod.rs"));
    }
    for part in file.components() {
        let part = part.as_os_str().to_string_lossy().to_lowercase();
        let stem = part.split('.').next().unwrap_or_default();
        for word in stem.split(['_', '-']) {
            if EMPTY_NAMES.contains(&word) {
                complaints.push(format!("{place}: `{word}` says nothing about what this is for"));
            }
        }
    }
    complaints
}

/// Complains about what a file says.
pub(super) fn check(file: &Path, text: &str) -> Vec<Complaint> {
    let place = file.display();
    let mut complaints = Vec::new();
    let is_rust = file.extension().is_some_and(|extension| extension == "rs");
    if is_rust {
        if !text.starts_with("//! ") {
            complaints
                .push(format!("{place}: the first line is a `//!` sentence: what is it for?"));
        }
        let lines = text.lines().count();
        if lines > LINES_MAX {
            complaints
                .push(format!("{place}: {lines} lines; split what has more than {LINES_MAX}"));
        }
        complaints.extend(check_unsafe(file, text));
    }
    // The lock file names the public index of crates.io on every entry.
    if file.file_name().is_some_and(|name| name == "Cargo.lock") {
        return complaints;
    }
    for (number, line) in (1..).zip(text.lines()) {
        for word in UNFINISHED.iter().map(joined) {
            if contains_word(line, &word) {
                complaints.push(format!("{place}:{number}: `{word}`: finish it or leave it out"));
            }
        }
        for word in MACHINE_PLACES.iter().map(joined) {
            if starts_a_path(line, &word) {
                complaints.push(format!("{place}:{number}: `{word}` exists on one machine only"));
            }
        }
    }
    complaints
}

/// `unsafe` needs the lint lifted with a reason, in the same file.
fn check_unsafe(file: &Path, text: &str) -> Option<Complaint> {
    let block = joined(&("unsa", "fe {"));
    let lifted = joined(&("expect(unsa", "fe_code, reason"));
    (text.contains(&block) && !text.contains(&lifted)).then(|| {
        format!("{}: an unsafe block stands under `#[{lifted} = …)]`, with a test", file.display())
    })
}

fn joined(halves: &(&str, &str)) -> String {
    format!("{}{}", halves.0, halves.1)
}

/// Whether `word` stands in `line` by itself, not inside a longer word.
fn contains_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(is_letter) && (word.ends_with('(') || !after.is_some_and(is_letter))
    })
}

/// Whether `place` stands in `line` as the beginning of a path, not inside a URL or a longer path.
fn starts_a_path(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|char| is_letter(char) || matches!(char, '/' | '.' | '}' | '~'))
    })
}

fn is_letter(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}
