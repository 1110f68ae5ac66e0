//! What everything that reads operations works with: the dialect, the report, and a budget.

use std::collections::HashSet;
use std::fmt::Display;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::site::{Dangling, Site};
use crate::model::{At, Dialect};
use crate::report::{Finding, Report, Severity};
use crate::tree::Kind;

/// References let a small document say the same thing very often. What is read from one, texts and
/// parts, is bounded by this many bytes: four times what the largest published documents need.
const BUDGET: usize = 128 << 20;

/// What a part weighs besides its texts.
const PART: usize = 64;

/// What a member weighs that is looked at.
const STEP: usize = 8;

/// What is read at the moment, and where findings go.
pub(crate) struct Cx<'r> {
    pub(crate) dialect: Dialect,
    report: &'r mut Report,
    /// The operation that findings concern, as `GET /path`.
    operation: Option<String>,
    /// What was said of which place: what is wrong with a component that many operations refer to is
    /// said once.
    reported: HashSet<(At, u64)>,
    left: usize,
}

/// Why an operation is not offered.
pub(crate) struct Skip {
    /// A stable name of the reason.
    pub(crate) kind: &'static str,
    /// The reason, and what to do about it.
    pub(crate) message: String,
    /// Where the reason is written.
    pub(crate) at: At,
}

impl Skip {
    pub(crate) fn new(kind: &'static str, site: Site<'_>, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), at: site.at() }
    }
}

impl From<Dangling<'_>> for Skip {
    fn from(dangling: Dangling<'_>) -> Self {
        Self::new("reference-unresolved", dangling.site, dangling.message)
    }
}

impl<'r> Cx<'r> {
    pub(crate) fn new(dialect: Dialect, report: &'r mut Report) -> Self {
        Self { dialect, report, operation: None, reported: HashSet::new(), left: BUDGET }
    }

    /// Whether the document is of version 3.1 or later.
    pub(crate) fn is_31(&self) -> bool {
        matches!(self.dialect, Dialect::OpenApi31 | Dialect::OpenApi32)
    }

    /// Whether the document is Swagger 2.0.
    pub(crate) fn is_20(&self) -> bool {
        self.dialect == Dialect::Swagger20
    }

    /// Names the operation that findings concern from now on.
    pub(crate) fn set_operation(&mut self, operation: Option<String>) {
        self.operation = operation;
    }

    pub(crate) fn note(&mut self, kind: &'static str, site: Site<'_>, message: impl Display) {
        self.find(Severity::Note, kind, site, message);
    }

    pub(crate) fn warn(&mut self, kind: &'static str, site: Site<'_>, message: impl Display) {
        self.find(Severity::Warning, kind, site, message);
    }

    pub(crate) fn error(&mut self, kind: &'static str, site: Site<'_>, message: impl Display) {
        self.find(Severity::Error, kind, site, message);
    }

    /// Reports that the operation at hand is not offered.
    pub(crate) fn skip(&mut self, kind: &'static str, site: Site<'_>, message: String) {
        self.take_part();
        let operation = self.operation.clone();
        let place = site.place();
        let severity = Severity::Skipped;
        self.report.add(Finding { severity, kind, operation, message, place });
    }

    fn find(
        &mut self,
        severity: Severity,
        kind: &'static str,
        site: Site<'_>,
        message: impl Display,
    ) {
        let message = message.to_string();
        let mut hasher = DefaultHasher::new();
        (kind, &message).hash(&mut hasher);
        if self.reported.insert((site.at(), hasher.finish())) && self.take_part() {
            let operation = self.operation.clone();
            let place = site.place();
            self.report.add(Finding { severity, kind, operation, message, place });
        }
    }

    /// Takes one part from the budget; says no when nothing is left.
    pub(crate) fn take_part(&mut self) -> bool {
        self.take(PART)
    }

    /// Takes one step of a walk from the budget: references make long lists of short ones. Says no
    /// when nothing is left.
    pub(crate) fn step(&mut self) -> bool {
        self.take(STEP)
    }

    /// Takes what a copy of these texts needs; says no when nothing is left.
    pub(crate) fn charge<'t>(&mut self, texts: impl Iterator<Item = &'t str>) -> bool {
        let bytes = texts.map(|text| PART + text.len()).fold(0, usize::saturating_add);
        self.take(bytes)
    }

    fn take(&mut self, bytes: usize) -> bool {
        let left = self.left.checked_sub(bytes);
        self.left = left.unwrap_or(0);
        left.is_some()
    }

    /// Whether the document says so much that the rest is not read.
    pub(crate) fn is_spent(&self) -> bool {
        self.left == 0
    }

    /// Keeps a text; none when nothing of the budget is left.
    pub(crate) fn keep(&mut self, text: &str) -> Option<String> {
        self.take(text.len()).then(|| text.to_owned())
    }

    /// The text `key`. Another scalar is taken for its text (an unquoted `1.0` in YAML is a number).
    pub(crate) fn text(&mut self, site: Site<'_>, key: &str) -> Option<String> {
        let text = self.word(site, key)?;
        self.keep(text)
    }

    /// As [`Self::text`], without a copy.
    pub(crate) fn word<'d>(&mut self, site: Site<'d>, key: &str) -> Option<&'d str> {
        let member = site.get(key)?;
        if member.as_str().is_none() {
            let found = member.kind_name();
            let message = match member.scalar() {
                Some(_) => format!("`{key}` should be a text, not {found}; it is read as one"),
                None => format!("`{key}` should be a text, not {found}; it is ignored"),
            };
            self.note("wrong-type", member, message);
        }
        member.written()
    }

    /// The description of what is used at `written` and declared at `site`. From 3.1 on a reference
    /// may have one of its own, which counts first.
    pub(crate) fn described(&mut self, written: Site<'_>, site: Site<'_>) -> Option<String> {
        let own = self.is_31() && written.get("description").is_some();
        self.text(if own { written } else { site }, "description")
    }

    /// The boolean `key`. A text that reads `true` or `false` counts as well.
    pub(crate) fn flag(&mut self, site: Site<'_>, key: &str) -> Option<bool> {
        let member = site.get(key)?;
        if let Some(flag) = member.as_bool() {
            return Some(flag);
        }
        let meant = match member.scalar().map(str::to_ascii_lowercase).as_deref() {
            Some("true" | "yes" | "on" | "1") => Some(true),
            Some("false" | "no" | "off" | "0") => Some(false),
            _ => None,
        };
        let found = member.kind_name();
        let taken = meant.map_or_else(|| "ignored".to_owned(), |flag| format!("read as {flag}"));
        self.note(
            "wrong-type",
            member,
            format!("`{key}` should be a boolean, not {found}; {taken}"),
        );
        meant
    }

    /// The object `key`, its reference followed; one that cannot be had is reported.
    pub(crate) fn object<'d>(&mut self, site: Site<'d>, key: &str) -> Option<Site<'d>> {
        self.container(site, key, Kind::Object)
    }

    /// The list `key`, its reference followed; one that cannot be had is reported.
    pub(crate) fn list<'d>(&mut self, site: Site<'d>, key: &str) -> Option<Site<'d>> {
        self.container(site, key, Kind::Array)
    }

    fn container<'d>(&mut self, site: Site<'d>, key: &str, kind: Kind) -> Option<Site<'d>> {
        let member = self.follow(site.get(key)?)?;
        if member.kind() == kind {
            return Some(member);
        }
        let expected = if kind == Kind::Object { "an object" } else { "a list" };
        let found = member.kind_name();
        let message = format!("`{key}` should be {expected}, not {found}; it is ignored");
        self.warn("wrong-type", member, message);
        None
    }

    /// What is meant by a value; a reference that leads nowhere is reported.
    pub(crate) fn follow<'d>(&mut self, site: Site<'d>) -> Option<Site<'d>> {
        match site.followed() {
            Ok(target) => Some(target),
            Err(dangling) => {
                self.warn("reference-unresolved", dangling.site, dangling.message);
                None
            }
        }
    }

    /// The texts of the list `key`, in order and none twice; a single text counts as a list of one.
    pub(crate) fn words<'d>(&mut self, site: Site<'d>, key: &str) -> Vec<&'d str> {
        let Some(member) = site.get(key) else { return Vec::new() };
        if member.scalar().is_some() {
            let message =
                format!("`{key}` should be a list of texts; the text alone is read as one");
            self.note("wrong-type", member, message);
            return member.scalar().into_iter().collect();
        }
        let Some(list) = self.list(site, key) else { return Vec::new() };
        let mut seen = HashSet::new();
        let mut words = Vec::new();
        for element in list.elements() {
            if !self.step() {
                break;
            }
            match element.scalar().filter(|_| !element.is_null()) {
                // Equal texts of a list are compared by their bytes, so long ones cost the budget.
                Some(word) if self.take(PART + word.len()) && seen.insert(word) => words.push(word),
                Some(_) => {}
                None => {
                    let found = element.kind_name();
                    let message = format!("`{key}` should hold texts, not {found}; it is left out");
                    self.warn("wrong-type", element, message);
                }
            }
        }
        words
    }
}
