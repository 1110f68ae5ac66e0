//! The inside of string literals: where it ends, and what it means.

use std::borrow::Cow;

/// The first position from `at` on that holds a quote, a backslash or a control character.
///
/// Most strings are short: their first bytes are taken eight at a time. Most bytes are in long ones:
/// these go in blocks that the compiler turns into vector instructions.
#[inline]
pub(super) fn plain_until(text: &[u8], mut at: usize) -> usize {
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
pub(super) fn decode_exact(inner: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(inner).ok()?;
    let mut out = String::with_capacity(text.len());
    unescape(text, |decoded| decoded.map(|character| out.push(character)))?;
    Some(out)
}

/// Decodes the inside of a valid string literal; lone surrogates become U+FFFD.
pub(in crate::json) fn decode(inner: &[u8]) -> Cow<'_, str> {
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
