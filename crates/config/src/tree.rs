//! A document as a tree in which every key and value knows its place.
//!
//! Serde stops at the first problem; walking this tree finds all of them, each with line and
//! column. YAML, JSON (with the comments and trailing commas that hosts allow) and TOML become
//! the same tree.

use std::ops::Range;

pub(crate) mod json;
pub(crate) mod toml;
pub(crate) mod yaml;

/// How deep a document may nest. A configuration needs eight levels; the rest is air, and the
/// recursion of the readers stays far from the end of the stack.
pub(crate) const DEPTH_MAX: usize = 64;

/// How many nodes a document may have once aliases are expanded. Ten thousand servers with ten
/// settings each fit; an alias bomb does not.
pub(crate) const NODES_MAX: usize = 200_000;

/// A value with its place.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) range: Range<usize>,
    pub(crate) value: Value,
}

/// What a node holds. Numbers keep their text: the reader of the field knows what it wants.
#[derive(Clone)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(String),
    String(String),
    Sequence(Vec<Node>),
    Mapping(Vec<Entry>),
}

/// One key of a mapping, with its value.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_range: Range<usize>,
    pub(crate) node: Node,
}

/// Why a text is no tree.
#[derive(Debug)]
pub(crate) struct SyntaxError {
    pub(crate) kind: SyntaxErrorKind,
    pub(crate) range: Range<usize>,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SyntaxErrorKind {
    Syntax,
    DuplicateKey,
    TooLarge,
}

// === impl Node ===

impl Node {
    pub(crate) fn new(range: Range<usize>, value: Value) -> Self {
        Self { range, value }
    }

    /// A string that stands at the place of something that was written differently.
    pub(crate) fn string(range: Range<usize>, text: impl Into<String>) -> Self {
        Self::new(range, Value::String(text.into()))
    }

    /// What the value is, in the words of a reader.
    pub(crate) fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
        }
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Mapping(entries) => entries,
            _ => &[],
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    /// The text of a scalar as somebody would type it in an environment variable.
    pub(crate) fn scalar(&self) -> Option<String> {
        match &self.value {
            Value::Bool(value) => Some(value.to_string()),
            Value::Number(text) | Value::String(text) => Some(text.clone()),
            Value::Null | Value::Sequence(_) | Value::Mapping(_) => None,
        }
    }
}

// === impl SyntaxError ===

impl SyntaxError {
    pub(crate) fn new(range: Range<usize>, message: impl Into<String>) -> Self {
        Self { kind: SyntaxErrorKind::Syntax, range, message: message.into(), hint: None }
    }

    pub(crate) fn duplicate(range: Range<usize>, key: &str) -> Self {
        Self {
            kind: SyntaxErrorKind::DuplicateKey,
            range,
            message: format!("`{key}` is written twice in the same mapping"),
            hint: Some("keep one of the two".to_owned()),
        }
    }

    pub(crate) fn too_large(range: Range<usize>, message: impl Into<String>) -> Self {
        Self { kind: SyntaxErrorKind::TooLarge, range, message: message.into(), hint: None }
    }
}
