//! What is written to the log, and how.

use schemars::JsonSchema;

use crate::{
    model::word::words,
    tree::Node,
    walk::{Cx, Fields, Read},
};

/// What is written to the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// The least severe events that are written.
    pub level: LogLevel,
    /// The form of a line.
    pub format: LogFormat,
}

words! {
    /// The severity of an event in the log.
    LogLevel {
        /// Only what needs somebody.
        Error = "error",
        /// What may need somebody soon, too.
        Warn = "warn",
        /// What changes, too: servers, reloads, sessions, and each call.
        #[default]
        Info = "info",
        /// What helps to find a fault, too.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
}

words! {
    /// The form of a line in the log.
    LogFormat {
        /// `pretty` on a terminal, `json` otherwise.
        #[default]
        Auto = "auto",
        /// For people.
        Pretty = "pretty",
        /// One JSON object a line.
        Json = "json",
    }
}

impl Read for Log {
    fn read(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let mut log = Self::default();
        let mut fields = Fields::of(node, "`log`", cx)?;
        fields.set("level", &mut log.level, cx);
        fields.set("format", &mut log.format, cx);
        fields.finish(cx);
        Some(log)
    }
}
