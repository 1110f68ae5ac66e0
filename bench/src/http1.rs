//! A client for HTTP/1.1 with keep-alive that does just what the load generator needs.
//!
//! One request is in flight on a connection at a time, so whatever stands in the buffer belongs to
//! the answer being read. A general client would cost as much as the gateway that we measure.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// No server that we measure sends a larger head.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// The largest answer asked for is a list of some 100 KiB.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
const READ_BYTES: usize = 64 * 1024;

/// A connection to one server.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    body: Vec<u8>,
}

/// What the head of an answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The status code.
    pub status: u16,
    /// The value of `Mcp-Session-Id`.
    pub session: Option<String>,
    length: Length,
    /// Where the body begins in the buffer.
    body_at: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    Known(usize),
    Chunked,
}

impl Connection {
    /// Connects; fails when nobody listens there.
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::new(), body: Vec::new() })
    }

    /// Sends a whole request and reads the whole answer; the body is without chunk marks.
    ///
    /// Fails when the server closes early or what it sends is not HTTP/1.1.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<(Head, &[u8])> {
        let head = self.send(request).await?;
        match head.length {
            Length::Known(length) => {
                let end = head.body_at + length;
                self.fill(end).await?;
                Ok((head.clone(), &self.buffer[head.body_at..end]))
            }
            Length::Chunked => {
                self.read_chunks(head.body_at).await?;
                Ok((head, &self.body))
            }
        }
    }

    /// Sends a request whose answer never ends, and waits until `mark` stands in it.
    ///
    /// Fails when the answer is not 200, ends, or is longer than an opening may be.
    pub async fn open_stream(&mut self, request: &[u8], mark: &[u8]) -> Result<()> {
        let head = self.send(request).await?;
        if head.status != 200 {
            return Err(broken(format!("the stream was refused with status {}", head.status)));
        }
        while !contains(&self.buffer[head.body_at..], mark) {
            if self.buffer.len() > HEAD_BYTES_MAX {
                return Err(broken("the stream does not open as it should"));
            }
            self.read_more().await?;
        }
        // Nothing more is expected: thousands of idle streams should not cost us buffers.
        self.buffer = Vec::new();
        Ok(())
    }

    /// Waits until the server closes or sends something.
    pub async fn wait(&mut self) -> Result<()> {
        self.read_more().await
    }

    async fn send(&mut self, request: &[u8]) -> Result<Head> {
        self.buffer.clear();
        self.stream.write_all(request).await?;
        loop {
            self.read_more().await?;
            if let Some(head) = parse_head(&self.buffer)? {
                return Ok(head);
            }
            if self.buffer.len() > HEAD_BYTES_MAX {
                return Err(broken("the head of the answer does not end"));
            }
        }
    }

    async fn read_chunks(&mut self, mut at: usize) -> Result<()> {
        self.body.clear();
        loop {
            let line_end = loop {
                match memchr::memmem::find(&self.buffer[at..], b"\r\n") {
                    Some(length) => break at + length,
                    None => self.read_more().await?,
                }
            };
            let size = chunk_size(&self.buffer[at..line_end])?;
            let data = line_end + 2;
            let end = data + size;
            self.fill(end + 2).await?;
            if &self.buffer[end..end + 2] != b"\r\n" {
                return Err(broken("a chunk is longer than it says, or there are trailers"));
            }
            if size == 0 {
                return Ok(());
            }
            self.body.extend_from_slice(&self.buffer[data..end]);
            if self.body.len() > BODY_BYTES_MAX {
                return Err(broken("the answer is too long"));
            }
            at = end + 2;
        }
    }

    /// Reads until `length` bytes are in the buffer.
    async fn fill(&mut self, length: usize) -> Result<()> {
        if length > BODY_BYTES_MAX {
            return Err(broken("the answer is too long"));
        }
        while self.buffer.len() < length {
            self.read_more().await?;
        }
        Ok(())
    }

    async fn read_more(&mut self) -> Result<()> {
        self.buffer.reserve(READ_BYTES);
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(Error::new(ErrorKind::UnexpectedEof, "the server closed the connection")),
            _ => Ok(()),
        }
    }
}

/// The head at the beginning of `bytes`, once it is complete.
fn parse_head(bytes: &[u8]) -> Result<Option<Head>> {
    let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&bytes[..end]).map_err(|_| broken("the head is not text"))?;
    let mut lines = text.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.strip_prefix("HTTP/1.1 "))
        .and_then(|rest| rest.get(..3)?.parse().ok())
        .ok_or_else(|| broken("the answer has no status line"))?;
    let mut head = Head { status, session: None, length: Length::Known(0), body_at: end + 4 };
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            let length = value.parse().map_err(|_| broken("Content-Length is not a number"))?;
            head.length = Length::Known(length);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            head.length = Length::Chunked;
        } else if name.eq_ignore_ascii_case("mcp-session-id") {
            head.session = Some(value.to_owned());
        }
    }
    Ok(Some(head))
}

fn chunk_size(line: &[u8]) -> Result<usize> {
    std::str::from_utf8(line)
        .ok()
        .and_then(|line| usize::from_str_radix(line.split(';').next()?.trim(), 16).ok())
        .filter(|&size| size <= BODY_BYTES_MAX)
        .ok_or_else(|| broken("a chunk has no size"))
}

/// Whether `part` stands somewhere in `bytes`.
pub fn contains(bytes: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(bytes, part).is_some()
}

fn broken(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidData, what.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends `pieces` one by one to a client that asked, and returns what it understood.
    async fn answer(pieces: &'static [&'static str]) -> Result<(u16, Vec<u8>)> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 3];
            stream.read_exact(&mut request).await.unwrap();
            for piece in pieces {
                stream.write_all(piece.as_bytes()).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        let mut connection = Connection::open(address).await?;
        let answer =
            connection.exchange(b"ask").await.map(|(head, body)| (head.status, body.to_vec()));
        server.await.unwrap();
        answer
    }

    #[tokio::test]
    async fn reads_answers_of_known_length() {
        let got = answer(&["HTTP/1.1 200 OK\r\nCONTENT-length: 5\r", "\n\r\nhe", "llo"]).await;
        assert_eq!(got.unwrap(), (200, b"hello".to_vec()));
    }

    #[tokio::test]
    async fn reads_chunks_wherever_they_are_cut() {
        const HEAD: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let got =
            answer(&[HEAD, "5\r", "\nhello\r\n", "A;x=y\r\n, dear wo", "r\r\n0\r\n\r\n"]).await;
        assert_eq!(got.unwrap(), (200, b"hello, dear wor".to_vec()));
    }

    #[tokio::test]
    async fn refuses_what_is_cut_short_or_is_not_http() {
        const NO_SIZE: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
        assert!(answer(&["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"]).await.is_err());
        assert!(answer(&["SSH-2.0-OpenSSH\r\n\r\n"]).await.is_err());
        assert!(answer(&[NO_SIZE]).await.is_err());
    }
}
