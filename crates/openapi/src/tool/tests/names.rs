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
    assert_eq!(names[0], "get_a_by_id_b");
    assert_eq!(names[1], "x_y_z");
    assert!(names[2].starts_with("x_y_z_") && names[2].len() == 12, "{}", names[2]);
    assert!(names[5].starts_with("x_y_z_") && names[5] != names[2], "{}", names[5]);
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

#[test]
fn a_name_that_is_known_keeps_its_meaning() {
    let text =
        |paths: &str| format!("openapi: 3.0.3\ninfo: {{title: t, version: '1'}}\npaths:\n{paths}");
    let one =
        |path: &str, id: &str| format!("  {path}:\n    get: {{operationId: {id}, {RESPONSES}}}\n");
    let named = |text: &str, held: Held| {
        let (tools, _) = tools_of(text, &Options { held, ..Options::default() });
        let pairs = tools.iter().map(|tool| (tool.operation.path.clone(), tool.name.clone()));
        (pairs.collect::<std::collections::BTreeMap<_, _>>(), Held::of(tools.iter()))
    };
    let (_, held) = named(&text(&one("/b", "list")), Held::default());
    // Another operation comes before it and wants the same name.
    let both = text(&(one("/a", "list") + &one("/b", "list")));
    let (names, held) = named(&both, held);
    assert_eq!(names["/b"], "list");
    assert!(names["/a"].starts_with("list_"), "{names:?}");
    // And it does not get it when the first one is gone.
    let (left, _) = named(&text(&one("/a", "list")), held);
    assert_eq!(left["/a"], names["/a"]);
    // Positive control: without what is known, the first has the name.
    assert_eq!(named(&both, Held::default()).0["/a"], "list");
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
fn selectors_that_fit_nothing_are_told() {
    let tagged = Selector { tag: Some(Glob::new("dogs")), ..Selector::default() };
    let getting = Selector { method: Some("GET".to_owned()), ..tagged.clone() };
    let named = Selector { name: Some(Glob::new("wype")), ..Selector::default() };
    let fits = Selector { name: Some(Glob::new("*")), ..Selector::default() };
    let options = Options {
        include: vec![fits, tagged],
        exclude: vec![named, getting],
        ..Options::default()
    };
    let (tools, report) = tools_of(PETS, &options);
    assert_eq!(tools.len(), 3);
    let told = report.findings.iter().filter(|it| it.kind == WITHOUT_EFFECT);
    let told: Vec<&str> = told.map(|it| it.message.as_str()).collect();
    assert_eq!(
        told,
        [
            "`include` has `{ tag: dogs }`, which fits no operation",
            "`exclude` has `{ name: wype }`, which fits no operation",
            "`exclude` has `{ tag: dogs, method: GET }`, which fits no operation",
        ]
    );
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
