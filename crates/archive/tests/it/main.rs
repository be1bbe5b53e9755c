//! An archive by its face. One test vocabulary: [`event`], [`write`], [`check_holds`]; of another table [`notes`], [`note_numbers`].

mod full;
mod killed;
mod rot;
mod snapshot;
mod tables;
mod written;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::FixedSizeBinaryBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, RecordBatch, StringArray, TimestampNanosecondArray};
use arrow_schema::{DataType, Field, Schema};
use cresset_archive::{Appended, Archive, ArchiveError, Pack, Packer, Scan, TableRows, Writer};
use cresset_event::{
    Event, EventBuilder, EventTime, FieldNames, LogSource, Origin, Source, SourceIdentity, Timestamp, Value,
};
use futures_executor::block_on;
use object_store::ObjectStoreExt;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// Time of the first event, nanoseconds since 1970; each has a second of its own.
const BEGAN: i64 = 1_795_000_000_000_000_000;

/// Returns an event of this number.
fn event(number: u64) -> Event {
    let mut builder = EventBuilder::new(Arc::new(FieldNames::new()));
    builder.set_raw(&format!("{{\"n\":{number},\"host\":\"web{}\"}}", number % 3));
    builder.push("n", Value::Int(number as i64));
    builder.push("host", Value::Str(&format!("web{}", number % 3)));
    builder.push("src_ip", Value::Str(&format!("10.0.{}.{}", number / 256 % 256, number % 256)));
    let word = |word: &str| Some(word.to_owned());
    let services = ["one", "two"];
    builder.finish(Origin {
        source: Arc::new(Source { name: "a.log".into(), identity: SourceIdentity::Numbered }),
        record: number,
        time: EventTime::Known(Timestamp::from_nanos(BEGAN + number as i64 * 1_000_000_000)),
        log_source: Arc::new(LogSource {
            product: word("test"),
            service: word(services[number as usize % 2]),
            categories: vec![],
        }),
        ..Origin::default()
    })
}

fn pack(packer: &mut Packer, numbers: impl IntoIterator<Item = u64>) -> Pack {
    numbers.into_iter().for_each(|number| packer.add(&event(number)));
    packer.take()
}

/// Gives events to a writer.
fn write(writer: &mut Writer, numbers: impl IntoIterator<Item = u64>) -> Appended {
    let pack = pack(&mut writer.packer(), numbers);
    writer.append(&pack).expect("room")
}

/// Returns the numbers of the events that an archive has, in order, and what is damaged.
fn read(archive: &Archive) -> (Vec<u64>, Vec<ArchiveError>) {
    let names = Arc::new(FieldNames::new());
    let (mut numbers, mut damaged) = (Vec::new(), Vec::new());
    let take = |found: Event| {
        let number = found.origin().record;
        assert_eq!(found.id(), event(number).id());
        assert_eq!(found.text("n").as_deref(), Some(&*number.to_string()));
        numbers.push(number);
        ControlFlow::Continue(())
    };
    archive.scan(&Scan::default(), &names, take, |error| damaged.push(error));
    numbers.sort_unstable();
    (numbers, damaged)
}

/// Returns the numbers of the events that an archive has, in order; nothing is damaged.
fn numbers(folder: &Path) -> Vec<u64> {
    let archive = Archive::open(folder).expect("an archive");
    let (numbers, damaged) = read(&archive);
    assert!(damaged.is_empty(), "{damaged:?}");
    assert_eq!(archive.stats().events, numbers.len() as u64);
    numbers
}

/// Checks that an archive has these events, each once.
#[track_caller]
fn check_holds(folder: &Path, expected: impl IntoIterator<Item = u64>) {
    assert_eq!(numbers(folder), expected.into_iter().collect::<Vec<_>>());
}

/// Returns rows of a table of notes of these numbers; each has a text, and each third no time.
fn notes(numbers: impl IntoIterator<Item = u64>) -> TableRows {
    let numbers: Vec<u64> = numbers.into_iter().collect();
    let mut ids = FixedSizeBinaryBuilder::new(16);
    numbers.iter().for_each(|number| ids.append_value(u128::from(*number).to_be_bytes()).expect("16 bytes"));
    let time = |number: &u64| (!number.is_multiple_of(3)).then_some(BEGAN + *number as i64);
    let times: TimestampNanosecondArray = numbers.iter().map(time).collect();
    let texts: StringArray = numbers.iter().map(|number| Some(format!("note {number}"))).collect();
    let fields = TableRows::columns().into_iter().chain([Field::new("text", DataType::Utf8, true)]);
    let schema = Schema::new(fields.collect::<Vec<_>>());
    let columns: Vec<ArrayRef> = vec![Arc::new(ids.finish()), Arc::new(times.with_timezone("UTC")), Arc::new(texts)];
    TableRows::new("notes", RecordBatch::try_new(schema.into(), columns).expect("as many of each"))
}

/// Returns the numbers of the notes that an archive has, in order.
fn note_numbers(archive: &Archive) -> Vec<u64> {
    let files = archive.files_of("notes").map(|entry| {
        let bytes = block_on(async { archive.files().get(&entry.file.as_str().into()).await?.bytes().await });
        let batches =
            ParquetRecordBatchReaderBuilder::try_new(bytes.expect("a file")).and_then(|builder| builder.build());
        batches.expect("Parquet").collect::<Result<Vec<_>, _>>().expect("Parquet")
    });
    let batches = files.flatten().chain(archive.logged("notes").expect("rows"));
    let numbers = batches.flat_map(|batch| {
        let ids = batch.column_by_name("id").expect("a column").as_fixed_size_binary().clone();
        let texts = batch.column_by_name("text").expect("a column").as_string::<i32>().clone();
        let number = |row| u128::from_be_bytes(ids.value(row).try_into().expect("16 bytes")) as u64;
        (0..batch.num_rows()).for_each(|row| assert_eq!(texts.value(row), format!("note {}", number(row))));
        (0..batch.num_rows()).map(number).collect::<Vec<_>>()
    });
    let mut numbers: Vec<u64> = numbers.collect();
    numbers.sort_unstable();
    numbers
}
