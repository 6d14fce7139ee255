#![no_main]

#[allow(dead_code)]
#[path = "../../lib/record/tests/corpus/parsers.rs"]
mod parsers;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| parsers::policy(bytes));
