//! The scanner: validates a whole text in one pass and notes where the members of the outer
//! objects stand.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use super::{Limits, Malformed};

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

/// Names of members the gate reads, shortest first. A key that equals one of them but for its case is
/// refused, because another parser might read it as the real one.
struct Watched {
    names: &'static [&'static [u8]],
    /// Where the names of each length start; those of the longest length and more end the list.
    starts: [u8; Self::LENGTH_MAX + 2],
}

impl Watched {
    const LENGTH_MAX: usize = 43;

    /// Sorts the names into lengths at compile time.
    const fn new(names: &'static [&'static [u8]]) -> Self {
        assert!(names.len() < 256, "positions fit a byte");
        let mut starts = [0; Self::LENGTH_MAX + 2];
        let (mut length, mut next) = (0, 0);
        while length < starts.len() {
            starts[length] = next;
            while (next as usize) < names.len() && names[next as usize].len() == length {
                next += 1;
            }
            length += 1;
        }
        assert!(next as usize == names.len(), "names stand shortest first and are not too long");
        Self { names, starts }
    }

    /// The names as long as `key`: all that a key can be a variant of.
    fn as_long_as(&self, key: &[u8]) -> &'static [&'static [u8]] {
        match self.starts.get(key.len()..key.len() + 2) {
            Some(&[start, end]) => &self.names[usize::from(start)..usize::from(end)],
            _ => &[],
        }
    }
}

static READ_IN_ENVELOPE: Watched =
    Watched::new(&[b"id", b"error", b"method", b"params", b"result", b"jsonrpc"]);
static READ_IN_BODY: Watched = Watched::new(&[
    b"ref",
    b"uri",
    b"code",
    b"data",
    b"name",
    b"task",
    b"_meta",
    b"level",
    b"tools",
    b"ttlMs",
    b"cursor",
    b"taskId",
    b"content",
    b"isError",
    b"message",
    b"prompts",
    b"contents",
    b"arguments",
    b"requestId",
    b"resources",
    b"cacheScope",
    b"clientInfo",
    b"nextCursor",
    b"resultType",
    b"serverInfo",
    b"capabilities",
    b"instructions",
    b"requestState",
    b"inputRequests",
    b"notifications",
    b"progressToken",
    b"inputResponses",
    b"protocolVersion",
    b"resourceTemplates",
    b"structuredContent",
    b"supportedVersions",
]);
static READ_IN_META: Watched = Watched::new(&[
    b"progressToken",
    b"io.modelcontextprotocol/logLevel",
    b"io.modelcontextprotocol/clientInfo",
    b"io.modelcontextprotocol/serverInfo",
    b"io.modelcontextprotocol/subscriptionId",
    b"io.modelcontextprotocol/protocolVersion",
    b"io.modelcontextprotocol/clientCapabilities",
]);
static READ_IN_INNER: Watched = Watched::new(&[]);

/// How an object is treated by the scanner: which keys are watched, whether its members are noted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Envelope,
    Body,
    Meta,
    Inner,
}

impl Place {
    fn watched(self) -> &'static Watched {
        match self {
            Self::Envelope => &READ_IN_ENVELOPE,
            Self::Body => &READ_IN_BODY,
            Self::Meta => &READ_IN_META,
            Self::Inner => &READ_IN_INNER,
        }
    }

    fn child(self, key: &[u8]) -> Self {
        match (self, key) {
            (Self::Envelope, b"params" | b"result" | b"error") => Self::Body,
            (Self::Body, b"_meta") => Self::Meta,
            _ => Self::Inner,
        }
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

/// The first position from `at` on that holds a quote, a backslash or a control character.
///
/// Most strings are short: their first bytes are taken eight at a time. Most bytes are in long ones:
/// these go in blocks that the compiler turns into vector instructions.
fn plain_until(text: &[u8], mut at: usize) -> usize {
    const SHORT: usize = 24;
    const BLOCK: usize = 64;
    let is_plain = |byte: u8| byte != b'"' && byte != b'\\' && byte >= 0x20;
    let long_from = at + SHORT;
    loop {
        while at >= long_from
            && let Some(block) = text.get(at..at + BLOCK)
            && block.iter().fold(true, |plain, &byte| plain & is_plain(byte))
        {
            at += BLOCK;
        }
        let Some(chunk) = text.get(at..at + 8) else { break };
        let word = u64::from_le_bytes(chunk.try_into().expect("eight bytes"));
        let found = special(word);
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while text.get(at).is_some_and(|&byte| is_plain(byte)) {
        at += 1;
    }
    at
}

/// The high bit of each byte that is a quote, a backslash or a control character. Bytes above the
/// first such byte may be marked wrongly.
fn special(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let has_zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let quote = has_zero(word ^ (ONES * u64::from(b'"')));
    let backslash = has_zero(word ^ (ONES * u64::from(b'\\')));
    let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
    quote | backslash | control
}

/// Decodes the inside of a valid string literal; `None` where a lone surrogate makes that
/// impossible.
fn decode_exact(inner: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(inner).ok()?;
    let mut out = String::with_capacity(text.len());
    unescape(text, |decoded| decoded.map(|character| out.push(character)))?;
    Some(out)
}

/// Decodes the inside of a valid string literal; lone surrogates become U+FFFD.
pub(super) fn decode(inner: &[u8]) -> Cow<'_, str> {
    let text = std::str::from_utf8(inner).expect("a scanned string is valid UTF-8");
    if !inner.contains(&b'\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    unescape(text, |decoded| {
        out.push(decoded.unwrap_or(char::REPLACEMENT_CHARACTER));
        Some(())
    });
    Cow::Owned(out)
}

/// Feeds each decoded character to `each`; `None` stands for a lone surrogate. Stops where `each`
/// answers `None`.
fn unescape(text: &str, mut each: impl FnMut(Option<char>) -> Option<()>) -> Option<()> {
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        if character != '\\' {
            each(Some(character))?;
            continue;
        }
        match rest.next() {
            Some('b') => each(Some('\u{8}'))?,
            Some('f') => each(Some('\u{c}'))?,
            Some('n') => each(Some('\n'))?,
            Some('r') => each(Some('\r'))?,
            Some('t') => each(Some('\t'))?,
            Some('u') => {
                let first = hex4(&mut rest);
                let mut ahead = rest.clone();
                let second = match (ahead.next(), ahead.next()) {
                    (Some('\\'), Some('u')) if (0xd800..0xdc00).contains(&first) => {
                        hex4(&mut ahead)
                    }
                    _ => 0,
                };
                if (0xdc00..0xe000).contains(&second) {
                    rest = ahead;
                    each(char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)))?;
                } else {
                    each(char::from_u32(first))?;
                }
            }
            Some(other) => each(Some(other))?,
            None => {}
        }
    }
    Some(())
}

fn hex4(rest: &mut std::str::Chars<'_>) -> u32 {
    rest.by_ref().take(4).fold(0, |value, digit| value * 16 + digit.to_digit(16).unwrap_or(0))
}

// === shallow reading of texts that are known to be valid ===

/// The members of a valid object, noted without descending.
pub(super) fn members(raw: &[u8]) -> Vec<Span> {
    let mut found = Vec::new();
    let mut at = skip_blank(raw, 1);
    while raw.get(at) == Some(&b'"') {
        let key_end = skip_string(raw, at);
        let value = skip_blank(raw, skip_blank(raw, key_end) + 1);
        let end = skip_value(raw, value);
        found.push(Span { key: narrow(&(at + 1..key_end - 1)), value: narrow(&(value..end)) });
        at = skip_blank(raw, skip_blank(raw, end) + 1);
    }
    found
}

/// The elements of a valid array, noted without descending.
pub(super) fn elements(raw: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = skip_blank(raw, 1);
    while raw.get(at).is_some_and(|&byte| byte != b']') {
        let end = skip_value(raw, at);
        found.push(at..end);
        at = skip_blank(raw, skip_blank(raw, end) + 1);
    }
    found
}

fn skip_blank(raw: &[u8], mut at: usize) -> usize {
    while matches!(raw.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

fn skip_string(raw: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    loop {
        at = plain_until(raw, at);
        match raw.get(at) {
            Some(b'\\') => at += 2,
            Some(b'"') => return at + 1,
            Some(_) => at += 1,
            None => return raw.len(),
        }
    }
}

fn skip_value(raw: &[u8], mut at: usize) -> usize {
    let mut depth = 0_usize;
    loop {
        match raw.get(at) {
            None => return raw.len(),
            Some(b'"') => at = skip_string(raw, at),
            Some(b'{' | b'[') => {
                depth += 1;
                at += 1;
            }
            Some(b'}' | b']') => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            Some(_) if depth == 0 => {
                while raw.get(at).is_some_and(|byte| !b",]} \t\r\n".contains(byte)) {
                    at += 1;
                }
            }
            Some(_) => {
                at += 1;
                continue;
            }
        }
        if depth == 0 {
            return at;
        }
    }
}
