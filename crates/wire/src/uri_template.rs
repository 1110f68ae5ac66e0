//! URI templates (RFC 6570, level 4): expansion, and finding the template that a URI was made from.
//!
//! Servers declare families of resources by templates; the gate routes a read to the server whose
//! template matches the URI best. Templates and URIs come from outside, so both are bounded and
//! matching takes time proportional to template × URI, whatever they contain.

mod expand;
mod parse;
mod program;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;

use program::Program;

/// Longest accepted template in bytes.
pub const TEMPLATE_BYTES_MAX: usize = 4096;
/// Most variables in one template.
pub const VARIABLES_MAX: usize = 32;
/// Longest URI that can match, in bytes.
pub const URI_BYTES_MAX: usize = 8192;

/// The values of a template's variables by their names. A variable that is not there is undefined.
pub type Variables = BTreeMap<String, Value>;

/// The value of one variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// One text.
    Text(String),
    /// Several texts; an empty list is undefined.
    List(Vec<String>),
    /// Names and texts, in this order; an empty one is undefined.
    Pairs(Vec<(String, String)>),
}

/// A template, compiled.
#[derive(Clone, Debug)]
pub struct UriTemplate {
    text: Box<str>,
    parts: Vec<Part>,
    program: Program,
    specificity: Specificity,
}

/// How narrow a template is: of several that match a URI, the greatest says most about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Specificity {
    /// More characters that are given.
    literal_bytes: usize,
    /// Fewer variables that can span several path segments.
    wide: Reverse<usize>,
    /// Fewer variables.
    variables: Reverse<usize>,
}

/// Why a text is no template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadTemplate {
    /// What is wrong.
    pub reason: &'static str,
    /// Byte offset in the text.
    pub offset: usize,
}

impl fmt::Display for BadTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {} of the URI template", self.reason, self.offset)
    }
}

impl std::error::Error for BadTemplate {}

#[derive(Clone, Debug)]
enum Part {
    Literal(Box<str>),
    Expression(Expression),
}

/// `{…}`: an operator and its variables.
#[derive(Clone, Debug)]
struct Expression {
    operator: Operator,
    variables: Vec<Variable>,
}

#[derive(Clone, Debug)]
struct Variable {
    name: Box<str>,
    modifier: Modifier,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Modifier {
    None,
    /// `:n`, the first n characters.
    Prefix(usize),
    /// `*`, each member on its own.
    Explode,
}

/// The operators of RFC 6570, section 2.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Simple,
    Reserved,
    Fragment,
    Label,
    Path,
    Parameter,
    Query,
    Continuation,
}

impl Operator {
    /// What an expansion starts with when any variable is defined.
    const fn first(self) -> &'static str {
        match self {
            Self::Simple | Self::Reserved => "",
            Self::Fragment => "#",
            Self::Label => ".",
            Self::Path => "/",
            Self::Parameter => ";",
            Self::Query => "?",
            Self::Continuation => "&",
        }
    }

    /// What stands between two variables.
    const fn separator(self) -> &'static str {
        match self {
            Self::Simple | Self::Reserved | Self::Fragment => ",",
            Self::Label => ".",
            Self::Path => "/",
            Self::Parameter => ";",
            Self::Query | Self::Continuation => "&",
        }
    }

    /// Whether each value is preceded by the name of its variable.
    const fn is_named(self) -> bool {
        matches!(self, Self::Parameter | Self::Query | Self::Continuation)
    }

    /// Whether reserved characters of a value stay as they are.
    const fn keeps_reserved(self) -> bool {
        matches!(self, Self::Reserved | Self::Fragment)
    }
}

impl UriTemplate {
    /// Parses and compiles a template.
    ///
    /// A little more than the RFC is accepted where servers in the field use it: hyphens in the names
    /// of variables, and in literals any character but braces and control characters.
    pub fn parse(text: &str) -> Result<Self, BadTemplate> {
        let parts = parse::parts(text)?;
        let program = Program::compile(&parts);
        let specificity = Specificity::of(&parts);
        Ok(Self { text: text.into(), parts, program, specificity })
    }

    /// The template as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The names of the variables in order of appearance.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.parts
            .iter()
            .flat_map(|part| match part {
                Part::Literal(_) => &[][..],
                Part::Expression(expression) => &expression.variables,
            })
            .map(|variable| &*variable.name)
    }

    /// Makes the URI for these values.
    pub fn expand(&self, variables: &Variables) -> String {
        expand::expand(&self.parts, variables)
    }

    /// The values that make this template into `uri`, or `None` if none do or the URI is longer than
    /// [`URI_BYTES_MAX`].
    ///
    /// Values come back decoded and as one text each. Matching is generous, since URIs are also
    /// written by hand: a plain variable takes any characters but `/`, `?` and `#`, query parameters
    /// may come in any order, expressions with an operator may be missing, and `{name*}` spans path
    /// segments as common server frameworks have it.
    pub fn matches(&self, uri: &str) -> Option<Variables> {
        self.program.run(uri)
    }

    /// How narrow the template is.
    pub fn specificity(&self) -> Specificity {
        self.specificity
    }
}

impl fmt::Display for UriTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Specificity {
    fn of(parts: &[Part]) -> Self {
        let (mut literal_bytes, mut wide, mut variables) = (0, 0, 0);
        for part in parts {
            match part {
                Part::Literal(text) => literal_bytes += text.len(),
                Part::Expression(expression) => {
                    variables += expression.variables.len();
                    wide += expression
                        .variables
                        .iter()
                        .filter(|variable| {
                            expression.operator.keeps_reserved()
                                || variable.modifier == Modifier::Explode
                        })
                        .count();
                }
            }
        }
        Self { literal_bytes, wide: Reverse(wide), variables: Reverse(variables) }
    }
}

#[cfg(test)]
mod tests;
