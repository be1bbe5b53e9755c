//! What there is: the list of the archive's files, one version after another.
//!
//! A version is a file of its own, `manifest/NUMBER.json`; the highest number holds. It is written when all files that it
//! names are on the disk, and is there as a whole or not at all. A file that no version names is rubbish.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashSet};

use cresset_event::{LogSource, Timestamp};
use serde::{Deserialize, Serialize};

use crate::archive::Damage;
use crate::catalog::Change;
use crate::error::ArchiveError;
use crate::storage::Storage;
use crate::table_rows::{EVENTS, TABLES};

/// The version of the format, of the manifest and of all files. The first had no table but that of events,
/// and fewer values in its index.
const FORMAT: u32 = 2;
const FOLDER: &str = "manifest";
/// What stands between a version and the CRC-32 of what is before this. Versions of the first programs have none.
const CHECKSUM: &str = ",\"checksum\":";
/// Times that an archive is looked at where its writer is quicker.
pub(crate) const LOOKS_MAX: usize = 10;
/// How long a reader may hold files that were dropped: a query that takes longer is begun again.
const HELD_NANOS: i64 = 15 * 60 * 1_000_000_000;

/// One version of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// The version of the format.
    pub(crate) format: u32,
    pub(crate) number: u64,
    /// The write-ahead logs up to this number are in the files.
    pub(crate) wal_done: u64,
    /// The number of the next file.
    pub(crate) next_file: u64,
    /// The files of all tables.
    #[serde(alias = "events")]
    pub(crate) tables: Vec<TableFile>,
    pub(crate) index: Vec<IndexEntry>,
    /// Whether the index may lack what is told by a second name only: that of the first format does.
    #[serde(default)]
    pub(crate) index_lacks_names: bool,
    /// Files that are in others now, and when that was, in nanoseconds since 1970: readers may hold them still.
    pub(crate) dropped: Vec<(String, i64)>,
}

/// A file of events, or of rows of another table, and what is known of them without reading it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableFile {
    /// Its name, from the archive's folder.
    pub file: String,
    /// Its length.
    pub bytes: u64,
    /// CRC-32 of all of it.
    pub(crate) crc32: u32,
    /// How many rows it has.
    pub rows: u64,
    /// First and last time, nanoseconds since 1970, where any is known.
    pub times: Option<(i64, i64)>,
    /// Rows whose time is not known.
    pub times_unknown: u64,
    /// The log sources of events, each with its rows.
    pub(crate) log_sources: Vec<LogSourceEntry>,
    /// Whether there may be fields without a column of their own.
    pub(crate) is_full: bool,
}

/// A log source of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LogSourceEntry {
    pub(crate) product: Option<String>,
    pub(crate) service: Option<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) rows: u64,
}

/// A file of the index of observables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IndexEntry {
    pub(crate) file: String,
    pub(crate) bytes: u64,
    /// CRC-32 of all of it.
    pub(crate) crc32: u32,
}

/// Reads some of the versions that are there, the highest last. Who writes takes older ones away: where one is gone before it is
/// read there are others, which are looked at.
fn look<T>(storage: &Storage, read: impl Fn(Vec<(String, u64)>) -> Result<T, ArchiveError>) -> Result<T, ArchiveError> {
    for _ in 1..LOOKS_MAX {
        match read(storage.list(FOLDER)?) {
            Err(error) if error.is_gone() => {}
            done => return done,
        }
    }
    read(storage.list(FOLDER)?)
}

impl Default for Manifest {
    /// Nothing yet.
    fn default() -> Self {
        Self {
            format: FORMAT,
            number: 0,
            wal_done: 0,
            next_file: 1,
            tables: Vec::new(),
            index: Vec::new(),
            index_lacks_names: false,
            dropped: Vec::new(),
        }
    }
}

impl Manifest {
    /// Loads the highest version; the empty one where there is none.
    pub(crate) fn load(storage: &Storage) -> Result<Self, ArchiveError> {
        look(storage, |mut versions| {
            versions.pop().map_or_else(|| Ok(Self::default()), |(name, _)| Self::read(storage, &name))
        })
    }

    /// Loads the highest version that can be read, for those who only read, and returns what is wrong with the highest.
    pub(crate) fn load_readable(storage: &Storage) -> Result<(Self, Option<Damage>), ArchiveError> {
        look(storage, |mut versions| {
            let Some((highest, _)) = versions.pop() else { return Ok((Self::default(), None)) };
            match (Self::read(storage, &highest), versions.pop()) {
                (Err(ArchiveError::Damaged { file, reason }), Some((before, _))) => {
                    let reason = format!("{reason}; the version before it is read");
                    Ok((Self::read(storage, &before)?, Some(Damage { file, reason })))
                }
                (read, _) => Ok((read?, None)),
            }
        })
    }

    fn read(storage: &Storage, name: &str) -> Result<Self, ArchiveError> {
        let json = storage.get(name)?;
        if !is_intact(&json) {
            return Err(ArchiveError::damaged(name, "its checksum differs"));
        }
        let manifest: Self =
            serde_json::from_slice(&json).map_err(|cause| ArchiveError::damaged(name, cause.to_string()))?;
        if manifest.format > FORMAT {
            let reason = format!("format {}; this program reads {FORMAT}", manifest.format);
            return Err(ArchiveError::damaged(name, reason));
        }
        let index_lacks_names = manifest.index_lacks_names || manifest.format == 1;
        Ok(Self { format: FORMAT, index_lacks_names, ..manifest })
    }

    /// Takes over what was made, and notes that what it stands for is needed no more, but by readers that hold it.
    pub(crate) fn apply(&mut self, change: Change) {
        let Change { tables, index, gone, wal_done } = change;
        let names: HashSet<&str> = gone.iter().map(String::as_str).collect();
        self.tables.retain(|entry| !names.contains(&*entry.file));
        self.index.retain(|entry| !names.contains(&*entry.file));
        self.tables.extend(tables);
        self.index.extend(index);
        self.wal_done = wal_done.unwrap_or(self.wal_done);
        let now = Timestamp::now().as_nanos();
        self.dropped.extend(gone.into_iter().map(|file| (file, now)));
    }

    /// Takes the files out that were dropped so long before `now` that no reader holds them.
    pub(crate) fn dropped_before(&mut self, now: Timestamp) -> Vec<String> {
        let until = now.as_nanos().saturating_sub(HELD_NANOS);
        self.dropped.extract_if(.., |(_, dropped)| *dropped < until).map(|(file, _)| file).collect()
    }

    /// Returns the file that it is read from; the empty version has none.
    pub(crate) fn file_name(&self) -> Option<String> {
        (self.number > 0).then(|| name_of(self.number))
    }

    /// Returns the names of all files that must not be deleted.
    pub(crate) fn files(&self) -> impl Iterator<Item = &str> {
        let held = self.tables.iter().map(|entry| &entry.file).chain(self.index.iter().map(|entry| &entry.file));
        held.chain(self.dropped.iter().map(|(file, _)| file)).map(String::as_str)
    }

    /// Returns the files of a table.
    pub(crate) fn files_of(&self, table: &str) -> impl Iterator<Item = &TableFile> {
        self.tables.iter().filter(move |entry| entry.table() == table)
    }

    /// Returns a number that no file has.
    pub(crate) fn take_number(&mut self) -> u64 {
        self.next_file += 1;
        self.next_file - 1
    }

    /// Writes the next version, which holds from then on.
    pub(crate) fn commit(mut self, storage: &Storage) -> Result<Self, ArchiveError> {
        self.number += 1;
        let name = name_of(self.number);
        let mut json = serde_json::to_vec(&self).expect("plain values");
        json.pop();
        let checksum = crc32fast::hash(&json);
        json.extend(format!("{CHECKSUM}{checksum}}}").into_bytes());
        if !storage.put_new(&name, json)? {
            return Err(ArchiveError::damaged(&name, "another program writes to the same archive"));
        }
        // Readers may hold the one before. Older ones that cannot be taken away harm nobody.
        for (name, _) in storage.list(FOLDER).unwrap_or_default() {
            if name < name_of(self.number - 1) {
                let _ = storage.delete(&name);
            }
        }
        Ok(self)
    }
}

/// Returns whether a version is as it was written.
fn is_intact(json: &[u8]) -> bool {
    let Some(end) = memchr::memmem::rfind(json, CHECKSUM.as_bytes()) else { return true };
    json[end + CHECKSUM.len()..] == *format!("{}}}", crc32fast::hash(&json[..end])).as_bytes()
}

fn name_of(number: u64) -> String {
    format!("{FOLDER}/{number:010}.json")
}

impl TableFile {
    /// Returns the folder that it lies in: for events one a log source.
    pub(crate) fn folder(&self) -> &str {
        self.file.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// Returns the table that its rows are of.
    pub fn table(&self) -> &str {
        self.folder().strip_prefix(TABLES).and_then(|name| name.strip_prefix('/')).unwrap_or(EVENTS)
    }

    /// Returns the log sources of its events, and how many events each has.
    pub fn log_sources(&self) -> impl Iterator<Item = (LogSource, u64)> {
        self.log_sources.iter().map(|entry| (entry.log_source(), entry.rows))
    }

    /// Returns whether a row of this time may be in the file.
    pub(crate) fn may_hold(&self, time: Option<Timestamp>) -> bool {
        match time {
            Some(time) => self.times.is_some_and(|(first, last)| (first..=last).contains(&time.as_nanos())),
            None => self.times_unknown > 0,
        }
    }
}

impl LogSourceEntry {
    /// Returns the log source.
    pub(crate) fn log_source(&self) -> LogSource {
        let Self { product, service, categories, .. } = self.clone();
        LogSource { product, service, categories }
    }
}

/// Adds up rows by log source.
pub(crate) fn add_log_sources<L: Borrow<LogSource> + Ord>(rows: impl Iterator<Item = (L, u64)>) -> Vec<LogSourceEntry> {
    let mut counts: BTreeMap<L, u64> = BTreeMap::new();
    rows.for_each(|(log_source, rows)| *counts.entry(log_source).or_default() += rows);
    let entry = |(log_source, rows): (L, u64)| {
        let LogSource { product, service, categories } = log_source.borrow().clone();
        LogSourceEntry { product, service, categories, rows }
    };
    counts.into_iter().map(entry).collect()
}
