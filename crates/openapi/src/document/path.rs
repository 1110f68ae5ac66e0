//! `JSONPath` (RFC 9535), with all of its functions.

use std::collections::HashSet;
use std::fmt;

use crate::tree::{NodeId, Tree, Value};

mod filter;
mod parse;

use filter::Expression;

/// A `JSONPath`.
#[derive(Debug)]
pub(super) struct Path {
    segments: Vec<Segment>,
}

#[derive(Debug)]
struct Segment {
    /// Whether it looks at all descendants, too.
    is_deep: bool,
    selectors: Vec<Selector>,
}

#[derive(Debug)]
enum Selector {
    Name(String),
    All,
    Index(i64),
    Slice { start: Option<i64>, end: Option<i64>, step: i64 },
    Filter(Expression),
}

/// A value that a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) node: NodeId,
    /// What it is a member of; none for the outermost value.
    pub(super) parent: Option<NodeId>,
}

/// Why a path finds nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PathError {
    /// It is no path: what is wrong, and at which character, from 1.
    Malformed(String, usize),
    /// It looks at more values than is reasonable.
    TooMuch,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(problem, at) => write!(f, "{problem} at character {at}"),
            Self::TooMuch => f.write_str("it looks at too many values"),
        }
    }
}

/// What a search may still look at.
struct Search<'t> {
    tree: &'t Tree,
    budget: usize,
}

impl Path {
    pub(super) fn parse(text: &str) -> Result<Self, PathError> {
        parse::path(text)
    }

    /// The values that the path leads to, none twice.
    pub(super) fn find(&self, tree: &Tree) -> Result<Vec<Hit>, PathError> {
        // A filter that searches the whole document for every value ends in an error, not in hours.
        let budget = 1_000_000 + 8 * tree.nodes.len();
        let mut search = Search { tree, budget };
        search.walk(&self.segments, tree.root())
    }
}

impl<'t> Search<'t> {
    fn walk(&mut self, segments: &[Segment], from: Value<'t>) -> Result<Vec<Hit>, PathError> {
        let mut hits = vec![Hit { node: from.id(), parent: None }];
        for segment in segments {
            let mut next = Vec::new();
            for hit in &hits {
                let value = self.tree.value(hit.node);
                if segment.is_deep {
                    self.deep(segment, value, &mut next)?;
                } else {
                    self.select(segment, value, &mut next)?;
                }
            }
            if hits.len() > 1 || segment.is_deep || segment.selectors.len() > 1 {
                let mut seen = HashSet::with_capacity(next.len());
                next.retain(|hit| seen.insert(hit.node));
            }
            hits = next;
        }
        Ok(hits)
    }

    /// Selects in a value and in all that are inside it, from the outside to the inside.
    fn deep(
        &mut self,
        segment: &Segment,
        value: Value<'t>,
        hits: &mut Vec<Hit>,
    ) -> Result<(), PathError> {
        let mut stack = vec![value];
        while let Some(value) = stack.pop() {
            self.select(segment, value, hits)?;
            stack.extend(value.members().rev());
        }
        Ok(())
    }

    fn select(
        &mut self,
        segment: &Segment,
        value: Value<'t>,
        hits: &mut Vec<Hit>,
    ) -> Result<(), PathError> {
        let hit = |child: Value<'_>| Hit { node: child.id(), parent: Some(value.id()) };
        for selector in &segment.selectors {
            self.spend(1)?;
            match selector {
                Selector::Name(name) => hits.extend(value.get(name).map(hit)),
                Selector::All => {
                    self.spend(value.len())?;
                    hits.extend(value.members().map(hit));
                }
                Selector::Index(index) => {
                    let at = position(*index, value.len());
                    hits.extend(at.and_then(|at| value.element(at)).map(hit));
                }
                Selector::Slice { start, end, step } => {
                    let len = value.elements().count();
                    self.spend(len)?;
                    let chosen = slice(*start, *end, *step, len);
                    hits.extend(chosen.filter_map(|at| value.element(at)).map(hit));
                }
                Selector::Filter(expression) => {
                    for child in value.members() {
                        self.spend(1)?;
                        if self.holds(expression, child)? {
                            hits.push(hit(child));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn spend(&mut self, values: usize) -> Result<(), PathError> {
        self.budget = self.budget.checked_sub(values).ok_or(PathError::TooMuch)?;
        Ok(())
    }
}

/// The position that an index means; negative ones count from the end.
fn position(index: i64, len: usize) -> Option<usize> {
    let len = i64::try_from(len).ok()?;
    usize::try_from(if index < 0 { len + index } else { index }).ok()
}

/// The positions that a slice means (RFC 9535 §2.3.4.2.2).
fn slice(
    start: Option<i64>,
    end: Option<i64>,
    step: i64,
    len: usize,
) -> impl Iterator<Item = usize> {
    let len = i64::try_from(len).unwrap_or(i64::MAX);
    let normal = |at: i64| if at < 0 { len.saturating_add(at) } else { at };
    let (first, last) = if step > 0 {
        let start = normal(start.unwrap_or(0)).clamp(0, len);
        (start, normal(end.unwrap_or(len)).clamp(0, len))
    } else {
        let start = normal(start.unwrap_or(len - 1)).clamp(-1, len - 1);
        (start, end.map_or(-1, |end| normal(end).clamp(-1, len - 1)))
    };
    let mut at = first;
    std::iter::from_fn(move || {
        let is_inside = (step > 0 && at < last) || (step < 0 && at > last);
        let current = usize::try_from(at).ok().filter(|_| is_inside)?;
        at = at.saturating_add(step);
        Some(current)
    })
}

#[cfg(test)]
mod tests;
