//! `portcullis import`: the servers that AI hosts on this machine have, as a configuration.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use config::Diagnostic;
use config::hosts::{self, Host, HostFile, ImportedServer, Os, Scope};
use serde_json::json;

use super::Verdict;
use crate::render;

/// What `portcullis import` is told.
#[derive(Clone, Debug, Args)]
pub(super) struct ImportArgs {
    /// claude-desktop, claude-code, cursor, vscode, codex or gemini; without it, every host that
    /// has a configuration here.
    #[arg(value_name = "HOST")]
    host: Option<Host>,
    /// Every host, which is also what happens without HOST.
    #[arg(long, conflicts_with = "host")]
    all: bool,
    /// Read this file instead of those where the host keeps its configuration.
    #[arg(long, value_name = "PATH", requires = "host")]
    from: Option<PathBuf>,
    /// Write the configuration into this new file instead of printing it.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print what was found as one JSON document, for programs.
    #[arg(long, conflicts_with = "output")]
    json: bool,
}

pub(super) fn import(args: &ImportArgs) -> anyhow::Result<Verdict> {
    let mut servers = Vec::new();
    let mut broken = false;
    let files = files(args)?;
    for file in &files {
        let text = fs::read_to_string(&file.path)
            .with_context(|| format!("cannot read {}", file.path.display()))?;
        let imported = hosts::import(file.host, &text, &file.path);
        broken |= imported.diagnostics.iter().any(Diagnostic::refuses);
        if !args.json {
            render::diagnostics(&imported.diagnostics);
        }
        servers.extend(imported.servers);
    }
    if args.json {
        let found: Vec<_> = servers.iter().map(as_json).collect();
        render::json(
            &json!({ "files": files.iter().map(|file| file.path.display().to_string()).collect::<Vec<_>>(), "servers": found }),
        );
    } else {
        write(args.output.as_deref(), &servers, &files)?;
    }
    Ok(if broken { Verdict::Problems } else { Verdict::Fine })
}

/// The files to read: the one that is named, or all that exist.
fn files(args: &ImportArgs) -> anyhow::Result<Vec<HostFile>> {
    if let (Some(host), Some(path)) = (args.host, &args.from) {
        return Ok(vec![HostFile { host, scope: Scope::User, path: path.clone() }]);
    }
    let project = std::env::current_dir().ok();
    let mut files = hosts::host_files(&home()?, project.as_deref(), Os::current());
    files.retain(|file| args.host.is_none_or(|host| host == file.host));
    let looked: Vec<_> = files.iter().map(|file| file.path.display().to_string()).collect();
    files.retain(|file| file.path.is_file());
    if files.is_empty() {
        bail!("no host has a configuration here; looked for {}", looked.join(", "));
    }
    Ok(files)
}

fn write(output: Option<&Path>, servers: &[ImportedServer], files: &[HostFile]) -> io::Result<()> {
    let yaml = hosts::to_yaml(servers);
    match output {
        None => render::text(&yaml),
        Some(path) => create_private(path, &yaml).map_err(|error| {
            let hint = match error.kind() {
                io::ErrorKind::AlreadyExists => "; choose another name or remove it first",
                _ => "",
            };
            io::Error::new(error.kind(), format!("cannot write {}: {error}{hint}", path.display()))
        })?,
    }
    let mut counts: BTreeMap<Host, usize> = BTreeMap::new();
    for server in servers {
        *counts.entry(server.host).or_default() += 1;
    }
    for file in files {
        let count = counts.remove(&file.host);
        if let Some(count) = count {
            render::note(&format!("{}: {count} servers", file.host));
        }
    }
    if let Some(path) = output {
        let path = path.display();
        render::note(&format!(
            "wrote {path}; next: portcullis check {path} && portcullis run {path}"
        ));
    }
    Ok(())
}

/// Makes a file that only its owner reads, because hosts keep credentials in plain text.
fn create_private(path: &Path, text: &str) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text.as_bytes())
}

fn as_json(server: &ImportedServer) -> serde_json::Value {
    json!({
        "name": server.name,
        "originalName": server.original_name,
        "host": server.host.id(),
        "project": server.project,
        "warnings": server.warnings.iter().map(Diagnostic::to_json).collect::<Vec<_>>(),
    })
}

/// The home directory, where hosts keep their files.
pub(super) fn home() -> anyhow::Result<PathBuf> {
    std::env::home_dir()
        .filter(|home| home.is_absolute())
        .context("the home directory is not known; set HOME, or name the file")
}
