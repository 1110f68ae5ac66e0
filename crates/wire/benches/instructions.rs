//! Instruction budgets: each is about a tenth above what was measured when it was set. Whoever lowers
//! a count lowers its budget; whoever raises one says why.

use std::hint::black_box;

use bytes::Bytes;
use gungraun::prelude::*;
use gungraun::{Callgrind, EventKind};
use portcullis_wire::json::Edit;
use portcullis_wire::message::encode_request;
use portcullis_wire::sse::{Decoder, Event};
use portcullis_wire::{Limits, Message};
use portcullis_wire_benches::{call, decoded_call, event_of, large_result};

fn budget(instructions: u64) -> LibraryBenchmarkConfig {
    let mut callgrind = Callgrind::default();
    callgrind.hard_limits([(EventKind::Ir, instructions)]);
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(callgrind);
    config
}

#[library_benchmark]
#[bench::call(args = (call()), config = budget(7_300))]
#[bench::large_result(args = (large_result()), config = budget(74_000))]
fn decode(text: Bytes) -> (Message, Bytes) {
    (Message::decode(black_box(&text), &Limits::SERVER).expect("a valid message"), text)
}

#[library_benchmark]
#[bench::call(args = (decoded_call()), config = budget(2_300))]
fn splice_name(message: Message) -> (Vec<u8>, Message) {
    let Message::Request(request) = &message else { panic!("the case is a request") };
    let params = request.params.to_json(&[Edit::set("name", black_box(b"\"search_issues\""))]);
    (encode_request(&request.id, &request.method, params.as_bytes()), message)
}

#[library_benchmark]
#[bench::call(args = (event_of(&call())), config = budget(2_500))]
#[bench::large_result(args = (event_of(&large_result())), config = budget(29_000))]
fn decode_event(stream: Bytes) -> (Option<Event>, Decoder) {
    let mut decoder = Decoder::new(1 << 20);
    decoder.feed(black_box(stream));
    (decoder.next_event().expect("within the limit"), decoder)
}

library_benchmark_group!(name = wire, benchmarks = [decode, splice_name, decode_event]);
main!(library_benchmark_groups = wire);
