//! Path templates with values in their places.
//!
//! A value can never leave its template: `/` is written `%2F`, and a segment that would be empty, `.`
//! or `..` is refused, also if it would be so only after a server decodes it once or twice, or cuts it
//! at `;` or at a backslash. So the request is always one of the template's own.

use super::Refusal;
use super::escape::Escape;

/// A path template, ready for values.
#[derive(Clone, Debug)]
pub(super) struct Template {
    pieces: Vec<Piece>,
    /// The last argument in each segment, if there is any, by its number.
    owners: Vec<Option<usize>>,
}

#[derive(Clone, Debug)]
enum Piece {
    Literal(String),
    Argument(usize),
}

impl Template {
    /// Reads a template; `argument` knows the number of the argument whose value a variable has.
    /// Braces that belong to no variable are ordinary characters.
    pub(super) fn parse(template: &str, argument: impl Fn(&str) -> Option<usize>) -> Self {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut owners = vec![None];
        let literal = |text: &str, pieces: &mut Vec<Piece>, owners: &mut Vec<Option<usize>>| {
            owners.extend(text.matches('/').map(|_| None));
            let text = Escape::Literal.text(text);
            match pieces.last_mut() {
                Some(Piece::Literal(before)) => before.push_str(&text),
                _ if text.is_empty() => {}
                _ => pieces.push(Piece::Literal(text)),
            }
        };
        let mut rest = template;
        while let Some(open) = rest.find('{') {
            let Some(close) = rest[open..].find('}').map(|at| at + open) else { break };
            if let Some(number) = argument(&rest[open + 1..close]) {
                literal(&rest[..open], &mut pieces, &mut owners);
                pieces.push(Piece::Argument(number));
                if let Some(owner) = owners.last_mut() {
                    *owner = Some(number);
                }
                rest = &rest[close + 1..];
            } else {
                literal(&rest[..=open], &mut pieces, &mut owners);
                rest = &rest[open + 1..];
            }
        }
        literal(rest, &mut pieces, &mut owners);
        Self { pieces, owners }
    }

    /// Appends the template with values in their places, wherever they lead: in a query they lead
    /// nowhere.
    pub(super) fn fill(
        &self,
        out: &mut String,
        mut value: impl FnMut(usize) -> Result<String, Refusal>,
    ) -> Result<(), (usize, Refusal)> {
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => out.push_str(text),
                Piece::Argument(number) => {
                    let text = value(*number).map_err(|refusal| (*number, refusal))?;
                    out.push_str(&text);
                }
            }
        }
        Ok(())
    }

    /// Appends the path. `value` gives what stands for an argument, escaped; a refusal comes with the
    /// number of its argument.
    pub(super) fn write(
        &self,
        out: &mut String,
        value: impl FnMut(usize) -> Result<String, Refusal>,
    ) -> Result<(), (usize, Refusal)> {
        let start = out.len();
        self.fill(out, value)?;
        for (segment, owner) in out[start..].split('/').zip(&self.owners) {
            if let Some(number) = owner {
                check(segment).map_err(|refusal| (*number, refusal))?;
            }
        }
        Ok(())
    }
}

/// Whether a segment of a path, encoded, would lead elsewhere.
pub(crate) fn leads_elsewhere(segment: &str) -> bool {
    check(segment).is_err()
}

/// How often a segment is decoded in search of what a server could make of it.
const DECODINGS: usize = 3;

/// Refuses a segment that would lead elsewhere.
fn check(segment: &str) -> Result<(), Refusal> {
    if segment.is_empty() {
        let problem = "it is empty, so that the request would go to another path";
        return Err(Refusal::new(problem, "give a value that is not empty"));
    }
    // Most values are a word or a number, which mean themselves everywhere.
    if segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
        return Ok(());
    }
    let mut bytes = segment.as_bytes().to_vec();
    for _ in 0..=DECODINGS {
        if bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            let problem = "it has a line break or a NUL character in it, which no path may have";
            return Err(Refusal::new(problem, "leave these characters out"));
        }
        let mut parts = bytes.split(|byte| matches!(byte, b'/' | b'\\'));
        let is_dots = |part: &[u8]| {
            let end = part.iter().position(|&byte| byte == b';').unwrap_or(part.len());
            matches!(part[..end].trim_ascii(), b"." | b"..")
        };
        if parts.any(is_dots) {
            let problem = "it would be read as `.` or `..`, which lead to another path";
            return Err(Refusal::new(
                problem,
                "give a value without `.` and `..` as parts of a path",
            ));
        }
        let decoded: Vec<u8> = percent_encoding::percent_decode(&bytes).collect();
        if decoded == bytes {
            break;
        }
        bytes = decoded;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(template: &str, text: &str) -> Result<String, String> {
        let template = Template::parse(template, |name| (name == "id").then_some(0));
        let mut out = String::new();
        let written = template.write(&mut out, |_| Ok(Escape::Component.text(text)));
        written.map(|()| out).map_err(|(_, refusal)| refusal.problem)
    }

    #[test]
    fn values_stay_in_their_segment() {
        for (template, text, path) in [
            ("/users/{id}/posts", "a/b", "/users/a%2Fb/posts"),
            ("/users/{id}", "a b&c=d/e?f+g%h", "/users/a%20b%26c%3Dd%2Fe%3Ff%2Bg%25h"),
            ("/x{id}", "", "/x"),
            ("/x/{id}.json", "..a", "/x/..a.json"),
            ("/a b/{other}/{id}", "1", "/a%20b/%7Bother%7D/1"),
            ("/{id}", "...", "/..."),
            ("/{id}", "é", "/%C3%A9"),
            ("/a{", "", "/a%7B"),
        ] {
            assert_eq!(expand(template, text).as_deref(), Ok(path), "{template} {text}");
        }
    }

    #[test]
    fn values_that_lead_elsewhere_are_refused() {
        for (template, text) in [
            ("/users/{id}", ""),
            ("/users/{id}/posts", ""),
            ("/users/{id}", "."),
            ("/users/{id}", ".."),
            ("/users/.{id}", "."),
            ("/users/{id}", "%2e%2E"),
            ("/users/{id}", "%252e%252e"),
            ("/users/{id}", "../admin"),
            ("/users/{id}", "a/../../admin"),
            ("/users/{id}", "..\\admin"),
            ("/users/{id}", "..;a=b"),
            ("/users/{id}", "%2e%2e%2fadmin"),
            ("/users/{id}", "a\r\nHost: b"),
            ("/users/{id}", "a%0d%0ab"),
            ("/users/{id}", "a\0"),
        ] {
            assert!(expand(template, text).is_err(), "{template} {text:?}");
        }
    }
}
