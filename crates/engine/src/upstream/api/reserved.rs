//! Names in a request that are the gate's: no argument of a client gives a pair or a cookie the name of
//! a credential, of which many servers would believe the first.

use std::borrow::Cow;

use http::header::COOKIE;
use openapi::model::Location;
use openapi::request::Built;
use openapi::tool::{Source, Tool, Value};
use percent_encoding::percent_decode_str;

use super::access::Credential;

/// The names of the credentials of one operation that its arguments could take.
pub(super) struct Reserved {
    /// Of pairs of the query, decoded.
    query: Vec<String>,
    /// Of cookies.
    cookies: Vec<String>,
}

impl Reserved {
    /// `None` where no argument could take a name, so that nothing has to be looked at.
    pub(super) fn of(tool: &Tool, access: &[Credential]) -> Option<Self> {
        let (mut query, mut cookies) = (Vec::new(), Vec::new());
        for credential in access {
            match credential {
                Credential::Query(pair) => query.push(name_of(pair)),
                Credential::Cookie(pair) => cookies.push(name_of(pair)),
                Credential::Header(..) | Credential::Token(_) | Credential::Connection => {}
            }
        }
        // What the operator adds is meant.
        let is_added = |name: &String| tool.additions.query.iter().any(|(added, _)| added == name);
        query.retain(|name| !is_added(name));
        let parameters = tool.arguments.iter().filter_map(|argument| match argument.source {
            Source::Parameter(at) if is_given(&argument.value) => tool.operation.parameters.get(at),
            _ => None,
        });
        let (mut in_query, mut in_cookies) = (false, false);
        for parameter in parameters {
            match parameter.location {
                Location::Query | Location::QueryString => in_query = true,
                Location::Cookie => in_cookies = true,
                Location::Header => {
                    in_cookies |= parameter.name.eq_ignore_ascii_case(COOKIE.as_str());
                }
                Location::Path | Location::Form => {}
            }
        }
        query.retain(|_| in_query);
        cookies.retain(|_| in_cookies);
        (!query.is_empty() || !cookies.is_empty()).then_some(Self { query, cookies })
    }

    /// The name of a credential that an argument has taken.
    pub(super) fn taken_in(&self, built: &Built) -> Option<&str> {
        let query = built.path_and_query.split_once('?').map_or("", |(_, query)| query);
        let in_query = taken(&self.query, query, &['&', ';']);
        in_query.or_else(|| {
            let cookies = built.headers.iter();
            let mut cookies =
                cookies.filter(|(name, _)| name.eq_ignore_ascii_case(COOKIE.as_str()));
            cookies.find_map(|(_, value)| taken(&self.cookies, value, &[';', ',']))
        })
    }
}

fn is_given(value: &Value) -> bool {
    matches!(value, Value::Given | Value::Default(_))
}

/// Which of the names a pair has, however a server may read it: some take upper case for lower case,
/// and `name[…]` for a part of `name`.
fn taken<'n>(names: &'n [String], pairs: &str, separators: &[char]) -> Option<&'n str> {
    let pairs = pairs.split(separators).map(name_of);
    let mut taken = pairs.filter_map(|found| names.iter().find(|name| is_same(&found, name)));
    taken.next().map(String::as_str)
}

fn is_same(found: &str, name: &str) -> bool {
    let found = found.trim();
    let begin = found.get(..name.len()).filter(|begin| begin.eq_ignore_ascii_case(name));
    begin.is_some_and(|begin| matches!(found.as_bytes().get(begin.len()), None | Some(b'[')))
}

/// The decoded name of a pair.
pub(super) fn name_of(pair: &str) -> String {
    let name = pair.split_once('=').map_or(pair, |(name, _)| name);
    let name: Cow<'_, str> =
        if name.contains('+') { name.replace('+', " ").into() } else { name.into() };
    percent_decode_str(name.trim()).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_however_they_are_written() {
        let reserved =
            Reserved { query: vec!["api key".to_owned()], cookies: vec!["sid".to_owned()] };
        let taken = |path: &str, cookie: &str| {
            let built = Built {
                method: "GET".to_owned(),
                path_and_query: path.to_owned(),
                headers: vec![("Cookie".to_owned(), cookie.to_owned())],
                content_type: None,
                body: bytes::Bytes::new(),
            };
            reserved.taken_in(&built).map(str::to_owned)
        };
        for path in [
            "/x?api%20key=1",
            "/x?a=b&api+key=1",
            "/x?a=b;API%20KEY",
            "/x?%61pi%20key%5Ba%5D=1",
            "/x?%20api%20key=1",
        ] {
            assert_eq!(taken(path, "").as_deref(), Some("api key"), "{path}");
        }
        for path in ["/api%20key=1", "/x?q=api%20key", "/x?api%20keys=1", "/x?api=key", "/x?"] {
            assert_eq!(taken(path, ""), None, "{path}");
        }
        for cookie in ["sid=1", "a=b; SID=1", "a=b,s%69d=1", "sid"] {
            assert_eq!(taken("/x", cookie).as_deref(), Some("sid"), "{cookie}");
        }
        for cookie in ["", "a=sid", "sid2=1; asid=2"] {
            assert_eq!(taken("/x?sid=1", cookie), None, "{cookie}");
        }
    }
}
