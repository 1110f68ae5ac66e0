//! An operation as a tool: its name, its arguments, the definition that clients see, and where each
//! argument goes in the request.

use std::sync::Arc;

use bytes::Bytes;
use wire::json::Json;

use crate::document::Documents;
use crate::model::{Operation, SchemaAt};
use crate::report::{Finding, Report, Severity};
use crate::response::Paging;
use crate::schema::Library;

mod argument;
mod body;
mod change;
mod definition;
mod example;
mod header;
mod media;
mod name;
mod options;
mod output;
mod presence;
mod select;

use argument::Plan;
pub use change::WITHOUT_EFFECT;
pub use media::MediaKind;
pub(crate) use media::recognized;
pub use name::{Held, Identity};
pub use options::{ArgumentChange, Change, Glob, Options, Output, Selector};

/// The tools of operations, in their order: those that the operator selects, as the operator changes
/// them. What is left out, renamed or shortened is added to the report.
pub fn tools(
    operations: &[Operation],
    documents: &Documents,
    options: &Options,
    report: &mut Report,
) -> Vec<Tool> {
    let mut names = name::names(operations, &options.held, report);
    let given = names.clone();
    let changes = changes(operations, &mut names, options, report);
    select::check(options, operations, &names, report);
    let mut library = Library::new(documents);
    let mut tools = Vec::with_capacity(operations.len());
    for (at, operation) in operations.iter().enumerate() {
        if !select::is_selected(options, operation, &names[at]) {
            continue;
        }
        let change = changes[at];
        if let Some(change) = change {
            change::check(operation, change, report);
        }
        let plan = argument::plan(&mut library, operation, change, report);
        let name = &names[at];
        let definition =
            definition::definition(&mut library, operation, name, &plan, change, options, report);
        match definition {
            Ok(definition) => {
                let mut tool = tool(operation, name, plan, change, definition, options);
                tool.identity.name.clone_from(&given[at]);
                tools.push(tool);
            }
            Err(why) => report.add(Finding {
                severity: Severity::Skipped,
                kind: "operation-not-offered",
                operation: Some(name::title(operation)),
                message: format!("the operation is not offered: {why}"),
                place: operation.place.clone(),
            }),
        }
    }
    library.take_findings().into_iter().for_each(|finding| report.add(finding));
    tools
}

/// The change that is meant for each operation. Names are changed here, after all have theirs, so
/// that a change to one tool renames no other.
fn changes<'o>(
    operations: &[Operation],
    names: &mut [String],
    options: &'o Options,
    report: &mut Report,
) -> Vec<Option<&'o Change>> {
    let mut changes: Vec<Option<&Change>> = vec![None; operations.len()];
    let mut wishes = Vec::new();
    for change in &options.changes {
        let meant = |at: &usize| select::is_meant(change, &operations[*at], &names[*at]);
        let mut is_used = false;
        for at in (0..operations.len()).filter(meant) {
            is_used = true;
            changes[at] = Some(change);
            wishes.extend(change.name.as_deref().map(|name| (at, name)));
        }
        if !is_used {
            let message =
                format!("there is no operation `{}` that could be changed", change.operation);
            report.add(Finding {
                severity: Severity::Warning,
                kind: WITHOUT_EFFECT,
                operation: None,
                message,
                place: operations.first().map(|one| one.place.clone()).unwrap_or_default(),
            });
        }
    }
    // Names that become free may be taken by others.
    let renamed: Vec<usize> = wishes.iter().map(|(at, _)| *at).collect();
    let mut taken: std::collections::HashSet<String> =
        (0..names.len()).filter(|at| !renamed.contains(at)).map(|at| names[at].clone()).collect();
    for (at, name) in wishes {
        let problem = if !name::fits(name) {
            "hosts take at most 60 letters, digits, `_` and `-`"
        } else if !taken.insert(name.to_owned()) {
            "another tool has this name"
        } else {
            name.clone_into(&mut names[at]);
            continue;
        };
        taken.insert(names[at].clone());
        report.add(Finding {
            severity: Severity::Warning,
            kind: WITHOUT_EFFECT,
            operation: Some(name::title(&operations[at])),
            message: format!("the tool cannot be called `{name}`: {problem}"),
            place: operations[at].place.clone(),
        });
    }
    changes
}

fn tool(
    operation: &Operation,
    name: &str,
    plan: Plan,
    change: Option<&Change>,
    definition: String,
    options: &Options,
) -> Tool {
    let before = operation;
    let mut operation = operation.clone();
    let mut additions = Additions::default();
    if let Some(change) = change {
        if let Some(method) = &change.method {
            operation.method = method.to_ascii_uppercase();
        }
        if let Some(path) = &change.path {
            operation.path.clone_from(path);
        }
        additions.origin.clone_from(&change.origin);
        additions.headers.clone_from(&change.headers);
        additions.query.clone_from(&change.query);
        for tag in &change.tags {
            if !operation.tags.contains(tag) {
                operation.tags.push(tag.clone());
            }
        }
    }
    let arguments = plan.arguments.into_iter().map(|planned| planned.argument).collect();
    let paging = change.and_then(|change| change.paging.as_ref()).unwrap_or(&options.paging);
    Tool {
        name: name.to_owned(),
        identity: Identity {
            name: name.to_owned(),
            method: before.method.clone(),
            path: before.path.clone(),
        },
        operation,
        definition: definition.into(),
        arguments,
        body: plan.body,
        additions,
        paging: Arc::clone(paging),
    }
}

/// A tool: everything that a client sees of it, and everything that a request needs.
#[derive(Clone, Debug)]
pub struct Tool {
    /// The name: `[A-Za-z0-9_-]`, at most 60 characters, unique in its list.
    pub name: String,
    /// What it is without the operator's changes.
    pub identity: Identity,
    /// The operation that it calls, with changed method and path where the operator changed them.
    pub operation: Operation,
    /// The tool as clients see it: a JSON object of MCP 2026-07-28.
    pub definition: Bytes,
    /// All arguments, also those that clients do not see; parameters first, in order, then the body.
    pub arguments: Vec<Argument>,
    /// How the body is written, where the operation has one.
    pub body: Option<BodyPlan>,
    /// What the operator adds to each request.
    pub additions: Additions,
    /// How the next page of its results is found.
    pub paging: Arc<Paging>,
}

/// One argument, and where it goes.
#[derive(Clone, Debug)]
pub struct Argument {
    /// The name by which clients give it.
    pub name: String,
    /// Where its value goes.
    pub source: Source,
    /// Where its value comes from.
    pub value: Value,
    /// Whether clients must give it.
    pub is_required: bool,
    /// What its value is turned into before it is sent.
    pub content: Content,
    /// The schema of what it is made of, where it has one.
    pub schema: Option<SchemaAt>,
}

/// Where an argument's value goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `operation.parameters[_]`.
    Parameter(usize),
    /// The body's `form[_]` (2.0 `formData`).
    Form(usize),
    /// The member of this name of the body, which is an object.
    Member(String),
    /// The whole body.
    Body,
}

impl Source {
    /// Whether it is a part of the body.
    fn is_member(&self) -> bool {
        matches!(self, Self::Member(_) | Self::Form(_))
    }
}

/// Where an argument's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// From the caller.
    Given,
    /// From the caller, else this.
    Default(Json),
    /// Always this; clients neither see the argument nor can give it.
    Fixed(Json),
    /// Nowhere: the operator hid the argument, and it is never sent.
    Absent,
}

/// What an argument's value is turned into before it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing else: it is sent as the value that it is.
    Value,
    /// A file: base64 or a `data:` URI becomes its bytes.
    File,
    /// A list of files.
    Files,
}

/// How the body is written.
#[derive(Clone, Debug)]
pub struct BodyPlan {
    /// Which of `operation.body.media`.
    pub media: usize,
    /// The rules by which it is written.
    pub kind: MediaKind,
    /// Whether the arguments are members of the body ([`Source::Member`], [`Source::Form`]); else one
    /// argument is all of it ([`Source::Body`]).
    pub is_flat: bool,
}

/// What the operator adds to each request. None of it is an argument, and clients see none of it.
#[derive(Clone, Debug, Default)]
pub struct Additions {
    /// Scheme, host and port instead of the server's, as `https://host:port`.
    pub origin: Option<String>,
    /// Headers: name and value.
    pub headers: Vec<(String, String)>,
    /// Pairs of the query, not encoded yet.
    pub query: Vec<(String, String)>,
}

#[cfg(test)]
mod tests;
