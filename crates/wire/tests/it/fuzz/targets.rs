//! The fuzz targets as plain functions: bytes in, a panic if an invariant breaks.
//!
//! `fuzz/` hands them to libFuzzer; `tests/it/fuzz.rs` runs them on every test run.

use bytes::Bytes;
use portcullis_wire::header::{decode_value, encode_value, params_of_schema};
use portcullis_wire::json::{Limits, Object};
use portcullis_wire::message::{
    Message, encode_error, encode_notification, encode_request, encode_result, split_batch,
};
use portcullis_wire::sse::{Decoder, Event, TooLarge, write_event};
use portcullis_wire::uri_template::{URI_BYTES_MAX, UriTemplate};
use portcullis_wire::{Json, RpcError};
use serde_json::value::RawValue;

const LIMITS: Limits = Limits { bytes: 1 << 16, depth: 32, nodes: 1000, key_bytes: 64 };

/// What is accepted is JSON to others too, and survives being written anew.
pub(crate) fn message_decode(input: &[u8]) {
    let text = Bytes::copy_from_slice(input);
    match Message::decode(&text, &LIMITS) {
        Ok(message) => {
            serde_json::from_slice::<&RawValue>(input).expect("what we accept, serde accepts");
            let again = encode(&message);
            let again = Message::decode(&again.into(), &LIMITS).expect("what we write, we read");
            assert_eq!(facts(&again), facts(&message));
        }
        Err(refusal) => {
            let answer = encode_error(refusal.id(), &refusal.to_error());
            Message::decode(&answer.into(), &Limits::SERVER).expect("refusals are messages");
        }
    }
    if let Ok(Some(members)) = split_batch(&text, &LIMITS, 20) {
        for member in members {
            let _decoded_alone = Message::decode(&member, &LIMITS);
        }
    }
}

fn encode(message: &Message) -> Vec<u8> {
    let params = |params: &Object| params.to_json(&[]).as_bytes().to_vec();
    match message {
        Message::Request(request) => {
            encode_request(&request.id, &request.method, &params(&request.params))
        }
        Message::Notification(notification) => {
            encode_notification(&notification.method, Some(&params(&notification.params)))
        }
        Message::Response(response) => match (&response.id, &response.outcome) {
            (Some(id), Ok(result)) => encode_result(id, result, &[]),
            (id, Err(error)) => encode_error(id.as_ref(), error),
            (None, Ok(_)) => panic!("a result without an id was accepted"),
        },
    }
}

/// Everything a message says, the text of members included.
fn facts(message: &Message) -> Vec<String> {
    let mut facts = vec![format!("{:?} {:?}", message.id(), message.method())];
    let mut members = |object: &Object| {
        facts.extend(object.members().map(|(key, value)| format!("{key}={}", value.as_str())));
    };
    match message {
        Message::Request(request) => {
            members(&request.params);
            members(&request.meta);
        }
        Message::Notification(notification) => {
            members(&notification.params);
            members(&notification.meta);
        }
        Message::Response(response) => match &response.outcome {
            Ok(result) => members(result),
            Err(RpcError { code, message, data }) => {
                facts.push(format!("{code} {message} {data:?}"));
            }
        },
    }
    facts
}

/// The events of a stream do not depend on how it is cut into chunks, and survive being written anew.
pub(crate) fn sse_decode(input: &[u8]) {
    const EVENT_BYTES_MAX: usize = 200;
    let Some((&first, stream)) = input.split_first() else { return };
    let whole = events(&[stream], EVENT_BYTES_MAX);
    let size = usize::from(first % 16) + 1;
    let chunks: Vec<_> = stream.chunks(size).collect();
    assert_eq!(events(&chunks, EVENT_BYTES_MAX), whole, "chunks of {size}");
    let (left, right) = stream.split_at(usize::from(first).min(stream.len()));
    assert_eq!(events(&[left, right], EVENT_BYTES_MAX), whole, "cut at {first}");

    let mut out = Vec::new();
    for event in &whole.events {
        write_event(&mut out, event.event.as_deref(), event.id.as_deref(), &event.data);
    }
    let again = events(&[&out], 1 << 16);
    let expected: Vec<_> =
        whole.events.iter().map(|event| Event { retry: None, ..event.clone() }).collect();
    assert_eq!(again.events, expected);
}

#[derive(Debug, PartialEq)]
struct Decoded {
    events: Vec<Event>,
    failure: Option<TooLarge>,
    last_event_id: Option<String>,
}

fn events(chunks: &[&[u8]], event_bytes_max: usize) -> Decoded {
    let mut decoder = Decoder::new(event_bytes_max);
    let mut events = Vec::new();
    let mut failure = None;
    for chunk in chunks {
        decoder.feed(Bytes::copy_from_slice(chunk));
        failure = loop {
            match decoder.next_event() {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break None,
                Err(too_large) => break Some(too_large),
            }
        };
    }
    let last_event_id = decoder.last_event_id().map(str::to_owned);
    Decoded { events, failure, last_event_id }
}

/// The first line is a template, the rest a URI: what plain expressions of distinct variables
/// capture expands to a URI that matches again.
pub(crate) fn uri_template(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (template, uri) = text.split_once('\n').unwrap_or((&text, ""));
    let Ok(template) = UriTemplate::parse(template) else { return };
    let mut names: Vec<_> = template.variables().collect();
    names.sort_unstable();
    let is_distinct = names.windows(2).all(|pair| pair[0] != pair[1]);
    let Some(variables) = template.matches(uri) else { return };
    let expanded = template.expand(&variables);
    let is_plain = !template.as_str().contains(['+', '#', '*', ':']);
    if is_plain && is_distinct && expanded.len() <= URI_BYTES_MAX {
        assert!(template.matches(&expanded).is_some(), "{expanded} from {variables:?}");
    }
}

/// Header values survive the way there and back; any schema may be searched for annotations.
pub(crate) fn header_value(input: &[u8]) {
    if let Ok(text) = decode_value(input) {
        assert_eq!(decode_value(encode_value(&text).as_bytes()).as_deref(), Ok(&*text));
    }
    if let Ok(text) = std::str::from_utf8(input) {
        let encoded = encode_value(text);
        assert!(encoded.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
        assert_eq!(decode_value(encoded.as_bytes()).as_deref(), Ok(text));
    }
    let Ok(json) = Json::parse(Bytes::copy_from_slice(input), &LIMITS) else { return };
    let Some(schema) = json.object() else { return };
    for param in params_of_schema(&schema).unwrap_or_default() {
        assert!(!param.path.is_empty());
        if let Ok(Some(value)) = param.value_in(&schema) {
            assert_eq!(param.check(Some(encode_value(&value).as_bytes()), &schema), Ok(()));
        }
    }
}
