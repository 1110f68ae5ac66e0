//! One tool that is made of calls: what clients see of it, and what its arguments and results must
//! look like.

use config::{CompositeArgument, JsonText};
use policy::Schema;
use wire::json::{Edit, write_string};
use wire::{Json, Object};

/// A tool of the configuration that is made of calls.
#[derive(Debug)]
pub(crate) struct CompositeTool {
    pub(crate) wanted: config::CompositeTool,
    definition: Json,
    input: Schema,
    output: Option<Schema>,
}

/// Most things wrong with arguments or a result that are told at once.
const VIOLATIONS_MAX: usize = 10;

impl CompositeTool {
    pub(super) fn new(name: &str, wanted: &config::CompositeTool) -> Result<Self, String> {
        let unusable = |what: &str, error: policy::schema::Unusable| {
            format!("the {what} schema of the tool `{name}` cannot be used: {error}")
        };
        let input = input_schema(wanted);
        let compiled = Schema::compile(input.as_bytes()).map_err(|it| unusable("input", it))?;
        let output =
            wanted.output.as_ref().map(|schema| Schema::compile(schema.as_str().as_bytes()));
        let output = output.transpose().map_err(|it| unusable("output", it))?;
        let definition = definition(name, wanted, &input);
        Ok(Self { wanted: wanted.clone(), definition, input: compiled, output })
    }

    pub(crate) fn definition(&self) -> &Json {
        &self.definition
    }

    pub(crate) fn has_output(&self) -> bool {
        self.output.is_some()
    }

    /// The arguments with what they have by default; or what is wrong with them.
    pub(crate) fn arguments(&self, given: &Object) -> Result<Json, String> {
        let defaults = self.wanted.arguments.iter().filter_map(|(name, argument)| {
            let default = argument.default.as_ref().filter(|_| !given.has(name))?;
            Some(Edit::set(name, default.as_str().as_bytes()))
        });
        let arguments = given.to_json(&defaults.collect::<Vec<_>>());
        match told(&self.input, &arguments) {
            None => Ok(arguments),
            Some(mistakes) => Err(mistakes),
        }
    }

    /// What of a result does not fit the output schema, if there is one.
    pub(crate) fn misfits(&self, value: &Json) -> Option<String> {
        told(self.output.as_ref()?, value)
    }
}

fn told(schema: &Schema, value: &Json) -> Option<String> {
    let violations = schema.violations(value, VIOLATIONS_MAX);
    let each = violations.iter().map(|violation| match violation.at.as_str() {
        "" => format!("the whole {}", violation.problem),
        at => format!("`{at}` {}", violation.problem),
    });
    (!violations.is_empty()).then(|| each.collect::<Vec<_>>().join("; "))
}

fn definition(name: &str, wanted: &config::CompositeTool, input: &Json) -> Json {
    let mut text = b"{\"name\":".to_vec();
    write_string(&mut text, name);
    for (key, value) in [("title", &wanted.title), ("description", &wanted.description)] {
        if let Some(value) = value {
            text.extend_from_slice(format!(",\"{key}\":").as_bytes());
            write_string(&mut text, value);
        }
    }
    text.extend_from_slice(b",\"inputSchema\":");
    text.extend_from_slice(input.as_bytes());
    if let Some(output) = &wanted.output {
        text.extend_from_slice(b",\"outputSchema\":");
        text.extend_from_slice(output.as_str().as_bytes());
    }
    let hints = [
        ("readOnlyHint", wanted.annotations.read_only),
        ("destructiveHint", wanted.annotations.destructive),
        ("idempotentHint", wanted.annotations.idempotent),
        ("openWorldHint", wanted.annotations.open_world),
    ];
    let hints = hints.into_iter().filter_map(|(key, value)| Some(format!("\"{key}\":{}", value?)));
    let hints = hints.collect::<Vec<_>>().join(",");
    if !hints.is_empty() {
        text.extend_from_slice(format!(",\"annotations\":{{{hints}}}").as_bytes());
    }
    text.push(b'}');
    Json::trusted(text)
}

fn input_schema(wanted: &config::CompositeTool) -> Json {
    if let Some(input) = &wanted.input {
        // MCP wants an object, and says so in the schema's own words.
        return match Json::trusted(input.as_str().to_owned()).object() {
            Some(schema) if schema.has("type") => Json::trusted(input.as_str().to_owned()),
            Some(schema) => schema.to_json(&[Edit::set("type", b"\"object\"")]),
            None => Json::trusted("{\"type\":\"object\"}"),
        };
    }
    let mut text = b"{\"type\":\"object\",\"properties\":{".to_vec();
    for (at, (name, argument)) in wanted.arguments.iter().enumerate() {
        if at > 0 {
            text.push(b',');
        }
        write_string(&mut text, name);
        text.push(b':');
        text.extend_from_slice(argument_schema(argument).as_bytes());
    }
    text.push(b'}');
    let required = wanted.arguments.iter().filter(|(_, argument)| argument.required);
    let required: Vec<_> =
        required.map(|(name, _)| Json::string(name).as_str().to_owned()).collect();
    if !required.is_empty() {
        text.extend_from_slice(format!(",\"required\":[{}]", required.join(",")).as_bytes());
    }
    text.extend_from_slice(b",\"additionalProperties\":false}");
    Json::trusted(text)
}

fn argument_schema(argument: &CompositeArgument) -> Json {
    let base = match (&argument.schema, argument.kind) {
        (Some(schema), _) => Json::trusted(schema.as_str().to_owned()),
        (None, Some(kind)) => Json::trusted(format!("{{\"type\":\"{}\"}}", kind.as_str())),
        (None, None) => Json::trusted("{}"),
    };
    // `true` and `false` are schemas as well, and have no members.
    let Some(schema) = base.object() else { return base };
    let values = argument.values.as_ref().map(|values| {
        let values: Vec<_> = values.iter().map(JsonText::as_str).collect();
        format!("[{}]", values.join(","))
    });
    let description = argument.description.as_deref().map(Json::string);
    let mut edits = Vec::new();
    if let Some(values) = &values {
        edits.push(Edit::set("enum", values.as_bytes()));
    }
    if let Some(description) = &description {
        edits.push(Edit::set("description", description.as_bytes()));
    }
    if let Some(default) = &argument.default {
        edits.push(Edit::set("default", default.as_str().as_bytes()));
    }
    schema.to_json(&edits)
}
