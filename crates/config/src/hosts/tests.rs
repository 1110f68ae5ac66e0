//! Reading and writing the files of hosts.

use std::{fmt::Write as _, path::Path};

use insta::assert_snapshot;

use super::*;
use crate::{
    Style,
    model::{Credentials, Era},
    secret::Environment,
};

struct Fake;

impl Environment for Fake {
    fn variable(&self, name: &str) -> Option<String> {
        Some(format!("value of {name}"))
    }

    fn file(&self, _: &Path) -> std::io::Result<String> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

const URL: &str = "http://127.0.0.1:8080/mcp";

/// The imported servers as YAML, then what is said about them.
fn imported(host: Host, text: &str) -> String {
    let path = host.user_file(Path::new("/home/ada"), Os::Linux);
    let imported = import(host, text, &path);
    let mut result = to_yaml(&imported.servers);
    let said = imported.servers.iter().flat_map(|server| &server.warnings);
    for found in said.chain(&imported.diagnostics) {
        let _ = writeln!(result, "\n{}", found.render(Style::Plain));
    }
    assert!(!result[result.find("\nwarning").unwrap_or(result.len())..].contains("canary"));

    // What is written can be read, and says the same.
    let yaml = to_yaml(&imported.servers);
    let loaded = crate::read_with(&yaml, Path::new("portcullis.yaml"), &Fake);
    let config = loaded.config.unwrap_or_else(|| panic!("{:#?}", loaded.diagnostics));
    for server in &imported.servers {
        if let Some(read) = config.servers.get(&server.name) {
            assert_eq!(server.server(&Fake).ok().as_ref(), Some(read), "{}", server.name);
        }
    }
    result
}

#[test]
fn claude_desktop_is_imported() {
    assert_snapshot!(imported(
        Host::ClaudeDesktop,
        r#"{ "globalShortcut": "x", "mcpServers": {
            "filesystem": { "command": "npx", "args": ["-y", "@modelcontextprotocol/server-filesystem", "/tmp/${x}"] },
            "Git Hub": { "command": "docker", "args": ["run", "-i"], "env": { "GITHUB_TOKEN": "canary", "A": "1" } }
        } }"#
    ));
}

#[test]
fn claude_code_is_imported_with_its_projects() {
    assert_snapshot!(imported(
        Host::ClaudeCode,
        r#"{ "numStartups": 3,
          "mcpServers": {
            "linear": { "type": "http", "url": "https://mcp.linear.app/mcp", "headers": { "Authorization": "Bearer ${LINEAR_KEY}" } },
            "old": { "type": "sse", "url": "${BASE:-https://x.example}/sse" }
          },
          "projects": {
            "/src/a": { "mcpServers": { "time": { "type": "stdio", "command": "uvx", "args": ["mcp-server-time"], "env": {} } } },
            "/src/b": { "mcpServers": {
              "time": { "type": "stdio", "command": "uvx", "args": ["mcp-server-time"] },
              "linear": { "command": "other" } } },
            "/src/c": {}
          } }"#
    ));
}

#[test]
fn cursor_is_imported() {
    assert_snapshot!(imported(
        Host::Cursor,
        r#"{ "mcpServers": {
            "a": { "command": "${userHome}/bin/a", "args": ["${env:X}"], "envFile": ".env" },
            "b": { "url": "https://b.example/mcp", "headers": { "X-Api-Key": "canary", "Accept": "x" } } } }"#
    ));
}

#[test]
fn vs_code_is_imported_with_its_inputs() {
    assert_snapshot!(imported(
        Host::VsCode,
        r#"{
          // asked once
          "inputs": [{ "id": "api-key", "type": "promptString", "password": true }],
          "servers": {
            "api": { "type": "http", "url": "https://api.example/mcp", "headers": { "X-Key": "${input:api-key}" } },
            "local": { "type": "stdio", "command": "node", "args": ["${workspaceFolder}/s.js", "${config:x}"], "gallery": true, },
          },
        }"#
    ));
}

#[test]
fn codex_is_imported() {
    let text = r#"
model = "x"

[mcp_servers.docs]
command = "npx"
args = ["-y", "docs"]
env = { A = "1", DOCS_TOKEN = "canary" }
env_vars = ["B"]
startup_timeout_sec = 20
tool_timeout_sec = 45

[mcp_servers.figma]
url = "https://mcp.figma.com/mcp"
bearer_token_env_var = "FIGMA_TOKEN"
http_headers = { "X-Region" = "eu" }
env_http_headers = { "X-User" = "USER_NAME" }
enabled = false
"#;
    assert_snapshot!(imported(Host::Codex, text));
    let servers = import(Host::Codex, text, Path::new("config.toml")).servers;
    let figma = servers[1].server(&Fake).unwrap();
    let Some(Credentials::Bearer(bearer)) = &figma.remote().unwrap().credentials else {
        panic!("a bearer token");
    };
    assert_eq!(bearer.expose(), "value of FIGMA_TOKEN");
    assert!(figma.disabled);
}

#[test]
fn gemini_is_imported() {
    let text = r#"{ "theme": "x", "mcpServers": {
        "h": { "httpUrl": "https://h.example/mcp", "headers": { "X-Token": "$H_TOKEN" }, "timeout": 5000, "trust": true },
        "s": { "url": "https://s.example/sse", "type": "sse" },
        "c": { "command": "python", "cwd": "/srv", "includeTools": ["a"] } } }"#;
    assert_snapshot!(imported(Host::Gemini, text));
    let servers = import(Host::Gemini, text, Path::new("settings.json")).servers;
    assert_eq!(servers[1].server(&Fake).unwrap().era, Era::Sse);
}

#[test]
fn a_broken_file_of_a_host_is_a_diagnostic() {
    for (host, text) in [
        (Host::Cursor, "{ \"mcpServers\": { \"a\": { \"API_KEY\": canary } }"),
        (Host::Codex, "[mcp_servers\nAPI_KEY = canary"),
    ] {
        let imported = import(host, text, Path::new("file"));
        assert!(imported.servers.is_empty());
        assert_eq!(imported.diagnostics.len(), 1);
        assert!(!imported.diagnostics[0].render(Style::Plain).contains("canary"));
    }
}

#[test]
fn yaml_quotes_what_could_mean_something_else() {
    let text = r##"{ "mcpServers": { "null": { "command": "/bin/x y", "args": [
        "true", "1", "a: b", "# c", "*", "", "\u0000\n\t\"\\", "é", "-x", "\u2028", "{a}", "yes" ] } } }"##;
    imported(Host::Cursor, text);
    assert_eq!(to_yaml(&[]), "servers: {}\n");
}

// === connect ===

#[track_caller]
fn connect(host: Host, before: &str) -> String {
    let path = Path::new("file");
    let edit = plan(host, path, Some(before), URL, "portcullis").unwrap();
    let again = plan(host, path, Some(&edit.after), URL, "portcullis").unwrap();
    assert_eq!(again.after, edit.after, "a second time changes nothing");
    let servers = import(host, &edit.after, path).servers;
    assert!(servers.iter().any(|server| server.original_name == "portcullis"), "{}", edit.after);
    edit.after
}

#[test]
fn a_new_file_is_made_for_every_host() {
    let made = Host::ALL.map(|host| {
        let edit = plan(host, Path::new("file"), None, URL, "portcullis").unwrap();
        assert_eq!(edit.before, None);
        assert_eq!(connect(host, ""), edit.after);
        format!("{host}\n{}", edit.after)
    });
    assert_snapshot!(made.join("\n"));
}

#[test]
fn an_entry_is_put_in_and_the_rest_stays() {
    let texts = [
        "{}",
        "{\n}\n",
        "{ \"mcpServers\": {} }",
        "{\n    \"theme\": \"dark\" // mine\n}\n",
        "{\n\t\"a\": [1, 2],\n\t\"mcpServers\": {\n\t\t\"x\": { \"command\": \"y\" }, // last\n\t}\n}\n",
        "{\n  \"mcpServers\": {\n    \"x\": { \"command\": \"y\" } /* , */\n  },\n  \"b\": 1\n}",
        "{\"mcpServers\":{\"x\":{\"command\":\"y\"}}}",
        "{\n  \"mcpServers\": {\n    \"portcullis\": { \"url\": \"http://old\" }, // keep\n    \"x\": {}\n  }\n}\n",
        "{\r\n  \"mcpServers\": {\r\n    \"x\": {}\r\n  }\r\n}\r\n",
        "{\n  \"mcpServers\": {\n    // nothing yet\n  }\n}\n",
    ];
    let changed = texts.map(|text| connect(Host::Cursor, text).replace('\r', "␍"));
    assert_snapshot!(changed.join("\n――\n"));
}

#[test]
fn taking_out_undoes_putting_in() {
    for text in [
        "{\n  \"mcpServers\": {\n    \"x\": { \"command\": \"y\" }\n  },\n  \"b\": 1\n}\n",
        "{\n\t\"mcpServers\": {\n\t\t\"x\": {}, // first\n\t\t\"z\": {} // last\n\t}\n}",
        "{\"mcpServers\":{\"x\":{\"command\":\"y\"}}}",
        "{\r\n  \"mcpServers\": {\r\n    \"x\": {}\r\n  }\r\n}\r\n",
        "{ \"mcpServers\": {} }",
    ] {
        let with = connect(Host::Cursor, text);
        let edit = remove(Host::Cursor, Path::new("file"), &with, "portcullis").unwrap().unwrap();
        assert_eq!(edit.after, text);
        assert_eq!(edit.before.as_deref(), Some(with.as_str()));
        assert_eq!(remove(Host::Cursor, Path::new("f"), text, "portcullis").unwrap(), None);
    }
    let middle =
        "{\n  \"mcpServers\": {\n    \"a\": {},\n    \"b\": {}, // b\n    \"c\": {}\n  }\n}";
    let out = |name| remove(Host::Cursor, Path::new("f"), middle, name).unwrap().unwrap().after;
    assert_snapshot!([out("a"), out("b"), out("c")].join("\n"));
}

#[test]
fn toml_is_changed_in_place() {
    let text =
        "# mine\nmodel = \"x\" # best\n\n[mcp_servers.a]\ncommand = \"y\"\n\n[tools]\nz = 1\n";
    let with = connect(Host::Codex, text);
    assert_snapshot!(with);
    let without = remove(Host::Codex, Path::new("f"), &with, "portcullis").unwrap().unwrap();
    assert_eq!(without.after, text);
    let old = "[mcp_servers.portcullis] # why\ncommand = \"npx\"\n";
    assert_eq!(
        connect(Host::Codex, old),
        format!("[mcp_servers.portcullis] # why\nurl = \"{URL}\"\n")
    );
    assert_eq!(remove(Host::Codex, Path::new("f"), "", "portcullis").unwrap(), None);
}

#[test]
fn a_file_that_cannot_be_changed_is_left_alone() {
    for (host, text) in [
        (Host::Cursor, "[]"),
        (Host::Cursor, "{ \"mcpServers\": [] }"),
        (Host::Cursor, "{ \"mcpServers\": null }"),
        (Host::Cursor, "{ broken"),
        (Host::Codex, "mcp_servers = 1"),
        (Host::Codex, "[broken"),
    ] {
        let refused = plan(host, Path::new("file"), Some(text), URL, "portcullis");
        assert!(refused.unwrap_err().hint.is_some(), "{text}");
    }
}

#[test]
fn every_client_has_its_line() {
    let mut lines: Vec<ConnectLine> = Host::ALL.map(|host| connect_line(host, URL)).into();
    lines.push(inspector_line(URL));
    let lines =
        lines.iter().map(|line| format!("{} ({}): {}", line.client, line.action, line.text));
    assert_snapshot!(lines.collect::<Vec<_>>().join("\n"));
    let clients: Vec<&str> = connect_lines(URL).iter().map(|line| line.client).collect();
    assert_eq!(clients, ["Claude Code", "Cursor", "VS Code", "Inspector"]);
}

#[test]
fn files_are_where_hosts_keep_them() {
    let files = [Os::Linux, Os::MacOs, Os::Windows].map(|os| {
        let files = host_files(Path::new("/home/ada"), Some(Path::new("/src/a")), os);
        let lines = files
            .iter()
            .map(|file| format!("{} {:?} {}", file.host.id(), file.scope, file.path.display()));
        lines.collect::<Vec<_>>().join("\n")
    });
    assert_snapshot!(files.join("\n\n"));
    for host in Host::ALL {
        assert_eq!(host.id().parse(), Ok(host));
    }
    assert_eq!("emacs".parse::<Host>(), Err(UnknownHost));
}
