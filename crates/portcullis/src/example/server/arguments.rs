//! Parameters of tools and prompts: one table gives the schema that clients see and the check that
//! arguments pass.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use wire::Json;

/// One parameter.
pub(in crate::example) struct Parameter {
    pub(in crate::example) name: &'static str,
    pub(in crate::example) description: &'static str,
    pub(in crate::example) kind: Kind,
    pub(in crate::example) required: bool,
}

/// What a parameter accepts.
pub(in crate::example) enum Kind {
    /// Text of at most so many characters.
    Text { chars_max: usize },
    /// An integer in a range.
    Integer { min: u64, max: u64, default: u64 },
    /// True or false.
    Flag { default: bool },
    /// A list of short texts.
    Texts { items_max: usize, chars_max: usize },
}

impl Parameter {
    /// A parameter that must be given.
    pub(in crate::example) const fn required(
        name: &'static str,
        kind: Kind,
        description: &'static str,
    ) -> Self {
        Self { name, description, kind, required: true }
    }

    /// A parameter that may be left out.
    pub(in crate::example) const fn optional(
        name: &'static str,
        kind: Kind,
        description: &'static str,
    ) -> Self {
        Self { name, description, kind, required: false }
    }

    fn schema(&self) -> Value {
        let mut schema = match self.kind {
            Kind::Text { chars_max } => json!({ "type": "string", "maxLength": chars_max }),
            Kind::Integer { min, max, default } => {
                json!({ "type": "integer", "minimum": min, "maximum": max, "default": default })
            }
            Kind::Flag { default } => json!({ "type": "boolean", "default": default }),
            Kind::Texts { items_max, chars_max } => json!({
                "type": "array",
                "items": { "type": "string", "maxLength": chars_max },
                "maxItems": items_max,
            }),
        };
        schema["description"] = self.description.into();
        schema
    }

    /// What is accepted, in words.
    fn expectation(&self) -> String {
        match self.kind {
            Kind::Text { chars_max } => format!("a string of at most {chars_max} characters"),
            Kind::Integer { min, max, .. } => format!("an integer from {min} to {max}"),
            Kind::Flag { .. } => "true or false".to_owned(),
            Kind::Texts { items_max, chars_max } => format!(
                "an array of at most {items_max} strings, each of at most {chars_max} characters"
            ),
        }
    }

    fn accepts(&self, value: &Value) -> bool {
        let short = |value: &Value, chars_max: usize| {
            value.as_str().is_some_and(|text| text.chars().count() <= chars_max)
        };
        match self.kind {
            Kind::Text { chars_max } => short(value, chars_max),
            Kind::Integer { min, max, .. } => {
                value.as_u64().is_some_and(|number| (min..=max).contains(&number))
            }
            Kind::Flag { .. } => value.is_boolean(),
            Kind::Texts { items_max, chars_max } => value.as_array().is_some_and(|items| {
                items.len() <= items_max && items.iter().all(|item| short(item, chars_max))
            }),
        }
    }
}

/// The input schema of a tool.
pub(super) fn schema(parameters: &[Parameter]) -> Value {
    let properties: Map<_, _> =
        parameters.iter().map(|one| (one.name.to_owned(), one.schema())).collect();
    let required: Vec<_> =
        parameters.iter().filter(|one| one.required).map(|one| one.name).collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// The argument list of a prompt.
pub(super) fn prompt_arguments(parameters: &[Parameter]) -> Vec<Value> {
    let definition = |one: &Parameter| json!({ "name": one.name, "description": one.description, "required": one.required });
    parameters.iter().map(definition).collect()
}

/// Arguments that fit their parameters.
pub(in crate::example) struct Arguments {
    parameters: &'static [Parameter],
    given: BTreeMap<&'static str, Value>,
}

impl Arguments {
    /// Checks `arguments`, an object or absent, against the parameters. The error names the argument
    /// and what it accepts. A null stands for a parameter that is left out.
    pub(super) fn read(
        parameters: &'static [Parameter],
        arguments: Option<&Json>,
    ) -> Result<Self, String> {
        let mut members = match arguments.map(|json| serde_json::from_slice(json.as_bytes())) {
            None | Some(Ok(Value::Null)) => Map::new(),
            Some(Ok(Value::Object(members))) => members,
            Some(_) => return Err("`arguments` must be an object".to_owned()),
        };
        let mut given = BTreeMap::new();
        for parameter in parameters {
            let name = parameter.name;
            match members.remove(name) {
                None | Some(Value::Null) if parameter.required => {
                    let expectation = parameter.expectation();
                    return Err(format!("argument `{name}` is missing; give {expectation}"));
                }
                None | Some(Value::Null) => {}
                Some(value) if parameter.accepts(&value) => {
                    given.insert(name, value);
                }
                Some(value) => {
                    let expectation = parameter.expectation();
                    let shown = shorten(&value.to_string());
                    return Err(format!("argument `{name}` must be {expectation}, not {shown}"));
                }
            }
        }
        match members.keys().next() {
            Some(unknown) => {
                let known: Vec<_> = parameters.iter().map(|one| one.name).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                Err(format!("argument `{}` does not exist; there are: {known}", shorten(unknown)))
            }
            None => Ok(Self { parameters, given }),
        }
    }

    /// The text of a parameter; `None` where it is left out.
    pub(in crate::example) fn text(&self, name: &str) -> Option<&str> {
        self.given.get(name)?.as_str()
    }

    /// The text of a required parameter.
    pub(in crate::example) fn required_text(&self, name: &str) -> &str {
        self.text(name).expect("a required parameter was checked")
    }

    /// The integer of a parameter, or its default.
    pub(in crate::example) fn integer(&self, name: &str) -> u64 {
        self.given.get(name).and_then(Value::as_u64).unwrap_or_else(|| {
            match self.parameter(name).map(|one| &one.kind) {
                Some(Kind::Integer { default, .. }) => *default,
                _ => 0,
            }
        })
    }

    /// The integer of a parameter, or its default, as a count of things in memory.
    pub(in crate::example) fn count(&self, name: &str) -> usize {
        usize::try_from(self.integer(name)).unwrap_or(usize::MAX)
    }

    /// The flag of a parameter, or its default.
    pub(in crate::example) fn flag(&self, name: &str) -> bool {
        self.given.get(name).and_then(Value::as_bool).unwrap_or_else(|| {
            matches!(self.parameter(name).map(|one| &one.kind), Some(Kind::Flag { default: true }))
        })
    }

    /// The texts of a parameter; `None` where it is left out.
    pub(in crate::example) fn texts(&self, name: &str) -> Option<Vec<String>> {
        let items = self.given.get(name)?.as_array()?;
        Some(items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect())
    }

    fn parameter(&self, name: &str) -> Option<&'static Parameter> {
        self.parameters.iter().find(|one| one.name == name)
    }
}

/// As much of a value as a message should repeat.
fn shorten(text: &str) -> String {
    const SHOWN_CHARS: usize = 80;
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARAMETERS: &[Parameter] = &[
        Parameter::required("path", Kind::Text { chars_max: 5 }, "where"),
        Parameter::optional("limit", Kind::Integer { min: 1, max: 9, default: 4 }, "how many"),
    ];

    fn read(text: &str) -> Result<Arguments, String> {
        Arguments::read(PARAMETERS, Some(&Json::trusted(text.to_owned())))
    }

    #[test]
    fn every_error_names_the_argument_and_what_it_accepts() {
        let refused = |text| read(text).err().expect("refused");
        assert_eq!(
            refused("{}"),
            "argument `path` is missing; give a string of at most 5 characters"
        );
        assert_eq!(
            refused(r#"{"path":"a","limit":"x"}"#),
            "argument `limit` must be an integer from 1 to 9, not \"x\""
        );
        assert_eq!(
            refused(r#"{"path":"a","depth":1}"#),
            "argument `depth` does not exist; there are: path, limit"
        );
        assert_eq!(refused("[]"), "`arguments` must be an object");
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        let arguments =
            read(r#"{"path":"a","limit":null}"#).unwrap_or_else(|text| panic!("{text}"));
        assert_eq!((arguments.required_text("path"), arguments.integer("limit")), ("a", 4));
    }
}
