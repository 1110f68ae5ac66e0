//! Documents of which parts were moved, replaced, renamed or made to refer to each other.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::corpus;
use super::read;
use crate::report::Severity;

/// Everything that operations may have, once.
fn whole() -> [Value; 2] {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let parameters = json!([
        {"name": "id", "in": "path", "required": true, "style": "label", "schema": schema},
        {"name": "q", "in": "query", "style": "deepObject", "explode": true, "schema": schema},
        {"name": "c", "in": "cookie", "content": {"application/json": {"schema": schema}}},
        {"$ref": "#/components/parameters/H", "description": "d"},
        {"in": "querystring", "content": {"application/x-www-form-urlencoded":
            {"schema": schema, "encoding": {"a": {"style": "form", "explode": true}}}}}
    ]);
    let body = json!({"required": true, "content": {"multipart/form-data": {"schema": schema,
        "encoding": {"a": {"contentType": "image/png", "headers": {"X": {"schema": {"default": 1}}}}}},
        "text/event-stream": {"itemSchema": schema}}});
    let responses = json!({"200": {"$ref": "#/components/responses/R"}, "4XX": {"content": {}},
        "default": {"description": "d", "content": {"text/plain": {"schema": schema}}}});
    let operation = json!({"operationId": "o", "summary": "s", "description": "d", "tags": ["t"],
        "deprecated": true, "parameters": parameters, "requestBody": body, "responses": responses,
        "security": [{"k": [], "o": ["a"]}, {}], "servers": [{"url": "/v1"}], "x-a": true});
    let latest = json!({"openapi": "3.2.0", "info": {"title": "t", "version": "1"},
        "servers": [{"url": "https://{h}/v", "variables": {"h": {"default": "x", "enum": ["x"]}}}],
        "security": [{"k": []}], "tags": [{"name": "t", "description": "d"}],
        "paths": {"/a/{id}/{b*}?x={x}": {"parameters": parameters, "servers": [{"url": "/p"}],
            "summary": "s", "get": operation, "additionalOperations": {"COPY": operation}},
            "/b": {"$ref": "#/components/pathItems/P", "put": operation}, "/:id#f": {"post": operation}},
        "webhooks": {"w": {"post": operation}},
        "components": {"pathItems": {"P": {"query": operation, "delete": operation}},
            "parameters": {"H": {"name": "H", "in": "header", "schema": {}}},
            "responses": {"R": {"content": {"application/json": {"schema": schema}}}},
            "securitySchemes": {"k": {"type": "apiKey", "in": "query", "name": "k"},
                "o": {"type": "oauth2", "flows": {"clientCredentials": {"tokenUrl": "/t"}}}}}});
    let parameters = json!([
        {"name": "id", "in": "path", "type": "array", "collectionFormat": "ssv"},
        {"name": "f", "in": "formData", "type": "file"}, {"$ref": "#/parameters/b"}]);
    let operation = json!({"consumes": ["multipart/form-data"], "produces": ["image/png"],
        "schemes": ["http"], "parameters": parameters, "responses": {"200": {"schema": schema}}});
    let first = json!({"swagger": "2.0", "host": "h", "basePath": "/b", "schemes": ["https"],
        "consumes": ["application/xml"], "produces": ["application/json"],
        "paths": {"/a/{id}": {"get": operation, "post": operation, "parameters": parameters}},
        "parameters": {"b": {"name": "b", "in": "body", "schema": schema}},
        "securityDefinitions": {"k": {"type": "basic"}, "o": {"type": "oauth2", "flow": "application"}},
        "security": [{"k": []}]});
    [latest, first]
}

struct Dice(u64);

impl Dice {
    /// A number below `end` (xorshift).
    fn roll(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end.max(1) as u64).unwrap()
    }

    /// A value somewhere below, and its JSON pointer.
    fn pick(&mut self, value: &Value) -> String {
        let mut pointers = vec![String::new()];
        let mut open = vec![(String::new(), value)];
        while let Some((pointer, value)) = open.pop() {
            let below: Vec<(String, &Value)> = match value {
                Value::Object(members) => members
                    .iter()
                    .map(|(key, member)| {
                        let key = key.replace('~', "~0").replace('/', "~1");
                        (format!("{pointer}/{key}"), member)
                    })
                    .collect(),
                Value::Array(elements) => elements
                    .iter()
                    .enumerate()
                    .map(|(at, element)| (format!("{pointer}/{at}"), element))
                    .collect(),
                _ => Vec::new(),
            };
            pointers.extend(below.iter().map(|(pointer, _)| pointer.clone()));
            open.extend(below);
        }
        pointers.swap_remove(self.roll(pointers.len()))
    }

    fn odd(&mut self, whole: &Value) -> Value {
        match self.roll(14) {
            0 => Value::Null,
            1 => json!(true),
            2 => json!(-1.5e300),
            3 => json!([]),
            4 => json!({}),
            5 => json!([[{}], null, 1]),
            6 => json!({"": {"$ref": 1}}),
            7 => json!("{}{?a,b}{;c*}/{"),
            8 => json!("a\u{0}\r\n\u{e9}"),
            9 => json!("x".repeat(5_000)),
            10 => json!({"$ref": format!("#{}", self.pick(whole))}),
            11 => json!({"$ref": "other.yaml#/x", "get": {}}),
            12 => json!(["a", "a", 3]),
            _ => whole.pointer(&self.pick(whole)).cloned().unwrap_or_default(),
        }
    }

    fn mutate(&mut self, whole: &mut Value) {
        let pointer = self.pick(whole);
        if pointer.is_empty() {
            return;
        }
        let odd = self.odd(whole);
        let names = ["", "$ref", "get", "GET", "in", "x-", "name", "schema", "a b", "200", "{id}"];
        let name = names[self.roll(names.len())].to_owned();
        let choice = self.roll(4);
        let Some(value) = whole.pointer_mut(&pointer) else { return };
        match value {
            Value::Object(members) if choice == 0 => {
                members.insert(name, odd);
            }
            Value::Array(elements) if choice == 0 => elements.push(odd),
            Value::Object(members) if choice == 1 && !members.is_empty() => {
                let key = members.keys().next().cloned().unwrap_or_default();
                let moved = members.remove(&key).unwrap_or_default();
                members.insert(name, moved);
            }
            value => *value = odd,
        }
    }
}

#[test]
fn broken_documents_never_break_the_reader() {
    let mut dice = Dice(0x5eed_0f0a_91d0_c5e1);
    let (mut loaded, mut offered, mut slowest) = (0, 0, Duration::ZERO);
    let seeds = whole();
    for round in 0..2_000 {
        let mut document = seeds[round % 2].clone();
        for _ in 0..=dice.roll(6) {
            dice.mutate(&mut document);
        }
        // A document that says no version is not read at all.
        let version = if round % 2 == 0 { ("openapi", "3.2.0") } else { ("swagger", "2.0") };
        document[version.0] = json!(version.1);
        let begun = Instant::now();
        let (extracted, report) = read(&document.to_string());
        slowest = slowest.max(begun.elapsed());
        extracted.operations.iter().for_each(corpus::check);
        loaded += 1;
        offered += extracted.operations.len();
        let is_explained = report.has(Severity::Note) || !extracted.operations.is_empty();
        assert!(is_explained, "{document}");
    }
    println!("{loaded} documents, {offered} operations, the slowest took {slowest:?}");
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    assert!(offered > loaded);
}
