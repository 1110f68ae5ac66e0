//! `portcullis tools|resources|prompts`: a client of any endpoint, for people and scripts.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use serde_json::Value;
use wire::json::Edit;
use wire::method::name;
use wire::{Json, Limits, Object, header};

use super::Verdict;
use crate::client::{self, Client};
use crate::render;
use crate::setup::{self, Indoors, Source};

mod arguments;
mod show;

/// Through which endpoint a command asks.
#[derive(Clone, Debug, Args)]
pub(super) struct Through {
    /// The endpoint's URL.
    #[arg(long, default_value = "http://127.0.0.1:8080/mcp", conflicts_with = "config")]
    url: Uri,
    /// A header of every request, such as 'Authorization: Bearer …'.
    #[arg(long, value_name = "NAME: VALUE", value_parser = client::parse_header)]
    header: Vec<(HeaderName, HeaderValue)>,
    /// Run the gate of this configuration, or OpenAPI document, for the time of the command, instead of asking one that
    /// runs.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The endpoint's path in that configuration.
    #[arg(long, value_name = "PATH", default_value = "/mcp", requires = "config")]
    endpoint: String,
    /// How many seconds each answer may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    /// Print the answer as JSON, as it came, for programs.
    #[arg(long)]
    json: bool,
}

/// What to do with tools.
#[derive(Debug, Subcommand)]
pub(super) enum ToolsCommand {
    /// The tools of the endpoint.
    List {
        #[command(flatten)]
        through: Through,
    },
    /// Calls a tool and prints what it answers.
    Call {
        /// The tool's name.
        name: String,
        /// Arguments as key=value; numbers, booleans, lists and objects where the tool wants them.
        #[arg(value_name = "KEY=VALUE", value_parser = arguments::parse_pair)]
        #[arg(conflicts_with = "args")]
        pairs: Vec<(String, String)>,
        /// All arguments as one JSON object.
        #[arg(long, value_name = "JSON")]
        args: Option<String>,
        #[command(flatten)]
        through: Through,
    },
}

/// What to do with resources.
#[derive(Debug, Subcommand)]
pub(super) enum ResourcesCommand {
    /// The resources of the endpoint.
    List {
        #[command(flatten)]
        through: Through,
    },
    /// Prints a resource.
    Read {
        /// The resource's URI.
        uri: String,
        #[command(flatten)]
        through: Through,
    },
    /// The templates from which URIs of further resources are made.
    Templates {
        #[command(flatten)]
        through: Through,
    },
}

/// What to do with prompts.
#[derive(Debug, Subcommand)]
pub(super) enum PromptsCommand {
    /// The prompts of the endpoint.
    List {
        #[command(flatten)]
        through: Through,
    },
    /// Prints the messages of a prompt.
    Get {
        /// The prompt's name.
        name: String,
        /// Arguments as key=value.
        #[arg(value_name = "KEY=VALUE", value_parser = arguments::parse_pair)]
        pairs: Vec<(String, String)>,
        #[command(flatten)]
        through: Through,
    },
}

pub(super) async fn tools(command: ToolsCommand) -> anyhow::Result<Verdict> {
    match command {
        ToolsCommand::List { through } => {
            list(&through, name::TOOLS_LIST, "tools", show::tools).await
        }
        ToolsCommand::Call { name, pairs, args, through } => {
            let asking = Asking::begin(&through).await?;
            let result = call_tool(&asking.client, &name, &pairs, args.as_deref()).await;
            asking.end().await;
            let result = result?;
            let failed = result.raw("isError") == Some(b"true");
            show(&through, &result, show::content);
            Ok(if failed { Verdict::Problems } else { Verdict::Fine })
        }
    }
}

pub(super) async fn resources(command: ResourcesCommand) -> anyhow::Result<Verdict> {
    match command {
        ResourcesCommand::List { through } => {
            list(&through, name::RESOURCES_LIST, "resources", show::resources).await
        }
        ResourcesCommand::Templates { through } => {
            let method = name::RESOURCE_TEMPLATES_LIST;
            list(&through, method, "resourceTemplates", show::templates).await
        }
        ResourcesCommand::Read { uri, through } => {
            let uri = Json::string(&uri);
            let params = Object::empty().with(&[Edit::set("uri", uri.as_bytes())]);
            ask(&through, name::RESOURCES_READ, params, show::contents).await
        }
    }
}

pub(super) async fn prompts(command: PromptsCommand) -> anyhow::Result<Verdict> {
    match command {
        PromptsCommand::List { through } => {
            list(&through, name::PROMPTS_LIST, "prompts", show::prompts).await
        }
        PromptsCommand::Get { name, pairs, through } => {
            // Arguments of prompts are always text.
            let arguments = pairs.into_iter().map(|(key, value)| (key, Value::String(value)));
            let arguments = Value::Object(arguments.collect()).to_string();
            let name = Json::string(&name);
            let params = Object::empty().with(&[
                Edit::set("name", name.as_bytes()),
                Edit::set("arguments", arguments.as_bytes()),
            ]);
            ask(&through, name::PROMPTS_GET, params, show::messages).await
        }
    }
}

/// Calls a tool. Its input schema says of which type an argument is, and what is mirrored in
/// headers.
async fn call_tool(
    client: &Client,
    tool: &str,
    pairs: &[(String, String)],
    args: Option<&str>,
) -> anyhow::Result<Object> {
    let tools = client.list(name::TOOLS_LIST, "tools").await?;
    let named = |definition: &&Json| {
        definition.object().is_some_and(|object| object.text("name").as_deref() == Some(tool))
    };
    let Some(definition) = tools.iter().find(named).and_then(Json::object) else {
        let known = tools.iter().filter_map(Json::object);
        let known = known.filter_map(|tool| tool.text("name").map(Cow::into_owned));
        bail!("there is no tool `{tool}`; known are {}", known.collect::<Vec<_>>().join(", "));
    };
    let schema = definition.object("inputSchema").unwrap_or_else(Object::empty);
    let arguments = match args {
        Some(text) => text.to_owned(),
        None => arguments::typed(pairs, &schema)?.to_string(),
    };
    let arguments = Json::parse(arguments.into(), &Limits::SERVER)
        .context("the arguments are not JSON")?
        .object()
        .context("the arguments must be a JSON object, such as '{\"path\": \".\"}'")?;
    let mut mirrored = HeaderMap::new();
    for param in header::params_of_schema(&schema)
        .with_context(|| format!("the tool `{tool}` cannot be called over HTTP"))?
    {
        if let Some(value) = param.value_in(&arguments)? {
            let value = HeaderValue::from_str(&header::encode_value(&value))?;
            mirrored.insert(HeaderName::try_from(param.header_name())?, value);
        }
    }
    let arguments = arguments.to_json(&[]);
    let tool = Json::string(tool);
    let params = Object::empty()
        .with(&[Edit::set("name", tool.as_bytes()), Edit::set("arguments", arguments.as_bytes())]);
    client.call_with(name::TOOLS_CALL, params, mirrored).await
}

async fn list(
    through: &Through,
    method: &str,
    member: &str,
    show: fn(&[Value]),
) -> anyhow::Result<Verdict> {
    let asking = Asking::begin(through).await?;
    let items = asking.client.list(method, member).await;
    asking.end().await;
    let items = items?;
    if through.json {
        let items: Vec<_> = items.iter().map(Json::as_str).collect();
        render::line(&format!("{{\"{member}\":[{}]}}", items.join(",")));
    } else {
        show(&items.iter().map(value).collect::<Vec<_>>());
    }
    Ok(Verdict::Fine)
}

async fn ask(
    through: &Through,
    method: &str,
    params: Object,
    show_as: fn(&Value),
) -> anyhow::Result<Verdict> {
    let asking = Asking::begin(through).await?;
    let result = asking.client.call(method, params).await;
    asking.end().await;
    show(through, &result?, show_as);
    Ok(Verdict::Fine)
}

fn show(through: &Through, result: &Object, show_as: fn(&Value)) {
    let result = result.to_json(&[]);
    if through.json { render::line(result.as_str()) } else { show_as(&value(&result)) }
}

fn value(json: &Json) -> Value {
    serde_json::from_slice(json.as_bytes()).unwrap_or_default()
}

/// A client, and the gate that stands for it alone.
struct Asking {
    client: Client,
    indoors: Option<Indoors>,
}

impl Asking {
    async fn begin(through: &Through) -> anyhow::Result<Self> {
        setup::log_quietly()?;
        let mut uri = through.url.clone();
        let mut indoors = None;
        if let Some(file) = &through.config {
            let source = Source::new(Some(file.clone()), Vec::new());
            let loaded = source.load();
            setup::accepted(&source, &loaded)?;
            let open = Indoors::open(&source, loaded).await?;
            let known = open.standing.gate.overview().endpoints;
            if !known.contains(&through.endpoint) {
                let endpoint = &through.endpoint;
                bail!("there is no endpoint {endpoint}; known are {}", known.join(", "));
            }
            uri = format!("http://{}{}", open.address, through.endpoint).parse()?;
            indoors = Some(open);
        }
        let wait = Duration::from_secs(through.timeout);
        let headers: HeaderMap = through.header.iter().cloned().collect();
        let client = Client::connect(uri, headers, wait).await;
        match client {
            Ok(client) => Ok(Self { client, indoors }),
            Err(error) => {
                if let Some(indoors) = indoors {
                    indoors.close().await;
                }
                Err(error)
            }
        }
    }

    async fn end(self) {
        self.client.close().await;
        if let Some(indoors) = self.indoors {
            indoors.close().await;
        }
    }
}
