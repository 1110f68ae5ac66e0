//! Where the requests of an operation go.

use http::Uri;
use openapi::tool::Tool;
use url::Url;

/// Where the requests of an operation go, without its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Base {
    /// Scheme, host, port and the beginning of the path, without `/` at the end.
    prefix: String,
    /// Pairs that the configured URL has, without `?`.
    query: String,
    /// Whether the document says so, and not the operator: it must lead to the public internet.
    pub(super) is_foreign: bool,
}

impl Base {
    /// The base of one operation: what the operator says about it, else about the API, else the
    /// document. `document` is where the document was read from, if it is a URL. The error says what
    /// the operator must do.
    pub(super) fn of(
        tool: &Tool,
        configured: Option<&Url>,
        document: Option<&Url>,
    ) -> Result<Self, String> {
        let mut base = match configured {
            Some(url) => Ok(Self::of_url(url, false)),
            None => Self::of_document(tool, document),
        };
        if let Some(origin) = &tool.additions.origin {
            let path = match &base {
                Ok(base) => path_of(&base.prefix).to_owned(),
                Err(_) => String::new(),
            };
            let query = base.map(|base| base.query).unwrap_or_default();
            let prefix = format!("{}{path}", origin.trim_end_matches('/'));
            base = Ok(Self { prefix, query, is_foreign: false });
        }
        base
    }

    fn of_document(tool: &Tool, document: Option<&Url>) -> Result<Self, String> {
        const WRITE: &str = "the operator must write its address as `url` beside `openapi`";
        let Some(server) = tool.operation.servers.first() else {
            return Err(format!("the document does not say where the API is; {WRITE}"));
        };
        match Url::parse(&server.url) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
                if !url.username().is_empty() || url.password().is_some() {
                    return Err(format!("the document's address of the API has a user; {WRITE}"));
                }
                let is_own = document.is_some_and(|document| document.origin() == url.origin());
                Ok(Self::of_url(&url, !is_own))
            }
            _ => Err(format!(
                "the document does not say on which host the API is, only `{}`; {WRITE}",
                server.url
            )),
        }
    }

    fn of_url(url: &Url, is_foreign: bool) -> Self {
        let query = url.query().unwrap_or_default().to_owned();
        let mut url = url.clone();
        url.set_query(None);
        url.set_fragment(None);
        let prefix = url.as_str().trim_end_matches('/').to_owned();
        Self { prefix, query, is_foreign }
    }

    /// The address of one request. `query` are further pairs.
    pub(super) fn uri(&self, path_and_query: &str, query: &[&str]) -> Result<Uri, String> {
        let mut text = String::with_capacity(self.prefix.len() + path_and_query.len() + 32);
        text.push_str(&self.prefix);
        text.push_str(path_and_query);
        let mut has_query = path_and_query.contains('?');
        for pair in query.iter().chain([&self.query.as_str()]).filter(|pair| !pair.is_empty()) {
            text.push(if has_query { '&' } else { '?' });
            text.push_str(pair);
            has_query = true;
        }
        let uri = Uri::try_from(text).map_err(|error| format!("its address is none: {error}"))?;
        Ok(uri)
    }

    /// Pairs that every request has, without `?`; may be empty.
    pub(super) fn query(&self) -> &str {
        &self.query
    }

    /// The address without the path of an operation, for what is shown.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }
}

/// The path of a prefix: what follows the host.
fn path_of(prefix: &str) -> &str {
    let after = prefix.find("://").map_or(0, |at| at + 3);
    prefix[after..].find('/').map_or("", |at| &prefix[after + at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_put_together() {
        let url = Url::parse("https://api.example.com:8443/v1/?key=1").unwrap();
        let base = Base::of_url(&url, false);
        let uri = |path, query: &[&str]| base.uri(path, query).unwrap().to_string();
        assert_eq!(uri("/pets", &[]), "https://api.example.com:8443/v1/pets?key=1");
        assert_eq!(
            uri("/pets?a=b", &["c=d"]),
            "https://api.example.com:8443/v1/pets?a=b&c=d&key=1"
        );
        assert!(base.uri("/a b", &[]).is_err());
        assert_eq!(path_of("https://a.example/v1/x"), "/v1/x");
        assert_eq!(path_of("https://a.example"), "");
    }
}
