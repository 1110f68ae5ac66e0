//! What becomes of a tool whose calls fail.

use serde_json::json;
use store::CallOutcome;
use testkit::McpServer;
use wire::Era;

use super::{Gives, TRIPS, failure, gate, gate_with, giving, trip, value};
use crate::harness::{ERAS, Harness, assert_tool_fault};

async fn failing(era: Era) -> McpServer {
    giving(era, &["fine", "error"], |name, arguments| match name {
        "fine" => Gives::Value(json!({"n": arguments["n"]})),
        _ => Gives::Error("the flux is broken"),
    })
    .await
}

#[tokio::test]
async fn a_failing_step_ends_the_tool_and_is_named() {
    for era in ERAS {
        let server = failing(era).await;
        let tool = json!({"steps": [
            {"name": "first", "call": "s/error"},
            {"name": "second", "call": "s/fine"},
        ]});
        let harness = gate(&[("s", &server)], tool).await;
        let result = trip(&harness, json!({})).await;
        let expected = "The step `first` failed, which calls `s/error`: the flux is broken";
        assert_eq!(failure(&result), expected);
        assert_eq!(server.count("tools/call"), 1);
    }
}

#[tokio::test]
async fn what_was_done_before_a_failure_is_told() {
    let server = failing(Era::Modern).await;
    let tool = json!({"steps": [
        {"name": "first", "call": "s/fine"},
        {"name": "skipped", "call": "s/fine", "when": "false"},
        {"name": "second", "call": "s/error"},
    ]});
    let harness = gate(&[("s", &server)], tool).await;
    let failure = failure(&trip(&harness, json!({})).await).to_owned();
    let told = "\nThese steps had called already, which is not undone: `first`.";
    assert!(failure.ends_with(told), "{failure}");

    let tool = json!({"steps": [
        {"name": "many", "call": "s/fine", "each": "[1, 2, 'x']", "with": {"n": "=item + 1"}},
    ]});
    let harness = gate(&[("s", &server)], tool).await;
    let failure = super::failure(&trip(&harness, json!({})).await).to_owned();
    assert!(failure.contains("element 2 of `each`"), "{failure}");
    assert!(failure.ends_with("which is not undone: `many` (2 times)."), "{failure}");
}

#[tokio::test]
async fn a_step_may_fail_and_the_tool_goes_on() {
    for era in ERAS {
        let server = failing(era).await;
        let tool = json!({
            "steps": [
                {"parallel": [
                    {"name": "broken", "call": "s/error", "on_error": "continue"},
                    {"name": "fine", "call": "s/fine", "with": {"n": 1}, "on_error": "continue"},
                ]},
                {"name": "rescue", "call": "s/fine", "when": "has(errors.broken)", "with": {"n": "=errors.broken"}},
                {"name": "each", "call": "s/fine", "each": "[1, 'x']", "with": {"n": "=item + 1"}, "on_error": "continue"},
            ],
            "result": {"broken": "=broken", "fine": "=fine.n", "rescue": "=rescue.n", "each": "=each",
                       "errors": "=errors"}
        });
        let harness = gate(&[("s", &server)], tool).await;
        let result = trip(&harness, json!({})).await;
        let value = value(&result);
        assert_eq!(value["broken"], json!(null));
        assert_eq!((&value["fine"], &value["rescue"]), (&json!(1), &json!("the flux is broken")));
        assert_eq!(value["each"], json!([{"n": 2}, null]));
        assert_eq!(value["errors"]["broken"], "the flux is broken");
        let each = value["errors"]["each"].as_str().unwrap();
        assert!(each.starts_with("element 1 of `each`: `with`: "), "{each}");
        assert!(value["errors"]["fine"].is_null());
    }
}

#[tokio::test]
async fn what_cannot_be_computed_or_called_is_said() {
    let server = failing(Era::Modern).await;
    let harness = |step: serde_json::Value, result: &'static str| {
        let tool = json!({"arguments": {"n": {}}, "steps": [step], "result": result});
        let servers = json!({
            "s": {"url": server.url()},
            "off": {"url": server.url(), "disabled": true},
            "gone": {"url": "http://127.0.0.1:1/mcp"},
            "trips": {"compose": {"trip": tool}}
        });
        Harness::start(json!({"servers": servers}))
    };
    for (step, result, why) in [
        (
            json!({"name": "a", "call": "s/fine", "with": {"n": "=args['x'].y"}}),
            "=a",
            "The step `a` failed, which calls `s/fine`: `with`: `args` has no member `x`",
        ),
        (
            json!({"name": "a", "call": "s/fine", "with": "=[1]"}),
            "=a",
            "the arguments must be an object",
        ),
        (
            json!({"name": "a", "call": "s/fine", "when": "1"}),
            "=a",
            "a condition is `true` or `false`",
        ),
        (json!({"name": "a", "call": "s/fine", "each": "args"}), "=a", "this is no list"),
        (json!({"name": "a", "call": "off/fine"}), "=a", "server `off` is disabled"),
        (json!({"name": "a", "call": "gone/fine"}), "=a", "server `gone` cannot be reached"),
        (
            json!({"name": "a", "call": "s/fine"}),
            "=a.n.m",
            "The steps have ended, and their result could not be made: `a.n` is null",
        ),
    ] {
        let harness = harness(step, result).await;
        let result = trip(&harness, json!({})).await;
        let failure = failure(&result);
        assert!(failure.contains(why), "{failure}");
    }
}

#[tokio::test]
async fn the_values_of_all_steps_have_one_bound() {
    let server = giving(Era::Modern, &["long"], |_, arguments| {
        let length = arguments["length"].as_u64().unwrap();
        Gives::Value(json!("x".repeat(usize::try_from(length).unwrap())))
    })
    .await;
    let tool = json!({
        "arguments": {"lengths": "array"},
        "steps": [
            {"name": "a", "call": "s/long", "with": {"length": "=args.lengths[0]"}},
            {"name": "b", "call": "s/long", "each": "args.lengths", "with": {"length": "=item"}},
        ],
        "result": "=a.size() + b.map(one, one.size())[0]"
    });
    let harness = Harness::start(json!({
        "servers": {"s": {"url": server.url()}, "trips": {"compose": {"trip": tool}}},
        "limits": {"response_bytes": "64KiB"}
    }))
    .await;
    let result = trip(&harness, json!({"lengths": [20_000]})).await;
    assert_eq!(value(&result), &json!(40_000));
    let result = trip(&harness, json!({"lengths": [20_000, 20_000, 20_000]})).await;
    let failure = failure(&result);
    assert!(failure.starts_with("The step `b` failed, which calls `s/long`: "), "{failure}");
    assert!(failure.contains("longer than 65536 bytes together"), "{failure}");
}

#[tokio::test]
async fn a_step_that_needs_somebody_is_told_that_nobody_can_be_asked() {
    let asked = McpServer::legacy()
        .on("tools/call", |mut exchange| async move {
            exchange.begin_events(&[]).await;
            let params = json!({"message": "Who?", "requestedSchema": {"type": "object", "properties": {}}});
            let question = json!({"jsonrpc": "2.0", "id": "q", "method": "elicitation/create", "params": params});
            exchange.event(&question).await;
            // It goes on without an answer: what it hears is an error.
            exchange.last_event(super::result(Era::Legacy, Gives::Value(json!({"asked": true})))).await;
        })
        .start()
        .await;
    let asking = McpServer::modern()
        .on("tools/call", |mut exchange| async move {
            let params =
                json!({"message": "Who?", "requestedSchema": {"type": "object", "properties": {}}});
            let requests = json!({"who": {"method": "elicitation/create", "params": params}});
            exchange
                .result(json!({"resultType": "input_required", "inputRequests": requests}))
                .await;
        })
        .start()
        .await;
    let tool = json!({
        "steps": [
            {"name": "legacy", "call": "asked/echo", "on_error": "continue"},
            {"name": "modern", "call": "asking/echo", "on_error": "continue"},
        ],
        "result": {"legacy": "=legacy", "errors": "=errors"}
    });
    let harness = gate(&[("asked", &asked), ("asking", &asking)], tool).await;
    let result = trip(&harness, json!({})).await;
    let value = value(&result);
    assert_eq!(value["legacy"], json!({"asked": true}));
    let why = value["errors"]["modern"].as_str().unwrap();
    assert!(why.contains("ask"), "{why}");
    assert_eq!(asking.count("tools/call"), 1);
    let capabilities = &asking.http().requests_of("tools/call")[0].json()["params"]["_meta"]
        [wire::meta::CLIENT_CAPABILITIES];
    assert_eq!(capabilities, &json!({}));
    let answer = asked.http().answer_to("q").await;
    assert!(answer["error"].is_object(), "{answer}");
}

#[tokio::test]
async fn the_deadline_covers_all_steps_and_ends_what_runs() {
    let server = McpServer::modern()
        .on("tools/call", |mut exchange| async move { exchange.closed().await })
        .start()
        .await;
    let tool = json!({"steps": [{"parallel": [
        {"name": "a", "call": "s/echo"}, {"name": "b", "call": "s/echo"}]}]});
    let more = json!({"timeout": "300ms"});
    let mut harness = gate_with(&[("s", &server)], tool, more).await;
    for era in ERAS {
        let client = harness.client(era, TRIPS).await;
        let params = json!({"name": "trip", "arguments": {}});
        let text =
            assert_tool_fault(&client.send("tools/call", params).await, era, "deadline-exceeded");
        assert!(
            text.contains("within 300ms: its steps `a`, `b` were running")
                && text.contains("`timeout` of server `trips`"),
            "{text}"
        );
        // Both inner calls, which were cancelled, and the outer one.
        let mut outcomes = Vec::new();
        for _ in 0..3 {
            let record = testkit::within("a record", harness.records.recv()).await.unwrap();
            outcomes.push((record.server.unwrap().to_string(), record.outcome));
        }
        let of = |server: &str, slug| (server.to_owned(), CallOutcome::Fault(slug));
        assert!(outcomes.contains(&of("trips", "deadline-exceeded")), "{outcomes:?}");
        assert_eq!(outcomes.iter().filter(|(server, _)| server == "s").count(), 2, "{outcomes:?}");
    }
}
