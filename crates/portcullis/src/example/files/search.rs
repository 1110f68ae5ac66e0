//! Searches by name and by text, each with limits on results, on bytes and on time.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::content::is_text;
use super::glob;
use super::tree::{Found, Tree, file_uri};

/// Longest time a search takes; what it has found by then is the result.
const TIME_MAX: Duration = Duration::from_secs(10);
/// Larger files are left out of text searches: they are dumps and archives.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// Most characters of a line that are shown.
const LINE_CHARS: usize = 300;

/// What a search found.
#[derive(Default)]
pub(super) struct Results {
    pub(super) items: Vec<Value>,
    /// Files that were looked into.
    pub(super) files: usize,
    /// Whether there may be more than was found.
    pub(super) truncated: bool,
}

/// What a text search looks for.
pub(super) struct Wanted<'a> {
    pub(super) text: &'a str,
    pub(super) ignore_case: bool,
    /// Pattern of the files to look into.
    pub(super) files: Option<&'a str>,
    pub(super) limit: usize,
}

/// Finds files by a pattern.
pub(super) fn by_name(
    tree: &Tree,
    start: &Path,
    pattern: &str,
    limit: usize,
    cancelled: &CancellationToken,
) -> Results {
    let mut results = Results::default();
    let deadline = Instant::now() + TIME_MAX;
    let complete = tree.walk(start, |found| {
        if cancelled.is_cancelled() || Instant::now() > deadline {
            return false;
        }
        if !glob::matches(pattern, &found.relative) {
            return true;
        }
        if results.items.len() == limit {
            return false;
        }
        results.items.push(json!({
            "path": found.relative,
            "uri": file_uri(&found.path),
            "size": found.size,
        }));
        true
    });
    results.truncated = !complete;
    results
}

/// Finds lines by a text.
pub(super) fn by_text(
    tree: &Tree,
    start: &Path,
    wanted: &Wanted<'_>,
    cancelled: &CancellationToken,
) -> Results {
    let mut results = Results::default();
    let deadline = Instant::now() + TIME_MAX;
    let needle = if wanted.ignore_case { wanted.text.to_lowercase() } else { wanted.text.into() };
    let complete = tree.walk(start, |found| {
        if cancelled.is_cancelled() || Instant::now() > deadline {
            return false;
        }
        let fits = wanted.files.is_none_or(|pattern| glob::matches(pattern, &found.relative));
        if fits && found.size <= FILE_BYTES_MAX {
            // A file that cannot be read, or changes meanwhile, has no matches.
            return search_file(found, &needle, wanted, &mut results).unwrap_or(true);
        }
        true
    });
    results.truncated = !complete;
    results
}

/// Adds the matching lines of one file; false once the limit is reached.
fn search_file(
    found: &Found,
    needle: &str,
    wanted: &Wanted<'_>,
    results: &mut Results,
) -> std::io::Result<bool> {
    let mut file = File::open(&found.path)?;
    if !is_text(&mut file)? {
        return Ok(true);
    }
    file.rewind()?;
    results.files += 1;
    let mut reader = BufReader::new(file.take(FILE_BYTES_MAX));
    let (mut number, mut offset, mut line) = (0_u64, 0_usize, Vec::new());
    loop {
        line.clear();
        let length = reader.read_until(b'\n', &mut line)?;
        if length == 0 {
            return Ok(true);
        }
        number += 1;
        let text = String::from_utf8_lossy(&line);
        let hit = if wanted.ignore_case {
            text.to_lowercase().contains(needle)
        } else {
            text.contains(needle)
        };
        if hit {
            if results.items.len() == wanted.limit {
                return Ok(false);
            }
            let shown: String = text.trim_end().chars().take(LINE_CHARS).collect();
            results.items.push(json!({
                "path": found.relative,
                "line": number,
                "offset": offset,
                "text": shown,
            }));
        }
        offset += length;
    }
}
