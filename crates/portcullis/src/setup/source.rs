//! Where a configuration comes from: a file, a command line, or what is embedded.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use config::{Config, Endpoint, Loaded, Server, ServerName, Serves};

/// Where a configuration comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The embedded default: the example servers.
    Embedded,
    /// A configuration, or the file of a host.
    File(PathBuf),
    /// One server, by its command line.
    Command(Vec<String>),
}

impl Source {
    /// What a command line with a file, or with a command after `--`, or with neither, means.
    pub(crate) fn new(file: Option<PathBuf>, command: Vec<String>) -> Self {
        match file {
            Some(path) => Self::File(path),
            None if command.is_empty() => Self::Embedded,
            None => Self::Command(command),
        }
    }

    /// The file, where there is one.
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Embedded | Self::Command(_) => None,
        }
    }

    /// Reads the configuration. The embedded one has no servers yet: they must be started.
    pub(crate) fn load(&self) -> Loaded {
        let config = match self {
            Self::File(path) => return config::read_file(path),
            Self::Embedded => Config::default(),
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
    let name = started.flatten().map_or(program, |arg| stem(arg));
    let name: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' })
        .skip_while(|c| !c.is_ascii_alphanumeric())
        .take(ServerName::LENGTH_MAX)
        .collect();
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
    fn one_server_keeps_its_names() {
        let source = Source::new(None, vec!["uvx".into(), "mcp-server-time".into()]);
        let config = source.load().config.unwrap();
        let name: ServerName = "mcp-server-time".parse().unwrap();
        assert_eq!(config.endpoints["/mcp"].serves, Serves::Single(name.clone()));
        assert_eq!(config.servers[&name].stdio().unwrap().command, "uvx");
    }
}
