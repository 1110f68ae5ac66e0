//! Names of servers, and patterns over the names of capabilities.

use std::{borrow::Borrow, borrow::Cow, fmt, ops::Deref, str::FromStr, sync::Arc};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::{
    diagnostic::Code,
    tree::Node,
    walk::{Cx, Read},
};

/// The name of a server: a letter or digit, then up to 31 letters, digits, `_` or `-`; without `__`
/// and without `_` at the end.
///
/// It is part of URLs and of the exposed names of tools, which hosts limit in length and in
/// characters. Exposed names join it with `__`, so that no two servers can meet in one name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerName(Arc<str>);

/// A pattern over names or URIs: `*` stands for any characters, `?` for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a name is a letter or digit, then up to 31 letters, digits, `_` or `-`, without `__` and without `_` at the end"
)]
pub struct NameError;

// === impl ServerName ===

impl ServerName {
    /// The longest name, in characters.
    pub const LENGTH_MAX: usize = 32;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The nearest text that is a name: other characters become `-`.
    pub(crate) fn from_any(text: &str) -> Self {
        let mut name: String = text
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' })
            .skip_while(|c| !c.is_ascii_alphanumeric())
            .collect::<String>()
            .replace("__", "_-");
        name.truncate(Self::LENGTH_MAX);
        name.truncate(name.trim_end_matches(['-', '_']).len());
        Self(if name.is_empty() { "server".into() } else { name.into() })
    }

    /// The same name with a number at its end, still a name.
    pub(crate) fn numbered(&self, number: usize) -> Self {
        let suffix = format!("-{number}");
        let kept = self.0.len().min(Self::LENGTH_MAX - suffix.len());
        Self(format!("{}{suffix}", &self.0[..kept]).into())
    }
}

impl FromStr for ServerName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let follows = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        let sound = text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.len() <= Self::LENGTH_MAX
            && text.bytes().all(follows)
            && !text.contains("__")
            && !text.ends_with('_');
        if sound { Ok(Self(text.into())) } else { Err(NameError) }
    }
}

impl Deref for ServerName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for ServerName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for ServerName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl Read for ServerName {
    fn read(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let Some(text) = node.scalar() else {
            cx.wrong_kind(node, "the name of a server");
            return None;
        };
        match text.parse() {
            Ok(name) => Some(name),
            Err(error) => {
                let message = format!("`{text}` is not a name of a server");
                let problem = cx.problem(Code::InvalidName, &node.range, message);
                let near = Self::from_any(&text);
                cx.report(
                    problem
                        .hint(format!("rename it, for example to `{near}`"))
                        .note(NameError::to_string(&error)),
                );
                None
            }
        }
    }
}

impl JsonSchema for ServerName {
    fn schema_name() -> Cow<'static, str> {
        "ServerName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$",
            "description": "The name of a server.",
        })
    }
}

// === impl Pattern ===

impl Pattern {
    /// A pattern; every text is one.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the whole of `text` fits, upper and lower case told apart.
    ///
    /// The time is at most the product of both lengths: only the last `*` is ever tried again.
    pub fn matches(&self, text: &str) -> bool {
        let (pattern, text) = (self.0.as_bytes(), text.as_bytes());
        let (mut at_pattern, mut at_text) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        while at_text < text.len() {
            match pattern.get(at_pattern) {
                Some(b'*') => {
                    star = Some((at_pattern + 1, at_text));
                    at_pattern += 1;
                }
                Some(b'?') => {
                    // One character, which may have several bytes.
                    at_text += 1;
                    while text.get(at_text).is_some_and(|byte| byte & 0xc0 == 0x80) {
                        at_text += 1;
                    }
                    at_pattern += 1;
                }
                Some(byte) if *byte == text[at_text] => {
                    at_pattern += 1;
                    at_text += 1;
                }
                _ => {
                    let Some((after_star, tried)) = star else { return false };
                    star = Some((after_star, tried + 1));
                    at_pattern = after_star;
                    at_text = tried + 1;
                }
            }
        }
        pattern[at_pattern..].iter().all(|byte| *byte == b'*')
    }
}

impl Read for Pattern {
    fn read(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let Some(text) = node.scalar().filter(|text| !text.is_empty()) else {
            cx.wrong_kind(node, "a pattern such as `search_*`");
            return None;
        };
        Some(Self(text))
    }
}

impl JsonSchema for Pattern {
    fn schema_name() -> Cow<'static, str> {
        "Pattern".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "minLength": 1,
            "description": "A pattern: `*` stands for any characters, `?` for one.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_their_grammar() {
        for good in ["a", "0", "time", "my-server_2", &"x".repeat(32)] {
            assert!(good.parse::<ServerName>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "_a", "a_", "a__b", "a.b", "a b", "é", &"x".repeat(33)] {
            assert!(bad.parse::<ServerName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn any_text_becomes_a_name() {
        for (text, name) in [
            ("@scope/server", "scope-server"),
            ("My Server!", "My-Server"),
            ("***", "server"),
            ("ünïcode", "n-code"),
        ] {
            assert_eq!(ServerName::from_any(text).as_str(), name);
            assert!(ServerName::from_any(text).parse::<ServerName>().is_ok());
        }
        let long = ServerName::from_any(&"x".repeat(50));
        assert_eq!(long.numbered(12).as_str(), format!("{}-12", "x".repeat(29)));
    }

    #[test]
    fn patterns_match_whole_texts() {
        for (pattern, text, fits) in [
            ("search_*", "search_code", true),
            ("search_*", "research_code", false),
            ("*", "", true),
            ("", "", true),
            ("a?c", "aéc", true),
            ("a?c", "ac", false),
            ("*a*b", "xaxb", true),
            ("file:///*", "file:///etc/hosts", true),
            ("get", "GET", false),
        ] {
            assert_eq!(Pattern::new(pattern).matches(text), fits, "{pattern} {text}");
        }
        let hostile = Pattern::new("*a".repeat(200));
        assert!(!hostile.matches(&format!("{}b", "a".repeat(2_000))));
    }
}
