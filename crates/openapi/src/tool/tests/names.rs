//! Names of tools, selection and changes.

use super::*;

fn names_of(paths: &str) -> Vec<String> {
    let text = format!("openapi: 3.0.3\ninfo: {{title: t, version: '1'}}\npaths:\n{paths}");
    let (tools, _) = tools_of(&text, &Options::default());
    tools.into_iter().map(|tool| tool.name).collect()
}

const RESPONSES: &str = "responses: {'200': {description: ok}}";

#[test]
fn names_fit_and_are_unique() {
    let long = "a".repeat(70);
    let names = names_of(&format!(
        "  /a/{{id}}/b:\n    get: {{{RESPONSES}, parameters: [{{name: id, in: path, required: true, schema: {{}}}}]}}\n\
         \x20 /c:\n    get: {{operationId: 'x/y z', {RESPONSES}}}\n    put: {{operationId: x_y_z, {RESPONSES}}}\n\
         \x20 /d:\n    get: {{operationId: {long}, {RESPONSES}}}\n    post: {{operationId: 获取, {RESPONSES}}}\n\
         \x20 /e:\n    get: {{operationId: x_y_z, {RESPONSES}}}\n    put: {{operationId: x, x-mcp-name: given, {RESPONSES}}}\n"
    ));
    assert_eq!(names[0], "get_a_id_b");
    // The name that needs no change is kept.
    assert_eq!(names[2], "x_y_z");
    assert!(names[1].starts_with("x_y_z_") && names[1].len() == 12, "{}", names[1]);
    assert!(names[5].starts_with("x_y_z_") && names[5] != names[1], "{}", names[5]);
    assert_eq!(names[3].len(), 60);
    assert_eq!(names[4], "post_d");
    assert_eq!(names[6], "given");
}

#[test]
fn additions_rename_nothing() {
    let before = format!(
        "  /a:\n    get: {{operationId: list, {RESPONSES}}}\n    put: {{operationId: list, {RESPONSES}}}\n"
    );
    let after = format!("{before}    post: {{operationId: list, {RESPONSES}}}\n");
    let (before, after) = (names_of(&before), names_of(&after));
    assert_eq!(before[..], after[..2]);
}

const PETS: &str = r"
openapi: 3.0.3
info: {title: t, version: '1'}
paths:
  /pets:
    get: {operationId: listPets, tags: [pets], responses: {'200': {description: ok}}}
    post: {operationId: addPet, tags: [pets, write], responses: {'200': {description: ok}}}
  /admin:
    delete: {operationId: wipe, x-internal: true, responses: {'200': {description: ok}}}
";

fn selected(include: &[Selector], exclude: &[Selector]) -> Vec<String> {
    let options =
        Options { include: include.to_vec(), exclude: exclude.to_vec(), ..Options::default() };
    tools_of(PETS, &options).0.into_iter().map(|tool| tool.name).collect()
}

#[test]
fn operations_are_selected() {
    let named = |name: &str| Selector { name: Some(Glob::new(name)), ..Selector::default() };
    let tagged = |tag: &str| Selector { tag: Some(Glob::new(tag)), ..Selector::default() };
    let internal = Selector { extension: Some(Glob::new("x-internal")), ..Selector::default() };
    let gets = Selector { method: Some("get".to_owned()), ..tagged("pets") };
    assert_eq!(selected(&[], &[]), ["listPets", "addPet", "wipe"]);
    assert_eq!(selected(&[tagged("pets")], &[]), ["listPets", "addPet"]);
    assert_eq!(selected(&[tagged("pets")], &[tagged("write")]), ["listPets"]);
    assert_eq!(selected(&[], &[internal]), ["listPets", "addPet"]);
    assert_eq!(selected(&[gets], &[]), ["listPets"]);
    assert_eq!(selected(&[named("*Pet"), named("/admin")], &[]), ["addPet", "wipe"]);
}

#[test]
fn the_operator_changes_tools() {
    let change = Change {
        operation: "POST /pets".to_owned(),
        name: Some("create".to_owned()),
        title: Some("Create".to_owned()),
        description: Some("Creates.".to_owned()),
        is_destructive: Some(false),
        path: Some("/v2/pets".to_owned()),
        headers: vec![("x-team".to_owned(), "a".to_owned())],
        ..Change::default()
    };
    let taken = Change {
        operation: "wipe".to_owned(),
        name: Some("listPets".to_owned()),
        ..Change::default()
    };
    let unknown = Change { operation: "nothing".to_owned(), ..Change::default() };
    let options = Options { changes: vec![change, taken, unknown], ..Options::default() };
    let (tools, report) = tools_of(PETS, &options);
    let names: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["listPets", "create", "wipe"]);
    let create = definition(&tools[1]);
    assert_eq!(create["title"], "Create");
    assert_eq!(create["description"], "Creates.");
    assert_eq!(create["annotations"]["destructiveHint"], false);
    assert_eq!(create["_meta"]["io.portcullis/operation"]["path"], "/pets");
    assert_eq!(tools[1].operation.path, "/v2/pets");
    assert_eq!(tools[1].additions.headers, [("x-team".to_owned(), "a".to_owned())]);
    let kind = "change-without-effect";
    assert_eq!(report.findings.iter().filter(|finding| finding.kind == kind).count(), 2);
}
