//! The same server as a plain HTTP API: one operation, which answers with as much JSON as is asked for.

use http::Uri;

/// Where the operation is; what is asked for follows, then `/items`.
pub(super) const PREFIX: &str = "/api/shops/";
const SUFFIX: &str = "/items";
/// What a record takes beside the rest of an answer, in bytes.
const RECORD_BYTES: usize = 96;

/// The answer to `GET /api/shops/ECHO/items?size=BYTES`, or nothing if this is about something else.
///
/// It is a list of records, as APIs answer; its text begins with the echo and fills what the records
/// leave.
pub(super) fn items(uri: &Uri, padding: &[u8]) -> Option<Vec<u8>> {
    let echo = uri.path().strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    let size: usize =
        uri.query()?.split('&').find_map(|pair| pair.strip_prefix("size="))?.parse().ok()?;
    let mut text = Vec::with_capacity(size + 128);
    text.extend_from_slice(b"{\"items\":[");
    let mut number = 0_u32;
    // The last tenth is the text.
    while text.len() + RECORD_BYTES < size / 10 * 9 {
        let comma = if number == 0 { "" } else { "," };
        text.extend_from_slice(
            format!(
                r#"{comma}{{"id":{number},"name":"item {number}","price":{number}.5,"available":true,"tags":["a","b"]}}"#
            )
            .as_bytes(),
        );
        number += 1;
    }
    text.extend_from_slice(format!(r#"],"total":{number},"text":"{echo} "#).as_bytes());
    let rest = size.saturating_sub(text.len() + 2).min(padding.len());
    text.extend_from_slice(&padding[..rest]);
    text.extend_from_slice(b"\"}");
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::items;

    #[test]
    fn an_answer_is_as_long_as_asked() {
        let uri = "/api/shops/100000007/items?form=json&size=1024".parse().unwrap();
        let answer = items(&uri, &[b'x'; 4096]).unwrap();
        assert_eq!(answer.len(), 1024);
        let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
        assert!(answer["text"].as_str().unwrap().starts_with("100000007 x"));
        assert_eq!(answer["items"][7]["name"], "item 7");
        assert!(items(&"/s/7/mcp".parse().unwrap(), b"").is_none());
    }
}
