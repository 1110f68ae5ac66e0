//! Whether a key was in its object before.

use std::borrow::Cow;
use std::collections::HashSet;

use super::string::word;
use super::{At, Stretch};

/// Up to this many keys, comparing each with each is cheaper than hashing.
const KEYS_COMPARED: u16 = 24;

/// A key without escapes, with what tells most keys apart at a glance.
#[derive(Clone, Copy)]
pub(super) struct Key {
    start: At,
    end: At,
    /// Equal for equal keys, and for few others.
    mark: u64,
}

impl Key {
    /// The key at `stretch` in `text`, which starts with the word `first`.
    #[inline]
    pub(super) fn new(text: &[u8], stretch: Stretch, first: u64) -> Self {
        let Stretch { start, end, .. } = stretch;
        let last = if end - start < 8 { 0 } else { word(text, end - 8) };
        Self { start, end, mark: first ^ last.rotate_left(11) }
    }

    fn bytes<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        &text[self.start as usize..self.end as usize]
    }
}

/// The keys of all open objects.
pub(super) struct Keys<'a> {
    innermost: Seen,
    /// Those that are compared, innermost last.
    compared: Vec<Key>,
    /// Those of objects that have too many to compare, or one that reads other than it is written.
    hashed: Vec<HashSet<Cow<'a, [u8]>>>,
}

/// The keys of one open object.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    /// One bit for each mark that is there; several marks share a bit.
    marks: u64,
    /// Where they start in [`Keys::compared`].
    start: u32,
    /// How many more are compared before all are hashed.
    compared_left: u16,
    is_hashed: bool,
}

impl<'a> Keys<'a> {
    pub(super) fn new() -> Self {
        let innermost = Seen { marks: 0, start: 0, compared_left: 0, is_hashed: false };
        Self { innermost, compared: Vec::with_capacity(16), hashed: Vec::new() }
    }

    /// Enters an object; returns what [`close`](Self::close) wants.
    #[inline]
    pub(super) fn open(&mut self) -> Seen {
        let start = At::try_from(self.compared.len()).expect("fewer than bytes of text");
        let innermost = Seen { marks: 0, start, compared_left: KEYS_COMPARED, is_hashed: false };
        std::mem::replace(&mut self.innermost, innermost)
    }

    /// Leaves the innermost object for the one around it.
    #[inline]
    pub(super) fn close(&mut self, outer: Seen) {
        self.compared.truncate(self.innermost.start as usize);
        if self.innermost.is_hashed {
            self.hashed.pop();
        }
        self.innermost = outer;
    }

    /// Adds a key to the innermost object; `false` if it has the key already.
    #[inline(always)]
    pub(super) fn add(&mut self, key: Key, text: &'a [u8]) -> bool {
        const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
        if self.innermost.compared_left == 0 {
            return self.add_hashed(key.bytes(text).into(), text);
        }
        let bit = 1 << (key.mark.wrapping_mul(SPREAD) >> 58);
        if self.innermost.marks & bit != 0 && self.has(key, text) {
            return false;
        }
        self.innermost.marks |= bit;
        self.innermost.compared_left -= 1;
        self.compared.push(key);
        true
    }

    #[inline(never)]
    fn has(&self, key: Key, text: &[u8]) -> bool {
        self.compared[self.innermost.start as usize..]
            .iter()
            .any(|other| other.mark == key.mark && other.bytes(text) == key.bytes(text))
    }

    /// Adds a key as it reads, however it is written.
    #[cold]
    #[inline(never)]
    pub(super) fn add_hashed(&mut self, key: Cow<'a, [u8]>, text: &'a [u8]) -> bool {
        let Self { innermost, compared, hashed } = self;
        if !innermost.is_hashed {
            innermost.is_hashed = true;
            innermost.compared_left = 0;
            let compared = compared.drain(innermost.start as usize..);
            hashed.push(compared.map(|key| key.bytes(text).into()).collect());
        }
        hashed.last_mut().expect("pushed above").insert(key)
    }
}
