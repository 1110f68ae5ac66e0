//! Documents that are made to cost much.

use std::fmt::Write;
use std::time::{Duration, Instant};

use super::*;

/// Tools of a document, which must come soon; tests are not optimized.
fn soon(text: &str) -> (Vec<Tool>, Report) {
    let start = Instant::now();
    let found = tools_of(text, &Options::default());
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    found
}

fn with_schemas(body: &str, schemas: &str) -> String {
    format!(
        "openapi: 3.0.3\ninfo: {{title: t, version: '1'}}\npaths:\n  /x:\n    post:\n      requestBody: \
         {{required: true, content: {{application/json: {{schema: {body}}}}}}}\n      responses: {{'200': {{description: \
         ok, content: {{application/json: {{schema: {body}}}}}}}}}\ncomponents:\n  schemas:\n{schemas}"
    )
}

#[test]
fn compositions_that_multiply() {
    let mut schemas = String::new();
    for at in 0..20 {
        let next = format!("{{$ref: '#/components/schemas/S{}'}}", at + 1);
        let all = vec![next; 40].join(", ");
        writeln!(
            schemas,
            "    S{at}: {{required: [id], allOf: [{all}], properties: {{id: {{allOf: [{all}]}}, p{at}: {{readOnly: true}}}}}}"
        )
        .unwrap();
    }
    schemas.push_str("    S20: {type: object, required: [p0], properties: {a: {type: string}}}\n");
    soon(&with_schemas("{$ref: '#/components/schemas/S0'}", &schemas));
}

#[test]
fn every_schema_refers_to_every_other() {
    let mut schemas = String::new();
    for at in 0..150 {
        let members: String = (0..150).fold(String::new(), |all, to| {
            all + &format!("m{to}: {{$ref: '#/components/schemas/S{to}'}}, ")
        });
        writeln!(schemas, "    S{at}: {{type: object, properties: {{{members}}}}}").unwrap();
    }
    let (tools, report) = soon(&with_schemas("{$ref: '#/components/schemas/S0'}", &schemas));
    assert_eq!(tools.len(), 1);
    assert!(found(&report, "input-schema-shortened"));
    assert!(tools[0].definition.len() < 64 << 10);
}

#[test]
fn many_arguments_with_long_descriptions() {
    for (count, len) in [(4, 60_000), (60, 3_000), (500, 300)] {
        let parameters: String = (0..count).fold(String::new(), |all, at| {
            let text = "x".repeat(len);
            all + &format!(
                "{{name: p{at}, in: query, description: {text}, schema: {{type: string}}}}, "
            )
        });
        let (tools, _) = soon(&format!(
            "openapi: 3.0.3\npaths:\n  /x:\n    get:\n      parameters: [{parameters}]\n      responses: {{}}\n"
        ));
        assert_eq!(tools[0].arguments.len(), count);
        assert!(tools[0].definition.len() < 48 << 10);
    }
}

#[test]
fn long_lists() {
    let values: String = (0..40_000).fold(String::new(), |all, at| all + &format!("v{at}, "));
    let schemas = format!(
        "    S: {{type: string, enum: [{values}], x: 1}}\n    T: {{type: object, required: [{values}], properties: {{a: \
         {{$ref: '#/components/schemas/S'}}}}}}\n"
    );
    let (tools, _) = soon(&with_schemas("{$ref: '#/components/schemas/T'}", &schemas));
    assert_eq!(tools.len(), 1);
    assert!(tools[0].definition.len() < 64 << 10);
}

#[test]
fn circles_of_all_kinds() {
    let schemas = r"
    A: {allOf: [{$ref: '#/components/schemas/B'}]}
    B: {allOf: [{$ref: '#/components/schemas/A'}], oneOf: [{$ref: '#/components/schemas/A'}], discriminator: {propertyName: k}}
    C: {$ref: '#/components/schemas/D'}
    D: {$ref: '#/components/schemas/C'}
    E: {type: array, items: {$ref: '#/components/schemas/E'}}
    F: {type: object, properties: {f: {allOf: [{$ref: '#/components/schemas/F'}, {readOnly: true}]}, g: {$ref: '#/components/schemas/G'}}}
    G: {anyOf: [{$ref: '#/components/schemas/G'}, {$ref: '#/components/schemas/F'}]}
";
    for name in ["A", "B", "C", "D", "E", "F", "G"] {
        let (tools, report) =
            soon(&with_schemas(&format!("{{$ref: '#/components/schemas/{name}'}}"), schemas));
        assert_eq!(tools.len(), 1, "{name}: {:?}", report.findings);
    }
}

/// Numbers that are the same in every run (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(end.max(1)).unwrap()).unwrap()
    }
}

/// A document with many keywords; lines of it are exchanged, doubled and taken out.
const MUCH: &str = include_str!("much.yaml");

#[test]
fn mutated_documents_have_valid_tools() {
    let lines: Vec<&str> = MUCH.lines().collect();
    let values = [
        "null",
        "true",
        "1",
        "-1.5",
        "text",
        "[]",
        "{}",
        "[a]",
        "{a: 1}",
        "{$ref: '#/components/schemas/Pet'}",
        "'*'",
    ];
    let keys = [
        "properties",
        "items",
        "allOf",
        "oneOf",
        "enum",
        "required",
        "not",
        "schema",
        "content",
        "default",
    ];
    let mut dice = Dice(7);
    let mut read = 0;
    for _ in 0..800 {
        let mut mutated: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        for _ in 0..=dice.below(4) {
            let at = dice.below(mutated.len());
            let line = mutated[at].clone();
            let indent = line.len() - line.trim_start().len();
            match (dice.below(8), line.split_once(": ")) {
                (0, _) => {
                    mutated.remove(at);
                }
                (1, _) => {
                    let to = dice.below(mutated.len());
                    mutated.insert(to, line);
                }
                (_, Some((key, _))) => {
                    mutated[at] = format!("{key}: {}", values[dice.below(values.len())]);
                }
                _ if line.ends_with(':') && !line.contains("- ") => {
                    mutated[at] = format!("{}{}:", &line[..indent], keys[dice.below(keys.len())]);
                }
                _ => {}
            }
        }
        let text = mutated.join("\n");
        let url = Url::parse("file:///api.yaml").unwrap();
        let limits = Limits::default();
        let Ok((documents, mut report)) =
            Documents::load(&text, &url, "api.yaml", &mut Nowhere, &[], &limits)
        else {
            continue;
        };
        read += 1;
        let extracted = extract(&documents, &mut report);
        let options = Options { output: Output::On, ..Options::default() };
        for tool in tools(&extracted.operations, &documents, &options, &mut report) {
            check(&definition(&tool));
        }
    }
    assert!(read > 300, "{read}");
}
