//! Patterns as every reader takes them.
//!
//! JSON Schema's patterns are those of ECMAScript, and most readers compile them in its Unicode mode,
//! which refuses what browsers let pass (`\_`, `[\w-.]`, a lone `{`). One pattern that does not
//! compile makes some clients drop a whole list of tools, so patterns are rewritten to mean the same
//! in both modes, and left out where they mean nothing.

use regex_syntax::hir::{Hir, HirKind};

/// What a pattern is worth.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It can be checked in linear time.
    Linear(String),
    /// It is a pattern that cannot, for this reason.
    NotLinear(String, &'static str),
    /// It is none, for this reason.
    Invalid(&'static str),
}

/// Longest pattern in bytes.
const PATTERN_LEN_MAX: usize = 4 << 10;

/// Largest program that is run, in steps; `.{0,65535}` would be hundreds of thousands.
const STEPS_MAX: usize = 20_000;

/// Rewrites a pattern, and says what it is worth.
pub(super) fn judge(pattern: &str) -> Judgement {
    if pattern.len() > PATTERN_LEN_MAX {
        return Judgement::Invalid("it is longer than 4096 bytes");
    }
    // Written as a literal of a programming language.
    let inner = pattern.strip_prefix("/^").and_then(|rest| rest.strip_suffix("$/"));
    let pattern = inner.map_or_else(|| pattern.to_owned(), |inner| format!("^{inner}$"));
    let mut scanner = Scanner::new(&pattern);
    match scanner.run() {
        Err(why) => Judgement::Invalid(why),
        Ok(()) if scanner.has_lookaround => {
            Judgement::NotLinear(scanner.out, "it looks ahead or behind")
        }
        Ok(()) if scanner.has_backreference => {
            Judgement::NotLinear(scanner.out, "it refers back to what a part of it matched")
        }
        Ok(()) => match regex_syntax::Parser::new().parse(&scanner.out) {
            Ok(program) if steps(&program) <= STEPS_MAX => Judgement::Linear(scanner.out),
            Ok(_) => Judgement::NotLinear(scanner.out, "it repeats too much"),
            Err(_) => Judgement::NotLinear(scanner.out, "it is unusual"),
        },
    }
}

/// About how large the program of a pattern is. Patterns nest as deep as their parser allows (250).
fn steps(part: &Hir) -> usize {
    match part.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => literal.0.len(),
        // A class of all letters is some hundred ranges.
        HirKind::Class(_) => {
            if part.properties().is_utf8() {
                4
            } else {
                1
            }
        }
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min.saturating_add(1));
            let times = usize::try_from(times.max(1)).unwrap_or(usize::MAX);
            steps(&repetition.sub).saturating_mul(times)
        }
        HirKind::Capture(capture) => steps(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().map(steps).fold(0, usize::saturating_add)
        }
    }
}

/// Reads a pattern from left to right and writes it anew.
struct Scanner<'p> {
    rest: &'p str,
    out: String,
    /// For each open group whether it looks around.
    groups: Vec<bool>,
    /// Whether something stands before that can be repeated.
    can_repeat: bool,
    has_lookaround: bool,
    has_backreference: bool,
}

impl<'p> Scanner<'p> {
    fn new(pattern: &'p str) -> Self {
        Self {
            rest: pattern,
            out: String::with_capacity(pattern.len() + 8),
            groups: Vec::new(),
            can_repeat: false,
            has_lookaround: false,
            has_backreference: false,
        }
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn take(&mut self, prefix: &str) -> bool {
        match self.rest.strip_prefix(prefix) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn atom(&mut self, text: &str) {
        self.out.push_str(text);
        self.can_repeat = true;
    }

    fn run(&mut self) -> Result<(), &'static str> {
        while let Some(c) = self.next() {
            match c {
                '\\' => self.escape()?,
                '[' => self.class()?,
                '(' => self.open()?,
                ')' => {
                    let is_lookaround = self.groups.pop().ok_or("a `)` closes nothing")?;
                    self.out.push(')');
                    self.can_repeat = !is_lookaround;
                }
                '*' | '+' | '?' => {
                    self.out.push(c);
                    self.repeated()?;
                }
                '{' => self.brace()?,
                ']' => self.atom("\\]"),
                '}' => self.atom("\\}"),
                '|' | '^' | '$' => {
                    self.out.push(c);
                    self.can_repeat = false;
                }
                c => {
                    self.out.push(c);
                    self.can_repeat = true;
                }
            }
        }
        if self.groups.is_empty() { Ok(()) } else { Err("a `(` is never closed") }
    }

    fn repeated(&mut self) -> Result<(), &'static str> {
        if !std::mem::take(&mut self.can_repeat) {
            return Err("there is nothing to repeat");
        }
        if self.take("?") {
            self.out.push('?');
        }
        Ok(())
    }

    fn brace(&mut self) -> Result<(), &'static str> {
        let bounds = self.rest.split_once('}').map(|(bounds, _)| bounds);
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let is_bounds = |text: &&str| match text.split_once(',') {
            Some((least, most)) => digits(least) && (most.is_empty() || digits(most)),
            None => digits(text),
        };
        let Some(bounds) = bounds.filter(is_bounds) else {
            self.atom("\\{");
            return Ok(());
        };
        if let Some((least, most)) = bounds.split_once(',').filter(|(_, most)| !most.is_empty()) {
            let number = |text: &str| text.parse::<u64>().unwrap_or(u64::MAX);
            if number(least) > number(most) {
                return Err("a repetition has its bounds the wrong way round");
            }
        }
        self.out.push('{');
        self.out.push_str(bounds);
        self.out.push('}');
        self.rest = &self.rest[bounds.len() + 1..];
        self.repeated()
    }

    fn open(&mut self) -> Result<(), &'static str> {
        let mut is_lookaround = false;
        if self.take("?") {
            let kind = ["=", "!", "<=", "<!"].into_iter().find(|kind| self.take(kind));
            if let Some(kind) = kind {
                is_lookaround = true;
                self.has_lookaround = true;
                self.out.push_str("(?");
                self.out.push_str(kind);
            } else if self.take(":") {
                self.out.push_str("(?:");
            } else if self.take("P<") || self.take("<") {
                self.out.push_str("(?<");
            } else {
                return Err("it has flags or groups that JSON Schema does not know");
            }
        } else {
            self.out.push('(');
        }
        self.groups.push(is_lookaround);
        self.can_repeat = false;
        Ok(())
    }

    fn escape(&mut self) -> Result<(), &'static str> {
        match self.rest.chars().next() {
            Some('b' | 'B') => {
                let c = self.next().unwrap_or_default();
                self.out.extend(['\\', c]);
                self.can_repeat = false;
            }
            Some('A') => {
                self.next();
                self.out.push('^');
                self.can_repeat = false;
            }
            Some('z' | 'Z') => {
                self.next();
                self.out.push('$');
                self.can_repeat = false;
            }
            Some('1'..='9') => {
                self.has_backreference = true;
                self.out.push('\\');
                self.can_repeat = true;
            }
            Some('k') if self.rest.starts_with("k<") => {
                self.has_backreference = true;
                self.out.push('\\');
                self.can_repeat = true;
            }
            _ => {
                let (text, _) = self.escaped(false)?;
                self.atom(&text);
            }
        }
        Ok(())
    }

    /// What stands behind a backslash, written anew, and the character that it is if it is one.
    fn escaped(&mut self, in_class: bool) -> Result<(String, Option<char>), &'static str> {
        let c = self.next().ok_or("it ends in a backslash")?;
        let hex = |text: &str| u32::from_str_radix(text, 16).ok().and_then(char::from_u32);
        Ok(match c {
            'd' | 'D' | 'w' | 'W' | 's' | 'S' => (format!("\\{c}"), None),
            't' => ("\\t".into(), Some('\t')),
            'n' => ("\\n".into(), Some('\n')),
            'r' => ("\\r".into(), Some('\r')),
            'v' => ("\\v".into(), Some('\u{b}')),
            'f' => ("\\f".into(), Some('\u{c}')),
            '0' => ("\\x00".into(), Some('\0')),
            'b' if in_class => ("\\x08".into(), Some('\u{8}')),
            'x' | 'u' => {
                let braced = self.rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
                let digits = if c == 'x' { 2 } else { 4 };
                let (text, rest) = match braced {
                    Some((text, rest)) => (text, rest),
                    None => self.rest.split_at_checked(digits).ok_or("an escape is incomplete")?,
                };
                // Halves of surrogate pairs are no characters; they stay as they are.
                let is_half =
                    c == 'u' && text.len() == 4 && text.to_ascii_lowercase().starts_with('d');
                if !text.bytes().all(|b| b.is_ascii_hexdigit()) || hex(text).is_none() && !is_half {
                    return Err("an escape is incomplete");
                }
                self.rest = rest;
                match braced {
                    Some(_) => (format!("\\u{{{text}}}"), hex(text)),
                    None => (format!("\\{c}{text}"), hex(text)),
                }
            }
            'p' | 'P' => {
                let property = self.rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
                let (name, rest) = property.ok_or("a class of characters has no name")?;
                if !is_property(name) {
                    return Err("it names a class of characters that JSON Schema does not know");
                }
                self.rest = rest;
                (format!("\\{c}{{{name}}}"), None)
            }
            'c' if self.rest.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                let letter = self.next().unwrap_or_default();
                (format!("\\c{letter}"), None)
            }
            c if c.is_ascii_alphanumeric() => {
                return Err("it has an escape that JSON Schema does not know");
            }
            c => (plain(c, in_class), Some(c)),
        })
    }

    /// A class of characters in brackets.
    fn class(&mut self) -> Result<(), &'static str> {
        const NEVER_CLOSED: &str = "a `[` is never closed";
        let is_negated = self.take("^");
        let mut parts: Vec<(String, Option<char>)> = Vec::new();
        // Where unescaped hyphens stand, which may be ranges.
        let mut hyphens = Vec::new();
        loop {
            if self.rest.starts_with("[:")
                && let Some((text, rest)) = posix(self.rest)
            {
                parts.push((text.into(), None));
                self.rest = rest;
                continue;
            }
            match self.next().ok_or(NEVER_CLOSED)? {
                ']' => break,
                '\\' => parts.push(self.escaped(true)?),
                '-' => {
                    hyphens.push(parts.len());
                    parts.push(("\\-".into(), Some('-')));
                }
                c => parts.push((plain(c, true), Some(c))),
            }
        }
        self.out.push('[');
        if is_negated {
            self.out.push('^');
        }
        let mut at = 0;
        while at < parts.len() {
            let (text, first) = &parts[at];
            self.out.push_str(text);
            let last = parts.get(at + 2).filter(|_| hyphens.contains(&(at + 1)));
            if let (Some(first), Some((text, Some(last)))) = (first, last) {
                if first > last {
                    return Err("a range of characters has its ends the wrong way round");
                }
                self.out.push('-');
                self.out.push_str(text);
                at += 3;
            } else {
                at += 1;
            }
        }
        self.out.push(']');
        self.can_repeat = true;
        Ok(())
    }
}

/// A character that stands for itself, escaped where it must be.
fn plain(c: char, in_class: bool) -> String {
    let is_syntax = if in_class {
        matches!(c, '[' | ']' | '\\' | '^' | '-')
    } else {
        matches!(
            c,
            '^' | '$' | '\\' | '.' | '*' | '+' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '|'
        )
    };
    if is_syntax { format!("\\{c}") } else { c.to_string() }
}

/// The class that POSIX calls `[:alpha:]`, and what follows it.
fn posix(text: &str) -> Option<(&'static str, &str)> {
    let (name, rest) = text.strip_prefix("[:")?.split_once(":]")?;
    let class = match name {
        "alpha" => "A-Za-z",
        "digit" => "0-9",
        "alnum" => "A-Za-z0-9",
        "upper" => "A-Z",
        "lower" => "a-z",
        "space" => "\\s",
        "xdigit" => "0-9A-Fa-f",
        "word" => "\\w",
        _ => return None,
    };
    Some((class, rest))
}

/// Names of classes of characters that ECMAScript knows, besides the short ones.
const LONG: [&str; 33] = [
    "ASCII",
    "ASCII_Hex_Digit",
    "Alphabetic",
    "Alpha",
    "Any",
    "Assigned",
    "Case_Ignorable",
    "Cased",
    "Control",
    "Dash",
    "Decimal_Number",
    "Emoji",
    "Extended_Pictographic",
    "Hex_Digit",
    "ID_Continue",
    "ID_Start",
    "Ideographic",
    "Letter",
    "Lower",
    "Lowercase",
    "Lowercase_Letter",
    "Mark",
    "Math",
    "Number",
    "Other",
    "Other_Letter",
    "Punctuation",
    "Separator",
    "Space_Separator",
    "Symbol",
    "Upper",
    "Uppercase",
    "Uppercase_Letter",
];

/// Whether ECMAScript knows a class of characters by this name.
fn is_property(name: &str) -> bool {
    if let Some((key, value)) = name.split_once('=') {
        let is_key = matches!(
            key,
            "Script" | "sc" | "Script_Extensions" | "scx" | "General_Category" | "gc"
        );
        return is_key && !value.is_empty();
    }
    let is_short = match name.as_bytes() {
        [b'L' | b'M' | b'N' | b'P' | b'S' | b'Z' | b'C'] => true,
        [b'L', second] => b"CultmoL".contains(second) && *second != b'L',
        [b'M', second] => b"nce".contains(second),
        [b'N', second] => b"dlo".contains(second),
        [b'P', second] => b"cdseifo".contains(second),
        [b'S', second] => b"mcko".contains(second),
        [b'Z', second] => b"slp".contains(second),
        [b'C', second] => b"cfson".contains(second),
        _ => false,
    };
    is_short || LONG.contains(&name) || name == "White_Space"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linear(pattern: &str) -> String {
        match judge(pattern) {
            Judgement::Linear(pattern) => pattern,
            other => panic!("{pattern}: {other:?}"),
        }
    }

    #[test]
    fn patterns_mean_the_same_in_every_mode() {
        for (pattern, expected) in [
            ("^[a-z]+$", "^[a-z]+$"),
            (r"^[\w-.]+\@\_x$", r"^[\w\-.]+@_x$"),
            (r"\/a\-b", r"/a-b"),
            ("a{b}", r"a\{b\}"),
            ("a{2,3}?b{2}c{1,}", "a{2,3}?b{2}c{1,}"),
            ("[[:alpha:]_]]", r"[A-Za-z_]\]"),
            (r"\A\d+\Z", r"^\d+$"),
            ("/^x$/", "^x$"),
            ("(?P<year>\\d)", "(?<year>\\d)"),
            (r"[\]\[a]", r"[\]\[a]"),
            ("[a-]", r"[a\-]"),
            ("[-a]", r"[\-a]"),
            ("[+-.]", "[+-.]"),
            (r"^\x20\u0041\x{1F600}$", r"^\x20\u0041\u{1F600}$"),
            (r"^\p{L}+$", r"^\p{L}+$"),
            ("", ""),
        ] {
            assert_eq!(linear(pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn what_is_not_linear_stays() {
        for pattern in [r"^(?!x)a$", r"(a)\1", "^.{0,65535}$", r"(?<=a)b"] {
            assert!(matches!(judge(pattern), Judgement::NotLinear(..)), "{pattern}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_left_out() {
        for pattern in [
            "*",
            "a**",
            "(",
            ")",
            "[a",
            "a{3,2}",
            "[z-a]",
            "(?i)a",
            "(?>a)",
            "a++",
            "\\",
            r"\h",
            r"\p{Nope}",
            r"\u12",
            "^*",
        ] {
            assert!(matches!(judge(pattern), Judgement::Invalid(_)), "{pattern}");
        }
    }
}
