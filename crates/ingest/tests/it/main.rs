//! Any bytes in; what comes out, through the crate's face only. One test vocabulary: [`check_reads`].

mod bad_input;
mod corpus;
mod event_log;
mod formats;
mod quiet;

use std::io::Write;

use cresset_ingest::{OpenError, Opener, Reader, Record};

/// Reads bytes to their end: an event as `product/service/categories time | name=value …`, a skipped record as
/// `skipped N: reason`.
fn read(bytes: impl Into<Vec<u8>>) -> Vec<String> {
    read_by(|opener| opener.open_bytes("test.log", bytes.into()))
}

/// Reads a source that can be opened like this.
fn read_by(open: impl FnOnce(&Opener) -> Result<Box<dyn Reader>, OpenError>) -> Vec<String> {
    let opener = Opener::new(Default::default());
    let mut reader = match open(&opener) {
        Ok(reader) => reader,
        Err(error) => return vec![format!("not opened: {error}")],
    };
    let known = opener.log_sources();
    let records = std::iter::from_fn(|| reader.next_record());
    let shown = records.map(|record| {
        if let Record::Event(event) = &record {
            let source = &event.origin().log_source;
            assert!(known.contains(source), "{source:?} is not among the log sources that there can be");
        }
        show(&record)
    });
    shown.collect()
}

/// Reads bytes as [`read`] does, each block decoded apart from the reading by one of two decoders in turn.
fn read_apart(bytes: impl Into<Vec<u8>>) -> Vec<String> {
    let mut reader = match Opener::new(Default::default()).open_bytes("test.log", bytes.into()) {
        Ok(reader) => reader,
        Err(error) => return vec![format!("not opened: {error}")],
    };
    let decoders = reader.decoders().expect("a format that can be decoded apart").clone();
    let mut decoders = [decoders.decoder(), decoders.decoder()];
    let mut shown = Vec::new();
    while let Some(block) = reader.next_block() {
        decoders.reverse();
        match block {
            Ok(mut block) => {
                let records = std::iter::from_fn(|| decoders[0].next_record(&mut block));
                shown.extend(records.map(|record| show(&record)));
            }
            Err(skipped) => shown.push(show(&Record::Skipped(skipped))),
        }
    }
    shown
}

fn show(record: &Record) -> String {
    match record {
        Record::Skipped(skipped) => format!("skipped {}: {}", skipped.record, skipped.reason),
        Record::Event(event) => {
            let origin = event.origin();
            let source = &origin.log_source;
            let words = [source.product.as_deref(), source.service.as_deref()].map(|word| word.unwrap_or("-"));
            let time = origin.time.known().map_or("unknown".into(), |time| time.to_string());
            let fields: Vec<String> =
                event.fields().map(|f| format!("{}={}", f.name, f.value.to_text().unwrap_or_default())).collect();
            format!("{}/{} {time} | {}", words.join("/"), source.categories.join("+"), fields.join(" "))
        }
    }
}

/// Checks that bytes are read to exactly this.
#[track_caller]
fn check_reads(bytes: impl Into<Vec<u8>>, expected: &[&str]) {
    assert_eq!(read(bytes), expected);
}

/// Returns the values of a field of the only event, second names included.
#[track_caller]
fn values(bytes: impl Into<Vec<u8>>, field: &str) -> Vec<String> {
    let mut reader = Opener::new(Default::default()).open_bytes("test.log", bytes.into()).expect("a known format");
    let Some(Record::Event(event)) = reader.next_record() else { panic!("an event") };
    event.get(field).map(|value| value.to_text().unwrap_or_default().into_owned()).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}
