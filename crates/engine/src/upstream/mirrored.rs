//! Which arguments of a server's tools are mirrored in `Mcp-Param-*` headers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};

use wire::Object;
use wire::header::{self, HeaderParam};

/// The mirrored arguments of each tool, as last read. Most servers have none.
#[derive(Debug, Default)]
pub(crate) struct Mirrored {
    any: AtomicBool,
    tools: RwLock<HashMap<String, Arc<[HeaderParam]>>>,
}

impl Mirrored {
    /// Learns from a list of tools. Returns the names of tools whose annotations break the rules.
    pub(crate) fn learn<'a>(
        &self,
        tools: impl Iterator<Item = (&'a str, &'a Object)>,
    ) -> Vec<String> {
        let mut broken = Vec::new();
        let mut mirrored = HashMap::new();
        for (name, tool) in tools {
            let Some(schema) = tool.object("inputSchema") else { continue };
            match header::params_of_schema(&schema) {
                Ok(params) if params.is_empty() => {}
                Ok(params) => {
                    mirrored.insert(name.to_owned(), params.into());
                }
                Err(_) => broken.push(name.to_owned()),
            }
        }
        self.any.store(!mirrored.is_empty(), Ordering::Release);
        *self.tools.write().expect("no panic while holding the table") = mirrored;
        broken
    }

    /// The mirrored arguments of a tool, if it has any.
    pub(crate) fn of(&self, tool: &str) -> Option<Arc<[HeaderParam]>> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        self.tools.read().expect("no panic while holding the table").get(tool).cloned()
    }
}
