//! Responses: which statuses they describe, and what they may hold.

use std::collections::HashSet;

use super::body;
use super::cx::Cx;
use super::parameter;
use super::site::Site;
use crate::model::{Media, Response, Status};

/// The responses of an operation, in order. What is wrong with one never costs the operation.
pub(super) fn read<'d>(cx: &mut Cx<'_>, operation: Site<'d>, document: Site<'d>) -> Vec<Response> {
    let mut all = Vec::new();
    let Some(responses) = cx.object(operation, "responses") else {
        if operation.get("responses").is_none() {
            cx.note("no-responses", operation, "nothing says what is answered");
        }
        return all;
    };
    let mut seen = HashSet::new();
    for (key, written) in responses.entries().filter(|(key, _)| !key.starts_with("x-")) {
        if !cx.step() {
            break;
        }
        let Some(status) = status(key) else {
            cx.note(
                "odd-status",
                written,
                format!("`{key}` is no status; its response is ignored"),
            );
            continue;
        };
        if !seen.insert(status) || !cx.take_part() {
            continue;
        }
        // What cannot be had is reported, and then nothing is known of the response.
        let site = cx.follow(written).filter(|site| site.is_object());
        let description = site.and_then(|site| cx.described(written, site));
        let media = site.map_or_else(Vec::new, |site| media(cx, site, operation, document));
        all.push(Response { status, description, media });
    }
    all
}

fn media<'d>(
    cx: &mut Cx<'_>,
    site: Site<'d>,
    operation: Site<'d>,
    document: Site<'d>,
) -> Vec<Media> {
    if let Some(content) = cx.object(site, "content") {
        return body::answered_media(cx, content);
    }
    let Some(schema) = site.get("schema").filter(|schema| schema.is_object()) else {
        return Vec::new();
    };
    if !cx.is_20() {
        cx.note(
            "no-content",
            site,
            "a response has `schema` without `content`; it is read as JSON",
        );
    }
    let media_types = body::media_types(cx, "produces", (operation, document));
    let schema = Some(parameter::at_schema(schema));
    let of = |media_type: &str| Media {
        media_type: media_type.to_owned(),
        schema,
        is_items: false,
        encoding: Vec::new(),
        positions: crate::model::Positions::default(),
    };
    body::or_json(media_types).into_iter().map(of).collect()
}

/// `200`, `2XX` or `default`.
fn status(key: &str) -> Option<Status> {
    let key = key.trim();
    if key.eq_ignore_ascii_case("default") {
        return Some(Status::Default);
    }
    let &[hundreds, tens, ones] = key.as_bytes() else { return None };
    if !(b'1'..=b'9').contains(&hundreds) {
        return None;
    }
    match [tens.to_ascii_lowercase(), ones.to_ascii_lowercase()] {
        [b'x', b'x'] => Some(Status::Range(hundreds - b'0')),
        _ => key.parse().ok().map(Status::Code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_codes_ranges_and_the_rest() {
        for (key, expected) in [
            ("200", Some(Status::Code(200))),
            (" 404 ", Some(Status::Code(404))),
            ("2XX", Some(Status::Range(2))),
            ("5xx", Some(Status::Range(5))),
            ("default", Some(Status::Default)),
            ("Default", Some(Status::Default)),
            ("2X0", None),
            ("099", None),
            ("+20", None),
            ("2000", None),
            ("ok", None),
            ("", None),
        ] {
            assert_eq!(status(key), expected, "{key}");
        }
    }
}
