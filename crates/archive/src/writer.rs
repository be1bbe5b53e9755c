//! Writing: packs go to the write-ahead log, and from there, on a thread of its own, into segments.
//!
//! One program writes at a time. What [`Writer::commit`] has answered for is on the disk: a program that is killed at any
//! moment afterwards loses none of it, and stores none of it twice when it reads its logs again (`tests/it/killed.rs`).
//! Where something fails, a full disk mostly, nothing of that pack was taken, and it can be given again.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use cresset_event::{Event, EventId, Timestamp};

use crate::catalog::{Catalog, Change, delete_dropped, retire_dropped};
use crate::compact::Wish;
use crate::error::ArchiveError;
use crate::known::Known;
use crate::manifest::Manifest;
use crate::merger::Merger;
use crate::pack::{Keep, Pack, Packer};
use crate::segment::{self, Folders};
use crate::snapshot;
use crate::storage::{RETIRED, Storage, make_folder, retired};
use crate::table_rows::{EVENTS, TABLES, TableRows};
use crate::wal::{self, Logged, WalWriter};

/// How an archive is written.
#[derive(Debug, Clone, Copy)]
pub struct WriterOptions {
    /// What is kept of events.
    pub keep: Keep,
    /// A log of so many bytes becomes a segment. While it does the next one fills: memory is some five times this.
    pub log_bytes: u64,
    /// The log is brought to the disk at so many bytes, and at each [`Writer::commit`].
    pub sync_bytes: u64,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self { keep: Keep::Raw, log_bytes: 48 << 20, sync_bytes: 4 << 20 }
    }
}

/// What was mended when an archive was opened.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Repaired {
    /// Events that were in a write-ahead log and are in segments now.
    pub events: u64,
    /// Rows of other tables that were there.
    pub rows: u64,
    /// Bytes at the end of logs that belong to nothing that was promised.
    pub torn_bytes: u64,
    /// Parts of logs that were promised and cannot be read. The logs are kept beside the others, as `.damaged`.
    pub damaged_parts: u64,
}

/// What became of a pack, or of rows of another table.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Events or rows that are new.
    pub new: u64,
    /// Events or rows that the archive has already.
    pub known: u64,
}

/// An event of a pack that the archive had already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownEvent {
    /// Its place in the pack, counted from 0.
    pub place: u64,
    /// The number of its record.
    pub record: u64,
}

/// Writes to an archive.
#[derive(Debug)]
pub struct Writer {
    folder: PathBuf,
    options: WriterOptions,
    catalog: Arc<Catalog>,
    merger: Merger,
    known: Known,
    log: Log,
    /// The log that becomes a segment.
    sealed: Option<Sealed>,
    /// Held as long as we write.
    _lock: File,
}

/// A log that is being written.
#[derive(Debug)]
struct Log {
    number: u64,
    writer: WalWriter,
    /// What is in it: read again only by the next program, should this one be killed.
    logged: Logged,
    ids: HashSet<EventId>,
    unsynced_bytes: u64,
}

/// A log that is full.
#[derive(Debug)]
struct Sealed {
    number: u64,
    logged: Arc<Logged>,
    ids: HashSet<EventId>,
    /// Whether some of it may not be on the disk.
    is_spoilt: bool,
    /// None where it failed and has to be begun again.
    thread: Option<JoinHandle<Result<(), ArchiveError>>>,
}

impl Writer {
    /// Opens an archive, or makes one in a folder that is empty or not there yet. What a program that was killed left in its
    /// log is made a segment first.
    pub fn open(folder: &Path, options: WriterOptions) -> Result<(Self, Repaired), ArchiveError> {
        make(folder)?;
        Self::open_on(folder, Storage::open(folder)?, options)
    }

    /// Opens an archive of which there is the folder.
    pub(crate) fn open_on(
        folder: &Path,
        storage: Storage,
        options: WriterOptions,
    ) -> Result<(Self, Repaired), ArchiveError> {
        let lock = lock(folder)?;
        snapshot::remove_left(folder)?;
        let mut manifest = Manifest::load(&storage)?;
        delete_dropped(&storage, &mut manifest, Timestamp::now())?;
        retire_dropped(&storage, &manifest)?;
        sweep(&storage, &manifest)?;
        let (mut repaired, done) = (Repaired::default(), manifest.wal_done);
        let catalog = Arc::new(Catalog::new(storage, manifest));
        for number in wal::list(&wal_folder(folder))? {
            match number > done {
                true => repair(folder, &catalog, number, &mut repaired)?,
                // Who could not bring this list to the disk has left the log.
                false => catalog.change(Change::default())?,
            }
            remove_log(folder, number)?;
        }
        let (merger, known) = (Merger::new(Arc::clone(&catalog)), Known::default());
        let log = Log::create(folder, catalog.manifest()?.wal_done + 1)?;
        let folder = folder.to_owned();
        Ok((Self { folder, options, catalog, merger, known, log, sealed: None, _lock: lock }, repaired))
    }

    /// Returns what packs events for this archive; there may be one a thread.
    pub fn packer(&self) -> Packer {
        Packer::new(self.options.keep)
    }

    /// Returns what is kept of events.
    pub fn keep(&self) -> Keep {
        self.options.keep
    }

    /// Takes those events of a pack that are new.
    pub fn append(&mut self, pack: &Pack) -> Result<Appended, ArchiveError> {
        self.append_telling(pack, |_| ())
    }

    /// Takes those events of a pack that are new, and tells of the others, in their order, before anything is written.
    pub fn append_telling(&mut self, pack: &Pack, known: impl FnMut(KnownEvent)) -> Result<Appended, ArchiveError> {
        self.make_room()?;
        self.known.keep_up(&self.catalog);
        let (new, ids) = self.only_new(pack, known)?;
        if !new.is_empty() {
            self.log.append(&new, ids)?;
            self.commit_many()?;
        }
        Ok(Appended { new: new.len() as u64, known: (pack.len() - new.len()) as u64 })
    }

    /// Returns whether an event was appended before.
    pub fn has(&mut self, event: &Event) -> Result<bool, ArchiveError> {
        self.known.keep_up(&self.catalog);
        let origin = event.origin();
        self.is_known(Folders::default().of(&origin.log_source), event.id(), origin.time.known())
    }

    /// Takes those rows of a table that are new.
    pub fn append_rows(&mut self, rows: &TableRows) -> Result<Appended, ArchiveError> {
        self.make_room()?;
        self.known.keep_up(&self.catalog);
        let (folder, mut ids) = (rows.folder(), HashSet::new());
        let is_new = |(id, time)| Ok(!self.is_known(&folder, id, time)? && ids.insert(id));
        let kept = rows.identities().map(is_new).collect::<Result<Vec<bool>, ArchiveError>>()?;
        let appended = Appended { new: ids.len() as u64, known: (kept.len() - ids.len()) as u64 };
        if !ids.is_empty() {
            self.log.append_rows(rows.filtered(kept), ids)?;
            self.commit_many()?;
        }
        Ok(appended)
    }

    /// Begins the next log where this one is full.
    fn make_room(&mut self) -> Result<(), ArchiveError> {
        let is_full = self.log.writer.is_spoilt() || self.log.writer.byte_len() >= self.options.log_bytes;
        if is_full { self.seal() } else { Ok(()) }
    }

    /// Brings what was appended to the disk once it is much.
    fn commit_many(&mut self) -> Result<(), ArchiveError> {
        if self.log.unsynced_bytes >= self.options.sync_bytes { self.commit() } else { Ok(()) }
    }

    /// Returns once everything that was appended is on the disk.
    pub fn commit(&mut self) -> Result<(), ArchiveError> {
        if self.log.writer.is_spoilt() {
            self.seal()?;
        }
        // What was not brought to the disk in a log has to be there as a segment.
        if self.sealed.as_ref().is_some_and(|sealed| sealed.is_spoilt) {
            self.finish_sealed()?;
        }
        self.log.sync()
    }

    /// Makes few large files of many small ones, as far as that goes, and returns how many were made.
    pub fn compact(&mut self) -> Result<u64, ArchiveError> {
        self.finish_sealed()?;
        self.merger.merge(Wish::All)
    }

    /// Makes a segment of what is left, and ends. Returns why files were not merged that should be, where that is so: all
    /// events are there nevertheless.
    pub fn close(mut self) -> Result<Option<ArchiveError>, ArchiveError> {
        self.commit()?;
        if !self.log.ids.is_empty() {
            self.seal()?;
        }
        self.finish_sealed()?;
        remove_log(&self.folder, self.log.number)?;
        Ok(self.merger.merge(Wish::Enough).err())
    }

    /// Loses what is written to this log from now on.
    #[cfg(test)]
    pub(crate) fn lose_log(&mut self) {
        self.log.writer.lose();
    }

    /// Returns those events that are new, each once, and their ids; tells of the others.
    fn only_new(
        &mut self,
        pack: &Pack,
        mut known: impl FnMut(KnownEvent),
    ) -> Result<(Pack, HashSet<EventId>), ArchiveError> {
        let (mut ids, mut folders, mut failed, mut places) = (HashSet::new(), Folders::default(), None, 0..);
        let new = pack.filtered(|event| {
            let place = places.next().expect("it has no end");
            let Some(event) = event.origin().filter(|_| failed.is_none()) else { return false };
            let is_known = self.is_known(folders.of(event.log_source), event.id, event.time.known());
            let is_known = is_known.unwrap_or_else(|error| {
                failed = Some(error);
                true
            });
            let is_new = !is_known && ids.insert(event.id);
            if !is_new {
                known(KnownEvent { place, record: event.record });
            }
            is_new
        });
        if let Some(error) = failed {
            return Err(error);
        }
        let new = new.ok_or_else(|| ArchiveError::damaged("wal", "a pack is not as it was made"))?;
        Ok((new, ids))
    }

    /// Returns whether there is an event, or a row of another table, of this id and time already.
    fn is_known(&mut self, folder: &str, id: EventId, time: Option<Timestamp>) -> Result<bool, ArchiveError> {
        let is_logged =
            self.log.ids.contains(&id) || self.sealed.as_ref().is_some_and(|sealed| sealed.ids.contains(&id));
        if is_logged { Ok(true) } else { self.known.has(self.catalog.storage(), folder, id, time) }
    }

    /// Begins the next log, and makes the full one, or one that is spoilt, a segment on a thread of its own.
    fn seal(&mut self) -> Result<(), ArchiveError> {
        let is_spoilt = self.log.writer.is_spoilt();
        if !is_spoilt {
            self.log.sync()?;
        }
        self.finish_sealed()?;
        let next = Log::create(&self.folder, self.log.number + 1)?;
        let full = std::mem::replace(&mut self.log, next);
        let (logged, ids) = (full.logged.into(), full.ids);
        let mut sealed = Sealed { number: full.number, logged, ids, is_spoilt, thread: None };
        let started = sealed.start(&self.folder, &self.catalog);
        self.sealed = Some(sealed);
        started
    }

    /// Waits until the full log is a segment.
    fn finish_sealed(&mut self) -> Result<(), ArchiveError> {
        let Some(sealed) = &mut self.sealed else { return Ok(()) };
        if sealed.thread.is_none() {
            sealed.start(&self.folder, &self.catalog)?;
        }
        let thread = sealed.thread.take().expect("it was started");
        // A panic there is a fault of ours, and goes on here.
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        self.known.set(&self.catalog.manifest()?);
        remove_log(&self.folder, sealed.number)?;
        self.sealed = None;
        self.merger.go_on()
    }
}

impl Log {
    fn create(folder: &Path, number: u64) -> Result<Self, ArchiveError> {
        let writer = WalWriter::create(&wal_folder(folder), number)?;
        Ok(Self { number, writer, logged: Logged::default(), ids: HashSet::new(), unsynced_bytes: 0 })
    }

    /// Writes events of these ids.
    fn append(&mut self, pack: &Pack, ids: HashSet<EventId>) -> Result<(), ArchiveError> {
        self.unsynced_bytes += self.writer.append(pack)?;
        self.ids.extend(ids);
        self.logged.packs.push(pack.clone());
        Ok(())
    }

    /// Writes rows of a table that have these ids.
    fn append_rows(&mut self, rows: TableRows, ids: HashSet<EventId>) -> Result<(), ArchiveError> {
        self.unsynced_bytes += self.writer.append_rows(&rows)?;
        self.ids.extend(ids);
        self.logged.rows.push(rows);
        Ok(())
    }

    /// Brings what is not there yet to the disk.
    fn sync(&mut self) -> Result<(), ArchiveError> {
        if self.unsynced_bytes > 0 {
            self.writer.sync()?;
            self.unsynced_bytes = 0;
        }
        Ok(())
    }
}

impl Drop for Sealed {
    /// Waits: the archive must not be let go of while something is written to it.
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Sealed {
    fn start(&mut self, folder: &Path, catalog: &Arc<Catalog>) -> Result<(), ArchiveError> {
        let (number, catalog, logged) = (self.number, Arc::clone(catalog), Arc::clone(&self.logged));
        let write = move || write_segment(&catalog, number, &logged);
        let thread = thread::Builder::new().name("segment".into()).spawn(write);
        self.thread = Some(thread.map_err(|cause| ArchiveError::io(folder, cause))?);
        Ok(())
    }
}

/// Makes a segment of a log, unless that was done and something behind it failed.
fn write_segment(catalog: &Catalog, number: u64, logged: &Logged) -> Result<(), ArchiveError> {
    let made = match catalog.manifest()?.wal_done < number {
        true => Change { wal_done: Some(number), ..segment::write(catalog, logged)? },
        // What failed may have been to bring the list to the disk.
        false => Change::default(),
    };
    catalog.change(made)
}

/// Makes a segment of a log that a program left behind.
fn repair(folder: &Path, catalog: &Catalog, number: u64, repaired: &mut Repaired) -> Result<(), ArchiveError> {
    let content = wal::read(&wal_folder(folder), number)?.unwrap_or_default();
    let Logged { packs, rows } = &content.logged;
    repaired.events += packs.iter().map(|pack| pack.len() as u64).sum::<u64>();
    repaired.rows += rows.iter().map(|rows| rows.batch().num_rows() as u64).sum::<u64>();
    repaired.torn_bytes += content.torn;
    repaired.damaged_parts += content.damaged;
    if content.damaged > 0 {
        let path = wal::path_of(&wal_folder(folder), number);
        fs::copy(&path, path.with_extension("damaged")).map_err(|cause| ArchiveError::io(&path, cause))?;
    }
    write_segment(catalog, number, &content.logged)
}

/// Makes the folders of an archive.
fn make(folder: &Path) -> Result<(), ArchiveError> {
    let wal = wal_folder(folder);
    let is_archive = wal.is_dir();
    let is_used = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
    if is_used && !is_archive {
        return Err(ArchiveError::NoArchive { folder: folder.to_owned() });
    }
    if !folder.exists() {
        make_private(folder)?;
    }
    make_folder(&wal)
}

/// Makes a folder that is its owner's alone: everything that was ever logged is in it.
fn make_private(folder: &Path) -> Result<(), ArchiveError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|cause| ArchiveError::io(folder, cause))
}

/// Returns the folder of the write-ahead logs.
pub(crate) fn wal_folder(folder: &Path) -> PathBuf {
    folder.join("wal")
}

fn lock(folder: &Path) -> Result<File, ArchiveError> {
    let path = folder.join("lock");
    let file = File::create(&path).map_err(|cause| ArchiveError::io(&path, cause))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(ArchiveError::InUse { folder: folder.to_owned() }),
        Err(fs::TryLockError::Error(cause)) => Err(ArchiveError::io(&path, cause)),
    }
}

fn remove_log(folder: &Path, number: u64) -> Result<(), ArchiveError> {
    let path = wal::path_of(&wal_folder(folder), number);
    fs::remove_file(&path).map_err(|cause| ArchiveError::io(&path, cause))
}

/// Takes files away that no manifest names: of a segment that was not finished.
fn sweep(storage: &Storage, manifest: &Manifest) -> Result<(), ArchiveError> {
    let named: HashSet<&str> = manifest.files().collect();
    storage.delete_unfinished("manifest")?;
    for folder in [EVENTS, TABLES, "index"] {
        storage.delete_unfinished(folder)?;
        for (file, _) in storage.list(folder)? {
            if !named.contains(file.as_str()) {
                storage.delete(&file)?;
            }
        }
    }
    // A list that did not get to the disk may have put files aside that this one names still.
    let put_aside: HashSet<String> = manifest.files().map(retired).collect();
    for (file, _) in storage.list(RETIRED)? {
        if !put_aside.contains(&file) {
            storage.delete(&file)?;
        }
    }
    Ok(())
}
