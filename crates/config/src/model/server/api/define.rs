//! Tools that are written by hand in the configuration.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;

use super::{
    pagination::Pagination,
    tools::{HintOverrides, JsonText, check_method, check_path},
};
use crate::{
    diagnostic::Code,
    model::{
        server::{
            declared::{check_kind, read_arguments, read_schema},
            read_texts,
            remote::{check_header, check_header_value, is_header_allowed},
        },
        tag,
        word::words,
    },
    secret::Resolved,
    tree::Node,
    walk::{Cx, Fields, Read},
};

/// A tool that is written by hand: what it asks the API for.
#[derive(Clone, Debug, PartialEq, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DefinedTool {
    /// The HTTP method.
    #[serde(default = "default_method")]
    pub method: String,
    /// The path below the server's `url`. Each `{name}` in it is an argument.
    pub path: String,
    /// The tool's title.
    #[serde(default)]
    pub title: Option<String>,
    /// What the tool does.
    #[serde(default)]
    pub description: Option<String>,
    /// What hosts may assume of it. The default is what the method means.
    #[serde(default)]
    pub annotations: HintOverrides,
    /// Its arguments by their names, in their order: a type, or a mapping. Names in the path that
    /// are not here are texts.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, WrittenArgument>")]
    pub arguments: Vec<(String, DefinedArgument)>,
    /// How the body is written.
    #[serde(default)]
    pub body: DefinedBody,
    /// A JSON Schema of what the API answers with.
    #[serde(default)]
    pub output: Option<JsonText>,
    /// How the next page of its result is found. The default is what the server says.
    #[serde(default)]
    pub pagination: Option<Pagination>,
    /// Tags that it carries.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Headers that each request has.
    #[serde(default)]
    pub headers: BTreeMap<String, Resolved>,
    /// Pairs that the query of each request has.
    #[serde(default)]
    pub query: BTreeMap<String, Resolved>,
}

/// An argument of a tool that is written by hand.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DefinedArgument {
    /// Where its value goes. The default is the path where it stands there, the body with `POST`,
    /// `PUT` and `PATCH`, else the query.
    #[serde(rename = "in")]
    pub location: Option<ArgumentLocation>,
    /// Its name in the request, where that is another one.
    pub name: Option<String>,
    /// The type of its values.
    #[serde(rename = "type")]
    pub kind: Option<ArgumentType>,
    /// A JSON Schema of its values, instead of `type`.
    pub schema: Option<JsonText>,
    /// What clients read about it.
    pub description: Option<String>,
    /// Clients must give it.
    pub required: bool,
    /// The value that is sent where the client gives none.
    pub default: Option<JsonText>,
    /// The value that is always sent; clients do not see the argument.
    pub value: Option<JsonText>,
}

/// An argument with its short form, for the schema alone.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum WrittenArgument {
    /// Only the type.
    Short(ArgumentType),
    /// The long form.
    Long(DefinedArgument),
}

words! {
    /// Where the value of an argument goes.
    ArgumentLocation {
        /// Into the query.
        #[default]
        Query = "query",
        /// Into the path, in place of its name in braces.
        Path = "path",
        /// Into a header.
        Header = "header",
        /// Into a cookie.
        Cookie = "cookie",
        /// Into the body.
        Body = "body",
    }
}

words! {
    /// The type of the values of an argument.
    ArgumentType {
        /// A text.
        #[default]
        String = "string",
        /// A whole number.
        Integer = "integer",
        /// A number.
        Number = "number",
        /// `true` or `false`.
        Boolean = "boolean",
        /// A list.
        Array = "array",
        /// An object.
        Object = "object",
    }
}

words! {
    /// How the body of a request is written.
    DefinedBody {
        /// A JSON object of the arguments that go there.
        #[default]
        Json = "json",
        /// As forms of web pages are, `a=b&c=d`.
        Form = "form",
        /// As forms with files are.
        Multipart = "multipart",
        /// The text that the one argument is that goes there.
        Text = "text",
    }
}

/// What lets somebody in comes from the configuration and from no client.
fn is_credential(header: &str) -> bool {
    ["authorization", "cookie"].iter().any(|name| name.eq_ignore_ascii_case(header))
}

fn default_method() -> String {
    "GET".to_owned()
}

// === impl DefinedTool ===

impl DefinedTool {
    /// Where the value of an argument goes.
    pub fn location(&self, name: &str, argument: &DefinedArgument) -> ArgumentLocation {
        let writes = ["POST", "PUT", "PATCH"].contains(&self.method.as_str());
        argument.location.unwrap_or(if self.path.contains(&format!("{{{name}}}")) {
            ArgumentLocation::Path
        } else if writes {
            ArgumentLocation::Body
        } else {
            ArgumentLocation::Query
        })
    }

    /// Every value in it that may be a secret.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &Resolved> {
        let fixed = self.arguments.iter().filter_map(|(_, argument)| argument.value.as_ref());
        self.headers.values().chain(self.query.values()).chain(fixed.flat_map(JsonText::secrets))
    }

    fn check(&self, node: &Node, cx: &mut Cx<'_>) {
        let arguments = node.get("arguments").map(Node::entries).unwrap_or_default();
        let mut in_body = 0;
        let mut sent: BTreeSet<(&str, String)> = BTreeSet::new();
        for (name, argument) in &self.arguments {
            let Some(entry) = arguments.iter().find(|entry| entry.key == *name) else { continue };
            let location = self.location(name, argument);
            let place = entry.node.get("name").map_or(&entry.key_range, |node| &node.range);
            let wire_name = argument.name.as_ref().unwrap_or(name);
            let is_in_path = self.path.contains(&format!("{{{name}}}"));
            match location {
                ArgumentLocation::Path if !is_in_path => {
                    let message = format!("there is no `{{{name}}}` in the path `{}`", self.path);
                    let problem = cx.problem(Code::Conflict, &entry.key_range, message);
                    cx.report(problem.hint("put it there, or let the argument go elsewhere"));
                }
                ArgumentLocation::Path if argument.name.is_some() => {
                    let message = "an argument in the path has one name";
                    let problem = cx.problem(Code::Conflict, place, message);
                    cx.report(problem.hint(format!("the path says it: `{{{name}}}`")));
                }
                ArgumentLocation::Path => {}
                _ if is_in_path => {
                    let message = format!("`{{{name}}}` in the path is the argument `{name}`");
                    let problem = cx.problem(Code::Conflict, &entry.key_range, message);
                    cx.report(problem.hint("leave `in` out, or give one of them another name"));
                }
                ArgumentLocation::Header if is_credential(wire_name) => {
                    let message = format!("the header `{wire_name}` is no argument");
                    let problem = cx.problem(Code::InvalidName, place, message);
                    cx.report(problem.hint("set `credentials` for the server"));
                }
                ArgumentLocation::Header => {
                    let text = Node::string(place.clone(), wire_name.as_str());
                    is_header_allowed(&text, cx);
                }
                ArgumentLocation::Body => in_body += 1,
                ArgumentLocation::Query | ArgumentLocation::Cookie => {}
            }
            let folded = match location {
                ArgumentLocation::Header => wire_name.to_ascii_lowercase(),
                _ => wire_name.clone(),
            };
            if !sent.insert((location.as_str(), folded)) {
                let message = format!(
                    "another argument is sent as `{wire_name}` in the {}, too",
                    location.as_str()
                );
                cx.report(cx.problem(Code::Conflict, place, message));
            }
        }
        if let Some(body) = node.get("body") {
            if in_body == 0 {
                let problem = cx.problem(Code::WithoutEffect, &body.range, "there is no body");
                cx.report(problem.hint("let an argument go there: `in: body`"));
            } else if self.body == DefinedBody::Text && in_body > 1 {
                let message = "a body that is text is one argument, and more go there";
                cx.report(cx.problem(Code::Conflict, &body.range, message));
            }
        }
    }
}

impl Read for DefinedTool {
    fn read(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, "a tool", cx)?;
        let mut tool = Self {
            method: default_method(),
            path: String::new(),
            title: None,
            description: None,
            annotations: HintOverrides::default(),
            arguments: Vec::new(),
            body: DefinedBody::default(),
            output: None,
            pagination: None,
            tags: Vec::new(),
            headers: BTreeMap::new(),
            query: BTreeMap::new(),
        };
        fields.set("method", &mut tool.method, cx);
        if let Some(node) = fields.node("method") {
            check_method(&tool.method, node, cx);
            tool.method.make_ascii_uppercase();
        }
        let path = fields.require::<String>("path", cx);
        if let (Some(path), Some(node)) = (&path, fields.node("path")) {
            check_path(path, node, cx);
        }
        fields.set_some("title", &mut tool.title, cx);
        fields.set_some("description", &mut tool.description, cx);
        fields.set("annotations", &mut tool.annotations, cx);
        if let Some(node) = fields.node("arguments") {
            let hint =
                "hosts take 1 to 64 letters, digits, `_`, `.` and `-`; `name` says how it is sent";
            tool.arguments = read_arguments(node, hint, cx);
        }
        fields.set("body", &mut tool.body, cx);
        if let Some(node) = fields.node("output") {
            tool.output = read_schema(node, cx);
        }
        fields.set_some("pagination", &mut tool.pagination, cx);
        if let Some(node) = fields.node("tags") {
            tool.tags = tag::read_all(node, cx).unwrap_or_default();
        }
        if let Some(node) = fields.node("headers") {
            tool.headers = read_texts(node, "`headers`", check_header, cx).unwrap_or_default();
            for entry in node.entries() {
                if let Some(text) = tool.headers.get(&entry.key) {
                    check_header_value(&entry.node, text, cx);
                }
            }
        }
        if let Some(node) = fields.node("query") {
            tool.query = read_texts(node, "`query`", |_, _| true, cx).unwrap_or_default();
        }
        fields.finish(cx);
        tool.path = path?;
        tool.check(node, cx);
        Some(tool)
    }
}

impl Read for DefinedArgument {
    fn read(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        if node.as_str().is_some() {
            let kind = ArgumentType::read(node, cx)?;
            return Some(Self { kind: Some(kind), ..Self::default() });
        }
        let mut argument = Self::default();
        let mut fields = Fields::of(node, "an argument", cx)?;
        fields.set_some("in", &mut argument.location, cx);
        fields.set_some("name", &mut argument.name, cx);
        fields.set_some("type", &mut argument.kind, cx);
        let kind = fields.node("type");
        let schema = fields.node("schema");
        argument.schema = schema.and_then(|node| read_schema(node, cx));
        fields.set_some("description", &mut argument.description, cx);
        fields.set("required", &mut argument.required, cx);
        fields.set_some("default", &mut argument.default, cx);
        fields.set_some("value", &mut argument.value, cx);
        let default = fields.node("default");
        fields.finish(cx);
        check_kind(kind, schema, cx);
        if let (Some(_), Some(default)) = (&argument.value, default) {
            let message = "`value` is always sent, so `default` never is";
            cx.report(cx.problem(Code::Conflict, &default.range, message).hint("keep one"));
        }
        Some(argument)
    }
}
