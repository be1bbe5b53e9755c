//! Any bytes as a feed of indicators: `cargo +nightly fuzz run intel`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    cresset_intel::read("fuzz", bytes, drop);
});
