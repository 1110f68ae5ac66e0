//! YAML 1.2 to a tree, with anchors, aliases and merge keys, all bounded.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use crate::tree::{DEPTH_MAX, Entry, NODES_MAX, Node, SyntaxError, Value};

/// Reads one YAML document. An empty text is an empty mapping.
pub(crate) fn parse(text: &str) -> Result<Node, SyntaxError> {
    Reader { events: Parser::new_from_str(text), text, anchors: HashMap::new(), nodes: 0 }
        .document()
}

struct Reader<'text, E> {
    events: E,
    text: &'text str,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

type Step<'text> = (Event<'text>, Range<usize>);

impl<'text, E> Reader<'text, E>
where
    E: Iterator<Item = Result<(Event<'text>, Span), ScanError>>,
{
    fn document(mut self) -> Result<Node, SyntaxError> {
        let mut root = None;
        loop {
            let (event, range) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::DocumentStart(..) if root.is_some() => {
                    let message = "a configuration is one document, and here a second one starts";
                    return Err(SyntaxError::new(range, message));
                }
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                event => root = Some(self.node((event, range), 0)?),
            }
        }
        let empty = Node::new(0..0, Value::Mapping(Vec::new()));
        Ok(match root {
            Some(Node { value: Value::Null, .. }) | None => empty,
            Some(root) => root,
        })
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
        let start = span.start.byte_offset().unwrap_or(0).min(end);
        start..span.end.byte_offset().unwrap_or(start).clamp(start, end)
    }

    fn scan_error(&self, error: &ScanError) -> SyntaxError {
        let at = error.marker().byte_offset().unwrap_or(0).min(self.text.len());
        // A marker in the middle of a character would make every rendering panic.
        let at = (0..=at).rev().find(|&at| self.text.is_char_boundary(at)).unwrap_or(0);
        let end = self.text[at..].chars().next().map_or(at, |first| at + first.len_utf8());
        let mut problem = SyntaxError::new(at..end, error.info());
        problem.hint = self.hint(at, end).map(str::to_owned);
        problem
    }

    /// What people most often meant where the scanner stopped.
    fn hint(&self, at: usize, end: usize) -> Option<&'static str> {
        let here = &self.text[at..end];
        if here == "\t" || self.text[..at].ends_with('\t') {
            return Some("indent with spaces; YAML does not allow tabs there");
        }
        if here == "*" || self.text[..at].trim_end_matches([' ', '}', ']']).ends_with('*') {
            return Some("a star begins an alias in YAML: quote it, `\"*\"`");
        }
        if matches!(here, "@" | "`" | "%" | "&" | "!") {
            return Some("this character means something to YAML: put the value in quotes");
        }
        let line = self.text[..at].rfind('\n').map_or(0, |end| end + 1);
        let open = self.text[..line].matches(['{', '[']).count();
        let closed = self.text[..line].matches(['}', ']']).count();
        (open > closed).then_some("a bracket before this line is not closed")
    }

    fn node(&mut self, (event, range): Step<'text>, depth: usize) -> Result<Node, SyntaxError> {
        self.count(1, &range)?;
        check_depth(depth, &range)?;
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => {
                (Node::new(range, scalar(&text, style)), anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.sequence(range, depth)?, anchor),
            Event::MappingStart(_, anchor, _) => (self.mapping(range, depth)?, anchor),
            Event::Alias(anchor) => return self.alias(anchor, range, depth),
            _ => return Err(SyntaxError::new(range, "expected a value")),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn sequence(&mut self, start: Range<usize>, depth: usize) -> Result<Node, SyntaxError> {
        let mut items = Vec::new();
        let mut end = start.end;
        loop {
            let (event, range) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                let end = end.max(range.end.min(self.trim(range.end)));
                return Ok(Node::new(start.start..end, Value::Sequence(items)));
            }
            let item = self.node((event, range), depth + 1)?;
            end = item.range.end;
            items.push(item);
        }
    }

    fn mapping(&mut self, start: Range<usize>, depth: usize) -> Result<Node, SyntaxError> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen = HashSet::new();
        let mut merged: Vec<Entry> = Vec::new();
        let mut end = start.end;
        loop {
            let (event, key_range) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                let end = end.max(key_range.end.min(self.trim(key_range.end)));
                for entry in merged {
                    // What is written out wins over what is merged, and the first merge wins.
                    if seen.insert(entry.key.clone()) {
                        entries.push(entry);
                    }
                }
                return Ok(Node::new(start.start..end, Value::Mapping(entries)));
            }
            let key = self.node((event, key_range), depth + 1)?;
            let Some(name) = key.scalar() else {
                return Err(SyntaxError::new(key.range, "a key must be a plain string"));
            };
            let step = self.next()?;
            let node = self.node(step, depth + 1)?;
            end = node.range.end.max(key.range.end);
            if name == "<<" {
                merged.extend(merge_of(node)?);
                continue;
            }
            if !seen.insert(name.clone()) {
                return Err(SyntaxError::duplicate(key.range, &name));
            }
            entries.push(Entry { key: name, key_range: key.range, node });
        }
    }

    /// Where the text before `end` really ends: block collections swallow the blanks and
    /// comments that follow them.
    fn trim(&self, end: usize) -> usize {
        self.text.get(..end).map_or(end, |text| text.trim_end().len())
    }

    /// A copy of the anchored value, placed where the alias stands.
    ///
    /// The copy counts again and may not nest deeper than a written value, or a few lines of
    /// aliases to aliases would exhaust the memory or the stack.
    fn alias(
        &mut self,
        anchor: usize,
        range: Range<usize>,
        depth: usize,
    ) -> Result<Node, SyntaxError> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(SyntaxError::new(range, "this alias refers to itself"));
        };
        let (nodes, height) = extent(node);
        let node = Node::new(range.clone(), node.value.clone());
        self.count(nodes, &range)?;
        check_depth(depth + height, &range)?;
        Ok(node)
    }

    fn count(&mut self, nodes: usize, range: &Range<usize>) -> Result<(), SyntaxError> {
        self.nodes += nodes;
        if self.nodes > NODES_MAX {
            let message = format!("the document has more than {NODES_MAX} values");
            return Err(SyntaxError::too_large(range.clone(), message));
        }
        Ok(())
    }
}

fn merge_of(node: Node) -> Result<Vec<Entry>, SyntaxError> {
    match node.value {
        Value::Mapping(entries) => Ok(entries),
        Value::Sequence(items) => {
            let mut all = Vec::new();
            for item in items {
                all.extend(merge_of(item)?);
            }
            Ok(all)
        }
        _ => Err(SyntaxError::new(node.range, "`<<` merges a mapping or a list of mappings")),
    }
}

fn check_depth(depth: usize, range: &Range<usize>) -> Result<(), SyntaxError> {
    if depth > DEPTH_MAX {
        let message = format!("nested deeper than {DEPTH_MAX} levels");
        return Err(SyntaxError::too_large(range.clone(), message));
    }
    Ok(())
}

/// How many nodes a value has, and how many levels.
fn extent(node: &Node) -> (usize, usize) {
    let children: &mut dyn Iterator<Item = &Node> = match &node.value {
        Value::Sequence(items) => &mut items.iter(),
        Value::Mapping(entries) => &mut entries.iter().map(|entry| &entry.node),
        _ => return (1, 1),
    };
    children
        .map(extent)
        .fold((1, 1), |(nodes, height), (more, below)| (nodes + more, height.max(below + 1)))
}

/// The core schema of YAML 1.2: only unquoted scalars can be something else than a string.
fn scalar(text: &str, style: ScalarStyle) -> Value {
    if !matches!(style, ScalarStyle::Plain) {
        return Value::String(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ if is_number(text) => Value::Number(text.to_owned()),
        _ => Value::String(text.to_owned()),
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    digits.starts_with(|first: char| first.is_ascii_digit() || first == '.')
        && digits.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte))
        && text.parse::<f64>().is_ok()
}
