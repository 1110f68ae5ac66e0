//! HTTP/1.1 as far as tests need it: heads as they were written, bodies with a length or in chunks.

use std::io;

use bytes::{Buf as _, BytesMut};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

/// The headers of a message in the order in which they came, names in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, String)>);

impl Headers {
    /// The first value of a header; `name` is in lower case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether there is such a header; `name` is in lower case.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

/// A first line and the headers below it.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) first: String,
    pub(crate) headers: Headers,
}

impl Head {
    /// How long the body is, where the head says so.
    pub(crate) fn length(&self) -> Option<usize> {
        self.headers.get("content-length")?.parse().ok()
    }

    pub(crate) fn is_chunked(&self) -> bool {
        self.headers.get("transfer-encoding").is_some_and(|coding| coding.contains("chunked"))
    }
}

/// A socket with what was read from it and not used yet.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) stream: TcpStream,
    pub(crate) buffer: BytesMut,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, buffer: BytesMut::new() }
    }

    /// Reads more; `false` at the end.
    pub(crate) async fn fill(&mut self) -> io::Result<bool> {
        Ok(self.stream.read_buf(&mut self.buffer).await? > 0)
    }

    /// The next head; `None` if the other side closed before it began one.
    pub(crate) async fn head(&mut self) -> io::Result<Option<Head>> {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break at;
            }
            if !self.fill().await? {
                return if self.buffer.is_empty() {
                    Ok(None)
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                };
            }
        };
        let text = String::from_utf8_lossy(&self.buffer.split_to(end)).into_owned();
        self.buffer.advance(4);
        let mut lines = text.split("\r\n");
        let first = lines.next().unwrap_or_default().to_owned();
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers = headers
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Ok(Some(Head { first, headers: Headers(headers) }))
    }

    /// Exactly `length` bytes.
    pub(crate) async fn exactly(&mut self, length: usize) -> io::Result<BytesMut> {
        while self.buffer.len() < length {
            if !self.fill().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.buffer.split_to(length))
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(at) = self.buffer.windows(2).position(|bytes| bytes == b"\r\n") {
                let line = self.buffer.split_to(at);
                self.buffer.advance(2);
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            if !self.fill().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// The next chunk; `None` after the last.
    pub(crate) async fn chunk(&mut self) -> io::Result<Option<BytesMut>> {
        let line = self.line().await?;
        let length = usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16)
            .map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidData, format!("chunk {line:?}"))
        })?;
        let data = self.exactly(length).await?;
        self.line().await?;
        Ok((length > 0).then_some(data))
    }

    /// The body that `head` announces; until the end of the connection if it announces none and
    /// `until_end` is set.
    pub(crate) async fn body(&mut self, head: &Head, until_end: bool) -> io::Result<BytesMut> {
        if head.is_chunked() {
            let mut whole = BytesMut::new();
            while let Some(chunk) = self.chunk().await? {
                whole.extend_from_slice(&chunk);
            }
            return Ok(whole);
        }
        match head.length() {
            Some(length) => self.exactly(length).await,
            None if until_end => {
                while self.fill().await? {}
                Ok(self.buffer.split())
            }
            None => Ok(BytesMut::new()),
        }
    }
}
