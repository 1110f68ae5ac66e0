//! Changes to a tree: what overlays do.
//!
//! A change puts new values at the end of the arena and leaves the old ones behind; a copy at the
//! end drops them and brings the ids back into the order of the text.

use std::collections::{HashMap, HashSet};

use super::{Child, Kind, Limits, Node, NodeId, Origin, Tree, Value, number};

/// The tree would have more values, or nest deeper, than is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLarge;

impl Tree {
    /// A copy in which every value belongs to one other alone, and nothing lies unused.
    pub(crate) fn tidied(&self, limits: &Limits) -> Result<Self, TooLarge> {
        self.copied(self.root(), limits)
    }

    /// A tree of one value of this tree, with all texts where they are here.
    pub(crate) fn copied(&self, value: Value<'_>, limits: &Limits) -> Result<Self, TooLarge> {
        let mut copy = Self {
            nodes: Vec::with_capacity(self.nodes.len()),
            children: Vec::with_capacity(self.children.len()),
            texts: self.texts.clone(),
            origins: self.origins.clone(),
            indexes: HashMap::new(),
            duplicates: Vec::new(),
            written: HashMap::new(),
            further: None,
        };
        copy.add(value, 0, limits)?;
        Ok(copy)
    }

    /// Makes the text of another tree one of this tree's; gives how far its texts moved.
    pub(crate) fn adopt(&mut self, other: &Self, name: &str) -> u32 {
        let shift = number(self.texts.len());
        self.texts.push_str(&other.texts);
        let Origin { lines, inner_bytes, .. } = &other.origins[0];
        self.origins.push(Origin {
            name: name.to_owned(),
            start: shift,
            lines: lines.iter().map(|line| line + shift).collect(),
            inner_bytes: inner_bytes.clone(),
        });
        shift
    }

    /// Merges `update` into `target`: objects member by member, arrays one after the other; anything
    /// else takes the place of what is there.
    pub(crate) fn merge(
        &mut self,
        target: NodeId,
        update: Value<'_>,
        shift: u32,
        limits: &Limits,
    ) -> Result<(), TooLarge> {
        let mut pairs = vec![(target, update)];
        while let Some((target, update)) = pairs.pop() {
            let mut children = self.value(target).children().to_vec();
            match (self.value(target).kind(), update.kind()) {
                (Kind::Object, Kind::Object) => {
                    for child in update.children() {
                        let new = update.tree.value(child.node);
                        let key = update.tree.key_of(child);
                        match children.iter_mut().find(|old| self.key_of(old) == key) {
                            Some(old) if merges(self.value(old.node).kind(), new.kind()) => {
                                pairs.push((old.node, new));
                            }
                            Some(old) => old.node = self.add(new, shift, limits)?,
                            None => children.push(Child {
                                node: self.add(new, shift, limits)?,
                                key_start: child.key_start + shift,
                                key_len: child.key_len,
                            }),
                        }
                    }
                    self.set_members(target, children, Vec::new());
                }
                (Kind::Array, kind) => {
                    let added: Vec<_> = match kind {
                        Kind::Array => update.elements().collect(),
                        _ => vec![update],
                    };
                    for element in added {
                        let node = self.add(element, shift, limits)?;
                        children.push(Child { node, key_start: 0, key_len: 0 });
                    }
                    self.set_children(target, &children);
                }
                _ => {
                    let new = self.add(update, shift, limits)?;
                    self.nodes[target.0 as usize] = self.nodes[new.0 as usize].clone();
                    if let Some(index) = self.indexes.remove(&new) {
                        self.indexes.insert(target, index);
                    }
                    match self.written.remove(&new) {
                        Some(written) => self.written.insert(target, written),
                        None => self.written.remove(&target),
                    };
                }
            }
            if self.children.len() > limits.nodes {
                return Err(TooLarge);
            }
        }
        Ok(())
    }

    /// Removes values from the container in which they are.
    pub(crate) fn remove(&mut self, parent: NodeId, removed: &HashSet<NodeId>) {
        let mut children = self.value(parent).children().to_vec();
        children.retain(|child| !removed.contains(&child.node));
        if self.value(parent).kind() == Kind::Object {
            self.set_members(parent, children, Vec::new());
        } else {
            self.set_children(parent, &children);
        }
    }

    /// Puts a copy of a value of another tree, whose texts moved by `shift`, at the end.
    fn add(&mut self, value: Value<'_>, shift: u32, limits: &Limits) -> Result<NodeId, TooLarge> {
        struct Open<'t> {
            copy: NodeId,
            rest: std::slice::Iter<'t, Child>,
            members: Vec<Child>,
        }
        let from = value.tree;
        let root = self.add_node(value, shift, limits)?;
        let open = |copy, value: Value<'_>| Open {
            copy,
            rest: from.value(value.id).children().iter(),
            members: Vec::with_capacity(value.len()),
        };
        let mut stack = vec![open(root, value)];
        while let Some(top) = stack.last_mut() {
            if let Some(child) = top.rest.next() {
                let value = from.value(child.node);
                let node = self.add_node(value, shift, limits)?;
                let key_start = child.key_start + shift;
                top.members.push(Child { node, key_start, key_len: child.key_len });
                if matches!(value.kind(), Kind::Array | Kind::Object) {
                    stack.push(open(node, value));
                }
                if stack.len() > limits.depth {
                    return Err(TooLarge);
                }
            } else if let Some(Open { copy, members, .. }) = stack.pop() {
                match self.value(copy).kind() {
                    Kind::Object => self.set_members(copy, members, Vec::new()),
                    Kind::Array => self.set_children(copy, &members),
                    _ => {}
                }
            }
        }
        Ok(root)
    }

    fn add_node(
        &mut self,
        value: Value<'_>,
        shift: u32,
        limits: &Limits,
    ) -> Result<NodeId, TooLarge> {
        let node = value.node();
        if self.nodes.len() >= limits.nodes {
            return Err(TooLarge);
        }
        let id = NodeId(number(self.nodes.len()));
        let (start, len) = match node.kind {
            Kind::Array | Kind::Object => (0, 0),
            _ => (node.start + shift, node.len),
        };
        self.nodes.push(Node { kind: node.kind, offset: node.offset + shift, start, len });
        if let Some((start, len)) = value.tree.written.get(&value.id) {
            self.written.insert(id, (start + shift, *len));
        }
        Ok(id)
    }
}

fn merges(old: Kind, new: Kind) -> bool {
    old == new && matches!(old, Kind::Array | Kind::Object)
}
