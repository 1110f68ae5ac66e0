//! What the operator decides about tools: which operations, and what is changed about each.

use std::fmt;
use std::sync::Arc;

use wire::json::Json;

use super::name::Held;
use crate::response::Paging;

/// What the operator decides about the tools of a document.
#[derive(Clone, Debug)]
pub struct Options {
    /// Operations that become tools; empty means all.
    pub include: Vec<Selector>,
    /// Operations that do not, also where `include` has them.
    pub exclude: Vec<Selector>,
    /// What is changed about single operations.
    pub changes: Vec<Change>,
    /// Which tools carry an `outputSchema`.
    pub output: Output,
    /// Longest `outputSchema` in bytes with [`Output::Auto`].
    pub output_bytes_max: usize,
    /// Longest description of a tool in bytes; longer ones end in an ellipsis.
    pub description_bytes_max: usize,
    /// Whether operations are offered whose arguments are described, in part at least, in a document
    /// that is not there. Anything is taken in its place.
    pub offers_undescribed: bool,
    /// How the next pages of results are found.
    pub paging: Arc<Paging>,
    /// Names that tools of an earlier reading have: they keep them.
    pub held: Held,
}

impl Default for Options {
    /// All operations that are described, `outputSchema` up to 8 KiB, descriptions up to 4 KiB.
    fn default() -> Self {
        Self {
            include: Vec::new(),
            exclude: Vec::new(),
            changes: Vec::new(),
            output: Output::Auto,
            output_bytes_max: 8 << 10,
            description_bytes_max: 4 << 10,
            offers_undescribed: false,
            paging: Arc::default(),
            held: Held::default(),
        }
    }
}

/// Which tools carry an `outputSchema`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// None.
    Off,
    /// Those whose schema is short enough.
    #[default]
    Auto,
    /// All that have one.
    On,
}

/// Operations of some kind: all that is given must fit, and an empty selector fits everything.
#[derive(Clone, Debug, Default)]
pub struct Selector {
    /// The tool's name, `operationId`, or the path.
    pub name: Option<Glob>,
    /// One of the tags.
    pub tag: Option<Glob>,
    /// The HTTP method, in any case.
    pub method: Option<String>,
    /// An `x-` member of the operation or its path that is there.
    pub extension: Option<Glob>,
}

/// A pattern: `*` stands for any characters, `?` for one; everything else for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(String);

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Glob {
    /// A pattern as written.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self(pattern.into())
    }

    /// Whether the whole text fits.
    pub fn matches(&self, text: &str) -> bool {
        let pattern: Vec<char> = self.0.chars().collect();
        let text: Vec<char> = text.chars().collect();
        let (mut at, mut seen) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        while seen < text.len() {
            match pattern.get(at) {
                Some('*') => {
                    star = Some((at, seen));
                    at += 1;
                }
                Some(&expected) if expected == '?' || expected == text[seen] => {
                    at += 1;
                    seen += 1;
                }
                // The last star takes one character more.
                _ => match star {
                    Some((of_star, taken)) => {
                        star = Some((of_star, taken + 1));
                        at = of_star + 1;
                        seen = taken + 1;
                    }
                    None => return false,
                },
            }
        }
        pattern[at..].iter().all(|&rest| rest == '*')
    }
}

/// What is changed about one operation. Whatever is not given stays as the document has it.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Which operation: its `operationId`, `METHOD /path`, or the name its tool would have.
    pub operation: String,
    /// The tool's name.
    pub name: Option<String>,
    /// The tool's title.
    pub title: Option<String>,
    /// The tool's description.
    pub description: Option<String>,
    /// `readOnlyHint`.
    pub is_read_only: Option<bool>,
    /// `destructiveHint`.
    pub is_destructive: Option<bool>,
    /// `idempotentHint`.
    pub is_idempotent: Option<bool>,
    /// `openWorldHint`.
    pub is_open_world: Option<bool>,
    /// What is changed about arguments.
    pub arguments: Vec<ArgumentChange>,
    /// The HTTP method that is sent.
    pub method: Option<String>,
    /// The path that is sent; its variables are those of the document's path.
    pub path: Option<String>,
    /// Scheme, host and port that requests go to, as `https://host:port`.
    pub origin: Option<String>,
    /// Headers that each request has: name and value.
    pub headers: Vec<(String, String)>,
    /// Pairs that the query of each request has.
    pub query: Vec<(String, String)>,
    /// Which of several media types the body has.
    pub media_type: Option<String>,
    /// Whether the tool carries an `outputSchema`.
    pub output: Option<Output>,
    /// An `outputSchema` instead of the document's.
    pub output_schema: Option<Json>,
    /// How the next page of its results is found.
    pub paging: Option<Arc<Paging>>,
    /// Tags besides those of the document.
    pub tags: Vec<String>,
}

/// What is changed about one argument.
#[derive(Clone, Debug, Default)]
pub struct ArgumentChange {
    /// Which one, by the name it would have.
    pub argument: String,
    /// Its name for clients.
    pub name: Option<String>,
    /// What clients read about it.
    pub description: Option<String>,
    /// Whether clients do not see it; without a value it is never sent.
    pub is_hidden: bool,
    /// The value that is always sent; clients do not see the argument.
    pub fixed: Option<Json>,
    /// The value that is sent where the client gives none; it is no longer required.
    pub default: Option<Json>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("get*", "getUser", true),
            ("get*", "forget", false),
            ("*User*", "getUserById", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("/v1/*/x", "/v1/a/b/x", true),
            ("*a*b*c", "xxaxxbxxbxxc", true),
            ("ab", "abc", false),
            ("", "", true),
        ] {
            assert_eq!(Glob::new(pattern).matches(text), fits, "{pattern} {text}");
        }
    }
}
