//! What may stand in a header or a cookie.
//!
//! Values go unchanged, as OpenAPI 3.2 demands it (Appendix D), with one exception: what is not ASCII,
//! which many servers could not read, is percent-encoded as UTF-8, as RFC 6570 does it, and so is `%` in
//! such a value. JSON says it in its own escapes instead.
//!
//! Cookies stand in one header with `; ` between them, also those into which `form` with `explode` takes
//! a value apart: the `&` of the table is meant for queries (Appendix D).

use super::Refusal;
use super::escape::push_triple;

/// A header's value as it is sent.
pub(super) fn value(text: &str) -> Result<String, Refusal> {
    if text.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
        let problem =
            "it has a line break or another control character in it, which no header may have";
        return Err(Refusal::new(problem, "leave these characters out"));
    }
    if text.trim_matches([' ', '\t']) != text {
        let problem = "it begins or ends with white space, which would get lost in a header";
        return Err(Refusal::new(problem, "leave the white space out"));
    }
    if text.is_ascii() {
        return Ok(text.to_owned());
    }
    let mut out = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        if byte.is_ascii() && byte != b'%' {
            out.push(char::from(byte));
        } else {
            push_triple(&mut out, byte);
        }
    }
    Ok(out)
}

/// A cookie that goes unchanged (style `cookie`).
pub(super) fn cookie(name: &str, text: &str) -> Result<(), Refusal> {
    if name.contains('=') {
        let problem = format!("`{name}` cannot be the name of a cookie");
        return Err(Refusal::new(problem, "use names without `=`"));
    }
    cookie_text(name)?;
    cookie_text(text)
}

fn cookie_text(text: &str) -> Result<(), Refusal> {
    let is_unfit = |byte: u8| byte.is_ascii_control() || !byte.is_ascii() || byte == b';';
    if text.bytes().any(is_unfit) || text.trim_matches(' ') != text {
        let problem = format!("`{text}` has characters in it that no cookie may have");
        let fix = "escape `;`, control characters, white space at the ends and what is not ASCII as \
                   the API expects it, for instance percent-encoded";
        return Err(Refusal::new(problem, fix));
    }
    Ok(())
}

/// Whether this can be the name of a header or a cookie (RFC 9110, token).
pub(super) fn is_token(name: &str) -> bool {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_fit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascii_goes_unchanged() {
        assert_eq!(value("a b&c=d/e?f+g%h").as_deref().ok(), Some("a b&c=d/e?f+g%h"));
        assert_eq!(value("50 % José").as_deref().ok(), Some("50 %25 Jos%C3%A9"));
        assert_eq!(value("").as_deref().ok(), Some(""));
    }

    #[test]
    fn what_would_change_the_request_is_refused() {
        for text in ["a\r\nX: b", "a\nb", "a\0", "\u{7f}", " a", "a\t"] {
            assert!(value(text).is_err(), "{text:?}");
        }
        for text in ["a; b=c", "a\n", "é", " a"] {
            assert!(cookie("a", text).is_err(), "{text:?}");
        }
        assert!(cookie("a=b", "c").is_err());
        assert!(cookie("a", "Hello%2C world!").is_ok());
    }
}
