//! Puts a tree together, in the order of the text and without recursion.
//!
//! Ids are given when a value begins, so a value's descendants are the ids that follow it; its
//! children are moved beside each other when it ends.

use std::collections::HashMap;

use super::{
    Child, Duplicate, Kind, Limits, Node, NodeId, Origin, SyntaxError, Tree, Value, number,
};

/// Objects with more members than this are looked up by a sorted index.
const INDEXED: usize = 16;

/// A stretch of the tree's texts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Text {
    pub(super) start: u32,
    pub(super) len: u32,
}

/// A finished value and how much it is, aliases expanded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    pub(super) node: NodeId,
    pub(super) size: usize,
    /// How long its texts and keys are together.
    pub(super) bytes: usize,
    /// Levels, 1 for a scalar.
    pub(super) height: usize,
}

/// A tree that grows.
pub(super) struct Builder<'l> {
    tree: Tree,
    limits: &'l Limits,
    frames: Vec<Frame>,
    /// Members of the containers that are still open, those of the innermost last.
    pending: Vec<Child>,
    size: usize,
    /// How long the texts are that aliases repeat.
    repeated: usize,
}

struct Frame {
    node: NodeId,
    first: usize,
    key: Text,
    size: usize,
    bytes: usize,
    height: usize,
    merged: Vec<Child>,
}

impl<'l> Builder<'l> {
    pub(super) fn new(source: &str, limits: &'l Limits) -> Self {
        let tree = Tree {
            nodes: Vec::with_capacity((source.len() / 16).min(limits.nodes)),
            children: Vec::with_capacity((source.len() / 16).min(limits.nodes)),
            texts: source.to_owned(),
            origins: vec![Origin::of(source)],
            indexes: HashMap::new(),
            duplicates: Vec::new(),
            written: HashMap::new(),
            further: None,
        };
        Self { tree, limits, frames: Vec::new(), pending: Vec::new(), size: 0, repeated: 0 }
    }

    /// Keeps a text that does not stand in the source as it is meant.
    pub(super) fn keep(&mut self, text: &str) -> Text {
        let start = number(self.tree.texts.len());
        self.tree.texts.push_str(text);
        Text { start, len: number(text.len()) }
    }

    /// As [`Self::keep`], without a copy if the text stands in the source at `at`.
    pub(super) fn keep_at(&mut self, at: usize, text: &str) -> Text {
        if self.tree.texts.as_bytes().get(at..at + text.len()) == Some(text.as_bytes()) {
            return Text { start: number(at), len: number(text.len()) };
        }
        self.keep(text)
    }

    pub(super) fn error(&self, offset: usize, message: impl Into<String>) -> SyntaxError {
        let (line, column) = self.tree.position(number(offset));
        SyntaxError { message: message.into(), hint: None, line, column, is_limit: false }
    }

    /// Line and column of an offset in the source.
    pub(super) fn position(&self, offset: usize) -> (u32, u32) {
        self.tree.position(number(offset))
    }

    /// The key of the next member of the innermost object.
    pub(super) fn key(&mut self, key: Text) {
        if let Some(frame) = self.frames.last_mut() {
            frame.key = key;
        }
    }

    /// A scalar.
    pub(super) fn leaf(
        &mut self,
        kind: Kind,
        offset: usize,
        text: Text,
    ) -> Result<Extent, SyntaxError> {
        let node = self.node(kind, offset, text)?;
        let extent = Extent { node, size: 1, bytes: text.len as usize, height: 1 };
        self.place(extent);
        Ok(extent)
    }

    /// How a scalar is written that is meant otherwise.
    pub(super) fn is_written(&mut self, extent: Extent, text: Text) {
        self.tree.written.insert(extent.node, (text.start, text.len));
    }

    /// A value that belongs to nobody yet: an anchored key.
    pub(super) fn orphan(&mut self, offset: usize, text: Text) -> Result<Extent, SyntaxError> {
        let node = self.node(Kind::String, offset, text)?;
        Ok(Extent { node, size: 1, bytes: text.len as usize, height: 1 })
    }

    /// Begins an array or object.
    pub(super) fn open(&mut self, kind: Kind, offset: usize) -> Result<(), SyntaxError> {
        self.check_depth(1, offset)?;
        let node = self.node(kind, offset, Text::default())?;
        self.frames.push(Frame {
            node,
            first: self.pending.len(),
            key: Text::default(),
            size: 1,
            bytes: 0,
            height: 1,
            merged: Vec::new(),
        });
        Ok(())
    }

    /// Ends the innermost array or object.
    pub(super) fn close(&mut self) -> Option<Extent> {
        let frame = self.frames.pop()?;
        let members = self.pending.split_off(frame.first);
        let is_object = self.tree.nodes[frame.node.0 as usize].kind == Kind::Object;
        if is_object {
            self.tree.set_members(frame.node, members, frame.merged);
        } else {
            self.tree.set_children(frame.node, &members);
        }
        let extent =
            Extent { node: frame.node, size: frame.size, bytes: frame.bytes, height: frame.height };
        self.place(extent);
        Some(extent)
    }

    /// A value that stands elsewhere, too.
    pub(super) fn again(&mut self, extent: Extent, offset: usize) -> Result<(), SyntaxError> {
        self.check_depth(extent.height, offset)?;
        self.count(extent.size, offset)?;
        self.repeated += extent.bytes;
        if self.repeated > self.limits.bytes {
            let message = format!("aliases repeat more than {} bytes", self.limits.bytes);
            return Err(SyntaxError { is_limit: true, ..self.error(offset, message) });
        }
        self.place(extent);
        Ok(())
    }

    /// Makes the member that was added last one that is merged: its own members become members of
    /// the innermost object. Says no if it is neither an object nor a list of objects.
    pub(super) fn merge(&mut self, offset: usize) -> Result<bool, SyntaxError> {
        let Some(&last) = self.pending.last() else { return Ok(false) };
        let value = self.tree.value(last.node);
        let merged: Vec<Child> = match value.kind() {
            Kind::Object => value.children().to_vec(),
            Kind::Array if value.elements().all(|element| element.kind() == Kind::Object) => {
                value.elements().flat_map(|element| element.children().to_vec()).collect()
            }
            _ => return Ok(false),
        };
        self.count(merged.len(), offset)?;
        self.pending.pop();
        if let Some(frame) = self.frames.last_mut() {
            frame.merged.extend(merged);
        }
        Ok(true)
    }

    pub(super) fn value(&self, extent: Extent) -> Value<'_> {
        self.tree.value(extent.node)
    }

    /// Whether the document is nothing but `null`.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.tree.nodes[..], [Node { kind: Kind::Null, .. }])
    }

    /// Whether there is no value yet.
    pub(super) fn is_empty(&self) -> bool {
        self.tree.nodes.is_empty()
    }

    /// Takes back a first value that was an empty document.
    pub(super) fn clear(&mut self) {
        self.tree.nodes.clear();
        self.tree.written.clear();
    }

    pub(super) fn finish(mut self, further: Option<usize>) -> Tree {
        if self.tree.nodes.is_empty() {
            let text = self.keep("null");
            let Text { start, len } = text;
            self.tree.nodes.push(Node { kind: Kind::Null, offset: 0, start, len });
        }
        self.tree.further = further.map(number);
        self.tree.nodes.shrink_to_fit();
        self.tree.children.shrink_to_fit();
        self.tree.texts.shrink_to_fit();
        self.tree
    }

    fn node(&mut self, kind: Kind, offset: usize, text: Text) -> Result<NodeId, SyntaxError> {
        self.count(1, offset)?;
        let node = NodeId(number(self.tree.nodes.len()));
        let Text { start, len } = text;
        self.tree.nodes.push(Node { kind, offset: number(offset), start, len });
        Ok(node)
    }

    fn place(&mut self, extent: Extent) {
        if let Some(frame) = self.frames.last_mut() {
            frame.size += extent.size;
            frame.height = frame.height.max(extent.height + 1);
            let Text { start, len } = std::mem::take(&mut frame.key);
            frame.bytes += extent.bytes + len as usize;
            self.pending.push(Child { node: extent.node, key_start: start, key_len: len });
        }
    }

    fn count(&mut self, more: usize, offset: usize) -> Result<(), SyntaxError> {
        self.size += more;
        if self.size > self.limits.nodes {
            let message = format!("the document has more than {} values", self.limits.nodes);
            return Err(SyntaxError { is_limit: true, ..self.error(offset, message) });
        }
        Ok(())
    }

    fn check_depth(&self, height: usize, offset: usize) -> Result<(), SyntaxError> {
        if self.frames.len() + height > self.limits.depth {
            let message = format!("nested deeper than {} levels", self.limits.depth);
            return Err(SyntaxError { is_limit: true, ..self.error(offset, message) });
        }
        Ok(())
    }
}

impl Tree {
    /// Gives a node its children, which replace those that it had.
    pub(super) fn set_children(&mut self, node: NodeId, children: &[Child]) {
        let start = number(self.children.len());
        self.children.extend_from_slice(children);
        let node = &mut self.nodes[node.0 as usize];
        node.start = start;
        node.len = number(children.len());
    }

    /// Gives an object its members, of equal keys the last one, and those of `merged` whose keys it
    /// does not have itself, of equal keys the first one.
    pub(super) fn set_members(&mut self, node: NodeId, own: Vec<Child>, merged: Vec<Child>) {
        let mut members = self.without_duplicates(own);
        if !merged.is_empty() {
            let mut all = merged;
            // Those that stand later win below, so the first merge must be the last.
            all.reverse();
            all.extend(members.iter().copied());
            let sorted = self.sorted(&all);
            let mut keep = vec![false; all.len()];
            for (at, &member) in sorted.iter().enumerate() {
                let next = sorted.get(at + 1).map(|&next| self.key_of(&all[next as usize]));
                keep[member as usize] = next != Some(self.key_of(&all[member as usize]));
            }
            let merged_len = all.len() - members.len();
            let kept = (0..merged_len).rev().filter(|&at| keep[at]).map(|at| all[at]);
            members.extend(kept.collect::<Vec<_>>());
        }
        self.set_children(node, &members);
        if members.len() > INDEXED {
            let sorted = self.sorted(&members);
            self.indexes.insert(node, sorted.into());
        } else {
            self.indexes.remove(&node);
        }
    }

    fn without_duplicates(&mut self, mut members: Vec<Child>) -> Vec<Child> {
        let has_duplicates = if members.len() <= INDEXED {
            members.iter().enumerate().any(|(at, member)| {
                members[..at].iter().any(|other| self.key_of(other) == self.key_of(member))
            })
        } else {
            let sorted = self.sorted(&members);
            sorted.windows(2).any(|pair| {
                self.key_of(&members[pair[0] as usize]) == self.key_of(&members[pair[1] as usize])
            })
        };
        if !has_duplicates {
            return members;
        }
        let sorted = self.sorted(&members);
        let mut keep = vec![true; members.len()];
        let runs = sorted.chunk_by(|&left, &right| {
            self.key_of(&members[left as usize]) == self.key_of(&members[right as usize])
        });
        let mut duplicates = Vec::new();
        for run in runs {
            let [dropped @ .., kept] = run else { continue };
            for &at in dropped {
                keep[at as usize] = false;
            }
            if let Some(&first) = dropped.first() {
                let first = members[first as usize].node;
                let dropped = self.nodes[first.0 as usize].offset;
                duplicates.push(Duplicate { kept: members[*kept as usize], dropped });
            }
        }
        self.duplicates.extend(duplicates);
        let mut keep = keep.into_iter();
        members.retain(|_| keep.next().unwrap_or(true));
        members
    }

    /// Positions by key; those of equal keys stay in their order.
    fn sorted(&self, members: &[Child]) -> Vec<u32> {
        let mut sorted: Vec<u32> = (0..number(members.len())).collect();
        sorted.sort_by_key(|&at| self.key_of(&members[at as usize]));
        sorted
    }

    pub(super) fn key_of(&self, child: &Child) -> &str {
        self.text(child.key_start, child.key_len)
    }
}
