//! Forms that ask for a secret. Servers must not: what people type into a form passes the client,
//! its model and every gate on the way. A URL is the way to ask for one.

use super::asks_for_url;
use crate::json::{Json, Kind, Object};
use crate::method::name;

/// Words that name a secret on their own.
const WORDS: &[&str] = &[
    "accesskey",
    "accesstoken",
    "apikey",
    "apikeys",
    "apitoken",
    "authtoken",
    "bearer",
    "clientsecret",
    "credential",
    "credentials",
    "creds",
    "cvc",
    "cvv",
    "jwt",
    "otp",
    "passcode",
    "passphrase",
    "passwd",
    "password",
    "passwords",
    "pin",
    "privatekey",
    "pwd",
    "secret",
    "secretkey",
    "secrets",
    "ssn",
    "token",
    "totp",
];

/// Two words that name a secret when one follows the other.
const PAIRS: &[(&str, &str)] = &[
    ("access", "key"),
    ("api", "key"),
    ("api", "keys"),
    ("backup", "code"),
    ("card", "number"),
    ("encryption", "key"),
    ("fa", "code"), // 2FA
    ("master", "key"),
    ("mfa", "code"),
    ("pass", "code"),
    ("pass", "phrase"),
    ("pass", "word"),
    ("private", "key"),
    ("private", "keys"),
    ("recovery", "code"),
    ("recovery", "phrase"),
    ("security", "code"),
    ("seed", "phrase"),
    ("session", "cookie"),
    ("signing", "key"),
    ("social", "security"),
    ("ssh", "key"),
    ("verification", "code"),
];

/// Last words that speak about a secret without being one: `token_count`, `password_policy`.
const ABOUT: &[&str] = &[
    "age", "budget", "count", "expiry", "length", "limit", "limits", "name", "policy", "size",
    "symbol", "type", "usage",
];

/// First words that make a `token` a quantity: `max_token`.
const QUANTITY: &[&str] = &["max", "maximum", "min", "minimum", "num", "number", "per"];

/// The first field of a form that asks for a secret: by its format, because it is only ever written,
/// or because its name or title says so. `None` for everything that is no form.
pub fn secret_asked(method: &str, params: &Object) -> Option<String> {
    if method != name::ELICIT || asks_for_url(params) {
        return None;
    }
    let properties = params.object("requestedSchema")?.object("properties")?;
    let asked = properties.members().find(|(name, property)| {
        property.object().map_or_else(|| names_secret(name), |property| asks(name, &property))
    });
    asked.map(|(name, _)| name.into_owned())
}

fn asks(name: &str, property: &Object) -> bool {
    if property.text("format").is_some_and(|format| format.eq_ignore_ascii_case("password"))
        || property.get("writeOnly").as_ref().and_then(Json::as_bool) == Some(true)
    {
        return true;
    }
    if is_closed(property) {
        return false;
    }
    names_secret(name) || property.text("title").is_some_and(|title| names_secret(&title))
}

/// Whether the server knows every value that can be entered, so that none of them is a secret.
fn is_closed(property: &Object) -> bool {
    let lists = |holder: &Object, key: &str| {
        holder.get(key).is_some_and(|choices| choices.kind() == Kind::Array)
    };
    property.text("type").as_deref() == Some("boolean")
        || lists(property, "enum")
        || lists(property, "oneOf")
        || property
            .object("items")
            .is_some_and(|items| lists(&items, "enum") || lists(&items, "anyOf"))
}

fn names_secret(name: &str) -> bool {
    let words = words(name);
    let is_about = |next: usize| next + 1 == words.len() && ABOUT.contains(&&*words[next]);
    words.iter().enumerate().any(|(at, word)| {
        let after = |len: usize| at + len;
        if WORDS.contains(&&**word) && !is_about(after(1)) {
            let is_quantity = word == "token" && at > 0 && QUANTITY.contains(&&*words[at - 1]);
            return !is_quantity;
        }
        let next = words.get(after(1));
        next.is_some_and(|next| PAIRS.contains(&(&**word, &**next))) && !is_about(after(2))
    })
}

/// The words of an identifier or a phrase in lower case: `APIKey`, `api_key` and `API key` have the
/// same.
fn words(name: &str) -> Vec<String> {
    let chars: Vec<char> = name.chars().collect();
    let mut words = Vec::new();
    let mut word = String::new();
    for (at, &c) in chars.iter().enumerate() {
        let begins = at > 0 && begins_word(chars[at - 1], c, chars.get(at + 1).copied());
        if (begins || !c.is_alphanumeric()) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Whether a word begins with `c`: a capital after a small letter, the last of several capitals
/// before a small letter, or where letters and digits meet.
fn begins_word(before: char, c: char, after: Option<char>) -> bool {
    (c.is_uppercase() && before.is_lowercase())
        || (c.is_uppercase() && before.is_uppercase() && after.is_some_and(char::is_lowercase))
        || c.is_numeric() != before.is_numeric()
}
