//! The body of a request as arguments: its members beside the parameters, or all of it as one.

use super::argument::{Plan, Planned, append, describe, of_body, of_parameter};
use super::example;
use super::media::MediaKind;
use super::name::title;
use super::options::Change;
use super::{BodyPlan, Content, Source, presence};
use crate::model::{At, Body, Dialect, Encoding, Media, Operation, Positions};
use crate::report::{Finding, Report, Severity};
use crate::schema::{
    BASE64_HINT, BASE64_PATTERN, Direction, Flat, FlatMember, Keywords, Library, Member, Schema,
    flat,
};
use crate::tree::Value;

/// What a file is told to be.
const FILE_HINT: &str = "File: base64 or a data: URI.";

/// What base64 and `data:` URIs begin with: `contentEncoding` is checked by no validator, and an
/// empty text is mostly no file (`data:,` is an empty one).
const FILE_PATTERN: &str = r#""^[A-Za-z0-9+/_-]{2}""#;

/// Adds the arguments of the body.
pub(super) fn plan(
    library: &mut Library<'_>,
    operation: &Operation,
    change: Option<&Change>,
    plan: &mut Plan,
    report: &mut Report,
) {
    let Some(body) = &operation.body else { return };
    let wanted = change.and_then(|change| change.media_type.as_deref());
    let Some(at) = MediaKind::choose(&body.media, wanted) else { return };
    let media = &body.media[at];
    let mut of_media =
        BodyPlan { media: at, kind: MediaKind::of(&media.media_type), is_flat: true };
    if !body.form.is_empty() {
        for (at, parameter) in body.form.iter().enumerate() {
            let mut planned = of_parameter(library, parameter, Source::Form(at));
            if let Some(schema) = parameter.schema {
                make_file(library, schema.at, None, &mut planned);
            }
            plan.arguments.push(planned);
        }
        plan.body = Some(of_media);
        return;
    }
    let members = flat_members(library, operation, body, media, of_media.kind, plan, report);
    if let Some(flat) = members {
        plan.description = body.description.clone().or(flat.description);
        plan.members_min = flat.members_min;
        let example = example::of_body(library, body, media);
        for member in &flat.members {
            let mut planned = of_member(library, media, of_media.kind, member);
            if planned.argument.content == Content::Value {
                example::of_member(library, example, &member.name, &mut planned.schema);
            }
            plan.arguments.push(planned);
        }
    } else {
        of_media.is_flat = false;
        if of_media.kind == MediaKind::Binary {
            check_bytes(library, operation, media, report);
        }
        plan.arguments.push(whole(library, body, media, of_media.kind));
    }
    plan.body = Some(of_media);
}

/// The members of a body that can stand beside the parameters.
fn flat_members(
    library: &Library<'_>,
    operation: &Operation,
    body: &Body,
    media: &Media,
    kind: MediaKind,
    plan: &Plan,
    report: &mut Report,
) -> Option<Flat> {
    let is_structured =
        matches!(kind, MediaKind::Json | MediaKind::Form | MediaKind::Multipart | MediaKind::Xml);
    let schema = media.schema.filter(|_| is_structured && !media.is_items)?;
    let mut flat = flat(library, schema.at, Direction::Request)?;
    let required = flat.members.iter().filter(|member| member.is_required).count();
    if flat.members_min <= required {
        flat.members_min = 0;
    }
    // Among other arguments that may be missing nobody can count the body's members.
    let counts = flat.members_min > 0;
    if counts && (!body.is_required || plan.arguments.iter().any(|one| !one.argument.is_required)) {
        return None;
    }
    if required > 0 && !body.is_required {
        // An operation that writes is not meant to be called without its body; most documents only
        // forget to say so. Elsewhere the body stays apart, so that it can be left out.
        if !matches!(operation.method.as_str(), "POST" | "PUT" | "PATCH") {
            return None;
        }
        report.add(Finding {
            severity: Severity::Note,
            kind: "body-taken-as-required",
            operation: Some(title(operation)),
            message: "the body is optional, and has members that are required: they are always \
                      demanded"
                .to_owned(),
            place: library.documents().place(body.at),
        });
    }
    Some(flat)
}

fn of_member(
    library: &mut Library<'_>,
    media: &Media,
    kind: MediaKind,
    member: &FlatMember,
) -> Planned {
    let name = &member.name;
    let mut schemas: Vec<Schema> = Vec::with_capacity(member.schemas.len());
    for &at in &member.schemas {
        let schema = library.schema(at, name, Direction::Request);
        if !schemas.contains(&schema) {
            schemas.push(schema);
        }
    }
    let mut schema = match schemas.len() {
        0 => Schema::Boolean(true),
        1 => schemas.swap_remove(0),
        _ => Schema::Keywords(Keywords {
            reference: None,
            members: vec![("allOf", Member::Many(schemas))],
        }),
    };
    let is_form = matches!(kind, MediaKind::Form | MediaKind::Multipart);
    if is_form && member.is_required {
        // A list without elements is no part of a form.
        presence::demand_elements(library, &mut schema);
    }
    let at = member.schemas.first().copied();
    let source = Source::Member(name.clone());
    let mut planned = of_body(library, name, source, member.is_required, at, schema);
    if let Some(at) = at.filter(|_| kind == MediaKind::Multipart) {
        let encoding = media.encoding.iter().find(|(of, _)| of == name);
        make_file(library, at, encoding.map(|(_, encoding)| encoding), &mut planned);
    }
    planned
}

/// Tells of a body that has members in a media type in which nobody here can write them.
fn check_bytes(library: &Library<'_>, operation: &Operation, media: &Media, report: &mut Report) {
    let Some(at) = media.schema.and_then(|schema| library.resolved(schema.at)) else { return };
    let value = library.documents().value(at);
    let has_parts = ["properties", "items"].iter().any(|key| value.get(key).is_some());
    if has_parts || has_type(value, "object") || has_type(value, "array") {
        report.add(Finding {
            severity: Severity::Warning,
            kind: "media-type-not-written",
            operation: Some(title(operation)),
            message: format!(
                "members cannot be written as `{}`: the tool takes the encoded bytes as a file",
                media.media_type
            ),
            place: library.documents().place(at),
        });
    }
}

/// All of the body as one argument.
fn whole(library: &mut Library<'_>, body: &Body, media: &Media, kind: MediaKind) -> Planned {
    let at = media.schema.map(|schema| schema.at);
    let mut schema = match at {
        Some(at) => library.schema(at, "body", Direction::Request),
        None => Schema::Boolean(true),
    };
    match kind {
        MediaKind::Binary => {
            schema = file(&media.media_type, &schema);
        }
        MediaKind::Text if schema == Schema::Boolean(true) => {
            schema = Schema::of(&[("type", "\"string\"")]);
        }
        MediaKind::Text => make_plain(library, at, &mut schema),
        MediaKind::Multipart if media.is_items => {
            make_part_file(&mut schema, media.positions.rest.as_deref());
            schema = list_of(schema);
        }
        MediaKind::Multipart if schema != Schema::Boolean(true) => {
            make_part_files(&mut schema, &media.positions);
        }
        MediaKind::Form | MediaKind::Multipart if schema == Schema::Boolean(true) => {
            schema = Schema::of(&[("type", "\"object\"")]);
        }
        MediaKind::Lines if !is_list(library, at) || media.is_items => schema = list_of(schema),
        _ if media.is_items => schema = list_of(schema),
        _ => {}
    }
    match kind {
        MediaKind::Text | MediaKind::Form | MediaKind::Multipart if body.is_required => {
            presence::demand(library, &mut schema);
        }
        MediaKind::Json if body.is_required => presence::demand_json(&mut schema),
        _ => {}
    }
    describe(&mut schema, body.description.as_deref());
    if kind == MediaKind::Binary {
        append(&mut schema, FILE_HINT);
    }
    let mut planned = of_body(library, "body", Source::Body, body.is_required, at, schema);
    if kind == MediaKind::Binary {
        planned.argument.content = Content::File;
    } else if let Some(example) = example::of_body(library, body, media) {
        example::tell(library, &mut planned.schema, example);
    }
    planned
}

/// A plain text is sent as it is, so that `format: byte` and `binary` mean any text there, and base64 only
/// where the document says `contentEncoding`.
fn make_plain(library: &mut Library<'_>, at: Option<At>, schema: &mut Schema) {
    let written = at.and_then(|at| library.resolved(at));
    let says_so = written
        .is_some_and(|written| library.documents().value(written).get("contentEncoding").is_some());
    let Schema::Keywords(keywords) = schema else { return };
    if says_so {
        return;
    }
    if let Some(reference) = &keywords.reference {
        let target = library.target(reference.at, Direction::Request);
        match &*target {
            Schema::Keywords(target) if target.get("contentEncoding").is_some() => {
                *keywords = target.clone();
            }
            _ => return,
        }
    }
    if keywords.json("pattern") == Some(BASE64_PATTERN) {
        keywords.remove("pattern");
    }
    keywords.remove("contentEncoding");
    if let Some(Member::Text(text)) = keywords.get("description") {
        let text = text.trim_end_matches(BASE64_HINT).to_owned();
        if text == BASE64_HINT.trim_start() {
            keywords.remove("description");
        } else {
            keywords.set("description", Member::Text(text.into()));
        }
    }
}

/// Makes files of the parts without names that are some (3.2, Encoding By Position).
fn make_part_files(schema: &mut Schema, positions: &Positions) {
    let Schema::Keywords(keywords) = schema else { return };
    for (key, member) in &mut keywords.members {
        match member {
            Member::Many(parts) if *key == "prefixItems" => {
                for (at, part) in parts.iter_mut().enumerate() {
                    make_part_file(part, positions.at(at));
                }
            }
            Member::One(part) if *key == "items" => make_part_file(part, positions.rest.as_deref()),
            _ => {}
        }
    }
}

fn make_part_file(part: &mut Schema, encoding: Option<&Encoding>) {
    let content_type = encoding.and_then(|encoding| encoding.content_type.as_deref());
    let first = content_type.unwrap_or_default().split(',').next().unwrap_or_default().trim();
    if first.is_empty() || MediaKind::of(first) != MediaKind::Binary {
        return;
    }
    let is_open = match &*part {
        Schema::Boolean(true) => true,
        Schema::Keywords(keywords) => {
            let says = ["enum", "const", "properties", "items", "allOf", "anyOf", "oneOf"];
            keywords.reference.is_none()
                && keywords.json("type").is_none_or(|name| name == "\"string\"")
                && says.iter().all(|key| keywords.get(key).is_none())
        }
        _ => false,
    };
    if is_open {
        *part = file(first, part);
        append(part, FILE_HINT);
    }
}

fn list_of(schema: Schema) -> Schema {
    let members = vec![("type", Member::Json("\"array\"".into())), ("items", Member::One(schema))];
    Schema::Keywords(Keywords { reference: None, members })
}

fn is_list(library: &Library<'_>, at: Option<At>) -> bool {
    let target = at.and_then(|at| library.resolved(at));
    target.is_some_and(|at| library.documents().value(at).text("type") == Some("array"))
}

/// A text that stands for the bytes of a file, described as `like`.
fn file(media_type: &str, like: &Schema) -> Schema {
    let mut members = vec![
        ("type", Member::Json("\"string\"".into())),
        ("contentEncoding", Member::Json("\"base64\"".into())),
        ("pattern", Member::Json(FILE_PATTERN.into())),
    ];
    if !media_type.contains('*') && !media_type.is_empty() {
        let text = crate::schema::scalar::quoted(media_type);
        members.push(("contentMediaType", Member::Json(text.into())));
    }
    if let Schema::Keywords(keywords) = like
        && let Some(Member::Text(text)) = keywords.get("description")
        && let text = text.trim_end_matches(BASE64_HINT)
        && text != BASE64_HINT.trim_start()
    {
        members.push(("description", Member::Text(text.into())));
    }
    Schema::Keywords(Keywords { reference: None, members })
}

/// Makes an argument a file, or a list of files, where the part of a form is one.
fn make_file(
    library: &mut Library<'_>,
    at: At,
    encoding: Option<&Encoding>,
    planned: &mut Planned,
) {
    let content_type = encoding.and_then(|encoding| encoding.content_type.as_deref());
    let first = content_type.unwrap_or_default().split(',').next().unwrap_or_default().trim();
    let Some(resolved) = library.resolved(at) else { return };
    let value = library.documents().value(resolved);
    if is_file(library, resolved, first, 0) {
        planned.argument.content = Content::File;
        planned.schema = file(first, &planned.schema);
        append(&mut planned.schema, FILE_HINT);
        return;
    }
    let items = value.get("items").map(|items| At { node: items.id(), ..resolved });
    let items = items.filter(|_| has_type(value, "array")).and_then(|at| library.resolved(at));
    if items.is_some_and(|items| is_file(library, items, first, 0)) {
        planned.argument.content = Content::Files;
        let mut list = list_of(file(first, &Schema::Boolean(true))).into_keywords();
        if let Schema::Keywords(old) = &planned.schema {
            for key in ["minItems", "maxItems", "description", "deprecated"] {
                if let Some(member) = old.get(key) {
                    list.set(key, member.clone());
                }
            }
        }
        planned.schema = Schema::Keywords(list);
        append(&mut planned.schema, "Files: base64 or data: URIs.");
    }
}

fn has_type(value: Value<'_>, name: &str) -> bool {
    let types = value.get("type");
    types.is_some_and(|types| {
        types.as_str() == Some(name) || types.elements().any(|one| one.as_str() == Some(name))
    })
}

/// Whether a part of a form is a file: `format: binary`, `type: file`, and since 3.1 also what has
/// another content type than text or JSON, or no type at all.
fn is_file(library: &Library<'_>, at: At, content_type: &str, depth: u8) -> bool {
    let documents = library.documents();
    let value = documents.value(at);
    let alternatives = ["anyOf", "oneOf", "allOf"].into_iter().find_map(|key| value.get(key));
    if let Some(alternatives) = alternatives.filter(|_| depth < 3) {
        let mut branches = alternatives
            .elements()
            .filter_map(|branch| library.resolved(At { node: branch.id(), ..at }))
            .filter(|branch| documents.value(*branch).text("type") != Some("null"))
            .peekable();
        return branches.peek().is_some()
            && branches.all(|branch| is_file(library, branch, content_type, depth + 1));
    }
    if has_type(value, "file") || value.text("format") == Some("binary") {
        return true;
    }
    if !matches!(documents.dialect_of(at.document), Dialect::OpenApi31 | Dialect::OpenApi32) {
        return false;
    }
    let is_bytes = |media_type: &str| {
        let kind = MediaKind::of(media_type);
        !media_type.is_empty() && matches!(kind, MediaKind::Binary)
    };
    let said = value.text("contentMediaType").unwrap_or_default();
    // Encodings that change nothing (RFC 2045, section 6.2) encode nothing.
    let is_identity =
        |it: &str| ["7bit", "8bit", "binary"].iter().any(|one| it.eq_ignore_ascii_case(one));
    if value.get("contentEncoding").is_some_and(|it| !it.as_str().is_some_and(is_identity)) {
        return false;
    }
    if value.get("type").is_some() {
        return has_type(value, "string") && (is_bytes(said) || is_bytes(content_type));
    }
    let is_open = ["enum", "const", "properties", "items", "$ref", "not"];
    is_open.iter().all(|key| value.get(key).is_none())
        && (content_type.is_empty() || is_bytes(content_type))
}
