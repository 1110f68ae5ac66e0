//! A document as a tree: ordered, with raw numbers, and every value knows its place.
//!
//! All nodes lie in one vector, so that a document of many megabytes is a few allocations, and an
//! id of four bytes names any value. The children of a value lie beside each other in `children`.

use std::collections::HashMap;
use std::fmt;

mod build;
pub(crate) mod edit;
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
    /// An object; of a key that stands twice only the last one is here (see [`Tree::duplicates`]).
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
    /// The outermost value is the first.
    pub(crate) nodes: Vec<Node>,
    pub(crate) children: Vec<Child>,
    /// What the tree was read from, then the scalars and keys that do not stand there as they are
    /// meant (escapes, folded lines). So most texts are kept once.
    pub(crate) texts: String,
    /// Whose text lies where in `texts`; the first is the document itself.
    pub(crate) origins: Vec<Origin>,
    /// The members of large objects, sorted by key, so that looking one up stays cheap.
    pub(crate) indexes: HashMap<NodeId, Box<[u32]>>,
    pub(crate) duplicates: Vec<Duplicate>,
    /// Scalars that are written otherwise than they are meant: `010` means 10, `True` means true.
    pub(crate) written: HashMap<NodeId, (u32, u32)>,
    /// Where a second YAML document begins, which is not read.
    pub(crate) further: Option<u32>,
}

/// A text that was read into a tree.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// What people call it; empty for the document itself, which knows its own name.
    pub(crate) name: String,
    /// Where it begins in `texts`.
    pub(crate) start: u32,
    /// Where its lines begin in `texts`.
    pub(crate) lines: Vec<u32>,
    /// How many of its bytes begin no character, up to each block of [`BLOCK_LEN`] bytes: a document
    /// may be one long line, and counting all of it for each position would never end.
    pub(crate) inner_bytes: Vec<u32>,
}

/// How many bytes are counted at most to find a column.
const BLOCK_LEN: usize = 4096;

impl Origin {
    /// A document's own text; a byte order mark before it is no column.
    pub(crate) fn of(source: &str) -> Self {
        let begin = source.len() - source.trim_start_matches('\u{feff}').len();
        let breaks = source.bytes().enumerate().filter(|&(_, byte)| byte == b'\n');
        let lines =
            std::iter::once(number(begin)).chain(breaks.map(|(at, _)| number(at + 1))).collect();
        let mut sum = 0;
        let blocks = source.as_bytes().chunks(BLOCK_LEN);
        let inner_bytes = blocks.map(|block| {
            let before = sum;
            sum += inner_bytes(block);
            number(before)
        });
        Self { name: String::new(), start: 0, lines, inner_bytes: inner_bytes.collect() }
    }

    /// Line and column of a byte of `texts`, both from 1.
    fn position(&self, texts: &str, offset: u32) -> (u32, u32) {
        let line = self.lines.partition_point(|&start| start <= offset);
        let begin = self.lines.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let inner = self.inner_bytes(texts, offset) - self.inner_bytes(texts, begin);
        let column = (offset as usize).saturating_sub(begin as usize) - inner + 1;
        (number(line.max(1)), number(column))
    }

    /// How many bytes before this one begin no character.
    fn inner_bytes(&self, texts: &str, offset: u32) -> usize {
        let start = self.start as usize;
        let block = (offset as usize - start) / BLOCK_LEN;
        let Some(&before) = self.inner_bytes.get(block) else {
            // Right behind the last block.
            let all = texts.as_bytes().get(start..offset as usize).unwrap_or_default();
            return inner_bytes(all);
        };
        let rest = texts.as_bytes().get(start + block * BLOCK_LEN..offset as usize);
        before as usize + inner_bytes(rest.unwrap_or_default())
    }
}

/// How many bytes of UTF-8 go on with a character.
fn inner_bytes(text: &[u8]) -> usize {
    text.iter().filter(|&&byte| byte & 0b1100_0000 == 0b1000_0000).count()
}

/// A key that stands twice in one object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Duplicate {
    /// The member that counts.
    pub(crate) kept: Child,
    /// Byte offset of the first value that does not.
    pub(crate) dropped: u32,
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
    /// What most often helps.
    pub hint: Option<&'static str>,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// Whether a bound was passed, so that reading it as another format is no use.
    pub(crate) is_limit: bool,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)?;
        self.hint.map_or(Ok(()), |hint| write!(f, " ({hint})"))
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
        let longest = limits.bytes.min(BYTES_MAX);
        if text.len() > longest {
            let message = format!("the document is longer than {longest} bytes");
            return Err(SyntaxError { message, hint: None, line: 1, column: 1, is_limit: true });
        }
        match text.trim_start_matches('\u{feff}').trim_start().as_bytes().first() {
            Some(b'{' | b'[') => json::parse(text, limits).or_else(|error| {
                if error.is_limit {
                    return Err(error);
                }
                // A flow mapping of YAML looks like JSON, too, and allows a last comma.
                yaml::parse(text, limits)
                    .map_err(|other| if other.is_limit { other } else { error })
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

    /// Keys that stand twice in one object: the key, the value that counts, and the line and column
    /// of the first one that does not.
    pub fn duplicates(&self) -> impl Iterator<Item = (&str, Value<'_>, (u32, u32))> {
        self.duplicates.iter().map(|twice| {
            let key = self.text(twice.kept.key_start, twice.kept.key_len);
            (key, self.value(twice.kept.node), self.position(twice.dropped))
        })
    }

    /// Line and column of a second YAML document in the same text, which was not read.
    pub fn further_document(&self) -> Option<(u32, u32)> {
        self.further.map(|offset| self.position(offset))
    }

    /// All values, each before those inside it.
    pub(crate) fn values(&self) -> impl Iterator<Item = Value<'_>> {
        (0..number(self.nodes.len())).map(|node| self.value(NodeId(node)))
    }

    /// Whether some text or key of the document holds `words`.
    pub(crate) fn mentions(&self, words: &str) -> bool {
        self.texts.contains(words)
    }

    fn text(&self, start: u32, len: u32) -> &str {
        &self.texts[start as usize..start as usize + len as usize]
    }

    fn origin(&self, offset: u32) -> &Origin {
        let of_others = &self.origins[1..];
        of_others.iter().rev().find(|origin| origin.start <= offset).unwrap_or(&self.origins[0])
    }

    /// Line and column of a byte of `texts`, both from 1.
    fn position(&self, offset: u32) -> (u32, u32) {
        self.origin(offset).position(&self.texts, offset)
    }
}

/// Longest text whatever the limits say, so that offsets fit into four bytes.
const BYTES_MAX: usize = 1 << 30;

/// Counts, offsets and lines are bounded by the length of the text; see [`BYTES_MAX`].
fn number(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
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

    /// The text of any scalar as it stands in the document, which YAML may read otherwise: `010`.
    pub fn written(self) -> Option<&'t str> {
        match self.tree.written.get(&self.id()) {
            Some((start, len)) => Some(self.tree.text(*start, *len)),
            None => self.scalar(),
        }
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

    /// The values of an object's members or an array's elements, in order.
    pub(crate) fn members(self) -> impl DoubleEndedIterator<Item = Value<'t>> {
        let tree = self.tree;
        self.children().iter().map(move |child| tree.value(child.node))
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

    /// The member `key` of an object.
    pub fn get(self, key: &str) -> Option<Value<'t>> {
        self.child(key).map(|child| self.tree.value(child.node))
    }

    /// The element of an array.
    pub fn element(self, at: usize) -> Option<Value<'t>> {
        let child = self.children().get(at).filter(|_| self.kind() == Kind::Array)?;
        Some(self.tree.value(child.node))
    }

    fn child(self, key: &str) -> Option<&'t Child> {
        if self.kind() != Kind::Object {
            return None;
        }
        let children = self.children();
        let text = |child: &Child| self.tree.text(child.key_start, child.key_len);
        let Some(sorted) = self.tree.indexes.get(&self.id) else {
            return children.iter().find(|child| text(child) == key);
        };
        let at = sorted.binary_search_by(|&at| text(&children[at as usize]).cmp(key)).ok()?;
        children.get(sorted[at] as usize)
    }

    /// The text of the string member `key`.
    pub fn text(self, key: &str) -> Option<&'t str> {
        self.get(key)?.as_str()
    }

    /// The boolean member `key`.
    pub fn flag(self, key: &str) -> Option<bool> {
        self.get(key)?.as_bool()
    }

    /// The last of the values inside it; itself, if there are none.
    pub(crate) fn last_descendant(self) -> NodeId {
        let mut last = self;
        // An alias leads back to a value before it.
        while let Some(child) = last.children().iter().map(|child| child.node).max()
            && child > last.id
        {
            last = self.tree.value(child);
        }
        last.id
    }

    /// Line and column, both from 1; the column counts characters.
    pub fn position(self) -> (u32, u32) {
        self.tree.position(self.node().offset)
    }

    /// The name of the text in which it is written, if it is not the document's own: an overlay's.
    pub fn origin(self) -> Option<&'t str> {
        Some(self.tree.origin(self.node().offset).name.as_str()).filter(|name| !name.is_empty())
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

#[cfg(test)]
mod tests;
