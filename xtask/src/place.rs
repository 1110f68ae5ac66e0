//! Where things are: the repository, the target folder, what was installed below it.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::program::Program;

/// The folders that every chore works in; all absolute.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The repository.
    pub(crate) root: PathBuf,
    /// Cargo's target folder, by default `target` in the repository.
    pub(crate) target: PathBuf,
    /// What `setup` installs.
    pub(crate) tools: PathBuf,
}

impl Place {
    pub(crate) fn find() -> Result<Self> {
        // Read when running, not when compiling: a shared target folder may hold an xtask that was
        // built from another clone.
        let manifest = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest.parent().context("xtask has no parent folder")?.to_path_buf();
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(folder) => std::path::absolute(folder)?,
            None => root.join("target"),
        };
        let tools = target.join("tools");
        Ok(Self { root, target, tools })
    }

    /// The cargo that started this chore, at work in the repository.
    pub(crate) fn cargo(&self) -> Program {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
        Program::new(cargo).folder(&self.root)
    }

    /// The gateway as tests use it.
    pub(crate) fn dev_binary(&self) -> PathBuf {
        self.target.join("debug/portcullis")
    }

    /// Where npm put the real servers, clients and suites.
    pub(crate) fn node_modules(&self) -> PathBuf {
        self.tools.join("node/node_modules")
    }

    /// Where the virtual environment keeps its programs.
    pub(crate) fn venv_bin(&self) -> PathBuf {
        self.tools.join("python/bin")
    }

    /// The folder with one `VERSION/schema.json` for each protocol version: named by
    /// `PORTCULLIS_SCHEMAS`, or shared beside the repository, or else taken from the conformance
    /// suite (which has none for 2024-11-05).
    pub(crate) fn schemas(&self) -> PathBuf {
        if let Some(folder) = env::var_os("PORTCULLIS_SCHEMAS") {
            return std::path::absolute(&folder).unwrap_or_else(|_| PathBuf::from(folder));
        }
        let shared = self.root.join("../shared/schema");
        shared.canonicalize().unwrap_or_else(|_| self.tools.join("extracted/schemas"))
    }
}

/// The first program of that name on `PATH`.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        // Debian keeps servers such as nginx where only root's PATH looks.
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|file| is_executable(file))
}

#[cfg(unix)]
fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(file: &Path) -> bool {
    file.is_file()
}
