//! `multipart/form-data` (RFC 7578) and its kin: one part for each value.

use wire::json::{Json, Kind};

use super::{
    Input, Member, Written, allowed, encoding_of, form, is_in_range, members_of, repeated, text_as,
};
use crate::model::{Encoding, Inner, Media, Positions};
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
    let mut parts = Parts { out: Vec::new(), boundary, nested: 0 };
    match input {
        Input::Members(members) => {
            for member in members {
                let encoding = encoding_of(&media.encoding, member.name);
                let written = parts.member(member, encoding, shapes);
                written.map_err(|refusal| refusal.of(member.argument))?;
            }
        }
        Input::Whole { argument, json, .. } => {
            let written = parts.whole(json, &media.encoding, &media.positions, shapes);
            written.map_err(|refusal| refusal.of(argument))?;
        }
    }
    let essence = essence(&media.media_type);
    let is_exact = !essence.contains('*') && file::is_media_type(essence);
    let essence = if is_exact { essence } else { "multipart/form-data" };
    Ok(Written {
        content_type: format!("{essence}; boundary={boundary}"),
        bytes: parts.end().into(),
    })
}

fn essence(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or_default().trim()
}

struct Parts<'a> {
    out: Vec<u8>,
    boundary: &'a str,
    /// How many parts are multipart themselves.
    nested: usize,
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
    /// The members of an object, each under its name, or the elements of a list, which have none
    /// (OpenAPI 3.2, Encoding By Position).
    fn whole(
        &mut self,
        json: &Json,
        encoding: &[(String, Encoding)],
        positions: &Positions,
        shapes: &Shapes,
    ) -> Result<(), Refusal> {
        if json.kind() == Kind::Object {
            let members = value::members(json);
            return members_of("", &members).try_for_each(|mut member| {
                // No schema says which members are files, so the texts do.
                let text = member.json.text().unwrap_or_default();
                if text.starts_with("data:") && text.contains(";base64,") {
                    member.content = Content::File;
                }
                self.member(&member, encoding_of(encoding, member.name), shapes)
            });
        }
        for (position, json) in repeated(json).iter().enumerate() {
            self.value(None, json, Content::Value, positions.at(position), shapes)?;
        }
        Ok(())
    }

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
        // A part that is multipart itself has all elements of a list in it.
        if encoding.is_some_and(is_multipart) {
            return self.value(Some(member.name), &member.json, member.content, encoding, shapes);
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
        if let Some(encoding) = encoding.filter(|it| is_composite && is_multipart(it)) {
            return self.nested(name, json, encoding, shapes);
        }
        // A text without a type is `text/plain` already (RFC 7578 §4.4).
        let content_type = stated.or(is_composite.then_some("application/json"));
        let text = text_as(content_type, name.unwrap_or("root"), json, shapes)?;
        let content_type = content_type.map(str::to_owned);
        self.part(&Head { name, file_name: None, content_type, headers }, text.as_bytes());
        Ok(())
    }

    /// A part that is multipart itself. Its boundary does not begin with the one around it, which
    /// readers might take for that one (RFC 2046 §5.1.2).
    fn nested(
        &mut self,
        name: Option<&str>,
        json: &Json,
        encoding: &Encoding,
        shapes: &Shapes,
    ) -> Result<(), Refusal> {
        self.nested += 1;
        let boundary = format!("in{}-{}", self.nested, self.boundary);
        let mut parts = Parts { out: Vec::new(), boundary: &boundary, nested: 0 };
        let none = Inner::default();
        let Inner { encoding: by_name, positions } = encoding.inner.as_deref().unwrap_or(&none);
        parts.whole(json, by_name, positions, shapes)?;
        let stated = allowed(Some(encoding)).next().map_or("multipart/mixed", essence);
        let essence = if stated.contains('*') { "multipart/mixed" } else { stated };
        let content_type = Some(format!("{essence}; boundary={boundary}"));
        let content = parts.end();
        self.part(
            &Head { name, file_name: None, content_type, headers: &encoding.headers },
            &content,
        );
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
            // What has no name may be given one by the document.
            let is_ours = ["content-type", "content-length", "content-disposition"]
                .iter()
                .take(if head.name.is_some() { 3 } else { 2 })
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

/// Whether a part is multipart itself.
fn is_multipart(encoding: &Encoding) -> bool {
    let first = allowed(Some(encoding)).next();
    first.map_or(encoding.inner.is_some(), |it| MediaKind::of(it) == MediaKind::Multipart)
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
