//! Reads the documents of an API: files below the folder of the first one, and URLs of origins that
//! the operator named.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{
    ACCEPT, ETAG, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, LOCATION,
};
use http::{HeaderMap, Request, StatusCode, Uri};
use openapi::document::{BYTES_MAX, Loader};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};
use url::{Origin, Url};

use crate::http::Client;

/// How long one document may take.
const FETCH_WAIT: Duration = Duration::from_secs(30);

/// How to ask whether a document is still the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Validators {
    etag: Option<HeaderValue>,
    modified: Option<HeaderValue>,
}

/// What came of asking for a document.
pub(super) enum Fetched {
    /// The document.
    Text(String, Validators),
    /// It is still the one that was read before.
    Same,
}

/// Gets a document, unless it is still the one that `known` is of.
pub(super) async fn fetch(
    client: &Client,
    url: &Url,
    head: &HeaderMap,
    known: &Validators,
) -> Result<Fetched, String> {
    let deadline = Instant::now() + FETCH_WAIT;
    let mut request = Request::new(Bytes::new());
    *request.uri_mut() = Uri::try_from(url.as_str()).map_err(|error| error.to_string())?;
    let headers = request.headers_mut();
    headers.clone_from(head);
    headers.insert(
        ACCEPT,
        HeaderValue::from_static("application/json, application/yaml, text/yaml, */*;q=0.5"),
    );
    if let Some(etag) = &known.etag {
        headers.insert(IF_NONE_MATCH, etag.clone());
    } else if let Some(modified) = &known.modified {
        headers.insert(IF_MODIFIED_SINCE, modified.clone());
    }
    let response = client.send_before(request, deadline).await;
    let response = response.map_err(|error| chain(&error))?;
    let (head, body) = response.into_parts();
    match head.status {
        StatusCode::NOT_MODIFIED => return Ok(Fetched::Same),
        status if status.is_success() => {}
        status if status.is_redirection() => {
            let to = head.headers.get(LOCATION).and_then(|to| to.to_str().ok());
            return Err(match to {
                Some(to) => format!("it moved to {to}; write that URL"),
                None => format!("HTTP {}", status.as_u16()),
            });
        }
        status => return Err(format!("HTTP {}", status.as_u16())),
    }
    let body = timeout_at(deadline, body.collect_limited(BYTES_MAX)).await;
    let body = body.map_err(|_| "it did not come in time".to_owned())?;
    let body = body.map_err(|error| chain(&error))?;
    let validators = Validators {
        etag: head.headers.get(ETAG).cloned(),
        modified: head.headers.get(LAST_MODIFIED).cloned(),
    };
    let text = String::from_utf8(body.into()).map_err(|_| "it is not UTF-8".to_owned())?;
    Ok(Fetched::Text(text, validators))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// A file, and what it was when it was read: another size or time means another content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    path: PathBuf,
    state: Option<(u64, Option<SystemTime>)>,
}

impl Stamp {
    pub(super) fn of(path: &Path) -> Self {
        let state = std::fs::metadata(path).ok();
        let state = state.map(|found| (found.len(), found.modified().ok()));
        Self { path: path.to_owned(), state }
    }

    /// Whether the file is another one now.
    pub(super) fn is_outdated(&self) -> bool {
        *self != Self::of(&self.path)
    }
}

/// The text of a file, at most [`BYTES_MAX`] long.
pub(super) fn read_file(path: &Path) -> Result<String, String> {
    let limit = u64::try_from(BYTES_MAX).unwrap_or(u64::MAX);
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    if file.metadata().is_ok_and(|found| found.is_dir()) {
        return Err("it is a folder".to_owned());
    }
    let mut text = String::new();
    file.take(limit + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() > BYTES_MAX {
        return Err(format!("it is longer than {} MiB", BYTES_MAX >> 20));
    }
    Ok(text)
}

/// Reads what a document refers to. For threads that may wait.
pub(super) struct References<'a> {
    pub(super) runtime: Handle,
    pub(super) client: &'a Client,
    /// What requests to the origin of the first document carry.
    pub(super) head: &'a HeaderMap,
    /// The folder of the first document, if it is a file.
    pub(super) folder: Option<PathBuf>,
    /// The origin of the first document, if it is a URL.
    pub(super) own: Option<Origin>,
    /// Further origins that the operator named.
    pub(super) origins: &'a [Url],
    /// The files that were read.
    pub(super) files: Vec<Stamp>,
    /// How many URLs were read.
    pub(super) urls: usize,
}

impl References<'_> {
    fn file(&mut self, url: &Url) -> Result<String, String> {
        let Some(folder) = &self.folder else {
            return Err("a document from elsewhere cannot refer to files".to_owned());
        };
        let path = url.to_file_path().map_err(|()| "it names no file".to_owned())?;
        // Links are followed before the comparison.
        let folder = folder.canonicalize().map_err(|error| error.to_string())?;
        let found = path.canonicalize().map_err(|error| error.to_string());
        let found = found.inspect_err(|_| self.files.push(Stamp::of(&path)))?;
        if !found.starts_with(&folder) {
            return Err("it is not below the folder of the document".to_owned());
        }
        self.files.push(Stamp::of(&path));
        read_file(&found)
    }

    fn url(&mut self, url: &Url) -> Result<String, String> {
        let origin = url.origin();
        let is_own = self.own.as_ref() == Some(&origin);
        if !is_own && !self.origins.iter().any(|allowed| allowed.origin() == origin) {
            let origin = origin.ascii_serialization();
            return Err(format!(
                "it is of another origin; if that is right, the operator adds `{origin}` to `refs`"
            ));
        }
        self.urls += 1;
        let head = if is_own { self.head.clone() } else { HeaderMap::new() };
        let known = Validators::default();
        match self.runtime.block_on(fetch(self.client, url, &head, &known))? {
            Fetched::Text(text, _) => Ok(text),
            Fetched::Same => Err("HTTP 304, although nothing was known of it".to_owned()),
        }
    }
}

impl Loader for References<'_> {
    fn load(&mut self, url: &Url, _from: &Url) -> Result<String, String> {
        match url.scheme() {
            "file" => self.file(url),
            "http" | "https" => self.url(url),
            other => Err(format!("`{other}` is nothing that documents are read from")),
        }
    }
}
