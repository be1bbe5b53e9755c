//! Any bytes as a packed body, in bounded memory: `cargo +nightly fuzz run body`.
#![no_main]

use cresset_intake::body::{Encoding, unpack};

const BYTES_MAX: usize = 1 << 20;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for encoding in [Encoding::Identity, Encoding::Gzip, Encoding::Deflate, Encoding::Zstd] {
        assert!(unpack(encoding, bytes, BYTES_MAX).map_or(0, |body| body.len()) <= BYTES_MAX);
    }
});
