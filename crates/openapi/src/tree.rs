//! A document as a tree: ordered, with raw numbers, and every value knows its place.
//!
//! All nodes lie in one vector, so that a document of many megabytes is a few allocations, and an
//! id of four bytes names any value. Children follow in `children`; the keys of objects in `keys`.

use std::fmt;
use std::sync::Arc;

mod json;
mod yaml;

/// Names one value of one tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(crate) u32);

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool,
    /// A number; its text is kept.
    Number,
    /// A text.
    String,
    /// A list.
    Array,
    /// An object; a key that stands twice stands here twice, and the last one counts.
    Object,
}

/// One value in the arena.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    /// Byte offset of the value in the text.
    pub(crate) offset: u32,
    /// Scalars: range in `texts`; arrays and objects: range in `children`.
    pub(crate) start: u32,
    pub(crate) len: u32,
}

/// One member of an array or object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Child {
    pub(crate) node: NodeId,
    /// Range of the key in `texts`; empty for elements of arrays.
    pub(crate) key_start: u32,
    pub(crate) key_len: u32,
}

/// A whole document.
#[derive(Clone)]
pub struct Tree {
    pub(crate) nodes: Vec<Node>,
    pub(crate) children: Vec<Child>,
    /// The texts of scalars and keys, decoded, one after the other.
    pub(crate) texts: String,
    /// Byte offsets at which lines begin.
    pub(crate) lines: Vec<u32>,
    /// The text it was read from, for columns.
    pub(crate) source: Arc<str>,
    /// Keys that stand twice in one object: where.
    pub(crate) duplicates: Vec<NodeId>,
}

/// Bounds of a document.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest text in bytes.
    pub bytes: usize,
    /// Deepest nesting.
    pub depth: usize,
    /// Most values, aliases expanded.
    pub nodes: usize,
}

impl Default for Limits {
    /// 64 MiB, 200 levels, 8 million values.
    fn default() -> Self {
        Self { bytes: 64 << 20, depth: 200, nodes: 8_000_000 }
    }
}

/// Why a text is no tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// What is wrong.
    pub message: String,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for SyntaxError {}

/// One value of a tree, to look at.
#[derive(Clone, Copy)]
pub struct Value<'t> {
    tree: &'t Tree,
    id: NodeId,
}

impl Tree {
    /// Reads JSON, or YAML where the text is none.
    pub fn parse(text: &str, limits: &Limits) -> Result<Self, SyntaxError> {
        if text.len() > limits.bytes {
            let message = format!("the document is longer than {} bytes", limits.bytes);
            return Err(SyntaxError { message, line: 1, column: 1 });
        }
        match text.trim_start_matches('\u{feff}').trim_start().as_bytes().first() {
            Some(b'{' | b'[') => json::parse(text, limits).or_else(|error| {
                // A flow mapping of YAML looks like JSON, too.
                yaml::parse(text, limits).map_err(|_| error)
            }),
            _ => yaml::parse(text, limits),
        }
    }

    /// The outermost value.
    pub fn root(&self) -> Value<'_> {
        Value { tree: self, id: NodeId(0) }
    }

    /// The value that an id names.
    pub fn value(&self, id: NodeId) -> Value<'_> {
        Value { tree: self, id }
    }

    /// Values whose key stood in the same object before.
    pub fn duplicates(&self) -> impl Iterator<Item = Value<'_>> {
        self.duplicates.iter().map(|&id| self.value(id))
    }

    fn text(&self, start: u32, len: u32) -> &str {
        &self.texts[start as usize..(start + len) as usize]
    }
}

impl<'t> Value<'t> {
    fn node(self) -> &'t Node {
        &self.tree.nodes[self.id.0 as usize]
    }

    /// The id.
    pub fn id(self) -> NodeId {
        self.id
    }

    /// What it is.
    pub fn kind(self) -> Kind {
        self.node().kind
    }

    /// The text of a string.
    pub fn as_str(self) -> Option<&'t str> {
        let node = self.node();
        (node.kind == Kind::String).then(|| self.tree.text(node.start, node.len))
    }

    /// The text of any scalar: a string's own, a number as written, `true`, `false` or `null`.
    pub fn scalar(self) -> Option<&'t str> {
        let node = self.node();
        let is_scalar = !matches!(node.kind, Kind::Array | Kind::Object);
        is_scalar.then(|| self.tree.text(node.start, node.len))
    }

    /// The value of a boolean.
    pub fn as_bool(self) -> Option<bool> {
        (self.kind() == Kind::Bool).then(|| self.scalar() == Some("true"))
    }

    /// The members of an object, in order; none of anything else.
    pub fn entries(self) -> impl DoubleEndedIterator<Item = (&'t str, Value<'t>)> {
        let is_object = self.kind() == Kind::Object;
        let tree = self.tree;
        self.children()
            .iter()
            .filter(move |_| is_object)
            .map(move |child| (tree.text(child.key_start, child.key_len), tree.value(child.node)))
    }

    /// The elements of an array, in order; none of anything else.
    pub fn elements(self) -> impl DoubleEndedIterator<Item = Value<'t>> {
        let is_array = self.kind() == Kind::Array;
        let tree = self.tree;
        self.children().iter().filter(move |_| is_array).map(move |child| tree.value(child.node))
    }

    /// How many members or elements there are.
    pub fn len(self) -> usize {
        self.children().len()
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    fn children(self) -> &'t [Child] {
        let node = self.node();
        match node.kind {
            Kind::Array | Kind::Object => {
                let start = node.start as usize;
                &self.tree.children[start..start + node.len as usize]
            }
            _ => &[],
        }
    }

    /// The member `key` of an object; the last one, if it stands there twice.
    pub fn get(self, key: &str) -> Option<Value<'t>> {
        self.entries().rev().find(|(own, _)| *own == key).map(|(_, value)| value)
    }

    /// The text of the string member `key`.
    pub fn text(self, key: &str) -> Option<&'t str> {
        self.get(key)?.as_str()
    }

    /// The boolean member `key`.
    pub fn flag(self, key: &str) -> Option<bool> {
        self.get(key)?.as_bool()
    }

    /// Line and column, both from 1; the column counts characters.
    pub fn position(self) -> (u32, u32) {
        let offset = self.node().offset;
        let line = self.tree.lines.partition_point(|&start| start <= offset);
        let start = self.tree.lines.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let before = self.tree.source.get(start as usize..offset as usize).unwrap_or_default();
        let column = before.chars().count() + 1;
        (u32::try_from(line.max(1)).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
    }

    /// Appends the value as JSON text.
    pub fn write_json(self, out: &mut Vec<u8>) {
        match self.kind() {
            Kind::String => wire::json::write_string(out, self.as_str().unwrap_or_default()),
            Kind::Null | Kind::Bool | Kind::Number => {
                out.extend_from_slice(self.scalar().unwrap_or("null").as_bytes());
            }
            Kind::Array => {
                out.push(b'[');
                for (at, element) in self.elements().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    element.write_json(out);
                }
                out.push(b']');
            }
            Kind::Object => {
                out.push(b'{');
                for (at, (key, value)) in self.entries().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    wire::json::write_string(out, key);
                    out.push(b':');
                    value.write_json(out);
                }
                out.push(b'}');
            }
        }
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::new();
        self.write_json(&mut text);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree").field("nodes", &self.nodes.len()).finish_non_exhaustive()
    }
}
