//! The inside of string literals: where it ends, and what it means.

use std::borrow::Cow;

use memchr::memchr;

use super::{At, Stretch};

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Most strings are short: this many bytes are taken eight at a time. Most bytes are in long strings:
/// these go in blocks that the compiler turns into vector instructions.
const SHORT: At = 24;
const BLOCK: At = 64;

/// Whether a byte in a string stands for itself, or is a part of a character that does.
#[inline]
pub(super) fn is_plain(byte: u8) -> bool {
    byte != b'"' && byte != b'\\' && byte >= 0x20
}

/// The first position from `at` on that holds a quote, a backslash, a control character or a byte
/// beyond ASCII.
#[inline]
pub(super) fn plain_ascii_until(text: &[u8], at: At) -> At {
    for at in [at, at + 8, at + 16] {
        let Some(word) = whole_word(text, at) else { return tail_until(text, at, u8::is_ascii) };
        let found = unplain_ascii(word);
        if found != 0 {
            return at + first_marked(found);
        }
    }
    long_plain_ascii_until(text, at + SHORT)
}

#[inline(never)]
fn long_plain_ascii_until(text: &[u8], mut at: At) -> At {
    // Flipping one bit makes the quote the neighbour of the control characters.
    let is_plain = |byte: u8| (byte ^ 2).cast_signed() > 0x20 && byte != b'\\';
    while let Some(block) = block(text, at)
        && block.iter().fold(true, |plain, &byte| plain & is_plain(byte))
    {
        at += BLOCK;
    }
    while let Some(word) = whole_word(text, at) {
        let found = unplain_ascii(word);
        if found != 0 {
            return at + first_marked(found);
        }
        at += 8;
    }
    tail_until(text, at, u8::is_ascii)
}

/// The first position from `at` on that holds a quote, a backslash or a control character.
pub(super) fn plain_until(text: &[u8], mut at: At) -> At {
    let long_from = at + SHORT;
    loop {
        while at >= long_from
            && let Some(block) = block(text, at)
            && block.iter().fold(true, |plain, &byte| plain & is_plain(byte))
        {
            at += BLOCK;
        }
        let Some(word) = whole_word(text, at) else { return tail_until(text, at, |_| true) };
        let found = unplain(word);
        if found != 0 {
            return at + first_marked(found);
        }
        at += 8;
    }
}

#[cold]
fn tail_until(text: &[u8], mut at: At, also: impl Fn(&u8) -> bool) -> At {
    while text.get(at as usize).is_some_and(|byte| is_plain(*byte) && also(byte)) {
        at += 1;
    }
    at
}

#[inline]
fn block(text: &[u8], at: At) -> Option<&[u8]> {
    text.get(at as usize..at as usize + BLOCK as usize)
}

#[inline]
fn whole_word(text: &[u8], at: At) -> Option<u64> {
    let bytes = text.get(at as usize..at as usize + 8)?;
    Some(u64::from_le_bytes(bytes.try_into().expect("eight bytes")))
}

/// The eight bytes at `at`; NUL where the text has ended.
#[inline]
pub(super) fn word(text: &[u8], at: At) -> u64 {
    whole_word(text, at).unwrap_or_else(|| last_word(text, at))
}

/// The eight bytes at `at`; NUL where the text has ended.
#[inline]
pub(in crate::json) fn word_at(text: &[u8], at: usize) -> u64 {
    At::try_from(at).map_or(0, |at| word(text, at))
}

/// The first eight bytes of a stretch, filled up with NUL.
#[inline]
pub(super) fn first_word(text: &[u8], stretch: Stretch) -> u64 {
    let word = word(text, stretch.start);
    match stretch.end - stretch.start {
        length @ 0..8 => word & ((1 << (8 * length)) - 1),
        _ => word,
    }
}

#[cold]
fn last_word(text: &[u8], at: At) -> u64 {
    let bytes = text.get(at as usize..).unwrap_or_default();
    bytes.iter().take(8).rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

/// Which byte of a word is the first that is marked.
#[inline]
fn first_marked(marks: u64) -> At {
    marks.trailing_zeros() / 8
}

/// Marks, with its high bit, each byte that is a quote, a backslash, a control character or beyond
/// ASCII. Bytes above the first such byte may be marked wrongly.
#[inline]
fn unplain_ascii(word: u64) -> u64 {
    // Flipping one bit makes the quote the neighbour of the control characters.
    let control_or_quote = (word ^ (ONES * 2)).wrapping_sub(ONES * 0x21);
    let backslash = (word ^ (ONES * u64::from(b'\\'))).wrapping_sub(ONES);
    (control_or_quote | backslash | word) & HIGHS
}

/// Marks, with its high bit, each byte that is a quote, a backslash or a control character. Bytes
/// above the first such byte may be marked wrongly.
#[inline]
fn unplain(word: u64) -> u64 {
    let control_or_quote = (word ^ (ONES * 2)).wrapping_sub(ONES * 0x21);
    let backslash = (word ^ (ONES * u64::from(b'\\'))).wrapping_sub(ONES);
    (control_or_quote | backslash) & !word & HIGHS
}

/// How many of eight bytes, from the first on, are no quote, backslash or control character.
#[inline]
pub(in crate::json) fn plain_bytes(word: u64) -> At {
    first_marked(unplain(word))
}

/// Marks, with its high bit, each byte that is a quote, a backslash or a control character, and no
/// other.
#[inline]
pub(in crate::json) fn special_bytes(word: u64) -> u64 {
    let low = word & !HIGHS;
    let is_no_quote = (low ^ (ONES * u64::from(b'"'))) + !HIGHS;
    let is_no_backslash = (low ^ (ONES * u64::from(b'\\'))) + !HIGHS;
    let is_no_control = low + ONES * 0x60;
    !((is_no_quote & is_no_backslash & is_no_control) | word) & HIGHS
}

/// Decodes the inside of a valid string literal; `None` where a lone surrogate makes that
/// impossible.
pub(super) fn decode_exact(inner: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(inner).ok()?;
    let mut out = String::with_capacity(text.len());
    unescape(text, |decoded| decoded.map(|character| out.push(character)))?;
    Some(out)
}

/// Decodes the inside of a valid string literal; lone surrogates become U+FFFD.
pub(in crate::json) fn decode(inner: &[u8]) -> Cow<'_, str> {
    if memchr(b'\\', inner).is_none() {
        return Cow::Borrowed(decode_plain(inner));
    }
    let text = decode_plain(inner);
    let mut out = String::with_capacity(text.len());
    unescape(text, |decoded| {
        out.push(decoded.unwrap_or(char::REPLACEMENT_CHARACTER));
        Some(())
    });
    Cow::Owned(out)
}

/// The inside of a valid string literal without escapes.
#[inline]
pub(in crate::json) fn decode_plain(inner: &[u8]) -> &str {
    std::str::from_utf8(inner).expect("a scanned string is valid UTF-8")
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
