//! Any bytes as a log: `cargo +nightly fuzz run ingest`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let opener = cresset_ingest::Opener::new(Default::default());
    if let Ok(mut reader) = opener.open_bytes("fuzz", bytes.to_vec()) {
        while let Some(record) = reader.next_record() {
            if let cresset_ingest::Record::Event(event) = record {
                event.observables();
                event.id();
            }
        }
    }
});
