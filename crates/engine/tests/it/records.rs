//! Each call leaves exactly one record, whatever happened to it.

use serde_json::json;
use store::CallOutcome;
use testkit::{McpServer, echo_tool, modern};
use wire::Era;

use crate::harness::{COMPOSED, ERAS, Harness, said};

/// A server with a tool for each way in which a call can end.
async fn server(era: Era) -> McpServer {
    McpServer::of(era)
        .tools(["fine", "error", "refused", "broken", "hang"].map(echo_tool).to_vec())
        .on("tools/call", move |mut exchange| async move {
            match exchange.params()["name"].as_str().unwrap() {
                "fine" => exchange.result(said(era, "well")).await,
                "error" => {
                    let mut result = said(era, "no");
                    result["isError"] = json!(true);
                    exchange.result(result).await;
                }
                "refused" => exchange.error(200, -32602, "bad arguments").await,
                "broken" => exchange.respond(500, &[], "").await,
                _ => exchange.closed().await,
            }
        })
        .start()
        .await
}

#[tokio::test]
async fn every_end_is_recorded_once() {
    for server_era in ERAS {
        let server = server(server_era).await;
        let mut harness = Harness::start(json!({"servers": {"s": {
            "url": server.url(), "timeout": "200ms", "session": "shared"}}}))
        .await;
        for era in ERAS {
            let client = harness.client(era, COMPOSED).await;
            client.send("tools/list", json!({})).await;
            let list = testkit::within("a record", harness.records.recv()).await.unwrap();
            assert_eq!((&*list.method, list.outcome), ("tools/list", CallOutcome::Success));
            for (name, outcome) in [
                ("s__fine", CallOutcome::Success),
                ("s__error", CallOutcome::ServerError),
                ("s__refused", CallOutcome::ServerError),
                ("s__broken", CallOutcome::Fault("server-failed")),
                ("s__hang", CallOutcome::Fault("deadline-exceeded")),
                ("s__none", CallOutcome::Fault("unknown-name")),
            ] {
                let answer = client.call(name).await;
                let record = testkit::within("a record", harness.records.recv()).await.unwrap();
                assert_eq!(record.outcome, outcome, "{name}");
                assert_eq!(record.name.as_deref(), Some(name));
                assert_eq!(&*record.endpoint, COMPOSED);
                let asked = (name != "s__none").then_some("s");
                assert_eq!(record.server.as_deref(), asked, "{name}");
                let correlation = std::str::from_utf8(&record.correlation).unwrap();
                assert_eq!(answer.headers.get("x-correlation-id"), Some(correlation), "{name}");
            }
        }
        assert!(harness.records.try_recv().is_err(), "no call left two");
    }
}

#[tokio::test]
async fn a_call_that_was_given_up_is_recorded_as_cancelled() {
    for server_era in ERAS {
        let server = server(server_era).await;
        let mut harness = Harness::before(&server).await;
        let mut connection = harness.connect().await;
        let call = modern("/servers/s/mcp", 1, "tools/call", json!({"name": "hang"}));
        connection.write(call.bytes()).await;
        server.wait_for("tools/call", 1).await;
        drop(connection);
        let record = testkit::within("a record", harness.records.recv()).await.unwrap();
        assert_eq!(record.outcome, CallOutcome::Fault("cancelled"));
        assert!(harness.records.try_recv().is_err());
    }
}
