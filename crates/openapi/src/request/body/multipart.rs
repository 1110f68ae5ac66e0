//! `multipart/form-data` (RFC 7578) and its kin: one part for each value.

use wire::json::{Json, Kind};

use super::{
    Input, Member, Written, allowed, encoding_of, form, is_in_range, members_of, repeated, text_as,
};
use crate::model::{Encoding, Media};
use crate::request::escape::Escape;
use crate::request::file::{self, File};
use crate::request::header;
use crate::request::xml::Shapes;
use crate::request::{ArgumentError, Refusal, value};
use crate::tool::{Content, MediaKind};

pub(super) fn write(
    media: &Media,
    input: &Input<'_>,
    shapes: &Shapes,
    boundary: &str,
) -> Result<Written, ArgumentError> {
    let mut parts = Parts { out: Vec::new(), boundary };
    let add = |member: &Member<'_>, parts: &mut Parts<'_>| {
        let encoding = encoding_of(media, member.name);
        parts.member(member, encoding, shapes).map_err(|refusal| refusal.of(member.argument))
    };
    match input {
        Input::Members(members) => {
            members.iter().try_for_each(|member| add(member, &mut parts))?;
        }
        Input::Whole { argument, json, .. } if json.kind() == Kind::Object => {
            let members = value::members(json);
            members_of(argument, &members).try_for_each(|mut member| {
                // No schema says which members are files, so the texts do.
                let text = member.json.text().unwrap_or_default();
                if text.starts_with("data:") && text.contains(";base64,") {
                    member.content = Content::File;
                }
                add(&member, &mut parts)
            })?;
        }
        // Parts without names, in order (OpenAPI 3.2, Encoding By Position).
        Input::Whole { argument, json, .. } => {
            for json in repeated(json) {
                let written = parts.value(None, &json, Content::Value, None, shapes);
                written.map_err(|refusal| refusal.of(argument))?;
            }
        }
    }
    let essence = media.media_type.split(';').next().unwrap_or_default().trim();
    let is_exact = !essence.contains('*') && file::is_media_type(essence);
    let essence = if is_exact { essence } else { "multipart/form-data" };
    Ok(Written {
        content_type: format!("{essence}; boundary={boundary}"),
        bytes: parts.end().into(),
    })
}

struct Parts<'a> {
    out: Vec<u8>,
    boundary: &'a str,
}

/// What stands before the content of a part.
#[derive(Default)]
struct Head<'a> {
    name: Option<&'a str>,
    file_name: Option<String>,
    content_type: Option<String>,
    headers: &'a [(String, String)],
}

impl Parts<'_> {
    fn member(
        &mut self,
        member: &Member<'_>,
        encoding: Option<&Encoding>,
        shapes: &Shapes,
    ) -> Result<(), Refusal> {
        if member.content == Content::Value
            && let Some(writing) = form::writing(member, encoding, Escape::Plain)
        {
            for (name, text) in writing.pairs(member.name, &member.json)? {
                self.part(&Head { name: Some(&name), ..Head::default() }, text.as_bytes());
            }
            return Ok(());
        }
        for json in repeated(&member.json) {
            self.value(Some(member.name), &json, member.content, encoding, shapes)?;
        }
        Ok(())
    }

    fn value(
        &mut self,
        name: Option<&str>,
        json: &Json,
        content: Content,
        encoding: Option<&Encoding>,
        shapes: &Shapes,
    ) -> Result<(), Refusal> {
        let headers = encoding.map(|it| it.headers.as_slice()).unwrap_or_default();
        let stated = allowed(encoding).find(|it| !it.contains('*') && file::is_media_type(it));
        if let Some(text) = json.text()
            && is_file(content, encoding)
        {
            let File { bytes, media_type, name: file_name } = File::parse(&text)?;
            let is_allowed = |it: &String| {
                let mut ranges = allowed(encoding).peekable();
                ranges.peek().is_none() || ranges.any(|range| is_in_range(it, range))
            };
            let content_type = media_type.filter(is_allowed).or(stated.map(str::to_owned));
            let content_type =
                content_type.unwrap_or_else(|| "application/octet-stream".to_owned());
            let file_name = file_name.unwrap_or_else(|| {
                format!("{}{}", name.unwrap_or("file"), file::extension(&content_type))
            });
            let head = Head {
                name,
                file_name: Some(file_name),
                content_type: Some(content_type),
                headers,
            };
            self.part(&head, &bytes);
            return Ok(());
        }
        let is_composite = matches!(json.kind(), Kind::Object | Kind::Array);
        // A text without a type is `text/plain` already (RFC 7578 §4.4).
        let content_type = stated.or(is_composite.then_some("application/json"));
        let text = text_as(content_type, name.unwrap_or("root"), json, shapes)?;
        let content_type = content_type.map(str::to_owned);
        self.part(&Head { name, file_name: None, content_type, headers }, text.as_bytes());
        Ok(())
    }

    fn part(&mut self, head: &Head<'_>, content: &[u8]) {
        let mut text = format!("--{}\r\n", self.boundary);
        if let Some(name) = head.name {
            text.push_str("Content-Disposition: form-data; name=\"");
            quote(&mut text, name);
            text.push('"');
            if let Some(file_name) = &head.file_name {
                text.push_str("; filename=\"");
                // A name, never a path.
                quote(&mut text, file_name.rsplit(['/', '\\']).next().unwrap_or_default());
                text.push('"');
            }
            text.push_str("\r\n");
        }
        if let Some(content_type) = &head.content_type {
            text.push_str("Content-Type: ");
            text.push_str(content_type);
            text.push_str("\r\n");
        }
        for (name, value) in head.headers {
            let is_ours = ["content-disposition", "content-type", "content-length"]
                .iter()
                .any(|own| name.eq_ignore_ascii_case(own));
            if let Ok(value) = header::value(value)
                && header::is_token(name)
                && !is_ours
            {
                text.push_str(name);
                text.push_str(": ");
                text.push_str(&value);
                text.push_str("\r\n");
            }
        }
        self.out.extend_from_slice(text.as_bytes());
        self.out.extend_from_slice(b"\r\n");
        self.out.extend_from_slice(content);
        self.out.extend_from_slice(b"\r\n");
    }

    fn end(mut self) -> Vec<u8> {
        self.out.extend_from_slice(format!("--{}--\r\n", self.boundary).as_bytes());
        self.out
    }
}

/// Whether a text holds a file: the schema says so, or the media type of the part does.
fn is_file(content: Content, encoding: Option<&Encoding>) -> bool {
    let is_binary = |it: &str| MediaKind::of(it) == MediaKind::Binary;
    content != Content::Value || allowed(encoding).next().is_some_and(is_binary)
}

/// A name between quotes, as browsers write it (HTML, multipart/form-data encoding algorithm).
fn quote(out: &mut String, name: &str) {
    for character in name.chars() {
        match character {
            '"' => out.push_str("%22"),
            '\r' => out.push_str("%0D"),
            '\n' => out.push_str("%0A"),
            '\0' => out.push_str("%00"),
            other => out.push(other),
        }
    }
}
