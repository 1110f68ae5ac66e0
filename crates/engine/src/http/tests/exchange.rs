//! One request, one answer: reuse, at most once, limits, cancellation.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::super::{
    Accepted, Client, ClientError, Delivery, Options, Outgoing, Patience, Phase, ProxyChoice,
};
use super::{Scripted, answer, direct, get, post, read_request, soon, until};

/// A hyper server: `/whole/N` answers N bytes with a length, `/pieces/N` N chunks of ten bytes, `/none` 202.
async fn hyper_server() -> Scripted {
    Scripted::start(|stream, _| async move {
        let service = service_fn(|request: Request<hyper::body::Incoming>| async move {
            let path = request.uri().path().to_owned();
            let count = path.rsplit('/').next().and_then(|count| count.parse().ok()).unwrap_or(0);
            let body = if path.starts_with("/pieces/") {
                let pieces = (0..count).map(|_| {
                    Ok::<_, hyper::Error>(http_body::Frame::data(Bytes::from_static(b"0123456789")))
                });
                StreamBody::new(futures_util::stream::iter(pieces)).boxed()
            } else {
                Full::new(Bytes::from(vec![b'x'; count])).map_err(|never| match never {}).boxed()
            };
            let status = if path == "/none" { StatusCode::ACCEPTED } else { StatusCode::OK };
            Ok::<_, hyper::Error>(http::Response::builder().status(status).body(body).unwrap())
        });
        let serving = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service);
        serving.await.ok();
    })
    .await
}

#[tokio::test]
async fn one_connection_serves_calls_in_a_row() {
    let server = hyper_server().await;
    let client = direct();
    for path in ["/whole/5", "/none", "/pieces/3", "/whole/300000", "/pieces/0", "/whole/1"] {
        let reply = soon(client.send(get(server.url(path)))).await.unwrap();
        soon(reply.into_body().collect_limited(1 << 20)).await.unwrap();
        assert_eq!(client.idle_count(), 1, "the connection of {path} is kept");
    }
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn calls_at_once_have_their_own_connections() {
    let server = hyper_server().await;
    let client = direct();
    let first = soon(client.send(get(server.url("/pieces/3")))).await.unwrap();
    let second = soon(client.clone().send(get(server.url("/pieces/3")))).await.unwrap();
    assert_eq!(server.accepted(), 2);
    assert_eq!(soon(second.into_body().collect_limited(99)).await.unwrap().len(), 30);
    assert_eq!(soon(first.into_body().collect_limited(99)).await.unwrap().len(), 30);
    assert_eq!(client.idle_count(), 2);
}

#[tokio::test]
async fn no_more_connections_are_kept_than_allowed() {
    let server = hyper_server().await;
    let options = Options { proxy: ProxyChoice::Off, idle_max: 1, ..Options::default() };
    let client = Client::new(options).unwrap();
    let call = || {
        let (client, url) = (client.clone(), server.url("/pieces/3"));
        tokio::spawn(async move { client.send(get(url)).await.unwrap() })
    };
    // Both answers are under way before the first is read.
    let replies = (soon(call()).await.unwrap(), soon(call()).await.unwrap());
    for reply in [replies.0, replies.1] {
        soon(reply.into_body().collect_limited(99)).await.unwrap();
    }
    assert_eq!(client.idle_count(), 1);
}

#[tokio::test]
async fn the_request_line_and_headers_are_as_a_server_expects() {
    let server = Scripted::start(|mut stream, _| async move {
        let request = read_request(&mut stream).await.unwrap();
        answer(&mut stream, &request).await;
    })
    .await;
    let reply = soon(direct().send(post(server.url("/mcp?x=1"), "{}"))).await.unwrap();
    let sent = soon(reply.into_body().collect_limited(4096)).await.unwrap();
    let sent = String::from_utf8(sent.to_vec()).unwrap();
    assert!(sent.starts_with("POST /mcp?x=1 HTTP/1.1\r\n"), "{sent}");
    assert!(sent.contains(&format!("host: {}\r\n", server.address)), "{sent}");
    assert!(sent.contains("accept-encoding: identity\r\n"), "{sent}");
    assert!(sent.ends_with("content-length: 2\r\n\r\n{}"), "{sent}");
}

#[tokio::test]
async fn servers_learn_who_asks_and_that_no_body_will_come() {
    let server = Scripted::start(|mut stream, _| async move {
        let request = read_request(&mut stream).await.unwrap();
        answer(&mut stream, &request).await;
    })
    .await;
    for (method, said) in [
        ("GET", None),
        ("HEAD", None),
        ("DELETE", None),
        ("POST", Some("content-length: 0")),
        ("PUT", Some("content-length: 0")),
        ("PATCH", Some("content-length: 0")),
        ("QUERY", Some("content-length: 0")),
    ] {
        let mut request = get(server.url("/start"));
        *request.method_mut() = method.parse().unwrap();
        let sent = said_to(request).await.unwrap_or_default();
        assert_eq!(sent.lines().find(|line| line.starts_with("content-length")), said, "{method}");
        if method != "HEAD" {
            assert!(sent.contains("user-agent: portcullis/"), "{sent}");
        }
    }
    let mut request = post(server.url("/start"), "{}");
    request.headers_mut().insert("user-agent", "mine/1".parse().unwrap());
    let sent = said_to(request).await.unwrap();
    assert!(sent.contains("user-agent: mine/1\r\n") && !sent.contains("portcullis"), "{sent}");
}

/// What a server that answers with the request got; `None` if its answer has no body.
async fn said_to(request: Request<Bytes>) -> Option<String> {
    let reply = soon(direct().send(request)).await.unwrap();
    let sent = soon(reply.into_body().collect_limited(4096)).await.unwrap();
    Some(String::from_utf8(sent.to_vec()).unwrap()).filter(|sent| !sent.is_empty())
}

#[tokio::test]
async fn a_connection_closed_while_idle_is_replaced_and_the_call_made_once() {
    let calls = Arc::new(AtomicUsize::new(0));
    let (close, closed) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let scripted = (Arc::clone(&calls), Arc::clone(&close), Arc::clone(&closed));
    let server = Scripted::start(move |mut stream, _| {
        let (calls, close, closed) = scripted.clone();
        async move {
            // One call a connection, and nothing in the answer announces that.
            read_request(&mut stream).await.unwrap();
            calls.fetch_add(1, Ordering::SeqCst);
            answer(&mut stream, "done").await;
            close.notified().await;
            drop(stream);
            closed.notify_one();
        }
    })
    .await;
    let events = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = direct();
    for round in 1..=3 {
        let reply = soon(client.send(post(server.url("/"), "call"))).await.unwrap();
        assert_eq!(soon(reply.into_body().collect_limited(4)).await.unwrap(), "done");
        assert_eq!(client.idle_count(), 1);
        close.notify_one();
        soon(closed.notified()).await;
        // A round trip through the runtime's event queue: after it, the close has been noticed too.
        let (connected, accepted) = soon(async {
            tokio::join!(TcpStream::connect(events.local_addr().unwrap()), events.accept())
        })
        .await;
        drop((connected.unwrap(), accepted.unwrap()));
        assert_eq!((calls.load(Ordering::SeqCst), server.accepted()), (round, round));
    }
}

#[tokio::test]
async fn closed_and_old_idle_connections_leave_the_pool_without_a_call() {
    let server = Scripted::start(|mut stream, number| async move {
        read_request(&mut stream).await;
        answer(&mut stream, "").await;
        if number > 1 {
            read_request(&mut stream).await; // the second connection stays open
        }
    })
    .await;
    let options =
        |idle_timeout| Options { proxy: ProxyChoice::Off, idle_timeout, ..Options::default() };
    let patient = Client::new(options(Duration::from_secs(2))).unwrap();
    soon(patient.send(get(server.url("/")))).await.unwrap();
    until(|| patient.idle_count() == 0).await;
    let impatient = Client::new(options(Duration::from_millis(40))).unwrap();
    soon(impatient.send(get(server.url("/")))).await.unwrap();
    until(|| impatient.idle_count() == 0).await;
}

#[tokio::test]
async fn a_call_that_may_have_arrived_is_never_sent_again() {
    let server = Scripted::start(|mut stream, _| async move {
        read_request(&mut stream).await;
        answer(&mut stream, "").await;
        read_request(&mut stream).await; // received, and never answered
    })
    .await;
    let client = direct();
    soon(client.send(post(server.url("/"), "first"))).await.unwrap();
    let error = soon(client.send(post(server.url("/"), "second"))).await.unwrap_err();
    assert!(matches!(error, ClientError::Closed { maybe_delivered: true, .. }), "{error:?}");
    assert_eq!(error.delivered(), Delivery::Maybe);
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn dropping_a_body_or_a_call_closes_the_connection() {
    let closed = Arc::new(Notify::new());
    let received = Arc::new(Notify::new());
    let (closing, receiving) = (Arc::clone(&closed), Arc::clone(&received));
    let server = Scripted::start(move |mut stream, number| {
        let (closed, received) = (Arc::clone(&closing), Arc::clone(&receiving));
        async move {
            read_request(&mut stream).await;
            if number == 1 {
                let start = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n";
                stream.write_all(start.as_bytes()).await.unwrap();
            }
            received.notify_one();
            assert_eq!(read_request(&mut stream).await, None);
            closed.notify_one();
        }
    })
    .await;
    let client = direct();
    let mut body = soon(client.send(get(server.url("/")))).await.unwrap().into_body();
    assert_eq!(soon(body.chunk()).await.unwrap().unwrap(), "one");
    soon(received.notified()).await;
    drop(body);
    soon(closed.notified()).await;

    tokio::select! {
        reply = client.send(get(server.url("/"))) => panic!("nobody answers: {reply:?}"),
        () = soon(received.notified()) => {}
    }
    soon(closed.notified()).await;
    assert_eq!(client.idle_count(), 0);
}

#[tokio::test]
async fn a_body_is_accepted_at_the_limit_and_refused_one_byte_above() {
    let server = hyper_server().await;
    let client = direct();
    for (path, size) in
        [("/whole/10", 10), ("/pieces/1", 10), ("/pieces/3", 30), ("/whole/200000", 200_000)]
    {
        let reply = soon(client.send(get(server.url(path)))).await.unwrap();
        assert_eq!(soon(reply.into_body().collect_limited(size)).await.unwrap().len(), size);
        let reply = soon(client.send(get(server.url(path)))).await.unwrap();
        let error = soon(reply.into_body().collect_limited(size - 1)).await.unwrap_err();
        assert!(
            matches!(error, ClientError::TooLarge { limit } if limit == size - 1),
            "{path}: {error}"
        );
    }
}

#[tokio::test]
async fn answers_that_cannot_be_trusted_are_refused() {
    let long_head = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(70 * 1024));
    let many_headers = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(101));
    for (bytes, expected) in [
        (
            "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 1\r\n\r\nx",
            "content-encoding",
        ),
        ("SSH-2.0-x\r\n\r\n", "not valid HTTP/1.1"),
        (&long_head, "not valid HTTP/1.1"),
        (&many_headers, "not valid HTTP/1.1"),
    ] {
        let server = Scripted::always(bytes).await;
        let client = direct();
        let error = soon(client.send(get(server.url("/")))).await.map(drop).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(error.delivered(), Delivery::Maybe);
        assert_eq!(client.idle_count(), 0);
    }
}

#[tokio::test]
async fn a_body_that_ends_early_is_an_error() {
    for bytes in [
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhalf",
    ] {
        let server = Scripted::start(move |mut stream, _| async move {
            read_request(&mut stream).await;
            stream.write_all(bytes.as_bytes()).await.unwrap();
        })
        .await;
        let reply = soon(direct().send(get(server.url("/")))).await.unwrap();
        let error = soon(reply.into_body().collect_limited(99)).await.unwrap_err();
        assert!(matches!(error, ClientError::Closed { maybe_delivered: true, .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_a_closing_server_is_not_asked_twice_on_a_connection() {
    let redirect = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let server = Scripted::always(redirect).await;
    let client = direct();
    assert_eq!(soon(client.send(get(server.url("/")))).await.unwrap().status(), StatusCode::FOUND);
    assert_eq!(client.idle_count(), 0);
}

#[tokio::test]
async fn the_deadline_ends_the_wait_for_the_head() {
    let server = Scripted::start(|mut stream, _| async move {
        while read_request(&mut stream).await.is_some() {}
    })
    .await;
    let deadline = Instant::now() + Duration::from_millis(20);
    let error = soon(direct().send_before(get(server.url("/")), deadline)).await.unwrap_err();
    assert!(matches!(error, ClientError::Timeout { phase: Phase::Head }), "{error:?}");
    assert_eq!(error.delivered(), Delivery::Maybe);
    let error = soon(direct().send_before(get(server.url("/")), Instant::now())).await.unwrap_err();
    assert_eq!(error.delivered(), Delivery::No, "{error:?}");
}

#[tokio::test]
async fn a_refused_connection_and_a_wrong_address_deliver_nothing() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for url in [&format!("http://{free}/"), "/mcp", "ftp://x/", "http://me:secret@127.0.0.1/"] {
        let error = soon(direct().send(get(url))).await.unwrap_err();
        assert_eq!(error.delivered(), Delivery::No, "{error}");
        assert!(!error.to_string().contains("secret"));
    }
}

#[tokio::test]
async fn an_ipv6_literal_is_dialled() {
    if TcpListener::bind("[::1]:0").await.is_err() {
        eprintln!("skipped: this machine has no IPv6 loopback");
        return;
    }
    let server = Scripted::start_at("[::1]:0", |mut stream, _| async move {
        read_request(&mut stream).await;
        answer(&mut stream, "six").await;
    })
    .await;
    let reply = soon(direct().send(get(server.url("/")))).await.unwrap();
    assert_eq!(soon(reply.into_body().collect_limited(3)).await.unwrap(), "six");
}

#[tokio::test]
async fn a_request_that_was_not_sent_gives_its_body_back() {
    let pieces = || {
        let piece = futures_util::stream::iter([Ok(Bytes::from_static(b"piece"))]);
        Outgoing::Pieces { pieces: Box::pin(piece), length: None }
    };
    let request = |url: &str| post(url, "").map(|_| pieces());
    let client = direct();
    // A port that nobody else gets and where nothing listens.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let gone = format!("http://{}/", socket.local_addr().unwrap());
    let sent = client.deliver(request(&gone), Patience::default(), Accepted::Plain);
    let unanswered = soon(sent).await.unwrap_err();
    assert!(matches!(unanswered.error, ClientError::Connect { .. }), "{unanswered:?}");
    let mut body = unanswered.body.expect("nothing was sent");
    let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(piece, "piece");
    // Connected to, and nothing more: the time for it is over long before that for the answer.
    let silent = Scripted::start(|stream, _| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let patience = Patience {
        connected_by: Some(Instant::now() + Duration::from_millis(50)),
        head_by: Some(Instant::now() + Duration::from_mins(1)),
    };
    let url = silent.url("/").replace("http:", "https:");
    let sent = client.deliver(request(&url), patience, Accepted::Plain);
    let unanswered = soon(sent).await.unwrap_err();
    assert!(
        matches!(unanswered.error, ClientError::Timeout { phase: Phase::Connect }),
        "{unanswered:?}"
    );
    assert!(unanswered.body.is_some());
    // What may have been sent stays where it is.
    let torn = Scripted::start(|mut stream, _| async move {
        read_request(&mut stream).await;
    })
    .await;
    let sent = client.deliver(request(&torn.url("/")), Patience::default(), Accepted::Plain);
    let unanswered = soon(sent).await.unwrap_err();
    assert_eq!(unanswered.error.delivered(), Delivery::Maybe);
    assert!(unanswered.body.is_none());
}
