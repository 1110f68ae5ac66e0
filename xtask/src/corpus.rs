//! `cargo xtask corpus`: an independent judge of OpenAPI documents as tools.
//!
//! The judge, `tests/node/corpus.mjs`, shares nothing with the gateway: it reads each document with
//! Prism's reader, makes arguments of the tools' schemas with json-schema-faker, calls the tools with
//! the official client, and lets Prism say whether the request is what the document describes. It
//! also looks for every argument on the wire. This starts it, counts, and says whether enough is
//! right. A call counts if a reference client gets a request to its operation accepted, with values of its
//! own or with the same; what else Prism is wrong about stands in `tests/prism-faults.json`, with
//! proof.

mod bare;
mod report;
mod verdict;

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use self::report::Report;
use self::verdict::{Fault, Verdict};
use crate::place::Place;
use crate::program::Program;
use crate::setup::{self, Tools};
use crate::test::Score;

#[derive(Debug, Default, clap::Args)]
pub(crate) struct Arguments {
    /// The folder of the documents, or of a folder `documents` [default: that of the variable `PORTCULLIS_CORPUS`]
    folder: Option<PathBuf>,
    /// How many operations of each document are called
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    sample: usize,
    /// Only the documents whose file name contains this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Judge this gateway instead of building one
    #[arg(long, value_name = "FILE", conflicts_with = "bare")]
    gateway: Option<PathBuf>,
    /// Judge the crate `openapi` alone, without the gateway before it
    #[arg(long)]
    bare: bool,
    /// Load one document with the crate alone and answer the judge
    #[arg(long, hide = true, value_name = "FILE")]
    bare_document: Option<PathBuf>,
}

pub(crate) fn run(place: &Place, arguments: &Arguments) -> Result<()> {
    if let Some(file) = &arguments.bare_document {
        return bare::serve(file);
    }
    let folder = match &arguments.folder {
        Some(folder) => folder.clone(),
        None => std::env::var_os("PORTCULLIS_CORPUS")
            .map(PathBuf::from)
            .context("name the folder of the documents, or set PORTCULLIS_CORPUS")?,
    };
    let mut files = documents(&folder)?;
    if let Some(only) = &arguments.only {
        files.retain(|it| it.to_string_lossy().contains(only.as_str()));
    }
    if files.is_empty() {
        bail!("there is no document in {}", folder.display());
    }
    let tools = setup::run(place)?;
    if arguments.gateway.is_none() && !arguments.bare {
        place.cargo().args(["build", "--package", "portcullis"]).run()?;
    }
    let out = place.target.join("corpus");
    let begin = Instant::now();
    let verdicts = judge(place, &tools, arguments, &files, &out)?;
    let report = Report::of(&verdicts, &faults(place)?);
    report.print();
    let failures = out.join("failures.txt");
    fs::write(&failures, report.failures())?;
    println!("\n{} s; every failure is in {}", begin.elapsed().as_secs(), failures.display());
    if report.is_enough() { Ok(()) } else { bail!("the targets are missed") }
}

/// The documents of the tests, with a binary that is built already: every call must be right.
pub(crate) fn short(place: &Place, tools: &Tools) -> Result<Score> {
    let files = documents(&place.root.join("tests/openapi"))?;
    let arguments = Arguments { sample: usize::MAX, ..Arguments::default() };
    let verdicts = judge(place, tools, &arguments, &files, &place.target.join("corpus-short"))?;
    let report = Report::of(&verdicts, &faults(place)?);
    let score = report.score();
    if score.failed > 0 {
        report.print();
    }
    Ok(score)
}

/// The documents of a folder, in order.
fn documents(folder: &Path) -> Result<Vec<PathBuf>> {
    let inner = folder.join("documents");
    let folder = if inner.is_dir() { inner } else { folder.to_owned() };
    let entries =
        fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut files = entries.map(|it| Ok(it?.path())).collect::<Result<Vec<_>>>()?;
    let is_document = |it: &PathBuf| {
        it.extension().is_some_and(|it| ["json", "yaml", "yml"].iter().any(|&known| it == known))
    };
    files.retain(is_document);
    files.sort();
    Ok(files)
}

/// Prism's own faults that its answers to the reference client do not show.
fn faults(place: &Place) -> Result<Vec<Fault>> {
    let file = place.root.join("tests/prism-faults.json");
    let text =
        fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not such a list", file.display()))
}

/// Judges the documents, as many at once as there are processors, each in a process of its own: what
/// Prism breaks or forgets is its own affair.
fn judge(
    place: &Place,
    tools: &Tools,
    arguments: &Arguments,
    files: &[PathBuf],
    out: &Path,
) -> Result<Vec<Verdict>> {
    fs::create_dir_all(out)?;
    // A judge that accepts everything proves nothing.
    let check = place.root.join("tests/node/corpus-check.mjs");
    Program::new(&tools.node).arg(check).output()?;
    let next = AtomicUsize::new(0);
    let raw = Mutex::new(File::create(out.join("verdicts.jsonl"))?);
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let work = || -> Result<Vec<Verdict>> {
        let mut verdicts = Vec::new();
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            let line = judge_one(place, tools, arguments, file, out)?;
            let mut raw = raw.lock().expect("nothing panics while it holds the file");
            writeln!(raw, "{line}")?;
            let verdict: Verdict =
                serde_json::from_str(&line).context("the judge writes something unknown")?;
            println!("{}", report::progress(&verdict));
            verdicts.push(verdict);
        }
        Ok(verdicts)
    };
    let all = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let ended = threads.into_iter().map(|it| it.join().expect("judging never panics"));
        ended.collect::<Result<Vec<_>>>()
    })?;
    let mut verdicts: Vec<Verdict> = all.into_iter().flatten().collect();
    verdicts.sort_by(|left, right| left.document.cmp(&right.document));
    Ok(verdicts)
}

/// How long the judge may take for one document.
const DOCUMENT_WAIT: Duration = Duration::from_mins(15);

/// The judge's line on one document.
fn judge_one(
    place: &Place,
    tools: &Tools,
    arguments: &Arguments,
    file: &Path,
    out: &Path,
) -> Result<String> {
    let log = File::options().create(true).append(true).open(out.join("judge.log"))?;
    let program =
        Program::new(&tools.node).arg(place.root.join("tests/node/corpus.mjs")).arg("--sample");
    let program = program.arg(arguments.sample.to_string());
    let program = if arguments.bare {
        program.arg("--bare").arg(std::env::current_exe()?)
    } else {
        let gateway = arguments.gateway.clone().unwrap_or_else(|| place.dev_binary());
        let gateway =
            gateway.canonicalize().with_context(|| format!("no {}", gateway.display()))?;
        program.arg("--gateway").arg(gateway)
    };
    let mut running = program.arg(file).in_group().start(Stdio::piped(), log.into())?;
    let from = running.child.stdout.take().context("the judge has no output")?;
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = BufReader::new(from).read_line(&mut line);
        // Nobody waits any more where the time is over.
        let _ = sender.send(read.map(|_| line));
    });
    let mut line = receiver.recv_timeout(DOCUMENT_WAIT).unwrap_or_else(|_| Ok(String::new()))?;
    if line.trim().is_empty() {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        line = serde_json::json!({"document": name, "error": "the judge gave up"}).to_string();
    }
    Ok(line.trim_end().to_owned())
}
