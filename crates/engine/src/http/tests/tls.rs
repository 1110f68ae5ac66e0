//! TLS: a private authority, a client certificate, and files that are wrong.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

use super::super::{
    Client, ClientCertificate, ClientError, Delivery, Options, ProxyChoice, TlsOptions,
};
use super::{Scripted, answer, get, read_request, soon};

/// A private authority with the files that a configuration names.
pub(super) struct Authority {
    folder: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = Self { folder: tempfile::tempdir().unwrap(), issuer };
        authority.write("ca.pem", &authority.issuer.pem());
        authority
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(super) fn trusted(&self) -> TlsOptions {
        TlsOptions { ca: vec![self.folder.path().join("ca.pem")], identity: None }
    }

    fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    fn identity(&self) -> ClientCertificate {
        let (certificate, key) = self.issue("gate");
        ClientCertificate {
            certificate: self.write("gate.pem", &certificate),
            key: self.write("gate.key", &key),
        }
    }

    /// A server for `localhost` that greets everyone, or only those with a certificate of this authority.
    pub(super) async fn server(&self, asks_for_certificate: bool) -> Scripted {
        let (certificate, key) = self.issue("localhost");
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let builder = if asks_for_certificate {
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let acceptor = TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()));
        Scripted::start(move |stream, _| {
            let acceptor = acceptor.clone();
            async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                while read_request(&mut stream).await.is_some() {
                    answer(&mut stream, "hello").await;
                }
            }
        })
        .await
    }
}

pub(super) fn localhost(server: &Scripted) -> String {
    format!("https://localhost:{}/", server.address.port())
}

fn client(tls: TlsOptions) -> Result<Client, ClientError> {
    Client::new(Options { tls, proxy: ProxyChoice::Off, ..Options::default() })
}

#[tokio::test]
async fn a_private_authority_is_trusted_when_configured_and_only_then() {
    let authority = Authority::new();
    let server = authority.server(false).await;
    let trusting = client(authority.trusted()).unwrap();
    for _ in 0..2 {
        let reply = soon(trusting.send(get(localhost(&server)))).await.unwrap();
        assert_eq!(soon(reply.into_body().collect_limited(5)).await.unwrap(), "hello");
    }
    assert_eq!(server.accepted(), 1, "TLS connections are reused too");

    let other = client(Authority::new().trusted()).unwrap();
    let error = soon(other.send(get(localhost(&server)))).await.unwrap_err();
    assert!(matches!(&error, ClientError::Tls { host, .. } if host == "localhost"), "{error:?}");
    assert_eq!(error.delivered(), Delivery::No);
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let authority = Authority::new();
    let server = authority.server(false).await;
    let url = format!("https://{}/", server.address);
    let error = soon(client(authority.trusted()).unwrap().send(get(url))).await.unwrap_err();
    assert!(matches!(error, ClientError::Tls { .. }), "{error:?}");
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_a_server_that_asks() {
    let authority = Authority::new();
    let server = authority.server(true).await;
    let known = TlsOptions { identity: Some(authority.identity()), ..authority.trusted() };
    let reply = soon(client(known).unwrap().send(get(localhost(&server)))).await.unwrap();
    assert_eq!(soon(reply.into_body().collect_limited(5)).await.unwrap(), "hello");
    soon(client(authority.trusted()).unwrap().send(get(localhost(&server)))).await.unwrap_err();
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named_with_the_reason() {
    let authority = Authority::new();
    let identity = authority.identity();
    let (_, other_key) = authority.issue("other");
    let ca = |path: PathBuf| TlsOptions { ca: vec![path], identity: None };
    let shown = |certificate: &PathBuf, key: PathBuf| TlsOptions {
        identity: Some(ClientCertificate { certificate: certificate.clone(), key }),
        ..TlsOptions::default()
    };
    let certificate = &identity.certificate;
    for (options, file, reason) in [
        (ca(authority.folder.path().join("absent.pem")), "absent.pem", "No such file"),
        (ca(authority.write("text.pem", "hello")), "text.pem", "no PEM block CERTIFICATE"),
        (
            ca(authority.write(
                "broken.pem",
                "-----BEGIN CERTIFICATE-----\n%\n-----END CERTIFICATE-----\n",
            )),
            "broken.pem",
            "not valid PEM",
        ),
        (
            ca(authority.write(
                "junk.pem",
                "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n",
            )),
            "junk.pem",
            "certificate 1 is no usable root",
        ),
        (shown(certificate, certificate.clone()), "gate.pem", "no unencrypted PEM private key"),
        (shown(certificate, authority.write("other.key", &other_key)), "other.key", "no key for"),
    ] {
        let error = client(options).unwrap_err().to_string();
        assert!(error.contains(file) && error.contains(reason), "{error}");
    }
}
