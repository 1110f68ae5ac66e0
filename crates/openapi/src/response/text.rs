//! Bytes as text: character sets, tags, and how much of it is kept.

use std::borrow::Cow;

use bytes::Bytes;

use super::Answer;

/// The body as UTF-8, whatever it was written in; without a byte order mark. A slice of the body where
/// it is UTF-8 already.
pub(super) fn decode_bytes(answer: &Answer) -> Bytes {
    let body = &answer.body;
    if let Some(rest) = body.strip_prefix(b"\xef\xbb\xbf") {
        return body.slice_ref(rest);
    }
    match decoded(charset(answer).as_deref(), body, answer.is_partial) {
        Cow::Borrowed(_) => body.clone(),
        Cow::Owned(text) => text.into(),
    }
}

/// The body as text.
pub(super) fn decode(answer: &Answer) -> String {
    String::from_utf8_lossy(&decode_bytes(answer)).into_owned()
}

fn charset(answer: &Answer) -> Option<String> {
    let content_type = answer.header("content-type")?;
    content_type.split(';').skip(1).find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        let is_charset = key.trim().eq_ignore_ascii_case("charset");
        is_charset.then(|| value.trim().trim_matches('"').to_ascii_lowercase())
    })
}

fn decoded<'b>(charset: Option<&str>, body: &'b [u8], is_partial: bool) -> Cow<'b, str> {
    match body {
        [0xfe, 0xff, rest @ ..] => return utf16(rest, u16::from_be_bytes).into(),
        [0xff, 0xfe, rest @ ..] => return utf16(rest, u16::from_le_bytes).into(),
        _ => {}
    }
    match charset {
        Some("utf-16be") => utf16(body, u16::from_be_bytes).into(),
        Some("utf-16" | "utf-16le") => utf16(body, u16::from_le_bytes).into(),
        Some("iso-8859-1" | "iso8859-1" | "latin1" | "latin-1" | "windows-1252" | "cp1252") => {
            western(body)
        }
        Some("utf-8" | "utf8") => String::from_utf8_lossy(body),
        // What says nothing and is no UTF-8 is most often Western. The end of what was cut may be half
        // a character.
        _ => match std::str::from_utf8(body) {
            Ok(text) => text.into(),
            Err(error) if is_partial && error.error_len().is_none() => {
                String::from_utf8_lossy(body)
            }
            Err(_) => western(body),
        },
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    char::decode_utf16(units).map(|it| it.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// What Windows-1252 has where ISO 8859-1 has control characters.
const HIGH: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// Windows-1252, which every text in ISO 8859-1 is (Encoding Standard).
fn western(bytes: &[u8]) -> Cow<'_, str> {
    if bytes.is_ascii() {
        return String::from_utf8_lossy(bytes);
    }
    let character = |&byte: &u8| match byte {
        0x80..=0x9f => HIGH[usize::from(byte - 0x80)],
        other => char::from(other),
    };
    bytes.iter().map(character).collect::<String>().into()
}

/// The beginning of a text, at most so many bytes, and whether something is left out. Never half a
/// character.
pub(super) fn cut(text: &str, bytes_max: usize) -> (&str, bool) {
    if text.len() <= bytes_max {
        return (text, false);
    }
    let end = (0..=bytes_max).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    (&text[..end], true)
}

/// Longest page of HTML that is looked at, in bytes.
const PAGE_BYTES_MAX: usize = 1 << 20;

/// What a page of HTML says: without tags, comments, scripts and styles, white space folded.
pub(super) fn without_tags(page: &str) -> String {
    let (mut rest, _) = cut(page, PAGE_BYTES_MAX);
    let mut out = String::new();
    while let Some(open) = rest.find('<') {
        push_words(&mut out, &rest[..open]);
        let tag = &rest[open..];
        let end = if tag.starts_with("<!--") {
            tag.find("-->").map(|at| at + 3)
        } else if let Some(name) = ["script", "style"].iter().find(|name| is_tag(tag, name)) {
            end_of(tag, name)
        } else {
            tag.find('>').map(|at| at + 1)
        };
        rest = end.map_or("", |end| &tag[end..]);
        if !out.is_empty() && !out.ends_with(' ') {
            out.push(' ');
        }
    }
    push_words(&mut out, rest);
    out.truncate(out.trim_end().len());
    out
}

fn is_tag(text: &str, name: &str) -> bool {
    let after = text.get(1..=name.len()).filter(|it| it.eq_ignore_ascii_case(name));
    after.is_some() && text[1 + name.len()..].starts_with(|it: char| !it.is_ascii_alphanumeric())
}

/// Where an element whose content is no markup ends.
fn end_of(text: &str, name: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = text[from..].find("</").map(|at| at + from) {
        if text.get(at + 2..at + 2 + name.len()).is_some_and(|it| it.eq_ignore_ascii_case(name)) {
            return text[at..].find('>').map(|end| at + end + 1);
        }
        from = at + 2;
    }
    None
}

fn push_words(out: &mut String, text: &str) {
    let text = entities(text);
    for word in text.split_whitespace() {
        if !out.is_empty() && !out.ends_with(' ') {
            out.push(' ');
        }
        out.push_str(word);
    }
}

/// A text with the entities that XML and most pages use replaced by their characters.
pub(super) fn entities(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return text.into();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        // The longest name that is known is short.
        let end = rest.bytes().take(12).position(|byte| byte == b';');
        if let Some((character, end)) = end.and_then(|end| Some((entity(&rest[1..end])?, end))) {
            out.push(character);
            rest = &rest[end + 1..];
        } else {
            out.push('&');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    out.into()
}

fn entity(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                None => number.parse().ok()?,
            };
            return char::from_u32(code);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn character_sets() {
        assert_eq!(decoded(None, b"half \xc3", true), "half \u{fffd}");
        for (charset, bytes, text) in [
            (None, &b"caf\xc3\xa9"[..], "café"),
            (None, b"caf\xe9", "café"),
            (Some("iso-8859-1"), b"\x93caf\xe9\x94", "“café”"),
            (Some("utf-8"), b"caf\xe9", "caf\u{fffd}"),
            (Some("utf-16le"), b"h\0i\0", "hi"),
            (None, b"\xfe\xff\0h\0i", "hi"),
        ] {
            assert_eq!(decoded(charset, bytes, false), text);
        }
    }

    #[test]
    fn pages_lose_their_tags() {
        let page = "<!DOCTYPE html><HTML><head><title>502 Bad\n Gateway</title><style>p{a>b}</style>\
                    <script>if (a < b) { x('</p>') }</script></head><body><!-- <b>no</b> --><h1>It&#39;s \
                    &lt;down&gt;</h1><p>AT&T</p> <a href='x'";
        assert_eq!(without_tags(page), "502 Bad Gateway It's <down> AT&T");
        assert_eq!(without_tags("<script>never ends"), "");
        assert_eq!(without_tags("<é"), "");
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(cut("aé", 2), ("a", true));
        assert_eq!(cut("aé", 3), ("aé", false));
        assert_eq!(cut("é", 0), ("", true));
    }
}
