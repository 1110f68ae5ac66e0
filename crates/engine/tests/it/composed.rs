//! Several servers behind one endpoint: names, resources, pages, and servers that are away.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::{McpServer, ScriptedServer, echo_tool, modern};
use tokio::time::Instant;
use wire::Era;

use crate::harness::{COMPOSED, Client, ERAS, Harness, assert_fault, assert_said};

fn names(list: &Value, member: &str, key: &str) -> Vec<String> {
    let elements = list["result"][member].as_array().unwrap_or_else(|| panic!("no list: {list}"));
    elements.iter().map(|element| element[key].as_str().unwrap().to_owned()).collect()
}

async fn tools(client: &Client) -> Vec<String> {
    names(&client.send("tools/list", json!({})).await.json(), "tools", "name")
}

/// A gate before servers of the given names.
async fn before(servers: &[(&str, &McpServer)], endpoints: Value) -> Harness {
    let servers: Value = servers
        .iter()
        .map(|(name, server)| ((*name).to_owned(), json!({"url": server.url()})))
        .collect();
    let mut config = json!({"servers": servers});
    if !endpoints.is_null() {
        config["endpoints"] = endpoints;
    }
    Harness::start(config).await
}

#[tokio::test]
async fn tools_of_the_same_name_stay_apart() {
    for era in ERAS {
        let (a, b) = (McpServer::of(era).start().await, McpServer::of(era).start().await);
        let harness = before(&[("a", &a), ("b", &b)], Value::Null).await;
        for client in ERAS {
            let client = harness.client(client, COMPOSED).await;
            assert_eq!(tools(&client).await, ["a__echo", "b__echo"]);
            let before = (a.count("tools/call"), b.count("tools/call"));
            assert_said(&client.call("b__echo").await, "echo: hi");
            assert_eq!((a.count("tools/call"), b.count("tools/call")), (before.0, before.1 + 1));
            assert_said(&client.call("a__echo").await, "echo: hi");
            assert_eq!(a.count("tools/call"), before.0 + 1);
            let sent = a.wait_for("tools/call", before.0 + 1).await;
            assert_eq!(sent.json()["params"]["name"], "echo", "the server's own name");
            if era == Era::Modern {
                assert_eq!(sent.headers.get("mcp-name"), Some("echo"), "header and body together");
            }
        }
        // The order does not depend on who answers first, nor on how often one asks.
        let client = harness.client(Era::Modern, COMPOSED).await;
        assert_eq!(tools(&client).await, tools(&client).await);
    }
}

#[tokio::test]
async fn names_stay_when_servers_are_added() {
    let (a, b) = (McpServer::modern().start().await, McpServer::modern().start().await);
    let alone = before(&[("b", &b)], Value::Null).await;
    assert_eq!(tools(&alone.client(Era::Modern, COMPOSED).await).await, ["b__echo"]);
    let together = before(&[("a", &a), ("b", &b)], Value::Null).await;
    assert!(tools(&together.client(Era::Modern, COMPOSED).await).await.contains(&"b__echo".into()));
}

#[tokio::test]
async fn bare_names_that_collide_belong_to_the_first() {
    let a = McpServer::modern().tools(vec![echo_tool("same"), echo_tool("only_a")]).start().await;
    let b = McpServer::modern().tools(vec![echo_tool("same"), echo_tool("only_b")]).start().await;
    let endpoints = json!({"/mcp": {"servers": ["a", "b"], "names": "bare"}});
    let harness = before(&[("a", &a), ("b", &b)], endpoints).await;
    let client = harness.client(Era::Modern, COMPOSED).await;
    assert_eq!(tools(&client).await, ["same", "only_a", "only_b"]);
    assert_said(&client.call("same").await, "same: hi");
    assert_said(&client.call("only_b").await, "only_b: hi");
    assert_eq!((a.count("tools/call"), b.count("tools/call")), (1, 1));
}

#[tokio::test]
async fn names_that_hosts_would_not_take_are_changed_and_still_lead_back() {
    let odd = ["with.dots", "with/slash", "ünïcode", "a b", &"long".repeat(40)];
    let server =
        McpServer::modern().tools(odd.iter().map(|name| echo_tool(name)).collect()).start().await;
    let harness = before(&[("s", &server)], Value::Null).await;
    let client = harness.client(Era::Modern, COMPOSED).await;
    let exposed = tools(&client).await;
    assert_eq!(exposed.len(), odd.len());
    for (exposed, original) in exposed.iter().zip(odd) {
        let fits = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
        assert!(exposed.len() <= 60 && exposed.chars().all(fits), "{exposed}");
        assert_said(&client.call(exposed).await, &format!("{original}: hi"));
    }
}

#[tokio::test]
async fn what_an_endpoint_does_not_show_cannot_be_called() {
    let server = McpServer::modern()
        .tools(vec![echo_tool("read_file"), echo_tool("write_file")])
        .list("prompts/list", vec![json!({"name": "shown"}), json!({"name": "hidden"})])
        .list(
            "resources/list",
            vec![
                json!({"uri": "file:///shown", "name": "a"}),
                json!({"uri": "file:///hidden", "name": "b"}),
            ],
        )
        .start()
        .await;
    let chosen =
        json!({"s": {"tools": ["read_*"], "prompts": ["shown"], "resources": ["file:///shown"]}});
    let harness = before(&[("s", &server)], json!({"/mcp": {"servers": [chosen]}})).await;
    for era in ERAS {
        let client = harness.client(era, COMPOSED).await;
        assert_eq!(tools(&client).await, ["s__read_file"]);
        assert_said(&client.call("s__read_file").await, "read_file: hi");
        let before = server.http().requests().len();
        let hidden = client.call("s__write_file").await;
        assert_fault(&hidden, 200, -32602, "unknown-name");
        // Hidden and unknown look the same.
        let unknown = client.call("s__nothing_at_all").await;
        let message = |answer: &testkit::Answer| {
            answer.json()["error"]["message"]
                .as_str()
                .unwrap()
                .replace("s__write_file", "X")
                .replace("s__nothing_at_all", "X")
        };
        assert_eq!(message(&hidden), message(&unknown));
        let prompt = client.send("prompts/get", json!({"name": "s__hidden"})).await;
        assert_fault(&prompt, 200, -32602, "unknown-name");
        let read = client.send("resources/read", json!({"uri": "file:///hidden"})).await;
        let code = if era == Era::Modern { -32602 } else { -32002 };
        assert_fault(&read, 200, code, "unknown-name");
        for reference in [
            json!({"type": "ref/prompt", "name": "s__hidden"}),
            json!({"type": "ref/resource", "uri": "file:///hidden"}),
        ] {
            let params = json!({"ref": reference, "argument": {"name": "a", "value": ""}});
            let completed = client.send("completion/complete", params).await;
            assert_fault(&completed, 200, -32602, "unknown-name");
        }
        let asked = server.http().requests()[before..].iter().any(|request| {
            !request.method().ends_with("/list") && request.body.windows(6).any(|w| w == b"hidden")
        });
        assert!(!asked, "nothing hidden reached the server");
    }
}

#[tokio::test]
async fn resources_keep_their_uris_while_those_are_unique() {
    let resource = |uri: &str| json!({"uri": uri, "name": "n"});
    for era in ERAS {
        let a = McpServer::of(era)
            .list("resources/list", vec![resource("file:///same"), resource("file:///a")])
            .start()
            .await;
        let b = McpServer::of(era)
            .list("resources/list", vec![resource("file:///same"), resource("file:///b")])
            .start()
            .await;
        let harness = before(&[("a", &a), ("b", &b)], Value::Null).await;
        for client in ERAS {
            let client = harness.client(client, COMPOSED).await;
            let list = client.send("resources/list", json!({})).await.json();
            let uris = names(&list, "resources", "uri");
            assert_eq!(
                uris,
                [
                    "portcullis://a/file:///same",
                    "file:///a",
                    "portcullis://b/file:///same",
                    "file:///b"
                ]
            );
            for (uri, server, own) in [
                ("file:///a", &a, "file:///a"),
                ("file:///b", &b, "file:///b"),
                ("portcullis://a/file:///same", &a, "file:///same"),
                ("portcullis://b/file:///same", &b, "file:///same"),
            ] {
                let reads = server.count("resources/read");
                let read = client.send("resources/read", json!({"uri": uri})).await;
                let contents = &read.json()["result"]["contents"][0];
                assert_eq!(
                    contents["uri"],
                    uri,
                    "under the URI that was asked for: {}",
                    read.text()
                );
                let sent = server.wait_for("resources/read", reads + 1).await;
                assert_eq!(sent.json()["params"]["uri"], own);
                if era == Era::Modern {
                    assert_eq!(sent.headers.get("mcp-name"), Some(own));
                }
            }
        }
    }
}

#[tokio::test]
async fn a_resource_in_no_list_is_found_by_template_and_then_by_asking_each() {
    let missing = |mut exchange: testkit::Exchange| async move {
        exchange.error(200, -32602, "Resource not found").await;
    };
    // The first server knows nothing; the second has a template; the third a resource it does not list.
    let a = McpServer::modern()
        .list("resources/list", vec![])
        .on("resources/read", missing)
        .start()
        .await;
    let b = McpServer::modern()
        .list("resources/list", vec![])
        .list(
            "resources/templates/list",
            vec![json!({"uriTemplate": "db://{table}/{row}", "name": "row"})],
        )
        .start()
        .await;
    let c = McpServer::legacy()
        .list("resources/list", vec![])
        .on("resources/read", |mut exchange| async move {
            if exchange.params()["uri"] == "secret://c" {
                exchange.result(json!({"contents": [{"uri": "secret://c", "text": "c"}]})).await;
            } else {
                exchange.error(200, -32002, "Resource not found").await;
            }
        })
        .start()
        .await;
    let harness = before(&[("a", &a), ("b", &b), ("c", &c)], Value::Null).await;
    let client = harness.client(Era::Modern, COMPOSED).await;
    let list = client.send("resources/templates/list", json!({})).await.json();
    assert_eq!(names(&list, "resourceTemplates", "uriTemplate"), ["db://{table}/{row}"]);
    let read = client.send("resources/read", json!({"uri": "db://users/7"})).await;
    assert_eq!(read.json()["result"]["contents"][0]["uri"], "db://users/7", "{}", read.text());
    assert_eq!(
        (a.count("resources/read"), b.count("resources/read")),
        (0, 1),
        "the template leads"
    );

    let b_reads = b.count("resources/read");
    let read = client.send("resources/read", json!({"uri": "secret://c"})).await;
    // The second takes every URI here; what matters is that each is asked in turn until one has it.
    assert!(read.json()["result"]["contents"][0]["text"].is_string(), "{}", read.text());
    assert_eq!(a.count("resources/read"), 1);
    assert_eq!(b.count("resources/read"), b_reads + 1);
    // What was learned is not asked for again.
    client.send("resources/read", json!({"uri": "secret://c"})).await;
    assert_eq!(a.count("resources/read"), 1, "the first is not asked a second time");

    let only = before(&[("a", &a), ("c", &c)], Value::Null).await;
    for era in ERAS {
        let client = only.client(era, COMPOSED).await;
        let read = client.send("resources/read", json!({"uri": "secret://c"})).await;
        assert_eq!(read.json()["result"]["contents"][0]["text"], "c", "{}", read.text());
        let none = client.send("resources/read", json!({"uri": "none://"})).await;
        let code = if era == Era::Modern { -32602 } else { -32002 };
        assert_fault(&none, 200, code, "unknown-name");
    }
}

#[tokio::test]
async fn a_resource_that_a_result_mentions_is_read_where_it_was_mentioned() {
    let a = McpServer::modern().list("resources/list", vec![]).start().await;
    let b = McpServer::modern()
        .list("resources/list", vec![])
        .on("tools/call", |mut exchange| async move {
            let link = json!({"type": "resource_link", "uri": "made://up", "name": "n"});
            exchange.result(json!({"resultType": "complete", "content": [link]})).await;
        })
        .start()
        .await;
    let harness = before(&[("a", &a), ("b", &b)], Value::Null).await;
    let client = harness.client(Era::Modern, COMPOSED).await;
    client.call("b__echo").await;
    let read = client.send("resources/read", json!({"uri": "made://up"})).await;
    assert_eq!(read.status, 200);
    assert_eq!((a.count("resources/read"), b.count("resources/read")), (0, 1));
}

#[tokio::test]
async fn prompts_and_completions_find_their_server() {
    for era in ERAS {
        let capabilities = json!({"prompts": {}, "completions": {}});
        let a = McpServer::of(era)
            .capabilities(capabilities.clone())
            .list("prompts/list", vec![json!({"name": "p"})])
            .start()
            .await;
        let b = McpServer::of(era)
            .capabilities(capabilities)
            .list("prompts/list", vec![json!({"name": "p"})])
            .start()
            .await;
        let harness = before(&[("a", &a), ("b", &b)], Value::Null).await;
        for client in ERAS {
            let client = harness.client(client, COMPOSED).await;
            let list = client.send("prompts/list", json!({})).await.json();
            assert_eq!(names(&list, "prompts", "name"), ["a__p", "b__p"]);
            let got = client.send("prompts/get", json!({"name": "b__p"})).await.json();
            assert_eq!(got["result"]["messages"][0]["content"]["text"], "p", "{got}");
            let reference = json!({"type": "ref/prompt", "name": "b__p"});
            let argument = json!({"name": "x", "value": "a"});
            let params = json!({"ref": reference, "argument": argument});
            let completed = client.send("completion/complete", params).await.json();
            assert_eq!(
                completed["result"]["completion"]["values"],
                json!(["a", "b"]),
                "{completed}"
            );
        }
        assert_eq!((a.count("prompts/get"), b.count("prompts/get")), (0, 2));
        assert_eq!((a.count("completion/complete"), b.count("completion/complete")), (0, 2));
        let sent = b.wait_for("completion/complete", 1).await.json();
        assert_eq!(sent["params"]["ref"]["name"], "p");
    }
}

// === bounds of what servers offer ===

#[tokio::test]
async fn definitions_of_one_server_and_the_size_of_one() {
    const BYTES: usize = 2048;
    let sized = |name: &str, bytes: usize| {
        let mut tool = echo_tool(name);
        tool["description"] = json!("");
        let rest = bytes - tool.to_string().len();
        tool["description"] = json!("x".repeat(rest));
        assert_eq!(tool.to_string().len(), bytes);
        tool
    };
    for era in ERAS {
        let server = McpServer::of(era)
            .tools(vec![sized("fits", BYTES), sized("over", BYTES + 1), sized("far", BYTES * 100)])
            .start()
            .await;
        let limits = json!({"definition_bytes": BYTES});
        let harness = Harness::limited(&server, limits).await;
        let client = harness.client(Era::Modern, COMPOSED).await;
        assert_eq!(
            tools(&client).await,
            ["s__fits"],
            "a larger one is left out, the rest is served"
        );

        for (count, shown) in [(3, 3), (4, 3), (300, 3)] {
            let many = (0..count).map(|number| echo_tool(&format!("t{number:03}"))).collect();
            let server = McpServer::of(era).tools(many).start().await;
            let harness = Harness::limited(&server, json!({"definitions_per_server": 3})).await;
            let client = harness.client(Era::Modern, COMPOSED).await;
            assert_eq!(tools(&client).await.len(), shown);
        }
    }
}

#[tokio::test]
async fn a_server_whose_pages_never_end_is_read_up_to_the_limit() {
    let server = McpServer::modern()
        .on("tools/list", |mut exchange| async move {
            let number: u64 = exchange.params()["cursor"].as_str().unwrap_or("0").parse().unwrap();
            let result = json!({"resultType": "complete", "ttlMs": 0, "cacheScope": "private",
                "tools": [echo_tool(&format!("t{number}"))], "nextCursor": (number + 1).to_string()});
            exchange.result(result).await;
        })
        .start().await;
    let harness = Harness::limited(&server, json!({"definitions_per_server": 10})).await;
    let client = harness.client(Era::Modern, COMPOSED).await;
    assert_eq!(tools(&client).await.len(), 10);
}

#[tokio::test]
async fn the_size_of_a_page() {
    const BYTES: usize = 64 << 10;
    let tool = |number: usize| {
        let mut tool = echo_tool(&format!("t{number}"));
        tool["description"] = json!("x".repeat(20_000));
        tool
    };
    let server = McpServer::modern().tools((0..7).map(tool).collect()).start().await;
    let harness = Harness::limited(&server, json!({"page_bytes": BYTES})).await;
    for era in ERAS {
        let client = harness.client(era, COMPOSED).await;
        let mut params = json!({});
        let mut sizes = Vec::new();
        loop {
            let answer = client.send("tools/list", params).await;
            let page = answer.json();
            assert!(answer.body.len() < BYTES + 1024, "{}", answer.body.len());
            sizes.push(names(&page, "tools", "name").len());
            match page["result"]["nextCursor"].as_str() {
                Some(cursor) => params = json!({"cursor": cursor}),
                None => break,
            }
        }
        assert_eq!(sizes, [3, 3, 1]);
    }
}

// === servers that are away ===

/// A server that takes connections and never answers.
async fn silent() -> ScriptedServer {
    ScriptedServer::start(|mut exchange| async move {
        exchange.closes_within(Duration::from_mins(1)).await;
    })
    .await
}

#[tokio::test]
async fn a_dead_server_delays_no_list_beyond_its_wait_and_none_twice() {
    let good = McpServer::modern().start().await;
    let dead = silent().await;
    let harness = Harness::start(json!({
        "servers": {"good": {"url": good.url()}, "dead": {"url": dead.url("/mcp")}},
        "limits": {"cold_list_wait": "300ms"},
    }))
    .await;
    let began = Instant::now();
    let first = harness.modern(COMPOSED, "tools/list", json!({})).await.json();
    assert_eq!(names(&first, "tools", "name"), ["good__echo"]);
    assert_eq!(first["result"]["ttlMs"], 0, "a partial list is not to be kept: {first}");
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(250) && took < Duration::from_millis(1500), "{took:?}");
    for era in ERAS {
        let began = Instant::now();
        let client = harness.client(era, COMPOSED).await;
        assert_eq!(tools(&client).await, ["good__echo"]);
        assert_said(&client.call("good__echo").await, "echo: hi");
        let took = began.elapsed();
        assert!(took < Duration::from_millis(250), "delayed a second time: {took:?}");
    }
    let overview = harness.gate.overview();
    assert_eq!(overview.servers.len(), 2, "the state is visible");
    let ready = harness.send(&testkit::HttpRequest::new("GET", "/readyz")).await;
    assert_eq!(ready.status, 200);
}

#[tokio::test]
async fn a_server_that_comes_late_is_told_of() {
    for era in ERAS {
        let good = McpServer::modern().start().await;
        let late = ScriptedServer::start(|exchange| async move { drop(exchange) }).await;
        let address = late.address();
        let url = late.url("/mcp");
        drop(late);
        let harness = Harness::start(json!({
            "servers": {"good": {"url": good.url()}, "late": {"url": url}},
            "limits": {"cold_list_wait": "100ms"},
        }))
        .await;
        let filter = json!({"notifications": {"toolsListChanged": true}});
        let client = harness.client(Era::Modern, COMPOSED).await;
        assert_eq!(tools(&client).await, ["good__echo"]);
        let mut modern = harness.stream(&modern(COMPOSED, 1, "subscriptions/listen", filter)).await;
        modern.next_of("notifications/subscriptions/acknowledged").await;
        let session = harness.session(COMPOSED).await;
        let mut legacy = session.listen().await;
        let _late = McpServer::of(era).at(address).start().await;
        modern.next_of("notifications/tools/list_changed").await;
        legacy.next_of("notifications/tools/list_changed").await;
        testkit::within("the whole list", async {
            while tools(&client).await != ["good__echo", "late__echo"] {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        assert_said(&client.call("late__echo").await, "echo: hi");
    }
}

#[tokio::test]
async fn the_last_good_definitions_are_kept_for_a_while() {
    for era in ERAS {
        let server = McpServer::of(era).start().await;
        let harness = Harness::start(json!({
            "servers": {"s": {"url": server.url(), "refresh": "1s", "keep_definitions": "2s"}},
            "limits": {"cold_list_wait": "100ms"},
        }))
        .await;
        let client = harness.client(Era::Modern, COMPOSED).await;
        let read = Instant::now();
        assert_eq!(tools(&client).await, ["s__echo"]);
        drop(server);
        // Away, and still listed.
        while read.elapsed() < Duration::from_millis(1500) {
            assert_eq!(tools(&client).await, ["s__echo"], "after {:?}", read.elapsed());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        testkit::within("the definitions to be let go", async {
            while !tools(&client).await.is_empty() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
        assert!(read.elapsed() >= Duration::from_millis(1900), "{:?}", read.elapsed());
    }
}

#[tokio::test]
async fn a_call_to_a_server_that_is_away_fails_alone() {
    let (good, gone) = (McpServer::modern().start().await, McpServer::modern().start().await);
    let harness = before(&[("good", &good), ("gone", &gone)], Value::Null).await;
    for era in ERAS {
        let client = harness.client(era, COMPOSED).await;
        assert_eq!(tools(&client).await.len(), 2);
    }
    drop(gone);
    for era in ERAS {
        let client = harness.client(era, COMPOSED).await;
        let (failed, fine) = tokio::join!(client.call("gone__echo"), client.call("good__echo"));
        let text = crate::harness::assert_tool_fault(&failed, era, "server-failed");
        assert!(text.contains("server `gone`"), "{text}");
        assert_said(&fine, "echo: hi");
    }
}

// === a configuration that changes ===

#[tokio::test]
async fn a_reload_keeps_what_did_not_change_and_tells_listeners() {
    let (a, b) = (McpServer::legacy().start().await, McpServer::modern().start().await);
    let one = json!({"servers": {"a": {"url": a.url()}}});
    let both = json!({"servers": {"a": {"url": a.url()}, "b": {"url": b.url()}}});
    let harness = Harness::start(one).await;
    let session = harness.session(COMPOSED).await;
    let mut stream = session.listen().await;
    let list = session.send(1, "tools/list", json!({})).await.json();
    assert_eq!(names(&list, "tools", "name"), ["a__echo"]);
    assert_said(&session.send(2, "tools/call", json!({"name": "a__echo"})).await, "echo: ");
    let begun = a.count("initialize");
    harness.gate.reload(&crate::harness::config_of(&both), std::collections::BTreeMap::new());
    stream.next_of("notifications/tools/list_changed").await;
    let list = session.send(3, "tools/list", json!({})).await.json();
    assert_eq!(names(&list, "tools", "name"), ["a__echo", "b__echo"]);
    assert_said(&session.send(4, "tools/call", json!({"name": "b__echo"})).await, "echo: ");
    assert_said(&session.send(5, "tools/call", json!({"name": "a__echo"})).await, "echo: ");
    assert_eq!(a.count("initialize"), begun, "its sessions survived");
}
