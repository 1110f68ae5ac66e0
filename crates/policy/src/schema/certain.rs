//! The common part of JSON Schema, checked on the text itself: most values fit, and to know that takes
//! neither a tree of the value nor a list of what is wrong.
//!
//! The answer is *yes*, *no* or *don't know*. A schema may use more than is read here, and a value may
//! have what engines read differently (numbers that no float holds, lone surrogates); then nobody is
//! certain, and [`Schema`](super::Schema) asks the full validator. A *yes* is never wrong; property tests
//! compare both.

use jsonschema::Validator;
use serde_json::Value;
use wire::Json;

mod check;
mod read;
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
    /// Whether it demands nothing of a string or number but its kind.
    is_kinds_alone: bool,
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

impl Certain {
    /// Reads a schema that the full validator accepts. `pattern` makes a validator of a pattern.
    pub(super) fn read(schema: &Value, pattern: impl Fn(&Value) -> Option<Validator>) -> Self {
        Self { nodes: read::nodes(schema, pattern) }
    }

    /// Whether a value certainly fits. `false` says nothing.
    pub(super) fn allows(&self, value: &Json) -> bool {
        Check::new(&self.nodes, value).whole().is_ok()
    }
}

/// Whether every engine holds a whole number exactly: below 2⁵³.
fn is_exact(number: i64) -> bool {
    number.unsigned_abs() < 1 << 53
}
