//! The way of the calls of a step: records, progress, cancelling, and whose calls they are.

use serde_json::json;
use store::CallOutcome;
use testkit::{McpServer, modern};
use wire::Era;

use super::{Gives, TRIPS, gate, giving, result_of, trip, value};
use crate::harness::{ERAS, Harness, holding_server};

#[tokio::test]
async fn every_call_leaves_a_record_that_names_the_one_it_is_part_of() {
    let server = giving(Era::Legacy, &["a", "b"], |name, _| Gives::Value(json!(name))).await;
    let tool = json!({"steps": [{"name": "x", "call": "s/a"}, {"name": "y", "call": "s/b"}]});
    let mut harness = gate(&[("s", &server)], tool).await;
    value(&trip(&harness, json!({})).await);
    let mut records = Vec::new();
    for _ in 0..3 {
        records.push(testkit::within("a record", harness.records.recv()).await.unwrap());
    }
    let [a, b, outer] = <[_; 3]>::try_from(records).unwrap();
    assert_eq!((outer.parent, outer.name.as_deref()), (None, Some("trip")));
    assert_eq!(outer.outcome, CallOutcome::Success);
    for (record, name) in [(&a, "a"), (&b, "b")] {
        assert_eq!(record.parent, Some(outer.correlation));
        assert_ne!(record.correlation, outer.correlation);
        assert_eq!((record.server.as_deref(), record.name.as_deref()), (Some("s"), Some(name)));
        assert_eq!((&*record.endpoint, record.outcome), ("/servers/s/mcp", CallOutcome::Success));
        assert_eq!(record.server_era, Some("legacy"));
    }
}

#[tokio::test]
async fn progress_is_told_step_by_step_to_whoever_wants_it() {
    let server = giving(Era::Modern, &["a"], |_, _| Gives::Value(json!({"n": 1}))).await;
    let tool = json!({"steps": [
        {"name": "one", "call": "s/a"},
        {"name": "two", "call": "s/a", "when": "false"},
        {"name": "three", "call": "s/a"},
    ]});
    let harness = gate(&[("s", &server)], tool).await;
    for era in ERAS {
        let client = harness.client(era, TRIPS).await;
        let mut params = json!({"name": "trip", "arguments": {}});
        params["_meta"] = json!({"progressToken": "p"});
        let mut events = client.stream(7, "tools/call", params).await;
        for (number, step) in [(1, "one"), (2, "two"), (3, "three")] {
            let progress = events.next_of("notifications/progress").await["params"].clone();
            let expected =
                json!({"progressToken": "p", "progress": number, "total": 3, "message": step});
            assert_eq!(progress, expected);
        }
        let answer = events.next().await;
        assert_eq!(answer["result"]["structuredContent"], json!({"n": 1}), "{answer}");
    }
}

#[tokio::test]
async fn cancelling_the_tool_cancels_what_runs_and_begins_nothing_more() {
    for era in ERAS {
        let (server, _released) = holding_server(era).await;
        let tool = json!({"steps": [
            {"parallel": [{"name": "a", "call": "s/held"}, {"name": "b", "call": "s/held"}]},
            {"name": "c", "call": "s/echo"},
        ]});
        let mut harness = gate(&[("s", &server)], tool).await;
        let params = json!({"name": "trip", "arguments": {}});
        // With progress the head of the answer comes at once.
        let mut request = params;
        request["_meta"] = json!({"progressToken": "p"});
        let events = harness.stream(&modern(TRIPS, 1, "tools/call", request)).await;
        server.wait_for("tools/call", 2).await;
        drop(events);
        if era == Era::Legacy {
            server.wait_for("notifications/cancelled", 2).await;
        }
        for _ in 0..3 {
            let record = testkit::within("a record", harness.records.recv()).await.unwrap();
            assert_eq!(record.outcome, CallOutcome::Fault("cancelled"), "{record:?}");
        }
        assert_eq!(server.count("tools/call"), 2);
    }
}

#[tokio::test]
async fn a_clients_own_session_makes_the_calls() {
    let server = giving(Era::Legacy, &["a", "echo"], |_, _| Gives::Value(json!({"n": 1}))).await;
    let tool = json!({"steps": [{"name": "one", "call": "s/a"}]});
    let harness = gate(&[("s", &server)], tool).await;
    let session = harness.session("/mcp").await;
    for name in ["s__echo", "trips__trip"] {
        let params = json!({"name": name, "arguments": {}});
        result_of(&session.send(1, "tools/call", params).await);
    }
    let calls = server.http().requests_of("tools/call");
    let session_of = |at: usize| calls[at].headers.get("mcp-session-id").unwrap().to_owned();
    assert_eq!(session_of(0), session_of(1));
}

#[tokio::test]
async fn a_reload_in_the_middle_changes_nothing_for_the_call() {
    let (server, released) = holding_server(Era::Modern).await;
    let config = |steps: serde_json::Value| json!({"servers": {"s": {"url": server.url()}, "trips": {"compose": {"trip": {"steps": steps}}}}});
    let steps = json!([{"name": "a", "call": "s/held"}, {"name": "b", "call": "s/echo"}]);
    let harness = Harness::start(config(steps)).await;
    let running = trip(&harness, json!({}));
    let reloading = async {
        server.wait_for("tools/call", 1).await;
        let other = config(json!([{"name": "b", "call": "s/other"}]));
        harness.gate.reload(&crate::harness::config_of(&other), std::collections::BTreeMap::new());
        released.add_permits(1);
    };
    let (result, ()) = tokio::join!(running, reloading);
    assert_eq!(crate::api::text(&result), "echo");
    assert_eq!(server.count("tools/call"), 2);
    let _: &McpServer = &server;
}
