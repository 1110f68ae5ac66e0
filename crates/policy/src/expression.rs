//! Expressions over JSON values: the Common Expression Language (CEL), within bounds.
//!
//! An expression is compiled when the configuration is read, and everything that can be known then
//! is said then: what does not parse, and names and functions that nobody has. An expression that
//! only names a part of a value, such as `place[0].lat`, gives that part as it was written, so that
//! large numbers and the order of members survive; any other is computed.
//!
//! CEL always ends, and an expression can still be made to run for hours. So its text, how deep its
//! loops nest, and how much it would have to read are bounded before it runs.

mod convert;
mod path;
mod survey;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock, mpsc};

use cel::{Context, Env, Program, Value};
use wire::Json;

use path::Path;
use survey::{Member, Reading, Survey};

/// Longest text of an expression in bytes.
pub const TEXT_BYTES_MAX: usize = 4 << 10;
/// The stack of the parser in bytes: more than a text of this length can use up. It goes deeper for
/// each operator of a row, forty kilobytes at a time without optimization, and more for each bracket.
/// Only what is used is ever taken.
const PARSER_STACK_BYTES: usize = 256 << 20;
/// How often the innermost loop of an expression may run: a tenth of a second of one core.
const TURNS_MAX: u64 = 250_000;
/// How many bytes of its values an expression may read, each as often as its loops do.
const BYTES_READ_MAX: u64 = 256 << 20;
/// Longest value that comes of an expression, in bytes of JSON.
const RESULT_BYTES_MAX: usize = 16 << 20;

/// A compiled expression. Cheap to clone; two are equal where their texts are.
#[derive(Clone)]
pub struct Expression(Arc<Compiled>);

struct Compiled {
    text: String,
    program: Program,
    /// Set where it only names a part of a value.
    path: Option<Path>,
    readings: Vec<Reading>,
    members: Vec<Member>,
    /// How deep its loops nest.
    loops: u32,
}

/// What is wrong with the text of an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Mistake {
    /// What is wrong, as one lower-case sentence without a full stop.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// The name that nothing has, where that is the mistake.
    pub unknown: Option<String>,
    /// Where, in bytes of the text.
    pub range: Range<usize>,
}

/// Why an expression has no value: what it found is not what it needs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Failure(String);

/// The values that expressions may name. Cheap to clone; each value is converted once for all
/// expressions that compute with it, and not at all where none does.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    values: Vec<(String, Arc<Named>)>,
}

/// One of them.
#[derive(Debug)]
struct Named {
    json: Json,
    converted: OnceLock<Result<Converted, Failure>>,
}

/// A value as CEL has it.
#[derive(Clone, Debug)]
struct Converted {
    value: Value,
    /// How many elements the longest list or object in it has.
    longest: u64,
}

// === impl Scope ===

impl Scope {
    /// Gives a name its value, or another one.
    pub fn set(&mut self, name: &str, value: Json) {
        let value = Arc::new(Named { json: value, converted: OnceLock::new() });
        match self.values.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => self.values.push((name.to_owned(), value)),
        }
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.find(name).map(|named| &named.json)
    }

    fn find(&self, name: &str) -> Option<&Named> {
        self.values.iter().find(|(known, _)| known == name).map(|(_, named)| &**named)
    }

    fn converted(&self, name: &str) -> Result<&Converted, Failure> {
        let named = self.find(name).ok_or_else(|| Failure(format!("`{name}` has no value")))?;
        let convert = || {
            let value = convert::from_json(&named.json)?;
            Ok(Converted { longest: convert::longest(&value), value })
        };
        named.converted.get_or_init(convert).as_ref().map_err(Clone::clone)
    }
}

// === impl Expression ===

impl Expression {
    /// Compiles a text that may name `known`.
    ///
    /// # Errors
    /// The [`Mistake`]s in it, in the order of the text; at least one.
    pub fn compile(text: &str, known: &[&str]) -> Result<Self, Vec<Mistake>> {
        let whole = |message: String| {
            vec![Mistake { message, hint: None, unknown: None, range: 0..text.len() }]
        };
        if text.trim().is_empty() {
            return Err(whole("an expression is not empty".to_owned()));
        }
        if text.len() > TEXT_BYTES_MAX {
            return Err(whole(format!("an expression is at most {TEXT_BYTES_MAX} bytes long")));
        }
        let own = text.to_owned();
        let names: Vec<String> = known.iter().map(ToString::to_string).collect();
        let (answer, answered) = mpsc::sync_channel(1);
        let parse = move || {
            let known: Vec<&str> = names.iter().map(String::as_str).collect();
            // Whoever asked waits for it.
            let _ = answer.send(Self::parse(&own, &known));
        };
        let unread = || whole("it cannot be read".to_owned());
        parser().ok_or_else(unread)?.send(Box::new(parse)).map_err(|_| unread())?;
        answered.recv().unwrap_or_else(|_| Err(unread()))
    }

    fn parse(text: &str, known: &[&str]) -> Result<Self, Vec<Mistake>> {
        let program = environment().compile(text).map_err(|errors| {
            let mut mistakes: Vec<_> =
                errors.errors.iter().map(|error| survey::of_syntax(text, error)).collect();
            mistakes.sort_by_key(|mistake| mistake.range.start);
            mistakes.dedup();
            mistakes
        })?;
        let survey = Survey::of(&program, text, known);
        if !survey.mistakes.is_empty() {
            return Err(survey.mistakes);
        }
        let path = Path::of(program.expression());
        let Survey { readings, members, loops, .. } = survey;
        Ok(Self(Arc::new(Compiled {
            text: text.to_owned(),
            program,
            path,
            readings,
            members,
            loops,
        })))
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// The names that it reads, each once.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let mut names: Vec<_> =
            self.0.readings.iter().filter_map(|reading| reading.name.as_deref()).collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter()
    }

    /// The members of the value called `name` that it names, `x` in `name.x`, with their places in the
    /// text.
    pub fn members_of(&self, name: &str) -> impl Iterator<Item = (&str, Range<usize>)> {
        let members = self.0.members.iter().filter(move |member| member.of == name);
        members.map(|member| (member.name.as_str(), member.range.clone()))
    }

    /// Its value; `null` where it is an optional value that is not there.
    ///
    /// # Errors
    /// The [`Failure`] where the values have not what it needs, or are too large for it.
    pub fn evaluate(&self, scope: &Scope) -> Result<Json, Failure> {
        Ok(self.evaluate_if_there(scope)?.unwrap_or_else(|| Json::trusted("null")))
    }

    /// Its value; `None` where it is an optional value that is not there, as of `args.?x` without `x`.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate).
    pub fn evaluate_if_there(&self, scope: &Scope) -> Result<Option<Json>, Failure> {
        if let Some(path) = &self.0.path {
            return path.follow(scope);
        }
        let value = self.compute(scope)?;
        if convert::is_absent(&value) {
            return Ok(None);
        }
        convert::to_json(&value, RESULT_BYTES_MAX).map(Some)
    }

    /// Whether it holds: its value must be `true` or `false`.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate), and where it is neither.
    pub fn holds(&self, scope: &Scope) -> Result<bool, Failure> {
        match self.compute(scope)? {
            Value::Bool(holds) => Ok(holds),
            other => Err(Failure(format!(
                "a condition is `true` or `false`, and this is {}",
                convert::kind(&other)
            ))),
        }
    }

    fn compute(&self, scope: &Scope) -> Result<Value, Failure> {
        let compiled = &*self.0;
        let mut context = Context::with_env(Arc::clone(environment()));
        let (mut longest, mut largest) = (1, 1);
        for name in self.names() {
            let converted = scope.converted(name)?;
            longest = longest.max(converted.longest);
            largest = largest.max(scope.get(name).map_or(0, |json| json.as_bytes().len() as u64));
            context.add_variable_from_value(name, converted.value.clone());
        }
        self.afford(scope, longest, largest)?;
        compiled.program.execute(&context).map_err(|error| Failure(convert::told(&error)))
    }

    /// Refuses values that are too large for what it does with them.
    fn afford(&self, scope: &Scope, longest: u64, largest: u64) -> Result<(), Failure> {
        let times = |loops: u32| longest.saturating_pow(loops);
        let bytes_of = |reading: &Reading| match &reading.name {
            // What a loop goes through is read once by the whole loop.
            None => largest.saturating_mul(times(reading.loops.saturating_sub(1))),
            Some(name) => {
                let bytes = scope.get(name).map_or(0, |json| json.as_bytes().len() as u64);
                bytes.saturating_mul(times(reading.loops))
            }
        };
        let read = self.0.readings.iter().map(bytes_of).fold(0, u64::saturating_add);
        if times(self.0.loops) > TURNS_MAX || read > BYTES_READ_MAX {
            return Err(Failure(format!(
                "the values are too large for this expression: a list in them has {longest} \
                 elements, and all of them would be gone through {} times",
                times(self.0.loops.saturating_sub(1))
            )));
        }
        Ok(())
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text
    }
}

impl Eq for Expression {}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.0.text).finish()
    }
}

/// Something that the parser's thread does.
type Task = Box<dyn FnOnce() + Send>;

/// The thread on which texts are parsed, since that takes a large stack. It is one for all, because
/// the parser builds tables for each thread that it runs on. There is none where no thread can be
/// started.
fn parser() -> Option<&'static mpsc::Sender<Task>> {
    static PARSER: OnceLock<Option<mpsc::Sender<Task>>> = OnceLock::new();
    let start = || {
        let (tasks, waiting) = mpsc::channel::<Task>();
        let parser = std::thread::Builder::new().name("expressions".to_owned());
        let run = move || {
            for task in waiting {
                // Whoever waits for it hears that there is no answer.
                let _ = std::panic::catch_unwind(AssertUnwindSafe(task));
            }
        };
        parser.stack_size(PARSER_STACK_BYTES).spawn(run).ok().map(|_| tasks)
    };
    PARSER.get_or_init(start).as_ref()
}

/// The functions and macros that all expressions share; building them takes longer than any use.
fn environment() -> &'static Arc<Env> {
    static ENVIRONMENT: OnceLock<Arc<Env>> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| Arc::new(Env::stdlib()))
}
