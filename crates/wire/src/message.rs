//! JSON-RPC messages: decoded once, members kept as slices, envelopes written anew.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};

use bytes::Bytes;

use crate::code;
use crate::json::{self, Edit, Json, Kind, Limits, Malformed, Object, Part, Reason, Scan, Stretch};

mod batch;

pub use batch::split as split_batch;

/// The id of a request: a string or an integer of any size, kept as it was written.
///
/// Two ids are equal when they denote the same value: `"a"` equals `"\u0061"`, `1` never equals
/// `"1"`.
#[derive(Clone)]
pub struct Id(Bytes);

impl Id {
    /// Reads an id from JSON; `None` for anything but a string or an integer without fraction and
    /// exponent.
    pub fn from_json(json: &Json) -> Option<Self> {
        Self::is_id(json.as_bytes()).then(|| Self(json.bytes().clone()))
    }

    /// Whether a value may be an id.
    fn is_id(raw: &[u8]) -> bool {
        match json::kind_of(raw) {
            Kind::String => true,
            Kind::Number => !raw.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')),
            _ => false,
        }
    }

    /// A string id.
    pub fn text(text: &str) -> Self {
        Self(Json::string(text).bytes().clone())
    }

    /// The id as JSON text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The id as a JSON value.
    pub fn to_json(&self) -> Json {
        Json::trusted(self.0.clone())
    }

    /// The number if this is an unsigned integer that fits.
    pub fn as_u64(&self) -> Option<u64> {
        std::str::from_utf8(&self.0).ok()?.parse().ok()
    }

    fn canonical(&self) -> Cow<'_, [u8]> {
        if !self.0.contains(&b'\\') {
            return Cow::Borrowed(&self.0);
        }
        let text = json::text_of(&self.0).unwrap_or_default();
        Cow::Owned(Json::string(&text).as_bytes().to_vec())
    }
}

impl From<u64> for Id {
    fn from(number: u64) -> Self {
        Self(number.to_string().into())
    }
}

impl PartialEq for Id {
    fn eq(&self, other: &Self) -> bool {
        self.canonical() == other.canonical()
    }
}

impl Eq for Id {}

impl Hash for Id {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.canonical().hash(state);
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

/// One JSON-RPC message.
#[derive(Clone, Debug)]
pub enum Message {
    /// A call that wants an answer.
    Request(Request),
    /// A message without an answer.
    Notification(Notification),
    /// The answer to a request.
    Response(Response),
}

/// A call that wants an answer.
#[derive(Clone, Debug)]
pub struct Request {
    /// What the answer is matched by.
    pub id: Id,
    /// The method, verbatim.
    pub method: Text,
    /// The parameters; empty when the member is absent.
    pub params: Object,
    /// The members of `params._meta`; empty when absent.
    pub meta: Object,
}

/// A message without an answer.
#[derive(Clone, Debug)]
pub struct Notification {
    /// The method, verbatim.
    pub method: Text,
    /// The parameters; empty when the member is absent.
    pub params: Object,
    /// The members of `params._meta`; empty when absent.
    pub meta: Object,
}

/// The answer to a request.
#[derive(Clone, Debug)]
pub struct Response {
    /// The id of the request; absent (null) only for errors about unreadable requests.
    pub id: Option<Id>,
    /// Success or error.
    pub outcome: Outcome,
}

/// How a request ended: a result object, or an error.
pub type Outcome = Result<Object, RpcError>;

/// The error member of a response.
#[derive(Clone, Debug)]
pub struct RpcError {
    /// The error code (see [`code`]).
    pub code: i64,
    /// What happened, for people.
    pub message: String,
    /// Further details, verbatim.
    pub data: Option<Json>,
}

impl RpcError {
    /// An error without data.
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    /// Reads an error object that is part of a result.
    pub fn of(error: &Object) -> Option<Self> {
        let code = error.get("code")?.as_str().parse().ok()?;
        let message = error.text("message")?.into_owned();
        Some(Self { code, message, data: error.get("data") })
    }

    /// The error as JSON text.
    pub fn to_json(&self) -> Json {
        let mut out = Vec::with_capacity(self.message.len() + 64);
        self.write(&mut out);
        Json::trusted(out)
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"code\":");
        out.extend_from_slice(self.code.to_string().as_bytes());
        out.extend_from_slice(b",\"message\":");
        json::write_string(out, &self.message);
        if let Some(data) = &self.data {
            out.extend_from_slice(b",\"data\":");
            out.extend_from_slice(data.as_bytes());
        }
        out.push(b'}');
    }
}

/// A decoded string that shares the buffer it came in where it can.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Text(Bytes);

impl Text {
    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a Text is valid UTF-8")
    }

    /// Takes bytes from the wire as text; what is not UTF-8 becomes U+FFFD.
    pub(crate) fn lossy(bytes: Bytes) -> Self {
        match String::from_utf8_lossy(&bytes) {
            Cow::Borrowed(_) => Self(bytes),
            Cow::Owned(text) => Self(text.into()),
        }
    }

    /// The string at `value` in a valid text; `None` if it is no string.
    fn of(text: &Bytes, value: Stretch) -> Option<Self> {
        let range = value.range();
        if text[range.start] != b'"' {
            return None;
        }
        if value.escaped {
            return json::text_of(&text[range]).map(|text| Self(text.into_owned().into()));
        }
        Some(Self(text.slice(range.start + 1..range.end - 1)))
    }
}

impl std::ops::Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// Why a text is not a message the gate accepts.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// The text is not the JSON we accept: JSON-RPC -32700.
    Syntax(Malformed),
    /// The text is an array; only 2025-03-26 has batches: -32600.
    Batch,
    /// The JSON is no JSON-RPC 2.0 message: -32600, with the id where one could be read.
    Envelope {
        /// What is wrong with the envelope.
        what: &'static str,
        /// The id, where it could be read.
        id: Option<Id>,
    },
    /// `params` is not an object: -32602.
    Params {
        /// The id of the request.
        id: Option<Id>,
    },
}

impl Refusal {
    /// The JSON-RPC error to answer with.
    pub fn to_error(&self) -> RpcError {
        let code = match self {
            Self::Syntax(_) => code::PARSE_ERROR,
            Self::Batch | Self::Envelope { .. } => code::INVALID_REQUEST,
            Self::Params { .. } => code::INVALID_PARAMS,
        };
        RpcError::new(code, self.to_string())
    }

    /// The id to answer to, where one could be read.
    pub fn id(&self) -> Option<&Id> {
        match self {
            Self::Envelope { id, .. } | Self::Params { id } => id.as_ref(),
            Self::Syntax(_) | Self::Batch => None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(malformed) => write!(f, "Parse error: {malformed}"),
            Self::Batch => f.write_str(
                "Invalid request: a batch is only defined in protocol version 2025-03-26; \
                 send one message per request",
            ),
            Self::Envelope { what, .. } => write!(f, "Invalid request: {what}"),
            Self::Params { .. } => f.write_str("Invalid params: `params` must be an object"),
        }
    }
}

impl std::error::Error for Refusal {}

impl Message {
    /// Decodes one message strictly. The members share `text`.
    pub fn decode(text: &Bytes, limits: &Limits) -> Result<Self, Refusal> {
        let scan = match json::message_scan(text, limits) {
            Ok(scan) => scan,
            Err(Malformed { reason: Reason::Syntax, .. }) if starts_array(text) => {
                return Err(Refusal::Batch);
            }
            Err(malformed) => {
                // Valid JSON that is no object is readable, and still no message.
                let is_other =
                    malformed.reason == Reason::Syntax && malformed.offset == first_token(text);
                if is_other && Json::parse(text.clone(), limits).is_ok() {
                    let what = "a message is a JSON object";
                    return Err(Refusal::Envelope { what, id: None });
                }
                return Err(Refusal::Syntax(malformed));
            }
        };
        Envelope { text, scan }.decode()
    }

    /// The method of a request or notification.
    pub fn method(&self) -> Option<&str> {
        match self {
            Self::Request(request) => Some(&request.method),
            Self::Notification(notification) => Some(&notification.method),
            Self::Response(_) => None,
        }
    }

    /// The id of a request or response.
    pub fn id(&self) -> Option<&Id> {
        match self {
            Self::Request(request) => Some(&request.id),
            Self::Response(response) => response.id.as_ref(),
            Self::Notification(_) => None,
        }
    }
}

fn starts_array(text: &[u8]) -> bool {
    text.get(first_token(text)) == Some(&b'[')
}

/// Where the first token stands.
fn first_token(text: &[u8]) -> usize {
    text.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(text.len())
}

/// A valid text and where the members of JSON-RPC stand in it; whatever else stands beside them is
/// dropped.
struct Envelope<'a> {
    text: &'a Bytes,
    scan: Scan,
}

impl Envelope<'_> {
    fn has(&self, part: Part) -> bool {
        self.scan.part(part).is_some()
    }

    fn raw(&self, part: Part) -> Option<&[u8]> {
        self.scan.part(part).map(|value| &self.text[value.range()])
    }

    /// Whether the member is there and no object.
    fn is_no_object(&self, part: Part) -> bool {
        self.raw(part).is_some_and(|raw| json::kind_of(raw) != Kind::Object)
    }

    /// The members of `params`, `result` or `error`.
    fn take_body(&mut self) -> Object {
        Object::from_spans(self.text.clone(), std::mem::take(&mut self.scan.body))
    }

    fn id(&self) -> Option<Id> {
        let range = self.scan.part(Part::Id)?.range();
        Id::is_id(&self.text[range.clone()]).then(|| Id(self.text.slice(range)))
    }

    fn decode(mut self) -> Result<Message, Refusal> {
        let id = self.id();
        let refuse = |what, id| Err(Refusal::Envelope { what, id });
        if self.raw(Part::Jsonrpc) != Some(b"\"2.0\"") {
            return refuse("`jsonrpc` must be \"2.0\"", id);
        }
        if id.is_none() && self.raw(Part::Id).is_some_and(|raw| raw != b"null") {
            return refuse("`id` must be a string or an integer", id);
        }
        let answers = (self.has(Part::Result), self.has(Part::Error));
        let Some(method) = self.scan.part(Part::Method) else {
            if self.has(Part::Params) && answers != (false, false) {
                return refuse("a response has no `params`", id);
            }
            return match answers {
                (true, false) => self.decode_result(id),
                (false, true) => self.decode_error(id),
                (true, true) => refuse("a response has either `result` or `error`, not both", id),
                (false, false) => refuse("`method` is missing", id),
            };
        };
        if answers != (false, false) {
            return refuse("a request has neither `result` nor `error`", id);
        }
        let Some(method) = Text::of(self.text, method) else {
            return refuse("`method` must be a string", id);
        };
        if self.is_no_object(Part::Params) {
            return Err(Refusal::Params { id });
        }
        let params = self.take_body();
        if params.raw("_meta").is_some_and(|raw| json::kind_of(raw) != Kind::Object) {
            return Err(Refusal::Params { id });
        }
        let meta = Object::from_spans(self.text.clone(), std::mem::take(&mut self.scan.meta));
        match id {
            Some(id) => Ok(Message::Request(Request { id, method, params, meta })),
            None if self.has(Part::Id) => refuse("`id` of a request must not be null", None),
            None => Ok(Message::Notification(Notification { method, params, meta })),
        }
    }

    fn decode_result(mut self, id: Option<Id>) -> Result<Message, Refusal> {
        if id.is_none() {
            return Err(Refusal::Envelope { what: "a result needs the `id` of its request", id });
        }
        if self.is_no_object(Part::Result) {
            return Err(Refusal::Envelope { what: "`result` must be an object", id });
        }
        Ok(Message::Response(Response { id, outcome: Ok(self.take_body()) }))
    }

    fn decode_error(mut self, id: Option<Id>) -> Result<Message, Refusal> {
        let body = self.take_body();
        let code = body.raw("code").and_then(|raw| std::str::from_utf8(raw).ok()?.parse().ok());
        let is_object = !self.is_no_object(Part::Error);
        let (Some(code), Some(message), true) = (code, body.text("message"), is_object) else {
            let what = "`error` must be an object with an integer `code` and a string `message`";
            return Err(Refusal::Envelope { what, id });
        };
        let error = RpcError { code, message: message.into_owned(), data: body.get("data") };
        Ok(Message::Response(Response { id, outcome: Err(error) }))
    }
}

// === encoding ===

/// Writes a request; `params` is the text of an object.
pub fn encode_request(id: &Id, method: &str, params: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(params.len() + method.len() + id.as_bytes().len() + 48);
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    out.extend_from_slice(id.as_bytes());
    out.push(b',');
    write_method(&mut out, method, Some(params));
    out
}

/// Writes a request with the parameters as they came; without parameters there is no `params`.
pub fn encode_params_request(id: &Id, method: &str, params: &Object) -> Vec<u8> {
    let mut out = Vec::with_capacity(params.text_len() + method.len() + id.as_bytes().len() + 64);
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    out.extend_from_slice(id.as_bytes());
    out.extend_from_slice(b",\"method\":");
    json::write_string(&mut out, method);
    if !params.is_empty() {
        out.extend_from_slice(b",\"params\":");
        params.splice(&[], &mut out);
    }
    out.push(b'}');
    out
}

/// Writes a notification; `params` is the text of an object.
pub fn encode_notification(method: &str, params: Option<&[u8]>) -> Vec<u8> {
    let mut out = Vec::with_capacity(params.map_or(0, <[u8]>::len) + method.len() + 40);
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",");
    write_method(&mut out, method, params);
    out
}

fn write_method(out: &mut Vec<u8>, method: &str, params: Option<&[u8]>) {
    out.extend_from_slice(b"\"method\":");
    json::write_string(out, method);
    if let Some(params) = params {
        out.extend_from_slice(b",\"params\":");
        out.extend_from_slice(params);
    }
    out.push(b'}');
}

/// Writes a success response whose result is `result` with `edits` applied.
pub fn encode_result(id: &Id, result: &Object, edits: &[Edit<'_>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(result.text_len() + id.as_bytes().len() + 96);
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    out.extend_from_slice(id.as_bytes());
    out.extend_from_slice(b",\"result\":");
    result.splice(edits, &mut out);
    out.push(b'}');
    out
}

/// Writes a success response in pieces that share the long members of the result.
pub fn encode_result_pieces(id: &Id, result: &Object) -> Vec<Bytes> {
    let mut head = Vec::with_capacity(id.as_bytes().len() + 96);
    head.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    head.extend_from_slice(id.as_bytes());
    head.extend_from_slice(b",\"result\":");
    result.pieces(head, b"}")
}

/// Writes an error response; `id` is null where the request's could not be read.
pub fn encode_error(id: Option<&Id>, error: &RpcError) -> Vec<u8> {
    let mut out = Vec::with_capacity(error.message.len() + 128);
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    out.extend_from_slice(id.map_or(b"null", Id::as_bytes));
    out.extend_from_slice(b",\"error\":");
    error.write(&mut out);
    out.push(b'}');
    out
}

/// Writes the response to `id` with the given outcome.
pub fn encode_outcome(id: &Id, outcome: &Outcome) -> Vec<u8> {
    match outcome {
        Ok(result) => encode_result(id, result, &[]),
        Err(error) => encode_error(Some(id), error),
    }
}

#[cfg(test)]
mod tests;
