//! What becomes of a successful answer that is not what the tool's `outputSchema` promises.

use std::borrow::Cow;

use bytes::Bytes;
use wire::json::Json;

use super::{Interpreted, status, text_block};

/// What of a value or an answer is not as it was promised, in words that name no value: it goes to the
/// log, too.
pub type Misfit = Cow<'static, str>;

/// Whether a tool of this definition promises anything.
pub(super) fn is_made(definition: &Bytes) -> bool {
    let definition = Json::trusted(definition.clone()).object();
    definition.is_some_and(|definition| definition.get("outputSchema").is_some())
}

/// A result without structured content of a tool that promises it is an error: as a success, clients
/// would throw it away with a message that tells nobody what the API did. What was done must not be
/// done twice because of it, so that is what the result says first.
pub(super) fn settle(result: &mut Interpreted, is_promised: bool, status: Option<u16>) {
    if !is_promised || result.is_error || result.structured.is_some() {
        result.broken = None;
        return;
    }
    let why = result.broken.get_or_insert(Cow::Borrowed("it has no structured content"));
    let status = status.map_or_else(String::new, |it| format!(" (HTTP {})", status::name(it)));
    let sentence = format!(
        "The API carried the request out{status}, but its answer is not what the output schema of \
         this tool promises: {why}. Do not repeat the call on that account: the answer follows as it \
         came."
    );
    result.content.insert(0, text_block(&sentence));
    result.is_error = true;
    result.note("the answer is not what the output schema promises; it is given as text only");
}
