//! What the `xml` hints of a schema say about names, read once when the tool is made.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::document::Documents;
use crate::model::{At, SchemaAt};
use crate::tree::Value;

/// Most schemas that are looked at for one document; what lies deeper has the names of its keys.
const NODES_MAX: usize = 5_000;

/// Deepest nesting of `allOf`, `anyOf` and `oneOf` in each other.
const COMPOSITION_DEPTH_MAX: usize = 16;

/// The names that a document of XML has, by the schema that describes it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shapes {
    /// The first one describes the root.
    nodes: Vec<Shape>,
}

/// Names a shape.
pub(crate) type ShapeId = usize;

/// What one schema becomes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shape {
    pub(crate) node: Node,
    /// `name`.
    pub(crate) name: Option<String>,
    /// The name under which the schema is known in the document.
    pub(crate) component: Option<String>,
    pub(crate) prefix: Option<String>,
    pub(crate) namespace: Option<String>,
    /// Whether a list has an element of its own around it.
    pub(crate) is_wrapped: bool,
    pub(crate) items: Option<ShapeId>,
    pub(crate) members: Vec<(String, ShapeId)>,
    /// `additionalProperties`.
    pub(crate) others: Option<ShapeId>,
    /// Which types other than texts a value may have.
    pub(crate) types: Types,
}

/// Types that a text in XML may stand for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Types {
    pub(crate) has_number: bool,
    pub(crate) has_boolean: bool,
    pub(crate) has_object: bool,
}

/// Which node of XML a value becomes (3.2, `nodeType`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Node {
    #[default]
    Element,
    Attribute,
    Text,
    Cdata,
    /// None of its own: what is in it stands in what it is in.
    None,
}

impl Shapes {
    /// Reads the hints of a schema and of everything in it.
    pub(crate) fn read(documents: &Documents, schema: SchemaAt) -> Self {
        let mut reading = Reading {
            documents,
            ids: HashMap::from([(schema.at, 0)]),
            waiting: VecDeque::from([schema.at]),
        };
        let mut nodes = Vec::new();
        while let Some(at) = reading.waiting.pop_front() {
            let shape = reading.shape(at);
            nodes.push(shape);
        }
        Self { nodes }
    }

    pub(crate) fn get(&self, id: ShapeId) -> Option<&Shape> {
        self.nodes.get(id)
    }

    pub(crate) fn member(&self, shape: Option<&Shape>, key: &str) -> Option<&Shape> {
        let shape = shape?;
        let member = shape.members.iter().find(|(name, _)| name == key).map(|(_, id)| *id);
        self.get(member.or(shape.others)?)
    }
}

struct Reading<'d> {
    documents: &'d Documents,
    ids: HashMap<At, ShapeId>,
    /// Those whose number is given and that are not read yet, in the order of their numbers.
    waiting: VecDeque<At>,
}

impl<'d> Reading<'d> {
    fn id(&mut self, at: At) -> Option<ShapeId> {
        if let Some(&id) = self.ids.get(&at) {
            return Some(id);
        }
        let id = self.ids.len();
        if id >= NODES_MAX {
            return None;
        }
        self.ids.insert(at, id);
        self.waiting.push_back(at);
        Some(id)
    }

    fn shape(&mut self, written: At) -> Shape {
        let mut shape = Shape::default();
        let Ok(target) = self.documents.resolve(written) else { return shape };
        shape.component = target.passed.last().and_then(|&at| {
            let reference = self.documents.value(at).text("$ref")?;
            let last = reference.rsplit('/').next()?;
            Some(percent_encoding::percent_decode_str(last).decode_utf8_lossy().into_owned())
        });
        let value = self.documents.value(target.at);
        let is_list = is_list(value);
        if is_list {
            shape.node = Node::None;
        }
        // What stands beside a reference counts more than what the reference leads to.
        let hints = target.siblings.iter().map(|&at| self.documents.value(at)).chain([value]);
        for xml in hints.filter_map(|it| it.get("xml")) {
            shape.take(xml, is_list);
        }
        self.members(&mut shape, target.at, &mut HashSet::new(), 0);
        shape
    }

    /// Collects members, also of the schemas that this one is made of.
    fn members(&mut self, shape: &mut Shape, at: At, seen: &mut HashSet<At>, depth: usize) {
        if depth > COMPOSITION_DEPTH_MAX || !seen.insert(at) {
            return;
        }
        let value = self.documents.value(at);
        shape.types.add(value);
        let inside = |value: Value<'d>| At { document: at.document, node: value.id() };
        if shape.items.is_none()
            && let Some(items) = value.get("items")
        {
            shape.items = self.id(inside(items));
        }
        for (key, property) in value.get("properties").into_iter().flat_map(Value::entries) {
            if !shape.members.iter().any(|(name, _)| name == key)
                && let Some(id) = self.id(inside(property))
            {
                shape.members.push((key.to_owned(), id));
            }
        }
        if shape.others.is_none()
            && let Some(others) = value.get("additionalProperties")
            && others.as_bool().is_none()
        {
            shape.others = self.id(inside(others));
        }
        for key in ["allOf", "anyOf", "oneOf"] {
            for part in value.get(key).into_iter().flat_map(Value::elements) {
                if let Ok(target) = self.documents.resolve(inside(part)) {
                    self.members(shape, target.at, seen, depth + 1);
                }
            }
        }
    }
}

impl Shape {
    /// Takes what an XML Object says, as far as nothing was said before.
    fn take(&mut self, xml: Value<'_>, is_list: bool) {
        let text = |key: &str| xml.text(key).filter(|it| !it.is_empty()).map(str::to_owned);
        self.name = self.name.take().or_else(|| text("name"));
        self.prefix = self.prefix.take().or_else(|| text("prefix"));
        self.namespace = self.namespace.take().or_else(|| text("namespace"));
        match xml.text("nodeType") {
            Some("element") if is_list => self.is_wrapped = true,
            Some("attribute") => self.node = Node::Attribute,
            Some("text") => self.node = Node::Text,
            Some("cdata") => self.node = Node::Cdata,
            Some("none") => self.node = Node::None,
            _ => {}
        }
        if xml.flag("attribute") == Some(true) {
            self.node = Node::Attribute;
        }
        self.is_wrapped |= xml.flag("wrapped") == Some(true);
    }
}

impl Types {
    fn add(&mut self, schema: Value<'_>) {
        let Some(kind) = schema.get("type") else { return };
        for name in kind.elements().chain([kind]).filter_map(Value::as_str) {
            self.has_number |= matches!(name, "number" | "integer");
            self.has_boolean |= name == "boolean";
            self.has_object |= name == "object";
        }
    }
}

fn is_list(schema: Value<'_>) -> bool {
    match schema.get("type") {
        Some(kind) if kind.as_str().is_some() => kind.as_str() == Some("array"),
        Some(kinds) if !kinds.is_empty() => kinds.elements().any(|it| it.as_str() == Some("array")),
        _ => schema.get("items").is_some(),
    }
}
