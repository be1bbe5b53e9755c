//! A segment: what one write-ahead log, or several, come to as files. One Parquet file a log source, and an index.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch, TimestampNanosecondArray};
use arrow_schema::Schema;
use bytes::Bytes;
use cresset_event::LogSource;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::catalog::{Catalog, Change};
use crate::columns::{FIELD_COLUMNS_MAX, FIXED, columns};
use crate::compact::merge_batches;
use crate::error::ArchiveError;
use crate::index::{IndexBuilder, Seen};
use crate::manifest::{IndexEntry, LogSourceEntry, TableFile, add_log_sources};
use crate::pack::{Pack, PackedOrigin};
use crate::storage::Storage;
use crate::wal::Logged;

/// How hard columns are compressed, of zstd's levels from 1 to 22. The third takes a tenth more of all time, and more bytes: records
/// repeat each other over long stretches, which the first finds as well.
const ZSTD_LEVEL: i32 = 1;
/// How many of the row groups that do not have an id its filter takes for one that does.
const ID_FILTER_ERRORS: f64 = 0.01;
/// Bytes of a page before it is compressed. Raw records fill pages: the longer one is the more of it was there before.
const PAGE_BYTES: usize = 4 << 20;

/// Writes what is in a log as files, and returns those.
pub(crate) fn write(catalog: &Catalog, logged: &Logged) -> Result<Change, ArchiveError> {
    let mut made = Change::default();
    if !logged.packs.is_empty() {
        write_events(catalog, &logged.packs, &mut made)?;
    }
    let mut tables: BTreeMap<String, Vec<RecordBatch>> = BTreeMap::new();
    logged.rows.iter().for_each(|rows| tables.entry(rows.folder()).or_default().push(rows.batch().clone()));
    for (folder, batches) in tables {
        let sorted =
            merge_batches(&batches).ok_or_else(|| ArchiveError::damaged("wal", "rows of a table differ in kind"))?;
        made.tables.push(write_table(catalog, &folder, &sorted, Vec::new())?);
    }
    Ok(made)
}

/// Writes the events of some packs as files, and an index of their observables.
fn write_events(catalog: &Catalog, packs: &[Pack], made: &mut Change) -> Result<(), ArchiveError> {
    let damaged = || ArchiveError::damaged("wal", "an event is not as it was packed");
    let mut folders: BTreeMap<String, Vec<PackedOrigin<'_>>> = BTreeMap::new();
    let mut names = Folders::default();
    let mut index = IndexBuilder::new();
    for event in packs.iter().flat_map(Pack::events) {
        let event = event.origin().ok_or_else(damaged)?;
        add_observables(&mut index, &event).ok_or_else(damaged)?;
        let folder = names.of(event.log_source);
        match folders.get_mut(folder) {
            Some(events) => events.push(event),
            None => drop(folders.insert(folder.to_owned(), vec![event])),
        }
    }
    for (folder, mut events) in folders {
        // Those without a time come last, in the order of their arrival.
        events.sort_by_key(|event| (event.time.known().is_none(), event.time.known(), event.arrived));
        let batch = columns(&events).ok_or_else(damaged)?;
        let log_sources = add_log_sources(events.iter().map(|event| (&**event.log_source, 1)));
        made.tables.push(write_table(catalog, &folder, &batch, log_sources)?);
    }
    let file = format!("index/{:010}.index", catalog.take_number());
    let bytes = index.finish();
    let entry = IndexEntry { bytes: bytes.len() as u64, crc32: crc32fast::hash(&bytes), file };
    catalog.storage().put(&entry.file, bytes)?;
    made.index.push(entry);
    Ok(())
}

/// Writes rows of a table as a file.
fn write_table(
    catalog: &Catalog,
    folder: &str,
    batch: &RecordBatch,
    log_sources: Vec<LogSourceEntry>,
) -> Result<TableFile, ArchiveError> {
    let bytes = parquet_of(batch);
    let time = times(batch).expect("every table has a time");
    let entry = TableFile {
        file: format!("{folder}/{:010}.parquet", catalog.take_number()),
        bytes: bytes.len() as u64,
        crc32: crc32fast::hash(&bytes),
        rows: batch.num_rows() as u64,
        times: time.iter().flatten().min().zip(time.iter().flatten().max()),
        times_unknown: time.null_count() as u64,
        log_sources,
        is_full: batch.num_columns() >= FIXED.len() + FIELD_COLUMNS_MAX,
    };
    catalog.storage().put(&entry.file, bytes)?;
    Ok(entry)
}

/// Returns the times of rows; `None` where they are of no table.
pub(crate) fn times(batch: &RecordBatch) -> Option<&TimestampNanosecondArray> {
    batch.column_by_name("time")?.as_primitive_opt()
}

/// Adds the observables of an event to an index; `None` where the event is not as it was packed.
pub(crate) fn add_observables(index: &mut IndexBuilder, event: &PackedOrigin<'_>) -> Option<()> {
    let seen =
        |field| Seen { id: event.id, time: event.time.known(), field, host: event.host, source: &event.source.name };
    event.visit_observables(|key, field| index.add(key, seen(field)))
}

/// The folders of log sources. Events of a pack share theirs, so that a folder is named once for most of them.
#[derive(Debug, Default)]
pub(crate) struct Folders {
    last: Option<(Arc<LogSource>, String)>,
}

impl Folders {
    /// Returns the folder for the events of a log source: its product and service.
    pub(crate) fn of(&mut self, log_source: &Arc<LogSource>) -> &str {
        let last = self.last.take().filter(|(last, _)| Arc::ptr_eq(last, log_source));
        &self.last.insert(last.unwrap_or_else(|| (Arc::clone(log_source), folder_of(log_source)))).1
    }
}

fn folder_of(log_source: &LogSource) -> String {
    let words = [log_source.product.as_deref(), log_source.service.as_deref()];
    let words: Vec<&str> = words.into_iter().flatten().collect();
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' };
    let words: String = words.join("-").chars().map(|c| if c == '-' { c } else { plain(c) }).collect();
    format!("events/{}", if words.is_empty() { "other" } else { &words })
}

/// Returns how files are written, of which a row group has so many rows at most.
pub(crate) fn properties(schema: &Schema, rows: usize) -> WriterProperties {
    let place = schema.index_of("time").expect("a fixed column");
    let plain = |name: &str| ColumnPath::from(name);
    // Numbers that rise, or nearly so: what they differ by is less than they are.
    let mut builder = WriterProperties::builder();
    for name in ["time", "arrived", "record", "offset"] {
        builder = builder
            .set_column_dictionary_enabled(plain(name), false)
            .set_column_encoding(plain(name), Encoding::DELTA_BINARY_PACKED);
    }
    // An event is looked for by its id, which no order tells.
    for name in ["id", "event_id"] {
        builder = builder
            .set_column_bloom_filter_enabled(plain(name), true)
            .set_column_bloom_filter_fpp(plain(name), ID_FILTER_ERRORS)
            .set_column_bloom_filter_max_ndv(plain(name), rows.max(1) as u64);
    }
    builder
        .set_created_by(concat!("cresset ", env!("CARGO_PKG_VERSION")).into())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL).expect("a level of zstd")))
        .set_column_compression(plain("id"), Compression::UNCOMPRESSED)
        .set_data_page_size_limit(PAGE_BYTES)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_column_statistics_enabled(plain("time"), EnabledStatistics::Page)
        .set_column_statistics_enabled(plain("raw"), EnabledStatistics::None)
        .set_column_dictionary_enabled(plain("raw"), false)
        .set_column_dictionary_enabled(plain("id"), false)
        .set_sorting_columns(Some(vec![SortingColumn {
            column_idx: place as i32,
            descending: false,
            nulls_first: false,
        }]))
        .build()
}

/// Writes events as one row group.
pub(crate) fn parquet_of(batch: &RecordBatch) -> Vec<u8> {
    let properties = properties(&batch.schema(), batch.num_rows());
    let written = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).and_then(|mut writer| {
        writer.write(batch)?;
        writer.into_inner()
    });
    written.expect("memory takes what is written, and every type can be")
}

/// Reads the bytes of a file of events, which are those that were written.
pub(crate) fn bytes(storage: &Storage, entry: &TableFile) -> Result<Bytes, ArchiveError> {
    let bytes = storage.get(&entry.file)?;
    match crc32fast::hash(&bytes) == entry.crc32 {
        true => Ok(bytes),
        false => Err(ArchiveError::damaged(&entry.file, "its checksum differs")),
    }
}

/// Reads a file of events.
pub(crate) fn read(storage: &Storage, entry: &TableFile) -> Result<Vec<RecordBatch>, ArchiveError> {
    let damaged = |reason: String| ArchiveError::damaged(&entry.file, reason);
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes(storage, entry)?).and_then(|builder| builder.build());
    let batches = reader.map_err(|cause| damaged(cause.to_string()))?;
    batches.collect::<Result<_, _>>().map_err(|cause| damaged(cause.to_string()))
}
