//! Walking a tree: every field is asked for by name, everything wrong is written down, and what
//! nobody asked for is an unknown key.

use std::{
    collections::BTreeMap,
    fmt::Display,
    ops::{Range, RangeInclusive},
    path::PathBuf,
    str::FromStr,
    sync::Arc,
};

use crate::{
    diagnostic::{Code, Diagnostic, Place, Severity, Source},
    model::ServerName,
    secret::{Environment, Resolved, Template},
    tree::{Node, Value},
    units::{Bytes, Duration, Rate},
};

/// How many problems one reading collects. Nobody reads more at once, and a generated file with
/// the same mistake in each of ten thousand servers stays quick.
const DIAGNOSTICS_MAX: usize = 200;

/// What a reading knows and what it has found so far.
pub(crate) struct Cx<'a> {
    pub(crate) source: Arc<Source>,
    pub(crate) environment: &'a dyn Environment,
    /// Where relative paths start.
    pub(crate) base: PathBuf,
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// The servers that are set aside, each with its first reason.
    pub(crate) quarantined: BTreeMap<ServerName, String>,
    /// Whether some problem refuses the whole, collected or not.
    pub(crate) refused: bool,
    errors: usize,
    /// What is being read and could be set aside alone, a server.
    pub(crate) object: Option<ServerName>,
    /// Whether that object is switched off: what it lacks on this machine is then no error.
    pub(crate) is_disabled: bool,
}

/// The fields of one mapping.
pub(crate) struct Fields<'n> {
    node: &'n Node,
    what: String,
    known: Vec<&'static str>,
}

/// Reading a value from a node; `None` means that the problem has been reported.
pub(crate) trait Read: Sized {
    fn read(node: &Node, cx: &mut Cx<'_>) -> Option<Self>;
}

// === impl Cx ===

impl<'a> Cx<'a> {
    pub(crate) fn new(source: Arc<Source>, environment: &'a dyn Environment) -> Self {
        let base = source.path().parent().map(PathBuf::from).unwrap_or_default();
        Self {
            source,
            environment,
            base,
            diagnostics: Vec::new(),
            quarantined: BTreeMap::new(),
            refused: false,
            errors: 0,
            object: None,
            is_disabled: false,
        }
    }

    pub(crate) fn place(&self, range: Range<usize>) -> Place {
        Place { source: Arc::clone(&self.source), range }
    }

    pub(crate) fn problem(
        &self,
        code: Code,
        range: &Range<usize>,
        message: impl Into<String>,
    ) -> Diagnostic {
        Diagnostic::new(code, self.place(range.clone()), message)
    }

    pub(crate) fn report(&mut self, diagnostic: Diagnostic) {
        if diagnostic.severity == Severity::Error {
            self.errors += 1;
            self.refused |= diagnostic.refuses();
        }
        if let Some(server) = &diagnostic.quarantines {
            let reason = || diagnostic.message.clone();
            self.quarantined.entry(server.clone()).or_insert_with(reason);
        }
        if self.diagnostics.len() < DIAGNOSTICS_MAX {
            self.diagnostics.push(diagnostic);
        }
    }

    /// Reports a problem of this machine rather than of the text: it sets aside the object being
    /// read and refuses nothing else.
    pub(crate) fn set_aside(&mut self, mut diagnostic: Diagnostic) {
        if self.is_disabled {
            diagnostic.severity = Severity::Warning;
        } else {
            diagnostic.quarantines.clone_from(&self.object);
        }
        self.report(diagnostic);
    }

    /// How many errors there were so far; an object is sound when reading it added none.
    pub(crate) fn errors(&self) -> usize {
        self.errors
    }

    pub(crate) fn wrong_kind(&mut self, node: &Node, expected: &str) {
        let found = node.kind();
        let message = format!("expected {expected}, found {found}");
        let label = format!("this is {found}");
        self.report(self.problem(Code::WrongKind, &node.range, message).label(label));
    }

    /// Reads text in which references are replaced.
    pub(crate) fn text(&mut self, node: &Node) -> Option<Resolved> {
        let Some(text) = node.scalar() else {
            self.wrong_kind(node, "a string");
            return None;
        };
        let template = match Template::parse(&text) {
            Ok(template) => template,
            Err(error) => {
                let range = self.within(node, text.get(error.range.clone()).unwrap_or_default());
                let problem = self.problem(Code::InvalidReference, &range, error.message);
                self.report(problem.hint(error.hint));
                return None;
            }
        };
        let first = template.references().next().map(ToString::to_string);
        match template.resolve(self.environment, &self.base) {
            Ok(resolved) => Some(resolved),
            Err(error) => {
                let range = self.within(node, &first.unwrap_or_default());
                let hint = match &error {
                    crate::secret::Unresolved::Env(name) => {
                        format!(
                            "set `{name}` for the gate, or give a default: `${{env:{name}:-…}}`"
                        )
                    }
                    crate::secret::Unresolved::File { .. } => {
                        "check the path and that the gate may read the file".to_owned()
                    }
                };
                let problem = self.problem(Code::UnresolvedReference, &range, error.to_string());
                self.set_aside(problem.label("this reference has no value here").hint(hint));
                None
            }
        }
    }

    /// The place of a part of a scalar; the whole scalar where escapes hide the part.
    fn within(&self, node: &Node, part: &str) -> Range<usize> {
        self.source
            .find(&node.range, part)
            .filter(|_| !part.is_empty())
            .unwrap_or_else(|| node.range.clone())
    }
}

// === impl Fields ===

impl<'n> Fields<'n> {
    /// The fields of a mapping; anything else is reported.
    pub(crate) fn of(node: &'n Node, what: impl Into<String>, cx: &mut Cx<'_>) -> Option<Self> {
        let what = what.into();
        let Value::Mapping(_) = node.value else {
            cx.wrong_kind(node, &format!("a mapping for {what}"));
            return None;
        };
        Some(Self { node, what, known: Vec::new() })
    }

    /// The node of a field, unless it is absent or empty.
    pub(crate) fn node(&mut self, key: &'static str) -> Option<&'n Node> {
        self.know(key);
        self.node.get(key).filter(|node| !matches!(node.value, Value::Null))
    }

    /// The value of a field that has no default.
    pub(crate) fn get<T: Read>(&mut self, key: &'static str, cx: &mut Cx<'_>) -> Option<T> {
        self.node(key).and_then(|node| T::read(node, cx))
    }

    /// Overwrites a default when the field is written.
    pub(crate) fn set<T: Read>(&mut self, key: &'static str, slot: &mut T, cx: &mut Cx<'_>) {
        if let Some(value) = self.get(key, cx) {
            *slot = value;
        }
    }

    /// As `set`, for a value whose absence means something.
    pub(crate) fn set_some<T: Read>(
        &mut self,
        key: &'static str,
        slot: &mut Option<T>,
        cx: &mut Cx<'_>,
    ) {
        if let Some(value) = self.get(key, cx) {
            *slot = Some(value);
        }
    }

    /// As `set`, within a range.
    pub(crate) fn set_in<T: Read + PartialOrd + Display>(
        &mut self,
        key: &'static str,
        slot: &mut T,
        range: RangeInclusive<T>,
        cx: &mut Cx<'_>,
    ) {
        let Some(node) = self.node(key) else { return };
        let Some(value) = T::read(node, cx) else { return };
        if range.contains(&value) {
            *slot = value;
            return;
        }
        let (low, high) = range.into_inner();
        let message = format!("`{key}` must be between {low} and {high}");
        let problem = cx.problem(Code::OutOfRange, &node.range, message);
        cx.report(problem.label("outside the range"));
    }

    /// Reports a field that must be there.
    pub(crate) fn require<T: Read>(&mut self, key: &'static str, cx: &mut Cx<'_>) -> Option<T> {
        self.required_node(key, cx).and_then(|node| T::read(node, cx))
    }

    /// Reports a field that must be there, and leaves its reading to the caller.
    pub(crate) fn required_node(&mut self, key: &'static str, cx: &mut Cx<'_>) -> Option<&'n Node> {
        let node = self.node(key);
        if node.is_none() {
            let message = format!("{} needs `{key}`", self.what);
            cx.report(cx.problem(Code::MissingKey, &self.node.range, message));
        }
        node
    }

    /// Keys that are known, though somebody else judges them.
    pub(crate) fn accept(&mut self, keys: &[&[&'static str]]) {
        keys.iter().copied().flatten().for_each(|key| self.know(key));
    }

    fn know(&mut self, key: &'static str) {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
    }

    /// Reports every key that was not asked for.
    pub(crate) fn finish(self, cx: &mut Cx<'_>) {
        for entry in self.node.entries() {
            if self.known.contains(&entry.key.as_str()) {
                continue;
            }
            let message = format!("unknown key `{}` in {}", entry.key, self.what);
            let problem = cx.problem(Code::UnknownKey, &entry.key_range, message);
            let problem = problem.label("nothing reads this key");
            cx.report(match nearest(&entry.key, self.known.iter().copied()) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None => problem.hint(format!("known keys: {}", self.known.join(", "))),
            });
        }
    }
}

// === Read ===

impl Read for bool {
    fn read(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let Value::Bool(value) = node.value else {
            cx.wrong_kind(node, "`true` or `false`");
            return None;
        };
        Some(value)
    }
}

impl Read for usize {
    fn read(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let Value::Number(text) = &node.value else {
            cx.wrong_kind(node, "a whole number");
            return None;
        };
        let value = text.parse().ok();
        if value.is_none() {
            let message = format!("expected a whole number, found `{text}`");
            cx.report(cx.problem(Code::InvalidValue, &node.range, message));
        }
        value
    }
}

impl Read for String {
    fn read(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let text = node.as_str().map(str::to_owned);
        if text.is_none() {
            cx.wrong_kind(node, "a string");
        }
        text
    }
}

impl Read for PathBuf {
    /// A path; a relative one starts at the directory of the configuration file.
    fn read(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let text = String::read(node, cx)?;
        if text.is_empty() {
            cx.report(cx.problem(Code::InvalidValue, &node.range, "a path cannot be empty"));
            return None;
        }
        Some(cx.base.join(text))
    }
}

impl Read for Resolved {
    fn read(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        cx.text(node)
    }
}

impl<T: Read> Read for Vec<T> {
    fn read(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let Value::Sequence(items) = &node.value else {
            cx.wrong_kind(node, "a list");
            return None;
        };
        // Every item is read even when one is wrong, so that all problems are found.
        let read: Vec<Option<T>> = items.iter().map(|item| T::read(item, cx)).collect();
        read.into_iter().collect()
    }
}

impl Read for Duration {
    fn read(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let unit = match &node.value {
            Value::Number(number) => Some(format!("say the unit: `{number}s` or `{number}ms`")),
            _ => None,
        };
        quantity(node, unit, cx)
    }
}

impl Read for Bytes {
    fn read(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        quantity(node, None, cx)
    }
}

impl Read for Rate {
    fn read(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        quantity(node, None, cx)
    }
}

fn quantity<T>(node: &Node, hint: Option<String>, cx: &mut Cx<'_>) -> Option<T>
where
    T: FromStr<Err = crate::units::QuantityError>,
{
    let text = node.scalar().unwrap_or_default();
    match text.parse() {
        Ok(value) => Some(value),
        Err(error) => {
            let found = if text.is_empty() { node.kind().to_owned() } else { format!("`{text}`") };
            let message = format!("{error}, found {found}");
            let mut problem = cx.problem(Code::InvalidValue, &node.range, message);
            problem.hint = hint;
            cx.report(problem);
            None
        }
    }
}

/// Reports a value outside a closed set, with the nearest member.
pub(crate) fn not_one_of(node: &Node, words: &[&str], cx: &mut Cx<'_>) {
    let expected = words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    let Some(text) = node.scalar() else {
        cx.wrong_kind(node, &format!("one of {expected}"));
        return;
    };
    let message = format!("`{text}` is not one of {expected}");
    let problem = cx.problem(Code::InvalidValue, &node.range, message);
    cx.report(match nearest(&text, words.iter().copied()) {
        Some(near) => problem.hint(format!("did you mean `{near}`?")),
        None => problem,
    });
}

/// The candidate that a mistyped word most likely meant.
pub(crate) fn nearest<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let folded = |text: &str| text.to_ascii_lowercase().replace(['-', '_', ' '], "");
    let wanted = folded(word);
    let (distance, near) = candidates
        .into_iter()
        .map(|candidate| (edit_distance(&wanted, &folded(candidate)), candidate))
        .min_by_key(|(distance, _)| *distance)?;
    // A third of the letters may be wrong; beyond that it is another word.
    (distance <= (wanted.chars().count() / 3).max(1)).then_some(near)
}

/// Insertions, removals, replacements and swaps of neighbours that make one word the other.
fn edit_distance(a: &str, b: &str) -> usize {
    /// Longer words are no typing errors of ours.
    const LENGTH_MAX: usize = 64;

    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().max(b.len()) > LENGTH_MAX {
        return usize::MAX;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (row, from) in a.iter().enumerate() {
        let mut next = vec![row + 1];
        for (column, to) in b.iter().enumerate() {
            let replaced = last[column] + usize::from(from != to);
            let mut best = replaced.min(last[column + 1] + 1).min(next[column] + 1);
            if row > 0 && column > 0 && *from == b[column - 1] && a[row - 1] == *to {
                best = best.min(before[column - 1] + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut last, next);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_found_and_a_strange_one_is_not() {
        let known = ["command", "args", "idle_timeout", "timeout"];
        assert_eq!(nearest("comand", known), Some("command"));
        assert_eq!(nearest("idleTimeout", known), Some("idle_timeout"));
        assert_eq!(nearest("agrs", known), Some("args"));
        assert_eq!(nearest("openapi", known), None);
        assert_eq!(nearest(&"x".repeat(10_000), known), None);
    }
}
