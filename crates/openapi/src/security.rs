//! How requests may be allowed: security schemes, and which of them operations demand.

use std::collections::HashMap;

use crate::model::{Dialect, Location, Requirement, Scheme, SchemeKind};
use crate::operation::cx::Cx;
use crate::operation::site::Site;

/// Most alternatives, and most schemes of one, that are read.
const PARTS_MAX: usize = 100;

/// The header of credentials.
const HEADER: &str = "Authorization";

/// Schemes of HTTP that answer a challenge or sign the request, so that no fixed value serves them, in
/// lower case.
const COMPUTED: [&str; 15] = [
    "aws4-hmac-sha256",
    "concealed",
    "digest",
    "dpop",
    "gnap",
    "hmac",
    "hoba",
    "mutual",
    "negotiate",
    "ntlm",
    "oauth",
    "scram-sha-1",
    "scram-sha-256",
    "signature",
    "vapid",
];

/// The schemes of a document.
pub(crate) struct Schemes {
    /// In order.
    pub(crate) all: Vec<Scheme>,
    /// Where each stands in `all`, by name.
    known: HashMap<String, usize>,
    /// The scheme that sends what a parameter `Authorization` declares.
    authorization: Option<String>,
}

impl Schemes {
    /// Reads the schemes. What cannot be served is among them, and reported.
    pub(crate) fn read(cx: &mut Cx<'_>, root: Site<'_>) -> Self {
        let mut schemes = Self { all: Vec::new(), known: HashMap::new(), authorization: None };
        let holder = if cx.is_20() { Some(root) } else { cx.object(root, "components") };
        let key = if cx.is_20() { "securityDefinitions" } else { "securitySchemes" };
        let declared = holder.and_then(|holder| cx.object(holder, key));
        for (name, written) in declared.into_iter().flat_map(Site::entries) {
            schemes.add(cx, name, written);
        }
        schemes
    }

    fn add(&mut self, cx: &mut Cx<'_>, name: &str, written: Site<'_>) {
        let site = cx.follow(written).unwrap_or(written);
        let Some(kept) = cx.keep(name).filter(|_| cx.take_part()) else { return };
        let kind = kind(cx, site);
        report(cx, site, name, &kind);
        self.known.insert(kept.clone(), self.all.len());
        self.all.push(Scheme { name: kept, kind, description: cx.described(written, site) });
    }

    /// The header (in lower case), pair or cookie in which a scheme sends its credential.
    pub(crate) fn carrier(&self, name: &str) -> Option<(Location, String)> {
        match &self.all[*self.known.get(name)?].kind {
            SchemeKind::ApiKey { location: Location::Header, name } => {
                Some((Location::Header, name.to_ascii_lowercase()))
            }
            SchemeKind::ApiKey { location, name } => Some((*location, name.clone())),
            SchemeKind::Basic
            | SchemeKind::Bearer
            | SchemeKind::Http(_)
            | SchemeKind::OAuth2 { .. }
            | SchemeKind::OpenIdConnect(_) => Some((Location::Header, "authorization".to_owned())),
            SchemeKind::MutualTls | SchemeKind::Other(_) | SchemeKind::Undeclared => None,
        }
    }

    /// What an operation demands that declares the header `Authorization` as a parameter: one of the
    /// combinations, with the credential for that header where none of its schemes sends one.
    pub(crate) fn with_authorization(
        &mut self,
        cx: &mut Cx<'_>,
        parameter: Site<'_>,
        is_required: bool,
        security: Vec<Vec<Requirement>>,
    ) -> Vec<Vec<Requirement>> {
        let mut security = security;
        if security.is_empty() {
            security.push(Vec::new());
        }
        if security.iter().all(|alternative| self.sends_authorization(alternative)) {
            let message = "header parameter `Authorization` is what a security scheme sends";
            cx.note("credential-argument", parameter, message);
            return security;
        }
        let scheme = self.authorization(cx, parameter);
        let message = format!(
            "header parameter `Authorization` is a credential: it is sent as the security scheme \
             `{scheme}` from the configuration, and is no argument"
        );
        cx.note("credential-argument", parameter, message);
        let mut all = Vec::with_capacity(security.len() * 2);
        let mut without = Vec::new();
        for mut alternative in security {
            let texts = alternative.iter().map(|one| one.scheme.as_str());
            if self.sends_authorization(&alternative) || !cx.charge(texts) {
                all.push(alternative);
                continue;
            }
            if !is_required {
                without.push(alternative.clone());
            }
            alternative.push(Requirement { scheme: scheme.clone(), scopes: Vec::new() });
            all.push(alternative);
        }
        all.append(&mut without);
        all
    }

    /// Whether one of the schemes sends the header `Authorization`, or may well do so.
    fn sends_authorization(&self, alternative: &[Requirement]) -> bool {
        let known = alternative.iter().filter_map(|one| self.known.get(&one.scheme));
        known.map(|&at| &self.all[at].kind).any(|kind| match kind {
            SchemeKind::ApiKey { location, name } => {
                *location == Location::Header && name.eq_ignore_ascii_case(HEADER)
            }
            SchemeKind::Basic
            | SchemeKind::Bearer
            | SchemeKind::Http(_)
            | SchemeKind::OAuth2 { .. }
            | SchemeKind::OpenIdConnect(_)
            | SchemeKind::Other(_) => true,
            SchemeKind::MutualTls | SchemeKind::Undeclared => false,
        })
    }

    /// The scheme of a parameter `Authorization`: the document's, if it has exactly one for this header, else
    /// one that sends the header as it is configured.
    fn authorization(&mut self, cx: &mut Cx<'_>, parameter: Site<'_>) -> String {
        if let Some(known) = &self.authorization {
            return known.clone();
        }
        let header = (Location::Header, "authorization".to_owned());
        let mut candidates =
            self.all.iter().filter(|one| self.carrier(&one.name).as_ref() == Some(&header));
        let name = match (candidates.next(), candidates.next()) {
            (Some(only), None) => only.name.clone(),
            _ => self.add_authorization(cx, parameter),
        };
        self.authorization = Some(name.clone());
        name
    }

    fn add_authorization(&mut self, cx: &mut Cx<'_>, parameter: Site<'_>) -> String {
        let mut name = HEADER.to_owned();
        while self.known.contains_key(&name) {
            name.push('_');
        }
        let kind = SchemeKind::ApiKey { location: Location::Header, name: HEADER.to_owned() };
        self.known.insert(name.clone(), self.all.len());
        let description = cx.text(parameter, "description");
        self.all.push(Scheme { name: name.clone(), kind, description });
        name
    }

    /// What a document or an operation demands; `None` if it says nothing.
    pub(crate) fn demanded(
        &mut self,
        cx: &mut Cx<'_>,
        holder: Site<'_>,
    ) -> Option<Vec<Vec<Requirement>>> {
        let written = cx.follow(holder.get("security")?)?;
        if written.is_object() {
            let message = "`security` should be a list; the object is read as the only alternative";
            cx.warn("wrong-type", written, message);
            return Some(vec![self.alternative(cx, written)]);
        }
        let list = cx.list(holder, "security")?;
        let mut all = Vec::new();
        for element in list.elements().take(PARTS_MAX) {
            if element.is_object() {
                all.push(self.alternative(cx, element));
            } else if let Some(name) = element.as_str() {
                let message =
                    format!("`{name}` should be an object (`{name}: []`); it is read as one");
                cx.warn("wrong-type", element, message);
                self.look_up(cx, name, written, element);
                let scheme = cx.keep(name).unwrap_or_default();
                all.push(vec![Requirement { scheme, scopes: Vec::new() }]);
            } else {
                let found = element.kind_name();
                let message = format!("an alternative of `security` is an object, not {found}");
                cx.warn("wrong-type", element, message);
            }
        }
        Some(all)
    }

    fn alternative(&mut self, cx: &mut Cx<'_>, site: Site<'_>) -> Vec<Requirement> {
        let mut all = Vec::new();
        for (name, scopes) in site.entries().take(PARTS_MAX) {
            if !self.look_up(cx, name, site, scopes) && name.starts_with("x-") {
                continue;
            }
            let Some(scheme) = cx.keep(name).filter(|_| cx.take_part()) else { break };
            let scopes = if scopes.is_null() { Vec::new() } else { cx.words(site, name) };
            let scopes = scopes.into_iter().map(str::to_owned).collect();
            all.push(Requirement { scheme, scopes });
        }
        all
    }

    /// Whether a name that is demanded is that of a scheme. One that nothing declares becomes a scheme
    /// of its own, so that the operator can say what it is; members `x-` are no names.
    fn look_up(&mut self, cx: &mut Cx<'_>, name: &str, holder: Site<'_>, place: Site<'_>) -> bool {
        if self.known.contains_key(name) {
            return true;
        }
        // From 3.2 on the name may be a URL of a scheme; names come first.
        let meant = holder.lookup(name).filter(|_| cx.dialect == Dialect::OpenApi32);
        if let Some(scheme) = meant.filter(|site| site.get("type").is_some()) {
            self.add(cx, name, scheme);
            return true;
        }
        if name.starts_with("x-") {
            return false;
        }
        let message = format!(
            "`{name}` is demanded, but no such security scheme is declared; requests go without it, \
             unless the configuration has a credential under this name"
        );
        cx.warn("unknown-scheme", place, message);
        if let Some(kept) = cx.keep(name).filter(|_| cx.take_part()) {
            self.known.insert(kept.clone(), self.all.len());
            let kind = SchemeKind::Undeclared;
            self.all.push(Scheme { name: kept, kind, description: None });
        }
        true
    }
}

fn kind(cx: &mut Cx<'_>, site: Site<'_>) -> SchemeKind {
    let stated = cx.word(site, "type").unwrap_or_default();
    match stated.to_ascii_lowercase().as_str() {
        "apikey" => api_key(cx, site),
        // 2.0
        "basic" => SchemeKind::Basic,
        "http" => {
            let scheme = cx.word(site, "scheme").unwrap_or_default().trim();
            match scheme.to_ascii_lowercase().as_str() {
                "basic" => SchemeKind::Basic,
                "bearer" => SchemeKind::Bearer,
                lower if is_word(lower) && !COMPUTED.contains(&lower) => {
                    SchemeKind::Http(scheme.to_owned())
                }
                _ => SchemeKind::Other(format!("http {scheme}").trim_end().to_owned()),
            }
        }
        "oauth2" => SchemeKind::OAuth2 { token_url: token_url(cx, site) },
        "mutualtls" => SchemeKind::MutualTls,
        "openidconnect" => {
            let url = cx.word(site, "openIdConnectUrl").unwrap_or_default();
            SchemeKind::OpenIdConnect(url.trim().to_owned())
        }
        "" => SchemeKind::Other("a scheme without a type".to_owned()),
        _ => SchemeKind::Other(stated.to_owned()),
    }
}

/// Whether a text can be the name of a scheme of HTTP.
fn is_word(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_allowed)
}

fn api_key(cx: &mut Cx<'_>, site: Site<'_>) -> SchemeKind {
    let stated = cx.word(site, "in").unwrap_or_default();
    let location = match stated.to_ascii_lowercase().as_str() {
        "header" => Location::Header,
        "query" => Location::Query,
        "cookie" => Location::Cookie,
        _ => return SchemeKind::Other(format!("apiKey in `{stated}`")),
    };
    match cx.text(site, "name").filter(|name| !name.trim().is_empty()) {
        Some(name) => SchemeKind::ApiKey { location, name: name.trim().to_owned() },
        None => SchemeKind::Other("apiKey without a name".to_owned()),
    }
}

/// Where a token is had without a person: the client credentials flow (2.0: `application`).
fn token_url(cx: &mut Cx<'_>, site: Site<'_>) -> Option<String> {
    let is_20 = site.get("flow").and_then(Site::as_str) == Some("application");
    let written = if is_20 {
        cx.text(site, "tokenUrl")
    } else {
        let flows = cx.object(site, "flows")?;
        let flow = cx.object(flows, "clientCredentials")?;
        cx.text(flow, "tokenUrl")
    };
    written.map(|url| url.trim().to_owned()).filter(|url| !url.is_empty())
}

fn report(cx: &mut Cx<'_>, site: Site<'_>, name: &str, kind: &SchemeKind) {
    match kind {
        SchemeKind::Other(what) => {
            let message = format!(
                "security scheme `{name}` ({what}) cannot be served; give a header with the \
                 credential in the configuration if the API takes one"
            );
            cx.warn("scheme-not-served", site, message);
        }
        SchemeKind::OAuth2 { token_url: None } => {
            let message = format!(
                "security scheme `{name}` has no client credentials flow: a person must allow it, \
                 and the configuration must have the token"
            );
            cx.note("scheme-needs-token", site, message);
        }
        SchemeKind::OpenIdConnect(_) => {
            let message = format!(
                "security scheme `{name}` is OpenID Connect: the configuration must have the token, or \
                 a client and the URL where it is given tokens"
            );
            cx.note("scheme-needs-token", site, message);
        }
        _ => {}
    }
}
