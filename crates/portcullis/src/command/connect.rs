//! `portcullis connect`: puts the gate into a host's configuration after showing the change, and
//! takes it out again.

use std::fs;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use config::hosts::{self, Edit, Host, Os};
use serde_json::json;
use similar::{ChangeTag, TextDiff};

use super::Verdict;
use super::import::home;
use crate::render;

/// What `portcullis connect` is told.
#[derive(Clone, Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(super) struct ConnectArgs {
    /// claude-desktop, claude-code, cursor, vscode, codex or gemini.
    host: Host,
    /// The endpoint that the host shall use.
    #[arg(long, default_value = "http://127.0.0.1:8080/mcp")]
    url: url::Url,
    /// The name of the gate in the host's list of servers.
    #[arg(long, default_value = "portcullis")]
    name: String,
    /// Write the change without asking.
    #[arg(short, long)]
    yes: bool,
    /// Only show the change.
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Take the gate out again; where nothing else has changed since, the file becomes what it was.
    #[arg(long)]
    undo: bool,
    /// The host's file of this project instead of the user's.
    #[arg(long, value_name = "DIR")]
    project: Option<PathBuf>,
    /// Print what is done as one JSON document, for programs.
    #[arg(long)]
    json: bool,
}

pub(super) fn connect(args: &ConnectArgs) -> anyhow::Result<Verdict> {
    let path = path(args)?;
    let existing = read(&path)?;
    let edit = if args.undo {
        undo(args, &path, existing)?
    } else {
        Some(plan(args, &path, existing.as_deref())?)
    };
    let edit = edit.filter(|edit| edit.before.as_deref() != Some(edit.after.as_str()));
    let Some(edit) = edit else {
        report(args, &path, "unchanged");
        return Ok(Verdict::Fine);
    };
    if !args.json {
        render::text(&preview(&edit));
    }
    if args.dry_run {
        report(args, &path, "previewed");
        return Ok(Verdict::Fine);
    }
    if !args.yes {
        if !io::stdin().is_terminal() {
            bail!(
                "nothing was written: add --yes to write the change, or --dry-run to only show it"
            );
        }
        if !render::confirm(&format!("Write {}?", path.display())) {
            report(args, &path, "declined");
            return Ok(Verdict::Problems);
        }
    }
    write(args, &edit)?;
    report(args, &path, "written");
    Ok(Verdict::Fine)
}

/// The file to change: where a link leads, so that the link stays one.
fn path(args: &ConnectArgs) -> anyhow::Result<PathBuf> {
    let path = match &args.project {
        Some(project) => args
            .host
            .project_file(project)
            .with_context(|| format!("{} has no configuration for a project", args.host))?,
        None => args.host.user_file(&home()?, Os::current()),
    };
    Ok(fs::canonicalize(&path).unwrap_or(path))
}

fn read(path: &Path) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn plan(args: &ConnectArgs, path: &Path, existing: Option<&str>) -> anyhow::Result<Edit> {
    let planned = hosts::plan(args.host, path, existing, args.url.as_str(), &args.name);
    planned.map_err(|found| refused(path, &found))
}

/// The way back: to the very file that was there, unless somebody has changed it since.
fn undo(args: &ConnectArgs, path: &Path, existing: Option<String>) -> anyhow::Result<Option<Edit>> {
    let Some(existing) = existing else { return Ok(None) };
    if let Some(before) = read(&backup(path))? {
        let ours = plan(args, path, Some(&before)).ok();
        if ours.is_some_and(|ours| ours.after == existing) {
            return Ok(Some(Edit { path: path.to_owned(), before: Some(existing), after: before }));
        }
    }
    let removed = hosts::remove(args.host, path, &existing, &args.name);
    removed.map_err(|found| refused(path, &found))
}

fn refused(path: &Path, found: &config::Diagnostic) -> anyhow::Error {
    render::diagnostics(std::slice::from_ref(found));
    anyhow!("{} is left as it is", path.display())
}

/// Where the text before the change is kept.
fn backup(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".before-portcullis");
    path.with_file_name(name)
}

/// Writes the change at once or not at all, and keeps the text before it.
fn write(args: &ConnectArgs, edit: &Edit) -> anyhow::Result<()> {
    let backup = backup(&edit.path);
    if args.undo {
        replace(&edit.path, &edit.after)?;
        return match fs::remove_file(&backup) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", backup.display()))
            }
            _ => Ok(()),
        };
    }
    if let Some(before) = &edit.before {
        replace(&backup, before)?;
    }
    replace(&edit.path, &edit.after)
}

/// Puts a text in the place of a file. The new file has the old one's permissions; where there was
/// none, only its owner reads it, because hosts keep credentials in plain text.
fn replace(path: &Path, text: &str) -> anyhow::Result<()> {
    let written = || -> io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.new", std::process::id()));
        let draft = path.with_file_name(name);
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&draft)?;
        let put = file.write_all(text.as_bytes()).and_then(|()| {
            if let Ok(old) = fs::metadata(path) {
                file.set_permissions(old.permissions())?;
            }
            file.sync_all()?;
            fs::rename(&draft, path)
        });
        if put.is_err() {
            let _ = fs::remove_file(&draft);
        }
        put
    };
    written().with_context(|| format!("cannot write {}", path.display()))
}

fn report(args: &ConnectArgs, path: &Path, done: &str) {
    if args.json {
        render::json(&json!({
            "host": args.host.id(),
            "file": path.display().to_string(),
            "name": args.name,
            "url": args.url.as_str(),
            "undo": args.undo,
            "outcome": done,
        }));
        return;
    }
    let path = path.display();
    render::note(&match (done, args.undo) {
        ("unchanged", false) => format!("{path} has the gate already"),
        ("unchanged", true) => format!("{path} does not have the gate"),
        ("written", false) => format!(
            "wrote {path}; restart {host}, or undo with: portcullis connect {id} --undo",
            host = args.host,
            id = args.host.id()
        ),
        ("written", true) => format!("wrote {path}; restart {}", args.host),
        _ => format!("{path} is left as it is"),
    });
}

// === preview ===

/// The change as a diff of lines. Lines that stay are shown without their values, because those of
/// other servers may be credentials.
fn preview(edit: &Edit) -> String {
    let before = edit.before.as_deref().unwrap_or_default();
    let diff = TextDiff::from_lines(before, &edit.after);
    let path = edit.path.display();
    let mut out = format!(
        "--- {}\n+++ {path}\n",
        if edit.before.is_some() { path.to_string() } else { "/dev/null".to_owned() }
    );
    for group in diff.grouped_ops(1) {
        out.push_str("@@\n");
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let line = change.value().trim_end_matches(['\r', '\n']);
            let (sign, line) = match change.tag() {
                ChangeTag::Equal => (' ', veiled(line)),
                ChangeTag::Delete => ('-', unlike(line, &edit.after)),
                ChangeTag::Insert => ('+', unlike(line, before)),
            };
            out.push(sign);
            out.push_str(&render::visible(&line));
            out.push('\n');
        }
    }
    out
}

/// A line whose value is left out.
fn veiled(line: &str) -> String {
    match line.find([':', '=']) {
        Some(at) if !line[at + 1..].trim_matches([' ', ',', '{', '[']).is_empty() => {
            format!("{} …", &line[..=at])
        }
        _ => line.to_owned(),
    }
}

/// A changed line without the parts that it shares with a line of the other text: a document in one
/// line is changed as a whole, and holds the credentials of every server.
fn unlike(line: &str, other: &str) -> String {
    let shared = |other: &str| {
        let start = line.char_indices().zip(other.chars()).take_while(|((_, a), b)| a == b).count();
        let ends = line.chars().rev().zip(other.chars().rev()).take_while(|(a, b)| a == b).count();
        (start, ends)
    };
    let nearest = other.lines().map(shared).max_by_key(|(start, ends)| start + ends);
    let (start, ends) = nearest.unwrap_or_default();
    let length = line.chars().count();
    let ends = ends.min(length - start.min(length));
    // A short line is shown whole: what it shares is punctuation and indentation.
    if start + ends < 60 {
        return line.to_owned();
    }
    let shared: String = line.chars().take(start).collect();
    let key = shared.find([':', '=']).map_or("", |at| &shared[..=at]);
    let own: String = line.chars().skip(start).take(length - start - ends).collect();
    format!("{key} …{own}{}", if ends == 0 { "" } else { "…" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(before: &str, after: &str) -> Edit {
        Edit { path: "f.json".into(), before: Some(before.into()), after: after.into() }
    }

    #[test]
    fn a_preview_shows_no_credentials_of_others() {
        let many = preview(&edit(
            "{\n  \"env\": \"s3cret\",\n  \"x\": {\n  }\n}\n",
            "{\n  \"env\": \"s3cret\",\n  \"new\": 1,\n  \"x\": {\n  }\n}\n",
        ));
        assert_eq!(
            many,
            "--- f.json\n+++ f.json\n@@\n   \"env\": …\n+  \"new\": 1,\n   \"x\": {\n"
        );
        let one =
            "{\"mcpServers\":{\"a\":{\"env\":{\"TOKEN\":\"s3cret-s3cret-s3cret-s3cret-s3cret\"}}";
        let text = preview(&edit(&format!("{one}}}}}"), &format!("{one},\"portcullis\":{{}}}}}}")));
        assert!(!text.contains("s3cret") && text.contains("portcullis"), "{text}");
    }
}
