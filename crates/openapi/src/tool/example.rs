//! Examples that stand beside a schema: of a parameter, or of a body as a whole.

use super::argument::annotate;
use crate::document::Documents;
use crate::model::{At, Body, Media};
use crate::schema::scalar::Types;
use crate::schema::{Direction, Keywords, Library, Member, Schema};
use crate::tree::Value;

/// Longest example in bytes that is told about one argument.
const EXAMPLE_LEN_MAX: usize = 500;

/// Tells the examples of a parameter, unless its schema has some.
pub(super) fn of_parameter(library: &mut Library<'_>, at: At, schema: &mut Schema) {
    let documents = library.documents();
    if let Some(example) = beside(documents, at, documents.value(at)) {
        tell(library, schema, example);
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
pub(super) fn of_member(
    library: &mut Library<'_>,
    example: Option<Value<'_>>,
    name: &str,
    schema: &mut Schema,
) {
    if let Some(example) = example.and_then(|example| example.get(name)) {
        tell(library, schema, example);
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

/// Says an example, unless the schema has some, says more than an example could, or is of another
/// type.
pub(super) fn tell(library: &mut Library<'_>, schema: &mut Schema, example: Value<'_>) {
    let says = |keywords: &Keywords| {
        ["examples", "enum", "const"].iter().any(|key| keywords.get(key).is_some())
    };
    let mut types = Types::default();
    if let Schema::Keywords(keywords) = &*schema {
        let reference = keywords.reference.as_ref();
        let target = reference.map(|reference| library.target(reference.at, Direction::Request));
        let target = match target.as_deref() {
            Some(Schema::Keywords(target)) => target,
            _ => keywords,
        };
        if says(keywords) || says(target) {
            return;
        }
        types = Types::of(target);
    }
    if let Some(text) = types.example(example)
        && text.len() <= EXAMPLE_LEN_MAX
        && text != "null"
    {
        annotate(schema, "examples", Member::Json(format!("[{text}]").into()));
    }
}
