//! Which questions of a server reach its client at all.

use std::fmt;

use wire::capability::ClientAbilities;
use wire::method::name;
use wire::shape::question;
use wire::{Json, Object};

use crate::fault::{Fault, Reason};

/// Why a question is not passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// The client never said that it can be asked this; what it is, in words.
    Unable(String),
    /// The form asks for a secret; the name of its field.
    Secret(String),
}

/// Whether a client that can do `abilities` may be asked this.
pub(crate) fn screen(
    method: &str,
    params: &Object,
    abilities: ClientAbilities,
    secret_forms: config::SecretForms,
) -> Result<(), Unfit> {
    let needed = question::needs(method, params);
    if !needed.is_some_and(|needed| abilities.has(needed)) {
        return Err(Unfit::Unable(described(method, params)));
    }
    match question::secret_asked(method, params) {
        Some(field) if secret_forms == config::SecretForms::Refuse => Err(Unfit::Secret(field)),
        _ => Ok(()),
    }
}

/// What a question is, for the person who reads an error; with the address of a page to visit.
fn described(method: &str, params: &Object) -> String {
    let is_url = params.text("mode").as_deref() == Some("url");
    match (method, params.text("url")) {
        (name::ELICIT, Some(url)) if is_url => {
            let message = params.text("message").unwrap_or_default();
            format!("to visit {url} ({message})")
        }
        (name::ELICIT, _) => "to fill in a form (`elicitation/create`)".to_owned(),
        (name::CREATE_MESSAGE, _) if params.has("tools") => {
            "to ask its model with tools (`sampling/createMessage`)".to_owned()
        }
        (name::CREATE_MESSAGE, _) => "to ask its model (`sampling/createMessage`)".to_owned(),
        (name::ROOTS_LIST, _) => "to list its roots (`roots/list`)".to_owned(),
        _ => format!("something that no version knows (`{method}`)"),
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unable(what) => {
                write!(f, "the client is asked {what} and has not declared that it can be")
            }
            Self::Secret(field) => write!(
                f,
                "the form asks for a secret (`{field}`), and forms are no place for secrets; ask \
                 for it on a page (URL elicitation), or the operator sets `secret_forms: pass`"
            ),
        }
    }
}

impl Unfit {
    /// The end of a call that asked this.
    pub(crate) fn to_fault(&self, server: &str) -> Fault {
        match self {
            Self::Unable(what) => Fault::new(
                Reason::InteractionUnavailable,
                format!(
                    "server `{server}` asks this client {what}, and the client has not declared \
                     that it can be; use a client that can"
                ),
            ),
            Self::Secret(_) => {
                Fault::new(Reason::InteractionRefused, format!("server `{server}`: {self}"))
            }
        }
    }
}

/// The questions of an `input_required` result: key, method and parameters of each.
pub(crate) fn questions_of(result: &Object) -> Option<Vec<(String, String, Object)>> {
    let Some(requests) = result.object("inputRequests") else { return Some(Vec::new()) };
    let read = |(key, request): (std::borrow::Cow<'_, str>, Json)| {
        let request = request.object()?;
        let params = request.object("params").unwrap_or_else(Object::empty);
        Some((key.into_owned(), request.text("method")?.into_owned(), params))
    };
    requests.members().map(read).collect()
}
