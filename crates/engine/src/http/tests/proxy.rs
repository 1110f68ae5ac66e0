//! Proxies: which way a request takes, and that it arrives.

use std::sync::Arc;

use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use super::super::proxy::{Proxies, Route};
use super::super::{Client, ClientError, Delivery, Options, ProxyChoice, TlsOptions};
use super::tls::{Authority, localhost};
use super::{Scripted, answer, get, read_request, soon};

/// Remembers the head of each request; opens tunnels, and answers everything else itself.
async fn proxy(seen: &Arc<Mutex<Vec<String>>>) -> Scripted {
    let seen = Arc::clone(seen);
    Scripted::start(move |mut stream, _| {
        let seen = Arc::clone(&seen);
        async move {
            while let Some(head) = read_request(&mut stream).await {
                seen.lock().await.push(head.clone());
                let Some(rest) = head.strip_prefix("CONNECT ") else {
                    answer(&mut stream, "from the proxy").await;
                    continue;
                };
                let target = rest.split(' ').next().unwrap();
                let mut server = TcpStream::connect(target).await.unwrap();
                stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await.unwrap();
                copy_bidirectional(&mut stream, &mut server).await.ok();
                return;
            }
        }
    })
    .await
}

fn client_through(url: &str, tls: TlsOptions) -> Client {
    let proxy = ProxyChoice::Url(url.parse().unwrap());
    Client::new(Options { tls, proxy, ..Options::default() }).unwrap()
}

#[tokio::test]
async fn https_goes_through_a_tunnel() {
    let authority = Authority::new();
    let server = authority.server(false).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let proxy = proxy(&seen).await;
    let url = format!("http://gate:p%40ss@{}", proxy.address);
    let client = client_through(&url, authority.trusted());
    for _ in 0..2 {
        let reply = soon(client.send(get(localhost(&server)))).await.unwrap();
        assert_eq!(soon(reply.into_body().collect_limited(5)).await.unwrap(), "hello");
    }
    let port = server.address.port();
    let seen = seen.lock().await;
    assert_eq!(seen.len(), 1, "the tunnel is reused");
    assert!(seen[0].starts_with(&format!("CONNECT localhost:{port} HTTP/1.1\r\n")), "{seen:?}");
    assert!(seen[0].contains(&format!("host: localhost:{port}\r\n")), "{seen:?}");
    assert!(seen[0].contains("proxy-authorization: Basic Z2F0ZTpwQHNz\r\n"), "{seen:?}");
}

#[tokio::test]
async fn http_goes_in_absolute_form() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let proxy = proxy(&seen).await;
    let client = client_through(&format!("http://gate@{}", proxy.address), TlsOptions::default());
    for _ in 0..2 {
        let reply = soon(client.send(get("http://server.invalid/mcp?x=1"))).await.unwrap();
        assert_eq!(soon(reply.into_body().collect_limited(99)).await.unwrap(), "from the proxy");
    }
    let seen = seen.lock().await;
    assert_eq!((seen.len(), proxy.accepted()), (2, 1));
    for head in &*seen {
        assert!(head.starts_with("GET http://server.invalid/mcp?x=1 HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("host: server.invalid\r\n"), "{head}");
        assert!(head.contains("proxy-authorization: Basic Z2F0ZTo=\r\n"), "{head}");
    }
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_with_its_reason() {
    for (bytes, reason) in [
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n",
            "check the user name",
        ),
        (
            "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n",
            "refused to reach server.invalid:443 with 502",
        ),
        ("HTTP/1.1 200 OK\r\n\r\nearly", "sent bytes ahead of the server"),
        ("hello", "no tunnel"),
    ] {
        let proxy = Scripted::start(move |mut stream, _| async move {
            read_request(&mut stream).await;
            stream.write_all(bytes.as_bytes()).await.unwrap();
        })
        .await;
        let client =
            client_through(&format!("http://me:secret@{}", proxy.address), TlsOptions::default());
        let error = soon(client.send(get("https://server.invalid/"))).await.unwrap_err();
        assert_eq!(error.delivered(), Delivery::No);
        let error = error.to_string();
        assert!(error.contains(reason) && error.contains(&proxy.address.to_string()), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

fn of_environment(variables: &[(&str, &str)]) -> Result<Proxies, ClientError> {
    Proxies::new(&ProxyChoice::Environment, |name| {
        variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    })
}

/// The route in one word: `direct`, or the proxy's host.
fn route(proxies: &Proxies, url: &str) -> String {
    let url: http::Uri = url.parse().unwrap();
    let origin = super::super::origin::Origin::of(&url, proxies).unwrap();
    match origin.route {
        Route::Direct => "direct".to_owned(),
        Route::Forward(proxy) | Route::Tunnel(proxy) => proxy.host.clone(),
    }
}

#[test]
fn the_environment_chooses_by_scheme_and_lower_case_first() {
    let both = of_environment(&[
        ("HTTPS_PROXY", "http://upper"),
        ("https_proxy", "lower:3128"),
        ("ALL_PROXY", "http://all"),
    ]);
    let both = both.unwrap();
    assert_eq!(route(&both, "https://x.example"), "lower");
    assert_eq!(route(&both, "http://x.example"), "all");
    assert_eq!(route(&of_environment(&[]).unwrap(), "https://x.example"), "direct");
}

#[test]
fn hosts_of_no_proxy_and_loopback_are_reached_directly() {
    let list = "corp.example, .inner.example,*.star.example 10.0.0.0/8,192.0.2.7,[2001:db8::1],2001:db8:5::/48,only.example:8443";
    let proxies = of_environment(&[("ALL_PROXY", "http://proxy"), ("no_proxy", list)]).unwrap();
    for (url, expected) in [
        ("https://corp.example", "direct"),
        ("https://git.CORP.example.", "direct"),
        ("https://notcorp.example", "proxy"),
        ("https://a.inner.example", "direct"),
        ("https://b.star.example", "direct"),
        ("http://10.200.3.4", "direct"),
        ("http://11.0.0.1", "proxy"),
        ("http://192.0.2.7", "direct"),
        ("http://192.0.2.8", "proxy"),
        ("http://[2001:db8::1]:8080", "direct"),
        ("http://[2001:db8:5:9::1]", "direct"),
        ("http://[2001:db8:6::1]", "proxy"),
        ("https://only.example:8443", "direct"),
        ("https://only.example", "proxy"),
        ("http://localhost:8080", "direct"),
        ("http://app.localhost", "direct"),
        ("http://127.0.0.2", "direct"),
        ("http://[::1]:80", "direct"),
        ("http://[::ffff:127.0.0.1]", "direct"),
    ] {
        assert_eq!(route(&proxies, url), expected, "{url}");
    }
    let star = of_environment(&[("ALL_PROXY", "http://proxy"), ("NO_PROXY", "*")]).unwrap();
    assert_eq!(route(&star, "https://x.example"), "direct");
}

#[test]
fn a_proxy_of_the_server_itself_is_used_for_every_host() {
    let choice = ProxyChoice::Url("http://proxy".parse().unwrap());
    let proxies = Proxies::new(&choice, |_| Some("*".to_owned())).unwrap();
    assert_eq!(route(&proxies, "http://127.0.0.1"), "proxy");
    let off = Proxies::new(&ProxyChoice::Off, |_| Some("http://proxy".to_owned())).unwrap();
    assert_eq!(route(&off, "http://x.example"), "direct");
}

#[test]
fn proxies_that_are_not_http_are_refused_by_the_name_of_the_variable() {
    for (value, reason) in [
        ("https://me:secret@proxy", "only http:// proxies are supported, not https://"),
        ("socks5://proxy:1080", "not socks5://"),
        ("http://", "not a URL"),
    ] {
        let error = of_environment(&[("HTTPS_PROXY", value)]).err().unwrap().to_string();
        assert!(error.starts_with("proxy HTTPS_PROXY: ") && error.contains(reason), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}
