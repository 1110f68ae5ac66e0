//! Which steps run, with what, and what becomes of their values.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use testkit::{McpServer, ScriptedServer, echo_tool};
use tokio::sync::Barrier;
use wire::Era;

use super::{Gives, failure, gate, gate_with, giving, result, result_of, trip, value};
use crate::harness::{COMPOSED, ERAS, Harness};

/// A server that finds places, with numbers that no 64 bits hold.
async fn places(era: Era) -> McpServer {
    giving(era, &["search"], |_, arguments| {
        let name = arguments["q"].as_str().unwrap();
        Gives::Value(json!({"found": [{"id": format!("{name}-1"), "lat": 52.50, "n": 7}]}))
    })
    .await
}

async fn weather(era: Era) -> McpServer {
    giving(era, &["forecast"], |_, arguments| {
        Gives::Value(json!({"today": {"at": arguments["lat"], "sky": "grey"}}))
    })
    .await
}

async fn hotels(era: Era) -> McpServer {
    giving(era, &["list", "get"], |name, arguments| match name {
        "list" => Gives::Value(json!({"items": [{"id": 1}, {"id": 2}, {"id": 3}]})),
        _ => Gives::Value(json!({"hotel": arguments["id"], "place": arguments["index"]})),
    })
    .await
}

#[tokio::test]
async fn a_chain_passes_values_on_whatever_the_eras() {
    for client_era in ERAS {
        for (first, second) in [(Era::Modern, Era::Legacy), (Era::Legacy, Era::Modern)] {
            let (geo, weather) = (places(first).await, weather(second).await);
            let tool = json!({
                "description": "The weather of a city.",
                "arguments": {"city": {"type": "string", "required": true}},
                "steps": [
                    {"name": "place", "call": "geo/search", "with": {"q": "= args.city", "limit": 1}},
                    {"name": "weather", "call": "weather/forecast",
                     "with": {"lat": "= place.found[0].lat", "note": "==x"}},
                ],
                "result": {"city": "=args.city", "weather": "=weather.today", "by": ["geo", "=place.found[0].id"]},
            });
            let harness = gate(&[("geo", &geo), ("weather", &weather)], tool).await;
            for endpoint in [super::TRIPS, COMPOSED] {
                let client = harness.client(client_era, endpoint).await;
                let name = if endpoint == COMPOSED { "trips__trip" } else { "trip" };
                let params = json!({"name": name, "arguments": {"city": "Berlin"}});
                let result = result_of(&client.send("tools/call", params).await);
                let expected = json!({"city": "Berlin", "weather": {"at": 52.50, "sky": "grey"},
                                      "by": ["geo", "Berlin-1"]});
                assert_eq!(value(&result), &expected);
                let text: Value = serde_json::from_str(crate::api::text(&result)).unwrap();
                assert_eq!(text, expected);
            }
            let request = geo.wait_for("tools/call", 1).await.json();
            assert_eq!(request["params"]["arguments"], json!({"q": "Berlin", "limit": 1}));
            let request = weather.wait_for("tools/call", 2).await.json();
            assert_eq!(request["params"]["arguments"], json!({"lat": 52.50, "note": "=x"}));
        }
    }
}

#[tokio::test]
async fn what_is_listed_is_what_is_written() {
    let geo = places(Era::Modern).await;
    let tool = json!({
        "title": "Trip",
        "description": "Plans a trip.",
        "annotations": {"read_only": true},
        "arguments": {
            "city": {"type": "string", "required": true, "description": "Where to"},
            "nights": {"type": "integer", "default": 2, "enum": [1, 2, 3]}
        },
        "steps": [{"name": "place", "call": "geo/search", "with": {"q": "=args.city"}}],
        "output": {"type": "object"}
    });
    let harness = gate(&[("geo", &geo)], tool).await;
    for era in ERAS {
        let client = harness.client(era, super::TRIPS).await;
        let listed = result_of(&client.send("tools/list", json!({})).await);
        assert_eq!(
            listed["tools"],
            json!([{
                "name": "trip",
                "title": "Trip",
                "description": "Plans a trip.",
                "annotations": {"readOnlyHint": true},
                "inputSchema": {
                    "type": "object",
                    "properties": {
                        "city": {"type": "string", "description": "Where to"},
                        "nights": {"type": "integer", "enum": [1, 2, 3], "default": 2}
                    },
                    "required": ["city"],
                    "additionalProperties": false
                },
                "outputSchema": {"type": "object"}
            }])
        );
    }
    let listed = result_of(&harness.modern(COMPOSED, "tools/list", json!({})).await);
    let names = listed["tools"].as_array().unwrap().iter().map(|tool| &tool["name"]);
    assert_eq!(names.collect::<Vec<_>>(), ["geo__search", "trips__trip"]);
}

#[tokio::test]
async fn arguments_are_checked_before_anything_is_called() {
    let geo = places(Era::Modern).await;
    let tool = json!({
        "arguments": {"city": {"type": "string", "required": true}, "q": {"default": "Rome"}},
        "steps": [{"name": "place", "call": "geo/search", "with": {"q": "=args.q"}}],
    });
    let harness = gate(&[("geo", &geo)], tool).await;
    for (arguments, why) in [
        (json!({}), "`city` is required and missing"),
        (json!({"city": 1}), "`city` must be of type string"),
        (json!({"city": "x", "citty": 1}), "`citty`"),
    ] {
        let result = trip(&harness, arguments).await;
        let failure = failure(&result);
        assert!(failure.starts_with("Nothing was called: ") && failure.contains(why), "{failure}");
    }
    assert_eq!(geo.count("tools/call"), 0);
    let result = trip(&harness, json!({"city": "x"})).await;
    assert_eq!(value(&result)["found"][0]["id"], "Rome-1");
    let params = json!({"name": "tripp", "arguments": {}});
    let answer = harness.modern(super::TRIPS, "tools/call", params).await;
    assert_eq!(answer.code(), -32602);
}

#[tokio::test]
async fn what_is_not_given_is_not_passed_on() {
    let server = giving(Era::Modern, &["a"], |_, arguments| Gives::Value(arguments.clone())).await;
    let tool = json!({
        "arguments": {"tag": "string", "deep": "string"},
        "steps": [{"name": "a", "call": "s/a",
                   "with": {"tag": "=args.?tag", "in": {"list": ["=args.?deep", 1]}, "n": "=args.?tag.orValue('none')"}}],
    });
    let harness = gate(&[("s", &server)], tool).await;
    let result = trip(&harness, json!({})).await;
    assert_eq!(value(&result), &json!({"in": {"list": [1]}, "n": "none"}));
    let result = trip(&harness, json!({"tag": "x", "deep": "y"})).await;
    assert_eq!(value(&result), &json!({"tag": "x", "in": {"list": ["y", 1]}, "n": "x"}));
}

#[tokio::test]
async fn parallel_steps_run_beside_each_other() {
    // Each of the two answers only when the other has been called, too.
    let together = Arc::new(Barrier::new(2));
    let meeting = |era: Era| {
        let together = Arc::clone(&together);
        McpServer::of(era)
            .tools(vec![echo_tool("meet")])
            .on("tools/call", move |mut exchange| {
                let together = Arc::clone(&together);
                async move {
                    testkit::within("the other call", together.wait()).await;
                    let given = Gives::Value(exchange.params()["arguments"].clone());
                    exchange.result(result(era, given)).await;
                }
            })
            .start()
    };
    let (one, two) = (meeting(Era::Modern).await, meeting(Era::Legacy).await);
    let tool = json!({"steps": [{"parallel": [
        {"name": "a", "call": "one/meet", "with": {"n": 1}},
        {"name": "b", "call": "two/meet", "with": {"n": 2}},
    ]}]});
    let harness = gate(&[("one", &one), ("two", &two)], tool).await;
    let result = trip(&harness, json!({})).await;
    assert_eq!(value(&result), &json!({"a": {"n": 1}, "b": {"n": 2}}));
}

#[tokio::test]
async fn steps_run_under_conditions() {
    let hotels = hotels(Era::Modern).await;
    let tool = json!({
        "arguments": {"hotels": {"type": "boolean", "default": false}},
        "steps": [
            {"name": "plain", "call": "hotels/list", "when": "args.hotels"},
            {"name": "other", "call": "hotels/list", "when": "= args.hotels", "otherwise": {"items": ["=plain"]}},
            {"name": "third", "call": "hotels/get", "when": "plain != null && size(plain.items) == 3",
             "with": {"id": "=plain.items[2].id + 1"}},
        ],
        "result": {"plain": "=plain", "other": "=other", "third": "=third"}
    });
    let harness = gate(&[("hotels", &hotels)], tool).await;
    let result = trip(&harness, json!({})).await;
    assert_eq!(value(&result), &json!({"plain": null, "other": {"items": [null]}, "third": null}));
    assert_eq!(hotels.count("tools/call"), 0);
    let result = trip(&harness, json!({"hotels": true})).await;
    let items = json!({"items": [{"id": 1}, {"id": 2}, {"id": 3}]});
    let third = json!({"hotel": 4, "place": null});
    assert_eq!(value(&result), &json!({"plain": items, "other": items, "third": third}));
}

#[tokio::test]
async fn one_call_for_each_element_and_no_more_at_once_than_allowed() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (running, peak) = (Arc::clone(&now), Arc::clone(&most));
    let hotels = McpServer::modern()
        .tools(vec![echo_tool("get")])
        .on("tools/call", move |mut exchange| {
            let (running, peak) = (Arc::clone(&running), Arc::clone(&peak));
            async move {
                peak.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                let given = Gives::Value(exchange.params()["arguments"].clone());
                running.fetch_sub(1, Ordering::SeqCst);
                exchange.result(result(Era::Modern, given)).await;
            }
        })
        .start()
        .await;
    let tool = json!({
        "arguments": {"ids": "array"},
        "steps": [{"name": "all", "call": "hotels/get", "each": "args.ids",
                   "with": {"id": "=item", "place": "=index"}}],
        "result": "=all.map(one, one.id * 10 + one.place)"
    });
    let harness = gate(&[("hotels", &hotels)], tool).await;
    let ids: Vec<_> = (0..30).rev().collect();
    let result = trip(&harness, json!({"ids": ids})).await;
    let expected: Vec<_> = (0..30).map(|place| (29 - place) * 10 + place).collect();
    assert_eq!(value(&result), &json!(expected));
    assert!(most.load(Ordering::SeqCst) <= 8, "{most:?}");
    let result = trip(&harness, json!({"ids": []})).await;
    assert_eq!(value(&result), &json!([]));
    let result = trip(&harness, json!({"ids": (0..101).collect::<Vec<_>>()})).await;
    assert!(failure(&result).contains("101 elements"), "{result}");
    assert_eq!(hotels.count("tools/call"), 30);
}

#[tokio::test]
async fn texts_are_read_as_json_where_they_are() {
    let server = giving(Era::Legacy, &["json", "text"], |name, _| match name {
        "json" => Gives::Text(r#"{"b": 123456789012345678901234567890, "a": [1.50]}"#),
        _ => Gives::Text("just said"),
    })
    .await;
    let tool = json!({
        "steps": [{"name": "a", "call": "s/json"}, {"name": "b", "call": "s/text"}],
        "result": {"all": "=a", "part": "=a.b", "said": "=b"}
    });
    let harness = gate(&[("s", &server)], tool).await;
    let params = json!({"name": "trip", "arguments": {}});
    let answer = harness.modern(super::TRIPS, "tools/call", params).await.text();
    let all = r#""structuredContent":{"all":{"b": 123456789012345678901234567890, "a": [1.50]},"part":123456789012345678901234567890,"said":"just said"}"#;
    assert!(answer.contains(all), "{answer}");

    // The last value is the result, and a text is a text alone.
    let tool = json!({"steps": [{"name": "b", "call": "s/text"}]});
    let harness = gate(&[("s", &server)], tool).await;
    let result = trip(&harness, json!({})).await;
    assert_eq!(crate::api::text(&result), "just said");
    assert!(result["structuredContent"].is_null() && result["isError"].is_null(), "{result}");
}

#[tokio::test]
async fn an_api_is_called_as_any_server() {
    let api = ScriptedServer::start(|mut exchange| async move {
        let body = json!({"at": exchange.request().target}).to_string();
        exchange.respond(200, &[("Content-Type", "application/json")], body).await;
    })
    .await;
    let geo = places(Era::Legacy).await;
    let tool = json!({
        "arguments": {"city": "string"},
        "steps": [
            {"name": "place", "call": "geo/search", "with": {"q": "=args.city"}},
            {"name": "stock", "call": "shop/getItem", "with": {"id": "=place.found[0].id", "n": "=place.found[0].n"}},
        ],
    });
    let shop = json!({"url": api.url("/v1"), "tools": {"define": {
        "getItem": {"path": "/items/{id}", "arguments": {"n": "integer"}}}}});
    let harness = Harness::start(json!({"servers": {
        "shop": shop, "geo": {"url": geo.url()}, "trips": {"compose": {"trip": tool}}}}))
    .await;
    let result = trip(&harness, json!({"city": "a/b"})).await;
    assert_eq!(value(&result), &json!({"at": "/v1/items/a%2Fb-1?n=7"}));
}

#[tokio::test]
async fn the_result_is_checked_against_its_schema() {
    let geo = places(Era::Modern).await;
    let tool = |kind: &str| {
        json!({
            "steps": [{"name": "place", "call": "geo/search", "with": {"q": "x"}}],
            "result": {"id": "=place.found[0].id"},
            "output": {"type": "object", "properties": {"id": {"type": kind}}}
        })
    };
    let harness = gate(&[("geo", &geo)], tool("string")).await;
    assert_eq!(value(&trip(&harness, json!({})).await), &json!({"id": "x-1"}));
    let harness = gate_with(&[("geo", &geo)], tool("integer"), json!({"title": "Trips"})).await;
    let result = trip(&harness, json!({})).await;
    let failure = failure(&result);
    assert!(failure.contains("does not fit the output schema"), "{failure}");
    assert!(failure.contains("`id` must be of type integer"), "{failure}");
    assert!(failure.contains(r#"{"id":"x-1"}"#), "{failure}");
}
