//! Problems in what somebody wrote: where, what was expected, and what to do about it.
//!
//! A diagnostic is complete in itself: it shares the text it points into, so that it can be
//! rendered long after reading ended. Values that look like credentials are masked in that text
//! before the first diagnostic is made, so no rendering can print one.

use std::{
    fmt,
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use crate::model::ServerName;

/// How much a diagnostic weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The object is used; somebody should look at it.
    Warning,
    /// The object cannot be used.
    Error,
}

/// A stable name for a kind of problem, to search for and to filter by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// `E001`: the text is not YAML, JSON or TOML.
    Syntax,
    /// `E002`: a key that nothing reads.
    UnknownKey,
    /// `E003`: a value of another kind than expected.
    WrongKind,
    /// `E004`: a value that is of the right kind but means nothing here.
    InvalidValue,
    /// `E005`: a key written twice in one mapping.
    DuplicateKey,
    /// `E006`: a key that must be there is absent.
    MissingKey,
    /// `E007`: keys that exclude each other.
    Conflict,
    /// `E008`: a name outside the grammar of names.
    InvalidName,
    /// `E009`: a path that the gate keeps for itself.
    ReservedPath,
    /// `E010`: a name that refers to nothing.
    UnknownServer,
    /// `E011`: a listener that strangers could reach, while nothing identifies callers.
    ExposedListener,
    /// `E012`: a reference to a secret that cannot be resolved on this machine.
    UnresolvedReference,
    /// `E013`: a `${…}` that is not a reference.
    InvalidReference,
    /// `E014`: a number, size or duration outside its range.
    OutOfRange,
    /// `E015`: a document that is larger or deeper than a configuration may be.
    TooLarge,
    /// `E016`: a file that cannot be read.
    Unreadable,
    /// `W101`: a credential written in plain text.
    LiteralCredential,
    /// `W102`: a setting of a host's file that has no meaning here.
    Ignored,
    /// `W103`: a name or value of a host's file that had to be changed.
    Changed,
    /// `W104`: credentials that travel without encryption.
    PlaintextTransport,
    /// `W105`: a setting that another one leaves without effect, in full or in part.
    WithoutEffect,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The file as the caller named it.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The bytes of the file.
    pub bytes: Range<usize>,
}

/// One problem, with its place and its remedy.
#[derive(Clone)]
pub struct Diagnostic {
    /// The kind of problem.
    pub code: Code,
    /// How much it weighs.
    pub severity: Severity,
    /// What is wrong, as one lower-case sentence without a full stop.
    pub message: String,
    /// What is said right at the place; may be empty.
    pub label: String,
    /// What to do.
    pub hint: Option<String>,
    /// What else is worth knowing.
    pub note: Option<String>,
    /// The one object that this problem sets aside while everything else is served, by
    /// its name: a server. An error without it refuses the whole configuration.
    pub quarantines: Option<ServerName>,
    place: Place,
}

/// Colours or none; the caller knows the terminal and `NO_COLOR`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Plain text.
    Plain,
    /// ANSI colours; no meaning is carried by colour alone.
    Color,
}

/// A text that diagnostics point into.
pub(crate) struct Source {
    path: PathBuf,
    /// The text as it may be shown: same length in bytes, credentials masked.
    shown: Mutex<Vec<u8>>,
}

/// A range of a source.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) source: Arc<Source>,
    pub(crate) range: Range<usize>,
}

// === impl Severity ===

impl Severity {
    /// `error` or `warning`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

// === impl Code ===

impl Code {
    /// The stable name, such as `E002`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "E001",
            Self::UnknownKey => "E002",
            Self::WrongKind => "E003",
            Self::InvalidValue => "E004",
            Self::DuplicateKey => "E005",
            Self::MissingKey => "E006",
            Self::Conflict => "E007",
            Self::InvalidName => "E008",
            Self::ReservedPath => "E009",
            Self::UnknownServer => "E010",
            Self::ExposedListener => "E011",
            Self::UnresolvedReference => "E012",
            Self::InvalidReference => "E013",
            Self::OutOfRange => "E014",
            Self::TooLarge => "E015",
            Self::Unreadable => "E016",
            Self::LiteralCredential => "W101",
            Self::Ignored => "W102",
            Self::Changed => "W103",
            Self::PlaintextTransport => "W104",
            Self::WithoutEffect => "W105",
        }
    }

    /// The severity that goes with the code.
    pub const fn severity(self) -> Severity {
        match self {
            Self::LiteralCredential
            | Self::Ignored
            | Self::Changed
            | Self::PlaintextTransport
            | Self::WithoutEffect => Severity::Warning,
            _ => Severity::Error,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl Diagnostic ===

impl Diagnostic {
    pub(crate) fn new(code: Code, place: Place, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: code.severity(),
            message: message.into(),
            label: String::new(),
            hint: None,
            note: None,
            quarantines: None,
            place,
        }
    }

    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    /// A diagnostic about a file as a whole, such as one that cannot be read.
    pub(crate) fn about_file(code: Code, path: &Path, message: impl Into<String>) -> Self {
        Self::new(code, Place::whole(Source::new(path, "")), message)
    }

    /// True when this problem alone refuses the configuration.
    pub fn refuses(&self) -> bool {
        self.severity == Severity::Error && self.quarantines.is_none()
    }

    /// Where the problem begins, in bytes.
    pub(crate) fn start(&self) -> usize {
        self.place.range.start
    }

    /// Where the problem is.
    pub fn span(&self) -> Span {
        self.place.span()
    }

    /// The diagnostic as text for people, in the manner of rustc, without a final line break.
    pub fn render(&self, style: Style) -> String {
        let renderer = match style {
            Style::Plain => Renderer::plain(),
            Style::Color => Renderer::styled(),
        };
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(self.message.as_str()).id(self.code.as_str());
        let shown = self.place.source.shown();
        let path = self.place.source.path.display().to_string();
        let mut group = if shown.is_empty() {
            title.element(annotate_snippets::Origin::path(path.as_str()))
        } else {
            let mut annotation = AnnotationKind::Primary.span(self.place.range.clone());
            if !self.label.is_empty() {
                annotation = annotation.label(self.label.as_str());
            }
            title
                .element(Snippet::source(shown.as_str()).path(path.as_str()).annotation(annotation))
        };
        let hint = self.hint.as_deref().map(|hint| Level::HELP.with_name("hint").message(hint));
        if let Some(hint) = hint {
            group = group.element(hint);
        }
        if let Some(note) = &self.note {
            group = group.element(Level::NOTE.message(note.as_str()));
        }
        let set_aside = self
            .quarantines
            .as_ref()
            .map(|what| format!("only server `{what}` is set aside; everything else is served"));
        if let Some(set_aside) = &set_aside {
            group = group.element(Level::NOTE.message(set_aside.as_str()));
        }
        renderer.render(&[group])
    }

    /// The diagnostic as a JSON object for programs.
    pub fn to_json(&self) -> serde_json::Value {
        let span = self.span();
        serde_json::json!({
            "code": self.code.as_str(),
            "severity": self.severity.as_str(),
            "message": self.message,
            "label": self.label,
            "hint": self.hint,
            "note": self.note,
            "quarantines": self.quarantines,
            "span": {
                "file": span.file.display().to_string(),
                "line": span.line,
                "column": span.column,
                "start": span.bytes.start,
                "end": span.bytes.end,
            },
        })
    }
}

impl fmt::Display for Diagnostic {
    /// One line: `file:line:column: error[E002]: message`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = self.span();
        write!(
            f,
            "{}:{}:{}: {}[{}]: {}",
            span.file.display(),
            span.line,
            span.column,
            self.severity.as_str(),
            self.code,
            self.message
        )
    }
}

impl fmt::Debug for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

// === impl Source ===

impl Source {
    pub(crate) fn new(path: &Path, text: &str) -> Arc<Self> {
        Arc::new(Self { path: path.to_owned(), shown: Mutex::new(text.as_bytes().to_vec()) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Masks a range in everything that will be shown from now on.
    ///
    /// Every byte becomes `*`, so all offsets stay true.
    pub(crate) fn mask(&self, range: Range<usize>) {
        let mut shown = self.lock();
        let Some(part) = shown.get_mut(range) else { return };
        part.iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b'*');
    }

    /// Where a part of a range stands, as far as it may be shown.
    pub(crate) fn find(&self, range: &Range<usize>, part: &str) -> Option<Range<usize>> {
        let shown = self.lock();
        let whole = std::str::from_utf8(shown.get(range.clone())?).ok()?;
        let start = range.start + whole.find(part)?;
        Some(start..start + part.len())
    }

    /// The text with its masks. Masks cover whole scalars, so it stays UTF-8; if one ever did
    /// not, the offsets of a replacement could differ and nothing worse.
    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.lock()).into_owned()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Place ===

impl Place {
    pub(crate) fn whole(source: Arc<Source>) -> Self {
        Self { source, range: 0..0 }
    }

    pub(crate) fn span(&self) -> Span {
        let shown = self.source.lock();
        let before = shown.get(..self.range.start).unwrap_or(&shown);
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        Span {
            file: self.source.path.clone(),
            line: before.split(|byte| *byte == b'\n').count(),
            // Every byte but the ones that continue a character begins one.
            column: before[line_start..].iter().filter(|byte| **byte & 0xc0 != 0x80).count() + 1,
            bytes: self.range.clone(),
        }
    }
}
