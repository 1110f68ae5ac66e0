//! What a tool answers: the schemas of its success responses as one.

use super::media::MediaKind;
use crate::model::{Media, Operation, Response, Status};
use crate::schema::{Direction, Keywords, Library, Member, Schema};

/// The schema that every success answers to; `None` if one may be without content, is no JSON, or may
/// be anything: what clients are promised must be there.
pub(super) fn schema(library: &mut Library<'_>, operation: &Operation) -> Option<Schema> {
    let successes = successes(operation);
    if successes.is_empty() {
        return None;
    }
    let mut schemas: Vec<Schema> = Vec::new();
    for response in successes {
        // Of several media types JSON is asked for.
        let is_json = |media: &&Media| MediaKind::of(&media.media_type) == MediaKind::Json;
        let mut media = response.media.iter().filter(is_json).peekable();
        media.peek()?;
        for media in media {
            let schema = of_media(library, media)?;
            if !schemas.contains(&schema) {
                schemas.push(schema);
            }
        }
    }
    if schemas.len() == 1 {
        return schemas.pop().map(|schema| typed(library, schema));
    }
    let members = vec![("anyOf", Member::Many(schemas))];
    Some(Schema::Keywords(Keywords { reference: None, members }))
}

/// Whether some success, if not every one, is described as JSON.
pub(super) fn is_described(operation: &Operation) -> bool {
    let is_json = |media: &Media| {
        MediaKind::of(&media.media_type) == MediaKind::Json && media.schema.is_some()
    };
    successes(operation).iter().any(|response| response.media.iter().any(is_json))
}

/// The responses of success: those of 2xx, else the one for everything.
fn successes(operation: &Operation) -> Vec<&Response> {
    let is_success = |response: &&Response| match response.status {
        Status::Code(code) => (200..300).contains(&code),
        Status::Range(digit) => digit == 2,
        Status::Default => false,
    };
    let found: Vec<&Response> = operation.responses.iter().filter(is_success).collect();
    if !found.is_empty() {
        return found;
    }
    let is_default = |response: &&Response| response.status == Status::Default;
    operation.responses.iter().filter(is_default).collect()
}

fn of_media(library: &mut Library<'_>, media: &Media) -> Option<Schema> {
    if media.is_items {
        return None;
    }
    match library.schema(media.schema?.at, "", Direction::Response) {
        Schema::Keywords(keywords) => Some(Schema::Keywords(keywords)),
        _ => None,
    }
}

/// Says beside a reference to an object that it is one, so that clients of older versions, which ask
/// for `type: object` there, need no wrapper.
fn typed(library: &mut Library<'_>, schema: Schema) -> Schema {
    let Schema::Keywords(mut keywords) = schema else { return schema };
    if let Some(reference) = keywords.reference.as_ref().filter(|_| keywords.get("type").is_none())
        && let Schema::Keywords(target) = &*library.target(reference.at, Direction::Response)
        && target.json("type") == Some("\"object\"")
    {
        keywords.set("type", Member::Json("\"object\"".into()));
    }
    Schema::Keywords(keywords)
}
