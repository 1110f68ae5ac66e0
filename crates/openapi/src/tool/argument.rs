//! The arguments of a tool: one flat object of parameters and members of the body.

use std::collections::HashMap;

use super::media::MediaKind;
use super::name::{digits, title};
use super::options::Change;
use super::{Argument, BodyPlan, Content, Source, Value};
use super::{body, change, example, header, presence};
use crate::document::Documents;
use crate::model::{At, Location, Operation, Parameter, SchemaAt, Style};
use crate::report::{Finding, Report, Severity};
use crate::schema::{Direction, Keywords, Library, Member, Schema};

/// Longest name of an argument that hosts take.
const NAME_LEN_MAX: usize = 64;

/// How long the part is that tells names apart that hosts do not take as they are.
const DIGITS_LEN: usize = 6;

/// An argument, and the schema that clients see of it.
pub(super) struct Planned {
    pub(super) argument: Argument,
    pub(super) schema: Schema,
    /// Its name on the wire.
    pub(super) written: String,
    /// Where it travels, as a word.
    pub(super) location: &'static str,
    /// Names are given in this order where several want the same.
    rank: u8,
    /// `x-mcp-header` as written.
    pub(super) header: Option<String>,
}

impl Planned {
    /// Whether clients see it.
    pub(super) fn is_visible(&self) -> bool {
        matches!(self.argument.value, Value::Given | Value::Default(_))
    }
}

/// All arguments of an operation, and how its body is written.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) arguments: Vec<Planned>,
    pub(super) body: Option<BodyPlan>,
    /// What the body means, where its members stand beside other arguments.
    pub(super) description: Option<String>,
    /// Fewest members of such a body.
    pub(super) members_min: usize,
}

/// Plans the arguments of an operation.
pub(super) fn plan(
    library: &mut Library<'_>,
    operation: &Operation,
    change: Option<&Change>,
    report: &mut Report,
) -> Plan {
    let mut plan = Plan::default();
    for (at, parameter) in operation.parameters.iter().enumerate() {
        let planned = of_parameter(library, parameter, Source::Parameter(at));
        plan.arguments.push(planned);
    }
    body::plan(library, operation, change, &mut plan, report);
    name(operation, &mut plan.arguments, report);
    if let Some(change) = change {
        change::apply(operation, &mut plan.arguments, change, report);
    }
    header::keep(library, operation, &mut plan.arguments, report);
    plan
}

/// A parameter, or a member of a form, as an argument.
pub(super) fn of_parameter(
    library: &mut Library<'_>,
    parameter: &Parameter,
    source: Source,
) -> Planned {
    let mut schema = match &parameter.schema {
        Some(schema) => library.schema(schema.at, &parameter.name, Direction::Request),
        // What a style writes is a text.
        None if parameter.content.is_none() => Schema::of(&[("type", "\"string\"")]),
        None => Schema::Boolean(true),
    };
    if must_be_something(parameter) {
        presence::demand(library, &mut schema);
    }
    if parameter.location == Location::Form && parameter.is_required {
        presence::demand_elements(library, &mut schema);
    }
    let (location, rank) = match parameter.location {
        Location::Path => ("path", 0),
        Location::Query | Location::QueryString => ("query", 1),
        Location::Header => ("header", 2),
        Location::Cookie => ("cookie", 3),
        Location::Form => ("body", 4),
    };
    let mut planned = Planned {
        argument: Argument {
            name: String::new(),
            source,
            value: Value::Given,
            is_required: parameter.is_required,
            content: Content::Value,
            schema: parameter.schema,
        },
        schema,
        written: parameter.name.clone(),
        location,
        rank,
        header: parameter.mcp_header.clone(),
    };
    describe(&mut planned.schema, parameter.description.as_deref());
    example::of_parameter(library, parameter.at, &mut planned.schema);
    if parameter.is_deprecated {
        annotate(&mut planned.schema, "deprecated", Member::Json("true".into()));
    }
    planned
}

/// Whether an empty value would be none at all on the wire.
fn must_be_something(parameter: &Parameter) -> bool {
    let is_text = parameter
        .content
        .as_deref()
        .is_none_or(|media_type| MediaKind::of(media_type) == MediaKind::Text);
    is_text
        && match parameter.location {
            // The name is there, whatever the value is.
            Location::Path => parameter.style != Style::Matrix,
            Location::Query | Location::Header | Location::Cookie => {
                parameter.is_required && !parameter.allow_empty
            }
            Location::QueryString | Location::Form => false,
        }
}

/// A member of the body, or all of it, as an argument.
pub(super) fn of_body(
    library: &Library<'_>,
    written: &str,
    source: Source,
    is_required: bool,
    schema_at: Option<At>,
    schema: Schema,
) -> Planned {
    let documents = library.documents();
    let header = schema_at.and_then(|at| documents.value(at).text("x-mcp-header"));
    Planned {
        argument: Argument {
            name: String::new(),
            source,
            value: Value::Given,
            is_required,
            content: Content::Value,
            schema: schema_at.map(|at| schema_of(documents, at)),
        },
        schema,
        written: written.to_owned(),
        location: "body",
        rank: 4,
        header: header.map(str::to_owned),
    }
}

fn schema_of(documents: &Documents, at: At) -> SchemaAt {
    SchemaAt { at, dialect: documents.dialect_of(at.document) }
}

/// Says what a schema means, if there is something to say.
pub(super) fn describe(schema: &mut Schema, description: Option<&str>) {
    if let Some(text) = description.map(str::trim).filter(|text| !text.is_empty()) {
        annotate(schema, "description", Member::Text(text.into()));
    }
}

pub(super) fn annotate(schema: &mut Schema, key: &'static str, member: Member) {
    let mut keywords = std::mem::replace(schema, Schema::Boolean(true)).into_keywords();
    keywords.set(key, member);
    *schema = Schema::Keywords(keywords);
}

/// Adds a sentence to a description.
pub(super) fn append(schema: &mut Schema, sentence: &str) {
    let text = match schema {
        Schema::Keywords(Keywords { members, .. }) => {
            members.iter().find_map(|(key, member)| match member {
                Member::Text(text) if *key == "description" => Some(text.to_string()),
                _ => None,
            })
        }
        _ => None,
    };
    let text = match text {
        Some(text) if text.ends_with(['.', '!', '?', ':']) => format!("{text} {sentence}"),
        Some(text) => format!("{text}. {sentence}"),
        None => sentence.to_owned(),
    };
    annotate(schema, "description", Member::Text(text.into()));
}

/// Gives every argument a name that hosts take and no other argument has.
///
/// Those go first whose names need no change, and within them the path before the query, the query
/// before headers, and so on. The others get names that depend on what they are called alone: what is
/// added later renames none of them.
fn name(operation: &Operation, arguments: &mut [Planned], report: &mut Report) {
    let wishes: Vec<String> = arguments.iter().map(|planned| clean(&planned.written)).collect();
    let mut order: Vec<usize> = (0..arguments.len()).collect();
    order.sort_by_key(|&at| (wishes[at] != arguments[at].written, arguments[at].rank, at));
    // Who has a name: what it is called on the wire.
    let mut taken: HashMap<String, String> = HashMap::new();
    for at in order {
        let planned = &mut arguments[at];
        let is_whole_body = planned.argument.source == Source::Body;
        let wanted = &wishes[at];
        let mut name = wanted.clone();
        if taken.get(&name) == Some(&planned.written) {
            let location = if is_whole_body { "request" } else { planned.location };
            name = shorten(&format!("{location}_{wanted}"));
        }
        let mut whole = format!("{} {}", planned.location, planned.written);
        while taken.contains_key(&name) {
            name = with_digits(wanted, &whole);
            whole.push(' ');
        }
        taken.insert(name.clone(), planned.written.clone());
        if name != planned.written && !is_whole_body {
            let (written, location) = (&planned.written, planned.location);
            append(&mut planned.schema, &format!("Sent as `{written}` in the {location}."));
            report.add(Finding {
                severity: Severity::Note,
                kind: "argument-renamed",
                operation: Some(title(operation)),
                message: format!("`{written}` in the {location} is the argument `{name}`"),
                place: operation.place.clone(),
            });
        }
        planned.argument.name = name;
    }
}

/// A name of which hosts take every character.
pub(super) fn clean(written: &str) -> String {
    let mut out = String::with_capacity(written.len());
    let mut is_changed = false;
    for c in written.chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-') {
            out.push(c);
        } else {
            is_changed = true;
            if !out.is_empty() && !out.ends_with('_') {
                out.push('_');
            }
        }
    }
    if is_changed {
        out.truncate(out.trim_end_matches('_').len());
    }
    if out.is_empty() {
        // Of a name in another script nothing is left.
        return with_digits("argument", written);
    }
    shorten(&out)
}

/// A name that is told apart by digits of a text.
fn with_digits(name: &str, text: &str) -> String {
    let digits = digits(text, DIGITS_LEN);
    let head = name.get(..NAME_LEN_MAX - digits.len() - 1).unwrap_or(name);
    format!("{head}_{digits}")
}

fn shorten(name: &str) -> String {
    name.get(..NAME_LEN_MAX).unwrap_or(name).to_owned()
}
