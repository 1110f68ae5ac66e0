//! An object whose members are slices of the text, and the splicing that changes a few of them.

use std::borrow::Cow;

use bytes::Bytes;

use super::scan::{self, Span};
use super::write::write_member;
use super::{Json, Kind, kind_of, text_of, write_string};

/// A JSON object by its members: order, unknown members and the text of each value are kept.
#[derive(Clone, Debug)]
pub struct Object {
    /// The buffer that the spans point into; may be larger than the object.
    buffer: Bytes,
    /// The members that were changed, as `"key":value` one after the other.
    changes: Bytes,
    members: Vec<Span>,
}

/// Values shorter than this are copied: a piece of its own costs more.
const SHARED_MIN: usize = 8 << 10;

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
        Self { buffer: Bytes::new(), changes: Bytes::new(), members: Vec::new() }
    }

    pub(crate) fn from_spans(buffer: Bytes, members: Vec<Span>) -> Self {
        Self { buffer, changes: Bytes::new(), members }
    }

    /// Reads the members of a text that is known to be valid JSON; `None` if it is no object.
    pub fn of_valid(raw: &Bytes) -> Option<Self> {
        (kind_of(raw) == Kind::Object).then(|| Self::from_spans(raw.clone(), scan::members(raw)))
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
        Some(Json::trusted(self.home(span).slice(span.value.range())))
    }

    /// The value of `key` as raw text, without taking a share of the buffer.
    pub fn raw(&self, key: &str) -> Option<&[u8]> {
        let span = self.find(key)?;
        Some(&self.home(span)[span.value.range()])
    }

    /// The decoded text of `key` if it is there and a string.
    pub fn text(&self, key: &str) -> Option<Cow<'_, str>> {
        let span = self.find(key)?;
        let raw = &self.home(span)[span.value.range()];
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
            let is_compact = value.start == key.end + 2 && !span.changed;
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
            let home = self.home(span);
            let value = match edit {
                None => &home[value],
                Some(Edit { value: Some(value), .. }) => value,
                Some(Edit { value: None, .. }) => continue,
            };
            separate(out);
            out.extend_from_slice(&home[key.start - 1..=key.end]);
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

    /// The object as text after `head` and before `tail`, in pieces: long members are shared with the text
    /// they came in instead of copied.
    pub fn pieces(&self, head: Vec<u8>, tail: &[u8]) -> Vec<Bytes> {
        let mut pieces = Vec::new();
        let mut out = head;
        out.push(b'{');
        for (at, span) in self.members.iter().enumerate() {
            let (home, value) = (self.home(span), span.value.range());
            if at > 0 {
                out.push(b',');
            }
            out.extend_from_slice(&home[span.key.quoted()]);
            out.push(b':');
            if value.len() < SHARED_MIN {
                out.extend_from_slice(&home[value]);
            } else {
                pieces.push(std::mem::take(&mut out).into());
                pieces.push(home.slice(value));
            }
        }
        out.push(b'}');
        out.extend_from_slice(tail);
        pieces.push(out.into());
        pieces
    }

    /// The object with the edits applied, as an object of its own. What is not changed is not copied.
    pub fn with(&self, edits: &[Edit<'_>]) -> Object {
        let mut changes = self.changes.to_vec();
        let mut members = Vec::with_capacity(self.members.len() + edits.len());
        for span in &self.members {
            match edits.iter().find(|edit| self.key_is(span, edit.key)) {
                None => members.push(*span),
                Some(Edit { value: None, .. }) => {}
                Some(Edit { value: Some(value), .. }) => {
                    let key = &self.home(span)[span.key.quoted()];
                    members
                        .push(write_change(&mut changes, value, |out| out.extend_from_slice(key)));
                }
            }
        }
        for edit in edits {
            if let Some(value) = edit.value
                && !self.has(edit.key)
            {
                let key = |out: &mut Vec<u8>| write_string(out, edit.key);
                members.push(write_change(&mut changes, value, key));
            }
        }
        Object { buffer: self.buffer.clone(), changes: changes.into(), members }
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

    /// The text that the span points into.
    #[inline]
    fn home(&self, span: &Span) -> &Bytes {
        if span.changed { &self.changes } else { &self.buffer }
    }

    #[inline]
    fn find(&self, key: &str) -> Option<&Span> {
        self.members.iter().find(|span| self.key_is(span, key))
    }

    #[inline]
    fn key_is(&self, span: &Span, key: &str) -> bool {
        if span.key.escaped {
            return scan::decode(&self.home(span)[span.key.range()]) == key;
        }
        span.key.len() == key.len() && self.home(span)[span.key.range()] == *key.as_bytes()
    }
}

/// Appends a changed member and says where it stands.
fn write_change(out: &mut Vec<u8>, value: &[u8], write_key: impl FnOnce(&mut Vec<u8>)) -> Span {
    let span = write_member(out, write_key, |out| out.extend_from_slice(value));
    Span { changed: true, ..span }
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
        let buffer = self.object.home(span);
        Some((
            scan::decode(&buffer[span.key.range()]),
            Json::trusted(buffer.slice(span.value.range())),
        ))
    }
}
