//! Compaction: many small files become few larger ones, so that a hunt or a query opens few.
//!
//! Files of the index are merged eight at a time once there are as many of about one size, so that there are few whatever
//! the archive holds. Files of events are merged within their log source until they have [`ROWS_MIN`] rows; larger ones stay.
//! The files that went into one are named by the manifest as dropped, and deleted when no reader can hold them any more.

use std::collections::BTreeMap;
use std::io::BufWriter;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use arrow_array::{Array, RecordBatch, UInt32Array, new_null_array};
use arrow_schema::{Field, Schema};
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;
use cresset_event::Timestamp;

use crate::columns::{FIELD_COLUMNS_MAX, FIXED};
use crate::error::ArchiveError;
use crate::index::{IndexFile, merge};
use crate::manifest::{EventFile, IndexEntry, LogSourceEntry, Manifest};
use crate::segment::{parquet_of, read};
use crate::storage::Storage;

/// Files of about one size that become one.
const FILES: usize = 8;
/// Files of the index up to so many bytes are of the first size; each next size is [`FILES`] times as large.
const INDEX_BYTES_FIRST: u64 = 1 << 20;
/// A file of events with so many rows is large enough.
const ROWS_MIN: u64 = 32_768;
/// Most rows of a merged file: what they take in memory is some hundred megabytes at most.
const ROWS_MAX: u64 = 65_536;
/// Bytes of files that are merged at once: packed columns take up to twenty times as much in memory.
const EVENT_BYTES_MAX: u64 = 16 << 20;

/// Which files are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// As many as it is worth while for.
    Enough,
    /// All that can be.
    All,
}

/// Does one thing that is to be done; `false` where there is none. What it did is in the manifest then, which is to be committed.
pub(crate) fn compact(storage: &Storage, manifest: &mut Manifest, wish: Wish) -> Result<bool, ArchiveError> {
    if let Some(places) = index_files(&manifest.index, wish) {
        merge_index(storage, manifest, &places)?;
        return Ok(true);
    }
    if let Some(places) = event_files(&manifest.events, wish) {
        merge_events(storage, manifest, &places)?;
        return Ok(true);
    }
    Ok(false)
}

/// Returns the places of files of the index that are to become one.
fn index_files(files: &[IndexEntry], wish: Wish) -> Option<Vec<usize>> {
    if wish == Wish::All && files.len() > 1 {
        return Some((0..files.len()).collect());
    }
    let mut by_size: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (place, entry) in files.iter().enumerate() {
        let size = (entry.bytes / INDEX_BYTES_FIRST).max(1).ilog(FILES as u64);
        by_size.entry(size).or_default().push(place);
    }
    by_size.into_values().find(|places| places.len() >= FILES).map(|places| places[..FILES].to_vec())
}

fn merge_index(storage: &Storage, manifest: &mut Manifest, places: &[usize]) -> Result<(), ArchiveError> {
    let files = places.iter().map(|place| {
        let entry = &manifest.index[*place];
        IndexFile::open(&entry.file, Arc::new(storage.file(&entry.file, entry.bytes)))
    });
    let files = files.collect::<Result<Vec<_>, _>>()?;
    let file = format!("index/{:010}.index", manifest.take_number());
    let (bytes, crc32) = storage.put_written(&file, |out| {
        merge(&files, BufWriter::new(out))?
            .into_inner()
            .map(drop)
            .map_err(|cause| ArchiveError::damaged(&file, cause.to_string()))
    })?;
    let gone = take_out(&mut manifest.index, places);
    manifest.drop_files(gone.into_iter().map(|entry| entry.file));
    manifest.index.push(IndexEntry { file, bytes, crc32 });
    Ok(())
}

/// Returns the places of files of events, all of one log source, that are to become one.
fn event_files(files: &[EventFile], wish: Wish) -> Option<Vec<usize>> {
    let least = match wish {
        Wish::Enough => FILES,
        Wish::All => 2,
    };
    let mut small: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, entry) in files.iter().enumerate().filter(|(_, entry)| entry.rows < ROWS_MIN && !entry.is_full) {
        small.entry(entry.folder()).or_default().push(place);
    }
    small.into_values().find_map(|places| {
        let (mut rows, mut bytes) = (0, 0);
        let fits = places.into_iter().take_while(|place| {
            rows += files[*place].rows;
            bytes += files[*place].bytes;
            rows <= ROWS_MAX && bytes <= EVENT_BYTES_MAX
        });
        let fits: Vec<usize> = fits.collect();
        (fits.len() >= least || fits.len() >= 2 && rows >= ROWS_MIN).then_some(fits)
    })
}

fn merge_events(storage: &Storage, manifest: &mut Manifest, places: &[usize]) -> Result<(), ArchiveError> {
    let mut batches = Vec::new();
    for place in places {
        batches.extend(read(storage, &manifest.events[*place])?);
    }
    let first = manifest.events[places[0]].clone();
    let damaged = || ArchiveError::damaged(&first.file, "its columns are not those of events");
    let merged = merge_batches(&batches).ok_or_else(damaged)?;
    let file = format!("{}/{:010}.parquet", first.folder(), manifest.take_number());
    let bytes = parquet_of(&merged);
    let gone = take_out(&mut manifest.events, places);
    let times = gone.iter().filter_map(|entry| entry.times);
    let entry = EventFile {
        bytes: bytes.len() as u64,
        crc32: crc32fast::hash(&bytes),
        rows: merged.num_rows() as u64,
        times: times.clone().map(|(first, _)| first).min().zip(times.map(|(_, last)| last).max()),
        times_unknown: gone.iter().map(|entry| entry.times_unknown).sum(),
        log_sources: add_log_sources(&gone),
        is_full: merged.num_columns() >= FIXED.len() + FIELD_COLUMNS_MAX,
        file,
    };
    storage.put(&entry.file, bytes)?;
    manifest.drop_files(gone.into_iter().map(|entry| entry.file));
    manifest.events.push(entry);
    Ok(())
}

/// Puts the rows of several files together, in the order of their times; `None` where they are not those of events.
///
/// A field that a file has no column for is null in its rows: a file of which fields had to go without one is not merged.
fn merge_batches(batches: &[RecordBatch]) -> Option<RecordBatch> {
    let mut fields: BTreeMap<String, Arc<Field>> = BTreeMap::new();
    for batch in batches {
        for field in batch.schema().fields() {
            fields.entry(field.name().clone()).or_insert_with(|| Arc::clone(field));
        }
    }
    let fixed = FIXED.iter().map(|name| fields.remove(*name)).collect::<Option<Vec<_>>>()?;
    let schema = Arc::new(Schema::new(fixed.into_iter().chain(fields.into_values()).collect::<Vec<_>>()));
    let widened = batches.iter().map(|batch| {
        let column = |field: &Arc<Field>| match batch.column_by_name(field.name()) {
            Some(column) => Arc::clone(column),
            None => new_null_array(field.data_type(), batch.num_rows()),
        };
        RecordBatch::try_new(Arc::clone(&schema), schema.fields().iter().map(column).collect()).ok()
    });
    let all = concat_batches(&schema, &widened.collect::<Option<Vec<_>>>()?).ok()?;
    let time = all.column_by_name("time")?.as_primitive_opt::<TimestampNanosecondType>()?;
    let mut rows: Vec<u32> = (0..u32::try_from(all.num_rows()).ok()?).collect();
    rows.sort_by_key(|row| (time.is_null(*row as usize), time.value(*row as usize)));
    take_record_batch(&all, &UInt32Array::from(rows)).ok()
}

fn add_log_sources(files: &[EventFile]) -> Vec<LogSourceEntry> {
    let mut all: Vec<LogSourceEntry> = Vec::new();
    for entry in files.iter().flat_map(|file| &file.log_sources) {
        let same = |known: &&mut LogSourceEntry| {
            (&known.product, &known.service, &known.categories) == (&entry.product, &entry.service, &entry.categories)
        };
        match all.iter_mut().find(same) {
            Some(known) => known.rows += entry.rows,
            None => all.push(entry.clone()),
        }
    }
    all
}

/// Takes what stands at these places, in order, out of a list.
fn take_out<T>(list: &mut Vec<T>, places: &[usize]) -> Vec<T> {
    let mut taken: Vec<T> = places.iter().rev().map(|place| list.remove(*place)).collect();
    taken.reverse();
    taken
}

/// Deletes files that were dropped so long ago that no reader holds them.
pub(crate) fn delete_dropped(storage: &Storage, manifest: &mut Manifest, now: Timestamp) -> Result<(), ArchiveError> {
    for file in manifest.dropped_before(now) {
        storage.delete(&file)?;
    }
    Ok(())
}
