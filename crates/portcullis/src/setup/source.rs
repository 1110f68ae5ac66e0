//! Where a configuration comes from: a file, an OpenAPI document, a command line, or what is
//! embedded.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::bail;
use config::{Config, Endpoint, Loaded, Server, ServerName, Serves};
use openapi::document::BYTES_MAX;
use openapi::tree::{Limits, Tree};
use serde_json::json;
use url::Url;

use crate::document::Location;
use engine::documents;

/// Where a configuration comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The embedded default: the example servers.
    Embedded,
    /// A configuration, or the file of a host.
    File(PathBuf),
    /// One API, by its OpenAPI document.
    Document {
        /// The document.
        at: Location,
        /// Where the API is served, instead of where the document says.
        url: Option<Url>,
    },
    /// One server, by its command line.
    Command(Vec<String>),
}

impl Source {
    /// What a command line with a file, or with a command after `--`, or with neither, means.
    pub(crate) fn new(file: Option<PathBuf>, command: Vec<String>) -> Self {
        match file {
            Some(path) => Self::of_file(path),
            None if command.is_empty() => Self::Embedded,
            None => Self::Command(command),
        }
    }

    fn of_file(path: PathBuf) -> Self {
        let location = path.to_str().and_then(|text| text.parse().ok());
        match location {
            Some(at @ Location::Url(_)) => Self::Document { at, url: None },
            _ if is_document(&path) => Self::Document { at: Location::File(path), url: None },
            _ => Self::File(path),
        }
    }

    /// The same with another place where the API is served, if one is given.
    ///
    /// # Errors
    /// When this is no document.
    pub(crate) fn at(self, url: Option<Url>) -> anyhow::Result<Self> {
        match (self, url) {
            (source, None) => Ok(source),
            (Self::Document { at, .. }, Some(url)) => Ok(Self::Document { at, url: Some(url) }),
            (source, Some(_)) => bail!(
                "{source} is no OpenAPI document; only one of those can be served at another --url"
            ),
        }
    }

    /// The configuration's file, where there is one.
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Embedded | Self::Document { .. } | Self::Command(_) => None,
        }
    }

    /// Reads the configuration. The embedded one has no servers yet: they must be started.
    pub(crate) fn load(&self) -> Loaded {
        let config = match self {
            Self::File(path) => return config::read_file(path),
            Self::Embedded => Config::default(),
            Self::Document { at, url } => return one_api(at, url.as_ref()),
            Self::Command(command) => one_server(command),
        };
        Loaded { config: Some(config), diagnostics: Vec::new(), quarantined: BTreeMap::new() }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => f.write_str("the embedded configuration"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Document { at, .. } => write!(f, "{at}"),
            Self::Command(_) => f.write_str("the command line"),
        }
    }
}

/// One server that keeps its own names on `/mcp`.
fn one_server(command: &[String]) -> Config {
    let mut config = Config::default();
    let Some((program, args)) = command.split_first() else { return config };
    let name = name_of(program, args);
    let server = Server::from_command(program, args.iter().cloned());
    config.servers.insert(name.clone(), server);
    let endpoint = Endpoint { serves: Serves::Single(name), ..Endpoint::default() };
    config.endpoints = BTreeMap::from([("/mcp".to_owned(), endpoint)]);
    config
}

/// One API that keeps its own names on `/mcp`: the configuration that somebody would write for it.
fn one_api(at: &Location, url: Option<&Url>) -> Loaded {
    // In a configuration `${` begins a reference.
    let literal = |text: &str| text.replace("${", "$${");
    let (stem, document) = match at {
        Location::File(path) => {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            (
                path.file_stem().map(|stem| stem.to_string_lossy().into_owned()),
                path.display().to_string(),
            )
        }
        Location::Url(url) => {
            let last = url.path_segments().and_then(|mut parts| parts.next_back()).map(Path::new);
            let stem = last.and_then(Path::file_stem).or_else(|| url.host_str().map(AsRef::as_ref));
            (stem.map(|stem| stem.to_string_lossy().into_owned()), url.to_string())
        }
    };
    let name = name_from(&stem.unwrap_or_default());
    let mut server = json!({ "openapi": literal(&document) });
    if let Some(url) = url {
        server["url"] = literal(url.as_str()).into();
    }
    let configuration = json!({
        "servers": { name.as_str(): server },
        "endpoints": { "/mcp": { "server": name.as_str() } },
    });
    config::read(&configuration.to_string(), Path::new("the command line"))
}

/// Whether a file is an OpenAPI document, and not a configuration.
pub(crate) fn is_document(path: &Path) -> bool {
    let Ok(text) = documents::read_file(path, BYTES_MAX) else { return false };
    match Tree::parse(&text, &Limits::default()) {
        Ok(tree) => ["openapi", "swagger"].into_iter().any(|key| tree.root().get(key).is_some()),
        // Who reads documents says best what is wrong with one.
        Err(_) => begins_as_document(&text),
    }
}

/// Whether a text that cannot be read was to be a document: a line of YAML, or the first member of
/// JSON, that says which version it is.
fn begins_as_document(text: &str) -> bool {
    let text = text.trim_start_matches('\u{feff}');
    let says = |line: &str, quote: &str| {
        ["openapi", "swagger"].into_iter().any(|key| {
            let rest = line.strip_prefix(quote).and_then(|rest| rest.strip_prefix(key));
            let rest = rest.and_then(|rest| rest.strip_prefix(quote));
            rest.is_some_and(|rest| rest.trim_start().starts_with(':'))
        })
    };
    match text.trim_start().strip_prefix('{') {
        Some(inner) => says(inner.trim_start(), "\""),
        None => text.lines().any(|line| ["", "\"", "'"].into_iter().any(|quote| says(line, quote))),
    }
}

/// Programs that start what their first argument names.
const LAUNCHERS: [&str; 11] =
    ["npx", "bunx", "pnpx", "uvx", "pipx", "node", "deno", "bun", "python", "python3", "docker"];

/// A name for a server by what its command line starts: `npx -y @scope/server-time@2` is
/// `server-time`.
fn name_of(program: &str, args: &[String]) -> ServerName {
    let stem = |text: &str| {
        let base = text.rsplit(['/', '\\']).next().unwrap_or_default();
        let base = base.split('@').find(|part| !part.is_empty()).unwrap_or_default();
        let base = base.strip_suffix(".js").or_else(|| base.strip_suffix(".py")).unwrap_or(base);
        base.strip_suffix(".exe").unwrap_or(base).to_owned()
    };
    let program = stem(program);
    let started = LAUNCHERS.contains(&program.as_str()).then(|| {
        let words = ["run", "exec", "x"];
        args.iter().find(|arg| !arg.starts_with('-') && !words.contains(&arg.as_str()))
    });
    name_from(&started.flatten().map_or(program, |arg| stem(arg)))
}

/// The nearest text that is a name of a server.
fn name_from(text: &str) -> ServerName {
    let name: String = text
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' })
        .skip_while(|c| !c.is_ascii_alphanumeric())
        .take(ServerName::LENGTH_MAX)
        .collect::<String>();
    let name = name.replace("__", "_-");
    let name = name.trim_end_matches(['-', '_']);
    let fallback = || "server".parse().expect("`server` is a name");
    name.parse().unwrap_or_else(|_| fallback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_after_what_is_started() {
        for (line, expected) in [
            ("npx -y @modelcontextprotocol/server-everything", "server-everything"),
            ("npx -y @scope/server@1.2.3", "server"),
            ("uvx mcp-server-time", "mcp-server-time"),
            ("python3 ./tools/clock.py --utc", "clock"),
            ("docker run -i --rm mcp/git", "git"),
            ("/opt/bin/thing serve", "thing"),
            ("uvx", "uvx"),
            ("./…", "server"),
        ] {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(name_of(&words[0], &words[1..]).as_str(), expected, "{line}");
        }
    }

    #[test]
    fn documents_are_told_from_configurations() {
        let folder = tempfile::tempdir().unwrap();
        for (text, expected) in [
            ("openapi: 3.1.0\n", true),
            ("\u{feff}{\"swagger\": \"2.0\"}", true),
            ("info: {title: x}\nswagger: 2.0\n", true),
            ("servers: {a: {openapi: a.yaml}}\n", false),
            ("{\"mcpServers\": {\"openapi\": {\"command\": \"x\"}}}", false),
            ("", false),
            // Broken ones, by what they were to be.
            ("openapi: 3.1.0\npaths: {\n", true),
            ("{\n  \"openapi\" : \"3.1.0\",\n  oops", true),
            ("servers:\n  a: {\n  openapi: x", false),
            ("{\"mcpServers\": {\"openapi\":", false),
        ] {
            let path = folder.path().join("file");
            std::fs::write(&path, text).unwrap();
            assert_eq!(is_document(&path), expected, "{text}");
        }
        assert!(!is_document(folder.path()));
    }

    #[test]
    fn a_document_is_a_server_that_is_named_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("my ${pet}__store.v1.yaml");
        std::fs::write(&path, "openapi: 3.1.0\n").unwrap();
        for (named, expected) in [
            (path, "my---pet-_-store-v1"),
            ("https://api.example.com/docs/petstore.json".into(), "petstore"),
            ("https://api.example.com/".into(), "api-example-com"),
        ] {
            let source = Source::new(Some(named), Vec::new());
            let source = source.at(Some("https://x.example/v1".parse().unwrap())).unwrap();
            let loaded = source.load();
            let config = loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
            let names: Vec<_> = config.servers.keys().map(ServerName::as_str).collect();
            assert_eq!(names, [expected]);
            let serves = &config.endpoints["/mcp"].serves;
            assert_eq!(*serves, Serves::Single(expected.parse().unwrap()));
        }
        let other = Source::new(None, vec!["uvx".into()]);
        assert!(other.at(Some("https://x.example".parse().unwrap())).is_err());
    }

    #[test]
    fn one_server_keeps_its_names() {
        let source = Source::new(None, vec!["uvx".into(), "mcp-server-time".into()]);
        let config = source.load().config.unwrap();
        let name: ServerName = "mcp-server-time".parse().unwrap();
        assert_eq!(config.endpoints["/mcp"].serves, Serves::Single(name.clone()));
        assert_eq!(config.servers[&name].stdio().unwrap().command, "uvx");
    }
}
