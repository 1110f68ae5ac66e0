//! An object whose members are slices of the text, and the splicing that changes a few of them.

use std::borrow::Cow;

use bytes::Bytes;

use super::scan::{self, Span};
use super::{Json, Kind, kind_of, text_of, write_string};

/// A JSON object by its members: order, unknown members and the text of each value are kept.
#[derive(Clone, Debug)]
pub struct Object {
    /// The buffer that the spans point into; may be larger than the object.
    buffer: Bytes,
    members: Vec<Span>,
}

/// One change to an object: a new value for a key, or its removal.
#[derive(Clone, Copy, Debug)]
pub struct Edit<'a> {
    /// The key, unescaped.
    pub key: &'a str,
    /// The new value as JSON text; `None` removes the member.
    pub value: Option<&'a [u8]>,
}

impl<'a> Edit<'a> {
    /// Sets `key` to `value`, in its old place or at the end.
    pub fn set(key: &'a str, value: &'a [u8]) -> Self {
        Self { key, value: Some(value) }
    }

    /// Removes `key` if it is there.
    pub fn remove(key: &'a str) -> Self {
        Self { key, value: None }
    }
}

impl Object {
    /// An object without members.
    pub fn empty() -> Self {
        Self { buffer: Bytes::new(), members: Vec::new() }
    }

    pub(crate) fn from_spans(buffer: Bytes, members: Vec<Span>) -> Self {
        Self { buffer, members }
    }

    /// Reads the members of a text that is known to be valid JSON; `None` if it is no object.
    pub fn of_valid(raw: &Bytes) -> Option<Self> {
        (kind_of(raw) == Kind::Object)
            .then(|| Self { buffer: raw.clone(), members: scan::members(raw) })
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<Json> {
        let span = self.find(key)?;
        Some(Json::trusted(self.buffer.slice(span.value.range())))
    }

    /// The value of `key` as raw text, without taking a share of the buffer.
    pub fn raw(&self, key: &str) -> Option<&[u8]> {
        let span = self.find(key)?;
        Some(&self.buffer[span.value.range()])
    }

    /// The decoded text of `key` if it is there and a string.
    pub fn text(&self, key: &str) -> Option<Cow<'_, str>> {
        let span = self.find(key)?;
        let raw = &self.buffer[span.value.range()];
        if span.value.escaped {
            return text_of(raw);
        }
        let inner = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        Some(Cow::Borrowed(scan::decode_plain(inner)))
    }

    /// The object at `key` if it is there and an object.
    pub fn object(&self, key: &str) -> Option<Object> {
        self.get(key)?.object()
    }

    /// Whether `key` is there.
    pub fn has(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// All members in order: decoded key and value.
    pub fn members(&self) -> Members<'_> {
        Members { object: self, next: 0 }
    }

    /// Appends the object to `out` with the edits applied: changed members stay in place, new ones
    /// come last, everything else is copied as it was written.
    pub fn splice(&self, edits: &[Edit<'_>], out: &mut Vec<u8>) {
        out.push(b'{');
        let start = out.len();
        let separate = |out: &mut Vec<u8>| {
            if out.len() > start {
                out.push(b',');
            }
        };
        // Neighbours without white space between them are copied as one run.
        let mut run = 0..0;
        for span in &self.members {
            let (key, value) = (span.key.range(), span.value.range());
            let edit = edits.iter().find(|edit| self.key_is(span, edit.key));
            let is_compact = value.start == key.end + 2;
            if edit.is_none() && is_compact && key.start == run.end + 2 && !run.is_empty() {
                run.end = value.end;
                continue;
            }
            if !run.is_empty() {
                separate(out);
                out.extend_from_slice(&self.buffer[run]);
            }
            run = 0..0;
            if edit.is_none() && is_compact {
                run = key.start - 1..value.end;
                continue;
            }
            let value = match edit {
                None => &self.buffer[value],
                Some(Edit { value: Some(value), .. }) => value,
                Some(Edit { value: None, .. }) => continue,
            };
            separate(out);
            out.extend_from_slice(&self.buffer[key.start - 1..=key.end]);
            out.push(b':');
            out.extend_from_slice(value);
        }
        if !run.is_empty() {
            separate(out);
            out.extend_from_slice(&self.buffer[run]);
        }
        for edit in edits {
            if let Some(value) = edit.value
                && !self.has(edit.key)
            {
                separate(out);
                write_string(out, edit.key);
                out.push(b':');
                out.extend_from_slice(value);
            }
        }
        out.push(b'}');
    }

    /// The object with the edits applied, as an object of its own.
    pub fn with(&self, edits: &[Edit<'_>]) -> Object {
        Object::of_valid(self.to_json(edits).bytes()).expect("a spliced object is an object")
    }

    /// The object with the edits applied, as JSON text.
    pub fn to_json(&self, edits: &[Edit<'_>]) -> Json {
        let mut out = Vec::with_capacity(self.text_len() + 64);
        self.splice(edits, &mut out);
        Json::trusted(out)
    }

    /// About how many bytes the object takes as text.
    pub fn text_len(&self) -> usize {
        self.members.iter().map(|span| span.key.len() + span.value.len() + 4).sum::<usize>() + 2
    }

    #[inline]
    fn find(&self, key: &str) -> Option<&Span> {
        self.members.iter().find(|span| self.key_is(span, key))
    }

    #[inline]
    fn key_is(&self, span: &Span, key: &str) -> bool {
        if span.key.escaped {
            return scan::decode(&self.buffer[span.key.range()]) == key;
        }
        span.key.len() == key.len() && self.buffer[span.key.range()] == *key.as_bytes()
    }
}

/// Iterator over the members of an [`Object`], in the order of the text.
#[derive(Debug)]
pub struct Members<'a> {
    object: &'a Object,
    next: usize,
}

impl<'a> Iterator for Members<'a> {
    type Item = (Cow<'a, str>, Json);

    fn next(&mut self) -> Option<Self::Item> {
        let span = self.object.members.get(self.next)?;
        self.next += 1;
        let buffer = &self.object.buffer;
        Some((
            scan::decode(&buffer[span.key.range()]),
            Json::trusted(buffer.slice(span.value.range())),
        ))
    }
}
