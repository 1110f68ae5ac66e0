//! `portcullis openapi`, and OpenAPI documents in place of configurations.

use std::fs;
use std::path::Path;
use std::process::Command;

use insta::assert_snapshot;
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::ScriptedServer;

use crate::harness::{Finished, Gate, run};

const PETS: &str = r"openapi: 3.0.3
info: {title: Pets, version: '1'}
servers: [{url: 'https://pets.example/v1'}]
paths:
  /pets:
    get:
      operationId: listPets
      summary: All pets
      parameters:
        - {name: limit, in: query, schema: {type: integer, maximum: 100}}
      responses:
        '200':
          description: The pets
          content: {application/json: {schema: {type: object, properties: {pets: {type: array, items: {type: string}}}}}}
    post:
      operationId: add pet
      requestBody:
        content: {application/json: {schema: {type: object, required: [name], properties: {name: {type: string}}}}}
      responses: {'201': {description: Added}}
  /pets/{id}:
    get:
      operationId: getPet
      parameters: [{name: id, in: path, required: true, schema: {type: string}}]
      responses: {'200': {description: The pet}}
";

/// A home with files in it.
fn home(files: &[(&str, &str)]) -> TempDir {
    let home = tempfile::tempdir().expect("a directory can be made");
    for (path, text) in files {
        write(home.path(), path, text);
    }
    home
}

fn write(home: &Path, path: &str, text: &str) {
    let path = home.join(path);
    fs::create_dir_all(path.parent().expect("it is below the home")).expect("a folder can be made");
    fs::write(path, text).expect("a file can be written");
}

fn openapi(home: &TempDir, args: &[&str]) -> Finished {
    run(home.path(), &[&["openapi"], args].concat())
}

/// A server of this text at each path, which ends with the runtime.
fn serve(
    files: &'static [(&'static str, &'static str)],
) -> (tokio::runtime::Runtime, ScriptedServer) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("a runtime can be made");
    let server = runtime.block_on(ScriptedServer::start(move |mut exchange| async move {
        let target = exchange.request().target.clone();
        match files.iter().find(|(path, _)| *path == target) {
            Some((_, "")) => exchange.respond(302, &[("Location", "/elsewhere")], "").await,
            Some((_, text)) => exchange.respond(200, &[], text).await,
            None => exchange.respond(404, &[], "").await,
        }
    }));
    (runtime, server)
}

// === check ===

#[test]
fn a_document_is_reported_for_people() {
    let broken = PETS
        .replace("  /pets/{id}:", "  /owners: {$ref: 'owners.yaml#/paths/owners'}\n  /pets/{id}:");
    let home = home(&[("pets.yaml", &broken)]);
    let done = openapi(&home, &["check", "pets.yaml"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    assert_snapshot!(done.stdout, @r"
    Operations that are not offered (1)
      pets.yaml:20:12: /owners: `owners.yaml#/paths/owners` cannot be followed: No such file or directory (os error 2) [reference-unresolved]

    Warnings (1)
      pets.yaml:20:12: `owners.yaml#/paths/owners` cannot be followed: No such file or directory (os error 2) [document-not-loaded]

    Notes (2)
      pets.yaml:16:7: POST /pets: hosts take at most 60 letters, digits, `_` and `-`: the tool of `add pet` is called `add_pet` [tool-renamed]
      pets.yaml:18:9: POST /pets: the body is optional, and has members that are required: they are always demanded [body-taken-as-required]

    pets.yaml: OpenAPI 3.0, Pets, 3 tools, 1 operation not offered, 1 warning, 2 notes
    ");
}

#[test]
fn what_is_skipped_matters_to_the_strict() {
    let home = home(&[
        ("pets.yaml", PETS),
        ("part.yaml", "openapi: 3.1.0\npaths:\n  /a: {get: {operationId: a}, put: 7}\n"),
    ]);
    assert_eq!(openapi(&home, &["check", "pets.yaml", "--strict"]).code, 0);
    assert_eq!(openapi(&home, &["check", "part.yaml"]).code, 0);
    let done = openapi(&home, &["check", "part.yaml", "--strict"]);
    assert_eq!(done.code, 1);
    assert!(done.stdout.contains("part.yaml:3:36: PUT /a: "), "{done:?}");
    assert!(done.stdout.contains("1 tool, 1 operation not offered"), "{done:?}");
}

#[test]
fn what_does_not_load_is_said_with_its_place() {
    let home = home(&[
        ("new.yaml", "openapi: 4.0.0\npaths: {}\n"),
        ("cut.json", "{\"openapi\": \"3.1.0\",\n  \"paths\": {"),
        ("empty.yaml", ""),
    ]);
    let made = Command::new("mkfifo").arg(home.path().join("pipe")).status();
    assert!(made.expect("mkfifo is there").success());
    for (file, expected) in [
        ("new.yaml", "  new.yaml:1:10: `openapi: 4.0.0` is no version"),
        ("cut.json", "  cut.json:2:"),
        ("empty.yaml", "the document is empty"),
        ("none.yaml", "  none.yaml: No such file"),
        (".", "it is a folder"),
        ("pipe", "it is no regular file"),
        ("http://127.0.0.1:1/a.json", "cannot connect to 127.0.0.1:1"),
    ] {
        let done = openapi(&home, &["check", file]);
        assert_eq!(done.code, 1, "{done:?}");
        assert!(done.stdout.contains(expected), "{done:?}");
        let done = openapi(&home, &["check", file, "--json"]);
        let said = done.json();
        assert_eq!((done.code, &said["loads"]), (1, &json!(false)));
        assert_eq!(said["report"]["counts"]["error"], 1);
        let done = openapi(&home, &["tools", file]);
        assert_eq!((done.code, done.stdout.as_str()), (1, ""));
        assert!(done.stderr.contains(expected), "{done:?}");
    }
}

#[test]
fn programs_get_a_report_in_json() {
    let home = home(&[("pets.yaml", PETS)]);
    let done = openapi(&home, &["check", "pets.yaml", "--json"]);
    let said = done.json();
    assert_eq!(done.code, 0);
    let expected = json!([true, "3.0", "Pets", "1", 3, ["https://pets.example/v1"]]);
    let keys = ["loads", "openapi", "title", "version", "tools", "servers"];
    assert_eq!(Value::from(keys.map(|key| said[key].clone()).to_vec()), expected);
    let renamed = &said["report"]["findings"][0];
    assert_eq!((&renamed["kind"], &renamed["line"]), (&json!("tool-renamed"), &json!(16)));
}

#[test]
fn many_findings_of_one_kind_are_shortened() {
    let path = |at| format!("  /p{at}:\n    get: {{operationId: 'a b {at}'}}\n");
    let paths = (0..30).map(path).collect::<Vec<_>>().concat();
    let home = home(&[("many.yaml", &format!("openapi: 3.1.0\npaths:\n{paths}"))]);
    let lines = |done: &Finished| done.stdout.matches("[tool-renamed]").count();
    let done = openapi(&home, &["check", "many.yaml"]);
    assert_eq!(lines(&done), 10, "{done:?}");
    assert!(done.stdout.contains("40 more findings of these kinds; --all"), "{done:?}");
    assert_eq!(lines(&openapi(&home, &["check", "many.yaml", "--all"])), 30);
}

// === what belongs to a document ===

#[test]
fn files_below_the_folder_are_read_and_no_others() {
    let document = "openapi: 3.1.0\npaths:\n  \
        /in: {$ref: parts/in.yaml}\n  \
        /out: {$ref: ../out.yaml}\n  \
        /link: {$ref: parts/link.yaml}\n  \
        /pipe: {$ref: /dev/zero}\n";
    let item = "get: {operationId: found}\n";
    let home = home(&[("api/api.yaml", document), ("api/parts/in.yaml", item), ("out.yaml", item)]);
    std::os::unix::fs::symlink(
        home.path().join("out.yaml"),
        home.path().join("api/parts/link.yaml"),
    )
    .expect("a link can be made");
    let done = openapi(&home, &["check", "api/api.yaml", "--json"]);
    let said = done.json();
    assert_eq!((done.code, &said["tools"]), (0, &json!(1)), "{said:#}");
    assert!(done.stdout.matches("outside of the folder of the document").count() >= 3, "{said:#}");
    assert_eq!(said["report"]["counts"]["skipped"], 3, "{said:#}");
}

#[test]
fn a_document_from_a_url_brings_what_is_of_its_origin() {
    let (_runtime, server) = serve(&[
        (
            "/v1/api.yaml",
            "openapi: 3.1.0\nservers: [{url: ./base}]\npaths:\n  \
             /near: {$ref: near.yaml}\n  \
             /file: {$ref: 'file:///etc/hostname'}\n  \
             /far: {$ref: 'http://127.0.0.1:1/far.yaml'}\n",
        ),
        ("/v1/near.yaml", "get: {operationId: near}\n"),
        ("/moved.yaml", ""),
    ]);
    let home = home(&[]);
    let done = openapi(&home, &["check", &server.url("/v1/api.yaml"), "--json"]);
    let said = done.json();
    assert_eq!((done.code, &said["tools"]), (0, &json!(1)), "{said:#}");
    assert_eq!(said["servers"], json!([server.url("/v1/base")]));
    assert!(done.stdout.contains("cannot refer to files"), "{said:#}");
    assert!(
        done.stdout.contains("allow `http://127.0.0.1:1`: `refs` in a configuration, `--refs` on"),
        "{said:#}"
    );

    let done = openapi(&home, &["check", &server.url("/moved.yaml")]);
    assert_eq!(done.code, 1);
    let moved = format!("it redirects to {}, which is not followed", server.url("/elsewhere"));
    assert!(done.stdout.contains(&moved), "{done:?}");
    let done = openapi(&home, &["check", &server.url("/none.yaml")]);
    assert!(done.stdout.contains("HTTP 404"), "{done:?}");
}

#[test]
fn other_origins_are_read_where_they_are_allowed() {
    let (_runtime, server) = serve(&[("/far.yaml", "get: {operationId: far}\n")]);
    let origin = server.url("");
    let document = format!("openapi: 3.1.0\npaths:\n  /far: {{$ref: '{origin}/far.yaml'}}\n");
    let home = home(&[("api.yaml", &document)]);
    let tools = |more: &[&str]| {
        let done = openapi(&home, &[&["tools", "api.yaml", "--json"], more].concat());
        done.json()["tools"].as_array().map(Vec::len)
    };
    assert_eq!(tools(&[]), Some(0));
    assert!(server.requests().is_empty());
    assert_eq!(tools(&["--refs", &origin]), Some(1));
}

#[test]
fn an_overlay_changes_the_document_first() {
    let overlay = "overlay: 1.0.0\ninfo: {title: x, version: '1'}\nactions:\n\
                   \x20 - {target: '$.paths[\"/pets\"].post', remove: true}\n";
    let home = home(&[("pets.yaml", PETS), ("overlay.yaml", overlay)]);
    let done = openapi(&home, &["tools", "pets.yaml", "--overlay", "overlay.yaml", "--json"]);
    assert_eq!(done.json()["tools"].as_array().map(Vec::len), Some(2));
    let done = openapi(&home, &["tools", "pets.yaml", "--overlay", "none.yaml"]);
    assert_eq!(done.code, 1);
    assert!(done.stderr.contains("cannot read the overlay none.yaml"), "{done:?}");
}

// === tools and diff ===

#[test]
fn tools_are_shown_with_what_they_cost() {
    let home = home(&[("pets.yaml", PETS)]);
    let done = openapi(&home, &["tools", "pets.yaml"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    let shown: Vec<Vec<&str>> =
        done.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(shown[0], ["TOOL", "OPERATION", "BYTES", "TOKENS"]);
    let definitions = |output: &str| {
        let done = openapi(&home, &["tools", "pets.yaml", "--json", "--output", output]);
        done.json()["tools"].as_array().expect("a list").clone()
    };
    let bytes = definitions("auto").iter().map(|it| it.to_string().len()).collect::<Vec<_>>();
    let row = |at: usize, tool: &str, method: &str, path: &str| {
        let tokens = bytes[at].div_ceil(4).to_string();
        assert_eq!(shown[at + 1], [tool, method, path, &bytes[at].to_string(), &tokens]);
    };
    row(0, "listPets", "GET", "/pets");
    row(1, "add_pet", "POST", "/pets");
    row(2, "getPet", "GET", "/pets/{id}");
    let sum: usize = bytes.iter().sum();
    let total = format!("3 tools, {sum} bytes, about {} tokens; ", sum.div_ceil(4));
    assert!(done.stdout.contains(&total), "{done:?}");
    assert!(definitions("auto")[0]["outputSchema"].is_object());
    assert!(definitions("off")[0]["outputSchema"].is_null());
    assert_eq!(definitions("off")[1]["name"], "add_pet");
}

#[test]
fn the_difference_between_two_documents() {
    let new = PETS.replace("maximum: 100", "maximum: 50").replace("getPet", "readPet").replace(
        "required: [name], properties: {",
        "required: [name, kind], properties: {kind: {type: string}, ",
    );
    let home = home(&[("old.yaml", PETS), ("new.yaml", &new)]);
    let done = openapi(&home, &["diff", "old.yaml", "new.yaml"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    assert_snapshot!(done.stdout, @r"
    Added (1)
      readPet  GET /pets/{id}

    Removed (1)
      getPet  GET /pets/{id}, now readPet

    Changed (2)
      listPets
        argument `limit` is different
      add_pet
        argument `kind` is new, required

    1 added, 1 removed, 2 changed
    ");
    let said = openapi(&home, &["diff", "old.yaml", "new.yaml", "--json"]).json();
    assert_eq!(said["added"], json!([{"name": "readPet", "operation": "GET /pets/{id}"}]));
    assert_eq!(said["changed"][0]["changes"][0]["kind"], "argument-changed");
    let done = openapi(&home, &["diff", "old.yaml", "old.yaml"]);
    assert_eq!(done.stdout, "clients see the same tools\n");
}

// === in place of a configuration ===

#[test]
fn a_document_is_no_configuration() {
    let home = home(&[("pets.yaml", PETS), ("gate.yaml", "servers: {a: {command: uvx}}\n")]);
    let done = run(home.path(), &["check", "pets.yaml"]);
    assert_eq!(done.code, 1);
    assert!(done.stderr.contains("`portcullis openapi check pets.yaml` reads it"), "{done:?}");
    let done = run(home.path(), &["run", "gate.yaml", "--url", "https://pets.example"]);
    assert_eq!(done.code, 1);
    assert!(done.stderr.contains("gate.yaml is no OpenAPI document"), "{done:?}");
    for wrong in [
        ["run", "pets.yaml", "--url", "ftp://pets.example"],
        ["run", "pets.yaml", "--url", "https://me:secret@pets.example"],
        ["run", "https://me:secret@pets.example/api.json", "--admin", "off"],
    ] {
        assert_eq!(run(home.path(), &wrong).code, 2, "{wrong:?}");
    }
}

#[test]
fn a_document_is_run_as_a_server() {
    let (_runtime, server) = serve(&[("/base/pets/7", "{\"name\": \"Rex\"}")]);
    let home = home(&[("pets.yaml", PETS)]);
    let gate = Gate::start(home.path(), &["pets.yaml", "--url", &server.url("/base")]);
    assert_eq!(gate.ready["servers"], json!(["pets"]));
    assert_eq!(gate.tools("/mcp"), ["listPets", "add_pet", "getPet"]);
    let answer =
        gate.call("/mcp", "tools/call", json!({"name": "getPet", "arguments": {"id": "7"}}));
    assert_eq!(answer["result"]["structuredContent"], json!({"name": "Rex"}), "{answer}");
    assert!(gate.end().success());
}
