//! Commands that read and write files and end.

use std::fs;
use std::path::Path;

use insta::assert_snapshot;

use crate::harness::run;

fn home() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory can be made")
}

fn write(home: &Path, path: &str, text: &str) {
    let path = home.join(path);
    fs::create_dir_all(path.parent().expect("it is below the home")).expect("a folder can be made");
    fs::write(path, text).expect("a file can be written");
}

// === check and schema ===

#[test]
fn a_good_configuration_is_fine() {
    let home = home();
    write(
        home.path(),
        "gate.yaml",
        "servers:\n  time: { command: uvx, args: [mcp-server-time] }\n",
    );
    let done = run(home.path(), &["check", "gate.yaml"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    assert_eq!(done.stdout, "gate.yaml: fine, 1 server and 1 endpoint\n");
}

#[test]
fn a_wrong_configuration_is_shown_with_place_and_remedy() {
    let home = home();
    write(home.path(), "gate.yaml", "listen: 8080\nservers:\n  time:\n    comand: uvx\n");
    let done = run(home.path(), &["check", "gate.yaml"]);
    assert_eq!(done.code, 1);
    assert_snapshot!(done.stderr, @r"
    error[E004]: `8080` is not an address with a port
     --> gate.yaml:1:9
      |
    1 | listen: 8080
      |         ^^^^
      |
      = hint: write `127.0.0.1:8080`

    error[E002]: unknown key `comand` in server `time`
     --> gate.yaml:4:5
      |
    4 |     comand: uvx
      |     ^^^^^^ nothing reads this key
      |
      = hint: did you mean `command`?
    ");
    assert_snapshot!(done.stdout, @"gate.yaml: 2 errors and 0 warnings");
}

#[test]
fn programs_get_json() {
    let home = home();
    write(home.path(), "gate.yaml", "servers:\n  time: { command: uvx, era: modem }\n");
    let done = run(home.path(), &["check", "gate.yaml", "--json"]);
    let found = done.json();
    assert_eq!((done.code, &found["accepted"]), (1, &false.into()));
    assert_eq!(found["diagnostics"][0]["code"], "E004");
    assert_eq!(found["diagnostics"][0]["span"]["line"], 2);
}

#[test]
fn a_file_of_a_host_is_a_configuration() {
    let home = home();
    write(home.path(), "mcp.json", r#"{"mcpServers": {"My Time": {"command": "uvx"}}}"#);
    let done = run(home.path(), &["check", "mcp.json"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stdout.ends_with("1 server and 1 endpoint, 1 warning\n"), "{done:?}");
}

#[test]
fn a_listener_for_everybody_is_refused_unless_it_is_accepted() {
    let home = home();
    write(home.path(), "gate.yaml", "listen: 0.0.0.0:8080\n");
    let done = run(home.path(), &["check", "gate.yaml"]);
    assert!(done.code == 1 && done.stderr.contains("E011"), "{done:?}");
    assert_eq!(run(home.path(), &["check", "gate.yaml", "--insecure-public"]).code, 0);
    let done = run(home.path(), &["run", "gate.yaml"]);
    assert!(done.code == 1 && done.stderr.contains("--insecure-public"), "{done:?}");
}

#[test]
fn the_schema_is_a_json_schema() {
    let schema = run(home().path(), &["schema"]).json();
    assert_eq!(schema["title"], "Portcullis configuration");
    assert!(schema["properties"]["servers"].is_object());
}

#[test]
fn wrong_usage_has_its_own_exit_code() {
    for args in
        [&["check"][..], &["connect", "emacs"], &["run", "a.yaml", "--", "b"], &["nonsense"]]
    {
        let done = run(home().path(), args);
        assert_eq!(done.code, 2, "{args:?}: {done:?}");
    }
}

// === import ===

const CURSOR: &str = r#"{
  "mcpServers": {
    "git hub": { "url": "https://mcp.example.com/mcp", "headers": { "X-Team": "blue" } },
    "time": { "command": "uvx", "args": ["mcp-server-time"], "envFile": ".env" }
  }
}
"#;

#[test]
fn servers_of_hosts_become_a_configuration() {
    let home = home();
    write(home.path(), ".cursor/mcp.json", CURSOR);
    let done = run(home.path(), &["import"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert_snapshot!(done.stdout, @r"
    servers:
      # from Cursor
      # W103: server `git hub` is called `git-hub` here
      git-hub:
        url: https://mcp.example.com/mcp
        headers:
          X-Team: blue
      # from Cursor
      # W102: `envFile` is ignored: this setting has no meaning for the gate
      time:
        command: uvx
        args: [mcp-server-time]
    ");
    assert_eq!(done.stderr, "Cursor: 2 servers\n");

    let done = run(home.path(), &["import", "cursor", "-o", "gate.yaml"]);
    assert_eq!((done.code, done.stdout.as_str()), (0, ""), "{done:?}");
    assert_eq!(run(home.path(), &["check", "gate.yaml"]).code, 0);
    let again = run(home.path(), &["import", "cursor", "-o", "gate.yaml"]);
    assert!(again.code == 1 && again.stderr.contains("choose another name"), "{again:?}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(home.path().join("gate.yaml")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn a_machine_without_hosts_is_told_where_was_looked() {
    let done = run(home().path(), &["import"]);
    assert!(done.code == 1 && done.stderr.contains("~/.cursor/mcp.json"), "{done:?}");
}

// === connect ===

#[test]
fn connecting_is_shown_then_done_then_undone() {
    let home = home();
    let file = home.path().join(".cursor/mcp.json");
    write(home.path(), ".cursor/mcp.json", CURSOR);
    let text = || fs::read_to_string(&file).unwrap();

    let shown = run(home.path(), &["connect", "cursor", "--dry-run"]);
    assert_eq!((shown.code, text().as_str()), (0, CURSOR));
    assert_snapshot!(shown.stdout, @r#"
    --- ~/.cursor/mcp.json
    +++ ~/.cursor/mcp.json
    @@
         "git hub": …
    -    "time": …
    +    "time": …,
    +    "portcullis": {
    +      "url": "http://127.0.0.1:8080/mcp"
    +    }
       }
    "#);

    let unasked = run(home.path(), &["connect", "cursor"]);
    assert_eq!((unasked.code, text().as_str()), (1, CURSOR));
    assert!(unasked.stderr.contains("--yes"), "{unasked:?}");

    let done = run(home.path(), &["connect", "cursor", "--yes"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(text().contains(r#""portcullis""#) && text().contains("127.0.0.1:8080/mcp"));
    let again = run(home.path(), &["connect", "cursor", "--yes"]);
    assert_eq!(again.code, 0);
    assert!(again.stderr.contains("has the gate already"), "{again:?}");

    let undone = run(home.path(), &["connect", "cursor", "--undo", "--yes"]);
    assert_eq!((undone.code, text().as_str()), (0, CURSOR), "{undone:?}");
    assert_eq!(fs::read_dir(home.path().join(".cursor")).unwrap().count(), 1, "no backup is left");
}

#[test]
fn undoing_keeps_what_others_changed_since() {
    let home = home();
    let done = run(home.path(), &["connect", "codex", "--yes", "--json"]);
    assert_eq!(done.json()["outcome"], "written");
    let file = home.path().join(".codex/config.toml");
    let mut text = fs::read_to_string(&file).unwrap();
    text += "\n[mcp_servers.other]\ncommand = \"x\"\n";
    fs::write(&file, text).unwrap();
    assert_eq!(run(home.path(), &["connect", "codex", "--undo", "--yes"]).code, 0);
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("mcp_servers.other") && !text.contains("portcullis"), "{text}");
}

#[test]
fn a_file_that_cannot_be_read_is_left_alone() {
    let home = home();
    write(home.path(), ".cursor/mcp.json", "{ not json");
    let done = run(home.path(), &["connect", "cursor", "--yes"]);
    assert!(done.code == 1 && done.stderr.contains("is left as it is"), "{done:?}");
    assert_eq!(fs::read_to_string(home.path().join(".cursor/mcp.json")).unwrap(), "{ not json");
}
