//! Installs what the tests need: each part pinned, cached below the target folder, done once.
//!
//! The pins live where their own tools look for them: `tests/node/package.json` (with the Node
//! that runs it all) and `tests/python/requirements.txt`. A part is finished when its stamp holds
//! exactly the pins that it was installed from, so a second run does no work, and a changed pin
//! installs that part anew.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::place::{Place, on_path};
use crate::program::Program;

const EXTRACT: &str = include_str!("setup/extract.mjs");

/// What the rest of the chores start.
#[derive(Debug)]
pub(crate) struct Tools {
    /// A Node of at least 22.19.
    pub(crate) node: PathBuf,
}

/// Installs everything that is not there yet.
pub(crate) fn run(place: &Place) -> Result<Tools> {
    fs::create_dir_all(&place.tools)
        .with_context(|| format!("cannot create {}", place.tools.display()))?;
    // Two runs at once would install into the same folders: the second waits for the first.
    let lock = File::create(place.tools.join("setup.lock"))?;
    lock.lock().context("cannot lock the tools folder")?;

    let (node, python) = std::thread::scope(|scope| {
        let node = scope.spawn(|| node_packages(place));
        let python = scope.spawn(|| python_packages(place));
        (
            node.join().expect("installing never panics"),
            python.join().expect("installing never panics"),
        )
    });
    node?;
    python?;
    debian_package("git", "git", "mcp-server-git cannot read repositories without it");
    link_node_modules(place)?;
    Ok(Tools { node: node_program(place)? })
}

/// Debian's nginx, the yardstick of the bench; only the bench needs it.
pub(crate) fn nginx() -> Result<PathBuf> {
    debian_package("nginx", "nginx-light", "the bench has nothing to compare with");
    on_path("nginx").context("nginx is not installed (Debian package nginx-light)")
}

// === Parts ===

fn node_packages(place: &Place) -> Result<()> {
    let pins = read(&place.root.join("tests/node/package.json"))?;
    let folder = place.tools.join("node");
    install(place, "node", "Node and npm packages", &format!("{pins}\n{EXTRACT}"), || {
        let npm = on_path("npm").context("npm is not on PATH: install Node 20 or newer")?;
        fresh(&folder)?;
        fs::write(folder.join("package.json"), &pins)?;
        // No package needs its install scripts, so none may run.
        Program::new(npm)
            .args(["install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"])
            .arg("--prefix")
            .arg(&folder)
            .folder(&folder)
            .output()?;
        let extracted = place.tools.join("extracted");
        fresh(&extracted)?;
        Program::new(node_program(place)?)
            .arg(place.root.join("xtask/src/setup/extract.mjs"))
            .arg(place.node_modules())
            .arg(&extracted)
            .output()?;
        Ok(())
    })
}

fn python_packages(place: &Place) -> Result<()> {
    let requirements = place.root.join("tests/python/requirements.txt");
    let pins = read(&requirements)?;
    let folder = place.tools.join("python");
    install(place, "python", "Python packages", &pins, || {
        let python = python_program()?;
        fresh(&folder)?;
        if let Err(error) = Program::new(&python).args(["-m", "venv"]).arg(&folder).output() {
            bail!("{error:#}\nhint: on Debian the package python3-venv carries what is missing");
        }
        Program::new(folder.join("bin/python"))
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--requirement",
            ])
            .arg(&requirements)
            .output()?;
        Ok(())
    })
}

/// Runs `work` unless the stamp says that these very pins are installed.
fn install(
    place: &Place,
    part: &str,
    what: &str,
    pins: &str,
    work: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let stamp = place.tools.join(format!("{part}.stamp"));
    let is_current = fs::read_to_string(&stamp).is_ok_and(|installed| installed == pins);
    if is_current && place.tools.join(part).is_dir() {
        return Ok(());
    }
    println!("setup: installing {what} …");
    let begin = Instant::now();
    // An installation that breaks off must never look finished.
    if stamp.exists() {
        fs::remove_file(&stamp)?;
    }
    work().with_context(|| format!("cannot install {what}"))?;
    fs::write(&stamp, pins)?;
    println!("setup: {what} installed in {} s", begin.elapsed().as_secs());
    Ok(())
}

/// Installs a Debian package if its program is missing and we may; says loudly when it cannot.
fn debian_package(program: &str, package: &str, without: &str) {
    if on_path(program).is_some() {
        return;
    }
    let installed = (|| {
        if !is_root() {
            bail!("not root");
        }
        let apt = on_path("apt-get").context("this is not Debian")?;
        println!("setup: installing the Debian package {package} …");
        let install = || {
            Program::new(&apt)
                .env("DEBIAN_FRONTEND", "noninteractive")
                .args(["install", "--yes", "--no-install-recommends", package])
                .output()
        };
        // A fresh machine has no package lists yet.
        install().or_else(|_| {
            Program::new(&apt).arg("update").output()?;
            install()
        })
    })();
    if let Err(error) = installed {
        println!("SKIPPED: the Debian package {package} is missing ({error:#}); {without}");
    }
}

/// Node resolves imports from where a script lies, so the scripts in `tests/node` need the
/// packages beside them.
fn link_node_modules(place: &Place) -> Result<()> {
    let link = place.root.join("tests/node/node_modules");
    let packages = place.node_modules();
    if fs::read_link(&link).is_ok_and(|target| target == packages) {
        return Ok(());
    }
    if link.is_symlink() {
        fs::remove_file(&link)?;
    }
    std::os::unix::fs::symlink(&packages, &link)
        .with_context(|| format!("cannot link {} to {}", link.display(), packages.display()))
}

// === Programs ===

/// The portable Node of the npm packages, or, on a machine that those do not know, its own.
fn node_program(place: &Place) -> Result<PathBuf> {
    let system = match std::env::consts::OS {
        "macos" => "darwin",
        system => system,
    };
    let processor = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    };
    let portable = place.node_modules().join(format!("node-{system}-{processor}/bin/node"));
    if portable.is_file() {
        return Ok(portable);
    }
    let own = on_path("node").context("node is not on PATH: install Node 22.19 or newer")?;
    let version = Program::new(&own).arg("--version").output()?;
    let mut numbers = version.trim().trim_start_matches('v').split('.').map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= (22, 19) => Ok(own),
        _ => {
            bail!("{} is {}, but the tests need Node 22.19 or newer", own.display(), version.trim())
        }
    }
}

fn python_program() -> Result<PathBuf> {
    const NAMES: [&str; 5] = ["python3", "python3.13", "python3.12", "python3.11", "python3.10"];
    let recent_enough = "import sys; sys.exit(sys.version_info < (3, 10))";
    NAMES
        .iter()
        .filter_map(|name| on_path(name))
        .find(|python| Program::new(python).args(["-c", recent_enough]).output().is_ok())
        .context("no Python of at least 3.10 is on PATH")
}

fn is_root() -> bool {
    Program::new("id").arg("-u").output().is_ok_and(|id| id.trim() == "0")
}

// === Files ===

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

fn fresh(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))
}
