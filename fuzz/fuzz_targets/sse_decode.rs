//! Hands the target `sse_decode` to libFuzzer.
#![no_main]

#[expect(dead_code, reason = "each binary uses one of the targets")]
#[path = "../../crates/wire/tests/it/fuzz/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|input: &[u8]| targets::sse_decode(input));
