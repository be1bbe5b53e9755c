//! Any bytes as a pack of the write-ahead log, and what is made of it: `cargo +nightly fuzz run pack`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cresset_archive::read_pack(bytes));
