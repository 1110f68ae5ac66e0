//! Batches of 2025-03-26: split into texts that are then decoded one by one.

use bytes::Bytes;

use super::{Refusal, starts_array};
use crate::json::{Json, Limits};

/// Splits a batch into the texts of its members; `Ok(None)` if the text is no array.
///
/// Only protocol version 2025-03-26 has batches. More than `most` members, or none, is refused.
/// Members are not looked at: each is decoded alone, so that one bad member spoils no other.
pub fn split(text: &Bytes, limits: &Limits, most: usize) -> Result<Option<Vec<Bytes>>, Refusal> {
    if !starts_array(text) {
        return Ok(None);
    }
    let array = Json::parse(text.clone(), limits).map_err(Refusal::Syntax)?;
    let members = array.elements().unwrap_or_default();
    if members.is_empty() {
        return Err(Refusal::Envelope { what: "a batch must not be empty", id: None });
    }
    if members.len() > most {
        let what = "a batch has too many members; split it";
        return Err(Refusal::Envelope { what, id: None });
    }
    Ok(Some(members.into_iter().map(|member| member.bytes().clone()).collect()))
}
