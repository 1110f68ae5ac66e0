//! Which characters stay as they are at which place of a request, and how the others are written.

/// How a text is made fit for its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escape {
    /// Everything but the unreserved characters of RFC 3986 is percent-encoded: fits everywhere in a
    /// URL.
    Component,
    /// `application/x-www-form-urlencoded` of the URL standard: a space is `+`.
    Form,
    /// Reserved expansion (RFC 6570 §3.2.3) in a query: reserved characters and percent-encoded
    /// triples stay, except what would end a pair or the query: `&`, `+`, `#`, `[` and `]`.
    ReservedQuery,
    /// Reserved expansion in a path: what a segment may hold stays. Triples are encoded once more, so
    /// that no value can bring a `/` into the path.
    ReservedPath,
    /// What a document writes itself: only what no URL may hold is encoded.
    Literal,
    /// Nothing is changed: headers, cookies of 3.2 and the parts of `multipart/form-data`.
    Plain,
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

impl Escape {
    /// Appends the text; the characters of `also` do not stay either, because they have a meaning
    /// where the text goes.
    pub(super) fn write(self, out: &mut String, text: &str, also: &str) {
        if self == Self::Plain {
            out.push_str(text);
            return;
        }
        let bytes = text.as_bytes();
        // Most texts are words and numbers, which stay everywhere.
        if bytes.iter().all(u8::is_ascii_alphanumeric) {
            out.push_str(text);
            return;
        }
        let mut clean_from = 0;
        for (at, &byte) in bytes.iter().enumerate() {
            let stays = if byte == b'%' {
                self.keeps_triples() && is_triple(&bytes[at..])
            } else {
                self.keeps(byte)
            };
            if stays && !also.as_bytes().contains(&byte) {
                continue;
            }
            // Inside a character of several bytes nothing is clean, and all of them are encoded.
            if clean_from < at {
                out.push_str(&text[clean_from..at]);
            }
            if self == Self::Form && byte == b' ' {
                out.push('+');
            } else {
                push_triple(out, byte);
            }
            clean_from = at + 1;
        }
        out.push_str(&text[clean_from..]);
    }

    /// The text as it fits.
    pub(super) fn text(self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        self.write(&mut out, text, "");
        out
    }

    /// Whether texts are percent-encoded at all.
    pub(super) fn encodes(self) -> bool {
        self != Self::Plain
    }

    fn keeps_triples(self) -> bool {
        matches!(self, Self::ReservedQuery | Self::Literal)
    }

    fn keeps(self, byte: u8) -> bool {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_') {
            return true;
        }
        match self {
            Self::Component => byte == b'~',
            Self::Form => byte == b'*',
            Self::ReservedQuery => b"~:/?@!$'()*,;=".contains(&byte),
            // `,` and `;` stand between the parts of a value.
            Self::ReservedPath => b"~:@!$&'()*+=".contains(&byte),
            Self::Literal => b"~:/?@!$&'()*+,;=".contains(&byte),
            Self::Plain => true,
        }
    }
}

fn is_triple(bytes: &[u8]) -> bool {
    matches!(bytes, [b'%', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}

/// Appends a byte as `%XX`.
pub(super) fn push_triple(out: &mut String, byte: u8) {
    out.push('%');
    out.push(char::from(HEX[usize::from(byte >> 4)]));
    out.push(char::from(HEX[usize::from(byte & 15)]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_keeps_its_own_characters() {
        let text = "a b&c=d/e?f+g%h%2B~é";
        for (escape, expected) in [
            (Escape::Component, "a%20b%26c%3Dd%2Fe%3Ff%2Bg%25h%252B~%C3%A9"),
            (Escape::Form, "a+b%26c%3Dd%2Fe%3Ff%2Bg%25h%252B%7E%C3%A9"),
            (Escape::ReservedQuery, "a%20b%26c=d/e?f%2Bg%25h%2B~%C3%A9"),
            (Escape::ReservedPath, "a%20b&c=d%2Fe%3Ff+g%25h%252B~%C3%A9"),
            (Escape::Literal, "a%20b&c=d/e?f+g%25h%2B~%C3%A9"),
            (Escape::Plain, text),
        ] {
            assert_eq!(escape.text(text), expected, "{escape:?}");
        }
    }

    #[test]
    fn delimiters_are_escaped_where_they_mean_something() {
        let mut out = String::new();
        Escape::ReservedQuery.write(&mut out, "a,b;c", ",");
        assert_eq!(out, "a%2Cb;c");
        out.clear();
        Escape::Component.write(&mut out, "1.5", ".");
        assert_eq!(out, "1%2E5");
    }
}
