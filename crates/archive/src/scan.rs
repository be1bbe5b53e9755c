//! Reading events back: those of a time and of some log sources, file by file, and within a file row group by row group.
//!
//! Each step leaves rows out for the next, which reads more columns: a row group by what Parquet's statistics say of its
//! times; rows by their time, log source and shape; events by what a [`Sieve`] says to the fields that it asks for. Only what
//! is left is read as a whole.

use std::collections::{HashMap, HashSet};
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use bytes::Bytes;
use cresset_event::{Event, EventBuilder, FieldNames, LogSource, Timestamp};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
};

use crate::archive::{Archive, logged_columns, widen};
use crate::error::ArchiveError;
use crate::ids::group_times;
use crate::manifest::TableFile;
use crate::pack::Pack;
use crate::rows::{Rows, Sources};
use crate::segment;
use crate::table_rows::EVENTS;
use crate::windows::Windows;

/// Rows that are decoded at once.
const BATCH_ROWS: usize = 4096;
/// Columns that say which rows are looked at.
const SORTING: &[&str] = &["time", "product", "service", "categories", "shape"];
/// Columns that a sieve needs whatever it asks for.
const SIFTING: &[&str] = &["time", "time_unknown", "product", "service", "categories", "shape", "rest"];

/// Which events are read.
#[derive(Default)]
pub struct Scan<'s> {
    /// Those of this time and later.
    pub since_inclusive: Option<Timestamp>,
    /// Those before this time.
    pub until_exclusive: Option<Timestamp>,
    /// Those of log sources for which this says so.
    pub log_source: Option<&'s dyn Fn(&LogSource) -> bool>,
    /// Those of these times.
    pub windows: Option<&'s Windows>,
    /// Not those of files with these names.
    pub without_files: Option<&'s HashSet<String>>,
    /// Whether records as they stood in the log are not read, which are the most of what there is.
    pub without_raw: bool,
}

/// What is read of events before it is known whether they are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sifted {
    /// The fields that are looked at.
    pub fields: HashSet<String>,
    /// Fields one of which any event has that is wanted; none where an event may have none of them.
    pub one_of: Option<HashSet<String>>,
}

/// Takes events as they are read.
pub trait Sieve {
    /// Returns what [`Sieve::wants`] looks at in events of a log source; none where it looks at all of an event.
    fn sifted(&self, _log_source: &Arc<LogSource>) -> Option<Sifted> {
        None
    }

    /// Returns whether an event is wanted, of which there is only what [`Sieve::sifted`] says, and time and log source.
    fn wants(&mut self, _event: &Event) -> bool {
        true
    }

    /// Takes an event; breaking off ends the scan.
    fn take(&mut self, event: Event) -> ControlFlow<()>;

    /// Takes why a file cannot be read; the others are.
    fn damaged(&mut self, error: ArchiveError);

    /// Takes how many events were looked at, since it was told last.
    fn looked_at(&mut self, _events: u64) {}

    /// Takes notice that of a file all is read; breaking off ends the scan.
    fn done(&mut self, _file: &TableFile) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

impl Scan<'_> {
    fn has(&self, time: Option<Timestamp>) -> bool {
        // One whose time is unknown could lie anywhere.
        time.is_none_or(|time| {
            self.since_inclusive.is_none_or(|since| since <= time)
                && self.until_exclusive.is_none_or(|until| time < until)
                && self.windows.is_none_or(|windows| windows.has(time))
        })
    }

    fn has_any_of(&self, times: Option<(i64, i64)>, times_unknown: u64) -> bool {
        times_unknown > 0
            || times.is_some_and(|(first, last)| {
                self.since_inclusive.is_none_or(|since| since.as_nanos() <= last)
                    && self.until_exclusive.is_none_or(|until| first < until.as_nanos())
                    && self.windows.is_none_or(|windows| windows.has_any_of((first, last)))
            })
    }

    fn wants_log_source(&self, log_source: &LogSource) -> bool {
        self.log_source.is_none_or(|wants| wants(log_source))
    }

    fn wants_file(&self, entry: &TableFile) -> bool {
        self.without_files.is_none_or(|files| !files.contains(&entry.file))
            && self.has_any_of(entry.times, entry.times_unknown)
            && entry.log_sources().any(|(log_source, _)| self.wants_log_source(&log_source))
    }
}

/// Passes everything on.
struct All<T, D>(T, D);

impl<T: FnMut(Event) -> ControlFlow<()>, D: FnMut(ArchiveError)> Sieve for All<T, D> {
    fn take(&mut self, event: Event) -> ControlFlow<()> {
        (self.0)(event)
    }

    fn damaged(&mut self, error: ArchiveError) {
        (self.1)(error);
    }
}

impl Archive {
    /// Passes events to `take`, until that breaks off: those of each file in the order of their times, what is in the log last.
    /// A file that cannot be read is passed to `damaged`, and the others are read.
    pub fn scan(
        &self,
        scan: &Scan<'_>,
        names: &Arc<FieldNames>,
        take: impl FnMut(Event) -> ControlFlow<()>,
        damaged: impl FnMut(ArchiveError),
    ) {
        self.sift(scan, names, &mut All(take, damaged));
    }

    /// Passes the events that a sieve wants to it, in the same order.
    pub fn sift(&self, scan: &Scan<'_>, names: &Arc<FieldNames>, sieve: &mut impl Sieve) {
        self.damages().iter().for_each(|damage| sieve.damaged(damage.into()));
        let mut sift = Sift { scan, builder: EventBuilder::new(Arc::clone(names)), sources: Sources::default(), sieve };
        for entry in self.manifest.files_of(EVENTS).filter(|entry| scan.wants_file(entry)) {
            let flow = match File::open(self, entry).and_then(|file| sift.file(&file)) {
                Ok(ControlFlow::Continue(())) => sift.sieve.done(entry),
                Ok(flow) => flow,
                Err(error) => {
                    sift.sieve.damaged(error);
                    ControlFlow::Continue(())
                }
            };
            if flow.is_break() {
                return;
            }
        }
        for pack in &self.log.packs {
            let batch = logged_columns(pack);
            let taken = batch.map(|batch| sift.logged(&batch));
            match taken.and_then(|taken| taken.ok_or_else(|| ArchiveError::damaged("wal", "a row is no event"))) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => return,
                Err(error) => sift.sieve.damaged(error),
            }
        }
    }

    /// Returns how many bytes of files a scan looks into.
    pub fn scan_bytes(&self, scan: &Scan<'_>) -> u64 {
        self.manifest.files_of(EVENTS).filter(|entry| scan.wants_file(entry)).map(|entry| entry.bytes).sum()
    }

    /// Returns first and last time of what a scan may find, within the time that it asks for, by what the list of files says.
    pub fn scan_times(&self, scan: &Scan<'_>) -> Option<(Timestamp, Timestamp)> {
        let mut times = None;
        for entry in self.manifest.files_of(EVENTS).filter(|entry| scan.wants_file(entry)) {
            widen(&mut times, entry.times);
        }
        for event in self.log.packs.iter().flat_map(Pack::events).filter_map(|event| event.origin()) {
            let time = event.time.known().filter(|_| scan.wants_log_source(event.log_source));
            widen(&mut times, time.map(|time| (time.as_nanos(), time.as_nanos())));
        }
        let (first, last) = times?;
        let since = scan.since_inclusive.map_or(first, |since| since.clamp(first, last));
        let until = scan.until_exclusive.map_or(last, |until| until.clamp(since, last));
        Some((since, until))
    }
}

/// A file of events, open.
struct File<'f> {
    entry: &'f TableFile,
    bytes: Bytes,
    metadata: ArrowReaderMetadata,
}

impl<'f> File<'f> {
    fn open(archive: &Archive, entry: &'f TableFile) -> Result<Self, ArchiveError> {
        let bytes = segment::bytes(&archive.storage, entry)?;
        let metadata = ArrowReaderMetadata::load(&bytes, ArrowReaderOptions::new());
        Ok(Self { entry, metadata: metadata.map_err(|cause| ArchiveError::parquet(&entry.file, cause))?, bytes })
    }

    fn schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    /// Reads some columns of some rows of a row group.
    fn read(
        &self,
        group: usize,
        wants: impl Fn(&str) -> bool,
        rows: &[Range<usize>],
    ) -> Result<ParquetRecordBatchReader, ArchiveError> {
        let wanted = self.schema().fields().iter().enumerate().filter(|(_, field)| wants(field.name()));
        let mask = ProjectionMask::roots(self.metadata.parquet_schema(), wanted.map(|(place, _)| place));
        let selection = RowSelection::from_consecutive_ranges(rows.iter().cloned(), self.rows(group));
        ParquetRecordBatchReaderBuilder::new_with_metadata(self.bytes.clone(), self.metadata.clone())
            .with_row_groups(vec![group])
            .with_projection(mask)
            .with_row_selection(selection)
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(|cause| ArchiveError::parquet(&self.entry.file, cause))
    }

    fn rows(&self, group: usize) -> usize {
        usize::try_from(self.metadata.metadata().row_group(group).num_rows()).unwrap_or(0)
    }

    /// Reads batches to their end, or until one breaks off.
    fn each(
        &self,
        batches: ParquetRecordBatchReader,
        mut take: impl FnMut(&RecordBatch) -> Option<ControlFlow<()>>,
    ) -> Result<ControlFlow<()>, ArchiveError> {
        for batch in batches {
            let batch = batch.map_err(|cause| ArchiveError::damaged(&self.entry.file, cause.to_string()))?;
            let taken = take(&batch).ok_or_else(|| ArchiveError::damaged(&self.entry.file, "a row is no event"))?;
            if taken.is_break() {
                return Ok(taken);
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// One scan, at work.
struct Sift<'s, S> {
    scan: &'s Scan<'s>,
    builder: EventBuilder,
    sources: Sources,
    sieve: &'s mut S,
}

impl<S: Sieve> Sift<'_, S> {
    fn file(&mut self, file: &File<'_>) -> Result<ControlFlow<()>, ArchiveError> {
        let asked = Asked::of(file.entry, self.scan, self.sieve, &mut self.sources);
        for group in 0..file.metadata.metadata().num_row_groups() {
            let times = group_times(file.metadata.metadata().row_group(group));
            if times.is_some_and(|(times, unknown)| !self.scan.has_any_of(times, unknown)) {
                continue;
            }
            let all = Range { start: 0, end: file.rows(group) };
            let (mut rows, mut columns) = (vec![all], HashSet::new());
            if asked.sorts {
                (rows, columns) = self.sort(file, group, &asked)?;
            }
            self.sieve.looked_at(rows.iter().map(ExactSizeIterator::len).sum::<usize>() as u64);
            if asked.sifts && !rows.is_empty() {
                rows = self.sift(file, group, &rows, &columns)?;
            }
            if !rows.is_empty() && self.whole(file, group, &rows)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Returns the rows whose time, log source and shape are wanted, and the columns that a sieve looks at in them.
    fn sort(
        &mut self,
        file: &File<'_>,
        group: usize,
        asked: &Asked,
    ) -> Result<(Vec<Range<usize>>, HashSet<String>), ArchiveError> {
        let (mut rows, mut columns) = (Ranges::default(), HashSet::new());
        let mut at = 0;
        let all = Range { start: 0, end: file.rows(group) };
        let batches = file.read(group, |name| SORTING.contains(&name), &[all])?;
        let _ = file.each(batches, |batch| {
            let mut part = Rows::part(batch, file.schema())?;
            // By log source and shape: whether such events are looked at.
            let mut verdicts = HashMap::new();
            for row in 0..batch.num_rows() {
                let (time, shape) = (part.time(row), part.shape(row)?);
                let log_source = part.log_source(row, &mut self.sources)?;
                let verdict = *verdicts.entry((Arc::as_ptr(&log_source), shape)).or_insert_with(|| {
                    match asked.of_log_source(&log_source) {
                        None => Some(false),
                        Some(None) => Some(true),
                        Some(Some(sifted)) => part.sift(shape, sifted, &mut columns),
                    }
                });
                if verdict? && self.scan.has(time) {
                    rows.push(at + row);
                }
            }
            at += batch.num_rows();
            Some(ControlFlow::Continue(()))
        })?;
        Ok((rows.0, columns))
    }

    /// Returns the rows that the sieve wants.
    fn sift(
        &mut self,
        file: &File<'_>,
        group: usize,
        rows: &[Range<usize>],
        columns: &HashSet<String>,
    ) -> Result<Vec<Range<usize>>, ArchiveError> {
        let mut wanted = Ranges::default();
        let mut at = rows.iter().cloned().flatten();
        let batches = file.read(group, |name| SIFTING.contains(&name) || columns.contains(name), rows)?;
        let _ = file.each(batches, |batch| {
            let mut part = Rows::part(batch, file.schema())?;
            for (row, at) in (0..batch.num_rows()).zip(&mut at) {
                if self.sieve.wants(&part.event(row, &mut self.builder, &mut self.sources)?) {
                    wanted.push(at);
                }
            }
            Some(ControlFlow::Continue(()))
        })?;
        Ok(wanted.0)
    }

    /// Passes whole events on.
    fn whole(&mut self, file: &File<'_>, group: usize, rows: &[Range<usize>]) -> Result<ControlFlow<()>, ArchiveError> {
        let batches = file.read(group, |name| !(self.scan.without_raw && name == "raw"), rows)?;
        file.each(batches, |batch| {
            let mut whole = Rows::new(batch)?;
            for row in 0..batch.num_rows() {
                let event = whole.event(row, &mut self.builder, &mut self.sources)?;
                if self.sieve.take(event).is_break() {
                    return Some(ControlFlow::Break(()));
                }
            }
            Some(ControlFlow::Continue(()))
        })
    }

    /// Passes the events of the log on that are wanted; none where a row is no event.
    fn logged(&mut self, batch: &RecordBatch) -> Option<ControlFlow<()>> {
        let mut rows = Rows::new(batch)?;
        for row in 0..batch.num_rows() {
            let event = rows.event(row, &mut self.builder, &mut self.sources)?;
            let (time, log_source) = (event.origin().time.known(), &event.origin().log_source);
            if !self.scan.has(time) || !self.scan.wants_log_source(log_source) {
                continue;
            }
            self.sieve.looked_at(1);
            if self.sieve.wants(&event) && self.sieve.take(event).is_break() {
                return Some(ControlFlow::Break(()));
            }
        }
        Some(ControlFlow::Continue(()))
    }
}

/// What is asked of a file.
struct Asked {
    /// Of each log source that is wanted, what the sieve looks at.
    log_sources: Vec<(Arc<LogSource>, Option<Sifted>)>,
    /// Whether some rows may be left out before they are looked at.
    sorts: bool,
    /// Whether the sieve can be shown less than whole events.
    sifts: bool,
}

impl Asked {
    fn of(entry: &TableFile, scan: &Scan<'_>, sieve: &impl Sieve, sources: &mut Sources) -> Self {
        let wanted = entry.log_sources().filter(|(log_source, _)| scan.wants_log_source(log_source));
        let asked = wanted.map(|(log_source, _)| {
            let log_source = sources.shared(log_source);
            let sifted = sieve.sifted(&log_source);
            (log_source, sifted)
        });
        let log_sources: Vec<(Arc<LogSource>, Option<Sifted>)> = asked.collect();
        // Where the sieve looks at all of some events, the others are so few that it may as well look at all of them.
        let sifts = log_sources.iter().all(|(_, sifted)| sifted.is_some());
        let sorts = sifts
            || scan.since_inclusive.is_some()
            || scan.until_exclusive.is_some()
            || scan.windows.is_some()
            || log_sources.len() < entry.log_sources().count();
        Self { log_sources, sorts, sifts }
    }

    /// Returns what is looked at in events of a log source; none where they are not wanted.
    fn of_log_source(&self, log_source: &Arc<LogSource>) -> Option<Option<&Sifted>> {
        let asked = self.log_sources.iter().find(|(its, _)| Arc::ptr_eq(its, log_source))?;
        Some(asked.1.as_ref())
    }
}

/// Numbers in order, put together where they follow each other.
#[derive(Default)]
struct Ranges(Vec<Range<usize>>);

impl Ranges {
    fn push(&mut self, number: usize) {
        match self.0.last_mut().filter(|last| last.end == number) {
            Some(last) => last.end += 1,
            None => self.0.push(number..number + 1),
        }
    }
}
