//! The immutable picture that a call sees: endpoints, servers, limits.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use config::{Composition as Written, Config, Names, Pattern};
use wire::Json;

use crate::catalog::{Composition, Learned, Views};
use crate::edge::Doors;
use crate::fleet::{Fleet, Server};
use crate::plan::Settings;

/// The whole compiled configuration. Swapped as one; a call keeps the one it began with.
#[derive(Debug)]
pub struct Snapshot {
    /// Endpoints by path.
    pub(crate) endpoints: HashMap<String, Arc<Endpoint>>,
    /// Most segments of the path of an endpoint with a plain API.
    pub(crate) plain_depth: usize,
    /// Servers by name.
    pub servers: BTreeMap<Arc<str>, Arc<Server>>,
    /// Servers that the configuration names but that cannot be served here, with the reason.
    pub quarantined: BTreeMap<String, String>,
    /// Headers of clients that some API may have.
    pub(crate) forwarded: Vec<http::HeaderName>,
    /// Every bound.
    pub limits: config::Limits,
    /// Which hosts and origins may come in.
    pub(crate) doors: Doors,
}

/// A URL that clients connect to.
#[derive(Debug)]
pub struct Endpoint {
    /// The path of the URL.
    pub path: Arc<str>,
    /// What stands behind it.
    pub serves: Serves,
    /// Whether the API of its server is served as it is on the same path, besides MCP.
    pub(crate) is_plain: bool,
}

/// What stands behind an endpoint.
#[derive(Debug)]
pub enum Serves {
    /// One server as it is, under its own names.
    One(Arc<Server>),
    /// Several, composed.
    Composed(Composed),
}

/// A composed endpoint.
#[derive(Debug)]
pub struct Composed {
    pub(crate) views: Views,
    pub(crate) learned: Learned,
    pub(crate) title: Option<String>,
}

impl Composed {
    /// Who the gate says it is on this endpoint.
    pub(crate) fn identity(&self) -> Json {
        let Some(title) = &self.title else { return crate::identity() };
        let title = Json::string(title);
        let identity = crate::identity().object().expect("an object");
        identity.to_json(&[wire::json::Edit::set("title", title.as_bytes())])
    }
}

/// What a composed endpoint takes of one server.
#[derive(Debug)]
pub struct Offer {
    /// The server.
    pub server: Arc<Server>,
    tags: Tags,
    tools: Selection,
    resources: Selection,
    prompts: Selection,
}

/// Which of a server's capabilities are offered, by their names.
#[derive(Debug, Default)]
struct Selection(Option<Vec<Pattern>>);

/// The tags that something must carry to be offered: lists of patterns, and of each list one must
/// fit. Those that the server's own tags fit are not here: they fit everything of it.
#[derive(Debug, Default)]
struct Tags(Vec<Vec<Pattern>>);

// Lists and calls ask the same.
impl Offer {
    /// All of a server that `tags` let through; `own` are the server's.
    fn of(server: &Arc<Server>, own: &[String], tags: &[&Option<Vec<Pattern>>]) -> Self {
        let lists = tags.iter().filter_map(|list| list.as_ref());
        let unmet = lists.filter(|patterns| !fits_one(patterns, own));
        Self {
            server: Arc::clone(server),
            tags: Tags(unmet.cloned().collect()),
            tools: Selection::default(),
            resources: Selection::default(),
            prompts: Selection::default(),
        }
    }

    /// Whether a tool is offered that carries these tags itself.
    pub(crate) fn offers_tool(&self, name: &str, tags: &[String]) -> bool {
        self.has_tags(tags) && self.tools.allows(name)
    }

    /// Whether a prompt is offered.
    pub(crate) fn offers_prompt(&self, name: &str) -> bool {
        self.offers_all_kinds() && self.prompts.allows(name)
    }

    /// Whether a resource or a template is offered.
    pub(crate) fn offers_resource(&self, uri: &str) -> bool {
        self.offers_all_kinds() && self.resources.allows(uri)
    }

    /// Whether more than tools with certain tags can be offered.
    pub(crate) fn offers_all_kinds(&self) -> bool {
        self.tags.0.is_empty()
    }

    /// Whether a tool with these tags of its own fits by them.
    pub(crate) fn has_tags(&self, tags: &[String]) -> bool {
        self.tags.0.iter().all(|patterns| fits_one(patterns, tags))
    }
}

impl Selection {
    fn allows(&self, name: &str) -> bool {
        self.0.as_ref().is_none_or(|patterns| patterns.iter().any(|pattern| pattern.matches(name)))
    }
}

fn fits_one(patterns: &[Pattern], tags: &[String]) -> bool {
    patterns.iter().any(|pattern| tags.iter().any(|tag| pattern.matches(tag)))
}

impl Snapshot {
    /// Compiles a checked configuration. Servers that did not change are kept.
    pub fn compile(
        config: &Config,
        quarantined: BTreeMap<String, String>,
        settings: &Settings,
        fleet: &Fleet,
    ) -> Self {
        let servers = fleet.reconcile(config, settings);
        let mut endpoints = HashMap::new();
        let mut plain_depth = 0;
        for (name, server) in &servers {
            let path: Arc<str> = format!("/servers/{name}/mcp").into();
            let serves = Serves::One(Arc::clone(server));
            endpoints
                .insert(path.to_string(), Arc::new(Endpoint { path, serves, is_plain: false }));
        }
        for (path, endpoint) in &config.endpoints {
            let Some(serves) = serves(endpoint, config, &servers) else { continue };
            let path: Arc<str> = path.as_str().into();
            let is_plain = endpoint.http;
            if is_plain {
                plain_depth = plain_depth.max(path.matches('/').count());
            }
            endpoints.insert(path.to_string(), Arc::new(Endpoint { path, serves, is_plain }));
        }
        let doors = Doors::new(&config.listen);
        let forwarded = forwarded(config);
        Self {
            forwarded,
            endpoints,
            plain_depth,
            servers,
            quarantined,
            limits: config.limits.clone(),
            doors,
        }
    }
}

/// The headers of clients that some API may have, each once.
fn forwarded(config: &Config) -> Vec<http::HeaderName> {
    let apis = config.servers.values().filter_map(config::Server::api);
    let names = apis.flat_map(|api| &api.forward_headers);
    let mut names: Vec<_> =
        names.filter_map(|name| http::HeaderName::try_from(name.as_str()).ok()).collect();
    names.sort_by(|one, two| one.as_str().cmp(two.as_str()));
    names.dedup();
    names
}

fn serves(
    endpoint: &config::Endpoint,
    config: &Config,
    servers: &BTreeMap<Arc<str>, Arc<Server>>,
) -> Option<Serves> {
    let composition = match &endpoint.serves {
        config::Serves::Single(name) => {
            return servers.get(name.as_str()).map(|server| Serves::One(Arc::clone(server)));
        }
        config::Serves::Composed(composition) => composition,
    };
    let selection = |patterns: &Option<Vec<Pattern>>| Selection(patterns.clone());
    // A server that is kept over a reload does not know its new tags; the configuration does.
    let own = |name: &str| config.servers.get(name).map_or(&[][..], |server| &server.tags);
    let offers = match composition {
        Written::Everything => servers
            .values()
            .map(|server| Offer::of(server, own(&server.name), &[&endpoint.tags]))
            .collect(),
        Written::Chosen(members) => members
            .iter()
            .filter_map(|member| {
                let server = servers.get(member.server.as_str())?;
                Some(Offer {
                    tools: selection(&member.tools),
                    resources: selection(&member.resources),
                    prompts: selection(&member.prompts),
                    ..Offer::of(server, own(&server.name), &[&endpoint.tags, &member.tags])
                })
            })
            .collect(),
    };
    let limits = &config.limits;
    Some(Serves::Composed(Composed {
        views: Views::new(Composition {
            offers,
            bare: endpoint.names == Names::Bare,
            instructions: endpoint.instructions.clone(),
            page_items: limits.page_items,
            page_bytes: limits.page_bytes.len(),
        }),
        learned: Learned::default(),
        title: endpoint.title.clone(),
    }))
}
