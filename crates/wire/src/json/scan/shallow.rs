//! Shallow reading of texts that are known to be valid: one level, without a check.

use std::ops::Range;

use super::string::{plain_ascii_until, plain_bytes, word};
use super::{At, Literal, Span, Stretch, TEXT_BYTES_MAX};
use crate::json::StringEnd;

/// The members of a valid object, noted without descending.
pub(in crate::json) fn members(raw: &[u8]) -> Vec<Span> {
    assert!(raw.len() <= TEXT_BYTES_MAX, "longer texts are never accepted");
    let mut found = Vec::new();
    let mut at = skip_blank(raw, 1);
    while byte(raw, at) == Some(b'"') {
        let key = skip_string(raw, at);
        let start = skip_blank(raw, skip_blank(raw, key.end) + 1);
        let value = skip_value(raw, start);
        found.push(Span {
            key: Stretch { start: at + 1, end: key.end - 1, escaped: key.escaped },
            value: Stretch { start, end: value.end, escaped: value.escaped },
            changed: false,
        });
        at = skip_blank(raw, skip_blank(raw, value.end) + 1);
    }
    found
}

/// The elements of a valid array, noted without descending.
pub(in crate::json) fn elements(raw: &[u8]) -> Vec<Range<usize>> {
    assert!(raw.len() <= TEXT_BYTES_MAX, "longer texts are never accepted");
    let mut found = Vec::new();
    let mut at = skip_blank(raw, 1);
    while byte(raw, at).is_some_and(|byte| byte != b']') {
        let end = skip_value(raw, at).end;
        found.push(at as usize..end as usize);
        at = skip_blank(raw, skip_blank(raw, end) + 1);
    }
    found
}

/// Where a string ends that is plain up to `at`; a position that no text has ends nowhere.
pub(in crate::json) fn rest_of_string(raw: &[u8], at: usize) -> StringEnd {
    let Ok(at) = At::try_from(at) else { return StringEnd { end: raw.len(), is_escaped: false } };
    let Literal { end, escaped } = skip_rest(raw, at);
    StringEnd { end: end as usize, is_escaped: escaped }
}

#[inline]
fn byte(raw: &[u8], at: At) -> Option<u8> {
    raw.get(at as usize).copied()
}

#[inline]
fn skip_blank(raw: &[u8], mut at: At) -> At {
    while matches!(byte(raw, at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

#[inline]
fn skip_string(raw: &[u8], at: At) -> Literal {
    let end = plain_ascii_until(raw, at + 1);
    if byte(raw, end) == Some(b'"') { Literal::plain(end + 1) } else { skip_rest(raw, end) }
}

/// Goes on in a string at a byte that is not plain ASCII. What comes here is often JSON in JSON, with
/// an escape every few bytes.
#[inline(never)]
fn skip_rest(raw: &[u8], mut at: At) -> Literal {
    let mut escaped = false;
    loop {
        at += plain_bytes(word(raw, at));
        match byte(raw, at) {
            Some(b'"') => return Literal { end: at + 1, escaped },
            Some(b'\\') => {
                escaped = true;
                at += 2;
            }
            // Valid strings have none.
            Some(..b' ') => at += 1,
            Some(_) => {}
            None => return Literal { end: end_of(raw), escaped },
        }
    }
}

#[inline]
fn skip_value(raw: &[u8], at: At) -> Literal {
    match byte(raw, at) {
        Some(b'"') => skip_string(raw, at),
        Some(b'{' | b'[') => Literal::plain(skip_container(raw, at)),
        _ => Literal::plain(skip_scalar(raw, at)),
    }
}

fn skip_scalar(raw: &[u8], mut at: At) -> At {
    while byte(raw, at).is_some_and(|byte| !b",]} \t\r\n".contains(&byte)) {
        at += 1;
    }
    at
}

/// The end of an array or object: where its brackets are balanced.
fn skip_container(raw: &[u8], mut at: At) -> At {
    let mut depth = 0_usize;
    while let Some(byte) = byte(raw, at) {
        match byte {
            b'"' => {
                at = skip_string(raw, at).end;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => return at + 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    end_of(raw)
}

fn end_of(raw: &[u8]) -> At {
    At::try_from(raw.len()).expect("checked at the start")
}
