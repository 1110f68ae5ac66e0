//! JSON to a tree, with the comments and trailing commas that hosts allow in their files.

use std::{collections::HashSet, ops::Range};

use crate::tree::{DEPTH_MAX, Entry, NODES_MAX, Node, SyntaxError, Value};

/// Reads one JSON document. An empty text is an empty mapping.
pub(crate) fn parse(text: &str) -> Result<Node, SyntaxError> {
    let mut reader = Reader { text, at: 0, nodes: 0 };
    if text.starts_with('\u{feff}') {
        reader.at = '\u{feff}'.len_utf8();
    }
    reader.blanks()?;
    if reader.peek().is_none() {
        return Ok(Node::new(0..0, Value::Mapping(Vec::new())));
    }
    let root = reader.node(0)?;
    reader.blanks()?;
    match reader.peek() {
        None => Ok(root),
        Some(_) => Err(reader.unexpected("the end of the document")),
    }
}

struct Reader<'text> {
    text: &'text str,
    at: usize,
    nodes: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    /// The range of the character at the cursor.
    fn here(&self) -> Range<usize> {
        let length = self.rest().chars().next().map_or(0, char::len_utf8);
        self.at..self.at + length
    }

    fn unexpected(&self, wanted: &str) -> SyntaxError {
        let found = match self.rest().chars().next() {
            Some(found) if found.is_control() => format!("`{}`", found.escape_debug()),
            Some(found) => format!("`{found}`"),
            None => "the end of the file".to_owned(),
        };
        SyntaxError::new(self.here(), format!("expected {wanted}, found {found}"))
    }

    /// Skips white space and comments.
    fn blanks(&mut self) -> Result<(), SyntaxError> {
        loop {
            let rest = self.rest();
            if rest.starts_with("//") {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else if rest.starts_with("/*") {
                let Some(end) = rest.find("*/") else {
                    let range = self.at..self.at + 2;
                    return Err(SyntaxError::new(range, "this comment never ends"));
                };
                self.at += end + 2;
            } else if matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
                self.at += 1;
            } else {
                return Ok(());
            }
        }
    }

    fn node(&mut self, depth: usize) -> Result<Node, SyntaxError> {
        self.nodes += 1;
        if depth > DEPTH_MAX || self.nodes > NODES_MAX {
            let message = format!(
                "the document is nested deeper than {DEPTH_MAX} levels or has more than {NODES_MAX} values"
            );
            return Err(SyntaxError::too_large(self.here(), message));
        }
        let start = self.at;
        let value = match self.peek() {
            Some(b'{') => self.mapping(depth)?,
            Some(b'[') => self.sequence(depth)?,
            Some(b'"') => Value::String(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => self.word()?,
        };
        Ok(Node::new(start..self.at, value))
    }

    fn mapping(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        let mut entries = Vec::new();
        let mut seen = HashSet::new();
        self.at += 1;
        loop {
            self.blanks()?;
            if self.peek() == Some(b'}') {
                self.at += 1;
                return Ok(Value::Mapping(entries));
            }
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("a key in double quotes or `}`"));
            }
            let start = self.at;
            let key = self.string()?;
            let key_range = start..self.at;
            if !seen.insert(key.clone()) {
                return Err(SyntaxError::duplicate(key_range, &key));
            }
            self.blanks()?;
            if self.peek() != Some(b':') {
                return Err(self.unexpected("`:` after the key"));
            }
            self.at += 1;
            self.blanks()?;
            let node = self.node(depth + 1)?;
            entries.push(Entry { key, key_range, node });
            self.separator(b'}', "`,` or `}`")?;
        }
    }

    fn sequence(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        let mut items = Vec::new();
        self.at += 1;
        loop {
            self.blanks()?;
            if self.peek() == Some(b']') {
                self.at += 1;
                return Ok(Value::Sequence(items));
            }
            items.push(self.node(depth + 1)?);
            self.separator(b']', "`,` or `]`")?;
        }
    }

    /// A comma, which may trail; or the closing bracket, which stays for the caller.
    fn separator(&mut self, close: u8, wanted: &str) -> Result<(), SyntaxError> {
        self.blanks()?;
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(())
            }
            Some(byte) if byte == close => Ok(()),
            _ => Err(self.unexpected(wanted)),
        }
    }

    fn string(&mut self) -> Result<String, SyntaxError> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    break;
                }
                Some(b'\\') => self.at += 1 + usize::from(self.at + 1 < self.text.len()),
                Some(b'\n') | None => {
                    return Err(SyntaxError::new(start..self.at, "this string never ends"));
                }
                Some(_) => self.at += 1,
            }
        }
        serde_json::from_str(&self.text[start..self.at]).map_err(|error| {
            SyntaxError::new(start..self.at, format!("not a JSON string: {}", reason(&error)))
        })
    }

    fn number(&mut self) -> Result<Value, SyntaxError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')) {
            self.at += 1;
        }
        let text = &self.text[start..self.at];
        match text.parse::<f64>() {
            Ok(_) => Ok(Value::Number(text.to_owned())),
            Err(_) => Err(SyntaxError::new(start..self.at, "not a JSON number")),
        }
    }

    fn word(&mut self) -> Result<Value, SyntaxError> {
        for (word, value) in
            [("true", Value::Bool(true)), ("false", Value::Bool(false)), ("null", Value::Null)]
        {
            if self.rest().starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.unexpected("a JSON value"))
    }
}

/// The reason without serde's own line and column, which count from the wrong place.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}
