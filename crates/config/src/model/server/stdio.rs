//! A server that is a process of the gate.

use std::{collections::BTreeMap, path::PathBuf};

use schemars::JsonSchema;

use crate::{
    diagnostic::Code,
    model::{
        server::{looks_secret, read_texts, warn_literal},
        word::words,
    },
    secret::Resolved,
    tree::{Entry, Node},
    units::Duration,
    walk::{Cx, Fields, Read},
};

/// A process of the gate that speaks over its standard streams.
#[derive(Clone, Debug, PartialEq, JsonSchema)]
pub struct Stdio {
    /// The program, found as the shell would find it. References are replaced here, too, though
    /// what they stand for is shown in logs.
    pub command: String,
    /// Its arguments. No shell takes part: nothing needs quoting.
    #[serde(default)]
    pub args: Vec<Resolved>,
    /// What it finds in its environment besides `PATH`, `HOME`, the locale and the temporary
    /// directory. Nothing else of the gate's environment is passed on.
    #[serde(default)]
    pub env: BTreeMap<String, Resolved>,
    /// The directory it starts in; a relative one starts at the configuration file. References
    /// are replaced here, too. The default is the directory of the gate.
    #[serde(default)]
    pub cwd: Option<PathBuf>,
    /// When it is started.
    #[serde(default)]
    pub start: Start,
    /// How many processes run at once, when sessions have their own.
    #[serde(default = "default_processes")]
    pub processes: usize,
    /// How long to wait before a process that failed is started again.
    #[serde(default)]
    pub restart: Restart,
}

words! {
    /// When a process is started.
    Start {
        /// With the first call that needs it.
        #[default]
        Lazy = "lazy",
        /// With the gate.
        Eager = "eager",
    }
}

/// How long to wait before a process that failed is started again: at first `initial`, then twice
/// as long each time, at most `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Restart {
    /// The first pause.
    pub initial: Duration,
    /// The longest pause.
    pub max: Duration,
}

/// The keys of a process.
pub(super) const KEYS: &[&str] =
    &["command", "args", "env", "cwd", "start", "processes", "restart"];

const fn default_processes() -> usize {
    8
}

// === impl Stdio ===

impl Stdio {
    /// A process with the default settings.
    pub fn new(command: impl Into<String>) -> Self {
        Self {
            command: command.into(),
            args: Vec::new(),
            env: BTreeMap::new(),
            cwd: None,
            start: Start::Lazy,
            processes: default_processes(),
            restart: Restart::default(),
        }
    }

    pub(super) fn read(fields: &mut Fields<'_>, cx: &mut Cx<'_>) -> Option<Self> {
        let command = fields.node("command").and_then(|node| read_command(node, cx));
        let mut stdio = Self::new(command.clone().unwrap_or_default());
        fields.set("args", &mut stdio.args, cx);
        if let Some(node) = fields.node("env") {
            stdio.env = read_env(node, cx).unwrap_or_default();
        }
        if let Some(node) = fields.node("cwd") {
            let path = cx.text(node).filter(|path| !path.expose().is_empty());
            stdio.cwd = path.map(|path| cx.base.join(path.expose()));
        }
        fields.set("start", &mut stdio.start, cx);
        fields.set_in("processes", &mut stdio.processes, 1..=10_000, cx);
        fields.set("restart", &mut stdio.restart, cx);
        command.map(|_| stdio)
    }
}

fn read_command(node: &Node, cx: &mut Cx<'_>) -> Option<String> {
    let command = cx.text(node)?.expose().to_owned();
    if command.trim().is_empty() {
        cx.report(cx.problem(Code::InvalidValue, &node.range, "a command cannot be empty"));
        return None;
    }
    // `npx -y server` in one string is the commonest mistake: no shell splits it.
    if let Some((program, _)) = command.split_once(' ')
        && !command.contains(['/', '\\'])
    {
        let message = format!("`{command}` is not the name of a program");
        let problem = cx.problem(Code::InvalidValue, &node.range, message);
        cx.report(problem.hint(format!(
            "no shell splits it: write `command: {program}` and the rest as a list in `args`"
        )));
        return None;
    }
    Some(command)
}

fn read_env(node: &Node, cx: &mut Cx<'_>) -> Option<BTreeMap<String, Resolved>> {
    let env = read_texts(node, "`env`", check_variable, cx)?;
    for entry in node.entries() {
        if let Some(text) = env.get(&entry.key).filter(|_| looks_secret(&entry.key)) {
            warn_literal(&entry.node, text, &entry.key, cx);
        }
    }
    Some(env)
}

fn check_variable(entry: &Entry, cx: &mut Cx<'_>) -> bool {
    let sound = !entry.key.is_empty() && !entry.key.contains(['=', '\0']);
    if !sound {
        let message = format!("`{}` is not a name of an environment variable", entry.key);
        cx.report(cx.problem(Code::InvalidName, &entry.key_range, message));
    }
    sound
}

// === impl Restart ===

impl Default for Restart {
    fn default() -> Self {
        Self { initial: Duration::millis(500), max: Duration::secs(30) }
    }
}

impl Read for Restart {
    fn read(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let mut restart = Self::default();
        let mut fields = Fields::of(node, "`restart`", cx)?;
        let range = Duration::millis(10)..=Duration::hours(1);
        fields.set_in("initial", &mut restart.initial, range.clone(), cx);
        fields.set_in("max", &mut restart.max, range, cx);
        fields.finish(cx);
        if restart.initial > restart.max {
            let message = "the first pause is longer than the longest";
            let problem = cx.problem(Code::OutOfRange, &node.range, message);
            cx.report(problem.hint("lower `initial` or raise `max`"));
            return None;
        }
        Some(restart)
    }
}
