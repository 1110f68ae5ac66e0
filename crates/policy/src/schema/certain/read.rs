//! A schema as the nodes that values are compared with.

use std::collections::HashMap;

use jsonschema::Validator;
use serde_json::{Map, Value};

use super::{
    At, Bound, Key, Kinds, List, Member, Members, Node, Options, Range, Same, Text, is_exact,
};

/// A larger schema is left to the full validator.
const NODES_MAX: usize = 20_000;
/// Deeper schemas, too: reading one calls itself.
const DEPTH_MAX: usize = 100;
/// Keywords that demand something and are not read here. All others say nothing about whether a value
/// fits: titles, formats, and what documents add of their own.
const BEYOND: [&str; 17] = [
    "$id",
    "$dynamicRef",
    "$recursiveRef",
    "additionalItems",
    "contains",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "else",
    "if",
    "maxContains",
    "minContains",
    "patternProperties",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];

/// Reads a schema; the first node is the whole.
pub(super) fn nodes(whole: &Value, pattern: impl Fn(&Value) -> Option<Validator>) -> Vec<Node> {
    let mut reader = Reader {
        whole,
        nodes: Vec::new(),
        known: HashMap::new(),
        waiting: Vec::new(),
        depth: 0,
        pattern,
    };
    let at = reader.place();
    reader.fill(at, whole);
    while let Some((at, schema)) = reader.waiting.pop() {
        reader.fill(at, schema);
    }
    reader.nodes
}

struct Reader<'s, P> {
    whole: &'s Value,
    nodes: Vec<Node>,
    /// Where the targets of references are, by the reference.
    known: HashMap<&'s str, At>,
    /// Targets that have a place and are not read yet.
    waiting: Vec<(At, &'s Value)>,
    depth: usize,
    pattern: P,
}

impl<'s, P: Fn(&Value) -> Option<Validator>> Reader<'s, P> {
    /// Reads a subschema and returns where it is.
    fn node(&mut self, schema: &'s Value) -> At {
        // A reference alone is what it refers to; its own node would only lead there.
        if let Some(reference) = lone_reference(schema) {
            return self.referred(reference);
        }
        let at = self.place();
        self.fill(at, schema);
        at
    }

    fn place(&mut self) -> At {
        self.nodes.push(Node { is_beyond: true, ..Node::default() });
        self.nodes.len() - 1
    }

    /// Reads a subschema to its place, which until then lets nobody be certain.
    fn fill(&mut self, at: At, schema: &'s Value) {
        if self.nodes.len() > NODES_MAX || self.depth > DEPTH_MAX {
            return;
        }
        self.depth += 1;
        let node = match schema {
            Value::Bool(true) => Some(Node::default()),
            Value::Bool(false) => Some(Node { kinds: Kinds(0), ..Node::default() }),
            Value::Object(keywords) => self.keywords(keywords),
            _ => None,
        };
        self.depth -= 1;
        if let Some(node) = node {
            self.nodes[at] = node;
        }
    }

    /// Where the target of a reference is. It is read later: it may refer to itself.
    fn referred(&mut self, reference: &'s str) -> At {
        if let Some(&at) = self.known.get(reference) {
            return at;
        }
        let at = self.place();
        self.known.insert(reference, at);
        if let Some(target) = target(self.whole, reference) {
            self.waiting.push((at, target));
        }
        at
    }

    /// `None` where a keyword has a value that it should not have.
    fn keywords(&mut self, keywords: &'s Map<String, Value>) -> Option<Node> {
        let mut node = Node::default();
        let (mut text, mut number) = (Text::default(), Range::default());
        let (mut list, mut members) = (List::default(), Members::default());
        let mut required: Vec<&str> = Vec::new();
        for (keyword, value) in keywords {
            match keyword.as_str() {
                "type" => node.kinds = kinds(value)?,
                "const" => node.choose(std::slice::from_ref(value)),
                "enum" => node.choose(value.as_array()?),
                "minLength" => text.length.min = value.as_u64()?,
                "maxLength" => text.length.max = value.as_u64()?,
                "pattern" => text.pattern = Some(Box::new((self.pattern)(value)?)),
                "minimum" => number.min = Some(bound(value)?),
                "maximum" => number.max = Some(bound(value)?),
                "exclusiveMinimum" => number.above = Some(bound(value)?),
                "exclusiveMaximum" => number.below = Some(bound(value)?),
                "multipleOf" => {
                    let factor = value.as_i64().filter(|it| *it > 0 && is_exact(*it));
                    number.multiple_of = Some(factor?);
                }
                "minItems" => list.count.min = value.as_u64()?,
                "maxItems" => list.count.max = value.as_u64()?,
                "uniqueItems" => list.is_unique = value.as_bool()?,
                "prefixItems" => list.first = self.all(value)?,
                "items" => list.rest = self.demanding(value),
                "minProperties" => members.count.min = value.as_u64()?,
                "maxProperties" => members.count.max = value.as_u64()?,
                "properties" => {
                    for (name, schema) in value.as_object()? {
                        let (key, schema) = (written_key(name)?, self.demanding(schema));
                        members.known.push(Member { key, schema, mark: 0 });
                    }
                }
                "additionalProperties" => members.others = self.demanding(value),
                "required" => {
                    required =
                        value.as_array()?.iter().map(Value::as_str).collect::<Option<_>>()?;
                }
                "allOf" => node.same.extend(self.all(value)?.into_iter().map(Same::All)),
                "anyOf" => node.same.push(Same::Any(self.all(value)?)),
                "oneOf" => node.same.push(Same::One(self.all(value)?)),
                "not" => node.same.push(Same::Not(self.node(value))),
                "$ref" => node.same.push(Same::All(self.referred(value.as_str()?))),
                other => node.is_beyond |= BEYOND.contains(&other),
            }
        }
        members.require(required)?;
        node.text = Some(text).filter(|it| it.pattern.is_some() || !it.length.is_open());
        node.number = Some(number).filter(|it| !it.is_open());
        node.list = Some(list).filter(|it| !it.is_open());
        node.object = Some(members).filter(|it| !it.is_open());
        let of_scalars = node.options.is_some() || node.text.is_some() || node.number.is_some();
        node.is_kinds_alone = !of_scalars && node.same.is_empty() && !node.is_beyond;
        Some(node)
    }

    fn all(&mut self, schemas: &'s Value) -> Option<Vec<At>> {
        Some(schemas.as_array()?.iter().map(|schema| self.node(schema)).collect())
    }

    /// A subschema, if it demands anything.
    fn demanding(&mut self, schema: &'s Value) -> Option<At> {
        let is_open = match schema {
            Value::Bool(is_open) => *is_open,
            Value::Object(keywords) => keywords.is_empty(),
            _ => false,
        };
        (!is_open).then(|| self.node(schema))
    }
}

impl Node {
    /// Lets only these values through. Which of two such lists counts is not told here.
    fn choose(&mut self, values: &[Value]) {
        let mut options = Options { texts: Vec::new(), has_more: false };
        for value in values {
            let is_written_one_way = match value {
                Value::Null | Value::Bool(_) => true,
                Value::Number(number) => number.as_i64().is_some_and(is_exact),
                Value::String(text) => is_written_as_it_is(text),
                Value::Array(_) | Value::Object(_) => false,
            };
            if is_written_one_way {
                options.texts.push(value.to_string().into_bytes().into());
            } else {
                options.has_more = true;
            }
        }
        self.is_beyond |= self.options.replace(options).is_some();
    }
}

impl Range {
    fn is_open(&self) -> bool {
        let bounds = [&self.min, &self.max, &self.above, &self.below];
        bounds.iter().all(|bound| bound.is_none()) && self.multiple_of.is_none()
    }
}

impl List {
    fn is_open(&self) -> bool {
        let is_open = self.first.is_empty() && self.rest.is_none() && !self.is_unique;
        is_open && self.count.is_open()
    }
}

impl Members {
    fn is_open(&self) -> bool {
        self.known.is_empty() && self.others.is_none() && self.count.is_open()
    }

    /// Marks what is required; `None` if it is more than there are marks.
    fn require(&mut self, names: Vec<&str>) -> Option<()> {
        for name in names {
            let key = written_key(name)?;
            let at = self.known.iter().position(|member| member.key == key);
            let at = at.unwrap_or_else(|| {
                // Nobody describes it: it is one of the others, and has to be there.
                self.known.push(Member { key, schema: self.others, mark: 0 });
                self.known.len() - 1
            });
            let member = &mut self.known[at];
            if member.mark == 0 {
                member.mark = 1_u64.checked_shl(self.required.count_ones())?;
                self.required |= member.mark;
            }
        }
        Some(())
    }
}

/// A reference with nothing beside it that demands anything.
fn lone_reference(schema: &Value) -> Option<&str> {
    let keywords = schema.as_object()?;
    let reference = keywords.get("$ref")?.as_str()?;
    let is_silent = |key: &String| {
        matches!(
            key.as_str(),
            "$ref" | "title" | "description" | "default" | "examples" | "example"
        )
    };
    keywords.keys().all(is_silent).then_some(reference)
}

/// What a reference within the schema leads to. Beyond a schema with a name of its own, references
/// would mean something else.
fn target<'s>(whole: &'s Value, reference: &str) -> Option<&'s Value> {
    let pointer = reference.strip_prefix('#')?;
    if pointer.is_empty() {
        return Some(whole);
    }
    if pointer.contains('%') {
        return None;
    }
    let mut target = whole;
    for token in pointer.strip_prefix('/')?.split('/') {
        target = match target {
            Value::Object(members) => members.get(&token.replace("~1", "/").replace("~0", "~"))?,
            Value::Array(elements) => elements.get(token.parse::<usize>().ok()?)?,
            _ => return None,
        };
        if target.get("$id").is_some() {
            return None;
        }
    }
    Some(target)
}

fn kinds(value: &Value) -> Option<Kinds> {
    let names: &[Value] = match value {
        Value::Array(names) => names,
        name => std::slice::from_ref(name),
    };
    let kinds = names.iter().map(|name| Kinds::of(name.as_str()?));
    kinds.sum::<Option<Kinds>>()
}

impl std::iter::Sum<u8> for Kinds {
    fn sum<I: Iterator<Item = u8>>(kinds: I) -> Self {
        Self(kinds.fold(0, |all, kind| all | kind))
    }
}

/// A key as it is written; `None` if there are several ways.
fn written_key(name: &str) -> Option<Key> {
    is_written_as_it_is(name).then(|| {
        let text = format!("\"{name}\"").into_bytes();
        let first = text.iter().take(8).rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        Key { first, text: text.into() }
    })
}

/// Whether a text needs no escapes.
fn is_written_as_it_is(text: &str) -> bool {
    !text.contains(|it: char| matches!(it, '"' | '\\' | ..' '))
}

fn bound(value: &Value) -> Option<Bound> {
    Some(Bound { whole: value.as_i64(), float: value.as_f64()? })
}
