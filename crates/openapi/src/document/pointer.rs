//! JSON pointers (RFC 6901) in references, also those that are not quite right.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::tree::{Kind, Value};

/// Longest pointer that is followed, in segments.
pub(super) const SEGMENTS_MAX: usize = 256;

/// One step down from `value` by the first of `segments`, or by several of them where a key with a
/// slash was written without `~1`. Says how many were used.
pub(super) fn step<'t>(value: Value<'t>, segments: &[&str]) -> Option<(Value<'t>, usize)> {
    let first = *segments.first()?;
    match value.kind() {
        Kind::Array => Some((value.element(first.parse().ok()?)?, 1)),
        Kind::Object => {
            if let Some(member) = member(value, first) {
                return Some((member, 1));
            }
            if first.is_empty() && segments.len() == 1 {
                // A slash too many at the end.
                return Some((value, 1));
            }
            if value.entries().all(|(key, _)| !key.contains('/')) {
                return None;
            }
            let longest = segments.len().min(32);
            (2..=longest)
                .rev()
                .find_map(|used| Some((member(value, &segments[..used].join("/"))?, used)))
        }
        _ => None,
    }
}

fn member<'t>(value: Value<'t>, segment: &str) -> Option<Value<'t>> {
    let decoded = percent_decode_str(segment).decode_utf8_lossy();
    value
        .get(&unescaped(&decoded))
        .or_else(|| value.get(&unescaped(segment)))
        .or_else(|| value.get(segment))
}

fn unescaped(segment: &str) -> Cow<'_, str> {
    if segment.contains('~') {
        Cow::Owned(segment.replace("~1", "/").replace("~0", "~"))
    } else {
        Cow::Borrowed(segment)
    }
}
