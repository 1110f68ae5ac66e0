//! What documents may lead to, and how the gate shows an API who it is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::{Value, json};
use testkit::ScriptedServer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use wire::Era;

use super::{Api, pets};
use crate::harness::assert_tool_fault;

/// A server of one text at every path, or of a redirect.
async fn serving(status: u16, location: &'static str, body: String) -> ScriptedServer {
    ScriptedServer::start(move |mut exchange| {
        let body = body.clone();
        async move {
            let headers = [("Content-Type", "application/json"), ("Location", location)];
            let headers = if location.is_empty() { &headers[..1] } else { &headers[..] };
            exchange.respond(status, headers, body).await;
        }
    })
    .await
}

fn part() -> String {
    json!({"get": {"operationId": "elsewhere", "responses": {}}}).to_string()
}

fn referring(to: &str) -> Value {
    let mut document = pets();
    document["paths"]["/elsewhere"] = json!({"$ref": to});
    document
}

const OWN: [&str; 3] = ["listPets", "addPet", "getPet"];

#[tokio::test]
async fn references_lead_to_allowed_origins_alone() {
    let other = serving(200, "", part()).await;
    let document = referring(&other.url("/part.json"));
    let credentials = json!({"bearer": "canary"});
    let api = serving(200, "", "{}".to_owned()).await;
    let api = Api::start(api, &document, json!({"credentials": credentials})).await;
    assert_eq!(api.tools().await, OWN);
    assert_eq!(other.connections(), 0);

    // The same with the origin allowed is read, and is not told who the gate is.
    let settings = json!({"credentials": credentials, "refs": [other.url("")]});
    let api = Api::start(serving(200, "", "{}".to_owned()).await, &document, settings).await;
    assert!(api.tools().await.contains(&"elsewhere".to_owned()));
    assert!(!format!("{:?}", other.requests()).contains("canary"));
}

#[tokio::test]
async fn a_reference_that_is_moved_is_not_followed() {
    let trap = serving(200, "", part()).await;
    let location: &'static str = Box::leak(trap.url("/part.json").into_boxed_str());
    let moved = serving(302, location, String::new()).await;
    let document = referring(&moved.url("/part.json"));
    // Even where the target would be allowed by itself.
    let settings = json!({"refs": [moved.url(""), trap.url("")]});
    let api = Api::start(serving(200, "", "{}".to_owned()).await, &document, settings).await;
    assert_eq!(api.tools().await, OWN);
    assert_eq!((moved.connections(), trap.connections()), (1, 0));
}

#[tokio::test]
async fn references_that_never_end_come_to_one() {
    // Each part refers to the next, which the server makes up.
    let endless = ScriptedServer::start(|mut exchange| async move {
        let number: usize = exchange.request().target[1..].parse().unwrap_or(0);
        let next = json!({"$ref": format!("/{}#", number + 1)});
        exchange.json(200, &next).await;
    })
    .await;
    // Each holds twice what the next holds.
    let mut bomb = pets();
    for level in 0..60 {
        let next = json!({"$ref": format!("#/components/schemas/L{}", level + 1)});
        bomb["components"]["schemas"][format!("L{level}")] =
            json!({"type": "object", "properties": {"a": next, "b": next}, "allOf": [next, next]});
    }
    bomb["components"]["schemas"]["L60"] = json!({"type": "string"});
    bomb["paths"]["/bomb"] = json!({"post": {"operationId": "bomb", "responses": {}, "requestBody":
        {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/L0"}}}}}});
    let mut circle = pets();
    circle["paths"]["/a"] = json!({"$ref": "#/paths/~1b"});
    circle["paths"]["/b"] = json!({"$ref": "#/paths/~1a"});
    for document in [referring(&endless.url("/1")), bomb, circle] {
        let since = Instant::now();
        let settings = json!({"refs": [endless.url("")]});
        let api = Api::start(serving(200, "", "{}".to_owned()).await, &document, settings).await;
        let tools = api.tools().await;
        assert!(OWN.iter().all(|own| tools.iter().any(|tool| tool == own)), "{tools:?}");
        assert!(since.elapsed() < Duration::from_secs(30), "{:?}", since.elapsed());
    }
    assert!(endless.requests().len() <= 5_000, "{}", endless.requests().len());
}

#[tokio::test]
async fn an_api_may_demand_a_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let issue = || {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        (params.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem())
    };
    let (chain, key) = issue();
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(chain.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        )
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(Arc::new(server));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let _ = stream.read(&mut [0; 4096]).await;
            let body = r#"{"name":"Tom"}"#;
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n";
            let answer = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    let file = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name)
    };
    let (mine, my_key) = issue();
    let ca = file("ca.pem", &authority.pem());
    let (certificate, key) = (file("mine.pem", &mine), file("key.pem", &my_key));
    let mut document = pets();
    document["components"]["securitySchemes"] = json!({"wire": {"type": "mutualTLS"}});
    document["security"] = json!([{"wire": []}]);
    let url = format!("https://localhost:{port}");
    let shown = json!({"ca": ca, "certificate": certificate, "key": key});
    let spare = || serving(200, "", "{}".to_owned());
    let settings = json!({"url": url, "tls": shown});
    let api = Api::start(spare().await, &document, settings).await;
    let result = api.result("getPet", json!({"id": "1"})).await;
    assert_eq!(result["structuredContent"]["name"], "Tom", "{result}");

    // Who has none is told what to set, and nothing is sent.
    let api = Api::start(spare().await, &document, json!({"url": url, "tls": {"ca": ca}})).await;
    let answer = api.call("getPet", json!({"id": "1"})).await;
    let said = assert_tool_fault(&answer, Era::Modern, "server-failed");
    assert!(said.contains("tls.certificate"), "{said}");
    // And where the document does not say it, the API does.
    let settings = json!({"url": url, "tls": {"ca": ca}});
    let api = Api::start(spare().await, &pets(), settings).await;
    let answer = api.call("getPet", json!({"id": "1"})).await;
    assert_tool_fault(&answer, Era::Modern, "server-failed");
}
