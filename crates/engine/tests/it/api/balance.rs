//! APIs with several addresses: who is asked, and what happens where one cannot be reached.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{HttpRequest, ScriptedServer, within};
use tokio::net::{TcpListener, TcpSocket};
use wire::Era;

use super::{Api, merge, pets, text};
use crate::harness::{Harness, ONE, assert_tool_fault};

/// An address of the API, which says its name.
async fn place(name: &'static str) -> ScriptedServer {
    ScriptedServer::start(move |mut exchange| async move {
        exchange.json(200, &json!({"name": name})).await;
    })
    .await
}

/// An address where nothing listens, and that nobody else gets while the socket is held.
fn nowhere() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// A gate before an API at these addresses.
async fn gate(urls: &[String], more: Value) -> (Harness, TempDir) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("api.json");
    std::fs::write(&file, pets().to_string()).unwrap();
    let mut server = json!({"openapi": file, "url": urls});
    merge(&mut server, more);
    let endpoints = json!({"/mcp": {"servers": "*"}, "/pets": {"server": "s", "http": true}});
    (Harness::start(json!({"servers": {"s": server}, "endpoints": endpoints})).await, folder)
}

async fn call(harness: &Harness) -> Value {
    let params = json!({"name": "getPet", "arguments": {"id": "1"}});
    harness.modern(ONE, "tools/call", params).await.json()["result"].clone()
}

/// Who answers a call.
async fn answering(harness: &Harness) -> String {
    let result = call(harness).await;
    let name = result["structuredContent"]["name"].as_str();
    name.unwrap_or_else(|| panic!("{result}")).to_owned()
}

/// Which addresses are left out.
fn left_out(harness: &Harness) -> Vec<bool> {
    let overview = harness.gate.overview();
    overview.servers[0].addresses.iter().map(|address| address.is_left_out).collect()
}

#[tokio::test]
async fn requests_are_shared_out() {
    for more in [json!({}), json!({"balance": "least-calls"}), json!({"balance": "round-robin"})] {
        let (one, two) = (place("one").await, place("two").await);
        let (harness, _folder) = gate(&[one.url("/v1"), two.url("/v2/?zone=b")], more).await;
        for _ in 0..6 {
            answering(&harness).await;
        }
        let targets = |server: &ScriptedServer| {
            server.requests().into_iter().map(|request| request.target).collect::<Vec<_>>()
        };
        assert_eq!(targets(&one), ["/v1/pets/1"; 3]);
        assert_eq!(targets(&two), ["/v2/pets/1?zone=b"; 3]);
        assert_eq!(left_out(&harness), [false, false]);
    }
    let (one, two) = (place("one").await, place("two").await);
    let (harness, _folder) = gate(&[one.url("/"), two.url("/")], json!({"balance": "first"})).await;
    for _ in 0..3 {
        assert_eq!(answering(&harness).await, "one");
    }
    assert!(two.requests().is_empty());
}

#[tokio::test]
async fn the_address_with_the_fewest_calls_is_asked() {
    let stuck = ScriptedServer::start(|mut exchange| async move { exchange.closed().await }).await;
    let free = place("free").await;
    let urls = [stuck.url("/"), free.url("/")];
    let (harness, _folder) = gate(&urls, json!({"balance": "least-calls", "timeout": "20s"})).await;
    let waiting = async {
        call(&harness).await;
        call(&harness).await
    };
    let asking = async {
        stuck.wait_where("a call that is stuck", 1, |request| request.verb == "GET").await;
        for _ in 0..5 {
            assert_eq!(answering(&harness).await, "free");
        }
    };
    tokio::select! {
        result = waiting => panic!("one of them is stuck: {result}"),
        () = asking => {}
    }
    assert_eq!(stuck.requests().len(), 1);
}

#[tokio::test]
async fn where_nothing_listens_is_left_alone_and_tried_again() {
    let ((held, gone), here) = (nowhere(), place("here").await);
    let urls = [format!("http://{gone}/v1"), here.url("/v2")];
    let (harness, _folder) = gate(&urls, json!({"balance": "first"})).await;
    for number in 1..=4 {
        assert_eq!(answering(&harness).await, "here");
        assert_eq!((left_out(&harness), here.requests().len()), (vec![true, false], number));
    }
    drop(held);
    let back = ScriptedServer::on(gone, |mut exchange| async move {
        exchange.json(200, &json!({"name": "back"})).await;
    })
    .await;
    within("the address to be tried again", async {
        while answering(&harness).await != "back" {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    })
    .await;
    assert_eq!(left_out(&harness), [false, false]);
    assert_eq!(answering(&harness).await, "back");
    assert_eq!(back.requests()[0].target, "/v1/pets/1");
}

#[tokio::test]
async fn where_nothing_answers_a_handshake_there_is_time_for_the_next() {
    // It takes connections, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = place("here").await;
    let urls = [format!("https://{}/", silent.local_addr().unwrap()), here.url("/")];
    let (harness, _folder) = gate(&urls, json!({"balance": "first", "timeout": "2s"})).await;
    for _ in 0..3 {
        assert_eq!(answering(&harness).await, "here");
    }
    assert_eq!(left_out(&harness), [true, false]);
}

#[tokio::test]
async fn where_nothing_can_be_reached_the_call_says_so() {
    let ((_held, one), (_too, two)) = (nowhere(), nowhere());
    let (harness, _folder) =
        gate(&[format!("http://{one}/"), format!("http://{two}/")], json!({})).await;
    for _ in 0..3 {
        let params = json!({"name": "getPet", "arguments": {"id": "1"}});
        let answer = harness.modern(ONE, "tools/call", params).await;
        let said = assert_tool_fault(&answer, Era::Modern, "server-failed");
        assert!(said.contains("cannot be reached"), "{said}");
        assert_eq!(left_out(&harness), [true, true]);
    }
}

#[tokio::test]
async fn what_may_have_arrived_is_sent_nowhere_else() {
    let torn = ScriptedServer::start(|exchange| async move { exchange.abort() }).await;
    let other = place("other").await;
    let urls = [torn.url("/"), other.url("/")];
    let (harness, _folder) = gate(&urls, json!({"balance": "first"})).await;
    for number in 1..=3 {
        let params = json!({"name": "addPet", "arguments": {"name": "Tom"}});
        let answer = harness.modern(ONE, "tools/call", params).await;
        assert_tool_fault(&answer, Era::Modern, "server-failed");
        assert_eq!(torn.requests().len(), number, "sent once");
    }
    assert!(other.requests().is_empty());
    assert_eq!(left_out(&harness), [false, false], "it can be connected to");
}

#[tokio::test]
async fn a_refused_token_is_replaced_where_it_was_refused() {
    let tokens = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tokens);
    let issuer = ScriptedServer::start(move |mut exchange| {
        let token = format!("token-{}", counted.fetch_add(1, Ordering::SeqCst));
        async move { exchange.json(200, &json!({"access_token": token})).await }
    })
    .await;
    // The first token is good once.
    let api = |name: &'static str, refused: &'static str| {
        ScriptedServer::start(move |mut exchange| async move {
            let shown = exchange.request().headers.get("authorization").unwrap_or_default();
            let status = if shown == refused { 401 } else { 200 };
            exchange.json(status, &json!({"name": name})).await;
        })
    };
    let (one, two) = (api("one", "").await, api("two", "Bearer token-0").await);
    let folder = TempDir::new().unwrap();
    let mut document = pets();
    document["security"] = json!([{"cloud": []}]);
    document["components"]["securitySchemes"] = json!({"cloud": {"type": "oauth2", "flows": {
        "clientCredentials": {"tokenUrl": issuer.url("/token"), "scopes": {}}}}});
    let file = folder.path().join("api.json");
    std::fs::write(&file, document.to_string()).unwrap();
    let cloud = json!({"client_id": "gate", "client_secret": "x", "token_url": issuer.url("/")});
    let harness = Harness::start(json!({"servers": {"s": {"openapi": file,
        "url": [one.url("/"), two.url("/")], "credentials": {"schemes": {"cloud": cloud}}}}}))
    .await;
    assert_eq!(answering(&harness).await, "one");
    assert_eq!(answering(&harness).await, "two");
    assert_eq!((one.requests().len(), two.requests().len()), (1, 2));
    assert_eq!(tokens.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn plain_requests_go_on_with_their_bodies() {
    let (_held, gone) = nowhere();
    let here = ScriptedServer::start(|mut exchange| async move {
        exchange.respond(201, &[("Location", "/v2/pets/7")], "").await;
    })
    .await;
    let urls = [format!("http://{gone}/v1?key=a"), here.url("/v2?key=b")];
    let (harness, _folder) = gate(&urls, json!({"balance": "first"})).await;
    let mut client = harness.connect().await;
    let head = HttpRequest::new("POST", "/pets/pets?key=mine&x=1")
        .header("Content-Type", "application/json")
        .header("Transfer-Encoding", "chunked");
    client.write(head.head()).await;
    client.write("7\r\n{\"name\"\r\n").await;
    client.write("7\r\n:\"Tom\"}\r\n0\r\n\r\n").await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(answer.headers.get("location"), Some("/pets/pets/7"));
    let request = here.requests().remove(0);
    assert_eq!(request.target, "/v2/pets?x=1&key=b");
    assert_eq!(request.body, br#"{"name":"Tom"}"#);
    assert_eq!(left_out(&harness), [true, false]);
}

/// A server of a document and of the API that it describes, whose `servers` are these.
async fn described(servers: Value, more: Value) -> (ScriptedServer, Harness) {
    let mut document = pets();
    document["servers"] = servers;
    let server = ScriptedServer::start(move |mut exchange| {
        let document = document.clone();
        async move {
            match &*exchange.request().target {
                "/api.json" => exchange.json(200, &document).await,
                _ => exchange.json(200, &json!({"name": "own"})).await,
            }
        }
    })
    .await;
    let mut settings = json!({"openapi": server.url("/api.json")});
    merge(&mut settings, more);
    let harness = Harness::start(json!({"servers": {"s": settings}})).await;
    (server, harness)
}

#[tokio::test]
async fn servers_of_a_document_count_where_the_operator_asks_for_it() {
    let servers = json!([{"url": "/v1"}, {"url": "/v2"}]);
    let targets = |server: &ScriptedServer| {
        let mut all: Vec<_> = server.requests().into_iter().map(|it| it.target).collect();
        all.retain(|target| target != "/api.json");
        all
    };
    let (server, harness) = described(servers.clone(), json!({})).await;
    for _ in 0..2 {
        answering(&harness).await;
    }
    assert_eq!(targets(&server), ["/v1/pets/1", "/v1/pets/1"]);
    let (server, harness) = described(servers, json!({"balance": "round-robin"})).await;
    for _ in 0..2 {
        answering(&harness).await;
    }
    assert_eq!(targets(&server), ["/v1/pets/1", "/v2/pets/1"]);
    // What leads inside is passed over as what cannot be reached.
    let inside = place("inside").await;
    let servers = json!([{"url": inside.url("/v1")}, {"url": "ftp://x.example"}, {"url": "/v1"}]);
    let (server, harness) = described(servers, json!({"balance": "first"})).await;
    assert_eq!(answering(&harness).await, "own");
    assert_eq!((targets(&server).len(), inside.connections()), (1, 0));
    let (_server, harness) =
        described(json!([{"url": inside.url("/v1")}]), json!({"balance": "first"})).await;
    let params = json!({"name": "getPet", "arguments": {"id": "1"}});
    let answer = harness.modern(ONE, "tools/call", params).await;
    let said = assert_tool_fault(&answer, Era::Modern, "server-failed");
    assert!(said.contains("private") && said.contains("all addresses"), "{said}");
}

#[tokio::test]
async fn tools_that_are_written_by_hand_have_several_addresses() {
    let (one, two) = (place("one").await, place("two").await);
    let tools = json!({"define": {"getPet": {"path": "/pets/{id}"}}});
    let settings = json!({"url": [one.url("/"), two.url("/")], "tools": tools});
    let harness = Harness::start(json!({"servers": {"s": settings}})).await;
    for name in ["one", "two", "one"] {
        assert!(text(&call(&harness).await).contains(name));
    }
}

#[tokio::test]
async fn an_address_of_one_is_told_as_it_was() {
    let api = Api::start(place("one").await, &pets(), json!({})).await;
    api.result("getPet", json!({"id": "1"})).await;
    let overview = api.harness.gate.overview();
    let [address] = &*overview.servers[0].addresses else { panic!("{overview:?}") };
    assert_eq!(address.address, api.server.url("").trim_end_matches('/'));
    assert_eq!((address.calls, address.is_left_out), (0, false));
}
