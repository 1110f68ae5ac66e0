//! URIs on composed endpoints: unchanged while unique, else under a scheme that leads back.

/// The scheme of rewritten URIs: `portcullis://SERVER/ORIGINAL`.
const SCHEME: &str = "portcullis://";

/// The URI under which a colliding `uri` of `server` is shown.
pub(super) fn rewritten(server: &str, uri: &str) -> String {
    format!("{SCHEME}{server}/{uri}")
}

/// The server and its own URI, if `uri` is a rewritten one.
pub(super) fn original(uri: &str) -> Option<(&str, &str)> {
    uri.strip_prefix(SCHEME)?.split_once('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rewritten_uri_leads_back() {
        let uri = rewritten("files", "file:///a b?c#d");
        assert_eq!(uri, "portcullis://files/file:///a b?c#d");
        assert_eq!(original(&uri), Some(("files", "file:///a b?c#d")));
        assert_eq!(original("file:///a"), None);
    }
}
