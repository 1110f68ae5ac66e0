//! `application/x-www-form-urlencoded`, as a body and as a whole query.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use wire::json::Json;

use super::{Input, Member, Written, allowed, content_type, encoding_of, members_of, repeated};
use crate::model::{Encoding, Media, Style};
use crate::request::escape::Escape;
use crate::request::file::File;
use crate::request::style::{Pair, Writing};
use crate::request::xml::Shapes;
use crate::request::{ArgumentError, Refusal, value};
use crate::tool::{Content, MediaKind};

pub(super) fn write(
    media: &Media,
    input: &Input<'_>,
    shapes: &Shapes,
) -> Result<Written, ArgumentError> {
    let mut pairs = Vec::new();
    let mut add = |member: &Member<'_>| {
        let written = of_member(member, encoding_of(&media.encoding, member.name), shapes);
        pairs.extend(written.map_err(|refusal| refusal.of(member.argument))?);
        Ok(())
    };
    match input {
        Input::Members(members) => members.iter().try_for_each(&mut add)?,
        Input::Whole { argument, json, .. } => {
            if let Some(text) = json.text() {
                // A form that the client has written itself.
                let bytes = Escape::Literal.text(&text).into();
                let content_type = content_type(media, MediaKind::Form, None);
                return Ok(Written { content_type, bytes });
            }
            let members = value::members(json);
            members_of(argument, &members).try_for_each(|member| add(&member))?;
        }
    }
    let content_type = content_type(media, MediaKind::Form, None);
    Ok(Written { content_type, bytes: join(&pairs).into() })
}

/// The text of a form with the members of an object; anything else is written as its text.
pub(in crate::request) fn text(
    encoding: &[(String, Encoding)],
    json: &Json,
) -> Result<String, Refusal> {
    if let Some(text) = json.text() {
        return Ok(Escape::Literal.text(&text));
    }
    let mut pairs = Vec::new();
    let members = value::members(json);
    for member in members_of("", &members) {
        let own = encoding.iter().find(|(key, _)| key == member.name).map(|(_, it)| it);
        pairs.extend(of_member(&member, own, &Shapes::default())?);
    }
    Ok(join(&pairs))
}

/// `a=1&b=2`.
fn join(pairs: &[Pair]) -> String {
    let mut out = String::new();
    for (key, text) in pairs {
        if !out.is_empty() {
            out.push('&');
        }
        out.push_str(key);
        out.push('=');
        out.push_str(text);
    }
    out
}

fn of_member(
    member: &Member<'_>,
    encoding: Option<&Encoding>,
    shapes: &Shapes,
) -> Result<Vec<Pair>, Refusal> {
    if let Some(writing) = writing(member, encoding, Escape::Component) {
        return writing.pairs(member.name, &member.json);
    }
    let content_type = allowed(encoding).next();
    let mut pairs = Vec::new();
    for json in repeated(&member.json) {
        let text = if member.content == Content::Value {
            super::text_as(content_type, member.name, &json, shapes)?
        } else {
            // A form of text has files as base64.
            let text = json.text().unwrap_or_default();
            if text.starts_with("data:") {
                STANDARD.encode(File::parse(&text)?.bytes)
            } else {
                text.into_owned()
            }
        };
        pairs.push((Escape::Form.text(member.name), Escape::Form.text(&text)));
    }
    Ok(pairs)
}

/// How a style writes the member, if a style does it: one of 2.0 does, and so does an encoding that
/// says any of `style`, `explode` and `allowReserved`.
pub(super) fn writing(
    member: &Member<'_>,
    encoding: Option<&Encoding>,
    escape: Escape,
) -> Option<Writing> {
    if let Some(parameter) = member.parameter {
        return Some(Writing {
            style: parameter.style,
            explode: parameter.explode,
            escape,
            keeps_empty: parameter.is_required || parameter.allow_empty,
        });
    }
    let encoding = encoding?;
    if encoding.style.is_none() && encoding.explode.is_none() && !encoding.allow_reserved {
        return None;
    }
    let style = encoding.style.unwrap_or(Style::Form);
    let is_reserved = encoding.allow_reserved && escape.encodes();
    Some(Writing {
        style,
        explode: encoding.explode.unwrap_or(style == Style::Form),
        escape: if is_reserved { Escape::ReservedQuery } else { escape },
        keeps_empty: false,
    })
}
