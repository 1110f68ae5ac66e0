//! What values of a document call themselves: `$id`, `$anchor`, `$dynamicAnchor` and `$self`.

use std::collections::HashMap;

use url::Url;

use super::without_fragment;
use crate::tree::{Kind, NodeId, Tree, Value};

/// The schema resources of one document (JSON Schema 2020-12 §8.2) and the anchors in them.
#[derive(Debug)]
pub(super) struct Identities {
    /// The document itself, then the schemas with an `$id`, in the order in which they begin.
    resources: Vec<Resource>,
    anchors: HashMap<String, Vec<(usize, NodeId)>>,
}

#[derive(Debug)]
struct Resource {
    /// What references inside are relative to.
    base: Url,
    root: NodeId,
    /// The last value inside.
    last: NodeId,
    /// The resource around it.
    outer: usize,
}

impl Identities {
    pub(super) fn of(tree: &Tree, url: &Url) -> Self {
        let root = tree.root();
        let own = root.text("$self").and_then(|own| url.join(own).ok()).map(without_fragment);
        let document = Resource {
            base: own.unwrap_or_else(|| url.clone()),
            root: root.id(),
            last: NodeId(u32::MAX),
            outer: 0,
        };
        let mut found = Self { resources: vec![document], anchors: HashMap::new() };
        if tree.mentions("$id") || tree.mentions("nchor") {
            for value in tree.values().filter(|value| value.kind() == Kind::Object) {
                found.look_at(value);
            }
        }
        found
    }

    /// Absolute URLs without fragments by which other documents may refer to a part of this one.
    pub(super) fn named(&self) -> impl Iterator<Item = (&Url, NodeId)> {
        self.resources.iter().map(|resource| (&resource.base, resource.root))
    }

    /// The base of a value's references, and the root of its resource.
    pub(super) fn resource(&self, node: NodeId) -> (&Url, NodeId) {
        let resource = &self.resources[self.around(node)];
        (&resource.base, resource.root)
    }

    /// The value with an anchor in the resource that begins at `root`; one of that name elsewhere
    /// in the document, if there is none.
    pub(super) fn anchor(&self, root: NodeId, name: &str) -> Option<NodeId> {
        let all = self.anchors.get(name)?;
        let inside = all.iter().find(|&&(resource, _)| self.resources[resource].root == root);
        inside.or(all.first()).map(|&(_, node)| node)
    }

    fn look_at(&mut self, value: Value<'_>) {
        let mut resource = self.around(value.id());
        if let Some(id) = value.text("$id") {
            if let Some(anchor) = id.strip_prefix('#') {
                // Until 2019-09 an anchor was written like this.
                self.anchors.entry(anchor.into()).or_default().push((resource, value.id()));
            } else if let Ok(base) = self.resources[resource].base.join(id) {
                let base = without_fragment(base);
                let last = value.last_descendant();
                self.resources.push(Resource { base, root: value.id(), last, outer: resource });
                resource = self.resources.len() - 1;
            }
        }
        for keyword in ["$anchor", "$dynamicAnchor"] {
            if let Some(name) = value.text(keyword) {
                self.anchors.entry(name.into()).or_default().push((resource, value.id()));
            }
        }
    }

    /// The innermost resource that holds a value.
    fn around(&self, node: NodeId) -> usize {
        let mut at = self.resources.partition_point(|resource| resource.root <= node);
        at = at.saturating_sub(1);
        while at > 0 && self.resources[at].last < node {
            at = self.resources[at].outer;
        }
        at
    }
}
