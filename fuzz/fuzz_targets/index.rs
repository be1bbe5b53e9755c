//! Any bytes as a file of the index, under checksums that hold: `cargo +nightly fuzz run index`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cresset_archive::read_index(bytes));
