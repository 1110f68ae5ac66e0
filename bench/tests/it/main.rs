//! The load generator against the upstream, with nothing between them.

use std::time::Duration;

use bench::load::{Load, Question, ask_once, listen};
use bench::request::{Era, Form, Target};
use bench::upstream::Upstream;
use tokio::net::TcpListener;

async fn upstream() -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("it listens");
    tokio::spawn(Upstream::new(3, "tool_").run(listener));
    Target { address, path: "/s/0/mcp".to_owned() }
}

#[tokio::test]
async fn every_question_is_answered_rightly_in_both_eras() {
    let target = upstream().await;
    let calls = [Form::Json, Form::Sse].into_iter().flat_map(|form| {
        [16, 100 * 1024].map(|size| Question::Call { tool: "tool_1".to_owned(), size, form })
    });
    for question in calls.chain([Question::List]) {
        for era in [Era::Modern, Era::Legacy] {
            let load = Load {
                target: target.clone(),
                era,
                question: question.clone(),
                connections: 4,
                duration: Duration::from_millis(20),
            };
            let report = load.run().await.unwrap();
            assert!(report.requests >= 4 && report.p99_us >= report.p50_us, "{report:?}");
        }
    }
}

#[tokio::test]
async fn a_tool_that_refuses_fails_the_run() {
    let size = 1024 * 1024 * 1024;
    let question = Question::Call { tool: "tool_1".to_owned(), size, form: Form::Json };
    let load = Load {
        target: upstream().await,
        era: Era::Modern,
        question,
        connections: 1,
        duration: Duration::from_millis(20),
    };
    let error = load.run().await.unwrap_err();
    assert!(error.to_string().contains("does not echo") || error.to_string().contains("result"));
}

#[tokio::test]
async fn the_list_is_real_json_with_as_many_tools_as_asked() {
    let target = upstream().await;
    for era in [Era::Modern, Era::Legacy] {
        let body = ask_once(&target, era, &Question::List).await.unwrap();
        let list: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let tools = list["result"]["tools"].as_array().unwrap();
        assert_eq!(tools.len(), 3);
        assert_eq!(tools[2]["name"], "tool_2");
    }
}

#[tokio::test]
async fn streams_are_acknowledged_and_stay_open() {
    let target = upstream().await;
    let mut streams = listen(&target, 70).await.unwrap();
    assert_eq!(streams.len(), 70);
    let silence = tokio::time::timeout(Duration::from_millis(20), streams[0].wait()).await;
    assert!(silence.is_err(), "an idle stream neither ends nor speaks");
}
