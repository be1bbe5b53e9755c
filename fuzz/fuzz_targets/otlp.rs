//! Any bytes as a request of OpenTelemetry logs, in both encodings: `cargo +nightly fuzz run otlp`.
#![no_main]

use cresset_intake::otlp::{Encoding, Logs, answer};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for encoding in [Encoding::Protobuf, Encoding::Json] {
        let Ok(logs) = Logs::parse(encoding, bytes) else { continue };
        let lines = [&logs.docs, &logs.texts].into_iter().flatten().filter(|byte| **byte == b'\n').count() as u64;
        assert_eq!(lines + logs.rejected.records, logs.records);
        answer(encoding, &logs.rejected);
    }
});
