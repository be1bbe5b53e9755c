//! A table beside that of events: its rows are there at once, stay, and are there once.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{FixedSizeBinaryBuilder, ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int32Array, RecordBatch, UInt64Array};
use arrow_schema::{Field, Schema};
use cresset_archive::{Appended, Archive, EVENTS, Keep, Repaired, TableRows, TableStats, Writer, WriterOptions};

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::{check_holds, note_numbers, notes, write};

/// A segment every few rows.
const SMALL: WriterOptions = WriterOptions { keep: Keep::Raw, log_bytes: 2_000, sync_bytes: 500 };

fn open(folder: &Path, options: WriterOptions) -> (Writer, Repaired) {
    Writer::open(folder, options).expect("an archive")
}

#[track_caller]
fn check_notes(folder: &Path, expected: impl IntoIterator<Item = u64>) {
    let archive = Archive::open(folder).expect("an archive");
    let expected: Vec<u64> = expected.into_iter().collect();
    assert_eq!(note_numbers(&archive), expected);
    assert_eq!(archive.stats().tables.get("notes").map_or(0, |table| table.rows), expected.len() as u64);
    assert_eq!(archive.verify(|_| {}), []);
}

#[test]
fn rows_are_read_before_and_after_they_are_in_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let (mut writer, _) = open(folder, WriterOptions::default());
    assert_eq!(Archive::open(folder).expect("an archive").tables(), [EVENTS]);
    assert_eq!(writer.append_rows(&notes(0..50)).expect("room"), Appended { new: 50, known: 0 });
    assert_eq!(Archive::open(folder).expect("an archive").tables(), [EVENTS, "notes"]);
    check_notes(folder, 0..50);
    writer.close().expect("room");
    check_notes(folder, 0..50);
    // They are no events.
    check_holds(folder, []);
}

#[test]
fn rows_that_come_again_are_stored_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let (mut writer, _) = open(folder, SMALL);
    for begin in 0..20 {
        write(&mut writer, begin * 10..begin * 10 + 10);
        writer.append_rows(&notes(begin * 10..begin * 10 + 10)).expect("room");
    }
    // In the log, twice in what is given, in a segment.
    assert_eq!(writer.append_rows(&notes([0, 195, 300, 300])).expect("room"), Appended { new: 1, known: 3 });
    writer.close().expect("room");
    let (mut writer, _) = open(folder, SMALL);
    assert_eq!(writer.append_rows(&notes((0..200).chain([300]))).expect("room"), Appended { new: 0, known: 201 });
    check_notes(folder, (0..200).chain([300]));
    assert!(writer.compact().expect("room") > 0);
    assert_eq!(writer.append_rows(&notes([7])).expect("room"), Appended { new: 0, known: 1 });
    writer.close().expect("room");
    check_notes(folder, (0..200).chain([300]));
    check_holds(folder, 0..200);
    let stats = Archive::open(folder).expect("an archive").stats();
    assert!(matches!(stats.tables["notes"], TableStats { rows: 201, files: 1, .. }), "{stats:?}");
}

#[test]
fn rows_that_a_writer_left_behind_are_saved_by_the_next() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let (mut writer, _) = open(folder, WriterOptions::default());
    write(&mut writer, 0..10);
    writer.append_rows(&notes(0..5)).and_then(|_| writer.commit()).expect("room");
    drop(writer);
    let (writer, repaired) = open(folder, WriterOptions::default());
    assert_eq!(repaired, Repaired { events: 10, rows: 5, ..Repaired::default() });
    writer.close().expect("room");
    check_notes(folder, 0..5);
    check_holds(folder, 0..10);
}

#[test]
fn an_archive_of_the_first_format_is_read_and_written_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let (mut writer, _) = open(folder, WriterOptions::default());
    write(&mut writer, 0..10);
    writer.close().expect("room");
    let lists = fs::read_dir(folder.join("manifest")).expect("a folder").map(|entry| entry.expect("a file").path());
    let list = lists.max().expect("a list");
    let json = fs::read_to_string(&list).expect("a list").replace("\"format\":2", "\"format\":1");
    let (json, _) = json.rsplit_once(",\"checksum\"").expect("a checksum");
    fs::write(&list, json.replace("\"tables\":", "\"events\":") + "}").expect("room");
    check_holds(folder, 0..10);
    assert!(Archive::open(folder).expect("an archive").windows(&[]).is_err());
    let (mut writer, _) = open(folder, WriterOptions::default());
    assert_eq!(write(&mut writer, 0..20), Appended { new: 10, known: 10 });
    writer.append_rows(&notes(0..5)).expect("room");
    writer.close().expect("room");
    check_holds(folder, 0..20);
    check_notes(folder, 0..5);
    assert!(Archive::open(folder).expect("an archive").windows(&[]).is_err());
}

/// Returns notes with more columns, of kinds that are written in different ways.
fn more_notes(numbers: std::ops::Range<u64>) -> TableRows {
    let few = notes(numbers.clone());
    let mut lists = ListBuilder::new(StringBuilder::new());
    let mut ids = FixedSizeBinaryBuilder::new(16);
    for number in numbers.clone() {
        lists.append_value([Some(number.to_string())]);
        ids.append_value(u128::from(number).to_be_bytes()).expect("16 bytes");
    }
    let more: [(&str, ArrayRef); 6] = [
        ("is", Arc::new(numbers.clone().map(|number| Some(number % 2 == 0)).collect::<BooleanArray>())),
        ("small", Arc::new(numbers.clone().map(|number| Some(number as i32)).collect::<Int32Array>())),
        ("large", Arc::new(UInt64Array::from_iter_values(numbers.clone()))),
        ("part", Arc::new(Float64Array::from_iter_values(numbers.map(|number| number as f64 / 2.0)))),
        ("list", Arc::new(lists.finish())),
        ("other", Arc::new(ids.finish())),
    ];
    let fields = few.batch().schema_ref().fields().iter().cloned().collect::<Vec<_>>();
    let new = more.iter().map(|(name, column)| Arc::new(Field::new(*name, column.data_type().clone(), true)));
    let schema = Schema::new(fields.into_iter().chain(new).collect::<Vec<_>>());
    let columns = few.batch().columns().iter().cloned().chain(more.into_iter().map(|(_, column)| column));
    TableRows::new("notes", RecordBatch::try_new(schema.into(), columns.collect()).expect("as many of each"))
}

/// Writes a file of each kind of notes, merges them, and checks what is in the one that there is.
#[track_caller]
fn check_merges(rows: u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    for kind in [notes(0..rows), more_notes(rows..2 * rows), notes(2 * rows..3 * rows)] {
        let (mut writer, _) = open(folder, WriterOptions::default());
        writer.append_rows(&kind).expect("room");
        writer.close().expect("room");
    }
    check_notes(folder, 0..3 * rows);
    let (mut writer, _) = open(folder, WriterOptions::default());
    writer.compact().expect("room");
    writer.close().expect("room");
    check_notes(folder, 0..3 * rows);
    check_filters(folder, 0..3 * rows);
    let stats = Archive::open(folder).expect("an archive").stats();
    assert_eq!(stats.tables["notes"].files, 1);
}

/// Checks that the filters of row groups know the ids of these notes, and few others.
#[track_caller]
fn check_filters(folder: &Path, mut numbers: std::ops::Range<u64>) {
    let archive = Archive::open(folder).expect("an archive");
    let groups = archive.files_of("notes").flat_map(|entry| {
        let file = fs::File::open(folder.join(&entry.file)).expect("a file");
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet");
        let filter = |group| builder.get_row_group_column_bloom_filter(group, 0).expect("Parquet").expect("a filter");
        (0..builder.metadata().num_row_groups()).map(filter).collect::<Vec<_>>()
    });
    let groups: Vec<_> = groups.collect();
    let knows = |number: u64| groups.iter().any(|filter| filter.check(&u128::from(number).to_be_bytes()[..]));
    assert!(numbers.all(knows));
    assert!((1 << 40..(1 << 40) + 1000).filter(|number| knows(*number)).count() < 100);
}

#[test]
fn files_with_other_columns_are_merged_by_sorting_their_rows() {
    check_merges(50);
}

#[test]
fn files_with_other_columns_are_merged_by_copying_their_row_groups() {
    check_merges(5_000);
}
