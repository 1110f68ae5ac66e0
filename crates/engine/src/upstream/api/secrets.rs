//! Secrets that an API sends back: in no result, nor in a header that goes on.
//!
//! APIs repeat what they were sent: in errors, in links to the next page, in echoes. What is looked for
//! is every known secret in the forms in which such texts have it. Where one is found, which is seldom,
//! asterisks take its place.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use memchr::memmem::Finder;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::form_urlencoded;
use wire::Object;

/// The secrets of one API. They do not print.
pub(super) struct Secrets {
    configured: Vec<Finder<'static>>,
    /// Of tokens that were fetched, the latest last.
    issued: RwLock<Vec<Finder<'static>>>,
    has_issued: AtomicBool,
}

/// What takes the place of a secret.
const MASK: &[u8] = b"***";
/// Shorter texts are found everywhere, and keep nobody out.
const SECRET_BYTES_MIN: usize = 6;
/// Shorter parts of an address are words.
const PART_BYTES_MIN: usize = 8;
/// Most forms of tokens that are kept: those of the tokens that calls may still be under way with.
const ISSUED_MAX: usize = 64;

/// Everything but what needs no encoding in a query (RFC 3986, unreserved).
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl Secrets {
    /// The secrets that the configuration has for an API.
    pub(super) fn of(api: &config::Api) -> Self {
        let mut texts: Vec<String> = Vec::new();
        for value in api.confidential() {
            let value = value.expose().trim();
            // `token abc`: what follows the name of the scheme may come back without it.
            texts.extend(value.split_whitespace().last().map(str::to_owned));
            texts.push(value.to_owned());
        }
        for (username, password) in api.credentials.pairs() {
            texts.push(BASE64.encode(format!("{}:{}", username.expose(), password.expose())));
        }
        for address in api.addresses.iter().filter(|address| address.has_references()) {
            let url = address.url();
            let values = url.query_pairs().map(|(_, value)| value.into_owned());
            let segments = url.path_segments().into_iter().flatten().map(str::to_owned);
            texts.extend(values.chain(segments).filter(|text| text.len() >= PART_BYTES_MIN));
        }
        let configured = forms(texts.iter().map(String::as_str));
        Self { configured, issued: RwLock::default(), has_issued: AtomicBool::new(false) }
    }

    /// A token that was fetched for calls is a secret, too.
    pub(super) fn learn(&self, token: &str) {
        let mut issued = self.issued.write().expect("no panic while holding the tokens");
        issued.extend(forms([token].into_iter()));
        let surplus = issued.len().saturating_sub(ISSUED_MAX);
        issued.drain(..surplus);
        self.has_issued.store(true, Ordering::Release);
    }

    /// A JSON object without the secrets in it.
    pub(super) fn hide_in(&self, object: Object) -> Object {
        if object.members().all(|(_, value)| self.found(value.as_bytes()).is_empty()) {
            return object;
        }
        let json = object.to_json(&[]);
        let masked = masked_json(json.as_bytes(), &self.found(json.as_bytes()));
        Object::of_valid(&masked.into()).expect("what is masked stays JSON")
    }

    /// Any other text without the secrets in it; `None` if there are none.
    pub(super) fn hidden_in(&self, text: &[u8]) -> Option<Bytes> {
        let found = self.found(text);
        if found.is_empty() {
            return None;
        }
        let (mut out, mut from) = (Vec::with_capacity(text.len()), 0);
        for (start, end) in found {
            out.extend_from_slice(&text[from..start]);
            out.extend_from_slice(MASK);
            from = end;
        }
        out.extend_from_slice(&text[from..]);
        Some(out.into())
    }

    /// How much of a secret stands at the end of a text.
    fn begun(&self, text: &[u8]) -> usize {
        let of = |finder: &Finder<'_>| {
            let needle = finder.needle();
            let most = needle.len().saturating_sub(1).min(text.len());
            (1..=most).rev().find(|&length| text.ends_with(&needle[..length])).unwrap_or(0)
        };
        let configured = self.configured.iter().map(of).max().unwrap_or(0);
        if !self.has_issued.load(Ordering::Acquire) {
            return configured;
        }
        let issued = self.issued.read().expect("no panic while holding the tokens");
        issued.iter().map(of).max().unwrap_or(0).max(configured)
    }

    /// Headers without the secrets in them.
    pub(super) fn hide_in_headers(&self, headers: &mut HeaderMap) {
        for value in headers.values_mut() {
            if let Some(hidden) = self.hidden_in(value.as_bytes()) {
                let hidden = HeaderValue::from_maybe_shared(hidden);
                *value = hidden.unwrap_or_else(|_| HeaderValue::from_static("***"));
            }
        }
    }

    /// Where secrets are, in order and apart from each other.
    fn found(&self, text: &[u8]) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        let mut look = |finder: &Finder<'_>| {
            let length = finder.needle().len();
            found.extend(finder.find_iter(text).map(|at| (at, at + length)));
        };
        self.configured.iter().for_each(&mut look);
        if self.has_issued.load(Ordering::Acquire) {
            let issued = self.issued.read().expect("no panic while holding the tokens");
            issued.iter().for_each(&mut look);
        }
        if found.len() > 1 {
            found.sort_unstable();
            // What overlaps is one.
            found.dedup_by(|next, before| {
                let overlaps = next.0 < before.1;
                if overlaps {
                    before.1 = before.1.max(next.1);
                }
                overlaps
            });
        }
        found
    }
}

// === bodies that pass ===

/// A body that passes through piece by piece, without the secrets in it, as long as it was.
pub(crate) struct Veil {
    secrets: Arc<Secrets>,
    /// The end of what came, where a secret may have begun.
    held: BytesMut,
    /// So much of a secret must have come before it is held.
    held_bytes_min: usize,
}

impl Veil {
    /// For a body with these headers; `None` for one that is no text.
    pub(super) fn new(secrets: &Arc<Secrets>, headers: &HeaderMap) -> Option<Self> {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let content_type = text(CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase();
        let is_text = content_type.starts_with("text/")
            || ["json", "xml", "x-www-form-urlencoded"].iter().any(|it| content_type.contains(it));
        let is_coded =
            text(CONTENT_ENCODING).is_some_and(|it| !it.eq_ignore_ascii_case("identity"));
        // Somebody may wait for the end of a piece that is not the last, whatever follows it.
        let is_live = text(CONTENT_LENGTH).is_none();
        let held_bytes_min = if is_live { SECRET_BYTES_MIN } else { 1 };
        let secrets = Arc::clone(secrets);
        (is_text && !is_coded).then(|| Self { secrets, held: BytesMut::new(), held_bytes_min })
    }

    /// What may go on, now that this piece has come.
    pub(crate) fn pass(&mut self, piece: Bytes, is_last: bool) -> Bytes {
        let text = if self.held.is_empty() {
            piece
        } else {
            let mut text = std::mem::take(&mut self.held);
            text.extend_from_slice(&piece);
            text.freeze()
        };
        let found = self.secrets.found(&text);
        let mut text = if found.is_empty() {
            text
        } else {
            let mut text = BytesMut::from(text);
            for &(start, end) in &found {
                text[start..end].fill(b'*');
            }
            text.freeze()
        };
        if !is_last {
            let begun = self.secrets.begun(&text);
            if begun >= self.held_bytes_min {
                self.held = text.split_off(text.len() - begun).into();
            }
        }
        text
    }

    /// What is left once the last piece has come.
    pub(crate) fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.held).freeze()
    }
}

/// A JSON text with these places masked, so that it stays one.
fn masked_json(json: &[u8], found: &[(usize, usize)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len());
    let (mut is_text, mut at) = (false, 0);
    let mut found = found.iter().peekable();
    while at < json.len() {
        found.next_if(|(start, _)| *start < at);
        if let Some(&(_, end)) = found.next_if(|(start, _)| *start == at) {
            // A number cannot be masked, only be another one.
            out.extend_from_slice(if is_text { MASK } else { b"0" });
            at = end;
            continue;
        }
        // What follows a backslash belongs to it.
        let length = if is_text && json[at] == b'\\' { 2 } else { 1 };
        is_text ^= json[at] == b'"';
        out.extend_from_slice(&json[at..(at + length).min(json.len())]);
        at += length;
    }
    out
}

/// The forms in which texts have these secrets: as they are, encoded for URLs and for pages, and each of
/// that in JSON, and in JSON within a text of JSON.
fn forms<'t>(texts: impl Iterator<Item = &'t str>) -> Vec<Finder<'static>> {
    let mut all: Vec<String> = Vec::new();
    for text in texts.filter(|text| text.len() >= SECRET_BYTES_MIN) {
        let encoded = utf8_percent_encode(text, QUERY).to_string();
        let form: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
        let page = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let lower = lower_hex(&encoded);
        for plain in [text.to_owned(), encoded, lower, lower_hex(&form), form, page] {
            let json = escaped(&plain);
            let of_php = json.replace('/', "\\/");
            let of_go =
                json.replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e");
            let again = [&json, &of_php, &of_go].map(|text| escaped(text));
            all.extend([json, of_php, of_go].into_iter().chain(again));
        }
    }
    all.sort_unstable();
    all.dedup();
    all.iter().map(|form| Finder::new(form.as_bytes()).into_owned()).collect()
}

/// `%2F` as `%2f`.
fn lower_hex(encoded: &str) -> String {
    let mut rest = 0;
    let lower = |byte: char| {
        rest = if byte == '%' { 2 } else { rest };
        let is_hex = byte != '%' && rest > 0;
        rest -= usize::from(is_hex);
        if is_hex { byte.to_ascii_lowercase() } else { byte }
    };
    encoded.chars().map(lower).collect()
}

/// A text as JSON has it between its quotes.
fn escaped(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    wire::json::write_string(&mut out, text);
    let inner = out.get(1..out.len() - 1).unwrap_or_default();
    String::from_utf8_lossy(inner).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(texts: &[&str]) -> Secrets {
        let configured = forms(texts.iter().copied());
        Secrets { configured, issued: RwLock::default(), has_issued: AtomicBool::new(false) }
    }

    #[test]
    fn json_stays_json_without_its_secrets() {
        let all = secrets(&["can/ary&1 x", "n1234567", "778899"]);
        for (json, hidden) in [
            (r#"{"a":"can/ary&1 x"}"#, r#"{"a":"***"}"#),
            (r#"{"a":"x can\/ary&1 x y","b":1}"#, r#"{"a":"x *** y","b":1}"#),
            (r#"{"a":"x can/ary\u00261 x y","b":1}"#, r#"{"a":"x *** y","b":1}"#),
            (r#"{"text":"{\"a\":\"can\\/ary&1 x\"}"}"#, r#"{"text":"{\"a\":\"***\"}"}"#),
            (r#"["?k=can%2Fary%261%20x","can%2fary%261+x"]"#, r#"["?k=***","***"]"#),
            (r#"["can/ary&amp;1 x"]"#, r#"["***"]"#),
            // A line break before the digits is no secret.
            (r#"["a\n1234567"]"#, r#"["a\n1234567"]"#),
            (r#"["n1234567"]"#, r#"["***"]"#),
            (r#"{"n":778899,"778899":"778899778899"}"#, r#"{"n":0,"***":"******"}"#),
            (r#"{"can/ary":"&1 x"}"#, r#"{"can/ary":"&1 x"}"#),
        ] {
            let text = masked_json(json.as_bytes(), &all.found(json.as_bytes()));
            assert_eq!(String::from_utf8_lossy(&text), hidden);
        }
    }

    #[test]
    fn what_overlaps_is_hidden_as_one() {
        let all = secrets(&["token abcdef", "abcdef"]);
        assert_eq!(all.hidden_in(b"x token abcdef, abcdef.").as_deref(), Some(&b"x ***, ***."[..]));
        assert_eq!(all.hidden_in(b"x token abcde"), None);
    }

    #[test]
    fn a_body_in_pieces_keeps_its_length_and_no_secret() {
        let all = Arc::new(secrets(&["canary-77", "other/one"]));
        let text = "a canary-77, canary-canary-77 and other%2Fone, canar";
        let masked = "a *********, canary-********* and ***********, canar";
        for has_length in [true, false] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            if has_length {
                headers.insert(CONTENT_LENGTH, HeaderValue::from_static("9"));
            }
            for size in if has_length { 1..60 } else { 10..60 } {
                let mut veil = Veil::new(&all, &headers).unwrap();
                let mut out = Vec::new();
                for piece in text.as_bytes().chunks(size) {
                    out.extend_from_slice(&veil.pass(Bytes::copy_from_slice(piece), false));
                    assert!(veil.held.len() < 12);
                }
                out.extend_from_slice(&veil.rest());
                if has_length {
                    assert_eq!(String::from_utf8_lossy(&out), masked, "in pieces of {size}");
                }
                assert_eq!(out.len(), text.len());
            }
        }
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        assert!(Veil::new(&all, &headers).is_none());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert!(Veil::new(&all, &headers).is_none());
    }

    #[test]
    fn tokens_become_secrets() {
        let all = secrets(&["abc"]);
        assert_eq!(all.hidden_in(b"abc token-1"), None, "three letters are no secret");
        for number in 0..100 {
            all.learn(&format!("token-{number}-x"));
        }
        assert_eq!(all.hidden_in(b"token-99-x").as_deref(), Some(MASK));
        assert!(all.issued.read().unwrap().len() <= ISSUED_MAX);
    }
}
