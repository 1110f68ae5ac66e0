//! Ten thousand broken documents, all the way to the tools: none panics, takes long or takes much memory.

use std::time::{Duration, Instant};

use portcullis_openapi::api;
use portcullis_openapi::document::{Documents, Loader, Overlay};
use portcullis_openapi::tool::Options;
use portcullis_openapi::tree::Limits;
use url::Url;

/// What is broken: small, and with everything that refers, repeats or nests.
const SEEDS: [&str; 6] = [
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
    "openapi: 3.2.0
servers: [{url: 'https://{h}/v', variables: {h: {default: a, enum: [a, b]}}}]
security: [{key: []}, {lost: [a], '#/components/securitySchemes/key': []}]
paths:
  /pets/{id}:
    parameters: [{name: id, in: path, required: true, style: label, schema: {type: [integer, 'null']}}]
    post:
      operationId: send
      requestBody: {content: {multipart/mixed: {itemSchema: {}, prefixEncoding: [{contentType: image/png, encoding: {a: {}}}], itemEncoding: {headers: {X: {schema: {const: 1}}}}}}}
      responses: {200: {description: ok, content: {application/json: {schema: {$ref: '#/components/schemas/Pet'}}}}}
    additionalOperations: {LINK: {}}
  /more: {query: {requestBody: {content: {application/json: {schema: {$ref: texts}}}}}, put: {requestBody: {required: true, content: {application/json: {schema: {$ref: '#/components/schemas/Pet'}}, application/xml: {schema: {xml: {name: a}}}}}}}
x-ms-paths: {'/pets/{id}?a=b': {get: {}}}
components:
  securitySchemes: {key: {type: apiKey, in: cookie, name: k}}
  schemas:
    Pet: {type: object, required: [k], discriminator: {propertyName: k, mapping: {c: Cat}, defaultMapping: Dog}, properties: {k: {type: string, pattern: '^(a|b)+$'}, friend: {$ref: '#/components/schemas/Pet'}}}
    Cat: {allOf: [{$ref: '#/components/schemas/Pet'}, {properties: {n: {readOnly: true, enum: [1, null]}}}]}
    Dog: {allOf: [{$ref: '#/components/schemas/Cat'}], oneOf: [{required: [x]}]}
    List: {$id: list, type: array, items: {$dynamicRef: '#of'}, $defs: {any: {$dynamicAnchor: of, not: {}}}}
    Texts: {$id: texts, $ref: list, $defs: {own: {$dynamicAnchor: of, type: string}}}
",
    "B: {type: object, properties: {back: {$ref: 'root.yaml#/paths'}, own: {$ref: '#/B'}}}\nopenapi: 3.1.0\n",
];

const OVERLAY: &str = "overlay: 1.0.0
actions:
- {target: '$.paths.*.*', update: {x-a: [1]}}
- {target: \"$..[?(@.type == 'string' && !@.x || @.name)]\", remove: true}
- {target: '$.info', update: {title: New}}
- {target: '$.paths[?search(@.get.x, \"a+\")]', copy: '$.paths.*'}
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

    /// Puts some words in the places of others, so that what is written stays YAML more often.
    fn reword(&mut self, text: &str) -> String {
        let is_word = |letter: char| letter.is_alphanumeric() || "$#/_.-*?&=@".contains(letter);
        let mut words: Vec<&str> = text.split_inclusive(|letter| !is_word(letter)).collect();
        let bare = |word: &str| word.trim_end_matches(|letter| !is_word(letter)).len();
        for _ in 0..=self.below(4) {
            let (to, from) = (self.below(words.len()), self.below(words.len()));
            let (old, new) = (words[to], words[from]);
            if bare(old) > 0 && bare(new) > 0 {
                words[to] = &new[..bare(new)];
                words.insert(to + 1, &old[bare(old)..]);
            }
        }
        words.concat()
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
    let (mut loaded, mut tools) = (0, 0);
    for round in 0..10_000 {
        let seed = SEEDS[round % SEEDS.len()];
        let text = if round % 3 == 0 { random.mutate(seed) } else { random.reword(seed) };
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
        let mut loader = Broken(&mut random);
        let options = Options::default();
        let found = api::load(&text, &url, "root.yaml", &mut loader, overlays, &options);
        let took = started.elapsed();
        if let Ok(api) = found {
            tools += api.tools.len();
            for offered in &api.tools {
                let definition = serde_json::from_slice(&offered.tool.definition);
                let definition: serde_json::Value = definition.expect("JSON");
                assert!(definition["inputSchema"].is_object(), "{round}: {text}");
            }
        }
        longest = longest.max(took);
        // Builds without optimization share their processors with other builds.
        assert!(took < Duration::from_secs(1), "round {round} took {took:?}: {text}");
    }
    println!("{loaded} loaded, with {tools} tools; the longest took {longest:?}");
    let is_telling = loaded > 1_000 && tools > 1_000;
    assert!(is_telling, "{loaded}, {tools}: the documents are broken too much to show anything");
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
