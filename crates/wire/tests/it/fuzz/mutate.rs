//! A small mutator: deterministic, so that a failure on one machine is a failure on all.

/// Longest input it makes.
const BYTES_MAX: usize = 1024;

/// Texts that mean something to one of the formats.
const TOKENS: &[&[u8]] = &[
    b"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"null",
    b"1e9",
    b"\"id\":",
    b"\"method\":",
    b"\"_meta\":{}",
    b"\r\n",
    b"\n\n",
    b"\r",
    b"data:",
    b"id:",
    b"\0",
    b"\xef\xbb\xbf",
    b"\xff",
    b"{+a}",
    b"{?b}",
    b"%",
    b"%41",
    b"=?base64?",
    b"?=",
    b"\"x-mcp-header\":",
];

pub(super) struct Mutator<'a> {
    corpus: &'a [Vec<u8>],
    state: u64,
    input: Vec<u8>,
}

impl<'a> Mutator<'a> {
    pub(super) fn new(corpus: &'a [Vec<u8>]) -> Self {
        Self { corpus, state: 0x9e37_79b9_7f4a_7c15, input: Vec::new() }
    }

    /// The next input: one of the corpus, changed in one to four places.
    pub(super) fn next(&mut self) -> &[u8] {
        self.input.clear();
        let seed = self.below(self.corpus.len());
        self.input.extend_from_slice(&self.corpus[seed]);
        for _ in 0..=self.below(4) {
            self.change();
        }
        self.input.truncate(BYTES_MAX);
        &self.input
    }

    fn change(&mut self) {
        let length = self.input.len();
        let at = self.below(length + 1);
        let end = (at + 1 + self.below(16)).min(length);
        match self.below(7) {
            0 if at < length => {
                let bit = self.below(8);
                self.input[at] ^= 1 << bit;
            }
            1 if at < length => {
                let from = self.below(length);
                self.input[at] = self.input[from];
            }
            2 if at < length => drop(self.input.drain(at..end)),
            3 if at < length => {
                let copy = self.input[at..end].to_vec();
                self.insert(&copy);
            }
            4 => {
                let token = TOKENS[self.below(TOKENS.len())];
                self.insert(token);
            }
            5 => self.input.truncate(at),
            _ => {
                let corpus = self.corpus;
                let other = &corpus[self.below(corpus.len())];
                let from = self.below(other.len() + 1);
                let to = (from + self.below(32)).min(other.len());
                self.insert(&other[from..to]);
            }
        }
    }

    fn insert(&mut self, piece: &[u8]) {
        let at = self.below(self.input.len() + 1);
        self.input.splice(at..at, piece.iter().copied());
    }

    /// A number from 0 to `end` - 1, by xorshift.
    fn below(&mut self, end: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        usize::try_from(self.state % end.max(1) as u64).expect("less than a usize")
    }
}
