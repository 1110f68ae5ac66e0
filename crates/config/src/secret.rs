//! Secrets, and the references by which a configuration names them.
//!
//! A value that may be secret is written as a template, `Bearer ${env:TOKEN}` or
//! `${file:/run/secrets/token}`, and resolved once while the configuration is read. Neither the
//! template nor the value can be printed: what is shown is the template with its literal text
//! left out.

use std::{
    borrow::Cow,
    fmt, io,
    ops::Range,
    path::{Path, PathBuf},
};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::{ExposeSecret, SecretString};

/// How long the file behind one reference may be. Keys and certificates' passwords are far
/// shorter; a device or a log named by mistake is not read to its end.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// A value that is never printed: it has no `Display` and no `Serialize`, its `Debug` shows
/// nothing, and its memory is wiped when it is dropped.
#[derive(Clone)]
pub struct Secret(SecretString);

/// A string as it was written, with its references.
#[derive(Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Reference(Reference),
}

/// Where a secret is to be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// `${env:NAME}` or `${env:NAME:-default}`: an environment variable of the gate.
    Env {
        /// The variable.
        name: String,
        /// What stands in when the variable is not set.
        default: Option<String>,
    },
    /// `${file:PATH}`: the text of a file without its last line break. A relative path starts at
    /// the directory of the configuration file.
    File(PathBuf),
}

/// A template together with what it stands for on this machine.
#[derive(Clone)]
pub struct Resolved {
    template: Template,
    value: Secret,
}

/// Why a string is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    /// The bytes of the string that are wrong.
    pub range: Range<usize>,
    /// What is wrong with them.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

/// Why a reference has no value here.
#[derive(Debug, thiserror::Error)]
pub enum Unresolved {
    /// The variable is not in the environment.
    #[error("the environment variable `{0}` is not set")]
    Env(String),
    /// The file cannot be read, is too long, or is not UTF-8.
    #[error("the file `{}` cannot be read: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
}

/// The world that references are resolved in.
pub trait Environment {
    /// The value of an environment variable.
    fn variable(&self, name: &str) -> Option<String>;

    /// The text of a file.
    fn file(&self, path: &Path) -> io::Result<String>;
}

/// The environment and the files of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessEnvironment;

// === impl Secret ===

impl Secret {
    /// Keeps a value from being printed.
    pub fn new(value: impl Into<String>) -> Self {
        Self(SecretString::from(value.into()))
    }

    /// The value, for the one place that must send it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

// === impl Template ===

impl Template {
    /// Reads a string with references. `$${` stands for the two characters `${`.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut at = 0;
        while let Some(found) = text[at..].find('$') {
            literal.push_str(&text[at..at + found]);
            at += found;
            let rest = &text[at..];
            if rest.starts_with("$${") {
                literal.push_str("${");
                at += 3;
            } else if rest.starts_with("${") {
                let Some(end) = rest.find('}') else {
                    return Err(TemplateError {
                        range: at..text.len(),
                        message: "this reference never ends".to_owned(),
                        hint: "close it with `}`, or write `$${` for a literal `${`".to_owned(),
                    });
                };
                let range = at..at + end + 1;
                let reference = Reference::parse(&rest[2..end], range.clone())?;
                if !literal.is_empty() {
                    parts.push(Part::Literal(std::mem::take(&mut literal)));
                }
                parts.push(Part::Reference(reference));
                at = range.end;
            } else {
                literal.push('$');
                at += 1;
            }
        }
        literal.push_str(&text[at..]);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self { parts })
    }

    /// A string without references.
    pub fn literal(text: impl Into<String>) -> Self {
        Self { parts: vec![Part::Literal(text.into())] }
    }

    /// True when nothing in it is referenced.
    pub fn is_literal(&self) -> bool {
        self.references().next().is_none()
    }

    /// The references in the order in which they are written.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.parts.iter().filter_map(|part| match part {
            Part::Reference(reference) => Some(reference),
            Part::Literal(_) => None,
        })
    }

    /// Finds the value of every reference. Relative files start at `base`.
    pub fn resolve(
        self,
        environment: &dyn Environment,
        base: &Path,
    ) -> Result<Resolved, Unresolved> {
        let mut value = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(text) => value.push_str(text),
                Part::Reference(reference) => {
                    value.push_str(&reference.resolve(environment, base)?);
                }
            }
        }
        Ok(Resolved { template: self, value: Secret::new(value) })
    }
}

impl fmt::Display for Template {
    /// The references; literal text, which may be a credential, is shown as `…`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| match part {
            Part::Literal(_) => f.write_str("…"),
            Part::Reference(reference) => fmt::Display::fmt(reference, f),
        })
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({self})")
    }
}

// === impl Reference ===

impl Reference {
    fn parse(body: &str, range: Range<usize>) -> Result<Self, TemplateError> {
        let wrong = |message: String, hint: &str| {
            Err(TemplateError { range, message, hint: hint.to_owned() })
        };
        match body.split_once(':') {
            Some(("env", rest)) => {
                let (name, default) = match rest.split_once(":-") {
                    Some((name, default)) => (name, Some(default.to_owned())),
                    None => (rest, None),
                };
                if name.is_empty() || name.contains(['=', '\0', ' ']) {
                    let message = format!("`{name}` is no name of an environment variable");
                    return wrong(message, "write `${env:NAME}`");
                }
                Ok(Self::Env { name: name.to_owned(), default })
            }
            Some(("file", "")) => {
                wrong("this reference names no file".to_owned(), "write `${file:/path/to/secret}`")
            }
            Some(("file", path)) => Ok(Self::File(PathBuf::from(path))),
            _ => wrong(
                format!("`${{{body}}}` is not a reference"),
                "references are `${env:NAME}` and `${file:PATH}`; write `$${` for a literal `${`",
            ),
        }
    }

    fn resolve(&self, environment: &dyn Environment, base: &Path) -> Result<String, Unresolved> {
        match self {
            Self::Env { name, default } => environment
                .variable(name)
                .or_else(|| default.clone())
                .ok_or_else(|| Unresolved::Env(name.clone())),
            Self::File(path) => {
                let path = base.join(path);
                let mut text = match environment.file(&path) {
                    Ok(text) => text,
                    Err(reason) => return Err(Unresolved::File { path, reason }),
                };
                if text.ends_with('\n') {
                    text.pop();
                }
                if text.ends_with('\r') {
                    text.pop();
                }
                Ok(text)
            }
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env { name, .. } => write!(f, "${{env:{name}}}"),
            Self::File(path) => write!(f, "${{file:{}}}", path.display()),
        }
    }
}

// === impl Resolved ===

impl Resolved {
    /// A value that the program itself knows, such as an argument of its own command line.
    pub fn literal(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { template: Template::literal(text.clone()), value: Secret::new(text) }
    }

    /// The value, for the one place that must send it.
    pub fn expose(&self) -> &str {
        self.value.expose()
    }

    /// The value as a secret of its own.
    pub fn secret(&self) -> &Secret {
        &self.value
    }

    /// What was written.
    pub fn template(&self) -> &Template {
        &self.template
    }
}

impl PartialEq for Resolved {
    /// Two are equal when they stand for the same value: a rotated secret is a change even
    /// though the file says the same.
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Eq for Resolved {}

impl fmt::Debug for Resolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Resolved({})", self.template)
    }
}

impl JsonSchema for Resolved {
    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "number", "boolean"],
            "description": "Text in which `${env:NAME}`, `${env:NAME:-default}` and `${file:PATH}` are replaced; `$${` stands for `${`.",
        })
    }
}

// === impl ProcessEnvironment ===

impl Environment for ProcessEnvironment {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn file(&self, path: &Path) -> io::Result<String> {
        use io::Read as _;

        let mut text = String::new();
        std::fs::File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
        if text.len() as u64 > FILE_BYTES_MAX {
            let message = format!("longer than {} KiB", FILE_BYTES_MAX >> 10);
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        Ok(text)
    }
}
