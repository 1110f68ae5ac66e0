//! TLS towards servers: the system's roots, a private CA beside them, and a client certificate.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::error::ClientError;

/// Whom to trust beside the system's roots, and how to identify ourselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// PEM files with certificates of private authorities, trusted in addition to the system's roots.
    pub ca: Vec<PathBuf>,
    /// What to show to a server that asks for a client certificate.
    pub identity: Option<ClientCertificate>,
}

/// A client certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// PEM file with the certificate, followed by its intermediates.
    pub certificate: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
}

/// The TLS side of one client.
pub(super) struct Tls {
    /// Absent when nothing is configured: such clients share one setup, made when the first needs it.
    configured: Option<TlsConnector>,
}

impl Tls {
    /// Reads the files, so that a wrong one is reported before the first call.
    pub(super) fn new(options: &TlsOptions) -> Result<Self, ClientError> {
        let configured =
            if *options == TlsOptions::default() { None } else { Some(connector(options)?) };
        Ok(Self { configured })
    }

    pub(super) async fn handshake(
        &self,
        tcp: TcpStream,
        host: &str,
    ) -> Result<TlsStream<TcpStream>, ClientError> {
        let connector = match &self.configured {
            Some(connector) => connector,
            None => system_connector()?,
        };
        let failed = |source| ClientError::Tls { host: host.to_owned(), source };
        let name = ServerName::try_from(host.to_owned()).map_err(|error| failed(error.into()))?;
        connector.connect(name, tcp).await.map_err(|error| failed(error.into()))
    }
}

/// The setup of every client that configures nothing: the system's roots are read once, a few hundred
/// certificates that two hundred servers need not hold each. A failure is not kept, so that installing
/// the roots helps without a restart.
fn system_connector() -> Result<&'static TlsConnector, ClientError> {
    static SHARED: OnceLock<TlsConnector> = OnceLock::new();
    if let Some(connector) = SHARED.get() {
        return Ok(connector);
    }
    let connector = connector(&TlsOptions::default())?;
    Ok(SHARED.get_or_init(|| connector))
}

fn connector(options: &TlsOptions) -> Result<TlsConnector, ClientError> {
    let mut authorities = Vec::new();
    for path in &options.ca {
        authorities.extend(read_authorities(path)?);
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let setup = |source| ClientError::TlsSetup { source };
    // A machine without any roots is fine as long as a private authority is configured.
    let verifier =
        Verifier::new_with_extra_roots(authorities, Arc::clone(&provider)).map_err(setup)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(setup)?
        .dangerous() // rustls' word for any verifier but its own; this one is WebPKI or the platform's
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match &options.identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let chain = read_certificates(&identity.certificate)?;
            let key = read_key(&identity.key)?;
            builder.with_client_auth_cert(chain, key).map_err(|error| {
                let certificate = identity.certificate.display();
                file_error(&identity.key, format!("no key for {certificate}: {error}"))
            })?
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Certificates that can serve as roots; checked one by one, so that the error can name the file.
fn read_authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let certificates = read_certificates(path)?;
    let mut roots = RootCertStore::empty();
    for (index, certificate) in certificates.iter().enumerate() {
        roots.add(certificate.clone()).map_err(|error| {
            file_error(path, format!("certificate {} is no usable root: {error}", index + 1))
        })?;
    }
    Ok(certificates)
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let text = read(path)?;
    let certificates = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| file_error(path, format!("not valid PEM: {error}")))?;
    if certificates.is_empty() {
        return Err(file_error(path, "it holds no PEM block CERTIFICATE".to_owned()));
    }
    Ok(certificates)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, ClientError> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|error| {
        file_error(
            path,
            match error {
                pem::Error::NoItemsFound => "it holds no unencrypted PEM private key".to_owned(),
                error => format!("not valid PEM: {error}"),
            },
        )
    })
}

fn read(path: &Path) -> Result<Vec<u8>, ClientError> {
    std::fs::read(path).map_err(|error| file_error(path, error.to_string()))
}

fn file_error(path: &Path, problem: String) -> ClientError {
    ClientError::TlsFile { path: path.to_owned(), problem }
}
