//! The arguments of a tool, as far as pages are concerned: what they are called, what they take, and
//! where a page begins when a client says nothing.

use std::borrow::Cow;

use wire::json::{Edit, Json, Kind, Object};

use crate::model::Location;
use crate::tool::{Argument, Source, Tool, Value};

/// An argument in a query or a body that clients can give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Taker {
    /// Its name for clients.
    pub(super) name: String,
    /// Its name in the request.
    pub(super) wire: String,
    /// Whether it travels in the query.
    pub(super) is_in_query: bool,
    pub(super) takes: Takes,
    /// The number that it is where clients give none, as far as the document says.
    pub(super) default: Option<u64>,
}

/// What kind of value an argument takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    Number,
    Text,
    /// An object; the members that are known to be numbers.
    Object(Vec<String>),
    List,
    /// The document does not say.
    Anything,
}

/// The arguments of a tool that may ask for pages: none that clients do not see, and none in whose
/// place the gate puts something of its own.
pub(super) fn takers(tool: &Tool) -> Vec<Taker> {
    let schemas = Schemas::of(tool);
    tool.arguments.iter().filter_map(|argument| taker(tool, argument, &schemas)).collect()
}

fn taker(tool: &Tool, argument: &Argument, schemas: &Schemas) -> Option<Taker> {
    let is_visible = matches!(argument.value, Value::Given | Value::Default(_));
    let (wire, is_in_query) = match &argument.source {
        Source::Parameter(at) => {
            let parameter = tool.operation.parameters.get(*at)?;
            (Some(&parameter.name).filter(|_| parameter.location == Location::Query)?, true)
        }
        Source::Form(at) => (&tool.operation.body.as_ref()?.form.get(*at)?.name, false),
        Source::Member(name) => (name, false),
        Source::Body => return None,
    };
    let is_added = tool.additions.query.iter().any(|(name, _)| name == wire);
    if !is_visible || (is_in_query && is_added) {
        return None;
    }
    let (takes, default) = schemas.of_argument(&argument.name);
    let default = match &argument.value {
        Value::Default(json) => number(json),
        _ => default,
    };
    Some(Taker { name: argument.name.clone(), wire: wire.clone(), is_in_query, takes, default })
}

/// What the definition of a tool says about its arguments.
struct Schemas {
    properties: Object,
    definitions: Object,
}

impl Schemas {
    fn of(tool: &Tool) -> Self {
        let definition = Json::trusted(tool.definition.clone()).object();
        let schema = definition.and_then(|it| it.object("inputSchema"));
        let member = |key| schema.as_ref().and_then(|it| it.object(key));
        Self {
            properties: member("properties").unwrap_or_else(Object::empty),
            definitions: member("$defs").unwrap_or_else(Object::empty),
        }
    }

    fn of_argument(&self, name: &str) -> (Takes, Option<u64>) {
        let Some(schema) = self.properties.object(name) else { return (Takes::Anything, None) };
        let target = self.target(&schema);
        let keyword = |key| schema.get(key).or_else(|| target.as_ref()?.get(key));
        let first = keyword("default").as_ref().and_then(number);
        let from_zero = keyword("minimum").as_ref().and_then(number).filter(|least| *least == 0);
        let takes = match self.kind(&schema) {
            Takes::Object(_) => Takes::Object(self.numbers(target.as_ref().unwrap_or(&schema))),
            other => other,
        };
        (takes, first.or(from_zero))
    }

    fn kind(&self, schema: &Object) -> Takes {
        let target = self.target(schema);
        let stated = schema.get("type").or_else(|| target?.get("type"));
        let names: Vec<String> = match stated {
            Some(name) if name.kind() == Kind::String => {
                name.text().map(Cow::into_owned).into_iter().collect()
            }
            Some(names) => {
                let names = names.elements().unwrap_or_default();
                names.iter().filter_map(|it| Some(it.text()?.into_owned())).collect()
            }
            None => Vec::new(),
        };
        let has = |wanted: &str| names.iter().any(|name| name == wanted);
        if has("string") {
            Takes::Text
        } else if has("integer") || has("number") {
            Takes::Number
        } else if has("object") {
            Takes::Object(Vec::new())
        } else if has("array") {
            Takes::List
        } else {
            Takes::Anything
        }
    }

    /// The members of an object that are numbers.
    fn numbers(&self, schema: &Object) -> Vec<String> {
        let properties = schema.object("properties").unwrap_or_else(Object::empty);
        let is_number = |member: &Json| {
            member.object().is_some_and(|schema| self.kind(&schema) == Takes::Number)
        };
        let numbers = properties.members().filter(|(_, member)| is_number(member));
        numbers.map(|(name, _)| name.into_owned()).collect()
    }

    fn target(&self, schema: &Object) -> Option<Object> {
        let reference = schema.text("$ref")?;
        self.definitions.object(reference.strip_prefix("#/$defs/")?)
    }
}

/// A whole number, also one that is written as a text.
pub(super) fn number(json: &Json) -> Option<u64> {
    match json.kind() {
        Kind::Number => json.as_u64(),
        Kind::String => json.text()?.parse().ok(),
        _ => None,
    }
}

// === impl Taker ===

impl Taker {
    /// Whether it has this name in requests, without case and signs: `page_token`, `pageToken` and
    /// `page-token` are the same.
    pub(super) fn is_called(&self, folded: &str) -> bool {
        is_folded(&self.wire, folded)
    }

    /// The number that a call has for it.
    pub(super) fn given(&self, arguments: &Object) -> Option<u64> {
        arguments.get(&self.name).as_ref().and_then(number)
    }

    /// A text of the API as the kind of value that the argument takes.
    pub(super) fn value(&self, text: &str, given: Option<&Json>) -> Json {
        let is_number = match &self.takes {
            Takes::Number => true,
            Takes::Anything => {
                given.map_or_else(|| counts(&self.wire), |given| given.kind() == Kind::Number)
            }
            _ => false,
        };
        if is_number && is_decimal(text) {
            Json::trusted(text.to_owned())
        } else {
            Json::string(text)
        }
    }

    /// A number as the kind of value that the argument takes.
    pub(super) fn count(&self, number: u64) -> Json {
        match self.takes {
            Takes::Text => Json::string(&number.to_string()),
            _ => Json::trusted(number.to_string()),
        }
    }
}

/// Whether the name of an argument says that it takes numbers.
fn counts(wire: &str) -> bool {
    const COUNTS: [&str; 7] = ["page", "offset", "limit", "skip", "count", "start", "perpage"];
    let folded = fold(wire);
    COUNTS.contains(&folded.as_str()) || folded.ends_with("number") || folded.ends_with("size")
}

/// Whether a text is a whole number as JSON writes it.
pub(super) fn is_decimal(text: &str) -> bool {
    (1..16).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'))
}

/// The value of an argument with one of its members changed: `path` leads there.
pub(super) fn with_member(before: Option<&Json>, path: &str, value: &Json) -> Json {
    let object = before.and_then(Json::object).unwrap_or_else(Object::empty);
    match path.split_once('.') {
        None => object.to_json(&[Edit::set(path, value.as_bytes())]),
        Some((first, rest)) => {
            let inner = with_member(object.get(first).as_ref(), rest, value);
            object.to_json(&[Edit::set(first, inner.as_bytes())])
        }
    }
}

/// A name without case and signs.
pub(super) fn fold(name: &str) -> String {
    folded(name).collect()
}

/// Whether a name is this one, which is without case and signs.
pub(super) fn is_folded(name: &str, wanted: &str) -> bool {
    folded(name).eq(wanted.chars())
}

fn folded(name: &str) -> impl Iterator<Item = char> {
    name.chars().filter(char::is_ascii_alphanumeric).map(|it| it.to_ascii_lowercase())
}
