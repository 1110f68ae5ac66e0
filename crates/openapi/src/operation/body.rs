//! Request bodies: media types, forms, and how their members are written.

use super::cx::{Cx, Skip};
use super::parameter::{self, Declared};
use super::site::Site;
use crate::model::{At, Body, Encoding, Inner, Media, Parameter, Positions, SchemaAt};
use crate::tree::Kind;

const JSON: &str = "application/json";
const URLENCODED: &str = "application/x-www-form-urlencoded";
const MULTIPART: &str = "multipart/form-data";

/// The body of an operation of any version. `document` has what counts where the operation says
/// nothing (2.0 `consumes`).
pub(super) fn read<'d>(
    cx: &mut Cx<'_>,
    method: &str,
    operation: Site<'d>,
    document: Site<'d>,
    declared: Declared<'d>,
) -> Result<(Vec<Parameter>, Option<Body>), Skip> {
    let Declared { parameters, form, body: whole, .. } = declared;
    let request_body = match operation.get("requestBody") {
        Some(written) => of_request_body(cx, written)?,
        None => None,
    };
    let consumes = || (operation, document);
    let body = match (request_body, whole, form) {
        (Some(body), None, form) if form.is_empty() => Some(body),
        (Some(body), ..) => {
            let message = "`requestBody` and parameters describe the body; `requestBody` counts";
            cx.warn("several-bodies", operation, message);
            Some(body)
        }
        (None, Some(whole), form) => {
            if !form.is_empty() {
                let message = "a body and a form are declared; the body counts";
                cx.warn("several-bodies", whole, message);
            }
            Some(of_parameter(cx, whole, consumes()))
        }
        (None, None, form) => of_form(cx, form, consumes()),
    };
    let body = body.filter(|_| match method {
        "TRACE" => {
            cx.warn("unusual-body", operation, "TRACE has no body (RFC 9110); it is left out");
            false
        }
        "GET" | "HEAD" | "DELETE" | "OPTIONS" => {
            let message = format!("{method} with a body: many servers ignore it; it is sent");
            cx.note("unusual-body", operation, message);
            true
        }
        _ => true,
    });
    Ok((parameters, body))
}

fn of_request_body(cx: &mut Cx<'_>, written: Site<'_>) -> Result<Option<Body>, Skip> {
    let site = written.followed()?;
    if !site.is_object() {
        let message =
            format!("`requestBody` is {}, not an object; it is ignored", site.kind_name());
        cx.warn("wrong-type", site, message);
        return Ok(None);
    }
    let mut media_types = Vec::new();
    if let Some(content) = cx.object(site, "content") {
        media_types = media(cx, content);
    } else if let Some(schema) = site.get("schema") {
        cx.warn("no-content", site, "a body has `schema` without `content`; it is read as JSON");
        media_types.push(plain(JSON, Some(parameter::at_schema(schema))));
    }
    let is_required = cx.flag(site, "required") == Some(true);
    if media_types.is_empty() {
        let message = "the body names no media type";
        if is_required {
            return Err(Skip::new("body-unusable", site, format!("{message}, and is required")));
        }
        cx.warn("body-unusable", site, format!("{message}; it is left out"));
        return Ok(None);
    }
    Ok(Some(Body {
        is_required,
        description: cx.described(written, site),
        media: media_types,
        form: Vec::new(),
        at: site.at(),
    }))
}

fn plain(media_type: &str, schema: Option<SchemaAt>) -> Media {
    let media_type = media_type.to_owned();
    let positions = Positions::default();
    Media { media_type, schema, is_items: false, encoding: Vec::new(), positions }
}

/// Body parameters of 2.0.
fn of_parameter(cx: &mut Cx<'_>, site: Site<'_>, consumes: (Site<'_>, Site<'_>)) -> Body {
    let schema = match site.get("schema") {
        Some(schema) if schema.is_object() => Some(parameter::at_schema(schema)),
        _ => {
            cx.note("no-schema", site, "nothing says what the body may be");
            None
        }
    };
    let media = or_json(media_types(cx, "consumes", consumes));
    Body {
        is_required: cx.flag(site, "required") == Some(true),
        description: cx.text(site, "description"),
        media: media.into_iter().map(|media_type| plain(media_type, schema)).collect(),
        form: Vec::new(),
        at: site.at(),
    }
}

/// Form parameters of 2.0: a form with several parts if a file is among them or `consumes` says so.
fn of_form(cx: &mut Cx<'_>, form: Vec<Parameter>, consumes: (Site<'_>, Site<'_>)) -> Option<Body> {
    let first = form.first()?.at;
    let (operation, document) = consumes;
    let has_file = form.iter().any(|member| operation.is_file_at(member.at));
    let is_form = |media_type: &&str| {
        let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        essence == MULTIPART || (essence == URLENCODED && !has_file)
    };
    let stated = media_types(cx, "consumes", (operation, document));
    let mut media: Vec<Media> =
        stated.into_iter().filter(is_form).map(|media_type| plain(media_type, None)).collect();
    if media.is_empty() {
        media.push(plain(if has_file { MULTIPART } else { URLENCODED }, None));
    }
    Some(Body {
        is_required: form.iter().any(|member| member.is_required),
        description: None,
        media,
        form,
        at: first,
    })
}

impl Site<'_> {
    fn is_file_at(self, at: At) -> bool {
        let member = self.elsewhere(at);
        let is_file = |site: Site<'_>| site.get("type").and_then(Site::as_str) == Some("file");
        is_file(member) || member.get("items").is_some_and(is_file)
    }
}

/// `consumes` or `produces`: the operation's, else the document's.
pub(super) fn media_types<'d>(
    cx: &mut Cx<'_>,
    key: &str,
    (operation, document): (Site<'d>, Site<'d>),
) -> Vec<&'d str> {
    let holder = if operation.get(key).is_some() { operation } else { document };
    let mut words = cx.words(holder, key);
    words.retain(|word| !word.trim().is_empty());
    words
}

/// What 2.0 documents mean that name no media type.
pub(super) fn or_json(media_types: Vec<&str>) -> Vec<&str> {
    if media_types.is_empty() { vec![JSON] } else { media_types }
}

/// The media types of the `content` of something that is sent, in order.
pub(super) fn media(cx: &mut Cx<'_>, content: Site<'_>) -> Vec<Media> {
    read_media(cx, content, |cx, site| inner(cx, site, NESTED_MAX))
}

/// The media types of the `content` of something that is answered, in order: how it was encoded
/// does not matter.
pub(super) fn answered_media(cx: &mut Cx<'_>, content: Site<'_>) -> Vec<Media> {
    read_media(cx, content, |_, _| Inner::default())
}

fn read_media<'d>(
    cx: &mut Cx<'_>,
    content: Site<'d>,
    parts: impl Fn(&mut Cx<'_>, Site<'d>) -> Inner,
) -> Vec<Media> {
    let mut all = Vec::new();
    for (key, written) in content.entries().filter(|(key, _)| !key.starts_with("x-")) {
        if !cx.take_part() {
            break;
        }
        let Some(site) = cx.follow(written) else { continue };
        if !(site.is_object() || site.is_null()) {
            let message = format!("`{key}` should be an object, not {}", site.kind_name());
            cx.warn("wrong-type", site, message);
        }
        let Some(media_type) = cx.keep(key.trim()) else { break };
        let whole = site.get("schema").filter(|schema| is_schema(*schema));
        let item = site.get("itemSchema").filter(|schema| is_schema(*schema));
        let is_items = whole.is_none() && item.is_some();
        let schema = whole.or(item).map(parameter::at_schema);
        let Inner { encoding, positions } = parts(cx, site);
        all.push(Media { media_type, schema, is_items, encoding, positions });
    }
    all
}

fn is_schema(site: Site<'_>) -> bool {
    matches!(site.kind(), Kind::Object | Kind::Bool)
}

/// How often parts are multipart themselves: once more than the specification demands.
const NESTED_MAX: u8 = 2;

/// How the parts of a media type, or of a part that is multipart itself, are written.
fn inner(cx: &mut Cx<'_>, holder: Site<'_>, nested_max: u8) -> Inner {
    let mut inner = Inner::default();
    if let Some(written) = cx.object(holder, "encoding") {
        for (name, written) in written.entries().filter(|(name, _)| !name.starts_with("x-")) {
            if !cx.take_part() {
                break;
            }
            let Some(site) = cx.follow(written).filter(|site| site.is_object()) else { continue };
            let Some(name) = cx.keep(name) else { break };
            inner.encoding.push((name, encoding(cx, site, nested_max)));
        }
    }
    if let Some(written) = cx.list(holder, "prefixEncoding") {
        for element in written.elements().take(POSITIONS_MAX) {
            if !cx.take_part() {
                break;
            }
            let site = cx.follow(element).filter(|site| site.is_object());
            inner
                .positions
                .first
                .push(site.map_or_else(Encoding::default, |site| encoding(cx, site, nested_max)));
        }
    }
    if let Some(written) = cx.object(holder, "itemEncoding")
        && cx.take_part()
    {
        inner.positions.rest = Some(Box::new(encoding(cx, written, nested_max)));
    }
    inner
}

/// Most parts without names that are described one by one.
const POSITIONS_MAX: usize = 1_000;

fn encoding(cx: &mut Cx<'_>, site: Site<'_>, nested_max: u8) -> Encoding {
    let stated = cx.word(site, "style");
    let style = stated.and_then(parameter::style_named);
    if let Some(stated) = stated.filter(|_| style.is_none()) {
        cx.warn(
            "odd-style",
            site,
            format!("`style: {stated}` is unknown; the usual style is used"),
        );
    }
    let nested = ["encoding", "prefixEncoding", "itemEncoding"].map(|key| site.get(key));
    let nested = nested.into_iter().flatten().next();
    let own = match (nested, nested_max.checked_sub(1)) {
        (None, _) => None,
        (Some(_), Some(left)) => Some(Box::new(inner(cx, site, left))),
        (Some(nested), None) => {
            let message = "encodings that lie so deep in one another are not used";
            cx.warn("nested-encoding", nested, message);
            None
        }
    };
    let mut headers = Vec::new();
    if let Some(written) = cx.object(site, "headers") {
        for (name, written) in written.entries() {
            if !cx.step() {
                break;
            }
            // The content type has its own member.
            if name.eq_ignore_ascii_case("content-type") || name.starts_with("x-mcp-") {
                continue;
            }
            let Some(header) = cx.follow(written).filter(|header| header.is_object()) else {
                continue;
            };
            if let Some(value) = fixed_value(cx, header)
                && let (Some(name), Some(value)) = (cx.keep(name), cx.keep(value))
            {
                headers.push((name, value));
            } else if cx.flag(header, "required") == Some(true) {
                let message = format!("nothing says which value `{name}` has; it is not sent");
                cx.warn("part-header", header, message);
            }
        }
    }
    Encoding {
        content_type: cx.text(site, "contentType"),
        style,
        explode: cx.flag(site, "explode"),
        allow_reserved: cx.flag(site, "allowReserved") == Some(true),
        headers,
        inner: own,
    }
}

/// The value that a header has, where only one is possible or one is usual.
fn fixed_value<'d>(cx: &mut Cx<'_>, header: Site<'d>) -> Option<&'d str> {
    let of_content = || header.get("content")?.entries().next()?.1.get("schema");
    let schema = cx.follow(header.get("schema").or_else(of_content)?)?;
    let only = schema.get("enum").and_then(|values| {
        let mut values = values.elements();
        values.next().filter(|_| values.next().is_none())
    });
    let value = schema.get("default").or(schema.get("const")).or(only)?;
    value.scalar().filter(|text| !text.contains(['\r', '\n', '\0']))
}
