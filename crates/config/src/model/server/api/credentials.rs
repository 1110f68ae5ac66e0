//! What the gate shows an API to be let in: always, or where an operation demands a scheme.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use crate::{
    diagnostic::Code,
    model::server::remote::{self, Credentials, RemoteUrl},
    secret::Resolved,
    tree::{Node, Value},
    walk::{Cx, Fields, Read},
};

/// What the gate shows an API to be let in.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema)]
#[schemars(with = "Written")]
pub struct ApiCredentials {
    /// What every request has, whatever the document demands.
    pub always: Option<Credentials>,
    /// What requests have whose operation demands a security scheme, by the scheme's name.
    pub schemes: BTreeMap<String, SchemeCredentials>,
}

/// What satisfies one security scheme.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[serde(untagged)]
pub enum SchemeCredentials {
    /// A key or a token, which the scheme says how to send.
    #[serde(rename_all = "snake_case")]
    Value {
        /// The key or the token.
        value: Resolved,
    },
    /// A user and a password.
    Basic {
        /// The user, without `:`.
        username: Resolved,
        /// The password.
        password: Resolved,
    },
    /// A client of an authorization server, which gives tokens for it.
    Client(Box<ClientCredentials>),
}

/// How tokens are fetched (OAuth 2.0, client credentials).
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientCredentials {
    /// Who the gate is.
    pub client_id: Resolved,
    /// How it proves that.
    pub client_secret: Resolved,
    /// Where tokens are given. The default is what the document says.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub token_url: Option<RemoteUrl>,
    /// What is asked for. The default is what the operations demand.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
}

/// How they are written, for the schema alone.
#[derive(JsonSchema)]
#[serde(rename = "ApiCredentials", deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
struct Written {
    /// `Authorization: Bearer …` with every request.
    bearer: Option<Resolved>,
    /// A header of its own with every request.
    header: Option<WrittenHeader>,
    /// `Authorization: Basic …` with every request.
    basic: Option<WrittenBasic>,
    /// What satisfies the security schemes of the document, by their names.
    #[serde(default)]
    schemes: BTreeMap<String, SchemeCredentials>,
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
struct WrittenHeader {
    /// The name of the header.
    name: String,
    /// Its value.
    value: Resolved,
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
struct WrittenBasic {
    /// The user, without `:`.
    username: Resolved,
    /// The password.
    password: Resolved,
}

// === impl ApiCredentials ===

impl ApiCredentials {
    /// Every value in them that may be a secret.
    pub fn secrets(&self) -> impl Iterator<Item = &Resolved> {
        let always: Vec<&Resolved> = match &self.always {
            None => Vec::new(),
            Some(Credentials::Bearer(text) | Credentials::Header { value: text, .. }) => vec![text],
            Some(Credentials::Basic { username, password }) => vec![username, password],
        };
        let schemes = self.schemes.values().flat_map(|scheme| match scheme {
            SchemeCredentials::Value { value } => vec![value],
            SchemeCredentials::Basic { username, password } => vec![username, password],
            SchemeCredentials::Client(client) => vec![&client.client_id, &client.client_secret],
        });
        always.into_iter().chain(schemes)
    }

    /// The values that nobody else may see: without names of users and clients.
    pub(super) fn confidential(&self) -> impl Iterator<Item = &Resolved> {
        let always = self.always.iter().map(|always| match always {
            Credentials::Bearer(text)
            | Credentials::Header { value: text, .. }
            | Credentials::Basic { password: text, .. } => text,
        });
        let schemes = self.schemes.values().map(|scheme| match scheme {
            SchemeCredentials::Value { value: text }
            | SchemeCredentials::Basic { password: text, .. } => text,
            SchemeCredentials::Client(client) => &client.client_secret,
        });
        always.chain(schemes)
    }

    /// Names of users with their passwords.
    pub fn pairs(&self) -> impl Iterator<Item = (&Resolved, &Resolved)> {
        let always = self.always.iter().filter_map(|always| match always {
            Credentials::Basic { username, password } => Some((username, password)),
            _ => None,
        });
        let schemes = self.schemes.values().filter_map(|scheme| match scheme {
            SchemeCredentials::Basic { username, password } => Some((username, password)),
            _ => None,
        });
        always.chain(schemes)
    }
}

impl Read for ApiCredentials {
    fn read(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, "`credentials`", cx)?;
        let always = ["bearer", "header", "basic"].map(|key| fields.node(key));
        let schemes = fields.node("schemes");
        fields.finish(cx);
        let always = match always {
            [None, None, None] => None,
            [bearer, header, basic] => {
                Some(remote::read_one_credential(node, bearer, header, basic, cx)?)
            }
        };
        let schemes = schemes.map(|node| read_schemes(node, cx)).unwrap_or_default();
        Some(Self { always, schemes })
    }
}

fn read_schemes(node: &Node, cx: &mut Cx<'_>) -> BTreeMap<String, SchemeCredentials> {
    let Value::Mapping(entries) = &node.value else {
        cx.wrong_kind(node, "a mapping from names of security schemes to credentials");
        return BTreeMap::new();
    };
    let read = entries.iter().map(|entry| {
        let what = format!("scheme `{}`", entry.key);
        Some((entry.key.clone(), SchemeCredentials::read(&entry.node, &what, cx)?))
    });
    read.collect::<Vec<_>>().into_iter().flatten().collect()
}

// === impl SchemeCredentials ===

impl SchemeCredentials {
    fn read(node: &Node, what: &str, cx: &mut Cx<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, what, cx)?;
        let value = fields.node("value");
        let is_basic = fields.node("username").is_some() || fields.node("password").is_some();
        let is_client = ["client_id", "client_secret", "token_url", "scopes"]
            .map(|key| fields.node(key).is_some())
            .contains(&true);
        match (value, is_basic, is_client) {
            (Some(value), false, false) => {
                fields.finish(cx);
                let value = remote::read_credential(value, "API_KEY", cx)?;
                Some(Self::Value { value })
            }
            (None, true, false) => {
                let (username, password) = remote::read_pair(&mut fields, cx);
                fields.finish(cx);
                Some(Self::Basic { username: username?, password: password? })
            }
            (None, false, true) => {
                let client = ClientCredentials::read(&mut fields, cx);
                fields.finish(cx);
                client.map(Box::new).map(Self::Client)
            }
            _ => {
                fields.finish(cx);
                let message = format!(
                    "{what} is satisfied by one of `value`, `username` with `password`, and \
                     `client_id` with `client_secret`"
                );
                let problem = cx.problem(Code::Conflict, &node.range, message);
                cx.report(problem.hint("write, for example, `{ value: \"${env:API_KEY}\" }`"));
                None
            }
        }
    }
}

impl ClientCredentials {
    fn read(fields: &mut Fields<'_>, cx: &mut Cx<'_>) -> Option<Self> {
        let client_id = fields.required_node("client_id", cx).and_then(|node| cx.text(node));
        let client_secret = fields
            .required_node("client_secret", cx)
            .and_then(|node| remote::read_credential(node, "CLIENT_SECRET", cx));
        let token_place = fields.node("token_url");
        let token_url = token_place.map(|node| remote::read_url(node, cx));
        if let (Some(Some(url)), Some(node)) = (&token_url, token_place) {
            remote::warn_plaintext(url, node, cx);
        }
        let scopes = fields.node("scopes").map(|node| Vec::<String>::read(node, cx));
        Some(Self {
            client_id: client_id?,
            client_secret: client_secret?,
            token_url: match token_url {
                None => None,
                Some(url) => Some(url?),
            },
            scopes: match scopes {
                None => None,
                Some(scopes) => Some(scopes?),
            },
        })
    }
}
