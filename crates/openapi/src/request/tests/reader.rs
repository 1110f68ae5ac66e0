//! Reads requests as a server does that knows how its parameter `p` is written. Written from the
//! specifications alone: it shares nothing with what it checks.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Built, Location, Style};

/// What a value says: one text, a list of texts, or texts by name.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Texts {
    One(String),
    List(Vec<String>),
    Named(BTreeMap<String, String>),
}

/// What the value of a call says.
pub(super) fn texts(value: &Value) -> Texts {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match value {
        Value::Array(items) => Texts::List(items.iter().map(text).collect()),
        Value::Object(members) => {
            Texts::Named(members.iter().map(|(key, it)| (key.clone(), text(it))).collect())
        }
        _ => Texts::One(text(value)),
    }
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let digits = tail.get(..2).and_then(|it| std::str::from_utf8(it).ok());
        let digits = digits.filter(|it| first == b'%' && !it.starts_with('+'));
        if let Some(byte) = digits.and_then(|it| u8::from_str_radix(it, 16).ok()) {
            bytes.push(byte);
            rest = &tail[2..];
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).expect("UTF-8")
}

/// Reads the parameter `p`; `like` says which type it has.
pub(super) fn read(
    built: &Built,
    location: Location,
    style: Style,
    explode: bool,
    like: &Value,
) -> Result<Texts, String> {
    let (path, query) = built.path_and_query.split_once('?').unwrap_or((&built.path_and_query, ""));
    let header = |name: &str| {
        let found = built.headers.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    match location {
        Location::Path => {
            let segment = path.strip_prefix("/a/").and_then(|it| it.strip_suffix("/b"));
            let segment = segment.ok_or("the path is another one")?;
            if segment.contains('/') {
                return Err("there are more segments".to_owned());
            }
            part(segment, style, explode, like, percent_decoded)
        }
        Location::Header => {
            let text = header("p");
            // What is not ASCII cannot travel as it is.
            let is_encoded = !text.is_empty() && !like.to_string().is_ascii();
            let text = if is_encoded { percent_decoded(&text) } else { text };
            part(&text, style, explode, like, str::to_owned)
        }
        Location::Query => {
            let decode = |text: &str| percent_decoded(&text.replace('+', " "));
            pairs(query.split('&'), style, explode, like, decode)
        }
        _ => {
            let cookies = header("Cookie");
            let is_plain = style == Style::Cookie;
            let decode =
                |text: &str| if is_plain { text.to_owned() } else { percent_decoded(text) };
            pairs(cookies.split("; "), style, explode, like, decode)
        }
    }
}

/// The elements or the keys and values between delimiters.
fn split(
    text: &str,
    delimiter: &str,
    is_named: bool,
    like: &Value,
    decode: impl Fn(&str) -> String,
) -> Result<Texts, String> {
    let parts: Vec<&str> = text.split(delimiter).collect();
    match like {
        Value::Array(_) => Ok(Texts::List(parts.into_iter().map(decode).collect())),
        Value::Object(_) if is_named => {
            let pair = |part: &str| {
                let (key, value) = part.split_once('=').ok_or("no `=`")?;
                Ok((decode(key), decode(value)))
            };
            parts.into_iter().map(pair).collect::<Result<_, String>>().map(Texts::Named)
        }
        Value::Object(_) => {
            let pairs = parts.chunks(2).map(|pair| match pair {
                [key, value] => Ok((decode(key), decode(value))),
                _ => Err("a key has no value".to_owned()),
            });
            pairs.collect::<Result<_, _>>().map(Texts::Named)
        }
        _ => Ok(Texts::One(decode(text))),
    }
}

fn part(
    text: &str,
    style: Style,
    explode: bool,
    like: &Value,
    decode: impl Fn(&str) -> String,
) -> Result<Texts, String> {
    match style {
        Style::Matrix => {
            let text = text.strip_prefix(';').ok_or("no `;`")?;
            match like {
                Value::Object(_) if explode => split(text, ";", true, like, decode),
                Value::Array(_) if explode => {
                    let item = |part: &str| {
                        let value = part.strip_prefix("p=").ok_or("another name")?;
                        Ok(decode(value))
                    };
                    text.split(';').map(item).collect::<Result<_, String>>().map(Texts::List)
                }
                _ => split(text.strip_prefix("p=").ok_or("no `p=`")?, ",", false, like, decode),
            }
        }
        Style::Label => {
            let text = text.strip_prefix('.').ok_or("no `.`")?;
            split(text, if explode { "." } else { "," }, explode, like, decode)
        }
        Style::SpaceDelimited => split(text, "%20", explode, like, decode),
        Style::PipeDelimited if text.contains("%7C") => split(text, "%7C", explode, like, decode),
        Style::PipeDelimited => split(text, "|", explode, like, decode),
        _ => split(text, ",", explode, like, decode),
    }
}

fn pairs<'q>(
    pairs: impl Iterator<Item = &'q str>,
    style: Style,
    explode: bool,
    like: &Value,
    decode: impl Fn(&str) -> String,
) -> Result<Texts, String> {
    let pair = |pair: &'q str| {
        let (key, value) = pair.split_once('=').ok_or("no `=`")?;
        Ok((decode(key), value))
    };
    let pairs: Vec<(String, &str)> = pairs.map(pair).collect::<Result<_, String>>()?;
    if style == Style::DeepObject
        && !matches!(like, Value::String(_) | Value::Number(_) | Value::Bool(_))
    {
        let inner = |(key, value): &(String, &str)| {
            let key =
                key.strip_prefix("p[").and_then(|it| it.strip_suffix(']')).ok_or("another key")?;
            Ok((key.to_owned(), decode(value)))
        };
        let inner: Vec<(String, String)> =
            pairs.iter().map(inner).collect::<Result<_, String>>()?;
        if let Value::Array(_) = like {
            for (at, (key, _)) in inner.iter().enumerate() {
                assert_eq!(*key, at.to_string());
            }
            return Ok(Texts::List(inner.into_iter().map(|(_, value)| value).collect()));
        }
        return Ok(Texts::Named(inner.into_iter().collect()));
    }
    if explode && like.is_object() {
        return Ok(Texts::Named(
            pairs.into_iter().map(|(key, value)| (key, decode(value))).collect(),
        ));
    }
    if pairs.iter().any(|(key, _)| key != "p") {
        return Err("another key".to_owned());
    }
    if explode && like.is_array() {
        return Ok(Texts::List(pairs.into_iter().map(|(_, value)| decode(value)).collect()));
    }
    let [(_, text)] = pairs.as_slice() else { return Err("more than one pair".to_owned()) };
    let delimiter = match style {
        Style::SpaceDelimited => "%20",
        Style::PipeDelimited => "%7C",
        Style::TabDelimited => "%09",
        _ => ",",
    };
    split(text, delimiter, false, like, decode)
}

/// Whether there is no request that says this value.
pub(super) fn may_be_refused(location: Location, style: Style, value: &Value) -> bool {
    let all: Vec<String> = match texts(value) {
        Texts::One(text) => vec![text],
        Texts::List(texts) => texts,
        Texts::Named(texts) => texts.into_iter().flat_map(|(key, value)| [key, value]).collect(),
    };
    let has = |wanted: &[char]| all.iter().any(|text| text.contains(wanted));
    let has_delimiter = match style {
        Style::SpaceDelimited => has(&[' ']),
        Style::PipeDelimited => has(&['|']),
        Style::TabDelimited => has(&['\t']),
        Style::DeepObject => has(&['[', ']']),
        _ => false,
    };
    let is_edged = all.iter().any(|text| text.trim_matches([' ', '\t']) != text);
    has_delimiter
        || match location {
            // `.` and `..` lead elsewhere, alone or between slashes.
            Location::Path => has(&['.', '%']) || (style == Style::Label),
            Location::Header => is_edged || has(&[',', '=', '|']),
            Location::Cookie if style == Style::Cookie => {
                is_edged || has(&[',', '=', ';']) || all.iter().any(|text| !text.is_ascii())
            }
            _ => false,
        }
}
