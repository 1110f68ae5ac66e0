//! Requests as bytes, written once: only the id changes from one to the next.

use std::net::SocketAddr;

/// The era of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Era {
    /// 2026-07-28: every request stands alone.
    Modern,
    /// 2025-11-25: `initialize`, then requests in a session.
    Legacy,
}

/// What the client says that it can be asked in the middle of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Declares {
    /// Nothing.
    Nothing,
    /// Forms, pages, its model and its roots.
    Questions,
}

impl Declares {
    const fn capabilities(self) -> &'static str {
        match self {
            Self::Nothing => "{}",
            Self::Questions => r#"{"elicitation":{"form":{},"url":{}},"sampling":{},"roots":{}}"#,
        }
    }
}

/// How the upstream is asked to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// One JSON body.
    Json,
    /// One event of an event stream.
    Sse,
}

/// Where to ask: an `http://ADDRESS:PORT/PATH` taken apart.
#[derive(Debug, Clone)]
pub struct Target {
    /// The server's address.
    pub address: SocketAddr,
    /// The path, with its slash.
    pub path: String,
}

impl std::str::FromStr for Target {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        let rest = url.strip_prefix("http://").ok_or("a URL here begins with http://")?;
        let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
        let address =
            address.parse().map_err(|_| format!("{address} is not of the form ADDRESS:PORT"))?;
        Ok(Self { address, path: format!("/{path}") })
    }
}

/// Ids have nine digits, so that a request stays as long as it was.
const ID_DIGITS: usize = 9;
const ID_MARK: &str = "@@@@@@@@@";
/// The first id; each connection counts from its own multiple of `IDS_EACH` above it.
const ID_FIRST: u32 = 100_000_000;
const IDS_EACH: u32 = 2_000_000;
/// So many connections have ids of their own.
pub const CONNECTIONS_MAX: u32 = (999_999_999 - ID_FIRST) / IDS_EACH;

/// A request with a place for the id.
#[derive(Debug, Clone)]
pub struct Template {
    bytes: Vec<u8>,
    places: Vec<usize>,
    first: u32,
    sent: u32,
}

impl Template {
    fn new(text: &str, connection: u32) -> Self {
        let places = text.match_indices(ID_MARK).map(|(at, _)| at).collect();
        let first = ID_FIRST + (connection % CONNECTIONS_MAX) * IDS_EACH;
        Self { bytes: text.as_bytes().to_vec(), places, first, sent: 0 }
    }

    /// The same with ids from so many further on, for requests that are written one by one.
    pub fn after(mut self, sent: u32) -> Self {
        self.sent = sent % IDS_EACH;
        self
    }

    /// The next request and the digits of its id.
    pub fn next_request(&mut self) -> (&[u8], [u8; ID_DIGITS]) {
        let mut rest = self.first + self.sent;
        self.sent = (self.sent + 1) % IDS_EACH;
        let mut digits = [b'0'; ID_DIGITS];
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + u8::try_from(rest % 10).expect("a digit fits");
            rest /= 10;
        }
        for &place in &self.places {
            self.bytes[place..place + ID_DIGITS].copy_from_slice(&digits);
        }
        (&self.bytes, digits)
    }
}

/// Writes the requests of one client connection.
#[derive(Debug, Clone)]
pub struct Writer<'a> {
    /// Where they go.
    pub target: &'a Target,
    /// In which era.
    pub era: Era,
    /// What the client can be asked.
    pub declares: Declares,
    /// The session of a legacy client, once it has one.
    pub session: Option<&'a str>,
    /// The number of the connection: it chooses the ids.
    pub connection: u32,
}

impl Writer<'_> {
    /// `tools/call` of a tool of the bench upstream.
    pub fn call(&self, tool: &str, size: usize, form: Form) -> Template {
        let form = match form {
            Form::Json => "json",
            Form::Sse => "sse",
        };
        let arguments = format!(r#"{{"echo":"{ID_MARK}","size":{size},"form":"{form}"}}"#);
        let members = format!(r#""name":"{tool}","arguments":{arguments}"#);
        self.request("tools/call", Some(tool), &members)
    }

    /// `tools/call` of a tool of the bench upstream that asks first. The call is known by its echo:
    /// one that brings `answers`, as members of the parameters, repeats it under another id.
    pub fn asking_call(&self, tool: &str, size: usize, echo: &str, answers: &str) -> Template {
        let arguments = format!(r#"{{"echo":"{echo}","size":{size},"form":"ask"}}"#);
        let members = format!(r#""name":"{tool}","arguments":{arguments}{answers}"#);
        self.request("tools/call", Some(tool), &members)
    }

    /// The first page of `tools/list`.
    pub fn list(&self) -> Template {
        self.request("tools/list", None, "")
    }

    /// `subscriptions/listen` for changes of the list of tools; modern only.
    pub fn listen(&self) -> Template {
        self.request("subscriptions/listen", None, r#""notifications":{"toolsListChanged":true}"#)
    }

    /// The request that begins a legacy session.
    pub fn initialize(&self) -> Template {
        let params = format!(
            r#"{{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{CLIENT}}}"#,
            self.declares.capabilities()
        );
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{ID_MARK},"method":"initialize","params":{params}}}"#
        );
        self.post("", &body)
    }

    /// The notification that ends the beginning of a legacy session.
    pub fn initialized(&self) -> Template {
        let headers = self.legacy_headers();
        self.post(&headers, r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)
    }

    /// The request that ends a legacy session.
    pub fn end(&self) -> Template {
        let Target { address, path } = self.target;
        let headers = self.legacy_headers();
        let text = format!("DELETE {path} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n");
        Template::new(&text, self.connection)
    }

    /// A plain GET, for a file.
    pub fn get(&self) -> Template {
        let Target { address, path } = self.target;
        Template::new(&format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n"), self.connection)
    }

    fn request(&self, method: &str, name: Option<&str>, members: &str) -> Template {
        let modern_meta;
        let (headers, meta) = match self.era {
            Era::Modern => {
                let name = name.map(|name| format!("Mcp-Name: {name}\r\n")).unwrap_or_default();
                let headers =
                    format!("MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\n{name}");
                modern_meta = format!(
                    r#""_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{CLIENT},"io.modelcontextprotocol/clientCapabilities":{}}}"#,
                    self.declares.capabilities()
                );
                (headers, modern_meta.as_str())
            }
            Era::Legacy => (self.legacy_headers(), ""),
        };
        let comma = if members.is_empty() || meta.is_empty() { "" } else { "," };
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{ID_MARK},"method":"{method}","params":{{{members}{comma}{meta}}}}}"#
        );
        self.post(&headers, &body)
    }

    fn legacy_headers(&self) -> String {
        let session = self.session.unwrap_or_default();
        format!("MCP-Protocol-Version: 2025-11-25\r\nMcp-Session-Id: {session}\r\n")
    }

    fn post(&self, headers: &str, body: &str) -> Template {
        let Target { address, path } = self.target;
        let length = body.len();
        let text = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\n{headers}\
             Content-Length: {length}\r\n\r\n{body}"
        );
        Template::new(&text, self.connection)
    }
}

const CLIENT: &str = r#"{"name":"bench-load","version":"1.0.0"}"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_changes_nothing_but_the_id() {
        let target: Target = "http://127.0.0.1:80/mcp".parse().unwrap();
        let writer = Writer {
            target: &target,
            era: Era::Modern,
            declares: Declares::Nothing,
            session: None,
            connection: 3,
        };
        let mut template = writer.call("tool_1", 1024, Form::Json);
        let first = String::from_utf8(template.next_request().0.to_vec()).unwrap();
        let (second, id) = template.next_request();
        let second = String::from_utf8(second.to_vec()).unwrap();
        assert_eq!(&id, b"106000001");
        assert_eq!(first.replace("106000000", "106000001"), second);

        let (head, body) = second.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())));
        assert!(head.contains("Mcp-Name: tool_1\r\n"));
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["id"], 106_000_001);
        assert_eq!(body["params"]["arguments"]["echo"], "106000001");
    }

    #[test]
    fn every_request_is_json() {
        let target: Target = "http://127.0.0.1:80/mcp".parse().unwrap();
        let declared = [Declares::Nothing, Declares::Questions];
        for (era, declares) in [Era::Modern, Era::Legacy].into_iter().zip(declared) {
            let writer =
                Writer { target: &target, era, declares, session: Some("s"), connection: 0 };
            let mut all = [
                writer.call("t", 1, Form::Sse),
                writer.asking_call("t", 1, "e", r#","requestState":"x""#),
                writer.list(),
                writer.initialize(),
            ];
            for template in &mut all {
                let text = String::from_utf8(template.next_request().0.to_vec()).unwrap();
                let body = text.split_once("\r\n\r\n").unwrap().1;
                serde_json::from_str::<serde_json::Value>(body).unwrap();
            }
        }
    }
}
