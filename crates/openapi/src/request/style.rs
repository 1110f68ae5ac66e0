//! Values as the `style` of a parameter writes them (OpenAPI 3.2, Style Values; RFC 6570).
//!
//! The tables of the specification hold, and where they are silent:
//!
//! * `null` is an undefined value of RFC 6570 §2.3: left out, as an element and as a member, too. A
//!   parameter that must be there is written empty instead, as the column `undefined` has it. An empty
//!   list or object is undefined, too.
//! * An element or member that is a list or an object itself is written as its JSON text; a list in
//!   an exploded object is repeated under its key (`a=1&tags=x&tags=y`).
//! * `deepObject` nests as far as the value does: `a[b][c]=1`; elements of lists have their index
//!   (`a[b][0]=1&a[b][1]=2`), which the readers of PHP, of Node.js (qs) and of Stripe's kind understand for
//!   any number of elements and for lists of objects.
//! * Delimited styles with `explode` repeat the name, as `form` does.
//! * A delimiter in a value is percent-encoded wherever that keeps it apart from the delimiter.
//!   Where it does not (`spaceDelimited` and its kin, headers, cookies of 3.2, parts of a form), the value is
//!   refused: the server would read another one.

use wire::json::{Json, Kind};

use super::Refusal;
use super::escape::Escape;
use super::value::{self, Value};
use crate::model::Style;

/// How a value is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Writing {
    /// The style.
    pub(super) style: Style,
    /// Whether lists and objects are written as several parts.
    pub(super) explode: bool,
    /// How texts are made fit for their place.
    pub(super) escape: Escape,
    /// Whether an undefined value is written as an empty one.
    pub(super) keeps_empty: bool,
}

/// A name and what it has, both escaped.
pub(super) type Pair = (String, String);

impl Writing {
    /// The value as one text: a part of a path, or a header.
    pub(super) fn part(self, name: &str, value: &Json) -> Result<String, Refusal> {
        let mut out = String::new();
        match self.style {
            Style::Matrix => self.matrix(&mut out, name, &Value::of(value))?,
            Style::Label => {
                out.push('.');
                let between = if self.explode { "." } else { "," };
                self.sequence(&mut out, &Value::of(value), between)?;
            }
            _ => self.sequence(&mut out, &Value::of(value), self.delimiter())?,
        }
        Ok(out)
    }

    /// `;color=blue`.
    fn matrix(self, out: &mut String, name: &str, value: &Value) -> Result<(), Refusal> {
        let mut named = |name: &str, text: &str| {
            out.push(';');
            self.escape.write(out, name, ";=");
            // An empty value has no `=` (RFC 6570 §3.2.7).
            if !text.is_empty() {
                out.push('=');
                self.escape.write(out, text, ";");
            }
        };
        match value {
            Value::List(items) if self.explode && !items.is_empty() => {
                items.iter().filter_map(value::text).for_each(|text| named(name, &text));
            }
            Value::Members(members) if self.explode && !members.is_empty() => {
                for (key, member) in members {
                    if let Some(text) = value::text(member) {
                        named(key, &text);
                    }
                }
            }
            Value::Scalar(text) => named(name, text),
            Value::Nothing | Value::List(_) | Value::Members(_) => {
                named(name, "");
                let mut list = String::new();
                self.sequence(&mut list, value, ",")?;
                if !list.is_empty() {
                    out.push('=');
                    out.push_str(&list);
                }
            }
        }
        Ok(())
    }

    /// The elements of a list, or the keys and values of an object, with a delimiter between them.
    fn sequence(self, out: &mut String, value: &Value, between: &str) -> Result<(), Refusal> {
        let own = read(between);
        let mut item = |text: &str, before: &str, delimiters: &str| {
            self.check(text, delimiters)?;
            out.push_str(before);
            self.escape.write(out, text, delimiters);
            Ok(())
        };
        match value {
            Value::Nothing => {}
            Value::Scalar(text) => item(text, "", "")?,
            Value::List(items) => {
                for (at, text) in items.iter().filter_map(value::text).enumerate() {
                    item(&text, if at == 0 { "" } else { between }, own)?;
                }
            }
            Value::Members(members) => {
                let of_keys = if self.explode { format!("{own}=") } else { own.to_owned() };
                let inside = if self.explode { "=" } else { between };
                let texts = members.iter().filter_map(|(key, it)| Some((key, value::text(it)?)));
                for (at, (key, text)) in texts.enumerate() {
                    item(key, if at == 0 { "" } else { between }, &of_keys)?;
                    item(&text, inside, own)?;
                }
            }
        }
        Ok(())
    }

    /// The value as pairs: of a query, a form, or the `Cookie` header.
    pub(super) fn pairs(self, name: &str, value: &Json) -> Result<Vec<Pair>, Refusal> {
        let mut pairs = Vec::new();
        let shape = Value::of(value);
        if self.style == Style::DeepObject && matches!(shape, Value::List(_) | Value::Members(_)) {
            self.deep(&mut pairs, name, value)?;
            return Ok(pairs);
        }
        let mut add = |name: &str, text: &str| {
            let mut key = String::with_capacity(name.len());
            self.escape.write(&mut key, name, "=");
            pairs.push((key, self.escape.text(text)));
        };
        match &shape {
            Value::Nothing => {}
            Value::Scalar(text) => add(name, text),
            Value::List(items) if self.explode => {
                items.iter().filter_map(value::text).for_each(|text| add(name, &text));
            }
            Value::Members(members) if self.explode => {
                for (key, member) in members {
                    match member.elements() {
                        Some(items) => {
                            items.iter().filter_map(value::text).for_each(|text| add(key, &text));
                        }
                        None => value::text(member).iter().for_each(|text| add(key, text)),
                    }
                }
                // Without members there is no name that could be written.
                return Ok(pairs);
            }
            Value::List(_) | Value::Members(_) => {
                let mut text = String::new();
                self.sequence(&mut text, &shape, self.delimiter())?;
                let is_empty = match &shape {
                    Value::List(items) => items.iter().all(|it| it.kind() == Kind::Null),
                    _ => text.is_empty(),
                };
                if !is_empty {
                    let mut key = String::with_capacity(name.len());
                    self.escape.write(&mut key, name, "=");
                    pairs.push((key, text));
                }
            }
        }
        if pairs.is_empty() && self.keeps_empty {
            pairs.push((self.escape.text(name), String::new()));
        }
        Ok(pairs)
    }

    fn deep(self, pairs: &mut Vec<Pair>, name: &str, value: &Json) -> Result<(), Refusal> {
        match Value::of(value) {
            Value::Nothing => {}
            Value::Scalar(text) => {
                let mut key = String::with_capacity(name.len());
                self.escape.write(&mut key, name, "=");
                pairs.push((key, self.escape.text(&text)));
            }
            Value::List(items) => {
                let defined = items.iter().filter(|it| it.kind() != Kind::Null);
                for (at, item) in defined.enumerate() {
                    self.deep(pairs, &format!("{name}[{at}]"), item)?;
                }
            }
            Value::Members(members) => {
                for (key, member) in members {
                    if key.contains(['[', ']']) {
                        let problem = format!(
                            "its member `{key}` has a bracket in its name, which stands for nesting here"
                        );
                        return Err(Refusal::new(problem, "use names without `[` and `]`"));
                    }
                    self.deep(pairs, &format!("{name}[{key}]"), &member)?;
                }
            }
        }
        Ok(())
    }

    /// What stands between elements, as it is sent.
    fn delimiter(self) -> &'static str {
        match (self.style, self.escape.encodes()) {
            (Style::SpaceDelimited, true) => "%20",
            (Style::SpaceDelimited, false) => " ",
            (Style::PipeDelimited, true) => "%7C",
            (Style::PipeDelimited, false) => "|",
            (Style::TabDelimited, true) => "%09",
            (Style::TabDelimited, false) => "\t",
            _ => ",",
        }
    }

    /// Refuses a text in which a delimiter stands that could not be told from one.
    fn check(self, text: &str, delimiters: &str) -> Result<(), Refusal> {
        let is_lost = |it: &char| !self.escape.encodes() || matches!(it, ' ' | '|' | '\t');
        let Some(delimiter) = delimiters.chars().filter(is_lost).find(|it| text.contains(*it))
        else {
            return Ok(());
        };
        let called = match delimiter {
            ',' => "a comma",
            ' ' => "a space",
            '\t' => "a tab",
            '|' => "a `|`",
            _ => "a `=`",
        };
        let problem = format!(
            "`{text}` has {called} in it, which separates the parts of this value when it is sent"
        );
        Err(Refusal::new(problem, format!("leave {called} out")))
    }
}

/// A delimiter as it is read.
fn read(delimiter: &str) -> &str {
    match delimiter {
        "%20" => " ",
        "%7C" => "|",
        "%09" => "\t",
        other => other,
    }
}

#[cfg(test)]
mod tests;
