//! Where operations are served: `servers` of 3.x, `host`, `basePath` and `schemes` of 2.0.

use url::Url;

use super::cx::Cx;
use super::site::Site;
use crate::model::{ServerUrl, Variable};

/// Most servers of one list; nobody chooses among more.
const SERVERS_MAX: usize = 100;

/// Most variables of one server.
const VARIABLES_MAX: usize = 100;

/// The servers that `holder` (the document, a path or an operation) names itself; `None` if it says
/// nothing.
pub(super) fn of_holder(cx: &mut Cx<'_>, holder: Site<'_>) -> Option<Vec<ServerUrl>> {
    let list = cx.list(holder, "servers").filter(|list| !list.is_empty())?;
    let mut servers: Vec<ServerUrl> = Vec::new();
    for element in list.elements() {
        if servers.len() == SERVERS_MAX || !cx.take_part() {
            break;
        }
        let Some(site) = cx.follow(element) else { continue };
        let Some(server) = server(cx, site) else { continue };
        if !servers.contains(&server) {
            servers.push(server);
        }
    }
    Some(servers).filter(|servers| !servers.is_empty())
}

/// The servers of a 3.x document: those that it names, else the place it was read from.
pub(super) fn of_document(cx: &mut Cx<'_>, root: Site<'_>) -> Vec<ServerUrl> {
    if let Some(servers) = of_holder(cx, root) {
        return servers;
    }
    let Some(url) = base(root) else {
        let message = "the document names no server; give the base URL in the configuration";
        cx.note("no-server", root, message);
        return Vec::new();
    };
    let url = absolute(Some(url), "/");
    vec![ServerUrl { template: "/".to_owned(), url, variables: Vec::new() }]
}

fn server(cx: &mut Cx<'_>, site: Site<'_>) -> Option<ServerUrl> {
    let template = match site.as_str() {
        // A list of URLs is a common mistake.
        Some(url) => cx.keep(url)?,
        None if site.get("url").is_none() => {
            cx.warn("server-unusable", site, "a server has no `url`; it is left out");
            return None;
        }
        None => cx.text(site, "url")?,
    };
    let variables = variables(cx, site, &template);
    let mut filled = template.trim().to_owned();
    for variable in &variables {
        filled = filled.replace(&format!("{{{}}}", variable.name), &variable.default);
    }
    if let Some(open) = filled.find('{')
        && let Some(len) = filled[open..].find('}')
    {
        let name = &filled[open..=open + len];
        let message = format!("nothing says what `{name}` is, so the server's URL is incomplete");
        cx.warn("server-variable", site, message);
    }
    if let Some(end) = filled.find(['?', '#']) {
        cx.warn("server-query", site, "query and fragment of a server's URL are not used");
        filled.truncate(end);
    }
    if !is_absolute(&filled) && base(site).is_none() {
        let message = format!(
            "`{filled}` is relative to where the document is served; give the base URL in the \
             configuration"
        );
        cx.note("relative-server", site, message);
    }
    let url = absolute(base(site), &filled);
    Some(ServerUrl { url, template, variables })
}

/// The variables that the template has, in the order of the document.
fn variables(cx: &mut Cx<'_>, site: Site<'_>, template: &str) -> Vec<Variable> {
    let Some(declared) = cx.object(site, "variables") else { return Vec::new() };
    let mut all = Vec::new();
    for (name, written) in declared.entries() {
        if all.len() == VARIABLES_MAX || !cx.step() {
            break;
        }
        let Some(declaration) = cx.follow(written).filter(|it| it.is_object()) else { continue };
        if !template.contains(&format!("{{{name}}}")) || !cx.take_part() {
            continue;
        }
        let values: Vec<String> =
            cx.words(declaration, "enum").into_iter().map(str::to_owned).collect();
        let default = cx.text(declaration, "default").or_else(|| {
            let message = format!("server variable `{name}` has no default");
            cx.warn("server-variable", declaration, message);
            values.first().cloned()
        });
        if let Some(default) =
            default.as_ref().filter(|it| !values.is_empty() && !values.contains(it))
        {
            let message = format!(
                "the default `{default}` of server variable `{name}` is none of its values; it is used"
            );
            cx.warn("server-variable", declaration, message);
        }
        let (Some(default), Some(name)) = (default, cx.keep(name)) else { continue };
        all.push(Variable { name, default, values });
    }
    all
}

/// The servers of a 2.0 document; `schemes` of an operation count before its own.
pub(super) fn of_swagger(cx: &mut Cx<'_>, root: Site<'_>, holder: Site<'_>) -> Vec<ServerUrl> {
    let own = base(root);
    let host = cx.word(root, "host").map(str::trim).filter(|host| !host.is_empty());
    let path = cx.word(root, "basePath").unwrap_or_default().trim();
    let path =
        if path.starts_with('/') || path.is_empty() { path.to_owned() } else { format!("/{path}") };
    let mut schemes = cx.words(holder, "schemes");
    if schemes.is_empty() {
        schemes = cx.words(root, "schemes");
    }
    let mut schemes: Vec<&str> = schemes
        .into_iter()
        .filter_map(|scheme| match scheme.to_ascii_lowercase().as_str() {
            "https" => Some("https"),
            "http" => Some("http"),
            // `ws` and `wss`: no requests go that way.
            _ => None,
        })
        .collect();
    // Whoever offers both means the same API.
    schemes.sort_by_key(|scheme| *scheme != "https");
    let Some(host) = host else {
        if own.is_none() {
            let message = "the document names no `host`; give the base URL in the configuration";
            cx.note("no-server", root, message);
            if path.is_empty() {
                return Vec::new();
            }
        }
        return vec![plain(absolute(own, &path))];
    };
    // Some write the scheme into the host.
    if is_absolute(host) {
        return vec![plain(absolute(None, &format!("{}{path}", host.trim_end_matches('/'))))];
    }
    if schemes.is_empty() {
        schemes.push(own.map_or("https", Url::scheme));
    }
    let host = host.trim_matches('/');
    schemes
        .iter()
        .map(|scheme| plain(absolute(None, &format!("{scheme}://{host}{path}"))))
        .collect()
}

fn plain(url: String) -> ServerUrl {
    ServerUrl { template: url.clone(), url, variables: Vec::new() }
}

/// The URL that relative URLs of servers are relative to: where the document is served, which a
/// file is not.
pub(super) fn base(site: Site<'_>) -> Option<&Url> {
    Some(site.url()).filter(|url| matches!(url.scheme(), "http" | "https"))
}

fn is_absolute(url: &str) -> bool {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| {
        scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    })
}

fn absolute(base: Option<&Url>, url: &str) -> String {
    let joined = match base {
        // An empty URL would be the document itself.
        Some(base) if !is_absolute(url) => base
            .join(if url.is_empty() { "/" } else { url })
            .map_or_else(|_| url.to_owned(), String::from),
        _ => url.to_owned(),
    };
    joined.trim_end_matches('/').to_owned()
}
