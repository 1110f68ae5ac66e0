//! Reads the documents of an API: the first one, files below its folder, and URLs of origins that
//! somebody named.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{
    ACCEPT, ETAG, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, LOCATION,
    USER_AGENT,
};
use http::{HeaderMap, Request, StatusCode, Uri};
use openapi::document::{BYTES_MAX, Loader};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};
use url::{Origin, Url};

use crate::http::Client;

/// How long one document may take.
pub(crate) const FETCH_WAIT: Duration = Duration::from_secs(30);

/// How long all documents that one refers to may take together.
const ALL_WAIT: Duration = Duration::from_mins(1);

/// Who asks: some hosts refuse requests that do not say so.
const AGENT: &str = concat!("portcullis/", env!("CARGO_PKG_VERSION"));

/// How to ask whether a document is still the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Validators {
    etag: Option<HeaderValue>,
    modified: Option<HeaderValue>,
}

/// What came of asking for a document.
pub(crate) enum Fetched {
    /// The document.
    Text(String, Validators),
    /// It is still the one that was read before.
    Same,
}

/// The text of a document at a URL.
///
/// # Errors
/// Why it cannot be had, without the URL.
pub async fn get(client: &Client, url: &Url) -> Result<String, String> {
    let deadline = Instant::now() + FETCH_WAIT;
    match fetch(client, url, &HeaderMap::new(), &Validators::default(), deadline).await? {
        Fetched::Text(text, _) => Ok(text),
        Fetched::Same => Err("HTTP 304, although nothing was known of it".to_owned()),
    }
}

/// Gets a document, unless it is still the one that `known` is of.
pub(crate) async fn fetch(
    client: &Client,
    url: &Url,
    head: &HeaderMap,
    known: &Validators,
    deadline: Instant,
) -> Result<Fetched, String> {
    let mut request = Request::new(Bytes::new());
    *request.uri_mut() = Uri::try_from(url.as_str()).map_err(|error| error.to_string())?;
    let headers = request.headers_mut();
    headers.clone_from(head);
    headers.insert(
        ACCEPT,
        HeaderValue::from_static("application/json, application/yaml, text/yaml, */*;q=0.5"),
    );
    headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
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
                Some(to) => {
                    // A query may hold what lets one in.
                    let to = url.join(to).map_or_else(|_| to.to_owned(), String::from);
                    let to = to.split('?').next().unwrap_or_default();
                    format!("it redirects to {to}, which is not followed; write that URL")
                }
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
    let text = openapi::document::text_of(body.into())?;
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
pub(crate) struct Stamp {
    path: PathBuf,
    state: Option<(u64, Option<SystemTime>)>,
}

impl Stamp {
    pub(crate) fn of(path: &Path) -> Self {
        let state = std::fs::metadata(path).ok();
        let state = state.map(|found| (found.len(), found.modified().ok()));
        Self { path: path.to_owned(), state }
    }

    /// Whether the file is another one now.
    pub(crate) fn is_outdated(&self) -> bool {
        *self != Self::of(&self.path)
    }
}

/// The text of a file that is at most `bytes_max` long. Only of a file: a pipe or a device might never
/// end.
///
/// # Errors
/// What is wrong with it, without its name.
pub fn read_file(path: &Path, bytes_max: usize) -> Result<String, String> {
    let about = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if about.is_dir() {
        return Err("it is a folder".to_owned());
    }
    if !about.is_file() {
        return Err("it is no regular file".to_owned());
    }
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() > bytes_max {
        return Err(format!("it is longer than {} MiB", bytes_max >> 20));
    }
    openapi::document::text_of(bytes)
}

/// Reads what a document refers to: files below its folder, addresses of its own origin, and of origins
/// that somebody named. Nothing else that a document asks for is read. For threads that may wait.
#[derive(Debug)]
pub struct References<'a> {
    runtime: Handle,
    client: &'a Client,
    /// What requests to the origin of the first document carry.
    head: &'a HeaderMap,
    until: Instant,
    /// The folder of the first document, links followed, if it is a file.
    folder: Option<PathBuf>,
    /// The origin of the first document, if it is a URL.
    own: Option<Origin>,
    /// Further origins that somebody named.
    origins: &'a [Url],
    /// The files that were read, and those that are not there.
    pub(crate) files: Vec<Stamp>,
    /// How many URLs were read.
    pub(crate) urls: usize,
}

impl<'a> References<'a> {
    /// What the document at `first` may refer to; requests to its own origin carry `head`. All
    /// documents together may take a minute.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub fn new(
        first: &Url,
        client: &'a Client,
        head: &'a HeaderMap,
        origins: &'a [Url],
        runtime: Handle,
    ) -> Self {
        let file = (first.scheme() == "file").then(|| first.to_file_path().ok()).flatten();
        // The file may be a link: what it refers to is beside the link.
        let folder = file.and_then(|file| file.parent()?.canonicalize().ok());
        let own = (first.scheme() != "file").then(|| first.origin());
        let until = Instant::now() + ALL_WAIT;
        Self { runtime, client, head, until, folder, own, origins, files: Vec::new(), urls: 0 }
    }

    fn file(&mut self, url: &Url, from: &Url) -> Result<String, String> {
        let folder = self.folder.as_deref().filter(|_| from.scheme() == "file");
        let folder = folder.ok_or("a document from elsewhere cannot refer to files")?;
        let path = url.to_file_path().map_err(|()| "it names no file")?;
        // Links are followed before the comparison.
        let found = path.canonicalize().map_err(|error| error.to_string());
        let found = found.inspect_err(|_| self.files.push(Stamp::of(&path)))?;
        if !found.starts_with(folder) {
            let folder = folder.display();
            return Err(format!(
                "it is outside of the folder of the document; move it below {folder}"
            ));
        }
        self.files.push(Stamp::of(&path));
        read_file(&found, BYTES_MAX)
    }

    fn url(&mut self, url: &Url) -> Result<String, String> {
        let origin = url.origin();
        let is_own = self.own.as_ref() == Some(&origin);
        if !is_own && !self.origins.iter().any(|allowed| allowed.origin() == origin) {
            let origin = origin.ascii_serialization();
            return Err(format!(
                "it is of another origin; if that is right, allow `{origin}`: `refs` in a \
                 configuration, `--refs` on a command line"
            ));
        }
        self.urls += 1;
        let head = if is_own { self.head.clone() } else { HeaderMap::new() };
        let known = Validators::default();
        let until = self.until.min(Instant::now() + FETCH_WAIT);
        match self.runtime.block_on(fetch(self.client, url, &head, &known, until))? {
            Fetched::Text(text, _) => Ok(text),
            Fetched::Same => Err("HTTP 304, although nothing was known of it".to_owned()),
        }
    }
}

impl Loader for References<'_> {
    fn load(&mut self, url: &Url, from: &Url) -> Result<String, String> {
        match url.scheme() {
            "file" => self.file(url, from),
            "http" | "https" => self.url(url),
            other => Err(format!("`{other}` is nothing that documents are read from")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Options;

    #[tokio::test]
    async fn files_are_read_below_the_folder_and_for_files_alone() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("api");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("in.yaml"), "in").unwrap();
        std::fs::write(home.path().join("out.yaml"), "out").unwrap();
        let url = |path: PathBuf| Url::from_file_path(path).unwrap();
        let (first, inside) = (url(folder.join("api.yaml")), url(folder.join("in.yaml")));
        let client = Client::new(Options::default()).unwrap();
        let (head, origins) = (HeaderMap::new(), [Url::parse("https://a.example").unwrap()]);
        let mut references = References::new(&first, &client, &head, &origins, Handle::current());
        assert_eq!(references.load(&inside, &first).as_deref(), Ok("in"));
        let outside = references.load(&url(home.path().join("out.yaml")), &first);
        assert!(outside.unwrap_err().contains("outside of the folder"));
        // A document of an allowed origin is no way to the files of this machine.
        let refused = references.load(&inside, &origins[0]).unwrap_err();
        assert!(refused.contains("cannot refer to files"), "{refused}");
        let other = Url::parse("https://b.example/x").unwrap();
        assert!(references.load(&other, &first).unwrap_err().contains("allow `https://b.example`"));
    }
}
