//! Request bodies, by the rules of their media type.

use bytes::Bytes;
use wire::json::{Json, Kind};

use super::file::{self, File};
use super::xml::{self, Shapes};
use super::{ArgumentError, Refusal, value};
use crate::model::{Encoding, Media, Parameter};
use crate::tool::{Content, MediaKind, recognized};

mod form;
pub(super) use form::text as form_text;
mod multipart;

/// A body as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) content_type: String,
    pub(super) bytes: Bytes,
}

/// What a body is made of.
pub(super) enum Input<'a> {
    /// One argument.
    Whole {
        /// Its name for clients.
        argument: &'a str,
        json: Json,
        content: Content,
    },
    /// Members, of which none stands twice.
    Members(Vec<Member<'a>>),
}

/// A member of a body.
pub(super) struct Member<'a> {
    /// The argument's name for clients.
    pub(super) argument: &'a str,
    /// The name on the wire.
    pub(super) name: &'a str,
    pub(super) json: Json,
    pub(super) content: Content,
    /// How 2.0 writes it.
    pub(super) parameter: Option<&'a Parameter>,
}

/// Writes a body. The boundary separates the parts of a form: it must be unguessable, so that no
/// value can hold it.
pub(super) fn write(
    media: &Media,
    kind: MediaKind,
    input: Input<'_>,
    shapes: &Shapes,
    boundary: &str,
) -> Result<Written, ArgumentError> {
    match kind {
        MediaKind::Form => form::write(media, &input, shapes),
        MediaKind::Multipart => multipart::write(media, &input, shapes, boundary),
        _ => {
            let (argument, json, content) = whole(input);
            let name_argument = |refusal: Refusal| refusal.of(argument);
            let written = match kind {
                MediaKind::Json => Ok((json.bytes().clone(), None)),
                MediaKind::Lines => Ok((lines(&media.media_type, &json), None)),
                MediaKind::Xml => {
                    xml::document(shapes, "root", &json).map(|text| (Bytes::from(text), None))
                }
                MediaKind::Text => Ok((value::text(&json).unwrap_or_default().into(), None)),
                _ => binary(&json, content, media.media_type.trim()),
            };
            let (bytes, stated) = written.map_err(name_argument)?;
            Ok(Written { content_type: content_type(media, kind, stated), bytes })
        }
    }
}

/// The members as one object, made of the texts that the client sent.
fn whole(input: Input<'_>) -> (&str, Json, Content) {
    let members = match input {
        Input::Whole { argument, json, content } => return (argument, json, content),
        Input::Members(members) => members,
    };
    let size: usize = members.iter().map(|it| it.name.len() + it.json.as_bytes().len() + 8).sum();
    let mut out = Vec::with_capacity(size + 2);
    out.push(b'{');
    for (at, member) in members.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        wire::json::write_string(&mut out, member.name);
        out.push(b':');
        out.extend_from_slice(member.json.as_bytes());
    }
    out.push(b'}');
    let argument = members.first().map_or("body", |member| member.argument);
    (argument, Json::trusted(out), Content::Value)
}

/// One JSON text on each line; sequences of RFC 7464 have a separator before each.
fn lines(media_type: &str, json: &Json) -> Bytes {
    let is_sequence =
        media_type.split(';').next().is_some_and(|it| it.trim().ends_with("json-seq"));
    let elements = json.elements().unwrap_or_else(|| vec![json.clone()]);
    let mut out = String::new();
    for element in &elements {
        if is_sequence {
            out.push('\u{1e}');
        }
        out.push_str(&value::compact(element.as_str()));
        out.push('\n');
    }
    out.into()
}

/// Bytes, and the media type that they come with: where the document says only a range, the bytes may
/// tell it, too.
fn binary(
    json: &Json,
    content: Content,
    declared: &str,
) -> Result<(Bytes, Option<String>), Refusal> {
    let (Content::File, Some(text)) = (content, json.text()) else {
        return Ok((value::text(json).unwrap_or_default().into(), None));
    };
    let File { bytes, media_type: stated, .. } = File::parse(&text)?;
    if !declared.contains('*') || stated.as_ref().is_some_and(|it| is_in_range(it, declared)) {
        return Ok((bytes, stated));
    }
    match recognized(&bytes).filter(|it| is_in_range(it, declared)) {
        Some(media_type) => Ok((bytes, Some(media_type.to_owned()))),
        None => Err(Refusal::new(
            format!("nothing says which of `{declared}` it is"),
            "give a `data:` URI that says it, such as `data:image/png;base64,DATA`",
        )),
    }
}

/// The media type that is sent: the document's, or where that is a range the one that the value comes
/// with, if it is in the range.
fn content_type(media: &Media, kind: MediaKind, stated: Option<String>) -> String {
    let declared = media.media_type.trim();
    if !declared.contains('*') && file::is_media_type(declared) {
        return declared.to_owned();
    }
    let stated = stated.filter(|it| is_in_range(it, declared));
    stated.unwrap_or_else(|| {
        let usual = match kind {
            MediaKind::Json => "application/json",
            MediaKind::Xml => "application/xml",
            MediaKind::Text => "text/plain; charset=utf-8",
            MediaKind::Form => "application/x-www-form-urlencoded",
            MediaKind::Multipart => "multipart/form-data",
            MediaKind::Lines => "application/x-ndjson",
            MediaKind::Binary => "application/octet-stream",
        };
        usual.to_owned()
    })
}

/// Whether a media type is one of a range (`image/*`); parameters do not matter.
fn is_in_range(media_type: &str, range: &str) -> bool {
    let essence = |it: &str| it.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let (media_type, range) = (essence(media_type), essence(range));
    match range.strip_suffix('*') {
        Some("*/" | "") => true,
        Some(prefix) => media_type.starts_with(prefix),
        None => media_type == range,
    }
}

fn encoding_of<'m>(encoding: &'m [(String, Encoding)], name: &str) -> Option<&'m Encoding> {
    encoding.iter().find(|(key, _)| key == name).map(|(_, encoding)| encoding)
}

/// The media types that an encoding allows.
fn allowed(encoding: Option<&Encoding>) -> impl Iterator<Item = &str> {
    let list = encoding.and_then(|it| it.content_type.as_deref()).unwrap_or_default();
    list.split(',').map(str::trim).filter(|it| !it.is_empty())
}

/// The members of a body that is one argument.
fn members_of<'a>(
    argument: &'a str,
    members: &'a [(String, Json)],
) -> impl Iterator<Item = Member<'a>> {
    members.iter().map(move |(name, json)| Member {
        argument,
        name,
        json: json.clone(),
        content: Content::Value,
        parameter: None,
    })
}

/// The values that are written one after the other under one name: the elements of a list
/// (OpenAPI 3.2, Encoding By Name), else the value itself. `null` is left out.
fn repeated(json: &Json) -> Vec<Json> {
    let values = json.elements().unwrap_or_else(|| vec![json.clone()]);
    values.into_iter().filter(|it| it.kind() != Kind::Null).collect()
}

/// The text of a value by the media type that its encoding says.
fn text_as(
    content_type: Option<&str>,
    name: &str,
    json: &Json,
    shapes: &Shapes,
) -> Result<String, Refusal> {
    match content_type.map(MediaKind::of) {
        Some(MediaKind::Json) => Ok(value::compact(json.as_str())),
        Some(MediaKind::Xml) => xml::member(shapes, name, json),
        _ => Ok(value::text(json).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests;
