//! OpenAPI documents of any size, made from a seed: the same seed gives the same bytes.
//!
//! They are like those of large services: resources in areas, each with five operations, schemas that
//! refer to one another and to what all share, long descriptions, and examples.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

/// List, create, get, replace and delete.
pub(super) const OPERATIONS_EACH: usize = 5;

/// Resources in one area refer to one another.
const AREA: usize = 30;
/// Schemas that all resources share.
const SHARED: usize = 40;
const PROPERTIES: usize = 24;

const WORDS: [&str; 32] = [
    "account", "address", "amount", "answer", "batch", "billing", "change", "channel", "contract",
    "country", "customer", "delivery", "device", "document", "event", "folder", "group", "invoice",
    "language", "location", "member", "message", "number", "order", "payment", "project", "region",
    "request", "schedule", "status", "team", "version",
];

/// Writes a document of so many resources, filled up with examples to about `bytes`; returns how long
/// it is.
pub(super) fn write(file: &Path, seed: u64, resources: usize, bytes: usize) -> Result<usize> {
    let text = text(seed, resources, bytes);
    fs::write(file, &text).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(text.len())
}

fn text(seed: u64, resources: usize, bytes: usize) -> String {
    let mut random = Random(seed);
    let mut schemas = Map::new();
    for number in 0..SHARED.min(resources * 2) {
        let shared = random.object(6, |random, _| random.plain());
        schemas.insert(format!("Shared{number}"), shared);
    }
    let shared = schemas.len();
    let mut paths = Map::new();
    for number in 0..resources {
        let name = random.pick().to_owned() + &number.to_string();
        let area = number / AREA * AREA;
        let related = |random: &mut Random, at: usize| match at % 8 {
            0 => json!({"$ref": format!("#/components/schemas/Shared{}", random.below(shared))}),
            1 => json!({"type": "array", "items": random.plain()}),
            _ => random.plain(),
        };
        let input = random.object(PROPERTIES, related);
        let resource = random.object(PROPERTIES, |random, at| match at {
            3 | 11 => {
                let other = area + random.below(AREA.min(resources - area));
                json!({"$ref": format!("#/components/schemas/Resource{other}")})
            }
            _ => related(random, at),
        });
        schemas.insert(format!("Resource{number}"), resource);
        schemas.insert(format!("Input{number}"), input);
        let base = format!("/area{}/{name}", number / AREA);
        paths.insert(
            base.clone(),
            json!({
                "get": random.operation("list", &name, number, false),
                "post": random.operation("create", &name, number, false),
            }),
        );
        paths.insert(
            format!("{base}/{{id}}"),
            json!({
                "get": random.operation("get", &name, number, true),
                "put": random.operation("replace", &name, number, true),
                "delete": random.operation("delete", &name, number, true),
            }),
        );
    }
    let examples: Map<String, Value> =
        (0..resources).map(|number| (format!("Example{number}"), json!({"value": "@"}))).collect();
    let document = json!({
        "openapi": "3.0.3",
        "info": {"title": format!("Service {seed}"), "version": "1", "description": random.text(60)},
        "servers": [{"url": "http://127.0.0.1/api"}],
        "paths": paths,
        "components": {"schemas": schemas, "examples": examples},
    });
    let bare = document.to_string();
    // What is missing to the size, in equal parts; each is one example of records.
    let each = bytes.saturating_sub(bare.len()) / resources;
    let mut text = String::with_capacity(bytes + resources * 256);
    let mut rest = bare.as_str();
    while let Some(at) = rest.find("\"@\"") {
        text.push_str(&rest[..at]);
        random.records(&mut text, each);
        rest = &rest[at + 3..];
    }
    text.push_str(rest);
    text
}

/// `SplitMix64`.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit.max(1)).unwrap_or(u64::MAX);
        usize::try_from(self.next() % limit).unwrap_or(0)
    }

    fn pick(&mut self) -> &'static str {
        WORDS[self.below(WORDS.len())]
    }

    /// So many words.
    fn text(&mut self, words: usize) -> String {
        (0..words).map(|_| self.pick()).collect::<Vec<_>>().join(" ")
    }

    /// A schema that refers to nothing.
    fn plain(&mut self) -> Value {
        let words = 8 + self.below(16);
        let description = self.text(words);
        match self.below(6) {
            0 => json!({"type": "integer", "description": description, "minimum": 0}),
            1 => json!({"type": "string", "format": "date-time", "description": description}),
            2 => json!({"type": "boolean", "description": description, "default": false}),
            3 => {
                let values = [self.pick(), "open", "closed"];
                json!({"type": "string", "enum": values, "description": description})
            }
            4 => json!({"type": "string", "nullable": true, "description": description}),
            _ => json!({"type": "string", "maxLength": 255, "description": description}),
        }
    }

    fn object(&mut self, count: usize, of: impl Fn(&mut Self, usize) -> Value) -> Value {
        let mut properties = Map::new();
        for at in 0..count {
            let name = format!("{}_{at}", self.pick());
            let schema = of(self, at);
            properties.insert(name, schema);
        }
        let required: Vec<_> = properties.keys().take(2).cloned().collect();
        let description = self.text(12);
        json!({
            "type": "object",
            "description": description,
            "required": required,
            "properties": properties,
        })
    }

    fn operation(&mut self, verb: &str, name: &str, number: usize, has_id: bool) -> Value {
        let resource = json!({"$ref": format!("#/components/schemas/Resource{number}")});
        let mut parameters = Vec::new();
        if has_id {
            parameters.push(json!({
                "name": "id", "in": "path", "required": true,
                "description": self.text(8), "schema": {"type": "string"},
            }));
        }
        for at in 0..if verb == "list" { 8 } else { 3 } {
            let name = format!("{}_{at}", self.pick());
            parameters.push(json!({
                "name": name, "in": "query", "description": self.text(16), "schema": self.plain(),
            }));
        }
        let answer =
            if verb == "list" { json!({"type": "array", "items": resource}) } else { resource };
        let example = json!({"$ref": format!("#/components/examples/Example{number}")});
        let mut operation = json!({
            "operationId": format!("{verb}_{name}"),
            "summary": self.text(6),
            "description": self.text(40),
            "tags": [name],
            "parameters": parameters,
            "responses": {
                "200": {
                    "description": self.text(6),
                    "content": {"application/json": {
                        "schema": answer, "examples": {"default": example},
                    }},
                },
                "404": {"description": self.text(6)},
            },
        });
        if matches!(verb, "create" | "replace") {
            let input = json!({"$ref": format!("#/components/schemas/Input{number}")});
            operation["requestBody"] =
                json!({"required": true, "content": {"application/json": {"schema": input}}});
        }
        operation
    }

    /// A list of records, about so many bytes long.
    fn records(&mut self, text: &mut String, bytes: usize) {
        let end = text.len() + bytes;
        text.push('[');
        while text.len() < end {
            let (id, name, price) = (self.below(1_000_000), self.pick(), self.below(1000));
            let note = self.text(6);
            let _ = write!(
                text,
                r#"{{"id":{id},"name":"{name}","price":{price}.25,"open":true,"none":null,"tags":["{name}","{id}"],"note":"{note}"}},"#
            );
        }
        text.push_str("null]");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_document() {
        let one = text(7, 4, 100_000);
        assert_eq!(one, text(7, 4, 100_000));
        assert_ne!(one, text(8, 4, 100_000));
        assert!((100_000..102_000).contains(&one.len()), "{}", one.len());
        let document: Value = serde_json::from_str(&one).unwrap();
        let operations = document["paths"].as_object().unwrap().values();
        let operations: usize = operations.map(|path| path.as_object().unwrap().len()).sum();
        assert_eq!(operations, 4 * OPERATIONS_EACH);
    }
}
