//! Values as XML, by the `xml` hints of their schemas (OpenAPI 3.2, XML Object; the words of 3.1 and
//! earlier, `attribute` and `wrapped`, too).
//!
//! Where the specification is silent: `null` is an element with `xsi:nil="true"`, and no attribute; a
//! root whose schema has neither a name nor is known under one is called `root`; a list at the root
//! stands in an element of that name.

use wire::json::{Json, Kind};

use super::Refusal;
use super::value;

mod shape;

pub(crate) use shape::{Node, Shape, Shapes};

/// Deepest nesting of a document; arguments are bounded already when they come in.
const DEPTH_MAX: usize = 200;

const NIL: &str = " xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:nil=\"true\"";

/// A whole document. `fallback` names the root if the schema does not.
pub(super) fn document(shapes: &Shapes, fallback: &str, json: &Json) -> Result<String, Refusal> {
    let mut writing =
        Writing { shapes, out: String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n") };
    let root = shapes.get(0);
    let name = root.and_then(|it| it.name.as_deref().or(it.component.as_deref()));
    writing.element(root, name.unwrap_or(fallback), json, 0)?;
    Ok(writing.out)
}

/// A document of one member of what `shapes` describes: a part of a form.
pub(super) fn member(shapes: &Shapes, key: &str, json: &Json) -> Result<String, Refusal> {
    let mut writing =
        Writing { shapes, out: String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n") };
    let mut shape = shapes.member(shapes.get(0), key);
    // Each element of a list is a document.
    if json.kind() != Kind::Array
        && let Some(items) = shape.and_then(|it| it.items)
    {
        shape = shapes.get(items);
    }
    let name = shape.and_then(|it| it.name.as_deref().or(it.component.as_deref()));
    writing.element(shape, name.unwrap_or(key), json, 0)?;
    Ok(writing.out)
}

struct Writing<'s> {
    shapes: &'s Shapes,
    out: String,
}

impl Writing<'_> {
    /// One element with what is in it.
    fn element(
        &mut self,
        shape: Option<&Shape>,
        name: &str,
        json: &Json,
        depth: usize,
    ) -> Result<(), Refusal> {
        if depth > DEPTH_MAX {
            return Err(Refusal::new("it is nested too deeply", "nest it less deeply"));
        }
        let name = self.open(shape, name)?;
        match json.kind() {
            Kind::Null => {
                self.out.push_str(NIL);
                self.out.push_str("/>");
                return Ok(());
            }
            Kind::Object => {
                let members = value::members(json);
                for (key, member) in &members {
                    let shape = self.shapes.member(shape, key);
                    if shape.is_some_and(|it| it.node == Node::Attribute) {
                        self.attribute(shape, key, member)?;
                    }
                }
                self.out.push('>');
                for (key, member) in &members {
                    self.child(self.shapes.member(shape, key), key, member, depth + 1)?;
                }
            }
            Kind::Array => {
                self.out.push('>');
                let items = shape.and_then(|it| self.shapes.get(it.items?));
                let own = items.and_then(|it| it.name.as_deref().or(it.component.as_deref()));
                let own = own.unwrap_or(&name).to_owned();
                for item in json.elements().unwrap_or_default() {
                    self.element(items, &own, &item, depth + 1)?;
                }
            }
            Kind::String | Kind::Number | Kind::Bool => {
                self.out.push('>');
                escape(&mut self.out, &value::text(json).unwrap_or_default())?;
            }
        }
        self.out.push_str("</");
        self.out.push_str(&name);
        self.out.push('>');
        Ok(())
    }

    /// A member of an object, inside the object's element.
    fn child(
        &mut self,
        shape: Option<&Shape>,
        key: &str,
        json: &Json,
        depth: usize,
    ) -> Result<(), Refusal> {
        if depth > DEPTH_MAX {
            return Err(Refusal::new("it is nested too deeply", "nest it less deeply"));
        }
        let node = shape.map(|it| it.node).unwrap_or_default();
        if node == Node::Attribute {
            return Ok(());
        }
        let own = shape.and_then(|it| it.name.as_deref());
        if let Some(elements) = json.elements() {
            let items = shape.and_then(|it| self.shapes.get(it.items?));
            let is_wrapped = shape.is_some_and(|it| it.is_wrapped);
            let outer = if is_wrapped { own.unwrap_or(key) } else { key };
            let inner = items.and_then(|it| it.name.as_deref()).unwrap_or(outer).to_owned();
            let outer = if is_wrapped {
                let outer = self.open(shape, outer)?;
                self.out.push('>');
                Some(outer)
            } else {
                None
            };
            for item in elements {
                self.element(items, &inner, &item, depth + 1)?;
            }
            if let Some(outer) = outer {
                self.out.push_str("</");
                self.out.push_str(&outer);
                self.out.push('>');
            }
            return Ok(());
        }
        match node {
            Node::Text => escape(&mut self.out, &value::text(json).unwrap_or_default()),
            Node::Cdata => {
                let text = value::text(json).unwrap_or_default();
                check(&text)?;
                self.out.push_str("<![CDATA[");
                self.out.push_str(&text.replace("]]>", "]]]]><![CDATA[>"));
                self.out.push_str("]]>");
                Ok(())
            }
            Node::None if json.kind() == Kind::Object => {
                for (key, member) in value::members(json) {
                    self.child(self.shapes.member(shape, &key), &key, &member, depth + 1)?;
                }
                Ok(())
            }
            _ => self.element(shape, own.unwrap_or(key), json, depth),
        }
    }

    /// The beginning of a tag, without its `>`; gives the name as it stands there.
    fn open(&mut self, shape: Option<&Shape>, name: &str) -> Result<String, Refusal> {
        let prefix = shape.and_then(|it| it.prefix.as_deref());
        let name = qualified(prefix, name)?;
        self.out.push('<');
        self.out.push_str(&name);
        self.declare(shape)?;
        Ok(name)
    }

    fn attribute(&mut self, shape: Option<&Shape>, key: &str, json: &Json) -> Result<(), Refusal> {
        let Some(text) = value::text(json) else { return Ok(()) };
        let name = shape.and_then(|it| it.name.as_deref()).unwrap_or(key);
        let prefix = shape.and_then(|it| it.prefix.as_deref());
        if prefix.is_some() {
            self.declare(shape)?;
        }
        self.out.push(' ');
        self.out.push_str(&qualified(prefix, name)?);
        self.out.push_str("=\"");
        escape(&mut self.out, &text)?;
        self.out.push('"');
        Ok(())
    }

    fn declare(&mut self, shape: Option<&Shape>) -> Result<(), Refusal> {
        let Some(shape) = shape else { return Ok(()) };
        let Some(namespace) = &shape.namespace else { return Ok(()) };
        self.out.push_str(" xmlns");
        if let Some(prefix) = &shape.prefix {
            self.out.push(':');
            self.out.push_str(prefix);
        }
        self.out.push_str("=\"");
        escape(&mut self.out, namespace)?;
        self.out.push('"');
        Ok(())
    }
}

fn qualified(prefix: Option<&str>, name: &str) -> Result<String, Refusal> {
    let name = match prefix {
        Some(prefix) => format!("{prefix}:{name}"),
        None => name.to_owned(),
    };
    let is_start = |it: char| it.is_alphabetic() || it == '_';
    let is_rest = |it: char| it.is_alphanumeric() || matches!(it, '_' | '-' | '.' | ':');
    if name.starts_with(is_start) && name.chars().all(is_rest) {
        return Ok(name);
    }
    let problem = format!("`{name}` cannot be the name of an XML element");
    Err(Refusal::new(problem, "use names of letters, digits, `_`, `-` and `.`"))
}

fn check(text: &str) -> Result<(), Refusal> {
    let is_unfit = |it: char| {
        (it.is_ascii_control() && !matches!(it, '\t' | '\n' | '\r' | '\u{7f}'))
            || matches!(it, '\u{fffe}' | '\u{ffff}')
    };
    if text.contains(is_unfit) {
        let problem = "it has control characters in it, which XML cannot hold";
        return Err(Refusal::new(problem, "leave these characters out"));
    }
    Ok(())
}

fn escape(out: &mut String, text: &str) -> Result<(), Refusal> {
    check(text)?;
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // A reader would turn these into something else.
            '\r' => out.push_str("&#13;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            other => out.push(other),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
