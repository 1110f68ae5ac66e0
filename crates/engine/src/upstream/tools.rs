//! What has to be known of a server's tools before they are called, as last read.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use wire::Object;
use wire::header::{self, HeaderParam};
use wire::shape::older::{self, Output};

/// Whether a tool of 2025-11-25 is called as a task (`execution.taskSupport`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum TaskSupport {
    /// It must not be.
    #[default]
    Forbidden,
    /// As the client likes.
    Optional,
    /// It must be.
    Required,
}

/// What is special about one tool.
#[derive(Clone, Debug)]
struct Special {
    /// The arguments that are mirrored in `Mcp-Param-*` headers.
    mirrored: Arc<[HeaderParam]>,
    output: Output,
    task: TaskSupport,
}

/// The tools that are special. Most servers have none.
#[derive(Debug, Default)]
pub(crate) struct Tools {
    any: AtomicBool,
    /// The epoch of the server's lists at the last reading, plus one; zero before the first.
    read_at: AtomicU64,
    special: RwLock<HashMap<String, Special>>,
}

impl Tools {
    /// Learns from a list of tools. Returns the names of tools whose annotations break the rules.
    pub(crate) fn learn<'a>(
        &self,
        tools: impl Iterator<Item = (&'a str, &'a Object)>,
    ) -> Vec<String> {
        let mut broken = Vec::new();
        // What is not in this list may be in one that other clients are shown.
        let mut special = self.special.write().expect("no panic while holding the table");
        for (name, tool) in tools {
            let schema = tool.object("inputSchema");
            let mirrored = match schema.as_ref().map(header::params_of_schema) {
                Some(Ok(params)) => params,
                Some(Err(_)) => {
                    broken.push(name.to_owned());
                    Vec::new()
                }
                None => Vec::new(),
            };
            let (output, task) = (older::output_of(tool), task_support(tool));
            let plain = mirrored.is_empty()
                && !matches!(output, Output::Wrapped)
                && task == TaskSupport::Forbidden;
            if plain {
                special.remove(name);
            } else {
                let mirrored = mirrored.into();
                special.insert(name.to_owned(), Special { mirrored, output, task });
            }
        }
        self.any.store(!special.is_empty(), Ordering::Release);
        broken
    }

    /// Whether the lists may have changed since `epoch`, and nobody has begun to read them again.
    pub(crate) fn begin_reading(&self, epoch: u64) -> bool {
        self.read_at.swap(epoch + 1, Ordering::AcqRel) != epoch + 1
    }

    /// The reading failed: the next one who needs it begins another.
    pub(crate) fn reading_failed(&self) {
        self.read_at.store(0, Ordering::Release);
    }

    fn of<T>(&self, tool: &str, read: impl Fn(&Special) -> T) -> Option<T> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        self.special.read().expect("no panic while holding the table").get(tool).map(read)
    }

    /// The mirrored arguments of a tool, if it has any.
    pub(crate) fn mirrored(&self, tool: &str) -> Option<Arc<[HeaderParam]>> {
        let mirrored = self.of(tool, |special| Arc::clone(&special.mirrored))?;
        (!mirrored.is_empty()).then_some(mirrored)
    }

    /// What is known of a tool's structured results.
    pub(crate) fn output(&self, tool: &str) -> Output {
        self.of(tool, |special| special.output).unwrap_or(Output::Unknown)
    }

    /// Whether a tool is called as a task.
    pub(crate) fn task(&self, tool: &str) -> TaskSupport {
        self.of(tool, |special| special.task).unwrap_or_default()
    }
}

fn task_support(tool: &Object) -> TaskSupport {
    let execution = tool.object("execution");
    match execution.as_ref().and_then(|execution| execution.text("taskSupport")).as_deref() {
        Some("required") => TaskSupport::Required,
        Some("optional") => TaskSupport::Optional,
        _ => TaskSupport::Forbidden,
    }
}
