//! The common part of JSON Schema, checked on the text itself: most values fit, and to know that takes
//! neither a tree of the value nor a list of what is wrong.
//!
//! The answer is *yes*, *no* or *don't know*. A schema may use more than is read here, and a value may
//! have what engines read differently (numbers that no float holds, lone surrogates); then nobody is
//! certain, and [`Schema`](super::Schema) asks the full validator. A *yes* is never wrong; property tests
//! compare both.

use std::collections::HashMap;

use jsonschema::Validator;
use serde_json::{Map, Value};
use wire::Json;

mod check;
#[cfg(test)]
mod tests;

use check::Check;

/// A schema as far as it is read here.
#[derive(Debug)]
pub(super) struct Certain {
    /// All subschemas that are reached; the first is the whole. They refer to each other by position.
    nodes: Vec<Node>,
}

/// Where a subschema is among the nodes.
type At = usize;

/// One subschema. What is absent demands nothing.
#[derive(Debug, Default)]
struct Node {
    kinds: Kinds,
    /// The values that are possible.
    options: Option<Options>,
    text: Option<Text>,
    number: Option<Range>,
    list: Option<List>,
    object: Option<Members>,
    /// Schemas of the same value.
    same: Vec<Same>,
    /// Whether it demands anything that is not read here.
    is_beyond: bool,
}

/// The kinds of values that are possible, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kinds(u8);

impl Kinds {
    const NULL: u8 = 1;
    const BOOL: u8 = 2;
    const TEXT: u8 = 4;
    const LIST: u8 = 8;
    const OBJECT: u8 = 16;
    /// Whole numbers, and all others.
    const INTEGER: u8 = 32;
    const FRACTION: u8 = 64;
    const NUMBER: u8 = Self::INTEGER | Self::FRACTION;

    fn of(name: &str) -> Option<u8> {
        Some(match name {
            "null" => Self::NULL,
            "boolean" => Self::BOOL,
            "string" => Self::TEXT,
            "array" => Self::LIST,
            "object" => Self::OBJECT,
            "integer" => Self::INTEGER,
            "number" => Self::NUMBER,
            _ => return None,
        })
    }

    fn has(self, kind: u8) -> bool {
        self.0 & kind != 0
    }
}

impl Default for Kinds {
    fn default() -> Self {
        Self(u8::MAX)
    }
}

/// The values of `enum` and `const`, as they are written without escapes and white space.
#[derive(Debug)]
struct Options {
    texts: Vec<Box<[u8]>>,
    /// Whether there are others, whose text may differ: what fits none of these may fit one of them.
    has_more: bool,
}

#[derive(Debug, Default)]
struct Text {
    /// Code points.
    length: Count,
    /// Demands what the pattern demands: the full validator translates patterns.
    pattern: Option<Box<Validator>>,
}

/// At least and at most so many.
#[derive(Debug)]
struct Count {
    min: u64,
    max: u64,
}

impl Default for Count {
    fn default() -> Self {
        Self { min: 0, max: u64::MAX }
    }
}

impl Count {
    fn is_open(&self) -> bool {
        self.min == 0 && self.max == u64::MAX
    }

    fn has(&self, count: u64) -> bool {
        (self.min..=self.max).contains(&count)
    }
}

/// The bounds of numbers.
#[derive(Debug, Default)]
struct Range {
    min: Option<Bound>,
    max: Option<Bound>,
    above: Option<Bound>,
    below: Option<Bound>,
    /// A whole number, if it is one that a float holds exactly.
    multiple_of: Option<i64>,
}

/// A bound: exact if it is a whole number.
#[derive(Clone, Copy, Debug)]
struct Bound {
    whole: Option<i64>,
    float: f64,
}

#[derive(Debug, Default)]
struct List {
    count: Count,
    /// The first elements.
    first: Vec<At>,
    /// All others.
    rest: Option<At>,
    is_unique: bool,
}

#[derive(Debug, Default)]
struct Members {
    count: Count,
    /// Those that are described or required, in the order of the schema.
    known: Vec<Member>,
    /// How many are required: the members at this position of the marks.
    required: u64,
    /// All others; nothing lets everything through.
    others: Option<At>,
}

#[derive(Debug)]
struct Member {
    key: Key,
    schema: Option<At>,
    /// One bit for each that is required.
    mark: u64,
}

/// A key as it is written, with its quotes.
#[derive(Debug, PartialEq, Eq)]
struct Key {
    /// The first eight bytes, the first one lowest, filled up with NUL: they tell most keys apart.
    first: u64,
    text: Box<[u8]>,
}

/// Schemas that look at the same value again.
#[derive(Debug)]
enum Same {
    All(At),
    Any(Vec<At>),
    One(Vec<At>),
    Not(At),
}

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

impl Certain {
    /// Reads a schema that the full validator accepts. `pattern` makes a validator of a pattern.
    pub(super) fn read(schema: &Value, pattern: impl Fn(&Value) -> Option<Validator>) -> Self {
        let mut reader = Reader {
            whole: schema,
            nodes: Vec::new(),
            known: HashMap::new(),
            waiting: Vec::new(),
            depth: 0,
            pattern,
        };
        let whole = reader.place();
        reader.fill(whole, schema);
        while let Some((at, schema)) = reader.waiting.pop() {
            reader.fill(at, schema);
        }
        Self { nodes: reader.nodes }
    }

    /// Whether a value certainly fits. `false` says nothing.
    pub(super) fn allows(&self, value: &Json) -> bool {
        Check::new(&self.nodes, value).whole().is_ok()
    }
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

/// Whether every engine holds a whole number exactly: below 2⁵³.
fn is_exact(number: i64) -> bool {
    number.unsigned_abs() < 1 << 53
}
