//! Path templates: every variable gets its parameter, every path parameter its variable.

use std::borrow::Cow;
use std::collections::HashSet;

use super::cx::{Cx, Skip};
use super::site::Site;
use crate::model::{Location, Parameter, Style};

/// Longest path in bytes; servers refuse longer ones.
const PATH_MAX: usize = 8 << 10;

/// Most variables and texts between them.
const PIECES_MAX: usize = 200;

/// Makes path and parameters fit each other. Gives the path back in which each `{name}` is a path
/// parameter; what was written otherwise is reported.
pub(super) fn fit(
    cx: &mut Cx<'_>,
    written: &str,
    site: Site<'_>,
    parameters: &mut Vec<Parameter>,
) -> Result<String, Skip> {
    if written.len() > PATH_MAX {
        let message = format!("the path is longer than {PATH_MAX} bytes");
        return Err(Skip::new("too-large", site, message));
    }
    if written.chars().any(char::is_control) {
        let message = "the path has control characters in it, which no request may have";
        return Err(Skip::new("path-unusable", site, message));
    }
    if pieces(written).len() > PIECES_MAX {
        return Err(Skip::new("too-large", site, "the path has too many variables"));
    }
    let (sent, fragment) = match written.find('#') {
        Some(at) => written.split_at(at),
        None => (written, ""),
    };
    let exact = pieces(sent).into_iter().filter_map(|piece| match piece {
        Piece::Expression(inner) => Some(inner),
        Piece::Literal(_) => None,
    });
    let exact = exact.collect();
    let mut fitting = Fitting { cx, site, parameters, used: HashSet::new(), exact };
    let (path, query) = match sent.split_once('?').filter(|(path, _)| is_outside(path)) {
        Some((path, query)) => (path, Some(query)),
        None => (sent, None),
    };
    let mut fitted = fitting.expressions(path);
    if let Some(query) = query {
        let query = fitting.query(query);
        if !query.is_empty() {
            fitted.push('?');
            fitted.push_str(&query);
        }
    }
    fitting.colons(&mut fitted);
    fitting.drop_unused(written);
    fitted.push_str(fragment);
    Ok(if fitted.starts_with('/') { fitted } else { format!("/{fitted}") })
}

/// Whether the end of this text is outside of braces: `?` may begin an expression (`{?a}`).
fn is_outside(text: &str) -> bool {
    text.rfind('{').is_none_or(|open| text[open..].contains('}'))
}

/// The template with nothing but the places of its variables, by which two of them are the same.
pub(super) fn shape(path: &str) -> Cow<'_, str> {
    if !path.contains('{') {
        return Cow::Borrowed(path);
    }
    let mut shape = String::with_capacity(path.len());
    for piece in pieces(path) {
        match piece {
            Piece::Literal(text) => shape.push_str(text),
            Piece::Expression(_) => shape.push_str("{}"),
        }
    }
    Cow::Owned(shape)
}

enum Piece<'p> {
    Literal(&'p str),
    /// What stands between braces.
    Expression(&'p str),
}

fn pieces(path: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = path;
    while let Some(close) = rest.find('}') {
        let Some(open) = rest[..close].rfind('{') else {
            pieces.push(Piece::Literal(&rest[..=close]));
            rest = &rest[close + 1..];
            continue;
        };
        if open > 0 {
            pieces.push(Piece::Literal(&rest[..open]));
        }
        pieces.push(Piece::Expression(&rest[open + 1..close]));
        rest = &rest[close + 1..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Literal(rest));
    }
    pieces
}

struct Fitting<'a, 'r, 'd> {
    cx: &'a mut Cx<'r>,
    site: Site<'d>,
    parameters: &'a mut Vec<Parameter>,
    /// The path parameters that the template has.
    used: HashSet<String>,
    /// What stands between braces, exactly.
    exact: HashSet<&'a str>,
}

impl Fitting<'_, '_, '_> {
    fn has(&self, location: Location, name: &str) -> bool {
        self.parameters.iter().any(|it| it.location == location && it.name == name)
    }

    /// The path with each expression as `{name}`, where the name is that of a parameter.
    fn expressions(&mut self, path: &str) -> String {
        let mut fitted = String::with_capacity(path.len());
        for piece in pieces(path) {
            match piece {
                Piece::Literal(text) => fitted.push_str(text),
                Piece::Expression(inner) => match inner.strip_prefix(['?', '&']) {
                    Some(names) => self.query_expression(names),
                    None => self.expression(inner, &mut fitted),
                },
            }
        }
        fitted
    }

    fn expression(&mut self, inner: &str, fitted: &mut String) {
        let name = self.bound(inner);
        if name.is_empty() {
            let message = "braces in the path without a name between them are sent as they are";
            self.cx.warn("odd-path", self.site, message);
            fitted.push_str("{}");
            return;
        }
        fitted.push('{');
        fitted.push_str(&name);
        fitted.push('}');
        self.used.insert(name);
    }

    /// The name of the parameter that an expression stands for.
    fn bound(&mut self, inner: &str) -> String {
        if self.has(Location::Path, inner) {
            return inner.to_owned();
        }
        let name = bare(inner);
        if name != inner && !name.is_empty() {
            let message = format!("`{{{inner}}}` in the path is read as `{{{name}}}`");
            self.cx.note("odd-path", self.site, message);
        }
        if name.is_empty() || self.has(Location::Path, name) {
            return name.to_owned();
        }
        // Spelled a little differently is still the same: `{userId}` and `user_id`.
        if !self.cx.charge(self.parameters.iter().map(|it| it.name.as_str())) {
            return name.to_owned();
        }
        let alike = |it: &&Parameter| {
            it.location == Location::Path
                && !self.exact.contains(it.name.as_str())
                && letters(&it.name) == letters(name)
        };
        let mut candidates = self.parameters.iter().filter(alike);
        if let (Some(candidate), None) = (candidates.next(), candidates.next()) {
            let meant = candidate.name.clone();
            let message = format!("`{{{name}}}` in the path is declared as `{meant}`");
            self.cx.warn("path-parameter-name", self.site, message);
            return meant;
        }
        let message = format!("`{{{name}}}` in the path has no path parameter; it takes any text");
        self.cx.warn("path-parameter-undeclared", self.site, message);
        self.add(name, Location::Path);
        name.to_owned()
    }

    /// `{?a,b}`: query parameters (RFC 6570).
    fn query_expression(&mut self, names: &str) {
        for name in names.split(',').map(bare).filter(|name| !name.is_empty()) {
            if !self.has(Location::Query, name) {
                let message =
                    format!("`{name}` in the path has no query parameter; it takes any text");
                self.cx.warn("path-parameter-undeclared", self.site, message);
                self.add(name, Location::Query);
            }
        }
    }

    /// Pairs that stand in the path stay there; those that a parameter writes do not.
    fn query(&mut self, query: &str) -> String {
        let mut kept: Vec<String> = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = match pair.split_once('=') {
                Some((key, value)) => (key, Some(value)),
                None => (pair, None),
            };
            let is_open = value.is_some_and(|value| {
                value.is_empty() || (value.starts_with('{') && value.ends_with('}'))
            });
            let variable = value.map(|value| value.trim_matches(['{', '}'])).unwrap_or_default();
            let is_declared = self.has(Location::Query, key);
            if is_open && is_declared {
                // `?q={q}`: the parameter writes the pair.
                continue;
            }
            if is_open && self.has(Location::Query, variable) {
                // `?q={term}` with a query parameter `term`: the key counts on the wire.
                let message =
                    format!("query parameter `{variable}` is sent as `{key}`, as in the path");
                self.cx.note("odd-path", self.site, message);
                self.rename_query(variable, key);
                continue;
            }
            if is_declared {
                let message = format!("the path has `{pair}`, so parameter `{key}` is left out");
                self.cx.note("fixed-by-path", self.site, message);
                self.parameters.retain(|it| it.location != Location::Query || it.name != key);
            }
            kept.push(self.expressions(pair));
        }
        kept.retain(|pair| !pair.is_empty());
        kept.join("&")
    }

    fn rename_query(&mut self, from: &str, to: &str) {
        let parameter = self
            .parameters
            .iter_mut()
            .find(|parameter| parameter.location == Location::Query && parameter.name == from);
        if let Some(parameter) = parameter {
            to.clone_into(&mut parameter.name);
        }
    }

    /// `/users/:id`, where `id` is a path parameter that the template lacks otherwise.
    fn colons(&mut self, path: &mut String) {
        let missing: Vec<String> = self
            .parameters
            .iter()
            .filter(|it| it.location == Location::Path && !self.used.contains(&it.name))
            .map(|it| it.name.clone())
            .collect();
        for name in missing {
            let written = format!(":{name}");
            let mut segments: Vec<&str> = path.split('/').collect();
            let Some(at) = segments.iter().position(|segment| *segment == written) else {
                continue;
            };
            let variable = format!("{{{name}}}");
            segments[at] = &variable;
            *path = segments.join("/");
            let message = format!("`:{name}` in the path is read as `{{{name}}}`");
            self.cx.warn("odd-path", self.site, message);
            self.used.insert(name);
        }
    }

    fn drop_unused(&mut self, path: &str) {
        let (cx, site, used) = (&mut *self.cx, self.site, &self.used);
        self.parameters.retain(|parameter| {
            let is_used = parameter.location != Location::Path || used.contains(&parameter.name);
            if !is_used {
                let name = &parameter.name;
                let message = format!("path parameter `{name}` is not in `{path}`; it is left out");
                let declaration = site.elsewhere(parameter.at);
                cx.warn("path-parameter-unused", declaration, message);
            }
            is_used
        });
    }

    fn add(&mut self, name: &str, location: Location) {
        let is_path = location == Location::Path;
        self.parameters.push(Parameter {
            name: name.to_owned(),
            location,
            is_required: is_path,
            description: None,
            is_deprecated: false,
            style: if is_path { Style::Simple } else { Style::Form },
            explode: !is_path,
            nested: Vec::new(),
            allow_reserved: false,
            allow_empty: false,
            content: None,
            encoding: Vec::new(),
            schema: None,
            mcp_header: None,
            at: self.site.at(),
        });
    }
}

/// The name in an expression of other template languages: `{+path}` and `{list*}` of RFC 6570,
/// `{id:[0-9]+}` and `{id=things/*}` of routers, `{id?}`, `{rest...}`.
fn bare(inner: &str) -> &str {
    let inner = inner.trim().trim_start_matches(['+', '#', '.', '/', ';', '*', '$']);
    let end = inner.find([':', '=', '|']).unwrap_or(inner.len());
    inner[..end].trim_end_matches(['*', '?', '.', '+']).trim()
}

/// A name without what is spelled one way here and another way there.
fn letters(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}
