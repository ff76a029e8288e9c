//! The law of decoding for any bytes: `cargo +nightly fuzz run decode` in crates/suno-types.

#![no_main]

#[path = "../../tests/it/laws.rs"]
#[allow(dead_code, reason = "each target checks one law")]
mod laws;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| laws::check_decode(bytes));
