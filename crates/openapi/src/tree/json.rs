//! JSON (RFC 8259) to a tree, without recursion.

use std::ops::Range;

use super::build::{Builder, Text};
use super::{Kind, Limits, SyntaxError, Tree, number};

/// Reads one JSON value, after a byte order mark if there is one.
pub(super) fn parse(text: &str, limits: &Limits) -> Result<Tree, SyntaxError> {
    let at = text.len() - text.trim_start_matches('\u{feff}').len();
    let mut reader = Reader {
        bytes: text.as_bytes(),
        text,
        at,
        opened: Vec::new(),
        builder: Builder::new(text, limits),
    };
    reader.document()?;
    Ok(reader.builder.finish(None))
}

struct Reader<'text, 'limits> {
    text: &'text str,
    bytes: &'text [u8],
    at: usize,
    /// The containers that are open: whether each is an object, and where it began.
    opened: Vec<(bool, usize)>,
    builder: Builder<'limits>,
}

impl Reader<'_, '_> {
    fn document(&mut self) -> Result<(), SyntaxError> {
        self.skip_blanks();
        self.value()?;
        while let Some(&(is_object, _)) = self.opened.last() {
            self.skip_blanks();
            match (self.peek(), is_object) {
                (Some(b'}'), true) | (Some(b']'), false) => self.end(),
                (Some(b','), _) => {
                    self.at += 1;
                    self.skip_blanks();
                    self.member(is_object)?;
                }
                _ => {
                    let expected = if is_object { "`,` or `}`" } else { "`,` or `]`" };
                    return Err(self.unexpected(expected));
                }
            }
        }
        self.skip_blanks();
        if self.at < self.bytes.len() {
            let message = "the document ended before this text";
            return Err(self.builder.error(self.at, message));
        }
        Ok(())
    }

    /// One member of an object with its key, or one element of an array.
    fn member(&mut self, is_object: bool) -> Result<(), SyntaxError> {
        if is_object {
            self.key("a key in double quotes")?;
        }
        self.value()
    }

    /// A scalar, or the beginning of a container with its first member.
    fn value(&mut self) -> Result<(), SyntaxError> {
        loop {
            let start = self.at;
            match self.peek() {
                Some(b'"') => {
                    let text = self.string()?;
                    self.builder.leaf(Kind::String, start, text)?;
                }
                Some(b'-' | b'0'..=b'9') => {
                    let text = self.number()?;
                    self.builder.leaf(Kind::Number, start, text)?;
                }
                Some(b't') => self.word("true", Kind::Bool)?,
                Some(b'f') => self.word("false", Kind::Bool)?,
                Some(b'n') => self.word("null", Kind::Null)?,
                Some(open @ (b'{' | b'[')) => {
                    let is_object = open == b'{';
                    let kind = if is_object { Kind::Object } else { Kind::Array };
                    self.builder.open(kind, start)?;
                    self.opened.push((is_object, start));
                    self.at += 1;
                    self.skip_blanks();
                    match (self.peek(), is_object) {
                        (Some(b'}'), true) | (Some(b']'), false) => self.end(),
                        (_, true) => {
                            // The value is the next turn of this loop.
                            self.key("a key in double quotes, or `}`")?;
                            continue;
                        }
                        (_, false) => continue,
                    }
                }
                _ => return Err(self.unexpected("a value")),
            }
            return Ok(());
        }
    }

    /// A key and its colon.
    fn key(&mut self, expected: &str) -> Result<(), SyntaxError> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected(expected));
        }
        let key = self.string()?;
        self.skip_blanks();
        if self.peek() != Some(b':') {
            return Err(self.unexpected("`:` after the key"));
        }
        self.at += 1;
        self.builder.key(key);
        self.skip_blanks();
        Ok(())
    }

    fn end(&mut self) {
        self.at += 1;
        self.opened.pop();
        self.builder.close();
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn word(&mut self, word: &str, kind: Kind) -> Result<(), SyntaxError> {
        let end = self.at + word.len();
        let follows = self.bytes.get(end).is_some_and(u8::is_ascii_alphanumeric);
        if self.bytes.get(self.at..end) != Some(word.as_bytes()) || follows {
            return Err(self.unexpected("a value"));
        }
        let text = stretch(self.at..end);
        self.builder.leaf(kind, self.at, text)?;
        self.at = end;
        Ok(())
    }

    fn number(&mut self) -> Result<Text, SyntaxError> {
        let start = self.at;
        while let Some(b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E') = self.peek() {
            self.at += 1;
        }
        let text = &self.text[start..self.at];
        if !is_number(text) {
            let mut error = self.builder.error(start, format!("`{text}` is no number of JSON"));
            let digits = text.strip_prefix('-').unwrap_or(text);
            if digits.len() > 1 && digits.starts_with('0') {
                error.hint = Some("a number does not begin with 0; put codes in quotes");
            }
            return Err(error);
        }
        Ok(stretch(start..self.at))
    }

    /// The string that begins here; most have no escapes and are not copied.
    fn string(&mut self) -> Result<Text, SyntaxError> {
        let start = self.at + 1;
        let clean = self.plain_end(start)?;
        if self.bytes[clean] == b'"' {
            self.at = clean + 1;
            return Ok(stretch(start..clean));
        }
        let mut decoded = self.text[start..clean].to_owned();
        let mut at = clean;
        while self.bytes[at] == b'\\' {
            at = self.escape(at, &mut decoded)?;
            let end = self.plain_end(at)?;
            decoded.push_str(&self.text[at..end]);
            at = end;
        }
        self.at = at + 1;
        Ok(self.builder.keep(&decoded))
    }

    /// Where the next quote or backslash stands.
    fn plain_end(&self, from: usize) -> Result<usize, SyntaxError> {
        let rest = self.bytes.get(from..).unwrap_or_default();
        let found = rest.iter().position(|&byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
        let Some(found) = found else {
            return Err(self.builder.error(self.at, "this string is not closed"));
        };
        let end = from + found;
        match self.bytes[end] {
            b'"' | b'\\' => Ok(end),
            b'\n' | b'\r' => {
                let mut error = self.builder.error(end, "a line ends inside a string");
                error.hint = Some("close the string, or write the break as \\n");
                Err(error)
            }
            _ => {
                let mut error = self.builder.error(end, "a control character inside a string");
                error.hint = Some("write it as an escape, such as \\t");
                Err(error)
            }
        }
    }

    /// Decodes the escape at `at` and says where it ends. Half of a surrogate pair becomes U+FFFD.
    fn escape(&self, at: usize, decoded: &mut String) -> Result<usize, SyntaxError> {
        let plain = match self.bytes.get(at + 1) {
            Some(b'u') => return self.unicode_escape(at, decoded),
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(*byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            _ => {
                let mut error = self.builder.error(at, "JSON has no such escape");
                error.hint = Some("a backslash itself is written as \\\\");
                return Err(error);
            }
        };
        decoded.push(plain);
        Ok(at + 2)
    }

    fn unicode_escape(&self, at: usize, decoded: &mut String) -> Result<usize, SyntaxError> {
        let Some(first) = self.hex(at) else {
            return Err(self.builder.error(at, "`\\u` needs four hexadecimal digits"));
        };
        if (0xd800..0xdc00).contains(&first)
            && let Some(second @ 0xdc00..0xe000) = self.hex(at + 6)
        {
            let both = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            decoded.push(char::from_u32(both).unwrap_or(char::REPLACEMENT_CHARACTER));
            return Ok(at + 12);
        }
        decoded.push(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
        Ok(at + 6)
    }

    fn hex(&self, at: usize) -> Option<u32> {
        let digits = self.bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
        digits.iter().try_fold(0, |sum, &digit| Some(sum * 16 + char::from(digit).to_digit(16)?))
    }

    fn unexpected(&self, expected: &str) -> SyntaxError {
        let Some(found) = self.text[self.at..].chars().next() else {
            let (line, _) = self.builder.position(self.opened.last().map_or(0, |&(_, at)| at));
            let message = match self.opened.last() {
                Some((true, _)) => format!("the text ends inside the object of line {line}"),
                Some((false, _)) => format!("the text ends inside the list of line {line}"),
                None => format!("expected {expected}, but the text ends"),
            };
            return self.builder.error(self.at, message);
        };
        let message = format!("expected {expected}, found `{}`", found.escape_debug());
        let before = self.text[..self.at].trim_end();
        let mut error = self.builder.error(self.at, message);
        error.hint = match found {
            '}' | ']' if before.ends_with(',') => Some("remove the comma before it"),
            '"' if expected.contains(',') => Some("a comma is missing before it"),
            '\'' => Some("JSON quotes with \""),
            '/' | '#' => Some("JSON has no comments"),
            'N' | 'I' | 'T' | 'F' => Some("JSON knows only true, false, null and finite numbers"),
            _ => None,
        };
        error
    }
}

fn stretch(range: Range<usize>) -> Text {
    Text { start: number(range.start), len: number(range.len()) }
}

/// Whether a text is a number of JSON.
pub(super) fn is_number(text: &str) -> bool {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let rest = text.strip_prefix('-').unwrap_or(text);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest.starts_with('0')) {
        return false;
    }
    let mut rest = &rest[whole..];
    if let Some(after) = rest.strip_prefix('.') {
        let fraction = digits(after);
        if fraction == 0 {
            return false;
        }
        rest = &after[fraction..];
    }
    if let Some(after) = rest.strip_prefix(['e', 'E']) {
        let after = after.strip_prefix(['-', '+']).unwrap_or(after);
        let exponent = digits(after);
        return exponent > 0 && exponent == after.len();
    }
    rest.is_empty()
}
