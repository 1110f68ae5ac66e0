//! A call as the HTTP request that the document describes.
//!
//! A [`Plan`] is made once for each tool; [`Plan::build`] turns the arguments of one call into method,
//! URL, headers and body. Values are written from the text that the client sent, so that numbers keep their
//! digits. Nothing here checks arguments against their schema; what is refused is what could not be
//! sent as it is meant.

use std::fmt;

use bytes::Bytes;
use wire::json::{Json, Object};

use crate::document::Documents;
use crate::model::{Location, Operation, Parameter, Status, Style};
use crate::tool::{Argument, Content, MediaKind, Source, Tool, Value};

mod body;
mod escape;
mod file;
mod header;
mod nested;
mod path;
mod style;
mod value;
pub(crate) mod xml;

use escape::Escape;
pub(crate) use path::leads_elsewhere;
use style::{Pair, Writing};

/// What of a request to an operation is known before any call.
#[derive(Clone, Debug)]
pub struct Plan {
    path: path::Template,
    /// Pairs of the query that the path has in the document; variables may stand in them, too.
    query: path::Template,
    /// The names in a body of XML.
    shapes: xml::Shapes,
    /// What the operation answers with, as the value of `Accept`.
    accept: String,
}

/// A request, ready to be sent to the operation's server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// The HTTP method.
    pub method: String,
    /// Path and query, to follow the server's URL; begins with `/`.
    pub path_and_query: String,
    /// Headers in order, `Cookie` and `Accept` among them; without those that a client writes itself
    /// and without credentials.
    pub headers: Vec<(String, String)>,
    /// `Content-Type` of the body, or the one that the client gave.
    pub content_type: Option<String>,
    /// The body; empty if there is none.
    pub body: Bytes,
}

/// Why a call cannot become a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgumentError {
    /// The argument, by the name that clients know.
    pub argument: String,
    /// What is wrong with it.
    pub problem: String,
    /// What to do about it.
    pub fix: String,
}

impl fmt::Display for ArgumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "argument `{}`: {}; {}", self.argument, self.problem, self.fix)
    }
}

impl std::error::Error for ArgumentError {}

/// Why a value cannot be sent, before it is known whose value it is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Refusal {
    problem: String,
    fix: String,
}

impl Refusal {
    fn new(problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { problem: problem.into(), fix: fix.into() }
    }

    fn of(self, argument: &str) -> ArgumentError {
        ArgumentError { argument: argument.to_owned(), problem: self.problem, fix: self.fix }
    }
}

impl Plan {
    /// Prepares the requests of a tool.
    pub fn new(tool: &Tool, documents: &Documents) -> Self {
        let operation = &tool.operation;
        let (template, query) = operation.target();
        let argument_of = |name: &str| {
            tool.arguments.iter().position(|argument| {
                parameter_of(tool, argument)
                    .is_some_and(|it| it.location == Location::Path && it.name == name)
            })
        };
        let media = tool.body.as_ref().and_then(|plan| {
            let media = operation.body.as_ref()?.media.get(plan.media)?;
            let has_xml = |it: &(String, crate::model::Encoding)| {
                it.1.content_type.as_deref().is_some_and(|it| MediaKind::of(it) == MediaKind::Xml)
            };
            let is_xml = plan.kind == MediaKind::Xml || media.encoding.iter().any(has_xml);
            media.schema.filter(|_| is_xml)
        });
        Self {
            path: path::Template::parse(template, argument_of),
            query: path::Template::parse(query, argument_of),
            shapes: media.map(|schema| xml::Shapes::read(documents, schema)).unwrap_or_default(),
            accept: operation.accept.clone().unwrap_or_else(|| accept(operation)),
        }
    }

    /// The request for one call of the tool that the plan was made for. `boundary` separates the
    /// parts of a form: letters and digits that nobody can guess.
    pub fn build(
        &self,
        tool: &Tool,
        arguments: &Object,
        boundary: &str,
    ) -> Result<Built, ArgumentError> {
        let mut call = Call { tool, parts: Parts::default() };
        let values = values(tool, arguments)?;
        let mut path_and_query = String::with_capacity(128);
        let written = self.path.write(&mut path_and_query, |number| {
            let argument = &tool.arguments[number];
            let json = values[number].clone().unwrap_or_else(|| Json::trusted("null"));
            match parameter_of(tool, argument) {
                Some(parameter) => of_path(parameter, &json),
                None => Ok(String::new()),
            }
        });
        written.map_err(|(number, refusal)| refusal.of(&tool.arguments[number].name))?;
        for (argument, json) in tool.arguments.iter().zip(&values) {
            if let (Some(json), Some(parameter)) = (json, parameter_of(tool, argument)) {
                let added = call.parameter(parameter, json);
                added.map_err(|refusal| refusal.of(&argument.name))?;
            }
        }
        let body = call.body(&values, arguments, &self.shapes, boundary)?;
        let mut headers = call.parts.headers;
        let mut query = String::new();
        let written = self.query.fill(&mut query, |number| {
            let json = values[number].clone().unwrap_or_else(|| Json::trusted("null"));
            parameter_of(tool, &tool.arguments[number])
                .map_or_else(|| Ok(String::new()), |parameter| of_path_query(parameter, &json))
        });
        written.map_err(|(number, refusal)| refusal.of(&tool.arguments[number].name))?;
        let added: Vec<(String, String)> = tool.additions.query.iter().map(component).collect();
        for (key, text) in call.parts.query {
            // What the operator puts there, clients cannot.
            if !added.iter().any(|(name, _)| *name == key) {
                push_pair(&mut query, &key, &text);
            }
        }
        for (key, text) in &added {
            push_pair(&mut query, key, text);
        }
        let whole = call.parts.whole_query.unwrap_or_default();
        for piece in whole.split('&').filter(|it| !it.is_empty()) {
            let key = piece.split('=').next().unwrap_or_default();
            if !added.iter().any(|(name, _)| name == key) {
                if !query.is_empty() {
                    query.push('&');
                }
                query.push_str(piece);
            }
        }
        if !query.is_empty() {
            path_and_query.push('?');
            path_and_query.push_str(&query);
        }
        if !call.parts.cookies.is_empty() {
            headers.push(("Cookie".to_owned(), call.parts.cookies.join("; ")));
        }
        for (name, value) in &tool.additions.headers {
            headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
            headers.push((name.clone(), value.clone()));
        }
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("accept")) {
            headers.push(("Accept".to_owned(), self.accept.clone()));
        }
        let (content_type, body) = match body {
            Some(written) => (Some(written.content_type), written.bytes),
            None => (None, Bytes::new()),
        };
        let is_multipart = content_type.as_deref().is_some_and(|it| it.starts_with("multipart/"));
        // A parameter of 2.0 may say it, too; then it counts, as long as the body is still readable.
        let stated = headers.iter().position(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        let stated = stated.map(|at| headers.remove(at).1);
        let content_type = match (content_type, stated) {
            (_, Some(stated)) if !is_multipart => Some(stated),
            (content_type, _) => content_type,
        };
        Ok(Built {
            method: tool.operation.method.clone(),
            path_and_query,
            headers,
            content_type,
            body,
        })
    }
}

/// One call on its way to a request.
struct Call<'t> {
    tool: &'t Tool,
    parts: Parts,
}

#[derive(Default)]
struct Parts {
    query: Vec<Pair>,
    whole_query: Option<String>,
    headers: Vec<(String, String)>,
    cookies: Vec<String>,
}

impl Call<'_> {
    fn parameter(&mut self, parameter: &Parameter, json: &Json) -> Result<(), Refusal> {
        match parameter.location {
            Location::Path | Location::Form => {}
            Location::Query => self.parts.query.extend(of_query(parameter, json)?),
            Location::QueryString => self.parts.whole_query = whole_query(parameter, json)?,
            Location::Header => self.header(parameter, json)?,
            Location::Cookie => self.cookie(parameter, json)?,
        }
        Ok(())
    }

    fn header(&mut self, parameter: &Parameter, json: &Json) -> Result<(), Refusal> {
        let name = &parameter.name;
        if !header::is_token(name) {
            let problem = format!("`{name}` cannot be the name of a header");
            return Err(Refusal::new(problem, "leave it out; the API's description is wrong here"));
        }
        // Whoever sends the request writes these itself.
        let is_framing = FRAMING.iter().any(|own| name.eq_ignore_ascii_case(own));
        if is_framing || (json.as_bytes() == b"null" && !parameter.is_required) {
            return Ok(());
        }
        let text = match &parameter.content {
            Some(media_type) => value::ascii(&content(parameter, media_type, json)?),
            None => writing(parameter, Escape::Plain).part(name, json)?,
        };
        let text = header::value(&text)?;
        if name.eq_ignore_ascii_case("cookie") {
            self.parts.cookies.push(text);
        } else {
            self.parts.headers.push((name.clone(), text));
        }
        Ok(())
    }

    fn cookie(&mut self, parameter: &Parameter, json: &Json) -> Result<(), Refusal> {
        let is_plain = match &parameter.content {
            Some(media_type) => MediaKind::of(media_type) == MediaKind::Text,
            None => parameter.style == Style::Cookie,
        };
        let escape = match (is_plain, parameter.allow_reserved) {
            (true, _) => Escape::Plain,
            // Of the characters that paths keep, no cookie ends at one.
            (false, true) => Escape::ReservedPath,
            (false, false) => Escape::Component,
        };
        let pairs = match &parameter.content {
            Some(_) if json.as_bytes() == b"null" && !parameter.is_required => Vec::new(),
            Some(media_type) => {
                let text = content(parameter, media_type, json)?;
                vec![(escape.text(&parameter.name), escape.text(&text))]
            }
            None => writing(parameter, escape).pairs(&parameter.name, json)?,
        };
        for (key, text) in pairs {
            if is_plain {
                header::cookie(&key, &text)?;
            }
            self.parts.cookies.push(format!("{key}={text}"));
        }
        Ok(())
    }

    fn body(
        &self,
        values: &[Option<Json>],
        arguments: &Object,
        shapes: &xml::Shapes,
        boundary: &str,
    ) -> Result<Option<body::Written>, ArgumentError> {
        let tool = self.tool;
        let (Some(plan), Some(body)) = (&tool.body, &tool.operation.body) else { return Ok(None) };
        let Some(media) = body.media.get(plan.media) else { return Ok(None) };
        let mut members = Vec::new();
        for (argument, json) in tool.arguments.iter().zip(values) {
            let Some(json) = json else { continue };
            let (name, parameter) = match &argument.source {
                Source::Body => {
                    let json = json.clone();
                    let content = argument.content;
                    let input = body::Input::Whole { argument: &argument.name, json, content };
                    return body::write(media, plan.kind, input, shapes, boundary).map(Some);
                }
                Source::Member(name) => (name.as_str(), None),
                Source::Form(at) => match body.form.get(*at) {
                    Some(parameter) => (parameter.name.as_str(), Some(parameter)),
                    None => continue,
                },
                Source::Parameter(_) => continue,
            };
            let json = json.clone();
            let content = argument.content;
            members.push(body::Member { argument: &argument.name, name, json, content, parameter });
        }
        let others: Vec<(String, Json)> = if plan.is_flat && body.form.is_empty() {
            let is_known = |name: &str| tool.arguments.iter().any(|it| it.name == name);
            let all = arguments.members().filter(|(name, _)| !is_known(name));
            all.map(|(name, json)| (name.into_owned(), json)).collect()
        } else {
            Vec::new()
        };
        members.extend(others.iter().map(|(name, json)| body::Member {
            argument: name,
            name,
            json: json.clone(),
            content: Content::Value,
            parameter: None,
        }));
        if members.is_empty() && !(plan.is_flat && body.is_required) {
            return Ok(None);
        }
        body::write(media, plan.kind, body::Input::Members(members), shapes, boundary).map(Some)
    }
}

/// A pair of the query, encoded.
fn component((key, text): &(String, String)) -> (String, String) {
    (Escape::Component.text(key), Escape::Component.text(text))
}

/// Headers that belong to the connection or to the framing of a message.
const FRAMING: [&str; 12] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What each argument is, in the order of the tool's; `None` is not sent.
fn values(tool: &Tool, arguments: &Object) -> Result<Vec<Option<Json>>, ArgumentError> {
    for (name, _) in arguments.members() {
        refuse_unknown(tool, &name)?;
    }
    let value = |argument: &Argument| {
        let given = arguments.get(&argument.name);
        let value = match &argument.value {
            Value::Absent => None,
            Value::Fixed(json) => Some(json.clone()),
            Value::Default(json) => Some(given.unwrap_or_else(|| json.clone())),
            Value::Given if given.is_none() && argument.is_required => {
                return Err(Refusal::new("it is missing", "give it a value").of(&argument.name));
            }
            Value::Given => given,
        };
        let nested = nested(tool, argument);
        if nested.is_empty() {
            return Ok(value);
        }
        let joined = value.map(|json| nested::joined(&json, nested)).transpose();
        joined.map_err(|refusal| refusal.of(&argument.name))
    };
    tool.arguments.iter().map(value).collect()
}

/// Refuses an argument that nobody offered. A body that may have further members takes others, unless
/// they would stand for a member that has another name here, or that is none of the client's.
fn refuse_unknown(tool: &Tool, name: &str) -> Result<(), ArgumentError> {
    let is_visible = |it: &Argument| matches!(it.value, Value::Given | Value::Default(_));
    let named = tool.arguments.iter().find(|it| it.name == name);
    if named.is_some_and(is_visible) {
        return Ok(());
    }
    let is_flat = tool.body.as_ref().is_some_and(|plan| plan.is_flat)
        && tool.operation.body.as_ref().is_some_and(|body| body.form.is_empty());
    let is_member = |it: &Argument| matches!(&it.source, Source::Member(own) if own == name);
    if named.is_none() && is_flat && !tool.arguments.iter().any(is_member) {
        return Ok(());
    }
    Err(Refusal::new("the tool has no such argument", "leave it out").of(name))
}

/// How the lists inside of a list are written.
fn nested<'t>(tool: &'t Tool, argument: &Argument) -> &'t [Style] {
    let parameter = match argument.source {
        Source::Parameter(at) => tool.operation.parameters.get(at),
        Source::Form(at) => tool.operation.body.as_ref().and_then(|body| body.form.get(at)),
        Source::Member(_) | Source::Body => None,
    };
    parameter.map(|parameter| parameter.nested.as_slice()).unwrap_or_default()
}

fn parameter_of<'t>(tool: &'t Tool, argument: &Argument) -> Option<&'t Parameter> {
    match argument.source {
        Source::Parameter(at) => tool.operation.parameters.get(at),
        _ => None,
    }
}

fn writing(parameter: &Parameter, escape: Escape) -> Writing {
    Writing {
        style: parameter.style,
        explode: parameter.explode,
        escape,
        keeps_empty: parameter.is_required || parameter.allow_empty,
    }
}

fn of_path(parameter: &Parameter, json: &Json) -> Result<String, Refusal> {
    if let Some(media_type) = &parameter.content {
        return Ok(Escape::Component.text(&content(parameter, media_type, json)?));
    }
    let escape = if parameter.allow_reserved { Escape::ReservedPath } else { Escape::Component };
    writing(parameter, escape).part(&parameter.name, json)
}

/// A value whose place in the path is behind `?`, where reserved characters would begin another pair.
fn of_path_query(parameter: &Parameter, json: &Json) -> Result<String, Refusal> {
    if parameter.content.is_some() {
        return of_path(parameter, json);
    }
    writing(parameter, Escape::Component).part(&parameter.name, json)
}

fn of_query(parameter: &Parameter, json: &Json) -> Result<Vec<Pair>, Refusal> {
    if let Some(media_type) = &parameter.content {
        if json.as_bytes() == b"null" && !parameter.is_required {
            return Ok(Vec::new());
        }
        let text = content(parameter, media_type, json)?;
        return Ok(vec![(Escape::Component.text(&parameter.name), Escape::Component.text(&text))]);
    }
    let escape = if parameter.allow_reserved { Escape::ReservedQuery } else { Escape::Component };
    writing(parameter, escape).pairs(&parameter.name, json)
}

/// A whole query (3.2 `querystring`). A form is one already; a plain text is in a syntax of the API's
/// own, so that its `&`, `=` and `%XX` stay; anything else is encoded as one text.
fn whole_query(parameter: &Parameter, json: &Json) -> Result<Option<String>, Refusal> {
    if json.as_bytes() == b"null" {
        return Ok(None);
    }
    let media_type = parameter.content.as_deref().unwrap_or("application/x-www-form-urlencoded");
    let text = content(parameter, media_type, json)?;
    Ok(Some(match MediaKind::of(media_type) {
        MediaKind::Form => text,
        MediaKind::Text => Escape::Literal.text(&text),
        _ => Escape::Component.text(&text),
    }))
}

/// The text of a value by the rules of a media type (`content`).
fn content(parameter: &Parameter, media_type: &str, json: &Json) -> Result<String, Refusal> {
    match MediaKind::of(media_type) {
        MediaKind::Json => Ok(value::compact(json.as_str())),
        MediaKind::Form => body::form_text(&parameter.encoding, json),
        MediaKind::Xml => xml::document(&xml::Shapes::default(), &parameter.name, json),
        _ => Ok(value::text(json).unwrap_or_default()),
    }
}

fn push_pair(query: &mut String, key: &str, text: &str) {
    if !query.is_empty() {
        query.push('&');
    }
    query.push_str(key);
    query.push('=');
    query.push_str(text);
}

/// Most media types in `Accept`.
const ACCEPT_MAX: usize = 8;

/// The media types of the answers that mean success, JSON first, and anything else if need be.
fn accept(operation: &Operation) -> String {
    let is_success = |status: Status| match status {
        Status::Code(code) => (200..300).contains(&code),
        Status::Range(first) => first == 2,
        Status::Default => false,
    };
    let mut types: Vec<&str> = Vec::new();
    for response in operation.responses.iter().filter(|it| is_success(it.status)) {
        for media in &response.media {
            let media_type = media.media_type.trim();
            if file::is_media_type(media_type)
                && media_type != "*/*"
                && !types.contains(&media_type)
            {
                types.push(media_type);
            }
        }
    }
    let is_json = |it: &str| MediaKind::of(it) == MediaKind::Json;
    let has_json = types.iter().any(|it| is_json(it));
    types.sort_by_key(|it| !is_json(it));
    types.truncate(ACCEPT_MAX);
    let mut accept = String::new();
    for media_type in types {
        let weight = if has_json && !is_json(media_type) { ";q=0.5" } else { "" };
        accept.extend([media_type, weight, ", "]);
    }
    // An answer that nobody promised is better than none.
    let usual = if accept.is_empty() { "application/json, " } else { "" };
    format!("{accept}{usual}*/*;q=0.1")
}

#[cfg(test)]
mod tests;
