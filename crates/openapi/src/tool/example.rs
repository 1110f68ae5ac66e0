//! Examples that stand beside a schema: of a parameter, or of a body as a whole.

use super::argument::annotate;
use crate::document::Documents;
use crate::model::{At, Body, Media};
use crate::schema::{Library, Member, Schema};
use crate::tree::{Kind, Value};

/// Longest example in bytes that is told about one argument.
const EXAMPLE_LEN_MAX: usize = 500;

/// Tells the examples of a parameter, unless its schema has some.
pub(super) fn of_parameter(documents: &Documents, at: At, schema: &mut Schema) {
    if let Some(example) = beside(documents, at, documents.value(at)) {
        tell(schema, example);
    }
}

/// The example of a body: its media type's, else its schema's.
pub(super) fn of_body<'d>(library: &Library<'d>, body: &Body, media: &Media) -> Option<Value<'d>> {
    let documents = library.documents();
    let content = documents.value(body.at).get("content");
    let written = content.and_then(|content| content.get(&media.media_type));
    let of_media = written.and_then(|written| beside(documents, body.at, written));
    of_media.or_else(|| {
        let schema = library.resolved(media.schema?.at)?;
        let schema = documents.value(schema);
        let listed = schema.get("examples").and_then(|examples| examples.element(0));
        schema.get("example").or(listed).or_else(|| schema.get("x-example"))
    })
}

/// The example of a member of a body, from the example of the whole.
pub(super) fn of_member(example: Option<Value<'_>>, name: &str, schema: &mut Schema) {
    if let Some(example) = example.and_then(|example| example.get(name)) {
        tell(schema, example);
    }
}

/// `example`, or the first of `examples`, which are objects with a `value` there.
fn beside<'d>(documents: &'d Documents, at: At, value: Value<'d>) -> Option<Value<'d>> {
    let named = || {
        let (_, first) = value.get("examples")?.entries().next()?;
        let first = documents.resolve(At { node: first.id(), ..at }).ok()?;
        let first = documents.value(first.at);
        first.get("value").or_else(|| first.get("dataValue"))
    };
    value.get("example").or_else(named).or_else(|| value.get("x-example"))
}

/// Says an example, unless the schema has some, or says more than an example could.
pub(super) fn tell(schema: &mut Schema, example: Value<'_>) {
    let has_better = match &*schema {
        Schema::Keywords(keywords) => {
            ["examples", "enum", "const"].iter().any(|key| keywords.get(key).is_some())
        }
        _ => false,
    };
    if has_better || example.kind() == Kind::Null {
        return;
    }
    let mut text = b"[".to_vec();
    example.write_json(&mut text);
    text.push(b']');
    if text.len() <= EXAMPLE_LEN_MAX {
        let text = String::from_utf8(text).expect("JSON text is UTF-8");
        annotate(schema, "examples", Member::Json(text.into()));
    }
}
