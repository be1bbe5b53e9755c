//! Reading: an archive as it is at one moment, whoever writes to it meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use cresset_event::{LogSource, Timestamp};
use object_store::ObjectStore;
use serde::Serialize;

use crate::columns::columns;
use crate::error::ArchiveError;
use crate::manifest::{LOOKS_MAX, Manifest, TableFile};
use crate::pack::Pack;
use crate::read_only::ReadOnly;
use crate::storage::Storage;
use crate::table_rows::{EVENTS, TableRows};
use crate::wal::{self, Logged};
use crate::writer::wal_folder;

/// An archive as it was when it was opened.
#[derive(Debug)]
pub struct Archive {
    pub(crate) storage: Storage,
    pub(crate) manifest: Manifest,
    /// What is in write-ahead logs and no segment yet.
    pub(crate) log: Logged,
    /// What was found damaged when it was opened.
    damages: Vec<Damage>,
}

/// What an archive holds.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Stats {
    /// Events, those in the write-ahead log included.
    pub events: u64,
    /// Events in the write-ahead log.
    pub events_in_log: u64,
    /// First and last time of events, where any is known.
    pub times: Option<(Timestamp, Timestamp)>,
    /// Events without a time.
    pub times_unknown: u64,
    /// Files of events, and their bytes.
    pub event_files: (u64, u64),
    /// Files of the index, and their bytes.
    pub index_files: (u64, u64),
    /// Events by log source.
    pub log_sources: BTreeMap<LogSource, u64>,
    /// The other tables that have rows.
    pub tables: BTreeMap<String, TableStats>,
}

/// What an archive holds of a table beside that of events.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TableStats {
    /// Rows, those in the write-ahead log included.
    pub rows: u64,
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Stats {
    fn table(&mut self, table: &str) -> &mut TableStats {
        self.tables.entry(table.to_owned()).or_default()
    }
}

impl TableStats {
    fn add(&mut self, rows: u64, files: u64, bytes: u64) {
        self.rows += rows;
        self.files += files;
        self.bytes += bytes;
    }
}

/// What is wrong with a file of an archive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{file}` of the archive is damaged: {reason}")]
pub struct Damage {
    /// The file, named from the archive's folder.
    pub file: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Archive {
    /// Opens an archive to read it.
    pub fn open(folder: &Path) -> Result<Self, ArchiveError> {
        let wal_folder = wal_folder(folder);
        if !wal_folder.is_dir() {
            return Err(ArchiveError::NoArchive { folder: folder.to_owned() });
        }
        let storage = Storage::open(folder)?;
        let (mut manifest, mut damaged) = Manifest::load_readable(&storage)?;
        for _ in 0..LOOKS_MAX {
            let (mut log, mut damages) = (Logged::default(), Vec::new());
            for number in wal::list(&wal_folder)?.into_iter().filter(|number| *number > manifest.wal_done) {
                let content = wal::read(&wal_folder, number)?.unwrap_or_default();
                log.extend(content.logged);
                if content.damaged > 0 {
                    let file = format!("wal/{}", wal::name_of(number));
                    damages.push(Damage { file, reason: format!("{} of its parts cannot be read", content.damaged) });
                }
            }
            // A log may have become a segment since the manifest was read.
            let (now, now_damaged) = Manifest::load_readable(&storage)?;
            if now.number == manifest.number {
                damages.extend(damaged);
                return Ok(Self { storage, manifest, log, damages });
            }
            (manifest, damaged) = (now, now_damaged);
        }
        Err(ArchiveError::InUse { folder: folder.to_owned() })
    }

    /// Counts what there is, by what the list of files says.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        for entry in &self.manifest.tables {
            if entry.table() != EVENTS {
                stats.table(entry.table()).add(entry.rows, 1, entry.bytes);
                continue;
            }
            stats.events += entry.rows;
            stats.event_files = (stats.event_files.0 + 1, stats.event_files.1 + entry.bytes);
            stats.times_unknown += entry.times_unknown;
            widen(&mut stats.times, entry.times);
            for (log_source, rows) in entry.log_sources() {
                *stats.log_sources.entry(log_source).or_default() += rows;
            }
        }
        for entry in &self.manifest.index {
            stats.index_files = (stats.index_files.0 + 1, stats.index_files.1 + entry.bytes);
        }
        self.log.rows.iter().for_each(|rows| stats.table(rows.table()).add(rows.batch().num_rows() as u64, 0, 0));
        let in_log = self.log.packs.iter().flat_map(Pack::events).filter_map(|event| event.origin());
        for event in in_log {
            stats.events += 1;
            stats.events_in_log += 1;
            *stats.log_sources.entry((**event.log_source).clone()).or_default() += 1;
            match event.time.known() {
                Some(time) => widen(&mut stats.times, Some((time.as_nanos(), time.as_nanos()))),
                None => stats.times_unknown += 1,
            }
        }
        stats
    }

    /// Reads every file as a whole, and returns what is not as it was written; tells bytes that were read.
    pub fn verify(&self, mut progress: impl FnMut(u64)) -> Vec<Damage> {
        let tables = self.manifest.tables.iter().map(|entry| (&entry.file, entry.bytes, entry.crc32));
        let index = self.manifest.index.iter().map(|entry| (&entry.file, entry.bytes, entry.crc32));
        let mut damages = self.damages.clone();
        for (file, bytes, crc32) in tables.chain(index) {
            damages.extend(self.damage(file, bytes, crc32));
            progress(bytes);
        }
        damages
    }

    /// Reads a file as a whole, and says what is not as it was written.
    pub fn verify_file(&self, entry: &TableFile) -> Option<Damage> {
        self.damage(&entry.file, entry.bytes, entry.crc32)
    }

    /// Returns what was found damaged when it was opened: the list of files, of which the version before is read then, and
    /// write-ahead logs, of which the rest is.
    pub fn damages(&self) -> &[Damage] {
        &self.damages
    }

    fn damage(&self, file: &str, bytes: u64, crc32: u32) -> Option<Damage> {
        let reason = match self.storage.get(file) {
            Ok(found) if found.len() as u64 != bytes => format!("{} bytes in place of {bytes}", found.len()),
            Ok(found) if crc32fast::hash(&found) != crc32 => "its checksum differs".into(),
            Ok(_) => return None,
            Err(error) => error.with_causes(),
        };
        Some(Damage { file: file.to_owned(), reason })
    }

    /// Returns the files of a table; what is in write-ahead logs only is in none of them.
    pub fn files_of(&self, table: &str) -> impl Iterator<Item = &TableFile> {
        self.manifest.files_of(table)
    }

    /// Returns the names of the tables that have rows, in order; the first is that of events in any case.
    pub fn tables(&self) -> Vec<&str> {
        let others =
            self.manifest.tables.iter().map(TableFile::table).chain(self.log.rows.iter().map(TableRows::table));
        let others: BTreeSet<&str> = others.filter(|table| *table != EVENTS).collect();
        iter::once(EVENTS).chain(others).collect()
    }

    /// Returns the files by their names, for others that read Parquet. Nothing can be written, or listed.
    pub fn files(&self) -> Arc<dyn ObjectStore> {
        Arc::new(ReadOnly(self.storage.clone()))
    }

    /// Returns the columns that every file of events has, whatever they are.
    pub fn event_columns() -> SchemaRef {
        columns(&[]).expect("no event is not as it was packed").schema()
    }

    /// Returns the rows of a table that are in write-ahead logs only, with the columns that files have.
    pub fn logged(&self, table: &str) -> Result<Vec<RecordBatch>, ArchiveError> {
        match table {
            EVENTS => self.log.packs.iter().map(logged_columns).collect(),
            _ => {
                Ok(self.log.rows.iter().filter(|rows| rows.table() == table).map(|rows| rows.batch().clone()).collect())
            }
        }
    }

    /// Returns how many bytes all files have.
    pub fn byte_len(&self) -> u64 {
        let tables = self.manifest.tables.iter().map(|entry| entry.bytes);
        tables.chain(self.manifest.index.iter().map(|entry| entry.bytes)).sum()
    }
}

/// Returns the events of a pack as columns.
pub(crate) fn logged_columns(pack: &Pack) -> Result<RecordBatch, ArchiveError> {
    let events = pack.events().map(|event| event.origin()).collect::<Option<Vec<_>>>();
    let batch = events.and_then(|events| columns(&events));
    batch.ok_or_else(|| ArchiveError::damaged("wal", "an event is not as it was packed"))
}

/// Widens first and last time by those of others, nanoseconds since 1970.
pub(crate) fn widen(times: &mut Option<(Timestamp, Timestamp)>, others: Option<(i64, i64)>) {
    if let Some((first, last)) = others {
        let (first, last) = (Timestamp::from_nanos(first), Timestamp::from_nanos(last));
        let (one, other) = times.unwrap_or((first, last));
        *times = Some((first.min(one), last.max(other)));
    }
}
