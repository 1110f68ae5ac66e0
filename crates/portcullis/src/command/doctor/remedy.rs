//! What to do about a server that cannot be used.

use std::path::{Path, PathBuf};

use config::{Server, Stdio, Transport};

/// What the operator should try first.
pub(super) fn of(server: Option<&Server>, problem: Option<&str>) -> String {
    match server.map(|server| &server.transport) {
        Some(Transport::Stdio(stdio)) => of_process(stdio),
        Some(Transport::Remote(remote)) => {
            of_remote(&remote.url.to_string(), problem.unwrap_or_default())
        }
        Some(Transport::Api(api)) => of_api(api, problem.unwrap_or_default()),
        Some(Transport::Composite(_)) => {
            "see what is said of its tools: portcullis check".to_owned()
        }
        None => "see its line in the gate's log".to_owned(),
    }
}

fn of_api(api: &config::Api, problem: &str) -> String {
    match &api.openapi {
        Some(config::ApiDocument::File(path)) => {
            format!(
                "see what is wrong with the document: portcullis openapi check {}",
                path.display()
            )
        }
        Some(config::ApiDocument::Url(url)) => of_remote(&url.to_string(), problem),
        None => match api.addresses.first() {
            Some(url) => of_remote(&url.to_string(), problem),
            None => "give the server its `url`".to_owned(),
        },
    }
}

fn of_process(stdio: &Stdio) -> String {
    let command = stdio.command.as_str();
    if find(command, stdio.cwd.as_deref()).is_none() {
        return match installer(command) {
            Some(installer) => format!("`{command}` is not on PATH; {installer}"),
            None => format!(
                "`{command}` is not on PATH; install it, or write its whole path as `command`"
            ),
        };
    }
    format!(
        "start it yourself to see what it says: {command} …; it gets only PATH, HOME, the locale and \
         the temporary directory of your environment: what else it needs belongs under `env`"
    )
}

/// Where the commonest launchers come from.
fn installer(command: &str) -> Option<&'static str> {
    match command {
        "npx" | "npm" | "node" => Some("install Node.js 20 or later (https://nodejs.org)"),
        "uvx" | "uv" => Some("install uv (https://docs.astral.sh/uv), or use `pipx run`"),
        "pipx" => Some("install pipx (https://pipx.pypa.io)"),
        "bunx" | "bun" => Some("install Bun (https://bun.sh)"),
        "docker" => Some("install Docker, and let this user use it"),
        "python" => Some("many systems only have `python3`: try that as `command`"),
        _ => None,
    }
}

fn of_remote(url: &str, problem: &str) -> String {
    // An address says nothing about the problem, and its port may look like a status.
    let said = words(problem);
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if has(&["credentials", "401", "403"]) {
        format!("{url} wants other credentials: set `credentials`, or renew what they refer to")
    } else if has(&["certificate", "TLS", "tls"]) {
        format!(
            "{url} shows a certificate that is not trusted here: name its authority in `tls.ca`"
        )
    } else if has(&["resolve", "resolved", "lookup", "name"]) {
        format!("check the host's name in {url}, and whether this machine needs a `proxy`")
    } else if has(&["404", "405"]) {
        format!("check the path in {url}: many servers listen on /mcp, older ones on /sse")
    } else {
        format!("check that something listens at {url}, and whether this machine needs a `proxy`")
    }
}

/// The words of a message without the addresses in it.
fn words(message: &str) -> Vec<&str> {
    message
        .split_whitespace()
        .filter(|word| !word.trim_end_matches([':', ',', ';', '.', ')']).contains([':', '.']))
        .flat_map(|word| word.split(|each: char| !each.is_ascii_alphanumeric()))
        .filter(|word| !word.is_empty())
        .collect()
}

/// The program that a command starts, as the operating system finds it.
fn find(command: &str, folder: Option<&Path>) -> Option<PathBuf> {
    let path = Path::new(command);
    if path.components().count() > 1 {
        let path = folder.map_or_else(|| path.to_owned(), |folder| folder.join(path));
        return is_program(&path).then_some(path);
    }
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(path)).find(|path| is_program(path))
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    path.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remedy_fits_the_problem() {
        let absent = Server::from_command("surely-not-there", Vec::new());
        assert!(of(Some(&absent), None).contains("is not on PATH; install it"));
        let present = Server::from_command("sh", Vec::new());
        assert!(of(Some(&present), None).starts_with("start it yourself"));
        let url = "https://mcp.example.com/mcp";
        for (problem, said) in [
            ("the server refused the credentials (HTTP 401)", "other credentials"),
            ("invalid peer certificate: UnknownIssuer", "tls.ca"),
            ("connection refused", "something listens"),
            ("cannot connect to 127.0.0.1:40111: Connection refused (os error 111)", "listens"),
            ("cannot connect to tls.name.example:443: refused", "something listens"),
            ("failed to lookup address information: Name or service not known", "host's name"),
            ("the server answered HTTP 404", "the path in"),
        ] {
            assert!(of_remote(url, problem).contains(said), "{problem}");
        }
    }
}
