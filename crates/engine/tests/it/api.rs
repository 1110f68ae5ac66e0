//! HTTP APIs behind the gate: their documents, their tools, and what calls of them become.

mod balance;
mod calls;
mod compressed;
mod credentials;
mod documents;
mod guarded;
mod pages;
mod tagged;

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{Answer, ScriptedServer};
use wire::Era;

use crate::harness::{Client, Harness, ONE};

/// An API with a scripted server and a document in a folder of its own.
pub(crate) struct Api {
    pub(crate) server: ScriptedServer,
    pub(crate) folder: TempDir,
    pub(crate) harness: Harness,
}

/// The document that most tests need.
pub(crate) fn pets() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Pets", "version": "7", "description": "All the pets of the house."},
        "paths": {
            "/pets": {
                "get": {
                    "operationId": "listPets",
                    "parameters": [
                        {"name": "tag", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}},
                        {"name": "X-Trace", "in": "header", "schema": {"type": "string"}}
                    ],
                    "responses": {"200": {"description": "Pets", "content": {"application/json": {
                        "schema": {"type": "array", "items": {"$ref": "#/components/schemas/Pet"}}}}}}
                },
                "post": {
                    "operationId": "addPet",
                    "requestBody": {"required": true, "content": {"application/json": {
                        "schema": {"$ref": "#/components/schemas/Pet"}}}},
                    "responses": {"201": {"description": "Added"}}
                }
            },
            "/pets/{id}": {
                "get": {
                    "operationId": "getPet",
                    "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}],
                    "responses": {"200": {"description": "A pet", "content": {"application/json": {
                        "schema": {"$ref": "#/components/schemas/Pet"}}}}}
                }
            }
        },
        "components": {"schemas": {"Pet": {"type": "object", "required": ["name"],
            "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}}}}
    })
}

impl Api {
    /// A gate before one API, `s`, of this document; `more` are further settings of the server.
    pub(crate) async fn start(server: ScriptedServer, document: &Value, more: Value) -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("api.json"), document.to_string()).unwrap();
        let mut settings = json!({
            "openapi": folder.path().join("api.json"),
            "url": server.url("/v1"),
        });
        merge(&mut settings, more);
        let harness = Harness::start(json!({"servers": {"s": settings}})).await;
        Self { server, folder, harness }
    }

    /// A client of `era` of the API's own endpoint.
    pub(crate) async fn client(&self, era: Era) -> Client {
        self.harness.client(era, ONE).await
    }

    /// Calls a tool as a modern client.
    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Answer {
        let params = json!({"name": tool, "arguments": arguments});
        self.harness.modern(ONE, "tools/call", params).await
    }

    /// Writes the document anew.
    pub(crate) fn write(&self, document: &Value) {
        self.write_text(&document.to_string());
    }

    /// Writes anything in its place.
    pub(crate) fn write_text(&self, text: &str) {
        std::fs::write(self.folder.path().join("api.json"), text).unwrap();
    }

    /// The result of a call.
    pub(crate) async fn result(&self, tool: &str, arguments: Value) -> Value {
        let answer = self.call(tool, arguments).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["result"].clone()
    }

    /// The names of the tools.
    pub(crate) async fn tools(&self) -> Vec<String> {
        let answer = self.harness.modern(ONE, "tools/list", json!({})).await.json();
        let tools = answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("{answer}"));
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
    }
}

/// Puts the members of one object into another.
pub(crate) fn merge(into: &mut Value, more: Value) {
    for (key, value) in more.as_object().unwrap() {
        into[key] = value.clone();
    }
}

/// The first text of a result.
pub(crate) fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text: {result}"))
}
