//! The load generator against the upstream, with nothing between them.

use std::time::Duration;

use bench::http1::Connection;
use bench::load::{Load, Question, ask_once, listen};
use bench::request::{Declares, Era, Form, Target, Writer};
use bench::upstream::{Tally, Upstream};
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
                declares: Declares::Questions,
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
        declares: Declares::Nothing,
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

#[tokio::test]
async fn a_session_is_asked_and_the_call_executed_once_it_accepts() {
    let target = upstream().await;
    let (era, declares) = (Era::Legacy, Declares::Questions);
    let writer = Writer { target: &target, era, declares, session: Some("1"), connection: 0 };
    let connect = || Connection::open(target.address);
    let (mut call, mut other) = (connect().await.unwrap(), connect().await.unwrap());
    let mut asking = writer.asking_call("tool_1", 16, "100000042", "");
    call.open_stream(asking.next_request().0, br#""id":"ask-100000042""#).await.unwrap();

    let tally = async |other: &mut Connection| -> Tally {
        let path = Target { path: "/tally".to_owned(), ..target.clone() };
        let mut get = Writer { target: &path, ..writer.clone() }.get();
        let (_, body) = other.exchange(get.next_request().0).await.unwrap();
        serde_json::from_slice(body).unwrap()
    };
    let once = |executed| Tally { calls: 1, made: 1, executed, repeated: 0 };
    assert_eq!(tally(&mut other).await, once(0));
    let answer = r#"{"jsonrpc":"2.0","id":"ask-100000042","result":{"action":"accept"}}"#;
    let length = answer.len();
    let post =
        format!("POST /s/0/mcp HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{answer}");
    for _ in 0..2 {
        assert_eq!(other.exchange(post.as_bytes()).await.unwrap().0.status, 202);
    }
    call.wait().await.unwrap();
    assert_eq!(tally(&mut other).await, once(1), "answered twice, executed once");
}
