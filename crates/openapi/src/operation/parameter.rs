//! Parameters of every version, as the document declares them.

use std::collections::HashSet;

use super::body;
use super::cx::{Cx, Skip};
use super::site::Site;
use crate::model::{Dialect, Location, Parameter, SchemaAt, Style};
use crate::tool::MediaKind;

/// Most parameters of an operation.
const PARAMETERS_MAX: usize = 2_000;

/// What `parameters` of an operation and of its path declare.
#[derive(Default)]
pub(super) struct Declared<'d> {
    /// All but those of the body.
    pub(super) parameters: Vec<Parameter>,
    /// Members of a form.
    pub(super) form: Vec<Parameter>,
    /// The parameter that is the body (2.0 `in: body`).
    pub(super) body: Option<Site<'d>>,
    /// The parameter that is the header `Authorization`, and whether it must be there.
    pub(super) authorization: Option<(Site<'d>, bool)>,
    /// What a parameter that is the header `Accept` lets be sent.
    pub(super) accept: Option<String>,
}

/// Reads lists of parameters, of which the earlier ones count first.
pub(super) fn read<'d>(cx: &mut Cx<'_>, holders: &[Site<'d>]) -> Result<Declared<'d>, Skip> {
    let mut declared = Declared::default();
    // What the lists before the one at hand declare may be declared again, and counts first.
    let mut before = HashSet::new();
    for holder in holders {
        let Some(list) = cx.list(*holder, "parameters") else { continue };
        let mut here = HashSet::new();
        for element in list.elements() {
            if !cx.step() {
                return Err(Skip::new("too-large", list, super::SPENT));
            }
            let Some(draft) = draft(cx, element)? else { continue };
            let key = draft.key();
            if before.contains(&key) {
                continue;
            }
            if !here.insert(key) {
                let message =
                    format!("{} is declared twice; the first declaration counts", draft.label());
                cx.warn("duplicate-parameter", element, message);
                continue;
            }
            if here.len() + before.len() > PARAMETERS_MAX {
                let message = format!("there are more than {PARAMETERS_MAX} parameters");
                return Err(Skip::new("too-large", list, message));
            }
            take(cx, &draft, &mut declared)?;
        }
        before.extend(here);
    }
    check_whole_query(cx, holders, &mut declared.parameters);
    Ok(declared)
}

/// A parameter of which only name and location are read.
struct Draft<'d> {
    name: &'d str,
    location: Destination,
    /// Where it is used.
    written: Site<'d>,
    /// Where it is declared.
    site: Site<'d>,
}

/// Where a parameter says that it travels.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Destination {
    Body,
    At(Location),
}

impl Draft<'_> {
    /// What no other parameter may have as well. Names of headers have no case.
    fn key(&self) -> (Destination, String) {
        match self.location {
            // There can be only one.
            Destination::Body | Destination::At(Location::QueryString) => {
                (self.location, String::new())
            }
            Destination::At(Location::Header) => (self.location, self.name.to_ascii_lowercase()),
            Destination::At(_) => (self.location, self.name.to_owned()),
        }
    }

    fn label(&self) -> String {
        let location = match self.location {
            Destination::Body => return "the body".to_owned(),
            Destination::At(Location::Path) => "path",
            Destination::At(Location::Query) => "query",
            Destination::At(Location::QueryString) => return "the whole query".to_owned(),
            Destination::At(Location::Header) => "header",
            Destination::At(Location::Cookie) => "cookie",
            Destination::At(Location::Form) => "form",
        };
        format!("{location} parameter `{}`", self.name)
    }
}

fn draft<'d>(cx: &mut Cx<'_>, written: Site<'d>) -> Result<Option<Draft<'d>>, Skip> {
    // What is not known may be required.
    let site = written.followed()?;
    if !site.is_object() {
        let message = format!("a parameter is an object, not {}; it is left out", site.kind_name());
        cx.warn("wrong-type", site, message);
        return Ok(None);
    }
    let name = cx.word(site, "name");
    let stated = cx.word(site, "in").unwrap_or_default();
    let location = match stated.trim().to_ascii_lowercase().as_str() {
        "path" => Destination::At(Location::Path),
        "query" => Destination::At(Location::Query),
        "querystring" => Destination::At(Location::QueryString),
        "header" => Destination::At(Location::Header),
        "cookie" => Destination::At(Location::Cookie),
        "formdata" | "form" => Destination::At(Location::Form),
        "body" => Destination::Body,
        "" => return leave_out(cx, site, "a parameter does not say where it travels (`in`)"),
        other => {
            let message = format!("parameters cannot travel in `{other}`");
            return leave_out(cx, site, &message);
        }
    };
    let is_form_or_body = matches!(location, Destination::Body | Destination::At(Location::Form));
    if is_form_or_body && !cx.is_20() {
        let message = format!("`in: {stated}` is not of this version; it is read as in 2.0");
        cx.warn("foreign-parameter", site, message);
    }
    let is_nameless =
        matches!(location, Destination::Body | Destination::At(Location::QueryString));
    match name {
        Some(name) if !name.is_empty() => Ok(Some(Draft { name, location, written, site })),
        _ if is_nameless => Ok(Some(Draft { name: "body", location, written, site })),
        _ => leave_out(cx, site, "a parameter has no name"),
    }
}

/// Goes on without a parameter, if requests can.
fn leave_out<T>(cx: &mut Cx<'_>, site: Site<'_>, message: &str) -> Result<Option<T>, Skip> {
    if cx.flag(site, "required") == Some(true) {
        let message = format!("{message}, and requests must have it");
        return Err(Skip::new("parameter-unusable", site, message));
    }
    cx.warn("parameter-unusable", site, format!("{message}; it is left out"));
    Ok(None)
}

fn take<'d>(cx: &mut Cx<'_>, draft: &Draft<'d>, declared: &mut Declared<'d>) -> Result<(), Skip> {
    let location = match draft.location {
        Destination::Body => {
            declared.body = Some(draft.site);
            return Ok(());
        }
        Destination::At(location) => location,
    };
    if location == Location::Header && draft.name.trim().eq_ignore_ascii_case("authorization") {
        // A credential never is an argument. OpenAPI 3 ignores the parameter, while documents that
        // have it have nothing else that says what the API demands.
        let is_required = cx.flag(draft.site, "required") == Some(true);
        declared.authorization = Some((draft.site, is_required));
        return Ok(());
    }
    if location == Location::Header && draft.name.trim().eq_ignore_ascii_case("accept") {
        declared.accept = accepted(cx, draft.site);
    }
    if location == Location::Header && !is_sendable_header(cx, draft)? {
        return Ok(());
    }
    if !cx.take_part() {
        return Err(Skip::new("too-large", draft.site, super::SPENT));
    }
    let parameter = parameter(cx, draft, location);
    match location {
        Location::Form => declared.form.push(parameter),
        _ => declared.parameters.push(parameter),
    }
    Ok(())
}

fn parameter(cx: &mut Cx<'_>, draft: &Draft<'_>, location: Location) -> Parameter {
    let site = draft.site;
    let Written { style, explode } = if cx.is_20() || location == Location::Form {
        collection(cx, site, location)
    } else {
        style(cx, site, location)
    };
    let is_20 = cx.is_20() || location == Location::Form;
    let nested = if is_20 { nested_collections(cx, site) } else { Vec::new() };
    let name = draft.name.trim();
    if name.len() != draft.name.len() {
        cx.note("odd-name", site, format!("blanks around `{name}` are not part of the name"));
    }
    let is_stated_required = cx.flag(site, "required");
    if location == Location::Path && is_stated_required != Some(true) {
        let message = format!("path parameter `{name}` lacks `required: true`; it always is");
        cx.note("path-parameter-not-required", site, message);
    }
    let mut parameter = Parameter {
        name: cx.keep(name).unwrap_or_default(),
        location,
        is_required: location == Location::Path || is_stated_required == Some(true),
        description: cx.described(draft.written, site),
        is_deprecated: cx.flag(site, "deprecated") == Some(true),
        style,
        explode,
        nested,
        allow_reserved: cx.flag(site, "allowReserved") == Some(true),
        allow_empty: cx.flag(site, "allowEmptyValue") == Some(true),
        content: None,
        encoding: Vec::new(),
        schema: None,
        mcp_header: None,
        at: site.at(),
    };
    describe_value(cx, site, &mut parameter);
    parameter.mcp_header = cx.text(site, "x-mcp-header").or_else(|| {
        let schema = site.get("schema")?;
        cx.text(schema, "x-mcp-header")
    });
    parameter
}

/// Finds the schema of a parameter, and the media type that writes it instead of a style.
fn describe_value(cx: &mut Cx<'_>, site: Site<'_>, parameter: &mut Parameter) {
    let has_own_type =
        ["type", "enum", "items", "format"].iter().any(|key| site.get(key).is_some());
    let schema = site.get("schema").filter(|schema| is_schema(*schema));
    let name = &parameter.name;
    if cx.is_20() || parameter.location == Location::Form {
        let own = SchemaAt { at: site.at(), dialect: Dialect::Swagger20 };
        parameter.schema = Some(match schema {
            Some(schema) if !has_own_type => {
                let message =
                    format!("`{name}` has a `schema`, which only bodies have; it is used");
                cx.note("foreign-parameter", site, message);
                at_schema(schema)
            }
            _ => own,
        });
        return;
    }
    let media = cx.object(site, "content").and_then(|content| {
        let media = body::media(cx, content);
        let is_json = |media_type: &str| media_type.to_ascii_lowercase().contains("json");
        if media.len() > 1 {
            let message =
                format!("`{name}` can be written in several ways; JSON, or the first, is");
            cx.note("several-contents", content, message);
        }
        let json = media.iter().position(|media| is_json(&media.media_type));
        media.into_iter().nth(json.unwrap_or(0))
    });
    let is_whole_query = parameter.location == Location::QueryString;
    match (schema, media) {
        (schema, Some(media)) => {
            if schema.is_some() {
                let message = format!("`{name}` has `schema` and `content`; `content` counts");
                cx.warn("schema-and-content", site, message);
            }
            parameter.content = Some(media.media_type);
            parameter.schema = media.schema.or(schema.map(at_schema));
            parameter.encoding = media.encoding;
        }
        (Some(schema), None) => {
            parameter.schema = Some(at_schema(schema));
            if is_whole_query {
                parameter.content = Some(FORM.to_owned());
                let message = "a whole query needs `content`; it is written as a form";
                cx.warn("whole-query", site, message);
            }
        }
        (None, None) if has_own_type => {
            parameter.schema = Some(SchemaAt { at: site.at(), dialect: Dialect::Swagger20 });
            let message =
                format!("the type of `{name}` stands beside its name, as in 2.0; it is used");
            cx.warn("foreign-parameter", site, message);
        }
        (None, None) => {
            parameter.content = is_whole_query.then(|| FORM.to_owned());
            cx.note("no-schema", site, format!("nothing says what `{name}` may be"));
        }
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

fn is_schema(site: Site<'_>) -> bool {
    site.is_object() || site.as_bool().is_some()
}

/// A schema follows the rules of the document that it is written in.
pub(super) fn at_schema(site: Site<'_>) -> SchemaAt {
    SchemaAt { at: site.at(), dialect: site.dialect() }
}

/// How a value is written.
struct Written {
    style: Style,
    explode: bool,
}

/// `collectionFormat` of 2.0. It says how arrays are written; nothing else is in doubt.
fn collection(cx: &mut Cx<'_>, site: Site<'_>, location: Location) -> Written {
    let is_pairs = matches!(location, Location::Query | Location::Form);
    let plain = if is_pairs { Style::Form } else { Style::Simple };
    let plain = if location == Location::Cookie { Style::Form } else { plain };
    let stated = cx.word(site, "collectionFormat").unwrap_or("csv");
    let (style, explode) = match stated.trim().to_ascii_lowercase().as_str() {
        "csv" | "" => (plain, false),
        "ssv" => (Style::SpaceDelimited, false),
        "tsv" => (Style::TabDelimited, false),
        "pipes" => (Style::PipeDelimited, false),
        "multi" if is_pairs => (Style::Form, true),
        other => {
            let message = format!("`collectionFormat: {other}` is not possible here; csv is used");
            cx.warn("odd-style", site, message);
            (plain, false)
        }
    };
    Written { style, explode }
}

/// Deepest nesting of lists in each other whose `collectionFormat` counts.
const NESTED_MAX: usize = 8;

/// `collectionFormat` of lists inside of a list, which is that of each `items`.
fn nested_collections(cx: &mut Cx<'_>, site: Site<'_>) -> Vec<Style> {
    let mut styles = Vec::new();
    let mut items = site.get("items");
    while let Some(inner) =
        items.filter(|it| it.get("type").and_then(Site::as_str) == Some("array"))
        && styles.len() < NESTED_MAX
    {
        styles.push(collection(cx, inner, Location::Path).style);
        items = inner.get("items");
    }
    styles
}

/// `style` and `explode` of 3.x with their defaults.
fn style(cx: &mut Cx<'_>, site: Site<'_>, location: Location) -> Written {
    let usual = match location {
        Location::Path | Location::Header => Style::Simple,
        _ => Style::Form,
    };
    let explode = cx.flag(site, "explode");
    let stated = cx.word(site, "style");
    // The media type says how it is written.
    let stated = stated.filter(|_| location != Location::QueryString);
    let read = stated.and_then(style_named);
    let is_possible = |style: Style| match location {
        Location::Path => matches!(style, Style::Matrix | Style::Label | Style::Simple),
        Location::Header => style == Style::Simple,
        Location::Cookie => matches!(style, Style::Form | Style::Cookie),
        _ => matches!(
            style,
            Style::Form | Style::SpaceDelimited | Style::PipeDelimited | Style::DeepObject
        ),
    };
    let is_pairs = |style: Style| matches!(style, Style::Form | Style::Cookie);
    match (stated, read) {
        (Some(_), Some(style)) if is_possible(style) => {
            Written { style, explode: explode.unwrap_or(is_pairs(style)) }
        }
        (Some(stated), read) => {
            let message =
                format!("`style: {stated}` is not possible here; the usual style is used");
            cx.warn("odd-style", site, message);
            // Who writes `simple` for a query means a list with commas.
            let is_list = read == Some(Style::Simple);
            Written { style: usual, explode: explode.unwrap_or(is_pairs(usual) && !is_list) }
        }
        (None, _) => Written { style: usual, explode: explode.unwrap_or(is_pairs(usual)) },
    }
}

/// The style of 3.x with this name, in any case.
pub(super) fn style_named(name: &str) -> Option<Style> {
    Some(match name.trim().to_ascii_lowercase().as_str() {
        "matrix" => Style::Matrix,
        "label" => Style::Label,
        "simple" => Style::Simple,
        "form" => Style::Form,
        "spacedelimited" => Style::SpaceDelimited,
        "pipedelimited" => Style::PipeDelimited,
        "deepobject" => Style::DeepObject,
        "cookie" => Style::Cookie,
        _ => return None,
    })
}

/// Headers that say how a message ends or which way it takes; only the sender knows.
const OF_THE_CONNECTION: [&str; 10] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

fn is_sendable_header(cx: &mut Cx<'_>, draft: &Draft<'_>) -> Result<bool, Skip> {
    let name = draft.name.trim().to_ascii_lowercase();
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !name.bytes().all(is_token) || name.is_empty() {
        let message = format!("no header can be called `{}`", draft.name);
        return Ok(leave_out::<()>(cx, draft.site, &message)?.is_some());
    }
    let is_of_version = matches!(name.as_str(), "accept" | "content-type");
    if is_of_version && !cx.is_20() {
        let message = format!(
            "header parameter `{}` is ignored, as OpenAPI says: media types say it",
            draft.name
        );
        cx.note("ignored-header", draft.site, message);
        return Ok(false);
    }
    if OF_THE_CONNECTION.contains(&name.as_str()) {
        let message = format!("header `{}` is set by whoever sends the request", draft.name);
        cx.note("ignored-header", draft.site, message);
        return Ok(false);
    }
    Ok(true)
}

/// What is sent as `Accept` where a parameter lists its values: JSON, else the default, else the first.
fn accepted(cx: &mut Cx<'_>, site: Site<'_>) -> Option<String> {
    let schema = match site.get("schema") {
        Some(schema) => cx.follow(schema)?,
        None => site,
    };
    let default = schema.get("default").and_then(Site::as_str);
    let values = schema.get("enum").into_iter().flat_map(Site::elements).filter_map(Site::as_str);
    let mut first = None;
    for value in values.take(ACCEPTED_MAX) {
        if MediaKind::of(value) == MediaKind::Json {
            return cx.keep(value);
        }
        first = first.or(Some(value));
    }
    let value = default.or(first)?;
    let is_sendable = value.bytes().all(|byte| (b' '..0x7f).contains(&byte));
    if is_sendable { cx.keep(value) } else { None }
}

/// Most values of `Accept` that are looked at.
const ACCEPTED_MAX: usize = 100;

/// A parameter that is the whole query leaves no room for others in it.
fn check_whole_query(cx: &mut Cx<'_>, holders: &[Site<'_>], parameters: &mut Vec<Parameter>) {
    let is_whole = |parameter: &Parameter| parameter.location == Location::QueryString;
    let is_part = |parameter: &Parameter| parameter.location == Location::Query;
    if let Some(holder) = holders.first()
        && parameters.iter().any(is_whole)
        && parameters.iter().any(is_part)
    {
        parameters.retain(|parameter| !is_part(parameter));
        let message = "a parameter is the whole query, so the query parameters are left out";
        cx.warn("whole-query", *holder, message);
    }
}
