//! The last touch on a result: what each era adds around what the server said.

use bytes::Bytes;
use serde_json::{Value, json};
use wire::{Era, Object, meta};

/// How long a result stays true, and for whom (2026-07-28, caching).
#[derive(Clone, Copy)]
pub(in crate::example) struct Freshness {
    /// How long a client may keep the result, in milliseconds.
    pub(in crate::example) ttl_ms: u64,
    /// `public`, or `private` where it must not be shared between callers.
    pub(in crate::example) scope: &'static str,
}

/// Makes the result of `era` from its own members.
pub(super) fn finish(
    era: Era,
    mut result: Value,
    freshness: Option<Freshness>,
    server: &Value,
) -> Object {
    if era == Era::Modern {
        result["resultType"] = "complete".into();
        result["_meta"] = json!({ meta::SERVER_INFO: server });
        if let Some(freshness) = freshness {
            result["ttlMs"] = freshness.ttl_ms.into();
            result["cacheScope"] = freshness.scope.into();
        }
    }
    Object::of_valid(&Bytes::from(result.to_string())).expect("a result is an object")
}
