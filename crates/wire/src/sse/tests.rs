//! Line ends, fields, limits, and what comes back of what was written.

use proptest::prelude::*;

use super::*;

/// All events of a stream that arrives in the given chunks.
fn decode(chunks: &[&[u8]]) -> (Vec<Event>, Decoder) {
    let mut decoder = Decoder::new(1 << 16);
    let mut events = Vec::new();
    for chunk in chunks {
        decoder.feed(Bytes::copy_from_slice(chunk));
        while let Some(event) = decoder.next_event().unwrap() {
            events.push(event);
        }
    }
    (events, decoder)
}

/// The events of a stream as `type|id|data`, the same for every way of cutting it in two and for
/// single bytes.
fn check(stream: &[u8], expected: &[&str]) {
    let short = |events: &[Event]| -> Vec<String> {
        let text = |text: &Option<Text>| text.as_deref().unwrap_or("-").to_owned();
        events
            .iter()
            .map(|event| {
                let data = String::from_utf8_lossy(&event.data);
                format!("{}|{}|{data}", text(&event.event), text(&event.id))
            })
            .collect()
    };
    assert_eq!(short(&decode(&[stream]).0), expected);
    for cut in 0..=stream.len() {
        let (left, right) = stream.split_at(cut);
        assert_eq!(short(&decode(&[left, right]).0), expected, "cut at {cut}");
    }
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(short(&decode(&bytes).0), expected, "byte by byte");
}

#[test]
fn lines_end_with_lf_cr_and_crlf() {
    check(b"data: a\n\ndata: b\n\n", &["-|-|a", "-|-|b"]);
    check(b"data: a\r\rdata: b\r\r", &["-|-|a", "-|-|b"]);
    check(b"data: a\r\n\r\ndata: b\r\n\r\n", &["-|-|a", "-|-|b"]);
    check(b"data: a\r\ndata: b\rdata: c\n\r\n", &["-|-|a\nb\nc"]);
    check(b"data: a\n\r\n\rdata: b\r\r", &["-|-|a", "-|-|b"]);
}

#[test]
fn a_byte_order_mark_is_skipped_at_the_start_only() {
    check(b"\xef\xbb\xbfdata: a\n\n", &["-|-|a"]);
    check(b"\xef\xbb\xbf\ndata: a\n\n", &["-|-|a"]);
    check(b"data: a\n\n\xef\xbb\xbfdata: b\n\n", &["-|-|a"]);
    check(b"\xef\xbb\xbf\xef\xbb\xbfdata: b\n\n", &[]);
}

#[test]
fn fields_are_read_as_the_standard_says() {
    check(b": comment\ndata: a\n:\n\n", &["-|-|a"]);
    check(b"event: ping\nid: 7\ndata:x\n\n", &["ping|7|x"]);
    check(b"data:  two spaces\n\n", &["-|-| two spaces"]);
    check(b"data\n\n", &["-|-|"]);
    check(b"data\ndata\n\n", &["-|-|\n"]);
    check(b"data: a\nData: b\ndata : c\nother: d\n data: e\n\n", &["-|-|a"]);
    check(b"data: a: b\n\n", &["-|-|a: b"]);
    check(b"id\ndata: a\n\n", &["-||a"]);
    check(b"data: a", &[]);
    check(b"data: a\n", &[]);
    check(b"\n\n\r\r", &[]);
}

#[test]
fn a_priming_event_carries_its_id_without_data() {
    check(b"id: 1/0\ndata:\n\n", &["-|1/0|"]);
    check(b"id: 1/0\ndata: \n\n", &["-|1/0|"]);
}

#[test]
fn ids_take_effect_with_the_end_of_their_event() {
    let (events, mut decoder) = decode(&[b"id: 1\n\n"]);
    assert!(events.is_empty());
    assert_eq!(decoder.last_event_id(), Some("1"));
    decoder.feed(Bytes::from_static(b"id: 2\ndata: x\n"));
    assert_eq!(decoder.next_event(), Ok(None));
    assert_eq!(decoder.last_event_id(), Some("1"));
    decoder.feed(Bytes::from_static(b"\n"));
    assert_eq!(decoder.next_event().unwrap().unwrap().id.as_deref(), Some("2"));
    assert_eq!(decoder.last_event_id(), Some("2"));
    assert_eq!(decode(&[b"id: 1\n\nid: a\0b\ndata: x\n\n"]).1.last_event_id(), Some("1"));
    assert_eq!(decode(&[b"id: 1\n\nid:\n\n"]).1.last_event_id(), None);
}

#[test]
fn retry_takes_digits_only() {
    let retry = |stream: &[u8]| decode(&[stream]).1.retry();
    assert_eq!(retry(b"retry: 1500\n\n"), Some(Duration::from_millis(1500)));
    assert_eq!(
        retry(b"retry: 1500\nretry: +2\n\nretry: 1.5\n\nretry:\n\n"),
        retry(b"retry:1500\n\n")
    );
    assert_eq!(retry(b"retry: 99999999999999999999999\n\n"), None);
    let (events, _) = decode(&[b"retry: 10\ndata: a\n\ndata: b\n\n"]);
    assert_eq!(events[0].retry, Some(Duration::from_millis(10)));
    assert_eq!(events[1].retry, None);
}

#[test]
fn one_line_of_one_chunk_is_not_copied() {
    let chunk = Bytes::from_static(b"event: message\ndata: {\"jsonrpc\":\"2.0\"}\n\n");
    let mut decoder = Decoder::new(1 << 10);
    decoder.feed(chunk.clone());
    let event = decoder.next_event().unwrap().unwrap();
    assert_eq!(event.data.as_ptr(), chunk[21..].as_ptr());
}

#[test]
fn events_are_bounded_however_they_arrive() {
    let outcome = |stream: &[u8], limit: usize, size: usize| {
        let mut decoder = Decoder::new(limit);
        let mut count = 0;
        for chunk in stream.chunks(size) {
            decoder.feed(Bytes::copy_from_slice(chunk));
            while decoder.next_event()?.is_some() {
                count += 1;
            }
        }
        Ok(count)
    };
    let refused = |limit| Err(TooLarge { event_bytes_max: limit });
    for size in [1, 3, 1000] {
        assert_eq!(outcome(b"data: 1234\n\n", 10, size), Ok(1));
        assert_eq!(outcome(b"data: 12345\n\n", 10, size), refused(10));
        assert_eq!(outcome(b"\xef\xbb\xbfdata: 1234\n\n", 10, size), Ok(1));
        assert_eq!(outcome(b"\xef\xbb\xbfdata: 12345\n\n", 10, size), refused(10));
        assert_eq!(outcome(b"id: 1\ndata: 2\n\nid: 3\ndata: 4\n\n", 12, size), Ok(2));
        assert_eq!(outcome(b"id: 1\ndata: 23\n\n", 12, size), refused(12));
        assert_eq!(outcome(b"data\r\ndata\r\ndata\r\n\r\n", 12, size), Ok(1));
        assert_eq!(outcome(b"data\r\ndata\r\ndata\r\n\r\n", 11, size), refused(11));
        assert_eq!(outcome(b"unknown: 5\n", 9, size), refused(9));
        // Comments are forgotten, so that heartbeats never add up, but each is bounded.
        assert_eq!(outcome(&b": 567890\n".repeat(1000), 8, size), Ok(0));
        assert_eq!(outcome(b": 5678901", 8, size), refused(8));
    }
    let mut decoder = Decoder::new(4);
    decoder.feed(Bytes::from_static(b"data: too much"));
    assert!(decoder.next_event().is_err());
    decoder.feed(Bytes::from_static(b"\n\ndata\n\n"));
    assert!(decoder.next_event().is_err(), "a failed stream stays failed");
}

#[test]
fn events_are_written_so_that_readers_get_them_back() {
    let mut out = Vec::new();
    write_comment(&mut out, "hello\nthere");
    write_retry(&mut out, Duration::from_secs(3));
    write_event(&mut out, None, Some("s/1"), b"");
    write_event(&mut out, Some("message"), None, b"{\n  \"a\": 1\r\n}");
    write_event(&mut out, Some("e\nx"), Some("i\r\n\0d"), b" x");
    assert_eq!(
        String::from_utf8_lossy(&out),
        ": hello\n: there\n\nretry: 3000\n\nid: s/1\ndata:\n\n\
         event: message\ndata: {\ndata:   \"a\": 1\ndata: }\n\n\
         event: ex\nid: id\ndata:  x\n\n"
    );
    check(&out, &["-|s/1|", "message|-|{\n  \"a\": 1\n}", "ex|id| x"]);
    assert_eq!(decode(&[&out]).1.retry(), Some(Duration::from_secs(3)));
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        events in proptest::collection::vec(
            (proptest::option::of("[a-z]{1,8}"), proptest::option::of("[!-~]{1,8}"), "[ -~\n\u{e9}]{0,40}"),
            0..6,
        ),
        cut in 1_usize..20,
    ) {
        let mut out = Vec::new();
        for (event, id, data) in &events {
            write_event(&mut out, event.as_deref(), id.as_deref(), data.as_bytes());
        }
        let chunks: Vec<&[u8]> = out.chunks(cut).collect();
        let (found, _) = decode(&chunks);
        let expected: Vec<_> = events
            .iter()
            .map(|(event, id, data)| Event {
                id: id.as_deref().map(Text::from),
                event: event.as_deref().map(Text::from),
                data: Bytes::copy_from_slice(data.as_bytes()),
                retry: None,
            })
            .collect();
        prop_assert_eq!(found, expected);
    }
}
