//! Compaction: many small files become few larger ones, so that a hunt or a query opens few.
//!
//! Files are merged eight at a time once there are as many of about one size, so that there are few whatever the archive
//! holds: those of the index, and those of events of each log source. Few events are sorted into one row group; what has
//! [`GROUP_ROWS_MIN`] rows and more keeps its row groups, which are copied as they are (`append.rs`). The files that went into one are named
//! by the manifest as dropped, and deleted when no reader can hold them any more.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow_array::{Array, RecordBatch, UInt32Array, new_null_array};
use arrow_schema::{Field, Schema, SchemaRef};
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;

use crate::append::append;
use crate::catalog::{Catalog, Change};
use crate::columns::{FIELD_COLUMNS_MAX, FIXED};
use crate::error::ArchiveError;
use crate::index::{IndexFile, merge};
use crate::manifest::{IndexEntry, Manifest, TableFile, add_log_sources};
use crate::segment::{parquet_of, read, times};
use crate::storage::Storage;

/// Files of about one size that become one.
const FILES: usize = 8;
/// Files of the index up to so many bytes are of the first size; each next size is [`FILES`] times as large.
const INDEX_BYTES_FIRST: u64 = 1 << 20;
/// A row group of so many events is large enough: it is never unpacked again.
const GROUP_ROWS_MIN: u64 = 4_096;
/// Most rows that become one row group.
const GROUP_ROWS_MAX: u64 = 32_768;
/// Most rows and bytes of a merged file.
const FILE_ROWS_MAX: u64 = 4 << 20;
const FILE_BYTES_MAX: u64 = 256 << 20;

/// Which files are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// As many as it is worth while for.
    Enough,
    /// All that can be.
    All,
}

/// Files that are to become one.
#[derive(Debug)]
pub(crate) enum Merge {
    Index(Vec<IndexEntry>),
    Table(Way, Vec<TableFile>),
}

impl Merge {
    /// Returns what is to be merged next; `None` where there is nothing.
    pub(crate) fn next(manifest: &Manifest, wish: Wish) -> Option<Self> {
        let index = index_files(&manifest.index, wish).map(Self::Index);
        index.or_else(|| table_files(&manifest.tables, wish).map(|(way, files)| Self::Table(way, files)))
    }

    /// Merges them; the list is to take over what it returns.
    pub(crate) fn run(self, catalog: &Catalog) -> Result<Change, ArchiveError> {
        match self {
            Self::Index(files) => merge_index(catalog, files),
            Self::Table(way, files) => merge_table(catalog, way, files),
        }
    }
}

/// Returns the files of the index that are to become one.
fn index_files(files: &[IndexEntry], wish: Wish) -> Option<Vec<IndexEntry>> {
    if wish == Wish::All && files.len() > 1 {
        return Some(files.to_vec());
    }
    let mut by_size: BTreeMap<u32, Vec<&IndexEntry>> = BTreeMap::new();
    for entry in files {
        let size = (entry.bytes / INDEX_BYTES_FIRST).max(1).ilog(FILES as u64);
        by_size.entry(size).or_default().push(entry);
    }
    let enough = by_size.into_values().find(|files| files.len() >= FILES)?;
    Some(enough[..FILES].iter().copied().cloned().collect())
}

fn merge_index(catalog: &Catalog, files: Vec<IndexEntry>) -> Result<Change, ArchiveError> {
    let storage = catalog.storage();
    let open = |entry: &IndexEntry| IndexFile::open(&entry.file, Arc::new(storage.file(&entry.file, entry.bytes)));
    let opened = files.iter().map(open).collect::<Result<Vec<_>, _>>()?;
    let file = format!("index/{:010}.index", catalog.take_number());
    let (bytes, crc32) = storage.put_written(&file, |out| merge(&opened, out).map(drop))?;
    let gone = files.into_iter().map(|entry| entry.file).collect();
    Ok(Change { index: vec![IndexEntry { file, bytes, crc32 }], gone, ..Change::default() })
}

/// How files of a table become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// Their rows are sorted into one row group.
    Sort,
    /// Their row groups are copied. Files of about one size have one number.
    Append(u32),
}

/// Returns files of one table, and of events of one log source, that are to become one.
fn table_files(files: &[TableFile], wish: Wish) -> Option<(Way, Vec<TableFile>)> {
    let least = match wish {
        Wish::Enough => FILES,
        Wish::All => 2,
    };
    let mut by_way: BTreeMap<(&str, Way), Vec<&TableFile>> = BTreeMap::new();
    for entry in files.iter().filter(|entry| !entry.is_full) {
        let way = match wish {
            _ if entry.rows < GROUP_ROWS_MIN => Way::Sort,
            Wish::Enough => Way::Append((entry.rows / GROUP_ROWS_MIN).ilog(FILES as u64)),
            Wish::All => Way::Append(0),
        };
        by_way.entry((entry.folder(), way)).or_default().push(entry);
    }
    by_way.into_iter().find_map(|((_, way), files)| {
        let (rows_max, files_max) = match way {
            Way::Sort => (GROUP_ROWS_MAX, usize::MAX),
            Way::Append(_) => (FILE_ROWS_MAX, if wish == Wish::All { usize::MAX } else { FILES }),
        };
        let (mut rows, mut bytes) = (0, 0);
        let fits = files.into_iter().take(files_max).take_while(|entry| {
            rows += entry.rows;
            bytes += entry.bytes;
            rows <= rows_max && bytes <= FILE_BYTES_MAX
        });
        let fits: Vec<TableFile> = fits.cloned().collect();
        let is_enough = fits.len() >= least || way == Way::Sort && fits.len() >= 2 && rows >= GROUP_ROWS_MIN;
        is_enough.then_some((way, fits))
    })
}

fn merge_table(catalog: &Catalog, way: Way, files: Vec<TableFile>) -> Result<Change, ArchiveError> {
    let storage = catalog.storage();
    let file = format!("{}/{:010}.parquet", files[0].folder(), catalog.take_number());
    let (bytes, crc32, columns) = match way {
        Way::Sort => sort_into_one(storage, &files, &file)?,
        Way::Append(_) => append(storage, &files, &file)?,
    };
    let times = files.iter().filter_map(|entry| entry.times);
    let rows = files.iter().flat_map(|entry| &entry.log_sources).map(|entry| (entry.log_source(), entry.rows));
    let entry = TableFile {
        file,
        bytes,
        crc32,
        rows: files.iter().map(|entry| entry.rows).sum(),
        times: times.clone().map(|(first, _)| first).min().zip(times.map(|(_, last)| last).max()),
        times_unknown: files.iter().map(|entry| entry.times_unknown).sum(),
        log_sources: add_log_sources(rows),
        is_full: columns >= FIXED.len() + FIELD_COLUMNS_MAX,
    };
    let gone = files.into_iter().map(|entry| entry.file).collect();
    Ok(Change { tables: vec![entry], gone, ..Change::default() })
}

/// Writes the rows of some files as one row group; returns the file's length, its CRC-32 and how many columns it has.
fn sort_into_one(storage: &Storage, files: &[TableFile], file: &str) -> Result<(u64, u32, usize), ArchiveError> {
    let mut batches = Vec::new();
    for entry in files {
        batches.extend(read(storage, entry)?);
    }
    let damaged = || ArchiveError::damaged(&files[0].file, "its columns are not those of its table");
    let merged = merge_batches(&batches).ok_or_else(damaged)?;
    let bytes = parquet_of(&merged);
    let (length, crc32) = (bytes.len() as u64, crc32fast::hash(&bytes));
    storage.put(file, bytes)?;
    Ok((length, crc32, merged.num_columns()))
}

/// Puts rows of a table together, in the order of their times; `None` where they are of different tables.
///
/// A field that a file has no column for is null in its rows: a file of which fields had to go without one is not merged.
pub(crate) fn merge_batches(batches: &[RecordBatch]) -> Option<RecordBatch> {
    let schema = union(batches.iter().map(RecordBatch::schema));
    let widened = batches.iter().map(|batch| {
        let column = |field: &Arc<Field>| match batch.column_by_name(field.name()) {
            Some(column) => Arc::clone(column),
            None => new_null_array(field.data_type(), batch.num_rows()),
        };
        RecordBatch::try_new(Arc::clone(&schema), schema.fields().iter().map(column).collect()).ok()
    });
    let all = concat_batches(&schema, &widened.collect::<Option<Vec<_>>>()?).ok()?;
    let time = times(&all)?;
    let mut rows: Vec<u32> = (0..u32::try_from(all.num_rows()).ok()?).collect();
    rows.sort_by_key(|row| (time.is_null(*row as usize), time.value(*row as usize)));
    take_record_batch(&all, &UInt32Array::from(rows)).ok()
}

/// Returns a schema with the columns of all, in the order in which they are met; all begin with the same ones.
pub(crate) fn union(schemas: impl Iterator<Item = SchemaRef>) -> SchemaRef {
    let (mut fields, mut known) = (Vec::new(), HashSet::new());
    for schema in schemas {
        let new = schema.fields().iter().filter(|field| known.insert(field.name().clone()));
        fields.extend(new.map(Arc::clone));
    }
    Arc::new(Schema::new(fields))
}
