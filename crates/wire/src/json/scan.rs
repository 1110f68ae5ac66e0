//! The scanner: validates a whole text in one pass and notes where the members of the outer
//! objects stand.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use super::{Limits, Malformed};

mod shallow;
mod string;
mod watched;

pub(super) use shallow::{elements, members};
pub(super) use string::decode;
use string::{decode_exact, plain_until};
use watched::Place;

/// What was wrong with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The text is longer than the limit.
    TooLong,
    /// The bytes are not UTF-8.
    NotUtf8,
    /// The text starts with a byte order mark.
    ByteOrderMark,
    /// A token that JSON does not allow there.
    Syntax,
    /// The text ends in the middle of a value.
    Incomplete,
    /// Bytes follow the value.
    TrailingBytes,
    /// An unescaped control character in a string.
    ControlCharacter,
    /// An escape sequence that JSON does not have.
    Escape,
    /// A number that JSON does not allow.
    Number,
    /// The same key twice in one object.
    DuplicateKey,
    /// A key that differs only in case from a member the gate reads.
    CaseVariant,
    /// A key that contains NUL or a lone surrogate.
    ForbiddenKey,
    /// A key longer than the limit.
    KeyTooLong,
    /// Nesting deeper than the limit.
    TooDeep,
    /// More values than the limit.
    TooManyValues,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the text is longer than the limit",
            Self::NotUtf8 => "the text is not UTF-8",
            Self::ByteOrderMark => "the text starts with a byte order mark",
            Self::Syntax => "unexpected token",
            Self::Incomplete => "the text ends in the middle of a value",
            Self::TrailingBytes => "unexpected bytes after the value",
            Self::ControlCharacter => "unescaped control character in a string",
            Self::Escape => "invalid escape sequence",
            Self::Number => "invalid number",
            Self::DuplicateKey => "duplicate key",
            Self::CaseVariant => "key differs only in case from a protocol member",
            Self::ForbiddenKey => "key contains NUL or a lone surrogate",
            Self::KeyTooLong => "key is longer than the limit",
            Self::TooDeep => "nesting is deeper than the limit",
            Self::TooManyValues => "more values than the limit",
        })
    }
}

/// Where one member of an object stands in the scanned text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// The key as written, without its quotes.
    pub(super) key: Range<u32>,
    /// The value as written.
    pub(super) value: Range<u32>,
}

impl Span {
    /// The key as written, without its quotes.
    pub(crate) fn key<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        &text[self.key.start as usize..self.key.end as usize]
    }

    /// Where the value stands.
    pub(crate) fn value(&self) -> Range<usize> {
        self.value.start as usize..self.value.end as usize
    }
}

/// What one pass over a message found: the members of the envelope, those of `params`, `result` and
/// `error` (of which a valid message has one), and those of their `_meta`.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub(crate) envelope: Vec<Span>,
    pub(crate) body: Vec<Span>,
    pub(crate) meta: Vec<Span>,
}

/// Validates a message and notes its outer members. Fails for anything but an object.
pub(crate) fn message(text: &[u8], limits: &Limits) -> Result<Scan, Malformed> {
    let mut scanner = Scanner::new(text, limits)?;
    scanner.blank();
    if scanner.peek() != Some(b'{') {
        return Err(scanner.fault(Reason::Syntax));
    }
    scanner.object(Place::Envelope)?;
    scanner.finish()?;
    Ok(scanner.found)
}

/// Validates any value.
pub(super) fn check(text: &[u8], limits: &Limits) -> Result<(), Malformed> {
    let mut scanner = Scanner::new(text, limits)?;
    scanner.blank();
    scanner.value(Place::Inner)?;
    scanner.finish()
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
    nodes: usize,
    limits: &'a Limits,
    /// Keys of the objects that are open, innermost last.
    keys: Vec<Key<'a>>,
    found: Scan,
}

/// A key, decoded, with what tells most keys apart at a glance.
struct Key<'a> {
    mark: u64,
    text: Cow<'a, [u8]>,
}

impl<'a> Key<'a> {
    fn new(text: Cow<'a, [u8]>) -> Self {
        let byte = |at: usize| u64::from(text.get(at).copied().unwrap_or(0));
        let (middle, last) = (text.len() / 2, text.len().saturating_sub(1));
        let length = text.len() as u64;
        let mark = length << 32 | byte(0) << 24 | byte(middle) << 16 | byte(last) << 8 | byte(1);
        Self { mark, text }
    }
}

/// Up to this many keys, comparing each with each is cheaper than hashing.
const KEYS_COMPARED: usize = 24;

impl<'a> Scanner<'a> {
    fn new(text: &'a [u8], limits: &'a Limits) -> Result<Self, Malformed> {
        let refuse = |reason, offset| Err(Malformed { reason, offset });
        if text.len() > limits.bytes || u32::try_from(text.len()).is_err() {
            return refuse(Reason::TooLong, limits.bytes);
        }
        if text.starts_with(b"\xef\xbb\xbf") {
            return refuse(Reason::ByteOrderMark, 0);
        }
        if let Err(error) = std::str::from_utf8(text) {
            return refuse(Reason::NotUtf8, error.valid_up_to());
        }
        Ok(Self {
            text,
            at: 0,
            depth: 0,
            nodes: 0,
            limits,
            keys: Vec::with_capacity(16),
            found: Scan::default(),
        })
    }

    fn fault(&self, reason: Reason) -> Malformed {
        let reason = if self.at >= self.text.len() && reason == Reason::Syntax {
            Reason::Incomplete
        } else {
            reason
        };
        Malformed { reason, offset: self.at.min(self.text.len()) }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn finish(&mut self) -> Result<(), Malformed> {
        self.blank();
        if self.at == self.text.len() { Ok(()) } else { Err(self.fault(Reason::TrailingBytes)) }
    }

    fn value(&mut self, place: Place) -> Result<(), Malformed> {
        self.nodes += 1;
        if self.nodes > self.limits.nodes {
            return Err(self.fault(Reason::TooManyValues));
        }
        match self.peek() {
            Some(b'"') => self.string().map(drop),
            Some(b'{') => self.object(place),
            Some(b'[') => self.array(),
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.fault(Reason::Syntax)),
        }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Malformed> {
        if self.text[self.at..].starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        Err(self.fault(Reason::Syntax))
    }

    fn number(&mut self) -> Result<(), Malformed> {
        let fault = |at| Err(Malformed { reason: Reason::Number, offset: at });
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return fault(self.at),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if !matches!(self.peek(), Some(b'0'..=b'9')) {
                return fault(self.at);
            }
            self.digits();
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if !matches!(self.peek(), Some(b'0'..=b'9')) {
                return fault(self.at);
            }
            self.digits();
        }
        Ok(())
    }

    fn digits(&mut self) {
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
    }

    /// Reads a string; returns the range between its quotes and whether it has escapes.
    fn string(&mut self) -> Result<(Range<usize>, bool), Malformed> {
        self.at += 1;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at = plain_until(self.text, self.at);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok((start..self.at - 1, escaped));
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return Err(self.fault(Reason::ControlCharacter)),
                None => return Err(self.fault(Reason::Incomplete)),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Malformed> {
        match self.text.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let digits = self.text.get(self.at + 2..self.at + 6);
                if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                    return Err(self.fault(Reason::Escape));
                }
                self.at += 6;
            }
            _ => return Err(self.fault(Reason::Escape)),
        }
        Ok(())
    }

    fn open(&mut self) -> Result<(), Malformed> {
        self.depth += 1;
        if self.depth > self.limits.depth {
            return Err(self.fault(Reason::TooDeep));
        }
        self.at += 1;
        self.blank();
        Ok(())
    }

    fn array(&mut self) -> Result<(), Malformed> {
        self.open()?;
        if self.peek() == Some(b']') {
            self.at += 1;
            self.depth -= 1;
            return Ok(());
        }
        loop {
            self.value(Place::Inner)?;
            self.blank();
            match self.peek() {
                Some(b',') => {
                    self.at += 1;
                    self.blank();
                }
                Some(b']') => {
                    self.at += 1;
                    self.depth -= 1;
                    return Ok(());
                }
                _ => return Err(self.fault(Reason::Syntax)),
            }
        }
    }

    /// Reads an object. Notes its members where the place is one that is noted.
    fn object(&mut self, place: Place) -> Result<(), Malformed> {
        self.open()?;
        if self.peek() == Some(b'}') {
            self.at += 1;
            self.depth -= 1;
            return Ok(());
        }
        let first_key = self.keys.len();
        let mut seen: Option<HashSet<Cow<'a, [u8]>>> = None;
        loop {
            let key = self.key(place, first_key, &mut seen)?;
            self.blank();
            if self.peek() != Some(b':') {
                return Err(self.fault(Reason::Syntax));
            }
            self.at += 1;
            self.blank();
            if place == Place::Inner {
                self.value(Place::Inner)?;
            } else {
                let start = self.at;
                self.value(place.child(&self.text[key.clone()]))?;
                self.note(place, Span { key: narrow(&key), value: narrow(&(start..self.at)) });
            }
            self.blank();
            match self.peek() {
                Some(b',') => {
                    self.at += 1;
                    self.blank();
                }
                Some(b'}') => {
                    self.at += 1;
                    self.depth -= 1;
                    self.keys.truncate(first_key);
                    return Ok(());
                }
                _ => return Err(self.fault(Reason::Syntax)),
            }
        }
    }

    fn note(&mut self, place: Place, member: Span) {
        let members = match place {
            Place::Envelope => &mut self.found.envelope,
            Place::Body => &mut self.found.body,
            Place::Meta => &mut self.found.meta,
            Place::Inner => return,
        };
        if members.is_empty() {
            members.reserve(6);
        }
        members.push(member);
    }

    fn key(
        &mut self,
        place: Place,
        first_key: usize,
        seen: &mut Option<HashSet<Cow<'a, [u8]>>>,
    ) -> Result<Range<usize>, Malformed> {
        let start = self.at;
        let refuse = |reason| Err(Malformed { reason, offset: start });
        if self.peek() != Some(b'"') {
            return Err(self.fault(Reason::Syntax));
        }
        let (range, escaped) = self.string()?;
        if range.len() > self.limits.key_bytes {
            return refuse(Reason::KeyTooLong);
        }
        let text = self.text;
        let raw = &text[range.clone()];
        let key = Key::new(if escaped {
            match decode_exact(raw) {
                Some(text) if !text.contains('\0') => Cow::Owned(text.into_bytes()),
                _ => return refuse(Reason::ForbiddenKey),
            }
        } else {
            Cow::Borrowed(raw)
        });
        // A protocol member must also be written plainly: `"m\u0065thod"` is what only a
        // smuggler writes, and raw comparison would overlook it.
        let variant = |read: &&[u8]| {
            if key.text.as_ref() == *read { escaped } else { key.text.eq_ignore_ascii_case(read) }
        };
        if place.watched().as_long_as(&key.text).iter().any(variant) {
            return refuse(Reason::CaseVariant);
        }
        let known = match seen {
            Some(seen) => !seen.insert(key.text.clone()),
            None => self.keys[first_key..]
                .iter()
                .any(|other| other.mark == key.mark && other.text == key.text),
        };
        if known {
            return refuse(Reason::DuplicateKey);
        }
        if seen.is_none() {
            self.keys.push(key);
            if self.keys.len() - first_key > KEYS_COMPARED {
                *seen = Some(self.keys.drain(first_key..).map(|key| key.text).collect());
            }
        }
        Ok(range)
    }
}

fn narrow(range: &Range<usize>) -> Range<u32> {
    let narrow =
        |at| u32::try_from(at).expect("texts are shorter than 4 GiB, checked at the start");
    narrow(range.start)..narrow(range.end)
}
