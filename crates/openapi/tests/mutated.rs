//! Ten thousand broken documents: none panics, takes long or takes much memory.

use std::time::{Duration, Instant};

use portcullis_openapi::document::{Documents, Loader, Overlay};
use portcullis_openapi::tree::Limits;
use url::Url;

/// What is broken: small, and with everything that refers, repeats or nests.
const SEEDS: [&str; 5] = [
    r##"{"openapi":"3.1.0","info":{"title":"a\u00e9\ud83d\ude00","version":"1"},"servers":[{"url":"/v1"}],
"paths":{"/a/{id}":{"get":{"parameters":[{"$ref":"#/components/parameters/id"}],"responses":{"200":
{"description":"ok","content":{"application/json":{"schema":{"$ref":"b.yaml#/B"}}}},"default":{"$ref":"#/x"}}}}},
"components":{"parameters":{"id":{"name":"id","in":"path","required":true,"schema":{"type":"integer","maximum":1e30}}},
"schemas":{"A":{"$id":"https://example.com/a","$anchor":"a","allOf":[{"$ref":"#a"},{"$dynamicRef":"#b"}]},
"B":{"$dynamicAnchor":"b","properties":{"$ref":{"type":"string"},"n":{"$ref":"#/components/schemas/B"}}}}}}"##,
    "swagger: '2.0'
info: {title: t, version: 1.0}
host: example.com
x-base: &base
  responses: {200: {description: ok}, default: &d {description: \"no \\u00e9\"}}
paths:
  /a:
    get:
      <<: *base
      description: |
        one
          two
      parameters:
        - {name: q, in: query, type: array, items: {type: string}, collectionFormat: multi}
        - $ref: '#/parameters/p'
    post: {<<: [*base], consumes: [multipart/form-data], operationId: 'it''s'}
parameters: {p: {name: p, in: header, type: string, default: ~}}
definitions:
  T: {type: object, properties: {next: {$ref: '#/definitions/T'}, n: {minimum: 0x1F, maximum: .5}}}
  L: &l [*d, *d, !!str 12, >-
    folded]
  M: {a: *l, b: *l}
",
    "openapi: 3.0.0
paths: {$ref: 'paths.yaml'}
components: {schemas: {A: {$ref: '#/components/schemas/B'}, B: {$ref: '#/components/schemas/A'}}}
---
second: [document]
",
    "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: &d [*c, *c]\ne: {<<: {a: *d}, k: *d}\nopenapi: 3.2.0\n",
    "B: {type: object, properties: {back: {$ref: 'root.yaml#/paths'}, own: {$ref: '#/B'}}}\nopenapi: 3.1.0\n",
];

const OVERLAY: &str = "overlay: 1.0.0
actions:
- {target: '$.paths.*.*', update: {x-a: [1]}}
- {target: \"$..[?(@.type == 'string' && !@.x || @.name)]\", remove: true}
- {target: '$.info', update: {title: New}}
";

/// What mutations put in.
const PIECES: [&str; 24] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    "'",
    ":",
    ",",
    "\n",
    "\t",
    "  ",
    "- ",
    "&a ",
    "*a",
    "<<: *a",
    "$ref: ",
    "\\u",
    "#",
    "\u{feff}",
    "é",
    "---\n",
    "|",
    "1e999",
    "{\"$ref\":\"#/\"}",
];

/// A small generator with a seed, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end.max(1) as u64).expect("it is below a usize")
    }

    fn mutate(&mut self, text: &str) -> String {
        let mut letters: Vec<char> = text.chars().collect();
        for _ in 0..=self.below(3) {
            let at = self.below(letters.len());
            let len = self.below(40).min(letters.len() - at);
            match self.below(6) {
                0 => drop(letters.drain(at..at + len)),
                1 => {
                    let piece = PIECES[self.below(PIECES.len())];
                    letters.splice(at..at, piece.chars());
                }
                2 => {
                    let copied = letters[at..at + len].to_vec();
                    let to = self.below(letters.len());
                    letters.splice(to..to, copied);
                }
                3 if self.below(4) == 0 => letters.truncate(at),
                4 => {
                    let piece = PIECES[self.below(PIECES.len())].repeat(1 + self.below(400));
                    letters.splice(at..at, piece.chars());
                }
                _ => {
                    let other = self.below(letters.len());
                    if !letters.is_empty() {
                        letters.swap(at, other);
                    }
                }
            }
        }
        letters.into_iter().collect()
    }
}

/// Answers with mutated documents, too.
struct Broken<'a>(&'a mut Random);

impl Loader for Broken<'_> {
    fn load(&mut self, url: &Url, _: &Url) -> Result<String, String> {
        if url.path().len() > 40 {
            return Err("not there".to_owned());
        }
        let seed = SEEDS[self.0.below(SEEDS.len())];
        Ok(self.0.mutate(seed))
    }
}

#[test]
fn ten_thousand_broken_documents() {
    let url = Url::parse("https://example.com/root.yaml").unwrap();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut longest = Duration::ZERO;
    let mut loaded = 0;
    for round in 0..10_000 {
        let seed = SEEDS[round % SEEDS.len()];
        let text = random.mutate(seed);
        let overlay = if round % 4 == 0 { random.mutate(OVERLAY) } else { OVERLAY.to_owned() };
        let overlays = [Overlay { name: "overlay.yaml", text: &overlay }];
        let overlays = if round % 2 == 0 { &overlays[..] } else { &[] };
        let started = Instant::now();
        let mut loader = Broken(&mut random);
        let found =
            Documents::load(&text, &url, "root.yaml", &mut loader, overlays, &Limits::default());
        if let Ok((documents, mut report)) = found {
            loaded += 1;
            let mut json = Vec::new();
            documents.value(documents.root()).write_json(&mut json);
            assert!(serde_json::from_slice::<serde_json::Value>(&json).is_ok(), "{round}: {text}");
            let _ = documents.resolve(documents.root());
            report.sort();
            let _ = (report.to_text(), report.to_json());
        }
        let took = started.elapsed();
        longest = longest.max(took);
        // Builds without optimization share their processors with other builds.
        assert!(took < Duration::from_secs(1), "round {round} took {took:?}: {text}");
    }
    println!("{loaded} loaded; the longest took {longest:?}");
    assert!(loaded > 1_000, "{loaded}: the documents are broken too much to show anything");
    if let Some(peak) = peak_kib() {
        println!("{} MiB at most", peak >> 10);
        assert!(peak < 200 << 10, "{peak} KiB");
    }
}

/// The most memory that this process had, where the system says so.
fn peak_kib() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
