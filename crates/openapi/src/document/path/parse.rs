//! Reads a `JSONPath`. More names are taken without quotes than the grammar has, such as `x-tag`.

use super::filter::{self, Comparison, Expression, Operand, Pattern, Query};
use super::{Path, PathError, Segment, Selector};

/// Deepest nesting of filters and parentheses.
const DEPTH_MAX: usize = 32;

pub(super) fn path(text: &str) -> Result<Path, PathError> {
    let mut reader = Reader { text, at: 0, depth: 0 };
    reader.skip_blanks();
    if !reader.takes("$") {
        return Err(reader.error("a path begins with `$`"));
    }
    let segments = reader.segments()?;
    reader.skip_blanks();
    if !reader.rest().is_empty() {
        return Err(reader.error("expected `.`, `..` or `[`"));
    }
    Ok(Path { segments })
}

struct Reader<'text> {
    text: &'text str,
    at: usize,
    depth: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn takes(&mut self, token: &str) -> bool {
        let is_here = self.rest().starts_with(token);
        if is_here {
            self.at += token.len();
        }
        is_here
    }

    fn skip_blanks(&mut self) {
        let rest = self.rest();
        let blanks = rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
        self.at += blanks;
    }

    fn error(&self, problem: impl Into<String>) -> PathError {
        PathError::Malformed(problem.into(), self.text[..self.at].chars().count() + 1)
    }

    fn expect(&mut self, token: &str) -> Result<(), PathError> {
        self.skip_blanks();
        if self.takes(token) { Ok(()) } else { Err(self.error(format!("expected `{token}`"))) }
    }

    fn segments(&mut self) -> Result<Vec<Segment>, PathError> {
        let mut segments = Vec::new();
        loop {
            let before = self.at;
            self.skip_blanks();
            let is_deep = self.takes("..");
            let selectors = if self.takes("[") {
                self.bracket()?
            } else if is_deep || self.takes(".") {
                if self.takes("*") { vec![Selector::All] } else { vec![self.shorthand()?] }
            } else {
                self.at = before;
                return Ok(segments);
            };
            segments.push(Segment { is_deep, selectors });
        }
    }

    /// A name without quotes.
    fn shorthand(&mut self) -> Result<Selector, PathError> {
        let rest = self.rest();
        let is_part = |letter: char| {
            letter.is_ascii_alphanumeric()
                || matches!(letter, '_' | '-' | '$')
                || !letter.is_ascii()
        };
        let end = rest.find(|letter| !is_part(letter)).unwrap_or(rest.len());
        if end == 0 {
            return Err(self.error("expected a name; quote names with other letters: `['/a b']`"));
        }
        let name = rest[..end].to_owned();
        self.at += end;
        Ok(Selector::Name(name))
    }

    /// The selectors between brackets.
    fn bracket(&mut self) -> Result<Vec<Selector>, PathError> {
        let mut selectors = Vec::new();
        loop {
            self.skip_blanks();
            selectors.push(self.selector()?);
            self.skip_blanks();
            if self.takes("]") {
                return Ok(selectors);
            }
            if !self.takes(",") {
                return Err(self.error("expected `,` or `]`"));
            }
        }
    }

    fn selector(&mut self) -> Result<Selector, PathError> {
        match self.peek() {
            Some('\'' | '"') => Ok(Selector::Name(self.quoted()?)),
            Some('*') => {
                self.at += 1;
                Ok(Selector::All)
            }
            Some('?') => {
                self.at += 1;
                Ok(Selector::Filter(self.any()?))
            }
            Some('-' | ':' | '0'..='9') => self.index_or_slice(),
            _ => Err(self.error("expected a quoted name, a number, `*` or `?`")),
        }
    }

    fn index_or_slice(&mut self) -> Result<Selector, PathError> {
        let start = self.integer()?;
        self.skip_blanks();
        if !self.takes(":") {
            return start.map(Selector::Index).ok_or_else(|| self.error("expected a number"));
        }
        self.skip_blanks();
        let end = self.integer()?;
        self.skip_blanks();
        let mut step = 1;
        if self.takes(":") {
            self.skip_blanks();
            step = self.integer()?.unwrap_or(1);
        }
        Ok(Selector::Slice { start, end, step })
    }

    fn integer(&mut self) -> Result<Option<i64>, PathError> {
        let rest = self.rest();
        let digits = rest.strip_prefix('-').unwrap_or(rest);
        let len = digits.bytes().take_while(u8::is_ascii_digit).count();
        let len = rest.len() - digits.len() + len;
        if len == 0 {
            return Ok(None);
        }
        let value = rest[..len].parse().map_err(|_| self.error("this number is too large"))?;
        self.at += len;
        Ok(Some(value))
    }

    fn quoted(&mut self) -> Result<String, PathError> {
        let quote = self.peek().unwrap_or('"');
        self.at += 1;
        let mut text = String::new();
        loop {
            let Some(letter) = self.peek() else {
                return Err(self.error("this text is not closed"));
            };
            self.at += letter.len_utf8();
            if letter == quote {
                return Ok(text);
            }
            text.push(if letter == '\\' { self.escaped()? } else { letter });
        }
    }

    fn escaped(&mut self) -> Result<char, PathError> {
        let Some(letter) = self.peek() else { return Err(self.error("this text is not closed")) };
        self.at += letter.len_utf8();
        Ok(match letter {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            '\'' | '"' | '\\' | '/' => letter,
            'u' => {
                let first = self.hex()?;
                if !(0xd800..0xdc00).contains(&first) {
                    return Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                if !self.takes("\\u") {
                    return Err(self.error("expected the second half of a surrogate pair"));
                }
                let second = self.hex()?;
                let second = second.checked_sub(0xdc00).filter(|second| *second < 0x400);
                let both = second.map(|second| 0x1_0000 + ((first - 0xd800) << 10) + second);
                both.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            _ => return Err(self.error("there is no such escape")),
        })
    }

    fn hex(&mut self) -> Result<u32, PathError> {
        let digits =
            self.rest().get(..4).filter(|four| four.bytes().all(|b| b.is_ascii_hexdigit()));
        let value = digits.and_then(|four| u32::from_str_radix(four, 16).ok());
        let value = value.ok_or_else(|| self.error("`\\u` needs four hexadecimal digits"))?;
        self.at += 4;
        Ok(value)
    }

    /// Parts of which one must hold.
    fn any(&mut self) -> Result<Expression, PathError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.error(format!("filters nest deeper than {DEPTH_MAX} levels")));
        }
        let mut parts = vec![self.all()?];
        self.skip_blanks();
        while self.takes("||") {
            parts.push(self.all()?);
            self.skip_blanks();
        }
        self.depth -= 1;
        Ok(Expression::Any(parts))
    }

    /// Parts of which all must hold.
    fn all(&mut self) -> Result<Expression, PathError> {
        let mut parts = vec![self.part()?];
        self.skip_blanks();
        while self.takes("&&") {
            parts.push(self.part()?);
            self.skip_blanks();
        }
        Ok(Expression::All(parts))
    }

    fn part(&mut self) -> Result<Expression, PathError> {
        self.skip_blanks();
        let mut is_negated = false;
        while self.rest().starts_with('!') && !self.rest().starts_with("!=") {
            self.at += 1;
            is_negated = !is_negated;
            self.skip_blanks();
        }
        let part = if self.takes("(") {
            let inner = self.any()?;
            self.expect(")")?;
            inner
        } else {
            self.test_or_comparison()?
        };
        Ok(if is_negated { Expression::Not(Box::new(part)) } else { part })
    }

    fn test_or_comparison(&mut self) -> Result<Expression, PathError> {
        for (function, is_whole) in [("match(", true), ("search(", false)] {
            if self.takes(function) {
                return self.fits(is_whole);
            }
        }
        let left = self.operand()?;
        self.skip_blanks();
        let comparison = [
            ("==", Comparison::Equal),
            ("!=", Comparison::NotEqual),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        let comparison = comparison.into_iter().find(|(token, _)| self.takes(token));
        let Some((_, comparison)) = comparison else {
            return match left {
                Operand::Value(query) => Ok(Expression::Exists(query)),
                _ => Err(self.error("expected a comparison such as `== 'a'`")),
            };
        };
        self.skip_blanks();
        let right = self.operand()?;
        self.check_singular(&left)?;
        self.check_singular(&right)?;
        Ok(Expression::Compare(left, comparison, right))
    }

    /// Refuses a path that may lead to several values where one is needed.
    fn check_singular(&self, operand: &Operand) -> Result<(), PathError> {
        match operand {
            Operand::Value(query) if !query.is_singular() => {
                Err(self.error("here a path leads to one value, without `*`, `..` or filters"))
            }
            _ => Ok(()),
        }
    }

    /// The arguments of `match()` or `search()`: a text and a regular expression.
    fn fits(&mut self, is_whole: bool) -> Result<Expression, PathError> {
        self.skip_blanks();
        let text = self.operand()?;
        self.check_singular(&text)?;
        self.expect(",")?;
        self.skip_blanks();
        let at = self.at;
        let pattern = match self.operand()? {
            Operand::Text(written) => {
                let compiled = filter::pattern(&written, is_whole);
                Pattern::Fixed(compiled.map_err(|problem| {
                    self.at = at;
                    self.error(format!("`{written}` is no regular expression: {problem}"))
                })?)
            }
            operand => {
                self.check_singular(&operand)?;
                Pattern::Found { operand, is_whole }
            }
        };
        self.expect(")")?;
        Ok(Expression::Fits(text, pattern))
    }

    fn operand(&mut self) -> Result<Operand, PathError> {
        if matches!(self.peek(), Some('\'' | '"')) {
            return Ok(Operand::Text(self.quoted()?));
        }
        if matches!(self.peek(), Some('@' | '$')) {
            return Ok(Operand::Value(self.query()?));
        }
        let rest = self.rest();
        let is_part = |letter: char| letter.is_ascii_alphanumeric() || "_+-.".contains(letter);
        let end = rest.find(|letter| !is_part(letter)).unwrap_or(rest.len());
        let word = rest[..end].to_owned();
        let is_called = rest[end..].starts_with('(');
        let operand = match word.as_str() {
            "length" | "count" | "value" if is_called => {
                self.at += end + 1;
                return self.call(&word);
            }
            "null" => Operand::Null,
            "true" => Operand::Bool(true),
            "false" => Operand::Bool(false),
            _ if word.parse::<f64>().is_ok_and(f64::is_finite) => Operand::Number(word),
            _ if is_called => {
                let problem = format!(
                    "there is no function `{word}()` here; length, count and value give a value, \
                     match and search stand alone"
                );
                return Err(self.error(problem));
            }
            _ => return Err(self.error("expected `@`, `$`, a text in quotes or a number")),
        };
        self.at += end;
        Ok(operand)
    }

    fn call(&mut self, function: &str) -> Result<Operand, PathError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.error(format!("filters nest deeper than {DEPTH_MAX} levels")));
        }
        self.skip_blanks();
        let operand = match function {
            "length" => {
                let operand = self.operand()?;
                self.check_singular(&operand)?;
                Operand::Length(Box::new(operand))
            }
            "count" => Operand::Count(self.query()?),
            _ => Operand::OnlyValue(self.query()?),
        };
        self.expect(")")?;
        self.depth -= 1;
        Ok(operand)
    }

    fn query(&mut self) -> Result<Query, PathError> {
        let is_absolute = self.takes("$");
        if !is_absolute && !self.takes("@") {
            return Err(self.error("expected `@` or `$`"));
        }
        Ok(Query { is_absolute, segments: self.segments()? })
    }
}

impl Query {
    /// Whether it leads to one value at most.
    fn is_singular(&self) -> bool {
        self.segments.iter().all(|segment| {
            let is_one =
                |selector: &Selector| matches!(selector, Selector::Name(_) | Selector::Index(_));
            !segment.is_deep && segment.selectors.len() == 1 && segment.selectors.iter().all(is_one)
        })
    }
}
