//! What stands at a place of an answer that the operator names.

use wire::json::{Json, Kind};

use super::super::{Answer, Spot};

// === impl Spot ===

impl Spot {
    /// What an answer has there.
    pub(super) fn value(&self, answer: &Answer, body: Option<&Json>) -> Option<Json> {
        match self {
            Self::Header(name) => answer.header(name).map(Json::string),
            Self::Member(path) => at(body?, path),
        }
    }

    /// What it is called there.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Header(name) => name,
            Self::Member(path) => path.rsplit('.').next().unwrap_or(path),
        }
    }
}

/// What stands in a value at the end of a path.
pub(super) fn at(value: &Json, path: &str) -> Option<Json> {
    if path.is_empty() {
        return Some(value.clone());
    }
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    match value.kind() {
        Kind::Object => {
            let object = value.object()?;
            // A name may have dots of its own (`@odata.nextLink`).
            if let Some(value) = object.get(path) {
                return Some(value);
            }
            at(&object.get(first)?, rest)
        }
        Kind::Array => {
            let elements = value.elements()?;
            let index: i64 = first.parse().ok()?;
            let index = match usize::try_from(index) {
                Ok(index) => index,
                Err(_) => {
                    elements.len().checked_sub(usize::try_from(index.unsigned_abs()).ok()?)?
                }
            };
            at(elements.get(index)?, rest)
        }
        _ => None,
    }
}
