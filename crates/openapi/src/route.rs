//! Which operation a plain HTTP request is for.
//!
//! The document decides, with all its operations: a path that is written out goes before a template
//! that it would fit, whether its operation is offered or not. So no template leads to an operation
//! that the operator left out.

use std::cmp::{Ordering, Reverse};
use std::collections::HashMap;

use url::form_urlencoded;

use crate::request::leads_elsewhere;
use crate::tool::{Tool, Value};

/// The operations of an API by method and path.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    /// By the number of segments; what is written out comes before what is not.
    by_length: HashMap<usize, Vec<Template>>,
}

/// What a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<'r> {
    /// An operation that is offered.
    Operation {
        /// The name of its tool.
        tool: &'r str,
        /// The path to follow the server's URL: the template's own text, and the segments of the
        /// request that fill it as they were written.
        path: String,
    },
    /// The path exists, with these methods.
    OtherMethods(Vec<&'r str>),
    /// A segment would be read by a server as one that leads to another path.
    Elsewhere,
    /// Nothing that is offered.
    Nothing,
}

#[derive(Clone, Debug)]
struct Template {
    segments: Vec<Segment>,
    choices: Vec<Choice>,
}

/// One operation of a path.
#[derive(Clone, Debug)]
struct Choice {
    method: String,
    /// Pairs that the query must have: the document tells operations apart by them.
    query: Vec<(String, String)>,
    /// `None` for an operation that is not offered.
    tool: Option<String>,
}

/// One segment of a path: texts, and between each two of them a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Segment {
    /// As the document writes it.
    written: String,
    /// Decoded.
    texts: Vec<String>,
}

impl Routes {
    /// The routes of the tools of an API. `operations` are the method and the path of every operation
    /// of its document.
    ///
    /// An operation of which the operator fixed or hid an argument is not offered: what a plain
    /// request has in the argument's place cannot be told in a stream.
    pub fn new<'t>(
        tools: impl IntoIterator<Item = &'t Tool>,
        operations: &[(String, String)],
    ) -> Self {
        let mut routes = Self::default();
        for tool in tools {
            let is_as_written = |value: &Value| matches!(value, Value::Given | Value::Default(_));
            let is_plain = tool.arguments.iter().all(|argument| is_as_written(&argument.value));
            let operation = &tool.operation;
            routes.add(&operation.method, &operation.path, is_plain.then_some(tool.name.as_str()));
        }
        for (method, path) in operations {
            routes.add(method, path, None);
        }
        routes.sort();
        routes
    }

    fn sort(&mut self) {
        for templates in self.by_length.values_mut() {
            templates.sort_by(Template::compare);
            for template in templates {
                // Those that demand most of the query are looked at first.
                template.choices.sort_by_key(|choice| Reverse(choice.query.len()));
            }
        }
    }

    fn add(&mut self, method: &str, path: &str, tool: Option<&str>) {
        let path = path.split('#').next().unwrap_or_default();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let segments: Vec<Segment> = path.split('/').skip(1).map(Segment::read).collect();
        let query = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let tool = tool.map(str::to_owned);
        let choice = Choice { method: method.to_owned(), query, tool };
        let templates = self.by_length.entry(segments.len()).or_default();
        let known = templates.iter_mut().find(|known| {
            known.segments.iter().zip(&segments).all(|(one, other)| one.texts == other.texts)
        });
        match known {
            Some(known) => known.add(choice),
            None => templates.push(Template { segments, choices: vec![choice] }),
        }
    }

    /// What a request is for: `path` begins with `/`, `query` comes without `?`; both are encoded.
    pub fn find(&self, method: &str, path: &str, query: &str) -> Found<'_> {
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let decoded: Vec<String> = segments.iter().map(|segment| decode(segment)).collect();
        let templates = self.by_length.get(&segments.len()).map_or(&[][..], Vec::as_slice);
        let Some(template) = templates.iter().find(|template| template.fits(&decoded)) else {
            return Found::Nothing;
        };
        let filling = template.segments.iter().zip(&segments);
        if filling.clone().any(|(part, text)| !part.is_literal() && leads_elsewhere(text)) {
            return Found::Elsewhere;
        }
        let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
        let has = |wanted: &(String, String)| {
            pairs.iter().any(|(key, value)| *key == wanted.0 && *value == wanted.1)
        };
        let fits = |choice: &&Choice| choice.query.iter().all(has);
        let mut fitting = template.choices.iter().filter(fits);
        match fitting.find(|choice| choice.method == method).map(|choice| choice.tool.as_deref()) {
            Some(Some(tool)) => {
                let path = filling
                    .map(|(part, text)| if part.is_literal() { &part.written } else { *text });
                let path = path.fold(String::new(), |path, segment| path + "/" + segment);
                return Found::Operation { tool, path };
            }
            Some(None) => return Found::Nothing,
            None => {}
        }
        let mut methods: Vec<&str> = Vec::new();
        for choice in template.choices.iter().filter(|choice| choice.tool.is_some()) {
            if !methods.contains(&choice.method.as_str()) {
                methods.push(&choice.method);
            }
        }
        // A method that is there after all wants pairs that the query lacks.
        let is_none = methods.is_empty() || methods.contains(&method);
        if is_none { Found::Nothing } else { Found::OtherMethods(methods) }
    }
}

impl Template {
    /// Adds an operation; of several that no request tells apart the first stays, as those that are
    /// offered are added first.
    fn add(&mut self, choice: Choice) {
        let is_known =
            |known: &Choice| known.method == choice.method && known.query == choice.query;
        if !self.choices.iter().any(is_known) {
            self.choices.push(choice);
        }
    }

    fn fits(&self, segments: &[String]) -> bool {
        self.segments.iter().zip(segments).all(|(part, text)| part.fits(text))
    }

    /// What is written out comes first, from the left.
    fn compare(&self, other: &Self) -> Ordering {
        let ranks =
            |template: &Self| -> Vec<_> { template.segments.iter().map(Segment::rank).collect() };
        ranks(self).cmp(&ranks(other))
    }
}

impl Segment {
    fn read(written: &str) -> Self {
        let (mut texts, mut rest) = (Vec::new(), written);
        let mut text = String::new();
        while let Some(open) = rest.find('{') {
            let Some(close) = rest[open..].find('}').map(|at| at + open) else { break };
            text.push_str(&rest[..open]);
            texts.push(decode(&std::mem::take(&mut text)));
            rest = &rest[close + 1..];
        }
        text.push_str(rest);
        texts.push(decode(&text));
        Self { written: written.to_owned(), texts }
    }

    fn is_literal(&self) -> bool {
        self.texts.len() == 1
    }

    /// Literal segments come first, then those with most text around their variables.
    fn rank(&self) -> (bool, Reverse<usize>) {
        (!self.is_literal(), Reverse(self.texts.iter().map(String::len).sum()))
    }

    /// Whether a decoded segment is this one, with at least one character for each variable.
    fn fits(&self, segment: &str) -> bool {
        let [first, inner @ .., last] = self.texts.as_slice() else {
            return self.texts.first().is_some_and(|text| text == segment);
        };
        let Some(mut rest) = segment.strip_prefix(first.as_str()) else { return false };
        for text in inner {
            let Some((at, _)) = rest.match_indices(text.as_str()).find(|(at, _)| *at > 0) else {
                return false;
            };
            rest = &rest[at + text.len()..];
        }
        rest.len() > last.len() && rest.ends_with(last.as_str())
    }
}

fn decode(segment: &str) -> String {
    percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api;
    use crate::document::Loader;
    use crate::tool::{ArgumentChange, Change, Options};
    use url::Url;

    struct Nowhere;

    impl Loader for Nowhere {
        fn load(&mut self, _: &Url, _: &Url) -> Result<String, String> {
            Err("it is not there".to_owned())
        }
    }

    /// Routes of `METHOD /path`s; those with `-` in front are not offered.
    fn routes(operations: &[&str]) -> Routes {
        let mut routes = Routes::default();
        for (number, written) in operations.iter().enumerate() {
            let offered = !written.starts_with('-');
            let (method, path) = written.trim_start_matches('-').split_once(' ').unwrap();
            routes.add(method, path, offered.then_some(NAMES[number]));
        }
        routes.sort();
        routes
    }

    const NAMES: [&str; 8] = ["0", "1", "2", "3", "4", "5", "6", "7"];

    fn operation(number: usize, path: &str) -> Found<'static> {
        Found::Operation { tool: NAMES[number], path: path.to_owned() }
    }

    #[test]
    fn a_request_finds_its_operation() {
        let routes = routes(&[
            "GET /pets",
            "POST /pets",
            "GET /pets/{id}",
            "GET /pets/mine",
            "DELETE /pets/{petId}",
            "GET /reports/{year}-{month}.pdf",
            "GET /",
            "GET /pets/{id}/caf%C3%A9",
        ]);
        for (method, path, found) in [
            ("GET", "/pets", operation(0, "/pets")),
            ("POST", "/pets", operation(1, "/pets")),
            ("GET", "/%70ets", operation(0, "/pets")),
            ("GET", "/pets/7", operation(2, "/pets/7")),
            ("GET", "/pets/a%2Fb%20c", operation(2, "/pets/a%2Fb%20c")),
            ("GET", "/pets/mine", operation(3, "/pets/mine")),
            ("DELETE", "/pets/7", operation(4, "/pets/7")),
            ("GET", "/reports/2026-07.pdf", operation(5, "/reports/2026-07.pdf")),
            ("GET", "/reports/2026.pdf", Found::Nothing),
            ("GET", "/", operation(6, "/")),
            ("GET", "/pets/7/caf%c3%a9", operation(7, "/pets/7/caf%C3%A9")),
            ("GET", "/pets/", Found::Nothing),
            ("GET", "/Pets", Found::Nothing),
            ("GET", "/pets/7/8", Found::Nothing),
            ("PUT", "/pets", Found::OtherMethods(vec!["GET", "POST"])),
            ("DELETE", "/pets/mine", Found::OtherMethods(vec!["GET"])),
        ] {
            assert_eq!(routes.find(method, path, ""), found, "{method} {path}");
        }
    }

    #[test]
    fn no_segment_leads_out_of_its_template() {
        let routes = routes(&["GET /pets/{id}/photos", "GET /files/x{name}"]);
        for path in [
            "/pets/../photos",
            "/pets/%2e%2E/photos",
            "/pets/%252e%252e/photos",
            "/pets/..%2F..%2Fadmin/photos",
            "/pets/..%5cadmin/photos",
            "/pets/..;x/photos",
            "/pets/./photos",
            "/pets/a%00b/photos",
            "/pets/a%0d%0ab/photos",
            "/files/x%2F..%2Fy",
        ] {
            assert_eq!(routes.find("GET", path, ""), Found::Elsewhere, "{path}");
        }
        assert_eq!(routes.find("GET", "/pets//photos", ""), Found::Nothing);
    }

    #[test]
    fn what_is_left_out_is_found_by_no_template() {
        let routes = routes(&["GET /users/{id}", "-GET /users/all", "-DELETE /users/{key}"]);
        assert_eq!(routes.find("GET", "/users/all", ""), Found::Nothing);
        assert_eq!(routes.find("GET", "/users/a%6cl", ""), Found::Nothing);
        assert_eq!(routes.find("POST", "/users/all", ""), Found::Nothing);
        assert_eq!(routes.find("DELETE", "/users/7", ""), Found::Nothing);
        assert_eq!(routes.find("PUT", "/users/7", ""), Found::OtherMethods(vec!["GET"]));
    }

    #[test]
    fn pairs_of_the_query_tell_operations_apart() {
        let routes = routes(&["POST /x", "POST /x?action=stop", "POST /x?action=start"]);
        assert_eq!(routes.find("POST", "/x", "a=1&action=start"), operation(2, "/x"));
        assert_eq!(routes.find("POST", "/x", "action=%73top"), operation(1, "/x"));
        assert_eq!(routes.find("POST", "/x", "action=else"), operation(0, "/x"));
    }

    #[test]
    fn an_operation_with_a_fixed_argument_is_not_plain() {
        let text = "openapi: 3.1.0\npaths:\n  /x:\n    get:\n      operationId: getX\n      \
                    parameters: [{name: tenant, in: query, schema: {type: string}}]\n";
        let url = Url::parse("file:///x.yaml").unwrap();
        let mut options = Options::default();
        let find = |options: &Options| {
            let api = api::load(text, &url, "x.yaml", &mut Nowhere, &[], options).unwrap();
            let routes =
                Routes::new(api.tools.iter().map(|offered| &offered.tool), &api.operations);
            routes.find("GET", "/x", "") == Found::Operation { tool: "getX", path: "/x".into() }
        };
        assert!(find(&options));
        options.changes.push(Change {
            operation: "getX".to_owned(),
            arguments: vec![ArgumentChange {
                argument: "tenant".to_owned(),
                is_hidden: true,
                ..Default::default()
            }],
            ..Default::default()
        });
        assert!(!find(&options));
    }
}
