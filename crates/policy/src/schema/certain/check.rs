//! A value against a schema, from its first byte to its last.

use std::borrow::Cow;

use serde_json::Value;
use wire::Json;
use wire::json::{StringEnd, Walk, text_of};

use super::{At, Bound, Kinds, List, Member, Members, Node, Options, Range, Same, Text, is_exact};

/// Why a value is not certain to fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Miss {
    /// It certainly does not.
    No,
    Unknown,
}

use Miss::{No, Unknown};

/// One comparison.
pub(super) struct Check<'a> {
    nodes: &'a [Node],
    walk: Walk<'a>,
    /// How many bytes may still be read again: alternatives within alternatives read a value again and
    /// again.
    bytes_left: usize,
}

/// A number as it is written.
struct Number {
    end: usize,
    /// If it is written without a fraction, and not longer than what is held exactly.
    whole: Option<i64>,
    has_fraction: bool,
}

/// Deeper values, and schemas that lead from one to the next more often, are left to the full validator,
/// which reads more than this.
const DEPTH_MAX: usize = 100;
/// So many times as long as a value is what may be read again of it, and so many bytes of every value.
const AGAIN: usize = 32;
const AGAIN_BYTES: usize = 16 << 10;
/// Searching a name among more members than these counts as reading as many bytes again.
const SEARCHED_MIN: usize = 64;
/// Even the shortest value counts as so many bytes.
const AGAIN_BYTES_MIN: usize = 8;
/// Digits of a whole number that `i64` holds whatever they are.
const DIGITS_MAX: usize = 18;
/// No float is as large as a longer number may be.
const NUMBER_BYTES_MAX: usize = 200;
/// Elements that are compared each with each.
const COMPARED_MAX: usize = 64;
/// Floats that are closer to each other, as a part of the larger, may be the same for another reader.
const CLOSE: f64 = 1e-9;

impl<'a> Check<'a> {
    pub(super) fn new(nodes: &'a [Node], value: &'a Json) -> Self {
        let walk = Walk::new(value);
        let bytes_left = walk.len().saturating_mul(AGAIN).saturating_add(AGAIN_BYTES);
        Self { nodes, walk, bytes_left }
    }

    pub(super) fn whole(mut self) -> Result<(), Miss> {
        let (start, _) = self.walk.token(0);
        let end = self.value(0, start, 0)?;
        if self.walk.token(end).0 == self.walk.len() { Ok(()) } else { Err(Unknown) }
    }

    /// Compares the value that starts at `start` with a subschema, and returns where it ends.
    fn value(&mut self, at: At, start: usize, depth: usize) -> Result<usize, Miss> {
        let node = self.nodes.get(at).filter(|node| !node.is_beyond).ok_or(Unknown)?;
        if depth > DEPTH_MAX {
            return Err(Unknown);
        }
        let kinds = node.kinds;
        let end = match self.walk.byte(start) {
            b'"' => {
                kinds.demand(Kinds::TEXT)?;
                let string = self.string(start)?;
                if let Some(text) = &node.text {
                    self.text(text, start, string)?;
                }
                string.end
            }
            b'{' => {
                kinds.demand(Kinds::OBJECT)?;
                match &node.object {
                    Some(members) => self.members(members, start, depth)?,
                    None => self.skip(start, depth)?,
                }
            }
            b'[' => {
                kinds.demand(Kinds::LIST)?;
                match &node.list {
                    Some(list) => self.elements(list, start, depth)?,
                    None => self.skip(start, depth)?,
                }
            }
            b't' => kinds.demand(Kinds::BOOL).map(|()| start + 4)?,
            b'f' => kinds.demand(Kinds::BOOL).map(|()| start + 5)?,
            b'n' => kinds.demand(Kinds::NULL).map(|()| start + 4)?,
            _ => {
                let number = self.number(start)?;
                kinds.demand_number(number.has_fraction)?;
                if let Some(range) = &node.number {
                    self.range(range, start, &number)?;
                }
                number.end
            }
        };
        if let Some(options) = &node.options {
            options.demand(self.walk.text(start, end))?;
        }
        for same in &node.same {
            self.same(same, (start, end), depth + 1)?;
        }
        Ok(end)
    }

    /// Compares a value again, of which is known where it starts and ends.
    fn same(&mut self, same: &Same, place: (usize, usize), depth: usize) -> Result<(), Miss> {
        match same {
            Same::All(at) => self.again(*at, place, depth),
            Same::Not(at) => match self.again(*at, place, depth) {
                Ok(()) => Err(No),
                Err(No) => Ok(()),
                Err(Unknown) => Err(Unknown),
            },
            Same::Any(all) => {
                let mut miss = No;
                for at in all {
                    match self.again(*at, place, depth) {
                        Ok(()) => return Ok(()),
                        Err(No) => {}
                        Err(Unknown) => miss = Unknown,
                    }
                }
                Err(miss)
            }
            Same::One(all) => {
                let mut fitting = 0;
                for at in all {
                    match self.again(*at, place, depth) {
                        Ok(()) => fitting += 1,
                        Err(No) => {}
                        Err(Unknown) => return Err(Unknown),
                    }
                }
                if fitting == 1 { Ok(()) } else { Err(No) }
            }
        }
    }

    /// Reading a value again is what costs more than its bytes, and so does searching a name among many.
    fn again(&mut self, at: At, (start, end): (usize, usize), depth: usize) -> Result<(), Miss> {
        let bytes = (end - start).max(AGAIN_BYTES_MIN);
        self.spend(bytes)?;
        self.value(at, start, depth).map(drop)
    }

    fn spend(&mut self, bytes: usize) -> Result<(), Miss> {
        self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or(Unknown)?;
        Ok(())
    }

    fn members(&mut self, members: &Members, start: usize, depth: usize) -> Result<usize, Miss> {
        let (mut at, mut byte) = self.walk.token(start + 1);
        let (mut count, mut marks, mut likely) = (0, 0, 0);
        while byte != b'}' {
            if byte != b'"' {
                return Err(Unknown);
            }
            let (found, key_end) = self.key(members, at, likely)?;
            if found != Some(likely) && members.known.len() > SEARCHED_MIN {
                self.spend(members.known.len())?;
            }
            let schema = match found {
                Some(found) => {
                    likely = found + 1;
                    marks |= members.known[found].mark;
                    members.known[found].schema
                }
                None => members.others,
            };
            let (colon, _) = self.walk.token(key_end);
            let (value, _) = self.walk.token(colon + 1);
            let end = self.inner(schema, value, depth)?;
            count += 1;
            (at, byte) = self.walk.token(end);
            if byte == b',' {
                (at, byte) = self.walk.token(at + 1);
            }
        }
        let fits = marks == members.required && members.count.has(count);
        if fits { Ok(at + 1) } else { Err(No) }
    }

    /// Which member the key at `start` is, if it is described, and where the key ends. What comes
    /// next is mostly described next.
    #[inline]
    fn key(
        &self,
        members: &Members,
        start: usize,
        likely: usize,
    ) -> Result<(Option<usize>, usize), Miss> {
        let known = &members.known;
        let StringEnd { end, is_escaped } = self.walk.string(start);
        if is_escaped {
            return Err(Unknown);
        }
        let text = self.walk.text(start, end);
        let mut first = self.walk.word(start);
        if text.len() < 8 {
            first &= (1 << (8 * text.len())) - 1;
        }
        let is_it = |Member { key, .. }: &Member| {
            key.first == first
                && key.text.len() == text.len()
                && (text.len() <= 8 || *key.text == *text)
        };
        let likely = likely.min(known.len());
        let ahead = known[likely..].iter().position(is_it).map(|at| likely + at);
        Ok((ahead.or_else(|| known[..likely].iter().position(is_it)), end))
    }

    fn elements(&mut self, list: &List, start: usize, depth: usize) -> Result<usize, Miss> {
        let (mut at, mut byte) = self.walk.token(start + 1);
        let mut count = 0;
        let mut seen: Vec<&[u8]> = Vec::new();
        while byte != b']' {
            let schema = list.first.get(count).copied().or(list.rest);
            let end = self.inner(schema, at, depth)?;
            if list.is_unique {
                self.unlike(&mut seen, at, end)?;
            }
            count += 1;
            (at, byte) = self.walk.token(end);
            if byte == b',' {
                (at, byte) = self.walk.token(at + 1);
            }
        }
        let fits = u64::try_from(count).is_ok_and(|count| list.count.has(count));
        if fits { Ok(at + 1) } else { Err(No) }
    }

    fn inner(&mut self, schema: Option<At>, start: usize, depth: usize) -> Result<usize, Miss> {
        let Some(schema) = schema else { return self.skip(start, depth) };
        // Most values are scalars of which only the kind is demanded.
        match self.nodes.get(schema) {
            Some(Node { is_kinds_alone: true, kinds, .. }) => match self.walk.byte(start) {
                b'"' => kinds.demand(Kinds::TEXT).and_then(|()| Ok(self.string(start)?.end)),
                b'-' | b'0'..=b'9' => {
                    let number = self.number(start)?;
                    kinds.demand_number(number.has_fraction).map(|()| number.end)
                }
                _ => self.value(schema, start, depth + 1),
            },
            _ => self.value(schema, start, depth + 1),
        }
    }

    /// Adds an element that must be unlike those that were seen. Only what is written one way is
    /// compared.
    fn unlike(&self, seen: &mut Vec<&'a [u8]>, start: usize, end: usize) -> Result<(), Miss> {
        let text = self.walk.text(start, end);
        let is_written_one_way = match text {
            [b'"', ..] => !self.walk.string(start).is_escaped,
            _ => is_plain_scalar(text),
        };
        if !is_written_one_way || seen.len() >= COMPARED_MAX {
            return Err(Unknown);
        }
        if seen.contains(&text) {
            return Err(No);
        }
        seen.push(text);
        Ok(())
    }

    fn text(&self, text: &Text, start: usize, string: StringEnd) -> Result<(), Miss> {
        let raw = self.walk.text(start, string.end);
        let decoded = || text_of(raw).ok_or(Unknown);
        if !text.length.is_open() {
            let count = if string.is_escaped {
                decoded()?.chars().count()
            } else {
                // Quotes do not count, nor do bytes that go on with a character.
                raw.iter().filter(|byte| **byte & 0xc0 != 0x80).count().saturating_sub(2)
            };
            if !u64::try_from(count).is_ok_and(|count| text.length.has(count)) {
                return Err(No);
            }
        }
        if let Some(pattern) = &text.pattern {
            let fits = pattern.is_valid(&Value::String(decoded().map(Cow::into_owned)?));
            return if fits { Ok(()) } else { Err(No) };
        }
        Ok(())
    }

    fn range(&self, range: &Range, start: usize, number: &Number) -> Result<(), Miss> {
        let text = std::str::from_utf8(self.walk.text(start, number.end));
        let float: f64 = text.ok().and_then(|text| text.parse().ok()).ok_or(Unknown)?;
        let side = |bound: &Option<Bound>| match bound {
            Some(bound) => bound.side(number.whole, float).map(Some),
            None => Ok(None),
        };
        let fits = side(&range.min)?.is_none_or(std::cmp::Ordering::is_ge)
            && side(&range.above)?.is_none_or(std::cmp::Ordering::is_gt)
            && side(&range.max)?.is_none_or(std::cmp::Ordering::is_le)
            && side(&range.below)?.is_none_or(std::cmp::Ordering::is_lt);
        if !fits {
            return Err(No);
        }
        match (range.multiple_of, number.whole) {
            (None, _) => Ok(()),
            (Some(factor), Some(whole)) if is_exact(whole) => {
                if whole % factor == 0 {
                    Ok(())
                } else {
                    Err(No)
                }
            }
            _ => Err(Unknown),
        }
    }

    /// Where a value ends of which nothing is demanded, but that every reader can read it.
    fn skip(&self, start: usize, depth: usize) -> Result<usize, Miss> {
        let (mut at, mut open) = (start, 0_usize);
        loop {
            at = match self.walk.byte(at) {
                b'"' => self.string(at)?.end,
                b'{' | b'[' => {
                    open += 1;
                    if depth + open > DEPTH_MAX {
                        return Err(Unknown);
                    }
                    at + 1
                }
                b'}' | b']' => {
                    open = open.checked_sub(1).ok_or(Unknown)?;
                    at + 1
                }
                b'-' | b'0'..=b'9' => self.number(at)?.end,
                b't' | b'n' => at + 4,
                b'f' => at + 5,
                b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' if open > 0 => {
                    at += 1;
                    continue;
                }
                _ => return Err(Unknown),
            };
            if open == 0 {
                return Ok(at);
            }
        }
    }

    /// Where a string ends. Half of a surrogate pair is no text for most readers.
    #[inline]
    fn string(&self, start: usize) -> Result<StringEnd, Miss> {
        let string = self.walk.string(start);
        if string.is_escaped && has_surrogate(self.walk.text(start, string.end)) {
            return Err(Unknown);
        }
        Ok(string)
    }

    #[inline]
    fn number(&self, start: usize) -> Result<Number, Miss> {
        let is_negative = self.walk.byte(start) == b'-';
        let first = start + usize::from(is_negative);
        let (mut at, mut whole) = (first, 0_i64);
        while let digit @ b'0'..=b'9' = self.walk.byte(at) {
            whole = whole.wrapping_mul(10).wrapping_add(i64::from(digit - b'0'));
            at += 1;
        }
        if at == first {
            return Err(Unknown);
        }
        let is_short = at - first <= DIGITS_MAX;
        let has_fraction = self.walk.byte(at) == b'.';
        if has_fraction {
            at += 1;
            while self.walk.byte(at).is_ascii_digit() {
                at += 1;
            }
        }
        if matches!(self.walk.byte(at), b'e' | b'E') || at - start > NUMBER_BYTES_MAX {
            return Err(Unknown);
        }
        let whole = if is_negative { -whole } else { whole };
        Ok(Number {
            end: at,
            whole: Some(whole).filter(|_| is_short && !has_fraction),
            has_fraction,
        })
    }
}

impl Kinds {
    #[inline]
    fn demand(self, kind: u8) -> Result<(), Miss> {
        if self.has(kind) { Ok(()) } else { Err(No) }
    }

    #[inline]
    fn demand_number(self, has_fraction: bool) -> Result<(), Miss> {
        if self.has(if has_fraction { Self::FRACTION } else { Self::INTEGER }) {
            return Ok(());
        }
        // `1.0` is a whole number.
        Err(if self.has(Self::INTEGER) { Unknown } else { No })
    }
}

impl Options {
    fn demand(&self, text: &[u8]) -> Result<(), Miss> {
        if self.texts.iter().any(|option| **option == *text) {
            return Ok(());
        }
        let is_told_apart = match text {
            [b'"', inner @ ..] => !inner.contains(&b'\\'),
            [b'{' | b'[', ..] => true,
            _ => is_plain_scalar(text),
        };
        Err(if is_told_apart && !self.has_more { No } else { Unknown })
    }
}

impl Bound {
    /// On which side of the bound a number is, if everybody says the same.
    fn side(&self, whole: Option<i64>, float: f64) -> Result<std::cmp::Ordering, Miss> {
        if let (Some(whole), Some(bound)) = (whole, self.whole) {
            return Ok(whole.cmp(&bound));
        }
        let is_close = (float - self.float).abs() <= CLOSE * float.abs().max(self.float.abs());
        float.partial_cmp(&self.float).filter(|_| !is_close).ok_or(Unknown)
    }
}

/// Whether a value is a word, or a whole number that has one way to be written.
fn is_plain_scalar(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    match text {
        b"true" | b"false" | b"null" | b"0" => true,
        _ => {
            digits.len() <= DIGITS_MAX
                && !digits.starts_with(b"0")
                && digits.iter().all(u8::is_ascii_digit)
        }
    }
}

/// Whether a string with escapes may have a half of a surrogate pair among them.
fn has_surrogate(raw: &[u8]) -> bool {
    raw.windows(4).any(|escape| {
        matches!(escape, [b'\\', b'u', b'd' | b'D', b'8' | b'9' | b'a'..=b'f' | b'A'..=b'F'])
    })
}
