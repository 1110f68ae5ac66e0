//! Walking through a valid text, token by token, without keeping anything of it.

use super::Json;
use super::scan::{plain_bytes, shallow, word_at};

/// Where the tokens of a valid text stand. Positions are bytes from its start; behind the end there
/// is NUL, which no token begins with.
#[derive(Clone, Copy, Debug)]
pub struct Walk<'t> {
    text: &'t [u8],
}

/// Where a string ends, behind its last quote, and whether it has escapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StringEnd {
    /// The position behind the string.
    pub end: usize,
    /// Whether something in it is not written as itself.
    pub is_escaped: bool,
}

impl<'t> Walk<'t> {
    /// Walks through a value.
    ///
    /// # Panics
    /// Never for what was parsed: longer texts are refused.
    pub fn new(json: &'t Json) -> Self {
        let text = json.as_bytes();
        assert!(text.len() <= super::scan::TEXT_BYTES_MAX, "longer texts are never accepted");
        Self { text }
    }

    /// How long the text is.
    pub fn len(self) -> usize {
        self.text.len()
    }

    /// Whether there is no text.
    pub fn is_empty(self) -> bool {
        self.text.is_empty()
    }

    /// The byte at a position.
    #[inline]
    pub fn byte(self, at: usize) -> u8 {
        self.text.get(at).copied().unwrap_or(0)
    }

    /// The text between two positions.
    #[inline]
    pub fn text(self, from: usize, to: usize) -> &'t [u8] {
        self.text.get(from..to).unwrap_or_default()
    }

    /// The eight bytes at a position, the first one lowest; NUL where the text has ended.
    #[inline]
    pub fn word(self, at: usize) -> u64 {
        word_at(self.text, at)
    }

    /// The first position from `at` on without white space, and what stands there.
    #[inline]
    pub fn token(self, at: usize) -> (usize, u8) {
        let byte = self.byte(at);
        if byte > b' ' { (at, byte) } else { self.token_after_blank(at) }
    }

    #[inline(never)]
    fn token_after_blank(self, mut at: usize) -> (usize, u8) {
        loop {
            match self.byte(at) {
                b' ' | b'\t' | b'\n' | b'\r' => at += 1,
                byte => return (at, byte),
            }
        }
    }

    /// Where the string ends whose first quote is at `at`.
    #[inline]
    pub fn string(self, at: usize) -> StringEnd {
        let mut end = at + 1;
        while let Some(word) = self.text.get(end..end + 8) {
            let word = u64::from_le_bytes(word.try_into().expect("eight bytes"));
            let plain = plain_bytes(word) as usize;
            end += plain;
            if plain < 8 {
                break;
            }
        }
        if self.byte(end) == b'"' {
            return StringEnd { end: end + 1, is_escaped: false };
        }
        shallow::rest_of_string(self.text, end)
    }
}
