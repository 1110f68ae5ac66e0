//! The steps of a composite tool: which of them run, with what, and what their values are.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

use config::{Formula, OnError, Stage, Step};
use futures_util::future::{BoxFuture, FutureExt as _, try_join_all};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use policy::expression::{Failure, Scope};
use wire::Json;
use wire::json::Kind;
use wire::json::write_string;

use super::{Composing, inner};

/// The steps of one call, and what they have come to so far.
pub(super) struct Steps<'a> {
    composing: &'a Composing,
    /// The arguments, and the values of the steps that have ended.
    scope: Scope,
    /// The steps that failed and were let fail, with the reason.
    errors: Vec<(&'a str, String)>,
    /// How many bytes the values are long, together.
    kept: usize,
    ended: AtomicUsize,
}

/// A step that failed, and with it the tool.
#[derive(Debug)]
pub(super) struct Broken {
    /// The step, with the tool that it calls; none where the result could not be made.
    step: Option<(String, String)>,
    why: String,
}

/// What a step came to.
struct Came {
    value: Json,
    /// Why it failed, where it was let fail.
    error: Option<String>,
}

/// Most calls of one step.
const EACH_MAX: usize = 100;
/// Most failures among them that are told.
const FAILED_TOLD_MAX: usize = 10;
/// How many of them run beside each other.
const EACH_AT_ONCE: usize = 8;

impl<'a> Steps<'a> {
    pub(super) fn new(composing: &'a Composing, arguments: Json) -> Self {
        let mut scope = Scope::default();
        scope.set("args", arguments);
        scope.set("errors", Json::trusted("{}"));
        let ended = AtomicUsize::new(0);
        Self { composing, scope, errors: Vec::new(), kept: 0, ended }
    }

    /// Runs all of them; what the tool answers with.
    pub(super) async fn run(mut self) -> Result<Json, Broken> {
        let wanted = &self.composing.tool.wanted;
        let mut last = Json::trusted("null");
        for stage in &wanted.steps {
            last = match stage {
                Stage::One(step) => {
                    let came = self.step(step).await?;
                    self.keep(step, came)?
                }
                Stage::Parallel { parallel } => {
                    // The first that fails ends the others.
                    let running = parallel.iter().map(|step| self.step(step));
                    let came = try_join_all(running).await?;
                    let mut members = Vec::with_capacity(parallel.len());
                    for (step, came) in parallel.iter().zip(came) {
                        members.push((step.name.as_str(), self.keep(step, came)?));
                    }
                    object(&members)
                }
            };
        }
        match &wanted.result {
            None => Ok(last),
            Some(formula) => evaluate(formula, &self.scope)
                .map_err(|failure| Broken { step: None, why: failure.to_string() }),
        }
    }

    /// Later steps know what this one came to.
    fn keep(&mut self, step: &'a Step, came: Came) -> Result<Json, Broken> {
        let most = self.composing.snapshot.limits.response_bytes.len();
        self.kept += came.value.as_bytes().len();
        if self.kept > most {
            let why = format!(
                "the values of the steps are longer than {most} bytes together; ask for less at once, \
                 or the operator raises `limits.response_bytes`"
            );
            return Err(Broken::of(step, why));
        }
        self.scope.set(&step.name, came.value.clone());
        if let Some(error) = came.error {
            self.errors.push((&step.name, error));
            let errors: Vec<_> =
                self.errors.iter().map(|(step, error)| (*step, Json::string(error))).collect();
            self.scope.set("errors", object(&errors));
        }
        Ok(came.value)
    }

    async fn step(&self, step: &Step) -> Result<Came, Broken> {
        self.composing.begins(&step.name);
        let came = match self.attempt(step).await {
            Ok(came) => Ok(came),
            Err(why) if step.on_error == OnError::Continue => {
                Ok(Came { value: Json::trusted("null"), error: Some(why) })
            }
            Err(why) => Err(Broken::of(step, why)),
        };
        let ended = self.ended.fetch_add(1, Ordering::Relaxed) + 1;
        self.composing.ends(&step.name, ended);
        came
    }

    async fn attempt(&self, step: &Step) -> Result<Came, String> {
        let whole = |value| Came { value, error: None };
        if let Some(when) = &step.when
            && !when.holds(&self.scope).map_err(|failure| told("when", &failure))?
        {
            return match &step.otherwise {
                None => Ok(whole(Json::trusted("null"))),
                Some(formula) => evaluate(formula, &self.scope)
                    .map(whole)
                    .map_err(|failure| told("otherwise", &failure)),
            };
        }
        let Some(each) = &step.each else {
            return self.one(step, &self.scope).await.map(whole);
        };
        let list = each.evaluate(&self.scope).map_err(|failure| told("each", &failure))?;
        let Some(elements) = list.elements().filter(|_| list.kind() == Kind::Array) else {
            return Err("`each`: this is no list".to_owned());
        };
        if elements.len() > EACH_MAX {
            let count = elements.len();
            return Err(format!(
                "`each`: the list has {count} elements, and one step makes at most {EACH_MAX} calls; \
                 ask for fewer"
            ));
        }
        self.for_each(step, elements).await
    }

    /// One call for each element, some beside each other; the values in the order of the elements.
    async fn for_each(&self, step: &Step, elements: Vec<Json>) -> Result<Came, String> {
        let calls = elements.into_iter().enumerate().map(|(index, item)| {
            let mut scope = self.scope.clone();
            scope.set("item", item);
            scope.set("index", Json::trusted(index.to_string()));
            async move {
                let came = self.one(step, &scope).await;
                came.map_err(|why| format!("element {index} of `each`: {why}"))
            }
            .boxed()
        });
        let calls: Vec<BoxFuture<'_, Result<Json, String>>> = calls.collect();
        let running = stream::iter(calls).buffered(EACH_AT_ONCE);
        if step.on_error == OnError::Fail {
            let values: Vec<_> = running.try_collect().await?;
            return Ok(Came { value: list(&values), error: None });
        }
        let came: Vec<_> = running.collect().await;
        let failed: Vec<&str> =
            came.iter().filter_map(|came| Some(&**came.as_ref().err()?)).collect();
        let error = (!failed.is_empty()).then(|| {
            let told = &failed[..failed.len().min(FAILED_TOLD_MAX)];
            match failed.len() - told.len() {
                0 => told.join("\n"),
                more => format!("{}\nand {more} more", told.join("\n")),
            }
        });
        let values = came.into_iter().map(|came| came.unwrap_or_else(|_| Json::trusted("null")));
        Ok(Came { value: list(&values.collect::<Vec<_>>()), error })
    }

    /// One call.
    async fn one(&self, step: &Step, scope: &Scope) -> Result<Json, String> {
        let arguments = match &step.with {
            None => Json::trusted("{}"),
            Some(formula) => evaluate(formula, scope).map_err(|failure| told("with", &failure))?,
        };
        if arguments.kind() != Kind::Object {
            return Err("`with`: the arguments must be an object".to_owned());
        }
        inner::call(self.composing, step, &arguments).await
    }
}

/// The key of a step whose expression has no value, and why.
fn told(key: &str, failure: &Failure) -> String {
    format!("`{key}`: {failure}")
}

/// The value of a formula.
fn evaluate(formula: &Formula, scope: &Scope) -> Result<Json, Failure> {
    match formula {
        Formula::Fixed(value) => Ok(Json::trusted(value.as_str().to_owned())),
        Formula::Computed(expression) => expression.evaluate(scope),
        Formula::List(items) => {
            let values = items.iter().filter_map(|item| evaluate_part(item, scope).transpose());
            Ok(list(&values.collect::<Result<Vec<_>, _>>()?))
        }
        Formula::Object(members) => {
            let mut there = Vec::with_capacity(members.len());
            for (key, formula) in members {
                if let Some(value) = evaluate_part(formula, scope)? {
                    there.push((key.as_str(), value));
                }
            }
            Ok(object(&there))
        }
    }
}

/// The value of a part of a formula: an optional value that is not there is left out.
fn evaluate_part(formula: &Formula, scope: &Scope) -> Result<Option<Json>, Failure> {
    match formula {
        Formula::Computed(expression) => expression.evaluate_if_there(scope),
        other => evaluate(other, scope).map(Some),
    }
}

fn list(values: &[Json]) -> Json {
    let mut text = vec![b'['];
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            text.push(b',');
        }
        text.extend_from_slice(value.as_bytes());
    }
    text.push(b']');
    Json::trusted(text)
}

fn object(members: &[(&str, Json)]) -> Json {
    let mut text = vec![b'{'];
    for (at, (key, value)) in members.iter().enumerate() {
        if at > 0 {
            text.push(b',');
        }
        write_string(&mut text, key);
        text.push(b':');
        text.extend_from_slice(value.as_bytes());
    }
    text.push(b'}');
    Json::trusted(text)
}

// === impl Broken ===

impl Broken {
    /// The step that failed.
    pub(super) fn step(&self) -> Option<&str> {
        self.step.as_ref().map(|(name, _)| name.as_str())
    }

    fn of(step: &Step, why: String) -> Self {
        let tool = format!("{}/{}", step.server, step.tool);
        Self { step: Some((step.name.clone(), tool)), why }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.step {
            Some((step, tool)) => {
                write!(f, "The step `{step}` failed, which calls `{tool}`: {}", self.why)
            }
            None => {
                write!(f, "The steps have ended, and their result could not be made: {}", self.why)
            }
        }
    }
}
