//! What a request shows to be let in: which alternative of an operation's security is served, and by
//! which of the configured credentials.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use config::SchemeCredentials;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use openapi::model::{Location, Operation, Requirement, Scheme, SchemeKind};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::base::Base;
use super::token::{Tokens, Wanted};
use super::way::Way;

/// One thing that a request shows. It does not print.
#[derive(Clone)]
pub(super) enum Credential {
    /// A header, marked sensitive.
    Header(HeaderName, HeaderValue),
    /// A pair of the query, encoded.
    Query(String),
    /// A pair of the `Cookie` header.
    Cookie(String),
    /// A token that is fetched when it is needed.
    Token(Arc<Tokens>),
    /// What the connection shows: a client certificate.
    Connection,
}

impl Credential {
    /// Whether a request cannot show both: they are different, and sent in the same place.
    fn excludes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Header(name, value), Self::Header(other, its)) => name == other && value != its,
            (Self::Query(pair), Self::Query(other)) | (Self::Cookie(pair), Self::Cookie(other)) => {
                name_of(pair) == name_of(other) && pair != other
            }
            (Self::Token(tokens), Self::Token(other)) => !Arc::ptr_eq(tokens, other),
            (Self::Token(_), Self::Header(name, _)) | (Self::Header(name, _), Self::Token(_)) => {
                *name == AUTHORIZATION
            }
            _ => false,
        }
    }
}

/// The name of a pair, encoded.
fn name_of(pair: &str) -> &str {
    pair.split_once('=').map_or(pair, |(name, _)| name)
}

/// Everything but what needs no encoding in a query (RFC 3986, unreserved).
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What the requests of an operation show, which is served at `base`: the first alternative that can
/// be served. The error says what the operator must configure.
pub(super) fn of(
    operation: &Operation,
    base: Option<&Base>,
    schemes: &[Scheme],
    way: &Way,
) -> Result<Vec<Credential>, String> {
    if operation.security.is_empty() {
        return Ok(Vec::new());
    }
    let mut problems = Vec::new();
    let mut is_open = false;
    let mut without_undeclared = None;
    for alternative in &operation.security {
        if alternative.is_empty() {
            is_open = true;
            continue;
        }
        let (mut all, mut missing, mut is_complete) = (Vec::new(), Vec::new(), true);
        let mut names: Vec<&str> = Vec::new();
        for requirement in alternative {
            match one(requirement, base, schemes, way) {
                Ok(Some(credential)) => {
                    let clash =
                        all.iter().position(|other: &Credential| other.excludes(&credential));
                    if let Some(other) = clash {
                        let (first, second) = (names[other], &requirement.scheme);
                        missing.push(format!(
                            "the API demands `{first}` and `{second}` at once, but both are sent as \
                             the same header, parameter or cookie, of which a request has one"
                        ));
                    }
                    names.push(&requirement.scheme);
                    all.push(credential);
                }
                Ok(None) => is_complete = false,
                Err(problem) => missing.push(problem),
            }
        }
        match (missing.is_empty(), is_complete) {
            (true, true) => return Ok(all),
            (true, false) => without_undeclared = without_undeclared.or(Some(all)),
            (false, _) => problems.push(missing.join("; and ")),
        }
    }
    // What the operator sends with every request may well be what is demanded.
    if is_open || way.has_own_credentials {
        return Ok(without_undeclared.unwrap_or_default());
    }
    // The document demands what it does not declare: nobody can say what is missing, if anything is.
    if let Some(all) = without_undeclared {
        return Ok(all);
    }
    problems.dedup();
    Err(problems.join("; or "))
}

/// What satisfies one requirement; `None` if nothing declares what it is, and nothing is configured for it.
fn one(
    requirement: &Requirement,
    base: Option<&Base>,
    schemes: &[Scheme],
    way: &Way,
) -> Result<Option<Credential>, String> {
    let name = &requirement.scheme;
    let Some(scheme) = schemes.iter().find(|scheme| scheme.name == *name) else {
        return Ok(None);
    };
    let key = format!("`servers.{}.credentials.schemes.{name}`", way.server);
    let missing = |what: &str| {
        format!(
            "the API demands `{name}` ({}); the operator must set {key} to {what}",
            kind(scheme)
        )
    };
    let given = way.schemes.get(name);
    let credential = match (&scheme.kind, given) {
        (SchemeKind::Undeclared, None) => return Ok(None),
        (SchemeKind::MutualTls, _) if way.has_certificate => Ok(Credential::Connection),
        (SchemeKind::MutualTls, _) => Err(format!(
            "the API demands `{name}` (a client certificate); the operator must set \
             `servers.{}.tls.certificate` and `key`",
            way.server
        )),
        (SchemeKind::ApiKey { location, name }, Some(SchemeCredentials::Value { value })) => {
            placed(*location, name, value.expose())
        }
        (
            SchemeKind::Basic | SchemeKind::Undeclared,
            Some(SchemeCredentials::Basic { username, password }),
        ) => {
            let pair = BASE64.encode(format!("{}:{}", username.expose(), password.expose()));
            authorization("Basic", &pair)
        }
        (SchemeKind::Basic, _) => Err(missing("`{ username: …, password: … }`")),
        // A token that the operator has is as good as one that is fetched.
        (
            SchemeKind::Bearer
            | SchemeKind::OAuth2 { .. }
            | SchemeKind::OpenIdConnect(_)
            | SchemeKind::Undeclared,
            Some(SchemeCredentials::Value { value }),
        ) => authorization("Bearer", value.expose()),
        (SchemeKind::Http(scheme), Some(SchemeCredentials::Value { value })) => {
            authorization(scheme, value.expose())
        }
        (SchemeKind::ApiKey { .. } | SchemeKind::Bearer | SchemeKind::Http(_), _) => {
            Err(missing("`{ value: … }`"))
        }
        (SchemeKind::OAuth2 { token_url }, Some(SchemeCredentials::Client(client))) => {
            let wanted = Wanted::new(client, token_url.as_deref(), base, &requirement.scopes)
                .map_err(|problem| format!("{key}: {problem}"))?;
            Ok(Credential::Token(way.tokens_of(name, wanted)))
        }
        (
            SchemeKind::OpenIdConnect(_) | SchemeKind::Undeclared,
            Some(SchemeCredentials::Client(client)),
        ) => {
            let wanted = Wanted::new(client, None, base, &requirement.scopes)
                .map_err(|problem| format!("{key}: {problem}"))?;
            Ok(Credential::Token(way.tokens_of(name, wanted)))
        }
        (SchemeKind::OAuth2 { .. } | SchemeKind::OpenIdConnect(_), _) => {
            Err(missing("`{ client_id: …, client_secret: … }` or `{ value: … }`, a token"))
        }
        (SchemeKind::Other(what), _) => Err(format!(
            "the API demands `{name}` (`{what}`), which the gate cannot serve; if it takes a fixed \
             header as well, the operator can set `servers.{}.credentials.header`",
            way.server
        )),
    };
    credential.map(Some)
}

fn kind(scheme: &Scheme) -> String {
    match &scheme.kind {
        SchemeKind::ApiKey { location, name } => {
            let place = match location {
                Location::Query => "parameter",
                Location::Cookie => "cookie",
                _ => "header",
            };
            format!("a key in the {place} `{name}`")
        }
        SchemeKind::Basic => "user and password".to_owned(),
        SchemeKind::Bearer => "a bearer token".to_owned(),
        SchemeKind::Http(scheme) => format!("a credential of the HTTP scheme `{scheme}`"),
        SchemeKind::OAuth2 { .. } => "OAuth 2.0".to_owned(),
        SchemeKind::OpenIdConnect(_) => "OpenID Connect".to_owned(),
        SchemeKind::MutualTls => "a client certificate".to_owned(),
        SchemeKind::Other(what) => format!("`{what}`"),
        SchemeKind::Undeclared => "which the document does not declare".to_owned(),
    }
}

fn placed(location: Location, name: &str, value: &str) -> Result<Credential, String> {
    let encoded = |text: &str| utf8_percent_encode(text, QUERY).to_string();
    match location {
        Location::Query => Ok(Credential::Query(format!("{}={}", encoded(name), encoded(value)))),
        Location::Cookie => Ok(Credential::Cookie(format!("{}={}", name, encoded(value)))),
        _ => {
            let header = HeaderName::try_from(name)
                .map_err(|_| format!("the document names a header `{name}`, which is none"))?;
            Ok(Credential::Header(header, sensitive(value)?))
        }
    }
}

fn authorization(scheme: &str, value: &str) -> Result<Credential, String> {
    Ok(Credential::Header(AUTHORIZATION, sensitive(&format!("{scheme} {value}"))?))
}

/// A value that nothing prints.
pub(super) fn sensitive(value: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| "a credential has characters that no header can carry".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

/// The schemes that are configured and that the document does not have, for the log.
pub(super) fn unknown<'s>(
    configured: &'s BTreeMap<String, SchemeCredentials>,
    schemes: &[Scheme],
) -> Vec<&'s str> {
    let is_unknown = |name: &&String| !schemes.iter().any(|scheme| scheme.name == **name);
    configured.keys().filter(is_unknown).map(String::as_str).collect()
}
