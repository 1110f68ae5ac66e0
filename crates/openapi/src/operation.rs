//! All operations of a document, in the same words for every version.
//!
//! Nothing that one operation does wrong costs another: what cannot be offered is skipped with the
//! reason and its place, and what can be read in one sensible way only is read so and reported.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use crate::document::Documents;
use crate::model::{Body, Dialect, Location, Operation, Parameter, Requirement, Scheme, ServerUrl};
use crate::report::Report;
use crate::security::Schemes;

mod body;
pub(crate) mod cx;
mod parameter;
mod response;
mod server;
pub(crate) mod site;
mod template;
#[cfg(test)]
mod tests;

use cx::{Cx, Skip};
use site::Site;

/// Everything that a document says about its operations.
#[derive(Clone, Debug)]
pub struct Extracted {
    /// Which version it is written in.
    pub dialect: Dialect,
    /// The API's name.
    pub title: Option<String>,
    /// The API's version, as its publisher counts.
    pub version: Option<String>,
    /// What the API is for, in Markdown.
    pub description: Option<String>,
    /// All operations that can be offered, in the order of the document.
    pub operations: Vec<Operation>,
    /// The security schemes, in order, also those that cannot be served.
    pub schemes: Vec<Scheme>,
    /// The tags that are declared, in order; operations may have others.
    pub tags: Vec<Tag>,
    /// Where the API is served, unless a path or an operation says otherwise.
    pub servers: Vec<ServerUrl>,
}

/// A tag that the document declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// The name by which operations have it.
    pub name: String,
    /// What it stands for.
    pub description: Option<String>,
}

/// Reads all operations. What is skipped, changed or unclear is added to the report.
pub fn extract(documents: &Documents, report: &mut Report) -> Extracted {
    let root = Site::new(documents, documents.root());
    let dialect = documents.dialect();
    let mut cx = Cx::new(dialect, report);
    let cx = &mut cx;
    let (title, version, description) = match cx.object(root, "info") {
        Some(api) => (cx.text(api, "title"), cx.text(api, "version"), cx.text(api, "description")),
        None => (None, None, None),
    };
    let servers =
        if cx.is_20() { server::of_swagger(cx, root, root) } else { server::of_document(cx, root) };
    let mut schemes = Schemes::read(cx, root);
    let security = schemes.demanded(cx, root).unwrap_or_default();
    let tags = tags(cx, root);
    let walk = Walk {
        root,
        servers: &servers,
        security: &security,
        schemes,
        operations: Vec::new(),
        ids: HashMap::new(),
        shapes: HashMap::new(),
    };
    let (operations, schemes) = walk.document(cx);
    Extracted { dialect, title, version, description, operations, schemes, tags, servers }
}

fn tags(cx: &mut Cx<'_>, root: Site<'_>) -> Vec<Tag> {
    let Some(list) = cx.list(root, "tags") else { return Vec::new() };
    let mut tags = Vec::new();
    for element in list.elements() {
        let Some(site) = cx.follow(element).filter(|site| site.is_object()) else { continue };
        if !cx.take_part() {
            break;
        }
        if let Some(name) = cx.text(site, "name") {
            // From 3.2 on there is a `summary`, too.
            let description = cx.text(site, "description").or_else(|| cx.text(site, "summary"));
            tags.push(Tag { name, description });
        }
    }
    tags
}

const SPENT: &str = "the document repeats so much by references that the rest of it is not read";

/// The methods that have members of their own in a path item, and since when.
const METHODS: [(&str, Dialect); 9] = [
    ("get", Dialect::Swagger20),
    ("put", Dialect::Swagger20),
    ("post", Dialect::Swagger20),
    ("delete", Dialect::Swagger20),
    ("options", Dialect::Swagger20),
    ("head", Dialect::Swagger20),
    ("patch", Dialect::Swagger20),
    ("trace", Dialect::OpenApi30),
    ("query", Dialect::OpenApi32),
];

/// Goes through the paths of a document.
struct Walk<'d, 'a> {
    root: Site<'d>,
    servers: &'a [ServerUrl],
    security: &'a [Vec<Requirement>],
    schemes: Schemes,
    operations: Vec<Operation>,
    /// Where each `operationId` was met first.
    ids: HashMap<String, String>,
    /// The first path of each shape.
    shapes: HashMap<String, String>,
}

/// A path item and what counts for all of its operations.
struct PathItem<'d> {
    /// Its path, as written.
    path: &'d str,
    /// The path item, then what it refers to.
    layers: Vec<Site<'d>>,
    servers: Option<Vec<ServerUrl>>,
}

impl<'d> Walk<'d, '_> {
    fn document(mut self, cx: &mut Cx<'_>) -> (Vec<Operation>, Vec<Scheme>) {
        if let Some(webhooks) = self.root.get("webhooks").or(self.root.get("x-webhooks")) {
            let message = "webhooks are requests that the API sends; they are no tools";
            cx.note("webhooks", webhooks, message);
        }
        // Paths that differ only in their queries, which some publishers keep apart.
        let more = cx.object(self.root, "x-ms-paths");
        if let Some(paths) = self.paths(cx) {
            let own = paths.entries().filter(|(path, _)| !path.starts_with("x-"));
            let others = more.into_iter().flat_map(Site::entries);
            for (path, item) in own.chain(others) {
                if cx.is_spent() {
                    cx.set_operation(None);
                    cx.skip("too-large", item, SPENT.to_owned());
                    break;
                }
                let is_new = paths.get(path).is_none_or(|own| own.at() == item.at());
                if is_new {
                    self.path(cx, path, item);
                } else {
                    cx.set_operation(Some(path.to_owned()));
                    let message = format!("`{path}` stands in `paths`, too, where it counts");
                    cx.skip("duplicate-path", item, message);
                }
            }
            cx.set_operation(None);
            if paths.is_empty() && more.is_none() {
                cx.note("no-operations", paths, "`paths` is empty, so there are no tools");
            }
        }
        (self.operations, self.schemes.all)
    }

    fn paths(&self, cx: &mut Cx<'_>) -> Option<Site<'d>> {
        let Some(written) = self.root.get("paths") else {
            // From 3.1 on a document may have nothing but components, or webhooks.
            let is_allowed = cx.is_31()
                && ["components", "webhooks"].iter().any(|key| self.root.get(key).is_some());
            let message = "the document has no `paths`, so there are no tools";
            if is_allowed {
                cx.warn("no-paths", self.root, message);
            } else {
                cx.error("no-paths", self.root, message);
            }
            return None;
        };
        let paths = match written.followed() {
            Ok(paths) => paths,
            Err(dangling) => {
                cx.error("no-paths", dangling.site, dangling.message);
                return None;
            }
        };
        if !paths.is_object() {
            let message = format!("`paths` should be an object, not {}", paths.kind_name());
            cx.error("no-paths", paths, message);
            return None;
        }
        Some(paths)
    }

    fn path(&mut self, cx: &mut Cx<'_>, path: &'d str, item: Site<'d>) {
        cx.set_operation(Some(path.to_owned()));
        let mut layers = match item.layers() {
            Ok(layers) => layers,
            Err(dangling) => {
                cx.skip("reference-unresolved", dangling.site, dangling.message);
                // What stands beside the reference is there all the same.
                vec![item]
            }
        };
        if let Some(wrong) = layers.iter().find(|layer| !layer.is_object() && !layer.is_null()) {
            let message = format!("a path item is an object, not {}", wrong.kind_name());
            cx.skip("wrong-type", *wrong, message);
        }
        layers.retain(|layer| layer.is_object());
        if !path.starts_with('/') && !layers.is_empty() {
            cx.warn("odd-path", item, format!("`{path}` should begin with `/`; it is read so"));
        }
        let servers = layers.iter().find_map(|layer| server::of_holder(cx, *layer));
        let path_item = PathItem { path, layers, servers };
        let mut taken = HashSet::new();
        for layer in &path_item.layers {
            for (key, value) in layer.entries().filter(|(_, value)| !value.is_null()) {
                if !cx.step() {
                    return;
                }
                if key == "additionalOperations" {
                    self.additional(cx, &path_item, value, &mut taken);
                } else if let Some(method) = method(cx, key, value)
                    && !taken.contains(&method)
                {
                    self.operation(cx, &path_item, &method, value);
                    taken.insert(method);
                }
            }
        }
    }

    /// `additionalOperations` (3.2): methods that have no member of their own.
    fn additional(
        &mut self,
        cx: &mut Cx<'_>,
        item: &PathItem<'d>,
        written: Site<'d>,
        taken: &mut HashSet<String>,
    ) {
        cx.set_operation(Some(item.path.to_owned()));
        let Some(operations) = cx.follow(written).filter(|site| site.is_object()) else {
            cx.warn("wrong-type", written, "`additionalOperations` should be an object");
            return;
        };
        if cx.dialect != Dialect::OpenApi32 {
            let message = "`additionalOperations` is of OpenAPI 3.2; it is read";
            cx.note("newer-version", written, message);
        }
        for (method, value) in operations.entries().filter(|(key, _)| !key.starts_with("x-")) {
            if !cx.step() {
                return;
            }
            cx.set_operation(Some(format!("{method} {}", item.path)));
            let is_token = method.len() <= 40
                && !method.is_empty()
                && method.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
            let upper = method.to_ascii_uppercase();
            if !is_token || upper == "CONNECT" {
                let message = format!("`{method}` is no method that can be sent");
                cx.skip("method-unusable", value, message);
                continue;
            }
            // A method that has a member of its own: only its capitals are meant.
            let is_usual = METHODS.iter().any(|(name, _)| name.eq_ignore_ascii_case(method));
            let method = if is_usual { upper } else { method.to_owned() };
            if taken.contains(&method) {
                let message = format!("{method} is declared twice; the first declaration counts");
                cx.warn("duplicate-operation", value, message);
                continue;
            }
            self.operation(cx, item, &method, value);
            taken.insert(method);
        }
    }

    fn operation(&mut self, cx: &mut Cx<'_>, item: &PathItem<'d>, method: &str, written: Site<'d>) {
        cx.set_operation(Some(format!("{method} {}", item.path)));
        match self.read(cx, item, method, written) {
            Ok(operation) => self.operations.push(operation),
            Err(skip) => {
                let Skip { kind, message, at } = skip;
                cx.skip(kind, written.elsewhere(at), message);
            }
        }
        cx.set_operation(Some(item.path.to_owned()));
    }

    fn read(
        &mut self,
        cx: &mut Cx<'_>,
        item: &PathItem<'d>,
        method: &str,
        written: Site<'d>,
    ) -> Result<Operation, Skip> {
        let site = written.followed()?;
        if !site.is_object() {
            let message = format!("an operation is an object, not {}", site.kind_name());
            return Err(Skip::new("wrong-type", site, message));
        }
        if !cx.take_part() {
            return Err(Skip::new("too-large", site, SPENT));
        }
        let mut holders = vec![site];
        holders.extend(&item.layers);
        let declared = parameter::read(cx, &holders)?;
        let authorization = declared.authorization;
        let accept = declared.accept.clone();
        let (mut parameters, body) = body::read(cx, method, site, self.root, declared)?;
        drop_content_type(cx, site, &mut parameters, body.as_ref());
        let security = match self.schemes.demanded(cx, site) {
            Some(own) => own,
            None if cx.charge(self.security.iter().flatten().map(|it| it.scheme.as_str())) => {
                self.security.to_vec()
            }
            None => return Err(Skip::new("too-large", site, SPENT)),
        };
        let security = match authorization {
            Some((parameter, is_required)) => {
                self.schemes.with_authorization(cx, parameter, is_required, security)
            }
            None => security,
        };
        self.drop_credentials(cx, site, &mut parameters, &security);
        if method == "TRACE" && !security.is_empty() {
            let message = "TRACE is sent without credentials: its answer repeats what was sent";
            cx.note("trace-without-credentials", site, message);
        }
        let path = template::fit(cx, item.path, site, &mut parameters)?;
        self.compare_shape(cx, site, &path);
        let responses = response::read(cx, site, self.root);
        let servers = self.servers(cx, item, site);
        // What a path says is said of each operation that says nothing itself.
        let speaking = std::iter::once(&site)
            .chain(&item.layers)
            .find(|it| it.get("summary").is_some() || it.get("description").is_some());
        let speaking = speaking.copied().unwrap_or(site);
        Ok(Operation {
            method: method.to_owned(),
            path,
            written_path: cx.keep(item.path).unwrap_or_default(),
            id: self.id(cx, item, method, site),
            mcp_name: cx.text(site, "x-mcp-name"),
            summary: cx.text(speaking, "summary"),
            description: cx.text(speaking, "description"),
            tags: cx.words(site, "tags").into_iter().map(str::to_owned).collect(),
            is_deprecated: cx.flag(site, "deprecated") == Some(true),
            parameters,
            body,
            accept,
            responses,
            security,
            servers,
            extensions: extensions(cx, site, item),
            at: site.at(),
            place: site.place(),
        })
    }

    /// Where an operation is served: what it says itself, else its path, else the document.
    fn servers(&self, cx: &mut Cx<'_>, item: &PathItem<'_>, site: Site<'_>) -> Vec<ServerUrl> {
        if let Some(own) = server::of_holder(cx, site) {
            return own;
        }
        if cx.is_20() && site.get("schemes").is_some() {
            return server::of_swagger(cx, self.root, site);
        }
        let inherited = item.servers.as_deref().unwrap_or(self.servers);
        let texts = inherited.iter().flat_map(|it| [it.url.as_str(), &it.template]);
        if cx.charge(texts) { inherited.to_vec() } else { Vec::new() }
    }

    /// Credentials come from the configuration: what a demanded scheme sends is no argument.
    fn drop_credentials(
        &self,
        cx: &mut Cx<'_>,
        site: Site<'_>,
        parameters: &mut Vec<Parameter>,
        security: &[Vec<Requirement>],
    ) {
        let demanded = security.iter().flatten();
        let carriers: HashSet<(Location, String)> =
            demanded.filter_map(|requirement| self.schemes.carrier(&requirement.scheme)).collect();
        parameters.retain(|parameter| {
            let name = match parameter.location {
                Location::Header => parameter.name.to_ascii_lowercase(),
                _ => parameter.name.clone(),
            };
            let is_credential = carriers.contains(&(parameter.location, name));
            if is_credential {
                let message = format!(
                    "`{}` is sent by a security scheme, from the configuration; it is no argument",
                    parameter.name
                );
                cx.note("credential-argument", site.elsewhere(parameter.at), message);
            }
            !is_credential
        });
    }

    fn id(
        &mut self,
        cx: &mut Cx<'_>,
        item: &PathItem<'_>,
        method: &str,
        site: Site<'_>,
    ) -> Option<String> {
        let id = cx.text(site, "operationId").filter(|id| !id.trim().is_empty());
        let Some(id) = id else {
            cx.note("no-operation-id", site, "no `operationId`: method and path name the tool");
            return None;
        };
        match self.ids.entry(id.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(format!("{method} {}", item.path));
            }
            Entry::Occupied(first) => {
                let message = format!("`operationId: {id}` is that of {} as well", first.get());
                cx.warn("duplicate-operation-id", site, message);
            }
        }
        Some(id)
    }

    /// `/pets/{id}` and `/pets/{name}` are the same to a server.
    fn compare_shape(&mut self, cx: &mut Cx<'_>, site: Site<'_>, path: &str) {
        match self.shapes.entry(template::shape(path).into_owned()) {
            Entry::Vacant(entry) => {
                entry.insert(path.to_owned());
            }
            Entry::Occupied(first) if first.get() != path => {
                let message = format!("`{path}` and `{}` are the same to a server", first.get());
                cx.note("same-path", site, message);
            }
            Entry::Occupied(_) => {}
        }
    }
}

/// The method that a member of a path item declares, if it declares one.
fn method(cx: &mut Cx<'_>, key: &str, value: Site<'_>) -> Option<String> {
    let (name, since) = METHODS.iter().find(|(name, _)| name.eq_ignore_ascii_case(key))?;
    if *name != key {
        cx.warn("odd-method", value, format!("`{key}` should be written `{name}`; it is read so"));
    }
    if *since > cx.dialect {
        // What has no responses is something else of that name.
        value.get("responses")?;
        cx.note("newer-version", value, format!("`{key}` is not of this version; it is read"));
    }
    Some(name.to_ascii_uppercase())
}

/// Names of `x-` members that are not switched off.
fn extensions(cx: &mut Cx<'_>, site: Site<'_>, item: &PathItem<'_>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for holder in std::iter::once(&site).chain(&item.layers) {
        for (name, value) in holder.entries().filter(|(name, _)| name.starts_with("x-")) {
            let is_overruled = site.get(name).is_some_and(|own| own.as_bool() == Some(false));
            if !cx.step() {
                return names;
            }
            if value.is_null() || value.as_bool() == Some(false) || is_overruled {
                continue;
            }
            if names.len() < EXTENSIONS_MAX && !names.iter().any(|known| known == name) {
                names.extend(cx.keep(name));
            }
        }
    }
    names
}

/// Most `x-` members of an operation that can select it.
const EXTENSIONS_MAX: usize = 100;

/// The header that says what the body is cannot say something else.
fn drop_content_type(
    cx: &mut Cx<'_>,
    site: Site<'_>,
    parameters: &mut Vec<Parameter>,
    body: Option<&Body>,
) {
    parameters.retain(|parameter| {
        let is_content_type = parameter.location == Location::Header
            && parameter.name.eq_ignore_ascii_case("content-type");
        let is_kept = body.is_none() || !is_content_type;
        if !is_kept {
            let message = "header `Content-Type` follows from the body";
            cx.note("ignored-header", site.elsewhere(parameter.at), message);
        }
        is_kept
    });
}
