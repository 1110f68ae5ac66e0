//! The scanner: validates a whole text in one pass and notes where the members of the outer
//! objects stand.
//!
//! Each step takes the position where it starts and returns where it ended, so that both stay in
//! registers; a step that refuses leaves the reason in the scanner.

#![expect(clippy::inline_always, reason = "a call for each token costs as much as the token")]

use std::ops::Range;

use super::{Limits, Malformed, Reason};

mod keys;
pub(super) mod shallow;
mod string;
mod watched;

use keys::{Key, Keys};
pub(super) use shallow::{elements, members};
pub(super) use string::{decode, decode_plain, plain_bytes, special_bytes, word_at};
use string::{decode_exact, first_word, is_plain, plain_ascii_until, plain_until};
pub(crate) use watched::Part;
use watched::{Name, Place, Variant};

/// A position in a text.
type At = u32;

/// Longer texts are refused whatever the limits say, so that positions some way beyond the end still
/// fit [`At`].
pub(super) const TEXT_BYTES_MAX: usize = (At::MAX >> 1) as usize;

/// A stretch of a text: a key without its quotes, or a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stretch {
    start: At,
    end: At,
    /// Whether it is a string with escapes, or the inside of one.
    pub(crate) escaped: bool,
}

impl Stretch {
    /// A stretch that this program wrote.
    pub(super) fn written(range: Range<usize>, escaped: bool) -> Self {
        let at = |at| At::try_from(at).expect("texts are shorter than 2 GiB, checked at the start");
        Self { start: at(range.start), end: at(range.end), escaped }
    }

    /// How many bytes it has.
    #[inline]
    pub(crate) fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// Where it stands, with the quotes around it.
    pub(crate) fn quoted(self) -> Range<usize> {
        self.start as usize - 1..self.end as usize + 1
    }

    /// Where it stands.
    #[inline]
    pub(crate) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// Where one member of an object stands in the scanned text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// The key as written, without its quotes.
    pub(super) key: Stretch,
    /// The value as written.
    pub(super) value: Stretch,
    /// Whether it was changed, and stands among the changes instead of in the text that came.
    pub(super) changed: bool,
}

/// What one pass over a message found: the members of the envelope that JSON-RPC knows, the members
/// of `params`, `result` and `error` (of which a valid message has one), and those of their `_meta`.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    parts: [Stretch; Part::COUNT],
    pub(crate) body: Vec<Span>,
    pub(crate) meta: Vec<Span>,
}

impl Scan {
    /// Where the value of a member of the envelope stands, if it is there.
    #[inline]
    pub(crate) fn part(&self, part: Part) -> Option<Stretch> {
        let stretch = self.parts[part as usize];
        (stretch.end > 0).then_some(stretch)
    }
}

/// Validates a message and notes its outer members. Fails for anything but an object.
pub(crate) fn message(text: &[u8], limits: &Limits) -> Result<Scan, Malformed> {
    let mut scanner = Scanner::new(text, limits)?;
    let (start, byte) = scanner.token(0);
    let end = if byte == b'{' {
        scanner.noted_object(start, Place::Envelope)
    } else {
        scanner.refuse(Reason::Syntax, start)
    };
    scanner.finish(end)
}

/// Validates any value.
pub(super) fn check(text: &[u8], limits: &Limits) -> Result<(), Malformed> {
    let mut scanner = Scanner::new(text, limits)?;
    let (start, byte) = scanner.token(0);
    let end = scanner.value(start, byte, Place::Inner).map(|literal| literal.end);
    scanner.finish(end).map(drop)
}

/// Validates any value; if it is an object, also notes its members.
pub(super) fn members_checked(
    text: &[u8],
    limits: &Limits,
) -> Result<Option<Vec<Span>>, Malformed> {
    let mut scanner = Scanner::new(text, limits)?;
    let (start, byte) = scanner.token(0);
    let end = scanner.value(start, byte, Place::Outer).map(|literal| literal.end);
    scanner.finish(end).map(|scan| (byte == b'{').then_some(scan.body))
}

/// Stops the scan; [`Scanner::failure`] says why.
struct Refused;

/// Where a value ended, and whether it is a string with escapes.
#[derive(Clone, Copy)]
struct Literal {
    end: At,
    escaped: bool,
}

impl Literal {
    #[inline]
    fn plain(end: At) -> Self {
        Self { end, escaped: false }
    }
}

struct Scanner<'a> {
    text: &'a [u8],
    key_bytes_max: usize,
    depth_left: usize,
    nodes_left: usize,
    /// Whether no string so far had a byte beyond ASCII; nothing else can have one.
    is_ascii: bool,
    keys: Keys<'a>,
    found: Scan,
    failure: Option<Malformed>,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a [u8], limits: &Limits) -> Result<Self, Malformed> {
        let refuse = |reason, offset| Err(Malformed { reason, offset });
        if text.len() > limits.bytes.min(TEXT_BYTES_MAX) {
            return refuse(Reason::TooLong, limits.bytes);
        }
        if text.starts_with(b"\xef\xbb\xbf") {
            return refuse(Reason::ByteOrderMark, 0);
        }
        Ok(Self {
            text,
            key_bytes_max: limits.key_bytes,
            depth_left: limits.depth,
            nodes_left: limits.nodes,
            is_ascii: true,
            keys: Keys::new(),
            found: Scan::default(),
            failure: None,
        })
    }

    /// The outcome of a scan whose last value ended at `end`.
    fn finish(mut self, end: Result<At, Refused>) -> Result<Scan, Malformed> {
        let end = end.and_then(|end| match self.token(end).0 {
            end if end as usize == self.text.len() => Ok(end),
            end => self.refuse(Reason::TrailingBytes, end),
        });
        // That it is no text at all goes before whatever else is wrong with it.
        if (end.is_err() || !self.is_ascii)
            && let Err(error) = std::str::from_utf8(self.text)
        {
            return Err(Malformed { reason: Reason::NotUtf8, offset: error.valid_up_to() });
        }
        match self.failure {
            None => Ok(self.found),
            Some(malformed) => Err(malformed),
        }
    }

    #[cold]
    #[inline(never)]
    fn refuse<T>(&mut self, reason: Reason, at: At) -> Result<T, Refused> {
        let is_end = at as usize >= self.text.len();
        let reason = if is_end && reason == Reason::Syntax { Reason::Incomplete } else { reason };
        let offset = self.text.len().min(at as usize);
        self.failure = Some(Malformed { reason, offset });
        Err(Refused)
    }

    /// The byte at `at`; past the end NUL, which is allowed nowhere.
    #[inline]
    fn byte(&self, at: At) -> u8 {
        self.text.get(at as usize).copied().unwrap_or(0)
    }

    /// The first position from `at` on without white space, and what stands there.
    #[inline(always)]
    fn token(&self, at: At) -> (At, u8) {
        let byte = self.byte(at);
        if byte > b' ' { (at, byte) } else { self.token_after_blank(at) }
    }

    #[inline(never)]
    fn token_after_blank(&self, mut at: At) -> (At, u8) {
        loop {
            match self.byte(at) {
                b' ' | b'\t' | b'\n' | b'\r' => at += 1,
                byte => return (at, byte),
            }
        }
    }

    /// Reads the value that starts with `byte` at `at`.
    #[inline(always)]
    fn value(&mut self, at: At, byte: u8, place: Place) -> Result<Literal, Refused> {
        let Some(nodes_left) = self.nodes_left.checked_sub(1) else {
            return self.refuse(Reason::TooManyValues, at);
        };
        self.nodes_left = nodes_left;
        if byte == b'"' { self.string(at) } else { self.other(at, byte, place).map(Literal::plain) }
    }

    /// Reads a value that is no string.
    fn other(&mut self, at: At, byte: u8, place: Place) -> Result<At, Refused> {
        match byte {
            b'{' if place == Place::Inner => self.object(at),
            b'{' => self.noted_object(at, place),
            b'[' => self.array(at),
            b't' => self.word(at, at + 4, b"true"),
            b'f' => self.word(at, at + 5, b"false"),
            b'n' => self.word(at, at + 4, b"null"),
            b'-' | b'0'..=b'9' => self.number(at, byte),
            _ => self.refuse(Reason::Syntax, at),
        }
    }

    #[inline]
    fn word(&mut self, at: At, end: At, word: &[u8]) -> Result<At, Refused> {
        if self.text.get(at as usize..end as usize) == Some(word) {
            Ok(end)
        } else {
            self.refuse(Reason::Syntax, at)
        }
    }

    #[inline]
    fn number(&mut self, mut at: At, first: u8) -> Result<At, Refused> {
        if first == b'-' {
            at += 1;
        }
        let mut byte;
        (at, byte) =
            if self.byte(at) == b'0' { (at + 1, self.byte(at + 1)) } else { self.digits(at)? };
        if byte == b'.' {
            (at, byte) = self.digits(at + 1)?;
        }
        if matches!(byte, b'e' | b'E') {
            at += 1;
            if matches!(self.byte(at), b'+' | b'-') {
                at += 1;
            }
            (at, _) = self.digits(at)?;
        }
        Ok(at)
    }

    /// Reads one digit or more; returns also what follows them.
    #[inline]
    fn digits(&mut self, start: At) -> Result<(At, u8), Refused> {
        let mut at = start;
        loop {
            match self.byte(at) {
                b'0'..=b'9' => at += 1,
                byte if at > start => return Ok((at, byte)),
                _ => return self.refuse(Reason::Number, at),
            }
        }
    }

    /// Reads a string from its first quote on.
    #[inline(always)]
    fn string(&mut self, at: At) -> Result<Literal, Refused> {
        let end = plain_ascii_until(self.text, at + 1);
        match self.byte(end) {
            b'"' => Ok(Literal::plain(end + 1)),
            _ => self.rest_of_string(end),
        }
    }

    /// Goes on in a string at a byte that is not plain ASCII.
    #[inline(never)]
    fn rest_of_string(&mut self, mut at: At) -> Result<Literal, Refused> {
        let mut escaped = false;
        loop {
            match self.byte(at) {
                b'"' => return Ok(Literal { end: at + 1, escaped }),
                b'\\' => {
                    escaped = true;
                    at = self.escape(at)?;
                }
                byte if is_plain(byte) => self.is_ascii = false,
                _ if at as usize >= self.text.len() => return self.refuse(Reason::Incomplete, at),
                _ => return self.refuse(Reason::ControlCharacter, at),
            }
            at = if self.is_ascii {
                plain_ascii_until(self.text, at)
            } else {
                plain_until(self.text, at)
            };
        }
    }

    #[inline]
    fn escape(&mut self, at: At) -> Result<At, Refused> {
        match self.byte(at + 1) {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(at + 2),
            b'u' if (2..6).all(|digit| self.byte(at + digit).is_ascii_hexdigit()) => Ok(at + 6),
            _ => self.refuse(Reason::Escape, at),
        }
    }

    /// Enters an array or object; returns the first token.
    #[inline]
    fn open(&mut self, at: At) -> Result<(At, u8), Refused> {
        let Some(depth_left) = self.depth_left.checked_sub(1) else {
            return self.refuse(Reason::TooDeep, at);
        };
        self.depth_left = depth_left;
        Ok(self.token(at + 1))
    }

    /// Leaves an array or object whose last byte is at `at`.
    #[inline]
    fn close(&mut self, at: At) -> At {
        self.depth_left += 1;
        at + 1
    }

    fn array(&mut self, at: At) -> Result<At, Refused> {
        let (mut at, mut byte) = self.open(at)?;
        if byte == b']' {
            return Ok(self.close(at));
        }
        loop {
            let end = self.value(at, byte, Place::Inner)?.end;
            (at, byte) = self.token(end);
            match byte {
                b',' => (at, byte) = self.token(at + 1),
                b']' => return Ok(self.close(at)),
                _ => return self.refuse(Reason::Syntax, at),
            }
        }
    }

    /// Reads an object whose members are not noted.
    fn object(&mut self, at: At) -> Result<At, Refused> {
        self.members(at, Place::Inner, |scanner, _, _, start, first| {
            Ok(scanner.value(start, first, Place::Inner)?.end)
        })
    }

    /// Reads an object whose members are noted.
    #[inline(never)]
    fn noted_object(&mut self, at: At, place: Place) -> Result<At, Refused> {
        self.members(at, place, |scanner, key, name, start, first| {
            let Literal { end, escaped } = scanner.value(start, first, place.child(name))?;
            scanner.note(place, name, key, Stretch { start, end, escaped });
            Ok(end)
        })
    }

    /// Reads an object; `value` reads the value of a key from its first byte on.
    #[inline(always)]
    fn members(
        &mut self,
        at: At,
        place: Place,
        value: impl Fn(&mut Self, Stretch, Option<Name>, At, u8) -> Result<At, Refused>,
    ) -> Result<At, Refused> {
        let (mut at, mut byte) = self.open(at)?;
        if byte == b'}' {
            return Ok(self.close(at));
        }
        let outer = self.keys.open();
        loop {
            if byte != b'"' {
                return self.refuse(Reason::Syntax, at);
            }
            let Literal { end, escaped } = self.string(at)?;
            let key = Stretch { start: at + 1, end: end - 1, escaped };
            let name = self.key(key, place)?;
            let (colon, byte_there) = self.token(end);
            if byte_there != b':' {
                return self.refuse(Reason::Syntax, colon);
            }
            let (start, first) = self.token(colon + 1);
            let end = value(self, key, name, start, first)?;
            (at, byte) = self.token(end);
            match byte {
                b',' => (at, byte) = self.token(at + 1),
                b'}' => {
                    self.keys.close(outer);
                    return Ok(self.close(at));
                }
                _ => return self.refuse(Reason::Syntax, at),
            }
        }
    }

    /// Adds a key, which must be new in its object and no variant of a member the gate reads. Returns
    /// which of those it is.
    #[inline(always)]
    fn key(&mut self, key: Stretch, place: Place) -> Result<Option<Name>, Refused> {
        if key.len() > self.key_bytes_max {
            return self.refuse(Reason::KeyTooLong, key.start - 1);
        }
        if key.escaped {
            return self.escaped_key(key, place);
        }
        let first = first_word(self.text, key);
        let name = match place {
            Place::Inner => None,
            _ => match place.name(&self.text[key.range()], first) {
                Ok(name) => name,
                Err(Variant) => return self.refuse(Reason::CaseVariant, key.start - 1),
            },
        };
        if self.keys.add(Key::new(self.text, key, first), self.text) {
            Ok(name)
        } else {
            self.refuse(Reason::DuplicateKey, key.start - 1)
        }
    }

    #[cold]
    fn escaped_key(&mut self, key: Stretch, place: Place) -> Result<Option<Name>, Refused> {
        let at = key.start - 1;
        let decoded = match decode_exact(&self.text[key.range()]) {
            Some(decoded) if !decoded.contains('\0') => decoded.into_bytes(),
            _ => return self.refuse(Reason::ForbiddenKey, at),
        };
        // A protocol member must also be written plainly: `"m\u0065thod"` is what only a
        // smuggler writes, and raw comparison would overlook it.
        if place.has_name(&decoded) {
            return self.refuse(Reason::CaseVariant, at);
        }
        if self.keys.add_hashed(decoded.into(), self.text) {
            Ok(None)
        } else {
            self.refuse(Reason::DuplicateKey, at)
        }
    }

    fn note(&mut self, place: Place, name: Option<Name>, key: Stretch, value: Stretch) {
        let members = match place {
            Place::Inner => return,
            Place::Envelope => {
                if let Some(part) = name.and_then(|name| self.found.parts.get_mut(name.0 as usize))
                {
                    *part = value;
                }
                return;
            }
            Place::Body | Place::Outer => &mut self.found.body,
            Place::Meta => &mut self.found.meta,
        };
        if members.capacity() == 0 {
            *members = Vec::with_capacity(6);
        }
        members.push(Span { key, value, changed: false });
    }
}
