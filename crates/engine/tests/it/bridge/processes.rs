//! Processes that ask: one pipe carries all calls, and nothing on it says which call a question
//! belongs to. Calls whose clients can be asked take turns, and never for long.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::Answer;
use wire::Era;

use super::parts::{
    ENDPOINTS, Legacy, Modern, asked, form, heard, heard_in, kinds, named, rooted, roots,
};
use crate::harness::{Harness, ONE, assert_tool_fault};
use crate::process::{journal, process};

/// A gate before one legacy process with these settings, and what the processes were told.
struct Bench {
    harness: Harness,
    journal: PathBuf,
    _directory: tempfile::TempDir,
}

impl Bench {
    async fn with(era: Era, settings: Value, limits: Value) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let journal = directory.path().join("journal");
        // Lists take no turn, which lets a test end a process whose calls wait.
        let script = json!({"journal": journal, "on": {"prompts/list": ["!exit"]}});
        let mut server = process(era, script);
        server.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let config = json!({"servers": {"s": server}, "limits": limits});
        Self { harness: Harness::start(config).await, journal, _directory: directory }
    }

    async fn legacy(settings: Value) -> Self {
        Self::with(Era::Legacy, settings, json!({})).await
    }

    /// The messages with this method that all processes got.
    fn told(&self, method: &str) -> Vec<Value> {
        let lines = journal(&self.journal);
        let messages = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        messages.filter(|message| message["method"] == method).collect()
    }

    /// Ends the process of the clients that declare what `params` does.
    async fn end_process(&self, params: &Value) {
        let list = self.harness.modern(ONE, "prompts/list", json!({"_meta": params["_meta"]}));
        assert_eq!(list.await.code(), 1001, "it ends instead of answering");
    }

    async fn until_told(&self, method: &str, number: usize) {
        testkit::until(method, || self.told(method).len() >= number).await;
    }
}

/// Which process gave an answer.
fn process_of(answer: &Answer) -> u64 {
    let meta = &answer.json()["result"]["_meta"];
    meta["process"].as_u64().unwrap_or_else(|| panic!("no answer: {}", answer.text()))
}

fn form_saying(message: &str) -> Value {
    let mut question = form();
    question["params"]["message"] = json!(message);
    question
}

#[tokio::test]
async fn a_question_is_the_only_calls_that_is_in_flight() {
    let bench = Bench::legacy(json!({})).await;
    let mut calls = 0;
    for endpoint in ENDPOINTS {
        let modern = Modern::at(&bench.harness, endpoint);
        let legacy = Legacy::at(&bench.harness, endpoint).await;
        for (question, answer) in kinds() {
            let params = modern.rounds(json!([[question]]));
            let asked = modern.asked(&params).await;
            let answered = modern.retry(&params, &asked, json!({"q1": answer})).await;
            assert_eq!(heard(&answered), json!([answer]));
            let said = legacy.converse(json!({"rounds": [[question]]}), |_| answer.clone()).await;
            assert_eq!(said.questions.len(), 1);
            assert_eq!(heard_in(&said.end), json!([answer]));
            calls += 2;
            assert_eq!(bench.told("tools/call").len(), calls);
        }
        let params = modern.rounds(json!([[form(), roots()], [form()]]));
        let first = modern.asked(&params).await;
        let keys: Vec<_> = first["inputRequests"].as_object().unwrap().keys().collect();
        assert_eq!(keys[0], "q1");
        // Lines of one moment may be read in two.
        let answers = json!({"q1": named("Ada"), "q2": rooted()});
        let mut second = asked(&modern.retry(&params, &first, answers.clone()).await);
        if second["inputRequests"]["q2"].is_object() {
            second = asked(&modern.retry(&params, &second, answers).await);
        }
        let answered = modern.retry(&params, &second, json!({"q3": named("Bob")})).await;
        assert_eq!(heard(&answered), json!([named("Ada"), rooted(), named("Bob")]));
        calls += 1;
    }
    assert_eq!(bench.told("tools/call").len(), calls);
}

#[tokio::test]
async fn a_modern_process_asks_a_legacy_client() {
    let bench = Bench::with(Era::Modern, json!({}), json!({})).await;
    for (number, endpoint) in (1..).zip(ENDPOINTS) {
        let client = Legacy::at(&bench.harness, endpoint).await;
        let rounds = json!({"rounds": [{"a": form(), "b": roots()}, {"c": form()}]});
        let answer = |question: &Value| {
            if question["method"] == "roots/list" { rooted() } else { named("Ada") }
        };
        let said = client.converse(rounds, answer).await;
        assert_eq!(said.questions.len(), 3);
        let expected = json!([{"a": named("Ada"), "b": rooted()}, {"c": named("Ada")}]);
        assert_eq!(heard_in(&said.end), expected);
        assert_eq!(bench.told("tools/call").len(), number * 3);
    }
}

#[tokio::test]
async fn calls_that_may_ask_take_turns() {
    let bench = Bench::legacy(json!({})).await;
    let client = Modern::at(&bench.harness, ONE);
    let params = |who: &str| client.rounds(json!([[form_saying(who)]]));
    let (first, second) = (params("first"), params("second"));
    let asked_first = client.asked(&first).await;
    let waiting = tokio::spawn({
        let (request, address) = (client.request(&second), bench.harness.address);
        async move { testkit::send(address, &request).await }
    });
    testkit::until("the second call", || bench.harness.gate.overview().servers[0].running == 1)
        .await;
    assert_eq!(bench.told("tools/call").len(), 1, "its turn has not come");
    let answered = client.retry(&first, &asked_first, json!({"q1": named("Ada")})).await;
    assert_eq!(heard(&answered), json!([named("Ada")]));
    let asked_second = asked(&waiting.await.unwrap());
    let message = &asked_second["inputRequests"]["q1"]["params"]["message"];
    assert_eq!(message, "second");
    let again = client.retry(&second, &asked_second, json!({"q1": named("Bob")})).await;
    assert_eq!(heard(&again), json!([named("Bob")]));
    assert_eq!(process_of(&answered), process_of(&again), "one process for both");
    assert_eq!(bench.told("initialize").len(), 1);
}

#[tokio::test]
async fn whoever_waits_for_long_gets_another_process() {
    let bench = Bench::legacy(json!({})).await;
    let client = Modern::at(&bench.harness, ONE);
    let params = |who: &str| client.rounds(json!([[form_saying(who)]]));
    let (first, second) = (params("first"), params("second"));
    let asked_first = client.asked(&first).await;
    let began = Instant::now();
    let asked_second = client.asked(&second).await;
    let waited = began.elapsed();
    assert!(waited >= Duration::from_secs(2), "{waited:?}");
    assert_eq!(asked_second["inputRequests"]["q1"]["params"]["message"], "second");
    let one = client.retry(&first, &asked_first, json!({"q1": named("first")})).await;
    let two = client.retry(&second, &asked_second, json!({"q1": named("second")})).await;
    assert_eq!((heard(&one), heard(&two)), (json!([named("first")]), json!([named("second")])));
    assert_ne!(process_of(&one), process_of(&two));
    // Both are used from now on, and no third is needed.
    let (first, second) = (params("first"), params("second"));
    let asked_first = client.asked(&first).await;
    let asked_second = client.asked(&second).await;
    for (params, asked) in [(&first, &asked_first), (&second, &asked_second)] {
        client.retry(params, asked, json!({"q1": named("x")})).await;
    }
    assert_eq!(bench.told("initialize").len(), 2);
    assert_eq!(bench.told("tools/call").len(), 4);
}

#[tokio::test]
async fn where_there_may_be_one_process_the_waiting_call_is_told_so() {
    let bench = Bench::legacy(json!({"processes": 1})).await;
    let client = Modern::at(&bench.harness, ONE);
    let params = client.rounds(json!([[form()]]));
    let asked = client.asked(&params).await;
    let began = Instant::now();
    let refused = client.call(&params).await;
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(refused.code(), 1003, "{}", refused.text());
    let text = refused.text();
    assert!(text.contains("`processes`") && text.contains("`questions: off`"), "{text}");
    assert_eq!(bench.told("tools/call").len(), 1);
    let answered = client.retry(&params, &asked, json!({"q1": named("Ada")})).await;
    assert_eq!(heard(&answered), json!([named("Ada")]));
    assert_eq!(heard(&client.call(&client.rounds(json!([]))).await), json!([]));
}

#[tokio::test]
async fn a_waiting_call_holds_up_no_list() {
    let bench = Bench::legacy(json!({"processes": 1})).await;
    for endpoint in ENDPOINTS {
        let client = Modern::at(&bench.harness, endpoint);
        let params = client.rounds(json!([[form()]]));
        let asked = client.asked(&params).await;
        let meta = json!({"_meta": params["_meta"]});
        // There is no other process, and never will be.
        let list = bench.harness.modern(endpoint, "tools/list", meta).await;
        assert!(list.text().contains("echo"), "{}", list.text());
        let answered = client.retry(&params, &asked, json!({"q1": named("Ada")})).await;
        assert_eq!(heard(&answered), json!([named("Ada")]));
    }
    assert_eq!(bench.told("initialize").len(), 1);
}

#[tokio::test]
async fn calls_never_wait_for_each_other_where_questions_are_off() {
    for questions in ["off", "auto"] {
        let bench = Bench::legacy(json!({"questions": questions})).await;
        let client = Modern::at(&bench.harness, ONE);
        let silent = tokio::spawn({
            let request = client.request(&client.params(json!({"silent": true})));
            let address = bench.harness.address;
            async move { testkit::send(address, &request).await }
        });
        bench.until_told("tools/call", 1).await;
        let params = client.rounds(json!([[form()]]));
        let answer = client.call(&params).await;
        let processes = bench.told("initialize").len();
        if questions == "off" {
            assert_eq!(heard(&answer)[0]["error"]["code"], -32601, "{}", answer.text());
            assert_eq!(processes, 1);
            assert_eq!(bench.told("initialize")[0]["params"]["capabilities"], json!({}));
        } else {
            let asked = asked(&answer);
            client.retry(&params, &asked, json!({"q1": named("Ada")})).await;
            assert_eq!(processes, 2);
        }
        assert_eq!(bench.told("tools/call").len(), 2);
        silent.abort();
    }
}

#[tokio::test]
async fn whoever_cannot_be_asked_waits_for_nobody() {
    let bench = Bench::legacy(json!({"processes": 2})).await;
    let able = Modern::at(&bench.harness, ONE);
    let params = able.rounds(json!([[form()]]));
    let asked = able.asked(&params).await;
    let plain = Modern::able(&bench.harness, ONE, json!({}));
    for _ in 0..3 {
        let answer = plain.call(&plain.rounds(json!([[form()]]))).await;
        assert_eq!(heard(&answer)[0]["error"]["code"], -32601, "never the other's question");
    }
    let answered = able.retry(&params, &asked, json!({"q1": named("Ada")})).await;
    assert_eq!(heard(&answered), json!([named("Ada")]));
    assert_eq!(bench.told("initialize").len(), 2);
}

#[tokio::test]
async fn a_process_that_ends_ends_the_call_that_waits_in_it() {
    let bench = Bench::legacy(json!({})).await;
    for (number, endpoint) in (1..).zip(ENDPOINTS) {
        let client = Modern::at(&bench.harness, endpoint);
        let params = client.rounds(json!([[form()]]));
        let asked = client.asked(&params).await;
        bench.end_process(&params).await;
        let lost = client.retry(&params, &asked, json!({"q1": named("Ada")})).await;
        assert_eq!(lost.json()["result"]["isError"], true, "{}", lost.text());
        assert_eq!(bench.told("tools/call").len(), number * 2 - 1, "never called again");
        // The next call is another process's.
        assert_eq!(heard(&client.call(&client.rounds(json!([]))).await), json!([]));
    }
}

#[tokio::test]
async fn nobody_comes_back_to_a_process() {
    let bench = Bench::with(Era::Legacy, json!({"processes": 1}), json!({"answer_wait": "1s"}));
    let bench = bench.await;
    let client = Modern::at(&bench.harness, ONE);
    let params = client.rounds(json!([[form()]]));
    let asked = client.asked(&params).await;
    bench.until_told("notifications/cancelled", 1).await;
    let call = &bench.told("tools/call")[0]["id"];
    assert_eq!(&bench.told("notifications/cancelled")[0]["params"]["requestId"], call);
    let answered = || journal(&bench.journal).contains(r#""action":"cancel""#);
    testkit::until("the answer for a person who is not there", answered).await;
    let late = client.retry(&params, &asked, json!({"q1": named("Ada")})).await;
    assert_tool_fault(&late, Era::Modern, "interaction-expired");
    // Its turn has passed on.
    assert_eq!(heard(&client.call(&client.rounds(json!([]))).await), json!([]));
    assert_eq!(bench.told("tools/call").len(), 2);
}

#[tokio::test]
async fn whoever_waits_for_a_process_that_ends_gets_a_new_one() {
    let bench = Bench::legacy(json!({"processes": 1})).await;
    let client = Modern::at(&bench.harness, ONE);
    // The call that ends the process holds the turn; the next one waits for it.
    let params = client.rounds(json!([[form()]]));
    let asked_first = client.asked(&params).await;
    let waiting = tokio::spawn({
        let (request, address) = (client.request(&params), bench.harness.address);
        async move { testkit::send(address, &request).await }
    });
    testkit::until("the second call", || bench.harness.gate.overview().servers[0].running == 1)
        .await;
    bench.end_process(&params).await;
    let second = waiting.await.unwrap();
    let asked_second = asked(&second);
    let answered = client.retry(&params, &asked_second, json!({"q1": named("Bob")})).await;
    assert_eq!(heard(&answered), json!([named("Bob")]), "on a new process");
    let lost = client.retry(&params, &asked_first, json!({"q1": named("Ada")})).await;
    assert_eq!(lost.json()["result"]["isError"], true, "{}", lost.text());
    assert_eq!(bench.told("tools/call").len(), 2, "nothing is called twice");
}
