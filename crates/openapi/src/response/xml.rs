//! XML as JSON.
//!
//! Where the document has a schema for the answer, its `xml` hints are read backwards: what they say to
//! be an attribute, a wrapped list or another name becomes the member that it stands for, and texts become
//! numbers and booleans where the schema wants them. Without a schema, an element with nothing but
//! text is that text, any other an object of its children; attributes have an `@` before their name, text
//! beside either is `#text`, and children of one name are a list. The root's name is then a member, too.
//! Prefixes of namespaces are left out.
//!
//! Document types and entities beyond the five of XML are not read.

use std::collections::HashMap;

use wire::json::{Json, write_string};

use super::text::entities;
use crate::request::xml::{Node, Shape, Shapes};

/// Deepest nesting. Each element may become an object in a list, and JSON may nest twice as deep.
const DEPTH_MAX: usize = 30;

/// Most elements and attributes.
const NODES_MAX: usize = 500_000;

/// An element with what is in it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    children: Vec<Element>,
    /// All text directly in it.
    text: String,
}

/// Reads a document; `None` if it is not well-formed, or too deep or too large.
pub(super) fn parse(text: &str) -> Option<Element> {
    let mut open: Vec<Element> = vec![Element::default()];
    let mut nodes = 0;
    let mut rest = text.trim_start_matches('\u{feff}');
    while let Some(at) = rest.find('<') {
        open.last_mut()?.text.push_str(&entities(&rest[..at]));
        rest = &rest[at..];
        if let Some(inside) = rest.strip_prefix("<![CDATA[") {
            let end = inside.find("]]>")?;
            open.last_mut()?.text.push_str(&inside[..end]);
            rest = &inside[end + 3..];
        } else if rest.starts_with("<!--") {
            rest = &rest[4 + rest[4..].find("-->")? + 3..];
        } else if rest.starts_with("<?") {
            rest = &rest[rest.find("?>")? + 2..];
        } else if rest.starts_with("<!") {
            // A document type may define entities, which nobody needs in an answer.
            return None;
        } else if let Some(inside) = rest.strip_prefix("</") {
            let end = inside.find('>')?;
            let element = open.pop()?;
            if element.name != local(inside[..end].trim()) {
                return None;
            }
            open.last_mut()?.children.push(element);
            rest = &inside[end + 1..];
        } else {
            let (element, is_closed, after) = tag(&rest[1..])?;
            nodes += 1 + element.attributes.len();
            if nodes > NODES_MAX || open.len() > DEPTH_MAX {
                return None;
            }
            if is_closed {
                open.last_mut()?.children.push(element);
            } else {
                open.push(element);
            }
            rest = after;
        }
    }
    // What holds the root has nothing else.
    let mut outside = open.pop().filter(|_| open.is_empty())?;
    let is_clean = outside.text.trim().is_empty() && rest.trim().is_empty();
    outside.children.pop().filter(|_| is_clean && outside.children.is_empty())
}

/// A tag behind its `<`: the element, whether it ends at once, and what follows.
fn tag(text: &str) -> Option<(Element, bool, &str)> {
    let end = text.find(|it: char| it.is_whitespace() || matches!(it, '/' | '>'))?;
    let mut element = Element { name: local(&text[..end]).to_owned(), ..Element::default() };
    if element.name.is_empty() {
        return None;
    }
    let mut rest = text[end..].trim_start();
    loop {
        if let Some(after) = rest.strip_prefix('>') {
            return Some((element, false, after));
        }
        if let Some(after) = rest.strip_prefix("/>") {
            return Some((element, true, after));
        }
        let (name, value) = rest.split_once('=')?;
        let value = value.trim_start();
        let quote = value.chars().next().filter(|it| matches!(it, '"' | '\''))?;
        let (value, after) = value[1..].split_once(quote)?;
        let name = name.trim();
        if name != "xmlns" && !name.starts_with("xmlns:") {
            element.attributes.push((local(name).to_owned(), entities(value).into_owned()));
        }
        rest = after.trim_start();
    }
}

/// A name without its prefix.
fn local(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}

/// The document as JSON.
pub(super) fn to_json(root: &Element, shapes: Option<&Shapes>) -> Json {
    let mut out = Vec::new();
    if let Some((shapes, shape)) = shapes.and_then(|shapes| Some((shapes, shapes.get(0)?))) {
        shaped(&mut out, root, shapes, Some(shape));
    } else {
        let mut object = Members::begin(&mut out);
        plain(object.member(&root.name), root);
        object.end();
    }
    Json::trusted(out)
}

impl Element {
    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn is_nil(&self) -> bool {
        self.attribute("nil") == Some("true")
    }

    fn is_text(&self) -> bool {
        self.children.is_empty() && self.attributes.is_empty()
    }

    fn by_name(&self) -> HashMap<&str, Vec<&Element>> {
        let mut by_name: HashMap<&str, Vec<&Element>> = HashMap::new();
        for child in &self.children {
            by_name.entry(&child.name).or_default().push(child);
        }
        by_name
    }
}

/// An element without a schema.
fn plain(out: &mut Vec<u8>, element: &Element) {
    if element.is_text() {
        write_string(out, &element.text);
        return;
    }
    if element.is_nil() {
        out.extend_from_slice(b"null");
        return;
    }
    let mut object = Members::begin(out);
    for (name, value) in &element.attributes {
        write_string(object.member(&format!("@{name}")), value);
    }
    if !element.text.trim().is_empty() {
        write_string(object.member("#text"), element.text.trim());
    }
    let mut by_name = element.by_name();
    for child in &element.children {
        let Some(all) = by_name.remove(child.name.as_str()) else { continue };
        let out = object.member(&child.name);
        match all.as_slice() {
            [one] => plain(out, one),
            many => write_list(out, many, plain),
        }
    }
    object.end();
}

/// An element by its schema.
fn shaped(out: &mut Vec<u8>, element: &Element, shapes: &Shapes, shape: Option<&Shape>) {
    let Some(shape) = shape else { return plain(out, element) };
    if element.is_nil() {
        out.extend_from_slice(b"null");
        return;
    }
    if let Some(items) = shape.items
        && shape.members.is_empty()
    {
        let children: Vec<&Element> = element.children.iter().collect();
        write_list(out, &children, |out, child| shaped(out, child, shapes, shapes.get(items)));
        return;
    }
    if shape.members.is_empty() && shape.others.is_none() && !shape.types.has_object {
        if element.children.is_empty() {
            scalar(out, &element.text, shape);
        } else {
            plain(out, element);
        }
        return;
    }
    let mut by_name = element.by_name();
    let mut object = Members::begin(out);
    for (key, id) in &shape.members {
        let Some(member) = shapes.get(*id) else { continue };
        let name = member.name.as_deref().map_or(key.as_str(), local);
        match member.node {
            Node::Attribute => {
                if let Some(value) = element.attribute(name) {
                    scalar(object.member(key), value, member);
                }
            }
            Node::Text | Node::Cdata => scalar(object.member(key), &element.text, member),
            _ if member.items.is_some() => {
                let items = member.items.and_then(|it| shapes.get(it));
                let own = items.and_then(|it| it.name.as_deref()).map_or(key.as_str(), local);
                let outer = if member.is_wrapped { name } else { own };
                let Some(mut list) = by_name.remove(outer) else { continue };
                if member.is_wrapped {
                    list = list.into_iter().flat_map(|it| &it.children).collect();
                }
                let out = object.member(key);
                write_list(out, &list, |out, child| shaped(out, child, shapes, items));
            }
            _ => {
                if let Some(child) = by_name.remove(name).and_then(|all| all.first().copied()) {
                    shaped(object.member(key), child, shapes, Some(member));
                }
            }
        }
    }
    let others = shape.others.and_then(|it| shapes.get(it));
    for other in &element.children {
        if by_name.remove(other.name.as_str()).is_some()
            && !shape.members.iter().any(|(key, _)| *key == other.name)
        {
            shaped(object.member(&other.name), other, shapes, others);
        }
    }
    object.end();
}

/// A text as what the schema wants.
fn scalar(out: &mut Vec<u8>, text: &str, shape: &Shape) {
    let trimmed = text.trim();
    let is_number = shape.types.has_number && {
        let bytes = bytes::Bytes::copy_from_slice(trimmed.as_bytes());
        let json = Json::parse(bytes, &wire::Limits::SERVER);
        json.is_ok_and(|it| it.kind() == wire::json::Kind::Number)
    };
    let is_boolean = shape.types.has_boolean && matches!(trimmed, "true" | "false");
    if is_number || is_boolean {
        out.extend_from_slice(trimmed.as_bytes());
    } else {
        write_string(out, text);
    }
}

fn write_list(out: &mut Vec<u8>, elements: &[&Element], write: impl Fn(&mut Vec<u8>, &Element)) {
    out.push(b'[');
    for (at, element) in elements.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write(out, element);
    }
    out.push(b']');
}

/// An object that is being written.
struct Members<'o> {
    out: &'o mut Vec<u8>,
    is_first: bool,
}

impl<'o> Members<'o> {
    fn begin(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, is_first: true }
    }

    /// Writes a key; the value is to follow.
    fn member(&mut self, key: &str) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.is_first) {
            self.out.push(b',');
        }
        write_string(self.out, key);
        self.out.push(b':');
        self.out
    }

    fn end(self) {
        self.out.push(b'}');
    }
}
