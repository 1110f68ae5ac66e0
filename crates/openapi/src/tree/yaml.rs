//! YAML 1.2 (core schema) to a tree, with anchors, aliases and merge keys, without recursion.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};

use super::build::{Builder, Extent, Text};
use super::json::is_number;
use super::{Kind, Limits, SyntaxError, Tree};

/// Reads the first YAML document of a text that is not empty. A text without one is `null`.
pub(super) fn parse(text: &str, limits: &Limits) -> Result<Tree, SyntaxError> {
    let begin = text.len() - text.trim_start_matches('\u{feff}').len();
    let reader = Reader {
        events: Parser::new_from_str(&text[begin..]),
        text,
        begin,
        builder: Builder::new(text, limits),
        anchors: HashMap::new(),
        opened: Vec::new(),
    };
    reader.document()
}

struct Reader<'text, 'limits, E> {
    events: E,
    text: &'text str,
    /// Where the text begins after a byte order mark.
    begin: usize,
    builder: Builder<'limits>,
    /// `None` while the anchored value is still open.
    anchors: HashMap<usize, Option<Extent>>,
    opened: Vec<Opened>,
}

/// A collection that is not closed yet.
struct Opened {
    expects: Expects,
    anchor: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Expects {
    Element,
    Key,
    Value,
    /// The value of `<<`.
    Merge,
}

type Step<'text> = (Event<'text>, Range<usize>);

impl<'text, E> Reader<'text, '_, E>
where
    E: Iterator<Item = Result<(Event<'text>, Span), ScanError>>,
{
    fn document(mut self) -> Result<Tree, SyntaxError> {
        let mut further = None;
        let mut starts = 0;
        loop {
            let (event, range) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::StreamStart => {}
                Event::DocumentStart(..) => starts = range.start,
                Event::DocumentEnd => {
                    // A text often begins with an empty document: a comment between two `---`.
                    if self.builder.is_null() {
                        self.builder.clear();
                    }
                }
                event if self.opened.is_empty() && !self.builder.is_empty() => {
                    if !matches!(event, Event::Scalar(ref text, ..) if text.is_empty()) {
                        further = Some(starts);
                    }
                    break;
                }
                event => self.event((event, range))?,
            }
        }
        Ok(self.builder.finish(further))
    }

    /// The next event that is not a comment.
    fn next(&mut self) -> Result<Step<'text>, SyntaxError> {
        loop {
            match self.events.next() {
                None => return Ok((Event::StreamEnd, self.text.len()..self.text.len())),
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok((event, span))) => {
                    let range = self.range(span);
                    return Ok((event, range));
                }
                Some(Err(error)) => return Err(self.scan_error(&error)),
            }
        }
    }

    fn range(&self, span: Span) -> Range<usize> {
        let end = self.text.len();
        let start = (self.begin + span.start.byte_offset().unwrap_or(0)).min(end);
        start..(self.begin + span.end.byte_offset().unwrap_or(0)).clamp(start, end)
    }

    fn scan_error(&self, error: &ScanError) -> SyntaxError {
        let message = error.info();
        let mut at = self.begin + error.marker().byte_offset().unwrap_or(0);
        at = self.text.floor_char_boundary(at);
        if message.contains("recursion limit") {
            let message = "nested deeper than YAML can be read";
            return SyntaxError { is_limit: true, ..self.builder.error(at, message) };
        }
        if message.contains("found a tab") {
            // The scanner names the text before the tab.
            at = self.text[at..].find("\n\t").map_or(at, |line| at + line + 1);
        }
        let mut problem = self.builder.error(at, message);
        problem.hint = Some(self.hint(&problem.message, at));
        problem
    }

    /// What people most often meant where the scanner stopped.
    fn hint(&self, message: &str, at: usize) -> &'static str {
        let (before, rest) = self.text.split_at(at);
        let line = before.rfind('\n').map_or(0, |end| end + 1);
        let here = rest.chars().next();
        let indent = self.text[line..].lines().next().unwrap_or_default();
        let indent = &indent[..indent.len() - indent.trim_start().len()];
        if here == Some('\t') || indent.contains('\t') {
            return "indent with spaces; YAML does not allow tabs there";
        }
        match here {
            _ if message.contains("unclosed quote") => return "close the quote",
            _ if message.contains("unclosed bracket") => return "close the bracket",
            Some('*') => return "a star begins an alias in YAML: quote it",
            Some('@' | '`' | '%' | '&' | '!' | '|' | '>') => {
                return "this character means something to YAML: put the value in quotes";
            }
            Some(':') if before[line..].contains(": ") => {
                return "a text that contains `: ` must be quoted";
            }
            _ if before.ends_with(['"', '\'']) || message.contains("trailing content") => {
                return "quote the whole text";
            }
            _ => {}
        }
        let open = before[..line].matches(['{', '[']).count();
        let closed = before[..line].matches(['}', ']']).count();
        if open > closed {
            "a bracket before this line is not closed"
        } else {
            "compare the indentation with the lines before it"
        }
    }

    fn event(&mut self, (event, range): (Event<'text>, Range<usize>)) -> Result<(), SyntaxError> {
        if self.opened.last().is_some_and(|opened| opened.expects == Expects::Key) {
            return self.key_event(event, range);
        }
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let (kind, meant) = scalar(&text, style, tag.as_deref());
                let kept = self.keep(&meant, &range);
                let extent = self.builder.leaf(kind, range.start, kept)?;
                if meant != text {
                    let written = self.keep(&text, &range);
                    self.builder.is_written(extent, written);
                }
                self.define(anchor, Some(extent));
                self.added(range.start)
            }
            Event::SequenceStart(_, anchor, _) => {
                self.open(Kind::Array, Expects::Element, anchor, range.start)
            }
            Event::MappingStart(_, anchor, _) => {
                self.open(Kind::Object, Expects::Key, anchor, range.start)
            }
            Event::SequenceEnd => self.close(range.start),
            Event::Alias(anchor) => {
                let extent = self.alias(anchor, range.start)?;
                self.builder.again(extent, range.start)?;
                self.added(range.start)
            }
            _ => Err(self.builder.error(range.start, "expected a value")),
        }
    }

    fn key_event(&mut self, event: Event<'text>, range: Range<usize>) -> Result<(), SyntaxError> {
        let mut expects = Expects::Value;
        let key = match event {
            Event::MappingEnd => return self.close(range.start),
            Event::Scalar(text, style, anchor, _) => {
                if style == ScalarStyle::Plain && text == "<<" {
                    expects = Expects::Merge;
                }
                let key = self.keep(&text, &range);
                if anchor != 0 {
                    let extent = self.builder.orphan(range.start, key)?;
                    self.define(anchor, Some(extent));
                }
                key
            }
            Event::Alias(anchor) => {
                let extent = self.alias(anchor, range.start)?;
                let value = self.builder.value(extent);
                let Some(text) = value.scalar() else {
                    return Err(self.builder.error(range.start, "a key must be a plain text"));
                };
                let text = text.to_owned();
                self.keep(&text, &range)
            }
            Event::SequenceStart(..) | Event::MappingStart(..) => self.collection_key(&range)?,
            _ => return Err(self.builder.error(range.start, "expected a key")),
        };
        self.builder.key(key);
        if let Some(opened) = self.opened.last_mut() {
            opened.expects = expects;
        }
        Ok(())
    }

    /// A key that is a collection, most often a path template or a placeholder that should have been
    /// quoted: its text is the key.
    fn collection_key(&mut self, start: &Range<usize>) -> Result<Text, SyntaxError> {
        let mut open = 1;
        let mut end = start.end;
        while open > 0 {
            let (event, range) = self.next()?;
            match event {
                Event::SequenceStart(..) | Event::MappingStart(..) => open += 1,
                Event::SequenceEnd | Event::MappingEnd => open -= 1,
                Event::StreamEnd => return Err(self.builder.error(end, "expected a key")),
                _ => {}
            }
            end = end.max(range.end);
        }
        let text = self.text.get(start.start..end).unwrap_or_default().trim();
        Ok(self.builder.keep_at(start.start, text))
    }

    fn open(
        &mut self,
        kind: Kind,
        expects: Expects,
        anchor: usize,
        offset: usize,
    ) -> Result<(), SyntaxError> {
        self.builder.open(kind, offset)?;
        self.opened.push(Opened { expects, anchor });
        self.define(anchor, None);
        Ok(())
    }

    fn close(&mut self, offset: usize) -> Result<(), SyntaxError> {
        let extent = self.builder.close();
        if let Some(opened) = self.opened.pop() {
            self.define(opened.anchor, extent);
        }
        self.added(offset)
    }

    /// After a value was added to the collection that is open.
    fn added(&mut self, offset: usize) -> Result<(), SyntaxError> {
        let Some(opened) = self.opened.last_mut() else { return Ok(()) };
        match opened.expects {
            Expects::Element | Expects::Key => {}
            Expects::Value => opened.expects = Expects::Key,
            Expects::Merge => {
                opened.expects = Expects::Key;
                // What cannot be merged stays as a member of that name.
                self.builder.merge(offset)?;
            }
        }
        Ok(())
    }

    fn define(&mut self, anchor: usize, extent: Option<Extent>) {
        if anchor != 0 {
            self.anchors.insert(anchor, extent);
        }
    }

    fn alias(&self, anchor: usize, offset: usize) -> Result<Extent, SyntaxError> {
        let known = self.anchors.get(&anchor).copied().flatten();
        known.ok_or_else(|| self.builder.error(offset, "this alias refers to itself"))
    }

    fn keep(&mut self, text: &str, range: &Range<usize>) -> Text {
        let quote = self.text.as_bytes().get(range.start);
        let skipped = usize::from(matches!(quote, Some(b'"' | b'\'')));
        self.builder.keep_at(range.start + skipped, text)
    }
}

/// What a scalar is by the core schema: only unquoted ones can be something else than a text.
fn scalar<'s>(text: &'s str, style: ScalarStyle, tag: Option<&Tag>) -> (Kind, Cow<'s, str>) {
    let is_plain = match tag.map(|tag| tag.core_suffix()) {
        Some(Some("str")) => false,
        Some(Some("int" | "float" | "bool" | "null")) => true,
        Some(_) | None => style == ScalarStyle::Plain,
    };
    if !is_plain {
        return (Kind::String, Cow::Borrowed(text));
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => (Kind::Null, Cow::Borrowed("null")),
        "true" | "True" | "TRUE" => (Kind::Bool, Cow::Borrowed("true")),
        "false" | "False" | "FALSE" => (Kind::Bool, Cow::Borrowed("false")),
        _ => match json_number(text) {
            Some(number) => (Kind::Number, number),
            None => (Kind::String, Cow::Borrowed(text)),
        },
    }
}

/// A number of the core schema as JSON writes it; infinities and what is no number are none.
fn json_number(text: &str) -> Option<Cow<'_, str>> {
    if is_number(text) {
        return Some(Cow::Borrowed(text));
    }
    // These two have no sign in the core schema.
    if let Some(digits) = text.strip_prefix("0x") {
        return integer(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return integer(digits, 8);
    }
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => ("-", &text[1..]),
        b'+' => ("", &text[1..]),
        _ => ("", text),
    };
    let end = digits.find(['e', 'E']).unwrap_or(digits.len());
    let (mantissa, exponent) = digits.split_at(end);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole = Some(whole.trim_start_matches('0')).filter(|whole| !whole.is_empty());
    let whole = whole.unwrap_or("0");
    let point = if fraction.is_empty() { "" } else { "." };
    let number = format!("{sign}{whole}{point}{fraction}{exponent}");
    is_number(&number).then_some(Cow::Owned(number))
}

fn integer(digits: &str, radix: u32) -> Option<Cow<'static, str>> {
    let is_clean = digits.chars().all(|digit| digit.is_digit(radix));
    let value = is_clean.then(|| u128::from_str_radix(digits, radix).ok())??;
    Some(Cow::Owned(value.to_string()))
}
