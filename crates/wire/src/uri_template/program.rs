//! A template as a small program that recognises its URIs.
//!
//! The program is a regular expression by hand: no step looks back, and each pair of instruction and
//! position is tried at most once, which bounds the time by their product.

use super::expand::encode_literal;
use super::{Expression, Modifier, Operator, Part, URI_BYTES_MAX, Value, Variable, Variables};

#[derive(Clone, Debug)]
pub(super) struct Program {
    steps: Vec<Step>,
    /// What each pair of slots captures.
    captures: Vec<Capture>,
}

#[derive(Clone, Debug)]
struct Capture {
    name: Box<str>,
    /// The capture may be only the start of the value.
    is_prefix: bool,
}

#[derive(Clone, Debug)]
enum Step {
    /// Exactly these bytes.
    Literal(Box<str>),
    /// One byte that is none of these.
    AnyBut(&'static [u8]),
    /// Goes on at the first, and if that fails at the second.
    Split(usize, usize),
    Jump(usize),
    /// Notes the position: slot 2n where variable n starts, 2n+1 where it ends.
    Mark(usize),
}

/// Ends of path segments and of paths.
const SEGMENT_ENDS: &[u8] = b"/?#";
const LIST_ENDS: &[u8] = b"/?#,";
const PATH_ENDS: &[u8] = b"?#";
const PARAMETER_ENDS: &[u8] = b"/?#;";
const QUERY_VALUE_ENDS: &[u8] = b"&#";
const QUERY_ENDS: &[u8] = b"#";

impl Program {
    pub(super) fn compile(parts: &[Part]) -> Self {
        let mut program = Self { steps: Vec::new(), captures: Vec::new() };
        for part in parts {
            match part {
                Part::Literal(text) => program.literal(text),
                Part::Expression(expression) => program.expression(expression),
            }
        }
        program
    }

    /// A literal, as written in the template or as its expansions have it.
    fn literal(&mut self, text: &str) {
        let encoded = encode_literal(text);
        if encoded == text {
            self.steps.push(Step::Literal(text.into()));
            return;
        }
        let start = self.steps.len();
        self.steps.push(Step::Split(start + 1, start + 3));
        self.steps.push(Step::Literal(encoded.into()));
        self.steps.push(Step::Jump(start + 4));
        self.steps.push(Step::Literal(text.into()));
    }

    fn expression(&mut self, expression: &Expression) {
        match expression.operator {
            Operator::Simple | Operator::Reserved => self.list(expression),
            Operator::Fragment | Operator::Label | Operator::Path => {
                self.optional(|program| {
                    program.text(expression.operator.first());
                    program.list(expression);
                });
            }
            Operator::Parameter => self.parameters(expression),
            Operator::Query => self.optional(|program| {
                program.text("?");
                program.pairs(expression);
            }),
            Operator::Continuation => self.optional(|program| {
                program.text("&");
                program.pairs(expression);
            }),
        }
    }

    /// Values in order with separators between; all but the first may be missing.
    fn list(&mut self, expression: &Expression) {
        let operator = expression.operator;
        let several = expression.variables.len() > 1;
        let mut open = Vec::new();
        for (index, variable) in expression.variables.iter().enumerate() {
            if index > 0 {
                open.push(self.steps.len());
                self.steps.push(Step::Jump(0)); // becomes the split past the rest
                self.text(operator.separator());
            }
            let explode = variable.modifier == Modifier::Explode;
            let ends = match (operator, explode, several) {
                (Operator::Reserved | Operator::Fragment, _, false) => &[],
                (Operator::Reserved | Operator::Fragment, _, true) => &b","[..],
                (Operator::Simple | Operator::Path, true, _) => PATH_ENDS,
                (Operator::Simple, false, true) => LIST_ENDS,
                _ => SEGMENT_ENDS,
            };
            self.capture(variable, ends);
        }
        let end = self.steps.len();
        for at in open {
            self.steps[at] = Step::Split(at + 1, end);
        }
    }

    /// `;name=value` for each variable, in order; each may be missing or lack its value.
    fn parameters(&mut self, expression: &Expression) {
        for variable in &expression.variables {
            self.optional(|program| {
                if variable.modifier == Modifier::Explode {
                    program.text(";");
                    return program.capture(variable, SEGMENT_ENDS);
                }
                program.text(&format!(";{}", variable.name));
                program.optional(|program| {
                    program.text("=");
                    program.optional(|program| program.capture(variable, PARAMETER_ENDS));
                });
            });
        }
    }

    /// `name=value` with `&` between, in any order.
    fn pairs(&mut self, expression: &Expression) {
        let exploded =
            expression.variables.iter().find(|variable| variable.modifier == Modifier::Explode);
        if let Some(variable) = exploded {
            return self.capture(variable, QUERY_ENDS); // any names at all
        }
        let start = self.steps.len();
        let mut ends = Vec::new();
        for (index, variable) in expression.variables.iter().enumerate() {
            let is_last = index + 1 == expression.variables.len();
            let choice = self.steps.len();
            if !is_last {
                self.steps.push(Step::Jump(0)); // becomes the split to the next variable
            }
            self.text(&format!("{}=", variable.name));
            self.optional(|program| program.capture(variable, QUERY_VALUE_ENDS));
            if !is_last {
                ends.push(self.steps.len());
                self.steps.push(Step::Jump(0)); // becomes the jump behind the last variable
                self.steps[choice] = Step::Split(choice + 1, self.steps.len());
            }
        }
        let end = self.steps.len();
        for at in ends {
            self.steps[at] = Step::Jump(end);
        }
        self.steps.push(Step::Split(end + 1, end + 3));
        self.text("&");
        self.steps.push(Step::Jump(start));
    }

    fn text(&mut self, text: &str) {
        self.steps.push(Step::Literal(text.into()));
    }

    /// What `inner` adds, or nothing.
    fn optional(&mut self, inner: impl FnOnce(&mut Self)) {
        let at = self.steps.len();
        self.steps.push(Step::Jump(0));
        inner(self);
        self.steps[at] = Step::Split(at + 1, self.steps.len());
    }

    /// One byte or more up to one of `ends`, as many as possible.
    fn capture(&mut self, variable: &Variable, ends: &'static [u8]) {
        let slot = self.captures.len() * 2;
        let is_prefix = matches!(variable.modifier, Modifier::Prefix(_));
        self.captures.push(Capture { name: variable.name.clone(), is_prefix });
        self.steps.push(Step::Mark(slot));
        let at = self.steps.len();
        self.steps.push(Step::AnyBut(ends));
        self.steps.push(Step::Split(at, at + 2));
        self.steps.push(Step::Mark(slot + 1));
    }

    /// Runs the program over a whole URI.
    pub(super) fn run(&self, uri: &str) -> Option<Variables> {
        // Most templates fail here, before anything is allocated.
        if let Some(Step::Literal(start)) = self.steps.first()
            && !uri.starts_with(&**start)
        {
            return None;
        }
        if uri.len() > URI_BYTES_MAX {
            return None;
        }
        let slots = self.search(uri.as_bytes())?;
        let mut variables = Variables::new();
        // A name that stands twice has one value; whole values come before prefixes of them.
        let captured = self.captures.iter().zip(slots.chunks(2));
        let (prefixes, whole): (Vec<_>, Vec<_>) = captured.partition(|pair| pair.0.is_prefix);
        for (Capture { name, is_prefix }, ends) in whole.into_iter().chain(prefixes) {
            let [Some(start), Some(end)] = *ends else { continue };
            let value = decode(&uri.as_bytes()[start..end]);
            let agrees = match variables.get(&**name) {
                Some(Value::Text(known)) if *is_prefix => known.starts_with(&*value),
                Some(known) => *known == Value::Text(value),
                None => variables.insert(name.to_string(), Value::Text(value)).is_none(),
            };
            if !agrees {
                return None;
            }
        }
        Some(variables)
    }

    /// Depth-first search for the preferred way through. A pair of step and position that failed
    /// once fails always, so it is never entered twice.
    fn search(&self, uri: &[u8]) -> Option<Vec<Option<usize>>> {
        enum Job {
            Enter { step: usize, at: usize },
            Restore { slot: usize, old: Option<usize> },
        }
        let width = uri.len() + 1;
        let mut entered = vec![0_u64; (self.steps.len() * width).div_ceil(64)];
        let mut slots = vec![None; self.captures.len() * 2];
        let mut jobs = vec![Job::Enter { step: 0, at: 0 }];
        while let Some(job) = jobs.pop() {
            let (mut step, mut at) = match job {
                Job::Enter { step, at } => (step, at),
                Job::Restore { slot, old } => {
                    slots[slot] = old;
                    continue;
                }
            };
            loop {
                let Some(instruction) = self.steps.get(step) else {
                    if at == uri.len() {
                        return Some(slots);
                    }
                    break;
                };
                let mark = step * width + at;
                let bit = 1 << (mark % 64);
                if entered[mark / 64] & bit != 0 {
                    break;
                }
                entered[mark / 64] |= bit;
                match instruction {
                    Step::Literal(text) => {
                        if !uri[at..].starts_with(text.as_bytes()) {
                            break;
                        }
                        at += text.len();
                        step += 1;
                    }
                    Step::AnyBut(ends) => {
                        if uri.get(at).is_none_or(|byte| ends.contains(byte)) {
                            break;
                        }
                        at += 1;
                        step += 1;
                    }
                    Step::Split(first, second) => {
                        jobs.push(Job::Enter { step: *second, at });
                        step = *first;
                    }
                    Step::Jump(to) => step = *to,
                    Step::Mark(slot) => {
                        jobs.push(Job::Restore { slot: *slot, old: slots[*slot] });
                        slots[*slot] = Some(at);
                        step += 1;
                    }
                }
            }
        }
        None
    }
}

/// Percent-decodes a captured value; what is not UTF-8 becomes U+FFFD.
fn decode(value: &[u8]) -> String {
    let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|n| u8::try_from(n).ok());
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((&first, tail)) = rest.split_first() {
        if let (b'%', [high, low, after @ ..]) = (first, tail)
            && let (Some(high), Some(low)) = (nibble(*high), nibble(*low))
        {
            out.push(high << 4 | low);
            rest = after;
        } else {
            out.push(first);
            rest = tail;
        }
    }
    String::from_utf8(out)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
