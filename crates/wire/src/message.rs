//! JSON-RPC messages: decoded once, members kept as slices, envelopes written anew.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Range;

use bytes::Bytes;

use crate::code;
use crate::json::{self, Edit, Json, Kind, Limits, Malformed, Object, Reason, Span};

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
        let raw = json.as_bytes();
        let acceptable = match json.kind() {
            Kind::String => true,
            Kind::Number => !raw.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')),
            _ => false,
        };
        acceptable.then(|| Self(json.bytes().clone()))
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

    fn of(json: &Json) -> Option<Self> {
        match json.text()? {
            Cow::Borrowed(_) => Some(Self(json.bytes().slice(1..json.bytes().len() - 1))),
            Cow::Owned(text) => Some(Self(text.into())),
        }
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
            Err(malformed) => return Err(Refusal::Syntax(malformed)),
        };
        let envelope = Envelope::of(text, &scan.envelope);
        let body = Object::from_spans(text.clone(), scan.body);
        let meta = Object::from_spans(text.clone(), scan.meta);
        decode_envelope(&envelope, body, meta)
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
    text.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[')
}

/// The members of JSON-RPC that a message has; whatever else stands beside them is dropped.
struct Envelope<'a> {
    text: &'a Bytes,
    jsonrpc: Option<Range<usize>>,
    id: Option<Range<usize>>,
    method: Option<Range<usize>>,
    params: Option<Range<usize>>,
    result: Option<Range<usize>>,
    error: Option<Range<usize>>,
}

impl<'a> Envelope<'a> {
    fn of(text: &'a Bytes, members: &[Span]) -> Self {
        let (jsonrpc, id, method, params, result, error) = Default::default();
        let mut envelope = Self { text, jsonrpc, id, method, params, result, error };
        for member in members {
            // The scanner refuses these names in any other spelling.
            let place = match member.key(text) {
                b"jsonrpc" => &mut envelope.jsonrpc,
                b"id" => &mut envelope.id,
                b"method" => &mut envelope.method,
                b"params" => &mut envelope.params,
                b"result" => &mut envelope.result,
                b"error" => &mut envelope.error,
                _ => continue,
            };
            *place = Some(member.value());
        }
        envelope
    }

    fn json(&self, member: Option<&Range<usize>>) -> Option<Json> {
        member.map(|range| Json::trusted(self.text.slice(range.clone())))
    }

    /// Whether the member is there and no object.
    fn is_no_object(&self, member: Option<&Range<usize>>) -> bool {
        member.is_some_and(|range| self.text[range.start] != b'{')
    }
}

fn decode_envelope(
    envelope: &Envelope<'_>,
    body: Object,
    meta: Object,
) -> Result<Message, Refusal> {
    let raw_id = envelope.json(envelope.id.as_ref());
    let id = raw_id.as_ref().and_then(Id::from_json);
    let refuse = |what| Err(Refusal::Envelope { what, id: id.clone() });
    if envelope.jsonrpc.clone().map(|range| &envelope.text[range]) != Some(b"\"2.0\"") {
        return refuse("`jsonrpc` must be \"2.0\"");
    }
    if raw_id.as_ref().is_some_and(|raw| id.is_none() && raw.kind() != Kind::Null) {
        return refuse("`id` must be a string or an integer");
    }
    let answers = (envelope.result.is_some(), envelope.error.is_some());
    let Some(method) = envelope.json(envelope.method.as_ref()) else {
        if envelope.params.is_some() && answers != (false, false) {
            return refuse("a response has no `params`");
        }
        return match answers {
            (true, false) => decode_result(envelope, id, body),
            (false, true) => decode_error(envelope, id, &body),
            (true, true) => refuse("a response has either `result` or `error`, not both"),
            (false, false) => refuse("`method` is missing"),
        };
    };
    if answers != (false, false) {
        return refuse("a request has neither `result` nor `error`");
    }
    let Some(method) = Text::of(&method) else {
        return refuse("`method` must be a string");
    };
    if envelope.is_no_object(envelope.params.as_ref()) {
        return Err(Refusal::Params { id });
    }
    if body.raw("_meta").is_some_and(|raw| json::kind_of(raw) != Kind::Object) {
        return Err(Refusal::Params { id });
    }
    match (id, raw_id) {
        (Some(id), _) => Ok(Message::Request(Request { id, method, params: body, meta })),
        (None, None) => Ok(Message::Notification(Notification { method, params: body, meta })),
        (None, Some(_)) => {
            Err(Refusal::Envelope { what: "`id` of a request must not be null", id: None })
        }
    }
}

fn decode_result(
    envelope: &Envelope<'_>,
    id: Option<Id>,
    body: Object,
) -> Result<Message, Refusal> {
    if id.is_none() {
        return Err(Refusal::Envelope { what: "a result needs the `id` of its request", id });
    }
    if envelope.is_no_object(envelope.result.as_ref()) {
        return Err(Refusal::Envelope { what: "`result` must be an object", id });
    }
    Ok(Message::Response(Response { id, outcome: Ok(body) }))
}

fn decode_error(
    envelope: &Envelope<'_>,
    id: Option<Id>,
    body: &Object,
) -> Result<Message, Refusal> {
    let code = body.raw("code").and_then(|raw| std::str::from_utf8(raw).ok()?.parse().ok());
    let is_object = !envelope.is_no_object(envelope.error.as_ref());
    let (Some(code), Some(message), true) = (code, body.text("message"), is_object) else {
        let what = "`error` must be an object with an integer `code` and a string `message`";
        return Err(Refusal::Envelope { what, id });
    };
    let error = RpcError { code, message: message.into_owned(), data: body.get("data") };
    Ok(Message::Response(Response { id, outcome: Err(error) }))
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
