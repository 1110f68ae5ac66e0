//! Where the requests of an operation go.

use http::Uri;
use openapi::tool::Tool;
use url::Url;

use super::reserved::name_of;

use crate::http::is_inside;

/// Most servers of a document that count.
const ADDRESSES_MAX: usize = 64;

const WRITE: &str = "the operator must write its address as `url` beside `openapi`, or after `--url` on a command line";

/// Where requests of an operation go, without its path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Base {
    /// Scheme, host, port and the beginning of the path, without `/` at the end.
    prefix: String,
    /// Pairs that the configured URL has, without `?`.
    query: String,
    /// Whether the document says so, and not the operator: it must lead to the public internet.
    pub(super) is_foreign: bool,
}

impl Base {
    /// The bases of one operation, at least one: what the operator says about it, else about the API,
    /// else the document. `document` is where the document was read from, if it is a URL; all of its
    /// servers count if requests are shared out, else the first alone. The error says what the
    /// operator must do.
    pub(super) fn all_of(
        tool: &Tool,
        configured: &[&Url],
        document: Option<&Url>,
        is_shared_out: bool,
    ) -> Result<Vec<Self>, String> {
        let bases = if configured.is_empty() {
            Self::of_document(tool, document, is_shared_out)
        } else {
            Ok(configured.iter().map(|url| Self::of_url(url, false)).collect())
        };
        // What the operator adds to the requests of this tool counts more than what the URL has.
        let is_added = |pair: &str| {
            let name = name_of(pair);
            tool.additions.query.iter().any(|(added, _)| *added == name)
        };
        let bases = bases.map(|mut bases| {
            for base in bases.iter_mut().filter(|base| !base.query.is_empty()) {
                base.query = without(&base.query, is_added);
            }
            bases
        });
        let Some(origin) = &tool.additions.origin else { return bases };
        let (path, query) = match bases.as_deref() {
            Ok([first, ..]) => (path_of(&first.prefix), first.query.clone()),
            _ => ("", String::new()),
        };
        let prefix = format!("{}{path}", origin.trim_end_matches('/'));
        Ok(vec![Self { prefix, query, is_foreign: false }])
    }

    /// The servers that the document names. Where requests are shared out, those that cannot be used
    /// are passed over, as long as one can.
    fn of_document(
        tool: &Tool,
        document: Option<&Url>,
        is_shared_out: bool,
    ) -> Result<Vec<Self>, String> {
        let servers = &tool.operation.servers;
        if servers.is_empty() {
            return Err(format!("the document does not say where the API is; {WRITE}"));
        }
        let count = if is_shared_out { ADDRESSES_MAX } else { 1 };
        let mut bases: Vec<Self> = Vec::new();
        let mut problem = None;
        for server in servers.iter().take(count) {
            match Self::of_server(&server.url, document) {
                Ok(base) if bases.contains(&base) => {}
                Ok(base) => bases.push(base),
                Err(of_this) => problem = problem.or(Some(of_this)),
            }
        }
        problem.filter(|_| bases.is_empty()).map_or(Ok(bases), Err)
    }

    fn of_server(server: &str, document: Option<&Url>) -> Result<Self, String> {
        match Url::parse(server) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
                if !url.username().is_empty() || url.password().is_some() {
                    return Err(format!("the document's address of the API has a user; {WRITE}"));
                }
                let is_own = document.is_some_and(|document| document.origin() == url.origin());
                if let Some(host) = url.host().filter(|host| !is_own && is_inside(host)) {
                    return Err(private(&host.to_string()));
                }
                Ok(Self::of_url(&url, !is_own))
            }
            _ => Err(format!(
                "the document does not say on which host the API is, only `{server}`; {WRITE}"
            )),
        }
    }

    pub(super) fn of_url(url: &Url, is_foreign: bool) -> Self {
        let query = url.query().unwrap_or_default().to_owned();
        let mut url = url.clone();
        url.set_query(None);
        url.set_fragment(None);
        let prefix = url.as_str().trim_end_matches('/').to_owned();
        Self { prefix, query, is_foreign }
    }

    /// The address of one request. `query` are further pairs. The pairs of the configured URL are in
    /// place of those that have their names.
    pub(super) fn uri(&self, path_and_query: &str, query: &[&str]) -> Result<Uri, String> {
        let mut text = String::with_capacity(self.prefix.len() + path_and_query.len() + 32);
        text.push_str(&self.prefix);
        let mut has_query = path_and_query.contains('?');
        match path_and_query.split_once('?').filter(|_| !self.query.is_empty()) {
            None => text.push_str(path_and_query),
            Some((path, given)) => {
                let names: Vec<String> = self.query.split('&').map(name_of).collect();
                let kept = without(given, |pair| names.contains(&name_of(pair)));
                text.push_str(path);
                has_query = !kept.is_empty();
                if has_query {
                    text.push('?');
                    text.push_str(&kept);
                }
            }
        }
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

    /// Scheme, host and port.
    pub(super) fn origin(&self) -> &str {
        &self.prefix[..self.prefix.len() - path_of(&self.prefix).len()]
    }

    /// The address without the path of an operation, for what is shown.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }
}

/// What to do about an API inside, of which the document alone says so.
pub(super) fn private(host: &str) -> String {
    format!(
        "the document says that the API is on `{host}`, a private address; if that is right, the \
         operator must write it, or all addresses of the API, as `url` beside `openapi`, or after \
         `--url` on a command line"
    )
}

/// A query without the pairs that are meant.
fn without(query: &str, is_meant: impl Fn(&str) -> bool) -> String {
    query.split('&').filter(|pair| !is_meant(pair)).collect::<Vec<_>>().join("&")
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
        assert_eq!(
            uri("/pets?key=mine&%6Bey=x&a=b", &[]),
            "https://api.example.com:8443/v1/pets?a=b&key=1"
        );
        assert_eq!(uri("/pets?key=mine", &[]), "https://api.example.com:8443/v1/pets?key=1");
        assert!(base.uri("/a b", &[]).is_err());
        assert_eq!(path_of("https://a.example/v1/x"), "/v1/x");
        assert_eq!(path_of("https://a.example"), "");
        assert_eq!(base.origin(), "https://api.example.com:8443");
        for server in ["http://localhost:8000", "http://10.1.2.3/v1", "http://[::1]"] {
            let document = Url::parse("http://localhost:8000/openapi.json").unwrap();
            assert!(Base::of_server(server, None).unwrap_err().contains("`--url`"), "{server}");
            let is_own = server.starts_with(document.origin().ascii_serialization().as_str());
            assert_eq!(Base::of_server(server, Some(&document)).is_ok(), is_own, "{server}");
        }
        assert!(Base::of_server("https://api.example.com", None).unwrap().is_foreign);
    }
}
