//! What operators see of a gate that runs: eras, parked calls, and that nothing is left behind.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use serde_json::json;

use super::{SLOW, home, time_server, write};
use crate::harness::{Gate, http, modern_request, wait_until};

#[test]
fn it_is_visible_what_is_spoken_with_a_server_and_why() {
    let home = home();
    let script = write(home.path(), "slow.sh", SLOW);
    let servers = format!(
        "  found: {{ command: sh, args: ['{script}'] }}\n  \
         pinned: {{ command: sh, args: ['{script}'], era: legacy }}\n{}",
        time_server("time")
    );
    let file = write(home.path(), "gate.yaml", &format!("servers:\n{servers}"));
    let gate = Gate::start(home.path(), &[&file]);
    assert!(!gate.tools("/mcp").is_empty());
    let era = |name: &str| {
        let status = gate.status();
        let servers = status["servers"].as_array().unwrap();
        servers.iter().find(|server| server["name"] == name).unwrap()["era"].clone()
    };
    wait_until("all are reached", || {
        ["found", "pinned", "time"].iter().all(|name| era(name)["version"].is_string())
    });
    assert_eq!(
        (&era("time")["name"], &era("time")["why"]),
        (&json!("modern"), &json!("it answered server/discover with 2026-07-28"))
    );
    assert_eq!((&era("found")["name"], &era("found")["pinned"]), (&json!("legacy"), &json!(false)));
    assert_eq!(era("found")["why"], "it left server/discover unanswered");
    assert_eq!(
        (&era("pinned")["name"], &era("pinned")["why"]),
        (&json!("legacy"), &json!("the configuration says so"))
    );
    for labels in [
        r#"server="time",era="modern",version="2026-07-28",pinned="false""#,
        r#"server="found",era="legacy",version="2025-11-25",pinned="false""#,
        r#"server="pinned",era="legacy",version="2025-11-25",pinned="true""#,
    ] {
        let metric = format!("portcullis_server_era{{{labels}}}");
        assert_eq!(gate.metric(&metric).as_deref(), Some("1"), "{metric}");
    }
}

#[test]
fn a_process_for_each_call_ends_with_it() {
    let home = home();
    let program = env!("CARGO_BIN_EXE_portcullis");
    let server = format!(
        "  once: {{ command: '{program}', args: [example, time], era: legacy, session: none, \
         idle_timeout: 1s }}\n"
    );
    let file = write(home.path(), "gate.yaml", &format!("servers:\n{server}"));
    let gate = Gate::start(home.path(), &[&file]);
    let children = || gate.metric("process_children").expect("this is Linux");
    let conversations = || gate.metric(r#"portcullis_server_conversations{server="once"}"#);
    assert_eq!(children(), "0");
    for _ in 0..3 {
        let call = json!({ "name": "current_time", "arguments": {} });
        let answer = gate.call("/servers/once/mcp", "tools/call", call);
        assert!(answer["result"]["content"].is_array(), "{answer}");
    }
    wait_until("no process is left", || children() == "0");
    assert_eq!(conversations().as_deref(), Some("0"));
    assert_eq!(gate.metric("portcullis_calls_running").as_deref(), Some("0"));
}

/// A legacy server whose only tool asks for a name before it greets.
const ASKS: &str = r#"
id=null
while read -r line; do
  case "$line" in
    *'"method"'*) ;;
    *) name=$(printf '%s' "$line" | sed -n 's/.*"name":"\([^"]*\)".*/\1/p')
       printf '{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":"hello %s"}]}}\n' "$id" "$name"
       continue ;;
  esac
  id=$(printf '%s' "$line" | sed -n 's/.*"id":\([^,}]*\).*/\1/p')
  case "$line" in
    *'"initialize"'*) result='{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"asks","version":"1"}}' ;;
    *'"tools/list"'*) result='{"tools":[{"name":"greet","inputSchema":{"type":"object"}}]}' ;;
    *'"tools/call"'*) printf '{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"Who are you?","requestedSchema":{"type":"object","properties":{"name":{"type":"string"}}}}}\n'; continue ;;
    *) continue ;;
  esac
  printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$result"
done
"#;

#[test]
fn a_parked_call_is_visible_until_it_is_answered() {
    let home = home();
    let script = write(home.path(), "asks.sh", ASKS);
    let config = format!("servers:\n  asks: {{ command: sh, args: ['{script}'], era: legacy }}\n");
    let file = write(home.path(), "gate.yaml", &config);
    let gate = Gate::start(home.path(), &[&file]);
    let parked = || gate.metric(r#"portcullis_calls_parked{server="asks"}"#);
    assert_eq!(parked().as_deref(), Some("0"));

    let call = json!({ "name": "greet", "arguments": {} });
    let (status, asked) = modern_that_can_be_asked(&gate.url("/servers/asks/mcp"), call.clone());
    assert_eq!(
        (status, &asked["result"]["resultType"]),
        (200, &json!("input_required")),
        "{asked}"
    );
    assert_eq!(parked().as_deref(), Some("1"));
    assert_eq!(gate.status()["parked"], 1);
    assert_eq!(gate.status()["servers"][0]["parked"], 1);

    let mut again = call;
    again["requestState"] = asked["result"]["requestState"].clone();
    again["inputResponses"] = json!({ "q1": { "action": "accept", "content": { "name": "Ada" } } });
    let (_, answer) = modern_that_can_be_asked(&gate.url("/servers/asks/mcp"), again);
    assert_eq!(answer["result"]["content"][0]["text"], "hello Ada", "{answer}");
    wait_until("nothing is parked", || parked().as_deref() == Some("0"));
    let route = r#"endpoint="/servers/asks/mcp",server="asks",method="tools/call""#;
    for (metric, value) in [
        (format!("portcullis_calls_total{{{route},outcome=\"asked\"}}"), "1"),
        (format!("portcullis_calls_total{{{route},outcome=\"success\"}}"), "1"),
    ] {
        wait_until(&metric, || gate.metric(&metric).as_deref() == Some(value));
    }
}

#[test]
fn addresses_of_an_api_and_which_is_left_out_are_visible() {
    let home = home();
    let here = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = here.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in here.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let file = write(
        home.path(),
        "gate.yaml",
        &format!(
            "servers:\n  api:\n    url: ['http://127.0.0.1:9/v1', 'http://{address}/v1']\n    \
             balance: first\n    tools: {{ define: {{ look: {{ path: /look }} }} }}\n"
        ),
    );
    let gate = Gate::start(home.path(), &[&file]);
    let look = json!({ "name": "look", "arguments": {} });
    let result = gate.call("/servers/api/mcp", "tools/call", look);
    assert_eq!(result["result"]["content"][0]["text"], "ok", "{result}");
    assert_eq!(
        gate.status()["servers"][0]["addresses"],
        json!([
            { "address": "http://127.0.0.1:9", "calls": 0, "leftOut": true },
            { "address": format!("http://{address}"), "calls": 0, "leftOut": false },
        ])
    );
    for (address, value) in [("127.0.0.1:9", "0"), (&*address.to_string(), "1")] {
        let metric =
            format!(r#"portcullis_server_address_up{{server="api",address="http://{address}"}}"#);
        assert_eq!(gate.metric(&metric).as_deref(), Some(value), "{metric}");
    }
}

/// A request of a client that shows forms, in the newest version.
fn modern_that_can_be_asked(url: &str, params: serde_json::Value) -> (u16, serde_json::Value) {
    let name = params["name"].as_str().map(str::to_owned).expect("a tool");
    let headers = [
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", "tools/call"),
        ("Mcp-Name", &name),
    ];
    let mut request = modern_request("tools/call", params);
    request["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] =
        json!({ "elicitation": { "form": {} } });
    let (status, answer) = http("POST", url, &headers, &request.to_string());
    // What a server says in the middle of a call makes the answer a stream.
    let answer = answer
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .next_back()
        .unwrap_or(&answer);
    (status, serde_json::from_str(answer).unwrap_or_else(|error| panic!("{error}: {answer}")))
}
