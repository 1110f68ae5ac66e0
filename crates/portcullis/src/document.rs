//! OpenAPI documents as a command line names them: a file or a URL, and what it refers to.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context as _;
use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};
use engine::documents::{self, References};
use engine::http::{Client, Options as ClientOptions};
use http::HeaderMap;
use openapi::api::{self, Api};
use openapi::document::{BYTES_MAX, LoadError, Overlay};
use openapi::report::Place;
use openapi::tool::Options;
use tokio::runtime::Handle;
use url::Url;

/// How long an overlay may be, in bytes.
const OVERLAY_BYTES_MAX: usize = 8 << 20;

/// Where a document is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Location {
    /// In a file.
    File(PathBuf),
    /// At an `http` or `https` URL.
    Url(Url),
}

/// What is read beside a document.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Beside {
    /// Change the document by this overlay (Overlay Specification 1.0) first; may be repeated.
    #[arg(long, value_name = "FILE")]
    overlay: Vec<PathBuf>,
    #[arg(long, value_name = "ORIGIN", value_parser = parse_origin)]
    #[arg(help = "Also read what the document refers to at this origin, such as \
                  https://schemas.example.com; may be repeated")]
    refs: Vec<Url>,
}

// === impl Location ===

impl FromStr for Location {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_url = ["http://", "https://"].into_iter().any(|scheme| {
            text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        });
        if !is_url {
            return Ok(Self::File(text.into()));
        }
        let mut url: Url = text.parse().map_err(|error| format!("this is no URL: {error}"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("a URL with a user or a password stays in the shell's history; download \
                        the document and name the file"
                .to_owned());
        }
        url.set_fragment(None);
        Ok(Self::Url(url))
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Url(url) => write!(f, "{url}"),
        }
    }
}

impl Location {
    /// Reads the document here, with everything that it refers to.
    ///
    /// # Errors
    /// The inner one when this is no document that can be used; the outer one when what the command
    /// line names beside it cannot be read.
    pub(crate) async fn load(
        &self,
        beside: &Beside,
        options: Options,
    ) -> anyhow::Result<Result<Api, LoadError>> {
        let mut overlays = Vec::new();
        for path in &beside.overlay {
            let text = documents::read_file(path, OVERLAY_BYTES_MAX)
                .map_err(anyhow::Error::msg)
                .with_context(|| format!("cannot read the overlay {}", path.display()))?;
            overlays.push((path.display().to_string(), text));
        }
        let client = Client::new(ClientOptions::default())?;
        let (text, url) = match self.first(&client).await {
            Ok(read) => read,
            Err(problem) => return Ok(Err(unreadable(self, problem))),
        };
        let (location, origins, runtime) = (self.clone(), beside.refs.clone(), Handle::current());
        let loaded = tokio::task::spawn_blocking(move || {
            let head = HeaderMap::new();
            let mut references = References::new(&url, &client, &head, &origins, runtime);
            let overlays: Vec<_> =
                overlays.iter().map(|(name, text)| Overlay { name, text }).collect();
            api::load(&text, &url, &location.to_string(), &mut references, &overlays, &options)
        });
        loaded.await.context("the document cannot be read")
    }

    /// The text here, and what references in it are relative to.
    async fn first(&self, client: &Client) -> Result<(String, Url), String> {
        match self {
            Self::File(path) => {
                let text = documents::read_file(path, BYTES_MAX)?;
                let whole = std::path::absolute(path).map_err(|error| error.to_string())?;
                let url = Url::from_file_path(whole);
                Ok((text, url.map_err(|()| "the path cannot be written as a URL")?))
            }
            Self::Url(url) => Ok((documents::get(client, url).await?, url.clone())),
        }
    }
}

fn unreadable(location: &Location, message: String) -> LoadError {
    LoadError {
        kind: "unreadable",
        message,
        place: Place { document: location.to_string(), ..Place::default() },
    }
}

/// Reads what stands for a configuration: a path, or the URL of a document.
pub(crate) fn place() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().try_map(|text| match text.to_str().map(str::parse::<Location>) {
        Some(Err(problem)) => Err(problem),
        _ => Ok(PathBuf::from(text)),
    })
}

/// Reads the URL where an API is served.
pub(crate) fn parse_base(text: &str) -> Result<Url, String> {
    let problem = "write it like https://api.example.com/v1";
    let url: Url = text.parse().map_err(|error| format!("{error}; {problem}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("only `http` and `https` can be called; {problem}"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "a user or a password belongs under `credentials` of a configuration".to_owned()
        );
    }
    Ok(url)
}

fn parse_origin(text: &str) -> Result<Url, String> {
    let problem = "write a scheme and a host, such as https://schemas.example.com";
    let url: Url = text.parse().map_err(|_| problem.to_owned())?;
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let is_named = url.username().is_empty() && url.password().is_none();
    if !matches!(url.scheme(), "http" | "https") || !is_bare || !is_named {
        return Err(problem.to_owned());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_a_file_or_a_url() {
        let at = |text: &str| text.parse::<Location>();
        assert_eq!(at("api.yaml"), Ok(Location::File("api.yaml".into())));
        assert_eq!(at("http:/api"), Ok(Location::File("http:/api".into())));
        let url = Url::parse("https://x.example/a.json").unwrap();
        assert_eq!(at("HTTPS://x.example/a.json#b"), Ok(Location::Url(url)));
        assert!(at("https://").is_err());
        assert!(at("https://me:secret@x.example/a.json").is_err());
    }

    #[test]
    fn an_origin_is_a_scheme_and_a_host() {
        assert!(parse_origin("https://x.example").is_ok());
        assert!(parse_origin("http://127.0.0.1:8080/").is_ok());
        for wrong in ["x.example", "file:///x", "https://x.example/a", "https://a@x.example"] {
            assert!(parse_origin(wrong).is_err(), "{wrong}");
        }
    }
}
