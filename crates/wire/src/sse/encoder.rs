//! From events to bytes.

use std::time::Duration;

use memchr::memchr2;

/// Appends one event. Data of several lines becomes several `data` fields, so that a reader gets the
/// same lines back, joined by LF. What the other fields cannot carry is left out of them: line ends in
/// `event`, line ends and NUL in `id`.
pub fn write_event(out: &mut Vec<u8>, event: Option<&str>, id: Option<&str>, data: &[u8]) {
    out.reserve(data.len() + event.map_or(0, str::len) + id.map_or(0, str::len) + 24);
    if let Some(event) = event {
        write_name(out, b"event: ", event, b"\r\n");
    }
    if let Some(id) = id {
        write_name(out, b"id: ", id, b"\r\n\0");
    }
    write_lines(out, b"data:", data);
    out.push(b'\n');
}

/// Appends a comment, which readers ignore: it keeps idle connections open.
pub fn write_comment(out: &mut Vec<u8>, text: &str) {
    write_lines(out, b":", text.as_bytes());
    out.push(b'\n');
}

/// Appends how long a reader should wait before it reconnects, in whole milliseconds.
pub fn write_retry(out: &mut Vec<u8>, wait: Duration) {
    out.extend_from_slice(format!("retry: {}\n\n", wait.as_millis()).as_bytes());
}

fn write_name(out: &mut Vec<u8>, field: &[u8], value: &str, left_out: &[u8]) {
    out.extend_from_slice(field);
    out.extend(value.bytes().filter(|byte| !left_out.contains(byte)));
    out.push(b'\n');
}

/// Writes each line of `text` as a field of its own.
fn write_lines(out: &mut Vec<u8>, field: &[u8], text: &[u8]) {
    let mut rest = text;
    loop {
        let end = memchr2(b'\r', b'\n', rest);
        let line = &rest[..end.unwrap_or(rest.len())];
        out.extend_from_slice(field);
        if !line.is_empty() {
            out.push(b' ');
            out.extend_from_slice(line);
        }
        out.push(b'\n');
        let Some(end) = end else { return };
        let is_pair = rest[end..].starts_with(b"\r\n");
        rest = &rest[end + if is_pair { 2 } else { 1 }..];
    }
}
