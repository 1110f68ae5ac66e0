//! Shallow reading of texts that are known to be valid: one level, without a check.

use std::ops::Range;

use super::string::plain_until;
use super::{Span, narrow};

/// The members of a valid object, noted without descending.
pub(in crate::json) fn members(raw: &[u8]) -> Vec<Span> {
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
pub(in crate::json) fn elements(raw: &[u8]) -> Vec<Range<usize>> {
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
