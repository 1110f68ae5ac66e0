//! OpenAPI documents as a command line names them: a file or a URL, and what it refers to.
//!
//! What is read is what somebody named: the document, files below its folder, addresses of its own
//! origin, and of origins that the command line allows. Nothing else that a document asks for is
//! fetched, so a document cannot make this machine call an address of its choice.

use std::fmt;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;
use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};
use engine::http::{Client, Options as ClientOptions};
use http::header::{ACCEPT, LOCATION, USER_AGENT};
use http::{Request, Uri};
use openapi::api::{self, Api};
use openapi::document::{BYTES_MAX, LoadError, Loader, Overlay};
use openapi::report::Place;
use openapi::tool::Options;
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};
use url::{Origin, Url};

/// How long all documents together may take to arrive.
const FETCH_WAIT: Duration = Duration::from_mins(1);

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
            let text = file_text(path, OVERLAY_BYTES_MAX)
                .with_context(|| format!("cannot read the overlay {}", path.display()))?;
            overlays.push((path.display().to_string(), text));
        }
        let location = self.clone();
        let mut reader = Reader::new(&beside.refs)?;
        let loaded = tokio::task::spawn_blocking(move || {
            let (text, url) = match reader.first(&location) {
                Ok(read) => read,
                Err(error) => return Err(unreadable(&location, &error)),
            };
            let overlays: Vec<_> =
                overlays.iter().map(|(name, text)| Overlay { name, text }).collect();
            api::load(&text, &url, &location.to_string(), &mut reader, &overlays, &options)
        });
        loaded.await.context("the document cannot be read")
    }
}

fn unreadable(location: &Location, error: &anyhow::Error) -> LoadError {
    LoadError {
        kind: "unreadable",
        message: format!("{error:#}"),
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

// === reading ===

/// Reads the first document and those that it refers to. Blocks the thread that it is used on.
struct Reader {
    http: Client,
    runtime: Handle,
    until: Instant,
    /// The folder that files must be in; none where the first document is no file.
    folder: Option<PathBuf>,
    origins: Vec<Origin>,
}

impl Reader {
    fn new(refs: &[Url]) -> anyhow::Result<Self> {
        Ok(Self {
            http: Client::new(ClientOptions::default())?,
            runtime: Handle::current(),
            until: Instant::now() + FETCH_WAIT,
            folder: None,
            origins: refs.iter().map(Url::origin).collect(),
        })
    }

    /// The text of the document that somebody named, and what references in it are relative to.
    fn first(&mut self, location: &Location) -> anyhow::Result<(String, Url)> {
        match location {
            Location::File(path) => {
                let text = file_text(path, BYTES_MAX)?;
                // The file may be a link: what it refers to is beside the link.
                let folder = match path.parent() {
                    Some(folder) if !folder.as_os_str().is_empty() => folder,
                    _ => Path::new("."),
                };
                let folder = fs::canonicalize(folder)?;
                let name = path.file_name().context("this is no file")?;
                let url = Url::from_file_path(folder.join(name)).ok();
                self.folder = Some(folder);
                Ok((text, url.context("the path cannot be written as a URL")?))
            }
            Location::Url(url) => {
                self.origins.push(url.origin());
                Ok((self.fetch(url)?, url.clone()))
            }
        }
    }

    fn fetch(&self, url: &Url) -> anyhow::Result<String> {
        let uri: Uri = url.as_str().parse().context("this URL cannot be requested")?;
        let bytes = self.runtime.block_on(get(&self.http, uri, self.until))?;
        String::from_utf8(bytes.into()).context("the text is not UTF-8")
    }

    fn below_folder(&self, url: &Url) -> anyhow::Result<String> {
        let folder =
            self.folder.as_deref().context("a document from a URL cannot refer to files")?;
        let path = url.to_file_path().ok().context("this is no path of a file")?;
        let outside = || {
            let folder = folder.display();
            anyhow!("the file is outside of the document's folder; move it below {folder}")
        };
        if !path.starts_with(folder) {
            return Err(outside());
        }
        // A link may lead anywhere.
        let path = fs::canonicalize(path)?;
        if !path.starts_with(folder) {
            return Err(outside());
        }
        file_text(&path, BYTES_MAX)
    }
}

impl Loader for Reader {
    fn load(&mut self, url: &Url, from: &Url) -> Result<String, String> {
        let text = match url.scheme() {
            "file" if from.scheme() != "file" => {
                Err(anyhow!("a document from a URL cannot refer to files"))
            }
            "file" => self.below_folder(url),
            "http" | "https" if self.origins.contains(&url.origin()) => self.fetch(url),
            "http" | "https" => Err(anyhow!(
                "it is of another origin; allow that with `--refs {}`",
                url.origin().ascii_serialization()
            )),
            scheme => Err(anyhow!("`{scheme}:` cannot be read")),
        };
        text.map_err(|error| format!("{error:#}"))
    }
}

async fn get(http: &Client, uri: Uri, until: Instant) -> anyhow::Result<Bytes> {
    let request = Request::get(uri)
        .header(ACCEPT, "application/json, application/yaml, text/yaml, */*;q=0.5")
        .header(USER_AGENT, concat!("portcullis/", env!("CARGO_PKG_VERSION")))
        .body(Bytes::new())?;
    let answer = http.send_before(request, until).await?;
    let status = answer.status();
    if status.is_redirection() {
        let to = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok());
        let to = to.map(|to| format!(" to {to}")).unwrap_or_default();
        bail!("the server redirects{to} with {status}, which is not followed; name that URL")
    }
    if !status.is_success() {
        bail!("the server answers {status}")
    }
    let body = timeout_at(until, answer.into_body().collect_limited(BYTES_MAX)).await;
    Ok(body.context("the answer did not arrive in time")??)
}

/// The text of a file. Only of a file: a pipe or a device might never end.
pub(crate) fn file_text(path: &Path, bytes_max: usize) -> anyhow::Result<String> {
    let about = fs::metadata(path)?;
    if !about.is_file() {
        bail!("this is no file")
    }
    let mut bytes = Vec::new();
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    fs::File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    if bytes.len() > bytes_max {
        bail!("the file is longer than {bytes_max} bytes")
    }
    String::from_utf8(bytes).context("the text is not UTF-8")
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
