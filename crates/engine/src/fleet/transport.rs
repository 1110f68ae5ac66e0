//! From settings to what reaching the server needs: a client, or a program.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use http::{HeaderMap, Uri};

use crate::http::{Client, ClientCertificate, Options, ProxyChoice, TlsOptions};
use crate::plan::{SecretText, Settings};
use crate::upstream::HttpTarget;
use crate::upstream::stdio::Program;

/// How the server is reached.
pub(super) enum Transport {
    Http(HttpTarget),
    Stdio(Program),
}

impl Transport {
    /// Builds what the settings describe; the error says what in them cannot be used.
    pub(super) fn build(wanted: &config::Server, settings: &Settings) -> Result<Self, String> {
        match &wanted.transport {
            config::Transport::Remote(remote) => http(remote, settings).map(Self::Http),
            config::Transport::Stdio(stdio) => Ok(Self::Stdio(program(stdio, settings))),
        }
    }
}

fn http(remote: &config::Remote, settings: &Settings) -> Result<HttpTarget, String> {
    let url = remote.url.url();
    let uri: Uri =
        url.as_str().parse().map_err(|error| format!("the URL cannot be used: {error}"))?;
    let options = Options {
        connect_timeout: remote.connect_timeout.get(),
        tls: remote.tls.as_ref().map_or_else(TlsOptions::default, tls),
        proxy: match &remote.proxy {
            config::Proxy::Environment => ProxyChoice::Environment,
            config::Proxy::Off => ProxyChoice::Off,
            config::Proxy::Url(url) => ProxyChoice::Url(url.url().clone()),
        },
        ..Options::default()
    };
    let client = Client::new(options).map_err(|error| error.to_string())?;
    let headers = static_headers(remote)?;
    Ok(HttpTarget { client, uri, headers, bounds: settings.bounds })
}

fn tls(tls: &config::Tls) -> TlsOptions {
    TlsOptions {
        ca: tls.ca.iter().cloned().collect(),
        identity: tls
            .certificate
            .clone()
            .zip(tls.key.clone())
            .map(|(certificate, key)| ClientCertificate { certificate, key }),
    }
}

/// The configured headers and credentials; values are marked sensitive, so that nothing prints them.
fn static_headers(remote: &config::Remote) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    let mut insert = |name: &str, value: &str| {
        let name = HeaderName::try_from(name).map_err(|_| format!("`{name}` is no header name"))?;
        let mut value = HeaderValue::from_str(value).map_err(|_| {
            format!("the value of header `{name}` has characters no header can carry")
        })?;
        value.set_sensitive(true);
        headers.insert(name, value);
        Ok::<_, String>(())
    };
    for (name, value) in &remote.headers {
        insert(name, value.expose())?;
    }
    match &remote.credentials {
        None => {}
        Some(config::Credentials::Bearer(token)) => {
            insert(AUTHORIZATION.as_str(), &format!("Bearer {}", token.expose()))?;
        }
        Some(config::Credentials::Header { name, value }) => insert(name, value.expose())?,
        Some(config::Credentials::Basic { username, password }) => {
            let pair = BASE64.encode(format!("{}:{}", username.expose(), password.expose()));
            insert(AUTHORIZATION.as_str(), &format!("Basic {pair}"))?;
        }
    }
    Ok(headers)
}

fn program(stdio: &config::Stdio, settings: &Settings) -> Program {
    let arguments = stdio.args.iter().map(|argument| argument.expose().into());
    Program {
        command: std::iter::once(stdio.command.clone().into()).chain(arguments).collect(),
        guardian: settings.guardian.clone(),
        env: stdio
            .env
            .iter()
            .map(|(name, value)| (name.clone(), SecretText::from(value.clone())))
            .collect(),
        cwd: stdio.cwd.clone(),
    }
}
