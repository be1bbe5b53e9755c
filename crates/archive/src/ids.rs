//! The ids of a table's rows, row group by row group: nothing else of the file is read than where its columns lie.

use std::sync::Arc;

use bytes::buf::Reader;
use bytes::{Buf, Bytes};
use cresset_event::{EventId, Timestamp};
use parquet::column::reader::{get_column_reader, get_typed_column_reader};
use parquet::data_type::{FixedLenByteArray, FixedLenByteArrayType};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::file::statistics::Statistics;

use crate::error::ArchiveError;
use crate::manifest::TableFile;
use crate::storage::{ReadRanges, Storage};

/// Bytes at the end of a file that are read first: where the columns of some tens of row groups lie.
const TAIL_BYTES: u64 = 64 << 10;

/// Where the ids of a row group lie, and which times its rows have.
#[derive(Debug)]
pub(crate) struct IdGroup {
    column: ColumnChunkMetaData,
    rows: usize,
    /// First and last time, nanoseconds since 1970, where any is known, and how many rows have none; none where nothing is known.
    times: Option<(Option<(i64, i64)>, u64)>,
}

impl IdGroup {
    /// Returns those of a file, in order.
    pub(crate) fn all(storage: &Storage, entry: &TableFile) -> Result<Vec<Self>, ArchiveError> {
        let metadata = metadata(storage, entry)?;
        let group = |group: &RowGroupMetaData| {
            let column = group.columns().iter().find(|column| column.column_path().string() == "id")?.clone();
            let rows = u64::try_from(group.num_rows()).ok()?.min(entry.rows) as usize;
            Some(Self { column, rows, times: group_times(group) })
        };
        let groups = metadata.row_groups().iter().map(group).collect::<Option<Vec<_>>>();
        groups.ok_or_else(|| ArchiveError::damaged(&entry.file, "it has no ids"))
    }

    /// Returns whether a row of this time may be in the row group.
    pub(crate) fn may_hold(&self, time: Option<Timestamp>) -> bool {
        self.times.is_none_or(|(times, unknown)| match time {
            Some(time) => times.is_some_and(|(first, last)| (first..=last).contains(&time.as_nanos())),
            None => unknown > 0,
        })
    }

    /// Reads the ids, and returns them sorted.
    pub(crate) fn read(&self, storage: &Storage, entry: &TableFile) -> Result<Vec<EventId>, ArchiveError> {
        let (at, length) = self.column.byte_range();
        let range = at..at.saturating_add(length).min(entry.bytes);
        let bytes = storage.file(&entry.file, entry.bytes).read_range(range)?;
        let values = self.decode(Part { at, bytes }).map_err(|cause| damaged(entry, cause))?;
        let id = |value: &FixedLenByteArray| value.data().try_into().ok().map(EventId::from_bytes);
        let ids = values.iter().map(id).collect::<Option<Vec<_>>>();
        let mut ids = ids.ok_or_else(|| ArchiveError::damaged(&entry.file, "an id has another length than 16"))?;
        ids.sort_unstable();
        Ok(ids)
    }

    fn decode(&self, part: Part) -> Result<Vec<FixedLenByteArray>, ParquetError> {
        let pages = SerializedPageReader::new(Arc::new(part), &self.column, self.rows, None)?;
        let reader = get_column_reader(self.column.column_descr_ptr(), Box::new(pages));
        let mut reader = get_typed_column_reader::<FixedLenByteArrayType>(reader);
        let (mut levels, mut values) = (Vec::new(), Vec::with_capacity(self.rows));
        while reader.read_records(self.rows, Some(&mut levels), None, &mut values)?.0 > 0 {}
        Ok(values)
    }
}

/// Returns first and last time of a row group, and how many rows have none; none where that is not known.
pub(crate) fn group_times(group: &RowGroupMetaData) -> Option<(Option<(i64, i64)>, u64)> {
    let column = group.columns().iter().find(|column| column.column_path().string() == "time")?;
    match column.statistics()? {
        Statistics::Int64(times) => {
            Some((times.min_opt().copied().zip(times.max_opt().copied()), times.null_count_opt()?))
        }
        _ => None,
    }
}

fn metadata(storage: &Storage, entry: &TableFile) -> Result<ParquetMetaData, ArchiveError> {
    let file = storage.file(&entry.file, entry.bytes);
    let tail = |bytes: u64| file.read_range(entry.bytes - bytes..entry.bytes);
    let failed = |cause| damaged(entry, cause);
    let mut reader = ParquetMetaDataReader::new();
    match reader.try_parse_sized(&tail(TAIL_BYTES.min(entry.bytes))?, entry.bytes) {
        Err(ParquetError::NeedMoreData(bytes)) if bytes as u64 <= entry.bytes => {
            reader.try_parse_sized(&tail(bytes as u64)?, entry.bytes).map_err(failed)?;
        }
        parsed => parsed.map_err(failed)?,
    }
    reader.finish().map_err(failed)
}

fn damaged(entry: &TableFile, cause: ParquetError) -> ArchiveError {
    ArchiveError::damaged(&entry.file, cause.to_string())
}

/// A part of a file, where it lies there.
struct Part {
    at: u64,
    bytes: Bytes,
}

impl Part {
    fn from(&self, start: u64) -> Result<Bytes, ParquetError> {
        let start = start.checked_sub(self.at).and_then(|start| usize::try_from(start).ok());
        let start = start.filter(|start| *start <= self.bytes.len());
        start.map(|start| self.bytes.slice(start..)).ok_or_else(|| ParquetError::EOF("outside of the column".into()))
    }
}

impl Length for Part {
    fn len(&self) -> u64 {
        self.at + self.bytes.len() as u64
    }
}

impl ChunkReader for Part {
    type T = Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(self.from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let rest = self.from(start)?;
        if length > rest.len() {
            return Err(ParquetError::EOF("outside of the column".into()));
        }
        Ok(rest.slice(..length))
    }
}
