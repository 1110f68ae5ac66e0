//! What a filter of a `JSONPath` asks of a value (RFC 9535 §2.3.5).

use std::cmp::Ordering;

use regex::{Regex, RegexBuilder};

use super::{PathError, Search, Segment};
use crate::tree::{Kind, Value};

/// A question that is answered with yes or no.
#[derive(Debug)]
pub(super) enum Expression {
    Any(Vec<Expression>),
    All(Vec<Expression>),
    Not(Box<Expression>),
    Exists(Query),
    /// `match()` and `search()`.
    Fits(Operand, Pattern),
    Compare(Operand, Comparison, Operand),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A path inside a filter: of the document, or of the value that is looked at.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) is_absolute: bool,
    pub(super) segments: Vec<Segment>,
}

/// One side of a comparison.
#[derive(Debug)]
pub(super) enum Operand {
    Null,
    Bool(bool),
    /// As written.
    Number(String),
    Text(String),
    /// The value of a query that leads to one at most.
    Value(Query),
    /// `value()`: the only value of any query; nothing, if there are none or several.
    OnlyValue(Query),
    /// `length()`.
    Length(Box<Operand>),
    /// `count()`.
    Count(Query),
}

/// The second argument of `match()` and `search()`.
#[derive(Debug)]
pub(super) enum Pattern {
    /// The document's author wrote it.
    Fixed(Regex),
    /// It stands in the document.
    Found {
        operand: Operand,
        /// Whether the whole text must fit.
        is_whole: bool,
    },
}

/// Largest program of a regular expression in bytes.
const PROGRAM_LEN_MAX: usize = 1 << 20;

/// How many bytes of text cost as much as one value that is looked at.
const TEXT_STEP: usize = 64;

/// Compiles an I-Regexp (RFC 9485), which is run in linear time; the error says what is wrong.
pub(super) fn pattern(text: &str, is_whole: bool) -> Result<Regex, String> {
    let mut written = String::with_capacity(text.len() + 16);
    let (mut in_class, mut is_escaped) = (false, false);
    for letter in text.chars() {
        match letter {
            // A dot is no end of a line, whichever system wrote it.
            '.' if !in_class && !is_escaped => written.push_str("[^\\n\\r]"),
            _ => written.push(letter),
        }
        match letter {
            '[' if !is_escaped => in_class = true,
            ']' if !is_escaped => in_class = false,
            _ => {}
        }
        is_escaped = letter == '\\' && !is_escaped;
    }
    if is_whole {
        written = format!("\\A(?:{written})\\z");
    }
    let built = RegexBuilder::new(&written).size_limit(PROGRAM_LEN_MAX).build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "it repeats too much".to_owned(),
        // The first lines only show where.
        other => other.to_string().lines().last().unwrap_or_default().to_owned(),
    })
}

/// What a side of a comparison is for one value.
enum Side<'q, 't> {
    Nothing,
    Null,
    Bool(bool),
    Number(f64),
    Text(&'q str),
    Whole(Value<'t>),
}

impl<'t> Search<'t> {
    /// Whether the question is answered with yes for `current`.
    pub(super) fn holds(
        &mut self,
        expression: &Expression,
        current: Value<'t>,
    ) -> Result<bool, PathError> {
        Ok(match expression {
            Expression::Any(parts) => {
                for part in parts {
                    if self.holds(part, current)? {
                        return Ok(true);
                    }
                }
                false
            }
            Expression::All(parts) => {
                for part in parts {
                    if !self.holds(part, current)? {
                        return Ok(false);
                    }
                }
                true
            }
            Expression::Not(part) => !self.holds(part, current)?,
            Expression::Exists(query) => !self.query(query, current)?.is_empty(),
            Expression::Fits(text, pattern) => {
                let Side::Text(text) = self.side(text, current)? else { return Ok(false) };
                self.fits(text, pattern, current)?
            }
            Expression::Compare(left, comparison, right) => {
                let left = self.side(left, current)?;
                let right = self.side(right, current)?;
                match comparison {
                    Comparison::Equal => self.equal(&left, &right)?,
                    Comparison::NotEqual => !self.equal(&left, &right)?,
                    Comparison::Less => order(&left, &right) == Some(Ordering::Less),
                    Comparison::Greater => order(&left, &right) == Some(Ordering::Greater),
                    Comparison::LessOrEqual => {
                        order(&left, &right) == Some(Ordering::Less) || self.equal(&left, &right)?
                    }
                    Comparison::GreaterOrEqual => {
                        order(&left, &right) == Some(Ordering::Greater)
                            || self.equal(&left, &right)?
                    }
                }
            }
        })
    }

    /// Whether a text fits. What is no text, or no regular expression, fits nothing (RFC 9535 §2.4.6).
    fn fits(
        &mut self,
        text: &str,
        wanted: &Pattern,
        current: Value<'t>,
    ) -> Result<bool, PathError> {
        self.spend(text.len() / TEXT_STEP)?;
        match wanted {
            Pattern::Fixed(regex) => Ok(regex.is_match(text)),
            Pattern::Found { operand, is_whole } => {
                let Side::Text(written) = self.side(operand, current)? else { return Ok(false) };
                // To compile costs far more than to look.
                self.spend(written.len().saturating_add(TEXT_STEP))?;
                Ok(pattern(written, *is_whole).is_ok_and(|regex| regex.is_match(text)))
            }
        }
    }

    fn query(&mut self, query: &Query, current: Value<'t>) -> Result<Vec<Value<'t>>, PathError> {
        let tree = self.tree;
        let from = if query.is_absolute { tree.root() } else { current };
        let hits = self.walk(&query.segments, from)?;
        Ok(hits.into_iter().map(|hit| tree.value(hit.node)).collect())
    }

    fn side<'q>(
        &mut self,
        operand: &'q Operand,
        current: Value<'t>,
    ) -> Result<Side<'q, 't>, PathError>
    where
        't: 'q,
    {
        Ok(match operand {
            Operand::Null => Side::Null,
            Operand::Bool(value) => Side::Bool(*value),
            Operand::Number(text) => number(text),
            Operand::Text(text) => Side::Text(text),
            Operand::Value(query) | Operand::OnlyValue(query) => {
                match self.query(query, current)?[..] {
                    [value] => side_of(value),
                    _ => Side::Nothing,
                }
            }
            Operand::Count(query) => length(self.query(query, current)?.len()),
            Operand::Length(operand) => match self.side(operand, current)? {
                Side::Text(text) => length(text.chars().count()),
                Side::Whole(value) => length(value.len()),
                _ => Side::Nothing,
            },
        })
    }

    fn equal(&mut self, left: &Side<'_, '_>, right: &Side<'_, '_>) -> Result<bool, PathError> {
        Ok(match (left, right) {
            (Side::Nothing, Side::Nothing) | (Side::Null, Side::Null) => true,
            (Side::Bool(left), Side::Bool(right)) => left == right,
            (Side::Number(left), Side::Number(right)) => {
                left.partial_cmp(right) == Some(Ordering::Equal)
            }
            (Side::Text(left), Side::Text(right)) => left == right,
            (Side::Whole(left), Side::Whole(right)) => self.same(*left, *right)?,
            _ => false,
        })
    }

    /// Whether two values are equal, whatever the order of members.
    fn same(&mut self, left: Value<'_>, right: Value<'_>) -> Result<bool, PathError> {
        let mut pairs = vec![(left, right)];
        while let Some((left, right)) = pairs.pop() {
            self.spend(1)?;
            if left.kind() != right.kind() || left.len() != right.len() {
                return Ok(false);
            }
            match left.kind() {
                Kind::Array => pairs.extend(left.elements().zip(right.elements())),
                Kind::Object => {
                    for (key, value) in left.entries() {
                        let Some(other) = right.get(key) else { return Ok(false) };
                        pairs.push((value, other));
                    }
                }
                _ => {
                    if !self.equal(&side_of(left), &side_of(right))? {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }
}

fn side_of(value: Value<'_>) -> Side<'_, '_> {
    let text = value.scalar().unwrap_or_default();
    match value.kind() {
        Kind::Null => Side::Null,
        Kind::Bool => Side::Bool(text == "true"),
        Kind::Number => number(text),
        Kind::String => Side::Text(text),
        Kind::Array | Kind::Object => Side::Whole(value),
    }
}

fn number<'q, 't>(text: &str) -> Side<'q, 't> {
    text.parse().map_or(Side::Nothing, Side::Number)
}

fn length<'q, 't>(len: usize) -> Side<'q, 't> {
    u32::try_from(len).map_or(Side::Nothing, |len| Side::Number(f64::from(len)))
}

/// Only numbers and texts have an order.
fn order(left: &Side<'_, '_>, right: &Side<'_, '_>) -> Option<Ordering> {
    match (left, right) {
        (Side::Number(left), Side::Number(right)) => left.partial_cmp(right),
        (Side::Text(left), Side::Text(right)) => Some(left.cmp(right)),
        _ => None,
    }
}
