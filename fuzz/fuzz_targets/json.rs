//! Any text as JSON lines, read by both readers, which must come to the same: `cargo +nightly fuzz run json`.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| cresset_ingest::check_json_readers_agree(text.lines()));
