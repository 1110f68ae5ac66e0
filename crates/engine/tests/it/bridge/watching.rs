//! Resources that change in one session of a legacy server, and are told of nowhere else: whoever
//! listens hears of them, and hears that something may have been missed when a session was lost.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{EventStream, McpServer, echo_tool, modern};
use wire::Era;

use super::parts::{ENDPOINTS, Modern, everything, tool_at};
use crate::harness::{COMPOSED, Harness, ONE, assert_said, said};

const UPDATED: &str = "notifications/resources/updated";
const TOOLS_CHANGED: &str = "notifications/tools/list_changed";
const NOTE: &str = "file:///note";

/// What the sessions of a server asked to be told of.
type Subscribed = Arc<Mutex<HashSet<(String, String)>>>;

/// A legacy server whose tool changes a resource of the session in which it is called; only that
/// session is told, and only if it subscribed.
async fn server() -> (McpServer, Subscribed) {
    let subscribed = Subscribed::default();
    let builder = McpServer::legacy()
        .tools(vec![echo_tool("echo")])
        .list("resources/list", vec![json!({"uri": NOTE, "name": "note"})]);
    let (news, on, off) = (builder.news(), Arc::clone(&subscribed), Arc::clone(&subscribed));
    let known = Arc::clone(&subscribed);
    let uri_of = |exchange: &testkit::Exchange| {
        (exchange.session(), exchange.params()["uri"].as_str().unwrap().to_owned())
    };
    let server = builder
        .on("resources/subscribe", move |mut exchange| {
            on.lock().unwrap().insert(uri_of(&exchange));
            async move { exchange.result(json!({})).await }
        })
        .on("resources/unsubscribe", move |mut exchange| {
            off.lock().unwrap().remove(&uri_of(&exchange));
            async move { exchange.result(json!({})).await }
        })
        .on("tools/call", move |mut exchange| {
            let session = exchange.session();
            if known.lock().unwrap().contains(&(session.clone(), NOTE.to_owned())) {
                let message = json!({"method": UPDATED, "params": {"uri": NOTE}});
                news.send(Some(&session), message);
            }
            async move { exchange.result(said(Era::Legacy, "changed")).await }
        })
        .start()
        .await;
    (server, subscribed)
}

/// Opens a listen stream of a modern client for the note.
async fn listen(harness: &Harness, endpoint: &str) -> EventStream {
    let filter = json!({"resourceSubscriptions": [NOTE], "toolsListChanged": true});
    let params = json!({"notifications": filter});
    let mut stream = harness.stream(&modern(endpoint, "L", "subscriptions/listen", params)).await;
    let first = stream.next().await;
    assert_eq!(first["params"]["notifications"]["resourceSubscriptions"], json!([NOTE]));
    stream
}

/// The sessions that are subscribed to the note.
fn sessions(subscribed: &Subscribed) -> HashSet<String> {
    subscribed.lock().unwrap().iter().map(|(session, _)| session.clone()).collect()
}

async fn until_subscribed(subscribed: &Subscribed, number: usize) {
    testkit::until("the subscriptions", || sessions(subscribed).len() == number).await;
}

/// Waits for word of the note.
async fn hears(stream: &mut EventStream) {
    assert_eq!(stream.next_of(UPDATED).await["params"]["uri"], NOTE);
}

#[tokio::test]
async fn a_modern_listener_hears_of_every_session_that_clients_share() {
    for endpoint in ENDPOINTS {
        let (server, subscribed) = server().await;
        let harness = Harness::before(&server).await;
        harness.modern(endpoint, "resources/list", json!({})).await;
        let mut stream = listen(&harness, endpoint).await;
        until_subscribed(&subscribed, 1).await;
        // The session of clients that can be asked nothing, and one of others, begun later.
        for (number, able) in (1..).zip([json!({}), everything()]) {
            let client = Modern::able(&harness, endpoint, able);
            assert_said(&client.call(&client.params(json!({}))).await, "changed");
            until_subscribed(&subscribed, number).await;
            assert_said(&client.call(&client.params(json!({}))).await, "changed");
            hears(&mut stream).await;
        }
        assert_eq!(server.count("initialize"), 2);
        drop(stream);
        until_subscribed(&subscribed, 0).await;
    }
}

#[tokio::test]
async fn a_legacy_client_hears_of_its_own_session() {
    for endpoint in ENDPOINTS {
        for mode in ["auto", "shared"] {
            let (server, subscribed) = server().await;
            let harness = Harness::start(json!({"servers": {"s": {
                "url": server.url(), "session": mode}}}))
            .await;
            let (one, other) = (harness.session(endpoint).await, harness.session(endpoint).await);
            let (mut stream, mut others) = (one.listen().await, other.listen().await);
            let tool = json!({"name": tool_at(endpoint)});
            for session in [&one, &other] {
                assert_said(&session.send(1, "tools/call", tool.clone()).await, "changed");
            }
            let answer = one.send(2, "resources/subscribe", json!({"uri": NOTE})).await;
            assert_eq!(answer.json()["result"], json!({}), "{}", answer.text());
            testkit::until("a subscription", || !sessions(&subscribed).is_empty()).await;
            testkit::within("word of the note", async {
                // A session begun a moment ago may only now be told of the wish.
                loop {
                    one.send(3, "tools/call", tool.clone()).await;
                    if !stream.is_silent_for(Duration::from_millis(200)).await {
                        return;
                    }
                }
            })
            .await;
            assert!(others.is_silent_for(Duration::from_millis(200)).await, "never asked for");
            let answer = one.send(4, "resources/unsubscribe", json!({"uri": NOTE})).await;
            assert_eq!(answer.json()["result"], json!({}), "{}", answer.text());
            until_subscribed(&subscribed, 0).await;
        }
    }
}

#[tokio::test]
async fn a_lost_session_is_subscribed_anew_and_a_modern_listener_reads_again() {
    for endpoint in ENDPOINTS {
        let (server, subscribed) = server().await;
        let harness = Harness::before(&server).await;
        harness.modern(endpoint, "resources/list", json!({})).await;
        let mut stream = listen(&harness, endpoint).await;
        until_subscribed(&subscribed, 1).await;
        let lost = sessions(&subscribed).into_iter().next().unwrap();
        server.news().heard_in(&lost).await;
        subscribed.lock().unwrap().clear();
        server.forget_sessions();
        server.news().end_streams(None);
        // Nobody told of the note: something may have been missed.
        hears(&mut stream).await;
        until_subscribed(&subscribed, 1).await;
        let next = sessions(&subscribed).into_iter().next().unwrap();
        assert_ne!(next, lost);
        let client = Modern::able(&harness, endpoint, json!({}));
        testkit::within("word of the note in the new session", async {
            loop {
                assert_said(&client.call(&client.params(json!({}))).await, "changed");
                if !stream.is_silent_for(Duration::from_millis(200)).await {
                    return;
                }
            }
        })
        .await;
    }
}

/// A legacy client hears that it may have missed something when the session with its server was lost,
/// and hears of the note as before.
async fn hears_of_a_lost_session(endpoint: &str, mode: &str) {
    let (server, subscribed) = server().await;
    let harness = Harness::start(json!({"servers": {"s": {
        "url": server.url(), "session": mode}}}))
    .await;
    let session = harness.session(endpoint).await;
    let mut stream = session.listen().await;
    let tool = json!({"name": tool_at(endpoint)});
    assert_said(&session.send(1, "tools/call", tool.clone()).await, "changed");
    session.send(2, "resources/subscribe", json!({"uri": NOTE})).await;
    testkit::until("a subscription", || !sessions(&subscribed).is_empty()).await;
    for lost in sessions(&subscribed) {
        server.news().heard_in(&lost).await;
    }
    subscribed.lock().unwrap().clear();
    server.forget_sessions();
    server.news().end_streams(None);
    hears(&mut stream).await;
    testkit::until("a subscription", || !sessions(&subscribed).is_empty()).await;
    testkit::within("word of the note in the new session", async {
        loop {
            assert_said(&session.send(3, "tools/call", tool.clone()).await, "changed");
            if !stream.is_silent_for(Duration::from_millis(200)).await {
                return;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_lost_session_that_legacy_clients_share_is_told_as_well() {
    for (endpoint, mode) in [(ONE, "shared"), (COMPOSED, "shared"), (COMPOSED, "auto")] {
        hears_of_a_lost_session(endpoint, mode).await;
    }
}

#[tokio::test]
async fn a_lost_session_of_one_legacy_client_is_told_as_well() {
    hears_of_a_lost_session(ONE, "auto").await;
}

#[tokio::test]
async fn lists_that_change_in_one_session_are_told_to_all() {
    for endpoint in ENDPOINTS {
        let (server, _subscribed) = server().await;
        let harness = Harness::before(&server).await;
        harness.modern(endpoint, "tools/list", json!({})).await;
        let mut listener = listen(&harness, endpoint).await;
        let session = harness.session(endpoint).await;
        let mut stream = session.listen().await;
        let tool = json!({"name": tool_at(endpoint)});
        assert_said(&session.send(1, "tools/call", tool).await, "changed");
        let used = server.http().requests_of("tools/call");
        let used = used.last().unwrap().headers.get("mcp-session-id").unwrap().to_owned();
        server.news().heard_in(&used).await;
        server.notify_session(&used, TOOLS_CHANGED, Value::Null);
        assert_eq!(listener.next_of(TOOLS_CHANGED).await["method"], TOOLS_CHANGED, "{endpoint}");
        assert_eq!(stream.next_of(TOOLS_CHANGED).await["method"], TOOLS_CHANGED, "{endpoint}");
    }
}
