//! Clients of older versions before newer servers: what their version does not have comes in words of
//! it, and what is asked is asked as they know it.

use serde_json::{Value, json};
use testkit::{McpServer, Oldest, Session};
use wire::Era;

use super::parts::{ENDPOINTS, Legacy, form, heard_in, modern_asking, named, sampled, tool_at};
use crate::harness::{COMPOSED, ERAS, Harness, ONE};

const VERSIONS: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

/// A client of any legacy version.
enum Client {
    Oldest(Box<Oldest>),
    Session(Session),
}

impl Client {
    async fn open(harness: &Harness, endpoint: &str, version: &str) -> Self {
        let able = json!({"sampling": {}, "roots": {}, "elicitation": {}});
        if version == "2024-11-05" {
            let stream = format!("{endpoint}/sse");
            let client = Oldest::open(harness.address, &stream, &able).await;
            return Self::Oldest(Box::new(client));
        }
        Self::Session(Session::with(harness.address, endpoint, version, &able).await)
    }

    fn hello(&self) -> &Value {
        match self {
            Self::Oldest(client) => &client.hello,
            Self::Session(client) => &client.hello,
        }
    }

    async fn result(&mut self, method: &str, params: Value) -> Value {
        let message = match self {
            Self::Oldest(client) => client.send(1, method, params).await,
            Self::Session(client) => client.send(1, method, params).await.json(),
        };
        assert!(message["result"].is_object(), "{message}");
        message["result"].clone()
    }
}

/// What a server of `era` says in results.
fn whole(era: Era, mut result: Value) -> Value {
    if era == Era::Modern {
        result["resultType"] = json!("complete");
    }
    result
}

/// Blocks of every kind that any version has, and one that none has.
fn blocks() -> Value {
    json!([
        {"type": "text", "text": "words"},
        {"type": "image", "data": "AAAA", "mimeType": "image/png"},
        {"type": "audio", "data": "AAAAAAAA", "mimeType": "audio/wav"},
        {"type": "resource", "resource": {"uri": "file:///a", "text": "the text"}},
        {"type": "resource_link", "uri": "file:///b", "name": "b", "title": "The B",
            "icons": [{"src": "https://example.com/b.png"}]},
    ])
}

#[tokio::test]
async fn kinds_of_content() {
    for era in ERAS {
        let server = McpServer::of(era)
            .list("prompts/list", vec![json!({"name": "p"})])
            .on("tools/call", move |mut exchange| async move {
                exchange.result(whole(era, json!({"content": blocks()}))).await;
            })
            .on("prompts/get", move |mut exchange| async move {
                let messages: Vec<_> = blocks()
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|block| json!({"role": "user", "content": block}))
                    .collect();
                exchange.result(whole(era, json!({"messages": messages}))).await;
            })
            .start()
            .await;
        let harness = Harness::before(&server).await;
        for endpoint in ENDPOINTS {
            for version in VERSIONS {
                let mut client = Client::open(&harness, endpoint, version).await;
                let context = format!("{version} before {era:?} at {endpoint}");
                let params = json!({"name": tool_at(endpoint)});
                let tool = client.result("tools/call", params).await;
                let prompt = if endpoint == COMPOSED { "s__p" } else { "p" };
                let prompt = client.result("prompts/get", json!({"name": prompt})).await;
                let of_prompt: Vec<_> = prompt["messages"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|message| message["content"].clone())
                    .collect();
                let of_tool = tool["content"].as_array().unwrap().clone();
                for content in [of_tool, of_prompt] {
                    let sent = blocks();
                    assert_eq!(content.len(), 5, "{context}: {content:?}");
                    for same in [0, 1, 3] {
                        assert_eq!(content[same], sent[same], "{context}");
                    }
                    if version == "2024-11-05" {
                        assert_eq!(content[2]["type"], "text", "{context}");
                        let text = content[2]["text"].as_str().unwrap();
                        assert!(text.contains("audio/wav") && text.contains('6'), "{text}");
                    } else {
                        assert_eq!(content[2], sent[2], "{context}");
                    }
                    let link = &content[4];
                    match version {
                        "2024-11-05" | "2025-03-26" => {
                            let text = link["text"].as_str().unwrap_or_default();
                            let named = text.contains("The B") && text.contains("file:///b");
                            assert!(named, "{context}: {link}");
                        }
                        _ => assert_eq!(link["uri"], "file:///b", "{context}"),
                    }
                    let icons = !link["icons"].is_null();
                    assert_eq!(icons, version == "2025-11-25", "{context}: {link}");
                }
            }
        }
    }
}

#[tokio::test]
async fn structured_results() {
    let tools = |era: Era| {
        let mut tools = vec![
            json!({"name": "object", "inputSchema": {"type": "object"}, "outputSchema":
                {"type": "object", "properties": {"n": {"type": "integer"}}}}),
            json!({"name": "free", "inputSchema": {"type": "object"}}),
        ];
        if era == Era::Modern {
            tools.push(json!({"name": "list", "inputSchema": {"type": "object"},
                "outputSchema": {"type": "array", "items": {"$ref": "#/$defs/n"},
                    "$defs": {"n": {"type": "integer"}}}}));
            tools.push(json!({"name": "either", "inputSchema": {"type": "object"},
                "outputSchema": {"anyOf": [{"type": "object"}, {"type": "null"}]}}));
        }
        tools
    };
    for era in ERAS {
        let server = McpServer::of(era)
            .tools(tools(era))
            .on("tools/call", move |mut exchange| async move {
                let name = exchange.params()["name"].as_str().unwrap().to_owned();
                let value = match name.as_str() {
                    "list" => json!([1, 2]),
                    "either" => json!({"a": 1}),
                    _ => json!({"n": 1}),
                };
                let text = json!({"type": "text", "text": value.to_string()});
                let content = if name == "free" { json!([]) } else { json!([text]) };
                let result = json!({"content": content, "structuredContent": value});
                exchange.result(whole(era, result)).await;
            })
            .start()
            .await;
        let harness = Harness::before(&server).await;
        for endpoint in ENDPOINTS {
            for version in VERSIONS {
                let structured = version >= "2025-06-18";
                let mut client = Client::open(&harness, endpoint, version).await;
                let listed = client.result("tools/list", json!({})).await;
                for tool in listed["tools"].as_array().unwrap() {
                    let context = format!("{version} before {era:?} at {endpoint}: {tool}");
                    let name = tool["name"].as_str().unwrap();
                    let own = name.trim_start_matches("s__");
                    let schema = &tool["outputSchema"];
                    let result = client.result("tools/call", json!({"name": name})).await;
                    let value = &result["structuredContent"];
                    if !structured {
                        assert!(schema.is_null() && value.is_null(), "{context}: {result}");
                        // Nothing is lost: it is there as text.
                        let content = result["content"].as_array().unwrap();
                        assert_eq!(content.len(), 1, "{context}: {result}");
                        continue;
                    }
                    match own {
                        "object" => {
                            assert_eq!(schema["properties"]["n"]["type"], "integer", "{context}");
                            assert_eq!(*value, json!({"n": 1}), "{context}");
                        }
                        "free" => {
                            assert!(schema.is_null(), "{context}");
                            assert_eq!(*value, json!({"n": 1}), "{context}");
                        }
                        _ => {
                            assert_eq!(schema["type"], "object", "{context}");
                            assert!(schema["properties"]["result"].is_object(), "{context}");
                            assert_eq!(schema["required"], json!(["result"]), "{context}");
                            let wrapped =
                                if own == "list" { json!([1, 2]) } else { json!({"a": 1}) };
                            assert_eq!(*value, json!({"result": wrapped}), "{context}");
                        }
                    }
                    if own == "list" {
                        let items = &schema["properties"]["result"]["items"]["$ref"];
                        let target = items.as_str().unwrap().trim_start_matches('#');
                        assert_eq!(schema.pointer(target).unwrap()["type"], "integer", "{context}");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn a_value_that_is_no_object_is_wrapped_although_nobody_has_read_the_list() {
    let server = McpServer::modern()
        .on("tools/call", |mut exchange| async move {
            let result = json!({"content": [], "structuredContent": [1, 2]});
            exchange.result(whole(Era::Modern, result)).await;
        })
        .start()
        .await;
    let harness = Harness::before(&server).await;
    for version in ["2025-06-18", "2025-11-25"] {
        let mut client = Client::open(&harness, ONE, version).await;
        let result = client.result("tools/call", json!({"name": "echo"})).await;
        assert_eq!(result["structuredContent"], json!({"result": [1, 2]}));
        assert!(result["content"][0]["text"].as_str().unwrap().contains('2'), "{result}");
    }
}

#[tokio::test]
async fn titles_icons_and_what_else_lists_have_grown() {
    let icons = json!([{"src": "https://example.com/i.png"}]);
    for era in ERAS {
        let server = McpServer::of(era)
            .tools(vec![json!({"name": "t", "title": "The T", "icons": icons,
                "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": true}})])
            .list(
                "prompts/list",
                vec![json!({"name": "p", "title": "The P", "icons": icons,
                "arguments": [{"name": "a", "title": "The A"}]})],
            )
            .list(
                "resources/list",
                vec![json!({"uri": "file:///r", "name": "r", "title": "The R",
                "icons": icons, "size": 3,
                "annotations": {"priority": 1, "lastModified": "2025-01-01T00:00:00Z"}})],
            )
            .list(
                "resources/templates/list",
                vec![json!({"uriTemplate": "file:///{x}",
                "name": "x", "title": "The X", "icons": icons})],
            )
            .start()
            .await;
        let harness = Harness::before(&server).await;
        for endpoint in ENDPOINTS {
            for version in VERSIONS {
                let mut client = Client::open(&harness, endpoint, version).await;
                let context = format!("{version} before {era:?} at {endpoint}");
                for (method, member) in [
                    ("tools/list", "tools"),
                    ("prompts/list", "prompts"),
                    ("resources/list", "resources"),
                    ("resources/templates/list", "resourceTemplates"),
                ] {
                    let result = client.result(method, json!({})).await;
                    let one = &result[member][0];
                    let titled = !one["title"].is_null();
                    // Composing shows who serves it, in words that the version has.
                    assert!(version >= "2025-06-18" || !titled, "{context}: {one}");
                    assert!(version < "2025-06-18" || titled, "{context}: {one}");
                    assert_eq!(
                        !one["icons"].is_null(),
                        version == "2025-11-25",
                        "{context}: {one}"
                    );
                    for hint in ["ttlMs", "cacheScope", "resultType"] {
                        assert!(result[hint].is_null(), "{context}: {result}");
                    }
                }
                let tool = client.result("tools/list", json!({})).await["tools"][0].clone();
                let annotations = &tool["annotations"];
                assert_eq!(!annotations.is_null(), version > "2024-11-05", "{context}: {tool}");
                if version == "2025-03-26" {
                    assert!(annotations["title"].is_string(), "where titles were then: {tool}");
                }
                let resource = client.result("resources/list", json!({})).await;
                let modified = &resource["resources"][0]["annotations"]["lastModified"];
                assert_eq!(!modified.is_null(), version >= "2025-06-18", "{context}: {resource}");
                let prompt = client.result("prompts/list", json!({})).await;
                let argument = &prompt["prompts"][0]["arguments"][0];
                let titled = !argument["title"].is_null();
                assert_eq!(titled, version >= "2025-06-18", "{context}: {prompt}");
            }
        }
    }
}

#[tokio::test]
async fn nothing_is_promised_that_the_version_does_not_know() {
    for era in ERAS {
        let mut capabilities = json!({"tools": {}, "completions": {}, "logging": {}});
        match era {
            Era::Modern => {
                capabilities["extensions"] = json!({"io.modelcontextprotocol/tasks": {}});
            }
            Era::Legacy => capabilities["tasks"] = json!({"requests": {"tools": {"call": {}}}}),
        }
        let server = McpServer::of(era).capabilities(capabilities).start().await;
        let harness = Harness::before(&server).await;
        for endpoint in ENDPOINTS {
            for version in VERSIONS {
                let client = Client::open(&harness, endpoint, version).await;
                let hello = client.hello();
                let context = format!("{version} before {era:?} at {endpoint}: {hello}");
                assert_eq!(hello["protocolVersion"], version, "{context}");
                let told = &hello["capabilities"];
                assert!(told["tools"].is_object(), "{context}");
                assert!(told["extensions"].is_null(), "{context}");
                if version < "2025-11-25" {
                    assert!(told["tasks"].is_null(), "{context}");
                    assert!(hello["serverInfo"]["icons"].is_null(), "{context}");
                }
                if endpoint == ONE {
                    let completes = !told["completions"].is_null();
                    assert_eq!(completes, version > "2024-11-05", "{context}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_form_as_2025_06_18_knows_it() {
    let mut question = form();
    question["params"]["mode"] = json!("form");
    question["params"]["requestedSchema"]["properties"]["name"]["default"] = json!("nobody");
    let server = modern_asking().start().await;
    let harness = Harness::before(&server).await;
    for endpoint in ENDPOINTS {
        let able = json!({"elicitation": {}});
        let client = Legacy::able(&harness, endpoint, "2025-06-18", &able).await;
        let rounds = json!({"rounds": [{"a": question}]});
        let said = client.converse(rounds, |_| named("Ada")).await;
        let asked = &said.questions[0]["params"];
        assert!(asked["mode"].is_null(), "{asked}");
        assert_eq!(asked["requestedSchema"]["properties"]["name"]["type"], "string");
        assert_eq!(heard_in(&said.end), json!([{"a": named("Ada")}]));
        // Who is older knows no forms, whatever it declares.
        let client = Legacy::able(&harness, endpoint, "2025-03-26", &able).await;
        let rounds = json!({"rounds": [{"a": question}]});
        let said = client.converse(rounds, |_| named("Ada")).await;
        assert!(said.questions.is_empty(), "{said:?}");
        let fault = &said.end["result"]["_meta"]["io.portcullis/fault"];
        assert_eq!(fault["reason"], "interaction-unavailable", "{said:?}");
    }
    assert_eq!(server.count("tools/call"), 6);
}

#[tokio::test]
async fn a_model_is_asked_as_2024_11_05_knows_it() {
    let server = modern_asking().start().await;
    let harness = Harness::before(&server).await;
    for endpoint in ENDPOINTS {
        let able = json!({"sampling": {}});
        let stream = format!("{endpoint}/sse");
        let mut client = Oldest::open(harness.address, &stream, &able).await;
        let text = |text: &str| json!({"type": "text", "text": text});
        let question = json!({"method": "sampling/createMessage", "params": {"maxTokens": 5,
            "messages": [{"role": "user", "content": [text("one"), text("two")]}]}});
        let rounds = json!({"rounds": [{"a": question}]});
        let params = json!({"name": tool_at(endpoint), "arguments": rounds});
        client.ask(1, "tools/call", params).await;
        let asked = client.next().await;
        assert_eq!(asked["method"], "sampling/createMessage", "{asked}");
        // One block a message was all there was.
        let expected = json!([{"role": "user", "content": text("one")},
            {"role": "user", "content": text("two")}]);
        assert_eq!(asked["params"]["messages"], expected, "{asked}");
        client.post(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": sampled()})).await;
        assert_eq!(heard_in(&client.next().await), json!([{"a": sampled()}]));
        // What it cannot be given ends the call before anybody is asked.
        let audio = json!({"type": "audio", "data": "AAAA", "mimeType": "audio/wav"});
        let question = json!({"method": "sampling/createMessage", "params": {"maxTokens": 5,
            "messages": [{"role": "user", "content": audio}]}});
        let rounds = json!({"rounds": [{"a": question}]});
        let params = json!({"name": tool_at(endpoint), "arguments": rounds});
        let end = client.send(2, "tools/call", params).await;
        let fault = &end["result"]["_meta"]["io.portcullis/fault"];
        assert_eq!(fault["reason"], "interaction-unavailable", "{end}");
        assert!(end["result"]["content"][0]["text"].as_str().unwrap().contains("audio"), "{end}");
    }
    assert_eq!(server.count("tools/call"), 6);
}

#[tokio::test]
async fn an_older_legacy_client_is_asked_by_a_newer_legacy_server() {
    // Between legacy versions a question is passed on live, in the words of the older one.
    let server = super::parts::legacy_asking().start().await;
    let harness = Harness::before(&server).await;
    for endpoint in ENDPOINTS {
        let able = json!({"elicitation": {}});
        let client = Legacy::able(&harness, endpoint, "2025-06-18", &able).await;
        let mut question = form();
        question["params"]["mode"] = json!("form");
        let rounds = json!({"rounds": [[question]]});
        let said = client.converse(rounds, |_| named("Ada")).await;
        assert!(said.questions[0]["params"]["mode"].is_null(), "{said:?}");
        assert_eq!(heard_in(&said.end), json!([named("Ada")]));
    }
    assert_eq!(server.count("tools/call"), 2);
}

#[tokio::test]
async fn errors_have_the_codes_of_the_clients_version() {
    for (server_era, code) in [(Era::Modern, -32602), (Era::Legacy, -32002)] {
        let server = McpServer::of(server_era)
            .list("resources/list", vec![json!({"uri": "file:///a", "name": "a"})])
            .on("resources/read", move |mut exchange| async move {
                exchange.error(200, code, "Resource not found").await;
            })
            .start()
            .await;
        let harness = Harness::before(&server).await;
        for version in ["2025-03-26", "2025-06-18", "2025-11-25"] {
            let client = Session::with(harness.address, ONE, version, &json!({})).await;
            let answer = client.send(1, "resources/read", json!({"uri": "file:///a"})).await;
            assert_eq!(answer.code(), -32002, "{version} before {server_era:?}");
        }
        let answer = harness.modern(ONE, "resources/read", json!({"uri": "file:///a"})).await;
        assert_eq!(answer.code(), -32602, "modern before {server_era:?}");
    }
}
