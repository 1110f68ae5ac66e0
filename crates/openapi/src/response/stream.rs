//! Streams of values: server-sent events, and JSON values one on each line or behind separators.

use bytes::{Bytes, BytesMut};
use wire::json::{Json, write_string};
use wire::sse;

use super::{Answer, Context, Interpreted, Limits, Misfit, media, structured, text_block};
use crate::tool::MediaKind;

/// One value of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The value, or the text of an event whose data is no JSON.
    pub text: String,
    /// The value if it is JSON.
    pub json: Option<Json>,
    /// The type of the event, if it says one.
    pub event: Option<String>,
    /// The id of the event, if it sets one.
    pub id: Option<String>,
}

/// A stream has an item that is too long, or is too long as a whole; nothing more of it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong {
    /// The limit in bytes.
    pub bytes_max: usize,
}

impl std::fmt::Display for TooLong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the stream is longer than {} bytes", self.bytes_max)
    }
}

impl std::error::Error for TooLong {}

/// Reads a stream as it comes in: [`feed`](Self::feed) it each chunk, then [`end`](Self::end) it.
#[derive(Debug)]
pub struct Collector {
    reader: Reader,
    json: wire::Limits,
    /// How many bytes may still come.
    room: usize,
    bytes_max: usize,
}

#[derive(Debug)]
enum Reader {
    Events(Box<sse::Decoder>),
    /// Values that end with a line.
    Lines(BytesMut),
    /// Values that begin with a separator (RFC 7464) and may have several lines.
    Sequence(BytesMut),
}

/// The separator of RFC 7464.
const SEPARATOR: u8 = 0x1e;

/// Whether a media type, without parameters and in lower case, is one of a stream.
pub(super) fn is_stream(essence: &str) -> bool {
    essence == "text/event-stream"
        || MediaKind::of(essence) == MediaKind::Lines
        || is_sequence(essence)
}

fn is_sequence(essence: &str) -> bool {
    essence == "application/json-seq" || essence.ends_with("+json-seq")
}

impl Collector {
    /// A reader for an answer of this content type; `None` if it is no stream.
    pub fn new(content_type: &str, limits: &Limits) -> Option<Self> {
        let essence = media::essence(content_type);
        if !is_stream(&essence) {
            return None;
        }
        let bytes_max = limits.json.bytes;
        let reader = if essence == "text/event-stream" {
            Reader::Events(Box::new(sse::Decoder::new(bytes_max)))
        } else if is_sequence(&essence) {
            Reader::Sequence(BytesMut::new())
        } else {
            Reader::Lines(BytesMut::new())
        };
        Some(Self { reader, json: limits.json, room: bytes_max, bytes_max })
    }

    /// Takes the next chunk, and gives the items that are complete with it.
    pub fn feed(&mut self, chunk: Bytes) -> Result<Vec<Item>, TooLong> {
        let too_long = TooLong { bytes_max: self.bytes_max };
        self.room = self.room.checked_sub(chunk.len()).ok_or(too_long)?;
        let mut items = Vec::new();
        match &mut self.reader {
            Reader::Events(decoder) => {
                decoder.feed(chunk);
                while let Some(event) = decoder.next_event().map_err(|_| too_long)? {
                    let item = of_event(&event, &self.json);
                    items.extend(item);
                }
            }
            Reader::Lines(rest) => {
                let scanned = rest.len();
                rest.extend_from_slice(&chunk);
                take(rest, scanned, b'\n', &self.json, &mut items);
            }
            Reader::Sequence(rest) => {
                let scanned = rest.len();
                rest.extend_from_slice(&chunk);
                take(rest, scanned, SEPARATOR, &self.json, &mut items);
            }
        }
        Ok(items)
    }

    /// The items that end with the stream.
    pub fn end(self) -> Vec<Item> {
        match self.reader {
            // An event that has no end is none.
            Reader::Events(_) => Vec::new(),
            Reader::Lines(rest) | Reader::Sequence(rest) => {
                of_bytes(&rest.freeze(), &self.json).into_iter().collect()
            }
        }
    }
}

/// Takes the values that end with `end`, of which there is none before `scanned`.
fn take(rest: &mut BytesMut, scanned: usize, end: u8, json: &wire::Limits, items: &mut Vec<Item>) {
    let mut from = scanned;
    while let Some(at) = rest[from..].iter().position(|&byte| byte == end).map(|at| at + from) {
        let line = rest.split_to(at + 1).freeze();
        items.extend(of_bytes(&line.slice(..at), json));
        from = 0;
    }
}

fn of_bytes(bytes: &Bytes, limits: &wire::Limits) -> Option<Item> {
    let trimmed = bytes.trim_ascii();
    if trimmed.is_empty() {
        return None;
    }
    let json = Json::parse(bytes.slice_ref(trimmed), limits).ok();
    let text = String::from_utf8_lossy(trimmed).into_owned();
    Some(Item { text, json, event: None, id: None })
}

/// What many APIs send last, to say that nothing follows.
const DONE: &[u8] = b"[DONE]";

fn of_event(event: &sse::Event, limits: &wire::Limits) -> Option<Item> {
    if event.data.is_empty() || *event.data == *DONE {
        return None;
    }
    let own = |text: &Option<wire::message::Text>| {
        text.as_ref().map(|it| it.as_str().to_owned()).filter(|it| !it.is_empty())
    };
    Some(Item {
        text: String::from_utf8_lossy(&event.data).into_owned(),
        json: Json::parse(event.data.clone(), limits).ok(),
        event: own(&event.event),
        id: own(&event.id),
    })
}

/// All items of an answer that came as a whole, and whether some are missing.
pub(super) fn collect(answer: &Answer, limits: &Limits) -> (Vec<Item>, bool) {
    let content_type = answer.header("content-type").unwrap_or_default();
    let Some(mut collector) = Collector::new(content_type, limits) else {
        return (Vec::new(), false);
    };
    match collector.feed(answer.body.clone()) {
        Ok(mut items) => {
            items.extend(collector.end());
            (items, answer.is_partial)
        }
        Err(TooLong { .. }) => (Vec::new(), true),
    }
}

/// The items as one result: structured as the list of their values, or where the output schema wants
/// that as the list of the events (OpenAPI 3.2, Special Considerations for Server-Sent Events).
pub(super) fn result(
    items: &[Item],
    is_partial: bool,
    call: &Context<'_>,
    limits: &Limits,
    fits: &dyn Fn(&Json) -> Result<(), Misfit>,
) -> Interpreted {
    // What has come is whole, even if more would have come.
    let whole = Answer { status: 200, headers: Vec::new(), body: Bytes::new(), is_partial: false };
    let text: Vec<&str> = items.iter().map(|item| item.text.as_str()).collect();
    let text = if text.is_empty() {
        "The stream ended without a value.".to_owned()
    } else {
        text.join("\n")
    };
    if is_partial {
        let mut result = super::shortened(&text, &whole, call, limits);
        let count = items.len();
        result.remark(&format!("the stream goes on; these are its first values, {count} of them"));
        return result.not_json("it is a stream that goes on");
    }
    let values = list(items, |out, item| match &item.json {
        Some(json) => out.extend_from_slice(json.as_bytes()),
        None => write_string(out, &item.text),
    });
    let is_empty = items.is_empty();
    let json = if fits(&values).is_ok() { values } else { list(items, write_event) };
    let mut result = structured(&json, json.object().as_ref(), &text, &whole, call, limits, fits);
    if is_empty {
        result.content = vec![text_block(&text)];
    }
    let broken = items.iter().filter(|item| item.json.is_none()).count();
    if (1..items.len()).contains(&broken) {
        let all = items.len();
        result.remark(&format!("{broken} of {all} values are no JSON; each is given as its text"));
    }
    result
}

fn list(items: &[Item], write: impl Fn(&mut Vec<u8>, &Item)) -> Json {
    let mut out = vec![b'['];
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write(&mut out, item);
    }
    out.push(b']');
    Json::trusted(out)
}

fn write_event(out: &mut Vec<u8>, item: &Item) {
    out.push(b'{');
    for (key, value) in [("event", &item.event), ("id", &item.id)] {
        if let Some(value) = value {
            write_string(out, key);
            out.push(b':');
            write_string(out, value);
            out.push(b',');
        }
    }
    out.extend_from_slice(b"\"data\":");
    write_string(out, &item.text);
    out.push(b'}');
}
