//! The directory that is served, and the only way from a path or URI of a client to a file.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use url::Url;

use super::content::mime_by_name;
use crate::example::server::{Failure, Page};

/// Resources on a page.
const PAGE: usize = 100;
/// Most entries that one walk looks at: a few hundred milliseconds on a usual disk.
const WALK_ENTRIES_MAX: usize = 100_000;
/// Deepest directory that a walk enters.
const WALK_DEPTH_MAX: usize = 64;
/// Most entries of one directory that are looked at.
const DIRECTORY_ENTRIES_MAX: usize = 20_000;

/// A directory whose outside cannot be reached, nor what is hidden in it: entries whose names begin with
/// a dot are where programs keep their settings and keys.
pub(super) struct Tree {
    /// Canonical: absolute, without symbolic links.
    root: PathBuf,
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

/// A file that a walk found.
pub(super) struct Found {
    pub(super) path: PathBuf,
    /// Relative to the root, parts joined by slashes.
    pub(super) relative: String,
    pub(super) size: u64,
}

impl Tree {
    pub(super) fn below(directory: &Path) -> std::io::Result<Self> {
        let root = directory.canonicalize()?;
        std::fs::read_dir(&root)?;
        Ok(Self { root })
    }

    /// The file or directory at a relative path. Where the path leads outside, through `..` or a
    /// symbolic link, it is reported like one that does not exist.
    pub(super) fn resolve(&self, path: &str) -> Result<PathBuf, String> {
        let relative = path.trim_start_matches('/');
        self.inside(&self.root.join(relative)).ok_or_else(|| {
            format!(
                "argument `path`: there is no `{path}` here; list_directory shows what there is"
            )
        })
    }

    /// The file at a URI.
    pub(super) fn resolve_uri(&self, uri: &str) -> Option<PathBuf> {
        let url = Url::parse(uri).ok().filter(|url| url.scheme() == "file")?;
        let plain = url.query().is_none() && url.fragment().is_none();
        let path = url.to_file_path().ok().filter(|_| plain)?;
        self.inside(&path).filter(|path| path.is_file())
    }

    fn inside(&self, path: &Path) -> Option<PathBuf> {
        let real = path.canonicalize().ok()?;
        let below = real.strip_prefix(&self.root).ok()?;
        below.iter().all(|part| !is_hidden(part)).then_some(real)
    }

    /// The URI of the root, with a slash at the end.
    pub(super) fn base_uri(&self) -> String {
        Url::from_directory_path(&self.root).map(String::from).expect("the root is absolute")
    }

    /// The entries of a directory, directories first, and whether there are more than `limit`.
    pub(super) fn entries(&self, path: &str, limit: usize) -> Result<(Vec<Value>, bool), String> {
        let directory = self.resolve(path)?;
        let entries = std::fs::read_dir(&directory)
            .map_err(|error| format!("argument `path`: cannot list `{path}`: {error}"))?;
        let mut all: Vec<_> = entries
            .flatten()
            .take(DIRECTORY_ENTRIES_MAX)
            .filter(|entry| !is_hidden(&entry.file_name()))
            .filter_map(|entry| {
                let kind = entry.file_type().ok()?;
                let (order, kind) = match kind {
                    kind if kind.is_dir() => (0, "directory"),
                    kind if kind.is_file() => (1, "file"),
                    kind if kind.is_symlink() => (1, "link"),
                    _ => (1, "other"),
                };
                let size = if kind == "file" { entry.metadata().ok()?.len() } else { 0 };
                Some((order, entry.file_name().to_string_lossy().into_owned(), kind, size))
            })
            .collect();
        all.sort();
        let truncated = all.len() > limit;
        all.truncate(limit);
        let entry = |(_, name, kind, size)| json!({ "name": name, "kind": kind, "size": size });
        Ok((all.into_iter().map(entry).collect(), truncated))
    }

    /// Visits the files below `start` in the order of their paths, until `visit` returns false. It does
    /// not follow symbolic links, and leaves out what is hidden and files whose names are no text. Returns
    /// whether it came to the end.
    pub(super) fn walk(&self, start: &Path, mut visit: impl FnMut(&Found) -> bool) -> bool {
        let mut budget = WALK_ENTRIES_MAX;
        self.walk_below(start, 0, &mut budget, &mut visit)
    }

    fn walk_below(
        &self,
        directory: &Path,
        depth: usize,
        budget: &mut usize,
        visit: &mut impl FnMut(&Found) -> bool,
    ) -> bool {
        if directory.is_file() {
            let size = directory.metadata().map_or(0, |metadata| metadata.len());
            return self.found(directory.to_owned(), size).is_none_or(|found| visit(&found));
        }
        let Ok(entries) = std::fs::read_dir(directory) else { return true };
        let mut entries: Vec<_> = entries.flatten().take(DIRECTORY_ENTRIES_MAX).collect();
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let Some(left) = budget.checked_sub(1) else { return false };
            *budget = left;
            let Ok(kind) = entry.file_type() else { continue };
            if is_hidden(&entry.file_name()) {
                continue;
            }
            if kind.is_dir() {
                let enter = depth < WALK_DEPTH_MAX;
                if enter && !self.walk_below(&entry.path(), depth + 1, budget, visit) {
                    return false;
                }
            } else if kind.is_file() {
                let size = entry.metadata().map_or(0, |metadata| metadata.len());
                if self.found(entry.path(), size).is_some_and(|found| !visit(&found)) {
                    return false;
                }
            }
        }
        true
    }

    fn found(&self, path: PathBuf, size: u64) -> Option<Found> {
        let relative = path.strip_prefix(&self.root).ok()?.to_str()?.to_owned();
        Some(Found { path, relative, size })
    }

    /// The page of resources after the one that `cursor` names.
    pub(super) fn page(&self, cursor: Option<&str>) -> Result<Page, Failure> {
        let after = cursor.map(read_cursor).transpose()?;
        let mut resources = Vec::new();
        let mut last = String::new();
        let complete = self.walk(&self.root, |found| {
            // Paths compare part by part, which is the order of the walk.
            let seen = after.as_deref().is_some_and(|after| Path::new(&found.relative) <= after);
            if seen {
                return true;
            }
            if resources.len() == PAGE {
                return false;
            }
            last.clone_from(&found.relative);
            resources.push(resource(found));
            true
        });
        let more = !complete && resources.len() == PAGE;
        Ok(Page { resources, next_cursor: more.then(|| URL_SAFE_NO_PAD.encode(&last)) })
    }

    /// Paths that start with `typed`; directories end with a slash.
    pub(super) fn complete(&self, typed: &str) -> Vec<String> {
        let (parent, prefix) = typed.rsplit_once('/').unwrap_or(("", typed));
        let start = if typed.contains('/') { format!("{parent}/") } else { String::new() };
        let Ok((entries, _)) = self.entries(parent, DIRECTORY_ENTRIES_MAX) else {
            return Vec::new();
        };
        entries
            .iter()
            .filter_map(|entry| {
                let name = entry["name"].as_str().filter(|name| name.starts_with(prefix))?;
                let slash = if entry["kind"] == "directory" { "/" } else { "" };
                Some(format!("{start}{name}{slash}"))
            })
            .collect()
    }
}

/// The definition of a file as a resource. The list opens no file, so only the name tells the type.
fn resource(found: &Found) -> Value {
    let mut resource = json!({
        "uri": file_uri(&found.path),
        "name": found.relative,
        "size": found.size,
    });
    if let Some(mime_type) = mime_by_name(&found.path) {
        resource["mimeType"] = mime_type.into();
    }
    resource
}

/// The URI of a file that was found.
pub(super) fn file_uri(path: &Path) -> String {
    Url::from_file_path(path).map(String::from).expect("found files have absolute paths")
}

fn read_cursor(cursor: &str) -> Result<PathBuf, Failure> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
    let path = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    path.map(PathBuf::from).ok_or_else(|| {
        Failure::Invalid(
            "`cursor` was not made by this server; list again without a cursor".to_owned(),
        )
    })
}
