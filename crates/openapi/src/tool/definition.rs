//! A tool as clients see it.

use super::argument::{Plan, Planned};
use super::name::title;
use super::options::{Change, Options, Output};
use super::output;
use crate::model::Operation;
use crate::report::{Finding, Report, Severity};
use crate::schema::{
    Bundle, Detail, Direction, Keywords, Library, Member, Schema, TooLong, scalar,
};

/// Longest input schemas in bytes. Of those longer than the first what is said about deep members is
/// shortened, of those longer than the second it is left out; readers bound whole definitions to
/// 64 KiB.
const INPUT_LENS_MAX: [usize; 3] = [16 << 10, 24 << 10, 40 << 10];

/// Longest descriptions in bytes where only the types of arguments are told: the longest that fit count.
const TYPES_DESCRIPTION_LENS: [usize; 4] = [usize::MAX, 1_000, 100, 0];

/// Longest output schema where the operator wants all of them: 64 KiB less what else there is.
const OUTPUT_LEN_MAX: usize = 20 << 10;

/// Longest title in bytes.
const TITLE_LEN_MAX: usize = 200;

/// The definition of a tool; `Err` says why it cannot be offered.
pub(super) fn definition(
    library: &mut Library<'_>,
    operation: &Operation,
    name: &str,
    plan: &Plan,
    change: Option<&Change>,
    options: &Options,
    report: &mut Report,
) -> Result<String, &'static str> {
    let input = input(library, operation, plan, options, report)?;
    let output = output_schema(library, operation, change, options, report);
    let mut out = String::with_capacity(input.len() + 512);
    out.push_str("{\"name\":");
    out.push_str(&scalar::quoted(name));
    let summary = operation.summary.as_deref().map(str::trim).filter(|text| !text.is_empty());
    if let Some(text) = change.and_then(|change| change.title.as_deref()).or(summary) {
        out.push_str(",\"title\":");
        out.push_str(&scalar::quoted(&scalar::cut(text, TITLE_LEN_MAX)));
    }
    out.push_str(",\"description\":");
    out.push_str(&scalar::quoted(&description(operation, change, options)));
    out.push_str(",\"inputSchema\":");
    out.push_str(&input);
    if let Some(output) = output {
        out.push_str(",\"outputSchema\":");
        out.push_str(&output);
    }
    out.push_str(",\"annotations\":");
    out.push_str(&annotations(operation, change));
    out.push_str(",\"_meta\":{\"io.portcullis/operation\":{\"method\":");
    out.push_str(&scalar::quoted(&operation.method));
    out.push_str(",\"path\":");
    out.push_str(&scalar::quoted(&operation.written_path));
    if let Some(id) = &operation.id {
        out.push_str(",\"operationId\":");
        out.push_str(&scalar::quoted(id));
    }
    out.push_str("}}}");
    Ok(out)
}

fn description(operation: &Operation, change: Option<&Change>, options: &Options) -> String {
    let changed = change.and_then(|change| change.description.as_deref());
    let of_document = [&operation.description, &operation.summary];
    let mut texts = of_document.into_iter().flatten().map(|text| text.trim());
    let written = texts.find(|text| !text.is_empty());
    let text = match changed.or(written) {
        Some(text) => text.to_owned(),
        None => title(operation),
    };
    let says_so = text.get(..200).unwrap_or(&text).to_ascii_lowercase().contains("deprecated");
    let is_silent = operation.is_deprecated && changed.is_none() && !says_so;
    let text = if is_silent { format!("Deprecated. {text}") } else { text };
    scalar::cut(&text, options.description_bytes_max)
}

/// The hints of a tool: what the method promises (RFC 9110 §9.2), unless the operator knows better.
/// A POST may do anything, so nothing is said about what it destroys.
fn annotations(operation: &Operation, change: Option<&Change>) -> String {
    let sent = change.and_then(|change| change.method.as_deref()).unwrap_or(&operation.method);
    let (read_only, destructive, idempotent) = match sent.to_ascii_uppercase().as_str() {
        "GET" | "HEAD" | "OPTIONS" | "TRACE" | "QUERY" => (true, Some(false), Some(true)),
        "PUT" | "DELETE" => (false, Some(true), Some(true)),
        "PATCH" => (false, Some(true), Some(false)),
        "POST" => (false, None, Some(false)),
        _ => (false, None, None),
    };
    let changed = |pick: fn(&Change) -> Option<bool>| change.and_then(pick);
    let hints = [
        ("readOnlyHint", changed(|change| change.is_read_only).or(Some(read_only))),
        ("destructiveHint", changed(|change| change.is_destructive).or(destructive)),
        ("idempotentHint", changed(|change| change.is_idempotent).or(idempotent)),
        ("openWorldHint", changed(|change| change.is_open_world).or(Some(true))),
    ];
    let hints: Vec<String> = hints
        .into_iter()
        .filter_map(|(name, hint)| hint.map(|hint| format!("\"{name}\":{hint}")))
        .collect();
    format!("{{{}}}", hints.join(","))
}

/// The schema of the arguments as text.
fn input(
    library: &mut Library<'_>,
    operation: &Operation,
    plan: &Plan,
    options: &Options,
    report: &mut Report,
) -> Result<String, &'static str> {
    let mut root = root(plan, |planned| planned.schema.clone());
    if let Schema::Keywords(keywords) = &mut root
        && let Some(text) = plan.description.as_deref().map(str::trim)
        && !text.is_empty()
        && operation.description.as_deref().map(str::trim) != Some(text)
        && operation.summary.as_deref().map(str::trim) != Some(text)
    {
        keywords.members.insert(1, ("description", Member::Text(text.into())));
    }
    let mut note = |severity, message: &str| {
        report.add(Finding {
            severity,
            kind: "input-schema-shortened",
            operation: Some(title(operation)),
            message: message.to_owned(),
            place: operation.place.clone(),
        });
    };
    let write = |library: &mut Library<'_>, root: &Schema| {
        Bundle::write(library, Direction::Request, root, &INPUT_LENS_MAX)
    };
    let text = if let Ok(text) = write(library, &root) {
        text
    } else {
        note(
            Severity::Warning,
            "the schema of the arguments is too large for clients; only their types are told",
        );
        let mut texts = TYPES_DESCRIPTION_LENS.into_iter().map(|len_max| {
            let shallow = root_of_types(library, plan, len_max);
            write(library, &shallow)
        });
        texts.find_map(Result::ok).ok_or("it has too many arguments")?
    };
    if text.lacks_heirs {
        note(
            Severity::Note,
            "the schema of the arguments is large: schemas that inherit from others by `allOf` are \
             left out, and only what they build on is told",
        );
    }
    match text.detail {
        Detail::Full => {}
        Detail::Short => note(
            Severity::Note,
            "the schema of the arguments is large: descriptions of deep members are shortened",
        ),
        Detail::Bare => note(
            Severity::Warning,
            "the schema of the arguments is large: descriptions of deep members are left out",
        ),
    }
    if text.misses_document && !options.offers_undescribed {
        return Err("its arguments are described in a document that is not there");
    }
    Ok(text.json)
}

/// The object of all arguments that clients see.
fn root(plan: &Plan, mut schema: impl FnMut(&Planned) -> Schema) -> Schema {
    let visible: Vec<&Planned> = plan.arguments.iter().filter(|one| one.is_visible()).collect();
    let required: Vec<&str> = visible
        .iter()
        .filter(|one| one.argument.is_required)
        .map(|one| one.argument.name.as_str())
        .collect();
    let mut members = vec![("type", Member::Json("\"object\"".into()))];
    if !visible.is_empty() {
        let map = visible.iter().map(|one| (one.argument.name.as_str().into(), schema(one)));
        members.push(("properties", Member::Map(map.collect())));
    }
    if !required.is_empty() {
        members.push(("required", Member::Json(scalar::list(&required).into())));
    }
    // All other arguments are required then, or the body's members would not stand here.
    if plan.members_min > 0 && visible.len() == plan.arguments.len() {
        let others = visible.iter().filter(|one| !one.argument.source.is_member()).count();
        let least = (plan.members_min + others).to_string();
        members.push(("minProperties", Member::Json(least.into())));
    }
    members.push(("additionalProperties", Member::One(Schema::Boolean(false))));
    Schema::Keywords(Keywords { reference: None, members })
}

/// The same with the types of arguments, the beginnings of their descriptions, and nothing of what is
/// in them.
fn root_of_types(library: &mut Library<'_>, plan: &Plan, description_len_max: usize) -> Schema {
    root(plan, |planned| {
        let mut keywords = Keywords::default();
        if let Schema::Keywords(old) = &planned.schema {
            let target = old.reference.as_ref().map(|it| library.target(it.at, Direction::Request));
            let target = match target.as_deref() {
                Some(Schema::Keywords(target)) => Some(target),
                _ => None,
            };
            for key in ["type", "enum", "description"] {
                let member = old.get(key).or_else(|| target.and_then(|target| target.get(key)));
                match member {
                    Some(Member::Text(_)) if description_len_max == 0 => {}
                    Some(Member::Text(text)) => {
                        let text = scalar::cut(text, description_len_max);
                        keywords.set(key, Member::Text(text.into()));
                    }
                    Some(member) => keywords.set(key, member.clone()),
                    None => {}
                }
            }
        }
        Schema::Keywords(keywords)
    })
}

/// `outputSchema` as text, where the tool carries one.
fn output_schema(
    library: &mut Library<'_>,
    operation: &Operation,
    change: Option<&Change>,
    options: &Options,
    report: &mut Report,
) -> Option<String> {
    let changed = change.and_then(|change| change.output);
    if let Some(schema) = change.and_then(|change| change.output_schema.as_ref())
        && changed != Some(Output::Off)
    {
        return Some(schema.as_str().to_owned());
    }
    let mode = changed.unwrap_or(options.output);
    let len_max = match mode {
        Output::Off => return None,
        Output::Auto => options.output_bytes_max.min(OUTPUT_LEN_MAX),
        Output::On => OUTPUT_LEN_MAX,
    };
    let schema = output::schema(library, operation);
    if schema.is_none() && !output::is_described(operation) {
        return None;
    }
    let written = schema.map(|it| Bundle::write(library, Direction::Response, &it, &[len_max]));
    let (severity, message) = match written {
        None => (
            Severity::Note,
            "a success may be without content, or anything: the tool has no `outputSchema`"
                .to_owned(),
        ),
        Some(Ok(text)) if !text.misses_document => return Some(text.json),
        Some(Ok(_)) => (
            Severity::Warning,
            "its answers are described in a document that is not there; the tool has no \
             `outputSchema`"
                .to_owned(),
        ),
        Some(Err(TooLong)) => (
            Severity::Note,
            format!("its `outputSchema` would be longer than {len_max} bytes and is left out"),
        ),
    };
    report.add(Finding {
        severity,
        kind: "output-schema-left-out",
        operation: Some(title(operation)),
        message,
        place: operation.place.clone(),
    });
    None
}
