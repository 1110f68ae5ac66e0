//! An MCP server as tables, and the protocol that serves them in both eras.

use serde_json::{Value, json};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use wire::{Era, Method, Outcome, Request, RpcError, Version, code, meta};

mod arguments;
mod listen;
mod result;

pub(super) use arguments::{Arguments, Kind, Parameter};
pub(super) use listen::{Listen, SUBSCRIPTIONS_MAX};
pub(super) use result::Freshness;
use result::finish;

/// How long a client may keep what never changes while the process lives.
const FIXED: Freshness = Freshness { ttl_ms: 3_600_000, scope: "public" };

/// Who the server is.
pub(super) struct About {
    /// Name for programs.
    pub(super) name: &'static str,
    /// Name for people.
    pub(super) title: &'static str,
    /// What a model should know before it uses the server.
    pub(super) instructions: &'static str,
}

/// What a tool does to the world, for its annotations.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing.
    Reads,
    /// Adds something; each call adds again.
    Adds,
    /// Replaces or removes something; a second equal call changes nothing more.
    Replaces,
}

/// A tool: its definition and what it does.
pub(super) struct Tool<S> {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) description: &'static str,
    pub(super) parameters: &'static [Parameter],
    /// JSON Schema of the structured result.
    pub(super) output: fn() -> Value,
    pub(super) effect: Effect,
    /// Does the work. An error is told to the model, so it says how to do better.
    pub(super) call: fn(&S, &Arguments, &CancellationToken) -> Result<Answer, String>,
}

/// A successful result of a tool.
pub(super) struct Answer {
    /// Conforms to the tool's output schema.
    pub(super) structured: Value,
    /// Content blocks; the structured result as text where there are none.
    pub(super) content: Option<Vec<Value>>,
}

impl From<Value> for Answer {
    fn from(structured: Value) -> Self {
        Self { structured, content: None }
    }
}

/// A prompt: its definition and how it is written.
pub(super) struct Prompt<S> {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) description: &'static str,
    pub(super) parameters: &'static [Parameter],
    /// Writes the messages.
    pub(super) write: fn(&S, &Arguments) -> Result<Vec<Value>, Failure>,
}

/// One page of resources.
pub(super) struct Page {
    pub(super) resources: Vec<Value>,
    pub(super) next_cursor: Option<String>,
}

/// What an argument is completed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject<'a> {
    /// An argument of a prompt.
    Prompt(&'a str),
    /// A variable of a resource template.
    Template(&'a str),
}

/// Something a client may want to know without asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Resources were added or removed.
    ResourceList,
    /// The resource with this URI reads differently now.
    Resource(String),
}

/// Why a request has no result.
#[derive(Debug)]
pub(super) enum Failure {
    /// The parameters are wrong: -32602.
    Invalid(String),
    /// There is no such resource: -32002 in the legacy era, -32602 since.
    NoResource(String),
}

/// What a server offers. Everything else about MCP is this module's and the transports' business.
pub(super) trait Server: Sized + Send + Sync + 'static {
    const ABOUT: About;
    const TOOLS: &'static [Tool<Self>];
    const PROMPTS: &'static [Prompt<Self>];
    /// How long resources and their list stay true, and for whom.
    const RESOURCES: Freshness;

    /// Definitions of the resource templates.
    fn templates(&self) -> Vec<Value>;
    /// The page of resources at `cursor`, the first one without.
    fn resources(&self, cursor: Option<&str>) -> Result<Page, Failure>;
    /// The contents of a resource.
    fn read(&self, uri: &str) -> Result<Vec<Value>, Failure>;
    /// Values for `argument` that start with what is `typed`; `None` where the subject has no such
    /// argument.
    fn complete(&self, subject: Subject<'_>, argument: &str, typed: &str) -> Option<Vec<String>>;
    /// The stream of changes, if there can be any.
    fn changes(&self) -> Option<broadcast::Receiver<Change>> {
        None
    }
}

impl Failure {
    pub(super) fn into_error(self, era: Era) -> RpcError {
        match self {
            Self::Invalid(message) => RpcError::new(code::INVALID_PARAMS, message),
            Self::NoResource(uri) => {
                let code = match era {
                    Era::Legacy => code::RESOURCE_NOT_FOUND,
                    Era::Modern => code::INVALID_PARAMS,
                };
                let mut error = RpcError::new(code, format!("Resource not found: {uri}"));
                error.data = Some((&json!({ "uri": uri })).into());
                error
            }
        }
    }
}

/// Answers one request that was made in `version`. Requests that live longer than their answer
/// (`subscriptions/listen`) or change a session (`resources/subscribe`) are the transports' business.
pub(super) fn answer<S: Server>(
    server: &S,
    version: Version,
    request: &Request,
    cancelled: &CancellationToken,
) -> Outcome {
    let method = Method::parse(&request.method);
    let era = version.era();
    if !method.exists_in(version) {
        return Err(no_method(&request.method, version));
    }
    let (result, freshness) = match method {
        Method::Initialize => (Ok(initialized::<S>(server, request)), None),
        Method::Ping => (Ok(json!({})), None),
        Method::Discover => (Ok(discovered::<S>(server)), Some(FIXED)),
        Method::ToolsList => (Ok(tools::<S>()), Some(FIXED)),
        Method::ToolsCall => (call_tool(server, request, cancelled), None),
        Method::PromptsList => (Ok(prompts::<S>()), Some(FIXED)),
        Method::PromptsGet => (get_prompt(server, request), None),
        Method::ResourceTemplatesList => {
            (Ok(json!({ "resourceTemplates": server.templates() })), Some(FIXED))
        }
        Method::ResourcesList => (list_resources(server, request), Some(S::RESOURCES)),
        Method::ResourcesRead => (read_resource(server, request), Some(S::RESOURCES)),
        Method::Complete => (complete(server, request), None),
        _ => return Err(no_method(&request.method, version)),
    };
    let result = result.map_err(|failure| failure.into_error(era))?;
    Ok(finish(era, result, freshness, &implementation::<S>()))
}

/// The error for a method that does not exist here or in this version.
pub(super) fn no_method(method: &str, version: Version) -> RpcError {
    RpcError::new(
        code::METHOD_NOT_FOUND,
        format!("Method not found: `{method}` is not served here in protocol version {version}"),
    )
}

/// Whether a request belongs to the modern era, by its own claim; the error where the claim is broken.
pub(super) fn is_modern(request_meta: &wire::Object) -> Result<bool, RpcError> {
    let Some(claim) = request_meta.get(meta::PROTOCOL_VERSION) else { return Ok(false) };
    let Some(name) = claim.text() else {
        let message = format!("`_meta` member `{}` must be a string", meta::PROTOCOL_VERSION);
        return Err(RpcError::new(code::INVALID_PARAMS, message));
    };
    if Version::parse(&name).is_none_or(|version| version.era() == Era::Legacy) {
        let mut error = RpcError::new(
            code::UNSUPPORTED_VERSION,
            format!(
                "Unsupported protocol version {name}: a request that names its version speaks {}; \
                 older versions start with `initialize`",
                Version::LATEST
            ),
        );
        let mut supported = version_names();
        supported.retain(|version| *version != name);
        error.data = Some((&json!({ "supported": supported, "requested": name })).into());
        return Err(error);
    }
    if request_meta.object(meta::CLIENT_CAPABILITIES).is_none() {
        let message = format!("`_meta` must have `{}`, an object", meta::CLIENT_CAPABILITIES);
        return Err(RpcError::new(code::INVALID_PARAMS, message));
    }
    Ok(true)
}

fn version_names() -> Vec<&'static str> {
    Version::ALL.iter().rev().map(|version| version.as_str()).collect()
}

fn implementation<S: Server>() -> Value {
    json!({
        "name": S::ABOUT.name,
        "title": S::ABOUT.title,
        "version": env!("CARGO_PKG_VERSION"),
    })
}

fn capabilities<S: Server>(server: &S) -> Value {
    let changes = server.changes().is_some();
    let resources =
        if changes { json!({ "subscribe": true, "listChanged": true }) } else { json!({}) };
    json!({ "tools": {}, "prompts": {}, "resources": resources, "completions": {} })
}

fn initialized<S: Server>(server: &S, request: &Request) -> Value {
    let asked = request.params.text("protocolVersion").unwrap_or_default();
    json!({
        "protocolVersion": Version::negotiate_legacy(&asked).as_str(),
        "capabilities": capabilities(server),
        "serverInfo": implementation::<S>(),
        "instructions": S::ABOUT.instructions,
    })
}

fn discovered<S: Server>(server: &S) -> Value {
    json!({
        "supportedVersions": version_names(),
        "capabilities": capabilities(server),
        "instructions": S::ABOUT.instructions,
    })
}

fn tools<S: Server>() -> Value {
    let definition = |tool: &Tool<S>| {
        json!({
            "name": tool.name,
            "title": tool.title,
            "description": tool.description,
            "inputSchema": arguments::schema(tool.parameters),
            "outputSchema": (tool.output)(),
            "annotations": {
                "title": tool.title,
                "readOnlyHint": tool.effect == Effect::Reads,
                "destructiveHint": tool.effect == Effect::Replaces,
                "idempotentHint": tool.effect != Effect::Adds,
                "openWorldHint": false,
            },
        })
    };
    json!({ "tools": S::TOOLS.iter().map(definition).collect::<Vec<_>>() })
}

fn call_tool<S: Server>(
    server: &S,
    request: &Request,
    cancelled: &CancellationToken,
) -> Result<Value, Failure> {
    let name = required_text(request, "name")?;
    let tool = S::TOOLS.iter().find(|tool| tool.name == name).ok_or_else(|| {
        let known: Vec<_> = S::TOOLS.iter().map(|tool| tool.name).collect();
        Failure::Invalid(format!("Unknown tool: {name}; there are {}", known.join(", ")))
    })?;
    let answer = Arguments::read(tool.parameters, request.params.get("arguments").as_ref())
        .and_then(|arguments| (tool.call)(server, &arguments, cancelled));
    Ok(match answer {
        Ok(Answer { structured, content }) => json!({
            "content": content.unwrap_or_else(|| vec![text_block(&structured.to_string())]),
            "structuredContent": structured,
            "isError": false,
        }),
        Err(message) => json!({ "content": [text_block(&message)], "isError": true }),
    })
}

/// A content block of text.
pub(super) fn text_block(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

fn prompts<S: Server>() -> Value {
    let definition = |prompt: &Prompt<S>| {
        json!({
            "name": prompt.name,
            "title": prompt.title,
            "description": prompt.description,
            "arguments": arguments::prompt_arguments(prompt.parameters),
        })
    };
    json!({ "prompts": S::PROMPTS.iter().map(definition).collect::<Vec<_>>() })
}

fn get_prompt<S: Server>(server: &S, request: &Request) -> Result<Value, Failure> {
    let name = required_text(request, "name")?;
    let prompt = S::PROMPTS.iter().find(|prompt| prompt.name == name).ok_or_else(|| {
        let known: Vec<_> = S::PROMPTS.iter().map(|prompt| prompt.name).collect();
        Failure::Invalid(format!("Unknown prompt: {name}; there are {}", known.join(", ")))
    })?;
    let arguments = Arguments::read(prompt.parameters, request.params.get("arguments").as_ref())
        .map_err(Failure::Invalid)?;
    let messages = (prompt.write)(server, &arguments)?;
    Ok(json!({ "description": prompt.description, "messages": messages }))
}

fn list_resources<S: Server>(server: &S, request: &Request) -> Result<Value, Failure> {
    let page = server.resources(request.params.text("cursor").as_deref())?;
    let mut result = json!({ "resources": page.resources });
    if let Some(cursor) = page.next_cursor {
        result["nextCursor"] = cursor.into();
    }
    Ok(result)
}

fn read_resource<S: Server>(server: &S, request: &Request) -> Result<Value, Failure> {
    Ok(json!({ "contents": server.read(&required_text(request, "uri")?)? }))
}

/// The most values one completion may carry (every version of the specification).
const COMPLETIONS_MAX: usize = 100;

fn complete<S: Server>(server: &S, request: &Request) -> Result<Value, Failure> {
    let reference = request.params.object("ref").unwrap_or_else(wire::Object::empty);
    let argument = request.params.object("argument").unwrap_or_else(wire::Object::empty);
    let (Some(name), Some(typed)) = (argument.text("name"), argument.text("value")) else {
        return Err(Failure::Invalid(
            "`argument` must be an object with the strings `name` and `value`".to_owned(),
        ));
    };
    let kind = reference.text("type");
    let (prompt, template) = (reference.text("name"), reference.text("uri"));
    let subject = match (kind.as_deref(), &prompt, &template) {
        (Some("ref/prompt"), Some(name), _) => Subject::Prompt(name),
        (Some("ref/resource"), _, Some(uri)) => Subject::Template(uri),
        _ => {
            return Err(Failure::Invalid(
                "`ref` must be {type: \"ref/prompt\", name} or {type: \"ref/resource\", uri}"
                    .to_owned(),
            ));
        }
    };
    let mut values = server.complete(subject, &name, &typed).ok_or_else(|| {
        Failure::Invalid(format!("nothing to complete: no argument `{name}` in {subject:?}"))
    })?;
    let total = values.len();
    values.truncate(COMPLETIONS_MAX);
    let more = total > values.len();
    Ok(json!({ "completion": { "values": values, "total": total, "hasMore": more } }))
}

fn required_text(request: &Request, member: &str) -> Result<String, Failure> {
    request
        .params
        .text(member)
        .map(std::borrow::Cow::into_owned)
        .ok_or_else(|| Failure::Invalid(format!("`params.{member}` must be a string")))
}
