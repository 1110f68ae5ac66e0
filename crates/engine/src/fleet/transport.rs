//! From settings to what reaching the server needs: a client, or a program.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use http::{HeaderMap, Uri};

use crate::http::{Client, ClientCertificate, Options, ProxyChoice, Reach, TlsOptions};
use crate::plan::{SecretText, Settings};
use crate::upstream::stdio::Program;
use crate::upstream::{ApiSource, CompositeServer, HttpTarget, Reached};

/// How the server is reached.
pub(super) enum Transport {
    Http(HttpTarget),
    Stdio(Program),
    Api(Arc<ApiSource>),
    Composite(Arc<CompositeServer>),
}

impl Transport {
    /// Builds what the settings describe; the error says what in them cannot be used.
    pub(super) fn build(
        name: &Arc<str>,
        wanted: &config::Server,
        settings: &Settings,
    ) -> Result<Self, String> {
        match &wanted.transport {
            config::Transport::Remote(remote) => http(remote, settings).map(Self::Http),
            config::Transport::Stdio(stdio) => Ok(Self::Stdio(program(stdio, settings))),
            config::Transport::Api(api) => {
                let source = api_source(name, wanted, api, settings)?;
                Ok(Self::Api(Arc::new(source)))
            }
            config::Transport::Composite(composite) => {
                let server = CompositeServer::new(name, wanted, composite, settings)?;
                Ok(Self::Composite(Arc::new(server)))
            }
        }
    }
}

fn http(remote: &config::Remote, settings: &Settings) -> Result<HttpTarget, String> {
    let url = remote.url.url();
    let uri: Uri =
        url.as_str().parse().map_err(|error| format!("the URL cannot be used: {error}"))?;
    let options = options(&remote.proxy, remote.tls.as_ref(), remote.connect_timeout);
    let client = Client::new(options).map_err(|error| error.to_string())?;
    let headers = static_headers(&remote.headers, remote.credentials.as_ref())?;
    Ok(HttpTarget { client, uri, headers, bounds: settings.bounds })
}

fn api_source(
    name: &Arc<str>,
    wanted: &config::Server,
    api: &config::Api,
    settings: &Settings,
) -> Result<ApiSource, String> {
    let options = options(&api.proxy, api.tls.as_ref(), api.connect_timeout);
    let made = |options| Client::new(options).map_err(|error| error.to_string());
    let reached = Reached {
        client: made(options.clone())?,
        guarded: made(Options { reach: Reach::Public, ..options })?,
        head: static_headers(&api.headers, api.credentials.always.as_ref())?,
        timeout: wanted.timeout.get(),
    };
    Ok(ApiSource::new(name, api, reached, settings))
}

fn options(
    proxy: &config::Proxy,
    own_tls: Option<&config::Tls>,
    connect_timeout: config::Duration,
) -> Options {
    Options {
        connect_timeout: connect_timeout.get(),
        tls: own_tls.map_or_else(TlsOptions::default, tls),
        proxy: match proxy {
            config::Proxy::Environment => ProxyChoice::Environment,
            config::Proxy::Off => ProxyChoice::Off,
            config::Proxy::Url(url) => ProxyChoice::Url(url.url().clone()),
        },
        ..Options::default()
    }
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
fn static_headers(
    configured: &BTreeMap<String, config::Resolved>,
    credentials: Option<&config::Credentials>,
) -> Result<HeaderMap, String> {
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
    for (name, value) in configured {
        insert(name, value.expose())?;
    }
    match credentials {
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
