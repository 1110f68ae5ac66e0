//! Scripts for clients, each step with what must come of it.

use serde_json::{Value, json};

/// One step of a script and what its entry in the report must hold.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    step: Value,
    expectations: Vec<Expectation>,
}

#[derive(Clone, Debug)]
enum Expectation {
    /// The value at the pointer.
    Is(String, Value),
    /// The text at the pointer contains this.
    Says(String, String),
    /// An array at the pointer has an object with each of these as its member.
    Has { pointer: String, member: &'static str, wanted: Vec<String> },
    /// The step fails; the message contains this.
    Fails(String),
}

/// A step as `tests/README.md` describes them.
pub(crate) fn step(step: Value) -> Step {
    Step { step, expectations: Vec::new() }
}

/// A tool call.
pub(crate) fn call(name: &str, arguments: impl Into<Value>) -> Step {
    let arguments = arguments.into();
    step(json!({ "op": "tools/call", "name": name, "arguments": arguments }))
}

/// Calls `commits` until it counts what it must, and never more.
pub(crate) fn commits(tool: &str, counted: &Value) -> Step {
    step(json!({ "op": "until", "name": tool, "arguments": {}, "includes": counted }))
}

impl Step {
    fn expecting(mut self, expectation: Expectation) -> Self {
        self.expectations.push(expectation);
        self
    }

    /// Expects a value at a JSON pointer into the result.
    pub(crate) fn gives(self, pointer: &str, value: impl Into<Value>) -> Self {
        self.expecting(Expectation::Is(format!("/result{pointer}"), value.into()))
    }

    /// Expects the text of the first content block.
    pub(crate) fn says(self, text: &str) -> Self {
        self.gives("/content/0/text", text)
    }

    /// Expects the first content block to contain a text.
    pub(crate) fn mentions(self, text: &str) -> Self {
        self.expecting(Expectation::Says("/result/content/0/text".into(), text.into()))
    }

    /// Expects a value at a JSON pointer into the entry.
    pub(crate) fn reports(self, pointer: &str, value: impl Into<Value>) -> Self {
        self.expecting(Expectation::Is(pointer.into(), value.into()))
    }

    /// Expects these among the names (or other members) of a list.
    pub(crate) fn lists(self, list: &str, member: &'static str, wanted: &[&str]) -> Self {
        let wanted = wanted.iter().map(|&each| each.to_owned()).collect();
        self.expecting(Expectation::Has { pointer: format!("/result/{list}"), member, wanted })
    }

    /// Expects an error whose message contains a text.
    pub(crate) fn fails(self, message: &str) -> Self {
        self.expecting(Expectation::Fails(message.into()))
    }

    fn check(&self, entry: &Value) -> Result<(), String> {
        if entry["error"].is_object() && !self.expects_failure() {
            return Err("failed".into());
        }
        self.expectations.iter().try_for_each(|expectation| expectation.check(entry))
    }

    fn expects_failure(&self) -> bool {
        self.expectations.iter().any(|expectation| matches!(expectation, Expectation::Fails(_)))
    }
}

impl Expectation {
    fn check(&self, entry: &Value) -> Result<(), String> {
        let at = |pointer: &str| entry.pointer(pointer).unwrap_or(&Value::Null);
        match self {
            Self::Is(pointer, wanted) if !is_same(at(pointer), wanted) => {
                Err(format!("wanted {wanted} at {pointer}"))
            }
            Self::Says(pointer, wanted) if !at(pointer).as_str().unwrap_or("").contains(wanted) => {
                Err(format!("wanted {wanted:?} in {pointer}"))
            }
            Self::Has { pointer, member, wanted } => {
                let listed = at(pointer).as_array().map_or(&[][..], Vec::as_slice);
                let has = |name: &String| listed.iter().any(|each| each[*member] == name.as_str());
                match wanted.iter().find(|name| !has(name)) {
                    Some(missing) => Err(format!("no {member} {missing} in {pointer}")),
                    None => Ok(()),
                }
            }
            Self::Fails(wanted)
                if !entry["error"]["message"].as_str().unwrap_or("").contains(wanted) =>
            {
                Err(format!("wanted an error with {wanted:?}"))
            }
            _ => Ok(()),
        }
    }
}

/// Whether two values mean the same; Python writes whole numbers as fractions.
pub(crate) fn is_same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(a, b)| is_same(a, b))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, a)| right.get(key).is_some_and(|b| is_same(a, b)))
        }
        _ => left == right,
    }
}

/// The script for a client, with the answers that it gives when it is asked.
pub(crate) fn script(steps: &[Step], answers: &Value) -> Value {
    let steps: Vec<_> = steps.iter().map(|step| &step.step).collect();
    json!({ "options": { "answers": answers }, "steps": steps })
}

/// Compares a report with what the steps expect; `who` says whose it is.
pub(crate) fn check(who: &str, steps: &[Step], report: &Value) {
    for (at, step) in steps.iter().enumerate() {
        let entry = &report["steps"][at];
        if let Err(problem) = step.check(entry) {
            panic!("{who}, step {}: {problem}\nstep:  {}\nentry: {entry}", at + 1, step.step);
        }
    }
}
